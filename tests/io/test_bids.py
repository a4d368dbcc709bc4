"""A data set is indexed by name and table alone; what breaks a rule is said in one line, and costs nobody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrowth.errors import BidsError, LabelSchemeError
from regrowth.io.bids import bids_name, parse_name, read_cohort, unused_derivatives

HEADER = "session_id\tdays_from_baseline\tphase\n"


def write_patient(
    root: Path,
    label: str,
    rows: str = "ses-preop\t0\tpreop\nses-fu\t90\tprogression\n",
    sessions: tuple[str, ...] = ("preop", "fu"),
) -> Path:
    """Write the names of a patient with four sequences per session; the files are empty, no pixel is ever read."""
    folder = root / f"sub-{label}"
    for session in sessions:
        anat = folder / f"ses-{session}" / "anat"
        anat.mkdir(parents=True)
        for suffix in ("ce-gadolinium_T1w", "T1w", "T2w", "FLAIR"):
            (anat / f"sub-{label}_ses-{session}_{suffix}.nii.gz").touch()
    (folder / f"sub-{label}_sessions.tsv").write_text(HEADER + rows)
    return folder


def message_for(root: Path, label: str = "01") -> str:
    cohort = read_cohort(root)
    (problem,) = [p for p in cohort.problems if p.is_fatal]
    assert problem.participant == label
    assert "\n" not in problem.message
    return problem.message


def test_sessions_are_sorted_by_day_and_sequences_found_by_name(tmp_path):
    write_patient(tmp_path, "01", "ses-fu\t90\tprogression\nses-preop\t0\tpreop\n")
    (patient,) = read_cohort(tmp_path).patients
    assert [s.label for s in patient.sessions] == ["preop", "fu"]
    assert patient.baseline.label == "preop"
    assert [s.label for s in patient.followups] == ["fu"]
    assert set(patient.baseline.images) == {"T1wce", "T1w", "T2w", "FLAIR"}
    assert patient.baseline.reference() == "T1wce"
    assert patient.baseline.images["T1wce"].name == "sub-01_ses-preop_ce-gadolinium_T1w.nii.gz"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("ses-preop\t0\tpreop\nses-fu\t-5\tprogression\n", ("row 3", "-5", "0 or more")),
        ("ses-preop\t0\tpreop\nses-fu\tsoon\tprogression\n", ("row 3", "'soon'", "whole number")),
        ("ses-preop\t0\tpreop\nses-fu\t90\trelapse\n", ("unknown phase 'relapse'", "progression")),
        ("ses-preop\t0\tpreop\nses-preop\t90\tprogression\n", ("ses-preop is listed twice", "one row per session")),
        ("ses-preop\t0\tpreop\n", ("no row for ses-fu", "add it")),
        ("ses-preop\t0\n", ("row 2", "2 cells", "header has 3")),
    ],
    ids=["negative day", "no number", "unknown phase", "duplicate session", "session without row", "ragged row"],
)
def test_a_faulty_sessions_table_costs_only_its_patient(tmp_path, rows, words):
    write_patient(tmp_path, "01", rows)
    write_patient(tmp_path, "02")
    message = message_for(tmp_path)
    assert "sub-01_sessions.tsv" in message
    for word in words:
        assert word in message
    assert [p.label for p in read_cohort(tmp_path).patients] == ["02"]


def test_a_missing_sessions_table_says_what_to_write(tmp_path):
    folder = write_patient(tmp_path, "01")
    (folder / "sub-01_sessions.tsv").unlink()
    assert "session_id, days_from_baseline, phase" in message_for(tmp_path)


def test_a_session_without_images_is_left_out_and_named(tmp_path):
    folder = write_patient(tmp_path, "01")
    for path in (folder / "ses-fu" / "anat").iterdir():
        path.unlink()
    cohort = read_cohort(tmp_path)
    assert [s.label for s in cohort.patients[0].sessions] == ["preop"]
    assert any("ses-fu" in p.message and "left out" in p.message for p in cohort.problems)


def test_a_file_of_another_patient_in_the_folder_is_refused(tmp_path):
    folder = write_patient(tmp_path, "01")
    (folder / "ses-fu" / "anat" / "sub-02_ses-fu_T1w.nii.gz").touch()
    assert "does not belong to sub-01" in message_for(tmp_path)


def test_a_second_run_of_a_sequence_is_not_used_and_said(tmp_path):
    folder = write_patient(tmp_path, "01")
    (folder / "ses-fu" / "anat" / "sub-01_ses-fu_run-2_T2w.nii.gz").touch()
    cohort = read_cohort(tmp_path)
    assert "run-2" in cohort.patients[0].sessions[1].images["T2w"].name or any(
        "second T2w" in p.message for p in cohort.problems
    )


def test_masks_come_from_derivatives_with_a_named_scheme(tmp_path):
    write_patient(tmp_path / "raw", "01")
    anat = tmp_path / "der" / "sub-01" / "ses-preop" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_ses-preop_space-T1wce_seg-tumour_dseg.nii.gz").touch()
    (anat / "sub-01_ses-preop_space-T1wce_label-brain_mask.nii.gz").touch()
    sidecar = anat / "sub-01_ses-preop_space-T1wce_seg-tumour_dseg.json"

    unnamed = read_cohort(tmp_path / "raw", derivatives={"der": tmp_path / "der"})
    assert "LabelScheme" in unnamed.problems[-1].message
    assert "--label-scheme" in unnamed.problems[-1].message
    assert unnamed.patients == ()

    sidecar.write_text(json.dumps({"LabelScheme": "UPenn-GBM"}))
    session = read_cohort(tmp_path / "raw", derivatives={"der": tmp_path / "der"}).patients[0].baseline
    assert session.segmentation_scheme == "brats-2021"
    assert session.brain_mask is not None


def test_an_unknown_scheme_on_the_command_line_is_refused_before_work_starts(tmp_path):
    write_patient(tmp_path, "01")
    with pytest.raises(LabelSchemeError, match="brats-2023"):
        read_cohort(tmp_path, scheme="brats-1999")


def test_a_binary_tumour_mask_needs_no_scheme(tmp_path):
    write_patient(tmp_path / "raw", "01")
    anat = tmp_path / "der" / "sub-01" / "ses-fu" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_ses-fu_label-tumor_mask.nii.gz").touch()
    followup = read_cohort(tmp_path / "raw", derivatives={"der": tmp_path / "der"}).patients[0].followups[0]
    assert followup.segmentation_scheme == "binary-gtv"


def test_an_absent_participant_or_folder_is_a_usage_error(tmp_path):
    write_patient(tmp_path, "01")
    with pytest.raises(BidsError, match=r"no participant sub-07 .*sub-01"):
        read_cohort(tmp_path, participants=["sub-07"])
    with pytest.raises(BidsError, match="no such folder"):
        read_cohort(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BidsError, match="no BIDS data set"):
        read_cohort(tmp_path / "empty")
    with pytest.raises(BidsError, match="--derivatives x="):
        read_cohort(tmp_path, derivatives={"x": tmp_path / "nowhere"})


def test_participants_are_chosen_with_or_without_prefix(tmp_path):
    write_patient(tmp_path, "01")
    write_patient(tmp_path, "02")
    for label in ("02", "sub-02"):
        assert [p.label for p in read_cohort(tmp_path, participants=[label]).patients] == ["02"]


def test_unused_derivatives_are_named(tmp_path):
    (tmp_path / "derivatives" / "manual" / "sub-01").mkdir(parents=True)
    assert unused_derivatives(tmp_path, []) == ["manual"]
    assert unused_derivatives(tmp_path, [tmp_path / "derivatives" / "manual"]) == []


label = st.text("abcXYZ019", min_size=1, max_size=6)


@given(sub=label, ses=label, ce=st.none() | label, space=st.none() | label, desc=st.none() | label)
def test_names_round_trip_with_entities_in_order(sub, ses, ce, space, desc):
    name = bids_name("T1w", ".nii.gz", desc=desc, space=space, ce=ce, ses=ses, sub=sub)
    wanted = {k: v for k, v in {"sub": sub, "ses": ses, "ce": ce, "space": space, "desc": desc}.items() if v is not None}
    assert parse_name(name) == (wanted, "T1w", ".nii.gz")
    assert list(parse_name(name)[0]) == list(wanted)
    assert "__" not in name


def test_names_refuse_labels_that_break_the_grammar():
    with pytest.raises(BidsError, match="letters and digits"):
        bids_name("T1w", ".nii.gz", sub="a_b")
    with pytest.raises(BidsError, match="no BIDS entity"):
        bids_name("T1w", ".nii.gz", sub="01", colour="red")


@pytest.mark.parametrize(
    "name", ["desc-aparcaseg_dseg", "space-T1w_seg-synthseg_dseg", "desc-aparcDKTaseg_dseg", "seg-wmparc_dseg"]
)
def test_a_map_of_regions_is_no_tumour_segmentation(tmp_path, name):
    write_patient(tmp_path, "01")
    anat = tmp_path / "derivatives" / "fs" / "sub-01" / "ses-preop" / "anat"
    anat.mkdir(parents=True)
    (anat / f"sub-01_ses-preop_{name}.nii.gz").touch()
    (patient,) = read_cohort(tmp_path, derivatives={"fs": tmp_path / "derivatives" / "fs"}).patients
    assert patient.baseline.parcellation == anat / f"sub-01_ses-preop_{name}.nii.gz"
    assert patient.baseline.segmentation is None
    assert patient.followups[0].parcellation is None


def test_patients_that_are_only_in_one_of_table_and_images_are_listed_by_name(tmp_path):
    for label in ("01", "02", "03"):
        write_patient(tmp_path, label)
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t60\nsub-07\t50\nsub-08\t51\n")
    text = " ".join(p.message for p in read_cohort(tmp_path).problems)
    assert "no row for sub-02, sub-03" in text
    assert "lists sub-07, sub-08 without a folder" in text
    asked = " ".join(p.message for p in read_cohort(tmp_path, participants=["01"]).problems)
    assert "sub-07" not in asked
    assert "sub-02" not in asked


def test_corticosteroids_and_clinical_status_of_an_exam_are_read_where_given(tmp_path):
    folder = write_patient(tmp_path, "01")
    header = HEADER.strip() + "\tsteroids_mg\tclinical_status\n"
    (folder / "sub-01_sessions.tsv").write_text(header + "ses-preop\t0\tpreop\t4\tn/a\nses-fu\t90\tfollowup\tn/a\tworse\n")
    (patient,) = read_cohort(tmp_path).patients
    assert [(s.steroids_mg, s.clinical_status) for s in patient.sessions] == [(4.0, None), (None, "worse")]


@pytest.mark.parametrize(("cells", "words"), [("much\tstable", "steroids_mg is 'much'"), ("4\tfine", "clinical_status 'fine'")])
def test_a_dose_or_a_status_that_is_none_is_refused(tmp_path, cells, words):
    folder = write_patient(tmp_path, "01", sessions=("preop",))
    header = HEADER.strip() + "\tsteroids_mg\tclinical_status\n"
    (folder / "sub-01_sessions.tsv").write_text(header + f"ses-preop\t0\tpreop\t{cells}\n")
    assert words in message_for(tmp_path)
