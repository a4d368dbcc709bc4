"""How a map of probabilities becomes a DICOM segmentation on the scan of a patient, and comes back."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import GridMismatchError, ImageFileError, OutputError, ParameterError
from regrowth.io.dicom_geometry import LPS_TO_RAS, quiet, read_dicom, series_grid
from regrowth.io.tables import write_bytes
from regrowth.space import Grid, Image, resample_image

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import Dataset

__all__ = ["read_seg_probability", "write_probability_seg"]

_LEVELS = 255  # of one byte: a voxel is written within half of 1/255
_SLACK = 1e-3  # by which resampled probabilities may leave 0 to 1
_SERIES_NUMBER = 9001  # beyond those of scanners; the UID tells series apart
# Type 2 in DICOM: anonymised files often lack them, where they should be there and empty.
_MAY_BE_EMPTY: tuple[str, ...] = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_MAY_BE_EMPTY += ("StudyID", "StudyDate", "StudyTime")
_DICOM_TEXT = 64  # characters of LO and of segment labels


def write_probability_seg(
    probability: Image,
    series: Path | Sequence[Path],
    out: Path,
    *,
    label: str = "Growth probability",
    algorithm: str = "Regrowth",
    algorithm_version: str,
    series_description: str = "Growth probability map",
    synthetic: bool = False,
) -> None:
    """Write a map of probabilities as a DICOM segmentation (FRACTIONAL, PROBABILITY) on the grid of a series.

    The file belongs to the patient and the study of the series and carries their identity, as DICOM demands; it is marked as
    made for research. Every writing makes new UIDs.

    Parameters
    ----------
    probability
        (X, Y, Z) values from 0 to 1, in the space of the series; resampled linearly onto its planes, 0 outside.
    series
        Folder of one series of single-frame images, or its files.
    out
        File to write; the folder is made.
    label
        Name of the segment.
    algorithm, algorithm_version
        What computed the map.
    series_description
        Description of the new series.
    synthetic
        Whether the scan was computed, not measured: said in descriptions and in the attribute Synthetic Data.

    Raises
    ------
    ImageFileError
        If the series is no volume (one image, several series, a plane missing, mixed orientations, multi-frame), or lacks what
        a segmentation needs to know of it; names the remedy.
    GridMismatchError
        If the map has another frame of reference, or none of it lies on the series.
    ParameterError
        If values are no probabilities, or a text is longer than DICOM allows.
    OutputError
        If the file cannot be written.
    """
    if synthetic:
        label, series_description = f"{label} (synthetic)", f"SYNTHETIC {series_description}"
    texts = {"label": label, "series_description": series_description, "algorithm": algorithm, "version": algorithm_version}
    for name, text in texts.items():
        if not 0 < len(text) <= _DICOM_TEXT or "\\" in text:
            raise ParameterError(f"{name} {text!r} is no DICOM text; use 1 to {_DICOM_TEXT} characters without backslash")
    where = str(series) if isinstance(series, str | Path) else str(Path(next(iter(series), Path("the series"))).parent)
    images = _images(series, Path(out), where)
    grid, order = series_grid(images, where)
    if grid.frame_of_reference_uid is None:
        raise ImageFileError(f"{where}: has no FrameOfReferenceUID, which a segmentation needs; export the series again")
    for image in images:
        if not image.get("SliceThickness"):  # asked for by the library; the segmentation has the distance of its planes
            image.SliceThickness = round(grid.spacing_mm[2], 6)
    values = _on_series(probability, grid, where)
    buffer = BytesIO()
    try:
        with quiet():
            _segmentation(values, grid, [images[k] for k in order], texts, synthetic).save_as(buffer, enforce_file_format=True)
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        reason = str(error).split("\n")[0] if isinstance(error, AttributeError) else type(error).__name__
        raise ImageFileError(
            f"{where}: no segmentation can be based on this series ({reason}); export it again with patient, study and series"
        ) from error
    try:
        write_bytes(buffer.getvalue(), Path(out))
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror}); free space or choose another folder") from error


def read_seg_probability(path: Path) -> Image:
    """Read a map of probabilities from a DICOM segmentation of one segment (FRACTIONAL, PROBABILITY).

    Returns
    -------
    Image
        float32, 0 to 1, (columns, rows, planes) in RAS+ mm with the frame of reference; planes missing between others are 0.

    Raises
    ------
    ImageFileError
        If the file is another kind of object, has several segments, or its planes make no volume.
    """
    from highdicom.seg import Segmentation

    dataset = read_dicom(path)
    kind = tuple(str(dataset.get(k, "")) for k in ("Modality", "SegmentationType", "SegmentationFractionalType"))
    if kind != ("SEG", "FRACTIONAL", "PROBABILITY") or len(dataset.SegmentSequence) != 1:
        raise ImageFileError(
            f"{path}: is {' '.join(filter(None, kind)) or 'no image'}, not a map of probabilities of one segment"
        )
    try:
        with quiet():
            segmentation = Segmentation.from_dataset(dataset, copy=False)
            volume = segmentation.get_volume(rescale_fractional=True, allow_missing_positions=True)
    except (AttributeError, ValueError, RuntimeError, KeyError) as error:
        raise ImageFileError(f"{path}: its planes make no volume ({type(error).__name__}); export it again") from error
    planes = np.asarray(volume.array, np.float32)[..., 0]  # planes, rows, columns
    affine = volume.affine[:, [2, 1, 0, 3]]
    shape = (planes.shape[2], planes.shape[1], planes.shape[0])
    if np.linalg.det(affine[:3, :3]) < 0:  # against the normal; series_grid counts along it
        planes, affine = planes[::-1], affine @ _from_the_other_end(len(planes))
    affine = LPS_TO_RAS @ affine
    frame = str(dataset.get("FrameOfReferenceUID", "")) or None
    return Image(np.ascontiguousarray(planes.transpose(2, 1, 0)), Grid(shape, affine, frame), "1")


def _from_the_other_end(n: int) -> np.ndarray:
    """Map the number of a plane counted from one end to that from the other."""
    out = np.diag([1.0, 1.0, -1.0, 1.0])
    out[2, 3] = n - 1
    return out


def _images(series: Path | Sequence[Path], out: Path, where: str) -> list[Dataset]:
    """Read the headers of the images of one series."""
    if isinstance(series, str | Path):
        folder = Path(series)
        if not folder.is_dir():
            raise ImageFileError(f"{where}: no such folder; give the folder of the series, or its files")
        if out.resolve().parent == folder.resolve():
            raise OutputError(f"{out}: would lie among the images of the series; choose another folder")
        paths = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    else:
        paths = [Path(p) for p in series]
    found = []
    for path in paths:
        try:
            dataset = read_dicom(path, pixels=False)
        except ImageFileError:
            if not isinstance(series, str | Path):
                raise
            continue  # folders hold notes and tables too
        if "Rows" in dataset:  # plans, structures and reports have none
            for keyword in _MAY_BE_EMPTY:
                if keyword not in dataset:
                    setattr(dataset, keyword, "")
            found.append(dataset)
    if not found:
        raise ImageFileError(f"{where}: holds no DICOM image; give the folder of the series")
    uids = {str(d.get("SeriesInstanceUID", "")) for d in found}
    if len(uids) > 1:
        raise ImageFileError(f"{where}: holds images of {len(uids)} series; give the folder or the files of one")
    if any(int(d.get("NumberOfFrames") or 1) > 1 for d in found):
        raise ImageFileError(f"{where}: is a multi-frame image; export the series as single images (classic)")
    return found


def _on_series(probability: Image, grid: Grid, where: str) -> np.ndarray:
    """Bring the map onto the grid of the series, (X, Y, Z) float32 from 0 to 1."""
    values = np.asarray(probability.data)
    if values.ndim != 3 or not np.isfinite(values).all() or values.min() < -_SLACK or values.max() > 1 + _SLACK:
        span = f"shape {values.shape}, values from {values.min():g} to {values.max():g}"
        raise ParameterError(f"a map of probabilities has three axes and finite values from 0 to 1, not {span}")
    frames = {probability.grid.frame_of_reference_uid, grid.frame_of_reference_uid} - {None}
    if len(frames) > 1:
        raise GridMismatchError(
            f"{where}: the map belongs to another DICOM frame of reference; register it to this series and resample it"
        )
    moved = np.clip(resample_image(probability, grid).data, 0.0, 1.0)
    if values.max() * _LEVELS >= 1 and not np.rint(moved * _LEVELS).any():
        raise GridMismatchError(
            f"{where}: nothing of the map lies on this series; they may not share a space: "
            "give the series that the map was made on"
        )
    return moved


def _segmentation(
    values: np.ndarray, grid: Grid, images: Sequence[Dataset], texts: dict[str, str], synthetic: bool
) -> Segmentation:
    import highdicom as hd

    affine = (LPS_TO_RAS @ grid.affine)[:, [2, 1, 0, 3]]
    frames = np.ascontiguousarray(values.transpose(2, 1, 0))[..., None]
    volume = hd.Volume(
        frames,
        affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=grid.frame_of_reference_uid,
        channels={"SegmentNumber": [1]},
    )
    dataset = hd.seg.Segmentation(
        source_images=list(images),
        pixel_array=volume,
        segmentation_type="FRACTIONAL",
        fractional_type="PROBABILITY",
        max_fractional_value=_LEVELS,
        segment_descriptions=[_description(texts)],
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Regrowth",
        manufacturer_model_name=texts["algorithm"],
        software_versions=texts["version"],
        device_serial_number="none",
        content_label="PROBABILITY",
        content_description=texts["series_description"],
        series_description=texts["series_description"],
        content_qualification="RESEARCH",
        omit_empty_frames=False,  # so that the grid of the series comes back whole
    )
    dataset.SyntheticData = "YES" if synthetic else "NO"
    return dataset


def _description(texts: dict[str, str]) -> SegmentDescription:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=texts["label"],
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.NeoplasmPrimary,
        algorithm_type="AUTOMATIC",
        # DICOM has no family of growth models; a cell density that spreads to its neighbours is nearest to this one.
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=texts["algorithm"], family=codes.DCM.NeighborhoodAnalysis, version=texts["version"]
        ),
    )
