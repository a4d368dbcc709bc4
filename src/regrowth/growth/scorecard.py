"""Which model is better than which baseline, by which measure, in which patients.

A score card takes one value per patient, model and measure, and gives for every stratum the mean and median with intervals,
and for every model and baseline the difference over the same patients with an interval and a verdict in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import InputError
from regrowth.growth.case_scores import MEASURES, CaseScore
from regrowth.growth.estimate import Estimate, bootstrap_interval, share_interval, signed_rank_p

__all__ = ["STRATA", "Comparison", "ScoreCard", "Summary", "score_card"]

STRATA = ("all", "growing", "stable", "shrinking", "unknown")


@dataclass(frozen=True)
class Summary:
    """A model's values in a stratum. `n_missing` counts patients of the stratum without a value."""

    model: str
    measure: str
    stratum: str
    n: int
    n_missing: int
    mean: Estimate
    median: Estimate


@dataclass(frozen=True)
class Comparison:
    """A model against a baseline over the patients where both have a value.

    `difference` is model minus baseline by the centre of the measure; `outcome` says it in a few words and `verdict` in full.
    `n_only_one` counts patients that only one of both has a value for: a model must not win by failing where it is hard.
    """

    model: str
    baseline: str
    measure: str
    stratum: str
    difference: Estimate
    p_signed_rank: float
    n_better: int
    n_worse: int
    n_tied: int
    n_only_one: int
    outcome: str
    verdict: str


@dataclass(frozen=True)
class ScoreCard:
    """Summaries and comparisons, with rows for tables."""

    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]

    def verdicts(self) -> tuple[str, ...]:
        """Every comparison in words."""
        return tuple(c.verdict for c in self.comparisons)

    def summary_rows(self) -> list[dict[str, object]]:
        """Rows of one table: model, measure, stratum, n, n_missing, mean and median with their intervals."""
        return [
            {"model": s.model, "measure": s.measure, "stratum": s.stratum, "n": s.n, "n_missing": s.n_missing}
            | {f"mean{end}": v for end, v in _interval(s.mean)}
            | {f"median{end}": v for end, v in _interval(s.median)}
            for s in self.summaries
        ]

    def comparison_rows(self) -> list[dict[str, object]]:
        """Rows of the other: model, baseline, measure, stratum, n, difference with interval, counts, p, verdict."""
        return [
            {"model": c.model, "baseline": c.baseline, "measure": c.measure, "stratum": c.stratum, "n": c.difference.n}
            | {"n_only_one": c.n_only_one, "centre": c.difference.method}
            | {f"difference{end}": v for end, v in _interval(c.difference)}
            | {"n_better": c.n_better, "n_worse": c.n_worse, "n_tied": c.n_tied}
            | {"p_signed_rank": c.p_signed_rank, "outcome": c.outcome, "verdict": c.verdict}
            for c in self.comparisons
        ]


def score_card(
    scores: Sequence[CaseScore], baselines: Sequence[str], rng: np.random.Generator, level: float = 0.95
) -> ScoreCard:
    """Put every model beside its baselines.

    Parameters
    ----------
    scores
        One per patient, model and measure.
    baselines
        Names of the models that are baselines, such as ``("persistence", "log-linear", "uniform dilation", "15 mm margin")``.
        They are compared with each other as well, since a baseline is only as good as the best of them.
    rng
        For the bootstrap over patients.
    level
        Level of the intervals. They are not corrected for the number of comparisons.

    Raises
    ------
    InputError
        If a patient has two values for the same model and measure, two strata, an unknown measure, or a baseline no value.
    """
    table = _table(scores)
    models = list(dict.fromkeys(s.model for s in scores))
    absent = [b for b in baselines if b not in models]
    if absent:
        raise InputError(f"no score names the baseline(s) {', '.join(absent)}; the models are {', '.join(models) or 'none'}")
    stratum_of = {s.patient: s.stratum for s in scores}
    summaries, comparisons = [], []
    for measure in dict.fromkeys(s.measure for s in scores):
        for stratum in STRATA:
            patients = [p for p, own in stratum_of.items() if stratum in ("all", own)]
            by_model = {m: np.array([table.get((p, m, measure), np.nan) for p in patients]) for m in models}
            by_model = {m: v for m, v in by_model.items() if any((p, m, measure) in table for p in stratum_of)}
            if not patients:
                continue
            summaries += [_summary(m, measure, stratum, v, rng, level) for m, v in by_model.items()]
            if MEASURES[measure].centre != "share":
                pairs = [(m, b) for b in baselines for m in models if m != b and m in by_model and b in by_model]
                comparisons += [_comparison(m, b, measure, stratum, by_model[m], by_model[b], rng, level) for m, b in pairs]
    return ScoreCard(tuple(summaries), tuple(comparisons))


def _table(scores: Sequence[CaseScore]) -> dict[tuple[str, str, str], float]:
    table: dict[tuple[str, str, str], float] = {}
    strata: dict[str, str] = {}
    for s in scores:
        if s.measure not in MEASURES:
            raise InputError(f"no measure is called {s.measure!r}; known are {', '.join(MEASURES)}")
        if (s.patient, s.model, s.measure) in table:
            raise InputError(
                f"patient {s.patient} has two values of {s.measure} for {s.model}; give each forecast its own name"
            )
        if strata.setdefault(s.patient, s.stratum) != s.stratum:
            raise InputError(
                f"patient {s.patient} is {strata[s.patient]} in one score and {s.stratum} in another; "
                "pass the same reference and observation to all of them"
            )
        table[s.patient, s.model, s.measure] = s.value
    return table


def _summary(model: str, measure: str, stratum: str, values: np.ndarray, rng: np.random.Generator, level: float) -> Summary:
    known = values[~np.isnan(values)]
    if MEASURES[measure].centre == "share":
        mean = share_interval(known.astype(bool), level)
        median = Estimate(np.nan, np.nan, np.nan, known.size, level, "median", "a share has no median")
    else:
        mean, median = bootstrap_interval(known, rng, "mean", level), bootstrap_interval(known, rng, "median", level)
    return Summary(model, measure, stratum, known.size, values.size - known.size, mean, median)


def _comparison(
    model: str,
    baseline: str,
    measure: str,
    stratum: str,
    ours: np.ndarray,
    theirs: np.ndarray,
    rng: np.random.Generator,
    level: float,
) -> Comparison:
    rule = MEASURES[measure]
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    only_one = int((np.isnan(ours) ^ np.isnan(theirs)).sum())
    difference = ours[both] - theirs[both]
    found = bootstrap_interval(difference, rng, "median" if rule.centre == "median" else "mean", level)
    p = signed_rank_p(difference)
    verdict = found.verdict(f"{model} against {baseline}, {rule.label}, {stratum}", rule.higher_is_better, p)
    if only_one:
        verdict += f"; {only_one} patient(s) with a value for only one of both are left out"
    up, down = int((difference > 0).sum()), int((difference < 0).sum())
    better, worse = (up, down) if rule.higher_is_better else (down, up)
    tied = int((difference == 0).sum())
    return Comparison(
        model,
        baseline,
        measure,
        stratum,
        found,
        p,
        better,
        worse,
        tied,
        only_one,
        found.outcome(rule.higher_is_better),
        verdict,
    )


def _interval(estimate: Estimate) -> tuple[tuple[str, float], ...]:
    return ("", estimate.value), ("_low", estimate.low), ("_high", estimate.high)
