"""Where the surface of a mask lies between its voxels: a smooth triangle mesh, also from thick slices.

Marching cubes on the 0/1 mask gives stairs half a voxel high. Here the mesh is cut from a smooth level set which keeps
the sign of the mask at every voxel centre, so that the surface always passes between the voxels inside and those outside,
thin sheets and single voxels included:

- voxels of nearly equal edges: the mask after one pass of the binomial filter (1, 2, 1)/4 along each axis;
- slices much thicker than the pixels: shape-based interpolation (Raya and Udupa 1990, doi:10.1109/42.52980) of a signed
  quantity q that is smooth over the poles of a blob. With the signed in-plane distance d to the outline of a slice
  (positive inside) and the radius c of the largest circle that fits into that part of the outline, q = d (2c - d); a ball
  of radius R has q = R^2 - z^2 - r^2 exactly, whose second derivative along the slices is -2. Between slices q is a cubic;
  where the outline ends on a slice, q is continued with that curvature, so that a cap is round and not flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import ndtri

from regrowth.errors import GridMismatchError, InputError
from regrowth.metrics.crop import mask_box
from regrowth.space.grid import Grid

__all__ = ["SurfaceMesh", "surface_mesh"]

THICK_SLICE_RATIO = 1.5  # slices thicker than this many pixels are interpolated by shape
_FLOOR = 0.05  # least distance of the level set from 0 at a voxel centre, in units of the mask (0 to 1) or of a pixel
_OFF_LATTICE = 0.4  # mean distance, in pixels, from the centre of a circle to the nearest pixel centre


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """A closed triangle surface.

    Parameters
    ----------
    vertices_mm
        (V, 3) RAS+ mm.
    triangles
        (T, 3) indices of vertices.
    """

    vertices_mm: np.ndarray
    triangles: np.ndarray

    @property
    def triangle_areas_mm2(self) -> np.ndarray:
        """(T,) area of each triangle in mm2."""
        a, b, c = (self.vertices_mm[self.triangles[:, i]] for i in range(3))
        u, v = b - a, c - a
        x = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
        y = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
        z = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
        return 0.5 * np.sqrt(x * x + y * y + z * z)

    @property
    def vertex_areas_mm2(self) -> np.ndarray:
        """(V,) a third of the area of the triangles at each vertex, mm2; their sum is the area of the surface."""
        third = np.repeat(self.triangle_areas_mm2 / 3.0, 3)
        return np.bincount(self.triangles.ravel(), third, minlength=len(self.vertices_mm))


def surface_mesh(mask: np.ndarray, grid: Grid) -> SurfaceMesh:
    """Make the surface of a mask.

    Parameters
    ----------
    mask
        (X, Y, Z) bool, not empty; may touch the border of the array, where the surface is closed.
    grid
        Grid of the mask; axes at right angles, in any orientation.

    Returns
    -------
    SurfaceMesh
        Vertices in RAS+ mm. On balls of 10 mm radius and more in voxels of 1 mm, or slices of 5 to 6.5 mm, they lie 0.1 to
        0.2 mm (root mean square) from the true surface. Two of these meshes give an HD95 within 0.5 mm of the true one for
        radii from 12 mm; smaller balls in thick slices may be off by up to 1 mm, since two or three slices do not tell
        where their poles are. Stored along other axes the same mask gives the same mesh but for about 0.1 mm.

    Raises
    ------
    InputError
        If the mask is empty or the axes of the grid are sheared.
    GridMismatchError
        If the mask does not fit the grid.
    """
    from skimage.measure import marching_cubes

    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    if not grid.is_orthogonal:
        raise InputError("the axes of the grid are sheared, so that distances along them mislead; resample it first")
    box = mask_box(mask)
    if box is None:
        raise InputError("an empty mask has no surface")
    padded = np.pad(mask[box], 2)
    spacing = np.array(grid.spacing_mm)
    axis = int(spacing.argmax())
    steps = np.ones(3)
    if spacing[axis] >= THICK_SLICE_RATIO * np.delete(spacing, axis).max():
        pixel = np.delete(spacing, axis)
        factor = int(np.ceil(spacing[axis] / (THICK_SLICE_RATIO * pixel.max())))
        slices = np.moveaxis(padded, axis, 0)
        level = np.moveaxis(_between_slices(slices, (pixel[0], pixel[1]), spacing[axis], factor), 0, axis)
        steps[axis] = 1.0 / factor
    else:
        level = _smoothed(padded)
    vertices, triangles, _, _ = marching_cubes(level, 0.0, spacing=tuple(steps))
    index = vertices + (np.array([s.start for s in box]) - 2)
    return SurfaceMesh(grid.world(index), triangles)


def _keep_sign(level: np.ndarray, mask: np.ndarray, floor: float) -> np.ndarray:
    """Give a level set (float) the sign of the mask everywhere.

    Where smoothing took a voxel to the wrong side its value is reflected: a lone voxel, which smoothing wipes out, so
    keeps its half voxel of radius, while one that only just changed sides comes to lie just within the surface.
    """
    size = np.maximum(np.abs(level), floor)
    return np.where(mask, size, -size)


def _smoothed(mask: np.ndarray) -> np.ndarray:
    """Smooth a padded mask (X, Y, Z) into a level set, float32, positive inside."""
    level = mask.astype(np.float32)
    for axis in range(3):
        level = np.moveaxis(level, axis, 0)
        blurred = level * np.float32(0.5)
        blurred[1:] += np.float32(0.25) * level[:-1]
        blurred[:-1] += np.float32(0.25) * level[1:]
        level = np.moveaxis(blurred, 0, axis)
    return _keep_sign(level - np.float32(0.5), mask, _FLOOR)


def _between_slices(mask: np.ndarray, pixel_mm: tuple[float, float], thickness_mm: float, factor: int) -> np.ndarray:
    """Interpolate the shape of a padded mask (slices, rows, columns) to `factor` times as many slices.

    A ring has two outlines, of which each is interpolated as a solid of its own: the mask is what its outer outlines
    enclose, less its holes, and islands within the holes again.

    Returns
    -------
    numpy.ndarray
        ((slices - 1) * factor + 1, rows, columns) float32, positive inside, in mm2.
    """
    filled = np.stack([_without_holes(outline) for outline in mask])
    holes = np.stack([_without_holes(outline) for outline in filled & ~mask])
    level = _solid_between_slices(filled, pixel_mm, thickness_mm, factor)
    if holes.any():
        level = np.minimum(level, -_solid_between_slices(holes, pixel_mm, thickness_mm, factor))
    islands = holes & mask
    if islands.any():
        level = np.maximum(level, _solid_between_slices(islands, pixel_mm, thickness_mm, factor))
    return level


def _without_holes(outline: np.ndarray) -> np.ndarray:
    """Fill a slice (rows, columns) whose first corner is background."""
    parts, _ = ndimage.label(~outline)
    return np.asarray(parts != parts[0, 0])


def _solid_between_slices(mask: np.ndarray, pixel_mm: tuple[float, float], thickness_mm: float, factor: int) -> np.ndarray:
    """Interpolate a mask without regard to holes, as `_between_slices` does."""
    n = len(mask)
    far = -4.0 * float(sum((s * p) ** 2 for s, p in zip(mask.shape[1:], pixel_mm, strict=True)) + thickness_mm**2)
    q = np.full(mask.shape, far)
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        q[k] = _slice_level(mask[k], pixel_mm)
    out = np.empty(((n - 1) * factor + 1, *mask.shape[1:]), np.float32)
    for k in range(n - 1):
        around = (q[max(k - 1, 0)], q[k], q[k + 1], q[min(k + 2, n - 1)])
        q0, q1, q2, q3 = _with_caps(*around, thickness_mm**2)
        slope1, slope2 = (q2 - q0) / 2, (q3 - q1) / 2
        for j in range(factor):
            t = j / factor
            out[k * factor + j] = (
                (2 * t**3 - 3 * t**2 + 1) * q1
                + (t**3 - 2 * t**2 + t) * slope1
                + (3 * t**2 - 2 * t**3) * q2
                + (t**3 - t**2) * slope2
            )
    out[-1] = q[-1]
    return out


def _slice_level(outline: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """Compute q = d (2c - d) of one slice (rows, columns) that is not empty, in mm2."""
    pixel = float(np.sqrt(pixel_mm[0] * pixel_mm[1]))
    floor = _FLOOR * pixel
    # A straight edge blurred by a Gaussian of one pixel is a cumulative normal: its quantile is the distance to the edge.
    share = ndimage.gaussian_filter(outline.astype(np.float64), 1.0, mode="constant")
    near = _keep_sign(ndtri(np.clip(share, 1e-3, 1 - 1e-3)) * pixel, outline, floor)
    inner, to_outside = ndimage.distance_transform_edt(outline, sampling=pixel_mm, return_indices=True)
    outer, to_inside = ndimage.distance_transform_edt(~outline, sampling=pixel_mm, return_indices=True)
    far = np.where(
        outline,
        np.maximum(inner + near[tuple(to_outside)], floor),
        np.minimum(near[tuple(to_inside)] - outer, -floor),
    )
    weight = np.clip(np.abs(near) / (1.5 * pixel), 0.0, 1.0)
    distance = weight * far + (1.0 - weight) * near
    parts, n = ndimage.label(outline, np.ones((3, 3)))
    radius = np.zeros(n + 1)
    radius[1:] = ndimage.maximum(distance, parts, np.arange(1, n + 1)) + _OFF_LATTICE * pixel
    c = radius[parts[tuple(to_inside)]]  # outside: that of the nearest part
    distance = _keep_sign(ndimage.gaussian_filter(distance, 1.0), outline, floor)
    return distance * (2.0 * np.maximum(c, distance) - distance)


def _with_caps(
    q0: np.ndarray, q1: np.ndarray, q2: np.ndarray, q3: np.ndarray, h2: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Make four neighbouring slices fit for a cubic between the middle two, where an outline ends between them.

    Inside on slice 1 and outside on slice 2, the value on slice 2 may stem from an outline far away, or from none: it is
    raised to what a round cap over slices 0 and 1 would give. The same holds, mirrored, for a hollow that ends. `h2` is the
    squared distance of the slices in mm2.
    """
    turned = (q1 <= 0) & (q2 > 0)
    q0, q3 = np.where(turned, q3, q0), np.where(turned, q0, q3)
    q1, q2 = np.where(turned, q2, q1), np.where(turned, q1, q2)
    ends = (q1 > 0) & (q2 <= 0)
    cap = 2 * q1 - np.maximum(q0, q1 - h2) - 2 * h2
    cap = np.where(cap < 0, cap, -np.minimum(cap, q1))  # a flat end is cut midway between the slices
    hollow = 2 * q2 - np.minimum(q3, q2)
    hollow = np.where(hollow > 0, hollow, np.minimum(-hollow, -q2))
    q1, q2 = np.where(ends, np.minimum(q1, hollow), q1), np.where(ends, np.maximum(q2, cap), q2)
    # No sharper bend than that of a ball, where the outer slices stem from outlines far away.
    q3 = np.clip(q3, 2 * q2 - q1 - 2 * h2, 2 * q2 - q1 + 2 * h2)
    q0 = np.clip(q0, 2 * q1 - q2 - 2 * h2, 2 * q1 - q2 + 2 * h2)
    return np.where(turned, q3, q0), np.where(turned, q2, q1), np.where(turned, q1, q2), np.where(turned, q0, q3)
