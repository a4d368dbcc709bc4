"""Which contours enclose the voxels of a mask, so that filling them gives the same mask again."""

from __future__ import annotations

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy.structure import Contour, Structure
from regrowth.space import Grid

__all__ = ["structure_from_mask"]


def structure_from_mask(
    mask: np.ndarray,
    grid: Grid,
    name: str,
    *,
    axis: int = 2,
    number: int = 0,
    colour: tuple[int, int, int] | None = None,
    roi_type: str = "",
) -> Structure:
    """Draw contours around the voxels of a mask, slice by slice.

    Contours run half-way between voxel centres inside and outside (marching squares at level 0.5), never through a centre, so
    that `rasterise` finds exactly the same voxels. Holes have contours of their own (`with_keyholes` joins them), and voxels
    that touch only at a corner belong to separate contours, so that no contour crosses another. The area is that of the voxels
    less an eighth of a voxel for every outer corner and plus as much for every inner one.

    Parameters
    ----------
    mask
        (X, Y, Z) bool.
    grid
        Grid of the mask, in any orientation.
    name
        Name of the structure.
    axis
        Axis of the array that counts the slices; 2 for series read from DICOM.
    number, colour, roi_type
        As in `Structure`.

    Returns
    -------
    Structure
        With the frame of reference of the grid; without contours for an empty mask.

    Raises
    ------
    GridMismatchError
        If mask and grid have different shapes.
    ParameterError
        If the mask is not of bool, or the axis is not 0, 1 or 2.

    Notes
    -----
    A mask with slices that are never next to each other reads back as one drawn on every so many slices, with the slices in
    between filled; ``rasterise(..., between="none")`` or ``plane_step_mm`` gives it back as it was.
    """
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise ParameterError(f"a mask is an array of bool, not {mask.dtype}; compare with a level first")
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    if axis not in (0, 1, 2):
        raise ParameterError(f"the axis of the slices is 0, 1 or 2, not {axis}")
    others = [i for i in range(3) if i != axis]
    slices = np.moveaxis(mask, axis, 0)
    contours = []
    for k in np.flatnonzero(slices.any(axis=(1, 2))):
        for loop in _loops(slices[k]):
            ijk = np.empty((len(loop), 3))
            ijk[:, axis], ijk[:, others] = k, loop
            contours.append(Contour(grid.world(ijk)))
    return Structure(name, tuple(contours), number, colour, roi_type, grid.frame_of_reference_uid or "")


def _loops(inside: np.ndarray) -> list[np.ndarray]:
    """Outline the voxels of a slice: closed loops (n, 2) in voxels, the first point not repeated."""
    from skimage.measure import find_contours

    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    part = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # Padded, so that loops close at the edge of the array; "low" parts voxels that touch at a corner.
    found = find_contours(np.pad(part, 1).astype(np.float64), 0.5, fully_connected="low")
    first = np.array([rows[0] - 1, columns[0] - 1])
    return [_corners(loop[:-1] + first) for loop in found]


def _corners(loop: np.ndarray) -> np.ndarray:
    """Leave out the points on straight lines; all coordinates are multiples of a half, so that this is exact."""
    before, after = loop - np.roll(loop, 1, axis=0), np.roll(loop, -1, axis=0) - loop
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return loop[turns]
