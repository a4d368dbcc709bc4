"""How volumes, forecasts and treatment are drawn on one axis of days."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

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
    "PlacedEvent",
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
_PLOT_IN = 6.5  # about what the legend leaves
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
        clipped = [known.max() * _BEYOND for v in extra if known.max() * _BEYOND < v < math.inf]
        values = np.array([*known, *near, *clipped])
        log = bool(values.max() > _LOG_RANGE * values.min())
        # Exams without tumour need room beneath the least measured volume.
        zero = bool((series.volumes_ml == 0).any() or (observed is not None and observed[1] == 0))
        if log:
            return cls(values.min() / (2.5 if zero else 1.4), values.max() * 1.35, True)
        return cls(0.0, values.max() * 1.1, False)

    @property
    def floor(self) -> float:
        """Where 0 ml is drawn."""
        return self.low if self.log else 0.0

    def apply(self, ax: Axes, room: float = 0.0) -> None:
        """Set the axis and its numbers; `room` is the share of its height that is added above for words."""
        if not self.log:
            ax.set_ylim(-0.03 * self.high, self.high * (1 + room))
            return
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        ax.set_yscale("log")
        ax.set_ylim(self.low / (self.high / self.low) ** 0.03, self.high * (self.high / self.low) ** room)
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
    margin = max(0.04 * (high - low), 5.0) if high > low else 30.0
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
    if seen.any():
        words = "measured" * label
        ax.plot(series.days[seen], series.volumes_ml[seen], "o", color=canvas.INK, markersize=size, zorder=5, label=words)
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
        words = f"later reading, not used{'' if observed[1] > 0 else ' (0 ml)'}"
        ax.plot([observed[0]], [value], "o", markersize=size * 1.7, zorder=6, label=words * label, **ring)


@dataclass(frozen=True)
class PlacedEvent:
    """An event where it is drawn: its bar, its words, and the days that both take up.

    Parameters
    ----------
    event
        What was done.
    start, stop
        First and last day as far as the axis reaches.
    at
        Day that the words are written at.
    side
        Side of the words that is held there.
    taken
        Days from which to which nothing else fits in the row.
    """

    event: TreatmentEvent
    start: float
    stop: float
    at: float
    side: Literal["left", "right"]
    taken: tuple[float, float]

    @classmethod
    def of(cls, event: TreatmentEvent, low: float, high: float) -> PlacedEvent:
        """Place the words after the bar, before it where they would leave the axis."""
        start, stop = min(max(event.day, low), high), min(max(event.stop_day, low), high)
        length = 0.07 * (len(_event_words(event, low, high)) + 3) / _PLOT_IN * (high - low)
        if event.stop_day < low or stop + length <= high or (start - length < low and event.day <= high):
            return cls(event, start, stop, stop, "left", (start, stop + length))
        return cls(event, start, stop, start, "right", (start - length, stop))


def event_rows(events: Sequence[TreatmentEvent], low: float, high: float) -> list[list[PlacedEvent]]:
    """Give events in as few rows as keep their words apart; each kind has rows of its own."""
    rows: list[list[PlacedEvent]] = []
    for kind in ("surgery", "radiotherapy", "drug"):
        own: list[list[PlacedEvent]] = []
        for event in sorted(e for e in events if e.kind == kind):
            placed = PlacedEvent.of(event, low, high)
            left, right = placed.taken
            free = next((r for r in own if all(right <= o.taken[0] or left >= o.taken[1] for o in r)), None)
            if free is None:
                own.append([placed])
            else:
                free.append(placed)
        rows += own
    return rows


def _event_words(event: TreatmentEvent, low: float, high: float) -> str:
    day = f"{event.day:.0f}".replace("-", "\N{MINUS SIGN}")
    if event.stop_day < low:
        return f"◂ {event.label} (day {day})"
    return f"{event.label} (day {day}) ▸" if event.day > high else event.label


def draw_events(ax: Axes, below: Axes, rows: Sequence[Sequence[PlacedEvent]], low: float, high: float) -> None:
    """Draw the treatment above the chart; surgery and radiotherapy go on faintly through it."""
    for y, row in enumerate(rows):
        for placed in row:
            event, colour = placed.event, _EVENT_COLOURS[placed.event.kind]
            inside_axis = event.stop_day >= low and event.day <= high
            if inside_axis and placed.stop > placed.start:
                ax.plot([placed.start, placed.stop], [y, y], color=colour, linewidth=6.5, solid_capstyle="butt")
                if event.kind == "radiotherapy":
                    below.axvspan(placed.start, placed.stop, color=colour, alpha=0.12, linewidth=0, zorder=0)
            elif inside_axis:
                ax.plot([placed.start], [y], "D", color=colour, markersize=5.5)
                below.axvline(placed.start, color=colour, linewidth=1.1, linestyle=":", zorder=0)
            gap = 0 if not inside_axis else 7 if placed.side == "left" else -7
            look: dict[str, Any] = {"ha": placed.side, "va": "center", "fontsize": 8}
            ax.annotate(
                _event_words(event, low, high),
                (placed.at, y),
                (gap, 0),
                textcoords="offset points",
                annotation_clip=False,
                **look,
            )
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_axis_off()


def draw_legend(ax: Axes) -> None:
    """Write the legend beside the chart, what was measured first."""
    handles, labels = ax.get_legend_handles_labels()
    first = ("measured", "later", "fitted")
    order = sorted(
        range(len(labels)), key=lambda n: next((k for k, w in enumerate(first) if labels[n].startswith(w)), len(first))
    )
    if not order:
        return
    wrapped = [textwrap.fill(labels[n], 27) for n in order]
    ax.legend(
        [handles[n] for n in order], wrapped, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.3, borderaxespad=0.0
    )
