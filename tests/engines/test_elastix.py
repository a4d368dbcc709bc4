"""What elastix is asked, how its answer is read, and, where it is installed, whether it finds a known motion."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from regrowth.engines import elastix as elastix_module
from regrowth.engines._elastix_child import matrix_of, start_text
from regrowth.engines.elastix import ElastixRegistrar, ElastixSettings, parameter_map
from regrowth.engines.itk import matrix_to_itk
from regrowth.errors import EngineNotInstalledError, ParameterError
from regrowth.registration import cost_mask
from regrowth.space import AffineMap, DisplacementMap, Transform, resample_image
from tests.engines.brain_pair import BrainPair, brain_pair, known_matrix

needs_elastix = pytest.mark.skipif(find_spec("itk") is None, reason="itk-elastix (1.6 GB) is not installed")


@cache
def pair_with(warp_mm: float) -> BrainPair:
    return brain_pair(4, warp_mm)


def masks(pair: BrainPair) -> dict[str, np.ndarray]:
    return {
        "fixed_mask": cost_mask(pair.fixed_lesion, pair.fixed.grid),
        "moving_mask": cost_mask(pair.moving_lesion, pair.moving.grid),
    }


@pytest.fixture
def child(monkeypatch):
    """Stand in for the child process: keeps what it is sent, answers with a shift of 2 mm or a field of 1 mm."""
    calls = []

    def answer(module, arrays, options, *, threads):
        assert module == "regrowth.engines._elastix_child"
        calls.append((dict(arrays), options, threads))
        if options["kind"] == "deformable":
            return {"field": np.ones((*arrays["fixed"].shape, 3), np.float32)}
        moved = np.array(arrays.get("step0_matrix", np.eye(4)))
        moved[0, 3] += 2
        return {"matrix": moved}

    monkeypatch.setattr(elastix_module, "run_child", answer)
    monkeypatch.setattr(elastix_module.ElastixRegistrar, "version", "0")
    return calls


# --- what it is asked -----------------------------------------------------------------------------------------------


def test_linear_stages_follow_each_other_and_keep_their_start(child):
    pair = pair_with(0.0)
    found = ElastixRegistrar().register(pair.fixed, pair.moving, "affine", seed=4, threads=8, **masks(pair))
    assert [options["kind"] for _, options, _ in child] == ["rigid", "affine"]
    assert child[1][0]["step0_matrix"][0, 3] == child[0][0]["step0_matrix"][0, 3] + 2
    assert found.matrix[0, 3] == child[0][0]["step0_matrix"][0, 3] + 4
    assert {threads for _, _, threads in child} == {1}
    assert all(options["parameters"]["RandomSeed"] == ["5"] for _, options, _ in child)
    assert not child[0][0]["fixed_mask"].all()
    assert not child[0][0]["moving_mask"].all()
    child.clear()
    ElastixRegistrar().register(pair.fixed, pair.moving, "affine", initial=found)
    assert [options["kind"] for _, options, _ in child] == ["affine"]
    assert np.array_equal(child[0][0]["step0_matrix"], found.matrix)


def test_the_field_comes_before_the_start_and_the_moving_image_has_been_moved(child):
    pair = pair_with(0.0)
    start = Transform.affine(known_matrix())
    found = ElastixRegistrar().register(pair.fixed, pair.moving, "deformable", initial=start, **masks(pair))
    arrays, options, _ = child[0]
    assert isinstance(found.steps[0], DisplacementMap)
    assert isinstance(found.steps[1], AffineMap)
    assert np.array_equal(found.steps[1].matrix, start.matrix)
    assert np.array_equal(arrays["moving_affine"], arrays["fixed_affine"])
    assert arrays["moving"].shape == arrays["fixed"].shape
    assert np.corrcoef(arrays["moving"].ravel(), arrays["fixed"].ravel())[0, 1] > 0.9
    assert options["parameters"]["Transform"] == ["BSplineTransform"]
    assert found.fixed == pair.fixed.grid


def test_parameters_are_those_of_the_published_workflow():
    settings = ElastixSettings()
    rigid, affine, spline = (parameter_map(k, "mi", settings) for k in ("rigid", "affine", "deformable"))
    for found in (rigid, affine, spline):
        assert found["Metric"] == ["AdvancedMattesMutualInformation"]
        assert found["NumberOfHistogramBins"] == ["32"]
        assert found["NumberOfSpatialSamples"] == ["2048"]
        assert found["Optimizer"] == ["AdaptiveStochasticGradientDescent"]
        assert found["HowToCombineTransforms"] == ["Compose"]
        assert len(found["ImagePyramidSchedule"]) == 3 * int(found["NumberOfResolutions"][0])
        assert all(isinstance(v, str) for values in found.values() for v in values)
    assert (rigid["Transform"], affine["Transform"]) == (["EulerTransform"], ["AffineTransform"])
    assert (rigid["RequiredRatioOfValidSamples"], affine["RequiredRatioOfValidSamples"]) == (["0.05"], ["0.10"])
    assert (rigid["MaximumNumberOfIterations"], spline["MaximumNumberOfIterations"]) == (["250"], ["500"])
    assert spline["FinalGridSpacingInPhysicalUnits"] == ["30"]
    assert spline["GridSpacingSchedule"] == ["4", "2", "1"]
    assert "FinalGridSpacingInPhysicalUnits" not in rigid
    # A seed of 0 means "none" to elastix, and its background is the air of the working image.
    assert spline["RandomSeed"] == ["1"]
    assert spline["DefaultPixelValue"] == ["0"]
    assert parameter_map("rigid", "ncc", settings)["Metric"] == ["AdvancedNormalizedCorrelation"]


def test_what_it_cannot_do_is_refused(child):
    pair = pair_with(0.0)
    with pytest.raises(ParameterError, match="'ssd'"):
        ElastixRegistrar().register(pair.fixed, pair.moving, "rigid", metric="ssd")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="'wobbly'"):
        ElastixRegistrar().register(pair.fixed, pair.moving, "wobbly")  # type: ignore[arg-type]
    assert not child


def test_a_missing_elastix_names_what_to_install(monkeypatch):
    pair = pair_with(0.0)
    monkeypatch.setattr(elastix_module, "find_spec", lambda name: None)
    with pytest.raises(EngineNotInstalledError, match="pip install itk-elastix"):
        ElastixRegistrar().register(pair.fixed, pair.moving, "rigid")
    monkeypatch.setattr(elastix_module, "find_spec", lambda name: object())
    monkeypatch.setattr(elastix_module.metadata, "version", _no_version)
    with pytest.raises(EngineNotInstalledError, match="without elastix"):
        _ = ElastixRegistrar().version


def _no_version(name):
    raise elastix_module.metadata.PackageNotFoundError(name)


# --- how its answer is read -----------------------------------------------------------------------------------------


def test_a_start_is_written_and_read_as_the_same_matrix():
    matrix = known_matrix() @ np.diag([1.1, 0.95, 1.0, 1.0])
    lines = dict(line[1:-1].split(" ", 1) for line in start_text(matrix).splitlines() if line)
    read = {k: v.replace('"', "").split() for k, v in lines.items()}
    assert np.abs(matrix_of(read) - matrix).max() < 1e-12


@pytest.mark.parametrize("zyx", ["false", "true"])
def test_euler_angles_are_read_about_their_centre(zyx):
    import SimpleITK as sitk

    wanted = sitk.Euler3DTransform()
    wanted.SetComputeZYX(zyx == "true")
    wanted.SetCenter((10.0, -20.0, 30.0))
    wanted.SetRotation(0.1, -0.2, 0.3)
    wanted.SetTranslation((4.0, 5.0, -6.0))
    read = {
        "Transform": ["EulerTransform"],
        "TransformParameters": [str(v) for v in wanted.GetParameters()],
        "CenterOfRotationPoint": ["10", "-20", "30"],
        "ComputeZYX": [zyx],
    }
    back = matrix_to_itk(matrix_of(read))
    for point in ((0.0, 0.0, 0.0), (50.0, -30.0, 20.0)):
        assert back.TransformPoint(point) == pytest.approx(wanted.TransformPoint(point))


# --- the engine itself ----------------------------------------------------------------------------------------------


@needs_elastix
@pytest.mark.parametrize("metric", ["mi", "ncc"])
def test_a_known_rigid_motion_is_found(metric):
    pair = pair_with(0.0)
    found = ElastixRegistrar().register(pair.fixed, pair.moving, "rigid", metric=metric, **masks(pair))
    assert pair.error_mm(Transform()) > 10
    assert pair.error_mm(found) < 0.6
    turn = found.matrix[:3, :3]
    assert np.abs(turn.T @ turn - np.eye(3)).max() < 1e-4


@needs_elastix
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_field_of_the_spline_points_the_right_way(axis):
    fixed = pair_with(0.0).fixed
    there = np.eye(4)
    there[axis, 3] = 5.0
    moving = resample_image(fixed, fixed.grid, Transform.affine(np.linalg.inv(there)))  # tissue at x lies at x + 5 mm
    engine = ElastixRegistrar(ElastixSettings(deformable_mm=4.0, deformable_iterations=150))
    found = engine.register(fixed, moving, "deformable", metric="mi")
    points = fixed.grid.world(np.argwhere(fixed.data > 0.2)[::20])
    shift = found.map_points(points) - points
    assert shift.mean(axis=0) == pytest.approx(np.eye(3)[axis] * 5, abs=0.6)


@needs_elastix
def test_equal_input_without_a_fixed_mask_gives_equal_bits():
    pair = pair_with(0.0)
    engine = ElastixRegistrar(ElastixSettings(linear_mm=4.0, linear_iterations=40))
    moving_mask = masks(pair)["moving_mask"]
    twice = [engine.register(pair.fixed, pair.moving, "rigid", threads=n, moving_mask=moving_mask).matrix for n in (1, 2)]
    assert np.array_equal(*twice)
