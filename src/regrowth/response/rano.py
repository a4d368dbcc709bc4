"""What the response of a tumour was at each exam of a series, by the rules of RANO 2.0, with the numbers behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from regrowth.clinical import PHASES
from regrowth.response.assessment import Assessment, Confirmation
from regrowth.response.baseline import Segment, segments
from regrowth.response.change import RegionChange, region_change
from regrowth.response.confirmation import confirmed
from regrowth.response.exam import Exam, ResponseParameters

__all__ = ["ResponseSummary", "assess", "response_summary"]


def assess(
    exams: Sequence[Exam],
    parameters: ResponseParameters | None = None,
    *,
    radiotherapy_end_day: float | None = None,
) -> tuple[Assessment, ...]:
    """Assess the response at every exam of a series.

    Parameters
    ----------
    exams
        The exams in any order.
    parameters
        Thresholds and choices, with their sources.
    radiotherapy_end_day
        Last day of radiotherapy on the scale of the exams' days. When left out, it is taken to be ``assumed_delay_days``
        before the exam after radiotherapy, and the assessments say so.

    Returns
    -------
    tuple of Assessment
        One per exam in the order of their days; empty for no exam.

    Notes
    -----
    *Baseline* is the first exam of phase ``postradiotherapy`` that is measured, or the first on or after
    `radiotherapy_end_day`. Without one it is, flagged as a fallback, the first after surgery, else the first that is not
    pre-operative and has a later exam, else the first. A later exam of phase ``postop`` is a new baseline, and so is one
    of phase ``postradiotherapy`` after it or after a new plan: sizes are not comparable across surgery.

    *Nadir* is the smallest value since the baseline, the baseline included, before the exam, for each measure by itself.

    *Progression*: an increase from the nadir that reaches the threshold and is of measurable size; a new measurable
    lesion; clinical worsening by the tumour. *Complete response*: nothing left of what the baseline had; *partial
    response*: a decrease from the baseline that reaches the threshold; otherwise *stable*. A complete response on
    corticosteroids counts as partial; a response or stable disease with a dose above that of the baseline cannot be
    assessed; more corticosteroids alone are no progression. What is not known is taken as no hindrance and is named in
    `Assessment.missing`.

    *Before surgery*: where the only baseline is a pre-operative exam, a later exam of another phase can be progression (more
    than was there before surgery, or new) and nothing else: what is smaller may have been removed.

    *Non-enhancing tumour* is assessed only with ``tumour="nonenhancing"``, where progression of the enhancing region
    counts besides as new enhancement, or ``"mixed"``: progression of either; stable or complete with another response is
    the other; minor with partial is minor (our own choice).

    *Confirmation*: see `regrowth.response.confirmation`.

    Exams on the same day have no order: they are not evaluable, and neither baseline nor nadir.
    """
    p = parameters or ResponseParameters()
    ordered = sorted(exams, key=lambda e: (e.day, PHASES.index(e.phase), e.label))
    per_day = Counter(e.day for e in ordered)
    before, stretches = segments([e for e in ordered if per_day[e.day] == 1], p, radiotherapy_end_day)
    found: dict[int, Assessment] = {id(e): _blank(e, "before_baseline", "it lies before the baseline") for e in before}
    for segment in stretches:
        own = [_baseline(segment, len(ordered), p)]
        own += [_single(exam, segment.exams[:i], segment, p) for i, exam in enumerate(segment.exams) if i]
        found |= {id(e): a for e, a in zip(segment.exams, confirmed(segment, own, p), strict=True)}
    doubled = "other exams were made on the same day, so that their order is not known"
    return tuple(found.get(id(e)) or _blank(e, "not_evaluable", doubled, (doubled,)) for e in ordered)


def _blank(exam: Exam, category: str, reason: str, missing: tuple[str, ...] = ()) -> Assessment:
    return Assessment(
        exam.label,
        exam.day,
        exam.phase,
        category,
        category,
        reason=reason,
        basis=_basis(exam),
        new_lesions=exam.new_lesions,
        missing=missing,
    )


def _basis(exam: Exam) -> str:
    given = [n for n, v in (("clinical status", exam.clinical), ("corticosteroids", exam.steroids_mg)) if v is not None]
    lacking = [n for n in ("clinical status", "corticosteroids") if n not in given]
    if not given:
        return "imaging only; clinical status and corticosteroids not given"
    return f"imaging, {' and '.join(given)}" + (f"; {lacking[0]} not given" if lacking else "")


def _remarks(segment: Segment, p: ResponseParameters) -> tuple[str, ...]:
    out = [segment.remark] if segment.remark else []
    if segment.end_is_assumed:
        days = p.assumed_delay_days
        out.append(f"the end of radiotherapy is not given and assumed {days} days before the first exam after it")
    return tuple(out)


def _baseline(segment: Segment, n_exams: int, p: ResponseParameters) -> Assessment:
    reason = segment.remark or "first exam after radiotherapy"
    if n_exams == 1:
        reason += "; there is one exam only, so no response can be assessed"
    first = segment.baseline
    start = _blank(first, "baseline", reason, _remarks(segment, p))
    return replace(start, baseline_label=first.label, baseline_day=first.day, baseline_is_fallback=segment.is_fallback)


def _single(exam: Exam, earlier: Sequence[Exam], segment: Segment, p: ResponseParameters) -> Assessment:
    """Assess an exam by itself and the earlier ones of its segment."""
    changes = tuple(region_change(exam, earlier, r, p, minor=r == p.nonenhancing_region) for r in p.regions)
    category, rules, reasons = _combined(changes, p)
    missing = [*_remarks(segment, p)]
    missing += [
        f"{c.region}: {m.reason}"
        for c in changes
        for m in (c.product, c.volume)
        if p.measure in ("either", m.measure) and m.category == "not_evaluable"
    ]
    if exam.new_lesions is None:
        missing.append("new lesions were not looked for")
    elif exam.new_lesions > 0:
        rules = [*(rules if category == "PD" else []), "new lesion"]
        reasons.append(f"{exam.new_lesions} new measurable lesion{'s' if exam.new_lesions > 1 else ''}")
        category = "PD"
    if exam.clinical == "worse":
        rules = [*(rules if category == "PD" else []), "clinical status"]
        reasons.append("clinical status worse")
        category = "PD"
    category, rules = _with_steroids(exam, segment.baseline, category, rules, reasons, missing, p)
    if category in ("CR", "PR", "MR", "SD") and segment.baseline.phase == "preop" != exam.phase:
        reasons.append(f"the baseline is before surgery, which may have removed what is smaller: {category} cannot be told")
        category, rules = "not_evaluable", ["surgery"]
    return replace(
        _blank(exam, category, "; ".join(reasons), tuple(missing)),
        rule=" and ".join(rules),
        baseline_label=segment.baseline.label,
        baseline_day=segment.baseline.day,
        baseline_is_fallback=segment.is_fallback,
        changes=changes,
    )


def _combined(changes: tuple[RegionChange, ...], p: ResponseParameters) -> tuple[str, list[str], list[str]]:
    """Join what the regions say: category, rules, reasons."""
    first, reasons = changes[0], [c.reason for c in changes]
    if len(changes) == 1 or (p.tumour == "nonenhancing" and changes[1].category != "PD"):
        return first.category, [first.rule] if first.rule else [], reasons
    if any(c.category == "PD" for c in changes):
        rules = [c.rule for c in changes if c.category == "PD"]
        if p.tumour == "nonenhancing":
            rules = [*([first.rule] if first.category == "PD" else []), "new enhancement"]
        return "PD", list(dict.fromkeys(part for rule in rules for part in rule.split(" and "))), reasons
    if any(c.category == "not_evaluable" for c in changes):
        return "not_evaluable", [], reasons
    categories = {c.category for c in changes}
    rest = categories - {"SD", "CR"}
    joined = "MR" if "MR" in rest else next(iter(rest), "SD" if "SD" in categories else "CR")
    rules = [part for c in changes if c.category == joined for part in c.rule.split(" and ")]
    return joined, list(dict.fromkeys(rules)), reasons


def _with_steroids(
    exam: Exam,
    baseline: Exam,
    category: str,
    rules: list[str],
    reasons: list[str],
    missing: list[str],
    p: ResponseParameters,
) -> tuple[str, list[str]]:
    """Apply the rules on corticosteroids; adds to `reasons` and `missing`."""
    dose, before = exam.steroids_mg, baseline.steroids_mg
    if dose is None or category not in ("CR", "PR", "MR", "SD"):
        return category, rules
    if before is None:
        missing.append("the dose of corticosteroids at the baseline is not given")
    elif dose > max(before, p.physiological_steroids_mg):
        reasons.append(f"corticosteroids {before:g} to {dose:g} mg since the baseline: {category} cannot be assessed")
        return "not_evaluable", ["corticosteroids"]
    if category == "CR" and dose > p.physiological_steroids_mg:
        reasons.append(f"complete on {dose:g} mg corticosteroids: counts as partial")
        return "PR", [*rules, "corticosteroids"]
    return category, rules


@dataclass(frozen=True)
class ResponseSummary:
    """The response of a series in one row.

    Parameters
    ----------
    best
        Best confirmed response: ``CR``, ``PR``, ``MR``; else ``SD`` if any exam was stable or showed a response that was
        not confirmed; else ``PD``; ``not_evaluable``.
    progression_day, progression_label
        First exam of a progression that was not revised; None and empty without one.
    progression_confirmation
        Its confirmation.
    progression_rule
        What decided it.
    n_exams, n_evaluable
        Exams in all, and those with a category from CR to PD.
    """

    best: str
    progression_day: int | None
    progression_label: str
    progression_confirmation: Confirmation
    progression_rule: str
    n_exams: int
    n_evaluable: int

    def as_row(self) -> dict[str, object]:
        """Give one flat row."""
        day = float("nan") if self.progression_day is None else self.progression_day
        return {
            "best_response": self.best,
            "progression_day": day,
            "progression_label": self.progression_label,
            "progression_confirmation": self.progression_confirmation,
            "progression_rule": self.progression_rule,
            "n_exams": self.n_exams,
            "n_evaluable": self.n_evaluable,
        }


def response_summary(assessments: Sequence[Assessment]) -> ResponseSummary:
    """Sum up the assessments of a series: best response up to the first progression, and that progression.

    Parameters
    ----------
    assessments
        What `assess` gave.

    Returns
    -------
    ResponseSummary
        ``not_evaluable`` without any exam that has a category.
    """
    evaluable = [a for a in assessments if a.category in ("CR", "PR", "MR", "SD", "PD")]
    progression = next((a for a in evaluable if a.category == "PD"), None)
    until = evaluable if progression is None else evaluable[: evaluable.index(progression)]
    lasting = [a.category for a in until if a.confirmation == "confirmed" and a.category in ("CR", "PR", "MR")]
    if lasting:
        best = min(lasting, key=("CR", "PR", "MR").index)
    elif until:
        best = "SD"
    else:
        best = "not_evaluable" if progression is None else "PD"
    return ResponseSummary(
        best=best,
        progression_day=None if progression is None else progression.day,
        progression_label="" if progression is None else progression.label,
        progression_confirmation="" if progression is None else progression.confirmation,
        progression_rule="" if progression is None else progression.rule,
        n_exams=len(assessments),
        n_evaluable=len(evaluable),
    )
