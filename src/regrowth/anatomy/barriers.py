"""Which surfaces of the brain tumour cells do not cross: the falx and the tentorium, as walls one voxel thin."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from regrowth.anatomy.regions import RegionMap
from regrowth.space import bounding_box

__all__ = ["anatomical_barriers", "ventricles"]

# Membranes go on as far beyond the regions: through the fissure, and over the edge of the brain, where ways around lead.
_BEYOND_MM = 20.0


def anatomical_barriers(regions: RegionMap) -> dict[str, np.ndarray]:
    """Find falx and tentorium between the regions of a brain.

    A wall stands wherever a voxel of one side shares a face with a voxel of the other, so that no way over faces leads
    through; voxels that meet at edges only do not open it. What has no region (fluid in the fissure) counts to the nearest
    lobe, cerebellum or brainstem, within 20 mm; of two neighbours the one without a region becomes wall, else the one of the
    left hemisphere, or of the cerebellum.

    Parameters
    ----------
    regions
        Regions in a scheme whose kinds are those of `LOBES`.

    Returns
    -------
    dict of str to numpy.ndarray
        (X, Y, Z) bool each. ``falx``: between the lobes of the left and right hemisphere (cingulate and insula included);
        corpus callosum, deep grey matter, ventricles and brainstem join them, so that it is open there. ``tentorium``:
        between the cerebellum and the lobes, deep grey matter, callosum and lateral ventricles; open at the brainstem.
        Empty where the regions that it divides do not meet.

    Notes
    -----
    What an average brain knows: the map of regions is symmetric and good to some millimetres, and so is a falx that a tumour
    has pushed aside. The anterior falx does not reach the callosum in life; here it does.
    """
    falx, tentorium = (np.zeros(regions.grid.shape, bool) for _ in range(2))
    if regions.data.any():
        margin = [int(np.ceil(_BEYOND_MM / s)) for s in regions.grid.spacing_mm]
        box = bounding_box(regions.data > 0, (margin[0], margin[1], margin[2]))
        part = regions.data[box]
        whole = _extended(part, regions)
        bare = part == 0

        def of(**which: str) -> np.ndarray:
            return np.isin(whole, [r.value for r in regions.scheme.select(**which)])  # type: ignore[arg-type]

        falx[box] = _wall(of(side="left", kind="lobe"), of(side="right", kind="lobe"), bare)
        above = of(kind="lobe") | of(kind="deep") | of(kind="callosum")
        above |= of(kind="csf", side="left") | of(kind="csf", side="right")
        tentorium[box] = _wall(of(name="cerebellum"), above, bare)
    return {"falx": falx, "tentorium": tentorium}


def ventricles(regions: RegionMap) -> np.ndarray:
    """(X, Y, Z) bool, all ventricles of a map of regions: tumour does not grow in them."""
    return regions.mask_of(kind="csf")


def _extended(part: np.ndarray, regions: RegionMap) -> np.ndarray:
    """Give what has no region that of the nearest lobe, cerebellum or brainstem within 20 mm."""
    kinds = [r.value for kind in ("lobe", "infratentorial") for r in regions.scheme.select(kind=kind)]
    seeds = np.isin(part, kinds)
    if not seeds.any():
        return part
    away, index = ndimage.distance_transform_edt(~seeds, sampling=regions.grid.spacing_mm, return_indices=True)
    return np.where((part == 0) & (away <= _BEYOND_MM), part[tuple(index)], part)


def _wall(one: np.ndarray, other: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """Close every face between two masks by one of its two voxels: that of `other` if only it has no region, else of `one`."""
    out = np.zeros(one.shape, bool)
    for axis in range(3):
        here = tuple(slice(None, -1) if d == axis else slice(None) for d in range(3))
        there = tuple(slice(1, None) if d == axis else slice(None) for d in range(3))
        for a, b in ((here, there), (there, here)):
            met = one[a] & other[b]
            far = met & bare[b] & ~bare[a]
            out[b] |= far
            out[a] |= met & ~far
    return out
