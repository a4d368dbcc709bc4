"""The step that finds white matter, grey matter and fluid, in runs of its own few steps."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import regrowth
from regrowth.io.nifti import read_image, read_labels
from regrowth.io.tables import read_json
from regrowth.labels import label_scheme
from regrowth.phantom import PhantomParameters
from regrowth.phantom.patient import synthetic_patient
from regrowth.phantom.template import icbm_template
from regrowth.space import Transform, require_same_grid
from regrowth.workflow.job import Job, Skip
from regrowth.workflow.run import open_study
from regrowth.workflow.steps.tissue import STEP, tissue_paths
from tests.workflow.copies import copy_patient, write_parcels

STEPS = ("coregister", "brain", "tumour", "parcellate", "tissue")
SCHEME = label_scheme("brats-2024-post")


def run_steps(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, participant: str) -> regrowth.workflow.run.RunResult:
    monkeypatch.setattr("regrowth.workflow.run.PARTICIPANT_STEPS", STEPS)
    return regrowth.run(data, out, derivatives=["truth"], participants=[participant], levels=["participant"], only_steps=STEPS)


@pytest.fixture(scope="module")
def found(small_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of patient 01 by the embedded template."""
    out = tmp_path_factory.mktemp("tissue") / "out"
    with pytest.MonkeyPatch.context() as patch:
        result = run_steps(small_cohort, out, patch, "01")
    assert not result.failures, [o.message for o in result.failures]
    return out


def maps_of(data: Path, out: Path, label: str) -> dict[str, Path]:
    study = open_study(data, out, derivatives=["truth"], participants=[label])
    return tissue_paths(study, study.cohort.patients[0])


def test_maps_lie_on_the_baseline_image_and_fill_the_brain(small_cohort, found):
    paths = maps_of(small_cohort, found, "01")
    assert [p.name for p in paths.values()] == [
        f"sub-01_ses-preop_space-T1wce_label-{label}_probseg.nii.gz" for label in ("WM", "GM", "CSF")
    ]
    maps = {name: read_image(path) for name, path in paths.items()}
    anat = found / "sub-01" / "ses-preop" / "anat"
    brain = read_image(anat / "sub-01_ses-preop_space-T1wce_label-brain_mask.nii.gz")
    lesion = read_labels(anat / "sub-01_ses-preop_space-T1wce_seg-tumour_dseg.nii.gz", SCHEME).mask("lesion")
    for image in maps.values():
        require_same_grid(image.grid, brain.grid)
    total = sum(m.data for m in maps.values())
    inside = (brain.data > 0) | lesion
    assert np.allclose(total[inside], 1, atol=1e-4)
    assert (total[~inside] == 0).all()
    assert ((maps["white"].data + maps["grey"].data)[lesion] > 0.999).all()


def test_maps_agree_with_the_scene_that_was_pictured(small_cohort, found):
    maps = {name: read_image(path) for name, path in maps_of(small_cohort, found, "01").items()}
    parameters = PhantomParameters(patients=2, spacing_mm=4.0, lattice_mm=4.0, seed=3)
    patient = synthetic_patient(0, parameters, icbm_template(4.0))
    exam = patient.exams[0]
    require_same_grid(exam.segmentation.grid, maps["white"].grid)
    points = Transform().map_grid(exam.segmentation.grid).reshape(-1, 3)
    truth = patient.scene.tissue(patient.scene.points_in_baseline(0, points))
    healthy = exam.brain & ~exam.segmentation.mask("lesion")
    for name, share in (("white", truth.wm), ("grey", truth.gm)):
        a, b = maps[name].data[healthy] > 0.5, share.reshape(exam.brain.shape)[healthy] > 0.5
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.8, name


def test_sidecar_says_how_the_maps_were_made(small_cohort, found):
    for label, path in zip(("WM", "GM", "CSF"), maps_of(small_cohort, found, "01").values(), strict=True):
        facts = read_json(path.with_name(path.name.replace(".nii.gz", ".json")))
        assert facts["Label"] == label
        assert facts["Method"] == "template and intensities"
        assert facts["IsFallback"] is False
        assert facts["Reason"]
        assert facts["Quality"]["separation_grey_white"] > 1
        assert facts["Quality"]["covered_share"] > 0.95
        assert any("xfm" in s for s in facts["Sources"])


def test_second_run_keeps_the_maps(small_cohort, found, monkeypatch):
    result = run_steps(small_cohort, found, monkeypatch, "01")
    assert {o.status for o in result.outcomes.values()} == {"kept"}


def test_map_of_freesurfer_ids_is_preferred_and_its_lesion_is_filled(small_cohort, tmp_path, monkeypatch):
    data = tmp_path / "bids"
    shutil.copytree(small_cohort, data, ignore=lambda _, names: [n for n in names if n.startswith("sub-")])
    case = copy_patient(small_cohort, data, "07")
    labels = write_parcels(case)  # cortex all over the brain
    nii = nib.load(labels)
    ids = np.asarray(nii.dataobj).copy()
    lesion = np.asarray(nib.load(case.mask("preop")).dataobj) > 0
    ids[:, :, : ids.shape[2] // 2][ids[:, :, : ids.shape[2] // 2] > 0] = 2  # white matter below
    some_lesion = lesion & (np.cumsum(lesion).reshape(lesion.shape) % 2 == 0)
    ids[some_lesion] = 4  # a ventricle is what a tool takes necrosis for
    nib.save(nib.Nifti1Image(ids.astype(np.int32), nii.affine), labels)
    out = tmp_path / "out"
    result = run_steps(data, out, monkeypatch, "07")
    assert not result.failures, [o.message for o in result.failures]
    maps = {name: read_image(path).data for name, path in maps_of(data, out, "07").items()}
    healthy = (ids > 0) & ~lesion
    assert np.array_equal(maps["white"][healthy] == 1, (ids == 2)[healthy])
    assert np.array_equal(maps["grey"][healthy] == 1, (ids > 1000)[healthy])
    assert (maps["white"][some_lesion] == 1).all()
    path = maps_of(data, out, "07")["white"]
    assert read_json(path.with_name(path.name.replace(".nii.gz", ".json")))["Method"] == "labels"


def test_patient_without_a_map_of_regions_is_skipped_for_the_same_reason(small_cohort, tmp_path):
    parameters = regrowth.workflow.study.RunParameters(anatomy=regrowth.anatomy.AnatomyParameters(parcellator="labelmap"))
    study = open_study(small_cohort, tmp_path / "out", derivatives=["truth"], parameters=parameters)
    (planned,) = STEP.plan(study, study.cohort.patients[0])
    assert isinstance(planned, Skip)
    assert "no map of regions" in planned.reason


def test_job_waits_for_regions_and_names_its_source(small_cohort, tmp_path):
    study = open_study(small_cohort, tmp_path / "out", derivatives=["truth"])
    patient = study.cohort.patients[0]
    (job,) = STEP.plan(study, patient)
    assert isinstance(job, Job)
    assert job.inputs["to template"] == study.to_template(patient)
    assert job.settings["source"] == "template"
    assert job.outputs == tissue_paths(study, patient)


def test_without_growth_in_space_nothing_needs_the_tissue(small_cohort, tmp_path):
    parameters = regrowth.RunParameters(growth=regrowth.GrowthParameters(space=False))
    study = open_study(small_cohort, tmp_path / "out", derivatives=["truth"], parameters=parameters)
    (skip,) = STEP.plan(study, study.cohort.patients[0])
    assert skip.reason == "growth in space was switched off"
