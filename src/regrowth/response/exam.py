"""What the response assessment of a series needs to know: exams and thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from regrowth.clinical import PHASES
from regrowth.errors import ParameterError

__all__ = ["ClinicalStatus", "Exam", "ResponseParameters"]

ClinicalStatus = Literal["improved", "stable", "worse"]


@dataclass(frozen=True)
class Exam:
    """One exam of a series.

    Parameters
    ----------
    day
        Days from the first exam or diagnosis.
    phase
        One of `regrowth.clinical.PHASES`. ``postradiotherapy`` and, where it is missing, ``postop`` make a baseline.
    volumes_ml
        Region (``ET``, ``NE``, ...) to volume in native space; missing or NaN where it is not known, 0 where there is none.
    products_mm2
        Region to the sum of products of `regrowth.response.sum_of_products`; missing or NaN where not known, 0 where there
        is no lesion.
    new_lesions
        How many *measurable* lesions are new with respect to all earlier exams; None if nobody looked.
    label
        Name of the exam, such as the session label.
    steroids_mg
        Daily dose of corticosteroids in mg dexamethasone or equivalent; None if not known.
    clinical
        Clinical status against the exam before (``worse``: by the tumour); None if not known.

    Raises
    ------
    ParameterError
        For an unknown phase or clinical status, or a negative volume, product, dose or count.
    """

    day: int
    phase: str
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    products_mm2: Mapping[str, float] = field(default_factory=dict)
    new_lesions: int | None = None
    label: str = ""
    steroids_mg: float | None = None
    clinical: ClinicalStatus | None = None

    def __post_init__(self) -> None:
        name = self.label or f"the exam of day {self.day}"
        if self.phase not in PHASES:
            raise ParameterError(f"{name} has the phase {self.phase!r}; phases are {', '.join(PHASES)}")
        if self.clinical not in (None, "improved", "stable", "worse"):
            raise ParameterError(f"{name} has the clinical status {self.clinical!r}; give improved, stable, worse or nothing")
        numbers: list[tuple[str, float | None]] = [*self.volumes_ml.items(), *self.products_mm2.items()]
        numbers += [("steroids", self.steroids_mg), ("new lesions", self.new_lesions)]
        negative = [k for k, v in numbers if v is not None and v < 0]
        if negative:
            raise ParameterError(f"{name} has a negative value of {', '.join(negative)}")

    def volume_ml(self, region: str) -> float:
        """Volume of a region in ml, NaN where not known."""
        return float(self.volumes_ml.get(region, float("nan")))

    def product_mm2(self, region: str) -> float:
        """Sum of products of a region in mm², NaN where not known."""
        return float(self.products_mm2.get(region, float("nan")))


def _option(default: Any, help_text: str, unit: str = "1") -> Any:
    return field(default=default, metadata={"help": help_text, "unit": unit})


@dataclass(frozen=True)
class ResponseParameters:
    """Thresholds of the response assessment, those of RANO 2.0 unless said otherwise.

    Sources. Wen et al. 2023, doi:10.1200/JCO.23.01059 (RANO 2.0). Its full text was not at hand: the percentages, the
    post-radiotherapy baseline, the 12 weeks in which progression must be confirmed, the number of target lesions and the
    rules for mixed tumours agree with the public program RANO2.0-assist (King's College London), which cites them; that a
    confirming scan comes at least 4 weeks later, that responses must last 4 weeks, and the thresholds of a minor response
    in volume are from memory. `measurable_ml`, `assumed_delay_days` and `new_lesion_gap_mm` are our own.
    """

    tumour: Literal["enhancing", "nonenhancing", "mixed"] = _option(
        "enhancing", "what is assessed: enhancing, nonenhancing or mixed", ""
    )
    enhancing_region: str = _option("ET", "region that stands for the enhancing tumour", "")
    nonenhancing_region: str = _option("NE", "region that stands for the non-enhancing tumour", "")
    measure: Literal["either", "product", "volume"] = _option(
        "either", "what decides: product (bidimensional), volume, or either", ""
    )
    progression_product_share: float = _option(0.25, "least increase of the sum of products from the nadir: progression")
    progression_volume_share: float = _option(0.40, "least increase of the volume from the nadir: progression")
    partial_product_share: float = _option(0.50, "least decrease of the sum of products from the baseline: partial response")
    partial_volume_share: float = _option(0.65, "least decrease of the volume from the baseline: partial response")
    minor_product_share: float = _option(0.25, "least decrease of the product: minor response of a non-enhancing tumour")
    minor_volume_share: float = _option(0.40, "least decrease of the volume: minor response of a non-enhancing tumour")
    measurable_mm: float = _option(10.0, "least length of both diameters of a measurable lesion", "mm")
    measurable_ml: float = _option(0.5, "least volume that can count as progression (a 10 mm ball has 0.52 ml)", "ml")
    targets: int = _option(3, "largest number of lesions in the sum of products (2 each in a mixed tumour)", "lesion")
    confirmation_window_days: int = _option(84, "progression this soon after radiotherapy must be confirmed", "day")
    confirmation_days: int = _option(28, "least time from a progression to the exam that confirms it", "day")
    confirmation: Literal["sustained", "further"] = _option(
        "sustained", "a later exam confirms when progression is sustained, or goes further", ""
    )
    confirm_always: bool = _option(False, "progression must be confirmed at any time, not only soon after radiotherapy", "")
    durable_days: int = _option(28, "least time that a response must last", "day")
    assumed_delay_days: int = _option(28, "assumed time from the end of radiotherapy to the first exam, if unknown", "day")
    physiological_steroids_mg: float = _option(0.75, "dexamethasone a day that counts as none", "mg")
    new_lesion_gap_mm: float = _option(5.0, "least distance of a new lesion from all earlier tumour", "mm")

    def __post_init__(self) -> None:
        choices = {
            "tumour": ("enhancing", "nonenhancing", "mixed"),
            "measure": ("either", "product", "volume"),
            "confirmation": ("sustained", "further"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ParameterError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, str) and not value >= 0:
                raise ParameterError(f"{item.name} cannot be {value}")
        for measure in ("product", "volume"):
            if not getattr(self, f"progression_{measure}_share") > 0:
                raise ParameterError(f"progression_{measure}_share must be above 0")
            if not 0 < getattr(self, f"minor_{measure}_share") <= getattr(self, f"partial_{measure}_share") <= 1:
                raise ParameterError(
                    f"minor_{measure}_share and partial_{measure}_share rise in this order from above 0 up to 1"
                )
        if self.targets < 1:
            raise ParameterError("targets must be at least 1")

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions that are assessed, the deciding one first."""
        pair = (self.enhancing_region, self.nonenhancing_region)
        return {"enhancing": pair[:1], "nonenhancing": pair[::-1]}.get(self.tumour, pair)
