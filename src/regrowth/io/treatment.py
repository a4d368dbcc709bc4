"""What was done to a patient and when, read from tables: fractions, courses, surgeries and drugs.

A treatment table (``sub-X_treatment.tsv``, or one for a cohort with a column ``participant_id``) is tab-separated, has one
event per row, and ``n/a`` where nothing is known (other columns are allowed and not read):

======================  ==========================  ==============================================================
column                  of                          meaning
======================  ==========================  ==============================================================
``day``                 all                         day count of the exams (``days_from_baseline``); may be negative
``kind``                all                         ``fraction``, ``course``, ``surgery`` or ``drug``
``dose_gy``             fraction, course            dose of one fraction, Gy
``fractions``           course                      number of fractions, given on weekdays from ``day``
``stop_day``            course, drug                last day of the course, if known; day on which the drug stopped
``remaining_fraction``  surgery                     part of the volume that was left, 0 to 1
``intensity``           drug                        relative to the standard dose; 1 when left out
``name``                all                         for readers; no model uses it
======================  ==========================  ==============================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from regrowth.clinical import Patient
from regrowth.errors import BidsError
from regrowth.growth.record import TreatmentRecord
from regrowth.growth.treatment import DrugCourse, Fraction, Surgery, Treatment
from regrowth.io.tables import read_tsv

__all__ = ["clinical_treatment", "patient_record", "read_treatment", "read_treatments"]

_KINDS = ("fraction", "course", "surgery", "drug")
_APPLIES = {
    "dose_gy": ("fraction", "course"),
    "fractions": ("course",),
    "stop_day": ("course", "drug"),
    "remaining_fraction": ("surgery",),
    "intensity": ("drug",),
}
_LARGEST_FRACTION_GY = 30.0  # radiosurgery ends below it; sums of a course and doses in cGy lie above
_LARGEST_DAY = 36525.0  # a hundred years; days of spreadsheets (since 1900) and dates written as numbers lie above
_MOST_FRACTIONS = 200
_CLINICAL = ("surgery_day", "rt_start_day", "rt_end_day", "rt_fractions", "rt_dose_gy", "chemo_start_day", "chemo_stop_day")


@dataclass
class _Events:
    """Events of one patient while its rows are read."""

    fractions: list[Fraction] = field(default_factory=list)
    surgeries: list[Surgery] = field(default_factory=list)
    drugs: list[DrugCourse] = field(default_factory=list)
    resections: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def record(self) -> TreatmentRecord:
        given = Treatment(tuple(self.fractions), tuple(self.surgeries), tuple(self.drugs))
        return TreatmentRecord(given, tuple(sorted(self.resections)), tuple(self.notes))


@dataclass(frozen=True)
class _Row:
    """Cells of one row, and how to say where they stand."""

    cells: Mapping[str, str]
    where: str

    def refuse(self, message: str) -> NoReturn:
        raise BidsError(f"{self.where}: {message}")

    def text(self, column: str) -> str:
        cell = (self.cells.get(column) or "").strip()
        return "" if cell.lower() == "n/a" else cell

    def number(self, column: str, remedy: str) -> float | None:
        """Read a number; None where there is none."""
        cell = self.text(column)
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.refuse(f"{column} is {cell!r}; {remedy}, or n/a")
        return value

    def day(self, column: str) -> float | None:
        value = self.number(column, "write days from the first exam as a number, not a date")
        if value is not None and abs(value) > _LARGEST_DAY:
            self.refuse(f"{column} is {self.text(column)!r}, which looks like a date; write days from the first exam")
        return value

    def count(self, column: str) -> int | None:
        value = self.number(column, f"write a whole number from 1 to {_MOST_FRACTIONS}")
        if value is not None and (value != int(value) or not 1 <= value <= _MOST_FRACTIONS):
            self.refuse(f"{column} is {self.text(column)!r}; write a whole number from 1 to {_MOST_FRACTIONS}")
        return None if value is None else int(value)


def read_treatment(path: Path) -> TreatmentRecord:
    """Read the treatment table of one patient.

    Parameters
    ----------
    path
        Table as described at the top of this module.

    Returns
    -------
    TreatmentRecord
        Surgeries without a remaining fraction, or with 0, are resections of an unknown part: what is left of a tumour is never
        nothing.

    Raises
    ------
    BidsError
        For an unknown kind, a date instead of a day, a dose per fraction above 30 Gy, a value that is missing, out of range or
        in a column that does not belong to the kind, a repeated row, or rows of more than one patient; names file and row.
    """
    records = _records(Path(path))
    if len(records) > 1:
        raise BidsError(
            f"{path}: holds {len(records)} patients where one is expected ({', '.join(list(records)[:4])} ...); "
            "split the table by participant_id"
        )
    return next(iter(records.values()), _nothing(path))


def read_treatments(path: Path) -> dict[str, TreatmentRecord]:
    """Read the treatment table of a cohort.

    Parameters
    ----------
    path
        Table with a column ``participant_id`` (with or without ``sub-``).

    Returns
    -------
    dict
        Label without ``sub-`` to record, in the order of the table. Patients without a row are not in it.

    Raises
    ------
    BidsError
        As `read_treatment`, or without a column ``participant_id``.
    """
    records = _records(Path(path))
    if "" in records:
        raise BidsError(f"{path}: a row has no participant_id; the table of a cohort needs it in every row")
    return records


def clinical_treatment(clinical: Mapping[str, str]) -> TreatmentRecord:
    """Read what the clinical table of a cohort says of the treatment of one patient.

    Parameters
    ----------
    clinical
        Row of ``participants.tsv``. Read are ``surgery_day``, ``rt_start_day``, ``rt_end_day``, ``rt_fractions``,
        ``rt_dose_gy`` (of the whole course), ``chemo_start_day``, ``chemo_stop_day`` and ``eor``; all may be absent.

    Returns
    -------
    TreatmentRecord
        Radiotherapy is in it only when start, number of fractions and dose are all known; otherwise a note says what is
        missing. A surgery is a resection of an unknown part, or nothing where ``eor`` is biopsy.

    Raises
    ------
    BidsError
        For a value that is no number, a date, or impossible; names the patient and the column.
    """
    row = _Row(clinical, ", ".join(filter(None, ["participants.tsv", clinical.get("participant_id", "").strip()])))
    events = _Events()
    surgery_day = row.day("surgery_day")
    if surgery_day is not None:
        if _is_biopsy(clinical):
            events.notes.append(f"the surgery of day {surgery_day:g} was a biopsy: no volume was taken away")
        else:
            events.resections.append(surgery_day)
    _clinical_radiotherapy(row, events)
    _clinical_drug(row, events)
    return events.record()


def patient_record(patient: Patient) -> TreatmentRecord:
    """Give all that is known of the treatment of a patient.

    Parameters
    ----------
    patient
        Its treatment table is read if it has one, else its row of ``participants.tsv``.

    Returns
    -------
    TreatmentRecord
        Where the phase of the exams goes from ``preop`` to another and no surgery is recorded from one exam to the other, a
        resection of an unknown part is assumed halfway and a note says so; not after a biopsy (``eor``).

    Raises
    ------
    BidsError
        As `read_treatment` and `clinical_treatment`, or if the table belongs to another patient.
    """
    if patient.treatment is None:
        record = clinical_treatment(patient.clinical)
    else:
        records = _records(patient.treatment)
        others = sorted(set(records) - {"", patient.label})
        if others:
            raise BidsError(f"{patient.treatment}: holds rows of {others[0]}, not of {patient.label}; correct participant_id")
        if len(records) > 1:
            raise BidsError(f"{patient.treatment}: some rows have no participant_id; give it in all rows or in none")
        record = next(iter(records.values()), _nothing(patient.treatment))
        if any(_Row(patient.clinical, "").text(column) for column in _CLINICAL):
            note = "treatment comes from the treatment table; what participants.tsv says of it is not used"
            record = replace(record, notes=(*record.notes, note))
    return _with_assumed_resections(record, patient)


def _nothing(path: Path) -> TreatmentRecord:
    return TreatmentRecord(notes=(f"{Path(path).name} has no rows: taken as no treatment",))


def _records(path: Path) -> dict[str, TreatmentRecord]:
    """Read a table by patient; those without a participant_id are under the empty label."""
    rows = read_tsv(path)
    for column in ("day", "kind"):
        if rows and column not in rows[0]:
            raise BidsError(
                f"{path}: has no column {column}; it needs day (days from the first exam, no dates) "
                f"and kind ({', '.join(_KINDS)})"
            )
    patients: dict[str, _Events] = {}
    seen: dict[tuple[tuple[str, str], ...], int] = {}
    for number, cells in enumerate(rows, start=2):
        row = _Row(cells, f"{path}, row {number}")
        label = row.text("participant_id").removeprefix("sub-")
        key = tuple(cells.items())
        if key in seen and row.text("kind") != "fraction":  # two equal fractions on a day are given to some
            row.refuse(f"repeats row {seen[key]}; keep one of them")
        seen[key] = number
        _take(row, patients.setdefault(label, _Events()))
    return {label: events.record() for label, events in patients.items()}


def _take(row: _Row, events: _Events) -> None:
    """Add the event of one row."""
    kind = row.text("kind")
    if kind not in _KINDS:
        row.refuse(f"unknown kind {kind!r}; use one of {', '.join(_KINDS)}")
    readers: dict[str, Callable[[_Row, float, _Events], None]]
    readers = {"fraction": _fraction, "course": _course, "surgery": _surgery, "drug": _drug}
    for column, kinds in _APPLIES.items():
        if kind not in kinds and row.text(column):
            hint = "; several fractions in one row are a course" if (column, kind) == ("fractions", "fraction") else ""
            row.refuse(f"{column} is given for a {kind}, where it means nothing; write n/a{hint}")
    day = row.day("day")
    if day is None:
        row.refuse("has no day; write days from the first exam, or leave out an event whose day is not known")
    readers[kind](row, day, events)


def _dose(row: _Row) -> float:
    dose_gy = row.number("dose_gy", "write the dose of one fraction in Gy")
    if dose_gy is None:
        row.refuse("dose_gy is missing; write the dose of one fraction in Gy, or leave out the row if it is not known")
    if not 0 < dose_gy <= _LARGEST_FRACTION_GY:
        row.refuse(
            f"dose_gy is {row.text('dose_gy')!r}; write the dose of ONE fraction in Gy, above 0 and up to "
            f"{_LARGEST_FRACTION_GY:g} (no sum of the course, no cGy)"
        )
    return dose_gy


def _fraction(row: _Row, day: float, events: _Events) -> None:
    events.fractions.append(Fraction(day, _dose(row)))


def _course(row: _Row, day: float, events: _Events) -> None:
    n = row.count("fractions")
    if n is None:
        row.refuse("fractions is missing; write the number of fractions of the course")
    stop = row.day("stop_day")
    if stop is not None and stop < day:
        row.refuse(f"the course stops on day {stop:g}, before it starts on day {day:g}; correct day or stop_day")
    fractions, notes = _weekday_course(day, n, _dose(row), stop)
    events.fractions += fractions
    events.notes += notes


def _surgery(row: _Row, day: float, events: _Events) -> None:
    left = row.number("remaining_fraction", "write the part of the volume that was left, 0 to 1")
    if left is not None and not 0 <= left <= 1:
        row.refuse(
            f"remaining_fraction is {row.text('remaining_fraction')!r}; write the part that was left, 0 to 1 (no percent)"
        )
    if left:
        events.surgeries.append(Surgery(day, left))
        return
    events.resections.append(day)
    if left == 0:
        events.notes.append(
            f"the surgery of day {day:g} left nothing that was seen: what remained is taken as unknown, "
            "because it is never nothing"
        )


def _drug(row: _Row, day: float, events: _Events) -> None:
    stop = row.day("stop_day")
    if stop is not None and stop <= day:
        row.refuse(f"the drug stops on day {stop:g} and starts on day {day:g}; it must stop later")
    intensity = row.number("intensity", "write it relative to the standard dose, 0 or more")
    if intensity is not None and intensity < 0:
        row.refuse(f"intensity is {row.text('intensity')!r}; write it relative to the standard dose, 0 or more")
    events.drugs.append(DrugCourse(day, math.inf if stop is None else stop, 1.0 if intensity is None else intensity))


def _weekday_course(day: float, n: int, dose_gy: float, stop: float | None) -> tuple[list[Fraction], list[str]]:
    """Place the fractions of a course; its last day, where known, tells on which weekday it began."""
    courses = [Treatment.fractionated(day, n, dose_gy, start_weekday=w).fractions for w in range(5)]
    what = f"{n} fractions from day {day:g}"
    if stop is None:
        return list(courses[0]), [f"{what} are placed on weekdays, the first on a Monday"] if n > 1 else []
    for fractions in courses:
        if fractions[-1].day == stop:
            return list(fractions), []
    if n == 1:
        return list(courses[0]), [f"the one fraction is placed on day {day:g}, although its course ends on day {stop:g}"]
    days = np.round(np.linspace(day, stop, n))
    usual = " or ".join(f"{d:g}" for d in sorted({c[-1].day for c in courses}))
    note = f"{what} would end on day {usual} without a break, the table says {stop:g}: they are spread evenly"
    return [Fraction(float(d), dose_gy) for d in days], [note]


def _clinical_radiotherapy(row: _Row, events: _Events) -> None:
    start, stop = row.day("rt_start_day"), row.day("rt_end_day")
    n, total = row.count("rt_fractions"), row.number("rt_dose_gy", "write the dose of the whole course in Gy")
    if start is not None and stop is not None and stop < start:
        row.refuse(f"rt_end_day {stop:g} lies before rt_start_day {start:g}; correct one of them")
    if total is not None and total <= 0:
        row.refuse(f"rt_dose_gy is {row.text('rt_dose_gy')!r}; write the dose of the whole course in Gy, above 0")
    if total is not None and total / (n or 1) > _LARGEST_FRACTION_GY * (1 if n else 5):
        row.refuse(
            f"rt_dose_gy is {row.text('rt_dose_gy')!r} in {n or '?'} fractions; "
            "write the dose of the whole course in Gy, no cGy"
        )
    known = {"rt_start_day": start, "rt_fractions": n, "rt_dose_gy": total}
    if start is not None and n is not None and total is not None:
        fractions, notes = _weekday_course(start, n, total / n, stop)
        events.fractions += fractions
        events.notes += notes
    elif stop is not None or any(v is not None for v in known.values()):
        missing = ", ".join(name for name, value in known.items() if value is None)
        when = f" from day {start:g}" if start is not None else ""
        when += f" to day {stop:g}" if stop is not None else ""
        events.notes.append(f"radiotherapy{when} takes no part in any model: participants.tsv does not give {missing}")


def _clinical_drug(row: _Row, events: _Events) -> None:
    start, stop = row.day("chemo_start_day"), row.day("chemo_stop_day")
    if start is None:
        if stop is not None:
            events.notes.append(f"the drug that stopped on day {stop:g} takes no part in any model: chemo_start_day is missing")
        return
    if stop is not None and stop <= start:
        row.refuse(f"chemo_stop_day {stop:g} does not lie after chemo_start_day {start:g}; correct one of them")
    if stop is None:
        events.notes.append(f"the drug of day {start:g} is taken as going on: chemo_stop_day is missing")
    events.drugs.append(DrugCourse(start, math.inf if stop is None else stop))


def _is_biopsy(clinical: Mapping[str, str]) -> bool:
    return clinical.get("eor", "").strip().lower() == "biopsy"


def _with_assumed_resections(record: TreatmentRecord, patient: Patient) -> TreatmentRecord:
    surgeries = (*record.resections, *(s.day for s in record.treatment.surgeries))
    resections, notes = list(record.resections), list(record.notes)
    pairs = zip(patient.sessions[:-1], patient.sessions[1:], strict=True)
    for before, after in [(float(a.day), float(b.day)) for a, b in pairs if a.phase == "preop" and b.phase != "preop"]:
        between = [d for d in surgeries if before <= d <= after]
        exams = f"the phases of the exams of day {before:g} and {after:g}"
        if any(d == after for d in between):
            notes.append(f"surgery and an exam share day {after:g}: the exam is taken as before the surgery")
        if between:
            continue
        if _is_biopsy(patient.clinical):
            notes.append(f"no resection is assumed between {exams.removeprefix('the phases of ')}: the surgery was a biopsy")
            continue
        resections.append((before + after) / 2)
        notes.append(f"a resection of unknown extent on day {(before + after) / 2:g} is assumed from {exams}: none is recorded")
    return replace(record, resections=tuple(sorted(resections)), notes=tuple(notes))
