"""Where in the brain a tumour lies, in whole runs: by the embedded template, and by maps of regions that the user brings."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import regrowth
from regrowth.anatomy import LOBES, brain_template
from regrowth.io.nifti import read_image, read_labels
from regrowth.io.tables import read_json, read_tsv
from regrowth.io.transforms import read_transform
from regrowth.labels import label_scheme
from regrowth.metrics import dice
from regrowth.space import Transform, require_same_grid, resample_mask
from regrowth.workflow.run import RunResult, make_plan, open_study
from tests.workflow.copies import PARCELS, Case, copy_patient, mirror, parcel_at, rewrite, world_of, write_parcels

PATIENTS = ("01", "02")
SCHEME = label_scheme("brats-2024-post")


def anat(out: Path, label: str, session: str = "preop") -> Path:
    return out / f"sub-{label}" / f"ses-{session}" / "anat"


def page(path: Path) -> str:
    return html.unescape(path.read_text())


def section(path: Path, anchor: str) -> str:
    """Text of one section of a page."""
    text = page(path)
    start = text.index(f'<section id="{anchor}">')
    end = text.find("<section id=", start + 1)
    return text[start : end if end > 0 else None]


def whole(out: Path, label: str, session: str, transform: str) -> dict[str, str]:
    """The row of the whole tumour of an exam."""
    rows = read_tsv(out / f"sub-{label}" / f"sub-{label}_location.tsv")
    found = [r for r in rows if (r["session_id"], r["transform"], r["part"]) == (f"ses-{session}", transform, "whole")]
    (row,) = found
    return row


def truth_of(cohort: Path, label: str) -> dict[str, object]:
    return json.loads((cohort / "derivatives" / "truth" / f"sub-{label}" / f"sub-{label}_truth.json").read_text())


# The embedded template


@pytest.mark.parametrize("label", PATIENTS)
def test_the_map_of_regions_lies_on_the_baseline_image_and_its_sidecar_names_every_value(full_run, small_cohort, label):
    regions = anat(full_run, label) / f"sub-{label}_ses-preop_space-T1wce_seg-lobes_dseg.nii.gz"
    image = read_image(regions)
    raw = small_cohort / f"sub-{label}" / "ses-preop" / "anat" / f"sub-{label}_ses-preop_ce-gadolinium_T1w.nii.gz"
    require_same_grid(image.grid, read_image(raw).grid)
    facts = read_json(regions.with_name(regions.name.replace(".nii.gz", ".json")))
    assert facts["Regions"] == {r.label: r.value for r in LOBES}
    assert set(np.unique(image.data)) <= {0, *facts["Regions"].values()}
    assert facts["Method"] == "template"
    assert facts["IsFallback"] is True
    assert facts["Quality"]["mask_dice"] > 0.85
    assert "doi:" in facts["Citation"]
    assert facts["Sources"]
    assert all(len(h) == 64 for h in facts["SourcesSHA256"].values())


@pytest.mark.parametrize("label", PATIENTS)
def test_the_regions_fill_the_brain_and_its_halves_lie_on_their_sides(full_run, label):
    folder = anat(full_run, label)
    regions = read_image(folder / f"sub-{label}_ses-preop_space-T1wce_seg-lobes_dseg.nii.gz")
    brain = read_image(folder / f"sub-{label}_ses-preop_space-T1wce_label-brain_mask.nii.gz").data > 0
    assert (regions.data[brain] > 0).mean() > 0.95
    x = regions.grid.world(np.argwhere(np.ones(regions.grid.shape, bool)))[:, 0].reshape(regions.grid.shape)
    for side, sign in (("left", -1), ("right", 1)):
        inside = np.isin(regions.data, [r.value for r in LOBES.select(side=side)])
        # The head is turned by a few degrees and lies off the centre of the scanner: a plane of x splits it nearly.
        assert (sign * (x[inside] - x[brain].mean()) > 0).mean() > 0.95, side


@pytest.mark.parametrize("label", PATIENTS)
def test_the_transform_brings_the_brain_of_the_exam_onto_that_of_the_template(full_run, label):
    folder = anat(full_run, label)
    brain = read_image(folder / f"sub-{label}_ses-preop_space-T1wce_label-brain_mask.nii.gz")
    transform = read_transform(
        folder / f"sub-{label}_ses-preop_from-T1wce_to-ICBM2009aSym_mode-image_desc-deformable_xfm.nii.gz"
    )
    template = brain_template(2)

    def overlap(how: Transform) -> float:
        return dice(resample_mask(brain.data > 0, brain.grid, template.image.grid, how), template.brain).dice

    assert overlap(transform) > 0.9
    assert overlap(Transform()) < 0.8  # the brain is brought there: it did not lie there before


@pytest.mark.parametrize("label", PATIENTS)
@pytest.mark.parametrize(("session", "labels"), [("preop", "space-T1wce_seg-tumour"), ("progression", None)])
def test_the_tumour_in_the_template_is_the_mapped_core(full_run, label, session, labels):
    baseline, folder = anat(full_run, label), anat(full_run, label, session)
    name = f"sub-{label}_ses-{session}_{labels or 'space-sespreop_seg-tumour_desc-deformable'}_dseg.nii.gz"
    core = read_labels(folder / name, SCHEME)
    transform = read_transform(
        baseline / f"sub-{label}_ses-preop_from-T1wce_to-ICBM2009aSym_mode-image_desc-deformable_xfm.nii.gz"
    )
    moved = read_image(folder / f"sub-{label}_ses-{session}_space-ICBM2009aSym_label-tumour_mask.nii.gz")
    template = brain_template(2)
    require_same_grid(moved.grid, template.image.grid)
    centre = core.grid.world(np.argwhere(core.mask("TC"))).mean(axis=0)
    there = moved.grid.world(np.argwhere(moved.data > 0)).mean(axis=0)
    # The transform of an image reads backwards: it gives the place in the exam for a place in the template.
    assert np.linalg.norm(transform.map_points(there) - centre) < 4.0
    assert template.brain[moved.data > 0].mean() > 0.9


@pytest.mark.parametrize("label", PATIENTS)
def test_the_volumes_of_the_regions_add_up_to_the_native_volume_of_each_compartment(full_run, label):
    rows = read_tsv(full_run / f"sub-{label}" / f"sub-{label}_overlap.tsv")
    parts: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        parts[row["session_id"], row["transform"], row["compartment"]].append(row)
    assert {k[:2] for k in parts} == {
        ("ses-preop", "native"),
        ("ses-progression", "rigid"),
        ("ses-progression", "deformable"),
    }
    volumes = {r["session_id"]: r for r in read_tsv(full_run / f"sub-{label}" / f"sub-{label}_volumes.tsv")}
    for (session, _, compartment), found in parts.items():
        assert [r["region"] for r in found] == [*LOBES.labels, "unassigned"]
        native = float(found[0]["native_ml"])
        assert native == pytest.approx(float(volumes[session][f"{compartment}_ml"]), rel=1e-5)
        if native > 0:
            # A table holds six digits; the sum of up to twenty of them is good to a few in the sixth.
            assert sum(float(r["volume_ml"]) for r in found) == pytest.approx(native, rel=5e-6)
            assert sum(float(r["share"]) for r in found) == pytest.approx(1, abs=5e-6)
        else:
            assert {r["share"] for r in found} == {"n/a"}


@pytest.mark.parametrize("label", PATIENTS)
def test_side_and_lobe_of_the_primary_agree_with_the_truth(full_run, small_cohort, label):
    scene = truth_of(small_cohort, label)["scene"]
    side = "right" if scene["primary"]["centre_in_baseline_mm"][0] > 0 else "left"
    row = whole(full_run, label, "preop", "native")
    assert row["status"] == "ok"
    assert row["laterality"] == side
    assert row["lobe"] == scene["lobe_drawn"]
    assert row["involved"].split(";")[0] == f"{side} {scene['lobe_drawn']}"
    assert float(row["coverage"]) == 1
    assert row["crosses_midline"] == "false"


def test_the_share_of_the_true_centre_is_that_of_the_map(full_run, small_cohort):
    """The region at the true centre of the recurrence is one of those that the table says are involved."""
    for label in PATIENTS:
        scene = truth_of(small_cohort, label)["scene"]
        regions = read_image(anat(full_run, label) / f"sub-{label}_ses-preop_space-T1wce_seg-lobes_dseg.nii.gz")
        voxel = tuple(np.rint(regions.grid.index(np.array(scene["recurrence"]["centre_in_baseline_mm"]))).astype(int))
        name = LOBES.region(int(regions.data[voxel])).label
        assert name in whole(full_run, label, "progression", "deformable")["involved"].split(";")


def test_the_class_of_hannisdal_stands_beside_and_says_that_it_is_an_approximation(full_run):
    row = whole(full_run, "01", "preop", "native")
    assert row["hannisdal_class"] == "temporal"
    assert row["hannisdal_source"] == "approximated from lobes"


def test_the_plain_call_gives_the_same_location_as_the_run(full_run):
    folder = anat(full_run, "02")
    rows, volumes = regrowth.locate(
        folder / "sub-02_ses-preop_space-T1wce_seg-tumour_dseg.nii.gz",
        folder / "sub-02_ses-preop_space-T1wce_seg-lobes_dseg.nii.gz",
        label_scheme=SCHEME.name,
    )
    table = whole(full_run, "02", "preop", "native")
    for name in ("laterality", "lobe", "junction", "involved", "status", "compartment"):
        assert rows[0][name] == table[name].replace("n/a", ""), name
    assert rows[0]["lobe_share"] == pytest.approx(float(table["lobe_share"]), rel=1e-5)
    assert sum(float(r["volume_ml"]) for r in volumes) == pytest.approx(float(table["volume_ml"]), rel=1e-5)


def test_the_response_of_every_exam_is_tabulated_and_not_claimed_across_surgery(full_run):
    for label in PATIENTS:
        rows = read_tsv(full_run / f"sub-{label}" / f"sub-{label}_response.tsv")
        assert [(r["label"], r["day"]) for r in rows[:1]] == [("ses-preop", "0")]
        assert len(rows) == 2
        assert "PR" not in {r["category"] for r in rows}  # the surgeon took it away
        (best,) = read_tsv(full_run / f"sub-{label}" / f"sub-{label}_bestresponse.tsv")
        assert best["participant_id"] == f"sub-{label}"


@pytest.mark.parametrize("label", PATIENTS)
def test_the_page_of_a_patient_shows_where_in_the_brain_and_how_it_responded(full_run, label):
    path = full_run / f"sub-{label}.html"
    where, how = section(path, "location"), section(path, "response")
    assert "Where in the brain" in where
    assert "right temporal" in where
    assert "at least 60 % of the tumour" in where
    assert "RANO 2.0" in how
    assert "Response of every exam" in how
    for figure in re.findall(r'data-figure="([^"]+)"', where + how):
        files = {p.suffix for p in (full_run / f"sub-{label}" / "figures").glob(f"{figure}.*")}
        assert files, figure
    assert len(re.findall("data-figure=", where)) >= 3  # views of the lobes, shares, the map itself
    assert "the map of regions comes from the embedded template" in page(path)


def test_images_of_the_new_steps_have_a_sidecar_with_their_sources(full_run):
    folder = full_run / "sub-01"
    made = [p for name in ("*seg-lobes*.nii.gz", "*ICBM2009aSym*.nii.gz") for p in folder.glob(f"ses-*/anat/{name}")]
    made += [*folder.glob("sub-01_[lor]*.tsv"), *(full_run / "group").glob("*_frequency.nii.gz")]
    made += [*(full_run / "group" / "statistics").glob("*.tsv")]
    assert len(made) >= 4 + 3 + 3 + 5
    for path in made:
        facts = read_json(path.with_name(path.name.removesuffix(".nii.gz").removesuffix(".tsv") + ".json"))
        assert facts["Sources"], path.name
        assert all(len(h) == 64 for h in facts["SourcesSHA256"].values())


# Maps that the user brings


def unparcellated(c: Case) -> None:
    """Cortex without parcels, as SynthSeg gives it without --parc."""
    write_parcels(c)
    rewrite(c.regions(), lambda d, a: (np.where(d > 2000, 42, np.where(d > 0, 3, 0)).astype(np.int32), a))


def elsewhere(c: Case) -> None:
    """A map in another scanner space."""
    one_exam(c)

    def move(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine[:3, 3] += [0, 150, 0]
        return data, affine

    rewrite(c.regions(), move)


def interpolated(c: Case) -> None:
    one_exam(c)
    rewrite(c.regions(), lambda d, a: (d.astype(np.float32) * 0.5 + 0.25 * (d > 0), a))


def strange(c: Case) -> None:
    """An id that no table knows."""
    one_exam(c)

    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data = data.copy()
        data[data == data.max()] = 9999
        return data, affine

    rewrite(c.regions(), change)


def half(c: Case) -> None:
    """A map that was cut off through the tumour."""
    write_parcels(c)
    mask = np.isin(np.asarray(nib.load(c.mask("preop")).dataobj), core_values())
    z = world_of(c.mask("preop"))[..., 2]
    level = np.median(z[mask])
    rewrite(c.regions(), lambda d, a: (np.where((z < level) & (d > 0) & near(mask), 0, d).astype(np.int32), a))


def core_values() -> list[int]:
    return list(SCHEME.region_values("TC"))


def near(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=3)


def mirrored(c: Case) -> None:
    """The same head in a mirror: the tumour is on the other side."""
    write_parcels(c)
    for path in [
        *c.raw.glob("ses-*/anat/*.nii.gz"),
        *c.truth.glob("ses-*/anat/*_dseg.nii.gz"),
        *c.truth.glob("**/*_mask.nii.gz"),
    ]:
        mirror(path)
    brain = nib.load(c.brain("preop"))
    ids = np.where(np.asarray(brain.dataobj) > 0, parcel_at(world_of(c.brain("preop"))), 0)
    nib.save(nib.Nifti1Image(ids.astype(np.int32), brain.affine), c.regions())
    (c.truth / f"sub-{c.label}_landmarks.tsv").unlink()


def one_exam(c: Case) -> None:
    write_parcels(c)
    shutil.rmtree(c.raw / "ses-progression")
    c.sessions("ses-preop\t0\tpreop\n")


def gone(c: Case) -> None:
    """No tumour is left at the follow-up."""
    write_parcels(c)
    rewrite(c.mask("progression"), lambda d, a: (np.zeros_like(d), a))


def finer(c: Case) -> None:
    """A map on a grid of its own, as FreeSurfer writes it."""
    nii = nib.load(c.brain("preop"))
    affine = nii.affine @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] -= nii.affine[:3, :3] @ np.full(3, 0.25)
    brain = np.repeat(np.repeat(np.repeat(np.asarray(nii.dataobj) > 0, 2, 0), 2, 1), 2, 2)
    index = np.stack(np.meshgrid(*map(np.arange, brain.shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    ids = np.where(brain, parcel_at(world), 0).astype(np.int32)[::-1]
    affine[:3, 3] += affine[:3, 0] * (brain.shape[0] - 1)
    affine[:3, 0] *= -1
    nib.save(nib.Nifti1Image(ids.copy(), affine), c.regions())


CASES: dict[str, Callable[[Case], object]] = {
    "given": write_parcels,
    "unparcellated": unparcellated,
    "elsewhere": elsewhere,
    "interpolated": interpolated,
    "strange": strange,
    "half": half,
    "mirrored": mirrored,
    "oneexam": one_exam,
    "gone": gone,
    "finer": finer,
}
REFUSED = {
    "unparcellated": ("sub-unparcellated_ses-preop_desc-aparcaseg_dseg.nii.gz", "no lobes", "--parc"),
    "elsewhere": ("sub-elsewhere_ses-preop_desc-aparcaseg_dseg.nii.gz", "another space"),
    "interpolated": ("sub-interpolated_ses-preop_desc-aparcaseg_dseg.nii.gz", "no whole numbers"),
    "strange": ("sub-strange_ses-preop_desc-aparcaseg_dseg.nii.gz", "9999"),
}
FAST = regrowth.RunParameters(
    registration=regrowth.RegistrationParameters(kind="rigid", inverse_consistency=False),
    growth=regrowth.GrowthParameters(space=False),
)


@dataclass(frozen=True)
class Ran:
    result: RunResult
    data: Path
    out: Path

    def case(self, label: str) -> Case:
        return Case(self.data / f"sub-{label}", self.data / "derivatives" / "truth" / f"sub-{label}", label)


@pytest.fixture(scope="module")
def labelled(small_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run of patients who each bring a map of regions of another kind."""
    data, out = tmp_path_factory.mktemp("labelled") / "bids", tmp_path_factory.mktemp("labelled") / "out"
    for label, prepare in CASES.items():
        case = copy_patient(small_cohort, data, label)
        case.keep_only("ce-gadolinium_T1w")
        prepare(case)
    return Ran(regrowth.run(data, out, derivatives=["truth"], parameters=FAST), data, out)


def expected_shares(case: Case) -> dict[str, float]:
    """Share of the tumour core of the first exam in every region, by the coordinates of its voxels."""
    mask = np.isin(np.asarray(nib.load(case.mask("preop")).dataobj), core_values())
    brain = np.asarray(nib.load(case.brain("preop")).dataobj) > 0
    ids = np.where(brain, parcel_at(world_of(case.mask("preop"))), 0)[mask]
    names = {value + side * 1000: f"{'right' if side else 'left'} {lobe}" for lobe, value in PARCELS.items() for side in (0, 1)}
    return {name: float((ids == value).mean()) for value, name in names.items()}


@pytest.mark.parametrize("label", ["given", "mirrored", "finer"])
def test_the_users_map_is_used_and_its_shares_are_those_of_the_coordinates(labelled, label):
    facts = read_json(anat(labelled.out, label) / f"sub-{label}_ses-preop_space-T1wce_seg-lobes_dseg.json")
    assert facts["Method"] == "labelmap"
    assert facts["IsFallback"] is False
    rows = read_tsv(labelled.out / f"sub-{label}" / f"sub-{label}_overlap.tsv")
    found = {r["region"]: float(r["share"]) for r in rows if r["transform"] == "native" and r["compartment"] == "CE_core"}
    expected = expected_shares(labelled.case(label))
    assert max(expected.values()) > 0.5
    for name, share in expected.items():
        assert found[name] == pytest.approx(share, abs=1e-5), name
    side = "left" if label == "mirrored" else "right"
    assert whole(labelled.out, label, "preop", "native")["laterality"] == side
    assert whole(labelled.out, label, "progression", "rigid")["laterality"] == side
    assert not [o for o in labelled.result.failures if f"sub-{label}_" in o.job_id]


def test_the_ids_are_written_beside_the_lobes_and_the_preset_uses_them(labelled):
    case = labelled.case("given")
    written = read_image(anat(labelled.out, "given") / "sub-given_ses-preop_space-T1wce_seg-freesurfer_dseg.nii.gz")
    assert np.array_equal(written.data, np.asarray(nib.load(case.regions()).dataobj))
    assert read_json(anat(labelled.out, "given") / "sub-given_ses-preop_space-T1wce_seg-freesurfer_dseg.json")["Sources"]
    row = whole(labelled.out, "given", "preop", "native")
    assert row["hannisdal_source"] == "as in the notebooks"
    assert row["hannisdal_hemisphere"] == "Right"


def test_a_map_of_the_user_needs_no_template_and_makes_no_transform(labelled):
    assert not list(labelled.out.glob("sub-*/ses-*/anat/*ICBM2009aSym*"))
    (skip,) = [s for s in labelled.result.skips if s.step == "frequency"]
    assert "brought to the template" in skip.reason
    assert "brought to the template" in page(labelled.out / "group.html")


@pytest.mark.parametrize("label", REFUSED)
def test_a_map_that_cannot_be_right_is_refused_for_that_patient_by_name(labelled, label):
    (failed,) = [o for o in labelled.result.failures if f"sub-{label}_" in o.job_id and o.status == "failed"]
    assert failed.job_id.endswith("_parcellate")
    assert "\n" not in failed.message
    for word in REFUSED[label]:
        assert word in failed.message, failed.message
    (blocked,) = [o for o in labelled.result.failures if f"sub-{label}_" in o.job_id and o.status == "blocked"]
    assert blocked.job_id.endswith("_locate")
    text = page(labelled.out / f"sub-{label}.html")
    assert failed.message[:60] in text
    assert '<a href="#location" class="off">' in text
    assert not list(anat(labelled.out, label).glob("*seg-lobes*"))


def test_the_others_go_on_and_the_run_ends_with_exit_code_1(labelled):
    assert labelled.result.exit_code == 1
    failed = {o.job_id.split("_")[0].removeprefix("sub-") for o in labelled.result.failures}
    assert failed == set(REFUSED)
    assert {p.stem.removeprefix("sub-") for p in labelled.out.glob("sub-*.html")} == set(CASES)
    located = {r["participant_id"].removeprefix("sub-") for r in read_tsv(labelled.out / "group" / "location.tsv")}
    assert located == set(CASES) - set(REFUSED)
    # Only what needs to know the brain is lost: where the recurrence lies relative to the primary is known all the same.
    assert list(anat(labelled.out, "unparcellated", "progression").glob("*_migration.tsv"))


def test_a_map_that_covers_half_of_the_tumour_raises_a_flag_on_the_page(labelled):
    row = whole(labelled.out, "half", "preop", "native")
    assert row["is_low_coverage"] == "true"
    assert 0.3 < float(row["coverage"]) < 0.8
    text = page(labelled.out / "sub-half.html")
    flags = text[text.index('<section id="flags">') : text.index("<section id=", text.index('<section id="flags">') + 5)]
    assert f"only {float(row['coverage']):.0%} of the tumour lie inside the map of regions" in flags
    assert "inside the map of regions" not in page(labelled.out / "sub-given.html").split('<section id="location">')[0]
    rows = read_tsv(labelled.out / "sub-half" / "sub-half_overlap.tsv")
    core = [r for r in rows if r["transform"] == "native" and r["compartment"] == "CE_core"]
    outside = next(float(r["share"]) for r in core if r["region"] == "unassigned")
    assert outside == pytest.approx(1 - float(row["coverage"]), abs=1e-5)
    assert sum(float(r["volume_ml"]) for r in core) == pytest.approx(float(core[0]["native_ml"]), rel=5e-6)


def test_one_exam_is_located_and_has_no_response_with_the_reason(labelled):
    rows = read_tsv(labelled.out / "sub-oneexam" / "sub-oneexam_location.tsv")
    assert {(r["session_id"], r["transform"]) for r in rows} == {("ses-preop", "native")}
    assert not [o for o in labelled.result.failures if "sub-oneexam_" in o.job_id]
    (skip,) = [s for s in labelled.result.skips if s.participant == "oneexam" and s.step == "respond"]
    assert "one segmented exam only" in skip.reason
    assert "one segmented exam only" in page(labelled.out / "sub-oneexam.html")
    assert "right" in section(labelled.out / "sub-oneexam.html", "location")


def test_a_tumour_that_is_gone_has_no_place_and_a_reason_instead_of_zeros(labelled):
    row = whole(labelled.out, "gone", "progression", "rigid")
    assert row["status"] == "empty"
    assert row["reason"]
    for name in ("lobe", "laterality", "lobe_share", "crosses_midline", "is_butterfly", "entropy", "coverage"):
        assert row[name] in ("", "n/a"), name
    assert whole(labelled.out, "gone", "preop", "native")["laterality"] == "right"
    rows = read_tsv(labelled.out / "sub-gone" / "sub-gone_overlap.tsv")
    assert {r["share"] for r in rows if r["session_id"] == "ses-progression" and r["compartment"] == "CE_core"} == {"n/a"}
    assert not [o for o in labelled.result.failures if "sub-gone_" in o.job_id]
    assert "no location" in section(labelled.out / "sub-gone.html", "location")


# Plans: what is skipped, and why


def test_without_a_t1_weighted_image_there_is_no_template_and_it_is_said(small_cohort, tmp_path):
    data = tmp_path / "bids"
    case = copy_patient(small_cohort, data, "flair")
    case.keep_only("FLAIR")
    plan = make_plan(open_study(data, tmp_path / "out", derivatives=["truth"]))
    skips = {s.step: s.reason for s in plan.skips}
    for step in ("parcellate", "locate"):
        assert "no T1-weighted image" in skips[step]
    assert "frequency" in skips


def test_asking_for_a_label_map_that_is_not_there_says_how_to_give_it(small_cohort, tmp_path):
    parameters = regrowth.RunParameters(anatomy=regrowth.AnatomyParameters(parcellator="labelmap"))
    plan = make_plan(open_study(small_cohort, tmp_path / "out", derivatives=["truth"], parameters=parameters))
    reasons = [s.reason for s in plan.skips if s.step == "parcellate"]
    assert len(reasons) == 2
    assert all("no map of regions for ses-preop" in r and "--derivatives" in r for r in reasons)


def test_a_map_that_is_there_is_ignored_when_the_template_is_asked_for(small_cohort, tmp_path):
    data = tmp_path / "bids"
    write_parcels(copy_patient(small_cohort, data, "01"))
    jobs = {}
    for asked in ("auto", "template"):
        parameters = regrowth.RunParameters(anatomy=regrowth.AnatomyParameters(parcellator=asked))
        plan = make_plan(open_study(data, tmp_path / "out", derivatives=["truth"], parameters=parameters))
        (jobs[asked],) = [j for j in plan.jobs if j.step == "parcellate"]
    assert jobs["auto"].settings["source"] == "labelmap"
    assert "labels" in jobs["auto"].inputs
    assert jobs["template"].settings["source"] == "template"
    assert "labels" not in jobs["template"].inputs
