"""The preset of Hannisdal et al. 2025: every rule of notebooks 04, 06 and 07 on a case made for it, faults included."""

from __future__ import annotations

import math

import numpy as np
import pytest

from regrowth.anatomy import HANNISDAL_REGIONS, LOBES, RegionMap, RegionVolumes, region_volumes
from regrowth.anatomy.hannisdal2025 import (
    HANNISDAL_COMPARTMENTS,
    approximate_volumes,
    classify,
    compartments,
    notebook_compartments,
    overall_change,
    overlap_row,
    overlap_table,
    white_matter_lobes,
)
from regrowth.anatomy.hannisdal_tables import NB04_LOBE_IDS, NB04_LOBES, NB06_HEMISPHERES, NB06_LOBES, NB06_WHITE_MATTER
from regrowth.errors import GridMismatchError, LabelSchemeError
from regrowth.labels import label_scheme
from regrowth.space import Grid, LabelMap

# Section 3 of the research note, read from the notebooks by another way: short id of the cortex, region in 04 and in 06.
CORTEX = """1 T T;2 F limbic;3 F F;5 O O;6 T T;7 T T;8 P P;9 T T;10 P limbic;11 O O;12 F F;13 O O;14 F F;15 T T;16 T T;17 - P
18 F F;19 F F;20 F F;21 O O;22 P P;23 - limbic;24 F F;25 P P;26 F limbic;27 F F;28 F F;29 P P;30 T T;31 P P;32 F F;33 T T;34 T T
35 - limbic"""
LONG = {"F": "frontal", "P": "parietal", "T": "temporal", "O": "occipital", "limbic": "limbic"}
ROWS = [row.split() for row in CORTEX.replace("\n", ";").split(";")]
MM = np.diag([2.0, 1.0, 1.5, 1.0])  # voxels of 3 mm3


def line(*values: int) -> tuple[np.ndarray, Grid]:
    """A row of voxels of 3 mm³."""
    return np.array(values, np.int32).reshape(-1, 1, 1), Grid((len(values), 1, 1), MM)


def masks(labels: np.ndarray, core: np.ndarray | None = None) -> dict[str, np.ndarray]:
    whole = np.ones(labels.shape, bool)
    core = whole if core is None else core
    return {"CE_core": core, "NE": ~core, "Total": whole}


# Tables


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r[0])
@pytest.mark.parametrize(("side", "start"), [("left", 1000), ("right", 2000)])
def test_each_parcel_lies_where_the_notebooks_put_it(row, side, start):
    number, in_04, in_06 = start + int(row[0]), row[1], row[2]
    trained = [name for name, ids in NB04_LOBES.items() if number in ids]
    assert trained == ([] if in_04 == "-" else [f"{side}_{LONG[in_04]}"])
    assert [name for name, ids in NB06_LOBES.items() if number in ids] == [f"{LONG[in_06]}_{side}"]


def test_there_are_fifteen_regions_in_the_order_of_notebook_06():
    assert (
        *(
            f"{lobe}_{side}"
            for lobe in ("frontal", "parietal", "temporal", "occipital", "limbic")
            for side in ("left", "right")
        ),
        "subcortical_left",
        "subcortical_right",
        "brainstem_and_cerebellum",
        "ventricles",
        "corpus_callosum",
    ) == HANNISDAL_REGIONS


@pytest.mark.parametrize(
    ("region", "ids"),
    [
        ("subcortical_left", {10, 11, 12, 13, 26, 28}),
        ("subcortical_right", {49, 50, 51, 52, 58, 60}),
        ("brainstem_and_cerebellum", {16, 7, 8, 46, 47}),
        ("ventricles", {4, 5, 14, 15, 43, 44}),
        ("corpus_callosum", set()),
        ("limbic_left", {1002, 1010, 1023, 1026, 1035}),
        ("limbic_right", {2002, 2010, 2023, 2026, 2035}),
    ],
)
def test_regions_without_cortex_of_a_lobe_have_these_ids(region, ids):
    assert set(NB06_LOBES[region]) == ids


def test_hippocampus_and_amygdala_are_temporal_in_both_tables():
    for ids, side in (((17, 18), "left"), ((53, 54), "right")):
        assert set(ids) <= set(NB04_LOBES[f"{side}_temporal"])
        assert set(ids) <= set(NB06_LOBES[f"temporal_{side}"])


def test_the_white_matter_parcels_of_freesurfer_are_listed_as_in_the_source():
    assert {i for i in NB06_LOBES["temporal_left"] if i > 3000} == {3007, 3015, 3016, 3030, 3033, 3034}
    assert {i for i in NB06_LOBES["parietal_right"] if i > 4000} == {4008, 4017, 4022, 4025, 4029, 4031}
    assert sum(i > 3000 for ids in NB06_LOBES.values() for i in ids) == 2 * (10 + 6 + 6 + 4)


def test_lobes_of_white_matter_carry_the_ids_of_freesurfer():
    assert dict(NB04_LOBE_IDS) == {
        "left_frontal": 3201,
        "left_parietal": 3206,
        "left_temporal": 3205,
        "left_occipital": 3204,
        "right_frontal": 4201,
        "right_parietal": 4206,
        "right_temporal": 4205,
        "right_occipital": 4204,
    }
    assert dict(NB06_WHITE_MATTER["left"]) | {"insula": 3207, "cingulate": 3203} == dict(NB06_WHITE_MATTER["left"])


def test_hemispheres_have_the_faults_of_the_source():
    left, right, central = (NB06_HEMISPHERES[k] for k in ("hemisphere_left", "hemisphere_right", "central"))
    assert central == (14, 15, 16, 24)
    assert 3 in left
    assert 42 not in right
    assert 5 not in left
    assert 44 in right
    assert (left.count(3205), right.count(4205)) == (2, 2)
    assert not {3204, 3206, 4204, 4206, 7, 8, 46, 47} & {*left, *right}
    assert {2, 41} <= {*left, *right}
    assert len([i for i in left if 1000 < i < 2000]) == len([i for i in right if 2000 < i < 3000]) == 34


# White matter (notebook 04)


def test_white_matter_goes_to_the_lobe_with_most_weight_of_three_neighbours():
    # Voxel 3 (white): frontal at 1 (weight 1), temporal at 2 and 3 (1/2 + 1/3 < 1): frontal.
    labels, grid = line(1015, 1015, 0, 2, 1028, 0, 0)
    assert white_matter_lobes(labels, grid)[3, 0, 0] == 3201
    # Voxel 3: frontal at 2 (1/2), temporal at 2 (1/2) and 3 (1/3): temporal, although no nearer.
    labels, grid = line(1015, 1015, 0, 2, 0, 1028, 0)
    assert white_matter_lobes(labels, grid)[3, 0, 0] == 3205


def test_a_tie_goes_to_the_smaller_id():
    labels, grid = line(1015, 2, 1028)
    assert white_matter_lobes(labels, grid)[1, 0, 0] == 3201
    labels, grid = line(1008, 2, 1015)
    assert white_matter_lobes(labels, grid)[1, 0, 0] == 3205


def test_distance_is_counted_in_voxels_whatever_the_spacing():
    labels = np.zeros((7, 1, 7), np.int32)
    labels[3, 0, 3] = 2
    labels[4:7, 0, 3], labels[3, 0, 5:7] = 1028, 1015  # frontal 1 to 3 voxels away, temporal 2 and 3
    for affine in (np.eye(4), np.diag([9.0, 1.0, 1.0, 1.0])):
        assert white_matter_lobes(labels, Grid(labels.shape, affine))[3, 0, 3] == 3201


def test_each_hemisphere_learns_from_its_own_cortex():
    labels, grid = line(2028, 2, 0, 0, 0, 1015, 41, 1015)
    found = white_matter_lobes(labels, grid).ravel()
    assert (found[1], found[6]) == (3205, 4201)
    labels, grid = line(2028, 2, 41)
    assert white_matter_lobes(labels, grid).ravel().tolist() == [0, 0, 4201]  # no left cortex: left white matter stays 0


@pytest.mark.parametrize("parcel", [1017, 1023, 1035, 17 + 1000])
def test_paracentral_posterior_cingulate_and_insula_do_not_train(parcel):
    labels, grid = line(parcel, 2, 0, 0, 1011)
    assert white_matter_lobes(labels, grid)[1, 0, 0] == 3204


def test_the_other_cingulate_parts_train_frontal_and_parietal():
    assert white_matter_lobes(*line(1002, 2))[1, 0, 0] == 3201
    assert white_matter_lobes(*line(1026, 2))[1, 0, 0] == 3201
    assert white_matter_lobes(*line(1010, 2))[1, 0, 0] == 3206


def test_white_matter_equals_that_of_scikit_learn_where_the_third_neighbour_is_certain(rng):
    neighbours = pytest.importorskip("sklearn.neighbors")
    shape = (14, 15, 13)
    labels = rng.choice([0, 2, 1028, 1008, 1015, 1011, 17], size=shape, p=[0.3, 0.4, 0.1, 0.05, 0.05, 0.05, 0.05]).astype(
        np.int32
    )
    found = white_matter_lobes(labels, Grid(shape, np.eye(4)))
    lobe_of = {i: NB04_LOBE_IDS[n] for n, ids in NB04_LOBES.items() if n in NB04_LOBE_IDS for i in ids}
    train = np.argwhere(np.isin(labels, list(lobe_of)))
    white = np.argwhere(labels == 2)
    knn = neighbours.KNeighborsClassifier(n_neighbors=3, weights="distance").fit(
        train, [lobe_of[labels[tuple(v)]] for v in train]
    )
    distance, _ = knn.kneighbors(white, n_neighbors=4)
    certain = distance[:, 2] < distance[:, 3]
    assert certain.sum() > 100
    assert np.array_equal(found[tuple(white[certain].T)], knn.predict(white[certain]))


# Overlap (notebook 06)


def test_compartments_follow_the_meaning_of_the_labels():
    values = np.array([0, 1, 2, 3]).reshape(4, 1, 1)
    grid = Grid((4, 1, 1), np.eye(4))
    ours = compartments(LabelMap(values, grid, label_scheme("picture-preop")))
    theirs = notebook_compartments(values)
    assert list(ours) == list(HANNISDAL_COMPARTMENTS)
    for c in HANNISDAL_COMPARTMENTS:
        assert np.array_equal(ours[c], theirs[c])
    assert theirs["CE_core"].ravel().tolist() == [False, False, True, True]
    assert theirs["NE"].ravel().tolist() == [False, True, False, False]
    assert theirs["Total"].ravel().tolist() == [False, True, True, True]
    brats = compartments(LabelMap(values, grid, label_scheme("brats-2023")))  # 1 necrosis, 2 oedema, 3 enhancing
    assert brats["CE_core"].ravel().tolist() == [False, True, False, True]


def test_the_notebook_counts_a_cavity_as_core_and_the_scheme_does_not():
    values = np.array([2, 2, 3]).reshape(3, 1, 1)
    assert notebook_compartments(values)["CE_core"].sum() == 3
    with pytest.raises(LabelSchemeError, match="CE_core"):
        compartments(LabelMap(values, Grid((3, 1, 1), np.eye(4)), label_scheme("picture-postop-beta")))


def test_volumes_are_counts_times_the_product_of_the_spacings():
    labels, grid = line(1028, 1028, 1008, 16, 0)
    core = np.array([1, 0, 1, 0, 1], bool).reshape(5, 1, 1)
    found = overlap_table(labels, masks(labels, core), grid)
    assert found.lobes["frontal_left"] == pytest.approx({"CE_core": 3.0, "NE": 3.0, "Total": 6.0})
    assert found.lobes["parietal_left"]["CE_core"] == pytest.approx(3.0)
    assert found.lobes["brainstem_and_cerebellum"] == pytest.approx({"CE_core": 0.0, "NE": 3.0, "Total": 3.0})
    assert found.total_mm3 == pytest.approx({"CE_core": 9.0, "NE": 6.0, "Total": 15.0})
    assert found.assigned_percent == pytest.approx({"CE_core": 200 / 3, "NE": 100.0, "Total": 80.0})


def test_white_matter_joins_the_lobe_of_its_name_and_nothing_else():
    labels, grid = line(1028, 2, 41, 2015, 1035, 24)
    found = overlap_table(labels, masks(labels), grid)
    assert found.lobes["frontal_left"]["Total"] == pytest.approx(6.0)
    assert found.lobes["temporal_right"]["Total"] == pytest.approx(6.0)
    assert found.lobes["limbic_left"]["Total"] == pytest.approx(3.0)  # the insula, without white matter
    made = np.array([3203, 3207, 4203, 4207, 3201, 0]).reshape(6, 1, 1)
    given = overlap_table(labels, masks(labels), grid, white_matter=made)
    assert given.lobes["limbic_left"]["Total"] == pytest.approx(3.0)  # no region is called cingulate or insula
    assert given.lobes["limbic_right"]["Total"] == 0.0
    assert given.lobes["frontal_left"]["Total"] == pytest.approx(6.0)


def test_the_corpus_callosum_is_always_empty_and_fluid_unassigned():
    labels, grid = line(251, 252, 253, 254, 255, 24)
    found = overlap_table(labels, masks(labels), grid)
    assert found.lobes["corpus_callosum"]["Total"] == 0.0
    assert found.assigned_percent["Total"] == 0.0
    assert found.hemispheres["central"]["Total"] == pytest.approx(3.0)  # 24 belongs to central


def test_hemispheres_take_all_white_matter_and_miss_one_horn_and_the_cerebellum():
    labels, grid = line(2, 41, 5, 44, 8, 1028, 3)
    found = overlap_table(labels, masks(labels), grid).hemispheres
    assert found["hemisphere_left"]["Total"] == pytest.approx(9.0)  # 2, 1028, 3
    assert found["hemisphere_right"]["Total"] == pytest.approx(6.0)  # 41, 44
    made = np.full(labels.shape, 3201)
    again = overlap_table(labels, masks(labels), grid, white_matter=made).hemispheres
    assert again["hemisphere_left"]["Total"] == pytest.approx(9.0)  # the lobes of the white matter are never looked at


def test_central_counts_brainstem_and_third_ventricle_a_second_time():
    labels, grid = line(16, 14)
    found = overlap_table(labels, masks(labels), grid)
    twice = found.lobes["brainstem_and_cerebellum"]["Total"] + found.lobes["ventricles"]["Total"]
    assert twice == found.hemispheres["central"]["Total"] == pytest.approx(6.0)


def test_an_empty_compartment_is_assigned_to_100_percent_as_in_the_source():
    labels, grid = line(1028)
    none = np.zeros(labels.shape, bool)
    found = overlap_table(labels, {"CE_core": none, "NE": none, "Total": none}, grid)
    assert found.assigned_percent == {"CE_core": 100.0, "NE": 100.0, "Total": 100.0}


def test_overall_change_is_the_length_of_the_vector_of_total_changes():
    labels, grid = line(1028, 1028, 1028, 2015, 2015, 2015, 2015)
    before = overlap_table(labels, dict.fromkeys(HANNISDAL_COMPARTMENTS, labels == 1028), grid)
    after = overlap_table(labels, dict.fromkeys(HANNISDAL_COMPARTMENTS, labels == 2015), grid)
    assert overall_change(before.lobes, after.lobes) == pytest.approx(math.hypot(9.0, 12.0))
    row = overlap_row("10_045", before, after)
    assert row["Lobe_Overall_Change"] == row["Hemisphere_Overall_Change"] == pytest.approx(15.0)
    only_core = {"CE_core": labels == 1028, "NE": labels == 2015, "Total": labels == 1028}
    assert (
        overall_change(before.lobes, overlap_table(labels, only_core, grid).lobes) == 0.0
    )  # the other compartments do not count


def test_the_row_has_the_columns_of_the_source_in_their_order():
    labels, grid = line(1028, 1028, 2015)
    before = overlap_table(labels, masks(labels), grid)
    after = overlap_table(labels, dict.fromkeys(HANNISDAL_COMPARTMENTS, labels == 2015), grid)
    row = overlap_row("10_045", before, after)
    columns = list(row)
    assert columns[:6] == [
        "Subject",
        "Lobe_Overall_Change",
        "Hemisphere_Overall_Change",
        "frontal_left_CE_core_Change",
        "frontal_left_CE_core_Primary",
        "frontal_left_CE_core_Recurrent",
    ]
    assert len(columns) == 3 + 18 * 9
    assert columns[-1] == "central_Total_Recurrent"
    trio = [row[f"frontal_left_Total_{k}"] for k in ("Primary", "Recurrent", "Change")]
    assert trio == pytest.approx([6.0, 0.0, -6.0])


def test_arrays_of_another_shape_and_missing_compartments_are_refused():
    labels, grid = line(1028, 1028)
    with pytest.raises(GridMismatchError):
        overlap_table(labels, {c: np.ones((3, 1, 1), bool) for c in HANNISDAL_COMPARTMENTS}, grid)
    with pytest.raises(LabelSchemeError, match="NE"):
        overlap_table(labels, {"CE_core": labels > 0, "Total": labels > 0}, grid)


# Classes (notebook 07)


def core(brainstem_and_cerebellum: float = 0.0, **mm3: float) -> dict[str, float]:
    assert set(mm3) <= set(HANNISDAL_REGIONS)
    return {**dict.fromkeys(HANNISDAL_REGIONS, 0.0), "brainstem_and_cerebellum": brainstem_and_cerebellum, **mm3}


@pytest.mark.parametrize(
    ("volumes", "name", "confidence"),
    [
        # 1: brainstem and cerebellum first, from 0.90 of themselves and the eight lobes
        (core(90.0, temporal_left=10.0), "brainstem/cerebellum", 0.9),
        (core(89.0, temporal_left=11.0), "Left_temporal", 1.0),
        (core(90.0, temporal_left=5.0, temporal_right=5.0), "brainstem/cerebellum", 0.9),
        (core(90.0, temporal_left=10.0, subcortical_left=900.0), "brainstem/cerebellum", 0.9),  # others do not count
        # 2: the side, from 0.90 of the eight lobes
        (core(occipital_left=90.0, occipital_right=10.0), "Left_occipital", 1.0),
        (core(occipital_left=89.0, occipital_right=11.0), "midline/bilateral", 0.5),
        (core(occipital_left=10.0, occipital_right=90.0), "Right_occipital", 1.0),
        (core(occipital_left=11.0, occipital_right=89.0), "midline/bilateral", 0.5),
        (core(), "midline/bilateral", 0.5),
        # what lies elsewhere is not seen
        (core(limbic_left=50.0, subcortical_left=20.0, ventricles=5.0), "midline/bilateral", 0.5),
        (core(limbic_right=500.0, frontal_left=1.0), "Left_frontal", 1.0),
        # 3: junctions from 0.24 each
        (core(temporal_left=24.0, parietal_left=76.0), "Left_temporo_parietal", 1.0),
        (core(temporal_left=23.0, parietal_left=77.0), "Left_parietal", 0.77),
        (core(frontal_right=24.0, parietal_right=76.0), "Right_fronto_parietal", 1.0),
        (core(frontal_right=23.0, parietal_right=77.0), "Right_parietal", 0.77),
        (
            core(frontal_left=30.0, parietal_left=40.0, temporal_left=30.0),
            "Left_temporo_parietal",
            0.7,
        ),  # before fronto-parietal
        (core(frontal_left=36.0, parietal_left=34.0, occipital_left=30.0), "Left_fronto_parietal", 0.7),
        # no other junctions
        (core(frontal_left=40.0, temporal_left=60.0), "Left_temporal", 0.6),
        (core(occipital_left=45.0, parietal_left=55.0), "Left_parietal", 0.55),
        # else the largest, without a least share
        (core(temporal_right=46.7, parietal_right=10.0, frontal_right=23.3, occipital_right=20.0), "Right_temporal", 0.467),
        (core(frontal_left=50.0, temporal_left=50.0), "Left_frontal", 0.5),  # a tie: the first of the four
        # shares are of the chosen side alone
        (core(temporal_left=68.0, parietal_left=22.0, parietal_right=10.0), "Left_temporo_parietal", 1.0),
    ],
)
def test_classes_follow_the_rules_of_notebook_07_in_their_order(volumes, name, confidence):
    found = classify(volumes)
    assert found.name == name
    assert found.confidence == pytest.approx(confidence)


def test_the_class_names_its_side_and_the_pooled_class_does_not():
    found = classify(core(temporal_left=30.0, parietal_left=70.0))
    assert (found.hemisphere, found.pooled) == ("Left", "temporo_parietal")
    assert found.proportions == pytest.approx({"frontal": 0.0, "parietal": 0.7, "temporal": 0.3, "occipital": 0.0})
    below = classify(core(5.0))
    assert (below.hemisphere, below.pooled, below.proportions) == ("bilateral", "brainstem/cerebellum", {})
    assert classify(core()).hemisphere == "bilateral"


def test_classes_do_not_depend_on_the_unit():
    mm3 = core(frontal_left=30.0, parietal_left=40.0, occipital_left=30.0)
    assert classify(mm3) == classify({k: v * 1024 for k, v in mm3.items()})


def test_only_the_core_is_classified_and_a_table_gives_it():
    labels, grid = line(1028, 1028, 2015, 2015, 2015)
    found = overlap_table(labels, masks(labels, labels == 1028), grid)
    assert classify({r: v["CE_core"] for r, v in found.lobes.items()}).name == "Left_frontal"
    assert classify({r: v["NE"] for r, v in found.lobes.items()}).name == "Right_temporal"


def test_a_missing_region_is_refused():
    with pytest.raises(LabelSchemeError, match="occipital_right"):
        classify({r: 1.0 for r in HANNISDAL_REGIONS if r != "occipital_right"})


# From our own regions: an approximation


def test_our_regions_are_approximated_by_the_fifteen():
    values = [r.value for r in LOBES]
    grid = Grid((len(values), 1, 1), MM)
    regions = RegionMap(np.array(values, np.uint8).reshape(-1, 1, 1), grid)
    found = approximate_volumes(region_volumes(np.ones(grid.shape, bool), regions, grid))
    assert tuple(found) == HANNISDAL_REGIONS
    assert found["frontal_left"] == pytest.approx(3.0)
    assert found["limbic_right"] == pytest.approx(6.0)  # cingulate and insula
    assert found["subcortical_left"] == pytest.approx(3.0)
    assert found["brainstem_and_cerebellum"] == pytest.approx(9.0)
    assert found["ventricles"] == pytest.approx(9.0)
    assert found["corpus_callosum"] == 0.0
    assert classify(found).name == "midline/bilateral"


def test_the_approximation_refuses_other_schemes():
    with pytest.raises(LabelSchemeError, match="regrowth-lobes"):
        approximate_volumes(RegionVolumes({}, 0.0, 0.0, "aal"))
