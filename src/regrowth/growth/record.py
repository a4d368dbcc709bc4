"""What is known of the treatment of one patient: what a model can use, and what it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regrowth.growth.treatment import NO_TREATMENT, Treatment

__all__ = ["TreatmentEvent", "TreatmentRecord"]

_NEW_COURSE_DAYS = 14.0


@dataclass(frozen=True, order=True)
class TreatmentEvent:
    """Something to show beside a curve: from `day` to `stop_day` (the same for what happens once)."""

    day: float
    stop_day: float
    kind: Literal["radiotherapy", "surgery", "drug"]
    label: str


@dataclass(frozen=True)
class TreatmentRecord:
    """Treatment of one patient, on the day count of its exams.

    Parameters
    ----------
    treatment
        What a model can use: fractions, drugs, and resections whose remaining part is known.
    resections
        Days of resections that left an unknown part. A series of volumes cannot be forecast across them; after them it starts
        anew with the next exam.
    notes
        What is assumed or missing, in sentences.
    """

    treatment: Treatment = NO_TREATMENT
    resections: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def events(self) -> tuple[TreatmentEvent, ...]:
        """Everything in the order of its days, fractions joined to courses."""
        out = [TreatmentEvent(d, d, "surgery", "surgery") for d in self.resections]
        out += [TreatmentEvent(s.day, s.day, "surgery", "surgery") for s in self.treatment.surgeries]
        out += [TreatmentEvent(d.start_day, d.stop_day, "drug", "drug") for d in self.treatment.drugs]
        course: list[tuple[float, float]] = []
        for fraction in (*self.treatment.fractions, None):
            if course and (fraction is None or fraction.day - course[-1][0] > _NEW_COURSE_DAYS):
                total = sum(dose for _, dose in course)
                label = f"{total:g} Gy in {len(course)}"
                out.append(TreatmentEvent(course[0][0], course[-1][0], "radiotherapy", label))
                course = []
            if fraction is not None:
                course.append((fraction.day, fraction.dose_gy))
        return tuple(sorted(out))
