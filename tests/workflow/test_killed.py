"""A run that is killed at any moment and started again gives the same files as one that was left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regrowth.phantom import PhantomParameters
from regrowth.phantom.dataset import write_phantom
from regrowth.workflow.provenance import content_hash
from tests.workflow.copies import Case, write_parcels

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "regrowth", "run"]
# Growth in space draws from seed and label alone, which test_grow_steps shows; here it would take most of the time.
OPTIONS = ["participant", "group", "--derivatives", "truth", "--no-inverse-consistency", "--no-space"]


def start(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(data), str(out), *OPTIONS, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    return output


def results(out: Path) -> dict[str, str]:
    """Content of every image, transform and table."""
    kept = (".nii.gz", ".tsv", "_xfm.txt")
    return {str(p.relative_to(out)): content_hash(p) for p in sorted(out.rglob("*")) if p.name.endswith(kept)}


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until something has happened; the run must still be going on."""
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Process ids of all descendants, from /proc."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        parents.setdefault(int(text.rsplit(")", 1)[1].split()[1]), []).append(int(stat.parent.name))
    out, queue = [], [pid]
    while queue:
        found = parents.get(queue.pop(), [])
        out += found
        queue += found
    return out


def workers(pid: int) -> list[int]:
    """Dask workers of a run: the processes whose engine children come and go."""
    out = []
    for child in children(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if any("spawn_main" in w for w in words):
            out.append(child)
    return out


@pytest.fixture(scope="module")
def tiny_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic patients at 5 mm with contrast-enhanced T1w and FLAIR only, one with a map of regions: little work."""
    data = tmp_path_factory.mktemp("tiny") / "bids"
    write_phantom(data, PhantomParameters(patients=2, spacing_mm=5.0, lattice_mm=4.0, seed=3))
    for suffix in ("T1w", "T2w"):
        for path in data.glob(f"sub-*/ses-*/anat/sub-??_ses-*_{suffix}.*"):
            if "_ce-" not in path.name:
                path.unlink()
    write_parcels(Case(data / "sub-02", data / "derivatives" / "truth" / "sub-02", "02"))
    return data


@pytest.fixture(scope="module")
def undisturbed(tiny_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    finish(start(tiny_cohort, out))
    for made in ("sespreop_mode-image_desc-deformable", "ICBM2009aSym_mode-image_desc-deformable", "seg-freesurfer"):
        assert any(made in name for name in results(out)), made
    return results(out)


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "while the first files are made": lambda out: any((out / ".regrowth" / "work").glob("*/*")),
    "after the first exam is aligned": lambda out: any(out.glob("sub-*/ses-*/anat/*desc-coregistration_quality.tsv")),
    "after the first registration": lambda out: any(out.glob("sub-*/ses-*/anat/*desc-registration_quality.tsv")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_started_again_ends_with_the_same_bytes(moment, tiny_cohort, undisturbed, tmp_path):
    out = tmp_path / "out"
    process = start(tiny_cohort, out)
    wait_for(process, lambda: MOMENTS[moment](out))
    orphans = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not any(p.name.startswith("group") and p.suffix == ".html" for p in out.iterdir())
    finish(start(tiny_cohort, out))
    assert results(out) == undisturbed
    for pid in orphans:  # nothing of the killed run may linger and write later
        with pytest.raises(OSError, match="No such process"):
            os.kill(pid, 0)


@pytest.mark.parametrize("moment", list(MOMENTS)[:2])
def test_a_run_whose_worker_is_killed_ends_with_the_same_bytes(moment, tiny_cohort, undisturbed, tmp_path):
    out = tmp_path / "out"
    process = start(tiny_cohort, out)
    wait_for(process, lambda: MOMENTS[moment](out) and bool(workers(process.pid)))
    os.kill(workers(process.pid)[-1], signal.SIGKILL)
    finish(process)
    assert results(out) == undisturbed


def test_one_thread_and_two_processes_give_the_same_bytes_as_one_process(tiny_cohort, undisturbed, tmp_path):
    finish(start(tiny_cohort, tmp_path / "out", "--scheduler", "in-process", "--threads", "2"))
    assert results(tmp_path / "out") == undisturbed
