"""Margins, level sets of maps and uniform dilations: true millimetres, any orientation, nothing silent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth import iso_volume_dilation, margin_scores, model_plan, standard_plan
from regrowth.growth.plan import top_voxels
from regrowth.space import Grid
from tests.conftest import make_grid


def world(grid: Grid) -> np.ndarray:
    return grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))


def ball(grid: Grid, radius_mm: float, centre_mm: tuple[float, float, float] = (3.0, -2.0, 5.0)) -> np.ndarray:
    return np.linalg.norm(world(grid) - np.array(centre_mm), axis=-1) <= radius_mm


def everywhere(grid: Grid) -> np.ndarray:
    return np.ones(grid.shape, bool)


def cube(n: int = 41) -> Grid:
    return Grid((n, n, n), np.eye(4))


def test_margin_is_15_mm_and_not_15_voxels_in_every_orientation_and_spacing(grid):
    core = np.zeros(grid.shape, bool)
    middle = tuple(n // 2 for n in grid.shape)
    core[middle] = True
    gap = np.linalg.norm(world(grid) - grid.world(middle), axis=-1)
    plan = standard_plan(core, everywhere(grid), grid, 15.0)
    assert np.array_equal(plan.mask, gap <= 15.0 + 1e-4)
    assert plan.volume_ml == pytest.approx(plan.n_voxels * grid.voxel_volume_ml)
    assert gap[plan.mask].max() > 15.0 - max(grid.spacing_mm)


def test_a_voxel_at_exactly_the_margin_belongs_to_it():
    grid = Grid((41, 5, 5), np.diag([3.0, 3.0, 3.0, 1.0]))
    core = np.zeros(grid.shape, bool)
    core[20, 2, 2] = True
    plan = standard_plan(core, everywhere(grid), grid, 15.0)
    assert plan.mask[25, 2, 2]
    assert not plan.mask[26, 2, 2]
    assert not plan.mask[25, 3, 2]


def test_the_plan_stays_inside_the_brain_and_outside_of_csf():
    grid = cube()
    core, brain = ball(grid, 5, (20, 20, 20)), ball(grid, 18, (20, 20, 20))
    csf = world(grid)[..., 0] > 28
    plan = standard_plan(core, brain, grid, 15.0, excluded={"CSF": csf})
    plain = standard_plan(core, brain, grid, 15.0)
    assert np.array_equal(plan.mask, plain.mask & ~csf)
    assert not (plain.mask & ~brain).any()


def test_core_that_a_tissue_map_takes_for_csf_or_that_touches_the_falx_stays_in_the_plan():
    grid = cube()
    core = ball(grid, 5, (20, 20, 20))
    inside = ball(grid, 2, (20, 20, 20))
    sheet = world(grid)[..., 0] == 22
    plan = standard_plan(core, everywhere(grid), grid, 3.0, excluded={"CSF": inside}, barriers={"falx": sheet})
    assert plan.mask[core].all()
    assert not plan.mask[sheet & ~core].any()


@pytest.mark.parametrize("oblique", [False, True], ids=["straight", "oblique"])
def test_a_closed_thin_barrier_stops_the_margin_and_changes_nothing_before_it(oblique):
    grid = cube()
    x, y, _ = np.moveaxis(world(grid), -1, 0)
    side = x - y if oblique else x - 26
    falx = side == 0  # the oblique one is a staircase whose voxels meet at their edges only
    core = ball(grid, 3, (15, 25, 20)) & (side < 0)
    plain = standard_plan(core, everywhere(grid), grid, 15.0)
    plan = standard_plan(core, everywhere(grid), grid, 15.0, barriers={"falx": falx})
    assert (plain.mask & (side > 0)).any()
    assert np.array_equal(plan.mask, plain.mask & (side < 0))


def test_behind_a_barrier_with_an_end_the_margin_counts_the_way_around_it():
    grid = cube(61)
    x, y, _ = np.moveaxis(world(grid), -1, 0)
    core = ball(grid, 0.5, (25, 30, 30))
    falx = (x == 30) & (y >= 20)
    plan = standard_plan(core, everywhere(grid), grid, 20.0, barriers={"falx": falx})
    plain = standard_plan(core, everywhere(grid), grid, 20.0)
    straight_behind = (32, 30, 30)  # 7 mm as the crow flies, around the end at y 19 about 13 + 13
    below_the_end = (32, 17, 30)
    assert plain.mask[straight_behind]
    assert not plan.mask[straight_behind]
    assert plan.mask[below_the_end]
    assert plan.mask[20, 30, 30]
    assert not (plan.mask & ~plain.mask).any()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 2.0, 3.0)], ids=str)
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "oblique"])
def test_the_way_around_the_edge_of_a_barrier_is_measured_in_mm(orientation, spacing):
    grid = make_grid(orientation, spacing, 56.0)
    middle = tuple(n // 2 for n in grid.shape)
    core = np.zeros(grid.shape, bool)
    core[middle] = True
    ijk = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis((ijk - middle) * np.array(spacing), -1, 0)  # mm along the axes from the core
    wall_mm, margin_mm = 4.0, 18.0
    falx = (x == wall_mm) & (y >= -5.0)
    edge_mm = y[falx].min() - spacing[1]  # the first open voxel beyond the end
    plan = standard_plan(core, everywhere(grid), grid, margin_mm, barriers={"falx": falx})
    # unfolded at the edge: the legs before and behind it add up in the plane across it
    around = np.hypot(np.hypot(wall_mm, edge_mm) + np.hypot(x - wall_mm, y - edge_mm), z)
    behind = (x > wall_mm) & (y > edge_mm * x / wall_mm)
    surely_in = behind & (around < margin_mm - 1.2 - 1.2 * max(spacing))
    surely_out = behind & (around > margin_mm + max(spacing)) & (x**2 + y**2 + z**2 <= margin_mm**2)
    assert surely_in.any()
    assert surely_out.any()
    assert plan.mask[surely_in].all()
    assert not plan.mask[surely_out].any()


def test_a_barrier_that_is_nowhere_near_changes_no_voxel(grid):
    core, brain = ball(grid, 8), ball(grid, 26)
    far = np.zeros(grid.shape, bool)
    far[0, 0, 0] = True
    plain = standard_plan(core, brain, grid, 12.0)
    assert np.array_equal(standard_plan(core, brain, grid, 12.0, barriers={"falx": far}).mask, plain.mask)


def test_an_empty_core_gives_no_plan_and_says_so():
    grid = cube(9)
    plan = standard_plan(np.zeros(grid.shape, bool), everywhere(grid), grid)
    assert plan.status == "empty_core"
    assert np.isnan(plan.volume_ml)
    assert "no voxel" in plan.reason


def test_bad_input_of_a_margin_is_refused_with_the_remedy():
    grid = cube(9)
    core = ball(grid, 2, (4, 4, 4))
    with pytest.raises(InputError, match="brain mask is empty"):
        standard_plan(core, np.zeros(grid.shape, bool), grid)
    with pytest.raises(InputError, match="wholly outside of the brain"):
        standard_plan(core, ~ball(grid, 3, (4, 4, 4)), grid)
    with pytest.raises(GridMismatchError, match="resample_labels"):
        standard_plan(core, np.ones((9, 9, 8), bool), grid)
    with pytest.raises(GridMismatchError, match="barrier falx"):
        standard_plan(core, everywhere(grid), grid, barriers={"falx": np.ones((3, 3, 3), bool)})
    for margin in (-1.0, np.nan, np.inf):
        with pytest.raises(ParameterError, match="margin"):
            standard_plan(core, everywhere(grid), grid, margin)
    with pytest.raises(InputError, match="core is empty"):
        margin_scores(np.zeros(grid.shape, bool), grid)


def test_a_model_plan_has_the_volume_of_the_standard_plan_and_takes_the_highest_voxels(grid, rng):
    core, brain = ball(grid, 9), ball(grid, 27)
    standard = standard_plan(core, brain, grid, 10.0)
    scores = rng.random(grid.shape)
    plan = model_plan(scores, brain, grid, standard.volume_ml)
    assert plan.n_voxels == standard.n_voxels
    assert scores[plan.mask].min() > scores[brain & ~plan.mask].max()
    assert not (plan.mask & ~brain).any()


def test_the_model_plan_of_a_margin_is_the_margin(grid):
    core, brain = ball(grid, 7), ball(grid, 27)
    standard = standard_plan(core, brain, grid, 10.0)
    plan = model_plan(margin_scores(core, grid), brain, grid, standard.volume_ml)
    gap = -margin_scores(core, grid)
    assert plan.n_voxels == standard.n_voxels
    assert gap[plan.mask].max() <= 10.0 + 1e-3


@pytest.mark.parametrize("orientation", ["LAS", "LPS", "LPI"])
@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (1.0, 1.0, 4.0)], ids=["isotropic", "thick"])
def test_ties_are_broken_in_the_patient_and_not_in_the_array(orientation, spacing_mm, rng):
    reference = make_grid("RAS", spacing_mm, 30.0)
    flipped = make_grid(orientation, spacing_mm, 30.0)
    flips = tuple(slice(None, None, -1) if a != b else slice(None) for a, b in zip("RAS", orientation, strict=True))
    scores = np.round(rng.random(reference.shape), 1)  # ten distinct values: nearly every voxel is tied
    brain = ball(reference, 13)
    plans = [
        model_plan(scores, brain, reference, 3.0),
        model_plan(scores[flips], brain[flips], flipped, 3.0),
    ]
    assert plans[0].n_tied > plans[0].n_tied_taken > 0
    assert np.array_equal(plans[0].mask[flips], plans[1].mask)


def test_ties_that_distance_cannot_break_are_broken_from_inferior_to_superior_in_any_array():
    grids = [make_grid(orientation, (2.0, 2.0, 2.0), 20.0) for orientation in ("RAS", "LPI")]
    chosen = []
    for grid in grids:
        middle = grid.index([3.0, -2.0, 5.0])
        odd = tuple(int(n) for n in np.floor(middle))
        scores = np.zeros(grid.shape)
        scores[odd] = 1.0
        plan = model_plan(scores, everywhere(grid), grid, 2 * grid.voxel_volume_ml)
        chosen.append(grid.world(np.argwhere(plan.mask)) - grid.world(odd))
    for steps in chosen:
        assert sorted(np.round(steps[:, 2]).tolist()) == [-2.0, 0.0]  # six neighbours are tied; the inferior one is taken


def test_a_map_that_is_0_nearly_everywhere_is_widened_evenly():
    grid = cube()
    scores = ball(grid, 6, (20, 20, 20)).astype(np.float32)
    target = ball(grid, 12, (20, 20, 20))
    plan = model_plan(scores, everywhere(grid), grid, target.sum() * grid.voxel_volume_ml)
    assert plan.n_tied == grid.shape[0] ** 3 - int(scores.sum())
    assert plan.n_tied_taken == int(target.sum() - scores.sum())
    centre = world(grid)[plan.mask].mean(axis=0)
    assert np.abs(centre - 20).max() < 0.1
    assert 2 * (plan.mask & target).sum() / (2 * target.sum()) > 0.97


def test_a_volume_that_does_not_fit_takes_everything_and_says_so():
    grid = cube(15)
    brain = ball(grid, 5, (7, 7, 7))
    scores = world(grid)[..., 0]
    plan = model_plan(scores, brain, grid, 1000.0)
    assert plan.status == "volume_exceeds_allowed"
    assert np.array_equal(plan.mask, brain)
    assert "1000.0 ml were asked for" in plan.reason
    assert plan.volume_ml == pytest.approx(brain.sum() / 1000)


def test_a_constant_map_prefers_nothing_and_gives_no_plan():
    grid = cube(9)
    plan = model_plan(np.full(grid.shape, 0.3), everywhere(grid), grid, 0.1)
    assert plan.status == "constant_map"
    assert np.isnan(plan.volume_ml)
    assert not plan.mask.any()


def test_nan_inside_of_the_brain_is_refused_and_outside_does_not_matter():
    grid = cube(15)
    brain = ball(grid, 5, (7, 7, 7))
    scores = np.where(brain, world(grid)[..., 0], np.nan)
    assert model_plan(scores, brain, grid, 0.1).n_voxels == 100
    scores[7, 7, 7] = np.nan
    with pytest.raises(InputError, match="NaN or infinite in 1 of"):
        model_plan(scores, brain, grid, 0.1)
    with pytest.raises(InputError, match="no voxel is allowed"):
        model_plan(scores, np.zeros(grid.shape, bool), grid, 0.1)
    with pytest.raises(GridMismatchError, match="resample_image"):
        model_plan(scores[1:], brain, grid, 0.1)
    for volume in (-1.0, np.nan):
        with pytest.raises(ParameterError, match="volume"):
            model_plan(world(grid)[..., 0], brain, grid, volume)


@pytest.mark.parametrize("radius_mm", [6.0, 14.0], ids=["shrunk", "widened"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "oblique"])
def test_a_ball_dilated_to_a_volume_is_the_ball_of_that_volume(radius_mm, spacing, orientation):
    grid = make_grid(orientation, spacing, 40.0)
    target = ball(grid, radius_mm)
    made = iso_volume_dilation(ball(grid, 10.0), grid, target.sum() * grid.voxel_volume_ml)
    assert made.n_voxels == int(target.sum())
    assert (made.mask & target).sum() / target.sum() > 0.95
    gap = np.linalg.norm(world(grid) - np.array([3.0, -2.0, 5.0]), axis=-1)
    assert gap[made.mask].max() < radius_mm + max(spacing)


def test_a_dilation_goes_around_what_is_not_allowed_and_keeps_what_was_seen():
    grid = cube()
    mask = ball(grid, 5, (20, 20, 20))
    room = world(grid)[..., 0] <= 22
    made = iso_volume_dilation(mask, grid, 4.0, room)
    assert made.n_voxels == 4000
    assert not (made.mask & ~room & ~mask).any()
    assert (made.mask & mask).sum() == mask.sum()


def test_dilating_to_the_own_volume_is_persistence_and_to_0_is_nothing(grid):
    mask = ball(grid, 9)
    assert np.array_equal(iso_volume_dilation(mask, grid, mask.sum() * grid.voxel_volume_ml).mask, mask)
    gone = iso_volume_dilation(mask, grid, 0.0)
    assert (gone.n_voxels, gone.volume_ml, gone.status) == (0, 0.0, "ok")


def test_a_tumour_on_the_border_of_the_array_shrinks_from_there_too():
    grid = cube(21)
    mask = world(grid)[..., 0] <= 10  # half of the array
    made = iso_volume_dilation(mask, grid, 0.125)  # 5 x 5 x 5 voxels: the deepest point of 11 x 21 x 21
    assert made.n_voxels == 125
    assert np.abs(world(grid)[made.mask].mean(axis=0) - [5, 10, 10]).max() < 1.0
    assert world(grid)[made.mask][:, 0].min() > 2


def test_nothing_to_dilate_and_too_much_to_dilate_are_said():
    grid = cube(15)
    empty = iso_volume_dilation(np.zeros(grid.shape, bool), grid, 1.0)
    assert empty.status == "empty_mask"
    assert np.isnan(empty.volume_ml)
    mask, room = ball(grid, 2, (7, 7, 7)), ball(grid, 5, (7, 7, 7))
    full = iso_volume_dilation(mask, grid, 50.0, room)
    assert full.status == "volume_exceeds_allowed"
    assert np.array_equal(full.mask, room)
    with pytest.raises(InputError, match="wholly outside"):
        iso_volume_dilation(mask, grid, 1.0, ~room)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 7 * 6 * 5 + 3))
def test_top_voxels_are_nested_and_never_more_than_asked(seed, k):
    rng = np.random.default_rng(seed)
    grid = Grid((7, 6, 5), np.diag([1.0, 1.5, 2.0, 1.0]))
    scores, allowed = rng.integers(0, 4, grid.shape), rng.random(grid.shape) < 0.8
    mask, n_tied, n_taken = top_voxels(scores, allowed, grid, k)
    assert mask.sum() == min(k, allowed.sum())
    assert not (mask & ~allowed).any()
    assert 0 <= n_taken <= n_tied
    if mask.any() and (allowed & ~mask).any():
        assert scores[mask].min() >= scores[allowed & ~mask].max()
