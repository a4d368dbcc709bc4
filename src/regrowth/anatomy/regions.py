"""Which regions of the brain there are, and which voxel belongs to which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from regrowth.errors import GridMismatchError, LabelSchemeError
from regrowth.space import Grid

__all__ = ["LOBES", "Region", "RegionKind", "RegionMap", "RegionScheme", "Side"]

Side = Literal["left", "right", "midline"]
RegionKind = Literal["lobe", "deep", "callosum", "infratentorial", "csf"]


@dataclass(frozen=True)
class Region:
    """One region.

    Parameters
    ----------
    value
        Value of its voxels, above 0.
    name
        Name without its side, words joined by ``_``, such as ``frontal`` or ``deep_grey``.
    side
        ``left``, ``right`` or ``midline``.
    kind
        ``lobe`` (with its white matter), ``deep``, ``callosum``, ``infratentorial`` or ``csf``.

    Examples
    --------
    >>> Region(17, "deep_grey", "left", "deep").label
    'left deep grey'
    """

    value: int
    name: str
    side: Side
    kind: RegionKind

    def __post_init__(self) -> None:
        if not 0 < self.value < 65536:
            raise LabelSchemeError(f"region {self.name!r} has value {self.value}; values lie from 1 to 65535 (0 is unassigned)")
        if self.side not in get_args(Side) or self.kind not in get_args(RegionKind):
            raise LabelSchemeError(f"region {self.name!r} has unknown side {self.side!r} or kind {self.kind!r}")

    @property
    def label(self) -> str:
        """Name for a reader, with its side: ``left frontal``, ``corpus callosum``."""
        name = self.name.replace("_", " ")
        return name if self.side == "midline" else f"{self.side} {name}"


@dataclass(frozen=True)
class RegionScheme:
    """A list of regions.

    Parameters
    ----------
    name
        Name of the scheme.
    regions
        Its regions; values and labels occur once each.
    source
        Where the definition comes from.
    """

    name: str
    regions: tuple[Region, ...]
    source: str

    def __post_init__(self) -> None:
        for what, found in (("value", [str(r.value) for r in self.regions]), ("label", [r.label for r in self.regions])):
            double = sorted({v for v in found if found.count(v) > 1})
            if double:
                raise LabelSchemeError(f"region scheme {self.name!r} gives the {what} {', '.join(double)} to two regions")

    def __iter__(self) -> Iterator[Region]:
        return iter(self.regions)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all regions, in order."""
        return tuple(r.label for r in self.regions)

    def region(self, key: int | str) -> Region:
        """Look a region up by its value or its label.

        Raises
        ------
        LabelSchemeError
            If there is none; the message lists what there is.
        """
        for region in self.regions:
            if region.label == key or region.value == key:
                return region
        known = ", ".join(f"{r.value} {r.label}" for r in self.regions)
        raise LabelSchemeError(f"region scheme {self.name!r} has no region {key!r}; it has {known}")

    def select(
        self, *, name: str | None = None, side: Side | None = None, kind: RegionKind | None = None
    ) -> tuple[Region, ...]:
        """Give the regions that agree with everything asked for, such as both frontal lobes; possibly none."""
        return tuple(
            r
            for r in self.regions
            if (name is None or r.name == name) and (side is None or r.side == side) and (kind is None or r.kind == kind)
        )


def _lobes() -> tuple[Region, ...]:
    kinds: dict[str, RegionKind] = {
        "frontal": "lobe",
        "parietal": "lobe",
        "temporal": "lobe",
        "occipital": "lobe",
        "cingulate": "lobe",
        "insula": "lobe",
        "deep_grey": "deep",
        "cerebellum": "infratentorial",
        "ventricles": "csf",
    }
    sides: tuple[tuple[Side, int], ...] = (("left", 10), ("right", 20))
    paired = [
        Region(start + number, name, side, kind)
        for side, start in sides
        for number, (name, kind) in enumerate(kinds.items(), start=1)
    ]
    return (
        *paired,
        Region(31, "corpus_callosum", "midline", "callosum"),
        Region(32, "brainstem", "midline", "infratentorial"),
        Region(33, "ventricles", "midline", "csf"),
    )


LOBES = RegionScheme(
    "regrowth-lobes",
    _lobes(),
    "Desikan-Killiany parcels grouped to lobes as FreeSurfer's mri_annotation2label --lobesStrict does (paracentral and "
    "precentral are frontal), hippocampus and amygdala temporal, cingulate and insula of their own; every lobe with the "
    "white matter whose nearest cortex is its own. Desikan et al. 2006, doi:10.1016/j.neuroimage.2006.01.021",
)
"""The scheme of every `Parcellator`: nine regions of each side, three of the midline; lobes include their white matter."""


@dataclass(frozen=True, eq=False)
class RegionMap:
    """Which region each voxel belongs to.

    Parameters
    ----------
    data
        (X, Y, Z) integers, values of the scheme or 0 (unassigned); kept as a read-only view.
    grid
        Grid of the array.
    scheme
        Meaning of the values.

    Raises
    ------
    GridMismatchError
        If the array does not fit the grid.
    LabelSchemeError
        If the array holds values that the scheme does not define, or no integers.
    """

    data: np.ndarray
    grid: Grid
    scheme: RegionScheme = LOBES

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        if data.shape != self.grid.shape:
            raise GridMismatchError(f"a region map of shape {data.shape} does not fit its grid of shape {self.grid.shape}")
        if data.dtype.kind not in "iu":
            raise LabelSchemeError(f"a region map needs integer values, not {data.dtype}")
        unknown = sorted(set(np.unique(data).tolist()) - {0} - {r.value for r in self.scheme.regions})
        if unknown:
            raise LabelSchemeError(f"region scheme {self.scheme.name!r} does not define the values {unknown} of this map")
        small = max((r.value for r in self.scheme.regions), default=0) < 256
        view = data.astype(np.uint8 if small else np.uint16, copy=False).view()
        view.setflags(write=False)
        object.__setattr__(self, "data", view)

    def mask(self, label: str) -> np.ndarray:
        """(X, Y, Z) bool, the voxels of one region, such as ``left frontal``."""
        return np.asarray(self.data == self.scheme.region(label).value)

    def mask_of(self, *, name: str | None = None, side: Side | None = None, kind: RegionKind | None = None) -> np.ndarray:
        """(X, Y, Z) bool, the voxels of all regions that `RegionScheme.select` finds."""
        return np.isin(self.data, [r.value for r in self.scheme.select(name=name, side=side, kind=kind)])

    def volume_ml(self, label: str) -> float:
        """Volume of one region in millilitres."""
        return float(self.mask(label).sum() * self.grid.voxel_volume_ml)
