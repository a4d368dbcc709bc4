"""What the other parts of a cohort say about a patient's parameters: the priors of many parts, learned side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regrowth.errors import ParameterError
from regrowth.growth.fit import DETECTION_ML, GrowthFit, ParameterPrior, fit_growth, weak_prior
from regrowth.growth.leastsquares import jacobian, minimise_squares
from regrowth.growth.models import GrowthModel
from regrowth.growth.series import VolumeSeries
from regrowth.growth.treatment import Treatment

__all__ = ["learn_fold_priors"]

Array = NDArray[np.float64]

_WEAK_WEIGHT = 4.0
_SHRINKAGE = 0.1
_STEP = 1e-5


@dataclass(frozen=True, eq=False)
class _Expectation:
    """Modes of one patient under the prior of each group, and what the maximisation needs of them; rows are groups."""

    modes: Array  # (g, p)
    covariances: Array  # (g, p, p)
    squares: Array  # (g, n) expected squared misfit of each scan
    good: NDArray[np.bool_]  # (g,)


def learn_fold_priors(
    series: Sequence[VolumeSeries],
    model: GrowthModel,
    treatments: Sequence[Treatment],
    members: NDArray[np.bool_],
    *,
    n_iterations: int = 5,
    noise_freedom: float = 4.0,
    detection_ml: float = DETECTION_ML,
) -> list[ParameterPrior | None]:
    """Learn one prior from each group of patients, as `learn_cohort_prior` does for one.

    The groups of a cross-fit overlap nearly wholly, so that a patient is fitted under the priors of all groups at once, each
    round starting where the last one ended: as many vectorised fits as there are patients, not times the number of groups.

    Parameters
    ----------
    series
        Volumes of the patients; those that cannot be fitted (fewer than two scans, no tumour) are left out.
    model
        Law of growth.
    treatments
        Treatment of each patient.
    members
        Which patients each group holds, shape (g, n).
    n_iterations, noise_freedom, detection_ml
        As in `learn_cohort_prior`.

    Returns
    -------
    list
        One prior for each group; None for a group in which nobody can be fitted.
    """
    members = np.asarray(members, bool)
    if len(series) != len(treatments) or members.ndim != 2 or members.shape[1] != len(series):
        raise ParameterError(f"{len(series)} series need as many treatments and groups of shape (g, {len(series)})")
    usable = [i for i, s in enumerate(series) if len(s) >= 2 and (s.volumes_ml > 0).any()]
    weak = weak_prior(model, noise_freedom=noise_freedom)
    first = [fit_growth(series[i], model, treatments[i], weak, n_starts=4, detection_ml=detection_ml) for i in usable]
    keep = [k for k, fit in enumerate(first) if fit.status == "ok"]
    usable, first = [usable[k] for k in keep], [first[k] for k in keep]
    inside = members[:, usable]
    alive = np.flatnonzero(inside.any(axis=1))
    if not alive.size:
        return [None] * len(members)
    inside = inside[alive]
    priors = [weak] * alive.size
    modes = [np.repeat(f.map_log[None], alive.size, axis=0) for f in first]
    for iteration in range(n_iterations):
        found = [_expected(f, m, priors, fit_again=iteration > 0) for f, m in zip(first, modes, strict=True)]
        modes = [f.modes for f in found]
        priors = [_maximised(found, g, inside[g], weak, priors[g].noise_sd_log) for g in range(alive.size)]
    out: list[ParameterPrior | None] = [None] * len(members)
    for g, prior in zip(alive, priors, strict=True):
        out[g] = prior
    return out


def _expected(fit: GrowthFit, modes: Array, priors: Sequence[ParameterPrior], *, fit_again: bool) -> _Expectation:
    """Find the modes under all priors at once, with Laplace's approximation."""
    mean = np.array([p.mean_log for p in priors])
    whitening = np.array([np.linalg.inv(np.linalg.cholesky(p.covariance_log)) for p in priors])
    noise = np.array([p.noise_sd_log for p in priors])[:, None]
    freedom, measured, n_groups = priors[0].noise_freedom, fit.log_measured, len(priors)

    def residuals(x: Array) -> Array:
        group = np.arange(len(x)) // (len(x) // n_groups)  # rows come group by group
        misfit = fit.log_misfit(x, measured) / noise[group]
        if freedom < np.inf:
            misfit = np.sign(misfit) * np.sqrt((freedom + 1) * np.log1p(misfit**2 / freedom))
        return np.concatenate([misfit, np.einsum("kpq,kq->kp", whitening[group], x - mean[group])], axis=1)

    good = np.ones(n_groups, bool)
    if fit_again:  # from the last mode, and from the mean of the prior in case the prior has moved far
        start = np.stack([modes, mean], axis=1).reshape(2 * n_groups, -1)
        theta, cost, _ = minimise_squares(residuals, start, *priors[0].bounds_log, max_iterations=60, tolerance=1e-4)
        best = cost.reshape(n_groups, 2).argmin(axis=1)
        modes = theta.reshape(n_groups, 2, -1)[np.arange(n_groups), best]
        good = np.isfinite(cost.reshape(n_groups, 2)[np.arange(n_groups), best])
    slope = jacobian(residuals, modes, residuals(modes))
    covariances = np.linalg.inv(np.einsum("gmp,gmq->gpq", slope, slope))  # the prior's rows make it regular
    p = modes.shape[1]
    at = fit.log_curve(modes, fit.series.days)
    moved = fit.log_curve((modes[:, None, :] + _STEP * np.eye(p)).reshape(n_groups * p, p), fit.series.days)
    curve_slope = (moved.reshape(n_groups, p, -1) - at[:, None, :]) / _STEP  # (g, p, n)
    spread = np.einsum("gpn,gpq,gqn->gn", curve_slope, covariances, curve_slope)
    return _Expectation(modes, covariances, fit.log_misfit(modes) ** 2 + spread, good)


def _maximised(
    found: Sequence[_Expectation], g: int, inside: NDArray[np.bool_], weak: ParameterPrior, noise: float
) -> ParameterPrior:
    """Do the maximisation step of one group, drawn towards the weak prior (see `learn_cohort_prior`)."""
    mine = [e for e, yes in zip(found, inside, strict=True) if yes and e.good[g]]
    n = len(mine)
    modes = np.array([e.modes[g] for e in mine]).reshape(n, weak.mean_log.size)
    mean = (modes.sum(axis=0) + _WEAK_WEIGHT * weak.mean_log) / (n + _WEAK_WEIGHT)
    spread = modes - mean
    total = spread.T @ spread + sum(e.covariances[g] for e in mine) + _WEAK_WEIGHT * weak.covariance_log
    covariance = total / (n + _WEAK_WEIGHT)
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.diag(np.diag(covariance))
    squares = np.concatenate([e.squares[g] for e in mine]) if mine else np.zeros(0)
    freedom = weak.noise_freedom
    trust = np.ones_like(squares) if np.isinf(freedom) else (freedom + 1) / (freedom + squares / noise**2)
    variance = ((trust * squares).sum() + _WEAK_WEIGHT * weak.noise_sd_log**2) / (squares.size + _WEAK_WEIGHT)
    return ParameterPrior(weak.model, mean, covariance, float(np.sqrt(variance)), n, freedom)
