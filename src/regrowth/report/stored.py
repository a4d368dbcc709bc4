"""How sections of a page are kept in a file between the step that makes them and the page that shows them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from regrowth.report.content import Column, Figure, Mark, Missing, Section, Table, Value

__all__ = ["section_from", "section_values"]

_BYTES = ("data", "raster")


def section_values(section: Section) -> dict[str, Any]:
    """Give a section as JSON values; pictures are base64 text."""
    return {
        "title": section.title,
        "anchor": section.anchor,
        "text": section.text,
        "skipped": section.skipped,
        "figures": [{**vars(f), **{k: _text(getattr(f, k)) for k in _BYTES}} for f in section.figures],
        "tables": [
            {
                "title": t.title,
                "columns": [asdict(c) for c in t.columns if isinstance(c, Column)],
                "rows": [[_stored(v) for v in row] for row in t.rows],
                "caption": t.caption,
                "notes": list(t.notes),
            }
            for t in section.tables
        ],
    }


def section_from(values: Mapping[str, Any]) -> Section:
    """Read back what `section_values` gave; a NaN comes back as None, which a page shows alike."""
    figures = [Figure(**{**f, **{k: base64.b64decode(f[k]) for k in _BYTES}}) for f in values["figures"]]
    tables = [
        Table(
            t["title"],
            tuple(Column(**c) for c in t["columns"]),
            tuple(tuple(_value(v) for v in row) for row in t["rows"]),
            t["caption"],
            tuple(t["notes"]),
        )
        for t in values["tables"]
    ]
    named = {k: values[k] for k in ("title", "anchor", "text", "skipped")}
    return Section(**named, figures=tuple(figures), tables=tuple(tables))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _stored(value: Value) -> Any:
    if isinstance(value, Missing):
        return {"missing": value.reason}
    return {"mark": value.present, "note": value.note} if isinstance(value, Mark) else value


def _value(stored: Any) -> Value:
    if not isinstance(stored, dict):
        return stored
    return Missing(stored["missing"]) if "missing" in stored else Mark(stored["mark"], stored["note"])
