"""How far voxels lie from a mask, in millimetres."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from regrowth.errors import GridMismatchError, InputError
from regrowth.space.grid import Grid

_ROUNDING_MM = 1e-4  # affines are stored as float32: a voxel at exactly the radius must not depend on the orientation

__all__ = ["bounding_box", "dilate_mm", "distance_to_mm", "erode_mm", "largest_component"]


def _checked(mask: np.ndarray, grid: Grid) -> np.ndarray:
    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    if not grid.is_orthogonal:
        raise InputError("the axes of the grid are sheared, so that distances along them mislead; resample it first")
    return mask


def distance_to_mm(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Distance of every voxel centre to the nearest voxel centre of a mask.

    Parameters
    ----------
    mask
        (X, Y, Z) bool.
    grid
        Grid of the mask; axes at right angles, in any orientation.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) float64 in mm, 0 inside the mask, infinite everywhere when the mask is empty.
    """
    mask = _checked(mask, grid)
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm))


def bounding_box(mask: np.ndarray, margin: int | tuple[int, int, int] = 0) -> tuple[slice, slice, slice]:
    """Slices of the smallest box around a mask, widened by `margin` voxels within the array; empty if the mask is."""
    mask = np.asarray(mask, bool)
    margins = np.broadcast_to(margin, 3).tolist()
    out = []
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not hits.size:
            return slice(0, 0), slice(0, 0), slice(0, 0)
        out.append(slice(max(int(hits[0]) - margins[axis], 0), min(int(hits[-1]) + 1 + margins[axis], mask.shape[axis])))
    return out[0], out[1], out[2]


def dilate_mm(mask: np.ndarray, grid: Grid, radius_mm: float) -> np.ndarray:
    """Widen a mask (X, Y, Z) by a distance in mm: all voxel centres within `radius_mm` of it."""
    mask = _checked(mask, grid)
    out = mask.copy()
    if radius_mm <= 0 or not mask.any():
        return out
    reach = tuple(int(np.ceil(radius_mm / s)) for s in grid.spacing_mm)
    box = bounding_box(mask, (reach[0], reach[1], reach[2]))
    near = ndimage.distance_transform_edt(~mask[box], sampling=grid.spacing_mm) <= radius_mm + _ROUNDING_MM
    out[box] = near
    return out


def erode_mm(mask: np.ndarray, grid: Grid, radius_mm: float) -> np.ndarray:
    """Shrink a mask (X, Y, Z) by a distance in mm: its voxels further than `radius_mm` from the outside.

    What lies beyond the array counts as outside.
    """
    mask = _checked(mask, grid)
    if radius_mm <= 0 or not mask.any():
        return mask.copy()
    box = bounding_box(mask)
    padded = np.pad(mask[box], 1)
    inside = ndimage.distance_transform_edt(padded, sampling=grid.spacing_mm) > radius_mm + _ROUNDING_MM
    out = np.zeros_like(mask)
    out[box] = inside[1:-1, 1:-1, 1:-1]
    return out


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Keep the largest face-connected part of a mask (X, Y, Z); an empty mask stays empty."""
    parts, n = ndimage.label(np.asarray(mask, bool))
    if n <= 1:
        return np.asarray(mask, bool).copy()
    return np.asarray(parts == (np.bincount(parts.ravel())[1:].argmax() + 1))
