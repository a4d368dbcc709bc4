"""How a tumour grows: in time, in space, and what a forecast or a plan is worth."""

from regrowth.growth.baselines import common_growth_forecast, log_linear_forecast, persistence_forecast
from regrowth.growth.case_scores import (
    MEASURES,
    CaseScore,
    Strata,
    score_forecast,
    score_map,
    score_mask,
    score_plan,
    score_volume,
    spatial_baselines,
)
from regrowth.growth.choice import Forecaster, ModelChoice, choose_forecaster, log_crps
from regrowth.growth.cohort_forecast import forecast_cohort, learn_cohort_model
from regrowth.growth.cohort_model import CohortModel
from regrowth.growth.cohort_prior import learn_cohort_prior
from regrowth.growth.cohort_results import CohortForecast, PatientForecast
from regrowth.growth.conformal import ConformalBand, learn_conformal_band
from regrowth.growth.coverage import (
    Coverage,
    CoverageCurve,
    DoseCoverage,
    PlanComparison,
    VolumeNeeded,
    compare_plans,
    coverage_curve,
    dose_coverage,
    recurrence_coverage,
    volume_for_coverage,
)
from regrowth.growth.ensemble import GrowthProbability, growth_probability
from regrowth.growth.estimate import Estimate, bootstrap_interval
from regrowth.growth.fit import GrowthFit, ParameterPrior, ParameterSamples, bootstrap_parameters, fit_growth, weak_prior
from regrowth.growth.forecast import Carry, ThresholdTime, forecast_growth, progression_threshold_ml, time_to_exceed
from regrowth.growth.front import TumourObservation
from regrowth.growth.inverse import GrowthInverse, InverseSettings, fit_origin
from regrowth.growth.kpp import KppParameters, Stepping
from regrowth.growth.models import (
    BERTALANFFY,
    EXPONENTIAL,
    GOMPERTZ,
    GROWTH_INHIBITION,
    GROWTH_MODELS,
    LIVE_DAMAGED,
    LOGISTIC,
    PROLIFERATION_SATURATION,
    GrowthModel,
    Parameter,
    growth_model,
    laslo2025,
)
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.patient_series import PatientSeries
from regrowth.growth.plan import TreatmentPlan, iso_volume_dilation, margin_scores, model_plan, standard_plan
from regrowth.growth.posterior import sample_posterior
from regrowth.growth.recalibration import MapCalibration, MapHistogram, learn_map_calibration, map_histogram
from regrowth.growth.record import TreatmentEvent, TreatmentRecord
from regrowth.growth.samples import PosteriorSamples
from regrowth.growth.scorecard import ScoreCard, score_card
from regrowth.growth.scores import (
    Calibration,
    MapScores,
    MaskScores,
    average_precision,
    brier,
    calibration,
    crps_quantiles,
    crps_samples,
    interval_coverage,
    log_error,
    map_scores,
    mask_scores,
    relative_error,
)
from regrowth.growth.series import QUANTILE_LEVELS, Forecast, VolumeSeries
from regrowth.growth.simulate import DoseCourse, GrowthSimulation, ResectionCavity, seed_density, simulate_growth
from regrowth.growth.spatial_case import SPATIAL_BASELINES, SpatialCase, SpatialForecast, forecast_in_space
from regrowth.growth.tissue import TissueMap, tissue_map
from regrowth.growth.treatment import NO_TREATMENT, DrugCourse, Fraction, Surgery, Treatment

__all__ = [
    "BERTALANFFY",
    "EXPONENTIAL",
    "GOMPERTZ",
    "GROWTH_INHIBITION",
    "GROWTH_MODELS",
    "LIVE_DAMAGED",
    "LOGISTIC",
    "MEASURES",
    "NO_TREATMENT",
    "PROLIFERATION_SATURATION",
    "QUANTILE_LEVELS",
    "SPATIAL_BASELINES",
    "Calibration",
    "Carry",
    "CaseScore",
    "CohortForecast",
    "CohortModel",
    "ConformalBand",
    "Coverage",
    "CoverageCurve",
    "DoseCourse",
    "DoseCoverage",
    "DrugCourse",
    "Estimate",
    "Forecast",
    "Forecaster",
    "Fraction",
    "GrowthFit",
    "GrowthInverse",
    "GrowthModel",
    "GrowthParameters",
    "GrowthProbability",
    "GrowthSimulation",
    "InverseSettings",
    "KppParameters",
    "MapCalibration",
    "MapHistogram",
    "MapScores",
    "MaskScores",
    "ModelChoice",
    "Parameter",
    "ParameterPrior",
    "ParameterSamples",
    "PatientForecast",
    "PatientSeries",
    "PlanComparison",
    "PosteriorSamples",
    "ResectionCavity",
    "ScoreCard",
    "SpatialCase",
    "SpatialForecast",
    "Stepping",
    "Strata",
    "Surgery",
    "ThresholdTime",
    "TissueMap",
    "Treatment",
    "TreatmentEvent",
    "TreatmentPlan",
    "TreatmentRecord",
    "TumourObservation",
    "VolumeNeeded",
    "VolumeSeries",
    "average_precision",
    "bootstrap_interval",
    "bootstrap_parameters",
    "brier",
    "calibration",
    "choose_forecaster",
    "common_growth_forecast",
    "compare_plans",
    "coverage_curve",
    "crps_quantiles",
    "crps_samples",
    "dose_coverage",
    "fit_growth",
    "fit_origin",
    "forecast_cohort",
    "forecast_growth",
    "forecast_in_space",
    "growth_model",
    "growth_probability",
    "interval_coverage",
    "iso_volume_dilation",
    "laslo2025",
    "learn_cohort_model",
    "learn_cohort_prior",
    "learn_conformal_band",
    "learn_map_calibration",
    "log_crps",
    "log_error",
    "log_linear_forecast",
    "map_histogram",
    "map_scores",
    "margin_scores",
    "mask_scores",
    "model_plan",
    "persistence_forecast",
    "progression_threshold_ml",
    "recurrence_coverage",
    "relative_error",
    "sample_posterior",
    "score_card",
    "score_forecast",
    "score_map",
    "score_mask",
    "score_plan",
    "score_volume",
    "seed_density",
    "simulate_growth",
    "spatial_baselines",
    "standard_plan",
    "time_to_exceed",
    "tissue_map",
    "volume_for_coverage",
    "weak_prior",
]
