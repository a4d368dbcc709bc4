"""How the growth model did in the cohort, and its maps corrected by what came in the other patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from regrowth.clinical import Patient
from regrowth.growth.case_scores import CaseScore
from regrowth.growth.coverage import PlanComparison, compare_plans
from regrowth.growth.estimate import Estimate
from regrowth.growth.recalibration import (
    MapCalibration,
    MapHistogram,
    learn_map_calibration,
    level_edges,
    pooled_calibration,
)
from regrowth.growth.scorecard import ScoreCard, score_card
from regrowth.growth.spatial_case import baseline_names
from regrowth.io.nifti import read_image, write_image
from regrowth.io.tables import read_tsv, write_json, write_tsv
from regrowth.report.stored import section_values
from regrowth.space import Image, require_same_grid
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.pages.growth_space import space_sections
from regrowth.workflow.pages.values import number
from regrowth.workflow.steps import grow
from regrowth.workflow.study import Study

__all__ = ["LEAST_PATIENTS", "STEP"]

LEAST_PATIENTS = 3
"""Patients with a known outcome below which no map is corrected."""

_TABLES = ("growth", "growthscores", "growthmap")
_RAW, _CORRECTED = "as simulated", "corrected by other patients"


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job for the group; `patient` is not used."""
    optional, maps = {}, {}
    reasons = []
    for someone in study.cohort.patients:
        planned = grow.STEP.plan(study, someone)
        reasons += [i.reason for i in planned if isinstance(i, Skip)]
        if not any(isinstance(i, Job) for i in planned):
            continue
        for name in _TABLES:
            optional[f"{name} {someone.label}"] = study.patient_path(someone, name, ".tsv")
        optional[f"map {someone.label}"] = grow.map_path(study, someone)
        optional[f"brain {someone.label}"] = study.brain_mask(someone, someone.baseline)
        maps[someone.label] = str(grow.map_path(study, someone, "calibrated").relative_to(study.out_dir))
    if not optional:
        why = "; ".join(dict.fromkeys(reasons)) or "there are no patients"
        return [Skip("growth", "group", "", f"growth in space was fitted for no patient: {why}")]
    group = study.out_dir / "group"
    outputs = {name: group / f"{name}.tsv" for name in ("growth", "growthscores")}
    outputs |= {name: group / "growth" / f"{name}.tsv" for name in ("scorecard", "comparisons", "calibration", "plans")}
    outputs["sections"] = group / "sections" / "growth.json"
    options = study.parameters.as_dict()["growth"]
    settings = {
        "maps": maps,
        "growth": {name: options[name] for name in ("margin_mm", "seed")},
        "is_synthetic": any(s.is_synthetic for p in study.cohort.patients for s in p.sessions),
    }
    return [Job("growth", "group", "", {}, outputs, optional, settings)]


def _compute(task: Task) -> None:
    options = task.job.settings["growth"]
    rng = np.random.default_rng([int(options["seed"]), *b"growth"])
    rows, scores, levels = (_joined(task, name) for name in _TABLES)
    write_tsv(rows, task.outputs["growth"], None if rows else ["participant_id"])
    write_tsv(scores, task.outputs["growthscores"], grow.SCORE_COLUMNS)
    card = _card(scores, baseline_names(float(options["margin_mm"])), rng)
    write_tsv(card.summary_rows() if card else [], task.outputs["scorecard"], None if card else ["model", "measure"])
    write_tsv(card.comparison_rows() if card else [], task.outputs["comparisons"], None if card else ["model", "baseline"])
    comparison = _plans(rows, rng)
    write_tsv([_plain(comparison)] if comparison else [], task.outputs["plans"], None if comparison else ["verdict"])
    histograms, members = _histograms(levels)
    found, reason = _calibrations(list(task.job.settings["maps"]), histograms, members)
    if reason:
        task.log.warning("maps are not corrected: %s", reason)
    write_tsv(_calibration_rows(histograms, found), task.outputs["calibration"], _CALIBRATION_COLUMNS)
    _write_maps(task, found)
    known = list(histograms)
    reliability = {_RAW: pooled_calibration([histograms[k] for k in known])} if known else {}
    if found:
        reliability[_CORRECTED] = pooled_calibration([histograms[k] for k in known], [found[k] for k in known])
    sections = space_sections(
        rows, card, comparison, reliability, reason=reason, synthetic=bool(task.job.settings["is_synthetic"])
    )
    write_json({"sections": [section_values(s) for s in sections]}, task.outputs["sections"])


def _joined(task: Task, name: str) -> list[dict[str, str]]:
    """Rows of a table of all patients, in the order of their labels."""
    paths = [task.given(role) for role in sorted(task.job.optional) if role.split()[0] == name]
    return [row for path in paths if path is not None for row in read_tsv(path)]


def _card(rows: Sequence[Mapping[str, str]], baselines: Sequence[str], rng: np.random.Generator) -> ScoreCard | None:
    scores = [
        CaseScore(
            r["participant_id"],
            r["model"],
            r["measure"],
            number(r["value"]),
            r["stratum"],  # type: ignore[arg-type]
            r["reason"].replace("n/a", ""),
        )
        for r in rows
    ]
    models = {s.model for s in scores}
    return score_card(scores, [b for b in baselines if b in models], rng) if scores else None


def _plans(rows: Sequence[Mapping[str, str]], rng: np.random.Generator) -> PlanComparison | None:
    """Compare the plan by the map with the margin, over the patients with a later exam."""
    scored = [r for r in rows if r["target"] != "n/a"]
    ours, theirs = ([number(r[c]) for r in scored] for c in ("growth_coverage", "margin_coverage"))
    if not any(np.isfinite([a, b]).all() for a, b in zip(ours, theirs, strict=True)):
        return None
    return compare_plans(ours, theirs, rng, ("growth plan", "margin plan"))


def _plain(comparison: PlanComparison) -> dict[str, object]:
    """One flat row of a comparison; estimates become a value and an interval."""
    out: dict[str, object] = {}
    for name in asdict(comparison):
        value = getattr(comparison, name)
        if isinstance(value, Estimate):
            out |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        else:
            out[name] = value
    return out


def _histograms(rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, MapHistogram], int]:
    """Rebuild the levels of the map of every patient with a known outcome, by label; and how many simulations a map has."""
    by_patient: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_patient.setdefault(row["participant_id"].removeprefix("sub-"), []).append(row)
    out = {}
    members = 1
    for label, own in by_patient.items():
        members = int(own[0]["members"])
        edges = level_edges(members)
        counts, tumour = np.zeros(len(edges) - 1, int), np.zeros(len(edges) - 1, int)
        mean = np.full(len(edges) - 1, np.nan)
        for row in own:
            i = int(np.searchsorted(edges, (number(row["lower"]) + number(row["upper"])) / 2)) - 1
            counts[i], tumour[i], mean[i] = int(row["n_voxels"]), int(row["n_tumour"]), number(row["mean_probability"])
        out[label] = MapHistogram(edges, counts, tumour, mean)
    return out, members


def _calibrations(
    labels: Sequence[str], histograms: Mapping[str, MapHistogram], members: int
) -> tuple[dict[str, MapCalibration], str]:
    """Learn for every patient from all others whose outcome is known; nothing and a reason where these are too few."""
    if len(histograms) < LEAST_PATIENTS:
        n = len(histograms)
        return {}, f"{n} patient(s) have a map and a later exam, and at least {LEAST_PATIENTS} are needed"
    return {
        label: learn_map_calibration([h for other, h in histograms.items() if other != label], members) for label in labels
    }, ""


_CALIBRATION_COLUMNS = (
    *("participant_id", "n_patients", "slope", "intercept", "n_voxels", "n_tumour"),
    *("error_before", "error_after", "brier_before", "brier_after"),
)


def _calibration_rows(histograms: Mapping[str, MapHistogram], found: Mapping[str, MapCalibration]) -> list[dict[str, object]]:
    """One row per patient with a map: the correction, and how far the map was off before and after."""
    rows = []
    for label in sorted({*histograms, *found}):
        own, how = histograms.get(label), found.get(label)
        row: dict[str, object] = {"participant_id": f"sub-{label}"}
        if how:
            row |= {"n_patients": how.n_patients, "slope": how.slope, "intercept": how.intercept}
        if own:
            row |= {"n_voxels": int(own.n_voxels.sum()), "n_tumour": int(own.n_tumour.sum())}
            row |= {"error_before": own.calibration_error(), "brier_before": own.brier()}
        if own and how:
            row |= {"error_after": own.calibration_error(how), "brier_after": own.brier(how)}
        rows.append(row)
    return rows


def _write_maps(task: Task, found: Mapping[str, MapCalibration]) -> None:
    """Write the corrected map of every patient, inside of the brain."""
    out_dir = task.job.outputs["growth"].parent.parent
    for label, calibration in found.items():
        raw, brain = task.given(f"map {label}"), task.given(f"brain {label}")
        if raw is None:
            continue
        image = read_image(raw)
        inside = np.asarray(image.data) > 0
        if brain is not None:
            mask = read_image(brain)
            require_same_grid(mask.grid, image.grid, f"{brain.name} and the map")
            inside |= mask.data > 0.5
        p = calibration.apply(np.clip(np.asarray(image.data, np.float32), 0, 1))
        path = out_dir / task.job.settings["maps"][label]
        write_image(Image(np.where(inside, p, np.float32(0)), image.grid, "1"), task.extra(path), np.float32)
        task.describe(
            str(path),
            Values="probability of tumour, corrected by what came in other patients",
            Slope=calibration.slope,
            Intercept=calibration.intercept,
            Patients=calibration.n_patients,
            Raw=raw.name,
            Synthetic=bool(task.job.settings["is_synthetic"]),
        )


STEP = Step("growth", 1, "score growth in space over the cohort and correct its maps", _plan, _compute)
