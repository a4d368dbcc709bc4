"""How much of each structure got which dose: cumulative histograms, with a band where the dose of a part is not known."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.dvh import DVH
from regrowth.report import content
from regrowth.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["dvh_figure"]

_COLOURS = tuple(canvas.OKABE_ITO[c] for c in ("blue", "vermillion", "green", "orange", "purple", "sky"))
_STYLES = ("-", "--", "-.", ":")
_MOST_POINTS = 600
_D95 = 95.0

_GOOD = (
    "Targets that stay near 100 % up to their prescription and then fall steeply; organs far to the left; D95 of a target "
    "(the mark) at or right of 95 % of its prescription."
)
_FAILURE = (
    "A target that falls early (cold part, a contour of another plan, or a structure that leaves the dose grid: the band "
    "shows what that leaves open); a recurrence with a curve like that of the target is no sign that its place is certain."
)


def dvh_figure(
    histograms: Mapping[str, DVH], *, name: str, title: str, prescription_gy: float | None = None, synthetic: bool = False
) -> content.Figure:
    """Draw cumulative dose-volume histograms.

    Parameters
    ----------
    histograms
        Name of the structure to its histogram. A band lies between the bounds where part of the volume has no known dose;
        empty structures and those that the dose does not reach are named in the caption.
    name, title, synthetic
        As in `segmentation_figure`.
    prescription_gy
        Marked by a line, if there is one.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no histogram has values, their units differ, or the prescription is no dose.
    """
    shown = {k: h for k, h in histograms.items() if h.status in ("ok", "dose_unknown")}
    if not shown:
        raise ParameterError(f"{title}: no structure has a histogram; leave the figure out")
    units = {h.unit for h in shown.values()}
    if len(units) > 1:
        raise ParameterError(f"histograms in {' and '.join(sorted(units))} do not share an axis; convert them first")
    if prescription_gy is not None and not (np.isfinite(prescription_gy) and prescription_gy > 0):
        raise ParameterError(f"a prescription is a dose above 0 Gy, not {prescription_gy}")
    tops = [h.highest_gy if h.unknown_ml > 0 else h.known_max_gy for h in shown.values()]
    top = 1.04 * max([*tops, prescription_gy or 0.0, 1e-3])
    with canvas.drawing():
        figure, axes = canvas.new_chart(8.4, max(3.8, 0.42 + 0.36 * len(shown)))
        ax = axes[0, 0]
        if prescription_gy is not None:
            label = f"prescription, {prescription_gy:g} Gy"
            ax.axvline(prescription_gy, color=canvas.MUTED, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1, label=label)
        for n, (label, histogram) in enumerate(shown.items()):
            style = _STYLES[(n // len(_COLOURS)) % len(_STYLES)]
            _draw_curve(ax, label, histogram, _COLOURS[n % len(_COLOURS)], style, top)
        canvas.quiet(ax, "both")
        ax.set(xlim=(0, top), ylim=(0, 103), xlabel=f"dose ({units.pop()})", ylabel="volume that got at least this dose (%)")
        ax.set_title(textwrap.shorten(title, 90, placeholder=" …"), loc="left", fontsize=10.5, fontweight="bold")
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.0, borderaxespad=0.0)
        caption = _caption(title, histograms, shown, prescription_gy)
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _draw_curve(ax: Axes, label: str, histogram: DVH, colour: str, style: str, top: float) -> None:
    doses = _doses(histogram, top)
    bounds = np.array([histogram.volume_at_dose_bounds(float(d)) for d in doses])
    low, high = 100 * bounds.T / histogram.volume_ml
    words = (
        textwrap.fill(textwrap.shorten(label, 60, placeholder=" …"), 26)
        + f"\n{_volume(histogram.volume_ml)}, {_d95(histogram)}"
    )
    ax.plot(doses, low, style, color=colour, linewidth=1.8, label=words, zorder=3)
    if histogram.unknown_ml > 0:
        ax.fill_between(doses, low, high, color=colour, alpha=0.2, linewidth=0, zorder=2)
        ax.plot(doses, high, style, color=colour, linewidth=0.9, zorder=3)
    least, most = histogram.dose_at_volume_bounds(percent=_D95)
    ends = [least] if np.isclose(least, most) else [least, most]
    mark, size = ("o", 6.0) if len(ends) == 1 else ("|", 12.0)
    ax.plot(ends, [_D95] * len(ends), marker=mark, color=colour, markersize=size, linewidth=2.6, markeredgewidth=2.0, zorder=5)


def _doses(histogram: DVH, top: float) -> np.ndarray:
    """Doses to draw at: those of the curve, thinned, and where it begins and ends; a step is drawn as one."""
    own = histogram.doses_gy
    if len(own) > _MOST_POINTS:
        own = own[np.unique(np.round(np.linspace(0, len(own) - 1, _MOST_POINTS)).astype(int))]
    # Right of 0 Gy the unknown part is no longer certain, right of the largest doses nothing is left: steps, not slopes.
    beyond = [np.nextafter(d, np.inf) for d in (0.0, histogram.known_max_gy, histogram.highest_gy) if np.isfinite(d)]
    ends = [0.0, histogram.highest_gy, top] if np.isfinite(histogram.highest_gy) else [0.0, top]
    doses = np.unique(np.concatenate([own, ends, beyond]))
    return np.asarray(doses[doses <= top])


def _volume(ml: float) -> str:
    return f"{ml:,.0f} ml" if ml >= 100 else f"{ml:.3g} ml"


def _d95(histogram: DVH) -> str:
    least, most = histogram.dose_at_volume_bounds(percent=_D95)
    digits = 1 if most >= 1 else 2
    return f"D95 {least:.{digits}f} Gy" if np.isclose(least, most) else f"D95 {least:.{digits}f} to {most:.{digits}f} Gy"


def _caption(title: str, all_of: Mapping[str, DVH], shown: Mapping[str, DVH], prescription_gy: float | None) -> str:
    words = [f"{title}: share of each structure that got at least a dose. Marks are D95, the dose that 95 % got at least."]
    if prescription_gy is not None:
        words.append(f"The dashed line is the prescription of {prescription_gy:g} Gy.")
    banded = [k for k, h in shown.items() if h.unknown_ml > 0]
    if banded:
        parts = ", ".join(f"{k} {100 * shown[k].unknown_share:.1f} %" for k in banded)
        words.append(
            f"Part has no known dose ({parts}): the band lies between 0 Gy and the highest dose for it, "
            "and a D95 that depends on it is a range."
        )
    words += _missing([(k, h) for k, h in all_of.items() if k not in shown])
    return " ".join(words)


def _missing(left_out: Sequence[tuple[str, DVH]]) -> list[str]:
    return [f"{k} has no curve ({h.reason or h.status})." for k, h in left_out]
