"""Holes told by keyholes or by their type enclose the same voxels as holes told by contours of their own."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.radiotherapy import Contour, Structure
from regrowth.radiotherapy.contouring import structure_from_mask
from regrowth.radiotherapy.holes import with_keyholes, with_xor_contours
from regrowth.radiotherapy.rasterise import rasterise, rasterise_share
from regrowth.space import Grid
from tests.conftest import make_grid


def pierced(grid):
    """Make a mask with several holes side by side, and an island with a hole in one of them."""
    mask = np.zeros(grid.shape, bool)
    mask[2:28, 2:28, 1:4] = True
    mask[4:14, 4:14, 1:4] = False
    mask[6:12, 6:12, 1:4] = True
    mask[8:10, 8:10, 1:4] = False
    mask[16:26, 4:8, 1:3] = False
    mask[16:26, 10:14, 2:4] = False
    mask[5:8, 20, 1] = False
    return mask


@pytest.mark.parametrize("tell", [with_keyholes, with_xor_contours])
def test_holes_told_otherwise_enclose_the_same(orientation, tell):
    grid = make_grid(orientation, (1.1, 1.3, 3.0), 40.0)
    mask = pierced(grid)
    plain = structure_from_mask(mask, grid, "pierced")
    told = tell(plain)
    np.testing.assert_array_equal(rasterise(told, grid).mask, mask)
    np.testing.assert_allclose(rasterise_share(told, grid).share, rasterise_share(plain, grid).share, atol=1e-6)


def test_no_contour_lies_in_the_hole_of_another_once_keyholes_are_made():
    grid = make_grid("RAS", (1.0, 1.0, 3.0), 40.0)
    plain = structure_from_mask(pierced(grid), grid, "pierced")
    told = with_keyholes(plain)
    per_plane = [sum(np.isclose(c.points_mm[0, 2], grid.world([0, 0, k])[2]) for c in told.contours) for k in (1, 2, 3)]
    assert per_plane == [2, 2, 2]  # the body and the island, each with its holes
    # Every hole adds a channel that is walked twice.
    n_holes = len(plain.contours) - len(told.contours)
    assert sum(len(c.points_mm) for c in told.contours) == sum(len(c.points_mm) for c in plain.contours) + 2 * n_holes


def test_channels_run_to_the_nearest_corner_and_cross_no_hole():
    square = np.array([[0, 0, 0], [20, 0, 0], [20, 6, 0], [0, 6, 0.0]])
    holes = [np.array([[x, 2, 0], [x, 4, 0], [x + 2, 4, 0], [x + 2, 2, 0.0]]) for x in (12.0, 5.0, 2.0)]
    (told,) = with_keyholes(Structure("x", tuple(map(Contour, (square, *holes))))).contours
    steps = np.abs(np.diff(told.points_mm, axis=0)).max(axis=1)
    assert len(told.points_mm) == 4 + 3 * 6
    # From the corner at 0 to the hole at 2, from there to that at 5, and on to 12: never over a hole.
    assert sorted(steps[np.isin(steps, [1.0, 5.0])]) == [1.0, 1.0, 5.0, 5.0]


def test_only_structures_with_holes_are_marked_and_other_contours_stay():
    grid = make_grid("RAS", (1.0, 1.0, 3.0), 40.0)
    plain = structure_from_mask(pierced(grid), grid, "pierced")
    mixed = Structure("x", (*plain.contours, Contour(np.zeros((1, 3)), "POINT")))
    kinds = [c.geometric_type for c in with_xor_contours(mixed).contours]
    assert kinds == ["CLOSEDPLANAR_XOR"] * len(plain.contours) + ["POINT"]
    assert with_keyholes(mixed).contours[0].geometric_type == "POINT"
    whole = structure_from_mask(np.ones((4, 4, 1), bool), Grid((4, 4, 1), np.eye(4)), "w")
    assert with_xor_contours(whole) is whole
    assert with_keyholes(whole) is whole
