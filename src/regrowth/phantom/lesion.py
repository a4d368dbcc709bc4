"""Which shape a tumour has: a lobed core with necrosis and rim, and oedema that follows white matter.

Shapes are *depths* in mm on a lattice: positive inside, falling about 1 mm per mm outwards, so that soft borders and
subvoxel labels follow from one array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.phantom.fields import smooth_field
from regrowth.space import Grid, bounding_box, dilate_mm, largest_component

__all__ = ["Blob", "blob_depth", "drawn_blob", "main_part", "rim_thickness_mm", "spread_mm"]


@dataclass(frozen=True)
class Blob:
    """A lobed body.

    Parameters
    ----------
    centres_mm
        (n, 3) centres of its lobes, RAS+ mm.
    radii_mm
        (n,) radii of its lobes.
    """

    centres_mm: np.ndarray
    radii_mm: np.ndarray

    @property
    def radius_mm(self) -> float:
        """Radius of the ball with about the same volume."""
        return float((self.radii_mm**3).sum() ** (1 / 3))

    @property
    def centre_mm(self) -> np.ndarray:
        """(3,) mean of the centres of the lobes, weighted by volume."""
        return np.average(self.centres_mm, axis=0, weights=self.radii_mm**3)


def drawn_blob(centre_mm: np.ndarray, radius_mm: float, lobes: int, rng: np.random.Generator) -> Blob:
    """Draw a body of about the volume of a ball of `radius_mm`: one main lobe at the centre and smaller ones around it."""
    centres, radii = [np.asarray(centre_mm, dtype=np.float64)], [radius_mm * (0.9 if lobes > 1 else 1.0)]
    for _ in range(lobes - 1):
        direction = rng.standard_normal(3) * [1.0, 1.2, 0.8]
        direction /= np.linalg.norm(direction)
        radius = radius_mm * rng.uniform(0.4, 0.7)
        centres.append(centres[0] + direction * radius_mm * rng.uniform(0.6, 0.85))
        radii.append(radius)
    return Blob(np.array(centres), np.array(radii))


def blob_depth(blob: Blob, points_mm: np.ndarray, lattice: Grid, rng: np.random.Generator) -> np.ndarray:
    """Depth below the surface of a body whose surface is roughened by smooth noise.

    Parameters
    ----------
    blob
        The body.
    points_mm
        (X, Y, Z, 3) points of the lattice.
    lattice
        Grid of the points.
    rng
        Source of the roughness, whose size is a ninth of the radius and at least 1.1 mm.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) float32 in mm, positive inside.
    """
    blend_mm = 2.0
    total = np.zeros(lattice.shape, np.float32)
    for centre, radius in zip(blob.centres_mm, blob.radii_mm, strict=True):
        depth = radius - np.linalg.norm(points_mm - centre.astype(np.float32), axis=-1)
        total += np.exp(np.maximum(depth, -60).astype(np.float32) / np.float32(blend_mm))
    smooth = blend_mm * np.log(np.maximum(total, 1e-12))
    coarse, fine = smooth_field(lattice, 8.0, rng), smooth_field(lattice, 3.5, rng)
    amplitude = max(0.11 * blob.radius_mm, 1.1)
    return np.asarray(smooth + amplitude * coarse + 0.75 * amplitude * fine, dtype=np.float32)


def main_part(depth_mm: np.ndarray) -> np.ndarray:
    """Keep the largest connected part of a body (X, Y, Z); the other parts get a depth of -2 mm."""
    inside = depth_mm > 0
    return np.asarray(np.where(inside & ~largest_component(inside), -2.0, depth_mm), dtype=np.float32)


def rim_thickness_mm(lattice: Grid, mean_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the thickness of the enhancing rim (X, Y, Z), varying smoothly between 1.8 and 6.5 mm."""
    field = 0.8 * smooth_field(lattice, 8.0, rng) + 0.7 * smooth_field(lattice, 3.2, rng)
    return np.asarray(np.clip(mean_mm * (1 + 0.36 * field), 1.8, 6.5), dtype=np.float32)


def spread_mm(
    seeds: np.ndarray, wm: np.ndarray, csf: np.ndarray, brain: np.ndarray, lattice: Grid, rng: np.random.Generator
) -> np.ndarray:
    """Length of the easiest way from a lesion, which runs along white matter and round fluid.

    A millimetre costs 0.9 in white matter, up to 10 in grey matter and more in fluid; the way never leaves the brain.

    Parameters
    ----------
    seeds
        (X, Y, Z) bool, the lesion that the spread starts from.
    wm, csf
        (X, Y, Z) shares of tissue.
    brain
        (X, Y, Z) bool.
    lattice
        Grid of the arrays.
    rng
        Source of the unevenness of the tissue, which also hides the corners of the lattice.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) float32 in white-matter millimetres, 0 inside the lesion, 200 where it is not reached (further than
        50 mm, or outside of the brain).
    """
    from skimage.graph import MCP_Geometric

    far = 200.0
    uneven = np.exp(0.35 * smooth_field(lattice, 6.0, rng))
    out = np.full(lattice.shape, far, np.float32)
    if not seeds.any():
        return out
    reach = int(np.ceil(50.0 / min(lattice.spacing_mm)))
    box = bounding_box(seeds, reach)
    cost = 1.0 / (0.1 + wm[box].astype(np.float64) ** 2) * (1 + 8 * csf[box]) * uneven[box]
    cost[~(brain | seeds)[box]] = -1
    inside = seeds[box]
    shell = inside & ~ndimage.binary_erosion(inside)
    ways, _ = MCP_Geometric(cost, sampling=lattice.spacing_mm).find_costs(np.argwhere(shell).tolist())
    ways[inside] = 0
    ways = np.minimum(ways, far)
    # Lattice ways have corners; smoothing within the lesion's reach takes them off.
    smooth = ndimage.gaussian_filter(np.minimum(ways, 60.0), 1.5 / np.array(lattice.spacing_mm))
    near = dilate_mm(seeds, lattice, 60.0)[box] & (ways < 60.0)
    out[box] = np.where(near, smooth, ways)
    out[seeds] = 0
    return out
