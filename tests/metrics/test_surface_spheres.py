"""Surface distances against balls, whose distances are known, at every spacing and orientation."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.metrics import assd, hausdorff, surface_mesh
from regrowth.space import Grid
from tests.conftest import make_grid

SPACINGS = ((1.0, 1.0, 1.0), (0.5, 0.5, 1.0), (1.0, 1.0, 5.0), (0.94, 0.94, 6.5), (0.45, 0.45, 6.0))
ACROSS, ALONG = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
SLANTED = np.array([1.0, -1.0, 1.0]) / np.sqrt(3)
# name: radius of each ball and the vector between their centres, mm
PAIRS = {
    "shifted across": (15.0, 15.0, 8 * ACROSS),
    "shifted along": (15.0, 15.0, 8 * ALONG),
    "shifted slantwise": (15.0, 15.0, 8 * SLANTED),
    "grown by 1.5": (13.0, 14.5, 0 * ACROSS),
    "grown by 5": (13.0, 18.0, 0 * ACROSS),
    "far across": (15.0, 12.0, 36 * ACROSS),
    "far along": (15.0, 12.0, 36 * ALONG),
    "far slantwise": (15.0, 12.0, 36 * SLANTED),
}


def ball(grid: Grid, centre_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    ijk = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return np.linalg.norm(grid.world(ijk) - centre_mm, axis=-1) <= radius_mm


def pair(grid: Grid, name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    radius_a, radius_b, shift = PAIRS[name]
    middle = np.array([3.0, -2.0, 5.0]) + np.random.default_rng(seed).uniform(-3, 3, 3)
    return ball(grid, middle - shift / 2, radius_a), ball(grid, middle + shift / 2, radius_b)


def true_percentile(name: str, percentile: float = 95.0) -> tuple[float, float]:
    """Percentile of | |x - c| - r | over the other sphere, whose height along the axis is uniform."""
    radius_a, radius_b, shift = PAIRS[name]
    cosine, d = np.linspace(-1, 1, 20001), np.linalg.norm(shift)

    def directed(own: float, other: float) -> float:
        return float(np.percentile(np.abs(np.sqrt(own**2 + d**2 - 2 * own * d * cosine) - other), percentile))

    return directed(radius_a, radius_b), directed(radius_b, radius_a)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("spacing", SPACINGS, ids=lambda s: "x".join(f"{v:g}" for v in s))
def test_mesh_hd95_of_balls_is_right_within_half_a_millimetre_at_every_spacing(spacing, name):
    grid = make_grid("RAS", spacing, 82.0)
    for seed in (1, 2):
        found = hausdorff(*pair(grid, name, seed), grid)
        forward, backward = true_percentile(name)
        assert abs(found.value_mm - max(forward, backward)) < 0.5
        assert abs(found.forward_mm - forward) < 0.5
        assert abs(found.backward_mm - backward) < 0.5


@pytest.mark.parametrize("name", ["shifted slantwise", "grown by 5", "far along"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.94, 0.94, 6.5), (6.0, 0.7, 0.7)], ids=str)
def test_mesh_hd95_of_balls_is_right_in_every_orientation(orientation, spacing, name):
    grid = make_grid(orientation, spacing, 82.0)
    assert abs(hausdorff(*pair(grid, name), grid).value_mm - max(true_percentile(name))) < 0.5


@pytest.mark.parametrize("name", PAIRS)
def test_voxel_definition_is_within_one_voxel_of_the_balls(name):
    grid = make_grid("LPS", (1.0, 1.0, 1.0), 82.0)
    assert abs(hausdorff(*pair(grid, name), grid, definition="voxel").value_mm - max(true_percentile(name))) < 1.0


@pytest.mark.parametrize("spacing", SPACINGS, ids=lambda s: "x".join(f"{v:g}" for v in s))
def test_mean_distance_of_concentric_balls_is_the_difference_of_their_radii(spacing):
    grid = make_grid("oblique", spacing, 50.0)
    a, b = pair(grid, "grown by 1.5", seed=5)
    found = assd(a, b, grid)
    assert found.value_mm == pytest.approx(1.5, abs=0.15)
    assert found.forward_mm == pytest.approx(1.5, abs=0.15)
    # Inner border voxels lie half a voxel within the surface of either ball, which cancels but for the thickness of slices.
    assert assd(a, b, grid, "voxel").value_mm == pytest.approx(1.5, abs=0.3 * max(spacing))


@pytest.mark.parametrize("spacing", SPACINGS, ids=lambda s: "x".join(f"{v:g}" for v in s))
def test_mesh_of_a_ball_has_its_area_and_volume_and_lies_on_it(spacing, orientation):
    grid, centre, radius = make_grid(orientation, spacing, 60.0), np.array([2.3, -1.1, 4.4]), 18.0
    mesh = surface_mesh(ball(grid, centre, radius), grid)
    a, b, c = (mesh.vertices_mm[mesh.triangles[:, i]] - centre for i in range(3))
    volume = abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6
    off = np.linalg.norm(mesh.vertices_mm - centre, axis=1) - radius
    assert mesh.vertex_areas_mm2.sum() == pytest.approx(4 * np.pi * radius**2, rel=0.03)
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)
    assert abs(np.average(off, weights=mesh.vertex_areas_mm2)) < 0.15
    assert np.sqrt(np.average(off**2, weights=mesh.vertex_areas_mm2)) < 0.25


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 5.0), (0.6, 0.6, 6.0)], ids=str)
def test_mesh_follows_both_surfaces_of_a_ring_and_the_nodule_within(spacing, orientation):
    grid, centre = make_grid(orientation, spacing, 56.0), np.array([2.3, -1.1, 4.4])
    radii = (20.0, 15.0, 8.0)
    outer, inner, nodule = (ball(grid, centre, r) for r in radii)
    mesh = surface_mesh(outer & ~inner | nodule, grid)
    away = np.linalg.norm(mesh.vertices_mm - centre, axis=1)
    off = np.abs(away[:, None] - radii)
    assert np.sqrt(np.average(off.min(axis=1) ** 2, weights=mesh.vertex_areas_mm2)) < 0.25
    for i, radius in enumerate(radii):
        area = mesh.vertex_areas_mm2[off.argmin(axis=1) == i].sum()
        assert area == pytest.approx(4 * np.pi * radius**2, rel=0.05)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 5.0), (0.6, 0.6, 6.0)], ids=str)
def test_mesh_of_an_ellipsoid_lies_closer_to_it_than_the_stairs_of_its_voxels(spacing, orientation):
    from skimage.measure import marching_cubes

    grid, axes = make_grid(orientation, spacing, 56.0), np.array([20.0, 10.0, 14.0])
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]

    def off_mm(points: np.ndarray) -> np.ndarray:
        own = (points - [3.0, -2.0, 5.0]) @ turn
        size = np.linalg.norm(own / axes, axis=-1)
        return (size - 1) * size / np.linalg.norm(own / axes**2, axis=-1)

    ijk = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    mask = off_mm(grid.world(ijk) + 1e-9) <= 0
    mesh = surface_mesh(mask, grid)
    stairs = grid.world(marching_cubes(mask.astype(np.float32), 0.5)[0])
    root_mean_square = np.sqrt(np.average(off_mm(mesh.vertices_mm) ** 2, weights=mesh.vertex_areas_mm2))
    assert root_mean_square < 0.45
    assert root_mean_square < 0.5 * np.sqrt((off_mm(stairs) ** 2).mean())
