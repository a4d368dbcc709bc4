"""Where the voxels of an array lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.errors import GridMismatchError, InputError

__all__ = ["Grid", "require_same_grid"]


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of voxels in patient space.

    Parameters
    ----------
    shape
        Number of voxels along each of the three axes.
    affine
        (4, 4), voxel index to RAS+ millimetres.
    frame_of_reference_uid
        DICOM frame of reference, where it is known.

    Examples
    --------
    >>> g = Grid((10, 10, 10), np.diag([2.0, 2.0, 3.0, 1.0]))
    >>> g.spacing_mm
    (2.0, 2.0, 3.0)
    >>> g.world([[1, 1, 1]])
    array([[2., 2., 3.]])
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"a grid needs three axes of at least one voxel, not {shape}")
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.all(np.isfinite(affine)):
            raise InputError(f"an affine must be a finite 4x4 matrix, not shape {affine.shape}: {affine.tolist()}")
        if not np.allclose(affine[3], [0, 0, 0, 1]) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise InputError(
                "the affine is singular: its voxels have no volume; repair the sform and qform of the file "
                f"(columns {affine[:3, :3].T.tolist()})"
            )
        affine += 0.0  # turns -0.0 into 0.0: equal grids must have equal hashes
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return (
            self.shape == other.shape
            and np.array_equal(self.affine, other.affine)
            and self.frame_of_reference_uid == other.frame_of_reference_uid
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes(), self.frame_of_reference_uid))

    @property
    def inverse(self) -> np.ndarray:
        """(4, 4), RAS+ millimetres to voxel index."""
        return np.linalg.inv(self.affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along each axis, in mm."""
        s = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return (float(s[0]), float(s[1]), float(s[2]))

    @property
    def directions(self) -> np.ndarray:
        """(3, 3), unit vector of each axis as a column, in RAS+."""
        return self.affine[:3, :3] / np.asarray(self.spacing_mm)

    @property
    def is_orthogonal(self) -> bool:
        """Whether the axes are at right angles to each other (within 0.06 degrees)."""
        d = self.directions
        return bool(np.abs(d.T @ d - np.eye(3)).max() < 1e-3)

    @property
    def axcodes(self) -> tuple[str, str, str]:
        """Anatomical direction that each axis points to, such as ``('R', 'A', 'S')``."""
        from nibabel.orientations import aff2axcodes

        return tuple(aff2axcodes(self.affine))

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    def world(self, ijk: np.ndarray) -> np.ndarray:
        """Map voxel indices (..., 3) to RAS+ mm (..., 3)."""
        return np.asarray(ijk, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index(self, xyz_mm: np.ndarray) -> np.ndarray:
        """Map RAS+ mm (..., 3) to voxel indices (..., 3), not rounded."""
        inverse = self.inverse
        return np.asarray(xyz_mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def corners_mm(self) -> np.ndarray:
        """(8, 3), RAS+ mm of the centres of the corner voxels."""
        top = np.array(self.shape) - 1
        return self.world(np.array([[i, j, k] for i in (0, top[0]) for j in (0, top[1]) for k in (0, top[2])]))

    def displacement_mm(self, other: Grid) -> float:
        """Give the largest distance between corresponding corners, infinite for different shapes."""
        if self.shape != other.shape:
            return float("inf")
        return float(np.linalg.norm(self.corners_mm() - other.corners_mm(), axis=1).max())

    def is_close(self, other: Grid, tolerance_mm: float = 0.01) -> bool:
        """Tell whether two grids place every voxel within `tolerance_mm` of each other.

        Grids whose frames of reference are both known and differ are never close.
        """
        frames = {self.frame_of_reference_uid, other.frame_of_reference_uid} - {None}
        return len(frames) < 2 and self.displacement_mm(other) <= tolerance_mm

    def resized(self, spacing_mm: tuple[float, float, float]) -> Grid:
        """Give a grid with the same centre and axes and another spacing (mm).

        The field of view stays the same to within half a new voxel, because the number of voxels is whole.
        """
        old, new = np.array(self.spacing_mm), np.array(spacing_mm, dtype=np.float64)
        if new.shape != (3,) or not (np.isfinite(new) & (new > 0)).all():
            raise InputError(f"a spacing needs three positive numbers in mm, not {spacing_mm}")
        extent = np.array(self.shape) * old
        shape = np.maximum(np.round(extent / new), 1).astype(int)
        affine = np.eye(4)
        affine[:3, :3] = self.directions * new
        centre = self.world((np.array(self.shape) - 1) / 2)
        affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine, self.frame_of_reference_uid)


def require_same_grid(a: Grid, b: Grid, what: str = "the arrays", tolerance_mm: float = 0.01) -> None:
    """Refuse to combine arrays of two grids.

    Parameters
    ----------
    a, b
        The grids.
    what
        What is being combined, for the message.
    tolerance_mm
        Largest corner displacement that counts as the same place.

    Raises
    ------
    GridMismatchError
        Naming shapes, corner displacement in mm and the call that fixes it.
    """
    if a.is_close(b, tolerance_mm):
        return
    if a.shape != b.shape:
        why = f"shapes {a.shape} and {b.shape}, spacing {_mm(a)} and {_mm(b)} mm"
    elif a.displacement_mm(b) > tolerance_mm:
        why = f"their corners lie {a.displacement_mm(b):.2f} mm apart (axes {''.join(a.axcodes)} and {''.join(b.axcodes)})"
    else:
        why = "they belong to different DICOM frames of reference"
    raise GridMismatchError(
        f"{what} do not lie on the same grid: {why}; bring one onto the other with "
        "regrowth.space.resample_image or resample_labels"
    )


def _mm(grid: Grid) -> str:
    return "x".join(f"{s:.3g}" for s in grid.spacing_mm)
