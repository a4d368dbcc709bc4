"""Which number of a recurrence each scheme looks at, and between which bounds it lies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.exposure import Exposure, Target
from regrowth.radiotherapy.schemes import FailureScheme

__all__ = ["DosePlan", "Measured", "dose_plan", "measure"]


@dataclass(frozen=True, eq=False)
class Measured:
    """Numbers of one scheme at k places.

    Parameters
    ----------
    low, high
        (k,) bounds of the number, which differ where doses are not known.
    method
        ``volume``, ``centroid``, ``origin`` or ``gap``.
    measure
        What the number is, in words.
    targets
        (k,) ``highest``, ``lower`` or ``none``: the target that holds the point; None where it does not matter.
    level, prescription_gy, threshold_gy
        Of the part as mapped; empty and NaN where they do not matter.
    """

    low: np.ndarray
    high: np.ndarray
    method: str
    measure: str
    targets: np.ndarray | None = None
    level: str = ""
    prescription_gy: float = math.nan
    threshold_gy: float = math.nan


@dataclass(frozen=True, eq=False)
class DosePlan:
    """What was prescribed to which volume.

    Parameters
    ----------
    prescriptions
        Level to Gy, from the highest down.
    targets
        Volumes of these levels in the same order.
    first_tumour
        Where the first tumour was.
    """

    prescriptions: Mapping[str, float]
    targets: tuple[Target, ...]
    first_tumour: tuple[Target, ...]

    @property
    def highest(self) -> str:
        """Level of the highest prescription; empty without any."""
        return next(iter(self.prescriptions), "")

    def level(self, reference: str) -> str:
        """Level that a scheme refers to by ``highest`` or ``lowest``; empty without any."""
        levels = list(self.prescriptions) or [""]
        return levels[-1 if reference == "lowest" else 0]


def dose_plan(prescriptions_gy: Mapping[str, float], targets: Sequence[Target]) -> DosePlan:
    """Order the prescriptions from the highest down and bring the targets into the same order.

    Raises
    ------
    ParameterError
        If a prescription is not a dose, or a target names a level that has none.
    """
    if not all(math.isfinite(v) and v >= 0 for v in prescriptions_gy.values()):
        raise ParameterError(f"prescriptions are doses in Gy, not {dict(prescriptions_gy)}")
    if unknown := sorted({t.level for t in targets if t.level} - set(prescriptions_gy)):
        raise ParameterError(
            f"targets of levels without a prescription: {', '.join(unknown)}; give 0 Gy to a level not treated"
        )
    levels = {k: float(v) for k, v in sorted(prescriptions_gy.items(), key=lambda kv: -kv[1]) if v > 0}
    dosed = sorted((t for t in targets if t.level in levels), key=lambda t: -levels[t.level])
    return DosePlan(levels, tuple(dosed), tuple(t for t in targets if t.is_first_tumour))


def measure(scheme: FailureScheme, plan: DosePlan, at: Exposure) -> Measured | str:
    """Take the numbers of a scheme, or say what is missing for them."""
    if scheme.measure == "isodose_share":
        return _isodose_share(scheme, plan, at)
    if scheme.measure == "target_share":
        return _target_share(scheme, plan, at)
    if scheme.measure == "gap":
        return _gap(plan, at)
    if not plan.targets:
        return "no target volume with a prescription"
    return _in_targets(scheme, plan, at)


def _isodose_share(scheme: FailureScheme, plan: DosePlan, at: Exposure) -> Measured | str:
    if at.dose is None:
        return "there is no dose"
    if not plan.prescriptions:
        return "no prescription"
    level = plan.level(scheme.reference)
    rx = plan.prescriptions[level]
    threshold = (scheme.isodose_fraction or 1.0) * rx
    low, high = at.isodose_share(threshold)
    return Measured(low, high, "volume", f"share of the volume at {threshold:g} Gy or more", None, level, rx, threshold)


def _target_share(scheme: FailureScheme, plan: DosePlan, at: Exposure) -> Measured | str:
    level = plan.level(scheme.reference)
    targets = [t for t in plan.targets if t.level == level]
    if not targets:
        return f"no target volume of the {scheme.reference} prescription"
    share = at.target_share(targets)
    what = f"share of the volume inside {' and '.join(t.name for t in targets)}"
    return Measured(share, share, "volume", what, None, level, plan.prescriptions[level])


def _gap(plan: DosePlan, at: Exposure) -> Measured | str:
    if not any(np.any(t.mask) for t in plan.first_tumour):
        return "no volume of the first tumour or its cavity"
    gap = at.gap_mm(plan.first_tumour)
    return Measured(gap, gap, "gap", "least distance to the first tumour or cavity, mm")


def _in_targets(scheme: FailureScheme, plan: DosePlan, at: Exposure) -> Measured | str:
    """Where a point lies among the targets, and for Mohamed's scheme D95 against the prescription of the target there."""
    wants_dose = scheme.measure == "target_and_d95"
    if wants_dose and at.dose is None:
        return "there is no dose"
    if scheme.point == "origin":
        point = at.part.deepest_mm if at.part.origin_mm is None else np.asarray(at.part.origin_mm, float)
        source = "deepest point" if at.part.origin_mm is None else "given point of origin"
    else:
        point, source = at.part.centroid_mm, "centroid"
    found = at.points_in_targets(point, plan.targets)
    levels = np.array([*(t.level for t in plan.targets), ""])[found]  # -1 takes the last: none
    kinds = np.where(found < 0, "none", np.where(levels == plan.highest, "highest", "lower"))
    rx = np.array([*(plan.prescriptions[t.level] for t in plan.targets), np.nan])[found]
    level, own = str(levels[0]), float(rx[0])
    if not wants_dose:
        known = np.nan_to_num(rx)
        return Measured(known, known, scheme.point, f"prescription of the target at the {source}, Gy", kinds, level, own)
    low, high = at.dose_at_share(0.95)
    threshold = (scheme.isodose_fraction or 1.0) * own
    what = f"D95 over the prescription of the target that holds the {source}"
    return Measured(low / rx, high / rx, scheme.point, what, kinds, level, own, threshold)
