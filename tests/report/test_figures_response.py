from __future__ import annotations

import math

import pytest

from regrowth.errors import ParameterError
from regrowth.report.figures import ClinicalEvent, response_figure, swimmer_figure
from regrowth.report.figures.response import CATEGORIES, _levels
from regrowth.response import Exam, ResponseParameters, assess
from tests.report.figure_words import height_pt, words

NAN = math.nan


def exam(day: int, phase: str, volume: float, product: float, new: int | None, label: str) -> Exam:
    return Exam(day, phase, {"ET": volume, "NE": 2 * volume}, {"ET": product}, new, label)


EXAMS = [
    exam(0, "preop", 31.0, 1800.0, None, "preop"),
    exam(95, "postradiotherapy", 6.0, 410.0, 0, "postrt"),
    exam(150, "followup", 9.2, 540.0, 0, "followup1"),
    exam(200, "followup", 3.1, 200.0, 0, "followup2"),
    exam(260, "followup", NAN, NAN, None, "followup3"),
    exam(410, "progression", 7.4, 520.0, 2, "progression"),
]
FOUND = assess(EXAMS, radiotherapy_end_day=67)


def test_every_exam_carries_the_letters_of_its_category():
    shown = words(response_figure(EXAMS, FOUND))
    for found in FOUND:
        assert found.label in shown
        assert CATEGORIES[found.category][0] in shown
    assert "★+2" in shown
    assert any(w.startswith("PD progression") for w in shown)
    assert "followup1: stable disease" in response_figure(EXAMS, FOUND).caption


def test_confirmation_is_written_and_what_is_open_is_explained():
    shown = words(response_figure(EXAMS, FOUND))
    assert "not confirmed" in shown
    assert "hollow: not certain yet" in words(response_figure(EXAMS[:3], assess(EXAMS[:3], radiotherapy_end_day=67)))
    assert "hollow: not certain yet" not in words(response_figure(EXAMS[:2], assess(EXAMS[:2])))


def test_the_thresholds_in_the_figure_are_those_that_were_used():
    p = ResponseParameters(progression_volume_share=0.55)
    shown = words(response_figure(EXAMS, assess(EXAMS, p), parameters=p))
    assert any("nadir +55 %" in w and "baseline −65 %" in w for w in shown)
    assert any("nadir +25 %" in w and "baseline −50 %" in w for w in shown)


def test_a_size_far_above_the_others_before_the_baseline_is_an_arrow_with_its_number():
    assert "31" in words(response_figure(EXAMS, FOUND))
    assert "31" not in words(response_figure(EXAMS[1:], assess(EXAMS[1:])))


def test_measures_that_nobody_made_have_no_panel():
    volumes = [Exam(e.day, e.phase, e.volumes_ml, {}, e.new_lesions, e.label) for e in EXAMS]
    nothing = [Exam(e.day, e.phase, {}, {}, None, e.label) for e in EXAMS]
    heights = [height_pt(response_figure(x, assess(x))) for x in (EXAMS, volumes, nothing)]
    assert heights[0] > heights[1] + 80 > heights[2] + 160
    assert "No size is known" in response_figure(nothing, assess(nothing)).caption


def test_treatments_are_named_and_one_exam_is_enough():
    shown = words(response_figure(EXAMS[:1], assess(EXAMS[:1]), events=[ClinicalEvent("radiotherapy", 25, 67)]))
    assert any(w.strip() == "radiotherapy" for w in shown)


def test_marks_close_in_time_stand_on_different_levels():
    assert _levels([0.0, 3.0, 200.0], 500.0) == [0, 1, 0]
    assert _levels([0.0, 1.0, 2.0], 500.0) == [0, 1, 2]


def test_no_exam_and_assessments_of_other_exams_are_refused():
    with pytest.raises(ParameterError, match="at least one exam"):
        response_figure([], [])
    with pytest.raises(ParameterError, match="not of these exams"):
        response_figure(EXAMS, FOUND[:-1])
    with pytest.raises(ParameterError, match="no patient has an exam"):
        swimmer_figure({"001": ()})


def test_a_swimmer_has_one_lane_per_patient_and_counts_who_is_left_out():
    figure = swimmer_figure({"001": FOUND, "002": FOUND[1:3], "003": ()}, ends={"001": (500, True)})
    assert "2 of 3 patients" in figure.caption
    assert "1 without an exam are left out" in figure.caption
    assert {"001", "002"} <= set(words(figure))
    many = {f"{k:03d}": FOUND for k in range(5)}
    assert "3 of 5 patients" in swimmer_figure(many, most=3).caption


def test_the_same_series_gives_the_same_bytes_and_synthetic_ones_are_marked():
    assert response_figure(EXAMS, FOUND).data == response_figure(EXAMS[::-1], FOUND[::-1]).data
    marked = response_figure(EXAMS, FOUND, synthetic=True)
    assert b'id="watermark-synthetic"' in marked.data
    assert b"prefers-color-scheme: dark" in marked.data
