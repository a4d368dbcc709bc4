"""What a forecast of a cohort holds, patient by patient, and the rows that tables are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from regrowth.growth.backtest import Bands, Choice
from regrowth.growth.case_scores import CaseScore
from regrowth.growth.cohort_model import BASELINES, CohortModel
from regrowth.growth.fit import GrowthFit
from regrowth.growth.forecast import ThresholdTime
from regrowth.growth.record import TreatmentRecord
from regrowth.growth.scorecard import ScoreCard
from regrowth.growth.series import Forecast, VolumeSeries

__all__ = ["CHOSEN", "COLUMNS", "CohortForecast", "PatientForecast", "progression_time"]

CHOSEN = "chosen forecaster"
"""Name under which that is scored which other patients had chosen for a patient."""

_ABOUT = {
    "participant_id": "name of the participant",
    "status": "ok, or why there is no value",
    "model": "forecaster or growth law",
    "role": "chosen: what is used for this patient; baseline: what it is compared with",
    "forecaster": "forecaster that the other patients chose",
    "day": "day of the forecast, on the day count of the exams; days",
    "days_ahead": "days beyond the last exam; days",
    "median_ml": "median of the forecast volume; ml",
    "lower_ml": "lower end of the interval that was calibrated on other patients; n/a where none could be; ml",
    "upper_ml": "upper end of the interval that was calibrated on other patients; n/a where none could be; ml",
    "coverage": "share of such intervals that hold the volume, as promised; 1",
    "n_calibration": "other patients that the interval was calibrated on",
    "reason": "why a value is missing or should be read with care",
    "n_scans": "exams that the forecast stands on",
    "last_day": "day of the last of them; days",
    "last_ml": "volume at the last of them; ml",
    "horizon_day": "last day of the forecast, which median_ml, lower_ml and upper_ml are of; days",
    "progression_ml": "volume that counts as progression; ml",
    "progression_probability": "probability to exceed it by horizon_day, from calibrated quantiles; 1",
    "progression_bound": "at least or at most, where the probability lies beyond the outermost quantile",
    "progression_median_days": "days from the last exam until the median exceeds it; n/a: not by horizon_day; days",
    "progression_earliest_days": "days from the last exam until the upper end exceeds it; n/a: not by horizon_day; days",
    "progression_latest_days": "days from the last exam until the lower end exceeds it; n/a: not by horizon_day; days",
    "progression_status": "ok, passed (above it at the last exam), no_threshold, not_calibrated or no_forecast",
    "backtest_day": "day of the last exam, which was foretold from the earlier ones; days",
    "backtest_observed_ml": "volume at the last exam; ml",
    "backtest_median_ml": "median foretold for it; ml",
    "backtest_lower_ml": "lower end of the calibrated interval foretold for it; ml",
    "backtest_upper_ml": "upper end of the calibrated interval foretold for it; ml",
    "notes": "what was left out or assumed",
    "parameter": "parameter, with its unit in the name",
    "value": "most probable value (parameters) or score (scores)",
    "posterior_sd_log": "standard deviation of the logarithm in the fit (Laplace); a spread of the model and no interval",
    "cohort_median": "median of the prior that the other patients taught",
    "noise_sd_log": "scale of log(measured / model) that the other patients taught",
    "n_prior_patients": "patients whom the prior was learned from",
    "measure": "what is measured",
    "stratum": "what the lesion did: growing, stable, shrinking",
    "mean_log_crps": "mean continuous ranked probability score of the calibrated log volume over patients; lower is better",
    "n": "patients",
    "chosen": "whether it is the forecaster to use",
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    name: dict(zip(("Description", "Units"), text.rsplit("; ", 1), strict=False))
    if text.rsplit("; ", 1)[-1] in ("ml", "days", "1")
    else {"Description": text}
    for name, text in _ABOUT.items()
}
"""Column of the tables to its description and unit, as a sidecar gives them."""

_NAN = float("nan")
_NO_TIME = ThresholdTime(_NAN, _NAN, _NAN, _NAN, _NAN, "no_forecast", "there is no forecast")


@dataclass(frozen=True, eq=False)
class PatientForecast:
    """The forecast of one patient.

    Parameters
    ----------
    label
        The patient.
    status, reason
        ``ok``, or why there is no forecast: ``no_scan``, ``invalid_series``, ``no_tumour``.
    series
        The scans that the forecast stands on; None where there are none.
    record
        Treatment of the patient.
    chosen, choice_reason
        Name of the forecaster that other patients had chosen, and why; ``forecasts[0]`` is its.
    fit
        Fit of the law of the chosen forecaster (of the first law if that is a baseline); None if it failed.
    fits
        Growth law to fit, failed ones too.
    forecasts
        Chosen first, then the baselines. A forecast with more than the level 0.5 has calibrated intervals, the widest at its
        outermost levels; nothing else may be shown as one.
    backtest, observed
        The chosen forecaster's forecast of the last scan from the earlier ones, with its interval, and day and volume (ml) of
        that scan; None with fewer than two usable scans.
    threshold
        When the volume passes the threshold of progression; NaN with a reason without calibrated interval.
    coverage, n_calibration
        Promised coverage of the interval (NaN: there is none) and how many other patients it was calibrated on.
    notes
        What was left out or assumed, in sentences.
    """

    label: str
    status: str
    reason: str
    series: VolumeSeries | None
    record: TreatmentRecord
    chosen: str
    choice_reason: str
    fit: GrowthFit | None = None
    fits: Mapping[str, GrowthFit] = field(default_factory=dict)
    forecasts: tuple[Forecast, ...] = ()
    backtest: Forecast | None = None
    observed: tuple[float, float] | None = None
    threshold: ThresholdTime = _NO_TIME
    coverage: float = _NAN
    n_calibration: int = 0
    notes: tuple[str, ...] = ()

    @property
    def is_baseline(self) -> bool:
        """Whether the chosen forecaster is a baseline and no growth model."""
        return self.chosen in BASELINES


@dataclass(frozen=True, eq=False)
class CohortForecast:
    """The forecasts of all patients, and what they are worth.

    Parameters
    ----------
    patients
        In the order that they were given.
    scores, card
        Scores of the back-tests, and the card that compares them with the baselines; none without a back-test. The models are
        the baselines, each growth law (in the way of joining the last scan that served the other patients best) and `CHOSEN`.
    choice
        The forecaster that all patients together choose; single patients are told by what the others choose.
    bands
        Name of a forecaster to the bands that all patients calibrate.
    model
        What was learned from all, for another cohort (or the external model that was used); None without a back-test.
    notes
        What the cohort allowed, in sentences.
    is_external
        Whether priors, choice and intervals come from another cohort.
    """

    patients: tuple[PatientForecast, ...]
    scores: tuple[CaseScore, ...]
    card: ScoreCard | None
    choice: Choice
    bands: Mapping[str, Bands]
    model: CohortModel | None
    notes: tuple[str, ...]
    is_external: bool = False

    @property
    def chosen(self) -> str:
        """Name of the forecaster that all patients together choose."""
        return self.choice.name

    @property
    def baseline_wins(self) -> bool:
        """Whether no growth model is used because a baseline is as good."""
        return self.chosen in BASELINES

    def forecast_rows(self) -> list[dict[str, object]]:
        """Rows of a table: one per patient, forecaster and day; one with the reason where there is no forecast."""
        return [row for p in self.patients for row in _forecast_rows(p)]

    def patient_rows(self) -> list[dict[str, object]]:
        """Rows of a table: one per patient, with the forecast at the horizon, the time to progression and the back-test."""
        return [_patient_row(p) for p in self.patients]

    def parameter_rows(self) -> list[dict[str, object]]:
        """Rows of a table: one per patient, growth law and parameter; the spread is that of the fit and no interval."""
        return [row for p in self.patients for row in _parameter_rows(p)]

    def score_rows(self) -> list[dict[str, object]]:
        """Rows of a table: one per patient, model and measure of the back-tests."""
        return [
            {"participant_id": f"sub-{s.patient}", "model": s.model, "measure": s.measure, "stratum": s.stratum}
            | {"value": s.value, "reason": s.reason or None}
            for s in self.scores
        ]

    def choice_rows(self) -> list[dict[str, object]]:
        """Rows of a table: one per candidate with the mean score that the choice stands on, in the order of simplicity."""
        n = self.choice.n_patients
        return [
            {"forecaster": name, "mean_log_crps": mean, "n": n, "chosen": name == self.chosen}
            for name, mean in self.choice.mean_scores.items()
        ]


def progression_time(forecast: Forecast, threshold_ml: float, series: VolumeSeries, is_calibrated: bool) -> ThresholdTime:
    """Read from calibrated quantiles when a threshold is passed, and how probable that is by the last day.

    The median is the first day on which the median volume is above, the ends those on which the ends of the interval are:
    of each day by itself, since quantiles know no single courses. A probability beyond the outermost levels is "at least" or
    "at most" that of the level.

    Parameters
    ----------
    forecast
        Calibrated forecast from the last scan on.
    threshold_ml
        Volume, ml.
    series
        Scans up to the last.
    is_calibrated
        Whether the forecast has intervals that other patients calibrated; without, all is NaN.
    """
    if not threshold_ml > 0:
        reason = "the least volume is 0, so that a percentage above it is no threshold"
        return ThresholdTime(threshold_ml, _NAN, _NAN, _NAN, _NAN, "no_threshold", reason)
    if series.last_volume_ml > threshold_ml:
        return ThresholdTime(threshold_ml, 1.0, 0.0, 0.0, 0.0, "passed", "the last scan is above the threshold already")
    if not is_calibrated or forecast.status != "ok":
        reason = "no interval is calibrated, so that no probability is given"
        return ThresholdTime(threshold_ml, _NAN, _NAN, _NAN, _NAN, "not_calibrated", reason)
    rows = (forecast.volumes_ml[-1], forecast.median, forecast.volumes_ml[0])
    earliest, median, latest = (_crossing_days(series, forecast.days, v, threshold_ml) for v in rows)
    probability = float(forecast.exceedance(threshold_ml)[-1])
    outer = forecast.quantile_levels[[0, -1]]
    reason = "at most" if probability <= outer[0] + 1e-9 else "at least" if probability >= outer[1] - 1e-9 else ""
    return ThresholdTime(threshold_ml, probability, median, earliest, latest, "ok", reason)


def _crossing_days(series: VolumeSeries, days: np.ndarray, volumes_ml: np.ndarray, threshold_ml: float) -> float:
    """Days from the last scan until a course is above the threshold, on straight lines of the log volume; infinite if never."""
    at = np.append(series.last_day, days)
    with np.errstate(divide="ignore"):
        log = np.log(np.append(series.last_volume_ml, volumes_ml)) - np.log(threshold_ml)
    above = np.flatnonzero(log[1:] > 0)
    if not above.size:
        return float("inf")
    i = int(above[0])
    part = -log[i] / (log[i + 1] - log[i]) if np.isfinite(log[i : i + 2]).all() else 1.0
    return float(at[i] + part * (at[i + 1] - at[i]) - series.last_day)


def _forecast_rows(p: PatientForecast) -> list[dict[str, object]]:
    start: dict[str, object] = {"participant_id": f"sub-{p.label}", "status": p.status}
    if p.series is None or not p.forecasts:
        return [
            {**start, "model": None, "role": None, "day": None, "days_ahead": None, **_ends(None, 0, p), "reason": p.reason}
        ]
    rows: list[dict[str, object]] = []
    for k, forecast in enumerate(p.forecasts):
        for i, day in enumerate(forecast.days):
            row = {**start, "model": forecast.model, "role": "baseline" if k else "chosen", "day": float(day)}
            row |= {"days_ahead": float(day - p.series.last_day), **_ends(forecast, i, p), "reason": forecast.reason or None}
            rows.append(row)
    return rows


def _ends(forecast: Forecast | None, i: int, p: PatientForecast) -> dict[str, object]:
    names = ("median_ml", "lower_ml", "upper_ml", "coverage", "n_calibration")
    if forecast is None:
        return dict.fromkeys(names)
    has = forecast.quantile_levels.size > 1
    low, high = (float(forecast.volumes_ml[k, i]) if has else None for k in (0, -1))
    return dict(zip(names, (float(forecast.median[i]), low, high, p.coverage if has else None, p.n_calibration), strict=True))


def _patient_row(p: PatientForecast) -> dict[str, object]:
    row: dict[str, object] = {"participant_id": f"sub-{p.label}", "status": p.status, "forecaster": p.chosen}
    series = p.series
    row |= {
        "n_scans": len(series) if series is not None else 0,
        "last_day": series.last_day if series is not None else None,
        "last_ml": series.last_volume_ml if series is not None else None,
    }
    first = p.forecasts[0] if p.forecasts else None
    end = -1
    row |= {"horizon_day": float(first.days[end]) if first else None, **_ends(first, end, p)}
    t = p.threshold
    row |= {
        "progression_ml": t.threshold_ml,
        "progression_probability": t.probability,
        "progression_bound": t.reason if t.reason in ("at most", "at least") else None,
        "progression_median_days": t.median_days,
        "progression_earliest_days": t.lower_days,
        "progression_latest_days": t.upper_days,
        "progression_status": t.status,
    }
    told = p.backtest
    row |= {
        "backtest_day": p.observed[0] if p.observed else None,
        "backtest_observed_ml": p.observed[1] if p.observed else None,
        **{f"backtest_{k}": v for k, v in _ends(told, 0, p).items() if k.endswith("_ml")},
    }
    notes = "; ".join(dict.fromkeys([p.reason, *p.notes]))
    return row | {"notes": notes.strip("; ") or None}


def _parameter_rows(p: PatientForecast) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for law, fit in p.fits.items():
        start: dict[str, object] = {"participant_id": f"sub-{p.label}", "model": law, "status": fit.status}
        prior: dict[str, object] = {"noise_sd_log": fit.prior.noise_sd_log, "n_prior_patients": fit.prior.n_patients}
        spread = np.sqrt(np.diag(fit.covariance_log)) if fit.status == "ok" else np.full(fit.map_log.size, np.nan)
        volume = np.where(fit.model.is_volume, fit.first_volume_ml, 1.0)
        known = np.exp(fit.prior.mean_log) * volume
        for k, (name, value) in enumerate(fit.parameters.items()):
            spread_of = {"value": value, "posterior_sd_log": float(spread[k]), "cohort_median": float(known[k])}
            why: dict[str, object] = {"reason": fit.reason or None}
            rows.append(start | {"parameter": name} | spread_of | prior | why)
    return rows
