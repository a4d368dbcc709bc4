from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.report.slices import DisplayFrame, largest_section, spread_sections
from regrowth.space import Grid
from tests.report.report_scene import points, sphere

PLANES = ("axial", "coronal", "sagittal")
DIRECTION = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


@pytest.mark.parametrize("convention", ["radiological", "neurological"])
@pytest.mark.parametrize("plane", PLANES)
def test_every_side_of_a_cut_carries_the_letter_of_the_patients_direction(grid: Grid, plane, convention):
    frame = DisplayFrame.of(grid)
    index = frame.shape[{"sagittal": 0, "coronal": 1, "axial": 2}[plane]] // 2
    xyz = points(grid)
    coordinates = [frame.cut(xyz[..., k], plane, index, convention=convention) for k in range(3)]
    sides = (np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1])
    for letter, here, opposite in zip(coordinates[0].letters, sides, (sides[1], sides[0], sides[3], sides[2]), strict=True):
        axis, sign = DIRECTION[letter]
        data = coordinates[axis].data
        assert sign * (data[here].mean() - data[opposite].mean()) > 0


def test_a_marker_at_the_patients_left_front_top_is_shown_where_the_letters_say(grid: Grid):
    marker = sphere(grid, (-15.0, 12.0, 14.0), 7.0)
    frame = DisplayFrame.of(grid)
    expected = {"axial": ("right", "top"), "coronal": ("right", "top"), "sagittal": ("left", "top")}
    for plane, (side, height) in expected.items():
        cut = frame.cut(marker, plane, largest_section(frame, marker, plane))
        rows, columns = np.nonzero(cut.data)
        assert ("right" if columns.mean() > cut.data.shape[1] / 2 else "left") == side
        assert ("top" if rows.mean() < cut.data.shape[0] / 2 else "bottom") == height
    mirrored = frame.cut(marker, "axial", largest_section(frame, marker, "axial"), convention="neurological")
    assert np.nonzero(mirrored.data)[1].mean() < mirrored.data.shape[1] / 2
    assert mirrored.letters[:2] == ("L", "R")


def test_a_cut_has_the_size_of_the_patient_in_mm_whatever_the_voxels(grid: Grid):
    frame = DisplayFrame.of(grid)
    for plane in PLANES:
        cut = frame.cut(np.zeros(grid.shape), plane, 0)
        extents = np.array(frame.shape) * frame.spacing_mm
        across, up = (a for a in range(3) if a != {"sagittal": 0, "coronal": 1, "axial": 2}[plane])
        assert cut.size_mm == pytest.approx((extents[across], extents[up]))
        assert cut.square(1.0).size_mm == pytest.approx(cut.size_mm)
        assert cut.square(1.0).pixel_mm == pytest.approx((1.0, 1.0), rel=0.1)


def test_a_sphere_stays_round_on_anisotropic_voxels():
    grid = Grid((60, 60, 12), np.diag([1.0, 1.0, 5.0, 1.0]))
    ball = sphere(grid, (30.0, 30.0, 27.5), 14.0)
    cut = DisplayFrame.of(grid).cut(ball, "coronal", 30).square(0.5)
    inside = np.nonzero(cut.data >= 0.5)
    width, height = np.ptp(inside[1]) * cut.pixel_mm[0], np.ptp(inside[0]) * cut.pixel_mm[1]
    assert abs(width - height) <= 5.0


def test_squaring_a_cut_leaves_the_centre_of_what_it_shows_in_place():
    grid = Grid((64, 48, 12), np.diag([0.94, 0.94, 6.5, 1.0]))
    ball = sphere(grid, (22.0, 20.0, 40.0), 12.0)
    cut = DisplayFrame.of(grid).cut(ball.astype(float), "coronal", 21)
    for a in (cut, cut.square(0.5), cut.square(2.0)):
        rows, columns = np.indices(a.data.shape)
        x = ((columns + 0.5) * a.data).sum() / a.data.sum() * a.pixel_mm[0]
        y = ((rows + 0.5) * a.data).sum() / a.data.sum() * a.pixel_mm[1]
        assert (x, y) == pytest.approx((64 * 0.94 - 22.0 - 0.47, 12 * 6.5 - 40.0 - 3.25), abs=1.2)


def test_slice_positions_are_patient_coordinates(orientation, spacing_mm, grid: Grid):
    frame = DisplayFrame.of(grid)
    xyz = points(grid)
    for axis, plane in ((0, "sagittal"), (1, "coronal"), (2, "axial")):
        values = frame.cut(xyz[..., axis], plane, 2).data
        if orientation == "oblique":
            assert frame.is_oblique
            assert 17.0 <= frame.tilt_deg < 20.0
        else:
            assert not frame.is_oblique
            assert frame.position_mm(plane, 2) == pytest.approx(values.mean())
            assert np.ptp(values) == pytest.approx(0, abs=1e-9)


def test_a_box_holds_the_mask_with_its_margin_and_stays_inside_the_grid(grid: Grid):
    mask = sphere(grid, (0.0, 0.0, 0.0), 8.0)
    frame = DisplayFrame.of(grid)
    box = frame.box(mask, 5.0, minimum_mm=30.0)
    turned = frame.array(mask)
    assert turned[box].sum() == mask.sum() > 0
    for part, count, step in zip(box, frame.shape, frame.spacing_mm, strict=True):
        assert 0 <= part.start < part.stop <= count
        assert (part.stop - part.start) * step >= 30.0 - step
    assert frame.box(np.zeros(grid.shape, bool), 5.0) == frame.whole()


def test_the_largest_section_is_the_slice_with_most_of_the_mask():
    grid = Grid((20, 20, 20), np.diag([-1.0, 1.0, 1.0, 1.0]))
    mask = np.zeros(grid.shape, bool)
    mask[3, :, :] = True
    frame = DisplayFrame.of(grid)
    assert largest_section(frame, mask, "sagittal") == 20 - 1 - 3
    assert largest_section(frame, np.zeros_like(mask), "axial") == 10


def test_spread_sections_cover_the_mask_without_repeating_a_slice():
    grid = Grid((10, 10, 24), np.diag([1.0, 1.0, 6.5, 1.0]))
    mask = np.zeros(grid.shape, bool)
    mask[5, 5, 4:20] = True
    frame = DisplayFrame.of(grid)
    assert spread_sections(frame, mask, 6)[0] == 4
    assert spread_sections(frame, mask, 6)[-1] == 19
    one = np.zeros_like(mask)
    one[5, 5, 0] = True
    assert spread_sections(frame, one, 6) == list(range(6))


def test_a_slice_outside_of_the_grid_is_refused():
    frame = DisplayFrame.of(Grid((4, 4, 4), np.eye(4)))
    with pytest.raises(ParameterError, match="outside of 0 to 3"):
        frame.cut(np.zeros((4, 4, 4)), "axial", 4)
