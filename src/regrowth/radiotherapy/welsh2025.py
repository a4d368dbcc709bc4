"""Which codes the seed's program gives to a recurrence, its faults included, and the right numbers beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy.exposure import checked_dose, dose_at_shifts
from regrowth.radiotherapy.probability import probability_inside
from regrowth.radiotherapy.uncertainty import SpatialUncertainty, isotropic_uncertainty
from regrowth.space import Grid, Image, resample_image

__all__ = ["WELSH2025_RADIUS_MM", "Welsh2025Class", "welsh2025_classes", "welsh2025_grid", "welsh2025_mean_dose_gy"]

WELSH2025_RADIUS_MM = 5.0
_VOXEL_MM = 2.0
_BALL_POINTS = 6000


@dataclass(frozen=True)
class Welsh2025Class:
    """The seed's two codes for one dose level, and what is right.

    Parameters
    ----------
    level, prescription_gy, threshold_gy
        Level of the arm, its dose, and 95 % of it.
    seed_centroid_gy
        Dose of the 2 mm voxel at the truncated index of the sphere's centroid.
    centroid_code
        1 when it reaches the threshold, else 0.
    sphere_percent
        Voxels of the sphere at or above the threshold, %.
    sphere_code
        1 inside (at least 95 %), 2 peripheral (above 0), 0 outside.
    n_voxels
        Voxels of the sphere; those beyond the image are missing.
    centroid_gy
        Dose at the mapped centroid, trilinear; NaN outside of the dose grid.
    ball_percent
        Share of the exact ball at or above the threshold, %; NaN when part of it has no dose.
    p_inside
        Probability that the true centroid reaches the threshold.
    status, reason
        ``dose_unknown`` when the ball leaves the dose grid, where the seed assumes the least dose of the plan.
    """

    level: str
    prescription_gy: float
    threshold_gy: float
    seed_centroid_gy: float
    centroid_code: Literal[0, 1]
    sphere_percent: float
    sphere_code: Literal[0, 1, 2]
    n_voxels: int
    centroid_gy: float
    ball_percent: float
    p_inside: float
    status: Literal["ok", "dose_unknown", "outside_image"]
    reason: str = ""

    @property
    def right_centroid_code(self) -> int | None:
        """1 or 0 by the interpolated dose at the centroid; None when it is not known."""
        return None if math.isnan(self.centroid_gy) else int(self.centroid_gy >= self.threshold_gy * (1 - 1e-6))

    @property
    def right_sphere_code(self) -> int | None:
        """1, 2 or 0 by the exact ball; None when part of it has no dose."""
        if math.isnan(self.ball_percent):
            return None
        return 1 if self.ball_percent >= 95 else 2 if self.ball_percent > 0 else 0


def welsh2025_grid(planning: Grid) -> Grid:
    """Give the seed's grid: the planning image at 2 mm, indices rising to the left, the back and the head.

    The direction matters, because the seed truncates indices. Its own resampler may place the grid up to a voxel apart.
    """
    matrix = planning.directions
    order = [int(np.abs(matrix[axis]).argmax()) for axis in range(3)]
    if sorted(order) != [0, 1, 2]:
        raise ParameterError("the axes of the planning image are too oblique for the seed's grid")
    shape = tuple(int(planning.shape[o]) for o in order)
    affine = np.eye(4)
    affine[:3, :3] = planning.affine[:3, :3][:, order]
    affine[:3, 3] = planning.affine[:3, 3]
    for axis, wanted in enumerate((-1.0, -1.0, 1.0)):
        if affine[axis, axis] * wanted < 0:
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:3, axis] *= -1
    straight = Grid((shape[0], shape[1], shape[2]), affine, planning.frame_of_reference_uid)
    return straight.resized((_VOXEL_MM, _VOXEL_MM, _VOXEL_MM))


def welsh2025_classes(
    centroid_mm: Sequence[float] | np.ndarray,
    dose: Image,
    planning: Grid,
    prescriptions_gy: Mapping[str, float],
    rng: np.random.Generator | None = None,
    *,
    uncertainty: SpatialUncertainty | None = None,
    isodose_fraction: float = 0.95,
    radius_mm: float = WELSH2025_RADIUS_MM,
    draws: int = 4000,
) -> tuple[Welsh2025Class, ...]:
    """Give the seed's codes of a mapped recurrence for every level of its arm.

    Its faults are kept: the dose is interpolated to 2 mm, missing dose becomes the least dose, the sphere consists of whole
    voxels (steps of about 1.5 %), and the dose at the centroid is that of a voxel at the truncated index of the centroid of
    the sphere's voxels, up to one voxel off along each axis. Not kept: that the seed swaps two axes of an image that is not
    square and stops.

    Parameters
    ----------
    centroid_mm
        (3,) centre of mass of the mapped recurrence, RAS+ mm.
    dose
        Gy, on any grid.
    planning
        Grid of the planning image.
    prescriptions_gy
        Level to Gy of the arm.
    rng
        For `p_inside`, which is NaN without it.
    uncertainty
        For `p_inside`; the seed's radius as 95 % radius when left out.
    isodose_fraction, radius_mm, draws
        0.95, 5 mm, and the draws of `p_inside`.

    Returns
    -------
    tuple
        One per level, in the order given.
    """
    centre = np.asarray(centroid_mm, float)
    checked_dose(dose)
    seed_gy, sphere = _seed_numbers(centre, dose, welsh2025_grid(planning), radius_mm)
    uncertainty = uncertainty or isotropic_uncertainty(radius_mm, "welsh2025")
    exact = float(dose_at_shifts(dose, centre[None], np.zeros((1, 3)))[0, 0])
    ball = dose_at_shifts(dose, centre + _ball(radius_mm), np.zeros((1, 3)))[0]
    thresholds = [isodose_fraction * rx for rx in prescriptions_gy.values()]
    chances = [math.nan] * len(thresholds)
    if rng is not None:
        chances = [p.value for p in probability_inside(centre, uncertainty, dose, thresholds, rng, draws=draws)]
    lost = float(np.isnan(ball).mean())
    reason = f"{100 * lost:.1f} % of the ball lies outside of the dose grid" if lost else ""
    status: Literal["ok", "dose_unknown", "outside_image"] = "dose_unknown" if lost else "ok"
    if not sphere.size:
        status, reason = "outside_image", "the sphere has no voxel on the planning image, where the seed stops"
    out = []
    for (level, rx), threshold, chance in zip(prescriptions_gy.items(), thresholds, chances, strict=True):
        percent = 100.0 * float((sphere >= threshold).mean()) if sphere.size else math.nan
        right = math.nan if lost else 100.0 * float((ball >= threshold * (1 - 1e-6)).mean())
        out.append(
            Welsh2025Class(
                level=level,
                prescription_gy=float(rx),
                threshold_gy=threshold,
                seed_centroid_gy=seed_gy,
                centroid_code=1 if seed_gy >= threshold else 0,
                sphere_percent=percent,
                sphere_code=1 if percent >= 95 else 2 if percent > 0 else 0,
                n_voxels=int(sphere.size),
                centroid_gy=exact,
                ball_percent=right,
                p_inside=chance,
                status=status,
                reason=reason,
            )
        )
    return tuple(out)


def _seed_numbers(centre: np.ndarray, dose: Image, grid: Grid, radius_mm: float) -> tuple[float, np.ndarray]:
    """Dose at the truncated index of the sphere's centroid and (n,) doses of the sphere's voxels, the seed's way."""
    reach = math.ceil(radius_mm / _VOXEL_MM) + 1
    middle = np.floor(grid.index(centre)).astype(int)
    steps = np.arange(-reach, reach + 2)
    around = middle + np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = ((around >= 0) & (around < grid.shape)).all(axis=1)
    inside &= np.linalg.norm(grid.world(around) - centre, axis=1) <= radius_mm
    voxels = around[inside]
    if not len(voxels):
        return math.nan, np.empty(0)
    low = voxels.min(axis=0)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world(low)
    extent = voxels.max(axis=0) - low + 1
    box = Grid((int(extent[0]), int(extent[1]), int(extent[2])), affine, grid.frame_of_reference_uid)
    least = float(np.fmin.reduce(np.asarray(dose.data), axis=None))
    values = resample_image(dose, box, fill=least).data
    truncated = voxels.mean(axis=0).astype(int) - low
    return float(values[tuple(truncated)]), values[tuple((voxels - low).T)].astype(float)


def _ball(radius_mm: float) -> np.ndarray:
    """(n, 3) points that fill a ball evenly: a spiral over the sphere, radii by the cube root."""
    k = np.arange(_BALL_POINTS) + 0.5
    height = 1 - 2 * k / _BALL_POINTS
    angle = np.pi * (1 + math.sqrt(5)) * k
    around = np.sqrt(1 - height**2)
    shell = np.cbrt((k * (math.sqrt(2) - 1)) % 1.0)  # irrational steps: radius and direction do not go together
    return radius_mm * shell[:, None] * np.stack([around * np.cos(angle), around * np.sin(angle), height], axis=1)


def welsh2025_mean_dose_gy(dose: Image, mask: np.ndarray) -> float:
    """Mean dose of a structure as the seed has it, voxels of 0 Gy left out: half at 50, half at 0 Gy gives 50 and not 25.

    Parameters
    ----------
    dose
        Gy.
    mask
        (X, Y, Z) bool on its grid.

    Returns
    -------
    float
        NaN when no voxel of the structure has a dose.
    """
    if np.shape(mask) != dose.grid.shape:
        raise GridMismatchError(f"a mask of shape {np.shape(mask)} does not fit a dose of shape {dose.grid.shape}")
    values = checked_dose(dose)[np.asarray(mask, bool)]
    counted = values[values > 0]
    return float(counted.mean()) if counted.size else math.nan
