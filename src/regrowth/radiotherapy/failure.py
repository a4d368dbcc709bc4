"""Which class each part of a recurrence has under each scheme, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.exposure import Exposure, Target
from regrowth.radiotherapy.parts import RecurrencePart
from regrowth.radiotherapy.probability import thinned
from regrowth.radiotherapy.scheme_measures import DosePlan, Measured, dose_plan, measure
from regrowth.radiotherapy.schemes import FailureScheme, load_schemes
from regrowth.radiotherapy.uncertainty import SpatialUncertainty
from regrowth.radiotherapy.welsh2025 import welsh2025_classes
from regrowth.space import Image

__all__ = ["UNCLASSIFIED", "FailureClass", "classify", "classify_all"]

UNCLASSIFIED = "unclassified"


@dataclass(frozen=True)
class FailureClass:
    """The class of one part of a recurrence under one scheme.

    Parameters
    ----------
    scheme
        Name of the scheme.
    part
        Number of the part.
    method
        What was looked at: ``volume``, ``centroid``, ``origin``, ``gap`` or ``sphere``.
    level, prescription_gy, threshold_gy
        Dose level, its prescription, and the dose that counts as treated; empty and NaN where none enters.
    name
        The class, or ``unclassified``.
    group
        ``inside``, ``marginal``, ``outside``; empty when unclassified.
    code
        Number of the class in its source, if it has one.
    value
        The number that the class rests on; NaN when it is not known exactly.
    measure
        What the number is, in words.
    probabilities
        Class to probability under the uncertainty, adding up to 1 with ``unclassified`` for draws where the dose was not
        known; empty without an uncertainty. For the seed's sphere it is that of the centroid, ``inside`` or
        ``outside``: the sphere itself is a stand-in for the uncertainty.
    reason
        Why it is unclassified, or what to know about the class.
    """

    scheme: str
    part: int
    method: str
    level: str
    prescription_gy: float
    threshold_gy: float
    name: str
    group: str
    code: int | None
    value: float
    measure: str
    probabilities: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    reason: str = ""

    @property
    def status(self) -> Literal["ok", "unclassified"]:
        """``ok`` or ``unclassified``."""
        return "unclassified" if self.name == UNCLASSIFIED else "ok"

    @property
    def probability(self) -> float:
        """Probability of the class that was given; NaN without an uncertainty, and for the seed's ``peripheral``."""
        return self.probabilities.get(self.name, math.nan)

    def as_row(self) -> dict[str, object]:
        """Give one flat row."""
        return {
            "component": self.part,
            "scheme": self.scheme,
            "method": self.method,
            "level": self.level,
            "rx_gy": self.prescription_gy,
            "threshold_gy": self.threshold_gy,
            "class": self.name,
            "group": self.group,
            "legacy_code": self.code,
            "value": self.value,
            "measure": self.measure,
            "p_class": self.probability,
            "probabilities": ";".join(f"{k}={v:.4f}" for k, v in self.probabilities.items()),
            "reason": self.reason,
        }


def classify(
    parts: Sequence[RecurrencePart],
    dose: Image | None,
    prescriptions_gy: Mapping[str, float],
    targets: Sequence[Target],
    scheme: FailureScheme,
    uncertainty: SpatialUncertainty | None = None,
    rng: np.random.Generator | None = None,
    *,
    draws: int = 1000,
) -> list[FailureClass]:
    """Classify every part of a recurrence under one scheme (see `classify_all`)."""
    return classify_all(parts, dose, prescriptions_gy, targets, [scheme], uncertainty, rng, draws=draws)


def classify_all(
    parts: Sequence[RecurrencePart],
    dose: Image | None,
    prescriptions_gy: Mapping[str, float],
    targets: Sequence[Target],
    schemes: Iterable[FailureScheme] | None = None,
    uncertainty: SpatialUncertainty | None = None,
    rng: np.random.Generator | None = None,
    *,
    draws: int = 1000,
) -> list[FailureClass]:
    """Classify every part of a recurrence under every scheme.

    A class that cannot be told is ``unclassified`` with a reason; no part and no scheme is left out. Where the dose grid
    does not reach, the dose is unknown and not 0: the class stands only if it is the same whatever the dose there is.
    Under the uncertainty the part is shifted as a whole; all schemes share the draws.

    Parameters
    ----------
    parts
        Parts in the space of the plan (`recurrence_parts`).
    dose
        Gy; None when there is none.
    prescriptions_gy
        Level to Gy; levels of 0 Gy are left out.
    targets
        Volumes of the levels, and where the first tumour was.
    schemes
        All that come with Regrowth when left out.
    uncertainty
        Error of the mapped position; no probabilities without it.
    rng
        For the draws; needed with an uncertainty.
    draws
        Shifts per part; the centroid of the seed's scheme takes four times as many.

    Returns
    -------
    list
        For every part and scheme one class; the seed's scheme gives two (centroid, sphere) per level.

    Raises
    ------
    ParameterError
        If a prescription is not a dose, a target names a level that has none, or an uncertainty comes without a generator.
    GridMismatchError
        If dose or targets lie in another frame of reference.
    """
    if uncertainty is not None and rng is None:
        raise ParameterError("an uncertainty needs a generator for its draws: rng=numpy.random.default_rng(seed)")
    plan = dose_plan(prescriptions_gy, targets)
    chosen = tuple(load_schemes().values() if schemes is None else schemes)
    shifts = None
    if uncertainty is not None and uncertainty.status != "unknown" and rng is not None:
        shifts = uncertainty.draws(draws, rng)
    out: list[FailureClass] = []
    for part in parts:
        points = part.points_mm()
        mapped = Exposure(part, points, np.zeros((1, 3)), dose)
        moved = None if shifts is None or rng is None else Exposure(part, thinned(points, rng), shifts, dose)
        for scheme in chosen:
            if scheme.measure == "seed_sphere":
                out += _seed_classes(scheme, part, dose, plan, uncertainty, rng, 4 * draws)
            else:
                found = _class(scheme, part, plan, mapped, moved)
                why = uncertainty.reason if uncertainty is not None and shifts is None else ""
                out.append(replace(found, reason="; ".join(filter(None, (found.reason, why)))) if why else found)
    return out


def _class(
    scheme: FailureScheme, part: RecurrencePart, plan: DosePlan, mapped: Exposure, moved: Exposure | None
) -> FailureClass:
    here = measure(scheme, plan, mapped)
    if isinstance(here, str):
        return _unclassified(scheme, part, here)
    low, high = float(here.low[0]), float(here.high[0])
    index = int(_indices(scheme, here)[0])
    reasons = []
    if index < 0:
        reasons.append(_why_unknown(mapped, low, high))
    elif low != high and not math.isnan(low):
        reasons.append(f"part of the dose is not known; the number lies from {low:.3g} to {_upper(high)}, of the same class")
    if here.method == "centroid" and not part.centroid_is_inside:
        reasons.append("the centroid lies outside of the part, which is bent or hollow")
    rule = scheme.classes[index] if index >= 0 else None
    return FailureClass(
        scheme=scheme.name,
        part=part.number,
        method=here.method,
        level=here.level,
        prescription_gy=here.prescription_gy,
        threshold_gy=here.threshold_gy,
        name=rule.name if rule else UNCLASSIFIED,
        group=rule.group if rule else "",
        code=rule.code if rule else None,
        value=low if low == high else math.nan,
        measure=here.measure,
        probabilities=_probabilities(scheme, plan, moved),
        reason="; ".join(reasons),
    )


def _why_unknown(mapped: Exposure, low: float, high: float) -> str:
    if mapped.dose is None:
        return "there is no dose"
    lost = 100 * float(np.isnan(mapped.doses_gy).mean())
    return f"{lost:.1f} % of the part lies outside of the dose grid: the number lies from {low:.3g} to {_upper(high)}"


def _upper(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "any"


def _indices(scheme: FailureScheme, measured: Measured) -> np.ndarray:
    """(k,) class of each place, -1 where it depends on a dose that is not known."""
    low = scheme.class_index(measured.low, measured.targets)
    high = scheme.class_index(measured.high, measured.targets)
    return np.where(low == high, low, -1)


def _probabilities(scheme: FailureScheme, plan: DosePlan, moved: Exposure | None) -> Mapping[str, float]:
    measured = None if moved is None else measure(scheme, plan, moved)
    if measured is None or isinstance(measured, str):
        return MappingProxyType({})
    index = _indices(scheme, measured)
    found = {rule.name: float((index == i).mean()) for i, rule in enumerate(scheme.classes)}
    found[UNCLASSIFIED] = float((index < 0).mean())
    return MappingProxyType(found)


def _seed_classes(
    scheme: FailureScheme,
    part: RecurrencePart,
    dose: Image | None,
    plan: DosePlan,
    uncertainty: SpatialUncertainty | None,
    rng: np.random.Generator | None,
    draws: int,
) -> list[FailureClass]:
    """The seed's two codes per level, with the probability that the centroid truly lies inside where it can be told."""
    if dose is None or not plan.prescriptions:
        return [_unclassified(scheme, part, "there is no dose" if dose is None else "no prescription")]
    found = welsh2025_classes(
        part.centroid_mm,
        dose,
        part.grid,
        plan.prescriptions,
        rng if uncertainty is not None else None,
        uncertainty=uncertainty,
        isodose_fraction=scheme.isodose_fraction or 1.0,
        draws=draws,
    )
    names = {c.code: c.name for c in scheme.classes}
    out = []
    for seed in found:
        if seed.status == "outside_image":
            out.append(_unclassified(scheme, part, seed.reason, seed.level))
            continue
        p = seed.p_inside
        shared = MappingProxyType({} if math.isnan(p) else {names[1]: p, names[0]: 1 - p})
        numbers = (
            ("centroid", seed.centroid_code, seed.seed_centroid_gy, "dose at the truncated index of the centroid, Gy"),
            ("sphere", seed.sphere_code, seed.sphere_percent / 100, f"share of a sphere at {seed.threshold_gy:g} Gy or more"),
        )
        for method, code, value, what in numbers:
            rule = next(c for c in scheme.classes if c.code == code)
            out.append(
                FailureClass(
                    scheme=scheme.name,
                    part=part.number,
                    method=method,
                    level=seed.level,
                    prescription_gy=seed.prescription_gy,
                    threshold_gy=seed.threshold_gy,
                    name=rule.name,
                    group=rule.group,
                    code=code,
                    value=value,
                    measure=what,
                    probabilities=shared,
                    reason=f"{seed.reason}; the seed assumes the least dose there" if seed.reason else "",
                )
            )
    return out


def _unclassified(scheme: FailureScheme, part: RecurrencePart, reason: str, level: str = "") -> FailureClass:
    nan = math.nan
    return FailureClass(scheme.name, part.number, "", level, nan, nan, UNCLASSIFIED, "", None, nan, "", reason=reason)
