"""Whether hazards are proportional."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.datasets import load_regression_dataset, load_rossi
from lifelines.statistics import proportional_hazard_test

from regrowth.errors import ParameterError
from regrowth.statistics import cox, proportional_hazards_test, schoenfeld_residuals
from tests.statistics.cohorts import ties

PRECISE = {"precision": 1e-14, "r_precision": 1e-15}


def just_before(time: pd.Series, event: pd.Series, weights: pd.Series) -> pd.Series:
    """Give 1 - Kaplan-Meier just before each time, as cox.zph of R takes it; lifelines takes it at the time itself."""
    curve = KaplanMeierFitter().fit(time, event).survival_function_["KM_estimate"]
    before = curve.shift(1, fill_value=1.0)
    return 1 - before.loc[time]


def test_recidivism_has_the_values_published_from_r():
    # cox.zph(mod.allison.4) as printed in Fox and Weisberg 2011, quoted from memory
    data, names = load_rossi(), ["fin", "age", "prio"]
    fit = cox(data["week"], data["arrest"], data[names], names)
    rows = proportional_hazards_test(fit, data["week"], data["arrest"], data[names])
    assert [row["covariate"] for row in rows] == [*names, "GLOBAL"]
    assert [row["degrees_of_freedom"] for row in rows] == [1, 1, 1, 3]
    np.testing.assert_allclose([row["statistic"] for row in rows], [0.00507, 6.54147, 0.77288, 7.13046], atol=6e-6)
    np.testing.assert_allclose([row["p_value"] for row in rows], [0.9433, 0.0105, 0.3793, 0.0679], atol=6e-5)


@pytest.mark.parametrize("strata", [None, ["race", "wexp"]])
@pytest.mark.parametrize(("ours", "theirs"), [("identity", "identity"), ("log", "log"), ("km", just_before)])
def test_statistics_equal_lifelines(ours, theirs, strata):
    data = load_rossi()
    names = [c for c in data if c not in ("week", "arrest", *(strata or []))]
    labels = None if strata is None else data[strata].astype(str).agg("-".join, axis=1)
    fit = cox(data["week"], data["arrest"], data[names], names, strata=labels)
    fitter = CoxPHFitter().fit(data, "week", "arrest", strata=strata, fit_options=PRECISE)
    expected = proportional_hazard_test(fitter, data, time_transform=theirs)
    rows = proportional_hazards_test(fit, data["week"], data["arrest"], data[names], transform=ours)
    np.testing.assert_allclose([row["statistic"] for row in rows[:-1]], expected.test_statistic, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose([row["p_value"] for row in rows[:-1]], expected.p_value, atol=1e-6)


def test_ranks_equal_those_of_r_and_lifelines_without_ties():
    data, names = load_regression_dataset(), ["var1", "var2", "var3"]
    data["T"] += np.arange(len(data)) * 1e-9  # lifelines ranks tied times in the order of the rows
    fit = cox(data["T"], data["E"], data[names], names)
    rows = proportional_hazards_test(fit, data["T"], data["E"], data[names], transform="rank")
    fitter = CoxPHFitter().fit(data, "T", "E", fit_options=PRECISE)
    np.testing.assert_allclose(
        [row["statistic"] for row in rows[:-1]], proportional_hazard_test(fitter, data, "rank").test_statistic, rtol=1e-6
    )
    # cox.zph(..., transform = "rank") of R, as quoted in the tests of lifelines
    np.testing.assert_allclose([row["statistic"] for row in rows[:-1]], [1.4938293, 0.8792998, 2.2686088], rtol=1e-3)


def test_schoenfeld_residuals_equal_lifelines_and_add_up_to_0():
    names = ["fin", "age", "prio"]
    data = load_rossi()[[*names, "week", "arrest"]]
    fit = cox(data["week"], data["arrest"], data[names], names)
    times, residuals = schoenfeld_residuals(fit)
    fitter = CoxPHFitter().fit(data, "week", "arrest", fit_options=PRECISE)
    theirs = fitter.compute_residuals(data, kind="schoenfeld")
    at = data.loc[theirs.index, "week"].to_numpy()
    for week in np.unique(at):  # tied events come in another order
        np.testing.assert_allclose(
            np.sort(residuals[times == week], axis=0), np.sort(theirs.to_numpy()[at == week], axis=0), atol=1e-6
        )
    np.testing.assert_allclose(residuals.sum(axis=0), 0, atol=1e-6)


def test_an_effect_that_fades_is_found_and_a_constant_one_is_not():
    rng = np.random.default_rng(4)
    n = 1500
    x = np.column_stack([rng.integers(0, 2, n), rng.normal(size=n)]).astype(float)
    # The hazard ratio of the first covariate is exp(1.5) before time 0.5, then 1.
    target = rng.exponential(size=n) * np.exp(-0.5 * x[:, 1])
    fast = np.exp(1.5 * x[:, 0])
    time = np.where(target < 0.5 * fast, target / fast, 0.5 + target - 0.5 * fast)
    fit = cox(time, np.ones(n), x, ["fading", "constant"])
    fading, constant, together = proportional_hazards_test(fit, time, np.ones(n), x)
    assert fading["p_value"] < 1e-6
    assert constant["p_value"] > 0.05
    assert together["p_value"] < 1e-6


def test_proportional_hazards_are_rejected_5_percent_of_the_time():
    rng = np.random.default_rng(15)
    below = []
    for _ in range(1000):
        x = rng.normal(size=(150, 2))
        time, event = rng.exponential(size=150) * np.exp(-x @ [0.5, -0.5]), rng.random(150) < 0.8
        rows = proportional_hazards_test(cox(time, event, x, ["a", "b"]), time, event, x)
        below.append([row["p_value"] < 0.05 for row in rows])
    rates = np.mean(below, axis=0)
    assert (rates >= 0.03).all(), rates
    assert (rates <= 0.07).all(), rates


def test_with_one_event_time_there_is_no_test():
    fit = cox([2, 2, 3, 4, 4], [1, 1, 0, 0, 0], [0.1, 0.9, 0.5, 0.7, 0.2], ["x"])
    rows = proportional_hazards_test(fit, [2, 2, 3, 4, 4], [1, 1, 0, 0, 0], [0.1, 0.9, 0.5, 0.7, 0.2])
    assert all(np.isnan(row["statistic"]) and np.isnan(row["p_value"]) for row in rows)


def test_other_data_and_unknown_transforms_are_refused(rng):
    time, event, x = ties(rng)
    fit = cox(time, event, x, ["a", "b", "c"])
    with pytest.raises(ParameterError, match="that the model was fitted to"):
        proportional_hazards_test(fit, time[::-1], event, x)
    with pytest.raises(ParameterError, match="one of km, rank, identity, log"):
        proportional_hazards_test(fit, time, event, x, transform="sqrt")


def test_tied_events_share_their_mean_rank_so_that_the_order_of_rows_does_not_matter(rng):
    time, event, x = ties(rng)
    order = rng.permutation(len(time))
    fit = cox(time, event, x, ["a", "b", "c"])
    rows = proportional_hazards_test(fit, time, event, x, transform="rank")
    # Ranks among the events, ties averaged, given to the same test as times.
    at, residuals = schoenfeld_residuals(fit)
    ranks = np.array([(at < t).sum() + ((at == t).sum() + 1) / 2 for t in at])
    slope = (ranks - ranks.mean()) @ residuals @ fit.covariance
    expected = fit.n_events * slope**2 / np.diag(fit.covariance) / np.sum((ranks - ranks.mean()) ** 2)
    np.testing.assert_allclose([row["statistic"] for row in rows[:-1]], expected, rtol=1e-9)
    again = cox(time[order], event[order], x[order], ["a", "b", "c"])
    shuffled = proportional_hazards_test(again, time[order], event[order], x[order], transform="rank")
    np.testing.assert_allclose([row["statistic"] for row in shuffled], [row["statistic"] for row in rows], rtol=1e-6)
