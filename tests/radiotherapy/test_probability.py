"""How likely the truth lies inside a dose level: against closed forms, and calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from regrowth.errors import ParameterError
from regrowth.radiotherapy.probability import probability_inside, probability_volume_inside, thinned
from regrowth.radiotherapy.uncertainty import isotropic_uncertainty, position_uncertainty, unknown_uncertainty
from regrowth.space import Grid
from tests.conftest import make_grid
from tests.radiotherapy.failure_cases import ball, flat, one_part, ramp


@pytest.mark.parametrize("offset_mm", [-4.0, -1.0, 0.0, 2.5])
def test_probability_beside_a_flat_isodose_is_the_normal_integral(grid, rng, offset_mm):
    u = isotropic_uncertainty(5.0)
    sd = np.sqrt(u.covariance_mm2[0, 0])
    dose = ramp(grid, 60.0, -0.5)
    (found,) = probability_inside((offset_mm, 0, 0), u, dose, [60.0], rng, draws=20_000)
    # float32 corner: the isodose itself is a plane, and a voxel of 6.5 mm is still linear along it
    assert found.value == pytest.approx(stats.norm.cdf(-offset_mm / sd), abs=0.015)
    assert found.status == "ok"


def test_an_uneven_uncertainty_counts_along_the_gradient_only(rng):
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    u = position_uncertainty(rng.standard_normal((3000, 3)) * [1.0, 4.0, 4.0])
    (found,) = probability_inside((2.0, 0, 0), u, ramp(grid), [60.0], rng, draws=20_000)
    assert found.value == pytest.approx(stats.norm.cdf(-2.0), abs=0.01)


def test_levels_share_the_draws_and_a_higher_one_is_never_likelier(rng):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    found = probability_inside((0, 0, 0), isotropic_uncertainty(8.0), ramp(grid), [57.0, 59.0, 61.0], rng)
    assert found[0].value > found[1].value > found[2].value


def test_the_same_seed_gives_the_same_probability():
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    a, b = (
        probability_inside((0, 0, 0), isotropic_uncertainty(8.0), ramp(grid), [59.0], np.random.default_rng(3)) for _ in "ab"
    )
    assert a == b


def test_beyond_the_dose_grid_is_unknown_with_bounds(rng):
    grid = Grid((20, 20, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
    (far,) = probability_inside((-100, 0, 0), isotropic_uncertainty(5.0), flat(grid, 60.0), [50.0], rng)
    assert (far.status, far.at_least, far.at_most) == ("dose_unknown", 0.0, 1.0)
    assert np.isnan(far.value)
    (edge,) = probability_inside((-1.0, 20, 20), isotropic_uncertainty(5.0), flat(grid, 60.0), [50.0], rng)
    assert edge.at_least == pytest.approx(0.5, abs=0.05)
    assert edge.at_most == 1.0
    assert "not known" in edge.reason


def test_an_unknown_uncertainty_gives_no_probability(rng):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    (found,) = probability_inside((0, 0, 0), unknown_uncertainty("no landmark"), flat(grid, 60.0), [50.0], rng)
    assert found.status == "uncertainty_unknown"
    assert found.reason == "no landmark"


@pytest.mark.parametrize("bad", [{"thresholds_gy": [0.0]}, {"thresholds_gy": [50.0], "draws": 1}])
def test_bad_levels_and_draws_are_refused(rng, bad):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    with pytest.raises(ParameterError):
        probability_inside((0, 0, 0), isotropic_uncertainty(5.0), flat(grid, 60.0), rng=rng, **bad)


def test_probability_of_the_whole_volume_is_that_of_its_far_side(rng):
    """A ball is inside when 95 % of it is: the plane that cuts off 5 % has to stay beyond the isodose."""
    grid = make_grid("LPS", (1.0, 1.0, 1.0))
    part = one_part(ball(grid, (0, 0, 0), 8), grid)
    x = part.points_mm()[:, 0]
    u = isotropic_uncertainty(6.0)
    sd = np.sqrt(u.covariance_mm2[0, 0])
    (found,) = probability_volume_inside(part, u, ramp(grid, 63.0, -0.5), [60.0], rng, draws=3000)
    # inside while x + shift <= 6 mm for 95 % of the points
    assert found.value == pytest.approx(stats.norm.cdf((6.0 - np.quantile(x, 0.95)) / sd), abs=0.04)
    assert 0.5 < found.expected_share < 1


def test_a_volume_in_a_flat_dose_is_certain(rng):
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    part = one_part(ball(grid, (0, 0, 0), 8), grid)
    above, below = probability_volume_inside(part, isotropic_uncertainty(4.0), flat(grid, 60.0), [57.0, 63.0], rng, draws=200)
    assert (above.value, below.value) == (1.0, 0.0)
    assert (above.expected_share, below.expected_share) == (1.0, 0.0)


def test_a_volume_partly_without_dose_is_unknown_with_bounds(rng):
    grid = make_grid("LPS", (3.0, 3.0, 3.0))
    half = Grid((grid.shape[0] // 2, *grid.shape[1:]), grid.affine)
    part = one_part(ball(grid, (0, 0, 0), 8), grid)
    (found,) = probability_volume_inside(part, isotropic_uncertainty(4.0), flat(half, 60.0), [57.0], rng, draws=100)
    assert found.status == "dose_unknown"
    assert (found.at_least, found.at_most) == (pytest.approx(0, abs=0.1), 1.0)
    assert np.isnan(found.expected_share)


def test_thinning_keeps_the_spread(rng):
    points = np.stack(np.meshgrid(*[np.arange(30.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    few = thinned(points, rng)
    assert len(few) == 1500
    np.testing.assert_allclose(few.mean(axis=0), points.mean(axis=0), atol=0.8)
    np.testing.assert_allclose(few.std(axis=0), points.std(axis=0), rtol=0.05)


def test_probabilities_are_calibrated(rng):
    """Of the recurrences said to be inside with p, about a share p truly is, in every fifth of p (reliability)."""
    grid = make_grid("LPS", (2.0, 2.0, 2.0))
    dose = ramp(grid, 60.0, -0.5, axis=1)
    u = position_uncertainty(rng.standard_normal((400, 3)) * [2.0, 3.0, 1.5])
    truth = np.stack([rng.uniform(-9, 9, 600), rng.uniform(-9, 9, 600), rng.uniform(-9, 9, 600)], axis=1)
    mapped = truth - u.draws(600, rng)
    said = np.array([probability_inside(m, u, dose, [60.0], rng, draws=300)[0].value for m in mapped])
    inside = (truth[:, 1] <= 0).astype(float)
    for low in np.arange(0, 1, 0.2):
        chosen = (said >= low) & (said < low + 0.2 + 1e-9)
        error = np.sqrt(max(said[chosen].mean() * (1 - said[chosen].mean()), 0.01) / chosen.sum())
        assert abs(inside[chosen].mean() - said[chosen].mean()) < 3.5 * error
    brier = np.mean((said - inside) ** 2)
    assert brier < np.mean(np.abs((said > 0.5) - inside))
