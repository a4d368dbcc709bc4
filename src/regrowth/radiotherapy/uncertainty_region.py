"""Where a mapped point may truly lie, as a mask to draw or to export: sphere or ellipsoid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.uncertainty import SpatialUncertainty, sphere_radius
from regrowth.space import Grid

__all__ = ["uncertainty_region"]


def uncertainty_region(
    centre_mm: Sequence[float] | np.ndarray,
    uncertainty: SpatialUncertainty,
    grid: Grid,
    *,
    level: float = 0.95,
    shape: Literal["ellipsoid", "sphere"] = "ellipsoid",
) -> np.ndarray:
    """Voxels whose centre lies within the region that holds the true point with a probability.

    Parameters
    ----------
    centre_mm
        (3,) mapped point, RAS+ mm.
    uncertainty
        Its error.
    grid
        Grid of the mask; what lies beyond it is cut off.
    level
        Probability that the region holds.
    shape
        ``ellipsoid``, the smallest such region, or ``sphere``.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) bool; empty when the region is smaller than the voxels and falls between their centres.

    Raises
    ------
    ParameterError
        If the uncertainty is not known.
    """
    if uncertainty.status == "unknown":
        raise ParameterError(f"an unknown uncertainty has no region: {uncertainty.reason}")
    if shape == "sphere":
        half, axes = np.full(3, sphere_radius(uncertainty.covariance_mm2, level)), np.eye(3)
    elif shape == "ellipsoid":
        half, axes = uncertainty.ellipsoid_mm(level)
    else:
        raise ParameterError(f"shape is 'ellipsoid' or 'sphere', not {shape!r}")
    centre = np.asarray(centre_mm, float)
    # Half-widths of the box around the region in indices: row norms of the map from the unit ball to indices.
    reach = np.linalg.norm(grid.inverse[:3, :3] @ (axes * half), axis=1)
    top = np.array(grid.shape)
    low = np.clip(np.floor(grid.index(centre) - reach), 0, top).astype(int)
    high = np.clip(np.ceil(grid.index(centre) + reach) + 1, 0, top).astype(int)
    mask = np.zeros(grid.shape, bool)
    ijk = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    away = (grid.world(ijk) - centre) @ axes / np.maximum(half, 1e-9)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = (away**2).sum(axis=-1) <= 1.0
    return mask
