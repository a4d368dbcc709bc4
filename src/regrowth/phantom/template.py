"""Which healthy brain the synthetic patients are made from: the ICBM 152 average that nilearn carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.space import Grid, bounding_box, distance_to_mm

__all__ = ["Template", "icbm_template"]

GREY_T1 = 0.66
"""Typical intensity of grey matter in the template, whose largest value is 1."""
CSF_T1 = 0.28
"""Typical intensity of cerebrospinal fluid in the template."""
WHITE_T1 = 0.87
"""Typical intensity of white matter in the template."""

_FORAMEN_MAGNUM_Z_MM = -66.0  # where brain extraction usually ends


@dataclass(frozen=True, eq=False)
class Template:
    """A skull-stripped average brain with the share of each tissue.

    Parameters
    ----------
    t1
        (X, Y, Z) float32, T1-weighted intensity, 0 outside of the brain, about 0.87 in white matter.
    gm, wm, csf
        (X, Y, Z) float32, share of each tissue; their sum is 1 inside the brain and outside of it all is CSF.
    brain
        (X, Y, Z) bool.
    brain_depth_mm
        (X, Y, Z) float32, distance to the border of the brain, negative outside.
    ventricle_distance_mm
        (X, Y, Z) float32, distance to the ventricles and deep cisterns, negative inside.
    grid
        Grid of all arrays, RAS+ mm of MNI space.
    """

    t1: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    brain: np.ndarray
    brain_depth_mm: np.ndarray
    ventricle_distance_mm: np.ndarray
    grid: Grid


def icbm_template(spacing_mm: float = 1.0) -> Template:
    """Load the ICBM 152 2009 nonlinear symmetric brain from the files inside nilearn (no download).

    CSF is what grey and white matter leave over, and what is darker than grey matter on T1 (the probability maps close
    most sulci). The template is smoothed before it is thinned out.

    Parameters
    ----------
    spacing_mm
        Voxel spacing wanted, 1 mm or more; finer images read the 1 mm template between its voxels.

    Returns
    -------
    Template
        Cropped to the brain with a margin of 4 mm.

    References
    ----------
    Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033.
    """
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    loaded = [f(resolution=1) for f in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)]
    affine = np.array(loaded[0].affine, dtype=np.float64)
    t1, gm, wm = (np.asarray(image.dataobj, dtype=np.float32) for image in loaded)
    box = bounding_box(t1 > 0, 4)
    t1, gm, wm = t1[box], gm[box], wm[box]
    affine[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    grid = Grid(t1.shape, affine)
    if spacing_mm > 1.0:
        fine, grid = grid, grid.resized((spacing_mm,) * 3)
        t1, gm, wm = (_thinned(data, fine, grid) for data in (t1, gm, wm))
    return _template(t1, gm, wm, grid)


def _thinned(data: np.ndarray, fine: Grid, coarse: Grid) -> np.ndarray:
    sigma = 0.4 * np.array(coarse.spacing_mm) / np.array(fine.spacing_mm)
    index = fine.index(coarse.world(np.moveaxis(np.indices(coarse.shape), 0, -1)))
    smooth = ndimage.gaussian_filter(data, sigma)
    return np.asarray(ndimage.map_coordinates(smooth, np.moveaxis(index, -1, 0), order=1, mode="nearest"), dtype=np.float32)


def _template(t1: np.ndarray, gm: np.ndarray, wm: np.ndarray, grid: Grid) -> Template:
    # A threshold of half the CSF intensity is the border that smoothing leaves in place.
    brain = ndimage.binary_fill_holes(t1 > CSF_T1 / 2)
    height = grid.world(np.stack([np.zeros(grid.shape[2])] * 2 + [np.arange(grid.shape[2])], axis=-1))[:, 2]
    brain &= height >= _FORAMEN_MAGNUM_Z_MM
    dark = np.clip((GREY_T1 - 0.05 - t1) / (GREY_T1 - 0.05 - CSF_T1), 0, 1)
    # The maps of grey and white matter end above the medulla; what is bright there is no fluid.
    rest = np.clip(1 - gm - wm, 0, 1)
    wm = wm + np.where(t1 > GREY_T1 - 0.08, rest, 0)
    csf = np.where(brain, np.maximum(1 - gm - wm, dark), 1).clip(0, 1)
    # Averages over 152 people blur the borders of tissues; a power above 1 takes part of that back.
    shares = np.stack([gm * (1 - csf), wm * (1 - csf), csf]) ** 1.5
    shares[2][~brain], shares[:2, ~brain] = 1, 0
    shares /= np.maximum(shares.sum(axis=0), 1e-6)
    depth = distance_to_mm(~brain, grid) - distance_to_mm(brain, grid)
    fluid = ndimage.binary_opening((shares[2] > 0.5) & (depth > 14))
    parts, _ = ndimage.label(fluid)
    sizes = np.bincount(parts.ravel()) * grid.voxel_volume_ml
    ventricles = (sizes > 0.3)[parts] & fluid
    return Template(
        t1=t1 * brain,
        gm=shares[0].astype(np.float32),
        wm=shares[1].astype(np.float32),
        csf=shares[2].astype(np.float32),
        brain=brain,
        brain_depth_mm=depth.astype(np.float32),
        ventricle_distance_mm=(distance_to_mm(ventricles, grid) - distance_to_mm(~ventricles, grid)).astype(np.float32),
        grid=grid,
    )
