"""What the clinical table of a synthetic cohort holds: rows with known hazard ratios, transitions and migration.

No image is made. Every row has the columns of the cohort table, as the group analysis reads them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from regrowth.errors import ParameterError
from regrowth.phantom.survival import SurvivalModel, covariate_row

__all__ = ["LOCATIONS", "LOCATION_SHARES", "TRANSITIONS", "clinical_truth", "synthetic_clinical"]

LOCATIONS = (
    "frontal",
    "fronto-parietal",
    "parietal",
    "temporo-parietal",
    "temporal",
    "occipital",
    "brainstem/cerebellum",
    "midline/bilateral",
)
"""Classes of location, in the order of `LOCATION_SHARES` and `TRANSITIONS`."""

LOCATION_SHARES: tuple[float, ...] = tuple(n / 195 for n in (44, 15, 34, 11, 66, 14, 3, 8))
"""Shares of the primary locations: the counts of 195 patients of Hannisdal et al. 2025."""

TRANSITIONS: tuple[tuple[float, ...], ...] = (
    (0.84, 0.06, 0.02, 0.00, 0.03, 0.00, 0.00, 0.05),
    (0.20, 0.55, 0.20, 0.02, 0.00, 0.00, 0.00, 0.03),
    (0.03, 0.05, 0.78, 0.08, 0.02, 0.02, 0.00, 0.02),
    (0.00, 0.02, 0.12, 0.64, 0.20, 0.02, 0.00, 0.00),
    (0.03, 0.00, 0.02, 0.10, 0.82, 0.01, 0.01, 0.01),
    (0.02, 0.00, 0.25, 0.15, 0.12, 0.43, 0.01, 0.02),
    (0.00, 0.00, 0.00, 0.00, 0.08, 0.04, 0.84, 0.04),
    (0.10, 0.04, 0.04, 0.00, 0.02, 0.00, 0.00, 0.80),
)
"""Probability of the location of the recurrence (column) given that of the primary (row); rows add up to 1."""

_DIED_WITHOUT_RECURRENCE = 0.08  # share of deaths before which no progression was ever seen
_MIGRATION_MEDIAN_MM = 9.0  # at the reference time to progression
_MIGRATION_REFERENCE_DAYS = 240.0
_MIGRATION_EXPONENT = 0.40  # slope of log distance on log time
_MIGRATION_SD = 0.50  # of log distance
_EXAM_DELAY_DAYS = (0, 15)  # the exam of a recurrence follows its date by so many days, uniform, last excluded
_MAY_BE_MISSING = ("mgmt", "idh", "eor", "ratio_CE_core_NE")


def synthetic_clinical(
    patients: int, seed: int, model: SurvivalModel | None = None, *, missing_share: float = 0.05
) -> list[dict[str, object]]:
    """Draw the clinical rows of a cohort from a known truth.

    Patient k depends on (`seed`, k) alone: it is the same in every cohort of at least k + 1 patients.

    Parameters
    ----------
    patients
        Number of rows.
    seed
        Seed of the cohort.
    model
        The survival model; the default one when left out.
    missing_share
        Share of values of mgmt, idh, eor and the ratio that are missing, completely at random.

    Returns
    -------
    list of dict
        One row per patient with the columns of the cohort table; None where a value is missing or does not exist, such as
        the migration of a patient without recurrence. Times are whole days.

    Raises
    ------
    ParameterError
        If a number is out of range.
    """
    if patients < 0 or seed < 0:
        raise ParameterError(f"patients and seed are at least 0, not {patients} and {seed}")
    if not 0 <= missing_share < 1:
        raise ParameterError(f"missing_share lies from 0 to below 1, not {missing_share}")
    model = model or SurvivalModel()
    return [_row(k, np.random.default_rng([seed, k]), model, missing_share) for k in range(patients)]


def clinical_truth(model: SurvivalModel | None = None, *, missing_share: float = 0.05) -> dict[str, object]:
    """Give the truth behind `synthetic_clinical` for the record.

    Returns
    -------
    dict
        The survival model, with ``log_hazard_ratios`` under the names that the group analysis gives the covariates; the
        transition matrix; the law of the migration distance; the shares of what is missing or unseen.
    """
    model = model or SurvivalModel()
    b = model.coefficients
    return {
        **model.as_dict(),
        "selection": "none: patients are drawn at diagnosis",
        "log_hazard_ratios": {
            "age_per_10y": b["age_per_10y"],
            "sex_M": 0.0,
            "mgmt_methylated": b["mgmt_methylated"],
            "idh_mutant": 0.0,
            "eor_GTR": b["gross_total_resection"],
            "eor_biopsy": 0.0,
            "log_ratio": b["log_core_to_oedema"],
        },
        "mgmt_by_age_interaction": 0.0,
        "died_without_recurrence_share": _DIED_WITHOUT_RECURRENCE,
        "locations": list(LOCATIONS),
        "location_shares": list(LOCATION_SHARES),
        "transitions": [list(row) for row in TRANSITIONS],
        "migration": {
            "law": "log(migration_mm) = log(median) + exponent * log(ttp_days / reference) + sd * N(0, 1)",
            "median_mm": _MIGRATION_MEDIAN_MM,
            "reference_days": _MIGRATION_REFERENCE_DAYS,
            "exponent": _MIGRATION_EXPONENT,
            "sd": _MIGRATION_SD,
        },
        "missing_share": dict.fromkeys(_MAY_BE_MISSING, missing_share),
    }


def _row(index: int, root: np.random.Generator, model: SurvivalModel, missing_share: float) -> dict[str, object]:
    # One stream per question, so that a change of one does not shift the others.
    who, disease, outcome_rng, missing_rng = root.spawn(4)
    row: dict[str, object] = {"participant_id": f"sub-{index + 1:03d}", **_person(who), **_tumour(who)}
    core, oedema = float(str(row["primary_CE_core_ml"])), float(str(row["primary_NE_ml"]))
    x = covariate_row(float(str(row["age"])), row["mgmt"] == "methylated", row["eor"] == "GTR", core, oedema)
    row |= _outcome(x, model, outcome_rng)
    row |= _recurrence(row, disease)
    for name, missing in zip(_MAY_BE_MISSING, missing_rng.random(len(_MAY_BE_MISSING)) < missing_share, strict=True):
        if missing:
            row[name] = None
    if row["ratio_CE_core_NE"] is None:  # it follows from the volumes: they are lost with it
        row["primary_CE_core_ml"] = row["primary_NE_ml"] = None
    return row


def _person(rng: np.random.Generator) -> dict[str, object]:
    return {
        "age": int(np.clip(rng.normal(61, 11), 20, 88)),
        "sex": "F" if rng.random() < 0.42 else "M",
        "mgmt": "methylated" if rng.random() < 0.42 else "unmethylated",
        "idh": "mutant" if rng.random() < 0.06 else "wildtype",
        "eor": str(rng.choice(["GTR", "STR", "biopsy"], p=[0.50, 0.38, 0.12])),
    }


def _tumour(rng: np.random.Generator) -> dict[str, object]:
    core = round(float(np.clip(np.exp(rng.normal(np.log(24.0), 0.7)), 1, 150)), 2)
    oedema = round(float(np.clip(core / np.exp(rng.normal(np.log(0.5), 0.8)), 2, 300)), 2)
    location = str(rng.choice(LOCATIONS, p=LOCATION_SHARES))
    side = "midline" if location == "midline/bilateral" else str(rng.choice(["left", "right"]))
    return {
        "primary_CE_core_ml": core,
        "primary_NE_ml": oedema,
        "ratio_CE_core_NE": core / oedema,
        "location_primary": location,
        "laterality_primary": side,
    }


def _outcome(x: np.ndarray, model: SurvivalModel, rng: np.random.Generator) -> dict[str, object]:
    drawn = model.outcomes(x, rng)
    os_days, os_event = max(int(np.ceil(drawn.os_days[0])), 1), bool(drawn.os_event[0])
    ttp_days, ttp_event = min(max(int(np.ceil(drawn.ttp_days[0])), 1), os_days), bool(drawn.ttp_event[0])
    unseen = rng.random() < _DIED_WITHOUT_RECURRENCE
    if unseen:  # no progression before the end of the observation, whatever ends it
        ttp_days, ttp_event = os_days, False
    return {"os_days": os_days, "os_event": int(os_event), "ttp_days": ttp_days, "ttp_event": int(ttp_event)}


def _recurrence(row: Mapping[str, object], rng: np.random.Generator) -> dict[str, object]:
    ttp = int(str(row["ttp_days"]))
    day = ttp + int(rng.integers(*_EXAM_DELAY_DAYS))
    median = _MIGRATION_MEDIAN_MM * (ttp / _MIGRATION_REFERENCE_DAYS) ** _MIGRATION_EXPONENT
    distance = round(float(median * np.exp(_MIGRATION_SD * rng.normal())), 2)
    location = str(rng.choice(LOCATIONS, p=TRANSITIONS[LOCATIONS.index(str(row["location_primary"]))]))
    columns = ("location_recurrence", "migration_mm", "recurrence_day", "pattern")
    if not row["ttp_event"] or day >= int(str(row["os_days"])):  # no recurrence, or not alive for its exam
        return dict.fromkeys(columns)
    pattern = "local" if distance < 8 else "marginal" if distance < 20 else "distant"
    return dict(zip(columns, (location, distance, day, pattern), strict=True))
