"""What lies in a folder of DICOM files of any layout, whose it is and what belongs together."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from regrowth.errors import ImageFileError
from regrowth.io.dicom_dose_choice import DoseChoice, choose_dose
from regrowth.io.dicom_geometry import quiet, series_grid
from regrowth.io.dicom_links import References, resolve_links
from regrowth.io.dicom_manifest import Manifest, read_manifest
from regrowth.io.dicom_objects import DicomIndex, DicomLink, DicomObject, DicomProblem
from regrowth.io.dicom_patients import Redaction, patient_labels
from regrowth.io.dicom_scan import ScannedFile, scan_file
from regrowth.space import Grid

__all__ = ["DicomIndex", "DicomLink", "DicomObject", "DicomProblem", "DoseChoice", "choose_dose", "index_folder"]

_ORDER = ("IMAGE", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "SEG")


def index_folder(
    folder: Path,
    *,
    manifest: Path | None = None,
    salt: str | None = None,
    keep_identifiers: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> DicomIndex:
    """Find out what a folder of DICOM files holds.

    Neither names of files nor their order nor the layout matter: only what the files say. A file that is damaged, or a
    reference that leads nowhere, becomes a row of the table of problems, and everything else goes on.

    Parameters
    ----------
    folder
        Folder, read with all that is below it; hidden files and links to folders are left out.
    manifest
        Table that says what the files do not (see `regrowth.io.dicom_manifest.read_manifest`).
    salt
        Secret that the labels of patients are made with. The same salt gives the same labels; a new one is drawn if left out,
        so that the labels of two indices cannot be compared.
    keep_identifiers
        Whether patients are called by their identifier, and names stay in shown paths.
    progress
        Called with the number of files read and of all files.

    Returns
    -------
    DicomIndex

    Raises
    ------
    ImageFileError
        If there is no such folder.
    BidsError, ParameterError
        If the manifest is no table, or names files that are not there.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageFileError(f"{folder}: no such folder; give the folder of the DICOM files")
    said = read_manifest(manifest, folder) if manifest else Manifest()
    paths = [p for p in _paths(folder) if p not in said.ignored]
    files: list[ScannedFile] = []
    problems: list[DicomProblem] = []
    for number, path in enumerate(paths, 1):
        file, wrong = scan_file(folder, path)
        files += [file] if file else []
        problems += wrong
        if progress is not None:
            progress(number, len(paths))
    n_other = len(paths) - len(files) - len({p.path for p in problems} - {f.path.as_posix() for f in files})
    files, copies = _without_copies(folder, files)
    problems += copies
    labels, nameless = patient_labels(files, salt or secrets.token_hex(16), said.patients, keep_identifiers=keep_identifiers)
    problems += nameless
    shown: Callable[[str], str] = str if keep_identifiers else Redaction(files, labels)
    objects, references, wrong = _objects(files, labels)
    problems += [*wrong, *_mixed_folders(files, labels)]
    links, wrong = resolve_links(objects, references, _uids_said(said, files))
    problems += wrong
    objects = [replace(o, shown_path=shown(o.shown_path)) for o in objects]
    index = DicomIndex(folder, tuple(objects), tuple(links), (), len(paths), n_other)
    problems += _unclear_doses(index)
    whose = {f.path.as_posix(): labels[f.path] for f in files}
    rows = {
        DicomProblem(shown(p.path), shown(p.problem), shown(p.remedy), p.patient or whose.get(p.path, "")) for p in problems
    }
    return replace(index, problems=tuple(sorted(rows, key=lambda p: (p.path, p.problem, p.remedy))))


def _paths(folder: Path) -> list[Path]:
    found = []
    for top, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [(Path(top) / name).relative_to(folder) for name in names if not name.startswith(".")]
    return sorted(found, key=lambda p: os.fsencode(p))


def _without_copies(folder: Path, files: Sequence[ScannedFile]) -> tuple[list[ScannedFile], list[DicomProblem]]:
    """Keep one file of every SOP instance UID."""
    kept: dict[str, ScannedFile] = {}
    problems = []
    for file in files:
        first = kept.setdefault(file.sop_uid, file)
        if first is file:
            continue
        shown = file.path.as_posix()
        if (folder / first.path).read_bytes() == (folder / file.path).read_bytes():
            problems.append(DicomProblem(shown, f"is a copy of {first.path.name}", "left out"))
        else:
            what = f"has the UID of {first.path.name}, but other contents"
            problems.append(DicomProblem(shown, what, "left out; keep only the right one of the two"))
    return list(kept.values()), problems


def _objects(
    files: Sequence[ScannedFile], labels: Mapping[Path, str]
) -> tuple[list[DicomObject], dict[str, References], list[DicomProblem]]:
    """Put the images of every series together; other files are objects of their own."""
    groups: dict[str, list[ScannedFile]] = {}
    for file in files:
        groups.setdefault(file.uid, []).append(file)
    starts = _first_days(files, labels)
    objects, references, problems = [], {}, []
    for uid, group in groups.items():
        group = sorted(group, key=lambda f: f.sop_uid)
        first = min(group, key=lambda f: os.fsencode(f.path))
        label = labels[first.path]
        shown = first.path.as_posix()
        if len({labels[f.path] for f in group}) > 1:
            what = "its images have several patient identifiers"
            problems.append(DicomProblem(shown, what, "taken as of the first; check whose series it is", label))
        grid = None
        if first.kind == "IMAGE":
            grid, wrong = _volume(group)
            problems += [DicomProblem(shown, what, remedy, label) for what, remedy in wrong]
        day = min((d for f in group if (d := _ordinal(f.date)) is not None), default=None)
        objects.append(
            DicomObject(
                first.kind,
                uid,
                first.modality,
                label,
                tuple(f.path for f in group),
                shown,
                first.study_uid,
                first.series_uid,
                first.frame_uid,
                None if day is None else day - starts[label],
                first.frames,
                tuple(f.sop_uid for f in group) if first.kind == "IMAGE" else (),
                grid,
                first.summation_type,
                first.fraction_groups,
                first.beams,
            )
        )
        references[uid] = References(first.refers_to)
    objects.sort(key=lambda o: (o.patient, o.day is None, o.day or 0, _ORDER.index(o.kind), o.uid))
    return objects, references, problems


def _volume(images: Sequence[ScannedFile]) -> tuple[Grid | None, list[tuple[str, str]]]:
    """Find where the volume of a series lies; what is wrong if it makes none."""
    problems = []
    if not images[0].frame_uid:
        problems.append(
            ("has no frame of reference", "structures and doses are linked to it by UID only; export it with its frame")
        )
    try:
        with quiet():
            if any(int(f.header.get("NumberOfFrames") or 1) > 1 for f in images):
                multi = ("is a multi-frame image, which is not read", "export the series as single images (classic)")
                return None, [*problems, multi]
            grid, _ = series_grid([f.header for f in images], "series")
    except ImageFileError as error:
        what, _, remedy = str(error).removeprefix("series: ").partition("; ")
        return None, [*problems, (f"makes no volume: {what}", remedy or "give the whole series")]
    except Exception as error:  # values are decoded only here, and those of one series must not end the index
        return None, [*problems, (f"makes no volume: its geometry cannot be read ({type(error).__name__})", "export it again")]
    return grid, problems


def _ordinal(digits: str) -> int | None:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal()
    except ValueError:
        return None


def _first_days(files: Iterable[ScannedFile], labels: Mapping[Path, str]) -> dict[str, int]:
    starts: dict[str, int] = {}
    for file in files:
        day = _ordinal(file.date)
        if day is not None:
            label = labels[file.path]
            starts[label] = min(day, starts.get(label, day))
    return starts


def _mixed_folders(files: Iterable[ScannedFile], labels: Mapping[Path, str]) -> list[DicomProblem]:
    """Name the folders that hold files of several patients side by side."""
    inside: dict[Path, set[str]] = {}
    for file in files:
        inside.setdefault(file.path.parent, set()).add(labels[file.path])
    return [
        DicomProblem(folder.as_posix(), f"holds files of {len(found)} patients", "told apart by their identifiers; check them")
        for folder, found in inside.items()
        if len(found) > 1
    ]


def _uids_said(said: Manifest, files: Sequence[ScannedFile]) -> dict[str, list[str]]:
    """Turn the files that the manifest names into the UIDs of their objects."""
    uids = {f.path: f.uid for f in files}
    out: dict[str, list[str]] = {}
    for source, targets in said.refers_to.items():
        if source in uids:
            found = dict.fromkeys(uids[t] for t in targets if t in uids)
            out.setdefault(uids[source], []).extend(found)
    return out


def _unclear_doses(index: DicomIndex) -> list[DicomProblem]:
    problems = []
    for plan in index.of_kind("RTPLAN"):
        choice = choose_dose(index, plan.uid)
        if choice.status != "ok":
            remedy = {
                "ambiguous": "no dose is chosen; leave the wrong ones out by a manifest",
                "missing": "add the dose of the plan, or link it in a manifest",
                "incomplete": "add the other parts",
                "multi_plan": "take it as the dose of the whole treatment only",
            }[choice.status]
            problems.append(DicomProblem(plan.shown_path, choice.reason, remedy, plan.patient))
    return problems
