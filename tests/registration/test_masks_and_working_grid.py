"""What a similarity may look at, and on which grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from regrowth.errors import InputError
from regrowth.registration import cost_mask
from regrowth.registration.start import start_matrix
from regrowth.registration.working import working_image, working_mask
from regrowth.space import Grid, Image, Transform
from tests.conftest import make_grid


def ball(grid: Grid, centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    return np.asarray(np.linalg.norm(Transform().map_grid(grid) - centre_mm, axis=-1) < radius_mm)


def test_the_cost_mask_leaves_out_the_lesion_with_its_margin_and_nothing_else(grid: Grid) -> None:
    lesion = ball(grid, (3, -2, 5), 9)
    distance, _ = cKDTree(grid.world(np.argwhere(lesion))).query(Transform().map_grid(grid), distance_upper_bound=5.0)
    mask = cost_mask(lesion, grid, dilate_mm=4.01)
    assert np.array_equal(mask, distance > 4.01)
    assert not mask[lesion].any()
    assert cost_mask(np.zeros(grid.shape, bool), grid).all()


def test_a_working_image_keeps_every_point_where_it_was(orientation: str) -> None:
    for spacing, finest in (((1.0, 1.0, 1.0), 3.0), ((0.94, 0.94, 6.5), 0.0), ((2.0, 2.0, 2.0), 0.0)):
        grid = make_grid(orientation, spacing, 80.0)
        image = Image(np.where(ball(grid, (8, 4, -6), 18), 900.0, 3.0), grid)
        work = working_image(image, finest)
        bright = work.data > 0.5
        assert np.abs(work.grid.world(np.argwhere(bright)).mean(axis=0) - [8, 4, -6]).max() < 0.7
        assert max(work.grid.spacing_mm) / min(work.grid.spacing_mm) < 1.5
        assert min(work.grid.spacing_mm) >= finest - 1e-9
        assert work.data.size < image.data.size
        assert (work.data.min(), work.data.max()) == pytest.approx((0, 1), abs=0.05)


def test_a_mask_follows_onto_the_working_grid_and_grows_rather_than_shrinks() -> None:
    grid = make_grid("LPS", (1.0, 1.0, 4.0), 80.0)
    head, lesion = ball(grid, (3, -2, 5), 30), ball(grid, (10, 0, 5), 8)
    work = working_image(Image(np.where(head, 100.0, 0), grid), 3.0)
    mask = working_mask(~lesion, grid, work.grid)
    assert mask is not None
    assert np.count_nonzero(~mask) * work.grid.voxel_volume_ml == pytest.approx(lesion.sum() * grid.voxel_volume_ml, rel=0.2)
    assert working_mask(None, grid, work.grid) is None
    with pytest.raises(InputError, match="does not fit"):
        working_mask(np.ones((2, 2, 2), bool), grid, work.grid)


def test_a_start_is_found_when_the_headers_are_worth_nothing(rng: np.random.Generator) -> None:
    grid = make_grid("RAS", (3.0, 3.0, 3.0), 150.0)
    data = np.where(ball(grid, (0, 0, 0), 50), 0.5, 0) + np.where(ball(grid, (15, 10, 0), 20), 0.5, 0)
    affine = grid.affine.copy()
    affine[:3, 3] += [120.0, -300.0, 40.0]
    fixed, moving = Image(data, grid), Image(data, Grid(grid.shape, affine))
    assert np.allclose(start_matrix(fixed, moving)[:3, 3], [120, -300, 40], atol=1.0)
    assert np.array_equal(start_matrix(fixed, fixed), np.eye(4))
