"""How much of a recurrence a plan treats, at which volume, and whether one plan treats more of it than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth.arrays import finite_scores, mask_on
from regrowth.growth.estimate import Estimate, bootstrap_interval, signed_rank_p
from regrowth.space import Grid

__all__ = [
    "Coverage",
    "CoverageCurve",
    "DoseCoverage",
    "PlanComparison",
    "VolumeNeeded",
    "compare_plans",
    "coverage_curve",
    "dose_coverage",
    "recurrence_coverage",
    "volume_for_coverage",
]


@dataclass(frozen=True)
class Coverage:
    """Share of a recurrence inside a plan, 0 to 1; NaN with a reason when the recurrence or the plan is empty."""

    value: float
    recurrence_ml: float
    missed_ml: float
    status: Literal["ok", "no_recurrence", "empty_plan"]
    reason: str = ""


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Coverage by all voxels with a score of at least t, for falling t.

    Parameters
    ----------
    volumes_ml
        (n,) rising volumes of these sets; n is the number of distinct scores in the recurrence.
    coverage
        (n,) shares of the recurrence inside. Between two points it stays at the earlier value: it rises only where
        a voxel of the recurrence joins.
    allowed_ml
        Volume of all allowed voxels.
    outside_share
        Share of the recurrence outside of the allowed voxels, which no plan can reach.
    """

    volumes_ml: np.ndarray
    coverage: np.ndarray
    allowed_ml: float
    outside_share: float
    status: Literal["ok", "no_recurrence"]
    reason: str = ""

    def at(self, volumes_ml: np.ndarray) -> np.ndarray:
        """Coverage at volumes (m,) in ml: that of the largest set of the curve that is not larger; NaN if there is none."""
        wanted = np.asarray(volumes_ml, float)
        if self.status != "ok":
            return np.full(wanted.shape, np.nan)
        steps = np.concatenate([[0.0], self.coverage])
        return steps[np.searchsorted(self.volumes_ml, wanted * (1 + 1e-12), side="right")]


@dataclass(frozen=True)
class VolumeNeeded:
    """Least volume of a map's own level sets that covers a share of the recurrence; NaN with a reason."""

    volume_ml: float
    level: float
    status: Literal["ok", "no_recurrence", "unreachable"]
    reason: str = ""


@dataclass(frozen=True)
class DoseCoverage:
    """Share of a recurrence that received at least a share of the prescribed dose.

    Parameters
    ----------
    value
        0 to 1; NaN when there is no recurrence or part of it lies where the dose is not known.
    at_least, at_most
        The share if the unknown voxels had, and had not, received too little.
    threshold_gy
        Dose that counts as treated.
    n_unknown
        Voxels of the recurrence without a dose.
    """

    value: float
    at_least: float
    at_most: float
    threshold_gy: float
    n_unknown: int
    status: Literal["ok", "no_recurrence", "dose_unknown"]
    reason: str = ""


@dataclass(frozen=True)
class PlanComparison:
    """Coverage of two plans over the same patients.

    Parameters
    ----------
    first, second, difference
        Mean coverage of each plan and of the paired difference (first minus second) over the `n` compared patients.
    median_difference
        Its median.
    difference_below_ceiling
        Mean difference over the patients whose recurrence is not wholly inside both plans.
    p_signed_rank
        Wilcoxon's signed-rank test of the differences that are not 0, two-sided; NaN when there are none.
    n
        Patients compared.
    n_empty
        Patients without a value for either plan (no recurrence), left out.
    n_incomplete
        Patients with a value for one plan only, left out.
    n_ceiling, n_floor
        Compared patients with both values 1, both values 0: they carry no information on which plan is better.
    n_tied, n_better, n_worse
        Equal values (these two included), first above second, first below second.
    verdict
        The result in words.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    median_difference: Estimate
    difference_below_ceiling: Estimate
    p_signed_rank: float
    n: int
    n_empty: int
    n_incomplete: int
    n_ceiling: int
    n_floor: int
    n_tied: int
    n_better: int
    n_worse: int
    verdict: str


def recurrence_coverage(recurrence: np.ndarray, plan: np.ndarray, grid: Grid) -> Coverage:
    """Share of the recurrence inside the plan, |recurrence and plan| / |recurrence|.

    Peers give 1 for a patient without recurrence, which lifts their means; here it is NaN with a reason.

    Parameters
    ----------
    recurrence, plan
        (X, Y, Z) bool on `grid`, in the space of the plan.
    grid
        Their grid.

    Raises
    ------
    GridMismatchError
        If a mask does not fit the grid.
    """
    recurrence, plan = mask_on(grid, recurrence, "the recurrence"), mask_on(grid, plan, "the plan")
    n = int(recurrence.sum())
    if not n:
        return Coverage(np.nan, 0.0, 0.0, "no_recurrence", "the recurrence has no voxel")
    total = float(n * grid.voxel_volume_ml)
    if not plan.any():
        return Coverage(np.nan, total, np.nan, "empty_plan", "the plan has no voxel")
    inside = int((recurrence & plan).sum())
    return Coverage(inside / n, total, float((n - inside) * grid.voxel_volume_ml), "ok")


def coverage_curve(scores: np.ndarray, recurrence: np.ndarray, allowed: np.ndarray, grid: Grid) -> CoverageCurve:
    """Coverage against the volume treated, for a map that ranks the voxels.

    Parameters
    ----------
    scores
        (X, Y, Z), higher is treated first; `margin_scores` for a geometric margin. Voxels of equal score are treated
        together, so that no rule for ties enters.
    recurrence, allowed
        (X, Y, Z) bool; voxels of the recurrence outside of `allowed` are never covered.
    grid
        Grid of all.

    Raises
    ------
    InputError
        If scores inside of `allowed` are NaN or infinite.
    """
    scores, allowed = finite_scores(scores, allowed, grid)
    recurrence = mask_on(grid, recurrence, "the recurrence")
    allowed_ml = float(allowed.sum() * grid.voxel_volume_ml)
    n = int(recurrence.sum())
    if not n:
        empty = np.empty(0)
        return CoverageCurve(empty, empty, allowed_ml, np.nan, "no_recurrence", "the recurrence has no voxel")
    reachable = np.sort(scores[allowed & recurrence])
    ordered = np.sort(scores[allowed])
    thresholds = np.unique(reachable)[::-1]
    volumes = (ordered.size - np.searchsorted(ordered, thresholds, side="left")) * grid.voxel_volume_ml
    covered = (reachable.size - np.searchsorted(reachable, thresholds, side="left")) / n
    return CoverageCurve(volumes.astype(float), covered, allowed_ml, 1.0 - reachable.size / n, "ok")


def volume_for_coverage(curve: CoverageCurve, level: float = 0.95) -> VolumeNeeded:
    """Least volume on a curve whose coverage is at least `level` (0 to 1)."""
    if not 0 < level <= 1:
        raise ParameterError(f"a coverage lies above 0 and up to 1, not {level}")
    if curve.status != "ok":
        return VolumeNeeded(np.nan, level, "no_recurrence", curve.reason)
    reached = np.flatnonzero(curve.coverage >= level - 1e-12)
    if not reached.size:
        reason = f"{100 * curve.outside_share:.1f} % of the recurrence lies outside of the allowed voxels"
        return VolumeNeeded(np.nan, level, "unreachable", reason)
    return VolumeNeeded(float(curve.volumes_ml[reached[0]]), level, "ok")


def dose_coverage(
    dose_gy: np.ndarray, recurrence: np.ndarray, grid: Grid, prescription_gy: float, share: float = 0.95
) -> DoseCoverage:
    """Share of the recurrence that received at least 95 % of the prescription.

    Parameters
    ----------
    dose_gy
        (X, Y, Z) on `grid`, NaN where the dose grid does not reach (resample with ``fill=nan``): a voxel that the plan
        never computed is unknown, not 0 Gy.
    recurrence
        (X, Y, Z) bool.
    grid
        Grid of both.
    prescription_gy
        Prescribed dose.
    share
        0.95: the isodose that has to enclose the target (ICRU report 83).
    """
    if not np.isfinite(prescription_gy) or prescription_gy <= 0 or not 0 < share <= 1:
        raise ParameterError(f"a prescription is above 0 Gy and its share above 0 and up to 1, not {prescription_gy}, {share}")
    recurrence = mask_on(grid, recurrence, "the recurrence")
    dose = np.asarray(dose_gy, float)
    if dose.shape != grid.shape:
        raise GridMismatchError(
            f"the dose has shape {dose.shape} but the grid {grid.shape}; bring it onto the grid with "
            "regrowth.space.resample_image(dose, grid, fill=numpy.nan)"
        )
    threshold = share * prescription_gy
    values = dose[recurrence]
    n = values.size
    if not n:
        return DoseCoverage(np.nan, np.nan, np.nan, threshold, 0, "no_recurrence", "the recurrence has no voxel")
    if (values < 0).any() or np.isinf(values).any():
        raise InputError("the dose is negative or infinite inside the recurrence; check DoseGridScaling and the unit")
    unknown = int(np.isnan(values).sum())
    treated = int((values >= threshold * (1 - 1e-9)).sum())
    low, high = treated / n, (treated + unknown) / n
    if unknown:
        reason = f"{unknown} of {n} voxels of the recurrence lie outside of the dose grid"
        return DoseCoverage(np.nan, low, high, threshold, unknown, "dose_unknown", reason)
    return DoseCoverage(low, low, high, threshold, 0, "ok")


def compare_plans(
    first: Sequence[float],
    second: Sequence[float],
    rng: np.random.Generator,
    names: tuple[str, str] = ("model plan", "standard plan"),
    level: float = 0.95,
) -> PlanComparison:
    """Compare the coverage of two plans over the same patients, with what the mean hides counted.

    Parameters
    ----------
    first, second
        (n,) coverage per patient in the same order, NaN where there is none.
    rng
        For the bootstrap over patients.
    names
        Names of the plans for the verdict.
    level
        Level of the intervals.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(f"each patient needs a value for both plans, in the same order: got shapes {a.shape} and {b.shape}")
    if ((np.concatenate([a, b]) < 0) | (np.concatenate([a, b]) > 1)).any():
        raise InputError("coverage lies between 0 and 1; divide percentages by 100")
    no_a, no_b = np.isnan(a), np.isnan(b)
    both = ~no_a & ~no_b
    x, y = a[both], b[both]
    difference = x - y
    ceiling = (x == 1) & (y == 1)
    mean = bootstrap_interval(difference, rng, level=level)
    p = signed_rank_p(difference)
    result = mean.verdict(f"{names[0]} against {names[1]}, coverage", higher_is_better=True, p_signed_rank=p)
    hidden = f"; {int(ceiling.sum())} of {len(x)} patients are wholly covered by both, {int((no_a & no_b).sum())} had no value"
    return PlanComparison(
        first=bootstrap_interval(x, rng, level=level),
        second=bootstrap_interval(y, rng, level=level),
        difference=mean,
        median_difference=bootstrap_interval(difference, rng, "median", level=level),
        difference_below_ceiling=bootstrap_interval(difference[~ceiling], rng, level=level),
        p_signed_rank=p,
        n=len(x),
        n_empty=int((no_a & no_b).sum()),
        n_incomplete=int((no_a ^ no_b).sum()),
        n_ceiling=int(ceiling.sum()),
        n_floor=int(((x == 0) & (y == 0)).sum()),
        n_tied=int((difference == 0).sum()),
        n_better=int((difference > 0).sum()),
        n_worse=int((difference < 0).sum()),
        verdict=result + hidden,
    )
