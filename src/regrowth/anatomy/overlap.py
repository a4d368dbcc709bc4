"""How much of a mask lies in which region of the brain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regrowth.anatomy.regions import Region, RegionMap
from regrowth.errors import GridMismatchError
from regrowth.space.grid import Grid, require_same_grid

__all__ = ["RegionVolumes", "region_volumes"]


@dataclass(frozen=True)
class RegionVolumes:
    """Volume of a mask in every region of a scheme.

    Parameters
    ----------
    volumes_ml
        Region label to volume in ml; every region of the scheme, 0 where the mask does not reach.
    unassigned_ml
        Volume outside all regions.
    total_ml
        Volume of the mask: the sum of all volumes and what is unassigned.
    scheme
        Name of the scheme.
    regions
        The regions of the scheme, which tell side and kind of each label.
    """

    volumes_ml: Mapping[str, float]
    unassigned_ml: float
    total_ml: float
    scheme: str
    regions: tuple[Region, ...] = ()

    @property
    def shares(self) -> dict[str, float]:
        """Region label to the share of the whole mask, without unit; NaN for an empty mask."""
        return {label: _share(ml, self.total_ml) for label, ml in self.volumes_ml.items()}

    @property
    def coverage(self) -> float:
        """Share of the mask that lies in any region, cerebrospinal fluid included; NaN for an empty mask.

        What is missing lies where the region map is 0: outside the brain, or in brain that the map does not know.
        """
        return _share(self.total_ml - self.unassigned_ml, self.total_ml)

    @property
    def csf_share(self) -> float:
        """Share of the mask in ventricles and other cerebrospinal fluid; NaN for an empty mask."""
        return _share(self.of_kind("csf"), self.total_ml)

    @property
    def tissue_ml(self) -> float:
        """Volume in all regions that are not cerebrospinal fluid: the denominator of a location."""
        return math.fsum(self.volumes_ml[r.label] for r in self.regions if r.kind != "csf")

    def of_kind(self, kind: str) -> float:
        """Volume in ml in all regions of one kind, such as ``callosum``."""
        return math.fsum(self.volumes_ml[r.label] for r in self.regions if r.kind == kind)

    def as_rows(self) -> list[dict[str, object]]:
        """Give one row per region and one for what is unassigned: region, name, side, kind, volume_ml, share."""
        rows: list[dict[str, object]] = [
            {"region": r.label, "name": r.name, "side": r.side, "kind": r.kind, "volume_ml": self.volumes_ml[r.label]}
            for r in self.regions
        ]
        rows.append({"region": "unassigned", "name": "unassigned", "side": "", "kind": "", "volume_ml": self.unassigned_ml})
        return [{**row, "share": _share(float(row["volume_ml"]), self.total_ml)} for row in rows]  # type: ignore[arg-type]


def _share(part_ml: float, whole_ml: float) -> float:
    return part_ml / whole_ml if whole_ml > 0 else float("nan")


def region_volumes(mask: np.ndarray, regions: RegionMap, grid: Grid) -> RegionVolumes:
    """Measure the volume of a mask in every region.

    Parameters
    ----------
    mask
        (X, Y, Z) bool.
    regions
        Region of each voxel.
    grid
        Grid of the mask, which must be that of the region map.

    Returns
    -------
    RegionVolumes
        Voxel counts times the voxel volume, in ml.

    Raises
    ------
    GridMismatchError
        If mask and region map do not lie on the same grid.

    Notes
    -----
    Tumour voxels are counted where the map places them; a map that was made without knowledge of the lesion places them
    as if the tissue were healthy. Published atlases differ by 6 to 15 % of voxels about the borders of the lobes, so
    differences of shares below 5 points have no meaning.
    """
    require_same_grid(grid, regions.grid, "the mask and the region map")
    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    scheme = regions.scheme
    counts = np.bincount(regions.data[mask], minlength=max((r.value for r in scheme.regions), default=0) + 1)
    voxel_ml = grid.voxel_volume_ml
    return RegionVolumes(
        volumes_ml={r.label: float(counts[r.value] * voxel_ml) for r in scheme.regions},
        unassigned_ml=float(counts[0] * voxel_ml),
        total_ml=float(counts.sum() * voxel_ml),
        scheme=scheme.name,
        regions=tuple(scheme.regions),
    )
