"""What the growth verbs share: their parameters, lists of numbers on the command line, and short lists as output."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from regrowth.cli.console import console
from regrowth.cli.options import with_parameters
from regrowth.errors import ParameterError
from regrowth.growth.parameters import GrowthParameters

__all__ = ["numbers", "print_facts", "print_rows", "with_growth"]


def with_growth(*shown: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of those growth parameters that it uses; a configuration file may hold all of them.

    Parameters
    ----------
    *shown
        Fields of `GrowthParameters`; an option that a verb does not use would be a promise that it does not keep.
    """
    known = [field.name for field in dataclasses.fields(GrowthParameters)]
    unknown = sorted(set(shown) - set(known))
    if unknown:
        raise ParameterError(f"growth has no parameter called {', '.join(unknown)}; known are {', '.join(known)}")

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = set(inspect.signature(command).parameters)
        full = with_parameters(growth=GrowthParameters)(command)
        hidden = [f"growth_{name}" if name in own else name for name in known if name not in shown]

        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            return full(**dict.fromkeys(hidden), **given)

        options = [p for p in inspect.signature(full).parameters.values() if p.name not in hidden]
        wrapper.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in options}
        return wrapper

    return decorate


def numbers(text: str | None, option: str) -> tuple[float, ...]:
    """Read numbers separated by commas; none for None.

    Raises
    ------
    ParameterError
        If one of them is no number, such as a date; the message names the option.
    """
    out = []
    for part in [] if text is None else text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ParameterError(
                f"{option} is {text!r}; write numbers separated by commas, such as 30,60; count dates in days from one origin"
            )
        out.append(value)
    return tuple(out)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print lines ``name: value``; each of several sentences on its own line."""
    for name, value in facts.items():
        if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            for text in value:
                console.print(f"{name}: {text}", markup=False, highlight=False, soft_wrap=True)
            continue
        shown = ", ".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)
        console.print(f"{name}: {shown}", markup=False, highlight=False, soft_wrap=True)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], most: int = 20) -> None:
    """Print the first rows as a table, and how many more there are."""
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows[:most]:
        table.add_row(*(escape(_text(row.get(column))) for column in columns))
    console.print(table)
    if len(rows) > most:
        console.print(f"and {len(rows) - most} more rows in the file")


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "n/a"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
