"""The score card: strata, baselines, verdicts that a model earns or loses."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import InputError, ParameterError
from regrowth.growth import (
    CaseScore,
    Forecast,
    Strata,
    coverage_curve,
    margin_scores,
    recurrence_coverage,
    score_card,
    score_forecast,
    score_map,
    score_mask,
    score_plan,
    score_volume,
    spatial_baselines,
    standard_plan,
)
from regrowth.space import Grid

GRID = Grid((48, 48, 24), np.diag([1.0, 1.0, 2.0, 1.0]))


def ball(radius_mm: float, x_mm: float = 24.0) -> np.ndarray:
    place = GRID.world(np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), axis=-1))
    return np.linalg.norm(place - [x_mm, 24.0, 24.0], axis=-1) <= radius_mm


def ml(mask: np.ndarray) -> float:
    return float(mask.sum() * GRID.voxel_volume_ml)


@pytest.mark.parametrize(
    ("reference", "observed", "stratum"),
    [
        (10.0, 12.5, "growing"),
        (10.0, 12.4, "stable"),
        (10.0, 8.1, "stable"),
        (10.0, 8.0, "shrinking"),
        (0.0, 1.0, "growing"),
        (1.0, 0.0, "shrinking"),
        (0.0, 0.0, "unknown"),
        (np.nan, 1.0, "unknown"),
    ],
)
def test_strata_follow_the_documented_factors(reference, observed, stratum):
    assert Strata().of(reference, observed) == stratum


def test_thresholds_are_parameters_and_impossible_ones_are_refused():
    assert Strata(1.1, 0.9).of(10.0, 11.5) == "growing"
    with pytest.raises(ParameterError, match="growing_factor above 1"):
        Strata(0.9, 0.8)


@pytest.fixture(scope="module")
def monotone_card():
    """Twelve tumours, six that grow and six that shrink, and a model that makes every tumour grow by half its volume."""
    scores = []
    for i in range(12):
        before = ball(8.0 + 0.3 * (i % 6))
        after = ball((9.6 if i < 6 else 6.0) + 0.3 * (i % 6))
        model = spatial_baselines(before, np.ones(GRID.shape, bool), GRID, 1.5 * ml(before))
        for name, plan in (("only grows", model["uniform dilation"]), ("persistence", model["persistence"])):
            scores += score_mask(f"p{i}", name, plan.mask, after, ml(before), GRID)
            scores += score_volume(f"p{i}", name, plan.volume_ml, ml(after), ml(before))
    return score_card(scores, ["persistence"], np.random.default_rng(5))


@pytest.mark.parametrize("measure", ["dice", "hd95_mm", "relative_error", "log_error", "crps_ml"])
def test_a_monotone_model_beats_persistence_on_growing_and_visibly_loses_on_shrinking_tumours(monotone_card, measure):
    found = {c.stratum: c for c in monotone_card.comparisons if c.measure == measure}
    assert "beats the baseline" in found["growing"].verdict
    assert "loses to the baseline" in found["shrinking"].verdict
    assert (found["growing"].n_better, found["growing"].n_worse) == (6, 0)
    assert (found["shrinking"].n_better, found["shrinking"].n_worse) == (0, 6)
    assert found["all"].difference.n == 12


def test_the_rows_of_a_card_are_flat_and_complete(monotone_card):
    summary, comparison = monotone_card.summary_rows(), monotone_card.comparison_rows()
    assert {r["stratum"] for r in summary} == {"all", "growing", "shrinking"}
    assert len({tuple(r) for r in summary}) == len({tuple(r) for r in comparison}) == 1
    first = summary[0]
    assert list(first) == [
        *("model", "measure", "stratum", "n", "n_missing", "mean", "mean_low", "mean_high"),
        *("median", "median_low", "median_high"),
    ]
    assert first["mean_low"] <= first["mean"] <= first["mean_high"]
    assert all(isinstance(v, str | int | float) for r in summary + comparison for v in r.values())
    assert monotone_card.verdicts() == tuple(r["verdict"] for r in comparison)


def test_verdicts_name_both_sides_the_measure_the_stratum_and_the_figures(monotone_card):
    verdict = next(v for v in monotone_card.verdicts() if "Dice, shrinking" in v)
    assert verdict.startswith("only grows against persistence, Dice, shrinking: loses to the baseline (mean difference -0.")
    assert verdict.endswith("n 6, signed-rank p 0.031)")


def case(patient: str, model: str, value: float, measure: str = "dice", stratum: str = "stable") -> CaseScore:
    return CaseScore(patient, model, measure, value, stratum)


def test_a_model_does_not_win_by_failing_where_it_is_hard(rng):
    scores = [case(f"p{i}", "baseline", 0.5) for i in range(10)]
    scores += [case(f"p{i}", "model", 0.9 if i < 7 else np.nan) for i in range(10)]
    card = score_card(scores, ["baseline"], rng)
    comparison = next(c for c in card.comparisons if c.stratum == "all")
    summary = next(s for s in card.summaries if (s.model, s.stratum) == ("model", "all"))
    assert (comparison.difference.n, comparison.n_only_one) == (7, 3)
    assert "3 patient(s) with a value for only one of both are left out" in comparison.verdict
    assert (summary.n, summary.n_missing) == (7, 3)


def test_equal_models_show_no_difference_and_few_patients_no_verdict(rng):
    same = [case(f"p{i}", m, 0.1 * i) for i in range(9) for m in ("model", "baseline")]
    assert "no difference shown" in score_card(same, ["baseline"], rng).verdicts()[0]
    few = [case(f"p{i}", m, v) for i in range(4) for m, v in (("model", 0.9), ("baseline", 0.1))]
    assert "too few patients to tell" in score_card(few, ["baseline"], rng).verdicts()[0]


def test_lower_is_better_is_known_for_errors(rng):
    scores = [case(f"p{i}", m, v + 0.01 * i, "log_error") for i in range(8) for m, v in (("model", 0.1), ("baseline", 0.4))]
    found = score_card(scores, ["baseline"], rng).comparisons[0]
    assert "beats the baseline" in found.verdict
    assert (found.n_better, found.n_worse) == (8, 0)
    assert found.difference.value == pytest.approx(-0.3)


def test_baselines_are_compared_with_each_other_and_never_with_themselves(rng):
    scores = [case(f"p{i}", m, 0.1) for i in range(6) for m in ("model", "persistence", "15 mm margin")]
    pairs = {(c.model, c.baseline) for c in score_card(scores, ["persistence", "15 mm margin"], rng).comparisons}
    assert pairs == {
        ("model", "persistence"),
        ("model", "15 mm margin"),
        ("15 mm margin", "persistence"),
        ("persistence", "15 mm margin"),
    }


def test_a_share_of_hits_has_wilsons_interval_and_no_verdict(rng):
    scores = [case(f"p{i}", m, float(i > 1), "interval_hit") for i in range(20) for m in ("model", "baseline")]
    card = score_card(scores, ["baseline"], rng)
    assert card.comparisons == ()
    found = card.summaries[0]
    assert (found.mean.value, found.mean.method) == (0.9, "share")
    assert found.mean.low == pytest.approx(0.699, abs=1e-3)
    assert np.isnan(found.median.value)


def test_faulty_score_lists_are_refused(rng):
    with pytest.raises(InputError, match="two values of dice"):
        score_card([case("p1", "m", 0.1), case("p1", "m", 0.2)], [], rng)
    with pytest.raises(InputError, match="no measure is called 'r2'"):
        score_card([case("p1", "m", 0.1, "r2")], [], rng)
    with pytest.raises(InputError, match="no score names the baseline"):
        score_card([case("p1", "m", 0.1)], ["persistence"], rng)
    with pytest.raises(InputError, match="growing in one score and stable"):
        score_card([case("p1", "m", 0.1, stratum="growing"), case("p1", "n", 0.1)], [], rng)
    assert score_card([], [], rng).summaries == ()


def values(scores: list[CaseScore]) -> dict[str, float]:
    return {s.measure: s.value for s in scores}


def test_a_volume_forecast_is_scored_by_its_draws_or_quantiles():
    draws = np.linspace(8.0, 12.0, 401)
    by_draws = values(score_volume("p", "m", 10.0, 11.0, 9.0, samples_ml=draws))
    levels = np.array([0.05, 0.5, 0.95])
    by_quantiles = values(
        score_volume("p", "m", 10.0, 11.0, 9.0, quantile_levels=levels, quantiles_ml=np.quantile(draws, levels))
    )
    assert by_draws["relative_error"] == pytest.approx(1 / 11)
    assert by_draws["interval_hit"] == by_quantiles["interval_hit"] == 1.0
    assert by_draws["crps_ml"] == pytest.approx(by_quantiles["crps_ml"], abs=0.02)
    assert values(score_volume("p", "m", 10.0, 12.5, 9.0, samples_ml=draws))["interval_hit"] == 0.0


def test_a_point_forecast_gets_its_absolute_error_and_no_interval():
    found = values(score_volume("p", "persistence", 10.0, 12.5, 10.0))
    assert found["crps_ml"] == 2.5
    assert "interval_hit" not in found


def test_a_missing_forecast_or_observation_is_nan_with_a_reason():
    for scores, reason in (
        (score_volume("p", "m", np.nan, 10.0, 9.0), "no forecast"),
        (score_volume("p", "m", 10.0, np.nan, 9.0), "no observation"),
    ):
        assert all(np.isnan(s.value) for s in scores)
        assert {s.reason for s in scores} == {reason}
    gone = {s.measure: s for s in score_volume("p", "m", 10.0, 0.0, 9.0)}
    assert np.isnan(gone["relative_error"].value)
    assert gone["log_error"].reason == "nothing was observed (0 ml)"
    assert (gone["crps_ml"].value, gone["crps_ml"].stratum) == (10.0, "shrinking")


def test_a_forecast_is_scored_on_its_day_and_a_point_forecast_without_interval(rng):
    days = np.array([30.0, 60.0])
    spread = Forecast.from_samples(days, rng.normal([10.0, 20.0], 1.0, (500, 2)), "logistic")
    found = values(score_forecast("p", spread, 60.0, 20.0, 10.0))
    assert found["relative_error"] < 0.02
    assert found["interval_hit"] == 1.0
    point = Forecast(days, np.array([0.05, 0.5, 0.95]), np.full((3, 2), 10.0), None, "persistence")
    assert "interval_hit" not in values(score_forecast("p", point, 60.0, 20.0, 10.0))
    assert values(score_forecast("p", point, 60.0, 20.0, 10.0))["crps_ml"] == 10.0
    with pytest.raises(ParameterError, match="not 45"):
        score_forecast("p", spread, 45.0, 20.0, 10.0)
    failed = Forecast.unknown(days, "logistic", "too_few_scans", "one scan only")
    assert {s.reason for s in score_forecast("p", failed, 30.0, 20.0, 10.0)} == {"one scan only"}


def test_a_map_and_a_plan_are_scored_and_keep_the_native_volume_for_the_stratum():
    before, after = ball(6.0), ball(9.0)
    probability = np.clip(1.2 - 0.1 * -margin_scores(before, GRID), 0, 1)
    found = score_map("p", "m", probability, after, np.ones(GRID.shape, bool), 2.0, GRID, observed_ml=1.0)
    assert {s.measure for s in found} == {"brier", "calibration_error", "average_precision"}
    assert {s.stratum for s in found} == {"shrinking"}
    room = np.ones(GRID.shape, bool)
    plan = standard_plan(before, room, GRID, 2.5)
    curve = coverage_curve(margin_scores(before, GRID), after, room, GRID)
    by_measure = values(score_plan("p", "2.5 mm margin", plan, after, curve, "growing"))
    assert by_measure["coverage"] == recurrence_coverage(after, plan.mask, GRID).value
    assert by_measure["volume_for_95_ml"] > plan.volume_ml


def test_spatial_baselines_are_persistence_dilation_and_margin():
    before = ball(6.0)
    made = spatial_baselines(before, np.ones(GRID.shape, bool), GRID, 2.0)
    assert list(made) == ["persistence", "uniform dilation", "15 mm margin"]
    assert np.array_equal(made["persistence"].mask, before)
    assert made["uniform dilation"].n_voxels == 1000
    nothing = spatial_baselines(np.zeros(GRID.shape, bool), np.ones(GRID.shape, bool), GRID, 2.0)
    assert {p.status for n, p in nothing.items() if n != "persistence"} == {"empty_mask", "empty_core"}
    assert all(np.isnan(p.volume_ml) for p in nothing.values())
