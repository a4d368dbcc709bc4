"""How long patients live: Kaplan-Meier curves, medians, numbers at risk."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times, restricted_mean_survival_time

from regrowth.errors import ParameterError
from regrowth.phantom import SurvivalModel
from regrowth.statistics import at_risk_table, check_times, kaplan_meier, restricted_mean
from tests.statistics.cohorts import real, ties

DATA = ["waltons", "lung", "rossi", "dd", "g3"]
# Freireich et al. 1963, remission under 6-MP in weeks: the textbook example of Kaplan-Meier.
REMISSION = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSE = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_curve_and_interval_equal_lifelines(name, level):
    time, event, _ = real(name)
    ours = kaplan_meier(time, event, level=level)
    theirs = KaplanMeierFitter(alpha=1 - level).fit(time, event)
    np.testing.assert_array_equal(ours.times, theirs.survival_function_.index)
    np.testing.assert_allclose(ours.survival, theirs.survival_function_.to_numpy()[:, 0], atol=1e-12)
    defined = ours.survival > 0  # where the curve is 0, lifelines writes 1 for both limits
    np.testing.assert_allclose(
        np.stack([ours.lower, ours.upper], 1)[defined], theirs.confidence_interval_.to_numpy()[defined], atol=1e-9
    )
    assert np.isnan(ours.lower[~defined]).all()
    assert np.isnan(ours.upper[~defined]).all()


@pytest.mark.parametrize("name", DATA)
def test_median_and_its_interval_equal_lifelines(name):
    time, event, _ = real(name)
    ours = kaplan_meier(time, event)
    theirs = KaplanMeierFitter().fit(time, event)
    limits = median_survival_times(theirs.confidence_interval_).to_numpy()[0]
    assert ours.median == theirs.median_survival_time_
    assert (ours.median_lower, ours.median_upper) == pytest.approx(tuple(limits))


def test_lung_cancer_patients_live_310_days_in_the_median_as_r_says():
    time, event, _ = real("lung")
    curve = kaplan_meier(time, event)
    # survfit(Surv(time, status) ~ 1, data = lung, conf.type = "log-log")
    assert (curve.n, curve.n_events, curve.median, curve.median_lower, curve.median_upper) == (228, 165, 310, 284, 361)


def test_the_textbook_example_has_its_published_values():
    curve = kaplan_meier(REMISSION, RELAPSE)
    # Kleinbaum and Klein 2012, table 2.2
    np.testing.assert_allclose(
        curve.survival_at([6, 7, 10, 13, 16, 22, 23]), [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], atol=5e-5
    )
    assert curve.median == 23
    assert curve.at_risk_at([6, 7, 10, 13, 16, 22, 23]).tolist() == [21, 17, 15, 12, 11, 7, 6]


def test_without_censoring_the_curve_is_the_share_still_alive(rng):
    time = np.ceil(rng.exponential(size=50) * 20)
    curve = kaplan_meier(time, np.ones(50))
    asked = np.linspace(0, time.max(), 40)
    np.testing.assert_allclose(curve.survival_at(asked), [(time > t).mean() for t in asked], atol=1e-12)


def test_a_curve_that_reaches_exactly_one_half_has_its_median_there():
    for n in range(2, 60, 2):  # 1/n steps do not add up to one half in binary
        assert kaplan_meier(np.arange(1, n + 1), np.ones(n)).median == n // 2


def test_median_is_infinite_where_the_curve_stays_above_one_half():
    curve = kaplan_meier([5, 6, 7, 8], [1, 0, 0, 0])
    assert (curve.median, curve.median_upper) == (np.inf, np.inf)


def test_the_lower_limit_of_the_median_is_known_where_the_curve_falls_to_0_though_its_interval_is_not():
    curve = kaplan_meier([4, 4, 4], [1, 1, 1])
    assert np.isnan(curve.lower[-1])
    assert (curve.median, curve.median_lower, curve.median_upper) == (4, 4, np.inf)


def test_without_events_the_curve_stays_at_one():
    curve = kaplan_meier([3, 5, 9], [0, 0, 0])
    assert (curve.n_events, curve.median) == (0, np.inf)
    assert curve.survival.tolist() == curve.lower.tolist() == curve.upper.tolist() == [1, 1, 1, 1]


def test_survival_is_unknown_beyond_the_last_patient_unless_nobody_is_left():
    assert np.isnan(kaplan_meier([5, 6], [1, 0]).survival_at(7))
    assert kaplan_meier([5, 6], [0, 1]).survival_at(7) == 0
    assert kaplan_meier([5, 6], [1, 0]).survival_at([0, 4.9, 5]).tolist() == [1, 1, 0.5]


def test_a_censoring_at_the_time_of_an_event_counts_as_after_it():
    assert kaplan_meier([5, 5, 8], [1, 0, 0]).survival_at(5) == pytest.approx(2 / 3)


def test_at_risk_table_counts_who_is_observed_up_to_each_time():
    curves = [kaplan_meier([2, 4, 4, 9], [1, 1, 0, 0]), kaplan_meier([1, 3], [1, 1])]
    assert at_risk_table(curves, [0, 2, 3, 4, 5, 10]).tolist() == [[4, 4, 3, 3, 1, 0], [2, 1, 1, 0, 0, 0]]


def test_curve_does_not_depend_on_the_order_of_the_patients(rng):
    time, event, _ = ties(rng)
    order = rng.permutation(len(time))
    first, second = kaplan_meier(time, event), kaplan_meier(time[order], event[order])
    np.testing.assert_array_equal(first.survival, second.survival)


@pytest.mark.parametrize("name", ["waltons", "lung", "rossi"])
def test_restricted_mean_equals_lifelines(name):
    time, event, _ = real(name)
    horizon = float(np.quantile(time, 0.8))
    ours = restricted_mean(kaplan_meier(time, event), horizon)
    assert ours.value == pytest.approx(restricted_mean_survival_time(KaplanMeierFitter().fit(time, event), horizon), rel=1e-9)


def test_restricted_mean_without_censoring_is_the_mean_of_the_cut_times(rng):
    time = rng.exponential(size=80)
    ours = restricted_mean(kaplan_meier(time, np.ones(80)), 0.7)
    cut = np.minimum(time, 0.7)
    assert ours.value == pytest.approx(cut.mean(), rel=1e-12)
    assert ours.standard_error == pytest.approx(cut.std() / np.sqrt(80), rel=1e-9)


def test_restricted_mean_is_refused_where_the_curve_is_unknown():
    with pytest.raises(ParameterError, match="last observation"):
        restricted_mean(kaplan_meier([5, 6], [1, 0]), 10)


def test_intervals_of_survival_and_median_cover_95_percent_of_simulated_cohorts():
    rng = np.random.default_rng(20)
    model = SurvivalModel()
    truth = np.exp(-((365 / model.scale_days) ** model.shape))
    median = model.scale_days * np.log(2) ** (1 / model.shape)
    held = np.zeros((1500, 2), bool)
    for row in held:
        drawn = model.outcomes(np.zeros((80, 4)), rng)
        curve = kaplan_meier(drawn.os_days, drawn.os_event)
        at = np.searchsorted(curve.times, 365, side="right") - 1
        row[:] = curve.lower[at] <= truth <= curve.upper[at], curve.median_lower <= median <= curve.median_upper
    assert (held.mean(axis=0) >= 0.93).all()
    assert (held.mean(axis=0) <= 0.97).all()


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([5, -1, 3], [1, 1, 0], "above 0.*1 of 3 rows; row 1: -1"),
        ([5, 0, 3], [1, 1, 0], "above 0"),
        ([5, np.nan, 3], [1, 1, 0], "time is missing"),
        ([5, np.inf, 3], [1, 1, 0], "time is missing or infinite"),
        ([5, 1, 3], [1, 2, 0], "must be 0 .* or 1"),
        ([5, 1, 3], [1, np.nan, 0], "event is missing"),
        ([5, 1, 3], [1, 0], "one length"),
        ([], [], "no times"),
        ([[5, 1]], [[1, 0]], "one length"),
        (["a", "b"], [1, 0], "numbers"),
        ([5, 1], ["yes", "no"], "numbers"),
    ],
)
def test_times_and_events_that_cannot_be_analysed_are_refused(time, event, message):
    with pytest.raises(ParameterError, match=message):
        check_times(time, event)
    with pytest.raises(ParameterError, match="overall survival: "):
        check_times(time, event, "overall survival")
    with pytest.raises(ParameterError):
        kaplan_meier(time, event)


def test_nothing_warns_at_the_ends_of_a_curve():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kaplan_meier([4], [1])
        kaplan_meier([4], [0])
        kaplan_meier([1, 1, 2, 2], [1, 1, 1, 1])
