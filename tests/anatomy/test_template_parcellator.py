"""The embedded template on patients whose true anatomy is known, and on images that no fit should be believed for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from regrowth.anatomy import LOBES, AnatomyParameters, Parcellation, RegionMap, TemplateParcellator, lobe_atlas
from regrowth.anatomy.template_fit import similarity_with_template
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.errors import EngineFailedError, GridMismatchError, InputError, ParameterError
from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.patient import SyntheticPatient, synthetic_patient
from regrowth.phantom.template import icbm_template
from regrowth.space import Grid, Image, Transform, resample_image, resample_mask
from tests.conftest import make_grid

REGISTRAR = GreedyRegistrar()


@cache
def patient(spacing_mm: float = 2.0, index: int = 0) -> SyntheticPatient:
    return synthetic_patient(index, PhantomParameters(spacing_mm=spacing_mm), icbm_template(spacing_mm))


@cache
def parcellated(index: int = 0) -> Parcellation:
    exam = patient(index=index).exams[0]
    found = TemplateParcellator(REGISTRAR)
    return found.parcellate(exam.images["T1wce"], lesion=exam.segmentation.data > 0, brain=exam.brain, threads=2)


def true_regions(one: SyntheticPatient, exam: int) -> RegionMap:
    """The lobe map of the template, carried by the warp that the patient was drawn with."""
    atlas, grid = lobe_atlas(), one.exams[exam].segmentation.grid
    where = np.rint(atlas.grid.index(one.exam_to_template(exam).map_grid(grid))).astype(int)
    where = where.clip(0, np.array(atlas.grid.shape) - 1)
    return RegionMap(np.where(one.exams[exam].brain, atlas.data[tuple(np.moveaxis(where, -1, 0))], 0), grid)


def shares(found: RegionMap, truth: RegionMap, where: np.ndarray) -> tuple[float, float]:
    """Share of the true cerebral voxels in the right lobe, and in the right hemisphere."""
    use = truth.mask_of(kind="lobe") & where
    a, b = found.data[use], truth.data[use]
    return float((a == b).mean()), float((a // 10 == b // 10).mean())


# --- agreement with the truth ---------------------------------------------------------------------------------------


def test_lobes_and_hemispheres_of_a_patient_with_tumour_are_right():
    exam, truth = patient().exams[0], true_regions(patient(), 0)
    lesion = exam.segmentation.data > 0
    assert lesion.sum() * truth.grid.voxel_volume_ml > 5
    for where in (~lesion, np.ones_like(lesion)):
        lobe, hemisphere = shares(parcellated().regions, truth, where)
        assert lobe >= 0.95
        assert hemisphere >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("index", [1])  # six in benchmarks/bench_parcellation.py
def test_lobes_and_hemispheres_of_more_patients_are_right(index):
    exam, truth = patient(index=index).exams[0], true_regions(patient(index=index), 0)
    lobe, hemisphere = shares(parcellated(index=index).regions, truth, exam.segmentation.data == 0)
    assert lobe >= 0.95
    assert hemisphere >= 0.99


def test_truth_of_the_phantom_is_the_atlas_at_the_mapped_point():
    one = patient()
    for exam in (0, 1):
        transform = one.exam_to_template(exam)
        t1 = resample_image(Image(one.scene.template.t1, one.scene.template.grid), one.exams[exam].segmentation.grid, transform)
        healthy = one.exams[exam].brain & (one.exams[exam].segmentation.data == 0)
        seen = one.exams[exam].images["T1w"]
        there = resample_image(seen, one.exams[exam].segmentation.grid, one.exams[exam].motions["T1w"])
        assert np.corrcoef(t1.data[healthy], there.data[healthy])[0, 1] > 0.8
    with pytest.raises(ParameterError, match="exams 0 and 1"):
        one.exam_to_template(2)


def test_whole_brain_and_lesion_are_assigned_and_nothing_outside():
    exam, found = patient().exams[0], parcellated()
    inside = exam.brain | (exam.segmentation.data > 0)
    assert found.quality["assigned_share"] > 0.99
    assert (found.regions.data[~inside] == 0).all()
    assert (found.method, found.is_fallback) == ("template", True)


def test_to_template_brings_the_brain_onto_the_template():
    exam, found = patient().exams[0], parcellated()
    transform = found.to_template
    assert transform is not None
    assert (transform.from_space, transform.to_space) == ("image", "template")
    atlas = lobe_atlas()
    grid = atlas.grid.resized((4.0, 4.0, 4.0))
    for label in ("left frontal", "right occipital", "left cerebellum"):
        moved = resample_mask(found.regions.mask(label), exam.segmentation.grid, grid, transform)
        there = resample_mask(atlas.mask(label), atlas.grid, grid)
        assert 2 * (moved & there).sum() / (moved.sum() + there.sum()) > 0.85


def test_result_is_the_same_whatever_the_axes_of_the_array():
    """Stored along other axes, with the affine that belongs to them: sides come from the affine."""
    exam = patient(3.0).exams[0]
    image, lesion = exam.images["T1wce"], exam.segmentation.data > 0
    turned = np.eye(4)
    turned[:3, :3] = [[0, 0, -1], [1, 0, 0], [0, 1, 0]]  # old index of a new index: axes swapped, the first one reversed
    turned[0, 3] = image.grid.shape[0] - 1
    shape = (image.grid.shape[1], image.grid.shape[2], image.grid.shape[0])
    grid = Grid(shape, image.grid.affine @ turned)

    def stored(a: np.ndarray) -> np.ndarray:
        return np.flip(a, 0).transpose(1, 2, 0)

    how = TemplateParcellator(REGISTRAR, AnatomyParameters(kind="affine"))
    one = how.parcellate(image, lesion=lesion, brain=exam.brain).regions
    other = how.parcellate(image.__class__(stored(image.data), grid), lesion=stored(lesion), brain=stored(exam.brain)).regions
    assert (stored(one.data) == other.data)[stored(exam.brain)].mean() > 0.97


# --- refused --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScriptedRegistrar:
    """Toy engine: every registration gives the header's alignment, moved and scaled as told."""

    matrix: tuple[tuple[float, ...], ...] = tuple(map(tuple, np.eye(4).tolist()))
    fails: bool = False
    name: str = "scripted"
    version: str = "1"
    citation: str = ""

    def register(self, fixed, moving, kind, *, initial=None, **options):
        del kind, initial, options
        if self.fails:
            raise EngineFailedError("scripted failure")
        return Transform.affine(np.array(self.matrix), fixed=fixed.grid, moving=moving.grid)


@cache
def template_as_patient(spacing_mm: int = 4) -> tuple[Image, np.ndarray]:
    from regrowth.anatomy import brain_template

    template = brain_template(spacing_mm)
    return template.image, template.brain


def refusal(image: Image, brain: np.ndarray, registrar=None, **parameters) -> str:
    how = TemplateParcellator(registrar or ScriptedRegistrar(), AnatomyParameters(kind="affine", **parameters))
    with pytest.raises(EngineFailedError) as caught:
        how.parcellate(image, brain=brain)
    return str(caught.value)


def test_template_itself_passes_every_check():
    image, brain = template_as_patient()
    found = TemplateParcellator(ScriptedRegistrar(), AnatomyParameters(kind="affine")).parcellate(image, brain=brain)
    assert found.quality["mask_dice"] > 0.95
    assert found.quality["similarity"] > 0.9
    assert found.quality["imbalance"] < 0.05
    assert found.quality["stretch_min"] == pytest.approx(1) == found.quality["stretch_max"]


def test_refusal_says_what_to_do_instead():
    image, brain = template_as_patient()
    message = refusal(image, brain, min_similarity=1.0)
    for remedy in ("--derivatives", "SynthSeg", "orientation"):
        assert remedy in message


def test_misplaced_template_is_refused_for_its_overlap():
    image, brain = template_as_patient()
    away = np.eye(4)
    away[1, 3] = 40
    assert "min_mask_dice" in refusal(image, brain, ScriptedRegistrar(tuple(map(tuple, away.tolist()))))


def test_stretched_template_is_refused():
    image, brain = template_as_patient()
    longer = image.grid.affine.copy()
    longer[2] *= 1.6
    fit = np.diag([1.0, 1.0, 1 / 1.6, 1.0])
    message = refusal(
        Image(image.data, Grid(image.grid.shape, longer)), brain, ScriptedRegistrar(tuple(map(tuple, fit.tolist())))
    )
    assert "stretched by 1.00 to 1.60" in message


def test_half_a_brain_is_refused_for_its_balance():
    image, brain = template_as_patient()
    x = image.grid.world(np.moveaxis(np.indices(image.grid.shape), 0, -1))[..., 0]
    left = brain & (x < 2)
    message = refusal(Image(np.where(left, image.data, 0), image.grid), left, min_mask_dice=0.5)
    assert "max_imbalance" in message


def test_noise_in_the_shape_of_a_brain_is_refused_for_its_likeness(rng):
    image, brain = template_as_patient()
    noise = ndimage.gaussian_filter(rng.normal(size=brain.shape), 1.0)
    message = refusal(Image(np.where(brain, noise - noise.min(), 0), image.grid), brain)
    assert "min_similarity" in message


def test_upside_down_brain_is_refused(monkeypatch):
    """A real engine does not make a flipped brain look right; the tilted starts do not either, but take a minute."""
    monkeypatch.setattr("regrowth.anatomy.template_fit._tilted_starts", lambda *_: [])
    exam = patient(3.0).exams[0]
    image = exam.images["T1wce"]
    flipped = image.grid.affine.copy()
    flipped[2] *= -1
    upside = Image(image.data, Grid(image.grid.shape, flipped))
    how = TemplateParcellator(REGISTRAR)
    with pytest.raises(EngineFailedError, match="min_similarity"):
        how.parcellate(upside, lesion=exam.segmentation.data > 0, brain=exam.brain, threads=2)


def test_failure_of_the_engine_is_told():
    image, brain = template_as_patient()
    assert "scripted failure" in refusal(image, brain, ScriptedRegistrar(fails=True))


def test_brain_all_of_which_is_lesion_is_refused():
    image, brain = template_as_patient()
    how = TemplateParcellator(ScriptedRegistrar())
    with pytest.raises((EngineFailedError, InputError), match=r"too few|leaves"):
        how.parcellate(image, brain=brain, lesion=brain)


def test_input_that_does_not_fit_is_refused():
    image, brain = template_as_patient()
    how = TemplateParcellator(ScriptedRegistrar())
    with pytest.raises(GridMismatchError, match="lesion"):
        how.parcellate(image, lesion=np.ones((2, 2, 2), bool))
    with pytest.raises(InputError, match="empty"):
        how.parcellate(image, brain=np.zeros_like(brain))
    with pytest.raises(InputError, match="time point"):
        how.parcellate(Image(np.ones((*image.grid.shape, 2), np.float32), image.grid))
    broken = image.data.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        how.parcellate(Image(broken, image.grid), brain=brain)


# --- figures and settings -------------------------------------------------------------------------------------------


def test_similarity_ignores_shading_and_scale(rng):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    pattern = ndimage.gaussian_filter(rng.normal(size=grid.shape), 2.0)
    pattern = 1 + 0.3 * pattern / pattern.std()
    use = np.ones(grid.shape, bool)
    shading = np.linspace(0.8, 1.2, grid.shape[0])[:, None, None]
    assert similarity_with_template(pattern, 7 * pattern * shading, use, grid) > 0.95
    assert abs(similarity_with_template(pattern, np.flip(pattern, 0), use, grid)) < 0.4
    assert np.isnan(similarity_with_template(pattern, pattern, np.zeros_like(use), grid))


def test_every_parameter_is_described_and_checked():
    for field in fields(AnatomyParameters):
        assert field.metadata["help"]
        assert "unit" in field.metadata
    for bad in (
        {"kind": "rigid"},
        {"min_mask_dice": 1.5},
        {"max_stretch": 0.9},
        {"lesion_margin_mm": -1},
        {"parcellator": "x"},
    ):
        with pytest.raises(ParameterError):
            AnatomyParameters(**bad)
        with pytest.raises(ParameterError):
            replace(AnatomyParameters(), **bad)


def test_version_names_the_map_and_the_engine():
    assert TemplateParcellator(ScriptedRegistrar()).version.endswith("(scripted 1)")
    assert len({r.value for r in LOBES}) == 21
