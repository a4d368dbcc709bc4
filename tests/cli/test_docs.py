"""The documentation names every verb and option, and its examples are real."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from regrowth.cli.main import app

ROOT = Path(__file__).parents[2]


def make_cli() -> object:
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands() -> dict[str, object]:
    return dict(make_cli().verbs())


def test_the_page_of_the_command_line_is_up_to_date():
    assert make_cli().page() == (ROOT / "docs" / "cli.md").read_text(), "run: python docs/make_cli.py"


@pytest.mark.parametrize("name", list(commands()))
def test_every_verb_has_help_with_an_example_and_the_python_call(name):
    command = commands()[name]
    assert f"regrowth {name}" in command.epilog
    assert "Python:" in command.help
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output


def test_every_option_has_a_help_text():
    for name, command in commands().items():
        for parameter in command.params:
            assert parameter.name == "help" or parameter.help, f"{name} {parameter.name}"


def test_no_help_text_is_swallowed_as_markup():
    for name, command in commands().items():
        for parameter in command.params:
            assert not re.search(r"\[(?!/?bold\])[a-z]+\]", (parameter.help or "")), f"{name} {parameter.name}"


def test_the_readme_shows_one_example_of_every_verb():
    text = (ROOT / "README.md").read_text()
    for name in commands():
        assert re.search(rf"^regrowth {name.split()[0]} ", text, re.M), name
    for target in ("make demo", "make test"):
        assert target in text


def test_links_in_the_docs_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
