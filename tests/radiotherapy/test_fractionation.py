from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.radiotherapy.fractionation import (
    biologically_effective_dose,
    eqd2,
    eqd2_of_phases,
    equivalent_dose,
    total_dose_from_bed,
)


@pytest.mark.parametrize(
    ("total", "n", "ratio", "bed"), [(60, 30, 10, 72.0), (60, 30, 3, 100.0), (54, 3, 10, 151.2), (0, 5, 10, 0.0)]
)
def test_bed_has_the_values_of_the_textbook(total: float, n: int, ratio: float, bed: float):
    assert biologically_effective_dose(total, n, ratio) == pytest.approx(bed)


def test_fractions_of_2_gy_are_their_own_eqd2_whatever_the_tissue():
    for ratio in (1.5, 3.0, 10.0):
        assert eqd2(60.0, 30, ratio) == pytest.approx(60.0)


def test_hypofractionated_breast_is_worth_more_in_late_tissue():
    # 40 Gy in 15, alpha/beta 3.5: D (d + ab) / (2 + ab)
    assert eqd2(40.0, 15, 3.5) == pytest.approx(40 * (40 / 15 + 3.5) / 5.5)
    assert eqd2(40.0, 15, 3.5) > eqd2(40.0, 15, 10.0)


def test_a_voxel_is_converted_with_its_own_fraction_dose():
    dose = np.array([[60.0, 30.0, np.nan]])
    found = eqd2(dose, 30, 3.0)
    assert found[0, :2] == pytest.approx([60.0, 30 * (1 + 3) / 5])
    assert np.isnan(found[0, 2])


def test_dose_from_bed_undoes_bed(rng: np.random.Generator):
    dose = rng.uniform(0, 80, 100)
    assert total_dose_from_bed(biologically_effective_dose(dose, 25, 3.1), 25, 3.1) == pytest.approx(dose)


def test_equivalent_dose_in_its_own_fraction_size_is_the_dose():
    assert equivalent_dose(40.0, 15, 3.5, 40 / 15) == pytest.approx(40.0)


def test_phases_keep_their_own_fractionation():
    # 40 Gy in 15 and a boost of 16 Gy in 8, not 56 Gy in 23
    both = eqd2_of_phases([40.0, 16.0], [15, 8], 3.5)
    assert both == pytest.approx(eqd2(40.0, 15, 3.5) + 16.0)
    assert both > eqd2(56.0, 23, 3.5) + 0.3


def test_an_unknown_phase_makes_the_sum_unknown():
    found = eqd2_of_phases([np.array([10.0, np.nan]), np.array([10.0, 10.0])], [5, 5], 10.0)
    assert found[0] == pytest.approx(20.0)
    assert np.isnan(found[1])


def test_what_is_no_course_is_refused():
    for n, ratio in ((0, 10.0), (1.5, 10.0), (True, 10.0), (5, 0.0), (5, np.nan)):
        with pytest.raises(ParameterError):
            eqd2(10.0, n, ratio)
    with pytest.raises(InputError, match="negative"):
        eqd2(np.array([1.0, -1.0]), 5, 10.0)
    with pytest.raises(ParameterError):
        equivalent_dose(10.0, 5, 10.0, 0.0)
    with pytest.raises(ParameterError):
        eqd2_of_phases([10.0], [5, 5], 10.0)
    with pytest.raises(ParameterError):
        eqd2_of_phases([], [], 10.0)
    with pytest.raises(GridMismatchError):
        eqd2_of_phases([np.ones(3), np.ones(4)], [5, 5], 10.0)
