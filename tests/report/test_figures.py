from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest

from regrowth.clinical import Session
from regrowth.errors import GridMismatchError, ParameterError
from regrowth.labels import label_scheme
from regrowth.report import Figure
from regrowth.report.figures import (
    ClinicalEvent,
    DistanceShare,
    count_figure,
    distribution_figure,
    migration_figure,
    mosaic_figures,
    patient_tile,
    recurrence_figure,
    registration_figure,
    segmentation_figure,
    timeline_figure,
)
from regrowth.report.figures.canvas import OKABE_ITO
from regrowth.report.figures.timeline import _levels, _words
from regrowth.space import LabelMap
from tests.report.report_scene import SCHEME, SESSIONS, VOLUMES_ML, figures, grid_of, head, shifted, tumour, with_tumour


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(figure.data)).convert("RGB")).astype(int)


def coloured(figure: Figure, colour: str) -> np.ndarray:
    """Bool picture of what is nearly of a colour."""
    wanted = np.array([int(OKABE_ITO[colour][n : n + 2], 16) for n in (1, 3, 5)])
    return np.abs(pixels(figure) - wanted).max(axis=-1) < 26


@pytest.fixture(scope="module")
def scene() -> dict[str, Figure]:
    return figures(head(grid_of()), synthetic=True)


def test_every_figure_says_what_it_shows_and_what_good_and_failure_look_like(scene):
    for figure in scene.values():
        assert min(map(len, (figure.caption, figure.what_good_looks_like, figure.what_failure_looks_like))) > 40


def test_every_synthetic_figure_is_marked_in_picture_caption_and_file(scene):
    for figure in scene.values():
        assert figure.caption.endswith("Synthetic data.")
        if figure.kind == "svg":
            assert b'id="watermark-synthetic"' in figure.data
        else:
            assert PIL.Image.open(io.BytesIO(figure.data)).info["Description"] == "SYNTHETIC"


def test_real_figures_carry_no_watermark_and_differ_from_synthetic_ones():
    base = head(grid_of())
    labels = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0)
    real = segmentation_figure({"T1wce": base}, labels)
    marked = segmentation_figure({"T1wce": base}, labels, synthetic=True)
    assert b"SYNTHETIC" not in real.data
    changed = np.abs(pixels(real) - pixels(marked)).max(axis=-1) > 8
    assert changed.mean() > 0.02
    assert b"watermark" not in timeline_figure(SESSIONS).data


def test_the_same_content_gives_the_same_bytes_even_from_two_threads_at_once():
    base = head(grid_of())
    labels = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0)

    def draw(n: int) -> bytes:
        return timeline_figure(SESSIONS, (), VOLUMES_ML).data if n % 2 else segmentation_figure({"T1wce": base}, labels).data

    alone = [draw(0), draw(1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(draw, range(4)))
    assert together == alone * 2


def test_drawing_leaves_the_settings_of_the_process_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    timeline_figure(SESSIONS)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.9, 1.9, 6.5)], ids=["iso", "thick"])
def test_a_lesion_at_the_patients_left_is_drawn_on_the_right_in_the_radiological_view(orientation, spacing):
    base = head(grid_of(orientation, spacing))
    labels = tumour(base.grid, (-12.0, 4.0, 4.0), 6.0)
    shown = {c: segmentation_figure({"T1wce": base}, labels, convention=c) for c in ("radiological", "neurological")}
    # The upper part holds whole slices (axial, coronal), in which the lesion moves over; zoomed slices follow the lesion.
    columns = {c: np.nonzero(coloured(f, "vermillion"))[1].mean() for c, f in shown.items()}
    assert columns["radiological"] > columns["neurological"] + 20


def test_the_same_patient_looks_the_same_on_grids_of_other_orientation():
    pictures = []
    for orientation in ("RAS", "LAS", "LPS"):
        base = head(grid_of(orientation))
        labels = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0)
        pictures.append(pixels(segmentation_figure({"T1wce": with_tumour(base, labels)}, labels)))
    for other in pictures[1:]:
        assert other.shape == pictures[0].shape
        assert (np.abs(other - pictures[0]).max(axis=-1) > 30).mean() < 0.01


def test_an_oblique_grid_is_named_as_such():
    from regrowth.report.figures.sheet import remark_on
    from regrowth.report.slices import DisplayFrame

    words = remark_on(DisplayFrame.of(grid_of("oblique")), "radiological")
    assert "tilted 24°" in words  # two turns of 17 degrees: the axis that both move lies 23.9 degrees off
    assert "left is on the right" in words
    assert "tilted" not in remark_on(DisplayFrame.of(grid_of("LPS")), "radiological")


def test_contours_of_all_labels_are_drawn_and_keep_their_colours():
    base = head(grid_of())
    figure = segmentation_figure({"T1wce": base}, tumour(base.grid, (-6.0, 4.0, 4.0), 9.0))
    for colour in ("vermillion", "yellow", "sky"):
        assert coloured(figure, colour).sum() > 200
    assert coloured(figure, "green").sum() == 0


def test_flair_is_shown_beside_the_reference_image():
    base = head(grid_of())
    labels = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0)
    alone = segmentation_figure({"T1wce": base}, labels)
    both = segmentation_figure({"FLAIR": base, "T1wce": base}, labels)
    assert "T1wce and FLAIR" in both.caption
    assert "FLAIR" not in alone.caption


def test_an_empty_segmentation_gives_a_figure_that_says_so():
    base = head(grid_of())
    empty = LabelMap(np.zeros(base.grid.shape, np.uint8), base.grid, SCHEME)
    assert "no labelled voxel" in segmentation_figure({"T1wce": base}, empty).caption
    full = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0)
    assert "follow-up holds no CE_core" in recurrence_figure(base, full, empty).caption
    assert "baseline holds no CE_core" in recurrence_figure(base, empty, full).caption
    assert "neither exam" in recurrence_figure(base, empty, empty).caption


def test_an_image_without_contrast_or_with_nan_can_be_drawn():
    base = head(grid_of())
    labels = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0)
    flat = base.with_data(np.full(base.grid.shape, 3.0, np.float32))
    holes = base.data.copy()
    holes[0] = np.nan
    assert segmentation_figure({"T1wce": flat}, labels).data
    assert segmentation_figure({"T1wce": base.with_data(holes)}, labels).data
    assert registration_figure(base, {"before": flat}).data


def test_images_on_another_grid_are_refused():
    base, other = head(grid_of()), head(grid_of("LPS"))
    labels = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0)
    with pytest.raises(GridMismatchError, match="T1wce and the segmentation"):
        segmentation_figure({"T1wce": other}, labels)
    with pytest.raises(GridMismatchError, match="stage rigid"):
        registration_figure(base, {"rigid": other})
    with pytest.raises(GridMismatchError, match="rigid recurrence"):
        recurrence_figure(base, labels, labels, recurrence_rigid=tumour(other.grid, (0.0, 0.0, 0.0), 5.0))


def test_what_cannot_be_drawn_is_refused_with_a_reason():
    base = head(grid_of())
    with pytest.raises(ParameterError, match="at least one stage"):
        registration_figure(base, {})
    with pytest.raises(ParameterError, match="at least one image"):
        segmentation_figure({}, tumour(base.grid, (0.0, 0.0, 0.0), 5.0))
    with pytest.raises(ParameterError, match="no voxel of recurrence"):
        DistanceShare.of_voxels(np.array([]))
    with pytest.raises(ParameterError, match="at least one session"):
        timeline_figure([])
    with pytest.raises(ParameterError, match="no patient"):
        count_figure({"local": 0}, name="x", title="Pattern")
    with pytest.raises(ParameterError, match="no value"):
        distribution_figure({"a": [float("nan")]}, name="x", title="t", quantity="q", unit="mm")


def test_a_misaligned_exam_shows_a_stronger_difference_than_an_aligned_one():
    base = head(grid_of())
    off, on = registration_figure(base, {"before": shifted(base, (6.0, 0.0, 0.0))}), registration_figure(base, {"before": base})
    strong = [int(coloured(f, "sky")[:-40, 880:].sum()) for f in (off, on)]
    assert strong[0] > 20 * max(strong[1], 1)


def test_classes_of_components_are_filled_in_their_own_colours():
    base = head(grid_of())
    before, after = tumour(base.grid, (-9.0, 10.0, 4.0), 5.0), tumour(base.grid, (8.0, -6.0, 0.0), 7.0)
    dark = base.with_data(np.zeros_like(base.data) + (base.data > 0))
    components = (after.data > 0).astype(np.int16)
    local = recurrence_figure(dark, before, after, components=components, classes={1: "local"})
    distant = recurrence_figure(dark, before, after, components=components, classes={1: "distant"})
    assert coloured(local, "vermillion").sum() > 100 > coloured(local, "purple").sum()
    assert coloured(distant, "purple").sum() > 100 > coloured(distant, "vermillion").sum()


def test_a_scheme_that_lacks_the_region_is_named_in_the_caption():
    base = head(grid_of())
    gtv = label_scheme("binary-gtv")
    labels = LabelMap((tumour(base.grid, (-9.0, 10.0, 4.0), 5.0).data > 0).astype(np.uint8), base.grid, gtv)
    assert "binary-gtv cannot express CE_core" in recurrence_figure(base, labels, labels).caption


def test_the_share_within_a_distance_is_that_of_the_voxels():
    share = DistanceShare.of_voxels(np.array([0.0, 0.0, 4.0, 12.0]), 20.0)
    at = dict(zip(np.round(share.distance_mm, 6).tolist(), share.share.tolist(), strict=True))
    assert (at[0.0], at[4.0], at[10.0], at[20.0]) == (0.5, 0.75, 0.75, 1.0)
    with pytest.raises(ParameterError, match="rise"):
        DistanceShare(np.array([1.0, 0.0]), np.array([0.0, 1.0]))


def test_charts_are_parsable_svg_without_scripts_dates_or_addresses(scene):
    for figure in (scene["timeline"], scene["migration"]):
        root = ElementTree.fromstring(figure.data)
        assert not [e for e in root.iter() if e.tag.endswith("script")]
        text = re.sub(rb'xmlns(:\w+)?="[^"]*"', b"", figure.data)
        assert b"http" not in text
        assert b"<dc:date>" not in figure.data
        assert b"prefers-color-scheme: dark" in figure.data


def test_dollars_and_angle_brackets_in_names_are_drawn_as_they_are():
    odd = (Session("a$b$<script>", 0, "preop"), Session("b", 9, "followup"))
    figure = timeline_figure(odd, [ClinicalEvent("R$ & <b>", 4)])
    assert not [e for e in ElementTree.fromstring(figure.data).iter() if e.tag.endswith("script")]


def test_words_of_exams_on_one_level_never_overlap(rng):
    for _ in range(20):
        days = np.sort(rng.integers(0, 400, 9))
        sessions = [Session(f"followup{n}", int(d), "followup") for n, d in enumerate(days)]
        low, high = float(days[0]) - 20, float(days[-1]) + 20
        per_letter = 0.072 / 8.5 * (high - low)
        spans: dict[int, float] = {}
        for s, level in zip(sessions, _levels(sessions, low, high), strict=True):
            half = per_letter * (len(_words(s)) + 2) / 2
            centre = min(max(s.day, low + half), high - half)
            assert centre - half >= spans.get(level, -np.inf) - 1e-6
            spans[level] = centre + half


def test_a_timeline_without_volumes_has_no_empty_panel():
    height = [
        float(ElementTree.fromstring(f.data).get("height")[:-2])
        for f in (timeline_figure(SESSIONS), timeline_figure(SESSIONS, (), VOLUMES_ML))
    ]
    assert height[0] < height[1] - 100
    assert "No volumes were measured" in timeline_figure(SESSIONS).caption


def test_a_mosaic_is_cut_into_figures_of_48_patients():
    base = head(grid_of(spacing_mm=(4.0, 4.0, 4.0)))
    empty = np.zeros(base.grid.shape, bool)
    tile = patient_tile("001", base, tumour(base.grid, (-9.0, 10.0, 4.0), 5.0).data > 0, empty)
    made = mosaic_figures([tile] * 49)
    assert [f.name for f in made] == ["mosaic-1", "mosaic-2"]
    assert "patients 49 to 49 of 49" in made[1].caption
    assert mosaic_figures([]) == ()
    with pytest.raises(GridMismatchError):
        patient_tile("001", base, empty[1:], empty)


def test_distributions_name_what_is_missing():
    made = distribution_figure({"a": [1.0, 2.0, float("nan")], "b": []}, name="x", title="t", quantity="q", unit="mm")
    assert ElementTree.fromstring(made.data).tag.endswith("svg")


def test_migration_curves_need_at_least_one_registration():
    with pytest.raises(ParameterError, match="at least one curve"):
        migration_figure({})


def test_a_chart_comes_as_svg_and_as_png_on_white():
    figure = count_figure({"local": 3, "distant": 1}, name="patterns", title="Patterns", synthetic=True)
    assert list(figure.files()) == ["patterns.svg", "patterns.png"]
    picture = PIL.Image.open(io.BytesIO(figure.files()["patterns.png"]))
    assert picture.info["Description"] == "SYNTHETIC"
    assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
