"""Which lobe a FreeSurfer id means: aseg and Desikan-Killiany ids, as FreeSurfer, FastSurfer and SynthSeg write them."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from scipy import ndimage

from regrowth.anatomy.regions import LOBES, RegionMap, Side
from regrowth.errors import GridMismatchError, InputError, LabelSchemeError
from regrowth.space import Grid, bounding_box

__all__ = ["CORTEX_LOBES", "callosum", "lobes_from_labels", "parcellated_share"]

CORTEX_LOBES = MappingProxyType(
    {
        "frontal": (3, 12, 14, 17, 18, 19, 20, 24, 27, 28, 32),
        "parietal": (8, 22, 25, 29, 31),
        "temporal": (1, 6, 7, 9, 15, 16, 30, 33, 34),
        "occipital": (5, 11, 13, 21),
        "cingulate": (2, 10, 23, 26),
        "insula": (35,),
    }
)
"""Lobe to Desikan-Killiany ids without their side: add 1000 (left cortex), 2000 (right), 3000 and 4000 (white matter)."""

# Structures with sides: name of the region, ids of the left and of the right.
_SIDED = (
    ("temporal", (17, 18), (53, 54)),  # hippocampus, amygdala
    ("deep_grey", (9, 10, 11, 12, 13, 26, 27, 28), (48, 49, 50, 51, 52, 58, 59, 60)),
    ("cerebellum", (6, 7, 8), (45, 46, 47)),
    ("ventricles", (4, 5, 31), (43, 44, 63)),  # with their choroid plexus
)
_MIDLINE = (("corpus_callosum", (192, 251, 252, 253, 254, 255)), ("brainstem", (16,)), ("ventricles", (14, 15, 72)))
# Ids of wmparc --lobes; the offset of the side is 3200 or 4200.
_WHITE_LOBES = {"frontal": 1, "cingulate": 3, "occipital": 4, "temporal": 5, "parietal": 6, "insula": 7}
# White matter that gets the lobe of its nearest cortex: of a known side, or of either (hypointensities).
_WHITE: dict[Side, tuple[int, ...]] = {
    "left": (2, 78, 1000, 3000, 5001),
    "right": (41, 79, 2000, 4000, 5002),
    "midline": (77,),
}
# Cortex without a parcel; a few such voxels are left over by FreeSurfer, but all of it by SynthSeg without --parc.
_CORTEX = {"left": 3, "right": 42}
_LARGEST_UNPARCELLATED = 0.05
# Small things inside of other structures: vessels, non-white hypointensities; they get the region around them.
_INSIDE = (30, 62, 80, 81, 82)
# Known, but no part of any region: background, CSF, optic chiasm.
_UNASSIGNED = (0, 24, 85)
# How far the callosum reaches to each side: a tumour is "in the callosum" well before it touches the midline.
_CALLOSUM_MM = 6.0


def lobes_from_labels(labels: np.ndarray, grid: Grid, source: str = "the label map") -> RegionMap:
    """Group FreeSurfer ids to lobes with their white matter.

    Cortex by its Desikan-Killiany parcel (`CORTEX_LOBES`), white matter by the nearest cortex (hippocampus and amygdala
    included) of its hemisphere, in mm between voxel centres; ``wmparc`` ids by their parcel. Maps without the ids 251-255
    (SynthSeg has none) get their corpus callosum by geometry, see `callosum`.

    Parameters
    ----------
    labels
        (X, Y, Z) integers, or floats without fraction.
    grid
        Grid of the labels; axes at right angles, any orientation and spacing.
    source
        Name of the map, for messages.

    Returns
    -------
    RegionMap
        In the scheme `LOBES` on `grid`; CSF outside of the ventricles is 0.

    Raises
    ------
    LabelSchemeError
        If ids are unknown (all are listed) or the cortex is not parcellated.
    """
    labels = _checked(labels, grid, source)
    _check_ids(labels, source)
    out = np.zeros(grid.shape, np.uint8)
    box = bounding_box(labels > 0, 1)
    part = labels[box]
    lut = _lut(int(labels.max()))
    regions = lut[part]
    _grow_into_white_matter(regions, part, grid.spacing_mm)
    if not np.isin(part, _MIDLINE[0][1]).any():
        bridge = callosum(np.isin(part, _WHITE["left"]), np.isin(part, _WHITE["right"]), _part(grid, box))
        regions[bridge] = LOBES.region("corpus callosum").value
    inside = np.isin(part, _INSIDE)
    if inside.any() and regions.any():
        regions[inside] = _nearest(regions, regions > 0, grid.spacing_mm)[inside]
    out[box] = regions
    return RegionMap(out, grid, LOBES)


def callosum(left_white: np.ndarray, right_white: np.ndarray, grid: Grid, reach_mm: float = _CALLOSUM_MM) -> np.ndarray:
    """Find the corpus callosum where no label marks it: the white matter that bridges the hemispheres.

    White matter of one side within `reach_mm` of white matter of the other; the gyri that face each other across the
    falx are kept apart by two ribbons of cortex and the fissure. Kept is the largest connected part, which leaves the
    fornix and the anterior commissure out where they do not touch it.

    Parameters
    ----------
    left_white, right_white
        (X, Y, Z) bool, white matter of each hemisphere.
    grid
        Their grid.
    reach_mm
        Largest distance between voxel centres of the two sides.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) bool; empty where the two sides do not touch.
    """
    empty = np.zeros(grid.shape, bool)
    if not left_white.any() or not right_white.any():
        return empty
    # The bridge itself first: only where the two sides touch is a commissure, whatever lies near it.
    seam = (left_white & ndimage.binary_dilation(right_white)) | (right_white & ndimage.binary_dilation(left_white))
    parts, n = ndimage.label(seam, np.ones((3, 3, 3), bool))
    if n == 0:
        return empty
    main = parts == (np.bincount(parts.ravel())[1:].argmax() + 1)
    near = ndimage.distance_transform_edt(~main, sampling=grid.spacing_mm) <= reach_mm
    to_right = ndimage.distance_transform_edt(~right_white, sampling=grid.spacing_mm)
    to_left = ndimage.distance_transform_edt(~left_white, sampling=grid.spacing_mm)
    bridge = ((left_white & (to_right <= reach_mm)) | (right_white & (to_left <= reach_mm))) & near
    parts, _ = ndimage.label(bridge)
    held = np.unique(parts[main & bridge])
    return np.isin(parts, held[held > 0])


def parcellated_share(labels: np.ndarray) -> float:
    """Share of the cortex (ids 3, 42, 1001 to 1035, 2001 to 2035) that has a parcel; NaN without any cortex."""
    bare = int(np.isin(labels, list(_CORTEX.values())).sum())
    parcels = int(np.isin(labels, [o + i for o in (1000, 2000) for ids in CORTEX_LOBES.values() for i in ids]).sum())
    return parcels / (bare + parcels) if bare + parcels else float("nan")


def _checked(labels: np.ndarray, grid: Grid, source: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != grid.shape:
        raise GridMismatchError(f"{source}: labels of shape {labels.shape} do not fit a grid of shape {grid.shape}")
    if not grid.is_orthogonal:
        raise InputError(f"{source}: the axes are sheared, so that distances along them mislead; resample it first")
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all() or (labels != np.round(labels)).any():
            raise LabelSchemeError(f"{source} holds fractions; it was interpolated linearly or is no label map")
        labels = labels.astype(np.int32)
    if labels.dtype.kind not in "iu":
        raise LabelSchemeError(f"{source} needs integer values, not {labels.dtype}")
    return labels


def _check_ids(labels: np.ndarray, source: str) -> None:
    found = {int(v) for v in np.unique(labels)}
    unknown = sorted(found - set(_region_of_id()) - set(_UNASSIGNED) - set(_INSIDE) - _white_ids() - set(_CORTEX.values()))
    if unknown:
        raise LabelSchemeError(
            f"{source} holds ids that are not in FreeSurfer's aseg, Desikan-Killiany or wmparc tables as read here: "
            f"{', '.join(map(str, unknown))}; give an aparc+aseg, wmparc, FastSurfer (DKT) or SynthSeg --parc map, or set "
            "these voxels to 0 if they are no brain"
        )
    share = parcellated_share(labels)
    if not share >= 1 - _LARGEST_UNPARCELLATED and found - {0}:
        raise LabelSchemeError(
            f"{source} has no lobes: "
            + ("it holds no cortex" if np.isnan(share) else f"{1 - share:.0%} of the cortex is one label (3 or 42)")
            + "; run mri_synthseg with --parc, or give FreeSurfer's aparc+aseg instead of aseg"
        )


def _region_of_id() -> dict[int, int]:
    """Map the ids that mean a region by themselves to its value."""
    out: dict[int, int] = {}
    sides: tuple[tuple[Side, int], ...] = (("left", 0), ("right", 1))
    for side, second in sides:
        value = {r.name: r.value for r in LOBES.select(side=side)}
        for lobe, ids in CORTEX_LOBES.items():
            for start in (1000, 3000):
                out.update({start + 1000 * second + i: value[lobe] for i in ids})
            out[3200 + 1000 * second + _WHITE_LOBES[lobe]] = value[lobe]
        for name, *both in _SIDED:
            out.update(dict.fromkeys(both[second], value[name]))
    midline = {r.name: r.value for r in LOBES.select(side="midline")}
    for name, ids in _MIDLINE:
        out.update(dict.fromkeys(ids, midline[name]))
    for i in (1004, 2004, 3004, 4004):  # "corpuscallosum" of the cortical table
        out[i] = midline["corpus_callosum"]
    return out


def _white_ids() -> set[int]:
    return {i for ids in _WHITE.values() for i in ids}


def _lut(largest: int) -> np.ndarray:
    known = _region_of_id()
    out = np.zeros(max(largest, *known) + 1, np.uint8)
    out[list(known)] = list(known.values())
    return out


def _grow_into_white_matter(regions: np.ndarray, labels: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Give white matter and leftover cortex (in place) the lobe of the nearest cortex of its side."""
    cortex_ids = [i for i in _region_of_id() if 1000 < i < 3000 or i in (17, 18, 53, 54)]
    seeds = np.isin(labels, cortex_ids) & (regions != LOBES.region("corpus callosum").value)
    for side in ("left", "right", "midline"):
        ids = [*_WHITE[side], *([_CORTEX[side]] if side in _CORTEX else [])]
        white = np.isin(labels, ids)
        own = seeds & np.isin(regions, [r.value for r in LOBES.select(side=side)]) if side != "midline" else seeds
        if white.any() and own.any():
            regions[white] = _nearest(regions, own, spacing_mm)[white]


def _nearest(regions: np.ndarray, seeds: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Give every voxel the region of the nearest seed, in mm."""
    index = ndimage.distance_transform_edt(~seeds, sampling=spacing_mm, return_distances=False, return_indices=True)
    return np.asarray(regions[tuple(index)])


def _part(grid: Grid, box: tuple[slice, slice, slice]) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world(np.array([s.start for s in box]))
    return Grid((box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start), affine)
