"""How sure a growth map may be: what came in other patients at each of its levels, and the map corrected by that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import InputError, ParameterError
from regrowth.growth.scores import Calibration

__all__ = [
    "PRIOR_PATIENTS",
    "MapCalibration",
    "MapHistogram",
    "learn_map_calibration",
    "level_edges",
    "map_histogram",
    "pooled_calibration",
]

PRIOR_PATIENTS = 2.0
"""The identity counts as much as this many patients whose maps came true."""

_MOST_LEVELS = 50
_SLOPES = (0.05, 20.0)


@dataclass(frozen=True, eq=False)
class MapHistogram:
    """How often tumour came at each level of one map.

    Parameters
    ----------
    edges
        (b + 1,) bounds of the levels, from 0 to 1; the first holds the voxels that no simulation reached.
    n_voxels, n_tumour
        (b,) voxels of the level, and those where tumour came.
    mean_probability
        (b,) NaN in empty levels.
    """

    edges: np.ndarray
    n_voxels: np.ndarray
    n_tumour: np.ndarray
    mean_probability: np.ndarray

    def __post_init__(self) -> None:
        b = len(self.n_voxels)
        if len(self.edges) != b + 1 or len(self.n_tumour) != b or len(self.mean_probability) != b:
            raise InputError("a histogram of b levels has b + 1 edges, b counts of voxels and of tumour, and b means")
        if (np.asarray(self.n_tumour) > self.n_voxels).any() or (np.asarray(self.n_tumour) < 0).any():
            raise InputError("a level of a map holds more voxels with tumour than voxels")

    @property
    def observed_share(self) -> np.ndarray:
        """(b,) share of each level where tumour came; NaN in empty levels."""
        counts = np.asarray(self.n_voxels, float)
        return np.divide(self.n_tumour, counts, out=np.full(counts.shape, np.nan), where=counts > 0)

    def calibration_error(self, calibration: MapCalibration | None = None) -> float:
        """Mean of |probability - share| over the levels, weighted by voxels; of the corrected map if a correction is given."""
        used = np.asarray(self.n_voxels) > 0
        if not used.any():
            return float("nan")
        p = self.mean_probability[used]
        p = p if calibration is None else calibration.apply(p)
        return float(np.average(np.abs(p - self.observed_share[used]), weights=self.n_voxels[used]))

    def brier(self, calibration: MapCalibration | None = None) -> float:
        """Mean squared difference of the level's mean probability and the outcome; of the corrected map if one is given."""
        used = np.asarray(self.n_voxels) > 0
        if not used.any():
            return float("nan")
        p = self.mean_probability[used]
        p, share = p if calibration is None else calibration.apply(p), self.observed_share[used]
        return float(np.average((p - share) ** 2 + share * (1 - share), weights=self.n_voxels[used]))


@dataclass(frozen=True)
class MapCalibration:
    """A correction of maps, ``logistic(intercept + slope logit(q))`` with ``q = (m p + 1/2) / (m + 1)``.

    `q` keeps the shares 0 and 1 of a finite number of simulations from standing for certainty. It is Platt's scaling with the
    map itself as the score (Platt 1999; Böken, Information Systems 95, 2021). It never changes the order of voxels.

    Parameters
    ----------
    slope
        Above 0; below 1 when maps are too sure.
    intercept
        Below 0 when maps foretell too much.
    members
        Number m of simulations of a map.
    n_patients
        How many patients it was learned from.
    """

    slope: float
    intercept: float
    members: int
    n_patients: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope > 0 and np.isfinite(self.intercept)) or self.members < 1:
            raise ParameterError("a calibration has a slope above 0, a finite intercept, and maps of at least 1 member")

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Correct a map (X, Y, Z), or any array of probabilities; float32 stays float32.

        Raises
        ------
        InputError
            Values that are no probabilities.
        """
        p = np.asarray(probability)
        if p.size and not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1):
            raise InputError("a map holds values outside of 0 to 1; scale it, or replace NaN by 0, first")
        kind = p.dtype if p.dtype.kind == "f" else np.float64
        odds = self.intercept + self.slope * _smoothed_odds(p.astype(np.float64), self.members)
        return np.asarray(_logistic(odds), kind)


def map_histogram(probability: np.ndarray, observed: np.ndarray, allowed: np.ndarray, members: int) -> MapHistogram:
    """Count how often tumour came at each level of a map.

    Parameters
    ----------
    probability
        (X, Y, Z) 0 to 1.
    observed
        (X, Y, Z) bool, the tumour that came.
    allowed
        (X, Y, Z) bool, voxels that count.
    members
        Simulations of the map: there are as many levels as it can have values, at most 51, each centred on such a value.

    Raises
    ------
    InputError
        Arrays of different shapes, values that are no probabilities.
    ParameterError
        No members.
    """
    if members < 1:
        raise ParameterError(f"a map needs at least one member, not {members}")
    p, y, inside = np.asarray(probability, float), np.asarray(observed, bool), np.asarray(allowed, bool)
    if not p.shape == y.shape == inside.shape:
        raise InputError(f"map, tumour and allowed voxels differ in shape: {p.shape}, {y.shape}, {inside.shape}")
    p, y = p[inside], y[inside]
    if p.size and not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1):
        raise InputError("a map holds values outside of 0 to 1 among the allowed voxels")
    edges = level_edges(members)
    levels = len(edges) - 2
    which = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, levels)
    counts = np.bincount(which, minlength=levels + 1)
    tumour = np.bincount(which[y], minlength=levels + 1)
    total = np.bincount(which, p, minlength=levels + 1)
    mean = np.divide(total, counts, out=np.full(levels + 1, np.nan), where=counts > 0)
    return MapHistogram(edges, counts, tumour, mean)


def level_edges(members: int) -> np.ndarray:
    """Bounds of the levels of a map of so many simulations, from 0 to 1; each level is centred on a value that it can have."""
    levels = min(members, _MOST_LEVELS)
    return np.concatenate([[0.0], (np.arange(levels) + 0.5) / levels, [1.0]])


def learn_map_calibration(histograms: Sequence[MapHistogram], members: int) -> MapCalibration:
    """Learn from patients with a known outcome how maps must be corrected.

    The likelihood of all voxels is maximised over slope and intercept. Every patient has the same weight, whatever the voxels
    of the scan; and `PRIOR_PATIENTS` more, with the average counts of the others, are added whose maps came true to the letter:
    with few patients the correction stays near the identity.

    Parameters
    ----------
    histograms
        One per patient, at least one with voxels.
    members
        Simulations of the maps that will be corrected.

    Returns
    -------
    MapCalibration
        With a slope above 0.

    Raises
    ------
    InputError
        If no patient has voxels.
    """
    from scipy.optimize import minimize

    used = [h for h in histograms if np.sum(h.n_voxels) > 0]
    if not used:
        raise InputError("a correction of maps is learned from at least one patient whose outcome is known")
    odds, share, weight = [], [], []
    for h in used:
        there = np.asarray(h.n_voxels) > 0
        p, n = h.mean_probability[there], h.n_voxels[there] / np.sum(h.n_voxels)
        for outcome, patients in ((h.observed_share[there], 1.0), (p, PRIOR_PATIENTS / len(used))):
            odds.append(_smoothed_odds(p, members))
            share.append(outcome)
            weight.append(patients * n)
    x, y, w = (np.concatenate(v) for v in (odds, share, weight))

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        z = theta[0] + np.exp(theta[1]) * x
        miss = w * (_logistic(z) - y)
        value = float((w * (np.logaddexp(0, z) - y * z)).sum())
        return value * 1e3, np.array([miss.sum(), np.exp(theta[1]) * (miss * x).sum()]) * 1e3

    bounds = [(-20.0, 20.0), (np.log(_SLOPES[0]), np.log(_SLOPES[1]))]
    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-10})
    return MapCalibration(float(np.exp(found.x[1])), float(found.x[0]), members, len(used))


def pooled_calibration(
    histograms: Sequence[MapHistogram], calibrations: Sequence[MapCalibration] | None = None, n_bins: int = 10
) -> Calibration:
    """Reliability of the maps of all patients together, as they are or each with its correction.

    Parameters
    ----------
    histograms
        One per patient.
    calibrations
        One per patient, learned from the others.
    n_bins
        Bins of equal width.
    """
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    counts, sums, hits = np.zeros(n_bins, int), np.zeros(n_bins), np.zeros(n_bins)
    for i, h in enumerate(histograms):
        used = np.asarray(h.n_voxels) > 0
        p = h.mean_probability[used]
        p = p if calibrations is None else calibrations[i].apply(p)
        which = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, n_bins - 1)
        n = np.asarray(h.n_voxels)[used]
        np.add.at(counts, which, n.astype(int))
        np.add.at(sums, which, n * p)
        np.add.at(hits, which, np.asarray(h.n_tumour, float)[used])
    total = int(counts.sum())
    none = np.full(n_bins, np.nan)
    if not total:
        return Calibration(edges, counts, none, none, np.nan, np.nan, 0, "no voxels")
    mean, share = (np.divide(v, counts, out=none.copy(), where=counts > 0) for v in (sums, hits))
    gap = np.abs(mean - share)[counts > 0]
    return Calibration(edges, counts, mean, share, float(np.average(gap, weights=counts[counts > 0])), float(gap.max()), total)


def _smoothed_odds(p: np.ndarray, members: int) -> np.ndarray:
    q = (p * members + 0.5) / (members + 1)
    return np.asarray(np.log(q / (1 - q)))


def _logistic(odds: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(odds))
