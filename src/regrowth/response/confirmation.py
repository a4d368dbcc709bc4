"""Which progressions and responses later exams confirm, and which they revise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regrowth.response.assessment import Assessment
from regrowth.response.baseline import Segment
from regrowth.response.change import region_change
from regrowth.response.exam import Exam, ResponseParameters

__all__ = ["confirmed"]

_RESPONSES = ("CR", "PR", "MR")  # from best to least


def confirmed(segment: Segment, assessments: Sequence[Assessment], parameters: ResponseParameters) -> tuple[Assessment, ...]:
    """Revise the assessments of a segment by what later exams of it say.

    Parameters
    ----------
    segment
        Baseline and exams.
    assessments
        One per exam of the segment, each by its exam and the earlier ones.
    parameters
        Windows and intervals.

    Returns
    -------
    tuple of Assessment
        With category, confirmation, confirmed_by and reason as they are in view of the whole segment.

    Notes
    -----
    *Progression* up to ``confirmation_window_days`` after radiotherapy may be an effect of treatment. The first exam with
    values that comes at least ``confirmation_days`` later decides. It confirms, with ``confirmation="sustained"``, if it
    still shows progression from the nadir that the first exam was compared with; with ``"further"`` (the modified RANO of
    Ellingson et al. 2017, doi:10.1007/s13311-016-0507-6, from memory) if it shows progression from the first exam; in both
    if there is another new lesion or clinical worsening. A progression by a new lesion alone is sustained if the tumour has
    not become smaller than it was with the lesion (our own rule: the lesion is not followed by itself). A progression that
    is not confirmed is called stable, and its exam still counts for the nadir. One by clinical worsening needs no
    confirmation. Later than the window confirmation is not required, unless ``confirm_always``.

    *A response* is confirmed if all exams with a category over at least ``durable_days`` show it or better. One that ends
    sooner counts as the next lower response, else as stable; one with nothing after it that contradicts is preliminary.
    """
    out = []
    for i, found in enumerate(assessments):
        if found.exam_category == "PD":
            out.append(_progression(segment, i, found, parameters))
        elif found.exam_category in _RESPONSES:
            out.append(_response(assessments, i, parameters))
        else:
            out.append(found)
    return tuple(out)


def _progression(segment: Segment, i: int, found: Assessment, p: ResponseParameters) -> Assessment:
    if "clinical status" in found.rule:
        return replace(found, confirmation="not_required")
    end = segment.radiotherapy_end_day
    if not p.confirm_always:
        if end is None:
            unknown = "the end of radiotherapy is not known, so whether progression must be confirmed cannot be told"
            return replace(found, confirmation="unknown", missing=(*found.missing, unknown))
        if found.day > end + p.confirmation_window_days:
            return replace(found, confirmation="not_required")
    for later in segment.exams[i + 1 :]:
        if later.day - found.day < p.confirmation_days:
            continue
        verdict = _confirms(segment.exams[: i + 1], later, found, p)
        if verdict is None:
            continue
        name = later.label or f"day {later.day}"
        if verdict:
            return replace(found, confirmation="confirmed", confirmed_by=name, reason=f"{found.reason}; confirmed by {name}")
        revised = f"{found.reason}; not confirmed by {name}: taken for an effect of treatment (pseudoprogression)"
        return replace(found, category="SD", confirmation="not_confirmed", confirmed_by=name, reason=revised)
    waiting = f"{found.reason}; no exam at least {p.confirmation_days} days later confirms or revises it"
    return replace(found, confirmation="preliminary", reason=waiting)


def _confirms(until: Sequence[Exam], later: Exam, found: Assessment, p: ResponseParameters) -> bool | None:
    """Tell whether a later exam confirms the progression of the last of `until`; None if it has no values."""
    if later.clinical == "worse" or (later.new_lesions or 0) > 0:
        return True
    first = until[-1]
    by_size = {"product", "volume", "new enhancement"} & set(found.rule.split(" and "))
    if not by_size and p.confirmation == "sustained":  # a new lesion alone
        pairs = [(first.product_mm2(r), later.product_mm2(r)) for r in p.regions if p.measure != "volume"]
        pairs += [(first.volume_ml(r), later.volume_ml(r)) for r in p.regions if p.measure != "product"]
        known = [(a, b) for a, b in pairs if a == a and b == b]
        return all(b >= a for a, b in known) if known else None
    earlier = until[:-1] if p.confirmation == "sustained" else [first]
    changes = [region_change(later, earlier, region, p).category for region in p.regions]
    if "PD" in changes:
        return True
    return None if changes[0] == "not_evaluable" else False


def _response(assessments: Sequence[Assessment], i: int, p: ResponseParameters) -> Assessment:
    found = assessments[i]
    evaluable = [a for a in assessments[1:] if a.exam_category != "not_evaluable"]
    here = next(n for n, a in enumerate(evaluable) if a is found)
    for level in _RESPONSES[_RESPONSES.index(found.exam_category) :]:
        if level == "MR" and p.tumour == "enhancing":
            break
        good = [a.exam_category in _RESPONSES[: _RESPONSES.index(level) + 1] for a in evaluable]
        start = here - next((n for n, g in enumerate(reversed(good[:here])) if not g), here)
        stop = here + next((n for n, g in enumerate(good[here:]) if not g), len(good) - here)
        run = evaluable[start:stop]
        lower = "" if level == found.exam_category else f"; as {found.exam_category} it did not last, as {level} it did"
        if run[-1].day - run[0].day >= p.durable_days:
            by = next(a for a in run if a.day - run[0].day >= p.durable_days)
            name = by.label or f"day {by.day}"
            reason = f"{found.reason}{lower}; lasts at least {p.durable_days} days (to {name})"
            return replace(found, category=level, confirmation="confirmed", confirmed_by=name, reason=reason)
        if stop == len(evaluable):
            reason = f"{found.reason}; no exam at least {p.durable_days} days later shows that it lasts"
            return replace(found, category=level, confirmation="preliminary", reason=reason)
    after = next((a for a in evaluable[here + 1 :] if a.exam_category not in _RESPONSES), None)
    name = "" if after is None else after.label or f"day {after.day}"
    reason = f"{found.reason}; it did not last {p.durable_days} days" + (f" ({name})" if name else "")
    return replace(found, category="SD", confirmation="not_confirmed", confirmed_by=name, reason=reason)
