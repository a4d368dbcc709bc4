"""What the voxels hold: images with a unit, segmentations with a scheme."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from regrowth.errors import GridMismatchError, LabelSchemeError
from regrowth.labels import LabelScheme
from regrowth.space.grid import Grid

__all__ = ["Image", "LabelMap"]


def _frozen(data: np.ndarray, grid: Grid, what: str, ndims: tuple[int, ...]) -> np.ndarray:
    data = np.asarray(data)
    if data.ndim not in ndims or data.shape[:3] != grid.shape:
        raise GridMismatchError(f"{what} of shape {data.shape} does not fit its grid of shape {grid.shape}")
    view = data.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, eq=False)
class Image:
    """An array of intensities and the grid that it lies on.

    Parameters
    ----------
    data
        (X, Y, Z) or (X, Y, Z, T), kept as a read-only view and not copied.
    grid
        Grid of the first three axes.
    unit
        Unit of the values: ``a.u.``, ``HU``, ``Gy``, ``mm``, ``1``.
    """

    data: np.ndarray
    grid: Grid
    unit: str = "a.u."

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", _frozen(self.data, self.grid, "image data", (3, 4)))

    def with_data(self, data: np.ndarray, unit: str | None = None) -> Image:
        """Give an image on the same grid with other values."""
        return replace(self, data=data, unit=unit or self.unit)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A segmentation: integer values, the grid they lie on and the scheme that gives them meaning.

    Parameters
    ----------
    data
        (X, Y, Z) integers, kept as a read-only view; values the scheme does not define are refused.
    grid
        Grid of the array.
    scheme
        Meaning of the values.
    """

    data: np.ndarray
    grid: Grid
    scheme: LabelScheme

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        if data.dtype.kind not in "iub":
            raise LabelSchemeError(f"a segmentation needs integer values, not {data.dtype}")
        data = data.astype(np.uint8) if data.dtype.kind == "b" else data
        object.__setattr__(self, "data", _frozen(data, self.grid, "segmentation", (3,)))
        self.scheme.check_values(data)

    def has(self, region: str) -> bool:
        """Tell whether the scheme can express `region`."""
        return region in self.scheme.regions

    def mask(self, region: str) -> np.ndarray:
        """(X, Y, Z) bool, the voxels of a region such as ``ET``, ``CE_core``, ``WT``."""
        return np.isin(self.data, self.scheme.region_values(region))

    def volume_ml(self, region: str) -> float:
        """Volume of a region in millilitres: voxel count times voxel volume."""
        return float(self.mask(region).sum() * self.grid.voxel_volume_ml)

    def convert(self, to: LabelScheme, *, merge: bool = False, absent: Collection[str] = ()) -> LabelMap:
        """Rewrite the values in another scheme (see `LabelScheme.convert`)."""
        return LabelMap(self.scheme.convert(self.data, to, merge=merge, absent=absent), self.grid, to)
