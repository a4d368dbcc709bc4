"""Which separate parts a recurrence has and how each lies to the primary.

Three ways of calling a part stand side by side. *Local, marginal, distant* (`RecurrenceComponent.kind`) tell how far it is:
by the share inside the primary or the cavity, else by the gap. *New satellite* (`RecurrenceComponent.is_new_satellite`)
tells whether it hangs together with what was there: a part that touches neither primary nor cavity. A satellite is
therefore never local, marginal near the primary and distant beyond ``distant_gap_mm``; a marginal part that touches grew out
of the primary, one that does not is a satellite. *Multifocal* is a pattern of the patient, not of a part: parts of two
kinds, or several parts of which at least one does not touch the primary; a single satellite alone is marginal or distant.
What is new with respect to all earlier exams of a series, and not only to one, says `regrowth.recurrence.series`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.recurrence.pattern import ComponentKind, RecurrenceParameters, component_kind
from regrowth.space.grid import Grid

__all__ = ["RecurrenceComponent", "recurrence_components"]


@dataclass(frozen=True)
class RecurrenceComponent:
    """One connected part of a recurrence, distances from the primary in mm between voxel centres.

    Parameters
    ----------
    volume_ml
        Volume in the common space.
    gap_mm
        Least distance to the primary: 0 when they overlap, one voxel when they touch.
    reach_mm
        Largest distance beyond the primary.
    share_inside
        Share of the volume inside the primary.
    share_inside_or_cavity
        Share inside the primary or the resection cavity; decides whether the component is local.
    centroid_ras_mm
        Centre of mass.
    kind
        ``local``, ``marginal`` or ``distant``.
    touches_primary
        Whether a voxel overlaps with or is a neighbour (by face, edge or corner) of the primary.
    touches_cavity
        The same for the resection cavity outside of the primary, where it is known.
    """

    volume_ml: float
    gap_mm: float
    reach_mm: float
    share_inside: float
    share_inside_or_cavity: float
    centroid_ras_mm: tuple[float, float, float]
    kind: ComponentKind
    touches_primary: bool
    touches_cavity: bool = False

    @property
    def is_new_satellite(self) -> bool:
        """Whether the part touches neither the primary nor the cavity."""
        return not (self.touches_primary or self.touches_cavity)

    def as_row(self) -> dict[str, object]:
        """Give one flat row."""
        r, a, s = self.centroid_ras_mm
        return {
            "volume_ml": self.volume_ml,
            "gap_mm": self.gap_mm,
            "reach_mm": self.reach_mm,
            "share_inside": self.share_inside,
            "share_inside_or_cavity": self.share_inside_or_cavity,
            "centroid_r_mm": r,
            "centroid_a_mm": a,
            "centroid_s_mm": s,
            "class": self.kind,
            "touches_primary": self.touches_primary,
            "touches_cavity": self.touches_cavity,
            "is_new_satellite": self.is_new_satellite,
        }


def recurrence_components(
    recurrence: np.ndarray,
    outward_mm: np.ndarray,
    local: np.ndarray,
    grid: Grid,
    parameters: RecurrenceParameters,
) -> tuple[tuple[RecurrenceComponent, ...], int]:
    """Split a recurrence into its connected parts (by face, edge or corner).

    Parameters
    ----------
    recurrence
        (X, Y, Z) bool.
    outward_mm
        (X, Y, Z) distance of every voxel to the primary, 0 inside.
    local
        (X, Y, Z) bool, the primary and, where known, the resection cavity.
    grid
        Grid of the arrays.
    parameters
        Thresholds; parts below ``min_component_ml`` or ``min_component_voxels``, whichever is more, are only counted.

    Returns
    -------
    tuple
        The parts from the largest to the smallest, and how many were too small.
    """
    parts, _ = ndimage.label(recurrence, np.ones((3, 3, 3)))
    least = max(parameters.min_component_ml, parameters.min_component_voxels * grid.voxel_volume_ml)
    primary = outward_mm == 0
    found, small = [], 0
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        inside = parts[box] == part
        voxels = np.argwhere(inside) + [s.start for s in box]
        volume_ml = len(voxels) * grid.voxel_volume_ml
        if volume_ml < least * (1 - 1e-9):
            small += 1
            continue
        away = outward_mm[box][inside]
        local_share = float(local[box][inside].mean())
        centroid = grid.world(voxels.mean(axis=0))
        # Neighbours in voxels, not in mm: with thick slices the diagonal of a voxel spans several voxels of a slice.
        wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        around = ndimage.binary_dilation(parts[wide] == part, np.ones((3, 3, 3)))
        touches_primary = bool((around & primary[wide]).any())
        found.append(
            RecurrenceComponent(
                volume_ml=volume_ml,
                gap_mm=float(away.min()),
                reach_mm=float(away.max()),
                share_inside=float((away == 0).mean()),
                share_inside_or_cavity=local_share,
                centroid_ras_mm=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
                kind=component_kind(local_share, float(away.min()), parameters),
                touches_primary=touches_primary,
                touches_cavity=bool((around & local[wide] & ~primary[wide]).any()),
            )
        )
    return tuple(sorted(found, key=lambda c: -c.volume_ml)), small
