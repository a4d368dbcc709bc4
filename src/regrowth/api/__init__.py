"""What most users need from Python; the same functions stand behind the command line, and everything takes plain paths."""

from regrowth.api.growth import fit_growth_table, forecast_growth_table, learn_growth, synthesise_growth
from regrowth.api.growth_plan import plan_treatment
from regrowth.api.growth_scores import run_growth_container, score_growth
from regrowth.api.growth_space import map_growth, simulate_tumour
from regrowth.api.images import locate, measure, parcellate, register
from regrowth.api.pipeline import run
from regrowth.api.tables import analyse, respond, simulate, transitions

__all__ = [
    "analyse",
    "fit_growth_table",
    "forecast_growth_table",
    "learn_growth",
    "locate",
    "map_growth",
    "measure",
    "parcellate",
    "plan_treatment",
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
