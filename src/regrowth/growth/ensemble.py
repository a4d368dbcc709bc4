"""How likely each voxel is to hold tumour on a coming day: the share of plausible tumours that reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.kpp import KppParameters, Stepping
from regrowth.growth.samples import PosteriorSamples
from regrowth.growth.simulate import DoseCourse, ResectionCavity, gaussian_cells, simulate_growth
from regrowth.growth.tissue import TissueMap, block_factors, block_mean, coarsened_mask
from regrowth.space import Image, require_same_grid, resample_image

__all__ = ["GrowthProbability", "growth_probability"]


@dataclass(frozen=True, eq=False)
class GrowthProbability:
    """Probability that the density exceeds a threshold on a day.

    Parameters
    ----------
    probability
        0 to 1, on the grid of the tissue map that was given; 0 outside of the tissue.
    day
        Day of the map, counted as the observations were.
    threshold
        Density that counts as tumour.
    volumes_ml
        (m,) volume above the threshold of each member.
    members
        How many tumours were simulated.
    density
        Mean cell density of the members on the first day, 0 to 1, on the same grid: where cells are already, seen or not. It
        ranks voxels where the probability is 0 or 1 for many, and its order rests less on how fast the tumour grows.
    status
        ``ok``, or ``warning`` with a reason.
    reason
        What to doubt.
    """

    probability: Image
    day: float
    threshold: float
    volumes_ml: np.ndarray
    members: int
    density: Image
    status: str
    reason: str

    def interval_ml(self, level: float = 0.9) -> tuple[float, float]:
        """Central interval of the volume above the threshold."""
        low, high = np.quantile(self.volumes_ml, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def growth_probability(
    tissue: TissueMap,
    samples: PosteriorSamples,
    first_day: float,
    day: float,
    rng: np.random.Generator,
    *,
    threshold: float = 0.2,
    members: int = 50,
    white_to_grey: float = 10.0,
    spacing_mm: float = 2.0,
    seed_mm: float = 2.0,
    radiotherapy: Sequence[DoseCourse] = (),
    resections: Sequence[ResectionCavity] = (),
) -> GrowthProbability:
    """Simulate draws of the posterior, each from its own origin, and count where they exceed a threshold.

    Parameters
    ----------
    tissue
        White and grey matter.
    samples
        Posterior of a fit (`fit_origin`); draws are picked by their weights.
    first_day
        Day of the first observation of that fit.
    day
        Day of the map, not before `first_day`.
    rng
        Random numbers; the same state gives the same map.
    threshold
        Density that counts as tumour: the one that stands for the border of interest.
    members
        How many tumours are simulated.
    white_to_grey, seed_mm
        As in the fit.
    spacing_mm
        Spacing of the simulations; the map comes back on the grid of `tissue`.
    radiotherapy, resections
        Treatment, on the grid of `tissue`, on `first_day` or later.

    Returns
    -------
    GrowthProbability
        A mean of yes and no over members. It is calibrated only as far as the posterior and the model are.

    Raises
    ------
    ParameterError
        A day before the first observation, treatment before it, no members, a threshold outside of 0 to 1.
    """
    if not 0 < threshold < 1 or members < 1:
        raise ParameterError("the threshold lies between 0 and 1, and at least one member is needed")
    _check_days(first_day, day, radiotherapy, resections)
    coarse = tissue.coarsened(spacing_mm)
    courses = [_moved_dose(c, tissue, coarse, spacing_mm) for c in radiotherapy]
    cavities = [_moved_cavity(r, tissue, coarse, spacing_mm) for r in resections]
    picks = rng.choice(len(samples.weights), members, p=samples.weights)
    numbers, counts = np.unique(picks, return_counts=True)
    total, cells = np.zeros(coarse.grid.shape), np.zeros(coarse.grid.shape)
    volumes: list[float] = []
    doubts: set[str] = set()
    for pick, count in zip(numbers, counts, strict=True):
        start = gaussian_cells(coarse.grid, coarse.matter, samples.origins_mm[pick], seed_mm)
        if not start.any():
            doubts.add("some draws began outside of the tissue and count as no tumour")
            volumes += [0.0] * int(count)
            continue
        one = simulate_growth(
            coarse,
            Image(start, coarse.grid, "1"),
            _rates(samples, int(pick), white_to_grey),
            [first_day, day],
            first_day=first_day - float(samples.age_days[pick]),
            radiotherapy=courses,
            resections=cavities,
            stepping=Stepping(growth_per_step=0.25, cutoff=1e-10),
        )
        if one.reason:
            doubts.add(one.reason)
        total += count * one.mask(threshold)
        cells += count * one.density[0]
        volumes += [float(one.volumes_ml(threshold)[-1])] * int(count)
    if samples.effective < 20:
        doubts.add(f"the posterior rests on {samples.effective:.0f} effective draws")
    image, density = (_on_the_grid_of(tissue, part / members, coarse) for part in (total, cells))
    status, reason = "warning" if doubts else "ok", "; ".join(sorted(doubts))
    return GrowthProbability(image, float(day), threshold, np.array(volumes), members, density, status, reason)


def _on_the_grid_of(tissue: TissueMap, values: np.ndarray, coarse: TissueMap) -> Image:
    """Interpolate a map of the simulations, 0 outside of the tissue."""
    fine = resample_image(Image(values.astype(np.float32), coarse.grid, "1"), tissue.grid).data
    return Image(np.where(tissue.matter, np.clip(fine, 0, 1), 0).astype(np.float32), tissue.grid, "1")


def _rates(samples: PosteriorSamples, pick: int, white_to_grey: float) -> KppParameters:
    return KppParameters(
        float(samples.diffusivity_mm2_per_day[pick]), float(samples.proliferation_per_day[pick]), white_to_grey
    )


def _check_days(
    first_day: float, day: float, radiotherapy: Sequence[DoseCourse], resections: Sequence[ResectionCavity]
) -> None:
    if not (np.isfinite(day) and day >= first_day):
        raise ParameterError(f"day {day} lies before the first observation on day {first_day}")
    early = [d for d in [*(d for c in radiotherapy for d in c.days), *(r.day for r in resections)] if d < first_day]
    if early:
        raise ParameterError(f"a treatment on day {early[0]:g} lies before the first observation on day {first_day:g}")


def _moved_dose(course: DoseCourse, tissue: TissueMap, coarse: TissueMap, spacing_mm: float) -> DoseCourse:
    require_same_grid(tissue.grid, course.dose.grid, "the tissue map and the dose")
    if coarse is tissue:
        return course
    data = block_mean(course.dose.data, block_factors(tissue.grid, spacing_mm))
    return replace(course, dose=Image(data, coarse.grid, course.dose.unit))


def _moved_cavity(cavity: ResectionCavity, tissue: TissueMap, coarse: TissueMap, spacing_mm: float) -> ResectionCavity:
    require_same_grid(tissue.grid, cavity.grid, "the tissue map and the cavity")
    if coarse is tissue:
        return cavity
    return ResectionCavity(coarsened_mask(cavity.mask, tissue.grid, spacing_mm), coarse.grid, cavity.day)
