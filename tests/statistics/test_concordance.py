"""How well a risk orders the patients, and what is left of it in new patients."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines.utils import concordance_index

from regrowth.errors import ParameterError
from regrowth.statistics import cox, harrell_c, optimism_corrected_c, uno_c
from tests.statistics.cohorts import real, ties


def uno_by_hand(time, event, risk, tau=np.inf) -> float:
    """Give Uno's C pair by pair, the censoring distribution written as a product."""

    def uncensored(t: float) -> float:
        out = 1.0
        for s in np.unique(time[~event & (time < t)]):
            at_risk = (time > s).sum() + (~event & (time == s)).sum()
            out *= 1 - (~event & (time == s)).sum() / at_risk
        return out

    right = pairs = 0.0
    for i in np.flatnonzero(event & (time < tau)):
        weight = uncensored(time[i]) ** -2
        for j in range(len(time)):
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                pairs += weight
                right += weight * ((risk[j] < risk[i]) + 0.5 * (risk[j] == risk[i]))
    return right / pairs


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_harrell_equals_lifelines_with_tied_times_and_tied_risks(rng, decimals):
    for _ in range(20):
        time, event, x = ties(rng, 70)
        risk = np.round(x[:, 0] + x[:, 2], decimals)
        assert harrell_c(time, event, risk) == pytest.approx(concordance_index(time, -risk, event), abs=1e-12)


@pytest.mark.parametrize("name", ["waltons", "lung", "rossi", "g3"])
def test_harrell_of_a_group_equals_lifelines(name):
    time, event, group = real(name)
    risk = (group == group[0]).astype(float)
    assert harrell_c(time, event, risk) == pytest.approx(concordance_index(time, -risk, event), abs=1e-12)


def test_a_perfect_a_reversed_and_a_constant_risk_have_1_0_and_one_half():
    time = np.arange(1.0, 11)
    event = np.arange(10) % 3 > 0
    assert harrell_c(time, event, -time) == uno_c(time, event, -time) == 1
    assert harrell_c(time, event, time) == uno_c(time, event, time) == 0
    assert harrell_c(time, event, np.ones(10)) == uno_c(time, event, np.ones(10)) == 0.5


@pytest.mark.parametrize("tau", [None, 4.0, 9.0])
def test_uno_is_the_weighted_share_of_pairs(rng, tau):
    for _ in range(10):
        time, event, x = ties(rng, 40)
        expected = uno_by_hand(time, event, x[:, 0], np.inf if tau is None else tau)
        assert uno_c(time, event, x[:, 0], tau) == pytest.approx(expected, abs=1e-12)


def test_uno_is_harrell_when_nobody_is_censored(rng):
    time, _, x = ties(rng)
    everyone = np.ones(len(time))
    assert uno_c(time, everyone, x[:, 0]) == pytest.approx(harrell_c(time, everyone, x[:, 0]))


def test_uno_is_not_moved_by_early_censoring_as_harrell_is():
    rng = np.random.default_rng(21)
    n = 4000
    # A risk that tells early deaths apart well and late ones not at all.
    x = rng.integers(0, 2, n)
    time = np.where(x == 1, rng.weibull(0.6, n), 0.3 + rng.weibull(2.0, n))
    leave = rng.exponential(0.9, n)
    tau = 1.2
    death = np.minimum(time, leave)
    whole = uno_c(time, np.ones(n), x, tau)
    cut = uno_c(death, time <= leave, x, tau)
    harrell = harrell_c(death, time <= leave, x)
    assert abs(cut - whole) < 0.015
    assert abs(harrell - whole) > abs(cut - whole)


def test_blocks_of_events_do_not_change_the_result(rng, monkeypatch):
    time, event, x = ties(rng)
    whole = harrell_c(time, event, x[:, 0]), uno_c(time, event, x[:, 0])
    monkeypatch.setattr("regrowth.statistics.concordance._BLOCK_PAIRS", 300)
    assert (harrell_c(time, event, x[:, 0]), uno_c(time, event, x[:, 0])) == pytest.approx(whole, abs=1e-14)


def test_without_comparable_pairs_there_is_no_concordance():
    assert np.isnan(harrell_c([1, 2, 3], [0, 0, 0], [1, 2, 3]))
    assert np.isnan(harrell_c([2, 2, 2], [1, 1, 1], [1, 2, 3]))
    assert np.isnan(uno_c([5, 6], [1, 1], [1, 2], tau=3))


def test_optimism_of_covariates_without_effect_is_the_whole_of_their_concordance():
    rng = np.random.default_rng(31)
    corrected, apparent = [], []
    for _ in range(12):
        x = rng.normal(size=(80, 6))
        result = optimism_corrected_c(rng.exponential(size=80), np.ones(80), x, list("abcdef"), rng, repeats=40)
        apparent.append(result.apparent)
        corrected.append(result.corrected)
    assert np.mean(apparent) > 0.56
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.025)


def test_corrected_concordance_is_that_in_new_patients():
    rng = np.random.default_rng(32)
    beta = np.array([0.8, 0.3, 0, 0, 0, 0])
    corrected, new = [], []
    for _ in range(12):
        x, time = cohort(rng, beta, 80)
        result = optimism_corrected_c(time, np.ones(80), x, list("abcdef"), rng, repeats=40)
        fit = cox(time, np.ones(80), x, list("abcdef"))
        others, later = cohort(rng, beta, 2000)
        corrected.append(result.corrected)
        new.append(harrell_c(later, np.ones(2000), fit.linear_predictor(others)))
        assert result.apparent == pytest.approx(harrell_c(time, np.ones(80), fit.linear_predictor(x)))
        assert result.corrected == pytest.approx(result.apparent - result.optimism)
    assert np.mean(corrected) == pytest.approx(np.mean(new), abs=0.02)


def cohort(rng: np.random.Generator, beta: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, len(beta)))
    return x, rng.exponential(size=n) * np.exp(-x @ beta)


def test_the_same_seed_gives_the_same_correction(rng):
    time, event, x = ties(rng)
    first, second = (optimism_corrected_c(time, event, x, list("abc"), np.random.default_rng(7), 20) for _ in range(2))
    assert first == second
    assert (first.repeats, first.failed) == (20, 0)


def test_resamples_without_an_estimate_are_counted_and_a_penalty_helps():
    rng = np.random.default_rng(33)
    x = (np.arange(24) < 3).astype(float)
    time, event = rng.exponential(size=24), np.ones(24)
    plain = optimism_corrected_c(time, event, x, ["rare"], np.random.default_rng(1), 60)
    firth = optimism_corrected_c(time, event, x, ["rare"], np.random.default_rng(1), 60, penalty="firth")
    assert plain.failed > firth.failed


@pytest.mark.parametrize("function", [harrell_c, uno_c])
@pytest.mark.parametrize(
    ("time", "event", "risk"),
    [([1, 2], [1, 1], [1, np.nan]), ([1, 2], [1, 1], [1]), ([0, 2], [1, 1], [1, 2]), ([1, 2], [1, 3], [1, 2]), ([], [], [])],
)
def test_unusable_values_are_refused(function, time, event, risk):
    with pytest.raises(ParameterError):
        function(time, event, risk)


def test_options_without_sense_are_refused(rng):
    with pytest.raises(ParameterError, match="tau"):
        uno_c([1, 2], [1, 1], [1, 2], tau=0)
    with pytest.raises(ParameterError, match="repeat"):
        optimism_corrected_c(*ties(rng), list("abc"), rng, repeats=0)
