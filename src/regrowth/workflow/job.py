"""What a step is, what one piece of its work is, and how that piece ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from regrowth.clinical import Patient
    from regrowth.workflow.study import Study

__all__ = ["Job", "Outcome", "Skip", "Step", "Task"]


@dataclass(frozen=True)
class Job:
    """One piece of work: a step for a patient, perhaps for one session.

    Parameters
    ----------
    step
        Name of the step.
    participant
        Label without ``sub-``, or ``group``.
    session
        Label without ``ses-``, or empty.
    inputs, outputs
        Role to path. A job waits for the jobs that make its inputs.
    optional
        Role to path of inputs that are used if they are there; the job waits for them too, but not for their success.
    settings
        Everything else that the result depends on: parameters, engine and version, label scheme (JSON values).
    gathers
        The job runs after all others of its participant (of everybody, for the group), whatever became of them, and finds
        what failed in ``settings["failures"]``.
    """

    step: str
    participant: str
    session: str = ""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    outputs: Mapping[str, Path] = field(default_factory=dict)
    optional: Mapping[str, Path] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    gathers: bool = False

    @property
    def id(self) -> str:
        """Name of the job, unique in a run and fit for a file name."""
        parts = [f"sub-{self.participant}" if self.participant != "group" else "group"]
        parts += [f"ses-{self.session}"] if self.session else []
        return "_".join([*parts, self.step])


@dataclass(frozen=True)
class Skip:
    """A step that does not run for a patient or session, and why."""

    step: str
    participant: str
    session: str
    reason: str


@dataclass(frozen=True)
class Task:
    """What the code of a step gets to see while it works.

    Parameters
    ----------
    job
        The piece of work.
    outputs
        Role to the temporary path to write to; the file is moved into place when the step has ended well.
    threads
        Threads that engines may use.
    log
        Log of the job.
    metadata
        Role to facts for the sidecar of that output; the step fills it in.
    extras
        Final path to temporary path of files whose number is not known beforehand, such as figures (see `extra`).
    """

    job: Job
    outputs: Mapping[str, Path]
    threads: int
    log: logging.Logger
    metadata: dict[str, dict[str, object]] = field(default_factory=dict)
    extras: dict[Path, Path] = field(default_factory=dict)

    def extra(self, path: Path) -> Path:
        """Give the temporary path for a file beyond the declared outputs that ends up at `path`."""
        folder = next(iter(self.outputs.values())).parent / "extras"
        folder.mkdir(exist_ok=True)
        self.extras[path] = folder / f"{len(self.extras)}-{path.name}"
        return self.extras[path]

    def input(self, role: str) -> Path:
        """Path of a required input."""
        return self.job.inputs[role]

    def given(self, role: str) -> Path | None:
        """Path of an input, required or optional, or None if it is not there."""
        path = self.job.inputs.get(role) or self.job.optional.get(role)
        return path if path is not None and path.is_file() else None

    def describe(self, role: str, **facts: object) -> None:
        """Add facts to the sidecar of an output."""
        self.metadata.setdefault(role, {}).update(facts)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Parameters
    ----------
    job_id
        Which job.
    status
        ``done`` it ran; ``kept`` it was up to date; ``failed``; ``blocked`` something that it needs failed.
    message
        One line on what went wrong, empty otherwise.
    log
        Path of the log, if the job ran.
    duration_s
        Wall time.
    hashes
        Path to sha256 of the files read and written.
    """

    job_id: str
    status: Literal["done", "kept", "failed", "blocked"]
    message: str = ""
    log: Path | None = None
    duration_s: float = 0.0
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether the outputs are there."""
        return self.status in ("done", "kept")


@dataclass(frozen=True)
class Step:
    """A kind of work.

    Parameters
    ----------
    name
        Verb, as it shows in tables and logs.
    version
        Raised whenever the code of the step changes its results, so that old results are made again.
    summary
        What it does, one line.
    plan
        Gives the jobs for a patient, and the skips with their reasons, from names alone: no file is opened.
    compute
        Does one job: reads ``task.job.inputs``, writes ``task.outputs``.
    """

    name: str
    version: int
    summary: str
    plan: Callable[[Study, Patient], list[Job | Skip]]
    compute: Callable[[Task], None]
