"""Is the whole way from a segmentation to map, plans and scores right, on a tumour whose growth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from regrowth.errors import GridMismatchError
from regrowth.growth.case_scores import MEASURES
from regrowth.growth.front import TumourObservation
from regrowth.growth.kpp import KppParameters
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.scorecard import score_card
from regrowth.growth.simulate import DoseCourse, ResectionCavity, seed_density, simulate_growth
from regrowth.growth.spatial_case import (
    SPATIAL_BASELINES,
    SpatialCase,
    SpatialForecast,
    baseline_names,
    forecast_in_space,
    inverse_settings,
    ranked_scores,
)
from regrowth.growth.tissue import TissueMap, tissue_map
from regrowth.space import Grid, Image
from tests.conftest import make_grid

QUICK = GrowthParameters(map_spacing_mm=4.0, space_draws=20, members=12)
EVERY = {*SPATIAL_BASELINES, "growth model"}


@cache
def head(orientation: str) -> TissueMap:
    """Half a brain of white matter and half a brain of grey matter, 4 mm; growth must go into the white half."""
    grid = make_grid(orientation, (4.0, 4.0, 4.0), 120.0)
    x = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)) - grid.world((np.array(grid.shape) - 1) / 2)
    brain = np.linalg.norm(x, axis=-1) < 56
    white = brain & (x[..., 0] > 0)
    return tissue_map(white, brain & ~white, grid)


@cache
def case(orientation: str = "LPS") -> SpatialCase:
    """A tumour on the border of the halves, seen twice 30 days apart, and what came 60 days later."""
    tissue, grid = head(orientation), head(orientation).grid
    middle = grid.world((np.array(grid.shape) - 1) / 2)
    start = Image(seed_density(tissue, middle + 4.0), grid, "1")
    grown = simulate_growth(tissue, start, KppParameters(0.6, 0.04), [130, 160, 220])
    seen = tuple(TumourObservation(float(d), grown.mask(0.6, n), grown.mask(0.2, n), grid) for n, d in enumerate((130, 160)))
    came = grown.mask(0.6, 2)
    volumes = [float(m.sum() * grid.voxel_volume_ml) for m in (seen[1].core, came)]
    return SpatialCase("a", tissue, seen, tissue.matter, {}, {}, 220.0, came, *volumes)


@cache
def forecast(orientation: str = "LPS") -> SpatialForecast:
    return forecast_in_space(case(orientation), QUICK, np.random.default_rng(1))


def value(found: SpatialForecast, model: str, measure: str) -> float:
    (score,) = [s for s in found.scores if (s.model, s.measure) == (model, measure)]
    return score.value


@pytest.mark.parametrize("orientation", ["LPS", "oblique"])
def test_a_tumour_that_grows_as_the_model_says_is_foretold_better_than_by_every_baseline(orientation: str) -> None:
    found = forecast(orientation)
    assert found.probability is not None
    for baseline in SPATIAL_BASELINES:
        assert value(found, "growth model", "dice") > value(found, baseline, "dice")
        assert value(found, "growth model", "brier") < value(found, baseline, "brier")
    assert value(found, "growth model", "dice") > 0.75
    assert value(found, "growth model", "volume_for_95_ml") < value(found, "15 mm margin", "volume_for_95_ml")
    assert value(found, "growth model", "coverage") >= value(found, "15 mm margin", "coverage")


def test_every_model_has_every_measure_once_and_one_stratum_so_that_a_score_card_takes_them() -> None:
    found = forecast()
    by_model = {m: {s.measure for s in found.scores if s.model == m} for m in EVERY}
    masks = {"dice", "hd95_mm", "brier", "calibration_error", "average_precision"}
    plans = {"coverage", "volume_for_95_ml"}
    assert by_model["growth model"] == by_model["15 mm margin"] == masks | plans
    assert by_model["persistence"] == by_model["uniform dilation"] == masks
    assert {s.stratum for s in found.scores} == {"growing"}
    assert {s.measure for s in found.scores} <= set(MEASURES)
    card = score_card(found.scores, SPATIAL_BASELINES, np.random.default_rng(0))
    assert card.comparisons


def test_both_plans_have_the_same_volume_and_leave_out_what_is_excluded() -> None:
    here = case()
    grid = here.grid
    away = np.zeros(grid.shape, bool)
    away[grid.shape[0] // 2 + 3 :] = True
    away &= ~here.observations[-1].core
    found = forecast_in_space(replace(here, excluded={"a part": away}), QUICK, np.random.default_rng(1))
    assert found.model.n_voxels == found.standard.n_voxels > 0
    assert not (found.model.mask & (away | ~here.brain)).any()
    assert not (found.standard.mask & (away | ~here.brain)).any()
    assert found.standard.mask[here.observations[-1].core].all()


def test_the_uniform_dilation_has_the_volume_of_the_map_and_the_histogram_counts_all_allowed_voxels() -> None:
    found, here = forecast(), case()
    assert found.histogram is not None
    assert found.probability is not None
    assert found.histogram.n_voxels.sum() == here.brain.sum()
    assert found.histogram.n_tumour.sum() == (np.asarray(here.recurrence) & here.brain).sum()
    error = found.histogram.calibration_error()
    assert error == pytest.approx(value(found, "growth model", "calibration_error"), abs=0.02)


def test_the_same_random_numbers_give_the_same_forecast() -> None:
    again = forecast_in_space(case(), QUICK, np.random.default_rng(1))
    assert again.scores == forecast().scores
    np.testing.assert_array_equal(again.model.mask, forecast().model.mask)


def test_without_a_follow_up_there_is_a_map_and_no_score() -> None:
    found = forecast_in_space(replace(case(), recurrence=None, observed_ml=np.nan), QUICK, np.random.default_rng(1))
    assert found.probability is not None
    assert (found.scores, found.histogram, dict(found.curves)) == ((), None, {})


def test_without_recurrence_coverage_is_nan_with_a_reason() -> None:
    nothing = np.zeros(case().grid.shape, bool)
    found = forecast_in_space(replace(case(), recurrence=nothing, observed_ml=0.0), QUICK, np.random.default_rng(1))
    for model in ("growth model", "15 mm margin"):
        (score,) = [s for s in found.scores if (s.model, s.measure) == (model, "coverage")]
        assert np.isnan(score.value)
        assert "recurrence" in score.reason
    assert {s.stratum for s in found.scores} == {"shrinking"}
    assert found.histogram is not None
    assert found.histogram.n_tumour.sum() == 0


def test_an_empty_mask_gives_a_status_a_reason_and_nan_scores() -> None:
    here = case()
    nothing = np.zeros(here.grid.shape, bool)
    empty = TumourObservation(160.0, nothing, nothing, here.grid)
    found = forecast_in_space(replace(here, observations=(empty,)), QUICK, np.random.default_rng(1))
    assert (found.status, found.probability) == ("not_fitted", None)
    assert "empty" in found.reason
    assert np.isnan(found.standard.volume_ml)
    assert np.isnan(found.model.volume_ml)
    assert {s.model for s in found.scores} == EVERY
    assert all(np.isnan(s.value) and s.reason for s in found.scores)


def test_where_no_fit_is_possible_the_baselines_are_scored_all_the_same() -> None:
    here = case()
    outside = tissue_map(np.where(here.observations[-1].whole, 0, here.tissue.white), 0 * here.tissue.grey, here.grid)
    found = forecast_in_space(replace(here, tissue=outside), QUICK, np.random.default_rng(1))
    assert found.status == "not_fitted"
    assert np.isnan(value(found, "growth model", "dice"))
    assert value(found, "persistence", "dice") > 0
    assert value(found, "15 mm margin", "coverage") > 0


def test_a_brain_mask_elsewhere_and_an_empty_one_give_reasons() -> None:
    here = case()
    nothing = np.zeros(here.grid.shape, bool)
    corner = nothing.copy()
    corner[0, 0, 0] = True
    for brain in (nothing, corner):
        found = forecast_in_space(replace(here, brain=brain), QUICK, np.random.default_rng(1))
        assert np.isnan(found.standard.volume_ml)
        assert "brain" in found.standard.reason
        assert "brain" in found.reason


def test_treatment_before_the_first_exam_is_left_out_and_said() -> None:
    here = case()
    dose = DoseCourse(Image(np.full(here.grid.shape, 60.0), here.grid, "Gy"), (10.0, 11.0))
    found = forecast_in_space(replace(here, radiotherapy=(dose,)), QUICK, np.random.default_rng(1))
    assert "before the first exam" in found.reason
    assert found.scores == forecast().scores


def test_the_map_is_empty_inside_a_cavity() -> None:
    here = case()
    cavity = ResectionCavity(here.observations[-1].core, here.grid, 170.0)
    found = forecast_in_space(replace(here, resections=(cavity,)), QUICK, np.random.default_rng(1))
    assert found.probability is not None
    assert found.probability.probability.data[cavity.mask].max() == 0


def test_the_whole_lesion_can_be_forecast_instead_of_the_core() -> None:
    here, whole = case(), replace(QUICK, region="whole")
    found = forecast_in_space(here, whole, np.random.default_rng(1))
    core = forecast()
    assert found.probability is not None
    assert core.probability is not None
    assert found.probability.volumes_ml.mean() > core.probability.volumes_ml.mean()
    np.testing.assert_array_equal(found.standard.mask, core.standard.mask)  # a margin is that of the core


def test_arrays_on_another_grid_are_refused() -> None:
    here = case()
    with pytest.raises(GridMismatchError):
        forecast_in_space(replace(here, brain=np.ones((3, 3, 3), bool)), QUICK, np.random.default_rng(1))
    other = replace(here.observations[0], grid=Grid(here.grid.shape, np.eye(4)))
    with pytest.raises(GridMismatchError):
        forecast_in_space(replace(here, observations=(other,)), QUICK, np.random.default_rng(1))


def test_voxels_that_no_simulation_reached_are_ranked_by_their_distance() -> None:
    grid = make_grid("oblique", (2.0, 2.0, 2.0), 30.0)
    p, nothing = np.zeros(grid.shape), np.zeros(grid.shape, bool)
    p[5:8, 5:8, 5:8] = 0.3
    ranks = ranked_scores(p, grid, nothing)
    np.testing.assert_array_equal(ranks[p > 0], 0.3)
    outside = -ndimage.distance_transform_edt(p == 0, sampling=grid.spacing_mm)[p == 0]
    np.testing.assert_allclose(ranks[p == 0], outside)
    assert not ranked_scores(0 * p, grid, nothing).any()


def test_voxels_that_every_simulation_reached_are_ranked_by_their_distance_to_the_tumour() -> None:
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 30.0)
    p, tumour = np.full(grid.shape, 1.0), np.zeros(grid.shape, bool)
    p[:, :, 10:] = 0.5
    tumour[7, 7, 12] = True
    ranks = ranked_scores(p, grid, tumour)
    order = np.argsort(-ranks[p == 1], kind="stable")
    away = ndimage.distance_transform_edt(~tumour, sampling=grid.spacing_mm)[p == 1]
    assert (np.diff(away[order]) >= -1e-9).all()
    assert ranks[p == 1].min() > ranks[p == 0.5].max()  # a tie is broken, no order is turned
    assert np.abs(ranks - p).max() < 2e-6


def test_spacings_are_never_finer_than_the_image_and_the_margin_names_its_baseline() -> None:
    thick = make_grid("RAS", (0.94, 0.94, 6.5))
    found = inverse_settings(GrowthParameters(), thick)
    assert found.fine_mm == pytest.approx((0.94 + 0.94 + 6.5) / 3)
    assert found.coarse_mm == 4.0
    assert inverse_settings(GrowthParameters(), make_grid("RAS", (1.0, 1.0, 1.0))).fine_mm == 2.0
    assert baseline_names() == SPATIAL_BASELINES
    assert baseline_names(20.0)[-1] == "20 mm margin"
