"""How often each place of the template was tumour, in the primaries and in the recurrences of the cohort."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from regrowth.anatomy import brain_template
from regrowth.clinical import Patient
from regrowth.errors import InputError, ParameterError
from regrowth.io.nifti import read_image, write_image
from regrowth.io.tables import write_json
from regrowth.report import Section
from regrowth.report.figures.anatomy import frequency_figure
from regrowth.report.stored import section_values
from regrowth.space import Grid, Image, require_same_grid
from regrowth.statistics.frequency import paired_frequency
from regrowth.workflow.cohort_table import recurrence_exam
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.steps.locate import TEMPLATE_MM
from regrowth.workflow.steps.parcellate import skip_reason, source_of
from regrowth.workflow.study import TEMPLATE_SPACE, Study

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job for the group; `patient` is not used."""
    optional = {}
    for someone in study.cohort.patients:
        exam = recurrence_exam(someone)
        if exam is None or source_of(study, someone) != "template" or skip_reason(study, someone):
            continue
        if someone.baseline.segmentation is not None:
            optional[f"primary {someone.label}"] = study.in_template(someone, someone.baseline)
            optional[f"recurrence {someone.label}"] = study.in_template(someone, exam)
            optional[f"location {someone.label}"] = study.patient_path(someone, "location", ".tsv")
    if not optional:
        reason = "no patient has both a primary and a recurrence that were brought to the template"
        return [Skip("frequency", "group", "", reason)]
    names = {
        k: f"space-{TEMPLATE_SPACE}_label-tumour_desc-{k}_frequency.nii.gz" for k in ("primary", "recurrence", "difference")
    }
    outputs = {k: study.out_dir / "group" / name for k, name in names.items()}
    outputs["sections"] = study.out_dir / "group" / "sections" / "frequency.json"
    is_synthetic = any(s.is_synthetic for p in study.cohort.patients for s in p.sessions)
    return [Job("frequency", "group", optional=optional, outputs=outputs, settings={"is_synthetic": is_synthetic})]


def _pairs(task: Task, grid: Grid) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read primary and recurrence of every patient who has both; the same patients in both maps."""
    for role in sorted(r for r in task.job.optional if r.startswith("primary ")):
        paths = [task.given(role), task.given(role.replace("primary", "recurrence"))]
        if None in paths:
            task.log.warning("%s: not both masks are there", role.removeprefix("primary "))
            continue
        images = [read_image(p) for p in paths if p is not None]
        for image in images:
            require_same_grid(image.grid, grid, "a mask in the template and the template")
        yield images[0].data > 0.5, images[1].data > 0.5


def _compute(task: Task) -> None:
    template = brain_template(TEMPLATE_MM)
    grid = template.image.grid
    try:
        found = paired_frequency(_pairs(task, grid))
    except ParameterError as error:
        reason = "no patient's tumours were brought to the template; see why parcellate or locate failed"
        raise InputError(f"{reason} ({error})") from error
    primary, recurrence, difference = found.primary, found.recurrence, found.difference
    for role, values in (("primary", primary.counts), ("recurrence", recurrence.counts), ("difference", difference.share)):
        write_image(Image(values.astype(np.float32), grid, "1"), task.outputs[role], np.float32)
        what = "share of recurrences minus share of primaries" if role == "difference" else "patients with tumour in the voxel"
        task.describe(role, Patients=primary.n, Values=what, SpatialReference="ICBM 152 2009a symmetric")
    figure = frequency_figure(
        template.image, primary.counts, recurrence.counts, primary.n, synthetic=bool(task.job.settings["is_synthetic"])
    )
    text = (
        f"Tumours of {primary.n} patients with both exams (the core, or what the label scheme has), in the space of the "
        "template. Surgery removes the primary and registration blurs both: differences in single voxels are no evidence of a "
        "preference."
    )
    section = Section("Where in the template", "frequency", text, (figure,))
    write_json({"sections": [section_values(section)]}, task.outputs["sections"])


STEP = Step("frequency", 1, "count how often each place is tumour", _plan, _compute)
