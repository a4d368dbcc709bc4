"""Where a tumour and its recurrence lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.errors import InputError
from regrowth.space import Grid

__all__ = ["RECURRENCE_CLASSES", "Surroundings", "drawn_primary_site", "drawn_recurrence_site", "recurrence_class"]

RECURRENCE_CLASSES = ("local", "marginal", "distant")
MARGINAL_GAP_MM = 20.0
"""Largest gap between the baseline tumour core and a recurrence that still counts as marginal."""

# Share of tumours per lobe, roughly that of glioblastoma.
_LOBES = {"frontal": 0.36, "temporal": 0.28, "parietal": 0.24, "occipital": 0.12}


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The patient's brain on the lattice, as far as a tumour cares.

    Parameters
    ----------
    points_mm
        (X, Y, Z, 3) float32, where the lattice lies in the baseline exam.
    template_mm
        (X, Y, Z, 3) float32, the matching points of the template.
    wm, csf
        (X, Y, Z) shares of tissue.
    depth_mm
        (X, Y, Z) distance to the border of the brain, negative outside.
    ventricle_distance_mm
        (X, Y, Z) distance to the ventricles, negative inside.
    lattice
        Grid of the arrays.
    """

    points_mm: np.ndarray
    template_mm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    depth_mm: np.ndarray
    ventricle_distance_mm: np.ndarray
    lattice: Grid

    def supratentorial(self) -> np.ndarray:
        """(X, Y, Z) bool: inside the cerebrum, off the midline, outside of cerebellum and brainstem."""
        x, y, z = np.moveaxis(self.template_mm, -1, 0)
        below = ((y < -32) & (z < -14)) | ((np.abs(x) < 20) & (z < -4) & (y < 10)) | (z < -34)
        return np.asarray((self.depth_mm > 3) & (np.abs(x) > 4) & ~below)

    def lobe(self, name: str) -> np.ndarray:
        """(X, Y, Z) bool: a rough lobe in template coordinates."""
        x, y, z = np.moveaxis(self.template_mm, -1, 0)
        return np.asarray(
            {
                "frontal": (y > 2) & (z > -8),
                "temporal": (np.abs(x) > 30) & (z < 6) & (y > -45) & (y < 12),
                "parietal": (y > -62) & (y < -18) & (z > 16),
                "occipital": (y < -64) & (z > -8),
            }[name]
        )


def recurrence_class(share_in_core: float, gap_mm: float) -> str:
    """Name the pattern of a recurrence.

    Parameters
    ----------
    share_in_core
        Share of the volume of the recurrence inside the baseline tumour core.
    gap_mm
        Smallest distance between the two.

    Returns
    -------
    str
        ``local`` with at least half of the volume inside, else ``marginal`` with a gap of at most 20 mm, else ``distant``.

    Examples
    --------
    >>> recurrence_class(0.5, 0.0), recurrence_class(0.49, 0.0), recurrence_class(0.0, 20.1)
    ('local', 'marginal', 'distant')
    """
    if share_in_core >= 0.5:
        return "local"
    return "marginal" if gap_mm <= MARGINAL_GAP_MM else "distant"


def drawn_primary_site(around: Surroundings, radius_mm: float, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Draw the centre of the first tumour in hemispheric white matter.

    Returns
    -------
    centre_mm
        (3,) in the baseline exam.
    lobe
        Rough lobe, such as ``temporal``.
    """
    lobe = str(rng.choice(list(_LOBES), p=list(_LOBES.values())))
    left = rng.random() < 0.5
    x = around.template_mm[..., 0]
    free = (
        around.supratentorial()
        & (around.wm > 0.55)
        & (np.abs(x) > 14 + 0.4 * radius_mm)
        & ((x < 0) == left)
        & (around.ventricle_distance_mm > 5)
        & (around.depth_mm > 0.55 * radius_mm + 3)
    )
    for candidates in (free & around.lobe(lobe), free):
        if candidates.any():
            return _one_of(candidates, around, rng), lobe
    raise InputError("no place in the white matter is free for a tumour; use a finer lattice (lattice_mm)")


def drawn_recurrence_site(
    wanted: str, core_depth_mm: np.ndarray, gap_mm: np.ndarray, radius_mm: float, around: Surroundings, rng: np.random.Generator
) -> np.ndarray:
    """Draw the centre of a recurrence so that its class will be the one wanted.

    Parameters
    ----------
    wanted
        One of `RECURRENCE_CLASSES`.
    core_depth_mm
        (X, Y, Z) depth below the surface of the baseline core, positive inside.
    gap_mm
        (X, Y, Z) distance to the baseline core.
    radius_mm
        Radius of the recurrence.
    around
        The patient's brain.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        (3,) centre in the baseline exam. A local one lies just inside the wall, a marginal one 3 to 11 mm away from the
        core (surface to surface), a distant one 27 to 60 mm, in either hemisphere.
    """
    if wanted == "local":
        good = (core_depth_mm > 0.35 * radius_mm) & (core_depth_mm < 0.35 * radius_mm + 3) & (around.depth_mm > 4)
        fallback = core_depth_mm > 0.8 * core_depth_mm.max()
    else:
        low, high = (3.0, 11.0) if wanted == "marginal" else (27.0, 60.0)
        there = around.supratentorial() & (around.depth_mm > 0.5 * radius_mm + 3) & (around.ventricle_distance_mm > 3)
        reach = gap_mm - radius_mm
        good = there & (around.wm > 0.5) & (reach > low) & (reach < high)
        fallback = (around.depth_mm > 4) & (reach > low) & (reach < high)
    for candidates in (good, fallback):
        if candidates.any():
            return _one_of(candidates, around, rng)
    raise InputError(f"no place is free for a {wanted} recurrence; use a finer lattice (lattice_mm)")


def _one_of(candidates: np.ndarray, around: Surroundings, rng: np.random.Generator) -> np.ndarray:
    where = np.flatnonzero(candidates)
    return np.asarray(around.points_mm.reshape(-1, 3)[where[rng.integers(where.size)]], dtype=np.float64)
