"""How large lesions are in their axial slices, against ellipses and boxes whose diameters are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.response import bidimensional_product, lesion_sizes, sum_of_products
from regrowth.space import Grid
from tests.conftest import make_grid


def world(grid: Grid) -> np.ndarray:
    return grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))


def ellipsoid(grid: Grid, radii_mm: tuple[float, float, float], turn_deg: float = 0.0, centre=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Ellipsoid in patient space, turned about the head-foot axis."""
    x, y, z = np.moveaxis(world(grid) - np.array(centre), -1, 0)
    a = np.deg2rad(turn_deg)
    u, v = x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a)
    return (u / radii_mm[0]) ** 2 + (v / radii_mm[1]) ** 2 + (z / radii_mm[2]) ** 2 <= 1


@pytest.mark.parametrize("turn_deg", [0.0, 33.0, 80.0])
def test_an_ellipsoid_has_its_two_axes_in_every_orientation_and_spacing(grid, turn_deg):
    # A turned grid cuts tilted slices, and thick slices miss the widest one: both cost up to 2 mm of 40.
    found = bidimensional_product(ellipsoid(grid, (20.0, 12.0, 9.0), turn_deg), grid)
    assert found.longest_mm == pytest.approx(40.0, abs=2.0)
    assert found.perpendicular_mm == pytest.approx(24.0, abs=1.0)
    assert found.product_mm2 == pytest.approx(found.longest_mm * found.perpendicular_mm)
    assert found.status == "ok"
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * 20 * 12 * 9 / 1000, rel=0.06)


@pytest.mark.parametrize("spacing", [(0.25, 0.25, 1.0), (0.2, 0.6, 1.0)])
def test_the_error_shrinks_with_the_voxels_also_where_they_are_not_square(spacing):
    grid = make_grid("LPS", spacing, 46.0)
    found = bidimensional_product(ellipsoid(grid, (20.0, 12.0, 9.0), 27.0), grid)
    assert found.longest_mm == pytest.approx(40.0, abs=0.45)
    assert found.perpendicular_mm == pytest.approx(24.0, abs=0.4)


def test_a_sphere_has_its_diameter_twice():
    grid = make_grid("oblique", (0.5, 0.5, 1.0), 40.0)
    found = bidimensional_product(ellipsoid(grid, (15.0, 15.0, 15.0)), grid)
    assert [found.longest_mm, found.perpendicular_mm] == pytest.approx([30.0, 30.0], abs=0.7)
    assert found.tilt_deg == pytest.approx(9.0, abs=0.1)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_axial_is_the_plane_closest_to_the_patients_axial_whatever_the_order_of_the_axes(axes):
    turned = np.eye(4)
    turned[:3, :3] = np.eye(3)[:, list(axes)]
    shape = tuple(np.array([48, 48, 48])[list(axes)])
    turned[:3, 3] = -23.5
    grid = Grid(shape, turned)
    found = bidimensional_product(ellipsoid(grid, (20.0, 12.0, 5.0)), grid)
    assert found.slice_axis == list(axes).index(2)
    assert found.longest_mm == pytest.approx(40.0, abs=0.8)
    assert found.perpendicular_mm == pytest.approx(24.0, abs=1.2)


def box(shape: tuple[int, int, int], spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> tuple[np.ndarray, Grid]:
    mask = np.zeros(tuple(n + 4 for n in shape), bool)
    mask[2:-2, 2:-2, 2:-2] = True
    return mask, Grid(mask.shape, np.diag([*spacing, 1.0]))


def test_a_row_of_voxels_is_as_long_as_its_voxels_and_one_wide():
    mask, grid = box((12, 1, 1), (0.5, 0.8, 2.0))
    found = bidimensional_product(mask, grid)
    assert found.longest_mm == pytest.approx(6.0)
    assert found.perpendicular_mm == pytest.approx(0.8)
    mask, grid = box((1, 1, 1), (0.5, 0.8, 2.0))
    one = bidimensional_product(mask, grid)
    assert [one.longest_mm, one.perpendicular_mm] == pytest.approx([0.8, 0.5])


def test_the_perpendicular_is_the_longest_chord_at_right_angles():
    # Right triangle with legs 60 and 30: the longest side is the hypotenuse, across it the height.
    i, j = np.meshgrid(np.arange(70), np.arange(40), indexing="ij")
    mask = np.zeros((70, 40, 3), bool)
    mask[..., 1] = (i >= 2) & (j >= 2) & ((i - 2) / 60 + (j - 2) / 30 <= 1)
    found = bidimensional_product(mask, Grid(mask.shape, np.eye(4)))
    hypotenuse = np.hypot(60, 30)
    assert found.longest_mm == pytest.approx(hypotenuse, abs=1.2)
    assert found.perpendicular_mm == pytest.approx(60 * 30 / hypotenuse, abs=1.2)


def test_the_two_lines_end_on_the_lesion_at_right_angles():
    grid = make_grid("oblique", (1.0, 1.0, 2.0), 60.0)
    mask = ellipsoid(grid, (20.0, 11.0, 9.0), 50.0)
    found = bidimensional_product(mask, grid)
    one, other = (np.diff(np.array(ends), axis=0)[0] for ends in (found.longest_ends_mm, found.perpendicular_ends_mm))
    assert np.linalg.norm(one) == pytest.approx(found.longest_mm)
    assert np.linalg.norm(other) == pytest.approx(found.perpendicular_mm)
    assert one @ other == pytest.approx(0.0, abs=1e-6)
    for point in (*found.longest_ends_mm, *found.perpendicular_ends_mm):
        near = np.round(grid.index(np.array(point))).astype(int)
        assert near[found.slice_axis] == found.slice_index
        assert mask[tuple(slice(max(n - 1, 0), n + 2) for n in near)].any()


def test_the_slice_with_the_largest_product_counts():
    mask = np.zeros((40, 40, 3), bool)
    mask[5:35, 20:22, 0] = True  # longer, but thin
    mask[10:30, 10:30, 1] = True
    found = bidimensional_product(mask, Grid(mask.shape, np.eye(4)))
    assert found.slice_index == 1
    assert found.n_slices == 2


def test_parts_of_one_lesion_that_are_apart_in_a_slice_are_measured_apart():
    mask = np.zeros((60, 20, 3), bool)
    mask[5:20, 5:15, 0] = mask[40:55, 5:15, 0] = True
    mask[5:55, 9:11, 1] = True  # joins them in the next slice
    (found,) = lesion_sizes(mask, Grid(mask.shape, np.eye(4)))
    assert found.slice_index == 0
    assert found.longest_mm < 19


def test_parts_that_touch_by_a_corner_in_a_slice_are_one():
    mask = np.zeros((30, 30, 3), bool)
    mask[3:13, 3:13, :] = mask[13:23, 13:23, :] = True
    (found,) = lesion_sizes(mask, Grid(mask.shape, np.eye(4)))
    assert found.longest_mm == pytest.approx(20 * np.sqrt(2), abs=1.0)


def test_a_ring_is_measured_across_its_hole():
    grid = make_grid("RAS", (1.0, 1.0, 1.0), 60.0)
    ring = ellipsoid(grid, (20.0, 20.0, 20.0)) & ~ellipsoid(grid, (15.0, 15.0, 15.0))
    assert bidimensional_product(ring, grid).product_mm2 == pytest.approx(1600, rel=0.04)


@pytest.mark.parametrize(
    ("size", "measurable", "reason"),
    [
        ((30, 10, 2), True, ""),
        ((30, 9, 2), False, "a diameter is below 10 mm"),
        ((6, 6, 2), False, "a diameter is below 10 mm"),
        ((30, 30, 1), False, "one slice only"),
    ],
)
def test_measurable_needs_ten_mm_both_ways_and_two_slices(size, measurable, reason):
    mask, grid = box(size)
    found = bidimensional_product(mask, grid)
    assert found.is_measurable is measurable
    assert reason in found.reason


def test_thick_slices_ask_for_twice_their_thickness_and_are_noted():
    mask, grid = box((12, 8, 3), (1.0, 1.0, 6.5))
    found = bidimensional_product(mask, grid)
    assert found.is_thick
    assert not found.is_measurable
    assert "13 mm, twice the slice thickness" in found.reason
    mask, grid = box((16, 14, 3), (1.0, 1.0, 6.5))
    large = bidimensional_product(mask, grid)
    assert large.is_measurable
    assert "thick" in large.reason
    mask, grid = box((12, 12, 3), (1.0, 1.0, 5.0))
    assert not bidimensional_product(mask, grid).is_thick


def test_the_measurable_length_is_a_parameter():
    mask, grid = box((30, 9, 2))
    assert bidimensional_product(mask, grid, measurable_mm=9.0).is_measurable
    with pytest.raises(ParameterError):
        bidimensional_product(mask, grid, measurable_mm=0.0)


def test_an_empty_mask_has_nan_and_a_reason():
    grid = make_grid("RAS", (1.0, 1.0, 1.0), 10.0)
    found = bidimensional_product(np.zeros(grid.shape, bool), grid)
    assert (found.status, found.is_measurable, found.slice_index) == ("empty", False, None)
    assert np.isnan([found.longest_mm, found.perpendicular_mm, found.product_mm2]).all()
    assert "empty" in found.reason
    assert list(found.as_row()) == list(bidimensional_product(np.ones(grid.shape, bool), grid).as_row())


def test_a_mask_of_another_shape_is_refused():
    grid = make_grid("RAS", (1.0, 1.0, 1.0), 10.0)
    for measure in (bidimensional_product, lesion_sizes, sum_of_products):
        with pytest.raises(GridMismatchError):
            measure(np.ones((2, 2, 2), bool), grid)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.4, 3.0), shift=st.tuples(*[st.integers(0, 6)] * 3))
def test_sizes_scale_with_the_voxels_and_do_not_depend_on_the_place(scale, shift):
    mask = np.zeros((24, 24, 12), bool)
    mask[2:14, 2:9, 2:5] = mask[4:7, 2:13, 3] = True
    here = bidimensional_product(mask, Grid(mask.shape, np.eye(4)))
    there = bidimensional_product(np.roll(mask, shift, (0, 1, 2)), Grid(mask.shape, np.diag([-scale, scale, scale, 1.0])))
    assert there.longest_mm == pytest.approx(scale * here.longest_mm)
    assert there.perpendicular_mm == pytest.approx(scale * here.perpendicular_mm)
    assert there.longest_mm >= there.perpendicular_mm


# Several lesions


@pytest.fixture
def four() -> tuple[np.ndarray, Grid]:
    """Squares of 20, 16, 12 and 4 mm."""
    mask = np.zeros((80, 30, 8), bool)
    for start, side in ((2, 12), (20, 20), (45, 16), (70, 4)):
        mask[start : start + side, 5 : 5 + side, 2:5] = True
    return mask, Grid(mask.shape, np.eye(4))


def test_every_lesion_is_measured_the_largest_first(four):
    mask, grid = four
    sizes = lesion_sizes(mask, grid)
    across = np.arange(80)[:, None, None]
    for size, (start, stop) in zip(sizes, ((20, 40), (45, 61), (2, 14), (70, 74)), strict=True):
        alone = bidimensional_product(mask & (across >= start) & (across < stop), grid).as_row()
        assert size.as_row() == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in alone.items()}
    assert [s.is_measurable for s in sizes] == [True, True, True, False]
    assert lesion_sizes(mask & False, grid) == ()


@pytest.mark.parametrize(("targets", "count"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_the_sum_takes_the_largest_measurable_lesions(four, targets, count):
    mask, grid = four
    found = sum_of_products(mask, grid, targets=targets)
    products = [s.product_mm2 for s in lesion_sizes(mask, grid)]
    assert found.total_mm2 == pytest.approx(sum(products[:count]))
    assert (len(found.targets), found.n_lesions, found.n_measurable) == (count, 4, 3)
    assert ("largest are summed" in found.reason) is (targets < 3)
    with pytest.raises(ParameterError):
        sum_of_products(mask, grid, targets=0)


def test_without_a_measurable_lesion_the_largest_are_summed_with_a_remark():
    mask, grid = box((6, 5, 3))
    found = sum_of_products(mask, grid)
    assert found.total_mm2 == pytest.approx(lesion_sizes(mask, grid)[0].product_mm2)
    assert found.n_measurable == 0
    assert "no lesion is measurable" in found.reason


def test_no_lesion_sums_to_zero():
    mask, grid = box((6, 5, 3))
    found = sum_of_products(mask & False, grid)
    assert (found.total_mm2, found.n_lesions, found.targets) == (0.0, 0, ())
    assert list(found.as_row()) == ["sum_of_products_mm2", "n_targets", "n_lesions", "n_measurable", "reason"]
