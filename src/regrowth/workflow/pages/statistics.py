"""What the pages say about a cohort's statistics: sections from an analysis, one per question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regrowth.report import Column, Figure, Missing, Section, Table, Value
from regrowth.report.figures.association import cut_figure, scatter_figure
from regrowth.report.figures.effects import ForestRow, forest_figure, interaction_figure
from regrowth.report.figures.survival import MOST_GROUPS, incidence_figure, survival_figure
from regrowth.report.figures.transitions import flow_figure, stay_figure, transition_figure
from regrowth.statistics.analysis import PARTS, CohortAnalysis
from regrowth.statistics.cutpoint import PUBLISHED_CUT, Effect
from regrowth.statistics.dictionary import column_entry
from regrowth.statistics.parts import GroupedSurvival
from regrowth.statistics.survival import KaplanMeier

__all__ = ["statistics_sections"]

Rows = Sequence[Mapping[str, object]]

_ENDPOINTS = {"os": "overall survival", "ttp": "time to progression"}
_WORDS = {
    "age_per_10y": "age, per 10 years",
    "sex_M": "male against female",
    "mgmt_methylated": "MGMT methylated against unmethylated",
    "idh_mutant": "IDH mutant against wild type",
    "eor_GTR": "gross total against subtotal resection",
    "eor_biopsy": "biopsy against subtotal resection",
    "log_ratio": "CE core/NE, per unit of ln",
    "low": "ratio at most the cut against above",
    "migration_per_10mm": "migration, per 10 mm",
    "mgmt": "MGMT",
    "location_primary": "location of the primary",
    "ratio_cut": "ratio, at the fixed cut",
    "GLOBAL": "all together",
}
_SIDES = {"os": ("longer survival", "shorter survival"), "ttp": ("later progression", "earlier progression")}


def statistics_sections(analysis: CohortAnalysis, *, synthetic: bool = False) -> tuple[Section, ...]:
    """Lay out an analysis; a part that is absent stands there with the reason.

    Parameters
    ----------
    analysis
        What `regrowth.statistics.analysis.analyse` gave.
    synthetic
        Whether the patients are made up.
    """
    tables = analysis.tables()
    return (
        _patients(analysis, tables),
        _survival(analysis, tables, synthetic),
        _cox(analysis, tables, synthetic),
        _cut(analysis, tables, synthetic),
        _interaction(analysis, tables, synthetic),
        _competing(analysis, synthetic),
        _transitions(analysis, tables, synthetic),
        _migration(analysis, tables, synthetic),
        _after(analysis, tables, synthetic),
    )


def _patients(analysis: CohortAnalysis, tables: Mapping[str, Rows]) -> Section:
    groups = [k for k in (analysis.table_one_by_mgmt or [{}])[0] if k.startswith("mgmt: ")]
    name = "table1_by_mgmt" if groups else "table1"
    columns = {"variable": "variable", "level": "level", "missing": "missing", "overall": "all"}
    columns |= {g: g.replace("mgmt: ", "MGMT ") for g in groups} | ({"p_value": "p"} if groups else {})
    caption = (
        "Median [quartiles] or number (% of the patients with a value). Tests (named in the file) are two-sided, unadjusted."
    )
    text = f"{len(analysis.table)} patients; {_ENDPOINTS[analysis.parameters.endpoint]} is known of {analysis.n_known}, "
    text += f"with {analysis.n_events} events."
    notes = "\n\n".join(_grouped(analysis.notes))
    one = (_table(tables, name, "Table 1", columns, caption, {"p_value": 3}),) if name in tables else ()
    return Section("Patients of the analysis", "table-one", "\n\n".join(filter(None, [text, notes])), tables=one)


def _grouped(notes: Sequence[str]) -> list[str]:
    """Join notes on the same part of the analysis into one paragraph each."""
    out: dict[str, list[str]] = {}
    for note in notes:
        part, colon, rest = note.partition(": ")
        known = bool(colon) and part in PARTS.values()
        out.setdefault(part if known else "", []).append(rest if known else note)
    # A note that begins with the name of a column keeps it as it is written.
    paragraphs = [n if "_" in n.split()[0] else n[0].upper() + n[1:] for n in out.pop("", [])]
    paragraphs += [f"{part[0].upper()}{part[1:]}: {'; '.join(texts)}" for part, texts in out.items()]
    return [p if p.endswith(".") else f"{p}." for p in paragraphs]


def _survival(analysis: CohortAnalysis, tables: Mapping[str, Rows], synthetic: bool) -> Section:
    what = _ENDPOINTS[analysis.parameters.endpoint]
    figures = []
    for part, grouped, words in (
        ("overall", analysis.overall, what.capitalize()),
        ("by_mgmt", analysis.by_mgmt, f"{what.capitalize()} by MGMT status"),
        ("by_location", analysis.by_location, f"{what.capitalize()} by location of the primary"),
    ):
        if grouped is not None:
            figures.append(_curves(grouped, f"survival_{part}", words, what, synthetic))
    if not figures:
        return Section("Survival", "survival", skipped=analysis.reasons.get("overall", "no survival is known"))
    shown = {"comparison": "comparison", "group": "group", "n": "n", "events": "events", "median_days": "median"}
    shown |= {"lower": "lower", "upper": "upper"}
    tests = {"comparison": "comparison", "n": "n", "events": "events", "statistic": "chi²", "degrees_of_freedom": "df"}
    tests |= {"p_value": "p", "p_holm": "p (Holm)"}
    both = [_table(tables, "survival", "Medians", shown, "– where the curve does not reach a half.", default=0)]
    if "log_rank" in tables:
        both.append(_table(tables, "log_rank", "Log-rank tests", tests, "", {"p_value": 3, "p_holm": 3}))
    absent = [f"{p}: {analysis.reasons[p]}." for p in ("by_mgmt", "by_location") if p in analysis.reasons]
    return Section("Survival", "survival", "\n\n".join(absent), tuple(figures), tuple(both))


def _curves(part: GroupedSurvival, name: str, title: str, what: str, synthetic: bool) -> Figure:
    curves: dict[str, KaplanMeier] = dict(sorted(part.curves.items(), key=lambda item: -item[1].n)[:MOST_GROUPS])
    p = part.log_rank.p_value if part.log_rank is not None else None
    return survival_figure(curves, name=name, title=title, quantity=what, log_rank_p=p, synthetic=synthetic)


def _cox(analysis: CohortAnalysis, tables: Mapping[str, Rows], synthetic: bool) -> Section:
    model = analysis.cox
    if model is None:
        return Section("Cox model", "cox", skipped=analysis.reasons["cox"])
    endpoint = analysis.parameters.endpoint
    rows = [_forest(r) for r in tables["cox"]]
    if "cox_imputed" in tables:
        rows += [ForestRow(f"with {tables['cox_imputed'][0]['copies']} imputed copies", heading=True)]
        rows += [_forest(r) for r in tables["cox_imputed"]]
    caption = f"{model.fit.n} complete cases, {model.fit.n_events} events."
    title = f"Hazard ratios, {_ENDPOINTS[endpoint]}"
    figure = forest_figure(rows, name="cox", title=title, sides=_SIDES[endpoint], caption=caption, synthetic=synthetic)
    c = model.concordance
    warning = model.events_per_variable.message
    text = (
        f"{model.fit.n} complete cases with {model.fit.n_events} events, {len(model.fit.names)} covariates, "
        f"{model.events_per_variable.value:.1f} events per covariate{f' ({warning})' if warning else ''}. "
        f"Penalty: {model.fit.penalty}. Harrell's C {c.apparent:.3f}, corrected for optimism {c.corrected:.3f} "
        f"({c.repeats - c.failed} bootstrap samples); Uno's C {model.uno_c:.3f}."
    )
    shown = {"covariate": "covariate", "hazard_ratio": "HR", "lower": "lower", "upper": "upper", "p_value": "p"}
    checks = {"covariate": "covariate", "statistic": "chi²", "p_value": "p", "variance_inflation": "VIF"}
    caption = "Test of proportional hazards by scaled Schoenfeld residuals: a small p speaks against one ratio for all times."
    both = (
        _table(tables, "cox", "Hazard ratios", shown, "", {"p_value": 3}),
        _table(tables, "cox_checks", "Checks of the model", checks, caption, {"p_value": 3}),
    )
    return Section("Cox model", "cox", text, (figure,), both)


def _cut(analysis: CohortAnalysis, tables: Mapping[str, Rows], synthetic: bool) -> Section:
    cut, found, title = analysis.cut, analysis.searched, "Volume ratio"
    if cut is None:
        return Section(title, "ratio", skipped=analysis.reasons["cut"])
    what = _ENDPOINTS[analysis.parameters.endpoint]
    curves = {f"ratio ≤ {cut.cut:g}": cut.curves["low"], f"ratio > {cut.cut:g}": cut.curves["high"]}
    p = PUBLISHED_CUT
    rows = [
        ForestRow("published: at most the cut, adjusted", p.hazard_ratio, p.lower, p.upper, f"n = {p.n}", p.p_value),
        ForestRow("here: at most the cut, crude", *_effect(cut.crude)),
        ForestRow("here: at most the cut, adjusted", *_effect(cut.adjusted)),
        ForestRow("here: per unit of ln ratio, crude", *_effect(cut.continuous_crude)),
        ForestRow("here: per unit of ln ratio, adjusted", *_effect(cut.continuous_adjusted)),
    ]
    figures = [
        survival_figure(
            curves,
            name="survival_ratio",
            title=f"{what.capitalize()} by CE core/NE, cut fixed beforehand",
            quantity=what,
            log_rank_p=cut.log_rank.p_value,
            synthetic=synthetic,
        ),
        forest_figure(rows, name="ratio_effects", title="Does the published cut hold here?", synthetic=synthetic),
    ]
    text = (
        f"The cut {cut.cut:g} was not chosen in these patients, so that its p-value means what it says. Published: {p.source}. "
        "The effect of the ratio as it is stands beside it: what a cut throws away."
    )
    shown = {"model": "model", "cut": "cut", "hazard_ratio": "HR", "lower": "lower", "upper": "upper", "p_value": "p"}
    shown |= {"n": "n", "events": "events", "reason": "remark"}
    both = [_table(tables, "cut", "Cut of the ratio", shown, "", {"cut": 3, "p_value": 3})]
    if found is not None:
        figures.append(
            cut_figure(
                found.candidates,
                found.z,
                name="ratio_search",
                title="Search for a cut in this cohort",
                quantity="CE core/NE",
                critical_z=found.critical_z,
                chosen=found.cut,
                fixed=cut.cut,
                p_value=found.permutation_p,
                interval=(found.cut_lower, found.cut_upper),
                synthetic=synthetic,
            )
        )
        shown = {"cut": "cut", "cut_lower": "lower", "cut_upper": "upper", "permutation_p": "p (permutation)"}
        shown |= {"naive_p": "p (naive)", "naive_hazard_ratio": "HR (naive)", "out_of_bag_ratio": "HR (out of bag)"}
        shown |= {"out_of_bag_lower": "lower", "out_of_bag_upper": "upper"}
        caption = "The naive values are those of a cut that was not searched, and too good; they stand here to be compared."
        both.append(_table(tables, "searched_cut", "Searched cut", shown, caption, default=3))
    return Section(title, "ratio", text, tuple(figures), tuple(both))


def _interaction(analysis: CohortAnalysis, tables: Mapping[str, Rows], synthetic: bool) -> Section:
    found, title = analysis.interaction, "MGMT and age"
    if found is None:
        return Section(title, "mgmt-age", skipped=analysis.reasons["interaction"])
    observed = analysis.table.number("age")
    youngest, oldest = np.nanpercentile(observed, (1, 99)).tolist()
    curve = found.at(np.linspace(youngest, oldest, 41).tolist(), analysis.parameters.level)
    markers = [(r["age"], r["hazard_ratio"], r["lower"], r["upper"]) for r in found.at_ages]
    figure = interaction_figure(
        *(np.array([r[key] for r in curve]) for key in ("age", "hazard_ratio", "lower", "upper")),
        name="mgmt_age",
        title="Effect of MGMT methylation by age",
        markers=markers,
        observed=observed[~np.isnan(observed)],
        p_value=found.test.p_value if found.test is not None else None,
        synthetic=synthetic,
    )
    p = f"p = {found.test.p_value:.3f}" if found.test is not None else "no test with a ridge penalty"
    text = f"Likelihood-ratio test of the interaction against main effects alone: {p}. Adjusted for the other covariates."
    shown = {"age": "age", "hazard_ratio": "HR", "lower": "lower", "upper": "upper", "p_value": "p"}
    shown |= {"extrapolated": "extrapolated"}
    table = _table(tables, "interaction", "Methylated against unmethylated", shown, "", {"age": 0, "p_value": 3})
    return Section(title, "mgmt-age", text, (figure,), (table,))


def _competing(analysis: CohortAnalysis, synthetic: bool) -> Section:
    found, title = analysis.competing, "Competing risks"
    if found is None:
        return Section(title, "competing", skipped=analysis.reasons["competing"])
    curves = {"recurrence": found.recurrence, "death without recurrence": found.death}
    figure = incidence_figure(
        curves, name="competing", title="Recurrence, and death without it", stacked=True, synthetic=synthetic
    )
    left = "; ".join(f"{n} left out: {why}" for why, n in found.excluded.items() if n)
    text = (
        "Cumulative incidence after Aalen and Johansen. One minus Kaplan-Meier, with deaths censored, would count patients "
        f"as candidates for a recurrence who are dead. {left}"
    )
    return Section(title, "competing", text.strip(), (figure,))


def _transitions(analysis: CohortAnalysis, tables: Mapping[str, Rows], synthetic: bool) -> Section:
    found, title = analysis.transitions, "From primary to recurrence"
    if found is None:
        return Section(title, "transitions", skipped=analysis.reasons["transitions"])
    matrix = found.matrix
    used = [n for n in range(len(matrix.classes)) if matrix.counts[n].any() or matrix.counts[:, n].any()]
    names = [matrix.classes[n] for n in used]
    counts, lower, upper = (a[np.ix_(used, used)] for a in (matrix.counts, matrix.lower, matrix.upper))
    sites = tables["new_site"]
    moved = {str(r["primary"]): (int(str(r["count"])), int(str(r["total"]))) for r in sites if r["primary"] != "all"}
    figures = [
        transition_figure(counts, names, lower=lower, upper=upper, p_value=found.agreement.p_value, synthetic=synthetic),
        flow_figure(counts, names, synthetic=synthetic),
        stay_figure(moved, synthetic=synthetic),
    ]
    text = (
        f"{matrix.n} patients with both locations ({matrix.n_missing} without one of them). {found.agreement.stays:.0f} "
        f"recurrences in the class of the primary, {found.agreement.expected:.1f} expected by chance "
        f"(kappa {found.agreement.kappa:.2f}, permutation p = {found.agreement.p_value:.4f}). The last columns of the table "
        f"say what would be found if {found.label_error:.0%} of the labels were wrong."
    )
    shown = {"primary": "primary", "count": "new site", "total": "of", "probability": "share", "lower": "lower"}
    shown |= {"upper": "upper", "flipped_median": "with errors", "flipped_lower": "from", "flipped_upper": "to"}
    caption = "Recurrences in another class than the primary, with 95 % Wilson intervals."
    return Section(title, "transitions", text, tuple(figures), (_table(tables, "new_site", "New site", shown, caption),))


def _migration(analysis: CohortAnalysis, tables: Mapping[str, Rows], synthetic: bool) -> Section:
    found, title = analysis.migration, "Migration and time"
    if found is None:
        return Section(title, "migration-time", skipped=analysis.reasons["migration"])
    rho = found.correlation
    figure = scatter_figure(
        found.time_days / 30.4375,
        found.distance_mm,
        name="migration_time",
        title="Migration distance against time to progression",
        x_label="time to progression (months)",
        y_label="outward p95 (mm)",
        spearman=(rho.rho, rho.lower, rho.upper, rho.p_value),
        log_x=True,
        log_y=True,
        synthetic=synthetic,
    )
    shown = {"measure": "measure", "estimate": "estimate", "lower": "lower", "upper": "upper", "p_value": "p", "n": "n"}
    table = _table(tables, "migration", "Association", shown, "", {"p_value": 3})
    return Section(title, "migration-time", found.caveat, (figure,), (table,))


def _after(analysis: CohortAnalysis, tables: Mapping[str, Rows], synthetic: bool) -> Section:
    found, title = analysis.after_recurrence, "After the recurrence"
    if found is None:
        return Section(title, "after-recurrence", skipped=analysis.reasons["after_recurrence"])
    part = found.by_pattern or found.overall
    words = "Survival after the exam of the recurrence" + (", by pattern" if found.by_pattern else "")
    figure = _curves(part, "survival_after_recurrence", words, "survival", synthetic)
    left = "; ".join(f"{n} left out: {why}" for why, n in found.clock.excluded.items() if n)
    text = (
        "What is measured at the recurrence is known from then on only: the clock starts at that exam, for patients who were "
        f"alive then. {left}"
    ).strip()
    shown = {"comparison": "comparison", "group": "group", "n": "n", "events": "events", "median_days": "median"}
    shown |= {"lower": "lower", "upper": "upper", "log_rank_p": "p"}
    effects = {"model": "model", "covariate": "covariate", "hazard_ratio": "HR", "lower": "lower", "upper": "upper"}
    effects |= {"p_value": "p", "n": "n", "events": "events", "reason": "remark"}
    both = (
        _table(tables, "after_recurrence", "Medians", shown, "From the exam of the recurrence.", {"log_rank_p": 3}, 0),
        _table(tables, "after_recurrence_migration", "Migration", effects, "", {"p_value": 3}),
    )
    return Section(title, "after-recurrence", text, (figure,), both)


def _forest(row: Mapping[str, object]) -> ForestRow:
    ratio, lower, upper, p = (float(str(row[k])) for k in ("hazard_ratio", "lower", "upper", "p_value"))
    return ForestRow(_words(str(row["covariate"])), ratio, lower, upper, p_value=p)


def _effect(effect: Effect) -> tuple[float, float, float, str, float]:
    return effect.hazard_ratio, effect.lower, effect.upper, f"n = {effect.n}", effect.p_value


def _words(covariate: str) -> str:
    return _WORDS.get(covariate, covariate.replace("_", " "))


def _table(
    tables: Mapping[str, Rows],
    name: str,
    title: str,
    columns: Mapping[str, str],
    caption: str = "",
    digits: Mapping[str, int] | None = None,
    default: int = 2,
) -> Table:
    """Make a table of some columns of the table called `name`; definitions and units come from the data dictionary."""
    headers = []
    for column, header in columns.items():
        entry = column_entry(name, column)
        unit = str(entry.get("Units", ""))
        wanted = (digits or {}).get(column, default)
        headers.append(Column(header, "" if unit == "1" else unit, str(entry.get("Description", "")), wanted))
    rows = tables[name]
    cells = tuple(tuple(_cell(row, column) for column in columns) for row in rows)
    if name.startswith("table1"):  # a variable is named once, above its levels
        first = [n == 0 or rows[n - 1]["variable"] != row["variable"] for n, row in enumerate(rows)]
        cells = tuple(c if new else ("", *c[1:2], "", *c[3:]) for c, new in zip(cells, first, strict=True))
    return Table(title, tuple(headers), cells, caption)


def _cell(row: Mapping[str, object], name: str) -> Value:
    found = row.get(name)
    if isinstance(found, float) and not np.isfinite(found):
        return Missing(str(row.get("reason") or "not reached or not estimable"))
    if name in ("covariate", "comparison"):
        return _words(str(found))
    if isinstance(found, np.generic):
        return found.item()
    return found if found is None or isinstance(found, str | int | float | bool) else str(found)
