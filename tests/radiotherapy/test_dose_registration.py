"""The relapse scan is brought to the planning scan: direction, padding, lesions, flags, and how near to the truth it comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

from regrowth.engines.greedy import GreedyRegistrar
from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.io.nifti import read_image
from regrowth.io.transforms import read_transform
from regrowth.phantom.radiotherapy_patient import synthetic_radiotherapy
from regrowth.radiotherapy.dose_registration import register_for_dose
from regrowth.radiotherapy.mapped_structure import map_recurrence
from regrowth.radiotherapy.mapping import align_centroids, map_points
from regrowth.registration.working import foreground
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform
from tests.conftest import make_grid
from tests.radiotherapy.mapping_cases import rigid, wave


@dataclass
class Recorder:
    """Registrar that gives a set answer and keeps what it was called with."""

    answer: Transform = field(default_factory=Transform)
    calls: list[dict] = field(default_factory=list)
    name: str = "recorder"
    version: str = "1"
    citation: str = "none"

    def register(self, fixed, moving, kind, **options):
        self.calls.append({"fixed": fixed, "moving": moving, "kind": kind, **options})
        return self.answer


def body(grid: Grid, unit: str = "HU", *, centre=(3.0, -2.0, 5.0), value: float = 60.0, air: float = -1000.0) -> Image:
    """Draw a ball of tissue with a denser core in air."""
    off = np.linalg.norm(Transform().map_grid(grid) - np.array(centre), axis=-1)
    data = np.where(off < 22, value, air)
    return Image(np.where(off < 8, value + 300, data).astype(np.float32), grid, unit)


GRID = make_grid("LPS", (2.0, 2.0, 3.0), 70.0)


# --- what the engine is given ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "stages"), [("rigid", 1), ("affine", 2), ("deformable", 3)])
def test_stages_follow_each_other_and_planning_is_fixed(kind, stages):
    planning, relapse, engine = body(GRID), body(GRID, centre=(4, -2, 5)), Recorder(rigid((1, 0, 0)))
    start = rigid((5, 0, 0))
    found = register_for_dose(planning, relapse, engine, kind=kind, initial=start, metric="mi", seed=3, threads=2)
    assert [c["kind"] for c in engine.calls] == ["rigid", "affine", "deformable"][:stages]
    assert engine.calls[0]["initial"] is start
    assert all(c["initial"].matrix[0, 3] == 1 for c in engine.calls[1:])
    assert all(c["fixed"].data[tuple(GRID.index(np.array([3.0, -2, 26])).round().astype(int))] > 0 for c in engine.calls)
    assert {(c["metric"], c["seed"], c["threads"]) for c in engine.calls} == {("mi", 3, 2)}
    assert (found.transform.from_space, found.transform.to_space) == ("relapse", "planning")
    assert (found.transform.fixed, found.transform.moving) == (planning.grid, relapse.grid)
    assert len(found.stages) == stages
    assert found.engine == "recorder 1"


@pytest.mark.parametrize("padding", [-1024.0, -2000.0, -3024.0, -32768.0, np.nan])
def test_padding_around_the_field_of_view_looks_like_air_to_the_engine(padding):
    plain = body(GRID)
    x = Transform().map_grid(GRID)
    outside = np.hypot(x[..., 0] - 3, x[..., 1] + 2) > 30
    padded = plain.with_data(np.where(outside, padding, plain.data).astype(np.float32))
    engine = Recorder()
    found = register_for_dose(plain, padded, engine, kind="rigid")
    given = engine.calls[0]
    assert np.array_equal(given["fixed"].data, given["moving"].data)
    assert given["moving"].data.min() == -950
    if padding == -1024:  # also the value of true air on many scanners: cannot be told from it
        assert given["moving_mask"] is None
    else:
        assert np.array_equal(~given["moving_mask"], outside)
        assert "of the relapse scan lies outside of its field of view" in found.reason
    assert given["fixed_mask"] is None
    assert found.status == "ok"


def test_a_background_of_ones_own_is_obeyed():
    planning = body(GRID, "a.u.", value=300.0, air=20.0)
    relapse = planning.with_data(np.where(Transform().map_grid(GRID)[..., 0] > 30, -5.0, planning.data).astype(np.float32))
    engine = Recorder()
    register_for_dose(planning, relapse, engine, kind="rigid", background=0.0)
    assert (~engine.calls[0]["moving_mask"]).sum() == (relapse.data < 0).sum() > 0
    assert engine.calls[0]["moving"].data.min() == 20
    register_for_dose(planning, relapse, engine, kind="rigid")
    assert engine.calls[1]["moving_mask"] is None
    assert engine.calls[1]["moving"].data.min() == -5


def test_lesions_are_left_out_with_their_margin():
    planning, engine = body(GRID), Recorder()
    lesion = np.zeros(GRID.shape, bool)
    lesion[15:18, 15:18, 12:14] = True
    register_for_dose(planning, planning, engine, kind="rigid", planning_lesion=lesion, relapse_lesion=lesion)
    for name in ("fixed_mask", "moving_mask"):
        left_out = ~engine.calls[0][name]
        assert left_out[lesion].all()
        assert lesion.sum() < left_out.sum() < 10 * lesion.sum()


def test_images_that_hold_nothing_are_refused():
    planning = body(GRID)
    with pytest.raises(InputError, match="every voxel"):
        register_for_dose(planning, planning.with_data(np.full(GRID.shape, -3024.0)), Recorder())
    with pytest.raises(InputError, match="one volume"):
        register_for_dose(Image(np.zeros((*GRID.shape, 2)), GRID, "HU"), planning, Recorder())
    with pytest.raises(InputError, match="no contrast"):
        register_for_dose(planning, planning.with_data(np.full(GRID.shape, -1000.0)), GreedyRegistrar(), kind="rigid")
    with pytest.raises(ParameterError, match="'wobbly'"):
        register_for_dose(planning, planning, Recorder(), kind="wobbly")
    with pytest.raises(GridMismatchError, match="lesion"):
        register_for_dose(planning, planning, Recorder(), planning_lesion=np.zeros((2, 2, 2), bool))


# --- what is said about the result ----------------------------------------------------------------------------------


def test_a_bad_alignment_is_flagged_and_a_good_one_is_not():
    planning = body(GRID)
    good = register_for_dose(planning, planning, Recorder(), kind="rigid")
    assert (good.status, good.reason, good.covered_share) == ("ok", "", 1.0)
    bad = register_for_dose(planning, planning, Recorder(rigid((18, 0, 0))), kind="rigid")
    assert bad.status == "flagged"
    assert "correlation fell" in bad.reason
    marks = np.array([[0.0, 0, 0], [5, 5, 5]])
    off = register_for_dose(planning, planning, Recorder(rigid((6, 0, 0))), kind="rigid", landmarks_mm=(marks, marks))
    assert off.quality.landmark_mean_mm == pytest.approx(6)
    assert "landmarks are 6.0 mm off" in off.reason


def test_folds_and_missing_cover_are_flagged():
    planning = body(GRID)
    fold = register_for_dose(planning, planning, Recorder(Transform((wave(GRID, 12.0, 30.0),))))
    assert fold.status == "flagged"
    assert "of the body is folded" in fold.reason
    assert fold.folding.least_jacobian < 0
    away = register_for_dose(planning, planning, Recorder(rigid((60, 0, 0))), kind="rigid")
    assert away.covered_share < 0.5
    assert f"shows {away.covered_share:.0%} of the body" in away.reason


# --- how near it comes ----------------------------------------------------------------------------------------------


@cache
def patient(case: str):
    made = synthetic_radiotherapy(case, 3.0, 7)
    return made, made.planning_ct(), made.relapse_ct()


@pytest.mark.parametrize("case", ["head_neck", "brain"])
def test_landmarks_of_the_phantom_are_found_within_two_millimetres(case):
    made, planning, relapse = patient(case)
    before, after = made.landmarks()
    control = made.case.controls[0]
    drawn = [{s.name: s for s in group} for group in (made.planning_structures(), made.relapse_structures())]
    start = align_centroids(drawn[0][control], drawn[1][control])
    assert np.linalg.norm(before - after, axis=1).mean() > 10
    found = register_for_dose(planning, relapse, GreedyRegistrar(), initial=start, landmarks_mm=(before, after))
    error = np.linalg.norm(map_points(after, found.transform) - before, axis=1)
    assert error.mean() < 2
    assert found.quality.landmark_mean_mm < 2
    assert found.status == "ok", found.reason
    assert found.folding.share == 0
    for truth in made.recurrence_truth()[:2]:
        mapped = map_recurrence(drawn[1][truth.name], found.transform, planning.grid)
        assert mapped.status == "ok", mapped.reason
        assert np.linalg.norm(mapped.pulled.centroid_mm - truth.planning_mm) < 3
        assert mapped.apart_mm < 0.5


def test_recurrences_lie_where_they_are_when_the_transform_is_the_true_one():
    made, planning, _ = patient("head_neck")
    drawn = {s.name: s for s in made.relapse_structures()}
    true = made.relapse_to_planning(planning.grid)
    for truth in made.recurrence_truth():
        mapped = map_recurrence(drawn[truth.name], true, planning.grid)
        assert mapped.status == "ok", mapped.reason
        for way in (mapped.pulled, mapped.pushed):
            assert np.linalg.norm(way.centroid_mm - truth.planning_mm) < 0.5
            # The outlines of the phantom are drawn as chords between pixels of 3.3 mm, inside of the ball.
            assert 0.85 < way.volume_ml / truth.volume_ml < 1.02


def test_a_round_field_of_view_does_not_move_the_alignment():
    made, planning, relapse = patient("brain")
    x = Transform().map_grid(relapse.grid)
    middle = x[foreground(relapse.data)].mean(axis=0)
    radius = np.hypot(x[..., 0] - middle[0], x[..., 1] - middle[1])
    tissue_mm = np.quantile(radius[relapse.data > -300], 0.999)
    padded = relapse.with_data(np.where(radius > tissue_mm + 4, -3024.0, relapse.data).astype(np.float32))
    plain, round_ = (register_for_dose(planning, r, GreedyRegistrar(), kind="rigid").transform for r in (relapse, padded))
    points, _ = made.landmarks()
    assert np.linalg.norm(plain.map_points(points) - round_.map_points(points), axis=1).max() < 0.5


@pytest.mark.realdata
def test_the_published_transform_of_a_serial_exam_is_found_again(real_data):
    folder = real_data / "serial-brain-mr"
    if not folder.is_dir():
        pytest.skip("serial-brain-mr is absent")
    planning, relapse = (read_image(folder / f"study{i}_FLAIR.nii.gz") for i in (1, 2))
    first, second = (read_transform(folder / f"study{i}_FLAIR_to_common_space.txt") for i in (1, 2))
    wanted = Transform((AffineMap(second.matrix @ np.linalg.inv(first.matrix)),))
    found = register_for_dose(planning, relapse, GreedyRegistrar(), kind="rigid")
    points = planning.grid.world(np.argwhere(foreground(planning.data))[::500])
    there = wanted.map_points(points)
    assert np.linalg.norm(there - points, axis=1).mean() > 10
    assert np.linalg.norm(found.transform.map_points(points) - there, axis=1).mean() < 0.5
    # The same the other way round, as points of the relapse scan travel.
    assert np.linalg.norm(map_points(there, found.transform) - points, axis=1).mean() < 0.5
    assert found.status == "ok", found.reason
    assert not any(isinstance(s, DisplacementMap) for s in found.transform.steps)
