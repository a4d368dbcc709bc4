"""How a transform changes volume: the determinant of its Jacobian."""

from __future__ import annotations

import numpy as np

from regrowth.space import Grid, Transform

__all__ = ["jacobian_determinant"]

_ROWS = 16


def jacobian_determinant(transform: Transform, grid: Grid) -> np.ndarray:
    r"""Determinant of the Jacobian of a transform in world coordinates.

    With the transform x -> y(x) = x + u(x), sampled at the voxel centres x = A i of the grid,

    .. math:: J = \det \frac{\partial y}{\partial x} = \det \left( \frac{\partial y}{\partial i} A^{-1} \right)

    by central differences (one-sided at the border), so that orientation, anisotropy and obliqueness of the grid do not
    enter. It counts the whole transform, its matrix included: J = 2 means that tissue of the fixed image fills twice its
    volume in the moving image; J <= 0 is a fold.

    Parameters
    ----------
    transform
        ``from-moving_to-fixed``, which maps points of the fixed space.
    grid
        Where to sample it; at least two voxels along each axis.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) float64, dimensionless.
    """
    inverse = np.linalg.inv(grid.affine[:3, :3])
    out = np.empty(grid.shape)
    n = grid.shape[0]
    for start in range(0, n, _ROWS):
        stop = min(start + _ROWS, n)
        # One more row on each side, so that the slabs join without a seam.
        low, high = max(start - 1, 0), min(stop + 1, n)
        if high - low < 2:
            low = max(low - 1, 0)
        y = transform.map_grid(grid, slice(low, high))
        by_index = np.stack(np.gradient(y, axis=(0, 1, 2)), axis=-1)
        out[start:stop] = np.linalg.det(by_index[start - low : stop - low] @ inverse)
    return out
