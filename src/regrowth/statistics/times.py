"""Which times and events a survival analysis can use, and what happens at each distinct time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError

__all__ = ["EventTable", "check_times", "checked_times", "event_table"]


def check_times(time: ArrayLike, event: ArrayLike, what: str = "") -> None:
    """Refuse times and events that a survival analysis cannot use.

    Parameters
    ----------
    time
        (n,) time under observation, in any one unit, above 0.
    event
        (n,) 1 or True where the event was seen, 0 or False where the patient was censored.
    what
        Name of the outcome for the message, e.g. "overall survival".

    Raises
    ------
    ParameterError
        If they are empty, of different length, not numbers, not finite, if a time is not above 0, or an event not 0 or 1.
    """
    checked_times(time, event, what)


def checked_times(time: ArrayLike, event: ArrayLike, what: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Give times and events as (n,) float and (n,) bool, refused as `check_times` does.

    Raises
    ------
    ParameterError
        See `check_times`.
    """
    name = f"{what}: " if what else ""
    times, events = _numbers(time, f"{name}time"), _numbers(event, f"{name}event")
    if times.ndim != 1 or times.shape != events.shape:
        raise ParameterError(
            f"{name}times and events must be lists of one length, not of shape {times.shape} and {events.shape}"
        )
    if not len(times):
        raise ParameterError(f"{name}there are no times; check that rows are left after those with missing values were dropped")
    for values, column in ((times, "time"), (events, "event")):
        _refuse(~np.isfinite(values), values, f"{name}{column} is missing or infinite; leave such rows out first")
    _refuse(times <= 0, times, f"{name}times must be above 0; a patient who was never observed cannot be analysed")
    _refuse((events != 0) & (events != 1), events, f"{name}events must be 0 (censored) or 1 (seen)")
    return times, events == 1


def _numbers(values: ArrayLike, name: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must hold numbers, e.g. not {values!r:.80}") from None


def _refuse(bad: np.ndarray, values: np.ndarray, message: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        shown = ", ".join(f"row {i}: {values[i]:g}" for i in rows[:5])
        raise ParameterError(f"{message} ({len(rows)} of {len(values)} rows; {shown}{', ...' if len(rows) > 5 else ''})")


@dataclass(frozen=True, eq=False)
class EventTable:
    """What happens at each distinct observed time: (m,) times, events, censored and at_risk, the number with time >= t."""

    times: np.ndarray
    events: np.ndarray
    censored: np.ndarray
    at_risk: np.ndarray


def event_table(time: np.ndarray, event: np.ndarray) -> EventTable:
    """Count events, censorings and patients at risk at each distinct time; times and events as `checked_times` gives them."""
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, weights=event, minlength=len(times)).astype(np.int64)
    leaving = np.bincount(place, minlength=len(times))
    at_risk = leaving[::-1].cumsum()[::-1]
    return EventTable(times, events, leaving - events, at_risk)
