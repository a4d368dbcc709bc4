"""How sure is a proportion: intervals for a count out of a total."""

from __future__ import annotations

import math

from scipy import special

from regrowth.errors import ParameterError

__all__ = ["Interval", "check_level", "clopper_pearson_interval", "wilson_interval"]

Interval = tuple[float, float]


def wilson_interval(count: int, total: int, level: float = 0.95) -> Interval:
    """Give the score interval of a proportion, which keeps its coverage in small samples and at 0 and 1.

    Parameters
    ----------
    count, total
        So many of so many, 0 <= count <= total.
    level
        Coverage, between 0 and 1.

    Returns
    -------
    tuple of float
        Lower and upper limit; NaN both for a total of 0, of which nothing is known.

    Raises
    ------
    ParameterError
        If the count lies outside of 0 to total, one of them is not a whole number, or the level is not between 0 and 1.

    Notes
    -----
    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Examples
    --------
    >>> [round(limit, 3) for limit in wilson_interval(8, 14)]
    [0.326, 0.786]
    """
    _check(count, total, level)
    if total == 0:
        return (math.nan, math.nan)
    z = float(special.ndtri((1 + level) / 2))
    share = count / total
    centre = share + z**2 / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    # At 0 and at all of them the limit is exact; the formula misses it by rounding.
    lower = 0.0 if count == 0 else (centre - half) / scale
    upper = 1.0 if count == total else (centre + half) / scale
    return (lower, upper)


def clopper_pearson_interval(count: int, total: int, level: float = 0.95) -> Interval:
    """Give the exact binomial interval of a proportion, which covers at least `level` and is wider than `wilson_interval`.

    Parameters
    ----------
    count, total
        So many of so many, 0 <= count <= total.
    level
        Least coverage, between 0 and 1.

    Returns
    -------
    tuple of float
        Lower and upper limit; NaN both for a total of 0.

    Raises
    ------
    ParameterError
        As `wilson_interval`.

    Notes
    -----
    Quantiles of beta distributions (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).
    """
    _check(count, total, level)
    if total == 0:
        return (math.nan, math.nan)
    tail = (1 - level) / 2
    lower = 0.0 if count == 0 else float(special.betaincinv(count, total - count + 1, tail))
    upper = 1.0 if count == total else float(special.betaincinv(count + 1, total - count, 1 - tail))
    return (lower, upper)


def _check(count: int, total: int, level: float) -> None:
    if count != int(count) or total != int(total) or not 0 <= count <= total:
        raise ParameterError(f"a proportion needs whole numbers with 0 <= count <= total, not {count} of {total}")
    check_level(level)


def check_level(level: float) -> None:
    """Refuse a level of confidence that is not between 0 and 1.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if not 0 < level < 1:
        raise ParameterError(f"a level of confidence lies between 0 and 1, not at {level}; write 0.95 for 95 %")
