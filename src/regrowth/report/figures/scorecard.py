"""How good the forecasts of growth are beside simple ones: every measure, every model, every stratum."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from regrowth.errors import ParameterError
from regrowth.growth.case_scores import MEASURES
from regrowth.growth.scorecard import STRATA, ScoreCard, Summary
from regrowth.report import content
from regrowth.report.figures import canvas
from regrowth.report.figures.volume_axes import spelt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["score_figure"]

_WIDTH_IN = 9.4
_STRATUM_LOOKS = {
    "all": (canvas.INK, "D"),
    "growing": (canvas.OKABE_ITO["vermillion"], "^"),
    "stable": (canvas.OKABE_ITO["blue"], "o"),
    "shrinking": (canvas.OKABE_ITO["green"], "v"),
    "unknown": (canvas.OKABE_ITO["grey"], "s"),
}
_GOOD = (
    "The model on the better side of every baseline, in the stratum that matters (growing), with intervals that do not "
    "reach the baselines; the same number of patients in all rows of a panel."
)
_FAILURE = (
    "A baseline on the better side: use the baseline. Fewer patients behind one row than behind the others (it failed "
    "where it is hard); a model that is good over all patients only because most lesions were stable."
)


def score_figure(card: ScoreCard, *, measures: Sequence[str], name: str, title: str, synthetic: bool = False) -> content.Figure:
    """Draw the centre of every measure for every model and stratum with its interval.

    Parameters
    ----------
    card
        Models beside baselines; whatever others are compared against in it counts as a baseline and is marked.
    measures
        Measures to show (keys of `regrowth.growth.case_scores.MEASURES`), a panel each; those without a value are named in the
        caption.
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG. Intervals are over patients (95 % unless the card was made otherwise).

    Raises
    ------
    ParameterError
        If a measure is unknown or none has a value.
    """
    unknown = [m for m in measures if m not in MEASURES]
    if unknown:
        raise ParameterError(f"no measure is called {', '.join(unknown)}; known are {', '.join(MEASURES)}")
    by_measure = {m: [s for s in card.summaries if s.measure == m and s.n > 0] for m in measures}
    shown = {m: rows for m, rows in by_measure.items() if rows}
    if not shown:
        raise ParameterError(f"{title}: no measure has a value; leave the figure out")
    baselines = {c.baseline for c in card.comparisons}
    strata = [s for s in STRATA if any(row.stratum == s for rows in shown.values() for row in rows)]
    columns = min(2, len(shown))
    lines = [list(shown)[n : n + columns] for n in range(0, len(shown), columns)]
    heights = [max(_height_in(shown[m], strata) for m in line) for line in lines]
    with canvas.drawing():
        figure, axes = canvas.new_chart(_WIDTH_IN if columns > 1 else 7.0, sum(heights) + 0.8, heights, [1.0] * columns)
        for ax in axes.flat[len(shown) :]:
            ax.set_axis_off()
        for ax, (measure, rows) in zip(axes.flat, shown.items(), strict=False):
            _measure(ax, measure, rows, strata, baselines)
        _legend(figure, strata, [r for rows in shown.values() for r in rows])
        figure.suptitle(textwrap.shorten(title, 90, placeholder=" …"), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        caption = _caption(title, card, shown, [m for m in measures if m not in shown])
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _height_in(rows: Sequence[Summary], strata: Sequence[str]) -> float:
    models = len({r.model for r in rows})
    return 0.75 + models * max(0.3, 0.125 * len(strata) + 0.08)


def _centre(row: Summary) -> tuple[float, float, float]:
    estimate = row.median if MEASURES[row.measure].centre == "median" else row.mean
    return estimate.value, estimate.low, estimate.high


def _measure(ax: Axes, measure: str, rows: Sequence[Summary], strata: Sequence[str], baselines: set[str]) -> None:
    rule = MEASURES[measure]
    # Models first, baselines beneath them.
    models = sorted(dict.fromkeys(r.model for r in rows), key=lambda m: m in baselines)
    step = 0.74 / max(len(strata), 1)
    for row in rows:
        y = models.index(row.model) + step * (strata.index(row.stratum) - (len(strata) - 1) / 2)
        colour, mark = _STRATUM_LOOKS[row.stratum]
        value, low, high = _centre(row)
        if math.isfinite(low) and math.isfinite(high):
            ax.plot([low, high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        face = "none" if row.model in baselines else colour
        ax.plot([value], [y], mark, color=colour, markerfacecolor=face, markersize=5, markeredgewidth=1.1)
    counts = {m: next((r for r in rows if r.model == m and r.stratum == "all"), None) for m in models}
    labels = [_row_label(m, counts[m], m in baselines) for m in models]
    ax.set_yticks(range(len(models)), labels)
    ax.set_ylim(len(models) - 0.45, -0.55)
    for y in range(1, len(models)):
        ax.axhline(y - 0.5, color=canvas.HAIRLINE, linewidth=0.7)
    canvas.quiet(ax, "x")
    ax.spines["left"].set_visible(False)
    better = "→ higher is better" if rule.higher_is_better else "← lower is better"
    if rule.centre == "share":
        better = "nearest to the promised share is best"
    ax.set_title(
        rule.label if rule.centre == "share" else f"{rule.label}, {rule.centre}", loc="left", fontsize=9, fontweight="bold"
    )
    ax.set_xlabel(better, fontsize=8.3, color=canvas.MUTED)


def _row_label(model: str, row: Summary | None, is_baseline: bool) -> str:
    words = textwrap.fill(spelt(model), 24)
    if is_baseline:
        words += "\n(baseline)"
    if row is not None:
        words += f"\nn = {row.n}" + (f", {row.n_missing} missing" if row.n_missing else "")
    return words


def _legend(figure: Drawing, strata: Sequence[str], rows: Sequence[Summary]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for stratum in strata:
        colour, mark = _STRATUM_LOOKS[stratum]
        patients = max(r.n + r.n_missing for r in rows if r.stratum == stratum)
        words = f"{stratum} ({patients} patient{'s' if patients > 1 else ''})"
        handles.append(Line2D([], [], color=colour, marker=mark, markersize=5, linewidth=1.4, label=words))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(strata), fontsize=8.5)


def _caption(title: str, card: ScoreCard, shown: dict[str, list[Summary]], absent: Sequence[str]) -> str:
    levels = sorted({100 * e.level for rows in shown.values() for r in rows for e in (r.mean, r.median)})
    words = [
        f"{title}: marks with {' or '.join(f'{v:g}' for v in levels)} % intervals over patients, by what the lesion did; "
        "hollow marks are baselines; n counts all patients with a value."
    ]
    whole = [
        c
        for c in card.comparisons
        if c.measure in shown and c.stratum == "all" and c.model not in {o.baseline for o in card.comparisons}
    ]
    for verdict, what in (("loses to the baseline", "Worse than a baseline"), ("beats the baseline", "Better than a baseline")):
        found: dict[str, list[str]] = {}
        for n in (n for n in whole if verdict in n.verdict):
            found.setdefault(f"{spelt(n.model)} than {spelt(n.baseline)}", []).append(_short(n.measure))
        if found:
            listed = "; ".join(f"{pair} ({', '.join(measures)})" for pair, measures in found.items())
            words.append(f"{what} over all patients: {listed}.")
    if whole and len(words) == 1:
        words.append("Over all patients no model is shown to be better or worse than a baseline.")
    if absent:
        words.append(f"No value at all: {', '.join(MEASURES[m].label for m in absent)}.")
    return " ".join(words)


def _short(measure: str) -> str:
    return MEASURES[measure].label.removesuffix(" (ml)").removesuffix(" of the volume")
