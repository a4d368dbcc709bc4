"""The steps for the group, in their order."""

from __future__ import annotations

__all__ = ["GROUP_STEPS"]

GROUP_STEPS = (
    "tabulate",  # the tables of all patients in one
    "cohort",  # one page for the cohort
)
