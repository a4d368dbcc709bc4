"""Where in the brain a tumour lies: side, lobe, junction, midline and butterfly, with the whole vector of shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from regrowth.anatomy.overlap import RegionVolumes, region_volumes
from regrowth.anatomy.regions import RegionMap
from regrowth.errors import ParameterError
from regrowth.space.grid import Grid

__all__ = [
    "ComponentLocation",
    "Laterality",
    "Location",
    "LocationParameters",
    "LocationStatus",
    "component_locations",
    "location",
]

LocationStatus = Literal["ok", "empty", "no_tissue"]
Laterality = Literal["left", "right", "bilateral", "midline", ""]

MULTIPLE = "multiple"
_NAN = float("nan")
_ROUNDING = 1e-9  # shares are ratios of sums of floats: 0.24 must count as at least 0.24
# Order and stems of the names of junctions: "temporo-parietal", not "parieto-temporal".
_STEMS = {"frontal": "fronto", "temporal": "temporo", "parietal": "parieto", "occipital": "occipito", "insula": "insulo"}
_ENDINGS = {"temporal": "temporal", "parietal": "parietal", "occipital": "occipital", "insula": "insular"}
_ORDER = ("frontal", "temporal", "parietal", "occipital", "insula", "cingulate")


def _option(default: float, help_text: str, unit: str = "1") -> float:
    return field(default=default, metadata={"help": help_text, "unit": unit})


@dataclass(frozen=True)
class LocationParameters:
    """Thresholds by which a tumour is located; conventions without a common standard, so vary them."""

    dominant_share: float = _option(0.60, "least share of the tumour in one class of region that names the location by it")
    involved_share: float = _option(0.10, "least share of the tumour in a class of region that counts as involved")
    junction_share: float = _option(0.24, "least share in each of two lobes of one hemisphere that makes a junction")
    side_share: float = _option(0.90, "least share of the lateral tissue in one hemisphere that makes a tumour one-sided")
    butterfly_share: float = _option(0.10, "least share of the lateral tissue on each side of a butterfly tumour")
    min_coverage: float = _option(0.90, "share of the tumour inside the region map below which the location is flagged")
    min_core_ml: float = _option(0.1, "volume of the tumour core below which the whole tumour is located instead", "ml")
    midline_ml: float = _option(0.1, "least volume on both sides, or in the corpus callosum, that crosses the midline", "ml")
    min_component_ml: float = _option(0.1, "separate parts below this volume are not located by themselves", "ml")

    def __post_init__(self) -> None:
        for item in fields(self):
            value, unit = getattr(self, item.name), item.metadata["unit"]
            if unit == "1" and not 0 <= value <= 1:
                raise ParameterError(f"{item.name} is a share and lies from 0 to 1, not {value}")
            if unit == "ml" and not value >= 0:
                raise ParameterError(f"{item.name} is a volume in ml and cannot be {value}")
        if not self.dominant_share > 0.5 or not self.side_share > 0.5:
            raise ParameterError("dominant_share and side_share lie above 0.5: two regions or sides cannot both hold more")


@dataclass(frozen=True)
class Location:
    """Where a tumour lies. Everything but status, reason, coverage and csf_share is NaN, empty or False unless ``ok``.

    The denominator of all shares is the tumour in *tissue*: lobes, cingulate, insula, deep grey matter, corpus callosum,
    brainstem and cerebellum. Ventricles are left out of it and reported as `csf_share`.

    Parameters
    ----------
    status
        ``ok``; ``empty``: the mask has no voxel; ``no_tissue``: it has, but none in tissue.
    reason
        Why there is no location; or, with ``ok``, a remark such as low coverage.
    compartment
        What was located, such as ``TC``.
    laterality
        ``midline`` if corpus callosum and brainstem hold at least ``dominant_share`` of the tissue, or all of it;
        otherwise of the tissue that has a side (lobes, deep grey matter, cerebellum) ``left`` if at least ``side_share``
        is left, ``right`` if at least that is right, else ``bilateral``.
    left_share
        Share of the left in the tissue that has a side; NaN without such tissue.
    crosses_midline
        At least ``midline_ml`` lie in the tissue of both hemispheres, or in the corpus callosum, which is the midline. A
        volume is asked for, because at the midline single voxels of a region map are often on the wrong side.
    is_butterfly
        At least ``butterfly_share`` of the tissue that has a side on each side, and at least ``midline_ml`` in the
        corpus callosum.
    lobe
        The class of region, both sides taken together, that holds at least ``dominant_share`` of the tissue (``frontal``,
        ``deep grey``, ``corpus callosum``, ...), else ``multiple``. One class per tumour: the state of a transition.
    lobe_share
        Share of the class that holds most, also where it is not dominant.
    junction
        ``fronto-temporal`` and the like: the two largest lobes (with cingulate and insula) of one hemisphere that both
        hold at least ``junction_share``; empty without such a pair. Does not depend on `lobe`.
    involved
        Labels with side of all regions that hold at least ``involved_share``, the largest first.
    shares
        Class of region, both sides taken together, to the share; all tissue classes of the scheme.
    side_shares
        Label of region, with side, to the share; all tissue regions of the scheme.
    entropy
        ``-sum p ln p / ln K`` of `shares` over the K tissue classes of the scheme: 0 in one class, 1 evenly in all.
    coverage
        Share of the mask inside the region map, cerebrospinal fluid included.
    is_low_coverage
        Whether `coverage` is below ``min_coverage``: the location then stands on a part of the tumour.
    csf_share
        Share of the mask in ventricles.
    tissue_ml
        Volume in tissue.
    """

    status: LocationStatus
    reason: str = ""
    compartment: str = ""
    laterality: Laterality = ""
    left_share: float = _NAN
    crosses_midline: bool = False
    is_butterfly: bool = False
    lobe: str = ""
    lobe_share: float = _NAN
    junction: str = ""
    involved: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    side_shares: Mapping[str, float] = field(default_factory=dict)
    entropy: float = _NAN
    coverage: float = _NAN
    is_low_coverage: bool = False
    csf_share: float = _NAN
    tissue_ml: float = _NAN

    def as_row(self) -> dict[str, object]:
        """Give one flat row: ``involved`` joined by ``;``, one column ``share_<class>`` per class of region.

        What is not known without a location (`crosses_midline`, `is_butterfly`) is NaN there, never False.
        """
        located = self.status == "ok"
        return {
            "status": self.status,
            "reason": self.reason,
            "compartment": self.compartment,
            "laterality": self.laterality,
            "left_share": self.left_share,
            "crosses_midline": self.crosses_midline if located else _NAN,
            "is_butterfly": self.is_butterfly if located else _NAN,
            "lobe": self.lobe,
            "lobe_share": self.lobe_share,
            "junction": self.junction,
            "involved": ";".join(self.involved),
            "entropy": self.entropy,
            "coverage": self.coverage,
            "is_low_coverage": self.is_low_coverage,
            "csf_share": self.csf_share,
            "tissue_ml": self.tissue_ml,
            **{f"share_{name.replace(' ', '_')}": share for name, share in self.shares.items()},
        }


def location(volumes: RegionVolumes, parameters: LocationParameters | None = None, *, compartment: str = "") -> Location:
    """Locate a tumour by its volumes in the regions of the brain.

    Parameters
    ----------
    volumes
        Volume per region, from `region_volumes`.
    parameters
        Thresholds.
    compartment
        Name of what was measured, for the result.

    Returns
    -------
    Location
        See there for the meaning of each class; thresholds are inclusive.
    """
    p = parameters or LocationParameters()
    tissue = [r for r in volumes.regions if r.kind != "csf"]
    names = dict.fromkeys(r.name.replace("_", " ") for r in tissue)
    start = Location(
        "ok",
        compartment=compartment,
        coverage=volumes.coverage,
        is_low_coverage=volumes.coverage < p.min_coverage - _ROUNDING,
        csf_share=volumes.csf_share,
        shares=dict.fromkeys(names, _NAN),
        side_shares={r.label: _NAN for r in tissue},
    )
    if not volumes.total_ml > 0:
        return replace(start, status="empty", reason="the mask is empty")
    total = volumes.tissue_ml
    if not total > 0:
        return replace(start, status="no_tissue", reason=_without_tissue(volumes))
    sided = {r.label: volumes.volumes_ml[r.label] / total for r in tissue}
    shares = {name: math.fsum(sided[r.label] for r in tissue if r.name.replace("_", " ") == name) for name in names}
    top = max(shares, key=lambda name: shares[name])
    reason = f"only {volumes.coverage:.0%} of the mask lie inside the region map" if start.is_low_coverage else ""
    return replace(
        start,
        **_sides(volumes, p),  # type: ignore[arg-type]
        reason=reason,
        lobe=top if _reaches(shares[top], p.dominant_share) else MULTIPLE,
        lobe_share=shares[top],
        junction=_junction(volumes, sided, p),
        involved=_involved(sided, p),
        shares=shares,
        side_shares=sided,
        entropy=_entropy(list(shares.values())),
        tissue_ml=total,
    )


def _reaches(share: float, threshold: float) -> bool:
    return share >= threshold - _ROUNDING


def _involved(sided: Mapping[str, float], p: LocationParameters) -> tuple[str, ...]:
    found = [label for label, share in sided.items() if share > 0 and _reaches(share, p.involved_share)]
    return tuple(sorted(found, key=lambda label: -sided[label]))


def _without_tissue(volumes: RegionVolumes) -> str:
    if volumes.of_kind("csf") > 0:
        return "the mask lies in cerebrospinal fluid" + (" and outside all regions" if volumes.unassigned_ml > 0 else " alone")
    return "the mask lies outside all regions of the map"


def _sides(volumes: RegionVolumes, p: LocationParameters) -> dict[str, object]:
    """Give laterality, left_share, crosses_midline and is_butterfly."""
    left, right, middle = (
        math.fsum(volumes.volumes_ml[r.label] for r in volumes.regions if r.side == side and r.kind != "csf")
        for side in ("left", "right", "midline")
    )
    callosum = volumes.of_kind("callosum")
    left_share = left / (left + right) if left + right > 0 else _NAN
    laterality: Laterality
    if not left + right > 0 or _reaches(middle / volumes.tissue_ml, p.dominant_share):
        laterality = "midline"
    elif _reaches(left_share, p.side_share):
        laterality = "left"
    else:
        laterality = "right" if _reaches(1 - left_share, p.side_share) else "bilateral"
    in_callosum = callosum > 0 and callosum >= p.midline_ml - _ROUNDING
    on_both = left > 0 and right > 0 and min(left, right) >= p.midline_ml - _ROUNDING
    both_shares = left > 0 and right > 0 and _reaches(min(left_share, 1 - left_share), p.butterfly_share)
    return {
        "laterality": laterality,
        "left_share": left_share,
        "crosses_midline": on_both or in_callosum,
        "is_butterfly": both_shares and in_callosum,
    }


def _junction(volumes: RegionVolumes, sided: Mapping[str, float], p: LocationParameters) -> str:
    best, name = 0.0, ""
    for side in ("left", "right"):
        lobes = [r for r in volumes.regions if r.side == side and r.kind == "lobe" and sided[r.label] > 0]
        lobes = sorted((r for r in lobes if _reaches(sided[r.label], p.junction_share)), key=lambda r: -sided[r.label])
        if len(lobes) > 1 and sided[lobes[0].label] + sided[lobes[1].label] > best:
            best, name = sided[lobes[0].label] + sided[lobes[1].label], _junction_name(lobes[0].name, lobes[1].name)
    return name


def _junction_name(one: str, other: str) -> str:
    first, second = sorted((one, other), key=lambda n: (_ORDER.index(n) if n in _ORDER else len(_ORDER), n))
    return f"{_STEMS.get(first, first)}-{_ENDINGS.get(second, second)}"


def _entropy(shares: list[float]) -> float:
    if len(shares) < 2:
        return 0.0
    return -math.fsum(s * math.log(s) for s in shares if s > 0) / math.log(len(shares)) + 0.0


@dataclass(frozen=True)
class ComponentLocation:
    """Where one connected part of a tumour lies.

    Parameters
    ----------
    volume_ml
        Its volume.
    centroid_ras_mm
        Centre of mass.
    location
        Its location.
    """

    volume_ml: float
    centroid_ras_mm: tuple[float, float, float]
    location: Location

    def as_row(self) -> dict[str, object]:
        """Give one flat row."""
        r, a, s = self.centroid_ras_mm
        place = {"component_ml": self.volume_ml, "centroid_r_mm": r, "centroid_a_mm": a, "centroid_s_mm": s}
        return {**place, **self.location.as_row()}


def component_locations(
    mask: np.ndarray,
    regions: RegionMap,
    grid: Grid,
    parameters: LocationParameters | None = None,
    *,
    compartment: str = "",
) -> tuple[tuple[ComponentLocation, ...], int]:
    """Locate every connected part (by face, edge or corner) of a tumour, so that a satellite is not averaged away.

    Parameters
    ----------
    mask
        (X, Y, Z) bool.
    regions
        Region of each voxel.
    grid
        Grid of both.
    parameters
        Thresholds; parts below ``min_component_ml`` are only counted.
    compartment
        Name of what was measured, for the results.

    Returns
    -------
    tuple
        The parts from the largest to the smallest, and how many were too small.

    Raises
    ------
    GridMismatchError
        If mask and region map do not lie on the same grid.
    """
    p = parameters or LocationParameters()
    region_volumes(np.zeros(grid.shape, bool), regions, grid)  # refuses another grid before any work
    parts, n = ndimage.label(np.asarray(mask, bool), np.ones((3, 3, 3)))
    sizes_ml = np.bincount(parts.ravel(), minlength=n + 1)[1:] * grid.voxel_volume_ml
    large = np.flatnonzero(sizes_ml >= p.min_component_ml - _ROUNDING) + 1
    found = []
    for part in large:
        inside = parts == part
        volumes = region_volumes(inside, regions, grid)
        r, a, s = (float(v) for v in grid.world(np.argwhere(inside).mean(axis=0)))
        found.append(ComponentLocation(volumes.total_ml, (r, a, s), location(volumes, p, compartment=compartment)))
    return tuple(sorted(found, key=lambda c: -c.volume_ml)), int(n - large.size)
