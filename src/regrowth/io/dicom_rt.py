"""What a radiotherapy plan in DICOM says: the dose on its grid, and how it was meant to be given.

Only the attributes that are named here are read; names, birth dates and identifiers of persons are never taken from a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ImageFileError
from regrowth.growth.treatment import Treatment
from regrowth.io.dicom_geometry import plane_axes, read_dicom, stacked_grid
from regrowth.space import Grid, Image

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["DoseDescription", "PlannedCourse", "course_treatment", "describe_rtdose", "read_rtdose", "read_rtplan"]

_GEOMETRY = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "GridFrameOffsetVector",
    "FrameOfReferenceUID",
)
_DESCRIPTION = ("Modality", "DoseUnits", "DoseType", "DoseSummationType", "DoseGridScaling", "ReferencedRTPlanSequence")
_PIXELS = (
    "PixelData",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
)
_PLAN = ("Modality", "RTPlanLabel", "RTPlanDate", "DoseReferenceSequence", "FractionGroupSequence")
_OFFSET_TOLERANCE_MM = 0.05
_LARGEST_FRACTION_GY = 30.0


@dataclass(frozen=True)
class DoseDescription:
    """What the voxels of a dose file add up to.

    Parameters
    ----------
    summation_type
        ``PLAN``: the whole plan; ``FRACTION``, ``BEAM``, ``BRACHY`` and others: a part of it; ``MULTI_PLAN``: several; empty if
        the file does not say.
    dose_type
        ``PHYSICAL``, or ``EFFECTIVE`` where a biological effectiveness is in the numbers.
    plan_uids
        SOP instance UIDs of the plans that the dose belongs to.
    """

    summation_type: str
    dose_type: str
    plan_uids: tuple[str, ...]


@dataclass(frozen=True)
class PlannedCourse:
    """A course of equal fractions as planned; whether and when it was given stands elsewhere.

    Parameters
    ----------
    label
        Label of the plan.
    n_fractions
        Number of fractions.
    dose_per_fraction_gy
        Dose of a fraction, Gy.
    prescription_gy
        Dose of the whole course, Gy: the largest to any target.
    plan_date
        When the plan was made, if the file says so.
    """

    label: str
    n_fractions: int
    dose_per_fraction_gy: float
    prescription_gy: float
    plan_date: date | None = None


def read_rtdose(path: Path) -> Image:
    """Read a dose (RT Dose Storage).

    The dose is pixel value times DoseGridScaling. Planes lie where GridFrameOffsetVector says, in either form of DICOM PS3.3
    C.8.8.3.2: relative to the first plane along the normal (first element 0), or as patient z of transverse planes (first
    element equal to that of the position).

    Parameters
    ----------
    path
        DICOM file.

    Returns
    -------
    Image
        Dose in Gy, float32, (columns, rows, planes), with the frame of reference in its grid. `describe_rtdose` tells what it
        sums up: not always the whole plan.

    Raises
    ------
    ImageFileError
        If the file is no dose, its unit is not Gy, it holds errors instead of doses, has a single plane, planes at unequal
        distances, or no scaling or geometry.
    """
    dataset = _rt_file(path, (*_GEOMETRY, *_DESCRIPTION, *_PIXELS), "RTDOSE", "dose")
    units, kind = str(dataset.get("DoseUnits", "")), str(dataset.get("DoseType", ""))
    if units != "GY":
        raise ImageFileError(f"{path}: DoseUnits is {units or 'absent'!r}; export the dose in Gy (absolute)")
    if kind == "ERROR":
        raise ImageFileError(f"{path}: holds differences between doses (DoseType ERROR); export the dose itself")
    scaling = float(dataset.get("DoseGridScaling") or 0)
    if not (np.isfinite(scaling) and scaling > 0):
        raise ImageFileError(f"{path}: DoseGridScaling is absent or not positive, so that pixels have no dose; export it again")
    grid = _dose_grid(dataset, path)
    try:
        pixels = dataset.pixel_array
    except (AttributeError, ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        raise ImageFileError(
            f"{path}: the pixels cannot be read ({type(error).__name__}); export it again uncompressed"
        ) from error
    dose = np.asarray(pixels, np.float64).reshape(grid.shape[::-1]).T * scaling
    return Image(np.ascontiguousarray(dose, np.float32), grid, "Gy")


def describe_rtdose(path: Path) -> DoseDescription:
    """Read what a dose file sums up, without its voxels.

    Raises
    ------
    ImageFileError
        If the file is no dose.
    """
    dataset = _rt_file(path, _DESCRIPTION, "RTDOSE", "dose")
    plans = tuple(str(item.ReferencedSOPInstanceUID) for item in dataset.get("ReferencedRTPlanSequence") or ())
    return DoseDescription(str(dataset.get("DoseSummationType", "")), str(dataset.get("DoseType", "")), plans)


def read_rtplan(path: Path) -> PlannedCourse:
    """Read how a plan was meant to be given (RT Plan Storage).

    The prescription is the largest TargetPrescriptionDose of a target of the fraction group, else of the plan (volumes and
    sites before points); without any it is number of fractions times the sum of BeamDose.

    Parameters
    ----------
    path
        DICOM file.

    Returns
    -------
    PlannedCourse

    Raises
    ------
    ImageFileError
        If the file is no plan, has not exactly one group of fractions, no number of fractions or dose, or a dose that is not
        that of a course in Gy.
    """
    plan = _rt_file(path, _PLAN, "RTPLAN", "plan")
    groups: list[Dataset] = list(plan.get("FractionGroupSequence") or [])
    remedy = "write its courses into the treatment table"
    if len(groups) != 1:
        raise ImageFileError(f"{path}: has {len(groups)} groups of fractions where one is understood; {remedy}")
    n = int(groups[0].get("NumberOfFractionsPlanned") or 0)
    if n < 1:
        raise ImageFileError(f"{path}: does not say how many fractions are planned; {remedy}")
    beams: list[Dataset] = list(groups[0].get("ReferencedBeamSequence") or [])
    beams_gy = sum(float(b.get("BeamDose") or 0) for b in beams)
    prescription_gy = _prescription_gy(plan, groups[0]) or n * beams_gy
    if not prescription_gy > 0:
        raise ImageFileError(f"{path}: names no prescribed dose and no dose of its beams; {remedy}")
    if n > 1 and beams_gy > 0 and abs(prescription_gy / beams_gy - 1) < 0.02:
        raise ImageFileError(
            f"{path}: by the doses of the beams, the prescription of {prescription_gy:g} Gy is that of one of {n} fractions; "
            f"{remedy}"
        )
    if prescription_gy / n > _LARGEST_FRACTION_GY:
        raise ImageFileError(f"{path}: {prescription_gy:g} Gy in {n} fraction(s) is no dose in Gy (is it cGy?); {remedy}")
    return PlannedCourse(
        str(plan.get("RTPlanLabel", "")), n, prescription_gy / n, prescription_gy, _date(plan.get("RTPlanDate"))
    )


def course_treatment(plan: PlannedCourse, start_day: float) -> Treatment:
    """Place a planned course on weekdays, the first on a Monday.

    Parameters
    ----------
    plan
        The course.
    start_day
        Day of the first fraction, on the day count of the exams. A plan does not know it.
    """
    return Treatment.fractionated(start_day, plan.n_fractions, plan.dose_per_fraction_gy)


def _rt_file(path: Path, keywords: tuple[str, ...], modality: str, what: str) -> Dataset:
    dataset = read_dicom(path, keywords)
    found = str(dataset.get("Modality", ""))
    if found != modality:
        raise ImageFileError(f"{path}: is {found or 'of no modality'}, not {modality}; name the file of the {what}")
    return dataset


def _dose_grid(dataset: Dataset, path: Path) -> Grid:
    position, axes = plane_axes(dataset, str(path))
    n = int(dataset.get("NumberOfFrames") or 1)
    given = dataset.get("GridFrameOffsetVector")
    if n < 2 or given is None:
        raise ImageFileError(f"{path}: holds {n} plane(s) without distances between them; export the dose of the whole volume")
    offsets = np.array([float(v) for v in given])
    if len(offsets) != n:
        raise ImageFileError(f"{path}: {n} planes but {len(offsets)} in GridFrameOffsetVector; export it again")
    heights = _along_normal(offsets, position, axes[:, 2], path)
    step = float(heights[-1] - heights[0]) / (n - 1)
    uneven = np.abs(heights - heights[0] - step * np.arange(n)).max()
    if abs(step) < _OFFSET_TOLERANCE_MM or uneven > _OFFSET_TOLERANCE_MM:
        steps = np.abs(np.diff(heights))
        raise ImageFileError(
            f"{path}: distances between planes run from {steps.min():.3g} to {steps.max():.3g} mm; "
            "export the dose on a regular grid"
        )
    frame = str(dataset.get("FrameOfReferenceUID", "")) or None
    return stacked_grid((int(dataset.Columns), int(dataset.Rows), n), position, axes, step, frame)


def _along_normal(offsets: np.ndarray, position: np.ndarray, normal: np.ndarray, path: Path) -> np.ndarray:
    """Turn the offsets of the frames into heights above the first plane along the normal."""
    if offsets[0] == 0:  # at position z = 0 both forms say this, and then they differ only for planes seen from below
        return offsets
    is_transverse = abs(abs(normal[2]) - 1) < 1e-6
    if abs(offsets[0] - position[2]) < _OFFSET_TOLERANCE_MM and is_transverse:
        return (offsets - offsets[0]) * np.sign(normal[2])
    raise ImageFileError(
        f"{path}: GridFrameOffsetVector begins with {offsets[0]:g}, neither 0 nor the z of transverse planes; export it again"
    )


def _prescription_gy(plan: Dataset, group: Dataset) -> float:
    """Find the largest dose prescribed to a target, 0 if there is none."""
    references = list(plan.get("DoseReferenceSequence") or ())
    targets = [r for r in references if str(r.get("DoseReferenceType", "")) == "TARGET"]
    regions = [r for r in targets if str(r.get("DoseReferenceStructureType", "")) in ("VOLUME", "SITE")]
    for items in (group.get("ReferencedDoseReferenceSequence") or (), regions, targets):
        doses = [float(r.get("TargetPrescriptionDose") or 0) for r in items]
        if max(doses, default=0) > 0:
            return max(doses)
    return 0.0


def _date(text: object) -> date | None:
    """Read a DICOM date; None where there is none that exists."""
    digits = str(text or "").strip()
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
