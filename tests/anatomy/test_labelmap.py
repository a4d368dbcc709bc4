"""FreeSurfer ids become lobes: by table, white matter by nearest cortex in mm, callosum by geometry; on any grid."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.anatomy import LOBES, AnatomyParameters, LabelMapParcellator
from regrowth.anatomy.freesurfer import callosum, lobes_from_labels, parcellated_share
from regrowth.errors import GridMismatchError, InputError, LabelSchemeError
from regrowth.space import Grid, Image
from tests.conftest import make_grid


def world(grid: Grid) -> np.ndarray:
    return grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))


def toy_brain(grid: Grid) -> np.ndarray:
    """Ids of a box brain: frontal cortex in front (y > 20), occipital behind (y < -20), white matter between, x = 0 midline."""
    x, y, _ = np.moveaxis(world(grid), -1, 0)
    inside = (np.abs(x) < 25) & (np.abs(y) < 25)
    left = np.where(y > 20, 1028, np.where(y < -20, 1011, 2))
    labels = np.where(x > 0, np.where(left > 1000, left + 1000, 41), left)
    # A wall keeps the white matter of both sides apart, so that geometry finds no callosum.
    labels[(np.abs(x) < 3) & (np.abs(y) <= 20)] = 24
    return np.where(inside, labels, 0)


# --- table ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "label"),
    [
        ((1017, 1024, 1003, 1032, 3024, 3201), "left frontal"),  # paracentral and precentral are frontal
        ((2022, 2031, 2008, 4029, 4206), "right parietal"),
        ((1001, 1030, 17, 18, 3205), "left temporal"),
        ((53, 54, 2006, 2034, 4033), "right temporal"),
        ((1005, 1011, 1013, 1021, 3204), "left occipital"),
        ((2002, 2010, 2023, 2026, 4203), "right cingulate"),
        ((1035, 3035, 3207), "left insula"),
        ((10, 11, 12, 13, 26, 28), "left deep grey"),
        ((49, 50, 51, 52, 58, 60), "right deep grey"),
        ((7, 8), "left cerebellum"),
        ((46, 47), "right cerebellum"),
        ((4, 5, 31), "left ventricles"),
        ((43, 44, 63), "right ventricles"),
        ((14, 15, 72), "ventricles"),
        ((16,), "brainstem"),
        ((251, 252, 253, 254, 255), "corpus callosum"),
    ],
)
def test_id_means_its_region(ids, label):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    labels = toy_brain(grid)
    for n, i in enumerate(ids):
        labels[0, 0, n] = i
    regions = lobes_from_labels(labels, grid)
    assert [regions.scheme.region(int(v)).label for v in regions.data[0, 0, : len(ids)]] == [label] * len(ids)


def test_synthseg_ids_are_all_known_and_those_without_region_stay_unassigned():
    """The 98 ids that SynthSeg --parc writes, as its table lists them."""
    aseg = [2, 4, 5, 7, 8, *range(10, 19), 24, 26, 28, 41, 43, 44, 46, 47, *range(49, 55), 58, 60]
    cortex = [o + i for o in (1000, 2000) for i in range(1, 36) if i != 4]
    ids = aseg + cortex
    assert len(ids) == 98
    grid = Grid((98, 4, 4), np.eye(4))
    labels = np.repeat(np.array(ids), 16).reshape(grid.shape)
    regions = lobes_from_labels(labels, grid).data[:, 0, 0]
    assert {i for i, r in zip(ids, regions, strict=True) if r == 0} == {24}


def test_unknown_ids_are_refused_and_listed():
    grid = make_grid("RAS", (4.0, 4.0, 4.0))
    labels = toy_brain(grid)
    labels[0, 0, :2] = 165, 11101
    with pytest.raises(LabelSchemeError, match=r"165, 11101.*aparc\+aseg"):
        lobes_from_labels(labels, grid)


def test_map_without_parcels_is_refused_with_the_option_that_helps():
    grid = make_grid("RAS", (4.0, 4.0, 4.0))
    labels = toy_brain(grid)
    labels[labels > 2000], labels[labels > 1000] = 42, 3
    assert parcellated_share(labels) == 0
    with pytest.raises(LabelSchemeError, match=r"100% of the cortex.*mri_synthseg with --parc"):
        lobes_from_labels(labels, grid)
    with pytest.raises(LabelSchemeError, match="no cortex"):
        lobes_from_labels(np.full(grid.shape, 16), grid)


def test_few_voxels_of_cortex_without_parcel_get_the_nearest_one_of_their_side():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    labels = toy_brain(grid)
    spot = tuple(np.argwhere(labels == 2028)[5])
    labels[spot] = 42
    assert lobes_from_labels(labels, grid).data[spot] == LOBES.region("right frontal").value


def test_fractions_and_series_are_refused():
    grid = make_grid("RAS", (4.0, 4.0, 4.0))
    labels = toy_brain(grid).astype(np.float32)
    assert (lobes_from_labels(labels, grid).data > 0).any()  # whole floats, as SynthSeg writes them, are fine
    labels[0, 0, 0] = 1028.5
    with pytest.raises(LabelSchemeError, match="fractions"):
        lobes_from_labels(labels, grid)
    with pytest.raises(GridMismatchError, match="shape"):
        lobes_from_labels(labels[..., None], grid)


# --- white matter ---------------------------------------------------------------------------------------------------


def test_white_matter_gets_the_nearest_cortex_in_mm_of_its_own_side(grid):
    """Of two cortices at y > 20 and y < -20 the border is y = 0 in mm, on every grid."""
    regions = lobes_from_labels(toy_brain(grid), grid)
    x, y, z = np.moveaxis(world(grid), -1, 0)
    # Away from the border of the field of view, beyond which an oblique grid misses the nearest cortex.
    white = np.isin(toy_brain(grid), (2, 41)) & (np.abs(x) < 15) & (np.abs(z - 5) < 15)
    sure = white & (np.abs(y) > np.linalg.norm(grid.spacing_mm))
    names = np.where(y > 0, 1, 4) + np.where(x > 0, 20, 10)
    assert sure.sum() > 100
    assert (regions.data == names)[sure].all()


def test_nearest_is_measured_in_mm_and_not_in_voxels():
    """Cortex A is 3 voxels of 1 mm away, cortex B is 1 voxel of 6 mm: A is nearer."""
    grid = Grid((9, 5, 5), np.diag([1.0, 1.0, 6.0, 1.0]))
    labels = np.zeros(grid.shape, int)
    labels[4, 2, 2], labels[7, 2, 2], labels[4, 2, 3] = 2, 1028, 1011
    assert lobes_from_labels(labels, grid).data[4, 2, 2] == LOBES.region("left frontal").value


def test_white_matter_never_takes_the_cortex_of_the_other_side():
    grid = Grid((21, 3, 3), np.diag([1.0, 1.0, 1.0, 1.0]))
    labels = np.zeros(grid.shape, int)
    labels[10], labels[12], labels[0] = 2, 2028, 1011
    regions = lobes_from_labels(labels, grid)
    assert (regions.data[10] == LOBES.region("left occipital").value).all()


@pytest.mark.parametrize("spot_id", [77, 78, 5001])
def test_hypointensity_and_unsegmented_white_matter_belong_to_the_lobe_around_them(spot_id):
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    labels = toy_brain(grid)
    x, y, _ = np.moveaxis(world(grid), -1, 0)
    spot = (np.abs(x + 12) < 4) & (np.abs(y - 10) < 4)
    labels[spot] = spot_id
    assert (lobes_from_labels(labels, grid).data[spot] == LOBES.region("left frontal").value).all()


def test_vessel_gets_the_region_that_surrounds_it():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    labels = toy_brain(grid)
    x, y, z = np.moveaxis(world(grid), -1, 0)
    labels[(np.abs(x - 12) < 5) & (np.abs(y) < 5)] = 51
    spot = (np.abs(x - 12) < 1.5) & (np.abs(y) < 1.5) & (np.abs(z) < 2)
    labels[spot] = 62
    assert (lobes_from_labels(labels, grid).data[spot] == LOBES.region("right deep grey").value).all()


# --- corpus callosum ------------------------------------------------------------------------------------------------


def bridged(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """White matter of both sides, joined by a plate of |y| < 10, 0 < z < 8, with thin gyri that nearly touch at z < -15."""
    x, y, z = np.moveaxis(world(grid), -1, 0)
    bulk = (np.abs(x) > 12) & (np.abs(x) < 25) & (np.abs(y) < 25)
    plate = (np.abs(x) <= 12) & (np.abs(y) < 10) & (z > 0) & (z < 8)
    gyri = (np.abs(x) > 2) & (np.abs(x) <= 12) & (np.abs(y) < 10) & (z < -15)
    white = bulk | plate | gyri
    return white & (x <= 0), white & (x > 0), plate & (np.abs(x) < 4.5)


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_callosum_is_the_white_matter_that_joins_the_hemispheres(orientation):
    grid = make_grid(orientation, (1.0, 1.0, 1.0))
    left, right, core = bridged(grid)
    found = callosum(left, right, grid)
    z = world(grid)[..., 2]
    assert found[core].all()
    assert not found[z < -2].any()
    x = world(grid)[..., 0][found]
    assert np.abs(x).max() < 7.5


def test_hemispheres_that_do_not_touch_have_no_callosum():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    x = world(grid)[..., 0]
    assert not callosum((x < -3) & (x > -20), (x > 3) & (x < 20), grid).any()
    assert not callosum(np.zeros(grid.shape, bool), x > 0, grid).any()


def test_callosum_by_geometry_gives_way_to_its_labels():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    left, right, _ = bridged(grid)
    labels = toy_brain(grid)
    labels[np.isin(labels, (2, 41, 24))] = 0
    labels[left & (labels == 0)], labels[right & (labels == 0)] = 2, 41
    by_geometry = lobes_from_labels(labels, grid).mask("corpus callosum")
    assert by_geometry.any()
    marked = by_geometry & (np.abs(world(grid)[..., 1]) < 3)
    labels[marked] = 253
    assert (lobes_from_labels(labels, grid).mask("corpus callosum") == marked).all()


# --- onto the patient's grid ----------------------------------------------------------------------------------------


def parcellator(grid: Grid, **parameters: float) -> LabelMapParcellator:
    return LabelMapParcellator(toy_brain(grid), grid, "aparc.nii.gz", AnatomyParameters(**parameters))


def test_map_on_another_grid_arrives_through_the_headers(grid):
    """A map on a 1 mm RAS grid, an image in any orientation and spacing: each voxel has the id at its place."""
    own = make_grid("RAS", (1.0, 1.0, 1.0), 70.0)
    image = Image(np.ones(grid.shape, np.float32), grid)
    result = parcellator(own).parcellate(image)
    x, y, z = np.moveaxis(world(grid), -1, 0)
    sure = (np.abs(np.abs(y) - 20) > 1) & (np.abs(x) > 4) & (np.abs(x) < 24) & (np.abs(y) < 24) & (np.abs(z - 5) < 25)
    assert (result.labels == toy_brain(grid))[sure].all()
    frontal = result.regions.mask("right frontal")
    assert frontal[sure & (x > 0) & (y > 2)].all()
    assert not frontal[(x < 0) | (y < -2)].any()
    assert (result.method, result.is_fallback, result.to_template) == ("labelmap", False, None)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_array_stored_flipped_gives_the_same_sides(axis):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    flip = np.eye(4)
    flip[axis, axis], flip[axis, 3] = -1, grid.shape[axis] - 1
    flipped = LabelMapParcellator(np.flip(toy_brain(grid), axis), Grid(grid.shape, grid.affine @ flip), "flipped")
    image = Image(np.ones(grid.shape, np.float32), grid)
    untied = np.abs(world(grid)[..., 1]) > 1.5  # in the middle both cortices are equally near
    assert (flipped.parcellate(image).regions.data == parcellator(grid).parcellate(image).regions.data)[untied].all()


def test_map_of_another_place_is_refused():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    moved = grid.affine.copy()
    moved[0, 3] += 40
    image = Image(np.ones(grid.shape, np.float32), Grid(grid.shape, moved))
    x, y, _ = np.moveaxis(world(image.grid), -1, 0)
    brain = (np.abs(x - 40) < 25) & (np.abs(y) < 25)
    with pytest.raises(InputError, match=r"aparc.nii.gz covers \d+% of the brain.*scanner space"):
        parcellator(grid).parcellate(image, brain=brain)
    with pytest.raises(InputError, match="of its own volume"):
        parcellator(grid, min_label_coverage=0.9).parcellate(image)


def test_lesion_without_labels_does_not_count_against_the_coverage():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    x, y, _ = np.moveaxis(world(grid), -1, 0)
    brain = (np.abs(x) < 25) & (np.abs(y) < 25)
    lesion = brain & (x > 0)
    labels = np.where(lesion, 0, toy_brain(grid))
    labels[lesion & (y > 22)] = 2028
    given = LabelMapParcellator(labels, grid, "holed", AnatomyParameters(min_label_coverage=0.9))
    image = Image(np.ones(grid.shape, np.float32), grid)
    with pytest.raises(InputError, match="covers"):
        given.parcellate(image, brain=brain)
    assert given.parcellate(image, brain=brain, lesion=lesion).quality["label_coverage"] == 1.0


def test_masks_of_another_shape_are_refused():
    grid = make_grid("RAS", (4.0, 4.0, 4.0))
    image = Image(np.ones(grid.shape, np.float32), grid)
    with pytest.raises(GridMismatchError, match="lesion"):
        parcellator(grid).parcellate(image, lesion=np.ones((2, 2, 2), bool))
    with pytest.raises(GridMismatchError, match="brain"):
        parcellator(grid).parcellate(image, brain=np.ones((2, 2, 2), bool))


def test_version_changes_with_the_labels_and_their_place():
    grid = make_grid("RAS", (4.0, 4.0, 4.0))
    shifted = grid.affine.copy()
    shifted[0, 3] += 1
    labels = toy_brain(grid)
    changed = labels.copy()
    changed[0, 0, 0] = 2
    versions = {
        LabelMapParcellator(a, g, "x").version
        for a, g in ((labels, grid), (changed, grid), (labels, Grid(grid.shape, shifted)))
    }
    assert len(versions) == 3
