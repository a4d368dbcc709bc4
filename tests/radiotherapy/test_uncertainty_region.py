"""The region that holds the true point, as a mask."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import ParameterError
from regrowth.radiotherapy.uncertainty import isotropic_uncertainty, position_uncertainty, unknown_uncertainty
from regrowth.radiotherapy.uncertainty_region import uncertainty_region
from tests.conftest import make_grid


def test_the_sphere_has_the_volume_of_its_radius(orientation):
    grid = make_grid(orientation, (0.5, 0.5, 1.0))
    mask = uncertainty_region((3, -2, 5), isotropic_uncertainty(9.0), grid, shape="sphere")
    assert mask.sum() * grid.voxel_volume_ml == pytest.approx(4 / 3 * np.pi * 0.9**3, rel=0.01)


def test_the_ellipsoid_has_its_volume_its_centre_and_its_directions(orientation, rng):
    grid = make_grid(orientation, (0.5, 0.5, 1.0))
    u = position_uncertainty(rng.standard_normal((200, 3)) * [1.0, 4.0, 2.0])
    mask = uncertainty_region((3, -2, 5), u, grid)
    half, _ = u.ellipsoid_mm()
    xyz = grid.world(np.argwhere(mask))
    assert mask.sum() * grid.voxel_volume_ml == pytest.approx(4 / 3 * np.pi * half.prod() / 1000, rel=0.02)
    np.testing.assert_allclose(xyz.mean(axis=0), (3, -2, 5), atol=0.15)
    assert np.ptp(xyz, axis=0).argmax() == 1


def test_on_equal_axes_sphere_and_ellipsoid_are_one():
    grid = make_grid("LPS", (1.0, 1.0, 1.0))
    u = isotropic_uncertainty(7.3)
    np.testing.assert_array_equal(
        uncertainty_region((0, 0, 0), u, grid), uncertainty_region((0, 0, 0), u, grid, shape="sphere")
    )


def test_a_region_beyond_the_grid_is_empty_and_at_its_edge_cut_off():
    grid = make_grid("LAS", (2.0, 2.0, 2.0))
    assert not uncertainty_region((500, 0, 0), isotropic_uncertainty(5.0), grid).any()
    middle = np.array(grid.shape) // 2
    whole = uncertainty_region(grid.world(middle), isotropic_uncertainty(9.0), grid)
    cut = uncertainty_region(grid.world([0, *middle[1:]]), isotropic_uncertainty(9.0), grid)
    np.testing.assert_array_equal(cut[: grid.shape[0] - middle[0]], whole[middle[0] :])


def test_an_unknown_uncertainty_and_shape_are_refused():
    grid = make_grid("LAS", (2.0, 2.0, 2.0))
    with pytest.raises(ParameterError, match="no landmark"):
        uncertainty_region((0, 0, 0), unknown_uncertainty("no landmark"), grid)
    with pytest.raises(ParameterError, match="shape"):
        uncertainty_region((0, 0, 0), isotropic_uncertainty(5.0), grid, shape="cube")
