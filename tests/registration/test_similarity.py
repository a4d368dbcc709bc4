"""Correlation, mutual information and overlap against cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.registration.similarity import correlation, dice, mutual_information


def test_correlation_ignores_gain_and_offset_and_knows_the_sign(rng: np.random.Generator) -> None:
    a = rng.random(500)
    assert correlation(a, 3 * a + 7) == pytest.approx(1)
    assert correlation(a, -2 * a) == pytest.approx(-1)
    assert correlation(a, rng.random(500)) == pytest.approx(np.corrcoef(a, rng.random(500))[0, 1], abs=0.2)


def test_correlation_without_contrast_is_nan() -> None:
    assert np.isnan(correlation(np.ones(5), np.arange(5)))
    assert np.isnan(correlation(np.ones(1), np.ones(1)))


def test_mutual_information_of_equal_labels_is_their_entropy() -> None:
    a = np.repeat([0.0, 1.0, 2.0, 3.0], 250)
    assert mutual_information(a, a) == pytest.approx(np.log(4))
    assert mutual_information(a, (3 - a) ** 2) == pytest.approx(np.log(4))


def test_mutual_information_of_independent_values_is_zero() -> None:
    a, b = (v.ravel() for v in np.meshgrid(np.arange(32.0), np.arange(32.0)))
    assert mutual_information(a, b) == pytest.approx(0, abs=1e-12)
    assert np.isnan(mutual_information(np.array([]), np.array([])))


def test_dice_of_half_overlap_is_one_half_and_of_nothing_nan() -> None:
    a, b = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    assert dice(a, b) == 0.5
    assert np.isnan(dice(a & False, b & False))
