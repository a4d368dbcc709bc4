"""How often each of several outcomes comes first: cumulative incidence when one outcome hides the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.proportion import check_level
from regrowth.statistics.survival import log_log_interval
from regrowth.statistics.times import checked_times

__all__ = ["CumulativeIncidence", "cause_specific_event", "cumulative_incidence"]


@dataclass(frozen=True, eq=False)
class CumulativeIncidence:
    """Probability that one outcome has come, and come first, by a time.

    Parameters
    ----------
    times
        (m,) 0 and every distinct observed time.
    incidence, lower, upper
        (m,) estimate from that time on, and its interval; NaN where the estimate is 1.
    variance
        (m,) of the estimate.
    event_free
        (m,) Kaplan-Meier survival free of every cause; with the incidences of all causes it adds up to 1.
    at_risk
        (m,) observed up to that time or beyond.
    events
        (m,) outcomes of this cause at that time.
    n, n_events
        Patients, and outcomes of this cause.
    n_competing
        Outcomes of other causes.
    of
        Number of the cause.
    level
        Coverage of the interval.
    """

    times: np.ndarray
    incidence: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    variance: np.ndarray
    event_free: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    n: int
    n_events: int
    n_competing: int
    of: int
    level: float

    def incidence_at(self, times: ArrayLike) -> np.ndarray:
        """Give the incidence at times of any shape; NaN beyond the last observation, if anyone was still event-free."""
        asked = np.asarray(times, dtype=np.float64)
        place = np.searchsorted(self.times, asked, side="right") - 1
        known = np.where(place < 0, 0.0, self.incidence[np.maximum(place, 0)])
        return np.where((asked > self.times[-1]) & (self.event_free[-1] > 0), np.nan, known)


def cumulative_incidence(time: ArrayLike, cause: ArrayLike, of: int, level: float = 0.95) -> CumulativeIncidence:
    """Estimate the cumulative incidence of one cause with the Aalen-Johansen method.

    The Kaplan-Meier complement with the other causes censored would answer another question, what would happen if the other
    causes did not exist, and is too high.

    Parameters
    ----------
    time
        (n,) time under observation, above 0.
    cause
        (n,) whole numbers: 0 for censored, else which outcome came first, e.g. 1 recurrence and 2 death before it.
    of
        Cause that is asked for, above 0.
    level
        Coverage of the intervals.

    Returns
    -------
    CumulativeIncidence
        All 0 when this cause never comes.

    Raises
    ------
    ParameterError
        If times cannot be used, a cause is not a whole number of at least 0, or `of` is not above 0.

    Notes
    -----
    F(t) = sum S(t-) d_k / n over the times up to t, with S the Kaplan-Meier survival from all causes; outcomes at one time
    count together, nothing is jittered. Variance by the delta method, at time t with F the incidence and S- the survival just
    before each time: sum (F(t) - F)^2 d / (n (n - d)) + sum S-^2 d_k (n - d_k) / n^3 - 2 sum (F(t) - F) S- d_k / n^2
    (Marubini and Valsecchi 1995, section 10.2); with one cause it is Greenwood's. The interval is symmetric on the scale
    log(-log(1 - F)), so that it too is that of Kaplan-Meier with one cause. Aalen and Johansen 1978.

    Examples
    --------
    >>> cumulative_incidence([1, 2, 3, 4], [1, 2, 0, 1], of=1).incidence.tolist()
    [0.0, 0.25, 0.25, 0.25, 0.75]
    """
    check_level(level)
    times, causes = _checked_causes(time, cause, of)
    distinct, place = np.unique(times, return_inverse=True)
    m = len(distinct)
    all_events = np.bincount(place, weights=causes > 0, minlength=m)
    own = np.bincount(place, weights=causes == of, minlength=m)
    at_risk = np.bincount(place, minlength=m)[::-1].cumsum()[::-1].astype(np.float64)
    event_free = np.concatenate([[1.0], np.cumprod((at_risk - all_events) / at_risk)])
    before = event_free[:-1]
    incidence = np.cumsum(before * own / at_risk)
    # Where nobody is left at risk the rest of the survival is shared out, so that rounding must not lead beyond 1.
    incidence = np.minimum(incidence, 1.0)
    variance = _variance(incidence, before, at_risk, all_events, own)
    with np.errstate(divide="ignore", invalid="ignore"):
        remaining = 1 - incidence
        upper, lower = (1 - limit for limit in log_log_interval(remaining, variance / remaining**2, level))
    return CumulativeIncidence(
        times=np.concatenate([[0.0], distinct]),
        incidence=np.concatenate([[0.0], incidence]),
        lower=np.concatenate([[0.0], lower]),
        upper=np.concatenate([[0.0], upper]),
        variance=np.concatenate([[0.0], variance]),
        event_free=event_free,
        at_risk=np.concatenate([[len(times)], at_risk]).astype(np.int64),
        events=np.concatenate([[0], own]).astype(np.int64),
        n=len(times),
        n_events=int(own.sum()),
        n_competing=int(all_events.sum() - own.sum()),
        of=int(of),
        level=level,
    )


def _variance(
    incidence: np.ndarray, before: np.ndarray, at_risk: np.ndarray, all_events: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Give the delta-method variance; the squares are multiplied out, so that running sums do."""
    left = at_risk - all_events
    # The last patient at risk: F(t) - F is 0 from there on, and so is the term.
    leave = np.divide(all_events, at_risk * left, out=np.zeros_like(left), where=left > 0)
    meet = before * own / at_risk**2
    spread = before**2 * own * (at_risk - own) / at_risk**3
    f = incidence
    first = f**2 * np.cumsum(leave) - 2 * f * np.cumsum(leave * f) + np.cumsum(leave * f**2)
    third = f * np.cumsum(meet) - np.cumsum(meet * f)
    return np.maximum(first + np.cumsum(spread) - 2 * third, 0.0)


def _checked_causes(time: ArrayLike, cause: ArrayLike, of: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        causes = np.asarray(cause, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError("causes must be whole numbers: 0 for censored, 1, 2, ... for the outcomes") from None
    whole = np.isfinite(causes) & (causes >= 0) & (causes == np.floor(causes))
    if not whole.all():
        raise ParameterError("causes must be whole numbers: 0 for censored, 1, 2, ... for the outcomes, none of them missing")
    if of != int(of) or of < 1:
        raise ParameterError(f"the cause that is asked for is a whole number above 0, not {of}; 0 means censored")
    times, _ = checked_times(time, (causes > 0).astype(np.float64))
    return times, causes.astype(np.int64)


def cause_specific_event(cause: ArrayLike, of: int) -> np.ndarray:
    """Give (n,) bool events of one cause, the others censored, for a cause-specific Kaplan-Meier, log-rank or Cox model.

    ``cox(time, cause_specific_event(cause, of=1), ...)`` gives cause-specific hazard ratios: how covariates act on the rate
    of this outcome among those still free of any. They do not tell how covariates act on the share who come to it, which the
    other causes' hazards shape as well (Latouche et al. 2013, doi:10.1016/j.jclinepi.2012.09.017).

    Raises
    ------
    ParameterError
        If a cause is not a whole number of at least 0, or `of` is not above 0.
    """
    values = np.asarray(cause)
    _, causes = _checked_causes(np.ones(values.shape), values, of)
    return causes == of
