"""How fast HD95 is beside its peers, and what each of them gives for the same two masks.

    python benchmarks/bench_hd95.py [--repeats 7] [--only regrowth]

A multifocal tumour of 64 ml and one of 87 ml on a grid of 240 x 240 x 155 voxels of 1 mm. CPU time is that of the whole
process, all threads added up, the median of the repeats. Peers are measured if they are installed; the extra ``bench``
brings them: ``pip install -c constraints.txt -e '.[bench]'``.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np

from regrowth.metrics import hausdorff
from regrowth.space import Grid

SHAPE = (240, 240, 155)
SPACING_MM = (1.0, 1.0, 1.0)
FOCI = (((100, 120, 70), 22.3), ((150, 100, 80), 16.2))  # centre and radius, mm: 64 ml together
OTHER = (((104, 123, 73), 27.5),)  # 87 ml


def balls(parts: tuple[tuple[tuple[int, int, int], float], ...]) -> np.ndarray:
    """Make a mask of some balls."""
    x, y, z = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    mask = np.zeros(SHAPE, bool)
    for (i, j, k), radius in parts:
        mask |= (x - i) ** 2 + (y - j) ** 2 + (z - k) ** 2 <= radius**2
    return mask


def ours(definition: str) -> Callable[[np.ndarray, np.ndarray], float]:
    grid = Grid(SHAPE, np.diag([*SPACING_MM, 1.0]))
    return lambda a, b: hausdorff(a, b, grid, 95.0, definition).value_mm  # type: ignore[arg-type]


def deepmind() -> Callable[[np.ndarray, np.ndarray], float]:
    # surface-distance 0.1 asks for scipy.ndimage.filters and .morphology, which SciPy 2 removes.
    import sys

    import scipy.ndimage

    for old in ("filters", "morphology"):
        if not hasattr(scipy.ndimage, old):
            setattr(scipy.ndimage, old, scipy.ndimage)
            sys.modules[f"scipy.ndimage.{old}"] = scipy.ndimage
    import surface_distance

    return lambda a, b: float(
        surface_distance.compute_robust_hausdorff(surface_distance.compute_surface_distances(a, b, SPACING_MM), 95)
    )


def monai() -> Callable[[np.ndarray, np.ndarray], float]:
    import torch
    from monai.metrics import compute_hausdorff_distance

    torch.set_num_threads(1)  # idle threads of torch count as CPU time and would make MONAI look slower than it is

    def measure(a: np.ndarray, b: np.ndarray) -> float:
        first, second = (torch.from_numpy(m)[None, None] for m in (a, b))
        found = compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=SPACING_MM)
        return float(found.item())

    return measure


def medpy() -> Callable[[np.ndarray, np.ndarray], float]:
    from medpy.metric.binary import hd95

    return lambda a, b: float(hd95(a, b, voxelspacing=SPACING_MM))


PEERS = (
    ("regrowth", "mesh", lambda: ours("mesh")),
    ("surface-distance", "mesh", deepmind),
    ("regrowth", "voxel", lambda: ours("voxel")),
    ("monai", "voxel", monai),
    ("regrowth", "pooled", lambda: ours("pooled")),
    ("medpy", "pooled", medpy),
)


def timed(measure: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray, repeats: int) -> tuple[float, ...]:
    """Median CPU and wall seconds, and the value, after one call to warm up."""
    value = measure(a, b)
    cpu, wall = [], []
    for _ in range(repeats):
        start_cpu, start = time.process_time(), time.perf_counter()
        measure(a, b)
        cpu.append(time.process_time() - start_cpu)
        wall.append(time.perf_counter() - start)
    return statistics.median(cpu), statistics.median(wall), value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", help="measure only the implementation of this name")
    given = parser.parse_args()
    a, b = balls(FOCI), balls(OTHER)
    print(f"{a.sum() / 1000:.1f} ml against {b.sum() / 1000:.1f} ml, {SHAPE} at 1 mm, median of {given.repeats}")
    print(f"{'implementation':18}{'definition':12}{'CPU s':>9}{'wall s':>9}{'HD95 mm':>10}{'CPU / ours':>12}")
    reference: dict[str, float] = {}
    for name, definition, prepare in PEERS:
        if given.only not in (None, name):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cpu, wall, value = timed(prepare(), a, b, given.repeats)
        except ImportError:
            print(f"{name:18}{definition:12}{'not installed':>18}")
            continue
        if name == "regrowth":
            reference[definition] = cpu
        ratio = f"{cpu / reference[definition]:11.1f}x" if definition in reference else ""
        print(f"{name:18}{definition:12}{cpu:9.4f}{wall:9.4f}{value:10.4f}{ratio:>12}", flush=True)


if __name__ == "__main__":
    main()
