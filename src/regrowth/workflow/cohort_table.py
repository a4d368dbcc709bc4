"""One row per patient: the clinical table joined with what the images of the patient gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from regrowth.clinical import Patient, Session
from regrowth.workflow.pages.values import main_region

__all__ = ["cohort_rows", "location_class", "patient_facts", "recurrence_exam"]

Rows = Sequence[Mapping[str, str]]

CLINICAL = ("age", "sex", "mgmt", "idh", "eor", "os_days", "os_months", "os_event", "ttp_days", "ttp_months", "ttp_event")
IMAGING = (
    "label_scheme",
    "primary_CE_core_ml",
    "primary_NE_ml",
    "ratio_CE_core_NE",
    "location_primary",
    "laterality_primary",
    "location_recurrence",
    "migration_mm",
    "recurrence_day",
    "pattern",
)


def recurrence_exam(patient: Patient) -> Session | None:
    """Choose the segmented exam that stands for the recurrence: the first at progression, else the first follow-up."""
    masked = [s for s in patient.followups if s.segmentation is not None]
    return next((s for phase in ("progression", "followup") for s in masked if s.phase == phase), None)


def patient_facts(patient: Patient) -> dict[str, Any]:
    """Give what `cohort_rows` needs to know of a patient, as JSON values."""
    exam = recurrence_exam(patient)
    return {
        "participant_id": f"sub-{patient.label}",
        "baseline": f"ses-{patient.baseline.label}",
        "baseline_phase": patient.baseline.phase,
        "recurrence": f"ses-{exam.label}" if exam else None,
        "recurrence_day": exam.day if exam else None,
        "clinical": {k: v for k, v in patient.clinical.items() if k in CLINICAL},
    }


def cohort_rows(
    patients: Sequence[Mapping[str, Any]],
    volumes: Rows,
    location: Rows,
    migration: Rows,
    kind: str,
    *,
    preset: str = "regrowth",
) -> list[dict[str, object]]:
    """Join the tables of a cohort.

    Parameters
    ----------
    patients
        What `patient_facts` gave.
    volumes, location, migration
        Rows of all patients.
    kind
        Registration under which locations and distances are taken.
    preset
        Classes of location: ``regrowth`` or ``hannisdal2025``.

    Returns
    -------
    list of dict
        One row per patient; None where something is missing. The volumes of a primary are those of an exam before surgery,
        and missing where there is none: a residual is no primary.
    """
    named = location_class if preset == "regrowth" else (lambda row: _known(row.get("hannisdal_class")))
    return [_row(p, volumes, location, migration, kind, named) for p in patients]


def _row(
    patient: Mapping[str, Any],
    volumes: Rows,
    location: Rows,
    migration: Rows,
    kind: str,
    named: Callable[[Mapping[str, str]], str | None],
) -> dict[str, object]:
    mine = {"participant_id": patient["participant_id"]}
    clinical = {name: _known(patient["clinical"].get(name)) for name in CLINICAL if name in patient["clinical"]}
    baseline = {**mine, "session_id": patient["baseline"]}
    first = _one(volumes, **baseline) if patient["baseline_phase"] == "preop" else {}
    where = _one(location, **baseline, transform="native", part="whole", status="ok")
    row: dict[str, object] = {
        **mine,
        **clinical,
        "label_scheme": _known(first.get("label_scheme")),
        "primary_CE_core_ml": _known(first.get("CE_core_ml")),
        "primary_NE_ml": _known(first.get("NE_ml")),
        "ratio_CE_core_NE": _known(first.get("ratio_CE_core_NE")),
        "location_primary": named(where),
        "laterality_primary": _known(where.get("laterality")),
    }
    exam = patient["recurrence"]
    if exam is None:
        return row
    then = _one(location, **mine, session_id=exam, transform=kind, part="whole", status="ok")
    moved = [r for r in migration if _is(r, **mine, followup=exam.removeprefix("ses-"), transform=kind, status="ok")]
    region = main_region([r["region"] for r in moved])
    distance = next((r for r in moved if r["region"] == region), {})
    return row | {
        "location_recurrence": named(then),
        "migration_mm": _known(distance.get("outward_p95_mm")),
        "recurrence_day": patient["recurrence_day"] if then or distance else None,
        "pattern": _known(distance.get("pattern")),
    }


def location_class(row: Mapping[str, str]) -> str | None:
    """Give the one class of a location: its dominant region, else its junction, else ``multiple``; None without a location."""
    if not row:
        return None
    if row.get("lobe") == "multiple" and _known(row.get("junction")):
        return row["junction"]
    return _known(row.get("lobe"))


def _one(rows: Rows, **wanted: str) -> Mapping[str, str]:
    return next((r for r in rows if _is(r, **wanted)), {})


def _is(row: Mapping[str, str], **wanted: str) -> bool:
    return all(row.get(name) == text for name, text in wanted.items())


def _known(text: str | None) -> str | None:
    return None if text in (None, "", "n/a") else text
