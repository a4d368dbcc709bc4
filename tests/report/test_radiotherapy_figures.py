from __future__ import annotations

import io
import math
from types import MappingProxyType

import numpy as np
import PIL.Image
import pytest

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.radiotherapy.dvh import DVH, dose_volume_histogram
from regrowth.radiotherapy.exposure import Target
from regrowth.radiotherapy.failure import UNCLASSIFIED, FailureClass, classify_all
from regrowth.radiotherapy.parts import recurrence_parts
from regrowth.radiotherapy.uncertainty import isotropic_uncertainty
from regrowth.radiotherapy.uncertainty_region import uncertainty_region
from regrowth.report import Figure
from regrowth.report.figures.dvh import dvh_figure
from regrowth.report.figures.failure import MOST_PARTS, scheme_figure
from regrowth.report.figures.failure_cohort import SchemeCounts, failure_counts_figure, reliability_figure, scheme_counts
from regrowth.report.figures.radiotherapy import dose_figure
from regrowth.space import Grid, Image
from regrowth.statistics import wilson_interval
from tests.conftest import make_grid
from tests.report.figure_words import height_pt, pixels, words
from tests.report.report_scene import grid_of, sphere

NAN = math.nan
SKY = (86, 180, 233)


def ct_on(grid: Grid) -> Image:
    hu = np.where(sphere(grid, (0, 0, 0), 45), 20.0, -1000.0).astype(np.float32)
    return Image(hu, grid, "HU")


def dose_on(grid: Grid, top_gy: float = 61.0) -> Image:
    """Falls by 1 Gy per mm from 61 Gy at the origin: the isodoses are spheres."""
    away = np.linalg.norm(grid.world(np.stack(np.indices(grid.shape), axis=-1)), axis=-1)
    return Image(np.maximum(top_gy - away, 0).astype(np.float32), grid, "Gy")


def draw_dose(grid: Grid, dose: Image | None = None, **more: object) -> Figure:
    settings: dict[str, object] = {"name": "d", "title": "Dose", "prescription_gy": 60.0} | more
    return dose_figure(ct_on(grid), dose or dose_on(grid), **settings)  # type: ignore[arg-type]


def near(figure: Figure, colour: tuple[int, int, int], within: int = 40) -> np.ndarray:
    return np.abs(pixels(figure) - np.array(colour)).max(axis=-1) < within


def centroid_gy(caption: str) -> float:
    return float(caption.split("centroid got ")[1].split(" Gy")[0])


def greenish(figure: Figure) -> np.ndarray:
    red, green, blue = np.moveaxis(pixels(figure), -1, 0)
    return (green > red + 40) & (green > blue + 8)


GRID = grid_of(spacing_mm=(3.0, 3.0, 3.0))
LESION = sphere(GRID, (12, 0, 0), 9)


# --- dose -------------------------------------------------------------------------------------------------------------------


def test_the_caption_says_which_dose_the_recurrence_and_its_centroid_got():
    caption = draw_dose(GRID, recurrence=LESION).caption
    doses = dose_on(GRID).data[LESION]
    for share in (50, 80, 95):
        assert f"{100 * np.mean(doses >= 0.6 * share):.0f} % got {share} %" in caption
    assert centroid_gy(caption) == pytest.approx(49.0, abs=0.2)  # between voxels of 3 mm
    assert "(82 %)" in caption


def test_a_dose_beyond_its_grid_is_hatched_and_never_called_zero():
    dose = dose_on(GRID)
    cut = Image(np.where(np.indices(GRID.shape)[0] > GRID.index(np.array([12.0, 0, 0]))[0], np.nan, dose.data), GRID, "Gy")
    whole, half = draw_dose(GRID, recurrence=LESION), draw_dose(GRID, cut, recurrence=LESION)
    assert "hatched" not in whole.caption
    assert "which is not 0 Gy" in half.caption
    lost = 100 * np.isnan(cut.data[LESION]).mean()
    assert f"{lost:.0f} % of the recurrence lies where the dose is not known" in half.caption
    low = 100 * np.mean(cut.data[LESION] >= 30)
    assert f"{low:.0f} to {low + lost:.0f} % got 50 %" in half.caption
    hatch = (154, 164, 177)
    assert near(half, hatch, 12).sum() > near(whole, hatch, 12).sum() + 3000


def test_a_centroid_where_the_dose_is_not_known_has_no_number():
    nothing = Image(np.full(GRID.shape, np.nan, np.float32), GRID, "Gy")
    caption = draw_dose(GRID, nothing, recurrence=LESION).caption
    assert "the dose at its centroid is not known" in caption
    assert "does not reach the image at all" in caption


def test_a_dose_on_a_coarser_grid_is_read_between_its_voxels():
    coarse = grid_of(spacing_mm=(5.0, 5.0, 5.0))
    assert centroid_gy(draw_dose(GRID, dose_on(coarse), recurrence=LESION).caption) == pytest.approx(49.0, abs=0.4)


def test_recurrence_targets_and_region_are_seen():
    uncertainty = isotropic_uncertainty(6.0)
    region = uncertainty_region((12, 0, 0), uncertainty, GRID)
    plain = draw_dose(GRID)
    full = draw_dose(
        GRID,
        recurrence=LESION,
        recurrence_before=sphere(GRID, (-10, 5, 3), 9),
        targets={"PTV": sphere(GRID, (0, 0, 0), 15)},
        region=region,
    )
    assert greenish(full).sum() > greenish(plain).sum() + 2000
    assert near(full, SKY).sum() > near(plain, SKY).sum() + 200
    assert near(full, (255, 255, 255), 6).sum() > near(plain, (255, 255, 255), 6).sum()
    assert "holds the true centroid" in full.caption
    assert "holds the true centroid" not in plain.caption


def test_empty_masks_are_named_and_not_drawn():
    empty = np.zeros(GRID.shape, bool)
    caption = draw_dose(GRID, recurrence=empty, targets={"PTV": empty}).caption
    assert "There is no recurrence" in caption
    assert "The target PTV holds no voxel" in caption


def test_a_level_that_is_nowhere_reached_is_said():
    assert "highest dose in the image is" in draw_dose(GRID, levels=(0.5, 1.07)).caption
    assert "highest dose in the image is" not in draw_dose(GRID, levels=(0.5, 0.95)).caption


def test_the_sections_go_through_the_centroid_on_every_orientation(orientation, spacing_mm):
    grid = make_grid(orientation, spacing_mm, extent_mm=40.0)
    centre = grid.world((np.array(grid.shape) - 1) * np.array([0.6, 0.45, 0.5]))
    lesion = sphere(grid, tuple(centre), 9)
    found = grid.world(np.argwhere(lesion).mean(axis=0))
    dose = Image(np.full(grid.shape, 57.0, np.float32), grid, "Gy")
    image = Image(np.random.default_rng(0).random(grid.shape, dtype=np.float32) + 1, grid, "a.u.")
    from regrowth.report.figures.radiotherapy import _scene, _view

    view = _view(_scene(image, dose, lesion, None, {}, None, 60.0, (0.95,)))
    at = view.nearest(found)
    assert {p.plane for p in at} == {"axial", "coronal", "sagittal"}
    for place in view.whole:
        assert at[place][2] <= max(grid.spacing_mm) / 2 + 1e-6
        assert view.cut(lesion, place).data.any()


def test_many_long_names_make_the_sheet_taller_instead_of_leaving_it():
    masks = {f"target volume number {n} of the elective neck": sphere(GRID, (0, 0, 0), 10 + n) for n in range(7)}
    few, many = (PIL.Image.open(io.BytesIO(draw_dose(GRID, targets=t).data)) for t in ({}, masks))
    assert many.width == few.width
    assert many.height > few.height + 30


def test_sixteen_targets_look_different():
    from regrowth.report.figures.radiotherapy import _target_look

    assert len({_target_look(n) for n in range(16)}) == 16


@pytest.mark.parametrize("shape", [(20, 20, 1), (1, 20, 20), (2, 2, 2)])
def test_a_flat_image_is_drawn(shape):
    grid = Grid(shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    lesion = np.zeros(shape, bool)
    lesion[tuple(n // 2 for n in shape)] = True
    figure = draw_dose(grid, recurrence=lesion)
    assert "three planes through the centroid" in figure.caption


def test_what_does_not_fit_or_is_no_dose_is_refused():
    for bad in ({"prescription_gy": 0.0}, {"prescription_gy": NAN}, {"levels": ()}, {"levels": (0.5, -1.0)}):
        with pytest.raises(ParameterError):
            draw_dose(GRID, **bad)
    with pytest.raises(ParameterError, match="unit Gy"):
        draw_dose(GRID, Image(np.ones(GRID.shape), GRID, "1"))
    with pytest.raises(GridMismatchError, match="target 'PTV'"):
        draw_dose(GRID, targets={"PTV": np.ones((2, 2, 2), bool)})
    a, b = (Grid(GRID.shape, GRID.affine, frame_of_reference_uid=u) for u in ("1.2.3", "1.2.4"))
    with pytest.raises(GridMismatchError, match="frames of reference"):
        dose_figure(ct_on(a), dose_on(b), name="d", title="t", prescription_gy=60.0)


def test_equal_figures_have_equal_bytes_and_synthetic_ones_are_marked():
    assert draw_dose(GRID, recurrence=LESION).data == draw_dose(GRID, recurrence=LESION).data
    marked = draw_dose(GRID, synthetic=True)
    assert "Synthetic data" in marked.caption
    assert b"SYNTHETIC" in marked.data


# --- histograms -------------------------------------------------------------------------------------------------------------


def histogram(gy: np.ndarray) -> DVH:
    grid = Grid(gy.shape, np.diag([5.0, 5.0, 5.0, 1.0]))
    return dose_volume_histogram(Image(np.ones(grid.shape, bool), grid, "1"), Image(gy, grid, "Gy"), supersampling=1)


RAMP = np.linspace(40.0, 60.0, 21)[:, None, None] * np.ones((21, 3, 3))
HALF = np.where(np.arange(21)[:, None, None] < 7, np.nan, RAMP)


def test_each_structure_is_named_with_its_volume_and_d95():
    one = histogram(RAMP)
    shown = " ".join(words(dvh_figure({"PTV": one}, name="h", title="Histograms", prescription_gy=60.0)))
    assert "PTV" in shown
    assert f"D95 {one.d95_gy:.1f} Gy" in shown
    assert "prescription, 60 Gy" in shown


def test_an_unknown_part_is_a_band_and_its_d95_a_range():
    part = histogram(HALF)
    assert part.status == "dose_unknown"
    figure = dvh_figure({"PTV": part}, name="h", title="Histograms")
    assert "Part has no known dose (PTV 33.3 %)" in figure.caption
    low, high = part.dose_at_volume_bounds(percent=95)
    assert f"D95 {low:.1f} to {high:.1f} Gy" in " ".join(words(figure))
    certain = dvh_figure({"PTV": histogram(RAMP)}, name="h", title="Histograms")
    assert "no known dose" not in certain.caption
    assert figure.data.count(b"FillBetween") > certain.data.count(b"FillBetween")


def test_the_known_curve_of_a_band_steps_down_right_of_zero():
    from regrowth.report.figures.dvh import _doses

    part = histogram(HALF)
    doses = _doses(part, 65.0)
    low = np.array([part.volume_at_dose_bounds(d)[0] for d in doses]) / part.volume_ml
    assert low[0] == pytest.approx(1)
    assert doses[1] < 1e-6
    assert low[1] == pytest.approx(2 / 3)
    assert low[-1] == 0


def test_structures_without_a_curve_are_named_with_the_reason():
    far = histogram(np.full((4, 4, 4), np.nan))
    assert (
        "far has no curve (the dose does not reach"
        in dvh_figure({"PTV": histogram(RAMP), "far": far}, name="h", title="t").caption
    )
    with pytest.raises(ParameterError, match="no structure has a histogram"):
        dvh_figure({"far": far}, name="h", title="t")
    with pytest.raises(ParameterError, match="no structure has a histogram"):
        dvh_figure({}, name="h", title="t")


def test_histograms_of_different_units_and_wrong_prescriptions_are_refused():
    from dataclasses import replace

    one = histogram(RAMP)
    with pytest.raises(ParameterError, match="do not share an axis"):
        dvh_figure({"a": one, "b": replace(one, unit="Gy EQD2 3")}, name="h", title="t")
    with pytest.raises(ParameterError, match="prescription"):
        dvh_figure({"a": one}, name="h", title="t", prescription_gy=-1.0)


# --- classes ----------------------------------------------------------------------------------------------------------------


def classes_of(with_uncertainty: bool, dose: Image | None = None) -> list[FailureClass]:
    two = LESION | sphere(GRID, (-30, 0, 0), 7)
    parts, _ = recurrence_parts(two, GRID)
    target = Target("PTV", sphere(GRID, (0, 0, 0), 15), GRID, "PTV")
    spread = isotropic_uncertainty(8.0) if with_uncertainty else None
    rng = np.random.default_rng(3)
    return classify_all(parts, dose or dose_on(GRID), {"PTV": 60.0}, [target], None, spread, rng, draws=60)


def draw_classes(classes: list[FailureClass]) -> Figure:
    return scheme_figure(classes, name="s", title="Classes")


def made(scheme: str, part: int, name: str, group: str, **more: object) -> FailureClass:
    settings: dict[str, object] = {"method": "volume", "level": "PTV", "prescription_gy": 60.0} | more
    return FailureClass(
        scheme, part, threshold_gy=57.0, name=name, group=group, code=None, value=0.5, measure="share", **settings
    )  # type: ignore[arg-type]


def test_every_scheme_and_part_has_its_class_in_the_matrix():
    classes = classes_of(True)
    figure = draw_classes(classes)
    shown = words(figure)
    for c in classes:
        assert any(w.startswith(c.scheme) for w in shown)
        assert c.name in shown
    assert {"part 1", "part 2"} <= set(shown)
    assert "welsh2025 (sphere, PTV)" in shown
    assert "welsh2025 (centroid, PTV)" in shown


def test_what_is_unclassified_is_told_with_its_reason():
    figure = draw_classes(classes_of(False))
    reason = next(c.reason for c in classes_of(False) if c.scheme == "distance_2cm")
    assert f"Unclassified because {reason}: distance_2cm part 1, distance_2cm part 2." in figure.caption
    assert UNCLASSIFIED in words(figure)


def test_without_an_uncertainty_there_are_no_probabilities():
    with_it, without = draw_classes(classes_of(True)), draw_classes(classes_of(False))
    assert any(w.startswith("p ") and w.endswith("%") for w in words(with_it))
    assert not any(w.startswith("p ") and w.endswith("%") for w in words(without))
    assert "there are no probabilities" in without.caption


def test_the_bar_of_a_class_is_as_long_as_its_probability_and_coloured_by_group():
    shares = MappingProxyType({"central": 0.5, "marginal": 0.3, "distant": 0.2, UNCLASSIFIED: 0.0})
    figure = draw_classes([made("mcdonald_2010", 1, "central", "inside", probabilities=shares)])
    seen = np.asarray(PIL.Image.open(io.BytesIO(figure.raster)).convert("RGB")).astype(int)
    cell = seen[: seen.shape[0] - 60]  # without the key beneath
    lengths = [
        int((np.abs(cell - np.array(c)).max(axis=-1) < 12).sum(axis=1).max())
        for c in ((0, 114, 178), (240, 228, 66), (213, 94, 0))
    ]
    assert lengths[0] / lengths[1] == pytest.approx(5 / 3, rel=0.1)
    assert lengths[0] / lengths[2] == pytest.approx(5 / 2, rel=0.1)
    assert "p 50 %" in words(figure)


def test_an_unclassified_part_fills_all_methods_of_a_scheme_that_gives_several():
    one = [made("welsh2025", 1, "inside", "inside", method=m) for m in ("centroid", "sphere")]
    lost = made("welsh2025", 2, UNCLASSIFIED, "", method="", level="PTV", reason="outside of the image")
    figure = draw_classes([*one, lost])
    assert words(figure).count(UNCLASSIFIED) == 2 + 1  # and once in the key
    assert "welsh2025 centroid PTV part 2, welsh2025 sphere PTV part 2" in figure.caption


def test_a_level_that_differs_between_parts_does_not_split_a_row():
    figure = draw_classes(
        [made("mohamed_2016", 1, "a", "inside", level="high"), made("mohamed_2016", 2, "c", "inside", level="low")]
    )
    assert [w for w in words(figure) if "mohamed" in w] == ["mohamed_2016"]


def test_parts_beyond_the_most_are_counted():
    many = [made("chao_2003", n, "in-field", "inside") for n in range(1, MOST_PARTS + 4)]
    figure = draw_classes(many)
    assert "3 smaller parts are not drawn" in figure.caption
    assert f"part {MOST_PARTS + 1}" not in words(figure)


def test_a_matrix_without_any_class_is_refused():
    with pytest.raises(ParameterError, match="no part with a class"):
        draw_classes([])


# --- cohorts ----------------------------------------------------------------------------------------------------------------


def test_a_cohort_is_counted_by_part_at_the_highest_level_with_a_class():
    patients = [
        [made("welsh2025", 1, "inside", "inside", method=m, level="a", prescription_gy=60.0) for m in ("centroid", "sphere")]
        + [made("welsh2025", 1, "out", "outside", method=m, level="b", prescription_gy=50.0) for m in ("centroid", "sphere")]
        + [made("chao_2003", 1, "marginal", "marginal"), made("chao_2003", 2, "out", "outside")],
        [
            made("welsh2025", 1, UNCLASSIFIED, "", method="", prescription_gy=NAN),
            made("chao_2003", 1, UNCLASSIFIED, "", method="", prescription_gy=NAN),
        ],
        [],
    ]
    rows = {r.scheme: r for r in scheme_counts(patients)}
    assert rows["welsh2025 centroid"] == SchemeCounts("welsh2025 centroid", 1, 0, 0, 1, 2)
    assert rows["welsh2025 sphere"] == SchemeCounts("welsh2025 sphere", 1, 0, 0, 1, 2)
    assert rows["chao_2003"] == SchemeCounts("chao_2003", 0, 1, 1, 1, 2)
    assert len(rows) == 3


def test_the_shares_are_those_of_classified_parts_with_wilsons_interval():
    row = SchemeCounts("chao_2003", 7, 2, 1, 5, 12)
    assert row.share("inside") == (0.7, *wilson_interval(7, 10))
    assert all(math.isnan(v) for v in SchemeCounts("x", 0, 0, 0, 4, 4).share("inside"))
    with pytest.raises(ParameterError):
        row.share("unclassified")
    with pytest.raises(ParameterError):
        SchemeCounts("x", -1, 0, 0, 0, 0)


def test_the_counts_their_number_and_the_unclassified_are_seen():
    rows = [
        SchemeCounts("chao_2003", 11, 6, 4, 5, 24),
        SchemeCounts("lee_1999", 0, 0, 0, 26, 24),
        SchemeCounts("z", 0, 0, 0, 0, 0),
    ]
    figure = failure_counts_figure(rows, name="c", title="Patterns")
    shown = words(figure)
    assert {"11", "6", "4", "5", "26", "no class"} <= set(shown)
    assert any("n = 21" in w for w in shown)
    assert "chao_2003: 5 of 26 have no class" in figure.caption
    assert "z counted nothing" in figure.caption
    assert height_pt(figure) > height_pt(failure_counts_figure(rows[:1], name="c", title="Patterns"))
    with pytest.raises(ParameterError, match="no recurrence was counted"):
        failure_counts_figure(rows[2:], name="c", title="Patterns")


def test_reliability_says_score_number_and_what_the_overall_share_alone_would_score():
    p = np.repeat([0.2, 0.8], 10)
    truth = np.tile([True, False], 10)
    figure = reliability_figure({"landmarks": (p, truth)}, name="r", title="Reliability")
    shown = " ".join(words(figure))
    assert "n = 20, Brier 0.340" in shown
    assert "overall share alone 0.250" in shown
    assert "10 of 20 inside" in figure.caption


def test_probabilities_that_are_missing_are_counted_and_left_out():
    p, truth = np.array([0.1, NAN, 0.9, 0.8]), np.array([False, True, True, True])
    figure = reliability_figure({"a": (p, truth), "none": (np.full(4, NAN), truth)}, name="r", title="Reliability")
    assert "a: 1 without a probability" in figure.caption
    assert "none: 4 without a probability" in figure.caption
    with pytest.raises(ParameterError, match="no probability"):
        reliability_figure({"none": (np.full(4, NAN), truth)}, name="r", title="Reliability")
    with pytest.raises(ParameterError, match="give one each"):
        reliability_figure({"a": (p[:2], truth)}, name="r", title="Reliability")


def test_charts_have_equal_bytes_each_time():
    for draw in (
        lambda: draw_classes(classes_of(False)),
        lambda: dvh_figure({"PTV": histogram(HALF)}, name="h", title="t"),
        lambda: failure_counts_figure([SchemeCounts("a", 3, 2, 1, 0, 6)], name="c", title="t"),
    ):
        assert draw().data == draw().data
