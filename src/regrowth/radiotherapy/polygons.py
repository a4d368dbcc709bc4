"""Which points lie inside polygons by the even-odd rule, and how far they lie from the outline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["inside_lattice", "inside_points", "outline", "outline_distance", "share_lattice"]

_DECIMALS = 9  # of coordinates: the two sides of a keyhole must cross a line at the same place
_PAIRS = 4_000_000  # of points and edges looked at in one go


def _edges(loops: Sequence[np.ndarray]) -> np.ndarray:
    """List the edges of closed loops as (n, 4) x0, y0, x1, y1 with y0 < y1; those along x cross no line along x."""
    parts = [np.column_stack([p, np.roll(p, -1, axis=0)]) for p in (np.round(loop, _DECIMALS) for loop in loops)]
    edges = np.concatenate(parts) if parts else np.empty((0, 4))
    edges = edges[edges[:, 1] != edges[:, 3]]
    down = edges[:, 1] > edges[:, 3]
    edges[down] = edges[down][:, [2, 3, 0, 1]]
    return edges


def _crossing(edges: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give x where an edge crosses the height y (n,)."""
    x0, y0, x1, y1 = edges.T
    return np.round(x0 + (y - y0) * ((x1 - x0) / (y1 - y0)), _DECIMALS)


def _spans(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expand the ranges [first, last) to pairs of range number and member."""
    counts = np.maximum(last - first, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return which, np.arange(len(which)) - before[which] + first[which]


def inside_lattice(loops: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Find the points of a lattice that lie inside an odd number of polygons.

    Each edge turns all points of a row to the right of its crossing over. The cost is that of the rows that edges cross plus
    one pass over the lattice. A point on an outline belongs to the side towards larger coordinates, so that polygons that
    share an edge share no point.

    Parameters
    ----------
    loops
        Polygons, each (n, 2), in units of the lattice: its points have whole coordinates from 0.
    shape
        Number of points along the first and the second coordinate.

    Returns
    -------
    numpy.ndarray
        `shape` bool.
    """
    nx, ny = shape
    edges = _edges(loops)
    first = np.clip(np.ceil(edges[:, 1]), 0, ny).astype(np.int64)
    last = np.clip(np.ceil(edges[:, 3]), 0, ny).astype(np.int64)
    which, row = _spans(first, last)
    column = np.clip(np.ceil(_crossing(edges[which], row.astype(np.float64))), 0, nx).astype(np.int64)
    turns = np.bincount(column * ny + row, minlength=(nx + 1) * ny)[: nx * ny].reshape(nx, ny)
    return np.asarray(np.cumsum(turns, axis=0, dtype=np.uint8) & 1, bool)  # wraps at 256, which leaves odd and even


def share_lattice(loops: Sequence[np.ndarray], shape: tuple[int, int], n_lines: int) -> np.ndarray:
    """Find which share of the cells of a lattice lies inside an odd number of polygons.

    Every cell is cut by `n_lines` evenly spaced lines along the first coordinate, and the part of them inside is exact.

    Parameters
    ----------
    loops
        Polygons, each (n, 2), in units of the lattice: the cells have their centres at whole coordinates from 0.
    shape
        Number of cells along the first and the second coordinate.
    n_lines
        Lines per cell.

    Returns
    -------
    numpy.ndarray
        `shape` float64, 0 to 1.
    """
    nx, ny = shape
    # Along the second coordinate in units of lines, along the first from the outer side of the first cell.
    edges = _edges([np.column_stack([p[:, 0] + 0.5, (p[:, 1] + 0.5) * n_lines - 0.5]) for p in loops])
    first = np.clip(np.ceil(edges[:, 1]), 0, ny * n_lines).astype(np.int64)
    last = np.clip(np.ceil(edges[:, 3]), 0, ny * n_lines).astype(np.int64)
    which, line = _spans(first, last)
    x = np.clip(_crossing(edges[which], line.astype(np.float64)), 0, nx)
    order = np.lexsort((x, line))
    x, line = x[order], line[order]
    # Every line is crossed an even number of times: the first crossing leads in, the next one out.
    sign = np.where(np.arange(len(x)) % 2 == 0, 1.0, -1.0)
    cell = np.floor(x).astype(np.int64)
    into = (x - cell) * sign
    row = line // n_lines
    size = (nx + 2) * ny
    change = np.bincount(cell * ny + row, sign - into, size) + np.bincount((cell + 1) * ny + row, into, size)
    return np.asarray(np.clip(np.round(np.cumsum(change.reshape(nx + 2, ny)[:nx], axis=0) / n_lines, 9), 0, 1))


def inside_points(loops: Sequence[np.ndarray], points: np.ndarray) -> np.ndarray:
    """Find the points (n, 2) that lie inside an odd number of polygons; outlines as in `inside_lattice`.

    Returns
    -------
    numpy.ndarray
        (n,) bool.
    """
    points = np.round(np.asarray(points, np.float64), _DECIMALS)
    order = np.argsort(points[:, 1], kind="stable")
    x, y = points[order].T
    edges = _edges(loops)
    first, last = np.searchsorted(y, edges[:, 1], side="left"), np.searchsorted(y, edges[:, 3], side="left")
    odd = np.zeros(len(points), bool)
    parts = np.cumsum(last - first) // _PAIRS
    for part in np.unique(parts):
        own = np.flatnonzero(parts == part)
        which, point = _spans(first[own], last[own])
        right = x[point] >= _crossing(edges[own][which], y[point])
        odd ^= (np.bincount(point[right], minlength=len(points)) & 1).astype(bool)
    out = np.empty(len(points), bool)
    out[order] = odd
    return out


def outline(loops: Sequence[np.ndarray], step: float) -> np.ndarray:
    """Cut the outline of polygons into short pieces.

    Edges that are there twice, as the sides of a keyhole's channel, bound nothing and are left out.

    Parameters
    ----------
    loops
        Polygons, each (n, 2).
    step
        Longest piece, in the unit of the polygons.

    Returns
    -------
    numpy.ndarray
        (m, 4) x0, y0, x1, y1 of the pieces.
    """
    edges = np.concatenate([np.column_stack([p, np.roll(p, -1, axis=0)]) for p in loops])
    rounded = np.round(edges, 6)
    swap = (rounded[:, 0] > rounded[:, 2]) | ((rounded[:, 0] == rounded[:, 2]) & (rounded[:, 1] > rounded[:, 3]))
    rounded[swap] = rounded[swap][:, [2, 3, 0, 1]]
    _, where, counts = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    edges = edges[where[counts % 2 == 1]]
    length = np.hypot(*(edges[:, 2:] - edges[:, :2]).T)
    pieces = np.maximum(np.ceil(length / step), 1).astype(np.int64)
    which, part = _spans(np.zeros(len(edges), np.int64), pieces)
    start, way = edges[which, :2], edges[which, 2:] - edges[which, :2]
    n = pieces[which][:, None]
    return np.column_stack([start + way * part[:, None] / n, start + way * (part[:, None] + 1) / n])


def outline_distance(pieces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Measure how far points (n, 2) lie from an outline cut by `outline`.

    The distance is exact to the piece whose middle is nearest, so that it errs by less than half a piece.

    Returns
    -------
    numpy.ndarray
        (n,), infinite where there is no outline.
    """
    from scipy.spatial import cKDTree

    if not len(pieces):
        return np.full(len(points), np.inf)
    start, way = pieces[:, :2], pieces[:, 2:] - pieces[:, :2]
    _, nearest = cKDTree(start + way / 2).query(points)
    start, way = start[nearest], way[nearest]
    squared = np.maximum((way**2).sum(axis=1), 1e-30)
    along = np.clip(((points - start) * way).sum(axis=1) / squared, 0.0, 1.0)
    return np.asarray(np.hypot(*(points - start - way * along[:, None]).T))
