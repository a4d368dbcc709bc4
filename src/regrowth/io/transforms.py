"""How transforms become files that ANTs, SimpleITK and 3D Slicer read, and back.

A file named ``from-A_to-B_mode-image_xfm`` moves an image from A onto the grid of B, so it maps *points* of B to points of
A, as ITK's own files do. Files are in LPS+ mm, memory is in RAS+ mm: a map of x to x + 5 mm here stands as -5 there.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import numpy as np

from regrowth.errors import ImageFileError, ParameterError
from regrowth.io.nifti import read_grid, write_array
from regrowth.space import DisplacementMap, Grid, Transform

__all__ = ["read_transform", "write_transform"]

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_LINEAR = ("AffineTransform", "MatrixOffsetTransformBase")
_ROUND_MM = 0.01


def write_transform(transform: Transform, path: Path, grid: Grid | None = None) -> None:
    """Write a transform so that equal transforms give equal bytes.

    Parameters
    ----------
    transform
        ``from-A_to-B``. A linear one becomes an ITK text file (``.txt``), one with displacement fields becomes one
        composed displacement field (``.nii.gz``, X x Y x Z x 1 x 3, intent vector, LPS+ mm, rounded to 0.01 mm).
    path
        Where to; the folder is made.
    grid
        Where the field is sampled; the fixed grid of the transform when left out.

    Raises
    ------
    ParameterError
        If the suffix does not suit the transform, or no grid is known for a field.
    """
    path = Path(path)
    if transform.is_linear and path.name.endswith(".txt"):
        _write_text(_itk_text(transform.matrix), path)
    elif path.name.endswith(".nii.gz"):
        grid = grid or transform.fixed
        if grid is None:
            raise ParameterError(
                f"{path}: a displacement field needs a grid to be sampled on; pass the grid of the fixed image"
            )
        _write_field(transform, path, grid)
    else:
        kind = "a linear transform is written as .txt" if transform.is_linear else "a field is written as .nii.gz"
        raise ParameterError(f"{path}: {kind}; change the suffix")


def read_transform(
    path: Path,
    *,
    from_space: str = "moving",
    to_space: str = "fixed",
    moving: Grid | None = None,
    fixed: Grid | None = None,
) -> Transform:
    """Read a transform written here, by ANTs, SimpleITK or 3D Slicer.

    Parameters
    ----------
    path
        ``.txt``, ``.tfm`` or ``.mat`` with one linear ITK transform, or ``.nii``/``.nii.gz`` with a displacement field in
        LPS+ mm.
    from_space, to_space, moving, fixed
        Names and grids of the two spaces, which the file does not hold. For a field the fixed grid defaults to its own.

    Returns
    -------
    Transform
        ``from-<from_space>_to-<to_space>``.

    Raises
    ------
    ImageFileError
        If the file is missing, damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageFileError(f"{path}: no such file")
    if path.name.endswith((".nii", ".nii.gz")):
        step = _read_field(path)
        return Transform((step,), from_space, to_space, moving, fixed or step.grid)
    return Transform.affine(_read_matrix(path), from_space=from_space, to_space=to_space, moving=moving, fixed=fixed)


def _itk_text(matrix: np.ndarray) -> str:
    lps = _LPS @ matrix @ _LPS + 0.0  # + 0.0 turns -0.0 into 0.0, so that equal maps give equal bytes
    parameters = [*lps[:3, :3].ravel(), *lps[:3, 3]]
    return (
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(repr(float(v)) for v in parameters)}\nFixedParameters: 0 0 0\n"
    )


def _write_text(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_text(text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_field(transform: Transform, path: Path, grid: Grid) -> None:
    if not grid.is_orthogonal:
        raise ParameterError(f"{path}: ITK cannot place a field on a grid with sheared axes; pass an orthogonal grid")
    step = transform.flattened(grid).steps[0]
    assert isinstance(step, DisplacementMap)
    lps = step.displacement_mm * np.array([-1, -1, 1], np.float32)
    rounded = np.round(lps.astype(np.float64) / _ROUND_MM) * _ROUND_MM + 0.0
    write_array(rounded.astype(np.float32)[:, :, :, None, :], grid.affine, path, intent="vector")


def _read_field(path: Path) -> DisplacementMap:
    import nibabel as nib

    grid = read_grid(path)
    try:
        data = np.asarray(nib.load(path).dataobj, np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise ImageFileError(f"{path}: the field ends too early or is damaged ({error}); write the file again") from error
    if data.shape != (*grid.shape, 1, 3):
        raise ImageFileError(f"{path}: a displacement field has the shape X x Y x Z x 1 x 3, this file has {data.shape}")
    if not np.isfinite(data).all():
        raise ImageFileError(f"{path}: the displacement field holds NaN or infinite values")
    return DisplacementMap(data[:, :, :, 0] * np.array([-1, -1, 1], np.float32), grid)


def _read_matrix(path: Path) -> np.ndarray:
    """Read the (4, 4) matrix in RAS+ mm of a linear ITK file."""
    lines: dict[str, list[str]] = {}
    if path.suffix != ".mat":
        for line in path.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            lines.setdefault(key.strip(), []).append(value.strip())
    names = lines.get("Transform", [])
    if len(names) == 1 and names[0].split("_")[0] in _LINEAR and names[0].endswith("_3_3"):
        try:
            values = np.array(lines["Parameters"][0].split(), np.float64)
            centre = np.array(lines["FixedParameters"][0].split(), np.float64)
            return _ras(values[:9].reshape(3, 3), values[9:12].reshape(3), centre.reshape(3))
        except (KeyError, ValueError) as error:
            raise ImageFileError(f"{path}: an affine ITK transform needs 12 parameters and a centre ({error})") from error
    return _read_by_itk(path)


def _ras(matrix: np.ndarray, translation: np.ndarray, centre: np.ndarray) -> np.ndarray:
    lps = np.eye(4)
    lps[:3, :3] = matrix
    lps[:3, 3] = translation + centre - matrix @ centre
    return np.asarray(_LPS @ lps @ _LPS)


def _read_by_itk(path: Path) -> np.ndarray:
    """Let ITK read the less common linear transforms (Euler, versor, .mat) and take their matrix."""
    import SimpleITK as sitk

    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise ImageFileError(f"{path}: cannot be read as an ITK transform; the file is damaged or of another format") from error
    if transform.GetDimension() != 3 or not transform.IsLinear():
        raise ImageFileError(f"{path}: holds no linear 3D transform; save a field as a .nii.gz displacement field instead")
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(transform.TransformPoint(tuple(unit))) - origin for unit in np.eye(3).tolist()]
    return _ras(np.column_stack(columns), origin, np.zeros(3))
