"""How the analysis of a cohort becomes tables, one row per line of a TSV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from regrowth.statistics.association import benjamini_hochberg, holm
from regrowth.statistics.clinical import LEVELS
from regrowth.statistics.competing import CumulativeIncidence
from regrowth.statistics.cutpoint import PUBLISHED_CUT, Effect
from regrowth.statistics.parts import GroupedSurvival
from regrowth.statistics.survival import KaplanMeier

if TYPE_CHECKING:
    from regrowth.statistics.analysis import CohortAnalysis

__all__ = ["analysis_tables"]

Rows = list[dict[str, object]]


def analysis_tables(analysis: CohortAnalysis) -> dict[str, Rows]:
    """Give the tables that are not empty, in the order of a paper."""
    tables: dict[str, Rows] = {
        "table1": [dict(row) for row in analysis.table_one],
        "table1_by_mgmt": [dict(row) for row in analysis.table_one_by_mgmt],
        "missing": _missing(analysis),
        **_curves(analysis),
        **_cox(analysis),
        **_cut(analysis),
        **_interaction(analysis),
        "cumulative_incidence": _incidence(analysis),
        **_transitions(analysis),
        "migration": _migration(analysis),
        **_after(analysis),
        "parts": _parts(analysis),
        "notes": [{"note": note} for note in analysis.notes],
    }
    return {name: rows for name, rows in tables.items() if rows}


def _missing(analysis: CohortAnalysis) -> Rows:
    table = analysis.table
    names = [*table.numbers, *(n for n in LEVELS if n in table.levels)]
    rows: Rows = [
        {"variable": n, "known": int((~table.missing(n)).sum()), "missing": int(table.missing(n).sum()), "reason": ""}
        for n in names
    ]
    reasons = [reason for reason in table.ratio_reasons if reason]
    rows += [
        {"variable": "ratio_CE_core_NE", "known": None, "missing": reasons.count(reason), "reason": reason}
        for reason in dict.fromkeys(reasons)
    ]
    return rows


def _comparisons(analysis: CohortAnalysis) -> dict[str, GroupedSurvival]:
    parts = {"all": analysis.overall, "mgmt": analysis.by_mgmt, "location_primary": analysis.by_location}
    found = {name: part for name, part in parts.items() if part is not None}
    if analysis.cut is not None:
        cut = analysis.cut
        found["ratio_cut"] = GroupedSurvival("ratio_cut", cut.curves, cut.log_rank, cut.n_missing)
    return found


def _curves(analysis: CohortAnalysis) -> dict[str, Rows]:
    steps: Rows = []
    medians: Rows = []
    tests: Rows = []
    p_values: list[float] = []
    for name, part in _comparisons(analysis).items():
        for group, curve in part.curves.items():
            place = {"endpoint": analysis.parameters.endpoint, "comparison": name, "group": group}
            steps += [place | step for step in _steps(curve)]
            medians.append(place | _median(curve))
        test = part.log_rank
        if test is not None:
            p_values.append(test.p_value)
            tests.append(
                {
                    "endpoint": analysis.parameters.endpoint,
                    "comparison": name,
                    "groups": ", ".join(test.groups),
                    "n": int(test.n.sum()),
                    "events": int(test.observed.sum()),
                    "missing": part.n_missing,
                    "statistic": test.statistic,
                    "degrees_of_freedom": test.degrees_of_freedom,
                    "p_value": test.p_value,
                }
            )
    for row, first, second in zip(tests, holm(p_values), benjamini_hochberg(p_values), strict=True):
        row |= {"p_holm": float(first), "p_benjamini_hochberg": float(second)}
    return {"survival": medians, "log_rank": tests, "kaplan_meier": steps}


def _steps(curve: KaplanMeier) -> Rows:
    columns = {
        "time_days": curve.times,
        "survival": curve.survival,
        "lower": curve.lower,
        "upper": curve.upper,
        "at_risk": curve.at_risk,
        "events": curve.events,
        "censored": curve.censored,
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*(c.tolist() for c in columns.values()), strict=True)]


def _median(curve: KaplanMeier) -> dict[str, object]:
    return {
        "n": curve.n,
        "events": curve.n_events,
        "median_days": curve.median,
        "lower": curve.median_lower,
        "upper": curve.median_upper,
        "reached": "yes" if math.isfinite(curve.median) else "no",
    }


def _cox(analysis: CohortAnalysis) -> dict[str, Rows]:
    model = analysis.cox
    if model is None:
        return {}
    fit, level = model.fit, analysis.parameters.level
    counts = {"n": fit.n, "events": fit.n_events}
    tests = {str(row["covariate"]): row for row in model.proportional_hazards}
    rows: Rows = [dict(row) | counts for row in model.rows]
    checks: Rows = [
        {
            "covariate": name,
            "statistic": tests[name]["statistic"],
            "degrees_of_freedom": tests[name]["degrees_of_freedom"],
            "p_value": tests[name]["p_value"],
            "variance_inflation": model.variance_inflation.get(name),
        }
        for name in tests
    ]
    summary: dict[str, object] = {
        "endpoint": analysis.parameters.endpoint,
        **counts,
        "incomplete": model.n_incomplete,
        "covariates": len(fit.names),
        "events_per_variable": model.events_per_variable.value,
        "penalty": fit.penalty,
        "penalty_strength": fit.strength,
        "log_likelihood": fit.log_likelihood,
        "null_log_likelihood": fit.null_log_likelihood,
        "likelihood_ratio_p": fit.likelihood_ratio_p,
        "harrell_c": model.concordance.apparent,
        "optimism": model.concordance.optimism,
        "harrell_c_corrected": model.concordance.corrected,
        "uno_c": model.uno_c,
        "bootstraps": model.concordance.repeats,
        "failed": model.concordance.failed,
        "warning": model.events_per_variable.message,
    }
    out = {"cox": rows, "cox_checks": checks, "cox_model": [summary]}
    if model.pooled is not None:
        pooled = {"n": model.pooled.n, "events": model.pooled.n_events, "copies": model.pooled.copies}
        out["cox_imputed"] = [row | pooled for row in model.pooled.as_rows(level)]
    return out


def _effect(effect: Effect, model: str) -> dict[str, object]:
    row = asdict(effect) | {"model": model, "adjusted_for": ", ".join(effect.adjusted_for)}
    return {("covariate" if k == "name" else "events" if k == "n_events" else k): v for k, v in row.items()}


def _cut(analysis: CohortAnalysis) -> dict[str, Rows]:
    out: dict[str, Rows] = {}
    if (fixed := analysis.cut) is not None:
        named = {
            "at most the cut, crude": fixed.crude,
            "at most the cut, adjusted": fixed.adjusted,
            "log ratio, crude": fixed.continuous_crude,
            "log ratio, adjusted": fixed.continuous_adjusted,
        }
        rows = [_effect(effect, model) for model, effect in named.items()]
        published = PUBLISHED_CUT
        reported = {"p_value": published.p_value, "n": published.n, "events": None, "adjusted_for": "see source", "reason": ""}
        limits = {"hazard_ratio": published.hazard_ratio, "lower": published.lower, "upper": published.upper}
        ours = {"cut": fixed.cut, "endpoint": analysis.parameters.endpoint, "non_linear_p": None, "source": "this cohort"}
        rows = [row | ours for row in rows]
        theirs = {"cut": published.value, "endpoint": published.endpoint, "non_linear_p": None, "source": published.source}
        rows.append({"covariate": "low", **limits, **reported, "model": "published", **theirs})
        rows[2]["non_linear_p"] = fixed.non_linear_p
        out["cut"] = rows
    if (found := analysis.searched) is not None:
        skipped = {"naive_effect", "candidates", "z"}
        values = {k: getattr(found, k) for k in found.__dataclass_fields__ if k not in skipped}
        naive = found.naive_effect
        values |= {"naive_hazard_ratio": naive.hazard_ratio, "naive_lower": naive.lower, "naive_upper": naive.upper}
        out["searched_cut"] = [values]
        out["searched_cut_candidates"] = [
            {"cut": c, "z": z} for c, z in zip(found.candidates.tolist(), found.z.tolist(), strict=True)
        ]
    return out


def _interaction(analysis: CohortAnalysis) -> dict[str, Rows]:
    found = analysis.interaction
    if found is None:
        return {}
    rows: Rows = [dict(row) | {"extrapolated": "yes" if row["age"] in found.outside else "no"} for row in found.at_ages]
    counts = {"n": found.fit.n, "events": found.fit.n_events}
    model: Rows = [dict(row) | counts | {"likelihood_ratio_p": None} for row in found.rows]
    for row in model:
        if row["covariate"] == "mgmt_by_age" and found.test is not None:
            row["likelihood_ratio_p"] = found.test.p_value
    return {"interaction": rows, "interaction_model": model}


def _incidence(analysis: CohortAnalysis) -> Rows:
    found = analysis.competing
    if found is None:
        return []
    named: Mapping[str, CumulativeIncidence] = {"recurrence": found.recurrence, "death without recurrence": found.death}
    return [
        {"cause": cause, "time_days": t, "incidence": i, "lower": lo, "upper": up, "at_risk": r, "events": e}
        for cause, curve in named.items()
        for t, i, lo, up, r, e in zip(
            curve.times.tolist(),
            curve.incidence.tolist(),
            curve.lower.tolist(),
            curve.upper.tolist(),
            curve.at_risk.tolist(),
            curve.events.tolist(),
            strict=True,
        )
    ]


def _transitions(analysis: CohortAnalysis) -> dict[str, Rows]:
    found = analysis.transitions
    if found is None:
        return {}
    flips = {str(row["primary"]): row for row in found.flips}
    keys = ("flipped_median", "flipped_lower", "flipped_upper")
    sites = [row | {k: flips[str(row["primary"])][k] for k in keys} for row in found.matrix.new_site_rows() if row["total"]]
    tests: Rows = [
        {
            "test": "agreement against chance",
            "n": found.agreement.n,
            "stays": found.agreement.stays,
            "expected": found.agreement.expected,
            "kappa": found.agreement.kappa,
            "statistic": None,
            "degrees_of_freedom": None,
            "p_value": found.agreement.p_value,
        },
        {
            "test": "symmetry (Bowker)",
            "n": found.matrix.n,
            "statistic": found.symmetry.statistic,
            "degrees_of_freedom": found.symmetry.degrees_of_freedom,
            "p_value": found.symmetry.p_value,
        },
    ]
    return {"transitions": found.matrix.as_rows(), "new_site": sites, "transition_tests": tests}


def _migration(analysis: CohortAnalysis) -> Rows:
    found = analysis.migration
    if found is None:
        return []
    rho, fit = found.correlation, found.fit
    return [
        {
            "measure": "Spearman correlation of distance and time",
            **{"estimate": rho.rho, "lower": rho.lower, "upper": rho.upper, "p_value": rho.p_value, "n": rho.n, "zeros": 0},
            "reason": rho.reason,
        },
        {
            "measure": "slope of log distance on log time",
            **{"estimate": fit.slope, "lower": fit.lower, "upper": fit.upper, "p_value": fit.p_value, "n": fit.n},
            "zeros": fit.zeros,
            "reason": fit.reason,
        },
    ]


def _after(analysis: CohortAnalysis) -> dict[str, Rows]:
    found = analysis.after_recurrence
    if found is None:
        return {}
    curves = {("all", "all"): found.overall.curves["all"]}
    test = None
    if found.by_pattern is not None:
        curves |= {("pattern", group): curve for group, curve in found.by_pattern.curves.items()}
        test = found.by_pattern.log_rank
    rows: Rows = [
        {"comparison": comparison, "group": group, **_median(curve), "log_rank_p": None}
        for (comparison, group), curve in curves.items()
    ]
    for row in rows:
        if row["comparison"] == "pattern" and test is not None:
            row["log_rank_p"] = test.p_value
    effects = [_effect(found.migration, "crude"), _effect(found.migration_adjusted, "adjusted for the time to recurrence")]
    return {"after_recurrence": rows, "after_recurrence_migration": effects}


def _parts(analysis: CohortAnalysis) -> Rows:
    from regrowth.statistics.analysis import PARTS

    return [
        {
            "part": part,
            "content": text,
            "status": "absent" if part in analysis.reasons else "done",
            "reason": analysis.reasons.get(part, ""),
        }
        for part, text in PARTS.items()
    ]
