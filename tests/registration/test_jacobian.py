"""The Jacobian determinant against matrices and sinusoidal fields, on every orientation and spacing."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.registration import jacobian_determinant
from regrowth.space import AffineMap, DisplacementMap, Grid, Transform


def test_a_scaling_gives_exactly_its_determinant(grid: Grid) -> None:
    matrix = np.array([[1.2, 0.1, 0, 3], [-0.05, 0.9, 0.2, -4], [0, 0.1, 1.1, 5], [0, 0, 0, 1]])
    found = jacobian_determinant(Transform.affine(matrix), grid)
    assert np.allclose(found, np.linalg.det(matrix), rtol=1e-9)


def test_a_sinusoidal_field_has_its_analytic_jacobian(grid: Grid) -> None:
    # u = amplitude sin(k.x) direction, so det(1 + du/dx) = 1 + amplitude cos(k.x) k.direction.
    k = 2 * np.pi / 90.0 * np.array([0.6, 0.64, 0.48])
    direction, amplitude = np.array([0.8, -0.36, 0.48]), 4.0
    x = Transform().map_grid(grid)
    field = (amplitude * np.sin(x @ k)[..., None] * direction).astype(np.float32)
    found = jacobian_determinant(Transform((DisplacementMap(field, grid),)), grid)
    wanted = 1 + amplitude * np.cos(x @ k) * (k @ direction)
    inner = (slice(1, -1),) * 3
    # Central differences lose (k h)^2 / 6 of the derivative along each axis.
    loss = max((abs(k @ grid.affine[:3, a]) ** 2) / 6 for a in range(3))
    assert np.abs(found - wanted)[inner].max() < amplitude * abs(k @ direction) * loss * 1.5 + 1e-4
    assert np.abs(wanted - 1).max() > 10 * (amplitude * abs(k @ direction) * loss * 1.5 + 1e-4) or loss > 0.02


def test_a_field_and_a_matrix_multiply(grid: Grid) -> None:
    field = DisplacementMap((0.1 * Transform().map_grid(grid)).astype(np.float32), grid)
    matrix = np.diag([2.0, 1.0, 0.5, 1.0])
    matrix[0, 1] = 0.3
    found = jacobian_determinant(Transform((field, AffineMap(matrix))), grid)
    assert np.allclose(found, 1.1**3 * np.linalg.det(matrix), rtol=1e-4)


def test_a_fold_has_a_negative_determinant() -> None:
    grid = Grid((40, 8, 8), np.eye(4))
    x = Transform().map_grid(grid)
    field = np.zeros((*grid.shape, 3), np.float32)
    field[..., 0] = 6 * np.sin(x[..., 0] * 2 * np.pi / 20)
    found = jacobian_determinant(Transform((DisplacementMap(field, grid),)), grid)
    assert found.min() < -0.5
    assert (found <= 0).mean() == pytest.approx(
        np.mean(1 + 6 * 2 * np.pi / 20 * np.cos(np.arange(40) * np.pi / 10) <= 0), abs=0.03
    )


def test_slabs_join_without_a_seam() -> None:
    grid = Grid((33, 4, 4), np.eye(4))
    x = Transform().map_grid(grid)
    field = np.zeros((*grid.shape, 3), np.float32)
    field[..., 0] = 0.01 * x[..., 0] ** 2
    found = jacobian_determinant(Transform((DisplacementMap(field, grid),)), grid)
    # Central differences of a parabola are exact.
    assert np.allclose(found[1:-1, 2, 2], 1 + 0.02 * np.arange(1, 32), atol=1e-5)
