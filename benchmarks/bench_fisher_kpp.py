"""How fast and how exact the Fisher-KPP solver is, beside TumorGrowthToolkit, and how well the inverse finds a known truth.

``python benchmarks/bench_fisher_kpp.py [--tissue LABELS.nii.gz] [--toolkit FOLDER] [--patients 10]``

The tissue is the packaged ICBM template cut by its T1 intensity, or a label image with 1 CSF, 2 grey, 3 white matter.
TumorGrowthToolkit (MIT) is not on every package index: `--toolkit` names a folder with a copy of its source. Without it, the
same explicit scheme in plain numpy takes its place, and the table says so.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from regrowth.growth.front import TumourObservation
from regrowth.growth.inverse import fit_origin
from regrowth.growth.kpp import KppParameters, Stepping, TumourField, solve_kpp
from regrowth.growth.simulate import seed_density
from regrowth.growth.tissue import TissueMap, exchange_rates, tissue_map
from regrowth.space import Grid, bounding_box

DAYS, DIFFUSIVITY, RHO, RATIO = 100.0, 1.0, 0.1, 10.0


def template_tissue() -> TissueMap:
    """White and grey matter of the ICBM template by thresholds of its T1w intensity: good enough to measure time on."""
    from regrowth.anatomy.template import brain_template

    template = brain_template(1)
    t1 = np.where(template.brain, template.image.data, 0)
    low, high = np.quantile(t1[template.brain], [0.2, 0.6])
    return cut(t1 > high, (t1 > low) & (t1 <= high), template.image.grid)


def file_tissue(path: str) -> TissueMap:
    import nibabel as nib

    image = nib.load(path)
    labels = np.asarray(image.dataobj)
    return cut(labels == 3, labels == 2, Grid(labels.shape[:3], image.affine))


def cut(white: np.ndarray, grey: np.ndarray, grid: Grid) -> TissueMap:
    box = bounding_box(white | grey, 2)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world(np.array([s.start for s in box]))
    shape = white[box].shape
    return tissue_map(white[box], grey[box], Grid((shape[0], shape[1], shape[2]), affine))


def seed_voxel(tissue: TissueMap) -> np.ndarray:
    """White matter near the middle of the left half."""
    wanted = np.array(tissue.grid.shape) * [0.33, 0.5, 0.55]
    voxels = np.argwhere(tissue.white > 0.9)
    return voxels[((voxels - wanted) ** 2).sum(axis=1).argmin()]


def blob(tissue: TissueMap, voxel: np.ndarray) -> np.ndarray:
    """Start of TumorGrowthToolkit: a Gaussian cut at 0.1 and at 1, in mm."""
    offsets = [(np.arange(n) - v) * s for n, v, s in zip(tissue.grid.shape, voxel, tissue.grid.spacing_mm, strict=True)]
    r2 = sum(o**2 for o in np.meshgrid(*offsets, indexing="ij", sparse=True))
    u = 250 / (20 * math.pi) ** 1.5 * np.exp(-r2 / 20)
    return np.where(u > 0.1, np.minimum(u, 1), 0)


def numpy_explicit(start: np.ndarray, tissue: TissueMap, days: float, step: float, steps: int) -> np.ndarray:
    """Explicit Euler on whole float64 arrays with np.roll, faces by the arithmetic mean: the scheme of TumorGrowthToolkit."""
    mobility, matter, u = tissue.mobility(RATIO).astype(float), tissue.matter, start.astype(float)
    faces = []
    for axis, h in enumerate(tissue.grid.spacing_mm):
        both = matter & np.roll(matter, -1, axis)
        faces.append(np.where(both, (mobility + np.roll(mobility, -1, axis)) / 2, 0) * DIFFUSIVITY / h**2)
    for _ in range(steps):
        change = RHO * u * (1 - u)
        for axis, face in enumerate(faces):
            back = np.roll(face, 1, axis)
            change += back * (np.roll(u, 1, axis) - u) - face * (u - np.roll(u, -1, axis))
        u = u + step * change
    return u


def toolkit(folder: str | None, tissue: TissueMap, voxel: np.ndarray) -> tuple[str, Callable[[], np.ndarray]] | None:
    if folder:
        sys.path.insert(0, folder)
    try:
        solver = importlib.import_module("TumorGrowthToolkit.FK").Solver
    except ImportError:
        return None
    at = (voxel + 0.5) / np.array(tissue.grid.shape)
    s = tissue.grid.spacing_mm
    parameters = {"Dw": DIFFUSIVITY, "rho": RHO, "RatioDw_Dg": RATIO, "gm": tissue.grey.astype(float)}
    parameters |= {"wm": tissue.white.astype(float), "NxT1_pct": at[0], "NyT1_pct": at[1], "NzT1_pct": at[2]}
    parameters |= {"resolution_factor": 1, "stopping_time": DAYS, "dx_mm": s[0], "dy_mm": s[1], "dz_mm": s[2], "th_matter": 0.5}

    def run() -> np.ndarray:
        result = solver(parameters).solve()
        if not result["success"]:
            raise RuntimeError(result["error"])
        return np.asarray(result["final_state"])

    return "TumorGrowthToolkit", run


def timed(run: Callable[[], np.ndarray], repeats: int = 1) -> tuple[np.ndarray, float]:
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        out = run()
        times.append(time.process_time() - begin)
    return out, float(np.median(times))


def forward(tissue: TissueMap, folder: str | None) -> None:
    voxel = seed_voxel(tissue)
    start = np.where(tissue.matter, blob(tissue, voxel), 0)
    parameters = KppParameters(DIFFUSIVITY, RHO, RATIO)
    spacing = tissue.grid.spacing_mm
    steps = math.ceil(DAYS * DIFFUSIVITY / min(spacing) ** 2 * 8 + 100)  # as TumorGrowthToolkit chooses them
    step = DAYS / (DAYS * DIFFUSIVITY / min(spacing) ** 2 * 8 + 100)
    arithmetic = exchange_rates(tissue.mobility(RATIO), tissue.matter, spacing, "arithmetic")

    def explicit() -> np.ndarray:
        return solve_kpp(start, arithmetic, parameters, [steps * step], stepping=Stepping(explicit_days=step, cutoff=0))[0]

    def default() -> np.ndarray:
        rates = exchange_rates(tissue.mobility(RATIO), tissue.matter, spacing)
        return solve_kpp(start, rates, parameters, [DAYS])[0]

    def default_arithmetic() -> np.ndarray:
        return solve_kpp(start, arithmetic, parameters, [DAYS])[0]

    peer = toolkit(folder, tissue, voxel) or (
        "plain numpy, same scheme",
        lambda: numpy_explicit(start, tissue, DAYS, step, steps),
    )
    solve_kpp(start, arithmetic, parameters, [0.01])  # compiles
    explicit_warm = Stepping(explicit_days=step)
    solve_kpp(start, arithmetic, parameters, [step], stepping=explicit_warm)
    print(
        f"\n{DAYS:g} days, D {DIFFUSIVITY:g} mm2/day, rho {RHO:g}/day, white/grey {RATIO:g}, box {tissue.grid.shape} at "
        f"{spacing[0]:g} mm, {tissue.matter.sum()} tissue voxels, 1 thread"
    )
    truth, peer_s = timed(peer[1])
    print("| solver | CPU s | ratio | largest difference to the first | ml above 0.5 |\n|---|---|---|---|---|")
    volume = tissue.grid.voxel_volume_ml
    print(f"| {peer[0]} ({steps} steps) | {peer_s:.2f} | 1 | 0 | {(truth > 0.5).sum() * volume:.1f} |")
    for name, run in (
        ("regrowth, the same explicit steps", explicit),
        ("regrowth, super steps, arithmetic faces", default_arithmetic),
        ("regrowth, default, rates included", default),
    ):
        found, seconds = timed(run, 3)
        error = np.abs(found - truth).max()
        print(f"| {name} | {seconds:.3f} | {peer_s / seconds:.1f} | {error:.2e} | {(found > 0.5).sum() * volume:.1f} |")


def synthetic(tissue: TissueMap, rng: np.random.Generator) -> tuple[list[TumourObservation], np.ndarray, KppParameters] | None:
    """Two exams 30 days apart of a tumour grown at 1 mm; borders moved by 1 mm at random (smooth, FWHM 8 mm)."""
    voxels = np.argwhere(tissue.white > 0.9)
    origin = tissue.grid.world(voxels[rng.integers(len(voxels))] + rng.uniform(-0.5, 0.5, 3))
    front, rho = rng.uniform(2, 3.5), math.exp(rng.uniform(math.log(0.02), math.log(0.06)))
    parameters = KppParameters(front**2 * rho, rho, RATIO)
    rates = exchange_rates(tissue.mobility(RATIO), tissue.matter, tissue.grid.spacing_mm)
    field = TumourField(rates, seed_density(tissue, origin))
    goal_ml, day, seen = rng.uniform(15, 35), 0.0, []
    while day < 800 and len(seen) < 2:
        days = 30.0 if seen else 10.0
        field.advance(days, parameters)
        day += days
        u = field.density
        if not seen and ((u > 0.2).sum() * tissue.grid.voxel_volume_ml < goal_ml or u.max() < 0.65):
            continue
        noise = ndimage.gaussian_filter(rng.standard_normal(u.shape, np.float32), 8 / 2.355)
        u = np.clip(u, 1e-9, 1 - 1e-6)
        odds = np.log(u / (1 - u)) + noise / noise.std() / (2 * front)
        core, whole = (tissue.matter & (odds > math.log(t / (1 - t))) for t in (0.6, 0.2))
        seen.append(TumourObservation(day, core, whole, tissue.grid))
    return (seen, origin, parameters) if len(seen) == 2 else None


def inverse(tissue: TissueMap, patients: int, numbers_of_exams: tuple[int, ...]) -> None:
    print("\nInverse: grown at 1 mm, fitted at 4 and 2 mm; 90 % intervals")
    print("| patient | exams | ml | origin off, mm | speed off, % | length off, % | in: x y z speed length | draws | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    errors = []
    for number in range(patients):
        rng = np.random.default_rng(number)
        case = synthetic(tissue, rng)
        if case is None:
            print(f"| {number} | not grown in 800 days |" + " |" * 7)
            continue
        seen, origin, truth = case
        for exams in numbers_of_exams:
            begin = time.process_time()
            fit = fit_origin(seen[:exams], tissue, rng)
            seconds = time.process_time() - begin
            if fit.samples is None:
                print(f"| {number} | {exams} | {fit.reason} |" + " |" * 6)
                continue
            s = fit.samples
            pairs = [(s.origins_mm[:, d], origin[d]) for d in range(3)]
            pairs += [(s.front_speed_mm_per_day, truth.front_speed_mm_per_day), (s.front_length_mm, truth.front_length_mm)]
            inside = [low <= true <= high for (low, high), true in ((s.interval(v), t) for v, t in pairs)]
            off = float(np.linalg.norm(np.array(fit.origin_mm) - origin))
            speed = 100 * (fit.front_speed_mm_per_day / truth.front_speed_mm_per_day - 1)
            length = 100 * (math.sqrt(fit.diffusivity_mm2_per_day / fit.proliferation_per_day) / truth.front_length_mm - 1)
            errors.append([exams, off, abs(speed), abs(length), *inside, seconds])
            size = seen[0].whole.sum() * tissue.grid.voxel_volume_ml
            marks = " ".join("yes" if i else "no" for i in inside)
            values = f"{size:.0f} | {off:.2f} | {speed:.1f} | {length:.1f} | {marks} | {s.effective:.0f} | {seconds:.0f}"
            print(f"| {number} | {exams} | {values} |", flush=True)
    table = np.array(errors, float)
    for exams in numbers_of_exams:
        rows = table[table[:, 0] == exams]
        if len(rows):
            middle = np.median(rows, axis=0)
            shares = f"x, y, z {rows[:, 4:7].mean():.0%}, speed {rows[:, 7].mean():.0%}, length {rows[:, 8].mean():.0%}"
            print(
                f"{exams} exams, n={len(rows)}: origin off by {middle[1]:.2f} mm in the median, {rows[:, 1].max():.2f} at most;"
            )
            print(f"  speed {middle[2]:.1f} %, length {middle[3]:.1f} %; 90 % intervals hold {shares};")
            print(f"  CPU {middle[9]:.0f} s in the median, {rows[:, 9].max():.0f} at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tissue", help="label image: 2 grey, 3 white matter")
    parser.add_argument("--toolkit", help="folder that holds the package TumorGrowthToolkit")
    parser.add_argument("--patients", type=int, default=10, help="synthetic patients of the inverse problem; 0 skips it")
    parser.add_argument("--one-exam", action="store_true", help="fit each patient from the first exam alone as well")
    parser.add_argument("--inverse-only", action="store_true")
    options = parser.parse_args()
    tissue = file_tissue(options.tissue) if options.tissue else template_tissue()
    if not options.inverse_only:
        forward(tissue.coarsened(2.0), options.toolkit)
        forward(tissue, options.toolkit)
    if options.patients:
        inverse(tissue, options.patients, (2, 1) if options.one_exam else (2,))


if __name__ == "__main__":
    main()
