from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from regrowth.errors import ParameterError
from regrowth.statistics.clinical import read_clinical
from regrowth.statistics.describe import compare_levels, compare_numbers, table_one

PATIENTS = [
    {"participant_id": f"{k:02d}", "os_days": 300 + k, "os_event": 1, "age": age, "mgmt": mgmt, "eor": eor}
    for k, (age, mgmt, eor) in enumerate(
        [
            (50, "methylated", "GTR"),
            (60, "methylated", "GTR"),
            (70, "methylated", "STR"),
            (None, "methylated", "biopsy"),
            (55, "unmethylated", "GTR"),
            (65, "unmethylated", "STR"),
            (75, None, "n/a"),
        ]
    )
]


@pytest.fixture
def table():
    return read_clinical(PATIENTS)


def row(rows, variable, level=""):
    return next(r for r in rows if r["variable"] == variable and r["level"] == level)


def test_numbers_are_given_as_median_and_quartiles_with_what_is_missing(table):
    age = row(table_one(table), "age, years")
    assert age["overall"] == "62.5 [56.2 to 68.8]"
    assert (age["n"], age["missing"]) == (6, 1)


def test_levels_are_given_as_count_and_share_of_the_known(table):
    mgmt = row(table_one(table), "MGMT promoter", "methylated")
    assert mgmt["overall"] == "4 (67 %)"
    assert (mgmt["n"], mgmt["missing"]) == (6, 1)


def test_the_groups_become_columns_and_are_tested(table):
    rows = table_one(table, by="mgmt")
    assert row(rows, "patients")["mgmt: methylated"] == "4"
    age = row(rows, "age, years")
    assert age["mgmt: unmethylated"] == "60 [57.5 to 62.5]"
    assert age["test"] == "Mann-Whitney"
    assert age["p_value"] == pytest.approx(stats.mannwhitneyu([50, 60, 70], [55, 65]).pvalue)
    assert "expected below 5" in row(rows, "extent of resection", "STR")["test"]
    assert not any(r["variable"] == "MGMT promoter" for r in rows)


def test_two_by_two_is_tested_exactly_as_published_tea_tasting():
    values = np.array(["milk"] * 4 + ["tea"] * 4, dtype=object)
    groups = np.array(["m", "m", "m", "t", "m", "t", "t", "t"], dtype=object)
    assert compare_levels(values, groups).name == "Fisher"
    assert compare_levels(values, groups).p_value == pytest.approx(34 / 70)


def test_three_groups_of_numbers_are_compared_by_kruskal_wallis():
    values = np.array([1, 2, 3, 11, 12, 13, 21, 22, 23.0, np.nan])
    groups = np.array([*list("aaabbbccc"), ""], dtype=object)
    test = compare_numbers(values, groups)
    assert test.name == "Kruskal-Wallis"
    assert test.p_value == pytest.approx(math.exp(-7.2 / 2))  # H = 7.2, chi-squared with 2 degrees of freedom


def test_without_two_groups_there_is_no_p_value_but_a_reason():
    test = compare_numbers(np.array([1.0, 2.0]), np.array(["a", "a"], dtype=object))
    assert math.isnan(test.p_value)
    assert "two groups" in test.name


def test_a_split_by_a_number_is_refused(table):
    with pytest.raises(ParameterError, match="not by 'age'"):
        table_one(table, by="age")
