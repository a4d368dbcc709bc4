"""Errors, CRPS, interval hits, Brier, calibration and average precision against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth import (
    average_precision,
    brier,
    calibration,
    crps_quantiles,
    crps_samples,
    interval_coverage,
    log_error,
    map_scores,
    mask_scores,
    relative_error,
)
from tests.conftest import make_grid


def normal_crps(mean: float, sd: float, observed: float) -> float:
    """Closed form of Gneiting et al. 2005 (doi:10.1175/MWR2904.1)."""
    z = (observed - mean) / sd
    return float(sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)))


def test_relative_and_log_error_by_hand():
    f, o = np.array([2.0, 1.0, 3.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert relative_error(f, o) == pytest.approx([1.0, 0.5, 0.0, 1.0])
    assert log_error(f, o)[:3] == pytest.approx([np.log(2), np.log(2), 0.0])


def test_errors_are_nan_where_nothing_was_observed_or_forecast():
    assert np.isnan(relative_error(np.array([1.0, np.nan, 1.0]), np.array([0.0, 1.0, np.nan]))).all()
    assert np.isnan(log_error(np.array([1.0, 0.0]), np.array([0.0, 1.0]))).all()
    with pytest.raises(InputError, match="negative"):
        relative_error(np.array([-1.0]), np.array([1.0]))
    with pytest.raises(InputError, match="one observation"):
        log_error(np.array([1.0, 2.0]), np.array([1.0]))


@pytest.mark.parametrize("observed", [-1.0, 4.0, 5.5, 12.0])
def test_crps_of_normal_draws_is_the_closed_form(observed):
    draws = norm.ppf((np.arange(20_000) + 0.5) / 20_000, 5.0, 2.0)
    assert crps_samples(draws, np.array(observed)) == pytest.approx(normal_crps(5.0, 2.0, observed), abs=1e-3)


def test_crps_is_fair_even_from_two_draws(rng):
    draws = rng.normal(5.0, 2.0, (2, 400_000))
    fair = crps_samples(draws, np.full(400_000, 6.0)).mean()
    assert fair == pytest.approx(normal_crps(5.0, 2.0, 6.0), abs=0.01)
    plain = (np.abs(draws - 6.0).mean(axis=0) - np.abs(draws[0] - draws[1]) / 4).mean()
    assert plain > normal_crps(5.0, 2.0, 6.0) + 0.4  # what the usual estimator gives here


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12))
def test_crps_by_sorting_equals_the_double_sum(seed, s):
    rng = np.random.default_rng(seed)
    x, o = rng.normal(size=(s, 3)), rng.normal(size=3)
    double = np.abs(x[:, None] - x[None]).sum(axis=(0, 1)) / (2 * s * (s - 1))
    assert crps_samples(x, o) == pytest.approx(np.abs(x - o).mean(axis=0) - double)


def test_crps_needs_two_draws_and_knows_missing_values():
    with pytest.raises(ParameterError, match="two or more draws"):
        crps_samples(np.array([1.0]), np.array(1.0))
    assert np.isnan(crps_samples(np.array([[1.0], [np.nan]]), np.array([1.0]))).all()


@pytest.mark.parametrize("observed", [-1.0, 4.0, 5.5, 12.0])
def test_crps_of_many_quantiles_is_the_closed_form(observed):
    levels = (np.arange(2000) + 0.5) / 2000
    found = crps_quantiles(levels, norm.ppf(levels, 5.0, 2.0), np.array(observed))
    assert found == pytest.approx(normal_crps(5.0, 2.0, observed), abs=2e-3)


@pytest.mark.parametrize("observed", [-0.5, 0.0, 0.25, 0.7, 1.0, 2.0])
def test_crps_of_a_uniform_distribution_is_exact_from_its_two_ends(observed):
    # integral of (F - 1{x >= o})^2 with F(x) = x on [0, 1]
    inside = min(max(observed, 0.0), 1.0)
    expected = (inside**3 + (1 - inside) ** 3) / 3 + abs(observed - inside)
    found = crps_quantiles(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array(observed))
    assert found == pytest.approx(expected, abs=1e-12)


def test_crps_of_one_quantile_is_the_absolute_error():
    found = crps_quantiles(np.array([0.5]), np.array([[3.0, 3.0, 3.0]]), np.array([1.0, 3.0, np.nan]))
    assert found[:2] == pytest.approx([2.0, 0.0])
    assert np.isnan(found[2])


def test_quantiles_that_cross_or_do_not_fit_are_refused():
    with pytest.raises(InputError, match="fall with their level"):
        crps_quantiles(np.array([0.1, 0.9]), np.array([2.0, 1.0]), np.array(1.0))
    with pytest.raises(ParameterError, match="rise from 0 to 1"):
        crps_quantiles(np.array([0.9, 0.1]), np.array([1.0, 2.0]), np.array(1.0))
    with pytest.raises(ParameterError, match="do not fit"):
        crps_quantiles(np.array([0.1, 0.9]), np.array([1.0]), np.array(1.0))


def test_interval_coverage_is_a_share_with_wilsons_interval():
    observed = np.array([1.0, 2.0, 3.0, 9.0, np.nan])
    found = interval_coverage(np.full(5, 1.0), np.full(5, 3.0), observed)
    assert (found.value, found.n) == (0.75, 4)
    assert (found.low, found.high) == (pytest.approx(0.3006, abs=1e-4), pytest.approx(0.9544, abs=1e-4))
    assert np.isnan(interval_coverage(np.array([np.nan]), np.array([1.0]), np.array([1.0])).value)
    with pytest.raises(InputError, match="lower end above"):
        interval_coverage(np.array([2.0]), np.array([1.0]), np.array([1.0]))


def test_brier_by_hand_and_its_bounds():
    outcome = np.array([True, False, True, False])
    assert brier(np.array([0.9, 0.2, 0.6, 0.0]), outcome) == pytest.approx((0.01 + 0.04 + 0.16) / 4)
    assert brier(outcome.astype(float), outcome) == 0.0
    assert brier(1.0 - outcome, outcome) == 1.0
    assert np.isnan(brier(np.empty(0), np.empty(0, bool)))


def test_brier_of_the_true_probability_is_its_mean_variance(rng):
    p = rng.random(200_000)
    assert brier(p, rng.random(p.size) < p) == pytest.approx((p * (1 - p)).mean(), abs=2e-3)


def test_maps_that_are_no_probabilities_are_refused():
    with pytest.raises(InputError, match="scale the map"):
        brier(np.array([1.2]), np.array([True]))
    with pytest.raises(InputError, match="1 of 2 probabilities are NaN"):
        calibration(np.array([0.5, np.nan]), np.array([True, False]))
    with pytest.raises(GridMismatchError):
        brier(np.array([0.5]), np.array([True, False]))
    with pytest.raises(ParameterError, match="bins"):
        calibration(np.array([0.5]), np.array([True]), 0)


def test_calibration_by_hand():
    p = np.array([0.05, 0.05, 0.15, 0.95, 1.0, 0.1])
    y = np.array([0, 1, 0, 1, 1, 0], bool)
    found = calibration(p, y, 10)
    assert found.counts.tolist() == [2, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.mean_probability[[0, 1, 9]] == pytest.approx([0.05, 0.125, 0.975])
    assert found.observed_share[[0, 1, 9]] == pytest.approx([0.5, 0.0, 1.0])
    assert np.isnan(found.observed_share[2:9]).all()
    assert found.error == pytest.approx((2 * 0.45 + 2 * 0.125 + 2 * 0.025) / 6)
    assert found.largest_error == pytest.approx(0.45)
    assert found.n == 6


@pytest.mark.parametrize("binning", ["width", "count"])
def test_a_calibrated_map_has_no_error_and_a_doubled_one_has(rng, binning):
    p = rng.random(100_000) / 2
    y = rng.random(p.size) < p
    assert calibration(p, y, 10, binning).error < 0.01
    assert calibration(2 * p, y, 10, binning).error == pytest.approx(0.25, abs=0.01)


def test_bins_of_equal_count_merge_where_a_map_is_0_nearly_everywhere():
    p = np.concatenate([np.zeros(950), np.linspace(0.1, 0.9, 50)])
    found = calibration(p, p > 0.5, 10, "count")
    assert found.counts.sum() == 1000
    assert found.edges[0] == 0.0
    assert found.edges[-1] == 1.0
    assert calibration(np.empty(0), np.empty(0, bool)).reason == "no voxels"


def brute_precision(scores: np.ndarray, outcome: np.ndarray) -> float:
    total, before = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        chosen = scores >= threshold
        recall, precision = (chosen & outcome).sum() / outcome.sum(), (chosen & outcome).sum() / chosen.sum()
        total, before = total + (recall - before) * precision, recall
    return total


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 8))
def test_average_precision_with_ties_equals_the_sum_over_thresholds(seed, n, levels):
    rng = np.random.default_rng(seed)
    scores, outcome = rng.integers(0, levels, n).astype(float), rng.random(n) < 0.4
    outcome[0] = True
    found = average_precision(scores, outcome)
    assert found == pytest.approx(brute_precision(scores, outcome))
    shuffled = rng.permutation(n)
    assert average_precision(scores[shuffled], outcome[shuffled]) == pytest.approx(found)


def test_average_precision_of_perfect_constant_and_reversed_rankings():
    outcome = np.array([1, 1, 0, 0, 0], bool)
    assert average_precision(np.array([5, 4, 3, 2, 1]), outcome) == 1.0
    assert average_precision(np.zeros(5), outcome) == pytest.approx(0.4)
    assert average_precision(np.array([1, 2, 3, 4, 5]), outcome) == pytest.approx(0.5 * 1 / 4 + 0.5 * 2 / 5)
    assert np.isnan(average_precision(np.arange(5.0), np.zeros(5, bool)))
    with pytest.raises(InputError, match="NaN"):
        average_precision(np.array([np.nan, 1.0]), np.array([True, False]))


def test_average_precision_needs_only_the_order(rng):
    scores, outcome = rng.random(500), rng.random(500) < 0.2
    assert average_precision(scores, outcome) == average_precision(np.exp(7 * scores), outcome)


def test_masks_are_scored_in_mm_and_empty_ones_with_a_reason():
    grid = make_grid("LPS", (1.0, 1.0, 3.0), 40.0)
    box = np.zeros(grid.shape, bool)
    box[10:20, 10:20, 4:9] = True
    found = mask_scores(np.roll(box, 1, axis=2), box, grid, "voxel")
    assert found.dice == pytest.approx(0.8)
    assert found.hd95_mm == pytest.approx(3.0)
    none = mask_scores(np.zeros(grid.shape, bool), box, grid)
    assert none.dice == 0.0
    assert np.isnan(none.hd95_mm)
    assert none.reason == "a is empty"
    assert np.isnan(mask_scores(~box & box, ~box & box, grid).dice)


def test_map_scores_count_the_allowed_voxels_only(rng):
    grid = make_grid("RAS", (2.0, 2.0, 2.0), 20.0)
    observed, allowed = rng.random(grid.shape) < 0.3, rng.random(grid.shape) < 0.5
    probability = np.where(allowed, rng.random(grid.shape), np.nan)
    found = map_scores(probability, observed, allowed, grid)
    assert found.n_voxels == allowed.sum()
    assert found.n_positive == (allowed & observed).sum()
    assert found.brier == pytest.approx(((probability - observed)[allowed] ** 2).mean())
    assert found.average_precision == pytest.approx(average_precision(probability[allowed], observed[allowed]))
    nothing = map_scores(probability, ~allowed, allowed, grid)
    assert np.isnan(nothing.average_precision)
    assert nothing.reason == "no observed voxel lies inside of the allowed ones"
    with pytest.raises(GridMismatchError, match="the observed mask"):
        map_scores(probability, observed[1:], allowed, grid)
