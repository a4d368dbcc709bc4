"""Structures fill the volume that they enclose: holes, islands, keyholes, planes of any direction, gaps, edges of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy import Contour, Structure
from regrowth.radiotherapy.polygons import inside_lattice, inside_points, outline, outline_distance, share_lattice
from regrowth.radiotherapy.rasterise import rasterise, rasterise_share
from regrowth.space import Grid
from tests.conftest import make_grid

N_POINTS = 720
STRAIGHT = np.eye(3)
TILT = np.linalg.qr(np.array([[1.0, 0.2, -0.3], [-0.1, 1.0, 0.4], [0.3, -0.2, 1.0]]))[0]


def circle(radius, height=0.0, centre=(0.0, 0.0), *, clockwise=False):
    angle = np.linspace(0, 2 * np.pi, N_POINTS, endpoint=False)[:: -1 if clockwise else 1]
    return np.column_stack(
        [centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle), np.full(N_POINTS, float(height))]
    )


def keyhole(outer, inner, height):
    """Make one contour around a ring, with a channel of no width between its two circles."""
    a, b = circle(outer, height), circle(inner, height, clockwise=True)
    b = np.roll(b, 1, axis=0)  # begins on the same ray as the outer circle
    return np.vstack([a, a[:1], b, b[:1]])


def structure(*loops, turn=STRAIGHT, kind="CLOSED_PLANAR"):
    return Structure("test", tuple(Contour(loop @ turn.T, kind) for loop in loops))


def cubes(spacing_mm, half_mm=36.0, turn=STRAIGHT):
    """Make a grid of cubes around the origin whose voxel centres are at no round place."""
    n = int(np.ceil(2 * half_mm / spacing_mm)) + 1
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing_mm
    affine[:3, 3] = turn @ np.full(3, -spacing_mm * (n - 1) / 2 + 0.137)
    return Grid((n, n, n), affine)


PLANES = np.arange(-15.0, 16.0, 3.0)  # 11 planes, 33 mm with their halves beyond
SHAPES = {
    "disc": (lambda h: [circle(30, h)], 900),
    "ring": (lambda h: [circle(30, h), circle(15, h)], 900 - 225),
    "ring wound the other way": (lambda h: [circle(30, h), circle(15, h, clockwise=True)], 900 - 225),
    "island": (lambda h: [circle(30, h), circle(20, h), circle(10, h)], 900 - 400 + 100),
    "two parts": (lambda h: [circle(12, h, (-15, 1)), circle(12, h, (15, -1.3))], 288),
    "keyhole": (lambda h: [keyhole(30, 15, h)], 900 - 225),
}


@pytest.mark.parametrize("spacing", [1.0, 3.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_volume_is_within_half_a_percent_of_the_analytic_one(shape, spacing):
    loops, squared = SHAPES[shape]
    s = structure(*(loop for h in PLANES for loop in loops(h)))
    found = rasterise_share(s, cubes(spacing))
    assert found.status == "ok"
    assert found.volume_ml == pytest.approx(np.pi * squared * 33 / 1000, rel=0.005)


@pytest.mark.parametrize("shape", SHAPES)
def test_mask_at_one_millimetre_is_within_half_a_percent_of_the_analytic_area(shape):
    loops, squared = SHAPES[shape]
    s = structure(*(loop for h in PLANES for loop in loops(h)))
    g = cubes(1.0)
    middle = rasterise(s, g).mask[:, :, g.shape[2] // 2].sum()
    assert middle == pytest.approx(np.pi * squared, rel=0.005)


@pytest.mark.parametrize("between", ["nearest", "shape"])
@pytest.mark.parametrize("shape", ["ring", "keyhole"])
def test_contours_oblique_to_the_grid_have_the_same_volume(shape, between):
    loops, squared = SHAPES[shape]
    s = structure(*(loop for h in PLANES for loop in loops(h)), turn=TILT)
    found = rasterise_share(s, cubes(2.0, 40.0), between=between, supersampling=2)
    assert found.volume_ml == pytest.approx(np.pi * squared * 33 / 1000, rel=0.005)


@pytest.mark.parametrize("between", ["none", "nearest", "shape"])
def test_grid_turned_with_the_contours_has_the_same_voxels(between):
    loops = [loop for h in PLANES for loop in [circle(30, h), circle(15, h, (3, 2))]]
    straight = rasterise(structure(*loops), cubes(1.5), between=between)
    turned = rasterise(structure(*loops, turn=TILT), cubes(1.5, turn=TILT), between=between)
    assert straight.mask.any()
    np.testing.assert_array_equal(straight.mask, turned.mask)


def test_voxels_of_every_orientation_are_those_whose_centre_lies_inside(grid):
    s = structure(*(circle(17.3, h) for h in np.arange(-14.0, 15.0, 2.0)))
    at = grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    radius, height = np.hypot(at[..., 0], at[..., 1]), at[..., 2]
    sure = np.abs(radius - 17.3) > 0.01
    sure &= np.abs(np.abs(height) - 15.0) > 1e-3
    found = rasterise(s, grid)
    expected = (radius < 17.3) & (np.abs(height) < 15.0)
    np.testing.assert_array_equal(found.mask[sure], expected[sure])
    assert found.mask.any()


def test_cone_by_shape_is_near_the_analytic_volume_where_steps_are_not():
    heights = np.arange(0.0, 31.0, 10.0)
    loops = [circle(33.0 - h, h) for h in heights]
    g = cubes(1.0, 40.0)
    exact = np.pi / 3 * (33.0**3 - 3.0**3) / 1000
    by_shape = rasterise_share(structure(*loops), g, between="shape", end_cap_mm=0.0).volume_ml
    assert by_shape == pytest.approx(exact, rel=0.005)
    by_steps = rasterise_share(structure(*loops), g, between="nearest", end_cap_mm=0.0).volume_ml
    assert abs(by_steps / exact - 1) > 0.02


def test_keyhole_channel_does_not_disturb_the_shape_between_planes():
    g = cubes(1.5)
    loops = [keyhole(30 - h, 15 + h / 2, h) for h in (0.0, 6.0)]
    rings = [loop for h in (0.0, 6.0) for loop in (circle(30 - h, h), circle(15 + h / 2, h))]
    np.testing.assert_array_equal(
        rasterise(structure(*loops), g, between="shape").mask, rasterise(structure(*rings), g, between="shape").mask
    )


def test_gap_that_is_too_wide_stays_open_and_is_told():
    heights = [-15.0, -12.0, -9.0, 3.0, 6.0, 9.0]
    s = structure(*(circle(20, h) for h in heights))
    g = cubes(1.0)
    found = rasterise(s, g)
    assert "1 gap(s) wider than 4.5 mm" in found.reason
    per_slice = found.mask.any(axis=(0, 1)).sum()
    assert per_slice == 18
    filled = rasterise(s, g, between="shape", largest_gap_mm=12.0)
    assert filled.reason == ""
    assert filled.mask.any(axis=(0, 1)).sum() == 27


def test_slices_without_contours_stay_empty_with_between_none():
    s = structure(*(circle(20, h) for h in (-6.0, 0.0, 6.0)))
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = [-30.0, -30.0, -15.0]
    g = Grid((31, 31, 11), affine)
    assert np.flatnonzero(rasterise(s, g, between="none").mask.any(axis=(0, 1))).tolist() == [3, 5, 7]
    assert np.flatnonzero(rasterise(s, g).mask.any(axis=(0, 1))).tolist() == [2, 3, 4, 5, 6, 7]
    assert np.flatnonzero(rasterise(s, g, plane_step_mm=3.0).mask.any(axis=(0, 1))).tolist() == [3, 5, 7]


def test_tilted_contour_among_straight_ones_is_kept_and_told():
    tilted = circle(10, 0) @ TILT.T + [0, 0, 25.0]
    s = structure(*(circle(20, h) for h in PLANES), tilted)
    g = cubes(1.0, 45.0)
    found = rasterise(s, g)
    assert "planes of 2 directions" in found.reason
    centre = tuple(np.round(g.index([0, 0, 25.0])).astype(int))
    assert found.mask[centre]
    alone = rasterise(structure(*(circle(20, h) for h in PLANES)), g)
    assert found.mask.sum() - alone.mask.sum() == pytest.approx(np.pi * 100 * 3, rel=0.05)


def test_contour_that_lies_in_no_plane_is_told():
    loop = circle(20, 0)
    loop[:, 2] = 2 * np.sin(np.linspace(0, 6 * np.pi, N_POINTS))
    found = rasterise(structure(loop), cubes(2.0))
    assert "lie in no plane" in found.reason
    assert found.mask.any()


def test_point_fills_its_voxel_in_every_orientation(grid):
    at = grid.world([3.3, 2.6, 1.2])
    found = rasterise(Structure("p", (Contour(at[None], "POINT"),)), grid)
    assert np.argwhere(found.mask).tolist() == [[3, 3, 1]]
    assert found.status == "ok"


def test_structure_that_leaves_the_grid_is_told_and_fills_what_is_there():
    s = structure(*(circle(20, h, (36.0, 0.0)) for h in PLANES), circle(20, 90.0))
    g = cubes(1.0)
    found = rasterise(s, g)
    assert (found.status, found.n_contours, found.n_outside) == ("partly_outside", 12, 12)
    assert "1 contour(s) lie outside of the grid and 11 partly" in found.reason
    assert found.mask[:, :, g.shape[2] // 2].sum() == pytest.approx(np.pi * 400 / 2, rel=0.06)


def test_structure_wholly_outside_has_no_volume_rather_than_zero():
    found = rasterise(structure(circle(5, 500.0)), cubes(2.0))
    assert found.status == "outside"
    assert not found.mask.any()
    assert np.isnan(found.volume_ml)


@pytest.mark.parametrize("contours", [(), (Contour(circle(9)[:300], "OPEN_PLANAR"),), (Contour(circle(9)[:2]),)])
def test_structure_that_encloses_nothing_is_empty_with_a_reason(contours):
    found = rasterise(Structure("x", contours), cubes(2.0))
    assert found.status == "empty"
    assert found.reason
    assert np.isnan(found.volume_ml)
    assert np.isnan(found.plane_step_mm)


def test_line_is_left_out_and_told():
    line = np.array([[0, 0, 0], [5, 5, 0], [10, 10, 0.0]])
    found = rasterise(structure(line, circle(9)), cubes(2.0))
    assert found.status == "ok"
    assert "1 contour(s) without area" in found.reason


def test_structure_too_small_for_a_voxel_is_told_and_has_a_share():
    g = cubes(3.0)
    s = structure(circle(0.6, g.world([5, 5, 5])[2], g.world([5.5, 5.5, 5])[:2]))
    found = rasterise(s, g)
    assert (found.status, found.volume_ml) == ("no_voxel", 0.0)
    share = rasterise_share(s, g, supersampling=20)
    assert share.volume_ml == pytest.approx(np.pi * 0.36 * 3 / 1000, rel=0.1)


def test_share_of_one_sample_is_the_mask():
    s = structure(*(circle(20.3, h) for h in PLANES))
    g = make_grid("oblique", (1.5, 1.5, 3.0))
    assert np.array_equal(rasterise_share(s, g, supersampling=1).share > 0, rasterise(s, g).mask)


def test_contour_that_is_there_twice_counts_once_and_is_told():
    g = cubes(2.0)
    once, twice = rasterise(structure(circle(20)), g), rasterise(structure(circle(20), circle(20)), g)
    np.testing.assert_array_equal(once.mask, twice.mask)
    assert (twice.status, twice.n_contours) == ("ok", 2)
    assert "1 contour(s) repeat another" in twice.reason


def test_frame_of_reference_of_another_patient_is_refused():
    s = Structure("x", (Contour(circle(9)),), frame_of_reference_uid="1.2.3")
    g = Grid((5, 5, 5), np.eye(4), "1.2.4")
    with pytest.raises(GridMismatchError, match="frames of reference"):
        rasterise(s, g)


@pytest.mark.parametrize(
    "options", [{"between": "cubic"}, {"plane_step_mm": 0.0}, {"largest_gap_mm": -1.0}, {"end_cap_mm": float("nan")}]
)
def test_option_that_is_not_allowed_is_refused(options):
    with pytest.raises(ParameterError):
        rasterise(structure(circle(9)), cubes(3.0), **options)


def test_supersampling_that_is_not_allowed_is_refused():
    with pytest.raises(ParameterError, match="1 to 20"):
        rasterise_share(structure(circle(9)), cubes(3.0), supersampling=0)


# --- polygons -------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-3, 18), st.integers(-3, 18)), min_size=3, max_size=12), st.booleans())
@settings(max_examples=60, deadline=None)
def test_lattice_and_points_agree_also_where_corners_lie_on_points(corners, halves):
    loop = np.array(corners, float) / (2.0 if halves else 1.0)
    at = np.stack(np.meshgrid(np.arange(16), np.arange(15), indexing="ij"), axis=-1).reshape(-1, 2)
    assert np.array_equal(inside_lattice([loop], (16, 15)).ravel(), inside_points([loop], at))


@pytest.mark.parametrize("n_lines", [1, 4])
def test_share_of_boxes_is_exact_along_lines(n_lines):
    outer, inner = np.array([[0.2, 0], [6.7, 0], [6.7, 4], [0.2, 4]]), np.array([[1.5, 1], [3, 1], [3, 3], [1.5, 3.0]])
    got = share_lattice([outer - [0, 0.5], inner - [0, 0.5]], (9, 6), n_lines)
    along = np.array([0.3, 1, 1, 1, 1, 1, 1, 0.2, 0])
    hole = np.array([0, 0, 1, 0.5, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(got[:, 0], along, atol=1e-9)
    np.testing.assert_allclose(got[:, 1], along - hole, atol=1e-9)
    assert not got[:, 4:].any()


def test_share_of_polygons_beyond_the_lattice_is_that_of_the_part_within():
    loop = np.array([[-9.0, -7.5], [3.0, -7.5], [3.0, 30.0], [-9.0, 30.0]])
    got = share_lattice([loop], (5, 4), 3)
    np.testing.assert_allclose(got, np.repeat([[1], [1], [1], [0.5], [0]], 4, axis=1), atol=1e-9)


def test_polygons_that_share_an_edge_share_no_point():
    left, right = np.array([[0, 0], [4, 0], [4, 6], [0, 6.0]]), np.array([[4, 0], [9, 0], [9, 6], [4, 6.0]])
    both = inside_lattice([left], (12, 12)).astype(int) + inside_lattice([right], (12, 12))
    assert both.max() == 1
    assert both.sum() == 9 * 6


def test_distance_from_an_outline_is_that_to_the_edges_of_a_square():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10.0]])
    points = np.array([[5, 5], [5, 12], [13, 14], [2, 7.0]])
    np.testing.assert_allclose(outline_distance(outline([square], 0.25), points), [5, 2, 5, 2], atol=1e-9)


def test_edge_that_is_there_twice_bounds_nothing():
    left, right = np.array([[0, 0], [4, 0], [4, 6], [0, 6.0]]), np.array([[4, 0], [9, 0], [9, 6], [4, 6.0]])
    assert outline_distance(outline([left, right], 0.25), np.array([[4.0, 3.0]]))[0] == pytest.approx(3.0)
