"""Which forecaster to trust: the one that foretold the last scans of this patient or of other patients best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regrowth.errors import ParameterError
from regrowth.growth.fit import DETECTION_ML
from regrowth.growth.scores import crps_samples
from regrowth.growth.series import Forecast, VolumeSeries

__all__ = ["Forecaster", "ModelChoice", "choose_forecaster", "log_crps"]

Forecaster = Callable[[VolumeSeries, NDArray[np.float64]], Forecast]
"""What makes a forecast from a series and days; treatment and prior are bound inside."""


@dataclass(frozen=True)
class ModelChoice:
    """Which forecaster was best on scans that it had not seen.

    Parameters
    ----------
    name
        The best; empty unless `status` is ``ok``.
    scores
        Mean score of each forecaster on the scans that all of them could forecast; lower is better.
    n_scans
        How many such scans there were.
    n_left_out
        Scans that some forecaster could not forecast, which were left out for all.
    status, reason
        ``ok``, or ``too_few_scans`` with a reason.
    """

    name: str
    scores: Mapping[str, float]
    n_scans: int
    n_left_out: int
    status: str = "ok"
    reason: str = ""


def choose_forecaster(
    series: VolumeSeries | Sequence[VolumeSeries],
    forecasters: Mapping[str, Forecaster],
    *,
    n_last: int = 1,
    min_scans: int = 2,
    detection_ml: float = DETECTION_ML,
) -> ModelChoice:
    """Leave the last scans out one after the other, forecast each from those before it, and compare the scores.

    Always put a baseline among the forecasters: one or two scans of one patient are little to choose by, and a model that loses
    against persistence should not be used. For a choice that serves all patients give the whole cohort.

    Parameters
    ----------
    series
        One patient or many.
    forecasters
        Forecasters by name; of equal ones the first wins, so put the simplest first.
    n_last
        How many of the last scans of each patient are foretold.
    min_scans
        How many scans must come before one that is foretold.
    detection_ml
        Volume that a scan without tumour stands for, ml.

    Returns
    -------
    ModelChoice
        By the mean continuous ranked probability score of the log volume.
    """
    if not forecasters or n_last < 1 or min_scans < 1:
        raise ParameterError("a choice needs forecasters, at least one scan to foretell and one to foretell from")
    many = [series] if isinstance(series, VolumeSeries) else list(series)
    rows, left_out = [], 0
    for one in many:
        for n in range(max(min_scans, len(one) - n_last), len(one)):
            known, day, seen = one.first(n), one.days[n : n + 1], float(one.volumes_ml[n])
            scores = [log_crps(f(known, day), seen, detection_ml)[0] for f in forecasters.values()]
            if np.isfinite(scores).all():
                rows.append(scores)
            else:
                left_out += 1
    if not rows:
        reason = f"no scan could be foretold by all forecasters from at least {min_scans} before it"
        return ModelChoice("", dict.fromkeys(forecasters, float("nan")), 0, left_out, "too_few_scans", reason)
    mean = dict(zip(forecasters, np.mean(rows, axis=0).tolist(), strict=True))
    return ModelChoice(min(mean, key=lambda name: mean[name]), mean, len(rows), left_out)


def log_crps(forecast: Forecast, observed_ml: ArrayLike, detection_ml: float = DETECTION_ML) -> NDArray[np.float64]:
    """Give the continuous ranked probability score of log volumes on each day, shape (m,); lower is better.

    That of the samples (`crps_samples`); without samples the absolute log error of the median, which is the score of a point
    forecast. Gneiting & Raftery 2007, doi:10.1198/016214506000001437. What is below the limit of detection, measured or
    forecast, counts as the limit.
    """
    y = np.log(np.maximum(np.broadcast_to(np.asarray(observed_ml, float), forecast.days.shape), detection_ml))
    if forecast.status != "ok":
        return np.full(forecast.days.shape, np.nan)
    if forecast.samples_ml is None:
        return np.abs(np.log(np.maximum(forecast.median, detection_ml)) - y)
    return crps_samples(np.log(np.maximum(forecast.samples_ml, detection_ml)), y)
