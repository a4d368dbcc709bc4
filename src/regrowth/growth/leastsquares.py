"""How many small non-linear least-squares problems are solved at once, within bounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["jacobian", "minimise_squares"]

Array = NDArray[np.float64]
Residuals = Callable[[Array], Array]

_STEP = 1e-6
_MAX_DAMPING = 1e12


def jacobian(residuals: Residuals, theta: Array, at: Array) -> Array:
    """Differentiate the residuals of each row by forward differences, shape (k, m, p); `at` holds the residuals (k, m)."""
    k, p = theta.shape
    moved = (theta[:, None, :] + _STEP * np.eye(p)).reshape(k * p, p)
    return ((residuals(moved).reshape(k, p, -1) - at[:, None, :]) / _STEP).transpose(0, 2, 1)


def minimise_squares(
    residuals: Residuals, start: Array, lower: Array, upper: Array, max_iterations: int = 200, tolerance: float = 1e-7
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Minimise half the sum of squares of each row by the method of Levenberg and Marquardt.

    All rows are solved side by side, so that starts, bootstrap draws and patients' curves cost one vectorised call each step.

    Parameters
    ----------
    residuals
        Function of parameters, shape (k, p), that gives residuals, shape (k, m); row i of the result must depend on row i
        only, and on i only through ``i // p`` repeats: it is called with k rows and with k * p rows.
    start
        Where each row begins, shape (k, p); clipped to the bounds.
    lower, upper
        Bounds, shape (p,).
    max_iterations
        Steps at most.
    tolerance
        A row is done when its step is shorter than this, or lowers the objective by less than 1e-6.

    Returns
    -------
    tuple
        Parameters (k, p), half the sum of squares (k,), and which rows converged (k,).
    """
    theta = np.clip(start, lower, upper)
    r = residuals(theta)
    cost = 0.5 * (r**2).sum(axis=1)
    damping = np.full(len(theta), 1e-2)
    done = np.zeros(len(theta), bool)
    identity = np.eye(theta.shape[1])
    slope = jacobian(residuals, theta, r)
    for _ in range(max_iterations):
        gradient = np.einsum("kmp,km->kp", slope, r)
        # A parameter that presses against its bound is held there, else clipping spoils the step of the others.
        held = ((theta <= lower) & (gradient > 0)) | ((theta >= upper) & (gradient < 0))
        free = ~held
        curvature = np.einsum("kmp,kmq->kpq", slope, slope) * free[:, :, None] * free[:, None, :]
        scale = np.einsum("kpp->kp", curvature) + held + 1e-12
        system = curvature + (damping[:, None] * scale + held)[:, :, None] * identity
        step = -np.linalg.solve(system, (gradient * free)[:, :, None])[:, :, 0]
        trial = np.clip(theta + step, lower, upper)
        r_trial = residuals(trial)
        cost_trial = 0.5 * (r_trial**2).sum(axis=1)
        better = (cost_trial < cost) & ~done
        small = (np.abs(trial - theta).max(axis=1) < tolerance) | (better & (cost - cost_trial < 1e-6))
        theta = np.where(better[:, None], trial, theta)
        r, cost = np.where(better[:, None], r_trial, r), np.where(better, cost_trial, cost)
        damping = np.where(better, damping / 5, damping * 4).clip(1e-12, _MAX_DAMPING)
        done |= small | (damping >= _MAX_DAMPING)
        if done.all():
            break
        if better.any():
            slope = jacobian(residuals, theta, r)
    return theta, cost, done
