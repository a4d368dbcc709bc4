"""How two measures go together: rank correlation with interval, regression of logarithms, and correction for many tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.statistics.clinical import ClinicalTable

__all__ = [
    "MIGRATION_CAVEAT",
    "Correlation",
    "LogLogFit",
    "MigrationAssociation",
    "benjamini_hochberg",
    "holm",
    "log_log_fit",
    "migration_against_time",
    "spearman",
]

MIGRATION_CAVEAT = (
    "Only patients whose tumour came back and who were scanned then have a migration distance, so that this holds given a "
    "recurrence and says nothing about those without. A tumour that had more time could also travel further: the relation is "
    "in part mechanical. It is an association, not a cause, and the distance cannot be used to predict the time that it needs."
)
"""What has to stand beside migration against time to progression."""

_LEAST_PAIRS = 5


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation with interval; NaN and a reason where there are too few pairs or a measure is constant."""

    rho: float
    lower: float
    upper: float
    p_value: float
    n: int
    reason: str = ""


@dataclass(frozen=True)
class LogLogFit:
    """Least squares of log y on log x: slope (the exponent of a power law) with interval.

    `zeros` counts the pairs that were left out because one of the values is 0; `reason` says why there is no fit.
    """

    slope: float
    lower: float
    upper: float
    intercept: float
    p_value: float
    r_squared: float
    n: int
    zeros: int
    reason: str = ""


@dataclass(frozen=True)
class MigrationAssociation:
    """Migration distance against time to progression, given recurrence, with the caveat that belongs to it."""

    correlation: Correlation
    fit: LogLogFit
    distance_mm: np.ndarray
    time_days: np.ndarray
    caveat: str = MIGRATION_CAVEAT


def spearman(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Correlation:
    """Give Spearman's rank correlation.

    Parameters
    ----------
    x, y
        (n,) numbers; pairs with NaN are left out.
    level
        Coverage.

    Notes
    -----
    Interval by Fisher's z with the standard error sqrt((1 + rho^2 / 2) / (n - 3)) of Bonett and Wright 2000,
    doi:10.1007/BF02294183; it covers well up to |rho| of about 0.95. P-value from Student's t.
    """
    from scipy import special, stats

    a, b = _complete(x, y)
    reason = _unfit(a, b)
    if reason:
        return Correlation(np.nan, np.nan, np.nan, np.nan, len(a), reason)
    rho = float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])
    n = len(a)
    rho = float(np.clip(rho, -1.0, 1.0))
    if abs(rho) > 1 - 1e-12:
        return Correlation(rho, rho, rho, 0.0, n, "the ranks agree entirely: the interval has no width")
    half = float(special.ndtri((1 + level) / 2)) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    t = rho * np.sqrt((n - 2) / (1 - rho**2))
    limits = np.tanh(np.arctanh(rho) + np.array([-half, half]))
    return Correlation(rho, float(limits[0]), float(limits[1]), float(2 * stats.t.sf(abs(t), n - 2)), n)


def log_log_fit(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> LogLogFit:
    """Fit log y = intercept + slope log x by least squares.

    Parameters
    ----------
    x, y
        (n,) numbers of at least 0; pairs with NaN are left out, pairs with a 0 too, which are counted.
    level
        Coverage.
    """
    from scipy import stats

    a, b = _complete(x, y)
    positive = (a > 0) & (b > 0)
    zeros = int((~positive).sum())
    a, b = np.log(a[positive]), np.log(b[positive])
    reason = _unfit(a, b)
    if reason:
        return LogLogFit(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, len(a), zeros, reason)
    fit = stats.linregress(a, b)
    half = float(stats.t.ppf((1 + level) / 2, len(a) - 2)) * fit.stderr
    return LogLogFit(
        float(fit.slope),
        float(fit.slope - half),
        float(fit.slope + half),
        float(fit.intercept),
        float(fit.pvalue),
        float(fit.rvalue**2),
        len(a),
        zeros,
    )


def migration_against_time(table: ClinicalTable, level: float = 0.95) -> MigrationAssociation:
    """Relate the migration distance to the time to progression among the patients with a recurrence.

    Parameters
    ----------
    table
        The cohort; patients without an observed progression or a distance are left out.
    level
        Coverage.
    """
    time, event, _ = table.endpoint("ttp")
    distance = table.number("migration_mm")
    use = event & ~np.isnan(distance)
    return MigrationAssociation(
        spearman(time[use], distance[use], level), log_log_fit(time[use], distance[use], level), distance[use], time[use]
    )


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p-values for their number so that the chance of any false rejection is controlled.

    Parameters
    ----------
    p_values
        (n,) NaN for tests that were not made: they stay NaN and do not count.

    Notes
    -----
    Step-down Bonferroni (Holm 1979, Scand J Stat 6:65).
    """
    return _adjusted(p_values, lambda p: np.maximum.accumulate(p * np.arange(len(p), 0, -1)))


def benjamini_hochberg(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p-values so that the expected share of false ones among the rejections is controlled.

    Parameters
    ----------
    p_values
        (n,) NaN for tests that were not made: they stay NaN and do not count.

    Notes
    -----
    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    return _adjusted(p_values, lambda p: np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1])


def _adjusted(p_values: Sequence[float], rule: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    p = np.asarray(p_values, dtype=np.float64)
    out = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    if len(known):
        order = known[np.argsort(p[known], kind="stable")]
        out[order] = np.minimum(rule(p[order]), 1.0)
    return out


def _complete(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    known = ~(np.isnan(a) | np.isnan(b))
    return a[known], b[known]


def _unfit(a: np.ndarray, b: np.ndarray) -> str:
    if len(a) < _LEAST_PAIRS:
        return f"{len(a)} pairs are too few; it needs {_LEAST_PAIRS}"
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return "one of the measures is the same in all patients"
    return ""
