"""Where cells can live and how easily they move there: in white matter, grey matter, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.space import Grid

__all__ = [
    "ExchangeRates",
    "TissueMap",
    "block_factors",
    "block_grid",
    "block_mean",
    "coarsened_mask",
    "exchange_rates",
    "largest_sum",
    "tissue_map",
]


@dataclass(frozen=True, eq=False)
class TissueMap:
    """White and grey matter of one brain.

    Parameters
    ----------
    white, grey
        (X, Y, Z) float32, share of each voxel, 0 to 1, together at most 1; 0 in CSF, skull and air.
    grid
        Grid of both, axes at right angles.
    least_matter
        Voxels with less white and grey matter than this are blocked: no cell enters or leaves.
    """

    white: np.ndarray
    grey: np.ndarray
    grid: Grid
    least_matter: float = 0.5

    @property
    def matter(self) -> np.ndarray:
        """(X, Y, Z) bool, voxels that cells can live in."""
        return np.asarray(self.white + self.grey >= self.least_matter)

    @property
    def volume_ml(self) -> float:
        """Volume that cells can live in."""
        return float(self.matter.sum() * self.grid.voxel_volume_ml)

    def mobility(self, white_to_grey: float) -> np.ndarray:
        """(X, Y, Z) float32, diffusivity relative to pure white matter: ``white + grey / white_to_grey``, 0 where blocked."""
        if not (np.isfinite(white_to_grey) and white_to_grey > 0):
            raise ParameterError(f"the ratio of diffusivity in white to grey matter must be positive, not {white_to_grey}")
        return np.where(self.matter, self.white + self.grey / np.float32(white_to_grey), np.float32(0)).astype(np.float32)

    def coarsened(self, spacing_mm: float) -> TissueMap:
        """Average blocks of voxels to a spacing near `spacing_mm`; the map itself when it is that coarse."""
        factors = block_factors(self.grid, spacing_mm)
        if factors == (1, 1, 1):
            return self
        grid = block_grid(self.grid, factors)
        return TissueMap(block_mean(self.white, factors), block_mean(self.grey, factors), grid, self.least_matter)


def tissue_map(white: np.ndarray, grey: np.ndarray, grid: Grid, least_matter: float = 0.5) -> TissueMap:
    """Check two maps, bool masks or probabilities, and join them.

    Parameters
    ----------
    white, grey
        (X, Y, Z) bool or shares from 0 to 1.
    grid
        Grid of both.
    least_matter
        Voxels with a smaller sum are blocked.

    Returns
    -------
    TissueMap
        float32.

    Raises
    ------
    GridMismatchError
        A map that does not fit the grid.
    InputError
        Values outside of 0 to 1 or sums above 1, no tissue at all, sheared axes.
    """
    if not grid.is_orthogonal:
        raise InputError("the axes of the grid are sheared, so that diffusion along them is not isotropic; resample it first")
    if not 0 < least_matter <= 1:
        raise ParameterError(f"least_matter is a share between 0 and 1, not {least_matter}")
    maps = []
    for name, data in (("white", white), ("grey", grey)):
        data = np.asarray(data)
        if data.shape != grid.shape:
            raise GridMismatchError(f"{name} matter of shape {data.shape} does not fit its grid of shape {grid.shape}")
        data = data.astype(np.float32)
        if not np.isfinite(data).all() or data.min() < -1e-3 or data.max() > 1.001:
            raise InputError(
                f"{name} matter must hold shares between 0 and 1; divide a map in percent by 100, replace NaN by 0"
            )
        maps.append(np.clip(data, 0, 1))
    total = maps[0] + maps[1]
    if total.max() > 1.01:
        raise InputError(f"white and grey matter together exceed 1 (largest sum {total.max():.3g}): masks must not overlap")
    out = TissueMap(maps[0], maps[1], grid, float(least_matter))
    if not out.matter.any():
        raise InputError(f"no voxel holds {least_matter:g} of white and grey matter: the tissue map is empty")
    return out


def block_factors(grid: Grid, spacing_mm: float) -> tuple[int, int, int]:
    """How many voxels along each axis make one coarse voxel."""
    if not (np.isfinite(spacing_mm) and spacing_mm > 0):
        raise ParameterError(f"a spacing must be a positive number of mm, not {spacing_mm}")
    a, b, c = (max(1, round(spacing_mm / s)) for s in grid.spacing_mm)
    return a, b, c


def block_grid(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """Grid of blocks of voxels; a last block that is not full hangs over the edge."""
    f = np.array(factors)
    affine = np.eye(4)
    affine[:3, :3] = grid.affine[:3, :3] * f
    affine[:3, 3] = grid.world((f - 1) / 2)
    x, y, z = (-(-n // k) for n, k in zip(grid.shape, factors, strict=True))
    return Grid((x, y, z), affine, grid.frame_of_reference_uid)


def block_mean(data: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Mean of blocks of an array (X, Y, Z), what hangs over counts as 0; float32."""
    pad = [(0, -n % k) for n, k in zip(data.shape, factors, strict=True)]
    full = np.pad(np.asarray(data, np.float32), pad)
    x, y, z = (n // k for n, k in zip(full.shape, factors, strict=True))
    return np.asarray(full.reshape(x, factors[0], y, factors[1], z, factors[2]).mean(axis=(1, 3, 5), dtype=np.float32))


def coarsened_mask(mask: np.ndarray, grid: Grid, spacing_mm: float) -> np.ndarray:
    """Bring a bool mask onto the grid of `TissueMap.coarsened`: inside where at least half of the block is."""
    return block_mean(mask, block_factors(grid, spacing_mm)) >= 0.5


@dataclass(frozen=True, eq=False)
class ExchangeRates:
    """How fast neighbouring voxels exchange cells, for a diffusivity of 1 mm2/day in white matter.

    Parameters
    ----------
    along
        Three arrays (X + 2, Y + 2, Z + 2) float32 in 1/mm2: entry ``[i, j, k]`` belongs to the face between a voxel and its
        next neighbour along that axis; one layer of zeros surrounds the image.
    tissue
        (X, Y, Z) bool, voxels that cells can live in.
    largest
        Largest sum over the six faces of one voxel, in 1/mm2: bounds the stable step.
    """

    along: tuple[np.ndarray, np.ndarray, np.ndarray]
    tissue: np.ndarray
    largest: float


def exchange_rates(
    mobility: np.ndarray,
    tissue: np.ndarray,
    spacing_mm: tuple[float, float, float],
    mean: Literal["harmonic", "arithmetic"] = "harmonic",
) -> ExchangeRates:
    """Finite-volume exchange rates; no face touches a blocked voxel or the border of the array.

    Parameters
    ----------
    mobility
        (X, Y, Z), diffusivity relative to white matter (`TissueMap.mobility`).
    tissue
        (X, Y, Z) bool, voxels that cells can live in.
    spacing_mm
        Spacing of the grid.
    mean
        Diffusivity of a face from its two voxels: ``harmonic``, 2ab/(a+b), which keeps the flux continuous where tissues meet;
        ``arithmetic``, (a+b)/2, as TumorGrowthToolkit takes it.

    Returns
    -------
    ExchangeRates
        Face diffusivity over squared spacing.
    """
    tissue = np.asarray(tissue, bool)
    if mobility.shape != tissue.shape:
        raise GridMismatchError(f"mobility of shape {mobility.shape} does not fit tissue of shape {tissue.shape}")
    if not np.isfinite(mobility).all() or mobility.min() < 0:
        raise ParameterError("a diffusivity must be 0 or positive everywhere")
    if mean not in ("harmonic", "arithmetic"):
        raise ParameterError(f"the mean of two diffusivities is 'harmonic' or 'arithmetic', not {mean!r}")
    faces = []
    for axis in range(3):
        here, there = _neighbours(axis)
        a, b = mobility[here].astype(np.float32), mobility[there].astype(np.float32)
        if mean == "harmonic":
            total = a + b
            face = np.divide(2 * a * b, total, out=np.zeros_like(total), where=total > 0)
        else:
            face = (a + b) / 2
        face *= (tissue[here] & tissue[there]) / np.float32(spacing_mm[axis] ** 2)
        full = np.zeros(tuple(n + 2 for n in tissue.shape), np.float32)
        full[tuple(slice(1, -2 if d == axis else -1) for d in range(3))] = face
        faces.append(full)
    return ExchangeRates((faces[0], faces[1], faces[2]), tissue, largest_sum(faces))


def largest_sum(faces: list[np.ndarray]) -> float:
    """Largest sum of the rates of the six faces of one voxel."""
    total = faces[0] + faces[1] + faces[2]
    for axis, face in enumerate(faces):
        here, there = _neighbours(axis)
        total[there] += face[here]
    return float(total.max())


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Index pairs of all voxels that have a next neighbour along an axis, and of these neighbours."""
    here = tuple(slice(None, -1) if d == axis else slice(None) for d in range(3))
    there = tuple(slice(1, None) if d == axis else slice(None) for d in range(3))
    return here, there
