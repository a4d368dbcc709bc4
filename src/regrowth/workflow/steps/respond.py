"""How the tumour responded over the exams of a patient, by the rules of RANO 2.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from regrowth.clinical import Patient
from regrowth.errors import BidsError
from regrowth.io.nifti import read_labels
from regrowth.io.tables import write_json, write_tsv
from regrowth.labels import label_scheme
from regrowth.recurrence import new_components
from regrowth.report.stored import section_values
from regrowth.response import Exam, ResponseParameters, assess, lesion_sizes, response_summary, sum_of_products
from regrowth.space import LabelMap, require_same_grid
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.pages.response import response_section
from regrowth.workflow.study import Study

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    sessions = [s for s in patient.sessions if s.segmentation is not None]
    if len(sessions) < 2:
        reason = (
            "one segmented exam only; a response needs a baseline and a later exam" if sessions else "no tumour segmentation"
        )
        return [Skip("respond", patient.label, "", reason)]
    baseline, kind = patient.baseline, study.kinds[-1]
    optional = {f"native {s.label}": study.segmentation(patient, s) for s in sessions}
    optional |= {
        f"mapped {s.label}": study.mapped(patient, s, "dseg", kind, seg="tumour") for s in sessions if s is not baseline
    }
    exams = [
        {
            "session": s.label,
            "day": s.day,
            "phase": s.phase,
            "scheme": s.segmentation_scheme,
            "steroids_mg": s.steroids_mg,
            "clinical": s.clinical_status,
        }
        for s in sessions
    ]
    return [
        Job(
            "respond",
            patient.label,
            optional=optional,
            outputs={
                **{name: study.patient_path(patient, name, ".tsv") for name in ("response", "bestresponse")},
                "sections": study.sections(patient, "response"),
            },
            settings={
                "is_synthetic": any(s.is_synthetic for s in sessions),
                "is_nominal": any(s.spacing_is_nominal for s in sessions),
                "exams": exams,
                "baseline": baseline.label,
                "rt_end_day": patient.clinical.get("rt_end_day", "n/a"),
                "response": study.parameters.as_dict()["response"],
            },
        )
    ]


def _compute(task: Task) -> None:
    settings = task.job.settings
    natives, mapped = _segmentations(task)
    parameters = _assessable(ResponseParameters(**settings["response"]), list(natives.values()))
    new = _new_lesions(mapped, parameters)
    exams = []
    for facts in settings["exams"]:
        session = str(facts["session"])
        if session not in natives:
            task.log.warning("ses-%s has no usable segmentation and is left out", session)
            continue
        labels = natives[session]
        regions = [r for r in parameters.regions if labels.has(r)]
        exams.append(
            Exam(
                day=int(facts["day"]),
                phase=str(facts["phase"]),
                volumes_ml={r: labels.volume_ml(r) for r in regions},
                products_mm2={r: _product(labels, r, parameters) for r in regions},
                new_lesions=new.get(session),
                label=f"ses-{session}",
                steroids_mg=facts["steroids_mg"],
                clinical=facts["clinical"],
            )
        )
    found = assess(exams, parameters, radiotherapy_end_day=_day(str(settings["rt_end_day"]), task.job.participant))
    who = {"participant_id": f"sub-{task.job.participant}"}
    write_tsv([{**who, **a.as_row()} for a in found], task.outputs["response"], columns=None if found else [*who, "label"])
    write_tsv([{**who, **response_summary(found).as_row()}], task.outputs["bestresponse"])
    section = response_section(
        exams, found, parameters, is_nominal=settings["is_nominal"], synthetic=bool(settings["is_synthetic"])
    )
    write_json({"sections": [section_values(section)]}, task.outputs["sections"])


def _segmentations(task: Task) -> tuple[dict[str, LabelMap], dict[str, LabelMap | None]]:
    """Read every exam in its own space, and on the grid of the baseline where it was brought there; in the order of days."""
    natives: dict[str, LabelMap] = {}
    mapped: dict[str, LabelMap | None] = {}
    for facts in task.job.settings["exams"]:
        session, scheme = str(facts["session"]), label_scheme(str(facts["scheme"]))
        if path := task.given(f"native {session}"):
            natives[session] = read_labels(path, scheme)
            mapped[session] = natives[session] if session == task.job.settings["baseline"] else None
        if path := task.given(f"mapped {session}"):
            mapped[session] = read_labels(path, scheme)
    return natives, mapped


def _assessable(parameters: ResponseParameters, exams: Sequence[LabelMap]) -> ResponseParameters:
    """Take the next best region for the enhancing tumour where no exam labels the one that was asked for."""
    wanted = (parameters.enhancing_region, "CE_core", "GTV")
    region = next((r for r in wanted if any(e.has(r) for e in exams)), parameters.enhancing_region)
    return replace(parameters, enhancing_region=region)


def _product(labels: LabelMap, region: str, p: ResponseParameters) -> float:
    targets = min(p.targets, 2) if p.tumour == "mixed" else p.targets
    return sum_of_products(labels.mask(region), labels.grid, targets=targets, measurable_mm=p.measurable_mm).total_mm2


def _new_lesions(mapped: Mapping[str, LabelMap | None], p: ResponseParameters) -> dict[str, int | None]:
    """Count the measurable lesions of each exam that are new; None where the exams could not be compared."""
    known = [m for m in mapped.values() if m is not None]
    if not known:
        return {}
    grid, region = known[0].grid, p.regions[0]
    masks = []
    for labels in mapped.values():
        if labels is not None:
            require_same_grid(labels.grid, grid, "two exams in the space of the baseline")
        masks.append(labels.mask(region) if labels is not None and labels.has(region) else None)
    series = new_components(masks, grid, tolerance_mm=p.new_lesion_gap_mm)
    out: dict[str, int | None] = {}
    for session, exam in zip(mapped, series, strict=True):
        sizes = lesion_sizes(exam.new, grid, measurable_mm=p.measurable_mm)
        out[session] = None if exam.n_new is None else sum(s.is_measurable for s in sizes)
    return out


def _day(text: str, participant: str) -> float | None:
    if text in ("n/a", ""):
        return None
    try:
        return float(text)
    except ValueError:
        raise BidsError(
            f"participants.tsv, sub-{participant}: rt_end_day is {text!r}; write days from baseline or n/a"
        ) from None


STEP = Step("respond", 1, "assess the response by the rules of RANO 2.0", _plan, _compute)
