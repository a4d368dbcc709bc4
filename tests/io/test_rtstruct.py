"""Structures come out of a file where they were drawn, and go into one that planning systems can read."""

from __future__ import annotations

import json
from datetime import datetime
from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from regrowth.errors import GridMismatchError, ImageFileError, OutputError, ParameterError
from regrowth.io.dicom_geometry import read_dicom, series_grid
from regrowth.io.rtstruct import read_rtstruct, read_rtstruct_with_problems, write_rtstruct
from regrowth.radiotherapy import Contour, Structure, StructureSet
from regrowth.radiotherapy.contouring import structure_from_mask
from regrowth.radiotherapy.rasterise import rasterise
from regrowth.space import Grid
from tests.io.test_dicom_seg import FRAME, ORIENTATIONS, write_series

NAME = "GTV Łuków"


def grid_of(series: Path) -> Grid:
    return series_grid([read_dicom(p, pixels=False) for p in sorted(series.iterdir())], str(series))[0]


def ring_and_island(grid: Grid) -> np.ndarray:
    """Make a mask with a hole, an island in it, a part apart, and voxels at the edge of the images."""
    mask = np.zeros(grid.shape, bool)
    mask[1:10, 1:10, 1:4] = True
    mask[3:8, 3:8, 1:4] = False
    mask[5, 5, 1:3] = True
    mask[12:, 9:, 2:] = True
    return mask


@pytest.fixture
def series(tmp_path) -> Path:
    write_series(tmp_path / "mr")
    return tmp_path / "mr"


@pytest.fixture
def written(series, tmp_path) -> Path:
    grid = grid_of(series)
    own = structure_from_mask(ring_and_island(grid), grid, NAME, number=7, colour=(250, 128, 0), roi_type="GTV")
    write_rtstruct([own], series, tmp_path / "out" / "rs.dcm", label="RECURRENCE", software_version="1.0")
    return tmp_path / "out" / "rs.dcm"


def changed(path: Path, change) -> Path:
    """Write a file again after a change to its content."""
    dataset = dcmread(path)
    change(dataset)
    out = path.with_name("changed.dcm")
    dataset.save_as(out)
    return out


# --- both ways ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_mask_written_and_read_back_is_the_same_voxel_for_voxel(orientation, spacing, tmp_path):
    write_series(tmp_path / "mr", orientation, spacing)
    grid = grid_of(tmp_path / "mr")
    mask = ring_and_island(grid)
    done = write_rtstruct([structure_from_mask(mask, grid, NAME)], tmp_path / "mr", tmp_path / "rs.dcm")
    assert (done.status, done.n_structures, done.n_off_plane) == ("ok", 1, 0)
    (back,) = read_rtstruct(tmp_path / "rs.dcm").structures
    for between in ("none", "nearest", "shape"):
        np.testing.assert_array_equal(rasterise(back, grid, between=between).mask, mask)


@pytest.mark.parametrize(("holes", "kind"), [("xor", "CLOSEDPLANAR_XOR"), ("keyhole", "CLOSED_PLANAR")])
def test_holes_told_otherwise_read_back_to_the_same_voxels(holes, kind, series, tmp_path):
    grid = grid_of(series)
    mask = ring_and_island(grid)
    write_rtstruct([structure_from_mask(mask, grid, NAME)], series, tmp_path / "rs.dcm", holes=holes)
    (back,) = read_rtstruct(tmp_path / "rs.dcm").structures
    assert {c.geometric_type for c in back.contours} == {kind}
    np.testing.assert_array_equal(rasterise(back, grid).mask, mask)


def test_everything_about_a_structure_comes_back(written, series):
    found = read_rtstruct(written)
    (s,) = found.structures
    assert (s.name, s.number, s.colour, s.roi_type, s.frame_of_reference_uid) == (NAME, 7, (250, 128, 0), "GTV", FRAME)
    assert (found.label, found.frame_of_reference_uid, found.names()) == ("RECURRENCE", FRAME, (NAME,))
    image = dcmread(next(series.iterdir()))
    assert found.referenced_series_uid == image.SeriesInstanceUID
    assert found.sop_instance_uid == dcmread(written).SOPInstanceUID


def test_points_come_back_within_a_nanometre_in_ras(series, tmp_path, rng):
    points = np.column_stack([rng.normal(0, 300, (50, 2)), np.full(50, -33.0 + 2.0)])
    shapes = (Contour(points), Contour(points[:1], "POINT"), Contour(points[:5], "OPEN_PLANAR"))
    write_rtstruct(StructureSet((Structure("x", shapes),)), series, tmp_path / "rs.dcm")
    data = dcmread(tmp_path / "rs.dcm").ROIContourSequence[0].ContourSequence[0].ContourData
    np.testing.assert_allclose(np.array(data, float)[:3], points[0] * [-1, -1, 1], atol=1e-6)
    found, problems = read_rtstruct_with_problems(tmp_path / "rs.dcm")
    for a, b in zip(shapes, found.structures[0].contours, strict=True):
        assert a.geometric_type == b.geometric_type
        np.testing.assert_allclose(a.points_mm, b.points_mm, atol=1e-6)
    assert [p.problem for p in problems] == ["has contours of type OPEN_PLANAR"]


def test_contour_of_more_points_than_explicit_forms_hold_comes_back(series, tmp_path):
    angle = np.linspace(0, 2 * np.pi, 9000, endpoint=False)
    loop = np.column_stack([100 * np.cos(angle), 100 * np.sin(angle), np.full(9000, -33.0)])
    write_rtstruct([Structure("body", (Contour(loop),))], series, tmp_path / "rs.dcm")
    assert len(read_rtstruct(tmp_path / "rs.dcm").structures[0].contours[0].points_mm) == 9000


@pytest.mark.realdata
@pytest.mark.parametrize("image", ["CT", "MR_T1"])
@pytest.mark.parametrize("patient", ["STS_002", "STS_003"])
def test_published_masks_of_two_patients_are_met_voxel_for_voxel(patient, image, real_data, tmp_path):
    folder = real_data / "sarcoma-ct-mr-contours" / patient
    published = nib.load(folder / f"{image}_mask.nii.gz")
    mask = np.asarray(published.dataobj) > 0
    grid = Grid(mask.shape, published.affine)
    (structure,) = read_rtstruct(folder / image / "mask" / "RS.dcm").structures
    np.testing.assert_array_equal(rasterise(structure, grid).mask, mask)
    series = folder / image / "image"
    own = grid_of(series)
    again = structure_from_mask(rasterise(structure, own).mask, own, structure.name)
    assert write_rtstruct([again], series, tmp_path / "rs.dcm").status == "ok"
    np.testing.assert_array_equal(rasterise(read_rtstruct(tmp_path / "rs.dcm").structures[0], grid).mask, mask)


@pytest.mark.realdata
def test_structure_that_was_named_but_never_drawn_is_kept(real_data):
    found, problems = read_rtstruct_with_problems(real_data / "breast-boost-plan" / "rtss.dcm")
    assert len(found.structures) == 10
    assert [s.name for s in found.structures if not s.contours] == ["Areola"]
    assert [(p.name, p.problem, p.is_loss) for p in problems] == [("Areola", "has no contours", False)]


# --- what planning systems want -------------------------------------------------------------------------------------


def standard(name: str) -> dict:
    """Open a table of the DICOM standard (part 3) as highdicom carries it."""
    return json.loads(resources.files("highdicom").joinpath("_standard", name).read_text())


def items(dataset: Dataset, path: list[str]) -> list[Dataset]:
    out = [dataset]
    for keyword in path:
        out = [item for parent in out for item in parent.get(keyword) or ()]
    return out


def test_every_attribute_that_the_standard_demands_is_there(written):
    dataset = dcmread(written)
    modules = [m["key"] for m in standard("iod_module_map.json")["rt-structure-set"] if m["usage"] == "M"]
    attributes = standard("module_attribute_map.json")
    n = 0
    for module in [*modules, "frame-of-reference", "approval"]:
        for a in attributes[module]:
            for item in items(dataset, a["path"]) if a["type"] in ("1", "2") else ():
                n += 1
                assert a["keyword"] in item, f"{module}: {a}"
                assert a["type"] == "2" or item.get(a["keyword"]) not in (None, ""), f"{module}: {a} is empty"
    assert n > 100


def test_numbers_have_at_most_sixteen_characters_and_form_is_implicit(written):
    dataset = dcmread(written)
    assert dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        text = contour.get_item("ContourData").value.decode()
        assert max(len(v.strip()) for v in text.split("\\")) <= 16
        assert int(contour.NumberOfContourPoints) * 3 == text.count("\\") + 1


def test_contours_refer_to_the_image_that_they_lie_on(written, series):
    places = {d.SOPInstanceUID: float(d.ImagePositionPatient[2]) for d in map(dcmread, series.iterdir())}
    dataset = dcmread(written)
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
        assert places[uid] == pytest.approx(float(contour.ContourData[2]), abs=1e-4)
    study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    uids = [i.ReferencedSOPInstanceUID for i in study.RTReferencedSeriesSequence[0].ContourImageSequence]
    assert sorted(uids) == sorted(places)


def test_file_belongs_to_the_study_of_the_images(written, series):
    dataset, image = dcmread(written), dcmread(next(series.iterdir()))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID"):
        assert dataset[keyword].value == image[keyword].value
    assert dataset.SeriesInstanceUID != image.SeriesInstanceUID


def test_contours_between_images_are_written_and_told(series, tmp_path):
    loop = np.array([[0, 0, -32.0], [5, 0, -32.0], [0, 5, -32.0]])
    s = Structure("x", (Contour(loop), Contour(loop + np.array([0, 0, 1.0]))))
    done = write_rtstruct([s], series, tmp_path / "rs.dcm")
    assert (done.status, done.n_contours, done.n_off_plane) == ("off_plane", 2, 1)
    assert "structure_from_mask" in done.reason
    assert len(read_rtstruct(tmp_path / "rs.dcm").structures[0].contours) == 2


def test_numbers_are_kept_only_if_all_differ(series, tmp_path):
    own = [Structure(n, (), k) for n, k in (("a", 3), ("b", 3), ("c", 0))]
    write_rtstruct(own, series, tmp_path / "rs.dcm")
    assert [s.number for s in read_rtstruct(tmp_path / "rs.dcm").structures] == [1, 2, 3]
    write_rtstruct([own[0], Structure("d", (), 1)], series, tmp_path / "rs.dcm")
    assert [s.number for s in read_rtstruct(tmp_path / "rs.dcm").structures] == [3, 1]


def test_synthetic_and_time_are_said(series, tmp_path):
    when = datetime(2020, 3, 4, 5, 6, 7)
    write_rtstruct([Structure("a")], series, tmp_path / "rs.dcm", synthetic=True, written_at=when)
    dataset = dcmread(tmp_path / "rs.dcm")
    assert (dataset.SyntheticData, dataset.StructureSetLabel) == ("YES", "SYN REGROWTH")
    assert (dataset.StructureSetDate, dataset.StructureSetTime) == ("20200304", "050607")


def test_series_without_identity_leaves_it_empty(tmp_path):
    write_series(tmp_path / "mr", PatientName=None, PatientID=None, StudyDate=None, AccessionNumber="")
    write_rtstruct([Structure("a")], tmp_path / "mr", tmp_path / "rs.dcm")
    dataset = dcmread(tmp_path / "rs.dcm")
    assert (str(dataset.PatientName), dataset.PatientID, dataset.StudyDate) == ("", "", "")


TRIANGLE = np.array([[0, 0, 0], [5, 0, 0], [0, 5, 0.0]])


@pytest.mark.parametrize(
    ("structures", "options", "match"),
    [
        ([], {}, "no structures"),
        ([Structure("a"), Structure("a ")], {}, "called 'a'"),
        ([Structure("x" * 65)], {}, "1 to 64"),
        ([Structure("a\\b")], {}, "backslash"),
        ([Structure("a", roi_type="gtv")], {}, "capitals"),
        ([Structure("a", colour=(0, 0, 256))], {}, "colour"),
        ([Structure("a", (Contour(TRIANGLE[:2]),))], {}, "none of DICOM"),
        ([Structure("a", (Contour(TRIANGLE, "POINT"),))], {}, "none of DICOM"),
        ([Structure("a", (Contour(TRIANGLE + 1e10),))], {}, "no patient"),
        ([Structure("a")], {"label": "L" * 17}, "1 to 16"),
        ([Structure("a")], {"generation": "robot"}, "AUTOMATIC"),
        ([Structure("a")], {"holes": "none"}, "holes is one of"),
    ],
)
def test_what_dicom_does_not_allow_is_refused_and_nothing_is_written(structures, options, match, series, tmp_path):
    with pytest.raises(ParameterError, match=match):
        write_rtstruct(structures, series, tmp_path / "rs.dcm", **options)
    assert not (tmp_path / "rs.dcm").exists()


def test_structure_of_another_frame_of_reference_is_refused(series, tmp_path):
    with pytest.raises(GridMismatchError, match="frame of reference"):
        write_rtstruct([Structure("a", frame_of_reference_uid="1.2.3")], series, tmp_path / "rs.dcm")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"FrameOfReferenceUID": None}, "no FrameOfReferenceUID"),
        ({"FrameOfReferenceUID": lambda k: f"1.2.{k + 1}"}, "several frames"),
        ({"SeriesInstanceUID": lambda k: f"1.2.{k + 1}"}, "SeriesInstanceUID: images of 6"),
        ({"NumberOfFrames": 2}, "multi-frame"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
    ],
)
def test_series_that_is_none_is_refused(changes, match, tmp_path):
    write_series(tmp_path / "mr", **changes)
    with pytest.raises(ImageFileError, match=match):
        write_rtstruct([Structure("a")], tmp_path / "mr", tmp_path / "rs.dcm")


def test_file_among_the_images_is_refused(series):
    with pytest.raises(OutputError, match="among the images"):
        write_rtstruct([Structure("a")], series, series / "rs.dcm")


def test_folder_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageFileError, match="no DICOM image"):
        write_rtstruct([Structure("a")], tmp_path / "empty", tmp_path / "rs.dcm")
    with pytest.raises(ImageFileError, match="no such folder"):
        write_rtstruct([Structure("a")], tmp_path / "absent", tmp_path / "rs.dcm")


# --- files that are not as they should be ---------------------------------------------------------------------------


def test_tilted_contours_are_kept(series, tmp_path):
    tilted = TRIANGLE + np.array([[0, 0, 0], [0, 0, 3], [0, 0, -2.0]])
    write_rtstruct([Structure("x", (Contour(TRIANGLE), Contour(tilted)))], series, tmp_path / "rs.dcm")
    np.testing.assert_allclose(read_rtstruct(tmp_path / "rs.dcm").structures[0].contours[1].points_mm, tilted)


def test_absent_frame_of_reference_is_told_and_left_empty(written):
    def change(dataset):
        del dataset.ReferencedFrameOfReferenceSequence, dataset.FrameOfReferenceUID
        del dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID

    found, problems = read_rtstruct_with_problems(changed(written, change))
    assert found.structures[0].frame_of_reference_uid == found.frame_of_reference_uid == found.referenced_series_uid == ""
    assert problems[0].problem == "names no frame of reference"
    assert read_rtstruct(changed(written, change)).structures[0].contours


def test_frame_of_the_set_stands_in_for_that_of_a_structure(written):
    def change(dataset):
        del dataset.FrameOfReferenceUID, dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID

    assert read_rtstruct(changed(written, change)).structures[0].frame_of_reference_uid == FRAME


def test_contours_without_a_name_are_kept_under_their_number(written):
    def change(dataset):
        dataset.StructureSetROISequence[0].ROINumber = 12

    found, problems = read_rtstruct_with_problems(changed(written, change))
    assert [(s.name, bool(s.contours)) for s in found.structures] == [(NAME, False), ("ROI 7", True)]
    assert {p.problem for p in problems} == {"has no contours", "has contours but no name"}


def test_damaged_contour_is_refused_or_left_out_and_told(written):
    def change(dataset):
        first, second = dataset.ROIContourSequence[0].ContourSequence[:2]
        first.ContourData = first.ContourData[:-1]
        second.NumberOfContourPoints = 99

    path = changed(written, change)
    with pytest.raises(ImageFileError, match="1 contour"):
        read_rtstruct(path)
    found, problems = read_rtstruct_with_problems(path)
    assert len(found.structures[0].contours) == len(read_rtstruct(written).structures[0].contours) - 1
    assert [p.is_loss for p in problems] == [True, False]
    assert "than they declare" in problems[1].problem


def test_second_set_of_contours_for_a_structure_is_a_loss(written):
    def change(dataset):
        dataset.ROIContourSequence.append(dataset.ROIContourSequence[0])

    with pytest.raises(ImageFileError, match="several items of structure 7"):
        read_rtstruct(changed(written, change))


def test_first_point_that_is_repeated_at_the_end_is_left_out(series, tmp_path):
    write_rtstruct([Structure("x", (Contour(TRIANGLE[[0, 1, 2, 0]]),))], series, tmp_path / "rs.dcm")
    np.testing.assert_allclose(read_rtstruct(tmp_path / "rs.dcm").structures[0].contours[0].points_mm, TRIANGLE)


def test_file_of_another_kind_or_none_is_refused(series, tmp_path):
    with pytest.raises(ImageFileError, match="not RTSTRUCT"):
        read_rtstruct(next(series.iterdir()))
    (tmp_path / "notes.dcm").write_text("hello")
    with pytest.raises(ImageFileError, match="cannot be read as DICOM"):
        read_rtstruct(tmp_path / "notes.dcm")


def test_file_cut_off_anywhere_is_refused_or_loses_nothing_that_was_drawn(written):
    data, whole = written.read_bytes(), read_rtstruct(written).structures[0].contours
    cut = written.with_name("cut.dcm")
    refused = 0
    for length in range(60, len(data), 31):
        cut.write_bytes(data[:length])
        try:
            found = read_rtstruct(cut).structures[0].contours
        except ImageFileError:
            refused += 1
            continue
        assert len(found) == len(whole)
        assert all(np.array_equal(a.points_mm, b.points_mm) for a, b in zip(found, whole, strict=True))
    assert refused > 100


def test_messages_and_problems_hold_no_name_of_a_patient(written):
    def change(dataset):
        dataset.PatientName, dataset.PatientID = "SECRET^NAME", "SECRET"
        dataset.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2"]

    path = changed(written, change)
    found, problems = read_rtstruct_with_problems(path)
    assert "SECRET" not in repr((found, problems))
    with pytest.raises(ImageFileError) as told:
        read_rtstruct(path)
    assert "SECRET" not in str(told.value)
