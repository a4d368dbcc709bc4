"""Whether groups of patients live differently long: the log-rank test, one at a time or many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from regrowth.errors import ParameterError
from regrowth.statistics.times import checked_times, event_table

__all__ = ["LogRank", "log_rank", "log_rank_many", "log_rank_scores"]

_BLOCK_CELLS = 2_000_000  # of 8 bytes, so that millions of groupings need little memory


@dataclass(frozen=True, eq=False)
class LogRank:
    """Result of a log-rank test.

    Parameters
    ----------
    statistic, degrees_of_freedom, p_value
        Chi-squared statistic, its degrees of freedom and p-value; NaN where the test has no value.
    groups
        Names of the k groups.
    n, observed, expected
        (k,) patients, events seen, and events expected if all groups were alike.
    reason
        Why the test has no value; empty where it has one.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    groups: tuple[str, ...]
    n: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    reason: str = ""


def log_rank(time: ArrayLike, event: ArrayLike, group: ArrayLike) -> LogRank:
    """Test whether two or more groups have the same survival.

    Parameters
    ----------
    time, event
        (n,) see `regrowth.statistics.times.check_times`.
    group
        (n,) group of each patient: text, whole numbers or bool.

    Returns
    -------
    LogRank
        NaN with a reason when nobody has an event, or only one group is at risk whenever there is one.

    Raises
    ------
    ParameterError
        If times or events cannot be used, a group is missing, or all patients are of one group.

    Notes
    -----
    Observed minus expected events with the exact (hypergeometric) variance for ties, as ``survdiff`` of R. Mantel 1966;
    Peto and Peto 1972, doi:10.2307/2344317.
    """
    times, events = checked_times(time, event)
    names, member = _groups(group, len(times))
    table = event_table(times, events)
    place = np.searchsorted(table.times, times)
    cells = (len(table.times), len(names))
    leaving, deaths = np.zeros(cells), np.zeros(cells)
    np.add.at(leaving, (place, member), 1.0)
    np.add.at(deaths, (place, member), events.astype(np.float64))
    share = leaving[::-1].cumsum(axis=0)[::-1] / table.at_risk[:, None]
    observed, expected = deaths.sum(axis=0), table.events @ share
    weight = _hypergeometric(table.events, table.at_risk)
    covariance = np.diag(weight @ share) - (share * weight[:, None]).T @ share
    counts = np.bincount(member, minlength=len(names))
    statistic, freedom, reason = _quadratic_form(observed - expected, covariance, expected)
    p_value = float(special.chdtrc(freedom, statistic)) if not reason else np.nan
    return LogRank(statistic, freedom, p_value, names, counts, observed.astype(np.int64), expected, reason)


def _groups(group: ArrayLike, n: int) -> tuple[tuple[str, ...], np.ndarray]:
    values = np.asarray(group)
    if values.shape != (n,):
        raise ParameterError(f"each of the {n} patients needs one group; there are groups of shape {values.shape}")
    missing = np.array([v is None or v != v for v in values.tolist()], dtype=bool)
    if missing.any():
        raise ParameterError(f"the group of {missing.sum()} patients is missing; leave them out first")
    found, member = np.unique(values, return_inverse=True)
    if len(found) < 2:
        raise ParameterError(f"a comparison needs two groups; all {n} patients are of the group {found[0]!s}")
    return tuple(str(v) for v in found), member


def _hypergeometric(deaths: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """Give d (n - d) / (n - 1), the variance of the deaths in a group over p (1 - p); 0 for the last patient alone."""
    return deaths * (at_risk - deaths) / np.maximum(at_risk - 1, 1)


def _quadratic_form(difference: np.ndarray, covariance: np.ndarray, expected: np.ndarray) -> tuple[float, int, str]:
    used = np.flatnonzero(expected > 0)
    freedom = max(len(used) - 1, 0)
    if not len(used):
        return np.nan, 0, "no events"
    if freedom == 0:
        return np.nan, 0, "only one group is at risk when events happen"
    keep = used[:-1]
    part = covariance[np.ix_(keep, keep)]
    rank = int(np.linalg.matrix_rank(part, hermitian=True)) if part.any() else 0
    if rank == 0:
        return np.nan, 0, "whenever an event happens, only one group is at risk"
    # Groups that are never at risk together cannot be compared: each such gap takes away a degree of freedom.
    inverse = np.linalg.pinv(part, hermitian=True) if rank < freedom else np.linalg.inv(part)
    return float(difference[keep] @ inverse @ difference[keep]), rank, ""


def log_rank_many(time: ArrayLike, event: ArrayLike, groups: np.ndarray) -> np.ndarray:
    """Give the signed log-rank statistic of many splits into two groups at once.

    Parameters
    ----------
    time, event
        (n,) see `regrowth.statistics.times.check_times`.
    groups
        (m, n) bool: row i says who is in the group of split i.

    Returns
    -------
    numpy.ndarray
        (m,) z = (observed - expected) / sqrt(variance) of the group of True, positive when it has more events than
        expected; its square is the statistic of `log_rank`. NaN where the variance is 0, as when one group is empty.

    Raises
    ------
    ParameterError
        If times or events cannot be used or the groups have another shape or type.
    """
    times, events = checked_times(time, event)
    split = np.asarray(groups)
    if split.dtype != np.bool_ or split.ndim != 2 or split.shape[1] != len(times):
        raise ParameterError(f"groups must be bool of shape (m, {len(times)}), not {split.dtype} of shape {split.shape}")
    table = event_table(times, events)
    seen = table.events > 0
    # Latest first, so that who is at risk at a time are the first `at_risk` columns.
    order = np.argsort(-times, kind="stable")
    at_risk, deaths = table.at_risk[seen], table.events[seen].astype(np.float64)
    scores = log_rank_scores(times, events)[order]
    weight = _hypergeometric(deaths, at_risk)
    linear, square = weight / at_risk, weight / at_risk**2
    out = np.empty(len(split))
    step = max(1, _BLOCK_CELLS // len(times))
    for begin in range(0, len(split), step):
        block = split[begin : begin + step, order].astype(np.float64)
        difference = block @ scores
        inside = np.cumsum(block, axis=1, out=block)[:, at_risk - 1]
        variance = inside @ linear - np.square(inside, out=inside) @ square
        with np.errstate(divide="ignore", invalid="ignore"):
            out[begin : begin + step] = np.where(variance > 1e-10, difference / np.sqrt(variance), np.nan)
    return out


def log_rank_scores(time: ArrayLike, event: ArrayLike) -> np.ndarray:
    """Give the log-rank score of each patient, event minus cumulative hazard at the own time.

    The sum of the scores in a group is its observed minus its expected events. The scores are the martingale residuals of
    the model without covariates (Nelson-Aalen) and add up to 0; under random allotment of m of n patients their sum has the
    variance m (n - m) / (n (n - 1)) times the sum of their squares (Hothorn and Lausen 2003,
    doi:10.1016/S0167-9473(02)00225-6).

    Parameters
    ----------
    time, event
        (n,) see `regrowth.statistics.times.check_times`.

    Returns
    -------
    numpy.ndarray
        (n,) scores, high for early events.
    """
    times, events = checked_times(time, event)
    table = event_table(times, events)
    hazard = np.cumsum(table.events / table.at_risk)
    return events - hazard[np.searchsorted(table.times, times)]
