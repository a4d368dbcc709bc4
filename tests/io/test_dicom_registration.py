"""A registration maps points of one frame of reference to another, in the direction that DICOM says."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset

from regrowth.errors import ImageFileError, ParameterError
from regrowth.io.dicom_plan_writing import write_registration
from regrowth.io.dicom_registration import FrameRegistration, read_registration, registration_between
from regrowth.phantom.deformation import rigid_matrix
from regrowth.space import AffineMap
from tests.io.dicom_folder import STUDY, spoil

RIGID = rigid_matrix(np.array([5.0, -3.0, 8.0]), np.array([4.0, -7.0, 11.0]), np.array([1.0, 2.0, 3.0]))
POINTS = np.array([[0.0, 0, 0], [50, -20, 10], [-7, 3, -80]])


@pytest.fixture
def path(tmp_path):
    write_registration(AffineMap(RIGID), tmp_path / "reg.dcm", STUDY, "1.2.3", "test")
    return tmp_path / "reg.dcm"


def test_points_go_from_the_frame_of_the_item_to_that_of_the_file(path):
    same, other = read_registration(path)
    assert (same.from_frame_uid, same.to_frame_uid) == (STUDY.frame_uid, STUDY.frame_uid)
    assert np.array_equal(same.map.matrix, np.eye(4))
    assert (other.from_frame_uid, other.to_frame_uid, other.matrix_type, other.status) == (
        "1.2.3",
        STUDY.frame_uid,
        "RIGID",
        "ok",
    )
    assert other.map.map_points(POINTS) == pytest.approx(AffineMap(RIGID).map_points(POINTS), abs=1e-6)


def test_the_matrix_of_the_file_is_in_lps(path):
    """Shift by +4 mm to the right and -7 mm to the back, that is LPS -4 and +7, without rotation."""
    shift = np.eye(4)
    shift[:3, 3] = [4, -7, 11]
    write_registration(AffineMap(shift), path, STUDY, "1.2.3", "test")
    found = []
    spoil(path, lambda d: found.extend(d.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence))
    assert [float(v) for v in found[0].FrameOfReferenceTransformationMatrix][3::4] == [-4, 7, 11, 1]


def test_the_transform_of_images_maps_points_the_other_way(path):
    other = read_registration(path)[1]
    there = other.map.map_points(POINTS)
    assert other.transform().map_points(there) == pytest.approx(POINTS, abs=1e-6)
    assert (other.transform().from_space, other.transform().to_space) == ("1.2.3", STUDY.frame_uid)


def test_frames_are_joined_backwards_and_through_a_third(path):
    first = read_registration(path)
    shift = np.eye(4)
    shift[2, 3] = 20
    second = FrameRegistration("9.9", STUDY.frame_uid, AffineMap(shift), "RIGID", "ok", "")
    joined = registration_between([*first, second], "9.9", "1.2.3")
    expected = np.linalg.inv(RIGID) @ shift
    assert joined.matrix == pytest.approx(expected, abs=1e-6)
    assert registration_between([], "5", "5").matrix == pytest.approx(np.eye(4))
    with pytest.raises(ParameterError, match="no registration joins"):
        registration_between(first, "9.9", "1.2.3")


def test_registrations_that_contradict_each_other_are_refused():
    shift = np.eye(4)
    shift[2, 3] = 2
    two = [FrameRegistration("1", "2", AffineMap(m), "RIGID", "ok", "") for m in (np.eye(4), shift)]
    with pytest.raises(ParameterError, match=r"differ by up to 2\.0 mm"):
        registration_between(two, "1", "2")


def matrix_of(dataset: Dataset) -> Dataset:
    return dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]


def test_several_matrices_are_applied_in_their_order(path):
    turn = np.eye(4)
    turn[:2, :2] = [[0, -1], [1, 0]]  # LPS
    shift = np.eye(4)
    shift[0, 3] = 10

    def two(dataset: Dataset) -> None:
        items = []
        for matrix in (shift, turn):
            item = Dataset()
            item.FrameOfReferenceTransformationMatrixType = "RIGID"
            item.FrameOfReferenceTransformationMatrix = matrix.ravel().tolist()
            items.append(item)
        dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence = items

    spoil(path, two)
    at = read_registration(path)[1].map.map_points(np.zeros(3))
    assert at == pytest.approx([0, -10, 0])  # LPS (10, 0, 0) turned to (0, 10, 0)


def test_a_stretching_matrix_that_is_called_rigid_is_flagged(path):
    spoil(
        path, lambda d: setattr(matrix_of(d), "FrameOfReferenceTransformationMatrix", np.diag([2.0, 1, 1, 1]).ravel().tolist())
    )
    found = read_registration(path)[1]
    assert found.status == "not_rigid"
    assert "stretches or mirrors" in found.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: setattr(matrix_of(d), "FrameOfReferenceTransformationMatrix", [1.0] * 12), "12 numbers"),
        (lambda d: setattr(matrix_of(d), "FrameOfReferenceTransformationMatrix", [0.0] * 16), "no map of space"),
        (lambda d: setattr(d.RegistrationSequence[1], "MatrixRegistrationSequence", []), "has no matrix"),
        (lambda d: setattr(d.RegistrationSequence[1], "FrameOfReferenceUID", ""), "which frames of reference"),
        (lambda d: setattr(d, "RegistrationSequence", []), "registers nothing"),
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.3"), "deformable"),
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "not a registration"),
    ],
)
def test_what_cannot_be_understood_is_refused(path, change, words):
    spoil(path, change)
    with pytest.raises(ImageFileError, match=words):
        read_registration(path)
