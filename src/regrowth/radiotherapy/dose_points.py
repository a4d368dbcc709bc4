"""Which dose a point received, and a grid of points; unknown where nothing was computed."""

from __future__ import annotations

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.space import Grid, Image, sample_points

__all__ = ["dose_at", "dose_at_index", "dose_on_grid", "require_dose", "require_same_frame"]

_POINTS = 1_000_000  # points looked up in one go
_DECIMALS = 6  # Gy: a uniform dose must stay uniform, or its V100 would depend on rounding
_UNKNOWN_WEIGHT = 1e-6  # of voxels without a dose among the eight neighbours


def require_dose(dose: Image) -> None:
    """Refuse what is no dose in Gy: ``Gy``, or ``Gy`` and how it was converted, as ``Gy EQD2 10``.

    Raises
    ------
    ParameterError
        If the unit is another or the image has more than three axes.
    """
    if dose.unit.split(" ")[0] != "Gy" or dose.data.ndim != 3:
        raise ParameterError(f"a dose has three axes and the unit Gy, not {dose.data.ndim} axes and {dose.unit!r}")


def require_same_frame(uid: str | None, dose: Image, what: str) -> None:
    """Refuse a dose in another DICOM frame of reference; one that is not known is taken on trust."""
    if len({uid or None, dose.grid.frame_of_reference_uid or None} - {None}) > 1:
        raise GridMismatchError(
            f"{what} and the dose belong to different DICOM frames of reference; register their images and move one"
        )


def dose_at(points_mm: np.ndarray, dose: Image) -> np.ndarray:
    """Read a dose at points, by trilinear interpolation between the centres of the voxels.

    Parameters
    ----------
    points_mm
        (..., 3) RAS+ mm.
    dose
        Dose on its own grid, NaN where it is not known.

    Returns
    -------
    numpy.ndarray
        (...) float64 in the unit of the dose, rounded to a millionth. NaN more than half a voxel beyond the outermost
        centres, where nothing was computed, and where a voxel without a dose takes part. In the outer half of the outermost
        voxels their own dose.

    Raises
    ------
    ParameterError
        If `dose` is no dose in Gy.
    InputError
        If a dose is negative or infinite, or a point not finite.
    """
    require_dose(dose)
    points = np.asarray(points_mm, np.float64)
    if points.shape[-1:] != (3,) or not np.isfinite(points).all():
        raise InputError(
            f"points have three finite coordinates in mm, not the shape {points.shape} or values that are not finite"
        )
    return dose_at_index(dose.grid.index(points.reshape(-1, 3)), dose).reshape(points.shape[:-1])


def dose_at_index(index: np.ndarray, dose: Image) -> np.ndarray:
    """Read a dose at (n, 3) voxel indices, see `dose_at`."""
    data = _floating(dose)
    unknown = np.isnan(data)
    has_unknown = bool(unknown.any())
    known = np.where(unknown, data.dtype.type(0), data) if has_unknown else data
    out = np.empty(len(index))
    for start in range(0, len(index), _POINTS):
        part = slice(start, start + _POINTS)
        out[part] = sample_points(known, index[part], 1, np.nan)
        if has_unknown:
            weight = sample_points(unknown.astype(np.float32), index[part], 1, 0.0)
            out[part][weight > _UNKNOWN_WEIGHT] = np.nan
    return _checked(np.round(out, _DECIMALS))


def _floating(dose: Image) -> np.ndarray:
    return dose.data if dose.data.dtype.kind == "f" else dose.data.astype(np.float64)


def _checked(values: np.ndarray) -> np.ndarray:
    if (values < 0).any() or np.isinf(values).any():
        raise InputError("the dose is negative or infinite; check DoseGridScaling and the unit")
    return values


def dose_on_grid(dose: Image, grid: Grid) -> np.ndarray:
    """Bring a dose onto a grid as `dose_at` reads it: NaN where the dose is not known.

    Returns
    -------
    numpy.ndarray
        `grid.shape` float32. A dose that lies on this grid already is not interpolated.
    """
    require_dose(dose)
    require_same_frame(grid.frame_of_reference_uid, dose, "the grid")
    if dose.grid.is_close(grid, tolerance_mm=1e-4):
        return _checked(np.array(dose.data, np.float32))
    out = np.empty(grid.shape, np.float32)
    rows = max(1, _POINTS // (grid.shape[1] * grid.shape[2]))
    others = [np.arange(n, dtype=np.float64) for n in grid.shape[1:]]
    for start in range(0, grid.shape[0], rows):
        own = np.arange(start, min(start + rows, grid.shape[0]), dtype=np.float64)
        index = np.stack(np.meshgrid(own, *others, indexing="ij"), axis=-1)
        out[start : start + rows] = dose_at(grid.world(index), dose)
    return out
