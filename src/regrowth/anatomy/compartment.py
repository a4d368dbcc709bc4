"""Which compartment of a segmentation tells where a tumour lies."""

from __future__ import annotations

from dataclasses import dataclass

from regrowth.anatomy.location import LocationParameters
from regrowth.space.image import LabelMap

__all__ = ["CompartmentChoice", "location_compartment"]

# Preferred regions for a location: what is solid tumour comes before what may be oedema.
_COMPARTMENTS = ("TC", "CE_core", "ET", "GTV")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class CompartmentChoice:
    """Which region of a segmentation is located, and why.

    Parameters
    ----------
    compartment
        Region of `regrowth.labels.REGIONS`; empty if there is nothing to locate.
    reason
        Why this one.
    volume_ml
        Its volume.
    is_fallback
        Whether the preferred region was missing from the scheme or too small.
    """

    compartment: str
    reason: str
    volume_ml: float
    is_fallback: bool


def location_compartment(labels: LabelMap, parameters: LocationParameters | None = None) -> CompartmentChoice:
    """Choose the region of a segmentation by which a tumour is located.

    The tumour core (TC). Where the scheme has none: CE core, enhancing tumour, or GTV, the first that it has. If that
    holds less than ``min_core_ml``, the whole tumour (WT), so that a non-enhancing tumour is located too; if there is no
    whole tumour or it is no larger, what there is.

    Parameters
    ----------
    labels
        Segmentation.
    parameters
        Thresholds.

    Returns
    -------
    CompartmentChoice
        An empty name, with a reason, when nothing is labelled.
    """
    p = parameters or LocationParameters()
    core = next((c for c in _COMPARTMENTS if labels.has(c)), "")
    if not core:
        whole_ml = labels.volume_ml("WT") if labels.has("WT") else 0.0
        why = f"the label scheme {labels.scheme.name} has no tumour core"
        if whole_ml > 0:
            return CompartmentChoice("WT", f"{why}: the whole tumour", whole_ml, True)
        return CompartmentChoice("", f"{why}, and there is no tumour", 0.0, True)
    core_ml = labels.volume_ml(core)
    preferred = "the tumour core" if core == "TC" else f"the label scheme {labels.scheme.name} has no TC: {core}"
    if core_ml > 0 and core_ml >= p.min_core_ml - _ROUNDING:
        return CompartmentChoice(core, preferred, core_ml, core != "TC")
    why = f"{core} has {core_ml:.3g} ml, less than {p.min_core_ml:g} ml"
    whole_ml = labels.volume_ml("WT") if labels.has("WT") else 0.0
    if whole_ml > core_ml:
        return CompartmentChoice("WT", f"{why}: the whole tumour", whole_ml, True)
    if core_ml > 0:
        return CompartmentChoice(core, f"{why}, and there is no larger whole tumour", core_ml, True)
    return CompartmentChoice("", "no tumour is labelled", 0.0, True)
