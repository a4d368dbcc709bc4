"""How sure a mapped position is: radius, covariance, shrinkage, and whether the radius keeps its promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from regrowth.errors import ParameterError
from regrowth.radiotherapy.uncertainty import (
    cohort_residuals,
    isotropic_uncertainty,
    position_uncertainty,
    sphere_radius,
    unknown_uncertainty,
)
from tests.conftest import make_grid


@pytest.mark.parametrize(("dimensions", "level"), [(1, 0.95), (2, 0.95), (3, 0.95), (3, 0.5), (3, 0.99), (2, 0.9)])
def test_sphere_radius_is_the_chi_quantile_when_the_error_fills_some_axes_evenly(dimensions, level):
    covariance = np.diag([1.0] * dimensions + [0.0] * (3 - dimensions)) * 1.79**2
    assert sphere_radius(covariance, level) == pytest.approx(1.79 * stats.chi(dimensions).ppf(level), rel=1e-3)


def test_sphere_radius_holds_its_share_of_an_uneven_normal(rng):
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    covariance = turn @ np.diag([9.0, 2.0, 0.3]) @ turn.T
    draws = rng.multivariate_normal(np.zeros(3), covariance, 200_000)
    inside = np.mean(np.linalg.norm(draws, axis=1) <= sphere_radius(covariance))
    assert inside == pytest.approx(0.95, abs=0.002)


def test_sphere_radius_of_certainty_is_zero_and_of_ignorance_nan():
    assert sphere_radius(np.zeros((3, 3))) == 0
    assert np.isnan(sphere_radius(np.full((3, 3), np.nan)))


@pytest.mark.parametrize("bad", [np.eye(2), np.diag([1.0, 1.0, -1.0]), [[1, 2, 0], [0, 1, 0], [0, 0, 1]]])
def test_a_matrix_that_is_no_covariance_is_refused(bad):
    with pytest.raises(ParameterError, match="covariance"):
        sphere_radius(np.asarray(bad, float))


def test_the_seeds_radius_of_5_mm_is_an_sd_of_1_79_mm():
    u = isotropic_uncertainty(5.0)
    assert np.sqrt(u.covariance_mm2[0, 0]) == pytest.approx(1.79, abs=0.005)
    assert sphere_radius(u.covariance_mm2) == pytest.approx(5.0)


def test_covariance_adds_up_what_the_formula_says():
    residuals = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 1], [0, 0, -1]])
    grid = make_grid("LPS", (1.2, 2.4, 3.6))
    u = position_uncertainty(residuals, picking_sd_mm=0.5, delineation_sd_mm=(1.0, 2.0, 3.0), grid=grid)
    expected = np.array([18 / 6, 8 / 6, 2 / 6]) - 0.25 + [1, 4, 9] + np.array([1.2, 2.4, 3.6]) ** 2 / 12
    np.testing.assert_allclose(u.covariance_mm2, np.diag(expected), atol=1e-12)
    np.testing.assert_allclose(u.localisation_mm2 + u.delineation_mm2 + u.voxel_mm2, u.covariance_mm2)


def test_voxel_error_turns_with_the_grid():
    grid = make_grid("oblique", (1.0, 1.0, 6.0))
    u = position_uncertainty(np.zeros((5, 3)), grid=grid)
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(u.covariance_mm2)), [1 / 12, 1 / 12, 3.0], atol=1e-9)
    assert abs(u.covariance_mm2[1, 2]) > 0.1


def test_a_common_shift_is_an_error_and_not_taken_off():
    u = position_uncertainty(np.tile([4.0, 0, 0], (6, 1)))
    assert u.covariance_mm2[0, 0] == pytest.approx(16)
    np.testing.assert_allclose(u.bias_mm, [4, 0, 0])


def test_picking_that_explains_more_than_all_is_said():
    u = position_uncertainty(np.full((6, 3), 0.5), picking_sd_mm=2.0)
    assert np.linalg.eigvalsh(u.localisation_mm2).min() >= -1e-12
    assert "picking" in u.reason


def test_no_residual_is_unknown_and_two_are_few():
    assert position_uncertainty(np.empty((0, 3))).status == "unknown"
    assert np.isnan(position_uncertainty(np.empty((0, 3))).r95_mm)
    few = position_uncertainty(np.array([[1.0, 2, 3], [2, 1, 0]]))
    assert few.status == "few_residuals"
    assert "2 residuals" in few.reason


def test_an_unknown_uncertainty_gives_no_draws(rng):
    with pytest.raises(ParameterError, match="nobody measured"):
        unknown_uncertainty("nobody measured").draws(5, rng)


def test_lengths_instead_of_signed_vectors_are_refused():
    with pytest.raises(ParameterError, match="signed vectors"):
        position_uncertainty(np.array([1.0, 2.0, 3.0, 4.0]))


def test_draws_have_the_covariance(rng):
    covariance = np.array([[4.0, 1, 0], [1, 2, 0.5], [0, 0.5, 1]])
    residuals = rng.multivariate_normal(np.zeros(3), covariance, 4000)
    u = position_uncertainty(residuals)
    np.testing.assert_allclose(np.cov(u.draws(60_000, rng).T), u.covariance_mm2, atol=0.08)


def test_ellipsoid_holds_its_share_and_its_longest_axis_comes_first(rng):
    u = position_uncertainty(rng.standard_normal((500, 3)) * [1, 5, 2])
    half, axes = u.ellipsoid_mm(0.95)
    inside = ((u.draws(40_000, rng) @ axes / half) ** 2).sum(axis=1) <= 1
    assert inside.mean() == pytest.approx(0.95, abs=0.005)
    assert half[0] > half[1] > half[2]
    assert abs(axes[1, 0]) > 0.95


def test_a_cohort_whose_patients_are_alike_outweighs_the_patient(rng):
    cohort = cohort_residuals([rng.standard_normal((8, 3)) for _ in range(40)])
    u = position_uncertainty(np.full((4, 3), 6.0), cohort)
    assert u.patient_weight < 0.2
    assert "weight" in u.source


def test_a_cohort_whose_patients_differ_leaves_the_patient_his_own(rng):
    sds = np.exp(rng.normal(0, 1.0, 40))
    cohort = cohort_residuals([rng.standard_normal((30, 3)) * s for s in sds])
    u = position_uncertainty(rng.standard_normal((30, 3)), cohort)
    assert u.patient_weight > 0.8


def test_a_patient_without_landmarks_takes_the_cohort(rng):
    cohort = cohort_residuals([rng.standard_normal((8, 3)) * 2 for _ in range(20)])
    u = position_uncertainty(np.empty((0, 3)), cohort)
    assert u.status == "ok"
    np.testing.assert_allclose(u.covariance_mm2, cohort.second_moment_mm2)
    assert u.n == 0


def test_a_cohort_of_two_says_that_its_weight_is_assumed(rng):
    cohort = cohort_residuals([rng.standard_normal((8, 3)), np.empty((0, 3)), rng.standard_normal((5, 3))])
    assert (cohort.n_patients, cohort.n) == (2, 13)
    assert "assumed" in cohort.reason


def test_an_empty_cohort_is_nan_and_does_not_help():
    cohort = cohort_residuals([])
    assert np.isnan(cohort.second_moment_mm2).all()
    assert position_uncertainty(np.empty((0, 3)), cohort).status == "unknown"


def simulated_coverage(rng, n_landmarks: int, patients: int = 200) -> float:
    """Share of recurrences within the claimed 95 % radius: uneven errors, patients of different quality, picking noise."""
    axes, picking, delineation = np.array([2.2, 1.2, 1.6]), 0.7, 1.0
    quality = np.exp(rng.normal(0, 0.3, patients))
    seen = [rng.standard_normal((n_landmarks, 3)) * axes * q + rng.normal(0, picking, (n_landmarks, 3)) for q in quality]
    cohort = cohort_residuals(seen)
    inside = 0
    for q, residuals in zip(quality, seen, strict=True):
        u = position_uncertainty(residuals, cohort, picking_sd_mm=picking, delineation_sd_mm=delineation)
        error = rng.standard_normal(3) * axes * q + rng.normal(0, delineation, 3)
        inside += np.linalg.norm(error) <= u.r95_mm
    return inside / patients


@pytest.mark.parametrize("n_landmarks", [4, 8, 15])
def test_the_95_percent_radius_covers_the_truth_in_90_to_99_of_100_of_200_recurrences(rng, n_landmarks):
    assert 0.90 <= simulated_coverage(rng, n_landmarks) <= 0.99


def test_a_radius_without_the_delineation_error_does_not_cover(rng):
    """The oracle can fail: leaving out a part of the error is seen."""
    errors = rng.standard_normal((400, 3)) * 1.0 + rng.normal(0, 2.0, (400, 3))
    u = position_uncertainty(rng.standard_normal((200, 3)))
    assert np.mean(np.linalg.norm(errors, axis=1) <= u.r95_mm) < 0.8
