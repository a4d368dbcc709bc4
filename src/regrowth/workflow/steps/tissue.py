"""Where white matter, grey matter and fluid lie in the baseline exam: where a tumour can grow, and how easily."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regrowth.anatomy.tissue import TissueProbabilities, refine_tissue, tissue_from_labels, tissue_from_template
from regrowth.clinical import Patient
from regrowth.errors import InputError
from regrowth.io.nifti import read_image, read_labels, write_image
from regrowth.io.transforms import read_transform
from regrowth.labels import label_scheme
from regrowth.space import Image, require_same_grid
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.steps.parcellate import labels_beside, skip_reason, source_of
from regrowth.workflow.study import Study, space_of

__all__ = ["STEP", "tissue_paths"]

_LABELS = {"white": "WM", "grey": "GM", "csf": "CSF"}


def tissue_paths(study: Study, patient: Patient) -> dict[str, Path]:
    """Name the maps of ``white`` and ``grey`` matter and ``csf`` of the baseline exam, on the grid of its reference image."""
    session = patient.baseline
    return {
        tissue: study.path(patient, session, "probseg", ".nii.gz", space=space_of(session), label=label)
        for tissue, label in _LABELS.items()
    }


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job, for the baseline: growth is modelled in its space, and needs no tissue when that is switched off."""
    session = patient.baseline
    reason = skip_reason(study, patient) if study.parameters.growth.space else "growth in space was switched off"
    if reason:
        return [Skip("tissue", patient.label, session.label, reason)]
    source = source_of(study, patient)
    # The regions are named only so that the job waits for the step that leaves labels beside them.
    inputs = {"image": session.images[space_of(session)], "regions": study.regions(patient)}
    optional = {"brain": study.brain_mask(patient, session)}
    settings: dict[str, object] = {"source": source}
    if source == "template":
        inputs["to template"] = study.to_template(patient)
    else:
        optional["labels"] = labels_beside(study.regions(patient))
    if session.segmentation is not None:
        optional["dseg"] = study.segmentation(patient, session)
        settings["scheme"] = session.segmentation_scheme
    return [Job("tissue", patient.label, session.label, inputs, tissue_paths(study, patient), optional, settings)]


def _compute(task: Task) -> None:
    image = read_image(task.input("image"))
    found = _found(task, image, _brain(task, image), _lesion(task, image))
    task.log.info("tissue by %s: %s", found.method, found.reason)
    for tissue, label in _LABELS.items():
        write_image(Image(getattr(found, tissue), image.grid, "1"), task.outputs[tissue], np.float32)
        task.describe(
            tissue,
            Label=label,
            SpatialReference=task.input("image").name,
            Method=found.method,
            IsFallback=found.is_fallback,
            Reason=found.reason,
            Quality=dict(found.quality),
            Lesion="filled with white and grey matter, so that a tumour has tissue to grow in",
        )


def _found(task: Task, image: Image, brain: np.ndarray | None, lesion: np.ndarray | None) -> TissueProbabilities:
    if task.job.settings["source"] == "template":
        prior = tissue_from_template(image, read_transform(task.input("to template")), brain, lesion)
        return refine_tissue(image, prior, lesion)
    path = task.given("labels")
    if path is None:
        beside = task.job.optional["labels"].name
        raise InputError(f"{task.input('regions')}: {beside} is not beside it; run the step parcellate again")
    labels = read_image(path)
    require_same_grid(labels.grid, image.grid, f"{path.name} and the image")
    return tissue_from_labels(np.rint(labels.data).astype(np.int32), image.grid, brain=brain, lesion=lesion)


def _brain(task: Task, image: Image) -> np.ndarray | None:
    path = task.given("brain")
    if path is None:
        return None
    mask = read_image(path)
    require_same_grid(mask.grid, image.grid, "the brain mask and the image")
    return np.asarray(mask.data > 0.5)


def _lesion(task: Task, image: Image) -> np.ndarray | None:
    path = task.given("dseg")
    if path is None:
        return None
    labels = read_labels(path, label_scheme(str(task.job.settings["scheme"])))
    require_same_grid(labels.grid, image.grid, f"{path.name} and the image")
    return labels.mask("lesion")


STEP = Step("tissue", 1, "find white matter, grey matter and fluid", _plan, _compute)
