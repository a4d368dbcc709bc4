"""How far a recurrence lies from the primary tumour.

The symmetric HD95 between the two, the usual "migration distance", mostly measures how much tumour was removed: a small
remnant wholly inside an old tumour of 25 mm radius scores 33 mm, and an unchanged tumour with a satellite 26 mm away
scores 0. It is given here under its three definitions for comparison with the literature, beside measures that say where
the recurrence is: outward distance, parts, shares within margins and shift of the centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.metrics.crop import common_box, grid_of_box
from regrowth.metrics.overlap import dice
from regrowth.metrics.surface import assd, emptiness, hausdorff
from regrowth.metrics.volume import ExamVolumes
from regrowth.recurrence.components import RecurrenceComponent, recurrence_components
from regrowth.recurrence.pattern import (
    Pattern,
    RecurrenceParameters,
    Trend,
    patient_pattern,
    recurrence_label,
    volume_trend,
)
from regrowth.space.distance import distance_to_mm
from regrowth.space.grid import Grid, require_same_grid
from regrowth.space.image import LabelMap

__all__ = [
    "MARGINS_MM",
    "MEASURES",
    "MIGRATION_REGIONS",
    "MigrationDistance",
    "migration",
    "migration_by_region",
    "sensitivity_band",
]

MARGINS_MM = (0, 5, 10, 15, 20, 30)
"""Margins around the primary, mm, within which the share of the recurrence is measured."""

MIGRATION_REGIONS = ("CE_core", "ET", "NE", "WT")
"""Regions that `migration_by_region` measures; GTV besides where a scheme has it."""

MEASURES = (
    "hd95_mesh_mm",
    "hd95_voxel_mm",
    "hd95_pooled_mm",
    "outward_p50_mm",
    "outward_p95_mm",
    "outward_max_mm",
    "assd_mm",
    "dice",
    "shift_r_mm",
    "shift_a_mm",
    "shift_s_mm",
    "shift_mm",
    *(f"within_{m}mm" for m in MARGINS_MM),
)
"""Names of the numeric measures of a row, as `sensitivity_band` compares them."""

_NAN = float("nan")


@dataclass(frozen=True)
class MigrationDistance:
    """Where a recurrence lies relative to the primary; every measure is NaN unless `status` is ``ok``.

    Parameters
    ----------
    region
        What was compared, such as ``CE_core``.
    transform
        How the two exams were brought into one space, such as ``rigid`` or ``deformable``.
    status
        ``ok``, ``no_primary``, ``no_recurrence``, ``both_empty`` or ``not_in_scheme``.
    reason
        Why there are no measures, or why there is no pattern.
    primary_ml_space, recurrence_ml_space
        Volumes in the common space, which a deformable transform changes; native volumes are those of
        `regrowth.metrics.exam_volumes`.
    hd95_mesh_mm, hd95_voxel_mm, hd95_pooled_mm
        Symmetric HD95 by the definitions of `regrowth.metrics.hausdorff`.
    outward_p50_mm, outward_p95_mm, outward_max_mm
        Distance of the recurrence voxels beyond the primary, 0 for those inside: median, 95th percentile, largest; between
        voxel centres, so about half a voxel more than from the surface of the primary.
    assd_mm
        Average symmetric surface distance (mesh).
    dice
        Overlap.
    shift_ras_mm
        Centre of mass of the recurrence minus that of the primary.
    within
        Margin in mm to the share of the recurrence volume within it.
    components
        Connected parts of the recurrence that are large enough, the largest first.
    n_small_components
        How many parts were too small; None unless `status` is ``ok``.
    pattern
        See `regrowth.recurrence.pattern.patient_pattern`.
    trend
        See `regrowth.recurrence.pattern.volume_trend`; of the native volumes.
    """

    region: str
    transform: str
    status: str
    reason: str = ""
    primary_ml_space: float = _NAN
    recurrence_ml_space: float = _NAN
    hd95_mesh_mm: float = _NAN
    hd95_voxel_mm: float = _NAN
    hd95_pooled_mm: float = _NAN
    outward_p50_mm: float = _NAN
    outward_p95_mm: float = _NAN
    outward_max_mm: float = _NAN
    assd_mm: float = _NAN
    dice: float = _NAN
    shift_ras_mm: tuple[float, float, float] = (_NAN, _NAN, _NAN)
    within: Mapping[int, float] = field(default_factory=lambda: dict.fromkeys(MARGINS_MM, _NAN))
    components: tuple[RecurrenceComponent, ...] = ()
    n_small_components: int | None = None
    pattern: Pattern = "undefined"
    trend: Trend = "unknown"

    @property
    def shift_mm(self) -> float:
        """Length of the shift of the centre of mass."""
        return float(np.linalg.norm(self.shift_ras_mm))

    @property
    def n_new_satellites(self) -> int:
        """How many of the parts touch neither the primary nor the cavity."""
        return sum(c.is_new_satellite for c in self.components)

    @property
    def label(self) -> str:
        """Name of the recurrence for a reader (see `recurrence_label`)."""
        return recurrence_label(self.pattern, self.trend)

    def as_row(self) -> dict[str, object]:
        """Give one flat row: columns to values."""
        counted = self.n_small_components is not None
        return {
            **{name: getattr(self, name) for name in ("region", "transform", "status", "reason")},
            "primary_ml_space": self.primary_ml_space,
            "recurrence_ml_space": self.recurrence_ml_space,
            **{name: getattr(self, name) for name in MEASURES[:8]},
            **dict(zip(("shift_r_mm", "shift_a_mm", "shift_s_mm"), self.shift_ras_mm, strict=True)),
            "shift_mm": self.shift_mm,
            **{f"within_{m}mm": share for m, share in self.within.items()},
            "n_components": len(self.components) if counted else _NAN,
            "n_small_components": self.n_small_components if counted else _NAN,
            "n_new_satellites": self.n_new_satellites if counted else _NAN,
            "pattern": self.pattern,
            "trend": self.trend,
        }


def migration(
    primary: np.ndarray,
    recurrence: np.ndarray,
    grid: Grid,
    *,
    region: str = "tumour",
    transform: str = "identity",
    cavity: np.ndarray | None = None,
    native_ml: tuple[float, float] | None = None,
    parameters: RecurrenceParameters | None = None,
) -> MigrationDistance:
    """Measure where a recurrence lies relative to the primary.

    Parameters
    ----------
    primary, recurrence
        (X, Y, Z) bool masks in one space.
    grid
        Their grid; axes at right angles.
    region, transform
        Names for the result: what was compared, and how the exams were registered.
    cavity
        (X, Y, Z) bool resection cavity, which counts with the primary when a part is called local.
    native_ml
        Volumes of the reference exam and of the recurrence in their native spaces, for the trend.
    parameters
        Thresholds of the classification.

    Returns
    -------
    MigrationDistance
        With a status and a reason and NaN for all measures when a mask is empty.

    Raises
    ------
    GridMismatchError
        If a mask does not fit the grid.
    InputError
        If the axes of the grid are sheared.
    """
    parameters = parameters or RecurrenceParameters()
    primary, recurrence = np.asarray(primary, bool), np.asarray(recurrence, bool)
    inside = np.zeros(grid.shape, bool) if cavity is None else np.asarray(cavity, bool)
    for name, mask in (("primary", primary), ("recurrence", recurrence), ("cavity", inside)):
        if mask.shape != grid.shape:
            raise GridMismatchError(f"a {name} of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    primary_native_ml, recurrence_native_ml = native_ml or (None, None)
    start = MigrationDistance(
        region,
        transform,
        "ok",
        primary_ml_space=float(np.count_nonzero(primary) * grid.voxel_volume_ml),
        recurrence_ml_space=float(np.count_nonzero(recurrence) * grid.voxel_volume_ml),
        trend=volume_trend(primary_native_ml, recurrence_native_ml, parameters),
    )
    empty, reason = emptiness(primary, recurrence, "the primary", "the recurrence")
    if empty != "ok":
        status = {"a_empty": "no_primary", "b_empty": "no_recurrence"}.get(empty, empty)
        return replace(start, status=status, reason=reason)
    # The grid of the crop has another origin, so all that follows takes both from it.
    # One voxel more, so that a cavity beside the recurrence is seen.
    one, two, three = (
        slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(common_box(primary, recurrence), grid.shape, strict=True)
    )
    box = (one, two, three)
    return _measured(
        start,
        primary[box],
        recurrence[box],
        (primary | inside)[box],
        grid_of_box(grid, box),
        parameters,
    )


def _measured(
    start: MigrationDistance,
    primary: np.ndarray,
    recurrence: np.ndarray,
    local: np.ndarray,
    grid: Grid,
    parameters: RecurrenceParameters,
) -> MigrationDistance:
    outward = distance_to_mm(primary, grid)
    beyond = outward[recurrence]
    p50, p95, largest = np.percentile(beyond, (50, 95, 100))
    components, small = recurrence_components(recurrence, outward, local, grid, parameters)
    shift = _centroid(recurrence, grid) - _centroid(primary, grid)
    return replace(
        start,
        reason="" if components else "every part of the recurrence is too small to be classified",
        hd95_mesh_mm=hausdorff(primary, recurrence, grid, definition="mesh").value_mm,
        hd95_voxel_mm=hausdorff(primary, recurrence, grid, definition="voxel").value_mm,
        hd95_pooled_mm=hausdorff(primary, recurrence, grid, definition="pooled").value_mm,
        outward_p50_mm=float(p50),
        outward_p95_mm=float(p95),
        outward_max_mm=float(largest),
        assd_mm=assd(primary, recurrence, grid).value_mm,
        dice=dice(primary, recurrence).dice,
        shift_ras_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
        within={m: float((beyond <= m + 1e-9).mean()) for m in MARGINS_MM},
        components=components,
        n_small_components=small,
        pattern=patient_pattern(components),
    )


def _centroid(mask: np.ndarray, grid: Grid) -> np.ndarray:
    return np.asarray(grid.world(np.argwhere(mask).mean(axis=0)))


def migration_by_region(
    primary: LabelMap,
    recurrence: LabelMap,
    *,
    transform: str = "identity",
    regions: Sequence[str] | None = None,
    cavity: np.ndarray | None = None,
    native: tuple[ExamVolumes, ExamVolumes] | None = None,
    parameters: RecurrenceParameters | None = None,
) -> tuple[MigrationDistance, ...]:
    """Measure the migration of each region of two segmentations.

    Parameters
    ----------
    primary, recurrence
        Segmentations on the same grid; their schemes may differ.
    transform
        How the exams were registered, such as ``rigid``.
    regions
        Regions wanted; `MIGRATION_REGIONS`, and GTV where a scheme has it, when left out.
    cavity
        (X, Y, Z) bool resection cavity on the same grid, which counts with the primary when a part is called local. When
        left out, that of the exam of the primary (RC), if its scheme has one. The cavity of the recurrence exam would
        not do: a voxel has one label, so no recurrence lies in it.
    native
        Volumes of the reference exam and of the recurrence in their native spaces, for the trend.
    parameters
        Thresholds of the classification.

    Returns
    -------
    tuple of MigrationDistance
        One per region; ``not_in_scheme`` with a reason where a scheme cannot express the region.

    Raises
    ------
    GridMismatchError
        If the two do not lie on the same grid.
    """
    require_same_grid(primary.grid, recurrence.grid, "the segmentations of primary and recurrence")
    if regions is None:
        regions = MIGRATION_REGIONS + (("GTV",) if primary.has("GTV") or recurrence.has("GTV") else ())
    if cavity is None and primary.has("RC"):
        cavity = primary.mask("RC")
    rows = []
    for region in regions:
        lacking = sorted({labels.scheme.name for labels in (primary, recurrence) if not labels.has(region)})
        if lacking:
            reason = f"the label scheme {' and '.join(lacking)} cannot express {region}"
            rows.append(MigrationDistance(region, transform, "not_in_scheme", reason))
            continue
        rows.append(
            migration(
                primary.mask(region),
                recurrence.mask(region),
                primary.grid,
                region=region,
                transform=transform,
                cavity=cavity,
                native_ml=None if native is None else (native[0].volumes_ml[region], native[1].volumes_ml[region]),
                parameters=parameters,
            )
        )
    return tuple(rows)


def sensitivity_band(rigid: MigrationDistance, deformable: MigrationDistance) -> dict[str, float]:
    """Compare the measures of the same region under two transforms.

    Rigid registration keeps the mass effect in the distance, deformable registration can shrink the recurrence: what lies
    between the two is a lower limit of the uncertainty of a measure.

    Parameters
    ----------
    rigid, deformable
        Two results of one region.

    Returns
    -------
    dict
        Name of `MEASURES` to absolute difference, in the unit of the measure; NaN where either is.

    Raises
    ------
    ParameterError
        If the regions differ.
    """
    if rigid.region != deformable.region:
        raise ParameterError(f"a band needs one region under two transforms, not {rigid.region} and {deformable.region}")
    one, other = rigid.as_row(), deformable.as_row()
    return {name: abs(float(one[name]) - float(other[name])) for name in MEASURES}  # type: ignore[arg-type]
