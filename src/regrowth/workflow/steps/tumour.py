"""Which voxels of an exam are tumour: the segmentation made elsewhere, checked and brought into the results."""

from __future__ import annotations

from regrowth.clinical import Patient
from regrowth.errors import GridMismatchError
from regrowth.io.nifti import read_grid, read_labels, write_labels
from regrowth.labels import label_scheme
from regrowth.space import LabelMap, require_same_grid
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job per exam that has a segmentation."""
    jobs: list[Job | Skip] = []
    for session in patient.sessions:
        if session.segmentation is None or session.segmentation_scheme is None:
            reason = f"no tumour segmentation for ses-{session.label}; pass the folder that holds it with --derivatives"
            jobs.append(Skip("tumour", patient.label, session.label, reason))
            continue
        jobs.append(
            Job(
                "tumour",
                patient.label,
                session.label,
                inputs={"segmentation": session.segmentation, "reference": session.images[session.reference() or ""]},
                outputs={"dseg": study.segmentation(patient, session)},
                settings={"scheme": session.segmentation_scheme},
            )
        )
    return jobs


def _compute(task: Task) -> None:
    """Check that the segmentation lies on the reference image and holds only known values."""
    scheme = label_scheme(str(task.job.settings["scheme"]))
    labels = read_labels(task.input("segmentation"), scheme)
    grid = read_grid(task.input("reference"))
    try:
        require_same_grid(labels.grid, grid, "segmentation and image", tolerance_mm=0.1)
    except GridMismatchError as error:
        raise GridMismatchError(
            f"{task.input('segmentation')}: does not lie on the grid of {task.input('reference').name}: {error}"
        ) from error
    task.describe(
        "dseg",
        LabelScheme=scheme.name,
        Labels=dict(scheme.values),
        LabelSource=scheme.source,
        SpatialReference=task.input("reference").name,
        Segmenter="made elsewhere (--derivatives)",
    )
    write_labels(LabelMap(labels.data, grid, scheme), task.outputs["dseg"])


STEP = Step("tumour", 1, "check the tumour segmentation", _plan, _compute)
