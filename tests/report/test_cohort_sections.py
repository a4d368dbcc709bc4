from __future__ import annotations

import re

import pytest

from regrowth.errors import ParameterError
from regrowth.report import CohortReport, Column, PatientRow, Section, Table, render_cohort
from regrowth.report.figures import ForestRow, forest_figure, stay_figure

LONG = "multiple-lobes-of-both-hemispheres-and-the-corpus-callosum-in-one-word-that-cannot-be-wrapped"
SECTIONS = (
    Section(
        "Survival", "survival", "Cox regression.", (forest_figure([ForestRow("age", 1.3, 1.1, 1.5)], name="cox", title="Cox"),)
    ),
    Section("Transitions", "transitions", tables=(Table("Counts", ("class", Column("n")), ((LONG, 3),)),)),
    Section("Imputation", "imputation", skipped="no value is missing"),
)


def anchors(html: str) -> list[str]:
    return re.findall(r'<section id="([\w-]+)">', html)


def test_sections_stand_between_the_distributions_and_the_mosaic():
    html = render_cohort(CohortReport("Cohort", "today", "0", (PatientRow("001"),), sections=SECTIONS))
    assert anchors(html) == [
        "flags",
        "patients",
        "distributions",
        "survival",
        "transitions",
        "imputation",
        "mosaic",
        "errors",
        "about",
    ]
    for anchor in ("survival", "transitions"):
        assert f'<a href="#{anchor}">' in html
    assert '<a href="#imputation" class="off">' in html
    assert "Imputation: no value is missing." in html[: html.index('id="flags"')]
    assert 'data-figure="cox"' in html
    assert LONG in html


def test_a_plain_table_gives_a_page_without_patients_and_without_empty_parts():
    html = render_cohort(CohortReport("Analysis of cohort.tsv", "today", "0", ran="195 rows.", sections=SECTIONS))
    assert anchors(html) == ["flags", "survival", "transitions", "imputation", "errors", "about"]
    assert "#patients" not in html
    assert "0 of 0 patients" not in html
    assert "Survival, Transitions." in html
    assert "195 rows." in html
    assert "<h1>Analysis of cohort.tsv</h1>" in html


def test_distributions_of_a_plain_table_are_shown_where_there_are_some():
    stays = stay_figure({"frontal": (1, 3)})
    html = render_cohort(CohortReport("Analysis", "today", "0", distributions=(stays,), sections=SECTIONS))
    assert anchors(html)[:3] == ["flags", "distributions", "survival"]


def test_a_cohort_without_patients_and_without_sections_still_says_that_nobody_is_there():
    html = render_cohort(CohortReport("Cohort", "today", "0"))
    assert anchors(html) == ["flags", "patients", "distributions", "mosaic", "errors", "about"]
    assert "there is no patient in this run" in html


@pytest.mark.parametrize("anchor", ["patients", "distributions", "mosaic", "methods", "flags"])
def test_the_anchors_of_the_page_itself_cannot_be_taken(anchor):
    with pytest.raises(ParameterError, match="used twice or reserved"):
        CohortReport("Cohort", "today", "0", sections=(Section("x", anchor),))


def test_two_sections_of_a_cohort_cannot_share_an_anchor():
    with pytest.raises(ParameterError, match="Cohort: the section anchor"):
        CohortReport("Cohort", "today", "0", sections=(Section("a", "x"), Section("b", "x")))


def test_long_names_wrap_and_tables_scroll_instead_of_stretching_the_page():
    html = render_cohort(CohortReport(LONG, "today", "0", sections=(Section(LONG, "long", tables=SECTIONS[1].tables),)))
    style = html[html.index("<style>") : html.index("</style>")]
    assert re.search(r"nav a, h2[^{]*\{ overflow-wrap: anywhere; \}", style)
    assert re.search(r"\.table \{ overflow-x: auto", style)
    assert html.index('<div class="table"') < html.index(f">{LONG}</td>")
