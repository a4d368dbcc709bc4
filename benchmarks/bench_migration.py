"""How far measured migration lies from the truth of the phantom, under rigid and deformable registration.

``python benchmarks/bench_migration.py [--spacing 1.0] [--patients 5]``
"""

from __future__ import annotations

import argparse

import numpy as np

from regrowth.engines.choice import registrar
from regrowth.phantom import PhantomParameters, icbm_template, synthetic_patient
from regrowth.recurrence import MigrationDistance, migration
from regrowth.registration import RegistrationParameters, align_exams
from regrowth.space import LabelMap, resample_labels

SHOWN = {
    "outward_p95_mm": "outward p95",
    "outward_max_mm": "outward max",
    "hd95_mesh_mm": "HD95 mesh",
    "assd_mm": "ASSD",
    "shift_mm": "shift",
    "within_20mm": "within 20 mm",
}


def measured(primary: LabelMap, recurrence: LabelMap, name: str) -> MigrationDistance:
    return migration(primary.mask("CE_core"), recurrence.mask("CE_core"), primary.grid, region="CE_core", transform=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spacing", type=float, default=1.0, help="voxel spacing in mm")
    parser.add_argument("--patients", type=int, default=5)
    options = parser.parse_args()
    parameters, template = PhantomParameters(spacing_mm=options.spacing), icbm_template(options.spacing)
    errors: dict[str, list[list[float]]] = {"rigid": [], "deformable": []}
    print(f"CE core of {options.patients} synthetic patients at {options.spacing:g} mm; mm, or shares")
    print("| patient | registration | " + " | ".join(SHOWN.values()) + " | Dice with the truth | class |")
    print("|" + "---|" * (len(SHOWN) + 4))
    for index in range(options.patients):
        patient = synthetic_patient(index, parameters, template)
        base, follow = patient.exams
        found = align_exams(
            base.images["T1wce"],
            follow.images["T1wce"],
            base.segmentation.mask("lesion"),
            follow.segmentation.mask("lesion"),
            registrar("greedy"),
            RegistrationParameters(inverse_consistency=False),
            threads=2,
        )
        truth = measured(base.segmentation, patient.recurrence_in_baseline, "truth")
        rows = {"truth": (truth, 1.0)}
        for kind, transform in (("rigid", found.rigid), ("deformable", found.final)):
            mapped = resample_labels(follow.segmentation, base.segmentation.grid, transform)
            a, b = mapped.mask("CE_core"), patient.recurrence_in_baseline.mask("CE_core")
            rows[kind] = (measured(base.segmentation, mapped, kind), 2 * (a & b).sum() / (a.sum() + b.sum()))
            errors[kind].append([abs(getattr(rows[kind][0], n, np.nan) - getattr(truth, n, np.nan)) for n in list(SHOWN)[:5]])
        for kind, (m, overlap) in rows.items():
            row = m.as_row()
            cells = [f"{row[n]:.2f}" for n in SHOWN]
            print(f"| {patient.label} | {kind} | " + " | ".join(cells) + f" | {overlap:.2f} | {m.pattern} |", flush=True)
    for kind, values in errors.items():
        mean, worst = np.mean(values, axis=0), np.max(values, axis=0)
        cells = [f"{a:.2f} ({b:.2f})" for a, b in zip(mean, worst, strict=True)]
        print(f"| all | error {kind}: mean (worst) | " + " | ".join(cells) + " | | | |")


if __name__ == "__main__":
    main()
