"""How covariates act on the hazard: the fit against lifelines, R and known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.datasets import load_gbsg2, load_lung, load_regression_dataset, load_rossi
from scipy.optimize import minimize

from regrowth.phantom import SurvivalModel
from regrowth.statistics import contrast, cox, likelihood_ratio, predicted_survival
from tests.statistics.cohorts import ties

# Of lifelines: otherwise it stops within about 1e-5 of the maximum.
PRECISE = {"precision": 1e-14, "r_precision": 1e-15}
ROSSI = ("fin", "age", "race", "wexp", "mar", "paro", "prio")


def frame(name: str) -> tuple[pd.DataFrame, str, str]:
    """Give a published data set with numeric covariates, and the names of its time and event."""
    if name == "rossi":
        return load_rossi(), "week", "arrest"
    if name == "regression":
        return load_regression_dataset(), "T", "E"
    if name == "lung":
        return load_lung().drop(columns="inst").dropna().astype(float), "time", "status"
    data = pd.get_dummies(load_gbsg2(), drop_first=True, dtype=float)
    return data, "time", "cens"


def fit_both(name: str, ridge: float = 0.0, strata: list[str] | None = None):
    data, time, event = frame(name)
    names = [c for c in data if c not in (time, event, *(strata or []))]
    theirs = CoxPHFitter(penalizer=ridge).fit(data, time, event, strata=strata, fit_options=PRECISE)
    ours = cox(
        data[time],
        data[event],
        data[names],
        names,
        penalty="ridge" if ridge else "none",
        strength=ridge * len(data),
        strata=None if strata is None else data[strata].astype(str).agg("-".join, axis=1),
    )
    return ours, theirs, data


def assert_equal(ours, theirs) -> None:
    assert list(ours.names) == list(theirs.params_.index)
    np.testing.assert_allclose(ours.coefficients, theirs.params_, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(ours.covariance, theirs.variance_matrix_, atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(ours.interval(), theirs.confidence_intervals_, atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(ours.p_values, theirs.summary["p"], atol=1e-6)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, abs=1e-6)
    assert ours.converged


@pytest.mark.parametrize("name", ["rossi", "regression", "lung", "gbsg2"])
def test_fit_equals_lifelines(name):
    ours, theirs, _ = fit_both(name)
    assert_equal(ours, theirs)
    assert ours.likelihood_ratio_p == pytest.approx(theirs.log_likelihood_ratio_test().p_value, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", ["rossi", "regression", "lung"])
@pytest.mark.parametrize("ridge", [0.01, 0.5])
def test_ridge_equals_lifelines_with_a_penalizer_of_strength_over_n(name, ridge):
    ours, theirs, _ = fit_both(name, ridge)
    assert_equal(ours, theirs)
    assert np.isnan(ours.likelihood_ratio_p)


@pytest.mark.parametrize(("name", "strata"), [("rossi", ["race", "wexp"]), ("lung", ["sex"]), ("gbsg2", ["tgrade_III"])])
def test_stratified_fit_equals_lifelines(name, strata):
    ours, theirs, _ = fit_both(name, strata=strata)
    assert_equal(ours, theirs)


def test_tied_months_equal_lifelines(rng):
    for _ in range(5):
        time, event, x = ties(rng)
        data = pd.DataFrame(x, columns=["a", "b", "c"]).assign(t=time, e=event)
        assert_equal(cox(time, event, x, ["a", "b", "c"]), CoxPHFitter().fit(data, "t", "e", fit_options=PRECISE))


def test_the_worked_example_of_therneau_and_grambsch_has_its_closed_form():
    # Modeling Survival Data, appendix E: data set 1 with Efron's method; also tests/book2.R of R's survival
    fit = cox([9, 1, 1, 6, 6, 8], [1, 1, 0, 1, 1, 0], [0, 1, 1, 1, 0, 0], ["x"])
    r = np.exp(fit.coefficients[0])
    assert fit.coefficients[0] == pytest.approx(1.676857, abs=5e-7)
    assert r**3 - 23 * r - 30 == pytest.approx(0, abs=1e-6)
    assert fit.log_likelihood == pytest.approx(2 * np.log(r) - np.log(3 * r + 3) - np.log((r + 5) / 2) - np.log(r + 3))
    information = sum(share - share**2 for share in (r / (r + 1), r / (r + 5), r / (r + 3)))
    assert fit.covariance[0, 0] == pytest.approx(1 / information)


def test_recidivism_has_the_values_published_from_r():
    # As printed by R in Fox and Weisberg 2011, quoted from memory
    data = load_rossi()
    fit = cox(data["week"], data["arrest"], data[list(ROSSI)], ROSSI)
    np.testing.assert_allclose(fit.coefficients, [-0.3794, -0.0574, 0.3139, -0.1498, -0.4337, -0.0849, 0.0915], atol=5e-5)
    np.testing.assert_allclose(fit.standard_errors, [0.1914, 0.0220, 0.3080, 0.2122, 0.3819, 0.1958, 0.0286], atol=5e-5)
    assert (fit.n, fit.n_events) == (432, 114)


def test_coefficients_are_the_maximum_of_the_likelihood_written_out_by_hand(rng):
    time, event, x = ties(rng, 25)

    def loss(beta: np.ndarray) -> float:
        total = 0.0
        for t in np.unique(time[event]):
            dead, risk = event & (time == t), time >= t
            total += (x[dead] @ beta).sum()
            for step in range(dead.sum()):
                total -= np.log(np.exp(x[risk] @ beta).sum() - step / dead.sum() * np.exp(x[dead] @ beta).sum())
        return -total

    fit = cox(time, event, x, ["a", "b", "c"])
    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(fit.coefficients, best.x, atol=1e-5)
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-9)


def test_one_stratum_is_no_stratum_and_strata_add_up(rng):
    time, event, x = ties(rng)
    whole = cox(time, event, x, ["a", "b", "c"])
    np.testing.assert_allclose(cox(time, event, x, ["a", "b", "c"], strata=["s"] * 120).coefficients, whole.coefficients)
    doubled = cox(np.tile(time, 2), np.tile(event, 2), np.tile(x, (2, 1)), ["a", "b", "c"], strata=np.repeat([0, 1], 120))
    np.testing.assert_allclose(doubled.coefficients, whole.coefficients, atol=1e-9)
    np.testing.assert_allclose(doubled.covariance, whole.covariance / 2, atol=1e-9)


@pytest.mark.parametrize("penalty", ["none", "firth"])
def test_unit_and_origin_of_a_covariate_change_the_coefficient_and_nothing_else(rng, penalty):
    time, event, x = ties(rng)
    fit = cox(time, event, x, ["a", "b", "c"], penalty=penalty)
    moved = cox(time * 30.4, event, x * [1e3, 1, 1e-4] + [1e5, 0, -3], ["a", "b", "c"], penalty=penalty)
    np.testing.assert_allclose(moved.coefficients * [1e3, 1, 1e-4], fit.coefficients, rtol=1e-6)
    np.testing.assert_allclose(moved.p_values, fit.p_values, rtol=1e-5)


def test_extreme_linear_predictors_do_not_overflow():
    rng = np.random.default_rng(5)
    x = rng.normal(size=300)
    time = np.exp(-6 * x) * rng.exponential(size=300)
    fit = cox(time, np.ones(300), x * 100, ["x"])
    assert fit.coefficients[0] * 100 == pytest.approx(6, rel=0.1)


def test_a_strong_ridge_shrinks_to_nothing_and_a_weak_one_changes_nothing(rng):
    time, event, x = ties(rng)
    free = cox(time, event, x, ["a", "b", "c"])
    weak = cox(time, event, x, ["a", "b", "c"], penalty="ridge", strength=1e-8)
    strong = cox(time, event, x, ["a", "b", "c"], penalty="ridge", strength=1e8)
    np.testing.assert_allclose(weak.coefficients, free.coefficients, atol=1e-8)
    np.testing.assert_allclose(strong.coefficients, 0, atol=1e-5)


def test_a_ridge_can_share_an_effect_between_covariates_that_are_the_same(rng):
    time, event, x = ties(rng)
    twice = cox(time, event, x[:, [0, 0]], ["a", "again"], penalty="ridge", strength=1.0)
    assert twice.coefficients[0] == pytest.approx(twice.coefficients[1])


def test_hazard_ratios_lie_in_95_percent_of_the_intervals_of_simulated_cohorts():
    rng = np.random.default_rng(11)
    model = SurvivalModel()
    names, truth = list(model.coefficients), np.array(list(model.coefficients.values()))
    held, estimates = [], []
    for _ in range(1500):
        x = np.column_stack([rng.normal(size=195), rng.integers(0, 2, (195, 2)), rng.normal(-1, 0.7, 195)])
        drawn = model.outcomes(x, rng)
        fit = cox(drawn.os_days, drawn.os_event, x, names)
        limits = fit.interval()
        held.append((limits[:, 0] <= truth) & (truth <= limits[:, 1]))
        estimates.append(fit.coefficients)
    covered = np.mean(held, axis=0)
    assert (covered >= 0.93).all(), covered
    assert (covered <= 0.97).all(), covered
    np.testing.assert_allclose(np.mean(estimates, axis=0), truth, atol=0.03)


def test_p_values_of_covariates_without_effect_are_below_5_percent_5_percent_of_the_time():
    rng = np.random.default_rng(12)
    below = []
    for _ in range(1500):
        x = rng.normal(size=(120, 2))
        fit = cox(rng.exponential(size=120), rng.random(120) < 0.8, x, ["a", "b"])
        below.append([*(fit.p_values < 0.05), fit.likelihood_ratio_p < 0.05])
    rates = np.mean(below, axis=0)
    assert (rates >= 0.035).all(), rates
    assert (rates <= 0.065).all(), rates


def test_rows_hold_the_hazard_ratio_with_its_interval():
    fit, _, _ = fit_both("rossi")
    row = fit.as_rows()[0]
    assert list(row) == ["covariate", "coefficient", "standard_error", "hazard_ratio", "lower", "upper", "z", "p_value"]
    assert row["covariate"] == "fin"
    assert row["lower"] < row["hazard_ratio"] < row["upper"]
    assert row["hazard_ratio"] == pytest.approx(np.exp(row["coefficient"]))
    assert fit.as_rows(0.5)[0]["upper"] < row["upper"]


def test_linear_predictor_is_0_for_the_mean_patient():
    fit, theirs, data = fit_both("rossi")
    assert fit.linear_predictor(fit.means)[0] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(fit.linear_predictor(data[list(fit.names)]), theirs.predict_log_partial_hazard(data), atol=1e-6)


# --- contrasts and nested models ----------------------------------------------------------------------------------------


def test_a_contrast_of_one_coefficient_is_that_coefficient():
    fit, _, _ = fit_both("rossi")
    found = contrast(fit, np.eye(7)[1])
    assert found.estimate == fit.coefficients[1]
    assert (found.lower, found.upper) == pytest.approx(tuple(fit.interval()[1]))
    assert found.p_value == pytest.approx(fit.p_values[1])


def test_a_contrast_over_an_interaction_is_the_coefficient_of_the_covariate_coded_for_that_group():
    """The effect of age among the methylated is a sum of two coefficients, or one when the others are the reference."""
    rng = np.random.default_rng(2)
    age, methylated = rng.normal(size=200), rng.integers(0, 2, 200)
    time, event = rng.exponential(size=200) * np.exp(-0.5 * age * (1 - methylated)), rng.random(200) < 0.8
    names = ["age", "mgmt", "age x mgmt"]
    fit = cox(time, event, np.column_stack([age, methylated, age * methylated]), names)
    other = cox(time, event, np.column_stack([age, methylated, age * (1 - methylated)]), names)
    found = contrast(fit, [1, 0, 1])
    assert (found.estimate, found.lower, found.upper) == pytest.approx((other.coefficients[0], *other.interval()[0]), abs=1e-7)
    assert found.p_value == pytest.approx(other.p_values[0], rel=1e-6)


def test_likelihood_ratio_of_nested_models_is_twice_the_difference_of_their_likelihoods():
    data = load_rossi()
    full = cox(data["week"], data["arrest"], data[list(ROSSI)], ROSSI)
    reduced = cox(data["week"], data["arrest"], data[["fin", "age", "prio"]], ["fin", "age", "prio"])
    test = likelihood_ratio(full, reduced)
    assert test.statistic == pytest.approx(2 * (full.log_likelihood - reduced.log_likelihood))
    assert test.degrees_of_freedom == 4
    assert 0.3 < test.p_value < 0.7


# --- predicted curves ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rossi", "lung"])
def test_predicted_survival_equals_lifelines(name):
    fit, theirs, data = fit_both(name)
    times = np.unique(data["week" if name == "rossi" else "time"])
    expected = theirs.predict_survival_function(data.iloc[:6], times=times).to_numpy().T
    np.testing.assert_allclose(predicted_survival(fit, data.iloc[:6][list(fit.names)], times), expected, atol=1e-6)


def test_predicted_survival_of_a_stratum_uses_its_own_baseline():
    fit, theirs, data = fit_both("lung", strata=["sex"])
    men = data[data["sex"] == 1].iloc[:3]
    expected = theirs.predict_survival_function(men, times=[100, 300, 500]).to_numpy().T
    found = predicted_survival(fit, men[list(fit.names)], [100, 300, 500], stratum="1.0")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_predicted_survival_begins_at_1_and_is_unknown_after_the_last_patient():
    fit, _, _ = fit_both("rossi")
    curve = predicted_survival(fit, fit.means, [0, 10, 52, 53])[0]
    assert curve[0] == 1
    assert 1 > curve[1] > curve[2]
    assert np.isnan(curve[3])
