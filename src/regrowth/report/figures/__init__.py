"""The figures of the reports: each a function from images and values to a `Figure` with its bytes and how to read it."""

from regrowth.report.figures.anatomy import frequency_figure, location_bars, parcellation_figure
from regrowth.report.figures.association import Regression, cut_figure, scatter_figure
from regrowth.report.figures.cohort import (
    Tile,
    count_figure,
    distribution_figure,
    mosaic_figures,
    patient_tile,
)
from regrowth.report.figures.effects import ForestRow, forest_figure, interaction_figure
from regrowth.report.figures.lobes import lobe_figure, region_shares
from regrowth.report.figures.recurrence import DistanceShare, migration_figure, recurrence_figure
from regrowth.report.figures.registration import registration_figure
from regrowth.report.figures.response import response_figure, swimmer_figure
from regrowth.report.figures.segmentation import segmentation_figure
from regrowth.report.figures.survival import incidence_figure, survival_figure
from regrowth.report.figures.timeline import ClinicalEvent, timeline_figure
from regrowth.report.figures.transitions import flow_figure, stay_figure, transition_figure

__all__ = [
    "ClinicalEvent",
    "DistanceShare",
    "ForestRow",
    "Regression",
    "Tile",
    "count_figure",
    "cut_figure",
    "distribution_figure",
    "flow_figure",
    "forest_figure",
    "frequency_figure",
    "incidence_figure",
    "interaction_figure",
    "lobe_figure",
    "location_bars",
    "migration_figure",
    "mosaic_figures",
    "parcellation_figure",
    "patient_tile",
    "recurrence_figure",
    "region_shares",
    "registration_figure",
    "response_figure",
    "scatter_figure",
    "segmentation_figure",
    "stay_figure",
    "survival_figure",
    "swimmer_figure",
    "timeline_figure",
    "transition_figure",
]
