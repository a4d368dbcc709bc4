"""What a structure of the relapse scan covers on the planning scan, in two ways that should agree.

*By mask*: every voxel of the planning grid asks where it lies on the relapse scan and whether that is inside (pulled; needs the
transform as it is). *By contours*: every contour point is brought to the planning scan (pushed; needs the inverse). Where the
transform folds, or a contour is thin for the grid, they come apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy.contouring import structure_from_mask
from regrowth.radiotherapy.fill import Between
from regrowth.radiotherapy.mapping import Folding, folding, map_points, plane_thickness_mm, structure_grid
from regrowth.radiotherapy.planes import stack_planes
from regrowth.radiotherapy.rasterise import rasterise_share
from regrowth.radiotherapy.structure import Contour, Structure
from regrowth.space import Grid, Transform, sample_points

__all__ = ["MappedRecurrence", "MappedStructure", "map_recurrence", "map_structure"]

_SPLIT = 3  # samples along each axis of a voxel
_BATCH = 40_000  # voxels that are split in one go


@dataclass(frozen=True, eq=False)
class MappedStructure:
    """A structure of the relapse scan on the planning scan.

    Parameters
    ----------
    name
        Name of the structure.
    mask
        (X, Y, Z) bool, voxels filled by half or more.
    share
        (X, Y, Z) float32, filled part of every voxel.
    grid
        Grid of both.
    structure
        Mapped contours, flat and parallel; None by mask (`structure_from_mask` draws them).
    volume_before_ml, volume_ml
        On the relapse scan and on the planning scan, by shares; NaN if nothing could be drawn or mapped.
    centroid_mm
        (3,) on the planning scan, by shares; NaN likewise.
    bend_mm
        By contours: largest distance of a mapped point from the plane that its contour was laid on. NaN by mask.
    status
        ``ok``; ``empty``: nothing was drawn; ``partly_outside``, ``outside``: the planning grid does not hold all, or anything,
        of it; ``unmapped``: some contour points have no place on the planning scan; ``no_voxel``: it fills no voxel by half.
    reason
        In words; also with ``ok`` where something was noticed.
    """

    name: str
    mask: np.ndarray
    share: np.ndarray
    grid: Grid
    structure: Structure | None
    volume_before_ml: float
    volume_ml: float
    centroid_mm: np.ndarray
    bend_mm: float
    status: str
    reason: str


@dataclass(frozen=True, eq=False)
class MappedRecurrence:
    """A recurrence on the planning scan, mapped in both ways.

    Parameters
    ----------
    pulled, pushed
        By mask and by contours; the pulled one is what doses are read with.
    dice
        Overlap of the two masks; NaN if one is empty.
    apart_mm
        Distance of their centroids; NaN if one has none.
    volume_difference_share
        (pushed - pulled) / pulled volume.
    volume_change
        Pulled volume per volume on the relapse scan.
    folding
        Folds within the recurrence and a voxel around it.
    status
        ``ok``; that of the pulled one if it is not ``ok``; ``folded``; ``apart``: the two ways differ by more than was allowed;
        ``not_compared``: there is no pushed one to compare with.
    reason
        In words.
    """

    pulled: MappedStructure
    pushed: MappedStructure
    dice: float
    apart_mm: float
    volume_difference_share: float
    volume_change: float
    folding: Folding
    status: str
    reason: str


def map_structure(
    structure: Structure,
    transform: Transform,
    grid: Grid,
    *,
    by: Literal["mask", "contours"] = "mask",
    between: Between = "nearest",
) -> MappedStructure:
    """Bring a structure of the relapse scan onto the planning grid.

    Parameters
    ----------
    structure
        Contours on the relapse scan.
    transform
        ``from-relapse_to-planning``.
    grid
        Grid of the planning image.
    by
        ``mask``: pulled, with half the smaller voxel spacing on the relapse scan and 27 samples per planning voxel. Points
        without an area have no inside to ask for; they are pushed in both cases.
        ``contours``: pushed; after a deformation a contour is no longer flat and is laid on a plane of the mean direction, all
        contours of one plane on the same, and volumes between planes pass evenly (`rasterise` with ``shape``).
    between
        How volumes between the drawn planes are filled by mask (see `rasterise`).

    Raises
    ------
    ParameterError
        If `by` is neither.
    """
    if by not in ("mask", "contours"):
        raise ParameterError(f"a structure is mapped by 'mask' or by 'contours', not {by!r}")
    if not structure.contours:
        return _nothing(structure.name, grid, "empty", "the structure has no contours")
    spacing = min(*grid.spacing_mm, *(transform.moving.spacing_mm if transform.moving else (np.inf,))) / 2
    thickness = plane_thickness_mm(structure, transform.moving or grid)
    fine = structure_grid(structure, spacing, 2 * spacing, thickness or 3.0)
    drawn = rasterise_share(structure, fine, supersampling=_SPLIT, between=between, plane_step_mm=thickness)
    if drawn.share is None or drawn.status in ("empty", "no_voxel"):
        return _nothing(structure.name, grid, "empty", drawn.reason)
    encloses = any(c.is_closed for c in structure.contours)
    if by == "mask" and encloses:
        return _pulled(structure.name, drawn.share, fine, transform, grid, drawn.reason)
    # A point has no volume to ask for; its voxel on the planning grid is the one that it is brought to.
    return _pushed(structure, transform, grid, drawn.volume_ml if encloses else float("nan"), thickness)


def map_recurrence(
    recurrence: Structure | np.ndarray,
    transform: Transform,
    grid: Grid,
    *,
    relapse_grid: Grid | None = None,
    most_apart_mm: float = 1.0,
    name: str = "recurrence",
) -> MappedRecurrence:
    """Bring a recurrence onto the planning grid both ways, and say how far they differ.

    Parameters
    ----------
    recurrence
        Contours on the relapse scan, or a bool mask (X, Y, Z) on `relapse_grid`.
    transform
        ``from-relapse_to-planning``.
    grid
        Grid of the planning image.
    relapse_grid
        Grid of a mask.
    most_apart_mm
        From which distance of the centroids on the two ways count as different.
    name
        Name of a mask.

    Raises
    ------
    ParameterError
        If a mask comes without its grid, or is not of bool.
    GridMismatchError
        If it does not fit its grid.
    """
    if isinstance(recurrence, Structure):
        pulled = map_structure(recurrence, transform, grid)
        pushed = map_structure(recurrence, transform, grid, by="contours")
    else:
        pulled, pushed = _both_of_mask(np.asarray(recurrence), relapse_grid, transform, grid, name)
    near = pulled.share > 0
    folds = folding(transform, grid, _grown(near) if not transform.is_linear else near)
    apart = float(np.linalg.norm(pulled.centroid_mm - pushed.centroid_mm))
    both = int(pulled.mask.sum()) + int(pushed.mask.sum())
    comparable = pulled.mask.any() and pushed.mask.any()
    dice = 2 * int((pulled.mask & pushed.mask).sum()) / both if comparable else float("nan")
    status, why = pulled.status, [pulled.reason]
    if status == "ok" and folds.status == "folded":
        status = "folded"
    elif status == "ok" and not np.isfinite(apart):
        status = "not_compared"
    elif status == "ok" and apart > most_apart_mm:
        status = "apart"
    if not np.isfinite(apart):
        why.append(f"by contours: {pushed.reason}" if pushed.reason else "")
    elif apart > most_apart_mm:
        why.append(f"by mask and by contours the centroids lie {apart:.1f} mm apart (more than {most_apart_mm:g})")
    why.append(folds.reason if folds.status == "folded" else "")
    difference = (pushed.volume_ml - pulled.volume_ml) / pulled.volume_ml if pulled.volume_ml > 0 else float("nan")
    change = pulled.volume_ml / pulled.volume_before_ml if pulled.volume_before_ml > 0 else float("nan")
    return MappedRecurrence(pulled, pushed, dice, apart, difference, change, folds, status, "; ".join(filter(None, why)))


def _both_of_mask(
    mask: np.ndarray, source: Grid | None, transform: Transform, grid: Grid, name: str
) -> tuple[MappedStructure, MappedStructure]:
    if source is None or mask.dtype != bool:
        raise ParameterError("a recurrence is a Structure, or a mask of bool with relapse_grid")
    if mask.shape != source.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {source.shape}")
    if not mask.any():
        empty = _nothing(name, grid, "empty", "the mask is empty")
        return empty, empty
    known = transform if transform.moving else replace(transform, moving=source)
    pulled = _pulled(name, mask.astype(np.float32), source, transform, grid, "")
    return pulled, map_structure(structure_from_mask(mask, source, name), known, grid, by="contours")


def _pulled(name: str, filled: np.ndarray, source: Grid, transform: Transform, grid: Grid, noted: str) -> MappedStructure:
    before = float(filled.sum(dtype=np.float64) * source.voxel_volume_ml)
    # A structure thinner than the voxels of its own grid fills none of them by half: then its shares speak as they are.
    is_thin = not (filled >= 0.5).any()
    edge = _edge_points(filled > 0 if is_thin else filled >= 0.5, source)
    there = map_points(edge, transform)
    lost = np.isnan(there).any(axis=1)
    n_out = int(_beyond(there[~lost], grid).sum())
    if n_out and n_out == (~lost).sum():
        nothing = _nothing(name, grid, "outside", "it lies wholly outside of the planning grid")
        return replace(nothing, volume_before_ml=before)
    box = _box(there, grid) if not lost.any() else tuple(slice(0, n) for n in grid.shape)
    share = np.zeros(grid.shape, np.float32)
    index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1).reshape(-1, 3)
    steps = (np.arange(_SPLIT) + 0.5) / _SPLIT - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    found = np.empty(len(index), np.float32)
    for start in range(0, len(index), _BATCH):
        points = grid.world(index[start : start + _BATCH, None, :] + offsets)
        there_share = sample_points(filled, source.index(transform.map_points(points)))
        found[start : start + _BATCH] = (there_share if is_thin else there_share >= 0.5).mean(axis=1)
    share[tuple(index.T)] = found
    reasons = [noted]
    status = "ok"
    if n_out:
        status = "partly_outside"
        reasons.insert(0, f"{n_out / max(len(there), 1):.0%} of its surface lies outside of the planning grid")
    elif lost.any():
        reasons.insert(0, f"{lost.mean():.0%} of its surface has no place on the planning scan")
    return _measured(name, share, grid, None, before, float("nan"), status, reasons)


def _pushed(
    structure: Structure, transform: Transform, grid: Grid, before_ml: float, thickness_mm: float | None
) -> MappedStructure:
    groups, rest, normal = _planes(structure)
    mapped = [[map_points(c.points_mm, transform) for c in group] for group in groups]
    points = np.concatenate([p for group in mapped for p in group] + [map_points(c.points_mm, transform) for c in rest])
    lost = np.isnan(points).any(axis=1)
    if lost.any():
        why = f"{lost.sum()} of {len(points)} contour points have no place on the planning scan; the transform folds there"
        return replace(_nothing(structure.name, grid, "unmapped", why), volume_before_ml=before_ml)
    direction = _mapped_normal(normal, transform, points.mean(axis=0))
    contours, bend = [], 0.0
    for group, loops in zip(groups, mapped, strict=True):
        height = float(np.concatenate([p @ direction for p in loops]).mean())
        for contour, p in zip(group, loops, strict=True):
            off = p @ direction - height
            bend = max(bend, float(np.abs(off).max()))
            contours.append(Contour(p - off[:, None] * direction, contour.geometric_type))
    contours += [Contour(map_points(c.points_mm, transform), c.geometric_type) for c in rest]
    out = Structure(
        structure.name,
        tuple(contours),
        structure.number,
        structure.colour,
        structure.roi_type,
        grid.frame_of_reference_uid or "",
    )
    drawn = rasterise_share(out, grid, supersampling=_SPLIT, between="shape", plane_step_mm=thickness_mm)
    share = np.zeros(grid.shape, np.float32) if drawn.share is None else drawn.share
    status = drawn.status if drawn.status in ("partly_outside", "outside", "empty") else "ok"
    return _measured(structure.name, share, grid, out, before_ml, bend, status, [drawn.reason])


def _planes(structure: Structure) -> tuple[list[list[Contour]], list[Contour], np.ndarray]:
    """Closed contours by their plane (outlines and their holes must stay together), the rest, and a normal."""
    closed = [c for c in structure.contours if c.is_closed]
    rest = [c for c in structure.contours if c.geometric_type.upper() == "POINT"]
    stacks = stack_planes(closed)[0]
    kinds = {id(c.points_mm): c for c in closed}
    groups = [[kinds[id(loop)] for loop in loops] for stack in stacks for loops in stack.loops]
    return groups, rest, stacks[0].normal if stacks else np.array([0.0, 0.0, 1.0])


def _mapped_normal(normal: np.ndarray, transform: Transform, centre_mm: np.ndarray) -> np.ndarray:
    """Direction on the planning scan of planes with a normal on the relapse scan: normals go with the transpose of dT."""
    if transform.is_linear:
        jacobian = transform.matrix[:3, :3]
    else:
        reach = 5.0  # mm: over the structure rather than within one voxel of the field
        ends = [transform.map_points(np.stack([centre_mm + e, centre_mm - e])) for e in np.eye(3) * reach]
        jacobian = np.column_stack([(a - b) / (2 * reach) for a, b in ends])
    out = jacobian.T @ normal
    return np.asarray(out / np.linalg.norm(out))


def _edge_points(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Centres (n, 3) of the voxels of a mask with a neighbour outside of it."""
    padded = np.pad(mask, 1)
    core = mask.copy()
    for axis in range(3):
        core &= np.roll(padded, 1, axis)[1:-1, 1:-1, 1:-1] & np.roll(padded, -1, axis)[1:-1, 1:-1, 1:-1]
    return grid.world(np.argwhere(mask & ~core))


def _beyond(points_mm: np.ndarray, grid: Grid) -> np.ndarray:
    at = grid.index(points_mm)
    return np.asarray(((at < -0.5) | (at > np.array(grid.shape) - 0.5)).any(axis=1))


def _box(points_mm: np.ndarray, grid: Grid) -> tuple[slice, ...]:
    """Part of the grid around points, with two voxels to spare."""
    at = grid.index(points_mm)
    low = np.clip(np.floor(at.min(axis=0)).astype(int) - 2, 0, grid.shape)
    high = np.clip(np.ceil(at.max(axis=0)).astype(int) + 3, low, grid.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _grown(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return np.asarray(ndimage.binary_dilation(mask))


def _measured(
    name: str,
    share: np.ndarray,
    grid: Grid,
    structure: Structure | None,
    before_ml: float,
    bend_mm: float,
    status: str,
    reasons: Sequence[str],
) -> MappedStructure:
    total = float(share.sum(dtype=np.float64))
    mask = share >= 0.5
    centroid = np.full(3, np.nan)
    if total > 0:
        index = np.argwhere(share > 0)
        centroid = grid.world((index * share[tuple(index.T)].astype(np.float64)[:, None]).sum(axis=0) / total)
    why = list(reasons)
    if status == "ok" and not mask.any():
        status = "no_voxel"
        why.insert(0, "it fills no planning voxel by half or more; use its share")
    volume = total * grid.voxel_volume_ml if total > 0 else float("nan")
    text = "; ".join(filter(None, why))
    return MappedStructure(name, mask, share, grid, structure, before_ml, volume, centroid, bend_mm, status, text)


def _nothing(name: str, grid: Grid, status: str, reason: str) -> MappedStructure:
    nan = float("nan")
    return MappedStructure(
        name,
        np.zeros(grid.shape, bool),
        np.zeros(grid.shape, np.float32),
        grid,
        None,
        nan,
        nan,
        np.full(3, nan),
        nan,
        status,
        reason,
    )
