"""How a run goes from a BIDS folder to results: index, plan, execute, and tell what failed and why."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regrowth.errors import OutputError, ParameterError
from regrowth.io.bids import Problem, read_cohort, unused_derivatives
from regrowth.io.tables import read_json, write_json, write_text
from regrowth.workflow.cluster import ClusterParameters, open_executor
from regrowth.workflow.execute import Place, step_named
from regrowth.workflow.graph import Graph, run_graph
from regrowth.workflow.group import GROUP_STEPS
from regrowth.workflow.job import Job, Outcome, Skip
from regrowth.workflow.participant import PARTICIPANT_STEPS
from regrowth.workflow.study import RunParameters, Study

__all__ = [
    "LEVELS",
    "Plan",
    "RunResult",
    "Watch",
    "make_plan",
    "open_study",
    "reopen_study",
    "resolve_derivatives",
    "run_study",
]

LEVELS = ("participant", "group")


@dataclass(frozen=True)
class Plan:
    """Every job of a run, and every step that does not run, with its reason."""

    jobs: tuple[Job, ...]
    skips: tuple[Skip, ...]


@dataclass(frozen=True)
class RunResult:
    """What became of a run.

    Parameters
    ----------
    jobs, outcomes
        The jobs and how each ended, by id.
    skips
        Steps that did not run, with reasons.
    problems
        What is wrong with the data set.
    reports
        Pages that were written.
    """

    jobs: Mapping[str, Job]
    outcomes: Mapping[str, Outcome]
    skips: tuple[Skip, ...]
    problems: tuple[Problem, ...]
    reports: tuple[Path, ...] = ()

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Jobs that failed or were blocked."""
        return tuple(o for o in self.outcomes.values() if not o.is_ok)

    @property
    def exit_code(self) -> int:
        """0 when all went well, 1 when something failed for some patients."""
        return int(bool(self.failures) or any(p.is_fatal for p in self.problems))


@dataclass(frozen=True)
class Watch:
    """Functions that follow a run; the defaults do nothing.

    Parameters
    ----------
    planned
        Called with the jobs before the first one starts.
    done
        Called with each job and its outcome.
    """

    planned: Callable[[Sequence[Job]], None] = lambda _jobs: None
    done: Callable[[Job, Outcome], None] = lambda _job, _outcome: None


def resolve_derivatives(bids_dir: Path, given: Sequence[str]) -> dict[str, Path]:
    """Read ``NAME=PATH``, ``PATH`` or the bare name of a folder in ``BIDS_DIR/derivatives``."""
    out: dict[str, Path] = {}
    for text in given:
        name, _, path = text.rpartition("=")
        folder = Path(path)
        if not folder.is_dir() and (bids_dir / "derivatives" / path).is_dir():
            folder = bids_dir / "derivatives" / path
        out[name or folder.name] = folder.absolute()
    return out


def open_study(
    bids_dir: Path,
    out_dir: Path,
    *,
    derivatives: Sequence[str] = (),
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    scheme: str | None = None,
    parameters: RunParameters | None = None,
) -> Study:
    """Index the data set and fix the parameters; nothing is written.

    Raises
    ------
    InputError
        If the data set or an option cannot be used at all.
    """
    bids_dir, out_dir = Path(bids_dir).absolute(), Path(out_dir).absolute()
    if out_dir == bids_dir:
        raise ParameterError(f"{out_dir}: the output folder is the data set itself; name another one, inputs are never changed")
    parameters = parameters or RunParameters()
    folders = resolve_derivatives(bids_dir, derivatives)
    cohort = read_cohort(bids_dir, derivatives=folders, participants=participants, sessions=sessions, scheme=scheme)
    hidden = unused_derivatives(bids_dir, [*folders.values(), out_dir])
    if hidden and all(s.segmentation is None for p in cohort.patients for s in p.sessions):
        where = bids_dir / "derivatives"
        hint = f"no tumour segmentation is used; {where} holds {', '.join(hidden)}: pass --derivatives {hidden[0]}"
        cohort = type(cohort)(cohort.patients, (*cohort.problems, Problem("", "", hint, False)))
    from regrowth.engines.choice import parcellation_source, parcellator, registrar

    engine = registrar(parameters.registration.engine)
    versions = {engine.name: engine.version}
    asked = parameters.anatomy.parcellator
    sources = {parcellation_source(asked, given=p.baseline.parcellation is not None) for p in cohort.patients}
    for source in sorted(sources - {"labelmap"}):
        versions[source] = parcellator(source, parameters.anatomy, engine).version
    options = {
        "derivatives": [f"{name}={folder}" for name, folder in folders.items()],
        "participants": list(participants),
        "sessions": list(sessions),
        "scheme": scheme,
    }
    return Study(bids_dir, out_dir, cohort, parameters, versions, options)


def reopen_study(out_dir: Path) -> Study:
    """Open the study of an earlier run as that run saw it.

    Raises
    ------
    ParameterError
        If the folder holds no results of a run.
    """
    record = Path(out_dir) / ".regrowth" / "run.json"
    if not record.is_file():
        raise ParameterError(f"{out_dir}: holds no results of regrowth run; run that first")
    facts: dict[str, Any] = read_json(record)
    try:
        parameters = RunParameters.from_dict(facts["parameters"])
        bids_dir, options = Path(facts["bids_dir"]), dict(facts["options"])
    except (KeyError, TypeError) as error:
        raise ParameterError(f"{record}: was written by another version ({error}); run regrowth run again") from error
    return open_study(bids_dir, Path(out_dir), **options, parameters=parameters)


def make_plan(study: Study) -> Plan:
    """List every job of a study, patient by patient, then the group's."""
    planned: list[Job | Skip] = []
    for patient in study.cohort.patients:
        for name in PARTICIPANT_STEPS:
            planned += step_named(name).plan(study, patient)
    for name in GROUP_STEPS:
        planned += step_named(name).plan(study, study.cohort.patients[0]) if study.cohort.patients else []
    skips = tuple(s for s in planned if isinstance(s, Skip))
    return Plan(tuple(j for j in planned if isinstance(j, Job)), skips)


def run_study(
    study: Study,
    *,
    levels: Sequence[str] = LEVELS,
    cluster: ClusterParameters | None = None,
    work_dir: Path | None = None,
    force: bool = False,
    only_steps: Sequence[str] = (),
    watch: Watch | None = None,
) -> RunResult:
    """Run a study to its end; a failing patient never stops the others.

    Parameters
    ----------
    study
        What to run.
    levels
        ``participant``, ``group`` or both.
    cluster
        Where to compute; one job after the other in this process when left out.
    work_dir
        Folder for temporary files; inside the output folder when left out.
    force
        Do again what is up to date.
    only_steps
        Names of the steps that may run; all when empty.
    watch
        Functions that follow the run.

    Raises
    ------
    ParameterError
        For an unknown level.
    OutputError
        If the output folder cannot be written or another run is using it.
    """
    from regrowth import __version__

    unknown = set(levels) - set(LEVELS)
    if unknown:
        raise ParameterError(f"unknown analysis level {', '.join(sorted(unknown))}; use participant, group or both")
    cluster = cluster or ClusterParameters(scheduler="in-process")
    watch = watch or Watch()
    plan = make_plan(study)
    graph = Graph(plan.jobs)
    _, threads = cluster.resolved(max(len(study.cohort.patients), 1))
    work = (work_dir or study.out_dir / ".regrowth").absolute() / "work"
    place = Place(study.bids_dir, study.out_dir, work, __version__, threads, force)

    def may_run(job: Job) -> bool:
        level = "group" if job.participant == "group" else "participant"
        return level in levels and (not only_steps or job.step in only_steps)

    with _claimed(study, levels, work):
        _describe_output(study, __version__)
        watch.planned([j for j in plan.jobs if may_run(j)])
        outcomes = run_graph(
            graph,
            place,
            lambda n_jobs: open_executor(cluster, n_jobs, study.out_dir / ".regrowth" / "slurm"),
            only=may_run,
            on_done=lambda job, outcome: watch.done(job, outcome) if may_run(job) else None,
        )
        _write_log(study, graph, outcomes)
    ran = {name: o for name, o in outcomes.items() if may_run(graph.jobs[name])}
    pages = [p for j in plan.jobs if may_run(j) and ran[j.id].is_ok for p in j.outputs.values() if p.suffix == ".html"]
    return RunResult(graph.jobs, ran, plan.skips, study.cohort.problems, tuple(pages))


@contextlib.contextmanager
def _claimed(study: Study, levels: Sequence[str], work: Path) -> Iterator[None]:
    """Hold the patients of a run against a second run on the same folder; runs on other patients may go on beside it.

    Each patient is one byte of a lock file. The lock ends with the process, however it dies.
    """
    out_dir = study.out_dir
    try:
        (out_dir / ".regrowth").mkdir(parents=True, exist_ok=True)
        lock = (out_dir / ".regrowth" / "lock").open("w")
        work.mkdir(parents=True, exist_ok=True)
        probe = work / f"probe-{os.getpid()}"
        probe.write_bytes(b"regrowth")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"{out_dir}: cannot be written ({error.strerror}); give a folder with room and write permission"
        ) from error
    names = [p.label for p in study.cohort.patients] if "participant" in levels else []
    with lock:
        for name in [*names, *(["group"] if "group" in levels else [])]:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, zlib.crc32(name.encode()))
            except OSError as error:
                raise OutputError(f"{out_dir}: another run is working on {name}; wait for it or give another folder") from error
        yield
        for name in names:
            for folder in [*work.glob(f"sub-{name}_*"), *work.glob("group_*")]:
                shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # another run may still use it
        work.rmdir()


def _describe_output(study: Study, version: str) -> None:
    """Write what makes the output folder a BIDS derivatives data set, where it is not there yet."""
    facts = {
        "Name": "Regrowth results",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "Regrowth", "Version": version}],
        "DatasetLinks": {"raw": os.path.relpath(study.bids_dir, study.out_dir)},
    }
    path = study.out_dir / "dataset_description.json"
    if not path.is_file() or read_json(path) != facts:
        write_json(facts, path)
    facts = {"bids_dir": str(study.bids_dir), "options": study.options, "parameters": study.parameters.as_dict()}
    write_json(facts, study.out_dir / ".regrowth" / "run.json")
    ignore = study.out_dir / ".bidsignore"
    if not ignore.is_file():
        write_text("*_xfm.*\n*_quality.*\n*.html\n**/figures/\n**/log/\ngroup/\n.regrowth/\n", ignore)


def _write_log(study: Study, graph: Graph, outcomes: Mapping[str, Outcome]) -> None:
    """Append what happened to the log of each patient."""
    lines: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        if outcome.status == "kept":
            continue
        job = graph.jobs[name]
        text = f"{name}: {outcome.status}" + (f" ({outcome.message})" if outcome.message else f" in {outcome.duration_s:.1f} s")
        lines.setdefault(job.participant, []).append(text)
    for participant, texts in lines.items():
        folder = study.out_dir / (participant if participant == "group" else f"sub-{participant}") / "log"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "run.log").open("a", encoding="utf-8") as file:
            file.write("\n".join(texts) + "\n")
