"""How a synthetic cohort is written: a BIDS data set of scans, and the truth as a derivative beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from regrowth.errors import OutputError
from regrowth.io.nifti import write_array, write_image, write_labels
from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.patient import SyntheticExam, SyntheticPatient, synthetic_patient
from regrowth.phantom.survival import SurvivalModel
from regrowth.phantom.template import icbm_template
from regrowth.space import LabelMap, Transform

__all__ = ["write_phantom"]

_SUFFIX = {"T1wce": "ce-gadolinium_T1w", "T1w": "T1w", "T2w": "T2w", "FLAIR": "FLAIR"}
_BIDS_VERSION = "1.10.0"
_REGIONS = ("CE_core", "ET", "NCR", "NE", "RC", "WT", "lesion")

_PARTICIPANTS: Mapping[str, Mapping[str, object]] = {
    "age": {"Description": "age at the first exam", "Units": "years"},
    "sex": {"Description": "sex", "Levels": {"F": "female", "M": "male"}},
    "mgmt": {
        "Description": "methylation of the MGMT promoter",
        "Levels": {"methylated": "methylated", "unmethylated": "not methylated"},
    },
    "idh": {"Description": "IDH status", "Levels": {"wildtype": "IDH wild type", "mutant": "IDH mutant"}},
    "eor": {"Description": "extent of resection", "Levels": {"GTR": "gross total", "STR": "subtotal"}},
    "os_days": {"Description": "overall survival, or time under observation, from the first exam", "Units": "days"},
    "os_event": {"Description": "death was observed", "Levels": {"0": "censored", "1": "died"}},
    "ttp_days": {"Description": "time to progression, or time under observation, from the first exam", "Units": "days"},
    "ttp_event": {"Description": "progression was observed", "Levels": {"0": "censored", "1": "progressed"}},
}

_README = """# Synthetic glioma patients

No person was scanned for this data set. Every image is computed from the ICBM 152 average brain (nonlinear, 2009) and
random numbers: two exams per patient, before surgery (`ses-preop`) and at progression (`ses-progression`), skull-stripped,
background 0.

`derivatives/truth` holds what is true about them: segmentations, brain masks, the transform between the exams, landmark pairs,
the motion between sequences, the class of the recurrence (local, marginal, distant) and the survival model.

Patient k depends on the seed ({seed}) and on k alone. Voxels are {spacing:g} mm wide.
"""

_TRUTH_README = """# Truth of the synthetic glioma patients

- `*_space-T1wce_seg-tumour_dseg.nii.gz`: true labels on the grid of the contrast-enhanced T1w (scheme brats-2024-post:
  1 NETC, 2 SNFH, 3 ET, 4 RC).
- `*_space-T1wce_label-brain_mask.nii.gz`: true brain mask on the same grid.
- `ses-preop/anat/*_space-T1wce_desc-recurrence_dseg.nii.gz`: labels of the follow-up on the grid of the baseline T1wce,
  moved by the true transform; the recurrence is its CE core (labels 1 and 3).
- `*_from-sesprogression_to-sespreop_mode-image_xfm.nii.gz`: true transform as a displacement field in the convention of ITK:
  sampled on the baseline T1wce, in LPS mm, rounded to 1/128 mm. It maps baseline points to follow-up points, and so moves a
  follow-up image onto the baseline.
- `sub-*_landmarks.tsv`: point pairs in healthy brain in RAS mm, exact to 0.001 mm.
- `sub-*_truth.json`: recurrence, migration, volumes, drawn parameters and motion. Matrices are 4x4, RAS mm, and map points of
  the T1wce to the sequence.
- `survival.json`: the survival model with its coefficients.
"""


def write_phantom(out: Path, parameters: PhantomParameters, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write a synthetic cohort with its truth.

    Parameters
    ----------
    out
        Folder to make, which must be empty or absent.
    parameters
        Size, resolution and image quality. Equal parameters give equal bytes.
    progress
        Called with the number of patients written and the number wanted, after each patient.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    OutputError
        If `out` holds something already or cannot be written.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: is not an empty folder; name another one or remove it")
    model = SurvivalModel()
    template = icbm_template(parameters.spacing_mm)
    rows = []
    try:
        _write_heads(out, parameters, model)
        for index in range(parameters.patients):
            patient = synthetic_patient(index, parameters, template, model)
            _write_scans(out, patient)
            _write_truth(out / "derivatives" / "truth", patient, parameters)
            rows.append({"participant_id": f"sub-{patient.label}", **patient.clinical})
            # Rewritten after each patient, so that a run that was stopped leaves a table that fits its folders.
            _write_tsv(out / "participants.tsv", rows)
            if progress is not None:
                progress(index + 1, parameters.patients)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error}); check the space and the rights of the folder") from error
    return out


def _write_heads(out: Path, parameters: PhantomParameters, model: SurvivalModel) -> None:
    by = [{"Name": "regrowth", "Version": version("regrowth"), "Description": "synthetic patients (regrowth phantom)"}]
    common = {"BIDSVersion": _BIDS_VERSION, "License": "CC0", "Synthetic": True, "GeneratedBy": by}
    settings = {"PhantomParameters": parameters.as_dict()}
    raw = {"Name": "Synthetic glioma patients with known truth", "DatasetType": "raw", **common, **settings}
    _write_json(out / "dataset_description.json", raw)
    truth = {"Name": "Truth of the synthetic glioma patients", "DatasetType": "derivative", **common}
    links = {"DatasetLinks": {"raw": "../.."}}
    folder = out / "derivatives" / "truth"
    _write_json(folder / "dataset_description.json", {**truth, **links, **settings})
    _write_json(folder / "survival.json", model.as_dict())
    _write_json(out / "participants.json", {"participant_id": {"Description": "label of the patient"}, **_PARTICIPANTS})
    (out / "README.md").write_text(_README.format(seed=parameters.seed, spacing=parameters.spacing_mm), encoding="utf-8")
    (folder / "README.md").write_text(_TRUTH_README, encoding="utf-8")
    (folder / ".bidsignore").write_text("*_xfm.*\n*_landmarks.*\n*_truth.json\nsurvival.json\n", encoding="utf-8")


def _write_scans(out: Path, patient: SyntheticPatient) -> None:
    name = f"sub-{patient.label}"
    rows = [{"session_id": f"ses-{e.label}", "days_from_baseline": e.day, "phase": e.phase} for e in patient.exams]
    _write_tsv(out / name / f"{name}_sessions.tsv", rows)
    for exam in patient.exams:
        for sequence, image in exam.images.items():
            path = out / name / f"ses-{exam.label}" / "anat" / f"{name}_ses-{exam.label}_{_SUFFIX[sequence]}.nii.gz"
            write_image(image, path, np.int16)
            _write_json(_sidecar(path), _scan_facts(sequence))


def _scan_facts(sequence: str) -> dict[str, object]:
    facts: dict[str, object] = {"Synthetic": True, "Modality": "MR", "SkullStripped": True}
    if sequence == "T1wce":
        facts["ContrastBolusIngredient"] = "GADOLINIUM"
    return facts


def _write_truth(folder: Path, patient: SyntheticPatient, parameters: PhantomParameters) -> None:
    name = f"sub-{patient.label}"
    for exam in patient.exams:
        stem = folder / name / f"ses-{exam.label}" / "anat" / f"{name}_ses-{exam.label}_space-T1wce"
        _write_labels(exam.segmentation, stem.with_name(f"{stem.name}_seg-tumour_dseg.nii.gz"), _source(name, exam))
        path = stem.with_name(f"{stem.name}_label-brain_mask.nii.gz")
        write_array(exam.brain.astype(np.uint8), exam.segmentation.grid.affine, path)
        _write_json(_sidecar(path), {"Synthetic": True, "Type": "Brain", "Sources": [_source(name, exam)]})
    baseline, followup = patient.exams
    path = folder / name / "ses-preop" / "anat" / f"{name}_ses-preop_space-T1wce_desc-recurrence_dseg.nii.gz"
    _write_labels(patient.recurrence_in_baseline, path, _source(name, followup))
    path = folder / name / "ses-progression" / "anat"
    path /= f"{name}_ses-progression_from-sesprogression_to-sespreop_mode-image_xfm.nii.gz"
    _write_displacement(patient.followup_to_baseline, baseline.segmentation, path)
    landmarks = patient.landmarks
    table = np.column_stack([landmarks.baseline_mm, landmarks.followup_mm, landmarks.lesion_distance_mm])
    columns = [f"{exam}_{axis}_mm" for exam in ("baseline", "followup") for axis in "xyz"] + ["lesion_distance_mm"]
    rows = [dict(zip(columns, (f"{v:.3f}" for v in row), strict=True)) for row in table]
    _write_tsv(folder / name / f"{name}_landmarks.tsv", rows)
    _write_json(folder / name / f"{name}_truth.json", _truth_facts(patient, parameters))


def _truth_facts(patient: SyntheticPatient, parameters: PhantomParameters) -> dict[str, object]:
    volumes = {
        e.label: {f"{region}_ml": e.segmentation.volume_ml(region) for region in _REGIONS if e.segmentation.has(region)}
        for e in patient.exams
    }
    return {
        "Synthetic": True,
        "LabelScheme": patient.exams[0].segmentation.scheme.name,
        "recurrence_class": patient.recurrence_class,
        "recurrence": {
            **patient.recurrence.as_dict(),
            "definition": (
                "CE core of the follow-up, moved to the baseline T1wce by the true transform, against the baseline CE core; "
                "outward: distance of voxel centres to the nearest voxel centre of the core, 0 inside; local: share_in_core "
                "at least 0.5, marginal: gap at most 20 mm, else distant"
            ),
        },
        "volumes": volumes,
        "motion_T1wce_to_sequence": {
            e.label: {sequence: motion.matrix.tolist() for sequence, motion in e.motions.items()} for e in patient.exams
        },
        "scene": patient.scene.facts,
        "clinical": dict(patient.clinical),
        "parameters": parameters.as_dict(),
    }


def _write_labels(labels: LabelMap, path: Path, source: str) -> None:
    write_labels(labels, path)
    facts = {"Synthetic": True, "LabelScheme": labels.scheme.name, "Labels": dict(labels.scheme.values), "Sources": [source]}
    _write_json(_sidecar(path), facts)


def _write_displacement(transform: Transform, on: LabelMap, path: Path) -> None:
    grid = on.grid
    field = np.empty((*grid.shape, 1, 3), np.float32)
    for start in range(0, grid.shape[0], 16):
        rows = slice(start, start + 16)
        step = transform.map_grid(grid, rows) - Transform().map_grid(grid, rows)
        # ITK counts x and y the other way round. Multiples of 1/128 mm compress well and are finer than 0.01 mm.
        field[rows, :, :, 0] = np.round(step * [-1, -1, 1] * 128) / 128
    write_array(field, grid.affine, path, intent="vector")
    facts = {
        "Synthetic": True,
        "Convention": "ITK displacement field: baseline point plus displacement is the follow-up point, LPS mm",
        "Moves": "an image of ses-progression onto the T1wce of ses-preop",
        "FixedImage": "ses-preop ce-gadolinium_T1w",
        "MovingImage": "ses-progression ce-gadolinium_T1w",
    }
    _write_json(_sidecar(path), facts)


def _source(name: str, exam: SyntheticExam) -> str:
    return f"bids:raw:{name}/ses-{exam.label}/anat/{name}_ses-{exam.label}_{_SUFFIX['T1wce']}.nii.gz"


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_tsv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(rows[0]), *("\t".join(str(v) for v in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
