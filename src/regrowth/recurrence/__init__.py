"""Where a tumour comes back relative to where it was: migration distance, parts, pattern."""

from regrowth.recurrence.components import RecurrenceComponent
from regrowth.recurrence.migration import MigrationDistance, migration, migration_by_region, sensitivity_band
from regrowth.recurrence.pattern import RecurrenceParameters, patient_pattern, recurrence_label, volume_trend
from regrowth.recurrence.series import SeriesComponent, SeriesExam, new_components

__all__ = [
    "MigrationDistance",
    "RecurrenceComponent",
    "RecurrenceParameters",
    "SeriesComponent",
    "SeriesExam",
    "migration",
    "migration_by_region",
    "new_components",
    "patient_pattern",
    "recurrence_label",
    "sensitivity_band",
    "volume_trend",
]
