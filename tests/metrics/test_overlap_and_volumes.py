"""Dice, volumes of all regions, and the ratio of CE core to NE with its status."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.labels import REGIONS, label_scheme
from regrowth.metrics import dice, exam_volumes
from regrowth.space import Grid, LabelMap


def labels(scheme: str, **counts: int) -> LabelMap:
    """Segmentation with so many voxels (of 0.006 ml) of each label."""
    found = label_scheme(scheme)
    data = np.zeros(1000, np.uint8)
    values = np.repeat([found.values[name] for name in counts], list(counts.values()))
    data[: len(values)] = values
    return LabelMap(data.reshape(10, 10, 10), Grid((10, 10, 10), np.diag([-1.0, 2.0, 3.0, 1.0])), found)


def test_dice_of_equal_disjoint_and_half_shared_masks():
    a, b = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    assert dice(a, a).dice == 1.0
    assert dice(a, ~a).dice == 0.0
    assert dice(a, b).dice == 0.5


def test_dice_of_empty_masks_is_nan_with_a_reason_and_of_one_empty_mask_zero():
    full, empty = np.ones(4, bool), np.zeros(4, bool)
    both = dice(empty, empty)
    assert np.isnan(both.dice)
    assert both.status == "both_empty"
    assert "empty" in both.reason
    assert (dice(full, empty).dice, dice(full, empty).status) == (0.0, "b_empty")
    with pytest.raises(GridMismatchError):
        dice(full, empty[1:])


def test_volumes_are_voxel_counts_times_voxel_volume_in_every_region():
    found = exam_volumes(labels("brats-2021", NCR=50, ED=200, ET=100))
    assert found.voxel_volume_ml == pytest.approx(0.006)
    expected = {"ET": 0.6, "NCR": 0.3, "NE": 1.2, "CE_core": 0.9, "TC": 0.9, "WT": 2.1, "lesion": 2.1}
    assert {r: found.volumes_ml[r] for r in expected} == pytest.approx(expected)
    assert set(found.reasons) == {"RC", "GTV"}
    assert np.isnan([found.volumes_ml["RC"], found.volumes_ml["GTV"]]).all()
    assert found.ratio == pytest.approx(0.75)
    assert (found.ratio_status, found.at_or_below_cut) == ("ok", False)


def test_the_ratio_means_the_same_in_schemes_that_swap_their_values():
    brats = exam_volumes(labels("brats-2021", NCR=50, ED=500, ET=100))
    picture = exam_volumes(labels("picture-preop", NCR=50, NE=500, CE=100))
    assert brats.ratio == picture.ratio == pytest.approx(0.3)
    assert brats.at_or_below_cut is True


def test_a_cavity_is_no_part_of_the_core():
    found = exam_volumes(labels("brats-2024-post", NETC=10, SNFH=100, ET=20, RC=300))
    assert found.ratio == pytest.approx(0.3)
    assert found.volumes_ml["RC"] == pytest.approx(1.8)
    assert found.volumes_ml["WT"] == pytest.approx(0.78)


@pytest.mark.parametrize(
    ("segmentation", "status", "ratio"),
    [
        (labels("brats-2021", ET=10), "no_NE", np.nan),
        (labels("brats-2021", ED=10), "no_core", 0.0),
        (labels("brats-2021"), "empty", np.nan),
        (labels("hd-glio", NE=10, CE=10), "scheme_lacks_CE_core", np.nan),
        (labels("binary-gtv", GTV=10), "scheme_lacks_CE_core", np.nan),
    ],
)
def test_the_ratio_says_why_it_is_missing(segmentation, status, ratio):
    found = exam_volumes(segmentation)
    assert found.ratio_status == status
    assert found.ratio_reason
    assert found.ratio == pytest.approx(ratio, nan_ok=True)
    assert found.at_or_below_cut is (None if np.isnan(ratio) else True)


def test_the_cut_is_inclusive_and_can_be_chosen():
    segmentation = labels("brats-2021", ET=162, ED=500)
    assert exam_volumes(segmentation).ratio == 0.324
    assert exam_volumes(segmentation).at_or_below_cut is True
    assert exam_volumes(segmentation, ratio_cut=0.3).at_or_below_cut is False
    with pytest.raises(ParameterError):
        exam_volumes(segmentation, ratio_cut=0.0)


def test_the_row_of_volumes_has_one_column_per_region_and_names_the_scheme():
    row = exam_volumes(labels("picture-preop", NE=10)).as_row()
    assert {f"{r}_ml" for r in REGIONS} <= set(row)
    assert (row["label_scheme"], row["space"]) == ("picture-preop", "native")
