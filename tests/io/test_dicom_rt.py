"""A dose lies where its file says, in Gy; a plan says how it was meant to be given; what is unclear is refused."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from regrowth.errors import ImageFileError
from regrowth.io.dicom_rt import PlannedCourse, course_treatment, describe_rtdose, read_rtdose, read_rtplan

HEAD_FIRST_SUPINE = (1, 0, 0, 0, 1, 0)
HEAD_FIRST_PRONE = (-1, 0, 0, 0, -1, 0)
FEET_FIRST_SUPINE = (-1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
_C, _S = np.cos(0.3), np.sin(0.3)
OBLIQUE = (_C, _S, 0, -_S * _C, _C * _C, _S)
ORIENTATIONS = {
    "head first supine": HEAD_FIRST_SUPINE,
    "head first prone": HEAD_FIRST_PRONE,
    "feet first supine": FEET_FIRST_SUPINE,
    "sagittal": SAGITTAL,
    "oblique": OBLIQUE,
}
POSITION = (-31.5, 12.25, -40.0)
SPACING = (2.5, 1.25)  # between rows, between columns
FRAME = "1.2.826.0.1.3680043.8.498.1"


def rt_dataset(modality: str, storage: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.481.{storage}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = modality
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Secret^Person", "SECRET-ID", "19500102"
    return dataset


def dose_dataset(orientation: tuple[float, ...] = HEAD_FIRST_SUPINE, offsets: tuple[float, ...] = (0, 3, 6, 9), bits: int = 32):
    dataset = rt_dataset("RTDOSE", "2")
    dataset.ImagePositionPatient = list(POSITION)
    dataset.ImageOrientationPatient = [float(f"{v:.10f}") for v in orientation]
    dataset.PixelSpacing = list(SPACING)
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 3, 5, len(offsets)
    dataset.GridFrameOffsetVector = list(offsets)
    dataset.FrameOfReferenceUID = FRAME
    dataset.DoseUnits, dataset.DoseType, dataset.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dataset.DoseGridScaling = "0.001"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = bits - 1, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    pixels = 7 * np.arange(len(offsets) * 15, dtype=f"<u{bits // 8}").reshape(len(offsets), 3, 5)
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def written(dataset: Dataset, folder: Path) -> Path:
    path = folder / "rt.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def assert_every_voxel_lies_where_dicom_says(image, orientation, heights, scaling=0.001) -> None:
    """Walk all pixels by the words of PS3.3 C.7.6.2.1.1, without matrices."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    number = 0
    for k, height in enumerate(heights):
        for r in range(3):
            for c in range(5):
                lps = np.array(POSITION) + c * SPACING[1] * row + r * SPACING[0] * column + height * normal
                at = image.grid.index(lps * [-1, -1, 1])
                assert at == pytest.approx([c, r, k], abs=1e-6)
                assert image.data[c, r, k] == np.float32(7 * number * scaling)
                number += 1


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("offsets", [(0, 3, 6, 9), (0, -3, -6, -9)], ids=["rising", "falling"])
def test_relative_offsets_count_along_the_normal_in_every_orientation(tmp_path, name, offsets):
    image = read_rtdose(written(dose_dataset(ORIENTATIONS[name], offsets), tmp_path))
    assert (image.unit, image.data.dtype, image.data.shape) == ("Gy", np.float32, (5, 3, 4))
    assert image.grid.frame_of_reference_uid == FRAME
    assert_every_voxel_lies_where_dicom_says(image, ORIENTATIONS[name], offsets)


@pytest.mark.parametrize("name", ["head first supine", "head first prone", "feet first supine"])
@pytest.mark.parametrize("step", [3, -3])
def test_absolute_offsets_are_the_z_of_transverse_planes(tmp_path, name, step):
    z = tuple(POSITION[2] + step * k for k in range(4))
    image = read_rtdose(written(dose_dataset(ORIENTATIONS[name], z), tmp_path))
    centres = image.grid.world(np.array([[0, 0, k] for k in range(4)]))
    assert centres[:, 2] == pytest.approx(z)
    assert np.ptp(centres[:, :2], axis=0) == pytest.approx([0, 0])
    normal_z = np.cross(ORIENTATIONS[name][:3], ORIENTATIONS[name][3:])[2]
    assert_every_voxel_lies_where_dicom_says(image, ORIENTATIONS[name], [(v - POSITION[2]) * normal_z for v in z])


def test_sixteen_bit_doses_are_read(tmp_path):
    image = read_rtdose(written(dose_dataset(bits=16), tmp_path))
    assert_every_voxel_lies_where_dicom_says(image, HEAD_FIRST_SUPINE, (0, 3, 6, 9))


def test_offsets_that_were_rounded_to_hundredths_are_even(tmp_path):
    image = read_rtdose(written(dose_dataset(offsets=(0, 3.33, 6.67, 10.0)), tmp_path))
    assert image.grid.spacing_mm == pytest.approx((1.25, 2.5, 10 / 3))


def changed(**values: object):
    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(DoseUnits="RELATIVE"), "DoseUnits is 'RELATIVE'; export the dose in Gy"),
        (changed(DoseUnits=None), "DoseUnits is 'absent'"),
        (changed(DoseType="ERROR"), "DoseType ERROR"),
        (changed(DoseGridScaling=None), "DoseGridScaling"),
        (changed(DoseGridScaling="0"), "DoseGridScaling"),
        (changed(GridFrameOffsetVector=[0, 3, 6, 10]), "from 3 to 4 mm"),
        (changed(GridFrameOffsetVector=[0, 0, 0, 0]), "regular grid"),
        (changed(GridFrameOffsetVector=[0, 3, 6]), "4 planes but 3"),
        (changed(GridFrameOffsetVector=[17, 20, 23, 26]), "begins with 17"),
        (changed(GridFrameOffsetVector=None), "4 plane"),
        (changed(NumberOfFrames=1), "1 plane"),
        (changed(ImagePositionPatient=None), "no ImagePositionPatient"),
        (changed(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "right angles"),
        (changed(ImageOrientationPatient=[2, 0, 0, 0, 1, 0]), "right angles"),
        (changed(PixelSpacing=[0, 1]), "PixelSpacing"),
        (changed(Modality="CT"), "is CT, not RTDOSE"),
        (changed(PixelData=b"\0" * 8), "pixels cannot be read"),
    ],
)
def test_a_dose_that_is_unclear_is_refused_in_one_line(tmp_path, change, words):
    dataset = dose_dataset()
    change(dataset)
    path = written(dataset, tmp_path)
    with pytest.raises(ImageFileError, match=words) as caught:
        read_rtdose(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "ecret" not in str(caught.value)


def test_absolute_offsets_of_planes_that_are_not_transverse_are_refused(tmp_path):
    offsets = tuple(POSITION[2] + 3 * k for k in range(4))
    with pytest.raises(ImageFileError, match="transverse"):
        read_rtdose(written(dose_dataset(OBLIQUE, offsets), tmp_path))


@pytest.mark.parametrize("content", [None, b"", b"no DICOM at all" * 40])
def test_a_file_that_is_no_dicom_is_refused(tmp_path, content):
    path = tmp_path / "x.dcm"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageFileError, match=r"x\.dcm"):
        read_rtdose(path)


def test_a_dose_says_what_it_sums_up(tmp_path):
    dataset = dose_dataset()
    dataset.DoseSummationType = "FRACTION"
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    dataset.ReferencedRTPlanSequence = [item]
    found = describe_rtdose(written(dataset, tmp_path))
    assert (found.summation_type, found.dose_type, found.plan_uids) == ("FRACTION", "PHYSICAL", ("1.2.3",))


def plan_dataset(prescriptions=((60.0, "SITE"),), n: int | None = 30, beams_gy=(1.2, 0.8), groups: int = 1) -> Dataset:
    plan = rt_dataset("RTPLAN", "5")
    plan.RTPlanLabel, plan.RTPlanDate = "A1", "20200229"
    plan.DoseReferenceSequence = []
    for dose, structure in prescriptions:
        item = Dataset()
        item.DoseReferenceType, item.DoseReferenceStructureType, item.TargetPrescriptionDose = "TARGET", structure, dose
        plan.DoseReferenceSequence.append(item)
    organ = Dataset()
    organ.DoseReferenceType, organ.DoseReferenceStructureType, organ.TargetPrescriptionDose = "ORGAN_AT_RISK", "VOLUME", 99
    plan.DoseReferenceSequence.append(organ)
    plan.FractionGroupSequence = []
    for number in range(groups):
        group = Dataset()
        group.FractionGroupNumber = number + 1
        if n is not None:
            group.NumberOfFractionsPlanned = n
        group.ReferencedBeamSequence = []
        for dose in beams_gy:
            beam = Dataset()
            beam.BeamDose = dose
            group.ReferencedBeamSequence.append(beam)
        plan.FractionGroupSequence.append(group)
    return plan


def test_a_plan_is_a_course_of_equal_fractions(tmp_path):
    course = read_rtplan(written(plan_dataset(), tmp_path))
    assert course == PlannedCourse("A1", 30, 2.0, 60.0, datetime.date(2020, 2, 29))


@pytest.mark.parametrize(
    ("prescriptions", "expected_gy"),
    [
        (((60, "VOLUME"), (54, "VOLUME")), 60),
        (((60, "SITE"), (63.5, "COORDINATES")), 60),
        (((59.4, "POINT"),), 59.4),
        ((), 60),  # from the doses of the beams
    ],
)
def test_the_prescription_is_the_largest_to_a_region_then_a_point_then_the_beams(tmp_path, prescriptions, expected_gy):
    course = read_rtplan(written(plan_dataset(prescriptions), tmp_path))
    assert course.prescription_gy == pytest.approx(expected_gy)
    assert course.dose_per_fraction_gy == pytest.approx(expected_gy / 30)


def test_the_prescription_of_the_fraction_group_comes_first(tmp_path):
    plan = plan_dataset()
    item = Dataset()
    item.TargetPrescriptionDose = 57
    plan.FractionGroupSequence[0].ReferencedDoseReferenceSequence = [item]
    assert read_rtplan(written(plan, tmp_path)).prescription_gy == 57


@pytest.mark.parametrize("text", ["", None])
def test_a_plan_without_date_has_none(tmp_path, text):
    plan = plan_dataset()
    plan.RTPlanDate = text
    assert read_rtplan(written(plan, tmp_path)).plan_date is None


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (plan_dataset(groups=2), "2 groups of fractions"),
        (plan_dataset(groups=0), "0 groups of fractions"),
        (plan_dataset(n=None), "how many fractions"),
        (plan_dataset(n=0), "how many fractions"),
        (plan_dataset((), beams_gy=()), "no prescribed dose"),
        (plan_dataset(((6000, "SITE"),)), "is it cGy"),
        (plan_dataset(((2.0, "SITE"),)), "one of 30 fractions"),
        (rt_dataset("RTDOSE", "2"), "not RTPLAN"),
    ],
)
def test_a_plan_that_is_unclear_is_refused_in_one_line(tmp_path, plan, words):
    path = written(plan, tmp_path)
    with pytest.raises(ImageFileError, match=words) as caught:
        read_rtplan(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_of_a_person_is_carried(tmp_path, caplog, recwarn):
    plan = read_rtplan(written(plan_dataset(), tmp_path))
    dose = written(dose_dataset(), tmp_path)
    texts = [repr(plan), repr(describe_rtdose(dose)), repr(read_rtdose(dose).grid), caplog.text]
    texts += [str(w.message) for w in recwarn]
    assert not any("ecret" in text.lower() or "1950" in text for text in texts)


def test_a_planned_course_is_placed_on_weekdays():
    treatment = course_treatment(PlannedCourse("x", 7, 2.0, 14.0), 10)
    assert [f.day for f in treatment.fractions] == [10, 11, 12, 13, 14, 17, 18]
    assert {f.dose_gy for f in treatment.fractions} == {2.0}


@pytest.mark.realdata
def test_a_real_dose_has_the_pixels_of_its_file_at_their_places(real_data, rng):
    path = real_data / "breast-boost-plan" / "rtdose.dcm"
    image = read_rtdose(path)
    raw = dcmread(path)
    pixels = raw.pixel_array  # frames, rows, columns
    x0, y0, z0 = (float(v) for v in raw.ImagePositionPatient)
    for _ in range(200):
        k, r, c = (int(rng.integers(n)) for n in pixels.shape)
        x, y = x0 + 2.5 * c, y0 + 2.5 * r
        z = z0 + float(raw.GridFrameOffsetVector[k])
        i, j, m = np.rint(image.grid.index([-x, -y, z])).astype(int)
        assert image.data[i, j, m] == pytest.approx(int(pixels[k, r, c]) * 1.4e-5, rel=1e-6)
    assert float(image.data.max()) == pytest.approx(14.68, abs=0.01)
    assert image.grid.frame_of_reference_uid == raw.FrameOfReferenceUID
    assert describe_rtdose(path).summation_type == "PLAN"


@pytest.mark.realdata
def test_a_real_dose_lies_where_another_program_puts_it(real_data):
    import SimpleITK as sitk

    path = real_data / "breast-boost-plan" / "rtdose.dcm"
    image = read_rtdose(path)
    other = sitk.ReadImage(str(path))
    values = sitk.GetArrayViewFromImage(other).T
    assert np.abs(values[::7, ::7, ::7] * 1.4e-5 - image.data[::7, ::7, ::7]).max() < 1e-5
    for index in ([0, 0, 0], [100, 50, 20], [193, 128, 97]):
        lps = np.array(other.TransformIndexToPhysicalPoint(index))
        assert image.grid.world(index) == pytest.approx(lps * [-1, -1, 1], abs=1e-3)


@pytest.mark.realdata
def test_a_real_plan_is_fourteen_gray_in_seven(real_data):
    course = read_rtplan(real_data / "breast-boost-plan" / "rtplan.dcm")
    assert (course.n_fractions, course.dose_per_fraction_gy, course.prescription_gy) == (7, 2.0, 14.0)
