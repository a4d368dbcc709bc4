"""An index links what the files say belongs together, names what is wrong, shows no patient and goes on."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from regrowth.errors import ImageFileError, ParameterError
from regrowth.io.dicom_index import DicomIndex, choose_dose, index_folder
from regrowth.io.dicom_plan_writing import write_registration
from regrowth.io.dicom_seg import write_probability_seg
from regrowth.io.dicom_series import read_image_series
from regrowth.io.dicom_volume_writing import write_image_series, write_rtdose
from regrowth.space import AffineMap, Image
from tests.io.dicom_folder import STUDY, ct_image, dose_image, export, of_patient, spoil


def links(index: DicomIndex) -> set[tuple[str, str, str]]:
    return {(index.find(x.source_uid).kind, index.find(x.target_uid).kind, x.basis) for x in index.links}


def problems(index: DicomIndex) -> str:
    return "\n".join(f"{p.path}: {p.problem}; {p.remedy}" for p in index.problems)


def manifest(folder: Path, *rows: str, columns: str = "path\trefers_to") -> Path:
    path = folder.parent / "manifest.tsv"
    path.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return path


BY_UID = {("RTSTRUCT", "IMAGE", "uid"), ("RTPLAN", "RTSTRUCT", "uid"), ("RTDOSE", "RTPLAN", "uid")}


# --- what belongs together ----------------------------------------------------------------------------------------------


def test_a_sound_export_is_linked_by_uids_and_has_no_problems(tmp_path):
    made = export(tmp_path / "x")
    index = index_folder(tmp_path / "x")
    assert links(index) == BY_UID
    assert index.problems == ()
    assert (index.n_files, index.n_other) == (8, 0)
    assert [o.kind for o in index.objects] == ["IMAGE", "RTSTRUCT", "RTPLAN", "RTDOSE"]
    assert index.linked(made.dose, "plan")[0].uid == made.plan
    assert index.linking(made.plan, "plan")[0].uid == made.dose
    assert index.find(made.series).grid.shape == (8, 6, 5)
    assert len(index.files(made.series)) == 5


@pytest.mark.parametrize("seed", [1, 2])
def test_neither_names_of_files_nor_folders_matter(tmp_path, seed):
    export(tmp_path / "tidy")
    paths = sorted(p for p in (tmp_path / "tidy").rglob("*.dcm"))
    random.Random(seed).shuffle(paths)
    for number, path in enumerate(paths):
        target = tmp_path / "heap" / f"{number % 3}" / f"{number:04d}"  # without suffix
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    tidy, heap = (index_folder(tmp_path / name, salt="s") for name in ("tidy", "heap"))
    assert [(o.uid, o.patient, o.grid, o.day) for o in heap.objects] == [
        (o.uid, o.patient, o.grid, o.day) for o in tidy.objects
    ]
    assert heap.links == tidy.links
    assert heap.problems == ()


def test_days_count_from_the_first_date_of_each_patient(tmp_path):
    export(tmp_path)
    later = replace(STUDY, study="later", frame="later", study_date=STUDY.study_date.replace(year=2022))
    write_image_series(ct_image(), tmp_path / "later", later, "CT later")
    index = index_folder(tmp_path)
    assert sorted(o.day for o in index.of_kind("IMAGE")) == [0, 365]


def test_a_registration_joins_its_frames(tmp_path):
    write_registration(AffineMap(np.eye(4)), tmp_path / "reg.dcm", STUDY, "1.2.3.4", "rigid")
    (found,) = index_folder(tmp_path).objects
    assert found.kind == "REG"
    assert set(found.frames) == {STUDY.frame_uid, "1.2.3.4"}


def test_a_plan_that_names_no_structures_takes_the_only_ones_in_its_frame_and_says_that_this_is_weaker(tmp_path):
    made = export(tmp_path)
    spoil(tmp_path / "rp.dcm", lambda d: d.__delattr__("ReferencedStructureSetSequence"))
    index = index_folder(tmp_path)
    assert ("RTPLAN", "RTSTRUCT", "frame_of_reference") in links(index)
    assert index.linked(made.plan, "structures")[0].uid == made.structures
    assert "rp.dcm: refers to no structure set; linked to the only one" in problems(index)


def test_of_two_in_the_same_frame_none_is_guessed_and_the_manifest_decides(tmp_path):
    folder = tmp_path / "x"
    made = export(folder)
    shutil.copy(folder / "rs.dcm", folder / "rs2.dcm")
    spoil(folder / "rs2.dcm", lambda d: setattr(d, "SOPInstanceUID", generate_uid()))
    spoil(folder / "rp.dcm", lambda d: d.__delattr__("ReferencedStructureSetSequence"))
    index = index_folder(folder)
    assert index.linked(made.plan, "structures") == ()
    assert "refers to no structure set, and 2 lie in its frame of reference; not linked" in problems(index)
    index = index_folder(folder, manifest=manifest(folder, "rp.dcm\trs.dcm"))
    assert index.linked(made.plan, "structures")[0].uid == made.structures
    assert ("RTPLAN", "RTSTRUCT", "manifest") in links(index)
    assert "rp.dcm" not in problems(index)


def test_a_dose_is_not_given_to_another_plan_when_its_own_is_absent(tmp_path):
    made = export(tmp_path)
    spoil(tmp_path / "rp.dcm", lambda d: setattr(d, "SOPInstanceUID", generate_uid()))
    index = index_folder(tmp_path)
    assert index.linked(made.dose, "plan") == ()
    assert "rd.dcm: refers to a plan that is not here" in problems(index)


def test_structures_whose_series_was_renamed_are_found_by_their_images_or_their_frame(tmp_path):
    made = export(tmp_path)
    series = generate_uid()
    for path in (tmp_path / "ct").iterdir():
        spoil(path, lambda d: setattr(d, "SeriesInstanceUID", series))
    index = index_folder(tmp_path)
    assert index.linked(made.structures, "series")[0].uid == series
    assert ("RTSTRUCT", "IMAGE", "uid") in links(index)
    for path in (tmp_path / "ct").iterdir():
        spoil(path, lambda d: setattr(d, "SOPInstanceUID", generate_uid()))
    index = index_folder(tmp_path)
    assert ("RTSTRUCT", "IMAGE", "frame_of_reference") in links(index)
    assert "rs.dcm: refers to a series of images that is not here; linked to the only one" in problems(index)


def test_images_that_structures_refer_to_and_that_are_absent_are_counted(tmp_path):
    export(tmp_path)
    next((tmp_path / "ct").iterdir()).unlink()
    assert "rs.dcm: 1 of 5 images that it refers to are not in its series" in problems(index_folder(tmp_path))


def test_a_dose_in_another_frame_of_reference_than_its_plan_is_named(tmp_path):
    made = export(tmp_path)
    spoil(tmp_path / "rd.dcm", lambda d: setattr(d, "FrameOfReferenceUID", "1.2.3"))
    index = index_folder(tmp_path)
    assert index.linked(made.dose, "plan")
    assert "rd.dcm: lies in another frame of reference than the plan that it belongs to" in problems(index)


def test_a_segmentation_is_linked_to_its_series(tmp_path):
    made = export(tmp_path)
    image = ct_image()
    share = Image(np.full(image.grid.shape, 0.5, np.float32), image.grid, "1")
    write_probability_seg(share, tmp_path / "ct", tmp_path / "seg.dcm", algorithm_version="1")
    index = index_folder(tmp_path)
    (found,) = index.of_kind("SEG")
    assert [o.uid for o in index.linked(found.uid, "series")] == [made.series]
    assert index.problems == ()


def test_a_manifest_does_not_overrule_what_a_file_says(tmp_path):
    folder = tmp_path / "x"
    made = export(folder)
    shutil.copy(folder / "rs.dcm", folder / "rs2.dcm")
    spoil(folder / "rs2.dcm", lambda d: setattr(d, "SOPInstanceUID", generate_uid()))
    index = index_folder(folder, manifest=manifest(folder, "rp.dcm\trs2.dcm"))
    assert [o.uid for o in index.linked(made.plan, "structures")] == [made.structures]
    assert "the manifest names another structure set than the file itself" in problems(index)


@pytest.mark.parametrize(
    ("columns", "row", "words"),
    [
        ("path\trefers_to", "absent.dcm\trs.dcm", "'absent.dcm' is no file"),
        ("path\trefers_to", "rp.dcm\t../rs.dcm", "is no file or folder below"),
        ("path\tlooks_like", "rp.dcm\tx", "column 'looks_like' is unknown"),
        ("refers_to\tignore", "rp.dcm\tyes", "has no column path"),
        ("path\tignore", "rp.dcm\tperhaps", "yes or no"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_before_work_starts(tmp_path, columns, row, words):
    export(tmp_path / "x")
    with pytest.raises(ParameterError, match=words):
        index_folder(tmp_path / "x", manifest=manifest(tmp_path / "x", row, columns=columns))


# --- doses ----------------------------------------------------------------------------------------------------------------


def test_the_dose_of_the_plan_comes_before_those_of_its_beams(tmp_path):
    made = export(tmp_path)
    write_rtdose(dose_image(30), tmp_path / "b1.dcm", STUDY, "b1", plan_uid=made.plan, summation_type="BEAM", beam=1)
    choice = choose_dose(index_folder(tmp_path), made.plan)
    assert (choice.status, choice.summation, choice.dose_uids) == ("ok", "PLAN", (made.dose,))


def test_beams_are_added_up_when_they_are_all_there_and_a_missing_one_is_said(tmp_path):
    made = export(tmp_path)
    (tmp_path / "rd.dcm").unlink()
    beams = [
        write_rtdose(dose_image(30), tmp_path / f"b{n}.dcm", STUDY, f"b{n}", plan_uid=made.plan, summation_type="BEAM", beam=n)
        for n in (1, 2)
    ]
    choice = choose_dose(index_folder(tmp_path), made.plan)
    assert (choice.status, choice.summation, set(choice.dose_uids)) == ("ok", "BEAM", set(beams))
    (tmp_path / "b2.dcm").unlink()
    index = index_folder(tmp_path)
    choice = choose_dose(index, made.plan)
    assert (choice.status, choice.dose_uids) == ("incomplete", (beams[0],))
    assert "the doses of 1 of 2 beams are not here" in problems(index)


def test_between_two_doses_of_one_plan_nobody_chooses_until_one_is_left_out(tmp_path):
    folder = tmp_path / "x"
    made = export(folder)
    write_rtdose(dose_image(50), folder / "rd2.dcm", STUDY, "second", plan_uid=made.plan)
    index = index_folder(folder)
    choice = choose_dose(index, made.plan)
    assert (choice.status, choice.dose_uids) == ("ambiguous", ())
    assert "rp.dcm: 2 doses say that they are the dose of the plan" in problems(index)
    index = index_folder(folder, manifest=manifest(folder, "rd2.dcm\tyes", columns="path\tignore"))
    assert choose_dose(index, made.plan).dose_uids == (made.dose,)
    assert index.problems == ()


def test_two_doses_of_one_beam_are_ambiguous(tmp_path):
    made = export(tmp_path, n_beams=1)
    (tmp_path / "rd.dcm").unlink()
    for n in (1, 2):
        write_rtdose(dose_image(30), tmp_path / f"b{n}.dcm", STUDY, f"b{n}", plan_uid=made.plan, summation_type="BEAM", beam=1)
    assert choose_dose(index_folder(tmp_path), made.plan).status == "ambiguous"


@pytest.mark.parametrize(("kind", "status"), [("MULTI_PLAN", "multi_plan"), ("CONTROL_POINT", "missing"), ("FRACTION", "ok")])
def test_other_sums_are_named_for_what_they_are(tmp_path, kind, status):
    made = export(tmp_path)
    spoil(tmp_path / "rd.dcm", lambda d: setattr(d, "DoseSummationType", kind))
    choice = choose_dose(index_folder(tmp_path), made.plan)
    assert choice.status == status
    assert bool(choice.dose_uids) == (status != "missing")


# --- patients -------------------------------------------------------------------------------------------------------------


def test_patients_in_one_folder_are_told_apart_and_called_by_salted_labels(tmp_path):
    for k, study in enumerate((of_patient("A-1"), of_patient("B-2"))):
        made = export(tmp_path / f"{k}", study)
        for path in (tmp_path / f"{k}").glob("*.dcm"):
            shutil.move(path, tmp_path / f"{k}_{path.name}")
    index = index_folder(tmp_path, salt="s")
    assert len(index.patients()) == 2
    assert len(index.of_kind("RTDOSE", index.find(made.plan).patient)) == 1
    assert links(index) == BY_UID
    assert ".: holds files of 2 patients" in problems(index)
    assert index_folder(tmp_path, salt="s").patients() == index.patients()
    assert not set(index_folder(tmp_path).patients()) & set(index.patients())
    assert index_folder(tmp_path, keep_identifiers=True).patients() == ("A-1", "B-2")


def test_no_table_shows_names_or_identifiers_unless_that_was_asked_for(tmp_path):
    folder = tmp_path / "Nachtigall_Ilse" / "Q4711"
    export(folder)
    shutil.copy(folder / "rs.dcm", folder / "RS_Q-4711.dcm")
    (folder / "nachtigall.dcm").write_bytes(b"no DICOM")
    next((folder / "ct").iterdir()).unlink()
    index = index_folder(tmp_path)
    shown = repr(index.object_rows() + index.link_rows() + index.problem_rows() + list(index.problems)).lower()
    assert len(index.problems) >= 3
    assert not any(word in shown for word in ("nachtigall", "ilse", "4711"))
    assert index.patients()[0] in shown
    kept = index_folder(tmp_path, keep_identifiers=True)
    assert "Nachtigall_Ilse/Q4711/rp.dcm" in repr(kept.object_rows())


def test_files_without_identifier_belong_to_whom_their_uids_lead_to(tmp_path):
    export(tmp_path)
    for name in ("rs.dcm", "rp.dcm"):
        spoil(tmp_path / name, lambda d: setattr(d, "PatientID", ""))
    index = index_folder(tmp_path)
    assert len(index.patients()) == 1
    assert links(index) == BY_UID
    assert "rs.dcm: has no patient identifier; taken as the patient that its UIDs lead to" in problems(index)


def test_a_patient_whose_tags_were_all_emptied_is_one_patient_and_two_such_are_two(tmp_path):
    for k in range(2):
        study = replace(STUDY, patient_id=f"{k}")
        export(tmp_path / f"{k}", study)
        for path in (tmp_path / f"{k}").rglob("*.dcm"):
            spoil(path, lambda d: [setattr(d, key, "") for key in ("PatientID", "PatientName", "StudyDate", "Modality")])
    index = index_folder(tmp_path)
    assert len(index.patients()) == 2
    assert links(index) == BY_UID
    assert len(index.problems) == 8  # one for each object, not for each image
    assert "say whose it is in the column patient" in problems(index)


def test_a_manifest_names_the_patient_of_files_that_do_not(tmp_path):
    folder = tmp_path / "x"
    export(folder)
    path = manifest(folder, "ct\tP1", "rs.dcm\tP1", "rp.dcm\tP1", "rd.dcm\tP1", columns="path\tpatient")
    assert index_folder(folder, manifest=path).patients() == ("P1",)


def test_a_reference_to_another_patients_object_is_flagged(tmp_path):
    made = export(tmp_path)
    spoil(tmp_path / "rs.dcm", lambda d: setattr(d, "PatientID", "SOMEONE-ELSE"))
    index = index_folder(tmp_path)
    assert index.linked(made.structures, "series")
    assert "rs.dcm: its patient identifier is not that of the series of images that it refers to" in problems(index)


def test_names_in_other_scripts_and_damaged_character_sets_do_no_harm(tmp_path):
    made = export(tmp_path, of_patient("J-1", "Müller^Jürgen=山田^太郎"))
    plan = (tmp_path / "rp.dcm").read_bytes()
    assert plan.count(b"ISO_IR 192") == 1
    (tmp_path / "rp.dcm").write_bytes(plan.replace(b"ISO_IR 192", b"ISO_IR 999"))
    shutil.move(tmp_path / "rd.dcm", tmp_path / "Müller 山田.dcm")
    index = index_folder(tmp_path, salt="s")
    assert len(index.patients()) == 1
    assert index.linked(made.dose, "plan")[0].uid == made.plan
    assert "Müller" not in repr(index.object_rows())
    assert "山田" not in index.find(made.dose).shown_path


# --- damaged files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("name", ["rs.dcm", "rp.dcm", "rd.dcm", "ct"])
def test_a_file_that_is_cut_off_is_named_and_the_others_go_on(tmp_path, name, share):
    export(tmp_path)
    path = next((tmp_path / "ct").iterdir()) if name == "ct" else tmp_path / name
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    index = index_folder(tmp_path)
    named = [p for p in index.problems if p.path == path.relative_to(tmp_path).as_posix()]
    assert named[0].remedy.startswith("left out"), problems(index)
    assert len(index.of_kind("IMAGE")) == 1
    assert len(index.of_kind("IMAGE")[0].paths) == (4 if name == "ct" else 5)


@pytest.mark.parametrize("undefined_length", [True, False])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_whole_files_of_every_uncompressed_syntax_are_whole_and_their_beginnings_are_not(tmp_path, syntax, undefined_length):
    made = export(tmp_path)
    for name in ("rs.dcm", "rp.dcm"):
        dataset = dcmread(tmp_path / name)
        for element in dataset.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = undefined_length
                for item in element.value:
                    item.is_undefined_length_sequence_item = undefined_length
        dataset.file_meta.TransferSyntaxUID = syntax
        force = not syntax.is_little_endian
        dcmwrite(tmp_path / name, dataset, force_encoding=force, implicit_vr=syntax.is_implicit_VR, little_endian=not force)
    index = index_folder(tmp_path)
    assert links(index) == BY_UID
    assert index.problems == ()
    if syntax != DeflatedExplicitVRLittleEndian:
        whole = (tmp_path / "rs.dcm").read_bytes()
        last = whole.rindex(b"\x06\x30\x80\x00" if syntax.is_little_endian else b"\x30\x06\x00\x80")  # observations
        for length in (*range(last + 9, len(whole), 7), len(whole) - 1):
            if whole[length : length + 4] in (b"\x0e\x30\x02\x00", b"\x30\x0e\x00\x02"):
                continue  # exactly before ApprovalStatus, the last element: nobody can tell
            (tmp_path / "rs.dcm").write_bytes(whole[:length])
            index = index_folder(tmp_path)
            assert "cut off: " in problems(index), (length, len(whole))
            assert made.structures not in {o.uid for o in index.objects}


def test_compressed_images_are_read_or_said_to_be_unreadable(tmp_path):
    export(tmp_path)
    for path in (tmp_path / "ct").iterdir():
        dataset = dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    assert index_folder(tmp_path).problems == ()
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert "is cut off: 32 bytes are missing" in problems(index_folder(tmp_path))
    path.write_bytes(whole)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2, of which no CT is made
    dataset.save_as(path)
    assert "its pixels are compressed (MPEG2" in problems(index_folder(tmp_path))


def test_random_damage_never_ends_an_index(tmp_path, rng):
    export(tmp_path)
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*.dcm")}
    n_problems = 0
    for _ in range(60):
        for path, good in whole.items():
            bad = np.frombuffer(good, np.uint8).copy()
            at = rng.integers(132, min(len(bad), 2500), rng.choice([0, 1, 3, 20]))
            bad[at] = rng.integers(0, 256, len(at))
            path.write_bytes(bad.tobytes())
        index = index_folder(tmp_path)
        n_problems += len(index.problems)
        assert len(index.object_rows()) == len(index.objects)
        for found in index.of_kind("IMAGE"):
            try:
                assert read_image_series(index, found.uid).data.ndim == 3
            except ImageFileError as error:
                assert str(error).startswith(found.shown_path)  # noqa: PT017
    assert n_problems > 60


def test_notes_and_hidden_files_are_counted_and_left_alone(tmp_path):
    export(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.dcm").write_text("hello")
    index = index_folder(tmp_path)
    assert (index.n_files, index.n_other, index.problems) == (9, 1, ())


def test_copies_are_left_out_and_other_contents_under_the_same_uid_are_named(tmp_path):
    export(tmp_path)
    shutil.copy(tmp_path / "rd.dcm", tmp_path / "rd_copy.dcm")
    shutil.copy(tmp_path / "rp.dcm", tmp_path / "rp_2.dcm")
    spoil(tmp_path / "rp_2.dcm", lambda d: setattr(d, "RTPlanLabel", "other"))
    index = index_folder(tmp_path)
    assert [len(index.of_kind(kind)) for kind in ("RTDOSE", "RTPLAN")] == [1, 1]
    assert "rd_copy.dcm: is a copy of rd.dcm; left out" in problems(index)
    assert "rp_2.dcm: has the UID of rp.dcm, but other contents" in problems(index)


def shift_plane(dataset):
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y + 0.2 * float(z), z]


def test_a_tilted_gantry_and_a_missing_plane_are_named(tmp_path):
    export(tmp_path)
    sorted_paths = sorted((tmp_path / "ct").iterdir(), key=lambda p: dcmread(p).InstanceNumber)
    sorted_paths[2].unlink()
    index = index_folder(tmp_path)
    assert "makes no volume: distances between planes run from 3 to 6 mm" in problems(index)
    assert index.of_kind("IMAGE")[0].grid is None
    shutil.rmtree(tmp_path / "ct")
    export(tmp_path)
    for path in (tmp_path / "ct").iterdir():
        spoil(path, shift_plane)
    assert "tilted gantry" in problems(index_folder(tmp_path))


def test_files_without_uids_are_named(tmp_path):
    export(tmp_path)
    spoil(tmp_path / "rd.dcm", lambda d: setattr(d, "SOPInstanceUID", ""))
    spoil(next((tmp_path / "ct").iterdir()), lambda d: d.__delattr__("SeriesInstanceUID"))
    text = problems(index_folder(tmp_path))
    assert "rd.dcm: has no SOPInstanceUID" in text
    assert "has no SeriesInstanceUID" in text


def test_an_absent_folder_or_object_is_refused(tmp_path):
    with pytest.raises(ImageFileError, match="no such folder"):
        index_folder(tmp_path / "absent")
    export(tmp_path)
    with pytest.raises(ParameterError, match="has no object"):
        index_folder(tmp_path).find("1.2.3")


@pytest.mark.realdata
def test_a_real_breast_plan_is_linked_by_uids(real_data):
    index = index_folder(real_data / "breast-boost-plan")
    assert links(index) == BY_UID | {("RTDOSE", "RTSTRUCT", "uid")}
    (plan,) = index.of_kind("RTPLAN")
    assert choose_dose(index, plan.uid).status == "ok"
    assert "makes no volume: 1 image(s)" in problems(index)
    assert "97 of 98 images" in problems(index)


@pytest.mark.realdata
def test_real_scans_of_two_patients_are_told_apart_and_linked(real_data):
    index = index_folder(real_data / "sarcoma-ct-mr-contours")
    assert len(index.patients()) == 2
    assert [len(index.of_kind(kind)) for kind in ("IMAGE", "RTSTRUCT")] == [4, 4]
    for structures in index.of_kind("RTSTRUCT"):
        (series,) = index.linked(structures.uid, "series")
        assert series.modality in structures.paths[0].as_posix()
        assert series.paths[0].parts[0] == structures.paths[0].parts[0]
    assert "STS_00" not in repr(index.object_rows() + index.problem_rows())
