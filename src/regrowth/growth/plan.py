"""Which voxels a radiotherapy plan treats: a margin around the tumour, or the likeliest voxels of a growth map.

Definition of "within 15 mm": a voxel belongs to the margin when the straight line from its centre to the nearest voxel
centre of the core is at most 15 mm long, the limit included, measured in millimetres with the spacing of the grid. On the
1 mm grid of PREDICT-GBM and of Weidner et al. this equals their ``distance_transform_edt(core == 0) <= 15``; on any other
grid theirs counts voxels. Then all voxels outside of the brain mask are removed, those of the core too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from regrowth.errors import InputError, ParameterError
from regrowth.growth.arrays import finite_scores, mask_on
from regrowth.growth.detour import detour_mm
from regrowth.space import Grid
from regrowth.space.distance import bounding_box, dilate_mm, distance_to_mm

__all__ = ["TreatmentPlan", "iso_volume_dilation", "margin_scores", "model_plan", "standard_plan", "top_voxels"]

Status = Literal["ok", "empty_core", "empty_mask", "constant_map", "volume_exceeds_allowed"]
_WITHIN_MM = 1e-4  # as in `regrowth.space.dilate_mm`
_POSITION_MM = 1e-3  # distances this close count as equal: affines are stored as float32


@dataclass(frozen=True, eq=False)
class TreatmentPlan:
    """The voxels that a plan treats.

    Parameters
    ----------
    mask
        (X, Y, Z) bool.
    grid
        Their grid.
    name
        What the plan is, such as ``15 mm margin``.
    volume_ml
        Volume of the mask; NaN when `status` says that there is no plan.
    status
        ``ok``; ``empty_core`` or ``empty_mask``: nothing to start from, so no plan; ``constant_map``: the map prefers no
        voxel, so no plan; ``volume_exceeds_allowed``: the plan holds all allowed voxels, which is less than was asked for.
    reason
        Why the status is not ``ok``.
    n_tied, n_tied_taken
        Voxels with the score of the threshold, and how many of them the tie rule of `top_voxels` took. When all were
        taken, or none is tied, the plan is the set of all voxels above a threshold.
    """

    mask: np.ndarray
    grid: Grid
    name: str
    volume_ml: float
    status: Status = "ok"
    reason: str = ""
    n_tied: int = 0
    n_tied_taken: int = 0

    @property
    def n_voxels(self) -> int:
        """Number of voxels of the plan."""
        return int(np.count_nonzero(self.mask))


def standard_plan(
    core: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    margin_mm: float = 15.0,
    *,
    excluded: Mapping[str, np.ndarray] | None = None,
    barriers: Mapping[str, np.ndarray] | None = None,
) -> TreatmentPlan:
    """Widen the tumour core by a margin, as guidelines do (for the definition see this module).

    Parameters
    ----------
    core
        (X, Y, Z) bool, enhancing tumour and necrosis.
    brain
        (X, Y, Z) bool; the plan stays inside.
    grid
        Grid of all masks.
    margin_mm
        Margin, 15 mm in the ESTRO-EANO guideline of 2023 (Niyazi et al., doi:10.1016/j.radonc.2023.109663).
    excluded
        Named masks whose voxels are not treated, such as ``{"CSF": ...}``. The margin reaches across them. Voxels of the
        core stay: tissue maps take necrosis for CSF.
    barriers
        Named masks that tumour does not cross, such as ``{"falx": ..., "tentorium": ...}``. Their voxels are not treated
        (those of the core stay), and a voxel behind one counts as further away by the detour around it, which
        `regrowth.growth.detour` finds to within about two voxels, mostly too long. Detours shorter than a voxel count as
        none, so that before the barrier the margin is the plain one. A membrane may be one voxel thin and oblique.

    Returns
    -------
    TreatmentPlan
        Status ``empty_core`` and NaN for the volume when the core is empty.

    Raises
    ------
    GridMismatchError
        If a mask does not fit the grid.
    InputError
        If the brain mask is empty or the core lies outside of it.
    ParameterError
        If the margin is negative or not finite.
    """
    if not np.isfinite(margin_mm) or margin_mm < 0:
        raise ParameterError(f"a margin is a distance in mm of 0 or more, not {margin_mm}")
    name = f"{margin_mm:g} mm margin"
    core, brain = mask_on(grid, core, "the core"), mask_on(grid, brain, "the brain mask")
    if not brain.any():
        raise InputError("the brain mask is empty, so that every plan would be; give the mask of the whole brain")
    if not core.any():
        return TreatmentPlan(np.zeros(grid.shape, bool), grid, name, np.nan, "empty_core", "the core has no voxel")
    if not (core & brain).any():
        raise InputError("the core lies wholly outside of the brain mask; check that both belong to the same exam")
    near = dilate_mm(core, grid, margin_mm)
    if barriers:
        wall = np.logical_or.reduce([mask_on(grid, m, f"the barrier {n}") for n, m in barriers.items()])
        near &= _within_around(core, wall, near, grid, margin_mm)
    near &= brain
    for label, mask in (excluded or {}).items():
        near &= ~mask_on(grid, mask, f"the excluded mask {label}") | core
    return TreatmentPlan(near, grid, name, float(near.sum() * grid.voxel_volume_ml))


def margin_scores(core: np.ndarray, grid: Grid) -> np.ndarray:
    """Score voxels as a margin does: minus the distance to the core in mm, (X, Y, Z).

    It is the map of the geometric margin, so that a margin has a coverage-against-volume curve as a model has.

    Raises
    ------
    InputError
        If the core is empty.
    """
    core = mask_on(grid, core, "the core")
    if not core.any():
        raise InputError("the core is empty, so that no voxel has a distance to it; leave this patient out and count it")
    return -distance_to_mm(core, grid)


def model_plan(
    scores: np.ndarray, allowed: np.ndarray, grid: Grid, volume_ml: float, name: str = "model plan"
) -> TreatmentPlan:
    """Treat the voxels that a map scores highest, up to a volume.

    Parameters
    ----------
    scores
        (X, Y, Z), higher where tumour is likelier: cell density or probability. May be NaN outside of `allowed` only.
    allowed
        (X, Y, Z) bool, voxels that may be treated (the brain without what the standard plan leaves out).
    grid
        Grid of both.
    volume_ml
        Volume wanted, that of the standard plan for a fair comparison; rounded to whole voxels.
    name
        Name of the plan.

    Returns
    -------
    TreatmentPlan
        Ties are broken as in `top_voxels` and counted. A map that is constant over `allowed` gives no plan.

    Raises
    ------
    InputError
        If scores inside of `allowed` are NaN or infinite, or `allowed` is empty.
    """
    scores, allowed = finite_scores(scores, allowed, grid)
    k = _whole_voxels(volume_ml, grid)
    inside = scores[allowed]
    if inside.size > k and inside.min() == inside.max():
        reason = f"the map has the value {inside[0]:g} in all allowed voxels and prefers none"
        return TreatmentPlan(np.zeros(grid.shape, bool), grid, name, np.nan, "constant_map", reason)
    return _top_plan(scores, allowed, grid, k, name)


def iso_volume_dilation(
    mask: np.ndarray, grid: Grid, volume_ml: float, allowed: np.ndarray | None = None, name: str = "uniform dilation"
) -> TreatmentPlan:
    """Widen (or shrink) a tumour uniformly until it has a volume: the spatial baseline of a forecast volume.

    Voxels join in the order of their distance in mm to the mask and, where the volume is below that of the mask, leave in
    the order of their distance to the outside.

    Parameters
    ----------
    mask
        (X, Y, Z) bool, the tumour at the last exam.
    grid
        Its grid.
    volume_ml
        Volume wanted; 0 gives an empty mask.
    allowed
        (X, Y, Z) bool, voxels that may join (the brain); everything when left out. Tumour voxels outside of it stay: they
        have been seen there.
    name
        Name of the result.

    Returns
    -------
    TreatmentPlan
        ``empty_mask`` when there is nothing to widen; ``volume_exceeds_allowed`` with all allowed voxels when the volume
        does not fit.

    Raises
    ------
    InputError
        If the tumour lies wholly outside of `allowed`.
    """
    mask = mask_on(grid, mask, "the tumour mask")
    k = _whole_voxels(volume_ml, grid)
    if not mask.any():
        return TreatmentPlan(np.zeros(grid.shape, bool), grid, name, np.nan, "empty_mask", "the tumour mask has no voxel")
    room = np.ones(grid.shape, bool) if allowed is None else mask_on(grid, allowed, "the allowed voxels")
    if not (room & mask).any():
        raise InputError("the tumour lies wholly outside of the allowed voxels; check that both belong to the same exam")
    n = int(mask.sum())
    if k >= n:
        return _top_plan(-distance_to_mm(mask, grid), room | mask, grid, k, name)
    depth = np.zeros(grid.shape)
    box = bounding_box(mask)
    padded = np.pad(mask[box], 1)  # what lies beyond the array counts as outside
    padded_grid = Grid((padded.shape[0], padded.shape[1], padded.shape[2]), grid.affine)
    depth[box] = distance_to_mm(~padded, padded_grid)[1:-1, 1:-1, 1:-1]
    return _top_plan(depth, mask, grid, k, name)


def top_voxels(scores: np.ndarray, allowed: np.ndarray, grid: Grid, k: int) -> tuple[np.ndarray, int, int]:
    """Choose the `k` allowed voxels with the highest scores; the order of the array's axes never matters.

    Voxels that share the score of the threshold are taken by, in this order, least distance in mm to the voxels with a
    higher score; least distance to the centre of gravity of these; position in the patient from inferior to superior,
    posterior to anterior, left to right. So a map that is 0 in most of the brain is widened evenly where its own values
    do not fill the volume.

    Parameters
    ----------
    scores, allowed
        (X, Y, Z) finite numbers and bool.
    grid
        Their grid.
    k
        Number of voxels, at most that of `allowed`.

    Returns
    -------
    mask : numpy.ndarray
        (X, Y, Z) bool with `k` voxels.
    n_tied, n_taken : int
        Voxels with the score of the threshold, and how many of them are in the mask.
    """
    out = np.zeros(grid.shape, bool)
    inside = scores[allowed]
    if k <= 0 or not inside.size:
        return out, 0, 0
    if k >= inside.size:
        return allowed.copy(), 0, 0
    threshold = np.partition(inside, inside.size - k)[inside.size - k]
    out[allowed & (scores > threshold)] = True
    tied = np.argwhere(allowed & (scores == threshold))
    missing = k - int(out.sum())
    taken = _tied_first(tied, out, grid, missing) if missing < len(tied) else tied
    out[tuple(taken.T)] = True
    return out, len(tied), missing


def _tied_first(tied: np.ndarray, higher: np.ndarray, grid: Grid, n: int) -> np.ndarray:
    """Take the first `n` of the voxels (t, 3) of equal score, in the order that the docstring of `top_voxels` gives."""
    if higher.any():
        far = np.rint(distance_to_mm(higher, grid)[tuple(tied.T)] / _POSITION_MM)
        near = far <= np.partition(far, n - 1)[n - 1]  # sorting a million voxels of background would take seconds
        tied, far = tied[near], far[near]
    place = grid.world(tied)
    keys = [np.rint(place[:, axis] / _POSITION_MM) for axis in (0, 1, 2)]
    if higher.any():
        centre = grid.world(np.argwhere(higher)).mean(axis=0)
        keys += [np.rint(np.linalg.norm(place - centre, axis=1) / _POSITION_MM), far]
    return np.asarray(tied[np.lexsort(keys)[:n]])


def _top_plan(scores: np.ndarray, allowed: np.ndarray, grid: Grid, k: int, name: str) -> TreatmentPlan:
    n = int(allowed.sum())
    mask, n_tied, n_taken = top_voxels(scores, allowed, grid, min(k, n))
    volume = float(mask.sum() * grid.voxel_volume_ml)
    if k > n:
        wanted = k * grid.voxel_volume_ml
        reason = f"{wanted:.1f} ml were asked for but the allowed voxels hold {volume:.1f} ml; all of them are taken"
        return TreatmentPlan(mask, grid, name, volume, "volume_exceeds_allowed", reason)
    return TreatmentPlan(mask, grid, name, volume, n_tied=n_tied, n_tied_taken=n_taken)


def _within_around(core: np.ndarray, wall: np.ndarray, near: np.ndarray, grid: Grid, margin_mm: float) -> np.ndarray:
    """Tell which voxels of `near` lie within the margin when ways go around the wall."""
    box = bounding_box(near)
    part = near[box]
    boxed = Grid((part.shape[0], part.shape[1], part.shape[2]), grid.affine)
    straight = distance_to_mm(core[box], boxed)
    longer = detour_mm(core[box], wall[box], part, grid.spacing_mm)
    longer[longer < max(grid.spacing_mm)] = 0.0  # along a staircase the scheme finds detours where there are none
    out = np.zeros(near.shape, bool)
    out[box] = part & (straight + longer <= margin_mm + _WITHIN_MM)
    return out


def _whole_voxels(volume_ml: float, grid: Grid) -> int:
    if not np.isfinite(volume_ml) or volume_ml < 0:
        raise ParameterError(f"a volume is a number of ml of 0 or more, not {volume_ml}")
    return int(np.rint(volume_ml / grid.voxel_volume_ml))
