"""Wildcards find structures whatever their case; what matched, what did not and what is in doubt stands in the table."""

from __future__ import annotations

import pytest

from regrowth.errors import ParameterError
from regrowth.radiotherapy.naming import match_structures

NAMES = ["GTV_Relapse", "rec_CT", "Thyroid", "CTV 65", " Heart ", "Łuk PTV"]


def status(table):
    return {(row.key, row.name): row.status for row in table.rows}


def test_every_key_and_every_name_stands_in_the_table():
    table = match_structures(NAMES, {"recurrence": ["*relapse*"], "lung": ["*lung*"], "heart": ["HEART"]})
    assert {row.key for row in table.rows} == {"recurrence", "lung", "heart", ""}
    assert {row.name for row in table.rows} == {*NAMES, ""}
    assert table.missing == ("lung",)
    assert table.unused == ("rec_CT", "Thyroid", "CTV 65", "Łuk PTV")


def test_case_and_outer_spaces_do_not_count():
    table = match_structures(NAMES, {"heart": ["heart"], "arch": ["łUK*"]})
    assert table.only("heart") == " Heart "
    assert table.only("arch") == "Łuk PTV"


def test_accents_match_however_they_are_encoded():
    assert match_structures(["Me\u0301ninge"], {"m": ["m\u00e9ninge"]}).only("m") == "Me\u0301ninge"


def test_several_structures_for_a_key_are_told_and_none_is_chosen():
    table = match_structures(NAMES, {"recurrence": ["rec*", "*relapse*"]})
    assert table.names("recurrence") == ("rec_CT", "GTV_Relapse")
    assert status(table)["recurrence", "rec_CT"] == "several"
    with pytest.raises(ParameterError, match="does not mean one structure"):
        table.only("recurrence")


def test_structure_that_two_keys_claim_is_told():
    table = match_structures(["rTC"], {"cartilage": ["*tc*"], "recurrence": ["r*"]})
    assert set(status(table).values()) == {"shared"}
    with pytest.raises(ParameterError, match="fits 'recurrence' too"):
        table.only("cartilage")


def test_first_pattern_that_fits_is_named():
    row = match_structures(["CTV 65"], {"ctv": ["PTV*", "CTV ?5", "*"]}).rows[0]
    assert (row.pattern, row.status) == ("CTV ?5", "matched")


def test_missing_key_names_the_patterns_that_were_tried():
    table = match_structures([], {"lung": ["*lung*", "pulmo"]})
    assert "'*lung*', 'pulmo'" in table.rows[0].reason
    with pytest.raises(ParameterError, match="no structure fits"):
        table.only("lung")


def test_records_are_rows_of_a_table():
    assert match_structures(["a"], {"k": ["b"]}).records()[1] == {
        "key": "",
        "name": "a",
        "pattern": "",
        "status": "unused",
        "reason": "",
    }


@pytest.mark.parametrize("patterns", [{"": ["a"]}, {"k": []}, {"k": "abc"}, {"k": [" "]}])
def test_pattern_that_is_none_is_refused(patterns):
    with pytest.raises(ParameterError, match="patterns"):
        match_structures(["a"], patterns)


def test_key_that_was_never_looked_for_is_refused():
    with pytest.raises(ParameterError, match="not looked for"):
        match_structures(["a"], {"k": ["a"]}).names("other")
