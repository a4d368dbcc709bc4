"""Each fault of real data gives one clear line that names the file and the remedy, and costs the other patients nothing.

One data set holds a patient per fault and a healthy one; it is run once.
"""

from __future__ import annotations

import gzip
import html
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import regrowth
from regrowth.errors import OutputError, ParameterError
from regrowth.io.tables import read_tsv
from regrowth.workflow.job import Outcome
from regrowth.workflow.run import RunResult
from tests.workflow.copies import Case, copy_patient, rewrite

# Maps of regions are not brought here, so that the template is not fitted fourteen times: test_location_steps does that.
FAST = regrowth.RunParameters(
    registration=regrowth.RegistrationParameters(kind="rigid", inverse_consistency=False),
    anatomy=regrowth.AnatomyParameters(parcellator="labelmap"),
)


def drop_sequence(c: Case) -> None:
    c.image("preop", "T2w").unlink()


def one_exam(c: Case) -> None:
    shutil.rmtree(c.raw / "ses-progression")
    c.sessions("ses-preop\t0\tpreop\n")


def empty_mask(c: Case) -> None:
    rewrite(c.mask("progression"), lambda d, a: (np.zeros_like(d), a))


def nan_voxels(c: Case) -> None:
    def change(d: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = d.astype(np.float32)
        d[3, 3, 3:6] = np.nan
        return d, a

    rewrite(c.image("progression", "ce-gadolinium_T1w"), change)


def truncated(c: Case) -> None:
    path = c.image("progression", "FLAIR")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def four_axes(c: Case) -> None:
    rewrite(c.image("progression", "T2w"), lambda d, a: (np.stack([d, d], axis=-1), a))


def singular(c: Case) -> None:
    path = c.image("progression", "ce-gadolinium_T1w")
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    path.write_bytes(gzip.compress(bytes(raw)))


def moved_mask(c: Case) -> None:
    def change(d: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a[0, 3] += 7.0
        return d, a

    rewrite(c.mask("progression"), change)


def unknown_value(c: Case) -> None:
    def change(d: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = d.copy()
        d[5, 5, 5] = 9
        return d, a

    rewrite(c.mask("progression"), change)


def bad_landmarks(c: Case) -> None:
    path = c.truth / f"sub-{c.label}_landmarks.tsv"
    path.write_text(path.read_text().replace("followup_z_mm", "followup_height"))


def unknown_phase(c: Case) -> None:
    c.sessions("ses-preop\t0\tpreop\nses-progression\t90\trelapse\n")


def duplicate_session(c: Case) -> None:
    c.sessions("ses-preop\t0\tpreop\nses-progression\t90\tprogression\nses-progression\t91\tprogression\n")


def negative_day(c: Case) -> None:
    c.sessions("ses-preop\t0\tpreop\nses-progression\t-90\tprogression\n")


FAULTS: dict[str, Callable[[Case], None]] = {
    f.__name__.replace("_", ""): f
    for f in (
        drop_sequence,
        one_exam,
        empty_mask,
        nan_voxels,
        truncated,
        four_axes,
        singular,
        moved_mask,
        unknown_value,
        bad_landmarks,
        unknown_phase,
        duplicate_session,
        negative_day,
    )
}


# What a fault needs beside the contrast-enhanced T1w; the healthy patient has all sequences.
SEQUENCES = {"dropsequence": ("T2w", "FLAIR"), "truncated": ("FLAIR",), "fouraxes": ("T2w",)}


@dataclass(frozen=True)
class Ran:
    result: RunResult
    data: Path
    out: Path

    def failure(self, label: str) -> Outcome:
        """The only job of a patient that failed by itself."""
        (outcome,) = [o for o in self.result.failures if f"sub-{label}_" in o.job_id and o.status == "failed"]
        assert "\n" not in outcome.message
        return outcome

    def problem(self, label: str) -> str:
        (problem,) = [p for p in self.result.problems if p.participant == label and p.is_fatal]
        return problem.message


def page(path: Path) -> str:
    return html.unescape(path.read_text())


@pytest.fixture(scope="module")
def ran(small_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    data, out = tmp_path_factory.mktemp("bad") / "bids", tmp_path_factory.mktemp("bad") / "out"
    for label in ("healthy", *FAULTS):
        case = copy_patient(small_cohort, data, label)
        if label != "healthy":
            case.keep_only("ce-gadolinium_T1w", *SEQUENCES.get(label, ()))
            FAULTS[label](case)
    result = regrowth.run(data, out, derivatives=["truth"], parameters=FAST)
    return Ran(result, data, out)


def test_the_healthy_patient_and_the_group_are_complete(ran):
    assert not [o for o in ran.result.failures if "sub-healthy" in o.job_id or o.job_id.startswith("group")]
    assert (ran.out / "sub-healthy.html").is_file()
    assert (ran.out / "group.html").is_file()
    assert any(r["participant_id"] == "sub-healthy" for r in read_tsv(ran.out / "group" / "migration.tsv"))


def test_a_follow_up_without_t1w_is_named_after_its_own_contrast(small_cohort, tmp_path):
    data = tmp_path / "bids"
    shutil.copytree(small_cohort / "sub-01", data / "sub-01")
    for path in [*data.glob("sub-01/ses-*/anat/*_T1w.*"), *data.glob("sub-01/ses-*/anat/*_T2w.*")]:
        path.unlink()
    result = regrowth.run(data, tmp_path / "out", parameters=FAST)
    assert not result.failures
    (moved,) = (tmp_path / "out").glob("sub-01/ses-progression/anat/*_space-sespreop_*.nii.gz")
    assert moved.name.endswith("desc-rigid_FLAIR.nii.gz")


def test_the_run_ends_with_exit_code_1(ran):
    assert ran.result.exit_code == 1


def test_every_patient_that_can_be_indexed_has_a_page(ran):
    pages = {p.stem.removeprefix("sub-") for p in ran.out.glob("sub-*.html")}
    assert pages == {"healthy", *FAULTS} - {"unknownphase", "duplicatesession", "negativeday"}


def test_a_missing_sequence_is_no_failure_and_shows_in_the_inventory(ran):
    assert not [o for o in ran.result.failures if "sub-dropsequence" in o.job_id]
    assert (ran.out / "sub-dropsequence" / "ses-preop" / "anat").is_dir()
    assert not list(ran.out.glob("sub-dropsequence/ses-preop/anat/*T2w.nii.gz"))
    assert list(ran.out.glob("sub-dropsequence/ses-preop/anat/*FLAIR.nii.gz"))


def test_one_exam_only_skips_what_compares_exams_and_says_so(ran):
    assert not [o for o in ran.result.failures if "sub-oneexam" in o.job_id]
    skipped = {s.step: s.reason for s in ran.result.skips if s.participant == "oneexam"}
    assert "one exam only" in skipped["register"]
    assert "one exam only" in skipped["recurrence"]
    assert "one exam only" in (ran.out / "sub-oneexam.html").read_text()


def test_an_empty_mask_gives_nan_and_a_reason(ran):
    assert not [o for o in ran.result.failures if "sub-emptymask" in o.job_id]
    (table,) = ran.out.glob("sub-emptymask/ses-progression/anat/*_migration.tsv")
    row = next(r for r in read_tsv(table) if r["region"] == "CE_core" and r["transform"] == "rigid")
    assert row["status"] == "no_recurrence"
    assert row["outward_p95_mm"] == "n/a"
    assert "empty" in row["reason"]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("truncated", ("ses-progression_FLAIR.nii.gz", "ended before", "copy or export")),
        ("fouraxes", ("ses-progression_T2w.nii.gz", "3D image is expected", "4 axes")),
        ("movedmask", ("_dseg.nii.gz", "same grid", "7.00 mm apart")),
        ("unknownvalue", ("_dseg.nii.gz", "9", "brats-2024-post", "--label-scheme")),
        ("badlandmarks", ("sub-badlandmarks_landmarks.tsv", "followup_z_mm", "RAS+ mm")),
    ],
)
def test_a_faulty_file_fails_its_step_with_name_and_remedy(ran, label, words):
    message = ran.failure(label).message
    for word in words:
        assert word in message
    assert message.split("; ")[0][:60] in page(ran.out / f"sub-{label}.html")


@pytest.mark.parametrize(("label", "words"), [("nanvoxels", ("NaN", "3 of")), ("singular", ("singular", "sform"))])
def test_a_faulty_reference_image_fails_every_step_that_reads_it(ran, label, words):
    failed = [o for o in ran.result.failures if f"sub-{label}_" in o.job_id and o.status == "failed"]
    assert failed
    for outcome in failed:
        assert "ses-progression_ce-gadolinium_T1w.nii.gz" in outcome.message
        for word in words:
            assert word in outcome.message
    preop = [o for o in ran.result.outcomes.values() if f"sub-{label}_ses-preop" in o.job_id]
    assert all(o.is_ok for o in preop)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("unknownphase", ("sub-unknownphase_sessions.tsv", "relapse", "progression")),
        ("duplicatesession", ("listed twice", "one row per session")),
        ("negativeday", ("-90", "0 or more")),
    ],
)
def test_a_faulty_timeline_leaves_the_patient_out_and_says_why(ran, label, words):
    for word in words:
        assert word in ran.problem(label)
    assert ran.problem(label).split(": ")[-1][:30] in page(ran.out / "group.html")


def test_volumes_of_the_good_exam_survive_a_faulty_mask_of_the_other(ran):
    rows = read_tsv(ran.out / "sub-movedmask" / "sub-movedmask_volumes.tsv")
    assert [r["session_id"] for r in rows] == ["ses-preop"]


def test_inputs_are_never_changed_and_nothing_half_written_stays(ran, small_cohort):
    for path in (p for p in (small_cohort / "sub-01").rglob("*") if p.is_file()):
        copy = ran.data / Path(str(path.relative_to(small_cohort)).replace("sub-01", "sub-healthy"))
        assert copy.read_bytes() == path.read_bytes()
    assert not [p for p in ran.out.rglob("*") if ".tmp" in p.name]
    assert not (ran.out / ".regrowth" / "work").exists()


def test_every_image_and_table_has_a_sidecar_with_its_sources(ran):
    made = [p for p in (ran.out / "sub-healthy").rglob("*") if p.name.endswith((".nii.gz", ".tsv", "_xfm.txt"))]
    assert made
    for path in made:
        stem = path.name.removesuffix(".nii.gz").removesuffix(".tsv").removesuffix(".txt")
        facts = json.loads(path.with_name(stem + ".json").read_text())
        assert facts["Sources"]
        assert all(len(h) == 64 for h in facts["SourcesSHA256"].values())
        assert facts["GeneratedBy"][0]["Name"] == "Regrowth"


def test_a_read_only_output_folder_is_refused_before_work_starts(small_cohort, tmp_path, monkeypatch):
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # the tests may run as root, whom no permission stops
    with pytest.raises(OutputError, match="cannot be written"):
        regrowth.run(small_cohort, tmp_path / "out", derivatives=["truth"], parameters=FAST)


def test_a_full_disk_is_refused_before_work_starts(small_cohort, tmp_path, monkeypatch):
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        regrowth.run(small_cohort, tmp_path / "out", derivatives=["truth"], parameters=FAST)


HOLD = """
import sys
from pathlib import Path
from regrowth.workflow.run import _claimed, open_study
study = open_study(Path(sys.argv[1]), Path(sys.argv[2]), derivatives=["truth"], participants=["01"])
with _claimed(study, ["participant"], Path(sys.argv[2]) / ".regrowth" / "work"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_patient_that_another_run_works_on_is_refused_and_others_are_not(small_cohort, tmp_path):
    command = [sys.executable, "-c", HOLD, str(small_cohort), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline().strip() == "held"
        options = {"derivatives": ["truth"], "levels": ["participant"], "only_steps": ["tumour"], "parameters": FAST}
        with pytest.raises(OutputError, match="another run is working on 01"):
            regrowth.run(small_cohort, tmp_path, participants=["01"], **options)
        assert regrowth.run(small_cohort, tmp_path, participants=["02"], **options).exit_code == 0
        other.kill()
    assert regrowth.run(small_cohort, tmp_path, participants=["01"], **options).exit_code == 0


def test_results_are_never_written_into_the_data_set_itself(small_cohort):
    before = os.listdir(small_cohort)
    with pytest.raises(ParameterError, match="inputs are never changed"):
        regrowth.run(small_cohort, small_cohort)
    assert os.listdir(small_cohort) == before
