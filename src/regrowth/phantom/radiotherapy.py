"""How a synthetic radiotherapy patient is written: DICOM as from a hospital, and the truth beside it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from regrowth.errors import OutputError
from regrowth.io.dicom_plan_writing import PlanTarget, PlanToWrite, write_registration, write_rtplan
from regrowth.io.dicom_study import DicomStudy, fix_uids
from regrowth.io.dicom_volume_writing import write_image_series, write_rtdose
from regrowth.io.rtstruct_writing import write_rtstruct
from regrowth.io.tables import write_json, write_text
from regrowth.io.transforms import write_transform
from regrowth.phantom.radiotherapy_cases import CASES
from regrowth.phantom.radiotherapy_patient import RadiotherapyPatient, synthetic_radiotherapy
from regrowth.radiotherapy import Structure
from regrowth.space import AffineMap

__all__ = ["write_radiotherapy_phantom"]

_PLANNED = date(2020, 3, 2)
_DAYS_TO_RELAPSE = 400
_BODY_PARTS = {"head_neck": "HEADNECK", "breast": "CHEST", "brain": "BRAIN"}
_README = """# Synthetic radiotherapy patient ({site})

No person was scanned. Everything is computed from simple bodies and random texture (case {case}, seed {seed}).

- `dicom/`: planning CT, relapse CT (same patient, other position, tissue deformed), structures of both, plans, doses, and the
  rigid part of the registration. Names of files tell nothing about their order.
- `truth/truth.json`: recurrences with their place, dose and classes, prescriptions, landmarks (RAS+ mm), the deformation.
- `truth/from-relapse_to-planning_mode-image_xfm.nii.gz`: true transform as ITK displacement field on the planning CT.
"""


def write_radiotherapy_phantom(out: Path, case: str, spacing_mm: float = 3.0, seed: int = 0) -> Path:
    """Write a radiotherapy phantom.

    Writing twice with the same arguments gives the same files.

    Parameters
    ----------
    out
        Folder, new or empty.
    case
        ``head_neck``, ``breast`` or ``brain``.
    spacing_mm
        Pixels of the planning CT, 1 to 5 mm.
    seed
        Of texture, noise and landmarks.

    Returns
    -------
    pathlib.Path
        The truth (JSON).

    Raises
    ------
    ParameterError
        If there is no such case, or the spacing is another.
    OutputError
        If the folder holds something, or cannot be written.
    """
    patient = synthetic_radiotherapy(case, spacing_mm, seed)
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: is no empty folder; name a new one")
    planning = _study(patient, "planning", _PLANNED)
    relapse = _study(patient, "relapse", _PLANNED + timedelta(days=_DAYS_TO_RELAPSE))
    try:
        uids = _write_dicom(patient, planning, relapse, out / "dicom")
        transform = patient.relapse_to_planning(patient.planning_grid())
        write_transform(transform, out / "truth" / "from-relapse_to-planning_mode-image_xfm.nii.gz")
        write_text(_README.format(site=patient.case.site, case=case, seed=seed), out / "README.md")
        # Last, so that a folder with a truth is a whole one.
        write_json(_truth(patient, uids), out / "truth" / "truth.json")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror}); free space or choose another folder") from error
    return out / "truth" / "truth.json"


def _study(patient: RadiotherapyPatient, name: str, day: date) -> DicomStudy:
    number = list(CASES).index(patient.case.name) + 1
    identifier = f"SYN-RT-{number}-{patient.seed}"
    seed = f"regrowth radiotherapy phantom {patient.case.name} {patient.spacing_mm:g} {patient.seed}"
    return DicomStudy(identifier, f"Phantom^{patient.case.name}", seed, name, name, day, _BODY_PARTS[patient.case.name])


def _write_dicom(patient: RadiotherapyPatient, planning: DicomStudy, relapse: DicomStudy, folder: Path) -> dict[str, object]:
    uids: dict[str, object] = {"planning_frame": planning.frame_uid, "relapse_frame": relapse.frame_uid}
    before, after = folder / "planning", folder / "relapse"
    uids["planning_series"] = write_image_series(patient.planning_ct(), before / "ct", planning, "Planning CT")
    uids["relapse_series"] = write_image_series(patient.relapse_ct(), after / "ct", relapse, "Relapse CT")
    drawn = patient.planning_structures(planning.frame_uid)
    structure_uid = _write_structures(drawn, before / "ct", before / "structures.dcm", planning)
    uids["planning_structures"] = structure_uid
    uids["relapse_structures"] = _write_structures(
        patient.relapse_structures(relapse.frame_uid), after / "ct", after / "structures.dcm", relapse
    )
    numbers = patient.target_numbers()
    plans, doses = [], []
    for count, phase in enumerate(patient.case.phases, 1):
        targets = tuple(PlanTarget(name, numbers[name], gy) for name, gy in phase.doses_gy)
        isocentre = patient.case.gross.centre_mm
        plan = PlanToWrite(phase.label, phase.n_fractions, targets, phase.gantry_deg, isocentre, structure_uid)
        plans.append(write_rtplan(plan, before / f"plan_{count}.dcm", planning))
        dose = patient.dose(phase)
        doses.append(write_rtdose(dose, before / f"dose_{count}.dcm", planning, phase.label, plan_uid=plans[-1]))
    uids["plans"], uids["doses"] = plans, doses
    back = AffineMap(np.linalg.inv(patient.rigid.matrix))
    uids["registration"] = write_registration(
        back, before / "registration.dcm", planning, relapse.frame_uid, "rigid part, relapse to planning"
    )
    return uids


def _write_structures(structures: tuple[Structure, ...], series: Path, out: Path, study: DicomStudy) -> str:
    at = datetime(study.study_date.year, study.study_date.month, study.study_date.day, 12)
    write_rtstruct(structures, series, out, label=study.study[:12], generation="MANUAL", synthetic=True, written_at=at)
    return fix_uids(out, study, f"structures {study.study}")


def _truth(patient: RadiotherapyPatient, uids: dict[str, object]) -> dict[str, object]:
    case = patient.case
    planning, relapse = patient.landmarks()
    intended = {r.solid.name: {"origin": r.origin, "coverage": r.coverage} for r in case.recurrences}
    gross_and_targets = (case.gross, *(t.solid for t in case.targets))
    return {
        "synthetic": True,
        "case": case.name,
        "site": case.site,
        "spacing_mm": patient.spacing_mm,
        "seed": patient.seed,
        "days_to_relapse": _DAYS_TO_RELAPSE,
        "coordinates": "RAS+ mm",
        "uids": uids,
        "prescriptions_gy": {t.solid.name: t.prescription_gy for t in case.targets},
        "phases": [{"label": p.label, "n_fractions": p.n_fractions, "doses_gy": dict(p.doses_gy)} for p in case.phases],
        "volumes_ml": {s.name: s.volume_ml for s in gross_and_targets},
        "controls": list(case.controls),
        "recurrences": [{**asdict(r), "intended": intended[r.name]} for r in patient.recurrence_truth()],
        "planning_to_relapse": {
            "text": "relapse = rigid(planning + sum of shift * exp(-|planning - centre|^2 / (2 sigma^2)))",
            "rigid": patient.rigid.matrix.tolist(),
            "bumps": [asdict(b) for b in case.bumps],
        },
        "landmarks": {"planning_mm": planning.tolist(), "relapse_mm": relapse.tolist()},
    }
