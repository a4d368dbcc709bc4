"""How volumes and treatment of many patients come from plain tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regrowth.errors import InputError, ParameterError
from regrowth.growth.cohort_model import CohortModel
from regrowth.growth.patient_series import PatientSeries
from regrowth.io.tables import read_json, read_tsv
from regrowth.io.treatment import read_treatments

__all__ = ["VolumeTable", "read_cohort_model", "read_volume_table"]

_LARGEST_DAY = 36525.0  # a hundred years: days of spreadsheets (since 1900) and dates written as numbers lie above
_EMPTY = ("", "n/a", "nan")


@dataclass(frozen=True, eq=False)
class VolumeTable:
    """A table of volumes, patient by patient, in the order of the table."""

    patients: tuple[PatientSeries, ...]
    synthetic: bool


def read_volume_table(table: str | Path, treatment: str | Path | None = None, *, column: str = "volume_ml") -> VolumeTable:
    """Read volumes, and treatment if there is a table of it.

    Parameters
    ----------
    table
        TSV with one row per exam: ``participant_id``, ``day`` and `column`.
    treatment
        TSV of `regrowth.io.treatment` with a column ``participant_id``.
    column
        Column of the volume, ml, such as ``CE_core_ml`` of a run's ``group/volumes.tsv``.

    Raises
    ------
    InputError
        If a table cannot be read, a column is missing, a day is a date, a volume is negative or no number, or the treatment
        belongs to none of the patients.
    """
    path = Path(table)
    rows = read_tsv(path)
    if not rows:
        raise ParameterError(f"{path}: there are no exams; it needs one row per exam")
    absent = [c for c in ("participant_id", "day", column) if c not in rows[0]]
    if absent:
        known = f"; columns of volumes are {', '.join(c for c in rows[0] if c.endswith('_ml')) or 'none'}"
        raise ParameterError(
            f"{path}: lacks the column(s) {', '.join(absent)}; it needs participant_id, day and {column}"
            + (known if column in absent else "")
        )
    found: dict[str, tuple[list[float], list[float]]] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{path}, row {number}"
        label = row["participant_id"].removeprefix("sub-")
        if label.lower() in _EMPTY:
            raise ParameterError(f"{where}: has no participant_id")
        day = _number(row, "day", where, "days from the first exam, not a date")
        volume = _number(row, column, where, "ml")
        if math.isnan(day) or abs(day) > _LARGEST_DAY:
            raise ParameterError(f"{where}: day is {row['day']!r}; write days from the first exam as a number, not a date")
        if volume < 0:
            raise ParameterError(f"{where}: {column} is {volume:g}; a volume is at least 0, n/a if it failed")
        days, volumes = found.setdefault(label, ([], []))
        days.append(day)
        volumes.append(volume)
    records = {} if treatment is None else read_treatments(Path(treatment))
    if records and not set(records) & set(found):
        raise ParameterError(f"{treatment}: names none of the patients of {path}; check participant_id in both")
    patients = [PatientSeries.from_exams(label, *exams, records.get(label)) for label, exams in found.items()]
    return VolumeTable(tuple(patients), any(r.get("synthetic", "").lower() in ("true", "1") for r in rows))


def read_cohort_model(path: str | Path) -> CohortModel:
    """Read what another cohort taught (`learn_growth`).

    Raises
    ------
    InputError
        If the file is no cohort model.
    """
    values = read_json(Path(path))
    try:
        return CohortModel.from_dict(values)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _number(row: Mapping[str, str], column: str, where: str, remedy: str) -> float:
    """Read a number; NaN where there is none."""
    text = row[column]
    if text.lower() in _EMPTY:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise ParameterError(f"{where}: {column} is {text!r}; write a number ({remedy}), or n/a")
    return value
