"""How classes, doses and probabilities of a recurrence become rows of tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regrowth.radiotherapy.discordance import part_agreement, scheme_discordance
from regrowth.radiotherapy.exposure import Exposure, RecurrenceDose, recurrence_dose
from regrowth.radiotherapy.failure import UNCLASSIFIED, FailureClass
from regrowth.radiotherapy.parts import RecurrencePart
from regrowth.radiotherapy.probability import probability_inside, probability_volume_inside
from regrowth.radiotherapy.schemes import FailureScheme
from regrowth.radiotherapy.uncertainty import SpatialUncertainty
from regrowth.radiotherapy.welsh2025 import welsh2025_classes
from regrowth.space import Image

__all__ = ["FAILURE_COLUMNS", "Case", "agreement_rows", "failure_rows", "level_rows", "part_rows"]

Rows = list[dict[str, Any]]

FAILURE_COLUMNS = (
    *("patient", "recurrence_id", "component", "scheme", "method", "level", "rx_gy", "isodose_fraction", "threshold_gy"),
    *("dose_centroid_gy", "d95_gy", "mean_gy", "pct_volume", "class", "group", "legacy_code", "value", "measure"),
    *("p_class", "p_inside", "probabilities", "r95_mm", "covariance_mm2", "qc_flags"),
)


@dataclass(frozen=True, eq=False)
class Case:
    """A recurrence and what it is compared with.

    Parameters
    ----------
    patient, recurrence_id
        Labels.
    parts
        Its parts.
    dose
        Gy.
    levels_gy
        Prescriptions.
    schemes
        Schemes.
    uncertainty
        Of the position; None if it is not known.
    """

    patient: str
    recurrence_id: str
    parts: tuple[RecurrencePart, ...]
    dose: Image
    levels_gy: Mapping[str, float]
    schemes: tuple[FailureScheme, ...]
    uncertainty: SpatialUncertainty | None

    def key(self, part: int | None = None) -> dict[str, Any]:
        """Give the cells that say what a row is of."""
        return {"patient": self.patient, "recurrence_id": self.recurrence_id, "component": part}

    def doses(self) -> dict[int, RecurrenceDose]:
        """Dose of every part, by its number."""
        return {p.number: recurrence_dose(p, self.dose) for p in self.parts}


def failure_rows(case: Case, classes: Sequence[FailureClass], empty: str, flags: Sequence[str]) -> Rows:
    """Give one row per part, scheme and level; one per scheme, unclassified, for a recurrence without parts.

    Parameters
    ----------
    case
        The recurrence.
    classes
        Its classes.
    empty
        Why there is no part.
    flags
        What to look at in every row.
    """
    schemes = {s.name: s for s in case.schemes}
    doses = case.doses()
    exposures = {p.number: Exposure(p, p.points_mm(), np.zeros((1, 3)), case.dose) for p in case.parts}
    rows: Rows = []
    for found in classes:
        scheme, dose = schemes[found.scheme], doses[found.part]
        row = found.as_row()
        notes = [*flags, *filter(None, (found.reason, dose.reason))]
        rows.append(
            case.key(found.part)
            | {
                **{k: row[k] for k in ("scheme", "method", "level", "rx_gy")},
                "isodose_fraction": scheme.isodose_fraction,
                "threshold_gy": found.threshold_gy,
                "dose_centroid_gy": dose.centroid_gy,
                "d95_gy": dose.d95_gy,
                "mean_gy": dose.mean_gy,
                "pct_volume": _percent(exposures[found.part], found.threshold_gy),
                **{k: row[k] for k in ("class", "group", "legacy_code", "value", "measure", "p_class")},
                "p_inside": _inside(found, scheme),
                "probabilities": row["probabilities"],
                **_position(case.uncertainty),
                "qc_flags": "; ".join(dict.fromkeys(notes)),
            }
        )
    if not case.parts:
        lost = {"class": UNCLASSIFIED, **_position(case.uncertainty), "qc_flags": "; ".join([empty, *flags])}
        rows = [case.key() | {"scheme": s.name, "isodose_fraction": s.isodose_fraction} | lost for s in case.schemes]
    return rows


def _percent(exposure: Exposure, threshold_gy: float) -> float:
    if math.isnan(threshold_gy):
        return math.nan
    low, high = exposure.isodose_share(threshold_gy)
    return 100 * float(low[0]) if low[0] == high[0] else math.nan


def _inside(found: FailureClass, scheme: FailureScheme) -> float:
    if not found.probabilities:
        return math.nan
    names = [c.name for c in scheme.classes if c.group == "inside"]
    return sum(found.probabilities.get(name, 0.0) for name in names)


def _position(uncertainty: SpatialUncertainty | None) -> dict[str, Any]:
    if uncertainty is None:
        return {"r95_mm": math.nan, "covariance_mm2": None}
    upper = uncertainty.covariance_mm2[np.triu_indices(3)]
    return {"r95_mm": uncertainty.r95_mm, "covariance_mm2": " ".join(f"{v:.4g}" for v in upper)}


def level_rows(case: Case, isodose_fraction: float, rng: np.random.Generator, draws: int) -> Rows:
    """Give per part and level the dose, and the probability that its true centre and its true volume got it."""
    rows: Rows = []
    doses = case.doses()
    levels = sorted(case.levels_gy.items(), key=lambda kv: -kv[1])
    thresholds = [isodose_fraction * gy for _, gy in levels]
    for part in case.parts if levels else ():
        here = Exposure(part, part.points_mm(), np.zeros((1, 3)), case.dose)
        chances = _chances(case, part, thresholds, rng, draws)
        for (level, gy), threshold, chance in zip(levels, thresholds, chances, strict=True):
            rows.append(
                case.key(part.number)
                | {"level": level, "rx_gy": gy, "isodose_fraction": isodose_fraction, "threshold_gy": threshold}
                | {"dose_centroid_gy": doses[part.number].centroid_gy, "pct_volume": _percent(here, threshold)}
                | chance
            )
    return rows


def _chances(
    case: Case, part: RecurrencePart, thresholds: Sequence[float], rng: np.random.Generator, draws: int
) -> list[dict[str, Any]]:
    if case.uncertainty is None:
        why = {"status": "uncertainty_unknown", "reason": "no uncertainty of the position was given"}
        return [dict(why) for _ in thresholds]
    points = probability_inside(part.centroid_mm, case.uncertainty, case.dose, thresholds, rng, draws=4 * draws)
    volumes = probability_volume_inside(part, case.uncertainty, case.dose, thresholds, rng, draws=draws)
    return [
        {
            "p_centroid": p.value,
            "p_centroid_low": p.at_least,
            "p_centroid_high": p.at_most,
            "p_volume": v.value,
            "expected_share": v.expected_share,
            "standard_error": max(p.standard_error, v.standard_error),
            "n_draws": v.n_draws,
            "status": p.status if p.status != "ok" else v.status,
            "reason": "; ".join(dict.fromkeys(filter(None, (p.reason, v.reason)))),
        }
        for p, v in zip(points, volumes, strict=True)
    ]


def part_rows(case: Case) -> Rows:
    """Give volume, place and dose of every part."""
    rows: Rows = []
    for part, dose in zip(case.parts, case.doses().values(), strict=True):
        place = dict(zip(("r_mm", "a_mm", "s_mm"), map(float, part.centroid_mm), strict=True))
        rows.append(
            case.key(part.number)
            | {"volume_ml": part.volume_ml, **place, "dose_centroid_gy": dose.centroid_gy}
            | {k: getattr(dose, k) for k in ("d95_gy", "d50_gy", "mean_gy", "min_gy", "max_gy", "unknown_share")}
            | {"status": dose.status, "reason": dose.reason}
        )
    return rows


def agreement_rows(case: Case, classes: Sequence[FailureClass], rng: np.random.Generator, draws: int) -> dict[str, Rows]:
    """Give where schemes agree, per part and per pair of schemes, and the codes of the seed beside the right ones."""
    parts = [
        case.key(found.part)
        | {
            "agree": found.agree,
            "n_unclassified": found.n_unclassified,
            "groups": "; ".join(f"{scheme}: {group}" for scheme, group in found.groups.items()) or None,
        }
        for found in part_agreement(classes)
    ]
    pairs = [
        {k: getattr(pair, k) for k in ("first", "second", "n", "n_agree", "discordance", "kappa", "n_missing")}
        for pair in scheme_discordance([classes])
    ]
    return {"agreement": parts, "scheme_pairs": pairs, "welsh2025": _seed_rows(case, rng, draws)}


def _seed_rows(case: Case, rng: np.random.Generator, draws: int) -> Rows:
    rows: Rows = []
    if not case.levels_gy or "welsh2025" not in {s.name for s in case.schemes}:
        return rows
    known = case.uncertainty is not None and case.uncertainty.status != "unknown"
    for part in case.parts:
        found = welsh2025_classes(
            part.centroid_mm,
            case.dose,
            part.grid,
            case.levels_gy,
            rng if known else None,
            uncertainty=case.uncertainty if known else None,
            draws=draws,
        )
        rows += [
            case.key(part.number)
            | {
                "level": seed.level,
                "rx_gy": seed.prescription_gy,
                "threshold_gy": seed.threshold_gy,
                "centroid_code": seed.centroid_code,
                "right_centroid_code": seed.right_centroid_code,
                "seed_centroid_gy": seed.seed_centroid_gy,
                "dose_centroid_gy": seed.centroid_gy,
                "sphere_code": seed.sphere_code,
                "right_sphere_code": seed.right_sphere_code,
                "sphere_percent": seed.sphere_percent,
                "ball_percent": seed.ball_percent,
                "p_inside_centroid": seed.p_inside,
                "status": seed.status,
                "reason": seed.reason,
            }
            for seed in found
        ]
    return rows
