"""Pages that people read: one HTML file per patient, one for the cohort, and the figures in them.

The report takes images, values and words and gives text and bytes; it reads and writes no file.
"""

from regrowth.report.cohort import render_cohort
from regrowth.report.content import (
    CohortReport,
    Column,
    Figure,
    Flag,
    Mark,
    Missing,
    PatientReport,
    PatientRow,
    Section,
    StepError,
    SummaryItem,
    Table,
    Value,
)
from regrowth.report.methods import methods_text
from regrowth.report.patient import render_patient
from regrowth.report.tables import inventory_table

__all__ = [
    "CohortReport",
    "Column",
    "Figure",
    "Flag",
    "Mark",
    "Missing",
    "PatientReport",
    "PatientRow",
    "Section",
    "StepError",
    "SummaryItem",
    "Table",
    "Value",
    "inventory_table",
    "methods_text",
    "render_cohort",
    "render_patient",
]
