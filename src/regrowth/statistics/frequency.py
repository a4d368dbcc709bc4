"""How often each voxel of template space was tumour, in the primaries and in the recurrences of a cohort."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.proportion import wilson_interval

__all__ = [
    "FrequencyDifference",
    "FrequencyMap",
    "PairedFrequency",
    "frequency_difference",
    "frequency_map",
    "paired_frequency",
]


@dataclass(frozen=True, eq=False)
class FrequencyMap:
    """How many of the patients had tumour in a voxel.

    Parameters
    ----------
    counts
        (X, Y, Z) patients.
    n
        Patients.
    """

    counts: np.ndarray
    n: int

    @property
    def share(self) -> np.ndarray:
        """(X, Y, Z) float32 share of the patients; NaN without patients."""
        if not self.n:
            return np.full(self.counts.shape, np.nan, np.float32)
        return (self.counts / np.float32(self.n)).astype(np.float32)

    def lower_bound(self, level: float = 0.95) -> np.ndarray:
        """Give the (X, Y, Z) float32 lower Wilson limit of the share, voxel by voxel (not corrected for their number)."""
        limits = [wilson_interval(count, self.n, level)[0] for count in range(self.n + 1)]
        return np.asarray(limits, dtype=np.float32)[self.counts]


@dataclass(frozen=True, eq=False)
class FrequencyDifference:
    """Where recurrences lie more or less often than the primaries of the same patients.

    Parameters
    ----------
    gained, lost
        (X, Y, Z) patients with tumour in the voxel only at recurrence, or only at first.
    n
        Patients with both masks.

    Notes
    -----
    A description of these patients. Voxels are many and patients few, surgery removes the primary, and registration blurs both:
    a difference in single voxels is no evidence of a preference, and no p-value is given.
    """

    gained: np.ndarray
    lost: np.ndarray
    n: int

    @property
    def share(self) -> np.ndarray:
        """(X, Y, Z) float32 share of recurrences minus share of primaries; NaN without patients."""
        if not self.n:
            return np.full(self.gained.shape, np.nan, np.float32)
        return ((self.gained.astype(np.float32) - self.lost) / self.n).astype(np.float32)


def frequency_map(masks: Iterable[np.ndarray]) -> FrequencyMap:
    """Count the patients with tumour in each voxel.

    Parameters
    ----------
    masks
        One (X, Y, Z) bool mask per patient, all on the same grid of template space. They may come from a generator: one is
        held at a time.

    Raises
    ------
    ParameterError
        If there is no mask or the shapes differ.
    """
    counts: np.ndarray | None = None
    n = 0
    for mask in masks:
        inside = np.asarray(mask, dtype=bool)
        if counts is None:
            counts = np.zeros(inside.shape, np.uint16)
        _require_shape(inside, counts)
        counts += inside
        n += 1
    if counts is None:
        raise ParameterError("a frequency map needs at least one mask")
    return FrequencyMap(counts, n)


@dataclass(frozen=True, eq=False)
class PairedFrequency:
    """How often each voxel was tumour in the primaries and in the recurrences of the same patients, and the difference."""

    primary: FrequencyMap
    recurrence: FrequencyMap
    difference: FrequencyDifference


def paired_frequency(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> PairedFrequency:
    """Count the patients with tumour in each voxel, first and at recurrence, in one pass.

    Parameters
    ----------
    pairs
        One (primary, recurrence) pair of (X, Y, Z) bool masks per patient, all on the same grid. They may come from a
        generator: one pair is held at a time.

    Raises
    ------
    ParameterError
        If there is no pair or the shapes differ.
    """
    counts: np.ndarray | None = None  # (4, X, Y, Z): primary, recurrence, gained, lost
    n = 0
    for primary, recurrence in pairs:
        before, after = np.asarray(primary, dtype=bool), np.asarray(recurrence, dtype=bool)
        if counts is None:
            counts = np.zeros((4, *before.shape), np.uint16)
        _require_shape(before, counts[0])
        _require_shape(after, counts[0])
        for total, here in zip(counts, (before, after, after & ~before, before & ~after), strict=True):
            total += here
        n += 1
    if counts is None:
        raise ParameterError("a difference of frequencies needs at least one pair of masks")
    return PairedFrequency(FrequencyMap(counts[0], n), FrequencyMap(counts[1], n), FrequencyDifference(counts[2], counts[3], n))


def frequency_difference(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> FrequencyDifference:
    """Count per voxel the patients who had tumour only in the primary or only in the recurrence (see `paired_frequency`)."""
    return paired_frequency(pairs).difference


def _require_shape(mask: np.ndarray, counts: np.ndarray) -> None:
    if mask.shape != counts.shape:
        raise ParameterError(
            f"masks of shape {mask.shape} and {counts.shape} cannot be added: resample all to one template grid"
        )
