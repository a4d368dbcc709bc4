"""Which parameter sets are probable after the volumes were seen: importance sampling around Laplace's approximation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from regrowth.errors import ParameterError
from regrowth.growth.fit import GrowthFit, ParameterSamples, require_ok

__all__ = ["sample_posterior"]

Array = NDArray[np.float64]

_FREEDOM = 5.0


def sample_posterior(
    fit: GrowthFit, rng: np.random.Generator, n_samples: int = 500, n_proposals: int = 1500, n_rounds: int = 3
) -> ParameterSamples:
    """Draw from the posterior by importance resampling with an adapted proposal.

    The first round proposes from a mixture of a t distribution at the mode and of the prior, which bounds all weights; each
    further round puts the t distribution where the weighted draws lie. All rounds are weighted together with the mixture of
    all proposals (deterministic mixture weights), so that none is wasted: adaptive multiple importance sampling, Cornuet et
    al. 2012, doi:10.1111/j.1467-9469.2011.00756.x.

    Parameters
    ----------
    fit
        A fit whose status is ``ok``.
    rng
        Source of random numbers.
    n_samples
        Draws to return, of equal weight.
    n_proposals
        Proposals in each round.
    n_rounds
        Rounds.

    Returns
    -------
    ParameterSamples
        With the effective number of independent draws, (sum w)^2 / sum w^2.

    Raises
    ------
    ParameterError
        If the fit failed, or nothing is to be drawn.
    """
    require_ok(fit)
    if n_samples < 1 or n_rounds < 1 or n_proposals < 40:
        raise ParameterError("a posterior needs at least 1 sample, 1 round and 40 proposals in each")
    prior = fit.prior
    centre, spread = fit.map_log, fit.covariance_log
    parts: list[tuple[Array, Array]] = []
    draws: list[Array] = []
    n_prior = n_proposals // 4
    for _ in range(n_rounds):
        parts.append((centre, spread))
        draws.append(_draw_t(centre, spread, n_proposals - n_prior, rng))
        draws.append(rng.multivariate_normal(prior.mean_log, prior.covariance_log, n_prior, method="cholesky"))
        theta = np.concatenate(draws)
        share = np.log((1 - n_prior / n_proposals) / len(parts))
        proposals = [share + _log_t(theta, c, s) for c, s in parts]
        proposals.append(np.log(n_prior / n_proposals) + _log_normal(theta, prior.mean_log, prior.covariance_log))
        log_w = fit.log_posterior(theta) - logsumexp(proposals, axis=0)
        w = np.exp(log_w - logsumexp(log_w))
        centre = w @ theta
        # A little of Laplace's covariance keeps the matrix regular when few draws carry the weight.
        spread = (theta - centre).T @ ((theta - centre) * w[:, None]) + 0.02 * fit.covariance_log
    # Systematic resampling: one random number, least variance.
    positions = (rng.random() + np.arange(n_samples)) / n_samples
    chosen = np.searchsorted(np.cumsum(w), positions).clip(max=w.size - 1)
    return ParameterSamples(rng.permutation(theta[chosen]), "posterior", float(1 / (w**2).sum()))


def _draw_t(centre: Array, spread: Array, n: int, rng: np.random.Generator) -> Array:
    normal = rng.multivariate_normal(np.zeros(centre.size), spread, n, method="cholesky")
    return centre + normal / np.sqrt(rng.chisquare(_FREEDOM, n) / _FREEDOM)[:, None]


def _log_t(theta: Array, centre: Array, spread: Array) -> Array:
    p = centre.size
    distance, log_det = _mahalanobis(theta, centre, spread)
    constant = gammaln((_FREEDOM + p) / 2) - gammaln(_FREEDOM / 2) - 0.5 * p * np.log(_FREEDOM * np.pi)
    return constant - 0.5 * log_det - 0.5 * (_FREEDOM + p) * np.log1p(distance / _FREEDOM)


def _log_normal(theta: Array, centre: Array, spread: Array) -> Array:
    distance, log_det = _mahalanobis(theta, centre, spread)
    return -0.5 * (centre.size * np.log(2 * np.pi) + log_det + distance)


def _mahalanobis(theta: Array, centre: Array, spread: Array) -> tuple[Array, float]:
    root = np.linalg.cholesky(spread)
    z = np.linalg.solve(root, (theta - centre).T)
    return (z**2).sum(axis=0), float(2 * np.log(np.diag(root)).sum())
