from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.statistics.cox import cox
from regrowth.statistics.imputation import imputed, nelson_aalen, pool, pooled_cox


def cohort(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw times, events, an age (log hazard ratio 0.4) and a marker of 0 or 1 (-0.7) that goes with age."""
    age = rng.normal(size=n)
    marker = (rng.random(n) < 1 / (1 + np.exp(-age))).astype(float)
    death, lost = rng.exponential(np.exp(-0.4 * age + 0.7 * marker)), rng.exponential(4, n)
    return np.minimum(death, lost), death <= lost, age, marker


def completed(time, event, age, marker, rng, copies=10, **options):
    predictors = np.column_stack([event, nelson_aalen(time, event)])
    return imputed({"age": age[:, None], "marker": marker[:, None]}, predictors, rng, copies=copies, **options)


def test_nelson_aalen_adds_deaths_over_those_at_risk():
    np.testing.assert_allclose(
        nelson_aalen(np.array([1, 2, 2, 4.0]), np.array([1, 1, 1, 0])), [1 / 4, 11 / 12, 11 / 12, 11 / 12]
    )


def test_known_values_stay_and_imputed_ones_occur_in_the_data(rng):
    time, event, age, marker = cohort(rng, 80)
    holes = marker.copy()
    holes[:20] = np.nan
    for copy in completed(time, event, age, holes, rng):
        np.testing.assert_array_equal(copy["age"][:, 0], age)
        np.testing.assert_array_equal(copy["marker"][20:, 0], marker[20:])
        assert set(copy["marker"][:20, 0]) <= {0.0, 1.0}


def test_a_category_is_taken_whole_from_one_donor(rng):
    levels = np.eye(3)[rng.integers(0, 3, 90)][:, 1:]
    holes = levels.copy()
    holes[:30] = np.nan
    for copy in imputed({"level": holes}, rng.normal(size=(90, 2)), rng, copies=3):
        assert {tuple(row) for row in copy["level"]} <= {(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)}


def test_imputation_uses_the_other_variables(rng):
    x = rng.normal(size=300)
    y = 2 * x + 0.1 * rng.normal(size=300)
    holes = y.copy()
    holes[:100] = np.nan
    copy = imputed({"y": holes[:, None]}, x[:, None], rng, copies=1)[0]["y"][:100, 0]
    assert np.corrcoef(copy, y[:100])[0, 1] > 0.97


def test_the_same_seed_gives_the_same_copies():
    time, event, age, marker = cohort(np.random.default_rng(1), 60)
    marker[:15] = np.nan
    first, second = (completed(time, event, age, marker, np.random.default_rng(5), copies=2) for _ in range(2))
    np.testing.assert_array_equal(first[1]["marker"], second[1]["marker"])


def test_too_few_known_values_and_missing_outcomes_are_refused(rng):
    with pytest.raises(ParameterError, match="marker is known in 3 patients"):
        imputed({"marker": np.array([1.0, 0, 1] + [np.nan] * 9)[:, None]}, np.ones((12, 1)), rng)
    with pytest.raises(ParameterError, match="cannot be missing"):
        imputed({"marker": np.zeros((3, 1))}, np.array([[1.0], [np.nan], [2]]), rng)


def test_rubins_rules_on_two_copies_by_hand():
    estimate, error, freedom, share = pool(np.array([[1.0], [2.0]]), np.array([[[0.5]], [[0.7]]]), 50)
    total = 0.6 + 1.5 * 0.5
    lam = 0.75 / total
    observed = 51 / 53 * 50 * (1 - lam)
    assert estimate[0] == pytest.approx(1.5)
    assert error[0] == pytest.approx(np.sqrt(total))
    assert share[0] == pytest.approx(lam)
    assert freedom[0] == pytest.approx(1 / (lam**2 / 1 + 1 / observed))


def test_without_missing_values_the_pooled_model_is_the_cox_model(rng):
    time, event, age, marker = cohort(rng, 100)
    x = np.column_stack([age, marker])
    pooled, fit = pooled_cox(time, event, [x, x, x], ["age", "marker"]), cox(time, event, x, ["age", "marker"])
    np.testing.assert_allclose(pooled.coefficients, fit.coefficients)
    np.testing.assert_allclose(pooled.standard_errors, fit.standard_errors)
    np.testing.assert_allclose(pooled.missing_information, 0)
    with pytest.raises(ParameterError, match="two completed copies"):
        pooled_cox(time, event, [x], ["age", "marker"])


def test_intervals_cover_the_truth_where_complete_cases_waste_patients(rng):
    inside, wider = np.zeros(2), 0
    for _ in range(60):
        time, event, age, marker = cohort(rng, 150)
        lost = rng.random(150) < 0.15 + 0.4 * (age > 0)  # missing at random given the age
        holes = np.where(lost, np.nan, marker)
        copies = [np.column_stack([c["age"], c["marker"]]) for c in completed(time, event, age, holes, rng, 6, cycles=3)]
        rows = pooled_cox(time, event, copies, ["age", "marker"]).as_rows()
        inside += [r["lower"] <= np.exp(b) <= r["upper"] for r, b in zip(rows, (0.4, -0.7), strict=True)]
        complete = cox(time[~lost], event[~lost], np.column_stack([age, marker])[~lost], ["age", "marker"])
        wider += complete.standard_errors[0] > rows[0]["standard_error"]
    assert (inside >= 53).all()  # 95 % of 60 is 57, less 2.4 standard errors
    assert wider >= 55
