from __future__ import annotations

import math

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.statistics.cox import cox
from regrowth.statistics.interaction import age_interaction


def cohort(rng: np.random.Generator, n: int, interaction: float) -> tuple[np.ndarray, ...]:
    age, mgmt = rng.uniform(30, 80, n), (rng.random(n) < 0.4).astype(float)
    decades = (age - 60) / 10
    risk = 0.3 * decades - 0.6 * mgmt + interaction * decades * mgmt
    death, lost = rng.exponential(500 * np.exp(-risk)), rng.exponential(2000, n)
    return np.minimum(death, lost), death <= lost, age, mgmt


def test_known_hazard_ratios_at_ages_lie_in_the_intervals(rng):
    time, event, age, mgmt = cohort(rng, 1500, 0.4)
    found = age_interaction(time, event, age, mgmt, (40, 60, 80), level=0.99)
    for row in found.at_ages:
        truth = math.exp(-0.6 + 0.4 * (row["age"] - 60) / 10)
        assert row["lower"] <= truth <= row["upper"]
    assert found.test.degrees_of_freedom == 1
    assert found.test.p_value < 1e-4
    assert found.outside == (80.0,)


def test_the_hazard_ratio_at_an_age_is_that_of_a_model_centred_there(rng):
    time, event, age, mgmt = cohort(rng, 200, 0.3)
    row = age_interaction(time, event, age, mgmt, (45,)).at_ages[0]
    centred = (age - 45) / 10
    fit = cox(time, event, np.column_stack([centred, mgmt, centred * mgmt]), ["a", "m", "am"])
    lower, upper = np.exp(fit.interval()[1])
    assert row["hazard_ratio"] == pytest.approx(fit.hazard_ratios[1], rel=1e-6)
    assert (row["lower"], row["upper"]) == (pytest.approx(lower, rel=1e-6), pytest.approx(upper, rel=1e-6))


def test_without_an_interaction_the_test_rejects_five_percent(rng):
    rejected = [age_interaction(*cohort(rng, 150, 0.0)).test.p_value < 0.05 for _ in range(200)]
    assert np.mean(rejected) <= 0.10  # 5 % and 3 standard errors


def test_a_ridge_gives_no_likelihood_ratio(rng):
    assert age_interaction(*cohort(rng, 100, 0.0), penalty="ridge", strength=1.0).test is None


def test_one_status_only_and_missing_values_are_refused(rng):
    time, event, age, mgmt = cohort(rng, 30, 0.0)
    with pytest.raises(ParameterError, match="same MGMT status"):
        age_interaction(time, event, age, np.ones(30))
    with pytest.raises(ParameterError, match="must be known"):
        age_interaction(time, event, np.where(mgmt > 0, np.nan, age), mgmt)
