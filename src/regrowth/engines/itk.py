"""How arrays and matrices in RAS+ mm become SimpleITK's in LPS+ mm and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.space import Grid

if TYPE_CHECKING:
    import SimpleITK as sitk

__all__ = ["field_from_itk", "field_to_itk", "image_to_itk", "matrix_from_itk", "matrix_to_itk", "place"]

_LPS = np.diag([-1.0, -1.0, 1.0])
_LPS4 = np.diag([-1.0, -1.0, 1.0, 1.0])


def place(image: Any, affine: np.ndarray) -> None:
    """Give an image of SimpleITK or ANTs the spacing, origin and direction of an affine (4, 4) in RAS+ mm."""
    grid = Grid((1, 1, 1), affine)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin((_LPS @ affine[:3, 3]).tolist())
    image.SetDirection((_LPS @ grid.directions).ravel().tolist())


def image_to_itk(data: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """Make a SimpleITK image of an array (X, Y, Z) and its affine (4, 4) in RAS+ mm; bool becomes uint8."""
    import SimpleITK as sitk

    data = np.asarray(data, np.uint8 if data.dtype == bool else np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    place(image, affine)
    return image


def field_to_itk(displacement_mm: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """Make a SimpleITK vector image (float64) of a displacement field (X, Y, Z, 3) in RAS+ mm."""
    import SimpleITK as sitk

    lps = np.ascontiguousarray(displacement_mm.astype(np.float64).transpose(2, 1, 0, 3) @ _LPS)
    image = sitk.GetImageFromArray(lps, isVector=True)
    place(image, affine)
    return image


def field_from_itk(image: sitk.Image) -> np.ndarray:
    """Take the displacement field (X, Y, Z, 3) in RAS+ mm, float32, from a SimpleITK vector image."""
    import SimpleITK as sitk

    lps = sitk.GetArrayViewFromImage(image).transpose(2, 1, 0, 3)
    return np.ascontiguousarray((lps @ _LPS).astype(np.float32))


def matrix_from_itk(transform: sitk.Transform) -> np.ndarray:
    """Take the (4, 4) matrix in RAS+ mm of a linear SimpleITK transform."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(transform.TransformPoint(tuple(unit))) - origin for unit in np.eye(3).tolist()]
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack(columns)
    lps[:3, 3] = origin
    return np.asarray(_LPS4 @ lps @ _LPS4)


def matrix_to_itk(matrix: np.ndarray, centre_mm: np.ndarray | None = None) -> sitk.AffineTransform:
    """Make a SimpleITK affine transform of a (4, 4) matrix in RAS+ mm, with its centre (3,) in RAS+ mm."""
    import SimpleITK as sitk

    lps = _LPS4 @ matrix @ _LPS4
    centre = np.zeros(3) if centre_mm is None else _LPS @ centre_mm
    out = sitk.AffineTransform(3)
    out.SetMatrix(lps[:3, :3].ravel().tolist())
    out.SetCenter(centre.tolist())
    out.SetTranslation((lps[:3, :3] @ centre + lps[:3, 3] - centre).tolist())
    return out
