"""What the header of one DICOM file says about what it is, whose it is and what it refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from regrowth.io.dicom_geometry import quiet
from regrowth.io.dicom_objects import DicomProblem, ObjectKind
from regrowth.io.dicom_wholeness import what_is_missing

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["ScannedFile", "scan_file"]

_KINDS: dict[str, ObjectKind] = {
    "1.2.840.10008.5.1.4.1.1.481.2": "RTDOSE",
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
    "1.2.840.10008.5.1.4.1.1.481.5": "RTPLAN",
    "1.2.840.10008.5.1.4.1.1.481.8": "RTPLAN",  # with ions
    "1.2.840.10008.5.1.4.1.1.66.1": "REG",
    "1.2.840.10008.5.1.4.1.1.66.3": "REG",  # deformable
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
}
_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
}
_BY_MODALITY: dict[str, ObjectKind] = {
    "RTDOSE": "RTDOSE",
    "RTSTRUCT": "RTSTRUCT",
    "RTPLAN": "RTPLAN",
    "REG": "REG",
    "SEG": "SEG",
}
_WITH_PIXELS = ("IMAGE", "RTDOSE", "SEG")
_SUFFIXES = (".dcm", ".ima", ".dicom")
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_GEOMETRY: tuple[str, ...] = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
_GEOMETRY += ("NumberOfFrames", "FrameOfReferenceUID")
_KEYWORDS: tuple[str, ...] = ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "Modality", "StudyInstanceUID")
_KEYWORDS += ("SeriesInstanceUID", "PatientID", "PatientName", "StudyDate", "SeriesDate", "AcquisitionDate", *_GEOMETRY)
_KEYWORDS += ("StructureSetDate", "RTPlanDate", "ReferencedRTPlanSequence", "ReferencedStructureSetSequence")
_KEYWORDS += ("ReferencedFrameOfReferenceSequence", "ReferencedSeriesSequence", "RegistrationSequence")
_KEYWORDS += ("DeformableRegistrationSequence", "DoseSummationType", "FractionGroupSequence")
_DATES = ("AcquisitionDate", "SeriesDate", "StudyDate", "StructureSetDate", "RTPlanDate")


@dataclass(frozen=True)
class ScannedFile:
    """What one file is.

    Identifier and name of the patient serve to group files and to keep them out of reports, and go no further.
    """

    path: Path
    kind: ObjectKind
    modality: str
    sop_uid: str
    series_uid: str
    study_uid: str
    frame_uid: str
    frames: tuple[str, ...]
    date: str
    header: Dataset = field(repr=False)
    refers_to: dict[str, tuple[str, ...]] = field(default_factory=dict)
    summation_type: str = ""
    fraction_groups: tuple[int, ...] = ()
    beams: tuple[int, ...] = ()
    patient_id: str = field(default="", repr=False)
    patient_name: str = field(default="", repr=False)

    @property
    def uid(self) -> str:
        """UID of the object that the file is part of."""
        return self.series_uid if self.kind == "IMAGE" else self.sop_uid


def scan_file(folder: Path, path: Path) -> tuple[ScannedFile | None, list[DicomProblem]]:
    """Read the header of a file.

    Parameters
    ----------
    folder, path
        Folder of the index, and file relative to it.

    Returns
    -------
    file
        None for what is no DICOM file, cannot be read, or is of no use to radiotherapy.
    problems
        What is wrong with it: damaged, cut off, in a compression that cannot be read here, without UIDs.
    """
    shown = path.as_posix()

    def problem(text: str, remedy: str) -> DicomProblem:
        return DicomProblem(shown, text, remedy)

    try:
        with (folder / path).open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                if path.suffix.lower() not in _SUFFIXES:
                    return None, []
                what = "is no DICOM file, or its first bytes are lost"
                return None, [problem(what, "left out; export it again as a DICOM file with its preamble")]
            file.seek(0)
            size = (folder / path).stat().st_size
            try:
                with quiet():
                    return _scanned(file, size, path, problem)
            except Exception as error:  # a damaged file makes pydicom raise nearly anything, and one must not end the index
                what = f"is damaged or cut off: its header cannot be read ({type(error).__name__})"
                return None, [problem(what, "left out; copy or export it again")]
    except OSError as error:
        return None, [problem(f"cannot be opened ({type(error).__name__})", "left out; make it readable")]


def _scanned(
    file: BufferedReader, size: int, path: Path, problem: Callable[[str, str], DicomProblem]
) -> tuple[ScannedFile | None, list[DicomProblem]]:
    from pydicom import dcmread

    dataset = dcmread(file, specific_tags=list(_KEYWORDS), stop_before_pixels=True)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    storage = _text(dataset, "SOPClassUID") or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    modality = _text(dataset, "Modality").upper() or _IMAGES.get(storage, "")
    kind = _KINDS.get(storage) or ("IMAGE" if storage in _IMAGES else None)
    if kind is None and not storage:
        kind = _BY_MODALITY.get(modality) or ("IMAGE" if modality in _IMAGES.values() else None)
    if kind is None:
        return None, []
    cut = ""
    if str(syntax) != _DEFLATED:
        is_big = str(syntax) == _BIG_ENDIAN
        needs_pixels = kind in _WITH_PIXELS
        cut = what_is_missing(file, size, implicit=str(syntax) == _IMPLICIT, big_endian=is_big, needs_pixels=needs_pixels)
    if cut:
        return None, [problem(f"is cut off: {cut}", "left out; copy or export it again")]
    missing = [k for k in ("SOPInstanceUID", *(("SeriesInstanceUID",) if kind == "IMAGE" else ())) if not _text(dataset, k)]
    if missing:
        return None, [problem(f"has no {missing[0]}", "left out; anonymise it anew with UIDs replaced, not emptied")]
    problems = []
    if kind in _WITH_PIXELS and not _can_decode(syntax):
        name = getattr(syntax, "name", str(syntax))
        problems.append(problem(f"its pixels are compressed ({name}) and cannot be read here", "export it uncompressed"))
    groups = list(dataset.get("FractionGroupSequence") or ())
    if kind == "RTDOSE":
        plans = dataset.get("ReferencedRTPlanSequence") or ()
        groups = [g for plan in plans for g in plan.get("ReferencedFractionGroupSequence") or ()]
    frames = tuple(dict.fromkeys(f for f in _frames(dataset, kind) if f))
    return ScannedFile(
        path,
        kind,
        modality or kind,
        _text(dataset, "SOPInstanceUID"),
        _text(dataset, "SeriesInstanceUID"),
        _text(dataset, "StudyInstanceUID"),
        _text(dataset, "FrameOfReferenceUID") or (frames[0] if frames else ""),
        frames,
        next((t for k in _DATES if len(t := _text(dataset, k)) >= 8 and t[:8].isdigit()), ""),
        dataset,
        _references(dataset, kind),
        _text(dataset, "DoseSummationType").upper(),
        tuple(_numbers(groups, "FractionGroupNumber", "ReferencedFractionGroupNumber")),
        tuple(n for g in groups for n in _numbers(g.get("ReferencedBeamSequence") or (), "ReferencedBeamNumber")),
        _text(dataset, "PatientID"),
        _text(dataset, "PatientName"),
    ), problems


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).replace("\0", "").strip()


def _numbers(items: Iterable[Dataset], *keywords: str) -> Iterator[int]:
    for item in items:
        value = next((item.get(k) for k in keywords if item.get(k) is not None), None)
        if value is not None:
            yield int(value)


def _can_decode(syntax: object) -> bool:
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    uid = UID(str(syntax))
    if not uid.is_transfer_syntax or not uid.is_compressed:
        return True
    try:
        return bool(get_decoder(uid).is_available)
    except NotImplementedError:
        return False


def _frames(dataset: Dataset, kind: str) -> Iterator[str]:
    yield _text(dataset, "FrameOfReferenceUID")
    if kind == "RTSTRUCT":
        for item in dataset.get("ReferencedFrameOfReferenceSequence") or ():
            yield _text(item, "FrameOfReferenceUID")
    for item in dataset.get("RegistrationSequence") or ():
        yield _text(item, "FrameOfReferenceUID")
    for item in dataset.get("DeformableRegistrationSequence") or ():
        yield _text(item, "SourceFrameOfReferenceUID")


def _references(dataset: Dataset, kind: str) -> dict[str, tuple[str, ...]]:
    """List the UIDs that a file names, by what they are to it."""
    out: dict[str, list[str]] = {"plan": [], "structures": [], "series": [], "images": []}
    if kind == "RTDOSE":
        out["plan"] += [_text(i, "ReferencedSOPInstanceUID") for i in dataset.get("ReferencedRTPlanSequence") or ()]
    if kind in ("RTDOSE", "RTPLAN"):
        items = dataset.get("ReferencedStructureSetSequence") or ()
        out["structures"] += [_text(i, "ReferencedSOPInstanceUID") for i in items]
    if kind == "RTSTRUCT":
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
            for study in frame.get("RTReferencedStudySequence") or ():
                for series in study.get("RTReferencedSeriesSequence") or ():
                    out["series"].append(_text(series, "SeriesInstanceUID"))
                    images = series.get("ContourImageSequence") or ()
                    out["images"] += [_text(i, "ReferencedSOPInstanceUID") for i in images]
    if kind == "SEG":
        for series in dataset.get("ReferencedSeriesSequence") or ():
            out["series"].append(_text(series, "SeriesInstanceUID"))
            images = series.get("ReferencedInstanceSequence") or ()
            out["images"] += [_text(i, "ReferencedSOPInstanceUID") for i in images]
    return {k: tuple(dict.fromkeys(u for u in v if u)) for k, v in out.items()}
