"""What one cell of a clinical table says: text to numbers, events and levels, refused with its place and the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from regrowth.errors import ParameterError

__all__ = ["MISSING_WORDS", "event_column", "is_missing", "level_column", "listed", "number_column", "text_of"]

MISSING_WORDS = frozenset({"", "n/a", "na", "nan", "none", "null", "unknown", "."})
"""What counts as a missing value, in any case; BIDS writes ``n/a``."""

_EVENTS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}


def text_of(value: object) -> str:
    """Give a cell as stripped text; None and NaN as empty text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def is_missing(text: str) -> bool:
    """Tell whether a cell holds no value."""
    return text.lower() in MISSING_WORDS


def listed(names: Sequence[str], most: int = 8) -> str:
    """Give names as text, at most `most` of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def number_column(name: str, cells: Sequence[str], ids: Sequence[str], low: float, high: float, remedy: str) -> np.ndarray:
    """Read a column of numbers.

    Parameters
    ----------
    name
        Name of the column, for the messages.
    cells
        One text per participant.
    ids
        Names of the participants, for the messages.
    low, high
        Least and largest plausible value, both included.
    remedy
        What to do about a value outside.

    Returns
    -------
    numpy.ndarray
        (n,) float64, NaN where the value is missing.

    Raises
    ------
    ParameterError
        For text that is no number (a decimal comma has its own remedy), infinity, or a value outside of the limits.
    """
    values = np.full(len(cells), np.nan)
    for row, (cell, who) in enumerate(zip(cells, ids, strict=True)):
        if is_missing(cell):
            continue
        try:
            values[row] = float(cell)
        except ValueError:
            hint = "write decimals with a point" if "," in cell else "write a number, or n/a where it is not known"
            raise ParameterError(f"column {name}, {who}: {cell!r} is not a number; {hint}") from None
        if not low <= values[row] <= high:  # false for NaN too, which float() may read from odd spellings
            raise ParameterError(f"column {name}, {who}: {cell} is not plausible (expected {low:g} to {high:g}); {remedy}")
    return values


def event_column(name: str, cells: Sequence[str], ids: Sequence[str]) -> np.ndarray:
    """Read a column of events: 0, 1, true or false (in any case; 0.0 and 1.0 too, as data frames write them).

    Returns
    -------
    numpy.ndarray
        (n,) float64 of 0, 1 or NaN where the value is missing.

    Raises
    ------
    ParameterError
        For anything else, such as 2, -1 or "dead".
    """
    values = np.full(len(cells), np.nan)
    for row, (cell, who) in enumerate(zip(cells, ids, strict=True)):
        if is_missing(cell):
            continue
        if cell.lower() not in _EVENTS:
            raise ParameterError(
                f"column {name}, {who}: {cell!r} is no event; write 1 where the event was observed, 0 where the patient was "
                "censored (true and false are read too), n/a where it is not known"
            )
        values[row] = _EVENTS[cell.lower()]
    return values


def level_column(name: str, cells: Sequence[str], allowed: Sequence[str] | None, ids: Sequence[str]) -> np.ndarray:
    """Read a column of categories.

    Parameters
    ----------
    name
        Name of the column, for the messages.
    cells
        One text per participant.
    allowed
        Known levels, matched in any case; None takes every text as it stands.
    ids
        Names of the participants, for the messages.

    Returns
    -------
    numpy.ndarray
        (n,) of str, empty where the value is missing.

    Raises
    ------
    ParameterError
        If a cell holds an unknown level; all unknown levels are listed with the first participant that has each.
    """
    canonical: Mapping[str, str] = {level.lower(): level for level in allowed or ()}
    values, unknown = [], dict[str, str]()
    for cell, who in zip(cells, ids, strict=True):
        if is_missing(cell):
            values.append("")
        elif allowed is None:
            values.append(cell)
        elif cell.lower() in canonical:
            values.append(canonical[cell.lower()])
        else:
            unknown.setdefault(cell, who)
            values.append("")
    if unknown:
        found = listed([f"{level!r} ({who})" for level, who in unknown.items()])
        raise ParameterError(f"column {name} holds {found}; its levels are {', '.join(allowed or ())}, or n/a: rename them")
    return np.array(values, dtype=object) if values else np.empty(0, dtype=object)
