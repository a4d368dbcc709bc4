"""Falx and tentorium: closed between what they divide, open where the brain is joined."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from regrowth.anatomy import LOBES, RegionMap, lobe_atlas
from regrowth.anatomy.barriers import anatomical_barriers, ventricles
from regrowth.growth.plan import standard_plan
from regrowth.space import Grid, Image, resample_image
from tests.conftest import make_grid

VALUE = {r.label: r.value for r in LOBES}


def world(grid: Grid) -> np.ndarray:
    """Positions relative to the centre of the grid."""
    points = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    return points - points.reshape(-1, 3).mean(axis=0)


def ball(grid: Grid, *, gap_mm: float = 0.0, joined: bool = False) -> RegionMap:
    """Two hemispheres over two halves of a cerebellum with a brainstem, perhaps with a fissure, perhaps with a callosum."""
    x, y, z = np.moveaxis(world(grid), -1, 0)
    side = np.where(x < 0, "left", "right")
    data = np.zeros(grid.shape, np.uint8)
    brain = np.sqrt(x**2 + y**2 + z**2) < 27
    for name in ("left", "right"):
        data[brain & (side == name)] = VALUE[f"{name} parietal"]
        data[brain & (side == name) & (z < -10)] = VALUE[f"{name} cerebellum"]
    data[brain & (z >= -10) & (np.abs(x) < gap_mm / 2)] = 0
    data[brain & (np.abs(x) < 7) & (y > 12) & (z < 0)] = VALUE["brainstem"]
    if joined:
        data[brain & (np.abs(x) < 6) & (np.abs(z) < 8) & (np.abs(y) < 12)] = VALUE["corpus callosum"]
    return RegionMap(data, grid)


def meet(one: np.ndarray, other: np.ndarray, room: np.ndarray) -> bool:
    """Whether a way over faces within a room leads from one mask to the other."""
    parts, _ = ndimage.label(room)
    return bool(set(np.unique(parts[one & room])) & set(np.unique(parts[other & room])) - {0})


@pytest.mark.parametrize("gap_mm", [0.0, 6.0], ids=["touching", "with a fissure"])
def test_falx_divides_the_hemispheres_and_a_callosum_opens_it(grid, gap_mm):
    """Ways over faces, through the fissure and over the top of the brain, in all orientations and with thick slices."""
    x, y, z = np.moveaxis(world(grid), -1, 0)
    above = z >= 5  # away from the brainstem, which joins the hemispheres
    inside = above & (np.sqrt(x**2 + y**2 + z**2) < 26)
    for joined in (False, True):
        regions = ball(grid, gap_mm=gap_mm, joined=joined)
        left, right = (regions.mask_of(side=s, kind="lobe") & above for s in ("left", "right"))
        falx = anatomical_barriers(regions)["falx"]
        assert falx.any()
        assert (np.abs(x[falx & inside]) <= 1.5 * max(grid.spacing_mm)).all()
        near = ndimage.distance_transform_edt(regions.data == 0, sampling=grid.spacing_mm) < 12
        assert meet(left, right, above & near)
        assert meet(left, right, above & near & ~falx) == joined


def test_wall_is_one_voxel_thin_and_lies_in_the_fissure_where_there_is_one():
    grid = make_grid("RAS", (1.0, 1.0, 1.0))
    _, y, z = np.moveaxis(world(grid), -1, 0)
    for gap_mm in (0.0, 4.0):
        regions = ball(grid, gap_mm=gap_mm)
        falx = anatomical_barriers(regions)["falx"]
        inside = (np.sqrt(y**2 + z**2) < 20) & (z > 2)
        assert (falx.sum(axis=0)[inside.any(axis=0)] == 1).all()
        if gap_mm:
            assert (regions.data[falx & inside] == 0).all()


def test_tentorium_divides_cerebellum_and_cerebrum_and_is_open_at_the_brainstem(grid):
    regions = ball(grid)
    tentorium = anatomical_barriers(regions)["tentorium"]
    lobes, cerebellum, stem = (
        regions.mask_of(kind="lobe"),
        regions.mask_of(name="cerebellum"),
        regions.mask_of(name="brainstem"),
    )
    assert tentorium.any()
    assert meet(lobes, cerebellum, lobes | cerebellum)
    assert not meet(lobes, cerebellum & ~tentorium, (lobes | cerebellum) & ~tentorium)
    assert meet(lobes, cerebellum & ~tentorium, (lobes | cerebellum | stem) & ~tentorium)
    assert not tentorium[lobes].any()
    assert not tentorium[stem].any()


def test_regions_that_do_not_meet_have_no_wall():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    empty = RegionMap(np.zeros(grid.shape, np.uint8), grid)
    assert not any(wall.any() for wall in anatomical_barriers(empty).values())
    half = ball(grid).data.copy()
    half[np.isin(half, [r.value for r in LOBES.select(side="right")])] = 0
    assert not anatomical_barriers(RegionMap(half, grid))["falx"].any()
    fluid = RegionMap(np.full(grid.shape, VALUE["left ventricles"], np.uint8), grid)
    assert not any(wall.any() for wall in anatomical_barriers(fluid).values())


def test_ventricles_are_those_of_both_sides_and_the_midline():
    data = np.array([VALUE[n] for n in ("left ventricles", "right ventricles", "ventricles", "left frontal")], np.uint8)
    regions = RegionMap(data.reshape(4, 1, 1), Grid((4, 1, 1), np.eye(4)))
    assert ventricles(regions).ravel().tolist() == [True, True, True, False]


# --- the average brain ----------------------------------------------------------------------------------------------


@cache
def average() -> tuple[RegionMap, dict[str, np.ndarray], np.ndarray]:
    atlas = lobe_atlas()
    grid = atlas.grid.resized((2.0, 2.0, 2.0))
    data = resample_image(Image(atlas.data.astype(np.float32), atlas.grid), grid, order=0).data.astype(np.uint8)
    regions = RegionMap(data, grid)
    return regions, anatomical_barriers(regions), grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))


@pytest.mark.parametrize("centre", [(-9, 50, 20), (-9, 20, 50), (-9, -30, 60), (-9, -70, 30)])
def test_margin_of_a_parasagittal_tumour_does_not_cross_the_falx(centre):
    regions, barriers, place = average()
    core = np.linalg.norm(place - centre, axis=-1) <= 5
    brain, across = regions.data > 0, regions.mask_of(side="right", kind="lobe")
    plain = standard_plan(core, brain, regions.grid, 15.0)
    stopped = standard_plan(core, brain, regions.grid, 15.0, barriers=barriers)
    assert (plain.mask & across).sum() > 500
    assert not (stopped.mask & across).any()
    # Before the falx nothing is lost but the wall itself.
    own = regions.mask_of(side="left") & ~barriers["falx"]
    assert np.array_equal(stopped.mask & own, plain.mask & own)


@pytest.mark.parametrize("centre", [(-10, 20, 14), (-10, -10, 28), (-10, -36, 14)])
def test_margin_of_a_tumour_beside_the_callosum_crosses_it(centre):
    regions, barriers, place = average()
    core = np.linalg.norm(place - centre, axis=-1) <= 5
    plan = standard_plan(core, regions.data > 0, regions.grid, 15.0, barriers=barriers)
    callosum = regions.mask("corpus callosum") & (place[..., 0] > 1)
    assert (plan.mask & callosum).sum() > 50
    assert (plan.mask & regions.mask_of(side="right", kind="lobe")).sum() > 100


def test_margin_of_an_occipital_tumour_does_not_enter_the_cerebellum_and_one_in_the_brainstem_reaches_both():
    regions, barriers, place = average()
    brain, cerebellum = regions.data > 0, regions.mask_of(name="cerebellum")
    core = (np.linalg.norm(place - [-30, -70, -12], axis=-1) <= 5) & ~cerebellum
    plain = standard_plan(core, brain, regions.grid, 15.0)
    stopped = standard_plan(core, brain, regions.grid, 15.0, barriers=barriers)
    assert (plain.mask & cerebellum).sum() > 100
    assert (stopped.mask & cerebellum).sum() < 0.02 * (plain.mask & cerebellum).sum()
    stem = regions.mask("brainstem") & (np.linalg.norm(place - [-6, -28, -14], axis=-1) <= 6)
    plan = standard_plan(stem, brain, regions.grid, 15.0, barriers=barriers)
    assert (plan.mask & regions.mask_of(kind="deep")).any()
    assert (plan.mask & cerebellum).any()
