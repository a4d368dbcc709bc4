"""Which scans a BIDS data set holds: patients, sessions, sequences, and masks from derivatives."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regrowth.clinical import CLINICAL_STATUS, PHASES, Patient, Session
from regrowth.errors import BidsError, InputError
from regrowth.io.tables import read_json, read_tsv
from regrowth.labels import label_scheme

__all__ = ["Cohort", "Problem", "bids_name", "parse_name", "read_cohort", "unused_derivatives"]

# Order of entities in a name: the BIDS schema, with from, to and mode of BEP014 after ses.
_ENTITIES = (
    "sub",
    "ses",
    "task",
    "acq",
    "ce",
    "rec",
    "dir",
    "run",
    "from",
    "to",
    "mode",
    "space",
    "seg",
    "res",
    "label",
    "desc",
)
_NAME = re.compile(r"^(?P<entities>[a-zA-Z]+-[a-zA-Z0-9]+(?:_[a-zA-Z]+-[a-zA-Z0-9]+)*)_(?P<suffix>[a-zA-Z0-9]+)(?P<ext>\..+)$")
# How fMRIPrep, FreeSurfer, FastSurfer and SynthSeg users name a map of regions with FreeSurfer ids.
_PARCELLATIONS = {"aparcaseg", "aparc", "aparcdktaseg", "aparcdkt", "synthseg", "fastsurfer", "freesurfer", "wmparc"}
_LESION_LABELS = {"tumor", "tumour", "lesion", "gtv", "wt", "l"}


@dataclass(frozen=True)
class Problem:
    """Something in the data that the user should know.

    Parameters
    ----------
    participant
        Label without ``sub-``; empty when the whole data set is meant.
    session
        Label without ``ses-``, or empty.
    message
        What is wrong, where, and what to do.
    is_fatal
        Whether the patient (or data set) cannot be processed.
    """

    participant: str
    session: str
    message: str
    is_fatal: bool


@dataclass(frozen=True)
class Cohort:
    """The patients of a data set and what is wrong with it."""

    patients: tuple[Patient, ...]
    problems: tuple[Problem, ...]


def parse_name(name: str) -> tuple[dict[str, str], str, str] | None:
    """Split a BIDS file name into entities, suffix and extension; None if it is no BIDS name.

    Examples
    --------
    >>> parse_name("sub-01_ses-02_ce-gadolinium_T1w.nii.gz")
    ({'sub': '01', 'ses': '02', 'ce': 'gadolinium'}, 'T1w', '.nii.gz')
    """
    match = _NAME.match(name)
    if not match:
        return None
    entities = dict(part.split("-", 1) for part in match["entities"].split("_"))
    return entities, match["suffix"], match["ext"]


def bids_name(suffix: str, extension: str, **entities: str | None) -> str:
    """Make a BIDS file name with its entities in order; the reserved word ``from`` is given as ``from_``.

    Examples
    --------
    >>> bids_name("T1w", ".nii.gz", ses="preop", sub="01", ce="gadolinium")
    'sub-01_ses-preop_ce-gadolinium_T1w.nii.gz'
    """
    given = {k.rstrip("_"): v for k, v in entities.items() if v is not None}
    unknown = set(given) - set(_ENTITIES)
    if unknown:
        raise BidsError(f"no BIDS entity is called {', '.join(sorted(unknown))}")
    for key, value in given.items():
        if not re.fullmatch(r"[a-zA-Z0-9]+", value):
            raise BidsError(f"BIDS labels hold letters and digits only, not {key}-{value}")
    return "_".join([f"{k}-{given[k]}" for k in _ENTITIES if k in given] + [suffix]) + extension


def read_cohort(
    bids_dir: Path,
    *,
    derivatives: Mapping[str, Path] | None = None,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    scheme: str | None = None,
) -> Cohort:
    """Index a BIDS data set. A patient that breaks a rule becomes a problem; all others are read.

    Parameters
    ----------
    bids_dir
        Folder with ``sub-*`` folders, ``sub-*_sessions.tsv`` and perhaps ``participants.tsv``.
    derivatives
        Name to folder of derivatives data sets that hold tumour segmentations (``*_dseg.nii.gz``, or binary
        ``*_label-tumor_mask.nii.gz``), brain masks, or maps of regions with FreeSurfer ids (``*_desc-aparcaseg_dseg.nii.gz``,
        ``*_seg-synthseg_dseg.nii.gz`` and the like).
    participants, sessions
        Labels to keep, with or without ``sub-`` and ``ses-``; all when empty.
    scheme
        Label scheme of segmentations whose sidecar does not name one.

    Raises
    ------
    BidsError
        If the folder holds no patient at all, or an asked-for patient does not exist.
    """
    bids_dir = Path(bids_dir)
    if not bids_dir.is_dir():
        raise BidsError(f"{bids_dir}: no such folder")
    if scheme is not None:
        label_scheme(scheme)
    for name, folder in (derivatives or {}).items():
        if not Path(folder).is_dir():
            raise BidsError(f"--derivatives {name}={folder}: no such folder")
    found = {p.name[4:]: p for p in sorted(bids_dir.glob("sub-*")) if p.is_dir()}
    wanted = [p.removeprefix("sub-") for p in participants] or list(found)
    missing = [p for p in wanted if p not in found]
    if not found or missing:
        what = f"no participant sub-{missing[0]}" if found else "no sub-* folder, so this is no BIDS data set"
        raise BidsError(f"{bids_dir}: {what} (it has {', '.join('sub-' + p for p in list(found)[:8]) or 'none'})")
    problems: list[Problem] = []
    clinical = _clinical(bids_dir, problems)
    keep = {s.removeprefix("ses-") for s in sessions}
    patients = []
    for label in wanted:
        try:
            patient, remarks = _patient(label, found[label], keep, derivatives or {}, scheme, clinical.get(label, {}))
        except InputError as error:
            problems.append(Problem(label, "", str(error), True))
            continue
        problems += remarks
        patients.append(patient)
    if clinical:
        problems += _unmatched(found, wanted, clinical, whole=not participants)
    return Cohort(tuple(patients), tuple(problems))


def _unmatched(found: Collection[str], wanted: Sequence[str], clinical: Collection[str], *, whole: bool) -> list[Problem]:
    """Name the patients that are only in the clinical table or only among the images."""
    without = [f"sub-{p}" for p in wanted if p not in clinical]
    unseen = [f"sub-{p}" for p in clinical if p not in found] if whole else []
    texts = [f"participants.tsv has no row for {', '.join(without)}: no clinical data of them"] if without else []
    texts += [f"participants.tsv lists {', '.join(unseen)} without a folder of images"] if unseen else []
    return [Problem("", "", text, False) for text in texts]


def _clinical(bids_dir: Path, problems: list[Problem]) -> dict[str, dict[str, str]]:
    path = bids_dir / "participants.tsv"
    if not path.is_file():
        problems.append(Problem("", "", f"{path}: absent, so that no clinical data take part", False))
        return {}
    try:
        rows = read_tsv(path)
    except BidsError as error:
        problems.append(Problem("", "", str(error), False))
        return {}
    if rows and "participant_id" not in rows[0]:
        problems.append(Problem("", "", f"{path}: has no column participant_id; clinical data are left out", False))
        return {}
    return {r["participant_id"].removeprefix("sub-"): r for r in rows}


def _patient(
    label: str,
    folder: Path,
    keep: set[str],
    derivatives: Mapping[str, Path],
    scheme: str | None,
    clinical: Mapping[str, str],
) -> tuple[Patient, list[Problem]]:
    timeline = _timeline(label, folder)
    problems: list[Problem] = []
    sessions = []
    for place in sorted(p for p in folder.glob("ses-*") if p.is_dir()):
        name = place.name[4:]
        if keep and name not in keep:
            continue
        if name not in timeline:
            raise BidsError(f"{folder / f'sub-{label}_sessions.tsv'}: has no row for ses-{name}, which has a folder; add it")
        images = _images(place, label, name, problems)
        if not images:
            problems.append(
                Problem(label, name, f"{place}: no T1w, T2w or FLAIR image in anat/; the session is left out", False)
            )
            continue
        facts = [_sidecar(p) for p in images.values()]
        session = Session(
            name,
            images=images,
            **timeline[name],
            spacing_is_nominal=any(f.get("SpacingIsNominal") is True for f in facts),
            is_synthetic=any(f.get("Synthetic") is True for f in facts),
        )
        sessions.append(_with_masks(session, label, derivatives, scheme, problems))
    absent = sorted(set(timeline) - {p.name[4:] for p in folder.glob("ses-*")})
    problems += [Problem(label, s, f"sub-{label}_sessions.tsv lists ses-{s}, which has no folder", False) for s in absent]
    if not sessions:
        raise BidsError(f"{folder}: no session with an anatomical image; expected ses-*/anat/*_T1w.nii.gz and the like")
    treatment = folder / f"sub-{label}_treatment.tsv"
    return Patient(label, tuple(sessions), clinical, treatment if treatment.is_file() else None), problems


def _timeline(label: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Read the sessions of a patient: label to day, phase and, where given, corticosteroids and clinical status."""
    path = folder / f"sub-{label}_sessions.tsv"
    if not path.is_file():
        raise BidsError(f"{path}: absent; write one row per session with session_id, days_from_baseline, phase")
    out: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(read_tsv(path), start=2):
        where = f"{path}, row {number}"
        for column in ("session_id", "days_from_baseline", "phase"):
            if column not in row:
                raise BidsError(f"{path}: has no column {column}; it needs session_id, days_from_baseline, phase")
        session = row["session_id"].removeprefix("ses-")
        if session in out:
            raise BidsError(f"{where}: ses-{session} is listed twice; keep one row per session")
        try:
            day = float(row["days_from_baseline"])
        except ValueError:
            raise BidsError(f"{where}: days_from_baseline is {row['days_from_baseline']!r}; write a whole number") from None
        if not 0 <= day < 1e6 or day != int(day):
            raise BidsError(
                f"{where}: days_from_baseline is {row['days_from_baseline']}; days count from the first exam "
                "and are whole numbers, 0 or more"
            )
        if row["phase"] not in PHASES:
            raise BidsError(f"{where}: unknown phase {row['phase']!r}; use one of {', '.join(PHASES)}")
        out[session] = {"day": int(day), "phase": row["phase"], **_condition(row, where)}
    return out


def _condition(row: Mapping[str, str], where: str) -> dict[str, Any]:
    """Read how the patient was at the exam: optional columns of a table of sessions."""
    dose, status = row.get("steroids_mg", "n/a"), row.get("clinical_status", "n/a")
    if status not in ("n/a", "", *CLINICAL_STATUS):
        raise BidsError(f"{where}: unknown clinical_status {status!r}; use one of {', '.join(CLINICAL_STATUS)} or n/a")
    try:
        steroids_mg = None if dose in ("n/a", "") else float(dose)
    except ValueError:
        steroids_mg = -1.0
    if steroids_mg is not None and not 0 <= steroids_mg < 1000:
        raise BidsError(f"{where}: steroids_mg is {dose!r}; write mg of dexamethasone a day, 0 or more, or n/a")
    return {"steroids_mg": steroids_mg, "clinical_status": None if status in ("n/a", "") else status}


def _images(place: Path, label: str, session: str, problems: list[Problem]) -> dict[str, Path]:
    """Find the sequences of a session; of several runs the first by name is taken, and said."""
    out: dict[str, Path] = {}
    for path in sorted([*place.glob("anat/*.nii.gz"), *place.glob("anat/*.nii")]):
        parsed = parse_name(path.name)
        if parsed is None:
            continue
        entities, suffix, _ = parsed
        if entities.get("sub") != label or entities.get("ses") != session:
            raise BidsError(f"{path}: the name does not belong to sub-{label} ses-{session}; rename or move the file")
        if suffix not in ("T1w", "T2w", "FLAIR"):
            continue
        sequence = "T1wce" if suffix == "T1w" and "ce" in entities else suffix
        if sequence in out:
            problems.append(
                Problem(label, session, f"{path.name}: a second {sequence}; {out[sequence].name} is used", is_fatal=False)
            )
            continue
        out[sequence] = path
    return out


def _with_masks(
    session: Session, label: str, derivatives: Mapping[str, Path], scheme: str | None, problems: list[Problem]
) -> Session:
    for name, root in derivatives.items():
        # One pair of exams may have its landmarks beside the session folders.
        places = [f"sub-{label}/ses-{session.label}/*/sub-{label}_ses-{session.label}_landmarks.tsv"]
        places += [f"sub-{label}/sub-{label}_landmarks.tsv"]
        tables = [path for place in places for path in sorted(Path(root).glob(place))]
        session = replace(session, landmarks=session.landmarks or next(iter(tables), None))
        for path in sorted(Path(root).glob(f"sub-{label}/ses-{session.label}/anat/*.nii.gz")):
            parsed = parse_name(path.name)
            if parsed is None:
                continue
            entities, suffix, _ = parsed
            kind = entities.get("label", "").lower()
            if suffix == "mask" and kind == "brain" and session.brain_mask is None:
                session = replace(session, brain_mask=path)
                continue
            named = {entities.get(e, "").lower() for e in ("seg", "desc", "atlas")}
            if suffix == "dseg" and named & _PARCELLATIONS and session.parcellation is None:
                session = replace(session, parcellation=path)
                continue
            is_dseg = suffix == "dseg" and entities.get("seg", "tumour") in ("tumour", "tumor") and "desc" not in entities
            is_mask = suffix == "mask" and kind in _LESION_LABELS
            if not (is_dseg or is_mask):
                continue
            if session.segmentation is not None:
                problems.append(
                    Problem(label, session.label, f"{name}: {path.name} is not used, {session.segmentation.name} is", False)
                )
                continue
            session = replace(session, segmentation=path, segmentation_scheme=_scheme_of(path, is_mask, scheme))
    return session


def _scheme_of(path: Path, is_mask: bool, scheme: str | None) -> str:
    named = _sidecar(path).get("LabelScheme") or scheme or ("binary-gtv" if is_mask else None)
    if named is None:
        raise BidsError(
            f"{path}: its sidecar names no LabelScheme and label values are never guessed; add it there or pass --label-scheme"
        )
    return label_scheme(str(named)).name


def _sidecar(path: Path) -> dict[str, object]:
    sidecar = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    return read_json(sidecar) if sidecar.is_file() else {}


def unused_derivatives(bids_dir: Path, used: Iterable[Path]) -> list[str]:
    """Name the folders in ``derivatives/`` that hold patients and were not asked for."""
    taken = {Path(p).resolve() for p in used}
    return [
        p.name
        for p in sorted((Path(bids_dir) / "derivatives").glob("*"))
        if p.is_dir() and p.resolve() not in taken and any(p.glob("sub-*"))
    ]
