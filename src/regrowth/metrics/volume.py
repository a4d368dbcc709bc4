"""How large the parts of a tumour are, and how its enhancing core compares with the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from regrowth.errors import ParameterError
from regrowth.labels import REGIONS
from regrowth.space.image import LabelMap

__all__ = ["HANNISDAL_CUT", "ExamVolumes", "RatioStatus", "exam_volumes"]

HANNISDAL_CUT = 0.324
"""Ratio of CE core to NE volume of the primary at or below which survival was longer, adjusted hazard ratio 0.56 (95 % CI
0.37 to 0.84), in 195 patients: Hannisdal et al. 2025, npj Precision Oncology, "Spatial-temporal recurrence patterns of
grade 4 glioma using deep learning integrated multiparametric MRI and molecular pathology"."""

RatioStatus = Literal["ok", "no_NE", "no_core", "scheme_lacks_CE_core", "scheme_lacks_NE", "empty"]


@dataclass(frozen=True)
class ExamVolumes:
    """Volumes of one exam, in the space in which it was segmented.

    Parameters
    ----------
    label_scheme
        Name of the scheme of the segmentation.
    voxel_volume_ml
        Volume of one voxel.
    volumes_ml
        Region (of `regrowth.labels.REGIONS`) to volume in ml; NaN where the scheme cannot express the region.
    reasons
        Region to why it has no volume; only those without one.
    ratio
        Volume of the CE core over that of NE, without unit; NaN unless `ratio_status` is ``ok`` or ``no_core``.
    ratio_status
        ``ok``; ``no_core``: 0; ``no_NE``, ``empty``, ``scheme_lacks_CE_core``, ``scheme_lacks_NE``: NaN.
    ratio_reason
        Why there is no ratio, or why it is 0.
    ratio_cut
        Cut with which the ratio is compared.
    at_or_below_cut
        Whether the ratio is at most the cut; None when there is no ratio.
    """

    label_scheme: str
    voxel_volume_ml: float
    volumes_ml: Mapping[str, float]
    reasons: Mapping[str, str]
    ratio: float
    ratio_status: RatioStatus
    ratio_reason: str
    ratio_cut: float
    at_or_below_cut: bool | None

    def as_row(self) -> dict[str, object]:
        """Give one flat row: ``<region>_ml`` for each region, the ratio and its status."""
        return {
            "label_scheme": self.label_scheme,
            "space": "native",
            "voxel_volume_ml": self.voxel_volume_ml,
            **{f"{region}_ml": self.volumes_ml[region] for region in REGIONS},
            "ratio_CE_core_NE": self.ratio,
            "ratio_status": self.ratio_status,
            "ratio_reason": self.ratio_reason,
            "ratio_cut": self.ratio_cut,
            "ratio_at_or_below_cut": self.at_or_below_cut,
        }


def exam_volumes(labels: LabelMap, *, ratio_cut: float = HANNISDAL_CUT) -> ExamVolumes:
    """Measure all regions of a segmentation and the ratio of its CE core to its NE.

    Parameters
    ----------
    labels
        Segmentation in its native space: one that was moved into another space has other volumes.
    ratio_cut
        Cut of the ratio. The default was found for primary tumours before surgery in the scheme ``picture-preop``
        (enhancing tumour and necrosis over non-enhancing abnormality; see `HANNISDAL_CUT`).

    Returns
    -------
    ExamVolumes
        Regions that the scheme cannot express are NaN with a reason, never 0.

    Raises
    ------
    ParameterError
        If the cut is not positive.
    """
    if not ratio_cut > 0:
        raise ParameterError(f"the cut of the ratio must be positive, not {ratio_cut}")
    scheme = labels.scheme
    volumes = {r: labels.volume_ml(r) if labels.has(r) else float("nan") for r in REGIONS}
    reasons = {r: f"the label scheme {scheme.name} cannot express {r}" for r in REGIONS if not labels.has(r)}
    ratio, status, reason = _ratio(volumes["CE_core"], volumes["NE"], reasons)
    return ExamVolumes(
        label_scheme=scheme.name,
        voxel_volume_ml=labels.grid.voxel_volume_ml,
        volumes_ml=volumes,
        reasons=reasons,
        ratio=ratio,
        ratio_status=status,
        ratio_reason=reason,
        ratio_cut=ratio_cut,
        at_or_below_cut=None if ratio != ratio else ratio <= ratio_cut,
    )


def _ratio(core_ml: float, ne_ml: float, reasons: Mapping[str, str]) -> tuple[float, RatioStatus, str]:
    nan = float("nan")
    if "CE_core" in reasons:
        return nan, "scheme_lacks_CE_core", reasons["CE_core"]
    if "NE" in reasons:
        return nan, "scheme_lacks_NE", reasons["NE"]
    if core_ml == 0 and ne_ml == 0:
        return nan, "empty", "there is neither CE core nor NE"
    if ne_ml == 0:
        return nan, "no_NE", "there is no NE to divide by"
    if core_ml == 0:
        return 0.0, "no_core", "there is no CE core"
    return core_ml / ne_ml, "ok", ""
