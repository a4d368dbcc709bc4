"""Grids: where voxels lie, and when two arrays may meet."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError
from regrowth.space import Grid, require_same_grid


def test_world_of_the_first_voxel_is_the_origin_of_the_affine(grid):
    np.testing.assert_allclose(grid.world(np.zeros(3)), grid.affine[:3, 3])


def test_index_undoes_world_for_points_between_and_beyond_voxels(grid, rng):
    ijk = rng.uniform(-20, 150, (5, 7, 3))
    np.testing.assert_allclose(grid.index(grid.world(ijk)), ijk, atol=1e-9)


def test_inverse_is_the_inverse_of_the_affine(grid):
    np.testing.assert_allclose(grid.inverse @ grid.affine, np.eye(4), atol=1e-12)


def test_spacing_is_the_distance_between_neighbours_in_mm(grid, spacing_mm):
    neighbours = grid.world(np.eye(3)) - grid.world(np.zeros(3))
    np.testing.assert_allclose(np.linalg.norm(neighbours, axis=1), spacing_mm)
    np.testing.assert_allclose(grid.spacing_mm, spacing_mm)


def test_voxel_volume_is_the_product_of_the_spacing(grid, spacing_mm):
    assert grid.voxel_volume_ml == pytest.approx(np.prod(spacing_mm) / 1000)


def test_directions_are_unit_vectors_at_right_angles(grid):
    np.testing.assert_allclose(grid.directions.T @ grid.directions, np.eye(3), atol=1e-12)
    assert grid.is_orthogonal


def test_sheared_grid_is_not_orthogonal():
    affine = np.eye(4)
    affine[0, 1] = 0.1
    assert not Grid((4, 4, 4), affine).is_orthogonal


def test_axcodes_name_the_direction_of_each_axis(grid, orientation):
    # The oblique grid is turned by less than 45 degrees from RAS.
    assert "".join(grid.axcodes) == ("RAS" if orientation == "oblique" else orientation)


def test_corners_are_the_centres_of_the_corner_voxels(grid, spacing_mm):
    corners = grid.corners_mm()
    assert corners.shape == (8, 3)
    np.testing.assert_allclose(corners.mean(axis=0), [3.0, -2.0, 5.0], atol=1e-9)
    sides = (np.array(grid.shape) - 1) * spacing_mm
    np.testing.assert_allclose(np.linalg.norm(corners - corners.mean(axis=0), axis=1), np.linalg.norm(sides) / 2)


def test_displacement_of_a_shifted_grid_is_the_length_of_the_shift(grid):
    assert grid.displacement_mm(grid) == 0
    assert grid.displacement_mm(_moved(grid, (3.0, -4.0, 12.0))) == pytest.approx(13.0)


def test_displacement_of_a_flipped_grid_is_its_extent_along_that_axis(grid, spacing_mm):
    flipped = Grid(grid.shape, grid.affine @ _flip(0, grid.shape))
    assert grid.displacement_mm(flipped) == pytest.approx((grid.shape[0] - 1) * spacing_mm[0])


def test_displacement_of_other_shapes_is_infinite(grid):
    assert grid.displacement_mm(Grid((2, 2, 2), grid.affine)) == np.inf


def test_grids_are_close_up_to_the_tolerance_and_not_beyond(grid):
    assert grid.is_close(_moved(grid, (0.009, 0, 0)))
    assert not grid.is_close(_moved(grid, (0.011, 0, 0)))
    assert grid.is_close(_moved(grid, (0.4, 0, 0)), tolerance_mm=0.5)


def test_tiny_rotation_counts_by_what_it_does_at_the_corners(grid):
    angle = 1e-3
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert not grid.is_close(Grid(grid.shape, turn @ grid.affine))


def test_different_frames_of_reference_are_never_the_same_place(grid):
    a = Grid(grid.shape, grid.affine, "1.2.3")
    b = Grid(grid.shape, grid.affine, "1.2.4")
    assert a != b
    assert not a.is_close(b, tolerance_mm=1e9)
    with pytest.raises(GridMismatchError, match="different DICOM frames of reference"):
        require_same_grid(a, b)


def test_unknown_frame_of_reference_may_meet_a_known_one(grid):
    known = Grid(grid.shape, grid.affine, "1.2.3")
    assert known.is_close(grid)
    assert known != grid
    require_same_grid(known, grid)


def test_equal_grids_have_equal_hashes(grid):
    twin = Grid(grid.shape, grid.affine.copy())
    assert twin == grid
    assert hash(twin) == hash(grid)
    assert len({twin, grid, _moved(grid, (1, 0, 0))}) == 2


def test_negative_zero_in_the_affine_changes_neither_equality_nor_hash():
    affine = np.eye(4)
    affine[0, 3] = -0.0
    a, b = Grid((2, 2, 2), np.eye(4)), Grid((2, 2, 2), affine)
    assert a == b
    assert hash(a) == hash(b)


def test_grid_is_not_equal_to_something_else(grid):
    assert grid != "grid"


def test_affine_is_copied_and_read_only():
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 0] = 7
    assert grid.spacing_mm == (1, 1, 1)
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 7


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_affine_that_is_not_finite_is_refused(value):
    affine = np.eye(4)
    affine[1, 3] = value
    with pytest.raises(InputError, match="finite 4x4"):
        Grid((2, 2, 2), affine)


def test_affine_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"not shape \(3, 3\)"):
        Grid((2, 2, 2), np.eye(3))


def test_singular_affine_is_refused_with_the_remedy():
    with pytest.raises(InputError, match=r"singular.*sform and qform"):
        Grid((2, 2, 2), np.diag([1.0, 0.0, 1.0, 1.0]))


def test_affine_with_a_wrong_last_row_is_refused():
    affine = np.eye(4)
    affine[3, 0] = 1
    with pytest.raises(InputError):
        Grid((2, 2, 2), affine)


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 0), (2, 2, 2, 2), (-1, 2, 2)])
def test_shape_without_three_filled_axes_is_refused(shape):
    with pytest.raises(InputError, match="three axes"):
        Grid(shape, np.eye(4))


@pytest.mark.parametrize("new_mm", [(2.0, 2.0, 2.0), (0.7, 1.1, 3.3)])
def test_resized_grid_keeps_centre_axes_and_field_of_view(grid, spacing_mm, new_mm):
    new = Grid(grid.shape, grid.affine, "1.2").resized(new_mm)
    np.testing.assert_allclose(new.spacing_mm, new_mm)
    np.testing.assert_allclose(new.directions, grid.directions, atol=1e-12)
    np.testing.assert_allclose(new.corners_mm().mean(axis=0), grid.corners_mm().mean(axis=0), atol=1e-9)
    extent = np.array(grid.shape) * spacing_mm
    assert (np.abs(np.array(new.shape) * new_mm - extent) <= np.array(new_mm) / 2 + 1e-9).all()
    assert new.frame_of_reference_uid == "1.2"


def test_resized_to_its_own_spacing_is_the_same_grid(grid):
    assert grid.resized(grid.spacing_mm).is_close(grid, tolerance_mm=1e-9)


def test_resized_keeps_at_least_one_voxel():
    assert Grid((2, 2, 2), np.eye(4)).resized((10.0, 10.0, 10.0)).shape == (1, 1, 1)


@pytest.mark.parametrize("bad", [(0.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (1.0, 1.0), (np.nan, 1.0, 1.0), (np.inf, 1.0, 1.0)])
def test_spacing_that_is_not_three_positive_numbers_is_refused(grid, bad):
    with pytest.raises(InputError, match="three positive numbers"):
        grid.resized(bad)


def test_same_grid_passes(grid):
    require_same_grid(grid, Grid(grid.shape, grid.affine))


def test_mismatch_names_both_shapes_and_the_remedy(grid):
    other = Grid((3, 4, 5), np.eye(4))
    with pytest.raises(GridMismatchError) as caught:
        require_same_grid(grid, other, "image and mask")
    text = str(caught.value)
    assert text.startswith("image and mask")
    assert str(grid.shape) in text
    assert "(3, 4, 5)" in text
    assert "regrowth.space.resample_image or resample_labels" in text


def test_mismatch_names_the_corner_displacement_in_mm_and_the_axes(grid):
    with pytest.raises(GridMismatchError, match=r"5\.00 mm apart.*resample_image") as caught:
        require_same_grid(grid, _moved(grid, (3.0, 4.0, 0.0)))
    assert "".join(grid.axcodes) in str(caught.value)


def test_tolerance_of_require_same_grid_is_respected(grid):
    require_same_grid(grid, _moved(grid, (0.4, 0, 0)), tolerance_mm=0.5)


def _moved(grid: Grid, shift_mm: tuple[float, float, float]) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] += shift_mm
    return Grid(grid.shape, affine)


def _flip(axis: int, shape: tuple[int, ...]) -> np.ndarray:
    flip = np.eye(4)
    flip[axis, axis] = -1
    flip[axis, 3] = shape[axis] - 1
    return flip
