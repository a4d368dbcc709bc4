"""What the radiotherapy verbs share: levels on the command line, and reasons as output."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from regrowth.cli.console import console
from regrowth.cli.growth_options import print_rows
from regrowth.errors import ParameterError

__all__ = ["doses_by_level", "files_by_level", "print_notes", "print_reasons", "print_table"]

_MOST = 20


def doses_by_level(given: Sequence[str]) -> dict[str, float]:
    """Read ``high=60`` or ``60``; several may stand in one text, separated by commas.

    Raises
    ------
    ParameterError
        If a dose is no number, or a level is given twice.
    """
    out: dict[str, float] = {}
    for text in (part for own in given for part in own.split(",")):
        level, _, dose = text.rpartition("=")
        level = level.strip() or "prescription"
        try:
            value = float(dose)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"--prescription is {text!r}; write a level and its dose in Gy, such as high=60")
        if level in out:
            raise ParameterError(f"--prescription gives level {level!r} twice; give each level one dose")
        out[level] = value
    return out


def files_by_level(given: Sequence[str]) -> dict[str, Path]:
    """Read ``high=ptv.nii.gz``; without a level it belongs to the only prescription, as in ``--prescription 60``.

    Raises
    ------
    ParameterError
        If there is no file, or a level is given twice.
    """
    out: dict[str, Path] = {}
    for text in given:
        level, _, file = text.partition("=") if "=" in text else ("prescription", "=", text)
        if not level.strip() or not file.strip():
            raise ParameterError(f"--target is {text!r}; write a level and a mask, such as high=ptv.nii.gz")
        if level.strip() in out:
            raise ParameterError(f"--target gives level {level.strip()!r} twice; unite the masks of a level in one file")
        out[level.strip()] = Path(file.strip())
    return out


def print_table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], most: int = 60) -> None:
    """Print the first rows as a table; brackets in them, as in the labels that stand in for names, are no markup."""
    plain = [{k: escape(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    print_rows(title, plain, columns, most)


def print_reasons(rows: Iterable[Mapping[str, Any]], name: str) -> None:
    """Print what is the matter with rows, each reason once with the names that it is of."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row.get("reason"):
            own = str(row.get(name) or row.get("plan_path") or "")
            by_reason.setdefault(str(row["reason"]), []).extend([own] if own else [])
    for reason, names in list(by_reason.items())[:_MOST]:
        unique = ", ".join(dict.fromkeys(names))
        console.print(f"{unique}: {reason}" if unique else reason, markup=False, highlight=False, soft_wrap=True)
    if len(by_reason) > _MOST:
        console.print(f"and {len(by_reason) - _MOST} more reasons in the file")


def print_notes(notes: Iterable[str]) -> None:
    """Print one line per note."""
    for note in notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
