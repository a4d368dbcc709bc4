"""Which separate parts a mapped recurrence has, and at which points each is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.space import Grid

__all__ = ["RecurrencePart", "recurrence_parts"]

_ENOUGH_POINTS = 1000  # below it every voxel is split, so that a share has steps of less than 0.1 %
_LARGEST_SPLIT = 6


@dataclass(frozen=True, eq=False)
class RecurrencePart:
    """One connected part of a recurrence, mapped to the planning image.

    Parameters
    ----------
    voxels
        (n, 3) indices of its voxels, n > 0.
    grid
        Grid of the planning image.
    number
        1 for the largest part.
    origin_mm
        (3,) point of origin as an observer saw it, R, A, S; None when nobody gave one.
    """

    voxels: np.ndarray
    grid: Grid
    number: int = 1
    origin_mm: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.voxels.ndim != 2 or self.voxels.shape[1] != 3 or not len(self.voxels):
            raise ParameterError("a part of a recurrence has at least one voxel (n, 3); leave empty ones out")

    @property
    def volume_ml(self) -> float:
        """Number of voxels times their volume."""
        return len(self.voxels) * self.grid.voxel_volume_ml

    @property
    def centroid_mm(self) -> np.ndarray:
        """(3,) centre of mass, R, A, S."""
        return self.grid.world(self.voxels.mean(axis=0))

    @property
    def centroid_is_inside(self) -> bool:
        """Whether the centre of mass lies in a voxel of the part: not so for a ring or a sickle."""
        nearest = np.round(self.voxels.mean(axis=0)).astype(int)
        return bool((self.voxels == nearest).all(axis=1).any())

    @property
    def deepest_mm(self) -> np.ndarray:
        """(3,) centre of the voxel farthest from the outside; of several, the one nearest to the centre of mass."""
        low = self.voxels.min(axis=0) - 1
        box = np.zeros(self.voxels.max(axis=0) - low + 2, bool)
        box[tuple((self.voxels - low).T)] = True
        depth = ndimage.distance_transform_edt(box, sampling=self.grid.spacing_mm)[tuple((self.voxels - low).T)]
        deepest = self.voxels[depth >= depth.max() - 1e-6]
        nearest = np.linalg.norm(self.grid.world(deepest) - self.centroid_mm, axis=1).argmin()
        return self.grid.world(deepest[nearest])

    def points_mm(self) -> np.ndarray:
        """(m, 3) points that fill the part evenly: the voxel centres, or when there are few, an even split of each voxel."""
        split = int(np.clip(np.ceil((_ENOUGH_POINTS / len(self.voxels)) ** (1 / 3)), 1, _LARGEST_SPLIT))
        steps = (np.arange(split) + 0.5) / split - 0.5
        offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
        return self.grid.world((self.voxels[:, None, :] + offsets).reshape(-1, 3))


def recurrence_parts(mask: np.ndarray, grid: Grid, *, min_volume_ml: float = 0.0) -> tuple[tuple[RecurrencePart, ...], int]:
    """Split a recurrence into its connected parts (by face, edge or corner): each failed for a reason of its own.

    Parameters
    ----------
    mask
        (X, Y, Z) bool.
    grid
        Its grid.
    min_volume_ml
        Parts below it are only counted.

    Returns
    -------
    tuple
        The parts from the largest to the smallest, none for an empty mask, and how many were too small.
    """
    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    found, small = [], 0
    for part, box in enumerate(ndimage.find_objects(labels), start=1):
        voxels = np.argwhere(labels[box] == part) + [s.start for s in box]
        if len(voxels) * grid.voxel_volume_ml < min_volume_ml * (1 - 1e-9):
            small += 1
        else:
            found.append(voxels)
    found.sort(key=lambda v: -len(v))
    return tuple(RecurrencePart(v, grid, i) for i, v in enumerate(found, start=1)), small
