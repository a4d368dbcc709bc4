"""How often a cohort fails inside and outside by each scheme, and whether the probability of inside keeps its word."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.scores import brier, calibration
from regrowth.radiotherapy.failure import FailureClass
from regrowth.report import content
from regrowth.report.figures import canvas
from regrowth.report.figures.failure import GROUP_COLOURS
from regrowth.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SchemeCounts", "failure_counts_figure", "reliability_figure", "scheme_counts"]

_GROUPS = ("inside", "marginal", "outside")
_ON_COLOUR = {"inside": "#fdfdfd", "marginal": "#10151b", "outside": "#fdfdfd", "": "#10151b"}
_LINES = tuple(canvas.OKABE_ITO[c] for c in ("blue", "vermillion", "green", "orange", "purple", "sky"))
_MARKS = "os^DvP"

_GOOD_COUNTS = (
    "Like rows: the pattern of failure of the cohort does not depend on the scheme. Short intervals: enough recurrences."
)
_FAILURE_COUNTS = (
    "Rows that differ by more than their intervals: the scheme decides what the cohort shows. Much grey: the rates stand on "
    "those that could be classified, which need not be like the others."
)
_GOOD_RELIABILITY = (
    "Intervals that hold the diagonal: of recurrences called 80 % likely inside, about eight in ten were inside."
)
_FAILURE_RELIABILITY = (
    "Points beneath the diagonal: the position is less certain than claimed. A score no better than that of the overall "
    "share: the probabilities add nothing. Intervals from end to end: too few recurrences to tell."
)


@dataclass(frozen=True)
class SchemeCounts:
    """How many parts of the recurrences of a cohort fall into each group by one scheme.

    Parameters
    ----------
    scheme
        Its name, with the method where a scheme gives several classes for a part.
    inside, marginal, outside, unclassified
        Numbers of parts.
    n_patients
        Patients with at least one part, classified or not.
    """

    scheme: str
    inside: int
    marginal: int
    outside: int
    unclassified: int
    n_patients: int

    def __post_init__(self) -> None:
        if min(self.inside, self.marginal, self.outside, self.unclassified, self.n_patients) < 0:
            raise ParameterError(f"{self.scheme}: counts are not negative")

    @property
    def n(self) -> int:
        """Parts with a class."""
        return self.inside + self.marginal + self.outside

    def share(self, group: str, level: float = 0.95) -> tuple[float, float, float]:
        """Share of a group among the parts with a class, with its Wilson interval; NaN without any."""
        if group not in _GROUPS:
            raise ParameterError(f"a group is one of {', '.join(_GROUPS)}, not {group!r}")
        count = int(getattr(self, group))
        return (count / self.n if self.n else np.nan, *wilson_interval(count, self.n, level))


def scheme_counts(recurrences: Sequence[Iterable[FailureClass]]) -> tuple[SchemeCounts, ...]:
    """Count the groups of each scheme over a cohort, each part at the highest dose level that the scheme gives a class for.

    Parameters
    ----------
    recurrences
        Classes of each patient (`classify_all`), one element per patient.

    Returns
    -------
    tuple
        A row for every scheme, in the order in which they first appear.
    """
    patients = [list(classes) for classes in recurrences]
    methods = _several_methods(patients)
    found: dict[str, dict[tuple[int, int], FailureClass]] = {}
    for k, rows in enumerate(patients):
        for c in rows:
            # What is unclassified before a method was chosen goes for all methods of its scheme.
            ways = [c.method] if c.method else methods.get(c.scheme, [])
            for name in [f"{c.scheme} {m}" for m in ways] if c.scheme in methods else [c.scheme]:
                parts = found.setdefault(name, {})
                known = parts.get((k, c.part))
                if known is None or np.nan_to_num(c.prescription_gy) > np.nan_to_num(known.prescription_gy):
                    parts[k, c.part] = c
    out = []
    for name, own in found.items():
        groups = [c.group for c in own.values()]
        inside, marginal, outside, none = (groups.count(g) for g in (*_GROUPS, ""))
        out.append(SchemeCounts(name, inside, marginal, outside, none, len({k for k, _ in own})))
    return tuple(out)


def _several_methods(patients: Sequence[Sequence[FailureClass]]) -> dict[str, list[str]]:
    """Schemes that look at one part by several methods at one level, with their methods."""
    at_once: dict[tuple[int, int, str, str], list[str]] = {}
    for k, rows in enumerate(patients):
        for c in rows:
            if c.method:
                at_once.setdefault((k, c.part, c.scheme, c.level), []).append(c.method)
    out: dict[str, list[str]] = {}
    for (_, _, scheme, _), methods in at_once.items():
        if len(set(methods)) > 1:
            out[scheme] = list(dict.fromkeys([*out.get(scheme, []), *methods]))
    return out


def failure_counts_figure(rows: Sequence[SchemeCounts], *, name: str, title: str, synthetic: bool = False) -> content.Figure:
    """Draw per scheme how many recurrences failed inside, at the margin and outside, and beside it their shares with intervals.

    Parameters
    ----------
    rows
        One per scheme (`scheme_counts`).
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no row counts anything.
    """
    shown = [r for r in rows if r.n + r.unclassified]
    if not shown:
        raise ParameterError(f"{title}: no recurrence was counted; leave the figure out")
    with canvas.drawing():
        figure, axes = canvas.new_chart(9.0, 1.15 + 0.42 * len(shown), widths=(1.0, 1.0))
        left, right = axes[0]
        _draw_counts(left, shown)
        _draw_shares(right, shown)
        figure.suptitle(textwrap.shorten(title, 100, placeholder=" …"), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8.3)
        caption = _counts_caption(title, rows, shown)
        return canvas.finish(figure, "svg", name, caption, _GOOD_COUNTS, _FAILURE_COUNTS, synthetic=synthetic)


def _draw_counts(ax: Axes, rows: Sequence[SchemeCounts]) -> None:
    from matplotlib.ticker import MaxNLocator

    y = np.arange(len(rows))
    most = max(r.n + r.unclassified for r in rows)
    start = np.zeros(len(rows))
    for group in (*_GROUPS, ""):
        counts = np.array([getattr(r, group or "unclassified") for r in rows], float)
        label = group or "unclassified"
        ax.barh(y, counts, left=start, height=0.66, color=GROUP_COLOURS[group], edgecolor="#fdfdfd", linewidth=0.6, label=label)
        for k, (count, at) in enumerate(zip(counts, start, strict=True)):
            if count >= 0.05 * most:
                ax.text(at + count / 2, k, f"{count:.0f}", ha="center", va="center", fontsize=7.6, color=_ON_COLOUR[group])
        start += counts
    canvas.quiet(ax, "x")
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, most * 1.02), xlabel="parts of recurrences")
    ax.set_yticks(y, [f"{textwrap.shorten(r.scheme, 28, placeholder=' …')}\nn = {r.n}" for r in rows], fontsize=8.0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_shares(ax: Axes, rows: Sequence[SchemeCounts]) -> None:
    for n, group in enumerate(_GROUPS):
        for k, row in enumerate(rows):
            middle, low, high = (100 * v for v in row.share(group))
            if not np.isfinite(middle):
                continue
            y = k + (n - 1) * 0.22
            ax.plot([low, high], [y, y], color=canvas.MUTED, linewidth=3.4, solid_capstyle="butt", zorder=2)  # a rim for yellow
            ax.plot([low, high], [y, y], color=GROUP_COLOURS[group], linewidth=2.4, solid_capstyle="butt", zorder=3)
            look = {"markersize": 5.5, "markeredgecolor": canvas.MUTED, "markeredgewidth": 0.7, "zorder": 4}
            ax.plot([middle], [y], _MARKS[n], color=GROUP_COLOURS[group], **look)  # type: ignore[arg-type]
    for k, row in enumerate(rows):
        if not row.n:
            ax.text(2, k, "no class", va="center", fontsize=8.0, color=canvas.MUTED)
    canvas.quiet(ax, "x")
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(-1, 101), xlabel="share of those with a class, 95 % interval (%)")
    ax.set_yticks([])


def _counts_caption(title: str, rows: Sequence[SchemeCounts], shown: Sequence[SchemeCounts]) -> str:
    patients = sorted({r.n_patients for r in shown})
    who = f"{patients[0]}" if len(patients) == 1 else f"{patients[0]} to {patients[-1]}"
    words = [
        f"{title}: parts of the recurrences of {who} patients by the group of their class, each at the highest dose level that "
        "has a class. At the right the shares among those with a class (n) with 95 % intervals of Wilson, which count the "
        "parts as independent, also those of one patient."
    ]
    words += [f"{r.scheme}: {r.unclassified} of {r.n + r.unclassified} have no class." for r in shown if r.unclassified]
    words += [f"{r.scheme} counted nothing." for r in rows if r not in shown]
    return " ".join(words)


def reliability_figure(
    claims: Mapping[str, tuple[np.ndarray, np.ndarray]], *, name: str, title: str, n_bins: int = 5, synthetic: bool = False
) -> content.Figure:
    """Draw how often recurrences truly lay inside a dose level against the probability of it that was given.

    Parameters
    ----------
    claims
        Name of the method to its probabilities (n,), 0 to 1, NaN where there is none, and the truth (n,) bool, one per
        recurrence.
    name, title, synthetic
        As in `segmentation_figure`.
    n_bins
        Bins of equal count; fewer where probabilities repeat.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no method gave a probability, or probabilities and truth differ in number.
    """
    kept: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    lost: dict[str, int] = {}
    for label, (probability, truth) in claims.items():
        p, inside = np.asarray(probability, float), np.asarray(truth, bool)
        if p.ndim != 1 or p.shape != inside.shape:
            raise ParameterError(f"{label}: {p.shape} probabilities do not go with {inside.shape} outcomes; give one each")
        lost[label] = int(np.isnan(p).sum())
        if lost[label] < p.size:
            kept[label] = p[~np.isnan(p)], inside[~np.isnan(p)]
    if not kept:
        raise ParameterError(f"{title}: there is no probability; leave the figure out")
    with canvas.drawing():
        figure, axes = canvas.new_chart(7.6, 4.2)
        ax = axes[0, 0]
        ax.plot([0, 100], [0, 100], color=canvas.MUTED, linewidth=1.0, linestyle=(0, (5, 3)), label="says what happens")
        for n, (label, (p, inside)) in enumerate(kept.items()):
            _draw_reliability(ax, label, p, inside, n_bins, n, len(kept))
        canvas.quiet(ax, "both")
        ax.set(xlim=(-3, 103), ylim=(-3, 103), xlabel="probability of inside that was given (%)", ylabel="truly inside (%)")
        ax.set_title(textwrap.shorten(title, 90, placeholder=" …"), loc="left", fontsize=10.5, fontweight="bold")
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.3, borderaxespad=0.0)
        caption = _reliability_caption(title, kept, lost)
        return canvas.finish(figure, "svg", name, caption, _GOOD_RELIABILITY, _FAILURE_RELIABILITY, synthetic=synthetic)


def _draw_reliability(ax: Axes, label: str, p: np.ndarray, inside: np.ndarray, n_bins: int, n: int, of: int) -> None:
    found = calibration(p, inside, n_bins=n_bins, binning="count")
    full = np.flatnonzero(np.asarray(found.counts) > 0)
    counts = np.asarray(found.counts)[full]
    x = 100 * np.asarray(found.mean_probability)[full] + 1.2 * (n - (of - 1) / 2)  # beside each other, not on top
    shares = np.asarray(found.observed_share)[full]
    ends = 100 * np.array([wilson_interval(round(s * c), int(c)) for s, c in zip(shares, counts, strict=True)])
    words = textwrap.fill(textwrap.shorten(label, 60, placeholder=" …"), 28)
    score, overall = brier(p, inside), float(inside.mean())
    words += f"\n(n = {p.size}, Brier {score:.3f},\noverall share alone {overall * (1 - overall):.3f})"
    colour = _LINES[n % len(_LINES)]
    ax.vlines(x, ends[:, 0], ends[:, 1], color=colour, linewidth=1.4, zorder=3)
    ax.plot(x, 100 * shares, marker=_MARKS[n % len(_MARKS)], linestyle="", color=colour, markersize=6, label=words, zorder=4)
    for at, share, count in zip(x, shares, counts, strict=True):
        ax.annotate(f"{count}", (at, 100 * share), (5, -3), textcoords="offset points", fontsize=7, color=canvas.MUTED)


def _reliability_caption(title: str, kept: Mapping[str, tuple[np.ndarray, np.ndarray]], lost: Mapping[str, int]) -> str:
    words = [
        f"{title}: share of recurrences that truly lay inside among those of like probability, with 95 % intervals of Wilson "
        "and the number of recurrences of each bin. The Brier score is the mean squared error, 0 at best; beside it that of "
        "giving everybody the overall share, which is known only afterwards."
    ]
    words += [f"{k}: {np.count_nonzero(t)} of {t.size} inside." for k, (_, t) in kept.items()]
    words += [f"{k}: {m} without a probability are left out." for k, m in lost.items() if m]
    return " ".join(words)
