"""How tissue is displaced: individual anatomy, mass effect of a tumour, relaxation around a cavity, motion of the head.

All fields are *pull* maps: they take a point of the image that is made to the point that its tissue comes from.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from regrowth.errors import InputError
from regrowth.phantom.fields import smoothstep
from regrowth.space import Grid

__all__ = ["jacobian_determinant", "limited_displacement", "radial_displacement", "rigid_matrix", "rotation_matrix"]

_PEAK = 0.7555  # largest value of s (1 + s^6)^(-5/12), so that the profile peaks at 1


def rotation_matrix(angles_deg: np.ndarray) -> np.ndarray:
    """(3, 3) rotation about x, then y, then z."""
    a, b, c = np.deg2rad(np.asarray(angles_deg, dtype=np.float64))
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx)


def rigid_matrix(angles_deg: np.ndarray, shift_mm: np.ndarray, centre_mm: np.ndarray) -> np.ndarray:
    """(4, 4) rotation about a centre followed by a shift."""
    out = np.eye(4)
    out[:3, :3] = rotation_matrix(angles_deg)
    centre = np.asarray(centre_mm, dtype=np.float64)
    out[:3, 3] = centre - out[:3, :3] @ centre + np.asarray(shift_mm, dtype=np.float64)
    return out


def radial_displacement(points_mm: np.ndarray, centre_mm: np.ndarray, radius_mm: float, peak_mm: float) -> np.ndarray:
    """Displacement away from a centre that rises to `peak_mm` near `radius_mm` and decays with distance.

    With s = r / radius the length is proportional to s (1 + s^6)^(-5/12): linear inside (an even stretch), r^(-3/2)
    outside.

    Parameters
    ----------
    points_mm
        (..., 3) points.
    centre_mm
        (3,) centre.
    radius_mm, peak_mm
        Size of the mass and its largest displacement.

    Returns
    -------
    numpy.ndarray
        (..., 3) in mm, float32.
    """
    offset = np.asarray(points_mm - np.asarray(centre_mm), dtype=np.float32)
    s = np.linalg.norm(offset, axis=-1, keepdims=True) / np.float32(radius_mm)
    return np.asarray(offset * (peak_mm / radius_mm / _PEAK) * (1 + s**6) ** (-5 / 12), dtype=np.float32)


def jacobian_determinant(displacement_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """Jacobian determinant of x -> x + u(x) by central differences.

    Parameters
    ----------
    displacement_mm
        (X, Y, Z, 3), RAS+ mm.
    grid
        Axis-parallel RAS+ grid of the samples.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z); 1 keeps the volume, at most 0 folds.

    Raises
    ------
    InputError
        If the axes of the grid are not those of the space.
    """
    if not np.allclose(grid.directions, np.eye(3)):
        raise InputError("the Jacobian is taken on axis-parallel RAS+ grids only; sample the field on such a grid")
    rows = [np.stack(np.gradient(displacement_mm[..., c], *grid.spacing_mm), axis=-1) for c in range(3)]
    a, b, c = (row + np.eye(3, dtype=np.float32)[i] for i, row in enumerate(rows))
    return np.asarray(np.einsum("...i,...i->...", a, np.cross(b, c)))


def limited_displacement(
    displacement_mm: np.ndarray, grid: Grid, depth_mm: np.ndarray | None, least_jacobian: float
) -> tuple[np.ndarray, float]:
    """Confine a displacement to the brain and weaken it until it is safely invertible.

    Parameters
    ----------
    displacement_mm
        (X, Y, Z, 3).
    grid
        Axis-parallel grid of the samples.
    depth_mm
        (X, Y, Z) distance to the border of the brain, negative outside; the displacement fades over the outer 13 mm,
        because the skull holds the brain. None leaves the field as it is.
    least_jacobian
        Jacobian determinant that must be exceeded everywhere.

    Returns
    -------
    displacement_mm
        (X, Y, Z, 3) float32.
    factor
        By how much the displacement was weakened; 1 is not at all.
    """
    out = np.asarray(displacement_mm, dtype=np.float32)
    if depth_mm is not None:
        # The distance has creases midway between two walls, which would become creases of the map.
        rounded = ndimage.gaussian_filter(np.clip(depth_mm, -6, 24).astype(np.float32), 4.0 / np.array(grid.spacing_mm))
        out = out * smoothstep((rounded - 1.0) / 12.0)[..., None].astype(np.float32)
    factor = 1.0
    while jacobian_determinant(out, grid).min() <= least_jacobian:
        out, factor = out * np.float32(0.9), factor * 0.9
    return out, factor
