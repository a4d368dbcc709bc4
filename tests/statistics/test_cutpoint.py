from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.statistics.cox import cox
from regrowth.statistics.cutpoint import PUBLISHED_CUT, effect, fixed_cut, restricted_cubic_spline
from regrowth.statistics.search import best_cut, candidate_cuts, permutation_p, searched_cut
from regrowth.statistics.survival import log_rank, log_rank_many, log_rank_scores


def cohort(rng: np.random.Generator, n: int, low: float = 1.0, slope: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw times, events and ratios; `low` is the hazard ratio at most at 0.324, `slope` the log one per log ratio."""
    ratio = np.exp(rng.normal(np.log(0.45), 0.8, n))
    hazard = np.where(ratio <= 0.324, low, 1.0) * ratio**slope
    death, lost = rng.exponential(450 / hazard), rng.exponential(1500, n)
    return np.minimum(death, lost), death <= lost, ratio


def test_the_default_cut_is_the_published_one():
    assert (PUBLISHED_CUT.value, PUBLISHED_CUT.hazard_ratio, PUBLISHED_CUT.lower, PUBLISHED_CUT.upper) == (
        0.324,
        0.56,
        0.37,
        0.84,
    )


def test_at_the_cut_is_low():
    time, event = np.array([5, 6, 7, 8.0]), np.ones(4, bool)
    found = fixed_cut(time, event, np.array([0.1, 0.324, 0.325, 2.0]))
    assert found.curves["low"].n == 2
    assert found.curves["high"].n == 2


def test_the_known_hazard_ratio_of_the_cut_lies_in_the_interval(rng):
    time, event, ratio = cohort(rng, 600, low=0.56)
    found = fixed_cut(time, event, ratio)
    assert found.crude.lower <= 0.56 <= found.crude.upper
    assert found.log_rank.p_value < 0.01
    assert found.crude.n == 600


def test_the_known_slope_of_the_logarithm_lies_in_the_interval_and_is_linear(rng):
    found = fixed_cut(*cohort(rng, 800, slope=0.35))
    assert found.continuous_crude.lower <= math.exp(0.35) <= found.continuous_crude.upper
    assert found.non_linear_p > 0.01


def test_a_curved_effect_is_seen_by_the_spline(rng):
    ratio = np.exp(rng.normal(0, 1, 600))
    time = rng.exponential(np.exp(-(np.log(ratio) ** 2)))
    assert fixed_cut(time, np.ones(600, bool), ratio).non_linear_p < 1e-6


def test_the_adjusted_ratio_is_that_of_the_cox_model_with_the_covariates(rng):
    time, event, ratio = cohort(rng, 200, low=0.6)
    age = rng.normal(size=200)
    age[:5] = np.nan
    found = fixed_cut(time, event, ratio, covariates=np.column_stack([age, np.zeros(200)]), names=["age", "constant"])
    use = ~np.isnan(age)
    fit = cox(time[use], event[use], np.column_stack([ratio <= 0.324, age])[use], ["low", "age"])
    assert found.adjusted.hazard_ratio == pytest.approx(fit.hazard_ratios[0])
    assert found.adjusted.adjusted_for == ("age",)
    assert (found.adjusted.n, found.crude.n) == (195, 200)


def test_undefined_ratios_are_left_out_and_counted(rng):
    time, event, ratio = cohort(rng, 100)
    ratio[:7] = np.nan
    found = fixed_cut(time, event, ratio)
    assert found.n_missing == 7
    assert found.curves["low"].n + found.curves["high"].n == 93


def test_a_ratio_of_zero_is_low_but_has_no_logarithm(rng):
    time, event, ratio = cohort(rng, 100)
    ratio[:4] = 0
    found = fixed_cut(time, event, ratio)
    assert found.crude.n == 100
    assert found.continuous_crude.n == 96


def test_a_cut_beyond_all_patients_is_refused(rng):
    with pytest.raises(ParameterError, match="leaves 0 patients at most"):
        fixed_cut(*cohort(rng, 50), cut=1e-6)


def test_a_model_without_an_estimate_gives_nan_and_the_reason():
    time, event = np.arange(1.0, 9), np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    found = effect(time, event, np.array([1.0] * 4 + [0] * 4), "low", np.empty((8, 0)), ())
    assert math.isnan(found.hazard_ratio)
    assert "low" in found.reason


def test_the_spline_is_a_line_beyond_the_outer_knots():
    x = np.array([-3.0, -2, -1, 4, 5, 6])
    basis = restricted_cubic_spline(x, [0, 1, 3])
    np.testing.assert_array_equal(basis[:3, 1], 0)
    np.testing.assert_allclose(np.diff(basis[3:, 1], 2), 0, atol=1e-9)
    with pytest.raises(ParameterError, match="3 increasing knots"):
        restricted_cubic_spline(x, [0, 0, 1])


# --- search -----------------------------------------------------------------------------------------------------------


def test_candidates_lie_between_the_quantiles_and_leave_patients_on_both_sides():
    cuts = candidate_cuts(np.arange(100.0))
    assert (cuts.min(), cuts.max()) == (9, 89)
    assert len(cuts) == 81
    assert candidate_cuts(np.array([1.0, 1, 1, 2])).tolist() == [1]
    with pytest.raises(ParameterError, match="one value only"):
        candidate_cuts(np.ones(30))
    with pytest.raises(ParameterError, match="quantiles"):
        candidate_cuts(np.arange(9.0), (0.9, 0.1))


def test_the_numerator_of_the_statistic_is_that_of_the_log_rank_test(rng):
    time, event, ratio = cohort(rng, 300, low=0.7)
    scores, cuts = log_rank_scores(time, event), candidate_cuts(ratio)
    z = best_cut(scores, ratio, cuts)[1]
    for cut, found in list(zip(cuts, z, strict=True))[::20]:
        low = ratio <= cut
        test = log_rank(time, event, np.where(low, "low", "high"))
        variance = low.sum() * (~low).sum() / (300 * 299) * (scores**2).sum()
        place = test.groups.index("low")
        assert found * np.sqrt(variance) == pytest.approx(test.observed[place] - test.expected[place])
        assert found == pytest.approx(log_rank_many(time, event, low[None])[0], rel=0.25)


def test_permutation_variance_is_exact_over_all_arrangements():
    scores = log_rank_scores([1, 2, 3, 4, 5, 6], [1, 0, 1, 1, 0, 1])
    orders = [best_cut(np.array(p), np.arange(6.0), np.array([1.0]))[1][0] for p in permutations(scores)]
    assert np.mean(orders) == pytest.approx(0, abs=1e-9)
    assert np.var(orders) == pytest.approx(1)


def test_a_strong_cut_is_found_with_its_interval(rng):
    time, event, ratio = cohort(rng, 500, low=0.3)
    found = searched_cut(time, event, ratio, rng, permutations=199, bootstraps=60)
    assert found.cut == pytest.approx(0.324, rel=0.15)
    assert found.cut_lower <= 0.324 <= found.cut_upper
    assert found.permutation_p == pytest.approx(1 / 200)
    assert found.out_of_bag_lower <= 0.3 <= found.out_of_bag_upper
    assert found.naive_p == log_rank(time, event, ratio <= found.cut).p_value


def test_without_an_effect_the_search_exaggerates_and_out_of_bag_patients_do_not(rng):
    naive, honest = [], []
    for _ in range(25):
        found = searched_cut(*cohort(rng, 150), rng, permutations=99, bootstraps=30)
        naive.append(abs(math.log(found.naive_effect.hazard_ratio)))
        honest.append(math.log(found.out_of_bag_ratio) * np.sign(math.log(found.naive_effect.hazard_ratio)))
        assert found.naive_p < found.permutation_p
        assert found.critical_z > 2.2
    assert np.mean(naive) > 0.3
    assert abs(np.mean(honest)) < 0.1


def test_ties_and_missing_markers_are_borne(rng):
    time, event, ratio = cohort(rng, 120)
    ratio = np.round(ratio, 1)
    ratio[:9] = np.nan
    found = searched_cut(np.ceil(time / 30), event, ratio, rng, permutations=99, bootstraps=20)
    assert (found.n, found.n_missing) == (111, 9)
    assert 0 < found.permutation_p <= 1


def test_a_search_is_repeated_exactly_by_its_seed(rng):
    data = cohort(rng, 80, low=0.5)
    first, second = (searched_cut(*data, np.random.default_rng(3), permutations=99, bootstraps=20) for _ in range(2))
    assert first.permutation_p == second.permutation_p
    assert (first.cut_lower, first.out_of_bag_ratio) == (second.cut_lower, second.out_of_bag_ratio)


def test_few_patients_are_refused(rng):
    with pytest.raises(ParameterError, match="use the fixed cut"):
        searched_cut(*cohort(rng, 12), rng)


def test_of_1000_cohorts_without_an_effect_the_permutation_test_rejects_5_percent_and_the_naive_search_near_39():
    rng = np.random.default_rng(2026)
    honest, naive = 0, 0
    for _ in range(1000):
        time, event, ratio = cohort(rng, 195)
        honest += permutation_p(time, event, ratio, rng, permutations=399) <= 0.05
        cuts = candidate_cuts(ratio)
        naive += np.nanmax(np.abs(log_rank_many(time, event, ratio[None] <= cuts[:, None]))) > 1.959964
    assert 0.035 <= honest / 1000 <= 0.065
    assert 0.34 <= naive / 1000 <= 0.46
