"""What most users need from Python; the same functions stand behind the command line, and everything takes plain paths."""

from regrowth.api.growth import fit_growth_table, forecast_growth_table, learn_growth, synthesise_growth
from regrowth.api.growth_plan import plan_treatment
from regrowth.api.growth_scores import run_growth_container, score_growth
from regrowth.api.growth_space import map_growth, simulate_tumour
from regrowth.api.images import locate, measure, parcellate, register
from regrowth.api.pipeline import run
from regrowth.api.radiotherapy import export_mask, index_dicom, rasterise_structures
from regrowth.api.radiotherapy_dvh import dose_volumes
from regrowth.api.radiotherapy_failure import classify_failure
from regrowth.api.tables import analyse, respond, simulate, transitions

__all__ = [
    "analyse",
    "classify_failure",
    "dose_volumes",
    "export_mask",
    "fit_growth_table",
    "forecast_growth_table",
    "index_dicom",
    "learn_growth",
    "locate",
    "map_growth",
    "measure",
    "parcellate",
    "plan_treatment",
    "rasterise_structures",
    "register",
    "respond",
    "run",
    "run_growth_container",
    "score_growth",
    "simulate",
    "simulate_tumour",
    "synthesise_growth",
    "transitions",
]
