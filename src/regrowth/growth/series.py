"""What a tumour measured over time looks like, and what a forecast of it looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regrowth.errors import ParameterError

__all__ = ["QUANTILE_LEVELS", "Forecast", "VolumeSeries", "as_numbers"]

QUANTILE_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Levels of the quantiles that a forecast has unless it is asked for others."""


@dataclass(frozen=True, eq=False)
class VolumeSeries:
    """Volumes of one tumour on increasing days.

    A volume of 0 is allowed: it means that nothing was seen, so that the tumour was smaller than what can be seen. A fit
    takes it as an upper limit and never as a measurement.

    Parameters
    ----------
    days
        Days of the scans, shape (n,), any origin; sorted here.
    volumes_ml
        Volumes in ml, shape (n,), at least 0.
    label
        Whose tumour this is; named in messages.

    Raises
    ------
    ParameterError
        If the shapes differ, there is no scan, a value is not finite, a volume is negative or two scans share a day.
    """

    days: NDArray[np.float64]
    volumes_ml: NDArray[np.float64]
    label: str = ""

    def __post_init__(self) -> None:
        who = f" of {self.label}" if self.label else ""
        days, volumes = as_numbers(self.days, f"days{who}"), as_numbers(self.volumes_ml, f"volumes_ml{who}")
        if days.ndim != 1 or days.shape != volumes.shape or not days.size:
            raise ParameterError(
                f"days{who} have shape {days.shape} and volumes_ml {volumes.shape}; give one volume for each day"
            )
        if (volumes < 0).any():
            raise ParameterError(f"volumes_ml{who} hold {volumes.min():g}; a volume is at least 0, leave out a failed scan")
        order = np.argsort(days, kind="stable")
        days, volumes = days[order], volumes[order]
        same = days[1:][np.diff(days) == 0]
        if same.size:
            raise ParameterError(f"two scans{who} are on day {same[0]:g}; keep one of them or give their mean volume")
        days.flags.writeable = volumes.flags.writeable = False
        object.__setattr__(self, "days", days)
        object.__setattr__(self, "volumes_ml", volumes)

    def __len__(self) -> int:
        return self.days.size

    @property
    def last_day(self) -> float:
        """Day of the last scan."""
        return float(self.days[-1])

    @property
    def last_volume_ml(self) -> float:
        """Volume at the last scan, ml."""
        return float(self.volumes_ml[-1])

    @property
    def nadir_ml(self) -> float:
        """Least volume of all scans, ml."""
        return float(self.volumes_ml.min())

    def first(self, n: int) -> VolumeSeries:
        """Keep the first `n` scans, at least 1."""
        if not 1 <= n <= len(self):
            raise ParameterError(f"the series has {len(self)} scans; ask for 1 to {len(self)} of them, not {n}")
        return VolumeSeries(self.days[:n], self.volumes_ml[:n], self.label)


@dataclass(frozen=True, eq=False)
class Forecast:
    """Volumes on future days, as quantiles and, where the model draws them, as samples.

    Parameters
    ----------
    days
        Days of the forecast, shape (m,), same origin as the series.
    quantile_levels
        Levels in (0, 1), increasing, shape (q,).
    volumes_ml
        Quantiles in ml, shape (q, m); NaN unless `status` is ``ok``.
    samples_ml
        Curves drawn from the predictive distribution, shape (s, m); None for a forecast that has only quantiles.
    model
        Name of the model or baseline.
    status
        ``ok``, or why there are no values.
    reason
        One sentence; empty if all is well.
    """

    days: NDArray[np.float64]
    quantile_levels: NDArray[np.float64]
    volumes_ml: NDArray[np.float64]
    samples_ml: NDArray[np.float64] | None
    model: str
    status: str = "ok"
    reason: str = ""

    def __post_init__(self) -> None:
        for name in ("days", "quantile_levels", "volumes_ml"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), float))
        q, m = self.quantile_levels.size, self.days.size
        if self.volumes_ml.shape != (q, m):
            raise ParameterError(f"the quantiles have shape {self.volumes_ml.shape}; {q} levels on {m} days need ({q}, {m})")
        if (
            not q
            or (np.diff(self.quantile_levels) <= 0).any()
            or not (0 < self.quantile_levels[0] <= self.quantile_levels[-1] < 1)
        ):
            raise ParameterError("quantile levels must increase and lie between 0 and 1, without the ends")

    @classmethod
    def from_samples(
        cls, days: ArrayLike, samples_ml: NDArray[np.float64], model: str, levels: ArrayLike = QUANTILE_LEVELS, reason: str = ""
    ) -> Forecast:
        """Make a forecast from curves, shape (s, m), and take its quantiles from them."""
        levels = np.asarray(levels, float)
        return cls(np.asarray(days, float), levels, np.quantile(samples_ml, levels, axis=0), samples_ml, model, "ok", reason)

    @classmethod
    def unknown(cls, days: ArrayLike, model: str, status: str, reason: str, levels: ArrayLike = QUANTILE_LEVELS) -> Forecast:
        """Make a forecast that is NaN on all days, with the reason."""
        days, levels = np.asarray(days, float), np.asarray(levels, float)
        return cls(days, levels, np.full((levels.size, days.size), np.nan), None, model, status, reason)

    def quantile(self, level: float) -> NDArray[np.float64]:
        """Give the volumes at one level, ml, shape (m,); from the samples, else interpolated between the levels.

        Without samples a level outside of those that the forecast has is NaN: tails are not made up.
        """
        if self.samples_ml is not None:
            return np.quantile(self.samples_ml, level, axis=0)
        known = [np.interp(level, self.quantile_levels, v, left=np.nan, right=np.nan) for v in self.volumes_ml.T]
        return np.array(known)

    @property
    def median(self) -> NDArray[np.float64]:
        """Median volume on each day, ml, shape (m,)."""
        return self.quantile(0.5)

    def exceedance(self, threshold_ml: float) -> NDArray[np.float64]:
        """Give the probability that the volume is more than a threshold on each day, shape (m,).

        Without samples it is interpolated between the quantiles and, beyond the outermost, the tail that they leave is
        given whole to the side that it lies on: 0.95 means "at least 0.95" and 0.05 "at most 0.05".
        """
        if self.samples_ml is not None:
            above = (self.samples_ml > threshold_ml).mean(axis=0)
            return np.where(np.isnan(self.samples_ml).any(axis=0), np.nan, above)
        levels = [_level_at(threshold_ml, v, self.quantile_levels) for v in self.volumes_ml.T]
        return 1 - np.array(levels)


def _level_at(threshold_ml: float, quantiles_ml: NDArray[np.float64], levels: NDArray[np.float64]) -> float:
    """Interpolate the level at which the quantiles reach a threshold; ties of a point forecast count as not above."""
    if np.isnan(quantiles_ml).any():
        return float("nan")
    if quantiles_ml[0] == quantiles_ml[-1]:  # a point forecast says yes or no
        return float(quantiles_ml[0] <= threshold_ml)
    return float(np.interp(threshold_ml, quantiles_ml, levels))


def as_numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Copy values to a float array and refuse what is not a finite number, dates included."""
    try:
        out = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} must be numbers, not {values!r}; count dates in days from one origin") from error
    if np.asarray(values).dtype.kind in "mM":
        raise ParameterError(f"{name} are dates; count them in days from one origin")
    if not np.isfinite(out).all():
        raise ParameterError(f"{name} hold a value that is not finite; leave out scans that have no measurement")
    return out
