"""Write docs/cli.md from the commands themselves (``python docs/make_cli.py``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.main import get_command

import regrowth.cli.demo
import regrowth.cli.files
import regrowth.cli.growth
import regrowth.cli.radiotherapy
import regrowth.cli.regions
import regrowth.cli.run
import regrowth.cli.stats  # noqa: F401
from regrowth.cli.main import app


def plain(text: str) -> str:
    """Drop the markup of the terminal."""
    return re.sub(r"\[/?bold\]", "`", text).replace("|", "\\|").strip()


def verbs() -> list[tuple[str, Any]]:
    """List every command by its whole name; the commands of a group follow it."""
    found: list[tuple[str, Any]] = []
    for name, command in sorted(get_command(app).commands.items()):  # type: ignore[attr-defined]
        found.append((name, command))
        found += [(f"{name} {sub}", c) for sub, c in getattr(command, "commands", {}).items()]
    return found


def page() -> str:
    """Give the page as Markdown."""
    parts = [
        "# Command line",
        "Made by `python docs/make_cli.py`; a test keeps it true. Options of parameters can also stand in a TOML file "
        "(`--config`), in a table named after the group; unknown names are refused.",
    ]
    for name, command in verbs():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        usage = " ".join(["regrowth", name, *(a.name.upper() for a in arguments), "[OPTIONS]"])
        parts += [f"## `{name}`", plain(command.help or ""), f"```\n{usage}\n```", plain(command.epilog or "")]
        rows = [f"| `{a.name.upper()}` | {plain(a.help or '')} | |" for a in arguments]
        for option in options:
            default = option.show_default if isinstance(option.show_default, str) else option.default
            shown = "" if default is None or default is False or default == () or callable(default) else f"`{default}`"
            rows.append(f"| `{', '.join([*option.opts, *option.secondary_opts])}` | {plain(option.help or '')} | {shown} |")
        parts.append("\n".join(["| | | default |", "|---|---|---|", *rows]) if rows else "")
    return "\n\n".join(p for p in parts if p) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(page(), encoding="utf-8")
