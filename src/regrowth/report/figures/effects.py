"""How strongly something acts: forests of effects with their intervals, and an effect as it changes with age."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas
from regrowth.report.figures.survival import p_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ForestRow", "forest_figure", "interaction_figure"]

_BLUE, _RED = canvas.OKABE_ITO["blue"], canvas.OKABE_ITO["vermillion"]
_WIDTH_IN = 8.6


@dataclass(frozen=True)
class ForestRow:
    """One line of a forest plot.

    Parameters
    ----------
    label
        What the effect is of, with its contrast (``age, per 10 years``).
    estimate, lower, upper
        Effect and its interval on the scale of the axis (a hazard ratio, not its logarithm); NaN where not estimable.
    note
        Words beside the label, such as ``n = 120``.
    p_value
        NaN writes none.
    heading
        A line of words without an effect.
    """

    label: str
    estimate: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    note: str = ""
    p_value: float = math.nan
    heading: bool = False


def forest_figure(
    rows: Sequence[ForestRow],
    *,
    name: str,
    title: str,
    quantity: str = "hazard ratio",
    reference: float = 1.0,
    log: bool = True,
    limits: tuple[float, float] | None = None,
    sides: tuple[str, str] | None = None,
    caption: str = "",
    synthetic: bool = False,
) -> content.Figure:
    """Draw effects with intervals, the numbers beside them.

    Parameters
    ----------
    rows
        From top to bottom.
    name, title, synthetic
        As in `segmentation_figure`.
    quantity
        What is drawn, for the axis.
    reference
        Value of no effect.
    log
        Logarithmic axis.
    limits
        Ends of the axis; by default as far as the intervals reach, at most a factor of 32 (10 spreads) from `reference`.
        Intervals that go on are drawn as arrows.
    sides
        What lies left and right of the reference, such as ``("longer survival", "shorter survival")``.
    caption
        Words added to the caption, such as the model and how many patients.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no effect, or a value does not fit a logarithmic axis.
    """
    effects = [r for r in rows if not r.heading]
    if not effects:
        raise ParameterError(f"{title}: no effect to draw; leave the figure out")
    values = np.array([[r.estimate, r.lower, r.upper] for r in effects], float)
    if log and (reference <= 0 or (values[np.isfinite(values)] < 0).any()):
        raise ParameterError(f"{title}: a ratio below 0 cannot be; pass ratios, not their logarithms, or log=False")
    low, high = limits or _forest_limits(values, reference, log)
    with canvas.drawing():
        figure, axes = canvas.new_chart(_WIDTH_IN, 1.15 + 0.27 * len(rows) + 0.2 * (sides is not None), widths=[1.0, 0.62])
        ax, numbers = axes[0]
        ax.axvline(reference, color=canvas.MUTED, linewidth=1.1, zorder=1)
        if log:
            ax.set_xscale("log")
        ax.set(xlim=(low, high), ylim=(len(rows) - 0.4, -0.6), xlabel=f"{quantity} with 95 % interval")
        numbers.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
        numbers.set_axis_off()
        for y, row in enumerate(rows):
            if not row.heading:
                _effect(ax, y, row, low, high)
                _print(numbers, y, row)
        ax.set_yticks(range(len(rows)), [_row_label(r) for r in rows])
        for tick, row in zip(ax.get_yticklabels(), rows, strict=True):
            tick.set_fontweight("bold" if row.heading else "normal")
        if log:
            _ratio_ticks(ax, low, high)
        canvas.quiet(ax, "x")
        ax.tick_params("y", pad=10)  # an arrow at the end of the axis is half outside of it
        ax.spines["left"].set_visible(False)
        figure.suptitle(textwrap.shorten(title, 80, placeholder=" …"), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        if sides:
            for x, words, side in ((0.0, f"← {sides[0]}", "left"), (1.0, f"{sides[1]} →", "right")):
                ax.text(x, 1.0, words, transform=ax.transAxes, ha=side, va="bottom", fontsize=8.2, color=canvas.MUTED)
        words = f"{title}: {quantity}s with 95 % intervals; the line at {reference:g} is no effect. {caption}".strip()
        good = "Intervals that are narrow for what is concluded; effects of known factors (age, MGMT) in the known direction."
        failure = (
            "An arrow or an interval over more than a factor of ten: too few events for that covariate. Not estimable: the "
            "covariate separates the events (use Firth) or does not vary."
        )
        return canvas.finish(figure, "svg", name, words, good, failure, synthetic=synthetic)


def _forest_limits(values: np.ndarray, reference: float, log: bool) -> tuple[float, float]:
    known = values[np.isfinite(values) & ((values > 0) | (not log))]
    if log:
        reach = np.abs(np.log(known / reference)) if known.size else np.zeros(1)
        far = float(np.clip(reach.max(initial=0.0) * 1.08, math.log(2.0), math.log(32.0)))
        return reference * math.exp(-far), reference * math.exp(far)
    spread = np.abs(known - reference)
    estimates = np.abs(values[np.isfinite(values[:, 0]), 0] - reference)
    most = 10 * float(np.median(estimates)) if estimates.size and np.median(estimates) > 0 else math.inf
    far = min(float(spread.max(initial=0.0)), most) * 1.08 or 1.0
    return reference - far, reference + far


def _effect(ax: Axes, y: float, row: ForestRow, low: float, high: float) -> None:
    if not math.isfinite(row.estimate):
        return
    known = [b if not math.isnan(b) else row.estimate for b in (row.lower, row.upper)]
    start, stop = max(known[0], low), min(known[1], high)
    if start < high and stop > low:
        ax.plot([start, stop], [y, y], color=_BLUE, linewidth=1.7, solid_capstyle="butt", zorder=2)
    for beyond, x, mark in ((known[0] < low, low, "<"), (known[1] > high, high, ">")):
        if beyond:
            ax.plot([x], [y], mark, color=_BLUE, markersize=6, clip_on=False, zorder=4)
    if low <= row.estimate <= high:
        ax.plot([row.estimate], [y], "s", color=_RED, markersize=6.5, markeredgewidth=0, zorder=3)


def _print(ax: Axes, y: float, row: ForestRow) -> None:
    """Write estimate, interval and p-value in columns."""
    if not math.isfinite(row.estimate):
        ax.text(0.02, y, "not estimable", va="center", fontsize=8.8, color=canvas.MUTED)
        return
    ax.text(0.14, y, f"{_number(row.estimate)}", va="center", ha="right", fontsize=8.8, fontweight="bold")
    known = not (math.isnan(row.lower) or math.isnan(row.upper))
    words = f"({_number(row.lower)} to {_number(row.upper)})" if known else "(interval not known)"
    ax.text(0.18, y, words, va="center", fontsize=8.8)
    if math.isfinite(row.p_value):
        ax.text(0.98, y, p_words(row.p_value), va="center", ha="right", fontsize=8.8)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= 1000:
        return "> 1000" if value > 0 else "< −1000"
    digits = 0 if abs(value) >= 100 else 3 if 0 < abs(value) < 0.01 else 2
    return f"{value:.{digits}f}".replace("-", "−")


def _row_label(row: ForestRow) -> str:
    words = "\n".join(textwrap.wrap(row.label, 34, max_lines=2, placeholder=" …"))
    return f"{words}  ({row.note})" if row.note else words


def _ratio_ticks(ax: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import NullLocator

    steps = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]) if high / low > 9 else None
    if steps is None:
        steps = np.array([0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4])
    ticks = steps[(steps >= low * 0.999) & (steps <= high * 1.001)]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())


def interaction_figure(
    ages: np.ndarray,
    hazard_ratio: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    name: str,
    title: str,
    modifier: str = "age (years)",
    quantity: str = "hazard ratio, methylated against unmethylated",
    markers: Sequence[tuple[float, float, float, float]] = (),
    observed: np.ndarray | None = None,
    p_value: float | None = None,
    synthetic: bool = False,
) -> content.Figure:
    """Draw an effect as it changes with age (or another modifier), with its band.

    Parameters
    ----------
    ages, hazard_ratio, lower, upper
        (m,) each; NaN are left out.
    name, title, synthetic
        As in `segmentation_figure`.
    modifier, quantity
        Labels of the axes.
    markers
        (age, hazard ratio, lower, upper) that are marked and printed.
    observed
        Ages of the patients, drawn as a rug: the curve says nothing where there are none.
    p_value
        Of the interaction.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no age has a positive hazard ratio.
    """
    x, y, low, high = (np.asarray(v, float) for v in (ages, hazard_ratio, lower, upper))
    known = np.isfinite(x) & np.isfinite(y) & (y > 0)
    if not known.any():
        raise ParameterError(f"{title}: no hazard ratio to draw; leave the figure out")
    with canvas.drawing():
        figure, axes = canvas.new_chart(_WIDTH_IN, 4.0)
        ax = axes[0, 0]
        ax.set_yscale("log")
        ax.axhline(1.0, color=canvas.MUTED, linewidth=1.1)
        ax.fill_between(x[known], low[known], high[known], color=_BLUE, alpha=0.17, linewidth=0)
        ax.plot(x[known], y[known], color=_BLUE, linewidth=2.0)
        for age, ratio, start, stop in markers:
            if math.isfinite(ratio):
                ax.errorbar(age, ratio, [[ratio - start], [stop - ratio]], fmt="s", color=_RED, markersize=6, linewidth=1.5)
        bounds = np.concatenate([y[known], low[known], high[known]])
        bounds = bounds[np.isfinite(bounds) & (bounds > 0)]
        bottom, top = max(float(bounds.min()) / 1.25, 0.02), min(float(bounds.max()) * 1.25, 50.0)
        ax.set(ylim=(min(bottom, 0.8), max(top, 1.25)), xlabel=modifier, ylabel="\n".join(textwrap.wrap(quantity, 34)))
        _ratio_axis(ax)
        canvas.quiet(ax)
        if observed is not None:
            rug = np.asarray(observed, float)
            rug = rug[np.isfinite(rug)]
            ax.plot(rug, np.full(rug.size, 0.012), "|", color=canvas.MUTED, markersize=7, transform=ax.get_xaxis_transform())
        words = "" if p_value is None else f" · interaction {p_words(p_value)}"
        figure.suptitle(textwrap.shorten(title, 60) + words, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        if markers:
            lines = [f"at {a:g}: {_number(h)} ({_number(lo)} to {_number(hi)})" for a, h, lo, hi in markers]
            ax.set_title("   ".join(lines[:4]), loc="left", fontsize=8.8)
        caption = f"{title}: {quantity}, over {modifier}, with its 95 % band; short lines at the bottom are patients."
        good = "A band that stays clear of 1 where patients are; the ratios at given ages agree with those of subgroups."
        failure = "A slope that rests on a few very young or very old patients: the band widens and the rug is empty there."
        return canvas.finish(figure, "svg", name, caption, good, failure, synthetic=synthetic)


def _ratio_axis(ax: Axes) -> None:
    from matplotlib.ticker import NullLocator

    low, high = ax.get_ylim()
    steps = (
        np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50])
        if high / low > 9
        else np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4])
    )
    ticks = steps[(steps >= low) & (steps <= high)]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
