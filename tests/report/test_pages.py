from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from regrowth.errors import ParameterError
from regrowth.report import (
    CohortReport,
    Column,
    Figure,
    Flag,
    Mark,
    Missing,
    PatientReport,
    PatientRow,
    Section,
    StepError,
    SummaryItem,
    Table,
    inventory_table,
    render_cohort,
    render_patient,
)
from regrowth.report.render import cell_of, table_view
from tests.report.report_scene import SESSIONS, cohort_report, grid_of, head, patient_report

VOID = {"meta", "img", "br", "link", "input", "hr"}
EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Attributes, ids and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "poster", "data"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report() -> PatientReport:
    return patient_report(head(grid_of("LPS", (2.0, 2.0, 2.0))))


@pytest.fixture(scope="module")
def page(report) -> str:
    return render_patient(report)


@pytest.fixture(scope="module")
def cohort() -> CohortReport:
    return cohort_report(head(grid_of("RAS", (3.0, 3.0, 3.0))))


def test_a_patient_page_loads_nothing_from_anywhere(page):
    parsed = Page(page)
    assert parsed.addresses
    assert all(a.startswith(("#", "data:image/")) for a in parsed.addresses)
    assert not re.search(r"https?:|//\w+\.|url\(|@import", page)
    assert "default-src 'none'" in page
    for picture in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page):
        svg = re.sub(rb'xmlns(:\w+)?="[^"]*"', b"", base64.b64decode(picture))
        assert b"http" not in svg


def test_a_cohort_page_links_only_to_the_pages_beside_it(cohort):
    parsed = Page(render_cohort(cohort))
    outside = [a for a in parsed.addresses if not a.startswith(("#", "data:image/"))]
    assert outside == [f"sub-{n:03d}.html" for n in range(1, 13)]
    assert not re.search(r"https?:|url\(|@import", render_cohort(cohort))


def test_pages_are_well_formed_with_unique_ids_and_working_navigation(page, cohort):
    for html in (page, render_cohort(cohort)):
        parsed = Page(html)
        assert parsed.open == []
        assert len(parsed.ids) == len(set(parsed.ids))
        assert {a[1:] for a in parsed.addresses if a.startswith("#")} <= set(parsed.ids)


def test_everything_from_outside_is_escaped():
    figure = Figure("f", EVIL, EVIL, EVIL, b"\x89PNG", "png")
    table = Table(
        EVIL, (Column(EVIL, EVIL, '" onmouseover="alert(1)'),), ((EVIL,), (Missing(EVIL),), (Mark(False, EVIL),)), EVIL, (EVIL,)
    )
    report = PatientReport(
        EVIL,
        EVIL,
        EVIL,
        (SummaryItem(EVIL, EVIL, EVIL, EVIL, EVIL),),
        (Flag("error", EVIL, EVIL, EVIL),),
        (Section(EVIL, "a", EVIL, (figure,), (table,)), Section("b", "b", skipped=EVIL)),
        EVIL,
        (EVIL,),
        (StepError(EVIL, EVIL, EVIL, EVIL),),
        ((EVIL, EVIL),),
        True,
        (EVIL,),
    )
    html = render_patient(report)
    assert EVIL not in html
    assert Page(html).tags.count("script") == 1
    assert 'onmouseover="alert(1)"' not in html
    row = PatientRow(EVIL, "a.html", EVIL, EVIL, {EVIL: 1.0}, status="failed", note=EVIL)
    html = render_cohort(CohortReport(EVIL, EVIL, EVIL, (row,), ran=EVIL, failures=(StepError(EVIL, EVIL, EVIL, EVIL, EVIL),)))
    assert EVIL not in html
    assert Page(html).tags.count("script") == 1


def test_links_that_leave_the_folder_are_refused():
    for link in ("javascript:alert(1)", "https://example.org", "//example.org/x", "/etc/passwd"):
        with pytest.raises(ParameterError, match="relative file name"):
            PatientRow("1", link)


def test_the_same_report_gives_the_same_page(report, page, cohort):
    assert render_patient(report) == page
    assert render_cohort(cohort) == render_cohort(cohort)


def test_a_page_of_six_figures_stays_small(page):
    assert len(page) < 4_000_000


def test_the_top_says_what_was_done_skipped_and_failed_in_one_sentence_each(page):
    top = page[page.index('class="statusline"') : page.index('class="summary"')]
    assert "Inventory, Timeline, Segmentation, Registration, Recurrence." in top
    assert "Perfusion: no DSC series in any session." in top
    assert "segment in ses-planning: no model folder given" in top


def test_many_failures_are_counted_at_the_top_and_listed_below(report):
    errors = tuple(StepError(f"step{n}", "a", "broke") for n in range(9))
    html = render_patient(replace(report, errors=errors))
    top = html[html.index('class="statusline"') : html.index('class="summary"')]
    assert top.count("broke") == 5
    assert "4 more: see Errors." in top
    assert html[html.index('<section id="errors">') :].count("broke") == 9


def test_flags_come_first_and_errors_before_warnings(page):
    assert page.index('id="flags"') < page.index('id="inventory"')
    flags = page[page.index('<ul class="flags">') : page.index('id="inventory"')]
    assert re.findall(r'<li class="(\w+)">', flags) == ["error", "warning", "info"]


def test_synthetic_pages_say_so_and_real_ones_do_not(report, page):
    assert "Synthetic data." in page
    real = replace(report, synthetic=False, sections=())
    assert "Synthetic" not in render_patient(real)


def test_only_the_participant_label_identifies_the_patient(page):
    assert "<title>sub-017 · Regrowth</title>" in page


def test_methods_can_be_copied_and_references_follow(page):
    assert 'data-copy="methods-text"' in page
    methods = page[page.index('id="methods-text"') :]
    assert "Greedy 1.4.0.3 [1]" in methods
    assert "doi:10.1016/j.jalz.2016.06.205" in methods


def test_a_report_without_results_is_still_a_page():
    html = render_patient(PatientReport("1", "today", "0"))
    assert "No flag was raised." in html
    assert "No step failed." in html
    empty = render_cohort(CohortReport("Cohort", "today", "0"))
    assert "0 of 0 patients." in empty
    assert "no patient has a result yet" in empty


def test_missing_values_are_a_dash_with_the_reason_as_a_footnote():
    view = table_view(Table("t", ("a", "b", "c"), ((Missing("no FLAIR"), 1.0, float("nan")), (2.0, Missing("no FLAIR"), None))))
    assert [c.text for row in view.rows for c in row] == ["–", "1.00", "–", "2.00", "–", "–"]
    assert view.reasons == (("a", "no FLAIR"),)
    assert view.rows[0][0].footnote == view.rows[1][1].footnote == "a"
    assert "– no value" in view.notes


@pytest.mark.parametrize(
    ("value", "digits", "text", "sort"),
    [
        (-1.005, 1, "−1.0", "-1.005"),
        (-0.001, 2, "0.00", "-0.001"),
        (3, 2, "3", "3.0"),
        (float("inf"), 2, "∞", "inf"),
        (True, 2, "yes", "1"),
        ("distant", 2, "distant", "distant"),
    ],
)
def test_values_are_shown_with_a_true_minus_and_sort_by_their_value(value, digits, text, sort):
    cell = cell_of(value, digits)
    assert (cell.text, cell.sort) == (text, sort)


def test_columns_of_numbers_are_aligned_right_even_where_a_value_is_missing():
    view = table_view(Table("t", ("a", "b"), ((Missing("x"), "w"), (1.0, Missing("y")))))
    assert [numeric for _, numeric in view.columns] == [True, False]


def test_rows_that_do_not_fit_the_columns_are_refused():
    with pytest.raises(ParameterError, match="row 2 has 1 values for 2 columns"):
        Table("t", ("a", "b"), ((1, 2), (1,)))


def test_figures_that_are_not_what_they_say_are_refused():
    with pytest.raises(ParameterError, match="not a png"):
        Figure("x", "", "", "", b"<?xml", "png")
    with pytest.raises(ParameterError, match="file name"):
        Figure("../x", "", "", "", b"\x89PNG", "png")


def test_two_sections_cannot_share_an_anchor():
    with pytest.raises(ParameterError, match="used twice or reserved"):
        PatientReport("1", "", "", sections=(Section("a", "a"), Section("b", "a")))
    with pytest.raises(ParameterError, match="reserved"):
        PatientReport("1", "", "", sections=(Section("Methods", "methods"),))


def test_the_inventory_shows_what_is_there_and_says_what_is_missing():
    table = inventory_table(SESSIONS, {"planning": "segmentation: no model"})
    names = [c.name for c in table.columns]
    rows = {row[0]: dict(zip(names, row, strict=True)) for row in table.rows}
    assert rows["preop"]["FLAIR"] == Mark(True, rows["preop"]["FLAIR"].note)
    assert not rows["postop"]["FLAIR"].present
    assert "oedema" in rows["postop"]["FLAIR"].note
    assert rows["planning"]["skipped"] == "segmentation: no model"
    assert rows["planning"]["label scheme"] == Missing("no segmentation was given")
    assert rows["preop"]["label scheme"] == "brats-2024-post"


def test_a_failed_patient_stands_in_the_cohort_table_with_the_reason(cohort):
    html = render_cohort(cohort)
    assert "10 of 12 patients." in html
    assert "sub-005, register in ses-progression: greedy stopped with exit code 1." in html
    assert html.count("registration failed: see its page") >= 3
