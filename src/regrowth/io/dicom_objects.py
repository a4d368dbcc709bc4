"""What an index of a DICOM folder is made of: objects, links between them, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from regrowth.errors import ParameterError
from regrowth.space import Grid

__all__ = ["DicomIndex", "DicomLink", "DicomObject", "DicomProblem", "LinkBasis", "LinkKind", "ObjectKind"]

ObjectKind = Literal["IMAGE", "RTSTRUCT", "RTDOSE", "RTPLAN", "REG", "SEG"]
LinkKind = Literal["plan", "structures", "series"]
LinkBasis = Literal["uid", "frame_of_reference", "manifest"]


@dataclass(frozen=True)
class DicomObject:
    """A series of images, or one file of structures, dose, plan, registration or segmentation.

    Parameters
    ----------
    kind
        ``IMAGE`` for a series of images, else what the file is.
    uid
        Series instance UID of a series, SOP instance UID of a file.
    modality
        ``CT``, ``MR``, ``RTDOSE`` and so on.
    patient
        Label of the patient; not the patient's identifier unless that was asked for.
    paths
        Files, relative to the folder of the index. They are as on disk and may hold the name of the patient.
    shown_path
        First file for reports, without names and identifiers of patients.
    study_uid, series_uid, frame_of_reference_uid
        Empty if the file does not say. The frame of a registration is the one it leads to.
    day
        Days since the first dated object of the patient; None without a date.
    frames
        All frames of reference: of the structures of a set, of all that a registration joins; else the one.
    image_uids
        SOP instance UIDs of the images of a series.
    grid
        Where the volume of a series lies; None if it makes none (a problem says why) and for files.
    summation_type
        Of a dose: ``PLAN``, ``FRACTION``, ``BEAM``, ``MULTI_PLAN`` and so on.
    fraction_groups, beams
        Of a plan: those that it has. Of a dose: those that it says it is of.
    """

    kind: ObjectKind
    uid: str
    modality: str
    patient: str
    paths: tuple[Path, ...]
    shown_path: str
    study_uid: str = ""
    series_uid: str = ""
    frame_of_reference_uid: str = ""
    day: int | None = None
    frames: tuple[str, ...] = ()
    image_uids: tuple[str, ...] = ()
    grid: Grid | None = None
    summation_type: str = ""
    fraction_groups: tuple[int, ...] = ()
    beams: tuple[int, ...] = ()


@dataclass(frozen=True)
class DicomLink:
    """That one object belongs to another.

    Parameters
    ----------
    source_uid, target_uid
        From which object to which.
    kind
        What the target is to the source: the plan of a dose, the structures of a plan or dose, the series of structures.
    basis
        ``uid``: the file says so; ``frame_of_reference``: weaker, the only object of that kind of the patient in the same frame
        of reference; ``manifest``: the user says so.
    """

    source_uid: str
    target_uid: str
    kind: LinkKind
    basis: LinkBasis


@dataclass(frozen=True)
class DicomProblem:
    """Something that is wrong with a file or a link; everything else goes on.

    Parameters
    ----------
    path
        File or folder, relative to the folder of the index, without names and identifiers of patients; ``.`` for all of it.
    problem
        What is wrong.
    remedy
        What to do, or what was done.
    patient
        Label of the patient; empty if not known.
    """

    path: str
    problem: str
    remedy: str
    patient: str = ""


@dataclass(frozen=True)
class DicomIndex:
    """What lies in a folder of DICOM files and what belongs together.

    Parameters
    ----------
    folder
        The folder.
    objects
        Sorted by patient, day, kind and UID, so that the layout of the folder does not matter.
    links
        Which object belongs to which.
    problems
        What is wrong, sorted by path.
    n_files
        Files in the folder, hidden ones left out.
    n_other
        Files that are no DICOM, or DICOM that radiotherapy has no use for (reports, scouts in their own format, directories).
    """

    folder: Path
    objects: tuple[DicomObject, ...]
    links: tuple[DicomLink, ...]
    problems: tuple[DicomProblem, ...]
    n_files: int
    n_other: int

    @cached_property
    def _by_uid(self) -> dict[str, DicomObject]:
        return {o.uid: o for o in self.objects}

    def patients(self) -> tuple[str, ...]:
        """Labels of the patients."""
        return tuple(sorted({o.patient for o in self.objects}))

    def of_kind(self, kind: ObjectKind, patient: str | None = None) -> tuple[DicomObject, ...]:
        """Objects of a kind, of all patients or one."""
        return tuple(o for o in self.objects if o.kind == kind and patient in (None, o.patient))

    def find(self, uid: str) -> DicomObject:
        """Object with a UID.

        Raises
        ------
        ParameterError
            If the index has none.
        """
        if uid in self._by_uid:
            return self._by_uid[uid]
        raise ParameterError(f"the index of {self.folder} has no object {uid}; take one from its table of objects")

    def linked(self, uid: str, kind: LinkKind) -> tuple[DicomObject, ...]:
        """Objects that an object belongs to: the plan of a dose, the structures of a plan, the series of structures."""
        return tuple(self.find(link.target_uid) for link in self.links if (link.source_uid, link.kind) == (uid, kind))

    def linking(self, uid: str, kind: LinkKind) -> tuple[DicomObject, ...]:
        """Objects that belong to an object: the doses of a plan, the plans and doses of structures."""
        return tuple(self.find(link.source_uid) for link in self.links if (link.target_uid, link.kind) == (uid, kind))

    def files(self, uid: str) -> tuple[Path, ...]:
        """Files of an object, in no order that means anything."""
        return tuple(self.folder / path for path in self.find(uid).paths)

    def object_rows(self) -> list[dict[str, object]]:
        """Table of the objects, without names and identifiers of patients."""
        return [
            {
                "patient": o.patient,
                "kind": o.kind,
                "modality": o.modality,
                "day": o.day,
                "n_files": len(o.paths),
                "uid": o.uid,
                "frame_of_reference_uid": o.frame_of_reference_uid or None,
                "summation_type": o.summation_type or None,
                "path": o.shown_path,
            }
            for o in self.objects
        ]

    def link_rows(self) -> list[dict[str, object]]:
        """Table of the links."""
        rows: list[dict[str, object]] = []
        for link in self.links:
            source, target = self.find(link.source_uid), self.find(link.target_uid)
            rows.append(
                {
                    "patient": source.patient,
                    "kind": source.kind,
                    "path": source.shown_path,
                    "belongs_to": target.kind,
                    "target_path": target.shown_path,
                    "basis": link.basis,
                }
            )
        return rows

    def problem_rows(self) -> list[dict[str, object]]:
        """Table of the problems."""
        return [{"patient": p.patient or None, "path": p.path, "problem": p.problem, "remedy": p.remedy} for p in self.problems]
