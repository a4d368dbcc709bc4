"""Images and doses that were written lie where they lay, with the values they had; what makes no volume is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from regrowth.errors import GridMismatchError, ImageFileError, ParameterError
from regrowth.io.dicom_index import index_folder
from regrowth.io.dicom_rt import read_rtdose, read_rtplan
from regrowth.io.dicom_series import AIR_HU, read_image_series, read_series_files
from regrowth.io.dicom_study import ds_text
from regrowth.io.dicom_volume_writing import write_image_series, write_rtdose
from regrowth.space import Grid, Image
from tests.io.dicom_folder import STUDY, ct_image, export, spoil


def written(folder, image: Image, modality: str = "CT") -> Image:
    write_image_series(image, folder, STUDY, "series", modality=modality)
    return read_series_files(sorted(folder.iterdir()), "series")


def by_place(image: Image) -> dict[tuple[int, ...], float]:
    """Values by place in units of 0.01 mm, whatever the order of the axes."""
    ijk = np.argwhere(np.ones(image.grid.shape, bool))
    places = np.round(image.grid.world(ijk) * 100).astype(int)
    return {tuple(p): float(image.data[tuple(v)]) for p, v in zip(places.tolist(), ijk.tolist(), strict=True)}


def small(grid: Grid, rng: np.random.Generator) -> Image:
    affine = np.array(grid.affine)
    affine[:3, 3] = [10.25, -4.5, 3.75]
    return Image(rng.integers(-1000, 2000, (4, 5, 6)).astype(np.float32), Grid((4, 5, 6), affine), "HU")


def test_a_ct_is_read_where_it_was_written_in_every_orientation(tmp_path, grid, rng):
    image = small(grid, rng)
    back = written(tmp_path, image)
    assert back.unit == "HU"
    assert back.grid.frame_of_reference_uid == STUDY.frame_uid
    there = by_place(back)
    for place, value in by_place(image).items():
        near = [
            there.get((place[0] + i, place[1] + j, place[2] + k)) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)
        ]
        assert value in near


def test_a_dose_is_read_where_it_was_written_in_every_orientation(tmp_path, grid, rng):
    image = small(grid, rng)
    dose = Image(rng.uniform(0, 66, image.grid.shape).astype(np.float32), image.grid, "Gy")
    write_rtdose(dose, tmp_path / "rd.dcm", STUDY, "dose", plan_uid="1.2.3")
    back = read_rtdose(tmp_path / "rd.dcm")
    assert back.grid.displacement_mm(dose.grid) < 1e-4
    assert np.abs(back.data - dose.data).max() < 1e-5


def test_an_mr_has_arbitrary_units(tmp_path):
    image = ct_image()
    back = written(tmp_path, image.with_data(np.abs(image.data), "a.u."), "MR")
    assert back.unit == "a.u."
    assert sorted(np.unique(back.data)) == sorted(np.unique(np.abs(image.data)))


def test_the_series_of_an_index_is_read_by_its_uid(tmp_path):
    made = export(tmp_path)
    index = index_folder(tmp_path)
    image = read_image_series(index, made.series)
    assert image.grid == index.find(made.series).grid
    assert image.grid.is_close(Grid(ct_image().grid.shape, ct_image().grid.affine, STUDY.frame_uid))
    assert np.array_equal(image.data, ct_image().data)
    with pytest.raises(ParameterError, match="is RTPLAN, not a series"):
        read_image_series(index, made.plan)


def test_every_image_has_its_own_rescaling(tmp_path):
    image = ct_image()
    write_image_series(image.with_data(np.abs(image.data)), tmp_path, STUDY, "pet", modality="MR")
    for path in tmp_path.iterdir():
        spoil(path, lambda d: [setattr(d, "RescaleSlope", d.InstanceNumber), setattr(d, "RescaleIntercept", 0)])
    back = read_series_files(list(tmp_path.iterdir()), "series")
    assert np.array_equal(back.data, np.abs(image.data) * np.arange(1, 6))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_padding_of_a_ct_becomes_air(tmp_path, syntax):
    image = ct_image()
    data = np.array(image.data)
    data[:2] = 1500
    write_image_series(image.with_data(data), tmp_path, STUDY, "ct")
    for path in tmp_path.iterdir():
        dataset = dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 1500 + 1024)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    assert {dcmread(path).file_meta.TransferSyntaxUID for path in tmp_path.iterdir()} == {syntax}
    back = read_series_files(list(tmp_path.iterdir()), "series")
    assert (back.data[:2] == AIR_HU).all()
    assert np.array_equal(back.data[2:], data[2:])


def test_compressed_images_give_the_same_values(tmp_path):
    write_image_series(ct_image(), tmp_path, STUDY, "ct")
    for path in tmp_path.iterdir():
        dataset = dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    assert np.array_equal(read_series_files(list(tmp_path.iterdir()), "series").data, ct_image().data)


def lean(dataset):
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y + 0.3 * float(z), z]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lean, "tilted gantry"),
        (lambda d: setattr(d, "ImagePositionPatient", [0, 0, 0]), "several images lie at one place"),
        (lambda d: setattr(d, "NumberOfFrames", 2), "multi-frame"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:10]), "pixels of an image cannot be read"),
        (lambda d: setattr(d, "SamplesPerPixel", 3), "in colour"),
        (lambda d: setattr(d, "RescaleType", "MGML"), "of type MGML"),
        (lambda d: setattr(d, "SeriesInstanceUID", f"1.2.{d.InstanceNumber}"), "several series"),
        (lambda d: d.__delattr__("ImageOrientationPatient"), "no ImageOrientationPatient"),
    ],
)
def test_what_makes_no_volume_is_refused_without_naming_the_patient(tmp_path, change, words):
    folder = tmp_path / "Nachtigall"
    write_image_series(ct_image(), folder, STUDY, "ct")
    for path in folder.iterdir():
        spoil(path, change)
    with pytest.raises(ImageFileError, match=words) as caught:
        read_series_files(list(folder.iterdir()), "series 1")
    assert "Nachtigall" not in str(caught.value)
    assert str(caught.value).startswith("series 1: ")


def test_a_damaged_file_is_refused_without_naming_the_patient(tmp_path):
    path = tmp_path / "Nachtigall.dcm"
    path.write_bytes(b"x" * 200)
    with pytest.raises(ImageFileError) as caught:
        read_series_files([path], "series 1")
    assert "Nachtigall" not in str(caught.value)


def test_a_header_with_a_number_that_is_none_is_refused(tmp_path):
    write_image_series(ct_image(), tmp_path, STUDY, "ct")
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes().replace(b"-1024 ", b"-10x4 "))
    with pytest.raises(ImageFileError, match=r"series: the header of an image is damaged \(ValueError\)"):
        read_series_files(list(tmp_path.iterdir()), "series")


@pytest.mark.parametrize("value", [-2000.0, 70000.0, np.nan])
def test_values_that_do_not_fit_are_not_written(tmp_path, value):
    with pytest.raises(ParameterError, match="16 bits"):
        write_image_series(ct_image().with_data(np.full((8, 6, 5), value)), tmp_path, STUDY, "ct")


def test_a_volume_of_another_frame_or_with_slanted_axes_is_not_written(tmp_path):
    image = ct_image()
    other = Image(image.data, Grid(image.grid.shape, image.grid.affine, "1.2.3"), "HU")
    with pytest.raises(GridMismatchError):
        write_image_series(other, tmp_path, STUDY, "ct")
    slanted = np.array(image.grid.affine)
    slanted[0, 1] = 0.5
    with pytest.raises(ParameterError, match="right angles"):
        write_image_series(Image(image.data, Grid(image.grid.shape, slanted), "HU"), tmp_path, STUDY, "ct")


@pytest.mark.parametrize("data", [np.full((8, 6, 5), -1.0), np.full((8, 6, 5), np.inf), np.ones((8, 6, 1))])
def test_what_is_no_dose_is_not_written(tmp_path, data):
    dose = Image(data, Grid(data.shape, np.eye(4)), "Gy")
    with pytest.raises(ParameterError):
        write_rtdose(dose, tmp_path / "rd.dcm", STUDY, "d", plan_uid="1.2.3")


@pytest.mark.parametrize("value", [0.0, 1 / 3, -1e-9 / 3, 123456789.123456789, -2 / 3e5, 1.4e-5])
def test_decimal_strings_have_at_most_16_characters_and_keep_9_digits(value):
    text = ds_text(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-9)


def test_a_number_that_is_none_cannot_be_written():
    with pytest.raises(ParameterError):
        ds_text(float("nan"))


def test_a_written_plan_says_what_was_prescribed(tmp_path):
    export(tmp_path)
    plan = read_rtplan(tmp_path / "rp.dcm")
    assert (plan.label, plan.n_fractions, plan.prescription_gy) == ("Plan", 30, 60.0)
