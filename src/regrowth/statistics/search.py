"""Which cut of a marker splits the survival of this very cohort best, and how much of that is the search itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.cutpoint import Effect, effect
from regrowth.statistics.survival import log_rank, log_rank_scores

__all__ = ["SearchedCut", "best_cut", "candidate_cuts", "permutation_p", "searched_cut"]

_LEAST_PATIENTS = 20
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class SearchedCut:
    """A cut that was chosen in the data on which it is judged.

    Parameters
    ----------
    cut
        Low is at most this.
    quantile
        Share of the patients at most at it.
    statistic
        Largest |z| over the candidates.
    permutation_p
        Share of permutations of the marker (with the one observed) whose largest |z| is at least as large: the p-value to
        report.
    naive_p
        Log-rank p-value at the chosen cut as if it had not been searched: far too small; shown for comparison only.
    critical_z
        |z| above which the permutation test rejects at 5 %; 1.96 without a search.
    cut_lower, cut_upper
        Bootstrap interval of the cut; quantile_lower, quantile_upper that of the quantile.
    naive_effect
        Hazard ratio of low against high in the data of the search: exaggerated.
    out_of_bag_ratio, out_of_bag_lower, out_of_bag_upper
        Median and range at `level` of the hazard ratio in patients who were not in the bootstrap sample that chose the cut, in
        the direction that the sample found: near 1 where the cut is noise, on average over cohorts.
    bootstraps, failed
        Samples, and those among them without an out-of-bag hazard ratio.
    candidates, z
        (m,) cuts tried and their signed statistics (positive: more events at most at the cut than expected).
    n, n_missing, permutations, level
        Patients with and without a marker; as given.
    """

    cut: float
    quantile: float
    statistic: float
    permutation_p: float
    naive_p: float
    critical_z: float
    cut_lower: float
    cut_upper: float
    quantile_lower: float
    quantile_upper: float
    naive_effect: Effect
    out_of_bag_ratio: float
    out_of_bag_lower: float
    out_of_bag_upper: float
    bootstraps: int
    failed: int
    candidates: np.ndarray
    z: np.ndarray
    n: int
    n_missing: int
    permutations: int
    level: float


def searched_cut(
    time: ArrayLike,
    event: ArrayLike,
    marker: ArrayLike,
    rng: np.random.Generator,
    *,
    quantiles: tuple[float, float] = (0.10, 0.90),
    permutations: int = 1000,
    bootstraps: int = 200,
    level: float = 0.95,
) -> SearchedCut:
    """Search the cut with the largest log-rank statistic and judge it by permutation, bootstrap and out-of-bag patients.

    Parameters
    ----------
    time, event
        (n,) days and bool.
    marker
        (n,) NaN where missing (left out and counted).
    rng
        Source of the permutations and bootstrap samples.
    quantiles
        Cuts are tried from this to that quantile of the marker, in steps of 0.01.
    permutations, bootstraps
        How many.
    level
        Coverage of the intervals.

    Raises
    ------
    ParameterError
        If there are fewer than 20 patients with a marker, none with an event, or the marker takes no two values.

    Notes
    -----
    The statistic is the standardised sum of the log-rank scores at most at the cut, with its variance under permutation
    (maximally selected rank statistics: Lausen and Schumacher 1992, doi:10.2307/2532740; Hothorn and Lausen 2003,
    doi:10.1016/S0167-9473(02)00225-6). It differs from the log-rank z only in the estimate of the variance. The permutation
    p-value is (1 + count) / (1 + permutations).
    """
    times, events, values = np.asarray(time, float), np.asarray(event, bool), np.asarray(marker, float)
    known = ~np.isnan(values)
    n_missing = int((~known).sum())
    times, events, values = times[known], events[known], values[known]
    if len(values) < _LEAST_PATIENTS or not events.any():
        raise ParameterError(
            f"a cut cannot be searched in {len(values)} patients with {events.sum()} events; it needs {_LEAST_PATIENTS} "
            "patients with a marker and an event; use the fixed cut"
        )
    candidates = candidate_cuts(values, quantiles)
    scores = log_rank_scores(times, events)
    chosen, z = best_cut(scores, values, candidates)
    null = _null_maxima(scores, values, candidates, permutations, rng)
    statistic = float(np.abs(z).max())
    low = values <= chosen
    direction = float(np.sign(z[np.argmax(np.abs(z))])) or 1.0
    bags = _bootstrap(times, events, values, quantiles, bootstraps, rng, level, direction)
    alone = np.empty((len(values), 0))
    return SearchedCut(
        cut=chosen,
        quantile=float(low.mean()),
        statistic=statistic,
        permutation_p=_p_value(null, statistic),
        naive_p=log_rank(times, events, np.where(low, "low", "high")).p_value,
        critical_z=float(np.quantile(null, 0.95)),
        naive_effect=effect(times, events, low.astype(float), "low", alone, (), level=level),
        bootstraps=bootstraps,
        candidates=candidates,
        z=z,
        n=len(values),
        n_missing=n_missing,
        permutations=permutations,
        level=level,
        **bags,  # type: ignore[arg-type]
    )


def candidate_cuts(marker: np.ndarray, quantiles: tuple[float, float] = (0.10, 0.90)) -> np.ndarray:
    """Give the values of the marker (m,) at its quantiles in steps of 0.01, each once, that leave someone above.

    Raises
    ------
    ParameterError
        If the quantiles are out of order or the marker does not take two values within them.
    """
    low, high = quantiles
    if not 0 < low < high < 1:
        raise ParameterError(f"the quantiles of a search lie between 0 and 1 in order, not {quantiles}")
    steps = np.linspace(low, high, round((high - low) / 0.01) + 1)
    rank = np.ceil(np.round(steps * len(marker), 9)).astype(np.int64)  # rounded: 0.29 * 100 is a little more than 29
    cuts = np.unique(np.sort(marker)[rank - 1])
    cuts = cuts[cuts < marker.max()]
    if not len(cuts):
        raise ParameterError("the marker takes one value only (or nearly): there is no cut to search")
    return cuts


def best_cut(scores: np.ndarray, marker: np.ndarray, candidates: np.ndarray) -> tuple[float, np.ndarray]:
    """Find the candidate with the largest |z|.

    Parameters
    ----------
    scores
        (n,) log-rank scores.
    marker
        (n,) values.
    candidates
        (m,) cuts.

    Returns
    -------
    cut : float
        The smallest candidate that reaches the largest |z|.
    z : numpy.ndarray
        (m,) signed statistics.
    """
    order = np.argsort(marker, kind="stable")
    z = _z(scores[order][None, :], np.searchsorted(marker[order], candidates, side="right"))[0]
    return float(candidates[np.argmax(np.abs(z))]), z


def permutation_p(
    time: ArrayLike,
    event: ArrayLike,
    marker: ArrayLike,
    rng: np.random.Generator,
    *,
    quantiles: tuple[float, float] = (0.10, 0.90),
    permutations: int = 1000,
) -> float:
    """Give only the permutation p-value of `searched_cut`; times, events and marker without missing values."""
    values = np.asarray(marker, float)
    scores = log_rank_scores(time, event)
    candidates = candidate_cuts(values, quantiles)
    statistic = float(np.abs(best_cut(scores, values, candidates)[1]).max())
    return _p_value(_null_maxima(scores, values, candidates, permutations, rng), statistic)


def _z(scores: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Standardise the sums (b, m) of the first `sizes` of scores (b, n) in the order of the marker."""
    n = scores.shape[1]
    sums = np.cumsum(scores, axis=1)[:, sizes - 1]
    # The scores add up to 0, so that their sum over a random group of m has this variance and the mean 0.
    variance = sizes * (n - sizes) / (n * (n - 1)) * (scores[0] ** 2).sum()
    return np.asarray(sums / np.sqrt(variance))


def _null_maxima(
    scores: np.ndarray, marker: np.ndarray, candidates: np.ndarray, permutations: int, rng: np.random.Generator
) -> np.ndarray:
    sizes = np.searchsorted(np.sort(marker), candidates, side="right")
    out = np.empty(permutations)
    step = max(1, _BLOCK_CELLS // len(scores))
    for begin in range(0, permutations, step):
        block = np.broadcast_to(scores, (min(step, permutations - begin), len(scores)))
        # Permuting the marker against the outcomes is permuting the scores against the order of the marker.
        out[begin : begin + len(block)] = np.abs(_z(rng.permuted(block, axis=1), sizes)).max(axis=1)
    return out


def _p_value(null: np.ndarray, statistic: float) -> float:
    return float((1 + (null >= statistic - 1e-9).sum()) / (1 + len(null)))


def _bootstrap(
    time: np.ndarray,
    event: np.ndarray,
    marker: np.ndarray,
    quantiles: tuple[float, float],
    bootstraps: int,
    rng: np.random.Generator,
    level: float,
    direction: float,
) -> dict[str, float | int]:
    n = len(marker)
    cuts: list[float] = []
    ratios: list[float] = []
    for _ in range(bootstraps):
        bag = rng.integers(0, n, n)
        if not event[bag].any() or np.ptp(marker[bag]) == 0:
            continue
        cut, z = best_cut(log_rank_scores(time[bag], event[bag]), marker[bag], candidate_cuts(marker[bag], quantiles))
        cuts.append(cut)
        out = np.ones(n, dtype=bool)
        out[bag] = False
        low = (marker[out] <= cut).astype(float)
        ratio = effect(time[out], event[out], low, "low", np.empty((int(out.sum()), 0)), (), level=level)
        if not np.isnan(ratio.hazard_ratio):
            # Turned so that a sample that found the opposite counts against the cut: by the side alone, the patients who made
            # the whole cohort choose this direction would confirm it.
            turned = direction * float(np.sign(z[np.argmax(np.abs(z))]))
            ratios.append(ratio.hazard_ratio**turned)
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    cut_limits = np.quantile(cuts, tails) if cuts else np.full(3, np.nan)
    ratio_limits = np.quantile(ratios, tails) if ratios else np.full(3, np.nan)
    return {
        "cut_lower": float(cut_limits[0]),
        "cut_upper": float(cut_limits[2]),
        "quantile_lower": float((marker <= cut_limits[0]).mean()) if cuts else np.nan,
        "quantile_upper": float((marker <= cut_limits[2]).mean()) if cuts else np.nan,
        "out_of_bag_ratio": float(ratio_limits[1]),
        "out_of_bag_lower": float(ratio_limits[0]),
        "out_of_bag_upper": float(ratio_limits[2]),
        "failed": bootstraps - len(ratios),
    }
