"""Whether the preset gives the seed's codes, faults included, and the right numbers beside them."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.io.dicom_rt import read_rtdose
from regrowth.radiotherapy.welsh2025 import welsh2025_classes, welsh2025_grid, welsh2025_mean_dose_gy
from regrowth.space import Grid, Image, distance_to_mm, resample_image
from tests.conftest import make_grid
from tests.radiotherapy.failure_cases import flat, ramp


def seed_codes(centre_mm, dose, planning, prescriptions) -> list[tuple[int, int]]:
    """The seed's steps written down plainly over the whole 2 mm image: mask, truncated centroid, share of voxels."""
    grid = welsh2025_grid(planning)
    values = resample_image(dose, grid, fill=float(dose.data.min())).data
    xyz = grid.world(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    sphere = ((xyz - np.asarray(centre_mm)) ** 2).sum(axis=-1) <= 25.0
    middle = tuple(np.argwhere(sphere).mean(axis=0).astype(int))
    codes = []
    for rx in prescriptions:
        percent = 100 * np.count_nonzero((values * sphere) >= 0.95 * rx) / sphere.sum()
        volume = 1 if percent >= 95 else 2 if 0 < percent < 95 else 0
        codes.append((1 if values[middle] >= 0.95 * rx else 0, volume))
    return codes


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_codes_equal_the_seeds_steps_across_the_isodoses(orientation, axis, rng):
    planning = make_grid(orientation, (1.5, 1.5, 2.5))
    dose = ramp(make_grid("LPS", (2.5, 2.5, 2.5), 56.0), 58.0, -0.9, axis=axis)
    levels = {"low": 54.0, "intermediate": 60.0, "high": 65.0}
    seen = set()
    for centre in rng.uniform(-13, 13, (40, 3)):
        found = welsh2025_classes(centre, dose, planning, levels)
        codes = [(f.centroid_code, f.sphere_code) for f in found]
        assert codes == seed_codes(centre, dose, planning, levels.values())
        seen |= set(codes)
    assert {(1, 1), (0, 0), (1, 2), (0, 2)} <= seen


def test_the_grid_is_2_mm_and_rises_to_the_left_the_back_and_the_head(orientation):
    grid = welsh2025_grid(make_grid(orientation, (0.94, 0.94, 3.0)))
    assert grid.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    assert np.sign(np.diag(grid.affine)[:3]).tolist() == [-1, -1, 1]
    source = make_grid(orientation, (0.94, 0.94, 3.0))
    np.testing.assert_allclose(grid.corners_mm().mean(axis=0), source.corners_mm().mean(axis=0), atol=1e-6)


def test_the_sphere_has_65_voxels_on_average_and_never_many_more(rng):
    planning = make_grid("LPS", (2.0, 2.0, 2.0))
    counts = [
        welsh2025_classes(c, flat(planning, 60.0), planning, {"high": 60.0})[0].n_voxels for c in rng.uniform(-6, 6, (300, 3))
    ]
    assert np.mean(counts) == pytest.approx(4 / 3 * np.pi * 125 / 8, rel=0.02)
    assert min(counts) >= 56
    assert max(counts) <= 81


def test_truncation_moves_the_centroid_up_to_a_voxel_and_flips_its_code():
    planning = Grid((40, 40, 40), np.array([[-2.0, 0, 0, 39], [0, -2, 0, 39], [0, 0, 2, -39], [0, 0, 0, 1]]))
    dose = ramp(planning, 57.0, -1.0)  # rises to the left, as the index does: truncation reads the lower dose
    centre = welsh2025_grid(planning).world([19.9, 20, 20])
    threshold = float(57.0 - centre[0]) - 0.5
    (found,) = welsh2025_classes(centre, dose, planning, {"high": threshold / 0.95})
    assert found.centroid_gy == pytest.approx(57.0 - centre[0], abs=1e-3)
    assert found.centroid_gy - found.seed_centroid_gy == pytest.approx(1.8, abs=0.2)
    assert (found.centroid_code, found.right_centroid_code) == (0, 1)


def test_peripheral_says_almost_nothing_about_the_probability(rng):
    """The seed's code 2 covers probabilities from almost 0 to almost 1, and disagrees with the exact ball now and then."""
    planning = make_grid("LPS", (2.0, 2.0, 2.0))
    dose = ramp(planning, 57.0, -1.0)
    rows = [
        welsh2025_classes((x, y, z), dose, planning, {"high": 60.0}, rng, draws=500)[0]
        for x, (y, z) in zip(np.linspace(-7, 7, 200), rng.uniform(-5, 5, (200, 2)), strict=True)
    ]
    peripheral = [r.p_inside for r in rows if r.sphere_code == 2]
    assert min(peripheral) < 0.05
    assert max(peripheral) > 0.9
    assert any(r.sphere_code != r.right_sphere_code for r in rows)
    assert any(r.centroid_code != r.right_centroid_code for r in rows)
    assert all(r.p_inside > 0.85 for r in rows if r.sphere_code == 1)
    assert all(r.p_inside < 0.05 for r in rows if r.sphere_code == 0)


@pytest.mark.parametrize("offset_mm", [-6.0, -2.0, 0.0, 3.0, 6.0])
def test_share_of_the_exact_ball_is_that_of_a_spherical_cap(offset_mm):
    planning = make_grid("LPS", (2.0, 2.0, 2.0))
    (found,) = welsh2025_classes((offset_mm, 0, 0), ramp(planning, 57.0, -1.0), planning, {"high": 60.0})
    height = np.clip(5.0 - offset_mm, 0, 10)
    assert found.ball_percent == pytest.approx(100 * height**2 * (15 - height) / 500, abs=0.5)


def test_outside_of_the_dose_grid_the_seed_assumes_the_least_dose_and_we_say_unknown():
    planning = make_grid("LPS", (2.0, 2.0, 2.0))
    small = Grid((8, 8, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
    (found,) = welsh2025_classes((-20, -20, -20), flat(small, 50.0), planning, {"high": 50.0})
    assert (found.centroid_code, found.sphere_code) == (1, 1)  # the least dose of this plan is 50 Gy: a fault, kept
    assert found.status == "dose_unknown"
    assert found.right_centroid_code is None
    assert found.right_sphere_code is None


def test_outside_of_the_image_there_is_no_sphere():
    planning = make_grid("LPS", (2.0, 2.0, 2.0))
    (found,) = welsh2025_classes((500, 0, 0), flat(planning, 50.0), planning, {"high": 50.0})
    assert found.status == "outside_image"
    assert found.n_voxels == 0


def test_the_seeds_mean_leaves_out_zero_doses():
    grid = Grid((10, 4, 4), np.eye(4))
    data = np.zeros(grid.shape)
    data[5:] = 50.0
    mask = np.ones(grid.shape, bool)
    assert welsh2025_mean_dose_gy(Image(data, grid, "Gy"), mask) == 50.0
    assert np.isnan(welsh2025_mean_dose_gy(Image(data, grid, "Gy"), ~mask))


@pytest.mark.realdata
def test_on_a_real_breast_plan_the_seed_errs_now_and_then_and_peripheral_says_little(real_data, rng):
    """Measured before on this plan with the seed's library: 3.3 % of spheres, 2.9 % of centroids, P(inside) 0.002 to 0.985."""
    dose = read_rtdose(real_data / "breast-boost-plan" / "rtdose.dcm")
    inside = dose.data >= 0.95 * 14.0
    away = np.where(inside, distance_to_mm(~inside, dose.grid), distance_to_mm(inside, dose.grid))
    near = np.argwhere(away <= 12)
    centres = dose.grid.world(near[rng.choice(len(near), 400)] + rng.uniform(-0.5, 0.5, (400, 3)))
    rows = [welsh2025_classes(c, dose, dose.grid, {"boost": 14.0}, rng, draws=400)[0] for c in centres]
    assert {r.status for r in rows} == {"ok"}
    assert 0.01 < np.mean([r.sphere_code != r.right_sphere_code for r in rows]) < 0.08
    assert 0.01 < np.mean([r.centroid_code != r.right_centroid_code for r in rows]) < 0.08
    assert 0.08 < np.mean([r.centroid_code == 1 and r.sphere_code == 2 for r in rows]) < 0.22
    peripheral = [r.p_inside for r in rows if r.sphere_code == 2]
    assert min(peripheral) < 0.05
    assert max(peripheral) > 0.9
