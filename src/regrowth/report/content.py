"""What a page of the report holds: frozen, complete, free of files and of HTML.

The workflow fills these; `render_patient` and `render_cohort` only lay them out. Adding a figure or a table never touches
the renderer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from regrowth.errors import ParameterError

__all__ = [
    "CohortReport",
    "Column",
    "Figure",
    "Flag",
    "Mark",
    "Missing",
    "PatientReport",
    "PatientRow",
    "Section",
    "StepError",
    "SummaryItem",
    "Table",
    "Value",
]

Level = Literal["info", "warning", "error"]
Status = Literal["done", "incomplete", "failed"]


@dataclass(frozen=True)
class Missing:
    """A value that does not exist, shown as a dash with the reason beside it."""

    reason: str


@dataclass(frozen=True)
class Mark:
    """A yes or no, shown as a filled or an empty dot; `note` explains it on hover and in a footnote when it is a no."""

    present: bool
    note: str = ""


Value: TypeAlias = str | int | float | bool | Missing | Mark | None
"""What a cell of a table may hold; NaN and None are shown as a dash."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name
        Header.
    unit
        Unit of all numbers of the column, shown in the header; empty for counts, shares and words.
    definition
        How the value is defined, shown when the pointer rests on the header.
    digits
        Decimals of numbers that are not whole.
    """

    name: str
    unit: str = ""
    definition: str = ""
    digits: int = 2


@dataclass(frozen=True)
class Table:
    """A table with units in its header.

    Parameters
    ----------
    title
        Heading of the table.
    columns
        One `Column` (or just its name) per column.
    rows
        Tuples of `Value`, as many as there are columns.
    caption
        What the table shows.
    notes
        Footnotes.

    Raises
    ------
    ParameterError
        If a row does not have one value per column.
    """

    title: str
    columns: tuple[Column | str, ...]
    rows: tuple[tuple[Value, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns = tuple(c if isinstance(c, Column) else Column(c) for c in self.columns)
        for n, row in enumerate(self.rows):
            if len(row) != len(columns):
                raise ParameterError(
                    f"table {self.title!r}: row {n + 1} has {len(row)} values for {len(columns)} columns "
                    f"({', '.join(c.name for c in columns)})"
                )
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rows", tuple(tuple(r) for r in self.rows))


@dataclass(frozen=True)
class Figure:
    """A picture as bytes, and how to read it.

    Parameters
    ----------
    name
        Name of the file without ending; letters, digits, ``-`` and ``_``.
    caption
        What it shows.
    what_good_looks_like, what_failure_looks_like
        How a reader tells a good result from a failure.
    data
        The picture.
    kind
        ``png`` or ``svg``.
    raster
        The same picture as PNG where `data` is SVG, for programs that take no SVG; empty if there is none. The page does not
        carry it.
    """

    name: str
    caption: str
    what_good_looks_like: str
    what_failure_looks_like: str
    data: bytes
    kind: Literal["png", "svg"]
    raster: bytes = b""

    def __post_init__(self) -> None:
        if not self.name or not all(c.isascii() and (c.isalnum() or c in "-_") for c in self.name):
            raise ParameterError(f"a figure name becomes a file name: use letters, digits, - and _ only, not {self.name!r}")
        signature = {"png": b"\x89PNG", "svg": b"<?xml"}.get(self.kind)
        if signature is None or not self.data.startswith(signature):
            raise ParameterError(f"figure {self.name}: the bytes are not a {self.kind} picture; kind is png or svg")

    @property
    def filename(self) -> str:
        """Name under which the picture is offered as a file."""
        return f"{self.name}.{self.kind}"

    def files(self) -> dict[str, bytes]:
        """Give the files of the picture: name to bytes; a chart comes as SVG and as PNG."""
        return {self.filename: self.data} | ({f"{self.name}.png": self.raster} if self.raster else {})


@dataclass(frozen=True)
class Flag:
    """A finding about quality: where, what, and what to do about it."""

    level: Level
    where: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Parameters
    ----------
    title
        Heading; short, as it stands in the navigation too.
    anchor
        Name of the link target; letters, digits and ``-``.
    text
        Paragraphs, separated by empty lines.
    figures, tables
        Shown after the text, figures first.
    skipped
        Why there is nothing to show, such as "no FLAIR in ses-preop"; None when it was done.
    """

    title: str
    anchor: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    skipped: str | None = None

    def __post_init__(self) -> None:
        if not self.anchor or not all(c.isascii() and (c.isalnum() or c == "-") for c in self.anchor):
            raise ParameterError(f"section {self.title!r}: an anchor has letters, digits and - only, not {self.anchor!r}")


@dataclass(frozen=True)
class SummaryItem:
    """One of the few values that a reader wants first."""

    label: str
    value: Value
    unit: str = ""
    note: str = ""
    definition: str = ""
    digits: int = 1


@dataclass(frozen=True)
class StepError:
    """A step that failed: one line of cause, and the end of its log."""

    step: str
    session: str
    message: str
    log: str = ""
    participant: str = ""


@dataclass(frozen=True)
class PatientReport:
    """Everything that the page of one patient shows.

    Parameters
    ----------
    participant
        Label without ``sub-``; the only identifier on the page.
    generated
        Date and time, as text; given by the caller, so that the same content gives the same page.
    version
        Version of Regrowth.
    summary
        Shown at the top.
    flags
        Quality flags; errors are shown first.
    sections
        In the order of the page.
    methods
        Plain text with numbers in brackets that refer to `references`.
    references
        One line each, in the order of their numbers.
    errors
        Steps that failed.
    provenance
        Pairs of name and value: command, engines and versions, seed, hashes.
    synthetic
        Whether the images are made up; the page then says so everywhere.
    notes
        Caveats that hold for the whole page.
    """

    participant: str
    generated: str
    version: str
    summary: tuple[SummaryItem, ...] = ()
    flags: tuple[Flag, ...] = ()
    sections: tuple[Section, ...] = ()
    methods: str = ""
    references: tuple[str, ...] = ()
    errors: tuple[StepError, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    synthetic: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _unique_anchors(self.sections, f"sub-{self.participant}")


@dataclass(frozen=True)
class PatientRow:
    """One line of the cohort's table of patients.

    Parameters
    ----------
    label
        Label without ``sub-``.
    link
        Relative address of the patient's page; empty when there is none.
    pattern, trend
        Classes of the recurrence and of its course.
    volumes_ml
        Region (with session, as the caller names it) to ml.
    migration_mm, migration_rigid_mm
        Migration distance after deformable and after rigid registration.
    registration
        Verdict on the registration, such as ``pass``.
    flags
        Number of warnings and errors.
    status
        ``done``, ``incomplete`` (something was skipped) or ``failed``.
    note
        Why it is not done; also why values are missing.
    classes
        Further classes, by the header of their column: location, response.
    """

    label: str
    link: str = ""
    pattern: Value = None
    trend: Value = None
    volumes_ml: Mapping[str, Value] = field(default_factory=dict)
    migration_mm: Value = None
    migration_rigid_mm: Value = None
    registration: Value = None
    flags: int = 0
    status: Status = "done"
    note: str = ""
    classes: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if ":" in self.link or self.link.startswith(("/", "\\")):
            raise ParameterError(f"sub-{self.label}: the link must be a relative file name, not {self.link!r}")


@dataclass(frozen=True)
class CohortReport:
    """Everything that the cohort page shows.

    Parameters
    ----------
    title
        Heading.
    generated, version
        As in `PatientReport`.
    rows
        One per patient.
    summary, flags, methods, references, provenance, synthetic, notes
        As in `PatientReport`.
    distributions
        Figures and tables of the cohort's measures.
    mosaics
        Pictures of all patients.
    failures
        What failed, with the patient.
    ran
        What ran: plain text.
    sections
        Further parts, such as survival or transitions, after the distributions and before the mosaic. With sections and no
        rows the page has neither a table of patients nor empty parts for distributions and mosaic: it can then show the
        analysis of a plain table.

    Raises
    ------
    ParameterError
        If an anchor is used twice or belongs to a part of the page.
    """

    title: str
    generated: str
    version: str
    rows: tuple[PatientRow, ...] = ()
    summary: tuple[SummaryItem, ...] = ()
    flags: tuple[Flag, ...] = ()
    distributions: tuple[Figure | Table, ...] = ()
    mosaics: tuple[Figure, ...] = ()
    failures: tuple[StepError, ...] = ()
    ran: str = ""
    methods: str = ""
    references: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()

    def __post_init__(self) -> None:
        _unique_anchors(self.sections, self.title, frozenset({"patients", "distributions", "mosaic"}))


def _unique_anchors(sections: tuple[Section, ...], where: str, parts: frozenset[str] = frozenset()) -> None:
    taken = [s.anchor for s in sections]
    reserved = {"summary", "flags", "methods", "errors", "about", "top"} | parts
    twice = sorted({a for a in taken if taken.count(a) > 1 or a in reserved})
    if twice:
        raise ParameterError(f"{where}: the section anchor(s) {', '.join(twice)} are used twice or reserved; rename them")
