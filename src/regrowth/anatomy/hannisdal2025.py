"""How Hannisdal et al. 2025 placed tumours in lobes: their tables, ids and rules, faults included.

The notebooks of github.com/MarianneHannisdal/spatiotemporal-glioma, read at 6bd20e4 and, for the classifier (07, deleted
later), abbd09c. For comparison with their results only; `regrowth.anatomy.location` is what is right. The input is a
SynthSeg label map (``mri_synthseg --parc --robust``) on the grid of the tumour. What is kept because it makes the result:

- two tables that disagree: notebook 04 (which trains the white matter) lacks paracentral, posterior cingulate and insula
  and gives the other cingulate parts to frontal and parietal; notebook 06 (which counts) has them as parietal and limbic;
- white matter of insula and cingulate therefore leaks into frontal, parietal and temporal; limbic white matter (3203, 3207)
  is looked for and never made;
- the corpus callosum has no ids and is always 0; in notebook 06 the hemispheres list 3205 twice and lack 3204 and 3206
  (without effect: these ids are looked for in the label map, where they never are), the left one has 3 and lacks 5, and
  neither has the cerebellum;
- nearest neighbours are sought on voxel indices, so that spacing does not count (harmless at 1 mm);
- the classifier knows frontal, parietal, temporal, occipital and brainstem with cerebellum; a tumour elsewhere is
  ``midline/bilateral``; it looks at the CE core alone.

Not kept: resampling of a tumour of another shape by the ratio of the shapes, which ignores the affines; here arrays meet on
one grid. Among neighbours at equal distance the third may be another than the one that scikit-learn takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regrowth.anatomy.hannisdal_tables import (
    HANNISDAL_HEMISPHERES,
    HANNISDAL_REGIONS,
    NB04_LOBE_IDS,
    NB04_LOBES,
    NB06_HEMISPHERES,
    NB06_LOBES,
    NB06_WHITE_MATTER,
)
from regrowth.anatomy.overlap import RegionVolumes
from regrowth.errors import GridMismatchError, LabelSchemeError
from regrowth.space.grid import Grid
from regrowth.space.image import LabelMap
from regrowth.units import MM3_PER_ML

__all__ = [
    "HANNISDAL_COMPARTMENTS",
    "HANNISDAL_HEMISPHERES",
    "HANNISDAL_REGIONS",
    "NB04_LOBES",
    "NB04_LOBE_IDS",
    "NB06_HEMISPHERES",
    "NB06_LOBES",
    "NB06_WHITE_MATTER",
    "HannisdalClass",
    "HannisdalOverlap",
    "approximate_volumes",
    "classify",
    "compartments",
    "notebook_compartments",
    "overall_change",
    "overlap_row",
    "overlap_table",
    "white_matter_lobes",
]

HANNISDAL_COMPARTMENTS = ("CE_core", "NE", "Total")
JUNCTION_SHARE = 0.24
DOMINANT_SHARE = 0.90  # of brainstem and cerebellum; the notebook applies it to no lobe
HEMISPHERE_SHARE = 0.90
BILATERAL_CONFIDENCE = 0.5

_WHITE_MATTER = {"left": 2, "right": 41}


def white_matter_lobes(labels: np.ndarray, grid: Grid) -> np.ndarray:
    """Give every voxel of hemispheric white matter to a lobe, as notebook 04 does.

    Parameters
    ----------
    labels
        (X, Y, Z) SynthSeg ids.
    grid
        Grid of the array; its spacing is not used, as in the notebook.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) int32, ids of `NB04_LOBE_IDS` in the white matter (2, 41), 0 elsewhere. Each voxel gets the lobe with the
        largest sum of 1/distance among the three nearest cortical (hippocampal, amygdalar) voxels of its hemisphere, in
        voxel indices; the smaller id when sums are equal. 0 in a hemisphere without such voxels.

    Raises
    ------
    GridMismatchError
        If the array does not fit the grid.
    """
    labels = _checked(labels, grid)
    out = np.zeros(grid.shape, np.int32)
    for side, white in _WHITE_MATTER.items():
        out[labels == white] = _nearest_lobes(labels, side, np.argwhere(labels == white))
    return out


def _nearest_lobes(labels: np.ndarray, side: str, voxels: np.ndarray) -> np.ndarray:
    from scipy.spatial import cKDTree

    ids = sorted((i, name) for name, i in NB04_LOBE_IDS.items() if name.startswith(side))
    places = [np.argwhere(np.isin(labels, NB04_LOBES[name])) for _, name in ids]
    train = np.concatenate(places)
    if not len(train) or not len(voxels):
        return np.zeros(len(voxels), np.int32)
    lobe = np.repeat(np.arange(len(ids)), [len(p) for p in places])
    k = min(3, len(train))
    distance, nearest = cKDTree(train).query(voxels, k=list(range(1, k + 1)))
    votes = np.stack([np.where(lobe[nearest] == n, 1.0 / distance, 0.0).sum(axis=1) for n in range(len(ids))], axis=1)
    return np.array([i for i, _ in ids], np.int32)[votes.argmax(axis=1)]


def compartments(segmentation: LabelMap) -> dict[str, np.ndarray]:
    """Give the compartments of notebook 06 by the meaning of the labels, whatever their numbers.

    Parameters
    ----------
    segmentation
        Tumour; its scheme must have CE core and NE.

    Returns
    -------
    dict
        ``CE_core`` (enhancing tumour and necrosis), ``NE``, ``Total`` (every label, a cavity included) to (X, Y, Z) bool.

    Raises
    ------
    LabelSchemeError
        If the scheme lacks one: a CE core without necrosis would not be comparable.
    """
    return {
        "CE_core": segmentation.mask("CE_core"),
        "NE": segmentation.mask("NE"),
        "Total": segmentation.mask("lesion"),
    }


def notebook_compartments(values: np.ndarray) -> dict[str, np.ndarray]:
    """Give the compartments of notebook 06 by number: CE core 2 or 3, NE 1, Total above 0.

    Right for the scheme ``picture-preop`` alone. Of ``picture-postop-beta`` it counts the cavity (2) as CE core, of the
    BraTS schemes the oedema (2): faults that this function keeps and `compartments` does not.

    Parameters
    ----------
    values
        (X, Y, Z) numbers of a segmentation.

    Returns
    -------
    dict
        Compartment to (X, Y, Z) bool.
    """
    values = np.asarray(values)
    return {"CE_core": (values == 3) | (values == 2), "NE": values == 1, "Total": values > 0}


@dataclass(frozen=True)
class HannisdalOverlap:
    """Overlap of a tumour with the regions of notebook 06, in mm³.

    Parameters
    ----------
    lobes
        Region of `HANNISDAL_REGIONS` to compartment to volume in mm³.
    hemispheres
        The same for ``hemisphere_left``, ``hemisphere_right`` and ``central``.
    total_mm3
        Compartment to its whole volume.
    assigned_percent
        Compartment to the share of it in any of the fifteen regions, in percent; 100 for an empty one, as in the notebook.
    """

    lobes: Mapping[str, Mapping[str, float]]
    hemispheres: Mapping[str, Mapping[str, float]]
    total_mm3: Mapping[str, float]
    assigned_percent: Mapping[str, float]


def overlap_table(
    labels: np.ndarray, masks: Mapping[str, np.ndarray], grid: Grid, *, white_matter: np.ndarray | None = None
) -> HannisdalOverlap:
    """Measure the overlap of the compartments of a tumour with the regions, as notebook 06 does.

    Parameters
    ----------
    labels
        (X, Y, Z) SynthSeg ids.
    masks
        Compartment to (X, Y, Z) bool, from `compartments` or `notebook_compartments`.
    grid
        Grid of all arrays.
    white_matter
        Lobes of the white matter; `white_matter_lobes` when left out.

    Returns
    -------
    HannisdalOverlap
        Voxel counts times the product of the spacings.

    Raises
    ------
    GridMismatchError
        If an array does not fit the grid.
    LabelSchemeError
        If a compartment is missing.
    """
    labels = _checked(labels, grid)
    lacking = [c for c in HANNISDAL_COMPARTMENTS if c not in masks]
    if lacking:
        raise LabelSchemeError(f"the overlap needs the compartments {', '.join(HANNISDAL_COMPARTMENTS)}; {lacking} are missing")
    tumour = {c: _checked(masks[c], grid).astype(bool) for c in HANNISDAL_COMPARTMENTS}
    white = white_matter_lobes(labels, grid) if white_matter is None else _checked(white_matter, grid)
    voxel_mm3 = float(np.prod(grid.spacing_mm))
    assigned = np.zeros(grid.shape, bool)
    found: dict[str, dict[str, float]] = {}
    for table in (NB06_LOBES, NB06_HEMISPHERES):
        for region in table:
            inside = _region_mask(region, table[region], labels, white)
            found[region] = {c: float(np.count_nonzero(m & inside) * voxel_mm3) for c, m in tumour.items()}
            if table is NB06_LOBES:
                assigned |= inside
    return HannisdalOverlap(
        lobes={r: found[r] for r in HANNISDAL_REGIONS},
        hemispheres={r: found[r] for r in HANNISDAL_HEMISPHERES},
        total_mm3={c: float(np.count_nonzero(m) * voxel_mm3) for c, m in tumour.items()},
        assigned_percent={c: 100.0 * float((m & assigned).sum() / m.sum()) if m.any() else 100.0 for c, m in tumour.items()},
    )


def _region_mask(region: str, ids: tuple[int, ...], labels: np.ndarray, white: np.ndarray) -> np.ndarray:
    inside = np.isin(labels, ids)
    side = "left" if "left" in region else "right" if "right" in region else ""
    for lobe, number in NB06_WHITE_MATTER.get(side, {}).items():
        if lobe in region:
            inside |= white == number
    return inside


def _checked(array: np.ndarray, grid: Grid) -> np.ndarray:
    array = np.asarray(array)
    if array.shape != grid.shape:
        raise GridMismatchError(f"an array of shape {array.shape} does not fit a grid of shape {grid.shape}")
    return array


def overall_change(primary: Mapping[str, Mapping[str, float]], recurrent: Mapping[str, Mapping[str, float]]) -> float:
    """Give the length of the vector of changes of the Total volumes of all regions, in mm³, as notebook 06 does."""
    return math.sqrt(math.fsum((recurrent[r]["Total"] - primary[r]["Total"]) ** 2 for r in primary))


def overlap_row(subject: str, primary: HannisdalOverlap, recurrent: HannisdalOverlap) -> dict[str, object]:
    """Give the row of a subject with the columns of the table of notebook 06, in their order; volumes in mm³."""
    row: dict[str, object] = {
        "Subject": subject,
        "Lobe_Overall_Change": overall_change(primary.lobes, recurrent.lobes),
        "Hemisphere_Overall_Change": overall_change(primary.hemispheres, recurrent.hemispheres),
    }
    for before, after in ((primary.lobes, recurrent.lobes), (primary.hemispheres, recurrent.hemispheres)):
        for region in before:
            for c in HANNISDAL_COMPARTMENTS:
                row[f"{region}_{c}_Change"] = after[region][c] - before[region][c]
                row[f"{region}_{c}_Primary"] = before[region][c]
                row[f"{region}_{c}_Recurrent"] = after[region][c]
    return row


@dataclass(frozen=True)
class HannisdalClass:
    """Class of a tumour by notebook 07.

    Parameters
    ----------
    name
        ``Left_temporal``, ``Right_fronto_parietal``, ``brainstem/cerebellum``, ``midline/bilateral``, ...
    hemisphere
        ``Left``, ``Right`` or ``bilateral`` (also for brainstem and cerebellum).
    confidence
        Share of brainstem and cerebellum, of the lobe or of the two lobes of a junction; 0.5 for ``midline/bilateral``.
    proportions
        Shares of the four lobes in the hemisphere; empty where none was chosen.
    """

    name: str
    hemisphere: str
    confidence: float
    proportions: Mapping[str, float]

    @property
    def pooled(self) -> str:
        """Class without the side, of which the published counts are: ``temporal``, ``fronto_parietal``, ..."""
        return self.name.removeprefix("Left_").removeprefix("Right_")


_LOBES = ("frontal", "parietal", "temporal", "occipital")
_JUNCTIONS = {"temporo_parietal": ("temporal", "parietal"), "fronto_parietal": ("frontal", "parietal")}


def classify(volumes: Mapping[str, float]) -> HannisdalClass:
    """Classify a tumour by the rules of notebook 07, in their order.

    1. Brainstem and cerebellum, if they hold at least 0.90 of themselves and the eight lobes.
    2. ``midline/bilateral``, if there is nothing in the eight lobes, or neither side holds at least 0.90 of them.
    3. Of the four lobes of the side: ``temporo_parietal`` if both hold at least 0.24, else ``fronto_parietal`` likewise,
       else the largest, however small its share.

    Parameters
    ----------
    volumes
        Region of `HANNISDAL_REGIONS` to the volume of the CE core in it, in any one unit; those of the eight lobes and of
        brainstem and cerebellum are needed.

    Returns
    -------
    HannisdalClass
        ``midline/bilateral`` also for a tumour outside of these nine regions, or for none: a fault of the source.

    Raises
    ------
    LabelSchemeError
        If a region is missing.
    """
    needed = [*(f"{lobe}_{side}" for lobe in _LOBES for side in ("left", "right")), "brainstem_and_cerebellum"]
    lacking = [r for r in needed if r not in volumes]
    if lacking:
        raise LabelSchemeError(f"the classes of Hannisdal et al. need the regions {', '.join(lacking)}")
    left, right = (sum(volumes[f"{lobe}_{side}"] for lobe in _LOBES) for side in ("left", "right"))
    below = volumes["brainstem_and_cerebellum"]
    total = left + right + below
    if total > 0 and below / total >= DOMINANT_SHARE:
        return HannisdalClass("brainstem/cerebellum", "bilateral", below / total, {})
    if left + right == 0 or max(left, right) / (left + right) < HEMISPHERE_SHARE:
        return HannisdalClass("midline/bilateral", "bilateral", BILATERAL_CONFIDENCE, {})
    side = "Left" if left > right else "Right"
    parts = {lobe: volumes[f"{lobe}_{side.lower()}"] / max(left, right) for lobe in _LOBES}
    for junction, pair in _JUNCTIONS.items():
        if all(parts[lobe] >= JUNCTION_SHARE for lobe in pair):
            return HannisdalClass(f"{side}_{junction}", side, sum(parts[lobe] for lobe in pair), parts)
    top = max(_LOBES, key=lambda lobe: parts[lobe])
    return HannisdalClass(f"{side}_{top}", side, parts[top], parts)


def approximate_volumes(volumes: RegionVolumes) -> dict[str, float]:
    """Give the volumes in the fifteen regions, in mm³, from those in `regrowth.anatomy.LOBES`: an approximation.

    For exams without a SynthSeg label map. It differs from the notebooks: lobes here include their own white matter, that
    of cingulate and insula stays with them (together ``limbic``) instead of leaking into frontal, parietal and temporal,
    paracentral is frontal instead of parietal, and white matter of the corpus callosum is in no region instead of in the
    nearest lobe. Hippocampus and amygdala are temporal in both.

    Parameters
    ----------
    volumes
        Volumes in the regions of `LOBES`.

    Returns
    -------
    dict
        Region of `HANNISDAL_REGIONS` to mm³.

    Raises
    ------
    LabelSchemeError
        If the volumes are of another scheme.
    """
    if volumes.scheme != "regrowth-lobes":
        raise LabelSchemeError(f"the approximation is for the regions of regrowth-lobes, not of {volumes.scheme!r}")
    names = {"frontal", "parietal", "temporal", "occipital"}
    pooled = {"cingulate": "limbic", "insula": "limbic", "deep_grey": "subcortical"}
    whole = {"cerebellum": "brainstem_and_cerebellum", "brainstem": "brainstem_and_cerebellum", "ventricles": "ventricles"}
    out = dict.fromkeys(HANNISDAL_REGIONS, 0.0)
    for region in volumes.regions:
        if region.name in names or region.name in pooled:
            target = f"{pooled.get(region.name, region.name)}_{region.side}"
        elif region.name in whole:
            target = whole[region.name]
        else:
            continue
        out[target] += volumes.volumes_ml[region.label] * MM3_PER_ML
    return out
