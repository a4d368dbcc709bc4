"""Which voxels are head and which are brain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from regrowth.anatomy.template import BrainTemplate, brain_template
from regrowth.errors import EngineError, InputError
from regrowth.registration.registrar import Registrar
from regrowth.registration.similarity import mutual_information
from regrowth.registration.working import foreground
from regrowth.space import (
    Grid,
    Image,
    Transform,
    bounding_box,
    dilate_mm,
    erode_mm,
    largest_component,
    resample_image,
    resample_mask,
)

__all__ = ["BrainMask", "brain_mask", "head_mask", "is_skull_stripped"]

# A large brain with all its CSF holds 2 l, the smallest adult heads more than 3 l.
_LARGEST_BRAIN_ML = 2200.0
_SMALLEST_BRAIN_ML = 700.0
# The border is fitted to the tissue afterwards, finer voxels only cost time.
_TEMPLATE_MM = 3
# From template to head; the ICBM average is larger than most brains.
_STRETCH = (0.7, 1.2)


@dataclass(frozen=True, eq=False)
class BrainMask:
    """A brain mask and where it comes from.

    Parameters
    ----------
    mask
        (X, Y, Z) bool on the grid of the image.
    method
        ``data`` (the image was skull-stripped already), ``template`` or ``intensity``.
    is_fallback
        Whether a dedicated tool (HD-BET, SynthStrip) would do better.
    reason
        Why this method, in words.
    """

    mask: np.ndarray
    method: Literal["data", "template", "intensity"]
    is_fallback: bool
    reason: str


def head_mask(image: Image) -> np.ndarray:
    """Tell head from air: Otsu's threshold, closed by 4 mm, holes filled, largest component.

    Parameters
    ----------
    image
        (X, Y, Z) image, skull-stripped or not.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) bool.

    Raises
    ------
    InputError
        If the image has no contrast.
    """
    grid = image.grid
    # Filled before the largest component is chosen: a dark skull separates the scalp from a brain that is larger.
    mask = foreground(np.asarray(image.data, np.float32))
    reach = [int(np.ceil(8.0 / s)) for s in grid.spacing_mm]
    padded = np.pad(mask, [(n, n) for n in reach])
    wide = Grid(padded.shape, grid.affine)
    closed = erode_mm(dilate_mm(padded, wide, 4.0), wide, 4.0)
    closed = closed[tuple(slice(n, -n) for n in reach)] | mask
    return largest_component(_filled(closed))


def is_skull_stripped(image: Image) -> bool:
    """Tell whether everything but the brain was removed from an image (X, Y, Z).

    Three things must hold. The commonest value fills a fifth of the volume or more. It begins where the tissue ends: less
    than a tenth of the other voxels lies outside of the head mask (scanners fill the corners with 0 too, but have noise
    around the head). And what remains is no larger than a brain (2.2 l; a whole head whose air was set to 0 is larger).
    """
    data = np.asarray(image.data, np.float32)
    rest = ~_constant(data)
    if rest.mean() > 0.8 or not rest.any():
        return False
    if rest.sum() * image.grid.voxel_volume_ml > _LARGEST_BRAIN_ML:
        return False
    return bool((rest & ~head_mask(image)).sum() < 0.1 * rest.sum())


def brain_mask(
    image: Image, registrar: Registrar | None = None, *, lesion: np.ndarray | None = None, threads: int = 1
) -> BrainMask:
    """Find the brain.

    Parameters
    ----------
    image
        (X, Y, Z) image; T1-weighted is best for the template.
    registrar
        Engine that brings the template to the head; without it the template is not tried.
    lesion
        (X, Y, Z) bool: left out of the registration and added to the mask, where known.
    threads
        Threads of the engine.

    Returns
    -------
    BrainMask
        From the data where the image is skull-stripped; else the template, if its affine registration passes its checks; else
        by intensity and erosion. The last two are fallbacks: their border is some millimetres off.

    Raises
    ------
    InputError
        If the image has no contrast.
    """
    if image.data.ndim != 3:
        raise InputError(f"a brain mask needs one volume, not an array of shape {image.data.shape}; pick a time point")
    if is_skull_stripped(image):
        rest = ~_constant(np.asarray(image.data, np.float32))
        return BrainMask(_filled(largest_component(rest)), "data", False, "the image is skull-stripped already")
    head = head_mask(image)
    why = "no registration engine was given"
    if registrar is not None:
        try:
            mask, why = _by_template(image, head, registrar, brain_template(_TEMPLATE_MM), lesion, threads)
        except EngineError as error:
            mask, why = None, f"the template registration failed ({str(error).splitlines()[0]})"
        if mask is not None:
            return BrainMask(mask, "template", True, why)
    mask = _by_intensity(image, head)
    if lesion is not None:
        mask = mask | lesion
    return BrainMask(mask, "intensity", True, f"threshold and erosion of the head, because {why}")


def _by_template(
    image: Image,
    head: np.ndarray,
    registrar: Registrar,
    template: BrainTemplate,
    lesion: np.ndarray | None,
    threads: int,
) -> tuple[np.ndarray | None, str]:
    """Bring the template's brain to the head; the mask, or None and the check that failed."""
    grid = template.image.grid
    # The similarity looks at the template's brain and a rim of skull around it: the border is what holds the alignment.
    near = dilate_mm(template.brain, grid, 6.0)
    use = None if lesion is None else ~dilate_mm(lesion, image.grid, 2.0)
    found, why = _template_to_head(image, registrar, template, near, use, threads)
    if found is None:
        return None, why
    mask = resample_mask(template.brain, grid, image.grid, found.inverse())
    volume_ml = mask.sum() * image.grid.voxel_volume_ml
    outside = float((mask & ~head).sum() / max(int(mask.sum()), 1))
    if volume_ml < _SMALLEST_BRAIN_ML and not _is_cut(image.grid, grid, found):
        return None, f"the template's brain has only {volume_ml:.0f} ml there"
    if outside > 0.05:
        return None, f"{outside:.0%} of the template's brain lies outside of the head"
    refined = _tissue_inside(image, mask) & head
    if lesion is not None:
        refined = refined | (lesion & head)
    return refined, f"ICBM template by affine registration ({registrar.name}), border by intensity"


def _template_to_head(
    image: Image,
    registrar: Registrar,
    template: BrainTemplate,
    near: np.ndarray,
    use: np.ndarray | None,
    threads: int,
) -> tuple[Transform | None, str]:
    """Find ``from-head_to-template``: rigid by mutual information, two affine ones from there, the most alike of the three.

    Mutual information takes any contrast, but it has no sign and may stretch the brain to the scalp; correlation does not,
    but it needs a T1. What no head needs is left out before the choice.
    """
    options = {"fixed_mask": near, "moving_mask": use, "threads": threads}
    rigid = registrar.register(template.image, image, "rigid", metric="mi", **options)  # type: ignore[arg-type]
    found = [rigid]
    for metric in ("mi", "ncc"):
        found.append(registrar.register(template.image, image, "affine", metric=metric, initial=rigid, **options))  # type: ignore[arg-type]

    def alike(transform: Transform) -> float:
        moved = resample_image(image, template.image.grid, transform).data
        return mutual_information(template.image.data[near], moved[near])

    stretches = [np.linalg.svd(t.matrix[:3, :3], compute_uv=False) for t in found]
    fitting = [t for t, s in zip(found, stretches, strict=True) if s.min() > _STRETCH[0] and s.max() < _STRETCH[1]]
    if not fitting:
        return None, f"the template was stretched by {stretches[0].min():.2f} to {stretches[0].max():.2f}, which no head needs"
    return max(fitting, key=alike), ""


def _is_cut(grid: Grid, template: Grid, found: Transform) -> bool:
    """Tell whether the field of view misses part of the template's volume."""
    at = grid.index(found.map_points(template.corners_mm() * 0.75))
    return bool(((at < 0) | (at > np.array(grid.shape) - 1)).any())


def _tissue_inside(image: Image, mask: np.ndarray) -> np.ndarray:
    """Fit the border of an affine brain mask to the tissue: at most 3 mm outwards, bright enough, no thin bridges."""
    grid = image.grid
    data = np.asarray(image.data, np.float32)
    inner = erode_mm(mask, grid, 8.0)
    level = float(np.median(data[inner])) if inner.any() else float(np.median(data[mask]))
    tissue = dilate_mm(mask, grid, 3.0) & (data > 0.4 * level)
    core = largest_component(erode_mm(tissue, grid, 2.0))
    opened = dilate_mm(core, grid, 3.0) & tissue
    # Ventricles and sulci are dark but belong to it; far inside the template nothing is taken away.
    return _filled(opened | erode_mm(mask, grid, 5.0))


def _by_intensity(image: Image, head: np.ndarray) -> np.ndarray:
    """Take the largest tissue mass well inside the head."""
    grid = image.grid
    data = np.asarray(image.data, np.float32)
    deep = erode_mm(np.pad(head, 1), Grid(tuple(n + 2 for n in head.shape), grid.affine), 12.0)[1:-1, 1:-1, 1:-1]
    if not deep.any():
        return head
    tissue = deep & foreground(data)
    core = largest_component(erode_mm(tissue, grid, 4.0))
    if not core.any():
        return largest_component(deep)
    return _filled(dilate_mm(core, grid, 8.0) & deep)


def _constant(data: np.ndarray) -> np.ndarray:
    """Find the voxels of the commonest value (X, Y, Z); resampling may have left 0.1 % of ringing."""
    values, counts = np.unique(data, return_counts=True)
    commonest = values[counts.argmax()]
    scale = float(np.percentile(np.abs(data - commonest), 99))
    return np.asarray(np.abs(data - commonest) <= 1e-3 * scale)


def _filled(mask: np.ndarray) -> np.ndarray:
    """Fill holes, slice by slice along every axis as well: a cut volume leaves the ventricles open at its border."""
    out = np.asarray(ndimage.binary_fill_holes(mask))
    box = bounding_box(out)
    part = out[box]
    plane = ndimage.generate_binary_structure(2, 1)[None]
    for axis in range(3):
        turned = np.moveaxis(part, axis, 0)
        # A structure of one slice keeps the filling within the slice.
        filled = ndimage.binary_fill_holes(turned, structure=plane)
        part = np.moveaxis(filled, 0, axis)
    out[box] = part
    return out
