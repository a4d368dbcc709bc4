from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import InputError
from regrowth.phantom.deformation import (
    jacobian_determinant,
    limited_displacement,
    radial_displacement,
    rigid_matrix,
    rotation_matrix,
)
from regrowth.phantom.fields import covering_lattice, smooth_field, smooth_vectors
from regrowth.phantom.lesion import spread_mm
from regrowth.space import Grid, Transform

LATTICE = covering_lattice(np.full(3, -40.0), np.full(3, 40.0), 2.0)
POINTS = Transform().map_grid(LATTICE)


def test_mass_effect_points_outwards_and_peaks_as_told() -> None:
    centre = np.array([3.0, -2.0, 1.0])
    field = radial_displacement(POINTS, centre, 20.0, 5.0)
    length = np.linalg.norm(field, axis=-1)
    assert length.max() == pytest.approx(5.0, abs=0.02)
    offset = POINTS - centre
    outward = (field * offset).sum(axis=-1)
    assert (outward >= 0).all()
    np.testing.assert_allclose(outward, length * np.linalg.norm(offset, axis=-1), rtol=1e-4, atol=1e-4)
    peak_radius = np.linalg.norm(offset, axis=-1)[np.unravel_index(length.argmax(), length.shape)]
    assert peak_radius == pytest.approx(20 * (2 / 3) ** (1 / 6), abs=1.0)


def test_the_jacobian_of_a_linear_stretch_is_its_determinant() -> None:
    matrix = np.array([[0.1, 0.05, 0.0], [0.0, -0.2, 0.1], [0.03, 0.0, 0.3]])
    determinant = jacobian_determinant((POINTS @ matrix.T).astype(np.float32), LATTICE)
    np.testing.assert_allclose(determinant, np.linalg.det(np.eye(3) + matrix), rtol=1e-4)


def test_the_jacobian_refuses_other_axes() -> None:
    grid = Grid((5, 5, 5), np.diag([-1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match="axis-parallel"):
        jacobian_determinant(np.zeros((5, 5, 5, 3)), grid)


def test_a_folding_displacement_is_weakened_and_held_within_the_brain(rng: np.random.Generator) -> None:
    depth = 35.0 - np.linalg.norm(POINTS, axis=-1)
    wild = smooth_vectors(LATTICE, 6.0, 25.0, rng)
    assert jacobian_determinant(wild, LATTICE).min() < 0
    tame, factor = limited_displacement(wild, LATTICE, depth, 0.3)
    assert 0 < factor < 1
    assert jacobian_determinant(tame, LATTICE).min() > 0.3
    assert not tame[depth <= -2].any()
    assert np.abs(tame[(depth < 0.5)]).max() < 0.05 * np.abs(tame).max()
    assert np.abs(tame[depth > 20]).max() > 0.5


def test_rotations_are_rotations_and_keep_their_centre() -> None:
    rotation = rotation_matrix(np.array([5.0, -8.0, 12.0]))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    centre = np.array([4.0, 5.0, 6.0])
    moved = rigid_matrix(np.array([5.0, -8.0, 12.0]), np.array([1.0, 2.0, 3.0]), centre) @ [*centre, 1]
    np.testing.assert_allclose(moved[:3] - centre, [1, 2, 3], atol=1e-12)


def test_smooth_fields_have_unit_variance_and_the_asked_size(rng: np.random.Generator) -> None:
    field = smooth_field(LATTICE, 6.0, rng)
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-4)
    vectors = smooth_vectors(LATTICE, 6.0, 4.0, rng)
    assert np.sqrt((vectors**2).sum(axis=-1).mean()) == pytest.approx(4.0, rel=1e-3)


def test_spread_runs_along_white_matter_and_never_leaves_the_brain(rng: np.random.Generator) -> None:
    x, y, z = np.moveaxis(POINTS, -1, 0)
    brain = np.linalg.norm(POINTS, axis=-1) < 34
    tract = (np.abs(y) < 5) & (np.abs(z) < 5)
    seeds = np.linalg.norm(POINTS, axis=-1) < 5
    way = spread_mm(seeds, tract.astype(np.float32), np.zeros(LATTICE.shape, np.float32), brain, LATTICE, rng)
    assert (way[seeds] == 0).all()
    along = way[(np.abs(x) > 18) & (np.abs(x) < 22) & tract].mean()
    across = way[(np.abs(y) > 18) & (np.abs(y) < 22) & (np.abs(x) < 5) & (np.abs(z) < 5)].mean()
    assert along < 25
    assert across > 2 * along
    assert (way[~brain] > 50).all()
    nothing = spread_mm(np.zeros(LATTICE.shape, bool), tract.astype(np.float32), 0 * way, brain, LATTICE, rng)
    assert (nothing == 200).all()
