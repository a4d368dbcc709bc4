"""What a second run costs when nothing changed: five synthetic patients, whole command including the start of Python.

``python benchmarks/bench_rerun.py [--patients 5] [--spacing 3] [--repeats 5]``
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command; give wall seconds and CPU seconds of it and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=5)
    parser.add_argument("--spacing", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    regrowth = [sys.executable, "-m", "regrowth"]
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "bids", Path(folder) / "out"
        phantom = ["phantom", str(data), "--patients", str(options.patients), "--spacing-mm", str(options.spacing)]
        timed([*regrowth, *phantom])
        run = [*regrowth, "run", str(data), str(out), "participant", "group", "--derivatives", "truth"]
        first = timed(run)
        again = [timed(run) for _ in range(options.repeats)]
        version = [timed([*regrowth, "--version"]) for _ in range(options.repeats)]
    print(f"{options.patients} patients at {options.spacing:g} mm     wall s   CPU s")
    print(f"first run                  {first[0]:8.2f} {first[1]:7.2f}")
    for name, times in (("second run, nothing changed", again), ("regrowth --version", version)):
        wall, cpu = (statistics.median(t[n] for t in times) for n in (0, 1))
        print(f"{name:27s}{wall:8.2f} {cpu:7.2f}   (median of {len(times)})")
    print(f"second run / first run: {statistics.median(t[0] for t in again) / first[0]:.4f} of the wall time")


if __name__ == "__main__":
    main()
