from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import InputError
from regrowth.labels import label_scheme
from regrowth.phantom import SyntheticPatient
from regrowth.phantom.placement import recurrence_class
from regrowth.phantom.scene import wanted_class
from regrowth.phantom.truth import recurrence_truth
from regrowth.space import Grid, LabelMap, Transform, distance_to_mm, resample_image, resample_labels


def _brain_points(patient: SyntheticPatient) -> np.ndarray:
    exam = patient.exams[0]
    jitter = np.random.default_rng(3).uniform(-0.5, 0.5, (4000, 3))
    ijk = np.argwhere(exam.brain)
    return exam.segmentation.grid.world(ijk[:: max(len(ijk) // 4000, 1)][:4000] + jitter[: len(ijk)])


@pytest.mark.parametrize("index", range(3))
def test_the_true_transform_undoes_the_map_the_scene_is_built_with(patients: tuple[SyntheticPatient, ...], index: int) -> None:
    patient = patients[index]
    error = patient.true_error_mm(patient.followup_to_baseline, _brain_points(patient))
    # Interpolation between the nodes of the inverse, here 1.5 mm apart; at the default lattice it is less.
    assert np.quantile(error, 0.95) < 0.05
    assert error.max() < 0.2
    y = patient.followup_to_baseline.map_points(_brain_points(patient))
    back = patient.followup_to_baseline.map_points(patient.baseline_to_followup.map_points(y))
    assert np.quantile(np.linalg.norm(back - y, axis=-1), 0.95) < 0.05


@pytest.mark.parametrize("index", range(3))
def test_the_error_of_a_shifted_transform_is_the_shift(patients: tuple[SyntheticPatient, ...], index: int) -> None:
    patient = patients[index]
    landmarks = patient.landmarks
    shift = np.eye(4)
    shift[:3, 3] = [0.0, 0.3, 0.4]
    # `then` would need names; a shift in the follow-up after the true map is one step more.
    wrong = Transform((*patient.followup_to_baseline.steps, *Transform.affine(shift).steps))
    error = patient.true_error_mm(wrong, landmarks.baseline_mm)
    assert np.median(error) == pytest.approx(0.5, abs=0.05)
    assert np.median(patient.true_error_mm(Transform(), landmarks.baseline_mm)) > 1.5


@pytest.mark.parametrize("index", range(3))
def test_landmark_pairs_are_exact_and_show_the_same_anatomy(patients: tuple[SyntheticPatient, ...], index: int) -> None:
    patient = patients[index]
    landmarks, scene = patient.landmarks, patient.scene
    assert landmarks.baseline_mm.shape == landmarks.followup_mm.shape == (200, 3)
    back = patient.baseline_to_followup.map_points(landmarks.followup_mm)
    np.testing.assert_allclose(back, landmarks.baseline_mm, atol=2e-4)
    # Place in the template, reached from either exam.
    np.testing.assert_allclose(
        scene.baseline_to_template.map_points(scene.points_in_baseline(1, landmarks.followup_mm)),
        scene.baseline_to_template.map_points(landmarks.baseline_mm),
        atol=1e-3,
    )
    for exam, points in enumerate((landmarks.baseline_mm, landmarks.followup_mm)):
        e = patient.exams[exam]
        ijk = tuple(np.rint(e.segmentation.grid.index(points)).astype(int).T)
        assert e.brain[ijk].mean() > 0.99
        assert (e.segmentation.data[ijk] > 0).mean() < 0.03  # half a voxel of rounding at the border
    assert landmarks.lesion_distance_mm.min() > 1.0


def test_the_true_transform_makes_the_follow_up_look_like_the_baseline(clean_patient: SyntheticPatient) -> None:
    before, after = clean_patient.exams
    grid = before.segmentation.grid
    lesion = (before.segmentation.data > 0) | (clean_patient.recurrence_in_baseline.data > 0)
    shown = before.brain & ~lesion & (distance_to_mm(lesion, grid) < 15)
    reference = before.images["T1wce"].data[shown]

    def likeness(transform: Transform) -> float:
        moved = resample_image(after.images["T1wce"], grid, transform).data[shown]
        return float(np.corrcoef(reference, moved)[0, 1])

    head_only = Transform(clean_patient.followup_to_baseline.steps[1:])
    true, rigid, none = (1 - likeness(t) for t in (clean_patient.followup_to_baseline, head_only, Transform()))
    assert true < 0.05
    assert true < 0.85 * rigid
    assert rigid < 0.5 * none


@pytest.mark.parametrize("index", range(3))
def test_no_map_folds(patients: tuple[SyntheticPatient, ...], index: int) -> None:
    patient = patients[index]
    points = _brain_points(patient)
    for transform in (patient.scene.baseline_to_template, patient.baseline_to_followup, patient.followup_to_baseline):
        where = points if transform is not patient.baseline_to_followup else patient.followup_to_baseline.map_points(points)
        h = 0.5
        columns = [(transform.map_points(where + h * e) - transform.map_points(where - h * e)) / (2 * h) for e in np.eye(3)]
        determinant = np.linalg.det(np.stack(columns, axis=-1))
        assert determinant.min() > 0.2
        assert determinant.max() < 5


@pytest.mark.parametrize("index", range(3))
def test_the_recurrence_class_follows_from_the_labels_and_the_true_transform(
    patients: tuple[SyntheticPatient, ...], index: int
) -> None:
    patient = patients[index]
    before, after = patient.exams
    moved = resample_labels(after.segmentation, before.segmentation.grid, patient.followup_to_baseline)
    core, recurrence = before.segmentation.mask("CE_core"), moved.mask("CE_core")
    share = (core & recurrence).sum() / recurrence.sum()
    a, b = (before.segmentation.grid.world(np.argwhere(m)) for m in (core, recurrence))
    gap = min(np.linalg.norm(a - p, axis=1).min() for p in b)
    assert patient.recurrence_class == recurrence_class(share, gap) == wanted_class(index)
    assert patient.recurrence.share_in_core == pytest.approx(share)
    assert patient.recurrence.gap_mm == pytest.approx(gap)
    np.testing.assert_array_equal(patient.recurrence_in_baseline.data, moved.data)


def test_five_patients_in_a_row_hold_every_class() -> None:
    for start in range(7):
        assert {wanted_class(i) for i in range(start, start + 5)} == {"local", "marginal", "distant"}


def _boxes(shift_mm: int) -> tuple[LabelMap, LabelMap]:
    grid, scheme = Grid((60, 12, 12), np.diag([1.0, 1.0, 1.0, 1.0])), label_scheme("brats-2024-post")
    out = []
    for start, width in ((5, 10), (5 + shift_mm, 8)):
        data = np.zeros(grid.shape, np.uint8)
        data[start : start + width, 3:7, 3:7] = 3
        out.append(LabelMap(data, grid, scheme))
    return out[0], out[1]


@pytest.mark.parametrize(
    ("shift_mm", "pattern", "share", "gap_mm", "farthest_mm"),
    [(0, "local", 1.0, 0.0, 0.0), (6, "local", 0.5, 0.0, 4.0), (7, "marginal", 0.375, 0.0, 5.0),
     (29, "marginal", 0.0, 20.0, 27.0), (30, "distant", 0.0, 21.0, 28.0)],
)  # fmt: skip
def test_the_truth_of_two_boxes_is_what_a_ruler_says(
    shift_mm: int, pattern: str, share: float, gap_mm: float, farthest_mm: float
) -> None:
    truth = recurrence_truth(*_boxes(shift_mm))
    assert truth.pattern == pattern
    assert truth.share_in_core == pytest.approx(share)
    assert truth.gap_mm == pytest.approx(gap_mm)
    assert truth.outward_max_mm == pytest.approx(farthest_mm)
    assert truth.volume_in_baseline_ml == pytest.approx(8 * 16 / 1000)
    assert truth.centroid_shift_mm == pytest.approx((shift_mm - 1.0, 0.0, 0.0))


def test_a_missing_recurrence_is_refused() -> None:
    primary, _ = _boxes(0)
    nothing = LabelMap(np.zeros(primary.grid.shape, np.uint8), primary.grid, primary.scheme)
    with pytest.raises(InputError, match="empty"):
        recurrence_truth(primary, nothing)
