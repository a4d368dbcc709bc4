"""The group step that forecasts volumes: its tables, the sections of every patient, and what it does with faulty input."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import regrowth
from regrowth.clinical import Patient, Session
from regrowth.errors import InputError
from regrowth.growth.cohort_forecast import forecast_cohort
from regrowth.growth.cohort_model import BASELINES, CohortModel
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.patient_series import PatientSeries
from regrowth.io.bids import Cohort
from regrowth.io.tables import read_json, read_tsv, write_tsv
from regrowth.phantom.series import SeriesSettings, synthetic_series
from regrowth.report.stored import section_from
from regrowth.workflow.job import Job, Skip, Task
from regrowth.workflow.pages.forecast import forecast_section, forecast_sections
from regrowth.workflow.steps.forecast import STEP
from regrowth.workflow.study import Study

QUICK = GrowthParameters(models="exponential", draws=60, folds=3)
N = 12


def make_study(out: Path, parameters: GrowthParameters = QUICK, n: int = 4) -> Study:
    """A study with the volumes of a synthetic cohort in place of those that tabulate would join, and three odd patients."""
    made = synthetic_series(n, np.random.default_rng(8), SeriesSettings(fewest_exams=4, most_exams=5))
    series: dict[str, list[tuple[float, dict[str, object]]]] = {}
    for row in made.volumes:
        cells = {"CE_core_ml": row["volume_ml"], "TC_ml": None, "WT_ml": 2.5 * float(row["volume_ml"])}
        series.setdefault(str(row["participant_id"])[4:], []).append((row["day"], cells))
    series["whole"] = [(0.0, {"WT_ml": 30.0}), (60.0, {"WT_ml": 33.0})]
    series["gtv"] = [(0.0, {"GTV_ml": 9.0}), (60.0, {"GTV_ml": 9.5}), (120.0, {"GTV_ml": None})]
    series["nothing"] = [(0.0, {})]
    rows, patients = [], []
    for label, exams in series.items():
        sessions = []
        for k, (day, cells) in enumerate(exams):
            sessions.append(Session(f"{k:02d}", int(day), "postop" if k == 0 else "followup", segmentation=Path("dseg.nii.gz")))
            rows.append(
                {
                    "participant_id": f"sub-{label}",
                    "session_id": f"ses-{k:02d}",
                    "day": int(day),
                    "phase": sessions[-1].phase,
                    **cells,
                }
            )
        treatment = out / f"sub-{label}_treatment.tsv"
        given = [r for r in made.treatment if r["participant_id"] == f"sub-{label}"]
        if given:
            write_tsv(given, treatment)
        patients.append(Patient(label, tuple(sessions), {}, treatment if given else None))
    write_tsv(rows, out / "group" / "volumes.tsv")
    return Study(out, out, Cohort(tuple(patients), ()), replace(regrowth.RunParameters(), growth=parameters))


def run(study: Study) -> Job:
    (job,) = STEP.plan(study, study.cohort.patients[0])
    STEP.compute(Task(job, job.outputs, 1, logging.getLogger("test")))
    return job


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Study, Job]:
    study = make_study(tmp_path_factory.mktemp("forecast"), n=N)
    return study, run(study)


def section(job: Job, role: str):
    return section_from(read_json(job.outputs[role])["sections"][0])


def test_every_output_is_written_and_every_patient_has_a_section(done):
    study, job = done
    assert all(p.is_file() for p in job.outputs.values())
    for patient in study.cohort.patients:
        assert job.outputs[f"sections {patient.label}"] == study.sections(patient, "forecast")
        found = section(job, f"sections {patient.label}")
        assert found.anchor == "forecast"
        assert found.text or found.skipped


def test_the_table_of_forecasts_puts_every_baseline_beside_what_is_used(done):
    _, job = done
    rows = [r for r in read_tsv(job.outputs["forecast"]) if r["participant_id"] == "sub-001"]
    assert {r["model"] for r in rows} >= set(BASELINES)
    assert sum(r["role"] == "chosen" for r in rows) == 25
    for row in rows:
        assert float(row["lower_ml"]) <= float(row["median_ml"]) <= float(row["upper_ml"])
        assert row["coverage"] == "0.8"  # of 12 synthetic patients and one more


def test_the_region_is_that_which_the_exams_of_the_patient_have(done):
    _, job = done
    patients = {r["participant_id"]: r for r in read_tsv(job.outputs["timepatients"])}
    assert (patients["sub-gtv"]["last_ml"], patients["sub-gtv"]["n_scans"]) == ("9.5", "2")
    assert "without a volume" in patients["sub-gtv"]["notes"]
    assert patients["sub-whole"]["status"] == patients["sub-nothing"]["status"] == "no_scan"
    assert section(job, "sections nothing").skipped == "no exam has a segmentation with the region that is forecast"
    assert (
        "volume of GTV" in section(job, "sections gtv").figures[0].data.decode() or "GTV" in section(job, "sections gtv").text
    )


def test_the_whole_lesion_is_forecast_where_it_is_asked_for(tmp_path):
    study = make_study(tmp_path, replace(QUICK, region="whole"))
    job = run(study)
    patients = {r["participant_id"]: r for r in read_tsv(job.outputs["timepatients"])}
    assert patients["sub-whole"]["status"] == "ok"
    assert patients["sub-gtv"]["status"] == "no_scan"


def test_the_page_of_the_cohort_says_what_won_and_what_the_back_tests_say(done):
    _, job = done
    found = section(job, "sections")
    assert [f.name for f in found.figures] == ["forecasts", "forecast_scores"]
    assert {t.title for t in found.tables} >= {"Forecasts at the horizon", "What was tried", "Against the baselines"}
    assert "No forecast for sub-nothing" in found.text
    assert "baseline" in found.text
    one = section(job, "sections 001")
    assert "Back-test: from the earlier exams the last one" in one.text
    assert "80 %" in one.text


def test_the_model_of_a_run_serves_another_and_is_not_changed_by_it(done, tmp_path):
    _, job = done
    path = tmp_path / "model.json"
    path.write_bytes(job.outputs["model"].read_bytes())
    study = make_study(tmp_path, replace(QUICK, cohort_model=str(path)))
    other = run(study)
    assert other.inputs["cohort model"] == path
    assert (
        CohortModel.from_dict(read_json(other.outputs["model"])).as_dict() == CohortModel.from_dict(read_json(path)).as_dict()
    )
    assert "learned in another cohort" in section(other, "sections").text


def test_a_file_that_is_no_cohort_model_is_refused_by_name(tmp_path):
    path = tmp_path / "model.json"
    path.write_text('{"format": "else"}')
    with pytest.raises(InputError, match=r"model\.json.*no regrowth cohort model"):
        run(make_study(tmp_path, replace(QUICK, cohort_model=str(path))))


def test_hard_series_have_a_page_that_says_what_is_missing():
    series = {
        "single": ([0.0], [5.0]),
        "zero": ([0.0, 60.0], [0.0, 0.0]),
        "vanished": ([0.0, 60.0, 120.0], [5.0, 2.0, 0.0]),
        "constant": ([0.0, 60.0], [5.0, 5.0]),
    }
    found = forecast_cohort([PatientSeries.from_exams(k, *v) for k, v in series.items()], QUICK)
    pages = {p.label: forecast_section(p, region="TC") for p in found.patients}
    assert "new lesion" in pages["zero"].skipped
    assert "There is no back-test" in pages["single"].text
    assert "no threshold" in pages["vanished"].text
    for label in ("single", "vanished", "constant"):
        assert "There is no interval" in pages[label].text
        assert len(pages[label].figures) == 1
        assert "persistence (the last volume stays)" in pages[label].text
    (cohort,) = forecast_sections(found)
    assert "No forecast for sub-zero" in cohort.text
    assert "A baseline wins" in cohort.text
    (empty,) = forecast_sections(forecast_cohort([], QUICK))
    assert empty.skipped == "there is no patient"


def test_a_faulty_treatment_costs_only_that_patient_its_forecast(tmp_path):
    study = make_study(tmp_path)
    path = study.cohort.patients[2].treatment
    path.write_text(path.read_text().replace("course", "magic"))
    job = run(study)
    patients = {r["participant_id"]: r for r in read_tsv(job.outputs["timepatients"])}
    assert patients["sub-003"]["status"] == "invalid_treatment"
    skipped = section(job, "sections 003").skipped
    assert "magic" in skipped
    assert str(tmp_path) not in skipped
    assert patients["sub-001"]["status"] == "ok"


def test_a_cohort_without_segmentations_is_skipped_with_a_reason(tmp_path):
    patients = tuple(Patient(x, (Session("1", 0, "preop"),)) for x in "ab")
    study = Study(tmp_path, tmp_path, Cohort(patients, ()))
    (item,) = STEP.plan(study, patients[0])
    assert isinstance(item, Skip)
    assert "segmentation" in item.reason


def test_the_columns_of_the_tables_are_described_in_their_sidecars(tmp_path):
    study = make_study(tmp_path)
    (job,) = STEP.plan(study, study.cohort.patients[0])
    task = Task(job, job.outputs, 1, logging.getLogger("test"))
    STEP.compute(task)
    for name in ("forecast", "parameters", "timepatients", "timechoice", "timescores"):
        assert list(read_tsv(job.outputs[name])[0]) == list(task.metadata[name])
    assert task.metadata["forecast"]["lower_ml"]["Units"] == "ml"


def test_what_the_step_depends_on_is_in_its_settings_and_inputs(done):
    study, job = done
    assert job.settings["growth"]["draws"] == 60
    assert len(job.settings["patients"]) == N + 3
    assert job.optional["treatment 001"] == study.cohort.patients[0].treatment
    assert "treatment nothing" not in job.optional
