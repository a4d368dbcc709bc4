"""How long until it happens: Kaplan-Meier curves and cumulative incidences with intervals and the number at risk."""

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
    from matplotlib.figure import Figure as Drawing

    from regrowth.statistics import CumulativeIncidence, KaplanMeier

__all__ = ["DAYS_PER_UNIT", "GROUP_COLOURS", "MOST_GROUPS", "incidence_figure", "p_words", "survival_figure"]

DAYS_PER_UNIT: Mapping[str, float] = {"days": 1.0, "months": 30.4375, "years": 365.25}
"""Days in each unit of the axis of time; a month is a twelfth of 365.25 days."""

GROUP_COLOURS = tuple(canvas.OKABE_ITO[c] for c in ("blue", "vermillion", "green", "orange", "purple", "sky"))
"""Colours of groups; yellow is left out, it cannot be read on white."""

MOST_GROUPS = len(GROUP_COLOURS)
"""Most groups on one chart."""

_WIDTH_IN, _PLOT_IN = 8.6, 3.7
_LINE_IN = 0.205
_GOOD = (
    "Steps that are small and many, bands that narrow or stay apart, enough patients at risk where a difference is read; "
    "censoring ticks spread evenly."
)
_FAILURE = (
    "A curve read beyond the time at which a handful is at risk; many ticks just before the events of one group only "
    "(follow-up that depends on the outcome); one step to zero at the end, which is a single patient."
)


def p_words(p: float, name: str = "p") -> str:
    """Write a p-value: two significant digits, never as 0 (``p = 0.042``, ``p < 0.001``, ``p not known``)."""
    if not math.isfinite(p):
        return f"{name} not known"
    if p < 0.001:
        return f"{name} < 0.001"
    return f"{name} = {p:.3f}" if p < 0.1 else f"{name} = {p:.2f}"


def survival_figure(
    curves: Mapping[str, KaplanMeier],
    *,
    name: str,
    title: str,
    quantity: str = "survival",
    unit: str = "months",
    log_rank_p: float | None = None,
    test: str = "log-rank",
    max_time: float | None = None,
    synthetic: bool = False,
) -> content.Figure:
    """Draw Kaplan-Meier curves with pointwise intervals, censoring ticks, medians and the number at risk.

    Parameters
    ----------
    curves
        Group to curve, times in days, at most `MOST_GROUPS`; the order decides the colour.
    name, title, synthetic
        As in `segmentation_figure`.
    quantity
        What the curve is the share of, such as ``overall survival``.
    unit
        ``days``, ``months`` (of 30.4375 days) or ``years`` on the axis.
    log_rank_p, test
        p-value of the comparison and the name of its test; None writes nothing.
    max_time
        End of the axis in `unit`; None shows everything.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no curve with a patient, too many curves, or an unknown unit.
    """
    shown = _usable(curves, title, unit)
    per = DAYS_PER_UNIT[unit]
    level = float(next(iter(shown.values())).level)
    end, ticks = _axis(shown.values(), per, max_time)
    lines = [(f"{group} (n = {c.n}, {_events(c.n_events)})", _median(c, per, unit)) for group, c in shown.items()]
    alpha = 0.16 if len(shown) < 4 else 0.07  # many bands on top of each other hide the curves
    with canvas.drawing():
        figure, ax, table = _chart(lines, len(shown), title, "" if log_rank_p is None else f"{test} {p_words(log_rank_p)}")
        for colour, curve in zip(GROUP_COLOURS, shown.values(), strict=False):
            times = np.asarray(curve.times, float) / per
            _step(
                ax,
                times,
                100 * np.asarray(curve.survival),
                100 * np.asarray(curve.lower),
                100 * np.asarray(curve.upper),
                colour,
                alpha,
            )
            left = np.asarray(curve.censored) > 0
            ax.plot(times[left], 100 * np.asarray(curve.survival)[left], "|", color=colour, markersize=7, markeredgewidth=1.1)
        _medians(ax, [c.median / per for c in shown.values()], end)
        _dress(ax, end, ticks, f"{quantity} (%)", unit)
        _risk_table(table, shown, ticks * per, ticks, end)
        groups = f" of {len(shown)} groups" if len(shown) > 1 else ""
        caption = (
            f"{title}: Kaplan-Meier curves{groups} with pointwise {100 * level:g} % intervals (bands); ticks are censored "
            f"patients, dotted lines medians; the number at risk stands beneath."
        )
        if log_rank_p is not None:
            caption += f" {test[:1].upper()}{test[1:]} test: {p_words(log_rank_p)}."
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def incidence_figure(
    curves: Mapping[str, CumulativeIncidence],
    *,
    name: str,
    title: str,
    quantity: str = "cumulative incidence",
    unit: str = "months",
    max_time: float | None = None,
    stacked: bool = False,
    rest: str = "none of these yet",
    p_value: float | None = None,
    test: str = "Gray",
    synthetic: bool = False,
) -> content.Figure:
    """Draw cumulative incidences of competing events (or of one event in several groups) with the number at risk.

    Parameters
    ----------
    curves
        Cause or group to curve, times in days. Curves of the same patients share one row of numbers at risk.
    name, title, unit, max_time, synthetic
        As in `survival_figure`.
    quantity
        Label of the axis.
    stacked
        Fill the causes on top of each other up to 100 %; only for causes of the same patients.
    rest
        What the remaining share is called, when stacked.
    p_value, test
        Comparison of groups; None writes nothing.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is nothing to draw, or `stacked` is asked for curves of different patients.
    """
    shown = _usable(curves, title, unit)
    per = DAYS_PER_UNIT[unit]
    same = _same_patients(list(shown.values()))
    if stacked and not same:
        raise ParameterError(f"{title}: only causes of the same patients can be stacked; draw lines instead")
    level = float(next(iter(shown.values())).level)
    end, ticks = _axis(shown.values(), per, max_time)
    lines = [(f"{group} (n = {c.n}, {_events(c.n_events)})", _at(c, ticks, per, unit)) for group, c in shown.items()]
    rows = {"at risk": next(iter(shown.values()))} if same else shown
    alpha = 0.16 if len(shown) < 4 else 0.07  # many bands on top of each other hide the curves
    with canvas.drawing():
        figure, ax, table = _chart(lines, len(rows), title, "" if p_value is None else f"{test} {p_words(p_value)}")
        if stacked:
            _stack(ax, shown, per, end, rest)
        else:
            for colour, curve in zip(GROUP_COLOURS, shown.values(), strict=False):
                bounds = [100 * np.asarray(v, float) for v in (curve.incidence, curve.lower, curve.upper)]
                _step(ax, np.asarray(curve.times, float) / per, bounds[0], bounds[1], bounds[2], colour, alpha)
        _dress(ax, end, ticks, f"{quantity} (%)", unit)
        _risk_table(table, rows, ticks * per, ticks, end, coloured=not same)
        how = "stacked to 100 %" if stacked else f"with pointwise {100 * level:g} % intervals (bands)"
        caption = f"{title}: cumulative incidence (Aalen-Johansen), {how}; the number at risk stands beneath."
        good = "Curves that level off before the number at risk runs out; the causes together never exceed 100 %."
        failure = "Incidence read off one minus Kaplan-Meier would lie above these curves: it counts the dead as still at risk."
        return canvas.finish(figure, "svg", name, caption, good, failure, synthetic=synthetic)


def _usable(curves: Mapping[str, Any], title: str, unit: str) -> dict[str, Any]:
    if unit not in DAYS_PER_UNIT:
        raise ParameterError(f"{title}: no unit of time {unit!r}; choose from {', '.join(DAYS_PER_UNIT)}")
    shown = {g: c for g, c in curves.items() if c.n > 0}
    if not shown:
        raise ParameterError(f"{title}: no curve with a patient; leave the figure out")
    if len(shown) > MOST_GROUPS:
        raise ParameterError(f"{title}: {len(shown)} groups cannot be told apart; show at most {MOST_GROUPS}")
    return shown


def _events(count: int) -> str:
    return f"{count} event{'s' if count != 1 else ''}"


def _median(curve: KaplanMeier, per: float, unit: str) -> str:
    if not math.isfinite(curve.median):
        return "median not reached"
    bounds = [f"{b / per:.1f}" if math.isfinite(b) else "not reached" for b in (curve.median_lower, curve.median_upper)]
    return f"median {curve.median / per:.1f} {unit} ({bounds[0]} to {bounds[1]})"


def _at(curve: CumulativeIncidence, ticks: np.ndarray, per: float, unit: str) -> str:
    """Incidence at the last tick at which ten are still at risk: at the end of the curve it says nothing."""
    good = ticks[(_at_risk(curve, ticks * per) >= 10) & (ticks > 0)]
    if not good.size:
        return "fewer than 10 at risk throughout"
    place = int(np.searchsorted(np.asarray(curve.times, float), good[-1] * per + 1e-9, side="right")) - 1
    value, low, high = (100 * float(np.asarray(v)[place]) for v in (curve.incidence, curve.lower, curve.upper))
    bounds = f" ({low:.0f} to {high:.0f})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{value:.0f} %{bounds} at {good[-1]:g} {unit}"


def _axis(curves: Any, per: float, max_time: float | None) -> tuple[float, np.ndarray]:
    """End of the axis and its ticks; ticks are round numbers, in months multiples of 3 or 12."""
    last = max(float(np.asarray(c.times)[-1]) for c in curves) / per
    end = min(last, max_time) if max_time else last
    end = end if end > 0 else 1.0
    steps = [m * 10.0**k for k in range(-1, 5) for m in (1.0, 2.0, 5.0)]
    if per == DAYS_PER_UNIT["months"]:
        steps = [0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 36.0, 60.0, 120.0, 240.0]
    step = next((s for s in steps if end / s <= 9), end / 8)
    return end, np.arange(0, end + 1e-9, step)


def _chart(lines: Sequence[tuple[str, str]], rows: int, title: str, test: str) -> tuple[Drawing, Axes, Axes]:
    """Header with the legend, axes of the curves, axes of the table."""
    from matplotlib.transforms import blended_transform_factory

    wrapped = [(textwrap.wrap(words, 58) or [""], value) for words, value in lines]
    count = sum(len(w) for w, _ in wrapped)
    header_in, table_in = 0.3 + _LINE_IN * count, 0.32 + 0.2 * rows
    figure, axes = canvas.new_chart(_WIDTH_IN, header_in + _PLOT_IN + table_in + 0.45, [header_in, _PLOT_IN, table_in])
    header, ax, table = axes[:, 0]
    header.set_axis_off()
    header.set(xlim=(0, 1), ylim=(header_in, 0))
    # Across the whole figure, because long names of groups make the chart itself narrow; not part of the layout for that.
    across = blended_transform_factory(figure.transFigure, header.transData)
    style: dict[str, Any] = {"transform": across, "in_layout": False, "clip_on": False}

    def write(x: float, y: float, text: str, side: str, size: float = 8.8, weight: str = "normal") -> None:
        words: dict[str, Any] = {"ha": side, "fontsize": size, "fontweight": weight}
        header.text(x, y, text, va="center", **words, **style)

    write(0.012, 0.1, textwrap.shorten(title, 64, placeholder=" …"), "left", 10.5, "bold")
    write(0.988, 0.1, test, "right", 9.5)
    y = 0.3 + _LINE_IN / 2
    for colour, (words, value) in zip(GROUP_COLOURS, wrapped, strict=False):
        header.plot([0.012, 0.045], [y, y], color=colour, linewidth=2.4, **style)
        write(0.988, y, value, "right")
        for word in words:
            write(0.055, y, word, "left")
            y += _LINE_IN
    return figure, ax, table


def _step(
    ax: Axes, times: np.ndarray, value: np.ndarray, lower: np.ndarray, upper: np.ndarray, colour: str, alpha: float
) -> None:
    ax.fill_between(times, lower, upper, step="post", color=colour, alpha=alpha, linewidth=0)
    ax.plot(times, value, drawstyle="steps-post", color=colour, linewidth=1.9)


def _medians(ax: Axes, medians: Sequence[float], end: float) -> None:
    known = [m for m in medians if math.isfinite(m) and m <= end]
    style: dict[str, Any] = {"color": canvas.MUTED, "linewidth": 1.0, "linestyle": (0, (1.5, 2)), "zorder": 1}
    if known:
        ax.plot([0, max(known)], [50, 50], **style)
    for m in known:
        ax.plot([m, m], [0, 50], **style)


def _dress(ax: Axes, end: float, ticks: np.ndarray, label: str, unit: str) -> None:
    ax.set(xlim=(0, end * 1.012), ylim=(0, 102), ylabel=label, xlabel=f"time ({unit})")
    ax.set_xticks(ticks)
    ax.set_yticks([0, 25, 50, 75, 100])
    canvas.quiet(ax)


def _at_risk(curve: Any, times: np.ndarray) -> np.ndarray:
    """Number of patients with a time of at least `times`: that of the next time at which anything happens."""
    known = np.asarray(curve.times, float)
    place = np.searchsorted(known, times - 1e-9, side="left")
    return np.append(np.asarray(curve.at_risk), 0)[place].astype(int)


def _risk_table(
    ax: Axes, rows: Mapping[str, Any], times: np.ndarray, ticks: np.ndarray, end: float, coloured: bool = True
) -> None:
    """Numbers at risk under the ticks; the names of the groups stand at the left, shortened."""
    ax.set(xlim=(0, end * 1.012), ylim=(len(rows) - 0.5, -0.5))
    for n, curve in enumerate(rows.values()):
        for x, count in zip(ticks, _at_risk(curve, times), strict=True):
            ax.text(x, n, f"{count}", ha="center", va="center", fontsize=8.8, clip_on=False)
    labels = [textwrap.shorten(g, 24, placeholder=" …") if " " in g else g[:23] + ("…" if len(g) > 23 else "") for g in rows]
    ax.set_yticks(range(len(rows)), labels, fontsize=8.8)
    ax.set_xticks(ticks)
    ax.set_xticklabels([f"{t:g}" for t in ticks])
    ax.tick_params(length=0, labelbottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.spines["left"].set_position(("outward", 17))  # leaves room for the number at time 0
    if coloured:  # the tick is the swatch of the group
        ax.tick_params("y", length=12, width=2.4, pad=5)
        for tick, colour in zip(ax.yaxis.get_major_ticks(), GROUP_COLOURS, strict=False):
            tick.tick1line.set_markeredgecolor(colour)
    ax.set_title("number at risk", loc="left", fontsize=8.8, color=canvas.MUTED, pad=2)


def _same_patients(curves: Sequence[CumulativeIncidence]) -> bool:
    first = curves[0]
    return all(
        np.array_equal(np.asarray(c.times), np.asarray(first.times))
        and np.array_equal(np.asarray(c.at_risk), np.asarray(first.at_risk))
        for c in curves
    )


def _stack(ax: Axes, curves: Mapping[str, CumulativeIncidence], per: float, end: float, rest: str) -> None:
    """Fill the causes on top of each other; the names stand in the legend above."""
    base = np.zeros(len(np.asarray(next(iter(curves.values())).times)))
    for colour, curve in zip(GROUP_COLOURS, curves.values(), strict=False):
        times = np.asarray(curve.times, float) / per
        top = base + 100 * np.asarray(curve.incidence, float)
        ax.fill_between(times, base, top, step="post", color=colour, alpha=0.55, linewidth=0)
        ax.plot(times, top, drawstyle="steps-post", color=colour, linewidth=1.6)
        base = top
    if 100 - base[-1] > 6:
        ax.text(end * 0.98, (base[-1] + 100) / 2, rest, ha="right", va="center", color=canvas.MUTED, fontsize=8.8)
