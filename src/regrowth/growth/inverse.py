"""Where a tumour began, how fast it spreads and how old it is: growth fitted to segmented tumours, with uncertainty.

One segmentation tells the origin, the front length sqrt(D / rho) and the age in generations, but not how long a generation
lasts: then rho comes from the prior, and the result says so. Two segmentations with days between them tell all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from scipy.optimize import least_squares

from regrowth.errors import ParameterError
from regrowth.growth.front import FrontTrace, Stage, TumourObservation, distances_mm, front_surfaces, front_trace
from regrowth.growth.samples import PosteriorSamples, importance_samples
from regrowth.growth.tissue import TissueMap
from regrowth.space import Grid, bounding_box, require_same_grid

__all__ = ["GrowthInverse", "InverseSettings", "fit_origin"]

_ONE_BORDER = 0.05  # of the log front length: the shape of one border says little of it, and real borders much that is wrong
_NUDGE = np.array([0.5, 0.5, 0.5, 0.03, 0.02, 0.02])  # mm, mm, mm, log, log, log: for derivatives
_LEAST_FRONT = 0.25  # of a voxel: a shorter front moves as the voxels let it, not as the equation says


@dataclass(frozen=True)
class InverseSettings:
    """How the fit is done.

    Parameters
    ----------
    core_threshold, oedema_threshold
        Density at the border of the core and of the whole lesion; not measurable in a patient, the values are those of
        published fits [1]_.
    white_to_grey
        Diffusivity in white over grey matter.
    coarse_mm, fine_mm
        Spacing of the search and of the last refinement with its samples.
    margin_mm
        Tissue further than this from the lesion is left out.
    sigma_mm, correlation_mm
        Error of a segmented border, and side of the pieces of border that err independently: for an error that is smooth like
        noise under a Gaussian of standard deviation s, ``2 sqrt(pi) s``. The error of the solver, half a fine voxel, is added.
    front_prior_mm, rho_prior_per_day
        Median and standard deviation of the logarithm of sqrt(D / rho) and of rho. Where only one border was seen, the first
        is held to 5 %: fitted to real outlines of one border it ran to four times the prior. 0.012 per day is in common use for
        high-grade glioma, after Swanson et al. [2]_; no data of ours stand behind it.
    starts, kept
        Origins tried at random, and how many of the best go into least squares.
    samples
        Draws around the optimum.
    seed_mm
        Width of the first cells.

    References
    ----------
    .. [1] Weidner et al., spatial brain tumour concentration estimation, arXiv:2412.13811.
    .. [2] Swanson, Alvord, Murray, Cell Prolif. 33 (2000), doi:10.1046/j.1365-2184.2000.00177.x.
    """

    core_threshold: float = 0.6
    oedema_threshold: float = 0.2
    white_to_grey: float = 10.0
    coarse_mm: float = 4.0
    fine_mm: float = 2.0
    margin_mm: float = 24.0
    sigma_mm: float = 1.0
    correlation_mm: float = 12.0
    front_prior_mm: tuple[float, float] = (4.0, 0.7)
    rho_prior_per_day: tuple[float, float] = (0.012, 1.0)
    starts: int = 8
    kept: int = 3
    samples: int = 150
    seed_mm: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.oedema_threshold < self.core_threshold < 1:
            raise ParameterError("thresholds must satisfy 0 < oedema < core < 1")
        for name in ("white_to_grey", "coarse_mm", "fine_mm", "margin_mm", "sigma_mm", "correlation_mm", "seed_mm"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} must be positive, not {getattr(self, name)}")
        if self.fine_mm > self.coarse_mm or min(self.starts, self.kept) < 1 or self.samples < 20:
            raise ParameterError("fine_mm is at most coarse_mm, starts and kept at least 1, samples at least 20")


@dataclass(frozen=True, eq=False)
class GrowthInverse:
    """What a fit found; NaN and no samples where it was not possible.

    Parameters
    ----------
    origin_mm
        (3,) RAS+ mm.
    diffusivity_mm2_per_day, proliferation_per_day, age_days
        At the optimum; `age_days` counts to the first segmentation.
    misfit_mm
        Root mean square distance between simulated and segmented borders, long distances damped.
    samples
        Draws of the posterior.
    first_day
        Day of the first segmentation.
    runs
        How many tumours were simulated.
    status
        ``ok``, ``warning`` or ``not_fitted``.
    reason
        Why it is not ``ok``.
    """

    origin_mm: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    diffusivity_mm2_per_day: float = np.nan
    proliferation_per_day: float = np.nan
    age_days: float = np.nan
    misfit_mm: float = np.nan
    samples: PosteriorSamples | None = None
    first_day: float = np.nan
    runs: int = 0
    status: str = "not_fitted"
    reason: str = ""
    settings: InverseSettings = field(default_factory=InverseSettings)

    @property
    def front_speed_mm_per_day(self) -> float:
        """Speed of the front in white matter, 2 sqrt(D rho)."""
        return float(2 * np.sqrt(self.diffusivity_mm2_per_day * self.proliferation_per_day))


class _Objective:
    """Residuals of one stage as a function of (x, y, z, log L, log age, log rho)."""

    def __init__(self, stage: Stage, days: np.ndarray, settings: InverseSettings) -> None:
        self.stage, self.days, self.settings = stage, days - days[0], settings
        self.size = 6 if len(days) > 1 else 5
        self.runs = 0
        self.least_front_mm = _LEAST_FRONT * max(stage.grid.spacing_mm)
        self._cached = lru_cache(maxsize=64)(self._run)

    def _run(self, key: tuple[float, ...]) -> FrontTrace | None:
        if key[3] < np.log(self.least_front_mm):
            return None
        self.runs += 1
        return front_trace(self.stage, np.array(key[:3]), float(np.exp(key[3])))

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """(n,) weighted distances and deviations from the prior, in standard deviations."""
        trace = self._cached(tuple(theta[:4].tolist()))
        rho = float(np.exp(theta[5])) if self.size == 6 else 0.0
        front, age = float(np.exp(theta[3])), float(np.exp(theta[4]))
        if trace is None:
            points = np.full(sum(len(s.points_mm) for s in self.stage.surfaces), 10.0)
        else:
            points = distances_mm(self.stage, trace, front, [age + rho * d for d in self.days])
        median, spread = self.settings.front_prior_mm
        prior = [(theta[3] - np.log(median)) / spread]
        if self.size == 6:
            median, spread = self.settings.rho_prior_per_day
            prior.append((theta[5] - np.log(median)) / spread)
        return np.concatenate([points, prior])

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """(n, size) by central differences for what needs no new run, by forward ones for the rest."""
        base = self.residuals(theta)
        columns = []
        for n in range(self.size):
            step = np.zeros(self.size)
            step[n] = _NUDGE[n]
            if n < 4:
                columns.append((self.residuals(theta + step) - base) / _NUDGE[n])
            else:
                columns.append((self.residuals(theta + step) - self.residuals(theta - step)) / (2 * _NUDGE[n]))
        return np.stack(columns, axis=1)

    def cost(self, theta: np.ndarray) -> float:
        """Half the sum of squares."""
        return float(0.5 * np.square(self.residuals(theta)).sum())

    def best_times(self, origin: np.ndarray, front_mm: float) -> tuple[float, np.ndarray] | None:
        """Cost and parameters at the best age and rho for one run, on a grid."""
        theta = np.zeros(self.size)
        theta[:3], theta[3] = origin, np.log(front_mm)
        trace = self._cached(tuple(theta[:4].tolist()))
        if trace is None:
            return None
        best = (np.inf, theta)
        median, spread = self.settings.rho_prior_per_day
        rhos = np.log(median) + spread * np.linspace(-2.5, 2.5, 11) if self.size == 6 else [0.0]
        for age in np.linspace(0.5, max(trace.oldest, 1.0), 40):
            for rho in rhos:
                theta[4:] = [np.log(age), rho][: self.size - 4]
                cost = self.cost(theta)
                if cost < best[0]:
                    best = (cost, theta.copy())
        return best

    def descend(self, theta: np.ndarray, evaluations: int) -> np.ndarray:
        """Least squares from a start."""
        scale = np.array([3.0, 3.0, 3.0, 0.3, 0.2, 0.3])[: self.size]
        found = least_squares(
            self.residuals, theta, jac=self.jacobian, x_scale=scale, max_nfev=evaluations, xtol=1e-4, ftol=1e-4, gtol=1e-6
        )
        return np.asarray(found.x)


def fit_origin(
    observations: Sequence[TumourObservation],
    tissue: TissueMap,
    rng: np.random.Generator,
    settings: InverseSettings | None = None,
) -> GrowthInverse:
    """Fit origin, diffusivity, proliferation and age of a tumour to its segmentations.

    The borders of core and whole lesion are isosurfaces of the density. Random starts on a coarse grid, least squares from the
    best, refined on a finer grid; importance sampling around the optimum with a Student t proposal gives the posterior. Between
    the observations there must be no treatment.

    Parameters
    ----------
    observations
        One or more segmented tumours, in the order of their days, on the grid of `tissue`.
    tissue
        White and grey matter; the lesion itself must be filled in as tissue.
    rng
        Random numbers.
    settings
        How the fit is done.

    Returns
    -------
    GrowthInverse
        With status ``not_fitted`` and a reason for an empty mask, a tumour outside of the tissue or too small a border.

    Raises
    ------
    ParameterError
        No observation, or days that do not rise.
    GridMismatchError
        An observation on another grid.
    """
    settings = settings or InverseSettings()
    days = np.array([o.day for o in observations], float)
    if not len(days) or not np.isfinite(days).all() or (np.diff(days) <= 0).any():
        raise ParameterError("a fit needs at least one observation, and the days of several must rise")
    for seen in observations:
        require_same_grid(tissue.grid, seen.grid, "the tissue map and the tumour")
    refused, doubts = _judged(observations, tissue)
    if refused:
        return GrowthInverse(first_day=float(days[0]), reason=refused, settings=settings)
    thresholds = (settings.core_threshold, settings.oedema_threshold)
    sigma_mm = float(np.hypot(settings.sigma_mm, settings.fine_mm / 2))
    surfaces = front_surfaces(observations, tissue, thresholds, sigma_mm, settings.correlation_mm, rng)
    if {s.observation for s in surfaces} != set(range(len(days))):
        reason = "a tumour is too small, or has no border with healthy tissue, to tell where it came from"
        return GrowthInverse(first_day=float(days[0]), reason=reason, settings=settings)
    if len({s.threshold for s in surfaces}) == 1:
        doubts.append("only one border (core or oedema) was seen: the front length comes from the prior")
        settings = replace(settings, front_prior_mm=(settings.front_prior_mm[0], min(settings.front_prior_mm[1], _ONE_BORDER)))
    around = _cropped(tissue, observations, settings.margin_mm)
    coarse, fine = (
        _Objective(Stage.of(around, surfaces, settings.white_to_grey, spacing, settings.seed_mm), days, settings)
        for spacing in (settings.coarse_mm, settings.fine_mm)
    )
    starts = _starts(coarse, observations[0], around, rng)
    found = min((coarse.descend(start, 12) for start in starts), key=coarse.cost)
    found = fine.descend(found, 8)
    inflation, samples = _sampled(fine, found, rng)
    if len(days) == 1:
        doubts.append(
            "one segmentation does not tell how long a generation lasts: rho, D, speed and age rest on the prior of rho"
        )
    if samples.effective < 20:
        doubts.append(f"the posterior rests on {samples.effective:.0f} effective draws: what it leaves open is rough")
    if inflation > 9:
        doubts.append("the model does not follow the borders (more than 3 times their assumed error)")
    front, age = np.exp(found[3]), np.exp(found[4])
    rho = float(np.exp(found[5]) if len(days) > 1 else settings.rho_prior_per_day[0])
    points = fine.residuals(found)[: fine.stage.lengths.size]
    mm = points / np.sqrt(np.repeat([s.weight for s in surfaces], [len(s.points_mm) for s in surfaces]))
    return GrowthInverse(
        (float(found[0]), float(found[1]), float(found[2])),
        float(front**2 * rho),
        rho,
        float(age / rho),
        float(np.sqrt(np.mean(mm**2))),
        samples,
        float(days[0]),
        coarse.runs + fine.runs,
        "warning" if doubts else "ok",
        "; ".join(doubts),
        settings,
    )


def _judged(observations: Sequence[TumourObservation], tissue: TissueMap) -> tuple[str, list[str]]:
    """Why a fit is not possible (empty if it is), and what to doubt about it."""
    doubts, matter = [], tissue.matter
    for seen in observations:
        if np.shape(seen.core) != tissue.grid.shape or np.shape(seen.oedema) != tissue.grid.shape:
            raise ParameterError(f"the masks of day {seen.day:g} do not fit their grid of shape {tissue.grid.shape}")
        whole = seen.whole
        if not whole.any():
            return f"the mask of day {seen.day:g} is empty", []
        share = float((whole & matter).sum() / whole.sum())
        if share < 0.5:
            return f"{1 - share:.0%} of the tumour of day {seen.day:g} lies outside of white and grey matter", []
        if share < 0.9:
            doubts.append(f"{1 - share:.0%} of the tumour of day {seen.day:g} lies outside of white and grey matter")
        if any(whole.take(end, axis).any() for axis in range(3) for end in (0, -1)):
            doubts.append(f"the tumour of day {seen.day:g} touches the border of the image and may be cut off")
    return "", doubts


def _cropped(tissue: TissueMap, observations: Sequence[TumourObservation], margin_mm: float) -> TissueMap:
    """Tissue around the lesion."""
    whole = np.any([o.whole for o in observations], axis=0)
    a, b, c = (int(np.ceil(margin_mm / s)) for s in tissue.grid.spacing_mm)
    box = bounding_box(whole, (a, b, c))
    affine = tissue.grid.affine.copy()
    affine[:3, 3] = tissue.grid.world(np.array([s.start for s in box]))
    x, y, z = (s.stop - s.start for s in box)
    return TissueMap(tissue.white[box], tissue.grey[box], Grid((x, y, z), affine), tissue.least_matter)


def _starts(coarse: _Objective, seen: TumourObservation, tissue: TissueMap, rng: np.random.Generator) -> list[np.ndarray]:
    """Best of random origins in the first tumour, its centre among them, each with three front lengths."""
    mask = np.asarray(seen.core, bool) if np.any(seen.core) else seen.whole
    voxels = np.argwhere(mask)
    world = seen.grid.world(voxels)
    centre = world.mean(axis=0)
    picks = world[rng.choice(len(world), min(coarse.settings.starts, len(world)), replace=False)]
    origins = [centre, *(centre + 0.7 * (picks - centre))]
    tried = []
    median, spread = coarse.settings.front_prior_mm
    for origin in origins:
        for front in median * np.exp(spread * np.array([-1.0, 0.0, 1.0])):
            best = coarse.best_times(origin, float(front))
            if best is not None:
                tried.append(best)
    if not tried:
        inside = tissue.grid.world(np.argwhere(tissue.matter))
        nearest = inside[np.square(inside - centre).sum(axis=1).argmin()]
        best = coarse.best_times(nearest, median)
        tried = [] if best is None else [best]
    return [theta for _, theta in sorted(tried, key=lambda item: item[0])[: coarse.settings.kept]]


def _sampled(objective: _Objective, found: np.ndarray, rng: np.random.Generator) -> tuple[float, PosteriorSamples]:
    """Importance samples around the optimum, and by how much the misfit exceeds the assumed variance."""
    size, settings = objective.size, objective.settings
    pieces = sum(s.pieces for s in objective.stage.surfaces)
    inflation = max(1.0, 2 * objective.cost(found) / max(pieces - size, 1.0))
    jacobian = objective.jacobian(found)
    weak = np.array([30, 30, 30, 2, 2, 3.0])[:size]  # keeps the inverse finite where the borders say nothing
    covariance = np.linalg.inv(jacobian.T @ jacobian / inflation + np.diag(1 / weak**2))
    draws, weights = importance_samples(
        lambda theta: objective.cost(theta) / inflation, found, covariance, settings.samples, rng
    )
    median, spread = settings.rho_prior_per_day
    log_rho = draws[:, 5] if size == 6 else np.log(median) + spread * rng.standard_normal(len(draws))
    rho, front = np.exp(log_rho), np.exp(draws[:, 3])
    return inflation, PosteriorSamples(draws[:, :3], front**2 * rho, rho, np.exp(draws[:, 4]) / rho, weights)
