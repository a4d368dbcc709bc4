"""Which data a Cox model can be fitted to: checked, centred, scaled and sorted into risk sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.likelihood import PartialLikelihood, Penalty, risk_sets
from regrowth.statistics.times import checked_times

__all__ = ["Design", "checked_covariates", "design"]

# Smallest eigenvalue of the correlation matrix that still counts as a direction of its own: 1 - R^2 of 1e-10.
_COLLINEAR = 1e-10


@dataclass(frozen=True, eq=False)
class Design:
    """Data of a Cox model.

    `time` (n,), `event` (n,) bool, `x` (n, p) covariates as given, `stratum` (n,) int from 0, `means` and `scales` (p,), the
    sorted `likelihood` of (x - means) / scales, and the penalty.
    """

    names: tuple[str, ...]
    time: np.ndarray
    event: np.ndarray
    x: np.ndarray
    stratum: np.ndarray
    stratum_names: tuple[str, ...]
    means: np.ndarray
    scales: np.ndarray
    likelihood: PartialLikelihood
    penalty: Penalty
    strength: float

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.time)

    @property
    def n_events(self) -> int:
        """Number of events."""
        return int(self.event.sum())

    def used_strata(self) -> list[np.ndarray]:
        """Give the (n,) bool masks of the strata with events, in the order of `likelihood`."""
        return _with_events(self.stratum, self.event)

    def event_times(self) -> list[np.ndarray]:
        """Give the times of the events of each stratum of `likelihood`, latest first as the events lie there."""
        return [np.sort(self.time[mask & self.event])[::-1] for mask in self.used_strata()]

    def same_patients(self, other: Design) -> bool:
        """Tell whether times, events and strata are those of another design, in the same order."""
        pairs = ((self.time, other.time), (self.event, other.event), (self.stratum, other.stratum))
        return all(np.array_equal(a, b) for a, b in pairs)


def design(
    time: ArrayLike,
    event: ArrayLike,
    covariates: ArrayLike,
    names: Sequence[str],
    strata: ArrayLike | None,
    penalty: Penalty,
    strength: float,
) -> Design:
    """Check and prepare the data of a Cox model; see `regrowth.statistics.cox.cox` for parameters and errors.

    Raises
    ------
    ParameterError
        If the data cannot be used.
    """
    times, events = checked_times(time, event)
    x, labels = checked_covariates(covariates, names, len(times))
    if not events.any():
        raise ParameterError(f"none of the {len(times)} patients has an event, so no hazard ratio can be estimated")
    stratum, stratum_names = _strata(strata, len(times))
    means, scales = x.mean(axis=0), x.std(axis=0, ddof=1) if len(x) > 1 else np.zeros(x.shape[1])
    constant = scales <= 1e-12 * np.maximum(np.abs(means), 1e-300)
    if constant.any():
        which = ", ".join(f"{labels[j]} (always {x[0, j]:g})" for j in np.flatnonzero(constant))
        raise ParameterError(f"{which} does not vary among the {len(times)} patients; leave it out")
    scaled = (x - means) / scales
    # A stratum without events says nothing; in the others nothing is learnt from who left before the first event.
    used = _with_events(stratum, events)
    if penalty != "ridge":
        _refuse_collinear(np.concatenate([_informative(scaled, times, events, mask) for mask in used]), labels)
    likelihood = PartialLikelihood(tuple(risk_sets(times[mask], events[mask], scaled[mask]) for mask in used))
    return Design(labels, times, events, x, stratum, stratum_names, means, scales, likelihood, penalty, float(strength))


def checked_covariates(covariates: ArrayLike, names: Sequence[str], n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Give the covariates as (n, p) float and the names as a tuple.

    Raises
    ------
    ParameterError
        If they are not numbers, of another shape, missing or infinite, or if names are doubled.
    """
    labels = (names,) if isinstance(names, str) else tuple(names)
    try:
        x = np.asarray(covariates, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError("covariates must be numbers; write a category as 0 and 1") from None
    x = x[:, None] if x.ndim == 1 else x
    if x.shape != (n, len(labels)) or not labels:
        raise ParameterError(
            f"covariates must be of shape ({n}, {len(labels)}) for {n} patients and {len(labels)} names, not {x.shape}"
        )
    if len(set(labels)) < len(labels):
        raise ParameterError(f"covariates need different names, not {', '.join(labels)}")
    bad = ~np.isfinite(x)
    if bad.any():
        which = ", ".join(f"{labels[j]} ({bad[:, j].sum()})" for j in np.flatnonzero(bad.any(axis=0)))
        raise ParameterError(f"values are missing or infinite in {which}; leave such patients out or impute them first")
    return x, labels


def _strata(strata: ArrayLike | None, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    if strata is None:
        return np.zeros(n, dtype=np.int64), ("all",)
    values = np.asarray(strata)
    if values.shape != (n,):
        raise ParameterError(f"each of the {n} patients needs one stratum; there are strata of shape {values.shape}")
    if any(v is None or v != v for v in values.tolist()):
        raise ParameterError("the stratum of some patients is missing; leave them out or give them a stratum of their own")
    found, place = np.unique(values, return_inverse=True)
    return place.astype(np.int64), tuple(str(v) for v in found)


def _with_events(stratum: np.ndarray, event: np.ndarray) -> list[np.ndarray]:
    return [mask for s in range(int(stratum.max()) + 1) if event[mask := stratum == s].any()]


def _informative(scaled: np.ndarray, times: np.ndarray, events: np.ndarray, mask: np.ndarray) -> np.ndarray:
    at_risk = scaled[mask & (times >= times[mask & events].min())]
    return at_risk - at_risk.mean(axis=0)


def _refuse_collinear(rows: np.ndarray, names: tuple[str, ...]) -> None:
    gram = rows.T @ rows / max(len(rows) - 1, 1)
    diagonal = np.diag(gram)
    flat = diagonal <= _COLLINEAR
    if flat.any():
        which = ", ".join(names[j] for j in np.flatnonzero(flat))
        raise ParameterError(
            f"{which} does not vary among the patients at risk when events happen (within strata); leave it out"
        )
    root = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(gram / np.outer(root, root))
    if values[0] > _COLLINEAR:
        return
    tied = np.abs(vectors[:, values <= _COLLINEAR]).max(axis=1) > 1e-4
    which = ", ".join(name for name, is_tied in zip(names, tied, strict=True) if is_tied)
    raise ParameterError(
        f"{which} are collinear: one follows from the others, so their effects cannot be told apart; leave one out"
    )
