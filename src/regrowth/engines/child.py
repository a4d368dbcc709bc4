"""How a native engine runs in a process of its own, so that its crash is an error and not the end.

Arrays and options go over in one ``.npz`` (exact, unlike a NIfTI header with its float32 affine), the result comes back
in another. Threads and seeds stand in the environment *before* the child starts, since ITK, OpenMP and ANTs read them
only then. The child dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.errors import EngineFailedError

__all__ = ["Arrays", "Options", "answer", "run_child"]

Arrays = dict[str, np.ndarray]
Options = dict[str, Any]

_LOG_LINES = 15
_log = logging.getLogger(__name__)


def run_child(
    module: str,
    arrays: Mapping[str, np.ndarray],
    options: Mapping[str, object],
    *,
    threads: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Arrays:
    """Run a module that calls `answer` as a child process and wait for its arrays.

    Parameters
    ----------
    module
        Full name of the module, such as ``regrowth.engines._greedy_child``.
    arrays
        What the child computes with.
    options
        Its settings, as far as JSON can hold them.
    threads
        Threads of OpenMP, BLAS and ITK in the child.
    environment
        Further environment variables, such as ``ANTS_RANDOM_SEED``.

    Returns
    -------
    dict
        Arrays that the child gave back.

    Raises
    ------
    EngineFailedError
        If the child raises, crashes or is killed; with the last lines of its log.
    """
    count = str(max(int(threads), 1))
    env = os.environ | {
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": count,
        "PYTHONHASHSEED": "0",
        **(environment or {}),
    }
    with tempfile.TemporaryDirectory(prefix="regrowth-") as name:
        folder = Path(name)
        # The JSON rides along as bytes; object arrays would need pickle.
        note = np.frombuffer(json.dumps(dict(options)).encode(), np.uint8)
        np.savez(folder / "request.npz", __options__=note, **arrays)  # type: ignore[arg-type]
        code = _run(module, folder, env)
        log = (folder / "log.txt").read_text(errors="replace")
        _log.debug("%s ended with %s\n%s", module, code, log)
        if code == 0 and (folder / "result.npz").is_file():
            return _arrays(folder / "result.npz", module, log)
        raise EngineFailedError(f"{module.rsplit('.', 1)[-1].strip('_')} {_ending(code)}; end of its log:\n{_tail(log)}")


def answer(compute: Callable[[Arrays, Options], Arrays]) -> None:
    """Be the child: read the request in the current folder, compute, write the result."""
    _die_with_parent(int(os.environ["REGROWTH_PARENT_PID"]))
    with np.load("request.npz", allow_pickle=False) as request:
        arrays = {k: request[k] for k in request.files}
    options = json.loads(arrays.pop("__options__").tobytes())
    result = compute(arrays, options)
    np.savez("part.npz", **result)  # type: ignore[arg-type]
    os.replace("part.npz", "result.npz")


def _run(module: str, folder: Path, env: dict[str, str]) -> int:
    # -P keeps the temporary folder off the module path; the pid lets the child see that its parent has gone already.
    command = [sys.executable, "-P", "-m", module]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env | {"REGROWTH_PARENT_PID": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _die_with_parent(parent: int) -> None:
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started this engine has ended")


def _arrays(path: Path, module: str, log: str) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as result:
            return {k: result[k] for k in result.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise EngineFailedError(f"{module} gave an unreadable result ({error}); end of its log:\n{_tail(log)}") from error


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}" if code else "gave no result"
    name = signal.Signals(-code).name
    return f"was ended by {name}" + (" (often: out of memory)" if name == "SIGKILL" else "")


def _tail(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return "\n".join(lines[-_LOG_LINES:]) or "(empty)"
