"""Which origins and growth rates are plausible: weighted draws around an optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["PosteriorSamples", "importance_samples"]

_FREEDOM = 5.0
_ROUNDS = 3


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
    """Draw from ``exp(-cost)`` by importance weights of a Student t proposal (population Monte Carlo).

    Where the weights rest on few draws, the proposal moves to what they say and all is drawn anew, up to three times in all.

    Parameters
    ----------
    cost
        Negative logarithm of the target at (d,) parameters.
    centre, covariance
        First proposal, (d,) and (d, d).
    samples
        Draws per round.
    rng
        Random numbers.

    Returns
    -------
    draws, weights : numpy.ndarray
        (samples, d) and (samples,) of the best round; the weights sum to 1.

    References
    ----------
    .. [1] Cappé et al., J. Comput. Graph. Stat. 13 (2004), doi:10.1198/106186004X12803.
    """
    size = len(centre)
    best: tuple[float, np.ndarray, np.ndarray] = (0.0, np.empty((0, size)), np.empty(0))
    for _ in range(_ROUNDS):
        factor = np.linalg.cholesky(covariance * 1.2)
        normal = rng.standard_normal((samples, size)) * np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, samples))[:, None]
        draws = centre + normal @ factor.T
        log_proposal = -(_FREEDOM + size) / 2 * np.log1p(np.square(normal).sum(axis=1) / _FREEDOM)
        log_weights = -np.array([cost(theta) for theta in draws]) - log_proposal
        weights = _normal(log_weights)
        effective = 1 / np.square(weights).sum()
        if effective > best[0]:
            best = (effective, draws, weights)
        if effective >= samples / 5:
            break
        soft = weights
        power = 1.0
        while 1 / np.square(soft).sum() < 4 * size and power > 1e-3:  # a flatter target, which enough draws speak for
            power *= 0.7
            soft = _normal(power * log_weights)
        centre = soft @ draws
        covariance = (draws - centre).T @ ((draws - centre) * soft[:, None]) + 1e-9 * np.eye(size)
    return best[1], best[2]


def _normal(log_weights: np.ndarray) -> np.ndarray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())
