"""Where points of the relapse scan lie on the planning scan, from where an alignment starts, and where it folds.

Planning is the fixed image and relapse the moving one. A transform ``from-relapse_to-planning`` moves the relapse *image* onto
the planning grid; `Transform.map_points` therefore takes points of the planning scan to the relapse scan. What was drawn on the
relapse scan goes the other way, by `map_points` of this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.radiotherapy.fill import slice_step_mm
from regrowth.radiotherapy.planes import stack_planes
from regrowth.radiotherapy.rasterise import rasterise_share
from regrowth.radiotherapy.structure import Structure
from regrowth.registration import jacobian_determinant
from regrowth.space import AffineMap, DisplacementMap, Grid, Transform, bounding_box

__all__ = [
    "Folding",
    "align_centroids",
    "control_residuals",
    "folding",
    "map_points",
    "plane_thickness_mm",
    "structure_centroid",
    "structure_grid",
]

_SHORTEST_STEP = 1 / 64
_MOST_VOXELS = 4_000_000
_CENTROID_VOXELS = 40  # along the longest side of a structure


@dataclass(frozen=True)
class Folding:
    """Where a transform turns tissue inside out.

    Parameters
    ----------
    share
        Share of the voxels with a Jacobian determinant of 0 or less; NaN without voxels.
    least_jacobian, largest_jacobian
        Smallest and largest determinant: volume on the relapse scan per volume on the planning scan.
    n_voxels
        How many voxels were looked at; 0 for a matrix, whose determinant is the same everywhere.
    status
        ``ok``, ``folded`` or ``empty`` (no voxel to look at).
    reason
        In words; empty for ``ok``.
    """

    share: float
    least_jacobian: float
    largest_jacobian: float
    n_voxels: int
    status: str
    reason: str


def map_points(
    points_mm: np.ndarray, transform: Transform, *, tolerance_mm: float = 0.01, max_iterations: int = 100
) -> np.ndarray:
    """Bring points of the relapse scan to the planning scan.

    For each point x the y with T(y) = x is looked for, by y <- y - s A^-1 (T(y) - x), where A is the linear part of the
    transform and the step s is halved wherever the error would grow. Only the points themselves are inverted, so that folds
    elsewhere do no harm.

    Parameters
    ----------
    points_mm
        (n, 3) RAS+ mm on the relapse (moving) scan.
    transform
        ``from-relapse_to-planning``.
    tolerance_mm
        Largest |T(y) - x|.
    max_iterations
        After so many a point is given up.

    Returns
    -------
    numpy.ndarray
        (n, 3) RAS+ mm on the planning (fixed) scan; NaN for points whose place was not found within the tolerance, which
        happens where the transform folds. Beyond the grid of a displacement field the value of its border is taken, as by the
        transform itself.

    Raises
    ------
    ParameterError
        If points are not (n, 3).
    """
    x = np.asarray(points_mm, np.float64)
    if x.ndim != 2 or x.shape[1] != 3:
        raise ParameterError(f"points are an array (n, 3) in mm, not {x.shape}")
    matrix = np.eye(4)
    for step in transform.steps:
        if isinstance(step, AffineMap):
            matrix = step.matrix @ matrix
    back = np.linalg.inv(matrix)
    y = x @ back[:3, :3].T + back[:3, 3]
    if transform.is_linear:
        return y
    error = transform.map_points(y) - x
    off = np.linalg.norm(error, axis=1)
    pace = np.ones(len(x))
    # Ends a hundred times closer than asked where it can: convergence is quick and the tolerance is for the rest.
    for _ in range(max_iterations):
        go = np.flatnonzero((off > tolerance_mm / 100) & (pace >= _SHORTEST_STEP))
        if not len(go):
            break
        tried = y[go] - pace[go, None] * (error[go] @ back[:3, :3].T)
        new_error = transform.map_points(tried) - x[go]
        new_off = np.linalg.norm(new_error, axis=1)
        better = new_off < off[go]
        won = go[better]
        y[won], error[won], off[won] = tried[better], new_error[better], new_off[better]
        pace[go] = np.where(better, np.minimum(pace[go] * 2, 1.0), pace[go] / 2)
    y[~(off <= tolerance_mm)] = np.nan
    return y


def structure_grid(structure: Structure, spacing_mm: float, margin_mm: float = 2.0, thickness_mm: float = 3.0) -> Grid:
    """Make a grid around a structure, parallel to the planes of its contours.

    Parameters
    ----------
    structure
        With contours.
    spacing_mm
        Wanted distance between voxels; between planes the nearest smaller part of their distance. Coarsened where the grid
        would hold more than four million voxels.
    margin_mm
        Beyond the contours and half a step of the planes.
    thickness_mm
        Step of the planes where there is only one.

    Raises
    ------
    InputError
        If the structure has no contours.
    """
    if not structure.contours:
        raise InputError(f"the structure {structure.name!r} has no contours; choose another")
    points = np.concatenate([c.points_mm for c in structure.contours])
    stacks = stack_planes(structure.contours)[0]
    axes, step = np.eye(3), thickness_mm
    if stacks:
        axes = np.column_stack([stacks[0].frame(), stacks[0].normal])
        step = stacks[0].step_mm if np.isfinite(stacks[0].step_mm) else thickness_mm
    along = points @ axes
    low = along.min(axis=0) - margin_mm - step / 2
    extent = along.max(axis=0) + margin_mm + step / 2 - low
    coarse = max(1.0, (float(np.prod(extent)) / spacing_mm**3 / _MOST_VOXELS) ** (1 / 3))
    wanted = spacing_mm * coarse
    # An odd part of the step, and a voxel on the lowest plane: half-way between two planes no voxel centre is left to chance,
    # which would shift the whole structure by half a voxel.
    between = step / (2 * np.ceil((step / wanted - 1) / 2) + 1)
    spacing = np.array([wanted, wanted, between])
    lowest = along[:, 2].min()
    low[2] = lowest - np.ceil((lowest - low[2]) / between) * between
    shape = np.ceil((along.max(axis=0) + margin_mm + step / 2 - low) / spacing).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = axes @ low
    frame = structure.frame_of_reference_uid or None
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine, frame)


def plane_thickness_mm(structure: Structure, grid: Grid | None) -> float | None:
    """Thickness of a structure that was drawn on one plane: the slice distance of its image; None if there are more planes."""
    stacks = stack_planes(structure.contours)[0]
    if not stacks or grid is None or any(len(s.heights_mm) > 1 for s in stacks):
        return None
    return slice_step_mm(stacks[0], grid)


def structure_centroid(structure: Structure) -> np.ndarray:
    """(3,) centre of mass of what the contours enclose (not of their points, which lie denser where an outline is rough), mm.

    Raises
    ------
    InputError
        If they enclose nothing.
    """
    if structure.contours:
        points = np.concatenate([c.points_mm for c in structure.contours])
        if not any(c.is_closed for c in structure.contours):
            own = [c.points_mm for c in structure.contours if c.geometric_type.upper() == "POINT"]
            if own:
                return np.concatenate(own).mean(axis=0)
        else:
            size = float(np.ptp(points, axis=0).max())
            grid = structure_grid(structure, max(size / _CENTROID_VOXELS, 0.05))
            share = rasterise_share(structure, grid, supersampling=2).share
            if share is not None and share.any():
                index = np.argwhere(share > 0)
                weight = share[tuple(index.T)].astype(np.float64)
                return grid.world((index * weight[:, None]).sum(axis=0) / weight.sum())
    raise InputError(f"the structure {structure.name!r} encloses nothing; choose another structure")


def align_centroids(planning: Structure, relapse: Structure) -> Transform:
    """Start an alignment by a shift that lays the centroid of a structure onto that of its counterpart.

    Take a structure that both scans hold as a whole (thyroid cartilage, carina); of a long one such as the spinal cord each
    scan shows another part.

    Parameters
    ----------
    planning, relapse
        The same structure, drawn on the planning and on the relapse scan.

    Returns
    -------
    Transform
        ``from-relapse_to-planning``, a shift.

    Raises
    ------
    InputError
        If one of them encloses nothing.
    """
    matrix = np.eye(4)
    matrix[:3, 3] = structure_centroid(relapse) - structure_centroid(planning)
    return Transform((AffineMap(matrix),), "relapse", "planning")


def control_residuals(planning: tuple[Structure, ...], relapse: tuple[Structure, ...], transform: Transform) -> np.ndarray:
    """How far the mapped centroids of control structures lie from where they were drawn on the planning scan.

    These signed vectors are what `position_uncertainty` wants.

    Parameters
    ----------
    planning, relapse
        Structures in the same order on both scans; not those that the alignment started from.
    transform
        ``from-relapse_to-planning``.

    Returns
    -------
    numpy.ndarray
        (n, 3) mapped minus drawn, RAS+ mm.

    Raises
    ------
    ParameterError
        If their numbers differ.
    InputError
        If one encloses nothing.
    """
    if len(planning) != len(relapse):
        raise ParameterError(f"{len(planning)} control structures on the planning scan and {len(relapse)} on the relapse scan")
    if not planning:
        return np.empty((0, 3))
    drawn = np.array([structure_centroid(s) for s in planning])
    return map_points(np.array([structure_centroid(s) for s in relapse]), transform) - drawn


def folding(transform: Transform, grid: Grid | None = None, mask: np.ndarray | None = None) -> Folding:
    """Look for folds: places where the determinant of the Jacobian is 0 or less.

    Parameters
    ----------
    transform
        ``from-relapse_to-planning``.
    grid
        Where to look; that of the planning image (``transform.fixed``), else that of the displacement field, when left out.
        A grid coarser than the field misses small folds.
    mask
        (X, Y, Z) bool on the grid: where tissue is; everywhere when left out.

    Raises
    ------
    ParameterError
        If a transform with a field comes without any grid.
    GridMismatchError
        If the mask does not fit the grid.
    """
    if transform.is_linear:
        determinant = float(np.linalg.det(transform.matrix[:3, :3]))
        return _folding(np.array([determinant]), 0)
    fields = [s.grid for s in transform.steps if isinstance(s, DisplacementMap)]
    grid = grid or transform.fixed or fields[0]
    if mask is None:
        values = jacobian_determinant(transform, grid).ravel()
        return _folding(values, len(values))
    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    if not mask.any():
        return Folding(float("nan"), float("nan"), float("nan"), 0, "empty", "no voxel to look at")
    box = bounding_box(mask, (1, 1, 1))
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world(np.array([s.start for s in box]))
    part = Grid((box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start), affine)
    values = jacobian_determinant(transform, part)[mask[box]]
    return _folding(values, len(values))


def _folding(values: np.ndarray, n: int) -> Folding:
    share = float((values <= 0).mean())
    reason = f"{share:.2%} of the voxels are folded (least Jacobian {values.min():.2f})" if share else ""
    return Folding(share, float(values.min()), float(values.max()), n, "folded" if share else "ok", reason)
