"""Whether groups of patients live differently long."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines.statistics import multivariate_logrank_test

from regrowth.errors import ParameterError
from regrowth.statistics import cox, log_rank, log_rank_many, log_rank_scores
from tests.statistics.cohorts import real, ties


@pytest.mark.parametrize("name", ["waltons", "lung", "rossi", "dd", "g3", "lymphoma"])
def test_log_rank_equals_lifelines(name):
    time, event, group = real(name)
    ours, theirs = log_rank(time, event, group), multivariate_logrank_test(time, group, event)
    assert ours.statistic == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-6)
    assert ours.degrees_of_freedom == theirs.degrees_of_freedom


def test_lung_cancer_patients_of_both_sexes_compare_as_in_r():
    time, event, group = real("lung")
    # survdiff(Surv(time, status) ~ sex, data = lung)
    test = log_rank(time, event, group)
    assert test.groups == ("1", "2")
    assert (test.n.tolist(), test.observed.tolist()) == ([138, 90], [112, 53])
    np.testing.assert_allclose(test.expected, [91.5817, 73.4183], atol=5e-5)
    assert test.statistic == pytest.approx(10.3267, abs=5e-5)
    assert test.p_value == pytest.approx(0.00131116, abs=5e-9)


@pytest.mark.parametrize(
    ("event", "statistic", "p_value"),
    [([1, 1, 1, 1, 1, 1], 0.254237, 0.614107), ([1, 0, 1, 1, 0, 1], 0.384615, 0.535143)],
)
def test_tied_times_give_the_values_of_r(event, statistic, p_value):
    # survdiff(Surv(time, status) ~ treatment) of R, as quoted in the tests of lifelines
    test = log_rank([10, 20, 30, 10, 20, 50], event, [1, 1, 1, 0, 0, 0])
    assert test.statistic == pytest.approx(statistic, abs=1e-6)
    assert test.p_value == pytest.approx(p_value, abs=1e-6)


def test_seven_regimes_give_the_value_of_r():
    test = log_rank(*real("dd"))
    assert test.statistic == pytest.approx(322.5991, abs=1e-4)  # R, as quoted in the tests of lifelines
    assert test.degrees_of_freedom == len(test.groups) - 1


def test_many_splits_at_once_give_the_same_as_one_at_a_time(rng):
    time, event, _ = ties(rng, 60)
    splits = rng.random((40, 60)) < rng.uniform(0.1, 0.9, (40, 1))
    z = log_rank_many(time, event, splits)
    for value, split in zip(z, splits, strict=True):
        test = log_rank(time, event, split)
        assert value**2 == pytest.approx(test.statistic, rel=1e-9)
        assert np.sign(value) == np.sign(test.observed[1] - test.expected[1])


def test_many_splits_give_the_same_whatever_the_blocks(rng, monkeypatch):
    time, event, _ = ties(rng, 60)
    splits = rng.random((23, 60)) < 0.4
    whole = log_rank_many(time, event, splits)
    monkeypatch.setattr("regrowth.statistics.logrank._BLOCK_CELLS", 60 * 5)
    np.testing.assert_allclose(log_rank_many(time, event, splits), whole, rtol=1e-12)


def test_a_split_with_an_empty_group_has_no_value(rng):
    time, event, _ = ties(rng, 30)
    z = log_rank_many(time, event, np.array([np.zeros(30, bool), np.ones(30, bool), np.arange(30) < 10]))
    assert np.isnan(z).tolist() == [True, True, False]


def test_scores_add_up_to_observed_minus_expected(rng):
    time, event, x = ties(rng)
    scores = log_rank_scores(time, event)
    test = log_rank(time, event, x[:, 1] > 0)
    assert scores.sum() == pytest.approx(0, abs=1e-10)
    assert scores[x[:, 1] > 0].sum() == pytest.approx(test.observed[1] - test.expected[1])


def test_log_rank_is_close_to_the_score_of_a_cox_model_without_ties(rng):
    time = rng.exponential(size=400)
    group = np.arange(400) % 2
    statistic = log_rank(time, np.ones(400), group).statistic
    assert statistic == pytest.approx(float(cox(time, np.ones(400), group, ["g"]).z[0] ** 2), abs=0.15)


def test_log_rank_rejects_5_percent_of_null_cohorts():
    rng = np.random.default_rng(3)
    rejected = [abs(log_rank_many(*null_cohort(rng), (np.arange(80) < 40)[None])[0]) > 1.959964 for _ in range(2000)]
    assert 0.035 <= np.mean(rejected) <= 0.065


def null_cohort(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    death, leave = rng.exponential(size=80), rng.exponential(2, size=80)
    return np.minimum(death, leave), death <= leave


def test_without_events_the_test_has_no_value_and_says_why():
    test = log_rank([1, 2, 3, 4], [0, 0, 0, 0], ["a", "b", "a", "b"])
    assert np.isnan(test.statistic)
    assert np.isnan(test.p_value)
    assert test.reason == "no events"


def test_groups_that_are_never_at_risk_together_cannot_be_compared():
    test = log_rank([1, 2, 10, 11], [0, 0, 1, 1], ["a", "a", "b", "b"])
    assert np.isnan(test.p_value)
    assert "at risk" in test.reason


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (["a", "a", "a"], "two groups"),
        (["a", "b"], "each of the 3"),
        (np.array(["a", None, "b"], dtype=object), "missing"),
        ([1.0, np.nan, 2.0], "missing"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(group, message):
    with pytest.raises(ParameterError, match=message):
        log_rank([1, 2, 3], [1, 1, 0], group)


@pytest.mark.parametrize("groups", [np.zeros((2, 3)), np.zeros((2, 4), bool), np.zeros(3, bool)])
def test_splits_of_another_type_or_shape_are_refused(groups):
    with pytest.raises(ParameterError, match="bool of shape"):
        log_rank_many([1, 2, 3], [1, 1, 0], groups)
