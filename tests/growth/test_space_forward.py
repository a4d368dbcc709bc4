"""Does the simulated tumour obey its equation: front speed, mass, barriers, treatment, any grid."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth.kpp import Kill, KppParameters, Removal, Stepping, TumourField, solve_kpp
from regrowth.growth.simulate import DoseCourse, ResectionCavity, seed_density, simulate_growth
from regrowth.growth.tissue import TissueMap, coarsened_mask, exchange_rates, tissue_map
from regrowth.space import Grid, Image
from tests.conftest import make_grid


def uniform(grid: Grid) -> TissueMap:
    return tissue_map(np.ones(grid.shape), np.zeros(grid.shape), grid)


def position(profile: np.ndarray, spacing: float) -> float:
    k = int(np.argmax(profile < 0.5))
    return float((k - 1 + (profile[k - 1] - 0.5) / (profile[k - 1] - profile[k])) * spacing)


def euler(start: np.ndarray, rates, diffusivity: float, rho: float, step: float, steps: int) -> np.ndarray:
    """Plain float64 reference of the same finite volumes."""
    u = np.pad(start.astype(float), 1)
    for _ in range(steps):
        change = rho * u * (1 - u)
        for axis, face in enumerate(rates.along):
            flux = face * diffusivity * (np.roll(u, -1, axis) - u)
            change += flux - np.roll(flux, 1, axis)
        u = u + step * change
    return u[1:-1, 1:-1, 1:-1]


def mottled(rng: np.random.Generator, shape=(24, 28, 26)) -> TissueMap:
    white = rng.random(shape).astype(np.float32)
    blocked = rng.random(shape) < 0.15
    return tissue_map(np.where(blocked, 0, white), np.where(blocked, 0, 1 - white), Grid(shape, np.diag([1.0, 1.5, 2.0, 1.0])))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("diffusivity", "rho", "spacing"), [(1.0, 0.1, 1.0), (0.5, 0.05, 1.0), (1.0, 0.025, 2.0)])
def test_front_moves_at_twice_the_root_of_d_rho(axis: int, diffusivity: float, rho: float, spacing: float) -> None:
    parameters = KppParameters(diffusivity, rho)
    times = np.array([100.0, 200.0]) / rho  # in units of a generation: late enough for the logarithmic lag to be below 1 %
    length = int(parameters.front_speed_mm_per_day * times[1] / spacing * 1.05)
    shape = [2, 2, 2]
    shape[axis] = length
    rates = exchange_rates(np.ones(shape, np.float32), np.ones(shape, bool), (spacing,) * 3)
    start = np.zeros(shape)
    start[tuple(slice(0, 3) if d == axis else slice(None) for d in range(3))] = 1
    found = solve_kpp(start, rates, parameters, times)
    along = [np.moveaxis(u, axis, 0)[:, 0, 0] for u in found]
    speed = (position(along[1], spacing) - position(along[0], spacing)) / (times[1] - times[0])
    assert speed == pytest.approx(parameters.front_speed_mm_per_day, rel=0.02)


def test_cells_are_conserved_without_proliferation(rng: np.random.Generator) -> None:
    tissue = mottled(rng)
    rates = exchange_rates(tissue.mobility(10), tissue.matter, tissue.grid.spacing_mm)
    start = np.where(tissue.matter & (rng.random(tissue.grid.shape) < 0.1), 1.0, 0.0)
    found = solve_kpp(start, rates, KppParameters(1.0, 0.0), [1, 10, 100, 1000]).sum(axis=(1, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(found, start.sum(), rtol=1e-6)


def test_long_diffusion_fills_connected_tissue_evenly() -> None:
    grid = Grid((12, 10, 8), np.diag([1.0, 1.5, 2.0, 1.0]))
    tissue = uniform(grid)
    start = np.zeros(grid.shape)
    start[2, 3, 4] = 1
    rates = exchange_rates(tissue.mobility(10), tissue.matter, grid.spacing_mm)
    found = solve_kpp(start, rates, KppParameters(1.0, 0.0), [3000])[0]
    np.testing.assert_allclose(found, 1 / start.size, rtol=1e-4)


@pytest.mark.parametrize("wall", ["csf", "border"])
def test_no_cell_passes_csf_or_the_border_of_the_array(wall: str) -> None:
    white = np.ones((20, 12, 12))
    if wall == "csf":
        white[10] = 0
    tissue = tissue_map(white, np.zeros_like(white), Grid(white.shape, np.eye(4)))
    start = np.zeros(white.shape)
    start[1:4, 4:8, 4:8] = 1
    rates = exchange_rates(tissue.mobility(10), tissue.matter, (1, 1, 1))
    found = solve_kpp(start, rates, KppParameters(1.0, 0.1 if wall == "csf" else 0.0), [300])[0]
    if wall == "csf":
        assert found[:10].min() > 0.99
        assert not found[10:].any()
    else:
        assert found.sum(dtype=np.float64) == pytest.approx(start.sum(), rel=1e-6)


def test_explicit_steps_equal_a_plain_numpy_solver(rng: np.random.Generator) -> None:
    tissue = mottled(rng)
    rates = exchange_rates(tissue.mobility(10), tissue.matter, tissue.grid.spacing_mm, "arithmetic")
    start = np.where(tissue.matter & (rng.random(tissue.grid.shape) < 0.02), 0.8, 0.0)
    found = solve_kpp(start, rates, KppParameters(0.8, 0.05), [20.0], stepping=Stepping(explicit_days=0.1, cutoff=0))[0]
    np.testing.assert_allclose(found, euler(start, rates, 0.8, 0.05, 0.1, 200), atol=1e-6)


def test_super_steps_agree_with_very_fine_explicit_steps(rng: np.random.Generator) -> None:
    tissue = mottled(rng)
    start = np.where(tissue.matter, seed_density(tissue, tissue.grid.world(np.argwhere(tissue.matter)[4000]), 3.0), 0)
    rates = exchange_rates(tissue.mobility(10), tissue.matter, tissue.grid.spacing_mm)
    truth = euler(start, rates, 0.8, 0.1, 0.01, 4000)
    found = solve_kpp(start, rates, KppParameters(0.8, 0.1), [40.0])[0]
    coarse_euler = euler(start, rates, 0.8, 0.1, 0.2, 200)
    assert np.abs(found - truth).max() < 0.01
    assert np.abs(found - truth).max() < np.abs(coarse_euler - truth).max()


def test_harmonic_faces_keep_the_flux_between_two_tissues() -> None:
    mobility = np.array([1.0, 0.1, 0.0], np.float32).reshape(3, 1, 1)
    harmonic = exchange_rates(mobility, mobility > 0, (2, 1, 1)).along[0][1:-1, 1, 1]
    np.testing.assert_allclose(harmonic, [2 * 0.1 / 1.1 / 4, 0, 0], rtol=1e-6)


def test_tumour_spreads_further_in_white_than_in_grey_matter() -> None:
    grid = Grid((60, 5, 5), np.eye(4))
    white = np.zeros(grid.shape)
    white[:30] = 1
    tissue = tissue_map(white, 1 - white, grid)
    start = np.zeros(grid.shape)
    start[28:32] = 1
    rates = exchange_rates(tissue.mobility(10), tissue.matter, (1, 1, 1))
    profile = solve_kpp(start, rates, KppParameters(0.5, 0.05), [60])[0][:, 2, 2] > 0.2
    assert profile[:30].sum() > 2 * profile[30:].sum() > 0


def test_result_does_not_depend_on_the_orientation_of_the_grid(orientation: str) -> None:
    grid = make_grid(orientation, (2.0, 2.0, 3.0))
    tissue = uniform(grid)
    origin = grid.world((np.array(grid.shape) - 1) / 2 + [1.0, 0.0, -2.0])
    found = simulate_growth(tissue, Image(seed_density(tissue, origin), grid, "1"), KppParameters(0.5, 0.1), [60])
    weights = found.density[0].ravel()
    centre = (grid.world(np.argwhere(np.ones(grid.shape))) * weights[:, None]).sum(axis=0) / weights.sum()
    np.testing.assert_allclose(centre, origin, atol=0.3)
    reference = make_grid("RAS", (2.0, 2.0, 3.0))
    same = simulate_growth(
        uniform(reference),
        Image(seed_density(uniform(reference), reference.world(grid.index(origin))), reference, "1"),
        KppParameters(0.5, 0.1),
        [60],
    )
    np.testing.assert_allclose(found.density, same.density, atol=1e-5)


def test_front_is_round_on_anisotropic_voxels() -> None:
    grid = make_grid("RAS", (1.0, 1.0, 2.0), 50.0)
    tissue = uniform(grid)
    origin = grid.world((np.array(grid.shape) - 1) // 2)
    mask = simulate_growth(tissue, Image(seed_density(tissue, origin, 3.0), grid, "1"), KppParameters(0.5, 0.08), [60]).mask(
        0.2
    )
    reach = np.ptp(grid.world(np.argwhere(mask)), axis=0) / 2
    assert reach.min() > 5
    assert np.ptp(reach) <= 1.5


def test_number_of_first_cells_does_not_depend_on_the_voxels() -> None:
    cells = []
    for spacing in (1.0, 2.0, 4.0):
        grid = make_grid("LPS", (spacing,) * 3, 40.0)
        cells.append(seed_density(uniform(grid), (3.0, -2.0, 5.0), 2.5).sum() * grid.voxel_volume_ml)
    np.testing.assert_allclose(cells, (2 * np.pi) ** 1.5 * 2.5**3 / 1000, rtol=0.01)


def test_active_box_changes_nothing(rng: np.random.Generator) -> None:
    tissue = uniform(Grid((60, 24, 24), np.eye(4)))
    start = seed_density(tissue, (10, 12, 12))
    rates = exchange_rates(tissue.mobility(10), tissue.matter, (1, 1, 1))
    field, whole = (TumourField(rates, start, Stepping(cutoff=c)) for c in (1e-12, 0.0))
    for one in (field, whole):
        one.advance(40, KppParameters(0.3, 0.1))
    np.testing.assert_allclose(field.density, whole.density, atol=1e-6)


def test_fraction_kills_by_the_linear_quadratic_law() -> None:
    grid = make_grid("RAS", (4.0, 4.0, 4.0), 24.0)
    tissue = uniform(grid)
    start = Image(np.full(grid.shape, 0.4), grid, "1")
    dose = np.zeros(grid.shape)
    dose[: grid.shape[0] // 2] = 60.0
    course = DoseCourse(Image(dose, grid, "Gy"), tuple(range(30)), alpha_per_gy=0.03, alpha_beta_gy=10)
    found = simulate_growth(tissue, start, KppParameters(0, 0), [29.0], radiotherapy=[course])
    survival = np.exp(-30 * 0.03 * (2 + 0.4))
    np.testing.assert_allclose(found.density[0][dose > 0], 0.4 * survival, rtol=1e-4)
    np.testing.assert_allclose(found.density[0][dose == 0], 0.4, rtol=1e-6)
    assert found.events == 30


def test_fractions_after_the_last_day_are_not_given() -> None:
    grid = make_grid("RAS", (4.0, 4.0, 4.0), 24.0)
    course = DoseCourse(Image(np.full(grid.shape, 20.0), grid, "Gy"), (0, 10, 20))
    start = Image(np.full(grid.shape, 0.4), grid, "1")
    assert simulate_growth(uniform(grid), start, KppParameters(0.1, 0.01), [15], radiotherapy=[course]).events == 2


def test_cavity_is_empty_and_stays_empty() -> None:
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 40.0)
    tissue = uniform(grid)
    start = seed_density(tissue, (3.0, -2.0, 5.0), 4.0)
    cavity = np.zeros(grid.shape, bool)
    cavity[8:13, 8:13, 8:13] = True
    parameters = KppParameters(0.5, 0.1)
    surgery = [ResectionCavity(cavity, grid, 20.0)]
    with_surgery = simulate_growth(tissue, Image(start, grid, "1"), parameters, [20, 60], resections=surgery)
    without = simulate_growth(tissue, Image(start, grid, "1"), parameters, [20, 60])
    assert not with_surgery.density[:, cavity].any()
    assert 0 < with_surgery.volumes_ml(0.2)[1] < without.volumes_ml(0.2)[1]


def test_events_on_a_day_come_before_its_output_in_the_order_given() -> None:
    rates = exchange_rates(np.ones((4, 4, 4), np.float32), np.ones((4, 4, 4), bool), (1, 1, 1))
    start, half = np.full((4, 4, 4), 0.8), np.full((4, 4, 4), 0.5)
    cavity = np.zeros((4, 4, 4), bool)
    cavity[0] = True
    found = solve_kpp(start, rates, KppParameters(0, 0), [5, 5], events=[Kill(5, half), Removal(5, cavity)])
    np.testing.assert_allclose(found[0][1:], 0.4)
    assert not found[:, 0].any()


def test_map_without_coarsening_is_itself_and_blocks_keep_their_place() -> None:
    grid = make_grid("oblique", (1.0, 1.0, 2.0), 24.0)
    tissue = uniform(grid)
    coarse = tissue.coarsened(4.0)
    assert tissue.coarsened(1.0) is tissue
    np.testing.assert_allclose(coarse.grid.spacing_mm, (4, 4, 4))
    np.testing.assert_allclose(coarse.grid.world([0, 0, 0]), grid.world([1.5, 1.5, 0.5]))
    mask = np.zeros(grid.shape, bool)
    mask[4:8, 4:8, 2:4] = True
    np.testing.assert_array_equal(np.argwhere(coarsened_mask(mask, grid, 4.0)), [[1, 1, 1]])


@pytest.mark.parametrize("values", [(-1.0, 0.1, 10.0), (1.0, -0.1, 10.0), (1.0, np.nan, 10.0), (1.0, 0.1, 0.0)])
def test_impossible_parameters_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(ParameterError):
        KppParameters(*values)


def test_negative_diffusivity_in_a_voxel_is_refused() -> None:
    mobility = np.ones((4, 4, 4), np.float32)
    mobility[1, 1, 1] = -0.1
    with pytest.raises(ParameterError, match="0 or positive"):
        exchange_rates(mobility, np.ones((4, 4, 4), bool), (1, 1, 1))


def test_unstable_explicit_steps_are_refused() -> None:
    rates = exchange_rates(np.ones((6, 6, 6), np.float32), np.ones((6, 6, 6), bool), (1, 1, 1))
    with pytest.raises(ParameterError, match="unstable"):
        solve_kpp(np.full((6, 6, 6), 0.1), rates, KppParameters(1, 0.1), [10], stepping=Stepping(explicit_days=0.5))


def test_explicit_steps_end_on_the_day_asked_for() -> None:
    rates = exchange_rates(np.ones((4, 4, 4), np.float32), np.ones((4, 4, 4), bool), (1, 1, 1))
    found = solve_kpp(np.full((4, 4, 4), 1e-4), rates, KppParameters(0, 0.01), [10.0], stepping=Stepping(explicit_days=4.0))
    np.testing.assert_allclose(found, 1e-4 * (1 + 0.01 * 10 / 3) ** 3, rtol=1e-3)


def test_survival_of_more_than_all_cells_is_refused() -> None:
    rates = exchange_rates(np.ones((4, 4, 4), np.float32), np.ones((4, 4, 4), bool), (1, 1, 1))
    for share in (1.5, -0.1, np.nan):
        with pytest.raises(ParameterError, match="survive"):
            solve_kpp(np.full((4, 4, 4), 0.1), rates, KppParameters(0, 0), [1], events=[Kill(0, np.full((4, 4, 4), share))])


def brain() -> TissueMap:
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 40.0)
    white = np.zeros(grid.shape)
    white[3:-3, 3:-3, 3:-3] = 1
    return tissue_map(white, np.zeros_like(white), grid)


def test_tumour_outside_of_the_brain_is_refused() -> None:
    tissue = brain()
    start = np.zeros(tissue.grid.shape)
    start[0, 0, 0] = 1
    with pytest.raises(ParameterError, match="outside of the brain"):
        simulate_growth(tissue, Image(start, tissue.grid, "1"), KppParameters(0.1, 0.1), [10])
    with pytest.raises(ParameterError, match="no tumour"):
        simulate_growth(tissue, Image(0 * start, tissue.grid, "1"), KppParameters(0.1, 0.1), [10])
    with pytest.raises(ParameterError, match="outside of white and grey"):
        seed_density(tissue, tissue.grid.world([0, 0, 0]))
    with pytest.raises(ParameterError, match="outside of white and grey"):
        seed_density(tissue, (500.0, 0.0, 0.0))


def test_tumour_partly_outside_and_one_at_the_border_give_a_warning() -> None:
    tissue = brain()
    start = np.zeros(tissue.grid.shape)
    start[2:5, 8:12, 8:12] = 1
    found = simulate_growth(tissue, Image(start, tissue.grid, "1"), KppParameters(0.5, 0.1), [1])
    assert found.status == "warning"
    assert found.outside_share == pytest.approx(1 / 3)
    whole = uniform(tissue.grid)
    assert "border of the image" in simulate_growth(whole, Image(start, tissue.grid, "1"), KppParameters(0.5, 0.1), [60]).reason


def test_voxels_too_large_for_the_front_give_a_warning() -> None:
    tissue = brain()
    start = seed_density(tissue, tissue.grid.world([10, 10, 10]))
    assert "too large" in simulate_growth(tissue, Image(start, tissue.grid, "1"), KppParameters(0.01, 0.1), [1]).reason


def test_dose_and_cavity_on_another_grid_are_refused() -> None:
    tissue = brain()
    start = Image(tissue.matter.astype(float), tissue.grid, "1")
    elsewhere = make_grid("RAS", (2.0, 2.0, 2.0), 40.0)
    dose = DoseCourse(Image(np.zeros(elsewhere.shape), elsewhere, "Gy"), (1.0,))
    with pytest.raises(GridMismatchError, match="dose"):
        simulate_growth(tissue, start, KppParameters(0.1, 0.1), [10], radiotherapy=[dose])
    cavity = ResectionCavity(np.zeros(elsewhere.shape, bool), elsewhere, 1.0)
    with pytest.raises(GridMismatchError, match="cavity"):
        simulate_growth(tissue, start, KppParameters(0.1, 0.1), [10], resections=[cavity])
    with pytest.raises(GridMismatchError, match="tumour"):
        simulate_growth(tissue, Image(np.ones(elsewhere.shape), elsewhere, "1"), KppParameters(0.1, 0.1), [10])


def test_treatment_before_the_tumour_is_known_and_falling_days_are_refused() -> None:
    tissue = brain()
    start = Image(tissue.matter.astype(float), tissue.grid, "1")
    dose = DoseCourse(Image(np.zeros(tissue.grid.shape), tissue.grid, "Gy"), (-3.0,))
    with pytest.raises(ParameterError, match="day -3"):
        simulate_growth(tissue, start, KppParameters(0.1, 0.1), [10], radiotherapy=[dose])
    with pytest.raises(ParameterError, match="fall"):
        simulate_growth(tissue, start, KppParameters(0.1, 0.1), [10, 5])
    with pytest.raises(ParameterError, match="lies before"):
        simulate_growth(tissue, start, KppParameters(0.1, 0.1), [-1])


def test_dose_in_another_unit_or_negative_is_refused() -> None:
    grid = make_grid("RAS", (4.0, 4.0, 4.0), 24.0)
    for image in (Image(np.zeros(grid.shape), grid, "cGy"), Image(np.full(grid.shape, -1.0), grid, "Gy")):
        with pytest.raises(ParameterError):
            DoseCourse(image, (0.0,))


def test_faulty_tissue_maps_are_refused() -> None:
    grid = make_grid("RAS", (4.0, 4.0, 4.0), 24.0)
    none, all_ = np.zeros(grid.shape), np.ones(grid.shape)
    with pytest.raises(InputError, match="empty"):
        tissue_map(none, none, grid)
    with pytest.raises(InputError, match="between 0 and 1"):
        tissue_map(100 * all_, none, grid)
    with pytest.raises(InputError, match="overlap"):
        tissue_map(all_, all_, grid)
    with pytest.raises(GridMismatchError):
        tissue_map(all_[1:], none, grid)
    sheared = grid.affine.copy()
    sheared[0, 1] = 2.0
    with pytest.raises(InputError, match="sheared"):
        tissue_map(all_, none, Grid(grid.shape, sheared))


def test_numba_is_not_loaded_before_a_tumour_grows() -> None:
    code = "import sys, regrowth.growth; raise SystemExit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_solver_compiles_without_a_place_to_keep_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import njit
    from numba.core import caching

    from regrowth.growth import kernel

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        njit(cache=True)(lambda x: x + 1)
    assert kernel.compiled(lambda x: x + 1)(2) == 3
