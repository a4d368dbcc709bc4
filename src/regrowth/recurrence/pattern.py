"""Which pattern a recurrence has: local, marginal, distant or multifocal, and whether it grew at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from regrowth.errors import ParameterError

__all__ = [
    "ComponentKind",
    "Pattern",
    "RecurrenceParameters",
    "Trend",
    "component_kind",
    "patient_pattern",
    "recurrence_label",
    "volume_trend",
]

ComponentKind = Literal["local", "marginal", "distant"]
Pattern = Literal["local", "marginal", "distant", "multifocal", "undefined"]
Trend = Literal["growth", "stable", "shrinkage", "new", "gone", "unknown"]


def _option(default: float, help_text: str, unit: str) -> float:
    return field(default=default, metadata={"help": help_text, "unit": unit})


@dataclass(frozen=True)
class RecurrenceParameters:
    """Thresholds by which a recurrence is classified.

    The thresholds of the trend are those of RANO 2.0 for volumes: progression from +40 %, partial response from -65 % (Wen
    et al. 2023, doi:10.1200/JCO.23.01059). Those of the components are conventions without a common standard.
    """

    local_share: float = _option(0.5, "least share of a component inside the primary or cavity that makes it local", "1")
    distant_gap_mm: float = _option(20.0, "gap to the primary beyond which a component is distant", "mm")
    min_component_ml: float = _option(0.1, "components below this volume are counted apart", "ml")
    min_component_voxels: int = field(
        default=3, metadata={"help": "components of fewer voxels are counted apart", "unit": "voxel"}
    )
    growth_share: float = _option(0.40, "least relative increase of the volume that counts as growth", "1")
    shrinkage_share: float = _option(0.65, "least relative decrease of the volume that counts as shrinkage", "1")
    min_change_ml: float = _option(0.2, "smaller changes of the volume count as stable", "ml")

    def __post_init__(self) -> None:
        if not 0 < self.local_share <= 1 or not 0 < self.shrinkage_share <= 1 or not self.growth_share > 0:
            raise ParameterError("local_share and shrinkage_share lie above 0 and up to 1, growth_share above 0")
        if min(self.distant_gap_mm, self.min_component_ml, self.min_change_ml, self.min_component_voxels) < 0:
            raise ParameterError("distances, volumes and voxel counts of the recurrence parameters cannot be negative")


class _Classified(Protocol):
    @property
    def kind(self) -> ComponentKind: ...

    @property
    def touches_primary(self) -> bool: ...


def component_kind(local_share: float, gap_mm: float, parameters: RecurrenceParameters) -> ComponentKind:
    """Classify one component.

    Parameters
    ----------
    local_share
        Share of its volume inside the primary, or the primary and the cavity.
    gap_mm
        Least distance to the primary.
    parameters
        Thresholds.

    Returns
    -------
    str
        ``local`` if at least ``parameters.local_share`` is inside; otherwise ``distant`` if the gap is more than
        ``parameters.distant_gap_mm``, else ``marginal``.
    """
    if local_share >= parameters.local_share:
        return "local"
    return "distant" if gap_mm > parameters.distant_gap_mm else "marginal"


def patient_pattern(components: Sequence[_Classified]) -> Pattern:
    """Classify a patient by the components of the recurrence that are large enough.

    ``multifocal`` if there are at least two components and either they are of different kinds or one of them is a satellite,
    which is a component that does not touch the primary; otherwise the one kind that all components have; ``undefined``
    without components.
    """
    kinds = {c.kind for c in components}
    if not kinds:
        return "undefined"
    if len(components) > 1 and (len(kinds) > 1 or not all(c.touches_primary for c in components)):
        return "multifocal"
    return next(iter(kinds))


def volume_trend(reference_ml: float | None, recurrence_ml: float | None, parameters: RecurrenceParameters) -> Trend:
    """Tell how the volume changed.

    Parameters
    ----------
    reference_ml
        Native volume of the earlier exam, ml. After surgery this should be the residual, since against the tumour before
        surgery every recurrence has shrunk; None or NaN when not known.
    recurrence_ml
        Native volume of the later exam, ml.
    parameters
        Thresholds.

    Returns
    -------
    str
        ``new`` or ``gone`` when one volume is 0; ``growth`` or ``shrinkage`` when both the relative threshold and
        ``min_change_ml`` are reached; ``stable``; ``unknown`` when a volume is not known or both are 0.
    """
    if reference_ml is None or recurrence_ml is None or math.isnan(reference_ml) or math.isnan(recurrence_ml):
        return "unknown"
    if reference_ml == 0 or recurrence_ml == 0:
        return "unknown" if reference_ml == recurrence_ml else ("new" if reference_ml == 0 else "gone")
    change = recurrence_ml - reference_ml
    if abs(change) < parameters.min_change_ml:
        return "stable"
    if change >= parameters.growth_share * reference_ml:
        return "growth"
    return "shrinkage" if -change >= parameters.shrinkage_share * reference_ml else "stable"


def recurrence_label(pattern: Pattern, trend: Trend) -> str:
    """Name a recurrence for a reader.

    "local regrowth" only when the pattern is local and the volume is known to have grown: a remnant inside the old tumour
    that kept its size or became smaller has not come back.
    """
    if pattern == "local":
        return {
            "growth": "local regrowth",
            "new": "local regrowth",
            "stable": "local tumour, change of volume below the thresholds",
            "unknown": "local tumour, change of volume unknown",
        }.get(trend, "local residual, shrinking")
    return "no recurrence pattern" if pattern == "undefined" else f"{pattern} recurrence"
