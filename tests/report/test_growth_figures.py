from __future__ import annotations

import io
import math

import numpy as np
import PIL.Image
import pytest

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.growth.baselines import log_linear_forecast, persistence_forecast
from regrowth.growth.case_scores import CaseScore
from regrowth.growth.conformal import ConformalBand
from regrowth.growth.coverage import CoverageCurve, coverage_curve
from regrowth.growth.plan import TreatmentPlan, model_plan, standard_plan
from regrowth.growth.record import TreatmentEvent
from regrowth.growth.scorecard import ScoreCard, score_card
from regrowth.growth.scores import Calibration, calibration
from regrowth.growth.series import Forecast, VolumeSeries
from regrowth.report import Figure
from regrowth.report.figures.forecast import MOST_PANELS, ForecastPanel, cohort_forecast_figure, forecast_figure
from regrowth.report.figures.growth import calibration_figure, coverage_figure, growth_map_figure, plan_figure
from regrowth.report.figures.scorecard import score_figure
from regrowth.report.figures.section_view import SectionView
from regrowth.report.figures.volume_axes import PlacedEvent, VolumeScale, event_rows
from regrowth.space import Grid, Image
from tests.conftest import make_grid
from tests.report.figure_words import height_pt, pixels, words
from tests.report.report_scene import grid_of, sphere

NAN = math.nan
SERIES = VolumeSeries([0, 60, 120, 200], [6.0, 3.0, 4.0, 7.0])
DAYS = np.linspace(200, 290, 7)


def banded(upper: float = 3.0, days: np.ndarray = DAYS) -> Forecast:
    middle = 7.0 * np.exp(0.004 * (days - 200))
    return Forecast(days, np.array([0.05, 0.5, 0.95]), np.stack([middle / 2, middle, middle * upper]), None, "gompertz")


def draw(*forecasts: Forecast, series: VolumeSeries = SERIES, **more: object) -> Figure:
    return forecast_figure(series, forecasts, name="f", title="Forecast", **more)  # type: ignore[arg-type]


def text(figure: Figure) -> str:
    return " ".join(words(figure))


def test_the_forecast_in_use_and_those_it_is_compared_with_are_named():
    shown = text(draw(banded(), persistence_forecast(SERIES, DAYS), log_linear_forecast(SERIES, DAYS)))
    for name in ("gompertz (used), median", "persistence", "log linear", "90 % interval, calibrated"):
        assert name in shown


def test_an_interval_from_the_models_own_samples_is_not_shown_as_one():
    samples = np.exp(np.random.default_rng(0).normal(2, 0.4, (60, DAYS.size)))
    own = draw(Forecast.from_samples(DAYS, samples, "gompertz"))
    assert "interval" not in text(own)
    assert "No interval is drawn" in own.caption
    assert "interval" in text(draw(banded()))


def test_a_point_forecast_has_no_interval_either():
    assert "interval" not in text(draw(persistence_forecast(SERIES, DAYS)))


def test_an_interval_without_an_upper_end_is_open_to_the_top_and_says_so():
    band = ConformalBand(0.8, 0.3, math.inf, 0.5, 4)
    open_top = draw(band.apply(persistence_forecast(SERIES, DAYS), SERIES.last_day))
    assert "open to the top" in open_top.caption
    assert "80 % interval" in text(open_top)
    assert "open to the top" not in draw(banded()).caption


def test_an_interval_that_leaves_the_axis_says_so():
    assert "goes on above the axis" in draw(banded(upper=500.0)).caption


def test_the_words_of_the_interval_can_be_given():
    assert "90 % interval, 57 others" in text(draw(banded(), band_label="90 % interval, 57 others"))


def test_an_exam_without_tumour_is_an_open_mark_at_the_lower_end_on_both_axes():
    for volumes, log in (([5.0, 0.0, 4.0], False), ([50.0, 0.0, 0.5], True)):
        figure = draw(series=VolumeSeries([0, 50, 90], volumes))
        assert "none seen (0 ml)" in text(figure)
        assert ("logarithmic" in figure.caption) == log
    scale = VolumeScale.of(VolumeSeries([0, 50], [50.0, 0.5]), None, [], None, None, NAN)
    assert scale.log
    assert 0 < scale.floor < 0.5


def test_the_axis_is_logarithmic_only_when_volumes_differ_by_more_than_twenty():
    for most, log in ((19.0, False), (21.0, True)):
        assert VolumeScale.of(VolumeSeries([0, 9], [1.0, most]), None, [], None, None, NAN).log == log


def test_one_exam_or_only_zeros_give_a_chart_that_says_why_there_is_no_forecast():
    one = VolumeSeries([10], [4.0])
    figure = draw(Forecast.unknown([40.0], "gompertz", "one_scan", "one scan has no trend"), series=one)
    assert "no forecast: one scan has no trend" in text(figure)
    assert "one scan has no trend" in figure.caption
    assert "no forecast" in text(draw(series=VolumeSeries([1, 2], [0.0, 0.0])))


def test_a_baseline_without_a_forecast_is_named_with_its_reason():
    one = VolumeSeries([200], [7.0])
    figure = draw(banded(), log_linear_forecast(one, DAYS), series=one)
    assert "Without a forecast: log linear (one scan has no trend)" in figure.caption


def test_a_baseline_that_explodes_leaves_the_axis_to_the_others_and_is_named():
    wild = Forecast(DAYS, np.array([0.5]), 7.0 * np.exp(0.2 * (DAYS - 200))[None], None, "log_linear")
    figure = draw(banded(), wild)
    assert "Beyond the axis: log linear" in figure.caption
    scale = VolumeScale.of(SERIES, banded(), [banded(), wild], None, None, NAN)
    assert scale.high < 100


def test_treatment_stands_in_a_strip_above_the_chart():
    events = (
        TreatmentEvent(10, 52, "radiotherapy", "60 Gy in 30"),
        TreatmentEvent(-900, -850, "radiotherapy", "50 Gy in 25"),
        TreatmentEvent(5, 5, "surgery", "surgery"),
        TreatmentEvent(150, math.inf, "drug", "bevacizumab"),
        TreatmentEvent(2000, 2040, "drug", "lomustine"),
    )
    plain, treated = draw(banded()), draw(banded(), events=events)
    shown = text(treated)
    for expected in ("60 Gy in 30", "◂ 50 Gy in 25 (day −900)", "surgery", "bevacizumab", "lomustine (day 2000) ▸"):
        assert expected in shown
    assert height_pt(treated) > height_pt(plain) + 30
    assert "Treatment" not in plain.caption


def test_events_that_overlap_stand_in_rows_of_their_own_and_others_share_one():
    first, then, later = (TreatmentEvent(a, b, "drug", "x") for a, b in ((0, 60), (30, 80), (200, 230)))
    rows = [[p.event for p in row] for row in event_rows((later, then, first), -10, 400)]
    assert rows == [[first, later], [then]]


def test_words_that_would_leave_the_axis_stand_before_their_bar():
    assert PlacedEvent.of(TreatmentEvent(10, 30, "drug", "abc"), 0, 100).side == "left"
    placed = PlacedEvent.of(TreatmentEvent(80, 99, "drug", "abc"), 0, 100)
    assert (placed.side, placed.at, placed.taken[1]) == ("right", 80, 99)


def test_a_later_reading_a_fit_and_a_threshold_are_explained():
    fit = (np.array([0.0, 100.0, 200.0]), np.array([6.0, 3.0, 7.0]))
    figure = draw(banded(), observed=(260.0, 11.0), fitted=fit, threshold_ml=4.2)
    for expected in ("later reading, not used", "fitted to the exams", "progression, 4.2 ml"):
        assert expected in text(figure)
    assert "did not know" in figure.caption
    assert "progression" not in text(draw(banded()))
    assert "later reading, not used (0 ml)" in text(draw(banded(), observed=(260.0, 0.0)))


def test_a_forecast_of_one_day_is_a_mark_with_its_interval():
    figure = draw(banded(days=np.array([260.0])), observed=(260.0, 9.0))
    assert "90 % interval" in text(figure)


def panel(n: int, observed: bool = False) -> ForecastPanel:
    return ForecastPanel(f"P{n:02d}", SERIES, banded(), (260.0, 9.0) if observed else None)


def test_the_sheet_of_a_cohort_counts_whom_it_leaves_out():
    figure = cohort_forecast_figure([panel(n, n == 0) for n in range(MOST_PANELS + 6)], name="sheet", title="Cohort")
    assert "24 of 30 patients" in figure.caption
    assert "6 further patients are left out" in figure.caption
    shown = words(figure)
    assert "P23" in shown
    assert "P24" not in shown
    assert "later reading, not used" in shown


def test_a_patient_without_forecast_keeps_a_place_with_the_reason():
    panels = [panel(0), ForecastPanel("P01", VolumeSeries([3], [0.0]), None, None, "one exam")]
    figure = cohort_forecast_figure(panels, name="sheet")
    assert {"P00", "P01", "one exam"} <= set(words(figure))
    assert "1 have an interval" in figure.caption


def test_a_sheet_without_patients_is_refused():
    with pytest.raises(ParameterError, match="at least one patient"):
        cohort_forecast_figure([], name="sheet")


# --- maps and plans


class Scene:
    def __init__(self, grid: Grid) -> None:
        centre = grid.world((np.array(grid.shape) - 1) / 2)
        self.grid = grid
        self.brain = sphere(grid, centre, 27.0)
        self.tumour = sphere(grid, centre, 6.0)
        self.recurrence = sphere(grid, centre + np.array([9.0, 3.0, 0.0]), 5.0) & self.brain
        position = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
        reach = np.linalg.norm(grid.world(position.reshape(-1, 3)) - centre, axis=1).reshape(grid.shape)
        self.reference = Image(np.where(self.brain, 100.0, 0.0).astype(np.float32), grid)
        self.probability = Image((np.clip((22.0 - reach) / 16.0, 0, 1) * self.brain).astype(np.float32), grid)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(grid_of())


def coloured(figure: Figure) -> int:
    """Pixels of a warm colour, which only the wash has."""
    rgb = pixels(figure)
    return int((rgb[..., 0] - rgb[..., 2] > 60).sum())


def test_the_map_colours_what_is_likely_and_nothing_else(scene: Scene):
    full = growth_map_figure(scene.reference, scene.probability, scene.tumour, name="m", title="Map")
    faint = Image(np.minimum(scene.probability.data, 0.04), scene.grid)
    none = growth_map_figure(scene.reference, faint, scene.tumour, name="m", title="Map")
    # The colour bar stays.
    assert coloured(full) > coloured(none) + 5000
    assert "no such voxel" in none.caption
    assert full.kind == "png"


def test_a_map_is_drawn_on_every_grid(grid: Grid):
    s = Scene(grid)
    figure = growth_map_figure(
        s.reference, s.probability, s.tumour, name="m", title="Map", recurrence=s.recurrence, origin_mm=(3.0, -2.0, 5.0)
    )
    assert coloured(figure) > 5000
    assert "estimated origin" in figure.caption


def test_a_point_lies_where_its_voxel_is_drawn(grid: Grid):
    voxel = np.array([n // 3 for n in grid.shape])
    hot = np.zeros(grid.shape, np.float32)
    hot[tuple(voxel)] = 1.0
    view = SectionView.around(Image(np.ones(grid.shape, np.float32), grid), hot > 0, hot > 0)
    found = view.nearest(grid.world(voxel))
    assert {p.plane for p in found} == {"axial", "coronal", "sagittal"}
    for place, (x, y, away_mm) in found.items():
        cut = view.cut(hot, place)
        row, column = np.argwhere(cut.data == 1.0)[0]
        np.testing.assert_allclose([x, y], [(column + 0.5) * cut.pixel_mm[0], (row + 0.5) * cut.pixel_mm[1]], atol=1e-3)
        assert away_mm < 1e-3


def test_a_point_between_slices_says_how_far_it_is(scene: Scene):
    view = SectionView.around(scene.reference, scene.tumour, scene.tumour)
    place = view.whole[0]
    height = view.frame.position_mm("axial", place.index)
    found = view.nearest((0.0, 0.0, height + 0.75))
    assert found[place][2] == pytest.approx(0.75, abs=1e-6)


def test_a_point_outside_of_the_picture_has_no_cross(scene: Scene):
    view = SectionView.around(scene.reference, scene.tumour, scene.tumour)
    assert not view.nearest((900.0, 900.0, 900.0))
    assert not view.nearest((NAN, NAN, NAN))
    far = growth_map_figure(
        scene.reference, scene.probability, scene.tumour, name="m", title="Map", origin_mm=(900.0, 900.0, 900.0)
    )
    assert "cross" not in far.caption


def test_a_map_without_tumour_recurrence_or_probability_is_still_a_picture(scene: Scene):
    nothing = np.zeros(scene.grid.shape, bool)
    empty = Image(np.full(scene.grid.shape, np.nan, np.float32), scene.grid)
    figure = growth_map_figure(scene.reference, empty, nothing, name="m", title="Map", recurrence=nothing)
    for expected in ("no such voxel", "holds no tumour", "no recurrence"):
        assert expected in figure.caption
    black = Image(np.zeros(scene.grid.shape, np.float32), scene.grid)
    assert growth_map_figure(black, empty, nothing, name="m", title="Map").data


def test_a_tumour_at_the_border_of_the_grid_is_drawn(scene: Scene):
    corner = np.zeros(scene.grid.shape, bool)
    corner[:3, :3, :3] = True
    figure = growth_map_figure(scene.reference, scene.probability, corner, name="m", title="Map")
    assert "holds no tumour" not in figure.caption


def test_another_grid_is_refused(scene: Scene):
    other = make_grid("RAS", (3.0, 3.0, 3.0))
    elsewhere = Image(np.zeros(other.shape, np.float32), other)
    with pytest.raises(GridMismatchError, match="growth map"):
        growth_map_figure(scene.reference, elsewhere, scene.tumour, name="m", title="Map")
    with pytest.raises(GridMismatchError, match="the tumour"):
        growth_map_figure(scene.reference, scene.probability, np.zeros(other.shape, bool), name="m", title="Map")
    plan = TreatmentPlan(np.zeros(other.shape, bool), other, "15 mm margin", NAN)
    with pytest.raises(GridMismatchError, match="the plan"):
        plan_figure(scene.reference, scene.tumour, plan, plan, name="p", title="Plans")


def test_plans_are_named_with_their_share_of_the_recurrence(scene: Scene):
    standard = standard_plan(scene.tumour, scene.brain, scene.grid)
    model = model_plan(scene.probability.data, scene.brain, scene.grid, standard.volume_ml)
    figure = plan_figure(scene.reference, scene.tumour, standard, model, name="p", title="Plans", recurrence=scene.recurrence)
    share = np.count_nonzero(standard.mask & scene.recurrence) / np.count_nonzero(scene.recurrence)
    assert f"15 mm margin holds {100 * share:.0f} % of the recurrence" in figure.caption
    assert "model plan holds" in figure.caption


def test_a_plan_that_is_not_there_is_named_with_its_reason(scene: Scene):
    nothing = np.zeros(scene.grid.shape, bool)
    none = standard_plan(nothing, scene.brain, scene.grid)
    figure = plan_figure(scene.reference, nothing, none, none, name="p", title="Plans", recurrence=nothing)
    assert "There is no 15 mm margin (the core has no voxel)" in figure.caption


# --- curves


def test_coverage_curves_name_plans_and_what_no_plan_can_reach(scene: Scene):
    centre = scene.grid.world((np.array(scene.grid.shape) - 1) / 2)
    allowed = scene.brain & ~sphere(scene.grid, centre + np.array([13.0, 3.0, 0.0]), 4.0)
    curve = coverage_curve(scene.probability.data, scene.recurrence, allowed, scene.grid)
    none = CoverageCurve(np.zeros(0), np.zeros(0), 1.0, NAN, "no_recurrence", "the recurrence has no voxel")
    figure = coverage_figure(
        {"growth model": curve, "other": none},
        name="c",
        title="Coverage",
        marks={"15 mm margin": (30.0, 0.62), "model plan": (NAN, NAN)},
    )
    assert "15 mm margin: 30 ml, 62 %" in text(figure)
    assert f"{100 * curve.outside_share:.0f} % of the recurrence lies where no plan may go" in figure.caption
    assert "other has no curve (the recurrence has no voxel)" in figure.caption
    assert "model plan has no mark" in figure.caption
    assert curve.outside_share > 0


def test_coverage_of_no_recurrence_is_refused():
    none = CoverageCurve(np.zeros(0), np.zeros(0), 1.0, NAN, "no_recurrence", "the recurrence has no voxel")
    with pytest.raises(ParameterError, match="leave the figure out"):
        coverage_figure({"growth model": none}, name="c", title="Coverage")


def test_a_curve_of_very_many_steps_stays_a_small_file():
    n = 200_000
    curve = CoverageCurve(np.linspace(0.01, 300.0, n), np.arange(1, n + 1) / n, 400.0, 0.0, "ok")
    assert len(coverage_figure({"growth model": curve}, name="c", title="Coverage").data) < 200_000


def test_calibration_shows_errors_and_names_maps_without_voxels(rng: np.random.Generator):
    p = rng.random(3000)
    held = calibration(p, rng.random(3000) < p**2)
    none = calibration(np.zeros(0), np.zeros(0, bool))
    figure = calibration_figure({"raw": held, "calibrated": none}, name="c", title="Calibration")
    assert f"(calibration error {held.error:.3f})" in text(figure)
    assert "3,000 voxels" in figure.caption
    assert "calibrated has no voxels" in figure.caption
    assert not any("mathdefault" in w for w in words(figure))
    with pytest.raises(ParameterError, match="leave the figure out"):
        calibration_figure({"raw": none}, name="c", title="Calibration")


def test_a_calibration_with_one_filled_bin_is_drawn():
    one = Calibration(np.array([0.0, 0.5, 1.0]), np.array([5, 0]), np.array([0.1, NAN]), np.array([0.2, NAN]), 0.1, 0.1, 5)
    assert "5 voxels" in calibration_figure({"raw": one}, name="c", title="Calibration").caption


# --- scores


def card_of(better: float) -> ScoreCard:
    rng = np.random.default_rng(1)
    scores = []
    for n in range(24):
        stratum = ("growing", "stable")[n % 2]
        base = rng.normal(0.5, 0.02)
        scores += [
            CaseScore(f"p{n}", "growth model", "dice", base + better if n else NAN, stratum),
            CaseScore(f"p{n}", "uniform_dilation", "dice", base, stratum),
            CaseScore(f"p{n}", "growth model", "hd95_mm", NAN, stratum),
            CaseScore(f"p{n}", "growth model", "interval_hit", float(n % 10 != 0), stratum),
        ]
    return score_card(scores, ["uniform_dilation"], rng)


def test_scores_mark_baselines_count_patients_and_say_which_way_is_better():
    figure = score_figure(card_of(0.1), measures=["dice", "interval_hit"], name="s", title="Scores")
    shown = text(figure)
    for expected in ("uniform dilation", "(baseline)", "n = 23, 1 missing", "n = 24", "growing (12 patients)", "→ higher"):
        assert expected in shown
    assert "nearest to the promised share" in shown


@pytest.mark.parametrize(("better", "verdict"), [(0.1, "Better"), (-0.1, "Worse"), (0.0, "no model is shown")])
def test_the_caption_says_who_won(better: float, verdict: str):
    caption = score_figure(card_of(better), measures=["dice"], name="s", title="Scores").caption
    assert verdict in caption
    assert sum(w in caption for w in ("Better than", "Worse than", "no model is shown")) == 1


def test_measures_without_a_value_are_named_and_unknown_ones_refused():
    card = card_of(0.1)
    assert "No value at all: HD95 (mm)" in score_figure(card, measures=["dice", "hd95_mm"], name="s", title="S").caption
    with pytest.raises(ParameterError, match="no measure has a value"):
        score_figure(card, measures=["hd95_mm"], name="s", title="S")
    with pytest.raises(ParameterError, match="no measure is called"):
        score_figure(card, measures=["likes"], name="s", title="S")


# --- all


def all_figures(scene: Scene) -> list[Figure]:
    standard = standard_plan(scene.tumour, scene.brain, scene.grid)
    curve = coverage_curve(scene.probability.data, scene.recurrence, scene.brain, scene.grid)
    at = {"name": "x", "title": "Title", "synthetic": True}
    held = calibration(np.linspace(0, 1, 200), np.linspace(0, 1, 200) > 0.4)
    return [
        draw(banded(), persistence_forecast(SERIES, DAYS), observed=(260.0, 9.0), synthetic=True),
        cohort_forecast_figure([panel(0), panel(1)], **at),  # type: ignore[arg-type]
        growth_map_figure(scene.reference, scene.probability, scene.tumour, origin_mm=(0, 0, 0), **at),  # type: ignore[arg-type]
        plan_figure(scene.reference, scene.tumour, standard, standard, **at),  # type: ignore[arg-type]
        coverage_figure({"growth model": curve}, **at),  # type: ignore[arg-type]
        calibration_figure({"raw": held}, **at),  # type: ignore[arg-type]
        score_figure(card_of(0.1), measures=["dice"], **at),  # type: ignore[arg-type]
    ]


def test_the_same_content_gives_the_same_bytes_and_synthetic_data_are_marked(scene: Scene):
    assert "Synthetic" not in draw(banded()).caption
    for a, b in zip(all_figures(scene), all_figures(scene), strict=True):
        assert a.data == b.data
        assert a.raster == b.raster
        assert "Synthetic" in a.caption
        picture = PIL.Image.open(io.BytesIO(a.raster or a.data))
        assert picture.info["Description"] == "SYNTHETIC"  # type: ignore[attr-defined]
        assert a.what_good_looks_like
        assert a.what_failure_looks_like
