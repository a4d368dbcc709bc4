"""Names, values and sides of regions, and maps of them."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.anatomy import LOBES, Region, RegionMap, RegionScheme
from regrowth.errors import GridMismatchError, LabelSchemeError
from tests.conftest import make_grid

GRID = make_grid("RAS", (10.0, 10.0, 10.0))


def test_lobes_have_the_values_of_the_contract():
    names = ("frontal", "parietal", "temporal", "occipital", "cingulate", "insula", "deep_grey", "cerebellum", "ventricles")
    assert [(r.value, r.name, r.side) for r in LOBES] == [
        *((11 + i, name, "left") for i, name in enumerate(names)),
        *((21 + i, name, "right") for i, name in enumerate(names)),
        (31, "corpus_callosum", "midline"),
        (32, "brainstem", "midline"),
        (33, "ventricles", "midline"),
    ]


@pytest.mark.parametrize(
    ("key", "label", "kind"),
    [
        (11, "left frontal", "lobe"),
        ("right deep grey", "right deep grey", "deep"),
        (31, "corpus callosum", "callosum"),
        ("brainstem", "brainstem", "infratentorial"),
        (28, "right cerebellum", "infratentorial"),
        (33, "ventricles", "csf"),
    ],
)
def test_region_is_found_by_value_and_by_label(key, label, kind):
    region = LOBES.region(key)
    assert (region.label, region.kind) == (label, kind)


@pytest.mark.parametrize("key", [0, 34, "frontal", "corpus_callosum"])
def test_unknown_region_is_refused_with_the_list_of_known_ones(key):
    with pytest.raises(LabelSchemeError, match="11 left frontal"):
        LOBES.region(key)


def test_regions_are_selected_by_name_side_and_kind():
    assert [r.label for r in LOBES.select(name="insula")] == ["left insula", "right insula"]
    assert len(LOBES.select(side="left", kind="lobe")) == 6
    assert [r.value for r in LOBES.select(kind="csf")] == [19, 29, 33]
    assert LOBES.select(name="claustrum") == ()


def test_scheme_refuses_a_value_or_a_label_that_occurs_twice():
    a, b = Region(1, "frontal", "left", "lobe"), Region(1, "parietal", "left", "lobe")
    with pytest.raises(LabelSchemeError, match="value 1"):
        RegionScheme("x", (a, b), "")
    with pytest.raises(LabelSchemeError, match="label left frontal"):
        RegionScheme("x", (a, Region(2, "frontal", "left", "lobe")), "")


@pytest.mark.parametrize(
    ("value", "side", "kind"), [(0, "left", "lobe"), (70000, "left", "lobe"), (1, "up", "lobe"), (1, "left", "bone")]
)
def test_impossible_region_is_refused(value, side, kind):
    with pytest.raises(LabelSchemeError, match="x"):
        Region(value, "x", side, kind)


def test_map_gives_masks_and_volumes(grid):
    data = np.zeros(grid.shape, np.int64)
    data[:2], data[-1] = 11, 29
    regions = RegionMap(data, grid)
    assert regions.data.dtype == np.uint8
    assert (regions.mask("left frontal") == (data == 11)).all()
    assert (regions.mask_of(kind="csf") == (data == 29)).all()
    assert regions.volume_ml("left frontal") == pytest.approx(2 * grid.shape[1] * grid.shape[2] * grid.voxel_volume_ml)
    assert regions.volume_ml("brainstem") == 0


def test_map_cannot_be_changed_afterwards():
    data = np.zeros(GRID.shape, np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        RegionMap(data, GRID).data[0, 0, 0] = 11
    data[0, 0, 0] = 11  # the caller's own array stays writable


def test_map_refuses_foreign_values_other_shapes_and_fractions():
    data = np.full(GRID.shape, 12)
    data[0, 0, 0] = 99
    with pytest.raises(LabelSchemeError, match=r"\[99\]"):
        RegionMap(data, GRID)
    with pytest.raises(GridMismatchError, match="shape"):
        RegionMap(np.zeros((2, 2, 2), int), GRID)
    with pytest.raises(LabelSchemeError, match="float64"):
        RegionMap(np.zeros(GRID.shape), GRID)


def test_map_of_a_large_scheme_keeps_its_values():
    scheme = RegionScheme("fs", (Region(3201, "wm_frontal", "left", "lobe"),), "FreeSurfer")
    regions = RegionMap(np.full(GRID.shape, 3201), GRID, scheme)
    assert regions.data.dtype == np.uint16
    assert regions.mask("left wm frontal").all()
