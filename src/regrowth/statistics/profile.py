"""How far a coefficient may move before the penalised likelihood falls too much: profile intervals and ratio tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regrowth.statistics.covariates import Design
from regrowth.statistics.likelihood import objective
from regrowth.statistics.newton import maximise

__all__ = ["held_at_zero", "profile_interval"]

_FARTHEST = 60.0  # standard deviations of a covariate; exp(60) is no hazard ratio


def held_at_zero(data: Design, beta: np.ndarray, best: float, held: Sequence[int]) -> float:
    """Give twice the fall of the maximised log-likelihood when some coefficients are held at 0.

    Parameters
    ----------
    data
        Data and penalty of the fit; the penalty keeps the information of all covariates.
    beta
        (p,) coefficients of the fit, per standard deviation.
    best
        The fit's maximised value.
    held
        Which coefficients are held.
    """
    free = np.ones(len(beta), dtype=bool)
    free[list(held)] = False
    start = np.where(free, beta, 0.0)
    found = maximise(objective(data.likelihood, data.penalty, data.strength), start, free, bounded=True)
    return max(2 * (best - found.at.value), 0.0) if found.converged else float("nan")


def profile_interval(
    data: Design, beta: np.ndarray, best: float, which: int, spread: float, drop: float
) -> tuple[float, float]:
    """Give the values of one coefficient, per standard deviation, at which twice the profile has fallen by `drop`.

    Parameters
    ----------
    data, beta, best
        As for `held_at_zero`.
    which
        The coefficient.
    spread
        Its standard error, by which the search begins.
    drop
        Quantile of the chi-squared distribution with one degree of freedom.
    """
    from scipy.optimize import brentq

    function = objective(data.likelihood, data.penalty, data.strength)
    free = np.arange(len(beta)) != which
    state, is_finished = beta.copy(), True

    def excess(value: float) -> float:
        nonlocal state, is_finished
        start = state.copy()
        start[which] = value
        found = maximise(function, start, free, bounded=True)
        is_finished = found.converged
        if not np.isfinite(found.at.value):
            return np.inf
        state = found.beta
        return 2 * (best - found.at.value) - drop

    limits = []
    for sign in (-1.0, 1.0):
        state = beta.copy()
        near, step = float(beta[which]), spread * float(np.sqrt(drop))
        far = near + sign * step
        while abs(far) < _FARTHEST and excess(far) < 0:
            near, step = far, 1.5 * step
            far = near + sign * step
        if abs(far) >= _FARTHEST:
            limits.append(sign * np.inf)
            continue
        # With hardly any information the profile may have two summits: where the search ended depends on where it began.
        if excess(near) > 0 or excess(far) < 0:
            limits.append(np.nan)
            continue
        try:
            root = float(brentq(excess, near, far, xtol=1e-8))
        except ValueError:  # the signs changed once more
            limits.append(np.nan)
            continue
        # An unfinished profile lies too low and would make the interval too narrow.
        limits.append(root if abs(excess(root)) < 1e-4 and is_finished else np.nan)
    return (limits[0], limits[1])
