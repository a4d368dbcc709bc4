"""When the patient was scanned and treated, and how the volumes went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regrowth.clinical import PHASES, Session
from regrowth.errors import ParameterError
from regrowth.labels import REGIONS
from regrowth.report import content
from regrowth.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClinicalEvent", "timeline_figure"]

_GOOD = "Exams in the order and at the distances known from the patient's record; volumes that follow resection and regrowth."
_FAILURE = (
    "All exams on one day or in the wrong order (dates lost or shifted in the table of sessions); a volume that jumps without "
    "a reason (wrong label scheme or a failed segmentation)."
)
_WIDTH_IN = 9.4
_PHASE_COLOURS = {
    "preop": canvas.OKABE_ITO["blue"],
    "postop": canvas.OKABE_ITO["sky"],
    "planning": canvas.OKABE_ITO["purple"],
    "postradiotherapy": canvas.OKABE_ITO["green"],
    "followup": canvas.OKABE_ITO["orange"],
    "progression": canvas.OKABE_ITO["vermillion"],
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class ClinicalEvent:
    """Something that happened to the patient beside the exams.

    Parameters
    ----------
    name
        Such as ``resection`` or ``radiotherapy``.
    day
        First day, counted as the days of the sessions.
    last_day
        Last day of something that takes time; None for a single day.
    """

    name: str
    day: float
    last_day: float | None = None


def timeline_figure(
    sessions: Sequence[Session],
    events: Sequence[ClinicalEvent] = (),
    volumes_ml: Mapping[str, Mapping[str, float]] | None = None,
    *,
    regions: Sequence[str] = ("CE_core", "NE", "RC"),
    name: str = "timeline",
    synthetic: bool = False,
) -> content.Figure:
    """Draw exams and events on an axis of days, and the volumes of regions beneath.

    Parameters
    ----------
    sessions
        Exams; their phases colour the marks.
    events
        What else is known; a span where it has a last day.
    volumes_ml
        Session label to region to volume in ml. NaN leaves a gap that is marked; without volumes there is no lower part.
    regions
        Regions drawn, where any exam has them; if none of these, all that there are.
    name, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no session.
    """
    if not sessions:
        raise ParameterError("a timeline needs at least one session")
    ordered = sorted(sessions, key=lambda s: (s.day, s.label))
    known = volumes_ml or {}
    measured = [r for r in regions if any(np.isfinite(known.get(s.label, {}).get(r, np.nan)) for s in ordered)]
    if not measured:
        measured = sorted({r for v in known.values() for r, x in v.items() if np.isfinite(x)})
    days = [float(s.day) for s in ordered] + [e.day for e in events] + [e.last_day for e in events if e.last_day is not None]
    low, high = min(days), max(days)
    margin = max((high - low) * 0.05, 3.0)
    levels = _levels(ordered, low - margin, high + margin)
    top_in = 0.75 + 0.21 * max(levels) + (0.24 * _event_rows(events, low, high)[1] if events else 0.0)
    with canvas.drawing():
        heights = [top_in, 1.9] if measured else [top_in]
        figure, axes = canvas.new_chart(_WIDTH_IN, sum(heights) + 0.45, heights, sharex=True)
        _exams(axes[0, 0], ordered, levels, events, low, high)
        last = axes[-1, 0]
        if measured:
            _volumes(last, ordered, known, measured)
        last.set_xlim(low - margin, high + margin)
        last.set_xlabel("days from the first exam")
        last.tick_params(labelbottom=True)
        meaning = "; ".join(f"{r}: {REGIONS[r]}" if r in REGIONS else r for r in measured)
        beneath = f"Beneath: volumes in native space ({meaning})." if measured else "No volumes were measured."
        caption = f"Exams (dots, coloured by phase) and treatment on an axis of days. {beneath}"
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _levels(sessions: Sequence[Session], low: float, high: float) -> list[int]:
    """Height of each exam's words, so that no two overlap: the lowest level that is free where they start."""
    per_letter = 0.072 / (_WIDTH_IN - 0.9) * (high - low)
    ends: list[float] = []
    out = []
    for s in sessions:
        half = per_letter * (len(_words(s)) + 2) / 2
        centre = min(max(s.day, low + half), high - half)
        level = next((n for n, end in enumerate(ends) if end <= centre - half), len(ends))
        if level == len(ends):
            ends.append(0.0)
        ends[level] = centre + half
        out.append(level)
    return out


def _words(session: Session) -> str:
    return f"{session.label} · d{session.day}"


def _event_rows(events: Sequence[ClinicalEvent], low: float, high: float) -> tuple[list[int], int]:
    """Row of each event beneath the axis, and the number of rows."""
    ends: list[float] = []
    rows = []
    for e in sorted(events, key=lambda e: (e.day, e.name)):
        width = 0.075 / (_WIDTH_IN - 0.9) * max(high - low, 1) * (len(e.name) + 3)
        row = next((n for n, end in enumerate(ends) if end <= e.day), len(ends))
        if row == len(ends):
            ends.append(0.0)
        ends[row] = max(e.last_day or e.day, e.day) + width
        rows.append(row)
    return rows, len(ends)


def _exams(
    ax: Axes, sessions: Sequence[Session], levels: Sequence[int], events: Sequence[ClinicalEvent], low: float, high: float
) -> None:
    rows, count = _event_rows(events, low, high)
    per_letter = 0.072 / (_WIDTH_IN - 0.9) * (high - low + 2 * max((high - low) * 0.05, 3.0))
    margin = max((high - low) * 0.05, 3.0)
    ax.axhline(0, color=canvas.MUTED, linewidth=1.2, zorder=1)
    shown: dict[str, str] = {}
    for s, level in zip(sessions, levels, strict=True):
        colour = _PHASE_COLOURS.get(s.phase, canvas.OKABE_ITO["grey"])
        shown.setdefault(s.phase, colour)
        height = 0.7 + level
        half = per_letter * (len(_words(s)) + 2) / 2
        centre = min(max(s.day, low - margin + half), high + margin - half)
        ax.plot([s.day, s.day], [0, height], color=colour, linewidth=0.9, zorder=1)
        ax.plot([s.day], [0], "o", color=colour, markersize=8.5, zorder=3, markeredgecolor="white", markeredgewidth=0.8)
        ax.text(centre, height + 0.06, _words(s), ha="center", va="bottom", fontsize=8.5, fontweight="bold")
    for e, row in zip(sorted(events, key=lambda e: (e.day, e.name)), rows, strict=True):
        y = -0.95 - 1.05 * row
        if e.last_day is not None and e.last_day > e.day:
            ax.plot([e.day, e.last_day], [y, y], color=canvas.OKABE_ITO["grey"], linewidth=6, solid_capstyle="butt", alpha=0.75)
            ax.text(e.last_day, y, f"  {e.name}", va="center", fontsize=8.5)
        else:
            ax.plot([e.day, e.day], [0, y], color=canvas.MUTED, linewidth=0.8, linestyle=":")
            ax.plot([e.day], [y], "D", color=canvas.OKABE_ITO["grey"], markersize=5.5)
            ax.text(e.day, y, f"   {e.name}", va="center", fontsize=8.5)
    ax.set_ylim(-0.5 - 1.05 * count, 1.75 + max(levels))
    ax.set_yticks([])
    ax.tick_params(length=0, labelbottom=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    from matplotlib.lines import Line2D

    order = [p for p in (*PHASES, *shown) if p in shown]
    handles = [Line2D([], [], marker="o", linestyle="", color=shown[p], label=p) for p in dict.fromkeys(order)]
    ax.figure.legend(handles=handles, loc="outside upper left", ncols=8, fontsize=8.5, handletextpad=0.2, columnspacing=1.4)


def _volumes(
    ax: Axes, sessions: Sequence[Session], volumes_ml: Mapping[str, Mapping[str, float]], regions: Sequence[str]
) -> None:
    days = np.array([s.day for s in sessions], float)
    for n, region in enumerate(regions):
        values = np.array([volumes_ml.get(s.label, {}).get(region, np.nan) for s in sessions], float)
        known = np.isfinite(values)
        colour = canvas.REGION_COLOURS.get(region, canvas.OKABE_ITO["grey"])
        # Dotted where an exam in between was not measured, so that a gap is not read as a course.
        ax.plot(days[known], values[known], ":", color=colour, linewidth=1.1)
        ax.plot(days, values, "-", color=colour, marker=_MARKERS[n % 8], markersize=5.5, linewidth=1.8, label=region)
    missing = [
        d
        for s, d in zip(sessions, days, strict=True)
        if all(not np.isfinite(volumes_ml.get(s.label, {}).get(r, np.nan)) for r in regions)
    ]
    ax.set_ylim(bottom=0, top=ax.get_ylim()[1] * 1.12)
    for d in missing:
        ax.text(
            d, ax.get_ylim()[1] * 0.03, "not measured", rotation=90, fontsize=7.5, color=canvas.MUTED, ha="center", va="bottom"
        )
    ax.set_ylabel("volume (ml)")
    canvas.quiet(ax)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 0.98), fontsize=8.5, ncols=8, borderaxespad=0.2, columnspacing=1.4)
