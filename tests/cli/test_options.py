"""Options of the command line come from parameter dataclasses, and configuration files are read strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from regrowth.cli.options import from_config, with_parameters
from regrowth.errors import ParameterError


@dataclass(frozen=True)
class Colours:
    shade_mm: float = field(default=2.5, metadata={"help": "how deep", "unit": "mm"})
    engine: Literal["oil", "water"] = field(default="oil", metadata={"help": "which paint"})
    dry: bool = field(default=False, metadata={"help": "let it dry"})
    coats: int = field(default=1, metadata={"help": "how many coats"})


app = typer.Typer()


@app.command()
@with_parameters(paint=Colours)
def draw(
    name: Annotated[str, typer.Argument(help="what")],
    *,
    config: Annotated[Path | None, typer.Option()] = None,
    paint: Colours,
) -> None:
    """Draw."""
    typer.echo(f"{name} {paint}")


def call(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_field_is_an_option_with_its_help_unit_and_default():
    text = " ".join(call("--help").split())
    for word in ("--shade-mm", "how deep", "mm", "2.5", "--engine", "oil", "--dry", "--coats"):
        assert word in text


def test_options_reach_the_dataclass():
    assert call("tree", "--shade-mm", "4", "--engine", "water", "--dry").strip() == f"tree {Colours(4.0, 'water', True)}"


def test_a_switch_can_be_turned_off(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[paint]\ndry = true\n")
    assert call("tree", "--config", str(path)).strip() == f"tree {Colours(dry=True)}"
    assert call("tree", "--config", str(path), "--no-dry").strip() == f"tree {Colours()}"


def test_the_defaults_are_those_of_the_dataclass():
    assert call("tree").strip() == f"tree {Colours()}"


def test_a_configuration_file_is_read_and_the_command_line_wins(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[paint]\nshade_mm = 7\ncoats = 3\n")
    assert call("tree", "--config", str(path), "--coats", "2").strip() == f"tree {Colours(7, coats=2)}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[paint]\nshad_mm = 7\n", "did you mean 'shade_mm'"),
        ("[pain]\nshade_mm = 7\n", r"did you mean \[paint\]"),
        ("[paint]\nshade_mm = 'deep'\n", "no float"),
        ("[paint]\ncoats = true\n", "no int"),
        ("[paint\n", "cannot be read as TOML"),
    ],
)
def test_a_faulty_configuration_is_refused_with_a_hint(tmp_path, text, words):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=words):
        call("tree", "--config", str(path))


def test_values_of_choices_are_checked_in_configuration_files():
    with pytest.raises(ParameterError, match="oil"):
        from_config(Colours, {"engine": "crayon"}, "paint")


@dataclass(frozen=True)
class Varnish:
    engine: Literal["shellac", "resin"] = field(default="resin", metadata={"help": "which varnish"})
    name: str = field(default="clear", metadata={"help": "what it is called"})


both = typer.Typer()


@both.command()
@with_parameters(paint=Colours, varnish=Varnish)
def finish(
    name: Annotated[str, typer.Argument(help="what")],
    *,
    config: Annotated[Path | None, typer.Option()] = None,
    paint: Colours,
    varnish: Varnish,
) -> None:
    """Finish."""
    typer.echo(f"{name} {paint} {varnish}")


def test_a_field_name_of_two_groups_gives_two_options_and_neither_is_lost(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[paint]\nengine = "water"\n[varnish]\nname = "matt"\n')
    words = ["tree", "--engine", "oil", "--varnish-engine", "shellac", "--varnish-name", "gloss"]
    assert CliRunner().invoke(both, words).output.strip() == f"tree {Colours()} {Varnish('shellac', 'gloss')}"
    shown = CliRunner().invoke(both, ["tree", "--config", str(path)]).output.strip()
    assert shown == f"tree {Colours(engine='water')} {Varnish(name='matt')}"
