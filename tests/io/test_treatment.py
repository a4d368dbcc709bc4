"""Treatment tables become records; what is unknown stays unknown, and what is wrong is refused in one line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from regrowth.clinical import Patient, Session
from regrowth.errors import BidsError
from regrowth.growth.treatment import DrugCourse, Fraction, Surgery
from regrowth.io.treatment import clinical_treatment, patient_record, read_treatment, read_treatments

COLUMNS = ("day", "kind", "dose_gy", "fractions", "stop_day", "remaining_fraction", "intensity", "name")


def table(folder: Path, *rows: dict[str, object], columns: tuple[str, ...] = COLUMNS) -> Path:
    path = folder / "sub-01_treatment.tsv"
    lines = ["\t".join(columns)] + ["\t".join(str(r.get(c, "n/a")) for c in columns) for r in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def patient(*sessions: tuple[int, str], treatment: Path | None = None, **clinical: str) -> Patient:
    exams = tuple(Session(f"{k}", day, phase) for k, (day, phase) in enumerate(sessions))
    return Patient("01", exams, {"participant_id": "sub-01", **clinical}, treatment)


def test_every_kind_of_event_is_read(tmp_path):
    path = table(
        tmp_path,
        {"day": 3, "kind": "surgery", "remaining_fraction": 0.1, "name": "craniotomy"},
        {"day": 90.5, "kind": "surgery"},
        {"day": 30, "kind": "fraction", "dose_gy": 2},
        {"day": 28, "kind": "fraction", "dose_gy": 1.8},
        {"day": 40, "kind": "drug", "stop_day": 60, "intensity": 0.5},
        {"day": 70, "kind": "drug"},
    )
    record = read_treatment(path)
    assert record.treatment.surgeries == (Surgery(3, 0.1),)
    assert record.treatment.fractions == (Fraction(28, 1.8), Fraction(30, 2.0))
    assert record.treatment.drugs == (DrugCourse(40, 60, 0.5), DrugCourse(70, math.inf, 1.0))
    assert record.resections == (90.5,)


def test_columns_that_no_event_needs_may_be_absent(tmp_path):
    path = table(tmp_path, {"day": 5, "kind": "surgery"}, columns=("day", "kind"))
    assert read_treatment(path).resections == (5.0,)


def test_a_course_is_given_on_weekdays_and_the_assumed_monday_is_said(tmp_path):
    record = read_treatment(table(tmp_path, {"day": 20, "kind": "course", "dose_gy": 2, "fractions": 30}))
    days = [f.day for f in record.treatment.fractions]
    assert len(days) == 30
    assert days[:6] == [20, 21, 22, 23, 24, 27]
    assert days[-1] == 20 + 39
    assert sum(f.dose_gy for f in record.treatment.fractions) == pytest.approx(60)
    assert any("Monday" in note for note in record.notes)


def test_the_last_day_of_a_course_tells_its_first_weekday(tmp_path):
    record = read_treatment(table(tmp_path, {"day": 20, "kind": "course", "dose_gy": 2, "fractions": 7, "stop_day": 30}))
    # seven fractions take eight days from any weekday but Friday, from which there are two weekends between
    assert [f.day for f in record.treatment.fractions] == [20, 23, 24, 25, 26, 27, 30]
    assert record.notes == ()


def test_a_course_with_a_break_ends_on_the_day_of_the_table(tmp_path):
    record = read_treatment(table(tmp_path, {"day": 0, "kind": "course", "dose_gy": 2, "fractions": 30, "stop_day": 60}))
    days = [f.day for f in record.treatment.fractions]
    assert (len(days), days[0], days[-1]) == (30, 0, 60)
    assert "spread evenly" in record.notes[0]


def test_a_course_of_one_fraction_needs_no_weekday(tmp_path):
    record = read_treatment(table(tmp_path, {"day": 9, "kind": "course", "dose_gy": 18, "fractions": 1}))
    assert record.treatment.fractions == (Fraction(9, 18.0),)
    assert record.notes == ()
    longer = read_treatment(table(tmp_path, {"day": 9, "kind": "course", "dose_gy": 18, "fractions": 1, "stop_day": 12}))
    assert longer.treatment == record.treatment
    assert "although" in longer.notes[0]


def test_a_resection_that_left_nothing_visible_is_one_of_unknown_extent(tmp_path):
    record = read_treatment(table(tmp_path, {"day": 4, "kind": "surgery", "remaining_fraction": 0}))
    assert record.resections == (4.0,)
    assert not record.treatment.surgeries
    assert "unknown" in record.notes[0]


def test_treatment_before_the_first_exam_is_kept(tmp_path):
    assert read_treatment(table(tmp_path, {"day": -12, "kind": "surgery"})).resections == (-12.0,)


def test_two_equal_fractions_on_one_day_both_count(tmp_path):
    record = read_treatment(table(tmp_path, *[{"day": 1, "kind": "fraction", "dose_gy": 1.2}] * 2))
    assert record.treatment.fractions == (Fraction(1, 1.2), Fraction(1, 1.2))


def test_a_table_without_rows_is_no_treatment_and_says_so(tmp_path):
    record = read_treatment(table(tmp_path))
    assert record.treatment.first_day == math.inf
    assert "no rows" in record.notes[0]
    assert read_treatments(table(tmp_path)) == {}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"kind": "chemo"}, "unknown kind 'chemo'; use one of fraction"),
        ({"kind": "n/a"}, "unknown kind"),
        ({"day": "2021-03-04", "kind": "surgery"}, "not a date"),
        ({"day": "20210304", "kind": "surgery"}, "looks like a date"),
        ({"day": "44259", "kind": "surgery"}, "looks like a date"),
        ({"day": "nan", "kind": "surgery"}, "write days"),
        ({"day": "n/a", "kind": "surgery"}, "has no day"),
        ({"kind": "fraction"}, "dose_gy is missing"),
        ({"kind": "fraction", "dose_gy": 200}, "no cGy"),
        ({"kind": "course", "dose_gy": 60, "fractions": 30}, "ONE fraction"),
        ({"kind": "fraction", "dose_gy": 0}, "above 0"),
        ({"kind": "fraction", "dose_gy": "2,0"}, "Gy"),
        ({"kind": "fraction", "dose_gy": 2, "fractions": 30}, "course"),
        ({"kind": "course", "dose_gy": 2}, "fractions is missing"),
        ({"kind": "course", "dose_gy": 2, "fractions": 2.5}, "whole number"),
        ({"kind": "course", "dose_gy": 2, "fractions": 0}, "whole number"),
        ({"kind": "course", "dose_gy": 2, "fractions": 5, "stop_day": 3}, "before it starts"),
        ({"kind": "surgery", "remaining_fraction": 5}, "no percent"),
        ({"kind": "surgery", "remaining_fraction": -0.1}, "0 to 1"),
        ({"kind": "surgery", "dose_gy": 2}, "means nothing"),
        ({"kind": "drug", "dose_gy": 150}, "means nothing"),
        ({"kind": "drug", "stop_day": 10}, "stop later"),
        ({"kind": "drug", "intensity": -1}, "0 or more"),
        ({"kind": "drug", "stop_day": "2021-01-01"}, "not a date"),
    ],
)
def test_a_wrong_row_is_refused_in_one_line_that_names_file_and_row(tmp_path, row, words):
    path = table(tmp_path, {"day": 1, "kind": "surgery"}, {"day": 10, **row})
    with pytest.raises(BidsError, match=words) as caught:
        read_treatment(path)
    assert str(path) in str(caught.value)
    assert "row 3" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_repeated_course_is_refused(tmp_path):
    course = {"day": 1, "kind": "course", "dose_gy": 2, "fractions": 30}
    with pytest.raises(BidsError, match="row 3: repeats row 2"):
        read_treatment(table(tmp_path, course, course))


@pytest.mark.parametrize("columns", [("date", "kind"), ("day", "dose_gy")])
def test_a_table_without_days_or_kinds_is_refused(tmp_path, columns):
    with pytest.raises(BidsError, match="has no column"):
        read_treatment(table(tmp_path, {"day": 1, "dose_gy": 2, "date": "x", "kind": "surgery"}, columns=columns))


def test_a_cohort_table_is_split_by_patient(tmp_path):
    columns = ("participant_id", *COLUMNS)
    path = table(
        tmp_path,
        {"participant_id": "sub-B", "day": 1, "kind": "surgery"},
        {"participant_id": "A", "day": 2, "kind": "fraction", "dose_gy": 2},
        {"participant_id": "sub-B", "day": 8, "kind": "drug"},
        columns=columns,
    )
    records = read_treatments(path)
    assert list(records) == ["B", "A"]
    assert records["B"].resections == (1.0,)
    assert records["B"].treatment.drugs == (DrugCourse(8.0),)
    assert records["A"].treatment.fractions == (Fraction(2, 2.0),)
    with pytest.raises(BidsError, match="2 patients where one is expected"):
        read_treatment(path)


def test_a_cohort_table_needs_patients(tmp_path):
    with pytest.raises(BidsError, match="participant_id"):
        read_treatments(table(tmp_path, {"day": 1, "kind": "surgery"}))


def test_clinical_columns_become_treatment():
    record = clinical_treatment(
        {
            "surgery_day": "5",
            "rt_start_day": "30",
            "rt_end_day": "71",
            "rt_fractions": "30",
            "rt_dose_gy": "60",
            "chemo_start_day": "30",
            "chemo_stop_day": "200",
        }
    )
    assert record.resections == (5.0,)
    assert record.treatment.drugs == (DrugCourse(30.0, 200.0),)
    fractions = record.treatment.fractions
    assert (len(fractions), fractions[0], fractions[-1]) == (30, Fraction(30, 2.0), Fraction(71, 2.0))
    assert record.notes == ()


@pytest.mark.parametrize(
    ("clinical", "missing"),
    [
        ({"rt_start_day": "30", "rt_end_day": "71"}, "rt_fractions, rt_dose_gy"),
        ({"rt_start_day": "30", "rt_dose_gy": "60"}, "rt_fractions"),
        ({"rt_fractions": "30", "rt_dose_gy": "60"}, "rt_start_day"),
        ({"rt_end_day": "71"}, "rt_start_day, rt_fractions, rt_dose_gy"),
    ],
)
def test_a_dose_is_never_assumed(clinical, missing):
    record = clinical_treatment(clinical)
    assert record.treatment.first_day == math.inf
    assert record.notes[0].endswith(f"does not give {missing}")


def test_an_empty_clinical_row_is_an_empty_record():
    record = clinical_treatment({"age": "60", "surgery_day": "n/a", "rt_start_day": ""})
    assert (record.resections, record.notes, record.treatment.impulse_days) == ((), (), ())


def test_a_drug_without_end_goes_on_and_says_so():
    record = clinical_treatment({"chemo_start_day": "30"})
    assert record.treatment.drugs == (DrugCourse(30.0, math.inf),)
    assert "going on" in record.notes[0]
    assert "chemo_start_day is missing" in clinical_treatment({"chemo_stop_day": "30"}).notes[0]


@pytest.mark.parametrize(
    ("clinical", "words"),
    [
        ({"surgery_day": "2020-01-01"}, "surgery_day is '2020-01-01'"),
        ({"rt_start_day": "40", "rt_end_day": "30"}, "before rt_start_day"),
        ({"rt_fractions": "thirty"}, "whole number"),
        ({"rt_dose_gy": "6000", "rt_fractions": "30"}, "no cGy"),
        ({"rt_dose_gy": "6000"}, "no cGy"),
        ({"rt_dose_gy": "-60"}, "above 0"),
        ({"chemo_start_day": "40", "chemo_stop_day": "40"}, "chemo_stop_day"),
    ],
)
def test_wrong_clinical_values_name_the_patient(clinical, words):
    with pytest.raises(BidsError, match=words) as caught:
        clinical_treatment({"participant_id": "sub-07", **clinical})
    assert "participants.tsv, sub-07" in str(caught.value)


def test_the_table_comes_before_the_clinical_columns(tmp_path):
    path = table(tmp_path, {"day": 3, "kind": "surgery"})
    record = patient_record(patient((0, "preop"), (10, "postop"), treatment=path, surgery_day="7"))
    assert record.resections == (3.0,)
    assert any("not used" in note for note in record.notes)


def test_a_resection_is_assumed_from_the_phases_and_said():
    record = patient_record(patient((0, "preop"), (14, "preop"), (21, "postop"), (100, "followup")))
    assert record.resections == (17.5,)
    assert "assumed" in record.notes[0]


def test_no_resection_is_assumed_where_one_is_recorded(tmp_path):
    path = table(tmp_path, {"day": 3, "kind": "surgery", "remaining_fraction": 0.2})
    record = patient_record(patient((0, "preop"), (10, "postop"), treatment=path))
    assert record.resections == ()
    assert record.treatment.surgeries == (Surgery(3, 0.2),)


def test_a_surgery_at_another_time_does_not_hide_the_assumed_one():
    record = patient_record(patient((0, "preop"), (20, "postop"), (200, "followup"), surgery_day="150"))
    assert record.resections == (10.0, 150.0)


def test_a_second_surgery_is_assumed_too():
    record = patient_record(patient((0, "preop"), (10, "postop"), (300, "preop"), (320, "followup")))
    assert record.resections == (5.0, 310.0)


def test_after_a_biopsy_no_resection_is_assumed():
    record = patient_record(patient((0, "preop"), (10, "followup"), eor="biopsy"))
    assert record.resections == ()
    assert "biopsy" in record.notes[0]
    assert patient_record(patient((0, "followup"), surgery_day="3", eor="biopsy")).resections == ()


def test_an_exam_on_the_day_of_surgery_is_named(tmp_path):
    record = patient_record(patient((0, "preop"), (10, "postop"), surgery_day="10"))
    assert record.resections == (10.0,)
    assert "share day 10" in record.notes[0]


def test_exams_without_surgery_have_no_treatment():
    record = patient_record(patient((0, "followup"), (50, "progression")))
    assert (record.resections, record.notes) == ((), ())
    assert patient_record(Patient("01", ())).resections == ()


def test_a_table_of_another_patient_is_refused(tmp_path):
    rows = [{"participant_id": "sub-02", "day": 1, "kind": "surgery"}]
    path = table(tmp_path, *rows, columns=("participant_id", *COLUMNS))
    with pytest.raises(BidsError, match="rows of 02, not of 01"):
        patient_record(patient((0, "preop"), treatment=path))


def test_rows_with_and_without_a_patient_are_refused(tmp_path):
    rows = [{"participant_id": "sub-01", "day": 1, "kind": "surgery"}, {"day": 3, "kind": "drug"}]
    path = table(tmp_path, *rows, columns=("participant_id", *COLUMNS))
    with pytest.raises(BidsError, match="in all rows or in none"):
        patient_record(patient((0, "preop"), treatment=path))
