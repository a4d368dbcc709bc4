from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from regrowth.anatomy import LOBES, RegionMap
from regrowth.errors import GridMismatchError, ParameterError
from regrowth.report.figures import frequency_figure, lobe_figure, location_bars, parcellation_figure, region_shares
from regrowth.report.figures import lobes as lobes_module
from regrowth.report.figures.anatomy import _sections
from regrowth.report.figures.canvas import OKABE_ITO
from regrowth.report.figures.lobes import LOBE_COLOURS, lobe_colour
from regrowth.report.figures.surface import VIEWS, Solid, picture, ras_grid
from regrowth.report.slices import DisplayFrame, largest_section
from regrowth.space import Grid, Image
from tests.report.figure_words import height_pt, pixels, words
from tests.report.report_scene import grid_of, points, sphere

SKY, RED = (0.34, 0.71, 0.91), (0.84, 0.37, 0.0)


def brain(grid: Grid) -> RegionMap:
    """An egg of four lobes on each side with a ventricle in the middle."""
    xyz = points(grid)
    x, y, z = xyz[..., 0], xyz[..., 1], xyz[..., 2]
    inside = (x / 26) ** 2 + (y / 33) ** 2 + (z / 24) ** 2 < 1
    lobe = np.where(z < -6, 3, np.where(y > 2, 1, np.where(y > -18, 2, 4)))
    data = np.where(x < 0, 10, 20) + lobe
    data = np.where((np.abs(x) < 4) & (np.abs(y) < 8) & (np.abs(z) < 5), 33, data)
    return RegionMap(np.where(inside, data, 0).astype(np.uint8), grid, LOBES)


def t1(regions: RegionMap) -> Image:
    x = points(regions.grid)[..., 0]
    return Image((np.asarray(regions.data) > 0) * (100 + 10 * np.sin(x / 3)).astype(np.float32), regions.grid)


def moved(without, with_it) -> np.ndarray:
    """Rows and columns of the pixels that differ: where the tumour shows."""
    changed = np.abs(pixels(with_it) - pixels(without)).max(axis=-1) > 40
    rows, columns = np.nonzero(changed[: changed.shape[0] - 130])  # without the legend
    assert rows.size > 50
    return np.array([rows.mean(), columns.mean()])


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
@pytest.mark.parametrize(
    ("view", "on_left_of_picture"), [("superior", True), ("anterior", False), ("posterior", True), ("inferior", False)]
)
def test_a_tumour_on_the_left_lies_on_the_side_of_the_letter_l(orientation, view, on_left_of_picture):
    regions = brain(grid_of(orientation, (3.0, 3.0, 3.0), 75.0))
    left = sphere(regions.grid, (-13.0, 5.0, 4.0), 8.0)
    right = sphere(regions.grid, (13.0, 5.0, 4.0), 8.0)
    empty = np.zeros_like(left)
    shares = {"primary": {}}  # the same colours of lobes in all pictures
    with_left, with_right, without = (lobe_figure(regions, {"primary": m}, shares, views=(view,)) for m in (left, right, empty))
    middle = pixels(without).shape[1] / 2
    assert (moved(without, with_left)[1] < middle) == on_left_of_picture
    assert (moved(without, with_right)[1] > middle) == on_left_of_picture
    letters = VIEWS[view].letters
    assert (letters.index("L"), letters.index("R")) == ((0, 1) if on_left_of_picture else (1, 0))


@pytest.mark.parametrize(
    ("view", "front_is_left"), [("left", True), ("right", False), ("left-medial", False), ("right-medial", True)]
)
def test_a_frontal_tumour_lies_on_the_side_of_the_letter_a(view, front_is_left):
    regions = brain(grid_of("LPS", (3.0, 3.0, 3.0), 75.0))
    side = -1 if view.startswith("left") else 1
    front = sphere(regions.grid, (side * 11.0, 16.0, 4.0), 7.0)
    empty = np.zeros_like(front)
    found = moved(*(lobe_figure(regions, {"primary": m}, {"primary": {}}, views=(view,)) for m in (empty, front)))
    assert (found[1] < 560) == front_is_left
    assert VIEWS[view].letters[0 if front_is_left else 1] == "A"


@pytest.mark.parametrize("view", ["left", "right", "anterior", "posterior", "left-medial", "right-medial"])
def test_superior_is_up(view):
    regions = brain(grid_of("LAS", (3.0, 3.0, 3.0), 75.0))
    side = -1 if view == "left-medial" else 1
    high, low = (sphere(regions.grid, (side * 9.0, 0.0, z), 7.0) for z in (12.0, -12.0))
    empty = np.zeros_like(high)
    made = [lobe_figure(regions, {"primary": m}, {"primary": {}}, views=(view,)) for m in (empty, high, low)]
    assert moved(made[0], made[1])[0] < moved(made[0], made[2])[0]


def test_the_picture_does_not_depend_on_how_the_scan_was_stored():
    pictures = []
    for orientation in ("RAS", "LAS", "LPS"):
        regions = brain(grid_of(orientation, (3.0, 3.0, 3.0), 75.0))
        tumour = sphere(regions.grid, (-12.0, 8.0, 4.0), 8.0)
        pictures.append(pixels(lobe_figure(regions, {"primary": tumour}, image=t1(regions))))
    for other in pictures[1:]:
        assert other.shape == pictures[0].shape
        assert (np.abs(other - pictures[0]).max(axis=-1) > 30).mean() < 0.005
    tilted = brain(grid_of("oblique", (3.0, 3.0, 3.0), 75.0))
    figure = pixels(lobe_figure(tilted, {"primary": sphere(tilted.grid, (-12.0, 8.0, 4.0), 8.0)}))
    assert figure.shape[1] == pictures[0].shape[1]


def test_anisotropic_voxels_keep_the_proportions_of_the_brain():
    shapes = []
    for spacing in ((2.0, 2.0, 2.0), (1.5, 1.5, 5.0)):
        regions = brain(grid_of("RAS", spacing, 75.0))
        shown = pixels(lobe_figure(regions, {}, views=("left",)))[54:-100]
        lit = np.ptp(shown, axis=-1) > 8  # lobes are coloured, letters are white
        rows, columns = np.nonzero(lit)
        shapes.append(np.ptp(columns) / np.ptp(rows))
    assert shapes[0] == pytest.approx(66 / 48, abs=0.12)
    assert shapes[1] == pytest.approx(shapes[0], abs=0.12)


def flat(view: str, labels, solids=(), **options):
    return picture(VIEWS[view], labels, {1: (0.5, 0.5, 0.5)}, solids, voxel_mm=2.0, pixel_mm=1.0, **options)


def test_a_tumour_near_the_surface_shows_more_than_one_on_the_other_side():
    labels = np.zeros((60, 40, 40), np.uint8)
    labels[5:55, 5:35, 5:35] = 1
    mask = np.zeros(labels.shape, bool)
    mask[8:16, 16:24, 16:24] = True
    shown = {v: np.abs(flat(v, labels, [Solid(mask, SKY)]) - flat(v, labels)).max(axis=-1) for v in ("left", "right")}
    centre = {v: s[34:46, 34:46].mean() for v, s in shown.items()}
    assert centre["left"] > 1.5 * centre["right"] > 0.02


def test_a_lesion_of_a_single_voxel_can_be_seen():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[5:35, 5:35, 5:35] = 1
    mask = np.zeros(labels.shape, bool)
    mask[8, 20, 20] = True
    changed = np.abs(flat("left", labels, [Solid(mask, RED)]) - flat("left", labels)).max(axis=-1) > 0.1
    assert changed.sum() >= 4
    np.testing.assert_allclose(flat("left", labels, [Solid(np.zeros_like(mask), RED)]), flat("left", labels))


def test_the_nearer_tumour_hides_the_farther_one_whatever_their_order():
    labels = np.zeros((60, 40, 40), np.uint8)
    labels[5:55, 5:35, 5:35] = 1
    near, far = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
    near[8:16, 14:26, 14:26] = far[24:32, 14:26, 14:26] = True
    for solids in ([Solid(near, RED), Solid(far, SKY)], [Solid(far, SKY), Solid(near, RED)]):
        middle = flat("left", labels, solids)[40, 40]
        assert middle[0] > middle[2]  # red, not blue
        behind = flat("right", labels, solids)[40, 40]
        assert behind[2] > behind[0]


def test_a_view_of_one_half_leaves_the_other_out():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[5:35, 5:35, 5:35] = 1
    right = np.zeros(labels.shape, bool)
    right[20:] = True
    mask = np.zeros(labels.shape, bool)
    mask[26:32, 16:24, 16:24] = True
    options = {"sides": (right, ~right)}
    half = flat("left-medial", labels, [Solid(mask, RED)], **options)
    np.testing.assert_allclose(half, flat("left-medial", labels, **options))
    other = flat("right-medial", labels, [Solid(mask, RED)], **options)
    assert np.abs(other - flat("right-medial", labels, **options)).max() > 0.2


def test_the_grid_of_the_picture_holds_the_brain_and_is_upright():
    grid = grid_of("oblique", (3.0, 3.0, 3.0), 75.0)
    mask = sphere(grid, (0.0, 0.0, 0.0), 20.0)
    upright = ras_grid(grid, mask, 1.5)
    np.testing.assert_allclose(upright.affine[:3, :3], 1.5 * np.eye(3))
    index = upright.index(grid.world(np.argwhere(mask)))
    assert (index > 4).all()
    assert (index < np.array(upright.shape) - 5).all()


def test_shares_are_those_of_the_voxels_and_add_up_to_one():
    regions = brain(grid_of("RAS", (3.0, 3.0, 3.0), 75.0))
    mask = np.asarray(regions.mask("left frontal")) | (np.asarray(regions.data) == 0)
    shares = region_shares(mask, regions)
    assert set(shares) == {"left frontal", "unassigned"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["left frontal"] == pytest.approx(regions.mask("left frontal").sum() / mask.sum())
    assert region_shares(np.zeros_like(mask), regions) == {}


def test_lobes_with_a_share_are_more_colourful_and_the_key_names_them():
    regions = brain(grid_of("RAS", (3.0, 3.0, 3.0), 75.0))
    shares = {"primary": {"left frontal": 0.8, "left parietal": 0.195, "left temporal": 0.005}}
    colours = lobes_module._colours(regions, shares)
    spread = {v: max(c) - min(c) for v, c in colours.items()}
    assert spread[11] > spread[21] + 0.05  # left frontal, right frontal
    lines = lobes_module._key_lines(shares, regions)
    assert [(label, values) for label, _, values in lines] == [("left frontal", [0.8]), ("left parietal", [0.195])]
    assert "occipital" in lobes_module._other_names(lines, regions)
    assert "frontal" not in lobes_module._other_names(lines, regions)


def test_a_tumour_without_voxels_has_no_share_rather_than_a_share_of_zero():
    regions = brain(grid_of("RAS", (4.0, 4.0, 4.0), 75.0))
    lines = lobes_module._key_lines({"primary": {"left frontal": 1.0}, "recurrence": {}}, regions)
    assert [label for label, _, _ in lines] == ["left frontal"]
    assert lines[0][2][0] == 1.0
    assert np.isnan(lines[0][2][1])


def test_every_lobe_has_a_colour_of_its_own_and_none_is_that_of_a_tumour():
    names = {r.name.replace("_", " ") for r in LOBES.regions}
    assert names == set(LOBE_COLOURS)
    assert len(set(LOBE_COLOURS.values())) == len(LOBE_COLOURS)
    assert not {OKABE_ITO[c].lower() for c in lobes_module.TUMOUR_COLOURS} & {c.lower() for c in LOBE_COLOURS.values()}
    assert lobe_colour("deep_grey") == LOBE_COLOURS["deep grey"]


def test_shares_that_are_not_known_draw_the_lobes_as_if_there_were_none():
    regions = brain(grid_of("RAS", (4.0, 4.0, 4.0), 75.0))
    empty = {"primary": np.zeros(regions.grid.shape, bool)}
    unknown = {"primary": dict.fromkeys(("left frontal", "unassigned"), float("nan"))}
    made = [lobe_figure(regions, empty, shares, views=("left",)).data for shares in (unknown, {"primary": {}})]
    assert made[0] == made[1]


def test_one_slice_of_each_plane_goes_through_the_lesion():
    regions = brain(grid_of("LPS", (3.0, 3.0, 3.0), 75.0))
    lesion = sphere(regions.grid, (-14.0, 13.0, 9.0), 3.5)
    frame = DisplayFrame.of(regions.grid)
    for plane in ("axial", "coronal", "sagittal"):
        chosen = _sections(frame, np.asarray(regions.data) > 0, lesion, plane)
        assert largest_section(frame, lesion, plane) in chosen
        assert len(chosen) == 4
    assert "cut at its largest" in parcellation_figure(t1(regions), regions, lesion).caption
    assert "no lesion voxel" in parcellation_figure(t1(regions), regions, lesion & False).caption


def test_empty_masks_are_named_and_synthetic_pictures_marked():
    regions = brain(grid_of("RAS", (4.0, 4.0, 4.0), 75.0))
    empty = np.zeros(regions.grid.shape, bool)
    figure = lobe_figure(regions, {"primary": empty}, views=("left",), synthetic=True)
    assert "No voxel: primary." in figure.caption
    assert PIL.Image.open(io.BytesIO(figure.data)).info["Description"] == "SYNTHETIC"
    assert "no tumour" in lobe_figure(regions, {}, views=("left",)).caption


def test_figures_of_the_anatomy_are_the_same_bytes_each_time():
    regions = brain(grid_of("LPS", (4.0, 4.0, 4.0), 75.0))
    tumour = sphere(regions.grid, (-10.0, 8.0, 4.0), 8.0)
    counts = tumour.astype(int)
    for draw in (
        lambda: lobe_figure(regions, {"primary": tumour}, image=t1(regions), views=("left", "superior")),
        lambda: parcellation_figure(t1(regions), regions, tumour),
        lambda: frequency_figure(t1(regions), counts, 2 * counts, 3),
    ):
        assert draw().data == draw().data


def test_what_does_not_fit_is_refused():
    regions = brain(grid_of("RAS", (4.0, 4.0, 4.0), 75.0))
    nothing = RegionMap(np.zeros(regions.grid.shape, np.uint8), regions.grid, LOBES)
    mask, image = np.zeros(regions.grid.shape, bool), t1(regions)
    other = brain(grid_of("LPS", (4.0, 4.0, 4.0), 75.0))
    with pytest.raises(ParameterError, match="holds no region"):
        lobe_figure(nothing, {})
    with pytest.raises(ParameterError, match="views must be some of"):
        lobe_figure(regions, {}, views=("above",))
    with pytest.raises(ParameterError, match="5 tumours"):
        lobe_figure(regions, {str(k): mask for k in range(5)})
    with pytest.raises(GridMismatchError, match="the mask primary"):
        lobe_figure(regions, {"primary": mask[1:]})
    with pytest.raises(GridMismatchError):
        lobe_figure(regions, {}, image=t1(other))
    with pytest.raises(ParameterError, match="holds no region"):
        parcellation_figure(image, nothing)
    with pytest.raises(GridMismatchError):
        parcellation_figure(t1(other), regions)
    with pytest.raises(GridMismatchError, match="a lesion of shape"):
        parcellation_figure(image, regions, mask[1:])
    with pytest.raises(ParameterError, match="no patient"):
        frequency_figure(image, mask.astype(int), mask.astype(int), 4)
    with pytest.raises(ParameterError, match="5 patients in one voxel, but only 4"):
        frequency_figure(image, mask.astype(int) + 5, mask.astype(int), 4)
    with pytest.raises(GridMismatchError, match="counts of the recurrence"):
        frequency_figure(image, mask.astype(int) + 1, mask[1:].astype(int), 4)


def test_the_parcellation_shows_the_left_lobes_under_the_letter_l():
    regions = brain(grid_of("LAS", (3.0, 3.0, 3.0), 75.0))
    data = np.where(np.asarray(regions.data) == 11, 11, np.where(np.asarray(regions.data) > 0, 32, 0)).astype(np.uint8)
    only_left = RegionMap(data, regions.grid, LOBES)
    lilac = np.array([int(LOBE_COLOURS["frontal"][n : n + 2], 16) for n in (1, 3, 5)])
    places = {}
    for convention in ("radiological", "neurological"):
        shown = pixels(parcellation_figure(t1(regions), only_left, convention=convention))[60:300, 560:840]  # third axial slice
        outline = np.abs(shown - lilac).max(axis=-1) < 40
        assert outline.sum() > 20
        places[convention] = np.nonzero(outline)[1].mean()
    assert places["radiological"] > 140 > places["neurological"]


def test_every_region_of_the_parcellation_keeps_its_colour():
    regions = brain(grid_of("RAS", (3.0, 3.0, 3.0), 75.0))
    shown = pixels(parcellation_figure(t1(regions), regions))[:-30]
    for name in ("frontal", "parietal", "temporal", "occipital"):
        colour = np.array([int(LOBE_COLOURS[name][n : n + 2], 16) for n in (1, 3, 5)])
        assert (np.abs(shown - colour).max(axis=-1) < 30).sum() > 100


def test_a_heap_of_patients_on_the_left_is_drawn_on_the_left_of_a_neurological_view():
    regions = brain(grid_of("LPS", (3.0, 3.0, 3.0), 75.0))
    counts = sphere(regions.grid, (-13.0, 4.0, 0.0), 8.0).astype(int) * 3
    none = np.zeros_like(counts)
    lone = counts > 2  # the recurrence is the same in both pictures, so that they show the same slices
    for convention, side in (("radiological", 1), ("neurological", -1)):
        made = [frequency_figure(t1(regions), c, lone, 3, convention=convention) for c in (none, counts)]
        strip = (np.abs(pixels(made[1]) - pixels(made[0])).max(axis=-1) > 40)[40:200]
        columns = np.nonzero(strip)[1]
        panels = np.linspace(22, 1120, 8)
        middle = (panels[:-1] + panels[1:]) / 2
        offsets = columns - middle[np.clip(np.searchsorted(panels, columns) - 1, 0, 6)]
        assert np.sign(offsets.mean()) == side


def test_the_frequency_map_says_how_many_patients_and_the_most_at_one_place():
    regions = brain(grid_of("RAS", (4.0, 4.0, 4.0), 75.0))
    a = sphere(regions.grid, (-10.0, 4.0, 0.0), 9.0).astype(int) * 5
    b = sphere(regions.grid, (-10.0, 4.0, 0.0), 5.0).astype(int) * 2
    caption = frequency_figure(t1(regions), a, b, 12).caption
    assert "12 patients with both exams" in caption
    assert "5 of 12 (primary)" in caption
    assert "2 of 12 (recurrence)" in caption


def test_bars_name_regions_by_their_share_and_count_what_is_left_out():
    shares = {
        "primary": {"left temporal": 0.84, "left frontal": 0.158, "brainstem": 0.002},
        "recurrence": {"left frontal": float("nan")},
    }
    figure = location_bars(shares)
    shown = words(figure)
    assert shown.index("left temporal") < shown.index("left frontal")
    assert "brainstem" not in shown
    assert "84" in shown
    assert "not known" in shown
    assert "1 regions with less than 0.5 %" in figure.caption
    assert height_pt(location_bars({"a": {str(k): 0.1 for k in range(10)}})) > height_pt(figure)
    with pytest.raises(ParameterError, match="no share"):
        location_bars({"a": {}})
    with pytest.raises(ParameterError, match="at most 4"):
        location_bars({str(k): {"x": 1.0} for k in range(5)})
