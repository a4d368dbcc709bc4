"""How likely a mapped point, or a mapped volume, truly lies inside a dose level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.exposure import Exposure, dose_at_shifts
from regrowth.radiotherapy.parts import RecurrencePart
from regrowth.radiotherapy.uncertainty import SpatialUncertainty
from regrowth.space import Image

__all__ = ["LevelProbability", "probability_inside", "probability_volume_inside", "thinned"]

_NEGLIGIBLE = 0.01  # share of draws outside of the dose grid that is below what chance does to the rest
_MOST_POINTS = 1500


@dataclass(frozen=True)
class LevelProbability:
    """Probability that the true position lies inside a dose level.

    Parameters
    ----------
    threshold_gy
        Dose of the level.
    value
        0 to 1; NaN when more than 1 % of the draws lie where the dose is not known.
    at_least, at_most
        If the unknown draws lay outside, and inside.
    expected_share
        Share of the volume inside, on average; for a point the probability itself.
    standard_error
        Of `value` by the finite number of draws.
    n_draws
        Draws.
    status, reason
        ``dose_unknown`` or ``uncertainty_unknown``.
    """

    threshold_gy: float
    value: float
    at_least: float
    at_most: float
    expected_share: float
    standard_error: float
    n_draws: int
    status: Literal["ok", "dose_unknown", "uncertainty_unknown"]
    reason: str = ""


def probability_inside(
    point_mm: Sequence[float] | np.ndarray,
    uncertainty: SpatialUncertainty,
    dose: Image,
    thresholds_gy: Sequence[float],
    rng: np.random.Generator,
    *,
    draws: int = 4000,
) -> tuple[LevelProbability, ...]:
    """Probability that the true place of a mapped point got at least a dose.

    The integral of [dose >= threshold] under N(point, S), by Monte Carlo with trilinear doses.

    Parameters
    ----------
    point_mm
        (3,) mapped point, RAS+ mm.
    uncertainty
        S.
    dose
        Gy.
    thresholds_gy
        Levels in Gy, such as 95 % of each prescription.
    rng
        For the draws; all levels share them.
    draws
        Number of draws.

    Returns
    -------
    tuple
        One result per level, in their order.
    """
    thresholds = _checked(thresholds_gy, draws)
    if uncertainty.status == "unknown":
        return tuple(_not_known(t, uncertainty.reason) for t in thresholds)
    doses = dose_at_shifts(dose, np.asarray(point_mm, float)[None], uncertainty.draws(draws, rng))[:, 0]
    unknown = np.isnan(doses)
    return tuple(_result(t, doses >= t * (1 - 1e-6), unknown, None) for t in thresholds)


def probability_volume_inside(
    part: RecurrencePart,
    uncertainty: SpatialUncertainty,
    dose: Image,
    thresholds_gy: Sequence[float],
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    share: float = 0.95,
) -> tuple[LevelProbability, ...]:
    """Probability that at least a share of the true recurrence got at least a dose.

    The part is shifted as a whole by each draw; that its outline is uncertain too enters through the delineation error of
    the centroid only. Large parts are thinned to 1500 points.

    Parameters
    ----------
    part
        The part as mapped.
    uncertainty, dose, thresholds_gy, rng, draws
        As in `probability_inside`.
    share
        0.95: inside means that at least 95 % of the volume reaches the dose.
    """
    thresholds = _checked(thresholds_gy, draws)
    if uncertainty.status == "unknown":
        return tuple(_not_known(t, uncertainty.reason) for t in thresholds)
    if not 0 < share <= 1:
        raise ParameterError(f"a share lies above 0 and up to 1, not {share}")
    exposure = Exposure(part, thinned(part.points_mm(), rng), uncertainty.draws(draws, rng), dose)
    out = []
    for threshold in thresholds:
        low, high = exposure.isodose_share(threshold)
        inside, possible = low >= share - 1e-9, high >= share - 1e-9
        expected = float(low.mean()) if (high - low).mean() <= _NEGLIGIBLE else math.nan
        out.append(_result(threshold, inside, possible & ~inside, expected))
    return tuple(out)


def thinned(points_mm: np.ndarray, rng: np.random.Generator, most: int = _MOST_POINTS) -> np.ndarray:
    """At most `most` of the points (n, 3), one from each of equal stretches of their order."""
    if len(points_mm) <= most:
        return points_mm
    edges = np.linspace(0, len(points_mm), most + 1)
    chosen = np.floor(edges[:-1] + rng.random(most) * np.diff(edges)).astype(int)
    return points_mm[np.minimum(chosen, len(points_mm) - 1)]


def _result(threshold: float, inside: np.ndarray, unknown: np.ndarray, expected: float | None) -> LevelProbability:
    n = len(inside)
    low = float(inside.mean())
    high = low + float((unknown & ~inside).mean())
    lost = high - low > _NEGLIGIBLE
    value = math.nan if lost else low / (1 - (high - low))
    error = math.nan if lost else math.sqrt(max(value * (1 - value), 0.0) / n)
    reason = f"the dose is not known for {100 * (high - low):.1f} % of the draws" if high > low else ""
    share = value if expected is None else expected
    return LevelProbability(threshold, value, low, high, share, error, n, "dose_unknown" if lost else "ok", reason)


def _not_known(threshold: float, reason: str) -> LevelProbability:
    return LevelProbability(threshold, math.nan, 0.0, 1.0, math.nan, math.nan, 0, "uncertainty_unknown", reason)


def _checked(thresholds_gy: Sequence[float], draws: int) -> tuple[float, ...]:
    thresholds = tuple(float(t) for t in thresholds_gy)
    if not all(math.isfinite(t) and t > 0 for t in thresholds):
        raise ParameterError(f"dose levels are above 0 Gy, not {thresholds}")
    if draws < 2:
        raise ParameterError(f"a probability needs at least 2 draws, not {draws}")
    return thresholds
