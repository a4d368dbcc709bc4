"""What the figures of merit say about registrations whose quality is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from regrowth.errors import GridMismatchError, InputError
from regrowth.registration import RegistrationParameters, registration_quality
from regrowth.space import DisplacementMap, Grid, Image, Transform, resample_image

GRID = Grid((40, 36, 30), np.array([[2.0, 0, 0, -40], [0, 2, 0, -36], [0, 0, 2, -30], [0, 0, 0, 1]]))


def matrix_of_shift(x_mm: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = x_mm
    return matrix


def scene() -> dict[str, Any]:
    x = Transform().map_grid(GRID)
    brain = np.linalg.norm(x / [30, 27, 22], axis=-1) < 1
    texture = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(GRID.shape), 1.5)
    fixed = Image(np.where(brain, 1 + 2 * texture, 0), GRID)
    shift = Transform.affine(matrix_of_shift(6.0))
    back = shift.inverse()
    moving = resample_image(fixed, GRID, back)
    return {
        "fixed": fixed,
        "moving": moving,
        "transform": shift,
        "fixed_mask": brain,
        "moving_mask": resample_image(Image(brain.astype(float), GRID), GRID, back).data > 0.5,
    }


def test_the_true_transform_scores_full_marks_and_raises_no_flag() -> None:
    s = scene()
    marks = (np.array([[0.0, 0, 0], [5, 5, 5]]), np.array([[6.0, 0, 0], [11, 5, 5]]))
    q = registration_quality(**s, backward=s["transform"].inverse(), landmarks_mm=marks)
    assert q.ncc_after > 0.99
    assert q.ncc_after > q.ncc_before + 0.3
    assert q.mi_after > q.mi_before + 0.5
    assert q.mask_dice_after > 0.99 > 0.9 > q.mask_dice_before
    assert (q.logjac_p01, q.logjac_p50, q.logjac_p99, q.folded_share) == pytest.approx((0, 0, 0, 0), abs=1e-9)
    assert (q.inverse_consistency_mean_mm, q.inverse_consistency_p95_mm) == pytest.approx((0, 0), abs=1e-9)
    assert (q.landmark_mean_mm, q.landmark_p95_mm) == (0, 0)
    assert q.flags == ()
    assert q.reasons == ()


def test_a_scaling_appears_as_exactly_its_log_determinant() -> None:
    s = scene()
    q = registration_quality(**s | {"transform": Transform.affine(np.diag([1.1, 1.2, 0.95, 1.0]))})
    assert (q.logjac_p01, q.logjac_p50, q.logjac_p99) == pytest.approx((np.log(1.1 * 1.2 * 0.95),) * 3, abs=1e-9)


def test_inverse_consistency_and_landmarks_measure_known_millimetres() -> None:
    s = scene()
    backward = Transform.affine(matrix_of_shift(-3.0))
    marks = (np.zeros((2, 3)), np.array([[6.0, 3, 4], [6.0, 0, 0]]))
    q = registration_quality(**s, backward=backward, landmarks_mm=marks)
    assert q.inverse_consistency_mean_mm == pytest.approx(3.0)
    assert q.landmark_mean_mm == pytest.approx(2.5)
    assert "inverse_inconsistent" in dict(q.flags)


def test_a_lesion_is_left_out_of_similarity_and_volume_change() -> None:
    s = scene()
    lesion = np.zeros(GRID.shape, bool)
    lesion[14:24, 12:22, 10:20] = True
    spoilt = np.where(lesion, 40.0 * np.random.default_rng(0).random(GRID.shape), s["fixed"].data)
    field = np.zeros((*GRID.shape, 3), np.float32)
    inner = ndimage.binary_erosion(lesion, iterations=2)
    field[inner, 1] = 15 * np.random.default_rng(1).standard_normal(inner.sum())
    folded = Transform((DisplacementMap(field, GRID), *s["transform"].steps))
    s |= {"fixed": Image(spoilt, GRID), "transform": folded}
    seen, left_out = registration_quality(**s), registration_quality(**s, fixed_lesion=lesion)
    assert seen.ncc_after < 0.5
    assert seen.folded_share > 0
    assert {"low_ncc", "folds"} <= set(dict(seen.flags))
    assert left_out.ncc_after > 0.99
    assert left_out.folded_share == 0
    assert left_out.flags == ()


def test_what_was_not_computed_is_nan_with_a_reason() -> None:
    s = scene()
    s.pop("moving_mask")
    q = registration_quality(**s)
    for name in ("mask_dice_after", "inverse_consistency_mean_mm", "landmark_mean_mm"):
        assert np.isnan(getattr(q, name))
        assert dict(q.reasons)[name]
    assert q.flags == ()


def test_images_that_no_longer_overlap_are_flagged_not_scored() -> None:
    s = scene()
    q = registration_quality(**s | {"transform": Transform.affine(matrix_of_shift(500.0))}, backward=Transform())
    assert np.isnan(q.ncc_after)
    assert np.isnan(q.inverse_consistency_mean_mm)
    assert "no_ncc" in dict(q.flags)
    empty = registration_quality(**s | {"fixed_mask": np.zeros(GRID.shape, bool)})
    assert np.isnan(empty.folded_share)
    assert "empty" in dict(empty.reasons)["logjac_p50"]


def test_thresholds_come_from_the_parameters_and_the_row_is_flat() -> None:
    s = scene()
    q = registration_quality(**s, parameters=RegistrationParameters(flag_ncc_after=1.1))
    assert dict(q.flags).keys() == {"low_ncc"}
    row = q.as_row()
    assert row["flags"] == "low_ncc"
    assert all(isinstance(v, float | str) for v in row.values())
    assert list(row)[:2] == ["ncc_before", "ncc_after"]


def test_masks_and_landmarks_that_do_not_fit_are_refused() -> None:
    s = scene()
    with pytest.raises(GridMismatchError):
        registration_quality(**s, fixed_lesion=np.zeros((2, 2, 2), bool))
    with pytest.raises(InputError, match="landmarks"):
        registration_quality(**s, landmarks_mm=(np.zeros((2, 3)), np.zeros((3, 3))))
