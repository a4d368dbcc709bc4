"""What a brain and its tumours look like from outside: shaded pictures by casting rays along the axes of a RAS grid.

Everything is drawn from smooth fields: the brain is where its field passes one half, its normal is the slope of the field,
a furrow is dark because more brain lies around it than around a ridge. A tumour is a second surface that shows through; the
deeper it lies under the surface, the fainter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from regrowth.space import Grid

__all__ = ["VIEWS", "Solid", "View", "furrows", "picture", "ras_grid"]

Half = Literal["whole", "left", "right"]

# Light from above, the left and the front of the picture: (depth, row, column) towards the lamp.
_LAMP = np.array([-0.74, -0.53, -0.41]) / np.linalg.norm([0.74, 0.53, 0.41])
_GREY = np.array([0.80, 0.765, 0.72])  # of brain without a lobe


@dataclass(frozen=True)
class View:
    """A direction to look from.

    Parameters
    ----------
    name
        Short name.
    title
        Words above the picture.
    order
        Axes of the (R, A, S) array that become depth, rows and columns.
    flips
        Which of these then run the other way.
    letters
        Patient direction at the left, right, top and bottom of the picture.
    half
        Part of the brain that is left standing.
    """

    name: str
    title: str
    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    letters: tuple[str, str, str, str]
    half: Half = "whole"

    def turn(self, data: np.ndarray) -> np.ndarray:
        """Turn an array (R, A, S) to (depth, rows, columns), the first row at the top."""
        turned = np.transpose(data, self.order)
        return turned[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]


_FROM_LEFT = ((0, 2, 1), (False, True, True), ("A", "P", "S", "I"))
_FROM_RIGHT = ((0, 2, 1), (True, True, False), ("P", "A", "S", "I"))
VIEWS: Mapping[str, View] = {
    v.name: v
    for v in (
        View("left", "from the left", *_FROM_LEFT),
        View("right", "from the right", *_FROM_RIGHT),
        View("superior", "from above", (2, 1, 0), (True, True, False), ("L", "R", "A", "P")),
        View("inferior", "from below", (2, 1, 0), (False, True, True), ("R", "L", "A", "P")),
        View("anterior", "from the front", (1, 2, 0), (True, True, True), ("R", "L", "S", "I")),
        View("posterior", "from behind", (1, 2, 0), (False, True, False), ("L", "R", "S", "I")),
        View("left-medial", "left half, from the midline", *_FROM_RIGHT, half="left"),
        View("right-medial", "right half, from the midline", *_FROM_LEFT, half="right"),
    )
}
"""All views by name."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A tumour to be seen through the surface: (R, A, S) bool and its colour (0 to 1)."""

    mask: np.ndarray
    colour: tuple[float, float, float]


def ras_grid(grid: Grid, mask: np.ndarray, voxel_mm: float, margin_mm: float = 8.0) -> Grid:
    """Give the upright RAS grid around a mask (X, Y, Z) of a grid in any orientation."""
    points = grid.world(np.argwhere(mask))
    # Whole multiples of the voxel: the same brain on another grid gets the same voxels. The odd offset keeps points from lying
    # half way between two voxels, where the nearest one would depend on the direction in which they are stored.
    low = np.floor((points.min(axis=0) - margin_mm) / voxel_mm) * voxel_mm + 0.0137
    shape = np.ceil((points.max(axis=0) + margin_mm - low) / voxel_mm).astype(int) + 1
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = low
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def picture(
    view: View,
    labels: np.ndarray,
    colours: Mapping[int, Sequence[float]],
    solids: Sequence[Solid] = (),
    *,
    voxel_mm: float,
    pixel_mm: float,
    texture: np.ndarray | None = None,
    sides: tuple[np.ndarray, np.ndarray] | None = None,
    ground: Sequence[float] = (0.0, 0.0, 0.0),
) -> np.ndarray:
    """Draw the brain from one side.

    Parameters
    ----------
    view
        Where to look from.
    labels
        (R, A, S) integers, 0 outside of the brain.
    colours
        Value to colour (0 to 1); other values are drawn grey.
    solids
        Tumours on the same voxels.
    voxel_mm, pixel_mm
        Size of the (cubic) voxels and of the pixels.
    texture
        (R, A, S), `furrows` of a T1-weighted image: dark furrows are drawn from what lies just under the surface.
    sides
        (R, A, S) bool: what is removed for a view of the left, and of the right half.
    ground
        Colour of the background.

    Returns
    -------
    numpy.ndarray
        (rows, columns, 3), 0 to 1.
    """
    removed = None
    if view.half != "whole" and sides is not None:
        removed = sides[0] if view.half == "left" else sides[1]
    turned = view.turn(labels if removed is None else np.where(removed, 0, labels))
    scale = voxel_mm / pixel_mm
    brain = _field(turned > 0, 1.1)
    out = np.empty((*_pixels(turned.shape, scale), 3))
    out[:] = np.asarray(ground, float)
    at, found = _cast(brain, scale, 0.5)
    if found.any():
        out[found] = _surface(turned, colours, brain, at, voxel_mm, None if texture is None else view.turn(texture))
        edge = ndimage.gaussian_filter(found.astype(float), 0.8)
        out = out * edge[..., None] + np.asarray(ground, float) * (1 - edge[..., None])
    depth = np.full(found.shape, np.nan)
    depth[found] = at[0] * voxel_mm
    drawn = [_solid(view.turn(s.mask if removed is None else s.mask & ~removed), s, scale, voxel_mm) for s in solids]
    return _through(out, depth, [d for d in drawn if d is not None])


def _pixels(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    return round(shape[1] * scale), round(shape[2] * scale)


def _field(mask: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(np.ascontiguousarray(mask, np.float32), sigma, truncate=3.0)


def _cast(field: np.ndarray, scale: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """First crossing of `level` along every ray: voxel coordinates (3, n) of the pixels that meet one, and which these are."""
    rows, columns = _pixels(field.shape, scale)
    r, c = (np.arange(rows) + 0.5) / scale - 0.5, (np.arange(columns) + 0.5) / scale - 0.5
    depth = np.full((rows, columns), np.nan, np.float32)
    before = np.zeros((rows, columns), np.float32)
    for k in range(field.shape[0]):
        if field[k].max() < level and not before.any():
            continue
        here = _sampled(field[k], r, c)
        new = (here >= level) & np.isnan(depth)
        depth[new] = k - 1 + (level - before[new]) / np.maximum(here[new] - before[new], 1e-6)
        before = here
    found = np.isfinite(depth)
    at = np.nonzero(found)
    return np.stack([depth[found], r[at[0]], c[at[1]]]), found


def _sampled(plane: np.ndarray, r: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Interpolate a plane linearly at all pairs of rows and columns (cheaper than a general interpolation)."""
    r0, c0 = (np.clip(np.floor(v).astype(int), 0, n - 2) for v, n in zip((r, c), plane.shape, strict=True))
    fr, fc = np.clip(r - r0, 0, 1)[:, None], np.clip(c - c0, 0, 1)
    lines = plane[r0] * (1 - fr) + plane[r0 + 1] * fr
    return np.asarray(lines[:, c0] * (1 - fc) + lines[:, c0 + 1] * fc, np.float32)


def _value(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(field, at, order=1, mode="nearest")


def _normals(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Outward unit normals (3, n): against the slope of the field."""
    slope = np.stack([-_value(g, at) for g in np.gradient(field)])
    return slope / np.maximum(np.linalg.norm(slope, axis=0), 1e-6)


def _surface(
    labels: np.ndarray,
    colours: Mapping[int, Sequence[float]],
    brain: np.ndarray,
    at: np.ndarray,
    voxel_mm: float,
    texture: np.ndarray | None,
) -> np.ndarray:
    """Colour (n, 3) of the surface where the rays meet it."""
    normal = _normals(_field(labels > 0, 1.5), at)
    colour, border = _tint(labels, colours, at - normal * (1.5 / voxel_mm), voxel_mm)
    # More brain around a point than half: a furrow, which light reaches less.
    shade = np.clip(1 - 2.6 * (_value(_field(labels > 0, 5.0 / voxel_mm), at) - 0.42), 0.35, 1.12)
    light = 0.36 + 0.74 * np.clip(_LAMP @ normal, 0, 1)
    facing = np.clip(-normal[0], 0, 1)
    light = light * (0.55 + 0.45 * np.sqrt(facing)) * shade * (1 - 0.45 * border)
    if texture is not None:
        under = np.mean([_value(texture, at - normal * (d / voxel_mm)) for d in (2.5, 4.0, 5.5)], axis=0)
        light = light * np.clip(0.28 + 0.78 * under, 0.45, 1.12)
    shine = 0.10 * np.clip(2 * (_LAMP @ normal) * facing - (-_LAMP[0]), 0, 1) ** 12
    return np.clip(colour * light[:, None] + shine[:, None], 0, 1)


def _tint(
    labels: np.ndarray, colours: Mapping[int, Sequence[float]], at: np.ndarray, voxel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colour (n, 3) of the lobe at each point, soft at borders, and how near the border is (0 to 1)."""
    best = second = np.zeros(at.shape[1])
    colour = np.tile(_GREY, (at.shape[1], 1))
    total, mixed = np.full(at.shape[1], 1e-6), np.zeros((at.shape[1], 3))
    near = np.round(at).astype(int)
    seen = labels[tuple(np.clip(v, 0, n - 1) for v, n in zip(near, labels.shape, strict=True))]
    for value in np.unique(seen[seen > 0]):  # what no ray meets cannot be at a border that is seen
        part = labels == value
        box = tuple(slice(max(s.start - 5, 0), s.stop + 5) for s in ndimage.find_objects(part.astype(np.uint8))[0])
        start = np.array([s.start for s in box])[:, None]
        inside = np.all((at >= start) & (at <= np.array([s.stop - 1 for s in box])[:, None]), axis=0)
        weight = np.zeros(at.shape[1])
        weight[inside] = _value(_field(part[box], 1.3), at[:, inside] - start)
        second = np.where(weight > best, best, np.maximum(second, weight))
        best = np.maximum(best, weight)
        sharp = weight**6  # a border of about a millimetre
        total, mixed = total + sharp, mixed + sharp[:, None] * np.asarray(colours.get(int(value), _GREY), float)
    known = best > 0.02
    colour[known] = (mixed / total[:, None])[known]
    border = np.clip(1 - (best - second) / np.maximum(best, 1e-6) / 0.35, 0, 1) * (second > 0.05)
    return colour, border**2


def furrows(image: np.ndarray, inside: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Brightness (R, A, S) of an image against that of its surroundings within 9 mm, which makes furrows stand out.

    Parameters
    ----------
    image
        (R, A, S) intensities; NaN count as 0.
    inside
        (R, A, S) bool, the brain.
    voxel_mm
        Size of a voxel.
    """
    values = np.where(inside, np.nan_to_num(image), 0).astype(np.float32)
    wide = ndimage.gaussian_filter(values, 9.0 / voxel_mm, truncate=3.0)
    around = wide / np.maximum(_field(inside, 9.0 / voxel_mm), 1e-3)
    return np.asarray(values / np.maximum(around, 1e-6), np.float32)


def _solid(mask: np.ndarray, solid: Solid, scale: float, voxel_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Depth in mm, colour and cover of a tumour; None when nothing is left of it."""
    if not mask.any():
        return None
    field = _field(mask, 0.9)
    # Smoothing wears a small lesion away: half of what is left of its peak keeps it.
    at, found = _cast(field, scale, min(0.5, 0.5 * float(field.max())))
    normal = _normals(_field(mask, 1.6), at)
    light = 0.42 + 0.66 * np.clip(_LAMP @ normal, 0, 1)
    shine = 0.28 * np.clip(2 * (_LAMP @ normal) * np.clip(-normal[0], 0, 1) + _LAMP[0], 0, 1) ** 8
    depth = np.full(found.shape, np.nan)
    depth[found] = at[0] * voxel_mm
    colour = np.zeros((*found.shape, 3))
    colour[found] = np.clip(np.asarray(solid.colour) * light[:, None] + shine[:, None], 0, 1)
    return depth, colour, found


def _through(out: np.ndarray, depth: np.ndarray, solids: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
    """Lay tumours over the brain, at every pixel the farther one first; what lies deep shows less."""
    if not solids:
        return np.clip(out, 0, 1)
    depths = np.stack([np.where(found, d, -np.inf) for d, _, found in solids])
    order = np.argsort(-depths, axis=0, kind="stable")
    for rank in range(len(solids)):
        for n, (far, colour, found) in enumerate(solids):
            here = found & (order[rank] == n)
            if not here.any():
                continue
            below = np.nan_to_num(far - depth, nan=0.0)
            alpha = np.where(here, np.interp(below, [0.0, 8.0, 60.0, 85.0], [0.95, 0.84, 0.60, 0.22]), 0.0)
            out = out * (1 - alpha[..., None]) + colour * alpha[..., None]
    for _, colour, found in solids:  # the outline keeps what lies deep, or behind the other one, readable
        rim = found & ~ndimage.binary_erosion(found, iterations=1)
        bright = 0.55 * colour[found].mean(axis=0) + 0.45
        soft = ndimage.gaussian_filter(rim.astype(float), 0.7)[..., None] * 0.8
        out = out * (1 - soft) + bright * soft
    return np.clip(out, 0, 1)
