"""Which origins and growth rates are plausible: weighted draws around an optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["PosteriorSamples", "importance_samples"]

_FREEDOM = 5.0
_ROUNDS = 3  # in which the wanted number of draws is made
_MOST = 2  # times as many draws at most, where they are worth too little


@dataclass(frozen=True, eq=False)
class PosteriorSamples:
    """Draws of origin and growth with their weights.

    Parameters
    ----------
    origins_mm
        (s, 3) RAS+ mm.
    diffusivity_mm2_per_day, proliferation_per_day
        (s,).
    age_days
        (s,) days from the first cells to the first segmentation.
    weights
        (s,) sum 1.
    """

    origins_mm: np.ndarray
    diffusivity_mm2_per_day: np.ndarray
    proliferation_per_day: np.ndarray
    age_days: np.ndarray
    weights: np.ndarray

    @property
    def effective(self) -> float:
        """Number of equally weighted draws that would be worth as much, 1 / sum of squared weights."""
        return float(1 / np.square(self.weights).sum())

    @property
    def front_speed_mm_per_day(self) -> np.ndarray:
        """(s,) 2 sqrt(D rho)."""
        return np.asarray(2 * np.sqrt(self.diffusivity_mm2_per_day * self.proliferation_per_day))

    @property
    def front_length_mm(self) -> np.ndarray:
        """(s,) sqrt(D / rho)."""
        return np.asarray(np.sqrt(self.diffusivity_mm2_per_day / self.proliferation_per_day))

    def interval(self, values: np.ndarray, level: float = 0.9) -> tuple[float, float]:
        """Central interval of `values` (s,) under the weights."""
        order = np.argsort(values)
        cumulative = np.cumsum(self.weights[order]) - self.weights[order] / 2
        low, high = np.interp([(1 - level) / 2, (1 + level) / 2], cumulative, values[order])
        return float(low), float(high)


def importance_samples(
    cost: Callable[[np.ndarray], float],
    centre: np.ndarray,
    covariance: np.ndarray,
    samples: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw from ``exp(-cost)`` by importance weights of Student t proposals that adapt to it.

    The draws are made in rounds; after each, the proposal moves to what all draws so far say. All rounds are weighted together
    with the mixture of all proposals, so that none is wasted and none that missed the target can rule.

    Parameters
    ----------
    cost
        Negative logarithm of the target at (d,) parameters.
    centre, covariance
        First proposal, (d,) and (d, d).
    samples
        Draws; up to twice as many are made while they are worth less than a fifth of that number.
    rng
        Random numbers.

    Returns
    -------
    draws, weights : numpy.ndarray
        (s, d) and (s,) with s at least `samples`; the weights sum to 1.

    References
    ----------
    .. [1] Cornuet et al., Scand. J. Stat. 39 (2012), doi:10.1111/j.1467-9469.2011.00756.x.
    """
    size = len(centre)
    part = min(samples, max(-(-samples // _ROUNDS), 4 * size))
    proposals: list[tuple[np.ndarray, np.ndarray]] = []
    draws, costs = np.empty((0, size)), np.empty(0)
    while True:
        factor = np.linalg.cholesky(covariance * 1.2)
        proposals.append((centre, factor))
        normal = rng.standard_normal((part, size)) * np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, part))[:, None]
        fresh = centre + normal @ factor.T
        draws = np.concatenate([draws, fresh])
        costs = np.concatenate([costs, [cost(theta) for theta in fresh]])
        log_weights = -costs - np.logaddexp.reduce([_log_t(draws, *one) for one in proposals], axis=0)
        weights = _normal(log_weights)
        enough = len(draws) >= samples and 1 / np.square(weights).sum() >= samples / 5
        if enough or len(draws) + part > _MOST * samples:
            return draws, weights
        soft = weights
        power = 1.0
        while 1 / np.square(soft).sum() < 4 * size and power > 1e-3:  # a flatter target, which enough draws speak for
            power *= 0.7
            soft = _normal(power * log_weights)
        centre = soft @ draws
        covariance = (draws - centre).T @ ((draws - centre) * soft[:, None]) + 1e-9 * np.eye(size)


def _log_t(draws: np.ndarray, centre: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Logarithm of the density of a Student t distribution (s,), up to a constant; `factor` is the root of its scale."""
    size = len(centre)
    normal = np.linalg.solve(factor, (draws - centre).T)
    return np.asarray(
        -(_FREEDOM + size) / 2 * np.log1p(np.square(normal).sum(axis=0) / _FREEDOM) - np.log(np.diag(factor)).sum()
    )


def _normal(log_weights: np.ndarray) -> np.ndarray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())
