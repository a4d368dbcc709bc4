"""White matter, grey matter and fluid: from the template, from intensities, from FreeSurfer ids."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from regrowth.anatomy import AnatomyParameters, TemplateParcellator, brain_mask, brain_template
from regrowth.anatomy.mixture import fit_mixture
from regrowth.anatomy.tissue import (
    TissueProbabilities,
    filled_lesion,
    refine_tissue,
    template_tissue,
    tissue_from_labels,
    tissue_from_template,
)
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.errors import GridMismatchError, InputError
from regrowth.growth.tissue import block_grid, block_mean, tissue_map
from regrowth.io.nifti import read_image
from regrowth.phantom import PhantomParameters
from regrowth.phantom.patient import SyntheticPatient, synthetic_patient
from regrowth.phantom.template import icbm_template
from regrowth.space import DisplacementMap, Grid, Image, Transform
from tests.conftest import make_grid

LEVELS = {"csf": 210.0, "grey": 620.0, "white": 800.0}


def world(grid: Grid) -> np.ndarray:
    return grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def argmax(maps: TissueProbabilities) -> np.ndarray:
    return np.argmax(np.stack([maps.csf, maps.grey, maps.white], axis=-1), axis=-1)


# --- the template ---------------------------------------------------------------------------------------------------


def test_maps_of_the_template_add_up_to_one_inside_of_the_brain_and_to_nothing_outside():
    maps = template_tissue(2)
    total = maps.white + maps.grey + maps.csf
    brain = brain_template(2).brain
    assert np.allclose(total[brain], 1, atol=1e-5)
    assert (total[~brain] == 0).all()
    assert maps.white.dtype == np.float32
    assert np.array_equal(maps.brain, brain)


def means_of_the_template(grid: Grid, back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """White matter and brain of the template at a grid, by another interpolator: means over points at most 1.5 mm apart."""
    source = template_tissue(1)
    axes = [np.arange(n) for n in source.grid.shape]
    maps = np.stack([source.white, source.brain], axis=-1)
    read = RegularGridInterpolator(axes, maps, bounds_error=False, fill_value=0)
    counts = [int(np.ceil(s / 1.5)) for s in grid.spacing_mm]
    offsets = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in counts], indexing="ij"), axis=-1).reshape(-1, 3)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    out = [read(source.grid.index(grid.world(index + o) @ back[:3, :3].T + back[:3, 3])) for o in offsets]
    white, brain = np.moveaxis(np.mean(out, axis=0), -1, 0)
    return white, brain


def test_prior_is_the_template_seen_through_the_inverse_of_the_transform(orientation):
    """In every orientation, and with thick slices, whose values are means over the slice."""
    grid = make_grid(orientation, (2.0, 2.5, 6.5), 70)
    onto = np.eye(4)  # maps points of the template to points of the image
    onto[:3, :3] = np.diag([0.9, 1.05, 0.95]) @ [[0.995, -0.0998, 0], [0.0998, 0.995, 0], [0, 0, 1]]
    onto[:3, 3] = [12, -7, 20]
    image = Image(np.zeros(grid.shape, np.float32), grid)
    found = tissue_from_template(image, Transform.affine(onto), np.ones(grid.shape, bool))
    expected, brain = means_of_the_template(grid, np.linalg.inv(onto))
    covered = brain > 0.999  # elsewhere the brain of the template ends within the voxel
    assert covered.mean() > 0.2
    assert np.abs(found.white - expected)[covered].max() < 2e-3
    assert found.is_fallback
    assert "affine" in found.reason


def test_large_turn_and_shift_within_a_field_are_inverted():
    """A file holds one field; a head that lies 60 mm off and is turned by 50 degrees is all the same brought back."""
    angle = np.deg2rad(50)
    onto = np.eye(4)
    onto[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    onto[:3, 3] = [60, -20, 35]
    field_grid = brain_template(4).image.grid
    x = world(field_grid)
    wave = 3 * np.sin(x[..., [1, 2, 0]] / 15)
    field = x @ onto[:3, :3].T + onto[:3, 3] + wave - x
    grid = Grid((50, 60, 48), np.array([[4.0, 0, 0, -40], [0, 4, 0, -150], [0, 0, 4, -45], [0, 0, 0, 1]]))
    deformed = Transform((DisplacementMap(field.astype(np.float32), field_grid),))
    found = tissue_from_template(Image(np.zeros(grid.shape, np.float32), grid), deformed)
    assert "deformable" in found.reason
    template = template_tissue(4)
    # The transform brings the exam onto the template: what is white there must come from what was found white here.
    points = grid.index(deformed.map_points(world(field_grid)[template.white > 0.95]))
    nearest = np.rint(points).astype(int)
    seen = ((nearest >= 0) & (nearest < grid.shape)).all(axis=-1)
    assert seen.mean() > 0.9
    assert found.white[tuple(nearest[seen].T)].mean() > 0.85


def test_folding_field_is_replaced_by_its_affine_part_and_this_is_said():
    template = brain_template(4)
    coarse = template.image.grid.resized((10.0, 10.0, 10.0))
    wild = (25 * np.sin(world(coarse)[..., [1, 2, 0]] / 8)).astype(np.float32)
    found = tissue_from_template(template.image, Transform((DisplacementMap(wild, coarse),)), template.brain)
    assert "folds" in found.reason
    assert overlap(found.white > 0.5, template_tissue(4).white > 0.5) > 0.7


def test_brain_beyond_the_template_is_fluid_and_the_covered_share_says_so():
    template = brain_template(4)
    wide = np.ones(template.brain.shape, bool)
    found = tissue_from_template(template.image, Transform(), wide)
    assert found.quality["covered_share"] == pytest.approx(template.brain.mean(), abs=0.15)
    assert found.csf[0, 0, 0] == 1
    assert np.allclose(found.white + found.grey + found.csf, 1, atol=1e-5)


def test_what_does_not_fit_is_refused():
    template = brain_template(4)
    with pytest.raises(GridMismatchError, match="lesion"):
        tissue_from_template(template.image, Transform(), template.brain, np.ones((2, 2, 2), bool))
    with pytest.raises(InputError, match="empty"):
        tissue_from_template(template.image, Transform(), np.zeros_like(template.brain))
    far = np.eye(4)
    far[0, 3] = 900
    with pytest.raises(InputError, match="does not reach"):
        tissue_from_template(template.image, Transform.affine(far), template.brain)
    prior = tissue_from_template(template.image, Transform(), template.brain)
    other = Image(template.image.data, Grid(template.image.grid.shape, np.diag([4.0, 4, 4, 1])))
    with pytest.raises(GridMismatchError):
        refine_tissue(other, prior)
    with pytest.raises(GridMismatchError, match="white"):
        TissueProbabilities(prior.white[1:], prior.grey, prior.csf, prior.grid, "x", False, "")


# --- the lesion -----------------------------------------------------------------------------------------------------


def test_lesion_is_filled_with_tissue_in_the_ratio_of_the_prior_and_with_white_matter_where_there_is_none():
    white = np.array([0.2, 0.0, 0.6, 0.2]).reshape(4, 1, 1)
    grey = np.array([0.6, 0.0, 0.0, 0.6]).reshape(4, 1, 1)
    lesion = np.array([True, True, True, False]).reshape(4, 1, 1)
    w, g = filled_lesion(white, grey, lesion)
    assert np.allclose(w.ravel(), [0.25, 1, 1, 0.2])
    assert np.allclose(g.ravel(), [0.75, 0, 0, 0.6])


def test_lesion_holds_no_fluid_even_beyond_the_brain_mask():
    template = brain_template(4)
    lesion = np.linalg.norm(world(template.image.grid) - [0, -10, 15], axis=-1) < 20  # over the ventricles
    brain = template.brain & ~lesion
    found = tissue_from_template(template.image, Transform(), brain, lesion)
    assert (found.csf[lesion] < 1e-6).all()
    assert np.allclose((found.white + found.grey)[lesion], 1)
    assert (found.white + found.grey + found.csf)[~(brain | lesion)].max() == 0
    tissue_map(found.white, found.grey, found.grid)  # what the growth model asks for


# --- intensities ----------------------------------------------------------------------------------------------------


def shells(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Index of the tissue (0 fluid, 1 grey, 2 white) of a ball of three shells, and the ball."""
    r = np.linalg.norm(world(grid) - world(grid).reshape(-1, 3).mean(axis=0), axis=-1)
    return np.select([r < 14, r < 20], [2, 1], 0), r < 26


def shifted_prior(grid: Grid, shift_mm: float = 2.0, fluid: float = 1.0) -> TissueProbabilities:
    """Give maps of the shells that lie beside them and are unsure."""
    _, brain = shells(grid)
    centre = world(grid).reshape(-1, 3).mean(axis=0) + np.array([shift_mm, 0, 0])
    r = np.linalg.norm(world(grid) - centre, axis=-1)
    tissue = np.select([r < 14, r < 20], [2, 1], 0)
    maps = [np.where(brain, 0.8 * (tissue == k) + 0.2 / 3, 0) for k in (0, 1, 2)]
    maps[0] = maps[0] * fluid
    maps[1] = np.where(brain, 1 - maps[0] - maps[2], 0)
    return TissueProbabilities(maps[2], maps[1], maps[0], grid, "template", True, "made up")


def test_three_intensities_without_noise_are_classified_exactly(grid):
    """Under a prior that is 2 mm off, in all orientations and with thick slices."""
    tissue, brain = shells(grid)
    image = np.where(brain, np.array([210.0, 620, 800])[tissue], 0).astype(np.float32)
    found = refine_tissue(Image(image, grid), shifted_prior(grid))
    assert found.method == "template and intensities"
    assert not found.is_fallback
    assert np.array_equal(argmax(found)[brain], tissue[brain])
    assert (argmax(shifted_prior(grid))[brain] != tissue[brain]).any()
    assert np.allclose((found.white + found.grey + found.csf)[brain], 1, atol=1e-5)


def test_noise_and_shading_are_overcome(rng):
    grid = make_grid("LPS", (1.0, 1.0, 1.0))
    tissue, brain = shells(grid)
    x = (world(grid) - world(grid).reshape(-1, 3).mean(axis=0)) / 26
    shading = 1 + 0.2 * x[..., 0] - 0.15 * x[..., 1] * x[..., 2]
    image = np.array([210.0, 620, 800])[tissue] * shading + rng.normal(scale=30, size=grid.shape)
    found = refine_tissue(Image(np.where(brain, image, 0).astype(np.float32), grid), shifted_prior(grid))
    assert (argmax(found) == tissue)[brain].mean() > 0.97
    mixture = fit_mixture(
        image[brain], np.stack([shifted_prior(grid).csf, shifted_prior(grid).grey, shifted_prior(grid).white], -1)[brain],
        world(grid)[brain],
    )  # fmt: skip
    ratio = mixture.bias_field(world(grid)[brain]) / shading[brain]
    assert np.ptp(ratio) / ratio.mean() < 0.08  # 40 % without the correction
    assert mixture.means / mixture.means[2] == pytest.approx([210 / 800, 620 / 800, 1], abs=0.02)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: 1000 - a, "grow brighter"),
        (lambda a: np.full_like(a, 400), "no contrast"),
        (lambda a: np.random.default_rng(0).normal(500, 50, a.shape), "apart|grow brighter"),
    ],
    ids=["T2-like", "constant", "noise only"],
)
def test_image_that_cannot_tell_the_tissues_apart_leaves_the_prior_and_says_why(change, words):
    import re

    grid = make_grid("RAS", (1.5, 1.5, 1.5))
    tissue, _ = shells(grid)
    prior = shifted_prior(grid)
    image = change(np.array([210.0, 620, 800])[tissue]).astype(np.float32)
    found = refine_tissue(Image(image, grid), prior)
    assert found.is_fallback
    assert re.search(words, found.reason)
    for name in ("white", "grey", "csf"):
        assert np.array_equal(getattr(found, name), getattr(prior, name))


def test_brain_of_a_few_voxels_or_all_lesion_leaves_the_prior():
    grid = make_grid("RAS", (6.0, 6.0, 6.0))
    tissue, brain = shells(grid)
    image = Image(np.array([210.0, 620, 800])[tissue].astype(np.float32), grid)
    assert "too few" in refine_tissue(image, shifted_prior(grid)).reason
    assert "too few" in refine_tissue(image, shifted_prior(grid), brain).reason


def test_vessels_keep_what_the_prior_says_and_broken_voxels_too():
    grid = make_grid("RAS", (1.0, 1.0, 1.0))
    tissue, brain = shells(grid)
    prior = shifted_prior(grid)
    image = np.where(brain, np.array([210.0, 620, 800])[tissue], 0).astype(np.float32)
    image += np.random.default_rng(1).normal(scale=10, size=image.shape).astype(np.float32)
    vessel = (tissue == 0) & brain & (np.abs(world(grid)[..., 2] - 5) < 1.5)
    image[vessel] = 2000
    broken = tuple(np.argwhere(tissue == 2)[0])
    image[broken] = np.nan
    found = refine_tissue(Image(image, grid), prior)
    assert not found.is_fallback
    assert np.allclose(found.csf[vessel], prior.csf[vessel], atol=1e-6)
    assert found.white[broken] == prior.white[broken]


def test_oedema_around_the_lesion_does_not_become_grey_matter():
    """A mask of the enhancing core alone: white matter as dark as grey beside it stays white as the prior has it."""
    grid = make_grid("RAS", (1.5, 1.5, 1.5), 120)
    centre = world(grid).reshape(-1, 3).mean(axis=0)
    r = np.linalg.norm(world(grid) - centre, axis=-1)
    tissue, brain = np.select([r < 42, r < 50], [2, 1], 0), r < 56
    maps = [np.where(brain, 0.9 * (tissue == k) + 0.1 / 3, 0) for k in (0, 1, 2)]
    prior = TissueProbabilities(maps[2], maps[1], maps[0], grid, "template", True, "made up")
    image = np.array([210.0, 620, 800])[tissue]
    lesion = np.linalg.norm(world(grid) - centre - [20, 0, 0], axis=-1) < 6
    away = np.linalg.norm(world(grid) - centre + [25, 0, 0], axis=-1) < 5
    from_lesion = np.linalg.norm(world(grid) - centre - [20, 0, 0], axis=-1) - 6
    oedema = (from_lesion < 4) & ~lesion & (tissue == 2)
    image[oedema | away] = 620
    image = image + np.random.default_rng(2).normal(scale=15, size=image.shape)
    found = refine_tissue(Image(np.where(brain, image, 0).astype(np.float32), grid), prior, lesion)
    assert found.white[oedema].mean() > 0.75
    assert found.grey[away].mean() > 0.7  # far from the lesion the image is believed
    assert np.array_equal(found.white[lesion], prior.white[lesion])
    without = refine_tissue(Image(np.where(brain, image, 0).astype(np.float32), grid), prior)
    assert without.white[oedema].mean() < 0.5


def test_fit_is_the_same_every_time_though_it_looks_at_a_sample(monkeypatch):
    monkeypatch.setattr("regrowth.anatomy.mixture._VOXELS", 4000)
    grid = make_grid("RAS", (1.5, 1.5, 1.5))
    tissue, brain = shells(grid)
    assert brain.sum() > 10_000
    image = np.array([210.0, 620, 800])[tissue] + np.random.default_rng(3).normal(scale=40, size=grid.shape)
    one, two = (refine_tissue(Image(image.astype(np.float32), grid), shifted_prior(grid)) for _ in range(2))
    assert np.array_equal(one.white, two.white)


# --- whole brains ---------------------------------------------------------------------------------------------------


@cache
def patient(spacing_mm: float) -> SyntheticPatient:
    return synthetic_patient(
        0, PhantomParameters(patients=1, spacing_mm=spacing_mm, lattice_mm=4.0, seed=3), icbm_template(2.0)
    )


def test_tissue_of_a_synthetic_patient_is_found_by_the_template_and_by_intensities():
    """The scene is made from the very maps of the template, so that the prior is better here than on any real brain."""
    exam = patient(3.0).exams[0]
    image, grid, lesion = exam.images["T1wce"], exam.segmentation.grid, exam.segmentation.mask("lesion")
    known = patient(3.0).exam_to_template(0).inverse(tolerance_mm=0.1)
    prior = tissue_from_template(image, known.flattened(brain_template(2).image.grid), exam.brain, lesion)
    refined = refine_tissue(image, prior, lesion)
    assert not refined.is_fallback
    scene = patient(3.0).scene
    truth = scene.tissue(scene.points_in_baseline(0, Transform().map_grid(grid).reshape(-1, 3)))
    healthy = exam.brain & ~lesion
    figures = {}
    for name, share in (("white", truth.wm), ("grey", truth.gm), ("csf", truth.csf)):
        true = share.reshape(grid.shape)[healthy] > 0.5
        figures[name] = [overlap(getattr(maps, name)[healthy] > 0.5, true) for maps in (prior, refined)]
    print({n: [round(v, 3) for v in f] for n, f in figures.items()})
    assert min(figures["white"]) > 0.85
    assert min(figures["grey"]) > 0.85
    assert figures["csf"][1] > figures["csf"][0] + 0.05  # sulci, which the average closes
    total = refined.white + refined.grey + refined.csf
    assert total.max() <= 1 + 1e-5
    assert (total[~(exam.brain | lesion)] == 0).all()
    assert ((refined.white + refined.grey)[lesion] > 0.999).all()


@pytest.mark.realdata
def test_intensities_tell_more_than_the_average_about_a_real_brain(real_data: Path):
    """A label map of a real head, pictured with noise, shading and bright deep grey matter; the template by registration."""
    path = real_data / "synthseg-label-maps" / "training_seg_01.nii.gz"
    if not path.is_file():
        pytest.skip("no label maps of real heads")
    labels = read_image(path)
    ids = np.rint(labels.data).astype(int)
    head = (ids > 0) & (ids < 100)
    fine = tissue_from_labels(np.where(head, ids, 0), labels.grid)
    level = sum(LEVELS[n] * getattr(fine, n) for n in LEVELS) + 90.0 * np.isin(ids, [10, 13, 49, 52])
    grid = block_grid(labels.grid, (3, 3, 3))
    truth = {n: block_mean(getattr(fine, n), (3, 3, 3)) for n in LEVELS}
    brain = block_mean(head, (3, 3, 3)) > 0.5
    x = (world(grid) - world(grid)[brain].mean(axis=0)) / 90
    shading = 1 + 0.12 * x[..., 0] - 0.1 * x[..., 2] ** 2 + 0.08 * x[..., 1] * x[..., 2]
    noise = np.random.default_rng(1).normal(scale=25, size=grid.shape)
    data = np.where(brain, np.maximum(block_mean(level, (3, 3, 3)) * shading + noise, 1), 0)
    image = Image(data.astype(np.float32), grid)
    fit = TemplateParcellator(GreedyRegistrar(), AnatomyParameters(kind="affine")).parcellate(image, brain=brain)
    assert fit.to_template is not None
    prior = tissue_from_template(image, fit.to_template, brain)
    refined = refine_tissue(image, prior)
    for name, least in (("white", 0.85), ("grey", 0.75), ("csf", 0.85)):
        before, after = (overlap(getattr(m, name)[brain] > 0.5, truth[name][brain] > 0.5) for m in (prior, refined))
        print(name, round(before, 3), round(after, 3))
        assert after > least
        assert after > before + 0.1


@pytest.mark.realdata
def test_thick_slices_of_a_real_exam_give_maps_that_growth_can_use(real_data: Path):
    folder = real_data / "brain-tumor-progression"
    image = read_image(folder / "sub-03" / "ses-01" / "anat" / "sub-03_ses-01_ce-gadolinium_T1w.nii.gz")
    mask = folder / "derivatives" / "manual" / "sub-03" / "ses-01" / "anat" / "sub-03_ses-01_label-tumor_mask.nii.gz"
    lesion = read_image(mask).data > 0.5
    # Half of the rows and columns are enough for this, and four times as fast.
    affine = image.grid.affine @ np.diag([2.0, 2, 1, 1])
    data, lesion = image.data[::2, ::2], lesion[::2, ::2]
    image = Image(data, Grid((data.shape[0], data.shape[1], data.shape[2]), affine))
    brain = brain_mask(image, GreedyRegistrar(), lesion=lesion).mask
    fit = TemplateParcellator(GreedyRegistrar(), AnatomyParameters(kind="affine")).parcellate(image, lesion=lesion, brain=brain)
    assert fit.to_template is not None
    prior = tissue_from_template(image, fit.to_template, brain, lesion)
    found = refine_tissue(image, prior, lesion)
    assert not found.is_fallback, found.reason
    assert found.quality["separation_grey_white"] > 1
    assert 0.2 < found.white[brain].mean() < 0.6
    assert ((found.white + found.grey)[lesion] > 0.999).all()
    tissue_map(found.white, found.grey, found.grid)


# --- FreeSurfer ids -------------------------------------------------------------------------------------------------


def test_freesurfer_ids_are_read_as_their_tissue():
    ids = {
        "white": [2, 41, 7, 46, 16, 28, 60, 77, 85, 251, 255, 3028, 4011, 5001],
        "grey": [3, 42, 1001, 1035, 2001, 2035, 8, 47, 10, 11, 12, 13, 17, 18, 26, 49, 50, 51, 52, 53, 54, 58],
        "csf": [4, 5, 14, 15, 24, 43, 44, 72, 31, 63],
    }
    flat = np.array([i for group in ids.values() for i in group] + [0]).reshape(-1, 1, 1)
    found = tissue_from_labels(flat, Grid(flat.shape, np.eye(4)))
    expected = [name for name, group in ids.items() for _ in group]
    for n, name in enumerate(expected):
        assert getattr(found, name)[n, 0, 0] == 1, (name, flat[n])
    assert found.white[-1] + found.grey[-1] + found.csf[-1] == 0
    assert not found.is_fallback
    assert found.method == "labels"


def test_brain_without_an_id_is_fluid_and_its_lesion_is_tissue():
    ids = np.zeros((5, 1, 1), int)
    ids[0], ids[1], ids[4] = 2, 3, 2
    brain = np.array([1, 1, 1, 1, 0], bool).reshape(5, 1, 1)
    lesion = np.array([0, 1, 0, 1, 0], bool).reshape(5, 1, 1)
    found = tissue_from_labels(ids, Grid(ids.shape, np.eye(4)), brain=brain, lesion=lesion)
    assert found.white.ravel().tolist() == [1, 0, 0, 1, 0]
    assert found.grey.ravel().tolist() == [0, 1, 0, 0, 0]
    assert found.csf.ravel().tolist() == [0, 0, 1, 0, 0]
    assert found.quality["labelled_share"] == 0.5


def test_labels_that_do_not_fit_or_hold_no_brain_are_refused():
    grid = Grid((3, 3, 3), np.eye(4))
    with pytest.raises(GridMismatchError):
        tissue_from_labels(np.ones((2, 2, 2), int), grid)
    with pytest.raises(InputError, match="FreeSurfer id"):
        tissue_from_labels(np.full((3, 3, 3), 4), grid)
