"""What the cohort looks like: counts with intervals, distributions with every patient, and a mosaic of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas, sheet
from regrowth.report.slices import Convention, Cut, DisplayFrame, largest_section
from regrowth.space import Image
from regrowth.statistics.proportion import wilson_interval

__all__ = ["MOSAIC_SIZE", "Tile", "count_figure", "distribution_figure", "mosaic_figures", "patient_tile"]

MOSAIC_SIZE = 48
"""Most patients on one mosaic."""

_COLUMNS = 8


def count_figure(counts: Mapping[str, int], *, name: str, title: str, synthetic: bool = False) -> content.Figure:
    """Draw how many patients fall into each class, as shares with 95 % Wilson intervals.

    Parameters
    ----------
    counts
        Class to number of patients, in the order of the figure.
    name, title, synthetic
        As in `segmentation_figure`.

    Raises
    ------
    ParameterError
        If nothing was counted.
    """
    total = sum(counts.values())
    if not counts or total == 0:
        raise ParameterError(f"{title}: no patient to count; leave the figure out")
    with canvas.drawing():
        figure, axes = canvas.new_chart(7.4, 0.75 + 0.34 * len(counts))
        ax = axes[0, 0]
        shares = [100 * c / total for c in counts.values()]
        bounds = [wilson_interval(c, total) for c in counts.values()]
        places = np.arange(len(counts))[::-1]
        ax.barh(places, shares, height=0.6, color=canvas.OKABE_ITO["sky"])
        for y, share, (low, high), count in zip(places, shares, bounds, counts.values(), strict=True):
            ax.plot([100 * low, 100 * high], [y, y], color=canvas.INK, linewidth=1.1)
            ax.text(100 * high + 1.2, y, f"{count} of {total} ({share:.0f} %)", va="center", fontsize=8.5)
        ax.set_yticks(places, list(counts))
        ax.set(xlim=(0, 124), xlabel="patients (%), bar: 95 % Wilson interval")
        ax.set_xticks([0, 25, 50, 75, 100])
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
        canvas.quiet(ax, "x")
        good = "The total equals the number of patients with a result; intervals narrow enough for what is concluded."
        failure = "One class holds nearly everyone although the patients differ (a threshold or a label scheme may be wrong)."
        caption = f"{title}: share of {total} patients with 95 % Wilson intervals."
        return canvas.finish(figure, "svg", name, caption, good, failure, synthetic=synthetic)


def distribution_figure(
    values: Mapping[str, Sequence[float]],
    *,
    name: str,
    title: str,
    quantity: str,
    unit: str,
    log: bool = False,
    synthetic: bool = False,
) -> content.Figure:
    """Draw every patient's value per group, with median and quartiles.

    Parameters
    ----------
    values
        Group to values; NaN are counted as missing and named in the axis.
    quantity, unit
        What the values are, for the axis.
    log
        Logarithmic axis; values of 0 or less then count as not shown, and the label says so.
    name, title, synthetic
        As in `segmentation_figure`.

    Raises
    ------
    ParameterError
        If no group has a value.
    """
    arrays = {g: np.asarray(list(v), np.float64) for g, v in values.items()}
    usable = {g: v[np.isfinite(v) & ((v > 0) | (not log))] for g, v in arrays.items()}
    if not any(v.size for v in usable.values()):
        raise ParameterError(f"{title}: no value to draw; leave the figure out")
    with canvas.drawing():
        figure, axes = canvas.new_chart(7.4, 1.0 + 0.5 * len(values))
        ax = axes[0, 0]
        labels = []
        for n, (group, shown) in enumerate(usable.items()):
            y = len(values) - 1 - n
            lost = arrays[group].size - shown.size
            labels.append(f"{group} (n = {shown.size}{f', {lost} missing' if lost else ''})")
            if not shown.size:
                continue
            q1, q2, q3 = np.percentile(shown, [25, 50, 75])
            ax.barh(y, q3 - q1, left=q1, height=0.5, color=canvas.OKABE_ITO["sky"], alpha=0.35, linewidth=0)
            ax.plot([q2, q2], [y - 0.3, y + 0.3], color=canvas.OKABE_ITO["blue"], linewidth=2)
            # Points are spread by their rank, so that the same values always give the same picture.
            rank = np.argsort(np.argsort(shown, kind="stable"), kind="stable")
            ax.plot(
                shown, y + 0.16 * ((rank % 3) - 1), "o", color=canvas.OKABE_ITO["vermillion"], markersize=4, alpha=0.8, mew=0
            )
        if log:
            ax.set_xscale("log")
        ax.set_yticks(range(len(values) - 1, -1, -1), labels)
        ax.set_ylim(-0.6, len(values) - 0.4)
        ax.set_xlabel(f"{quantity} ({unit})" if unit else quantity)
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
        canvas.quiet(ax, "x")
        caption = f"{title}: each dot is one patient; line: median, box: quartiles."
        good = "Values within what the disease allows, outliers that can be named."
        failure = (
            "A heap at zero or at the edge (empty segmentations), single values far off (a wrong unit, grid or label scheme)."
        )
        return canvas.finish(figure, "svg", name, caption, good, failure, synthetic=synthetic)


@dataclass(frozen=True, eq=False)
class Tile:
    """One patient on a mosaic: a small axial slice, so that no volume has to be kept."""

    label: str
    picture: Cut
    limits: tuple[float, float]
    primary: Cut
    recurrence: Cut


def patient_tile(
    label: str,
    baseline: Image,
    primary: np.ndarray,
    recurrence: np.ndarray,
    *,
    convention: Convention = "radiological",
) -> Tile:
    """Reduce a patient to the axial slice with most recurrence (or most primary, where there is none).

    Parameters
    ----------
    label
        Patient label.
    baseline
        (X, Y, Z) image.
    primary, recurrence
        (X, Y, Z) bool on its grid.
    convention
        As in `segmentation_figure`.
    """
    for mask in (primary, recurrence):
        if mask.shape != baseline.grid.shape:
            raise GridMismatchError(f"a mask of shape {mask.shape} does not fit the baseline image {baseline.grid.shape}")
    frame = DisplayFrame.of(baseline.grid)
    box = sheet.head_box(frame, baseline.data)
    index = largest_section(frame, recurrence if recurrence.any() else primary, "axial")
    picture, before, after = (frame.cut(d, "axial", index, box, convention) for d in (baseline.data, primary, recurrence))
    return Tile(label, picture.square(1.3), sheet.grey_range(baseline.data), before, after)


def mosaic_figures(
    tiles: Sequence[Tile],
    *,
    name: str = "mosaic",
    title: str = "Recurrence over the primary",
    convention: Convention = "radiological",
    synthetic: bool = False,
) -> tuple[content.Figure, ...]:
    """Draw all patients as small pictures, `MOSAIC_SIZE` to a figure; no tiles give no figure."""
    out = []
    for start in range(0, len(tiles), MOSAIC_SIZE):
        part = tiles[start : start + MOSAIC_SIZE]
        # One size for all tiles keeps their scale comparable between patients.
        size = max(t.picture.size_mm[0] for t in part), max(t.picture.size_mm[1] for t in part)
        lines = [part[n : n + _COLUMNS] for n in range(0, len(part), _COLUMNS)]
        rows = [sheet.Row([sheet.Panel(size, t.label) for t in line], 170.0, places=min(_COLUMNS, len(part))) for line in lines]
        with canvas.drawing():
            words = "left" if convention == "neurological" else "right"
            figure, axes = sheet.new_sheet(title, f"{convention} view: patient's left is on the {words}", rows)
            for line, tiles_of_line in zip(axes, lines, strict=True):
                for ax, tile in zip(line, tiles_of_line, strict=True):
                    sheet.show(ax, tile.picture, tile.limits, letters=False)
                    sheet.fill(ax, tile.recurrence, canvas.OKABE_ITO["vermillion"], 0.55)
                    sheet.contour(ax, tile.primary, canvas.OKABE_ITO["sky"], width=1.1)
                    width, height = tile.picture.size_mm
                    ax.set_xlim((width - size[0]) / 2, (width + size[0]) / 2)
                    ax.set_ylim((height + size[1]) / 2, (height - size[1]) / 2)
            legend = sheet.Legend()
            legend.line("primary", canvas.OKABE_ITO["sky"])
            legend.patch("recurrence", canvas.OKABE_ITO["vermillion"], 0.7)
            legend.draw(figure)
            number = start // MOSAIC_SIZE + 1
            caption = f"{title}: one axial slice per patient, patients {start + 1} to {start + len(part)} of {len(tiles)}."
            good = "Every recurrence lies in brain tissue, on the side of the primary unless known otherwise."
            failure = "Tiles that look unlike the others: another orientation, an empty contour, a lesion outside of the brain."
            out.append(canvas.finish(figure, "png", f"{name}-{number}", caption, good, failure, synthetic=synthetic))
    return tuple(out)
