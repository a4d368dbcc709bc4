"""How slices are laid out as a sheet of pictures: common scale per row, letters, scale bar, contours, legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from regrowth.report.slices import Box, Convention, Cut, DisplayFrame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = [
    "Legend",
    "Panel",
    "Row",
    "contour",
    "fill",
    "foreground",
    "grey_range",
    "head_box",
    "new_sheet",
    "plane_title",
    "remark_on",
    "show",
]

LineStyle: TypeAlias = Literal["-", "--", ":"]

_WIDTH_PX, _DPI = 1120, 110
_GAP_PX, _TOP_PX, _LABEL_PX, _LEGEND_PX = 6, 30, 17, 24
GROUND, PALE = "#000000", "#dfe4ea"


@dataclass(frozen=True)
class Panel:
    """One picture: its size in mm and the words above it."""

    size_mm: tuple[float, float]
    title: str = ""


@dataclass(frozen=True)
class Row:
    """Pictures side by side at one scale, no taller than `tallest_px`; `label` stands upright at the left of them.

    A row that is not full keeps the spacing of a full one when `places` says how many panels that has.
    """

    panels: Sequence[Panel]
    tallest_px: float = 400.0
    label: str = ""
    places: int = 0


@dataclass
class Legend:
    """Entries of the legend, collected while drawing."""

    handles: list[object] = field(default_factory=list)

    def line(self, label: str, colour: str, style: LineStyle = "-") -> None:
        """Add a line."""
        from matplotlib.lines import Line2D

        self.handles.append(Line2D([], [], color=colour, linestyle=style, linewidth=1.8, label=label))

    def patch(self, label: str, colour: str, alpha: float = 1.0) -> None:
        """Add a filled patch."""
        from matplotlib.patches import Patch

        self.handles.append(Patch(facecolor=colour, alpha=alpha, label=label))

    def draw(self, figure: Figure) -> None:
        """Write the legend along the bottom of the sheet."""
        if self.handles:
            figure.legend(
                handles=self.handles,
                loc="lower left",
                bbox_to_anchor=(0.004, 0.0),
                ncols=8,
                fontsize=8.5,
                labelcolor=PALE,
                handlelength=1.6,
                columnspacing=1.6,
                borderaxespad=0.3,
            )


def new_sheet(title: str, remark: str, rows: Sequence[Row]) -> tuple[Figure, list[list[Axes]]]:
    """Make a black sheet whose panels have the proportions of the slices.

    Parameters
    ----------
    title, remark
        Words at the top left and the top right.
    rows
        Rows of panels; within a row a millimetre has one length.

    Returns
    -------
    tuple
        The figure and its axes, row by row.
    """
    from matplotlib.figure import Figure

    heights, scales = [], []
    for row in rows:
        places = max(row.places, len(row.panels))
        across = sum(p.size_mm[0] for p in row.panels) * places / len(row.panels)
        scale = (_WIDTH_PX - _margin_px(row) - _GAP_PX * (places + 1)) / across
        scale = min(scale, row.tallest_px / max(p.size_mm[1] for p in row.panels))
        scales.append(scale)
        heights.append(max(p.size_mm[1] for p in row.panels) * scale + _LABEL_PX + _GAP_PX)
    total = _TOP_PX + sum(heights) + _LEGEND_PX
    figure = Figure(figsize=(_WIDTH_PX / _DPI, total / _DPI), facecolor=GROUND)
    figure.text(0.006, 1 - 8 / total, title, color="white", fontsize=10.5, fontweight="bold", va="top")
    figure.text(0.994, 1 - 9 / total, remark, color=PALE, fontsize=8.5, va="top", ha="right")
    out: list[list[Axes]] = []
    top = float(total - _TOP_PX)
    for row, scale, height in zip(rows, scales, heights, strict=True):
        used = sum(p.size_mm[0] * scale for p in row.panels)
        places = max(row.places, len(row.panels))
        gap = (_WIDTH_PX - _margin_px(row) - used * places / len(row.panels)) / (places + 1)
        left, line = _margin_px(row) + gap, []
        if row.label:
            middle = top - (height - _GAP_PX) / 2
            words: dict[str, Any] = {
                "rotation": 90,
                "ha": "center",
                "va": "center",
                "fontsize": 9.5,
                "fontweight": "bold",
                "color": "white",
            }
            figure.text(13 / _WIDTH_PX, middle / total, row.label, **words)
        for panel in row.panels:
            w, h = panel.size_mm[0] * scale, panel.size_mm[1] * scale
            room = height - _LABEL_PX - _GAP_PX
            bottom = top - _LABEL_PX - h - (room - h) / 2
            ax = figure.add_axes((left / _WIDTH_PX, bottom / total, w / _WIDTH_PX, h / total))
            ax.set_axis_off()
            figure.text(
                (left + w / 2) / _WIDTH_PX,
                (bottom + h + 3) / total,
                panel.title,
                color=PALE,
                fontsize=8.5,
                ha="center",
                va="bottom",
            )
            line.append(ax)
            left += w + gap
        out.append(line)
        top -= height
    return figure, out


def _margin_px(row: Row) -> float:
    return 22.0 if row.label else 0.0


def remark_on(frame: DisplayFrame, convention: Convention) -> str:
    """Say how the pictures are turned."""
    side = "right" if convention == "radiological" else "left"
    text = f"{convention} view: patient's left is on the {side}"
    if frame.is_oblique:
        text += f"; slices follow the voxel axes, tilted {frame.tilt_deg:.0f}° from RAS"
    return text


def show(
    ax: Axes,
    cut: Cut,
    limits: tuple[float, float],
    *,
    pixel_mm: float = 0.0,
    letters: bool = True,
    colours: str | Colormap = "gray",
    bar_mm: float = 0.0,
) -> None:
    """Draw a slice in true proportions, with patient directions at its sides.

    Parameters
    ----------
    ax
        Axes of the panel.
    cut
        Slice of intensities.
    limits
        Values shown black and white.
    pixel_mm
        Interpolate linearly to square pixels of this size; 0 shows the voxels as they are.
    letters
        Write the directions.
    colours
        Colour map.
    bar_mm
        Length of a scale bar; 0 for none.
    """
    drawn = cut.square(pixel_mm) if pixel_mm else cut
    ax.imshow(
        drawn.data, cmap=colours, vmin=limits[0], vmax=limits[1], extent=drawn.extent, interpolation="nearest", aspect="auto"
    )
    width, height = cut.size_mm
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    if letters:
        places = (
            (0.015, 0.5, "left", "center"),
            (0.985, 0.5, "right", "center"),
            (0.5, 0.985, "center", "top"),
            (0.5, 0.015, "center", "bottom"),
        )
        for letter, (x, y, ha, va) in zip(cut.letters, places, strict=True):
            _outlined(ax, x, y, letter, ha, va)
    if bar_mm and bar_mm < 0.8 * width:
        y = height * 0.96
        ax.plot([width * 0.04, width * 0.04 + bar_mm], [y, y], color="white", linewidth=2.2, solid_capstyle="butt")
        _outlined(ax, 0.04, 0.055, f"{bar_mm:g} mm", "left", "bottom", size=7.0)


def _outlined(ax: Axes, x: float, y: float, text: str, ha: str, va: str, size: float = 9.0) -> None:
    from matplotlib import patheffects

    ax.text(
        x,
        y,
        text,
        transform=ax.transAxes,
        ha=ha,
        va=va,
        color="white",
        fontsize=size,
        fontweight="bold",
        path_effects=[patheffects.withStroke(linewidth=1.8, foreground="black")],
    )


def _soft(cut: Cut) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, rows and values of a mask with a border of zeros, so that contours close at the edge of the picture."""
    data = np.pad(np.asarray(cut.data, np.float32), 1)
    x = (np.arange(data.shape[1]) - 0.5) * cut.pixel_mm[0]
    y = (np.arange(data.shape[0]) - 0.5) * cut.pixel_mm[1]
    return x, y, data


def contour(ax: Axes, cut: Cut, colour: str, *, width: float = 1.3, style: str = "solid") -> None:
    """Draw the outline of a mask; nothing where the slice holds none of it."""
    if np.any(cut.data):
        ax.contour(*_soft(cut), levels=[0.5], colors=[colour], linewidths=width, linestyles=style)


def fill(ax: Axes, cut: Cut, colour: str, alpha: float = 0.45) -> None:
    """Fill a mask; nothing where the slice holds none of it."""
    if np.any(cut.data):
        ax.contourf(*_soft(cut), levels=[0.5, 1.5], colors=[colour], alpha=alpha)


def foreground(data: np.ndarray) -> np.ndarray:
    """(X, Y, Z) bool, the head in a rough way: above a tenth of the 99th percentile of what is not background."""
    values = np.nan_to_num(np.asarray(data, np.float32))
    values = values - values.min()
    positive = values[values > 0]
    if not positive.size:
        return np.zeros(values.shape, bool)
    return np.asarray(values > 0.1 * np.percentile(positive, 99))


def head_box(frame: DisplayFrame, data: np.ndarray, lesion: np.ndarray | None = None, margin_mm: float = 4.0) -> Box:
    """Box (along R, A, S) around the head and a lesion; planes with hardly any foreground count as outside of the head."""
    head = frame.array(foreground(data))
    around = frame.box(lesion, margin_mm) if lesion is not None and lesion.any() else None
    out = []
    for axis in range(3):
        profile = head.mean(axis=tuple(a for a in range(3) if a != axis))
        hits = np.flatnonzero(profile > 0.02)
        if not hits.size:
            return frame.whole()
        margin = round(margin_mm / frame.spacing_mm[axis])
        start, stop = max(int(hits[0]) - margin, 0), min(int(hits[-1]) + 1 + margin, frame.shape[axis])
        out.append(slice(min(start, around[axis].start), max(stop, around[axis].stop)) if around else slice(start, stop))
    return out[0], out[1], out[2]


def grey_range(data: np.ndarray) -> tuple[float, float]:
    """Values to show black and white: black at the background, white at the 99th percentile of the head."""
    values = np.asarray(data, np.float32)
    head = values[foreground(values)]
    head = head[np.isfinite(head)]
    if not head.size:
        return 0.0, 1.0
    low, high = float(np.nanmin(values)), float(np.percentile(head, 99.0))
    return low, max(high, low + 1e-6)


def plane_title(cut: Cut) -> str:
    """Name a slice, as in ``axial · S 12 mm``, on the side of the origin that the letter names."""
    ends = {"axial": "SI", "coronal": "AP", "sagittal": "RL"}[cut.plane]
    return f"{cut.plane} · {ends[cut.position_mm < 0]} {abs(cut.position_mm):.0f} mm"
