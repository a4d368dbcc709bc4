"""How an image or a segmentation is brought onto another grid: once, through one composed transform.

The ladder: `sample_points` works on arrays, `resample_image` and `resample_labels` on images.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from regrowth.errors import ParameterError
from regrowth.space.grid import Grid
from regrowth.space.image import Image, LabelMap
from regrowth.space.transform import Transform

__all__ = ["resample_image", "resample_labels", "resample_mask", "sample_points"]

_ROWS = 16  # rows of the target handled at a time, which bounds memory to a few hundred MB at 1 mm


def sample_points(data: np.ndarray, index: np.ndarray, order: int = 1, fill: float = 0.0) -> np.ndarray:
    """Read an array between its voxels.

    Parameters
    ----------
    data
        (X, Y, Z) values; spline-filtered already where `order` is above 1.
    index
        (..., 3) voxel indices.
    order
        0 nearest, 1 linear, 3 cubic B-spline.
    fill
        Value more than half a voxel beyond the array.

    Returns
    -------
    numpy.ndarray
        (...) values.
    """
    coordinates = np.moveaxis(index, -1, 0)
    top = np.array(data.shape).reshape(3, *([1] * (coordinates.ndim - 1)))
    outside = ((coordinates < -0.5) | (coordinates > top - 0.5)).any(axis=0)
    out = ndimage.map_coordinates(data, coordinates, order=order, mode="nearest", prefilter=False)
    out[outside] = fill
    return out


def resample_image(
    image: Image, grid: Grid, transform: Transform | None = None, *, order: Literal[0, 1, 3] = 1, fill: float = 0.0
) -> Image:
    """Bring an image onto a grid in one interpolation.

    Parameters
    ----------
    image
        Image in the moving space, (X, Y, Z) or (X, Y, Z, T).
    grid
        Target grid in the fixed space.
    transform
        ``from-moving_to-fixed``; the identity when left out.
    order
        1 linear, 3 cubic B-spline, 0 nearest neighbour.
    fill
        Value where the target lies outside of the image.

    Returns
    -------
    Image
        float32 on `grid`, in the unit of `image`. Cubic interpolation overshoots at edges; its values are clipped to the
        range of the image (and `fill`), so that air stays air.
    """
    if order not in (0, 1, 3):
        raise ParameterError(f"interpolation order {order} is not offered; use 0 (nearest), 1 (linear) or 3 (cubic B-spline)")
    transform = transform or Transform()
    volumes = image.data[..., None] if image.data.ndim == 3 else image.data
    out = np.empty((*grid.shape, volumes.shape[3]), np.float32)
    sources = [
        ndimage.spline_filter(volumes[..., t].astype(np.float64), order=3, mode="nearest", output=np.float32)
        if order == 3
        else np.asarray(volumes[..., t], np.float32)
        for t in range(volumes.shape[3])
    ]
    for start in range(0, grid.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        index = image.grid.index(transform.map_grid(grid, rows))
        for t, source in enumerate(sources):
            out[rows, ..., t] = sample_points(source, index, order, fill)
    if order == 3:
        np.clip(out, min(fill, volumes.min()), max(fill, volumes.max()), out=out)
    return Image(out if image.data.ndim == 4 else out[..., 0], grid, image.unit)


def resample_labels(
    labels: LabelMap, grid: Grid, transform: Transform | None = None, *, method: Literal["generic", "nearest"] = "generic"
) -> LabelMap:
    """Bring a segmentation onto a grid.

    Parameters
    ----------
    labels
        Segmentation in the moving space.
    grid
        Target grid in the fixed space.
    transform
        ``from-moving_to-fixed``; the identity when left out.
    method
        ``generic``: every label is interpolated linearly and the largest wins, so that borders lie closer to the truth
        where the grids are turned against each other (shifted along one axis only, both agree); ``nearest``: the value
        of the nearest voxel.

    Returns
    -------
    LabelMap
        In the same scheme; background outside of the segmentation.
    """
    if method not in ("generic", "nearest"):
        raise ParameterError(f"label interpolation {method!r} is not offered; use 'generic' or 'nearest'")
    transform = transform or Transform()
    out = np.zeros(grid.shape, np.uint8)
    present = [int(v) for v in np.unique(labels.data) if v]
    if not present:
        return LabelMap(out, grid, labels.scheme)
    for start in range(0, grid.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        index = labels.grid.index(transform.map_grid(grid, rows))
        near = _near_foreground(labels.data, index)
        if not near.any():
            continue
        if method == "nearest":
            out[rows][near] = sample_points(labels.data, index[near], order=0)
            continue
        shares = np.stack([sample_points((labels.data == v).astype(np.float32), index[near]) for v in present])
        background = 1.0 - shares.sum(axis=0)
        best = shares.argmax(axis=0)
        wins = shares.max(axis=0) > background
        out[rows][near] = np.where(wins, np.array(present, np.uint8)[best], 0)
    return LabelMap(out, grid, labels.scheme)


def resample_mask(mask: np.ndarray, source: Grid, grid: Grid, transform: Transform | None = None) -> np.ndarray:
    """Bring a bool mask (X, Y, Z) on `source` onto `grid`: inside where at least half of it is inside."""
    moved = resample_image(Image(np.asarray(mask, np.float32), source, "1"), grid, transform)
    return moved.data >= 0.5


def _near_foreground(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Tell which points lie within one voxel of the bounding box of the labels."""
    box = ndimage.find_objects((data > 0).astype(np.uint8))[0]
    low = np.array([s.start for s in box]) - 1.0
    high = np.array([s.stop for s in box])
    return np.asarray(((index >= low) & (index <= high)).all(axis=-1))
