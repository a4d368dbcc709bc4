"""What the pages say about growth in time: the forecast of one patient, and those of a cohort with what they are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from regrowth.growth.cohort_model import BASELINES
from regrowth.growth.cohort_results import CHOSEN, CohortForecast, PatientForecast
from regrowth.growth.scorecard import ScoreCard
from regrowth.growth.series import Forecast
from regrowth.report import Column, Missing, Section, Table, Value
from regrowth.report.figures.forecast import ForecastPanel, cohort_forecast_figure, forecast_figure
from regrowth.report.figures.scorecard import score_figure

__all__ = ["forecast_section", "forecast_sections"]

TITLE, ANCHOR = "Growth over time", "forecast"
_MEASURES = ("log_error", "relative_error", "crps_ml", "interval_hit")
_SPELT = {"persistence": "persistence (the last volume stays)", "common_growth": "one growth rate for all patients"}
_SPELT |= {"log_linear": "the line through the last two volumes"}
_SHORT = {"log_error": "log error", "crps_ml": "CRPS (ml)"}
_ML = "median, with the ends of the calibrated interval where there is one"


def forecast_section(patient: PatientForecast, *, region: str = "", synthetic: bool = False, nominal: bool = False) -> Section:
    """Draw and tabulate the forecast of one patient.

    Parameters
    ----------
    patient
        The forecast; one without values gives a section that says why.
    region
        What was measured.
    synthetic
        Whether the exams are made up.
    nominal
        Whether the spacing of an exam is nominal.
    """
    series = patient.series
    if series is None or not patient.forecasts:
        return Section(TITLE, ANCHOR, "\n\n".join(_sentences(patient.notes)), skipped=patient.reason or "there is no forecast")
    fit = patient.fit
    fitted = None
    if fit is not None:
        days = np.linspace(series.days[0], series.last_day, 80) if len(series) > 1 else series.days
        fitted = (days, fit.curve_ml(days))
    words = f"{patient.coverage:.0%} interval, calibrated on {patient.n_calibration} others" if patient.n_calibration else ""
    figure = forecast_figure(
        series,
        patient.forecasts,
        name="forecast",
        title=f"Forecast by {_named(patient.chosen)}",
        region=region,
        events=patient.record.events,
        fitted=fitted,
        threshold_ml=patient.threshold.threshold_ml,
        band_label=words,
        synthetic=synthetic,
    )
    text = [_what_is_said(patient, region), *_progression(patient), *_back_test(patient)]
    notes = [*patient.notes, *(["the spacing of an exam is nominal, and so are all volumes"] if nominal else [])]
    return Section(TITLE, ANCHOR, "\n\n".join([*text, *_sentences(notes)]), (figure,), _patient_tables(patient))


def forecast_sections(cohort: CohortForecast, *, synthetic: bool = False, region: str = "") -> tuple[Section, ...]:
    """Show the forecasts of a cohort and the back-tests that they stand on.

    Parameters
    ----------
    cohort
        What `forecast_cohort` gave.
    synthetic, region
        As in `forecast_section`.
    """
    told = [p for p in cohort.patients if p.forecasts]
    absent = [p for p in cohort.patients if not p.forecasts]
    if not told:
        reasons = list(dict.fromkeys(p.reason for p in absent if p.reason))
        return (Section(TITLE, ANCHOR, skipped="; ".join(reasons[:3]) or "there is no patient"),)
    panels = [
        ForecastPanel(p.label, p.series, p.forecasts[0], None, "no interval" if not p.n_calibration else "")
        for p in told
        if p.series is not None
    ]
    figures = [cohort_forecast_figure(panels, name="forecasts", title="Forecasts of all patients", synthetic=synthetic)]
    text = [_cohort_words(cohort, len(told), region), *_sentences(cohort.notes)]
    text += [f"No forecast for sub-{p.label}: {p.reason}." for p in absent[:10]]
    if len(absent) > 10:
        text.append(f"{len(absent) - 10} further patients without a forecast are named in group/forecast.tsv.")
    tables = [_cohort_table(told)]
    if cohort.card is not None:
        measures = [m for m in _MEASURES if any(s.measure == m and s.n for s in cohort.card.summaries)]
        title = "Back-test: the last scan, foretold from the earlier"
        figures.append(score_figure(cohort.card, measures=measures, name="forecast_scores", title=title, synthetic=synthetic))
        tables += [_candidate_table(cohort), _comparison_table(cohort.card)]
    return (Section(TITLE, ANCHOR, "\n\n".join(text), tuple(figures), tuple(t for t in tables if t.rows)),)


def _named(forecaster: str) -> str:
    return _SPELT.get(forecaster, forecaster.replace("_", " "))


def _what_is_said(p: PatientForecast, region: str) -> str:
    assert p.series is not None
    first = p.forecasts[0]
    ahead = first.days[-1] - p.series.last_day
    words = (
        f"Volume{f' of {region}' if region else ''} up to {ahead:.0f} days beyond the last exam, from {len(p.series)} exam(s). "
    )
    if p.is_baseline:
        words += f"No growth model is used here: {p.choice_reason}. So the forecast is {_named(p.chosen)}."
    else:
        words += f"Growth law and way of joining the last exam: {p.chosen}, because {p.choice_reason}."
    if not p.n_calibration:
        return f"{words} There is no interval: too few other patients could be foretold to calibrate one."
    return (
        f"{words} The interval promises to hold the volume of {100 * p.coverage:g} % of patients like the "
        f"{p.n_calibration} that it was calibrated on; further treatment that is not recorded is not foreseen."
    )


def _progression(p: PatientForecast) -> list[str]:
    assert p.series is not None
    t = p.threshold
    if t.status != "ok":
        return [f"Progression: {t.reason}."] if t.reason else []
    days = p.forecasts[0].days[-1] - p.series.last_day
    bound = f"{t.reason} " if t.reason else ""
    does = f"passes it after {t.median_days:.0f} days" if math.isfinite(t.median_days) else "does not pass it by then"
    ends = ""
    if math.isfinite(t.lower_days):
        high = f" to {t.upper_days:.0f} days" if math.isfinite(t.upper_days) else " days on"
        ends = f"; the interval allows it from {t.lower_days:.0f}{high}"
    return [
        f"The volume that counts as progression is {t.threshold_ml:.3g} ml. It is exceeded {days:.0f} days after the last exam "
        f"with a probability of {bound}{t.probability:.2f}; the median {does}{ends}."
    ]


def _back_test(p: PatientForecast) -> list[str]:
    if p.backtest is None or p.observed is None:
        return ["There is no back-test: it needs two exams after surgery that show a tumour."]
    day, seen = p.observed
    middle = float(p.backtest.median[0])
    if p.backtest.quantile_levels.size == 1:
        return [f"Back-test: from the earlier exams the last one (day {day:g}, {seen:.3g} ml) was foretold as {middle:.3g} ml."]
    low, high = (float(p.backtest.volumes_ml[k, 0]) for k in (0, -1))
    held = "inside of" if low <= seen <= high else "outside of"
    return [
        f"Back-test: from the earlier exams the last one (day {day:g}, {seen:.3g} ml) was foretold as {middle:.3g} ml, {held} "
        f"the interval from {low:.3g} to {high:.3g} ml."
    ]


def _patient_tables(p: PatientForecast) -> tuple[Table, ...]:
    assert p.series is not None
    rows = []
    for forecast in p.forecasts:
        for i in _shown_days(forecast):
            role = "chosen" if forecast is p.forecasts[0] else "baseline"
            ahead = round(float(forecast.days[i]) - p.series.last_day)
            rows.append((_named(forecast.model), role, ahead, *_cells(forecast, i)))
    columns: tuple[Column | str, ...] = (
        *("forecaster", "role", Column("days ahead", "days")),
        *(Column(n, "ml", d) for n, d in (("median", _ML), ("lower", _ML), ("upper", _ML))),
    )
    out = [Table("Forecast", columns, tuple(rows), "Every baseline beside what is used for this patient.")]
    fitted = [
        (law, fit.status if fit.status == "ok" else Missing(fit.reason), name, value, float(spread))
        for law, fit in p.fits.items()
        if fit.status == "ok"
        for (name, value), spread in zip(fit.parameters.items(), np.sqrt(np.diag(fit.covariance_log)), strict=True)
    ]
    caption = (
        "Most probable values, with the standard deviation of their logarithm in the fit: how far the volumes tell them, given "
        "the other patients. Kill per Gy or by a drug without such treatment is what the other patients say."
    )
    if fitted:
        names = ("growth law", "status", "parameter", Column("value", digits=4), Column("spread (log)", digits=2))
        out.append(Table("Fitted parameters", names, tuple(fitted), caption))
    return tuple(out)


def _shown_days(forecast: Forecast) -> list[int]:
    """Choose a third, two thirds and all of the way."""
    n = forecast.days.size
    return sorted({max(n // 3 - 1, 0), max(2 * n // 3 - 1, 0), n - 1})


def _cells(forecast: Forecast, i: int) -> tuple[Value, Value, Value]:
    if forecast.status != "ok":
        gone = Missing(forecast.reason)
        return gone, gone, gone
    middle = float(forecast.median[i])
    if forecast.quantile_levels.size == 1:
        none = Missing("not calibrated")
        return middle, none, none
    return middle, float(forecast.volumes_ml[0, i]), float(forecast.volumes_ml[-1, i])


def _cohort_words(cohort: CohortForecast, n_told: int, region: str) -> str:
    words = f"Volumes{f' of {region}' if region else ''} of {n_told} of {len(cohort.patients)} patients are forecast. "
    if cohort.is_external:
        return words + f"Priors, choice and intervals were learned in another cohort; it uses {_named(cohort.chosen)}."
    if cohort.baseline_wins:
        return (
            words + f"A baseline wins: {_named(cohort.chosen)} is used, and no growth model, since none is shown to be better."
        )
    return (
        words
        + f"{cohort.chosen[0].upper()}{cohort.chosen[1:]} is used: it foretold known last scans better than the baselines."
    )


def _cohort_table(told: Sequence[PatientForecast]) -> Table:
    rows = []
    for p in told:
        assert p.series is not None
        t = p.threshold
        chance: Value = Missing(t.reason)
        if t.status in ("ok", "passed"):
            chance = f"{t.reason} {t.probability:.2f}" if t.status == "ok" and t.reason else t.probability
        rows.append((p.label, _named(p.chosen), len(p.series), p.series.last_volume_ml, *_cells(p.forecasts[0], -1), chance))
    columns: tuple[Column | str, ...] = (
        *("patient", "forecaster", "exams", Column("last volume", "ml")),
        *(Column(n, "ml", _ML) for n in ("forecast", "lower", "upper")),
        Column("P(progression)", definition="probability to exceed the least volume by the share that counts as progression"),
    )
    return Table("Forecasts at the horizon", columns, tuple(rows))


def _candidate_table(cohort: CohortForecast) -> Table:
    rows = tuple(
        (
            str(r["forecaster"]),
            "baseline" if r["forecaster"] in BASELINES else "model",
            float(str(r["mean_log_crps"])),
            int(str(r["n"])),
        )
        for r in cohort.choice_rows()
    )
    caption = (
        "Score of the last scans as they would have been foretold with calibrated intervals: continuous ranked probability "
        "score of the log volume, lower is better. The simplest within one standard error of the best is used."
    )
    return Table("What was tried", ("forecaster", "kind", Column("mean score", digits=3), "n"), rows, caption)


def _comparison_table(card: ScoreCard) -> Table:
    rows = []
    for c in card.comparisons:
        if c.model == CHOSEN and c.measure in _SHORT:
            d, against = c.difference, c.baseline.replace("_", " ")
            numbers = (d.n, d.value, d.low, d.high, c.n_better, c.n_worse)
            rows.append((_SHORT[c.measure], against, c.stratum, *numbers, c.outcome))
    values = (Column(x, digits=3) for x in ("difference", "lower", "upper"))
    names: tuple[Column | str, ...] = ("measure", "against", "stratum", "n", *values)
    caption = (
        "Chosen forecaster minus baseline over the same patients; below 0 is better. Intervals: bootstrap over patients, 95 %."
    )
    return Table("Against the baselines", (*names, "better", "worse", "outcome"), tuple(rows), caption)


def _sentences(notes: Sequence[str]) -> list[str]:
    return [f"{n[0].upper()}{n[1:].rstrip('.')}." for n in dict.fromkeys(notes) if n]
