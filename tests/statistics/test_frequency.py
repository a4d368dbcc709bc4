from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.statistics.frequency import frequency_difference, frequency_map
from regrowth.statistics.proportion import wilson_interval


def masks(*boxes: slice) -> list[np.ndarray]:
    out = []
    for box in boxes:
        mask = np.zeros((4, 3, 2), bool)
        mask[box] = True
        out.append(mask)
    return out


def test_patients_are_counted_per_voxel():
    found = frequency_map(iter(masks(slice(0, 2), slice(1, 3), slice(1, 2))))
    assert found.n == 3
    np.testing.assert_array_equal(found.counts[:, 0, 0], [1, 3, 1, 0])
    np.testing.assert_allclose(found.share[:, 0, 0], [1 / 3, 1, 1 / 3, 0])


def test_the_lower_bound_is_that_of_wilson_in_each_voxel():
    found = frequency_map(masks(slice(0, 2), slice(1, 3), slice(1, 2)))
    assert found.lower_bound()[1, 0, 0] == pytest.approx(wilson_interval(3, 3)[0])
    assert found.lower_bound()[3, 0, 0] == 0


def test_the_difference_counts_what_was_gained_and_lost():
    found = frequency_difference(zip(masks(slice(0, 2), slice(0, 1)), masks(slice(1, 3), slice(0, 1)), strict=True))
    np.testing.assert_array_equal(found.gained[:, 0, 0], [0, 0, 1, 0])
    np.testing.assert_array_equal(found.lost[:, 0, 0], [1, 0, 0, 0])
    np.testing.assert_allclose(found.share[:, 0, 0], [-0.5, 0, 0.5, 0])


def test_masks_of_other_shape_and_no_masks_are_refused():
    with pytest.raises(ParameterError, match="resample all to one template grid"):
        frequency_map([np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool)])
    with pytest.raises(ParameterError, match="at least one mask"):
        frequency_map([])
    with pytest.raises(ParameterError, match="at least one pair"):
        frequency_difference([])
