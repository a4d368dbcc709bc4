"""How much of a mask lies in which region, on maps whose answer can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.anatomy import LOBES, Region, RegionMap, RegionScheme, region_volumes
from regrowth.errors import GridMismatchError
from regrowth.space import Grid
from tests.conftest import make_grid


def halves(grid: Grid) -> RegionMap:
    """Left frontal in the left half of the patient, right temporal in the right half, ventricle below, nothing on top."""
    ijk = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    world = grid.world(ijk)
    data = np.where(world[..., 0] < 3.0, 11, 23).astype(np.uint8)
    data[world[..., 2] < -10] = 33
    data[world[..., 2] > 20] = 0
    return RegionMap(data, grid)


def test_volumes_are_counts_times_the_voxel_volume_in_every_orientation(grid):
    regions = halves(grid)
    mask = np.ones(grid.shape, bool)
    found = region_volumes(mask, regions, grid)
    for label in ("left frontal", "right temporal", "ventricles"):
        assert found.volumes_ml[label] == pytest.approx(regions.mask(label).sum() * grid.voxel_volume_ml)
    assert found.unassigned_ml == pytest.approx((regions.data == 0).sum() * grid.voxel_volume_ml)
    assert found.total_ml == pytest.approx(mask.size * grid.voxel_volume_ml)
    assert sum(found.volumes_ml.values()) + found.unassigned_ml == pytest.approx(found.total_ml)


def test_every_region_of_the_scheme_is_there_also_at_zero(rng):
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 20.0)
    found = region_volumes(rng.random(grid.shape) > 0.5, halves(grid), grid)
    assert tuple(found.volumes_ml) == LOBES.labels
    assert found.volumes_ml["brainstem"] == 0.0
    assert found.scheme == "regrowth-lobes"


def test_coverage_counts_fluid_and_misses_what_is_unassigned():
    grid = Grid((10, 1, 1), np.diag([10.0, 10.0, 10.0, 1.0]))
    data = np.zeros((10, 1, 1), np.uint8)
    data[:5], data[5:8] = 11, 19
    mask = np.ones(grid.shape, bool)
    found = region_volumes(mask, RegionMap(data, grid), grid)
    assert found.coverage == pytest.approx(0.8)
    assert found.csf_share == pytest.approx(0.3)
    assert found.tissue_ml == pytest.approx(5.0)
    assert found.shares["left frontal"] == pytest.approx(0.5)
    rows = found.as_rows()
    assert [r["region"] for r in rows] == [*LOBES.labels, "unassigned"]
    assert sum(float(r["share"]) for r in rows) == pytest.approx(1.0)


def test_an_empty_mask_has_no_shares():
    grid = make_grid("RAS", (2.0, 2.0, 2.0), 20.0)
    found = region_volumes(np.zeros(grid.shape, bool), halves(grid), grid)
    assert found.total_ml == 0.0
    assert np.isnan([found.coverage, found.csf_share, *found.shares.values()]).all()


def test_other_schemes_work_by_their_own_regions():
    scheme = RegionScheme(
        "two", (Region(300, "frontal", "left", "lobe"), Region(7, "brainstem", "midline", "infratentorial")), "-"
    )
    grid = Grid((4, 1, 1), np.eye(4))
    found = region_volumes(
        np.ones(grid.shape, bool), RegionMap(np.array([300, 300, 7, 0]).reshape(4, 1, 1), grid, scheme), grid
    )
    assert found.volumes_ml == pytest.approx({"left frontal": 0.002, "brainstem": 0.001})


def test_a_mask_of_another_grid_is_refused():
    grid, other = make_grid("RAS", (2.0, 2.0, 2.0), 20.0), make_grid("LPS", (2.0, 2.0, 2.0), 20.0)
    with pytest.raises(GridMismatchError, match="region map"):
        region_volumes(np.zeros(other.shape, bool), halves(grid), other)
    with pytest.raises(GridMismatchError, match="does not fit"):
        region_volumes(np.zeros((2, 2, 2), bool), halves(grid), grid)
