"""How NIfTI files become images and back, with the faults of real files named and refused."""

from __future__ import annotations

import gzip
import os
import uuid
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError as FileBasedImageError
from nibabel.spatialimages import HeaderDataError

from regrowth.errors import ImageFileError, InputError, OutputError, ParameterError
from regrowth.labels import LabelScheme
from regrowth.space import Grid, Image, LabelMap

__all__ = ["read_grid", "read_image", "read_labels", "write_array", "write_image", "write_labels"]

_UNREADABLE = (FileBasedImageError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, TypeError, MemoryError)


def read_grid(path: Path) -> Grid:
    """Read the grid of a file without its voxels.

    Raises
    ------
    ImageFileError
        If the file is missing, is no NIfTI image, has fewer than three axes, a singular affine or none at all.
    """
    header = _load(path)
    return _grid(header, path)


def read_image(path: Path, unit: str = "a.u.", *, ndim: int = 3) -> Image:
    """Read an image, scaled as its header says, float32.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``.
    unit
        Unit of the values.
    ndim
        3, or 4 for series. A fourth axis of length 1 is dropped where 3 is expected.

    Raises
    ------
    ImageFileError
        If the file is truncated, has the wrong number of axes, a singular affine, or voxels that are not finite.
    """
    nii = _load(path)
    grid = _grid(nii, path)
    data = _voxels(nii, path, np.float32)
    while data.ndim > ndim and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim != ndim:
        raise ImageFileError(
            f"{path}: a {ndim}D image is expected but the file has {data.ndim} axes {data.shape}; "
            + ("extract one volume, or move a series out of anat/" if data.ndim > ndim else "name the file of the whole series")
        )
    bad = int((~np.isfinite(data)).sum())
    if bad:
        raise ImageFileError(
            f"{path}: {bad} of {data.size} voxels are NaN or infinite; export the image again or replace them by the background"
        )
    return Image(data, grid, unit)


def read_labels(path: Path, scheme: LabelScheme) -> LabelMap:
    """Read a segmentation in a named scheme.

    Raises
    ------
    ImageFileError
        As `read_image`, or if values are not whole numbers from 0 to 255.
    LabelSchemeError
        If a value is not defined by the scheme.
    """
    image = read_image(path)
    rounded = np.rint(image.data)
    if np.abs(rounded - image.data).max(initial=0) > 1e-3 or rounded.min(initial=0) < 0 or rounded.max(initial=0) > 255:
        raise ImageFileError(
            f"{path}: a segmentation needs whole label values from 0 to 255, this file holds values from "
            f"{image.data.min():g} to {image.data.max():g}; it may be a probability map or interpolated linearly"
        )
    data = rounded.astype(np.uint8)
    scheme.check_values(data, str(path))
    return LabelMap(data, image.grid, scheme)


def write_image(image: Image, path: Path, dtype: type[np.generic] = np.float32) -> None:
    """Write an image so that equal voxels give equal bytes; the file appears whole or not at all.

    Parameters
    ----------
    image
        What to write.
    path
        ``.nii`` or ``.nii.gz``; the folder is made.
    dtype
        Type of the stored voxels; integers are rounded and clipped to their range.

    Raises
    ------
    OutputError
        If the folder is read-only, full or no folder; the message names it.
    ParameterError
        If the name has another ending, or NaN would have to become an integer.
    """
    data = np.asarray(image.data)
    if np.issubdtype(dtype, np.integer):
        if not np.isfinite(data).all():
            raise ParameterError(f"{path}: NaN and infinite values have no integer; write them as float32")
        info = np.iinfo(np.dtype(dtype).name)
        data = np.clip(np.rint(data), info.min, info.max)
    _write(data.astype(dtype), image.grid.affine, path)


def write_labels(labels: LabelMap, path: Path) -> None:
    """Write a segmentation as uint8 (see `write_image`)."""
    _write(np.asarray(labels.data, np.uint8), labels.grid.affine, path)


def write_array(data: np.ndarray, affine: np.ndarray, path: Path, intent: str | None = None) -> None:
    """Write any array, such as a displacement field with its intent code (see `write_image`)."""
    _write(data, affine, path, intent)


def _load(path: Path) -> nib.Nifti1Image:
    path = Path(path)
    if not path.is_file():
        raise ImageFileError(f"{path}: no such file; correct the path")
    try:
        nii = nib.load(path)
    except _UNREADABLE as error:
        raise ImageFileError(
            f"{path}: cannot be read as an image ({_line(error)}); it is damaged or no NIfTI file: copy or export it again"
        ) from error
    if not isinstance(nii, nib.Nifti1Image | nib.Nifti1Pair):
        raise ImageFileError(f"{path}: is {type(nii).__name__}, not NIfTI; convert it first")
    return nii


def _grid(nii: nib.Nifti1Image, path: Path) -> Grid:
    if len(nii.shape) < 3:
        raise ImageFileError(f"{path}: has {len(nii.shape)} axes; a volume with three is expected: export the whole series")
    if nii.header["sform_code"] == 0 and nii.header["qform_code"] == 0:
        # nibabel and ITK would each invent another orientation here.
        raise ImageFileError(
            f"{path}: does not say where its voxels lie (sform_code and qform_code are 0); "
            "convert it again from DICOM, or set the sform if the orientation is known for certain"
        )
    try:
        return Grid(nii.shape[:3], nii.affine)
    except InputError as error:
        raise ImageFileError(f"{path}: {error}") from error


def _voxels(nii: nib.Nifti1Image, path: Path, dtype: type[np.generic]) -> np.ndarray:
    try:
        if Path(path).name.endswith(".nii.gz"):
            # nibabel stops before the checksum at the end; the whole file shows damage that still unpacks.
            nii = type(nii).from_bytes(gzip.decompress(Path(path).read_bytes()))
        return np.asarray(nii.dataobj, dtype=dtype)
    except _UNREADABLE as error:
        raise ImageFileError(
            f"{path}: the voxels end too early, are damaged or exceed the memory ({_line(error)}); copy or export it again"
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _write(data: np.ndarray, affine: np.ndarray, path: Path, intent: str | None = None) -> None:
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ParameterError(f"{path}: images are written as .nii or .nii.gz; choose one of these endings")
    nii = nib.Nifti1Image(data, affine)
    nii.header.set_xyzt_units("mm", "sec")
    nii.set_sform(affine, code=1)
    nii.set_qform(affine, code=1, strip_shears=True)
    if intent:
        nii.header.set_intent(intent)
    raw = nii.to_bytes()
    if path.name.endswith(".gz"):
        raw = gzip.compress(raw, compresslevel=4, mtime=0)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(raw)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path.parent}: {path.name} cannot be written ({error.strerror or _line(error)}); "
            "free space, correct the rights of this folder, or choose another output folder"
        ) from error
