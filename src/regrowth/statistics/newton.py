"""How a log-likelihood is maximised: Newton's method with step halving, some coefficients held if asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from regrowth.statistics.likelihood import Evaluation

__all__ = ["Maximum", "maximise"]

STEP_TOLERANCE = 1e-9
"""Largest last step, in standard deviations of the covariates, at which the solver has arrived."""

_MAX_STEP = 5.0
_MAX_ITERATIONS = 200
# When the likelihood has stopped rising while coefficients still walk, it has no maximum: its slope dies off as exp(-b).
_FLAT = 1e-9
_WALKING = 0.05
_BEYOND = 40.0  # no hazard ratio per standard deviation is exp(40)
_DIFFERENCE = 1e-6


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where the solver stopped: (p,) coefficients, the evaluation there, how many steps, and whether it arrived.

    `escaping` is the (p,) last step where the likelihood rises for ever in that direction, else None.
    """

    beta: np.ndarray
    at: Evaluation
    iterations: int
    converged: bool
    escaping: np.ndarray | None = None


def maximise(
    function: Callable[[np.ndarray], Evaluation], start: np.ndarray, free: np.ndarray | None = None, *, bounded: bool = False
) -> Maximum:
    """Maximise a function that is given with its gradient and information.

    Parameters
    ----------
    function
        Coefficients (p,) to `Evaluation`.
    start
        (p,) first coefficients; those that are held keep these values.
    free
        (p,) bool, which coefficients may move; all if None.
    bounded
        Whether a penalty makes sure that there is a maximum, so that escape is not looked for.

    Notes
    -----
    With Firth's penalty the information is not the curvature of what is maximised. Its steps arrive quickly with many events,
    but with few they may overshoot for ever (with one event by a factor of 2); then the curvature is taken from differences of
    the gradient.
    """
    beta = start.astype(np.float64)
    free = np.ones(len(beta), dtype=bool) if free is None else free
    at = function(beta)
    if not free.any():
        return Maximum(beta, at, 0, True)
    last_size, is_slow = np.inf, False
    for iteration in range(1, _MAX_ITERATIONS + 1):
        step = np.zeros_like(beta)
        curvature = _curvature(function, beta, at, free) if is_slow else at.information[np.ix_(free, free)]
        try:
            step[free] = np.linalg.solve(curvature, at.gradient[free])
        except np.linalg.LinAlgError:
            return Maximum(beta, at, iteration, False, None if bounded else at.gradient)
        size = float(np.abs(step).max())
        if not np.isfinite(size):
            return Maximum(beta, at, iteration, False)
        if size < STEP_TOLERANCE:
            return Maximum(beta, at, iteration, True)
        if not bounded and size > _WALKING and 0.5 * float(at.gradient @ step) < _FLAT:
            return Maximum(beta, at, iteration, False, step)
        if not bounded and np.abs(beta).max() > _BEYOND:
            return Maximum(beta, at, iteration, False, beta)
        is_slow = is_slow or (bounded and size < _MAX_STEP and size > 0.2 * last_size)
        last_size = size
        step *= min(1.0, _MAX_STEP / size)
        moved = _halve(function, beta, at, step)
        if moved is None:  # no rise within the precision of the numbers: as good as it gets
            return Maximum(beta, at, iteration, size < 1e-5)
        beta, at = moved
    return Maximum(beta, at, _MAX_ITERATIONS, False)


def _curvature(function: Callable[[np.ndarray], Evaluation], beta: np.ndarray, at: Evaluation, free: np.ndarray) -> np.ndarray:
    """Give the negative second derivative in the free directions by differences; the information where that is not positive."""
    columns = []
    for j in np.flatnonzero(free):
        shifted = beta.copy()
        shifted[j] += _DIFFERENCE
        columns.append((at.gradient - function(shifted).gradient)[free] / _DIFFERENCE)
    curvature = np.array(columns)
    curvature = (curvature + curvature.T) / 2
    is_usable = np.isfinite(curvature).all() and np.linalg.eigvalsh(curvature)[0] > 0
    return curvature if is_usable else at.information[np.ix_(free, free)]


def _halve(
    function: Callable[[np.ndarray], Evaluation], beta: np.ndarray, at: Evaluation, step: np.ndarray
) -> tuple[np.ndarray, Evaluation] | None:
    allowance = 1e-12 * (1.0 + abs(at.value))
    for _ in range(40):
        there = function(beta + step)
        if _is_finite(there) and there.value >= at.value + 1e-4 * float(at.gradient @ step) - allowance:
            return beta + step, there
        step = step / 2
    return None


def _is_finite(at: Evaluation) -> bool:
    return bool(np.isfinite(at.value) and np.isfinite(at.gradient).all() and np.isfinite(at.information).all())
