"""Which tables every report has: what was scanned when, and what is missing for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regrowth.clinical import SEQUENCES, Session
from regrowth.report.content import Column, Mark, Missing, Table, Value

__all__ = ["inventory_table"]

_WITHOUT = {
    "T1wce": "without it enhancing tumour cannot be seen, and another sequence is the reference of the session",
    "T1w": "without it enhancement cannot be told from blood products",
    "T2w": "without it models that need four sequences cannot run",
    "FLAIR": "without it oedema and infiltration cannot be measured",
}


def inventory_table(sessions: Sequence[Session], skipped: Mapping[str, str] | None = None) -> Table:
    """Make the table of which sequences exist in which session, and what is therefore skipped.

    Parameters
    ----------
    sessions
        Exams of the patient.
    skipped
        Session label to what was skipped there and why.
    """
    consequences = skipped or {}
    extra = sorted({q for s in sessions for q in s.images} - set(SEQUENCES))
    sequences = [*SEQUENCES, *extra]
    columns = [Column("session"), Column("day", "d", "days from the first exam"), Column("phase"), *map(Column, sequences)]
    columns += [
        Column(
            "segmentation", "", "a tumour segmentation was given for the session; without one, the pipeline makes it if it can"
        ),
        Column("label scheme", "", "meaning of the numbers in the given segmentation"),
        Column("skipped", "", "what could not be done in this session, and why"),
    ]
    rows: list[tuple[Value, ...]] = []
    for s in sorted(sessions, key=lambda s: (s.day, s.label)):
        marks: list[Value] = [Mark(q in s.images, _WITHOUT.get(q, "not in the data set")) for q in sequences]
        given = Mark(s.segmentation is not None, "no segmentation was given")
        unnamed = "no segmentation was given" if s.segmentation is None else "the scheme of the segmentation is not named"
        scheme: Value = s.segmentation_scheme or Missing(unnamed)
        rows.append((s.label, s.day, s.phase, *marks, given, scheme, consequences.get(s.label, "nothing")))
    caption = "Filled dot: present. Open dot: absent; rest the pointer on it for what that means."
    return Table("Inventory", tuple(columns), tuple(rows), caption)
