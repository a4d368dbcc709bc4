"""``regrowth run`` and ``regrowth report``: from a BIDS folder to results and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regrowth.anatomy import AnatomyParameters, LocationParameters
from regrowth.cli.console import follow, print_plan, print_result
from regrowth.cli.main import app
from regrowth.cli.options import with_parameters
from regrowth.growth.parameters import GrowthParameters
from regrowth.recurrence import RecurrenceParameters
from regrowth.registration import RegistrationParameters
from regrowth.response import ResponseParameters
from regrowth.statistics.parameters import StatisticsParameters
from regrowth.workflow.cluster import ClusterParameters
from regrowth.workflow.run import make_plan, open_study, reopen_study, run_study
from regrowth.workflow.study import RunParameters

__all__ = ["report", "run"]

_RUN_EPILOG = (
    "Example: [bold]regrowth run data/bids out participant group --derivatives manual --n-procs 2[/bold]. "
    "A second run does only what changed. Exit codes: 0 all went well, 1 some patients failed (see the table), 2 wrong usage."
)


@app.command(epilog=_RUN_EPILOG)
@with_parameters(
    registration=RegistrationParameters,
    recurrence=RecurrenceParameters,
    anatomy=AnatomyParameters,
    location=LocationParameters,
    response=ResponseParameters,
    statistics=StatisticsParameters,
    growth=GrowthParameters,
    cluster=ClusterParameters,
)
def run(
    bids_dir: Annotated[Path, typer.Argument(help="BIDS data set with sub-*_sessions.tsv (days_from_baseline, phase).")],
    output_dir: Annotated[Path, typer.Argument(help="Folder for the results, made if absent.")],
    levels: Annotated[
        list[str], typer.Argument(metavar="participant|group...", help="What to run: participant, group, or both.")
    ],
    *,
    participant_label: Annotated[
        list[str] | None, typer.Option("--participant-label", "--participant_label", help="Only this patient (repeatable).")
    ] = None,
    session_label: Annotated[list[str] | None, typer.Option(help="Only this session (repeatable).")] = None,
    derivatives: Annotated[
        list[str] | None,
        typer.Option(
            "--derivatives",
            "-d",
            help="Segmentations made elsewhere: NAME=PATH, PATH, or a folder of BIDS_DIR/derivatives (repeatable).",
        ),
    ] = None,
    label_scheme: Annotated[str | None, typer.Option(help="Label scheme of segmentations whose sidecar names none.")] = None,
    work_dir: Annotated[
        Path | None, typer.Option("--work-dir", "-w", help="Folder for temporary files; else in OUTPUT_DIR.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with a table per group of parameters, such as registration.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the table of jobs and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do again what is up to date.")] = False,
    registration: RegistrationParameters,
    recurrence: RecurrenceParameters,
    anatomy: AnatomyParameters,
    location: LocationParameters,
    response: ResponseParameters,
    statistics: StatisticsParameters,
    growth: GrowthParameters,
    cluster: ClusterParameters,
) -> None:
    """Run the pipeline on a BIDS data set: what changed between exams, where, and how sure is that.

    Python: [bold]regrowth.run(bids_dir, out_dir, derivatives=["manual"])[/bold]
    """
    study = open_study(
        bids_dir,
        output_dir,
        derivatives=derivatives or [],
        participants=participant_label or [],
        sessions=session_label or [],
        scheme=label_scheme,
        parameters=RunParameters(registration, recurrence, anatomy, location, response, statistics, growth),
    )
    if dry_run:
        print_plan(make_plan(study), study.cohort.problems)
        raise typer.Exit(int(any(p.is_fatal for p in study.cohort.problems)))
    with follow() as watch:
        result = run_study(study, levels=levels, cluster=cluster, work_dir=work_dir, force=force, watch=watch)
    print_result(result)
    raise typer.Exit(result.exit_code)


@app.command(epilog="Example: [bold]regrowth report out[/bold]")
def report(
    output_dir: Annotated[Path, typer.Argument(help="Folder of an earlier [bold]regrowth run[/bold].")],
) -> None:
    """Write the pages of an earlier run again from its results; nothing else is computed.

    Python: [bold]regrowth.run(..., only_steps=["report", "tabulate", "cohort"], force=True)[/bold]
    """
    with follow() as watch:
        result = run_study(reopen_study(output_dir), only_steps=("report", "tabulate", "cohort"), force=True, watch=watch)
    print_result(result)
    raise typer.Exit(result.exit_code)
