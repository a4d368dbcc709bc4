"""How the tumour responded: sizes over time with the thresholds that decide, and the responses of a cohort as lanes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from regrowth.report.figures.timeline import ClinicalEvent
    from regrowth.response import Assessment, Exam, ResponseParameters

__all__ = ["CATEGORIES", "response_figure", "swimmer_figure"]

CATEGORIES: Mapping[str, tuple[str, str, str]] = {
    "CR": ("CR", canvas.OKABE_ITO["green"], "complete response"),
    "PR": ("PR", canvas.OKABE_ITO["sky"], "partial response"),
    "MR": ("MR", canvas.OKABE_ITO["purple"], "minor response"),
    "SD": ("SD", canvas.OKABE_ITO["orange"], "stable disease"),
    "PD": ("PD", canvas.OKABE_ITO["vermillion"], "progression"),
    "baseline": ("B", canvas.OKABE_ITO["blue"], "baseline"),
    "before_baseline": ("–", canvas.OKABE_ITO["grey"], "before the baseline"),
    "not_evaluable": ("?", canvas.OKABE_ITO["grey"], "not evaluable"),
}
"""Category to its letters, colour and words."""

_WIDTH_IN = 9.4
_OPEN = ("preliminary", "unknown")  # of a confirmation: more exams or facts are needed
_STATES = {"confirmed": "confirmed", "not_confirmed": "not confirmed", "preliminary": "preliminary", "unknown": "unclear"}
_MEASURES = (
    ("volume", "volume_ml", "volumes_ml", "volume (ml)"),
    ("product", "product_mm2", "products_mm2", "sum of products (mm²)"),
)
_GOOD = "Categories follow the sizes: PD where a point rises above the red dashes, PR where it falls below the blue ones."
_FAILURE = (
    "PD soon after radiotherapy that a later exam does not confirm (pseudoprogression); a jump without a reason (a wrong label "
    "scheme or a failed segmentation); sizes of the two measures that go apart."
)


def response_figure(
    exams: Sequence[Exam],
    assessments: Sequence[Assessment],
    *,
    parameters: ResponseParameters | None = None,
    events: Sequence[ClinicalEvent] = (),
    name: str = "response",
    title: str = "Response (RANO 2.0)",
    synthetic: bool = False,
) -> content.Figure:
    """Draw the sizes of the tumour over the exams, the thresholds in force at each, and the category that was given.

    Parameters
    ----------
    exams
        The exams, with volumes and sums of products.
    assessments
        What `regrowth.response.assess` gave for them.
    parameters
        Thresholds that were used; the default ones if left out.
    events
        Treatments, drawn as spans or marks.
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no exam, or the assessments are of other exams.
    """
    if not exams:
        raise ParameterError("a figure of the response needs at least one exam; leave it out")
    if sorted((e.day, e.label) for e in exams) != sorted((a.day, a.label) for a in assessments):
        raise ParameterError("the assessments are not of these exams; pass what assess gave for them")
    thresholds = parameters if parameters is not None else _default_parameters()
    ordered = sorted(assessments, key=lambda a: (a.day, a.label))
    by_exam = {(e.day, e.label): e for e in exams}
    regions = thresholds.regions
    shown = [m for m in _MEASURES if any(np.isfinite(_value(e, m[2], r)) for e in exams for r in regions)]
    days = [float(a.day) for a in ordered] + [d for e in events for d in (e.day, e.last_day) if d is not None]
    span = max(max(days) - min(days), 1.0)
    margin = max(0.05 * span, 4.0)
    levels = _levels([float(a.day) for a in ordered], span + 2 * margin)
    with canvas.drawing():
        top = 1.2 + 0.6 * max(levels) + 0.24 * len(events)
        heights = [top, *[1.9] * len(shown)]
        figure, axes = canvas.new_chart(_WIDTH_IN, sum(heights) + 0.75, heights, sharex=True)
        _strip(axes[0, 0], ordered, levels, events)
        for ax, (measure, _, field, label) in zip(axes[1:, 0], shown, strict=True):
            _sizes(ax, ordered, by_exam, measure, field, regions, thresholds)
            ax.set_ylabel(label)
        last = axes[-1, 0]
        last.set_xlim(min(days) - margin, max(days) + margin)
        last.set_xlabel("days from the first exam")
        last.tick_params(labelbottom=True)
        figure.suptitle(textwrap.shorten(title, 90, placeholder=" …"), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        _legend(figure, ordered, bool(shown))
        counted = ", ".join(f"{_label(a)}: {CATEGORIES.get(a.category, ('?', '', a.category))[2]}" for a in ordered[:8])
        caption = f"{title}: category of every exam and the sizes it rests on ({counted}{', …' if len(ordered) > 8 else ''})."
        if not shown:
            caption += " No size is known."
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _default_parameters() -> ResponseParameters:
    from regrowth.response import ResponseParameters

    return ResponseParameters()


def _value(exam: Exam, field: str, region: str) -> float:
    value = getattr(exam, field).get(region)
    return math.nan if value is None else float(value)


def _label(assessment: Assessment) -> str:
    return assessment.label or f"d{assessment.day}"


def _levels(days: Sequence[float], span: float) -> list[int]:
    """Height of each mark, so that neighbours do not overlap: the lowest level that is free."""
    ends: list[float] = []
    out = []
    for day in days:
        level = next((n for n, end in enumerate(ends) if day - end > 0.078 * span), len(ends))
        if level == len(ends):
            ends.append(day)
        ends[level] = day
        out.append(level)
    return out


def _strip(ax: Axes, ordered: Sequence[Assessment], levels: Sequence[int], events: Sequence[ClinicalEvent]) -> None:
    """Categories as coloured marks above a line of days, treatments beneath it."""
    ax.axhline(0, color=canvas.MUTED, linewidth=1.1)
    style: dict[str, Any]
    for a, level in zip(ordered, levels, strict=True):
        letters, colour, _ = CATEGORIES.get(a.category, CATEGORIES["not_evaluable"])
        y = 0.75 + 1.4 * level
        ax.plot([a.day, a.day], [0, y - 0.3], color=colour, linewidth=0.9, zorder=1)
        ax.plot([a.day], [0], "o", color=colour, markersize=4, zorder=2)
        _mark(ax, a.day, y, letters, colour, hollow=a.confirmation in _OPEN, size=19)
        words = _label(a) if len(_label(a)) < 14 else _label(a)[:12] + "…"
        state = _STATES.get(a.confirmation, "")
        ax.annotate(words, (a.day, y), (0, 11), textcoords="offset points", ha="center", va="bottom", fontsize=7.8)
        if state:
            style = {"fontsize": 6.8, "color": canvas.MUTED, "ha": "center", "va": "bottom"}
            ax.annotate(state, (a.day, y), (0, 20), textcoords="offset points", **style)
        if a.new_lesions:
            style = {"fontsize": 7.8, "fontweight": "bold", "color": canvas.OKABE_ITO["vermillion"]}
            ax.annotate(f"★+{a.new_lesions}", (a.day, y), (12, 0), textcoords="offset points", va="center", **style)
    for k, event in enumerate(sorted(events, key=lambda e: (e.day, e.name))):
        y = -0.55 - 0.6 * k
        end = event.last_day if event.last_day is not None else event.day
        shape: dict[str, Any] = {"color": canvas.OKABE_ITO["grey"], "alpha": 0.8}
        if end > event.day:
            ax.plot([event.day, end], [y, y], linewidth=6, solid_capstyle="butt", **shape)
        else:
            ax.plot([event.day], [y], "D", markersize=5, **shape)
        ax.text(end, y, f"   {event.name}", va="center", fontsize=8)
    ax.set_ylim(-0.35 - 0.6 * len(events), 1.95 + 1.4 * max(levels))
    ax.set_yticks([])
    ax.tick_params(length=0, labelbottom=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def _mark(ax: Axes, x: float, y: float, letters: str, colour: str, *, hollow: bool, size: float) -> None:
    """Draw the category as a disc with its letters; hollow while it is not certain."""
    face = "none" if hollow else colour
    ax.plot([x], [y], "o", markersize=size, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.8, zorder=3)
    ink = canvas.INK if hollow else "#101418"
    ax.text(x, y, letters, ha="center", va="center", fontsize=0.42 * size, fontweight="bold", color=ink, zorder=4)


def _sizes(
    ax: Axes,
    ordered: Sequence[Assessment],
    by_exam: Mapping[tuple[int, str], Exam],
    measure: str,
    field: str,
    regions: Sequence[str],
    p: ResponseParameters,
) -> None:
    """Sizes of the regions, and for the deciding one the thresholds that held at each exam."""
    days = np.array([a.day for a in ordered], float)
    for n, region in enumerate(regions):
        values = np.array([_value(by_exam[a.day, a.label], field, region) for a in ordered])
        colour = canvas.REGION_COLOURS.get(region, canvas.OKABE_ITO["grey"])
        known = np.isfinite(values)
        ax.plot(days[known], values[known], ":", color=colour, linewidth=1.0)
        ax.plot(days, values, "-", color=colour, linewidth=1.6, label=region, zorder=2)
        for a, value in zip(ordered, values, strict=True):
            if n == 0 and math.isfinite(value):
                _, shade, _ = CATEGORIES.get(a.category, CATEGORIES["not_evaluable"])
                ax.plot([a.day], [value], "o", color=shade, markersize=7.5, markeredgecolor=colour, markeredgewidth=1, zorder=3)
    rise, fall = getattr(p, f"progression_{measure}_share"), getattr(p, f"partial_{measure}_share")
    for before, a in zip([ordered[0], *ordered], ordered, strict=False):
        change = getattr(a.changes[0], measure) if a.changes else None
        if change is None:
            continue
        for reference, factor, name in ((change.nadir, 1 + rise, "vermillion"), (change.baseline, 1 - fall, "blue")):
            if math.isfinite(reference) and reference > 0:
                at = [reference * factor] * 2
                ax.plot([before.day, a.day], at, color=canvas.OKABE_ITO[name], linewidth=1.3, linestyle=(0, (4, 2)), zorder=1)
    _limit(ax, ordered, by_exam, field, regions)
    canvas.quiet(ax)
    words = f"dashes: PD from nadir +{100 * rise:.0f} % (red), PR from baseline −{100 * fall:.0f} % (blue)"
    ax.set_title(f"{regions[0]}; {words}", loc="left", fontsize=8.4, color=canvas.MUTED)


def _limit(
    ax: Axes,
    ordered: Sequence[Assessment],
    by_exam: Mapping[tuple[int, str], Exam],
    field: str,
    regions: Sequence[str],
) -> None:
    """End the axis above what is assessed; larger sizes from before the baseline become arrows with their number."""
    sizes = [(a, r, _value(by_exam[a.day, a.label], field, r)) for a in ordered for r in regions]
    sizes = [s for s in sizes if math.isfinite(s[2])]
    assessed = [v for a, _, v in sizes if a.category != "before_baseline"] or [v for _, _, v in sizes]
    top = max(assessed, default=0.0) * 1.25 or 1.0
    highest = max((v for _, _, v in sizes), default=top)
    if highest <= 1.3 * top:
        top = max(top, highest * 1.1)
    ax.set_ylim(0, top)
    for a, region, value in sizes:
        if value > top:
            colour = canvas.REGION_COLOURS.get(region, canvas.OKABE_ITO["grey"])
            ax.plot([a.day], [0.97 * top], "^", color=colour, markersize=7, zorder=4)
            ax.annotate(f"{value:.3g}", (a.day, 0.97 * top), (7, 0), textcoords="offset points", va="center", fontsize=8)


def _legend(figure: Any, ordered: Sequence[Assessment], sizes: bool) -> None:
    from matplotlib.lines import Line2D

    present = [c for c in CATEGORIES if any(a.category == c for a in ordered)]
    handles = [
        Line2D([], [], marker="o", linestyle="", color=CATEGORIES[c][1], label=f"{CATEGORIES[c][0]} {CATEGORIES[c][2]}")
        for c in present
    ]
    if any(a.confirmation in _OPEN for a in ordered):
        grey = canvas.OKABE_ITO["grey"]
        handles.append(
            Line2D([], [], marker="o", linestyle="", color=grey, markerfacecolor="none", label="hollow: not certain yet")
        )
    if any(a.new_lesions for a in ordered):
        handles.append(
            Line2D([], [], marker="*", linestyle="", color=canvas.OKABE_ITO["vermillion"], label="new measurable lesion")
        )
    figure.legend(handles=handles, loc="outside lower left", ncols=5, fontsize=8.3, handletextpad=0.2, columnspacing=1.4)


def swimmer_figure(
    patients: Mapping[str, Sequence[Assessment]],
    *,
    ends: Mapping[str, tuple[float, bool]] | None = None,
    name: str = "swimmer",
    title: str = "Responses of all patients",
    most: int = 60,
    synthetic: bool = False,
) -> content.Figure:
    """Draw one lane per patient with the category of every exam, the longest at the top.

    Parameters
    ----------
    patients
        Label to assessments; patients without an exam are left out.
    ends
        Label to the last day of follow-up and whether the patient died then.
    name, title, synthetic
        As in `segmentation_figure`.
    most
        Most lanes; the caption says how many patients are not shown.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no patient has an exam.
    """
    known = {label: sorted(found, key=lambda a: a.day) for label, found in patients.items() if found}
    if not known:
        raise ParameterError(f"{title}: no patient has an exam; leave the figure out")
    last = {k: max(float(v[-1].day), (ends or {}).get(k, (0.0, False))[0]) for k, v in known.items()}
    lanes = sorted(known, key=lambda k: (-last[k], k))
    shown = lanes[:most]
    with canvas.drawing():
        figure, axes = canvas.new_chart(_WIDTH_IN, 1.25 + 0.25 * len(shown))
        ax = axes[0, 0]
        for y, label in enumerate(shown):
            first = float(known[label][0].day)
            ax.plot([first, last[label]], [y, y], color=canvas.HAIRLINE, linewidth=5, solid_capstyle="butt", zorder=1)
            for a in known[label]:
                letters, colour, _ = CATEGORIES.get(a.category, CATEGORIES["not_evaluable"])
                _mark(ax, a.day, y, letters, colour, hollow=a.confirmation in _OPEN, size=12)
            if ends is not None and label in ends:
                mark = "X" if ends[label][1] else ">"
                ax.plot([last[label]], [y], mark, color=canvas.INK, markersize=6, zorder=5)
        ax.set_yticks(range(len(shown)), [k if len(k) < 22 else k[:20] + "…" for k in shown], fontsize=8)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_xlabel("days from the first exam" + ("; × death, ▸ follow-up goes on" if ends else ""))
        ax.set_title(textwrap.shorten(title, 90, placeholder=" …"), loc="left", fontsize=10.5, fontweight="bold")
        ax.margins(x=0.04)
        canvas.quiet(ax, "x")
        _legend(figure, [a for k in shown for a in known[k]], False)
        lost = len(patients) - len(known)
        caption = f"{title}: {len(shown)} of {len(patients)} patients, one lane each, the category of every exam."
        caption += f" {lost} without an exam are left out." if lost else ""
        failure = (
            "Lanes that begin with progression (no baseline after radiotherapy), or with marks at equal days (lost dates)."
        )
        return canvas.finish(figure, "svg", name, caption, _GOOD, failure, synthetic=synthetic)
