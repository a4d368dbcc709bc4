"""What searching a cut does to a p-value and to a hazard ratio: the permutation test beside the naive search.

    python benchmarks/bench_cutpoint.py [--cohorts 1000]

Cohorts of 195 patients as in Hannisdal et al. 2025; the marker is log-normal, the survival Weibull, 30 % are censored.
"""

from __future__ import annotations

import argparse

import numpy as np

from regrowth.statistics.proportion import wilson_interval
from regrowth.statistics.search import candidate_cuts, permutation_p, searched_cut
from regrowth.statistics.survival import log_rank_many

PATIENTS = 195


def cohort(rng: np.random.Generator, log_hazard_ratio: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw days, deaths and marker; patients at or below the median of the marker live longer by the hazard ratio."""
    marker = np.exp(rng.normal(np.log(0.5), 0.8, PATIENTS))
    low = marker <= np.median(marker)
    death = 560 * (rng.exponential(size=PATIENTS) * np.exp(-log_hazard_ratio * low)) ** (1 / 1.4)
    censored = np.minimum(rng.exponential(2500, PATIENTS), 1825)
    return np.ceil(np.minimum(death, censored)), death <= censored, marker


def rejections(cohorts: int) -> None:
    """Print how often each way finds an effect where there is none."""
    rng = np.random.default_rng(2026)
    honest = naive = 0
    for _ in range(cohorts):
        time, event, marker = cohort(rng, 0.0)
        honest += permutation_p(time, event, marker, rng, permutations=399) <= 0.05
        cuts = candidate_cuts(marker)
        naive += np.nanmax(np.abs(log_rank_many(time, event, marker[None] <= cuts[:, None]))) > 1.959964
    print(f"\n{cohorts} cohorts of {PATIENTS} without an effect\n\n| test | p <= 0.05 | 95 % interval |\n|---|---|---|")
    for name, count in (("best cut, permutation test", honest), ("best cut, its own log-rank p (naive)", naive)):
        low, high = wilson_interval(int(count), cohorts)
        print(f"| {name} | {100 * count / cohorts:.1f} % | {100 * low:.1f} to {100 * high:.1f} |")


def hazard_ratios(cohorts: int) -> None:
    """Print the hazard ratio at the searched cut, in the patients of the search and out of bag."""
    print(f"\nMedian over {cohorts} cohorts\n\n| true hazard ratio | at the searched cut (naive) | out of bag |\n|---|---|---|")
    for true in (1.0, 0.75, 0.56):
        rng = np.random.default_rng(7)
        found = [searched_cut(*cohort(rng, np.log(true)), rng, permutations=99, bootstraps=50) for _ in range(cohorts)]
        # Without an effect either side may seem the better one: the larger ratio is turned.
        naive = [min(f.naive_effect.hazard_ratio, 1 / f.naive_effect.hazard_ratio) for f in found]
        honest = [f.out_of_bag_ratio if f.naive_effect.hazard_ratio < 1 else 1 / f.out_of_bag_ratio for f in found]
        print(f"| {true:g} | {np.nanmedian(naive):.2f} | {np.nanmedian(honest):.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=1000)
    asked = parser.parse_args().cohorts
    rejections(asked)
    hazard_ratios(max(asked // 10, 10))
