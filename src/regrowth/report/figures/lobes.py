"""Which lobes a tumour lies in: the brain from several sides with its lobes coloured and the tumours shining through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas, sheet, surface
from regrowth.space import Grid, Image, require_same_grid, sample_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from regrowth.anatomy import RegionMap

__all__ = ["DEFAULT_VIEWS", "LOBE_COLOURS", "TUMOUR_COLOURS", "lobe_colour", "lobe_figure", "region_shares"]

DEFAULT_VIEWS = ("left", "superior", "right", "left-medial", "anterior", "right-medial")
"""Two rows of three: both sides with the top between them, both halves from the midline with the front between them."""

LOBE_COLOURS: Mapping[str, str] = {
    "frontal": "#8F7BD0",
    "parietal": "#2FA87C",
    "temporal": "#E3B341",
    "occipital": "#CC6FB0",
    "cingulate": "#D8DE6A",
    "insula": "#7D9B3F",
    "deep grey": "#B08FA8",
    "cerebellum": "#A98467",
    "corpus callosum": "#F2C6A0",
    "brainstem": "#8D9BA8",
    "ventricles": "#52606E",
}
"""Colours of the lobes: no blue and no vermillion, which belong to the primary and to the recurrence."""

TUMOUR_COLOURS = ("sky", "vermillion", "yellow", "green")
"""Colours of the tumours in their order: primary, recurrence, and further ones."""

_IVORY = np.array([0.80, 0.765, 0.72])
_GROUND = (0.0, 0.0, 0.0)
# Voxels of the scene: half of what the map of regions resolves, within what is smooth enough and quick enough.
_VOXEL_MM = (1.5, 2.5)
_WIDTH_PX, _DPI = 1120, 110
_HEAD_PX, _TITLE_PX, _GAP_PX = 34, 20, 14
_GOOD = (
    "The tumour lies on the side and in the lobes known from the scans; borders of lobes run along furrows; the shares agree "
    "with the table of overlap."
)
_FAILURE = (
    "A tumour outside of the brain, lobes that are turned, shifted or missing on one side (the registration with the template "
    "failed), a share in a lobe that no view shows the tumour in."
)


def lobe_colour(name: str) -> str:
    """Colour of a region by its name without side; grey for a name that has none."""
    return LOBE_COLOURS.get(name.replace("_", " "), "#9AA4B1")


def region_shares(mask: np.ndarray, regions: RegionMap) -> dict[str, float]:
    """Share of a mask (X, Y, Z) in every region that it touches, by label, the rest as ``unassigned``; empty for no voxel."""
    inside = np.asarray(regions.data)[np.asarray(mask, bool)]
    if not inside.size:
        return {}
    out = {r.label: float((inside == r.value).mean()) for r in regions.scheme.regions if (inside == r.value).any()}
    rest = 1.0 - sum(out.values())
    return out | ({"unassigned": rest} if rest > 1e-9 else {})


def lobe_figure(
    regions: RegionMap,
    masks: Mapping[str, np.ndarray],
    shares: Mapping[str, Mapping[str, float]] | None = None,
    *,
    image: Image | None = None,
    views: Sequence[str] = DEFAULT_VIEWS,
    name: str = "lobes",
    title: str = "Where in the brain",
    synthetic: bool = False,
) -> content.Figure:
    """Draw the brain from several sides, the tumours seen through its surface, with their share in each region.

    Parameters
    ----------
    regions
        Region map in any orientation (`RegionMap`).
    masks
        Name (``primary``, ``recurrence``) to (X, Y, Z) bool on the grid of the regions, at most four; the first is drawn
        sky blue, the second vermillion. Empty masks are named as such.
    shares
        Name of the mask to region label to its share (0 to 1), as in `RegionVolumes.shares`; counted from the masks where
        it is not given; NaN shares are not known and count as none. Lobes are the more colourful, the larger their share
        in any of the tumours.
    image
        (X, Y, Z) T1-weighted image on the same grid, from which furrows are shaded; None draws the smooth surface.
    views
        Keys of `regrowth.report.figures.surface.VIEWS`, three to a row.
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If a mask or the image does not lie on the grid of the regions.
    ParameterError
        If the map has no region, or there are no views, unknown ones or too many masks.
    """
    _check(regions, masks, image, views)
    given = shares if shares is not None else {k: region_shares(m, regions) for k, m in masks.items()}
    known = {k: {r: v for r, v in s.items() if np.isfinite(v)} for k, s in given.items()}
    scene = _Scene.of(regions, masks, image)
    colours = _colours(regions, known)
    scale = _scale(scene.grid, views)
    with canvas.drawing():
        rows = [views[n : n + 3] for n in range(0, len(views), 3)]
        key = _key_lines(known, regions)
        others = _other_names(key, regions)
        figure, places = _sheet(title, scene.grid, rows, scale, _key_px(key, others))
        for view_name, place in places:
            view = surface.VIEWS[view_name]
            drawn = surface.picture(
                view,
                scene.labels,
                colours,
                [surface.Solid(m, c) for m, c in zip(scene.masks, _tumour_rgb(masks), strict=True)],
                voxel_mm=scene.voxel_mm,
                pixel_mm=1.0 / scale / 1.5,
                texture=scene.texture,
                sides=scene.sides,
                ground=_GROUND,
            )
            _show(figure, view, drawn, place)
        _key(figure, key, others, masks)
        empty = [n for n, m in masks.items() if not np.asarray(m).any()]
        shown = ", ".join(n for n in masks if n not in empty) or "no tumour"
        caption = (
            f"{title}: {shown} seen through the surface, fainter the deeper it lies; lobes with a share of it are coloured."
        )
        if empty:
            caption += f" No voxel: {', '.join(empty)}."
        return canvas.finish(figure, "png", name, caption, _GOOD, _FAILURE, synthetic=synthetic, dpi=_DPI, colours="all")


def _check(regions: RegionMap, masks: Mapping[str, np.ndarray], image: Image | None, views: Sequence[str]) -> None:
    if not np.any(regions.data):
        raise ParameterError("the region map holds no region; leave the figure of the lobes out")
    unknown = [v for v in views if v not in surface.VIEWS]
    if unknown or not views:
        raise ParameterError(f"views must be some of {', '.join(surface.VIEWS)}, not {', '.join(unknown) or 'none'}")
    if len(masks) > len(TUMOUR_COLOURS):
        raise ParameterError(f"{len(masks)} tumours cannot be told apart; show at most {len(TUMOUR_COLOURS)}")
    for what, mask in masks.items():
        if np.asarray(mask).shape != regions.grid.shape:
            raise GridMismatchError(
                f"the mask {what} of shape {np.asarray(mask).shape} does not fit regions of {regions.grid.shape}"
            )
    if image is not None:
        require_same_grid(image.grid, regions.grid, "the image and the region map")


@dataclass(frozen=True, eq=False)
class _Scene:
    """Everything on one upright RAS grid, so that a picture does not depend on how the scan was stored."""

    grid: Grid
    labels: np.ndarray
    masks: tuple[np.ndarray, ...]
    texture: np.ndarray | None
    sides: tuple[np.ndarray, np.ndarray] | None

    @property
    def voxel_mm(self) -> float:
        return float(self.grid.spacing_mm[0])

    @classmethod
    def of(cls, regions: RegionMap, masks: Mapping[str, np.ndarray], image: Image | None) -> _Scene:
        whole = np.asarray(regions.data) > 0
        for mask in masks.values():
            whole = whole | np.asarray(mask, bool)
        voxel_mm = float(np.clip(min(regions.grid.spacing_mm) / 2, *_VOXEL_MM))
        grid = surface.ras_grid(regions.grid, whole, voxel_mm)
        axes = [np.arange(n) for n in grid.shape]
        index = regions.grid.index(grid.world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)))
        labels = sample_points(np.asarray(regions.data), index, order=0)
        inside = [sample_points(np.asarray(m, np.float32), index) >= 0.5 for m in masks.values()]
        texture = None if image is None else sample_points(np.asarray(image.data, np.float32), index)
        if texture is not None:
            texture = surface.furrows(texture, labels > 0, voxel_mm)
        return cls(grid, labels, tuple(inside), texture, _sides(labels, regions))


def _sides(labels: np.ndarray, regions: RegionMap) -> tuple[np.ndarray, np.ndarray] | None:
    """(R, A, S) bool: what a view of the left half and of the right half leaves out.

    The regions of the other side, and all else beyond the sagittal plane half way between the borders of the two sides.
    """
    left = np.isin(labels, [r.value for r in regions.scheme.regions if r.side == "left"])
    right = np.isin(labels, [r.value for r in regions.scheme.regions if r.side == "right"])
    if not left.any() or not right.any():
        return None
    profile = [side.sum(axis=(1, 2)) for side in (left, right)]
    x = np.arange(labels.shape[0])
    # The plane that separates the two sides with the fewest voxels on the wrong side.
    wrong = np.cumsum(profile[1]) + (profile[0].sum() - np.cumsum(profile[0]))
    beyond = np.broadcast_to((x > int(wrong.argmin()))[:, None, None], labels.shape)
    return right | (beyond & ~left), left | (~beyond & ~right)


def _colours(regions: RegionMap, shares: Mapping[str, Mapping[str, float]]) -> dict[int, Sequence[float]]:
    """Colour of each value: ivory with a touch of the lobe's own, more of it the larger the share of a tumour."""
    from matplotlib.colors import to_rgb

    out: dict[int, Sequence[float]] = {}
    for r in regions.scheme.regions:
        largest = max((s.get(r.label, 0.0) for s in shares.values()), default=0.0)
        strength = 0.36 + 0.64 * float(np.sqrt(min(max(largest, 0.0), 1.0)))
        out[r.value] = tuple(_IVORY * (1 - strength) + np.array(to_rgb(lobe_colour(r.name))) * strength)
    return out


def _tumour_rgb(masks: Mapping[str, np.ndarray]) -> list[tuple[float, float, float]]:
    from matplotlib.colors import to_rgb

    return [to_rgb(canvas.OKABE_ITO[c]) for c, _ in zip(TUMOUR_COLOURS, masks, strict=False)]


def _size_mm(grid: Grid, view: surface.View) -> tuple[float, float]:
    """Width and height of a view."""
    width, height = (grid.shape[view.order[n]] * grid.spacing_mm[view.order[n]] for n in (2, 1))
    return float(width), float(height)


def _scale(grid: Grid, views: Sequence[str]) -> float:
    """Pixels per mm at which the widest row fills the sheet; one scale for all views, at most 2.6."""
    rows = [views[n : n + 3] for n in range(0, len(views), 3)]
    widest = max(sum(_size_mm(grid, surface.VIEWS[v])[0] for v in row) for row in rows)
    return min((_WIDTH_PX - 4 * _GAP_PX) / widest, 2.6)


Place = tuple[float, float, float, float]
KeyLine = tuple[str, str, list[float]]


def _sheet(
    title: str, grid: Grid, rows: Sequence[Sequence[str]], scale: float, key_px: int
) -> tuple[Drawing, list[tuple[str, Place]]]:
    """Make the sheet and give every view its place (left, bottom, width, height) as a share of it."""
    from matplotlib.figure import Figure

    sizes = [[tuple(scale * s for s in _size_mm(grid, surface.VIEWS[v])) for v in row] for row in rows]
    heights = [max(h for _, h in row) + _TITLE_PX for row in sizes]
    total = _HEAD_PX + sum(heights) + key_px + 8
    figure = Figure(figsize=(_WIDTH_PX / _DPI, total / _DPI), facecolor=sheet.GROUND)
    style: dict[str, Any] = {"color": "white", "fontsize": 10.5, "fontweight": "bold", "va": "top"}
    figure.text(0.008, 1 - 9 / total, title, **style)
    figure.text(
        0.992, 1 - 10 / total, "letters are the patient's directions", color=sheet.PALE, fontsize=8.5, va="top", ha="right"
    )
    places: list[tuple[str, Place]] = []
    top = float(total - _HEAD_PX)
    for row, line, height in zip(rows, sizes, heights, strict=True):
        gap = (_WIDTH_PX - sum(w for w, _ in line)) / (len(line) + 1)
        left = gap
        for view, (w, h) in zip(row, line, strict=True):
            bottom = top - _TITLE_PX - h - (height - _TITLE_PX - h) / 2
            places.append((view, (left / _WIDTH_PX, bottom / total, w / _WIDTH_PX, h / total)))
            left += w + gap
        top -= height
    return figure, places


def _show(figure: Drawing, view: surface.View, drawn: np.ndarray, place: Place) -> None:
    from matplotlib import patheffects

    ax = figure.add_axes(place)
    ax.imshow(drawn, interpolation="antialiased", aspect="auto")
    ax.set_axis_off()
    ax.set_gid(f"view-{view.name}")
    dark = [patheffects.withStroke(linewidth=1.8, foreground="black")]
    for letter, x, side in ((view.letters[0], 0.01, "left"), (view.letters[1], 0.99, "right")):
        style: dict[str, Any] = {"ha": side, "va": "center", "color": "white", "fontsize": 10.5, "fontweight": "bold"}
        ax.text(x, 0.5, letter, transform=ax.transAxes, path_effects=dark, **style)
    ax.text(0.5, 1.0, view.title, transform=ax.transAxes, ha="center", va="bottom", color=sheet.PALE, fontsize=8.8)


def _key_lines(shares: Mapping[str, Mapping[str, float]], regions: RegionMap) -> list[KeyLine]:
    """Label, colour and share in each tumour of the regions that hold a hundredth or more of one, largest first; at most 8."""
    names = {r.label: r.name for r in regions.scheme.regions} | {"unassigned": ""}
    # A tumour of which no share is known has none in this region either: NaN, not 0.
    found = [(label, [s.get(label, 0.0) if s else float("nan") for s in shares.values()]) for label in names]
    found = [(label, values) for label, values in found if _largest(values) >= 0.01]
    found.sort(key=lambda item: (-_largest(item[1]), item[0]))
    return [(label, lobe_colour(names[label]), values) for label, values in found[:8]]


def _largest(values: Sequence[float]) -> float:
    return max((v for v in values if np.isfinite(v)), default=0.0)


def _other_names(lines: Sequence[KeyLine], regions: RegionMap) -> list[str]:
    """Names without side of the regions that are in the map and not among the lines."""
    present = set(np.unique(regions.data).tolist())
    listed = {colour for _, colour, _ in lines}
    names = dict.fromkeys(r.name.replace("_", " ") for r in regions.scheme.regions if r.value in present)
    return [n for n in names if lobe_colour(n) not in listed]


def _key(figure: Drawing, lines: Sequence[KeyLine], others: Sequence[str], masks: Mapping[str, np.ndarray]) -> None:
    """Write the legend along the bottom: the tumours with bars of their share in each region, and the other regions."""
    from matplotlib.patches import Rectangle

    height_px = _key_px(lines, others)
    total = float(figure.get_size_inches()[1]) * _DPI
    ax = figure.add_axes((0.0, 0.0, 1.0, height_px / total))
    ax.set(xlim=(0, _WIDTH_PX), ylim=(height_px, 0))
    ax.set_axis_off()

    def swatch(x: float, y: float, colour: str, words: str, weight: str = "normal") -> None:
        ax.add_patch(Rectangle((x, y - 6), 12, 12, facecolor=colour, linewidth=0))
        ax.text(x + 18, y, words, color="white", fontsize=8.8, va="center", fontweight=weight)

    names = list(masks)
    colours = [canvas.OKABE_ITO[c] for c in TUMOUR_COLOURS[: len(names)]]
    step = min(320, 640 // max(len(names), 1))
    if lines:
        ax.text(12, 12, "share of the tumour by region", color=sheet.PALE, fontsize=8.8, va="center")
    for n, (tumour, colour) in enumerate(zip(names, colours, strict=True)):
        empty = "" if np.asarray(masks[tumour]).any() else " (no voxel)"
        room = step // 9 - len(empty)
        short = tumour if len(tumour) <= room else f"{tumour[: room - 1]}…"
        swatch(235 + step * n, 12, colour, short + empty, "bold")
    for k, (label, colour, values) in enumerate(lines):
        y = 34 + 19 * k
        swatch(12, y, colour, label[:32])
        for n, (value, shade) in enumerate(zip(values, colours, strict=False)):
            x, room = 235 + step * n, step - 82
            ax.add_patch(Rectangle((x, y - 4.5), room, 9, facecolor="#20262e", linewidth=0))
            if not np.isfinite(value):
                ax.text(x + room + 8, y, "–", color=sheet.PALE, fontsize=8.8, va="center")
                continue
            ax.add_patch(Rectangle((x, y - 4.5), room * min(max(value, 0.0), 1.0), 9, facecolor=shade, linewidth=0))
            words = "< 1 %" if 0 < value < 0.01 else f"{100 * value:.0f} %"
            ax.text(x + room + 8, y, words, color=sheet.PALE, fontsize=8.8, va="center")
    if others:
        ax.text(866, 12, "other regions" if lines else "regions", color=sheet.PALE, fontsize=8.8, va="center")
    half = (len(others) + 1) // 2
    for k, other in enumerate(others):
        swatch(866 + 122 * (k // half), 34 + 19 * (k % half), lobe_colour(other), other[:15])


def _key_px(lines: Sequence[KeyLine], others: Sequence[str]) -> int:
    return 30 + 19 * max(len(lines), (len(others) + 1) // 2)
