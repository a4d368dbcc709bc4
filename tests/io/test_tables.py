"""Tables and JSON are written whole or not at all, and read strictly."""

from __future__ import annotations

import math

import pytest

from regrowth.errors import BidsError, OutputError
from regrowth.io.tables import read_json, read_tsv, write_json, write_text, write_tsv


def test_a_table_keeps_the_order_of_columns_and_writes_what_is_unknown_as_na(tmp_path):
    path = tmp_path / "t.tsv"
    write_tsv([{"b": 1.23456789, "a": None}, {"b": math.nan, "a": True, "c": "x\ty"}], path)
    assert path.read_text() == "b\ta\tc\n1.23457\tn/a\tn/a\nn/a\ttrue\tx y\n"
    assert read_tsv(path)[1] == {"b": "n/a", "a": "true", "c": "x y"}


def test_a_table_without_rows_still_has_its_header(tmp_path):
    write_tsv([], tmp_path / "t.tsv", columns=["a", "b"])
    assert read_tsv(tmp_path / "t.tsv") == []


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"\xff\xfe\x00", "UTF-8"), (b"a\tb\n1\n", "row 2")])
def test_a_damaged_table_is_named(tmp_path, content, words):
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    with pytest.raises(BidsError, match=words) as caught:
        read_tsv(path)
    assert str(path) in str(caught.value)


def test_json_turns_numbers_that_are_not_finite_into_null(tmp_path):
    write_json({"a": math.inf, "b": [1.0, math.nan]}, tmp_path / "x.json")
    assert read_json(tmp_path / "x.json") == {"a": None, "b": [1.0, None]}


def test_json_that_is_no_object_or_is_cut_short_is_refused(tmp_path):
    for text in ("[1]", '{"a": '):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(BidsError, match=r"x\.json"):
            read_json(tmp_path / "x.json")


def test_nothing_half_written_stays_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "t.txt"
    path.write_text("old")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("regrowth.io.tables.os.replace", full)
    with pytest.raises(OutputError, match="No space"):
        write_text("new", path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.txt"]
