"""How a session's segmentation is shown: contours on the images in three planes, and a row of slices through the lesion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from regrowth.clinical import SEQUENCES
from regrowth.errors import ParameterError
from regrowth.report import content
from regrowth.report.figures import canvas, sheet
from regrowth.report.slices import Box, Convention, Cut, DisplayFrame, Plane, largest_section, spread_sections
from regrowth.space import Image, LabelMap, require_same_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["segmentation_figure"]

_ORDER = ("ED", "GTV", "ET", "NET", "CYST", "NCR", "RC")  # from the outside in
_NAMING = ("ET", "NCR", "ED", "RC", "NET", "CYST", "GTV")  # which tissue of a mixed label gives its colour

_GOOD = (
    "Contours follow the visible edge of enhancement on the contrast-enhanced T1w and the bright area on FLAIR; necrosis "
    "lies inside the enhancing rim; L and R agree with what is known of the patient."
)
_FAILURE = (
    "Contours shifted as a whole (images not aligned), around vessels, skull or choroid plexus (false positives), missing "
    "satellite lesions, a flat cut through the lesion, or a label where the tissue looks normal. A cavity labelled as "
    "necrosis points to the wrong label scheme or to a model for pre-operative scans."
)


def segmentation_figure(
    images: Mapping[str, Image],
    labels: LabelMap,
    *,
    name: str = "segmentation",
    title: str = "Segmentation",
    convention: Convention = "radiological",
    synthetic: bool = False,
) -> content.Figure:
    """Draw the contours of a segmentation on the reference image of its session and on FLAIR (else T2w) where there is one.

    Parameters
    ----------
    images
        Sequence name (T1wce, T1w, T2w, FLAIR) to (X, Y, Z) image, all on the grid of the labels.
    labels
        Segmentation.
    name
        Name of the figure's file.
    title
        Words at the top, such as ``Segmentation, ses-preop``.
    convention
        Side of the picture on which the patient's left is shown.
    synthetic
        Whether to write SYNTHETIC across it.

    Returns
    -------
    Figure
        PNG.

    Raises
    ------
    GridMismatchError
        If an image lies on another grid than the labels.
    ParameterError
        If there is no image.
    """
    chosen = _chosen(images)
    for sequence in chosen:
        require_same_grid(images[sequence].grid, labels.grid, f"{sequence} and the segmentation")
    frame = DisplayFrame.of(labels.grid)
    lesion = labels.data > 0
    reference = _volume(images[chosen[0]])
    box = sheet.head_box(frame, reference, lesion)
    near = frame.box(lesion, 18.0, minimum_mm=70.0)
    core = labels.mask("TC") if labels.has("TC") and labels.mask("TC").any() else lesion
    planes: list[tuple[str, Plane]] = [(chosen[0], "axial")]
    planes += [(s, "axial") for s in chosen[1:]]
    planes += [(chosen[0], "coronal"), (chosen[0], "sagittal")]

    def cut(sequence: str, plane: Plane, index: int, window: Box) -> Cut:
        return frame.cut(_volume(images[sequence]), plane, index, window, convention)

    tops = [(s, p, largest_section(frame, core, p)) for s, p in planes]
    details = [(s, i) for s in chosen for i in spread_sections(frame, lesion, 6)]
    rows = [sheet.Row([_panel(cut(s, p, i, box), s) for s, p, i in tops])]
    for sequence in chosen:
        rows.append(sheet.Row([_panel(cut(s, "axial", i, near), s) for s, i in details if s == sequence], 190.0))
    with canvas.drawing():
        figure, axes = sheet.new_sheet(title, sheet.remark_on(frame, convention), rows)
        limits = {s: sheet.grey_range(_volume(images[s])) for s in chosen}
        present = _present(labels)
        for ax, (s, p, i) in zip(axes[0], tops, strict=True):
            sheet.show(ax, cut(s, p, i, box), limits[s], pixel_mm=0.6, bar_mm=50.0)
            _outlines(ax, labels, present, frame, p, i, box, convention)
        for line, sequence in zip(axes[1:], chosen, strict=True):
            indices = [i for s, i in details if s == sequence]
            for n, (ax, i) in enumerate(zip(line, indices, strict=True)):
                sheet.show(
                    ax, cut(sequence, "axial", i, near), limits[sequence], pixel_mm=0.5, letters=n == 0, bar_mm=20.0 * (n == 0)
                )
                _outlines(ax, labels, present, frame, "axial", i, near, convention)
        legend = sheet.Legend()
        for label in present:
            legend.line(_spelt(labels, label), _colour(labels, label))
        legend.draw(figure)
        on = " and ".join(chosen)
        caption = f"{title}: contours of {labels.scheme.name} on {on}, through the largest section of the tumour core."
        if not present:
            caption = f"{title}: the segmentation holds no labelled voxel; the middle slices are shown."
        return canvas.finish(figure, "png", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def _present(labels: LabelMap) -> list[str]:
    """Labels that occur, outer ones first: where two share a border the inner one is drawn over it."""
    here = [n for n, value in labels.scheme.values.items() if np.any(labels.data == value)]
    return sorted(here, key=lambda n: min(_ORDER.index(t) for t in labels.scheme.tissues[n]))


def _chosen(images: Mapping[str, Image]) -> list[str]:
    ordered = [s for s in SEQUENCES if s in images] + [s for s in images if s not in SEQUENCES]
    if not ordered:
        raise ParameterError("a segmentation figure needs at least one image of the session")
    second = next((s for s in ("FLAIR", "T2w") if s in images and s != ordered[0]), None)
    return [ordered[0], *([second] if second else [])]


def _volume(image: Image) -> np.ndarray:
    return image.data if image.data.ndim == 3 else image.data[..., 0]


def _panel(cut: Cut, sequence: str) -> sheet.Panel:
    return sheet.Panel(cut.size_mm, f"{sequence} · {sheet.plane_title(cut)}")


def _colour(labels: LabelMap, label: str) -> str:
    tissues = labels.scheme.tissues[label]
    return canvas.REGION_COLOURS[next(t for t in _NAMING if t in tissues)]


def _spelt(labels: LabelMap, label: str) -> str:
    words = {"ET": "enhancing tumour", "NCR": "necrosis", "NET": "non-enhancing tumour", "CYST": "cyst"}
    words |= {"ED": "oedema or infiltration", "RC": "resection cavity", "GTV": "gross tumour"}
    order = [t for t in words if t in labels.scheme.tissues[label]]
    return f"{label}: {' / '.join(words[t] for t in order)}"


def _outlines(
    ax: Axes,
    labels: LabelMap,
    present: list[str],
    frame: DisplayFrame,
    plane: Plane,
    index: int,
    box: Box,
    convention: Convention,
) -> None:
    for label in present:
        mask = frame.cut(labels.data, plane, index, box, convention)
        part = Cut(mask.data == labels.scheme.values[label], mask.pixel_mm, plane, mask.position_mm, mask.letters)
        sheet.contour(ax, part, _colour(labels, label))
