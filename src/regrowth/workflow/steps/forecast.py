"""How large the tumours of the cohort will be: forecasts of the volumes, with what they are worth beside the baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regrowth.clinical import Patient, Session
from regrowth.errors import InputError, RegrowthError
from regrowth.growth.cohort_forecast import forecast_cohort
from regrowth.growth.cohort_model import CohortModel
from regrowth.growth.cohort_results import COLUMNS, CohortForecast
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.patient_series import PatientSeries
from regrowth.io.tables import read_json, read_tsv, write_json, write_tsv
from regrowth.io.treatment import patient_record
from regrowth.report.stored import section_values
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.pages.forecast import forecast_section, forecast_sections
from regrowth.workflow.pages.values import MAIN_REGIONS, number
from regrowth.workflow.study import Study

__all__ = ["STEP"]

_CORE = tuple(f"{name}_ml" for name in MAIN_REGIONS if name != "WT")
_REGIONS = {"core": _CORE, "whole": ("WT_ml",)}
_TABLES = ("parameters", "timepatients", "timechoice", "timescores", "timecard", "timecomparisons")


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job for the group; `patient` is not used."""
    group = study.out_dir / "group"
    parameters = study.parameters.growth
    inputs = {"volumes": group / "volumes.tsv"}
    if parameters.cohort_model:
        inputs["cohort model"] = Path(parameters.cohort_model)
    people = study.cohort.patients
    if not any(s.segmentation is not None for p in people for s in p.sessions):
        return [Skip("forecast", "group", "", "no exam has a tumour segmentation")]
    outputs = {"forecast": group / "forecast.tsv", "model": group / "growth" / "model.json"}
    outputs |= {name: group / "growth" / f"{name}.tsv" for name in _TABLES}
    outputs["sections"] = group / "sections" / "forecast.json"
    outputs |= {f"sections {p.label}": study.sections(p, "forecast") for p in people}
    return [
        Job(
            "forecast",
            "group",
            inputs=inputs,
            optional={f"treatment {p.label}": p.treatment for p in people if p.treatment is not None},
            outputs=outputs,
            settings={
                "patients": [_facts(p) for p in people],
                "growth": study.parameters.as_dict()["growth"],
                "is_synthetic": any(s.is_synthetic for p in people for s in p.sessions),
            },
        )
    ]


def _facts(patient: Patient) -> dict[str, Any]:
    """Give what the treatment and the page of a patient follow from, as JSON values."""
    return {
        "label": patient.label,
        "sessions": [{"label": s.label, "day": s.day, "phase": s.phase} for s in patient.sessions],
        "clinical": dict(patient.clinical),
        "is_synthetic": any(s.is_synthetic for s in patient.sessions),
        "is_nominal": any(s.spacing_is_nominal for s in patient.sessions),
    }


def _compute(task: Task) -> None:
    settings = task.job.settings
    parameters = GrowthParameters(**settings["growth"])
    rows: dict[str, list[Mapping[str, str]]] = {}
    for row in read_tsv(task.input("volumes")):
        rows.setdefault(row["participant_id"].removeprefix("sub-"), []).append(row)
    patients, regions = [], {}
    for facts in settings["patients"]:
        label = facts["label"]
        column, series = _series(facts, rows.get(label, []), _REGIONS[parameters.region], task.given(f"treatment {label}"))
        patients.append(series)
        regions[label] = column.removesuffix("_ml").replace("_", " ")
        if series.status != "ok":
            task.log.warning("%s: %s", label, series.reason)
    external = _external(task)
    found = forecast_cohort(patients, parameters, external=external)
    _write_tables(task, found, external)
    shown = sorted({r for p in found.patients if p.forecasts and (r := regions[p.label])})
    sections = forecast_sections(found, region=" or ".join(shown), synthetic=bool(settings["is_synthetic"]))
    write_json({"sections": [section_values(s) for s in sections]}, task.outputs["sections"])
    for facts, forecast in zip(settings["patients"], found.patients, strict=True):
        section = forecast_section(
            forecast,
            region=regions[forecast.label],
            synthetic=bool(facts["is_synthetic"]),
            nominal=bool(facts["is_nominal"]),
        )
        write_json({"sections": [section_values(section)]}, task.outputs[f"sections {forecast.label}"])


def _external(task: Task) -> CohortModel | None:
    """Read the model of another cohort, if one is to be used."""
    path = task.given("cohort model")
    if path is None:
        return None
    try:
        return CohortModel.from_dict(read_json(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _series(
    facts: Mapping[str, Any], rows: Sequence[Mapping[str, str]], columns: Sequence[str], treatment: Path | None
) -> tuple[str, PatientSeries]:
    """Read the series of one patient from the table of volumes, and what is known of the treatment."""
    label = str(facts["label"])
    sessions = tuple(Session(**s) for s in facts["sessions"])
    try:
        record = patient_record(Patient(label, sessions, facts["clinical"], treatment))
    except RegrowthError as error:
        reason = str(error).replace(str(treatment), treatment.name) if treatment else str(error)
        return "", PatientSeries(label, None, status="invalid_treatment", reason=reason)
    # One region for all exams of a patient: the one that most of them have, of equal ones the first in order.
    counts = {c: sum(math.isfinite(number(r.get(c))) for r in rows) for c in columns}
    column = max(columns, key=lambda c: (counts[c], -columns.index(c)))
    if not counts[column]:
        reason = "no exam has a segmentation with the region that is forecast"
        return "", PatientSeries(label, None, record, "no_scan", reason)
    days, volumes = [number(r.get("day")) for r in rows], [number(r.get(column)) for r in rows]
    return column, PatientSeries.from_exams(label, days, volumes, record)


def _write_tables(task: Task, found: CohortForecast, external: CohortModel | None) -> None:
    card = found.card
    tables: dict[str, list[dict[str, object]]] = {
        "forecast": found.forecast_rows(),
        "parameters": found.parameter_rows(),
        "timepatients": found.patient_rows(),
        "timechoice": found.choice_rows(),
        "timescores": found.score_rows(),
        "timecard": card.summary_rows() if card else [],
        "timecomparisons": card.comparison_rows() if card else [],
    }
    for name, rows in tables.items():
        write_tsv(
            rows, task.outputs[name], columns=None if rows else ["participant_id" if name != "timechoice" else "forecaster"]
        )
        # Not by `describe`, whose own argument has the name of a column.
        task.metadata.setdefault(name, {}).update({c: COLUMNS[c] for row in rows[:1] for c in row if c in COLUMNS})
    model = found.model
    values = model.as_dict() if model else {"format": None, "reason": "no patient has two usable scans with a tumour"}
    write_json(values, task.outputs["model"])
    if external is not None:
        task.describe("model", Description="the model of another cohort that was used, unchanged")


STEP = Step("forecast", 1, "forecast the volumes of all patients", _plan, _compute)
