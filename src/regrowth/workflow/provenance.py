"""When a result is up to date, and where it came from: hashes, job records, sidecars.

A job is up to date when its outputs exist with the recorded content and the recorded key matches. The key is the sha256 of
step, step version, settings and the content of all inputs. Records lie in ``OUT/.regrowth/jobs``; sidecars beside the files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from regrowth.errors import BidsError
from regrowth.io.tables import read_json, write_json
from regrowth.workflow.job import Job

__all__ = ["HashCache", "content_hash", "is_up_to_date", "job_key", "read_record", "record_path", "write_record"]


def content_hash(path: Path) -> str:
    """Compute the sha256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashCache:
    """Hashes of files that have not changed since they were hashed: same size, modification time and inode.

    Parameters
    ----------
    path
        JSON file that keeps them between runs; a damaged file counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new: dict[str, list[object]] = {}
        self._known = self._read()

    def _read(self) -> dict[str, list[object]]:
        try:
            return read_json(self._path) if self._path.is_file() else {}  # type: ignore[return-value]
        except BidsError:
            return {}

    def known(self, path: Path) -> str | None:
        """Give the hash of a file if it is known and the file is unchanged."""
        entry = self._known.get(str(path))
        return str(entry[0]) if entry and entry[1:] == _state(path) else None

    def remember(self, hashes: Mapping[str, str]) -> None:
        """Take over hashes that were just computed."""
        for name, value in hashes.items():
            state = _state(Path(name))
            if state:
                self._known[name] = self._new[name] = [value, *state]

    def save(self) -> None:
        """Add what is new to the file; another run may have written to it meanwhile."""
        if self._new:
            write_json({**self._read(), **self._new}, self._path)
            self._new = {}


def _state(path: Path) -> list[object]:
    try:
        s = os.stat(path)
    except OSError:
        return []
    return [s.st_size, s.st_mtime_ns, s.st_ino]


def job_key(job: Job, version: int, hash_of: Callable[[Path], str | None]) -> str | None:
    """Give the key of a job, or None if the hash of an input is not known.

    Parameters
    ----------
    job
        The job.
    version
        Version of its step.
    hash_of
        Gives the hash of a file, or None.
    """
    inputs = {}
    for role, path in {**job.inputs, **job.optional}.items():
        if role in job.optional and not path.is_file():
            inputs[role] = "absent"
            continue
        digest = hash_of(path)
        if digest is None:
            return None
        inputs[role] = digest
    facts = {
        "step": job.step,
        "version": version,
        "settings": job.settings,
        "inputs": inputs,
        "outputs": {role: path.name for role, path in job.outputs.items()},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def record_path(state_dir: Path, job: Job) -> Path:
    """Where the record of a job lies."""
    return state_dir / "jobs" / job.participant / f"{job.id}.json"


def read_record(state_dir: Path, job: Job) -> dict[str, object] | None:
    """Read the record of a job; None if there is none or it is damaged."""
    path = record_path(state_dir, job)
    try:
        return read_json(path) if path.is_file() else None
    except BidsError:
        return None


def write_record(state_dir: Path, job: Job, facts: Mapping[str, object]) -> None:
    """Write the record of a job; this is what makes its outputs count."""
    write_json(
        {"job": job.id, "step": job.step, "participant": job.participant, "session": job.session, **facts},
        record_path(state_dir, job),
    )


def is_up_to_date(state_dir: Path, job: Job, key: str, hash_of: Callable[[Path], str | None]) -> bool:
    """Tell whether the outputs of a job exist, unchanged, and were made with this key."""
    record = read_record(state_dir, job)
    if not record or record.get("status") != "done" or record.get("key") != key:
        return False
    outputs = record.get("outputs")
    if not isinstance(outputs, dict) or set(outputs) != set(job.outputs):
        return False
    extras = record.get("extras")
    made = {path: outputs[role] for role, path in job.outputs.items()}
    made |= {Path(name): digest for name, digest in (extras if isinstance(extras, dict) else {}).items()}
    return all(path.is_file() and digest == (hash_of(path) or content_hash(path)) for path, digest in made.items())
