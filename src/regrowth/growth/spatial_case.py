"""What is foretold of where one tumour will be, and how that compares with what came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from regrowth.errors import InputError
from regrowth.growth.arrays import mask_on
from regrowth.growth.case_scores import CaseScore, Strata, score_map, score_mask, score_plan
from regrowth.growth.coverage import CoverageCurve, coverage_curve
from regrowth.growth.ensemble import GrowthProbability, growth_probability
from regrowth.growth.front import TumourObservation
from regrowth.growth.inverse import GrowthInverse, InverseSettings, fit_origin
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.plan import TreatmentPlan, iso_volume_dilation, margin_scores, model_plan, standard_plan
from regrowth.growth.recalibration import MapHistogram, map_histogram
from regrowth.growth.simulate import DoseCourse, ResectionCavity
from regrowth.growth.tissue import TissueMap
from regrowth.space import Grid, distance_to_mm, require_same_grid

__all__ = [
    "DISTANCE_CURVE",
    "GROWTH_MODEL",
    "SPATIAL_BASELINES",
    "SpatialCase",
    "SpatialForecast",
    "baseline_names",
    "forecast_in_space",
    "inverse_settings",
    "ranked_scores",
]

GROWTH_MODEL = "growth model"
PERSISTENCE = "persistence"
DILATION = "uniform dilation"
DISTANCE_CURVE = "distance to tumour"
SPATIAL_BASELINES = (PERSISTENCE, DILATION, "15 mm margin")
"""Names of the baselines in the scores, for the standard margin."""

_MASK_MEASURES = ("dice", "hd95_mm", "brier", "calibration_error", "average_precision")
_PLAN_MEASURES = ("coverage", "volume_for_95_ml")


@dataclass(frozen=True, eq=False)
class SpatialCase:
    """One patient on one grid: what was seen, where tumour can go, and, if there is one, what came.

    Parameters
    ----------
    label
        Name of the patient, without ``sub-``.
    tissue
        White and grey matter; its grid is that of all arrays.
    observations
        Segmented tumours until the forecast, in the order of their days; no treatment lies between them.
    brain
        (X, Y, Z) bool.
    excluded
        Named masks that no plan treats, such as ``{"ventricles": ...}``; see `standard_plan`.
    barriers
        Named masks that the margin does not cross, such as ``{"falx": ...}``.
    day
        Day of the map.
    recurrence
        (X, Y, Z) bool, the tumour that came; empty when none came, None when nobody looked.
    reference_ml, observed_ml
        Volume of the forecast region at the last observation and at the exam that shows what came, each measured in its own
        space; they decide the stratum. NaN where there is none.
    radiotherapy, resections
        Treatment after the first observation, on the same grid.
    """

    label: str
    tissue: TissueMap
    observations: tuple[TumourObservation, ...]
    brain: np.ndarray
    excluded: Mapping[str, np.ndarray]
    barriers: Mapping[str, np.ndarray]
    day: float
    recurrence: np.ndarray | None = None
    reference_ml: float = np.nan
    observed_ml: float = np.nan
    radiotherapy: tuple[DoseCourse, ...] = ()
    resections: tuple[ResectionCavity, ...] = ()

    @property
    def grid(self) -> Grid:
        """Grid of all arrays."""
        return self.tissue.grid


@dataclass(frozen=True, eq=False)
class SpatialForecast:
    """What was foretold for a case.

    Parameters
    ----------
    inverse
        Where growth began and how fast it is; `status` ``not_fitted`` where nothing could be fitted.
    probability
        The map; None without a fit.
    standard, model
        The margin plan, and the plan of equal volume from the map.
    curves
        Coverage against volume of ``growth model`` and ``distance to tumour``; those that exist.
    histogram
        How often tumour came at each level of the map; None without map or follow-up.
    scores
        See `forecast_in_space`; empty without a follow-up.
    status
        ``ok``, ``warning`` or ``not_fitted``.
    reason
        Why it is not ``ok``.
    """

    inverse: GrowthInverse
    probability: GrowthProbability | None
    standard: TreatmentPlan
    model: TreatmentPlan
    curves: Mapping[str, CoverageCurve]
    histogram: MapHistogram | None
    scores: tuple[CaseScore, ...]
    status: Literal["ok", "warning", "not_fitted"]
    reason: str = ""


def baseline_names(margin_mm: float = 15.0) -> tuple[str, ...]:
    """Names of the baselines in the scores, for a margin."""
    return (PERSISTENCE, DILATION, f"{margin_mm:g} mm margin")


def inverse_settings(parameters: GrowthParameters, grid: Grid) -> InverseSettings:
    """Settings of the fit; its spacings are never finer than the image."""
    fine = max(parameters.map_spacing_mm, float(np.mean(grid.spacing_mm)))
    return InverseSettings(
        core_threshold=parameters.core_threshold,
        oedema_threshold=parameters.oedema_threshold,
        white_to_grey=parameters.white_to_grey,
        coarse_mm=max(parameters.search_spacing_mm, fine),
        fine_mm=fine,
        samples=parameters.space_draws,
    )


def ranked_scores(probability: np.ndarray, grid: Grid, tumour: np.ndarray) -> np.ndarray:
    """Rank all voxels by a map, equal ones by the distance to the tumour, and where it is 0 by the distance to where it is not.

    A map of a finite number of simulations is 0 in most of the brain, and can be 1 in much of it; without this rule the voxels
    there would be one large tie, and the volume that a recurrence needs would jump over it.

    Parameters
    ----------
    probability
        (X, Y, Z) 0 to 1.
    grid
        Its grid.
    tumour
        (X, Y, Z) bool, the tumour at the last observation; an empty one breaks no tie.

    Returns
    -------
    numpy.ndarray
        (X, Y, Z) the probability where it is above 0, less a millionth at most for the distance to the tumour; elsewhere minus
        the distance in mm; 0 everywhere for a map of zeros.
    """
    p = np.asarray(probability, np.float64)
    if not (p > 0).any():
        return np.zeros(p.shape)
    near = np.zeros(p.shape)
    if np.any(tumour):
        near = distance_to_mm(tumour, grid)
        near = near * (min(1e-6, float(p[p > 0].min()) / 2) / max(float(near.max()), 1.0))
    return np.where(p > 0, p - near, -distance_to_mm(p > 0, grid))


def forecast_in_space(case: SpatialCase, parameters: GrowthParameters, rng: np.random.Generator) -> SpatialForecast:
    """Fit where a tumour began, map where it will be, plan by margin and by map, and score both against what came.

    The region that is forecast is the core (density above `core_threshold`) or the whole lesion (above `oedema_threshold`).
    Both plans treat voxels of the brain outside of the excluded masks, and the core itself; they have equal volumes. The
    margin is that of the core whatever is forecast, as in guidelines, or of the lesion where there is no core.

    Scores, for a case with `recurrence`:

    - masks (Dice, HD95) and maps (Brier, calibration error, average precision over the voxels that plans may treat):
      ``growth model`` (at least 50 %), ``persistence``, ``uniform dilation`` (to the volume of the growth model) and the
      margin; a baseline is a map of 0 and 1;
    - plans (coverage of the recurrence, volume for 95 %): ``growth model``, which treats the core and the voxels with the
      highest mean density on the day of the first exam, as others rank them too (a map of a far day is 1 where plans end), and
      outside of the tissue that of the nearest tissue; and the margin, which is the curve of the distance to the tumour.

    Parameters
    ----------
    case
        The patient.
    parameters
        Choices.
    rng
        Random numbers; the same state gives the same forecast.

    Returns
    -------
    SpatialForecast
        With a status and a reason where nothing could be fitted; the baselines are scored all the same.

    Raises
    ------
    GridMismatchError
        Arrays on different grids.
    ParameterError
        No observation, days that do not rise, a map before the last observation.
    """
    grid = case.grid
    for seen in case.observations:
        require_same_grid(grid, seen.grid, "the tissue map and the tumour")
    brain = mask_on(grid, case.brain, "the brain mask")
    excluded = {name: mask_on(grid, mask, f"the excluded mask {name}") for name, mask in case.excluded.items()}
    came = None if case.recurrence is None else mask_on(grid, case.recurrence, "the recurrence")
    inverse = fit_origin(case.observations, case.tissue, rng, inverse_settings(parameters, grid))
    last = case.observations[-1]
    core = np.asarray(last.core, bool) if np.any(last.core) else last.whole
    tumour = np.asarray(last.core, bool) if parameters.region == "core" else last.whole
    allowed = brain & ~np.logical_or.reduce([np.zeros(grid.shape, bool), *excluded.values()]) | (core & brain)
    probability, doubts = _mapped(case, inverse, parameters, rng)
    doubts += [] if np.any(last.core) or parameters.region != "core" else ["no core was seen: nothing persists or dilates"]
    standard = _standard(case, core, brain, parameters)
    doubts += [standard.reason] if standard.reason else []
    ranks = None if probability is None else _ranks(probability.density.data, case.tissue, core)
    model = _model_plan(ranks, allowed, standard, grid, inverse.reason)
    curves: dict[str, CoverageCurve] = {}
    scores: list[CaseScore] = []
    histogram = None
    if came is not None:
        if ranks is not None and allowed.any():
            curves[GROWTH_MODEL] = coverage_curve(ranks, came, allowed, grid)
        if core.any() and allowed.any():
            curves[DISTANCE_CURVE] = coverage_curve(margin_scores(core, grid), came, allowed, grid)
        scores = _scores(case, came, tumour, allowed, standard, model, curves, probability, inverse.reason)
        if probability is not None:
            histogram = map_histogram(probability.probability.data, came, allowed, probability.members)
    said = [d for d in dict.fromkeys(doubts) if d not in inverse.reason]
    reason = "; ".join(r for r in (inverse.reason, *said) if r)
    status: Literal["ok", "warning", "not_fitted"] = "warning" if reason else "ok"
    status = "not_fitted" if probability is None else status
    return SpatialForecast(inverse, probability, standard, model, curves, histogram, tuple(scores), status, reason)


def _ranks(density: np.ndarray, tissue: TissueMap, core: np.ndarray) -> np.ndarray:
    """Rank voxels for a plan: the core, then by density, and voxels outside of the tissue as the nearest one inside.

    No cell of the model lives in a furrow, but real maps are off by a voxel or two, and a plan must not leave out what lies
    between two voxels of tumour.
    """
    _, nearest = ndimage.distance_transform_edt(~tissue.matter, sampling=tissue.grid.spacing_mm, return_indices=True)
    ranks = ranked_scores(density[tuple(nearest)], tissue.grid, core)
    return np.asarray(np.where(core, ranks + 2.0, ranks))  # above all densities


def _mapped(
    case: SpatialCase, inverse: GrowthInverse, parameters: GrowthParameters, rng: np.random.Generator
) -> tuple[GrowthProbability | None, list[str]]:
    """Simulate the map; None without a fit. Treatment before the first observation is in what was seen already."""
    if inverse.samples is None:
        return None, []
    first, doubts = inverse.first_day, []
    courses = tuple(c for c in case.radiotherapy if min(c.days) >= first)
    cavities = tuple(r for r in case.resections if r.day >= first)
    if len(courses) < len(case.radiotherapy) or len(cavities) < len(case.resections):
        doubts.append("treatment that began before the first exam is left out of the map: its effect is in that exam")
    threshold = parameters.core_threshold if parameters.region == "core" else parameters.oedema_threshold
    found = growth_probability(
        case.tissue,
        inverse.samples,
        first,
        case.day,
        rng,
        threshold=threshold,
        members=parameters.members,
        white_to_grey=parameters.white_to_grey,
        spacing_mm=inverse.settings.fine_mm,
        seed_mm=inverse.settings.seed_mm,
        radiotherapy=courses,
        resections=cavities,
    )
    parts = found.reason.split("; ") if found.reason else []
    coarse = [p for p in parts if p.startswith("voxels of")]  # one per draw, each with its own length
    doubts += [p for p in parts if p not in coarse]
    if coarse:
        doubts.append(coarse[0] + (f"; so are {len(coarse) - 1} others" if len(coarse) > 1 else ""))
    return found, doubts


def _standard(case: SpatialCase, core: np.ndarray, brain: np.ndarray, parameters: GrowthParameters) -> TreatmentPlan:
    barriers = case.barriers if parameters.barriers else {}
    try:
        return standard_plan(
            core, brain, case.grid, parameters.margin_mm, excluded=dict(case.excluded), barriers=dict(barriers) or None
        )
    except InputError as error:  # no brain, or the tumour outside of it
        nothing = np.zeros(case.grid.shape, bool)
        name = baseline_names(parameters.margin_mm)[-1]
        return TreatmentPlan(nothing, case.grid, name, np.nan, "empty_mask", str(error))


def _model_plan(ranks: np.ndarray | None, allowed: np.ndarray, standard: TreatmentPlan, grid: Grid, why: str) -> TreatmentPlan:
    nothing = np.zeros(grid.shape, bool)
    if not np.isfinite(standard.volume_ml):
        return TreatmentPlan(nothing, grid, "model plan", np.nan, standard.status, f"no plan to be equal to: {standard.reason}")
    if ranks is None:
        return TreatmentPlan(nothing, grid, "model plan", np.nan, "constant_map", f"no map: {why}")
    return model_plan(ranks, allowed, grid, standard.volume_ml)


def _scores(
    case: SpatialCase,
    came: np.ndarray,
    tumour: np.ndarray,
    allowed: np.ndarray,
    standard: TreatmentPlan,
    model: TreatmentPlan,
    curves: Mapping[str, CoverageCurve],
    probability: GrowthProbability | None,
    why: str,
) -> list[CaseScore]:
    """Score everything that exists, and give NaN with a reason for what does not."""
    grid, margin = case.grid, standard.name
    stratum = Strata().of(case.reference_ml, case.observed_ml)
    share = None if probability is None else np.asarray(probability.probability.data)
    masks: dict[str, tuple[np.ndarray | None, str]] = {}
    masks[GROWTH_MODEL] = (None, f"no map: {why}") if share is None else (share >= 0.5, "")
    there = tumour.any() and (tumour & allowed).any()
    no_tumour = "" if there else "no tumour was seen inside of the brain"
    masks[PERSISTENCE] = (tumour, "") if there else (None, no_tumour)
    wide = None
    if share is not None and there:
        wide = iso_volume_dilation(tumour, grid, float((share >= 0.5).sum() * grid.voxel_volume_ml), allowed).mask
    masks[DILATION] = (wide, no_tumour or f"no map whose volume it could take: {why}")
    masks[margin] = (standard.mask, "") if np.isfinite(standard.volume_ml) else (None, standard.reason)
    out: list[CaseScore] = []
    for name, (mask, reason) in masks.items():
        if mask is None:
            out += [CaseScore(case.label, name, m, np.nan, stratum, reason) for m in _MASK_MEASURES]
            continue
        out += score_mask(case.label, name, mask, came, case.reference_ml, grid, observed_ml=case.observed_ml)
        values = share if name == GROWTH_MODEL and share is not None else mask.astype(np.float32)
        out += score_map(case.label, name, values, came, allowed, case.reference_ml, grid, observed_ml=case.observed_ml)
    for name, plan, curve in ((GROWTH_MODEL, model, GROWTH_MODEL), (margin, standard, DISTANCE_CURVE)):
        if np.isfinite(plan.volume_ml) and curve in curves:
            out += score_plan(case.label, name, plan, came, curves[curve], stratum)
        else:
            out += [CaseScore(case.label, name, m, np.nan, stratum, plan.reason) for m in _PLAN_MEASURES]
    return out
