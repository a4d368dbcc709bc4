"""Structures keep their volume, holes and place on the planning grid, both ways agree, and what went wrong is said."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy import Contour, Structure
from regrowth.radiotherapy.mapped_structure import map_recurrence, map_structure
from regrowth.radiotherapy.mapping import map_points
from regrowth.radiotherapy.rasterise import rasterise
from regrowth.space import Grid, Transform
from tests.conftest import make_grid
from tests.radiotherapy.mapping_cases import cylinder, cylinder_ml, rigid, wave

MOVED = rigid((12.0, -3.0, 4.0), 12, -8, 15)
SMOOTH = Transform((wave(make_grid("RAS", (2.0, 2.0, 2.0), 90.0)), *MOVED.steps))
TRANSFORMS = {"rigid": MOVED, "deformed": SMOOTH}


def drawn_at(planning_mm, transform, **options):
    """Draw a cylinder on the relapse scan whose centre lies at a point of the planning scan."""
    at = transform.map_points(np.array([planning_mm]))[0]
    return cylinder(centre_mm=tuple(at), **options)


@pytest.mark.parametrize(("by", "hole"), [("mask", 6.0), ("contours", 6.0)])
def test_volume_hole_and_place_survive_a_rigid_motion_onto_every_grid(grid, by, hole):
    found = map_structure(drawn_at((2.0, -1.0, 4.0), MOVED, hole_mm=hole), MOVED, grid, by=by)
    assert found.status == "ok"
    assert found.volume_before_ml == pytest.approx(cylinder_ml(hole_mm=hole), rel=0.01)
    assert found.volume_ml == pytest.approx(cylinder_ml(hole_mm=hole), rel=0.015)
    assert np.linalg.norm(found.centroid_mm - [2, -1, 4]) < 0.1
    nearest = tuple(np.round(grid.index(np.array([2.0, -1.0, 4.0]))).astype(int))
    assert found.mask.any()
    assert not found.mask[nearest]
    assert found.bend_mm == (pytest.approx(0, abs=1e-9) if by == "contours" else pytest.approx(np.nan, nan_ok=True))


@pytest.mark.parametrize("by", ["mask", "contours"])
def test_volume_changes_by_the_determinant_of_a_stretch(by):
    grid = make_grid("LPS", (1.0, 1.0, 1.0), 80.0)
    stretch = Transform.affine(np.diag([1.25, 0.8, 1.5, 1.0]))  # relapse is 1.5 times the planning volume
    found = map_structure(cylinder(), stretch, grid, by=by)
    assert found.volume_ml == pytest.approx(cylinder_ml() / 1.5, rel=0.015)


@pytest.mark.parametrize("by", ["mask", "contours"])
def test_a_deformed_structure_lies_where_its_points_are_mapped(by):
    grid = make_grid("LPS", (1.0, 1.0, 1.0), 90.0)
    drawn = drawn_at((2.0, -1.0, 4.0), SMOOTH, n_planes=9)
    x = Transform().map_grid(grid)
    there = SMOOTH.map_points(x)
    centre = SMOOTH.map_points(np.array([[2.0, -1.0, 4.0]]))[0]
    off = there - centre
    truth = (np.hypot(off[..., 0], off[..., 1]) < 12) & (np.abs(off[..., 2]) < 9)
    found = map_structure(drawn, SMOOTH, grid, by=by)
    dice = 2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum())
    assert dice > (0.985 if by == "mask" else 0.96)
    assert np.linalg.norm(found.centroid_mm - x[truth].mean(axis=0)) < 0.25
    assert found.volume_ml == pytest.approx(truth.sum() * grid.voxel_volume_ml, rel=0.02)
    if by == "contours":
        assert 0.1 < found.bend_mm < 2.0
        again = rasterise(found.structure, grid, between="shape")
        assert 2 * (again.mask & found.mask).sum() / (again.mask.sum() + found.mask.sum()) > 0.98


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("as_mask", [False, True])
def test_both_ways_agree_for_contours_and_for_masks(transform, as_mask):
    grid, relapse_grid = make_grid("LPS", (2.0, 2.0, 3.0), 80.0), make_grid("oblique", (1.5, 1.5, 3.0), 90.0)
    drawn = drawn_at((2.0, -1.0, 4.0), transform)
    given = rasterise(drawn, relapse_grid).mask if as_mask else drawn
    found = map_recurrence(given, transform, grid, relapse_grid=relapse_grid if as_mask else None)
    assert found.status == "ok", found.reason
    assert found.apart_mm < 0.5
    assert found.dice > 0.9
    assert abs(found.volume_difference_share) < 0.06
    assert np.linalg.norm(found.pulled.centroid_mm - [2, -1, 4]) < 0.8
    assert found.volume_change == pytest.approx(1, abs=0.1)
    assert found.folding.status == "ok"


def test_two_ways_that_differ_are_told_apart():
    grid = make_grid("LPS", (2.0, 2.0, 3.0), 80.0)
    found = map_recurrence(drawn_at((2.0, -1.0, 4.0), SMOOTH), SMOOTH, grid, most_apart_mm=1e-6)
    assert found.status == "apart"
    assert "mm apart (more than 1e-06)" in found.reason


def test_a_fold_within_the_recurrence_is_flagged():
    grid = make_grid("RAS", (2.0, 2.0, 2.0), 90.0)
    transform = Transform((wave(grid, peak_mm=12.0, period_mm=30.0),), fixed=grid)
    found = map_recurrence(drawn_at((0.0, 0.0, 0.0), transform), transform, grid)
    assert found.folding.least_jacobian < 0
    assert found.status == "folded"
    assert "folded" in found.reason


def test_a_fold_elsewhere_is_not():
    grid = make_grid("RAS", (2.0, 2.0, 2.0), 90.0)
    field = np.array(wave(grid, peak_mm=12.0, period_mm=30.0).displacement_mm)
    field[Transform().map_grid(grid)[..., 0] > -25] = 0
    transform = Transform((type(wave(grid))(field, grid),), fixed=grid)
    assert map_recurrence(cylinder(), transform, grid).status == "ok"


# --- edges of the planning grid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["mask", "contours"])
def test_what_lies_outside_of_the_planning_grid_is_unknown_and_not_empty(by):
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 60.0)
    found = map_structure(cylinder(centre_mm=(200, 0, 0)), Transform(), grid, by=by)
    assert found.status == "outside"
    assert np.isnan([found.volume_ml, *found.centroid_mm]).all()
    assert found.volume_before_ml == pytest.approx(cylinder_ml(), rel=0.01)
    half = map_structure(cylinder(centre_mm=(33, 0, 5)), Transform(), grid, by=by)
    assert half.status == "partly_outside"
    assert 0.3 < half.volume_ml / cylinder_ml() < 0.7
    assert "outside" in half.reason


@pytest.mark.parametrize("by", ["mask", "contours"])
def test_a_structure_that_was_never_drawn_is_empty(by):
    line = Structure("line", (Contour(np.array([[0.0, 0, 0], [1, 1, 1]]), "OPEN_PLANAR"),))
    for empty in (Structure("named only"), line):
        found = map_structure(empty, MOVED, make_grid("LPS", (2.0, 2.0, 2.0)), by=by)
        assert (found.status, found.mask.any()) == ("empty", False)
        assert found.reason
        assert np.isnan(found.volume_ml)


def test_an_empty_recurrence_gives_no_numbers():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    found = map_recurrence(np.zeros(grid.shape, bool), MOVED, grid, relapse_grid=grid)
    assert (found.status, found.pulled.reason) == ("empty", "the mask is empty")
    assert np.isnan([found.dice, found.apart_mm, found.volume_difference_share, found.volume_change]).all()


@pytest.mark.parametrize("by", ["mask", "contours"])
def test_a_point_fills_the_voxel_that_it_is_brought_to(by):
    grid = make_grid("oblique", (2.0, 2.0, 3.0))
    at = SMOOTH.map_points(np.array([[5.0, 6.0, 7.0]]))
    found = map_structure(Structure("origin", (Contour(at, "POINT"),)), SMOOTH, grid, by=by)
    voxel = np.round(grid.index(np.array([5.0, 6.0, 7.0]))).astype(int)
    assert np.argwhere(found.mask).tolist() == [voxel.tolist()]
    assert np.isnan(found.volume_before_ml)


def test_a_structure_too_thin_for_the_grid_is_flagged_and_its_share_kept():
    grid = make_grid("LPS", (6.0, 6.0, 6.0), 80.0)
    found = map_structure(cylinder(1.0, step_mm=1.0, n_planes=2), Transform(), grid)
    assert found.status == "no_voxel"
    assert found.volume_ml == pytest.approx(cylinder_ml(1.0, height_mm=2), rel=0.6)
    assert np.linalg.norm(found.centroid_mm) < 1.5  # samples lie 2 mm apart


@pytest.mark.parametrize("by", ["mask", "contours"])
def test_a_single_plane_is_as_thick_as_the_slices_of_its_scan(by):
    grid = make_grid("LPS", (1.0, 1.0, 1.0), 60.0)
    transform = Transform((), "relapse", "planning", moving=make_grid("LPS", (1.0, 1.0, 4.0)))
    found = map_structure(cylinder(n_planes=1), transform, grid, by=by)
    assert found.volume_ml == pytest.approx(cylinder_ml(height_mm=4), rel=0.02)


def test_frames_of_reference_change_with_the_scan():
    moved = map_structure(
        Structure("r", cylinder().contours, frame_of_reference_uid="1.2.3"),
        MOVED,
        Grid((60, 60, 60), np.diag([1.0, 1, 1, 1]), "1.2.4"),
        by="contours",
    )
    assert moved.structure.frame_of_reference_uid == "1.2.4"
    assert map_points(cylinder().contours[0].points_mm, MOVED) == pytest.approx(moved.structure.contours[0].points_mm)


def test_what_cannot_be_mapped_is_refused():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    with pytest.raises(ParameterError, match="'mask' or by 'contours'"):
        map_structure(cylinder(), MOVED, grid, by="magic")
    with pytest.raises(ParameterError, match="relapse_grid"):
        map_recurrence(np.zeros(grid.shape, bool), MOVED, grid)
    with pytest.raises(GridMismatchError):
        map_recurrence(np.zeros((3, 3, 3), bool), MOVED, grid, relapse_grid=grid)
