"""How much white matter, grey matter and fluid each voxel of a brain holds: from the template, or from FreeSurfer ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from regrowth.anatomy.mixture import TissueMixture, fit_mixture
from regrowth.anatomy.template_reading import from_template, read_means
from regrowth.errors import GridMismatchError, InputError
from regrowth.space import (
    Grid,
    Image,
    Transform,
    bounding_box,
    distance_to_mm,
    require_same_grid,
)

__all__ = [
    "TissueProbabilities",
    "filled_lesion",
    "refine_tissue",
    "template_tissue",
    "tissue_from_labels",
    "tissue_from_template",
]

# FreeSurfer ids: cerebral and cerebellar white matter, brainstem, ventral diencephalon, hypointensities,
# optic chiasm, callosum; white matter of wmparc (3000 to 4999, 5001, 5002) joins them.
_WHITE = (2, 41, 7, 46, 16, 28, 60, 77, 78, 79, 85, *range(251, 256), 192, 5001, 5002)
_WHITE_RANGE = (3000, 5000)
# Cortex of brain and cerebellum, deep grey matter, hippocampus, amygdala, accumbens; parcels (1000 to 2999) join them.
_GREY = (3, 42, 8, 47, *range(10, 14), 17, 18, 26, *range(48, 55), 58, 9, 27, 59)
_GREY_RANGE = (1000, 3000)
_NONE = 1e-3  # less tissue than this counts as none
_LEAST_SEPARATION = 1.0  # of grey and white matter, and of fluid and grey matter, in standard deviations
_LEAST_SHARE = 0.01  # of the brain, of every tissue
# Oedema that no mask holds makes white matter as dark as grey. Nearer to a lesion than this the prior has a say in which
# of the two it is, at the border of the lesion all of it.
_OEDEMA_MM = 20.0


@dataclass(frozen=True, eq=False)
class TissueProbabilities:
    """Share or probability of each tissue in every voxel of a brain.

    Parameters
    ----------
    white, grey, csf
        (X, Y, Z) float32, 0 to 1; their sum is 1 inside of the brain and 0 outside.
    grid
        Grid of all three.
    method
        ``template``, ``template and intensities`` or ``labels``.
    is_fallback
        Whether an average brain stands in, because nothing better is known of this one.
    reason
        How they were made, and why it is a fallback.
    quality
        Named figures.

    Raises
    ------
    GridMismatchError
        If a map does not fit the grid.
    """

    white: np.ndarray
    grey: np.ndarray
    csf: np.ndarray
    grid: Grid
    method: str
    is_fallback: bool
    reason: str
    quality: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in ("white", "grey", "csf"):
            data = np.asarray(getattr(self, name), np.float32)
            if data.shape != self.grid.shape:
                raise GridMismatchError(f"a map {name} of shape {data.shape} does not fit its grid of shape {self.grid.shape}")
            view = data.view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)
        object.__setattr__(self, "quality", MappingProxyType(dict(self.quality)))

    @property
    def brain(self) -> np.ndarray:
        """(X, Y, Z) bool, voxels of which the tissue is known."""
        return np.asarray(self.white + self.grey + self.csf > 0)


def template_tissue(spacing_mm: int = 1) -> TissueProbabilities:
    """Load the tissue maps of the ICBM 152 2009 template from the installed nilearn (no download).

    Fluid is what white and grey matter leave over inside of the brain. The average closes most sulci.

    Parameters
    ----------
    spacing_mm
        Voxel spacing, 1 mm or a multiple.

    References
    ----------
    .. [1] Fonov et al., NeuroImage 54 (2011), doi:10.1016/j.neuroimage.2010.07.033.
    """
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template

    loads = (load_mni152_wm_template, load_mni152_gm_template, load_mni152_brain_mask)
    niis = [load(resolution=spacing_mm) for load in loads]
    white, grey, mask = (np.asarray(nii.dataobj, np.float32) for nii in niis)
    brain = mask > 0
    white, grey = (np.where(brain, np.clip(a, 0, 1), 0) for a in (white, grey))
    csf = np.where(brain, np.clip(1 - white - grey, 0, 1), 0)
    reason = "ICBM 152 2009a maps of white and grey matter"
    return TissueProbabilities(white, grey, csf, Grid(brain.shape, niis[0].affine), "template", True, reason)


def tissue_from_template(
    image: Image, to_template: Transform, brain: np.ndarray | None = None, lesion: np.ndarray | None = None
) -> TissueProbabilities:
    """Bring the tissue maps of the template to a patient: what is known before his image is looked at.

    Parameters
    ----------
    image
        (X, Y, Z) image of the exam, of which only the grid is used.
    to_template
        ``from-image_to-template``: moves the image onto the template; it is inverted here.
    brain
        (X, Y, Z) bool; that of the template when left out. Where it reaches beyond the template there is fluid.
    lesion
        (X, Y, Z) bool, tumour with oedema and cavity; it is filled with tissue, see `filled_lesion`.

    Returns
    -------
    TissueProbabilities
        Means over the voxel, so that thick slices hold shares. ``quality["covered_share"]`` is the share of the brain
        outside of the lesion that the template reaches.

    Raises
    ------
    GridMismatchError
        If a mask does not fit the image.
    InputError
        If the brain is empty or the template does not reach it.
    """
    grid = image.grid
    brain, lesion = (None if m is None else _mask(m, grid, n) for m, n in ((brain, "brain mask"), (lesion, "lesion")))
    template = template_tissue(1)
    back, how = from_template(to_template)
    room = np.ones(grid.shape, bool) if brain is None else brain if lesion is None else brain | lesion
    if not room.any():
        raise InputError("the brain mask is empty; give one that fits the image, or none")
    maps = np.stack([template.white, template.grey, template.csf], axis=-1)
    white, grey, csf = np.moveaxis(read_means(maps, template.grid, grid, back, bounding_box(room)), -1, 0)
    there = white + grey + csf
    if brain is None:
        brain = there >= 0.5
    reached = float((there[brain] > 0).mean()) if brain.any() else 0.0
    if reached == 0:
        raise InputError("the template does not reach the brain; check that mask, image and transform belong together")
    known = there > _NONE
    share = np.where(known, np.maximum(there, 1e-6), 1)
    white, grey = (np.where(brain & known, a / share, 0) for a in (white, grey))
    white, grey, csf = _filled(white, grey, brain, lesion)
    healthy = brain if lesion is None else brain & ~lesion
    quality = {"covered_share": float(known[healthy].mean()) if healthy.any() else float("nan")}
    reason = f"maps of an average brain (ICBM 152 2009a) {how}, not adapted to the intensities of this one"
    return TissueProbabilities(white, grey, csf, grid, "template", True, reason, quality)


def refine_tissue(image: Image, prior: TissueProbabilities, lesion: np.ndarray | None = None) -> TissueProbabilities:
    """Adapt tissue maps to the T1-weighted image of a brain.

    Three Gaussians with a spatial prior and a bias field (see `regrowth.anatomy.mixture`) learn the intensities outside of
    the lesion. Inside of the lesion, where intensities mean something else, the prior stays. Around it, where oedema darkens
    white matter, the prior divides tissue into white and grey: wholly at its border, not at all 20 mm away. What is fluid is
    taken from the image everywhere outside.

    Parameters
    ----------
    image
        (X, Y, Z) T1-weighted, with or without contrast agent: fluid darker than grey matter, and this darker than white.
    prior
        Maps on its grid, as `tissue_from_template` gives them.
    lesion
        (X, Y, Z) bool, as it was given to the prior.

    Returns
    -------
    TissueProbabilities
        ``template and intensities``; the prior itself, with the reason, where the tissues cannot be told apart: their order is
        another one, neighbouring means lie less than one standard deviation apart, or a tissue holds less than 1 % of the
        brain. ``quality`` holds the separations either way.

    Raises
    ------
    GridMismatchError
        If the arrays lie on different grids.
    """
    require_same_grid(image.grid, prior.grid, "the image and the tissue maps")
    brain = prior.brain
    healthy = brain if lesion is None else brain & ~_mask(lesion, image.grid, "lesion")
    healthy = healthy & np.isfinite(image.data)
    maps = np.stack([prior.csf[healthy], prior.grey[healthy], prior.white[healthy]], axis=1).astype(np.float64)
    maps /= maps.sum(axis=1, keepdims=True)
    values, points = np.asarray(image.data[healthy], np.float64), image.grid.world(np.argwhere(healthy))
    seen = values != 0  # the background of a skull-stripped image inside of a wide mask
    try:
        mixture = fit_mixture(values[seen], maps[seen], points[seen])
    except InputError as error:
        return _kept(prior, str(error), {})
    quality = {
        "separation_csf_grey": mixture.separations[0],
        "separation_grey_white": mixture.separations[1],
        **{f"share_{n}": float(s) for n, s in zip(("csf", "grey", "white"), mixture.shares, strict=True)},
    }
    doubt = _doubt(mixture)
    if doubt:
        return _kept(prior, doubt, quality)
    found = mixture.classified(values, maps, points)
    if lesion is not None and np.any(lesion):
        near = np.clip(1 - distance_to_mm(np.asarray(lesion, bool), image.grid)[healthy] / _OEDEMA_MM, 0, 1)
        found = _blended(found, maps, near)
    csf, grey, white = (np.array(a) for a in (prior.csf, prior.grey, prior.white))
    csf[healthy], grey[healthy], white[healthy] = found.T
    reason = "intensities of this brain (three tissues, bias field) with maps of an average brain (ICBM 152 2009a) as prior"
    quality = {**prior.quality, **quality}
    return TissueProbabilities(white, grey, csf, prior.grid, "template and intensities", False, reason, quality)


def _blended(found: np.ndarray, prior: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Divide what is no fluid into grey and white matter partly as the prior (n, 3) does, by its weight (n,)."""
    matter = 1 - found[:, :1]

    def ratio(p: np.ndarray) -> np.ndarray:
        total = p[:, 1] + p[:, 2]
        return np.asarray(np.where(total > _NONE, p[:, 1] / np.maximum(total, _NONE), np.nan))

    own, expected = ratio(found), ratio(prior)
    own, expected = np.where(np.isnan(own), expected, own), np.where(np.isnan(expected), own, expected)
    grey = np.nan_to_num((1 - weight) * own + weight * expected, nan=0.5)[:, None]
    return np.concatenate([found[:, :1], matter * grey, matter * (1 - grey)], axis=1)


def _doubt(mixture: TissueMixture) -> str:
    """Say why the tissues cannot be told apart; empty if they can."""
    means, (dark, bright) = mixture.means, mixture.separations
    if not means[0] < means[1] < means[2]:
        found = ", ".join(f"{n} {m:.4g}" for n, m in zip(("fluid", "grey matter", "white matter"), means, strict=True))
        return f"the tissues do not grow brighter from fluid over grey to white matter ({found}): not a T1-weighted image?"
    for gap, names in ((dark, "fluid and grey matter"), (bright, "grey and white matter")):
        if not gap >= _LEAST_SEPARATION:
            return f"{names} lie {gap:.2f} standard deviations apart, less than {_LEAST_SEPARATION:g}"
    if mixture.shares.min() < _LEAST_SHARE:
        return f"a tissue holds {mixture.shares.min():.1%} of the brain, less than {_LEAST_SHARE:.0%}"
    return ""


def _kept(prior: TissueProbabilities, why: str, quality: Mapping[str, float]) -> TissueProbabilities:
    reason = f"{prior.reason}; its image could not tell more: {why}"
    return replace(prior, is_fallback=True, reason=reason, quality={**prior.quality, **quality})


def tissue_from_labels(
    ids: np.ndarray, grid: Grid, *, brain: np.ndarray | None = None, lesion: np.ndarray | None = None
) -> TissueProbabilities:
    """Read the tissue of each voxel from FreeSurfer ids (aseg, aparc+aseg, wmparc, FastSurfer, SynthSeg).

    Parameters
    ----------
    ids
        (X, Y, Z) integers.
    grid
        Their grid.
    brain
        (X, Y, Z) bool: its voxels without an id of white or grey matter are fluid. All labelled voxels when left out.
    lesion
        (X, Y, Z) bool, filled with tissue, see `filled_lesion`.

    Returns
    -------
    TissueProbabilities
        0 or 1 in every voxel.

    Raises
    ------
    GridMismatchError
        If ids or a mask do not fit the grid.
    InputError
        If no voxel holds white or grey matter.
    """
    ids = np.asarray(ids)
    if ids.shape != grid.shape:
        raise GridMismatchError(f"labels of shape {ids.shape} do not fit a grid of shape {grid.shape}")
    brain = ids > 0 if brain is None else _mask(brain, grid, "brain mask")
    lesion = None if lesion is None else _mask(lesion, grid, "lesion")
    white = brain & (np.isin(ids, _WHITE) | ((ids >= _WHITE_RANGE[0]) & (ids < _WHITE_RANGE[1])))
    grey = brain & (np.isin(ids, _GREY) | ((ids >= _GREY_RANGE[0]) & (ids < _GREY_RANGE[1])))
    if not (white | grey).any():
        raise InputError("no voxel of the brain has a FreeSurfer id of white or grey matter; check the map of labels")
    quality = {"labelled_share": float((ids[brain] > 0).mean())}
    maps = _filled(white.astype(np.float32), grey.astype(np.float32), brain, lesion)
    return TissueProbabilities(*maps, grid, "labels", False, "FreeSurfer ids of the map of labels", quality)


def filled_lesion(white: np.ndarray, grey: np.ndarray, lesion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a lesion tissue to live in, so that a model of its growth has a start.

    Parameters
    ----------
    white, grey
        (X, Y, Z) shares.
    lesion
        (X, Y, Z) bool.

    Returns
    -------
    white, grey : numpy.ndarray
        (X, Y, Z) float32. Inside of the lesion the share of fluid goes to both in their ratio, all of it to white matter
        where there is neither.
    """
    total = white + grey
    some = lesion & (total > _NONE)
    scale = np.where(some, 1 / np.maximum(total, _NONE), 1)
    white, grey = (np.where(lesion & ~some, value, a * scale) for a, value in ((white, 1.0), (grey, 0.0)))
    return white.astype(np.float32), grey.astype(np.float32)


def _filled(
    white: np.ndarray, grey: np.ndarray, brain: np.ndarray, lesion: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill the lesion, and what remains of the brain with fluid."""
    inside = brain
    if lesion is not None:
        white, grey = filled_lesion(white, grey, lesion)
        inside = brain | lesion
    csf = np.where(inside, np.clip(1 - white - grey, 0, 1), 0)
    return white.astype(np.float32), grey.astype(np.float32), csf.astype(np.float32)


def _mask(mask: np.ndarray, grid: Grid, what: str) -> np.ndarray:
    if np.shape(mask) != grid.shape:
        raise GridMismatchError(f"a {what} of shape {np.shape(mask)} does not fit an image of shape {grid.shape}")
    return np.asarray(mask, bool)
