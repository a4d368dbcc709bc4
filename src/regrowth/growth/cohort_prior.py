"""What other patients say about a patient's parameters before the own scans do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.fit import DETECTION_ML, GrowthFit, ParameterPrior, fit_growth, weak_prior
from regrowth.growth.models import GrowthModel
from regrowth.growth.series import VolumeSeries
from regrowth.growth.treatment import NO_TREATMENT, Treatment

__all__ = ["learn_cohort_prior"]


def learn_cohort_prior(
    series: Sequence[VolumeSeries],
    model: GrowthModel,
    treatments: Sequence[Treatment] | None = None,
    *,
    n_iterations: int = 6,
    weak_weight: float = 4.0,
    shrinkage: float = 0.1,
    noise_freedom: float = float("inf"),
    detection_ml: float = DETECTION_ML,
) -> ParameterPrior:
    """Learn mean, covariance and noise of the log parameters from a cohort (empirical Bayes).

    Expectation and maximisation with Laplace's approximation for each patient: with the mode t_i and the covariance C_i under
    the prior so far::

        mean = average of t_i,   covariance = average of C_i + (t_i - mean)(t_i - mean)'
        noise^2 = sum of r_i'r_i + trace(J_i C_i J_i') over the number of scans (weighted if the noise is a t distribution)

    each drawn towards the weak prior as if that had come from `weak_weight` patients, and the correlations shrunk.

    Parameters
    ----------
    series
        Volumes of other patients; those that cannot be fitted (fewer than two scans, no tumour) are left out.
    model
        Law of growth.
    treatments
        Treatment of each patient; none if None.
    n_iterations
        Rounds.
    weak_weight
        Weight of the weak prior, in patients.
    shrinkage
        Part of the correlations that is taken away, 0 to 1.
    noise_freedom
        As in `ParameterPrior`; a few degrees of freedom keep outliers from blowing up the noise of all.
    detection_ml
        As in `fit_growth`.

    Returns
    -------
    ParameterPrior
        With the number of patients that it was learned from.

    Raises
    ------
    ParameterError
        If the numbers of series and treatments differ, or no patient can be fitted.
    """
    treatments = [NO_TREATMENT] * len(series) if treatments is None else list(treatments)
    if len(treatments) != len(series):
        raise ParameterError(f"{len(series)} series and {len(treatments)} treatments; give one treatment for each series")
    usable = [(s, t) for s, t in zip(series, treatments, strict=True) if len(s) >= 2 and (s.volumes_ml > 0).any()]
    if not usable:
        raise ParameterError("a cohort prior needs at least one patient with two scans and a tumour")
    weak = prior = weak_prior(model, noise_freedom=noise_freedom)
    for iteration in range(n_iterations):
        starts = 4 if iteration == 0 else 2
        fits = [fit_growth(s, model, t, prior, n_starts=starts, detection_ml=detection_ml) for s, t in usable]
        good = [f for f in fits if f.status == "ok"]
        if not good:
            raise ParameterError(f"{model.name} could be fitted to no patient of the cohort")
        prior = _updated(good, weak, prior.noise_sd_log, weak_weight, shrinkage)
    return prior


def _updated(fits: Sequence[GrowthFit], weak: ParameterPrior, noise: float, weight: float, shrinkage: float) -> ParameterPrior:
    """Do the maximisation step."""
    n = len(fits)
    modes = np.array([f.map_log for f in fits])
    mean = (modes.sum(axis=0) + weight * weak.mean_log) / (n + weight)
    spread = modes - mean
    total = spread.T @ spread + sum(f.covariance_log for f in fits) + weight * weak.covariance_log
    covariance = total / (n + weight)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.diag(np.diag(covariance))
    squares, scans = weight * weak.noise_sd_log**2, weight
    for fit in fits:
        misfit = fit.log_misfit(fit.map_log[None])[0]
        at = fit.log_curve(fit.map_log[None], fit.series.days)
        step = 1e-5
        moved = fit.log_curve(fit.map_log + step * np.eye(fit.map_log.size), fit.series.days)
        slope = ((moved - at) / step).T  # (scans, p)
        square = misfit**2 + np.einsum("np,pq,nq->n", slope, fit.covariance_log, slope)
        freedom = weak.noise_freedom
        trust = 1.0 if np.isinf(freedom) else (freedom + 1) / (freedom + square / noise**2)  # of a scan, given the scale so far
        squares += float((trust * square).sum())
        scans += len(fit.series)
    return ParameterPrior(weak.model, mean, covariance, float(np.sqrt(squares / scans)), n, weak.noise_freedom)
