"""When a patient's clock starts and what stops it: death before recurrence as a competing risk, survival after recurrence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regrowth.statistics.clinical import ClinicalTable

__all__ = ["CAUSES", "AfterRecurrence", "Causes", "after_recurrence", "first_event"]

CAUSES: Mapping[int, str] = {0: "censored", 1: "recurrence", 2: "death without recurrence"}
"""What ends the time to the first event."""


@dataclass(frozen=True, eq=False)
class Causes:
    """The first of recurrence and death.

    Parameters
    ----------
    rows
        (m,) index of the patients in the table.
    time_days
        (m,) days.
    cause
        (m,) as in `CAUSES`.
    excluded
        Reason to the number of patients left out.
    notes
        How doubtful cases were taken.
    """

    rows: np.ndarray
    time_days: np.ndarray
    cause: np.ndarray
    excluded: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class AfterRecurrence:
    """Survival on a clock that starts at the exam of the recurrence.

    Parameters
    ----------
    rows
        (m,) index of the patients in the table.
    time_days, event
        (m,) days from the exam, and whether death was observed.
    excluded
        Reason to the number of patients left out.
    """

    rows: np.ndarray
    time_days: np.ndarray
    event: np.ndarray
    excluded: Mapping[str, int]


def first_event(table: ClinicalTable, gap_days: float = 90.0) -> Causes:
    """Tell for each patient what came first: recurrence, or death without one.

    Parameters
    ----------
    table
        The cohort.
    gap_days
        A patient without observed progression who died counts as dead without recurrence only if the last time known free
        of progression is at most this long before death; else nobody looked, and the patient is censored at that time.

    Notes
    -----
    Whoever has an observed progression counts as a recurrence at that time. Treating deaths without recurrence as censored
    overstates the incidence of recurrence; the Aalen-Johansen estimate of these causes does not.
    """
    ttp, progressed, ttp_known = table.endpoint("ttp")
    os_days, died, os_known = table.endpoint("os")
    known = ttp_known & os_known
    near = died & ~progressed & (os_days - ttp <= gap_days)
    cause = np.where(progressed, 1, np.where(near, 2, 0))
    time = np.where(cause == 2, os_days, ttp)
    unseen = int((known & died & ~progressed & ~near).sum())
    notes = (
        (f"{unseen} patient(s) died more than {gap_days:g} days after they were last known free of progression: censored then",)
        if unseen
        else ()
    )
    rows = np.flatnonzero(known)
    excluded = {"no time to progression or overall survival": int((~known).sum())} if not known.all() else {}
    return Causes(rows, time[rows], cause[rows].astype(np.int64), excluded, notes)


def after_recurrence(table: ClinicalTable) -> AfterRecurrence:
    """Start the clock of overall survival at the exam of the recurrence.

    Whatever is measured at recurrence (migration, pattern, location) may be set against this time only: from diagnosis it
    would count the time that a patient had to survive to be measured (immortal time).

    Parameters
    ----------
    table
        The cohort; the day is ``recurrence_day``, and the time to progression where that column does not exist.
    """
    os_days, died, known = table.endpoint("os")
    ttp, progressed, _ = table.endpoint("ttp")
    has_day = "recurrence_day" in table.numbers
    day = table.number("recurrence_day") if has_day else np.where(progressed, ttp, np.nan)
    absent = "no exam at recurrence" if has_day else "no observed progression"
    use = known & ~np.isnan(day) & (day < os_days)
    reasons = {
        "overall survival is not known": int((~known).sum()),
        absent: int((known & np.isnan(day)).sum()),
        "not observed beyond the recurrence": int((known & (day >= os_days)).sum()),
    }
    rows = np.flatnonzero(use)
    return AfterRecurrence(rows, (os_days - day)[rows], died[rows], {k: v for k, v in reasons.items() if v})
