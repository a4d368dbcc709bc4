"""What the user says about DICOM files that the files do not say themselves: links, patients, files to leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from regrowth.errors import ParameterError
from regrowth.io.tables import read_tsv

__all__ = ["Manifest", "read_manifest"]

_COLUMNS = ("path", "refers_to", "patient", "ignore")
_EMPTY = ("", "n/a")


@dataclass(frozen=True)
class Manifest:
    """What the user says.

    Parameters
    ----------
    refers_to
        File to the files it refers to, all relative to the folder.
    patients
        File to label of its patient.
    ignored
        Files to leave out.
    """

    refers_to: Mapping[Path, tuple[Path, ...]] = field(default_factory=dict)
    patients: Mapping[Path, str] = field(default_factory=dict)
    ignored: frozenset[Path] = frozenset()


def read_manifest(path: Path, folder: Path) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    path
        Tab-separated table with the column ``path`` and any of ``refers_to``, ``patient``, ``ignore`` (``yes``, ``no``);
        ``n/a`` or nothing where there is nothing to say. Paths are relative to the folder; that of a folder stands for all
        files below. A file that refers to several has several rows.
    folder
        Folder of the DICOM files.

    Returns
    -------
    Manifest

    Raises
    ------
    BidsError
        If it is no table.
    ParameterError
        If a column is unknown or missing, a path is not there, or a file has two patients.
    """
    rows = read_tsv(path)
    refers: dict[Path, tuple[Path, ...]] = {}
    patients: dict[Path, str] = {}
    ignored: set[Path] = set()
    for number, row in enumerate(rows, 2):
        where = f"{path}, row {number}"
        unknown = sorted(set(row) - set(_COLUMNS))
        if unknown or "path" not in row:
            what = f"column {unknown[0]!r} is unknown" if unknown else "has no column path"
            raise ParameterError(f"{where}: {what}; the columns are {', '.join(_COLUMNS)}")
        files = _files(row["path"], folder, where)
        label, target, ignore = (row.get(c, "") for c in ("patient", "refers_to", "ignore"))
        if ignore not in (*_EMPTY, "yes", "no"):
            raise ParameterError(f"{where}: ignore is yes or no, not {ignore!r}")
        targets = () if target in _EMPTY else _files(target, folder, where)
        for file in files:
            if label not in _EMPTY and patients.setdefault(file, label) != label:
                raise ParameterError(f"{where}: {file} has two patients; give it one")
            if targets:
                refers[file] = (*refers.get(file, ()), *targets)
        if ignore == "yes":
            ignored.update(files)
    return Manifest(refers, patients, frozenset(ignored))


def _files(text: str, folder: Path, where: str) -> tuple[Path, ...]:
    at = Path(text)
    if text in _EMPTY or at.is_absolute() or ".." in at.parts or not (folder / at).exists():
        raise ParameterError(f"{where}: {text!r} is no file or folder below {folder}; write paths relative to it")
    if (folder / at).is_file():
        return (at,)
    return tuple(sorted(p.relative_to(folder) for p in (folder / at).rglob("*") if p.is_file()))
