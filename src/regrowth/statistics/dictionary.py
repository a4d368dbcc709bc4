"""What every column means that a cohort table or an analysis writes: description, unit, levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regrowth.errors import ParameterError
from regrowth.statistics.clinical import LEVELS

__all__ = ["COHORT_COLUMNS", "column_entry", "data_dictionary"]

Entry = Mapping[str, object]


def _entry(description: str, units: str = "", levels: Mapping[str, str] | None = None) -> Entry:
    entry: dict[str, object] = {"Description": description}
    if units:
        entry["Units"] = units
    if levels:
        entry["Levels"] = dict(levels)
    return entry


_YES_NO = {"yes": "yes", "no": "no"}
_ENDPOINTS = {"os": "overall survival", "ttp": "time to progression"}

COHORT_COLUMNS: Mapping[str, Entry] = {
    "participant_id": _entry("name of the participant"),
    "age": _entry("age at the first exam", "years"),
    "sex": _entry("sex", levels={"F": "female", "M": "male"}),
    "mgmt": _entry("MGMT promoter", levels={"methylated": "methylated", "unmethylated": "not methylated"}),
    "idh": _entry("IDH status", levels={"wildtype": "IDH wild type", "mutant": "IDH mutant"}),
    "eor": _entry("extent of resection", levels={"GTR": "gross total", "STR": "subtotal", "biopsy": "biopsy only"}),
    "os_days": _entry("overall survival, or time under observation", "days"),
    "os_months": _entry("overall survival, or time under observation", "months"),
    "os_event": _entry("death was observed", levels={"0": "censored", "1": "died"}),
    "ttp_days": _entry("time to progression, or time known free of it", "days"),
    "ttp_months": _entry("time to progression, or time known free of it", "months"),
    "ttp_event": _entry("progression was observed", levels={"0": "censored", "1": "progressed"}),
    "label_scheme": _entry("label scheme of the segmentation that the volumes come from"),
    "primary_CE_core_ml": _entry("volume of the CE core (enhancing tumour and necrosis) before surgery", "ml"),
    "primary_NE_ml": _entry("volume of the non-enhancing T2/FLAIR abnormality before surgery", "ml"),
    "ratio_CE_core_NE": _entry("volume of the CE core over that of NE before surgery; n/a where NE is 0", "1"),
    "location_primary": _entry("class of the location of the primary tumour"),
    "location_recurrence": _entry("class of the location of the first recurrence"),
    "laterality_primary": _entry(
        "side of the primary tumour", levels={level: level for level in LEVELS["laterality_primary"] or ()}
    ),
    "migration_mm": _entry(
        "95th percentile of how far the CE core at the first recurrence lies outside of that of the primary", "mm"
    ),
    "recurrence_day": _entry("day of the exam of the first recurrence, from the first exam", "days"),
    "pattern": _entry("pattern of the first recurrence", levels={level: level for level in LEVELS["pattern"] or ()}),
}
"""Columns of the cohort table, one row per patient."""

_RESULTS: Mapping[str, Entry] = {
    "variable": _entry("variable of the cohort table"),
    "level": _entry("level of a categorical variable; empty for numbers"),
    "n": _entry("patients"),
    "missing": _entry("patients whose value is missing"),
    "known": _entry("patients whose value is known"),
    "overall": _entry("all patients: median [quartiles] of a number, count (share of the known) of a level"),
    "test": _entry("two-sided test; why there is none"),
    "p_value": _entry("two-sided p-value, not adjusted for the number of tests"),
    "reason": _entry("why a value is missing; empty where there is one"),
    "endpoint": _entry("outcome", levels=_ENDPOINTS),
    "comparison": _entry("what groups the patients; 'all' for one curve of all"),
    "group": _entry("group of patients"),
    "groups": _entry("groups that were compared"),
    "events": _entry("events observed"),
    "censored": _entry("patients censored at this time"),
    "at_risk": _entry("patients observed up to this time or beyond"),
    "time_days": _entry("time", "days"),
    "survival": _entry("Kaplan-Meier estimate from this time on", "1"),
    "median_days": _entry("first time at which the curve is at most one half; n/a where it is not reached", "days"),
    "reached": _entry("whether the median is reached", levels=_YES_NO),
    "lower": _entry("lower limit of the interval of the estimate (of the hazard ratio, share or median)"),
    "upper": _entry("upper limit of the interval of the estimate; n/a where it is not reached"),
    "statistic": _entry("test statistic, chi-squared"),
    "degrees_of_freedom": _entry("degrees of freedom"),
    "p_holm": _entry("p-value adjusted by Holm for all tests of the table"),
    "p_benjamini_hochberg": _entry("p-value adjusted by Benjamini and Hochberg for all tests of the table"),
    "covariate": _entry("covariate; 'variable_level' is a level against the reference level"),
    "coefficient": _entry("log hazard ratio per unit of the covariate"),
    "standard_error": _entry("standard error of the coefficient"),
    "hazard_ratio": _entry("hazard ratio per unit of the covariate", "1"),
    "z": _entry("coefficient over its standard error"),
    "variance_inflation": _entry("variance inflation factor of the covariate", "1"),
    "incomplete": _entry("patients left out for a missing covariate"),
    "covariates": _entry("coefficients of the model"),
    "events_per_variable": _entry("events per coefficient; below 10 the model is unreliable", "1"),
    "penalty": _entry("penalty of the model", levels={"none": "none", "ridge": "ridge", "firth": "Firth"}),
    "penalty_strength": _entry("strength of the ridge penalty"),
    "log_likelihood": _entry("logarithm of the (penalised) partial likelihood"),
    "null_log_likelihood": _entry("the same with all coefficients 0"),
    "likelihood_ratio_p": _entry("p-value of the likelihood ratio"),
    "harrell_c": _entry("Harrell's concordance in the patients of the fit", "1"),
    "optimism": _entry("mean excess of the concordance over bootstrap samples", "1"),
    "harrell_c_corrected": _entry("Harrell's concordance less the optimism", "1"),
    "uno_c": _entry("Uno's concordance in the patients of the fit, not corrected", "1"),
    "bootstraps": _entry("bootstrap samples drawn"),
    "failed": _entry("bootstrap samples that gave no result"),
    "warning": _entry("what makes the model unreliable; empty if nothing was found"),
    "missing_information": _entry("share of the variance due to missing values", "1"),
    "copies": _entry("completed copies of the table"),
    "model": _entry("which covariates the hazard ratio stands beside"),
    "adjusted_for": _entry("other covariates of the model"),
    "cut": _entry("cut of the ratio of CE core to NE; low is at most this", "1"),
    "source": _entry("where the row comes from"),
    "non_linear_p": _entry("likelihood-ratio p-value of a restricted cubic spline against a line in the log ratio"),
    "quantile": _entry("share of the patients at most at the cut", "1"),
    "permutation_p": _entry("p-value of the search: share of permutations with as large a statistic"),
    "naive_p": _entry("log-rank p-value at the chosen cut as if it had not been searched: far too small, for comparison only"),
    "critical_z": _entry("|z| that a search must exceed at the 5 % level; 1.96 without a search"),
    "cut_lower": _entry("lower limit of the bootstrap interval of the cut", "1"),
    "cut_upper": _entry("upper limit of the bootstrap interval of the cut", "1"),
    "quantile_lower": _entry("share of the patients at most at cut_lower", "1"),
    "quantile_upper": _entry("share of the patients at most at cut_upper", "1"),
    "out_of_bag_ratio": _entry(
        "median hazard ratio of low against high in patients outside of the bootstrap samples that chose cut and direction", "1"
    ),
    "out_of_bag_lower": _entry("lower end of its range over the samples", "1"),
    "out_of_bag_upper": _entry("upper end of its range over the samples", "1"),
    "naive_hazard_ratio": _entry("hazard ratio at the chosen cut in the patients of the search: exaggerated", "1"),
    "naive_lower": _entry("its lower limit, which ignores the search", "1"),
    "naive_upper": _entry("its upper limit, which ignores the search", "1"),
    "n_missing": _entry("patients without the marker"),
    "permutations": _entry("permutations drawn"),
    "extrapolated": _entry("whether no patient is that young or old", levels=_YES_NO),
    "cause": _entry("what came first"),
    "incidence": _entry("cumulative incidence (Aalen-Johansen) from this time on", "1"),
    "primary": _entry("class of the location of the primary tumour"),
    "recurrence": _entry("class of the location of the recurrence"),
    "count": _entry("patients"),
    "total": _entry("patients with this class of the primary and a known class of the recurrence"),
    "probability": _entry("count over total", "1"),
    "flipped_median": _entry("median share if some labels are wrong at random", "1"),
    "flipped_lower": _entry("lower end of its range", "1"),
    "flipped_upper": _entry("upper end of its range", "1"),
    "stays": _entry("patients who came back in the class of the primary"),
    "expected": _entry("number that would stay if recurrences were dealt out at random"),
    "kappa": _entry("agreement beyond chance", "1"),
    "measure": _entry("measure of association"),
    "estimate": _entry("its value", "1"),
    "zeros": _entry("pairs left out because a value is 0 and has no logarithm"),
    "log_rank_p": _entry("log-rank p-value between the groups of the comparison"),
    "part": _entry("part of the analysis"),
    "content": _entry("the part in words"),
    "status": _entry("whether the part was made", levels={"done": "made", "absent": "not made, see reason"}),
    "note": _entry("what a reader has to know"),
}

_IN_TABLE: Mapping[tuple[str, str], Entry] = {
    ("searched_cut", "statistic"): _entry("largest |z| of the standardised log-rank scores over the candidate cuts"),
    ("searched_cut", "level"): _entry("coverage of the intervals", "1"),
    ("searched_cut_candidates", "z"): _entry("standardised log-rank score of at most the cut; positive means more events"),
    ("interaction", "age"): _entry("age at which the hazard ratio holds", "years"),
    ("interaction", "hazard_ratio"): _entry("hazard ratio of MGMT methylated against unmethylated at this age", "1"),
    ("new_site", "count"): _entry("patients who came back in another class"),
    ("new_site", "primary"): _entry("class of the location of the primary tumour; 'all' for all"),
    ("table1", "variable"): _entry("variable in words, with its unit"),
    ("table1_by_mgmt", "variable"): _entry("variable in words, with its unit"),
    ("missing", "variable"): _entry("column of the cohort table; a row with a reason counts the missing of that reason"),
    ("transition_tests", "p_value"): _entry("p-value: one-sided for agreement (by permutation), two-sided for symmetry"),
}


def column_entry(table: str, column: str) -> Entry:
    """Give the entry of a column.

    Parameters
    ----------
    table
        Name of the table, since a few columns mean something else in one of them.
    column
        Name of the column; ``<variable>: <level>`` is a group of Table 1.

    Raises
    ------
    ParameterError
        If nothing is known about the column.
    """
    variable, colon, level = column.partition(": ")
    if colon and variable in LEVELS:
        return _entry(
            f"patients whose {variable} is {level}: median [quartiles] of a number, count (share of the known) of a level"
        )
    for entry in (_IN_TABLE.get((table, column)), _RESULTS.get(column), COHORT_COLUMNS.get(column)):
        if entry is not None:
            return entry
    raise ParameterError(f"table {table}: the column {column!r} is not in the data dictionary; add it to its entries")


def data_dictionary(tables: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, dict[str, Entry]]:
    """Give the data dictionary of tables: table to column to entry, in the order of the columns.

    Parameters
    ----------
    tables
        Name to rows, such as ``CohortAnalysis.tables()`` or ``{"cohort": rows}``.

    Raises
    ------
    ParameterError
        If a column has no entry.
    """
    return {
        name: {column: column_entry(name, column) for column in dict.fromkeys(c for row in rows for c in row)}
        for name, rows in tables.items()
    }
