"""How random smooth fields are drawn and read between their samples."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from regrowth.space import Grid

__all__ = ["covering_lattice", "sampled", "smooth_field", "smooth_vectors", "smoothstep"]


def covering_lattice(low_mm: np.ndarray, high_mm: np.ndarray, spacing_mm: float) -> Grid:
    """Make an axis-parallel RAS+ grid that covers a box given by its two corners (3,) in mm."""
    low, high = np.asarray(low_mm, dtype=np.float64), np.asarray(high_mm, dtype=np.float64)
    shape = np.ceil((high - low) / spacing_mm).astype(int) + 1
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = (low + high) / 2 - (shape - 1) / 2 * spacing_mm
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def smooth_field(grid: Grid, sigma_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Draw white noise smoothed by a Gaussian.

    Parameters
    ----------
    grid
        Where the field is sampled.
    sigma_mm
        Standard deviation of the kernel; the correlation length is the square root of two times that.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) float32 with mean 0 and standard deviation 1 over the grid.
    """
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    field = ndimage.gaussian_filter(white, sigma_mm / np.array(grid.spacing_mm), mode="wrap", truncate=3)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def smooth_vectors(grid: Grid, sigma_mm: float, rms_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a random displacement (X, Y, Z, 3) whose length has the root mean square `rms_mm`."""
    parts = [smooth_field(grid, sigma_mm, rng) for _ in range(3)]
    return np.stack(parts, axis=-1) * np.float32(rms_mm / np.sqrt(3))


def sampled(field: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Read a field (X, Y, Z) at voxel indices (3, ...) linearly, float32; the border value holds beyond it."""
    return np.asarray(
        ndimage.map_coordinates(field, index, order=1, mode="nearest", prefilter=False, output=np.float32), dtype=np.float32
    )


def smoothstep(x: np.ndarray) -> np.ndarray:
    """Rise from 0 at x <= 0 to 1 at x >= 1 with level ends."""
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
