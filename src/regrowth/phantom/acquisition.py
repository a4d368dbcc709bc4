"""How a scene becomes images: the noiseless picture of an exam, then what a scanner does to each sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.labels import LabelScheme
from regrowth.phantom.contrast import SIGNALS, LesionDepths, signal
from regrowth.phantom.deformation import rigid_matrix
from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.scene import Scene
from regrowth.space import AffineMap, Grid, Image, LabelMap, Transform, resample_image

__all__ = ["Picture", "acquired", "drawn_motion", "exam_grid", "pictured", "sequence_grid"]

_MARGIN_MM = 7.0  # of an image around the brain
_HALO_MM = 6.0  # painted outside of the brain, so that interpolation at its border sees no step
_ROWS = 24


@dataclass(frozen=True, eq=False)
class Picture:
    """What an exam shows before a scanner looks at it, on the grid of its T1wce.

    Parameters
    ----------
    signals
        Sequence to (X, Y, Z) float32 without bias and noise.
    segmentation
        True labels.
    brain
        (X, Y, Z) bool.
    """

    signals: dict[str, np.ndarray]
    segmentation: LabelMap
    brain: np.ndarray


def exam_grid(scene: Scene, exam: int, spacing_mm: float, orientation: str) -> Grid:
    """Make the grid of the T1wce of an exam, which holds the whole brain.

    Parameters
    ----------
    scene
        The patient.
    exam
        0 baseline, 1 follow-up.
    spacing_mm
        Isotropic spacing.
    orientation
        Directions of the axes: three letters as in ``LPS``.
    """
    points = scene.lattice.world(np.argwhere(scene.depth_mm > -1))
    if exam == 1:
        # The brain changes within its border only, so that the head's motion tells where that lies.
        head = scene.followup_to_baseline_points.steps[0]
        assert isinstance(head, AffineMap)
        points = AffineMap(np.linalg.inv(head.matrix)).map_points(points)
    return _oriented(points.min(axis=0) - _MARGIN_MM, points.max(axis=0) + _MARGIN_MM, (spacing_mm,) * 3, orientation)


def sequence_grid(reference: Grid, slice_mm: float, orientation: str, offset_mm: np.ndarray) -> Grid:
    """Make the grid of another sequence: the field of view of the reference, shifted, with its own axes and slices.

    Parameters
    ----------
    reference
        Grid of the T1wce.
    slice_mm
        Spacing of the axial slices.
    orientation
        Directions of the axes.
    offset_mm
        (3,) shift of the field of view.
    """
    corners = reference.corners_mm() + offset_mm
    spacing = reference.spacing_mm
    return _oriented(corners.min(axis=0), corners.max(axis=0), (spacing[0], spacing[1], slice_mm), orientation)


def pictured(scene: Scene, exam: int, grid: Grid, scheme: LabelScheme) -> Picture:
    """Paint an exam.

    Parameters
    ----------
    scene
        The patient.
    exam
        0 baseline, 1 follow-up.
    grid
        Grid of the T1wce.
    scheme
        Scheme of the labels; it must name NETC, SNFH, ET and RC.
    """
    signals = {name: np.full(grid.shape, level["CSF"], np.float32) for name, level in SIGNALS.items()}
    labels = np.zeros(grid.shape, np.uint8)
    brain = np.zeros(grid.shape, bool)
    for start in range(0, grid.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        points = scene.points_in_baseline(exam, Transform().map_grid(grid, rows))
        near = scene.fields((scene.depth_mm,), points)[0] > -_HALO_MM
        if not near.any():
            continue
        points = points[near]
        tissue = scene.tissue(points)
        lesion = _lesion_depths(scene, exam, points)
        for name, image in signals.items():
            image[rows][near] = signal(name, tissue, lesion)
        inside = tissue.depth_mm > 0
        brain[rows][near] = inside
        labels[rows][near] = _labels(lesion, tissue.csf, scheme) * inside
    return Picture(signals, LabelMap(labels, grid, scheme), brain)


def acquired(
    picture: Picture,
    sequence: str,
    grid: Grid,
    motion: Transform,
    thickness: int,
    parameters: PhantomParameters,
    rng: np.random.Generator,
) -> Image:
    """Take an image of an exam.

    Parameters
    ----------
    picture
        What there is to see.
    sequence
        Which contrast.
    grid
        Grid of the image.
    motion
        ``from-sequence_to-T1wce``: maps points of the T1wce to the image.
    thickness
        How many thin slices each slice averages; 1 for thin ones.
    parameters
        ``noise``, ``bias``, ``gain``.
    rng
        Source of randomness.

    Returns
    -------
    Image
        Whole numbers from 0 to about 1500, float32, exactly 0 outside of the brain.
    """
    reference = picture.segmentation.grid
    data, brain = picture.signals[sequence], picture.brain.astype(np.float32)
    if grid != reference or motion.steps:
        fine = _thin(grid, thickness)
        pull = motion.inverse()
        data = _averaged(resample_image(Image(data, reference), fine, pull, order=3).data, grid, thickness)
        brain = _averaged(resample_image(Image(brain, reference), fine, pull).data, grid, thickness)
    inside = brain >= 0.5
    gain = np.exp(np.clip(parameters.gain * rng.standard_normal(), -0.35, 0.25))
    values = data[inside] * _bias(grid, parameters.bias, rng)[inside] * np.float32(gain)
    sigma = np.float32(parameters.noise * SIGNALS[sequence]["WM"] * gain)
    real = values + sigma * rng.standard_normal(values.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(values.shape, dtype=np.float32)
    out = np.zeros(grid.shape, np.float32)
    # At least 1 inside, so that the brain can be told from the background.
    out[inside] = np.maximum(np.rint(np.hypot(real, imaginary)), 1)
    return Image(out, grid)


def drawn_motion(reference: Grid, sequence: str, parameters: PhantomParameters, rng: np.random.Generator) -> Transform:
    """Draw how the head moved between T1wce and another sequence, ``from-<sequence>_to-T1wce``."""
    centre = reference.world((np.array(reference.shape) - 1) / 2)
    angles = rng.uniform(-1, 1, 3) * parameters.sequence_rotation_deg
    shift = rng.uniform(-1, 1, 3) * parameters.sequence_shift_mm
    return Transform((AffineMap(rigid_matrix(angles, shift, centre)),), sequence, "T1wce")


def _lesion_depths(scene: Scene, exam: int, points: np.ndarray) -> LesionDepths:
    lesions = scene.lesions[exam]
    parts = (lesions.core, lesions.rim, lesions.oedema, lesions.cavity, scene.texture, scene.vessels)
    return LesionDepths(*scene.fields(parts, points))


def _labels(lesion: LesionDepths, csf: np.ndarray, scheme: LabelScheme) -> np.ndarray:
    out = np.zeros(lesion.core.shape, np.uint8)
    out[(lesion.oedema > 0) & (csf < 0.5)] = scheme.values["SNFH"]
    out[lesion.cavity > 0] = scheme.values["RC"]
    out[lesion.core > 0] = scheme.values["ET"]
    out[(lesion.core > 0) & (lesion.core > lesion.rim)] = scheme.values["NETC"]
    return out


def _oriented(low: np.ndarray, high: np.ndarray, spacing: tuple[float, float, float], orientation: str) -> Grid:
    """Grid over a box of RAS+ mm whose axes run along x, y, z in the directions of three letters."""
    step = np.array(spacing)
    shape = np.ceil((high - low) / step).astype(int) + 1
    signs = np.array([-1.0 if letter in "LPI" else 1.0 for letter in orientation])
    affine = np.diag([*(signs * step), 1.0])
    affine[:3, 3] = (low + high) / 2 - signs * step * (shape - 1) / 2
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _thin(grid: Grid, thickness: int) -> Grid:
    """Grid with each slice cut into `thickness` thin ones."""
    if thickness == 1:
        return grid
    affine = grid.affine.copy()
    affine[:3, 2] /= thickness
    affine[:3, 3] -= affine[:3, 2] * (thickness - 1) / 2
    return Grid((grid.shape[0], grid.shape[1], grid.shape[2] * thickness), affine)


def _averaged(data: np.ndarray, grid: Grid, thickness: int) -> np.ndarray:
    return data if thickness == 1 else np.asarray(data.reshape(*grid.shape, thickness).mean(axis=-1), dtype=np.float32)


def _bias(grid: Grid, rms: float, rng: np.random.Generator) -> np.ndarray:
    """(X, Y, Z) smooth gain: the exponential of a random polynomial of second degree."""
    x, y, z = (
        np.linspace(-1, 1, n, dtype=np.float32).reshape([-1 if a == i else 1 for a in range(3)])
        for i, n in enumerate(grid.shape)
    )
    terms = (x, y, z, x * y, x * z, y * z, x * x, y * y, z * z)
    weights = rng.standard_normal(len(terms)).astype(np.float32)
    total = np.zeros(grid.shape, np.float32)
    for weight, term in zip(weights, terms, strict=True):
        total += weight * (term - term.mean())
    return np.exp(total * np.float32(rms / max(float(total.std()), 1e-6)))
