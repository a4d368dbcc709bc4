"""At which dose a recurrence came back: its classes under every scheme, how sure they are, and where schemes disagree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.api.radiotherapy_columns import radiotherapy_dictionary, write_csv
from regrowth.api.radiotherapy_failure_inputs import (
    Prescriptions,
    read_levels,
    read_schemes,
    read_targets,
    read_uncertainty,
)
from regrowth.api.radiotherapy_failure_rows import FAILURE_COLUMNS, Case, agreement_rows, failure_rows, level_rows, part_rows
from regrowth.api.radiotherapy_inputs import read_any_dose, read_mask
from regrowth.errors import ParameterError
from regrowth.io.tables import write_json, write_tsv
from regrowth.radiotherapy.exposure import Target
from regrowth.radiotherapy.failure import classify_all
from regrowth.radiotherapy.parts import recurrence_parts
from regrowth.radiotherapy.schemes import FailureScheme
from regrowth.radiotherapy.uncertainty import SpatialUncertainty
from regrowth.space import Image

__all__ = ["classify_failure"]

Rows = list[dict[str, Any]]


def classify_failure(
    recurrence: str | Path,
    dose: str | Path,
    out_dir: str | Path,
    *,
    prescriptions_gy: Mapping[str, float] | None = None,
    targets: Mapping[str, str | Path] | None = None,
    first_tumour: str | Path | None = None,
    schemes: Sequence[str | Path] = (),
    r95_mm: float | None = None,
    landmarks: str | Path | None = None,
    picking_sd_mm: float = 0.0,
    delineation_sd_mm: float = 0.0,
    trial: str | Path | None = None,
    arm: str | None = None,
    isodose_fraction: float = 0.95,
    min_volume_ml: float = 0.0,
    patient: str = "n/a",
    recurrence_id: str = "recurrence",
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Rows]:
    """Classify each part of a recurrence under published schemes, by dose and place, with probabilities.

    The recurrence has to lie in the space of the planning image already.

    Parameters
    ----------
    recurrence
        NIfTI mask.
    dose
        NIfTI (Gy), RTDOSE, or a folder whose plans are added up.
    out_dir
        Folder, made if absent, for ``failure.csv`` (part, scheme and level), ``levels.tsv`` (probability that centre and volume
        got each level), ``parts.tsv`` (dose of each part), ``agreement.tsv``, ``scheme_pairs.tsv``, ``welsh2025.tsv`` (codes
        of the seed beside the right ones) and ``failure.json``.
    prescriptions_gy
        Level to Gy.
    targets
        Level to NIfTI mask of its target volume.
    first_tumour
        NIfTI mask of the first tumour or its cavity, for schemes by distance.
    schemes
        Names, or TOML files of one's own; all that come along if left out.
    r95_mm, landmarks, picking_sd_mm, delineation_sd_mm
        How sure the position is, see `read_uncertainty`; without it there are no probabilities.
    trial, arm
        Instead of prescriptions: a trial, and its arm if it is not to be told by the mean dose of the highest target.
    isodose_fraction
        Share of the prescription that counts as treated in ``levels.tsv``; schemes have their own.
    min_volume_ml
        Smaller parts are only counted.
    patient, recurrence_id
        Labels for the tables.
    draws, seed
        Of the probabilities.

    Returns
    -------
    dict
        Table to rows: ``failure``, ``levels``, ``parts``, ``agreement``, ``scheme_pairs``, ``welsh2025``, ``notes``. What
        cannot be classified is ``unclassified`` with a reason.

    Raises
    ------
    InputError
        If a file cannot be read, or a level, scheme or trial is unknown.
    """
    _check(isodose_fraction, draws, min_volume_ml)
    chosen = read_schemes(schemes)
    mask = read_mask(recurrence)
    uncertainty = read_uncertainty(
        r95_mm, landmarks, patient, mask.grid, picking_sd_mm=picking_sd_mm, delineation_sd_mm=delineation_sd_mm
    )
    volumes = read_targets(targets or {}, first_tumour)
    image, notes = read_any_dose(dose)
    levels = read_levels(prescriptions_gy or {}, trial, arm, volumes, image)
    volumes, more = _of_levels(volumes, levels)
    parts, n_small = recurrence_parts(mask.data, mask.grid, min_volume_ml=min_volume_ml)
    notes += [*levels.notes, *more, *_about(uncertainty, n_small, image)]
    rng = np.random.default_rng(seed)
    case = Case(patient, recurrence_id, parts, image, levels.levels_gy, tuple(chosen), uncertainty)
    empty = f"all {n_small} parts are below min_volume_ml" if n_small else "the mask of the recurrence is empty"
    flags = [] if levels.levels_gy else [*levels.notes[:1]]
    tables = _tables(case, volumes, rng, draws, isodose_fraction, empty, flags)
    settings = {"draws": draws, "seed": seed, "min_volume_ml": min_volume_ml, "isodose_fraction": isodose_fraction}
    _write(tables, Path(out_dir), levels.facts() | {"settings": settings, "notes": notes} | _facts(uncertainty, chosen))
    return {**tables, "notes": [{"note": note} for note in notes]}


def _of_levels(targets: Sequence[Target], levels: Prescriptions) -> tuple[list[Target], list[str]]:
    """Leave the level of a target out where a trial does not treat it; refuse levels that nobody prescribed."""
    lost = sorted({t.level for t in targets if t.level and t.level not in levels.levels_gy})
    if not lost:
        return list(targets), []
    if levels.arm is None and not levels.notes:
        known = ", ".join(levels.levels_gy)
        raise ParameterError(f"targets of levels without a prescription: {', '.join(lost)}; prescribed are {known}")
    kept = [replace(t, level="") if t.level in lost else t for t in targets]
    if not levels.levels_gy:
        return kept, []
    return kept, [f"targets of levels that the arm does not treat are left out: {', '.join(lost)}"]


def _tables(
    case: Case,
    targets: Sequence[Target],
    rng: np.random.Generator,
    draws: int,
    isodose_fraction: float,
    empty: str,
    flags: Sequence[str],
) -> dict[str, Rows]:
    found = classify_all(case.parts, case.dose, case.levels_gy, targets, case.schemes, case.uncertainty, rng, draws=draws)
    return {
        "failure": failure_rows(case, found, empty, flags),
        "levels": level_rows(case, isodose_fraction, rng, draws),
        "parts": part_rows(case),
        **agreement_rows(case, found, rng, 4 * draws),
    }


def _check(isodose_fraction: float, draws: int, min_volume_ml: float) -> None:
    if not 0 < isodose_fraction <= 1:
        raise ParameterError(f"isodose_fraction lies above 0 and up to 1, not {isodose_fraction}")
    if draws < 2:
        raise ParameterError(f"draws is {draws}; probabilities need at least 2, and some hundred to be of use")
    if not (math.isfinite(min_volume_ml) and min_volume_ml >= 0):
        raise ParameterError(f"min_volume_ml is {min_volume_ml}; give a volume of at least 0 ml")


def _about(uncertainty: SpatialUncertainty | None, n_small: int, dose: Image) -> list[str]:
    notes = [f"{n_small} part(s) smaller than min_volume_ml were left out"] if n_small else []
    if uncertainty is None:
        notes.append("no uncertainty of the position was given (r95_mm or landmarks): there are no probabilities")
    elif uncertainty.reason:
        notes.append(f"uncertainty: {uncertainty.reason}")
    if dose.grid.frame_of_reference_uid is not None:
        notes.append("masks carry no frame of reference: it is taken for granted that they lie in that of the dose")
    return notes


def _facts(uncertainty: SpatialUncertainty | None, schemes: Sequence[FailureScheme]) -> dict[str, Any]:
    sources = {
        s.name: {
            "measure": s.measure,
            "isodose_fraction": s.isodose_fraction,
            "citation": s.citation,
            "doi": s.doi,
            "verified": s.mark == "S",
            "notes": s.notes,
        }
        for s in schemes
    }
    if uncertainty is None:
        return {"uncertainty": None, "schemes": sources}
    about = {
        "source": uncertainty.source,
        "status": uncertainty.status,
        "reason": uncertainty.reason,
        "r95_mm": uncertainty.r95_mm,
        "n": uncertainty.n,
        "patient_weight": uncertainty.patient_weight,
        "covariance_mm2": uncertainty.covariance_mm2.tolist(),
        "localisation_mm2": uncertainty.localisation_mm2.tolist(),
        "delineation_mm2": uncertainty.delineation_mm2.tolist(),
        "voxel_mm2": uncertainty.voxel_mm2.tolist(),
    }
    return {"uncertainty": about, "schemes": sources}


def _write(tables: Mapping[str, Rows], out: Path, facts: Mapping[str, Any]) -> None:
    described = radiotherapy_dictionary(tables)
    write_csv(tables["failure"], out / "failure.csv", FAILURE_COLUMNS)
    for name, rows in tables.items():
        if name != "failure" and rows:
            write_tsv(rows, out / f"{name}.tsv")
        elif name != "failure":
            (out / f"{name}.tsv").unlink(missing_ok=True)  # of an earlier run
    write_json({**facts, "tables": described}, out / "failure.json")
