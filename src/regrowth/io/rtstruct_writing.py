"""How contours become a radiotherapy structure set in DICOM that planning systems read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from regrowth.errors import GridMismatchError, ImageFileError, OutputError, ParameterError
from regrowth.io.dicom_geometry import LPS_TO_RAS, plane_axes, quiet, read_dicom
from regrowth.io.tables import write_bytes
from regrowth.radiotherapy import Contour, Structure, StructureSet
from regrowth.radiotherapy.holes import with_keyholes, with_xor_contours

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["WrittenStructures", "write_rtstruct"]

_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, retired, but what RTReferencedStudySequence asks for
_SERIES_NUMBER = 9002  # beyond those of scanners; the UID tells series apart
_ON_PLANE_MM = 0.1
_DECIMALS = 6  # of a coordinate in mm, so that numbers up to a hundred metres fit into the 16 characters of DICOM
_FARTHEST_MM = 1e5
_FLIP = np.diag(LPS_TO_RAS)[:3]
# Of the patient and the study, which the structures belong to. DICOM wants them there, but they may be empty.
_IDENTITY: tuple[str, ...] = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_IDENTITY += ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "NumberOfFrames", "FrameOfReferenceUID")
_REFERENCE = ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_HOLES = {"planar": lambda structure: structure, "xor": with_xor_contours, "keyhole": with_keyholes}
_KINDS = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "OPEN_PLANAR", "OPEN_NONPLANAR", "POINT")


@dataclass(frozen=True)
class WrittenStructures:
    """What went into the file.

    Parameters
    ----------
    n_structures, n_contours
        How many were written.
    n_off_plane
        Contours that lie on no image of the series.
    status
        ``ok``, or ``off_plane``.
    reason
        What that means, and the remedy; empty with ``ok``.
    """

    n_structures: int
    n_contours: int
    n_off_plane: int
    status: str
    reason: str


def write_rtstruct(
    structures: StructureSet | Sequence[Structure],
    series: Path | Sequence[Path],
    out: Path,
    *,
    label: str = "REGROWTH",
    description: str = "Regrowth structures",
    generation: str = "AUTOMATIC",
    holes: Literal["planar", "xor", "keyhole"] = "planar",
    software_version: str = "",
    synthetic: bool = False,
    written_at: datetime | None = None,
) -> WrittenStructures:
    """Write structures as RT Structure Set on a series of images.

    The file belongs to the patient and the study of the series and carries their identity, as DICOM demands. Every writing
    makes new UIDs. Numbers have at most 16 characters (six decimals of a millimetre) and the transfer syntax is Implicit VR
    Little Endian, because explicit forms cannot hold a contour of more than 65534 characters. Structures are unapproved.

    Parameters
    ----------
    structures
        In RAS+ mm, in the frame of reference of the series. Holes are contours of their own. Numbers are kept if they are
        positive and all different, else counted from 1.
    series
        Folder of the series of single-frame images that the contours lie on, or its files.
    out
        File to write; the folder is made.
    label, description
        StructureSetLabel (16 characters), and description of the series and the set.
    generation
        How the contours came about: ``AUTOMATIC``, ``SEMIAUTOMATIC`` or ``MANUAL``.
    holes
        How a hole is told: ``planar``, contours of the common type, which most programs cut out of each other; ``xor``,
        contours of the type for that, which the standard of 2018 does not know yet; ``keyhole``, joined with the outer one by
        a channel, which the standard always knew.
    software_version
        Version of what made them.
    synthetic
        Whether the patient is computed: said in label, description and the attribute Synthetic Data.
    written_at
        Date and time of the set; default now.

    Returns
    -------
    WrittenStructures
        Contours that lie on no image are written without reference to one and counted: many planning systems leave them out.

    Raises
    ------
    ParameterError
        If there are no structures, two have one name, a text or a contour is not allowed in DICOM.
    GridMismatchError
        If a structure belongs to another frame of reference.
    ImageFileError
        If the series is none: several series, multi-frame, without geometry or frame of reference.
    OutputError
        If the file cannot be written, or would lie among the images.
    """
    own = tuple(structures.structures if isinstance(structures, StructureSet) else structures)
    label, description = (f"SYN {label}", f"SYNTHETIC {description}") if synthetic else (label, description)
    _check(own, {"label": (label, 16), "description": (description, 64), "software_version": (software_version or "-", 64)})
    if generation not in ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"):
        raise ParameterError(f"generation is AUTOMATIC, SEMIAUTOMATIC or MANUAL, not {generation!r}")
    if holes not in _HOLES:
        raise ParameterError(f"holes is one of {', '.join(_HOLES)}, not {holes!r}")
    own = tuple(_HOLES[holes](s) for s in own)
    out = Path(out)
    where = str(series) if isinstance(series, str | Path) else str(Path(next(iter(series), Path("the series"))).parent)
    images = _images(series, out, where)
    frame = _frame_of_reference(images, own, where)
    planes = _Planes(images, where)
    texts = {"label": label, "description": description, "generation": generation, "version": software_version}
    with quiet():
        dataset = _header(images[0], texts, written_at or datetime.now(), synthetic)
        _refer_to(dataset, images, frame)
        n_off = _add_structures(dataset, own, planes, frame, generation)
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
    try:
        write_bytes(buffer.getvalue(), out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror}); free space or choose another folder") from error
    n = sum(len(s.contours) for s in own)
    reason = (
        f"{n_off} of {n} contours lie on no image of the series, and planning systems may leave them out; rasterise the "
        "structure on the grid of the series and take structure_from_mask of it"
    )
    return WrittenStructures(len(own), n, n_off, "off_plane" if n_off else "ok", reason if n_off else "")


def _check(structures: Sequence[Structure], texts: dict[str, tuple[str, int]]) -> None:
    if not structures:
        raise ParameterError("there are no structures to write; a structure set holds at least one")
    for name, (text, longest) in (
        *texts.items(),
        *((f"the name of structure {i + 1}", (s.name, 64)) for i, s in enumerate(structures)),
    ):
        if not 0 < len(text.strip()) <= longest or "\\" in text or not text.isprintable():
            raise ParameterError(f"{name} {text!r} is no DICOM text; use 1 to {longest} characters without backslash")
    names = [s.name.strip() for s in structures]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ParameterError(f"several structures are called {twice[0]!r}; planning systems refuse that: rename them")
    for s in structures:
        if not re.fullmatch(r"[A-Z0-9_ ]{0,16}", s.roi_type):
            raise ParameterError(f"{s.name}: roi_type {s.roi_type!r} is no DICOM code; use at most 16 capitals, as in CTV")
        if s.colour is not None and not all(0 <= v <= 255 for v in s.colour):
            raise ParameterError(f"{s.name}: colour {s.colour} has parts beyond 0 to 255")
        for contour in s.contours:
            kind, n = contour.geometric_type, len(contour.points_mm)
            if kind not in _KINDS or (kind.startswith("CLOSED") and n < 3) or (kind == "POINT" and n != 1):
                raise ParameterError(f"{s.name}: a contour of type {kind} with {n} point(s) is none of DICOM; leave it out")


def _images(series: Path | Sequence[Path], out: Path, where: str) -> list[Dataset]:
    """Read of the images of one series what the structures refer to."""
    is_folder = isinstance(series, str | Path)
    if is_folder:
        folder = Path(series)  # type: ignore[arg-type]
        if not folder.is_dir():
            raise ImageFileError(f"{where}: no such folder; give the folder of the series, or its files")
        if out.resolve().parent == folder.resolve():
            raise OutputError(f"{out}: would lie among the images of the series; choose another folder")
        paths = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    else:
        paths = [Path(p) for p in series]  # type: ignore[union-attr]
    found = []
    for path in paths:
        try:
            dataset = read_dicom(path, (*_IDENTITY, *_GEOMETRY, *_REFERENCE), pixels=False)
        except ImageFileError:
            if not is_folder:
                raise
            continue  # folders hold notes and tables too
        if "Rows" in dataset:  # plans, structures and reports have none
            found.append(dataset)
    if not found:
        raise ImageFileError(f"{where}: holds no DICOM image; give the folder of the series")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        uids = {str(d.get(keyword) or "") for d in found}
        if len(uids) > 1 or "" in uids:
            what = f"images of {len(uids)} values" if len(uids) > 1 else "images without one"
            raise ImageFileError(f"{where}: {keyword}: {what}; give the folder or the files of one series")
    if any(int(d.get("NumberOfFrames") or 1) > 1 for d in found):
        raise ImageFileError(f"{where}: is a multi-frame image; export the series as single images (classic)")
    return found


def _frame_of_reference(images: Sequence[Dataset], structures: Sequence[Structure], where: str) -> str:
    frames = {str(d.get("FrameOfReferenceUID") or "") for d in images}
    if len(frames) > 1 or "" in frames:
        what = "several frames of reference" if len(frames) > 1 else "no FrameOfReferenceUID"
        raise ImageFileError(f"{where}: has {what}, and structures need one; export the series again")
    frame = frames.pop()
    for s in structures:
        if s.frame_of_reference_uid not in ("", frame):
            raise GridMismatchError(
                f"{s.name}: belongs to another DICOM frame of reference than {where}; move it there with the registration of "
                "the two, or give the series that it was drawn on"
            )
    return frame


class _Planes:
    """Where the images of a series lie, to find the one that a contour lies on."""

    def __init__(self, images: Sequence[Dataset], where: str) -> None:
        found = [plane_axes(image, where) for image in images]
        self.images = list(images)
        self._normals = np.array([axes[:, 2] for _, axes in found])
        self._offsets = np.array([float(position @ axes[:, 2]) for position, axes in found])

    def image_of(self, points_lps: np.ndarray) -> Dataset | None:
        """Find the image that all points (n, 3) lie on to within 0.1 mm."""
        # A triangle of the contour rules most images out before all of its points are looked at.
        few = points_lps[:: max(len(points_lps) // 3, 1)]
        near = np.abs(few @ self._normals.T - self._offsets).max(axis=0)
        k = int(np.argmin(near))
        away = np.abs(points_lps @ self._normals[k] - self._offsets[k]).max()
        return self.images[k] if away <= _ON_PLANE_MM else None


def _header(image: Dataset, texts: dict[str, str], now: datetime, synthetic: bool) -> Dataset:
    """Make the parts of the file that tell whose it is and where it comes from."""
    from pydicom.dataset import Dataset as New
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian, generate_uid

    out = New()
    out.SpecificCharacterSet = "ISO_IR 192"
    out.SOPClassUID = _STORAGE
    out.SOPInstanceUID = generate_uid(prefix=None)
    for keyword in _IDENTITY:
        setattr(out, keyword, str(image.get(keyword) or ""))
    out.StudyInstanceUID = image.StudyInstanceUID
    out.Modality = "RTSTRUCT"
    out.SeriesInstanceUID = generate_uid(prefix=None)
    out.SeriesNumber = _SERIES_NUMBER
    out.SeriesDescription = texts["description"]
    out.OperatorsName = ""
    out.Manufacturer = "Regrowth"
    out.ManufacturerModelName = "Regrowth"
    if texts["version"]:
        out.SoftwareVersions = texts["version"]
    out.StructureSetLabel = texts["label"]
    out.StructureSetDescription = texts["description"]
    out.StructureSetDate, out.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    out.InstanceCreationDate, out.InstanceCreationTime = out.StructureSetDate, out.StructureSetTime
    out.ApprovalStatus = "UNAPPROVED"
    out.SyntheticData = "YES" if synthetic else "NO"
    out.file_meta = FileMetaDataset()
    out.file_meta.MediaStorageSOPClassUID = out.SOPClassUID
    out.file_meta.MediaStorageSOPInstanceUID = out.SOPInstanceUID
    out.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return out


def _image_reference(image: Dataset) -> Dataset:
    from pydicom.dataset import Dataset as New

    out = New()
    out.ReferencedSOPClassUID, out.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return out


def _refer_to(dataset: Dataset, images: Sequence[Dataset], frame: str) -> None:
    """Say on which images and in which frame of reference the structures lie."""
    from pydicom.dataset import Dataset as New

    series, study, reference = New(), New(), New()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ContourImageSequence = [_image_reference(image) for image in images]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, images[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    reference.FrameOfReferenceUID = frame
    reference.RTReferencedStudySequence = [study]
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = frame, ""
    dataset.ReferencedFrameOfReferenceSequence = [reference]


def _add_structures(dataset: Dataset, structures: Sequence[Structure], planes: _Planes, frame: str, generation: str) -> int:
    """Add names, contours and types; give the number of contours that lie on no image."""
    from pydicom.dataset import Dataset as New

    given = [s.number for s in structures]
    numbers = given if min(given) > 0 and len(set(given)) == len(given) else list(range(1, len(given) + 1))
    names, contours, kinds, n_off = [], [], [], 0
    for count, (number, structure) in enumerate(zip(numbers, structures, strict=True), 1):
        roi, drawn, kind = New(), New(), New()
        roi.ROINumber, roi.ReferencedFrameOfReferenceUID = number, frame
        roi.ROIName, roi.ROIGenerationAlgorithm = structure.name.strip(), generation
        if structure.colour is not None:
            drawn.ROIDisplayColor = list(structure.colour)
        drawn.ReferencedROINumber = number
        if structure.contours:
            items = [_contour(c, i, planes, structure.name) for i, c in enumerate(structure.contours, 1)]
            drawn.ContourSequence = items
            n_off += sum("ContourImageSequence" not in item for item in items)
        kind.ObservationNumber, kind.ReferencedROINumber = count, number
        kind.RTROIInterpretedType, kind.ROIInterpreter = structure.roi_type, ""
        names.append(roi)
        contours.append(drawn)
        kinds.append(kind)
    dataset.StructureSetROISequence = names
    dataset.ROIContourSequence = contours
    dataset.RTROIObservationsSequence = kinds
    return n_off


def _contour(contour: Contour, number: int, planes: _Planes, name: str) -> Dataset:
    from pydicom.dataset import Dataset as New

    points = np.round(contour.points_mm * _FLIP, _DECIMALS) + 0.0
    out = New()
    image = planes.image_of(points)
    if image is not None:
        out.ContourImageSequence = [_image_reference(image)]
    out.ContourGeometricType = contour.geometric_type
    out.NumberOfContourPoints = len(points)
    out.ContourNumber = number
    texts = [f"{v:.{_DECIMALS}f}".rstrip("0").rstrip(".") for v in points.ravel().tolist()]
    if np.abs(points).max() >= _FARTHEST_MM:
        raise ParameterError(f"{name}: a point lies {np.abs(points).max():.3g} mm from the origin; that is no patient")
    out.ContourData = texts
    return out
