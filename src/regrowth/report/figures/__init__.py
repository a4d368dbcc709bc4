"""The figures of the reports: each a function from images and values to a `Figure` with its bytes and how to read it."""

from regrowth.report.figures.cohort import (
    Tile,
    count_figure,
    distribution_figure,
    mosaic_figures,
    patient_tile,
    wilson_interval,
)
from regrowth.report.figures.recurrence import DistanceShare, migration_figure, recurrence_figure
from regrowth.report.figures.registration import registration_figure
from regrowth.report.figures.segmentation import segmentation_figure
from regrowth.report.figures.timeline import ClinicalEvent, timeline_figure

__all__ = [
    "ClinicalEvent",
    "DistanceShare",
    "Tile",
    "count_figure",
    "distribution_figure",
    "migration_figure",
    "mosaic_figures",
    "patient_tile",
    "recurrence_figure",
    "registration_figure",
    "segmentation_figure",
    "timeline_figure",
    "wilson_interval",
]
