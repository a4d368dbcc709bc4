"""What must not change however the voxels are stored: property tests over random grids, masks and labels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from regrowth.labels import label_scheme
from regrowth.space import (
    AffineMap,
    DisplacementMap,
    Grid,
    Image,
    LabelMap,
    Transform,
    dilate_mm,
    distance_to_mm,
    erode_mm,
    resample_image,
    resample_labels,
    sample_points,
)

BRATS = label_scheme("brats-2021")
quick = settings(max_examples=40, deadline=None, derandomize=True)

spacings = st.tuples(*[st.sampled_from([0.5, 0.94, 1.0, 1.3, 3.0, 6.5])] * 3)
angles = st.tuples(*[st.floats(-180, 180)] * 3)
shifts = st.tuples(*[st.floats(-200, 200)] * 3)
seeds = st.integers(0, 2**32 - 1)
axis_orders = st.permutations([0, 1, 2])
axis_flips = st.sets(st.integers(0, 2))


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", draw(angles), degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(draw(spacings)) @ np.diag(draw(st.tuples(*[st.sampled_from([-1, 1])] * 3)))
    affine[:3, 3] = draw(shifts)
    return Grid(draw(st.tuples(*[st.integers(2, 12)] * 3)), affine)


def stored_otherwise(data: np.ndarray, order: list[int], flips: set[int]) -> np.ndarray:
    return np.flip(data.transpose(order), tuple(flips))


def grid_otherwise(grid: Grid, order: list[int], flips: set[int]) -> Grid:
    """Give the grid of `stored_otherwise`, so that every voxel keeps its place in mm."""
    affine = grid.affine[:, [*order, 3]].copy()
    shape = tuple(grid.shape[a] for a in order)
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
        affine[:3, axis] *= -1
    return Grid(shape, affine)


def scaled(grid: Grid, k: float) -> Grid:
    return Grid(grid.shape, np.diag([k, k, k, 1.0]) @ grid.affine)


def random_mask(grid: Grid, seed: int, share: float = 0.1) -> np.ndarray:
    mask = np.random.default_rng(seed).random(grid.shape) < share
    mask.flat[seed % mask.size] = True
    return mask


@quick
@given(grids(), axis_orders, axis_flips)
def test_reordered_grid_has_the_same_corners_and_volume(grid, order, flips):
    other = grid_otherwise(grid, order, flips)
    assert np.isclose(other.voxel_volume_ml, grid.voxel_volume_ml)
    a, b = (g.corners_mm()[np.lexsort(g.corners_mm().round(6).T)] for g in (grid, other))
    np.testing.assert_allclose(np.linalg.norm(a - a.mean(0), axis=1).sum(), np.linalg.norm(b - b.mean(0), axis=1).sum())
    np.testing.assert_allclose(a.mean(axis=0), b.mean(axis=0), atol=1e-6)


@quick
@given(grids(), seeds, axis_orders, axis_flips)
def test_distances_do_not_depend_on_the_order_and_sense_of_the_axes(grid, seed, order, flips):
    mask = random_mask(grid, seed)
    other = distance_to_mm(stored_otherwise(mask, order, flips), grid_otherwise(grid, order, flips))
    np.testing.assert_allclose(other, stored_otherwise(distance_to_mm(mask, grid), order, flips), atol=1e-9)


@quick
@given(grids(), seeds, axis_orders, axis_flips, st.sampled_from([0.5, 1.0, 2.0, 3.0, 6.5]))
def test_dilation_and_erosion_do_not_depend_on_the_order_and_sense_of_the_axes(grid, seed, order, flips, radius_mm):
    mask = random_mask(grid, seed, 0.6)
    other = grid_otherwise(grid, order, flips)
    for change in (dilate_mm, erode_mm):
        np.testing.assert_array_equal(
            change(stored_otherwise(mask, order, flips), other, radius_mm),
            stored_otherwise(change(mask, grid, radius_mm), order, flips),
        )


@quick
@given(grids(), seeds, axis_orders, axis_flips)
def test_volumes_do_not_depend_on_the_order_and_sense_of_the_axes(grid, seed, order, flips):
    data = np.random.default_rng(seed).choice(np.array([0, 1, 2, 4], np.uint8), grid.shape)
    a = LabelMap(data, grid, BRATS)
    b = LabelMap(stored_otherwise(data, order, flips), grid_otherwise(grid, order, flips), BRATS)
    for region in BRATS.regions:
        assert np.isclose(a.volume_ml(region), b.volume_ml(region))


@quick
@given(grids(), seeds, axis_orders, axis_flips)
def test_image_and_labels_stored_otherwise_come_back_unchanged(grid, seed, order, flips):
    rng = np.random.default_rng(seed)
    other = grid_otherwise(grid, order, flips)
    values = rng.normal(size=grid.shape).astype(np.float32)
    back = resample_image(Image(stored_otherwise(values, order, flips), other), grid)
    np.testing.assert_allclose(back.data, values, atol=1e-4)
    labels = rng.choice(np.array([0, 1, 2, 4], np.uint8), grid.shape)
    for method in ("generic", "nearest"):
        stored = LabelMap(stored_otherwise(labels, order, flips), other, BRATS)
        np.testing.assert_array_equal(resample_labels(stored, grid, method=method).data, labels)


@quick
@given(grids(), seeds, st.floats(0.1, 10))
def test_scaling_the_affine_by_k_scales_mm_by_k_and_ml_by_k_cubed(grid, seed, k):
    mask = random_mask(grid, seed)
    big = scaled(grid, k)
    np.testing.assert_allclose(big.spacing_mm, np.array(grid.spacing_mm) * k)
    np.testing.assert_allclose(big.voxel_volume_ml, grid.voxel_volume_ml * k**3)
    np.testing.assert_allclose(distance_to_mm(mask, big), distance_to_mm(mask, grid) * k, rtol=1e-9)
    labels = mask.astype(np.uint8)
    np.testing.assert_allclose(
        LabelMap(labels, big, BRATS).volume_ml("NCR"), LabelMap(labels, grid, BRATS).volume_ml("NCR") * k**3
    )
    shift = np.eye(4)
    shift[:3, 3] = [1, 2, 2]
    moved, big_moved = Grid(grid.shape, shift @ grid.affine), scaled(Grid(grid.shape, shift @ grid.affine), k)
    np.testing.assert_allclose(big.displacement_mm(big_moved), grid.displacement_mm(moved) * k)


@quick
@given(grids(), seeds)
def test_dilation_holds_what_it_grew_from_and_erosion_is_held(grid, seed):
    mask = random_mask(grid, seed, 0.5)
    assert dilate_mm(mask, grid, 2.0)[mask].all()
    assert mask[erode_mm(mask, grid, 2.0)].all()
    assert dilate_mm(mask, grid, 3.0)[dilate_mm(mask, grid, 2.0)].all()


@quick
@given(grids(), st.lists(st.tuples(*[st.floats(-60, 60)] * 3), min_size=1, max_size=20))
def test_world_and_index_undo_each_other(grid, points):
    np.testing.assert_allclose(grid.world(grid.index(points)), points, atol=1e-8)


@quick
@given(angles, shifts, st.tuples(*[st.floats(0.5, 2)] * 3), st.tuples(*[st.floats(-0.5, 0.5)] * 3), seeds)
def test_inverse_of_an_affine_undoes_it(turn, shift, stretch, shear, seed):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ np.diag(stretch)
    matrix[:3, :3] @= np.array([[1, shear[0], shear[1]], [0, 1, shear[2]], [0, 0, 1]])
    matrix[:3, 3] = shift
    transform = Transform.affine(matrix)
    points = np.random.default_rng(seed).uniform(-100, 100, (30, 3))
    np.testing.assert_allclose(transform.inverse().map_points(transform.map_points(points)), points, atol=1e-7)
    np.testing.assert_allclose((transform.inverse().matrix @ transform.matrix), np.eye(4), atol=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    spacing=st.sampled_from([(1.0, 1.0, 1.0), (0.5, 0.5, 1.0), (0.94, 0.94, 6.5)]),
    turn=st.tuples(*[st.floats(-8, 8)] * 3),
    shift=st.tuples(*[st.floats(-15, 15)] * 3),
    grid_turn=angles,
    amplitude_mm=st.floats(0, 2),
    seed=seeds,
)
def test_inverse_of_a_random_smooth_field_undoes_it(spacing, turn, shift, grid_turn, amplitude_mm, seed):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", grid_turn, degrees=True).as_matrix() @ np.diag(spacing)
    grid = Grid((16, 17, 8), affine)
    world = Transform().map_grid(grid)
    rigid = np.eye(4)
    rigid[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    rigid[:3, 3] = shift
    waves, phases = rng.uniform(-0.06, 0.06, (3, 3)), rng.uniform(0, 6, 3)
    moved = AffineMap(rigid).map_points(world) + amplitude_mm * np.sin(world @ waves + phases)
    there = Transform((DisplacementMap(moved - world, grid),))
    # At its border a field is held constant, a kink that the inverse cannot follow within a voxel.
    points = grid.world(rng.uniform(1.5, np.array(grid.shape) - 2.5, (200, 3)))
    back = there.inverse().map_points(there.map_points(points))
    curvature = amplitude_mm * (waves**2).sum(axis=0).max() * np.sqrt(3)
    bound = 2 * (np.array(spacing) ** 2).sum() / 8 * curvature + 0.03
    assert np.linalg.norm(back - points, axis=1).max() < bound


@quick
@given(seeds)
def test_labels_survive_a_round_trip_between_schemes_of_the_same_tissues(seed):
    data = np.random.default_rng(seed).choice(np.array([0, 1, 2, 4], np.uint8), (5, 6, 7))
    for name in ("brats-2023", "picture-preop"):
        other = label_scheme(name)
        np.testing.assert_array_equal(other.convert(BRATS.convert(data, other), BRATS), data)


@quick
@given(grids(), seeds, st.integers(0, 2), st.sampled_from([0, 1]))
def test_samples_at_voxel_centres_are_the_voxels(grid, seed, axis, order):
    data = np.random.default_rng(seed).normal(size=grid.shape)
    ijk = np.moveaxis(np.indices(grid.shape), 0, -1)
    np.testing.assert_array_equal(sample_points(data, ijk, order), data)
    beyond = ijk.astype(float)
    beyond[..., axis] += grid.shape[axis]
    assert (sample_points(data, beyond, order, fill=-7.0) == -7.0).all()
