"""How large the tumour was, how large it is forecast to be, and what was done to it: one patient, and many side by side."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.record import TreatmentEvent
from regrowth.growth.series import Forecast, VolumeSeries
from regrowth.report import content
from regrowth.report.figures import canvas
from regrowth.report.figures.volume_axes import (
    CHOSEN,
    OBSERVED,
    WIDTH_IN,
    VolumeScale,
    coverage_words,
    day_range,
    draw_band,
    draw_events,
    draw_legend,
    draw_medians,
    draw_points,
    event_rows,
    has_band,
    inside,
    is_known,
    spelt,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_PANELS", "ForecastPanel", "cohort_forecast_figure", "forecast_figure"]

MOST_PANELS = 24
"""Most patients on one sheet of small charts."""

_GOOD = (
    "A fitted curve that passes near the measured points, a band that widens with time, and a later reading (ring), where"
    " there is one, inside of the band. The simple forecasts lie where the trend leads: the model is worth its effort "
    "where it differs from them and the back-tests say that it was right to."
)
_FAILURE = (
    "Points that jump without treatment (another label scheme or a failed segmentation); a curve that misses the last "
    "points; a forecast that explodes; a band so wide that it says nothing, or none, because too few other patients were "
    "there to calibrate it."
)


@dataclass(frozen=True, eq=False)
class ForecastPanel:
    """One patient on a sheet of small charts.

    Parameters
    ----------
    label
        Label without ``sub-``.
    series
        Measured volumes.
    forecast
        Forecast that is used for the patient; None where there is none.
    observed
        Day and volume in ml of a reading that the forecast did not know.
    note
        A few words under the label, such as why there is no forecast.
    """

    label: str
    series: VolumeSeries
    forecast: Forecast | None = None
    observed: tuple[float, float] | None = None
    note: str = ""


def forecast_figure(
    series: VolumeSeries,
    forecasts: Sequence[Forecast],
    *,
    name: str,
    title: str = "",
    region: str = "",
    events: Sequence[TreatmentEvent] = (),
    fitted: tuple[np.ndarray, np.ndarray] | None = None,
    observed: tuple[float, float] | None = None,
    threshold_ml: float = math.nan,
    band_label: str = "",
    synthetic: bool = False,
) -> content.Figure:
    """Draw volumes, forecasts and treatment on one axis of days.

    Parameters
    ----------
    series
        Measured volumes. 0 ml is an open mark at the bottom.
    forecasts
        First the one that is used, drawn with its median and its interval; then those it is compared with, as thin lines. An
        interval is drawn only where it was calibrated on other patients: a forecast that still carries its own samples has
        none (`ConformalBand.apply` and `CohortForecast` give forecasts without samples).
    name, title, synthetic
        As in `segmentation_figure`.
    region
        What the volumes are of, for the axis.
    events
        Treatment, drawn above the chart.
    fitted
        Days and ml of the fitted curve, each (k,).
    observed
        Day and volume in ml of a reading that the forecast did not know.
    threshold_ml
        Volume that counts as progression; NaN draws none.
    band_label
        Words for the interval in the legend; by default its coverage.

    Returns
    -------
    Figure
        SVG. The axis of volumes is logarithmic when these differ by more than a factor of 20.
    """
    usable = [f for f in forecasts if is_known(f)]
    chosen = forecasts[0] if forecasts and is_known(forecasts[0]) else None
    scale = VolumeScale.of(series, chosen, usable, fitted, observed, threshold_ml)
    low, high = day_range(series, usable, observed)
    rows = event_rows(events, low, high)
    with canvas.drawing():
        strip_in = 0.12 + 0.2 * len(rows)
        figure, axes = canvas.new_chart(WIDTH_IN, 3.7 + strip_in * bool(rows), [strip_in, 3.2] if rows else [1.0], sharex=True)
        ax = axes[-1, 0]
        if rows:
            draw_events(axes[0, 0], ax, rows, low, high)
        beyond = draw_medians(ax, forecasts, chosen, scale)
        words = draw_band(ax, chosen, scale, band_label or coverage_words(chosen)) if chosen else ""
        if fitted is not None:
            ax.plot(*inside(fitted[0], fitted[1], scale), color=CHOSEN, linewidth=1.2, alpha=0.75, label="fitted to the exams")
        if math.isfinite(threshold_ml) and threshold_ml > 0:
            ax.axhline(
                threshold_ml,
                color=canvas.MUTED,
                linestyle=(0, (5, 3)),
                linewidth=1.1,
                zorder=1,
                label=f"progression, {threshold_ml:.3g} ml",
            )
        if usable:
            ax.axvline(series.last_day, color=canvas.HAIRLINE, linewidth=1.0, zorder=0)
        else:
            why = f"no forecast: {_why_none(forecasts)}"
            words_look: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 8.5, "color": canvas.MUTED}
            ax.text(0.99, 0.98, textwrap.fill(why, 80), transform=ax.transAxes, **words_look)
        draw_points(ax, series, scale, observed)
        scale.apply(ax, room=0.0 if usable else 0.15)
        ax.set(xlim=(low, high), xlabel="days", ylabel=f"volume{f' of {region}' if region else ''} (ml)")
        canvas.quiet(ax)
        draw_legend(ax)
        axes[0, 0].set_title(textwrap.shorten(title, 90, placeholder=" …"), loc="left", fontsize=10.5, fontweight="bold")
        caption = _caption(title, series, forecasts, chosen, words, beyond, scale, bool(rows), observed)
        return canvas.finish(figure, "svg", name, caption, _GOOD, _FAILURE, synthetic=synthetic)


def cohort_forecast_figure(
    panels: Sequence[ForecastPanel], *, name: str, title: str = "", synthetic: bool = False
) -> content.Figure:
    """Draw many patients as small charts, each with its own axes.

    Parameters
    ----------
    panels
        In the order of the sheet; of more than `MOST_PANELS` the rest is left out and counted in the caption.
    name, title, synthetic
        As in `segmentation_figure`.

    Returns
    -------
    Figure
        SVG.

    Raises
    ------
    ParameterError
        If there is no patient.
    """
    if not panels:
        raise ParameterError("a sheet of forecasts needs at least one patient; leave the figure out")
    shown = panels[:MOST_PANELS]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    with canvas.drawing():
        figure, axes = canvas.new_chart(
            2.35 * columns if columns > 2 else 7.2, 0.9 + 1.75 * rows, [1.0] * rows, [1.0] * columns
        )
        for ax in axes.flat[len(shown) :]:
            ax.set_axis_off()
        for ax, panel in zip(axes.flat, shown, strict=False):
            _panel(ax, panel)
        _sheet_legend(figure, shown)
        if title:
            figure.suptitle(textwrap.shorten(title, 90, placeholder=" …"), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        for n, ax in enumerate(axes.flat[: len(shown)]):
            if n + columns >= len(shown):
                ax.set_xlabel("days", fontsize=8)
            if n % columns == 0:
                ax.set_ylabel("volume (ml)", fontsize=8)
        left_out = len(panels) - len(shown)
        banded = sum(p.forecast is not None and is_known(p.forecast) and has_band(p.forecast) for p in shown)
        caption = (
            f"{title or 'Forecasts'}: measured volumes (dots, open at 0 ml) and the median forecast of {len(shown)} of "
            f"{len(panels)} patients; axes differ from patient to patient. "
        )
        caption += f"{banded} have an interval that was calibrated on other patients (band). "
        if any(p.observed is not None for p in shown):
            caption += "Rings are readings that the forecast did not know. "
        if left_out:
            caption += f"{left_out} further patients are left out. "
        return canvas.finish(figure, "svg", name, caption.strip(), _GOOD, _FAILURE, synthetic=synthetic)


def _why_none(forecasts: Sequence[Forecast]) -> str:
    return (forecasts[0].reason or forecasts[0].status) if forecasts else "none was made"


def _caption(
    title: str,
    series: VolumeSeries,
    forecasts: Sequence[Forecast],
    chosen: Forecast | None,
    band_words: str,
    beyond: Sequence[str],
    scale: VolumeScale,
    treated: bool,
    observed: tuple[float, float] | None,
) -> str:
    parts = [f"{title or 'Forecast'}: {len(series)} measured volume{'s' if len(series) > 1 else ''} (dots)"]
    if chosen is None:
        parts.append(f"and no forecast ({_why_none(forecasts)}).")
    else:
        others = [spelt(f.model) for f in forecasts[1:] if is_known(f)]
        beside = f", beside {', '.join(others)} (thin lines)" if others else ""
        parts.append(f"and the median forecast of {spelt(chosen.model)} (thick line){beside}. {band_words}")
    unknown = [f"{spelt(f.model)} ({f.reason or f.status})" for f in forecasts[1:] if not is_known(f)]
    if unknown:
        parts.append(f"Without a forecast: {'; '.join(unknown)}.")
    if beyond:
        parts.append(f"Beyond the axis: {', '.join(beyond)}.")
    if observed is not None:
        parts.append("The ring is a reading that the forecast did not know.")
    if treated:
        parts.append("Treatment stands above the chart.")
    if scale.log:
        zero = (series.volumes_ml == 0).any() or (observed is not None and observed[1] == 0)
        parts.append(f"The axis of volumes is logarithmic{'; 0 ml stands at its lower end' * bool(zero)}.")
    return " ".join(parts)


def _panel(ax: Axes, panel: ForecastPanel) -> None:
    known = panel.forecast if panel.forecast is not None and is_known(panel.forecast) else None
    scale = VolumeScale.of(panel.series, known, [known] if known else [], None, panel.observed, math.nan)
    if known is not None:
        draw_medians(ax, [known], known, scale)
        if has_band(known):
            draw_band(ax, known, scale, "")
    ax.plot(
        panel.series.days, np.where(panel.series.volumes_ml > 0, panel.series.volumes_ml, scale.floor), color=canvas.INK, lw=0.7
    )
    draw_points(ax, panel.series, scale, panel.observed, size=4.0, label=False)
    scale.apply(ax, room=0.25 if panel.note else 0.0)
    ax.set_xlim(*day_range(panel.series, [known] if known else [], panel.observed))
    canvas.quiet(ax)
    ax.tick_params(labelsize=7.5)
    ax.locator_params(axis="x", nbins=4)
    ax.set_title(textwrap.shorten(panel.label, 26, placeholder="…"), loc="left", fontsize=8.5, fontweight="bold")
    if panel.note:
        text = textwrap.fill(panel.note, 34)
        ax.text(0.02, 0.98, text, transform=ax.transAxes, ha="left", va="top", fontsize=7, color=canvas.MUTED)


def _sheet_legend(figure: Any, shown: Sequence[ForecastPanel]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], marker="o", color=canvas.INK, linewidth=0.7, markersize=4.0, label="measured")]
    known = [p.forecast for p in shown if p.forecast is not None and is_known(p.forecast)]
    if known:
        handles.append(Line2D([], [], color=CHOSEN, linewidth=2.1, label="forecast, median"))
    bands = sorted({coverage_words(f) for f in known if has_band(f)})
    if bands:
        handles.append(Patch(facecolor=CHOSEN, alpha=0.2, label=" or ".join(bands)))
    if any(p.observed is not None for p in shown):
        ring: dict[str, Any] = {
            "marker": "o",
            "linestyle": "",
            "markerfacecolor": "none",
            "markeredgecolor": OBSERVED,
            "markeredgewidth": 2.0,
        }
        handles.append(Line2D([], [], markersize=7, label="later reading, not used", **ring))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8.3)
