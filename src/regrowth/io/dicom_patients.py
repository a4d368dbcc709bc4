"""Which files of a folder belong to one patient, and how to show them without saying who that is."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from regrowth.io.dicom_objects import DicomProblem
from regrowth.io.dicom_scan import ScannedFile

__all__ = ["Redaction", "patient_labels"]

_LABEL_LENGTH = 10  # 40 bits: among a million patients two meet with a probability below one half
_SHORTEST_TOKEN = 3  # shorter parts of names are in half of all words; names in other scripts have two characters
_LONG_TOKEN = 5


class Redaction:
    """Takes the names and identifiers of the patients of a folder out of texts.

    Parameters
    ----------
    files
        Files whose patients are not to be named.
    labels
        Label of every file, which stands in for the name.
    """

    def __init__(self, files: Iterable[ScannedFile], labels: Mapping[Path, str]) -> None:
        whose: dict[str, set[str]] = {}
        for file in files:
            for token in (file.patient_id, *re.split(r"[\^=\s,;]+", file.patient_name)):
                if len(_letters(token)) >= (_SHORTEST_TOKEN if token.isascii() else 2):
                    whose.setdefault(_letters(token), set()).add(labels[file.path])
        self._labels = {token: next(iter(found)) if len(found) == 1 else "patient" for token, found in whose.items() if token}
        words = []
        for token in sorted(self._labels, key=lambda t: (-len(t), t)):
            # However the parts were joined in a file name: Q-12 is also Q_12 and Q12.
            word = r"[\W_]?".join(re.escape(letter) for letter in token)
            # A short identifier such as 001 is in many numbers, so that it counts only where it stands alone.
            stands_out = len(token) >= _LONG_TOKEN or not token.isascii()
            words.append(word if stands_out else rf"(?<![^\W_]){word}(?![^\W_])")
        self._pattern = re.compile("|".join(words), re.IGNORECASE) if words else None

    def __call__(self, text: str) -> str:
        """Give the text with every name and identifier replaced by the label in square brackets."""
        text = _plain(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: f"[{self._labels.get(_letters(found.group()), 'patient')}]", text)


def patient_labels(
    files: Sequence[ScannedFile], salt: str, given: Mapping[Path, str], *, keep_identifiers: bool
) -> tuple[dict[Path, str], list[DicomProblem]]:
    """Group files by patient.

    Files without identifier belong to the one patient that a UID of theirs (study, reference, frame of reference) leads to,
    and together where it leads to nobody.

    Parameters
    ----------
    files
        Scanned files.
    salt
        Secret that goes into the labels (HMAC-SHA-256 of the identifier), so that nobody finds an identifier by trying all.
    given
        Labels that the user gave to files.
    keep_identifiers
        Whether the identifier itself is the label.

    Returns
    -------
    labels
        Label of every file.
    problems
        Files without identifier, and what was done with them.
    """
    names = {f.path: given.get(f.path) or _name(f.patient_id, salt, keep_identifiers) for f in files}
    known: dict[str, set[str]] = {}
    for file in files:
        if names[file.path]:
            for key in _keys(file):
                known.setdefault(key, set()).add(names[file.path])
    problems = []
    for group in _connected([f for f in files if not names[f.path]]):
        reached = {label for f in group for key in _keys(f) for label in known.get(key, ())}
        label = reached.pop() if len(reached) == 1 else ""
        remedy = "taken as the patient that its UIDs lead to"
        if not label:
            seed = min(key for f in group for key in _keys(f))
            label = _hashed(f"without identifier {seed}", salt)
            remedy = "taken as a patient of its own; say whose it is in the column patient of a manifest"
        what = "has no patient identifier" + (" and its UIDs lead to several patients" if len(reached) > 1 else "")
        for file in _first_of_each(group):
            problems.append(DicomProblem(file.path.as_posix(), what, remedy, label))
        names.update({f.path: label for f in group})
    return names, problems


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _letters(text: str) -> str:
    """Give the letters and digits of a text in small."""
    return re.sub(r"[\W_]+", "", _plain(text)).lower()


def _name(identifier: str, salt: str, keep: bool) -> str:
    identifier = _plain(identifier)
    return identifier if keep or not identifier else _hashed(identifier, salt)


def _hashed(text: str, salt: str) -> str:
    return hmac.new(salt.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:_LABEL_LENGTH]


def _keys(file: ScannedFile) -> set[str]:
    """List the UIDs by which a file hangs together with others."""
    own = {file.study_uid, file.sop_uid, file.series_uid, *file.frames}
    return (own | {uid for uids in file.refers_to.values() for uid in uids}) - {""}


def _connected(files: Sequence[ScannedFile]) -> list[list[ScannedFile]]:
    """Split files into groups that share UIDs, directly or through others of the group."""
    parent = list(range(len(files)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, file in enumerate(files):
        for key in _keys(file):
            parent[root(i)] = root(first.setdefault(key, i))
    groups: dict[int, list[ScannedFile]] = {}
    for i, file in enumerate(files):
        groups.setdefault(root(i), []).append(file)
    return list(groups.values())


def _first_of_each(files: Iterable[ScannedFile]) -> list[ScannedFile]:
    """Give one file of every object, so that a series is one problem and not two hundred."""
    out: dict[str, ScannedFile] = {}
    for file in files:
        out.setdefault(file.uid, file)
    return list(out.values())
