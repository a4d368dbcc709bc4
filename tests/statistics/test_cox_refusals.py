"""What a Cox model refuses to be fitted to, and what it says then."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.statistics import contrast, cox, likelihood_ratio, predicted_survival
from tests.statistics.cohorts import ties

TIME, EVENT = [5, 8, 12, 20, 21, 30], [1, 1, 0, 1, 1, 0]
X = [[1, 61.0], [0, 55.0], [1, 70.0], [1, 48.0], [0, 66.0], [0, 59.0]]


def test_a_covariate_that_separates_is_named_and_firth_recommended(rng):
    time, event, x = ties(rng)
    event[x[:, 1] == 0] = False
    with pytest.raises(ParameterError, match=r"no finite estimate: mgmt separates .*penalty='firth'"):
        cox(time, event, x, ["age", "mgmt", "volume"])


def test_complete_order_by_a_covariate_is_separation():
    with pytest.raises(ParameterError, match="age separates"):
        cox([1, 2, 3, 4, 5], [1, 1, 1, 1, 1], [5, 4, 3, 2, 1], ["age"])


def test_covariates_that_separate_together_are_all_named():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 3))
    time = np.argsort(np.argsort(-(x[:, 0] + x[:, 1]))) + 1
    with pytest.raises(ParameterError, match=r"a, b(, c)? separate the patients"):
        cox(time, np.ones(40), x, ["a", "b", "c"])


def test_a_strong_effect_is_not_mistaken_for_separation():
    rng = np.random.default_rng(6)
    x = rng.integers(0, 2, 400)
    time = rng.exponential(size=400) * np.exp(-4.0 * x)
    assert cox(time, np.ones(400), x, ["x"]).coefficients[0] == pytest.approx(4, abs=0.5)


def test_one_event_in_the_rarer_group_is_enough_for_an_estimate():
    time, x = np.arange(1.0, 31), np.repeat([1, 0], 15)
    event = x.copy()
    time[20], event[20] = 3.5, 1
    assert np.isfinite(cox(time, event, x, ["x"]).coefficients[0])


def test_constant_covariates_are_named_with_their_value():
    with pytest.raises(ParameterError, match=r"idh \(always 1\) does not vary"):
        cox(TIME, EVENT, np.column_stack([X, np.ones(6)]), ["mgmt", "age", "idh"])


@pytest.mark.parametrize("penalty", ["none", "firth"])
def test_collinear_covariates_are_named_and_the_innocent_are_not(rng, penalty):
    time, event, x = ties(rng)
    doubled = np.column_stack([x, 2 * x[:, 0] - x[:, 2] + 7])
    with pytest.raises(ParameterError, match=r"^age, volume, sum are collinear"):
        cox(time, event, doubled, ["age", "mgmt", "volume", "sum"], penalty=penalty)


def test_a_covariate_that_only_tells_the_strata_apart_is_named(rng):
    time, event, x = ties(rng)
    with pytest.raises(ParameterError, match=r"mgmt does not vary .*within strata"):
        cox(time, event, x, ["age", "mgmt", "volume"], strata=x[:, 1])


def test_a_covariate_that_varies_only_among_those_who_left_before_the_first_event_is_named():
    with pytest.raises(ParameterError, match="sex does not vary among the patients at risk"):
        cox([1, 2, 5, 6, 7, 8], [0, 0, 1, 1, 0, 1], [1, 1, 0, 0, 0, 0], ["sex"])


def test_without_events_there_is_no_hazard_ratio():
    with pytest.raises(ParameterError, match="none of the 6 patients has an event"):
        cox(TIME, np.zeros(6), X, ["mgmt", "age"])


def test_missing_values_are_counted_by_covariate():
    x = np.array(X)
    x[[1, 3], 1] = np.nan
    with pytest.raises(ParameterError, match=r"missing or infinite in age \(2\)"):
        cox(TIME, EVENT, x, ["mgmt", "age"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": [5, 8, 12, 20, 21, -3]}, "above 0"),
        ({"time": [5, 8, 12, 20, 21, 0]}, "above 0"),
        ({"event": [1, 1, 0, 1, 2, 0]}, "0 .* or 1"),
        ({"event": [1, 1, 0, 1, 1]}, "one length"),
        ({"time": [], "event": [], "covariates": np.zeros((0, 2))}, "no times"),
        ({"names": ["mgmt"]}, "shape"),
        ({"names": ["mgmt", "mgmt"]}, "different names"),
        ({"covariates": np.zeros((6, 0)), "names": []}, "shape"),
        ({"covariates": [["a", "b"]] * 6}, "numbers"),
        ({"strata": ["a", "b"]}, "each of the 6 patients needs one stratum"),
        ({"strata": [1.0, 1, 1, 1, 1, np.nan]}, "stratum of some patients is missing"),
        ({"penalty": "lasso"}, "one of none, ridge, firth"),
        ({"penalty": "ridge"}, "strength above 0"),
        ({"penalty": "ridge", "strength": -1.0}, "strength above 0"),
        ({"strength": 1.0}, "only a ridge has a strength"),
    ],
)
def test_data_and_options_that_make_no_sense_are_refused(change, message):
    given = {"time": TIME, "event": EVENT, "covariates": X, "names": ["mgmt", "age"]} | change
    with pytest.raises(ParameterError, match=message):
        cox(**given)


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0, 0.0], [1.0, np.nan, 0.0]])
def test_contrasts_without_sense_are_refused(rng, weights):
    with pytest.raises(ParameterError, match="one finite weight"):
        contrast(cox(*ties(rng), ["a", "b", "c"]), weights)


def test_likelihoods_of_models_that_are_not_nested_are_not_compared(rng):
    time, event, x = ties(rng)
    full, other = cox(time, event, x[:, :2], ["a", "b"]), cox(time, event, x[:, 1:], ["b", "c"])
    with pytest.raises(ParameterError, match="not nested"):
        likelihood_ratio(full, other)
    with pytest.raises(ParameterError, match="not nested"):
        likelihood_ratio(full, full)
    fewer = cox(time[5:], event[5:], x[5:, 0], ["a"])
    with pytest.raises(ParameterError, match="same patients"):
        likelihood_ratio(full, fewer)
    ridge = cox(time, event, x[:, 0], ["a"], penalty="ridge", strength=1.0)
    with pytest.raises(ParameterError, match="'none' and 'ridge'"):
        likelihood_ratio(full, ridge)


def test_a_baseline_must_be_named_where_there_are_several(rng):
    time, event, x = ties(rng)
    fit = cox(time, event, x[:, [0, 2]], ["a", "c"], strata=x[:, 1].astype(int))
    with pytest.raises(ParameterError, match="name one of the strata 0, 1"):
        predicted_survival(fit, fit.means, [5])
    with pytest.raises(ParameterError, match="no stratum '7'"):
        predicted_survival(fit, fit.means, [5], stratum="7")
