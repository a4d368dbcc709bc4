from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from regrowth.phantom.clinical import clinical_truth, synthetic_clinical
from regrowth.statistics.association import benjamini_hochberg, holm, log_log_fit, migration_against_time, spearman
from regrowth.statistics.clinical import read_clinical


def test_spearman_is_that_of_scipy_with_ties(rng):
    x, y = rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 40).astype(float)
    found, peer = spearman(x, y), stats.spearmanr(x, y)
    assert found.rho == pytest.approx(peer.statistic)
    assert found.p_value == pytest.approx(peer.pvalue)


def test_spearman_interval_is_the_formula_of_bonett_and_wright():
    x = np.arange(10.0)
    y = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 9.0])
    found = spearman(x, y)
    rho = 1 - 6 * 8 / (10 * 99)
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / 7)
    assert found.rho == pytest.approx(rho)
    assert found.lower == pytest.approx(math.tanh(math.atanh(rho) - half), abs=1e-6)
    assert found.upper == pytest.approx(math.tanh(math.atanh(rho) + half), abs=1e-6)


def test_spearman_interval_covers_the_truth(rng):
    true = 6 / math.pi * math.asin(0.5 / 2)  # of a bivariate normal with correlation 0.5
    inside = 0
    for _ in range(500):
        x = rng.normal(size=60)
        y = 0.5 * x + math.sqrt(0.75) * rng.normal(size=60)
        found = spearman(x, y)
        inside += found.lower <= true <= found.upper
    assert 0.92 <= inside / 500 <= 0.98


def test_too_few_pairs_and_constant_measures_give_a_reason():
    few = spearman([1, 2, np.nan, 4], [1, 2, 3, 4])
    assert few.n == 3
    assert math.isnan(few.rho)
    assert "too few" in few.reason
    assert "the same in all" in spearman([1.0] * 8, np.arange(8.0)).reason


def test_ranks_that_agree_entirely_are_told_apart():
    assert spearman(np.arange(6.0), np.arange(6.0) ** 3).lower == 1
    assert spearman(np.arange(6.0), -np.arange(6.0)).rho == -1


def test_a_power_law_is_found_and_zeros_are_counted():
    x = np.array([1, 2, 4, 8, 16, 32, 5.0])
    y = np.append(3 * x[:-1] ** 0.7, 0.0)
    found = log_log_fit(x, y)
    assert found.slope == pytest.approx(0.7)
    assert math.exp(found.intercept) == pytest.approx(3)
    assert (found.n, found.zeros) == (6, 1)


def test_the_known_exponent_of_migration_lies_in_the_interval():
    found = migration_against_time(read_clinical(synthetic_clinical(200, seed=7)))
    truth = clinical_truth()["migration"]["exponent"]
    assert found.fit.lower <= truth <= found.fit.upper
    assert found.correlation.rho > 0
    assert found.fit.n == len(found.time_days) == len(found.distance_mm)
    assert "recurrence" in found.caveat
    assert "mechanical" in found.caveat


def test_holm_and_benjamini_hochberg_of_four_p_values_by_hand():
    p = [0.01, 0.04, 0.03, 0.005]
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, 0.04, 0.04, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_tests_that_were_not_made_do_not_count():
    np.testing.assert_allclose(holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    assert np.isnan(benjamini_hochberg([np.nan])).all()
