"""Radiotherapy on plain DICOM files: what a folder holds, structures as masks, and masks as structures."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from regrowth.api.radiotherapy_columns import radiotherapy_dictionary, write_tables
from regrowth.api.radiotherapy_folders import plan_dose, series_volume, shown_as
from regrowth.api.radiotherapy_inputs import chosen_structures, of_index, read_share, read_structures, reference_grid
from regrowth.errors import GridMismatchError, ImageFileError, InputError, OutputError, ParameterError
from regrowth.io.dicom_index import DicomIndex, index_folder
from regrowth.io.nifti import write_image
from regrowth.io.tables import write_json, write_tsv
from regrowth.radiotherapy import Structure
from regrowth.radiotherapy.contouring import structure_from_mask
from regrowth.radiotherapy.fill import Between
from regrowth.radiotherapy.rasterise import RasterisedStructure, rasterise, rasterise_share
from regrowth.space import Grid, Image, resample_image

__all__ = ["export_mask", "index_dicom", "rasterise_structures"]

Rows = list[dict[str, Any]]
_SAME_MM = 0.1


def index_dicom(
    folder: str | Path,
    out: str | Path,
    *,
    manifest: str | Path | None = None,
    salt: str | None = None,
    keep_identifiers: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Rows]:
    """List what a folder of DICOM files holds, what belongs together and how that was found, and what is wrong.

    Parameters
    ----------
    folder
        Folder of any layout.
    out
        TSV of the objects to write; beside it ``NAME_links.tsv``, ``NAME_plans.tsv`` (prescription, and which doses make up
        that of the plan), ``NAME_structures.tsv``, ``NAME_problems.tsv``, and ``NAME.json``, which describes the columns.
    manifest
        TSV that says what the files do not: see `regrowth.io.dicom_manifest`.
    salt
        Secret for the labels of patients: the same gives the same labels; a new one is drawn if left out.
    keep_identifiers
        Call patients by their identifiers.
    progress
        Called with the number of files read and of all files.

    Returns
    -------
    dict
        Table to rows: ``objects``, ``links``, ``plans``, ``structures``, ``problems``.

    Raises
    ------
    InputError
        If there is no such folder, the manifest is wrong, or no file is DICOM.
    """
    source = Path(folder)
    said = None if manifest is None else Path(manifest)
    index = index_folder(source, manifest=said, salt=salt, keep_identifiers=keep_identifiers, progress=progress)
    if not index.objects and not index.problems:
        raise ImageFileError(f"{source}: none of its {index.n_files} files is DICOM that radiotherapy has use for")
    structures, problems = _structure_rows(index, keep_identifiers)
    tables: dict[str, Rows] = {
        "objects": index.object_rows(),
        "links": index.link_rows(),
        "plans": _plan_rows(index),
        "structures": structures,
        "problems": [*index.problem_rows(), *problems],
    }
    counts = {"n_files": index.n_files, "n_other": index.n_other, "n_patients": len(index.patients())}
    write_tables(tables, Path(out), "objects", {"counts": counts})
    return tables


def _structure_rows(index: DicomIndex, keep_identifiers: bool) -> tuple[Rows, Rows]:
    rows: Rows = []
    problems: Rows = []
    for found in index.of_kind("RTSTRUCT"):
        where = {"patient": found.patient, "path": found.shown_path}
        try:
            read = of_index(index, found.uid, keep_identifiers=keep_identifiers)
        except InputError as error:
            problems.append(where | {"problem": str(error), "remedy": "left out of the table of structures"})
            continue
        problems += [where | {"problem": read.shown(text), "remedy": "see the structure set"} for text in read.faults()]
        rows += [
            where
            | {
                "number": s.number,
                "structure": read.shown(s.name),
                "roi_type": s.roi_type or None,
                "n_contours": len(s.contours),
                "reason": read.shown("; ".join(read.faults(s))),
            }
            for s in read.structures.structures
        ]
    return rows, problems


def _plan_rows(index: DicomIndex) -> Rows:
    rows = []
    for plan in index.of_kind("RTPLAN"):
        found = plan_dose(index, plan)
        highest = float("nan") if found.dose is None else float(np.nanmax(found.dose.data))
        rows.append(
            {
                "patient": plan.patient,
                "path": plan.shown_path,
                "n_fractions": found.n_fractions,
                "prescription_gy": found.prescription_gy,
                "n_doses": len(found.dose_uids),
                "dose_paths": ", ".join(index.find(uid).shown_path for uid in found.dose_uids) or None,
                "max_gy": highest,
                "status": found.status,
                "reason": found.reason,
            }
        )
    return rows


def rasterise_structures(
    structures: str | Path,
    reference: str | Path,
    out_dir: str | Path,
    *,
    patterns: Sequence[str] = (),
    share: bool = False,
    supersampling: int = 3,
    between: Between = "nearest",
    end_cap_mm: float | None = None,
    keep_identifiers: bool = False,
) -> Rows:
    """Turn the contours of a structure set into masks, or shares of voxels, on any grid.

    Parameters
    ----------
    structures
        DICOM RTSTRUCT, or a folder that holds one.
    reference
        NIfTI image, or folder of a DICOM series, whose grid the masks get.
    out_dir
        Folder for ``<structure>.nii.gz``, ``structures.tsv`` and ``structures.json``, made if absent.
    patterns
        Names with wildcards, such as ``*PTV*``; all structures if left out.
    share
        Write the filled share of every voxel, 0 to 1, instead of a mask.
    supersampling
        Samples per axis and voxel for shares.
    between, end_cap_mm
        What lies between planes and beyond the last: see `regrowth.radiotherapy.rasterise.rasterise`.
    keep_identifiers
        Leave identifiers of the patient in names of structures.

    Returns
    -------
    list of dict
        The rows of ``structures.tsv``: a structure without voxels, or that cannot be drawn, has a status and a reason but no
        file.

    Raises
    ------
    InputError
        If a file cannot be read, no structure fits the patterns, or none at all can be drawn on this grid.
    """
    read = read_structures(structures, keep_identifiers=keep_identifiers)
    chosen, missing = chosen_structures(read, patterns, str(structures))
    grid, notes = reference_grid(reference, read.structures.referenced_series_uid)
    out = Path(out_dir)
    lengths: dict[str, Any] = {"between": between, "end_cap_mm": end_cap_mm}
    taken: set[str] = set()
    rows: Rows = []
    for structure, pattern in chosen:
        faults = read.faults(structure)
        row: dict[str, Any] = {"structure": read.shown(structure.name), "number": structure.number, "pattern": pattern or None}
        try:
            found = (
                rasterise_share(structure, grid, supersampling=supersampling, **lengths)
                if share
                else rasterise(structure, grid, **lengths)
            )
        except GridMismatchError as error:
            rows.append(row | _lost(len(structure.contours), [str(error), *faults]))
            continue
        file = None
        if found.status in ("ok", "partly_outside"):
            file = _file_name(str(row["structure"]), taken)
            values = found.mask if found.share is None else found.share
            write_image(Image(values, grid, "1"), out / file, np.float32 if share else np.uint8)
        rows.append(row | _drawn(found, file, [*faults, *([found.reason] if found.reason else [])]))
    if not any(row["file"] for row in rows):
        first = rows[0]["reason"] if rows else "it holds none"
        raise InputError(f"{structures}: none of {len(rows)} structure(s) can be drawn on {reference}: {first}")
    rows += [{"structure": None, "pattern": key} | _lost(0, [why], "missing") for key, why in missing]
    settings = {"share": share, "supersampling": supersampling if share else 1, "between": between, "end_cap_mm": end_cap_mm}
    write_tsv(rows, out / "structures.tsv")
    facts = {"settings": settings, "notes": [*map(read.shown, read.faults()), *notes]}
    write_json(facts | {"tables": radiotherapy_dictionary({"structures": rows})}, out / "structures.json")
    return rows


def _lost(n_contours: int, reasons: Sequence[str], status: str = "failed") -> dict[str, Any]:
    nan = float("nan")
    numbers = {"n_contours": n_contours, "n_outside": None, "volume_ml": nan, "plane_step_mm": nan}
    return {"file": None, "status": status, **numbers, "reason": "; ".join(reasons)}


def _drawn(found: RasterisedStructure, file: str | None, reasons: Sequence[str]) -> dict[str, Any]:
    return {
        "file": file,
        "status": found.status,
        "n_contours": found.n_contours,
        "n_outside": found.n_outside,
        "volume_ml": found.volume_ml,
        "plane_step_mm": found.plane_step_mm,
        "reason": "; ".join(reasons),
    }


def _file_name(name: str, taken: set[str]) -> str:
    """Make a name of a file that works on every system, different from those that are taken."""
    plain = re.sub(r"[^\w.+-]+", "_", unicodedata.normalize("NFC", name)).strip("._")[:60] or "structure"
    number, out = 1, plain
    while out.casefold() in taken:
        number += 1
        out = f"{plain}_{number}"
    taken.add(out.casefold())
    return f"{out}.nii.gz"


def export_mask(
    mask: str | Path,
    series: str | Path,
    out: str | Path,
    *,
    kind: Literal["rtstruct", "seg"],
    name: str,
    roi_type: str = "",
    synthetic: bool = False,
) -> dict[str, Any]:
    """Write a mask as DICOM on the series of images that it belongs to, for planning systems and viewers.

    The file carries the identity of the patient of the series, as DICOM demands.

    Parameters
    ----------
    mask
        NIfTI mask in the space of the series; for ``seg`` also shares or probabilities from 0 to 1.
    series
        Folder of the series of images.
    out
        DICOM file to write, not among the images.
    kind
        ``rtstruct``: contours around the voxels at 0.5, which read back as the same mask on the grid of the series; ``seg``: a
        segmentation (FRACTIONAL, PROBABILITY), 0 and 1 for a mask on the grid of the series.
    name
        Name of the structure or segment.
    roi_type
        Interpreted type of a structure, such as ``GTV``.
    synthetic
        Whether the patient is computed: said in the file.

    Returns
    -------
    dict
        Volume in the file, voxels, contours, and notes.

    Raises
    ------
    InputError
        If the mask is empty or lies beyond the series, or a file cannot be read.
    OutputError
        If the file cannot be written, or would lie among the images.
    """
    target = Path(out)
    if kind not in ("rtstruct", "seg"):
        raise ParameterError(f"a mask is exported as rtstruct or seg, not {kind!r}")
    given = read_share(mask)
    if not (given.data > 0.5).any() and (kind == "rtstruct" or not given.data.any()):
        raise ImageFileError(f"{mask}: the mask is empty, so that there is nothing to export")
    if not Path(series).is_dir():
        raise ImageFileError(f"{series}: no such folder; give the folder of the DICOM series")
    index = index_folder(Path(series))
    found = series_volume(index)
    files = index.files(found.uid)
    if target.resolve().parent in {f.resolve().parent for f in files}:
        raise OutputError(f"{out}: would lie among the images of the series; choose another folder")
    grid = found.grid or given.grid
    values, notes = _on_series(given, grid, str(mask))
    facts: dict[str, Any] = {"kind": kind, "name": name, "volume_ml": float(values.data.sum() * grid.voxel_volume_ml)}
    with shown_as(index, found.uid):
        if kind == "seg":
            _write_seg(values, files, target, name, synthetic)
        else:
            structure = structure_from_mask(values.data > 0.5, grid, name, number=1, roi_type=roi_type)
            facts |= {"volume_ml": float((values.data > 0.5).sum() * grid.voxel_volume_ml)}
            facts |= _write_structure(structure, files, target, synthetic, notes)
    return facts | {"notes": notes}


def _on_series(given: Image, grid: Grid, where: str) -> tuple[Image, list[str]]:
    """Bring a mask onto the grid of the series."""
    if given.grid.is_close(grid, _SAME_MM):
        return Image(given.data, grid, "1"), []
    moved = resample_image(given, grid)
    if not (moved.data > 0.5).any() and (given.data > 0.5).any():
        raise GridMismatchError(f"{where}: none of it fills a voxel of the series; give the series that it was drawn on")
    before, after = (float((i.data > 0.5).sum()) * i.grid.voxel_volume_ml for i in (given, moved))
    note = f"the mask lies on another grid and was resampled linearly: {before:.4g} ml before, {after:.4g} ml after"
    return Image(np.clip(moved.data, 0, 1), grid, "1"), [note]


def _write_seg(values: Image, files: Sequence[Path], out: Path, name: str, synthetic: bool) -> None:
    from regrowth import __version__
    from regrowth.io.dicom_seg import write_probability_seg

    write_probability_seg(
        values,
        files,
        out,
        label=name,
        algorithm_version=__version__,
        series_description=f"Regrowth {name}"[:50],
        synthetic=synthetic,
    )


def _write_structure(
    structure: Structure, files: Sequence[Path], out: Path, synthetic: bool, notes: list[str]
) -> dict[str, Any]:
    from regrowth import __version__
    from regrowth.io.rtstruct import write_rtstruct

    written = write_rtstruct([structure], files, out, software_version=__version__, synthetic=synthetic)
    notes += [written.reason] if written.reason else []
    return {"n_contours": written.n_contours}
