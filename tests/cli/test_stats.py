"""``regrowth stats`` on plain tables: what it writes, that it finds the truth, and what it refuses in one line."""

from __future__ import annotations

import html
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import regrowth.cli.stats
from regrowth.cli.main import app, main
from regrowth.io.tables import read_tsv, write_tsv
from regrowth.phantom.clinical import synthetic_clinical
from regrowth.statistics.analysis import PARTS

FEW = ("--permutations", "99", "--bootstraps", "20")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    error: str


@pytest.fixture
def regrowth(monkeypatch, capsys) -> Callable[..., Said]:
    """Call the command line as the shell does, in this process."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["regrowth", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, error = capsys.readouterr()
        return Said(int(stop.value.code or 0), out, error)

    return call


def table(path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> Path:
    write_tsv(rows, path, columns)
    return path


def page(folder: Path) -> str:
    return html.unescape((folder / "statistics.html").read_text())


def patients(n: int = 40, **first: object) -> list[dict[str, Any]]:
    """Rows of a synthetic cohort; `first` changes cells of the first patient."""
    rows = synthetic_clinical(n, seed=3)
    return [rows[0] | first, *rows[1:]]


# A cohort with a known truth


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Folder with the table, its truth, and the analysis of 200 patients."""
    folder = tmp_path_factory.mktemp("cohort")
    for words in (
        ("simulate", folder / "cohort.tsv", "--patients", "200", "--seed", "1"),
        ("cohort", folder / "cohort.tsv", folder / "out", *FEW, "--search-cut"),
    ):
        result = CliRunner().invoke(app, ["stats", *map(str, words)], catch_exceptions=False)
        assert result.exit_code == 0
    return folder


def test_the_known_hazard_ratios_lie_in_the_printed_intervals(cohort):
    truth = json.loads((cohort / "cohort.json").read_text())["log_hazard_ratios"]
    rows = {r["covariate"]: r for r in read_tsv(cohort / "out" / "cox.tsv")}
    assert set(rows) == set(truth)
    for name, value in truth.items():
        assert float(rows[name]["lower"]) <= math.exp(value) <= float(rows[name]["upper"]), name
    assert float(rows["mgmt_methylated"]["upper"]) < 1  # and it is no empty promise: the effect is found


def test_every_part_is_done_and_its_tables_are_in_the_data_dictionary(cohort):
    out = cohort / "out"
    assert {r["part"]: r["status"] for r in read_tsv(out / "parts.tsv")} == dict.fromkeys(PARTS, "done")
    dictionary = json.loads((out / "dictionary.json").read_text())
    tables = sorted(out.glob("*.tsv"))
    assert {p.stem for p in tables} == set(dictionary)
    for path in tables:
        assert path.read_text().splitlines()[0].split("\t") == list(dictionary[path.stem]), path.name
        assert all(entry["Description"] for entry in dictionary[path.stem].values())


def test_figures_come_as_svg_and_png_and_stand_on_the_page(cohort):
    names = {p.name for p in (cohort / "out" / "figures").iterdir()}
    for figure in ("cox", "survival_overall", "survival_by_mgmt", "transitions", "flow", "competing", "mgmt_age"):
        assert {f"{figure}.svg", f"{figure}.png"} <= names
        assert f'data-figure="{figure}"' in page(cohort / "out")


def test_the_page_has_every_section_says_synthetic_and_loads_nothing_from_outside(cohort):
    text = page(cohort / "out")
    anchors = re.findall(r'<section id="([\w-]+)">', text)
    wanted = ["table-one", "survival", "cox", "ratio", "competing", "transitions", "migration-time", "after-recurrence"]
    assert [a for a in anchors if a in wanted] == wanted
    assert "Synthetic data" in text
    assert 'src="http' not in text
    assert "Cox" in text[text.index("<h1>") :]


def test_the_hazard_ratios_on_the_terminal_are_those_of_the_table(cohort, regrowth, tmp_path):
    said = regrowth("stats", "cohort", cohort / "cohort.tsv", tmp_path / "again", *FEW)
    assert said.code == 0, said.error
    ratio = float(read_tsv(tmp_path / "again" / "cox.tsv")[0]["hazard_ratio"])
    assert re.search(rf"age_per_10y\W+{ratio:.3g}\b", said.out)
    assert "not asked for (search_cut)" in " ".join(re.sub("[│┃]", " ", said.out).split())
    # The same table and seed give the same numbers, whatever else was asked for.
    for name in ("cox.tsv", "cox_model.tsv", "transition_tests.tsv", "kaplan_meier.tsv"):
        assert (tmp_path / "again" / name).read_bytes() == (cohort / "out" / name).read_bytes()


def test_parameters_come_from_a_configuration_file_and_the_command_line_wins(regrowth, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[statistics]\nendpoint = "ttp"\npermutations = 99\nbootstraps = 20\npenalty = "firth"\n')
    data = table(tmp_path / "t.tsv", patients(60))
    said = regrowth(
        "stats", "cohort", data, tmp_path / "out", "--config", config, "--penalty", "ridge", "--penalty-strength", "1"
    )
    assert said.code == 0, said.error
    (model,) = read_tsv(tmp_path / "out" / "cox_model.tsv")
    assert (model["endpoint"], model["penalty"], model["penalty_strength"]) == ("ttp", "ridge", "1")


def test_simulation_is_reproducible_and_its_truth_lies_beside_it(regrowth, tmp_path):
    for name in ("a", "b"):
        assert regrowth("stats", "simulate", tmp_path / f"{name}.tsv", "--patients", "5", "--seed", "4").code == 0
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()
    rows = read_tsv(tmp_path / "a.tsv")
    assert len(rows) == 5
    assert {r["synthetic"] for r in rows} == {"true"}
    truth = json.loads((tmp_path / "a.json").read_text())
    assert truth["Synthetic"] is True
    assert truth["seed"] == 4
    assert all(sum(row) == pytest.approx(1) for row in truth["transitions"])


# Transitions


def test_8_of_14_new_sites_are_57_1_percent_with_33_to_79(regrowth, tmp_path):
    pairs = [("occipital", "parietal")] * 8 + [("occipital", "occipital")] * 6 + [("frontal", "frontal")] * 9
    rows = [
        {"participant_id": f"sub-{n:02d}", "location_primary": a, "location_recurrence": b} for n, (a, b) in enumerate(pairs)
    ]
    said = regrowth("stats", "transitions", table(tmp_path / "t.tsv", rows), tmp_path / "out", *FEW)
    assert said.code == 0, said.error
    row = {r["primary"]: r for r in read_tsv(tmp_path / "out" / "new_site.tsv")}["occipital"]
    assert (row["count"], row["total"]) == ("8", "14")
    assert f"{float(row['probability']):.1%}" == "57.1%"
    assert (f"{float(row['lower']):.0%}", f"{float(row['upper']):.0%}") == ("33%", "79%")
    assert re.search(r"occipital\W+8\W+14\W+0\.571\W+0\.326\W+0\.786", said.out)
    counts = {(r["primary"], r["recurrence"]): r["count"] for r in read_tsv(tmp_path / "out" / "transitions.tsv")}
    assert counts["occipital", "parietal"] == "8"
    tests = {r["test"]: r for r in read_tsv(tmp_path / "out" / "transition_tests.tsv")}
    assert float(tests["agreement against chance"]["p_value"]) <= 0.05
    text = page(tmp_path / "out")
    assert 'data-figure="transitions"' in text
    assert "Synthetic data" not in text
    assert not (tmp_path / "out" / "cox.tsv").exists()


# Response


def test_the_response_of_every_exam_is_written_with_its_reason(regrowth, tmp_path):
    days = {0: ("preop", 30), 40: ("postradiotherapy", 10), 160: ("followup", 4), 280: ("followup", 3), 400: ("progression", 9)}
    rows = [
        {"participant_id": who, "day": day, "phase": phase, "volume_ml": volume if who == "sub-1" else 10, "rt_end_day": 30}
        for who in ("sub-1", "sub-2")
        for day, (phase, volume) in days.items()
    ]
    said = regrowth("stats", "response", table(tmp_path / "e.tsv", rows), tmp_path / "r.tsv", "--measure", "volume")
    assert said.code == 0, said.error
    found = {(r["participant_id"], r["day"]): r for r in read_tsv(tmp_path / "r.tsv")}
    assert len(found) == 10
    assert found["sub-1", "400"]["category"] == "PD"  # 3 ml at the nadir, 9 ml now: +200 %
    assert "200" in found["sub-1", "400"]["reason"]
    assert {found["sub-2", d]["category"] for d in ("160", "280", "400")} == {"SD"}
    assert "sub-1" in said.out


# Two tables


def test_who_is_in_one_of_two_tables_only_is_named_on_the_page(regrowth, tmp_path):
    rows = patients(40)
    images = ("participant_id", "primary_CE_core_ml", "primary_NE_ml", "ratio_CE_core_NE", "location_primary")
    clinical = [{k: v for k, v in r.items() if k not in images[1:]} for r in rows]
    # "sub-" may be missing in one of them.
    imaging = [{k: r[k] for k in images} | {"participant_id": r["participant_id"][4:]} for r in rows[2:]]
    imaging.append(imaging[0] | {"participant_id": "999"})
    words = (table(tmp_path / "clinical.tsv", clinical), tmp_path / "out", "--imaging", table(tmp_path / "images.tsv", imaging))
    said = regrowth("stats", "cohort", *words, *FEW)
    assert said.code == 0, said.error
    text = page(tmp_path / "out")
    assert "in the clinical.tsv but not in the images.tsv: 001, 002" in text
    assert "in the images.tsv but not in the clinical.tsv: 999" in text
    missing = {r["variable"]: r for r in read_tsv(tmp_path / "out" / "missing.tsv") if r["reason"] in ("", "n/a")}
    assert int(missing["os_days"]["known"]) == 40  # 999 has no clinical row and is not analysed
    lost = sum(r["location_primary"] is None for r in rows[2:])
    assert int(missing["location_primary"]["missing"]) == 2 + lost


def test_a_value_of_the_images_fills_a_gap_of_the_clinical_table_and_never_replaces_a_value(regrowth, tmp_path):
    clinical = [
        {"participant_id": r["participant_id"], "os_days": r["os_days"], "os_event": r["os_event"]} for r in patients(20)
    ]
    first = [r | {"age": None if n == 0 else 50} for n, r in enumerate(clinical)]
    second = [{"participant_id": r["participant_id"], "age": 70} for r in clinical]
    words = (table(tmp_path / "a.tsv", first), tmp_path / "out", "--imaging", table(tmp_path / "b.tsv", second))
    assert regrowth("stats", "cohort", *words, *FEW).code == 0
    (row,) = [r for r in read_tsv(tmp_path / "out" / "table1.tsv") if r["variable"].startswith("age")]
    assert row["overall"].startswith("50")
    assert row["missing"] == "0"


@pytest.mark.parametrize(
    ("imaging", "words"),
    [
        ([{"participant_id": "sub-777", "age": 3}], ("no participant in common", "777")),
        ([{"participant_id": "sub-001"}, {"participant_id": "001"}], ("b.tsv", "more than once")),
        ([{"name": "sub-001"}], ("b.tsv", "no column participant_id")),
    ],
)
def test_a_second_table_that_cannot_be_joined_is_refused(regrowth, tmp_path, imaging, words):
    names = (table(tmp_path / "a.tsv", patients(20)), tmp_path / "out", "--imaging", table(tmp_path / "b.tsv", imaging))
    refused(regrowth("stats", "cohort", *names), *words)
    assert not (tmp_path / "out").exists()


def test_a_patient_who_is_twice_in_the_clinical_table_is_not_silently_dropped_by_the_join(regrowth, tmp_path):
    rows = patients(20)
    names = (table(tmp_path / "a.tsv", [*rows, rows[0]]), tmp_path / "out", "--imaging", table(tmp_path / "b.tsv", rows))
    refused(regrowth("stats", "cohort", *names), "a.tsv", "more than once")


# Bad input


def refused(said: Said, *words: str) -> None:
    """Check for exit code 2 and one line that holds the words."""
    assert said.code == 2, said.out
    line = said.error.strip()
    assert line.startswith("regrowth: ")
    assert "\n" not in line
    assert "Traceback" not in line
    for word in words:
        assert word in line, line


def in_months(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r | {"os_days": round(r["os_days"] / 30.4375, 1), "ttp_days": None, "recurrence_day": None} for r in rows]


BAD_COHORTS: dict[str, tuple[list[dict[str, Any]], tuple[str, ...]]] = {
    "no participant_id": ([{"name": "x", "os_days": 3, "os_event": 1}], ("participant_id", "os_days")),
    "nothing to analyse": ([{"participant_id": "a", "os_day": 3}] * 1, ("no part of the analysis", "os_day")),
    "event of 2": (patients(os_event=2), ("os_event", "sub-001", "'2'", "0", "1")),
    "event in words": (patients(ttp_event="dead"), ("ttp_event", "sub-001", "'dead'")),
    "negative time": (patients(os_days=-5), ("os_days", "sub-001", "0 or less")),
    "zero time": (patients(os_days=0), ("os_days", "sub-001", "0 or less")),
    "time beyond 30 years": (patients(os_days=40_000), ("os_days", "sub-001", "40000")),
    "text for a time": (patients(os_days="long"), ("os_days", "sub-001", "'long'")),
    "decimal comma": (patients(age="61,5"), ("age", "61,5", "point")),
    "months in a days column": (in_months(patients()), ("os_days", "look like months", "os_months")),
    "days in a months column": (
        [{"participant_id": r["participant_id"], "os_months": r["os_days"] / 3, "os_event": 1} for r in patients()],
        ("os_months", "days"),
    ),
    "progression after death": (patients(os_days=100, os_event=1, ttp_days=200, ttp_event=1), ("ttp_days", "sub-001")),
    "duplicate ids": ([*patients(), patients()[0]], ("participant_id", "001", "more than once")),
    "the same id with and without sub-": ([*patients(), patients()[0] | {"participant_id": "001"}], ("001", "more than once")),
    "unknown level": (patients(mgmt="maybe"), ("mgmt", "'maybe'", "sub-001", "methylated")),
    "implausible age": (patients(age=1961), ("age", "sub-001", "1961", "year of birth")),
    "unknown label scheme": ([r | {"label_scheme": "brats-1066"} for r in patients()], ("label_scheme", "brats-1066")),
    "ratio that does not fit": (patients(primary_CE_core_ml=10, primary_NE_ml=20, ratio_CE_core_NE=3), ("ratio", "sub-001")),
}


@pytest.mark.parametrize("fault", BAD_COHORTS)
def test_a_faulty_cohort_is_refused_in_one_line_and_nothing_is_written(regrowth, tmp_path, fault):
    rows, words = BAD_COHORTS[fault]
    said = regrowth("stats", "cohort", table(tmp_path / "faulty.tsv", rows), tmp_path / "out", *FEW)
    refused(said, "faulty.tsv", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("the table is empty",)),
        (b"participant_id\tos_days\tos_event\n", ("no patients",)),
        (b"participant_id\tos_days\tos_event\nsub-1\t300\n", ("row 2", "2 cells")),
        (b"participant_id,os_days,os_event\nsub-1,300,1\n", ("participant_id",)),
        ("participant_id\tsex\nMüller\tF\n".encode("latin-1"), ("UTF-8",)),
        (None, ("no such table",)),
    ],
)
@pytest.mark.parametrize("verb", ["cohort", "transitions", "response"])
def test_a_file_that_is_no_table_is_refused_by_every_verb(regrowth, tmp_path, verb, content, words):
    path = tmp_path / "faulty.tsv"
    if content is not None:
        path.write_bytes(content)
    if verb == "response" and words == ("no patients",):
        words = ("no exams",)
    refused(regrowth("stats", verb, path, tmp_path / "out"), "faulty.tsv", *words)
    assert not (tmp_path / "out").exists()


def test_days_that_look_like_months_are_taken_when_the_user_insists(regrowth, tmp_path):
    data = table(tmp_path / "t.tsv", in_months(patients()))
    assert regrowth("stats", "cohort", data, tmp_path / "out", *FEW, "--no-check-units").code == 0


def test_months_are_converted_and_it_is_said(regrowth, tmp_path):
    rows = [
        {"participant_id": r["participant_id"], "os_months": r["os_days"] / 30.4375, "os_event": r["os_event"]}
        for r in patients()
    ]
    days = [{k: r[k] for k in ("participant_id", "os_days", "os_event")} for r in patients()]
    medians = []
    for name, found in (("months", rows), ("days", days)):
        assert regrowth("stats", "cohort", table(tmp_path / f"{name}.tsv", found), tmp_path / name, *FEW).code == 0
        medians.append(float(read_tsv(tmp_path / name / "survival.tsv")[0]["median_days"]))
    assert medians[0] == pytest.approx(medians[1], rel=1e-4)  # a TSV holds six digits
    assert "os_months was converted to days" in page(tmp_path / "months")


def test_a_label_scheme_without_necrosis_costs_the_ratio_and_says_why(regrowth, tmp_path):
    rows = [r | {"label_scheme": "binary-gtv"} for r in patients(60)]
    said = regrowth("stats", "cohort", table(tmp_path / "t.tsv", rows), tmp_path / "out", *FEW)
    assert said.code == 0, said.error
    parts = {r["part"]: r for r in read_tsv(tmp_path / "out" / "parts.tsv")}
    assert parts["cut"]["status"] == "absent"
    assert "binary-gtv cannot tell the CE core (with necrosis) from NE" in parts["cut"]["reason"]
    assert parts["cox"]["status"] == "done"
    assert "log_ratio" not in {r["covariate"] for r in read_tsv(tmp_path / "out" / "cox.tsv")}
    assert "binary-gtv cannot tell the CE core" in page(tmp_path / "out")


def test_a_part_without_its_columns_is_absent_with_the_reason(regrowth, tmp_path):
    rows = [{k: r[k] for k in ("participant_id", "os_days", "os_event", "age")} for r in patients(60)]
    assert regrowth("stats", "cohort", table(tmp_path / "t.tsv", rows), tmp_path / "out", *FEW).code == 0
    parts = {r["part"]: r for r in read_tsv(tmp_path / "out" / "parts.tsv")}
    assert [n for n, r in parts.items() if r["status"] == "done"] == ["overall", "cox"]
    assert "mgmt" in parts["by_mgmt"]["reason"]
    assert "location_primary, location_recurrence" in parts["transitions"]["reason"]
    assert all(r["reason"] not in ("", "n/a") for r in parts.values() if r["status"] == "absent")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"participant_id": "a", "location_primary": "frontal"}], ("location_recurrence",)),
        ([{"location_primary": "frontal", "location_recurrence": "frontal"}], ("participant_id",)),
        (
            [{"participant_id": "a", "location_primary": "frontal", "location_recurrence": None}],
            ("no values of location_recurrence",),
        ),
        ([{"participant_id": "a", "location_primary": "x", "location_recurrence": "y"}] * 2, ("more than once",)),
    ],
)
def test_faulty_transitions_are_refused_in_one_line(regrowth, tmp_path, rows, words):
    refused(regrowth("stats", "transitions", table(tmp_path / "faulty.tsv", rows), tmp_path / "out"), "faulty.tsv", *words)
    assert not (tmp_path / "out").exists()


EXAM = {"participant_id": "sub-1", "day": 0, "phase": "preop", "volume_ml": 10}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"participant_id": "sub-1", "day": 0, "volume_ml": 3}], ("phase",)),
        ([{"participant_id": "sub-1", "day": 0, "phase": "preop"}], ("volume_ml or product_mm2",)),
        ([EXAM, EXAM | {"day": 30, "phase": "relapse"}], ("sub-1", "'relapse'", "progression")),
        ([EXAM | {"day": None}], ("sub-1", "without a day")),
        ([EXAM | {"day": "soon"}], ("sub-1", "'soon'")),
        ([EXAM | {"day": "inf"}], ("sub-1", "'inf'")),
        ([EXAM | {"day": "12.5"}], ("sub-1", "12.5", "whole number")),
        ([EXAM | {"volume_ml": -1}], ("sub-1", "negative")),
        ([EXAM | {"volume_ml": "inf"}], ("sub-1", "volume_ml")),
        ([EXAM | {"new_lesions": "1.5"}], ("sub-1", "new_lesions", "whole number")),
        ([EXAM | {"clinical": "fine"}], ("sub-1", "'fine'", "stable")),
        ([EXAM | {"rt_end_day": 3}, EXAM | {"day": 9, "rt_end_day": 4}], ("sub-1", "more than one rt_end_day")),
    ],
)
def test_a_faulty_series_is_refused_in_one_line(regrowth, tmp_path, rows, words):
    said = regrowth("stats", "response", table(tmp_path / "faulty.tsv", rows), tmp_path / "out.tsv")
    refused(said, "faulty.tsv", *words)
    assert not (tmp_path / "out.tsv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--endpoint", "pfs"), "pfs"),
        (("--permutations", "9"), "permutations"),
        (("--ages", "old"), "'old'"),
        (("--level", "95"), "level"),
        (("--penalty", "ridge"), "penalty_strength"),
    ],
)
def test_a_wrong_parameter_is_refused_before_any_work(regrowth, tmp_path, words, message):
    said = regrowth("stats", "cohort", table(tmp_path / "t.tsv", patients(20)), tmp_path / "out", *words)
    assert said.code == 2
    assert message in said.error
    assert "Traceback" not in said.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [("--patients", "0"), ("--seed", "-1"), ("--missing-share", "1")])
def test_a_cohort_that_cannot_be_drawn_is_refused(regrowth, tmp_path, words):
    refused(regrowth("stats", "simulate", tmp_path / "t.tsv", *words))
    assert not (tmp_path / "t.tsv").exists()
