"""Where a linear registration starts when nothing is known: the best of a few plain guesses."""

from __future__ import annotations

import numpy as np

from regrowth.registration.similarity import mutual_information
from regrowth.space import Grid, Image, Transform, resample_image

__all__ = ["start_matrix"]

_COARSE_MM = 6.0


def start_matrix(
    fixed: Image, moving: Image, fixed_mask: np.ndarray | None = None, moving_mask: np.ndarray | None = None
) -> np.ndarray:
    """Choose a start by mutual information at 6 mm.

    Tried are: the header as it is, image centres on each other, centres of mass on each other.

    Parameters
    ----------
    fixed, moving
        (X, Y, Z) images whose background is 0 (`regrowth.registration.working.working_image`).
    fixed_mask, moving_mask
        bool on the grid of each image, True where it may be looked at.

    Returns
    -------
    numpy.ndarray
        (4, 4), RAS+ mm, points of the fixed to points of the moving image; a shift.
    """
    shifts = [np.zeros(3), _centre(moving.grid) - _centre(fixed.grid)]
    shifts.append(_centre_of_mass(moving, moving_mask) - _centre_of_mass(fixed, fixed_mask))
    coarse = fixed.grid.resized((_COARSE_MM,) * 3)
    there = resample_image(fixed, coarse).data
    use = np.ones(coarse.shape, bool)
    if fixed_mask is not None:
        use = resample_image(Image(fixed_mask.astype(np.float32), fixed.grid, "1"), coarse).data > 0.5
    best, out = -np.inf, np.eye(4)
    for shift in shifts:
        matrix = np.eye(4)
        matrix[:3, 3] = shift
        score = mutual_information(there[use], resample_image(moving, coarse, Transform.affine(matrix)).data[use])
        if score > best:
            best, out = score, matrix
    return out


def _centre(grid: Grid) -> np.ndarray:
    return np.asarray(grid.world((np.array(grid.shape) - 1) / 2))


def _centre_of_mass(image: Image, mask: np.ndarray | None) -> np.ndarray:
    weights = np.asarray(image.data, np.float64)
    if mask is not None:
        weights = weights * mask
    total = weights.sum()
    if total <= 0:
        return _centre(image.grid)
    moments = [
        (weights.sum(axis=tuple(a for a in range(3) if a != axis)) * np.arange(image.grid.shape[axis])).sum() / total
        for axis in range(3)
    ]
    return np.asarray(image.grid.world(np.array(moments)))
