from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.phantom import SurvivalModel
from regrowth.phantom.survival import COVARIATES, covariate_row


def _covariates(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([rng.normal(0, 1.1, n), rng.random(n) < 0.4, rng.random(n) < 0.6, rng.normal(-0.8, 0.8, n)])


def _cox(days: np.ndarray, event: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method on the Cox partial likelihood without ties; coefficients and standard errors."""
    order = np.argsort(-days)
    event, x = event[order], x[order]
    beta = np.zeros(x.shape[1])
    for _ in range(15):
        weight = np.exp(x @ beta)
        s0 = np.cumsum(weight)
        mean = np.cumsum(weight[:, None] * x, axis=0) / s0[:, None]
        square = np.cumsum(weight[:, None, None] * x[:, :, None] * x[:, None, :], axis=0) / s0[:, None, None]
        score = (x - mean)[event].sum(axis=0)
        information = (square - mean[:, :, None] * mean[:, None, :])[event].sum(axis=0)
        beta = beta + np.linalg.solve(information, score)
    return beta, np.sqrt(np.diag(np.linalg.inv(information)))


def test_a_cox_model_finds_the_coefficients_that_were_put_in(rng: np.random.Generator) -> None:
    model, x = SurvivalModel(), _covariates(5000, rng)
    outcome = model.outcomes(x, rng)
    beta, error = _cox(outcome.os_days, outcome.os_event, x)
    truth = np.array([model.coefficients[name] for name in COVARIATES])
    assert (np.abs(beta - truth) < 3 * error).all()
    assert (np.abs(truth) > 5 * error).all(), "the check would pass with coefficients of 0"


def test_time_to_progression_is_accelerated_by_the_same_covariates(rng: np.random.Generator) -> None:
    model = SurvivalModel(censoring_days=1e12, horizon_days=1e12)
    x = _covariates(5000, rng)
    outcome = model.outcomes(x, rng)
    assert outcome.ttp_event.all()
    design = np.column_stack([np.ones(len(x)), x])
    slopes = np.linalg.lstsq(design, np.log(outcome.ttp_days), rcond=None)[0][1:]
    truth = np.array([model.coefficients[name] for name in COVARIATES])
    np.testing.assert_allclose(slopes, -truth / model.shape, atol=0.09)


def test_uncensored_survival_is_weibull(rng: np.random.Generator) -> None:
    model = SurvivalModel(censoring_days=1e12, horizon_days=1e12)
    days = model.outcomes(np.zeros((20_000, 4)), rng).os_days
    for q in (0.25, 0.5, 0.75):
        expected = model.scale_days * (-np.log(1 - q)) ** (1 / model.shape)
        assert np.quantile(days, q) == pytest.approx(expected, rel=0.03)


def test_progression_comes_before_death_and_nobody_outlives_the_study(rng: np.random.Generator) -> None:
    model = SurvivalModel()
    outcome = model.outcomes(_covariates(2000, rng), rng)
    assert (outcome.ttp_days <= outcome.os_days).all()
    assert outcome.os_days.max() <= model.horizon_days
    assert 0.05 < 1 - outcome.os_event.mean() < 0.5
    assert (outcome.ttp_event | ~outcome.os_event).all(), "whoever died had progressed"


def test_a_patient_scanned_at_progression_has_progressed(rng: np.random.Generator) -> None:
    for _ in range(50):
        outcome = SurvivalModel().outcome_after_progression(_covariates(1, rng)[0], rng)
        assert outcome.ttp_event[0]
        assert 60 <= outcome.ttp_days[0] < outcome.os_days[0] <= 1826


def test_a_model_that_never_shows_progression_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ParameterError, match="hardly ever"):
        SurvivalModel(horizon_days=10).outcome_after_progression(np.zeros(4), rng)


def test_a_model_needs_every_coefficient() -> None:
    with pytest.raises(ParameterError, match="mgmt_methylated"):
        SurvivalModel(coefficients={"age_per_10y": 0.1})


def test_covariates_are_centred_and_need_volumes() -> None:
    np.testing.assert_allclose(covariate_row(70, True, False, 20.0, 10.0), [1.0, 1.0, 0.0, np.log(2)])
    with pytest.raises(ParameterError, match="positive"):
        covariate_row(60, True, True, 5.0, 0.0)
