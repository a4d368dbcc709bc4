"""How units convert; every other place names its unit and never converts by hand."""

from __future__ import annotations

__all__ = ["DAYS_PER_MONTH", "MM3_PER_ML", "days_to_months"]

MM3_PER_ML = 1000.0
DAYS_PER_MONTH = 30.4375  # 365.25 / 12, the convention of survival tables


def days_to_months(days: float) -> float:
    """Convert days to months of 30.4375 days."""
    return days / DAYS_PER_MONTH
