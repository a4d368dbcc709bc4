"""How cells of result tables become values of a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from regrowth.clinical import Session
from regrowth.report import Column, Missing, Table, Value

__all__ = ["MAIN_REGIONS", "NOMINAL_NOTE", "main_region", "number", "session_facts", "session_from", "table_of", "value"]

MAIN_REGIONS = ("CE_core", "TC", "ET", "GTV", "WT")
"""Regions in order of preference for the one number that stands at the top."""

NOMINAL_NOTE = (
    "The spacing of these images is nominal: their published geometry was lost. "
    "All values in mm and ml on this page are nominal too."
)

_COUNTS = ("component", "day")


def number(text: str | None) -> float:
    """Read a cell as a number; NaN for ``n/a`` or a missing column."""
    try:
        return float(text) if text not in (None, "", "n/a") else math.nan
    except ValueError:
        return math.nan


def value(row: Mapping[str, str], column: str) -> Value:
    """Give a cell as a number where it is one, as text, or as missing with the reason of its row."""
    text = row.get(column, "n/a")
    if text in ("n/a", ""):
        return Missing(row.get("reason") or row.get(f"{column}_reason") or "not available")
    figure = number(text)
    if math.isnan(figure):
        return text
    return int(figure) if column.startswith("n_") or column in _COUNTS else figure


def table_of(
    title: str, rows: Sequence[Mapping[str, str]], columns: Mapping[str, Column], caption: str = "", notes: Sequence[str] = ()
) -> Table:
    """Make a table of some columns of result rows; `columns` maps the name in the file to the one on the page."""
    cells = tuple(tuple(value(row, name) for name in columns) for row in rows)
    return Table(title, tuple(columns.values()), cells, caption, tuple(n for n in notes if n))


def main_region(regions: Sequence[str]) -> str | None:
    """Choose the region that stands for the tumour."""
    return next((r for r in MAIN_REGIONS if r in regions), None)


def session_facts(session: Session) -> dict[str, object]:
    """Give what a page says of a session, as JSON values."""
    return {
        "label": session.label,
        "day": session.day,
        "phase": session.phase,
        "images": {k: str(v) for k, v in session.images.items()},
        "segmentation": str(session.segmentation) if session.segmentation else None,
        "segmentation_scheme": session.segmentation_scheme,
        "spacing_is_nominal": session.spacing_is_nominal,
        "is_synthetic": session.is_synthetic,
    }


def session_from(facts: Mapping[str, object]) -> Session:
    """Read back what `session_facts` gave."""
    return Session(**facts)  # type: ignore[arg-type]
