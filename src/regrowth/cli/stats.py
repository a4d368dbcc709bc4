"""``regrowth stats``: the statistics of a cohort on plain tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from regrowth.cli.console import console
from regrowth.cli.main import app
from regrowth.cli.options import with_parameters
from regrowth.response import ResponseParameters
from regrowth.statistics.parameters import StatisticsParameters

__all__ = ["cohort", "response", "simulate", "stats", "transitions"]

stats = typer.Typer(
    name="stats",
    help="Analyse a cohort on plain tables (TSV), without images.\n\nPython: [bold]regrowth.analyse(table, out_dir)[/bold]",
    epilog="Example: [bold]regrowth stats cohort participants.tsv statistics --imaging out/group/cohort.tsv[/bold]",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.add_typer(stats)


@stats.command(epilog="Example: [bold]regrowth stats cohort participants.tsv statistics --search-cut --penalty firth[/bold]")
@with_parameters(statistics=StatisticsParameters)
def cohort(
    table: Annotated[Path, typer.Argument(help="TSV, one row per patient: participant_id, os_days, os_event, age, mgmt, ...")],
    out_dir: Annotated[Path, typer.Argument(help="Folder for tables, figures and statistics.html, made if absent.")],
    *,
    imaging: Annotated[
        Path | None, typer.Option(help="Further columns of the same patients, such as group/cohort.tsv of a run.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with the table statistics.")] = None,
    statistics: StatisticsParameters,
) -> None:
    """Survival, Cox model, volume ratio, MGMT by age, competing risks, transitions of location, migration and time.

    Python: [bold]regrowth.analyse(table, out_dir, search_cut=True)[/bold]
    """
    from regrowth import api

    with console.status("analysing"):
        tables = api.analyse(table, out_dir, imaging=imaging, **asdict(statistics))
    _print("Hazard ratios", tables.get("cox", []), ("covariate", "hazard_ratio", "lower", "upper", "p_value"))
    _print("Parts", tables["parts"], ("content", "status", "reason"))
    console.print("report:", style="bold", end=" ")
    console.print(str(out_dir / "statistics.html"), soft_wrap=True, highlight=False)


@stats.command(epilog="Example: [bold]regrowth stats transitions locations.tsv transitions --permutations 9999[/bold]")
@with_parameters(statistics=StatisticsParameters)
def transitions(
    table: Annotated[Path, typer.Argument(help="TSV with participant_id, location_primary, location_recurrence.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder for tables, figures and statistics.html, made if absent.")],
    *,
    config: Annotated[Path | None, typer.Option(help="TOML file with the table statistics.")] = None,
    statistics: StatisticsParameters,
) -> None:
    """Count in which class of location tumours come back, with intervals and a test against chance.

    Python: [bold]regrowth.transitions(table, out_dir)[/bold]
    """
    from regrowth import api

    tables = api.transitions(table, out_dir, **asdict(statistics))
    _print("Recurrence at a new site", tables["new_site"], ("primary", "count", "total", "probability", "lower", "upper"))
    console.print("report:", style="bold", end=" ")
    console.print(str(out_dir / "statistics.html"), soft_wrap=True, highlight=False)


@stats.command(epilog="Example: [bold]regrowth stats response exams.tsv response.tsv --measure volume[/bold]")
@with_parameters(response=ResponseParameters)
def response(
    table: Annotated[
        Path, typer.Argument(help="TSV, one row per exam: participant_id, day, phase, volume_ml and/or product_mm2, ...")
    ],
    out: Annotated[Path, typer.Argument(help="TSV to write, one row per exam.")],
    *,
    config: Annotated[Path | None, typer.Option(help="TOML file with the table response.")] = None,
    response: ResponseParameters,
) -> None:
    """Assess the response of series of exams by the rules of RANO 2.0, each decision with its numbers.

    Python: [bold]regrowth.respond(table, out)[/bold]
    """
    from regrowth import api

    rows = api.respond(table, out, **asdict(response))
    _print("Response", rows, ("participant_id", "label", "day", "category", "confirmation", "rule", "reason"))


@stats.command(epilog="Example: [bold]regrowth stats simulate cohort.tsv --patients 200 --seed 1[/bold]")
def simulate(
    out: Annotated[Path, typer.Argument(help="TSV to write; the truth goes to a JSON file of the same name.")],
    *,
    patients: Annotated[int, typer.Option(help="Number of synthetic patients.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the cohort.")] = 0,
    missing_share: Annotated[float, typer.Option(help="Share of missing values in some columns.")] = 0.05,
) -> None:
    """Write the table of a synthetic cohort with known hazard ratios and transitions, to try the analysis on.

    Python: [bold]regrowth.simulate(out, patients=200, seed=1)[/bold]
    """
    from regrowth import api

    api.simulate(out, patients, seed, missing_share=missing_share)
    console.print(f"{patients} synthetic patients in {out}; the truth about them in {out.with_suffix('.json')}")


def _print(title: str, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = [row.get(c) for c in columns]
        table.add_row(*(f"{c:.3g}" if isinstance(c, float) else "" if c is None else str(c) for c in cells))
    console.print(table)
