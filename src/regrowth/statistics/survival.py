"""How long patients live: Kaplan-Meier curves and medians, and whether groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from regrowth.errors import ParameterError
from regrowth.statistics.logrank import LogRank, log_rank, log_rank_many, log_rank_scores
from regrowth.statistics.proportion import check_level
from regrowth.statistics.times import check_times, checked_times, event_table

__all__ = [
    "KaplanMeier",
    "LogRank",
    "RestrictedMean",
    "at_risk_table",
    "check_times",
    "kaplan_meier",
    "log_log_interval",
    "log_rank",
    "log_rank_many",
    "log_rank_scores",
    "restricted_mean",
]

# Products of rational steps miss 0.5 by rounding: 9/10 * 8/9 * ... is not always 0.5 in binary.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """A Kaplan-Meier curve.

    Parameters
    ----------
    times
        (m,) 0 and every distinct observed time, events and censorings.
    survival, lower, upper
        (m,) estimate from that time on, and its log-log interval; the interval is NaN where the estimate is 0, since its
        variance is not defined there.
    at_risk, events, censored
        (m,) counts; at risk is who is observed up to that time or beyond.
    n, n_events
        Patients and events.
    median, median_lower, median_upper
        First time at which the curve, its lower and its upper limit are at most one half (Brookmeyer and Crowley 1982,
        doi:10.2307/2530286); infinite where that is never reached.
    level
        Coverage of the intervals.
    """

    times: np.ndarray
    survival: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    censored: np.ndarray
    n: int
    n_events: int
    median: float
    median_lower: float
    median_upper: float
    level: float

    def survival_at(self, times: ArrayLike) -> np.ndarray:
        """Give the survival at times of any shape; NaN beyond the last observation, unless the curve has reached 0."""
        asked = np.asarray(times, dtype=np.float64)
        place = np.searchsorted(self.times, asked, side="right") - 1
        known = np.where(place < 0, 1.0, self.survival[np.maximum(place, 0)])
        return np.where((asked > self.times[-1]) & (self.survival[-1] > 0), np.nan, known)

    def at_risk_at(self, times: ArrayLike) -> np.ndarray:
        """Count who is at risk at times of any shape: observed up to that time or beyond, as below a published curve."""
        asked = np.asarray(times, dtype=np.float64)
        place = np.searchsorted(self.times, asked, side="left")
        return np.append(self.at_risk, 0)[place].astype(np.int64)


def kaplan_meier(time: ArrayLike, event: ArrayLike, *, level: float = 0.95) -> KaplanMeier:
    """Estimate survival with the product-limit method.

    Parameters
    ----------
    time, event
        (n,) see `check_times`. A censoring at the time of an event counts as after it.
    level
        Coverage of the intervals.

    Returns
    -------
    KaplanMeier
        Without any event the curve stays at 1 and the median is infinite.

    Raises
    ------
    ParameterError
        See `check_times`.

    Notes
    -----
    S(t) = prod (1 - d/n) over the event times up to t, with Greenwood's variance of log S, V = sum d / (n (n - d)), and the
    interval S^exp(+-z sqrt(V) / log S) (Kalbfleisch and Prentice; ``conf.type = "log-log"`` in R). Kaplan and Meier 1958,
    doi:10.1080/01621459.1958.10501452.
    """
    check_level(level)
    times, events = checked_times(time, event)
    table = event_table(times, events)
    # Whole numbers in, one division per step: the curve reaches exactly 0 when the last patient dies.
    survival = np.cumprod((table.at_risk - table.events) / table.at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(table.events / (table.at_risk * (table.at_risk - table.events)))
    lower, upper = log_log_interval(survival, variance, level)
    start = np.ones(1)
    all_times = np.concatenate([[0.0], table.times])
    curve, low, high = (np.concatenate([start, v]) for v in (survival, lower, upper))
    return KaplanMeier(
        times=all_times,
        survival=curve,
        lower=low,
        upper=high,
        at_risk=np.concatenate([[len(times)], table.at_risk]),
        events=np.concatenate([[0], table.events]),
        censored=np.concatenate([[0], table.censored]),
        n=len(times),
        n_events=int(table.events.sum()),
        median=_first_at_most_half(all_times, curve),
        # Where the curve is 0 its lower limit is not defined, but it is surely not above one half.
        median_lower=_first_at_most_half(all_times, np.where(curve == 0, 0.0, low)),
        median_upper=_first_at_most_half(all_times, high),
        level=level,
    )


def log_log_interval(survival: np.ndarray, log_variance: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the interval of a survival probability on the scale log(-log S).

    Parameters
    ----------
    survival
        (m,) estimates.
    log_variance
        (m,) variances of log S.
    level
        Coverage.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits; 1 where S is 1 and NaN where S is 0.
    """
    z = special.ndtri((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_survival = np.log(survival)
        width = np.exp(z * np.sqrt(log_variance) / np.abs(log_survival))
        lower, upper = np.exp(log_survival * width), np.exp(log_survival / width)
    for limit in (lower, upper):
        limit[survival == 1] = 1.0
        limit[survival == 0] = np.nan
    return lower, upper


def _first_at_most_half(times: np.ndarray, curve: np.ndarray) -> float:
    below = np.flatnonzero(curve <= 0.5 + _ROUNDING)
    return float(times[below[0]]) if len(below) else np.inf


@dataclass(frozen=True)
class RestrictedMean:
    """Mean survival up to a horizon, in the unit of the times, with its standard error."""

    value: float
    standard_error: float
    horizon: float


def restricted_mean(curve: KaplanMeier, horizon: float) -> RestrictedMean:
    """Give the mean survival up to a horizon, the area below the curve.

    Parameters
    ----------
    curve
        A Kaplan-Meier curve.
    horizon
        Time up to which it is integrated, at most the last observed time unless the curve has reached 0.

    Raises
    ------
    ParameterError
        If the horizon is not above 0 or lies where the curve is not known.

    Notes
    -----
    Variance: sum over event times of A^2 d / (n (n - d)), with A the area from that time to the horizon (Royston and Parmar
    2013, doi:10.1186/1471-2288-13-152).
    """
    if not horizon > 0 or np.isnan(curve.survival_at(horizon)):
        raise ParameterError(
            f"the horizon {horizon:g} must lie above 0 and not beyond the last observation, {curve.times[-1]:g}"
        )
    inside = curve.times < horizon
    edges = np.append(curve.times[inside], horizon)
    pieces = curve.survival[inside] * np.diff(edges)
    after = pieces[::-1].cumsum()[::-1]
    d, n = curve.events[inside].astype(np.float64), curve.at_risk[inside].astype(np.float64)
    usable = n > d
    variance = np.sum(after[usable] ** 2 * d[usable] / (n[usable] * (n[usable] - d[usable])))
    return RestrictedMean(float(pieces.sum()), float(np.sqrt(variance)), float(horizon))


def at_risk_table(curves: Sequence[KaplanMeier], times: ArrayLike) -> np.ndarray:
    """Give the number at risk of several curves (rows) at given times (columns), as it stands below a published figure."""
    return np.array([curve.at_risk_at(times) for curve in curves], dtype=np.int64).reshape(len(curves), -1)
