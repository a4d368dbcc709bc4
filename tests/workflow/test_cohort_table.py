"""One row per patient: which exam is the recurrence, which volumes are those of a primary, which class is a location."""

from __future__ import annotations

from pathlib import Path

import pytest

from regrowth.clinical import Patient, Session
from regrowth.statistics.clinical import LEVELS, read_clinical
from regrowth.statistics.dictionary import data_dictionary
from regrowth.workflow.cohort_table import cohort_rows, location_class, patient_facts, recurrence_exam

MASK = Path("dseg.nii.gz")


def exam(label: str, day: int, phase: str, *, masked: bool = True) -> Session:
    return Session(label, day, phase, segmentation=MASK if masked else None)


def patient(*sessions: Session, **clinical: str) -> Patient:
    return Patient("07", sessions, clinical)


PREOP = exam("preop", 0, "preop")
RELAPSE = exam("relapse", 300, "progression")


@pytest.mark.parametrize(
    ("later", "chosen"),
    [
        ((exam("a", 2, "postop"), exam("b", 200, "followup"), RELAPSE), "relapse"),  # progression wins over follow-up
        ((RELAPSE, exam("late", 500, "progression")), "relapse"),  # the first of two
        ((exam("a", 100, "followup"), exam("b", 200, "followup")), "a"),
        ((exam("bare", 250, "progression", masked=False), RELAPSE), "relapse"),  # an exam without a mask shows nothing
        ((exam("bare", 250, "progression", masked=False), exam("b", 200, "followup")), "b"),
        ((exam("a", 2, "postop"), exam("b", 30, "planning"), exam("c", 90, "postradiotherapy")), None),
        ((), None),
    ],
)
def test_the_recurrence_is_the_first_segmented_exam_at_progression_else_at_follow_up(later, chosen):
    found = recurrence_exam(patient(PREOP, *later))
    assert (found.label if found else None) == chosen


def test_an_exam_before_the_baseline_is_no_recurrence():
    found = recurrence_exam(patient(exam("early", 0, "followup"), exam("preop", 20, "preop"), exam("late", 300, "followup")))
    assert found.label == "late"


def test_the_facts_of_a_patient_are_json_and_hold_known_clinical_columns_only():
    facts = patient_facts(patient(PREOP, RELAPSE, age="61", os_days="400", hospital="A"))
    assert facts == {
        "participant_id": "sub-07",
        "baseline": "ses-preop",
        "baseline_phase": "preop",
        "recurrence": "ses-relapse",
        "recurrence_day": 300,
        "clinical": {"age": "61", "os_days": "400"},
    }


def located(session: str, transform: str, **cells: str) -> dict[str, str]:
    row = {"participant_id": "sub-07", "session_id": session, "transform": transform, "part": "whole", "status": "ok"}
    return row | {"laterality": "left", "lobe": "frontal", "junction": "", "hannisdal_class": "parietal"} | cells


def moved(region: str, transform: str, **cells: str) -> dict[str, str]:
    row = {"participant_id": "sub-07", "followup": "relapse", "transform": transform, "region": region, "status": "ok"}
    return row | {"outward_p95_mm": "9.5", "pattern": "local"} | cells


VOLUMES = [
    {
        "participant_id": "sub-07",
        "session_id": "ses-preop",
        "label_scheme": "brats-2023",
        "CE_core_ml": "20",
        "NE_ml": "40",
        "ratio_CE_core_NE": "0.5",
    },
    {"participant_id": "sub-07", "session_id": "ses-relapse", "label_scheme": "brats-2023", "CE_core_ml": "3", "NE_ml": "1"},
]
LOCATION = [
    located("ses-preop", "native"),
    located("ses-relapse", "rigid", lobe="occipital"),
    located("ses-relapse", "deformable", lobe="temporal", hannisdal_class="temporo-parietal"),
    located("ses-relapse", "deformable", part="1", lobe="insula"),
]
MIGRATION = [
    moved("WT", "deformable", outward_p95_mm="30", pattern="distant"),
    moved("CE_core", "rigid", outward_p95_mm="7"),
    moved("CE_core", "deformable", outward_p95_mm="12.5", pattern="marginal"),
    moved("CE_core", "deformable", outward_p95_mm="99", followup="other"),
]


def row_of(someone: Patient, *, volumes=VOLUMES, location=LOCATION, migration=MIGRATION, kind="deformable", **more):
    (row,) = cohort_rows([patient_facts(someone)], volumes, location, migration, kind, **more)
    return row


def test_a_row_joins_clinical_volumes_location_and_migration_of_the_right_exams():
    assert row_of(patient(PREOP, RELAPSE, age="61", mgmt="methylated", os_days="400", os_event="1")) == {
        "participant_id": "sub-07",
        "age": "61",
        "mgmt": "methylated",
        "os_days": "400",
        "os_event": "1",
        "label_scheme": "brats-2023",
        "primary_CE_core_ml": "20",
        "primary_NE_ml": "40",
        "ratio_CE_core_NE": "0.5",
        "location_primary": "frontal",
        "laterality_primary": "left",
        "location_recurrence": "temporal",
        "migration_mm": "12.5",
        "recurrence_day": 300,
        "pattern": "marginal",
    }


def test_locations_and_distances_are_those_of_the_registration_that_was_asked_for():
    row = row_of(patient(PREOP, RELAPSE), kind="rigid")
    assert (row["location_recurrence"], row["migration_mm"], row["pattern"]) == ("occipital", "7", "local")


@pytest.mark.parametrize("phase", ["postop", "planning", "followup"])
def test_the_volumes_of_a_residual_are_not_those_of_a_primary(phase):
    volumes = [VOLUMES[0] | {"session_id": "ses-first"}]
    location = [located("ses-first", "native"), *LOCATION[1:]]
    row = row_of(patient(exam("first", 5, phase), RELAPSE), volumes=volumes, location=location)
    for name in ("label_scheme", "primary_CE_core_ml", "primary_NE_ml", "ratio_CE_core_NE"):
        assert row[name] is None, name
    assert row["location_primary"] == "frontal"


def test_what_is_not_known_is_none_and_never_zero():
    volumes = [VOLUMES[0] | {"NE_ml": "0", "ratio_CE_core_NE": "n/a"}]
    migration = [moved("CE_core", "deformable", outward_p95_mm="n/a", pattern="")]
    location = [located("ses-preop", "native", status="empty", lobe="", laterality="")]
    row = row_of(patient(PREOP, RELAPSE, age="n/a"), volumes=volumes, location=location, migration=migration)
    assert row["primary_NE_ml"] == "0"
    for name in ("age", "ratio_CE_core_NE", "location_primary", "laterality_primary", "location_recurrence", "migration_mm"):
        assert row[name] is None, name
    assert row["pattern"] is None


def test_a_measure_that_failed_gives_no_distance_and_no_day_of_recurrence():
    migration = [r | {"status": "no_recurrence"} for r in MIGRATION]
    row = row_of(patient(PREOP, RELAPSE), location=LOCATION[:1], migration=migration)
    assert row["migration_mm"] is None
    assert row["recurrence_day"] is None


def test_a_patient_without_recurrence_has_a_row_without_its_columns():
    row = row_of(patient(PREOP, age="61"))
    assert row["location_primary"] == "frontal"
    assert not {"location_recurrence", "migration_mm", "recurrence_day", "pattern"} & set(row)


def test_the_distance_is_that_of_the_ce_core_or_of_the_next_best_region():
    migration = [moved("WT", "deformable", outward_p95_mm="30"), moved("GTV", "deformable", outward_p95_mm="11")]
    assert row_of(patient(PREOP, RELAPSE), migration=migration)["migration_mm"] == "11"


def test_the_preset_gives_the_classes_of_the_notebooks():
    row = row_of(patient(PREOP, RELAPSE), preset="hannisdal2025")
    assert (row["location_primary"], row["location_recurrence"]) == ("parietal", "temporo-parietal")


def test_the_preset_gives_nothing_where_no_class_was_found():
    location = [located("ses-preop", "native", hannisdal_class="n/a"), *LOCATION[1:]]
    assert row_of(patient(PREOP, RELAPSE), location=location, preset="hannisdal2025")["location_primary"] is None


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ({"lobe": "frontal", "junction": ""}, "frontal"),
        ({"lobe": "temporal", "junction": "temporo-parietal"}, "temporal"),  # a dominant lobe wins over its junction
        ({"lobe": "multiple", "junction": "temporo-parietal"}, "temporo-parietal"),
        ({"lobe": "multiple", "junction": ""}, "multiple"),
        ({"lobe": "multiple", "junction": "n/a"}, "multiple"),
        ({"lobe": "n/a", "junction": ""}, None),
        ({}, None),
    ],
)
def test_a_location_is_its_dominant_region_else_its_junction_else_multiple(cells, found):
    assert location_class(cells) == found


def test_rows_of_others_are_never_taken():
    strange = [r | {"participant_id": "sub-08"} for r in (*LOCATION, *MIGRATION, *VOLUMES)]
    row = row_of(patient(PREOP, RELAPSE), volumes=strange, location=strange, migration=strange)
    assert {v for k, v in row.items() if k != "participant_id"} == {None}


def test_the_rows_can_be_read_as_a_clinical_table_and_every_column_is_in_the_dictionary():
    clinical = {"age": "61", "sex": "F", "mgmt": "methylated", "idh": "wildtype", "eor": "GTR", "os_days": "400"}
    clinical |= {"os_event": "1", "ttp_days": "290", "ttp_event": "1"}
    rows = [row_of(patient(PREOP, RELAPSE, **clinical))]
    table = read_clinical(rows)
    assert table.number("migration_mm")[0] == 12.5
    assert table.level("location_recurrence")[0] == "temporal"
    assert set(LEVELS) <= set(rows[0])
    assert set(data_dictionary({"cohort": rows})["cohort"]) == set(rows[0])


def test_times_in_months_have_an_entry_in_the_dictionary_too():
    rows = [row_of(patient(PREOP, os_months="13", os_event="1", ttp_months="9", ttp_event="1"))]
    assert data_dictionary({"cohort": rows})["cohort"]["os_months"]["Units"] == "months"
    assert read_clinical(rows, required=()).number("os_days")[0] == pytest.approx(13 * 30.4375)
