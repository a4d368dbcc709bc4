"""Which regions a patient's brain has, by a label map that was made elsewhere: FreeSurfer, FastSurfer, SynthSeg."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from regrowth.anatomy.freesurfer import lobes_from_labels
from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.parcellation import Method, Parcellation
from regrowth.anatomy.regions import LOBES, RegionMap
from regrowth.errors import GridMismatchError, InputError
from regrowth.space import Grid, Image, Transform

__all__ = ["LabelMapParcellator", "label_parcellation"]


@dataclass(frozen=True, eq=False)
class LabelMapParcellator:
    """Region map from FreeSurfer ids in the space of the patient's image.

    The map may lie on another grid (FreeSurfer's is 256^3 at 1 mm): it is read at the nearest voxel, in mm, through the two
    headers. It must be in the same scanner space, nothing is registered.

    Parameters
    ----------
    labels
        (X, Y, Z) aseg, Desikan-Killiany and wmparc ids (see `regrowth.anatomy.freesurfer.lobes_from_labels`).
    grid
        Grid of the labels.
    source
        Name of the map, such as its file, for messages.
    parameters
        ``min_label_coverage``.
    """

    labels: np.ndarray
    grid: Grid
    source: str = "the label map"
    parameters: AnatomyParameters = field(default_factory=AnatomyParameters)
    name: str = "labelmap"
    citation: str = (
        "Fischl et al. 2002, Whole brain segmentation, doi:10.1016/S0896-6273(02)00569-X; Desikan et al. 2006, "
        "doi:10.1016/j.neuroimage.2006.01.021"
    )

    @property
    def version(self) -> str:
        """First digits of the hash of the labels and their affine."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels).tobytes())
        digest.update(self.grid.affine.tobytes())
        return digest.hexdigest()[:12]

    def parcellate(
        self, image: Image, *, lesion: np.ndarray | None = None, brain: np.ndarray | None = None, threads: int = 1
    ) -> Parcellation:
        """Find the regions (see `Parcellator.parcellate`); `threads` is not used.

        Raises
        ------
        LabelSchemeError
            If ids are unknown or the cortex has no parcels.
        InputError
            If the map covers less than ``min_label_coverage`` of the brain, the lesion not counted.
        """
        del threads
        for what, mask in (("lesion", lesion), ("brain mask", brain)):
            if mask is not None and np.shape(mask) != image.grid.shape:
                raise GridMismatchError(f"a {what} of shape {np.shape(mask)} does not fit an image of shape {image.grid.shape}")
        return label_parcellation(self.labels, self.grid, image.grid, self.source, self.parameters, lesion=lesion, brain=brain)


def label_parcellation(
    labels: np.ndarray,
    labels_grid: Grid,
    grid: Grid,
    source: str,
    parameters: AnatomyParameters,
    *,
    lesion: np.ndarray | None = None,
    brain: np.ndarray | None = None,
    method: Method = "labelmap",
    reason: str = "",
) -> Parcellation:
    """Group FreeSurfer ids to lobes and bring them onto a patient's grid by nearest neighbour in mm.

    Parameters
    ----------
    labels, labels_grid
        (X, Y, Z) ids and their grid, in the patient's scanner space.
    grid
        Grid of the patient's image.
    source
        Name of the map, for messages.
    parameters
        ``min_label_coverage``.
    lesion, brain
        (X, Y, Z) bool on `grid`. Without a brain mask the coverage is that of the map: the share of its labelled volume that
        lies inside of the image.
    method, reason
        For the result.

    Raises
    ------
    LabelSchemeError
        If ids are unknown or the cortex has no parcels.
    InputError
        If the coverage is too small.
    """
    # Lobes are found where the labels are; thick slices of the image would mislead "nearest cortex".
    regions = lobes_from_labels(labels, labels_grid, source)
    ids = np.asarray(labels)
    ids = ids.astype(np.int32) if ids.dtype.kind == "f" else ids
    there, ids_there = _read(regions.data, labels_grid, grid), _read(ids, labels_grid, grid)
    if brain is not None:
        use = np.asarray(brain, bool) if lesion is None else np.asarray(brain, bool) & ~np.asarray(lesion, bool)
        coverage = float((ids_there[use] > 0).mean()) if use.any() else float("nan")
        what = "of the brain"
    else:
        labelled = float((ids > 0).sum() * labels_grid.voxel_volume_ml)
        coverage = float((ids_there > 0).sum() * grid.voxel_volume_ml) / labelled
        what = "of its own volume inside of the image"
    if not coverage >= parameters.min_label_coverage:
        raise InputError(
            f"{source} covers {coverage:.0%} {what}, less than min_label_coverage {parameters.min_label_coverage:g}: it "
            "belongs to another exam or another space; give the map of this image, in its scanner space"
        )
    reason = reason or f"{source}, nearest neighbour in mm"
    return Parcellation(RegionMap(there, grid, LOBES), method, False, reason, {"label_coverage": coverage}, labels=ids_there)


def _read(data: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Read an array at the voxel nearest to each voxel of the target, 0 outside of it."""
    out = np.zeros(target.shape, data.dtype)
    identity = Transform()
    for start in range(0, target.shape[0], 16):
        rows = slice(start, start + 16)
        where = np.rint(source.index(identity.map_grid(target, rows))).astype(np.int32)
        seen = ((where >= 0) & (where < source.shape)).all(axis=-1)
        part = out[rows]
        part[seen] = data[tuple(where[seen].T)]
    return out
