"""What happens to the child process of an engine: results, crashes, death of the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from regrowth.engines.child import run_child
from regrowth.errors import EngineFailedError

CHILD = """
import ctypes, os, sys, time
from pathlib import Path
from regrowth.engines.child import answer

def compute(arrays, options):
    if options.get("note"):
        Path(options["note"]).write_text(f"{os.getpid()} {os.getcwd()}")
    if options.get("do") == "raise":
        raise ValueError("the line search went astray")
    if options.get("do") == "crash":
        print("about to crash", flush=True)
        ctypes.string_at(0)
    if options.get("do") == "sleep":
        time.sleep(60)
    threads = os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] + os.environ["OMP_NUM_THREADS"]
    return {"twice": arrays["a"] * 2, "threads": [int(threads)], "seed": [int(os.environ.get("ANTS_RANDOM_SEED", 0))]}

if __name__ == "__main__":
    answer(compute)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "toy_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return "toy_child"


def left_over(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "temporary").iterdir())


def test_arrays_go_over_and_come_back_exactly(child: str, tmp_path: Path, rng: np.random.Generator) -> None:
    a = rng.standard_normal((3, 4))
    result = run_child(child, {"a": a}, {}, threads=2, environment={"ANTS_RANDOM_SEED": "7"})
    assert np.array_equal(result["twice"], a * 2)
    assert (result["threads"][0], result["seed"][0]) == (22, 7)
    assert not left_over(tmp_path)


def test_an_exception_becomes_an_error_with_the_end_of_the_log(child: str, tmp_path: Path) -> None:
    with pytest.raises(EngineFailedError, match="the line search went astray"):
        run_child(child, {"a": np.ones(1)}, {"do": "raise"})
    assert not left_over(tmp_path)


def test_a_crash_becomes_an_error_and_names_the_signal(child: str, tmp_path: Path) -> None:
    with pytest.raises(EngineFailedError, match=r"(?s)SIGSEGV.*about to crash"):
        run_child(child, {"a": np.ones(1)}, {"do": "crash"})
    assert not left_over(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells the child of its parent's death on Linux only")
def test_the_child_dies_with_its_parent(child: str, tmp_path: Path) -> None:
    note = tmp_path / "note"
    code = f"""
        import numpy as np
        from regrowth.engines.child import run_child
        run_child({child!r}, {{"a": np.ones(1)}}, {{"do": "sleep", "note": {str(note)!r}}})
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=os.environ | {"TMPDIR": str(tmp_path)})
    assert _until(lambda: note.is_file() and note.read_text().count(" ") == 1)
    pid = int(note.read_text().split()[0])
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _until(lambda: not _is_running(pid))


def _until(done: object, limit_s: float = 30.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if done():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
