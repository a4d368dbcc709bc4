"""What is forecast without a model: nothing changes, it goes on as it went, or as it went with others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.growth.fit import DETECTION_ML
from regrowth.growth.forecast import checked_days
from regrowth.growth.series import Forecast, VolumeSeries

__all__ = ["common_growth_forecast", "log_linear_forecast", "persistence_forecast"]

_POINT = (0.5,)


def persistence_forecast(series: VolumeSeries, days: ArrayLike) -> Forecast:
    """Forecast that the volume stays what it was at the last scan.

    A point forecast: its interval comes from other patients (`learn_conformal_band`).
    """
    at = checked_days(series, days)
    return Forecast(at, np.array(_POINT), np.full((1, at.size), series.last_volume_ml), None, "persistence")


def common_growth_forecast(
    series: VolumeSeries, days: ArrayLike, rate_per_day: float, detection_ml: float = DETECTION_ML
) -> Forecast:
    """Forecast that the volume grows from the last scan on at a rate that is the same for all patients.

    The rate comes from other patients. It knows nothing of this one, and yet beats persistence wherever a tumour grows: a model
    that is said to know more must beat it too.

    Parameters
    ----------
    series
        Volumes; a last one of 0 stands for `detection_ml`.
    days
        Days at or after the last scan, increasing.
    rate_per_day
        Growth of the log volume per day, of either sign.
    detection_ml
        Volume that a scan without tumour stands for, ml.
    """
    at = checked_days(series, days)
    if not np.isfinite(rate_per_day):
        raise ParameterError("the common rate of growth must be a number; learn one from other patients")
    start = series.last_volume_ml if series.last_volume_ml > 0 else detection_ml
    path = np.minimum(np.log(start) + rate_per_day * (at - series.last_day), 300.0)
    return Forecast(at, np.array(_POINT), np.exp(path)[None], None, "common_growth")


def log_linear_forecast(series: VolumeSeries, days: ArrayLike, n_last: int = 2, detection_ml: float = DETECTION_ML) -> Forecast:
    """Forecast that the log volume goes on from the last scan along the line through the last scans.

    Parameters
    ----------
    series
        Volumes; one of 0 stands for `detection_ml`.
    days
        Days at or after the last scan, increasing.
    n_last
        How many of the last scans give the slope (least squares), at least 2.
    detection_ml
        Volume that a scan without tumour stands for, ml.

    Returns
    -------
    Forecast
        Point forecast; NaN with the status ``one_scan`` if there is no slope.
    """
    at = checked_days(series, days)
    if n_last < 2:
        raise ParameterError("a line needs at least 2 scans")
    if len(series) < 2:
        return Forecast.unknown(at, "log_linear", "one_scan", "one scan has no trend", _POINT)
    log = np.log(np.where(series.volumes_ml > 0, series.volumes_ml, detection_ml))[-n_last:]
    slope = np.polyfit(series.days[-n_last:] - series.last_day, log, 1)[0]
    path = np.minimum(log[-1] + slope * (at - series.last_day), 300.0)
    return Forecast(at, np.array(_POINT), np.exp(path)[None], None, "log_linear")
