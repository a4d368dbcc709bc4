"""Forecasts start at the last scan, know what they do not know, and keep what they promise on new patients."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.growth.baselines import common_growth_forecast, log_linear_forecast, persistence_forecast
from regrowth.growth.choice import choose_forecaster, log_crps
from regrowth.growth.conformal import learn_conformal_band
from regrowth.growth.fit import bootstrap_parameters, fit_growth
from regrowth.growth.forecast import Carry, forecast_growth, progression_threshold_ml, time_to_exceed
from regrowth.growth.models import EXPONENTIAL, GROWTH_MODELS, LIVE_DAMAGED
from regrowth.growth.posterior import sample_posterior
from regrowth.growth.series import Forecast, VolumeSeries
from regrowth.growth.treatment import Treatment

SERIES = VolumeSeries([0.0, 40, 90, 150], [3.0, 4.0, 2.0, 5.0], "x")
FUTURE = np.array([150.0, 180, 300])


def forecast_of(model=EXPONENTIAL, series=SERIES, days=FUTURE, carry=None, treatment=None, seed=0):
    rng = np.random.default_rng(seed)
    fit = fit_growth(series, model, treatment or Treatment())
    return fit, forecast_growth(fit, sample_posterior(fit, rng), days, rng, carry or Carry())


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
def test_forecast_starts_at_the_last_scan(model):
    _, forecast = forecast_of(model)
    np.testing.assert_allclose(forecast.samples_ml[:, 0], 5.0, rtol=1e-9)
    assert (np.diff(forecast.volumes_ml[[0, -1], 2]) > np.diff(forecast.volumes_ml[[0, -1], 1])).all()


def test_without_carry_the_forecast_is_the_model_and_its_noise():
    fit, forecast = forecast_of(carry=Carry(correlation_days=0.0))
    draws = sample_posterior(fit, np.random.default_rng(0)).log_parameters
    log = np.log(forecast.samples_ml)
    assert log[:, 1].mean() == pytest.approx(fit.log_curve(draws, FUTURE)[:, 1].mean(), abs=0.05)
    assert log[:, 1].var() == pytest.approx(fit.log_curve(draws, FUTURE)[:, 1].var() + 0.2**2, rel=0.2)


def test_carry_fades_with_its_correlation_time():
    """The misfit at the last scan is worth 1/e of itself after the correlation time."""
    _, none = forecast_of(carry=Carry(correlation_days=1e-9))
    _, some = forecast_of(carry=Carry(correlation_days=30.0))
    _, full = forecast_of()
    part = np.log(some.median / none.median)[1] / np.log(full.median / none.median)[1]
    assert part == pytest.approx(np.exp(-1), abs=0.1)


def test_trend_of_weight_zero_is_persistence_and_drift_widens_it_as_a_random_walk():
    _, forecast = forecast_of(carry=Carry(trend_weight=0.0, drift_sd_log_per_sqrt_day=0.02))
    assert np.log(forecast.median) == pytest.approx(np.log([5.0, 5.0, 5.0]), abs=0.05)
    assert np.log(forecast.samples_ml).std(axis=0) == pytest.approx([0, 0.02 * 30**0.5, 0.02 * 150**0.5], rel=0.1)


def test_uncertain_growth_is_not_believed_but_keeps_its_spread():
    equal = VolumeSeries([0.0, 40, 90, 150], [5.0, 5.0, 5.0, 5.0])
    course = Treatment.single_event(-10.0)
    _, believed = forecast_of(LIVE_DAMAGED, equal, carry=Carry(), treatment=course)
    _, doubted = forecast_of(LIVE_DAMAGED, equal, carry=Carry(growth_certainty=0.999999), treatment=course)
    assert doubted.median == pytest.approx([5.0, 5.0, 5.0], rel=1e-5)
    for forecast in (believed, doubted):
        assert np.log(forecast.samples_ml[:, 2]).std() == pytest.approx(np.log(believed.samples_ml[:, 2]).std())


def test_measurement_noise_is_added_where_it_is_asked_for():
    _, forecast = forecast_of(carry=Carry(measurement_sd_log=0.3))
    assert np.log(forecast.samples_ml[:, 0]).std() == pytest.approx(0.3, rel=0.1)


def test_planned_radiotherapy_lowers_the_forecast():
    _, untreated = forecast_of()
    _, treated = forecast_of(treatment=Treatment.fractionated(151.0, 30))
    assert treated.median[2] < 0.5 * untreated.median[2]


def test_failed_fit_gives_an_unknown_forecast_with_the_reason(rng):
    fit = fit_growth(VolumeSeries([0.0], [3.0]), EXPONENTIAL)
    forecast = forecast_growth(fit, None, [10.0], rng)
    assert (forecast.status, forecast.reason) == (fit.status, fit.reason)
    assert np.isnan(forecast.volumes_ml).all()


@pytest.mark.parametrize("days", [[149.0], [160.0, 160.0], [170.0, 160.0], [], [np.nan]])
def test_days_before_the_last_scan_or_out_of_order_are_refused(days, rng):
    fit = fit_growth(SERIES, EXPONENTIAL)
    for call in (
        lambda: forecast_growth(fit, bootstrap_parameters(fit, rng), days, rng),
        lambda: persistence_forecast(SERIES, days),
        lambda: log_linear_forecast(SERIES, days),
    ):
        with pytest.raises(ParameterError):
            call()


def test_wrong_carry_is_refused():
    for wrong in ({"correlation_days": -1}, {"trend_weight": 1.1}, {"drift_sd_log_per_sqrt_day": -1}, {"growth_certainty": 2}):
        with pytest.raises(ParameterError):
            Carry(**wrong)


# --- thresholds -----------------------------------------------------------------------------------------------------


def test_progression_is_forty_percent_above_the_nadir():
    assert progression_threshold_ml(SERIES) == pytest.approx(2.8)
    assert np.isnan(progression_threshold_ml(VolumeSeries([0.0, 1.0], [1.0, 0.0])))


def test_time_to_a_threshold_of_exponential_curves_is_exact():
    rates = np.linspace(0.001, 0.1, 1000)
    days = np.arange(1.0, 201.0) + 30
    forecast = Forecast.from_samples(days, 2 * np.exp(rates[:, None] * (days - 30)), "m")
    time = time_to_exceed(forecast, 4.0, 30.0)
    assert time.median_days == pytest.approx(np.log(2) / np.median(rates), rel=2e-3)
    assert time.lower_days == pytest.approx(np.log(2) / np.quantile(rates, 0.95), rel=5e-3)
    assert time.probability == pytest.approx((rates > np.log(2) / 200).mean(), abs=2e-3)


def test_threshold_that_is_rarely_passed_has_an_infinite_median():
    samples = np.where(np.arange(100)[:, None] < 10, [[1.0, 9.0]], [[1.0, 1.0]])
    time = time_to_exceed(Forecast.from_samples([0.0, 10.0], samples, "m"), 3.0, 0.0)
    assert time.probability == 0.1
    assert np.isinf(time.median_days)
    assert time.lower_days == pytest.approx(10 * np.log(3) / np.log(9))


def test_threshold_that_is_passed_on_the_first_day_counts_there():
    samples = np.array([[5.0, 6.0], [1.0, 6.0]])
    time = time_to_exceed(Forecast.from_samples([7.0, 9.0], samples, "m"), 4.0, 5.0)
    assert time.lower_days == 2.0
    assert time.probability == 1.0


@pytest.mark.parametrize(
    ("forecast", "threshold_ml", "status"),
    [
        (Forecast.unknown([1.0], "m", "one_scan", "why"), 3.0, "one_scan"),
        (persistence_forecast(SERIES, [200.0]), 3.0, "no_samples"),
        (Forecast.from_samples([1.0], np.ones((3, 1)), "m"), float("nan"), "no_threshold"),
    ],
)
def test_time_is_nan_with_a_reason_where_it_cannot_be_known(forecast, threshold_ml, status):
    time = time_to_exceed(forecast, threshold_ml, 0.0)
    assert time.status == status
    assert time.reason
    assert np.isnan([time.probability, time.median_days, time.lower_days, time.upper_days]).all()


# --- baselines ------------------------------------------------------------------------------------------------------


def test_persistence_keeps_the_last_volume():
    assert persistence_forecast(SERIES, FUTURE).median.tolist() == [5.0, 5.0, 5.0]


def test_common_growth_goes_on_at_the_rate_of_others():
    assert common_growth_forecast(SERIES, [150.0, 160.0], np.log(2) / 10).median == pytest.approx([5.0, 10.0])
    assert common_growth_forecast(VolumeSeries([0.0, 1.0], [1.0, 0.0]), [1.0], 0.1, 0.05).median == pytest.approx([0.05])
    with pytest.raises(ParameterError, match="number"):
        common_growth_forecast(SERIES, [160.0], np.nan)


def test_log_linear_goes_on_along_the_line():
    series = VolumeSeries([0.0, 10, 20], [9.0, 1.0, 2.0])
    assert log_linear_forecast(series, [30.0, 40.0]).median == pytest.approx([4.0, 8.0])
    line = VolumeSeries([0.0, 10, 20], [1.0, 2.0, 4.0])
    assert log_linear_forecast(line, [30.0], n_last=3).median == pytest.approx([8.0])
    with pytest.raises(ParameterError):
        log_linear_forecast(line, [30.0], n_last=1)


def test_log_linear_of_one_scan_is_unknown():
    assert log_linear_forecast(VolumeSeries([0.0], [1.0]), [3.0]).status == "one_scan"


def test_log_linear_through_a_scan_without_tumour_is_finite():
    for volumes in ([1.0, 0.0], [0.0, 1.0], [0.0, 0.0]):
        assert np.isfinite(log_linear_forecast(VolumeSeries([0.0, 1.0], volumes), [1e6]).median).all()


# --- conformal ------------------------------------------------------------------------------------------------------


def random_walks(n, rng):
    """Draw patients whose log volume is a random walk, with gaps of different lengths."""
    series = []
    for _ in range(n):
        days = np.cumsum([0.0, 30.0, rng.uniform(10, 200)])
        log = np.cumsum(0.05 * np.sqrt(np.diff(days, prepend=0)) * rng.standard_normal(3))
        series.append(VolumeSeries(days, np.exp(log) * 10))
    return series


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_conformal_interval_of_persistence_covers_new_patients_as_promised(coverage, rng):
    known, new = random_walks(400, rng), random_walks(1000, rng)

    def told(many):
        return [persistence_forecast(s.first(2), s.days[2:]) for s in many]

    band = learn_conformal_band(told(known), [s.last_volume_ml for s in known], [s.days[1] for s in known], coverage)
    inside = []
    for one, forecast in zip(new, told(new), strict=True):
        low, _, high = band.apply(forecast, one.days[1]).volumes_ml[:, 0]
        inside.append(low <= one.last_volume_ml <= high)
    assert np.mean(inside) == pytest.approx(coverage, abs=3 * np.sqrt(coverage * (1 - coverage) * (1 / 400 + 1 / 1000)))


def test_conformal_interval_narrows_a_model_that_is_too_unsure(rng):
    x = rng.standard_normal(300)
    forecasts = [Forecast.from_samples([30.0], np.exp(5 * rng.standard_normal((400, 1))), "m") for _ in x]
    band = learn_conformal_band(forecasts, np.exp(x), np.zeros(300), 0.9)
    assert band.lower_shift_log < 0
    assert band.upper_shift_log < 0
    low, middle, high = np.log(band.apply(forecasts[0], 0.0).volumes_ml[:, 0])
    assert [low, high] == pytest.approx([-1.645, 1.645], abs=1.2)
    assert low <= middle <= high


def test_few_patients_cannot_promise_much(rng):
    known = random_walks(10, rng)
    told = [persistence_forecast(s.first(2), s.days[2:]) for s in known]
    band = learn_conformal_band(told, [s.last_volume_ml for s in known], [s.days[1] for s in known], 0.9)
    low, _, high = band.apply(told[0], known[0].days[1]).volumes_ml[:, 0]
    assert np.isinf(high)
    assert low == 0.0


def test_conformal_band_skips_failed_forecasts_and_hands_their_reason_on():
    bad = Forecast.unknown([30.0], "m", "one_scan", "why")
    good = Forecast([30.0], [0.5], [[2.0]], None, "m")
    band = learn_conformal_band([bad, good], [1.0, 2.0], [0.0, 0.0])
    assert band.n_patients == 1
    assert band.apply(bad, 0.0).reason == "why"
    for wrong in (
        lambda: learn_conformal_band([bad], [1.0], [0.0]),
        lambda: learn_conformal_band([good], [1.0], []),
        lambda: learn_conformal_band([good], [1.0], [0.0], 1.0),
        lambda: learn_conformal_band([Forecast([1.0, 2.0], [0.5], [[2.0, 2.0]], None, "m")], [1.0], [0.0]),
    ):
        with pytest.raises(ParameterError):
            wrong()


# --- choice ---------------------------------------------------------------------------------------------------------


def exponential_forecaster(series, days):
    rng = np.random.default_rng(0)
    fit = fit_growth(series, EXPONENTIAL)
    return forecast_growth(fit, sample_posterior(fit, rng) if fit.status == "ok" else None, days, rng)


def test_model_is_chosen_for_growing_tumours_and_persistence_for_resting_ones(rng):
    forecasters = {"persistence": persistence_forecast, "exponential": exponential_forecaster}
    days = np.arange(5) * 40.0
    growing = [VolumeSeries(days, 4 * np.exp(0.015 * days + 0.1 * rng.standard_normal(5))) for _ in range(6)]
    resting = [VolumeSeries(days, np.full(5, 4.0)) for _ in range(6)]
    choice = choose_forecaster(growing, forecasters)
    assert (choice.name, choice.n_scans, choice.n_left_out) == ("exponential", 6, 0)
    assert choice.scores["exponential"] < 0.6 * choice.scores["persistence"]
    assert choose_forecaster(resting, forecasters).name == "persistence"
    assert choose_forecaster(growing[0], forecasters, n_last=3).n_scans == 3


def test_choice_from_too_few_scans_says_so():
    choice = choose_forecaster(SERIES.first(2), {"persistence": persistence_forecast})
    assert (choice.name, choice.status) == ("", "too_few_scans")
    assert np.isnan(choice.scores["persistence"])
    left = choose_forecaster(SERIES, {"p": persistence_forecast, "l": log_linear_forecast}, min_scans=1, n_last=3)
    assert (left.n_scans, left.n_left_out) == (2, 1)
    with pytest.raises(ParameterError):
        choose_forecaster(SERIES, {})


def test_crps_of_a_normal_log_volume_is_known():
    x = np.random.default_rng(0).standard_normal(20_000)[:, None]
    forecast = Forecast.from_samples([1.0], np.exp(0.5 * x), "m")
    at_centre = 0.5 * (np.sqrt(2) - 1) / np.sqrt(np.pi)  # closed form of a normal distribution at its mean
    assert log_crps(forecast, 1.0, 1e-6)[0] == pytest.approx(at_centre, rel=0.03)


def test_crps_of_a_point_is_its_log_error_and_counts_nothing_below_the_limit():
    point = Forecast([1.0], [0.5], [[2.0]], None, "m")
    assert log_crps(point, 6.0)[0] == pytest.approx(np.log(3))
    assert log_crps(Forecast([1.0], [0.5], [[1e-9]], None, "m"), 0.0)[0] == 0.0
    assert np.isnan(log_crps(Forecast.unknown([1.0], "m", "one_scan", "why"), 1.0)[0])
