"""How maps of the template are read at the voxels of a patient, who was registered onto it."""

from __future__ import annotations

from itertools import product

import numpy as np

from regrowth.errors import InputError
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform, resample_image

__all__ = ["from_template", "read_means"]

_READ_MM = 1.5  # maps are read at least this closely and averaged over a voxel
_TOLERANCES_MM = (0.1, 0.5)  # of the inverse of a registration; the second for fields that all but fold


def read_means(data: np.ndarray, source: Grid, grid: Grid, back: Transform, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Mean of maps of the template over every voxel of a part of a grid.

    Parameters
    ----------
    data
        (X, Y, Z, T) maps.
    source
        Grid of the maps.
    grid
        Grid of the patient's image.
    back
        ``from-template_to-image``.
    box
        Part of `grid` that is wanted.

    Returns
    -------
    numpy.ndarray
        (X', Y', Z', T) float32 on `grid`, 0 outside of the box; means over points at most 1.5 mm apart, so that thick slices
        hold shares.
    """
    shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    counts = [max(1, int(np.ceil(s / _READ_MM))) for s in grid.spacing_mm]
    total = np.zeros((*shape, data.shape[3]), np.float32)
    for place in product(*(range(n) for n in counts)):
        within = [(i + 0.5) / n - 0.5 for i, n in zip(place, counts, strict=True)]
        affine = grid.affine.copy()
        affine[:3, 3] = grid.world(np.array([s.start for s in box]) + within)
        total += resample_image(Image(data, source), Grid(shape, affine), back).data
    out = np.zeros((*grid.shape, data.shape[3]), np.float32)
    out[box] = total / np.prod(counts)
    return out


def from_template(to_template: Transform) -> tuple[Transform, str]:
    """Invert a registration onto the template.

    Parameters
    ----------
    to_template
        ``from-image_to-template``.

    Returns
    -------
    transform : Transform
        ``from-template_to-image``. Where the field folds so much that it has no inverse, that of the affine map that fits it
        best.
    how : str
        Which of the two it is, in words.
    """
    if to_template.is_linear:
        return to_template.inverse(), "by affine registration"
    split = _split(to_template)
    for tolerance in _TOLERANCES_MM:
        try:
            return split.inverse(tolerance_mm=tolerance), "by deformable registration"
        except InputError:
            continue
    return Transform(split.steps[1:]).inverse(), "by affine registration (the field folds and has no inverse)"


def _split(transform: Transform) -> Transform:
    """Write a single field as a small field and the matrix that fits it best: small fields can be inverted."""
    step = transform.steps[0]
    if len(transform.steps) != 1 or not isinstance(step, DisplacementMap):
        return transform
    x = Transform().map_grid(step.grid).reshape(-1, 3)
    y = x + step.displacement_mm.reshape(-1, 3)
    some = slice(None, None, max(1, len(x) // 50000))
    solution = np.linalg.lstsq(np.c_[x[some], np.ones(len(x[some]))], y[some], rcond=None)[0]
    matrix = np.eye(4)
    matrix[:3] = solution.T
    linear = AffineMap(matrix)
    near = AffineMap(np.linalg.inv(matrix)).map_points(y) - x
    small = DisplacementMap(near.reshape(*step.grid.shape, 3).astype(np.float32), step.grid)
    return Transform((small, linear), transform.from_space, transform.to_space, transform.moving, transform.fixed)
