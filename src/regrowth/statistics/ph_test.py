"""Whether hazards are proportional: do a Cox model's coefficients change over time."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from regrowth.errors import ParameterError
from regrowth.statistics.covariates import checked_covariates
from regrowth.statistics.cox import CoxFit
from regrowth.statistics.likelihood import schoenfeld
from regrowth.statistics.times import checked_times, event_table

__all__ = ["TimeTransform", "proportional_hazards_test", "schoenfeld_residuals"]

TimeTransform = Literal["km", "rank", "identity", "log"]


def schoenfeld_residuals(fit: CoxFit) -> tuple[np.ndarray, np.ndarray]:
    """Give the residuals of each event: its covariates minus their mean over the risk set, in the covariates' units.

    Parameters
    ----------
    fit
        A fitted model.

    Returns
    -------
    tuple of numpy.ndarray
        Times of the d events (d,) and residuals (d, p), in ascending order of time. Tied events share the mean of Efron's
        method. Schoenfeld 1982, doi:10.1093/biomet/69.1.239.
    """
    times, residuals = [], []
    for sets, at in zip(fit.data.likelihood.strata, fit.data.event_times(), strict=True):
        residuals.append(schoenfeld(sets, fit.coefficients * fit.scales) * fit.scales)
        times.append(at)
    time, residual = np.concatenate(times), np.concatenate(residuals)
    order = np.argsort(time, kind="stable")
    return time[order], residual[order]


def proportional_hazards_test(
    fit: CoxFit,
    time: ArrayLike,
    event: ArrayLike,
    covariates: ArrayLike,
    *,
    transform: TimeTransform = "km",
) -> list[dict[str, object]]:
    """Test for each covariate, and for all together, whether the coefficient is constant in time.

    Parameters
    ----------
    fit
        A fitted model.
    time, event, covariates
        The data it was fitted to, checked against the fit.
    transform
        Scale of time on which a coefficient might change in a straight line: ``km``, 1 - Kaplan-Meier just before the event
        (as R); ``rank``; ``identity``; ``log``.

    Returns
    -------
    list of dict
        `covariate`, `statistic` (chi-squared), `degrees_of_freedom`, `p_value`, one row per covariate and a last one
        ``GLOBAL``; NaN with fewer than two distinct event times.

    Raises
    ------
    ParameterError
        If the data are not those of the fit, or the transform is unknown.

    Notes
    -----
    Score-like test of Grambsch and Therneau (1994, doi:10.1093/biomet/81.3.515) with the average variance in place of that
    at each event, as ``cox.zph`` of R had it before survival 3.0 and lifelines has it. Newer R computes the exact score test,
    whose values differ somewhat. With g the transformed and centred event times, S the residuals, V the covariance and d the
    events: d (g'S V)_k^2 / (V_kk g'g), and d (g'S) V (g'S)' / g'g for all.
    """
    if transform not in get_args(TimeTransform):
        raise ParameterError(f"a time transform is one of {', '.join(get_args(TimeTransform))}, not {transform!r}")
    _same_data(fit, time, event, covariates)
    at, residuals = schoenfeld_residuals(fit)
    centred = _transformed(fit, at, transform)
    centred = centred - centred.mean()
    square = float(centred @ centred)
    slope = centred @ residuals
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = fit.n_events / square if square > 0 else np.nan
        each = scale * (slope @ fit.covariance) ** 2 / np.diag(fit.covariance)
        together = scale * float(slope @ fit.covariance @ slope)
    labels, statistics, freedoms = (*fit.names, "GLOBAL"), (*each, together), (*([1] * len(fit.names)), len(fit.names))
    return [
        {"covariate": name, "statistic": float(s), "degrees_of_freedom": df, "p_value": float(special.chdtrc(df, s))}
        for name, s, df in zip(labels, statistics, freedoms, strict=True)
    ]


def _transformed(fit: CoxFit, at: np.ndarray, transform: TimeTransform) -> np.ndarray:
    if transform == "km":
        table = event_table(fit.data.time, fit.data.event)
        survival = np.concatenate([[1.0], np.cumprod((table.at_risk - table.events) / table.at_risk)])
        return 1 - survival[np.searchsorted(table.times, at)]
    if transform == "rank":
        # Tied events share their mean rank.
        below, upto = np.searchsorted(at, at, side="left"), np.searchsorted(at, at, side="right")
        return (below + upto + 1) / 2
    return at if transform == "identity" else np.log(at)


def _same_data(fit: CoxFit, time: ArrayLike, event: ArrayLike, covariates: ArrayLike) -> None:
    times, events = checked_times(time, event)
    x, _ = checked_covariates(covariates, fit.names, len(times))
    same = (np.array_equal(a, b) for a, b in ((times, fit.data.time), (events, fit.data.event), (x, fit.data.x)))
    if not all(same):
        raise ParameterError("times, events and covariates must be those that the model was fitted to, in the same order")
