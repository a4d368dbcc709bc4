"""Points go from the relapse to the planning scan, alignments start from centroids, folds are found."""

from __future__ import annotations

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.radiotherapy import Contour, Structure
from regrowth.radiotherapy.mapping import (
    align_centroids,
    control_residuals,
    folding,
    map_points,
    structure_centroid,
    structure_grid,
)
from regrowth.radiotherapy.rasterise import rasterise
from regrowth.registration import jacobian_determinant
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform, resample_image
from tests.conftest import make_grid
from tests.radiotherapy.mapping_cases import cylinder, cylinder_ml, rigid, wave

# --- points ---------------------------------------------------------------------------------------------------------


def test_points_go_from_the_relapse_scan_to_the_planning_scan_as_the_image_does():
    grid = Grid((40, 40, 40), np.eye(4))
    relapse = np.zeros(grid.shape, np.float32)
    relapse[30, 12, 8] = 1
    transform = rigid((10.0, 2.0, -4.0))  # tissue at x on the planning scan lies at x + (10, 2, -4) on the relapse scan
    moved = resample_image(Image(relapse, grid), grid, transform).data
    assert np.argwhere(moved > 0.5).tolist() == [[20, 10, 12]]
    assert map_points(np.array([[30.0, 12, 8]]), transform) == pytest.approx(np.array([[20.0, 10, 12]]))


def test_mapping_undoes_the_transform_on_every_grid(grid, rng):
    field = wave(grid)
    for steps in ((field,), (field, *rigid((9, -4, 3), 8, -5, 12).steps), (AffineMap(np.diag([1.1, 0.9, 1, 1])), field)):
        transform = Transform(steps)
        planning = rng.uniform(-25, 25, (300, 3))
        assert np.abs(map_points(transform.map_points(planning), transform) - planning).max() < 0.02


def test_a_point_beyond_the_field_is_mapped_as_the_transform_maps_it(rng):
    transform = Transform((wave(make_grid("LPS", (3.0, 3.0, 3.0))), *rigid((50, 0, 0), 10).steps))
    far = rng.uniform(60, 120, (50, 3))
    assert np.abs(transform.map_points(map_points(far, transform)) - far).max() < 0.01


def test_a_point_in_a_fold_is_mapped_within_the_tolerance_or_not_at_all(rng):
    grid = make_grid("RAS", (2.0, 2.0, 2.0))
    transform = Transform((wave(grid, peak_mm=14.0, period_mm=30.0),))
    assert folding(transform, grid).share > 0.1
    points = rng.uniform(-25, 25, (500, 3))
    found = map_points(points, transform)
    lost = np.isnan(found).any(axis=1)
    assert np.linalg.norm(transform.map_points(found[~lost]) - points[~lost], axis=1).max() <= 0.01


def test_a_point_is_given_up_when_the_iterations_end():
    transform = Transform((wave(make_grid("RAS", (2.0, 2.0, 2.0))),))
    assert np.isnan(map_points(np.array([[3.0, 4.0, 5.0]]), transform, max_iterations=1)).all()


def test_no_points_are_no_points_and_a_single_row_is_refused():
    assert map_points(np.empty((0, 3)), rigid((1, 2, 3))).shape == (0, 3)
    with pytest.raises(ParameterError, match=r"\(n, 3\)"):
        map_points(np.zeros(3), rigid((1, 2, 3)))


# --- centroids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hole", [0.0, 6.0])
def test_the_centroid_is_that_of_the_volume_and_not_of_the_points(hole):
    drawn = cylinder(12, (7.3, -4.1, 30.2), hole_mm=hole)
    # Half of the outline drawn ten times as densely: the mean of the points moves by millimetres.
    dense = tuple(
        Contour(np.vstack([np.linspace(a, b, 10, endpoint=False) if a[0] > 7.3 else a[None] for a, b in _edges(c)]))
        for c in drawn.contours
    )
    points = np.concatenate([c.points_mm for c in dense])
    assert np.linalg.norm(points.mean(axis=0) - [7.3, -4.1, 30.2]) > 3
    assert np.linalg.norm(structure_centroid(Structure("dense", dense)) - [7.3, -4.1, 30.2]) < 0.1


def _edges(contour):
    return zip(contour.points_mm, np.roll(contour.points_mm, -1, axis=0), strict=True)


def test_aligned_centroids_lie_on_each_other():
    planning, relapse = cylinder(12, (7.3, -4.1, 30.2)), cylinder(14, (-20.0, 5.5, 3.0))
    transform = align_centroids(planning, relapse)
    assert (transform.from_space, transform.to_space) == ("relapse", "planning")
    assert np.linalg.norm(transform.map_points([[7.3, -4.1, 30.2]]) - [-20.0, 5.5, 3.0]) < 0.1
    assert np.linalg.norm(map_points(np.array([[-20.0, 5.5, 3.0]]), transform) - [7.3, -4.1, 30.2]) < 0.1


def test_points_have_their_mean_as_centroid():
    points = Structure("tips", tuple(Contour(np.array([p]), "POINT") for p in ([1.0, 2, 3], [3.0, 4, 9])))
    assert structure_centroid(points).tolist() == [2, 3, 6]


def test_a_structure_that_encloses_nothing_cannot_be_aligned():
    line = Structure("line", (Contour(np.array([[0.0, 0, 0], [1, 1, 1]]), "OPEN_PLANAR"),))
    for empty in (Structure("carina"), line):
        with pytest.raises(InputError, match=f"'{empty.name}' encloses nothing"):
            align_centroids(cylinder(), empty)


def test_residuals_of_control_structures_are_mapped_minus_drawn():
    planning = (cylinder(8, (0, 0, 0)), cylinder(6, (30, 10, -5)))
    relapse = (cylinder(8, (10, 0, 0)), cylinder(6, (41, 12, -5)))
    found = control_residuals(planning, relapse, rigid((10, 0, 0)))
    assert found == pytest.approx(np.array([[0, 0, 0], [1, 2, 0]]), abs=0.1)
    assert control_residuals((), (), rigid((1, 1, 1))).shape == (0, 3)
    with pytest.raises(ParameterError, match="2 control structures"):
        control_residuals(planning, relapse[:1], rigid((10, 0, 0)))


@pytest.mark.parametrize("step", [1.0, 2.5, 3.0, 5.0])
def test_a_structure_keeps_volume_and_place_on_the_grid_made_for_it(step):
    drawn = cylinder(12, (1.7, 2.2, -3.1), step_mm=step)
    for spacing in (0.5, 1.0, 1.5):
        grid = structure_grid(drawn, spacing)
        found = rasterise(drawn, grid)
        assert found.status == "ok"
        assert found.volume_ml == pytest.approx(cylinder_ml(height_mm=11 * step), rel=0.04)
        centre = grid.world(np.argwhere(found.mask).mean(axis=0))
        assert abs(centre[2] - -3.1) < 1e-6  # no plane is left to chance
        assert np.linalg.norm(centre - [1.7, 2.2, -3.1]) < 0.15
    with pytest.raises(InputError, match="no contours"):
        structure_grid(Structure("none"), 1.0)


# --- folds ----------------------------------------------------------------------------------------------------------


def test_a_matrix_folds_only_as_a_mirror():
    straight = folding(Transform.affine(np.diag([1.2, 1.0, 0.5, 1.0])))
    assert (straight.status, straight.share, straight.least_jacobian) == ("ok", 0.0, pytest.approx(0.6))
    mirror = folding(Transform.affine(np.diag([-1.0, 1, 1, 1])))
    assert (mirror.status, mirror.share, mirror.least_jacobian) == ("folded", 1.0, pytest.approx(-1))


def test_folds_are_found_where_they_are(grid):
    x = Transform().map_grid(grid)
    # A tent along x: tissue is stretched by 2.5 on one side and turned over by -0.5 on the other.
    shift = 1.5 * (20 - np.abs(x[..., 0] - 3.0))
    field = np.stack([shift, 0 * shift, 0 * shift], axis=-1).astype(np.float32)
    transform = Transform((DisplacementMap(field, grid),), fixed=grid)
    left, right = x[..., 0] < 3 - 2 * max(grid.spacing_mm), x[..., 0] > 3 + 2 * max(grid.spacing_mm)
    assert folding(transform, grid, left).least_jacobian == pytest.approx(2.5, abs=1e-3)
    assert folding(transform, grid, left).status == "ok"
    turned = folding(transform, grid, right)
    assert (turned.status, turned.share) == ("folded", 1.0)
    assert turned.least_jacobian == pytest.approx(-0.5, abs=1e-3)
    assert 0.3 < folding(transform).share < 0.6


def test_a_crop_around_the_mask_gives_the_jacobian_of_the_whole(grid):
    transform = Transform((wave(grid), *rigid((1, 2, 3), 5).steps))
    mask = np.zeros(grid.shape, bool)
    mask[2:-2, 2:-2, 2:-2] = True
    part, values = folding(transform, grid, mask), jacobian_determinant(transform, grid)[mask]
    assert part.n_voxels == mask.sum()
    assert (part.least_jacobian, part.largest_jacobian) == pytest.approx((values.min(), values.max()), abs=1e-9)
    assert folding(transform, grid, np.zeros(grid.shape, bool)).status == "empty"
    with pytest.raises(GridMismatchError):
        folding(transform, grid, mask[1:])
