"""How sure a proportion is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from regrowth.errors import ParameterError
from regrowth.statistics import clopper_pearson_interval, wilson_interval


def coverage(interval, total: int, share: float) -> float:
    """Give the exact probability that an interval holds the share, summed over all counts."""
    counts = np.arange(total + 1)
    limits = np.array([interval(int(c), total) for c in counts])
    held = (limits[:, 0] <= share) & (share <= limits[:, 1])
    return float(stats.binom.pmf(counts[held], total, share).sum())


def test_8_of_14_occipital_tumours_are_57_percent_with_a_wilson_interval_from_33_to_79():
    lower, upper = wilson_interval(8, 14)
    assert round(100 * 8 / 14, 1) == 57.1
    assert (round(100 * lower), round(100 * upper)) == (33, 79)


@pytest.mark.parametrize(("count", "total"), [(0, 5), (1, 5), (8, 14), (14, 14), (37, 195), (194, 195)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("interval", "method"), [(wilson_interval, "wilson"), (clopper_pearson_interval, "exact")])
def test_intervals_equal_those_of_scipy(interval, method, count, total, level):
    expected = stats.binomtest(count, total).proportion_ci(level, method)
    assert interval(count, total, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("total", [14, 30, 100])
def test_wilson_covers_95_percent_on_average_over_the_shares(total):
    covered = np.mean([coverage(wilson_interval, total, share) for share in np.linspace(0.02, 0.98, 97)])
    assert 0.93 <= covered <= 0.97


def test_the_exact_interval_never_covers_less_than_it_says():
    assert min(coverage(clopper_pearson_interval, 14, share) for share in np.linspace(0.01, 0.99, 99)) >= 0.95


@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
def test_nothing_is_known_of_a_proportion_of_nothing(interval):
    assert all(math.isnan(limit) for limit in interval(0, 0))


@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
@pytest.mark.parametrize(
    ("count", "total", "level"), [(-1, 5, 0.95), (6, 5, 0.95), (1.5, 5, 0.95), (1, 5, 95), (1, 5, 1.0), (1, 5, 0.0)]
)
def test_impossible_counts_and_levels_are_refused(interval, count, total, level):
    with pytest.raises(ParameterError):
        interval(count, total, level)
