from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from regrowth.clinical import SEQUENCES
from regrowth.errors import ParameterError
from regrowth.phantom import PhantomParameters, SyntheticPatient, Template, synthetic_patient
from regrowth.space import Transform, resample_image, resample_mask


def _on_t1wce(patient: SyntheticPatient, exam: int, sequence: str) -> np.ndarray:
    e = patient.exams[exam]
    return resample_image(e.images[sequence], e.segmentation.grid, e.motions[sequence]).data


def _healthy(patient: SyntheticPatient, exam: int) -> dict[str, np.ndarray]:
    """Masks of pure tissue away from lesions and the border of the brain."""
    e = patient.exams[exam]
    points = Transform().map_grid(e.segmentation.grid).reshape(-1, 3)
    tissue = patient.scene.tissue(patient.scene.points_in_baseline(exam, points))
    free = (e.segmentation.data.ravel() == 0) & (tissue.depth_mm > 4)
    shape = e.segmentation.grid.shape
    return {
        "WM": (free & (tissue.wm > 0.93)).reshape(shape),
        "GM": (free & (tissue.gm > 0.9)).reshape(shape),
        "CSF": (free & (tissue.csf > 0.9)).reshape(shape),
    }


def test_a_patient_is_the_same_whenever_it_is_made_and_however_many_others_there_are(
    patients: tuple[SyntheticPatient, ...], template: Template
) -> None:
    again = synthetic_patient(1, PhantomParameters(spacing_mm=3.0, lattice_mm=3.0, patients=40), template)
    first = patients[1]
    for a, b in zip(first.exams, again.exams, strict=True):
        assert a.day == b.day
        np.testing.assert_array_equal(a.segmentation.data, b.segmentation.data)
        for sequence in SEQUENCES:
            assert a.images[sequence].grid == b.images[sequence].grid
            np.testing.assert_array_equal(a.images[sequence].data, b.images[sequence].data)
    assert dict(first.clinical) == dict(again.clinical)
    np.testing.assert_array_equal(first.landmarks.followup_mm, again.landmarks.followup_mm)


def test_patients_and_seeds_differ(patients: tuple[SyntheticPatient, ...]) -> None:
    centres = [p.scene.facts["primary"]["centre_in_baseline_mm"] for p in patients]
    assert len({tuple(c) for c in centres}) == 3
    assert len({p.exams[1].day for p in patients}) == 3


@pytest.mark.parametrize("index", range(3))
def test_images_are_whole_numbers_above_0_in_the_brain_and_0_elsewhere(
    patients: tuple[SyntheticPatient, ...], index: int
) -> None:
    for exam in patients[index].exams:
        assert set(exam.images) == set(SEQUENCES)
        assert exam.images["T1wce"].grid == exam.segmentation.grid
        np.testing.assert_array_equal(exam.images["T1wce"].data > 0, exam.brain)
        for image in exam.images.values():
            np.testing.assert_array_equal(image.data, np.rint(image.data))
            assert image.data.min() == 0
            assert 500 < image.data.max() < 2500
            faces = [image.data[[0, -1]], image.data[:, [0, -1]], image.data[:, :, [0, -1]]]
            assert max(face.max() for face in faces) == 0, "the brain is cut off by the field of view"


@pytest.mark.parametrize("index", range(3))
def test_true_motion_brings_each_sequence_onto_the_t1wce(patients: tuple[SyntheticPatient, ...], index: int) -> None:
    for exam in patients[index].exams:
        for sequence in ("T1w", "T2w", "FLAIR"):
            image = exam.images[sequence]
            moved = resample_mask(image.data > 0, image.grid, exam.segmentation.grid, exam.motions[sequence])
            dice = 2 * (moved & exam.brain).sum() / (moved.sum() + exam.brain.sum())
            assert dice > 0.96
            assert not np.allclose(exam.motions[sequence].matrix, np.eye(4), atol=1e-3)


@pytest.mark.parametrize("index", range(3))
def test_labels_lie_in_the_brain_and_spare_the_ventricles(patients: tuple[SyntheticPatient, ...], index: int) -> None:
    patient = patients[index]
    for number, exam in enumerate(patient.exams):
        labels = exam.segmentation.data
        assert not labels[~exam.brain].any()
        expected = {0, 1, 2, 3} if number == 0 else {0, 2, 3, 4}  # a small recurrence need not be necrotic
        assert set(np.unique(labels)) - {1} == expected - {1}
        assert number == 1 or (labels == 1).any()
        points = Transform().map_grid(exam.segmentation.grid)[labels > 0]
        tissue = patient.scene.tissue(patient.scene.points_in_baseline(number, points))
        assert tissue.ventricle_distance_mm[np.isin(labels[labels > 0], (1, 3))].min() > -1.5
        assert tissue.csf[labels[labels > 0] == 2].max() <= 0.5


@pytest.mark.parametrize("index", range(3))
def test_volumes_are_those_of_gliomas(patients: tuple[SyntheticPatient, ...], index: int) -> None:
    before, after = (e.segmentation for e in patients[index].exams)
    assert 3 < before.volume_ml("CE_core") < 60
    assert 3 < before.volume_ml("NE") < 250
    assert 0.3 < after.volume_ml("CE_core") < 40
    assert 1 < after.volume_ml("RC") < 1.2 * before.volume_ml("CE_core")
    brain_ml = patients[index].exams[0].brain.sum() * before.grid.voxel_volume_ml
    assert 1200 < brain_ml < 1750


@pytest.mark.parametrize("exam", [0, 1])
@pytest.mark.parametrize(
    ("sequence", "dark_to_bright"),
    [("T1w", "CSF GM WM"), ("T1wce", "CSF GM WM"), ("T2w", "WM GM CSF"), ("FLAIR", "CSF WM GM")],
)
def test_tissues_have_the_order_of_brightness_of_their_sequence(
    clean_patient: SyntheticPatient, exam: int, sequence: str, dark_to_bright: str
) -> None:
    data, masks = _on_t1wce(clean_patient, exam, sequence), _healthy(clean_patient, exam)
    levels = [np.median(data[masks[tissue]]) for tissue in dark_to_bright.split()]
    assert levels[0] * 1.04 < levels[1]
    assert levels[1] * 1.04 < levels[2]


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("exam", [0, 1])
def test_the_rim_enhances_and_oedema_is_bright_on_flair(patients: tuple[SyntheticPatient, ...], index: int, exam: int) -> None:
    patient = patients[index]
    segmentation = patient.exams[exam].segmentation
    white = _healthy(patient, exam)["WM"]
    ratio = {s: np.median(_on_t1wce(patient, exam, s)[segmentation.mask("ET")]) for s in ("T1w", "T1wce")}
    ratio = {s: value / np.median(_on_t1wce(patient, exam, s)[white]) for s, value in ratio.items()}
    assert ratio["T1wce"] > 1.1
    assert ratio["T1wce"] > ratio["T1w"] + 0.3
    flair = _on_t1wce(patient, exam, "FLAIR")
    assert np.median(flair[segmentation.mask("NE")]) > 1.25 * np.median(flair[white])


def test_the_cavity_looks_like_fluid(clean_patient: SyntheticPatient) -> None:
    exam = clean_patient.exams[1]
    scene = clean_patient.scene
    points = scene.points_in_baseline(1, Transform().map_grid(exam.segmentation.grid))
    cavity = exam.segmentation.mask("RC") & (scene.fields((scene.lesions[1].cavity,), points)[0] > 1)
    white = _healthy(clean_patient, 1)["WM"]
    assert cavity.sum() > 10
    for sequence, brighter in (("T1w", False), ("T1wce", False), ("T2w", True)):
        data = _on_t1wce(clean_patient, 1, sequence)
        assert (np.median(data[cavity]) > np.median(data[white])) == brighter


def test_thick_slices_are_given_to_the_wanted_share_and_average_thin_ones(clean_patient: SyntheticPatient) -> None:
    some = PhantomParameters(thick_slices=0.4)
    assert [some.has_thick_slices(i) for i in range(10)].count(True) == 4
    assert not any(PhantomParameters(thick_slices=0).has_thick_slices(i) for i in range(10))
    before, after = clean_patient.exams
    assert {s: round(i.grid.spacing_mm[2], 3) for s, i in after.images.items()} == {
        "T1wce": 3.0, "T1w": 3.0, "T2w": 6.0, "FLAIR": 6.0
    }  # fmt: skip
    assert {round(i.grid.spacing_mm[2], 3) for i in before.images.values()} == {3.0}


def test_a_wrong_number_is_refused_with_its_range() -> None:
    with pytest.raises(ParameterError, match=r"spacing_mm is 9; it must lie between 0\.5 and 6"):
        PhantomParameters(spacing_mm=9)
    with pytest.raises(ParameterError, match="noise"):
        PhantomParameters(noise=-0.1)


def test_a_patient_before_the_first_is_refused(template: Template) -> None:
    with pytest.raises(ParameterError, match="counted from 0"):
        synthetic_patient(-1, PhantomParameters(), template)


def test_importing_the_phantom_loads_neither_nilearn_nor_files() -> None:
    code = "import sys, regrowth.phantom as p; print(*[m for m in ('nilearn', 'skimage', 'regrowth.io') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
