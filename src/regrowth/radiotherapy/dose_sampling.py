"""Which doses a structure received, at points that are spread evenly over its contours or its mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from regrowth.errors import InputError, ParameterError
from regrowth.radiotherapy.dose_points import dose_at_index, require_dose, require_same_frame
from regrowth.radiotherapy.planes import PlaneStack, stack_planes
from regrowth.radiotherapy.rasterise import rasterise_share
from regrowth.radiotherapy.structure import Structure
from regrowth.space import Grid, Image

__all__ = ["DoseSamples", "mask_samples", "structure_samples"]

_WANTED = 40_000  # samples of a structure when their number is chosen here
_PER_CELL = 3  # samples per axis for the share of a cell at the surface that lies inside
_MOST_PER_AXIS = 20  # samples per dose voxel and axis
_MOST_SAMPLES = 100_000_000  # of the box around a structure: half a gigabyte
_RATIOS = (
    0.8191725133961645,
    0.6710436067037893,
    0.5497004779019703,
)  # powers of the root of x^4 = x + 1: evenly spread points
_TURNED = 1e-7  # voxels; a smaller shift over the whole mask is rounding


@dataclass(frozen=True, eq=False)
class DoseSamples:
    """Doses at points that are spread evenly over a structure.

    Parameters
    ----------
    dose_gy
        (n,) at the points, NaN where the dose is not known.
    spread_gy
        (n,) each at another place of the cell that its point stands for, for the curve: points in rows along a gradient
        have few different doses. NaN as `dose_gy`.
    volume_ml
        (n,) volume that each sample stands for.
    inner_gy
        (k,) doses that lie inside for certain or on the drawn outline, for the extremes; without those that are not known.
    supersampling
        Samples per axis and voxel (of the dose for contours, of the mask for masks), at least.
    status, reason
        ``ok``, or ``empty``: nothing to sample. The reason says what was noticed, also with ``ok``.
    """

    dose_gy: np.ndarray
    spread_gy: np.ndarray
    volume_ml: np.ndarray
    inner_gy: np.ndarray
    supersampling: int
    status: Literal["ok", "empty"]
    reason: str


def mask_samples(share: Image, dose: Image, supersampling: int | None = None) -> DoseSamples:
    """Read the dose at evenly spread points of a mask, or of shares of voxels, on any grid.

    Parameters
    ----------
    share
        (X, Y, Z) bool or filled part of every voxel, 0 to 1.
    dose
        Dose on its own grid.
    supersampling
        Samples per axis and voxel of the mask; by default 2 to 5, as many as give some ten thousand samples. 1 reads the
        dose at the centres of the voxels and nowhere else.

    Raises
    ------
    GridMismatchError
        If they belong to different frames of reference.
    InputError
        If a share is not between 0 and 1.
    """
    require_dose(dose)
    require_same_frame(share.grid.frame_of_reference_uid, dose, "the mask")
    data = np.asarray(share.data)
    if data.ndim != 3 or (data.dtype.kind != "b" and not ((data >= 0) & (data <= 1)).all()):
        raise InputError("a mask has three axes and holds shares from 0 to 1; choose the label of a segmentation first")
    voxels = np.argwhere(data > 0)
    if not len(voxels):
        return _no_samples("the mask has no voxel")
    s = _checked_sampling(supersampling) or int(np.clip(math.ceil(np.cbrt(_WANTED / len(voxels))), 2, 5))
    if len(voxels) * s**3 > _MOST_SAMPLES:
        raise ParameterError(f"{len(voxels) * s**3:.3g} samples are too many; lower supersampling from {s}")
    within = (np.arange(s) + 0.5) / s - 0.5
    offsets = np.stack(np.meshgrid(within, within, within, indexing="ij"), axis=-1).reshape(-1, 3)
    to_dose = dose.grid.inverse @ share.grid.affine
    index = ((voxels[:, None, :] + offsets).reshape(-1, 3) @ to_dose[:3, :3].T + to_dose[:3, 3]).T
    centre = dose_at_index(index.T, dose)
    spread = _spread(index, centre, to_dose[:3, :3] / s, dose) if s > 1 else centre
    shares = np.repeat(data[tuple(voxels.T)].astype(np.float64), s**3)
    volume = shares * (share.grid.voxel_volume_ml / s**3)
    return DoseSamples(centre, spread, volume, _inner(centre, shares), s, "ok", "")


def structure_samples(
    structure: Structure,
    dose: Image,
    *,
    supersampling: int | None = None,
    between: Literal["nearest", "shape"] = "nearest",
    end_cap_mm: float | None = 0.0,
    plane_step_mm: float | None = None,
) -> DoseSamples:
    """Read the dose at evenly spread points inside the contours of a structure.

    The points do not lie on the voxels of the dose: across the contours their lattice divides the box around the structure
    evenly, along their normal it is locked to the planes, so that volumes do not depend on where the dose grid begins.

    Parameters
    ----------
    structure
        Contours in RAS+ mm; single points take no part.
    dose
        Dose on its own grid.
    supersampling
        Samples per axis and dose voxel, at least; by default as many as give some ten thousand samples.
    between, end_cap_mm, plane_step_mm
        What happens between and beyond the planes, as in `rasterise`; by default nothing goes on beyond them, but a single
        plane keeps its thickness.

    Raises
    ------
    GridMismatchError
        If they belong to different frames of reference.
    """
    require_dose(dose)
    require_same_frame(structure.frame_of_reference_uid, dose, "the structure")
    if between not in ("nearest", "shape"):
        raise ParameterError(f"a volume is filled between its planes by 'nearest' or 'shape', not by {between!r}")
    s = _checked_sampling(supersampling)
    drawn = replace(structure, contours=tuple(c for c in structure.contours if c.geometric_type.upper() != "POINT"))
    stacks, _, _ = stack_planes(drawn.contours)
    if not stacks:
        only = (
            "only points: read their doses with dose_at" if structure.contours and not drawn.contours else "no closed contour"
        )
        return _no_samples(only)
    step, note = _step_mm(stacks, dose.grid, plane_step_mm)
    s = s or _chosen_sampling(stacks, step, dose.grid)
    if end_cap_mm == 0 and all(len(stack.heights_mm) == 1 for stack in stacks):
        end_cap_mm = None
    cap = step / 2 if end_cap_mm is None else end_cap_mm
    # With a cap of half a step and no shape between, a plane speaks for whole slabs; else its halves differ.
    parts = 1 if between == "nearest" and cap == step / 2 else 2
    lattice = _lattice(stacks, dose.grid, s, step, max(cap, step / 2), parts)
    drawing = rasterise_share(
        drawn, lattice, supersampling=_PER_CELL, between=between, end_cap_mm=end_cap_mm, plane_step_mm=step
    )
    share = np.zeros(0, np.float32) if drawing.share is None else drawing.share
    if not share.any():
        return _no_samples(f"no sample lies inside; {drawing.reason}")
    to_dose = dose.grid.inverse @ lattice.affine
    index = _index_of(share > 0, to_dose)
    centre = dose_at_index(index.T, dose)
    spread = _spread(index, centre, to_dose[:3, :3], dose)
    outline = dose_at_index(dose.grid.index(_surface(stacks, cap)), dose)
    reason = "; ".join(n for n in (note, drawing.reason) if n)
    shares = share[share > 0].astype(np.float64)
    inner = np.concatenate([_inner(centre, shares), outline[~np.isnan(outline)]])
    return DoseSamples(centre, spread, shares * lattice.voxel_volume_ml, inner, s, "ok", reason)


def _inner(centre_gy: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Give the extremes of the doses at centres that lie inside, or nearly so where no cell is filled by half."""
    known = ~np.isnan(centre_gy)
    filled = known & (shares >= 0.5)
    inside = centre_gy[filled if filled.any() else known]
    return np.array([inside.min(), inside.max()]) if len(inside) else inside


def _no_samples(reason: str) -> DoseSamples:
    none = np.empty(0)
    return DoseSamples(none, none, none, none, 0, "empty", reason)


def _checked_sampling(supersampling: int | None) -> int | None:
    if supersampling is not None and not 1 <= supersampling <= _MOST_PER_AXIS:
        raise ParameterError(f"supersampling is a number of samples per axis from 1 to {_MOST_PER_AXIS}, not {supersampling}")
    return None if supersampling is None else int(supersampling)


def _step_mm(stacks: Sequence[PlaneStack], grid: Grid, given: float | None) -> tuple[float, str]:
    """Take the distance between planes as given, else from the stack with most planes, else from the dose grid."""
    if given is not None and not given > 0:
        raise ParameterError(f"plane_step_mm must be positive, not {given}")
    stack = max(stacks, key=lambda own: len(own.heights_mm))
    if len(stack.heights_mm) > 1:
        return float(given or stack.step_mm), ""
    step = float(given or np.abs(stack.normal @ grid.affine[:3, :3]).max())
    source = "as given" if given else "that of the dose planes"
    return step, f"a single plane of contours, {step:.3g} mm thick ({source})"


def _chosen_sampling(stacks: Sequence[PlaneStack], step_mm: float, grid: Grid) -> int:
    """Choose samples per axis and dose voxel by the volume, small structures the more."""
    area = 0.0
    for stack in stacks:
        frame = stack.frame()
        for loop in (loop @ frame for loops in stack.loops for loop in loops):
            x, y = (loop - loop[0]).T
            area += abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    wanted = _WANTED * grid.voxel_volume_ml * 1000 / max(area * step_mm, 1e-6)
    return int(np.clip(math.ceil(np.cbrt(wanted)), 1, _MOST_PER_AXIS))


def _lattice(stacks: Sequence[PlaneStack], grid: Grid, s: int, step_mm: float, reach_mm: float, parts: int) -> Grid:
    """Lay the cells of the samples, along the normal a multiple of `parts` to a step, so that planes bound them."""
    directions, pitch = _directions(stacks, grid, s)
    points = np.concatenate([loop for stack in stacks for loops in stack.loops for loop in loops])
    along = np.linalg.inv(directions) @ points.T
    low, high = along.min(axis=1), along.max(axis=1)
    if len(stacks) > 1:
        low, high = low - reach_mm, high + reach_mm
    else:
        pitch[2] = step_mm / (parts * math.ceil(step_mm / (parts * pitch[2]) - 1e-9))
        n_out = reach_mm / pitch[2] if parts == 1 else math.ceil(reach_mm / pitch[2] - 1e-9)
        low[2] -= n_out * pitch[2]
        high[2] = low[2] + pitch[2] * math.ceil((high[2] - low[2]) / pitch[2] + n_out - 1e-6)
    n = np.maximum(np.ceil((high - low) / pitch - 1e-6), 1)
    if n.prod() > _MOST_SAMPLES:
        raise ParameterError(f"{n.prod():.3g} samples around a structure are too many; lower supersampling from {s}")
    pitch = (high - low) / n
    affine = np.eye(4)
    affine[:3, :3] = directions * pitch
    affine[:3, 3] = directions @ (low + pitch / 2)
    return Grid((int(n[0]), int(n[1]), int(n[2])), affine, grid.frame_of_reference_uid)


def _directions(stacks: Sequence[PlaneStack], grid: Grid, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose axes (columns) and pitch of the samples; for parallel planes the last axis is their normal."""
    spacing = np.array(grid.spacing_mm)
    if len(stacks) > 1:
        return grid.directions, spacing / s
    stack = stacks[0]
    cosines = np.abs(stack.normal @ grid.directions)
    axis = int(np.argmax(cosines))
    if cosines[axis] > 1 - 1e-9 and grid.is_orthogonal:
        others = [i for i in range(3) if i != axis]
        return np.column_stack([grid.directions[:, others], stack.normal]), spacing[[*others, axis]] / s
    return np.column_stack([stack.frame(), stack.normal]), np.full(3, spacing.min() / s)


def _index_of(mask: np.ndarray, to_dose: np.ndarray) -> np.ndarray:
    """Give the voxels of a mask as voxel indices (3, n) of the dose."""
    voxels = np.nonzero(mask)
    index = np.empty((3, len(voxels[0])))
    for row, own in enumerate(index):
        # Looked up along each axis of the mask: several times quicker than a product of matrices of millions of rows.
        own[:] = to_dose[row, 3]
        for axis, at in enumerate(voxels):
            if abs(to_dose[row, axis]) * mask.shape[axis] > _TURNED:
                own += (np.arange(mask.shape[axis]) * to_dose[row, axis])[at]
    return index


def _spread(index: np.ndarray, centre_gy: np.ndarray, to_dose: np.ndarray, dose: Image) -> np.ndarray:
    """Read the dose once in the cell of every sample, at places that fill the cell evenly over all samples.

    Parameters
    ----------
    index
        (3, n) voxel indices of the centres of the cells; changed in place.
    centre_gy
        (n,) doses there, kept where the other place has none.
    to_dose
        (3, 3), edges of a cell in voxels of the dose, as columns.
    """
    n = np.arange(1, index.shape[1] + 1)
    for axis, ratio in enumerate(_RATIOS):
        offset = (n * ratio + 0.5) % 1.0 - 0.5
        for row, own in enumerate(index):
            if abs(to_dose[row, axis]) > _TURNED:
                own += to_dose[row, axis] * offset
    spread = dose_at_index(index.T, dose)
    return np.where(np.isnan(spread) | np.isnan(centre_gy), centre_gy, spread)


def _surface(stacks: Sequence[PlaneStack], cap_mm: float) -> np.ndarray:
    """List points of the outline (n, 3) mm, those of the first and the last plane moved out by the cap."""
    out = []
    for stack in stacks:
        last = len(stack.loops) - 1
        for k, loops in enumerate(stack.loops):
            own = np.concatenate(loops)
            out += [own] if 0 < k < last else []
            out += [own - cap_mm * stack.normal] if k == 0 else []
            out += [own + cap_mm * stack.normal] if k == last else []
    return np.concatenate(out)
