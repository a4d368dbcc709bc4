"""What the response at one exam was, and what the decision rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regrowth.response.change import RegionChange

__all__ = ["Assessment", "Confirmation"]

Confirmation = Literal["", "not_required", "preliminary", "confirmed", "not_confirmed", "unknown"]
_NAN = float("nan")


@dataclass(frozen=True)
class Assessment:
    """The response at one exam, and what it rests on.

    Parameters
    ----------
    label, day, phase
        The exam.
    category
        ``CR``, ``PR``, ``MR`` (minor), ``SD``, ``PD``; ``baseline``; ``before_baseline``; ``not_evaluable``. After what
        later exams say: an early progression that is not confirmed and a response that does not last are ``SD`` here.
    exam_category
        The same by this exam and the earlier ones alone.
    confirmation
        ``not_required``; ``preliminary``: needs a later exam that is not there; ``confirmed``; ``not_confirmed`` (with an
        early progression: pseudoprogression); ``unknown``: whether a progression must be confirmed cannot be told, because
        the end of radiotherapy is not known. Empty where there is nothing to confirm.
    confirmed_by
        Label of the exam that confirmed or revised it.
    rule
        What decided: ``product``, ``volume``, ``product and volume``, ``new lesion``, ``clinical status``,
        ``corticosteroids``, ``new enhancement``; empty without a decision.
    reason
        The numbers, in words.
    basis
        What was known beside the images.
    baseline_label, baseline_day
        Reference exam; empty and None before there is one.
    baseline_is_fallback
        Whether it is not an exam after radiotherapy.
    new_lesions
        As given; None if nobody looked.
    changes
        The regions that were compared, the deciding one first.
    missing
        What was not known for a rule, in words.
    """

    label: str
    day: int
    phase: str
    category: str
    exam_category: str
    confirmation: Confirmation = ""
    confirmed_by: str = ""
    rule: str = ""
    reason: str = ""
    basis: str = ""
    baseline_label: str = ""
    baseline_day: int | None = None
    baseline_is_fallback: bool = False
    new_lesions: int | None = None
    changes: tuple[RegionChange, ...] = ()
    missing: tuple[str, ...] = ()

    def as_row(self) -> dict[str, object]:
        """Give one flat row; changes of the deciding region in percent, ``other_*`` of the second region if there is one."""
        row: dict[str, object] = {
            "label": self.label,
            "day": self.day,
            "phase": self.phase,
            "category": self.category,
            "exam_category": self.exam_category,
            "confirmation": self.confirmation,
            "confirmed_by": self.confirmed_by,
            "rule": self.rule,
            "reason": self.reason,
            "basis": self.basis,
            "baseline_label": self.baseline_label,
            "baseline_day": _NAN if self.baseline_day is None else self.baseline_day,
            "baseline_is_fallback": self.baseline_is_fallback,
            "new_lesions": _NAN if self.new_lesions is None else self.new_lesions,
            "region": self.changes[0].region if self.changes else "",
        }
        first = self.changes[0] if self.changes else None
        for name, unit in (("product", "mm2"), ("volume", "ml")):
            change = None if first is None else getattr(first, name)
            row |= {
                f"{name}_{unit}": _NAN if change is None else change.value,
                f"{name}_baseline_{unit}": _NAN if change is None else change.baseline,
                f"{name}_nadir_{unit}": _NAN if change is None else change.nadir,
                f"{name}_nadir_label": "" if change is None else change.nadir_label,
                f"{name}_from_baseline_percent": _NAN if change is None else 100 * change.from_baseline,
                f"{name}_from_nadir_percent": _NAN if change is None else 100 * change.from_nadir,
            }
        other = self.changes[1] if len(self.changes) > 1 else None
        row |= {
            "other_region": "" if other is None else other.region,
            "other_category": "" if other is None else other.category,
            "other_reason": "" if other is None else other.reason,
            "missing": "; ".join(self.missing),
        }
        return row
