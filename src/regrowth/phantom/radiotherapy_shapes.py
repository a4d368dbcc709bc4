"""How deep points lie in the simple bodies that a radiotherapy phantom is made of."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

__all__ = ["Solid"]


@dataclass(frozen=True)
class Solid:
    """An ellipsoid, or an elliptical cylinder along z.

    Parameters
    ----------
    name
        What it is.
    centre_mm, semi_mm
        Centre and semi-axes, RAS+ mm; of a cylinder the last is half of its length.
    hu
        Density, Hounsfield units.
    is_cylinder
        Whether it is a cylinder.
    """

    name: str
    centre_mm: tuple[float, float, float]
    semi_mm: tuple[float, float, float]
    hu: float = 0.0
    is_cylinder: bool = False

    def depth_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """How deep points (..., 3) lie below the surface, mm; negative outside.

        Exact on the surface and to first order beside it: k (1 - k) / |x / a^2| with k = |x / a|.
        """
        offset = np.asarray(points_mm) - np.array(self.centre_mm, np.asarray(points_mm).dtype)
        semi = np.array(self.semi_mm, offset.dtype)
        across, axes = (offset[..., :2], semi[:2]) if self.is_cylinder else (offset, semi)
        k = np.sqrt(((across / axes) ** 2).sum(axis=-1))
        slope = np.sqrt(((across / axes**2) ** 2).sum(axis=-1))
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = np.where(k > 1e-6, k * (1 - k) / slope, axes.min())
        if self.is_cylinder:
            depth = np.minimum(depth, semi[2] - np.abs(offset[..., 2]))
        return np.asarray(depth)

    @property
    def volume_ml(self) -> float:
        """Volume in millilitres."""
        a, b, c = self.semi_mm
        return (2 * pi if self.is_cylinder else 4 / 3 * pi) * a * b * c / 1000

    def grown(self, margin_mm: float, name: str) -> Solid:
        """Give the same body with longer semi-axes."""
        a, b, c = (s + margin_mm for s in self.semi_mm)
        return Solid(name, self.centre_mm, (a, b, c), self.hu, self.is_cylinder)

    def samples_mm(self, step_mm: float) -> np.ndarray:
        """(n, 3), points of a lattice inside of it."""
        axes = [c + np.arange(-s + step_mm / 2, s, step_mm) for c, s in zip(self.centre_mm, self.semi_mm, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        return points[self.depth_mm(points) > 0]
