from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.report.figures import flow_figure, stay_figure, transition_figure
from regrowth.report.figures.transitions import _stacked
from regrowth.statistics.proportion import wilson_interval
from regrowth.statistics.transitions import transitions
from tests.report.figure_words import height_pt, words

CLASSES = ["frontal", "parietal", "temporal", "multiple"]
COUNTS = np.array([[22, 2, 1, 6], [1, 14, 0, 3], [2, 1, 20, 4], [0, 0, 0, 0]])
NINE = [*CLASSES, "insula", "cingulate", "deep grey", "a class with a name that is far too long for a cell", "brainstem"]


def test_every_cell_has_its_count_share_and_wilson_interval():
    shown = words(transition_figure(COUNTS, CLASSES, p_value=0.0001))
    low, high = wilson_interval(22, 31)
    assert f"71 % ({100 * low:.0f}–{100 * high:.0f})" in shown
    for row in COUNTS:
        assert f"n = {row.sum()}" in shown
    for total in (*COUNTS.sum(axis=0), COUNTS.sum()):
        assert str(total) in shown
    assert any("permutation test p < 0.001" in w for w in shown)


def test_the_matrix_of_the_statistics_can_be_drawn_as_it_is(rng):
    primary, recurrence = rng.choice(CLASSES, 60), rng.choice(CLASSES, 60)
    found = transitions(list(primary), list(recurrence))
    figure = transition_figure(found.counts, found.classes, lower=found.lower, upper=found.upper)
    assert "60 patients" in figure.caption
    assert "60 patients" in flow_figure(found.counts, found.classes).caption


def test_the_cells_in_which_the_tumour_stays_are_framed():
    figure = transition_figure(COUNTS, CLASSES, ["parietal", "frontal", "temporal", "multiple"])
    assert figure.data.count(b'id="stays-') == 4
    other = transition_figure(COUNTS[:, :2], CLASSES, ["left", "right"])
    assert b'id="stays-' not in other.data


def test_a_row_without_patients_shows_a_dash_and_not_a_zero_share():
    shown = words(transition_figure(np.array([[3, 0], [0, 0]]), ["a", "b"]))
    assert shown.count("–") == 2
    assert "100 % (44–100)" in shown


def test_8_of_14_is_57_percent_with_a_wilson_interval_of_33_to_79():
    shown = words(stay_figure({"temporal": (8, 14), "parietal": (2, 10), "empty": (0, 0)}))
    assert "8 of 14: 57.1 % (33 to 79)" in shown
    assert "no patient" in shown
    assert any(w.startswith("10 of 24: 41.7 %") for w in shown)  # all together
    assert not any("of 14: 57.1" in w for w in words(stay_figure({"temporal": (9, 14)})))


def test_bands_hold_every_patient_once_on_both_sides():
    shown = words(flow_figure(COUNTS, CLASSES))
    for name, count in zip(CLASSES, COUNTS.sum(axis=1), strict=True):
        if count:
            assert any(w.startswith(f"{name}  {count} (") for w in shown)
    assert any(w.startswith("multiple  13 (17 %)") for w in shown)
    assert "56 of whom stay" in flow_figure(COUNTS, CLASSES).caption
    starts = _stacked(np.array([3, 0, 2]), 1.0)
    np.testing.assert_array_equal(starts, [0.0, 4.0, 4.0])


def test_nine_classes_with_long_names_and_one_class_fit(rng):
    many = rng.poisson(1.0, (9, 9)) + np.diag(rng.poisson(9.0, 9)) + np.eye(9, dtype=int)
    for draw in (transition_figure, flow_figure):
        assert draw(many, NINE).data.startswith(b"<?xml")
        assert draw(np.array([[1]]), ["frontal"]).data.startswith(b"<?xml")
    assert height_pt(transition_figure(many, NINE)) > height_pt(transition_figure(COUNTS, CLASSES))


def test_nothing_to_count_and_wrong_counts_are_refused():
    for draw in (transition_figure, flow_figure):
        with pytest.raises(ParameterError, match="no patient"):
            draw(np.zeros((2, 2), int), ["a", "b"])
        with pytest.raises(ParameterError, match="no patient"):
            draw(np.zeros((0, 0), int), [])
        with pytest.raises(ParameterError, match="do not fit 3 by 3"):
            draw(np.ones((2, 2), int), ["a", "b", "c"])
        with pytest.raises(ParameterError, match="whole numbers"):
            draw(np.array([[0.5]]), ["a"])
        with pytest.raises(ParameterError, match="whole numbers"):
            draw(np.array([[-1, 3], [0, 2]]), ["a", "b"])
    with pytest.raises(ParameterError, match="intervals of shape"):
        transition_figure(COUNTS, CLASSES, lower=np.zeros(3))
    with pytest.raises(ParameterError, match="no patient"):
        stay_figure({})
    with pytest.raises(ParameterError, match="more patients moved than there are in a"):
        stay_figure({"a": (3, 2)})


def test_the_same_counts_give_the_same_bytes_and_other_counts_do_not():
    for draw in (transition_figure, flow_figure):
        assert draw(COUNTS, CLASSES).data == draw(COUNTS.copy(), list(CLASSES)).data
        assert draw(COUNTS, CLASSES).data != draw(COUNTS.T, CLASSES).data


def test_synthetic_counts_are_marked():
    for figure in (transition_figure(COUNTS, CLASSES, synthetic=True), stay_figure({"a": (1, 2)}, synthetic=True)):
        assert b'id="watermark-synthetic"' in figure.data
        assert b"prefers-color-scheme: dark" in figure.data
