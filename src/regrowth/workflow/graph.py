"""In which order jobs run, which are blocked by a failure, and which need not run at all."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from regrowth.errors import ParameterError
from regrowth.workflow.execute import Place, step_named
from regrowth.workflow.job import Job, Outcome
from regrowth.workflow.provenance import HashCache, is_up_to_date, job_key, read_record

__all__ = ["Executor", "Graph", "run_graph"]


class Executor(Protocol):
    """Where jobs are carried out: this process, a local cluster, a running Dask scheduler, Slurm."""

    def submit(self, job: Job, place: Place, known: Mapping[str, str], priority: int) -> None:
        """Hand over a job; smaller priorities go first."""
        ...

    def next_done(self) -> Outcome:
        """Wait for the next job to end, however it ends."""
        ...

    def close(self) -> None:
        """Give back what was started."""
        ...


class Graph:
    """Jobs and what each waits for.

    Parameters
    ----------
    jobs
        In the order in which they should run where there is a choice.

    Raises
    ------
    ParameterError
        If two jobs write the same file or jobs wait for each other.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.order = {job.id: n for n, job in enumerate(jobs)}
        self.maker: dict[Path, str] = {}
        for job in jobs:
            for path in job.outputs.values():
                if path in self.maker:
                    raise ParameterError(f"{self.maker[path]} and {job.id} would both write {path}")
                self.maker[path] = job.id
        self.needs = {
            job.id: {self.maker[p] for p in {**job.inputs, **job.optional}.values() if p in self.maker} for job in jobs
        }
        by_participant: dict[str, set[str]] = {}
        for job in jobs:
            if not job.gathers:
                by_participant.setdefault(job.participant, set()).add(job.id)
        everybody = set().union(*by_participant.values())
        for job in jobs:
            if job.gathers:
                self.needs[job.id] |= everybody if job.participant == "group" else by_participant.get(job.participant, set())
        self.needed_by: dict[str, list[str]] = {}
        for name, needs in self.needs.items():
            for need in needs:
                self.needed_by.setdefault(need, []).append(name)
        self._refuse_cycles()

    def _refuse_cycles(self) -> None:
        unmet = {name: len(needs) for name, needs in self.needs.items()}
        free = [name for name, n in unmet.items() if n == 0]
        for name in free:  # grows while it is walked
            for follower in self.needed_by.get(name, ()):
                unmet[follower] -= 1
                if unmet[follower] == 0:
                    free.append(follower)
        if len(free) < len(unmet):
            raise ParameterError(f"these jobs wait for each other: {', '.join(sorted(set(unmet) - set(free)))}")

    def effective(self, job: Job, outcomes: Mapping[str, Outcome]) -> Job:
        """Give the job as it will run: without optional inputs that were not made, told of the failures it reports."""
        optional = {r: p for r, p in job.optional.items() if p not in self.maker or outcomes[self.maker[p]].is_ok}
        settings = dict(job.settings)
        if job.gathers:
            settings["failures"] = [
                {
                    "job": name,
                    "participant": self.jobs[name].participant,
                    "session": self.jobs[name].session,
                    "step": self.jobs[name].step,
                    "status": o.status,
                    "message": o.message,
                }
                for name, o in sorted(outcomes.items())
                if not o.is_ok and job.participant in (self.jobs[name].participant, "group")
            ]
        return replace(job, optional=optional, settings=settings)

    def blocker(self, job: Job, outcomes: Mapping[str, Outcome]) -> str | None:
        """Name the failed job whose result this one needs, if any."""
        makers = [self.maker[p] for p in job.inputs.values() if p in self.maker]
        return next((m for m in makers if not outcomes[m].is_ok), None)


def run_graph(
    graph: Graph,
    place: Place,
    open_executor: Callable[[int], Executor],
    *,
    only: Callable[[Job], bool] = lambda _: True,
    on_done: Callable[[Job, Outcome], None] = lambda _job, _outcome: None,
) -> dict[str, Outcome]:
    """Run a graph to its end; failures stop only what needs their results.

    Parameters
    ----------
    graph
        The jobs.
    place
        Where they work.
    open_executor
        Called with the number of jobs at most once, and only if there is a job that is not up to date.
    only
        Which jobs may run; the others count as their last record says.
    on_done
        Called after each job.

    Returns
    -------
    dict
        Job id to outcome, for every job.
    """
    cache = HashCache(place.state_dir / "hashes.json")
    outcomes: dict[str, Outcome] = {}
    executor: Executor | None = None
    in_flight = 0
    unmet = {name: len(needs) for name, needs in graph.needs.items()}
    ready = [(graph.order[name], name) for name, n in unmet.items() if n == 0]
    heapq.heapify(ready)

    def finish(job: Job, outcome: Outcome) -> None:
        outcomes[job.id] = outcome
        cache.remember(outcome.hashes)
        for follower in graph.needed_by.get(job.id, ()):
            unmet[follower] -= 1
            if unmet[follower] == 0:
                heapq.heappush(ready, (graph.order[follower], follower))
        on_done(job, outcome)

    try:
        while ready or in_flight:
            while ready:
                order, name = heapq.heappop(ready)
                job = graph.jobs[name]
                settled = _settle(graph, job, place, outcomes, cache, only)
                if isinstance(settled, Outcome):
                    finish(job, settled)
                    continue
                executor = executor or open_executor(len(graph.jobs) - len(outcomes))
                known = {str(p): h for p in {**settled.inputs, **settled.optional}.values() if (h := cache.known(p))}
                executor.submit(settled, place, known, order)
                in_flight += 1
            if executor is not None and in_flight:
                outcome = executor.next_done()
                in_flight -= 1
                finish(graph.jobs[outcome.job_id], outcome)
    finally:
        cache.save()
        if executor is not None:
            executor.close()
    return outcomes


def _settle(
    graph: Graph,
    job: Job,
    place: Place,
    outcomes: Mapping[str, Outcome],
    cache: HashCache,
    only: Callable[[Job], bool],
) -> Job | Outcome:
    """Decide a job without running it, or give it in the form in which it will run."""
    if not only(job):
        record = read_record(place.state_dir, job)
        if record and record.get("status") == "done" and all(p.is_file() for p in job.outputs.values()):
            return Outcome(job.id, "kept")
        message = str(record.get("message")) if record and record.get("message") else "has not run"
        return Outcome(job.id, "failed", message)
    blocker = graph.blocker(job, outcomes)
    if blocker:
        return Outcome(job.id, "blocked", f"needs the result of {blocker}, which {outcomes[blocker].status}")
    absent = [p for p in job.inputs.values() if p not in graph.maker and not p.is_file()]
    if absent:
        return Outcome(job.id, "failed", f"{absent[0]}: no such file")
    effective = graph.effective(job, outcomes)
    if not place.force:
        key = job_key(effective, step_named(job.step).version, cache.known)
        if key and is_up_to_date(place.state_dir, effective, key, cache.known):
            return Outcome(job.id, "kept")
    return effective
