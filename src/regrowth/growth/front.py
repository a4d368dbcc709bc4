"""How far a simulated tumour lies from the segmented one: signed distances at the borders of core and oedema.

Growth from one origin depends on rho and D only through the front length ``L = sqrt(D / rho)`` and the age in generations
``tau = rho t``. One run with ``rho = 1`` therefore serves all ages: `front_trace` records it at the segmented borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.growth.kpp import KppParameters, Stepping, TumourField
from regrowth.growth.simulate import gaussian_cells
from regrowth.growth.tissue import ExchangeRates, TissueMap, exchange_rates
from regrowth.space import Grid, bounding_box

__all__ = [
    "FRONT_RANGE_MM",
    "FrontSurface",
    "FrontTrace",
    "Stage",
    "TumourObservation",
    "distances_mm",
    "front_surfaces",
    "front_trace",
]

_STEP = 0.25  # generations between two records
_MOST_STEPS = 240
_LOG_FLOOR = 1e-30
FRONT_RANGE_MM = (0.5, 15.0)  # beyond, a border says nothing about the front, and runs take long


@dataclass(frozen=True, eq=False)
class TumourObservation:
    """A segmented tumour.

    Parameters
    ----------
    day
        When it was seen.
    core
        (X, Y, Z) bool, enhancing and necrotic tumour; may be empty.
    oedema
        (X, Y, Z) bool, the rest of the lesion, with or without the core; may be empty.
    grid
        Grid of both.
    """

    day: float
    core: np.ndarray
    oedema: np.ndarray
    grid: Grid

    @property
    def whole(self) -> np.ndarray:
        """(X, Y, Z) bool, core and oedema."""
        return np.asarray(self.core, bool) | np.asarray(self.oedema, bool)


@dataclass(frozen=True, eq=False)
class FrontSurface:
    """A border that was seen, and the density that it stands for.

    Parameters
    ----------
    points_mm
        (n, 3) RAS+ mm, middles of faces between a voxel of the mask and one of healthy tissue.
    threshold
        Density at the border.
    observation
        Index of the observation.
    weight
        Weight of each point in a sum of squares: independent pieces of border over points, over the variance in mm2.
    pieces
        How many independent pieces of border there are.
    """

    points_mm: np.ndarray
    threshold: float
    observation: int
    weight: float
    pieces: float


def front_surfaces(
    observations: Sequence[TumourObservation],
    tissue: TissueMap,
    thresholds: tuple[float, float],
    sigma_mm: float,
    correlation_mm: float,
    rng: np.random.Generator,
    most_points: int = 400,
) -> list[FrontSurface]:
    """Find the borders of core and whole lesion within tissue; where the tissue ends, a border says nothing.

    Parameters
    ----------
    observations
        What was seen.
    tissue
        On the same grid.
    thresholds
        Density at the border of the core and of the whole lesion.
    sigma_mm
        Uncertainty of a border.
    correlation_mm
        Points nearer than this err together.
    rng
        Draws the points that stand for a large border.
    most_points
        Largest number of points per border.
    """
    out = []
    matter = tissue.matter
    voxel_variance = float(np.mean(np.square(tissue.grid.spacing_mm))) / 12
    for index, seen in enumerate(observations):
        core, whole = np.asarray(seen.core, bool), seen.whole
        borders = [(whole, thresholds[1])] if whole.any() and (whole & ~core).any() else []
        borders += [(core, thresholds[0])] if core.any() else []
        for mask, threshold in borders:
            points, area_mm2 = _border(mask, matter, tissue.grid)
            if len(points) < 6:
                continue
            pieces = max(area_mm2 / correlation_mm**2, 1.0)
            if len(points) > most_points:
                points = points[rng.choice(len(points), most_points, replace=False)]
            weight = pieces / len(points) / (sigma_mm**2 + voxel_variance)
            out.append(FrontSurface(points, threshold, index, float(weight), pieces))
    return out


def _border(mask: np.ndarray, matter: np.ndarray, grid: Grid) -> tuple[np.ndarray, float]:
    """Middles of the faces (n, 3) between mask and other tissue in mm, and about how large the border is in mm2."""
    box = bounding_box(mask, 1)
    corner = np.array([s.start for s in box])
    inside, tissue = (mask & matter)[box], matter[box]
    points, area = [], 0.0
    for axis in range(3):
        a = [slice(None)] * 3
        b = [slice(None)] * 3
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        here, there = tuple(a), tuple(b)
        faces = np.argwhere((inside[here] != inside[there]) & tissue[here] & tissue[there]).astype(float)
        faces[:, axis] += 0.5
        points.append(grid.world(faces + corner))
        area += len(faces) * 1000 * grid.voxel_volume_ml / grid.spacing_mm[axis]
    return np.concatenate(points), area * 2 / 3  # a staircase is on average 1.5 times as large as the surface it follows


@dataclass(frozen=True, eq=False)
class Stage:
    """A piece of tissue at one spacing, ready for runs, with the borders that were seen in it."""

    grid: Grid
    matter: np.ndarray
    mobility: np.ndarray
    rates: ExchangeRates
    surfaces: tuple[FrontSurface, ...]
    corners: tuple[np.ndarray, np.ndarray, np.ndarray]
    shares: np.ndarray
    lengths: np.ndarray
    seed_mm: float

    @classmethod
    def of(
        cls, tissue: TissueMap, surfaces: Sequence[FrontSurface], white_to_grey: float, spacing_mm: float, seed_mm: float
    ) -> Stage:
        """Coarsen the tissue and find the eight voxels around each point of the borders."""
        coarse = tissue.coarsened(spacing_mm)
        mobility, matter = coarse.mobility(white_to_grey), coarse.matter
        rates = exchange_rates(mobility, matter, coarse.grid.spacing_mm)
        index = coarse.grid.index(np.concatenate([s.points_mm for s in surfaces]))
        low = np.floor(index).astype(int)
        part = index - low
        corners, shares = [], []
        for offset in np.ndindex(2, 2, 2):
            at = low + offset
            share = np.prod(np.where(np.array(offset) == 1, part, 1 - part), axis=1)
            share = share * ((at >= 0) & (at < coarse.grid.shape)).all(axis=1)
            at = np.clip(at, 0, np.array(coarse.grid.shape) - 1)
            corners.append(at)
            shares.append(share * matter[tuple(at.T)])
        places = np.stack(corners, axis=1)
        share = np.stack(shares, axis=1)
        total = share.sum(axis=1, keepdims=True)
        share = np.divide(share, total, out=np.zeros_like(share), where=total > 0.2)  # too near the end of the tissue: left out
        near = (places[..., 0], places[..., 1], places[..., 2])
        lengths = np.sqrt((share * mobility[near]).sum(axis=1))
        return cls(coarse.grid, matter, mobility, rates, tuple(surfaces), near, share, lengths, max(seed_mm, 1e-3))


@dataclass(frozen=True, eq=False)
class FrontTrace:
    """Log-odds of the density at all border points (steps, n), one row per `_STEP` generations, first row age 0."""

    log_odds: np.ndarray

    @property
    def oldest(self) -> float:
        """Age of the last record in generations."""
        return (len(self.log_odds) - 1) * _STEP

    def at(self, age: float) -> np.ndarray:
        """(n,) log-odds at an age in generations; beyond the last record it goes on by its last step."""
        place = min(max(age, 0.0) / _STEP, len(self.log_odds) * 4.0)
        k = min(int(place), len(self.log_odds) - 2)
        return np.asarray(self.log_odds[k] + (place - k) * (self.log_odds[k + 1] - self.log_odds[k]))


def front_trace(stage: Stage, origin_mm: np.ndarray, front_mm: float) -> FrontTrace | None:
    """Run one tumour with ``rho = 1`` until it has passed all borders; None without tissue at its origin or for absurd L."""
    if not FRONT_RANGE_MM[0] <= front_mm <= FRONT_RANGE_MM[1]:
        return None
    start = gaussian_cells(stage.grid, stage.matter, origin_mm, stage.seed_mm)
    if not start.any():
        return None
    field = TumourField(stage.rates, start, Stepping(growth_per_step=_STEP, cutoff=1e-10))
    parameters = KppParameters(front_mm**2, 1.0)
    rows = [_read(stage, field)]
    goal = np.concatenate([np.full(len(s.points_mm), _log_odds(s.threshold)) for s in stage.surfaces])
    used = stage.lengths > 0
    most_behind = int(used.sum()) // 10
    for _ in range(_MOST_STEPS):
        field.advance(_STEP, parameters)
        rows.append(_read(stage, field))
        if np.count_nonzero((rows[-1] < goal + 2.0) & used) <= most_behind:
            break
    return FrontTrace(np.stack(rows))


def _read(stage: Stage, field: TumourField) -> np.ndarray:
    u = np.clip(field.at(stage.corners).astype(np.float64), _LOG_FLOOR, 1 - 1e-6)
    return np.asarray((stage.shares * np.log(u / (1 - u))).sum(axis=1))


def _log_odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


def distances_mm(stage: Stage, trace: FrontTrace, front_mm: float, ages: Sequence[float]) -> np.ndarray:
    """Weighted signed distances (n,) between simulated and seen borders, positive where the simulation reaches further.

    A front of the equation falls off by about half a unit of log-odds per front length, around the densities of borders.
    Distances beyond 5 mm count by their logarithm, so that a piece of border that the model cannot explain does not rule.
    """
    out, first = [], 0
    for surface in stage.surfaces:
        n = len(surface.points_mm)
        part = slice(first, first + n)
        odds = trace.at(ages[surface.observation])[part] - _log_odds(surface.threshold)
        mm = 2 * front_mm * stage.lengths[part] * odds
        out.append(np.sign(mm) * 5 * np.log1p(np.abs(mm) / 5) * np.sqrt(surface.weight))
        first += n
    return np.concatenate(out)
