"""How fast the survival statistics are beside lifelines, and how far apart the two are on the same data.

    python benchmarks/bench_survival.py [--repeats 7]

Simulated cohorts from the model of the phantom (known hazard ratios): 195 patients in whole days, and 500 patients in whole
months, whose times are tied. CPU time is that of the whole process, all threads added up, the median of the repeats;
lifelines is given its data frames ready. The last table is of what lifelines does not have.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import logrank_test, proportional_hazard_test
from lifelines.utils import concordance_index

from regrowth.phantom import SurvivalModel
from regrowth.statistics import (
    cox,
    cumulative_incidence,
    harrell_c,
    kaplan_meier,
    log_rank,
    log_rank_many,
    optimism_corrected_c,
    proportional_hazards_test,
)

PRECISE = {"precision": 1e-14, "r_precision": 1e-15}


@dataclass(frozen=True)
class Cohort:
    """A simulated cohort, its parts as arrays and all of it as the frame that lifelines wants."""

    time: np.ndarray
    event: np.ndarray
    x: np.ndarray
    names: list[str]
    frame: pd.DataFrame


def cohort(n: int, p: int, unit_days: float, rng: np.random.Generator) -> Cohort:
    """Draw survival that depends on the first four of p covariates, times rounded up to whole units."""
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 2, (n, 2)), rng.normal(-1, 0.7, n), rng.normal(size=(n, p - 4))])
    drawn = SurvivalModel().outcomes(x[:, :4], rng)
    times = np.ceil(drawn.os_days / unit_days)
    names = [f"x{i}" for i in range(p)]
    frame = pd.DataFrame(x, columns=names).assign(t=times, e=drawn.os_event)
    return Cohort(times, drawn.os_event, x, names, frame)


def cpu_ms(function: Callable[[], object], repeats: int) -> float:
    """Give the CPU time of one call, the median of the repeats, each of enough calls to last 20 ms."""
    begin = time.process_time()
    function()
    calls = max(1, int(0.02 / max(time.process_time() - begin, 1e-6)))
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        for _ in range(calls):
            function()
        taken.append((time.process_time() - begin) / calls)
    return 1000 * statistics.median(taken)


Pair = tuple[str, Callable[[], object], Callable[[], object], Callable[[], float]]


def curves(c: Cohort) -> list[Pair]:
    group = c.x[:, 1] > 0
    cuts = c.x[:, 3] <= np.quantile(c.x[:, 3], np.linspace(0.1, 0.9, 81))[:, None]

    def split(g: np.ndarray) -> float:
        return logrank_test(c.time[g], c.time[~g], c.event[g], c.event[~g]).test_statistic

    def curve_gap() -> float:
        theirs = KaplanMeierFitter().fit(c.time, c.event).survival_function_.to_numpy()[:, 0]
        return float(np.abs(kaplan_meier(c.time, c.event).survival - theirs).max())

    return [
        (
            "Kaplan-Meier with interval",
            lambda: kaplan_meier(c.time, c.event),
            lambda: KaplanMeierFitter().fit(c.time, c.event),
            curve_gap,
        ),
        (
            "log-rank",
            lambda: log_rank(c.time, c.event, group),
            lambda: split(group),
            lambda: abs(log_rank(c.time, c.event, group).statistic - split(group)),
        ),
        (
            "log-rank at 81 cuts",
            lambda: log_rank_many(c.time, c.event, cuts),
            lambda: [split(g) for g in cuts],
            lambda: float(np.abs(log_rank_many(c.time, c.event, cuts) ** 2 - [split(g) for g in cuts]).max()),
        ),
    ]


def regressions(c: Cohort) -> list[Pair]:
    fit, theirs = cox(c.time, c.event, c.x, c.names), CoxPHFitter().fit(c.frame, "t", "e", fit_options=PRECISE)
    risk = fit.linear_predictor(c.x)
    strength = 0.1 * len(c.time)

    def ridge_gap() -> float:
        ours = cox(c.time, c.event, c.x, c.names, penalty="ridge", strength=strength).coefficients
        return float(np.abs(ours - CoxPHFitter(penalizer=0.1).fit(c.frame, "t", "e", fit_options=PRECISE).params_).max())

    def slope_gap() -> float:
        ours = [row["statistic"] for row in proportional_hazards_test(fit, c.time, c.event, c.x, transform="log")[:-1]]
        return float(np.abs(ours - proportional_hazard_test(theirs, c.frame, "log").test_statistic).max())

    return [
        (
            "Cox",
            lambda: cox(c.time, c.event, c.x, c.names),
            lambda: CoxPHFitter().fit(c.frame, "t", "e"),
            lambda: float(np.abs(fit.coefficients - theirs.params_).max()),
        ),
        (
            "Cox with ridge",
            lambda: cox(c.time, c.event, c.x, c.names, penalty="ridge", strength=strength),
            lambda: CoxPHFitter(penalizer=0.1).fit(c.frame, "t", "e"),
            ridge_gap,
        ),
        (
            "proportional hazards test",
            lambda: proportional_hazards_test(fit, c.time, c.event, c.x),
            lambda: proportional_hazard_test(theirs, c.frame, "km"),
            slope_gap,
        ),
        (
            "Harrell's C",
            lambda: harrell_c(c.time, c.event, risk),
            lambda: concordance_index(c.time, -risk, c.event),
            lambda: abs(harrell_c(c.time, c.event, risk) - concordance_index(c.time, -risk, c.event)),
        ),
    ]


def competing(rng: np.random.Generator) -> Pair:
    times, cause = rng.exponential(size=195), rng.integers(0, 3, 195)  # no ties: with them lifelines moves times at random
    return (
        "cumulative incidence, no ties",
        lambda: cumulative_incidence(times, cause, 1),
        lambda: AalenJohansenFitter().fit(times, cause, 1),
        lambda: float(
            np.abs(
                cumulative_incidence(times, cause, 1).incidence
                - AalenJohansenFitter().fit(times, cause, 1).cumulative_density_.to_numpy()[:, 0]
            ).max()
        ),
    )


def alone(c: Cohort, repeats: int) -> None:
    splits = np.random.default_rng(1).random((81_000, len(c.time))) < 0.4
    rows: list[tuple[str, Callable[[], object]]] = [
        ("Cox with Firth's penalty", lambda: cox(c.time, c.event, c.x, c.names, penalty="firth")),
        ("the same with profile intervals and p-values", lambda: cox(c.time, c.event, c.x, c.names, penalty="firth").as_rows()),
        (
            "C corrected for optimism, 200 resamples",
            lambda: optimism_corrected_c(c.time, c.event, c.x, c.names, np.random.default_rng(1)),
        ),
        ("81 cuts x 1000 permutations, log-rank", lambda: log_rank_many(c.time, c.event, splits)),
    ]
    print("\n| alone | CPU ms |\n|---|---|")
    for name, function in rows:
        print(f"| {name} | {cpu_ms(function, repeats):.3g} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    small, large = cohort(195, 5, 1.0, rng), cohort(500, 10, 30.4375, rng)
    for title, c, more in (("195 patients, 5 covariates, days", small, [competing(rng)]), ("500, 10, months", large, [])):
        print(f"\n| {title} | regrowth CPU ms | lifelines CPU ms | ratio | largest difference |\n|---|---|---|---|---|")
        for name, ours, theirs, gap in [*curves(c), *regressions(c), *more]:
            a, b = cpu_ms(ours, repeats), cpu_ms(theirs, repeats)
            print(f"| {name} | {a:.3g} | {b:.3g} | {b / a:.0f} | {gap():.1e} |")
    alone(small, repeats)


if __name__ == "__main__":
    main()
