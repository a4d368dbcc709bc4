"""Firth's penalty: values of coxphf, closed forms, finite estimates under separation, coverage in small samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from regrowth.errors import ParameterError
from regrowth.statistics import cox, likelihood_ratio
from regrowth.statistics.covariates import design
from tests.statistics.cohorts import ties


def separated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give a cohort with monotone likelihood, whose coxphf results the tests of firthmodels 0.8 publish."""
    rng = np.random.default_rng(42)
    group = rng.choice([0, 1], 100, p=[0.35, 0.65])
    x = np.column_stack([group, rng.standard_normal(100), rng.uniform(-1, 1, 100), rng.choice([0, 1], 100, p=[0.6, 0.4])])
    death = rng.exponential(1 / (0.1 * np.exp(x @ [0.0, 0.5, -0.3, 0.7])))
    leave = rng.exponential(15.0, 100)
    return np.minimum(death, leave), (death <= leave) & (group == 1), x


def few_events() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give 500 patients with 100 events, whose coxphf results the benchmark of firthmodels publishes."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((500, 5))
    beta = rng.normal(0, 0.1 / np.sqrt(5), size=5)
    death = -np.log(rng.uniform(0, 1, 500)) / (0.1 * np.exp(x @ beta))
    end = np.quantile(death, 0.2)
    return np.minimum(death, end), death <= end, x


# --- coxphf of R, no ties ------------------------------------------------------------------------------------------------


def test_separated_cohort_has_the_estimates_intervals_and_p_values_of_coxphf():
    time, event, x = separated()
    fit = cox(time, event, x, ["group", "a", "b", "c"], penalty="firth")
    np.testing.assert_allclose(fit.coefficients, [3.8815800583, 0.6042066427, -0.4202139201, 1.0415063080], atol=1e-6)
    np.testing.assert_allclose(fit.standard_errors, [1.4430190269, 0.1599607483, 0.2541800107, 0.3128784410], atol=1e-6)
    limits = [[1.9343469272, 8.7215676015], [0.2921186188, 0.9164270978], [-0.9217200647, 0.0699415336]]
    np.testing.assert_allclose(fit.interval(), [*limits, [0.4348431279, 1.6550461482]], atol=1e-6)
    np.testing.assert_allclose(fit.p_values, [7.318984974e-09, 1.686334002e-04, 9.295083722e-02, 8.463066114e-04], rtol=1e-6)
    assert 2 * (fit.log_likelihood - fit.null_log_likelihood) == pytest.approx(57.6071, abs=1e-4)


def test_a_cohort_with_few_events_has_the_estimates_intervals_and_p_values_of_coxphf():
    time, event, x = few_events()
    fit = cox(time, event, x, list("abcde"), penalty="firth")
    np.testing.assert_allclose(
        fit.coefficients, [-0.0696602058, -0.1383347632, 0.1402623293, -0.1010721115, 0.0618773395], atol=1e-6
    )
    limits = [[-0.2639665740, 0.1238514295], [-0.3299581754, 0.0545279470], [-0.0682956325, 0.3513140811]]
    limits += [[-0.2961951836, 0.0929882345], [-0.1381094066, 0.2618279011]]
    np.testing.assert_allclose(fit.interval(), limits, atol=1e-6)
    np.testing.assert_allclose(fit.p_values, [0.4808683022, 0.1593093069, 0.1883257444, 0.3079392087, 0.5441920204], atol=1e-6)


# --- closed forms and direct maximisation --------------------------------------------------------------------------------


def test_of_two_patients_the_hazard_ratio_is_3():
    # Heinze and Schemper 2001, section 2
    fit = cox([1, 2], [1, 0], [1, 0], ["x"], penalty="firth")
    assert fit.hazard_ratios[0] == pytest.approx(3, abs=1e-8)


@pytest.mark.parametrize("stratified", [False, True])
def test_estimate_is_the_maximum_of_the_penalised_likelihood_with_ties(rng, stratified):
    time, event, x = ties(rng, 40)
    strata = np.arange(40) % 3 if stratified else None
    fit = cox(time, event, x, ["a", "b", "c"], penalty="firth", strata=strata)

    def loss(beta: np.ndarray) -> float:
        value, information = 0.0, np.zeros((3, 3))
        for s in np.unique(strata) if stratified else [None]:
            inside = np.ones(40, bool) if s is None else strata == s
            part, more = by_hand(time[inside], event[inside], x[inside], beta)
            value, information = value + part, information + more
        return -value - 0.5 * np.linalg.slogdet(information)[1]

    best = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000})
    np.testing.assert_allclose(fit.coefficients, best.x, atol=1e-5)
    # The fit works on scaled covariates, whose information has another determinant.
    scaled = -best.fun - np.log(fit.scales).sum()
    assert fit.log_likelihood == pytest.approx(scaled, abs=1e-8)


def by_hand(time: np.ndarray, event: np.ndarray, x: np.ndarray, beta: np.ndarray) -> tuple[float, np.ndarray]:
    """Give Efron's log partial likelihood and information, written as the textbook has it."""
    value, information = 0.0, np.zeros((3, 3))
    for t in np.unique(time[event]):
        dead, weight = event & (time == t), np.exp(x @ beta) * (time >= t)
        value += (x[dead] @ beta).sum()
        for step in range(dead.sum()):
            w = weight * (1 - step / dead.sum() * dead)
            mean = w @ x / w.sum()
            value -= np.log(w.sum())
            information += (x - mean).T @ ((w / w.sum())[:, None] * (x - mean))
    return value, information


def test_gradient_of_the_penalised_likelihood_is_its_slope(rng):
    time, event, x = ties(rng, 40)
    likelihood = design(time, event, x, ["a", "b", "c"], np.arange(40) % 2, "firth", 0.0).likelihood
    beta, step = np.array([0.3, -0.4, 0.2]), 1e-5
    slopes = [
        (likelihood.evaluate(beta + step * e, "firth").value - likelihood.evaluate(beta - step * e, "firth").value) / (2 * step)
        for e in np.eye(3)
    ]
    np.testing.assert_allclose(likelihood.evaluate(beta, "firth").gradient, slopes, atol=1e-7)


def test_with_many_patients_the_penalty_no_longer_matters():
    rng = np.random.default_rng(8)
    gaps = []
    for n in (50, 500, 5000):
        x = rng.normal(size=(n, 2))
        time = rng.exponential(size=n) * np.exp(-x @ [0.8, -0.5])
        plain, firth = (cox(time, np.ones(n), x, ["a", "b"], penalty=p) for p in ("none", "firth"))
        gaps.append(np.abs(plain.coefficients - firth.coefficients).max())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3


@pytest.mark.parametrize("n", [4, 6, 10, 40])
def test_complete_separation_has_a_finite_estimate(n):
    x = np.repeat([1, 0], n // 2)
    fit = cox(np.arange(1, n + 1), np.ones(n), x, ["x"], penalty="firth")
    assert fit.converged
    assert 0.5 < fit.coefficients[0] < 8
    lower, upper = fit.interval()[0]
    assert lower < fit.coefficients[0] < upper


def test_the_solver_arrives_in_hundreds_of_tiny_cohorts():
    rng = np.random.default_rng(9)
    fitted = 0
    for _ in range(400):
        n = int(rng.integers(4, 15))
        time, event, x = np.ceil(rng.exponential(size=n) * 5), rng.random(n) < 0.6, rng.integers(0, 2, (n, 2))
        try:
            fit = cox(time, event, x, ["a", "b"], penalty="firth")
        except ParameterError as error:
            assert "does not vary" in str(error) or "collinear" in str(error) or "none of the" in str(error)  # noqa: PT017
            continue
        fitted += 1
        assert np.abs(fit.data.likelihood.evaluate(fit.coefficients * fit.scales, "firth").gradient).max() < 1e-5
    assert fitted > 200


# --- tests and intervals -------------------------------------------------------------------------------------------------


def test_an_interval_ends_where_twice_the_profile_has_fallen_by_the_quantile(rng):
    time, event, x = ties(rng, 40)
    fit = cox(time, event, x[:, :1], ["a"], penalty="firth")
    for limit in fit.interval(0.9)[0]:
        there = fit.data.likelihood.evaluate(np.array([limit]) * fit.scales, "firth").value
        assert 2 * (fit.log_likelihood - there) == pytest.approx(stats.chi2.ppf(0.9, 1), abs=1e-6)


def test_an_interval_of_level_1_minus_p_ends_at_0(rng):
    time, event, x = ties(rng, 60)
    fit = cox(time, event, x, ["a", "b", "c"], penalty="firth")
    for j, p_value in enumerate(fit.p_values):
        assert np.abs(fit.interval(1 - p_value)[j]).min() == pytest.approx(0, abs=1e-5)


def test_a_nested_model_keeps_the_penalty_of_the_full_one(rng):
    time, event, x = ties(rng, 60)
    full = cox(time, event, x, ["a", "b", "c"], penalty="firth")
    test = likelihood_ratio(full, cox(time, event, x[:, [0, 2]], ["a", "c"], penalty="firth"))
    assert test.degrees_of_freedom == 1
    assert test.p_value == pytest.approx(full.p_values[1], rel=1e-6)


def test_in_small_samples_profile_intervals_hold_the_truth_also_where_there_is_no_estimate_without_the_penalty():
    """30 patients, about half of them censored, a hazard ratio of 0.3 for 8 of them."""
    rng = np.random.default_rng(13)
    truth, held, without = np.log(0.3), [], 0
    x = (np.arange(30) < 8).astype(float)
    for _ in range(600):
        death, leave = rng.exponential(size=30) * np.exp(-truth * x), rng.exponential(1.2, size=30)
        time, event = np.minimum(death, leave), death <= leave
        lower, upper = cox(time, event, x, ["x"], penalty="firth").interval()[0]
        held.append(lower <= truth <= upper)
        try:
            cox(time, event, x, ["x"])
        except ParameterError:
            without += 1
    assert 0.93 <= np.mean(held) <= 0.97
    assert without > 30
