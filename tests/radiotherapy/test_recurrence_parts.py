"""Parts of a recurrence, their points and their dose."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.radiotherapy.exposure import Exposure, recurrence_dose
from regrowth.radiotherapy.parts import RecurrencePart, recurrence_parts
from regrowth.space import Grid, Image
from tests.conftest import make_grid
from tests.radiotherapy.failure_cases import ball, box, flat, one_part, ramp


def test_parts_come_from_the_largest_and_small_ones_are_counted(grid):
    mask = box(grid, (-20, -20, -20), (-5, -5, -5)) | box(grid, (8, 8, 8), (25, 25, 25))
    mask[0, 0, 0] = True
    parts, small = recurrence_parts(mask, grid, min_volume_ml=2 * grid.voxel_volume_ml)
    assert [p.number for p in parts] == [1, 2]
    assert parts[0].volume_ml > parts[1].volume_ml
    assert small == 1
    assert sum(p.volume_ml for p in parts) == pytest.approx((mask.sum() - 1) * grid.voxel_volume_ml)


def test_no_recurrence_has_no_parts(grid):
    assert recurrence_parts(np.zeros(grid.shape, bool), grid) == ((), 0)


def test_a_mask_of_another_grid_is_refused(grid):
    with pytest.raises(GridMismatchError):
        recurrence_parts(np.zeros((3, 3, 3), bool), grid)
    with pytest.raises(ParameterError, match="at least one voxel"):
        RecurrencePart(np.empty((0, 3), int), grid)


def test_points_keep_the_centre_of_mass_and_fill_small_parts(grid):
    part = RecurrencePart(np.array([[3, 3, 3], [3, 4, 3], [4, 4, 3]]), grid)
    points = part.points_mm()
    np.testing.assert_allclose(points.mean(axis=0), part.centroid_mm, atol=1e-9)
    assert len(points) == 3 * 6**3


def test_a_hollow_part_knows_that_its_centroid_is_outside():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    shell = ball(grid, (0, 0, 0), 12) & ~ball(grid, (0, 0, 0), 7)
    assert not one_part(shell, grid).centroid_is_inside
    assert one_part(ball(grid, (0, 0, 0), 12), grid).centroid_is_inside


def test_the_deepest_point_of_a_dumbbell_lies_in_its_larger_end():
    grid = make_grid("LAS", (1.0, 1.0, 1.0))
    dumbbell = ball(grid, (-14, 0, 0), 9) | ball(grid, (14, 0, 0), 4) | box(grid, (-14, -1, -1), (14, 1, 1))
    np.testing.assert_allclose(one_part(dumbbell, grid).deepest_mm, (-14, 0, 0), atol=1.01)


def test_dose_of_a_box_in_a_linear_gradient_is_analytic(grid):
    mask = np.zeros(grid.shape, bool)
    mask[4:-4, 4:-4, 2:-2] = True
    part = one_part(mask, grid)
    found = recurrence_dose(part, ramp(grid, 60.0, -0.2))
    assert found.centroid_gy == pytest.approx(60 - 0.2 * part.centroid_mm[0], abs=1e-3)
    assert found.mean_gy == pytest.approx(found.centroid_gy, abs=0.01)
    assert found.d50_gy == pytest.approx(found.centroid_gy, abs=0.25)
    assert found.min_gy < found.d95_gy < found.d50_gy < found.max_gy


def test_d95_of_a_box_along_the_gradient_lies_at_5_percent_of_its_length():
    grid = make_grid("LPS", (1.0, 1.0, 1.0))
    part = one_part(box(grid, (-20, -5, -5), (20, 5, 5)), grid)
    low, high = part.points_mm()[:, 0].min(), part.points_mm()[:, 0].max()
    found = recurrence_dose(part, ramp(grid, 60.0, -0.5))
    assert found.d95_gy == pytest.approx(60 - 0.5 * (high - 0.05 * (high - low)), abs=0.3)


def test_voxels_of_zero_dose_count():
    grid = Grid((10, 4, 4), np.eye(4))
    data = np.zeros(grid.shape)
    data[5:] = 50.0
    part = RecurrencePart(np.argwhere(np.ones(grid.shape, bool)), grid)
    at = Exposure(part, grid.world(part.voxels), np.zeros((1, 3)), Image(data, grid, "Gy"))
    assert at.doses_gy.mean() == pytest.approx(25.0)


def test_share_and_dose_at_share_say_the_same(rng):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    part = one_part(ball(grid, (0, 0, 0), 10), grid)
    at = Exposure(part, part.points_mm(), np.zeros((1, 3)), Image(rng.uniform(0, 70, grid.shape), grid, "Gy"))
    for share in (0.95, 0.5, 0.02):
        level = at.dose_at_share(share)[0][0]
        assert at.isodose_share(level)[0][0] >= share
        assert (at.doses_gy[0] > level).mean() < share


def test_a_part_that_leaves_the_dose_grid_is_unknown_and_not_zero():
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    small = Grid((10, 10, 10), grid.affine)
    corner = RecurrencePart(np.argwhere(np.ones((20, 5, 5), bool)), grid)
    found = recurrence_dose(corner, flat(small, 60.0))
    assert found.status == "dose_unknown"
    assert found.unknown_share == pytest.approx(0.5, abs=0.01)
    assert np.isnan(found.mean_gy)
    assert np.isnan(found.d95_gy)
    assert recurrence_dose(RecurrencePart(np.array([[2, 2, 2]]), grid), flat(small, 60.0)).mean_gy == pytest.approx(60)


@pytest.mark.parametrize(
    "data",
    [
        Image(np.full((4, 4, 4), -1.0), Grid((4, 4, 4), np.eye(4)), "Gy"),
        Image(np.ones((4, 4, 4)), Grid((4, 4, 4), np.eye(4)), "HU"),
    ],
)
def test_what_is_no_dose_is_refused(data):
    part = RecurrencePart(np.array([[1, 1, 1]]), data.grid)
    with pytest.raises(InputError, match=r"Gy|negative"):
        recurrence_dose(part, data)


def test_a_dose_of_another_frame_of_reference_is_refused():
    grid, other = Grid((4, 4, 4), np.eye(4), "1.2.3"), Grid((4, 4, 4), np.eye(4), "1.2.4")
    with pytest.raises(GridMismatchError, match="frames of reference"):
        recurrence_dose(RecurrencePart(np.array([[1, 1, 1]]), grid), flat(other, 60.0))
