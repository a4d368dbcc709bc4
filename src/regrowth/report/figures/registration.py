"""How well two exams are aligned: edges of one on the other, a checkerboard and the difference, for each stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas, sheet
from regrowth.report.slices import Convention, Cut, DisplayFrame, Plane, largest_section
from regrowth.space import Image, require_same_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["registration_figure"]

_GOOD = (
    "From the first row to the last the fixed edges (orange) come to lie on the edges of the moving image: ventricles, "
    "falx, skull or cortex. Lines run on across the checkerboard, and the difference is dark but for the lesion and "
    "true change."
)
_FAILURE = (
    "Edges doubled or shifted as a whole, steps at the borders of the checkerboard, broad blue and orange bands along the "
    "brain's border, or a last row that looks worse than the first. After the deformable stage also: tissue drawn into "
    "the lesion or squeezed around it, as if the tumour had been shrunk to fit."
)
_PIXEL_MM, _SQUARE_MM = 0.8, 18.0


def registration_figure(
    fixed: Image,
    stages: Mapping[str, Image],
    *,
    lesion: np.ndarray | None = None,
    measures: Mapping[str, str] | None = None,
    name: str = "registration",
    title: str = "Registration",
    convention: Convention = "radiological",
    synthetic: bool = False,
) -> content.Figure:
    """Draw the moving image after each stage of registration against the fixed image.

    Parameters
    ----------
    fixed
        (X, Y, Z) image that is kept.
    stages
        Name of the stage (``before``, ``rigid``, ``deformable``) to the moving image resampled onto the grid of `fixed`,
        in order.
    lesion
        (X, Y, Z) bool on the grid of `fixed`: what was left out of the similarity, drawn as an outline; it also chooses the
        slices.
    measures
        Name of the stage to a few words beside it, such as ``NCC 0.91``.
    name, title, convention, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        PNG; one row per stage: edges in three planes, checkerboard, difference.

    Raises
    ------
    GridMismatchError
        If a stage lies on another grid.
    ParameterError
        If there is no stage.
    """
    if not stages:
        raise ParameterError("a registration figure needs at least one stage, such as 'before' and 'rigid'")
    for stage, image in stages.items():
        require_same_grid(image.grid, fixed.grid, f"the fixed image and the moving image of stage {stage}")
    if lesion is not None and lesion.shape != fixed.grid.shape:
        raise ParameterError(f"the lesion mask of shape {lesion.shape} does not fit the fixed image {fixed.grid.shape}")
    frame = DisplayFrame.of(fixed.grid)
    box = sheet.head_box(frame, fixed.data)
    # Straight through the lesion there is least to align with: the slices follow it, or else the middle of the head.
    guide = lesion if lesion is not None and lesion.any() else sheet.foreground(fixed.data)
    planes: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
    index = {p: largest_section(frame, guide, p) for p in planes}

    def cut(data: np.ndarray, plane: Plane) -> Cut:
        return frame.cut(data, plane, index[plane], box, convention)

    base = {p: cut(_standard(fixed), p).square(_PIXEL_MM) for p in planes}
    rows = []
    for stage in stages:
        words = f"{stage} · {measures[stage]}" if measures and stage in measures else stage
        titles = [*(sheet.plane_title(base[p]) for p in planes), "checkerboard", "moving − fixed"]
        shown = [base[p] for p in planes] + [base["axial"]] * 2
        rows.append(sheet.Row([sheet.Panel(c.size_mm, t) for c, t in zip(shown, titles, strict=True)], label=words))
    with canvas.drawing():
        from matplotlib.colors import LinearSegmentedColormap

        signed = LinearSegmentedColormap.from_list("signed", [canvas.OKABE_ITO["sky"], "#000000", canvas.OKABE_ITO["orange"]])
        figure, axes = sheet.new_sheet(title, sheet.remark_on(frame, convention), rows)
        edges = {p: _edges(base[p].data) for p in planes}
        for line, image in zip(axes, stages.values(), strict=True):
            moving = _standard(image)
            drawn = {p: cut(moving, p).square(_PIXEL_MM) for p in planes}
            for ax, plane in zip(line, planes, strict=False):
                sheet.show(ax, drawn[plane], (-1.5, 2.5), letters=True)
                _overlay(ax, edges[plane], drawn[plane])
            sheet.show(line[3], _checkerboard(base["axial"], drawn["axial"]), (-1.5, 2.5), letters=False)
            difference = _with(base["axial"], drawn["axial"].data - base["axial"].data)
            sheet.show(line[4], difference, (-2.0, 2.0), letters=False, colours=signed)
            if lesion is not None:
                for ax, plane in zip([*line[:3], line[4]], [*planes, "axial"], strict=True):
                    sheet.contour(ax, cut(lesion, plane), canvas.OKABE_ITO["sky"], width=1.1, style="dashed")
        legend = sheet.Legend()
        legend.line("edges of the fixed image", canvas.OKABE_ITO["orange"])
        if lesion is not None:
            legend.line("lesion, left out of the similarity", canvas.OKABE_ITO["sky"], "--")
        legend.patch("moving darker", canvas.OKABE_ITO["sky"])
        legend.patch("moving brighter (2 SD)", canvas.OKABE_ITO["orange"])
        legend.draw(figure)
        caption = f"{title}: the moving image {', '.join(stages)} (rows) against the fixed image."
        return canvas.finish(figure, "png", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _standard(image: Image) -> np.ndarray:
    """Standardise an image over its foreground to mean 0 and SD 1, background at the bottom."""
    data = np.nan_to_num(np.asarray(image.data if image.data.ndim == 3 else image.data[..., 0], np.float32))
    head = sheet.foreground(data)
    if not head.any() or data[head].std() == 0:
        return np.zeros_like(data)
    out = (data - data[head].mean()) / data[head].std()
    return np.asarray(np.clip(out, -1.5, None), np.float32)


def _edges(data: np.ndarray) -> np.ndarray:
    from skimage.feature import canny

    return np.asarray(canny(np.clip(data, -1.5, 3.0).astype(np.float64), sigma=1.6, low_threshold=0.12, high_threshold=0.3))


def _overlay(ax: Axes, edges: np.ndarray, cut: Cut) -> None:
    from matplotlib.colors import to_rgba

    picture = np.zeros((*edges.shape, 4))
    picture[edges] = to_rgba(canvas.OKABE_ITO["orange"], 0.95)
    ax.imshow(picture, extent=cut.extent, interpolation="nearest", aspect="auto")


def _checkerboard(fixed: Cut, moving: Cut) -> Cut:
    rows, columns = np.indices(fixed.data.shape)
    field = (rows * fixed.pixel_mm[1] // _SQUARE_MM + columns * fixed.pixel_mm[0] // _SQUARE_MM) % 2 == 0
    return _with(fixed, np.where(field, fixed.data, moving.data))


def _with(cut: Cut, data: np.ndarray) -> Cut:
    return Cut(data, cut.pixel_mm, cut.plane, cut.position_mm, cut.letters)
