"""How large a lesion is in its axial slices: longest diameter, the perpendicular one, and their product."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.space.grid import Grid

__all__ = ["THICK_SLICE_MM", "BidimensionalSize", "SumOfProducts", "bidimensional_product", "lesion_sizes", "sum_of_products"]

THICK_SLICE_MM = 5.0
"""Slices thicker than this make a lesion measurable only from twice their thickness (RANO, Wen et al. 2010,
doi:10.1200/JCO.2009.26.3541; as summarised in public reviews)."""

_NAN = float("nan")
_ROUNDING_MM = 1e-6
_ENDS = ((_NAN,) * 3,) * 2


@dataclass(frozen=True)
class BidimensionalSize:
    """Size of a lesion in the axial slice in which its product is largest; NaN unless `status` is ``ok``.

    Parameters
    ----------
    status
        ``ok`` or ``empty``.
    longest_mm
        Longest distance between two points of the outline.
    perpendicular_mm
        Longest distance between two points of the same outline on a line at right angles to it.
    product_mm2
        Their product.
    is_measurable
        Both are at least the measurable length (twice the slice thickness, if that is more and the slices are thick), and
        the lesion lies in two slices or more.
    reason
        Why there is no size, why it is not measurable, or what to keep in mind.
    slice_index
        Index of the slice along `slice_axis`; None without one.
    slice_axis
        Axis of the array across which the axial slices are stacked.
    n_slices
        Slices with a part of the lesion.
    slice_thickness_mm
        Distance of neighbouring slices.
    is_thick
        Whether that is above `THICK_SLICE_MM`.
    tilt_deg
        Angle between the slices and the true axial plane.
    volume_ml
        Volume of the lesion.
    longest_ends_mm, perpendicular_ends_mm
        End points of the two lines, RAS+ mm, for drawing.
    """

    status: str
    longest_mm: float = _NAN
    perpendicular_mm: float = _NAN
    product_mm2: float = _NAN
    is_measurable: bool = False
    reason: str = ""
    slice_index: int | None = None
    slice_axis: int = 2
    n_slices: int = 0
    slice_thickness_mm: float = _NAN
    is_thick: bool = False
    tilt_deg: float = _NAN
    volume_ml: float = 0.0
    longest_ends_mm: tuple[tuple[float, ...], ...] = _ENDS
    perpendicular_ends_mm: tuple[tuple[float, ...], ...] = _ENDS

    def as_row(self) -> dict[str, object]:
        """Give one flat row, without the end points."""
        names = ("longest_mm", "perpendicular_mm", "product_mm2", "is_measurable", "n_slices", "slice_thickness_mm")
        row: dict[str, object] = {"status": self.status, "reason": self.reason}
        row |= {name: getattr(self, name) for name in (*names, "is_thick", "tilt_deg", "volume_ml", "slice_axis")}
        return row | {"slice_index": _NAN if self.slice_index is None else self.slice_index}


@dataclass(frozen=True)
class SumOfProducts:
    """Sum of the products of the largest lesions of an exam.

    Parameters
    ----------
    total_mm2
        Sum over `targets`; 0 when there is no lesion.
    targets
        The lesions in the sum, the largest product first.
    n_lesions, n_measurable
        Lesions in all, and those that are measurable.
    reason
        What to keep in mind.
    """

    total_mm2: float
    targets: tuple[BidimensionalSize, ...]
    n_lesions: int
    n_measurable: int
    reason: str = ""

    def as_row(self) -> dict[str, object]:
        """Give one flat row."""
        return {
            "sum_of_products_mm2": self.total_mm2,
            "n_targets": len(self.targets),
            "n_lesions": self.n_lesions,
            "n_measurable": self.n_measurable,
            "reason": self.reason,
        }


def bidimensional_product(mask: np.ndarray, grid: Grid, *, measurable_mm: float = 10.0) -> BidimensionalSize:
    """Measure one lesion in its axial slices.

    Parameters
    ----------
    mask
        (X, Y, Z) bool, one lesion; see `lesion_sizes` for a mask of several.
    grid
        Grid of the mask, in any orientation; the in-plane spacing may differ between the axes.
    measurable_mm
        Least length of both diameters of a measurable lesion.

    Returns
    -------
    BidimensionalSize
        ``empty`` with NaN when there is no voxel.

    Raises
    ------
    GridMismatchError
        If the mask does not fit the grid.
    ParameterError
        If `measurable_mm` is not positive.

    Notes
    -----
    *Slices* are the planes of the voxel grid that are closest to axial: stacked along the axis with the largest share of
    the head-foot direction. The grid is not resampled, so they may be tilted (`tilt_deg`) or, in an exam that was not
    acquired in axial slices, coarse within the plane.

    *Outline*: the line through the midpoints of the edges of the outer voxels, which is the contour of the mask at one
    half. Along an axis a row of n voxels is n voxels long; diagonally an outline through the corners would be too long, one
    through the centres too short.

    *Lesion in a slice*: the voxels that touch by edge or corner. Parts of one lesion that are apart in a slice are measured
    apart. A line may cross a gap (a ring of enhancement around necrosis, a bay), as the longest diameter of a reader does.
    """
    mask = _checked(mask, grid)
    if not measurable_mm > 0:
        raise ParameterError(f"measurable_mm must be positive, not {measurable_mm}")
    axis, tilt, thickness = _slices(grid)
    if not mask.any():
        return BidimensionalSize(
            "empty", reason="the mask is empty", slice_axis=axis, slice_thickness_mm=thickness, tilt_deg=tilt
        )
    stack = np.moveaxis(mask, axis, 0)
    used = np.flatnonzero(stack.any(axis=(1, 2)))
    plane = [a for a in range(3) if a != axis]
    basis, steps = _plane_basis(grid, plane)
    best = _Lines(-1.0, 0.0, 0.0, np.zeros((2, 2)), np.zeros((2, 2)))
    where = 0
    for index in used:
        lines = _largest_in_slice(stack[index], steps)
        if lines.product > best.product:
            best, where = lines, int(index)
    is_thick = thickness > THICK_SLICE_MM
    least = max(measurable_mm, 2 * thickness) if is_thick else measurable_mm
    reasons = []
    if min(best.longest, best.perpendicular) < least - _ROUNDING_MM:
        reasons.append(f"a diameter is below {least:g} mm" + (", twice the slice thickness" if least > measurable_mm else ""))
    if len(used) < 2:
        reasons.append("it lies in one slice only")
    measurable = not reasons
    if is_thick:
        reasons.append(f"slices of {thickness:.1f} mm are thick for a bidimensional measure")
    origin = grid.affine[:3, 3] + grid.affine[:3, axis] * where
    return BidimensionalSize(
        status="ok",
        longest_mm=best.longest,
        perpendicular_mm=best.perpendicular,
        product_mm2=best.product,
        is_measurable=measurable,
        reason="; ".join(reasons),
        slice_index=where,
        slice_axis=axis,
        n_slices=len(used),
        slice_thickness_mm=thickness,
        is_thick=is_thick,
        tilt_deg=tilt,
        volume_ml=float(np.count_nonzero(mask) * grid.voxel_volume_ml),
        longest_ends_mm=_ends(best.longest_ends, basis, origin),
        perpendicular_ends_mm=_ends(best.perpendicular_ends, basis, origin),
    )


def lesion_sizes(mask: np.ndarray, grid: Grid, *, measurable_mm: float = 10.0) -> tuple[BidimensionalSize, ...]:
    """Measure every lesion (voxels that touch by face, edge or corner) of a mask, the largest product first.

    Parameters
    ----------
    mask, grid, measurable_mm
        As in `bidimensional_product`.

    Returns
    -------
    tuple of BidimensionalSize
        Empty for an empty mask.
    """
    parts, _ = ndimage.label(_checked(mask, grid), np.ones((3, 3, 3)))
    found = []
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        inside = parts[box] == part
        affine = grid.affine.copy()
        affine[:3, 3] = grid.world(np.array([s.start for s in box]))
        size = bidimensional_product(inside, Grid(inside.shape, affine), measurable_mm=measurable_mm)
        found.append(replace(size, slice_index=(size.slice_index or 0) + box[size.slice_axis].start))
    return tuple(sorted(found, key=lambda s: -s.product_mm2))


def sum_of_products(mask: np.ndarray, grid: Grid, *, targets: int = 3, measurable_mm: float = 10.0) -> SumOfProducts:
    """Sum the products of the largest lesions of an exam.

    Parameters
    ----------
    mask
        (X, Y, Z) bool, all lesions of the exam in its native space. An empty mask means that there is no lesion: the sum is
        0, since somebody looked. Where nobody looked there is no mask, and the exam gets NaN.
    grid
        Its grid.
    targets
        Largest number of lesions in the sum: 3, and 2 each of the enhancing and the non-enhancing lesions of a mixed
        tumour (RANO 2.0, doi:10.1200/JCO.23.01059, as the public program RANO2.0-assist has it).
    measurable_mm
        Least length of both diameters of a measurable lesion.

    Returns
    -------
    SumOfProducts
        Of the measurable lesions; where none is, of the largest ones, with a remark: a target that shrinks below the
        measurable size stays in the sum. Lesions are not followed from exam to exam: the largest of each exam are taken.

    Raises
    ------
    ParameterError
        If `targets` is less than 1.
    """
    if targets < 1:
        raise ParameterError(f"targets must be at least 1, not {targets}")
    sizes = lesion_sizes(mask, grid, measurable_mm=measurable_mm)
    measurable = [s for s in sizes if s.is_measurable]
    chosen = tuple((measurable or list(sizes))[:targets])
    reason = "" if measurable or not sizes else "no lesion is measurable; the largest ones are summed"
    if len(measurable) > targets:
        reason = f"{len(measurable)} measurable lesions, the {targets} largest are summed"
    return SumOfProducts(float(sum(s.product_mm2 for s in chosen)), chosen, len(sizes), len(measurable), reason)


def _checked(mask: np.ndarray, grid: Grid) -> np.ndarray:
    mask = np.asarray(mask, bool)
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not fit a grid of shape {grid.shape}")
    return mask


def _slices(grid: Grid) -> tuple[int, float, float]:
    """Find the axis across the axial slices, their tilt in degrees and their distance in mm."""
    axis = int(np.abs(grid.directions[2]).argmax())
    one, other = (grid.directions[:, a] for a in range(3) if a != axis)
    normal = np.cross(one, other)
    normal /= np.linalg.norm(normal)
    tilt = float(np.degrees(np.arccos(min(1.0, abs(float(normal[2]))))))
    return axis, tilt, float(abs(grid.affine[:3, axis] @ normal))


def _plane_basis(grid: Grid, plane: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Give two orthonormal directions of a plane, (3, 2), and the voxel steps in them, (2, 2) in mm as columns."""
    steps = grid.affine[:3, plane]
    basis, _ = np.linalg.qr(steps)
    return basis, basis.T @ steps


@dataclass(frozen=True, eq=False)
class _Lines:
    product: float
    longest: float
    perpendicular: float
    longest_ends: np.ndarray
    perpendicular_ends: np.ndarray


def _largest_in_slice(inside: np.ndarray, steps: np.ndarray) -> _Lines:
    parts, n = ndimage.label(inside, np.ones((3, 3)))
    return max((_part_lines(parts == part, steps) for part in range(1, n + 1)), key=lambda lines: lines.product)


def _part_lines(part: np.ndarray, steps: np.ndarray) -> _Lines:
    """Measure one part of a slice (I, J), with the mm of one voxel along each axis as the columns of `steps`."""
    from skimage.measure import find_contours

    outlines = [line @ steps.T - steps.sum(axis=1) for line in find_contours(np.pad(part, 1).astype(float), 0.5)]
    points = _hull(np.concatenate(outlines))
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    a, b = np.unravel_index(int(apart.argmax()), apart.shape)
    longest = float(apart[a, b])
    along = (points[b] - points[a]) / longest
    perpendicular, ends = _longest_across(outlines, along)
    return _Lines(longest * perpendicular, longest, perpendicular, points[[a, b]], ends)


def _hull(points: np.ndarray) -> np.ndarray:
    from scipy.spatial import ConvexHull

    return np.asarray(points[ConvexHull(points).vertices])


def _longest_across(outlines: list[np.ndarray], along: np.ndarray) -> tuple[float, np.ndarray]:
    """Find the longest distance between outer crossings of the outlines with a line at right angles to `along`.

    Between two neighbouring vertices the crossings move along straight edges, so that the distance is largest at a vertex.
    """
    across = np.array([-along[1], along[0]])
    start = np.concatenate([line[:-1] for line in outlines])
    stop = np.concatenate([line[1:] for line in outlines])
    t0, t1, s0, s1 = start @ along, stop @ along, start @ across, stop @ across
    best, ends = 0.0, np.zeros((2, 2))
    for t in np.unique(np.concatenate([t0, t1])):
        crossed = (np.minimum(t0, t1) <= t + _ROUNDING_MM) & (np.maximum(t0, t1) >= t - _ROUNDING_MM)
        level = np.abs(t1 - t0) <= _ROUNDING_MM
        share = np.where(level, 0.0, (t - t0) / np.where(level, 1.0, t1 - t0))
        at = np.concatenate([(s0 + np.clip(share, 0, 1) * (s1 - s0))[crossed], s1[crossed & level]])
        if at.size and np.ptp(at) > best:
            best = float(np.ptp(at))
            ends = np.array([t * along + at.min() * across, t * along + at.max() * across])
    return best, ends


def _ends(points: np.ndarray, basis: np.ndarray, origin: np.ndarray) -> tuple[tuple[float, ...], ...]:
    world = points @ basis.T + origin
    return tuple(tuple(float(v) for v in point) for point in world)
