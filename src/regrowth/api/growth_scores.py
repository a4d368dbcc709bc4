"""Whose growth model is worth what: score cards of plain tables and of predictions in the layout of PREDICT-GBM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from regrowth.api import growth_files as files
from regrowth.api.growth_columns import growth_dictionary, growth_table
from regrowth.errors import InputError, ParameterError
from regrowth.growth.case_scores import CaseScore, Stratum, score_plan
from regrowth.growth.coverage import compare_plans, coverage_curve
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.plan import margin_scores, model_plan, standard_plan
from regrowth.growth.scorecard import ScoreCard, score_card
from regrowth.growth.scores import average_precision
from regrowth.growth.spatial_case import SPATIAL_BASELINES, ranked_scores
from regrowth.io.nifti import read_image
from regrowth.io.predictgbm import (
    ContainerCase,
    DatasetCase,
    prediction_path,
    read_container_case,
    read_dataset_case,
    write_container_prediction,
)
from regrowth.io.tables import read_tsv, write_json
from regrowth.report import Section
from regrowth.space import Image, require_same_grid, resample_image

__all__ = ["run_growth_container", "score_growth"]

Rows = list[dict[str, Any]]
Recurrence = Literal["enhancing", "any"]
_REGIONS = {"enhancing": "ET", "any": "WT"}
_BASELINES = (*SPATIAL_BASELINES, "log_linear", "common_growth")


def score_growth(
    source: str | Path,
    out_dir: str | Path,
    *,
    baselines: Sequence[str] = (),
    predict_gbm: bool = False,
    predictions: str | Path | None = None,
    recurrence: Recurrence = "enhancing",
    **parameters: Any,
) -> dict[str, Rows]:
    """Put growth models beside baselines: mean, median and paired differences with intervals, in words too.

    Parameters
    ----------
    source
        TSV with one row per patient, model and measure: ``participant_id``, ``model``, ``measure`` (a name of
        `regrowth.growth.case_scores.MEASURES`), ``value`` and, if known, ``stratum`` and ``reason``. With `predict_gbm` the
        folder of the PREDICT-GBM data set, or of one cohort or patient of it.
    out_dir
        Folder for the tables, their dictionary, figures and ``scores.html``, made if absent.
    baselines
        Names of the models that are baselines; the known ones among the models when left out.
    predict_gbm
        Score predictions of tumour cell density by the plans that they lead to: coverage of the recurrence by a plan of the
        volume of the margin, volume for 95 %, average precision by rank.
    predictions
        Folder with ``<patient>/.../growth_models/<model>/<model>_pred.nii.gz`` or ``<model>/<patient>.nii.gz``; that of the
        data set itself when left out.
    recurrence
        Whether enhancing tumour alone is the recurrence, or all of it.
    **parameters
        Fields of `regrowth.growth.parameters.GrowthParameters`: ``margin_mm``, ``seed``.

    Returns
    -------
    dict
        Name of the table to its rows.

    Raises
    ------
    InputError
        If a file cannot be read, a value is given twice, a measure is unknown, or no model is a baseline.
    """
    settings = GrowthParameters(**parameters)
    if predict_gbm:
        scores, synthetic = _predict_gbm_scores(Path(source), predictions, recurrence, settings.margin_mm), False
        baselines = tuple(baselines) or (f"{settings.margin_mm:g} mm margin",)
    else:
        if predictions is not None:
            raise ParameterError("predictions are scored with predict_gbm only (--predict-gbm)")
        scores, synthetic = _table_scores(Path(source))
    models = list(dict.fromkeys(s.model for s in scores))
    chosen = tuple(baselines) or tuple(b for b in _BASELINES if b in models)
    if not chosen:
        raise ParameterError(
            f"{source}: no model is a known baseline ({', '.join(models)}); name the baselines with --baselines, "
            "a model is worth what it adds to one"
        )
    try:
        card = score_card(scores, chosen, np.random.default_rng(settings.seed))
    except InputError as error:
        raise type(error)(f"{source}: {error}") from error
    tables: dict[str, Rows] = {"scorecard": card.summary_rows(), "comparisons": card.comparison_rows()}
    plans = _plan_rows(scores, chosen, settings.seed)
    tables |= {"plan_comparisons": plans} if plans else {}
    if predict_gbm:
        tables["scores"] = [
            {"participant_id": s.patient, "model": s.model, "measure": s.measure, "stratum": s.stratum}
            | {"value": s.value, "reason": s.reason}
            for s in scores
        ]
    sections = _sections(card, tables, chosen, synthetic)
    title = f"Scores of {Path(source).name}"
    files.write_results(Path(out_dir), title, tables, growth_dictionary(tables), sections, "scores.html", synthetic=synthetic)
    return tables


def _table_scores(path: Path) -> tuple[list[CaseScore], bool]:
    rows = read_tsv(path)
    if not rows:
        raise ParameterError(f"{path}: there are no scores; it needs one row per patient, model and measure")
    absent = [c for c in ("participant_id", "model", "measure", "value") if c not in rows[0]]
    if absent:
        raise ParameterError(
            f"{path}: lacks the column(s) {', '.join(absent)}; it needs one row per patient, model and measure"
        )
    scores = []
    for number, row in enumerate(rows, start=2):
        text = row["value"]
        try:
            value = np.nan if text.lower() in ("", "n/a", "nan") else float(text)
        except ValueError:
            value = np.inf
        if np.isinf(value):
            raise ParameterError(f"{path}, row {number}: value is {text!r}; write a number, or n/a where there is none")
        stratum: Any = row.get("stratum", "unknown")
        stratum = "unknown" if stratum in ("", "n/a") else stratum
        if stratum not in get_args(Stratum):
            raise ParameterError(f"{path}, row {number}: stratum is {stratum!r}; known are {', '.join(get_args(Stratum))}")
        reason = row.get("reason", "")
        label = row["participant_id"].removeprefix("sub-")
        scores.append(CaseScore(label, row["model"], row["measure"], value, stratum, "" if reason == "n/a" else reason))
    return scores, any(row.get("synthetic", "").lower() in ("true", "1") for row in rows)


def _plan_rows(scores: Sequence[CaseScore], baselines: Sequence[str], seed: int) -> Rows:
    """Compare coverages with what a mean hides: recurrences wholly inside both plans, patients without a value."""
    coverage = {(s.patient, s.model): s.value for s in scores if s.measure == "coverage"}
    patients = list(dict.fromkeys(patient for patient, _ in coverage))
    models = list(dict.fromkeys(model for _, model in coverage))
    rows: Rows = []
    for model, baseline in [(m, b) for b in baselines for m in models if m not in baselines and b in models]:
        first, second = ([coverage.get((p, name), np.nan) for p in patients] for name in (model, baseline))
        found = compare_plans(first, second, np.random.default_rng(seed), (model, baseline))
        row = {"model": model, "baseline": baseline, "n": found.n, "mean_model": found.first.value}
        row |= {"mean_baseline": found.second.value, "difference": found.difference.value}
        row |= {"difference_low": found.difference.low, "difference_high": found.difference.high}
        row |= {"difference_below_ceiling": found.difference_below_ceiling.value, "p_signed_rank": found.p_signed_rank}
        counts = ("n_better", "n_worse", "n_tied", "n_ceiling", "n_floor", "n_empty", "n_incomplete")
        rows.append(row | {c: getattr(found, c) for c in counts} | {"verdict": found.verdict})
    return rows


def _sections(card: ScoreCard, tables: Mapping[str, Rows], baselines: Sequence[str], synthetic: bool) -> list[Section]:
    from regrowth.report.figures.scorecard import score_figure

    measures = list(dict.fromkeys(s.measure for s in card.summaries if s.n > 0))
    figures = []
    if measures:
        figures.append(score_figure(card, measures=measures, name="scores", title="Score card", synthetic=synthetic))
    told = [c.verdict for c in card.comparisons if c.stratum == "all" and c.model not in baselines]
    text = "\n\n".join(
        [
            f"Baselines: {', '.join(baselines)}. Intervals are 95 % bootstrap intervals over patients, not adjusted for their "
            "number.",
            *told,
        ]
    )
    shown = ("model", "baseline", "measure", "stratum", "n", "difference", "difference_low", "difference_high", "outcome")
    parts = [
        growth_table("Models", tables["scorecard"]),
        growth_table("Against the baselines", tables["comparisons"], shown),
    ]
    if "plan_comparisons" in tables:
        parts.append(growth_table("Plans", tables["plan_comparisons"]))
    return [Section("Score card", "scores", text, figures=tuple(figures), tables=tuple(parts))]


def _predict_gbm_scores(
    folder: Path, predictions: str | Path | None, recurrence: Recurrence, margin_mm: float
) -> list[CaseScore]:
    if recurrence not in _REGIONS:
        raise ParameterError(f"the recurrence is enhancing or any, not {recurrence!r}")
    patients = sorted({p.parent for p in folder.rglob("tumor_seg.nii.gz")})
    if not patients:
        raise InputError(f"{folder}: holds no patient of the PREDICT-GBM data set (no tumor_seg.nii.gz); correct the path")
    twice = sorted({p.name for p in patients if sum(q.name == p.name for q in patients) > 1})
    if twice:
        raise InputError(
            f"{folder}: the patient(s) {', '.join(twice)} stand in more than one cohort; score one cohort at a time"
        )
    where = {p: p if predictions is None else Path(predictions) for p in patients}
    found = {p: dict(_predictions(root, p.name)) for p, root in where.items()}
    models = sorted({model for one in found.values() for model in one})
    if not models:
        raise InputError(
            f"{predictions or folder}: holds no predictions, growth_models/<model>/<model>_pred.nii.gz below the patient "
            "or <model>/<patient>.nii.gz"
        )
    scores: list[CaseScore] = []
    for patient in patients:
        scores += _case_scores(read_dataset_case(patient), found[patient], models, _REGIONS[recurrence], margin_mm)
    return scores


def _predictions(root: Path, patient: str) -> Iterator[tuple[str, Path]]:
    """Find the predictions of a patient: model and file."""
    below = root if root.name == patient else root / patient
    for models in sorted(below.rglob("growth_models")):
        for model in sorted(p.name for p in models.iterdir() if p.is_dir()):
            path = prediction_path(models.parent, model)
            if path.is_file():
                yield model, path
    if root.name != patient:
        for path in sorted(root.glob(f"*/{patient}.nii.gz")):
            yield path.parent.name, path


def _case_scores(
    case: DatasetCase, found: Mapping[str, Path], models: Sequence[str], region: str, margin_mm: float
) -> list[CaseScore]:
    from scipy import ndimage

    grid, core, came = case.grid, case.tumour.mask("CE_core"), case.recurrence.mask(region)
    brain = np.asarray(ndimage.binary_fill_holes(case.brain))
    standard = standard_plan(core, brain, grid, margin_mm)
    names = ("coverage", "volume_for_95_ml", "average_precision")
    if not core.any():
        reason = "the segmentation has no core"
        return [CaseScore(case.patient, m, n, np.nan, "unknown", reason) for m in (standard.name, *models) for n in names]
    rankings: dict[str, np.ndarray] = {standard.name: margin_scores(core, grid)}
    out: list[CaseScore] = []
    for model in models:
        if model not in found:
            out += [CaseScore(case.patient, model, n, np.nan, "unknown", "there is no prediction") for n in names]
            continue
        prediction = read_image(found[model], "1")
        require_same_grid(prediction.grid, grid, f"{found[model]} and its case", tolerance_mm=0.1)
        if prediction.data.min() < 0:
            raise InputError(f"{found[model]}: holds values below 0; a tumour cell density has values from 0 on")
        rankings[model] = ranked_scores(prediction.data, grid, core)
    for name, ranks in rankings.items():
        plan = standard if name == standard.name else model_plan(ranks, brain, grid, standard.volume_ml, name)
        out += score_plan(case.patient, name, plan, came, coverage_curve(ranks, came, brain, grid))
        value = average_precision(ranks[brain], came[brain])
        why = "" if np.isfinite(value) else "no recurrence lies inside of the brain"
        out.append(CaseScore(case.patient, name, "average_precision", value, "unknown", why))
    return out


def run_growth_container(inputs: str | Path, outputs: str | Path, **parameters: Any) -> Rows:
    """Do what a container of PREDICT-GBM does with our model: fit every tumour, write its cell density on the day of the scan.

    Parameters
    ----------
    inputs, outputs
        What is ``/mlcube_io0`` and ``/mlcube_io1`` inside a container: ``Patient-<id>`` folders, and ``<id>.nii.gz``. A JSON
        file beside each prediction holds what was fitted. A case that cannot be fitted gets no prediction, and a reason.
    **parameters
        Fields of `regrowth.growth.parameters.GrowthParameters`.

    Returns
    -------
    list of dict
        One row per case: ``subject``, ``status``, ``reason``, origin and rates.

    Raises
    ------
    InputError
        If there is no case, or one of them cannot be read; nothing is written then.
    """
    settings = GrowthParameters(**parameters)
    folders = sorted(p for p in Path(inputs).glob("Patient-*") if p.is_dir())
    if not folders:
        raise InputError(f"{inputs}: holds no folder Patient-<id> of the container layout; correct the path")
    cases = [read_container_case(folder) for folder in folders]
    rows: Rows = []
    for case in cases:
        density, row = _fitted_density(case, settings)
        rows.append(row)
        if density is not None:
            path = write_container_prediction(density, Path(outputs), case.subject)
            write_json(row, path.with_name(f"{case.subject}.json"))
    return rows


def _fitted_density(case: ContainerCase, settings: GrowthParameters) -> tuple[Image | None, dict[str, Any]]:
    """Fit growth to one case and simulate the most probable tumour up to the day of its scan."""
    from regrowth.growth.front import TumourObservation
    from regrowth.growth.inverse import fit_origin
    from regrowth.growth.kpp import KppParameters
    from regrowth.growth.simulate import gaussian_cells, simulate_growth
    from regrowth.growth.spatial_case import inverse_settings
    from regrowth.growth.tissue import tissue_map

    tumour = files.tumour_of(case.tumour)
    white, grey = (np.clip(image.data, 0, 1) for image in (case.wm, case.gm))
    excess = np.maximum(white + grey, 1)
    try:
        tissue, notes = files.filled_tissue(tissue_map(white / excess, grey / excess, case.grid), tumour.whole)
    except InputError as error:
        return None, {"subject": case.subject, "status": "not_fitted", "reason": str(error), "notes": []}
    chosen = inverse_settings(settings, case.grid)
    rng = np.random.default_rng([settings.seed, *case.subject.encode()])
    seen = TumourObservation(0.0, tumour.core, tumour.whole & ~tumour.core, case.grid)
    fit = fit_origin([seen], tissue, rng, chosen)
    row: dict[str, Any] = {"subject": case.subject, "status": fit.status, "reason": fit.reason, "notes": notes}
    if fit.samples is None:
        return None, row
    coarse = tissue.coarsened(chosen.fine_mm)
    start = gaussian_cells(coarse.grid, coarse.matter, np.array(fit.origin_mm), chosen.seed_mm)
    rates = KppParameters(fit.diffusivity_mm2_per_day, fit.proliferation_per_day, settings.white_to_grey)
    if not start.any():
        return None, row | {"status": "not_fitted", "reason": "the origin that was found lies outside of the tissue"}
    grown = simulate_growth(coarse, Image(start, coarse.grid, "1"), rates, [0.0], first_day=-fit.age_days)
    full = resample_image(grown.image(), case.grid)
    row |= {"origin_mm": list(fit.origin_mm), "diffusivity_mm2_per_day": fit.diffusivity_mm2_per_day}
    row |= {"proliferation_per_day": fit.proliferation_per_day, "age_days": fit.age_days, "misfit_mm": fit.misfit_mm}
    return full.with_data(np.where(tissue.matter, np.clip(full.data, 0, 1), 0).astype(np.float32)), row
