"""Where the tumour came back: recurrence over the primary with distance rings, and its share within a distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas, sheet
from regrowth.report.slices import Box, Convention, Cut, DisplayFrame, Plane, largest_section, spread_sections
from regrowth.space import Image, LabelMap, distance_to_mm, require_same_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["DistanceShare", "migration_figure", "recurrence_figure"]

_GOOD = (
    "The recurrence lies where the follow-up scan shows it, in brain tissue; the rigid outline (dashed) and the filled "
    "deformable one nearly agree, so that the distances do not hang on the registration."
)
_FAILURE = (
    "A recurrence outside of the brain, in a ventricle or across the falx from where it was seen; rigid and deformable far "
    "apart (the mass effect is large: read the distances as a range); a recurrence much smaller than in its own scan."
)
_GOOD_CURVE = (
    "The curves lie close together: the result does not hang on the registration. A steep rise near 0 mm is a local recurrence."
)
_FAILURE_CURVE = (
    "Curves far apart: mass effect or a failed registration decides the distance; look at the registration before citing it."
)
_CLASS_COLOURS = ("vermillion", "orange", "purple", "yellow", "green")


def recurrence_figure(
    baseline: Image,
    primary: LabelMap,
    recurrence: LabelMap,
    *,
    recurrence_rigid: LabelMap | None = None,
    region: str = "CE_core",
    rings_mm: Sequence[float] = (5.0, 10.0, 20.0),
    components: np.ndarray | None = None,
    classes: Mapping[int, str] | None = None,
    name: str = "recurrence",
    title: str = "Recurrence map",
    convention: Convention = "radiological",
    synthetic: bool = False,
) -> content.Figure:
    """Draw the recurrence, brought onto the baseline exam, over the primary tumour.

    Parameters
    ----------
    baseline
        (X, Y, Z) reference image of the baseline.
    primary
        Segmentation of the baseline, on its grid.
    recurrence, recurrence_rigid
        Segmentation of the follow-up on the same grid, mapped by the deformable and by the rigid transform.
    region
        Region that is drawn of all three; where a scheme lacks it, every labelled voxel but the cavity.
    rings_mm
        Distances from the primary that are drawn as rings; none on a grid with sheared axes.
    components
        (X, Y, Z) integers, numbers of the connected parts of the recurrence.
    classes
        Number of the part to its class (``local``, ``marginal``, ``distant``), which colours the fill.
    name, title, convention, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If anything lies on another grid than `baseline`.
    """
    for what, labels in (("primary", primary), ("recurrence", recurrence), ("rigid recurrence", recurrence_rigid)):
        if labels is not None:
            require_same_grid(labels.grid, baseline.grid, f"the baseline image and the {what} segmentation")
    frame = DisplayFrame.of(baseline.grid)
    before, after = _region(primary, region), _region(recurrence, region)
    rigid = _region(recurrence_rigid, region) if recurrence_rigid is not None else None
    parts = _parts(after, components, classes)
    interest = after if after.any() else before
    both = before | after
    box = sheet.head_box(frame, baseline.data, both)
    near = frame.box(both, 24.0, minimum_mm=80.0)
    reach = _distances(before, baseline, rings_mm)
    planes: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
    tops = [(p, largest_section(frame, interest, p)) for p in planes]
    strip = spread_sections(frame, both, 6)

    def cut(data: np.ndarray, plane: Plane, index: int, window: Box) -> Cut:
        return frame.cut(data, plane, index, window, convention)

    def panel(plane: Plane, index: int, window: Box) -> sheet.Panel:
        shown = cut(baseline.data, plane, index, window)
        return sheet.Panel(shown.size_mm, sheet.plane_title(shown))

    rows = [sheet.Row([panel(p, i, box) for p, i in tops], 380.0), sheet.Row([panel("axial", i, near) for i in strip], 200.0)]
    with canvas.drawing():
        figure, axes = sheet.new_sheet(title, sheet.remark_on(frame, convention), rows)
        limits = sheet.grey_range(baseline.data)
        spots: list[tuple[Plane, int, Box, bool]] = [(p, i, box, True) for p, i in tops]
        spots += [("axial", i, near, n == 0) for n, i in enumerate(strip)]
        for ax, (plane, index, window, first) in zip([a for line in axes for a in line], spots, strict=True):
            bar_mm = (50.0 if window is box else 20.0) * first
            sheet.show(ax, cut(baseline.data, plane, index, window), limits, pixel_mm=0.6, letters=first, bar_mm=bar_mm)
            if reach is not None:
                _rings(ax, cut(reach, plane, index, window), rings_mm)
            for _, colour, mask in parts:
                sheet.fill(ax, cut(mask, plane, index, window), colour, 0.5)
                sheet.contour(ax, cut(mask, plane, index, window), colour, width=0.8)
            if rigid is not None:
                sheet.contour(ax, cut(rigid, plane, index, window), canvas.OKABE_ITO["yellow"], width=1.0, style="dashed")
            sheet.contour(ax, cut(before, plane, index, window), canvas.OKABE_ITO["sky"], width=1.5)
        _legend(figure, parts, rigid is not None, rings_mm if reach is not None else ())
        caption = _caption(title, _region_words(primary, recurrence, region), before, after)
        return canvas.finish(figure, "png", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _rings(ax: Axes, reach: Cut, rings_mm: Sequence[float]) -> None:
    """Draw lines of equal distance, white on a dark rim so that they are seen on bright and dark tissue."""
    field = reach.square(1.0)
    if min(field.data.shape) < 2 or field.data.min() >= max(rings_mm):
        return
    from matplotlib import patheffects

    x = (np.arange(field.data.shape[1]) + 0.5) * field.pixel_mm[0]
    y = (np.arange(field.data.shape[0]) + 0.5) * field.pixel_mm[1]
    lines = ax.contour(x, y, field.data, levels=sorted(rings_mm), colors="white", linewidths=0.9, linestyles="dotted")
    lines.set_path_effects([patheffects.withStroke(linewidth=2.2, foreground="#00000090")])


def _caption(title: str, region: str, before: np.ndarray, after: np.ndarray) -> str:
    if not before.any() and not after.any():
        return f"{title}: neither exam holds any {region}; the baseline image is shown alone."
    if not after.any():
        return f"{title}: the follow-up holds no {region}; only the primary is shown."
    if not before.any():
        return f"{title}: the baseline holds no {region}, so that there is no distance from it; only the recurrence is shown."
    return f"{title}: {region} of the follow-up brought onto the baseline exam, over {region} of the primary."


def _legend(figure: Drawing, parts: list[tuple[str, str, np.ndarray]], rigid: bool, rings: Sequence[float]) -> None:
    legend = sheet.Legend()
    legend.line("primary", canvas.OKABE_ITO["sky"])
    seen: set[str] = set()
    for label, colour, _ in parts:
        if label not in seen:
            legend.patch(label, colour, 0.7)
            seen.add(label)
    if rigid:
        legend.line("recurrence, rigid only", canvas.OKABE_ITO["yellow"], "--")
    if rings:
        legend.line(f"{', '.join(f'{r:g}' for r in sorted(rings))} mm from the primary", "white", ":")
    legend.draw(figure)


def _region(labels: LabelMap, region: str) -> np.ndarray:
    if labels.has(region):
        return labels.mask(region)
    cavity = labels.mask("RC") if labels.has("RC") else np.zeros(labels.grid.shape, bool)
    return (labels.data > 0) & ~cavity


def _region_words(primary: LabelMap, recurrence: LabelMap, region: str) -> str:
    """Name what is drawn, which is not the region asked for where a scheme lacks it."""
    lacking = list(dict.fromkeys(m.scheme.name for m in (primary, recurrence) if not m.has(region)))
    return f"labelled tumour ({' and '.join(lacking)} cannot express {region})" if lacking else region


def _parts(
    after: np.ndarray, components: np.ndarray | None, classes: Mapping[int, str] | None
) -> list[tuple[str, str, np.ndarray]]:
    """Name, colour and mask of what is filled: one per class of component, and the rest."""
    if components is None or not classes:
        return [("recurrence", canvas.OKABE_ITO["vermillion"], after)] if after.any() else []
    if components.shape != after.shape:
        raise ParameterError(f"components of shape {components.shape} do not fit the baseline grid {after.shape}")
    known = ["local", "marginal", "distant"]
    order = [*known, *sorted(set(classes.values()) - set(known))]
    out = []
    for n, kind in enumerate(order):
        mask = after & np.isin(components, [k for k, c in classes.items() if c == kind])
        if mask.any():
            out.append((f"recurrence, {kind}", canvas.OKABE_ITO[_CLASS_COLOURS[n % len(_CLASS_COLOURS)]], mask))
    rest = after & ~np.isin(components, list(classes))
    if rest.any():
        out.append(("recurrence, not classified", canvas.OKABE_ITO["grey"], rest))
    return out


def _distances(before: np.ndarray, baseline: Image, rings: Sequence[float]) -> np.ndarray | None:
    """Distance from the primary (X, Y, Z) in mm; None where rings cannot be drawn."""
    if not rings or not before.any() or not baseline.grid.is_orthogonal:
        return None
    return np.asarray(distance_to_mm(before, baseline.grid), np.float32)


@dataclass(frozen=True, eq=False)
class DistanceShare:
    """The share of a recurrence that lies within a distance of the primary.

    Parameters
    ----------
    distance_mm
        (n,) rising distances, at least 0.
    share
        (n,) share of the recurrence's volume within that distance, 0 to 1.
    """

    distance_mm: np.ndarray
    share: np.ndarray

    def __post_init__(self) -> None:
        distance, share = np.asarray(self.distance_mm, np.float64), np.asarray(self.share, np.float64)
        if distance.ndim != 1 or distance.shape != share.shape or not distance.size:
            raise ParameterError(f"distances {distance.shape} and shares {share.shape} must be two lists of the same length")
        if np.any(np.diff(distance) < 0) or np.any(share < 0) or np.any(share > 1 + 1e-9):
            raise ParameterError("distances must rise and shares lie between 0 and 1")
        object.__setattr__(self, "distance_mm", distance)
        object.__setattr__(self, "share", share)

    @classmethod
    def of_voxels(cls, distances_mm: np.ndarray, up_to_mm: float | None = None) -> DistanceShare:
        """Make it from the distance of every voxel of the recurrence (any shape, 0 inside the primary).

        Raises
        ------
        ParameterError
            If there is no voxel: a share of nothing does not exist.
        """
        values = np.asarray(distances_mm, np.float64).ravel()
        if not values.size:
            raise ParameterError("there is no voxel of recurrence, so that no share of it can be given")
        top = up_to_mm if up_to_mm is not None else max(float(np.ceil(values.max() / 5) * 5), 10.0)
        grid = np.linspace(0.0, top, 241)
        return cls(grid, np.searchsorted(np.sort(values), grid, side="right") / values.size)


def migration_figure(
    shares: Mapping[str, DistanceShare],
    *,
    marks_mm: Sequence[float] = (5.0, 10.0, 20.0),
    name: str = "migration",
    title: str = "Share of the recurrence within a distance of the primary",
    synthetic: bool = False,
) -> content.Figure:
    """Draw which share of the recurrence lies within a distance of the primary, with the band between the registrations.

    Parameters
    ----------
    shares
        Registration (``deformable``, ``rigid``) to its `DistanceShare`.
    marks_mm
        Distances at which the share is written, of the first entry.
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no curve.
    """
    if not shares:
        raise ParameterError("a migration figure needs at least one curve, such as 'deformable'")
    colours = [canvas.OKABE_ITO[c] for c in ("vermillion", "blue", "green", "purple")]
    styles = ["-", "--", "-.", ":"]
    with canvas.drawing():
        figure, axes = canvas.new_chart(7.4, 3.1)
        ax = axes[0, 0]
        top = max(float(s.distance_mm[-1]) for s in shares.values())
        grid = np.linspace(0, top, 301)
        for n, (label, curve) in enumerate(shares.items()):
            ax.plot(grid, 100 * _read(curve, grid), styles[n % 4], color=colours[n % 4], linewidth=1.9, label=label)
        if len(shares) > 1:
            stack = np.stack([_read(s, grid) for s in shares.values()])
            ax.fill_between(
                grid,
                100 * stack.min(0),
                100 * stack.max(0),
                color=canvas.OKABE_ITO["grey"],
                alpha=0.25,
                lw=0,
                label="range between them",
            )
        first = next(iter(shares.values()))
        for mark in (m for m in marks_mm if m < top):
            value = 100 * float(_read(first, np.array([mark]))[0])
            ax.plot([mark], [value], "o", color=colours[0], markersize=4.5)
            # Near the axis the full words would run into its numbers and into each other.
            low = value < 15
            words = f"{value:.0f} %" if low else f"{value:.0f} % within {mark:g} mm"
            offset, anchor = ((0, 6), "bottom") if low else ((8, -5), "top")
            ax.annotate(words, (mark, value), offset, textcoords="offset points", va=anchor, color=canvas.INK, fontsize=8)
        canvas.quiet(ax, "both")
        ax.set(xlim=(0, top), ylim=(-2, 104), xlabel="distance from the primary (mm)", ylabel="share of recurrence (%)")
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
        ax.legend(loc="lower right", fontsize=8.5)
        caption = (
            f"{title}: 0 mm means inside the primary; curves after {' and '.join(shares)} registration. The gap between "
            "them is what the choice of registration changes."
        )
        return canvas.finish(figure, "svg", name, caption, _GOOD_CURVE, _FAILURE_CURVE, synthetic=synthetic)


def _read(curve: DistanceShare, distance_mm: np.ndarray) -> np.ndarray:
    return np.interp(distance_mm, curve.distance_mm, curve.share)
