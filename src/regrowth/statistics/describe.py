"""Who the patients are: the Table 1 of a paper, overall and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.clinical import LEVELS, ClinicalTable

__all__ = ["TABLE_ONE_VARIABLES", "VARIABLE_TEXTS", "GroupTest", "compare_levels", "compare_numbers", "table_one"]

VARIABLE_TEXTS = {
    "age": "age, years",
    "sex": "sex",
    "mgmt": "MGMT promoter",
    "idh": "IDH",
    "eor": "extent of resection",
    "primary_CE_core_ml": "CE core before surgery, ml",
    "primary_NE_ml": "NE before surgery, ml",
    "ratio_CE_core_NE": "ratio of CE core to NE",
    "location_primary": "location of the primary tumour",
    "laterality_primary": "side of the primary tumour",
    "location_recurrence": "location of the recurrence",
    "pattern": "pattern of the recurrence",
    "migration_mm": "migration distance, mm",
}
"""Variables in words, with their units."""

TABLE_ONE_VARIABLES = tuple(VARIABLE_TEXTS)
"""Variables of Table 1, in its order."""

_SMALL_EXPECTED = 5.0


@dataclass(frozen=True)
class GroupTest:
    """A comparison of groups: name of the test and two-sided p-value; NaN with a reason in the name where there is none."""

    name: str
    p_value: float


def compare_numbers(values: np.ndarray, groups: np.ndarray) -> GroupTest:
    """Compare a number between groups: Mann-Whitney for two, Kruskal-Wallis for more.

    Parameters
    ----------
    values
        (n,) float, NaN where missing.
    groups
        (n,) of str, empty where missing.
    """
    from scipy import stats

    parts = [values[(groups == g) & ~np.isnan(values)] for g in _names(groups)]
    parts = [p for p in parts if len(p)]
    if len(parts) < 2 or np.ptp(np.concatenate(parts)) == 0:
        return GroupTest("none: needs two groups and values that differ", np.nan)
    if len(parts) == 2:
        return GroupTest("Mann-Whitney", float(stats.mannwhitneyu(*parts, alternative="two-sided").pvalue))
    return GroupTest("Kruskal-Wallis", float(stats.kruskal(*parts).pvalue))


def compare_levels(values: np.ndarray, groups: np.ndarray) -> GroupTest:
    """Compare a category between groups: Fisher's exact test for two by two, chi-squared without correction for more.

    Parameters
    ----------
    values, groups
        (n,) of str, empty where missing. The name of the test says in how many cells less than 5 are expected: the
        chi-squared p-value is rough then.
    """
    from scipy import stats

    known = (values != "") & (groups != "")
    rows, row = np.unique(values[known].astype(str), return_inverse=True)
    columns, column = np.unique(groups[known].astype(str), return_inverse=True)
    if len(rows) < 2 or len(columns) < 2:
        return GroupTest("none: needs two groups and two levels", np.nan)
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(counts, (row, column), 1)
    if counts.shape == (2, 2):
        return GroupTest("Fisher", float(stats.fisher_exact(counts).pvalue))
    test = stats.chi2_contingency(counts, correction=False)
    small = int((test.expected_freq < _SMALL_EXPECTED).sum())
    name = f"chi-squared ({small} of {counts.size} expected below 5)" if small else "chi-squared"
    return GroupTest(name, float(test.pvalue))


def table_one(
    table: ClinicalTable, by: str | None = None, variables: Sequence[str] = TABLE_ONE_VARIABLES
) -> list[dict[str, object]]:
    """Describe the patients.

    Parameters
    ----------
    table
        The cohort.
    by
        Categorical column whose levels become columns ``<by>: <level>``, beside those of all patients; None for none.
    variables
        Columns to describe; those without any value are left out.

    Returns
    -------
    list of dict
        Rows of text and numbers: variable, level, n (patients with a value), missing, overall, one column per group, test,
        p_value. Numbers are given as median [quartiles], levels as n (% of the patients with a value).

    Raises
    ------
    ParameterError
        If `by` is not a categorical column.
    """
    if by is not None and by not in LEVELS:
        raise ParameterError(f"Table 1 can be split by {', '.join(LEVELS)}, not by {by!r}")
    groups = table.level(by) if by else np.full(len(table), "", dtype=object)
    names = _names(groups)
    everyone = np.ones(len(table), dtype=bool)
    sets = {"overall": everyone} | {f"{by}: {g}": np.asarray(groups == g, dtype=bool) for g in names}
    rows: list[dict[str, object]] = [_row("patients", "", everyone, {k: str(int(m.sum())) for k, m in sets.items()})]
    for variable in variables:
        if variable == by or not table.has(variable):
            continue
        rows += (
            _number_rows(table, variable, sets, groups)
            if variable in table.numbers
            else _level_rows(table, variable, sets, groups)
        )
    if by is None:
        return [{k: v for k, v in row.items() if k not in ("test", "p_value")} for row in rows]
    return rows


def _names(groups: np.ndarray) -> list[str]:
    return sorted({str(g) for g in groups if g != ""})


def _row(
    variable: str, level: str, known: np.ndarray, cells: dict[str, str], test: GroupTest | None = None
) -> dict[str, object]:
    counts = {"variable": variable, "level": level, "n": int(known.sum()), "missing": int((~known).sum())}
    return {**counts, **cells, "test": test.name if test else "", "p_value": test.p_value if test else np.nan}


def _number_rows(
    table: ClinicalTable, variable: str, sets: dict[str, np.ndarray], groups: np.ndarray
) -> list[dict[str, object]]:
    values = table.numbers[variable]
    cells = {name: _quartiles(values[inside & ~np.isnan(values)]) for name, inside in sets.items()}
    test = compare_numbers(values, groups) if len(sets) > 1 else None
    return [_row(VARIABLE_TEXTS.get(variable, variable), "", ~np.isnan(values), cells, test)]


def _level_rows(
    table: ClinicalTable, variable: str, sets: dict[str, np.ndarray], groups: np.ndarray
) -> list[dict[str, object]]:
    values = table.levels[variable]
    known = np.asarray(values != "", dtype=bool)
    found = set(_names(values))
    levels = [v for v in LEVELS.get(variable) or () if v in found]
    levels += sorted(found - set(levels))
    test = compare_levels(values, groups) if len(sets) > 1 else None
    rows = []
    for place, level in enumerate(levels):
        cells = {
            name: _share(int((inside & (values == level)).sum()), int((inside & known).sum())) for name, inside in sets.items()
        }
        rows.append(_row(VARIABLE_TEXTS.get(variable, variable), level, known, cells, None if place else test))
    return rows


def _quartiles(values: np.ndarray) -> str:
    if not len(values):
        return "n/a"
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.3g} [{low:.3g} to {high:.3g}]"


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.0f} %)" if total else "n/a"
