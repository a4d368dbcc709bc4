"""Which exam of a series the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regrowth.response.exam import Exam, ResponseParameters

__all__ = ["Segment", "segments"]


@dataclass(frozen=True)
class Segment:
    """A baseline and the exams that are compared with it.

    Parameters
    ----------
    exams
        The baseline first, then the later exams by day.
    is_fallback
        Whether the baseline is not an exam after radiotherapy.
    remark
        Why this is the baseline, where that is not plain.
    radiotherapy_end_day
        Last day of radiotherapy; None if not known.
    end_is_assumed
        Whether that day was derived from the day of the baseline.
    """

    exams: tuple[Exam, ...]
    is_fallback: bool
    remark: str
    radiotherapy_end_day: float | None
    end_is_assumed: bool

    @property
    def baseline(self) -> Exam:
        """The exam that the others are compared with."""
        return self.exams[0]


def segments(
    exams: Sequence[Exam], parameters: ResponseParameters, radiotherapy_end_day: float | None = None
) -> tuple[tuple[Exam, ...], tuple[Segment, ...]]:
    """Cut a series into stretches with one baseline each.

    Parameters
    ----------
    exams
        Exams in order of their days, no two on one day.
    parameters
        For the regions and measures that a baseline needs, and the assumed delay.
    radiotherapy_end_day
        Last day of radiotherapy, if known.

    Returns
    -------
    tuple
        Exams before the first baseline, and the segments.
    """
    if not exams:
        return (), ()
    first, is_fallback, remark = _first(exams, parameters, radiotherapy_end_day)
    starts = [first]
    for i in range(first + 1, len(exams)):
        # After surgery, and after radiotherapy that a new operation or plan came before, sizes start anew.
        again = any(e.phase in ("postop", "planning") for e in exams[starts[-1] : i])
        if exams[i].phase == "postop" or (exams[i].phase == "postradiotherapy" and again):
            starts.append(i)
    found: list[Segment] = []
    for n, start in enumerate(starts):
        stretch = tuple(exams[start : starts[n + 1] if n + 1 < len(starts) else len(exams)])
        if n:
            is_fallback = stretch[0].phase != "postradiotherapy"
            remark = f"new baseline {_name(stretch[0])}: {'surgery' if is_fallback else 'new radiotherapy'} came before it"
        end, assumed = _end(stretch[0], parameters, radiotherapy_end_day)
        if end is None and found:
            end, assumed = found[-1].radiotherapy_end_day, found[-1].end_is_assumed
        found.append(Segment(stretch, is_fallback, remark, end, assumed))
    return tuple(exams[:first]), tuple(found)


def _name(exam: Exam) -> str:
    return exam.label or f"of day {exam.day}"


def _is_measured(exam: Exam, p: ResponseParameters) -> bool:
    values = {"product": exam.product_mm2(p.regions[0]), "volume": exam.volume_ml(p.regions[0])}
    return any(v == v for measure, v in values.items() if p.measure in ("either", measure))


def _first(exams: Sequence[Exam], p: ResponseParameters, end_day: float | None) -> tuple[int, bool, str]:
    """Find the first baseline: its index, whether it is a fallback, and why it was taken."""
    places = range(len(exams))
    treated = [i for i in places if exams[i].phase == "postradiotherapy"]
    if not treated and end_day is not None:
        treated = [i for i in places if exams[i].day >= end_day and exams[i].phase not in ("preop", "postop", "planning")][:1]
    lacking = "no exam after radiotherapy is marked" if not treated else "no exam after radiotherapy is measured"
    kinds = (
        (treated, False, ""),
        ([i for i in places if exams[i].phase == "postop"], True, f"{lacking}: the baseline is the first exam after surgery"),
        (
            [i for i in places[:-1] if exams[i].phase != "preop"],
            True,
            f"{lacking}: the baseline is the first exam that is not pre-operative",
        ),
        (
            list(places),
            True,
            f"{lacking}: the baseline is the first exam"
            + (", so that changes include what surgery removed" if exams[0].phase == "preop" else ""),
        ),
    )
    for candidates, is_fallback, remark in kinds:
        measured = [i for i in candidates if _is_measured(exams[i], p)]
        if measured and candidates is treated and measured[0] != treated[0]:
            remark = f"the baseline is {_name(exams[measured[0]])}, since {_name(exams[treated[0]])} is not measured"
        if measured:
            return measured[0], is_fallback, remark
    return (treated or [0])[0], not treated, "no exam is measured" if treated else f"{lacking}, and no exam is measured"


def _end(baseline: Exam, p: ResponseParameters, end_day: float | None) -> tuple[float | None, bool]:
    """Find the last day of the radiotherapy before a baseline, and whether it was assumed."""
    near = end_day is not None and baseline.day - end_day <= p.confirmation_window_days
    if end_day is not None and (near or baseline.phase != "postradiotherapy"):
        return end_day, False
    if baseline.phase == "postradiotherapy":
        return baseline.day - p.assumed_delay_days, True
    return None, False
