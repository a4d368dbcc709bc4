"""Where tumour is likely to be: maps and plans over the exam, coverage of a recurrence, and whether maps keep their word."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.arrays import mask_on
from regrowth.growth.coverage import CoverageCurve
from regrowth.growth.plan import TreatmentPlan
from regrowth.growth.scores import Calibration
from regrowth.report import content
from regrowth.report.figures import canvas, sheet
from regrowth.report.figures.section_view import (
    LEAST_SHOWN,
    SectionView,
    draw_colour_bar,
    draw_crosses,
    draw_outline,
    lay_probability,
    wash_colours,
)
from regrowth.space import Image, require_same_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LEAST_SHOWN", "calibration_figure", "coverage_figure", "growth_map_figure", "plan_figure"]

_TUMOUR, _RECURRENCE = canvas.OKABE_ITO["sky"], canvas.OKABE_ITO["green"]
_STANDARD, _MODEL = canvas.OKABE_ITO["yellow"], canvas.OKABE_ITO["purple"]
_LINES = tuple(canvas.OKABE_ITO[c] for c in ("blue", "vermillion", "green", "orange", "purple", "sky"))
_STYLES = ("-", "--", "-.", ":", "-", "--")
_MOST_STEPS = 800
_NO_MARKS: Mapping[str, tuple[float, float]] = MappingProxyType({})

_GOOD_MAP = (
    "Colour that follows white matter away from the tumour and stops at ventricles, falx and skull; the recurrence, where"
    " there is one, lies where the colour is bright."
)
_FAILURE_MAP = (
    "Colour in a ventricle, outside of the brain or across the falx without the corpus callosum; none around the tumour; "
    "a tumour outline off the lesion (masks of another exam); a recurrence in uncoloured brain: the map missed it."
)
_GOOD_PLAN = "Both outlines hold the tumour and stay inside the brain; equal volumes, so that only their shapes are compared."
_FAILURE_PLAN = (
    "An outline that leaves the brain or crosses the falx where no tract does; a plan in scattered islands; very "
    "different volumes (coverage can then not be compared)."
)
_GOOD_CURVE = (
    "The growth model above the distance to the tumour at the volume of the plan, and reaching 95 % at a smaller volume. "
    "Curves on top of each other: the model adds nothing to a margin."
)
_FAILURE_CURVE = (
    "The growth model beneath: the margin is the better plan here. A curve that never reaches 95 %: part of the "
    "recurrence lies where no plan may go."
)
_GOOD_CALIBRATION = "Points on the diagonal wherever there are many voxels: of voxels called 60 %, six in ten became tumour."
_FAILURE_CALIBRATION = (
    "Points beneath the diagonal: the map promises too much. Above: too little. Bins of a few voxels far off mean "
    "nothing; all voxels in the first bin mean that the map says nothing."
)


def growth_map_figure(
    reference: Image,
    probability: Image,
    tumour: np.ndarray,
    *,
    name: str,
    title: str,
    recurrence: np.ndarray | None = None,
    origin_mm: Sequence[float] | None = None,
    synthetic: bool = False,
) -> content.Figure:
    """Draw the probability of tumour as colour over the exam.

    Parameters
    ----------
    reference
        (X, Y, Z) image of the exam.
    probability
        (X, Y, Z) from 0 to 1 on its grid; what is below `LEAST_SHOWN` or NaN is not coloured.
    tumour
        (X, Y, Z) bool, the tumour that the map starts from.
    name, title, synthetic
        As in `segmentation_figure`.
    recurrence
        (X, Y, Z) bool, what came back.
    origin_mm
        (3,) RAS position in mm of the estimated origin, marked in the nearest slice of each plane.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If anything lies on another grid than `reference`.
    """
    require_same_grid(probability.grid, reference.grid, "the growth map and the exam")
    tumour, recurrence = _masks(reference, tumour, recurrence)
    chance = np.nan_to_num(np.asarray(probability.data, np.float32))
    view = SectionView.around(reference, _union(tumour, recurrence), chance >= 0.25)
    with canvas.drawing():
        figure, panels = view.draw(title)
        colours, norm = wash_colours()
        for ax, place in panels:
            lay_probability(ax, view.cut(chance, place), colours, norm)
            draw_outline(ax, view.cut(tumour, place), _TUMOUR, width=1.4)
            if recurrence is not None:
                draw_outline(ax, view.cut(recurrence, place), _RECURRENCE, width=1.4)
        legend = sheet.Legend()
        if tumour.any():
            legend.line("tumour", _TUMOUR)
        if recurrence is not None and recurrence.any():
            legend.line("recurrence", _RECURRENCE)
        places = view.nearest(origin_mm) if origin_mm is not None else {}
        if places:
            legend.handles.append(draw_crosses(panels, places))
        legend.draw(figure)
        draw_colour_bar(figure, colours, norm)
        caption = _map_caption(title, chance, tumour, recurrence, [d for _, _, d in places.values()])
        return canvas.finish(figure, "png", name, caption, _GOOD_MAP, _FAILURE_MAP, synthetic=synthetic, colours="all")


def plan_figure(
    reference: Image,
    tumour: np.ndarray,
    standard: TreatmentPlan,
    model: TreatmentPlan,
    *,
    name: str,
    title: str,
    recurrence: np.ndarray | None = None,
    synthetic: bool = False,
) -> content.Figure:
    """Draw the outlines of two plans over the exam, and what came back.

    Parameters
    ----------
    reference, tumour, name, title, recurrence, synthetic
        As in `growth_map_figure`.
    standard, model
        Plans on the grid of `reference`; one without a mask is named with its reason.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If anything lies on another grid than `reference`.
    """
    for plan in (standard, model):
        require_same_grid(plan.grid, reference.grid, f"the plan {plan.name!r} and the exam")
    tumour, recurrence = _masks(reference, tumour, recurrence)
    view = SectionView.around(reference, _union(tumour, recurrence), standard.mask | model.mask)
    with canvas.drawing():
        figure, panels = view.draw(title)
        for ax, place in panels:
            if recurrence is not None:
                sheet.fill(ax, view.cut(recurrence, place), _RECURRENCE, 0.55)
            sheet.contour(ax, view.cut(standard.mask, place), _STANDARD, width=1.6)
            sheet.contour(ax, view.cut(model.mask, place), _MODEL, width=1.9, style="dashed")
            sheet.contour(ax, view.cut(tumour, place), _TUMOUR, width=1.1)
        legend = sheet.Legend()
        if tumour.any():
            legend.line("tumour", _TUMOUR)
        if recurrence is not None and recurrence.any():
            legend.patch("recurrence", _RECURRENCE, 0.8)
        if standard.mask.any():
            legend.line(f"{standard.name}, {standard.volume_ml:.0f} ml", _STANDARD)
        if model.mask.any():
            legend.line(f"{model.name}, {model.volume_ml:.0f} ml", _MODEL, "--")
        legend.draw(figure)
        caption = _plan_caption(title, tumour, (standard, model), recurrence)
        return canvas.finish(figure, "png", name, caption, _GOOD_PLAN, _FAILURE_PLAN, synthetic=synthetic, colours="all")


def coverage_figure(
    curves: Mapping[str, CoverageCurve],
    *,
    name: str,
    title: str,
    marks: Mapping[str, tuple[float, float]] = _NO_MARKS,
    synthetic: bool = False,
) -> content.Figure:
    """Draw which share of the recurrence is covered when a volume is treated.

    Parameters
    ----------
    curves
        Name of the ranking of voxels to its curve; those without a recurrence are named in the caption.
    name, title, synthetic
        As in `segmentation_figure`.
    marks
        Name of a plan to its volume in ml and its coverage (0 to 1).

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no curve has values.
    """
    shown = {n: c for n, c in curves.items() if c.status == "ok" and c.volumes_ml.size}
    if not shown:
        raise ParameterError(f"{title}: no coverage curve has values (no recurrence?); leave the figure out")
    placed = {n: m for n, m in marks.items() if np.isfinite(m).all()}
    top = _volume_axis(shown.values(), placed.values())
    with canvas.drawing():
        figure, axes = canvas.new_chart(8.2, 3.6)
        ax = axes[0, 0]
        ax.axhline(95, color=canvas.MUTED, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
        for n, (label, curve) in enumerate(shown.items()):
            volumes = np.union1d([0.0, top], curve.volumes_ml[curve.volumes_ml < top])
            if volumes.size > _MOST_STEPS:  # a map of floats has as many steps as the recurrence has voxels
                volumes = np.linspace(0.0, top, _MOST_STEPS)
            colour, style = _LINES[n % len(_LINES)], _STYLES[n % len(_STYLES)]
            ax.step(volumes, 100 * curve.at(volumes), style, where="post", color=colour, linewidth=1.9, label=label)
        for n, (label, (volume, covered)) in enumerate(placed.items()):
            colour = _LINES[(n + len(shown)) % len(_LINES)]
            words = f"{label}: {volume:.0f} ml, {100 * covered:.0f} %"
            ax.plot([volume], [100 * covered], "oDs^vP"[n % 6], color=colour, markersize=7, linestyle="", label=words, zorder=4)
        canvas.quiet(ax, "both")
        ax.set(xlim=(0, top), ylim=(-2, 104), xlabel="treated volume (ml)", ylabel="recurrence covered (%)")
        ax.set_title(textwrap.shorten(title, 90, placeholder=" …"), loc="left", fontsize=10.5, fontweight="bold")
        _wrapped_legend(ax)
        caption = _coverage_caption(title, curves, shown, placed, [n for n in marks if n not in placed])
        return canvas.finish(figure, "svg", name, caption, _GOOD_CURVE, _FAILURE_CURVE, synthetic=synthetic)


def calibration_figure(
    calibrations: Mapping[str, Calibration], *, name: str, title: str, synthetic: bool = False
) -> content.Figure:
    """Draw how often tumour was found against how often a map said so, with the number of voxels beneath.

    Parameters
    ----------
    calibrations
        Name of the map (such as ``raw`` and ``calibrated on other patients``) to its calibration; those without voxels are
        named in the caption.
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If no calibration has voxels.
    """
    shown = {n: c for n, c in calibrations.items() if c.n > 0}
    if not shown:
        raise ParameterError(f"{title}: no calibration has voxels; leave the figure out")
    from matplotlib.ticker import FuncFormatter, NullFormatter

    with canvas.drawing():
        figure, axes = canvas.new_chart(7.6, 4.9, [3.2, 1.0], sharex=True)
        ax, beneath = axes[:, 0]
        ax.plot([0, 100], [0, 100], color=canvas.MUTED, linewidth=1.0, linestyle=(0, (5, 3)), label="says what happens")
        for n, (label, c) in enumerate(shown.items()):
            colour, style = _LINES[n % len(_LINES)], _STYLES[n % len(_STYLES)]
            full = np.asarray(c.counts) > 0
            x, y = 100 * np.asarray(c.mean_probability)[full], 100 * np.asarray(c.observed_share)[full]
            words = f"{label}\n(calibration error {c.error:.3f})"
            ax.plot(x, y, style, color=colour, linewidth=1.6, marker="os^Dv"[n % 5], markersize=5, label=words)
            counts = np.where(full, np.asarray(c.counts, float), np.nan)
            beneath.stairs(counts, 100 * np.asarray(c.edges), color=colour, linestyle=style, linewidth=1.4, baseline=None)
        beneath.set_yscale("log")
        beneath.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
        beneath.yaxis.set_minor_formatter(NullFormatter())
        beneath.set(xlabel="probability that the map gives (%)", ylabel="voxels")
        ax.set(xlim=(-2, 102), ylim=(-2, 102), ylabel="voxels that became tumour (%)")
        for part in (ax, beneath):
            canvas.quiet(part, "both")
        ax.set_title(textwrap.shorten(title, 90, placeholder=" …"), loc="left", fontsize=10.5, fontweight="bold")
        _wrapped_legend(ax)
        caption = _calibration_caption(title, calibrations, shown)
        return canvas.finish(figure, "svg", name, caption, _GOOD_CALIBRATION, _FAILURE_CALIBRATION, synthetic=synthetic)


def _masks(reference: Image, tumour: np.ndarray, recurrence: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    tumour = mask_on(reference.grid, tumour, "the tumour")
    return tumour, None if recurrence is None else mask_on(reference.grid, recurrence, "the recurrence")


def _union(tumour: np.ndarray, recurrence: np.ndarray | None) -> np.ndarray:
    return tumour if recurrence is None else tumour | recurrence


def _map_caption(
    title: str, chance: np.ndarray, tumour: np.ndarray, recurrence: np.ndarray | None, away_mm: Sequence[float]
) -> str:
    words = [f"{title}: probability of tumour of {100 * LEAST_SHOWN:.0f} % and more, as colour over the exam."]
    if not (chance >= LEAST_SHOWN).any():
        words.append("The map has no such voxel.")
    words.append(_mask_words(tumour, recurrence))
    if away_mm:
        words.append(
            f"The cross is the estimated origin, in the nearest section of each plane (at most {max(away_mm):.0f} mm away)."
        )
    return " ".join(filter(None, words))


def _mask_words(tumour: np.ndarray, recurrence: np.ndarray | None) -> str:
    words = "" if tumour.any() else "The exam holds no tumour. "
    return words + ("There is no recurrence." if recurrence is not None and not recurrence.any() else "")


def _plan_caption(title: str, tumour: np.ndarray, plans: Sequence[TreatmentPlan], recurrence: np.ndarray | None) -> str:
    words = [f"{title}: outlines of {' and '.join(p.name for p in plans)}."]
    for plan in plans:
        if not plan.mask.any():
            words.append(f"There is no {plan.name} ({plan.reason or plan.status}).")
        elif plan.status != "ok":
            words.append(f"{plan.name}: {plan.reason or plan.status}.")
        if recurrence is not None and recurrence.any() and plan.mask.any():
            inside = np.count_nonzero(recurrence & plan.mask) / np.count_nonzero(recurrence)
            words.append(f"{plan.name} holds {100 * inside:.0f} % of the recurrence.")
    words.append(_mask_words(tumour, recurrence))
    return " ".join(filter(None, words))


def _volume_axis(curves: Iterable[CoverageCurve], marks: Iterable[tuple[float, float]]) -> float:
    """Where the axis of volumes ends: beyond all marks, and where the curves have come to 95 % or to their end."""
    ends = [volume for volume, _ in marks]
    for curve in curves:
        reached = np.flatnonzero(curve.coverage >= 0.95)
        ends.append(float(curve.volumes_ml[reached[0] if reached.size else -1]))
    return 1.15 * max(ends)


def _wrapped_legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    words = ["\n".join(textwrap.fill(line, 28) for line in label.splitlines()) for label in labels]
    ax.legend(handles, words, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.3, borderaxespad=0.0)


def _coverage_caption(
    title: str,
    curves: Mapping[str, CoverageCurve],
    shown: Mapping[str, CoverageCurve],
    marks: Mapping[str, tuple[float, float]],
    unmarked: Sequence[str],
) -> str:
    words = [
        f"{title}: share of the recurrence inside of the likeliest voxels, by {' and '.join(shown)}, against their volume."
    ]
    if marks:
        words.append("Marks are plans.")
    words.append("The dashed line is 95 %.")
    words += [
        f"{n}: {100 * c.outside_share:.0f} % of the recurrence lies where no plan may go."
        for n, c in shown.items()
        if c.outside_share > 0
    ]
    words += [f"{n} has no curve ({c.reason or c.status})." for n, c in curves.items() if n not in shown]
    words += [f"{n} has no mark: its volume or its coverage is not known." for n in unmarked]
    return " ".join(words)


def _calibration_caption(title: str, all_of: Mapping[str, Calibration], shown: Mapping[str, Calibration]) -> str:
    words = [f"{title}: observed share of tumour in voxels of like probability, and beneath how many voxels there are."]
    words += [f"{n}: {c.n:,} voxels, calibration error {c.error:.3f}, largest {c.largest_error:.3f}." for n, c in shown.items()]
    words += [f"{n} has no voxels ({c.reason or 'none given'})." for n, c in all_of.items() if n not in shown]
    return " ".join(words)
