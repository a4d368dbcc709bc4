"""Label schemes: what each number means, and which conversions would lie."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest

from regrowth.errors import LabelSchemeError
from regrowth.labels import REGIONS, SCHEMES, TISSUES, LabelScheme, label_scheme
from regrowth.space import Grid, LabelMap

IDS = {
    "brats-2013": {"NCR": 1, "ED": 2, "NET": 3, "ET": 4},
    "brats-2021": {"NCR": 1, "ED": 2, "ET": 4},
    "brats-2023": {"NCR": 1, "ED": 2, "ET": 3},
    "brats-2024-post": {"NETC": 1, "SNFH": 2, "ET": 3, "RC": 4},
    "brats-ped": {"ET": 1, "NET": 2, "CC": 3, "ED": 4},
    "hd-glio": {"NE": 1, "CE": 2},
    "picture-preop": {"NE": 1, "NCR": 2, "CE": 3},
    "picture-postop": {"CE": 1},
    "picture-postop-beta": {"NE": 1, "RC": 2, "CE": 3},
    "binary-gtv": {"GTV": 1},
}

# Written out by hand; the rules of the module must give exactly these values.
REGION_VALUES = {
    "brats-2013": {"CE_core": (1, 4), "ET": (4,), "NCR": (1,), "NE": (2,), "TC": (1, 3, 4), "WT": (1, 2, 3, 4)},
    "brats-2021": {"CE_core": (1, 4), "ET": (4,), "NCR": (1,), "NE": (2,), "TC": (1, 4), "WT": (1, 2, 4)},
    "brats-2023": {"CE_core": (1, 3), "ET": (3,), "NCR": (1,), "NE": (2,), "TC": (1, 3), "WT": (1, 2, 3)},
    "brats-2024-post": {"CE_core": (1, 3), "ET": (3,), "NCR": (1,), "NE": (2,), "TC": (1, 3), "WT": (1, 2, 3), "RC": (4,)},
    "brats-ped": {"ET": (1,), "NE": (4,), "TC": (1, 2, 3), "WT": (1, 2, 3, 4)},
    "hd-glio": {"ET": (2,), "NE": (1,), "WT": (1, 2)},
    "picture-preop": {"CE_core": (2, 3), "ET": (3,), "NCR": (2,), "NE": (1,), "TC": (2, 3), "WT": (1, 2, 3)},
    "picture-postop": {"ET": (1,)},
    "picture-postop-beta": {"ET": (3,), "NE": (1,), "WT": (1, 3), "RC": (2,)},
    "binary-gtv": {"GTV": (1,)},
}


def every_label_once(name: str) -> np.ndarray:
    return np.array([0, *label_scheme(name).values.values()], np.uint8)


def test_tables_of_this_test_name_every_scheme():
    assert set(IDS) == set(REGION_VALUES) == set(SCHEMES)


@pytest.mark.parametrize("name", SCHEMES)
def test_ids_are_the_published_ones(name):
    assert dict(SCHEMES[name].values) == IDS[name]
    assert SCHEMES[name].name == name
    assert SCHEMES[name].source


@pytest.mark.parametrize("name", SCHEMES)
def test_regions_are_the_ones_written_out_by_hand(name):
    scheme = SCHEMES[name]
    found = {region: tuple(sorted(scheme.region_values(region))) for region in scheme.regions}
    assert found.pop("lesion") == tuple(sorted(IDS[name].values()))
    assert found == REGION_VALUES[name]


@pytest.mark.parametrize("name", SCHEMES)
def test_every_region_is_explained_and_every_tissue_known(name):
    assert set(SCHEMES[name].regions) <= set(REGIONS)
    assert set().union(*SCHEMES[name].tissues.values()) <= set(TISSUES)


@pytest.mark.parametrize("name", SCHEMES)
def test_cavity_never_counts_as_tumour(name):
    scheme = SCHEMES[name]
    cavity = {scheme.values[n] for n, tissues in scheme.tissues.items() if "RC" in tissues}
    for region in set(scheme.regions) - {"RC", "lesion"}:
        assert not cavity & set(scheme.region_values(region))


@pytest.mark.parametrize("name", SCHEMES)
def test_tumour_regions_are_nested(name):
    scheme = SCHEMES[name]
    chain = [set(scheme.region_values(r)) for r in ("ET", "CE_core", "TC", "WT", "lesion") if r in scheme.regions]
    assert all(inner <= outer for inner, outer in pairwise(chain))


@pytest.mark.parametrize("year", ["2017", "2018", "2019", "2020"])
def test_older_years_of_brats_share_the_scheme_of_2021(year):
    assert label_scheme(f"BraTS-{year} ") is SCHEMES["brats-2021"]
    assert label_scheme("upenn-gbm") is SCHEMES["brats-2021"]


def test_unknown_scheme_is_refused_with_all_names():
    with pytest.raises(LabelSchemeError, match=r"'brats'; .*brats-2013.*binary-gtv.*upenn-gbm"):
        label_scheme("brats")


# --- traps ----------------------------------------------------------------------------------------------------------


def test_reading_brats_values_as_picture_swaps_core_and_oedema():
    """1 and 2 are swapped: without the right name the ratio of core to oedema would be turned over, without an error."""
    voxels = np.array([1] * 10 + [2] * 90 + [3] * 5, np.uint8).reshape(-1, 1, 1)
    grid = Grid(voxels.shape, np.diag([10.0, 10.0, 10.0, 1.0]))
    as_brats = LabelMap(voxels, grid, label_scheme("brats-2023"))
    as_picture = LabelMap(voxels, grid, label_scheme("picture-preop"))
    assert (as_brats.volume_ml("CE_core"), as_brats.volume_ml("NE")) == pytest.approx((15, 90))
    assert (as_picture.volume_ml("CE_core"), as_picture.volume_ml("NE")) == pytest.approx((95, 10))


def test_converting_between_brats_and_picture_swaps_the_values_and_keeps_the_regions():
    brats, picture = label_scheme("brats-2023"), label_scheme("picture-preop")
    assert brats.convert(every_label_once("brats-2023"), picture).tolist() == [0, 2, 1, 3]
    assert picture.convert(every_label_once("picture-preop"), brats).tolist() == [0, 2, 1, 3]


def test_four_is_enhancing_in_2021_and_cavity_in_2024():
    assert label_scheme("brats-2021").region_values("ET") == (4,)
    assert label_scheme("brats-2024-post").region_values("RC") == (4,)


def test_two_is_necrosis_before_surgery_and_cavity_after_it_in_picture():
    assert label_scheme("picture-preop").region_values("NCR") == (2,)
    assert label_scheme("picture-postop-beta").region_values("RC") == (2,)


@pytest.mark.parametrize("region", ["CE_core", "NCR", "TC"])
def test_hd_glio_has_neither_necrosis_nor_a_core(region):
    with pytest.raises(LabelSchemeError, match=rf"hd-glio has no region '{region}' \(it has ET, NE, WT, lesion\)"):
        label_scheme("hd-glio").region_values(region)


@pytest.mark.parametrize("region", ["ET", "TC", "WT", "CE_core"])
def test_binary_mask_tells_no_compartments(region):
    with pytest.raises(LabelSchemeError):
        label_scheme("binary-gtv").region_values(region)


# --- conversion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [("brats-2021", "brats-2023"), ("brats-2021", "picture-preop"), ("brats-2023", "picture-preop")],
)
def test_conversion_between_schemes_of_the_same_tissues_is_lossless(one, other):
    a, b = label_scheme(one), label_scheme(other)
    for x, y in ((a, b), (b, a)):
        start = every_label_once(x.name)
        there = x.convert(start, y)
        assert there.dtype == np.uint8
        assert y.convert(there, x).tolist() == start.tolist()
        for region in x.regions:
            assert np.isin(start, x.region_values(region)).tolist() == np.isin(there, y.region_values(region)).tolist()


def test_enhancing_tumour_of_2021_becomes_3_in_2023():
    assert label_scheme("brats-2021").convert(every_label_once("brats-2021"), label_scheme("brats-2023")).tolist() == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("name", SCHEMES)
def test_conversion_to_itself_changes_nothing(name):
    data = every_label_once(name).reshape(1, -1)
    assert SCHEMES[name].convert(data, SCHEMES[name]).tolist() == data.tolist()


@pytest.mark.parametrize("to", ["brats-2023", "picture-preop", "brats-2021"])
def test_cavity_has_no_place_in_a_scheme_without_one(to):
    post = label_scheme("brats-2024-post")
    with pytest.raises(LabelSchemeError, match=r"label 4 \(RC: RC\) has no place"):
        post.convert(every_label_once("brats-2024-post"), label_scheme(to), merge=True)
    assert post.convert(np.array([0, 1, 2, 3]), label_scheme(to)).any()


def test_necrosis_and_non_enhancing_tumour_merge_only_when_asked():
    old, new = label_scheme("brats-2013"), label_scheme("brats-2021")
    with pytest.raises(LabelSchemeError, match=r"NCR and NET would become one label NCR.*merge=True"):
        old.convert(every_label_once("brats-2013"), new)
    assert old.convert(every_label_once("brats-2013"), new, merge=True).tolist() == [0, 1, 2, 1, 4]


def test_merged_necrosis_cannot_be_taken_apart_again():
    with pytest.raises(LabelSchemeError, match="has no place in brats-2013"):
        label_scheme("brats-2021").convert(every_label_once("brats-2021"), label_scheme("brats-2013"), merge=True)


def test_compartments_do_not_become_a_gross_tumour_by_themselves():
    with pytest.raises(LabelSchemeError):
        label_scheme("brats-2023").convert(every_label_once("brats-2023"), label_scheme("binary-gtv"), merge=True)


@pytest.mark.parametrize("start", ["hd-glio", "picture-postop", "picture-postop-beta"])
def test_what_was_never_labelled_does_not_become_zero(start):
    """In HD-GLIO necrosis is not labelled; as BraTS its volume would read 0 ml, and the core would be too small."""
    with pytest.raises(LabelSchemeError, match=r"does not label CE_core, NCR, .*would be measured as 0"):
        label_scheme(start).convert(every_label_once(start), label_scheme("brats-2024-post"), merge=True)


def test_cavity_may_be_declared_absent_before_surgery():
    before, after = label_scheme("brats-2021"), label_scheme("brats-2024-post")
    with pytest.raises(LabelSchemeError, match="does not label RC"):
        before.convert(every_label_once("brats-2021"), after)
    assert before.convert(every_label_once("brats-2021"), after, absent=("RC",)).tolist() == [0, 1, 2, 3]


def test_unknown_values_are_named_with_the_file_and_the_scheme():
    with pytest.raises(LabelSchemeError) as caught:
        label_scheme("brats-2023").check_values(np.array([0, 1, 4, 7]), "sub-01_dseg.nii.gz")
    text = str(caught.value)
    assert text.startswith("sub-01_dseg.nii.gz holds the label value(s) 4, 7,")
    assert "brats-2023" in text
    assert "1=NCR, 2=ED, 3=ET" in text
    assert "--label-scheme" in text


def test_conversion_refuses_unknown_values_too():
    with pytest.raises(LabelSchemeError, match=r"value\(s\) 4"):
        label_scheme("brats-2023").convert(np.array([4]), label_scheme("brats-2021"))


# --- own schemes ----------------------------------------------------------------------------------------------------


def own(values: dict[str, int], **tissues: str) -> LabelScheme:
    return LabelScheme("own", values, {n: frozenset(t.split()) for n, t in tissues.items()}, "a test")


def test_label_that_straddles_the_border_of_a_region_removes_the_region():
    scheme = own({"core": 1, "rest": 2}, core="ET NCR", rest="ED RC")
    assert "CE_core" in scheme.regions
    assert "ET" not in scheme.regions
    assert "NE" not in scheme.regions
    assert "WT" not in scheme.regions
    assert "RC" not in scheme.regions


def test_two_labels_of_one_tissue_make_one_region():
    scheme = own({"left": 1, "right": 2}, left="ET", right="ET")
    assert scheme.region_values("ET") == (1, 2)


@pytest.mark.parametrize("values", [{"a": 1, "b": 1}, {"a": 0, "b": 1}, {"a": 1, "b": 256}, {"a": -1, "b": 1}])
def test_values_must_differ_and_fit(values):
    with pytest.raises(LabelSchemeError, match="from 1 to 255"):
        own(values, a="ET", b="ED")


def test_values_and_tissues_must_name_the_same_labels():
    with pytest.raises(LabelSchemeError, match="different labels"):
        own({"a": 1}, b="ET")


@pytest.mark.parametrize("tissue", ["", "oedema"])
def test_tissues_must_be_known(tissue):
    with pytest.raises(LabelSchemeError, match="tissues of ET, NCR"):
        own({"a": 1}, a=tissue)


def test_scheme_cannot_be_changed():
    scheme = label_scheme("brats-2023")
    with pytest.raises(TypeError):
        scheme.values["ET"] = 4
    with pytest.raises(TypeError):
        SCHEMES["mine"] = scheme
    with pytest.raises(AttributeError):
        scheme.name = "other"


@pytest.mark.parametrize("name", SCHEMES)
def test_scheme_travels_to_another_process_and_stays_the_same_key(name):
    twin = pickle.loads(pickle.dumps(SCHEMES[name]))  # noqa: S301
    assert twin == SCHEMES[name]
    assert hash(twin) == hash(SCHEMES[name])
    assert len(set(SCHEMES.values())) == len(SCHEMES)
