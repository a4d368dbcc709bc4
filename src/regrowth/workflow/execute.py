"""How one job is carried out: in a folder of its own, its outputs moved into place only when all of it went well."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from regrowth.errors import EngineFailedError, RegrowthError
from regrowth.io.tables import write_json
from regrowth.workflow.job import Job, Outcome, Step, Task
from regrowth.workflow.provenance import content_hash, is_up_to_date, job_key, read_record, write_record

__all__ = ["Place", "execute", "one_line", "step_named"]


@dataclass(frozen=True)
class Place:
    """Where a run works.

    Parameters
    ----------
    bids_dir, out_dir, work_dir
        Folders of the data, the results and the temporary files.
    version
        Version of Regrowth.
    threads
        Threads per job.
    force
        Do jobs again that are up to date.
    """

    bids_dir: Path
    out_dir: Path
    work_dir: Path
    version: str
    threads: int = 1
    force: bool = False

    @property
    def state_dir(self) -> Path:
        """Folder of records and hashes."""
        return self.out_dir / ".regrowth"


def step_named(name: str) -> Step:
    """Find a step by its name; also on a worker, where only names arrive."""
    step = import_module(f"regrowth.workflow.steps.{name}").STEP
    assert isinstance(step, Step)
    return step


def execute(job: Job, place: Place, known: Mapping[str, str]) -> Outcome:
    """Carry out a job, or keep its results if they are up to date. Never raises.

    Parameters
    ----------
    job
        What to do.
    place
        Where.
    known
        Path to sha256 of inputs that are hashed already.
    """
    started = time.perf_counter()
    hashes: dict[str, str] = dict(known)

    def hash_of(path: Path) -> str:
        if str(path) not in hashes:
            hashes[str(path)] = content_hash(path)
        return hashes[str(path)]

    def hash_if_known(path: Path) -> str | None:
        return hashes.get(str(path))

    log_path = place.out_dir / (f"sub-{job.participant}" if job.participant != "group" else "group") / "log" / f"{job.id}.log"
    try:
        step = step_named(job.step)
        key = job_key(job, step.version, hash_of)
        if key and not place.force and is_up_to_date(place.state_dir, job, key, hash_if_known):
            hashes.update({str(p): content_hash(p) for p in job.outputs.values() if str(p) not in hashes})
            return Outcome(job.id, "kept", hashes=hashes)
        with _log(log_path, job.id) as log:
            try:
                return _run(job, step, str(key), place, log, hashes, started, log_path)
            except BaseException as error:
                log.error("%s", traceback.format_exc())
                if not isinstance(error, Exception):
                    raise
                return _failed(job, error, place, started, log_path)
    except Exception as error:  # the log itself or the record could not be written
        return Outcome(job.id, "failed", one_line(error), None, time.perf_counter() - started)


def _run(
    job: Job, step: Step, key: str, place: Place, log: logging.Logger, hashes: dict[str, str], started: float, log_path: Path
) -> Outcome:
    folder = place.work_dir / job.id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        task = Task(job, _temporary(job.outputs, folder), place.threads, log)
        log.info("%s: %s", step.name, step.summary)
        for role, path in {**job.inputs, **job.optional}.items():
            log.info("input %s: %s", role, path if path.is_file() else f"{path} (absent)")
        with _temporary_files_in(folder / "tmp"):
            step.compute(task)
        missing = [role for role, path in task.outputs.items() if not path.is_file()]
        if missing:
            raise RuntimeError(f"step {step.name} ended without writing {', '.join(missing)}")
        digests = {role: content_hash(path) for role, path in task.outputs.items()}
        duration_s = time.perf_counter() - started
        for role, path in job.outputs.items():
            facts = _sidecar(job, step, role, task.metadata.get(role, {}), place, hashes, duration_s)
            _publish(task.outputs[role], path)
            if _has_sidecar(path):
                write_json(facts, _beside(path))
        extras = {str(final): content_hash(temporary) for final, temporary in task.extras.items()}
        for final, temporary in task.extras.items():
            _publish(temporary, final)
            if _has_sidecar(final):
                facts = _sidecar(job, step, final.name, task.metadata.get(str(final), {}), place, hashes, duration_s)
                write_json(facts, _beside(final))
        for stale in set((read_record(place.state_dir, job) or {}).get("extras") or {}) - set(extras):  # type: ignore[call-overload]
            Path(stale).unlink(missing_ok=True)
            if _has_sidecar(Path(stale)):
                _beside(Path(stale)).unlink(missing_ok=True)
        write_record(
            place.state_dir,
            job,
            {
                "extras": extras,
                "status": "done",
                "key": key,
                "message": "",
                "outputs": digests,
                "duration_s": duration_s,
                "settings": job.settings,
                "version": place.version,
                "peak_memory_mb": _peak_memory_mb(),
            },
        )
        hashes.update({str(job.outputs[role]): digest for role, digest in digests.items()})
        log.info("done in %.1f s", duration_s)
        return Outcome(job.id, "done", "", log_path, duration_s, hashes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _temporary(outputs: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Give each output a temporary path of its own name; one that shares its name with another gets a number before it."""
    taken: set[str] = set()
    out = {}
    for number, (role, path) in enumerate(outputs.items()):
        out[role] = folder / (f"{number}-{path.name}" if path.name in taken else path.name)
        taken.add(path.name)
    return out


def _failed(job: Job, error: Exception, place: Place, started: float, log_path: Path) -> Outcome:
    message = one_line(error)
    duration_s = time.perf_counter() - started
    with contextlib.suppress(OSError):
        write_record(
            place.state_dir, job, {"status": "failed", "key": "", "message": message, "log": str(log_path), "outputs": {}}
        )
    return Outcome(job.id, "failed", message, log_path, duration_s)


def one_line(error: BaseException) -> str:
    """Say in one line what went wrong; unforeseen errors name their type."""
    if isinstance(error, EngineFailedError):
        return str(error).splitlines()[0]
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, RegrowthError):
        return text
    if isinstance(error, OSError) and error.errno == 28:
        return f"no space is left on the disk ({text}); free some or give another output folder"
    if isinstance(error, MemoryError):
        return f"the memory was not enough ({text}); use fewer processes (--n-procs)"
    return f"{type(error).__name__}: {text}"


def _publish(source: Path, target: Path) -> None:
    """Move a finished file into place; on another file system, first beside its place under a temporary name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != 18:  # another reason than crossing file systems
            raise
        beside = target.with_name(f".{target.name}.tmp")
        shutil.copyfile(source, beside)
        os.replace(beside, target)


def _has_sidecar(path: Path) -> bool:
    return path.name.endswith((".nii.gz", ".tsv", ".txt"))


def _beside(path: Path) -> Path:
    """Name the sidecar of an image, a table or a transform."""
    name = path.name
    for extension in (".nii.gz", ".tsv", ".txt"):
        name = name.removesuffix(extension)
    return path.with_name(name + ".json")


def _sidecar(
    job: Job, step: Step, role: str, facts: Mapping[str, object], place: Place, hashes: Mapping[str, str], duration_s: float
) -> dict[str, object]:
    sources = {p: hashes.get(str(p), "") for p in {**job.inputs, **job.optional}.values() if p.is_file()}
    return {
        **facts,
        "Sources": [_uri(p, place) for p in sources],
        "SourcesSHA256": {_uri(p, place): h for p, h in sources.items()},
        "Step": job.step,
        "StepVersion": step.version,
        "Parameters": job.settings,
        "GeneratedBy": [{"Name": "Regrowth", "Version": place.version}],
        "Duration_s": round(duration_s, 2),
        "PeakMemory_MB": _peak_memory_mb(),
        "Role": role,
    }


def _uri(path: Path, place: Place) -> str:
    """BIDS URI of a file: in the raw data, in these results, or its bare name if it lies elsewhere."""
    for name, root in (("", place.out_dir), ("raw", place.bids_dir)):
        if path.is_relative_to(root):
            return f"bids:{name}:{path.relative_to(root).as_posix()}"
    return f"bids:elsewhere:{path.name}"


def _peak_memory_mb() -> int:
    return max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Keep the temporary files of engines in the job's folder: on the disk that --work-dir names, and swept after a kill."""
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _log(path: Path, name: str) -> Iterator[logging.Logger]:
    path.parent.mkdir(parents=True, exist_ok=True)
    log = logging.Logger(name, logging.INFO)
    target = logging.FileHandler(path, mode="w", encoding="utf-8")
    target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(target)
    try:
        yield log
    finally:
        target.close()
