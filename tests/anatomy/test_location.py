"""Where a tumour lies, class by class, on volumes at and just beside every threshold."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrowth.anatomy import (
    LOBES,
    Location,
    LocationParameters,
    RegionMap,
    RegionVolumes,
    component_locations,
    location,
    location_compartment,
    region_volumes,
)
from regrowth.errors import GridMismatchError, ParameterError
from regrowth.labels import label_scheme
from regrowth.space import Grid, LabelMap
from tests.conftest import make_grid

TISSUE = [r.label for r in LOBES if r.kind != "csf"]


def volumes(unassigned: float = 0.0, **ml: float) -> RegionVolumes:
    """Volumes by label, ``left_frontal=3`` for "left frontal"; all others 0."""
    full = dict.fromkeys(LOBES.labels, 0.0)
    for name, value in ml.items():
        label = name.replace("_", " ")
        assert label in full
        full[label] = value
    return RegionVolumes(full, unassigned, sum(full.values()) + unassigned, LOBES.name, LOBES.regions)


def place(unassigned: float = 0.0, **ml: float) -> Location:
    return location(volumes(unassigned, **ml))


@pytest.mark.parametrize(
    ("ml", "side"),
    [
        ({"left_frontal": 9.0, "right_frontal": 1.0}, "left"),
        ({"left_frontal": 8.99, "right_frontal": 1.01}, "bilateral"),
        ({"left_frontal": 1.0, "right_frontal": 9.0}, "right"),
        ({"left_frontal": 1.01, "right_frontal": 8.99}, "bilateral"),
        ({"left_deep_grey": 5.0, "left_cerebellum": 5.0}, "left"),
        ({"left_frontal": 4.0, "corpus_callosum": 6.0}, "midline"),
        ({"left_frontal": 4.01, "corpus_callosum": 5.99}, "left"),
        ({"brainstem": 3.0}, "midline"),
        ({"left_frontal": 1.0, "right_ventricles": 50.0}, "left"),  # fluid has no say
    ],
)
def test_laterality_needs_nine_tenths_of_the_tissue_that_has_a_side(ml, side):
    assert place(**ml).laterality == side


def test_left_share_is_of_the_tissue_with_a_side_and_nan_without_it():
    assert place(left_frontal=3.0, right_insula=1.0, brainstem=4.0).left_share == pytest.approx(0.75)
    assert math.isnan(place(brainstem=4.0).left_share)


@pytest.mark.parametrize(
    ("ml", "crosses", "butterfly"),
    [
        ({"left_frontal": 10.0}, False, False),
        ({"left_frontal": 10.0, "right_frontal": 0.1}, True, False),
        ({"left_frontal": 10.0, "right_frontal": 0.09}, False, False),
        ({"left_frontal": 10.0, "corpus_callosum": 0.1}, True, False),
        ({"left_frontal": 10.0, "corpus_callosum": 0.09}, False, False),
        ({"left_frontal": 9.0, "right_frontal": 1.0, "corpus_callosum": 0.1}, True, True),
        ({"left_frontal": 9.01, "right_frontal": 0.99, "corpus_callosum": 5.0}, True, False),
        ({"left_frontal": 5.0, "right_frontal": 5.0}, True, False),  # both sides without the callosum: no butterfly
        ({"left_frontal": 5.0, "right_frontal": 5.0, "corpus_callosum": 0.09}, True, False),
        ({"brainstem": 5.0}, False, False),
    ],
)
def test_a_tumour_crosses_by_both_sides_or_the_callosum_and_a_butterfly_needs_both(ml, crosses, butterfly):
    found = place(**ml)
    assert (found.crosses_midline, found.is_butterfly) == (crosses, butterfly)


@pytest.mark.parametrize(
    ("ml", "lobe", "share"),
    [
        ({"left_frontal": 6.0, "left_temporal": 4.0}, "frontal", 0.6),
        ({"left_frontal": 5.99, "left_temporal": 4.01}, "multiple", 0.599),
        ({"left_frontal": 3.0, "right_frontal": 3.0, "left_temporal": 4.0}, "frontal", 0.6),  # both sides are one class
        ({"left_deep_grey": 7.0, "left_insula": 3.0}, "deep grey", 0.7),
        ({"corpus_callosum": 7.0, "left_cingulate": 3.0}, "corpus callosum", 0.7),
        ({"left_frontal": 6.0, "left_temporal": 4.0, "left_ventricles": 90.0}, "frontal", 0.6),  # fluid is no denominator
        ({"left_cerebellum": 6.0, "brainstem": 4.0}, "cerebellum", 0.6),
    ],
)
def test_the_lobe_is_the_class_that_dominates_else_multiple(ml, lobe, share):
    found = place(**ml)
    assert found.lobe == lobe
    assert found.lobe_share == pytest.approx(share)


def test_involved_regions_are_listed_from_a_tenth_on_the_largest_first():
    found = place(left_frontal=5.0, left_temporal=3.0, right_insula=1.0, brainstem=0.99, left_parietal=0.01)
    assert found.involved == ("left frontal", "left temporal", "right insula")


@pytest.mark.parametrize(
    ("ml", "junction"),
    [
        ({"left_frontal": 7.6, "left_temporal": 2.4}, "fronto-temporal"),
        ({"left_frontal": 7.61, "left_temporal": 2.39}, ""),
        ({"right_temporal": 5.0, "right_parietal": 5.0}, "temporo-parietal"),
        ({"right_parietal": 5.0, "right_frontal": 5.0}, "fronto-parietal"),
        ({"right_occipital": 5.0, "right_parietal": 5.0}, "parieto-occipital"),
        ({"right_occipital": 5.0, "right_temporal": 5.0}, "temporo-occipital"),
        ({"left_insula": 5.0, "left_frontal": 5.0}, "fronto-insular"),
        ({"left_cingulate": 5.0, "left_parietal": 5.0}, "parieto-cingulate"),
        ({"left_cingulate": 5.0, "left_insula": 5.0}, "insulo-cingulate"),
        ({"left_frontal": 5.0, "right_temporal": 5.0}, ""),  # of one hemisphere
        ({"left_deep_grey": 5.0, "left_temporal": 5.0}, ""),  # of lobes
        ({"left_frontal": 2.5, "left_temporal": 4.0, "left_parietal": 3.5}, "temporo-parietal"),  # the two largest
        ({"left_frontal": 2.5, "left_temporal": 2.4, "right_frontal": 2.5, "right_parietal": 2.6}, "fronto-parietal"),
    ],
)
def test_a_junction_is_any_two_lobes_of_one_hemisphere_with_a_quarter_each(ml, junction):
    assert place(**ml).junction == junction


def test_shares_pool_the_sides_and_sum_to_one_over_tissue():
    found = place(left_frontal=2.0, right_frontal=2.0, corpus_callosum=4.0, ventricles=8.0)
    assert list(found.shares) == [
        "frontal",
        "parietal",
        "temporal",
        "occipital",
        "cingulate",
        "insula",
        "deep grey",
        "cerebellum",
        "corpus callosum",
        "brainstem",
    ]
    assert found.shares["frontal"] == found.shares["corpus callosum"] == pytest.approx(0.5)
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.side_shares["left frontal"] == pytest.approx(0.25)
    assert found.tissue_ml == pytest.approx(8.0)
    assert found.csf_share == pytest.approx(0.5)


def test_entropy_is_zero_in_one_class_and_one_evenly_in_all():
    assert place(left_frontal=3.0, right_frontal=1.0).entropy == 0.0
    even = {r.label.replace(" ", "_"): 1.0 for r in LOBES if r.side != "right" and r.kind != "csf"}
    assert place(**even).entropy == pytest.approx(1.0)
    two = place(left_frontal=1.0, left_temporal=1.0).entropy
    assert two == pytest.approx(math.log(2) / math.log(10))


@pytest.mark.parametrize(("unassigned", "low"), [(1.0, False), (1.001, True)])
def test_coverage_below_nine_tenths_is_flagged_with_a_reason(unassigned, low):
    found = place(unassigned, left_frontal=8.0, left_ventricles=1.0)
    assert found.status == "ok"
    assert found.is_low_coverage is low
    assert ("inside the region map" in found.reason) is low
    assert found.lobe == "frontal"


@pytest.mark.parametrize(
    ("given_ml", "status", "reason"),
    [
        ({}, "empty", "empty"),
        ({"unassigned": 2.0}, "no_tissue", "outside all regions"),
        ({"left_ventricles": 2.0}, "no_tissue", "cerebrospinal fluid alone"),
        ({"ventricles": 2.0, "unassigned": 1.0}, "no_tissue", "cerebrospinal fluid and outside"),
    ],
)
def test_without_tissue_there_is_a_status_a_reason_and_nan(given_ml, status, reason):
    found = place(**given_ml)
    assert found.status == status
    assert reason in found.reason
    assert (found.laterality, found.lobe, found.junction, found.involved) == ("", "", "", ())
    row = found.as_row()
    numbers = [row[k] for k in ("left_share", "crosses_midline", "is_butterfly", "lobe_share", "entropy", "tissue_ml")]
    assert np.isnan([*numbers, *(v for k, v in row.items() if k.startswith("share_"))]).all()
    assert (row["csf_share"] > 0) is ("ventricle" in str(given_ml)) if given_ml else math.isnan(row["csf_share"])


def test_rows_have_the_same_columns_with_and_without_a_location():
    row = place(left_frontal=5.0, left_temporal=5.0).as_row()
    assert list(row) == list(place().as_row())
    assert row["involved"] == "left frontal;left temporal"
    assert row["share_deep_grey"] == 0.0
    assert not any(isinstance(v, list | dict | tuple) for v in row.values())


@given(st.lists(st.floats(0, 100), min_size=len(TISSUE), max_size=len(TISSUE)).filter(lambda v: sum(v) > 1))
def test_mirrored_volumes_give_the_mirrored_side_and_the_same_lobe(values):
    given_ml = dict(zip(TISSUE, values, strict=True))
    turned = {k.replace("left", "x").replace("right", "left").replace("x", "right"): v for k, v in given_ml.items()}
    one, other = (place(**{k.replace(" ", "_"): v for k, v in ml.items()}) for ml in (given_ml, turned))
    swap = {"left": "right", "right": "left"}
    assert other.laterality == swap.get(one.laterality, one.laterality)
    assert (other.lobe, other.crosses_midline, other.is_butterfly) == (one.lobe, one.crosses_midline, one.is_butterfly)
    assert other.entropy == pytest.approx(one.entropy, abs=1e-9)
    assert 0 <= one.entropy <= 1 + 1e-12
    assert sum(one.shares.values()) == pytest.approx(1.0)


def test_thresholds_are_parameters():
    near = volumes(left_frontal=5.5, left_temporal=4.5)
    assert location(near).lobe == "multiple"
    assert location(near, LocationParameters(dominant_share=0.55)).lobe == "frontal"
    assert location(near, LocationParameters(junction_share=0.5)).junction == ""


@pytest.mark.parametrize("bad", [{"involved_share": 1.1}, {"side_share": 0.5}, {"dominant_share": 0.4}, {"min_core_ml": -1.0}])
def test_impossible_thresholds_are_refused(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        LocationParameters(**bad)


def test_locations_can_be_sent_between_processes():
    found = place(left_frontal=1.0)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301


# Parts


@pytest.fixture
def halves() -> RegionMap:
    """2 mm grid: left frontal on the left of the patient, right temporal on the right."""
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 60.0)
    x = grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))[..., 0]
    return RegionMap(np.where(x < 3, 11, 23).astype(np.uint8), grid)


def test_a_satellite_has_a_location_of_its_own(halves):
    grid = halves.grid
    mask = np.zeros(grid.shape, bool)
    mask[20:30, 10:20, 10:20] = True  # LPS: the higher first index is the left of the patient
    mask[2:6, 2:6, 2:6] = True
    mask[0, 29, 29] = True
    whole = location(region_volumes(mask, halves, grid))
    assert (whole.laterality, whole.lobe) == ("left", "frontal")
    parts, small = component_locations(mask, halves, grid, compartment="ET")
    assert [p.location.lobe for p in parts] == ["frontal", "temporal"]
    assert [p.location.laterality for p in parts] == ["left", "right"]
    assert [p.volume_ml for p in parts] == pytest.approx([8.0, 0.512])
    assert small == 1
    assert parts[1].centroid_ras_mm == pytest.approx(tuple(grid.world(np.array([3.5, 3.5, 3.5]))))
    assert parts[0].as_row()["component_ml"] == pytest.approx(8.0)
    assert parts[0].location.compartment == "ET"


def test_an_empty_mask_has_no_parts_and_another_grid_is_refused(halves):
    assert component_locations(np.zeros(halves.grid.shape, bool), halves, halves.grid) == ((), 0)
    other = make_grid("RAS", (2.0, 2.0, 2.0), 60.0)
    with pytest.raises(GridMismatchError):
        component_locations(np.zeros(other.shape, bool), halves, other)


# Which compartment is located


def segmentation(scheme: str, **voxels: int) -> LabelMap:
    """A row of voxels of 0.1 ml each, some for each label."""
    grid = Grid((60, 1, 1), np.diag([100.0, 1.0, 1.0, 1.0]))
    data = np.zeros(60, np.uint8)
    at = 0
    for name, count in voxels.items():
        data[at : at + count] = label_scheme(scheme).values[name]
        at += count
    return LabelMap(data.reshape(60, 1, 1), grid, label_scheme(scheme))


@pytest.mark.parametrize(
    ("labels", "compartment", "fallback", "reason"),
    [
        (segmentation("brats-2023", ET=3, NCR=2, ED=9), "TC", False, "tumour core"),
        (segmentation("brats-2023", ET=1, ED=9), "TC", False, "tumour core"),
        (segmentation("brats-2023", ED=9), "WT", True, "TC has 0 ml, less than 0.1 ml"),
        (segmentation("brats-2023"), "", True, "no tumour"),
        (segmentation("hd-glio", CE=2, NE=5), "ET", True, "no TC"),
        (segmentation("hd-glio", NE=5), "WT", True, "ET has 0 ml"),
        (segmentation("binary-gtv", GTV=4), "GTV", True, "no TC"),
        (segmentation("binary-gtv"), "", True, "no tumour"),
        (segmentation("picture-postop-beta", CE=1, RC=30), "ET", True, "no TC"),
        (segmentation("picture-postop-beta", RC=30), "", True, "no tumour"),
    ],
)
def test_the_core_is_located_and_the_whole_tumour_where_there_is_none(labels, compartment, fallback, reason):
    found = location_compartment(labels)
    assert (found.compartment, found.is_fallback) == (compartment, fallback)
    assert reason in found.reason
    assert found.volume_ml == pytest.approx(labels.volume_ml(compartment) if compartment else 0.0)


def test_a_core_below_the_least_volume_gives_way_only_to_a_larger_whole_tumour():
    p = LocationParameters(min_core_ml=0.5)
    assert location_compartment(segmentation("brats-2023", ET=2, ED=9), p).compartment == "WT"
    only = location_compartment(segmentation("brats-2023", ET=2), p)
    assert only.compartment == "TC"
    assert "no larger whole tumour" in only.reason
