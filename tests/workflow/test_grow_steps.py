"""Growth in space from files to files: maps, plans, scores and corrected maps, on tumours whose growth is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from regrowth.clinical import Patient, Session
from regrowth.growth.kpp import KppParameters
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.simulate import seed_density, simulate_growth
from regrowth.growth.spatial_case import SPATIAL_BASELINES
from regrowth.growth.tissue import TissueMap, tissue_map
from regrowth.io.bids import Cohort
from regrowth.io.nifti import read_image, write_image
from regrowth.io.tables import read_json, read_tsv
from regrowth.report.stored import section_from
from regrowth.space import Image
from regrowth.workflow.execute import Place, execute, step_named
from regrowth.workflow.job import Job, Outcome, Skip
from regrowth.workflow.steps import grow
from regrowth.workflow.steps.tissue import tissue_paths
from regrowth.workflow.study import RunParameters, Study, space_of
from tests.conftest import make_grid

QUICK = GrowthParameters(space_draws=20, members=12, barriers=False)
SCHEME = "brats-2024-post"
NECROSIS, OEDEMA, ENHANCING, CAVITY = 1, 2, 3, 4
OFFSETS = {"a": (0.0, 0.0, 0.0), "b": (20.0, -12.0, 8.0), "c": (12.0, 20.0, -8.0)}


def head() -> TissueMap:
    grid = make_grid("LPS", (4.0, 4.0, 4.0), 120.0)
    x = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)) - grid.world((np.array(grid.shape) - 1) / 2)
    brain = np.linalg.norm(x, axis=-1) < 56
    white = brain & (x[..., 0] > -10)
    return tissue_map(white, brain & ~white, grid)


def grown(offset: tuple[float, float, float], days: list[float]) -> list[np.ndarray]:
    """Labels of a tumour on some days after its first cells."""
    tissue = head()
    grid = tissue.grid
    origin = grid.world((np.array(grid.shape) - 1) / 2) + np.array(offset)
    start = Image(seed_density(tissue, tuple(origin)), grid, "1")
    found = simulate_growth(tissue, start, KppParameters(0.6, 0.04), days)
    out = []
    for n in range(len(days)):
        labels = np.where(found.mask(0.2, n), OEDEMA, 0).astype(np.uint8)
        labels[found.mask(0.6, n)] = ENHANCING
        out.append(labels)
    return out


@dataclass(frozen=True)
class Files:
    """A data set of which only the results of the earlier steps exist."""

    root: Path

    def session(self, label: str, name: str, day: int, phase: str = "followup") -> Session:
        folder = self.root / "bids" / f"sub-{label}" / f"ses-{name}" / "anat"
        image = folder / f"sub-{label}_ses-{name}_ce-gadolinium_T1w.nii.gz"
        return Session(name, day, phase, {"T1wce": image}, image, SCHEME, is_synthetic=True)

    def study(self, *patients: Patient, growth: GrowthParameters = QUICK) -> Study:
        return Study(self.root / "bids", self.root / "out", Cohort(patients, ()), RunParameters(growth=growth))

    def write(self, patient: Patient, labels: list[np.ndarray]) -> Patient:
        """Write what the steps before would have left; labels in the order of the exams."""
        study, tissue = self.study(patient), head()
        grid, baseline = tissue.grid, patient.baseline

        def save(path: Path, data: np.ndarray, kind: type) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(Image(data.astype(kind), grid, "1"), path, kind)

        for name, path in tissue_paths(study, patient).items():
            save(path, {"white": tissue.white, "grey": tissue.grey, "csf": 0 * tissue.grey}[name], np.float32)
        save(study.brain_mask(patient, baseline), tissue.matter, np.uint8)
        for session, data in zip(patient.sessions, labels, strict=True):
            save(session.images["T1wce"], 100 * tissue.matter + 50.0 * (data > 0), np.float32)
            save(study.segmentation(patient, session), data, np.uint8)
            if session is not baseline:
                save(study.mapped(patient, session, "dseg", study.kinds[-1], seg="tumour"), data, np.uint8)
        return patient

    def run(self, study: Study, patient: Patient, step: str = "grow") -> tuple[Job, Outcome]:
        (job,) = step_named(step).plan(study, patient)
        assert isinstance(job, Job), job.reason
        outcome = execute(job, Place(study.bids_dir, study.out_dir, self.root / "work", "0"), {})
        return job, outcome

    def row(self, study: Study, patient: Patient) -> dict[str, str]:
        (row,) = read_tsv(study.patient_path(patient, "growth", ".tsv"))
        return row


@dataclass(frozen=True)
class Done:
    files: Files
    study: Study
    jobs: dict[str, Job]

    def patient(self, label: str) -> Patient:
        return next(p for p in self.study.cohort.patients if p.label == label)

    def row(self, label: str) -> dict[str, str]:
        return self.files.row(self.study, self.patient(label))

    def table(self, label: str, name: str) -> list[dict[str, str]]:
        return read_tsv(self.study.patient_path(self.patient(label), name, ".tsv"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Three patients with a later exam, one without, one without a segmentation; both steps have run."""
    files = Files(tmp_path_factory.mktemp("grow"))
    patients = []
    for label, offset in OFFSETS.items():
        sessions = (files.session(label, "one", 10), files.session(label, "two", 60))
        patients.append(files.write(Patient(label, sessions), grown(offset, [170, 210])))
    single = Patient("d", (files.session("d", "one", 0),))
    patients.append(files.write(single, grown(OFFSETS["a"], [170])))
    bare = Patient("e", (replace(files.session("e", "one", 0), segmentation=None),))
    study = files.study(*patients, bare)
    jobs = {}
    for patient in patients:
        jobs[patient.label], outcome = files.run(study, patient)
        assert outcome.is_ok, outcome.message
    jobs["group"], outcome = files.run(study, bare, "growth")
    assert outcome.is_ok, outcome.message
    return Done(files, study, jobs)


def test_the_row_of_a_patient_tells_fit_map_and_plans(done):
    row = done.row("a")
    assert (row["baseline"], row["target"], row["first_day"], row["day"]) == ("ses-one", "ses-two", "10", "60")
    assert row["stratum"] == "growing"
    assert "prior" in row["reason"]  # one exam does not tell the speed
    for name in ("front_speed_mm_per_day", "age_days", "map_median_ml", "growth_plan_ml", "growth_coverage"):
        assert float(row[name]) > 0
    assert float(row["growth_plan_ml"]) == pytest.approx(float(row["margin_plan_ml"]), rel=1e-5)
    origin = np.array([float(row[f"origin_{axis}_mm"]) for axis in "xyz"])
    grid = head().grid
    assert np.linalg.norm(origin - grid.world((np.array(grid.shape) - 1) / 2)) < 8
    assert not [name for name in row if "interval" in name or name.endswith(("_low", "_high"))]


def test_map_and_plans_are_written_with_what_they_are(done):
    patient = done.patient("a")
    path = grow.map_path(done.study, patient)
    image = read_image(path)
    assert 0 <= image.data.min() < image.data.max() <= 1
    facts = read_json(path.with_name(path.name.replace(".nii.gz", ".json")))
    assert (facts["Day"], facts["Members"], facts["Synthetic"]) == (60.0, 12, True)
    assert "not calibrated" in str(facts["Values"])
    masks = {}
    for label in ("planmargin", "plangrowth"):
        name = done.study.path(patient, patient.baseline, "mask", ".nii.gz", space=space_of(patient.baseline), label=label)
        masks[label] = read_image(name).data > 0
    assert masks["planmargin"].sum() == masks["plangrowth"].sum() > 0
    assert (masks["planmargin"] & masks["plangrowth"]).sum() > 0.5 * masks["planmargin"].sum()


def test_scores_hold_every_model_beside_its_baselines(done):
    scores = done.table("a", "growthscores")
    assert {r["model"] for r in scores} == {*SPATIAL_BASELINES, "growth model"}
    value = {(r["model"], r["measure"]): float(r["value"]) for r in scores}
    assert value["growth model", "dice"] > value["persistence", "dice"] + 0.1  # it grows, more slowly than this phantom
    assert value["growth model", "coverage"] == pytest.approx(float(done.row("a")["growth_coverage"]), rel=1e-5)


def test_the_levels_of_the_map_count_the_voxels_of_the_brain(done):
    levels = done.table("a", "growthmap")
    assert sum(int(r["n_voxels"]) for r in levels) == head().matter.sum()
    assert sum(int(r["n_tumour"]) for r in levels) > 0


def test_without_a_later_exam_the_map_is_for_the_horizon_and_nothing_is_scored(done):
    row = done.row("d")
    assert (row["target"], row["day"]) == ("n/a", "90")
    assert "no later exam" in row["notes"]
    assert done.table("d", "growthscores") == []
    assert done.table("d", "growthmap") == []
    assert grow.map_path(done.study, done.patient("d")).is_file()


def test_the_page_shows_map_plans_and_scores_and_marks_them_as_synthetic(done):
    for label, figures in (("a", 3), ("d", 2)):
        (values,) = read_json(done.study.sections(done.patient(label), "growth"))["sections"]
        section = section_from(values)
        assert section.anchor == "growth"
        assert len(section.figures) == figures
    (values,) = read_json(done.study.sections(done.patient("a"), "growth"))["sections"]
    section = section_from(values)
    assert "baseline" in section.text
    assert "interval" not in section.text
    assert [t.title for t in section.tables][-1] == "The model beside its baselines"
    (values,) = read_json(done.study.sections(done.patient("d"), "growth"))["sections"]
    assert "nothing is scored" in section_from(values).text


def test_the_group_compares_the_model_with_its_baselines_and_says_that_patients_are_few(done):
    folder = done.study.out_dir / "group"
    assert [r["participant_id"] for r in read_tsv(folder / "growth.tsv")] == ["sub-a", "sub-b", "sub-c", "sub-d"]
    card = read_tsv(folder / "growth" / "scorecard.tsv")
    assert {r["n"] for r in card if (r["measure"], r["stratum"]) == ("dice", "all")} == {"3"}
    verdicts = [r["verdict"] for r in read_tsv(folder / "growth" / "comparisons.tsv")]
    assert all("too few" in v or "not compared" in v for v in verdicts)
    (plans,) = read_tsv(folder / "growth" / "plans.tsv")
    assert plans["n"] == "3"
    (values,) = read_json(folder / "sections" / "growth.json")["sections"]
    section = section_from(values)
    assert "4 of 4 patients could be fitted, 3 have a later exam" in section.text
    assert "3 patient(s) with values are too few to say" in section.text
    assert len(section.figures) == 2


def test_maps_are_corrected_by_the_other_patients_only(done):
    rows = {r["participant_id"]: r for r in read_tsv(done.study.out_dir / "group" / "growth" / "calibration.tsv")}
    assert [rows[f"sub-{x}"]["n_patients"] for x in "abcd"] == ["2", "2", "2", "3"]
    assert rows["sub-d"]["error_before"] == "n/a"
    patient = done.patient("a")
    path = grow.map_path(done.study, patient, "calibrated")
    raw, corrected = read_image(grow.map_path(done.study, patient)), read_image(path)
    brain = head().matter
    assert not corrected.data[~brain].any()
    order = np.argsort(raw.data[brain], kind="stable")
    assert (np.diff(corrected.data[brain][order]) >= 0).all()
    facts = read_json(path.with_name(path.name.replace(".nii.gz", ".json")))
    assert facts["Slope"] == pytest.approx(float(rows["sub-a"]["slope"]), rel=1e-5)
    assert facts["Synthetic"] is True


def test_with_fewer_than_three_outcomes_no_map_is_corrected(done):
    study = replace(done.study, cohort=Cohort((done.patient("a"), done.patient("b")), ()), out_dir=done.study.out_dir)
    (job,) = step_named("growth").plan(study, done.patient("a"))
    place = Place(study.bids_dir, study.out_dir, done.files.root / "work", "0")
    elsewhere = done.files.root / "two"
    moved = replace(
        job, outputs={r: elsewhere / "group" / p.relative_to(study.out_dir / "group") for r, p in job.outputs.items()}
    )
    assert execute(moved, replace(place, out_dir=elsewhere), {}).is_ok
    (values,) = read_json(elsewhere / "group" / "sections" / "growth.json")["sections"]
    assert "not corrected: 2 patient(s)" in section_from(values).text
    assert not list(elsewhere.rglob("*desc-calibrated*"))


def test_steps_are_skipped_with_a_reason(done):
    (skip,) = grow.STEP.plan(done.study, done.patient("e"))
    assert isinstance(skip, Skip)
    assert skip.reason == "no tumour segmentation for ses-one"
    off = done.files.study(*done.study.cohort.patients, growth=replace(QUICK, space=False))
    (skip,) = grow.STEP.plan(off, done.patient("a"))
    assert "switched off" in skip.reason
    (skip,) = step_named("growth").plan(off, done.patient("a"))
    assert isinstance(skip, Skip)
    assert "switched off" in skip.reason


def test_growth_in_time_and_other_patients_do_not_change_the_job_of_a_patient(done):
    other = done.files.study(done.patient("a"), growth=replace(QUICK, folds=5, draws=100))
    (job,) = grow.STEP.plan(other, done.patient("a"))
    assert job == done.jobs["a"]


@pytest.fixture
def one(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_cavity_seen_before_the_later_exam_is_empty_in_the_map(one):
    before, after = grown(OFFSETS["a"], [170, 210])
    cavity = np.where(before == ENHANCING, CAVITY, np.where(before > 0, OEDEMA, 0)).astype(np.uint8)
    exams = (("pre", 0, "preop"), ("post", 20, "postop"), ("late", 60, "progression"))
    patient = one.write(Patient("x", tuple(one.session("x", *e) for e in exams)), [before, cavity, after])
    study = one.study(patient)
    _, outcome = one.run(study, patient)
    assert outcome.is_ok, outcome.message
    assert not read_image(grow.map_path(study, patient)).data[cavity == CAVITY].any()
    notes = one.row(study, patient)["notes"]
    assert "cavity of ses-post is empty of tumour in the map from day 10" in notes
    assert "assumed" in notes


def test_a_cavity_first_seen_on_the_exam_to_be_foretold_is_not_used(one):
    before, after = grown(OFFSETS["a"], [170, 210])
    after[before == ENHANCING] = CAVITY
    exams = (("pre", 0, "preop"), ("late", 60, "progression"))
    patient = one.write(Patient("x", tuple(one.session("x", *e) for e in exams)), [before, after])
    study = one.study(patient)
    _, outcome = one.run(study, patient)
    assert outcome.is_ok, outcome.message
    assert read_image(grow.map_path(study, patient)).data[after == CAVITY].max() > 0.5
    assert "does not know of it" in one.row(study, patient)["notes"]


def test_radiotherapy_without_a_dose_grid_is_not_in_the_map_and_said(one):
    table = one.root / "bids" / "sub-x" / "sub-x_treatment.tsv"
    sessions = (one.session("x", "one", 0), one.session("x", "two", 60))
    patient = one.write(Patient("x", sessions, treatment=table), grown(OFFSETS["a"], [170, 210]))
    table.write_text("day\tkind\tdose_gy\tfractions\n5\tcourse\t2\t30\n")
    study = one.study(patient)
    job, outcome = one.run(study, patient)
    assert outcome.is_ok, outcome.message
    assert job.optional["treatment"] == table
    assert "30 fractions of radiotherapy are not in the map" in one.row(study, patient)["notes"]


def test_across_treatment_that_the_map_does_not_know_it_goes_no_further_than_the_horizon(one):
    exams = (("pre", 0, "preop"), ("late", 400, "progression"))
    patient = one.write(Patient("x", tuple(one.session("x", *e) for e in exams)), grown(OFFSETS["a"], [170, 210]))
    study = one.study(patient)
    _, outcome = one.run(study, patient)
    assert outcome.is_ok, outcome.message
    row = one.row(study, patient)
    assert (row["day"], row["target"]) == ("90", "ses-late")
    assert "90 days of growth without treatment (horizon_days), and is compared with day 400" in row["notes"]


def test_an_empty_segmentation_gives_a_reason_and_no_map(one):
    sessions = (one.session("x", "one", 0), one.session("x", "two", 60))
    before, after = grown(OFFSETS["a"], [170, 210])
    patient = one.write(Patient("x", sessions), [0 * before, after])
    study = one.study(patient)
    _, outcome = one.run(study, patient)
    assert outcome.is_ok, outcome.message
    row = one.row(study, patient)
    assert row["status"] == "not_fitted"
    assert "empty" in row["reason"]
    assert {row[n] for n in ("diffusivity_mm2_per_day", "map_median_ml", "growth_plan_ml", "growth_coverage")} == {"n/a"}
    assert not grow.map_path(study, patient).exists()
    scores = read_tsv(study.patient_path(patient, "growthscores", ".tsv"))
    assert {r["value"] for r in scores} == {"n/a"}
    assert all(r["reason"] != "n/a" for r in scores)
    (values,) = read_json(study.sections(patient, "growth"))["sections"]
    assert "Nothing could be fitted" in section_from(values).text


def test_a_later_exam_that_was_not_mapped_or_lies_on_the_same_day_is_left_out(one):
    sessions = (one.session("x", "one", 0), one.session("x", "same", 0), one.session("x", "two", 60))
    before, after = grown(OFFSETS["a"], [170, 210])
    patient = one.write(Patient("x", sessions), [before, before, after])
    study = one.study(patient)
    two = next(s for s in patient.sessions if s.label == "two")
    study.mapped(patient, two, "dseg", study.kinds[-1], seg="tumour").unlink()
    job, outcome = one.run(study, patient)
    assert outcome.is_ok, outcome.message
    assert not [role for role in job.optional if role.endswith(" same")]
    row = one.row(study, patient)
    assert row["target"] == "n/a"
    assert "ses-two was not brought onto the baseline" in row["notes"]
