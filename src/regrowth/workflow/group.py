"""The steps for the group, in their order."""

from __future__ import annotations

__all__ = ["GROUP_STEPS"]

GROUP_STEPS = (
    "tabulate",  # the tables of all patients in one
    "frequency",  # how often each place of the template is tumour
    "forecast",  # how large each tumour will be, from the volumes of all
    "growth",  # growth maps of all: corrected by each other's outcomes, scored beside baselines
    "statistics",  # survival, transitions, migration and time
    "cohort",  # one page for the cohort
)
