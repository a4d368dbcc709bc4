from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.radiotherapy.dose_sum import sum_doses, sum_eqd2
from regrowth.radiotherapy.dvh import dose_volume_histogram
from regrowth.radiotherapy.fractionation import eqd2
from regrowth.space import Grid, Image
from tests.conftest import make_grid


def linear(grid: Grid, slope: tuple[float, float, float], at_zero: float = 30.0) -> Image:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return Image(at_zero + grid.world(index) @ np.array(slope), grid, "Gy")


def world(grid: Grid) -> np.ndarray:
    return grid.world(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))


def test_linear_doses_on_different_grids_add_up_exactly(grid: Grid):
    other = make_grid("oblique", (2.0, 2.5, 3.0), 100.0)
    inner = make_grid("LPS", (3.0, 3.0, 6.0), 30.0)
    found = sum_doses([linear(grid, (0.1, 0.2, -0.1)), linear(other, (-0.3, 0.0, 0.2))], inner)
    assert found.status == "ok"
    assert found.n_doses == 2
    assert found.dose.grid == inner
    assert found.dose.unit == "Gy"
    expected = 60 + world(inner) @ np.array([-0.2, 0.2, 0.1])
    assert found.dose.data == pytest.approx(expected, abs=1e-4)


def test_a_dose_on_the_grid_itself_is_not_interpolated(rng: np.random.Generator):
    grid = make_grid("LPS", (2.5, 2.5, 3.0), 30.0)
    values = rng.uniform(0, 60, grid.shape).astype(np.float32)
    assert np.array_equal(sum_doses([Image(values, grid, "Gy")], grid).dose.data, values)


def test_where_a_dose_does_not_reach_the_sum_is_unknown_unless_told_otherwise():
    grid = make_grid("RAS", (3.0, 3.0, 3.0), 60.0)
    small = Grid((5, *grid.shape[1:]), grid.affine)
    doses = [Image(np.full(grid.shape, 10.0), grid, "Gy"), Image(np.full(small.shape, 4.0), small, "Gy")]
    unknown = sum_doses(doses, grid)
    assert unknown.status == "partly_unknown"
    assert unknown.reason
    assert (unknown.dose.data[:5] == 14.0).all()
    assert np.isnan(unknown.dose.data[5:]).all()
    assert unknown.n_unknown == unknown.dose.data[5:].size
    zero = sum_doses(doses, grid, beyond="zero")
    assert (zero.dose.data[5:] == 10.0).all()
    assert (zero.status, zero.n_unknown, zero.n_taken_as_zero) == ("ok", 0, unknown.n_unknown)
    assert "0 Gy" in zero.reason


def test_a_voxel_that_no_dose_reaches_is_unknown_in_either_case():
    grid = make_grid("RAS", (3.0, 3.0, 3.0), 60.0)
    far = Grid(grid.shape, grid.affine + np.array([[0, 0, 0, 500.0]] + [[0] * 4] * 3))
    for beyond in ("unknown", "zero"):
        found = sum_doses([Image(np.ones(far.shape), far, "Gy")], grid, beyond=beyond)
        assert found.status == "unknown"
        assert np.isnan(found.dose.data).all()


def test_one_dose_given_twice_is_noticed():
    grid = make_grid("RAS", (5.0, 5.0, 5.0), 30.0)
    found = sum_doses([linear(grid, (0, 0, 0.1)), linear(grid, (0, 0, 0.2)), linear(grid, (0, 0, 0.1))], grid)
    assert found.status == "doubtful"
    assert "doses 1 and 3" in found.reason


def test_eqd2_of_phases_converts_each_voxel_before_it_adds():
    grid = make_grid("LPS", (5.0, 5.0, 5.0), 30.0)
    first, boost = linear(grid, (0.5, 0, 0), 40.0), linear(grid, (0, 0.2, 0), 16.0)
    found = sum_eqd2([first, boost], [15, 8], grid, 3.5)
    assert found.dose.unit == "Gy EQD2 3.5"
    assert found.dose.data == pytest.approx(eqd2(first.data, 15, 3.5) + eqd2(boost.data, 8, 3.5), rel=1e-5)
    everything = Image(np.ones(grid.shape, bool), grid, "1")
    assert dose_volume_histogram(everything, found.dose, supersampling=1).unit == "Gy EQD2 3.5"


def test_physical_and_converted_doses_do_not_mix():
    grid = make_grid("LPS", (5.0, 5.0, 5.0), 30.0)
    dose = linear(grid, (0, 0, 0))
    converted = sum_eqd2([dose], [15], grid, 10.0).dose
    with pytest.raises(ParameterError, match="do not add up"):
        sum_doses([dose, converted], grid)
    with pytest.raises(ParameterError, match="physical"):
        sum_eqd2([converted], [15], grid, 10.0)


def test_what_cannot_be_added_is_refused():
    grid = make_grid("LPS", (5.0, 5.0, 5.0), 30.0)
    dose = linear(grid, (0, 0, 0))
    with pytest.raises(ParameterError, match="no dose"):
        sum_doses([], grid)
    with pytest.raises(ParameterError, match="beyond"):
        sum_doses([dose], grid, beyond="nothing")
    with pytest.raises(ParameterError, match="unit Gy"):
        sum_doses([Image(dose.data, grid, "HU")], grid)
    with pytest.raises(ParameterError, match="numbers of fractions"):
        sum_eqd2([dose], [15, 5], grid, 10.0)
    framed = Image(dose.data, Grid(grid.shape, grid.affine, "1.2"), "Gy")
    with pytest.raises(GridMismatchError, match="frames of reference"):
        sum_doses([framed], Grid(grid.shape, grid.affine, "3.4"))
    with pytest.raises(InputError, match="negative"):
        sum_doses([Image(-np.asarray(dose.data), grid, "Gy")], grid)
