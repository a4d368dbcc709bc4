"""What a radiotherapy structure set in DICOM holds, read as contours in the patient.

Only the attributes that are named here are read; names, birth dates and identifiers of persons are never taken from a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ImageFileError
from regrowth.io.dicom_geometry import LPS_TO_RAS, quiet, read_dicom
from regrowth.io.rtstruct_writing import WrittenStructures, write_rtstruct
from regrowth.radiotherapy import Contour, Structure, StructureSet

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["StructureProblem", "WrittenStructures", "read_rtstruct", "read_rtstruct_with_problems", "write_rtstruct"]

_KEYWORDS = (
    "SpecificCharacterSet",
    "Modality",
    "SOPInstanceUID",
    "StructureSetLabel",
    "FrameOfReferenceUID",
    "ReferencedFrameOfReferenceSequence",
    "StructureSetROISequence",
    "ROIContourSequence",
    "RTROIObservationsSequence",
)
_FLIP = np.diag(LPS_TO_RAS)[:3]


@dataclass(frozen=True)
class StructureProblem:
    """Something in a structure set that is not as it should be.

    Parameters
    ----------
    number, name
        Structure; number 0 and an empty name for the whole set.
    problem
        What is wrong.
    remedy
        What was done about it, or what to do.
    is_loss
        Whether something that was drawn could not be read.
    """

    number: int
    name: str
    problem: str
    remedy: str
    is_loss: bool = False


def read_rtstruct(path: Path) -> StructureSet:
    """Read the structures of a file (RT Structure Set Storage).

    Structures that were named but never drawn are kept, without contours; contours are kept in whatever plane they lie.

    Parameters
    ----------
    path
        DICOM file.

    Returns
    -------
    StructureSet
        Points in RAS+ mm, float64. The frame of reference of a structure is its own, else that of the set; empty if the file
        names none.

    Raises
    ------
    ImageFileError
        If the file is no structure set, or a contour cannot be read; `read_rtstruct_with_problems` gives the others.
    """
    structures, problems = read_rtstruct_with_problems(path)
    lost = [p for p in problems if p.is_loss]
    if lost:
        raise ImageFileError(
            f"{path}: {lost[0].name or 'structure set'}: {lost[0].problem} ({len(lost)} such); export it again, or read it "
            "with read_rtstruct_with_problems, which leaves such contours out"
        )
    return structures


def read_rtstruct_with_problems(path: Path) -> tuple[StructureSet, tuple[StructureProblem, ...]]:
    """Read the structures of a file and list what is wrong with it instead of refusing it.

    Returns
    -------
    structures
        As `read_rtstruct`; contours that cannot be read are left out.
    problems
        Empty for a sound file.

    Raises
    ------
    ImageFileError
        If the file is no structure set.
    """
    from pydicom.errors import BytesLengthException

    cut_off = (BytesLengthException, struct.error)  # a file that ends in the middle of an element
    damaged = (*cut_off, AttributeError, ValueError, TypeError, KeyError, NotImplementedError, OSError)
    try:
        dataset = read_dicom(path, _KEYWORDS, pixels=False)
    except cut_off as error:
        raise ImageFileError(f"{path}: is cut off or damaged; export it again") from error
    found = str(dataset.get("Modality", ""))
    if found != "RTSTRUCT":
        raise ImageFileError(f"{path}: is {found or 'of no modality'}, not RTSTRUCT; name the file of the structures")
    problems: list[StructureProblem] = []
    try:
        with quiet():
            return _structure_set(dataset, problems), tuple(problems)
    except damaged as error:
        raise ImageFileError(f"{path}: its structures cannot be read ({type(error).__name__}); export it again") from error


def _structure_set(dataset: Dataset, problems: list[StructureProblem]) -> StructureSet:
    frames = list(dataset.get("ReferencedFrameOfReferenceSequence") or ())
    uids = [uid for item in frames if (uid := str(item.get("FrameOfReferenceUID") or ""))]
    frame = str(dataset.get("FrameOfReferenceUID") or "") or (uids[0] if uids else "")
    if not frame:
        problems.append(StructureProblem(0, "", "names no frame of reference", "that of its images is taken on trust"))
    if len(set(uids)) > 1:
        problems.append(StructureProblem(0, "", f"has {len(set(uids))} frames of reference", "every structure keeps its own"))
    drawn = _by_number(dataset.get("ROIContourSequence"), problems, "ROIContourSequence")
    observed = {n: item for item in dataset.get("RTROIObservationsSequence") or () if (n := _number(item)) is not None}
    structures = []
    for item in dataset.get("StructureSetROISequence") or ():
        number = int(item.get("ROINumber") or 0)
        name = str(item.get("ROIName") or "").strip() or f"ROI {number}"
        own_frame = str(item.get("ReferencedFrameOfReferenceUID") or "") or frame
        structures.append(_structure(number, name, own_frame, drawn.pop(number, None), observed.get(number), problems))
    for number, item in drawn.items():
        name = f"ROI {number}"
        problems.append(StructureProblem(number, name, "has contours but no name", "kept under its number"))
        structures.append(_structure(number, name, frame, item, observed.get(number), problems))
    for keyword in ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"):
        if not dataset.get(keyword):  # the standard demands all three: the file may end too early
            is_loss = keyword != "RTROIObservationsSequence"
            problems.append(StructureProblem(0, "", f"has no {keyword}", "what is there was taken", is_loss))
    return StructureSet(
        tuple(structures),
        frame,
        _referenced_series(frames),
        str(dataset.get("StructureSetLabel") or ""),
        str(dataset.get("SOPInstanceUID") or ""),
    )


def _number(item: Dataset) -> int | None:
    value = item.get("ReferencedROINumber")
    return None if value is None else int(value)


def _by_number(items: Sequence[Dataset] | None, problems: list[StructureProblem], sequence: str) -> dict[int, Dataset]:
    """Sort the items of a sequence by the structure that they are of."""
    out: dict[int, Dataset] = {}
    for item in items or ():
        number = _number(item)
        if number is None or number in out:
            what = "an item that is of no structure" if number is None else f"several items of structure {number}"
            lost = number is None or bool(item.get("ContourSequence"))
            problems.append(StructureProblem(number or 0, "", f"{sequence} has {what}", "left out", lost))
            continue
        out[number] = item
    return out


def _structure(
    number: int, name: str, frame: str, item: Dataset | None, observation: Dataset | None, problems: list[StructureProblem]
) -> Structure:
    def report(problem: str, remedy: str, is_loss: bool = False) -> None:
        problems.append(StructureProblem(number, name, problem, remedy, is_loss))

    contours = _contours(item, report)
    if not contours:
        report("has no contours", "kept without contours")
    colour = item.get("ROIDisplayColor") if item is not None else None
    rgb = tuple(int(float(v)) for v in colour) if colour is not None and len(colour) == 3 else None
    kind = str(observation.get("RTROIInterpretedType") or "") if observation is not None else ""
    return Structure(name, contours, number, (rgb[0], rgb[1], rgb[2]) if rgb else None, kind, frame)


def _contours(item: Dataset | None, report: Callable[..., None]) -> tuple[Contour, ...]:
    out, n_damaged, n_odd, kinds = [], 0, 0, set()
    for contour in (item.get("ContourSequence") if item is not None else None) or ():
        values = _values(contour)
        if values is None or not len(values) or len(values) % 3 or not np.isfinite(values).all():
            n_damaged += 1
            continue
        points = values.reshape(-1, 3) * _FLIP + 0.0
        kind = str(contour.get("ContourGeometricType") or "CLOSED_PLANAR").upper()
        declared = contour.get("NumberOfContourPoints")
        n_odd += int(declared is not None and int(declared) != len(points))
        if kind.startswith("CLOSED") and len(points) > 1 and np.array_equal(points[0], points[-1]):
            points = points[:-1]
        kinds.add(kind)
        out.append(Contour(points, kind))
    if n_damaged:
        report(f"{n_damaged} contour(s) without points, or whose numbers are damaged", "left out", True)
    if n_odd:
        report(f"{n_odd} contour(s) have another number of points than they declare", "the points there are were taken")
    strange = kinds - {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "POINT"}
    if strange:
        report(f"has contours of type {', '.join(sorted(strange))}", "kept; they enclose nothing")
    return tuple(out)


def _values(contour: Dataset) -> np.ndarray | None:
    """Read the numbers of a contour; from the raw bytes, because a large body has a hundred thousand of them."""
    from pydicom.dataelem import RawDataElement

    if "ContourData" not in contour:
        return None
    element = contour.get_item("ContourData")
    try:
        if isinstance(element, RawDataElement):
            text = (element.value or b"").decode("ascii").strip(" \0\\")
            return np.array(text.split("\\") if text else [], np.float64)
        return np.array([float(v) for v in contour.ContourData or ()], np.float64)
    except (ValueError, UnicodeDecodeError):
        return None


def _referenced_series(frames: Sequence[Dataset]) -> str:
    """Find the series that the structures were drawn on; empty unless there is exactly one."""
    uids = {
        str(series.get("SeriesInstanceUID") or "")
        for frame in frames
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    } - {""}
    return uids.pop() if len(uids) == 1 else ""
