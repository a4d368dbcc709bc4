"""Are maps that are too sure brought back, are right ones left alone, and does it hold for other patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from regrowth.errors import InputError, ParameterError
from regrowth.growth.recalibration import (
    PRIOR_PATIENTS,
    MapCalibration,
    MapHistogram,
    learn_map_calibration,
    map_histogram,
    pooled_calibration,
)
from regrowth.growth.scores import brier, calibration

MEMBERS = 50


def drawn(rng: np.random.Generator, slope: float, intercept: float, n: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """Map of one patient in steps of the members, and tumour drawn from ``logistic(intercept + slope logit(q))``."""
    p = np.round(rng.beta(0.4, 1.5, (n, 1, 1)) * MEMBERS) / MEMBERS
    q = (p * MEMBERS + 0.5) / (MEMBERS + 1)
    return p, rng.random(p.shape) < expit(intercept + slope * logit(q))


def histograms(rng: np.random.Generator, slope: float, intercept: float, patients: int) -> list[MapHistogram]:
    out = []
    for n in range(patients):
        p, y = drawn(rng, slope, intercept, 4_000 + 2_000 * (n % 4))
        out.append(map_histogram(p, y, np.ones(p.shape, bool), MEMBERS))
    return out


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, -0.8), (0.7, 0.3), (1.6, 0.4)])
def test_maps_of_a_known_error_are_brought_back(rng, slope, intercept):
    found = learn_map_calibration(histograms(rng, slope, intercept, 120), MEMBERS)
    assert found.slope == pytest.approx(slope, rel=0.05)  # the prior still counts as 2 of 122 patients
    assert found.intercept == pytest.approx(intercept, abs=0.06)
    assert (found.members, found.n_patients) == (MEMBERS, 120)


def test_the_error_of_calibration_falls_in_patients_that_were_not_learned_from(rng):
    found = learn_map_calibration(histograms(rng, 0.5, -0.8, 6), MEMBERS)
    for held_out in histograms(rng, 0.5, -0.8, 4):
        assert held_out.calibration_error(found) < 0.6 * held_out.calibration_error()
        assert held_out.brier(found) < held_out.brier()


def test_right_maps_stay(rng):
    found = learn_map_calibration(histograms(rng, 1.0, 0.0, 5), MEMBERS)
    levels = np.linspace(0, 1, 21)
    assert np.abs(found.apply(levels) - levels).max() < 0.02


def test_few_patients_move_a_map_less_than_many(rng):
    def distance(patients: int) -> float:
        return abs(np.log(learn_map_calibration(histograms(rng, 0.4, -1.0, patients), MEMBERS).slope))

    one, three, many = distance(1), distance(3), distance(60)
    assert 0 < one < three < many


def test_one_patient_counts_against_the_prior_as_one_in_three():
    edges, p = np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.8])
    always = MapHistogram(edges, np.array([1000, 1000]), np.array([400, 1000]), p)
    found = learn_map_calibration([always], 10_000)
    # Two levels and two parameters: the fit is exact, the mean of the outcome (weight 1) and of the map itself (weight 2).
    wanted = (np.array([0.4, 1.0]) + PRIOR_PATIENTS * p) / (1 + PRIOR_PATIENTS)
    np.testing.assert_allclose(found.apply(p), wanted, atol=1e-3)


def test_a_patient_with_many_voxels_weighs_as_much_as_one_with_few(rng):
    small, large = histograms(rng, 0.5, 0.0, 1)[0], histograms(rng, 1.5, 0.0, 1)[0]
    scaled = replace(large, n_voxels=large.n_voxels * 1000, n_tumour=large.n_tumour * 1000)
    a, b = (learn_map_calibration([small, one], MEMBERS) for one in (large, scaled))
    assert (a.slope, a.intercept) == pytest.approx((b.slope, b.intercept))


def test_the_order_of_patients_does_not_matter(rng):
    some = histograms(rng, 0.6, -0.3, 4)
    a, b = learn_map_calibration(some, MEMBERS), learn_map_calibration(some[::-1], MEMBERS)
    assert (a.slope, a.intercept) == pytest.approx((b.slope, b.intercept), rel=1e-5)


def test_an_outcome_against_the_map_cannot_turn_its_order():
    edges, p = np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.9])
    wrong = [MapHistogram(edges, np.array([100, 100]), np.array([100, 0]), p)] * 30
    found = learn_map_calibration(wrong, MEMBERS)
    assert found.slope > 0
    assert found.apply(np.array([0.1])) < found.apply(np.array([0.9]))


def test_corrected_maps_keep_shape_type_and_order_and_lie_between_0_and_1():
    found = MapCalibration(0.5, -0.4, MEMBERS, 3)
    p = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    out = found.apply(p)
    assert (out.shape, out.dtype) == (p.shape, np.float32)
    assert (np.diff(out.ravel()) > 0).all()
    assert 0 < out.min() < out.max() < 1


def test_a_histogram_counts_every_allowed_voxel_once_and_agrees_with_the_scores_of_the_map(rng):
    p, y = drawn(rng, 0.8, -0.2)
    allowed = rng.random(p.shape) < 0.7
    found = map_histogram(p, y, allowed, MEMBERS)
    assert (found.n_voxels.sum(), found.n_tumour.sum()) == (allowed.sum(), (y & allowed).sum())
    assert found.n_voxels[0] == ((p == 0) & allowed).sum()
    assert found.edges[[0, -1]].tolist() == [0, 1]
    assert found.brier() == pytest.approx(brier(p[allowed], y[allowed]))
    assert found.calibration_error() == pytest.approx(calibration(p[allowed], y[allowed], 51).error, abs=0.005)


def test_pooled_reliability_adds_the_patients_up_and_improves_with_the_correction(rng):
    some = histograms(rng, 0.5, -0.8, 5)
    raw = pooled_calibration(some)
    assert raw.n == sum(int(h.n_voxels.sum()) for h in some)
    learned = [learn_map_calibration(some[:i] + some[i + 1 :], MEMBERS) for i in range(5)]
    assert pooled_calibration(some, learned).error < raw.error / 2
    assert pooled_calibration([]).reason == "no voxels"


def test_nothing_to_learn_from_and_wrong_input_are_refused():
    nothing = map_histogram(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), 10)
    assert np.isnan(nothing.calibration_error())
    assert np.isnan(nothing.brier())
    assert np.isnan(nothing.observed_share).all()
    for patients in ([], [nothing]):
        with pytest.raises(InputError, match="at least one patient"):
            learn_map_calibration(patients, 10)
    with pytest.raises(InputError, match="shape"):
        map_histogram(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)), np.zeros((2, 2, 2)), 10)
    with pytest.raises(InputError, match="0 to 1"):
        map_histogram(np.full((1, 1, 1), 2.0), np.ones((1, 1, 1)), np.ones((1, 1, 1)), 10)
    with pytest.raises(ParameterError):
        map_histogram(np.zeros((1, 1, 1)), np.ones((1, 1, 1)), np.ones((1, 1, 1)), 0)
    with pytest.raises(InputError, match="NaN"):
        MapCalibration(1.0, 0.0, 10, 1).apply(np.array([np.nan]))
    with pytest.raises(InputError, match="more voxels"):
        MapHistogram(np.array([0.0, 1.0]), np.array([1]), np.array([2]), np.array([0.5]))
    for slope in (0.0, -1.0, np.nan):
        with pytest.raises(ParameterError):
            MapCalibration(slope, 0.0, 10, 1)
