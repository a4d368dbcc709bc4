"""How volumes, forecasts and treatment are drawn on one axis of days."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regrowth.growth.record import TreatmentEvent
from regrowth.growth.series import Forecast, VolumeSeries
from regrowth.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "CHOSEN",
    "OBSERVED",
    "WIDTH_IN",
    "VolumeScale",
    "coverage_words",
    "day_range",
    "draw_band",
    "draw_events",
    "draw_legend",
    "draw_medians",
    "draw_points",
    "event_rows",
    "has_band",
    "inside",
    "is_known",
    "spelt",
]

WIDTH_IN = 9.4
_LOG_RANGE = 20.0  # from this ratio of largest to least volume on, the axis is logarithmic
_BEYOND = 3.0  # how far above everything measured the curve of a lesser forecast may stretch the axis
CHOSEN = canvas.OKABE_ITO["blue"]
OBSERVED = canvas.OKABE_ITO["vermillion"]
_OTHERS = tuple(
    (canvas.OKABE_ITO[c], s) for c, s in (("orange", "--"), ("green", "-."), ("purple", ":"), ("grey", "--"), ("sky", "-."))
)
_EVENT_COLOURS = {
    "radiotherapy": canvas.OKABE_ITO["purple"],
    "drug": canvas.OKABE_ITO["green"],
    "surgery": canvas.OKABE_ITO["grey"],
}


@dataclass(frozen=True)
class VolumeScale:
    """The axis of volumes, and whether it is logarithmic."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(
        cls,
        series: VolumeSeries,
        chosen: Forecast | None,
        usable: Sequence[Forecast],
        fitted: tuple[np.ndarray, np.ndarray] | None,
        observed: tuple[float, float] | None,
        threshold_ml: float,
    ) -> VolumeScale:
        """Make the axis for measured volumes (ml), forecasts, a fitted curve (days, ml), a later reading and a threshold."""
        core = [*series.volumes_ml, threshold_ml, observed[1] if observed else math.nan]
        if chosen is not None:
            core += list(chosen.median)
        known = np.array([v for v in core if math.isfinite(v) and v > 0])
        if not known.size:
            return cls(0.0, 1.0, False)
        # Curves of lesser forecasts, a fit before the first exam and the ends of intervals may stretch the axis a little only.
        extra = [v for f in usable if f is not chosen for v in f.median]
        extra += list(fitted[1]) if fitted is not None else []
        if chosen is not None and has_band(chosen):
            extra += [*chosen.volumes_ml[0], *chosen.volumes_ml[-1]]
        near = [v for v in extra if known.min() / _BEYOND <= v <= known.max() * _BEYOND]
        clipped = [known.max() * _BEYOND for v in extra if v > known.max() * _BEYOND]
        values = np.array([*known, *near, *clipped])
        log = bool(values.max() > _LOG_RANGE * values.min())
        # Exams without tumour need room beneath the least measured volume.
        zero = bool((series.volumes_ml == 0).any() or (observed is not None and observed[1] == 0))
        return (
            cls(values.min() / (2.5 if zero else 1.4), values.max() * 1.35, True)
            if log
            else cls(0.0, values.max() * 1.1, False)
        )

    @property
    def floor(self) -> float:
        """Where 0 ml is drawn."""
        return self.low if self.log else 0.0

    def apply(self, ax: Axes) -> None:
        """Set the axis and its numbers."""
        if not self.log:
            ax.set_ylim(-0.03 * self.high, self.high)
            return
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        ax.set_yscale("log")
        ax.set_ylim(self.low / (self.high / self.low) ** 0.03, self.high)
        decades = math.log10(self.high / self.low)
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3 else (1.0,), numticks=12))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


def is_known(forecast: Forecast) -> bool:
    """Whether a forecast has values."""
    return forecast.status == "ok" and bool(np.isfinite(forecast.median).any())


def has_band(forecast: Forecast) -> bool:
    """Whether there is an interval to show: samples are a model's own opinion, which nobody has checked."""
    levels, ends = forecast.quantile_levels, forecast.volumes_ml
    return forecast.samples_ml is None and levels[0] < 0.5 < levels[-1] and bool((ends[-1] > ends[0]).any())


def coverage_words(forecast: Forecast | None) -> str:
    """Name the interval of a forecast by its coverage."""
    if forecast is None:
        return ""
    low, high = forecast.quantile_levels[[0, -1]]
    return f"{100 * (high - low):.3g} % interval, calibrated"


def spelt(model: str) -> str:
    """Write the name of a model as words."""
    return model.replace("_", " ")


def day_range(series: VolumeSeries, forecasts: Sequence[Forecast], observed: tuple[float, float] | None) -> tuple[float, float]:
    """Give the ends of the axis of days: exams, forecasts and a later reading; treatment may lie outside."""
    days = [*series.days, *(d for f in forecasts for d in (f.days[0], f.days[-1]))]
    days += [observed[0]] if observed else []
    low, high = float(min(days)), float(max(days))
    margin = max(0.04 * (high - low), 5.0)
    return low - margin, high + margin


def inside(days: np.ndarray, volumes_ml: np.ndarray, scale: VolumeScale) -> tuple[np.ndarray, np.ndarray]:
    """Hold a curve within what an SVG can carry: far beyond the axis in both directions."""
    values = np.asarray(volumes_ml, float)
    return np.asarray(days, float), np.clip(values, scale.floor / 1e3 if scale.log else 0.0, scale.high * 1e3)


def draw_medians(ax: Axes, forecasts: Sequence[Forecast], chosen: Forecast | None, scale: VolumeScale) -> list[str]:
    """Draw the medians; give the names of those that leave the axis."""
    beyond, n = [], 0
    for forecast in forecasts:
        if not is_known(forecast):
            continue
        first = forecast is chosen
        colour, style = (CHOSEN, "-") if first else _OTHERS[n % len(_OTHERS)]
        n += not first
        days, middle = inside(forecast.days, forecast.median, scale)
        label = f"{spelt(forecast.model)}{' (used), median' if first and len(forecasts) > 1 else ''}"
        looks: dict[str, Any] = {
            "color": colour,
            "linestyle": style,
            "linewidth": 2.1 if first else 1.2,
            "zorder": 4 if first else 3,
        }
        ax.plot(days, middle, label=label, marker="D" if days.size == 1 else "", markersize=5, **looks)
        if np.nanmax(forecast.median) > scale.high:
            beyond.append(spelt(forecast.model))
    return beyond


def draw_band(ax: Axes, forecast: Forecast, scale: VolumeScale, label: str) -> str:
    """Fill the interval; give a sentence on it."""
    if not has_band(forecast):
        return "No interval is drawn: none was calibrated on other patients."
    lower, upper = forecast.volumes_ml[0], forecast.volumes_ml[-1]
    days, bottom = inside(forecast.days, lower, scale)
    open_top = bool(np.isinf(upper).any())
    top = np.minimum(upper, scale.high * 1e3)
    if days.size == 1:
        ends = np.maximum(np.stack([forecast.median - bottom, top - forecast.median]), 0.0)
        ax.errorbar(days, forecast.median, ends, color=CHOSEN, linewidth=1.6, capsize=3, label=label)
    else:
        ax.fill_between(days, bottom, top, color=CHOSEN, alpha=0.2, linewidth=0, label=label)
        ax.plot(days, bottom, color=CHOSEN, linewidth=0.7, alpha=0.6)
        if not open_top:
            ax.plot(days, top, color=CHOSEN, linewidth=0.7, alpha=0.6)
    words = f"The band is the {label}."
    if open_top:
        return f"{words} It is open to the top: too few patients to say how large the volume is at most."
    return f"{words} It goes on above the axis." if float(top.max()) > scale.high else words


def draw_points(
    ax: Axes,
    series: VolumeSeries,
    scale: VolumeScale,
    observed: tuple[float, float] | None,
    size: float = 6.0,
    label: bool = True,
) -> None:
    """Draw measured volumes, open at the bottom where nothing was seen, and a later reading as a ring."""
    seen = series.volumes_ml > 0
    ax.plot(
        series.days[seen], series.volumes_ml[seen], "o", color=canvas.INK, markersize=size, zorder=5, label="measured" * label
    )
    if (~seen).any():
        marks: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": canvas.INK, "markersize": size, "clip_on": False}
        bottom = np.full(int((~seen).sum()), scale.floor)
        ax.plot(series.days[~seen], bottom, "o", zorder=5, label="measured, none seen (0 ml)" * label, **marks)
    if observed is not None and math.isfinite(observed[1]):
        ring: dict[str, Any] = {
            "markerfacecolor": "none",
            "markeredgecolor": OBSERVED,
            "markeredgewidth": 2.0,
            "clip_on": False,
        }
        value = observed[1] if observed[1] > 0 else scale.floor
        words = "later reading, not used" if observed[1] > 0 else "later reading, not used (0 ml)"
        ax.plot([observed[0]], [value], "o", markersize=size * 1.7, zorder=6, label=words * label, **ring)


def event_rows(events: Sequence[TreatmentEvent], low: float, high: float) -> list[list[TreatmentEvent]]:
    """Events in as few rows as keep their words apart; each kind has rows of its own."""
    rows: list[list[TreatmentEvent]] = []
    for kind in ("surgery", "radiotherapy", "drug"):
        own: list[list[TreatmentEvent]] = []
        for event in sorted(e for e in events if e.kind == kind):
            start = _place(event, low, high)[0]
            free = next((r for r in own if _words_end(r[-1], low, high) <= start), None)
            if free is None:
                own.append([event])
            else:
                free.append(event)
        rows += own
    return rows


def _place(event: TreatmentEvent, low: float, high: float) -> tuple[float, float]:
    """First and last day as far as the axis reaches."""
    return min(max(event.day, low), high), min(max(event.stop_day, low), high)


def _event_words(event: TreatmentEvent, low: float, high: float) -> str:
    if event.stop_day < low:
        return f"◂ {event.label} (day {event.day:.0f})"
    if event.day > high:
        return f"{event.label} (day {event.day:.0f}) ▸"
    return event.label


def _words_end(event: TreatmentEvent, low: float, high: float) -> float:
    letters = len(_event_words(event, low, high)) + 3
    return _place(event, low, high)[1] + 0.068 * letters / (WIDTH_IN - 3.0) * (high - low)


def draw_events(ax: Axes, below: Axes, rows: Sequence[Sequence[TreatmentEvent]], low: float, high: float) -> None:
    """Draw the treatment above the chart and, faintly, through it."""
    for y, row in enumerate(rows):
        for event in row:
            start, stop = _place(event, low, high)
            colour = _EVENT_COLOURS[event.kind]
            out = event.stop_day < low or event.day > high
            late = start > low + 0.72 * (high - low)
            if not out and stop > start:
                ax.plot([start, stop], [y, y], color=colour, linewidth=6.5, solid_capstyle="butt")
                below.axvspan(start, stop, color=colour, alpha=0.08, linewidth=0, zorder=0)
            elif not out:
                ax.plot([start], [y], "D", color=colour, markersize=5.5)
                below.axvline(start, color=colour, linewidth=1.0, linestyle=":", zorder=0)
            at, side, gap = (start, "right", -7) if late else (stop, "left", 7)
            ax.annotate(
                _event_words(event, low, high),
                (at, y),
                (0 if out else gap, 0),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=8,
            )
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_axis_off()


def draw_legend(ax: Axes) -> None:
    """Write the legend beside the chart, what was measured first."""
    handles, labels = ax.get_legend_handles_labels()
    first = [n for n, label in enumerate(labels) if label.startswith(("measured", "later"))]
    order = first + [n for n in range(len(labels)) if n not in first]
    wrapped = [textwrap.fill(labels[n], 27) for n in order]
    ax.legend(
        [handles[n] for n in order], wrapped, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.3, borderaxespad=0.0
    )
