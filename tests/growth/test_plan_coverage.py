"""Coverage of recurrences, its curves, the dose that lay there, and the comparison of two plans."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth import (
    bootstrap_interval,
    compare_plans,
    coverage_curve,
    dose_coverage,
    margin_scores,
    recurrence_coverage,
    standard_plan,
    volume_for_coverage,
)
from regrowth.space import Grid

LINE = Grid((10, 1, 1), np.diag([2.0, 5.0, 10.0, 1.0]))  # 0.1 ml per voxel


def on_line(*voxels: int) -> np.ndarray:
    mask = np.zeros(LINE.shape, bool)
    mask[list(voxels)] = True
    return mask


def test_coverage_is_the_share_of_the_recurrence_inside_the_plan():
    found = recurrence_coverage(on_line(2, 3, 4, 5), on_line(0, 1, 2), LINE)
    assert (found.value, found.status) == (0.25, "ok")
    assert found.recurrence_ml == pytest.approx(0.4)
    assert found.missed_ml == pytest.approx(0.3)


def test_no_recurrence_has_no_coverage_instead_of_a_full_one():
    found = recurrence_coverage(on_line(), on_line(1), LINE)
    assert np.isnan(found.value)
    assert (found.status, found.reason) == ("no_recurrence", "the recurrence has no voxel")


def test_an_empty_plan_has_no_coverage_instead_of_0():
    found = recurrence_coverage(on_line(1), on_line(), LINE)
    assert np.isnan(found.value)
    assert found.status == "empty_plan"


def test_masks_of_another_grid_are_refused():
    with pytest.raises(GridMismatchError, match="the plan has shape"):
        recurrence_coverage(on_line(1), np.ones((9, 1, 1), bool), LINE)


def test_the_curve_counts_voxels_of_equal_score_together():
    scores = np.array([9, 8, 8, 8, 5, 5, 3, 2, 1, 0.0]).reshape(LINE.shape)
    curve = coverage_curve(scores, on_line(1, 5, 6, 9), on_line(*range(9)), LINE)
    assert curve.volumes_ml == pytest.approx([0.4, 0.6, 0.7])
    assert curve.coverage == pytest.approx([0.25, 0.5, 0.75])
    assert curve.outside_share == 0.25
    assert curve.at(np.array([0.0, 0.39, 0.4, 0.65, 0.9])) == pytest.approx([0.0, 0.0, 0.25, 0.5, 0.75])


def test_the_volume_needed_is_where_the_curve_reaches_the_level_and_nan_where_it_never_does():
    scores = np.arange(10, 0, -1.0).reshape(LINE.shape)
    curve = coverage_curve(scores, on_line(0, 4, 7, 9), on_line(*range(9)), LINE)
    assert volume_for_coverage(curve, 0.75).volume_ml == pytest.approx(0.8)
    beyond = volume_for_coverage(curve, 0.95)
    assert np.isnan(beyond.volume_ml)
    assert (beyond.status, beyond.reason) == ("unreachable", "25.0 % of the recurrence lies outside of the allowed voxels")
    with pytest.raises(ParameterError, match="above 0 and up to 1"):
        volume_for_coverage(curve, 95)


def test_without_recurrence_the_curve_and_the_volume_say_why_they_are_empty():
    curve = coverage_curve(np.arange(10.0).reshape(LINE.shape), on_line(), on_line(*range(10)), LINE)
    assert np.isnan(curve.at(np.array([0.5]))).all()
    assert volume_for_coverage(curve).status == "no_recurrence"


def test_the_curve_of_a_margin_gives_the_volume_and_coverage_of_that_margin(grid):
    place = grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)) - [3.0, -2.0, 5.0]
    gap = np.linalg.norm(place, axis=-1)
    core, brain = gap <= 7.5, gap <= 26
    recurrence = np.linalg.norm(place - [11.0, 0.0, 0.0], axis=-1) <= 5
    curve = coverage_curve(margin_scores(core, grid), recurrence, brain, grid)
    for margin_mm in (3.0, 7.0, 12.0):
        plan = standard_plan(core, brain, grid, margin_mm)
        expected = recurrence_coverage(recurrence, plan.mask, grid).value
        assert curve.at(np.array([plan.volume_ml]))[0] == pytest.approx(expected)
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.volumes_ml) > 0).all()


def test_nan_scores_are_refused():
    scores = np.arange(10.0).reshape(LINE.shape)
    scores[3] = np.nan
    with pytest.raises(InputError, match="NaN or infinite in 1 of 10"):
        coverage_curve(scores, on_line(1), on_line(*range(10)), LINE)


def test_dose_coverage_counts_voxels_at_95_percent_of_the_prescription():
    dose = np.array([60, 57, 56.99, 30, 0, 0, 0, 0, 0, 0.0]).reshape(LINE.shape)
    found = dose_coverage(dose, on_line(0, 1, 2, 3), LINE, 60.0)
    assert (found.value, found.threshold_gy, found.status) == (0.5, pytest.approx(57.0), "ok")
    assert dose_coverage(dose, on_line(0, 1, 2, 3), LINE, 60.0, share=0.5).value == 1.0


def test_a_recurrence_outside_of_the_dose_grid_is_unknown_and_bounded_instead_of_untreated():
    dose = np.array([60, 60, 10, np.nan, np.nan, 0, 0, 0, 0, 0.0]).reshape(LINE.shape)
    found = dose_coverage(dose, on_line(1, 2, 3, 4), LINE, 60.0)
    assert np.isnan(found.value)
    assert (found.at_least, found.at_most, found.n_unknown) == (0.25, 0.75, 2)
    assert found.reason == "2 of 4 voxels of the recurrence lie outside of the dose grid"


def test_bad_doses_are_refused_and_no_recurrence_is_said():
    dose = np.full(LINE.shape, 60.0)
    assert dose_coverage(dose, on_line(), LINE, 60.0).status == "no_recurrence"
    with pytest.raises(ParameterError, match="prescription"):
        dose_coverage(dose, on_line(1), LINE, 0.0)
    with pytest.raises(InputError, match="negative"):
        dose_coverage(-dose, on_line(1), LINE, 60.0)
    with pytest.raises(GridMismatchError, match=r"fill=numpy\.nan"):
        dose_coverage(dose[1:], on_line(1), LINE, 60.0)


def test_a_comparison_counts_what_a_mean_hides(rng):
    model = [1.0, 1.0, 0.0, 0.9, 0.8, 0.7, np.nan, 0.5]
    standard = [1.0, 1.0, 0.0, 0.6, 0.7, 0.75, np.nan, np.nan]
    found = compare_plans(model, standard, rng)
    assert (found.n, found.n_empty, found.n_incomplete) == (6, 1, 1)
    assert (found.n_ceiling, found.n_floor, found.n_tied, found.n_better, found.n_worse) == (2, 1, 3, 2, 1)
    assert found.difference.value == pytest.approx(0.35 / 6)
    assert found.difference_below_ceiling.value == pytest.approx(0.35 / 4)
    assert found.median_difference.value == 0.0
    assert found.p_signed_rank == pytest.approx(wilcoxon([0.3, 0.1, -0.05]).pvalue)
    assert "no difference shown" in found.verdict
    assert "2 of 6 patients are wholly covered by both, 1 had no value" in found.verdict


def test_a_plan_that_covers_more_in_every_patient_beats_the_baseline_and_turned_around_loses(rng):
    standard = np.linspace(0.2, 0.8, 12)
    assert "beats the baseline" in compare_plans(standard + 0.1, standard, rng).verdict
    assert "loses to the baseline" in compare_plans(standard, standard + 0.1, rng).verdict


def test_a_few_large_gains_among_many_small_losses_are_no_clean_win(rng):
    standard = np.full(60, 0.5)
    model = standard + np.concatenate([np.full(12, 0.4), np.full(30, -0.02), np.zeros(18)])
    found = compare_plans(model, standard, rng)
    assert found.difference.low > 0
    assert found.p_signed_rank > 0.05
    assert found.n_worse > found.n_better
    assert "interval and rank test disagree" in found.verdict
    assert "disagree" not in compare_plans(standard + 0.1, standard, rng).verdict


def test_few_patients_and_no_patients_give_no_verdict(rng):
    assert "too few patients to tell" in compare_plans([0.9, 0.9, 0.9], [0.1, 0.1, 0.1], rng).verdict
    nobody = compare_plans([np.nan], [np.nan], rng)
    assert "not compared" in nobody.verdict
    assert np.isnan(nobody.difference.value)
    assert np.isnan(nobody.p_signed_rank)


def test_percentages_and_unpaired_lists_are_refused(rng):
    with pytest.raises(InputError, match="divide percentages by 100"):
        compare_plans([82.0], [79.0], rng)
    with pytest.raises(InputError, match="same order"):
        compare_plans([0.8, 0.7], [0.7], rng)


def test_the_bootstrap_interval_of_a_mean_approaches_the_normal_one(rng):
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    found = bootstrap_interval(values, rng)
    half = 1.96 * values.std(ddof=1) / 20
    assert (found.low, found.high) == (
        pytest.approx(values.mean() - half, abs=0.02),
        pytest.approx(values.mean() + half, abs=0.02),
    )


def test_the_bootstrap_interval_is_the_same_for_the_same_generator():
    values = np.arange(9.0)
    first, second = (bootstrap_interval(values, np.random.default_rng(1), "median") for _ in range(2))
    assert first == second
    assert first.n == 9


def test_one_value_has_no_interval_and_none_has_no_value(rng):
    assert np.isnan(bootstrap_interval(np.array([1.0]), rng).low)
    assert bootstrap_interval(np.array([np.nan]), rng).reason == "no values"
    with pytest.raises(ParameterError, match="mean or a median"):
        bootstrap_interval(np.ones(3), rng, "mode")
    with pytest.raises(ParameterError, match="level"):
        bootstrap_interval(np.ones(3), rng, level=95)
