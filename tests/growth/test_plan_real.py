"""Plans on a real glioblastoma with published plans, and masks of five real pairs of exams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regrowth.growth import (
    Strata,
    coverage_curve,
    margin_scores,
    mask_scores,
    model_plan,
    recurrence_coverage,
    score_card,
    score_volume,
    spatial_baselines,
    standard_plan,
    volume_for_coverage,
)
from regrowth.io.nifti import read_image, read_labels
from regrowth.labels import label_scheme
from regrowth.metrics import dice
from regrowth.space import require_same_grid, resample_labels

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def patient(real_data: Path):
    folder = real_data / "glioblastoma-recurrence-001"
    if not folder.is_dir():
        pytest.skip("glioblastoma-recurrence-001 is absent from the real data folder")
    names = ("segm", "segm_rec", "brainMask", "standardPlan", "recurrencePrediction")
    images = {n: read_image(folder / f"{n}.nii.gz") for n in names}
    for name, image in images.items():
        require_same_grid(images["segm"].grid, image.grid, name)
    masks = {n: images[n].data > 0.5 for n in names}
    return images["segm"].grid, np.isin(images["segm"].data, (1, 4)), masks


def test_the_15_mm_plan_equals_the_published_one_voxel_for_voxel(patient):
    grid, core, masks = patient
    plan = standard_plan(core, masks["brainMask"], grid, 15.0)
    assert plan.n_voxels == 350_794
    assert np.array_equal(plan.mask, masks["standardPlan"])


def test_the_published_coverages_are_reproduced(patient):
    grid, _, masks = patient
    assert recurrence_coverage(masks["segm_rec"], masks["standardPlan"], grid).value == 1.0
    model = recurrence_coverage(masks["segm_rec"], masks["recurrencePrediction"], grid)
    assert model.value == pytest.approx(0.9920, abs=5e-5)
    assert model.missed_ml == pytest.approx(0.024)


def test_the_recurrence_reaches_11_75_mm_and_two_thirds_of_the_volume_cover_it(patient):
    grid, core, masks = patient
    scores = margin_scores(core, grid)
    assert -scores[masks["segm_rec"]].min() == pytest.approx(11.75, abs=0.005)
    curve = coverage_curve(scores, masks["segm_rec"], masks["brainMask"], grid)
    ten = standard_plan(core, masks["brainMask"], grid, 10.0)
    assert ten.n_voxels == 233_342
    assert curve.at(np.array([ten.volume_ml]))[0] == pytest.approx(0.9943, abs=5e-5)
    assert volume_for_coverage(curve).volume_ml == pytest.approx(198.381)
    assert volume_for_coverage(curve, 1.0).volume_ml == pytest.approx(272.297)


def test_the_published_model_plan_is_11_voxels_short_of_the_standard_one_and_is_filled_at_its_border(patient):
    grid, core, masks = patient
    published = masks["recurrencePrediction"]
    standard = standard_plan(core, masks["brainMask"], grid, 15.0)
    assert published.sum() == 350_783
    plan = model_plan(published.astype(np.float32), masks["brainMask"], grid, standard.volume_ml)
    assert plan.n_voxels == standard.n_voxels
    assert plan.n_tied_taken == 11
    assert plan.mask[published].all()


# The spacing of these files is nominal (the published geometry was lost): mm and ml are nominal, too. The exams are not
# registered. Stratum; Dice of persistence and of the dilation to the true volume; HD95 of both.
PAIRS = {
    "01": ("stable", 0.494, 0.537, 6.38, 6.14),
    "03": ("stable", 0.448, 0.467, 10.10, 10.33),
    "05": ("growing", 0.364, 0.594, 11.98, 8.98),
    "08": ("growing", 0.643, 0.690, 5.41, 4.80),
    "10": ("shrinking", 0.004, 0.000, 13.84, 14.77),
}


@pytest.fixture(scope="module")
def pairs(real_data: Path):
    """Masks of both exams on the grid of the first; not registered, so that motion of the head counts as change."""
    out = {}
    scheme = label_scheme("binary-gtv")
    for sub in PAIRS:
        folder = real_data / "brain-tumor-progression" / "derivatives" / "manual" / f"sub-{sub}"
        first, second = (
            read_labels(folder / f"ses-{ses}" / "anat" / f"sub-{sub}_ses-{ses}_label-tumor_mask.nii.gz", scheme)
            for ses in ("01", "02")
        )
        later = resample_labels(second, first.grid).mask("GTV")
        out[sub] = first.mask("GTV"), later, first.grid, second.volume_ml("GTV")
    return out


@pytest.mark.parametrize("sub", PAIRS)
def test_persistence_and_uniform_dilation_are_scored_on_real_pairs(pairs, sub):
    before, after, grid, volume_ml = pairs[sub]
    stratum, *expected = PAIRS[sub]
    made = spatial_baselines(before, np.ones(grid.shape, bool), grid, volume_ml)
    assert Strata().of(before.sum() * grid.voxel_volume_ml, volume_ml) == stratum
    found = [mask_scores(made[n].mask, after, grid) for n in ("persistence", "uniform dilation")]
    assert made["uniform dilation"].volume_ml == pytest.approx(volume_ml, abs=grid.voxel_volume_ml)
    assert [f.dice for f in found] == pytest.approx(expected[:2], abs=0.001)
    assert [f.hd95_mm for f in found] == pytest.approx(expected[2:], abs=0.02)


def test_a_model_that_only_grows_loses_on_the_real_tumour_that_shrinks(pairs, rng):
    scores = []
    for sub, (before, _, grid, volume_ml) in pairs.items():
        seen_ml = float(before.sum() * grid.voxel_volume_ml)
        scores += score_volume(f"sub-{sub}", "persistence", seen_ml, volume_ml, seen_ml)
        scores += score_volume(f"sub-{sub}", "growth by a third", 4 / 3 * seen_ml, volume_ml, seen_ml)
    card = score_card(scores, ["persistence"], rng)
    shrinking, growing = (
        next(c for c in card.comparisons if (c.measure, c.stratum) == ("relative_error", stratum))
        for stratum in ("shrinking", "growing")
    )
    assert (shrinking.n_better, shrinking.n_worse) == (0, 1)
    assert shrinking.difference.value == pytest.approx(338 / 160 / 3)
    assert (growing.n_better, growing.n_worse) == (2, 0)
    assert "too few patients to tell" in shrinking.verdict


def test_a_margin_overlaps_least_where_the_tumour_shrinks(pairs):
    dices = {}
    for sub, (before, after, grid, _) in pairs.items():
        margin = standard_plan(before, np.ones(grid.shape, bool), grid, 15.0)
        dices[sub] = dice(margin.mask, after).dice
    assert min(dices, key=dices.__getitem__) == "10"
