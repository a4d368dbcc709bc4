"""How wide an interval must be to hold what it promises, as other patients show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regrowth.errors import ParameterError
from regrowth.growth.fit import DETECTION_ML
from regrowth.growth.series import Forecast

__all__ = ["ConformalBand", "learn_conformal_band"]

_REFERENCE_DAYS = 30.0


@dataclass(frozen=True)
class ConformalBand:
    """By how much the ends of an interval move, as logarithms, 30 days after the last scan.

    Parameters
    ----------
    coverage
        Promised coverage.
    lower_shift_log, upper_shift_log
        How far the lower end moves down and the upper end up; negative where the model's interval is too wide, infinite where
        there are too few patients for the promise.
    time_exponent
        Shifts grow with (days / 30)^exponent.
    n_patients
        How many forecasts it was learned from.
    detection_ml
        Volume below which nothing is seen, ml.
    """

    coverage: float
    lower_shift_log: float
    upper_shift_log: float
    time_exponent: float
    n_patients: int
    detection_ml: float = DETECTION_ML

    def apply(self, forecast: Forecast, last_day: float) -> Forecast:
        """Give the forecast with its median and calibrated ends, at the levels (1 - c) / 2, 1/2, (1 + c) / 2.

        Parameters
        ----------
        forecast
            Forecast of the model that the band was learned for.
        last_day
            Day of the last scan.
        """
        levels = np.array([(1 - self.coverage) / 2, 0.5, (1 + self.coverage) / 2])
        if forecast.status != "ok":
            return Forecast.unknown(forecast.days, forecast.model, forecast.status, forecast.reason, levels)
        low, high = _log_ends(forecast, self.coverage, self.detection_ml)
        middle = forecast.median
        scale = _time_scale(forecast.days - last_day, self.time_exponent)
        lower = np.minimum(np.exp(low - self.lower_shift_log * scale), middle)
        upper = np.maximum(np.exp(np.minimum(high + self.upper_shift_log * scale, 300.0)), middle)
        if np.isinf(self.upper_shift_log):
            upper = np.full_like(middle, np.inf)
        return Forecast(forecast.days, levels, np.stack([lower, middle, upper]), None, forecast.model, "ok", forecast.reason)


def learn_conformal_band(
    forecasts: Sequence[Forecast],
    observed_ml: Sequence[float],
    last_days: Sequence[float],
    coverage: float = 0.9,
    *,
    time_exponent: float = 0.5,
    detection_ml: float = DETECTION_ML,
) -> ConformalBand:
    """Learn from other patients by how much the ends of a model's interval must move.

    Conformalised quantile regression on log volumes with a score for each side (Romano et al. 2019, arXiv:1905.03222): the
    lower end moves by the ceil((n + 1) (1 + c) / 2)-th least of log(lower) - log(observed), each divided by (days / 30)^h. If
    patients are exchangeable the interval then holds a new patient's volume with at least the promised probability, whatever
    the model. A point forecast counts as an interval without width.

    Parameters
    ----------
    forecasts
        One forecast of each patient on one day, made without the observed volume.
    observed_ml
        What was measured on that day, ml; below the limit of detection it counts as the limit.
    last_days
        Day of the last scan that each forecast knew.
    coverage
        Promised coverage, between 0 and 1.
    time_exponent
        How errors grow with time: 0.5 as a random walk, 0 not at all.
    detection_ml
        Volume below which nothing is seen, ml.

    Raises
    ------
    ParameterError
        If the numbers of forecasts, volumes and days differ, or no forecast has values.
    """
    if not len(forecasts) == len(observed_ml) == len(last_days):
        raise ParameterError("give one observed volume and one last day for each forecast")
    if not 0 < coverage < 1 or time_exponent < 0:
        raise ParameterError("the coverage lies between 0 and 1 and the exponent of time is 0 or more")
    below, above = [], []
    for forecast, observed, last in zip(forecasts, observed_ml, last_days, strict=True):
        if forecast.status != "ok" or not np.isfinite(observed):
            continue
        if forecast.days.size != 1:
            raise ParameterError(f"a band is learned from forecasts on one day each, not on {forecast.days.size}")
        low, high = _log_ends(forecast, coverage, detection_ml)
        seen = np.log(max(observed, detection_ml))
        scale = _time_scale(forecast.days - last, time_exponent)
        below.append(float(((low - seen) / scale)[0]))
        above.append(float(((seen - high) / scale)[0]))
    if not below:
        raise ParameterError("no forecast has values, so that no band can be learned")
    down, up = (_conformal_quantile(np.array(scores), (1 + coverage) / 2) for scores in (below, above))
    return ConformalBand(coverage, down, up, time_exponent, len(below), detection_ml)


def _conformal_quantile(scores: NDArray[np.float64], level: float) -> float:
    rank = int(np.ceil((scores.size + 1) * level - 1e-9))
    return float(np.sort(scores)[rank - 1]) if rank <= scores.size else float("inf")


def _log_ends(forecast: Forecast, coverage: float, detection_ml: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the ends of the forecast's own interval, or its point twice; below the limit of detection it is the limit."""
    if forecast.samples_ml is None and forecast.quantile_levels.size == 1:
        ends = (forecast.volumes_ml[0], forecast.volumes_ml[0])
    else:
        ends = (forecast.quantile((1 - coverage) / 2), forecast.quantile((1 + coverage) / 2))
    low, high = (np.log(np.maximum(e, detection_ml)) for e in ends)
    return low, high


def _time_scale(days: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Give (days / 30)^exponent, not less than that of one day so that scores stay finite."""
    return (np.maximum(days, 1.0) / _REFERENCE_DAYS) ** exponent
