"""How well a risk orders the patients by survival: Harrell's and Uno's C, and what is left of it in new patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.covariates import checked_covariates
from regrowth.statistics.cox import cox
from regrowth.statistics.likelihood import Penalty
from regrowth.statistics.times import checked_times, event_table

__all__ = ["ConcordanceResult", "harrell_c", "optimism_corrected_c", "uno_c"]

_BLOCK_PAIRS = 4_000_000


def harrell_c(time: ArrayLike, event: ArrayLike, risk: ArrayLike) -> float:
    """Give the share of comparable pairs of patients that a risk puts into the right order.

    A pair is comparable when the one with the shorter time had the event; at equal times, when one had the event and the
    other was censored. Equal risks count half.

    Parameters
    ----------
    time, event
        (n,) see `regrowth.statistics.times.check_times`.
    risk
        (n,) higher for patients who are expected to have the event earlier.

    Returns
    -------
    float
        0.5 for a risk without value, 1 for a perfect order; NaN when no pair is comparable.

    Raises
    ------
    ParameterError
        If values cannot be used.

    Notes
    -----
    Harrell et al. 1996, doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4. With much censoring it depends
    on when patients were censored; see `uno_c`.
    """
    times, events, risks = _checked(time, event, risk)
    return _weighted_c(times, events, risks, events.astype(np.float64))


def uno_c(time: ArrayLike, event: ArrayLike, risk: ArrayLike, tau: float | None = None) -> float:
    """Give the concordance up to a time, weighted so that it does not depend on the censoring.

    Parameters
    ----------
    time, event, risk
        As for `harrell_c`.
    tau
        Only events before this time count; choose it where enough patients are still observed. None for all events.

    Returns
    -------
    float
        NaN when no pair is comparable.

    Raises
    ------
    ParameterError
        If values cannot be used or tau is not above 0.

    Notes
    -----
    Each pair is weighted with 1 / G(t-)^2, G being the Kaplan-Meier estimate of staying uncensored and t the shorter time
    (Uno et al. 2011, doi:10.1002/sim.4154). Censoring must not depend on the covariates.
    """
    times, events, risks = _checked(time, event, risk)
    if tau is not None and not tau > 0:
        raise ParameterError(f"tau is a time above 0, not {tau}")
    table = event_table(times, events)
    # A censoring at the time of an event counts as after it, so that those who had the event are not at risk of censoring.
    at_risk = table.at_risk - table.events
    steps = np.divide(table.censored, at_risk, out=np.zeros(len(at_risk)), where=at_risk > 0)
    uncensored = np.concatenate([[1.0], np.cumprod(1 - steps)[:-1]])[np.searchsorted(table.times, times)]
    counted = events & (times < (np.inf if tau is None else tau))
    weight = np.divide(1.0, uncensored**2, out=np.zeros(len(times)), where=counted)
    return _weighted_c(times, counted, risks, weight)


def _checked(time: ArrayLike, event: ArrayLike, risk: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times, events = checked_times(time, event)
    risks, _ = checked_covariates(risk, "risk", len(times))
    return times, events, risks[:, 0]


def _weighted_c(times: np.ndarray, counted: np.ndarray, risks: np.ndarray, weight: np.ndarray) -> float:
    """Sum over pairs of a counted event with a later time or a censoring at the same time, in blocks of events."""
    order = np.argsort(times, kind="stable")
    times, counted, risks, weight = times[order], counted[order], risks[order], weight[order]
    earlier = np.flatnonzero(counted)
    right = pairs = 0.0
    step = max(1, _BLOCK_PAIRS // len(times))
    for begin in range(0, len(earlier), step):
        i = earlier[begin : begin + step]
        comparable = (times > times[i, None]) | ((times == times[i, None]) & ~counted)
        lower, equal = risks < risks[i, None], risks == risks[i, None]
        pairs += float(weight[i] @ comparable.sum(axis=1))
        right += float(weight[i] @ ((comparable & lower).sum(axis=1) + 0.5 * (comparable & equal).sum(axis=1)))
    return right / pairs if pairs else float("nan")


@dataclass(frozen=True)
class ConcordanceResult:
    """Harrell's C of a Cox model in its own patients, and what may be expected in new ones.

    Parameters
    ----------
    apparent
        C in the patients that the model was fitted to.
    optimism
        By how much the apparent C is too high, mean over the resamples; NaN if none could be used.
    corrected
        Apparent minus optimism.
    repeats, failed
        Resamples drawn, and those in which the model could not be fitted, which do not count.
    """

    apparent: float
    optimism: float
    corrected: float
    repeats: int
    failed: int


def optimism_corrected_c(
    time: ArrayLike,
    event: ArrayLike,
    covariates: ArrayLike,
    names: Sequence[str],
    rng: np.random.Generator,
    repeats: int = 200,
    penalty: Penalty = "none",
    strength: float = 0.0,
) -> ConcordanceResult:
    """Fit a Cox model and correct its concordance for having been fitted to the same patients.

    Parameters
    ----------
    time, event, covariates, names, penalty, strength
        As for `regrowth.statistics.cox.cox`.
    rng
        Source of randomness.
    repeats
        Bootstrap resamples, at least 1.

    Returns
    -------
    ConcordanceResult

    Raises
    ------
    ParameterError
        If the model cannot be fitted to the patients themselves, or repeats is below 1.

    Notes
    -----
    The optimism is the mean, over resamples of patients, of the C of the model fitted to the resample, in the resample minus
    in the patients (Harrell et al. 1996). A resample in which the model has no estimate fails; many failures mean that the
    model has too many covariates and that the correction itself is too small.
    """
    if repeats < 1:
        raise ParameterError(f"the bootstrap needs at least 1 repeat, not {repeats}")
    times, events = checked_times(time, event)
    x, labels = checked_covariates(covariates, names, len(times))
    fit = cox(times, events, x, labels, penalty=penalty, strength=strength)
    apparent = harrell_c(times, events, fit.linear_predictor(x))
    gains = []
    for _ in range(repeats):
        rows = rng.integers(0, len(times), len(times))
        try:
            again = cox(times[rows], events[rows], x[rows], labels, penalty=penalty, strength=strength)
        except ParameterError:
            continue
        inside = harrell_c(times[rows], events[rows], again.linear_predictor(x[rows]))
        gains.append(inside - harrell_c(times, events, again.linear_predictor(x)))
    optimism = float(np.mean(gains)) if gains else float("nan")
    return ConcordanceResult(apparent, optimism, apparent - optimism, repeats, repeats - len(gains))
