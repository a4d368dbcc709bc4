"""Which voxels of a grid a structure fills: contours by the even-odd rule, on any grid, between planes as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy.fill import Between, FillRule, fill, slice_step_mm
from regrowth.radiotherapy.planes import PlaneStack, stack_planes
from regrowth.radiotherapy.structure import Contour, Structure
from regrowth.space import Grid

__all__ = ["RasterisedStructure", "rasterise", "rasterise_share"]

_WIDEST_GAP = {"none": 0.0, "nearest": 1.5, "shape": 3.5}  # of the distance between planes: shape bridges two missing planes
_EDGE_VOXELS = 1e-3  # by which a contour may pass the outermost voxel edge, for rounding
_MOST_SAMPLES = 20
_ROUNDING = 1e-5  # of shares that are sums of float32


@dataclass(frozen=True, eq=False)
class RasterisedStructure:
    """A structure on a grid.

    Parameters
    ----------
    mask
        (X, Y, Z) bool, voxels whose centre lies inside; where a share is known, those that are filled by half or more.
    grid
        Grid of the mask.
    n_contours
        Contours of the structure.
    n_outside
        Contours that lie wholly or partly beyond the grid.
    status
        ``ok``; ``partly_outside``: the grid does not hold all of it; ``outside``: the grid holds nothing of it; ``empty``: the
        structure has no contour that fills a voxel by itself (none at all, only open ones, only lines); ``no_voxel``: it
        lies within the grid, but no voxel centre or sample lies inside.
    reason
        What was noticed, also with ``ok`` (gaps that stay open, contours that were left out); empty if nothing.
    plane_step_mm
        Distance between neighbouring planes of contours that was taken; NaN without planes.
    share
        (X, Y, Z) float32, filled part of every voxel from 0 to 1; None for a plain mask.
    """

    mask: np.ndarray
    grid: Grid
    n_contours: int
    n_outside: int
    status: str
    reason: str
    plane_step_mm: float = float("nan")
    share: np.ndarray | None = None

    @property
    def volume_ml(self) -> float:
        """Volume within the grid, by shares where they are known; NaN if nothing of the structure could be drawn."""
        if self.status in ("empty", "outside"):
            return float("nan")
        filled = self.mask.sum() if self.share is None else self.share.sum(dtype=np.float64)
        return float(filled * self.grid.voxel_volume_ml)


def rasterise(
    structure: Structure,
    grid: Grid,
    *,
    between: Between = "nearest",
    plane_step_mm: float | None = None,
    largest_gap_mm: float | None = None,
    end_cap_mm: float | None = None,
) -> RasterisedStructure:
    """Find the voxels whose centres lie inside a structure.

    A point lies inside when the contours of its plane enclose it an odd number of times, so that inner contours are holes,
    contours in holes are islands, and keyholes need no special care; an exact copy of a contour counts once. The standard says
    so of ``CLOSEDPLANAR_XOR`` (DICOM PS3.3 C.8.8.6.3); planning systems write holes as ``CLOSED_PLANAR`` too, which is
    therefore taken to mean the same. Contours may lie in planes of any direction; those of another direction than the rest make
    a body of their own, and a voxel is filled if any body fills it.

    Parameters
    ----------
    structure
        Contours in RAS+ mm. The voxel of each POINT is filled.
    grid
        Any grid in the same frame of reference.
    between
        ``none``: only slices of the grid that hold a plane of contours are filled, as on the images that were drawn on.
        ``nearest``: the nearest plane speaks for a voxel. ``shape``: the outline passes evenly from one plane to the next, by
        signed distances (Raya and Udupa 1990, doi:10.1109/42.52980).
    plane_step_mm
        Distance between the images that were drawn on; default the median distance of the planes, for a single plane the
        slice distance of the grid. Give it for a structure drawn on a few far planes only.
    largest_gap_mm
        Widest distance between two planes that is filled; default 1.5 times the step for ``nearest``, 3.5 times for ``shape``.
        Across wider ones each plane reaches half a step.
    end_cap_mm
        How far the structure goes on beyond its first and last plane; default half a step (0 is no cap). ``none`` has no use
        for it.

    Returns
    -------
    RasterisedStructure

    Raises
    ------
    GridMismatchError
        If structure and grid belong to different frames of reference.
    ParameterError
        If an option is not allowed.

    Examples
    --------
    >>> square = Contour(np.array([[-5, -5, 0], [5, -5, 0], [5, 5, 0], [-5, 5, 0]]) + 0.5)
    >>> g = Grid((20, 20, 3), np.array([[1, 0, 0, -10], [0, 1, 0, -10], [0, 0, 1.0, -0.5], [0, 0, 0, 1]]))
    >>> int(rasterise(Structure("square", (square,)), g).mask.sum())
    100
    """
    return _rasterised(structure, grid, between, 1, (plane_step_mm, largest_gap_mm, end_cap_mm))


def rasterise_share(
    structure: Structure,
    grid: Grid,
    *,
    supersampling: int = 3,
    between: Between = "nearest",
    plane_step_mm: float | None = None,
    largest_gap_mm: float | None = None,
    end_cap_mm: float | None = None,
) -> RasterisedStructure:
    """Find which share of every voxel a structure fills, by `supersampling` samples along every axis of a voxel.

    In slices parallel to the contours the share is exact along one axis, so that few samples do. A supersampling of 1 tells
    for the centre of the voxel only.

    Parameters are those of `rasterise`. The voxel of a POINT counts as full. Where bodies of several directions overlap in a
    voxel, the larger share is taken.

    Returns
    -------
    RasterisedStructure
        With `share`; the mask holds voxels with a share of at least a half.
    """
    if not 1 <= supersampling <= _MOST_SAMPLES:
        raise ParameterError(f"supersampling is a number of samples per axis from 1 to {_MOST_SAMPLES}, not {supersampling}")
    return _rasterised(structure, grid, between, int(supersampling), (plane_step_mm, largest_gap_mm, end_cap_mm), True)


def _rasterised(
    structure: Structure,
    grid: Grid,
    between: Between,
    s: int,
    lengths: tuple[float | None, float | None, float | None],
    wants_share: bool = False,
) -> RasterisedStructure:
    _check(structure, grid, between, lengths)
    contours = _without_repeats(structure.contours)
    stacks, n_flat, n_bent = stack_planes(contours)
    share = np.zeros(grid.shape, np.float32)
    notes = []
    given_step, gap_mm, cap_mm = lengths
    step = given_step or _step_mm(stacks, grid)
    for stack in stacks:
        rule = _rule(between, slice_step_mm(stack, grid), step, gap_mm, cap_mm)
        own, box = fill(stack, grid, rule, s)
        np.maximum(share[box], own, out=share[box])
        n_gaps = stack.n_gaps(rule.largest_gap_mm) if between != "none" else 0
        if n_gaps:
            notes.append(f"{n_gaps} gap(s) wider than {rule.largest_gap_mm:.3g} mm between planes stay open")
    if len(stacks) > 1:
        notes.append(f"contours lie in planes of {len(stacks)} directions")
    points = [c.points_mm for c in structure.contours if c.geometric_type.upper() == "POINT"]
    _fill_voxels(share, grid, points)
    n_open = len(structure.contours) - len(points) - sum(c.is_closed for c in structure.contours)
    for n, what in (
        (len(structure.contours) - len(contours), "contour(s) repeat another point by point and were left out"),
        (n_open, "open contour(s) or closed ones of fewer than three points were left out"),
        (n_flat, "contour(s) without area were left out"),
        (n_bent, "contour(s) lie in no plane; their shadow on the best plane was taken"),
    ):
        notes += [f"{n} {what}"] if n else []
    beyond = [_beyond(c, grid) for c in structure.contours]
    mask = share >= 0.5 - _ROUNDING
    status, why = _status(structure, share, bool(stacks or points), beyond)
    return RasterisedStructure(
        mask,
        grid,
        len(structure.contours),
        sum(b != "inside" for b in beyond),
        status,
        "; ".join([*why, *notes]),
        float(step) if stacks else float("nan"),
        share if wants_share else None,
    )


def _check(structure: Structure, grid: Grid, between: str, lengths: Sequence[float | None]) -> None:
    if between not in _WIDEST_GAP:
        raise ParameterError(f"between is one of {', '.join(_WIDEST_GAP)}, not {between!r}")
    step, gap, cap = lengths
    if (step is not None and not step > 0) or any(v is not None and not v >= 0 for v in (gap, cap)):
        raise ParameterError(f"plane_step_mm must be positive, largest_gap_mm and end_cap_mm not negative, not {lengths}")
    frames = {structure.frame_of_reference_uid or None, grid.frame_of_reference_uid} - {None}
    if len(frames) > 1:
        raise GridMismatchError(
            "the structure and the grid belong to different DICOM frames of reference; register their images and move the "
            "structure with the transform"
        )


def _without_repeats(contours: Sequence[Contour]) -> tuple[Contour, ...]:
    """Leave out contours that are there twice, as faulty exports have them: by the even-odd rule they would undo each other."""
    return tuple({(c.geometric_type, c.points_mm.tobytes()): c for c in contours}.values())


def _step_mm(stacks: Sequence[PlaneStack], grid: Grid) -> float:
    """Take the distance between planes from the stack with most of them, else from the grid."""
    steps = [(len(s.heights_mm), s.step_mm) for s in stacks if len(s.heights_mm) > 1]
    if steps:
        return max(steps)[1]
    return slice_step_mm(stacks[0], grid) if stacks else float("nan")


def _rule(between: Between, slice_mm: float, step_mm: float, gap_mm: float | None, cap_mm: float | None) -> FillRule:
    if between == "none":
        return FillRule(between, slice_mm / 2, slice_mm / 2, 0.0)
    gap = _WIDEST_GAP[between] * step_mm if gap_mm is None else gap_mm
    return FillRule(between, step_mm / 2, step_mm / 2 if cap_mm is None else cap_mm, gap)


def _fill_voxels(share: np.ndarray, grid: Grid, points: Sequence[np.ndarray]) -> None:
    """Fill the voxels of single points."""
    for own in points:
        ijk = np.floor(grid.index(own) + 0.5).astype(int)
        held = ((ijk >= 0) & (ijk < grid.shape)).all(axis=1)
        share[tuple(ijk[held].T)] = 1.0


def _beyond(contour: Contour, grid: Grid) -> str:
    """Tell whether a contour lies inside of the outermost voxel edges, partly or wholly outside."""
    ijk = grid.index(contour.points_mm)
    low, high = -0.5 - _EDGE_VOXELS, np.array(grid.shape) - 0.5 + _EDGE_VOXELS
    if ((ijk.max(axis=0) < low) | (ijk.min(axis=0) > high)).any():
        return "outside"
    return "inside" if ((ijk >= low) & (ijk <= high)).all() else "partly"


def _status(structure: Structure, share: np.ndarray, can_fill: bool, beyond: Sequence[str]) -> tuple[str, list[str]]:
    n_out, n_partly = beyond.count("outside"), beyond.count("partly")
    if not can_fill:
        return "empty", ["no contours" if not structure.contours else "no contour encloses anything"]
    if n_out == len(beyond) and not share.any():
        return "outside", [f"all {n_out} contours lie outside of the grid"]
    if n_out or n_partly:
        return "partly_outside", [f"{n_out} contour(s) lie outside of the grid and {n_partly} partly"]
    if not share.any():
        return "no_voxel", ["no voxel centre or sample lies inside; take a finer grid or shares by supersampling"]
    return "ok", []
