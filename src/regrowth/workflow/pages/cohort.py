"""What the page of the cohort says."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regrowth import __version__
from regrowth.io.nifti import read_image, read_labels
from regrowth.io.tables import read_json, read_tsv
from regrowth.labels import REGIONS, label_scheme
from regrowth.report import CohortReport, Figure, Flag, Missing, PatientRow, Section, SummaryItem, Value, methods_text
from regrowth.report.figures.cohort import count_figure, distribution_figure, mosaic_figures, patient_tile
from regrowth.report.figures.response import swimmer_figure
from regrowth.report.stored import section_from
from regrowth.response import Assessment
from regrowth.space import require_same_grid
from regrowth.workflow.cohort_table import location_class
from regrowth.workflow.job import Task
from regrowth.workflow.pages.flags import errors_of, flags_of
from regrowth.workflow.pages.values import NOMINAL_NOTE, main_region, number, value

__all__ = ["cohort_page"]

Rows = Sequence[Mapping[str, str]]


def cohort_page(task: Task) -> CohortReport:
    """Build the page of the cohort from the joined tables."""
    settings = task.job.settings
    names = ("volumes", "migration", "registration", "location", "response", "bestresponse", "participants")
    tables = {name: read_tsv(p) if (p := task.given(name)) else [] for name in names}
    patients: list[Mapping[str, object]] = settings["patients"]
    synthetic = any(p["is_synthetic"] for p in patients)
    errors = errors_of(settings)
    rows = tuple(
        _patient_row(p, tables, settings["kinds"][-1], [e.message for e in errors if e.participant == p["label"]])
        for p in patients
    )
    left_out = [p for p in settings["problems"] if p["is_fatal"]]
    rows += tuple(PatientRow(p["participant"], status="failed", note=p["message"]) for p in left_out)
    text, references = methods_text(["index", *settings["steps"]], settings["versions"], settings["methods"])
    is_nominal = any(p["is_nominal"] for p in patients)
    return CohortReport(
        title="Regrowth cohort",
        generated=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        version=__version__,
        rows=rows,
        summary=(
            SummaryItem("patients", len(rows)),
            SummaryItem("with a follow-up measured", len({r["participant_id"] for r in tables["migration"]})),
            SummaryItem("left out or failed", sum(r.status == "failed" for r in rows)),
        ),
        flags=_baselines(patients)
        + tuple(
            [Flag("warning", "geometry", NOMINAL_NOTE, "compare mm and ml within this data set only")] if is_nominal else []
        )
        + tuple(
            Flag(
                "warning" if p["is_fatal"] else "info",
                f"sub-{p['participant']}" if p["participant"] else "data set",
                p["message"],
            )
            for p in settings["problems"]
        ),
        distributions=(*_distributions(rows, tables, synthetic=synthetic), *_responses(tables, synthetic=synthetic)),
        sections=_sections(task),
        mosaics=_mosaics(task, patients, synthetic=synthetic),
        failures=errors,
        ran=f"{len(patients)} patients, {sum(int(p['exams']) for p in patients)} exams.",  # type: ignore[call-overload]
        methods=text,
        references=references,
        provenance=tuple((k, str(v)) for k, v in settings["provenance"].items()),
        synthetic=synthetic,
        notes=(NOMINAL_NOTE,) if is_nominal else (),
    )


def _baselines(patients: Sequence[Mapping[str, object]]) -> tuple[Flag, ...]:
    """Say where what the page calls the primary is no tumour before surgery."""
    others = [str(p["baseline_phase"]) for p in patients if p["baseline_phase"] != "preop"]
    if not others:
        return ()
    text = (
        f"the first exam of {len(others)} of {len(patients)} patients is not pre-operative ({', '.join(sorted(set(others)))})"
    )
    return (Flag("info", "baseline", text, "read “primary” as “first exam” there; volumes of the primary are left out"),)


def _sections(task: Task) -> tuple[Section, ...]:
    """Read the sections that other steps of the group left; where a step left none, say why if it is known."""
    out: list[Section] = []
    for step in task.job.settings["sections"]:  # a step that failed is no input any more
        path = task.given(f"sections {step}")
        if path is not None:
            stored: list[Mapping[str, Any]] = read_json(path)["sections"]  # type: ignore[assignment]
            out += [section_from(values) for values in stored]
            continue
        failed = [f for f in task.job.settings.get("failures", ()) if f["step"] == step]
        reasons = [str(s["reason"]) for s in task.job.settings["skips"] if s["step"] == step]
        reasons += [f"{f['status']}: {f['message']}" for f in failed]
        out.append(Section(step.capitalize(), f"no-{step}", skipped="; ".join(reasons) or "it was not run"))
    return tuple(out)


def _patient_row(patient: Mapping[str, object], tables: Mapping[str, Rows], kind: str, errors: Sequence[str]) -> PatientRow:
    name = f"sub-{patient['label']}"
    volumes = [r for r in tables["volumes"] if r["participant_id"] == name]
    migration = [r for r in tables["migration"] if r["participant_id"] == name]
    registration = [r for r in tables["registration"] if r["participant_id"] == name and r["stage"] == "rigid"]
    quality = [r for r in tables["registration"] if r["participant_id"] == name]
    flags = flags_of({}, quality, migration, {}, is_nominal=bool(patient["is_nominal"]))
    last = migration[-1]["followup"] if migration else ""
    rows = [r for r in migration if r["followup"] == last]
    region = main_region([r["region"] for r in rows if r["status"] == "ok"]) or main_region([r["region"] for r in rows])
    by_transform = {r["transform"]: r for r in rows if r["region"] == region}
    best = by_transform.get(kind, {})
    shown = main_region([r for r in REGIONS if any(not np.isnan(number(v.get(f"{r}_ml"))) for v in volumes)])
    nothing = Missing("no follow-up was measured")
    ncc = (
        f"NCC {number(registration[-1]['ncc_before']):.2f} to {number(registration[-1]['ncc_after']):.2f}"
        if registration
        else nothing
    )
    return PatientRow(
        label=str(patient["label"]),
        link=f"sub-{patient['label']}.html",
        pattern=value(best, "verdict") if best else nothing,
        trend=value(best, "trend") if best else nothing,
        classes=_classes(name, tables, kind),
        volumes_ml={
            f"{(shown or '').replace('_', ' ')} {when}": value(row, f"{shown}_ml")
            for when, row in (("first", volumes[0]), ("last", volumes[-1]))
        }
        if volumes and shown
        else {},
        migration_mm=value(best, "outward_p95_mm") if best else nothing,
        migration_rigid_mm=value(by_transform.get("rigid", {}), "outward_p95_mm") if best else nothing,
        registration=ncc,
        flags=sum(f.level == "warning" for f in flags),
        status="failed" if errors else ("done" if best else "incomplete"),
        note="; ".join(errors) or ("" if best else "no follow-up was measured"),
    )


def _classes(name: str, tables: Mapping[str, Rows], kind: str) -> dict[str, Value]:
    """Give where the tumour lay in the first and the last exam, and the best response and the progression of the series."""
    whole = [
        r
        for r in tables["location"]
        if r["participant_id"] == name and r["part"] == "whole" and r["transform"] in ("native", kind)
    ]
    out: dict[str, Value] = {}
    for words, row in (("location first", whole[0]), ("location last", whole[-1])) if whole else ():
        side = row["laterality"] if row["status"] == "ok" else ""
        out[words] = f"{side} {location_class(row)}" if side else Missing(row["reason"])
    best = next((r for r in tables["bestresponse"] if r["participant_id"] == name), None)
    if best is not None and best["progression_day"] not in ("n/a", ""):
        out["response"] = f"PD day {best['progression_day']}"
    elif best is not None:
        out["response"] = best["best_response"].replace("_", " ")
    return out


def _distributions(rows: Sequence[PatientRow], tables: Mapping[str, Rows], *, synthetic: bool) -> list[Figure]:
    figures = []
    patterns = [str(r.pattern) for r in rows if isinstance(r.pattern, str)]
    if patterns:
        counts = {p: patterns.count(p) for p in sorted(set(patterns))}
        figures.append(count_figure(counts, name="cohort_patterns", title="Verdict on the recurrence", synthetic=synthetic))
    values: dict[str, list[float]] = {}
    for row in tables["migration"]:
        distance = number(row.get("outward_p95_mm"))
        if row["transform"] != "band" and not np.isnan(distance):
            values.setdefault(f"{row['region'].replace('_', ' ')}, {row['transform']}", []).append(distance)
    if values:
        figures.append(
            distribution_figure(
                values,
                name="cohort_migration",
                title="Outward distance of the recurrence",
                quantity="outward p95",
                unit="mm",
                synthetic=synthetic,
            )
        )
    return figures


def _responses(tables: Mapping[str, Rows], *, synthetic: bool) -> list[Figure]:
    """Draw one lane per patient whose response was assessed; the lane ends where the observation did."""
    lanes: dict[str, list[Assessment]] = {}
    for row in tables["response"]:
        new = number(row["new_lesions"])
        state: Any = "" if row["confirmation"] == "n/a" else row["confirmation"]
        words = (row["label"], int(row["day"]), row["phase"], row["category"], row["exam_category"], state)
        found = Assessment(*words, new_lesions=None if np.isnan(new) else int(new))
        lanes.setdefault(row["participant_id"], []).append(found)
    if not lanes:
        return []
    clinical = {r["participant_id"]: (number(r.get("os_days")), r.get("os_event") == "1") for r in tables["participants"]}
    ends = {name: end for name, end in clinical.items() if not np.isnan(end[0])}
    return [swimmer_figure(lanes, ends=ends, synthetic=synthetic)]


def _mosaics(task: Task, patients: Sequence[Mapping[str, object]], *, synthetic: bool) -> tuple[Figure, ...]:
    tiles = []
    for patient in patients:
        label, scheme = str(patient["label"]), patient["scheme"]
        paths = [p for role in ("reference", "primary", "recurrence") if (p := task.given(f"{role} {label}"))]
        if scheme is None or len(paths) < 3:
            continue
        image, (primary, recurrence) = read_image(paths[0]), [read_labels(p, label_scheme(str(scheme))) for p in paths[1:]]
        for labels in (primary, recurrence):
            require_same_grid(
                labels.grid, image.grid, f"the segmentations and the baseline image of sub-{label}", tolerance_mm=0.1
            )
        region = main_region([r for r in REGIONS if primary.has(r)]) or "lesion"
        tiles.append(patient_tile(f"sub-{label}", image, primary.mask(region), recurrence.mask(region)))
    return mosaic_figures(tiles, synthetic=synthetic) if tiles else ()
