"""Which sections of an exam are shown around a place of interest, and how probabilities and points are drawn in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.report.figures import sheet
from regrowth.report.slices import Box, Convention, Cut, DisplayFrame, Plane, largest_section, spread_sections
from regrowth.space import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.figure import Figure as Drawing
    from matplotlib.lines import Line2D

__all__ = [
    "LEAST_SHOWN",
    "Place",
    "SectionView",
    "draw_colour_bar",
    "draw_crosses",
    "draw_outline",
    "lay_probability",
    "wash_colours",
]

LEAST_SHOWN = 0.05
"""Least probability that is coloured; below it the exam is seen as it is."""

_LEVELS = (LEAST_SHOWN, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_WASH = 0.62  # opacity of the colour
_SHEET_DPI = 110.0
_DIMMED = 1.35  # the exam is shown darker than elsewhere, so that colour and lines stand out

_NORMAL: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True, eq=False)
class Place:
    """One section: its plane, the number of its slice and the part of it that is shown."""

    plane: Plane
    index: int
    box: Box


@dataclass(frozen=True, eq=False)
class SectionView:
    """Three sections of the whole head, and six axial ones close up.

    Parameters
    ----------
    image
        (X, Y, Z) exam that is the ground of all sections.
    frame
        How its grid is turned.
    whole, close
        Sections of the two rows.
    convention
        As in `DisplayFrame.cut`.
    """

    image: Image
    frame: DisplayFrame
    whole: tuple[Place, ...]
    close: tuple[Place, ...]
    convention: Convention = "radiological"

    @classmethod
    def around(cls, image: Image, interest: np.ndarray, extent: np.ndarray) -> SectionView:
        """Choose sections.

        Parameters
        ----------
        image
            The exam.
        interest
            (X, Y, Z) bool; the sections of the whole head go where it is largest, and the close ones spread over it. Where it
            is empty `extent` takes its place.
        extent
            (X, Y, Z) bool; the close sections are wide enough to show it.
        """
        frame = DisplayFrame.of(image.grid)
        wanted = next((m for m in (interest, extent) if m.any()), sheet.foreground(image.data))
        both = interest | extent
        box = sheet.head_box(frame, image.data, both)
        near = frame.box(both, 12.0, minimum_mm=80.0)
        planes: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
        whole = tuple(Place(p, largest_section(frame, wanted, p), box) for p in planes)
        indices = spread_sections(frame, wanted, 6)
        # The spread may step over the one slice that a flat lesion has.
        most = whole[0].index
        indices[min(range(len(indices)), key=lambda n: abs(indices[n] - most))] = most
        close = tuple(Place("axial", i, near) for i in indices)
        return cls(image, frame, whole, close)

    def cut(self, data: np.ndarray, place: Place) -> Cut:
        """Cut a section out of an array (X, Y, Z)."""
        return self.frame.cut(data, place.plane, place.index, place.box, self.convention)

    def draw(self, title: str) -> tuple[Drawing, list[tuple[Axes, Place]]]:
        """Make the sheet with the exam in grey; give the figure and (axes, place) of every panel."""
        rows = [sheet.Row([self._panel(p) for p in self.whole], 380.0), sheet.Row([self._panel(p) for p in self.close], 200.0)]
        figure, axes = sheet.new_sheet(title, sheet.remark_on(self.frame, self.convention), rows)
        black, white = sheet.grey_range(self.image.data)
        limits = black, black + (white - black) * _DIMMED
        panels = list(zip([*axes[0], *axes[1]], [*self.whole, *self.close], strict=True))
        for n, (ax, place) in enumerate(panels):
            first = n <= len(self.whole)
            bar_mm = (50.0 if n < len(self.whole) else 20.0) * first
            sheet.show(ax, self.cut(self.image.data, place), limits, pixel_mm=0.6, letters=first, bar_mm=bar_mm)
        return figure, panels

    def nearest(self, point_mm: Sequence[float]) -> dict[Place, tuple[float, float, float]]:
        """Find where a point (RAS, mm) lies in the nearest section of each plane.

        Returns
        -------
        dict
            Section to column and row of the point in mm from the top left corner, and its distance from the section in mm.
            Sections whose part does not hold the point are left out.
        """
        grid, frame = self.image.grid, self.frame
        voxel = np.asarray(grid.index(np.asarray(point_mm, float)), float).reshape(3)
        turned = [
            frame.shape[k] - 1 - voxel[a] if f else voxel[a]
            for k, (a, f) in enumerate(zip(frame.axes, frame.flips, strict=True))
        ]
        out: dict[Place, tuple[float, float, float]] = {}
        for places in (self.whole, self.close):
            for plane, normal in _NORMAL.items():
                own = [p for p in places if p.plane == plane]
                if not own:
                    continue
                place = min(own, key=lambda p: abs(p.index - turned[normal]))
                across, up = (k for k in range(3) if k != normal)
                mirrored = plane == "sagittal" or self.convention == "radiological"
                column, row = turned[across] - place.box[across].start, place.box[up].stop - 1 - turned[up]
                if mirrored:
                    column = place.box[across].stop - 1 - turned[across]
                x, y = (column + 0.5) * frame.spacing_mm[across], (row + 0.5) * frame.spacing_mm[up]
                width, height = self.cut(self.image.data, place).size_mm
                if 0 <= x <= width and 0 <= y <= height:
                    out[place] = x, y, abs(place.index - turned[normal]) * frame.spacing_mm[normal]
        return out

    def _panel(self, place: Place) -> sheet.Panel:
        shown = self.cut(self.image.data, place)
        return sheet.Panel(shown.size_mm, sheet.plane_title(shown))


def wash_colours() -> tuple[ListedColormap, BoundaryNorm]:
    """Colours of even steps in lightness, from purple to pale yellow, for the classes of probability."""
    import matplotlib as mpl
    from matplotlib.colors import BoundaryNorm, ListedColormap

    shades = mpl.colormaps["inferno"](np.linspace(0.28, 0.98, len(_LEVELS) - 1))
    return ListedColormap(shades), BoundaryNorm(_LEVELS, len(_LEVELS) - 1)


def lay_probability(ax: Axes, chance: Cut, colours: ListedColormap, norm: BoundaryNorm) -> None:
    """Lay the probability over a section; what is hardly likely stays uncoloured."""
    smooth = chance.square(0.6)
    shown = np.ma.masked_less(smooth.data, LEAST_SHOWN)
    if shown.count():
        look: dict[str, Any] = {"interpolation": "nearest", "aspect": "auto", "alpha": _WASH}
        ax.imshow(shown, cmap=colours, norm=norm, extent=smooth.extent, **look)


def draw_outline(ax: Axes, cut: Cut, colour: str, *, width: float = 1.4) -> None:
    """Draw the outline of a mask on a dark rim, so that it is seen on every colour."""
    sheet.contour(ax, cut, "black", width=width + 1.3)
    sheet.contour(ax, cut, colour, width=width)


def draw_colour_bar(figure: Drawing, colours: ListedColormap, norm: BoundaryNorm) -> None:
    """Draw the classes in the line of the legend, as they look over grey brain."""
    width, height = figure.get_size_inches() * _SHEET_DPI
    steps = len(_LEVELS) - 1
    ax = figure.add_axes((1 - (46 * steps + 10) / width, 15 / height, 46 * steps / width, 8 / height))
    ax.set(xlim=(0, steps), ylim=(0, 1))
    ax.set_axis_off()
    for n in range(steps):
        ax.fill_between([n, n + 1], 0, 1, color="#707070", linewidth=0)
        ax.fill_between([n, n + 1], 0, 1, color=colours(n), alpha=_WASH, linewidth=0)
    for n, level in enumerate(_LEVELS):
        side = "left" if n == 0 else "right" if n == steps else "center"
        ax.text(n, -0.35, f"{100 * level:.0f}", color=sheet.PALE, fontsize=7, ha=side, va="top")
    ax.text(-0.2, 0.5, "probability of tumour (%)", color=sheet.PALE, fontsize=8.5, ha="right", va="center")


def draw_crosses(panels: Sequence[tuple[Axes, Place]], places: Mapping[Place, tuple[float, float, float]]) -> Line2D:
    """Mark a point in the sections where `SectionView.nearest` found it; give its entry of the legend."""
    from matplotlib import patheffects
    from matplotlib.lines import Line2D

    rim = [patheffects.withStroke(linewidth=3.6, foreground="black")]
    look: dict[str, Any] = {"marker": "+", "color": "white", "markersize": 12, "markeredgewidth": 1.8, "linestyle": ""}
    for ax, place in panels:
        if place in places:
            x, y, _ = places[place]
            ax.plot([x], [y], path_effects=rim, zorder=10, **look)
    return Line2D([], [], label="estimated origin", **(look | {"markersize": 9}))
