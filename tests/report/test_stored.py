"""A section that was kept in a file is the section that was made."""

from __future__ import annotations

from regrowth.io.tables import read_json, write_json
from regrowth.report import Column, Figure, Mark, Missing, Section, Table
from regrowth.report.stored import section_from, section_values


def test_a_section_comes_back_from_a_file_as_it_was(tmp_path):
    figure = Figure("km", "curves", "apart", "crossing", b"<?xml version='1.0'?><svg/>", "svg")
    cells = (("a", 1, 2.5, True), (Missing("no event"), Mark(False, "not given"), None, False))
    table = Table(
        "Hazards", (Column("who", "", "the patient", 1), "n", Column("HR", "", "ratio", 3), "flag"), cells, "c", ("n",)
    )
    section = Section("Survival", "survival", "Two\n\nparagraphs.", (figure,), (table,))
    path = tmp_path / "sections.json"
    write_json({"sections": [section_values(s) for s in (section, Section("None", "none", skipped="no outcome"))]}, path)
    stored = read_json(path)["sections"]
    assert isinstance(stored, list)
    assert section_from(stored[0]) == section
    assert section_from(stored[1]).skipped == "no outcome"
    assert Mark(False, "not given") == section_from(stored[0]).tables[0].rows[1][1]


def test_not_a_number_comes_back_as_a_missing_value(tmp_path):
    section = Section("S", "s", tables=(Table("T", ("x",), ((float("nan"),),)),))
    write_json(section_values(section), tmp_path / "s.json")
    assert section_from(read_json(tmp_path / "s.json")).tables[0].rows == ((None,),)
