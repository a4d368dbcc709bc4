"""Where a recurrence lies: the scenarios that the symmetric HD95 gets wrong, against balls whose distances are known."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.io.nifti import read_labels
from regrowth.labels import label_scheme
from regrowth.metrics import exam_volumes
from regrowth.recurrence import MigrationDistance, RecurrenceParameters, migration, migration_by_region, sensitivity_band
from regrowth.space import Grid, LabelMap
from tests.conftest import make_grid

COLUMNS = [
    "region",
    "transform",
    "status",
    "reason",
    "primary_ml_space",
    "recurrence_ml_space",
    "hd95_mesh_mm",
    "hd95_voxel_mm",
    "hd95_pooled_mm",
    "outward_p50_mm",
    "outward_p95_mm",
    "outward_max_mm",
    "assd_mm",
    "dice",
    "shift_r_mm",
    "shift_a_mm",
    "shift_s_mm",
    "shift_mm",
    "within_0mm",
    "within_5mm",
    "within_10mm",
    "within_15mm",
    "within_20mm",
    "within_30mm",
    "n_components",
    "n_small_components",
    "n_new_satellites",
    "pattern",
    "trend",
]
PRIMARY_RADIUS = 25.0


def ball(grid: Grid, centre_mm: tuple[float, ...], radius_mm: float) -> np.ndarray:
    ijk = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return np.linalg.norm(grid.world(ijk) - np.array(centre_mm), axis=-1) <= radius_mm


@pytest.fixture(scope="module")
def brain() -> Grid:
    """1 mm grid that holds a ball of 25 mm about the origin and 60 mm to its left."""
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [30, -30, -30]
    return Grid((92, 61, 61), affine)


@pytest.fixture(scope="module")
def primary(brain) -> np.ndarray:
    return ball(brain, (0, 0, 0), PRIMARY_RADIUS)


def true_hd95(radius_mm: float, offset_mm: float) -> float:
    """p95 of the distance from the primary sphere to a small ball at an offset, the larger of the two directions."""
    cosine = np.linspace(-1, 1, 20001)
    away = np.sqrt(PRIMARY_RADIUS**2 + offset_mm**2 - 2 * PRIMARY_RADIUS * offset_mm * cosine) - radius_mm
    return float(np.percentile(np.abs(away), 95))


def true_outward(radius_mm: float, offset_mm: float, percentile: float) -> float:
    """Percentile of the distance of the points of a ball at an offset beyond the primary."""
    step = radius_mm / 40
    x, y, z = np.meshgrid(*[np.arange(-radius_mm, radius_mm + step, step)] * 3)
    inside = x**2 + y**2 + z**2 <= radius_mm**2
    beyond = np.sqrt((x[inside] + offset_mm) ** 2 + y[inside] ** 2 + z[inside] ** 2) - PRIMARY_RADIUS
    return float(np.percentile(np.maximum(beyond, 0), percentile))


@pytest.mark.parametrize(
    ("offset_mm", "pattern", "hd95_of_the_note", "outward_of_the_note"),
    [(15, "local", 32.9, 0.0), (29.8, "marginal", 47.4, 9.9), (47.7, "marginal", 65.0, 27.3), (52, "distant", None, None)],
)
def test_a_small_recurrence_inside_at_the_rim_and_far(
    brain, primary, offset_mm, pattern, hd95_of_the_note, outward_of_the_note
):
    recurrence = ball(brain, (-offset_mm, 0, 0), 6)
    found = migration(primary, recurrence, brain)
    assert found.status == "ok"
    assert found.hd95_mesh_mm == pytest.approx(true_hd95(6, offset_mm), abs=0.5)
    assert found.outward_p95_mm == pytest.approx(true_outward(6, offset_mm, 95), abs=0.6)
    assert found.outward_p50_mm == pytest.approx(true_outward(6, offset_mm, 50), abs=1.0)  # between voxel centres
    if hd95_of_the_note is not None:
        assert found.hd95_voxel_mm == pytest.approx(hd95_of_the_note, abs=0.6)
        assert found.outward_p95_mm == pytest.approx(outward_of_the_note, abs=0.6)
    assert found.pattern == pattern
    assert found.shift_ras_mm == pytest.approx((-offset_mm, 0, 0), abs=0.3)
    assert found.shift_mm == pytest.approx(offset_mm, abs=0.3)
    (part,) = found.components
    assert part.reach_mm == found.outward_max_mm
    assert part.gap_mm == pytest.approx(max(offset_mm - 6 - PRIMARY_RADIUS, 0), abs=1.0)


def test_an_unchanged_tumour_with_a_satellite_scores_zero_but_for_its_parts(brain, primary):
    satellite = ball(brain, (-55, 0, 0), 4)
    found = migration(primary, primary | satellite, brain)
    assert (found.hd95_voxel_mm, found.hd95_mesh_mm, found.outward_p95_mm) == (0.0, 0.0, 0.0)
    assert found.pattern == "multifocal"
    assert [c.kind for c in found.components] == ["local", "distant"]
    assert found.components[1].gap_mm == pytest.approx(26, abs=1.0)
    assert found.components[1].centroid_ras_mm == pytest.approx((-55, 0, 0), abs=0.1)
    assert found.outward_max_mm == pytest.approx(34, abs=1.0)


def test_shares_within_margins_follow_the_distance_of_each_voxel(brain, primary):
    inside, near, far = (ball(brain, (-x, 0, 0), 4) for x in (10, 37, 52))
    found = migration(primary, inside | near | far, brain)
    third = pytest.approx(1 / 3, abs=1e-9)
    # near: 8 to 16 mm beyond the primary; far: 23 to 31 mm.
    assert found.within[0] == found.within[5] == third
    assert 1 / 3 < found.within[10] < 2 / 3
    assert found.within[20] == pytest.approx(2 / 3)
    assert 2 / 3 < found.within[30] < 1
    assert [c.kind for c in found.components].count("local") == 1


def test_measures_do_not_depend_on_orientation(orientation):
    grid = make_grid(orientation, (2.0, 2.0, 3.0), 70.0)
    primary = ball(grid, (0, 0, 0), 14)
    found = migration(primary, ball(grid, (10, -12, 14), 7), grid)
    distance = np.linalg.norm([10, -12, 14])
    assert found.shift_ras_mm == pytest.approx((10, -12, 14), abs=0.5)
    assert found.outward_max_mm == pytest.approx(distance + 7 - 14, abs=2.0)
    assert found.pattern == "marginal"


@pytest.mark.parametrize(("filled", "status"), [((0, 0), "both_empty"), ((0, 1), "no_primary"), ((1, 0), "no_recurrence")])
def test_an_empty_mask_gives_nan_everywhere_and_a_reason(brain, primary, filled, status):
    masks = [primary & bool(f) for f in filled]
    found = migration(*masks, brain, region="ET", transform="rigid", native_ml=(0.0, 3.0))
    row = found.as_row()
    assert row["status"] == status
    assert "empty" in str(row["reason"])
    assert (row["pattern"], row["trend"]) == ("undefined", "new")
    numbers = [row[c] for c in COLUMNS[6:-2]]
    assert np.isnan(numbers).all()
    assert row["primary_ml_space"] == pytest.approx(65.3 * filled[0], rel=0.01)


def test_rows_hold_the_promised_columns_in_order(brain, primary):
    assert list(migration(primary, primary, brain).as_row()) == COLUMNS
    assert list(migration(primary, ~primary & False, brain).as_row()) == COLUMNS


def test_small_parts_are_counted_apart_and_stay_in_the_shares(brain, primary):
    crumb = np.zeros_like(primary)
    crumb[80, 30, 30:32] = True
    found = migration(primary, primary | crumb, brain)
    assert (len(found.components), found.n_small_components) == (1, 1)
    assert found.pattern == "local"
    assert found.within[0] < 1.0
    only = migration(primary, crumb, brain)
    assert (only.status, only.pattern, only.n_small_components) == ("ok", "undefined", 1)
    assert "too small" in only.reason
    kept = migration(primary, crumb, brain, parameters=RecurrenceParameters(min_component_ml=0.0, min_component_voxels=2))
    assert kept.pattern == "distant"


def test_parts_that_touch_by_a_corner_are_one(brain, primary):
    corner = np.zeros_like(primary)
    corner[70:75, 10:15, 10:15] = corner[75:80, 15:20, 15:20] = True
    assert len(migration(primary, corner, brain).components) == 1


def test_the_cavity_counts_with_the_primary_for_a_local_part(brain, primary):
    recurrence, cavity = ball(brain, (-32, 0, 0), 5), ball(brain, (-28, 0, 0), 12)
    assert migration(primary, recurrence, brain).pattern == "marginal"
    found = migration(primary, recurrence, brain, cavity=cavity)
    assert found.pattern == "local"
    assert found.components[0].share_inside < 0.5 < found.components[0].share_inside_or_cavity


def test_masks_of_another_grid_are_refused(brain, primary):
    with pytest.raises(GridMismatchError, match="recurrence"):
        migration(primary, primary[1:], brain)
    with pytest.raises(GridMismatchError, match="cavity"):
        migration(primary, primary, brain, cavity=primary[1:])


@settings(max_examples=10, deadline=None)
@given(shift=st.tuples(*[st.integers(-6, 6)] * 3), scale=st.floats(0.3, 3.0))
def test_a_shifted_copy_is_shifted_by_that_much_at_any_scale(shift, scale):
    grid = Grid((34, 34, 34), np.diag([-scale, scale, 2 * scale, 1.0]))
    primary = np.zeros(grid.shape, bool)
    primary[10:24, 12:22, 11:23] = True
    found = migration(primary, np.roll(primary, shift, (0, 1, 2)), grid)
    expected = np.array(shift) * [-scale, scale, 2 * scale]
    assert found.shift_ras_mm == pytest.approx(tuple(expected), abs=1e-9)
    assert found.outward_max_mm == pytest.approx(np.linalg.norm(expected))


# Segmentations


def segmentation(grid: Grid, scheme: str, **masks: np.ndarray) -> LabelMap:
    data = np.zeros(grid.shape, np.uint8)
    for name, mask in masks.items():
        data[mask] = label_scheme(scheme).values[name]
    return LabelMap(data, grid, label_scheme(scheme))


@pytest.fixture(scope="module")
def exams() -> tuple[LabelMap, LabelMap]:
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 90.0)
    before = segmentation(
        grid, "brats-2021", ED=ball(grid, (0, 0, 0), 20), ET=ball(grid, (0, 0, 0), 14), NCR=ball(grid, (0, 0, 0), 9)
    )
    after = segmentation(
        grid,
        "brats-2024-post",
        SNFH=ball(grid, (8, 0, 0), 22),
        RC=ball(grid, (0, 0, 0), 12),
        ET=ball(grid, (17, 0, 0), 8),
        NETC=ball(grid, (17, 0, 0), 4),
    )
    return before, after


def test_every_region_gets_a_row_also_across_schemes(exams):
    rows = migration_by_region(*exams, transform="rigid", native=(exam_volumes(exams[0]), exam_volumes(exams[1])))
    assert [r.region for r in rows] == ["CE_core", "ET", "NE", "WT"]
    assert {(r.status, r.transform) for r in rows} == {("ok", "rigid")}
    core, enhancing = rows[:2]
    assert core.recurrence_ml_space > enhancing.recurrence_ml_space
    assert core.trend == "shrinkage"
    assert migration_by_region(*exams)[0].trend == "unknown"


def test_the_cavity_of_the_first_exam_makes_a_part_in_it_local(exams):
    grid = exams[0].grid
    residual, cavity = ball(grid, (-10, 0, 0), 5), ball(grid, (5, 0, 0), 12)
    postop = segmentation(grid, "brats-2024-post", RC=cavity, ET=residual)
    recurrence = segmentation(grid, "brats-2023", ET=ball(grid, (8, 0, 0), 6))
    assert migration_by_region(postop, recurrence, regions=["ET"])[0].pattern == "local"
    without = segmentation(grid, "brats-2023", ET=residual)
    assert migration_by_region(without, recurrence, regions=["ET"])[0].pattern == "marginal"
    assert migration_by_region(without, recurrence, regions=["ET"], cavity=cavity)[0].pattern == "local"


def test_regions_that_a_scheme_lacks_become_rows_with_a_reason(exams):
    before, _ = exams
    other = segmentation(before.grid, "hd-glio", NE=before.mask("NE"), CE=before.mask("ET"))
    rows = {r.region: r for r in migration_by_region(before, other)}
    assert rows["CE_core"].status == "not_in_scheme"
    assert "hd-glio cannot express CE_core" in rows["CE_core"].reason
    assert np.isnan(rows["CE_core"].as_row()["hd95_mesh_mm"])
    assert rows["ET"].status == "ok"


def test_a_binary_mask_is_measured_as_gtv_and_the_rest_is_not_in_its_scheme(exams):
    before, after = (segmentation(e.grid, "binary-gtv", GTV=e.mask("WT")) for e in exams)
    rows = {r.region: r.status for r in migration_by_region(before, after)}
    assert rows == {
        "CE_core": "not_in_scheme",
        "ET": "not_in_scheme",
        "NE": "not_in_scheme",
        "WT": "not_in_scheme",
        "GTV": "ok",
    }


def test_segmentations_of_two_grids_are_refused(exams):
    before, after = exams
    moved = after.grid.affine.copy()
    moved[0, 3] += 5
    with pytest.raises(GridMismatchError):
        migration_by_region(before, LabelMap(after.data, Grid(after.grid.shape, moved), after.scheme))


def test_the_band_is_the_absolute_difference_of_every_measure(brain, primary):
    rigid = migration(primary, ball(brain, (-40, 0, 0), 6), brain, region="ET", transform="rigid")
    deformable = migration(primary, ball(brain, (-36, 0, 0), 6), brain, region="ET", transform="deformable")
    band = sensitivity_band(rigid, deformable)
    assert band["shift_mm"] == pytest.approx(4.0, abs=1e-6)
    assert band["outward_max_mm"] == pytest.approx(4.0)
    assert band["dice"] == 0.0
    assert all(v >= 0 for v in band.values())
    assert band == sensitivity_band(deformable, rigid)
    assert np.isnan(list(sensitivity_band(rigid, MigrationDistance("ET", "deformable", "no_primary")).values())).all()
    with pytest.raises(ParameterError, match="one region"):
        sensitivity_band(rigid, MigrationDistance("WT", "deformable", "no_primary"))


def test_results_can_be_sent_between_processes(exams):
    found = migration_by_region(*exams, regions=["ET"])
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301


# Real patients


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("subject", "voxels"),
    [("01", (8246, 10009)), ("03", (2198, 2504)), ("05", (2982, 7398)), ("08", (3947, 5220)), ("10", (338, 160))],
)
def test_real_masks_are_measured_and_the_one_that_shrank_and_moved_is_no_local_regrowth(real_data, subject, voxels):
    folder = real_data / "brain-tumor-progression" / "derivatives" / "manual" / f"sub-{subject}"
    exams = [
        read_labels(folder / f"ses-{s}" / "anat" / f"sub-{subject}_ses-{s}_label-tumor_mask.nii.gz", label_scheme("binary-gtv"))
        for s in ("01", "02")
    ]
    assert tuple(int(e.mask("GTV").sum()) for e in exams) == voxels
    # Not registered: the two exams are laid on each other voxel by voxel, which is enough to try the rules on real shapes.
    second = LabelMap(exams[1].data, exams[0].grid, exams[1].scheme)
    native = (exam_volumes(exams[0]), exam_volumes(exams[1]))
    found = migration_by_region(exams[0], second, native=native)[-1]
    assert (found.region, found.status) == ("GTV", "ok")
    assert np.isfinite([v for k, v in found.as_row().items() if k.endswith("_mm")]).all()
    assert found.within[30] <= 1.0
    if subject == "10":
        assert found.dice == pytest.approx(0.004, abs=0.0005)
        assert found.pattern != "local"
        assert found.label != "local regrowth"
    if subject == "05":
        assert found.trend == "growth"
