"""NIfTI files: what is faulty is named and refused, what is written is whole and repeatable."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from regrowth.errors import ImageFileError, LabelSchemeError, OutputError, ParameterError
from regrowth.io.nifti import read_grid, read_image, read_labels, write_array, write_image, write_labels
from regrowth.labels import label_scheme
from regrowth.space import Grid, Image, LabelMap

BRATS = label_scheme("brats-2023")
SMALL = Grid((5, 6, 7), np.array([[-1.0, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1]]))


@pytest.fixture
def image(rng) -> Image:
    return Image(rng.normal(size=SMALL.shape).astype(np.float32), SMALL)


def refused(read, path: Path, *parts: str, error: type[Exception] = ImageFileError) -> None:
    """Check that the error is one line that starts with the file and holds each of `parts`."""
    with pytest.raises(error) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    for part in parts:
        assert part in text


def spoilt(image: Image, path: Path, change: dict[int, bytes]) -> Path:
    """Write a file and overwrite some bytes of its header."""
    write_image(image, path)
    raw = bytearray(path.read_bytes())
    for start, new in change.items():
        raw[start : start + len(new)] = new
    path.write_bytes(raw)
    return path


# --- reading --------------------------------------------------------------------------------------------------------


def test_missing_file_is_named(tmp_path):
    refused(read_image, tmp_path / "absent.nii.gz", "no such file", "path")


def test_folder_is_no_file(tmp_path):
    refused(read_image, tmp_path, "no such file")


@pytest.mark.parametrize("name", ["text.nii", "text.nii.gz"])
def test_text_is_no_image(tmp_path, name):
    (tmp_path / name).write_text("patient,age\n" * 100)
    refused(read_image, tmp_path / name, "cannot be read as an image", "no NIfTI", "export it again")


def test_empty_file_is_no_image(tmp_path):
    (tmp_path / "empty.nii.gz").touch()
    refused(read_image, tmp_path / "empty.nii.gz", "cannot be read as an image")


def test_image_of_another_format_is_named(tmp_path):
    path = tmp_path / "brain.mgz"
    nib.save(nib.MGHImage(np.zeros((3, 3, 3), np.float32), np.eye(4)), path)
    refused(read_image, path, "MGHImage, not NIfTI", "convert it first")


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.99])
def test_truncated_gzip_is_refused(tmp_path, rng, kept):
    path = tmp_path / "cut.nii.gz"
    grid = Grid((40, 40, 40), np.eye(4))
    write_image(Image(rng.normal(size=grid.shape), grid), path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    refused(read_image, path, "again")


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9, -6])
def test_damage_that_still_unpacks_is_found_by_the_checksum(tmp_path, rng, place):
    path = tmp_path / "damaged.nii.gz"
    grid = Grid((40, 40, 40), np.eye(4))
    write_image(Image(rng.normal(size=grid.shape), grid), path)
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * place) if place > 0 else place] ^= 0xFF
    path.write_bytes(raw)
    refused(read_image, path, "again")


def test_truncated_plain_file_is_refused(tmp_path, image):
    path = tmp_path / "cut.nii"
    write_image(image, path)
    path.write_bytes(path.read_bytes()[:500])
    refused(read_image, path, "end too early")


def test_series_where_a_volume_is_expected_is_refused(tmp_path):
    path = tmp_path / "series.nii.gz"
    write_array(np.zeros((5, 6, 7, 3), np.float32), SMALL.affine, path)
    refused(read_image, path, "3D image is expected", "(5, 6, 7, 3)", "extract one volume")
    assert read_image(path, ndim=4).data.shape == (5, 6, 7, 3)


def test_volume_where_a_series_is_expected_is_refused(tmp_path, image):
    path = tmp_path / "volume.nii.gz"
    write_image(image, path)
    refused(lambda p: read_image(p, ndim=4), path, "4D image is expected", "whole series")


def test_fourth_axis_of_length_one_is_dropped(tmp_path):
    path = tmp_path / "one.nii.gz"
    write_array(np.ones((5, 6, 7, 1), np.float32), SMALL.affine, path)
    assert read_image(path).data.shape == (5, 6, 7)


def test_flat_picture_is_no_volume(tmp_path):
    path = tmp_path / "flat.nii"
    nib.save(nib.Nifti1Image(np.zeros((5, 6), np.float32), np.eye(4)), path)
    refused(read_grid, path, "2 axes", "volume")


@pytest.mark.parametrize("read", [read_grid, read_image])
def test_singular_affine_is_refused_with_the_remedy(tmp_path, image, read):
    path = spoilt(image, tmp_path / "singular.nii", {280: bytes(48)})
    refused(read, path, "singular", "repair the sform and qform")


@pytest.mark.parametrize("read", [read_grid, read_image])
def test_affine_with_nan_is_refused(tmp_path, image, read):
    path = spoilt(image, tmp_path / "nan.nii", {280: np.float32(np.nan).tobytes()})
    refused(read, path, "finite 4x4")


@pytest.mark.parametrize("read", [read_grid, read_image])
def test_file_without_sform_and_qform_is_refused_and_no_orientation_invented(tmp_path, image, read):
    path = spoilt(image, tmp_path / "nowhere.nii", {252: bytes(4)})
    refused(read, path, "does not say where its voxels lie", "sform", "again from DICOM")


def test_qform_alone_is_enough(tmp_path, image):
    path = spoilt(image, tmp_path / "qform.nii", {254: bytes(2)})
    assert read_grid(path).is_close(SMALL)


@pytest.mark.parametrize("shape", [(-3, 6, 7), (30000, 30000, 30000)])
def test_header_with_impossible_axes_is_refused(tmp_path, image, shape):
    path = spoilt(image, tmp_path / "axes.nii", {42: np.array(shape, np.int16).tobytes()})
    refused(read_image, path)


def test_header_with_an_unknown_voxel_type_is_refused(tmp_path, image):
    path = spoilt(image, tmp_path / "type.nii", {70: np.int16(9999).tobytes()})
    refused(read_image, path, "9999")


def test_colour_picture_is_refused(tmp_path):
    path = tmp_path / "colour.nii"
    colour = np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colour, np.eye(4)), path)
    refused(read_image, path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_counted_and_refused(tmp_path, image, value):
    data = np.array(image.data)
    data[0, 0, :2] = value
    path = tmp_path / "holes.nii.gz"
    write_image(image.with_data(data), path)
    refused(read_image, path, "2 of 210 voxels are NaN or infinite", "replace them")


def test_stored_scale_is_applied(tmp_path):
    nii = nib.Nifti1Image(np.full((3, 3, 3), 10, np.int16), np.eye(4))
    nii.header.set_slope_inter(2.0, -1000.0)
    nib.save(nii, tmp_path / "ct.nii.gz")
    out = read_image(tmp_path / "ct.nii.gz", "HU")
    raw = nib.load(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(out.data, raw.get_fdata().astype(np.float32))
    assert out.unit == "HU"
    assert out.data.dtype == np.float32


# --- segmentations --------------------------------------------------------------------------------------------------


def labels_file(path: Path, values: list[float], dtype: type = np.float32) -> Path:
    data = np.zeros(SMALL.shape, dtype)
    data[0, 0, : len(values)] = values
    write_array(data, SMALL.affine, path)
    return path


def test_fractions_are_no_labels(tmp_path):
    path = labels_file(tmp_path / "prob.nii.gz", [0.2, 0.7])
    refused(lambda p: read_labels(p, BRATS), path, "whole label values", "probability map or interpolated")


@pytest.mark.parametrize("value", [-1, 300, 1e30])
def test_values_outside_of_a_byte_are_no_labels(tmp_path, value):
    path = labels_file(tmp_path / "range.nii.gz", [value])
    refused(lambda p: read_labels(p, BRATS), path, "0 to 255")


def test_unknown_labels_are_named_with_the_scheme(tmp_path):
    path = labels_file(tmp_path / "old.nii.gz", [1, 2, 4], np.uint8)
    refused(lambda p: read_labels(p, BRATS), path, "4", "brats-2023", "--label-scheme", error=LabelSchemeError)


def test_whole_numbers_stored_as_float_are_labels(tmp_path):
    labels = read_labels(labels_file(tmp_path / "float.nii.gz", [1.0, 2.0, 3.0]), BRATS)
    assert labels.data.dtype == np.uint8
    assert labels.data[0, 0, :4].tolist() == [1, 2, 3, 0]


def test_labels_come_back_as_they_were(tmp_path, grid, rng):
    small = Grid((4, 5, 3), grid.affine)
    labels = LabelMap(rng.integers(0, 4, small.shape).astype(np.uint8), small, BRATS)
    write_labels(labels, tmp_path / "dseg.nii.gz")
    back = read_labels(tmp_path / "dseg.nii.gz", BRATS)
    np.testing.assert_array_equal(back.data, labels.data)
    assert back.grid.is_close(small, tolerance_mm=1e-4)
    assert nib.load(tmp_path / "dseg.nii.gz").get_data_dtype() == np.uint8


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz"])
def test_voxels_and_affine_come_back_in_each_orientation(tmp_path, grid, rng, name):
    small = Grid((4, 5, 3), grid.affine)
    data = rng.normal(size=small.shape).astype(np.float32)
    write_image(Image(data, small), tmp_path / "new folder" / name)
    back = read_image(tmp_path / "new folder" / name)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(back.grid.affine, small.affine, atol=1e-5)
    assert read_grid(tmp_path / "new folder" / name) == back.grid


def test_sform_and_qform_say_the_same(tmp_path, grid):
    small = Grid((2, 2, 2), grid.affine)
    write_image(Image(np.zeros((2, 2, 2)), small), tmp_path / "a.nii")
    nii = nib.load(tmp_path / "a.nii")
    np.testing.assert_allclose(nii.get_qform(), nii.get_sform(), atol=1e-4)
    assert (int(nii.header["sform_code"]), int(nii.header["qform_code"])) == (1, 1)


@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz"])
def test_equal_voxels_give_equal_bytes_whatever_the_name_and_time(tmp_path, image, monkeypatch, name):
    write_image(image, tmp_path / name)
    monkeypatch.setattr("time.time", lambda: 4e9)
    write_image(image, tmp_path / f"other-{name}")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"other-{name}").read_bytes()


def test_integers_are_rounded_and_clipped(tmp_path):
    line = Grid((4, 1, 1), np.eye(4))
    image = Image(np.array([-3.0, 1.5, 2.6, 1e9]).reshape(4, 1, 1), line)
    write_image(image, tmp_path / "a.nii", np.int16)
    assert read_image(tmp_path / "a.nii").data.ravel().tolist() == [-3, 2, 3, 32767]


def test_nan_has_no_integer(tmp_path):
    with pytest.raises(ParameterError, match="float32"):
        write_image(Image(np.full((1, 1, 1), np.nan), Grid((1, 1, 1), np.eye(4))), tmp_path / "a.nii", np.uint8)
    assert not list(tmp_path.iterdir())


def test_other_endings_are_refused(tmp_path, image):
    with pytest.raises(ParameterError, match=r"\.nii or \.nii\.gz"):
        write_image(image, tmp_path / "a.img")
    assert not list(tmp_path.iterdir())


def test_displacement_field_keeps_its_intent(tmp_path):
    write_array(np.zeros((2, 2, 2, 1, 3), np.float32), np.eye(4), tmp_path / "field.nii.gz", "vector")
    nii = nib.load(tmp_path / "field.nii.gz")
    assert nii.shape == (2, 2, 2, 1, 3)
    assert nii.header.get_intent()[0] == "vector"


def save(kind: str, path: Path) -> None:
    if kind == "image":
        write_image(Image(np.zeros(SMALL.shape), SMALL), path)
    elif kind == "labels":
        write_labels(LabelMap(np.zeros(SMALL.shape, np.uint8), SMALL, BRATS), path)
    else:
        write_array(np.zeros(SMALL.shape, np.float32), SMALL.affine, path)


def not_written(kind: str, path: Path, reason: str) -> None:
    with pytest.raises(OutputError) as caught:
        save(kind, path)
    text = str(caught.value)
    assert text.startswith(str(path.parent))
    assert path.name in text
    assert reason in text
    assert "choose another output folder" in text
    assert "\n" not in text


@pytest.mark.parametrize("kind", ["image", "labels", "array"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize("moment", ["mkdir", "write", "replace"])
def test_folder_that_takes_no_file_stays_clean_and_is_named(tmp_path, monkeypatch, kind, code, moment):
    """The tests may run as root, whom rights do not stop, so that the fault is simulated."""

    def fail(*args: object, **kwargs: object) -> None:
        if moment == "write":  # A full disk leaves the beginning of the file.
            with open(args[0], "wb") as file:
                file.write(b"half")
        raise OSError(code, os.strerror(code))

    target = {"mkdir": "pathlib.Path.mkdir", "write": "pathlib.Path.write_bytes", "replace": "os.replace"}[moment]
    with monkeypatch.context() as patch:
        patch.setattr(target, fail)
        not_written(kind, tmp_path / "a.nii.gz", os.strerror(code))
    assert not list(tmp_path.iterdir())


def test_failed_write_leaves_the_old_file_as_it_was(tmp_path, image, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write_image(image, path)
    before = path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OutputError):
        write_image(image.with_data(image.data + 1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save("image", tmp_path / "a.nii.gz")
    assert not list(tmp_path.iterdir())


def test_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    not_written("image", tmp_path / "file" / "a.nii.gz", "exists")


def test_folder_in_place_of_the_file_is_named(tmp_path):
    (tmp_path / "a.nii.gz").mkdir()
    not_written("image", tmp_path / "a.nii.gz", "directory")
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_gzip_holds_the_same_bytes_as_the_plain_file(tmp_path, image):
    write_image(image, tmp_path / "a.nii")
    write_image(image, tmp_path / "a.nii.gz")
    assert gzip.decompress((tmp_path / "a.nii.gz").read_bytes()) == (tmp_path / "a.nii").read_bytes()
