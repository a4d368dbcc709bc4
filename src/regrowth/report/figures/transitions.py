"""From where to where: location of the primary against location of the recurrence, as a heat map, as a flow, and who stays."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas
from regrowth.report.figures.survival import p_words
from regrowth.statistics.proportion import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["flow_figure", "stay_figure", "transition_figure"]

_CLASS_COLOURS = tuple(
    canvas.OKABE_ITO[c] for c in ("blue", "orange", "green", "vermillion", "sky", "purple", "yellow", "grey")
)
_GOOD = "Rows with enough patients to read a share; the sum of all cells is the number of patients with both exams."
_FAILURE = (
    "A row of one to three patients read as a probability (look at the interval); a class that only one of the exams has "
    "(different label schemes or a failed parcellation); a midline class filled by tumours that were cut off."
)


def transition_figure(
    counts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    *,
    name: str = "transitions",
    title: str = "Location of the primary and of the recurrence",
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    p_value: float | None = None,
    test: str = "permutation test",
    synthetic: bool = False,
) -> content.Figure:
    """Draw the transition matrix: in each cell the count, its share of the row and the share's 95 % interval.

    Parameters
    ----------
    counts
        (rows, columns) patients, primary in rows and recurrence in columns.
    rows, columns
        Classes; the same ones without `columns`. Cells of one class on both sides are framed: the tumour stays there.
    name, title, synthetic
        As in `segmentation_figure`.
    lower, upper
        (rows, columns) interval of the row shares, 0 to 1; Wilson's by default.
    p_value, test
        Of a test against chance; None writes nothing.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If nothing was counted or the classes do not fit.
    """
    table, columns = _checked(counts, rows, columns, title)
    totals = table.sum(axis=1)
    shares = table / np.where(totals > 0, totals, 1)[:, None]
    bounds = [[wilson_interval(int(c), int(n)) for c in line] for line, n in zip(table, totals, strict=True)]
    low = np.asarray(lower, float) if lower is not None else np.array(bounds)[..., 0]
    high = np.asarray(upper, float) if upper is not None else np.array(bounds)[..., 1]
    if low.shape != table.shape or high.shape != table.shape:
        raise ParameterError(f"{title}: intervals of shape {low.shape} and {high.shape} do not fit {table.shape} counts")
    cell_in = 0.98 if len(columns) < 9 else 0.84
    with canvas.drawing():
        figure, axes = canvas.new_chart(cell_in * (len(columns) + 1) + 2.1, 0.6 * len(rows) + 1.75)
        ax = axes[0, 0]
        for r in range(len(rows)):
            for c in range(len(columns)):
                _cell(ax, c, r, int(table[r, c]), float(shares[r, c]), (float(low[r, c]), float(high[r, c])), int(totals[r]))
            ax.text(len(columns) + 0.05, r, f"n = {totals[r]}", ha="center", va="center", fontsize=9)
        for c in range(len(columns)):
            ax.text(c, len(rows) - 0.25, f"{table[:, c].sum()}", ha="center", va="center", fontsize=9)
        ax.text(
            len(columns) + 0.05, len(rows) - 0.25, f"{table.sum()}", ha="center", va="center", fontsize=9, fontweight="bold"
        )
        for r, row in enumerate(rows):
            if row in columns:
                _frame(ax, list(columns).index(row), r)
        ax.set(xlim=(-0.52, len(columns) + 0.5), ylim=(len(rows) + 0.1, -0.52))
        ax.set_xticks(range(len(columns)), [_wrapped(c, 13, 3) for c in columns], fontsize=8.8)
        ax.set_yticks(range(len(rows)), [_wrapped(r, 22) for r in rows], fontsize=8.8)
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        ax.set_xlabel("recurrence", fontweight="bold")
        ax.set_ylabel("primary", fontweight="bold")
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
        words = "" if p_value is None else f" · {p_words(p_value, f'{test} p')}"
        width = int(11 * figure.get_size_inches()[0]) - len(words)
        figure.suptitle(_short(title, max(width, 20)) + words, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        caption = (
            f"{title}: {table.sum()} patients; each cell has the count and, of its row, the share in % with its 95 % interval "
            "(Wilson); framed: the location stays."
        )
        if p_value is not None:
            caption += f" {test[:1].upper()}{test[1:]} against chance: {p_words(p_value)}."
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _checked(
    counts: np.ndarray, rows: Sequence[str], columns: Sequence[str] | None, title: str
) -> tuple[np.ndarray, Sequence[str]]:
    columns = rows if columns is None else columns
    table = np.asarray(counts)
    if table.shape != (len(rows), len(columns)):
        raise ParameterError(f"{title}: counts of shape {table.shape} do not fit {len(rows)} by {len(columns)} classes")
    if table.size == 0 or not table.sum() > 0:
        raise ParameterError(f"{title}: no patient to count; leave the figure out")
    if (table < 0).any() or not np.array_equal(table, np.round(table)):
        raise ParameterError(f"{title}: counts must be whole numbers from 0 on")
    return table.astype(int), columns


def _cell(ax: Axes, x: int, y: int, count: int, share: float, interval: tuple[float, float], total: int) -> None:
    from matplotlib.patches import Rectangle

    # Transparent where the share is small, so that the ground of the page shows through in light and in dark.
    strength = 0.04 + 0.9 * share
    ax.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=canvas.OKABE_ITO["blue"], alpha=strength, linewidth=0))
    colour = "white" if strength > 0.8 else canvas.INK
    if not count:
        ax.text(x, y, "0" if total else "–", ha="center", va="center", fontsize=8.8, color=canvas.MUTED)
        return
    ax.text(x, y - 0.17, f"{count}", ha="center", va="center", fontsize=11, fontweight="bold", color=colour)
    bounds = f" ({100 * interval[0]:.0f}–{100 * interval[1]:.0f})" if all(map(math.isfinite, interval)) else ""
    ax.text(x, y + 0.22, f"{100 * share:.0f} %{bounds}", ha="center", va="center", fontsize=7.4, color=colour)


def _frame(ax: Axes, x: int, y: int) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(
        Rectangle(
            (x - 0.47, y - 0.46), 0.94, 0.92, fill=False, edgecolor=canvas.OKABE_ITO["orange"], linewidth=2, gid=f"stays-{y}"
        )
    )


def _wrapped(text: str, width: int, lines: int = 2) -> str:
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder=" …"))


def _short(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder=" …")


def flow_figure(
    counts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    *,
    name: str = "flow",
    title: str = "From primary to recurrence",
    synthetic: bool = False,
) -> content.Figure:
    """Draw how patients flow from the classes of the primary (left) to those of the recurrence (right).

    Parameters
    ----------
    counts, rows, columns
        As in `transition_figure`. The widths of the bands are proportional to the counts.
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If nothing was counted or the classes do not fit.
    """
    table, columns = _checked(counts, rows, columns, title)
    names = list(dict.fromkeys([*rows, *columns]))
    colours = {n: _CLASS_COLOURS[k % len(_CLASS_COLOURS)] for k, n in enumerate(names)}
    total = int(table.sum())
    gap = 0.035 * total
    left, right = _stacked(table.sum(axis=1), gap), _stacked(table.sum(axis=0), gap)
    height = total + gap * max(_used(table.sum(axis=1)), _used(table.sum(axis=0)))
    with canvas.drawing():
        figure, axes = canvas.new_chart(8.6, 1.0 + max(2.6, 0.46 * max(_used(table.sum(axis=1)), _used(table.sum(axis=0)))))
        ax = axes[0, 0]
        starts, ends = left.copy(), right.copy()
        for r in range(len(rows)):
            for c in range(len(columns)):
                if table[r, c]:
                    _band(ax, float(starts[r]), float(ends[c]), int(table[r, c]), colours[rows[r]], total)
                    starts[r] += table[r, c]
                    ends[c] += table[r, c]
        for x, side, places, sums, labels in (
            (0.0, "right", left, table.sum(axis=1), rows),
            (1.0, "left", right, table.sum(axis=0), columns),
        ):
            for place, count, label in zip(places, sums, labels, strict=True):
                if count:
                    _block(ax, x, side, float(place), int(count), label, colours[label], total)
        ax.text(0, -0.03 * height, "primary", ha="center", va="bottom", fontweight="bold")
        ax.text(1, -0.03 * height, "recurrence", ha="center", va="bottom", fontweight="bold")
        ax.set(xlim=(-0.03, 1.03), ylim=(height, -0.1 * height))
        ax.set_axis_off()
        figure.suptitle(_short(title, 80), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        stay = sum(int(table[r, list(columns).index(n)]) for r, n in enumerate(rows) if n in columns)
        caption = (
            f"{title}: {total} patients, {stay} of whom stay in their class; bands are as wide as their number of patients."
        )
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _used(sums: np.ndarray) -> int:
    return int((sums > 0).sum())


def _stacked(sums: np.ndarray, gap: float) -> np.ndarray:
    """Where each class begins, from the top; classes without patients take no room."""
    steps = np.where(sums > 0, sums + gap, 0.0)
    return np.concatenate([[0.0], np.cumsum(steps)[:-1]]).astype(float)


def _band(ax: Axes, start: float, end: float, count: int, colour: str, total: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    a, b, bend = 0.02, 0.98, 0.5
    points = [(a, start), (bend, start), (bend, end), (b, end), (b, end + count), (bend, end + count), (bend, start + count)]
    points += [(a, start + count), (a, start)]
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    ax.add_patch(PathPatch(Path(points, [*codes, Path.CLOSEPOLY]), facecolor=colour, alpha=0.5, linewidth=0))
    if count >= 0.03 * total:
        for x, y in ((0.035, start), (0.965, end)):
            style: dict[str, Any] = {"ha": "left" if x < 0.5 else "right", "va": "center", "fontsize": 7.8}
            ax.text(x, y + count / 2, f"{count}", **style)


def _block(ax: Axes, x: float, side: str, place: float, count: int, label: str, colour: str, total: int) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x - 0.02, place), 0.04, count, facecolor=colour, linewidth=0))
    words = f"{_wrapped(label, 24)}  {count} ({100 * count / total:.0f} %)"
    ax.text(x + (-0.03 if side == "right" else 0.03), place + count / 2, words, ha=side, va="center", fontsize=8.8)


def stay_figure(
    moved: Mapping[str, tuple[int, int]],
    *,
    name: str = "leaves-its-site",
    title: str = "Comes back at another site",
    quantity: str = "patients whose recurrence lies in another class",
    intervals: Mapping[str, tuple[float, float]] | None = None,
    overall: bool = True,
    synthetic: bool = False,
) -> content.Figure:
    """Draw per class of the primary how many tumours come back somewhere else, with 95 % Wilson intervals.

    Parameters
    ----------
    moved
        Class of the primary to (patients that moved, all patients of the class).
    name, title, synthetic
        As in `segmentation_figure`.
    quantity
        Label of the axis.
    intervals
        Interval of each share, 0 to 1; Wilson's where it is not given.
    overall
        Add a line for all classes together.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no patient or a count is larger than its total.
    """
    if not moved or sum(n for _, n in moved.values()) == 0:
        raise ParameterError(f"{title}: no patient to count; leave the figure out")
    wrong = [c for c, (k, n) in moved.items() if not 0 <= k <= n]
    if wrong:
        raise ParameterError(f"{title}: more patients moved than there are in {', '.join(wrong)}")
    lines = dict(moved)
    if overall and len(moved) > 1:
        lines["all together"] = (sum(k for k, _ in moved.values()), sum(n for _, n in moved.values()))
    with canvas.drawing():
        figure, axes = canvas.new_chart(8.6, 0.95 + 0.34 * len(lines))
        ax = axes[0, 0]
        for y, (label, (k, n)) in enumerate(lines.items()):
            low, high = (intervals or {}).get(label, wilson_interval(k, n))
            if not n:
                ax.text(1, y, "no patient", va="center", fontsize=8.5, color=canvas.MUTED)
                continue
            colour = canvas.OKABE_ITO["grey"] if label not in moved else canvas.OKABE_ITO["blue"]
            ax.plot([100 * low, 100 * high], [y, y], color=colour, linewidth=2)
            ax.plot([100 * k / n], [y], "o", color=canvas.OKABE_ITO["vermillion"], markersize=7, markeredgewidth=0)
            words = f"{k} of {n}: {100 * k / n:.1f} % ({100 * low:.0f} to {100 * high:.0f})"
            ax.text(101.5, y, words, va="center", fontsize=8.8)
        ax.set_yticks(range(len(lines)), [_wrapped(c, 30) for c in lines])
        ax.set(xlim=(-1, 142), ylim=(len(lines) - 0.4, -0.6))
        ax.set_xlabel(f"{quantity} (%), with 95 % Wilson interval", x=0.36)
        ax.set_xticks([0, 25, 50, 75, 100])
        ax.set_title(_short(title, 80), loc="left", fontsize=10.5, fontweight="bold")
        canvas.quiet(ax, "x")
        caption = f"{title}: {quantity}, per class of the primary, with 95 % Wilson intervals."
        failure = "Classes of a few patients compared as if they were known: their intervals span most of the axis."
        return canvas.finish(figure, "svg", name, caption, _GOOD, failure, synthetic=synthetic)
