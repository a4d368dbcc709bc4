"""How much two masks overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.errors import GridMismatchError
from regrowth.metrics.surface import emptiness

__all__ = ["Overlap", "dice"]


@dataclass(frozen=True)
class Overlap:
    """Dice coefficient of two masks, from 0 (apart) to 1 (the same); NaN with a reason when both are empty."""

    dice: float
    status: str
    reason: str = ""


def dice(a: np.ndarray, b: np.ndarray) -> Overlap:
    """Dice coefficient 2 |a and b| / (|a| + |b|) (Dice 1945, doi:10.2307/1932409).

    Parameters
    ----------
    a, b
        Bool masks of the same shape, on the same grid.

    Returns
    -------
    Overlap
        NaN with a reason when both masks are empty; 0 with the status ``a_empty`` or ``b_empty`` when one is.

    Raises
    ------
    GridMismatchError
        If the shapes differ.
    """
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    if a.shape != b.shape:
        raise GridMismatchError(f"masks of shapes {a.shape} and {b.shape} cannot overlap; bring one onto the grid of the other")
    status, reason = emptiness(a, b)
    if status == "both_empty":
        return Overlap(float("nan"), status, reason)
    common = np.count_nonzero(a & b)
    return Overlap(2.0 * common / (np.count_nonzero(a) + np.count_nonzero(b)), status, reason)
