"""On which planes the contours of a structure lie, and which planes speak for a height between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from regrowth.radiotherapy.structure import Contour

__all__ = ["PlaneStack", "stack_planes"]

PLANE_TOLERANCE_MM = 0.1  # contours are decimal strings, often rounded to a hundredth of a millimetre
_LINE_MM = 1e-3  # a contour that is thinner encloses nothing
_ROUNDING_DECIMALS = 6  # of heights: a voxel half-way between two planes must not depend on the last bit


@dataclass(frozen=True, eq=False)
class PlaneStack:
    """Parallel planes with closed contours.

    Parameters
    ----------
    normal
        (3,), unit vector in RAS+.
    heights_mm
        (k,), ascending, along the normal from the origin.
    loops
        For every plane its contours, each (n, 3) RAS+ mm.
    step_mm
        Distance between neighbouring planes (median); NaN for a single plane.
    """

    normal: np.ndarray
    heights_mm: np.ndarray
    loops: tuple[tuple[np.ndarray, ...], ...]
    step_mm: float

    def frame(self) -> np.ndarray:
        """(3, 2), two unit vectors in RAS+ that span the planes."""
        start = np.eye(3)[int(np.argmin(np.abs(self.normal)))]
        u = np.cross(self.normal, start)
        u /= np.linalg.norm(u)
        return np.column_stack([u, np.cross(self.normal, u)])

    def n_gaps(self, largest_gap_mm: float) -> int:
        """Count the distances between neighbours that are wider than `largest_gap_mm`."""
        return int((np.diff(self.heights_mm) > largest_gap_mm + PLANE_TOLERANCE_MM).sum())

    def nearest(self, heights_mm: np.ndarray, *, reach_mm: float, end_mm: float, largest_gap_mm: float) -> np.ndarray:
        """Name the plane that speaks for each height: the nearest.

        Parameters
        ----------
        heights_mm
            (n,).
        reach_mm
            How far a plane reaches into a gap that is too wide to be filled.
        end_mm
            How far the first and the last plane reach outward.
        largest_gap_mm
            Widest distance between two planes that is filled half from either side.

        Returns
        -------
        numpy.ndarray
            (n,) int, -1 where no plane reaches. Ranges are closed below and open above, so that none counts twice.
        """
        h = np.round(np.asarray(heights_mm, np.float64), _ROUNDING_DECIMALS)
        gaps = np.diff(self.heights_mm)
        filled = gaps <= largest_gap_mm + PLANE_TOLERANCE_MM
        # Two planes never reach over the middle between them, also where the reach is longer.
        reach = np.where(filled, gaps / 2, np.minimum(reach_mm, gaps / 2))
        low = np.round(self.heights_mm - np.r_[end_mm, reach], _ROUNDING_DECIMALS)
        high = np.round(self.heights_mm + np.r_[reach, end_mm], _ROUNDING_DECIMALS)
        k = np.searchsorted(low, h, side="right") - 1
        return np.where((k >= 0) & (h < high[np.maximum(k, 0)]), k, -1)

    def neighbours(self, heights_mm: np.ndarray, *, largest_gap_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Name the plane below each height and how far it is on the way to the next.

        Returns
        -------
        below
            (n,) int, -1 where no two planes at most `largest_gap_mm` apart have the height between them.
        fraction
            (n,), 0 at the plane below, 1 at the plane above.
        """
        h = np.round(np.asarray(heights_mm, np.float64), _ROUNDING_DECIMALS)
        planes = np.round(self.heights_mm, _ROUNDING_DECIMALS)
        if len(planes) < 2:
            return np.full(h.shape, -1), np.zeros(h.shape)
        k = np.clip(np.searchsorted(planes, h, side="right") - 1, 0, len(planes) - 2)
        gap = planes[k + 1] - planes[k]
        fraction = (h - planes[k]) / gap
        between = (fraction >= 0) & (fraction <= 1) & (gap <= largest_gap_mm + PLANE_TOLERANCE_MM)
        return np.where(between, k, -1), fraction


def stack_planes(contours: Sequence[Contour]) -> tuple[tuple[PlaneStack, ...], int, int]:
    """Sort closed contours into stacks of parallel planes, the stack with the largest contour first.

    A contour whose points leave the planes of the largest one by more than 0.1 mm (drawn on a tilted or another reformat)
    belongs to a stack of its own direction.

    Returns
    -------
    stacks
        Every stack has at least one plane.
    n_flat
        How many closed contours enclose no area.
    n_bent
        How many lie in no plane; they are taken as their shadow on the plane that fits best.
    """
    rest, n_flat, n_bent = [], 0, 0
    for contour in contours:
        if not contour.is_closed:
            continue
        normal, size = _fitted_plane(contour.points_mm)
        if size < _LINE_MM:
            n_flat += 1
            continue
        n_bent += int(np.ptp(contour.points_mm @ normal) > 2 * PLANE_TOLERANCE_MM)
        rest.append((size, normal, contour.points_mm))
    rest.sort(key=lambda item: -item[0])
    stacks = []
    while rest:
        normal = rest[0][1]
        own = [i == 0 or bool(np.ptp(p @ normal) <= 2 * PLANE_TOLERANCE_MM) for i, (_, _, p) in enumerate(rest)]
        stacks.append(_stack([item[2] for item, is_own in zip(rest, own, strict=True) if is_own], normal))
        rest = [item for item, is_own in zip(rest, own, strict=True) if not is_own]
    return tuple(stacks), n_flat, n_bent


def _fitted_plane(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a plane by least squares; give its normal, largest component positive, and the size of the contour in mm.

    The size is the geometric mean of the two spreads within the plane, 0 for points on a line.
    """
    centred = points - points.mean(axis=0)
    spread, axes = np.linalg.eigh(centred.T @ centred / len(points))
    normal = axes[:, 0]
    normal = normal * np.sign(normal[np.argmax(np.abs(normal))])
    wide, narrow = np.sqrt(np.maximum(spread[[2, 1]], 0.0))
    return normal, 0.0 if narrow < _LINE_MM else float(np.sqrt(wide * narrow))


def _stack(loops: list[np.ndarray], normal: np.ndarray) -> PlaneStack:
    heights = np.array([float((p @ normal).mean()) for p in loops])
    order = np.argsort(heights, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(heights[order]) > PLANE_TOLERANCE_MM) + 1, len(loops)]
    groups = [order[a:b] for a, b in pairwise(starts)]
    planes = np.array([heights[g].mean() for g in groups])
    step = float(np.median(np.diff(planes))) if len(planes) > 1 else float("nan")
    return PlaneStack(normal, planes, tuple(tuple(loops[i] for i in g) for g in groups), step)
