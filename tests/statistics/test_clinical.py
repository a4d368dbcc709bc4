from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.phantom.clinical import synthetic_clinical
from regrowth.statistics.clinical import match_ids, read_clinical
from regrowth.units import DAYS_PER_MONTH

ROW = {
    "participant_id": "sub-01",
    "age": "61",
    "sex": "F",
    "mgmt": "methylated",
    "idh": "wildtype",
    "eor": "GTR",
    "os_days": "420",
    "os_event": "1",
    "ttp_days": "200",
    "ttp_event": "1",
    "primary_CE_core_ml": "10",
    "primary_NE_ml": "40",
}


def rows(*changes: dict[str, str], n: int = 1) -> list[dict[str, str]]:
    """Make valid rows, the first ones with changes."""
    many = [{**ROW, "participant_id": f"sub-{k + 1:02d}"} for k in range(max(n, len(changes)))]
    return [row | change for row, change in zip(many, [*changes, *[{}] * (len(many) - len(changes))], strict=True)]


def without(name: str) -> list[dict[str, str]]:
    return [{k: v for k, v in ROW.items() if k != name}]


def test_a_good_table_is_read_with_its_types():
    table = read_clinical(rows({"mgmt": "METHYLATED", "sex": "f"}, {"mgmt": "n/a", "age": ""}))
    assert table.participants == ("sub-01", "sub-02")
    assert list(table.level("mgmt")) == ["methylated", ""]
    assert list(table.level("sex")) == ["F", "F"]
    assert table.number("age")[0] == 61
    assert table.missing("age").tolist() == [False, True]
    assert table.missing("mgmt").tolist() == [False, True]
    assert table.missing("no such column").all()


def test_synthetic_rows_survive_the_way_through_text():
    table = read_clinical(synthetic_clinical(50, seed=3))
    assert len(table) == 50
    assert table.has("age", "mgmt", "ratio_CE_core_NE", "migration_mm")


def test_times_events_and_their_absence_are_given_together():
    table = read_clinical(rows({}, {"os_event": "n/a"}, {"os_days": "n/a"}, {"os_event": "0"}))
    time, event, known = table.endpoint("os")
    assert known.tolist() == [True, False, False, True]
    assert event.tolist() == [True, False, False, False]
    assert np.isnan(time[1:3]).all()
    assert any("os: 2 patient(s) with a time but no event" in note for note in table.notes)


@pytest.mark.parametrize("text", ["1", "true", "True", "1.0"])
def test_events_may_be_written_as_numbers_or_words(text):
    assert read_clinical(rows({"os_event": text})).number("os_event")[0] == 1


def test_months_become_days():
    table = read_clinical([{**{k: v for k, v in ROW.items() if k not in ("os_days", "ttp_days")}, "os_months": "12"}])
    assert table.number("os_days")[0] == pytest.approx(12 * DAYS_PER_MONTH)
    assert any("os_months was converted" in note for note in table.notes)


def test_days_and_months_side_by_side_must_agree():
    assert read_clinical(rows({"os_months": "13.8"})).number("os_days")[0] == 420
    with pytest.raises(ParameterError, match=r"os_days and os_months differ.*sub-01"):
        read_clinical(rows({"os_months": "20"}))


def test_the_ratio_is_computed_from_the_volumes():
    table = read_clinical(rows())
    assert table.number("ratio_CE_core_NE")[0] == pytest.approx(0.25)
    assert table.ratio_reasons == ("",)


def test_the_ratio_is_missing_with_a_reason_where_there_is_no_oedema():
    table = read_clinical(rows({"primary_NE_ml": "0"}))
    assert np.isnan(table.number("ratio_CE_core_NE")[0])
    assert "undefined" in table.ratio_reasons[0]


def test_the_ratio_is_missing_with_a_reason_where_the_scheme_has_no_necrosis():
    table = read_clinical(rows({"label_scheme": "hd-glio", "ratio_CE_core_NE": "0.25"}, {"label_scheme": "brats-2023"}))
    assert np.isnan(table.number("ratio_CE_core_NE")[0])
    assert "hd-glio" in table.ratio_reasons[0]
    assert table.ratio_reasons[1] == ""


def test_a_column_that_is_not_known_is_named_in_the_notes():
    assert any("karnofsky" in note for note in read_clinical(rows({"karnofsky": "90"})).notes)


@pytest.mark.parametrize("name", ["participant_id", "os_days", "os_event"])
def test_a_missing_column_is_named_with_the_columns_there_are(name):
    with pytest.raises(ParameterError, match=f"lacks the column.*{name}.*it has"):
        read_clinical(without(name))


def test_an_empty_table_is_refused():
    with pytest.raises(ParameterError, match=r"patients\.tsv: there are no patients"):
        read_clinical([], where="patients.tsv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"os_event": "2"}, r"column os_event, sub-02: '2'.*write 1 .* 0"),
        ({"os_event": "dead"}, "column os_event, sub-02"),
        ({"ttp_event": "-1"}, "column ttp_event, sub-02"),
        ({"os_days": "-3"}, "column os_days: sub-02 has a time of 0 or less"),
        ({"os_days": "0"}, "column os_days: sub-02 has a time of 0 or less.*0.5 days"),
        ({"ttp_days": "0"}, "column ttp_days: sub-02"),
        ({"os_days": "14,5"}, "column os_days, sub-02.*decimals with a point"),
        ({"os_days": "long"}, "column os_days, sub-02.*n/a"),
        ({"os_days": "inf"}, "column os_days, sub-02"),
        ({"os_days": "20000"}, "column os_days, sub-02.*30 years"),
        ({"age": "1961"}, "column age, sub-02.*year of birth"),
        ({"age": "-5"}, "column age, sub-02"),
        ({"mgmt": "positive"}, r"column mgmt holds 'positive' \(sub-02\).*unmethylated, methylated"),
        ({"sex": "X"}, "column sex holds 'X'.*F, M"),
        ({"eor": "total"}, "column eor.*STR, GTR, biopsy"),
        ({"primary_NE_ml": "-1"}, "column primary_NE_ml, sub-02.*ml"),
        ({"ratio_CE_core_NE": "0.9"}, "column ratio_CE_core_NE, sub-02.*leave the ratio out"),
        ({"ttp_days": "500"}, r"column ttp_days: progression.*sub-02 \(500 > 420\)"),
        ({"recurrence_day": "500"}, "column recurrence_day: the exam of the recurrence.*sub-02"),
        ({"label_scheme": "bratz"}, "column label_scheme, sub-02.*brats-2023"),
        ({"participant_id": "01"}, "participant_id holds 01 more than once"),
        ({"participant_id": "n/a"}, r"participant_id is empty in row\(s\) 2"),
    ],
)
def test_a_wrong_cell_is_refused_with_its_place_and_the_remedy(change, words):
    with pytest.raises(ParameterError, match=words):
        read_clinical(rows({}, change))


def test_a_column_of_days_that_looks_like_months_is_refused_with_the_right_name():
    months = [{"os_days": f"{m}", "ttp_days": "n/a"} for m in (14.5, 8.1, 22.0, 30.2, 17.9, 60.0)]
    with pytest.raises(ParameterError, match=r"column os_days.*look like months; name the column os_months"):
        read_clinical(rows(*months))
    assert len(read_clinical(rows(*months), check_units=False)) == 6


def test_a_time_to_progression_in_months_beside_survival_in_days_is_refused():
    with pytest.raises(ParameterError, match=r"ttp_days.*name the column ttp_months"):
        read_clinical(rows(*[{"ttp_days": f"{m}"} for m in (4, 8, 6, 9, 11)]))


def test_a_column_of_months_that_looks_like_days_is_refused():
    days = [{"os_months": str(d)} for d in (300, 320, 340, 200, 150)]
    bare = [{k: v for k, v in row.items() if k not in ("os_days", "ttp_days")} for row in rows(*days)]
    with pytest.raises(ParameterError, match=r"os_months.*look like days; name the column os_days"):
        read_clinical(bare)
    bare[0]["os_months"] = "420"
    with pytest.raises(ParameterError, match=r"os_months, sub-01.*is it in days"):
        read_clinical(bare)


def test_long_freedom_from_progression_without_progression_is_only_noted():
    table = read_clinical(rows({"ttp_days": "500", "ttp_event": "0"}))
    assert any("sub-01" in note for note in table.notes)


def test_unmatched_participants_are_listed_by_name_from_both_sides():
    found = match_ids(["sub-01", "sub-02", "sub-05"], ["01", "03"])
    assert found.both == ("01",)
    assert (
        found.message == "in the images but not in the clinical table: 02, 05; in the clinical table but not in the images: 03"
    )
    assert match_ids(["01"], ["sub-01"]).message == ""


def test_rows_are_taken_by_mask():
    table = read_clinical(rows({}, {"age": "70"}, {}))
    part = table.take(table.number("age") > 65)
    assert part.participants == ("sub-02",)
    assert part.number("age").tolist() == [70]
