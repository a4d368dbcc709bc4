"""Distances in mm: against closed forms, at every orientation and spacing."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError
from regrowth.space import (
    Grid,
    Transform,
    bounding_box,
    dilate_mm,
    distance_to_mm,
    erode_mm,
    largest_component,
)

CENTRE = np.array([3.0, -2.0, 5.0])


def radius(grid: Grid) -> np.ndarray:
    return np.linalg.norm(Transform().map_grid(grid) - CENTRE, axis=-1)


def test_distance_to_one_voxel_is_the_distance_between_the_points(grid):
    at = tuple(n // 3 for n in grid.shape)
    mask = np.zeros(grid.shape, bool)
    mask[at] = True
    expected = np.linalg.norm(Transform().map_grid(grid) - grid.world(np.array(at)), axis=-1)
    np.testing.assert_allclose(distance_to_mm(mask, grid), expected, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_distance_to_a_plane_counts_slices_times_their_spacing(grid, spacing_mm, axis):
    mask = np.zeros(grid.shape, bool)
    np.moveaxis(mask, axis, 0)[2] = True
    steps = np.abs(np.arange(grid.shape[axis]) - 2) * spacing_mm[axis]
    out = np.moveaxis(distance_to_mm(mask, grid), axis, 0)
    np.testing.assert_allclose(out, np.broadcast_to(steps[:, None, None], out.shape), atol=1e-9)


def test_distance_to_an_empty_mask_is_infinite(grid):
    assert np.isinf(distance_to_mm(np.zeros(grid.shape, bool), grid)).all()


def test_distance_to_a_full_mask_is_zero(grid):
    assert not distance_to_mm(np.ones(grid.shape, bool), grid).any()


def test_dilating_one_voxel_gives_all_voxels_within_the_radius(grid):
    at = tuple(n // 2 for n in grid.shape)
    mask = np.zeros(grid.shape, bool)
    mask[at] = True
    distance = np.linalg.norm(Transform().map_grid(grid) - grid.world(np.array(at)), axis=-1)
    for radius_mm in (0.75, 3.3, 14.2):
        np.testing.assert_array_equal(dilate_mm(mask, grid, radius_mm), distance <= radius_mm)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbour_at_exactly_the_radius_is_taken_in_every_orientation(grid, spacing_mm, axis):
    at = [n // 2 for n in grid.shape]
    mask = np.zeros(grid.shape, bool)
    mask[tuple(at)] = True
    at[axis] += 1
    assert dilate_mm(mask, grid, spacing_mm[axis])[tuple(at)]
    assert not dilate_mm(mask, grid, spacing_mm[axis] * 0.99)[tuple(at)]


def test_dilated_ball_has_the_sum_of_the_radii_to_within_a_voxel(grid, spacing_mm):
    r, voxel = radius(grid), np.linalg.norm(spacing_mm)
    out = dilate_mm(r <= 12.0, grid, 8.0)
    assert (r[out] <= 20.0 + 1e-3).all()
    assert out[r <= 20.0 - voxel].all()


def test_eroded_ball_has_the_difference_of_the_radii_to_within_a_voxel(grid, spacing_mm):
    r, voxel = radius(grid), np.linalg.norm(spacing_mm)
    out = erode_mm(r <= 22.0, grid, 8.0)
    assert out[r <= 14.0 - 1e-3].all()
    assert (r[out] <= 14.0 + voxel).all()


def test_erosion_is_the_dilation_of_the_outside(grid):
    mask = (radius(grid) <= 20.0) & (radius(grid) > 4.0)
    np.testing.assert_array_equal(erode_mm(mask, grid, 5.0), mask & ~dilate_mm(~mask, grid, 5.0))


def test_dilation_then_erosion_contains_the_mask_and_the_reverse_is_contained(grid, rng):
    mask = (radius(grid) <= 15.0) & (rng.random(grid.shape) > 0.3)
    assert erode_mm(dilate_mm(mask, grid, 4.0), grid, 4.0)[mask].all()
    assert mask[dilate_mm(erode_mm(mask, grid, 1.0), grid, 1.0)].all()


def test_what_lies_beyond_the_array_counts_as_outside_for_erosion():
    grid = Grid((7, 7, 7), np.eye(4))
    out = erode_mm(np.ones(grid.shape, bool), grid, 2.0)
    assert out.sum() == 27
    assert out[2:5, 2:5, 2:5].all()


@pytest.mark.parametrize("change", [dilate_mm, erode_mm])
def test_radius_of_zero_gives_a_copy(grid, change):
    mask = radius(grid) <= 10
    out = change(mask, grid, 0.0)
    np.testing.assert_array_equal(out, mask)
    assert not np.shares_memory(out, mask)


@pytest.mark.parametrize("change", [dilate_mm, erode_mm])
def test_empty_mask_stays_empty(grid, change):
    assert not change(np.zeros(grid.shape, bool), grid, 5.0).any()


@pytest.mark.parametrize("call", [distance_to_mm, lambda m, g: dilate_mm(m, g, 1), lambda m, g: erode_mm(m, g, 1)])
def test_sheared_grid_is_refused_because_distances_along_its_axes_mislead(call):
    affine = np.eye(4)
    affine[0, 1] = 0.1
    with pytest.raises(InputError, match=r"sheared.*resample"):
        call(np.ones((3, 3, 3), bool), Grid((3, 3, 3), affine))


@pytest.mark.parametrize("call", [distance_to_mm, lambda m, g: dilate_mm(m, g, 1), lambda m, g: erode_mm(m, g, 1)])
def test_mask_of_another_shape_is_refused(grid, call):
    with pytest.raises(GridMismatchError, match="does not fit a grid of shape"):
        call(np.ones((3, 3, 3), bool), grid)


def test_bounding_box_is_the_smallest_one_and_its_margin_stops_at_the_border():
    mask = np.zeros((10, 10, 10), bool)
    mask[2:5, 7, 0] = True
    assert bounding_box(mask) == (slice(2, 5), slice(7, 8), slice(0, 1))
    assert bounding_box(mask, 3) == (slice(0, 8), slice(4, 10), slice(0, 4))
    assert bounding_box(mask, np.int64(3)) == bounding_box(mask, 3)
    assert bounding_box(mask, (0, 1, 2)) == (slice(2, 5), slice(6, 9), slice(0, 3))


def test_bounding_box_of_an_empty_mask_is_empty():
    mask = np.zeros((4, 4, 4), bool)
    assert mask[bounding_box(mask, 2)].size == 0


def test_largest_component_keeps_only_the_largest_part():
    mask = np.zeros((9, 9, 9), bool)
    mask[0:2, 0:2, 0:2] = True
    mask[4:8, 4:8, 4:8] = True
    out = largest_component(mask)
    assert out.sum() == 64
    assert out[4:8, 4:8, 4:8].all()


def test_parts_that_touch_by_an_edge_only_are_apart():
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, :3] = True
    mask[1, 1, 3] = True
    assert largest_component(mask).sum() == 3


def test_largest_component_of_one_part_is_a_copy_and_of_nothing_is_nothing():
    mask = np.zeros((4, 4, 4), bool)
    assert not largest_component(mask).any()
    mask[1:3, 1:3, 1] = True
    out = largest_component(mask)
    np.testing.assert_array_equal(out, mask)
    assert not np.shares_memory(out, mask)
