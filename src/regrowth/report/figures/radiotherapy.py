"""At which dose a tumour came back: isodose lines, targets and recurrence over the planning image."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.arrays import mask_on
from regrowth.radiotherapy.dose_points import dose_at, dose_on_grid
from regrowth.report import content
from regrowth.report.figures import canvas, sheet
from regrowth.report.figures.section_view import Place, SectionView, draw_crosses, draw_outline
from regrowth.report.slices import Cut, Plane
from regrowth.space import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["dose_figure"]

_RECURRENCE, _BEFORE, _REGION = canvas.OKABE_ITO["green"], "#7ff0cc", "#ffffff"
_TARGETS = (canvas.OKABE_ITO["sky"], "#a9dcff", "#4f8fe8", "#c9c3ff")
_TARGET_STYLES = ("solid", "dashed", "dashdot", "dotted")
_UNKNOWN = "#9aa4b1"
_NO_TARGETS: Mapping[str, np.ndarray] = MappingProxyType({})
_CT_WINDOW_HU = (-160.0, 240.0)
_KEY_PX, _SHEET_DPI, _SHEET_PX = 21.0, 110.0, 1120.0
_LEAST_LABELLED_PX = 70.0  # words on smaller rings hide them; their colour is in the key
_KEY_WIDTH_PX, _ENTRY_PX, _LETTER_PX = 1110.0, 56.0, 7.6  # width of the sheet, of a handle with its spaces, of a letter
_AXIS: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}

_GOOD = (
    "Isodose lines that follow the targets; the recurrence on the anatomy that it grew from; the outline before mapping close "
    "to the filled one, or apart by what the patient moved."
)
_FAILURE = (
    "Isodose lines far off the targets (a dose of another plan or frame of reference); a mapped recurrence in air, in bone or "
    "torn apart; a hatched recurrence (its dose is not known, which is not 0 Gy); an uncertainty region across several "
    "isodose lines (the class is a matter of chance)."
)


@dataclass(frozen=True, eq=False)
class _Scene:
    """All that is drawn, on the grid of the image."""

    image: Image
    dose_gy: np.ndarray
    recurrence: np.ndarray
    before: np.ndarray
    region: np.ndarray
    targets: Mapping[str, np.ndarray]
    prescription_gy: float
    levels: tuple[float, ...]
    centroid_mm: np.ndarray | None
    centroid_gy: float

    @property
    def unknown(self) -> np.ndarray:
        """(X, Y, Z) bool, where no dose is known."""
        return np.isnan(self.dose_gy)


def dose_figure(
    image: Image,
    dose: Image,
    *,
    name: str,
    title: str,
    prescription_gy: float,
    levels: Sequence[float] = (0.5, 0.8, 0.95, 1.0),
    recurrence: np.ndarray | None = None,
    recurrence_before: np.ndarray | None = None,
    targets: Mapping[str, np.ndarray] = _NO_TARGETS,
    region: np.ndarray | None = None,
    synthetic: bool = False,
) -> content.Figure:
    """Draw isodose lines, targets and the recurrence in three planes through its centroid and in axial sections.

    Parameters
    ----------
    image
        (X, Y, Z) planning image; one in HU is shown from -160 to 240 HU.
    dose
        Gy on its own grid in the same frame of reference, NaN where it is not known. It is read by trilinear interpolation;
        where its grid does not reach, the picture is hatched.
    name, title, synthetic
        As in `segmentation_figure`.
    prescription_gy
        Dose that the levels are shares of.
    levels
        Isodose lines as shares of the prescription, above 0.
    recurrence
        (X, Y, Z) bool on the grid of `image`, as mapped; filled.
    recurrence_before
        (X, Y, Z) bool, the recurrence without the mapping; outlined.
    targets
        Name to mask (X, Y, Z) bool; outlined.
    region
        (X, Y, Z) bool, where the centroid may truly lie (`uncertainty_region`); outlined.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If a mask does not fit the grid of `image`, or the dose belongs to another frame of reference.
    ParameterError
        If prescription or levels are no doses, or `dose` is no dose in Gy.
    """
    if not (np.isfinite(prescription_gy) and prescription_gy > 0):
        raise ParameterError(f"a prescription is a dose above 0 Gy, not {prescription_gy}")
    if not levels or not all(np.isfinite(v) and v > 0 for v in levels):
        raise ParameterError(f"isodose levels are shares of the prescription above 0, such as 0.95, not {tuple(levels)}")
    scene = _scene(image, dose, recurrence, recurrence_before, targets, region, prescription_gy, levels)
    view = _view(scene)
    with canvas.drawing():
        figure, panels = view.draw(title)
        shades = _isodose_colours(len(scene.levels))
        crosses = view.nearest([float(v) for v in scene.centroid_mm]) if scene.centroid_mm is not None else {}
        for ax, place in panels:
            labelled = place in view.whole or place in crosses
            _draw_panel(ax, view, place, scene, shades, labelled=labelled)
        legend = _legend(scene)
        if crosses:
            cross = draw_crosses(panels, crosses)
            cross.set_label("centroid")
            legend.handles.append(cross)
        _draw_key(figure, legend, scene, shades)
        caption = _caption(title, scene)
        return canvas.finish(figure, "png", name, caption, _GOOD, _FAILURE, synthetic=synthetic, colours="all")


def _scene(
    image: Image,
    dose: Image,
    recurrence: np.ndarray | None,
    before: np.ndarray | None,
    targets: Mapping[str, np.ndarray],
    region: np.ndarray | None,
    prescription_gy: float,
    levels: Sequence[float],
) -> _Scene:
    grid = image.grid
    nothing = np.zeros(grid.shape, bool)
    mapped = nothing if recurrence is None else mask_on(grid, recurrence, "the recurrence")
    centroid = grid.world(np.argwhere(mapped).mean(axis=0)) if mapped.any() else None
    return _Scene(
        image=_windowed(image),
        dose_gy=dose_on_grid(dose, grid),
        recurrence=mapped,
        before=nothing if before is None else mask_on(grid, before, "the recurrence before mapping"),
        region=nothing if region is None else mask_on(grid, region, "the region"),
        targets={k: mask_on(grid, m, f"the target {k!r}") for k, m in targets.items()},
        prescription_gy=float(prescription_gy),
        levels=tuple(sorted(set(levels))),
        centroid_mm=centroid,
        centroid_gy=float(dose_at(centroid[None], dose)[0]) if centroid is not None else np.nan,
    )


def _windowed(image: Image) -> Image:
    """A CT in the window of soft tissue; what is bone or table would else take all shades of grey."""
    low, high = _CT_WINDOW_HU if image.unit == "HU" else (-np.inf, np.inf)
    data = np.asarray(image.data, np.float32)
    least = max(float(np.fmin.reduce(data, axis=None)), low)
    return Image(np.nan_to_num(np.clip(data, low, high), nan=least), image.grid, image.unit)


def _view(scene: _Scene) -> SectionView:
    """Sections through the centroid of the recurrence; without one through the targets, or where the dose is high."""
    around = scene.before | scene.region
    if not (around | scene.recurrence).any():
        around = np.logical_or.reduce([np.zeros(around.shape, bool), *scene.targets.values()])
    if not (around | scene.recurrence).any():
        around = scene.dose_gy >= scene.levels[-1] * scene.prescription_gy
    view = SectionView.around(scene.image, scene.recurrence, around)
    if scene.centroid_mm is None:
        return view
    frame = view.frame
    voxel = np.asarray(scene.image.grid.index(scene.centroid_mm), float).reshape(3)
    turned = [n - 1 - voxel[a] if f else voxel[a] for a, f, n in zip(frame.axes, frame.flips, frame.shape, strict=True)]
    at = [int(np.clip(round(float(v)), 0, n - 1)) for v, n in zip(turned, frame.shape, strict=True)]
    return replace(view, whole=tuple(Place(p.plane, at[_AXIS[p.plane]], p.box) for p in view.whole))


def _isodose_colours(count: int) -> list[Any]:
    import matplotlib as mpl

    return list(mpl.colormaps["plasma"](np.linspace(0.46, 0.98, count)))


def _draw_panel(ax: Axes, view: SectionView, place: Place, scene: _Scene, shades: Sequence[Any], *, labelled: bool) -> None:
    _hatch(ax, view.cut(scene.unknown, place))
    sheet.fill(ax, view.cut(scene.recurrence, place), _RECURRENCE, 0.6)
    for n, mask in enumerate(scene.targets.values()):
        colour, style = _target_look(n)
        sheet.contour(ax, view.cut(mask, place), colour, width=1.5, style=style)
    _isodose_lines(ax, view.cut(scene.dose_gy, place), scene, shades, labelled)
    draw_outline(ax, view.cut(scene.before, place), _BEFORE, width=1.0)
    sheet.contour(ax, view.cut(scene.region, place), _REGION, width=1.2, style="dotted")


def _target_look(n: int) -> tuple[str, str]:
    """Colour and style of the n-th target: 16 of them differ."""
    return _TARGETS[n % len(_TARGETS)], _TARGET_STYLES[(n + n // len(_TARGETS)) % len(_TARGET_STYLES)]


def _isodose_lines(ax: Axes, cut: Cut, scene: _Scene, shades: Sequence[Any], labelled: bool) -> None:
    from matplotlib import patheffects

    known = np.ma.masked_invalid(cut.data)
    if min(known.shape) < 2 or not known.count():
        return
    x, y = ((np.arange(n) + 0.5) * p for n, p in zip(known.shape[::-1], cut.pixel_mm, strict=True))
    low, high = float(known.min()), float(known.max())
    values = [(v * scene.prescription_gy, v, c) for v, c in zip(scene.levels, shades, strict=True)]
    seen = [(gy, v, c) for gy, v, c in values if low < gy <= high]
    if not seen:
        return
    gy, shares, colours = zip(*seen, strict=True)
    lines = ax.contour(x, y, known, levels=list(gy), colors=list(colours), linewidths=1.3)
    if not labelled:
        return
    scale = ax.get_position().width * _SHEET_PX / cut.size_mm[0]
    sizes = [max(p.get_extents().width, p.get_extents().height) * scale for p in lines.get_paths()]
    large = [g for g, size in zip(gy, sizes, strict=True) if size >= _LEAST_LABELLED_PX]
    words = {g: f"{100 * v:g} %" for g, v in zip(gy, shares, strict=True)}
    for text in ax.clabel(lines, levels=large, fmt=words, fontsize=7, inline=True, inline_spacing=2) if large else ():
        text.set_path_effects([patheffects.withStroke(linewidth=1.2, foreground="black")])
        text.set_fontweight("bold")
        text.set_clip_on(True)


def _hatch(ax: Axes, cut: Cut) -> None:
    """Hatch where no dose is known."""
    if np.any(cut.data):
        padded = np.pad(np.asarray(cut.data, np.float32), 1, mode="edge")  # up to the edge of the picture
        x, y = ((np.arange(n) - 0.5) * p for n, p in zip(padded.shape[::-1], cut.pixel_mm, strict=True))
        area = ax.contourf(x, y, padded, levels=[0.5, 1.5], colors="none", hatches=["////"])
        area.set_edgecolor(_UNKNOWN)
        area.set_linewidth(0.0)


def _legend(scene: _Scene) -> sheet.Legend:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    legend = sheet.Legend()
    if scene.recurrence.any():
        legend.patch("recurrence", _RECURRENCE, 0.8)
    if scene.before.any():
        legend.line("before mapping", _BEFORE)
    for n, (label, mask) in enumerate(scene.targets.items()):
        if mask.any():
            colour, style = _target_look(n)
            look: dict[str, Any] = {"color": colour, "linestyle": style}
            legend.handles.append(Line2D([], [], linewidth=1.8, label=textwrap.shorten(label, 40, placeholder=" …"), **look))
    if scene.region.any():
        legend.line("centroid may lie here", _REGION, ":")
    if scene.unknown.any():
        legend.handles.append(Patch(facecolor="none", edgecolor=_UNKNOWN, hatch="////", linewidth=0.0, label="dose not known"))
    return legend


def _draw_key(figure: Drawing, legend: sheet.Legend, scene: _Scene, shades: Sequence[Any]) -> None:
    """Say beneath the pictures what lines and areas mean; the sheet becomes as much taller as that takes."""
    from matplotlib.lines import Line2D

    isodoses: list[Any] = [
        Line2D([], [], color=c, linewidth=1.8, label=f"{100 * v:g} % = {v * scene.prescription_gy:.4g} Gy")
        for v, c in zip(scene.levels, shades, strict=True)
    ]
    entries: list[list[Any]] = [list(legend.handles), isodoses]
    groups = [(handles, _key_rows(handles)) for handles in entries if handles]
    width, height = figure.get_size_inches()
    added = (sum(rows for _, rows in groups) - 1) * _KEY_PX / _SHEET_DPI  # the sheet has room for one
    taller = height + added
    shrunk, raised = height / taller, added / taller
    for ax in figure.axes:
        left, bottom, w, h = ax.get_position().bounds
        ax.set_position((left, raised + bottom * shrunk, w, h * shrunk))
    for text in figure.texts:
        x, y = text.get_position()
        text.set_position((x, raised + y * shrunk))
    figure.set_size_inches(width, taller)
    look: dict[str, Any] = {"fontsize": 8.5, "labelcolor": sheet.PALE, "handlelength": 1.6, "columnspacing": 1.6}
    bottom = 0.0
    for handles, rows in groups:
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.004, bottom), "borderaxespad": 0.3}
        figure.legend(handles=handles, ncols=ceil(len(handles) / rows), **look, **place)
        bottom += rows * _KEY_PX / (taller * _SHEET_DPI)


def _key_rows(handles: Sequence[Any]) -> int:
    """Rows that entries of a key take, by the length of their words; columns are as wide as their longest entry."""
    lengths = [_ENTRY_PX + _LETTER_PX * len(h.get_label()) for h in handles]
    for rows in range(1, len(lengths)):
        columns = ceil(len(lengths) / rows)
        widths = [max(lengths[k * rows : (k + 1) * rows], default=0.0) for k in range(columns)]
        if sum(widths) <= _KEY_WIDTH_PX:
            return rows
    return len(lengths)


def _caption(title: str, scene: _Scene) -> str:
    rx = scene.prescription_gy
    where = "three planes through the centroid of the recurrence" if scene.recurrence.any() else "three planes"
    shares = ", ".join(f"{100 * v:g}" for v in scene.levels)
    words = [f"{title}: isodose lines of {shares} % of {rx:g} Gy over the planning image, in {where} and in axial sections."]
    if scene.image.unit == "HU":
        words.append(f"CT from {_CT_WINDOW_HU[0]:g} to {_CT_WINDOW_HU[1]:g} HU.")
    words.append(_dose_words(scene))
    known = scene.dose_gy[~scene.unknown]
    if not known.size:
        words.append("The dose does not reach the image at all.")
    elif known.max() < scene.levels[-1] * rx:
        words.append(f"The highest dose in the image is {known.max():.1f} Gy ({100 * known.max() / rx:.0f} %).")
    if known.size and scene.unknown.any():
        words.append("Where it is hatched the dose is not known, which is not 0 Gy.")
    words += [f"The target {k} holds no voxel." for k, m in scene.targets.items() if not m.any()]
    if scene.region.any():
        words.append("The dotted line holds the true centroid with the probability that the region was made for.")
    return " ".join(filter(None, words))


def _dose_words(scene: _Scene) -> str:
    """What the recurrence got, in numbers, with bounds where part of its dose is not known."""
    if scene.centroid_mm is None:
        return "There is no recurrence."
    doses = scene.dose_gy[scene.recurrence]
    lost = float(np.isnan(doses).mean())
    parts = []
    for level in scene.levels:
        low = float((doses >= level * scene.prescription_gy * (1 - 1e-6)).mean())
        share = f"{100 * low:.0f}" if lost == 0 else f"{100 * low:.0f} to {100 * (low + lost):.0f}"
        parts.append(f"{share} % got {100 * level:g} %")
    at = scene.centroid_gy
    first = f"its centroid got {at:.1f} Gy ({100 * at / scene.prescription_gy:.0f} %)"
    centre = first if np.isfinite(at) else "the dose at its centroid is not known"
    words = f"Of the recurrence {', '.join(parts)} or more of the prescription; {centre}."
    return words + (f" {100 * lost:.0f} % of the recurrence lies where the dose is not known." if lost else "")
