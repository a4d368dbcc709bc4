"""How much of a structure received which dose: the dose-volume histogram, with bounds where the dose is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.dose_points import dose_at, require_dose
from regrowth.radiotherapy.dose_sampling import DoseSamples, mask_samples, structure_samples
from regrowth.radiotherapy.rasterise import RasterisedStructure
from regrowth.radiotherapy.structure import Structure
from regrowth.space import Image

__all__ = ["DVH", "DVHStatus", "dose_at", "dose_volume_histogram"]

DVHStatus = Literal["ok", "dose_unknown", "outside", "empty"]

_NAN = float("nan")
_SAME = 1e-9  # relative difference of volumes that is rounding
_MOST_BINS = 1_000_000


@dataclass(frozen=True, eq=False)
class DVH:
    """Cumulative dose-volume histogram of a structure.

    A part where the dose is not known (beyond the dose grid) counts in the volume, but not as 0 Gy: what depends on it is NaN,
    and its bounds take that part once as 0 Gy and once as the largest dose of the whole dose image.

    Parameters
    ----------
    doses_gy
        (m,) ascending, from the least to the largest dose.
    volumes_ml
        (m,) volume that is known to have received at least this dose.
    volume_ml
        Volume of the structure, unknown part included; NaN if it has none.
    unknown_ml
        Volume of the part without a dose.
    known_mean_gy, known_min_gy, known_max_gy
        Mean, least and largest dose of the part with a dose. Zero doses count. The extremes are those of
        the samples and of the points of the outline.
    highest_gy
        Largest dose of the dose image, the upper bound for the unknown part.
    n_samples, n_outside
        Samples of the structure, and how many of them have no dose.
    supersampling
        Samples per axis and voxel that were taken.
    unit
        Unit of the dose: ``Gy``, or ``Gy`` and how it was converted.
    name
        Name of the structure.
    status
        ``ok``; ``dose_unknown``: part has no dose; ``outside``: no part has one; ``empty``: the structure encloses nothing.
    reason
        What was noticed, also with ``ok``; empty if nothing.
    """

    doses_gy: np.ndarray
    volumes_ml: np.ndarray
    volume_ml: float
    unknown_ml: float
    known_mean_gy: float
    known_min_gy: float
    known_max_gy: float
    highest_gy: float
    n_samples: int
    n_outside: int
    supersampling: int
    unit: str
    name: str
    status: DVHStatus
    reason: str = ""

    @property
    def unknown_share(self) -> float:
        """Share of the volume without a dose, 0 to 1; NaN for an empty structure."""
        return self.unknown_ml / self.volume_ml if self.status != "empty" else _NAN

    @property
    def mean_gy(self) -> float:
        """Mean dose; NaN if part of it is unknown."""
        return self.known_mean_gy if self.status == "ok" else _NAN

    @property
    def min_gy(self) -> float:
        """Least dose; NaN if part of it is unknown."""
        return self.known_min_gy if self.status == "ok" else _NAN

    @property
    def max_gy(self) -> float:
        """Largest dose; NaN if part of it is unknown."""
        return self.known_max_gy if self.status == "ok" else _NAN

    @property
    def d95_gy(self) -> float:
        """Dose that 95 % of the volume received at least."""
        return self.dose_at_volume(percent=95)

    @property
    def d50_gy(self) -> float:
        """Median dose."""
        return self.dose_at_volume(percent=50)

    def mean_bounds_gy(self) -> tuple[float, float]:
        """Least and largest possible mean dose."""
        if self.status == "empty":
            return _NAN, _NAN
        known = self.known_mean_gy * (1 - self.unknown_share) if self.status != "outside" else 0.0
        return known, known + self.highest_gy * self.unknown_share

    def dose_at_volume(self, *, percent: float | None = None, ml: float | None = None) -> float:
        """Largest dose that a volume received at least, such as D95 or D2cc.

        Parameters
        ----------
        percent
            Volume in percent of the whole structure, above 0 and up to 100.
        ml
            Volume in ml instead.

        Returns
        -------
        float
            In Gy; NaN if it depends on the unknown part, or the structure is smaller than the volume.
        """
        return _if_certain(self.dose_at_volume_bounds(percent=percent, ml=ml))

    def dose_at_volume_bounds(self, *, percent: float | None = None, ml: float | None = None) -> tuple[float, float]:
        """Least and largest possible `dose_at_volume`; equal where the unknown part does not matter."""
        wanted = self._wanted_ml(percent, ml)
        if self.status == "empty" or wanted > self.volume_ml * (1 + _SAME):
            return _NAN, _NAN
        lowest = self._known_dose(wanted) if wanted <= self._known_ml() * (1 + _SAME) else 0.0
        is_small = wanted <= self.unknown_ml * (1 + _SAME) and self.unknown_ml > 0
        highest = self.highest_gy if is_small else self._known_dose(wanted - self.unknown_ml)
        return lowest, max(lowest, highest)

    def volume_at_dose(self, gy: float) -> float:
        """Volume in ml that received at least a dose, such as V20; NaN if it depends on the unknown part."""
        return _if_certain(self.volume_at_dose_bounds(gy))

    def percent_at_dose(self, gy: float) -> float:
        """`volume_at_dose` in percent of the whole structure."""
        return 100 * self.volume_at_dose(gy) / self.volume_ml if self.status != "empty" else _NAN

    def volume_at_dose_bounds(self, gy: float) -> tuple[float, float]:
        """Least and largest possible `volume_at_dose`, ml."""
        if not np.isfinite(gy) or gy < 0:
            raise ParameterError(f"a dose is finite and not negative, not {gy} Gy")
        if self.status == "empty":
            return _NAN, _NAN
        known = self._known_volume(float(gy))
        if gy == 0:
            return known + self.unknown_ml, known + self.unknown_ml
        return known, known + (self.unknown_ml if gy <= self.highest_gy else 0.0)

    def known(self) -> DVH:
        """Give the histogram of the part with a dose alone, where the rest may be left out knowingly."""
        if self.status != "dose_unknown":
            return self
        reason = f"without {100 * self.unknown_share:.3g} % of the volume, which lie where the dose is not known"
        n = self.n_samples - self.n_outside
        return replace(self, volume_ml=self._known_ml(), unknown_ml=0.0, n_samples=n, n_outside=0, status="ok", reason=reason)

    def _known_ml(self) -> float:
        return float(self.volumes_ml[0]) if len(self.volumes_ml) else 0.0

    def _wanted_ml(self, percent: float | None, ml: float | None) -> float:
        if (percent is None) == (ml is None):
            raise ParameterError("name the volume either in percent or in ml")
        if percent is not None and not 0 < percent <= 100:
            raise ParameterError(f"a percentage of a volume lies above 0 and up to 100, not {percent}")
        if ml is not None and not (ml > 0 and np.isfinite(ml)):
            raise ParameterError(f"a volume is above 0 ml, not {ml}")
        return float(ml) if ml is not None else float(percent or 0) / 100 * self.volume_ml

    def _known_volume(self, gy: float) -> float:
        """Volume of the known part at or above a dose, linear between the points of the curve."""
        if not len(self.doses_gy) or gy > self.doses_gy[-1]:
            return 0.0
        return float(np.interp(gy, self.doses_gy, self.volumes_ml))

    def _known_dose(self, ml: float) -> float:
        """Largest dose at which the curve has this volume; the far end of a level part of the curve."""
        last = int(np.searchsorted(-self.volumes_ml, -ml * (1 - _SAME), side="right")) - 1
        last = max(last, 0)
        if last == len(self.doses_gy) - 1:
            return float(self.doses_gy[-1])
        v0, v1 = self.volumes_ml[last : last + 2]
        d0, d1 = self.doses_gy[last : last + 2]
        if v0 <= v1:  # only by rounding, at the least dose
            return float(d0)
        return float(d0 + (d1 - d0) * min(max((v0 - ml) / (v0 - v1), 0.0), 1.0))


def dose_volume_histogram(
    structure: Structure | RasterisedStructure | Image,
    dose: Image,
    *,
    supersampling: int | None = None,
    between: Literal["nearest", "shape"] = "nearest",
    end_cap_mm: float | None = 0.0,
    plane_step_mm: float | None = None,
    bin_gy: float = 0.01,
    name: str = "",
) -> DVH:
    """Measure how much of a structure received which dose.

    Evenly spread points inside the structure are read from the dose by trilinear interpolation. Contours are sampled by
    themselves and not through the voxels of the dose, so that small structures keep their volume.

    Parameters
    ----------
    structure
        Contours; or a mask: what `rasterise` or `rasterise_share` gave, or an image of a mask or of shares 0 to 1 on any grid.
    dose
        Dose on its own grid, NaN where it is not known.
    supersampling
        Samples per axis and voxel, of the dose for contours, of the mask for masks; by default chosen by the volume.
    between
        What lies between planes of contours, see `rasterise`. Not for masks.
    end_cap_mm
        How far the structure goes on beyond its first and last plane. 0: no caps, as the planning system of the plan that this
        was compared with does. None: half the distance of the planes, as in `rasterise`, which is right on average for contours
        drawn on every image. A structure on a single plane always has half caps, which the reason says. Not for masks.
    plane_step_mm
        Distance of the images that were drawn on, see `rasterise`. Not for masks.
    bin_gy
        Distance of the points of the curve; doses and volumes between them are interpolated, mean and extremes are not.
    name
        Name for the result if `structure` has none.

    Returns
    -------
    DVH
        With status and reason for a structure that is empty or that the dose does not cover.

    Raises
    ------
    GridMismatchError
        If structure and dose belong to different frames of reference.
    ParameterError
        If an option is not allowed, or `dose` is no dose in Gy.
    InputError
        If a dose is negative or infinite.

    Notes
    -----
    Checked against structures whose histogram is known in closed form, after Nelms et al. 2015 (doi:10.1118/1.4923175).

    Examples
    --------
    >>> from regrowth.space import Grid
    >>> half = np.repeat([0.0, 50.0], 5)[:, None, None] * np.ones((10, 4, 4))
    >>> grid = Grid((10, 4, 4), np.eye(4))
    >>> dvh = dose_volume_histogram(Image(np.ones(grid.shape, bool), grid, "1"), Image(half, grid, "Gy"), supersampling=1)
    >>> round(dvh.mean_gy, 6), dvh.percent_at_dose(20.0), dvh.status
    (25.0, 50.0, 'ok')
    """
    if not (np.isfinite(bin_gy) and bin_gy > 0):
        raise ParameterError(f"bin_gy is a dose above 0, not {bin_gy}")
    require_dose(dose)
    highest = float(np.nanmax(dose.data)) if not np.isnan(dose.data).all() else _NAN
    if isinstance(structure, Structure):
        samples = structure_samples(
            structure,
            dose,
            supersampling=supersampling,
            between=between,
            end_cap_mm=end_cap_mm,
            plane_step_mm=plane_step_mm,
        )
        name = structure.name or name
    else:
        if between != "nearest" or end_cap_mm not in (None, 0.0) or plane_step_mm is not None:
            raise ParameterError("between, end_cap_mm and plane_step_mm are for contours; a mask has them in it already")
        samples = mask_samples(_share(structure), dose, supersampling)
    return _histogram(samples, highest, bin_gy, dose.unit, name)


def _share(mask: RasterisedStructure | Image) -> Image:
    if isinstance(mask, Image):
        return mask
    return Image(mask.mask if mask.share is None else mask.share, mask.grid, "1")


def _histogram(samples: DoseSamples, highest_gy: float, bin_gy: float, unit: str, name: str) -> DVH:
    none = np.empty(0)
    n = len(samples.dose_gy)
    if not n:
        why = samples.reason
        return DVH(none, none, _NAN, _NAN, _NAN, _NAN, _NAN, highest_gy, 0, 0, samples.supersampling, unit, name, "empty", why)
    has_dose = ~np.isnan(samples.dose_gy)
    n_known = int(has_dose.sum())
    unknown = float(samples.volume_ml[~has_dose].sum())
    if not n_known:
        why = "; ".join(t for t in ("the dose does not reach any of it", samples.reason) if t)
        s = samples.supersampling
        return DVH(none, none, unknown, unknown, _NAN, _NAN, _NAN, highest_gy, n, n, s, unit, name, "outside", why)
    low, high = float(samples.inner_gy.min()), float(samples.inner_gy.max())
    # Centres of cells at the surface may lie outside.
    values, spread = (np.clip(own[has_dose], low, high) for own in (samples.dose_gy, samples.spread_gy))
    volumes = samples.volume_ml[has_dose]
    mean = float(np.average(values, weights=volumes))
    doses, curve = _curve(spread, volumes, low, high, bin_gy)
    total = float(curve[0]) + unknown
    notes = [samples.reason] if samples.reason else []
    if n_known < n:
        notes.insert(0, f"the dose does not reach {100 * unknown / total:.3g} % of the volume")
    status: DVHStatus = "ok" if n_known == n else "dose_unknown"
    return DVH(
        doses_gy=doses,
        volumes_ml=curve,
        volume_ml=total,
        unknown_ml=unknown,
        known_mean_gy=min(max(mean, low), high),  # rounding must not carry it beyond
        known_min_gy=low,
        known_max_gy=high,
        highest_gy=max(highest_gy, high),
        n_samples=n,
        n_outside=n - n_known,
        supersampling=samples.supersampling,
        unit=unit,
        name=name,
        status=status,
        reason="; ".join(notes),
    )


def _curve(values: np.ndarray, volumes: np.ndarray, low: float, high: float, bin_gy: float) -> tuple[np.ndarray, ...]:
    """Sum the volume at or above the edges of the bins, the first moved up to the least dose, the last down to the largest."""
    first = int(np.floor(low / bin_gy))
    n = int(np.floor(high / bin_gy)) - first + 1
    if n > _MOST_BINS:
        raise ParameterError(f"doses up to {high:.3g} Gy make {n} bins of {bin_gy} Gy; take wider ones")
    at = np.clip((values / bin_gy).astype(np.int64) - first, 0, n - 1)
    per_bin = np.bincount(at, weights=volumes, minlength=n)
    curve = np.cumsum(per_bin[::-1])[::-1]
    highest = float(volumes[values >= high].sum())
    edges = (np.arange(n) + first) * bin_gy
    edges[0] = low
    if high > edges[-1]:
        return np.append(edges, high), np.append(curve, highest)
    return edges, curve


def _if_certain(bounds: tuple[float, float]) -> float:
    """Give the value that both bounds agree on."""
    low, high = bounds
    return low if abs(high - low) <= _SAME * max(abs(high), 1.0) else _NAN
