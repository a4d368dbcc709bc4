"""On real lesions a forecast is worth more than persistence where they grow, and its intervals hold what they promise."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from regrowth.growth.baselines import persistence_forecast
from regrowth.growth.cohort_prior import learn_cohort_prior
from regrowth.growth.conformal import learn_conformal_band
from regrowth.growth.fit import fit_growth
from regrowth.growth.forecast import Carry, forecast_growth
from regrowth.growth.models import GROWTH_INHIBITION
from regrowth.growth.posterior import sample_posterior
from regrowth.growth.series import VolumeSeries
from regrowth.growth.treatment import DrugCourse, Treatment

pytestmark = pytest.mark.realdata

DETECTION_ML = 0.065  # a lesion of 5 mm in the data's own formula
DRUG = Treatment(drugs=(DrugCourse(0.0),))
CARRY = Carry(trend_weight=0.5, growth_certainty=0.8)  # chosen on even-numbered series, see benchmarks/bench_growth_time.py


@pytest.fixture(scope="module")
def lesions(real_data) -> tuple[list[VolumeSeries], list[VolumeSeries]]:
    """Even- and odd-numbered series with at least four readings on different days."""
    path = real_data / "lesion-series" / "lesion_series.csv"
    if not path.is_file():
        pytest.skip("lesion series are absent")
    parts: tuple[list[VolumeSeries], list[VolumeSeries]] = ([], [])
    with path.open(encoding="utf-8") as file:
        for i, row in enumerate(csv.DictReader(file)):
            days, volumes = json.loads(row["T_days"]), np.array(json.loads(row["Lesion_vol"])) / 1000
            if len(days) >= 4 and len(set(days)) == len(days) and volumes[:-1].any():
                parts[i % 2].append(VolumeSeries(days, volumes))
    return parts


@pytest.fixture(scope="module")
def told(lesions):
    """Forecasts of the last reading of each series, with a prior of 60 others."""
    even, odd = lesions
    known = [s.first(len(s) - 1) for s in even[:60]]
    prior = learn_cohort_prior(
        known, GROWTH_INHIBITION, [DRUG] * len(known), n_iterations=3, noise_freedom=4.0, detection_ml=DETECTION_ML
    )
    rng = np.random.default_rng(0)

    def forecast(series):
        fit = fit_growth(series.first(len(series) - 1), GROWTH_INHIBITION, DRUG, prior, n_starts=2, detection_ml=DETECTION_ML)
        assert fit.status == "ok", fit.reason
        return forecast_growth(fit, sample_posterior(fit, rng, 200, 600, 2), series.days[-1:], rng, CARRY)

    return {id(s): forecast(s) for s in (*even[60:200], *odd)}


def log_errors(series, forecasts):
    point, seen = [f.median[0] for f in forecasts], [s.last_volume_ml for s in series]
    return np.abs(np.log(np.maximum(point, DETECTION_ML) / np.maximum(seen, DETECTION_ML)))


def test_there_are_as_many_series_as_the_data_say(lesions):
    assert [len(part) for part in lesions] == [270, 264]


def test_forecast_is_not_worse_than_persistence_and_better_where_lesions_grow(lesions, told):
    _, odd = lesions
    ours = log_errors(odd, [told[id(s)] for s in odd])
    carried = log_errors(odd, [persistence_forecast(s.first(len(s) - 1), s.days[-1:]) for s in odd])
    grows = np.array([s.last_volume_ml > 1.1 * max(s.volumes_ml[-2], DETECTION_ML) for s in odd])
    assert grows.sum() > 100
    assert np.median(ours) <= np.median(carried)
    assert ours.mean() <= carried.mean()
    assert ours[grows].mean() < 0.95 * carried[grows].mean()
    assert np.median(ours[grows]) < 0.9 * np.median(carried[grows])
    seen = np.array([s.last_volume_ml for s in odd])
    relative = [np.abs(f.median[0] / v - 1) for f, v in zip([told[id(s)] for s in odd], seen, strict=True) if v > 0]
    trivial = [np.abs(s.volumes_ml[-2] / v - 1) for s, v in zip(odd, seen, strict=True) if v > 0]
    assert np.median(relative) <= np.median(trivial)


def test_ninety_percent_intervals_cover_85_to_95_percent_of_new_lesions(lesions, told):
    even, odd = lesions
    known = even[60:200]
    band = learn_conformal_band(
        [told[id(s)] for s in known], [s.last_volume_ml for s in known], [s.days[-2] for s in known], detection_ml=DETECTION_ML
    )
    inside = []
    for one in odd:
        low, _, high = band.apply(told[id(one)], one.days[-2]).volumes_ml[:, 0]
        inside.append(low <= max(one.last_volume_ml, DETECTION_ML) <= max(high, DETECTION_ML))
    assert 0.85 <= np.mean(inside) <= 0.95
