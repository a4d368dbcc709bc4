"""Fits find the truth of simulated patients, say when they cannot, and their uncertainty is calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from regrowth.errors import ParameterError
from regrowth.growth.cohort_prior import learn_cohort_prior
from regrowth.growth.fit import ParameterPrior, bootstrap_parameters, fit_growth, weak_prior
from regrowth.growth.leastsquares import minimise_squares
from regrowth.growth.models import EXPONENTIAL, GOMPERTZ, GROWTH_INHIBITION, GROWTH_MODELS, LIVE_DAMAGED, LOGISTIC
from regrowth.growth.posterior import sample_posterior
from regrowth.growth.series import VolumeSeries
from regrowth.growth.treatment import NO_TREATMENT, DrugCourse, Fraction, Treatment

DAYS = np.array([0.0, 40, 90, 150])
COURSE = Treatment.fractionated(20.0, 30, drugs=(DrugCourse(20.0, 120.0),))


def simulated(model, prior, treatment, days, rng, first_ml=3.0, noise=0.2):
    """Draw a patient from the prior and measure its volumes."""
    truth = prior.draw(1, rng)
    log = model.log_volumes(truth, days, treatment, float(days[0]))[0] + np.log(first_ml)
    return log, np.exp(log + noise * rng.standard_normal(days.size))


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
def test_optimum_is_not_worse_than_that_of_scipy(model, rng):
    prior = weak_prior(model)
    for _ in range(3):
        _, volumes = simulated(model, prior, COURSE, DAYS, rng)
        fit = fit_growth(VolumeSeries(DAYS, volumes), model, COURSE)
        whitening = np.linalg.inv(np.linalg.cholesky(prior.covariance_log))

        def residuals(x, fit=fit, whitening=whitening):
            return np.concatenate([fit.log_misfit(x[None])[0] / 0.2, whitening @ (x - prior.mean_log)])

        peer = least_squares(residuals, prior.mean_log, bounds=prior.bounds_log, xtol=1e-12, ftol=1e-12)
        assert fit.status == "ok"
        assert fit.objective <= peer.cost + 1e-3
        assert fit.log_posterior(fit.map_log[None])[0] == pytest.approx(-fit.objective)


def test_rows_are_minimised_independently_and_stay_inside_bounds():
    target = np.array([[1.0, 2.0], [5.0, -5.0], [0.3, 0.1]])

    def residuals(x):
        t = np.repeat(target, len(x) // 3, axis=0)
        return np.stack([np.exp(x[:, 0]) - np.exp(t[:, 0]), 10 * (x[:, 1] - t[:, 1] + 0.5 * (x[:, 0] - t[:, 0]))], axis=1)

    theta, cost, done = minimise_squares(residuals, np.zeros((3, 2)), np.array([-3.0, -3.0]), np.array([3.0, 3.0]))
    assert done.all()
    np.testing.assert_allclose(theta[[0, 2]], target[[0, 2]], atol=1e-4)
    assert cost[[0, 2]] == pytest.approx(0, abs=1e-5)
    assert theta[1, 0] == 3.0
    assert theta[1, 1] == pytest.approx(-3.0)


def test_noiseless_exponential_is_found_when_the_prior_is_wide():
    model = EXPONENTIAL
    wide = ParameterPrior(model, weak_prior(model).mean_log, 25 * np.eye(4), 0.01)
    series = VolumeSeries(DAYS + 700, 2.5 * np.exp(0.013 * DAYS))
    fit = fit_growth(series, model, NO_TREATMENT, wide)
    assert fit.parameters["growth_per_day"] == pytest.approx(0.013, rel=1e-3)
    assert fit.parameters["initial_ml"] == pytest.approx(2.5, rel=1e-3)
    np.testing.assert_allclose(fit.curve_ml([700.0, 900.0]), 2.5 * np.exp(0.013 * np.array([0.0, 200.0])), rtol=5e-3)


def test_fit_does_not_depend_on_the_unit_of_volume_or_the_origin_of_days():
    volumes = np.array([3.0, 5.0, 2.0, 4.0])
    a = fit_growth(VolumeSeries(DAYS, volumes), LIVE_DAMAGED, Treatment((Fraction(30.0, 30.0),)))
    b = fit_growth(VolumeSeries(DAYS + 1000, 8 * volumes), LIVE_DAMAGED, Treatment((Fraction(1030.0, 30.0),)))
    np.testing.assert_allclose(a.map_log, b.map_log, atol=1e-6)
    assert b.parameters["initial_ml"] == pytest.approx(8 * a.parameters["initial_ml"])


# --- bad input ------------------------------------------------------------------------------------------------------


def test_one_scan_without_a_cohort_is_not_fitted():
    fit = fit_growth(VolumeSeries([0.0], [3.0]), EXPONENTIAL)
    assert fit.status == "one_scan"
    assert "cohort" in fit.reason
    assert np.isnan(list(fit.parameters.values())).all()
    for draw in (bootstrap_parameters, sample_posterior):
        with pytest.raises(ParameterError, match="one_scan"):
            draw(fit, np.random.default_rng(0))


def test_one_scan_with_a_cohort_prior_gives_the_cohort_s_rates(rng):
    cohort = [VolumeSeries([0.0, 50, 100], [1.0, np.e**0.5, np.e]) for _ in range(30)]
    prior = learn_cohort_prior(cohort, EXPONENTIAL, weak_weight=0.5)
    fit = fit_growth(VolumeSeries([7.0], [3.0]), EXPONENTIAL, prior=prior)
    assert fit.status == "ok"
    assert "one scan" in fit.reason
    assert fit.parameters["initial_ml"] == pytest.approx(3.0, rel=0.05)
    assert fit.parameters["growth_per_day"] == pytest.approx(0.01, rel=0.2)


def test_no_tumour_at_all_is_not_fitted():
    assert fit_growth(VolumeSeries([0.0, 1.0, 2.0], [0.0, 0.0, 0.0]), GOMPERTZ).status == "no_tumour"


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
@pytest.mark.parametrize("volumes", [[4.0, 0.0, 0.0, 2.0], [0.0, 2.0, 3.0, 0.0]])
def test_scan_without_tumour_is_an_upper_limit(model, volumes):
    fit = fit_growth(VolumeSeries(DAYS, volumes), model, COURSE)
    assert fit.status == "ok"
    assert "upper limits" in fit.reason
    zero = np.array(volumes) == 0
    assert (fit.log_misfit(fit.map_log[None])[0][zero] <= 0).all()
    deep = fit.map_log.copy()
    deep[0] -= 50.0
    unseen = zero & (fit.log_curve(deep[None], DAYS)[0] < np.log(fit.detection_ml))
    assert unseen.any()
    assert (fit.log_misfit(deep[None])[0][unseen] == 0).all()


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
def test_equal_volumes_are_fitted_with_a_warning(model):
    fit = fit_growth(VolumeSeries(DAYS, [2.0, 2.0, 2.0, 2.0]), model)
    assert fit.status == "ok"
    assert "all volumes are equal" in fit.reason
    np.testing.assert_allclose(fit.curve_ml(DAYS), 2.0, rtol=0.25)


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
def test_treatment_before_the_first_scan_does_no_harm(model):
    early = Treatment.fractionated(-100.0, 30, drugs=(DrugCourse(-100.0, -50.0),))
    fit = fit_growth(VolumeSeries(DAYS, [2.0, 2.5, 3.0, 4.0]), model, early)
    assert fit.status == "ok"
    assert np.isfinite(fit.map_log).all()
    np.testing.assert_allclose(fit.curve_ml(DAYS), [2.0, 2.5, 3.0, 4.0], rtol=0.4)


def test_wrong_prior_and_options_are_refused():
    series = VolumeSeries(DAYS, [1.0, 2.0, 3.0, 4.0])
    for wrong in (
        lambda: fit_growth(series, EXPONENTIAL, prior=weak_prior(LOGISTIC)),
        lambda: fit_growth(series, EXPONENTIAL, n_starts=0),
        lambda: fit_growth(series, EXPONENTIAL, detection_ml=0.0),
        lambda: weak_prior(EXPONENTIAL, 0.0),
        lambda: weak_prior(EXPONENTIAL, 0.2, 0.0),
        lambda: ParameterPrior(EXPONENTIAL, np.zeros(3), np.eye(4)),
        lambda: ParameterPrior(EXPONENTIAL, np.zeros(4), np.zeros((4, 4))),
        lambda: learn_cohort_prior([], EXPONENTIAL),
        lambda: bootstrap_parameters(fit_growth(series, EXPONENTIAL), np.random.default_rng(0), 0),
        lambda: sample_posterior(fit_growth(series, EXPONENTIAL), np.random.default_rng(0), 10, 10),
        lambda: learn_cohort_prior([series], EXPONENTIAL, []),
        lambda: learn_cohort_prior([VolumeSeries([0.0], [1.0])], EXPONENTIAL),
    ):
        with pytest.raises(ParameterError):
            wrong()


# --- uncertainty ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [EXPONENTIAL, GROWTH_INHIBITION, LIVE_DAMAGED], ids=lambda m: m.name)
def test_posterior_of_simulated_patients_is_calibrated(model, rng):
    """The rank of the true future volume among the draws is uniform over patients drawn from the prior."""
    treatment = Treatment.single_event(20.0) if model is LIVE_DAMAGED else Treatment(drugs=(DrugCourse(10.0),))
    prior, future, ranks = weak_prior(model), np.array([250.0]), []
    for _ in range(80):
        log, volumes = simulated(model, prior, treatment, np.append(DAYS, future), rng)
        fit = fit_growth(VolumeSeries(DAYS, volumes[:-1]), model, treatment, n_starts=3)
        if fit.status == "ok":
            draws = sample_posterior(fit, rng, 200, 800, 2)
            ranks.append((fit.log_curve(draws.log_parameters, future)[:, 0] < log[-1]).mean())
    ranks = np.array(ranks)
    assert len(ranks) == 80
    for level in (0.5, 0.9):  # 80 patients: standard error .056 and .034
        inside = (np.abs(ranks - 0.5) < level / 2).mean()
        assert inside == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 80))
    assert ranks.mean() == pytest.approx(0.5, abs=3 * 0.289 / np.sqrt(80))


def test_posterior_equals_that_of_a_linear_model(rng):
    """Without treatment the exponential's log volume is linear in log V0, and the growth rate's is its prior's at one time."""
    model, tight = EXPONENTIAL, weak_prior(EXPONENTIAL)
    fit = fit_growth(VolumeSeries([0.0, 1e-9], [3.0, 3.0]), model)  # no time passes: only the initial volume is measured
    draws = sample_posterior(fit, rng, 4000, 4000).log_parameters
    variance = 1 / (1 / 0.5**2 + 2 / 0.2**2)
    assert draws[:, 0].mean() == pytest.approx(0.0, abs=4 * np.sqrt(variance / 3000))
    assert draws[:, 0].var() == pytest.approx(variance, rel=0.1)
    assert draws[:, 1].mean() == pytest.approx(tight.mean_log[1], abs=0.07)
    assert draws[:, 1].std() == pytest.approx(1.0, rel=0.07)
    boot = bootstrap_parameters(fit, rng, 2000).log_parameters
    assert boot[:, 0].var() == pytest.approx(variance, rel=0.15)
    assert boot[:, 1].std() == pytest.approx(1.0, rel=0.07)


def test_same_generator_gives_the_same_draws():
    fit = fit_growth(VolumeSeries(DAYS, [1.0, 2.0, 3.0, 4.0]), EXPONENTIAL)
    for draw in (bootstrap_parameters, sample_posterior):
        a, b = (draw(fit, np.random.default_rng(3)).log_parameters for _ in range(2))
        np.testing.assert_array_equal(a, b)


# --- cohort ---------------------------------------------------------------------------------------------------------


def test_cohort_prior_finds_the_mean_and_spread_of_the_cohort(rng):
    rates = np.exp(rng.normal(np.log(0.008), 0.4, 80))
    days = np.array([0.0, 60, 120, 200])
    cohort = [VolumeSeries(days, 5 * np.exp(g * days + 0.1 * rng.standard_normal(4))) for g in rates]
    prior = learn_cohort_prior(cohort, EXPONENTIAL)
    assert np.exp(prior.mean_log[1]) == pytest.approx(0.008, rel=0.15)
    assert np.sqrt(prior.covariance_log[1, 1]) == pytest.approx(0.4, abs=0.15)
    assert prior.noise_sd_log == pytest.approx(0.1, rel=0.35)
    assert prior.n_patients == 80


def test_cohort_prior_makes_the_forecast_of_two_scans_better(rng):
    days = np.array([0.0, 30, 60, 200])

    def patients(n):
        rates = np.exp(rng.normal(np.log(0.01), 0.2, n))
        return [VolumeSeries(days, 5 * np.exp(g * days + 0.2 * rng.standard_normal(4))) for g in rates]

    prior = learn_cohort_prior(patients(60), EXPONENTIAL)
    error = {"weak": [], "cohort": []}
    for one in patients(60):
        for name, belief in (("weak", None), ("cohort", prior)):
            fit = fit_growth(one.first(2), EXPONENTIAL, prior=belief)
            error[name].append(abs(np.log(fit.curve_ml([200.0])[0] / one.last_volume_ml)))
    assert np.mean(error["cohort"]) < 0.6 * np.mean(error["weak"])


def test_heavy_tails_keep_one_bad_scan_from_ruling_the_cohort(rng):
    days = np.array([0.0, 50, 100, 150])
    cohort = []
    for i in range(40):
        noise = 0.05 * rng.standard_normal(4)
        noise[2] -= 4.0 * (i % 8 == 0)  # every eighth patient has one scan that is 50 times too small
        cohort.append(VolumeSeries(days, 5 * np.exp(0.005 * days + noise)))
    normal = learn_cohort_prior(cohort, EXPONENTIAL)
    robust = learn_cohort_prior(cohort, EXPONENTIAL, noise_freedom=4.0)
    assert robust.noise_sd_log < 0.3 * normal.noise_sd_log
    assert np.exp(robust.mean_log[1]) == pytest.approx(0.005, rel=0.25)
