"""Images and label maps: arrays that know their grid and cannot be changed by accident."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, LabelSchemeError
from regrowth.labels import label_scheme
from regrowth.space import Grid, Image, LabelMap

BRATS = label_scheme("brats-2023")


def test_image_data_is_read_only(grid):
    image = Image(np.zeros(grid.shape), grid)
    with pytest.raises(ValueError, match="read-only"):
        image.data[0, 0, 0] = 1


def test_making_an_image_does_not_lock_the_array_of_the_caller(grid):
    data = np.zeros(grid.shape)
    Image(data, grid)
    data[0, 0, 0] = 1
    assert data[0, 0, 0] == 1


def test_image_fields_cannot_be_replaced(grid):
    image = Image(np.zeros(grid.shape), grid)
    with pytest.raises(AttributeError):
        image.data = np.ones(grid.shape)


def test_series_has_a_fourth_axis(grid):
    assert Image(np.zeros((*grid.shape, 3), np.uint8), grid).data.shape == (*grid.shape, 3)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 5), (2, 3, 4, 1, 1), (4, 3, 2)])
def test_image_of_the_wrong_shape_is_refused(shape):
    with pytest.raises(GridMismatchError, match=r"does not fit its grid of shape \(2, 3, 4\)"):
        Image(np.zeros(shape), Grid((2, 3, 4), np.eye(4)))


def test_with_data_keeps_grid_and_unit_unless_told(grid):
    image = Image(np.zeros(grid.shape), grid, "HU")
    assert image.with_data(np.ones(grid.shape)).unit == "HU"
    dose = image.with_data(np.ones(grid.shape), "Gy")
    assert dose.unit == "Gy"
    assert dose.grid is grid


def test_label_map_is_read_only(grid):
    labels = LabelMap(np.zeros(grid.shape, np.uint8), grid, BRATS)
    with pytest.raises(ValueError, match="read-only"):
        labels.data[0, 0, 0] = 1


def test_label_map_refuses_a_wrong_shape():
    with pytest.raises(GridMismatchError, match="segmentation of shape"):
        LabelMap(np.zeros((2, 3, 4, 1), np.uint8), Grid((2, 3, 4), np.eye(4)), BRATS)


def test_label_map_refuses_values_that_its_scheme_does_not_define(grid):
    data = np.zeros(grid.shape, np.uint8)
    data[1, 1, 1] = 4
    with pytest.raises(LabelSchemeError, match=r"value\(s\) 4, .*brats-2023"):
        LabelMap(data, grid, BRATS)


def test_label_map_refuses_fractions(grid):
    with pytest.raises(LabelSchemeError, match="integer values, not float64"):
        LabelMap(np.zeros(grid.shape), grid, BRATS)


def test_bool_mask_is_a_label_map_of_one_label(grid):
    labels = LabelMap(np.ones(grid.shape, bool), grid, label_scheme("binary-gtv"))
    assert labels.data.dtype == np.uint8
    assert labels.mask("GTV").all()


def test_mask_is_the_union_of_the_labels_of_a_region(grid):
    data = np.zeros(grid.shape, np.uint8)
    data[0, 0, :4] = [1, 2, 3, 3]
    labels = LabelMap(data, grid, BRATS)
    assert labels.mask("ET").sum() == 2
    assert labels.mask("TC").sum() == 3
    assert labels.mask("WT").sum() == 4
    assert labels.mask("CE_core").dtype == bool


def test_volume_is_voxel_count_times_voxel_volume(grid, spacing_mm):
    data = np.zeros(grid.shape, np.uint8)
    data[1:4, 1:3, 1:3] = 2
    labels = LabelMap(data, grid, BRATS)
    assert labels.volume_ml("NE") == pytest.approx(12 * np.prod(spacing_mm) / 1000)
    assert labels.volume_ml("ET") == 0


def test_region_that_the_scheme_cannot_express_is_refused_and_not_zero(grid):
    labels = LabelMap(np.zeros(grid.shape, np.uint8), grid, label_scheme("hd-glio"))
    assert not labels.has("CE_core")
    assert labels.has("ET")
    with pytest.raises(LabelSchemeError, match="has no region 'CE_core'"):
        labels.volume_ml("CE_core")


def test_converted_label_map_keeps_its_grid_and_regions(grid, rng):
    data = rng.choice(np.array([0, 1, 2, 4], np.uint8), grid.shape)
    old = LabelMap(data, grid, label_scheme("brats-2021"))
    new = old.convert(BRATS)
    assert new.grid is grid
    assert new.scheme is BRATS
    for region in ("ET", "NCR", "NE", "TC", "WT", "CE_core"):
        np.testing.assert_array_equal(new.mask(region), old.mask(region))
