"""Which part of a grid holds a mask, so that no work is done on the empty rest."""

from __future__ import annotations

import numpy as np

from regrowth.space.grid import Grid

__all__ = ["Box", "common_box", "grid_of_box", "mask_box"]

Box = tuple[slice, slice, slice]


def mask_box(mask: np.ndarray) -> Box | None:
    """Find the smallest box around a bool mask (X, Y, Z), fast in any memory order; None if the mask is empty."""
    slow, middle, fast = np.argsort(mask.strides, kind="stable")[::-1].tolist()
    plane = np.any(np.transpose(mask, (slow, middle, fast)), axis=2)  # reading along memory is what costs least
    box: list[slice] = [slice(0, 0)] * 3
    for axis, hits in ((slow, np.flatnonzero(plane.any(axis=1))), (middle, np.flatnonzero(plane.any(axis=0)))):
        if not hits.size:
            return None
        box[axis] = slice(int(hits[0]), int(hits[-1]) + 1)
    box[fast] = slice(None)
    hits = np.flatnonzero(mask[tuple(box)].any(axis=(slow, middle)))
    box[fast] = slice(int(hits[0]), int(hits[-1]) + 1)
    return box[0], box[1], box[2]


def common_box(*masks: np.ndarray) -> Box:
    """Smallest box around all of some bool masks of one shape (X, Y, Z); one voxel when all are empty."""
    boxes = [box for box in map(mask_box, masks) if box is not None] or [(slice(0, 1),) * 3]
    low = [min(box[i].start for box in boxes) for i in range(3)]
    high = [max(box[i].stop for box in boxes) for i in range(3)]
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def grid_of_box(grid: Grid, box: Box) -> Grid:
    """Grid of the voxels of a box."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world(np.array([s.start for s in box]))
    shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    return Grid(shape, affine, grid.frame_of_reference_uid)
