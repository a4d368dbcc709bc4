"""What the radiotherapy functions on plain files read: structures, doses, masks, and the grid to draw on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from regrowth.api.radiotherapy_folders import only_object, plan_dose, series_volume, shown_as, whole_dose
from regrowth.errors import ImageFileError, InputError, ParameterError
from regrowth.io.dicom_index import DicomIndex, index_folder
from regrowth.io.dicom_patients import Redaction
from regrowth.io.dicom_rt import describe_rtdose, read_rtdose
from regrowth.io.dicom_scan import scan_file
from regrowth.io.nifti import read_grid, read_image
from regrowth.io.rtstruct import StructureProblem, read_rtstruct_with_problems
from regrowth.radiotherapy import Structure, StructureSet
from regrowth.radiotherapy.naming import match_structures
from regrowth.space import Grid, Image

__all__ = [
    "ReadStructures",
    "chosen_structures",
    "is_nifti",
    "of_index",
    "read_any_dose",
    "read_mask",
    "read_share",
    "read_structures",
    "reference_grid",
]

_MOST_GY = 300.0
_SLACK = 1e-3  # by which scaled integers may leave 0 to 1


@dataclass(frozen=True, eq=False)
class ReadStructures:
    """A structure set, what is wrong with it, and how its names may be shown.

    Parameters
    ----------
    structures
        As read.
    problems
        Faults of the file.
    shown
        Takes identifier and family name of the patient out of a text.
    """

    structures: StructureSet
    problems: tuple[StructureProblem, ...]
    shown: Callable[[str], str]

    def faults(self, structure: Structure | None = None) -> list[str]:
        """Give what is wrong with a structure; with the whole set when left out."""
        number, name = (structure.number, structure.name) if structure else (0, "")
        own = [p for p in self.problems if p.number == number and (p.name in (name, "") if structure else not p.name)]
        return [f"{p.problem} ({p.remedy})" for p in own]


def is_nifti(path: str | Path) -> bool:
    """Whether a file is NIfTI by its name."""
    return Path(path).name.endswith((".nii", ".nii.gz"))


def read_structures(path: str | Path, *, keep_identifiers: bool = False) -> ReadStructures:
    """Read a structure set: a DICOM file, or a folder that holds one.

    Raises
    ------
    ImageFileError
        If there is no structure set or several, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        index = index_folder(path, keep_identifiers=keep_identifiers)
        found = only_object(index, "RTSTRUCT", "give the file of the structures")
        return of_index(index, found.uid, keep_identifiers=keep_identifiers)
    structures, problems = read_rtstruct_with_problems(path)
    file, wrong = scan_file(path.parent, Path(path.name))
    if file is None:  # one that is cut off between two elements can be read, without its end
        what = wrong[0].problem if wrong else "its SOP class is not that of structures"
        raise ImageFileError(f"{path}: {what}; export it again")
    return ReadStructures(structures, problems, _shown(path, keep_identifiers))


def of_index(index: DicomIndex, uid: str, *, keep_identifiers: bool = False) -> ReadStructures:
    """Read a structure set of a folder."""
    path = index.files(uid)[0]
    with shown_as(index, uid):
        structures, problems = read_rtstruct_with_problems(path)
    return ReadStructures(structures, problems, _shown(path, keep_identifiers))


def _shown(path: Path, keep_identifiers: bool) -> Callable[[str], str]:
    """Take identifier and family name out of names of structures; given names are too often names of organs."""
    if keep_identifiers:
        return str
    file, _ = scan_file(path.parent, Path(path.name))
    if file is None:
        return str
    family = re.split(r"[\^=]", file.patient_name)[0]
    return Redaction([replace(file, patient_name=family)], {file.path: "patient"})


def chosen_structures(
    read: ReadStructures, patterns: Sequence[str], where: str
) -> tuple[list[tuple[Structure, str]], list[tuple[str, str]]]:
    """Choose structures by wildcards; all when there is no pattern.

    Parameters
    ----------
    read
        The structures.
    patterns
        As `match_structures` takes them.
    where
        File for messages.

    Returns
    -------
    chosen
        Structures in the order of the file, each with the pattern that it fits, empty without patterns.
    missing
        Patterns that no structure fits, with the reason.

    Raises
    ------
    ParameterError
        If there are patterns and nothing fits any of them.
    """
    own = read.structures.structures
    if not patterns:
        return [(s, "") for s in own], []
    if not all(p.strip() for p in patterns):
        raise ParameterError("a pattern for structures is empty; write a name, or a part of it with * as in '*PTV*'")
    table = match_structures([s.name for s in own], {p: [p] for p in patterns})
    by_name: dict[str, list[str]] = {}
    for row in table.rows:
        if row.key and row.name:
            by_name.setdefault(row.name, []).append(row.key)
    missing = [(row.key, row.reason) for row in table.rows if row.status == "missing"]
    if not by_name:
        names = ", ".join(read.shown(s.name) for s in own) or "none"
        raise ParameterError(f"{where}: no structure fits {', '.join(map(repr, patterns))}; its structures are {names}")
    return [(s, ", ".join(by_name[s.name])) for s in own if s.name in by_name], missing


def reference_grid(path: str | Path, series_uid: str = "") -> tuple[Grid, list[str]]:
    """Read the grid to draw on: of a NIfTI image, or of a series of images in a folder.

    Parameters
    ----------
    path
        NIfTI file or folder.
    series_uid
        Series to prefer if the folder holds several.

    Returns
    -------
    grid, notes

    Raises
    ------
    ImageFileError
        If there is no such file or no volume, such as a series with a tilted gantry; names the remedy.
    """
    path = Path(path)
    if not path.is_dir():
        if path.is_file() and not is_nifti(path):
            raise ImageFileError(f"{path}: is no NIfTI image; give one, or the folder of a DICOM series")
        return read_grid(path), ["the reference names no frame of reference: it is taken for granted that the two share one"]
    found = series_volume(index_folder(path), series_uid)
    if found.grid is None:
        raise ImageFileError(f"{path}: the series makes no volume; give another one")
    return found.grid, []


def read_any_dose(path: str | Path) -> tuple[Image, list[str]]:
    """Read a dose: NIfTI in Gy, a DICOM RTDOSE, or a folder whose plans are added up.

    Returns
    -------
    dose, notes

    Raises
    ------
    InputError
        If the file cannot be read or is no dose in Gy, or the folder does not tell which doses to take.
    """
    path = Path(path)
    if path.is_dir():
        return _folder_dose(path)
    if not is_nifti(path):
        dose, notes = read_rtdose(path), []
        kind = describe_rtdose(path).summation_type
        if kind not in ("PLAN", "MULTI_PLAN"):
            what = f"says that it is a {kind} dose" if kind else "does not say what it adds up"
            notes.append(f"the dose file {what}: it may be a part of the treatment only")
        return dose, notes
    dose = read_image(path, "Gy")
    low, high = float(dose.data.min()), float(dose.data.max())
    if low < -_SLACK or high > _MOST_GY:
        raise InputError(
            f"{path}: holds values from {low:g} to {high:g}; a dose lies between 0 and {_MOST_GY:g} Gy: divide cGy by 100"
        )
    return dose.with_data(np.maximum(dose.data, 0)), []


def _folder_dose(path: Path) -> tuple[Image, list[str]]:
    index = index_folder(path)
    plans = index.of_kind("RTPLAN")
    if len({p.patient for p in plans}) != 1:
        n = len({p.patient for p in plans})
        raise ParameterError(f"{path}: holds plans of {n} patients; name the file of the dose")
    found = whole_dose(index, [plan_dose(index, plan) for plan in plans])
    if found.dose is None:
        raise ParameterError(f"{path}: {found.reason}; name the file of the dose")
    return found.dose, [found.reason]


def read_mask(path: str | Path) -> Image:
    """Read a mask, (X, Y, Z) bool.

    Raises
    ------
    ImageFileError
        If the file cannot be read, or holds labels.
    """
    image = read_share(path)
    return image.with_data(image.data > 0.5)


def read_share(path: str | Path) -> Image:
    """Read a mask or a map of shares or probabilities, 0 to 1.

    Raises
    ------
    ImageFileError
        If the file cannot be read, or holds other values.
    """
    if not is_nifti(path) and Path(path).exists():
        raise ImageFileError(f"{path}: is no NIfTI mask; draw structures with `regrowth radiotherapy rasterise` first")
    image = read_image(Path(path), "1")
    low, high = float(image.data.min(initial=0)), float(image.data.max(initial=0))
    if low < -_SLACK or high > 1 + _SLACK:
        raise ImageFileError(f"{path}: holds values from {low:g} to {high:g}; give a mask of 0 and 1, one file per region")
    return image.with_data(np.clip(image.data, 0, 1))
