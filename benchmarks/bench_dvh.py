"""How near dose-volume histograms come to those of a planning system and to closed forms, and how fast they are beside a peer.

    python benchmarks/bench_dvh.py [--repeats 3] [--peer-python /path/to/python]

Real breast plan of dicompyler-core (10 structures, 14 Gy in 7 fractions), read from ``breast-boost-plan`` in the folder that
REGROWTH_DATA names (default ../shared/data), against the histograms that its planning system wrote into the dose file. The
peer, dicompyler-core 0.5.6, needs pydicom below 3 and therefore an environment of its own, whose interpreter is given:

    python -m venv ENV && ENV/bin/pip install 'dicompyler-core==0.5.6' 'pydicom<3' 'numpy<2' scikit-image

CPU time is that of the whole process, files read once and their reading counted apart, the median of the repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regrowth.io.dicom_geometry import read_dicom
from regrowth.io.dicom_rt import read_rtdose
from regrowth.io.rtstruct import read_rtstruct_with_problems
from regrowth.radiotherapy import Contour, Structure, StructureSet
from regrowth.radiotherapy.dvh import DVH, dose_volume_histogram
from regrowth.radiotherapy.rasterise import rasterise
from regrowth.space import Grid, Image

PRESCRIBED_GY = 14.0
LARGE_ML = 10.0
PEER = """
import json, logging, statistics, sys, time, warnings
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
import pydicom
from dicompylercore import dicomparser, dvhcalc
structures, dose, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
start = time.process_time()
rs, rd = pydicom.dcmread(structures), pydicom.dcmread(dose)
rd.pixel_array
names = {n: s["name"] for n, s in dicomparser.DicomParser(rs).GetStructures().items()}
reading, cpu, found = time.process_time() - start, [], {}
for _ in range(repeats):
    start = time.process_time()
    for n, name in names.items():
        dvh = dvhcalc.get_dvh(rs, rd, n)
        found[name] = [float(dvh.volume), float(dvh.mean), float(dvh.D95.value)] if dvh.volume else None
    cpu.append(time.process_time() - start)
print(json.dumps({"reading": reading, "cpu": statistics.median(cpu), "found": found}))
"""


def planned(dose_file: Path, structures: StructureSet) -> dict[str, tuple[float, float, float]]:
    """Volume ml, mean and D95 Gy of the planning system."""
    names = {s.number: s.name for s in structures.structures}
    out = {}
    for item in read_dicom(dose_file, ("DVHSequence",), pixels=False).DVHSequence:
        widths, volumes = np.array(item.DVHData, float).reshape(-1, 2).T
        doses = np.cumsum(widths) - widths
        d95 = float(np.interp(-0.95 * volumes[0], -volumes, doses))
        name = names[int(item.DVHReferencedROISequence[0].ReferencedROINumber)]
        out[name] = float(volumes[0]), float(item.DVHMeanDose) / 100 * PRESCRIBED_GY, d95
    return out


def timed(run: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds, after one call to warm up."""
    run()
    cpu = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        cpu.append(time.process_time() - start)
    return statistics.median(cpu)


def of_peer(python: str, structures: Path, dose: Path, repeats: int) -> dict:
    command = [python, "-c", PEER, str(structures), str(dose), str(repeats)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def compare(folder: Path, repeats: int, peer_python: str | None) -> None:
    start = time.process_time()
    structures, _ = read_rtstruct_with_problems(folder / "rtss.dcm")
    dose = read_rtdose(folder / "rtdose.dcm")
    reading = time.process_time() - start

    def histograms(cap_mm: float | None) -> dict[str, DVH]:
        return {s.name: dose_volume_histogram(s, dose, end_cap_mm=cap_mm) for s in structures.structures}

    found = {"regrowth, no caps": as_numbers(histograms(0.0)), "regrowth, half caps": as_numbers(histograms(None))}
    cpu = {"regrowth, no caps": timed(lambda: histograms(0.0), repeats)}
    cpu["regrowth, half caps"] = timed(lambda: histograms(None), repeats)
    drawing = timed(lambda: [rasterise(s, dose.grid) for s in structures.structures], repeats)
    if peer_python:
        peer = of_peer(peer_python, folder / "rtss.dcm", folder / "rtdose.dcm", repeats)
        found["dicompyler-core"], cpu["dicompyler-core"] = peer["found"], peer["cpu"]
    truth = planned(folder / "rtdose.dcm", structures)
    print("Difference from the planning system: volume %, mean Gy, D95 Gy")
    print(f"{'structure':17}{'ml':>9}" + "".join(f"{name:>30}" for name in found))
    for name, (volume, mean, d95) in truth.items():
        row = f"{name:17}{volume:9.2f}"
        for own in found.values():
            v, m, d = own[name] or (np.nan,) * 3
            row += f"{100 * (v / volume - 1):+14.2f}{m - mean:+8.3f}{d - d95:+8.3f}"
        print(row)
    large = [name for name, values in truth.items() if values[0] > LARGE_ML and name != "BODY"]
    for what, own in found.items():
        off = np.abs([[own[n][0] / truth[n][0] - 1, own[n][1] - truth[n][1], own[n][2] - truth[n][2]] for n in large]).max(
            axis=0
        )
        print(f"worst over 10 ml but the body, {what:20} {100 * off[0]:.2f} %  mean {off[1]:.3f} Gy  D95 {off[2]:.3f} Gy")
    print(f"{'CPU s, all 10 structures':40}")
    for what, seconds in cpu.items():
        print(f"  {what:38}{seconds:8.3f}{seconds / cpu['regrowth, no caps']:8.1f}x")
    print(f"  {'regrowth, masks on the dose grid':38}{drawing:8.3f}")
    print(f"  {'regrowth, reading both files':38}{reading:8.3f}")
    if peer_python:
        print(f"  {'dicompyler-core, reading both files':38}{peer['reading']:8.3f}")


def as_numbers(histograms: dict[str, DVH]) -> dict[str, tuple[float, float, float]]:
    return {name: (dvh.volume_ml, dvh.mean_gy, dvh.d95_gy) for name, dvh in histograms.items()}


def closed_forms() -> None:
    """Cylinder and cone, 24 mm high, radius 12 mm, in 1 Gy/mm on a dose of 2.5 x 2.5 x 3 mm, after Nelms et al. 2015."""
    grid = Grid((25, 25, 21), np.array([[2.5, 0, 0, -30.3], [0, 2.5, 0, -29.6], [0, 0, 3.0, -29.1], [0, 0, 0, 1]]))
    world = grid.world(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))
    turn = np.linspace(0, 2 * np.pi, 361)[:-1]
    x = np.linspace(-1, 1, 20001)
    above = (np.arccos(x) - x * np.sqrt(1 - x**2)) / np.pi
    cases = (
        ("cylinder", "along", lambda z: 12.0, 2, lambda p: 52 - 24 * p),
        ("cylinder", "across", lambda z: 12.0, 0, lambda p: 40 + 12 * np.interp(-p, -above, x)),
        ("cone", "along", lambda z: 6 - z / 2, 2, lambda p: 52 - 24 * np.cbrt(p)),
    )
    volumes = {"cylinder": np.pi * 144 * 24e-3, "cone": np.pi * 144 * 8e-3}
    print("Against closed forms: volume %, worst of D98, D95, D50, D5, D2 in Gy (1 Gy is 1 mm here)")
    for step in (1.0, 3.0):
        for name, along, radius, axis, dose_of in cases:
            planes = np.arange(-12 + step / 2, 12, step)
            loops = [np.column_stack([radius(z) * np.cos(turn), radius(z) * np.sin(turn), np.full(360, z)]) for z in planes]
            dose = Image(40 + world[..., axis], grid, "Gy")
            structure = Structure(name, tuple(Contour(loop) for loop in loops))
            for between in ("nearest", "shape"):
                dvh = dose_volume_histogram(structure, dose, between=between, end_cap_mm=None)  # type: ignore[arg-type]
                off = max(abs(dvh.dose_at_volume(percent=p) - dose_of(p / 100)) for p in (98, 95, 50, 5, 2))
                print(
                    f"  {name:9}{along:8} planes {step:.0f} mm, {between:8}"
                    f"{100 * (dvh.volume_ml / volumes[name] - 1):+8.2f} %{off:8.3f} Gy"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-python", help="interpreter of an environment with dicompyler-core")
    given = parser.parse_args()
    closed_forms()
    data = Path(os.environ.get("REGROWTH_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()
    if not (data / "breast-boost-plan").is_dir():
        print("breast-boost-plan is absent (set REGROWTH_DATA); only closed forms were measured")
        return
    compare(data / "breast-boost-plan", given.repeats, given.peer_python)


if __name__ == "__main__":
    main()
