"""Where the planes of DICOM images lie: from position, orientation and spacing to a grid in RAS+ millimetres."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ImageFileError
from regrowth.space import Grid

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["LPS_TO_RAS", "plane_axes", "quiet", "read_dicom", "series_grid", "stacked_grid"]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts towards left and posterior, the grids of this package towards right and anterior."""

_POSITION_TOLERANCE_MM = 0.05  # positions are decimal strings that some programs round to a tenth of a millimetre
_ANGLE_TOLERANCE = 1e-3  # cosines


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings of DICOM libraries away, because they repeat values such as the name of the patient."""
    logger = logging.getLogger("pydicom")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled


def read_dicom(path: Path, keywords: Sequence[str] = (), *, pixels: bool = True) -> Dataset:
    """Read a DICOM file.

    Parameters
    ----------
    path
        File.
    keywords
        Attributes to read; all when empty. What is not asked for, such as the name of the patient, is not taken from the file.
    pixels
        Whether to read the pixel data.

    Raises
    ------
    ImageFileError
        If the file is missing or no DICOM file.
    """
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    path = Path(path)
    if not path.is_file():
        raise ImageFileError(f"{path}: no such file; correct the path")
    try:
        with quiet():
            return dcmread(path, specific_tags=list(keywords) or None, stop_before_pixels=not pixels)
    except (
        *(InvalidDicomError, BytesLengthException, struct.error),
        *(OSError, EOFError, ValueError, KeyError, NotImplementedError),
    ) as error:
        kind = type(error).__name__
        raise ImageFileError(
            f"{path}: cannot be read as DICOM ({kind}); it is damaged or no DICOM file: export it again"
        ) from error


def plane_axes(dataset: Dataset, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Read position and axes of a plane, in LPS+ millimetres as DICOM has them.

    Returns
    -------
    position
        (3,), centre of the first voxel.
    axes
        (3, 3), columns: step from one column of pixels to the next, step from one row to the next, unit normal.

    Raises
    ------
    ImageFileError
        If position, orientation or spacing are absent or impossible; `where` names the file.
    """
    values = {}
    for keyword, n in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        given = dataset.get(keyword)
        if given is None or len(given) != n:
            raise ImageFileError(f"{where}: has no {keyword}, so that nobody knows where it lies; export it as a volume")
        values[keyword] = np.array([float(v) for v in given])
    along_row, along_column = values["ImageOrientationPatient"].reshape(2, 3)
    lengths = np.linalg.norm([along_row, along_column], axis=1)
    if np.abs(lengths - 1).max() > _ANGLE_TOLERANCE or abs(along_row @ along_column) > _ANGLE_TOLERANCE:
        raise ImageFileError(f"{where}: ImageOrientationPatient holds no two unit vectors at right angles; export it again")
    between_rows, between_columns = values["PixelSpacing"]  # the vertical distance comes first
    if not min(between_rows, between_columns) > 0:
        raise ImageFileError(f"{where}: PixelSpacing is not positive; export it again")
    along_row, along_column = along_row / lengths[0], along_column / lengths[1]
    normal = np.cross(along_row, along_column)
    axes = np.column_stack([along_row * between_columns, along_column * between_rows, normal / np.linalg.norm(normal)])
    return values["ImagePositionPatient"], axes


def stacked_grid(
    shape: tuple[int, int, int], position: np.ndarray, axes: np.ndarray, step_mm: float, frame_of_reference_uid: str | None
) -> Grid:
    """Give the grid of equal planes that follow each other along their normal.

    Parameters
    ----------
    shape
        Columns, rows, planes: the array of the grid is indexed so.
    position, axes
        As `plane_axes` gives them, of the first plane.
    step_mm
        Distance from one plane to the next along the normal; negative against it.
    frame_of_reference_uid
        DICOM frame of reference.
    """
    affine = np.eye(4)
    affine[:3, :3] = axes * [1.0, 1.0, step_mm]
    affine[:3, 3] = position
    return Grid(shape, LPS_TO_RAS @ affine, frame_of_reference_uid)


def series_grid(images: Sequence[Dataset], where: str) -> tuple[Grid, list[int]]:
    """Find the volume that the single-frame images of a series make up.

    Parameters
    ----------
    images
        Headers, in any order.
    where
        File or folder for messages.

    Returns
    -------
    grid
        Columns, rows, planes, to RAS+ mm; planes in the order of their positions along the normal.
    order
        Index of the image of every plane.

    Raises
    ------
    ImageFileError
        If there are fewer than two images, sizes, orientations or frames of reference differ, two images share a place, a plane
        is missing or the stack leans; names the remedy.
    """
    if len(images) < 2:
        raise ImageFileError(f"{where}: {len(images)} image(s) make no volume; give the whole series")
    planes = [plane_axes(image, where) for image in images]
    position, axes = planes[0]
    sizes = {(int(image.Columns), int(image.Rows)) for image in images}
    frames = {str(image.get("FrameOfReferenceUID", "")) for image in images}
    turned = max(np.abs(a - axes).max() for _, a in planes)
    if len(sizes) > 1 or turned > _ANGLE_TOLERANCE or len(frames) > 1:
        what = (
            "sizes"
            if len(sizes) > 1
            else "orientations or pixel spacings"
            if turned > _ANGLE_TOLERANCE
            else "frames of reference"
        )
        raise ImageFileError(
            f"{where}: the images have several {what}, as scouts and reformats do; give one stack of equal planes"
        )
    offsets = np.array([p - position for p, _ in planes])
    heights = offsets @ axes[:, 2]
    order = [int(k) for k in np.argsort(heights, kind="stable")]
    first, last = order[0], order[-1]
    step = float(heights[last] - heights[first]) / (len(images) - 1)
    steps = np.diff(heights[order])
    if steps.min() < 1e-3:
        raise ImageFileError(
            f"{where}: several images lie at one place, as in a series over time or with several echoes; give the images of one"
        )
    even = heights[first] + step * np.arange(len(images))
    if np.abs(heights[order] - even).max() > _POSITION_TOLERANCE_MM:
        raise ImageFileError(
            f"{where}: distances between planes run from {steps.min():.3g} to {steps.max():.3g} mm; a plane is missing or the "
            "spacing varies: give the complete series, or resample it to equal distances"
        )
    sideways = offsets - np.outer(heights, axes[:, 2]) - (offsets[first] - heights[first] * axes[:, 2])
    if np.abs(sideways).max() > _POSITION_TOLERANCE_MM:
        raise ImageFileError(
            f"{where}: the planes lean sideways by up to {np.abs(sideways).max():.3g} mm (tilted gantry); "
            "resample to a straight stack"
        )
    columns, rows = sizes.pop()
    grid = stacked_grid((columns, rows, len(images)), planes[first][0], axes, step, frames.pop() or None)
    return grid, order
