"""What pages say of growth in space: of one patient, and of the cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regrowth.growth.case_scores import MEASURES, CaseScore
from regrowth.growth.coverage import PlanComparison
from regrowth.growth.estimate import LEAST_PAIRS
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.scorecard import ScoreCard
from regrowth.growth.scores import Calibration
from regrowth.growth.spatial_case import GROWTH_MODEL, SpatialCase, SpatialForecast, baseline_names
from regrowth.report import Column, Figure, Missing, Section, Table, Value
from regrowth.report.figures.growth import calibration_figure, coverage_figure, growth_map_figure, plan_figure
from regrowth.report.figures.scorecard import score_figure
from regrowth.space import Image

__all__ = ["space_section", "space_sections"]

_TITLE, _ANCHOR = "Growth in space", "growth"
_ONE = "One patient shows what a model does, not whether it is any good: see the page of the cohort."
_MAP = (
    "The map is the share of simulated tumours that reach a voxel. Whether 60 % means six in ten is known only where it was "
    "compared with other patients."
)


def space_section(
    case: SpatialCase,
    found: SpatialForecast,
    reference: Image,
    parameters: GrowthParameters,
    *,
    target: str = "",
    notes: Sequence[str] = (),
    synthetic: bool = False,
) -> Section:
    """Show what was foretold of one patient, beside the baselines and what came.

    Parameters
    ----------
    case, found
        The patient and what `forecast_in_space` gave.
    reference
        Image of the exam, on the grid of the case.
    parameters
        Choices.
    target
        Name of the exam that shows what came; empty without one.
    notes
        What is assumed or left out, in sentences.
    synthetic
        Whether images are made up.

    Returns
    -------
    Section
        Anchor ``growth``.
    """
    last = case.observations[-1]
    tumour = np.asarray(last.core, bool) if np.any(last.core) else last.whole
    figures: list[Figure] = []
    if found.probability is not None:
        figures.append(
            growth_map_figure(
                reference,
                found.probability.probability,
                tumour,
                name="growth-map",
                title=f"Probability of tumour on day {case.day:g}",
                recurrence=case.recurrence,
                origin_mm=found.inverse.origin_mm,
                synthetic=synthetic,
            )
        )
    if np.isfinite(found.standard.volume_ml):
        title = "Plan by margin and plan by the map"
        drawn = (reference, tumour, found.standard, found.model)
        figures.append(plan_figure(*drawn, name="growth-plans", title=title, recurrence=case.recurrence, synthetic=synthetic))
    figures += _coverage(found, synthetic)
    tables = [_fit_table(found), *([_score_table(found.scores, parameters)] if found.scores else [])]
    text = "\n\n".join(t for t in (_words(case, found, parameters, target), _sentences(notes)) if t)
    return Section(_TITLE, _ANCHOR, text, tuple(figures), tuple(tables))


def _coverage(found: SpatialForecast, synthetic: bool) -> list[Figure]:
    if not any(c.status == "ok" and c.volumes_ml.size for c in found.curves.values()):
        return []
    covered = {s.model: s.value for s in found.scores if s.measure == "coverage"}
    marks = {
        plan.name: (plan.volume_ml, covered.get(model, np.nan))
        for plan, model in ((found.standard, found.standard.name), (found.model, GROWTH_MODEL))
    }
    title = "Recurrence covered by the volume treated"
    return [coverage_figure(found.curves, name="growth-coverage", title=title, marks=marks, synthetic=synthetic)]


def _words(case: SpatialCase, found: SpatialForecast, parameters: GrowthParameters, target: str) -> str:
    what = "core" if parameters.region == "core" else "whole lesion"
    said = [
        "A tumour that spreads by the Fisher-KPP equation on the patient's own white and grey matter was fitted to the "
        f"segmentation of the first exam, and grown on to day {case.day:g}; foretold is the {what}"
        f"{f', compared with {target}' if target else ''}."
    ]
    if found.probability is None:
        said.append(f"Nothing could be fitted: {found.reason}.")
    else:
        said.append(_MAP)
        said += [f"To be looked at with care: {found.reason}."] if found.reason else []
    if not target:
        return " ".join([*said, "No later exam shows what came, so that nothing is scored."])
    return "\n\n".join([" ".join(said), " ".join([*_verdicts(found.scores), _ONE])])


def _verdicts(scores: Sequence[CaseScore]) -> list[str]:
    """Say for the three main measures who was best, whoever it is."""
    out = []
    for measure in ("dice", "brier", "coverage"):
        rule = MEASURES[measure]
        values = {s.model: s.value for s in scores if s.measure == measure and np.isfinite(s.value)}
        ours = values.pop(GROWTH_MODEL, np.nan)
        if not values or not np.isfinite(ours):
            reason = next((s.reason for s in scores if s.measure == measure and s.reason), "no value")
            out.append(f"{rule.label}: not compared ({reason}).")
            continue
        best = (max if rule.higher_is_better else min)(values, key=lambda name: values[name])
        theirs = values[best]
        ahead = "equals" if ours == theirs else ("beats" if (ours > theirs) == rule.higher_is_better else "loses to")
        out.append(f"{rule.label}: the growth model ({ours:.3g}) {ahead} the best baseline, {best} ({theirs:.3g}).")
    return out


def _sentences(notes: Sequence[str]) -> str:
    return " ".join(f"{n[:1].upper()}{n[1:].rstrip('.')}." for n in notes)


def _fit_table(found: SpatialForecast) -> Table:
    inverse, samples = found.inverse, found.inverse.samples
    why = inverse.reason or "not fitted"

    def cell(number: float) -> Value:
        return float(number) if np.isfinite(number) else Missing(why)

    rows: list[tuple[Value, ...]] = []
    front = float(np.sqrt(inverse.diffusivity_mm2_per_day / inverse.proliferation_per_day)) if samples else np.nan
    draws: dict[str, tuple[str, float, np.ndarray | None]] = {
        "front speed": ("mm/day", inverse.front_speed_mm_per_day, samples.front_speed_mm_per_day if samples else None),
        "front length": ("mm", front, samples.front_length_mm if samples else None),
        "diffusivity in white matter": (
            "mm²/day",
            inverse.diffusivity_mm2_per_day,
            samples.diffusivity_mm2_per_day if samples else None,
        ),
        "proliferation": ("1/day", inverse.proliferation_per_day, samples.proliferation_per_day if samples else None),
        "age at the first exam": ("days", inverse.age_days, samples.age_days if samples else None),
    }
    for name, (unit, best, values) in draws.items():
        low, high = samples.interval(values) if samples is not None and values is not None else (np.nan, np.nan)
        rows.append((name, unit, cell(best), cell(low), cell(high)))
    origin = ", ".join(f"{v:.0f}" for v in inverse.origin_mm) if samples else Missing(why)
    rows.append(("origin (right, front, up)", "mm", origin, None, None))
    rows.append(("misfit of the borders", "mm", cell(inverse.misfit_mm), None, None))
    columns = (
        Column("quantity"),
        Column("unit"),
        Column("best fit", "", "", 3),
        Column("draws, 5 %", "", "of the posterior", 3),
        Column("draws, 95 %", "", "of the posterior", 3),
    )
    note = "Draws show what the model and its priors leave open. They are no intervals calibrated on patients."
    return Table("Where growth may have begun, and how fast it is", columns, tuple(rows), notes=(note,))


def _score_table(scores: Sequence[CaseScore], parameters: GrowthParameters) -> Table:
    measures = list(dict.fromkeys(s.measure for s in scores))
    by_name = {(s.model, s.measure): s for s in scores}
    rows: list[tuple[Value, ...]] = []
    baselines = baseline_names(parameters.margin_mm)
    for model in (GROWTH_MODEL, *baselines):
        cells: list[Value] = [f"{model} (baseline)" if model in baselines else model]
        for measure in measures:
            score = by_name.get((model, measure))
            if score is None:
                cells.append(None)
            else:
                cells.append(score.value if np.isfinite(score.value) else Missing(score.reason or "no value"))
        rows.append(tuple(cells))
    columns = [Column("model")]
    for measure in measures:
        better = "higher" if MEASURES[measure].higher_is_better else "lower"
        columns.append(Column(MEASURES[measure].label, "", f"{better} is better", 3))
    return Table("The model beside its baselines", tuple(columns), tuple(rows))


def space_sections(
    rows: Sequence[Mapping[str, str]],
    card: ScoreCard | None,
    comparison: PlanComparison | None,
    calibrations: Mapping[str, Calibration],
    *,
    reason: str = "",
    synthetic: bool = False,
) -> list[Section]:
    """Show how the growth model did in the cohort.

    Parameters
    ----------
    rows
        Rows of ``growth.tsv``, one per patient.
    card
        Score card; None when no patient was scored.
    comparison
        The plan by the map against the margin; None when no patient has both.
    calibrations
        Name of the maps (raw, corrected) to their reliability over all patients.
    reason
        Why maps were not corrected; empty when they were.
    synthetic
        Whether images are made up.

    Returns
    -------
    list of Section
        One section, anchor ``growth``.
    """
    if not rows:
        return [Section(_TITLE, _ANCHOR, skipped="growth in space was fitted for no patient")]
    fitted = [r for r in rows if r["status"] != "not_fitted"]
    scored = [r for r in rows if r["target"] != "n/a"]
    said = [f"{len(fitted)} of {len(rows)} patients could be fitted, {len(scored)} have a later exam that shows what came."]
    empty = sum(r["observed_ml"] in ("0", "n/a") for r in scored)
    said += [f"In {empty} of these nothing was seen then: coverage has no value."] if empty else []
    figures: list[Figure] = []
    tables: list[Table] = []
    paragraphs = [" ".join(said)]
    if card is not None:
        measures = [m for m in ("dice", "brier", "coverage", "volume_for_95_ml") if any(s.measure == m for s in card.summaries)]
        title = "The growth model beside its baselines"
        figures.append(score_figure(card, measures=measures, name="growth-scores", title=title, synthetic=synthetic))
        paragraphs.append(_cohort_verdicts(card))
        tables.append(_comparison_table(card))
    if comparison is not None and comparison.n >= LEAST_PAIRS:
        paragraphs.append(_sentences([comparison.verdict]))
    shown = {n: c for n, c in calibrations.items() if c.n}
    if shown:
        title = "Does tumour come as often as the maps say"
        figures.append(calibration_figure(shown, name="growth-calibration", title=title, synthetic=synthetic))
    if reason:
        paragraphs.append(f"Maps were not corrected: {reason}.")
    elif len(shown) > 1:
        errors = [f"{n} {c.error:.3g}" for n, c in shown.items()]
        paragraphs.append(
            "Every map was corrected by what came in the other patients, never by its own. Calibration error: "
            f"{', '.join(errors)}."
        )
    return [Section(_TITLE, _ANCHOR, "\n\n".join(paragraphs), tuple(figures), tuple(tables))]


def _cohort_verdicts(card: ScoreCard) -> str:
    """Say who won, over all patients; once for all where they are too few."""
    ours = [
        c
        for c in card.comparisons
        if c.model == GROWTH_MODEL and c.stratum == "all" and c.measure in ("dice", "brier", "coverage")
    ]
    most = max((c.difference.n for c in ours), default=0)
    if most < LEAST_PAIRS:
        return (
            f"{most} patient(s) with values are too few to say whether the growth model is better or worse than its baselines: "
            f"at least {LEAST_PAIRS} are needed. The table shows the differences as they are."
        )
    return _sentences([c.verdict for c in ours])


def _comparison_table(card: ScoreCard) -> Table:
    columns = (
        Column("measure"),
        Column("against"),
        Column("patients"),
        Column("difference", "", "growth model minus baseline", 3),
        Column("from", "", "95 % bootstrap interval over patients", 3),
        Column("to", "", "95 % bootstrap interval over patients", 3),
        Column("better"),
        Column("worse"),
        Column("tied"),
    )
    rows: list[tuple[Value, ...]] = []
    for c in card.comparisons:
        if c.model == GROWTH_MODEL and c.stratum == "all":
            d = c.difference
            cells = [v if np.isfinite(v) else Missing(d.reason or "too few patients") for v in (d.value, d.low, d.high)]
            rows.append((MEASURES[c.measure].label, c.baseline, d.n, *cells, c.n_better, c.n_worse, c.n_tied))
    return Table("Growth model against each baseline", columns, tuple(rows))
