"""What the group steps make of a cohort: one row per patient, its dictionary, maps of frequency, statistics, one page."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest

import regrowth
from regrowth.anatomy import brain_template
from regrowth.io.nifti import read_image
from regrowth.io.tables import read_json, read_tsv
from regrowth.space import require_same_grid
from regrowth.statistics.analysis import PARTS
from regrowth.workflow.run import RunResult
from tests.workflow.copies import copy_patient

PATIENTS = ("01", "02")


def page(path: Path) -> str:
    return html.unescape(path.read_text())


def anchors(path: Path) -> list[str]:
    return re.findall(r'<section id="([\w-]+)">', page(path))


# The whole run


def test_the_cohort_table_has_one_row_per_patient_with_clinical_and_imaging_columns(full_run, small_cohort):
    rows = {r["participant_id"]: r for r in read_tsv(full_run / "group" / "cohort.tsv")}
    assert list(rows) == ["sub-01", "sub-02"]
    clinical = {r["participant_id"]: r for r in read_tsv(small_cohort / "participants.tsv")}
    for label, row in rows.items():
        for column in ("age", "sex", "mgmt", "idh", "eor", "os_days", "os_event", "ttp_days", "ttp_event"):
            assert row[column] == clinical[label][column], column
        truth = read_json(small_cohort / "derivatives" / "truth" / label / f"{label}_truth.json")
        volumes = truth["volumes"]["preop"]
        assert float(row["ratio_CE_core_NE"]) == pytest.approx(volumes["CE_core_ml"] / volumes["NE_ml"], rel=1e-5)
        assert row["location_primary"] == truth["scene"]["lobe_drawn"]
        assert row["pattern"] == truth["recurrence"]["pattern"]
        (day,) = [
            r["days_from_baseline"]
            for r in read_tsv(small_cohort / label / f"{label}_sessions.tsv")
            if r["phase"] == "progression"
        ]
        assert row["recurrence_day"] == day


def test_every_column_of_every_table_of_the_statistics_is_in_the_data_dictionary(full_run):
    folder = full_run / "group" / "statistics"
    dictionary = read_json(folder / "dictionary.json")
    tables = {p.stem: p for p in folder.glob("*.tsv")} | {"cohort": full_run / "group" / "cohort.tsv"}
    assert set(dictionary) == set(tables)
    for name, path in tables.items():
        assert path.read_text().splitlines()[0].split("\t") == list(dictionary[name]), name
    sidecar = read_json(full_run / "group" / "cohort.json")
    assert dictionary["cohort"].items() <= sidecar.items()
    assert sidecar["ratio_CE_core_NE"]["Units"] == "1"


def test_two_patients_give_what_two_patients_can_and_reasons_for_the_rest(full_run):
    parts = {r["part"]: r for r in read_tsv(full_run / "group" / "statistics" / "parts.tsv")}
    assert list(parts) == list(PARTS)
    assert parts["overall"]["status"] == parts["transitions"]["status"] == "done"
    assert parts["cox"]["status"] == "absent"
    assert "too few" in parts["cox"]["reason"]
    assert all(r["reason"] not in ("", "n/a") for r in parts.values() if r["status"] == "absent")
    (curve,) = read_tsv(full_run / "group" / "statistics" / "survival.tsv")
    assert (curve["n"], curve["events"]) == ("2", "2")


def test_the_frequency_maps_count_the_masks_of_the_patients(full_run):
    template = brain_template(2)
    total: dict[str, np.ndarray] = {}
    for what, session in (("primary", "preop"), ("recurrence", "progression")):
        path = full_run / "group" / f"space-ICBM2009aSym_label-tumour_desc-{what}_frequency.nii.gz"
        counts = read_image(path)
        require_same_grid(counts.grid, template.image.grid)
        masks = [
            read_image(p).data > 0
            for p in full_run.glob(f"sub-*/ses-{session}/anat/*space-ICBM2009aSym_label-tumour_mask.nii.gz")
        ]
        assert len(masks) == 2
        assert counts.data.sum() == sum(m.sum() for m in masks)
        assert np.array_equal(counts.data, np.sum(masks, axis=0))
        facts = read_json(path.with_name(path.name.replace(".nii.gz", ".json")))
        assert facts["Patients"] == 2
        assert len(facts["Sources"]) >= 4
        total[what] = counts.data / 2
    difference = read_image(full_run / "group" / "space-ICBM2009aSym_label-tumour_desc-difference_frequency.nii.gz")
    np.testing.assert_allclose(difference.data, total["recurrence"] - total["primary"], atol=1e-6)


def test_the_page_of_the_cohort_has_the_sections_of_the_new_steps(full_run):
    path = full_run / "group.html"
    text = page(path)
    found = anchors(path)
    wanted = ["frequency", "table-one", "survival", "transitions"]
    assert [a for a in found if a in wanted] == wanted
    for title in ("Where in the template", "Survival", "From primary to recurrence"):
        assert title in text
    assert '<a href="#cox" class="off">' in text  # what two patients do not allow is named
    for figure in ("survival_overall", "transitions"):
        assert f'data-figure="{figure}"' in text
        assert {p.suffix for p in (full_run / "group" / "figures").glob(f"{figure}.*")} == {".svg", ".png"}
    assert "Synthetic data" in text
    assert 'src="http' not in text


def test_the_tables_of_all_patients_are_joined(full_run):
    for name in ("overlap", "location", "response", "bestresponse"):
        joined = read_tsv(full_run / "group" / f"{name}.tsv")
        single = [r for p in PATIENTS for r in read_tsv(full_run / f"sub-{p}" / f"sub-{p}_{name}.tsv")]
        assert joined == single, name


# Faulty clinical tables, and what is done again. The template is left out: these runs are about the group.

FAST = regrowth.RunParameters(
    registration=regrowth.RegistrationParameters(kind="rigid", inverse_consistency=False),
    anatomy=regrowth.AnatomyParameters(parcellator="labelmap"),
)
HEADER = "participant_id\tage\tsex\tmgmt\tos_days\tos_event\tttp_days\tttp_event\n"
GOOD = HEADER + "sub-01\t46\tM\tunmethylated\t999\t1\t593\t1\nsub-02\t61\tF\tn/a\t955\t0\t308\t1\n"


@pytest.fixture(scope="module")
def data(small_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients with one sequence each."""
    folder = tmp_path_factory.mktemp("group") / "bids"
    for label in PATIENTS:
        copy_patient(small_cohort, folder, label, source=label).keep_only("ce-gadolinium_T1w")
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of results that the tests below fill in turn; every one of them says what it needs by `run`."""
    return tmp_path_factory.mktemp("group") / "out"


def run(data: Path, out: Path, table: str, parameters: regrowth.RunParameters = FAST) -> RunResult:
    (data / "participants.tsv").write_text(table)
    return regrowth.run(data, out, derivatives=["truth"], parameters=parameters)


def done(result: RunResult) -> set[str]:
    return {o.job_id for o in result.outcomes.values() if o.status == "done"}


@pytest.mark.parametrize(
    ("cell", "faulty", "words"),
    [
        ("\t999\t1\t", "\t999\t2\t", ("os_event", "sub-01", "'2'", "write 1")),
        ("\t999\t1\t", "\t0\t1\t", ("os_days", "sub-01", "above 0")),
        ("unmethylated", "perhaps", ("mgmt", "'perhaps'", "sub-01")),
        ("\t593\t", "\t5930\t", ("ttp_days", "sub-01")),
    ],
)
def test_a_faulty_clinical_table_fails_the_statistics_alone_and_the_page_says_so(data, out, cell, faulty, words):
    result = run(data, out, GOOD.replace(cell, faulty, 1))
    assert result.exit_code == 1
    (failed,) = result.failures
    assert (failed.job_id, failed.status) == ("group_statistics", "failed")
    assert "\n" not in failed.message
    text = page(out / "group.html")
    for word in words:
        assert word in failed.message
        assert word in text
    assert '<a href="#no-statistics" class="off">' in text
    assert {p.name for p in out.glob("sub-*.html")} == {"sub-01.html", "sub-02.html"}
    assert not list((out / "group").glob("cohort.*"))
    assert (out / "group" / "migration.tsv").is_file()


def test_a_corrected_table_is_analysed_without_any_image_being_touched(data, out):
    run(data, out, GOOD.replace("\t999\t1\t", "\t999\t2\t"))
    result = run(data, out, GOOD)
    assert result.exit_code == 0
    assert (out / "group" / "cohort.tsv").is_file()
    steps = {name.rsplit("_", 1)[1] for name in done(result)}
    assert "statistics" in steps
    assert not {"register", "tumour", "recurrence", "measure", "respond", "coregister", "brain"} & steps


def test_another_parameter_of_the_statistics_does_again_the_statistics_and_the_page_of_the_cohort_only(data, out):
    run(data, out, GOOD)
    assert done(run(data, out, GOOD)) == set()
    before = {p: p.stat().st_mtime_ns for p in out.glob("sub-*.html")}
    changed = regrowth.RunParameters(
        registration=FAST.registration, anatomy=FAST.anatomy, statistics=regrowth.StatisticsParameters(cut=0.5, endpoint="ttp")
    )
    assert done(run(data, out, GOOD, changed)) == {"group_statistics", "group_cohort"}
    assert {p: p.stat().st_mtime_ns for p in out.glob("sub-*.html")} == before
    (curve,) = read_tsv(out / "group" / "statistics" / "survival.tsv")
    assert (curve["endpoint"], curve["events"]) == ("ttp", "2")


def test_patients_who_are_only_among_the_images_or_only_in_the_table_are_named(data, out):
    result = run(data, out, GOOD.replace("sub-02", "sub-77"))
    assert result.exit_code == 0
    messages = " ".join(p.message for p in result.problems)
    text = page(out / "group.html")
    for words in ("participants.tsv has no row for sub-02", "participants.tsv lists sub-77 without a folder of images"):
        assert words in messages
        assert words in text
    rows = {r["participant_id"]: r for r in read_tsv(out / "group" / "cohort.tsv")}
    assert set(rows) == {"sub-01", "sub-02"}
    assert rows["sub-02"]["os_days"] == "n/a"


def test_times_in_months_are_taken_as_such(data, out):
    table = GOOD.replace("os_days", "os_months").replace("ttp_days", "ttp_months")
    table = table.replace("\t999\t1\t593\t", "\t33\t1\t20\t").replace("\t955\t0\t308\t", "\t31\t0\t10\t")
    result = run(data, out, table)
    assert result.exit_code == 0, [o.message for o in result.failures]
    (curve,) = read_tsv(out / "group" / "statistics" / "survival.tsv")
    assert float(curve["median_days"]) == pytest.approx(33 * 30.4375, rel=1e-5)


def test_without_a_clinical_table_the_locations_are_analysed_and_survival_is_absent_with_a_reason(data, out):
    (data / "participants.tsv").unlink(missing_ok=True)
    result = regrowth.run(data, out, derivatives=["truth"], parameters=FAST)
    assert result.exit_code == 0, [o.message for o in result.failures]
    parts = {r["part"]: r for r in read_tsv(out / "group" / "statistics" / "parts.tsv")}
    assert parts["overall"]["status"] == "absent"
    assert "no patient has a known time and event" in parts["overall"]["reason"]
    assert '<a href="#survival" class="off">' in page(out / "group.html")
