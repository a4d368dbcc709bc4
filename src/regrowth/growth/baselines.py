"""What is forecast without a model: nothing changes, or it goes on as it went."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.growth.fit import DETECTION_ML
from regrowth.growth.forecast import checked_days
from regrowth.growth.series import Forecast, VolumeSeries

__all__ = ["log_linear_forecast", "persistence_forecast"]

_POINT = (0.5,)


def persistence_forecast(series: VolumeSeries, days: ArrayLike) -> Forecast:
    """Forecast that the volume stays what it was at the last scan.

    A point forecast: its interval comes from other patients (`learn_conformal_band`).
    """
    at = checked_days(series, days)
    return Forecast(at, np.array(_POINT), np.full((1, at.size), series.last_volume_ml), None, "persistence")


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
