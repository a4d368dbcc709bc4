"""How well forecasters foretold scans that they had not seen, which interval that earns them, and which of them to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regrowth.growth.cohort_model import BASELINES, Candidate
from regrowth.growth.conformal import ConformalBand, learn_conformal_band
from regrowth.growth.scores import crps_quantiles
from regrowth.growth.series import Forecast, VolumeSeries

__all__ = [
    "COVERAGES",
    "BackTest",
    "Choice",
    "calibrated",
    "calibrated_scores",
    "choose",
    "keepable",
    "learn_bands",
    "leave_one_out_bands",
    "thinned",
]

Bands = tuple[ConformalBand, ...]

_TIME_EXPONENT = 0.5  # errors grow with time as those of a random walk

COVERAGES = (0.9, 0.8, 0.5)
"""Coverages that are tried below the one that was asked for."""


@dataclass(frozen=True, eq=False)
class BackTest:
    """The last scan of one patient, foretold from those before it by every forecaster.

    Parameters
    ----------
    label
        The patient.
    known
        Scans that the forecasters knew.
    day, observed_ml
        The scan that they did not know.
    forecasts
        Name of the forecaster to its forecast of that day, not calibrated.
    """

    label: str
    known: VolumeSeries
    day: float
    observed_ml: float
    forecasts: Mapping[str, Forecast]


@dataclass(frozen=True)
class Choice:
    """Which forecaster to use.

    Parameters
    ----------
    name
        Its name.
    best_of_law
        Growth law to the best way of joining the last scan, as a name of a forecaster.
    mean_scores
        Name to the mean score over the patients; lower is better.
    n_patients
        Patients that it stands on.
    reason
        Why it is this one, in words.
    """

    name: str
    best_of_law: Mapping[str, str]
    mean_scores: Mapping[str, float]
    n_patients: int
    reason: str


def keepable(coverage: float, n_patients: int) -> tuple[float, ...]:
    """List the coverages up to the one asked for that `n_patients` can promise, the widest first.

    An interval with finite ends needs ``n >= 2 / (1 - c) - 1`` other patients, 19 for 90 % (see `learn_conformal_band`).
    """
    tried = sorted({coverage, *(c for c in COVERAGES if c < coverage)}, reverse=True)
    return tuple(c for c in tried if n_patients + 1 >= 2 / (1 - c) - 1e-9)


def thinned(forecast: Forecast, coverage: float, name: str) -> Forecast:
    """Keep of a forecast the quantiles that bands are learned from, under the name of its forecaster."""
    if forecast.status != "ok" or forecast.samples_ml is None:
        return Forecast(
            forecast.days, forecast.quantile_levels, forecast.volumes_ml, None, name, forecast.status, forecast.reason
        )
    ends = [x for c in {coverage, *COVERAGES} for x in ((1 - c) / 2, (1 + c) / 2)]
    levels = np.unique([*ends, 0.5])
    volumes = np.quantile(forecast.samples_ml, levels, axis=0)
    return Forecast(forecast.days, levels, volumes, None, name, "ok", forecast.reason)


def learn_bands(tests: Sequence[BackTest], name: str, coverage: float, detection_ml: float) -> Bands:
    """Learn the bands of one forecaster from all back-tests, the widest first; none with too few patients."""
    if not tests:
        return ()
    forecasts = [t.forecasts[name] for t in tests]
    seen, last = [t.observed_ml for t in tests], [t.known.last_day for t in tests]
    return tuple(
        learn_conformal_band(forecasts, seen, last, c, time_exponent=_TIME_EXPONENT, detection_ml=detection_ml)
        for c in keepable(coverage, len(tests))
    )


def leave_one_out_bands(tests: Sequence[BackTest], name: str, coverage: float, detection_ml: float) -> list[Bands]:
    """Learn for each patient the bands of one forecaster from the back-tests of all others.

    The same as `learn_conformal_band` without the patient, but the misses are computed once: leaving one out only moves the
    rank to the next miss in order.
    """
    out: list[list[ConformalBand]] = [[] for _ in tests]
    for c in keepable(coverage, len(tests) - 1):
        misses = _misses(tests, name, c, detection_ml)
        down, up = (_without_each(side, (1 + c) / 2) for side in misses)
        for i in range(len(tests)):
            out[i].append(ConformalBand(c, float(down[i]), float(up[i]), _TIME_EXPONENT, len(tests) - 1, detection_ml))
    return [tuple(bands) for bands in out]


def _misses(
    tests: Sequence[BackTest], name: str, coverage: float, detection_ml: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give how far each volume lies below and above the ends of its own interval, as `learn_conformal_band` counts it."""
    told = [t.forecasts[name] for t in tests]
    levels = ((1 - coverage) / 2, (1 + coverage) / 2)
    ends = [[f.median[0] if f.quantile_levels.size == 1 else f.quantile(level)[0] for f in told] for level in levels]
    low, high = (np.log(np.maximum(e, detection_ml)) for e in ends)
    seen = np.log([max(t.observed_ml, detection_ml) for t in tests])
    scale = (np.array([max(t.day - t.known.last_day, 1.0) for t in tests]) / 30.0) ** _TIME_EXPONENT
    return (low - seen) / scale, (seen - high) / scale


def _without_each(misses: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Give the conformal quantile of the misses without each of them, shape (n,)."""
    n = misses.size - 1
    rank = int(np.ceil((n + 1) * level - 1e-9))  # 1 to n
    order = np.argsort(misses, kind="stable")
    place = np.empty(misses.size, int)
    place[order] = np.arange(misses.size)
    ordered = misses[order]
    return np.where(place < rank, ordered[rank], ordered[rank - 1])


def calibrated(forecast: Forecast, last_day: float, bands: Bands) -> Forecast:
    """Give the median of a forecast with the ends of its bands as quantiles; only the median where there is no band.

    Narrower bands lie inside of wider ones: where they do not, the wider one is made wider. Since bands count all that cannot
    be seen as the limit of detection, a lower end at or below it is 0 ml and no upper end lies below it.
    """
    if forecast.status != "ok" or not bands:
        middle = forecast.median[None] if forecast.status == "ok" else np.full((1, forecast.days.size), np.nan)
        return Forecast(forecast.days, np.array([0.5]), middle, None, forecast.model, forecast.status, forecast.reason)
    levels, rows = [0.5], [forecast.median]
    for band in sorted(bands, key=lambda b: b.coverage):
        low, _, high = band.apply(forecast, last_day).volumes_ml
        low = np.where(low <= band.detection_ml * (1 + 1e-9), 0.0, low)
        high = np.maximum(high, band.detection_ml)
        levels = [(1 - band.coverage) / 2, *levels, (1 + band.coverage) / 2]
        rows = [np.minimum(low, rows[0]), *rows, np.maximum(high, rows[-1])]
    return Forecast(forecast.days, np.array(levels), np.array(rows), None, forecast.model, "ok", forecast.reason)


def calibrated_scores(tests: Sequence[BackTest], name: str, bands: Sequence[Bands], detection_ml: float) -> NDArray[np.float64]:
    """Score one forecaster on every patient as it would be shown: the CRPS of the calibrated log volume, shape (n,).

    Every forecaster, baselines too, is scored with the interval that other patients taught for it: raw draws that are too
    narrow and points without any spread would not be comparable. Without bands it is the error of the log median.
    """
    out = np.empty(len(tests))
    for i, (test, own) in enumerate(zip(tests, bands, strict=True)):
        told = calibrated(test.forecasts[name], test.known.last_day, own)
        log = np.log(np.clip(told.volumes_ml, detection_ml, np.exp(300.0)))
        seen = np.log(np.maximum([test.observed_ml], detection_ml))
        out[i] = crps_quantiles(told.quantile_levels, log, seen)[0]
    return out


def choose(scores: NDArray[np.float64], candidates: Sequence[Candidate]) -> Choice:
    """Choose the forecaster with the least mean score, or a simpler one that is not distinguishably worse.

    The best way of each law is its least mean; among these and the baselines, from the simplest on, the first is taken whose
    mean is at most one standard error (of the paired difference) above the least: Breiman's rule, so that a model replaces a
    baseline only when the patients show it.

    Parameters
    ----------
    scores
        Score of each patient and candidate, shape (n, m).
    candidates
        The forecasters, simplest first.
    """
    n, names = len(scores), [c.name for c in candidates]
    laws = list(dict.fromkeys(c.law for c in candidates if c.law))
    if n < 3:
        first = {law: next(c.name for c in candidates if c.law == law) for law in laws}
        means = dict(zip(names, scores.mean(axis=0).tolist() if n else [float("nan")] * len(names), strict=True))
        return Choice(
            BASELINES[0], first, means, n, f"{n} patient(s) are too few to choose by, so that nothing is said to change"
        )
    mean = scores.mean(axis=0)
    of_law = {law: min((j for j, c in enumerate(candidates) if c.law == law), key=lambda j: (mean[j], j)) for law in laws}
    field = [j for j, c in enumerate(candidates) if not c.law] + list(of_law.values())
    best = min(field, key=lambda j: (mean[j], j))
    chosen = best
    for j in field:
        difference = scores[:, j] - scores[:, best]
        if difference.mean() <= difference.std(ddof=1) / np.sqrt(n):
            chosen = j
            break
    figures = f"mean score {mean[chosen]:.3f} over {n} patients"
    reason = f"{names[chosen]} foretold the last scans best ({figures})"
    if chosen != best:
        reason = f"{names[chosen]} is the simplest forecaster that is not distinguishably worse ({figures}) than the best, "
        reason += f"{names[best]} ({mean[best]:.3f})"
    best_of_law = {law: names[j] for law, j in of_law.items()}
    return Choice(names[chosen], best_of_law, dict(zip(names, mean.tolist(), strict=True)), n, reason)
