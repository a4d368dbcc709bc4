"""Which voxels, or which share of each, the contours of one stack of planes fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from regrowth.radiotherapy.planes import PlaneStack
from regrowth.radiotherapy.polygons import inside_lattice, inside_points, outline, outline_distance, share_lattice
from regrowth.space import Grid

__all__ = ["Between", "FillRule", "fill", "slice_step_mm"]

Between = Literal["none", "nearest", "shape"]
_POINTS = 2_000_000  # of a part of an oblique grid that is looked at in one go
_ALIGNED_MM = 0.02  # by which a slice of the grid may leave the plane of its contours


@dataclass(frozen=True)
class FillRule:
    """What happens between and beyond the planes; lengths in mm, see `PlaneStack.nearest`."""

    between: Between
    reach_mm: float
    end_mm: float
    largest_gap_mm: float

    def assign(self, stack: PlaneStack, heights_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Name for each height the plane that speaks for it (-1: none), or the lower of two that are blended, and how."""
        is_shape = self.between == "shape"
        gap = 0.0 if is_shape else self.largest_gap_mm
        nearest = stack.nearest(heights_mm, reach_mm=self.reach_mm, end_mm=self.end_mm, largest_gap_mm=gap)
        if not is_shape:
            return nearest, np.full(nearest.shape, -1), np.zeros(nearest.shape)
        below, fraction = stack.neighbours(heights_mm, largest_gap_mm=self.largest_gap_mm)
        return np.where(below >= 0, -1, nearest), below, fraction


def slice_step_mm(stack: PlaneStack, grid: Grid) -> float:
    """Distance along the normal of the contours from one slice of the grid to the next."""
    return float(np.abs(stack.normal @ grid.affine[:3, :3]).max())


def fill(stack: PlaneStack, grid: Grid, rule: FillRule, supersampling: int) -> tuple[np.ndarray, tuple[slice, slice, slice]]:
    """Find which share of each voxel lies inside.

    With a supersampling of 1 that is whether its centre does. Else `supersampling` samples along every axis count; along the
    first axis of a slice that is parallel to the contours the share is exact, unless the shape between planes is asked for.

    Parameters
    ----------
    stack
        Contours.
    grid
        Any grid; the fast way is taken where its slices are parallel to the contours.
    rule
        What happens between planes.
    supersampling
        Samples per axis and voxel, evenly spread.

    Returns
    -------
    share
        float32, 0 to 1, of the part of the grid that the contours may reach.
    box
        Which part that is.
    """
    points = grid.index(np.concatenate([loop for loops in stack.loops for loop in loops]))
    outward = np.abs(grid.inverse[:3, :3] @ stack.normal) * max(rule.end_mm, rule.reach_mm)
    low = np.clip(np.floor(points.min(axis=0) - outward), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + outward) + 1, low, grid.shape).astype(int)
    share = np.zeros(high - low, np.float32)
    if share.size:
        axis = _aligned_axis(stack, grid, np.ptp(points, axis=0))
        if axis is None:
            _fill_points(share, low, stack, grid, rule, supersampling)
        else:
            _fill_slices(share, low, axis, stack, grid, rule, supersampling)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return share, (box[0], box[1], box[2])


def _aligned_axis(stack: PlaneStack, grid: Grid, extent: np.ndarray) -> int | None:
    """Find the axis of the grid whose slices are parallel to the contours and stacked along their normal."""
    rise = stack.normal @ grid.affine[:3, :3]
    axis = int(np.argmax(np.abs(rise)))
    aside = grid.affine[:3, axis] - stack.normal * rise[axis]
    leaves = np.delete(np.abs(rise) * extent, axis).sum()
    return axis if leaves <= _ALIGNED_MM and np.linalg.norm(aside) <= 1e-3 * abs(rise[axis]) else None


def _samples(low: int, n: int, supersampling: int) -> np.ndarray:
    """Voxel coordinates of the samples of `n` voxels from `low` on."""
    return (np.arange(n * supersampling) + 0.5) / supersampling - 0.5 + low


def _fill_slices(share: np.ndarray, low: np.ndarray, axis: int, stack: PlaneStack, grid: Grid, rule: FillRule, s: int) -> None:
    """Fill slice by slice; every plane is scanned once, its scan used by all slices that it speaks for."""
    others = [i for i in range(3) if i != axis]
    view = np.moveaxis(share, axis, 0)
    along = np.zeros((view.shape[0] * s, 3))
    along[:, axis] = _samples(int(low[axis]), view.shape[0], s)
    along[:, others] = low[others] + (np.array(view.shape[1:]) - 1) / 2
    nearest, below, fraction = rule.assign(stack, grid.world(along) @ stack.normal)
    to_mm = (stack.frame().T @ grid.affine[:3, others]) / s
    planes = _Lattices(stack, grid, others, low[others], (view.shape[1] * s, view.shape[2] * s), s, to_mm)
    for i in range(len(along)):
        if below[i] >= 0:
            inside = _mean(planes.blend(int(below[i]), float(fraction[i])), s)
        elif nearest[i] >= 0:
            inside = planes.share(int(nearest[i]))
        else:
            continue
        view[i // s] += inside / np.float32(s)


class _Lattices:
    """Scans of the planes of a stack on the samples of a slice; the last two are kept, as slices follow each other."""

    def __init__(
        self,
        stack: PlaneStack,
        grid: Grid,
        others: list[int],
        low: np.ndarray,
        shape: tuple[int, int],
        s: int,
        to_mm: np.ndarray,
    ) -> None:
        self._stack, self._grid, self._others, self._low = stack, grid, others, low
        self._shape, self._s, self._to_mm = shape, s, to_mm
        self._scans: dict[int, np.ndarray] = {}
        self._shares: dict[int, np.ndarray] = {}
        self._pair: tuple[int, np.ndarray, np.ndarray, np.ndarray] | None = None

    def _loops(self, k: int) -> list[np.ndarray]:
        return [(self._grid.index(loop)[:, self._others] - self._low + 0.5) * self._s - 0.5 for loop in self._stack.loops[k]]

    def scan(self, k: int) -> np.ndarray:
        """Which samples lie inside the contours of plane k."""
        if k not in self._scans:
            self._scans = {j: scan for j, scan in self._scans.items() if abs(j - k) < 2}
            self._scans[k] = inside_lattice(self._loops(k), self._shape)
        return self._scans[k]

    def share(self, k: int) -> np.ndarray:
        """Which share of each voxel of a layer without height lies inside the contours of plane k."""
        if k not in self._shares:
            if self._s == 1:
                share = self.scan(k).astype(np.float32)
            else:
                loops = [self._grid.index(loop)[:, self._others] - self._low for loop in self._stack.loops[k]]
                shape = (self._shape[0] // self._s, self._shape[1] // self._s)
                share = share_lattice(loops, shape, self._s).astype(np.float32)
            self._shares = {k: share}
        return self._shares[k]

    def blend(self, k: int, fraction: float) -> np.ndarray:
        """Which samples lie inside between plane k and the next."""
        if self._pair is None or self._pair[0] != k:
            differ = np.argwhere(self.scan(k) ^ self.scan(k + 1))
            loops = [[loop @ self._to_mm.T for loop in self._loops(j)] for j in (k, k + 1)]
            distances = _distances(loops, differ @ self._to_mm.T, self._pitch())
            self._pair = (k, differ, *distances)
        _, differ, d0, d1 = self._pair
        out = self.scan(k) & self.scan(k + 1)
        x, y = differ.T
        out[x, y] = _blended(self.scan(k)[x, y], d0, d1, fraction)
        return out

    def _pitch(self) -> float:
        return float(np.linalg.norm(self._to_mm, axis=0).min())


def _mean(inside: np.ndarray, s: int) -> np.ndarray:
    """Average the samples of every voxel of a slice, float32."""
    out = np.zeros((inside.shape[0] // s, inside.shape[1] // s), np.float32)
    for i in range(s):
        for j in range(s):
            out += inside[i::s, j::s]
    return out / np.float32(s * s)


def _distances(loops: Sequence[Sequence[np.ndarray]], points: np.ndarray, pitch_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance of points from the outlines of two planes, mm."""
    near = [outline_distance(outline(own, pitch_mm / 2), points) for own in loops]
    return near[0], near[1]


def _blended(in_lower: np.ndarray, d0: np.ndarray, d1: np.ndarray, fraction: float | np.ndarray) -> np.ndarray:
    """Decide by the blend of two signed distances, of opposite sign, which points lie inside."""
    excess = (1 - fraction) * d0 - fraction * d1  # towards the lower plane's verdict
    return np.where(excess >= 0, in_lower, ~in_lower)


def _fill_points(share: np.ndarray, low: np.ndarray, stack: PlaneStack, grid: Grid, rule: FillRule, s: int) -> None:
    """Fill a grid that is oblique to the contours, sample by sample."""
    axes = [_samples(int(low[i]), share.shape[i], s) for i in range(3)]
    frame = stack.frame()
    flat = [[loop @ frame for loop in loops] for loops in stack.loops]
    width = max(1, _POINTS // (len(axes[1]) * len(axes[2]) * s)) * s
    for start in range(0, len(axes[0]), width):
        own = np.stack(np.meshgrid(axes[0][start : start + width], axes[1], axes[2], indexing="ij"), axis=-1)
        points = grid.world(own.reshape(-1, 3))
        inside = _inside_stack(points @ frame, points @ stack.normal, flat, stack, rule, min(grid.spacing_mm) / s)
        nx, ny, nz = (n // s for n in own.shape[:3])
        block = inside.reshape(nx, s, ny, s, nz, s).sum(axis=(1, 3, 5), dtype=np.uint16)
        share[start // s : start // s + nx] = block / np.float32(s**3)


def _inside_stack(
    uv: np.ndarray,
    heights: np.ndarray,
    flat: Sequence[Sequence[np.ndarray]],
    stack: PlaneStack,
    rule: FillRule,
    pitch_mm: float,
) -> np.ndarray:
    """Tell for points (n, 2) at heights (n,) above the origin whether they lie inside."""
    out = np.zeros(len(uv), bool)
    nearest, below, fraction = rule.assign(stack, heights)
    for k, own in _groups(nearest):
        out[own] = inside_points(flat[k], uv[own])
    for k, own in _groups(below):
        lower, upper = inside_points(flat[k], uv[own]), inside_points(flat[k + 1], uv[own])
        inside = lower & upper
        differ = np.flatnonzero(lower ^ upper)
        if differ.size:
            d0, d1 = _distances((flat[k], flat[k + 1]), uv[own[differ]], pitch_mm)
            inside[differ] = _blended(lower[differ], d0, d1, fraction[own[differ]])
        out[own] = inside
    return out


def _groups(numbers: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Positions of every number that is not negative."""
    order = np.argsort(numbers, kind="stable")
    values, starts = np.unique(numbers[order], return_index=True)
    parts = np.split(order, starts[1:])
    return [(int(v), part) for v, part in zip(values, parts, strict=True) if v >= 0]
