"""Which covariates a model gets from the clinical table: numbers, dummies with reference levels, complete cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.clinical import LEVELS, ClinicalTable

__all__ = ["AGE_CENTRE_YEARS", "COVARIATE_TEXTS", "VARIABLES", "ModelMatrix", "model_matrix", "variable_columns"]

VARIABLES = ("age", "sex", "mgmt", "idh", "eor", "log_ratio")
"""Variables of the default model."""

AGE_CENTRE_YEARS = 60.0
"""Age at which the covariate of the age is 0."""

COVARIATE_TEXTS: Mapping[str, str] = {
    "age_per_10y": "age, per 10 years",
    "sex_M": "male, against female",
    "mgmt_methylated": "MGMT promoter methylated, against unmethylated",
    "idh_mutant": "IDH mutant, against wild type",
    "eor_GTR": "gross total resection, against subtotal",
    "eor_biopsy": "biopsy, against subtotal resection",
    "log_ratio": "natural logarithm of the ratio of CE core to NE",
}
"""Names of the covariates of the default model in words."""


@dataclass(frozen=True, eq=False)
class ModelMatrix:
    """Covariates of a model.

    Parameters
    ----------
    names
        One per column.
    values
        (n, p) float64; NaN where missing.
    complete
        (n,) bool: among the patients of the model, and no value of the row is missing.
    missing
        Variable to the number of patients of the model whose value is missing.
    notes
        Reference levels, and what was dropped and why.
    """

    names: tuple[str, ...]
    values: np.ndarray
    complete: np.ndarray
    missing: Mapping[str, int]
    notes: tuple[str, ...]


def variable_columns(table: ClinicalTable, variable: str) -> tuple[tuple[str, ...], np.ndarray, str]:
    """Turn a variable into columns of a model.

    Parameters
    ----------
    table
        The cohort.
    variable
        ``age`` (per 10 years above 60), ``log_ratio`` (natural logarithm; a ratio of 0 has none and is missing), another
        number as it stands, or a categorical column, which gives one column of 0 and 1 per level but the reference: the first
        of `regrowth.statistics.clinical.LEVELS`, or the most frequent level where that does not occur.

    Returns
    -------
    names : tuple of str
        One per column.
    values : numpy.ndarray
        (n, p), NaN where missing.
    note : str
        The reference level, or empty.

    Raises
    ------
    ParameterError
        If there is no such variable.
    """
    if variable == "age":
        return ("age_per_10y",), ((table.number("age") - AGE_CENTRE_YEARS) / 10)[:, None], ""
    if variable == "log_ratio":
        ratio = table.number("ratio_CE_core_NE")
        logged = np.log(ratio, out=np.full(len(table), np.nan), where=ratio > 0)
        zero = int((ratio == 0).sum())
        return ("log_ratio",), logged[:, None], f"log_ratio: {zero} ratio(s) of 0 have no logarithm" if zero else ""
    if variable in table.numbers:
        return (variable,), table.numbers[variable][:, None], ""
    if variable not in LEVELS:
        raise ParameterError(f"{variable!r} is no covariate; choose of {', '.join((*VARIABLES, *LEVELS))}")
    values = table.level(variable)
    found, counts = np.unique(values[values != ""].astype(str), return_counts=True)
    known = [level for level in LEVELS[variable] or () if level in found]
    order = known + [str(level) for level in found if level not in known]
    first = (LEVELS[variable] or ("",))[0]
    reference = first if first in order else str(found[np.argmax(counts)]) if len(found) else ""
    others = [level for level in order if level != reference]
    columns = [np.where(values == "", np.nan, (values == level).astype(np.float64)) for level in others]
    data = np.column_stack(columns).astype(np.float64) if columns else np.empty((len(table), 0))
    return (
        tuple(f"{variable}_{level}" for level in others),
        data,
        f"{variable}: the reference level is {reference}" if reference else "",
    )


def model_matrix(table: ClinicalTable, variables: Sequence[str] = VARIABLES, *, among: np.ndarray | None = None) -> ModelMatrix:
    """Make the covariates of a model, without those that cannot be used.

    Parameters
    ----------
    table
        The cohort.
    variables
        Names as in `variable_columns`.
    among
        (n,) bool: patients of the model, such as those with a known endpoint; all when left out. Covariates that do not vary
        among the complete cases of them are dropped with a note.
    """
    used = np.ones(len(table), dtype=bool) if among is None else np.asarray(among, dtype=bool)
    names: list[str] = []
    columns: list[np.ndarray] = []
    notes: list[str] = []
    missing: dict[str, int] = {}
    for variable in variables:
        if not table.has("ratio_CE_core_NE" if variable == "log_ratio" else variable):
            notes.append(f"{variable}: not in the table, so not in the model")
            continue
        own, values, note = variable_columns(table, variable)
        absent = np.isnan(values).any(axis=1) if values.shape[1] else table.missing(variable)
        if absent[used].all():
            notes.append(f"{variable}: missing in all patients of this endpoint, so not in the model")
            continue
        missing[variable] = int(absent[used].sum())
        if not own:
            notes.append(f"{variable}: the same in all patients, so not in the model")
            continue
        notes += [note] if note else []
        names += own
        columns += list(values.T)
    data = np.column_stack(columns) if columns else np.empty((len(table), 0))
    complete = used & ~np.isnan(data).any(axis=1)
    constant = [i for i in range(data.shape[1]) if not complete.any() or np.ptp(data[complete, i]) == 0]
    notes += [f"{names[i]}: the same in all complete cases, so not in the model" for i in constant]
    keep = [i for i in range(data.shape[1]) if i not in constant]
    data = data[:, keep]
    complete = used & ~np.isnan(data).any(axis=1)  # a column that was dropped does not cost patients
    return ModelMatrix(tuple(names[i] for i in keep), data, complete, missing, tuple(notes))
