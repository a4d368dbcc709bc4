"""Contours drawn around a mask enclose the same voxels again, in every orientation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy.contouring import structure_from_mask
from regrowth.radiotherapy.rasterise import rasterise, rasterise_share
from regrowth.space import Grid
from tests.conftest import make_grid


def blobs(grid, rng):
    """Make an irregular mask with holes, islands, corners that touch and voxels at the edge of the array."""
    noise = ndimage.gaussian_filter(rng.standard_normal(grid.shape), 1.0)
    return noise > np.quantile(noise, 0.7)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_contours_of_a_mask_fill_the_same_voxels(orientation, axis, rng):
    g = make_grid(orientation, (1.2, 1.5, 4.0), 24.0)
    mask = blobs(g, rng)
    found = rasterise(structure_from_mask(mask, g, "blobs", axis=axis), g)
    assert found.status == "ok"
    np.testing.assert_array_equal(found.mask, mask)


@pytest.mark.parametrize("between", ["none", "nearest", "shape"])
def test_ball_comes_back_in_every_grid(grid, between):
    at = grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    mask = np.linalg.norm(at - [3.0, -2.0, 5.0], axis=-1) < 19.0
    np.testing.assert_array_equal(rasterise(structure_from_mask(mask, grid, "ball"), grid, between=between).mask, mask)


def test_any_mask_comes_back_slice_by_slice(rng):
    g = Grid((9, 8, 12), np.diag([1.0, 1.0, 2.0, 1.0]))
    mask = rng.random(g.shape) < 0.5
    mask[:, :, [1, 2, 4, 5, 7, 8, 10, 11]] = False
    s = structure_from_mask(mask, g, "far slices")
    np.testing.assert_array_equal(rasterise(s, g, between="none").mask, mask)
    np.testing.assert_array_equal(rasterise(s, g, plane_step_mm=2.0).mask, mask)


def test_hole_has_a_contour_of_its_own():
    mask = np.ones((7, 7, 1), bool)
    mask[3, 3] = False
    s = structure_from_mask(mask, Grid((7, 7, 1), np.eye(4)), "ring", colour=(1, 2, 3), roi_type="GTV", number=4)
    assert sorted(len(c.points_mm) for c in s.contours) == [4, 8]
    assert (s.name, s.colour, s.roi_type, s.number) == ("ring", (1, 2, 3), "GTV", 4)


def test_area_is_that_of_the_voxels_less_an_eighth_for_every_outer_corner():
    mask = np.zeros((9, 9, 3), bool)
    mask[2:7, 3:8] = True
    g = Grid((9, 9, 3), np.diag([2.0, 2.0, 3.0, 1.0]))
    share = rasterise_share(structure_from_mask(mask, g, "box"), g, supersampling=20)
    assert share.volume_ml == pytest.approx((25 - 4 / 8) * 3 * g.voxel_volume_ml, rel=2e-3)


def test_contours_lie_on_slices_and_carry_the_frame_of_reference():
    g = make_grid("oblique", (1.0, 1.0, 3.0), 20.0)
    g = Grid(g.shape, g.affine, "1.2.3")
    mask = np.zeros(g.shape, bool)
    mask[5:9, 5:9, 3] = True
    s = structure_from_mask(mask, g, "box")
    np.testing.assert_allclose(g.index(s.contours[0].points_mm)[:, 2], 3.0, atol=1e-9)
    assert s.frame_of_reference_uid == "1.2.3"


def test_empty_mask_has_no_contours():
    assert structure_from_mask(np.zeros((3, 3, 3), bool), Grid((3, 3, 3), np.eye(4)), "x").contours == ()


@pytest.mark.parametrize(
    ("mask", "axis", "error"),
    [
        (np.zeros((3, 3, 3)), 2, ParameterError),
        (np.zeros((3, 3, 2), bool), 2, GridMismatchError),
        (np.zeros((3, 3, 3), bool), 3, ParameterError),
    ],
)
def test_mask_that_is_none_is_refused(mask, axis, error):
    with pytest.raises(error):
        structure_from_mask(mask, Grid((3, 3, 3), np.eye(4)), "x", axis=axis)
