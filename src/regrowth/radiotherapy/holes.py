"""How contours say that one lies in the hole of another, for programs that do not take it from the contours themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from regrowth.radiotherapy.planes import PlaneStack, stack_planes
from regrowth.radiotherapy.polygons import inside_points
from regrowth.radiotherapy.structure import Contour, Structure

__all__ = ["with_keyholes", "with_xor_contours"]


def with_xor_contours(structure: Structure) -> Structure:
    """Mark the contours of a structure that has holes as such that cut each other out (``CLOSEDPLANAR_XOR``).

    The standard knows this type (DICOM PS3.3 C.8.8.6.3), but not yet in 2018; programs may leave such contours out. A structure
    without holes stays as it is.

    Parameters
    ----------
    structure
        Contours that do not cross, holes as contours of their own.
    """
    if not any(max(_depths(flat), default=0) > 0 for _, flat in _planes(structure)):
        return structure
    marked = [replace(c, geometric_type="CLOSEDPLANAR_XOR") if c.is_closed else c for c in structure.contours]
    return replace(structure, contours=tuple(marked))


def with_keyholes(structure: Structure) -> Structure:
    """Join every hole with the contour around it through a channel without width, the shortest between two corners.

    That is the oldest way to tell holes (DICOM PS3.3 C.8.8.6.3), which all programs understand. Filling gives the same voxels.

    Parameters
    ----------
    structure
        Contours that do not cross, holes as contours of their own.

    Returns
    -------
    Structure
        Contours with holes and their holes are replaced by one contour each, after those that stay as they were.
    """
    joined: list[Contour] = []
    used: set[int] = set()
    for loops, flat in _planes(structure):
        depths = _depths(flat)
        for outer, depth in enumerate(depths):
            # The holes of a contour are the next deeper ones that lie in it; what lies deeper still is an island.
            holes = [i for i, d in enumerate(depths) if depth % 2 == 0 and d == depth + 1 and _contains(flat[outer], flat[i])]
            if holes:
                used |= {id(loops[i]) for i in (outer, *holes)}
                joined.append(Contour(_joined([loops[i] for i in (outer, *holes)])))
    if not joined:
        return structure
    kept = [c for c in structure.contours if id(c.points_mm) not in used]
    return replace(structure, contours=(*kept, *joined))


def _planes(structure: Structure) -> list[tuple[tuple[np.ndarray, ...], list[np.ndarray]]]:
    """Give the contours of every plane, in the patient and within the plane."""
    stacks: tuple[PlaneStack, ...] = stack_planes(structure.contours)[0]
    return [(loops, [loop @ stack.frame() for loop in loops]) for stack in stacks for loops in stack.loops]


def _contains(outer: np.ndarray, inner: np.ndarray) -> bool:
    """Tell whether a contour lies in another; most of its corners decide, because some may touch."""
    if (inner.min(axis=0) < outer.min(axis=0)).any() or (inner.max(axis=0) > outer.max(axis=0)).any():
        return False
    return bool(inside_points([outer], inner).mean() > 0.5)


def _depths(flat: Sequence[np.ndarray]) -> list[int]:
    """Count for every contour of a plane the others that it lies in."""
    return [sum(_contains(b, a) for j, b in enumerate(flat) if i != j) for i, a in enumerate(flat)]


def _joined(loops: Sequence[np.ndarray]) -> np.ndarray:
    """Join holes with the outer contour, the first, always the nearest next, so that no channel crosses another hole."""
    from scipy.spatial import cKDTree

    path, rest = loops[0], list(loops[1:])
    while rest:
        tree = cKDTree(path)
        nearest = [tree.query(hole) for hole in rest]
        chosen = int(np.argmin([distance.min() for distance, _ in nearest]))
        distance, corner = nearest[chosen]
        start = int(np.argmin(distance))
        at, hole = int(corner[start]), np.roll(rest.pop(chosen), -start, axis=0)
        path = np.vstack([path[: at + 1], hole, hole[:1], path[at:]])
    return path
