"""How large a tumour will be, with which certainty, and when it passes a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regrowth.errors import ParameterError
from regrowth.growth.fit import GrowthFit, ParameterSamples
from regrowth.growth.series import QUANTILE_LEVELS, Forecast, VolumeSeries, as_numbers

__all__ = ["Carry", "ThresholdTime", "checked_days", "forecast_growth", "progression_threshold_ml", "time_to_exceed"]

Array = NDArray[np.float64]

_FEW = 20.0


@dataclass(frozen=True)
class Carry:
    """How a forecast joins the last scan.

    Parameters
    ----------
    correlation_days
        After how many days the misfit at the last scan has faded to 1/e. Infinite: the forecast starts at the last scan and
        keeps its misfit; 0: the forecast is the model's curve, whatever the last scan was.
    trend_weight
        Part of the model's change since the last scan that is believed, 0 (persistence) to 1.
    growth_certainty
        How probable growth since the last scan must be, by the samples, for the model's change to be believed on a day; below
        it the middle of the forecast stays at the last scan and only the spread is the model's. 0 believes all changes. Most
        real lesions stay nearly as they are or stop shrinking, so that an uncertain trend is worth less than none.
    drift_sd_log_per_sqrt_day
        Standard deviation of a random walk of the log volume, for what no model knows.
    measurement_sd_log
        Standard deviation of the future measurement; 0 forecasts the volume and not its measurement.
    """

    correlation_days: float = float("inf")
    trend_weight: float = 1.0
    growth_certainty: float = 0.0
    drift_sd_log_per_sqrt_day: float = 0.0
    measurement_sd_log: float = 0.0

    def __post_init__(self) -> None:
        if not (self.correlation_days >= 0 and 0 <= self.trend_weight <= 1 and 0 <= self.growth_certainty <= 1):
            raise ParameterError("the correlation time is 0 days or more; the trend's weight and certainty lie between 0 and 1")
        if not (0 <= self.drift_sd_log_per_sqrt_day < np.inf and 0 <= self.measurement_sd_log < np.inf):
            raise ParameterError("standard deviations of a forecast are 0 or more")


FULL_CARRY = Carry()


def forecast_growth(
    fit: GrowthFit,
    samples: ParameterSamples | None,
    days: ArrayLike,
    rng: np.random.Generator,
    carry: Carry = FULL_CARRY,
    levels: Sequence[float] = QUANTILE_LEVELS,
) -> Forecast:
    """Forecast the volume from the last scan on.

    Parameters
    ----------
    fit
        Fit of the patient; one that failed gives a forecast of NaN with the fit's reason.
    samples
        Parameter sets from `bootstrap_parameters` or `sample_posterior`; None only for a failed fit.
    days
        Days at or after the last scan, increasing, shape (m,).
    rng
        Source of random numbers.
    carry
        How the forecast joins the last scan.
    levels
        Levels of the quantiles.

    Returns
    -------
    Forecast
        With samples, each of which is one possible course.

    Raises
    ------
    ParameterError
        If days do not increase or lie before the last scan.
    """
    at = checked_days(fit.series, days)
    if fit.status != "ok":
        return Forecast.unknown(at, fit.model.name, fit.status, fit.reason, levels)
    if samples is None:
        raise ParameterError("a forecast needs parameter samples; draw them with sample_posterior or bootstrap_parameters")
    theta = samples.log_parameters
    last = fit.series.last_day
    curves = fit.log_curve(theta, np.append(last, at))
    misfit = fit.log_misfit(theta)[:, -1]
    change = curves[:, 1:] - curves[:, :1]
    if carry.growth_certainty > 0:
        unsure = (change > 0).mean(axis=0) < carry.growth_certainty
        change = change - np.where(unsure, np.median(change, axis=0), 0.0)
    log = curves[:, :1] + carry.trend_weight * change
    log = log + _departures(misfit, np.diff(at, prepend=last), carry, fit.prior.noise_sd_log, rng)
    few = f"the samples are worth only {samples.effective_n:.0f} independent ones" if samples.effective_n < _FEW else ""
    reason = "; ".join(filter(None, (fit.reason, few)))
    return Forecast.from_samples(at, np.exp(np.minimum(log, 300.0)), fit.model.name, levels, reason)


def _departures(misfit: Array, steps_days: Array, carry: Carry, noise_sd_log: float, rng: np.random.Generator) -> Array:
    """Walk from the misfit at the last scan: an Ornstein-Uhlenbeck process, a random walk and noise, shape (s, m)."""
    out = np.empty((misfit.size, steps_days.size))
    stay, drift = misfit, np.zeros_like(misfit)
    for j, step in enumerate(steps_days):
        if carry.correlation_days < np.inf:
            rho = np.exp(-step / carry.correlation_days) if carry.correlation_days > 0 else 0.0
            stay = rho * stay + noise_sd_log * np.sqrt(1 - rho**2) * rng.standard_normal(misfit.size)
        drift = drift + carry.drift_sd_log_per_sqrt_day * np.sqrt(step) * rng.standard_normal(misfit.size)
        out[:, j] = stay + drift + carry.measurement_sd_log * rng.standard_normal(misfit.size)
    return out


def progression_threshold_ml(series: VolumeSeries, increase: float = 0.40) -> float:
    """Give the volume at which the tumour has progressed: 40 % above the least so far, as RANO 2.0 says of volumes.

    NaN if the least volume is 0: what reappears is then a new lesion, which a percentage cannot tell. Wen et al. 2023,
    doi:10.1200/JCO.23.01059.
    """
    return series.nadir_ml * (1 + increase) if series.nadir_ml > 0 else float("nan")


@dataclass(frozen=True)
class ThresholdTime:
    """When a tumour passes a volume.

    Parameters
    ----------
    threshold_ml
        The volume.
    probability
        Probability that it is passed on or before the last day of the forecast.
    median_days, lower_days, upper_days
        Median and ends of the 90 % interval of the days since the last scan; infinite where it is not passed by then.
    status, reason
        ``ok``, or why all is NaN.
    """

    threshold_ml: float
    probability: float
    median_days: float
    lower_days: float
    upper_days: float
    status: str = "ok"
    reason: str = ""


def time_to_exceed(forecast: Forecast, threshold_ml: float, last_day: float) -> ThresholdTime:
    """Give the time from the last scan until a threshold is passed for the first time.

    Parameters
    ----------
    forecast
        Forecast with samples, on days dense enough: between them log volumes are joined by straight lines, and from the last
        scan to the first day the passing counts as on that day.
    threshold_ml
        Volume, ml.
    last_day
        Day of the last scan.
    """
    nan = float("nan")
    if forecast.status != "ok" or forecast.samples_ml is None or not threshold_ml > 0:
        reason = forecast.reason or ("the threshold is not a volume" if not threshold_ml > 0 else "the forecast has no samples")
        status = forecast.status if forecast.status != "ok" else "no_threshold" if not threshold_ml > 0 else "no_samples"
        return ThresholdTime(threshold_ml, nan, nan, nan, nan, status, reason)
    with np.errstate(divide="ignore"):
        log = np.log(forecast.samples_ml) - np.log(threshold_ml)
    above = log > 0
    passed = above.any(axis=1)
    first = above.argmax(axis=1)
    rows, before = np.arange(len(log)), np.maximum(first - 1, 0)
    start, end = log[rows, before], log[rows, first]
    with np.errstate(invalid="ignore"):
        part = np.where(first > 0, -start / np.where(first > 0, end - start, 1.0), 1.0)
    days = forecast.days[before] + part * (forecast.days[first] - forecast.days[before]) - last_day
    times = np.where(passed, days, np.inf)
    lower, median, upper = np.quantile(times, [0.05, 0.5, 0.95], method="inverted_cdf")
    return ThresholdTime(threshold_ml, float(passed.mean()), float(median), float(lower), float(upper))


def checked_days(series: VolumeSeries, days: ArrayLike) -> Array:
    """Refuse days of a forecast that do not increase or lie before the last scan."""
    at = np.atleast_1d(as_numbers(days, "days of the forecast"))
    if not at.size or (np.diff(at) <= 0).any() or at[0] < series.last_day:
        raise ParameterError(f"days of a forecast increase and start at the last scan (day {series.last_day:g}) or later")
    return at
