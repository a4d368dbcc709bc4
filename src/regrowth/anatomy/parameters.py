"""How the embedded template is brought to a patient, and when the result is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from regrowth.errors import ParameterError

__all__ = ["AnatomyParameters"]


def _option(default: float, help_text: str, unit: str = "1") -> float:
    return field(default=default, metadata={"help": help_text, "unit": unit})


@dataclass(frozen=True)
class AnatomyParameters:
    """Settings of the region map: where it comes from, and how the embedded template is brought to a patient.

    A result that fails a check is refused, because a wrong lobe is worse than none. The thresholds lie between what good fits
    and failed ones reached on phantoms and real exams (`benchmarks/README.md`).
    """

    parcellator: Literal["auto", "labelmap", "synthseg", "template"] = field(
        default="auto",
        metadata={
            "help": "source of the region map; auto: a label map from --derivatives, else mri_synthseg if it is installed, "
            "else the embedded template",
            "unit": "",
        },
    )
    synthsr: bool = field(default=False, metadata={"help": "run mri_synthsr before mri_synthseg", "unit": ""})
    kind: Literal["affine", "deformable"] = field(
        default="deformable", metadata={"help": "last stage of the registration of the template", "unit": ""}
    )
    lesion_margin_mm: float = _option(3.0, "margin around the lesion that the registration leaves out", "mm")
    min_mask_dice: float = _option(0.85, "refuse a fit whose brain overlaps less with the patient's (Dice)")
    min_similarity: float = _option(0.42, "refuse a fit with a lower correlation of intensities inside the brain")
    min_stretch: float = _option(0.65, "refuse a fit that shrinks the template more, along any direction")
    max_stretch: float = _option(1.25, "refuse a fit that stretches the template more, along any direction")
    max_imbalance: float = _option(0.15, "refuse a larger |left - right| / (left + right) of the cerebrum")
    min_label_coverage: float = _option(0.5, "refuse a label map that covers a smaller share of the brain outside the lesion")

    def __post_init__(self) -> None:
        if self.parcellator not in ("auto", "labelmap", "synthseg", "template"):
            raise ParameterError(f"there is no parcellator {self.parcellator!r}; use auto, labelmap, synthseg or template")
        if self.kind not in ("affine", "deformable"):
            raise ParameterError(f"template registration {self.kind!r} is not offered; use 'affine' or 'deformable'")
        if not 0 <= self.lesion_margin_mm < 50:
            raise ParameterError(f"lesion_margin_mm is {self.lesion_margin_mm}; it must be at least 0 and below 50")
        for name in ("min_mask_dice", "min_similarity", "max_imbalance", "min_label_coverage"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it lies from 0 to 1")
        if not 0 < self.min_stretch < 1 < self.max_stretch:
            raise ParameterError(f"stretches need 0 < {self.min_stretch} < 1 < {self.max_stretch}")
