"""What one forecast of one patient is worth: a value per measure, with the stratum of the lesion.

The measures themselves stand in `regrowth.growth.scores`; the score card puts the values of many patients side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.coverage import CoverageCurve, recurrence_coverage, volume_for_coverage
from regrowth.growth.plan import TreatmentPlan, iso_volume_dilation, standard_plan
from regrowth.growth.scores import (
    crps_quantiles,
    crps_samples,
    interval_coverage,
    log_error,
    map_scores,
    mask_scores,
    relative_error,
)
from regrowth.growth.series import Forecast
from regrowth.space import Grid

__all__ = [
    "MEASURES",
    "CaseScore",
    "Measure",
    "Strata",
    "Stratum",
    "score_forecast",
    "score_map",
    "score_mask",
    "score_plan",
    "score_volume",
    "spatial_baselines",
]

Stratum = Literal["growing", "stable", "shrinking", "unknown"]


@dataclass(frozen=True)
class Measure:
    """What is measured: whether higher is better, and which centre the paired verdict stands on.

    Measures with heavy tails (one forecast that explodes rules any mean) are judged by the median difference. Hits of an
    interval are a share; a share that is too high is as wrong as one that is too low, so they get no verdict.
    """

    higher_is_better: bool
    centre: Literal["mean", "median", "share"]
    label: str


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "relative_error": Measure(False, "median", "relative error of the volume"),
        "log_error": Measure(False, "mean", "log error of the volume"),
        "crps_ml": Measure(False, "median", "CRPS of the volume (ml)"),
        "interval_hit": Measure(True, "share", "share of observations inside the interval"),
        "dice": Measure(True, "mean", "Dice"),
        "hd95_mm": Measure(False, "mean", "HD95 (mm)"),
        "brier": Measure(False, "mean", "Brier score"),
        "calibration_error": Measure(False, "mean", "calibration error"),
        "average_precision": Measure(True, "mean", "average precision"),
        "coverage": Measure(True, "mean", "recurrence coverage"),
        "volume_for_95_ml": Measure(False, "median", "volume for 95 % coverage (ml)"),
    }
)


@dataclass(frozen=True)
class Strata:
    """Which change of volume counts as growing or shrinking.

    The default is a factor of 1.25 either way, symmetric on the log scale. It is a convention between the 10 % above which
    growth models were seen to help and the +40 % of RANO 2.0 (Wen et al. 2023, doi:10.1200/JCO.23.01059); two scans within days
    differ by 31 to 46 % for enhancing tumour (AJNR 42:1080), so that ``growing`` does not prove growth.
    """

    growing_factor: float = 1.25
    shrinking_factor: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.shrinking_factor < 1 < self.growing_factor:
            raise ParameterError(
                "shrinking_factor lies between 0 and 1 and growing_factor above 1, not "
                f"{self.shrinking_factor} and {self.growing_factor}"
            )

    def of(self, reference_ml: float, observed_ml: float) -> Stratum:
        """Class of a lesion by its last volume before the forecast and the observed one; ``unknown`` for NaN or two zeros."""
        if not np.isfinite(reference_ml) or not np.isfinite(observed_ml) or reference_ml == observed_ml == 0:
            return "unknown"
        if observed_ml >= self.growing_factor * reference_ml:
            return "growing"
        return "shrinking" if observed_ml <= self.shrinking_factor * reference_ml else "stable"


@dataclass(frozen=True)
class CaseScore:
    """One value: of a patient, by a model, in a measure of `MEASURES`; NaN with a reason where there is none."""

    patient: str
    model: str
    measure: str
    value: float
    stratum: Stratum = "unknown"
    reason: str = ""


def score_volume(
    patient: str,
    model: str,
    forecast_ml: float,
    observed_ml: float,
    reference_ml: float,
    *,
    samples_ml: np.ndarray | None = None,
    quantile_levels: np.ndarray | None = None,
    quantiles_ml: np.ndarray | None = None,
    interval_level: float = 0.9,
    strata: Strata | None = None,
) -> list[CaseScore]:
    """Score the forecast of one volume.

    Parameters
    ----------
    patient, model
        Names.
    forecast_ml, observed_ml
        Point forecast (the median) and what was observed; NaN where there is none.
    reference_ml
        Last volume before the forecast, which decides the stratum.
    samples_ml
        (s,) draws. They give the CRPS and, unless there are quantiles, the interval.
    quantile_levels, quantiles_ml
        (q,) each. A forecast without draws and quantiles gets the absolute error, which is the CRPS of a single number.
    interval_level
        Level of the central interval whose hit is recorded; needs quantiles at its two ends, or draws.
    strata
        Thresholds; `Strata` by default.
    """
    stratum = (strata or Strata()).of(reference_ml, observed_ml)
    reason = "no observation" if np.isnan(observed_ml) else ("no forecast" if np.isnan(forecast_ml) else "")
    zero = "" if observed_ml > 0 else "nothing was observed (0 ml)"
    f, o = np.array(forecast_ml), np.array(observed_ml)
    relative, factor = float(relative_error(f, o)), float(log_error(f, o))
    why = zero or ("the forecast is 0 ml" if np.isnan(factor) else "")
    out = [
        CaseScore(patient, model, "relative_error", relative, stratum, reason or (zero if np.isnan(relative) else "")),
        CaseScore(patient, model, "log_error", factor, stratum, reason or why),
    ]
    low = high = np.nan
    ends = np.array([(1 - interval_level) / 2, (1 + interval_level) / 2])
    if samples_ml is not None:
        crps = float(crps_samples(samples_ml, o))
        low, high = np.quantile(samples_ml, ends)
    elif quantiles_ml is not None and quantile_levels is not None:
        crps = float(crps_quantiles(quantile_levels, quantiles_ml, o))
    else:
        crps = float(abs(f - o))
    if quantiles_ml is not None and quantile_levels is not None:
        at = [np.flatnonzero(np.isclose(quantile_levels, end)) for end in ends]
        if all(i.size for i in at):
            low, high = (float(np.asarray(quantiles_ml)[i[0]]) for i in at)
    out.append(CaseScore(patient, model, "crps_ml", crps, stratum, reason))
    if np.isfinite(low) and np.isfinite(high):
        hit = interval_coverage(np.array([low]), np.array([high]), np.array([observed_ml])).value
        out.append(CaseScore(patient, model, "interval_hit", hit, stratum, reason))
    return out


def score_forecast(
    patient: str,
    forecast: Forecast,
    day: float,
    observed_ml: float,
    reference_ml: float,
    *,
    interval_level: float = 0.9,
    strata: Strata | None = None,
) -> list[CaseScore]:
    """Score what a forecast says about one of its days; `score_volume` on its median, draws and quantiles.

    A forecast whose quantiles are all the same number is a point forecast: it has no interval to hit.

    Raises
    ------
    ParameterError
        If the forecast has no value for that day.
    """
    at = np.flatnonzero(np.isclose(forecast.days, day))
    if not at.size:
        raise ParameterError(f"the forecast of {forecast.model} has the days {forecast.days.tolist()}, not {day:g}")
    i = int(at[0])
    levels, quantiles = forecast.quantile_levels, forecast.volumes_ml[:, i]
    samples = None if forecast.samples_ml is None or len(forecast.samples_ml) < 2 else forecast.samples_ml[:, i]
    spread = samples is not None or not np.all(quantiles == quantiles[0])
    found = score_volume(
        patient,
        forecast.model,
        float(forecast.median[i]),
        observed_ml,
        reference_ml,
        samples_ml=samples,
        quantile_levels=levels if spread else None,
        quantiles_ml=quantiles if spread else None,
        interval_level=interval_level,
        strata=strata,
    )
    return [replace(s, reason=s.reason and (forecast.reason or s.reason)) for s in found]


def score_mask(
    patient: str,
    model: str,
    forecast: np.ndarray,
    observed: np.ndarray,
    reference_ml: float,
    grid: Grid,
    *,
    observed_ml: float | None = None,
    strata: Strata | None = None,
) -> list[CaseScore]:
    """Score a forecast mask: Dice and HD95 (definition ``mesh``), (X, Y, Z) bool on one grid; see `mask_scores`.

    `observed_ml` is the native volume of the later exam, which decides the stratum with `reference_ml`; that of the mask on
    this grid when left out.
    """
    found = mask_scores(forecast, observed, grid)
    stratum = _stratum(observed, grid, reference_ml, observed_ml, strata)
    pairs = {"dice": found.dice, "hd95_mm": found.hd95_mm}
    return [CaseScore(patient, model, n, v, stratum, found.reason if np.isnan(v) else "") for n, v in pairs.items()]


def score_map(
    patient: str,
    model: str,
    probability: np.ndarray,
    observed: np.ndarray,
    allowed: np.ndarray,
    reference_ml: float,
    grid: Grid,
    *,
    observed_ml: float | None = None,
    strata: Strata | None = None,
) -> list[CaseScore]:
    """Score a probability map: Brier, calibration error and average precision over `allowed`; see `map_scores`.

    `observed_ml` as in `score_mask`.
    """
    found = map_scores(probability, observed, allowed, grid)
    stratum = _stratum(observed, grid, reference_ml, observed_ml, strata)
    names = ("brier", "calibration_error", "average_precision")
    values = {n: float(getattr(found, n)) for n in names}
    return [CaseScore(patient, model, n, v, stratum, found.reason if np.isnan(v) else "") for n, v in values.items()]


def score_plan(
    patient: str,
    model: str,
    plan: TreatmentPlan,
    recurrence: np.ndarray,
    curve: CoverageCurve | None = None,
    stratum: Stratum = "unknown",
) -> list[CaseScore]:
    """Score a plan: coverage of the recurrence (X, Y, Z) and, from the curve of its map, the volume for 95 % coverage."""
    found = recurrence_coverage(recurrence, plan.mask, plan.grid)
    reason = found.reason + (f" ({plan.reason})" if found.reason and plan.reason else "")
    out = [CaseScore(patient, model, "coverage", found.value, stratum, reason)]
    if curve is not None:
        needed = volume_for_coverage(curve, 0.95)
        out.append(CaseScore(patient, model, "volume_for_95_ml", needed.volume_ml, stratum, needed.reason))
    return out


def spatial_baselines(
    tumour: np.ndarray, brain: np.ndarray, grid: Grid, forecast_ml: float, margin_mm: float = 15.0
) -> dict[str, TreatmentPlan]:
    """Make the masks that a forecast in space has to beat.

    Parameters
    ----------
    tumour, brain
        (X, Y, Z) bool: the tumour at the last exam and where it may grow.
    grid
        Their grid.
    forecast_ml
        Volume of the forecast that is judged; the baseline of the same volume tells whether its shape is worth anything.
    margin_mm
        Margin of the geometric baseline.

    Returns
    -------
    dict
        ``persistence`` (the tumour as it is), ``uniform dilation`` (to the forecast volume), ``15 mm margin``.
    """
    tumour = np.asarray(tumour, bool)
    margin = standard_plan(tumour, brain, grid, margin_mm)
    n = int(tumour.sum())
    same = TreatmentPlan(tumour.copy(), grid, "persistence", n * grid.voxel_volume_ml if n else np.nan)
    return {"persistence": same, "uniform dilation": iso_volume_dilation(tumour, grid, forecast_ml, brain), margin.name: margin}


def _stratum(
    observed: np.ndarray, grid: Grid, reference_ml: float, observed_ml: float | None, strata: Strata | None
) -> Stratum:
    if observed_ml is None:
        observed_ml = float(np.count_nonzero(observed) * grid.voxel_volume_ml)
    return (strata or Strata()).of(reference_ml, observed_ml)
