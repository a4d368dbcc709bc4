"""How the images of a DICOM series become one volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ImageFileError, ParameterError
from regrowth.io.dicom_geometry import quiet, read_dicom, series_grid
from regrowth.io.dicom_objects import DicomIndex
from regrowth.space import Image

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["AIR_HU", "read_image_series", "read_series_files"]

AIR_HU = -1024.0
"""What stands for the outside of the field of view of a CT."""

_KEYWORDS: tuple[str, ...] = (
    "Modality",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
)
_KEYWORDS += ("Rows", "Columns", "NumberOfFrames", "FrameOfReferenceUID", "GantryDetectorTilt", "PixelData", "BitsAllocated")
_KEYWORDS += ("BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation")
_KEYWORDS += ("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "RescaleType", "Units")


def read_image_series(index: DicomIndex, series_uid: str) -> Image:
    """Read a series of an index.

    Parameters
    ----------
    index
        Index of the folder.
    series_uid
        Series instance UID.

    Returns
    -------
    Image
        As `read_series_files`.

    Raises
    ------
    ParameterError
        If the index has no such series.
    ImageFileError
        As `read_series_files`.
    """
    found = index.find(series_uid)
    if found.kind != "IMAGE":
        raise ParameterError(f"{found.shown_path}: is {found.kind}, not a series of images; give the UID of a series")
    return read_series_files(index.files(series_uid), found.shown_path)


def read_series_files(paths: Sequence[Path], where: str) -> Image:
    """Read the volume of a series of single-frame images.

    The value is pixel times RescaleSlope plus RescaleIntercept, of each image its own. Pixels that the file calls padding
    become -1024 HU in a CT and 0 elsewhere.

    Parameters
    ----------
    paths
        Files of one series, in any order.
    where
        What to call the series in messages.

    Returns
    -------
    Image
        float32, (columns, rows, planes), planes in the order of their positions; unit ``HU`` for CT, the Units of a PET, else
        ``a.u.``. The frame of reference is in the grid.

    Raises
    ------
    ImageFileError
        If the images make no volume of equal planes (one missing, several at one place, several orientations, a tilted gantry),
        are in colour or multi-frame, or the pixels are cut off or cannot be decompressed.
    """
    images = [_read(path, where) for path in paths]
    try:
        with quiet():
            return _volume(images, where)
    except ImageFileError:
        raise
    except Exception as error:  # values are decoded only when asked for, and damaged ones make pydicom raise nearly anything
        kind = type(error).__name__
        raise ImageFileError(f"{where}: the header of an image is damaged ({kind}); copy or export the series again") from None


def _volume(images: Sequence[Dataset], where: str) -> Image:
    if len({str(i.get("SeriesInstanceUID", "")) for i in images}) > 1:
        raise ImageFileError(f"{where}: the files belong to several series; give those of one")
    if any(int(i.get("NumberOfFrames") or 1) > 1 for i in images):
        raise ImageFileError(f"{where}: is a multi-frame image; export the series as single images (classic)")
    modality = str(images[0].get("Modality") or "") if images else ""
    grid, order = series_grid(images, where)
    unit = {"CT": "HU", "PT": str(images[0].get("Units") or "a.u.")}.get(modality, "a.u.")
    kind = str(images[0].get("RescaleType") or "HU")
    if modality == "CT" and kind not in ("HU", "US"):
        raise ImageFileError(f"{where}: its values are of type {kind}, not Hounsfield units; export the CT itself")
    data = np.empty(grid.shape, np.float32)
    for plane, k in enumerate(order):
        data[:, :, plane] = _values(images[k], where, AIR_HU if modality == "CT" else 0.0).T
    return Image(data, grid, unit)


def _read(path: Path, where: str) -> Dataset:
    try:
        return read_dicom(path, _KEYWORDS)
    except ImageFileError as error:  # its message names the file, and names of files may be names of patients
        raise ImageFileError(f"{where}: {str(error).removeprefix(f'{path}: ')}") from None


def _values(image: Dataset, where: str, padding: float) -> np.ndarray:
    """Rows by columns of one image in its unit."""
    if int(image.get("SamplesPerPixel") or 1) != 1:
        raise ImageFileError(f"{where}: is in colour; give the measured images, not pictures of them")
    try:
        pixels = np.asarray(image.pixel_array)
    except (AttributeError, ValueError, RuntimeError, NotImplementedError, KeyError, TypeError) as error:
        syntax = image.file_meta.get("TransferSyntaxUID")
        name = getattr(syntax, "name", "no transfer syntax")
        raise ImageFileError(
            f"{where}: the pixels of an image cannot be read ({type(error).__name__}, {name}); export it again, uncompressed "
            "and complete"
        ) from error
    slope, intercept = (image.get(k) for k in ("RescaleSlope", "RescaleIntercept"))
    values = pixels * float(1 if slope is None else slope) + float(intercept or 0)
    pad = image.get("PixelPaddingValue")
    if isinstance(pad, int):
        limit = image.get("PixelPaddingRangeLimit")
        ends = sorted((pad, limit if isinstance(limit, int) else pad))
        values[(pixels >= ends[0]) & (pixels <= ends[1])] = padding
    return np.asarray(values, np.float32)
