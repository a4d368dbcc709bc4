"""The command ``regrowth`` and how its errors become exit codes: 0 all went well, 1 something failed, 2 wrong usage."""

from __future__ import annotations

import os
import sys

# Before numpy is loaded: products of points with a 4x4 matrix are too small for a threaded BLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from typing import Annotated

import typer

from regrowth.errors import EngineNotInstalledError, InputError, OutputError, RegrowthError

__all__ = ["app", "main"]

app = typer.Typer(
    name="regrowth",
    help="Where does a glioma come back, why there, and where will it grow next?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


def _version(value: bool) -> None:
    if value:
        from regrowth import __version__

        typer.echo(f"regrowth {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Tell where a glioma comes back, why there, and where it will grow next."""


def main() -> None:
    """Run the command line; the entry point of the package."""
    import regrowth.cli.demo
    import regrowth.cli.files
    import regrowth.cli.growth
    import regrowth.cli.radiotherapy
    import regrowth.cli.regions
    import regrowth.cli.run
    import regrowth.cli.stats  # noqa: F401

    try:
        app()
    except (InputError, OutputError, EngineNotInstalledError) as error:
        typer.secho(f"regrowth: {error}", err=True, fg=typer.colors.RED)
        sys.exit(2)
    except RegrowthError as error:
        typer.secho(f"regrowth: {error}", err=True, fg=typer.colors.RED)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
