"""How good a registration is, and what about it deserves a second look."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from regrowth.errors import GridMismatchError, InputError
from regrowth.registration.jacobian import jacobian_determinant
from regrowth.registration.similarity import correlation, dice, mutual_information
from regrowth.registration.stages import RegistrationParameters
from regrowth.space import Grid, Image, Transform, resample_image, resample_mask

__all__ = ["RegistrationQuality", "registration_quality"]

_NAN = float("nan")
# A point of every so many is enough for means and percentiles, and inverse fields are costly to follow.
_POINTS = 50_000


@dataclass(frozen=True)
class RegistrationQuality:
    """Figures of merit of one registration; NaN where something could not be computed, with the reason in `reasons`.

    Parameters
    ----------
    ncc_before, ncc_after
        Pearson correlation of the intensities inside the fixed mask, lesions of both exams left out, before (headers
        as they are, or the `before` transform) and after.
    mi_before, mi_after
        Mutual information at the same voxels, in nats.
    mask_dice_before, mask_dice_after
        Dice of the fixed mask and the moved moving mask (brain or head).
    logjac_p01, logjac_p50, logjac_p99
        Percentiles of the natural logarithm of the Jacobian determinant inside the fixed mask without the lesion; folded
        voxels count as minus infinity.
    folded_share
        Share of these voxels whose determinant is 0 or less.
    inverse_consistency_mean_mm, inverse_consistency_p95_mm
        |backward(forward(x)) - x| over the voxel centres x of the fixed mask without the lesion.
    landmark_mean_mm, landmark_p95_mm
        Distance of the mapped fixed landmarks to the moving landmarks.
    flags
        (name, message) of every threshold that was crossed.
    reasons
        (field, why it is NaN).
    """

    ncc_before: float
    ncc_after: float
    mi_before: float
    mi_after: float
    mask_dice_before: float
    mask_dice_after: float
    logjac_p01: float
    logjac_p50: float
    logjac_p99: float
    folded_share: float
    inverse_consistency_mean_mm: float
    inverse_consistency_p95_mm: float
    landmark_mean_mm: float
    landmark_p95_mm: float
    flags: tuple[tuple[str, str], ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()

    def as_row(self) -> dict[str, float | str]:
        """Give one row of a table: the figures, the names of the flags, their messages and the reasons for NaN."""
        row: dict[str, float | str] = {k: v for k, v in asdict(self).items() if k not in ("flags", "reasons")}
        row["flags"] = ";".join(name for name, _ in self.flags)
        row["flag_messages"] = "; ".join(message for _, message in self.flags)
        row["reasons"] = "; ".join(f"{name}: {why}" for name, why in self.reasons)
        return row


def registration_quality(
    fixed: Image,
    moving: Image,
    transform: Transform,
    fixed_mask: np.ndarray,
    moving_mask: np.ndarray | None = None,
    *,
    fixed_lesion: np.ndarray | None = None,
    moving_lesion: np.ndarray | None = None,
    before: Transform | None = None,
    backward: Transform | None = None,
    landmarks_mm: tuple[np.ndarray, np.ndarray] | None = None,
    parameters: RegistrationParameters | None = None,
) -> RegistrationQuality:
    """Judge a registration.

    Parameters
    ----------
    fixed, moving
        (X, Y, Z) images on their grids.
    transform
        ``from-moving_to-fixed``.
    fixed_mask, moving_mask
        (X, Y, Z) bool, brain or head on each grid; both of the same kind.
    fixed_lesion, moving_lesion
        (X, Y, Z) bool on each grid, left out of every figure but the Dice.
    before
        What "before" means; the headers as they are when left out.
    backward
        ``from-fixed_to-moving`` from a registration of its own.
    landmarks_mm
        (n, 3) points in the fixed and (n, 3) points in the moving space, RAS+ mm, in the same order.
    parameters
        Thresholds of the flags.

    Returns
    -------
    RegistrationQuality

    Raises
    ------
    GridMismatchError
        If a mask does not fit its image.
    """
    _check_masks(fixed.grid, fixed_mask, fixed_lesion)
    _check_masks(moving.grid, moving_mask, moving_lesion)
    reasons: list[tuple[str, str]] = []
    inside = np.asarray(fixed_mask, bool)
    healthy = inside if fixed_lesion is None else inside & ~np.asarray(fixed_lesion, bool)
    first = _likeness(fixed, moving, before or Transform(), healthy, moving_lesion)
    after = _likeness(fixed, moving, transform, healthy, moving_lesion)
    if np.isnan(first[0]):
        reasons.append(("ncc_before", "the images do not overlap inside the mask, or have no contrast there"))
    if np.isnan(after[0]):
        reasons.append(("ncc_after", "the images do not overlap inside the mask, or have no contrast there"))
    overlaps = [_NAN, _NAN]
    if moving_mask is None:
        reasons.append(("mask_dice_after", "no mask of the moving image was given"))
    else:
        overlaps = [
            dice(inside, resample_mask(moving_mask, moving.grid, fixed.grid, t)) for t in (before or Transform(), transform)
        ]
    volume = _volume_change(transform, fixed.grid, healthy, reasons)
    inverse = _inverse_consistency(transform, backward, fixed.grid, moving.grid, healthy, reasons)
    marks = _landmark_error(transform, landmarks_mm, reasons)
    out = RegistrationQuality(
        first[0], after[0], first[1], after[1], overlaps[0], overlaps[1], *volume, *inverse, *marks, reasons=tuple(reasons)
    )
    return replace(out, flags=_flags(out, parameters or RegistrationParameters()))


def _check_masks(grid: Grid, *masks: np.ndarray | None) -> None:
    for mask in masks:
        if mask is not None and np.shape(mask) != grid.shape:
            raise GridMismatchError(f"a mask of shape {np.shape(mask)} does not fit its image of shape {grid.shape}")


def _likeness(
    fixed: Image, moving: Image, transform: Transform, healthy: np.ndarray, moving_lesion: np.ndarray | None
) -> tuple[float, float]:
    """Correlation and mutual information at the voxels that both images show and no lesion covers."""
    moved = resample_image(moving, fixed.grid, transform, fill=np.nan).data
    use = healthy & np.isfinite(moved)
    if moving_lesion is not None:
        lesion = Image(np.asarray(moving_lesion, np.float32), moving.grid, "1")
        use &= resample_image(lesion, fixed.grid, transform).data < 0.5
    a, b = fixed.data[use], moved[use]
    return correlation(a, b), mutual_information(a, b)


def _volume_change(
    transform: Transform, grid: Grid, healthy: np.ndarray, reasons: list[tuple[str, str]]
) -> tuple[float, float, float, float]:
    if not healthy.any():
        reasons.append(("logjac_p50", "the mask without the lesion is empty"))
        return _NAN, _NAN, _NAN, _NAN
    determinant = jacobian_determinant(transform, grid)[healthy]
    log = np.full(determinant.shape, -np.inf)
    np.log(determinant, out=log, where=determinant > 0)
    # Nearest rank: interpolation between a fold (minus infinity) and its neighbour would be NaN.
    p01, p50, p99 = (float(v) for v in np.percentile(log, [1, 50, 99], method="nearest"))
    return p01, p50, p99, float((determinant <= 0).mean())


def _inverse_consistency(
    forward: Transform,
    backward: Transform | None,
    fixed: Grid,
    moving: Grid,
    healthy: np.ndarray,
    reasons: list[tuple[str, str]],
) -> tuple[float, float]:
    if backward is None:
        reasons.append(("inverse_consistency_mean_mm", "no backward registration was made"))
        return _NAN, _NAN
    index = np.argwhere(healthy)
    points = fixed.world(index[:: max(len(index) // _POINTS, 1)])
    there = forward.map_points(points)
    at = moving.index(there)
    seen = ((at >= -0.5) & (at <= np.array(moving.shape) - 0.5)).all(axis=-1)
    if not seen.any():
        reasons.append(("inverse_consistency_mean_mm", "no voxel of the mask is mapped into the moving image"))
        return _NAN, _NAN
    error = np.linalg.norm(backward.map_points(there[seen]) - points[seen], axis=-1)
    return float(error.mean()), float(np.percentile(error, 95))


def _landmark_error(
    transform: Transform, landmarks_mm: tuple[np.ndarray, np.ndarray] | None, reasons: list[tuple[str, str]]
) -> tuple[float, float]:
    if landmarks_mm is None or len(landmarks_mm[0]) == 0:
        reasons.append(("landmark_mean_mm", "no landmarks were given"))
        return _NAN, _NAN
    fixed, moving = (np.asarray(points, np.float64) for points in landmarks_mm)
    if fixed.ndim != 2 or fixed.shape[1:] != (3,) or fixed.shape != moving.shape:
        raise InputError(f"landmarks must be two arrays (n, 3) of equal length, not {fixed.shape} and {moving.shape}")
    error = np.linalg.norm(transform.map_points(fixed) - moving, axis=-1)
    return float(error.mean()), float(np.percentile(error, 95))


def _flags(q: RegistrationQuality, p: RegistrationParameters) -> tuple[tuple[str, str], ...]:
    spread = max(-q.logjac_p01, q.logjac_p99)
    checks = (
        ("low_ncc", q.ncc_after < p.flag_ncc_after, f"correlation {q.ncc_after:.2f} is below {p.flag_ncc_after:g}"),
        (
            "ncc_fell",
            q.ncc_before - q.ncc_after > p.flag_ncc_loss,
            f"correlation fell from {q.ncc_before:.2f} to {q.ncc_after:.2f}",
        ),
        ("no_ncc", bool(np.isnan(q.ncc_after)), "correlation cannot be computed: " + dict(q.reasons).get("ncc_after", "")),
        (
            "low_mask_dice",
            q.mask_dice_after < p.flag_mask_dice,
            f"mask overlap {q.mask_dice_after:.2f} is below {p.flag_mask_dice:g}",
        ),
        ("folds", q.folded_share > p.flag_folded_share, f"{q.folded_share:.2%} of the healthy brain is folded"),
        (
            "volume_change",
            spread > p.flag_logjac,
            f"1 % of the healthy brain changes volume by a factor of {np.exp(spread):.1f} or more",
        ),
        (
            "inverse_inconsistent",
            q.inverse_consistency_mean_mm > p.flag_inverse_mm,
            f"forward and backward disagree by {q.inverse_consistency_mean_mm:.1f} mm on average",
        ),
        ("landmarks_off", q.landmark_mean_mm > p.flag_landmark_mm, f"landmarks are {q.landmark_mean_mm:.1f} mm off on average"),
    )
    return tuple((name, message) for name, crossed, message in checks if crossed)
