"""Which regions a patient's brain has, by registration of the embedded template: the default that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from regrowth.anatomy.atlas import lobe_atlas, lobe_atlas_card
from regrowth.anatomy.brain import brain_mask
from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.parcellation import Parcellation
from regrowth.anatomy.regions import LOBES, RegionMap
from regrowth.anatomy.template import brain_template
from regrowth.anatomy.template_fit import TemplateFit, fit_template, patient_brain
from regrowth.errors import EngineFailedError, GridMismatchError, InputError
from regrowth.registration.registrar import Registrar
from regrowth.space import Grid, Image, Transform, bounding_box

__all__ = ["TemplateParcellator"]

# The patient's brain reaches beyond the warped template by a few millimetres; further away nothing is guessed.
_FILL_MM = 10.0
_REMEDY = (
    "give a parcellation of this brain with --derivatives (FreeSurfer or FastSurfer aparc+aseg, SynthSeg --parc), install "
    "SynthSeg (mri_synthseg), or check the image's orientation and its brain mask"
)


@dataclass(frozen=True)
class TemplateParcellator:
    """Region map by registration of the ICBM template with our own lobe map.

    The lesion is left out of the similarity, several affine starts are tried, and a fit that fails a check is refused. Lobes
    and hemispheres are good to some millimetres (`benchmarks/README.md`). What an average brain cannot know is poorer: the
    ventricles where they are large, compressed or shifted, the corpus callosum near a tumour, and gyri anywhere. The
    template is symmetric: left and right come from the affine of the image alone, so that a file whose affine is mirrored
    gives mirrored sides, and no check can tell.

    Parameters
    ----------
    registrar
        Engine with rigid and affine registration by ``mi`` and ``ncc``, and deformable by ``ncc``.
    parameters
        Last stage and thresholds.
    """

    registrar: Registrar
    parameters: AnatomyParameters = field(default_factory=AnatomyParameters)
    name: str = "template"
    citation: str = (
        "Fonov et al. 2011, Unbiased average age-appropriate atlases, doi:10.1016/j.neuroimage.2010.07.033; lobes after "
        "Desikan et al. 2006, doi:10.1016/j.neuroimage.2006.01.021"
    )

    @property
    def version(self) -> str:
        """First digits of the hash of the lobe map, and the registration engine with its version."""
        return f"{str(lobe_atlas_card()['sha256'])[:12]} ({self.registrar.name} {self.registrar.version})"

    def parcellate(
        self, image: Image, *, lesion: np.ndarray | None = None, brain: np.ndarray | None = None, threads: int = 1
    ) -> Parcellation:
        """Find the regions (see `Parcellator.parcellate`).

        Without `brain` it is looked for by `brain_mask`. The regions fill the brain and the lesion; a voxel further than
        10 mm from the warped lobe map stays 0.

        Raises
        ------
        EngineFailedError
            If the fit fails a check; the message says which, and what to do.
        """
        image, lesion, brain = _checked(image, lesion, brain)
        if brain is None:
            brain = brain_mask(image, self.registrar, lesion=lesion, threads=threads).mask
        if not brain.any():
            raise InputError("the brain mask is empty; give one that fits the image, or none")
        patient = patient_brain(image, brain, lesion, self.parameters.lesion_margin_mm)
        template = brain_template(2)
        fit = fit_template(patient, template, self.registrar, self.parameters, threads)
        complaints = fit.complaints(self.parameters)
        if complaints:
            raise EngineFailedError(f"the template does not fit this brain: {'; '.join(complaints)}; {_REMEDY}")
        inside = brain if lesion is None else brain | lesion
        regions = _carried(lobe_atlas(), fit.transform, image.grid, inside)
        imbalance = _imbalance(regions)
        if not imbalance <= self.parameters.max_imbalance:
            raise EngineFailedError(
                f"the template does not fit this brain: its hemispheres differ by {imbalance:.2f} of the cerebrum, more than "
                f"max_imbalance {self.parameters.max_imbalance:g}; {_REMEDY}"
            )
        to_template, kind = _to_template(fit, image.grid, template.image.grid)
        quality = {
            "mask_dice": fit.mask_dice,
            "similarity": fit.similarity,
            "stretch_min": fit.stretch[0],
            "stretch_max": fit.stretch[1],
            "imbalance": imbalance,
            "assigned_share": float((regions.data[inside] > 0).mean()),
        }
        reason = f"ICBM template by {kind} registration ({self.registrar.name}), lesion left out"
        return Parcellation(regions, "template", True, reason, quality, to_template)


def _checked(
    image: Image, lesion: np.ndarray | None, brain: np.ndarray | None
) -> tuple[Image, np.ndarray | None, np.ndarray | None]:
    if image.data.ndim != 3:
        raise InputError(f"a region map needs one volume, not an array of shape {image.data.shape}; pick a time point")
    masks = []
    for what, mask in (("lesion", lesion), ("brain mask", brain)):
        if mask is not None and np.shape(mask) != image.grid.shape:
            raise GridMismatchError(f"a {what} of shape {np.shape(mask)} does not fit an image of shape {image.grid.shape}")
        masks.append(None if mask is None else np.asarray(mask, bool))
    data = np.asarray(image.data, np.float32)
    if not np.isfinite(data).all():
        raise InputError("the image holds NaN or infinite values; repair it or set them to 0")
    return image.with_data(data), masks[0], masks[1]


def _carried(atlas: RegionMap, transform: Transform, grid: Grid, inside: np.ndarray) -> RegionMap:
    """Read the atlas at every voxel of the brain; its gaps within 10 mm get the nearest region."""
    out = np.zeros(grid.shape, np.uint8)
    margin = [int(np.ceil(_FILL_MM / s)) for s in grid.spacing_mm]
    box = bounding_box(inside, (margin[0], margin[1], margin[2]))
    at = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1)
    regions = np.zeros(at.shape[:3], np.uint8)
    for row in range(0, len(at), 16):  # bounds memory
        where = np.rint(atlas.grid.index(transform.map_points(grid.world(at[row : row + 16])))).astype(np.int32)
        seen = ((where >= 0) & (where < atlas.grid.shape)).all(axis=-1)
        regions[row : row + 16][seen] = atlas.data[tuple(where[seen].T)]
    gaps = inside[box] & (regions == 0)
    if gaps.any() and regions.any():
        away, index = ndimage.distance_transform_edt(regions == 0, sampling=grid.spacing_mm, return_indices=True)
        gaps &= away <= _FILL_MM
        regions[gaps] = regions[tuple(index)][gaps]
    out[box] = np.where(inside[box], regions, 0)
    return RegionMap(out, grid, LOBES)


def _imbalance(regions: RegionMap) -> float:
    """Give |left - right| / (left + right) of lobes and deep grey matter; NaN without any."""
    sides = [
        sum(int((regions.data == r.value).sum()) for r in LOBES.select(side=side) if r.kind in ("lobe", "deep"))
        for side in ("left", "right")
    ]
    return abs(sides[0] - sides[1]) / sum(sides) if sum(sides) else float("nan")


def _to_template(fit: TemplateFit, image: Grid, template: Grid) -> tuple[Transform, str]:
    """Invert the fit; where its field folds too much for that, its affine stage stands in."""
    kind = "affine" if fit.transform.is_linear else "deformable"
    try:
        inverse = fit.transform.inverse(tolerance_mm=0.1)
    except InputError:
        inverse, kind = fit.affine.inverse(), f"{kind} (to the template: affine, because the field folds)"
    return replace(inverse, from_space="image", to_space="template", moving=image, fixed=template), kind
