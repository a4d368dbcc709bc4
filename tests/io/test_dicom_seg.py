"""A map of probabilities lies in the file where it lies in the patient, within 1/255; what is no volume is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from regrowth.errors import GridMismatchError, ImageFileError, OutputError, ParameterError
from regrowth.io.dicom_geometry import series_grid
from regrowth.io.dicom_seg import read_seg_probability, write_probability_seg
from regrowth.space import Grid, Image

_C, _S = np.cos(0.4), np.sin(0.4)
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (_C, _S, 0, -_S * _C, _C * _C, _S),
}
SPACINGS = {"isotropic": (2.0, 2.0, 2.0), "anisotropic": (0.9, 1.4, 6.5)}  # between rows, columns, planes
COLUMNS, ROWS, PLANES = 14, 11, 6
FIRST = np.array([-12.0, 20.0, -33.0])
FRAME = "1.2.826.0.1.3680043.8.498.2"


def write_series(folder: Path, orientation="axial", spacing="isotropic", *, order=None, heights=None, **changes) -> list[Path]:
    """Write an MR series by hand; files are named in the given order of planes."""
    cosines = np.array(ORIENTATIONS[orientation], float)
    between_rows, between_columns, between_planes = SPACINGS[spacing]
    normal = np.cross(cosines[:3], cosines[3:])
    heights = between_planes * np.arange(PLANES) if heights is None else np.asarray(heights, float)
    study, series = generate_uid(), generate_uid()
    folder.mkdir(exist_ok=True)
    paths = []
    for number, k in enumerate(order or range(len(heights))):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = MRImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, FRAME
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "A^B", "1", "", ""
        ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "20200101", "", "", ""
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "MR", 1, number + 1
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.ImagePositionPatient = [float(f"{v:.8f}") for v in FIRST + heights[k] * normal]
        ds.ImageOrientationPatient = [float(f"{v:.10f}") for v in cosines]
        ds.PixelSpacing, ds.SliceThickness = [between_rows, between_columns], between_planes
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = ROWS, COLUMNS, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = np.zeros((ROWS, COLUMNS), "<u2").tobytes()
        for keyword, value in changes.items():
            value = value(k) if callable(value) else value
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)
        paths.append(folder / f"{number:03d}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def ball(centre_mm, spacing_mm=1.0, half=30, softness_mm=4.0) -> Image:
    """Make a soft ball around a point (RAS) on its own grid of cubes."""
    n = int(2 * half / spacing_mm) + 1
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = np.asarray(centre_mm) - half
    grid = Grid((n, n, n), affine)
    at = grid.world(np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1))
    distance = np.linalg.norm(at - centre_mm, axis=-1)
    return Image((1 / (1 + np.exp((distance - 8) / softness_mm))).astype(np.float32), grid, "1")


def frames_by_hand(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read every pixel and its place in LPS from the functional groups, without any library of segmentations."""
    ds = dcmread(path)
    pixels = np.frombuffer(ds.PixelData, np.uint8)[: ds.NumberOfFrames * ds.Rows * ds.Columns]
    pixels = pixels.reshape(ds.NumberOfFrames, ds.Rows, ds.Columns)
    shared = ds.SharedFunctionalGroupsSequence[0]
    cosines = np.array([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient])
    between_rows, between_columns = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    r, c = np.mgrid[: ds.Rows, : ds.Columns]
    out = []
    for frame, group in zip(pixels, ds.PerFrameFunctionalGroupsSequence, strict=True):
        start = np.array([float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient])
        places = start + c[..., None] * between_columns * cosines[:3] + r[..., None] * between_rows * cosines[3:]
        out.append((frame, places))
    return out


def series_centre(orientation: str, spacing: str) -> np.ndarray:
    """Give the centre of the series in RAS."""
    cosines = np.array(ORIENTATIONS[orientation], float)
    rows, columns, planes = SPACINGS[spacing]
    steps = (COLUMNS - 1) / 2 * columns * cosines[:3] + (ROWS - 1) / 2 * rows * cosines[3:]
    lps = FIRST + steps + (PLANES - 1) / 2 * planes * np.cross(cosines[:3], cosines[3:])
    return lps * [-1, -1, 1]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_ball_lies_in_the_file_where_it_lies_in_the_patient(tmp_path, orientation, spacing):
    series = tmp_path / "series"
    write_series(series, orientation, spacing, order=[3, 0, 5, 1, 4, 2])
    centre = series_centre(orientation, spacing)
    write_probability_seg(ball(centre), series, tmp_path / "seg.dcm", algorithm_version="1.0")
    worst, mass, moment = 0.0, 0.0, np.zeros(3)
    for frame, places in frames_by_hand(tmp_path / "seg.dcm"):
        ras = places * [-1, -1, 1]
        inside = (np.abs(ras - centre) <= 30).all(axis=-1)
        expected = np.where(inside, 1 / (1 + np.exp((np.linalg.norm(ras - centre, axis=-1) - 8) / 4.0)), 0)
        worst = max(worst, float(np.abs(frame / 255 - expected)[inside].max()))
        mass += frame.sum()
        moment += (frame[..., None] * ras).sum(axis=(0, 1))
    assert worst < 0.025  # linear interpolation of a soft edge between voxels of 1 mm (0.02), and half a level
    assert moment / mass == pytest.approx(centre, abs=0.02)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_map_on_the_grid_of_the_series_comes_back_within_half_a_level(tmp_path, rng, orientation, spacing):
    series = write_series(tmp_path / "series", orientation, spacing)
    write_probability_seg(ball(series_centre(orientation, spacing)), series, tmp_path / "a.dcm", algorithm_version="1.0")
    first = read_seg_probability(tmp_path / "a.dcm")
    truth = first.with_data(rng.random(first.grid.shape).astype(np.float32))
    write_probability_seg(truth, series, tmp_path / "b.dcm", algorithm_version="1.0")
    back = read_seg_probability(tmp_path / "b.dcm")
    assert back.grid.is_close(truth.grid, 1e-4)
    grid, order = series_grid([dcmread(p) for p in series], "the series")
    assert order == list(range(PLANES))
    assert back.grid.is_close(grid, 1e-4)
    assert back.grid.frame_of_reference_uid == FRAME
    assert np.abs(back.data - truth.data).max() <= 0.5 / 255 + 1e-6
    for k, (frame, places) in enumerate(frames_by_hand(tmp_path / "b.dcm")):
        index = np.rint(back.grid.index(places * [-1, -1, 1])).astype(int).reshape(-1, 3)
        assert set(index[:, 2]) == {int(index[0, 2])}, k
        assert back.data[tuple(index.T)] == pytest.approx(frame.ravel() / 255, abs=1e-6)


def test_the_file_says_what_it_is_and_whom_it_belongs_to(tmp_path):
    paths = write_series(tmp_path / "series")
    image = ball(series_centre("axial", "isotropic"))
    write_probability_seg(image, paths, tmp_path / "seg.dcm", label="Growth", algorithm_version="2.1")
    ds, source = dcmread(tmp_path / "seg.dcm"), dcmread(paths[0])
    assert (ds.Modality, ds.SegmentationType, ds.SegmentationFractionalType) == ("SEG", "FRACTIONAL", "PROBABILITY")
    assert (ds.MaximumFractionalValue, ds.NumberOfFrames) == (255, PLANES)
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert ds[keyword].value == source[keyword].value
    assert ds.SeriesInstanceUID != source.SeriesInstanceUID
    assert (ds.ContentQualification, ds.SyntheticData) == ("RESEARCH", "NO")
    segment = ds.SegmentSequence[0]
    assert segment.SegmentLabel == "Growth"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "372087000"
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "2.1"
    uids = {i.ReferencedSOPInstanceUID for i in ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert uids == {dcmread(p).SOPInstanceUID for p in paths}


def test_no_message_repeats_who_the_patient_is(tmp_path, caplog, recwarn):
    paths = write_series(tmp_path / "series", PatientName="Secret")
    image = ball(series_centre("axial", "isotropic"))
    with caplog.at_level("DEBUG"):
        write_probability_seg(image, paths, tmp_path / "seg.dcm", algorithm_version="1")
        read_seg_probability(tmp_path / "seg.dcm")
    assert "secret" not in caplog.text.lower()
    assert not any("secret" in str(w.message).lower() for w in recwarn)
    assert dcmread(tmp_path / "seg.dcm").PatientName == "Secret"


def test_synthetic_maps_are_marked(tmp_path):
    paths = write_series(tmp_path / "series")
    out = tmp_path / "new" / "seg.dcm"
    write_probability_seg(ball(series_centre("axial", "isotropic")), paths, out, algorithm_version="1", synthetic=True)
    ds = dcmread(out)
    assert ds.SyntheticData == "YES"
    assert ds.SeriesDescription.startswith("SYNTHETIC")
    assert "synthetic" in ds.SegmentSequence[0].SegmentLabel


def test_a_map_of_zeros_is_written_as_such(tmp_path):
    paths = write_series(tmp_path / "series")
    image = ball(series_centre("axial", "isotropic"))
    write_probability_seg(image.with_data(np.zeros_like(image.data)), paths, tmp_path / "seg.dcm", algorithm_version="1")
    back = read_seg_probability(tmp_path / "seg.dcm")
    assert back.grid.shape == (COLUMNS, ROWS, PLANES)
    assert not back.data.any()


def test_other_files_in_the_folder_do_no_harm(tmp_path):
    write_series(tmp_path / "series")
    (tmp_path / "series" / "notes.txt").write_text("nothing")
    plan = Dataset()
    plan.file_meta = FileMetaDataset()
    plan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plan.file_meta.MediaStorageSOPClassUID = plan.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.5"
    plan.file_meta.MediaStorageSOPInstanceUID = plan.SOPInstanceUID = generate_uid()
    plan.Modality, plan.SeriesInstanceUID = "RTPLAN", generate_uid()
    plan.save_as(tmp_path / "series" / "plan.dcm", enforce_file_format=True)
    out = tmp_path / "seg.dcm"
    write_probability_seg(ball(series_centre("axial", "isotropic")), tmp_path / "series", out, algorithm_version="1")
    assert read_seg_probability(out).data.max() > 0.8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"heights": [0, 2, 6, 8, 10]}, "a plane is missing"),
        ({"heights": [0, 2, 4, 4, 6]}, "several images lie at one place"),
        ({"heights": [0]}, "give the whole series"),
        ({"ImageOrientationPatient": lambda k: [1, 0, 0, 0, 1, 0] if k else [1, 0, 0, 0, 0, -1]}, "several orientations"),
        ({"Rows": lambda k: ROWS + (k == 2)}, "several sizes"),
        ({"PixelSpacing": lambda k: [2, 2 + (k == 2)]}, "pixel spacings"),
        ({"FrameOfReferenceUID": lambda k: f"1.2.{1 + k % 2}"}, "several frames of reference"),
        ({"SeriesInstanceUID": lambda k: f"1.2.{1 + k % 2}"}, "images of 2 series"),
        ({"ImagePositionPatient": lambda k: [0, 0.5 * k, 2 * k]}, "lean sideways"),
        ({"ImagePositionPatient": None}, "no ImagePositionPatient"),
        ({"NumberOfFrames": 4}, "multi-frame"),
        ({"StudyInstanceUID": None}, "export it again with patient, study"),
    ],
)
def test_a_series_that_is_no_volume_is_refused_with_a_remedy(tmp_path, settings, words):
    write_series(tmp_path / "series", **settings)
    with pytest.raises(ImageFileError, match=words) as caught:
        write_probability_seg(ball((0, 0, 0)), tmp_path / "series", tmp_path / "seg.dcm", algorithm_version="1")
    assert str(tmp_path / "series") in str(caught.value)
    assert not (tmp_path / "seg.dcm").exists()


def test_folders_without_images_and_missing_files_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for series, words in (
        (tmp_path / "empty", "no DICOM image"),
        (tmp_path / "none", "no such folder"),
        ([], "no DICOM image"),
        ([tmp_path / "x.dcm"], "no such file"),
    ):
        with pytest.raises(ImageFileError, match=words):
            write_probability_seg(ball((0, 0, 0)), series, tmp_path / "seg.dcm", algorithm_version="1")


def test_a_map_of_another_place_is_refused(tmp_path):
    paths = write_series(tmp_path / "series")
    with pytest.raises(GridMismatchError, match="nothing of the map"):
        write_probability_seg(ball((500, 0, 0)), paths, tmp_path / "seg.dcm", algorithm_version="1")
    here = ball(series_centre("axial", "isotropic"))
    other = Image(here.data, Grid(here.grid.shape, here.grid.affine, "1.2.3"), "1")
    with pytest.raises(GridMismatchError, match="another DICOM frame"):
        write_probability_seg(other, paths, tmp_path / "seg.dcm", algorithm_version="1")


@pytest.mark.parametrize(
    "keyword",
    [
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName"),
        *("StudyID", "StudyDate", "StudyTime", "SeriesNumber", "InstanceNumber", "SliceThickness"),
    ],
)
def test_anonymised_series_that_lack_an_attribute_are_taken(tmp_path, keyword):
    paths = write_series(tmp_path / "series", **{keyword: None})
    write_probability_seg(ball(series_centre("axial", "isotropic")), paths, tmp_path / "seg.dcm", algorithm_version="1")
    assert read_seg_probability(tmp_path / "seg.dcm").data.max() > 0.8


def test_a_series_without_frame_of_reference_is_refused(tmp_path):
    paths = write_series(tmp_path / "series", FrameOfReferenceUID=None)
    with pytest.raises(ImageFileError, match="FrameOfReferenceUID"):
        write_probability_seg(ball(series_centre("axial", "isotropic")), paths, tmp_path / "seg.dcm", algorithm_version="1")


@pytest.mark.parametrize("value", [-0.5, 1.5, np.nan])
def test_values_that_are_no_probabilities_are_refused(tmp_path, value):
    paths = write_series(tmp_path / "series")
    image = ball(series_centre("axial", "isotropic"))
    data = image.data.copy()
    data[3, 3, 3] = value
    with pytest.raises(ParameterError, match="from 0 to 1"):
        write_probability_seg(image.with_data(data), paths, tmp_path / "seg.dcm", algorithm_version="1")


def test_texts_that_dicom_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="label"):
        write_probability_seg(ball((0, 0, 0)), tmp_path, tmp_path / "seg.dcm", label="x" * 65, algorithm_version="1")


def test_the_file_never_lies_among_its_sources(tmp_path):
    write_series(tmp_path / "series")
    with pytest.raises(OutputError, match="another folder"):
        write_probability_seg(ball((0, 0, 0)), tmp_path / "series", tmp_path / "series" / "seg.dcm", algorithm_version="1")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    paths = write_series(tmp_path / "series")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.seg\.dcm"):
        write_probability_seg(
            ball(series_centre("axial", "isotropic")), paths, tmp_path / "file" / "seg.dcm", algorithm_version="1"
        )


def test_what_is_no_map_of_probabilities_is_not_read(tmp_path):
    paths = write_series(tmp_path / "series")
    with pytest.raises(ImageFileError, match="is MR, not a map"):
        read_seg_probability(paths[0])


@pytest.mark.realdata
def test_a_map_on_a_real_series_lies_where_another_program_puts_the_series(real_data, tmp_path):
    import SimpleITK as sitk

    folder = real_data / "sarcoma-ct-mr-contours" / "STS_003" / "MR_T1" / "image"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    scan = reader.Execute()
    index = [n // 2 for n in scan.GetSize()]
    centre = np.array(scan.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
    write_probability_seg(ball(centre), folder, tmp_path / "seg.dcm", algorithm_version="1.0")
    back = read_seg_probability(tmp_path / "seg.dcm")
    assert back.grid.shape == scan.GetSize()
    for corner in ([0, 0, 0], index, [n - 1 for n in scan.GetSize()]):
        lps = np.array(scan.TransformIndexToPhysicalPoint(corner))
        assert back.grid.world(corner) == pytest.approx(lps * [-1, -1, 1], abs=1e-2)
    at = np.argwhere(back.data > 0.5 / 255)
    weight = back.data[tuple(at.T)]
    assert (back.grid.world(at) * weight[:, None]).sum(axis=0) / weight.sum() == pytest.approx(centre, abs=0.1)
