"""What a run shows on the terminal: the table of jobs, progress, and at the end what failed and why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from regrowth.io.bids import Problem
from regrowth.workflow.job import Job, Outcome
from regrowth.workflow.run import Plan, RunResult, Watch

__all__ = ["console", "counting", "follow", "print_plan", "print_result"]

console = Console()


@contextlib.contextmanager
def follow() -> Iterator[Watch]:
    """Show progress while a run goes on; on a file instead of a terminal, one line per failure only."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("planning", total=None)

        def planned(jobs: Sequence[Job]) -> None:
            progress.update(bar, total=len(jobs), description="running")

        def done(job: Job, outcome: Outcome) -> None:
            progress.update(bar, advance=1, description=f"last: {job.id}")
            if outcome.status == "failed":
                progress.console.print(f"[red]failed[/red] {job.id}: ", end="")
                progress.console.print(outcome.message, markup=False, highlight=False)

        yield Watch(planned, done)


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many of something are done; gives a function that is told the number done and the total."""
    columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def print_plan(plan: Plan, problems: Sequence[Problem]) -> None:
    """Print the table of jobs, of the steps that do not run, and of the problems."""
    table = Table(title=f"{len(plan.jobs)} jobs", title_justify="left")
    for column in ("participant", "session", "step", "inputs", "outputs", "of which there"):
        table.add_column(column)
    for job in plan.jobs:
        there = sum(path.is_file() for path in job.outputs.values())
        counts = len(job.inputs) + len(job.optional), len(job.outputs), there
        table.add_row(job.participant, job.session, job.step, *map(str, counts))
    console.print(table)
    if plan.skips:
        skipped = Table(title="Steps that do not run", title_justify="left")
        for column in ("participant", "session", "step", "reason"):
            skipped.add_column(column)
        for skip in plan.skips:
            skipped.add_row(skip.participant, skip.session, skip.step, skip.reason)
        console.print(skipped)
    _print_problems(problems)


def print_result(result: RunResult) -> None:
    """Print the counts, the failures with their reasons and logs, and where the pages are."""
    counts = {s: sum(o.status == s for o in result.outcomes.values()) for s in ("done", "kept", "failed", "blocked")}
    words = {"done": "jobs done", "kept": "up to date", "failed": "failed", "blocked": "blocked by a failure"}
    console.print(", ".join(f"{counts[s]} {words[s]}" for s in words))
    if result.failures:
        table = Table(title="What failed", title_justify="left")
        for column in ("job", "status", "why", "log"):
            table.add_column(column, overflow="fold")
        for outcome in result.failures:
            table.add_row(outcome.job_id, outcome.status, outcome.message, str(outcome.log or ""))
        console.print(table)
    _print_problems(result.problems)
    pages = result.reports
    for page in [p for p in pages if p.name == "group.html"] or pages[-1:]:
        console.print("report:", style="bold", end=" ")
        console.print(str(page), soft_wrap=True, highlight=False)
    if len(pages) > 1:
        console.print(f"and {len(pages) - 1} more pages beside it")


def _print_problems(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    table = Table(title="Problems of the data set", title_justify="left")
    for column in ("participant", "session", "", "what, where, and what to do"):
        table.add_column(column, overflow="fold")
    for p in problems:
        table.add_row(p.participant, p.session, "left out" if p.is_fatal else "note", p.message)
    console.print(table)
