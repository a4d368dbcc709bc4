"""Which voxels a registration may look at: all but the lesion, whose tissue has no counterpart in the other exam."""

from __future__ import annotations

import numpy as np

from regrowth import space
from regrowth.space import Grid

__all__ = ["cost_mask"]


def cost_mask(lesion: np.ndarray, grid: Grid, dilate_mm: float = 2.0) -> np.ndarray:
    """Leave the lesion out of a similarity (cost function masking).

    Only the lesion is left out. The outside of the brain stays in, because the border of the brain is what holds the
    alignment: with a mask of "brain without lesion" the error near the lesion nearly doubled.

    Parameters
    ----------
    lesion
        (X, Y, Z) bool, tumour, oedema and resection cavity.
    grid
        Grid of the lesion.
    dilate_mm
        Margin around the lesion, in mm.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) bool, True where the similarity may look; all True for an empty lesion.

    References
    ----------
    .. [1] Brett et al., NeuroImage 14 (2001), doi:10.1006/nimg.2001.0845.
    """
    return ~space.dilate_mm(lesion, grid, dilate_mm)
