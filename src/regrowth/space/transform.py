"""How points travel between two spaces: affine maps, displacement fields and their composition.

One direction, everywhere: ``from-A_to-B_mode-image`` is the transform that *moves an image from A onto the grid of B*.
Points travel the other way: `Transform.map_points` takes points in B (the fixed space) to the matching points in A (the
moving space). That is ITK's convention too (there in LPS; here always in RAS+ mm).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from regrowth.errors import InputError, ParameterError
from regrowth.space.grid import Grid

__all__ = ["AffineMap", "DisplacementMap", "Transform"]


@dataclass(frozen=True, eq=False)
class AffineMap:
    """A linear map of points, (4, 4), RAS+ mm to RAS+ mm."""

    matrix: np.ndarray

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        sound = matrix.shape == (4, 4) and np.all(np.isfinite(matrix)) and np.allclose(matrix[3], [0, 0, 0, 1])
        if not sound or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
            raise InputError(
                f"an affine map needs a finite, invertible 4x4 matrix with last row 0 0 0 1, not {matrix.tolist()}"
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    def map_points(self, xyz_mm: np.ndarray) -> np.ndarray:
        """Map points (..., 3) in mm."""
        return np.asarray(xyz_mm, dtype=np.float64) @ self.matrix[:3, :3].T + self.matrix[:3, 3]


@dataclass(frozen=True, eq=False)
class DisplacementMap:
    """A map of points x -> x + u(x) with u sampled on a grid.

    Parameters
    ----------
    displacement_mm
        (X, Y, Z, 3), RAS+ mm, read by linear interpolation; beyond the grid the value of its border holds.
    grid
        Grid of the samples.
    """

    displacement_mm: np.ndarray
    grid: Grid

    def __post_init__(self) -> None:
        field = np.asarray(self.displacement_mm, dtype=np.float32)
        if field.shape != (*self.grid.shape, 3):
            raise InputError(f"a displacement field of shape {field.shape} does not fit its grid {self.grid.shape}")
        if not np.isfinite(field).all():
            raise InputError("a displacement field holds NaN or infinite values; register again or repair the file")
        view = field.view()
        view.setflags(write=False)
        object.__setattr__(self, "displacement_mm", view)

    def map_points(self, xyz_mm: np.ndarray) -> np.ndarray:
        """Map points (..., 3) in mm."""
        given = np.asarray(xyz_mm, dtype=np.float64)
        points = np.atleast_2d(given)
        index = np.moveaxis(self.grid.index(points), -1, 0)
        out = np.array(points)
        for c in range(3):
            out[..., c] += ndimage.map_coordinates(self.displacement_mm[..., c], index, order=1, mode="nearest")
        return out.reshape(given.shape)


@dataclass(frozen=True, eq=False)
class Transform:
    """A transform between two named spaces.

    Parameters
    ----------
    steps
        Maps of points, applied in order to a point of the fixed space; empty is the identity.
    from_space, to_space
        Names of the moving space (A) and the fixed space (B).
    moving, fixed
        Grids of the two images, where known.

    Examples
    --------
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 5
    >>> t = Transform((AffineMap(shift),))
    >>> t.map_points([[0.0, 0.0, 0.0]])
    array([[5., 0., 0.]])
    >>> t.inverse().map_points([[5.0, 0.0, 0.0]])
    array([[0., 0., 0.]])
    """

    steps: tuple[AffineMap | DisplacementMap, ...] = ()
    from_space: str = "moving"
    to_space: str = "fixed"
    moving: Grid | None = None
    fixed: Grid | None = None

    @classmethod
    def affine(cls, matrix: np.ndarray, **spaces: object) -> Transform:
        """Make a transform of one (4, 4) matrix that maps points of the fixed space to the moving space."""
        return cls((AffineMap(matrix),), **spaces)  # type: ignore[arg-type]

    @property
    def is_linear(self) -> bool:
        """Whether no displacement field takes part."""
        return all(isinstance(s, AffineMap) for s in self.steps)

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) product of the steps of a linear transform."""
        out = np.eye(4)
        for step in self.steps:
            if not isinstance(step, AffineMap):
                raise ParameterError("a transform with a displacement field has no matrix")
            out = step.matrix @ out
        return out

    def map_points(self, xyz_mm: np.ndarray) -> np.ndarray:
        """Map points (..., 3) of the fixed space to the moving space, RAS+ mm."""
        points = np.asarray(xyz_mm, dtype=np.float64)
        for step in self.steps:
            points = step.map_points(points)
        return points

    def map_grid(self, grid: Grid, rows: slice = slice(None)) -> np.ndarray:
        """Map the voxel centres of some rows (first axis) of a grid of the fixed space, (n, Y, Z, 3) mm.

        A displacement field on that very grid is read without interpolation.
        """
        start, stop, _ = rows.indices(grid.shape[0])
        ijk = np.stack(np.meshgrid(np.arange(start, stop), *map(np.arange, grid.shape[1:]), indexing="ij"), axis=-1)
        points = grid.world(ijk)
        steps = self.steps
        if steps and isinstance(steps[0], DisplacementMap) and steps[0].grid == grid:
            points = points + steps[0].displacement_mm[start:stop]
            steps = steps[1:]
        for step in steps:
            points = step.map_points(points)
        return points

    def then(self, other: Transform) -> Transform:
        """Compose: move an image by `self` (A to B), then by `other` (B to C).

        Raises
        ------
        ParameterError
            If `other` does not start where `self` ends.
        """
        if self.to_space != other.from_space:
            raise ParameterError(f"cannot compose from-{self.from_space}_to-{self.to_space} with one from-{other.from_space}")
        return Transform(other.steps + self.steps, self.from_space, other.to_space, self.moving, other.fixed)

    def flattened(self, grid: Grid) -> Transform:
        """Give the same transform as one displacement field sampled on `grid` (of the fixed space)."""
        field = np.empty((*grid.shape, 3), np.float32)
        identity = Transform()
        for start in range(0, grid.shape[0], 16):
            rows = slice(start, start + 16)
            field[rows] = self.map_grid(grid, rows) - identity.map_grid(grid, rows)
        return replace(self, steps=(DisplacementMap(field, grid),))

    def inverse(self, *, tolerance_mm: float = 0.01, max_iterations: int = 50) -> Transform:
        """Give the transform of the opposite direction.

        Matrices are inverted exactly, displacement fields by fixed-point iteration on a grid that covers their image.

        Raises
        ------
        InputError
            If a field folds, so that the iteration does not come within `tolerance_mm` for 99.9 % of the voxels.
        """
        steps: list[AffineMap | DisplacementMap] = []
        for step in reversed(self.steps):
            if isinstance(step, AffineMap):
                steps.append(AffineMap(np.linalg.inv(step.matrix)))
            else:
                steps.append(_inverse_field(step, tolerance_mm, max_iterations))
        return Transform(tuple(steps), self.to_space, self.from_space, self.fixed, self.moving)


def _inverse_field(step: DisplacementMap, tolerance_mm: float, max_iterations: int) -> DisplacementMap:
    grid = _covering_grid(step)
    x = Transform().map_grid(grid)
    # The mean displacement first: a rigid part in the field would otherwise leave its grid at once.
    y = x - step.displacement_mm.reshape(-1, 3).mean(axis=0)
    for _ in range(max_iterations):
        error = step.map_points(y) - x
        y = y - error
        off = np.linalg.norm(error, axis=-1)
        if np.quantile(off, 0.999) <= tolerance_mm:
            return DisplacementMap((y - x).astype(np.float32), grid)
    raise InputError(
        f"the displacement field cannot be inverted within {tolerance_mm} mm (after {max_iterations} iterations "
        f"the 99.9th percentile of the error is {np.quantile(off, 0.999):.3f} mm); look for folds in its Jacobian"
    )


def _covering_grid(step: DisplacementMap) -> Grid:
    """Grid with the axes of the field that covers the place to which the field takes its own grid."""
    faces = np.zeros(step.grid.shape, bool)
    faces[[0, -1]] = faces[:, [0, -1]] = faces[:, :, [0, -1]] = True
    ijk = np.argwhere(faces)
    moved = step.grid.index(step.grid.world(ijk) + step.displacement_mm[faces])
    low = np.minimum(np.floor(moved.min(axis=0)), 0).astype(int)
    high = np.maximum(np.ceil(moved.max(axis=0)), np.array(step.grid.shape) - 1).astype(int)
    affine = step.grid.affine.copy()
    affine[:3, 3] = step.grid.world(low)
    shape = high - low + 1
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
