"""How the template is brought to a patient's brain, and how good the fit is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.template import BrainTemplate
from regrowth.errors import EngineFailedError, InputError
from regrowth.registration.masks import cost_mask
from regrowth.registration.registrar import Metric, Registrar
from regrowth.registration.similarity import correlation, dice
from regrowth.registration.working import working_image
from regrowth.space import Grid, Image, Transform, resample_image, resample_mask

__all__ = ["PatientBrain", "TemplateFit", "fit_template", "patient_brain", "similarity_with_template"]

_WORKING_MM = 2.0
# Enough for mutual information to find a head, and an eighth of the voxels.
_START_MM = 4.0
# Coils shade an image over centimetres; lobes are told apart by grey against white, which is finer.
_SHADING_MM = 20.0
_DETAIL_MM = 2.0
_TILT_DEG = 25.0


@dataclass(frozen=True, eq=False)
class PatientBrain:
    """A patient's brain, ready for the template.

    Parameters
    ----------
    image
        (X, Y, Z) without skull, cubic voxels of 2 mm or more, cropped to the brain.
    brain, usable
        (X, Y, Z) bool on its grid: the brain, and where the similarity may look (everywhere but the lesion).
    coarse, coarse_usable
        The image and the latter at 4 mm, for the starts.
    """

    image: Image
    brain: np.ndarray
    usable: np.ndarray
    coarse: Image
    coarse_usable: np.ndarray


@dataclass(frozen=True, eq=False)
class TemplateFit:
    """A map between template and patient with its quality.

    Parameters
    ----------
    transform
        ``from-template_to-image``: maps points of the patient to the template.
    affine
        Its linear stage.
    mask_dice
        Overlap of the template's brain with the patient's.
    similarity
        See `similarity_with_template`.
    stretch
        Least and largest factor by which the affine stage stretches the template.
    """

    transform: Transform
    affine: Transform
    mask_dice: float
    similarity: float
    stretch: tuple[float, float]

    @property
    def score(self) -> float:
        """What the starts are compared by: similarity and overlap of the brains."""
        return float(np.nan_to_num(self.similarity, nan=-1.0) + self.mask_dice)

    def complaints(self, parameters: AnatomyParameters) -> list[str]:
        """List the checks that the fit fails, with their figures."""
        p, out = parameters, []
        if not self.mask_dice >= p.min_mask_dice:
            out.append(f"the brains overlap by a Dice of {self.mask_dice:.2f}, less than min_mask_dice {p.min_mask_dice:g}")
        if not self.similarity >= p.min_similarity:
            out.append(
                f"the correlation inside the brain is {self.similarity:.2f}, less than min_similarity {p.min_similarity:g}"
            )
        if self.stretch[0] < p.min_stretch or self.stretch[1] > p.max_stretch:
            out.append(
                f"the template is stretched by {self.stretch[0]:.2f} to {self.stretch[1]:.2f}, beyond min_stretch "
                f"{p.min_stretch:g} and max_stretch {p.max_stretch:g}"
            )
        return out


def patient_brain(image: Image, brain: np.ndarray, lesion: np.ndarray | None, margin_mm: float) -> PatientBrain:
    """Strip the skull and coarsen to 2 mm, where lobes are decided.

    Outside of the brain the image becomes 0, as in the template: the border of the brain is what holds an alignment, so that
    only the lesion is left out of the similarity.

    Raises
    ------
    EngineFailedError
        If the brain holds fewer voxels than a registration can use.
    InputError
        If the image has no contrast.
    """
    mask = np.asarray(brain, bool) if lesion is None else np.asarray(brain, bool) | lesion
    data = np.asarray(image.data, np.float32)
    # A bright lesion or fat left by the mask must not squeeze the tissue into a few grey levels.
    top = np.percentile(data[mask], 99.5)
    stripped = np.where(mask, np.clip(data - min(float(data[mask].min()), 0.0), 0, top), 0)
    work = working_image(image.with_data(stripped), _WORKING_MM)
    coarse = working_image(image.with_data(stripped), _START_MM)
    seen = np.ones(image.grid.shape, bool) if lesion is None else cost_mask(lesion, image.grid, margin_mm)
    usable, coarse_usable = (~resample_mask(~seen, image.grid, i.grid) for i in (work, coarse))
    inside = resample_mask(mask, image.grid, work.grid)
    if (inside & usable).sum() < 5000:
        raise EngineFailedError(
            f"the brain outside of the lesion holds {int((inside & usable).sum())} voxels of 2 mm, too few for a template"
        )
    return PatientBrain(work, inside, usable, coarse, coarse_usable)


def fit_template(
    patient: PatientBrain, template: BrainTemplate, registrar: Registrar, parameters: AnatomyParameters, threads: int = 1
) -> TemplateFit:
    """Register the template to a patient from several starts.

    Two affine maps by local correlation: from a rigid one by mutual information where the engine starts by itself, and from
    the centroids of the brains on each other. Only where both fail a check, more are tried: affine maps by mutual
    information, and heads that are nodded, shaken or leant by 25 degrees. The one of best similarity and mask overlap is
    refined deformably, if asked for; it stays affine where that made it worse.

    Returns
    -------
    TemplateFit
        The best one, which may fail the checks: ask its `complaints`. One whose affine stage fails is not refined, since a
        field can make any two brains alike.

    Raises
    ------
    EngineFailedError
        If every start failed in the engine.
    """
    fits: list[TemplateFit] = []
    errors: list[str] = []
    for start in (*_usual_starts(patient, template), *_tilted_starts(patient, template)):
        if start.is_tilted and any(not fit.complaints(parameters) for fit in fits):
            break
        try:
            found = _affine(patient, template, registrar, start, threads)
        except (EngineFailedError, InputError) as error:
            errors.append(str(error).splitlines()[0])
            continue
        fits.append(_judged(found, found, patient, template))
    if not fits:
        raise EngineFailedError("the template could not be registered from any start: " + "; ".join(dict.fromkeys(errors)))
    best = max(fits, key=lambda fit: fit.score)
    if parameters.kind == "affine" or best.complaints(parameters):
        return best
    moved = registrar.register(
        patient.image,
        template.image,
        "deformable",
        fixed_mask=_mask(patient.usable),
        initial=best.transform,
        threads=threads,
    )
    fit = _judged(moved, best.transform, patient, template)
    return fit if fit.score >= best.score else best


def similarity_with_template(image: np.ndarray, template: np.ndarray, use: np.ndarray, grid: Grid) -> float:
    """Correlation of two T1-weighted arrays (X, Y, Z) inside a mask, without their shading and finest detail.

    Both are smoothed by 2 mm, divided by their mean over 20 mm (Gaussians within the mask) and limited to half and one and a
    half times it, so that coil profiles, vessels and thick slices do not count. NaN where the mask holds no contrast. Good
    affine fits reached 0.48 to 0.81 on real and synthetic brains, the best fits of brains that were turned upside down or
    front to back 0.20 to 0.38.
    """
    if not use.any():
        return float("nan")
    return correlation(*(_unshaded(a, use, grid)[use] for a in (image, template)))


def _unshaded(data: np.ndarray, use: np.ndarray, grid: Grid) -> np.ndarray:
    return np.asarray(
        np.clip(_mean(data, use, grid, _DETAIL_MM) / np.maximum(_mean(data, use, grid, _SHADING_MM), 1e-6), 0.5, 1.5)
    )


def _mean(data: np.ndarray, use: np.ndarray, grid: Grid, sigma_mm: float) -> np.ndarray:
    sigma = sigma_mm / np.array(grid.spacing_mm)
    weight = ndimage.gaussian_filter(use.astype(np.float32), sigma)
    return np.asarray(ndimage.gaussian_filter(np.where(use, data, 0).astype(np.float32), sigma) / np.maximum(weight, 1e-3))


@dataclass(frozen=True, eq=False)
class _Start:
    """Where an affine registration begins and what it looks at; without `initial` the engine chooses."""

    initial: Transform | None
    rigid: Metric
    affine: Metric
    is_tilted: bool = False


def _usual_starts(patient: PatientBrain, template: BrainTemplate) -> list[_Start]:
    centred = Transform.affine(_centred(patient, template, np.eye(3)))
    return [_Start(None, "mi", "ncc"), _Start(centred, "ncc", "ncc")]


def _tilted_starts(patient: PatientBrain, template: BrainTemplate) -> list[_Start]:
    out = [_Start(None, "mi", "mi", True)]
    for axis in range(3):
        for angle in np.deg2rad([-_TILT_DEG, _TILT_DEG]):
            turn = np.eye(3)
            a, b = [i for i in range(3) if i != axis]
            turn[a, a] = turn[b, b] = np.cos(angle)
            turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
            out.append(_Start(Transform.affine(_centred(patient, template, turn)), "ncc", "ncc", True))
    return out


def _centred(patient: PatientBrain, template: BrainTemplate, turn: np.ndarray) -> np.ndarray:
    """(4, 4) that turns a point of the patient about the centroid of the brain and puts it on the template's."""
    here = patient.image.grid.world(np.argwhere(patient.brain)).mean(axis=0)
    there = template.image.grid.world(np.argwhere(template.brain)).mean(axis=0)
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = turn, there - turn @ here
    return out


def _affine(patient: PatientBrain, template: BrainTemplate, registrar: Registrar, start: _Start, threads: int) -> Transform:
    rigid = registrar.register(
        patient.coarse,
        template.image,
        "rigid",
        metric=start.rigid,
        fixed_mask=_mask(patient.coarse_usable),
        initial=start.initial,
        threads=threads,
    )
    return registrar.register(
        patient.image,
        template.image,
        "affine",
        metric=start.affine,
        fixed_mask=_mask(patient.usable),
        initial=rigid,
        threads=threads,
    )


def _mask(usable: np.ndarray) -> np.ndarray | None:
    return None if usable.all() else usable


def _judged(transform: Transform, affine: Transform, patient: PatientBrain, template: BrainTemplate) -> TemplateFit:
    grid = patient.image.grid
    there = resample_mask(template.brain, template.image.grid, grid, transform)
    moved = resample_image(template.image, grid, transform).data
    use = patient.brain & there & patient.usable
    # The matrix maps the patient to the template, so that its inverse is what the template suffers.
    stretches = 1 / np.linalg.svd(affine.matrix[:3, :3], compute_uv=False)
    return TemplateFit(
        transform,
        affine,
        # A lesion at the rim may have taken the border of the brain with it.
        dice(there & patient.usable, patient.brain & patient.usable),
        similarity_with_template(patient.image.data, moved, use, grid),
        (float(stretches.min()), float(stretches.max())),
    )
