"""Which dose a part of a recurrence got, and in which targets it lay, as mapped and when it is shifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from regrowth.errors import GridMismatchError, InputError
from regrowth.radiotherapy.parts import RecurrencePart
from regrowth.space import Grid, Image, sample_points

__all__ = ["Exposure", "RecurrenceDose", "Target", "checked_dose", "dose_at_shifts", "recurrence_dose"]

_AT_ONCE = 2_000_000  # points read from an image at a time, which bounds memory to about 100 MB


@dataclass(frozen=True, eq=False)
class Target:
    """A target volume of the plan, or where the first tumour was.

    Parameters
    ----------
    name
        Its name.
    mask
        (X, Y, Z) bool on `grid`.
    grid
        Its grid, in the space of the dose.
    level
        Name of its prescription; empty for a volume without one.
    is_first_tumour
        Whether it is the first tumour or its cavity, from which distances count.
    """

    name: str
    mask: np.ndarray
    grid: Grid
    level: str = ""
    is_first_tumour: bool = False

    def __post_init__(self) -> None:
        if np.shape(self.mask) != self.grid.shape:
            raise GridMismatchError(
                f"target {self.name!r} of shape {np.shape(self.mask)} does not fit its grid {self.grid.shape}"
            )


@dataclass(frozen=True)
class RecurrenceDose:
    """Dose of one part of a recurrence, Gy.

    Parameters
    ----------
    centroid_gy
        At its centre of mass, trilinear.
    d95_gy, d50_gy
        Dose that 95 and 50 % of its volume reach.
    mean_gy, min_gy, max_gy
        Over its volume, voxels without dose included.
    unknown_share
        Share of the volume outside of the dose grid, 0 to 1. Doses that it leaves open are NaN.
    status, reason
        ``dose_unknown`` when it is not 0.
    """

    centroid_gy: float
    d95_gy: float
    d50_gy: float
    mean_gy: float
    min_gy: float
    max_gy: float
    unknown_share: float
    status: Literal["ok", "dose_unknown"]
    reason: str = ""


def checked_dose(dose: Image) -> np.ndarray:
    """(X, Y, Z) doses, refused when they are no doses: of another unit, negative or infinite. NaN is a dose not known."""
    data = np.asarray(dose.data)
    if data.ndim != 3 or dose.unit != "Gy":
        raise InputError(f"a dose is (X, Y, Z) in Gy, not {data.ndim} axes in {dose.unit}; read it with regrowth.io.dicom_rt")
    low, high = float(np.fmin.reduce(data, axis=None)), float(np.fmax.reduce(data, axis=None))
    if low < 0 or np.isinf(high):
        raise InputError("the dose is negative or infinite somewhere; check DoseGridScaling and the unit")
    return data


def _require_same_frame(grid: Grid, other: Grid, what: str) -> None:
    """Refuse two grids whose frames of reference are both known and differ."""
    known = {grid.frame_of_reference_uid, other.frame_of_reference_uid} - {None, ""}
    if len(known) > 1:
        raise GridMismatchError(f"{what} belong to different DICOM frames of reference; map one onto the other first")


def dose_at_shifts(dose: Image, points_mm: np.ndarray, shifts_mm: np.ndarray) -> np.ndarray:
    """Dose at points that are shifted together, trilinear.

    Parameters
    ----------
    dose
        (X, Y, Z), Gy.
    points_mm
        (m, 3) RAS+ mm.
    shifts_mm
        (k, 3) mm.

    Returns
    -------
    numpy.ndarray
        (k, m) Gy, NaN where the dose grid does not reach (more than half a voxel beyond): unknown, not 0.
    """
    return _at_shifts(np.asarray(checked_dose(dose), np.float32), dose.grid, points_mm, shifts_mm, order=1, fill=np.nan)


def _at_shifts(
    values: np.ndarray, grid: Grid, points_mm: np.ndarray, shifts_mm: np.ndarray, *, order: int, fill: float
) -> np.ndarray:
    start = grid.index(points_mm)
    moves = np.asarray(shifts_mm, float) @ grid.inverse[:3, :3].T
    out = np.empty((len(moves), len(start)), values.dtype)
    rows = max(_AT_ONCE // max(len(start), 1), 1)
    for first in range(0, len(moves), rows):
        some = slice(first, first + rows)
        out[some] = sample_points(values, start + moves[some, None, :], order=order, fill=fill)
    return out


@dataclass(frozen=True, eq=False)
class Exposure:
    """A part of a recurrence at one or many places: everything about it that schemes ask for, each computed once.

    Parameters
    ----------
    part
        The part.
    points_mm
        (m, 3) points that stand for its volume.
    shifts_mm
        (k, 3); one of zeros for the part as mapped.
    dose
        Gy; None without a dose.
    """

    part: RecurrencePart
    points_mm: np.ndarray
    shifts_mm: np.ndarray
    dose: Image | None

    def __post_init__(self) -> None:
        if self.dose is not None:
            _require_same_frame(self.part.grid, self.dose.grid, "the recurrence and the dose")

    @cached_property
    def doses_gy(self) -> np.ndarray:
        """(k, m) doses, NaN where not known."""
        if self.dose is None:
            return np.full((len(self.shifts_mm), len(self.points_mm)), np.nan, np.float32)
        return dose_at_shifts(self.dose, self.points_mm, self.shifts_mm)

    @cached_property
    def centroid_doses_gy(self) -> np.ndarray:
        """(k,) doses at the centre of mass, NaN where not known."""
        if self.dose is None:
            return np.full(len(self.shifts_mm), np.nan, np.float32)
        return dose_at_shifts(self.dose, self.part.centroid_mm[None], self.shifts_mm)[:, 0]

    def isodose_share(self, threshold_gy: float) -> tuple[np.ndarray, np.ndarray]:
        """(k,) least and (k,) greatest share of the volume at or above a dose; they differ where doses are not known."""
        low = (self.doses_gy >= threshold_gy * (1 - 1e-6)).mean(axis=1)
        return low, low + np.isnan(self.doses_gy).mean(axis=1)

    def dose_at_share(self, share: float) -> tuple[np.ndarray, np.ndarray]:
        """(k,) least and (k,) greatest dose that a share of the volume reaches (0.95: D95); infinite where it is not known."""
        rank = int(np.floor((1 - share) * self.doses_gy.shape[1] + 1e-9))
        unknown = np.isnan(self.doses_gy)
        low = np.partition(np.where(unknown, 0.0, self.doses_gy), rank, axis=1)[:, rank]
        high = np.partition(np.where(unknown, np.inf, self.doses_gy), rank, axis=1)[:, rank]
        return low.astype(float), high.astype(float)

    def target_share(self, targets: Sequence[Target]) -> np.ndarray:
        """(k,) share of the volume inside any of the targets."""
        return np.asarray(np.any([self._inside(t, self.points_mm) for t in targets], axis=0).mean(axis=1))

    def points_in_targets(self, point_mm: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
        """(k,) number of the first of the targets that holds a shifted point, -1 where none does."""
        out = np.full(len(self.shifts_mm), -1)
        for i, target in enumerate(targets):
            out[(out < 0) & self._inside(target, point_mm[None])[:, 0]] = i
        return out

    def _inside(self, target: Target, points_mm: np.ndarray) -> np.ndarray:
        _require_same_frame(self.part.grid, target.grid, f"the recurrence and target {target.name!r}")
        inside = np.asarray(target.mask, np.uint8)  # nearest voxel: a part equal to the target lies wholly inside
        return _at_shifts(inside, target.grid, points_mm, self.shifts_mm, order=0, fill=0) > 0

    def gap_mm(self, targets: Sequence[Target]) -> np.ndarray:
        """(k,) least distance in mm from the part to any of the targets, between voxel centres, 0 inside.

        For many shifts only the voxels that can come nearest are looked at, thinned to some 400 when they are more.
        """
        gaps = [self._gap_to(t) for t in targets if np.any(t.mask)]
        return np.min(gaps, axis=0) if gaps else np.full(len(self.shifts_mm), np.nan)

    def _gap_to(self, target: Target) -> np.ndarray:
        from scipy.spatial import cKDTree

        _require_same_frame(self.part.grid, target.grid, f"the recurrence and target {target.name!r}")
        inside = np.argwhere(target.mask)
        tree = cKDTree(target.grid.world(inside))
        centres = self.part.grid.world(self.part.voxels)
        if len(self.shifts_mm) > 1:  # only voxels near the gap can be the nearest once shifted
            reach = 2 * float(np.linalg.norm(self.shifts_mm, axis=1).max())
            away = tree.query(centres)[0]
            centres = centres[away <= away.min() + reach]
            centres = centres[:: max(len(centres) // 200, 1)]
        away = tree.query(centres[None] + self.shifts_mm[:, None])[0]
        overlap = self._inside(target, centres)
        return np.asarray(np.where(overlap, 0.0, away).min(axis=1))


def recurrence_dose(part: RecurrencePart, dose: Image) -> RecurrenceDose:
    """Give the dose of a part of a recurrence as mapped; zero doses count, unknown ones leave NaN and a reason.

    Parameters
    ----------
    part
        The part.
    dose
        Gy, on any grid in the same space.
    """
    at = Exposure(part, part.points_mm(), np.zeros((1, 3)), dose)
    doses = at.doses_gy[0].astype(float)
    unknown = float(np.isnan(doses).mean())

    def level(share: float) -> float:
        low, high = at.dose_at_share(share)
        return float(low[0]) if low[0] == high[0] else np.nan

    return RecurrenceDose(
        centroid_gy=float(at.centroid_doses_gy[0]),
        d95_gy=level(0.95),
        d50_gy=level(0.50),
        mean_gy=float(doses.mean()),
        min_gy=float(doses.min()),
        max_gy=float(doses.max()),
        unknown_share=unknown,
        status="dose_unknown" if unknown else "ok",
        reason=f"{100 * unknown:.1f} % of the part lies outside of the dose grid" if unknown else "",
    )
