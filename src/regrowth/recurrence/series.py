"""Which parts of an exam are new with respect to all earlier exams of a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.recurrence.pattern import RecurrenceParameters
from regrowth.space.distance import distance_to_mm
from regrowth.space.grid import Grid

__all__ = ["SeriesComponent", "SeriesExam", "new_components"]


@dataclass(frozen=True)
class SeriesComponent:
    """One connected part of the tumour of an exam.

    Parameters
    ----------
    volume_ml
        Volume in the common space.
    centroid_ras_mm
        Centre of mass.
    gap_mm
        Least distance, between voxel centres, to the tumour of any earlier exam; infinite if there was none, NaN if no
        earlier exam is known.
    is_new
        Whether the gap is more than the tolerance; None if no earlier exam is known.
    """

    volume_ml: float
    centroid_ras_mm: tuple[float, float, float]
    gap_mm: float
    is_new: bool | None

    def as_row(self) -> dict[str, object]:
        """Give one flat row; ``is_new`` is NaN if no earlier exam is known."""
        r, a, s = self.centroid_ras_mm
        return {
            "volume_ml": self.volume_ml,
            "centroid_r_mm": r,
            "centroid_a_mm": a,
            "centroid_s_mm": s,
            "gap_mm": self.gap_mm,
            "is_new": float("nan") if self.is_new is None else self.is_new,
        }


@dataclass(frozen=True, eq=False)
class SeriesExam:
    """The parts of one exam of a series.

    Parameters
    ----------
    components
        Parts that are large enough, the largest first.
    n_small
        How many were too small to be judged; None if the exam is not known.
    new
        (X, Y, Z) bool, the new parts, such as for their diameters.
    n_earlier
        Earlier exams that are known.
    """

    components: tuple[SeriesComponent, ...]
    n_small: int | None
    new: np.ndarray
    n_earlier: int

    @property
    def n_new(self) -> int | None:
        """How many parts are new; None if this exam or all earlier ones are not known."""
        if self.n_small is None or self.n_earlier == 0:
            return None
        return sum(bool(c.is_new) for c in self.components)


def new_components(
    masks: Sequence[np.ndarray | None],
    grid: Grid,
    *,
    tolerance_mm: float = 5.0,
    parameters: RecurrenceParameters | None = None,
) -> tuple[SeriesExam, ...]:
    """Tell which connected parts of each exam are new with respect to all earlier exams.

    Parameters
    ----------
    masks
        (X, Y, Z) bool tumour of each exam, in one common space and in the order of their days; None for an exam that was
        not segmented, which then says nothing about later ones.
    grid
        Grid of the masks; axes at right angles.
    tolerance_mm
        A part is new if it lies farther than this from every voxel that was tumour in any earlier exam. It stands for the
        error of the registration, and for growth along a path that no exam caught.
    parameters
        For the least size of a part, as in `regrowth.recurrence.migration`.

    Returns
    -------
    tuple of SeriesExam
        One per exam. In the first known exam nothing is known to be new. What was tumour once is not new when it comes
        back in the same place.

    Raises
    ------
    GridMismatchError
        If a mask does not fit the grid.
    ParameterError
        If `tolerance_mm` is negative.
    """
    if not tolerance_mm >= 0:
        raise ParameterError(f"tolerance_mm cannot be {tolerance_mm}")
    p = parameters or RecurrenceParameters()
    before, n_earlier = np.zeros(grid.shape, bool), 0
    out = []
    for number, mask in enumerate(masks, start=1):
        if mask is None:
            out.append(SeriesExam((), None, np.zeros(grid.shape, bool), n_earlier))
            continue
        mask = np.asarray(mask, bool)
        if mask.shape != grid.shape:
            raise GridMismatchError(f"mask {number} of shape {mask.shape} does not fit a grid of shape {grid.shape}")
        out.append(_exam(mask, before, n_earlier, grid, tolerance_mm, p))
        before = before | mask
        n_earlier += 1
    return tuple(out)


def _exam(
    mask: np.ndarray, before: np.ndarray, n_earlier: int, grid: Grid, tolerance_mm: float, p: RecurrenceParameters
) -> SeriesExam:
    away = distance_to_mm(before, grid) if n_earlier and mask.any() else None
    least = max(p.min_component_ml, p.min_component_voxels * grid.voxel_volume_ml)
    parts, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    new, found, small = np.zeros(grid.shape, bool), [], 0
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        inside = parts[box] == part
        voxels = np.argwhere(inside) + [s.start for s in box]
        volume_ml = len(voxels) * grid.voxel_volume_ml
        if volume_ml < least * (1 - 1e-9):
            small += 1
            continue
        gap = float("nan") if away is None else float(away[box][inside].min())
        is_new = None if away is None else gap > tolerance_mm
        new[box] |= inside & bool(is_new)
        r, a, s = (float(v) for v in grid.world(voxels.mean(axis=0)))
        found.append(SeriesComponent(volume_ml, (r, a, s), gap, is_new))
    return SeriesExam(tuple(sorted(found, key=lambda c: -c.volume_ml)), small, new, n_earlier)
