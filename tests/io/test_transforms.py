"""What a transform file says, and that other programs read the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from regrowth.errors import ImageFileError, ParameterError
from regrowth.io.nifti import write_image
from regrowth.io.transforms import read_transform, write_transform
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform, resample_image
from tests.conftest import make_grid

LPS = np.array([-1.0, -1.0, 1.0])


def rigid(angle_deg: float = 11.0) -> np.ndarray:
    a = np.deg2rad(angle_deg)
    matrix = np.eye(4)
    matrix[:3, :3] = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.03]]
    matrix[:3, 3] = [4.5, -6.25, 2.0]
    return matrix


def smooth_field(grid: Grid) -> DisplacementMap:
    x = Transform().map_grid(grid)
    return DisplacementMap((3 * np.sin(x[..., [1, 2, 0]] / 15.0)).astype(np.float32), grid)


@pytest.fixture
def points(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-20, 20, (50, 3))


def test_a_shift_of_plus_5_mm_in_x_is_minus_5_in_the_file(tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[0, 3] = 5.0
    write_transform(Transform.affine(matrix), tmp_path / "a.txt")
    assert "Parameters: 1.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 1.0 -5.0 0.0 0.0\n" in (tmp_path / "a.txt").read_text()
    grid = make_grid("RAS", (3.0, 3.0, 3.0))
    write_transform(Transform((AffineMap(matrix),), fixed=grid), tmp_path / "a.nii.gz")
    field = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii.gz")))
    assert np.allclose(field, [-5.0, 0.0, 0.0])


def test_itk_maps_points_by_a_linear_file_as_we_do(tmp_path: Path, points: np.ndarray) -> None:
    transform = Transform.affine(rigid())
    write_transform(transform, tmp_path / "a.txt")
    itk = sitk.ReadTransform(str(tmp_path / "a.txt"))
    theirs = np.array([itk.TransformPoint((p * LPS).tolist()) for p in points]) * LPS
    assert np.abs(theirs - transform.map_points(points)).max() < 1e-9


def test_itk_maps_points_by_a_field_file_as_we_do(tmp_path: Path, points: np.ndarray, grid: Grid) -> None:
    transform = Transform((smooth_field(grid), AffineMap(rigid())), fixed=grid)
    write_transform(transform, tmp_path / "a.nii.gz")
    image = sitk.Cast(sitk.ReadImage(str(tmp_path / "a.nii.gz")), sitk.sitkVectorFloat64)
    itk = sitk.DisplacementFieldTransform(image)
    theirs = np.array([itk.TransformPoint((p * LPS).tolist()) for p in points]) * LPS
    ours = read_transform(tmp_path / "a.nii.gz").map_points(points)
    assert np.abs(theirs - ours).max() < 2e-3
    # The voxel centres lose only what rounding to 0.01 mm takes, per component.
    assert np.abs(ours - transform.flattened(grid).map_points(points)).max() < 6e-3


def test_itk_resamples_by_our_file_as_we_do(tmp_path: Path, rng: np.random.Generator) -> None:
    fixed, moving = make_grid("LPS", (3.0, 3.0, 4.0)), make_grid("oblique", (2.0, 3.0, 3.0))
    image = Image(rng.random(moving.shape).astype(np.float32), moving)
    write_image(image, tmp_path / "moving.nii.gz")
    write_image(Image(np.zeros(fixed.shape, np.float32), fixed), tmp_path / "fixed.nii.gz")
    transform = Transform((smooth_field(fixed), AffineMap(rigid())), fixed=fixed)
    write_transform(transform, tmp_path / "a.nii.gz")
    itk = sitk.DisplacementFieldTransform(sitk.Cast(sitk.ReadImage(str(tmp_path / "a.nii.gz")), sitk.sitkVectorFloat64))
    theirs = sitk.Resample(
        sitk.ReadImage(str(tmp_path / "moving.nii.gz")), sitk.ReadImage(str(tmp_path / "fixed.nii.gz")), itk, sitk.sitkLinear
    )
    ours = resample_image(image, fixed, read_transform(tmp_path / "a.nii.gz")).data
    difference = np.abs(sitk.GetArrayFromImage(theirs).transpose(2, 1, 0) - ours)
    inside = ours > 0
    assert inside.sum() > 1000
    assert np.quantile(difference[inside], 0.99) < 1e-3


def test_a_linear_transform_survives_the_round_trip(tmp_path: Path) -> None:
    write_transform(Transform.affine(rigid()), tmp_path / "a.txt")
    back = read_transform(tmp_path / "a.txt", from_space="ses02", to_space="ses01")
    assert np.abs(back.matrix - rigid()).max() < 1e-15
    assert (back.from_space, back.to_space) == ("ses02", "ses01")


@pytest.mark.parametrize("suffix", ["tfm", "mat"])
def test_transforms_of_other_programs_are_read(tmp_path: Path, points: np.ndarray, suffix: str) -> None:
    itk = sitk.Euler3DTransform((3.0, -4.0, 5.0), 0.1, -0.2, 0.05, (1.0, 2.0, 3.0))
    affine = sitk.AffineTransform(3)
    affine.SetCenter(itk.GetCenter())
    affine.SetMatrix(itk.GetMatrix())
    affine.SetTranslation(itk.GetTranslation())
    for name, transform in (("euler", itk), ("affine", affine)):
        path = tmp_path / f"{name}.{suffix}"
        sitk.WriteTransform(transform, str(path))
        theirs = np.array([itk.TransformPoint((p * LPS).tolist()) for p in points]) * LPS
        assert np.abs(read_transform(path).map_points(points) - theirs).max() < 1e-6


def test_equal_transforms_give_equal_bytes(tmp_path: Path) -> None:
    grid = make_grid("LAS", (4.0, 4.0, 4.0))
    for name in ("a", "b"):
        write_transform(Transform.affine(rigid()), tmp_path / f"{name}.txt")
        write_transform(Transform((smooth_field(grid),), fixed=grid), tmp_path / f"{name}.nii.gz")
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_suffix_that_does_not_suit_is_refused(tmp_path: Path) -> None:
    grid = make_grid("RAS", (6.0, 6.0, 6.0))
    with pytest.raises(ParameterError, match="change the suffix"):
        write_transform(Transform((smooth_field(grid),), fixed=grid), tmp_path / "a.txt")
    with pytest.raises(ParameterError, match="needs a grid"):
        write_transform(Transform((smooth_field(grid),)), tmp_path / "a.nii.gz")
    assert not list(tmp_path.iterdir())


def test_files_that_hold_no_transform_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(ImageFileError, match=r"a\.txt"):
        read_transform(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text("Transform: AffineTransform_double_3_3\nParameters: 1 0 0\nFixedParameters: 0 0 0\n")
    with pytest.raises(ImageFileError, match="12 parameters"):
        read_transform(tmp_path / "b.txt")
    with pytest.raises(ImageFileError, match="no such file"):
        read_transform(tmp_path / "c.txt")
    write_image(Image(np.zeros((4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4))), tmp_path / "d.nii.gz")
    with pytest.raises(ImageFileError, match="X x Y x Z x 1 x 3"):
        read_transform(tmp_path / "d.nii.gz")
