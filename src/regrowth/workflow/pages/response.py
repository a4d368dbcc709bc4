"""What a page says about the response of a tumour over a series of exams."""

from __future__ import annotations

from collections.abc import Sequence

from regrowth.report import Column, Missing, Section, Table, Value
from regrowth.report.figures.response import CATEGORIES, response_figure
from regrowth.response import Assessment, Exam, ResponseParameters
from regrowth.workflow.pages.values import NOMINAL_NOTE

__all__ = ["response_section"]

_COLUMNS = (
    Column("exam"),
    Column("day", "d"),
    Column("response", "", "what later exams left of it; see the confirmation"),
    Column("confirmation"),
    Column("by", "", "what decided"),
    Column("volume", "ml", "of the assessed region, native"),
    Column("from nadir", "%", "change of the volume since the smallest since the baseline", 0),
    Column("products", "mm²", "sum of the products of the two diameters of the largest lesions", 0),
    Column("from nadir", "%", "change of the sum of products since the smallest since the baseline", 0),
    Column("new", "", "new measurable lesions"),
)


def response_section(
    exams: Sequence[Exam],
    assessments: Sequence[Assessment],
    parameters: ResponseParameters,
    *,
    is_nominal: bool = False,
    synthetic: bool = False,
) -> Section:
    """Draw and tabulate a series.

    Parameters
    ----------
    exams, assessments
        The exams and what `regrowth.response.assess` gave for them.
    parameters
        Thresholds that were used.
    is_nominal
        Whether the spacing of an exam is nominal.
    synthetic
        Whether an exam is made up.
    """
    if not assessments:
        return Section("Response", "response", skipped="no exam could be assessed")
    figure = response_figure(exams, assessments, parameters=parameters, synthetic=synthetic)
    region = parameters.regions[0].replace("_", " ")
    missing = list(dict.fromkeys(text for a in assessments for text in a.missing))
    bases = list(dict.fromkeys(a.basis for a in assessments if a.basis))
    text = (
        f"Response by the rules of RANO 2.0, measured on {region}. A reading of segmentations, no clinical assessment: "
        f"{'; '.join(bases)}."
    )
    notes = tuple([NOMINAL_NOTE] if is_nominal else []) + tuple(f"Not known: {m}." for m in missing)
    table = Table("Response of every exam", _COLUMNS, tuple(_row(a) for a in assessments), notes=notes)
    reasons = [
        f"{a.label}, {CATEGORIES.get(a.category, ('', '', a.category))[2]}: {a.reason}." for a in assessments if a.reason
    ]
    return Section("Response", "response", "\n\n".join([text, *reasons]), (figure,), (table,))


def _row(a: Assessment) -> tuple[Value, ...]:
    first = a.changes[0] if a.changes else None
    cells: list[Value] = []
    for change in (first.volume, first.product) if first else (None, None):
        known = change is not None and change.from_nadir == change.from_nadir
        cells.append(Missing("not compared") if change is None else change.value)
        cells.append(100 * change.from_nadir if change is not None and known else Missing("nothing to compare with"))
    return (
        a.label,
        a.day,
        CATEGORIES.get(a.category, ("", "", a.category))[2],
        a.confirmation.replace("_", " "),
        a.rule,
        *cells,
        Missing("new lesions were not looked for") if a.new_lesions is None else a.new_lesions,
    )
