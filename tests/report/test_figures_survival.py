from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.report.figures import (
    ForestRow,
    Regression,
    cut_figure,
    forest_figure,
    incidence_figure,
    interaction_figure,
    scatter_figure,
    survival_figure,
)
from regrowth.report.figures.association import _least_squares
from regrowth.report.figures.survival import DAYS_PER_UNIT, _at_risk, p_words
from regrowth.statistics import cumulative_incidence, kaplan_meier
from tests.report.figure_words import height_pt, words

NAN = math.nan
MONTH = DAYS_PER_UNIT["months"]


@pytest.fixture
def two_groups(rng):
    def curve(n, mean):
        time, end = np.ceil(rng.exponential(mean, n)), np.ceil(rng.uniform(200, 2500, n))
        return kaplan_meier(np.minimum(time, end), time <= end)

    return {"methylated": curve(80, 900.0), "unmethylated": curve(115, 500.0)}


def test_the_number_at_risk_in_the_figure_is_that_of_the_curve(two_groups):
    times = np.arange(0, 73, 12) * MONTH
    for curve in two_groups.values():
        np.testing.assert_array_equal(_at_risk(curve, times), curve.at_risk_at(times))
    shown = words(survival_figure(two_groups, name="km", title="t", max_time=24))
    ticks = np.array([0, 3, 6, 9, 12, 15, 18, 21, 24]) * MONTH
    for curve in two_groups.values():
        for count in curve.at_risk_at(ticks):
            assert str(int(count)) in shown


def test_numbers_at_risk_count_who_is_observed_at_least_that_long():
    curve = kaplan_meier(np.array([100.0, 200.0, 200.0, 300.0]), np.array([True, False, True, True]))
    np.testing.assert_array_equal(_at_risk(curve, np.array([0, 100, 101, 200, 201, 300, 301])), [4, 4, 3, 3, 1, 1, 0])


def test_times_are_drawn_in_months_of_30_4375_days():
    curve = kaplan_meier(np.array([304.375, 608.75, 913.125]), np.array([True, True, True]))
    shown = words(survival_figure({"all": curve}, name="km", title="t"))
    assert "time (months)" in shown
    assert any(w.startswith("median 20.0 months") for w in shown)
    days = words(survival_figure({"all": curve}, name="km", title="t", unit="days"))
    assert any(w.startswith("median 608.8 days") for w in days)


def test_the_legend_gives_patients_events_and_median_of_each_group(two_groups):
    shown = words(survival_figure(two_groups, name="km", title="Overall survival", log_rank_p=0.0123))
    for group, curve in two_groups.items():
        assert f"{group} (n = {curve.n}, {curve.n_events} events)" in shown
        bounds = [b / MONTH for b in (curve.median, curve.median_lower, curve.median_upper)]
        assert f"median {bounds[0]:.1f} months ({bounds[1]:.1f} to {bounds[2]:.1f})" in shown
    assert "log-rank p = 0.012" in shown


def test_a_median_that_is_not_reached_is_said_to_be_so():
    curve = kaplan_meier(np.array([100.0, 200.0, 300.0, 400.0]), np.array([True, False, False, False]))
    assert "median not reached" in words(survival_figure({"all": curve}, name="km", title="t"))


def test_p_values_are_never_written_as_zero():
    assert p_words(1e-9) == "p < 0.001"
    assert p_words(0.0423) == "p = 0.042"
    assert p_words(0.5) == "p = 0.50"
    assert p_words(NAN) == "p not known"


def test_six_groups_can_be_drawn_and_seven_cannot(rng):
    curves = {
        f"a long name of group {k} that needs two lines": kaplan_meier(np.ceil(rng.exponential(300, 9)), np.ones(9, bool))
        for k in range(7)
    }
    six = dict(list(curves.items())[:6])
    assert height_pt(survival_figure(six, name="km", title="t")) > 1.2 * height_pt(
        survival_figure(dict(list(six.items())[:1]), name="km", title="t")
    )
    with pytest.raises(ParameterError, match="at most 6"):
        survival_figure(curves, name="km", title="t")


def test_charts_without_anything_to_draw_are_refused():
    nobody = SimpleNamespace(n=0)
    with pytest.raises(ParameterError, match="no curve with a patient"):
        survival_figure({}, name="km", title="t")
    with pytest.raises(ParameterError, match="no curve with a patient"):
        incidence_figure({"a": nobody}, name="ci", title="t")
    with pytest.raises(ParameterError, match="no unit of time 'weeks'"):
        survival_figure({}, name="km", title="t", unit="weeks")
    with pytest.raises(ParameterError, match="no effect"):
        forest_figure([ForestRow("Survival", heading=True)], name="f", title="t")
    with pytest.raises(ParameterError, match="below 0"):
        forest_figure([ForestRow("age", -0.2, -0.4, 0.1)], name="f", title="t")
    with pytest.raises(ParameterError, match="no cut has a statistic"):
        cut_figure(np.array([1.0]), np.array([NAN]), name="c", title="t", quantity="q")
    with pytest.raises(ParameterError, match="do not fit"):
        cut_figure(np.array([1.0]), np.array([1.0, 2.0]), name="c", title="t", quantity="q")
    with pytest.raises(ParameterError, match="no hazard ratio"):
        interaction_figure(*[np.array([NAN])] * 4, name="i", title="t")
    with pytest.raises(ParameterError, match="both values"):
        scatter_figure(np.array([1.0]), np.array([NAN]), name="s", title="t", x_label="x", y_label="y")
    with pytest.raises(ParameterError, match="one length"):
        scatter_figure(np.zeros(3), np.zeros(2), name="s", title="t", x_label="x", y_label="y")


def test_causes_of_the_same_patients_share_one_row_at_risk_and_can_be_stacked(rng):
    time, cause = np.ceil(rng.exponential(400, 60)), rng.integers(0, 3, 60)
    curves = {"recurrence": cumulative_incidence(time, cause, 1), "death": cumulative_incidence(time, cause, 2)}
    shown = words(incidence_figure(curves, name="ci", title="t"))
    assert shown.count("at risk") == 1
    assert f"recurrence (n = 60, {int((cause == 1).sum())} events)" in shown
    stacked = incidence_figure(curves, name="ci", title="t", stacked=True)
    assert "stacked to 100 %" in stacked.caption
    other = cumulative_incidence(time[:30], cause[:30], 1)
    with pytest.raises(ParameterError, match="same patients"):
        incidence_figure({"a": curves["recurrence"], "b": other}, name="ci", title="t", stacked=True)
    assert words(incidence_figure({"a": curves["recurrence"], "b": other}, name="ci", title="t")).count("b") == 1


def test_incidence_is_stated_where_ten_are_still_at_risk(rng):
    few = cumulative_incidence(np.array([100.0, 200.0]), np.array([1, 0]), 1)
    assert "fewer than 10 at risk throughout" in words(incidence_figure({"a": few}, name="ci", title="t"))
    time = np.concatenate([np.full(30, 200.0), np.full(30, 800.0)])
    curve = cumulative_incidence(time, np.concatenate([np.ones(30, int), np.zeros(30, int)]), 1)
    assert any(
        w.startswith("50 % (") and "at 24 months" in w for w in words(incidence_figure({"a": curve}, name="ci", title="t"))
    )


def test_a_forest_prints_every_number_and_says_what_is_not_known():
    rows = [
        ForestRow("Overall survival", heading=True),
        ForestRow("age, per 10 years", 1.32, 1.10, 1.58, p_value=0.003),
        ForestRow("IDH mutant", 0.05, 0.001, 2.1, note="n = 9"),
        ForestRow("biopsy", 60.0, 2.0, 9000.0),
        ForestRow("not varying"),
        ForestRow("separated", 3.0),
    ]
    shown = words(forest_figure(rows, name="f", title="Cox"))
    for expected in ("1.32", "(1.10 to 1.58)", "p = 0.003", "(0.001 to 2.10)", "(2.00 to > 1000)"):
        assert expected in shown
    assert "not estimable" in shown
    assert "(interval not known)" in shown
    assert "IDH mutant  (n = 9)" in shown
    assert height_pt(forest_figure(rows, name="f", title="Cox")) > height_pt(forest_figure(rows[:2], name="f", title="Cox"))


def test_a_forest_of_differences_has_a_linear_axis_about_zero():
    shown = words(
        forest_figure(
            [ForestRow("a", -1.5, -3.0, 0.2)], name="f", title="t", log=False, reference=0.0, quantity="difference (mm)"
        )
    )
    assert "−1.50" in shown
    assert "(−3.00 to 0.20)" in shown


def test_a_cut_is_drawn_beside_the_naive_and_the_permutation_limit(rng):
    cuts = np.linspace(0.1, 1.0, 30)
    z = -2.5 * np.exp(-(((cuts - 0.4) / 0.1) ** 2))  # the sign does not matter
    options = {"critical_z": 2.87, "chosen": 0.41, "fixed": 0.324, "p_value": 0.21}
    figure = cut_figure(
        cuts, z, name="c", title="t", quantity="ratio", **options, bootstrap=rng.normal(0.4, 0.1, 50), interval=(0.2, 0.6)
    )
    shown = words(figure)
    assert "2.87, needed after a search (permutations)" in shown
    assert "1.96, valid for one cut alone" in shown
    assert "cut found here: 0.41" in shown
    assert "published cut: 0.324" in shown
    assert any("0.2 to 0.6" in w for w in shown)
    assert any("permutation p = 0.21" in w for w in shown)
    assert "50 bootstrap samples" in figure.caption
    without = cut_figure(cuts, z, name="c", title="t", quantity="ratio", **options, interval=(0.2, 0.6))
    assert "bootstrap interval of the cut: 0.2 to 0.6" in words(without)
    assert height_pt(without) < height_pt(figure)


def test_hazard_ratios_at_given_ages_are_printed():
    ages = np.linspace(30, 80, 20)
    ratio = np.exp(0.02 * (ages - 60))
    figure = interaction_figure(
        ages,
        ratio,
        ratio / 1.5,
        ratio * 1.5,
        name="i",
        title="t",
        markers=[(50, 0.82, 0.55, 1.23)],
        p_value=0.04,
        observed=ages,
    )
    assert "at 50: 0.82 (0.55 to 1.23)" in words(figure)
    assert any("interaction p = 0.040" in w for w in words(figure))


def test_patients_with_unknown_values_are_counted_and_not_drawn():
    x, y = np.array([1.0, 2.0, 3.0, NAN, 5.0]), np.array([2.0, NAN, 5.0, 1.0, 0.0])
    figure = scatter_figure(x, y, name="s", title="t", x_label="x", y_label="y", spearman=(0.5, -0.1, 0.9, 0.2))
    assert "n = 3, 2 not shown (unknown)" in figure.caption
    assert any(w.startswith("Spearman 0.50 (−0.10 to 0.90), p = 0.20") for w in words(figure))
    logged = scatter_figure(x, y, name="s", title="t", x_label="x", y_label="y", log_y=True)
    assert "n = 2, 3 not shown (unknown or 0)" in logged.caption


def test_the_regression_line_is_that_of_least_squares(rng):
    x = rng.uniform(0, 10, 40)
    y = 3 + 2 * x + rng.normal(0, 1, 40)
    line = _least_squares(x, y, False, False)
    assert isinstance(line, Regression)
    slope, intercept = np.polyfit(x, y, 1)
    np.testing.assert_allclose(line.y, intercept + slope * line.x, rtol=1e-9)
    assert ((line.lower < line.y) & (line.y < line.upper)).all()
    power = _least_squares(x + 1, 4 * (x + 1) ** 1.5, True, True)
    assert power is not None
    np.testing.assert_allclose(power.y, 4 * power.x**1.5, rtol=1e-9)
    assert _least_squares(x[:3], y[:3], False, False) is None
    assert _least_squares(np.ones(9), y[:9], False, False) is None


def test_the_commonest_groups_of_a_scatter_are_named_and_the_rest_is_counted(rng):
    groups = [f"class {k}" for k in range(9) for _ in range(10 - k)]
    x = rng.uniform(1, 9, len(groups))
    shown = words(scatter_figure(x, x, name="s", title="t", x_label="x", y_label="y", groups=groups))
    assert "class 0 (10)" in shown
    assert "others (14)" in shown


def test_charts_are_the_same_bytes_each_time_even_from_two_threads(two_groups):
    def draw(_):
        return survival_figure(two_groups, name="km", title="t", log_rank_p=0.2).data

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(draw, range(2))
    assert first == second == draw(0)


def test_charts_are_svg_that_follow_the_dark_mode_and_mark_synthetic_data(two_groups):
    rows = [ForestRow("age", 1.3, 1.1, 1.6)]
    made = (
        survival_figure(two_groups, name="km", title="<b>$x$ & more", synthetic=True),
        forest_figure(rows, name="f", title="t", synthetic=True),
        scatter_figure(np.arange(5.0), np.arange(5.0), name="s", title="t", x_label="x", y_label="y", synthetic=True),
    )
    for figure in made:
        assert ElementTree.fromstring(figure.data).tag.endswith("svg")
        assert b"prefers-color-scheme: dark" in figure.data
        assert b'id="watermark-synthetic"' in figure.data
        assert figure.caption.endswith("Synthetic data.")
        assert min(map(len, (figure.caption, figure.what_good_looks_like, figure.what_failure_looks_like))) > 40
    assert b"watermark" not in forest_figure(rows, name="f", title="t").data
