"""Growth in time on plain tables: fit growth laws to series of volumes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.api.growth_columns import growth_dictionary
from regrowth.errors import InputError, ParameterError
from regrowth.growth.cohort_model import CohortModel
from regrowth.growth.fit import GrowthFit, ParameterPrior, fit_growth
from regrowth.growth.models import GrowthModel, growth_model
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.posterior import sample_posterior
from regrowth.growth.record import TreatmentRecord
from regrowth.growth.series import VolumeSeries
from regrowth.io.tables import read_json, read_tsv, write_json, write_tsv
from regrowth.io.treatment import read_treatments

__all__ = ["PatientTable", "VolumeTable", "fit_growth_table", "read_cohort_model", "read_volume_table"]

Rows = list[dict[str, Any]]
_LARGEST_DAY = 36525.0  # a hundred years: days of spreadsheets (since 1900) and dates written as numbers lie above
_EMPTY = ("", "n/a", "nan")


@dataclass(frozen=True, eq=False)
class PatientTable:
    """Rows of one patient: what was measured and what was done.

    Parameters
    ----------
    label
        Name without ``sub-``.
    days, volumes_ml
        (n,) in the order of the table; exams without a volume are left out.
    record
        Treatment.
    notes
        What was left out.
    """

    label: str
    days: tuple[float, ...]
    volumes_ml: tuple[float, ...]
    record: TreatmentRecord
    notes: tuple[str, ...]

    @property
    def problem(self) -> tuple[str, str]:
        """Why no series can be made of it, as status and reason; both empty when it can."""
        if not self.days:
            return "no_volume", "no exam has a volume"
        same = sorted({day for day in self.days if self.days.count(day) > 1})
        if same:
            return "equal_days", f"two exams are on day {same[0]:g}; keep one of them or give their mean volume"
        return "", ""

    def series(self) -> VolumeSeries:
        """Make the series; raises `ParameterError` where `problem` names one."""
        return VolumeSeries(np.array(self.days), np.array(self.volumes_ml), self.label)


@dataclass(frozen=True, eq=False)
class VolumeTable:
    """A table of volumes, patient by patient, in the order of the table."""

    patients: tuple[PatientTable, ...]
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
    found: dict[str, list[tuple[float, float]]] = {}
    missing: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        label = row["participant_id"].removeprefix("sub-")
        if label.lower() in _EMPTY:
            raise ParameterError(f"{path}, row {number}: has no participant_id")
        exams = found.setdefault(label, [])
        day = _number(row, "day", f"{path}, row {number}", "days from the first exam, not a date")
        volume = _number(row, column, f"{path}, row {number}", "ml")
        if math.isnan(day) or abs(day) > _LARGEST_DAY:
            raise ParameterError(
                f"{path}, row {number}: day is {row['day']!r}; write days from the first exam as a number, not a date"
            )
        if volume < 0:
            raise ParameterError(f"{path}, row {number}: {column} is {volume:g}; a volume is at least 0, n/a if it failed")
        if math.isnan(volume):
            missing[label] = missing.get(label, 0) + 1
        else:
            exams.append((day, volume))
    records = {} if treatment is None else read_treatments(Path(treatment))
    if records and not set(records) & set(found):
        raise ParameterError(f"{treatment}: names none of the patients of {path}; check participant_id in both")
    patients = []
    for label, exams in found.items():
        left_out = missing.get(label, 0)
        notes = (f"{left_out} exam(s) without a volume are left out",) if left_out else ()
        days, volumes = (tuple(values) for values in zip(*exams, strict=True)) if exams else ((), ())
        patients.append(PatientTable(label, days, volumes, records.get(label, TreatmentRecord()), notes))
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


def fit_growth_table(
    table: str | Path,
    out: str | Path,
    *,
    treatment: str | Path | None = None,
    column: str = "volume_ml",
    **parameters: Any,
) -> Rows:
    """Fit growth laws to every patient: the most probable parameters, and how far the draws of the posterior spread.

    That spread rests on the patient's own scans and the model's assumptions; it is no calibrated interval. How well a law
    foretells, beside simple forecasts, says `forecast_growth_table`.

    Parameters
    ----------
    table
        TSV with one row per exam: ``participant_id``, ``day`` and `column`.
    out
        TSV to write, one row per patient, law and parameter; a JSON file of the same name describes the columns.
    treatment
        TSV of treatment with ``participant_id``; see `regrowth.io.treatment`.
    column
        Column of the volume, ml.
    **parameters
        Fields of `regrowth.growth.parameters.GrowthParameters`: ``models``, ``draws``, ``seed``, ``cohort_model`` (whose priors
        allow a fit to one exam).

    Returns
    -------
    list of dict
        The rows; a patient who cannot be fitted has one per law with a status and a reason.

    Raises
    ------
    InputError
        As `read_volume_table`.
    """
    settings = GrowthParameters(**parameters)
    models = [growth_model(name) for name in settings.model_names]
    priors: Mapping[str, ParameterPrior] = {}
    if settings.cohort_model:
        priors = read_cohort_model(settings.cohort_model).priors
        absent = [m.name for m in models if m.name not in priors]
        if absent:
            raise ParameterError(f"{settings.cohort_model}: has no prior of {', '.join(absent)}; it knows {', '.join(priors)}")
    volumes = read_volume_table(table, treatment, column=column)
    rows: Rows = []
    for patient in volumes.patients:
        for model in models:
            rows += _fit_rows(patient, model, priors.get(model.name), settings)
    rows = [{**row, "synthetic": True} for row in rows] if volumes.synthetic else rows
    out = Path(out)
    write_tsv(rows, out)
    write_json(growth_dictionary({out.stem: rows}), out.with_suffix(".json"))
    return rows


def _fit_rows(patient: PatientTable, model: GrowthModel, prior: ParameterPrior | None, settings: GrowthParameters) -> Rows:
    head: dict[str, Any] = {"participant_id": patient.label, "model": model.name}
    keys = ("n_scans", "first_day", "last_day", "parameter", "map_value", "posterior_median", "posterior_sd_log")
    empty = dict.fromkeys((*keys, "posterior_effective_n", "misfit_log"))
    notes = [*patient.notes, *patient.record.notes]
    status, reason = patient.problem
    if status:
        return [{**head, "status": status, "reason": "; ".join([reason, *notes]), **empty}]
    series = patient.series()
    last_cut = max(patient.record.resections, default=-math.inf)
    kept = series.days > last_cut
    if not kept.all():
        notes.append(
            f"{int((~kept).sum())} exam(s) up to the resection of day {last_cut:g} are left out: what it left is unknown"
        )
    if not kept.any():
        reason = f"no exam lies after the resection of day {last_cut:g}"
        return [{**head, "status": "no_scan", "reason": "; ".join([reason, *notes]), **empty}]
    series = VolumeSeries(series.days[kept], series.volumes_ml[kept], patient.label)
    fit = fit_growth(series, model, patient.record.treatment, prior)
    reasons = "; ".join(r for r in (fit.reason, *notes) if r)
    head |= {"status": fit.status, "reason": reasons, "n_scans": len(series)}
    head |= {"first_day": float(series.days[0]), "last_day": series.last_day}
    if fit.status != "ok":
        return [{**empty, **head}]
    return [{**head, **row} for row in _parameter_rows(fit, patient.label, settings)]


def _parameter_rows(fit: GrowthFit, label: str, settings: GrowthParameters) -> Rows:
    rng = np.random.default_rng([settings.seed, *label.encode()])
    samples = sample_posterior(fit, rng, settings.draws)
    scale = np.where(fit.model.is_volume, np.log(fit.first_volume_ml), 0.0)
    draws = samples.log_parameters + scale
    misfit = fit.log_misfit(fit.map_log[None])[0]
    rest = {
        "posterior_effective_n": samples.effective_n,
        "misfit_log": float(np.sqrt(np.mean(misfit[fit.series.volumes_ml > 0] ** 2))),
    }
    return [
        {"parameter": name, "map_value": value, "posterior_median": float(np.exp(np.median(draws[:, n])))}
        | {"posterior_sd_log": float(draws[:, n].std()), **rest}
        for n, (name, value) in enumerate(fit.parameters.items())
    ]


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
