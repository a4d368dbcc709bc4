"""What a tumour does on a patient's own anatomy: images in, images out, with radiotherapy from a dose image and a cavity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.growth.kpp import Kill, KppParameters, Removal, Stepping, solve_kpp
from regrowth.growth.tissue import TissueMap, exchange_rates
from regrowth.space import Grid, Image, require_same_grid

__all__ = ["DoseCourse", "GrowthSimulation", "ResectionCavity", "gaussian_cells", "seed_density", "simulate_growth"]


@dataclass(frozen=True, eq=False)
class DoseCourse:
    """Fractions of one radiotherapy plan.

    Parameters
    ----------
    dose
        Dose of the whole course in Gy.
    days
        (n,) day of each fraction; each delivers the n-th part of the dose.
    alpha_per_gy, alpha_beta_gy
        Radiosensitivity: the surviving share of a fraction of d Gy is ``exp(-alpha (d + d^2 / (alpha/beta)))``. The defaults
        are of the order that Rockne et al. fitted to glioblastoma [1]_; they vary tenfold between patients.

    References
    ----------
    .. [1] Rockne et al., Phys. Med. Biol. 55 (2010), doi:10.1088/0031-9155/55/12/001.
    """

    dose: Image
    days: tuple[float, ...]
    alpha_per_gy: float = 0.03
    alpha_beta_gy: float = 10.0

    def __post_init__(self) -> None:
        days = tuple(float(d) for d in self.days)
        object.__setattr__(self, "days", days)
        if self.dose.unit.lower() != "gy":
            raise ParameterError(f"the dose must be in Gy, not in {self.dose.unit!r}; multiply by DoseGridScaling first")
        if self.dose.data.ndim != 3 or not np.isfinite(self.dose.data).all() or self.dose.data.min() < 0:
            raise ParameterError("the dose must be one volume of finite values of 0 Gy or more")
        if not days or not np.isfinite(days).all():
            raise ParameterError("a course of radiotherapy needs the day of each fraction")
        if not (self.alpha_per_gy >= 0 and self.alpha_beta_gy > 0):
            raise ParameterError("alpha must be 0 or positive, alpha/beta positive")

    def survival(self) -> np.ndarray:
        """(X, Y, Z) float32, share of cells that survive one fraction."""
        d = np.asarray(self.dose.data, np.float64) / len(self.days)
        return np.exp(-self.alpha_per_gy * (d + d * d / self.alpha_beta_gy)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ResectionCavity:
    """What a surgeon took out: `mask` (X, Y, Z) bool on `grid`, on `day`."""

    mask: np.ndarray
    grid: Grid
    day: float


@dataclass(frozen=True, eq=False)
class GrowthSimulation:
    """A tumour on given days.

    Parameters
    ----------
    days
        (n,).
    density
        (n, X, Y, Z) float32, 0 to 1.
    grid
        Grid of the density.
    parameters
        What it was simulated with.
    events
        How many fractions and resections took place until the last day.
    outside_share
        Share of the given tumour that lay outside of the tissue and was left out.
    status
        ``ok``, or ``warning`` with a reason.
    reason
        Why the result should be looked at with care; empty when ok.
    """

    days: tuple[float, ...]
    density: np.ndarray
    grid: Grid
    parameters: KppParameters
    events: int
    outside_share: float
    status: str
    reason: str

    def image(self, index: int = -1) -> Image:
        """Density on one of the days."""
        return Image(self.density[index], self.grid, "1")

    def mask(self, threshold: float, index: int = -1) -> np.ndarray:
        """(X, Y, Z) bool, where the density is above a threshold on one of the days."""
        return np.asarray(self.density[index] > threshold)

    def volumes_ml(self, threshold: float) -> np.ndarray:
        """(n,) volume above a threshold on each day."""
        return np.array([(d > threshold).sum() * self.grid.voxel_volume_ml for d in self.density])


def seed_density(tissue: TissueMap, origin_mm: Sequence[float], sigma_mm: float = 2.0) -> np.ndarray:
    """Place the first cells: a Gaussian whose number of cells does not depend on the voxels.

    Parameters
    ----------
    tissue
        Where cells can live.
    origin_mm
        (3,) RAS+ mm.
    sigma_mm
        Width; the number of cells is that of a full Gaussian of height 1, ``(2 pi)^1.5 sigma^3`` mm3.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) float32, at most 1, 0 outside of the tissue.

    Raises
    ------
    ParameterError
        When the origin lies outside of the tissue.
    """
    origin = np.asarray(origin_mm, np.float64)
    if origin.shape != (3,) or not np.isfinite(origin).all():
        raise ParameterError(f"an origin needs three numbers in mm (RAS+), not {origin_mm}")
    if not (np.isfinite(sigma_mm) and sigma_mm > 0):
        raise ParameterError(f"the width of the first cells must be a positive number of mm, not {sigma_mm}")
    index, matter = tissue.grid.index(origin), tissue.matter
    voxel = tuple(np.round(index).astype(int))
    inside = all(0 <= v < n for v, n in zip(voxel, tissue.grid.shape, strict=True))
    if not inside or not matter[voxel]:
        raise ParameterError(
            f"the origin {tuple(float(v) for v in origin.round(1))} mm lies outside of white and grey matter; "
            "place it in the brain, in RAS+ mm"
        )
    return gaussian_cells(tissue.grid, matter, origin, sigma_mm)


def gaussian_cells(grid: Grid, matter: np.ndarray, origin_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Like `seed_density`, for any origin: what would fall on blocked voxels is shared out, and far outside all is 0."""
    index = grid.index(origin_mm)
    offsets = [(np.arange(n) - i) * s for n, i, s in zip(grid.shape, index, grid.spacing_mm, strict=True)]
    x, y, z = (np.exp(-(o**2) / (2 * sigma_mm**2)) for o in offsets)
    u = np.where(matter, x[:, None, None] * y[None, :, None] * z[None, None, :], 0)
    u[u < 1e-6] = 0
    total = u.sum()
    if total == 0:
        return np.zeros(grid.shape, np.float32)
    wanted = (2 * np.pi) ** 1.5 * sigma_mm**3 / (1000 * grid.voxel_volume_ml)
    return np.asarray(np.minimum(u * (wanted / total), 1), np.float32)


def simulate_growth(
    tissue: TissueMap,
    start: Image,
    parameters: KppParameters,
    days: Sequence[float],
    *,
    first_day: float = 0.0,
    radiotherapy: Sequence[DoseCourse] = (),
    resections: Sequence[ResectionCavity] = (),
    stepping: Stepping | None = None,
) -> GrowthSimulation:
    """Let a tumour grow on a tissue map.

    Parameters
    ----------
    tissue
        White and grey matter.
    start
        Density on `first_day`, 0 to 1 (a mask works), on the grid of the tissue.
    parameters
        Diffusivity, proliferation and their ratio between tissues.
    days
        (n,) days of the output.
    first_day
        Day of `start`.
    radiotherapy, resections
        Treatment; on one day, resection comes first. Fractions after the last day are not given.
    stepping
        How finely time is divided.

    Returns
    -------
    GrowthSimulation
        With a warning where part of the tumour lay outside of the tissue, where it reached the border of the image, or where
        voxels are too large for its front.

    Raises
    ------
    GridMismatchError
        Tumour, dose or cavity on another grid than the tissue.
    ParameterError
        No tumour within the tissue, treatment before `first_day`, days that fall.
    """
    require_same_grid(tissue.grid, start.grid, "the tissue map and the tumour")
    for course in radiotherapy:
        require_same_grid(tissue.grid, course.dose.grid, "the tissue map and the dose")
    for resection in resections:
        require_same_grid(tissue.grid, resection.grid, "the tissue map and the cavity")
        if np.shape(resection.mask) != tissue.grid.shape:
            raise GridMismatchError(f"a cavity of shape {np.shape(resection.mask)} does not fit its grid")
    matter = tissue.matter
    given = np.asarray(start.data, np.float32)
    if not np.isfinite(given).all() or given.min() < 0 or given.max() > 1 + 1e-6:
        raise ParameterError("the density of a tumour must lie between 0 and 1")
    total = float(given.sum(dtype=np.float64))
    inside = np.where(matter, given, 0)
    if total == 0 or not inside.any():
        what = "there is no tumour: its density is 0 everywhere" if total == 0 else "the whole tumour lies outside of the brain"
        raise ParameterError(f"{what}; check that tumour and tissue map belong to the same patient")
    events: list[Kill | Removal] = [Removal(float(r.day), np.asarray(r.mask, bool)) for r in resections]
    for course in radiotherapy:
        survival = course.survival()
        events += [Kill(day, survival) for day in course.days]
    rates = exchange_rates(tissue.mobility(parameters.white_to_grey), matter, tissue.grid.spacing_mm)
    density = solve_kpp(inside, rates, parameters, days, first_day=first_day, events=events, stepping=stepping)
    outside = 1 - float(inside.sum(dtype=np.float64)) / total
    reasons = _doubts(density, tissue, parameters, outside)
    taken = sum(e.day <= max(days) for e in events)
    chosen = tuple(float(d) for d in days)
    return GrowthSimulation(
        chosen, density, tissue.grid, parameters, taken, outside, "warning" if reasons else "ok", "; ".join(reasons)
    )


def _doubts(density: np.ndarray, tissue: TissueMap, parameters: KppParameters, outside: float) -> list[str]:
    """Reasons to look at a simulation with care."""
    out = []
    if outside > 0.01:
        out.append(f"{outside:.0%} of the tumour lay outside of white and grey matter and was left out")
    edge = max(float(density[(slice(None), *_side(axis, end))].max()) for axis in range(3) for end in (0, -1))
    if edge > 0.01:
        out.append("the tumour reached the border of the image, which stops it there; use a larger field of view")
    coarse = max(tissue.grid.spacing_mm)
    if parameters.proliferation_per_day > 0 and 0 < parameters.front_length_mm < coarse / 2:
        out.append(
            f"voxels of {coarse:.3g} mm are too large for a front of {parameters.front_length_mm:.2g} mm, which moves too fast"
        )
    return out


def _side(axis: int, end: int) -> tuple[slice | int, ...]:
    return tuple(end if d == axis else slice(None) for d in range(3))
