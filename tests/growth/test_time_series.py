"""Series and forecasts are checked, and say what they do not know."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.growth.series import Forecast, VolumeSeries


@pytest.mark.parametrize(
    ("days", "volumes_ml", "says"),
    [
        ([0, 10, 10], [1, 2, 3], "two scans of patient 7 are on day 10"),
        ([0, 10], [1, -2], "at least 0"),
        ([0, np.nan], [1, 2], "not finite"),
        ([0, 1], [1, np.nan], "not finite"),
        ([0, 1], [1, np.inf], "not finite"),
        ([0, 1, 2], [1, 2], "one volume for each"),
        ([], [], "one volume for each"),
        ([[0, 1]], [[1, 2]], "one volume for each"),
        (["2020-01-01", "2020-02-01"], [1, 2], "count dates in days"),
        ([datetime.date(2020, 1, 1)], [1], "count dates in days"),
        (np.array(["2020-01-01"], "datetime64[D]"), [1], "days"),
    ],
)
def test_wrong_series_is_refused_and_named(days, volumes_ml, says):
    with pytest.raises(ParameterError, match=says) as error:
        VolumeSeries(days, volumes_ml, "patient 7")
    assert "patient 7" in str(error.value)


def test_series_is_sorted_and_cannot_be_changed():
    series = VolumeSeries([30, 0, 10], [3.0, 1.0, 0.0])
    assert series.days.tolist() == [0, 10, 30]
    assert series.volumes_ml.tolist() == [1, 0, 3]
    assert (series.last_day, series.last_volume_ml, series.nadir_ml, len(series)) == (30, 3, 0, 3)
    with pytest.raises(ValueError, match="read-only"):
        series.volumes_ml[0] = 5


def test_first_scans_are_a_series():
    series = VolumeSeries([0, 10, 30], [1.0, 2.0, 3.0], "x")
    assert series.first(2).days.tolist() == [0, 10]
    assert series.first(2).label == "x"
    for n in (0, 4):
        with pytest.raises(ParameterError, match="ask for 1 to 3"):
            series.first(n)


def test_quantiles_and_exceedance_come_from_the_samples():
    samples = np.arange(1.0, 101)[:, None] * [1.0, 10.0]
    forecast = Forecast.from_samples([5.0, 6.0], samples, "m", (0.1, 0.5))
    assert forecast.volumes_ml[1].tolist() == [50.5, 505.0]
    assert forecast.median.tolist() == [50.5, 505.0]
    assert forecast.exceedance(90.0).tolist() == [0.1, 0.91]
    assert forecast.quantile(0.25) == pytest.approx(np.quantile(samples, 0.25, axis=0))


def test_without_samples_tails_are_not_made_up():
    forecast = Forecast([0.0], [0.05, 0.5, 0.95], [[1.0], [2.0], [4.0]], None, "m")
    assert forecast.quantile(0.5)[0] == 2.0
    assert forecast.quantile(0.275)[0] == pytest.approx(1.5)
    assert np.isnan(forecast.quantile(0.01)[0])
    assert forecast.exceedance(3.0)[0] == pytest.approx(1 - 0.725)
    assert forecast.exceedance(100.0)[0] == pytest.approx(0.05)
    assert forecast.exceedance(0.1)[0] == pytest.approx(0.95)


def test_point_forecast_exceeds_or_does_not():
    forecast = Forecast([0.0], [0.5], [[2.0]], None, "m")
    assert [forecast.exceedance(x)[0] for x in (1.9, 2.0, 2.1)] == [1.0, 0.0, 0.0]


def test_unknown_forecast_is_nan_everywhere():
    forecast = Forecast.unknown([1.0, 2.0], "m", "one_scan", "why")
    assert np.isnan(forecast.volumes_ml).all()
    assert np.isnan(forecast.median).all()
    assert np.isnan(forecast.exceedance(1.0)).all()
    assert (forecast.status, forecast.reason) == ("one_scan", "why")


@pytest.mark.parametrize(
    ("levels", "volumes"), [([0.5], [[1.0, 2.0]]), ([0.5, 0.5], [[1.0], [1.0]]), ([0.0], [[1.0]]), ([], np.empty((0, 1)))]
)
def test_forecast_with_wrong_shape_or_levels_is_refused(levels, volumes):
    with pytest.raises(ParameterError):
        Forecast([0.0], levels, volumes, None, "m")
