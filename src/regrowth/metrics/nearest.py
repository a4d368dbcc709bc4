"""What percentile the distances from many points to their nearest neighbours have, without measuring most of them.

The distance to a fixed set is 1-Lipschitz: two points a mm apart differ by at most a mm in it. One measured point per small
block so bounds all others of its block from both sides, and only the points whose bounds straddle the percentile need to be
measured. The percentile is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

__all__ = ["NearestDistances", "nearest_tree", "percentile_of", "weighted_percentile"]

_SLACK_MM = 1e-9  # rounding of the bounds
_LEVELS = (0.4, None)  # edges of smaller blocks, as a share of the first, before what is left is measured


def nearest_tree(points_mm: np.ndarray) -> cKDTree:
    """Index (n, 3) points for nearest-neighbour queries; unbalanced, which is built faster and queried as fast."""
    return cKDTree(points_mm, leafsize=32, balanced_tree=False)


class NearestDistances:
    """Distances from points to the nearest of a set, each measured when it is needed.

    Parameters
    ----------
    points_mm
        (n, 3) where distances are wanted, n at least 1.
    tree
        The set.
    block_mm
        Edge of the blocks of which one point each is measured at once.
    """

    def __init__(self, points_mm: np.ndarray, tree: cKDTree, block_mm: float) -> None:
        self._points, self._tree, self._block_mm = points_mm, tree, block_mm
        self.lower = np.zeros(len(points_mm))
        self.upper = np.full(len(points_mm), np.inf)
        self.narrow(np.arange(len(points_mm)), 1.0)

    def narrow(self, index: np.ndarray, share: float) -> None:
        """Narrow the bounds at some points by measuring one per block of `share` times the first edge."""
        points = self._points[index]
        first = _one_per_block(points, share * self._block_mm)
        known = np.empty(len(index))
        chosen = np.flatnonzero(np.bincount(first, minlength=len(index)))
        known[chosen] = self._tree.query(points[chosen])[0]
        away = points - points[first]
        away = np.sqrt(np.einsum("ij,ij->i", away, away))
        self.lower[index] = np.maximum(self.lower[index], known[first] - away)
        self.upper[index] = np.minimum(self.upper[index], known[first] + away)

    def measure(self, index: np.ndarray) -> None:
        """Measure the distances at some points."""
        index = index[self.upper[index] > self.lower[index]]
        if index.size:
            self.lower[index] = self.upper[index] = self._tree.query(self._points[index])[0]

    def all_mm(self) -> np.ndarray:
        """(n,) all distances."""
        self.measure(np.arange(len(self._points)))
        return self.lower


def _one_per_block(points_mm: np.ndarray, block_mm: float) -> np.ndarray:
    """(n,) for each point the index of one point of its block."""
    cell = ((points_mm - points_mm.min(axis=0)) / block_mm).astype(np.int64)
    size = cell.max(axis=0) + 1
    key = (cell[:, 0] * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
    if size.prod() > 50 * len(points_mm):  # few points in a large box
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        return np.asarray(first[inverse])
    table = np.zeros(int(size.prod()), np.int64)
    table[key] = np.arange(len(points_mm))
    return np.asarray(table[key])


def weighted_percentile(values: np.ndarray, weights: np.ndarray, percentile: float) -> float:
    """Smallest value up to which at least `percentile` per cent of the weight lies; `values` and `weights` are (n,)."""
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    rank = np.searchsorted(sums, sums[-1] * (percentile / 100.0) * (1 - 1e-12))
    return float(values[order[min(int(rank), len(order) - 1)]])


def percentile_of(distances: Sequence[NearestDistances], percentile: float, weights: np.ndarray | None = None) -> float:
    """Percentile of distances, pooled over several sets of points.

    Parameters
    ----------
    distances
        One or more sets.
    percentile
        0 to 100.
    weights
        (n,) weight of each point of all sets in turn: the value is then `weighted_percentile`. Without weights it is
        interpolated linearly between order statistics, as by `numpy.percentile` and `torch.quantile`.

    Returns
    -------
    float
        In mm.
    """
    for share in _LEVELS:
        wanted = _straddling(distances, percentile, weights)
        for d, index in zip(distances, wanted, strict=True):
            if share is None:
                d.measure(index)
            elif index.size:
                d.narrow(index, share)
    values = np.concatenate([d.lower for d in distances])
    return float(np.percentile(values, percentile)) if weights is None else weighted_percentile(values, weights, percentile)


def _straddling(distances: Sequence[NearestDistances], percentile: float, weights: np.ndarray | None) -> list[np.ndarray]:
    """Points of each set whose bounds leave open on which side of the percentile they lie."""
    lower = np.concatenate([d.lower for d in distances])
    upper = np.concatenate([d.upper for d in distances])
    if weights is None:
        rank = (len(lower) - 1) * percentile / 100.0
        below, above = int(np.floor(rank)), int(np.ceil(rank))
        least, most = np.partition(lower, below)[below], np.partition(upper, above)[above]
    else:
        least, most = weighted_percentile(lower, weights, percentile), weighted_percentile(upper, weights, percentile)
    return [np.flatnonzero((d.upper >= least - _SLACK_MM) & (d.lower <= most + _SLACK_MM)) for d in distances]
