"""Whether a regression asks too much of its data: events per covariate, and covariates that repeat each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.covariates import checked_covariates

__all__ = ["LEAST_EVENTS_PER_VARIABLE", "EventsPerVariable", "events_per_variable", "variance_inflation"]

LEAST_EVENTS_PER_VARIABLE = 10.0
"""Below this many events per covariate coefficients and intervals of a Cox model are unreliable."""


@dataclass(frozen=True)
class EventsPerVariable:
    """Events per covariate, whether that is fewer than `least`, and a sentence for the reader, empty if it is enough."""

    value: float
    n_events: int
    n_variables: int
    least: float
    is_low: bool
    message: str


def events_per_variable(n_events: int, n_variables: int, least: float = LEAST_EVENTS_PER_VARIABLE) -> EventsPerVariable:
    """Give the events per covariate and flag too few.

    Parameters
    ----------
    n_events
        Events, not patients.
    n_variables
        Coefficients that were estimated or tried.
    least
        Fewer than these are flagged (10: Peduzzi et al. 1995, doi:10.1016/0895-4356(95)00048-8).

    Raises
    ------
    ParameterError
        If there are no covariates or the number of events is negative.
    """
    if n_variables < 1 or n_events < 0:
        raise ParameterError(f"events per variable needs at least 1 covariate and 0 events, not {n_variables} and {n_events}")
    value = n_events / n_variables
    low = value < least
    message = (
        f"{n_events} events for {n_variables} covariates are {value:.1f} per covariate, fewer than {least:g}: coefficients "
        "and intervals are unreliable; use fewer covariates, or penalty='firth' or 'ridge'"
    )
    return EventsPerVariable(value, int(n_events), int(n_variables), least, low, message if low else "")


def variance_inflation(covariates: ArrayLike, names: Sequence[str]) -> dict[str, float]:
    """Give for each covariate by how much the others inflate the variance of its coefficient.

    Parameters
    ----------
    covariates
        (n, p) without missing values.
    names
        p names.

    Returns
    -------
    dict
        Name to 1 / (1 - R^2), R^2 being that of the covariate on the others: 1 if it is uncorrelated with them, infinite if
        they determine it, NaN if it does not vary.

    Raises
    ------
    ParameterError
        If values cannot be used.
    """
    x, labels = checked_covariates(covariates, names, len(np.asarray(covariates)))
    centred = x - x.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    varies = norms > 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300) * np.sqrt(len(x))
    scaled = centred / np.where(varies, norms, 1.0)
    return {name: _inflation(scaled, j) if varies[j] else float("nan") for j, name in enumerate(labels)}


def _inflation(scaled: np.ndarray, j: int) -> float:
    others = np.delete(scaled, j, axis=1)
    if not others.shape[1]:
        return 1.0
    fitted = others @ np.linalg.lstsq(others, scaled[:, j], rcond=1e-10)[0]
    unexplained = float(np.sum((scaled[:, j] - fitted) ** 2))
    return 1.0 / unexplained if unexplained > 1e-10 else float("inf")
