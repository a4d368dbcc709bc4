"""Which regions the brain of the baseline exam has: a map made elsewhere, SynthSeg, or the embedded template."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regrowth.anatomy import AnatomyParameters, LabelMapParcellator, Parcellator, RegionMap
from regrowth.clinical import Patient, Session
from regrowth.engines.choice import parcellation_source, parcellator, registrar
from regrowth.errors import GridMismatchError, ImageFileError
from regrowth.io.nifti import read_image, read_labels, write_image
from regrowth.io.transforms import write_transform
from regrowth.labels import label_scheme
from regrowth.space import Image, require_same_grid
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study, registration_settings, space_of

__all__ = ["STEP", "labels_beside", "read_regions", "skip_reason", "source_of"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job, for the baseline: the follow-ups are seen in its space."""
    session = patient.baseline
    source = source_of(study, patient)
    reason = skip_reason(study, patient)
    if reason:
        return [Skip("parcellate", patient.label, session.label, reason)]
    inputs = {"image": session.images[_t1(session) or space_of(session)]}
    optional = {"brain": study.brain_mask(patient, session)}
    outputs = {"regions": study.regions(patient)}
    settings: dict[str, object] = {"source": source, "anatomy": study.parameters.as_dict()["anatomy"]}
    if source == "labelmap" and session.parcellation is not None:
        inputs["labels"] = session.parcellation
    else:
        settings["version"] = study.engine_versions.get(source, "")
    if source == "template":
        settings |= registration_settings(study, "engine")
        outputs["to template"] = study.to_template(patient)
    if session.segmentation is not None:
        optional["dseg"] = study.segmentation(patient, session)
        settings["scheme"] = session.segmentation_scheme
    return [Job("parcellate", patient.label, session.label, inputs, outputs, optional, settings)]


def source_of(study: Study, patient: Patient) -> str:
    """Name where the regions of a patient come from."""
    return parcellation_source(study.parameters.anatomy.parcellator, given=patient.baseline.parcellation is not None)


def skip_reason(study: Study, patient: Patient) -> str:
    """Say why a patient has no map of regions; empty if there will be one."""
    session, source = patient.baseline, source_of(study, patient)
    if source == "labelmap" and session.parcellation is None:
        return f"no map of regions for ses-{session.label}; pass the folder that holds it with --derivatives"
    if source == "template" and _t1(session) is None:
        return f"ses-{session.label} has no T1-weighted image, which the template needs"
    return ""


def _t1(session: Session) -> str | None:
    """Name the T1-weighted image on whose grid the segmentation lies, if the reference is one."""
    return space_of(session) if space_of(session) in ("T1wce", "T1w") else None


def _compute(task: Task) -> None:
    image = read_image(task.input("image"))
    brain, lesion = _brain(task, image), _lesion(task, image)
    source = _source(task)
    found = source.parcellate(image, lesion=lesion, brain=brain, threads=task.threads)
    write_image(Image(found.regions.data, image.grid, "1"), task.outputs["regions"], np.uint8)
    task.describe(
        "regions",
        RegionScheme=found.regions.scheme.name,
        Regions={r.label: r.value for r in found.regions.scheme},
        RegionSource=found.regions.scheme.source,
        SpatialReference=task.input("image").name,
        Method=found.method,
        Engine=source.name,
        EngineVersion=source.version,
        Citation=source.citation,
        IsFallback=found.is_fallback,
        Reason=found.reason,
        Quality=dict(found.quality),
    )
    if found.labels is not None:
        write_image(Image(found.labels, image.grid, "1"), task.extra(labels_beside(task.job.outputs["regions"])), np.int32)
    if "to template" in task.outputs and found.to_template is not None:
        write_transform(found.to_template, task.outputs["to template"])
        task.describe("to template", Direction="moves an image of the exam onto the grid of the ICBM 152 2009a template")


def labels_beside(regions: Path) -> Path:
    """Name the map of the FreeSurfer ids from which a map of regions was made."""
    return regions.with_name(regions.name.replace("_seg-lobes_", "_seg-freesurfer_"))


def _source(task: Task) -> Parcellator:
    parameters = AnatomyParameters(**task.job.settings["anatomy"])
    if task.job.settings["source"] == "labelmap":
        labels = read_image(task.input("labels"))
        whole = np.rint(labels.data)
        if not np.array_equal(whole, labels.data):
            raise ImageFileError(f"{task.input('labels')}: holds values that are no whole numbers, so it is no map of labels")
        return LabelMapParcellator(whole.astype(np.int32), labels.grid, task.input("labels").name, parameters)
    engine = registrar(task.job.settings["engine"]) if "engine" in task.job.settings else None
    return parcellator(task.job.settings["source"], parameters, engine)


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


def read_regions(task: Task, role: str = "regions") -> RegionMap | None:
    """Read the region map in a role of a job, if it was made."""
    path = task.given(role)
    if path is None:
        return None
    image = read_image(path)
    try:
        return RegionMap(np.rint(image.data).astype(np.uint8), image.grid)
    except GridMismatchError as error:
        raise GridMismatchError(f"{path}: {error}") from error


STEP = Step("parcellate", 1, "find the regions of the brain", _plan, _compute)
