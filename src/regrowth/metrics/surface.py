"""How far the surfaces of two masks lie from each other: Hausdorff percentiles and mean distance, by named definition.

The same two masks have several "HD95", which differ by 15 % and more (Podobnik and Vrtovec 2024, arXiv:2410.02630). So each
result carries the name of its definition:

======== ======================== ================================================= ============================
name     surface                  percentile p                                      as
======== ======================== ================================================= ============================
mesh     smooth triangle mesh     weighted by area; larger of the two directions    the reference by Podobnik
voxel    inner border voxels      of each direction; the larger                     MONAI, MetricsReloaded
pooled   inner border voxels      of both directions taken together                 medpy ``hd95``
======== ======================== ================================================= ============================

Inner border voxels are those of the mask with a face neighbour outside of it (or outside of the array).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.metrics.crop import common_box, grid_of_box, mask_box
from regrowth.metrics.mesh import surface_mesh
from regrowth.metrics.nearest import NearestDistances, nearest_tree, percentile_of
from regrowth.space.grid import Grid

__all__ = ["Definition", "SurfaceDistance", "assd", "border_points_mm", "emptiness", "hausdorff"]

Definition = Literal["mesh", "voxel", "pooled"]
Status = Literal["ok", "both_empty", "a_empty", "b_empty"]
_BLOCK_VOXELS = 5.0  # edge of the blocks of `NearestDistances`; the time is flat between 3 and 8


@dataclass(frozen=True)
class SurfaceDistance:
    """A distance between the surfaces of two masks.

    Parameters
    ----------
    value_mm
        The symmetric distance in mm; NaN unless `status` is ``ok``.
    forward_mm, backward_mm
        The directed distances from a to b and from b to a, mm.
    definition
        ``mesh``, ``voxel`` or ``pooled``.
    measure
        What was measured, such as ``HD95`` or ``ASSD``.
    status
        ``ok``, or which mask is empty.
    reason
        Why there is no value; empty when `status` is ``ok``.
    """

    value_mm: float
    forward_mm: float
    backward_mm: float
    definition: str
    measure: str
    status: Status
    reason: str = ""


def emptiness(a: np.ndarray, b: np.ndarray, a_name: str = "a", b_name: str = "b") -> tuple[Status, str]:
    """Tell which of two masks is empty: a status and, unless it is ``ok``, a reason with the names of the masks."""
    full_a, full_b = bool(np.any(a)), bool(np.any(b))
    if full_a and full_b:
        return "ok", ""
    if not full_a and not full_b:
        return "both_empty", f"{a_name} and {b_name} are both empty"
    return ("b_empty", f"{b_name} is empty") if full_a else ("a_empty", f"{a_name} is empty")


def hausdorff(
    a: np.ndarray, b: np.ndarray, grid: Grid, percentile: float = 95.0, definition: Definition = "mesh"
) -> SurfaceDistance:
    """Hausdorff distance of two masks, or a percentile of it.

    Parameters
    ----------
    a, b
        (X, Y, Z) bool masks on `grid`.
    grid
        Their grid; axes at right angles, in any orientation.
    percentile
        0 to 100; 95 is HD95, 100 the Hausdorff distance itself.
    definition
        See the table of this module. The directed distances under ``pooled`` are those of ``voxel``.

    Returns
    -------
    SurfaceDistance
        NaN with a status and a reason when a mask is empty.

    Raises
    ------
    ParameterError
        If the percentile or the definition is not offered.
    GridMismatchError
        If a mask does not fit the grid.
    InputError
        If the axes of the grid are sheared.
    """
    if not 0 <= percentile <= 100:
        raise ParameterError(f"a percentile lies between 0 and 100, not {percentile}")
    measure = f"HD{percentile:g}"
    return _measured(a, b, grid, definition, measure, get_args(Definition), partial(_percentiles, percentile=percentile))


def assd(a: np.ndarray, b: np.ndarray, grid: Grid, definition: Literal["mesh", "voxel"] = "mesh") -> SurfaceDistance:
    """Average symmetric surface distance of two masks (Heimann et al. 2009, doi:10.1109/TMI.2009.2013851).

    The mean over both surfaces together: ``mesh`` weights every point by the area that it stands for, ``voxel`` counts all
    border voxels alike. `forward_mm` and `backward_mm` are the means over one surface. Parameters, result and errors as
    in `hausdorff`.
    """
    return _measured(a, b, grid, definition, "ASSD", ("mesh", "voxel"), _means)


def border_points_mm(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """(n, 3) places of the inner border voxels of a mask (X, Y, Z), along the axes of the grid in mm.

    A translation and a rotation away from RAS, which distances do not see; (0, 3) for an empty mask.
    """
    box = mask_box(mask)
    if box is None:
        return np.empty((0, 3))
    inside = np.pad(mask[box], 1)
    core = inside[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for start in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(start, start + core.shape[axis])
            core &= inside[tuple(window)]
    border = np.argwhere(mask[box] & ~core) + [s.start for s in box]
    return border * np.array(grid.spacing_mm)


def _measured(
    a: np.ndarray,
    b: np.ndarray,
    grid: Grid,
    definition: str,
    measure: str,
    offered: tuple[str, ...],
    measured: Callable[..., tuple[float, float, float]],
) -> SurfaceDistance:
    if definition not in offered:
        raise ParameterError(f"{measure} is defined as {', '.join(offered)}, not {definition!r}")
    a, b = _checked(a, grid), _checked(b, grid)
    box = common_box(a, b)
    a, b, grid = a[box], b[box], grid_of_box(grid, box)
    status, reason = emptiness(a, b)
    if status != "ok":
        return SurfaceDistance(np.nan, np.nan, np.nan, definition, measure, status, reason)
    block_mm = _BLOCK_VOXELS * (grid.voxel_volume_ml * 1000.0) ** (1 / 3)
    points, weights = zip(*(_surface(m, grid, definition) for m in (a, b)), strict=True)
    trees = [nearest_tree(p) for p in points]
    forward = NearestDistances(points[0], trees[1], block_mm)
    backward = NearestDistances(points[1], trees[0], block_mm)
    value, there, back = measured(forward, backward, weights, definition)
    return SurfaceDistance(value, there, back, definition, measure, "ok")


def _checked(mask: np.ndarray, grid: Grid) -> np.ndarray:
    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    if not grid.is_orthogonal:
        raise InputError("the axes of the grid are sheared, so that distances along them mislead; resample it first")
    return mask


def _surface(mask: np.ndarray, grid: Grid, definition: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Points of the surface (n, 3) in mm and, for a mesh, the area in mm2 that each stands for."""
    if definition != "mesh":
        return border_points_mm(mask, grid), None
    mesh = surface_mesh(mask, grid)
    return mesh.vertices_mm, mesh.vertex_areas_mm2


def _percentiles(
    forward: NearestDistances, backward: NearestDistances, weights: tuple, definition: str, *, percentile: float
) -> tuple[float, float, float]:
    there, back = percentile_of([forward], percentile, weights[0]), percentile_of([backward], percentile, weights[1])
    value = percentile_of([forward, backward], percentile) if definition == "pooled" else max(there, back)
    return value, there, back


def _means(
    forward: NearestDistances, backward: NearestDistances, weights: tuple, definition: str
) -> tuple[float, float, float]:
    there, back = forward.all_mm(), backward.all_mm()
    w = [np.ones(len(d)) if w is None else w for d, w in zip((there, back), weights, strict=True)]
    value = (there @ w[0] + back @ w[1]) / (w[0].sum() + w[1].sum())
    return float(value), float(np.average(there, weights=w[0])), float(np.average(back, weights=w[1]))
