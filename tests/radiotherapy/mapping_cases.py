"""Bodies drawn as contours, and smooth transforms with a known answer."""

from __future__ import annotations

import numpy as np

from regrowth.radiotherapy import Contour, Structure
from regrowth.space import AffineMap, DisplacementMap, Grid, Transform


def turn(*degrees: float) -> np.ndarray:
    """Rotation (3, 3) about the three axes, one after the other."""
    out = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        out = step @ out
    return out


def rigid(shift_mm: tuple[float, float, float], *degrees: float) -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3] = turn(*degrees)
    matrix[:3, 3] = shift_mm
    return Transform((AffineMap(matrix),), "relapse", "planning")


def circle(radius_mm: float, centre_mm: np.ndarray, n: int = 180) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return centre_mm + radius_mm * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(n)])


def cylinder(
    radius_mm: float = 12.0,
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    hole_mm: float = 0.0,
    step_mm: float = 2.0,
    n_planes: int = 11,
    name: str = "cylinder",
) -> Structure:
    """Draw a cylinder along z; its height is the number of planes times their step."""
    contours = []
    for k in range(n_planes):
        at = np.add(centre_mm, (0, 0, (k - (n_planes - 1) / 2) * step_mm))
        contours += [Contour(circle(r, at)) for r in (radius_mm, hole_mm) if r > 0]
    return Structure(name, tuple(contours))


def cylinder_ml(radius_mm: float = 12.0, hole_mm: float = 0.0, height_mm: float = 22.0) -> float:
    return float(np.pi * (radius_mm**2 - hole_mm**2) * height_mm / 1000)


def wave(grid: Grid, peak_mm: float = 3.0, period_mm: float = 60.0) -> DisplacementMap:
    """Make a smooth field whose components are sines; |du/dx| is at most 2 pi peak / period."""
    x = Transform().map_grid(grid)
    return DisplacementMap((peak_mm * np.sin(2 * np.pi * np.roll(x, 1, axis=-1) / period_mm)).astype(np.float32), grid)
