"""What each definition of the surface distance gives on masks small enough to compute by hand, and on degenerate ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.metrics import assd, hausdorff, surface_mesh
from regrowth.metrics.crop import common_box, grid_of_box, mask_box
from regrowth.metrics.nearest import NearestDistances, nearest_tree, percentile_of, weighted_percentile
from regrowth.metrics.surface import border_points_mm
from regrowth.space import Grid
from tests.conftest import make_grid

DEFINITIONS = ("mesh", "voxel", "pooled")


def line_and_its_first_voxel(axis: int) -> tuple[np.ndarray, np.ndarray]:
    line = np.zeros((24, 24, 24), bool)
    index: list[object] = [5, 5, 5]
    index[axis] = slice(2, 22)
    line[tuple(index)] = True
    first = np.zeros_like(line)
    index[axis] = 2
    first[tuple(index)] = True
    return line, first


def blobs(rng: np.random.Generator, shape: tuple[int, int, int] = (26, 24, 22)) -> np.ndarray:
    """Two or three overlapping balls."""
    ijk = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    mask = np.zeros(shape, bool)
    for _ in range(rng.integers(2, 4)):
        mask |= np.linalg.norm(ijk - rng.uniform(7, 15, 3), axis=-1) <= rng.uniform(2.5, 5.5)
    return mask


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_voxel_and_pooled_take_their_percentiles_as_the_peers_do(axis):
    line, first = line_and_its_first_voxel(axis)
    spacing = (1.0, 1.5, 3.0)
    grid, step = Grid(line.shape, np.diag([*spacing, 1.0])), spacing[axis]
    voxel, pooled = (hausdorff(line, first, grid, definition=d) for d in ("voxel", "pooled"))
    # 20 distances 0, 1, ..., 19: rank 0.95 * 19 = 18.05. Pooled 0, 0, 1, ..., 19: rank 0.95 * 20 = 19, which holds 18.
    assert voxel.value_mm == pytest.approx(18.05 * step)
    assert (voxel.forward_mm, voxel.backward_mm) == (pytest.approx(18.05 * step), 0.0)
    assert pooled.value_mm == pytest.approx(18.0 * step)
    assert hausdorff(line, first, grid, 100, "voxel").value_mm == pytest.approx(19.0 * step)
    assert assd(line, first, grid, "voxel").value_mm == pytest.approx(190 / 21 * step)


def test_inner_border_is_the_shell_of_a_cube_and_its_faces_on_the_edge_of_the_array():
    grid = Grid((5, 5, 5), np.diag([1.0, 2.0, 3.0, 1.0]))
    assert len(border_points_mm(np.ones((5, 5, 5), bool), grid)) == 125 - 27
    cube = np.zeros((5, 5, 5), bool)
    cube[1:4, 1:4, 1:4] = True
    border = border_points_mm(cube, grid)
    assert len(border) == 26
    assert border.max(axis=0).tolist() == [3.0, 6.0, 9.0]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), percentile=st.floats(0, 100))
def test_pruned_percentiles_equal_those_of_all_distances(data, percentile):
    masks = [data.draw(arrays(np.bool_, (7, 6, 5), elements=st.booleans())) for _ in range(2)]
    if not all(m.any() for m in masks):
        return
    grid = Grid((7, 6, 5), np.diag([1.0, 0.7, 4.0, 1.0]))
    distance = cdist(*(border_points_mm(m, grid) for m in masks))
    there, back = distance.min(axis=1), distance.min(axis=0)
    voxel = hausdorff(*masks, grid, percentile, "voxel")
    assert voxel.forward_mm == pytest.approx(np.percentile(there, percentile), abs=1e-9)
    assert voxel.backward_mm == pytest.approx(np.percentile(back, percentile), abs=1e-9)
    pooled = hausdorff(*masks, grid, percentile, "pooled")
    assert pooled.value_mm == pytest.approx(np.percentile(np.hstack([there, back]), percentile), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), percentile=st.floats(0, 100), block_mm=st.floats(0.5, 30))
def test_pruned_weighted_percentile_equals_that_of_all_distances(seed, percentile, block_mm):
    rng = np.random.default_rng(seed)
    points, others, weights = rng.normal(0, 10, (300, 3)), rng.normal(5, 8, (200, 3)), rng.uniform(0, 1, 300)
    expected = weighted_percentile(cKDTree(others).query(points)[0], weights, percentile)
    found = NearestDistances(points, nearest_tree(others), block_mm)
    assert percentile_of([found], percentile, weights) == pytest.approx(expected, abs=1e-9)


def test_weighted_percentile_is_the_value_up_to_which_that_much_weight_lies():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 90.0, 9.0])
    assert [weighted_percentile(values, weights, p) for p in (0, 90, 91, 99, 99.5, 100)] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_distance_of_identical_masks_is_zero(grid, definition, rng):
    mask = rng.random(grid.shape) < 0.002
    found = hausdorff(mask, mask, grid, definition=definition)
    assert (found.value_mm, found.forward_mm, found.backward_mm, found.status) == (0.0, 0.0, 0.0, "ok")
    assert found.measure == "HD95"
    assert found.definition == definition


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize(("full", "status"), [((0, 0), "both_empty"), ((0, 1), "a_empty"), ((1, 0), "b_empty")])
def test_an_empty_mask_gives_nan_and_says_which(definition, full, status):
    grid = make_grid("LPS", (2.0, 2.0, 2.0), 20.0)
    a, b = (np.full(grid.shape, bool(f)) for f in full)
    found = hausdorff(a, b, grid, definition=definition)
    assert found.status == status
    assert "empty" in found.reason
    assert np.isnan([found.value_mm, found.forward_mm, found.backward_mm]).all()
    assert assd(a, b, grid).status == status


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_exchange_of_the_masks_exchanges_the_directions(definition, rng):
    a, b = blobs(rng), blobs(rng)
    grid = Grid(a.shape, np.diag([1.0, 1.0, 2.0, 1.0]))
    one, other = hausdorff(a, b, grid, definition=definition), hausdorff(b, a, grid, definition=definition)
    assert one.value_mm == pytest.approx(other.value_mm)
    assert one.forward_mm == pytest.approx(other.backward_mm)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1000),
    axes=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
    thickness=st.sampled_from([1.0, 1.3, 4.0]),
)
def test_storing_the_same_masks_along_other_axes_changes_nothing(seed, axes, flips, thickness):
    rng = np.random.default_rng(seed)
    a, b = blobs(rng), blobs(rng)
    grid = Grid(a.shape, np.diag([1.0, 1.0, thickness, 1.0]))
    corner = np.array([n - 1 if f else 0 for n, f in zip(a.shape, flips, strict=True)])
    turn = np.diag([-1.0 if f else 1.0 for f in flips])[:, axes]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = grid.affine[:3, :3] @ turn, grid.world(corner)
    moved = [np.transpose(np.flip(m, [i for i in range(3) if flips[i]]), axes) for m in (a, b)]
    other = Grid(moved[0].shape, affine)
    point = np.argwhere(moved[0])[0]
    assert a[tuple(np.rint(grid.index(other.world(point))).astype(int))]
    for definition in DEFINITIONS:
        same = hausdorff(*moved, other, definition=definition).value_mm
        # The diagonals of the triangles, and ties between nearest pixels of a thick slice, depend on the order of the axes.
        tolerance_mm = 0.25 if definition == "mesh" else 1e-9
        assert same == pytest.approx(hausdorff(a, b, grid, definition=definition).value_mm, abs=tolerance_mm)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.2, 5.0))
def test_a_grid_k_times_as_large_gives_k_times_the_distance(seed, scale):
    rng = np.random.default_rng(seed)
    a, b = blobs(rng), blobs(rng)
    small = Grid(a.shape, np.diag([1.0, 1.0, 2.5, 1.0]))
    large = Grid(a.shape, np.diag([scale, scale, 2.5 * scale, 1.0]))
    for definition in DEFINITIONS:
        expected = scale * hausdorff(a, b, small, definition=definition).value_mm
        tolerance = 0.01 if definition == "mesh" else 1e-9
        assert hausdorff(a, b, large, definition=definition).value_mm == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 5.0)])
def test_mesh_of_one_voxel_is_a_small_surface_about_its_centre(spacing, orientation):
    grid = make_grid(orientation, spacing, 12.0)
    mask = np.zeros(grid.shape, bool)
    mask[4, 5, 1] = True
    mesh = surface_mesh(mask, grid)
    index = grid.index(mesh.vertices_mm)
    assert mesh.vertex_areas_mm2.sum() > 0
    assert np.abs(index - [4, 5, 1]).max() < 1.0
    assert np.allclose(np.average(index, axis=0, weights=mesh.vertex_areas_mm2), [4, 5, 1], atol=0.05)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 5.0), (5.0, 1.0, 1.0)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_thin_sheets_lie_as_far_apart_as_their_layers(spacing, axis):
    grid = Grid((30, 30, 30), np.diag([*spacing, 1.0]))
    sheets = [np.zeros(grid.shape, bool) for _ in range(2)]
    for sheet, layer in zip(sheets, (9, 15), strict=True):
        window = [slice(5, 25)] * 3
        window[axis] = slice(layer, layer + 1)
        sheet[tuple(window)] = True
    # Each sheet has two sides: the farther one is its own thickness away, which a mask leaves open up to one voxel.
    found = hausdorff(*sheets, grid).value_mm
    assert abs(found - 6 * spacing[axis]) <= spacing[axis]
    assert hausdorff(*sheets, grid, definition="voxel").value_mm == pytest.approx(6 * spacing[axis])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 4.0)])
def test_mesh_of_a_mask_at_the_border_of_the_array_is_closed_there(spacing, rng):
    mask = blobs(rng)[7:19, 7:19, 7:19]
    mask[0, 4:8, 4:8] = mask[4:8, 4:8, -1] = True
    alone = surface_mesh(mask, Grid(mask.shape, np.diag([*spacing, 1.0])))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -4 * np.array(spacing)
    embedded = surface_mesh(np.pad(mask, 4), Grid(tuple(n + 8 for n in mask.shape), affine))
    assert np.allclose(alone.vertices_mm, embedded.vertices_mm, atol=1e-4)
    edges = np.sort(
        np.concatenate([alone.triangles[:, [0, 1]], alone.triangles[:, [1, 2]], alone.triangles[:, [2, 0]]]), axis=1
    )
    assert (np.unique(edges, axis=0, return_counts=True)[1] % 2 == 0).all()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 6.0)])
def test_mesh_passes_between_the_voxels_inside_and_those_outside(spacing, rng):
    mask = blobs(rng)
    mask[10:12, 10:12, 10] = False  # a hole
    mask[2:20, 12, 11] = True  # a thread
    grid = Grid(mask.shape, np.diag([*spacing, 1.0]))
    index = grid.index(surface_mesh(mask, grid).vertices_mm)
    low, high = np.floor(index - 1e-4).astype(int), np.ceil(index + 1e-4).astype(int)
    for lo, hi in zip(low, high, strict=True):
        cell = mask[tuple(slice(max(a, 0), b + 1) for a, b in zip(lo, hi, strict=True))]
        assert cell.any()
        assert not cell.all()


def test_wrong_questions_are_refused():
    grid = make_grid("RAS", (1.0, 1.0, 1.0), 10.0)
    mask = np.ones(grid.shape, bool)
    with pytest.raises(ParameterError, match="mesh, voxel, pooled"):
        hausdorff(mask, mask, grid, definition="medpy")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="mesh, voxel"):
        assd(mask, mask, grid, "pooled")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="between 0 and 100"):
        hausdorff(mask, mask, grid, 101)
    with pytest.raises(GridMismatchError):
        hausdorff(mask[1:], mask, grid)
    with pytest.raises(InputError, match="empty"):
        surface_mesh(~mask, grid)
    sheared = np.eye(4)
    sheared[0, 1] = 0.3
    with pytest.raises(InputError, match="sheared"):
        hausdorff(mask, mask, Grid(grid.shape, sheared))


@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_the_order_of_the_array_in_memory_does_not_matter(order, rng):
    a, b = blobs(rng), blobs(rng)
    grid = Grid(a.shape, np.diag([1.0, 1.0, 2.0, 1.0]))
    if order == "strided":
        stored = [np.repeat(m, 2, axis=1)[:, ::2] for m in (a, b)]
    else:
        stored = [np.array(m, order=order) for m in (a, b)]
    for definition in DEFINITIONS:
        assert hausdorff(*stored, grid, definition=definition) == hausdorff(a, b, grid, definition=definition)


def test_boxes_are_the_smallest_around_the_masks_and_keep_their_place(orientation):
    grid = make_grid(orientation, (1.0, 2.0, 3.0), 30.0)
    one, other = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    one[3:5, 2, 1:4] = other[4, 5:8, 2] = True
    assert mask_box(one) == (slice(3, 5), slice(2, 3), slice(1, 4))
    assert mask_box(one & other & False) is None
    box = common_box(one, other, one & False)
    assert box == (slice(3, 5), slice(2, 8), slice(1, 4))
    part = grid_of_box(grid, box)
    assert part.shape == (2, 6, 3)
    assert np.allclose(part.world(np.array([1, 5, 2])), grid.world(np.array([4, 7, 3])))
