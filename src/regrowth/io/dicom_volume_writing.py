"""How a volume becomes DICOM: a series of images, or a dose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.io.dicom_geometry import LPS_TO_RAS
from regrowth.io.dicom_study import DicomStudy, ds_text, new_dataset, reference_item, save_dataset
from regrowth.space import Grid, Image

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["write_image_series", "write_rtdose"]

_CT = "1.2.840.10008.5.1.4.1.1.2"
_MR = "1.2.840.10008.5.1.4.1.1.4"
_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"
_CT_INTERCEPT = -1024


def write_image_series(
    image: Image, folder: Path, study: DicomStudy, name: str, *, modality: str = "CT", number: int = 1
) -> str:
    """Write a volume as a series of single images along its third axis.

    Parameters
    ----------
    image
        (X, Y, Z); Hounsfield units for a CT, else values from 0 to 65535. Rounded to whole numbers.
    folder
        Where to. File names tell nothing about the order.
    study
        Whose it is.
    name
        Of the series; becomes its description and its UID.
    modality
        ``CT`` or ``MR``.
    number
        Series number.

    Returns
    -------
    str
        Series instance UID.

    Raises
    ------
    ParameterError
        If the modality is another, values do not fit into 16 bits, or the axes of the grid are not at right angles.
    """
    if modality not in ("CT", "MR"):
        raise ParameterError(f"modality is CT or MR, not {modality!r}")
    intercept = _CT_INTERCEPT if modality == "CT" else 0
    stored = np.round(np.asarray(image.data, np.float64) - intercept)
    if not np.isfinite(stored).all() or stored.min() < 0 or stored.max() > 65535:
        raise ParameterError(f"values from {image.data.min():g} to {image.data.max():g} do not fit into 16 bits; clip them")
    series_uid = study.uid("series", name)
    spacing = image.grid.spacing_mm
    for k in range(image.grid.shape[2]):
        out = new_dataset(study, _CT if modality == "CT" else _MR, modality, study.uid("image", name, str(k)), series_uid)
        out.ImageType = ["DERIVED" if study.synthetic else "ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "OTHER"]
        out.SeriesNumber, out.InstanceNumber, out.AcquisitionNumber = number, k + 1, 1
        out.SeriesDescription = name
        out.PatientPosition = "HFS"
        _place(out, image.grid, k, study)
        out.SliceThickness = ds_text(spacing[2])
        out.Rows, out.Columns = image.grid.shape[1], image.grid.shape[0]
        _pixels(out, np.ascontiguousarray(stored[:, :, k].T, "<u2"), 16)
        if modality == "CT":
            out.RescaleSlope, out.RescaleIntercept, out.RescaleType = "1", str(intercept), "HU"
            out.KVP = "120"
            out.WindowCenter, out.WindowWidth = "40", "400"
        else:
            out.ScanningSequence, out.SequenceVariant, out.ScanOptions = "RM", "NONE", ""
            out.MRAcquisitionType, out.EchoTime, out.EchoTrainLength, out.RepetitionTime = "2D", "", "", ""
        save_dataset(out, Path(folder) / f"{out.SOPInstanceUID.rsplit('.', 1)[-1][-12:]}.dcm")
    return series_uid


def write_rtdose(
    dose: Image,
    out: Path,
    study: DicomStudy,
    name: str,
    *,
    plan_uid: str,
    summation_type: str = "PLAN",
    beam: int | None = None,
) -> str:
    """Write a dose (RT Dose Storage).

    Parameters
    ----------
    dose
        (X, Y, Z) Gy, not negative, planes along the third axis.
    out
        File.
    study, name
        Whose it is; name for its UID.
    plan_uid
        SOP instance UID of the plan.
    summation_type
        What it adds up.
    beam
        Number of the beam, for ``BEAM``.

    Returns
    -------
    str
        SOP instance UID.

    Raises
    ------
    ParameterError
        If it is not in Gy, has a single plane or negative or infinite values.
    """
    from pydicom.dataset import Dataset as New

    data = np.asarray(dose.data, np.float64)
    if dose.unit != "Gy" or dose.grid.shape[2] < 2 or not np.isfinite(data).all() or data.min() < 0:
        raise ParameterError("a dose is written in Gy, of at least two planes, finite and not negative")
    uid = study.uid("dose", name)
    file = new_dataset(study, _DOSE, "RTDOSE", uid, study.uid("series", "dose", name))
    file.SeriesNumber, file.InstanceNumber = 4, 1
    _place(file, dose.grid, 0, study)
    file.SliceThickness = ds_text(dose.grid.spacing_mm[2])
    file.Rows, file.Columns, file.NumberOfFrames = dose.grid.shape[1], dose.grid.shape[0], dose.grid.shape[2]
    file.FrameIncrementPointer = 0x3004000C
    # The planes follow the third axis, which may run against the normal of rows and columns.
    step = dose.grid.spacing_mm[2] * _handedness(dose.grid)
    file.GridFrameOffsetVector = [ds_text(step * k) for k in range(dose.grid.shape[2])]
    file.DoseUnits, file.DoseType, file.DoseSummationType = "GY", "PHYSICAL", summation_type
    scaling = float(ds_text(max(float(data.max()), 1e-3) / (2**32 - 2)))
    file.DoseGridScaling = ds_text(scaling)
    _pixels(file, np.ascontiguousarray(np.round(data / scaling).T, "<u4"), 32)
    plan = reference_item(_PLAN, plan_uid)
    if beam is not None:
        group, item = New(), New()
        item.ReferencedBeamNumber = beam
        group.ReferencedBeamSequence, group.ReferencedFractionGroupNumber = [item], 1
        plan.ReferencedFractionGroupSequence = [group]
    file.ReferencedRTPlanSequence = [plan]
    save_dataset(file, Path(out))
    return uid


def _place(file: Dataset, grid: Grid, plane: int, study: DicomStudy) -> None:
    """Say where a plane lies and in which frame of reference."""
    if grid.frame_of_reference_uid not in (None, study.frame_uid):
        raise GridMismatchError("the volume lies in another frame of reference than the study; name the study's own")
    if not grid.is_orthogonal:
        raise ParameterError("the axes of the grid are not at right angles, as DICOM needs them; resample first")
    to_lps = LPS_TO_RAS[:3, :3]
    directions = to_lps @ grid.directions
    position = to_lps @ grid.world(np.array([0.0, 0.0, plane]))
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = study.frame_uid, ""
    file.ImagePositionPatient = [ds_text(round(v, 6)) for v in position]
    file.ImageOrientationPatient = [ds_text(round(v, 12)) for v in (*directions[:, 0], *directions[:, 1])]
    file.PixelSpacing = [ds_text(grid.spacing_mm[1]), ds_text(grid.spacing_mm[0])]


def _handedness(grid: Grid) -> float:
    """1 where the third axis follows the normal of rows and columns as DICOM has it, else -1."""
    return float(np.sign(np.linalg.det(grid.directions)))  # turning by half about z changes no sign


def _pixels(file: Dataset, pixels: np.ndarray, bits: int) -> None:
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelData = pixels.tobytes()
    file["PixelData"].VR = "OW"
