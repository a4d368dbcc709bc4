"""Where in the brain the tumour of every exam lies: volume in each region, side, lobe, junction, parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.anatomy import (
    LocationParameters,
    RegionMap,
    RegionVolumes,
    brain_template,
    component_locations,
    location,
    location_compartment,
    region_volumes,
)
from regrowth.anatomy.hannisdal2025 import approximate_volumes, classify, overlap_table, white_matter_lobes
from regrowth.clinical import Patient
from regrowth.errors import InputError
from regrowth.io.nifti import read_image, read_labels, write_image
from regrowth.io.tables import write_tsv
from regrowth.io.transforms import read_transform
from regrowth.labels import label_scheme
from regrowth.space import Image, LabelMap, require_same_grid, resample_mask
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.steps.parcellate import labels_beside, read_regions, skip_reason, source_of
from regrowth.workflow.study import Study

__all__ = ["STEP"]

OVERLAP_COMPARTMENTS = ("CE_core", "ET", "NCR", "NE", "WT", "GTV", "RC")
TEMPLATE_MM = 2


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job per patient: the baseline in its own space, every follow-up as it was brought onto the baseline."""
    baseline = patient.baseline
    reason = skip_reason(study, patient)
    if baseline.segmentation is None:
        reason = reason or f"no tumour segmentation for ses-{baseline.label}"
    if reason:
        return [Skip("locate", patient.label, "", reason)]
    inputs = {"regions": study.regions(patient), "primary": study.segmentation(patient, baseline)}
    optional = {"labels": labels_beside(study.regions(patient))}
    outputs = {name: study.patient_path(patient, name, ".tsv") for name in ("overlap", "location")}
    exams = [{"session": baseline.label, "day": baseline.day, "phase": baseline.phase, "scheme": baseline.segmentation_scheme}]
    in_template = source_of(study, patient) == "template"
    if in_template:
        inputs["to template"] = study.to_template(patient)
        outputs["in template"] = study.in_template(patient, baseline)
    for session in (s for s in patient.followups if s.segmentation is not None):
        exams.append(
            {"session": session.label, "day": session.day, "phase": session.phase, "scheme": session.segmentation_scheme}
        )
        optional[f"native {session.label}"] = study.segmentation(patient, session)
        for kind in study.kinds:
            optional[f"{kind} {session.label}"] = study.mapped(patient, session, "dseg", kind, seg="tumour")
    settings = {"exams": exams, "kinds": list(study.kinds), "location": study.parameters.as_dict()["location"]}
    return [Job("locate", patient.label, "", inputs, outputs, optional, settings)]


@dataclass(frozen=True)
class _Exam:
    """A segmentation on the grid of the baseline, how it came there, and what it measures in its own space."""

    facts: Mapping[str, object]
    transform: str
    labels: LabelMap
    native: LabelMap

    def native_ml(self, compartment: str) -> float:
        return self.native.volume_ml(compartment)


def _exams(task: Task) -> Iterator[_Exam]:
    for number, facts in enumerate(task.job.settings["exams"]):
        scheme, session = label_scheme(str(facts["scheme"])), facts["session"]
        if number == 0:
            primary = read_labels(task.input("primary"), scheme)
            yield _Exam(facts, "native", primary, primary)
            continue
        native = task.given(f"native {session}")
        for kind in task.job.settings["kinds"]:
            mapped = task.given(f"{kind} {session}")
            if native is None or mapped is None:
                task.log.warning("ses-%s was not brought onto the baseline (%s) and is not located", session, kind)
                continue
            yield _Exam(facts, kind, read_labels(mapped, scheme), read_labels(native, scheme))


def _compute(task: Task) -> None:
    regions = read_regions(task)
    if regions is None:
        raise InputError(f"{task.input('regions')}: absent")
    parameters = LocationParameters(**task.job.settings["location"])
    preset = _hannisdal(task, regions)
    overlaps: list[dict[str, object]] = []
    places: list[dict[str, object]] = []
    exams = list(_exams(task))
    for exam in exams:
        require_same_grid(exam.labels.grid, regions.grid, "the segmentation and the map of regions")
        who = {
            "participant_id": f"sub-{task.job.participant}",
            "session_id": f"ses-{exam.facts['session']}",
            "day": exam.facts["day"],
            "phase": exam.facts["phase"],
            "transform": exam.transform,
        }
        overlaps += [{**who, **row} for row in _overlap(exam, regions)]
        found = _places(exam, regions, parameters)
        found[0] |= preset(exam.labels)
        places += [{**who, **row} for row in found]
    write_tsv(overlaps, task.outputs["overlap"])
    write_tsv(places, task.outputs["location"])
    _write_in_template(task, exams, parameters)


def _overlap(exam: _Exam, regions: RegionMap) -> list[dict[str, object]]:
    """Volume of each compartment per region: the shares of the map times the volume in the exam's own space."""
    rows = []
    for compartment in (c for c in OVERLAP_COMPARTMENTS if exam.labels.has(c)):
        native_ml = exam.native_ml(compartment)
        for row in region_volumes(exam.labels.mask(compartment), regions, regions.grid).as_rows():
            share = float(row.pop("share"))  # type: ignore[arg-type]
            volume = share * native_ml if native_ml > 0 else 0.0
            rows.append({"compartment": compartment, **row, "volume_ml": volume, "share": share, "native_ml": native_ml})
    return rows


def _places(exam: _Exam, regions: RegionMap, parameters: LocationParameters) -> list[dict[str, object]]:
    choice = location_compartment(exam.labels, parameters)
    name = choice.compartment
    mask = exam.labels.mask(name) if name else np.zeros(regions.grid.shape, bool)
    volumes: RegionVolumes = region_volumes(mask, regions, regions.grid)
    whole = location(volumes, parameters, compartment=name)
    native_ml = exam.native_ml(name) if name else 0.0
    rows = [{"part": "whole", "volume_ml": native_ml, "choice": choice.reason, **whole.as_row()}]
    parts, small = component_locations(mask, regions, regions.grid, parameters, compartment=name)
    rows[0] |= {"n_parts": len(parts), "n_small_parts": small}
    if len(parts) > 1:
        rows += [{"part": str(n), "volume_ml": p.volume_ml, **p.location.as_row()} for n, p in enumerate(parts, start=1)]
    return rows


def _hannisdal(task: Task, regions: RegionMap) -> Callable[[LabelMap], dict[str, object]]:
    """Prepare the preset ``hannisdal2025``: from the ids of the label map where there is one, else from the lobes."""
    path = task.given("labels")
    ids = None
    if path is not None:
        image = read_image(path)
        require_same_grid(image.grid, regions.grid, "the FreeSurfer ids and the map of regions")
        ids = np.rint(image.data).astype(np.int32)
    white = None if ids is None else white_matter_lobes(ids, regions.grid)

    def classified(labels: LabelMap) -> dict[str, object]:
        if not labels.has("CE_core"):
            return {"hannisdal_class": None, "hannisdal_source": f"{labels.scheme.name} has no CE core"}
        mask = labels.mask("CE_core")
        if ids is None:
            volumes = approximate_volumes(region_volumes(mask, regions, regions.grid))
        else:
            nothing = np.zeros(regions.grid.shape, bool)
            masks = {"CE_core": mask, "NE": labels.mask("NE") if labels.has("NE") else nothing, "Total": labels.mask("lesion")}
            overlap = overlap_table(ids, masks, regions.grid, white_matter=white)
            volumes = {region: found["CE_core"] for region, found in overlap.lobes.items()}
        found = classify(volumes)
        return {
            "hannisdal_class": found.pooled,
            "hannisdal_hemisphere": found.hemisphere,
            "hannisdal_confidence": found.confidence,
            "hannisdal_source": "approximated from lobes" if ids is None else "as in the notebooks",
        }

    return classified


def _write_in_template(task: Task, exams: Sequence[_Exam], parameters: LocationParameters) -> None:
    """Bring the tumour of each exam to the template, for maps of how often a place is affected."""
    if "in template" not in task.outputs:
        return
    grid = brain_template(TEMPLATE_MM).image.grid
    transform = read_transform(task.input("to template"))
    last = {str(e.facts["session"]): e for e in exams}
    baseline = str(task.job.settings["exams"][0]["session"])
    final = task.job.outputs["in template"]
    for session, exam in last.items():
        name = location_compartment(exam.labels, parameters).compartment
        mask = exam.labels.mask(name) if name else np.zeros(exam.labels.grid.shape, bool)
        moved = Image(resample_mask(mask, exam.labels.grid, grid, transform).astype(np.uint8), grid, "1")
        # How many follow-ups could be brought onto the baseline is not known beforehand.
        place = final.parents[2] / f"ses-{session}" / "anat" / final.name.replace(f"_ses-{baseline}_", f"_ses-{session}_")
        write_image(moved, task.outputs["in template"] if session == baseline else task.extra(place), np.uint8)
    task.describe("in template", SpatialReference="ICBM 152 2009a symmetric")


STEP = Step("locate", 1, "find the regions in which the tumour lies", _plan, _compute)
