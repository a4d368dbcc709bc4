"""What each scheme calls each part of a recurrence, and how sure that is: a matrix of classes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.failure import UNCLASSIFIED, FailureClass
from regrowth.radiotherapy.schemes import FailureScheme, load_schemes
from regrowth.report import content
from regrowth.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GROUP_COLOURS", "MOST_PARTS", "scheme_figure"]

MOST_PARTS = 6
"""Most parts of a recurrence in one matrix; the smaller ones are counted in the caption."""

GROUP_COLOURS: Mapping[str, str] = {
    "inside": canvas.OKABE_ITO["blue"],
    "marginal": canvas.OKABE_ITO["yellow"],
    "outside": canvas.OKABE_ITO["vermillion"],
    "": canvas.OKABE_ITO["grey"],
}
"""Colour of each group of classes; that without a name is unclassified."""

# Grounds and the words on them keep their colours in dark mode, where the page turns ink to white.
_TINTS = {"inside": "#cfe3f3", "marginal": "#faf6bf", "outside": "#f7dcc9", "": "#e3e6ea"}
_ON_TINT, _ON_TINT_SOFT, _WHITE = "#10151b", "#3d4653", "#fdfdfd"
_LEFT_IN, _CELL_IN, _ROW_IN = 3.1, 2.0, 0.5

_GOOD = (
    "One colour per column: all schemes agree on the part. Bars of one colour: the class stands whatever the error of the "
    "mapped position."
)
_FAILURE = (
    "Columns of several colours: what the failure is called depends on the scheme, so that rates of two papers cannot be "
    "compared. Bars of several colours: the class is not certain. Grey: no class, for the reason in the caption."
)

_Row = tuple[str, str, str]


def scheme_figure(
    classes: Sequence[FailureClass],
    *,
    name: str,
    title: str,
    schemes: Mapping[str, FailureScheme] | None = None,
    synthetic: bool = False,
) -> content.Figure:
    """Draw the class of each part under each scheme, with the probability of each class as a bar.

    Parameters
    ----------
    classes
        Of one recurrence (`classify_all`). A scheme that gives several for a part has a row for each.
    name, title, synthetic
        As in `segmentation_figure`.
    schemes
        Name to scheme, for the groups of the classes in the bars; those that come with Regrowth when left out. Classes of a
        scheme that is not among them have grey bars.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no class at all.
    """
    if not classes:
        raise ParameterError(f"{title}: there is no part with a class; leave the figure out")
    known = load_schemes() if schemes is None else schemes
    parts = sorted({c.part for c in classes})
    drawn = parts[:MOST_PARTS]
    cells = _cells(classes)
    rows = list(dict.fromkeys(row for row, _ in cells))
    with canvas.drawing():
        width, height = _LEFT_IN + _CELL_IN * len(drawn), 0.95 + _ROW_IN * len(rows)
        figure, axes = canvas.new_chart(width, height)
        ax = axes[0, 0]
        ax.set(xlim=(-_LEFT_IN / _CELL_IN, len(drawn)), ylim=(len(rows) + 0.75, -0.55))
        ax.set_axis_off()
        for n, part in enumerate(drawn):
            ax.text(n + 0.5, -0.12, f"part {part}", ha="center", va="bottom", fontsize=9, fontweight="bold")
        for k, row in enumerate(rows):
            found = [cells[row, p] for p in drawn if (row, p) in cells]
            _draw_name(ax, k, row, found)
            for n, part in enumerate(drawn):
                if (row, part) in cells:
                    _draw_cell(ax, n, k, cells[row, part], _groups(cells[row, part].scheme, known))
        _draw_key(ax, len(rows) + 0.45)
        ax.set_title(textwrap.shorten(title, int(12 * width), placeholder=" …"), loc="left", fontsize=10.5, fontweight="bold")
        caption = _caption(title, classes, cells, parts, drawn)
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _cells(classes: Sequence[FailureClass]) -> dict[tuple[_Row, int], FailureClass]:
    """(Row, part) to class. A row is a scheme, or one of its methods and levels where it gives several for one part."""
    counts: dict[tuple[str, int], int] = {}
    for c in classes:
        counts[c.scheme, c.part] = counts.get((c.scheme, c.part), 0) + 1
    several = {scheme for (scheme, _), n in counts.items() if n > 1}
    rows: dict[str, list[_Row]] = {}
    for c in classes:
        row = (c.scheme, c.method, c.level) if c.scheme in several else (c.scheme, "", "")
        own = rows.setdefault(c.scheme, [])
        if row not in own and (c.method or c.scheme not in several):
            own.append(row)
    out: dict[tuple[_Row, int], FailureClass] = {}
    for c in classes:
        own = rows[c.scheme] or [(c.scheme, "", "")]
        if c.scheme not in several:
            fitting = own
        elif c.method:
            fitting = [(c.scheme, c.method, c.level)]
        else:  # unclassified before a method was chosen: it goes for all rows of its level, or of all levels
            fitting = [r for r in own if c.level in ("", r[2])] or [(c.scheme, "", c.level)]
        for row in fitting:
            out.setdefault((row, c.part), c)
    order = [r for own in rows.values() for r in own]
    order += [r for r, _ in out if r not in order]
    return dict(sorted(out.items(), key=lambda item: (order.index(item[0][0]), item[0][1])))


def _groups(scheme: str, known: Mapping[str, FailureScheme]) -> dict[str, str]:
    return {c.name: c.group for c in known[scheme].classes} if scheme in known else {}


def _draw_name(ax: Axes, k: int, row: _Row, found: Sequence[FailureClass]) -> None:
    scheme, method, level = row
    left = -_LEFT_IN / _CELL_IN + 0.02
    extra = ", ".join(filter(None, (method, level)))
    ax.text(left, k + 0.33, f"{scheme} ({extra})" if extra else scheme, va="center", fontsize=8.6, fontweight="bold")
    measures = list(dict.fromkeys(c.measure for c in found if c.measure))
    words = measures[0] if measures else ""
    short = textwrap.shorten(words, 64, placeholder=" …")
    ax.text(left, k + 0.69, short, va="center", fontsize=6.6, color=canvas.MUTED)


def _draw_cell(ax: Axes, n: int, k: int, c: FailureClass, groups: Mapping[str, str]) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((n + 0.02, k + 0.06), 0.96, 0.88, facecolor=_TINTS[c.group], linewidth=0))
    value = "" if np.isnan(c.value) else f"{c.value:.3g}"
    shown = textwrap.shorten(c.name, 28, placeholder=" …")
    size = 8.0 if len(shown) <= 18 else 7.0 if len(shown) <= 24 else 6.4
    ax.text(n + 0.06, k + 0.34, shown, va="center", fontsize=size, fontweight="bold", color=_ON_TINT)
    ax.text(n + 0.95, k + 0.34, value, va="center", ha="right", fontsize=7.2, color=_ON_TINT_SOFT)
    if not c.probabilities:
        return
    left, width = n + 0.06, 0.6
    start = 0.0
    ax.add_patch(Rectangle((left, k + 0.62), width, 0.17, facecolor=_WHITE, edgecolor=_ON_TINT_SOFT, linewidth=0.5))
    for label, p in c.probabilities.items():
        group = "" if label == UNCLASSIFIED else groups.get(label, "")
        look: dict[str, Any] = {"facecolor": GROUP_COLOURS[group], "edgecolor": _WHITE, "linewidth": 0.4}
        if p > 0.004:
            ax.add_patch(Rectangle((left + start * width, k + 0.62), p * width, 0.17, **look))
        start += p
    if c.group and not np.isnan(c.probability):
        words = f"p {100 * c.probability:.0f} %"
        ax.text(n + 0.95, k + 0.705, words, va="center", ha="right", fontsize=7.2, color=_ON_TINT)


def _draw_key(ax: Axes, y: float) -> None:
    from matplotlib.patches import Rectangle

    x = -_LEFT_IN / _CELL_IN + 0.02
    for group in ("inside", "marginal", "outside", ""):
        ax.add_patch(Rectangle((x, y - 0.11), 0.12, 0.22, facecolor=GROUP_COLOURS[group], linewidth=0))
        ax.text(x + 0.16, y, group or UNCLASSIFIED, va="center", fontsize=8.2)
        x += 0.16 + (0.35 + 0.075 * len(group or UNCLASSIFIED)) / _CELL_IN


def _caption(
    title: str,
    classes: Sequence[FailureClass],
    cells: Mapping[tuple[_Row, int], FailureClass],
    parts: Sequence[int],
    drawn: Sequence[int],
) -> str:
    words = [
        f"{title}: class of each part of the recurrence under each scheme, with the number that it rests on; colour is the "
        "group of the class, our convention."
    ]
    if any(c.probabilities for c in classes):
        words.append(
            "Bars are the probabilities of the classes under the uncertainty of the mapped position, p that of the class."
        )
        if any(c.group and not c.probabilities for c in classes):
            words.append("Where a bar is lacking they could not be told, because the dose is not known for too many draws.")
    else:
        words.append("Without an uncertainty of the mapped position there are no probabilities.")
    if len(parts) > len(drawn):
        words.append(f"{len(parts) - len(drawn)} smaller parts are not drawn.")
    reasons: dict[str, list[str]] = {}
    for (row, part), c in cells.items():
        if c.name == UNCLASSIFIED and part in drawn:
            place = f"{' '.join(filter(None, row))} part {part}"
            reasons.setdefault(c.reason or "no reason given", []).append(place)
    words += [f"Unclassified because {why}: {', '.join(where)}." for why, where in reasons.items()]
    return " ".join(words)
