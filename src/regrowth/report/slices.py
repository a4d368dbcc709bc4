"""Which way round a slice is shown: cuts through any grid, turned to the display convention, with millimetres.

A grid in any orientation is read through the closest arrangement of its own axes to right, anterior, superior. Nothing is
interpolated to get there, so that an oblique grid is cut along its own axes; `DisplayFrame.tilt_deg` says by how much these
lean, and the pictures state it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.space import Grid

__all__ = ["Box", "Convention", "Cut", "DisplayFrame", "Plane", "largest_section", "spread_sections"]

Plane = Literal["axial", "coronal", "sagittal"]
Convention = Literal["radiological", "neurological"]

Box = tuple[slice, slice, slice]
"""Part of a grid as ranges of voxels along R, A and S."""

_NORMAL = {"sagittal": 0, "coronal": 1, "axial": 2}
_POSITIVE, _NEGATIVE = "RAS", "LPI"


@dataclass(frozen=True, eq=False)
class Cut:
    """One slice, ready to be drawn with its first row at the top.

    Parameters
    ----------
    data
        (rows, columns).
    pixel_mm
        Width and height of a pixel.
    plane
        Plane of the cut.
    position_mm
        Where the slice lies along the axis that it is perpendicular to (R, A or S), in mm.
    letters
        Patient direction at the left, right, top and bottom of the picture.
    """

    data: np.ndarray
    pixel_mm: tuple[float, float]
    plane: Plane
    position_mm: float
    letters: tuple[str, str, str, str]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the picture in mm."""
        return self.data.shape[1] * self.pixel_mm[0], self.data.shape[0] * self.pixel_mm[1]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge in mm from the top left corner, downwards, as `imshow` wants it."""
        width, height = self.size_mm
        return 0.0, width, height, 0.0

    def square(self, pixel_mm: float, order: int = 1) -> Cut:
        """Interpolate to square pixels of about `pixel_mm`, the same size in mm (0 nearest, 1 linear)."""
        from scipy import ndimage

        width, height = self.size_mm
        shape = max(round(height / pixel_mm), 1), max(round(width / pixel_mm), 1)
        factors = [n / o for n, o in zip(shape, self.data.shape, strict=True)]
        data = ndimage.zoom(self.data.astype(np.float32), factors, order=order, mode="nearest", grid_mode=True)
        return replace(self, data=data, pixel_mm=(width / shape[1], height / shape[0]))


@dataclass(frozen=True, eq=False)
class DisplayFrame:
    """How the axes of a grid are arranged for display.

    Parameters
    ----------
    axes
        Array axis that runs most nearly along R, along A and along S.
    flips
        Whether that axis runs the opposite way.
    shape
        Number of voxels along R, A and S.
    spacing_mm
        Voxel size along R, A and S.
    origin_mm
        Coordinate of the first displayed voxel along each of these axes, measured along the axis itself.
    tilt_deg
        Largest angle between an axis and the direction it stands for; 0 unless the grid is oblique.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    tilt_deg: float

    @classmethod
    def of(cls, grid: Grid) -> DisplayFrame:
        """Find the arrangement for a grid."""
        from nibabel.orientations import io_orientation

        orientation = io_orientation(grid.affine)
        axes = [int(np.flatnonzero(orientation[:, 0] == a)[0]) for a in range(3)]
        signs = [float(orientation[a, 1]) for a in axes]
        directions = [grid.directions[:, a] * s for a, s in zip(axes, signs, strict=True)]
        first = np.array([0 if s > 0 else n - 1 for s, n in zip(orientation[:, 1], grid.shape, strict=True)])
        corner = grid.world(first)
        cosines = [float(np.clip(d[k], -1, 1)) for k, d in enumerate(directions)]
        return cls(
            (axes[0], axes[1], axes[2]),
            (signs[0] < 0, signs[1] < 0, signs[2] < 0),
            (grid.shape[axes[0]], grid.shape[axes[1]], grid.shape[axes[2]]),
            (grid.spacing_mm[axes[0]], grid.spacing_mm[axes[1]], grid.spacing_mm[axes[2]]),
            (float(directions[0] @ corner), float(directions[1] @ corner), float(directions[2] @ corner)),
            max(float(np.rad2deg(np.arccos(c))) for c in cosines),
        )

    @property
    def is_oblique(self) -> bool:
        """Whether an axis leans by more than half a degree."""
        return self.tilt_deg > 0.5

    def array(self, data: np.ndarray) -> np.ndarray:
        """Turn an array (X, Y, Z) to the order R, A, S (a view, nothing is copied)."""
        turned = np.transpose(data, self.axes)
        return turned[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]

    def whole(self) -> Box:
        """Box (along R, A, S) of the whole grid."""
        return slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2])

    def box(self, mask: np.ndarray, margin_mm: float, minimum_mm: float = 0.0) -> Box:
        """Box (along R, A, S) around a mask.

        Parameters
        ----------
        mask
            (X, Y, Z) bool in the order of the grid; the whole grid when it is empty.
        margin_mm
            Widening on all sides.
        minimum_mm
            Smallest width of the box, as far as the grid reaches.
        """
        turned = self.array(np.asarray(mask, bool))
        if not turned.any():
            return self.whole()
        out = []
        for axis in range(3):
            hits = np.flatnonzero(turned.any(axis=tuple(a for a in range(3) if a != axis)))
            step, count = self.spacing_mm[axis], self.shape[axis]
            low, high = hits[0] - margin_mm / step, hits[-1] + 1 + margin_mm / step
            lacking = max(minimum_mm / step - (high - low), 0.0)
            start, stop = int(np.floor(low - lacking / 2)), int(np.ceil(high + lacking / 2))
            out.append(slice(max(start, 0), min(stop, count)))
        return out[0], out[1], out[2]

    def position_mm(self, plane: Plane, index: int) -> float:
        """Coordinate of a slice along the axis that it is perpendicular to."""
        axis = _NORMAL[plane]
        return self.origin_mm[axis] + index * self.spacing_mm[axis]

    def cut(
        self,
        data: np.ndarray,
        plane: Plane,
        index: int,
        box: Box | None = None,
        convention: Convention = "radiological",
    ) -> Cut:
        """Cut a slice out of an array.

        Parameters
        ----------
        data
            (X, Y, Z) in the order of the grid.
        plane
            ``axial``, ``coronal`` or ``sagittal``.
        index
            Number of the slice along R, A or S, counted in the turned array.
        box
            Part to show, along R, A, S; its range along the normal is ignored.
        convention
            ``radiological`` shows the patient's left on the right of the picture, ``neurological`` on the left.
            Sagittal slices show anterior on the left in both.

        Returns
        -------
        Cut
            Superior (anterior in axial slices) is up.
        """
        if plane not in _NORMAL or convention not in ("radiological", "neurological"):
            raise ParameterError(f"no plane {plane!r} or convention {convention!r}; planes are {', '.join(_NORMAL)}")
        normal = _NORMAL[plane]
        if not 0 <= index < self.shape[normal]:
            raise ParameterError(f"{plane} slice {index} is outside of 0 to {self.shape[normal] - 1}")
        turned = self.array(data)
        across, up = (a for a in range(3) if a != normal)
        window: list[slice | int] = list(box or self.whole())
        window[normal] = index
        picture = turned[tuple(window)].T[::-1]
        mirrored = plane == "sagittal" or convention == "radiological"
        picture = picture[:, ::-1] if mirrored else picture
        sides = (_POSITIVE[across], _NEGATIVE[across]) if mirrored else (_NEGATIVE[across], _POSITIVE[across])
        return Cut(
            picture,
            (self.spacing_mm[across], self.spacing_mm[up]),
            plane,
            self.position_mm(plane, index),
            (sides[0], sides[1], _POSITIVE[up], _NEGATIVE[up]),
        )


def largest_section(frame: DisplayFrame, mask: np.ndarray, plane: Plane) -> int:
    """Number of the slice in which a mask (X, Y, Z) covers most; the middle slice when it is empty."""
    axis = _NORMAL[plane]
    area = frame.array(np.asarray(mask, bool)).sum(axis=tuple(a for a in range(3) if a != axis))
    return int(area.argmax()) if area.any() else frame.shape[axis] // 2


def spread_sections(frame: DisplayFrame, mask: np.ndarray, count: int, plane: Plane = "axial") -> list[int]:
    """Numbers of up to `count` different slices spread evenly over a mask (X, Y, Z), from low to high.

    A mask that covers fewer slices is widened to its neighbours; an empty one stands for the whole grid.
    """
    axis = _NORMAL[plane]
    hits = np.flatnonzero(frame.array(np.asarray(mask, bool)).any(axis=tuple(a for a in range(3) if a != axis)))
    low, high = (int(hits[0]), int(hits[-1])) if hits.size else (0, frame.shape[axis] - 1)
    while high - low + 1 < min(count, frame.shape[axis]):
        low, high = max(low - 1, 0), min(high + 1, frame.shape[axis] - 1)
    return sorted({int(i) for i in np.round(np.linspace(low, high, count))})
