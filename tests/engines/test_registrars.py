"""What every registration engine promises: the known answer, the same bits twice, refusals by name."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from regrowth.engines import ants as ants_module
from regrowth.engines.ants import AntsRegistrar, AntsSettings
from regrowth.engines.choice import registrar
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.engines.sitk import SitkRegistrar
from regrowth.errors import EngineNotInstalledError, InputError, ParameterError
from regrowth.registration import Registrar, cost_mask
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform, resample_image
from tests.engines.brain_pair import BrainPair, brain_pair, known_matrix

ENGINES: dict[str, Registrar] = {
    "greedy": GreedyRegistrar(),
    "sitk": SitkRegistrar(),
    "ants": AntsRegistrar(),
}
# Mean error at 4 mm voxels: rigid motion; warp, of which an affine map leaves 1.9 mm.
RIGID_LIMIT_MM = {"greedy": 0.5, "sitk": 0.8, "ants": 0.5}
WARP_LIMIT_MM = {"greedy": 1.0, "sitk": 1.0, "ants": 1.5}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Registrar:
    return ENGINES[request.param]


@cache
def pair_with(warp_mm: float) -> BrainPair:
    return brain_pair(4, warp_mm)


def masks(pair: BrainPair) -> dict[str, np.ndarray]:
    return {
        "fixed_mask": cost_mask(pair.fixed_lesion, pair.fixed.grid),
        "moving_mask": cost_mask(pair.moving_lesion, pair.moving.grid),
    }


def test_a_known_rigid_motion_is_found(engine: Registrar) -> None:
    pair = pair_with(0.0)
    assert pair.error_mm(Transform()) > 5
    found = engine.register(pair.fixed, pair.moving, "rigid", **masks(pair))
    assert pair.error_mm(found) < RIGID_LIMIT_MM[engine.name]
    turn = found.matrix[:3, :3]
    assert np.abs(turn.T @ turn - np.eye(3)).max() < 1e-4


@pytest.mark.parametrize("name", ["greedy", "sitk"])
def test_a_known_stretch_is_found_by_the_affine_kind(name: str) -> None:
    pair, engine = pair_with(0.0), ENGINES[name]
    stretch = np.diag([1.06, 0.95, 1.0, 1.0])
    fixed = resample_image(pair.fixed, pair.fixed.grid, Transform.affine(stretch))
    found = engine.register(fixed, pair.moving, "affine").matrix
    wanted = known_matrix() @ stretch
    assert np.abs(found[:3, :3] - wanted[:3, :3]).max() < 0.02
    assert np.abs(found[:3, 3] - wanted[:3, 3]).max() < 1.0


def test_a_known_warp_is_found_from_the_affine_start(engine: Registrar) -> None:
    pair = pair_with(1.5)
    start = GreedyRegistrar().register(pair.fixed, pair.moving, "affine", **masks(pair))
    found = engine.register(pair.fixed, pair.moving, "deformable", initial=start, **masks(pair))
    assert pair.error_mm(start) > 1.8
    assert pair.error_mm(found) < WARP_LIMIT_MM[engine.name]
    assert isinstance(found.steps[0], DisplacementMap)
    # It contains its start as it was given.
    assert isinstance(found.steps[1], AffineMap)
    assert np.array_equal(found.steps[1].matrix, start.matrix)
    assert found.fixed == pair.fixed.grid


@pytest.mark.parametrize("name", ENGINES)
def test_equal_input_gives_equal_bits(name: str) -> None:
    pair = pair_with(1.5)
    engine = AntsRegistrar(AntsSettings(iterations=(10, 5))) if name == "ants" else ENGINES[name]
    twice = [engine.register(pair.fixed, pair.moving, "rigid", seed=3, threads=2, **masks(pair)) for _ in range(2)]
    assert np.array_equal(twice[0].matrix, twice[1].matrix)
    twice = [engine.register(pair.fixed, pair.moving, "deformable", initial=twice[0], seed=3, threads=2) for _ in range(2)]
    fields = [t.steps[0].displacement_mm for t in twice if isinstance(t.steps[0], DisplacementMap)]
    assert np.abs(fields[0]).max() > 0.5
    assert np.array_equal(fields[0], fields[1])


@pytest.mark.parametrize("name", ["greedy", "sitk"])
def test_the_number_of_threads_does_not_change_the_result(name: str) -> None:
    pair = pair_with(1.5)
    start = Transform.affine(known_matrix())
    one, two = (ENGINES[name].register(pair.fixed, pair.moving, "deformable", initial=start, threads=n) for n in (1, 2))
    assert np.array_equal(one.steps[0].displacement_mm, two.steps[0].displacement_mm)  # type: ignore[union-attr]


def test_two_contrasts_are_aligned_by_mutual_information(engine: Registrar) -> None:
    pair = pair_with(0.0)
    inverted = np.where(pair.moving.data > 0.1, 1.2 - pair.moving.data, 0)
    found = engine.register(pair.fixed, pair.moving.with_data(inverted), "rigid", metric="mi", **masks(pair))
    assert pair.error_mm(found) < 0.6


@pytest.mark.parametrize("name", ["greedy", "sitk"])
@pytest.mark.parametrize("orientation", ["LAS", "oblique"])
def test_thick_slices_on_another_grid_are_aligned(name: str, orientation: str) -> None:
    pair, engine = pair_with(0.0), ENGINES[name]
    grid = pair.moving.grid
    turn = np.eye(4)
    if orientation == "oblique":
        a = np.deg2rad(15.0)
        turn[:3, :3] = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    middle = grid.world((np.array(grid.shape) - 1) / 2)
    affine = turn @ np.diag([-2.0, 2.0, 7.0, 1.0])
    shape = (100, 120, 28)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    thick = resample_image(pair.moving, Grid(shape, affine))
    found = engine.register(pair.fixed, thick, "rigid", fixed_mask=masks(pair)["fixed_mask"])
    assert pair.error_mm(found) < 0.8


@pytest.mark.parametrize("name", ["greedy", "sitk"])
def test_a_field_in_the_start_is_passed_on_with_its_sign_and_order(name: str) -> None:
    pair, engine = pair_with(1.5), ENGINES[name]
    there = np.zeros((*pair.fixed.grid.shape, 3), np.float32)
    there[..., 0] = 8.0
    back = np.eye(4)
    back[0, 3] = -8.0
    plain = Transform.affine(known_matrix())
    detour = Transform((DisplacementMap(there, pair.fixed.grid), AffineMap(back), *plain.steps))
    fields = []
    for start in (plain, detour):
        found = engine.register(pair.fixed, pair.moving, "deformable", initial=start, **masks(pair))
        assert found.steps[1:] == start.steps
        assert isinstance(found.steps[0], DisplacementMap)
        fields.append(found.steps[0].displacement_mm)
    assert np.abs(fields[0]).max() > 2
    assert np.abs(fields[0] - fields[1]).max() < 1e-3


def test_what_an_engine_cannot_use_is_refused_by_name() -> None:
    pair = pair_with(0.0)
    greedy = GreedyRegistrar()
    with pytest.raises(ParameterError, match="'wobbly'"):
        greedy.register(pair.fixed, pair.moving, "wobbly")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="scales or shears"):
        greedy.register(pair.fixed, pair.moving, "rigid", initial=Transform.affine(np.diag([1.1, 1, 1, 1])))
    field = DisplacementMap(np.zeros((*pair.fixed.grid.shape, 3)), pair.fixed.grid)
    with pytest.raises(ParameterError, match="displacement field"):
        greedy.register(pair.fixed, pair.moving, "affine", initial=Transform((field,)))
    with pytest.raises(InputError, match="no contrast"):
        greedy.register(pair.fixed, pair.moving.with_data(np.ones(pair.moving.grid.shape)), "rigid")
    with pytest.raises(InputError, match="True must mean"):
        greedy.register(pair.fixed, pair.moving, "rigid", fixed_mask=np.zeros(pair.fixed.grid.shape, bool))
    with pytest.raises(InputError, match="one volume"):
        greedy.register(Image(np.zeros((8, 8, 8, 2)), Grid((8, 8, 8), np.eye(4))), pair.moving, "rigid")
    for engine in (greedy, SitkRegistrar()):
        with pytest.raises(ParameterError, match="two contrasts"):
            engine.register(pair.fixed, pair.moving, "deformable", metric="mi")


def test_engines_are_chosen_by_name() -> None:
    assert [registrar(n).name for n in ("greedy", "sitk", "ants")] == ["greedy", "sitk", "ants"]  # type: ignore[arg-type]
    assert all(registrar(n).version[0].isdigit() for n in ("greedy", "sitk"))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="greedy, sitk, ants"):
        registrar("elastic")  # type: ignore[arg-type]


def test_a_missing_engine_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ants_module, "find_spec", lambda name: None)
    with pytest.raises(EngineNotInstalledError, match=r"pip install 'regrowth\[ants\]'"):
        registrar("ants")
