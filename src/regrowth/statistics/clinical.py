"""What the clinical table of a cohort says, checked: typed columns, or a refusal that names the cell and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from regrowth.errors import ParameterError
from regrowth.labels import SCHEMES, label_scheme
from regrowth.statistics.cells import event_column, is_missing, level_column, listed, number_column, text_of
from regrowth.statistics.durations import duration_column

__all__ = ["LEVELS", "ClinicalTable", "Matching", "match_ids", "read_clinical"]

LEVELS: Mapping[str, tuple[str, ...] | None] = {
    "sex": ("F", "M"),
    "mgmt": ("unmethylated", "methylated"),
    "idh": ("wildtype", "mutant"),
    "eor": ("STR", "GTR", "biopsy"),
    "laterality_primary": ("left", "right", "bilateral", "midline"),
    "location_primary": None,
    "location_recurrence": None,
    "pattern": ("local", "marginal", "distant", "multifocal", "undefined"),
}
"""Categories and their levels, the reference of a model first; None takes every text (the scheme names the classes)."""

_NUMBERS: Mapping[str, tuple[float, float, str]] = {  # least, largest, remedy
    "age": (0.1, 120.0, "the age is in years (not days, and not a year of birth): correct it or write n/a"),
    "primary_CE_core_ml": (0.0, 2000.0, "volumes are in ml (1 ml = 1000 mm³): convert it or write n/a"),
    "primary_NE_ml": (0.0, 2000.0, "volumes are in ml (1 ml = 1000 mm³): convert it or write n/a"),
    "ratio_CE_core_NE": (0.0, 1e4, "the ratio is the CE core over NE, at least 0: correct it or write n/a"),
    "migration_mm": (0.0, 300.0, "the distance is in mm: convert it or write n/a"),
}
_DURATIONS = {"os": "os_days", "ttp": "ttp_days", "recurrence": "recurrence_day"}
_EVENTS = ("os_event", "ttp_event")
_ROUNDED_MONTHS_DAYS = 16.0  # two times that were written in whole months may contradict each other by half a month


@dataclass(frozen=True, eq=False)
class ClinicalTable:
    """A cohort's clinical data, one entry per patient.

    Parameters
    ----------
    participants
        Names, each once.
    numbers
        Column to (n,) float64, NaN where missing: age (years), os_days, ttp_days, recurrence_day, volumes (ml),
        ratio_CE_core_NE, migration_mm, and the events os_event and ttp_event (0, 1).
    levels
        Column to (n,) of str, empty where missing.
    ratio_reasons
        Per patient, why there is no ratio; empty where there is one.
    notes
        What was converted, derived or left unread.
    """

    participants: tuple[str, ...]
    numbers: Mapping[str, np.ndarray]
    levels: Mapping[str, np.ndarray]
    ratio_reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.participants)

    def has(self, *names: str) -> bool:
        """Tell whether all columns exist and hold at least one value each."""
        return all((n in self.numbers or n in self.levels) and not self.missing(n).all() for n in names)

    def missing(self, name: str) -> np.ndarray:
        """Give (n,) bool: where a column has no value; everywhere if the column does not exist."""
        if name in self.numbers:
            return np.isnan(self.numbers[name])
        if name in self.levels:
            return np.asarray(self.levels[name] == "", dtype=bool)
        return np.ones(len(self), dtype=bool)

    def number(self, name: str) -> np.ndarray:
        """Give a column of numbers (n,), NaN where missing; all NaN if it does not exist."""
        return self.numbers.get(name, np.full(len(self), np.nan))

    def level(self, name: str) -> np.ndarray:
        """Give a column of categories (n,) of str, empty where missing; all empty if it does not exist."""
        return self.levels.get(name, np.full(len(self), "", dtype=object))

    def endpoint(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the times and events of an endpoint, ``os`` or ``ttp``.

        Returns
        -------
        time : numpy.ndarray
            (n,) days, NaN where not usable.
        event : numpy.ndarray
            (n,) bool, False where not usable.
        known : numpy.ndarray
            (n,) bool: both the time and the event are given.
        """
        time, event = self.number(f"{name}_days"), self.number(f"{name}_event")
        known = ~np.isnan(time) & ~np.isnan(event)
        return np.where(known, time, np.nan), known & (event == 1), known

    def take(self, rows: np.ndarray) -> ClinicalTable:
        """Give the patients of an index or a mask."""
        index = np.arange(len(self))[rows]
        return ClinicalTable(
            participants=tuple(self.participants[i] for i in index),
            numbers={k: v[index] for k, v in self.numbers.items()},
            levels={k: v[index] for k, v in self.levels.items()},
            ratio_reasons=tuple(self.ratio_reasons[i] for i in index) if self.ratio_reasons else (),
            notes=self.notes,
        )


@dataclass(frozen=True)
class Matching:
    """Which participants two tables share.

    Parameters
    ----------
    both, only_first, only_second
        Sorted names without ``sub-``.
    message
        The unmatched by name, in words; empty if there are none.
    """

    both: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    message: str


def match_ids(first: Iterable[str], second: Iterable[str], names: tuple[str, str] = ("images", "clinical table")) -> Matching:
    """Compare the participants of two tables; ``sub-01`` and ``01`` are the same.

    Parameters
    ----------
    first, second
        Names of participants.
    names
        What the two tables are called in the message.
    """
    a, b = ({i.strip().removeprefix("sub-") for i in ids} for ids in (first, second))
    only_a, only_b = sorted(a - b), sorted(b - a)
    parts = [
        f"in the {here} but not in the {there}: {', '.join(ids)}"
        for ids, here, there in ((only_a, *names), (only_b, *names[::-1]))
        if ids
    ]
    return Matching(tuple(sorted(a & b)), tuple(only_a), tuple(only_b), "; ".join(parts))


def read_clinical(
    rows: Sequence[Mapping[str, object]],
    *,
    required: Sequence[str] = ("os_days", "os_event"),
    check_units: bool = True,
    where: str = "clinical table",
) -> ClinicalTable:
    """Read and check the clinical rows of a cohort.

    Times may stand in ``os_months`` and ``ttp_months`` instead of days (30.4375 days a month). Events are 0, 1, true or
    false. The ratio is computed from the volumes where it is not given; it is missing, with a reason, where NE is 0 or
    where the column ``label_scheme`` names a scheme that does not label necrosis.

    Parameters
    ----------
    rows
        One mapping of column to text per patient, as from a TSV; ``n/a`` and empty cells are missing, None and NaN too.
    required
        Columns that must exist besides ``participant_id``.
    check_units
        Refuse columns of days that look like months and the other way round.
    where
        Name of the file, for the messages.

    Raises
    ------
    ParameterError
        If the table is empty, lacks a required column, repeats a participant, or a cell is not what its column should hold:
        events that are not 0 or 1, times that are not above 0 or beyond 30 years or look like another unit, implausible
        ages, unknown levels, a progression or an exam after death. The message names the column, the participant and the
        remedy.
    """
    try:
        return _read(rows, required, check_units)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from error


def _read(rows: Sequence[Mapping[str, object]], required: Sequence[str], check_units: bool) -> ClinicalTable:
    if not rows:
        raise ParameterError("there are no patients; it needs one row per patient")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [text_of(row.get(name)) for row in rows] for name in names}
    _require(columns, required)
    ids = _participants(columns["participant_id"])
    numbers: dict[str, np.ndarray] = {}
    notes: list[str] = []
    used = {"participant_id", "label_scheme", "synthetic"}
    for stem, column in _DURATIONS.items():
        given = {f"{stem}_days", f"{stem}_day", f"{stem}_months"} & set(columns)
        if given:
            numbers[column], note = duration_column(stem, columns, ids, check_units=check_units)
            notes += [note] if note else []
            used |= given
    for name in (n for n in _EVENTS if n in columns):
        numbers[name] = event_column(name, columns[name], ids)
    for name in (n for n in _NUMBERS if n in columns):
        numbers[name] = number_column(name, columns[name], ids, *_NUMBERS[name])
    levels = {n: level_column(n, columns[n], allowed, ids) for n, allowed in LEVELS.items() if n in columns}
    slack = _ROUNDED_MONTHS_DAYS if any("converted" in n for n in notes) else 0.0
    notes += _check_order(numbers, ids, slack)
    reasons = _ratio(numbers, columns.get("label_scheme", [""] * len(ids)), ids, notes)
    unread = sorted(set(columns) - used - set(numbers) - set(levels))
    if unread:
        notes.append(f"column(s) not used: {listed(unread)}")
    return ClinicalTable(tuple(ids), numbers, levels, reasons, tuple(notes))


def _require(columns: Mapping[str, Sequence[str]], required: Sequence[str]) -> None:
    absent = [n for n in ("participant_id", *required) if n not in columns and n.replace("_days", "_months") not in columns]
    if absent:
        raise ParameterError(
            f"lacks the column(s) {', '.join(absent)} (it has {listed(list(columns), 20)}); add them, with n/a where a value "
            "is not known; times may stand in *_months instead of *_days"
        )


def _participants(cells: Sequence[str]) -> list[str]:
    nameless = [str(n) for n, cell in enumerate(cells, start=1) if is_missing(cell)]
    if nameless:
        raise ParameterError(f"column participant_id is empty in row(s) {listed(nameless)}; name every patient")
    plain = [c.removeprefix("sub-") for c in cells]
    twice = sorted({c for c in plain if plain.count(c) > 1})
    if twice:
        raise ParameterError(
            f"column participant_id holds {listed(twice)} more than once; it needs one row per patient: merge the rows"
        )
    return list(cells)


def _check_order(numbers: Mapping[str, np.ndarray], ids: Sequence[str], slack_days: float) -> list[str]:
    nothing = np.full(len(ids), np.nan)
    os_days, os_event, ttp, ttp_event, exam = (
        numbers.get(n, nothing) for n in ("os_days", "os_event", "ttp_days", "ttp_event", "recurrence_day")
    )
    for late, column, what in (
        ((ttp > os_days + slack_days) & (ttp_event == 1), "ttp_days", "progression"),
        ((exam > os_days + slack_days) & (os_event == 1), "recurrence_day", "the exam of the recurrence"),
    ):
        if late.any():
            who = [f"{i} ({a:g} > {b:g})" for i, a, b, bad in zip(ids, numbers[column], os_days, late, strict=True) if bad]
            raise ParameterError(
                f"column {column}: {what} comes after the end of the observation for {listed(who)} ({column} > os_days); "
                "correct the dates, or the events"
            )
    notes = []
    later = (ttp > os_days + slack_days) & (ttp_event == 0)
    if later.any():
        notes.append(
            f"{later.sum()} patient(s) were free of progression for longer than they were observed (ttp_days > os_days): "
            + listed([i for i, bad in zip(ids, later, strict=True) if bad])
        )
    for n in ("os", "ttp"):
        unpaired = np.isnan(numbers.get(f"{n}_days", nothing)) != np.isnan(numbers.get(f"{n}_event", nothing))
        if unpaired.any():
            notes.append(
                f"{n}: {unpaired.sum()} patient(s) with a time but no event, or the other way round, are left out of it"
            )
    return notes


def _ratio(numbers: dict[str, np.ndarray], schemes: Sequence[str], ids: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    nothing = np.full(len(ids), np.nan)
    core, oedema = (numbers.get(n, nothing) for n in ("primary_CE_core_ml", "primary_NE_ml"))
    ratio, reasons = numbers.get("ratio_CE_core_NE", nothing).copy(), [""] * len(ids)
    derived = 0
    for row, scheme in enumerate(schemes):
        if not is_missing(scheme) and scheme not in SCHEMES:
            raise ParameterError(f"column label_scheme, {ids[row]}: {scheme!r} is unknown; known are {', '.join(SCHEMES)}")
        if not is_missing(scheme) and not {"CE_core", "NE"} <= set(label_scheme(scheme).regions):
            ratio[row], reasons[row] = np.nan, f"the label scheme {scheme} cannot tell the CE core (with necrosis) from NE"
        elif oedema[row] == 0:
            ratio[row], reasons[row] = np.nan, "the NE volume is 0: the ratio is undefined"
        elif np.isnan(ratio[row]) and not np.isnan(core[row] / oedema[row]):
            ratio[row] = core[row] / oedema[row]
            derived += 1
        elif np.isnan(ratio[row]):
            reasons[row] = "not given"
        elif abs(core[row] / oedema[row] - ratio[row]) > 0.02 * ratio[row] + 1e-3:
            raise ParameterError(
                f"column ratio_CE_core_NE, {ids[row]}: {ratio[row]:g} is not {core[row]:g} ml / {oedema[row]:g} ml = "
                f"{core[row] / oedema[row]:.4g}; correct it, or leave the ratio out to have it computed"
            )
    if derived:
        notes.append(f"ratio_CE_core_NE was computed from the volumes for {derived} patient(s)")
    if not np.isnan(ratio).all() or "ratio_CE_core_NE" in numbers:
        numbers["ratio_CE_core_NE"] = ratio
    return tuple(reasons)
