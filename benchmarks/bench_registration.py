"""How accurate and how fast registration is, beside the presets of ANTs, on synthetic patients whose truth is known.

Run ``python benchmarks/bench_registration.py [--spacing 1.0] [--patients 1]``. Every method starts a process of its own with
two threads; CPU seconds count all threads and are the figure to compare on a busy machine. Far and near are brain voxels
more and at most 10 mm from the lesion of the baseline exam, lesion left out; errors are |psi(T(x)) - x|, without inversion.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from regrowth.engines.choice import registrar
from regrowth.engines.itk import field_from_itk, image_to_itk, matrix_from_itk
from regrowth.phantom import PhantomParameters, SyntheticPatient, icbm_template, synthetic_patient
from regrowth.registration import RegistrationParameters, align_exams
from regrowth.registration.similarity import dice
from regrowth.space import AffineMap, DisplacementMap, Transform, distance_to_mm, resample_labels

THREADS = 2
PEERS = {"SyN": "ANTs SyN default (no mask)", "antsRegistrationSyNQuick[s]": "ANTs SyNQuick[s] (no mask)"}
COLUMNS = ("CPU s", "wall s", "far mean", "far p95", "near mean", "near p95", "Dice", "outward p95 error")


def ours(engine: str, kind: str) -> Callable[[SyntheticPatient], Transform]:
    def run(patient: SyntheticPatient) -> Transform:
        base, follow = patient.exams
        found = align_exams(
            base.images["T1wce"],
            follow.images["T1wce"],
            base.segmentation.mask("lesion"),
            follow.segmentation.mask("lesion"),
            registrar(engine),  # type: ignore[arg-type]
            RegistrationParameters(kind=kind, inverse_consistency=False),  # type: ignore[arg-type]
            threads=THREADS,
        )
        return found.final

    return run


def theirs(preset: str) -> Callable[[SyntheticPatient], Transform]:
    def run(patient: SyntheticPatient) -> Transform:
        import SimpleITK as sitk

        with tempfile.TemporaryDirectory() as name:
            for file, exam in zip(("fixed", "moving"), patient.exams, strict=True):
                image = exam.images["T1wce"]
                sitk.WriteImage(image_to_itk(image.data, image.grid.affine), f"{name}/{file}.nii.gz")
            env = os.environ | {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(THREADS), "ANTS_RANDOM_SEED": "1"}
            command = [sys.executable, __file__, "--peer", preset, name]
            subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
            field = field_from_itk(sitk.ReadImage(f"{name}/out_1Warp.nii.gz"))
            matrix = matrix_from_itk(sitk.ReadTransform(f"{name}/out_0GenericAffine.mat"))
        return Transform((DisplacementMap(field, patient.exams[0].images["T1wce"].grid), AffineMap(matrix)))

    return run


def peer(preset: str, folder: str) -> None:
    import ants

    fixed, moving = (ants.image_read(f"{folder}/{name}.nii.gz") for name in ("fixed", "moving"))
    ants.registration(fixed, moving, type_of_transform=preset, outprefix=f"{folder}/out_")


def score(patient: SyntheticPatient, transform: Transform) -> list[float]:
    base, follow = patient.exams
    grid = base.segmentation.grid
    lesion = base.segmentation.mask("lesion")
    distance = distance_to_mm(lesion, grid)
    out = []
    for where in (base.brain & (distance > 10), base.brain & ~lesion & (distance <= 10)):
        index = np.argwhere(where)
        error = patient.true_error_mm(transform, grid.world(index[:: max(len(index) // 50_000, 1)]))
        out += [float(error.mean()), float(np.percentile(error, 95))]
    mapped = resample_labels(follow.segmentation, grid, transform).mask("CE_core")
    out.append(dice(mapped, patient.recurrence_in_baseline.mask("CE_core")))
    outward = distance_to_mm(base.segmentation.mask("CE_core"), grid)[mapped]
    reach = float(np.percentile(outward, 95)) if outward.size else float("nan")
    out.append(abs(reach - patient.recurrence.outward_p95_mm))
    return out


def cpu_s() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in uses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spacing", type=float, default=1.0, help="voxel spacing in mm")
    parser.add_argument("--patients", type=int, default=1, help="number of synthetic patients; the table gives their mean")
    parser.add_argument("--without-ants", action="store_true", help="leave the ANTs presets out")
    parser.add_argument("--peer", nargs=2, metavar=("PRESET", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(*options.peer)
        return
    methods = {
        "headers as they are": lambda patient: Transform(),
        "greedy rigid": ours("greedy", "rigid"),
        "greedy deformable (default)": ours("greedy", "deformable"),
        "SimpleITK deformable": ours("sitk", "deformable"),
    }
    if not options.without_ants:
        methods |= {name: theirs(preset) for preset, name in PEERS.items()}
    template = icbm_template(options.spacing)
    parameters = PhantomParameters(spacing_mm=options.spacing)
    patients = [synthetic_patient(k, parameters, template) for k in range(options.patients)]
    print(f"{options.patients} synthetic patient(s) at {options.spacing:g} mm, {THREADS} threads; errors in mm", flush=True)
    print("| method | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
    for name, method in methods.items():
        rows = []
        for patient in patients:
            cpu, wall = cpu_s(), time.perf_counter()
            found = method(patient)
            rows.append([cpu_s() - cpu, time.perf_counter() - wall, *score(patient, found)])
        mean = np.mean(rows, axis=0)
        print(
            f"| {name} | " + " | ".join(f"{v:.1f}" for v in mean[:2]) + " | " + " | ".join(f"{v:.2f}" for v in mean[2:]) + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
