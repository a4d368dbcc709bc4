"""Whether times are in the unit that their column names, and how months become days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.cells import listed, number_column
from regrowth.units import DAYS_PER_MONTH

__all__ = ["LONGEST_DAYS", "duration_column"]

LONGEST_DAYS = 30 * 365.25
"""Longest plausible time, days: 30 years."""

_LONGEST_MONTHS = 360.0
_MONTHS_MEDIAN, _MONTHS_MAX = 40.0, 200.0  # a column of days below both looks like months
_DAYS_MEDIAN = 120.0  # a column of months with a median above looks like days: half of the patients beyond 10 years
_LEAST_VALUES = 5  # fewer values do not show a unit


def duration_column(
    stem: str, columns: Mapping[str, Sequence[str]], ids: Sequence[str], *, check_units: bool = True
) -> tuple[np.ndarray, str]:
    """Read a time from ``<stem>_days`` or ``<stem>_months``.

    Parameters
    ----------
    stem
        ``os``, ``ttp`` or ``recurrence``; the last is the day of an exam, read from ``recurrence_day`` as well.
    columns
        Column name to one text per participant.
    ids
        Names of the participants.
    check_units
        Refuse a column whose values look like the other unit.

    Returns
    -------
    days : numpy.ndarray
        (n,) float64, days, NaN where missing; months are taken as 30.4375 days.
    note : str
        What was converted, or empty.

    Raises
    ------
    ParameterError
        For times that are not above 0, longer than 30 years, look like another unit, or for two columns that disagree.
    """
    day_names = [n for n in (f"{stem}_days", f"{stem}_day") if n in columns]
    month_name = f"{stem}_months"
    days = _read(day_names[0], columns[day_names[0]], ids, LONGEST_DAYS) if day_names else None
    months = _read(month_name, columns[month_name], ids, _LONGEST_MONTHS) if month_name in columns else None
    if check_units and days is not None:
        _refuse_months(day_names[0], month_name, days)
    if check_units and months is not None:
        _refuse_days(month_name, f"{stem}_days", months)
    if days is None and months is None:
        return np.full(len(ids), np.nan), ""
    if months is None:
        return np.asarray(days), ""
    if days is None:
        return months * DAYS_PER_MONTH, f"{month_name} was converted to days ({DAYS_PER_MONTH} days a month)"
    _refuse_disagreement(day_names[0], month_name, days, months, ids)
    return np.where(np.isnan(days), months * DAYS_PER_MONTH, days), f"{day_names[0]} was used where {month_name} is given too"


def _read(name: str, cells: Sequence[str], ids: Sequence[str], longest: float) -> np.ndarray:
    unit = "months" if name.endswith("months") else "days"
    other = "days" if unit == "months" else "months, or leave the value out"
    remedy = f"times are in {unit} here and at most 30 years: is it in {other}?"
    values = number_column(name, cells, ids, -np.inf, longest, remedy)
    bad = [who for who, v in zip(ids, values, strict=True) if v <= 0]
    if bad:
        raise ParameterError(
            f"column {name}: {listed(bad)} {'has' if len(bad) == 1 else 'have'} a time of 0 or less; times start at the first "
            f"exam or diagnosis and are above 0: correct the dates, write 0.5 days for an event on the first day, or n/a"
        )
    return values


def _refuse_months(name: str, better: str, values: np.ndarray) -> None:
    known = values[~np.isnan(values)]
    if len(known) >= _LEAST_VALUES and np.median(known) < _MONTHS_MEDIAN and known.max() < _MONTHS_MAX:
        raise ParameterError(
            f"column {name} has a median of {np.median(known):.3g} and a maximum of {known.max():.3g}: these look like months; "
            f"name the column {better}, or say that the units are right (check_units=False)"
        )


def _refuse_days(name: str, better: str, values: np.ndarray) -> None:
    known = values[~np.isnan(values)]
    if len(known) >= _LEAST_VALUES and np.median(known) > _DAYS_MEDIAN:
        raise ParameterError(
            f"column {name} has a median of {np.median(known):.4g}: these look like days; name the column {better}, "
            "or say that the units are right (check_units=False)"
        )


def _refuse_disagreement(day_name: str, month_name: str, days: np.ndarray, months: np.ndarray, ids: Sequence[str]) -> None:
    # A month rounded to a whole number may lie half a month off.
    apart = np.abs(days - months * DAYS_PER_MONTH) > DAYS_PER_MONTH
    if apart.any():
        who = listed([i for i, a in zip(ids, apart, strict=True) if a])
        raise ParameterError(f"columns {day_name} and {month_name} differ by more than a month for {who}; remove the wrong one")
