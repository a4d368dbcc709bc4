"""How regions are checked and counted: regions over the image, maps of how many patients, and shares per region as bars."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas, sheet
from regrowth.report.figures.lobes import lobe_colour
from regrowth.report.slices import Convention, Cut, DisplayFrame, Plane, largest_section, spread_sections
from regrowth.space import Image, require_same_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from regrowth.anatomy import RegionMap

__all__ = ["frequency_figure", "location_bars", "parcellation_figure"]

_PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


def parcellation_figure(
    image: Image,
    regions: RegionMap,
    lesion: np.ndarray | None = None,
    *,
    method: str = "",
    name: str = "parcellation",
    title: str = "Regions of the brain",
    convention: Convention = "radiological",
    synthetic: bool = False,
) -> content.Figure:
    """Draw the regions as tints and contours over the image, in three planes.

    Parameters
    ----------
    image
        (X, Y, Z) image.
    regions
        Region map on its grid.
    lesion
        (X, Y, Z) bool, drawn as a white contour.
    method
        How the regions were found, for the caption.
    name, title, convention, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If the regions or the lesion lie on another grid.
    ParameterError
        If the map holds no region.
    """
    require_same_grid(image.grid, regions.grid, "the image and the region map")
    if lesion is not None and np.asarray(lesion).shape != image.grid.shape:
        raise GridMismatchError(f"a lesion of shape {np.asarray(lesion).shape} does not fit the image {image.grid.shape}")
    labels = np.asarray(regions.data)
    if not labels.any():
        raise ParameterError(f"{title}: the map holds no region; leave the figure out")
    frame = DisplayFrame.of(image.grid)
    known = labels > 0
    box = frame.box(known, 6.0)
    spots = [(p, i) for p in _PLANES for i in _sections(frame, known, lesion, p)]
    names = _names(regions)

    def cut(data: np.ndarray, plane: Plane, index: int) -> Cut:
        return frame.cut(data, plane, index, box, convention)

    rows = []
    for plane in _PLANES:
        shown = [cut(image.data, plane, i) for p, i in spots if p == plane]
        rows.append(sheet.Row([sheet.Panel(c.size_mm, sheet.plane_title(c)) for c in shown], 290.0))
    with canvas.drawing():
        figure, axes = sheet.new_sheet(title, sheet.remark_on(frame, convention), rows)
        low, high = sheet.grey_range(image.data)
        limits = low, low + 1.35 * (high - low)  # darker than elsewhere, so that the tints keep their colour
        for ax, (plane, index) in zip([a for line in axes for a in line], spots, strict=True):
            sheet.show(ax, cut(image.data, plane, index), limits, pixel_mm=0.8)
            values = cut(labels, plane, index)
            for region, members in names.items():
                part = _part(values, np.isin(values.data, members))
                sheet.fill(ax, part, lobe_colour(region), 0.38)
                sheet.contour(ax, part, lobe_colour(region), width=1.1)
            if lesion is not None:
                sheet.contour(ax, cut(np.asarray(lesion, bool), plane, index), "#FFFFFF", width=1.4)
        _region_legend(figure, list(names), lesion is not None)
        by = f" ({method})" if method else ""
        caption = f"{title}{by}: tints and contours of the regions over the image, four slices of each plane."
        if lesion is not None:
            caption += " White: the lesion, cut at its largest." if np.any(lesion) else " There is no lesion voxel."
        good = (
            "Borders between left and right run along the falx, the border of frontal and parietal lobe along the central "
            "furrow, ventricles on the dark ventricles, the cerebellum beneath the tentorium."
        )
        failure = (
            "Regions shifted, turned or too large for the brain (the registration with the template failed), left and right "
            "exchanged, or regions that ignore the mass effect around the lesion."
        )
        return canvas.finish(figure, "png", name, caption, good, failure, synthetic=synthetic, colours="all")


def _sections(frame: DisplayFrame, known: np.ndarray, lesion: np.ndarray | None, plane: Plane) -> list[int]:
    """Four slices: spread over the inner part (the outermost ones show hardly any of it), one of them through the lesion."""
    spread = spread_sections(frame, known, 6, plane)[1:-1]
    if lesion is None or not np.any(lesion):
        return spread
    through = largest_section(frame, lesion, plane)
    nearest = min(spread, key=lambda i: (abs(i - through), i))
    return sorted({through if i == nearest else i for i in spread})


def _part(cut: Cut, data: np.ndarray) -> Cut:
    return Cut(data, cut.pixel_mm, cut.plane, cut.position_mm, cut.letters)


def _names(regions: RegionMap) -> dict[str, list[int]]:
    """Name without side to its values, of the regions that occur."""
    present = set(np.unique(regions.data).tolist())
    out: dict[str, list[int]] = {}
    for r in regions.scheme.regions:
        if r.value in present:
            out.setdefault(r.name.replace("_", " "), []).append(r.value)
    return out


def _region_legend(figure: Drawing, names: Sequence[str], lesion: bool) -> None:
    """One line for all regions: small squares, as many as fit side by side."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(facecolor=lobe_colour(n), label=n) for n in names]
    if lesion:
        handles.append(Line2D([], [], color="white", linewidth=1.8, label="lesion"))
    style: dict[str, Any] = {"fontsize": 8.2, "labelcolor": sheet.PALE, "handlelength": 0.9, "columnspacing": 1.0}
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.004, 0.0),
        ncols=len(handles),
        borderaxespad=0.3,
        handletextpad=0.4,
        **style,
    )


def frequency_figure(
    template: Image,
    primary: np.ndarray,
    recurrence: np.ndarray,
    n: int,
    *,
    name: str = "frequency",
    title: str = "How many patients, in template space",
    sections: int = 7,
    convention: Convention = "radiological",
    synthetic: bool = False,
) -> content.Figure:
    """Draw how many patients have tumour where: primary, recurrence, and the difference of the two.

    Parameters
    ----------
    template
        (X, Y, Z) image of the template.
    primary, recurrence
        (X, Y, Z) number of patients (whole numbers) with tumour in each voxel, on its grid.
    n
        Patients with both exams.
    name, title, convention, synthetic
        As in `segmentation_figure`.
    sections
        Axial slices.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If the counts do not lie on the template's grid.
    ParameterError
        If nobody was counted, or a count exceeds `n`.
    """
    before, after = np.asarray(primary), np.asarray(recurrence)
    for what, counts in (("primary", before), ("recurrence", after)):
        if counts.shape != template.grid.shape:
            raise GridMismatchError(
                f"counts of the {what} of shape {counts.shape} do not fit the template {template.grid.shape}"
            )
    most = int(max(before.max(), after.max()))
    if n < 1 or most < 1 or min(before.min(), after.min()) < 0:
        raise ParameterError(f"{title}: no patient to count; leave the figure out")
    if most > n:
        raise ParameterError(f"{title}: {most} patients in one voxel, but only {n} in all")
    difference = after.astype(int) - before.astype(int)
    reach = max(int(np.abs(difference).max()), 1)
    frame = DisplayFrame.of(template.grid)
    box = sheet.head_box(frame, template.data)
    strip = spread_sections(frame, (before > 0) | (after > 0), sections)
    panels = [frame.cut(template.data, "axial", i, box, convention) for i in strip]
    labels = ("primary", "recurrence", "difference")
    rows = [
        sheet.Row([sheet.Panel(p.size_mm, sheet.plane_title(p) if k == 0 else "") for p in panels], 210.0, label)
        for k, label in enumerate(labels)
    ]
    with canvas.drawing():
        figure, axes = sheet.new_sheet(f"{title} (n = {n})", sheet.remark_on(frame, convention), rows)
        limits = sheet.grey_range(template.data)
        maps = ((before, "heat", most), (after, "heat", most), (difference, "difference", reach))
        for line, (counts, colours, largest) in zip(axes, maps, strict=True):
            for k, (ax, index, shown) in enumerate(zip(line, strip, panels, strict=True)):
                sheet.show(ax, shown, (limits[0], limits[1] * 1.7), pixel_mm=0.9, letters=k == 0)
                heat = frame.cut(counts, "axial", index, box, convention)
                ax.imshow(_shade(heat.data, colours, largest), extent=heat.extent, interpolation="nearest", aspect="auto")
        _colour_bars(figure, most, reach)
        peak = [f"{int(c.max())} of {n}" for c in (before, after)]
        caption = (
            f"{title}: patients with tumour in each voxel, {n} patient{'s' * (n > 1)} with both exams; most at one place "
            f"{peak[0]} (primary) and {peak[1]} (recurrence). Beneath, recurrence minus primary."
        )
        good = "Maps that follow white matter and lobes without steps at slices; a difference without a border at the midline."
        failure = "A heap outside of the brain or in a ventricle (failed registration), one side empty (exchanged sides)."
        return canvas.finish(figure, "png", name, caption, good, failure, synthetic=synthetic, colours="all")


def _shade(counts: np.ndarray, colours: str, most: int) -> np.ndarray:
    """Colour (..., 4) of numbers of patients; transparent where there is none.

    A difference is drawn by its root, so that a single patient can be told from none.
    """
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    share = np.clip(np.asarray(counts, np.float64) / most, -1, 1)
    if colours == "difference":
        ends = [canvas.OKABE_ITO["sky"], "#14496b", "#222222", "#6e2f04", canvas.OKABE_ITO["vermillion"]]
        shade = LinearSegmentedColormap.from_list("difference", ends)(0.5 + 0.5 * np.sign(share) * np.sqrt(np.abs(share)))
    else:
        shade = mpl.colormaps["inferno"](0.28 + 0.68 * share)
    shade[..., 3] = np.where(share != 0, 0.85, 0.0)
    return np.asarray(shade)


def _colour_bars(figure: Drawing, most: int, reach: int) -> None:
    """Write the two scales along the bottom, with numbers of patients."""
    height = 11.0 / (float(figure.get_size_inches()[1]) * 110)
    bottom = 8.0 / (float(figure.get_size_inches()[1]) * 110)
    for left, colours, largest, words in (
        (0.02, "heat", most, "patients"),
        (0.42, "difference", reach, "patients, recurrence minus primary"),
    ):
        ax = figure.add_axes((left + 0.02, bottom, 0.15, height))
        # One field for each number of patients, if these are few enough to be told apart.
        values = np.arange(1 if colours == "heat" else -largest, largest + 1)
        shade = _shade(values, colours, largest)[None]
        shade[..., 3] = 1.0
        ax.imshow(shade, aspect="auto", interpolation="nearest")
        ends = ("1", f"{largest}") if colours == "heat" else (f"−{largest}", f"+{largest}")
        ax.set_axis_off()
        style: dict[str, Any] = {"color": sheet.PALE, "fontsize": 8.5, "va": "center", "transform": ax.transAxes}
        ax.text(-0.04, 0.5, ends[0], ha="right", **style)
        ax.text(1.04, 0.5, f"{ends[1]} {words if largest > 1 else words.replace('patients', 'patient')}", ha="left", **style)


def location_bars(
    shares: Mapping[str, Mapping[str, float]],
    *,
    name: str = "location",
    title: str = "Share of the tumour in each region",
    quantity: str = "share of the tumour (%)",
    least: float = 0.005,
    synthetic: bool = False,
) -> content.Figure:
    """Draw shares per region as grouped bars, such as primary beside recurrence.

    Parameters
    ----------
    shares
        Exam or compartment to region to share (0 to 1; NaN: not known). At most four groups.
    name, title, synthetic
        As in `segmentation_figure`.
    quantity
        Label of the axis.
    least
        Regions whose share is smaller in every group are left out, and counted in the caption.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no share, or too many groups.
    """
    regions = list(dict.fromkeys(r for group in shares.values() for r in group))
    known = {g: np.array([group.get(r, 0.0) for r in regions], float) for g, group in shares.items()}
    if not regions or not any(np.isfinite(v).any() and np.nansum(v) > 0 for v in known.values()):
        raise ParameterError(f"{title}: no share to draw; leave the figure out")
    if len(known) > 4:
        raise ParameterError(f"{title}: {len(known)} groups of bars cannot be told apart; show at most 4")
    largest = np.nanmax(np.nan_to_num(np.stack(list(known.values()))), axis=0)
    order = [k for k in np.argsort(-largest, kind="stable") if largest[k] >= least]
    colours = [canvas.OKABE_ITO[c] for c in ("sky", "vermillion", "orange", "green")]
    with canvas.drawing():
        thick = 0.8 / len(known)
        figure, axes = canvas.new_chart(8.6, 1.0 + max(0.3, 0.17 * len(known) + 0.1) * len(order))
        ax = axes[0, 0]
        for n, ((group, values), colour) in enumerate(zip(known.items(), colours, strict=False)):
            for y, k in enumerate(order):
                at = y - 0.4 + thick * (n + 0.5)
                if not np.isfinite(values[k]):
                    ax.text(0.5, at, "not known", va="center", fontsize=7.5, color=canvas.MUTED)
                    continue
                ax.barh(at, 100 * values[k], height=thick * 0.92, color=colour, label=group if y == 0 else None)
                words = "< 1" if 0 < values[k] < 0.01 else f"{100 * values[k]:.0f}"
                ax.text(100 * values[k] + 0.7, at, words, va="center", fontsize=7.8)
        ax.set_yticks(
            range(len(order)), ["\n".join(textwrap.wrap(regions[k], 28, max_lines=2, placeholder=" …")) for k in order]
        )
        ax.set(xlabel=quantity, ylim=(len(order) - 0.4, -0.6))
        ax.set_xlim(0, max(100 * float(largest.max()) * 1.08, 10.0))
        canvas.quiet(ax, "x")
        figure.suptitle(textwrap.shorten(title, 80, placeholder=" …"), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        if len(known) > 1:
            ax.legend(loc="lower right", fontsize=8.8)
        caption = f"{title}: {' and '.join(known)}."
        if len(order) < len(regions):
            caption += f" {len(regions) - len(order)} regions with less than {100 * least:g} % everywhere are left out."
        good = "Few regions that hold most; primary and recurrence alike unless the tumour moved; little that is unassigned."
        failure = "A large unassigned share (the regions do not cover the tumour), or shares spread over all regions."
        return canvas.finish(figure, "svg", name, caption, good, failure, synthetic=synthetic)
