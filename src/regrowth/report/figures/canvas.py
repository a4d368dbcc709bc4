"""What all figures share: colours, charts, the watermark, and bytes that are the same each time."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from regrowth.report import content

if TYPE_CHECKING:
    import PIL.Image
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INK", "MUTED", "OKABE_ITO", "REGION_COLOURS", "drawing", "finish", "new_chart", "quiet", "watermark"]

OKABE_ITO: Mapping[str, str] = MappingProxyType(
    {
        "orange": "#E69F00",
        "sky": "#56B4E9",
        "green": "#009E73",
        "yellow": "#F0E442",
        "blue": "#0072B2",
        "vermillion": "#D55E00",
        "purple": "#CC79A7",
        "grey": "#8A9099",
    }
)
"""Colours that the colour-blind tell apart: Okabe and Ito 2008, with grey for black."""

REGION_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "ET": OKABE_ITO["vermillion"],
        "CE_core": OKABE_ITO["vermillion"],
        "TC": OKABE_ITO["orange"],
        "NCR": OKABE_ITO["yellow"],
        "NET": OKABE_ITO["purple"],
        "CYST": OKABE_ITO["blue"],
        "NE": OKABE_ITO["sky"],
        "ED": OKABE_ITO["sky"],
        "WT": OKABE_ITO["blue"],
        "RC": OKABE_ITO["green"],
        "GTV": OKABE_ITO["orange"],
        "lesion": OKABE_ITO["grey"],
    }
)

INK, MUTED, HAIRLINE = "#1b2027", "#667080", "#d4d9e0"
_DARK = {INK: "#e8ebef", MUTED: "#9aa4b1", HAIRLINE: "#39414c"}
_FONT_SIZE = 9.0
_CHART_DPI = 144.0  # of the PNG beside a chart
SYNTHETIC_ID = "watermark-synthetic"

# matplotlib keeps these in one table for the whole process. Two threads that draw at once (Dask runs steps in threads)
# would restore it under each other's feet, and the bytes would differ from run to run.
_DRAWING = threading.RLock()


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings, one thread at a time; the settings of the process come back afterwards."""
    import matplotlib as mpl

    settings: dict[str, Any] = {
        "svg.hashsalt": "regrowth",
        "svg.fonttype": "path",
        "text.parse_math": False,  # a dollar sign in a label is a dollar sign
        "font.family": "DejaVu Sans",
        "font.size": _FONT_SIZE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": HAIRLINE,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "path.simplify": True,
    }
    with _DRAWING, mpl.rc_context():
        mpl.rcdefaults()
        for name, value in settings.items():
            mpl.rcParams[name] = value  # type: ignore[index]
        yield


def new_chart(
    width_in: float, height_in: float, heights: Sequence[float] = (1.0,), widths: Sequence[float] = (1.0,), sharex: bool = False
) -> tuple[Figure, np.ndarray]:
    """Make a figure with a transparent ground and (rows, columns) axes, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor="none")
    axes = figure.subplots(
        len(heights),
        len(widths),
        squeeze=False,
        sharex=sharex,
        gridspec_kw={"height_ratios": list(heights), "width_ratios": list(widths)},
    )
    for ax in axes.flat:
        ax.set_facecolor("none")
    return figure, axes


def watermark(figure: Figure) -> None:
    """Write SYNTHETIC across a figure, so that no crop of it passes for a patient."""
    width, height = figure.get_size_inches()
    angle = float(np.arctan2(height, width))
    # The word is about 7 times as long as it is high; it must fit in turned, in both directions.
    across, up = np.cos(angle) + np.sin(angle) / 7, np.sin(angle) + np.cos(angle) / 7
    length = 0.9 * min(width / across, height / up)
    text = figure.text(
        0.5,
        0.5,
        "SYNTHETIC",
        ha="center",
        va="center",
        rotation=float(np.rad2deg(angle)),
        fontsize=float(length / 7.2 * 72),
        fontweight="bold",
        color=OKABE_ITO["purple"],  # seen on black, on white and on the grey of the brain
        alpha=0.3,
        zorder=1000,
    )
    text.set_gid(SYNTHETIC_ID)
    text.set_in_layout(False)


def finish(
    figure: Figure,
    kind: Literal["png", "svg"],
    name: str,
    caption: str,
    good: str,
    failure: str,
    *,
    synthetic: bool,
    dpi: float = 110.0,
    colours: Literal["few", "all"] = "few",
) -> content.Figure:
    """Write a figure to bytes that depend on nothing but its content; a chart as SVG comes with a PNG on white.

    A PNG has 256 colours, of which most are greys; `colours` set to ``all`` keeps those of a shaded picture.
    """
    if synthetic:
        watermark(figure)
        caption = f"{caption} Synthetic data."
    marked = "SYNTHETIC" if synthetic else ""
    _lay_out(figure)
    if kind == "svg":
        stream = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(stream, format="svg", metadata=metadata)
        data = _adaptive_svg(stream.getvalue())
        figure.set_facecolor("white")
        return content.Figure(name, caption, good, failure, data, kind, _png(figure, _CHART_DPI, marked, reduce=False))
    data = _png(figure, dpi, marked, reduce=colours == "few")
    return content.Figure(name, caption, good, failure, data, kind)


def _lay_out(figure: Figure) -> None:
    """Lay a figure out once and for all.

    The solver's last digits differ from call to call, and names of clip paths are made from all digits: rounded, equal figures
    have equal bytes.
    """
    if figure.get_layout_engine() is None:
        return
    for _ in range(2):  # axes of a fixed aspect need a second go
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        place = ax.get_position().bounds
        ax.set_position([round(v, 6) for v in place])  # type: ignore[arg-type]


def _png(figure: Figure, dpi: float, description: str, reduce: bool = True) -> bytes:
    """Write a PNG, by default of 256 colours: about half as large as one of all colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image, PngImagePlugin

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    rgb = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    reduced = _indexed(rgb) if reduce else Image.fromarray(rgb)
    notes = PngImagePlugin.PngInfo()
    if description:
        notes.add_text("Description", description)
    stream = io.BytesIO()
    # A picture that the page carries is squeezed; the PNG beside a chart is not worth the time.
    reduced.save(stream, "png", optimize=reduce, pnginfo=notes)
    return stream.getvalue()


def _indexed(rgb: np.ndarray) -> PIL.Image.Image:
    """Reduce a picture (rows, columns, 3) to 160 greys and 96 colours.

    The colours are chosen from the coloured pixels alone: a palette of the whole picture would spend itself on the grey of the
    brain, and a thin contour would lose the colour that tells what it is.
    """
    from PIL import Image

    values = rgb.astype(np.int16)
    coloured = values.max(axis=-1) - values.min(axis=-1) > 12
    index = np.round(values.mean(axis=-1) * (159 / 255)).astype(np.uint8)
    palette = [v for n in range(160) for v in [round(n * 255 / 159)] * 3]
    if coloured.any():
        strip = Image.fromarray(np.ascontiguousarray(rgb[coloured][None]))
        chosen = strip.quantize(96, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        index[coloured] = 160 + np.asarray(chosen)[0]
        palette += (chosen.getpalette() or [])[: 96 * 3]
    out = Image.fromarray(index)
    out.putpalette(palette)
    return out


def _adaptive_svg(data: bytes) -> bytes:
    """Let a chart follow the dark mode of the page, and leave out the addresses that it names but never needs.

    The rules match the colours as they are written in the file, so that a program that ignores them shows the light chart.
    """
    text = data.decode("utf-8")
    text = re.sub(r"<!DOCTYPE[^>]*>\s*", "", text)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark} !important}}'
        for light, dark in _DARK.items()
        for what in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return re.sub(r"(<svg\b[^>]*>)", lambda m: m.group(1) + style, text, count=1).encode("utf-8")


def quiet(ax: Axes, axis: Literal["x", "y", "both"] = "y") -> None:
    """Leave only what helps to read a chart: faint grid lines, no ticks."""
    ax.grid(True, axis=axis)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
