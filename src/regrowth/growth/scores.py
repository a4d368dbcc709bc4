"""How far a forecast lies from what was observed: of one volume, of a distribution, of a mask, of a probability map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth.estimate import Estimate, share_interval
from regrowth.metrics import dice, hausdorff
from regrowth.space import Grid

__all__ = [
    "Calibration",
    "MapScores",
    "MaskScores",
    "average_precision",
    "brier",
    "calibration",
    "crps_quantiles",
    "crps_samples",
    "interval_coverage",
    "log_error",
    "map_scores",
    "mask_scores",
    "relative_error",
]


def relative_error(forecast: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Error as a share of what was observed, |f - o| / o; NaN where nothing was observed (o = 0) or a value is missing.

    It forgives a forecast that is too low (at most 1) more than one that is too high; see `log_error`.
    """
    f, o = _volumes(forecast, observed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(o > 0, np.abs(f - o) / o, np.nan)


def log_error(forecast: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Error as a factor, |ln(f / o)|, the same for twice and for half; NaN where one of both is 0 or missing."""
    f, o = _volumes(forecast, observed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((o > 0) & (f > 0), np.abs(np.log(f / o)), np.nan)


def crps_samples(samples: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score from draws, by the fair estimator.

    ``mean |x - o| - sum_ij |x_i - x_j| / (2 s (s - 1))`` over the s draws (Ferro 2014, doi:10.1002/qj.2270): its expectation
    does not depend on the number of draws, as that of the plain estimator does. It may be below 0 for a lucky draw.

    Parameters
    ----------
    samples
        (s, ...) draws, s at least 2.
    observed
        (...) observations, in the unit of the draws.

    Returns
    -------
    numpy.ndarray
        (...) in the unit of the draws; NaN where a draw or the observation is missing.
    """
    x, o = np.asarray(samples, float), np.asarray(observed, float)
    if x.ndim < 1 or x.shape[0] < 2 or x.shape[1:] != o.shape:
        raise ParameterError(
            f"a score needs two or more draws along the first axis per observation, not {x.shape} for {o.shape}; "
            "score a single number by relative_error"
        )
    s = x.shape[0]
    ordered = np.sort(x, axis=0)
    weight = (2 * np.arange(1, s + 1) - s - 1).reshape(-1, *([1] * o.ndim))
    spread = (weight * ordered).sum(axis=0) / (s * (s - 1))  # half the mean distance of two different draws
    return np.asarray(np.abs(x - o).mean(axis=0) - spread)


def crps_quantiles(levels: np.ndarray, quantiles: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score from quantiles, ``2 integral of the pinball loss over the levels``.

    The quantile function is taken as linear between the levels and constant beyond the outer ones; the integral of that is
    exact (Gneiting and Raftery 2007, doi:10.1198/016214506000001437, for the identity). One level gives the absolute error.

    Parameters
    ----------
    levels
        (q,) rising, between 0 and 1.
    quantiles
        (q, ...) values, not falling along the first axis.
    observed
        (...) observations.
    """
    tau, q, o = np.asarray(levels, float), np.asarray(quantiles, float), np.asarray(observed, float)
    if tau.ndim != 1 or not tau.size or q.shape != (tau.size, *o.shape):
        raise ParameterError(f"quantiles of shape {q.shape} do not fit {tau.shape} levels and observations of shape {o.shape}")
    if (np.diff(tau) <= 0).any() or tau[0] < 0 or tau[-1] > 1:
        raise ParameterError(f"quantile levels rise from 0 to 1, not {tau.tolist()}")
    if (np.diff(q, axis=0) < 0).any():
        raise InputError("the quantiles fall with their level; sort them, or see why the model crosses them")
    edges = np.concatenate([[0.0], tau, [1.0]])
    values = np.concatenate([q[:1], q, q[-1:]])
    total = np.zeros(o.shape)
    for i in range(len(edges) - 1):
        total += _pinball_integral(edges[i], edges[i + 1], values[i], values[i + 1], o)
    return np.asarray(2 * total)


def _pinball_integral(t1: float, t2: float, q1: np.ndarray, q2: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Integrate the pinball loss over levels t1 to t2 with quantiles from q1 to q2 on a straight line."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(q2 > q1, np.clip((o - q1) / (q2 - q1), 0, 1), np.where(o >= q1, 1.0, 0.0))
    share = np.where(np.isnan(o) | np.isnan(q1) | np.isnan(q2), np.nan, share)

    def simpson(a: np.ndarray, b: np.ndarray, above: float) -> np.ndarray:
        """Integrate between shares a and b of the segment; exact, the loss is quadratic in the level."""

        def loss(u: np.ndarray) -> np.ndarray:
            return np.asarray((t1 + u * (t2 - t1) - above) * (o - (q1 + u * (q2 - q1))))

        return (b - a) * (t2 - t1) / 6 * (loss(a) + 4 * loss((a + b) / 2) + loss(b))

    # Up to the crossing the quantile lies below the observation, beyond it above.
    return simpson(np.zeros_like(share), share, 0.0) + simpson(share, np.ones_like(share), 1.0)


def interval_coverage(low: np.ndarray, high: np.ndarray, observed: np.ndarray, level: float = 0.95) -> Estimate:
    """Share of the observations inside their intervals, ends included, with Wilson's interval at `level`.

    Triples with a missing value are left out; `n` of the result says how many were counted.

    Raises
    ------
    InputError
        If an interval ends before it begins.
    """
    low, high, o = (np.asarray(a, float) for a in (low, high, observed))
    if not low.shape == high.shape == o.shape:
        raise InputError(f"each observation needs one interval, got shapes {low.shape}, {high.shape} and {o.shape}")
    if (low > high).any():
        raise InputError("an interval has a lower end above its upper end; pass low and high in this order")
    known = np.isfinite(o) & ~np.isnan(low) & ~np.isnan(high)
    return share_interval(((low <= o) & (o <= high))[known], level)


@dataclass(frozen=True)
class MaskScores:
    """Agreement of a forecast mask with the observed one; NaN with a reason where a mask is empty.

    `dice` is 0 when exactly one is empty (a forecast of no tumour where there is one overlaps nothing); `hd95_mm` is NaN then.
    """

    dice: float
    hd95_mm: float
    reason: str = ""


def mask_scores(
    forecast: np.ndarray, observed: np.ndarray, grid: Grid, definition: Literal["mesh", "voxel", "pooled"] = "mesh"
) -> MaskScores:
    """Dice and HD95 of a forecast mask (`regrowth.metrics.dice` and `hausdorff`, whose `definition` is named).

    Raises
    ------
    GridMismatchError
        If a mask does not fit the grid.
    """
    overlap = dice(forecast, observed)
    surface = hausdorff(forecast, observed, grid, 95.0, definition)
    return MaskScores(float(overlap.dice), surface.value_mm, surface.reason)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Whether events happen as often as a map says.

    Parameters
    ----------
    edges
        (b + 1,) bounds of the bins; a value on a bound belongs to the bin above it, 1 to the last one.
    counts
        (b,) voxels per bin.
    mean_probability, observed_share
        (b,) NaN in empty bins.
    error
        Expected calibration error, the mean of |probability - share| weighted by the counts.
    largest_error
        Its largest value over the bins.
    n
        Voxels.
    reason
        Why there are no values.
    """

    edges: np.ndarray
    counts: np.ndarray
    mean_probability: np.ndarray
    observed_share: np.ndarray
    error: float
    largest_error: float
    n: int
    reason: str = ""


def brier(probability: np.ndarray, outcome: np.ndarray) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); NaN without voxels.

    Parameters
    ----------
    probability
        (n,) or any shape, 0 to 1. Choose the voxels before: far voxels where everybody says 0 lower every score.
    outcome
        Bool of the same shape.
    """
    p, y = _probabilities(probability, outcome)
    return float(((p - y) ** 2).mean()) if p.size else float("nan")


def calibration(
    probability: np.ndarray, outcome: np.ndarray, n_bins: int = 10, binning: Literal["width", "count"] = "width"
) -> Calibration:
    """Compare probabilities with observed shares in bins (Naeini et al. 2015, PMID 25927013).

    Parameters
    ----------
    probability, outcome
        As in `brier`.
    n_bins
        Number of bins. Bins of equal count are fewer where values repeat.
    binning
        ``width``: equal widths from 0 to 1. ``count``: equal counts, which suits maps that are 0 nearly everywhere.
    """
    if n_bins < 1 or binning not in ("width", "count"):
        raise ParameterError(f"a calibration needs one or more bins of equal 'width' or 'count', not {n_bins} of {binning!r}")
    p, y = _probabilities(probability, outcome)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    if not p.size:
        none = np.full(n_bins, np.nan)
        return Calibration(edges, np.zeros(n_bins, int), none, none, np.nan, np.nan, 0, "no voxels")
    if binning == "count":
        inner = np.unique(np.quantile(p, edges[1:-1]))
        edges = np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]])
    bins = len(edges) - 1
    which = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean, share = (np.bincount(which, w, minlength=bins) / counts for w in (p, y.astype(float)))
    gap = np.abs(mean - share)[counts > 0]
    error = float((gap * counts[counts > 0]).sum() / p.size)
    return Calibration(edges, counts, mean, share, error, float(gap.max()), p.size)


def average_precision(scores: np.ndarray, outcome: np.ndarray) -> float:
    """Area under precision against recall by rank, ``sum (R_k - R_k-1) P_k`` over the distinct scores.

    Voxels of equal score enter together, so that no order of ties matters; a constant map gets the share of positive voxels.

    Parameters
    ----------
    scores
        Any shape, higher is likelier; only their order counts.
    outcome
        Bool of the same shape.

    Returns
    -------
    float
        NaN when no outcome is true.
    """
    s, y = np.asarray(scores).ravel(), np.asarray(outcome, bool).ravel()
    if s.shape != y.shape:
        raise GridMismatchError(f"scores and outcome have {s.size} and {y.size} voxels; bring them onto one grid")
    if not np.isfinite(s).all():
        raise InputError(f"{int((~np.isfinite(s)).sum())} of {s.size} scores are NaN or infinite; leave these voxels out")
    if not y.any():
        return float("nan")
    order = np.argsort(-s, kind="stable")
    s, y = s[order], y[order]
    last = np.append(np.flatnonzero(np.diff(s)), s.size - 1)  # the last voxel of every group of equal scores
    hits = np.cumsum(y)[last]
    return float((np.diff(hits, prepend=0) / y.sum() * hits / (last + 1)).sum())


@dataclass(frozen=True)
class MapScores:
    """Scores of a probability map against an observed mask over some voxels; NaN with a reason where not defined."""

    brier: float
    calibration_error: float
    average_precision: float
    n_voxels: int
    n_positive: int
    reason: str = ""


def map_scores(probability: np.ndarray, observed: np.ndarray, allowed: np.ndarray, grid: Grid) -> MapScores:
    """Score a probability map over the allowed voxels, (X, Y, Z) each.

    Brier score, expected calibration error in 10 bins of equal width, and average precision. All depend on which voxels are
    counted, so that maps are compared over the same `allowed` voxels only.
    """
    arrays = {"the map": probability, "the observed mask": observed, "the mask of allowed voxels": allowed}
    for what, array in arrays.items():
        if np.shape(array) != grid.shape:
            raise GridMismatchError(
                f"{what} has shape {np.shape(array)} but the grid {grid.shape}; bring it onto the grid with "
                "regrowth.space.resample_image or resample_labels"
            )
    inside = np.asarray(allowed, bool)
    p, y = np.asarray(probability)[inside], np.asarray(observed, bool)[inside]
    reason = "" if y.any() else "no observed voxel lies inside of the allowed ones"
    return MapScores(brier(p, y), calibration(p, y).error, average_precision(p, y), p.size, int(y.sum()), reason)


def _volumes(forecast: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    f, o = np.asarray(forecast, float), np.asarray(observed, float)
    if f.shape != o.shape:
        raise InputError(f"each forecast needs one observation, got shapes {f.shape} and {o.shape}")
    if (f < 0).any() or (o < 0).any():
        raise InputError("volumes cannot be negative; check the table")
    return f, o


def _probabilities(probability: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probability, float).ravel(), np.asarray(outcome, bool).ravel()
    if p.shape != y.shape:
        raise GridMismatchError(f"probabilities and outcome have {p.size} and {y.size} voxels; bring them onto one grid")
    bad = int((~np.isfinite(p)).sum())
    if bad:
        raise InputError(f"{bad} of {p.size} probabilities are NaN or infinite; repair the map or leave these voxels out")
    if p.size and (p.min() < 0 or p.max() > 1):
        raise InputError(f"probabilities lie between 0 and 1, not from {p.min():g} to {p.max():g}; scale the map first")
    return p, y
