"""Where a tumour comes back relative to where it was: migration distance, parts, pattern."""

from regrowth.recurrence.components import RecurrenceComponent
from regrowth.recurrence.migration import MigrationDistance, migration, migration_by_region, sensitivity_band
from regrowth.recurrence.pattern import RecurrenceParameters, patient_pattern, recurrence_label, volume_trend

__all__ = [
    "MigrationDistance",
    "RecurrenceComponent",
    "RecurrenceParameters",
    "migration",
    "migration_by_region",
    "patient_pattern",
    "recurrence_label",
    "sensitivity_band",
    "volume_trend",
]
