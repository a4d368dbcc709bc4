"""Transforms: one direction, composition in order, inverses that undo."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from regrowth.errors import InputError, ParameterError
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform, resample_image


def rigid(angles_deg: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def wave(xyz_mm: np.ndarray, amplitude_mm: float = 1.5, length_mm: float = 80.0) -> np.ndarray:
    """Give a smooth displacement; its gradient is at most 2 pi amplitude / length = 0.12."""
    k = 2 * np.pi / length_mm
    x, y, z = np.moveaxis(np.asarray(xyz_mm), -1, 0)
    return amplitude_mm * np.stack([np.sin(k * y), np.sin(k * z), np.sin(k * x)], axis=-1)


def wave_map(grid: Grid) -> DisplacementMap:
    return DisplacementMap(wave(Transform().map_grid(grid)), grid)


@pytest.fixture
def grid(grid):
    """Give the middle of the common grid, an eighth of its voxels, which keeps these tests quick."""
    shape = np.array(grid.shape) // 2 + 1
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world((np.array(grid.shape) - shape) / 2)
    return Grid(tuple(shape), affine)


@pytest.fixture
def points(grid, rng):
    """Points well inside of the grid, (200, 3) mm."""
    return grid.world(rng.uniform(0.25, 0.75, (200, 3)) * (np.array(grid.shape) - 1))


def test_identity_leaves_points_where_they_are(points):
    np.testing.assert_array_equal(Transform().map_points(points), points)


def test_affine_map_applies_its_matrix(points):
    matrix = rigid((10, -20, 5), (1, 2, 3))
    expected = (matrix @ np.c_[points, np.ones(len(points))].T).T[:, :3]
    np.testing.assert_allclose(Transform.affine(matrix).map_points(points), expected)


@pytest.mark.parametrize("bad", [np.eye(3), np.zeros((4, 4)), np.full((4, 4), np.nan), np.diag([1, 1, 1, 2.0])])
def test_matrix_that_is_no_invertible_affine_is_refused(bad):
    with pytest.raises(InputError, match="invertible 4x4"):
        AffineMap(bad)


def test_constant_field_shifts_every_point_even_beyond_its_grid(grid, rng):
    field = DisplacementMap(np.broadcast_to([1.0, -2.0, 3.0], (*grid.shape, 3)), grid)
    far = rng.uniform(-500, 500, (50, 3))
    np.testing.assert_allclose(field.map_points(far) - far, np.tile([1.0, -2.0, 3.0], (50, 1)), atol=1e-5)


def test_linear_field_is_read_exactly_between_its_voxels(grid, points):
    matrix = np.array([[0.02, 0.01, 0], [0, -0.03, 0.01], [0.01, 0, 0.02]])
    field = DisplacementMap(Transform().map_grid(grid) @ matrix.T, grid)
    np.testing.assert_allclose(field.map_points(points), points + points @ matrix.T, atol=1e-4)


def test_field_of_another_shape_is_refused(grid):
    with pytest.raises(InputError, match="does not fit its grid"):
        DisplacementMap(np.zeros((*grid.shape, 2)), grid)


def test_field_with_nan_is_refused():
    field = np.zeros((3, 3, 3, 3))
    field[1, 1, 1, 1] = np.nan
    with pytest.raises(InputError, match="NaN"):
        DisplacementMap(field, Grid((3, 3, 3), np.eye(4)))


def test_maps_are_read_only(grid):
    with pytest.raises(ValueError, match="read-only"):
        AffineMap(np.eye(4)).matrix[0, 0] = 2
    with pytest.raises(ValueError, match="read-only"):
        wave_map(grid).displacement_mm[0] = 2


def test_then_moves_the_image_by_the_first_transform_first(points):
    a = Transform.affine(rigid((0, 0, 90), (0, 0, 0)), from_space="A", to_space="B")
    b = Transform.affine(rigid((0, 0, 0), (10, 0, 0)), from_space="B", to_space="C")
    chain = a.then(b)
    assert (chain.from_space, chain.to_space) == ("A", "C")
    # Points travel from C to B to A.
    np.testing.assert_allclose(chain.map_points(points), a.map_points(b.map_points(points)))
    np.testing.assert_allclose(chain.map_points([[1.0, 2.0, 3.0]]), [[-2.0, 11.0, 3.0]], atol=1e-12)
    np.testing.assert_allclose(chain.matrix, a.matrix @ b.matrix)


def test_moving_an_image_twice_equals_the_composed_transform_for_whole_voxel_shifts():
    grid = Grid((12, 9, 8), np.diag([2.0, 1.0, 1.0, 1.0]))
    data = np.random.default_rng(1).normal(size=grid.shape)
    a = Transform.affine(rigid((0, 0, 0), (4, 0, 0)), from_space="A", to_space="B")
    b = Transform.affine(rigid((0, 0, 0), (-2, 3, 0)), from_space="B", to_space="C")
    twice = resample_image(resample_image(Image(data, grid), grid, a), grid, b)
    once = resample_image(Image(data, grid), grid, a.then(b))
    np.testing.assert_allclose(twice.data[1:10, :5], once.data[1:10, :5], atol=1e-6)


def test_composition_keeps_the_grids_of_its_ends(grid):
    other = Grid((2, 2, 2), np.eye(4))
    a = Transform(from_space="A", to_space="B", moving=grid)
    b = Transform(from_space="B", to_space="C", fixed=other)
    assert a.then(b).moving is grid
    assert a.then(b).fixed is other


def test_composition_of_spaces_that_do_not_meet_is_refused():
    a = Transform(from_space="A", to_space="B")
    with pytest.raises(ParameterError, match=r"from-A_to-B with one from-C"):
        a.then(Transform(from_space="C", to_space="D"))


def test_composition_is_associative(grid, points):
    a = Transform.affine(rigid((3, 2, 1), (1, 2, 3)), from_space="A", to_space="B")
    b = Transform((wave_map(grid),), from_space="B", to_space="C")
    c = Transform.affine(rigid((-5, 4, 0), (0, 1, 0)), from_space="C", to_space="D")
    np.testing.assert_allclose(a.then(b).then(c).map_points(points), a.then(b.then(c)).map_points(points))


def test_transform_with_a_field_has_no_matrix(grid):
    transform = Transform((wave_map(grid),))
    assert not transform.is_linear
    assert Transform.affine(np.eye(4)).is_linear
    with pytest.raises(ParameterError, match="no matrix"):
        _ = transform.matrix


def test_map_grid_equals_mapping_the_world_points(grid):
    transform = Transform((wave_map(grid), AffineMap(rigid((4, 5, -6), (7, 8, 9)))))
    ijk = np.moveaxis(np.indices(grid.shape), 0, -1)
    for target in (grid, grid.resized((5.0, 4.0, 6.0))):
        world = target.world(np.moveaxis(np.indices(target.shape), 0, -1))
        np.testing.assert_allclose(transform.map_grid(target), transform.map_points(world), atol=1e-4)
    np.testing.assert_allclose(Transform().map_grid(grid), grid.world(ijk))


def test_rows_of_map_grid_are_the_rows_of_the_whole(grid):
    transform = Transform((wave_map(grid),))
    np.testing.assert_array_equal(transform.map_grid(grid, slice(3, 7)), transform.map_grid(grid)[3:7])
    assert transform.map_grid(grid, slice(grid.shape[0] - 1, grid.shape[0] + 9)).shape[0] == 1


def test_inverse_of_an_affine_is_exact(points):
    matrix = rigid((20, -30, 10), (40, -50, 60)) @ np.diag([1.1, 0.9, 1.2, 1])
    there = Transform.affine(matrix, from_space="A", to_space="B")
    back = there.inverse()
    assert (back.from_space, back.to_space) == ("B", "A")
    np.testing.assert_allclose(back.map_points(there.map_points(points)), points, atol=1e-9)


@pytest.mark.parametrize("turn", [None, "field with a rigid part", "affine before", "affine after"])
def test_inverse_undoes_a_field_alone_and_in_chains(grid, points, spacing_mm, turn):
    matrix = rigid((6, -4, 8), (25, -12, 7))
    world = Transform().map_grid(grid)
    steps = {
        None: (wave_map(grid),),
        "field with a rigid part": (DisplacementMap(AffineMap(matrix).map_points(world) + wave(world) - world, grid),),
        "affine before": (AffineMap(np.linalg.inv(matrix)), wave_map(grid)),
        "affine after": (wave_map(grid), AffineMap(matrix)),
    }[turn]
    there = Transform(steps)
    inside = points if turn != "affine before" else AffineMap(matrix).map_points(points)
    # Two linear interpolations of a wave, each wrong by h^2/8 times its curvature, besides the tolerance of the search.
    bound = 2 * max(spacing_mm) ** 2 / 8 * 1.5 * (2 * np.pi / 80) ** 2 * np.sqrt(3) + 0.02
    error = np.linalg.norm(there.inverse().map_points(there.map_points(inside)) - inside, axis=1)
    assert error.max() < bound
    image = there.map_points(inside)
    assert np.linalg.norm(there.map_points(there.inverse().map_points(image)) - image, axis=1).max() < bound


def test_inverse_reverses_spaces_and_grids(grid):
    other = Grid((2, 2, 2), np.eye(4))
    back = Transform((), "A", "B", moving=grid, fixed=other).inverse()
    assert (back.from_space, back.to_space, back.moving, back.fixed) == ("B", "A", other, grid)


def test_field_that_folds_has_no_inverse_and_says_so():
    grid = Grid((20, 4, 4), np.eye(4))
    field = np.zeros((20, 4, 4, 3))
    field[..., 0] = 6 * np.sin(np.arange(20) * 1.2)[:, None, None]
    with pytest.raises(InputError, match=r"cannot be inverted.*folds"):
        Transform((DisplacementMap(field, grid),)).inverse()


def test_flattened_equals_the_chain_on_its_grid(grid):
    chain = Transform((AffineMap(rigid((3, -2, 5), (10, 20, -5))), wave_map(grid), AffineMap(rigid((0, 4, 0), (1, 1, 1)))))
    target = grid.resized((4.0, 4.0, 6.5))
    flat = chain.flattened(target)
    assert len(flat.steps) == 1
    np.testing.assert_allclose(flat.map_grid(target), chain.map_grid(target), atol=1e-4)
    assert (flat.from_space, flat.to_space) == (chain.from_space, chain.to_space)


def test_flattened_affine_is_exact_between_the_voxels_too(grid, points):
    chain = Transform.affine(rigid((3, -2, 5), (10, 20, -5)))
    np.testing.assert_allclose(chain.flattened(grid).map_points(points), chain.map_points(points), atol=1e-4)


def test_one_point_is_mapped_as_a_row_of_points_is(grid):
    field = DisplacementMap(np.random.default_rng(1).normal(size=(*grid.shape, 3)), grid)
    point = grid.world(np.array(grid.shape) / 2.3)
    assert np.array_equal(field.map_points(point), field.map_points(point[None])[0])
