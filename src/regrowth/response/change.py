"""How much one region of an exam changed since baseline and nadir, and what the change alone would be called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from regrowth.response.exam import Exam, ResponseParameters

__all__ = ["Category", "MeasureChange", "RegionChange", "measure_change", "region_change"]

Category = Literal["CR", "PR", "MR", "SD", "PD", "not_evaluable"]
_NAN = float("nan")
_ROUNDING = 1e-9  # +25 % of a float must count as +25 %
_UNITS = {"product": "mm²", "volume": "ml"}


@dataclass(frozen=True)
class MeasureChange:
    """One measure of one region of an exam, against baseline and nadir.

    Parameters
    ----------
    measure
        ``product`` (sum of products, mm²) or ``volume`` (ml).
    value, baseline, nadir
        Values of the exam, the baseline, and the smallest since the baseline and before the exam; NaN where not known.
    nadir_label, nadir_day
        Exam of the nadir; empty and None without one.
    from_baseline, from_nadir
        Relative change, 0.25 for +25 %; NaN where a value is not known or the reference is 0.
    category
        What this measure alone says; ``not_evaluable`` without values.
    reason
        The numbers, or what is missing.
    """

    measure: str
    value: float
    baseline: float
    nadir: float
    nadir_label: str
    nadir_day: int | None
    from_baseline: float
    from_nadir: float
    category: Category
    reason: str


@dataclass(frozen=True)
class RegionChange:
    """Both measures of one region.

    Parameters
    ----------
    region
        Name of the region.
    product, volume
        The two measures.
    category
        Progression if one of the measures that decide says so; otherwise the better of their responses.
    rule
        Which measure decided: ``product``, ``volume``, ``product and volume``; empty if none could.
    reason
        The numbers of the deciding measure, with a remark if the other disagrees.
    """

    region: str
    product: MeasureChange
    volume: MeasureChange
    category: Category
    rule: str
    reason: str


def _value(exam: Exam, region: str, measure: str) -> float:
    return exam.product_mm2(region) if measure == "product" else exam.volume_ml(region)


def measure_change(
    exam: Exam, earlier: Sequence[Exam], region: str, measure: str, parameters: ResponseParameters, *, minor: bool = False
) -> MeasureChange:
    """Compare one measure of an exam with baseline and nadir.

    Parameters
    ----------
    exam
        The exam.
    earlier
        The baseline and the exams between, in order of their days; not empty.
    region
        Region that is measured.
    measure
        ``product`` or ``volume``.
    parameters
        Thresholds.
    minor
        Whether there are minor responses (non-enhancing and mixed tumours).

    Returns
    -------
    MeasureChange
        All thresholds are inclusive: exactly +25 % is progression, exactly -50 % a partial response.
    """
    now, baseline = _value(exam, region, measure), _value(earlier[0], region, measure)
    known = [(v, e) for e in earlier if (v := _value(e, region, measure)) == v]
    lowest = min((v for v, _ in known), default=_NAN)
    at = next((e for v, e in known if v == lowest), None)
    from_baseline = now / baseline - 1 if baseline > 0 else _NAN
    from_nadir = now / lowest - 1 if lowest > 0 else _NAN
    category, reason = _category(measure, now, baseline, lowest, parameters, minor)
    if at is not None and category != "not_evaluable":
        reason += f"; nadir {at.label or f'day {at.day}'}, baseline {earlier[0].label or f'day {earlier[0].day}'}"
    return MeasureChange(
        measure=measure,
        value=now,
        baseline=baseline,
        nadir=lowest,
        nadir_label="" if at is None else at.label,
        nadir_day=None if at is None else at.day,
        from_baseline=from_baseline,
        from_nadir=from_nadir,
        category=category,
        reason=reason,
    )


def _category(
    measure: str, now: float, baseline: float, nadir: float, p: ResponseParameters, minor: bool
) -> tuple[Category, str]:
    unit, floor = _UNITS[measure], p.measurable_mm**2 if measure == "product" else p.measurable_ml
    rise, fall, little = (getattr(p, f"{kind}_{measure}_share") for kind in ("progression", "partial", "minor"))
    if now != now:
        return "not_evaluable", f"the {measure} of this exam is not known"
    if nadir != nadir:
        return "not_evaluable", f"no earlier {measure} since the baseline is known"
    small = ""
    if now > 0 and _at_least(now - nadir, rise * nadir):
        grown = f"{measure} {nadir:.4g} to {now:.4g} {unit}, {_percent(now, nadir)} from the nadir"
        if _at_least(now, floor):
            return "PD", f"{grown} (progression from +{rise:.0%})"
        small = f"; {grown}, but below the measurable {floor:.4g} {unit}"
    if baseline != baseline:
        return "not_evaluable", f"the {measure} of the baseline is not known: no progression, but no response can be told"
    change = f"{measure} {baseline:.4g} to {now:.4g} {unit}, {_percent(now, baseline)} from the baseline"
    if baseline == 0:
        best = f"no tumour at the baseline and {now:.4g} {unit} now: stable is the best response possible"
        return "SD", best + small
    if now == 0:
        return "CR", change
    if _at_least(baseline - now, fall * baseline):
        return "PR", f"{change} (partial response from -{fall:.0%}){small}"
    if minor and _at_least(baseline - now, little * baseline):
        return "MR", f"{change} (minor response from -{little:.0%}){small}"
    return "SD", change + (small or f", {_percent(now, nadir)} from the nadir")


def _at_least(value: float, threshold: float) -> bool:
    return value >= threshold - _ROUNDING * max(1.0, abs(threshold))


def _percent(now: float, reference: float) -> str:
    return f"{100 * (now / reference - 1):+.1f} %" if reference > 0 else "from nothing"


def region_change(
    exam: Exam, earlier: Sequence[Exam], region: str, parameters: ResponseParameters, *, minor: bool = False
) -> RegionChange:
    """Compare a region of an exam with baseline and nadir by the measures that decide.

    Parameters
    ----------
    exam, earlier, region, parameters, minor
        As in `measure_change`.

    Returns
    -------
    RegionChange
        With ``measure="either"`` progression by one measure is enough, and a complete response needs every known measure
        to be 0; a response that only one of the measures sees counts.
    """
    product, volume = (measure_change(exam, earlier, region, m, parameters, minor=minor) for m in ("product", "volume"))
    deciding = [c for c in (product, volume) if parameters.measure in ("either", c.measure)]
    known = [c for c in deciding if c.category != "not_evaluable"]
    if not known:
        reason = "; ".join(f"{region}: {c.reason}" for c in deciding)
        return RegionChange(region, product, volume, "not_evaluable", "", reason)
    order: list[Category] = ["CR", "PR", "MR", "SD"]
    if any(c.category == "PD" for c in known):
        category: Category = "PD"
    else:
        category = min((c.category for c in known), key=order.index)
        if category == "CR" and any(c.value > 0 for c in known):
            category = "PR"
    decided = [c for c in known if c.category == category or (category == "PR" and c.category == "CR")]
    others = [c for c in known if c not in decided]
    reason = f"{region}: " + " and ".join(c.reason for c in decided)
    if others:
        reason += "".join(f" (the {c.measure} alone says {c.category}: {c.reason})" for c in others)
    return RegionChange(region, product, volume, category, " and ".join(c.measure for c in decided), reason)
