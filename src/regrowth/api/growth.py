"""Growth in time on plain tables: fit growth laws, forecast a cohort, learn from it for another, make one up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.api import growth_files as files
from regrowth.api.growth_columns import GROWTH_COLUMNS, growth_dictionary
from regrowth.api.growth_volumes import read_cohort_model, read_volume_table
from regrowth.errors import ParameterError
from regrowth.growth.cohort_forecast import forecast_cohort, learn_cohort_model
from regrowth.growth.cohort_results import COLUMNS, CohortForecast
from regrowth.growth.fit import GrowthFit, ParameterPrior, fit_growth
from regrowth.growth.models import GrowthModel, growth_model
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.patient_series import PatientSeries, usable_series
from regrowth.growth.posterior import sample_posterior
from regrowth.io.tables import write_json, write_tsv
from regrowth.report import Section

__all__ = ["fit_growth_table", "forecast_growth_table", "learn_growth", "synthesise_growth"]

Rows = list[dict[str, Any]]
_MOST_PATIENTS = 12  # with a section of their own on the page


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
    if volumes.synthetic:
        rows = [{**row, "synthetic": True} for row in rows]
    out = Path(out)
    write_tsv(rows, out)
    write_json(growth_dictionary({out.stem: rows}), out.with_suffix(".json"))
    return rows


def _fit_rows(patient: PatientSeries, model: GrowthModel, prior: ParameterPrior | None, settings: GrowthParameters) -> Rows:
    head: dict[str, Any] = {"participant_id": f"sub-{patient.label}", "model": model.name}
    keys = ("n_scans", "first_day", "last_day", "parameter", "map_value", "posterior_median", "posterior_sd_log")
    empty = dict.fromkeys((*keys, "posterior_effective_n", "misfit_log"))
    use = usable_series(patient)
    notes = [*patient.record.notes, *patient.notes]
    if use.series is None or patient.series is None:
        reason = "; ".join(r for r in (use.reason, *notes) if r)
        return [{**head, "status": use.status, "reason": reason, **empty}]
    series, left_out = use.series, len(patient.series) - len(use.series)
    treatment = patient.record.treatment
    if prior is not None:  # what the other patients taught holds under what their models were told
        treatment, notes = use.treatment, list(use.notes)
    elif left_out:
        day = max(patient.record.resections)
        notes.append(f"{left_out} exam(s) up to the resection of day {day:g} are left out: what it left is unknown")
    fit = fit_growth(series, model, treatment, prior)
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


def forecast_growth_table(
    table: str | Path,
    out_dir: str | Path,
    *,
    treatment: str | Path | None = None,
    column: str = "volume_ml",
    **parameters: Any,
) -> dict[str, Rows]:
    """Forecast the volumes of all patients of a table, and judge the forecasts by the scans that are known.

    Parameters
    ----------
    table, treatment, column
        As in `fit_growth_table`.
    out_dir
        Folder for the tables, their dictionary, figures, ``model.json`` (what was learned, for other cohorts) and
        ``forecast.html``, made if absent.
    **parameters
        Fields of `regrowth.growth.parameters.GrowthParameters`: ``models``, ``horizon_days``, ``coverage``, ``folds``,
        ``draws``, ``progression_share``, ``cohort_model``, ``seed``.

    Returns
    -------
    dict
        Name of the table to its rows: ``forecast`` (every day), ``patients`` (at the horizon), ``parameters``, ``choice``,
        ``scores``, ``scorecard``, ``comparisons``, ``notes``. Those without rows are absent.

    Raises
    ------
    InputError
        If a table cannot be read (`read_volume_table`) or the cohort model is none.
    """
    settings = GrowthParameters(**parameters)
    external = read_cohort_model(settings.cohort_model) if settings.cohort_model else None
    volumes = read_volume_table(table, treatment, column=column)
    found = forecast_cohort(volumes.patients, settings, external=external, source=_source(table, len(volumes.patients)))
    card = found.card
    own: dict[str, Rows] = {
        "forecast": found.forecast_rows(),
        "patients": found.patient_rows(),
        "parameters": found.parameter_rows(),
        "choice": found.choice_rows(),
        "scores": found.score_rows(),
    }
    cards: dict[str, Rows] = {
        "scorecard": card.summary_rows() if card else [],
        "comparisons": card.comparison_rows() if card else [],
        "notes": [{"note": note} for note in found.notes],
    }
    own, cards = ({name: rows for name, rows in tables.items() if rows} for tables in (own, cards))
    if volumes.synthetic:
        own = {name: [{**row, "synthetic": True} for row in rows] for name, rows in own.items()}
    told = {name: (str(e.get("Description", "")), str(e.get("Units", ""))) for name, e in COLUMNS.items()}
    dictionary = growth_dictionary(own, {**GROWTH_COLUMNS, **told}) | growth_dictionary(cards)
    sections = _sections(found, volumes.synthetic)
    title = f"Growth forecasts of {Path(table).name}"
    out = Path(out_dir)
    files.write_results(out, title, {**own, **cards}, dictionary, sections, "forecast.html", synthetic=volumes.synthetic)
    if found.model is not None:
        write_json(_marked(found.model.as_dict(), volumes.synthetic and external is None), out / "model.json")
    return {**own, **cards}


def learn_growth(
    table: str | Path,
    out: str | Path,
    *,
    treatment: str | Path | None = None,
    column: str = "volume_ml",
    **parameters: Any,
) -> dict[str, Any]:
    """Learn priors, calibrated intervals and the choice of a forecaster from one cohort, to be used for another.

    Parameters
    ----------
    table, treatment, column
        As in `fit_growth_table`.
    out
        JSON file to write; pass it as ``cohort_model`` to `forecast_growth_table` or to a run.
    **parameters
        As in `forecast_growth_table`.

    Returns
    -------
    dict
        What was learned, as in the file.

    Raises
    ------
    InputError
        If a table cannot be read, or no patient has two usable scans.
    """
    settings = GrowthParameters(**parameters)
    if settings.cohort_model:
        raise ParameterError("learning takes no cohort model: it makes one; leave cohort_model out")
    volumes = read_volume_table(table, treatment, column=column)
    try:
        model = learn_cohort_model(volumes.patients, settings, source=_source(table, len(volumes.patients)))
    except ParameterError as error:
        raise ParameterError(f"{table}: {error}") from error
    values = _marked(model.as_dict(), volumes.synthetic)
    write_json(values, Path(out))
    return values


def synthesise_growth(out: str | Path, patients: int = 60, seed: int = 0) -> dict[str, Any]:
    """Write the volumes of a synthetic cohort with known growth, the table of its treatment, and the truth.

    Parameters
    ----------
    out
        TSV of volumes to write; the treatment goes to ``<name>_treatment.tsv``, the truth to ``<name>.json``.
    patients, seed
        How many, and the seed.

    Returns
    -------
    dict
        The truth.
    """
    from regrowth.phantom.series import synthetic_series

    if patients < 1 or seed < 0:
        raise ParameterError(f"a cohort has at least 1 patient and a seed of at least 0, not {patients} and {seed}")
    made = synthetic_series(patients, np.random.default_rng(seed))
    path = Path(out)
    write_tsv([{**row, "synthetic": True} for row in made.volumes], path)
    write_tsv([{**row, "synthetic": True} for row in made.treatment], path.with_name(f"{path.stem}_treatment.tsv"))
    truth: dict[str, Any] = {"Synthetic": True, "seed": seed, "patients": [dict(row) for row in made.truth]}
    write_json(truth, path.with_suffix(".json"))
    return truth


def _source(table: str | Path, n: int) -> str:
    return f"{n} patients of {Path(table).name}"


def _marked(values: dict[str, Any], synthetic: bool) -> dict[str, Any]:
    """Say in words that a model was learned from made-up data."""
    return {**values, "source": f"synthetic data: {values['source']}"} if synthetic else values


def _sections(found: CohortForecast, synthetic: bool) -> list[Section]:
    """The cohort first, then single patients, whose figures get names of their own."""
    from regrowth.workflow.pages.forecast import forecast_section, forecast_sections

    out = list(forecast_sections(found, synthetic=synthetic))
    told = [p for p in found.patients if p.forecasts]
    for number, patient in enumerate(told[:_MOST_PATIENTS], start=1):
        section = forecast_section(patient, synthetic=synthetic)
        name = f"patient_{number:02}_{re.sub('[^A-Za-z0-9_-]', '_', patient.label)}"
        figures = tuple(replace(f, name=f"{name}_{f.name}") for f in section.figures)
        out.append(replace(section, title=f"sub-{patient.label}", anchor=f"patient-{number}", figures=figures))
    if len(told) > _MOST_PATIENTS:
        more = len(told) - _MOST_PATIENTS
        text = f"{more} further patients have no part of their own here; their forecasts stand in forecast.tsv."
        out.append(Section("Further patients", "further", text))
    return out
