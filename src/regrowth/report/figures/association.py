"""How one value goes with another: what a search for a cut point saw, and a scatter of two measures with a regression line."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas
from regrowth.report.figures.survival import GROUP_COLOURS, p_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["Regression", "cut_figure", "scatter_figure"]

_BLUE, _RED, _ORANGE, _GREEN = (canvas.OKABE_ITO[c] for c in ("blue", "vermillion", "orange", "green"))
_WIDTH_IN = 8.6


@dataclass(frozen=True, eq=False)
class Regression:
    """A fitted line with its interval: four arrays of one length."""

    x: np.ndarray
    y: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def cut_figure(
    cuts: np.ndarray,
    z: np.ndarray,
    *,
    name: str,
    title: str,
    quantity: str,
    unit: str = "",
    critical_z: float = math.nan,
    chosen: float = math.nan,
    fixed: float = math.nan,
    fixed_name: str = "published cut",
    p_value: float | None = None,
    bootstrap: np.ndarray | None = None,
    interval: tuple[float, float] | None = None,
    synthetic: bool = False,
) -> content.Figure:
    """Draw what a search for a cut point saw: |z| of the log-rank test at every cut, and how stable the chosen one is.

    Parameters
    ----------
    cuts, z
        (m,) values tried and their standardised log-rank statistics; NaN are not drawn.
    name, title, synthetic
        As in `segmentation_figure`.
    quantity, unit
        What is cut.
    critical_z
        |z| that the largest must exceed, from permutations; the naive 1.96 is always drawn beside it.
    chosen, fixed, fixed_name
        Cut found here, and a cut that was fixed before; NaN draws none.
    p_value
        Permutation p-value of the search.
    bootstrap
        Cuts found in bootstrap samples, drawn as a histogram beneath.
    interval
        Bootstrap interval of the cut.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no cut has a statistic or the arrays do not fit.
    """
    cuts, z = _tried(cuts, z, title)
    again = np.asarray(bootstrap if bootstrap is not None else (), float)
    again = again[np.isfinite(again)]
    with canvas.drawing():
        heights = [2.9, 1.1] if again.size else [2.9]
        figure, axes = canvas.new_chart(_WIDTH_IN, sum(heights) + 1.2, heights, sharex=True)
        ax = axes[0, 0]
        ax.plot(cuts, z, "-o", color=_BLUE, linewidth=1.2, markersize=2.6, label="|z| at each cut")
        ax.axhline(1.96, color=canvas.MUTED, linewidth=1.1, linestyle=":", label="1.96, valid for one cut alone")
        if math.isfinite(critical_z):
            words = f"{critical_z:.2f}, needed after a search (permutations)"
            ax.axhline(critical_z, color=_RED, linewidth=1.4, linestyle="--", label=words)
        marks = ((chosen, _ORANGE, "-", "cut found here"), (fixed, _GREEN, "-.", fixed_name))
        for value, colour, style, words in marks:
            for panel in axes[:, 0] if math.isfinite(value) else ():
                label = f"{words}: {value:.3g}" if panel is ax else None
                panel.axvline(value, color=colour, linewidth=1.8, linestyle=style, label=label)
        top = max(float(z.max()), 2.0, critical_z if math.isfinite(critical_z) else 0.0)
        ax.set(ylim=(0, top * 1.12), ylabel="|z| of the log-rank test")
        canvas.quiet(ax)
        if again.size:
            _stability(axes[1, 0], again, interval)
        elif interval is not None and np.isfinite(interval).all():
            words = f"bootstrap interval of the cut: {interval[0]:.3g} to {interval[1]:.3g}"
            ax.axvspan(*interval, color=_ORANGE, alpha=0.16, linewidth=0, label=words)
        axes[-1, 0].set_xlabel(f"{quantity} ({unit})" if unit else quantity)
        words = "" if p_value is None else f" · permutation {p_words(p_value)}"
        figure.suptitle(textwrap.shorten(title, 60) + words, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=8.5)
        caption = (
            f"{title}: standardised log-rank statistic at every cut that was tried, with the value that the largest must "
            "exceed after a search (permutations) and the 1.96 that holds for a single cut only."
        )
        if again.size:
            caption += f" Beneath: cuts found in {again.size} bootstrap samples."
        good = "A broad peak above the dashed line, bootstrap cuts close together, the published cut near the one found."
        failure = "A lone spike, a peak between the dotted and the dashed line, or bootstrap cuts all over: there is no cut."
        return canvas.finish(figure, "svg", name, caption, good, failure, synthetic=synthetic)


def _tried(cuts: np.ndarray, z: np.ndarray, title: str) -> tuple[np.ndarray, np.ndarray]:
    """Cuts that have a statistic, from low to high, and the size of their statistics."""
    values, sizes = np.asarray(cuts, float), np.abs(np.asarray(z, float))
    if values.shape != sizes.shape or values.ndim != 1:
        raise ParameterError(f"{title}: {values.shape} cuts do not fit {sizes.shape} statistics")
    order = np.argsort(values, kind="stable")
    order = order[np.isfinite(values[order]) & np.isfinite(sizes[order])]
    if not order.size:
        raise ParameterError(f"{title}: no cut has a statistic; leave the figure out")
    return values[order], sizes[order]


def _stability(ax: Axes, again: np.ndarray, interval: tuple[float, float] | None) -> None:
    counts, edges = np.histogram(again, bins=min(40, max(8, round(math.sqrt(again.size) * 1.5))))
    ax.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=canvas.OKABE_ITO["sky"], alpha=0.8, linewidth=0)
    if interval is not None and np.isfinite(interval).all():
        top = counts.max() * 1.12
        ax.plot(interval, [top, top], color=canvas.INK, linewidth=1.6, marker="|", markersize=7)
        ax.text(interval[1], top, f"  95 %: {interval[0]:.3g} to {interval[1]:.3g}", va="center", fontsize=8.5)
        ax.set_ylim(0, top * 1.15)
    ax.set_ylabel("samples")
    canvas.quiet(ax)


def scatter_figure(
    x: np.ndarray,
    y: np.ndarray,
    *,
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    line: Regression | None = None,
    spearman: tuple[float, float, float, float] | None = None,
    groups: Sequence[str] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    fit: bool = True,
    synthetic: bool = False,
) -> content.Figure:
    """Draw one value against another, every patient a dot, with a regression line and Spearman's correlation.

    Parameters
    ----------
    x, y
        (n,) values; patients with an unknown value (or, on a logarithmic axis, 0 or less) are counted, not drawn.
    name, title, synthetic
        As in `segmentation_figure`.
    x_label, y_label
        Labels with units.
    line
        Regression made elsewhere; without it a straight line by least squares (of the logarithm on a logarithmic axis) with
        the 95 % interval of its mean.
    spearman
        rho, lower, upper, p; None writes nothing.
    groups
        (n,) class of each patient, which colours the dots; the six commonest are named.
    log_x, log_y
        Logarithmic axes.
    fit
        Whether to draw a line at all; fewer than 4 patients give none.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no patient has both values or the arrays do not fit.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1 or (groups is not None and len(groups) != x.size):
        raise ParameterError(f"{title}: {x.shape} and {y.shape} values (and groups) must have one length")
    known = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not log_x)) & ((y > 0) | (not log_y))
    if not known.any():
        raise ParameterError(f"{title}: no patient has both values; leave the figure out")
    count, lost = int(known.sum()), int((~known).sum())
    words = f"n = {count}" + (f", {lost} not shown (unknown{' or 0' if log_x or log_y else ''})" if lost else "")
    if spearman is not None and math.isfinite(spearman[0]):
        words = f"{_correlation_words(*spearman)} · {words}"
    regression = (line or _least_squares(x[known], y[known], log_x, log_y)) if fit else None
    with canvas.drawing():
        figure, axes = canvas.new_chart(_WIDTH_IN, 4.3)
        ax = axes[0, 0]
        if log_x:
            ax.set_xscale("log")
        if log_y:
            ax.set_yscale("log")
        if regression is not None:
            ax.fill_between(regression.x, regression.lower, regression.upper, color=_BLUE, alpha=0.16, linewidth=0)
            ax.plot(regression.x, regression.y, color=_BLUE, linewidth=1.8)
        _dots(ax, x[known], y[known], None if groups is None else [g for g, k in zip(groups, known, strict=True) if k])
        for axis, logarithmic in ((ax.xaxis, log_x), (ax.yaxis, log_y)):
            if logarithmic:
                _plain_log(axis)
        ax.set(xlabel=x_label, ylabel=y_label)
        ax.margins(0.04)
        canvas.quiet(ax, "both")
        figure.suptitle(textwrap.shorten(title, 80), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        ax.set_title(words, loc="left", fontsize=8.8)
        if groups is not None:
            figure.legend(loc="outside lower left", ncols=4, fontsize=8.5, handletextpad=0.2)
        caption = f"{title}: each dot is one patient ({words})."
        if regression is not None:
            of = " of logarithms" if log_x or log_y else ""
            caption += f" Line: linear regression{of} with the 95 % interval of its mean."
        good = "Dots spread evenly about the line, no single patient that turns it."
        failure = "A slope that hangs on one or two dots, a heap at zero, or values at the edge of what can be measured."
        return canvas.finish(figure, "svg", name, caption, good, failure, synthetic=synthetic)


def _correlation_words(rho: float, low: float, high: float, p: float) -> str:
    bounds = f" ({low:.2f} to {high:.2f})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"Spearman {rho:.2f}{bounds}, {p_words(p)}".replace("-", "−")


def _least_squares(x: np.ndarray, y: np.ndarray, log_x: bool, log_y: bool) -> Regression | None:
    """Fit a straight line; the interval of its mean is ``y ± t s sqrt(1/n + (x - mean)^2 / Sxx)``."""
    from scipy import stats

    if x.size < 4 or np.ptp(x) == 0:
        return None
    target = np.log(y) if log_y else y
    x = np.log(x) if log_x else x
    centred = x - x.mean()
    sxx = float(centred @ centred)
    slope = float(centred @ target) / sxx
    rest = target - target.mean() - slope * centred
    s = math.sqrt(float(rest @ rest) / (x.size - 2))
    at = np.linspace(x.min(), x.max(), 60)
    mean = target.mean() + slope * (at - x.mean())
    half = float(stats.t.ppf(0.975, x.size - 2)) * s * np.sqrt(1 / x.size + (at - x.mean()) ** 2 / sxx)
    lines = (mean, mean - half, mean + half)
    return Regression(np.exp(at) if log_x else at, *(np.exp(v) if log_y else v for v in lines))


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, groups: Sequence[str] | None) -> None:
    style: dict[str, Any] = {"markersize": 5, "alpha": 0.85, "markeredgewidth": 0, "linestyle": ""}
    if groups is None:
        ax.plot(x, y, "o", color=_RED, **style)
        return
    names = sorted(set(groups), key=lambda g: (-list(groups).count(g), g))
    named = names[: len(GROUP_COLOURS)] if len(names) <= len(GROUP_COLOURS) else names[: len(GROUP_COLOURS) - 1]
    for n, group in enumerate(named):
        at = np.array([g == group for g in groups])
        label = f"{textwrap.shorten(group, 26, placeholder=' …')} ({at.sum()})"
        ax.plot(x[at], y[at], "os^Dv*"[n], color=GROUP_COLOURS[n], label=label, **style)
    others = np.array([g not in named for g in groups])
    if others.any():
        ax.plot(
            x[others],
            y[others],
            "x",
            color=canvas.OKABE_ITO["grey"],
            label=f"others ({others.sum()})",
            markersize=5,
            linestyle="",
        )


def _plain_log(axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_formatter(NullFormatter())
