"""A plan whose classes are known: dose falls along R, two nested box targets, a first tumour."""

from __future__ import annotations

import numpy as np

from regrowth.radiotherapy.exposure import Target
from regrowth.radiotherapy.parts import RecurrencePart, recurrence_parts
from regrowth.space import Grid, Image

PRESCRIPTIONS = {"elective": 54.0, "high": 60.0}


def box(grid: Grid, low_mm, high_mm) -> np.ndarray:
    """Voxels whose centre lies in a box, RAS+ mm."""
    xyz = grid.world(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    return ((xyz >= np.asarray(low_mm) - 1e-6) & (xyz <= np.asarray(high_mm) + 1e-6)).all(axis=-1)


def ball(grid: Grid, centre_mm, radius_mm: float) -> np.ndarray:
    xyz = grid.world(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    return np.linalg.norm(xyz - np.asarray(centre_mm), axis=-1) <= radius_mm


def ramp(grid: Grid, at_zero_gy: float = 60.0, per_mm: float = -0.5, axis: int = 0) -> Image:
    """Dose that is linear along one axis of the patient, so that trilinear interpolation is exact; never below 0."""
    xyz = grid.world(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    return Image(np.maximum(at_zero_gy + per_mm * xyz[..., axis], 0.0).astype(np.float64), grid, "Gy")


def flat(grid: Grid, gy: float) -> Image:
    return Image(np.full(grid.shape, gy), grid, "Gy")


def one_part(mask: np.ndarray, grid: Grid) -> RecurrencePart:
    (part,), small = recurrence_parts(mask, grid)
    assert small == 0
    return part


def nested_targets(grid: Grid) -> list[Target]:
    high = Target("CTV high", ball(grid, (0, 0, 0), 12), grid, "high")
    low = Target("CTV elective", ball(grid, (0, 0, 0), 24), grid, "elective")
    tumour = Target("GTV", ball(grid, (0, 0, 0), 6), grid, is_first_tumour=True)
    return [low, high, tumour]
