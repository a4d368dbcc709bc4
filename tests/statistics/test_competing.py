"""How often each of several outcomes comes first."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from lifelines import AalenJohansenFitter

from regrowth.errors import ParameterError
from regrowth.statistics import cause_specific_event, cox, cumulative_incidence, kaplan_meier


def untied(rng: np.random.Generator, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    return rng.exponential(size=n) * 10, rng.integers(0, 3, n)


def tied(rng: np.random.Generator, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    time, cause = untied(rng, n)
    return np.ceil(time / 3), cause


@pytest.mark.parametrize("of", [1, 2])
def test_incidence_and_variance_equal_lifelines_without_ties(rng, of):
    time, cause = untied(rng)
    ours = cumulative_incidence(time, cause, of)
    theirs = AalenJohansenFitter().fit(time, cause, of)
    np.testing.assert_allclose(ours.incidence, theirs.cumulative_density_.to_numpy()[:, 0], atol=1e-10)
    np.testing.assert_allclose(ours.variance, theirs.variance_.fillna(0), atol=1e-10)


def test_incidence_with_ties_is_the_product_of_transition_matrices(rng):
    time, cause = tied(rng)
    ours = cumulative_incidence(time, cause, 1)
    state = np.array([1.0, 0.0, 0.0])  # free, cause 1, cause 2
    for row, t in enumerate(ours.times[1:], start=1):
        rates = [((time == t) & (cause == c)).sum() / (time >= t).sum() for c in (1, 2)]
        state = state @ np.array([[1 - sum(rates), *rates], [0, 1, 0], [0, 0, 1]])
        assert ours.incidence[row] == pytest.approx(state[1], abs=1e-12)
        assert ours.event_free[row] == pytest.approx(state[0], abs=1e-12)


def test_variance_without_censoring_is_that_of_a_share(rng):
    time, cause = np.ceil(rng.exponential(size=200) * 5), rng.integers(1, 3, 200)
    ours = cumulative_incidence(time, cause, 1)
    share = np.array([((time <= t) & (cause == 1)).mean() for t in ours.times])
    np.testing.assert_allclose(ours.incidence, share, atol=1e-12)
    np.testing.assert_allclose(ours.variance, share * (1 - share) / 200, atol=1e-12)


@pytest.mark.parametrize("draw", [untied, tied])
def test_incidences_of_all_causes_and_survival_add_up_to_1(rng, draw):
    time, cause = draw(rng)
    first, second = (cumulative_incidence(time, cause, of) for of in (1, 2))
    alive = kaplan_meier(time, cause > 0)
    np.testing.assert_allclose(first.incidence + second.incidence + alive.survival, 1, atol=1e-12)
    np.testing.assert_allclose(first.event_free, alive.survival, atol=1e-12)


@pytest.mark.parametrize("draw", [untied, tied])
def test_with_one_cause_it_is_1_minus_kaplan_meier_with_the_same_interval(rng, draw):
    time, cause = draw(rng)
    ours = cumulative_incidence(time, (cause > 0).astype(int), 1, level=0.9)
    curve = kaplan_meier(time, cause > 0, level=0.9)
    np.testing.assert_allclose(ours.incidence, 1 - curve.survival, atol=1e-12)
    np.testing.assert_allclose(ours.lower, 1 - curve.upper, atol=1e-9)
    np.testing.assert_allclose(ours.upper, 1 - curve.lower, atol=1e-9)


def test_censoring_the_other_cause_gives_too_high_an_incidence(rng):
    time, cause = untied(rng)
    naive = 1 - kaplan_meier(time, cause == 1).survival
    assert (naive >= cumulative_incidence(time, cause, 1).incidence - 1e-12).all()
    assert naive[-1] > cumulative_incidence(time, cause, 1).incidence[-1] + 0.05


def test_ties_give_the_same_whenever_and_in_whatever_order(rng):
    time, cause = tied(rng)
    order = rng.permutation(len(time))
    first, second = cumulative_incidence(time, cause, 1), cumulative_incidence(time[order], cause[order], 1)
    np.testing.assert_array_equal(first.incidence, second.incidence)
    np.testing.assert_array_equal(first.upper, second.upper)


def test_intervals_cover_95_percent_of_simulated_cohorts():
    rng = np.random.default_rng(41)
    truth = 0.6 / 1.0 * (1 - np.exp(-1.0 * 0.8))  # hazards 0.6 and 0.4 at time 0.8
    held = []
    for _ in range(1500):
        end, leave = rng.exponential(size=100), rng.exponential(2.0, size=100)
        cause = np.where(end <= leave, np.where(rng.random(100) < 0.6, 1, 2), 0)
        curve = cumulative_incidence(np.minimum(end, leave), cause, 1)
        at = np.searchsorted(curve.times, 0.8, side="right") - 1
        held.append(curve.lower[at] <= truth <= curve.upper[at])
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_cause_that_never_comes_has_incidence_0():
    curve = cumulative_incidence([1, 2, 3], [2, 0, 2], 1)
    assert curve.incidence.tolist() == curve.lower.tolist() == curve.upper.tolist() == [0, 0, 0, 0]
    assert (curve.n, curve.n_events, curve.n_competing) == (3, 0, 2)


def test_incidence_is_unknown_beyond_the_last_patient_unless_nobody_is_left():
    assert np.isnan(cumulative_incidence([1, 2, 3], [1, 2, 0], 1).incidence_at(4))
    assert cumulative_incidence([1, 2, 3], [1, 2, 1], 1).incidence_at(4) == pytest.approx(2 / 3)
    assert cumulative_incidence([1, 2, 3], [1, 2, 0], 1).incidence_at([0, 1, 2.5]).tolist() == pytest.approx([0, 1 / 3, 1 / 3])


def test_cause_specific_hazards_are_found_by_cox_with_the_other_cause_censored():
    rng = np.random.default_rng(42)
    n, x = 3000, rng.normal(size=3000)
    first, second = rng.exponential(size=n) * np.exp(-0.7 * x), rng.exponential(size=n) * np.exp(0.5 * x)
    time, cause = np.minimum(first, second), np.where(first <= second, 1, 2)
    for of, beta in ((1, 0.7), (2, -0.5)):
        lower, upper = cox(time, cause_specific_event(cause, of), x, ["x"]).interval()[0]
        assert lower <= beta <= upper


def test_nothing_warns_at_the_ends_of_a_curve():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cumulative_incidence([4], [1], 1)
        cumulative_incidence([4], [0], 1)
        cumulative_incidence([1, 1, 2, 2], [1, 2, 1, 1], 1)


@pytest.mark.parametrize(
    ("time", "cause", "of"),
    [
        ([1, 2], [1, -1], 1),
        ([1, 2], [1, 0.5], 1),
        ([1, 2], [1, np.nan], 1),
        ([1, 2], ["death", "none"], 1),
        ([1, 2], [1, 0], 0),
        ([0, 2], [1, 0], 1),
        ([1, 2], [1, 0, 2], 1),
        ([], [], 1),
    ],
)
def test_causes_and_times_that_cannot_be_used_are_refused(time, cause, of):
    with pytest.raises(ParameterError):
        cumulative_incidence(time, cause, of)
