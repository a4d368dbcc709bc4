"""How the fields of a parameter dataclass become command-line options, so that the two cannot drift apart."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from regrowth.errors import ParameterError

__all__ = ["from_config", "read_config", "with_parameters"]


def with_parameters(**groups: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option per field of each dataclass and call it with the dataclasses filled in.

    Parameters
    ----------
    **groups
        Argument name of the command to dataclass; the name is also the table in a ``--config`` file. A command with an
        argument ``config`` (path or None) has its file read first; options given on the command line win. Where two
        dataclasses share the name of a field, the option of the first keeps it and the other's begins with its group.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            p.replace(annotation=hints[p.name]) for p in inspect.signature(command).parameters.values() if p.name not in groups
        ]
        taken = {p.name for p in own}
        fields: dict[str, tuple[str, dataclasses.Field[Any]]] = {}
        for group, cls in groups.items():
            for field in dataclasses.fields(cls):
                clashes = field.name in fields or field.name in taken
                fields[f"{group}_{field.name}" if clashes else field.name] = (group, field)
        options = [_option(name, group, f, get_type_hints(groups[group])[f.name]) for name, (group, f) in fields.items()]

        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            config = read_config(given["config"], groups) if given.get("config") else {}
            filled = {}
            for group, cls in groups.items():
                values = dict(config.get(group, {}))
                for name, field in [(n, f) for n, (g, f) in fields.items() if g == group]:
                    if (value := given.pop(name)) is not None:
                        values[field.name] = value
                filled[group] = from_config(cls, values, group)
            return command(**given, **filled)

        wrapper.__signature__ = inspect.Signature(own + options)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in own + options}
        return wrapper

    return decorate


def _option(name: str, group: str, field: dataclasses.Field[Any], kind: Any) -> inspect.Parameter:
    help_text = field.metadata.get("help", "")
    unit = field.metadata.get("unit")
    if unit and unit != "1" and unit not in help_text:
        help_text = f"{help_text} ({unit})"
    flag = "--" + name.replace("_", "-")
    if kind is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    default = field.default_factory() if callable(field.default_factory) else field.default
    shown = str(default) if default not in ("", ()) else False
    option = typer.Option(flag, help=help_text, show_default=shown, rich_help_panel=f"Parameters: {group}")
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option])


def from_config(cls: type, values: Mapping[str, Any], table: str) -> Any:
    """Fill a dataclass from plain values.

    Raises
    ------
    ParameterError
        For an unknown name (with the nearest known one) or a value of the wrong type.
    """
    known = {f.name: f for f in dataclasses.fields(cls)}
    hints = get_type_hints(cls)
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise ParameterError(f"configuration [{table}]: unknown name {name!r}{hint}")
        if get_origin(hints[name]) is Literal and value not in get_args(hints[name]):
            raise ParameterError(f"configuration [{table}] {name}: {value!r} is none of {', '.join(get_args(hints[name]))}")
        if hints[name] in (int, float, str, bool):
            allowed = (int, float) if hints[name] is float else hints[name]
            if not isinstance(value, allowed) or (isinstance(value, bool) and hints[name] is not bool):
                raise ParameterError(f"configuration [{table}] {name}: {value!r} is no {hints[name].__name__}")
    return cls(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})


def read_config(path: Path, groups: Mapping[str, type]) -> dict[str, dict[str, Any]]:
    """Read a TOML file with one table per group.

    Raises
    ------
    ParameterError
        If it cannot be read or holds a table that no step knows.
    """
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({error})") from error
    for name, table in tables.items():
        if name not in groups or not isinstance(table, dict):
            near = difflib.get_close_matches(name, groups, n=1)
            raise ParameterError(
                f"{path}: unknown table [{name}]"
                + (f"; did you mean [{near[0]}]?" if near else f"; known are {', '.join(groups)}")
            )
    return tables
