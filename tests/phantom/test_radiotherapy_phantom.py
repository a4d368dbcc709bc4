"""The radiotherapy phantom is what its truth says: places, doses, classes and files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom import dcmread

from regrowth.errors import OutputError, ParameterError
from regrowth.io.dicom_index import choose_dose, index_folder
from regrowth.io.dicom_registration import read_registration, registration_between
from regrowth.io.dicom_rt import read_rtdose, read_rtplan
from regrowth.io.dicom_series import read_image_series
from regrowth.io.rtstruct import read_rtstruct
from regrowth.io.transforms import read_transform
from regrowth.phantom.radiotherapy import write_radiotherapy_phantom
from regrowth.phantom.radiotherapy_cases import CASES
from regrowth.phantom.radiotherapy_patient import synthetic_radiotherapy
from regrowth.phantom.radiotherapy_shapes import Solid
from regrowth.radiotherapy.rasterise import rasterise, rasterise_share
from regrowth.space import AffineMap, Image, sample_points

SPACING_MM = 3.0


@pytest.fixture(scope="module", params=list(CASES))
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rt") / request.param
    truth = json.loads(write_radiotherapy_phantom(folder, request.param, SPACING_MM, seed=7).read_text())
    return folder, truth, index_folder(folder / "dicom")


def values_at(image: Image, points_mm: object) -> np.ndarray:
    return sample_points(image.data, image.grid.index(np.array(points_mm)), fill=np.nan)


# --- shapes -----------------------------------------------------------------------------------------------------------------


def test_depth_is_exact_for_a_ball_and_zero_on_every_surface(rng):
    ball = Solid("ball", (1, 2, 3), (10, 10, 10))
    points = rng.uniform(-15, 15, (200, 3))
    assert ball.depth_mm(points) == pytest.approx(10 - np.linalg.norm(points - [1, 2, 3], axis=1))
    assert ball.depth_mm(np.array([[1.0, 2, 3]])) == pytest.approx([10])
    egg = Solid("egg", (0, 0, 0), (5, 9, 14))
    direction = rng.standard_normal((100, 3))
    surface = direction / np.linalg.norm(direction, axis=1)[:, None] * [5, 9, 14]
    assert np.abs(egg.depth_mm(surface)).max() < 1e-9
    normal = surface / np.square([5, 9, 14])
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    assert egg.depth_mm(surface - 0.1 * normal) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("solid", [Solid("e", (3, 0, -2), (6, 9, 11)), Solid("c", (3, 0, -2), (6, 9, 11), is_cylinder=True)])
def test_samples_fill_the_volume(solid):
    assert len(solid.samples_mm(0.5)) * 0.125e-3 == pytest.approx(solid.volume_ml, rel=0.01)


# --- truth ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", list(CASES))
def test_every_recurrence_has_the_class_it_is_meant_to_have_by_a_clear_margin(case):
    patient = synthetic_radiotherapy(case)
    highest = patient.case.targets[0].prescription_gy
    for truth, place in zip(patient.recurrence_truth(), patient.case.recurrences, strict=True):
        assert (truth.origin, truth.coverage) == (place.origin, place.coverage), truth
        assert min(abs(truth.share_in_95 - edge) for edge in (0.2, 0.8, 0.95)) > 0.02
        for target in patient.case.targets:
            assert abs(truth.dose_at_centroid_gy / (0.95 * target.prescription_gy) - 1) > 0.02
            depth = target.solid.depth_mm(np.array([truth.planning_mm]))[0]
            assert abs(depth) > 1.8
        if truth.target_of_origin:
            rx = patient.case.targets[
                [t.solid.name for t in patient.case.targets].index(truth.target_of_origin)
            ].prescription_gy
            assert abs(truth.d95_gy / (0.95 * rx) - 1) > 0.02
        assert truth.max_gy < 1.03 * highest


def test_the_cases_hold_all_classes_between_them():
    places = [r for case in CASES.values() for r in case.recurrences]
    assert {r.origin for r in places} == set("ABCDE")
    assert {r.coverage for r in places} == {"central", "in_field", "marginal", "distant"}


@pytest.mark.parametrize("case", list(CASES))
def test_the_map_of_points_is_invertible_and_does_not_fold(case, rng):
    patient = synthetic_radiotherapy(case)
    points = rng.uniform(-70, 70, (500, 3))
    moved = patient.relapse_points(points)
    assert np.abs(patient.planning_points(moved) - points).max() < 1e-3
    assert patient._stretch(points).min() > 0.7
    assert np.linalg.norm(patient.displacement_mm(points), axis=1).max() > 2


def test_the_seed_changes_the_texture_and_nothing_else():
    a, b = synthetic_radiotherapy("brain", 4.0, 1), synthetic_radiotherapy("brain", 4.0, 2)
    assert a.recurrence_truth() == b.recurrence_truth()
    assert not np.array_equal(a.planning_ct().data, b.planning_ct().data)
    assert np.array_equal(a.planning_ct().data, synthetic_radiotherapy("brain", 4.0, 1).planning_ct().data)


def test_density_is_that_of_tissue_and_air():
    patient = synthetic_radiotherapy("breast")
    image = patient.planning_ct()
    at = values_at(image, [[68.0, -15, 0], [0, 66, 0], [76, 60, -55], [150, 130, 0]])
    assert at == pytest.approx([-760, 330, -75, -1000], abs=45)


# --- files ------------------------------------------------------------------------------------------------------------------


def test_the_files_are_linked_by_uids_without_any_problem(written):
    _, truth, index = written
    assert index.problems == ()
    assert len(index.patients()) == 1
    assert {link.basis for link in index.links} == {"uid"}
    uids = truth["uids"]
    assert {o.uid for o in index.of_kind("RTPLAN")} == set(uids["plans"])
    for plan, dose in zip(uids["plans"], uids["doses"], strict=True):
        choice = choose_dose(index, plan)
        assert (choice.status, choice.dose_uids) == ("ok", (dose,))
        assert index.linked(plan, "structures")[0].uid == uids["planning_structures"]
    assert index.linked(uids["relapse_structures"], "series")[0].uid == uids["relapse_series"]
    days = [index.find(uids[f"{name}_series"]).day for name in ("planning", "relapse")]
    assert days == [0, truth["days_to_relapse"]]
    assert max(len(o.paths) for o in index.of_kind("IMAGE")) < 60


def test_the_images_come_back_as_they_were_made(written):
    _, truth, index = written
    patient = synthetic_radiotherapy(truth["case"], SPACING_MM, 7)
    for name, image in (("planning", patient.planning_ct()), ("relapse", patient.relapse_ct())):
        back = read_image_series(index, truth["uids"][f"{name}_series"])
        assert np.array_equal(back.data, image.data)
        assert back.grid.displacement_mm(image.grid) < 1e-3
        assert back.grid.frame_of_reference_uid == truth["uids"][f"{name}_frame"]


def test_the_plans_prescribe_and_the_doses_add_up_to_what_the_truth_says(written):
    _, truth, index = written
    for phase, uid in zip(truth["phases"], truth["uids"]["plans"], strict=True):
        plan = read_rtplan(index.files(uid)[0])
        assert (plan.label, plan.n_fractions) == (phase["label"], phase["n_fractions"])
        assert plan.prescription_gy == max(phase["doses_gy"].values())
    doses = [read_rtdose(index.files(uid)[0]) for uid in truth["uids"]["doses"]]
    for recurrence in truth["recurrences"]:
        at = sum(float(values_at(d, [recurrence["planning_mm"]])[0]) for d in doses)
        assert at == pytest.approx(recurrence["dose_at_centroid_gy"], abs=0.5)


def test_drawn_structures_have_their_true_volume_and_place(written):
    _, truth, index = written
    grid = index.find(truth["uids"]["planning_series"]).grid
    drawn = {s.name: s for s in read_rtstruct(index.files(truth["uids"]["planning_structures"])[0]).structures}
    for name, ml in truth["volumes_ml"].items():
        assert rasterise_share(drawn[name], grid).volume_ml == pytest.approx(ml, rel=0.06)
    assert rasterise(drawn["BODY"], grid).mask.mean() > 0.2
    grid = index.find(truth["uids"]["relapse_series"]).grid
    drawn = {s.name: s for s in read_rtstruct(index.files(truth["uids"]["relapse_structures"])[0]).structures}
    for recurrence in truth["recurrences"]:
        share = rasterise_share(drawn[recurrence["name"]], grid).share
        ijk = np.argwhere(share > 0)
        centre = grid.world((ijk * share[share > 0][:, None]).sum(axis=0) / share.sum())
        assert np.linalg.norm(centre - recurrence["relapse_mm"]) < 0.6
    assert set(truth["controls"]) <= set(drawn)


def test_recurrences_are_apart_from_each_other(written):
    from scipy import ndimage

    _, truth, index = written
    grid = index.find(truth["uids"]["relapse_series"]).grid
    structures = read_rtstruct(index.files(truth["uids"]["relapse_structures"])[0]).structures
    masks = [rasterise(s, grid).mask for s in structures if s.name.startswith("rGTV")]
    _, n = ndimage.label(np.any(masks, axis=0), np.ones((3, 3, 3)))
    assert n == len(masks) == len(truth["recurrences"])


def test_the_written_transform_takes_landmarks_to_their_place(written):
    folder, truth, index = written
    transform = read_transform(folder / "truth" / "from-relapse_to-planning_mode-image_xfm.nii.gz")
    planning, relapse = (np.array(truth["landmarks"][f"{name}_mm"]) for name in ("planning", "relapse"))
    assert len(planning) == 60
    assert np.linalg.norm(transform.map_points(planning) - relapse, axis=1).max() < 0.1
    formula = planning.copy()
    for bump in truth["planning_to_relapse"]["bumps"]:
        weight = np.exp(-((planning - bump["centre_mm"]) ** 2).sum(axis=1) / (2 * bump["sigma_mm"] ** 2))
        formula += weight[:, None] * bump["shift_mm"]
    assert AffineMap(truth["planning_to_relapse"]["rigid"]).map_points(formula) == pytest.approx(relapse)
    image = read_image_series(index, truth["uids"]["relapse_series"])
    assert np.isfinite(values_at(image, relapse)).mean() > 0.9


def test_the_registration_file_holds_the_rigid_part(written):
    _, truth, index = written
    (reg,) = index.of_kind("REG")
    uids = truth["uids"]
    found = registration_between(read_registration(index.files(reg.uid)[0]), uids["planning_frame"], uids["relapse_frame"])
    assert found.matrix == pytest.approx(np.array(truth["planning_to_relapse"]["rigid"]), abs=1e-6)


def test_every_file_says_that_it_is_synthetic_and_names_keep_to_16_characters(written):
    folder, _, index = written
    for found in index.objects:
        dataset = dcmread(index.files(found.uid)[0], stop_before_pixels=True)
        assert dataset.SyntheticData == "YES"
        assert str(dataset.PatientID).startswith("SYN-RT-")
        texts = [str(v) for e in dataset.iterall() if e.VR == "DS" and e.value for v in np.atleast_1d(e.value)]
        assert max(map(len, texts), default=0) <= 16
    assert "No person was scanned" in (folder / "README.md").read_text()


def test_writing_twice_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        write_radiotherapy_phantom(tmp_path / name, "brain", 5.0)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 80
    assert files == sorted(p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("*") if p.is_file())
    assert all((tmp_path / "a" / p).read_bytes() == (tmp_path / "b" / p).read_bytes() for p in files)


def test_an_unknown_case_or_a_full_folder_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="head_neck, breast, brain"):
        write_radiotherapy_phantom(tmp_path / "x", "prostate")
    with pytest.raises(ParameterError, match="1 to 5 mm"):
        write_radiotherapy_phantom(tmp_path / "x", "brain", 0.2)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="no empty folder"):
        write_radiotherapy_phantom(tmp_path, "brain")
