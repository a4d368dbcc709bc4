"""How content becomes the parts of a page: numbers, dashes with reasons, footnotes, pictures inside the page."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from regrowth.report.content import Column, Figure, Mark, Missing, Section, SummaryItem, Table, Value

if TYPE_CHECKING:
    import jinja2

__all__ = [
    "Cell",
    "TableView",
    "cell_of",
    "data_uri",
    "environment",
    "number",
    "paragraphs",
    "status_lines",
    "summary_cell",
    "table_view",
]

DASH = "–"
_NO_REASON = "no value"
_MOST_FAILURES = 5  # in the status at the top; the errors section has all


@dataclass(frozen=True)
class Cell:
    """A cell as the page shows it: text, words on hover, the key to sort by, a CSS class, the letter of its footnote."""

    text: str
    hover: str = ""
    sort: str = ""
    style: str = ""
    footnote: str = ""
    link: str = ""


@dataclass(frozen=True)
class TableView:
    """A table as the page shows it."""

    title: str
    columns: tuple[tuple[Column, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
    notes: tuple[str, ...]
    reasons: tuple[tuple[str, str], ...]


def data_uri(figure: Figure) -> str:
    """Give a picture as an address that carries the picture itself."""
    mime = {"png": "image/png", "svg": "image/svg+xml"}[figure.kind]
    return f"data:{mime};base64,{base64.b64encode(figure.data).decode('ascii')}"


def cell_of(value: Value, digits: int = 2) -> Cell:
    """Show one value: numbers with a true minus, what is missing as a dash with its reason."""
    if isinstance(value, Missing):
        return Cell(DASH, value.reason, "", "num missing")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell(DASH, _NO_REASON, "", "num missing")
    if isinstance(value, Mark):
        return Cell("●" if value.present else "○", "" if value.present else value.note, str(int(value.present)), "mark")
    if isinstance(value, bool):
        return Cell("yes" if value else "no", "", str(int(value)))
    if isinstance(value, int | float):
        return Cell(number(value, digits), "", repr(float(value)), "num")
    text = str(value)
    return Cell(text, "", text, "short" if len(text) <= 20 else "long")


def number(value: float, digits: int) -> str:
    """Write a number with a fixed count of decimals and a true minus sign; what is above 0 never reads as 0."""
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    text = f"{value:.{digits}f}"
    if value > 0 and float(text) == 0:
        return f"<{10**-digits:.{digits}f}"
    text = text.lstrip("-") if float(text) == 0 else text
    return text.replace("-", "−")


def table_view(table: Table) -> TableView:
    """Prepare a table: cells, and the reasons of what is missing as lettered footnotes, for touch screens and paper."""
    columns = [c for c in table.columns if isinstance(c, Column)]
    reasons: dict[str, str] = {}
    rows = []
    for row in table.rows:
        cells = []
        for value, column in zip(row, columns, strict=True):
            cell = cell_of(value, column.digits)
            if isinstance(value, Missing):
                letter = reasons.setdefault(cell.hover, _letter(len(reasons)))
                cell = Cell(cell.text, cell.hover, cell.sort, cell.style, letter)
            cells.append(cell)
        rows.append(tuple(cells))
    numeric = [
        any(isinstance(r[n], int | float) and not isinstance(r[n], bool) for r in table.rows) for n in range(len(columns))
    ]
    unexplained = any(c.hover == _NO_REASON for row in rows for c in row)
    notes = (*table.notes, f"{DASH} no value") if unexplained else table.notes
    return TableView(
        table.title,
        tuple(zip(columns, numeric, strict=True)),
        tuple(rows),
        table.caption,
        notes,
        tuple((letter, reason) for reason, letter in reasons.items()),
    )


def _letter(n: int) -> str:
    """Count a, b, ... z, aa, ab, ..."""
    out = ""
    n += 1
    while n:
        n, rest = divmod(n - 1, 26)
        out = chr(97 + rest) + out
    return out


def status_lines(sections: tuple[Section, ...], failed: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Say in one sentence each what was done, what was skipped and why, and what failed: (class, word, sentence)."""
    done = [s.title for s in sections if s.skipped is None]
    lines = [("done", "Done", f"{', '.join(done)}." if done else "nothing.")]
    lines += [("skipped", "Skipped", f"{s.title}: {_sentence(s.skipped)}") for s in sections if s.skipped is not None]
    lines += [("failed", "Failed", _sentence(f)) for f in failed[:_MOST_FAILURES]]
    if len(failed) > _MOST_FAILURES:
        lines.append(("failed", "Failed", f"{len(failed) - _MOST_FAILURES} more: see Errors."))
    return lines


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def paragraphs(text: str) -> list[str]:
    """Split text at empty lines."""
    return [p.strip() for p in text.split("\n\n") if p.strip()]


def summary_cell(item: SummaryItem) -> Cell:
    """Show a value of the summary."""
    return cell_of(item.value, item.digits)


@cache
def environment() -> jinja2.Environment:
    """Give the templates of this package, with escaping on for everything that is filled in."""
    import jinja2

    env = jinja2.Environment(
        loader=jinja2.PackageLoader("regrowth.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(data_uri=data_uri, table_view=table_view, paragraphs=paragraphs, summary_cell=summary_cell)
    return env
