"""Which parts are satellites of a primary, and which are new with respect to all earlier exams of a series."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.recurrence import RecurrenceParameters, migration, new_components
from regrowth.space import Grid
from tests.conftest import make_grid

LOOSE = RecurrenceParameters(min_component_ml=0.0, min_component_voxels=1)


def cube(grid: Grid, *corner: int, side: int = 4) -> np.ndarray:
    mask = np.zeros(grid.shape, bool)
    mask[tuple(slice(c, c + side) for c in corner)] = True
    return mask


@pytest.fixture
def grid() -> Grid:
    """1 mm grid of 40 voxels each way."""
    return Grid((40, 40, 40), np.diag([-1.0, -1.0, 1.0, 1.0]))


# Satellites


def test_a_part_that_touches_neither_primary_nor_cavity_is_a_satellite(grid):
    primary = cube(grid, 4, 4, 4, side=8)
    beside, apart = cube(grid, 12, 4, 4), cube(grid, 14, 20, 20)
    found = migration(primary, primary | beside | apart, grid, parameters=LOOSE)
    assert [(c.touches_primary, c.is_new_satellite) for c in found.components] == [(True, False), (False, True)]
    assert found.n_new_satellites == 1
    assert found.as_row()["n_new_satellites"] == 1
    assert found.components[1].as_row()["is_new_satellite"] is True


@pytest.mark.parametrize(("start", "touches"), [(12, True), (13, False)])
def test_touching_ends_with_the_neighbouring_voxel(grid, start, touches):
    primary = cube(grid, 4, 4, 4, side=8)
    (part,) = migration(primary, cube(grid, start, start, start), grid, parameters=LOOSE).components
    assert part.touches_primary is touches
    assert part.is_new_satellite is not touches


def test_thick_slices_do_not_make_distant_voxels_of_a_slice_touch():
    grid = Grid((40, 40, 8), np.diag([1.0, 1.0, 6.5, 1.0]))
    primary, apart = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    primary[5:15, 5:15, 2:5], apart[19:25, 5:15, 2:5] = True, True  # four voxels between, less than the 6.5 mm of a slice
    (part,) = migration(primary, apart, grid).components
    assert not part.touches_primary
    assert part.is_new_satellite
    above = np.zeros(grid.shape, bool)
    above[5:15, 5:15, 5:7] = True
    (part,) = migration(primary, above, grid).components
    assert part.touches_primary


def test_a_part_at_the_rim_of_the_cavity_is_no_satellite_but_not_local_either(grid):
    primary, cavity, part = cube(grid, 4, 4, 4, side=8), cube(grid, 12, 4, 4, side=8), cube(grid, 20, 4, 4)
    (with_cavity,) = migration(primary, part, grid, cavity=cavity, parameters=LOOSE).components
    assert (with_cavity.touches_primary, with_cavity.touches_cavity) == (False, True)
    assert not with_cavity.is_new_satellite
    assert with_cavity.kind == "marginal"
    (without,) = migration(primary, part, grid, parameters=LOOSE).components
    assert without.is_new_satellite


def test_a_cavity_that_only_reaches_the_box_of_the_tumours_is_seen(grid):
    primary, part = cube(grid, 4, 4, 4), cube(grid, 4, 20, 4)
    cavity = cube(grid, 4, 24, 4)  # beyond both, so outside of the smallest box around them
    (found,) = migration(primary, part, grid, cavity=cavity, parameters=LOOSE).components
    assert found.touches_cavity


def test_satellites_may_be_marginal_or_distant_and_alone_are_not_multifocal(grid):
    primary = cube(grid, 2, 2, 2)
    near = migration(primary, cube(grid, 10, 2, 2), grid, parameters=LOOSE)
    far = migration(primary, cube(grid, 30, 2, 2), grid, parameters=LOOSE)
    assert [(m.components[0].kind, m.n_new_satellites, m.pattern) for m in (near, far)] == [
        ("marginal", 1, "marginal"),
        ("distant", 1, "distant"),
    ]
    both = migration(primary, primary | cube(grid, 10, 2, 2), grid, parameters=LOOSE)
    assert (both.n_new_satellites, both.pattern) == (1, "multifocal")


def test_parts_that_are_too_small_are_no_satellites_and_without_a_recurrence_the_count_is_nan(grid):
    primary = cube(grid, 4, 4, 4, side=8)
    crumb = cube(grid, 30, 30, 30, side=1)
    assert migration(primary, primary | crumb, grid).n_new_satellites == 0
    assert np.isnan(migration(primary, primary & False, grid).as_row()["n_new_satellites"])


# New in a series


def test_a_part_is_new_only_if_no_earlier_exam_had_tumour_near_it(grid):
    first, second, third = cube(grid, 4, 4, 4), cube(grid, 20, 4, 4), cube(grid, 20, 20, 4)
    found = new_components([first, first | second, first | second | third], grid, parameters=LOOSE)
    assert [e.n_new for e in found] == [None, 1, 1]
    assert [e.n_earlier for e in found] == [0, 1, 2]
    assert [c.is_new for c in found[0].components] == [None]
    assert np.array_equal(found[1].new, second)
    assert np.array_equal(found[2].new, third)
    (new,) = (c for c in found[2].components if c.is_new)
    assert new.gap_mm == pytest.approx(13.0)  # from the second part, not from the first
    assert new.centroid_ras_mm == pytest.approx((-21.5, -21.5, 5.5))
    assert new.volume_ml == pytest.approx(0.064)


def test_tumour_that_comes_back_where_it_was_is_not_new(grid):
    first, other = cube(grid, 4, 4, 4), cube(grid, 20, 20, 20)
    found = new_components([first | other, first, first | other], grid, parameters=LOOSE)
    assert [e.n_new for e in found] == [None, 0, 0]


@pytest.mark.parametrize(("tolerance_mm", "new"), [(3.0, 1), (4.0, 0)])
def test_within_the_tolerance_nothing_is_new(grid, tolerance_mm, new):
    first, near = cube(grid, 4, 4, 4), cube(grid, 11, 4, 4)  # voxel centres 4 mm apart
    assert new_components([first, near], grid, tolerance_mm=tolerance_mm, parameters=LOOSE)[1].n_new == new


def test_the_tolerance_is_in_mm_in_every_orientation_and_spacing(orientation):
    grid = make_grid(orientation, (1.0, 1.0, 3.0), 60.0)
    first, near = cube(grid, 20, 20, 4), cube(grid, 20, 20, 10)  # three slices of 3 mm
    assert new_components([first, near], grid, tolerance_mm=8.9, parameters=LOOSE)[1].n_new == 1
    assert new_components([first, near], grid, tolerance_mm=9.1, parameters=LOOSE)[1].n_new == 0


def test_an_exam_that_was_not_segmented_says_nothing(grid):
    first, second = cube(grid, 4, 4, 4), cube(grid, 20, 4, 4)
    found = new_components([None, first, None, second], grid, parameters=LOOSE)
    assert [e.n_new for e in found] == [None, None, None, 1]
    assert [e.n_small for e in found] == [None, 0, None, 0]
    assert found[2].components == ()


def test_after_exams_known_to_be_free_of_tumour_everything_is_new(grid):
    nothing, part = np.zeros(grid.shape, bool), cube(grid, 4, 4, 4)
    found = new_components([nothing, part], grid, parameters=LOOSE)
    assert [e.n_new for e in found] == [None, 1]
    assert found[1].components[0].gap_mm == np.inf


def test_small_parts_are_counted_apart_and_are_not_new(grid):
    first, crumb = cube(grid, 4, 4, 4, side=8), cube(grid, 30, 30, 30, side=1)
    found = new_components([first, first | crumb], grid)[1]
    assert (found.n_new, found.n_small) == (0, 1)
    assert not found.new.any()


def test_a_new_part_that_merges_with_the_old_tumour_is_part_of_it(grid):
    first = cube(grid, 4, 4, 4)
    grown = first | cube(grid, 8, 4, 4) | cube(grid, 12, 4, 4)
    assert new_components([first, grown], grid, parameters=LOOSE)[1].n_new == 0


def test_rows_of_parts_say_nan_where_nothing_is_known(grid):
    row = new_components([cube(grid, 4, 4, 4)], grid, parameters=LOOSE)[0].components[0].as_row()
    assert np.isnan([row["gap_mm"], row["is_new"]]).all()


def test_masks_of_another_shape_and_negative_tolerances_are_refused(grid):
    with pytest.raises(GridMismatchError, match="mask 2"):
        new_components([cube(grid, 4, 4, 4), np.zeros((2, 2, 2), bool)], grid)
    with pytest.raises(ParameterError, match="tolerance"):
        new_components([], grid, tolerance_mm=-1.0)
    assert new_components([], grid) == ()
