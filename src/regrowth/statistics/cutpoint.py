"""Whether a marker splits patients by survival: at a published cut, and along the marker as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.cox import CoxFit, cox, likelihood_ratio
from regrowth.statistics.likelihood import Penalty
from regrowth.statistics.survival import KaplanMeier, LogRank, kaplan_meier, log_rank

__all__ = [
    "NO_ESTIMATE",
    "PUBLISHED_CUT",
    "Effect",
    "FixedCut",
    "PublishedCut",
    "effect",
    "fixed_cut",
    "restricted_cubic_spline",
    "why_not",
]

NO_ESTIMATE = (ParameterError, ArithmeticError, ValueError)
"""What a fit may raise where the data hold too little: refusals, and solvers that fail on a degenerate likelihood."""

_LEAST_PER_GROUP = 2
_SPLINE_QUANTILES = (0.10, 0.50, 0.90)  # of three knots, as Harrell recommends for small samples


@dataclass(frozen=True)
class PublishedCut:
    """A cut from the literature: hazard ratio of at most the cut against above, 95 % interval, p-value, patients, source."""

    value: float
    hazard_ratio: float
    lower: float
    upper: float
    p_value: float
    n: int
    endpoint: str
    source: str


PUBLISHED_CUT = PublishedCut(
    0.324,
    0.56,
    0.37,
    0.84,
    0.006,
    195,
    "os",
    "Hannisdal et al. 2025, npj Precision Oncology (adjusted, found in the same patients)",
)
"""Ratio of CE core to NE of the primary tumour."""


@dataclass(frozen=True)
class Effect:
    """A hazard ratio.

    Parameters
    ----------
    name
        Covariate.
    hazard_ratio, lower, upper, p_value
        Per unit of the covariate, with its interval; NaN where there is none.
    n, n_events
        Patients and events of the model.
    adjusted_for
        Other covariates of the model.
    reason
        Why there is none; empty where there is one.
    """

    name: str
    hazard_ratio: float
    lower: float
    upper: float
    p_value: float
    n: int
    n_events: int
    adjusted_for: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, eq=False)
class FixedCut:
    """Survival below and above a cut that was not chosen in these data.

    Parameters
    ----------
    cut
        Low is at most this.
    curves
        ``low`` and ``high``.
    log_rank
        Test between them.
    crude, adjusted
        Hazard ratio of low against high, alone and with the covariates.
    continuous_crude, continuous_adjusted
        Hazard ratio per unit of the natural logarithm of the marker: what the cut throws away.
    non_linear_p
        Likelihood-ratio p-value of a restricted cubic spline against a line in the logarithm; NaN where not computed.
    n_missing
        Patients without a marker, who are left out.
    """

    cut: float
    curves: dict[str, KaplanMeier]
    log_rank: LogRank
    crude: Effect
    adjusted: Effect
    continuous_crude: Effect
    continuous_adjusted: Effect
    non_linear_p: float
    n_missing: int


def fixed_cut(
    time: ArrayLike,
    event: ArrayLike,
    marker: ArrayLike,
    *,
    cut: float = PUBLISHED_CUT.value,
    covariates: np.ndarray | None = None,
    names: Sequence[str] = (),
    penalty: Penalty = "none",
    strength: float = 0.0,
    level: float = 0.95,
) -> FixedCut:
    """Compare survival at most at a cut and above it, as a validation of a cut from elsewhere.

    Parameters
    ----------
    time, event
        (n,) days and bool.
    marker
        (n,) NaN where it is missing or undefined (these patients are left out and counted).
    cut
        Low is a marker of at most this.
    covariates
        (n, p) for the adjusted hazard ratios, NaN where missing (left out of the adjusted models); None for none.
    names
        p names.
    penalty, strength
        Of the Cox models.
    level
        Coverage of the intervals.

    Raises
    ------
    ParameterError
        If fewer than two patients with a marker lie on one side of the cut.
    """
    times, events, values = np.asarray(time, float), np.asarray(event, bool), np.asarray(marker, float)
    known = ~np.isnan(values)
    low = values <= cut
    sizes = int((known & low).sum()), int((known & ~low).sum())
    if min(sizes) < _LEAST_PER_GROUP:
        raise ParameterError(
            f"the cut {cut:g} leaves {sizes[0]} patients at most at it and {sizes[1]} above; "
            f"it needs {_LEAST_PER_GROUP} on each side"
        )
    groups = {"low": known & low, "high": known & ~low}
    other = np.empty((len(values), 0)) if covariates is None else np.asarray(covariates, float)
    logged = np.log(values, out=np.full(len(values), np.nan), where=known & (values > 0))
    low_column = np.where(known, low.astype(float), np.nan)
    given = {"penalty": penalty, "strength": strength, "level": level}
    nothing, no_names = np.empty((len(values), 0)), ()
    return FixedCut(
        cut=cut,
        curves={name: kaplan_meier(times[inside], events[inside], level=level) for name, inside in groups.items()},
        log_rank=log_rank(times[known], events[known], np.where(low[known], "low", "high")),
        crude=effect(times, events, low_column, "low", nothing, no_names, **given),  # type: ignore[arg-type]
        adjusted=effect(times, events, low_column, "low", other, names, **given),  # type: ignore[arg-type]
        continuous_crude=effect(times, events, logged, "log_marker", nothing, no_names, **given),  # type: ignore[arg-type]
        continuous_adjusted=effect(times, events, logged, "log_marker", other, names, **given),  # type: ignore[arg-type]
        non_linear_p=_non_linear_p(times, events, logged),
        n_missing=int((~known).sum()),
    )


def effect(
    time: np.ndarray,
    event: np.ndarray,
    column: np.ndarray,
    name: str,
    covariates: np.ndarray,
    names: Sequence[str],
    *,
    penalty: Penalty = "none",
    strength: float = 0.0,
    level: float = 0.95,
) -> Effect:
    """Give the hazard ratio of one covariate, with or without others; NaN and the reason where the model has no estimate.

    Parameters
    ----------
    time, event
        (n,) days and bool.
    column
        (n,) the covariate, NaN where missing.
    name
        Its name.
    covariates, names
        (n, p) others, NaN where missing, and their names. Those that do not vary among the complete cases are left out.
    penalty, strength, level
        As in `fixed_cut`.
    """
    x = np.column_stack([column, covariates])
    use = ~np.isnan(x).any(axis=1)
    varies = [j for j in range(1, x.shape[1]) if use.any() and np.ptp(x[use, j]) > 0]
    others = tuple(names[j - 1] for j in varies)
    counts = int(use.sum()), int(np.asarray(event)[use].sum())
    try:
        fit = cox(time[use], event[use], x[use][:, [0, *varies]], [name, *others], penalty=penalty, strength=strength)
        ratio, (lower, upper), p_value = _first(fit, level)
    except NO_ESTIMATE as error:
        return Effect(name, np.nan, np.nan, np.nan, np.nan, *counts, others, why_not(error))
    return Effect(name, ratio, lower, upper, p_value, *counts, others)


def _first(fit: CoxFit, level: float) -> tuple[float, tuple[float, float], float]:
    lower, upper = np.exp(fit.interval(level)[0])
    return float(fit.hazard_ratios[0]), (float(lower), float(upper)), float(fit.p_values[0])


def why_not(error: Exception) -> str:
    """Say in words why there is no estimate; a refusal speaks for itself."""
    return str(error) if isinstance(error, ParameterError) else f"the computation failed ({type(error).__name__}: {error})"


def restricted_cubic_spline(x: ArrayLike, knots: ArrayLike) -> np.ndarray:
    """Give the basis of a cubic spline that is linear beyond the outer knots.

    Parameters
    ----------
    x
        (n,) values.
    knots
        (k,) increasing, at least 3.

    Returns
    -------
    numpy.ndarray
        (n, k - 1): x itself, and k - 2 curved columns, scaled by the squared range of the knots.

    Raises
    ------
    ParameterError
        If there are fewer than 3 different knots.

    Notes
    -----
    Truncated powers of Stone and Koo 1985, in the form of Harrell, Regression Modeling Strategies,
    doi:10.1007/978-3-319-19425-7.
    """
    values, t = np.asarray(x, float), np.asarray(knots, float)
    if len(t) < 3 or not (np.diff(t) > 0).all():
        raise ParameterError(f"a restricted cubic spline needs at least 3 increasing knots, not {t.tolist()}")
    last, before = t[-1], t[-2]

    def cube(knot: float) -> np.ndarray:
        return np.maximum(values - knot, 0) ** 3

    curved = [
        (cube(k) - cube(before) * (last - k) / (last - before) + cube(last) * (before - k) / (last - before))
        / (last - t[0]) ** 2
        for k in t[:-2]
    ]
    return np.column_stack([values, *curved])


def _non_linear_p(time: np.ndarray, event: np.ndarray, logged: np.ndarray) -> float:
    use = ~np.isnan(logged)
    try:
        basis = restricted_cubic_spline(logged[use], np.quantile(logged[use], _SPLINE_QUANTILES) if use.any() else [])
        line = cox(time[use], event[use], basis[:, :1], ["log_marker"])
        curve = cox(time[use], event[use], basis, ["log_marker", "curved"])
        return likelihood_ratio(curve, line).p_value
    except NO_ESTIMATE:  # too few patients or values to bend a line
        return float("nan")
