"""Whether a regression asks too much of its data."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.statistics import events_per_variable, variance_inflation
from tests.statistics.cohorts import ties


@pytest.mark.parametrize(("events", "variables", "low"), [(100, 10, False), (99, 10, True), (9, 1, True), (10, 1, False)])
def test_fewer_than_10_events_per_covariate_are_flagged(events, variables, low):
    found = events_per_variable(events, variables)
    assert found.value == events / variables
    assert found.is_low is low
    assert bool(found.message) is low
    assert not low or f"{events} events for {variables} covariates" in found.message


def test_no_covariates_or_a_negative_number_of_events_are_refused():
    with pytest.raises(ParameterError):
        events_per_variable(10, 0)
    with pytest.raises(ParameterError):
        events_per_variable(-1, 2)


def test_inflation_is_the_diagonal_of_the_inverse_correlation_matrix(rng):
    _, _, x = ties(rng)
    x[:, 2] += 2 * x[:, 0]
    found = variance_inflation(x, ["a", "b", "c"])
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_allclose(list(found.values()), np.diag(np.linalg.inv(np.corrcoef(x.T))), rtol=1e-9)


def test_inflation_is_1_over_1_minus_the_squared_correlation_of_two(rng):
    x = rng.normal(size=(50, 2)) @ np.array([[1, 0.8], [0, 0.6]])
    r = np.corrcoef(x.T)[0, 1]
    assert list(variance_inflation(x, ["a", "b"]).values()) == pytest.approx([1 / (1 - r**2)] * 2)


def test_inflation_is_infinite_for_repeated_covariates_and_unknown_for_constant_ones(rng):
    a, b = rng.normal(size=(2, 30))
    found = variance_inflation(np.column_stack([a, b, a + 1e6, np.ones(30)]), ["a", "b", "again", "one"])
    assert found["a"] == found["again"] == np.inf
    assert 1 <= found["b"] < 1.5
    assert np.isnan(found["one"])
    assert variance_inflation(a, ["a"]) == {"a": 1.0}


def test_missing_values_are_refused():
    with pytest.raises(ParameterError, match="missing"):
        variance_inflation([[1.0, np.nan], [2.0, 1.0], [3.0, 0.0]], ["a", "b"])
