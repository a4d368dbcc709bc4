"""Whether arrays fit the grid that they are said to lie on, and hold numbers where they count."""

from __future__ import annotations

import numpy as np

from regrowth.errors import GridMismatchError, InputError
from regrowth.space import Grid

__all__ = ["finite_scores", "mask_on"]


def mask_on(grid: Grid, mask: np.ndarray, what: str) -> np.ndarray:
    """Give a mask (X, Y, Z) as bool.

    Raises
    ------
    GridMismatchError
        If its shape is not that of the grid; the message names `what` and the call that fixes it.
    """
    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(
            f"{what} has shape {mask.shape} but the grid {grid.shape}; bring it onto the grid with "
            "regrowth.space.resample_labels"
        )
    return mask


def finite_scores(scores: np.ndarray, allowed: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Check a map and the voxels where it counts; what it holds elsewhere does not matter.

    Parameters
    ----------
    scores
        (X, Y, Z) numbers.
    allowed
        (X, Y, Z) bool.
    grid
        Grid of both.

    Returns
    -------
    scores, allowed : numpy.ndarray
        The map as it is and the mask as bool.

    Raises
    ------
    GridMismatchError
        If a shape is not that of the grid.
    InputError
        If no voxel is allowed, or the map is NaN or infinite in allowed voxels.
    """
    scores = np.asarray(scores)
    if scores.shape != grid.shape:
        raise GridMismatchError(
            f"the map has shape {scores.shape} but the grid {grid.shape}; bring it onto the grid with "
            "regrowth.space.resample_image"
        )
    allowed = mask_on(grid, allowed, "the mask of allowed voxels")
    if not allowed.any():
        raise InputError("no voxel is allowed, so that there is nothing to choose from; give the mask of the brain")
    bad = int((~np.isfinite(scores[allowed])).sum())
    if bad:
        raise InputError(
            f"the map is NaN or infinite in {bad} of {int(allowed.sum())} allowed voxels; "
            "repair the model's output or leave these voxels out of the allowed ones"
        )
    return scores, allowed
