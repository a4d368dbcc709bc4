"""What every column means that the growth functions on plain files write, and how it is shown on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regrowth.errors import ParameterError
from regrowth.report import Column, Table

__all__ = ["GROWTH_COLUMNS", "growth_dictionary", "growth_table"]

GROWTH_COLUMNS: Mapping[str, tuple[str, str]] = {
    "participant_id": ("name of the patient", ""),
    "model": ("growth law, forecaster or baseline", ""),
    "measure": ("what is measured", ""),
    "stratum": ("whether the lesion grew (by 1.25 or more), stayed or shrank (to 0.8 or less) until it was observed", ""),
    "value": ("value; n/a with a reason where there is none", ""),
    "status": ("ok, or why there is no value", ""),
    "reason": ("why a value is missing or should be looked at with care; empty if all is well", ""),
    "n": ("patients with a value", ""),
    "n_missing": ("patients without a value", ""),
    "mean": ("mean over patients", ""),
    "mean_low": ("lower end of its 95 % bootstrap interval over patients", ""),
    "mean_high": ("upper end of its 95 % bootstrap interval over patients", ""),
    "median": ("median over patients", ""),
    "median_low": ("lower end of its 95 % bootstrap interval over patients", ""),
    "median_high": ("upper end of its 95 % bootstrap interval over patients", ""),
    "baseline": ("what the model is compared with", ""),
    "centre": ("which centre of the paired differences decides, mean or median", ""),
    "difference": ("model minus baseline over the patients with both values", ""),
    "difference_low": ("lower end of its 95 % bootstrap interval", ""),
    "difference_high": ("upper end of its 95 % bootstrap interval", ""),
    "n_better": ("patients in whom the model was better", ""),
    "n_worse": ("patients in whom the baseline was better", ""),
    "n_tied": ("patients with equal values", ""),
    "n_only_one": ("patients with a value for only one of both, left out", ""),
    "p_signed_rank": ("Wilcoxon's signed-rank test of the differences, two-sided, not adjusted", ""),
    "outcome": ("the comparison in a few words", ""),
    "verdict": ("the comparison in words, with its numbers", ""),
    "mean_model": ("mean coverage of the model's plans over the patients compared", ""),
    "mean_baseline": ("mean coverage of the baseline's plans over the patients compared", ""),
    "difference_below_ceiling": ("mean difference over patients whose recurrence is not wholly inside both plans", ""),
    "n_ceiling": ("patients whose recurrence lies wholly inside both plans: they cannot tell which is better", ""),
    "n_floor": ("patients whose recurrence lies wholly outside of both plans", ""),
    "n_empty": ("patients without a value for either plan, such as no recurrence; left out", ""),
    "n_incomplete": ("patients with a value for one plan only; left out", ""),
    "plan": ("which plan", ""),
    "ranking": ("what ranks the voxels", ""),
    "volume_ml": ("volume", "ml"),
    "coverage": ("share of the recurrence inside", "1"),
    "recurrence_ml": ("volume of the recurrence", "ml"),
    "missed_ml": ("volume of the recurrence outside of the plan", "ml"),
    "volume_for_95_ml": ("least volume of the ranking that covers 95 % of the recurrence", "ml"),
    "n_scans": ("exams that the fit could use", ""),
    "first_day": ("day of the first exam that the fit used", "days"),
    "last_day": ("day of the last exam that the fit used", "days"),
    "parameter": ("parameter, with its unit", ""),
    "map_value": ("most probable value of the parameter", ""),
    "posterior_median": ("median of the posterior draws of this patient's own scans", ""),
    "posterior_sd_log": (
        "spread of the posterior draws: standard deviation of the logarithm of the parameter. It follows from the model's own "
        "assumptions and was not calibrated on other patients",
        "",
    ),
    "posterior_effective_n": ("how many independent draws the posterior draws are worth", ""),
    "note": ("what the cohort allowed, in a sentence", ""),
    "synthetic": ("whether the data are made up", ""),
    "misfit_log": ("root mean square of log(measured / fitted) over the exams with tumour", ""),
}
"""Column to description and unit."""


def growth_dictionary(
    tables: Mapping[str, Sequence[Mapping[str, Any]]], columns: Mapping[str, tuple[str, str]] = GROWTH_COLUMNS
) -> dict[str, object]:
    """Give the data dictionary of some tables: table to column to description and unit.

    Raises
    ------
    ParameterError
        If a column is described nowhere.
    """
    out: dict[str, object] = {}
    for name, rows in tables.items():
        own = list(dict.fromkeys(column for row in rows for column in row))
        unknown = [column for column in own if column not in columns]
        if unknown:
            raise ParameterError(f"table {name}: the column(s) {', '.join(unknown)} have no description")
        out[name] = {c: {"Description": columns[c][0]} | ({"Units": columns[c][1]} if columns[c][1] else {}) for c in own}
    return out


def growth_table(title: str, rows: Sequence[Mapping[str, Any]], shown: Sequence[str] = (), *, caption: str = "") -> Table:
    """Lay rows out for a page; all columns in order of appearance unless some are named."""
    names = list(shown) or list(dict.fromkeys(column for row in rows for column in row))
    described = {name: GROWTH_COLUMNS.get(name, ("", "")) for name in names}
    columns = tuple(
        Column(_header(name), "" if unit == "1" else unit, about, 3 if unit == "1" else 2)
        for name, (about, unit) in described.items()
    )
    return Table(title, columns, tuple(tuple(row.get(name) for name in names) for row in rows), caption)


def _header(name: str) -> str:
    return name.removesuffix("_ml").replace("_", " ")
