"""Resampling: values land where they belong in mm, whatever the order and sense of the axes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.labels import label_scheme
from regrowth.space import (
    AffineMap,
    DisplacementMap,
    Grid,
    Image,
    LabelMap,
    Transform,
    resample_image,
    resample_labels,
    resample_mask,
    sample_points,
)

BRATS = label_scheme("brats-2021")
SLOPE = np.array([0.5, -0.25, 0.125])  # per mm


def linear(xyz_mm: np.ndarray) -> np.ndarray:
    return 3.0 + np.asarray(xyz_mm) @ SLOPE


def world(grid: Grid) -> np.ndarray:
    return Transform().map_grid(grid)


def rigid(angles_deg: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


@pytest.fixture
def target() -> Grid:
    """LPS grid of 2 x 1.5 x 2.5 mm, about 30 mm wide, in the middle of the common grids, no voxel half-way between theirs."""
    spacing, shape = np.array([2.0, 1.5, 2.5]), np.array([15, 20, 12])
    affine = np.diag([*(spacing * [-1, -1, 1]), 1.0])
    affine[:3, 3] = np.array([3.137, -1.939, 5.113]) - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid(tuple(shape), affine)


def reordered(data: np.ndarray, grid: Grid, order: tuple[int, int, int], flips: tuple[int, ...]) -> tuple[np.ndarray, Grid]:
    """Give the same voxels at the same places with the axes permuted and flipped."""
    affine = grid.affine[:, [*order, 3]].copy()
    data = data.transpose(order)
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
        affine[:3, axis] *= -1
        data = np.flip(data, axis)
    return data, Grid(data.shape, affine)


# --- images ---------------------------------------------------------------------------------------------------------


def test_translation_of_plus_5_mm_moves_the_image_by_minus_5_mm(grid):
    start = np.array([6.0, -1.0, 4.0])
    blob = np.exp(-(np.linalg.norm(world(grid) - start, axis=-1) ** 2) / (2 * 6.0**2))
    moved = resample_image(Image(blob, grid), grid, Transform.affine(rigid((0, 0, 0), (5.0, 0, 0))))
    weights = moved.data / moved.data.sum()
    centre = (world(grid) * weights[..., None]).sum(axis=(0, 1, 2))
    # The tails that the borders of the grid cut off are worth up to a few hundredths of a mm.
    np.testing.assert_allclose(centre, start - [5.0, 0, 0], atol=0.1)


def test_linear_interpolation_reproduces_a_linear_function_exactly(grid, target):
    out = resample_image(Image(linear(world(grid)), grid), target)
    np.testing.assert_allclose(out.data, linear(world(target)), atol=1e-4)


def test_cubic_interpolation_reproduces_a_linear_function_exactly_away_from_the_border(grid, target):
    out = resample_image(Image(linear(world(grid)), grid), target, order=3)
    # A cubic spline with level borders forgets them by a factor of 2 - sqrt(3) per voxel.
    index = grid.index(world(target))
    depth = np.minimum(index, np.array(grid.shape) - 1 - index)
    per_voxel = np.abs(grid.affine[:3, :3].T @ SLOPE)
    bound = 1e-4 + 0.4 * (per_voxel * (2 - np.sqrt(3)) ** depth).sum(axis=-1)
    assert (np.abs(out.data - linear(world(target))) <= bound).all()


@pytest.mark.parametrize(("order", "tolerance"), [(0, 0), (1, 0), (3, 1e-5)])
def test_resampling_onto_its_own_grid_changes_nothing(grid, rng, order, tolerance):
    data = rng.normal(size=grid.shape).astype(np.float32)
    out = resample_image(Image(data, grid, "HU"), grid, order=order)
    np.testing.assert_allclose(out.data, data, rtol=0, atol=tolerance)
    assert out.unit == "HU"
    assert out.grid is grid
    assert out.data.dtype == np.float32


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (0, 1)), ((2, 0, 1), ()), ((1, 2, 0), (0, 2))])
def test_same_scene_stored_in_another_orientation_gives_equal_values_at_equal_mm(grid, target, rng, order, axes, flips):
    data = rng.normal(size=grid.shape).astype(np.float32)
    other, other_grid = reordered(data, grid, axes, flips)
    a = resample_image(Image(data, grid), target, order=order)
    b = resample_image(Image(other, other_grid), target, order=order)
    np.testing.assert_allclose(a.data, b.data, atol=1e-4)


def test_scene_stored_in_lps_equals_the_scene_stored_in_ras_on_either_grid(rng):
    ras = Grid((6, 7, 8), np.diag([1.0, 2.0, 3.0, 1.0]))
    data = rng.normal(size=ras.shape).astype(np.float32)
    flipped, lps = reordered(data, ras, (0, 1, 2), (0, 1))
    assert lps.axcodes == ("L", "P", "S")
    np.testing.assert_allclose(resample_image(Image(flipped, lps), ras).data, data, atol=1e-6)


def test_one_composed_resampling_equals_the_composed_function(grid, target):
    spread = grid.resized((7.0, 7.0, 7.0))
    field = DisplacementMap(2.0 * np.sin(world(spread)[..., [1, 2, 0]] / 15), spread)
    a = Transform.affine(rigid((8, -6, 10), (2, -1, 3)), from_space="A", to_space="B")
    b = Transform((field,), from_space="B", to_space="C")
    out = resample_image(Image(linear(world(grid)), grid), target, a.then(b), fill=np.nan)
    expected = linear(a.map_points(b.map_points(world(target))))
    inside = np.isfinite(out.data)
    assert inside.mean() > 0.99
    np.testing.assert_allclose(out.data[inside], expected[inside], atol=1e-3)


def test_transform_and_its_inverse_bring_a_linear_image_back(grid, target):
    there = Transform.affine(rigid((5, 4, -7), (3, 2, 1)), from_space="A", to_space="B")
    wide = Grid((60, 60, 60), np.array([[1.5, 0, 0, -42], [0, 1.5, 0, -47], [0, 0, 1.5, -40], [0, 0, 0, 1.0]]))
    moved = resample_image(Image(linear(world(wide)), wide), wide, there)
    back = resample_image(moved, target, there.inverse())
    np.testing.assert_allclose(back.data, linear(world(target)), atol=1e-3)


def test_value_beyond_half_a_voxel_outside_is_the_fill(grid):
    image = Image(np.full(grid.shape, 7.0), grid)
    away = np.array([grid.shape[0] - 1 + 0.6, 0, 0])
    near = np.array([grid.shape[0] - 1 + 0.4, 0, 0])
    for index, expected in ((near, 7.0), (away, -1000.0), (-away, -1000.0)):
        affine = grid.affine.copy()
        affine[:3, 3] = grid.world(index)
        probe = Grid((1, 1, 1), affine)
        assert resample_image(image, probe, fill=-1000.0).data.item() == expected


def test_image_that_lies_elsewhere_is_all_fill(grid, target):
    away = Transform.affine(rigid((0, 0, 0), (500, 0, 0)))
    assert (resample_image(Image(np.ones(grid.shape), grid), target, away, fill=-1.0).data == -1).all()


def test_thin_image_of_one_slice_keeps_its_slice():
    flat = Grid((5, 5, 1), np.diag([1.0, 1.0, 6.5, 1.0]))
    data = np.arange(25.0).reshape(5, 5, 1)
    for order in (0, 1, 3):
        np.testing.assert_allclose(resample_image(Image(data, flat), flat, order=order).data, data, atol=1e-4)


def test_series_is_resampled_volume_by_volume(grid, target, rng):
    series = rng.normal(size=(*grid.shape, 2))
    out = resample_image(Image(series, grid), target)
    assert out.data.shape == (*target.shape, 2)
    for t in range(2):
        np.testing.assert_array_equal(out.data[..., t], resample_image(Image(series[..., t], grid), target).data)


def test_unknown_interpolation_order_is_refused(grid):
    with pytest.raises(ParameterError, match="order 2"):
        resample_image(Image(np.zeros(grid.shape), grid), grid, order=2)


def test_sample_points_keeps_the_shape_of_the_points():
    data = np.arange(24.0).reshape(2, 3, 4)
    index = np.array([[[0, 0, 0], [1, 2, 3]], [[0.5, 0, 0], [0, 0, 5]]])
    np.testing.assert_allclose(sample_points(data, index, fill=-9), [[0, 23], [6, -9]])


# --- segmentations --------------------------------------------------------------------------------------------------


def ball(grid: Grid, radius_mm: float) -> np.ndarray:
    return np.linalg.norm(world(grid) - [3.0, -2.0, 5.0], axis=-1) <= radius_mm


def tumour(grid: Grid) -> LabelMap:
    """Necrosis of 9 mm, enhancing rim to 15 mm, oedema to 21 mm."""
    data = np.zeros(grid.shape, np.uint8)
    for radius_mm, value in ((21.0, 2), (15.0, 4), (9.0, 1)):
        data[ball(grid, radius_mm)] = value
    return LabelMap(data, grid, BRATS)


@pytest.mark.parametrize("method", ["generic", "nearest"])
def test_labels_keep_their_values_and_volumes(grid, spacing_mm, method):
    wide = Grid((45, 45, 45), np.array([[-1.1, 0, 0, 27.5], [0, -1.1, 0, 22.5], [0, 0, 1.1, -19.5], [0, 0, 0, 1]]))
    source = tumour(grid)
    out = resample_labels(source, wide, method=method)
    assert set(np.unique(out.data)) == {0, 1, 2, 4}
    assert out.scheme is BRATS
    # Nearest neighbour aliases where 1 mm meets 1.1 mm; 6.5 mm slices leave a coarse ball to begin with.
    tolerance = {"generic": 0.01, "nearest": 0.03}[method] if max(spacing_mm) <= 1 else 0.04
    for region in ("WT", "TC", "NCR"):
        assert out.volume_ml(region) == pytest.approx(source.volume_ml(region), rel=tolerance)


def test_generic_labels_lie_closer_to_a_ball_than_nearest_ones(grid):
    affine = rigid((10, 20, 30), (0, 0, 0))
    affine[:3, 3] = [3.0, -2.0, 5.0] - affine[:3, :3] @ np.full(3, 23.0)
    turned = Grid((47, 47, 47), affine)
    source = LabelMap(ball(grid, 20.0), grid, label_scheme("binary-gtv"))
    wrong = {
        m: (resample_labels(source, turned, method=m).mask("GTV") != ball(turned, 20.0)).sum() for m in ("generic", "nearest")
    }
    assert wrong["generic"] < 0.9 * wrong["nearest"]


@pytest.mark.parametrize("method", ["generic", "nearest"])
def test_labels_on_their_own_grid_stay_as_they_are(grid, rng, method):
    data = rng.choice(np.array([0, 1, 2, 4], np.uint8), grid.shape)
    labels = LabelMap(data, grid, BRATS)
    np.testing.assert_array_equal(resample_labels(labels, grid, method=method).data, data)


@pytest.mark.parametrize("method", ["generic", "nearest"])
def test_labels_stored_in_another_orientation_land_on_the_same_mm(grid, target, method):
    labels = tumour(grid)
    data, other = reordered(labels.data, grid, (1, 2, 0), (0, 2))
    a = resample_labels(labels, target, method=method)
    b = resample_labels(LabelMap(data, other, BRATS), target, method=method)
    np.testing.assert_array_equal(a.data, b.data)


def test_labels_move_against_the_translation(grid, spacing_mm):
    labels = tumour(grid)
    moved = resample_labels(labels, grid, Transform.affine(rigid((0, 0, 0), (5.0, 0, 0))))
    shift = world(grid)[moved.mask("TC")].mean(axis=0) - world(grid)[labels.mask("TC")].mean(axis=0)
    np.testing.assert_allclose(shift, [-5.0, 0, 0], atol=0.15 + 0.03 * max(spacing_mm))


def test_labels_between_labels_never_become_a_third_one():
    """Averaging 2 and 4 gives 3; a vote does not."""
    line = Grid((2, 1, 1), np.eye(4))
    labels = LabelMap(np.array([2, 4], np.uint8).reshape(2, 1, 1), line, BRATS)
    out = resample_labels(labels, line.resized((0.2, 1.0, 1.0)))
    assert set(np.unique(out.data)) == {2, 4}


def test_labels_that_touch_the_border_do_not_leak_out_of_the_array():
    line = Grid((4, 4, 4), np.eye(4))
    labels = LabelMap(np.ones((4, 4, 4), np.uint8), line, BRATS)
    wide = Grid((12, 4, 4), np.array([[1.0, 0, 0, -4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    assert resample_labels(labels, wide).data[:, 0, 0].tolist() == [0] * 4 + [1] * 4 + [0] * 4


def test_empty_segmentation_stays_empty(grid, target):
    labels = LabelMap(np.zeros(grid.shape, np.uint8), grid, BRATS)
    out = resample_labels(labels, target)
    assert out.data.shape == target.shape
    assert not out.data.any()


def test_unknown_label_interpolation_is_refused(grid):
    with pytest.raises(ParameterError, match="'linear' is not offered"):
        resample_labels(tumour(grid), grid, method="linear")


def test_mask_keeps_its_volume_and_place(grid, spacing_mm):
    wide = Grid((45, 45, 45), np.array([[-1.1, 0, 0, 27.5], [0, -1.1, 0, 22.5], [0, 0, 1.1, -19.5], [0, 0, 0, 1]]))
    mask = ball(grid, 18.0)
    out = resample_mask(mask, grid, wide)
    assert out.dtype == bool
    assert out.sum() * wide.voxel_volume_ml == pytest.approx(
        mask.sum() * grid.voxel_volume_ml, rel=0.01 if max(spacing_mm) <= 1 else 0.04
    )
    np.testing.assert_array_equal(resample_mask(mask, grid, grid), mask)


def test_mask_of_another_shape_than_its_grid_is_refused(grid):
    with pytest.raises(GridMismatchError):
        resample_mask(np.ones((2, 2, 2), bool), grid, grid)


def test_affine_field_and_matrix_move_labels_alike(grid, target):
    matrix = rigid((6, 0, -9), (4, 3, 2))
    labels = tumour(grid)
    a = resample_labels(labels, target, Transform((AffineMap(matrix),)))
    b = resample_labels(labels, target, Transform((AffineMap(matrix),)).flattened(target))
    assert (a.data != b.data).mean() < 1e-3


def test_cubic_interpolation_never_leaves_the_range_of_the_image(grid):
    data = np.zeros(grid.shape)
    data[2:-2, 2:-2, 2:-2] = 100.0
    shift = np.eye(4)
    shift[:3, 3] = 0.37 * np.array(grid.spacing_mm)
    moved = resample_image(Image(data, grid), grid, Transform.affine(shift), order=3).data
    assert moved.min() >= 0
    assert moved.max() <= 100
    assert moved.max() == pytest.approx(100, abs=1)
