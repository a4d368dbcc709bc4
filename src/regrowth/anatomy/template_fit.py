"""How the template is brought to a patient's brain, and how good the fit is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.template import BrainTemplate
from regrowth.errors import EngineFailedError, InputError
from regrowth.registration.masks import cost_mask
from regrowth.registration.registrar import Kind, Metric, Registrar
from regrowth.registration.similarity import correlation, dice
from regrowth.registration.working import working_image
from regrowth.space import Grid, Image, Transform, resample_image, resample_mask

__all__ = ["PatientBrain", "TemplateFit", "fit_template", "patient_brain", "similarity_with_template"]

_WORKING_MM = 2.0
# Coils shade an image over centimetres; lobes are told apart by grey against white, which is finer.
_SHADING_MM = 20.0
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
    """

    image: Image
    brain: np.ndarray
    usable: np.ndarray


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
    usable = np.ones(work.grid.shape, bool)
    if lesion is not None and lesion.any():
        usable = ~resample_mask(~cost_mask(lesion, image.grid, margin_mm), image.grid, work.grid)
    inside = resample_mask(mask, image.grid, work.grid)
    if (inside & usable).sum() < 5000:
        raise EngineFailedError(
            f"the brain outside of the lesion holds {int((inside & usable).sum())} voxels of 2 mm, too few for a template"
        )
    return PatientBrain(work, inside, usable)


def fit_template(
    patient: PatientBrain, template: BrainTemplate, registrar: Registrar, parameters: AnatomyParameters, threads: int = 1
) -> TemplateFit:
    """Register the template to a patient from several starts.

    Affine maps come from mutual information and from local correlation, from the engine's own start and from the centroids
    of the brains; only where the best of them fails a check, from tilted heads too. The one of best similarity and mask
    overlap is refined deformably, if asked for; it stays affine where that made it worse.

    Raises
    ------
    EngineFailedError
        If every start failed in the engine.
    """
    errors: list[str] = []
    fits = _affine_fits(patient, template, registrar, _upright(patient, template), threads, errors)
    if all(fit.complaints(parameters) for fit in fits):
        fits += _affine_fits(patient, template, registrar, _tilted(patient, template), threads, errors)
    if not fits:
        raise EngineFailedError("the template could not be registered from any start: " + "; ".join(dict.fromkeys(errors)))
    best = max(fits, key=lambda fit: fit.score)
    if parameters.kind == "affine" or best.complaints(parameters):
        return best
    moved = _registered(patient, template, registrar, "deformable", "ncc", best.transform, threads)
    fit = _judged(moved, best.transform, patient, template)
    return fit if fit.score >= best.score else best


def similarity_with_template(image: np.ndarray, template: np.ndarray, use: np.ndarray, grid: Grid) -> float:
    """Correlation of two T1-weighted arrays (X, Y, Z) inside a mask after their shading is divided out.

    Both are divided by their mean over 20 mm (Gaussian, inside the mask) and limited to half and one and a half times it, so
    that coil profiles and vessels do not count. NaN where the mask holds no contrast.
    """
    if not use.any():
        return float("nan")
    return correlation(*(_unshaded(a, use, grid)[use] for a in (image, template)))


def _unshaded(data: np.ndarray, use: np.ndarray, grid: Grid) -> np.ndarray:
    sigma = _SHADING_MM / np.array(grid.spacing_mm)
    weight = ndimage.gaussian_filter(use.astype(np.float32), sigma)
    mean = ndimage.gaussian_filter(np.where(use, data, 0).astype(np.float32), sigma) / np.maximum(weight, 1e-3)
    return np.asarray(np.clip(data / np.maximum(mean, 1e-6), 0.5, 1.5))


def _upright(patient: PatientBrain, template: BrainTemplate) -> list[Transform | None]:
    """Give the usual starts: what the engine chooses, and the centroids of the brains on each other."""
    return [None, Transform.affine(_centred(patient, template, np.eye(3)))]


def _tilted(patient: PatientBrain, template: BrainTemplate) -> list[Transform | None]:
    """Give starts for heads that are nodded, shaken or leant by 25 degrees to either side."""
    out: list[Transform | None] = []
    for axis in range(3):
        for angle in np.deg2rad([-_TILT_DEG, _TILT_DEG]):
            turn = np.eye(3)
            a, b = [i for i in range(3) if i != axis]
            turn[a, a] = turn[b, b] = np.cos(angle)
            turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
            out.append(Transform.affine(_centred(patient, template, turn)))
    return out


def _centred(patient: PatientBrain, template: BrainTemplate, turn: np.ndarray) -> np.ndarray:
    """(4, 4) that turns a point of the patient about the centroid of the brain and puts it on the template's."""
    here = patient.image.grid.world(np.argwhere(patient.brain)).mean(axis=0)
    there = template.image.grid.world(np.argwhere(template.brain)).mean(axis=0)
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = turn, there - turn @ here
    return out


def _affine_fits(
    patient: PatientBrain,
    template: BrainTemplate,
    registrar: Registrar,
    starts: list[Transform | None],
    threads: int,
    errors: list[str],
) -> list[TemplateFit]:
    """Fit affine maps from each start: rigid first, then both metrics; what the engine refuses is noted in `errors`."""
    out = []
    metrics: tuple[Metric, ...] = ("ncc", "mi")
    for start in starts:
        try:
            rigid = _registered(patient, template, registrar, "rigid", "mi", start, threads)
        except (EngineFailedError, InputError) as error:
            errors.append(str(error).splitlines()[0])
            continue
        for metric in metrics:
            try:
                found = _registered(patient, template, registrar, "affine", metric, rigid, threads)
            except (EngineFailedError, InputError) as error:
                errors.append(str(error).splitlines()[0])
                continue
            out.append(_judged(found, found, patient, template))
    return out


def _registered(
    patient: PatientBrain,
    template: BrainTemplate,
    registrar: Registrar,
    kind: Kind,
    metric: Metric,
    initial: Transform | None,
    threads: int,
) -> Transform:
    return registrar.register(
        patient.image,
        template.image,
        kind,
        metric=metric,
        fixed_mask=None if patient.usable.all() else patient.usable,
        initial=initial,
        threads=threads,
    )


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
