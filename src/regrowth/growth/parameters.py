"""Which choices the forecasts of growth leave to their user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from regrowth.errors import ParameterError
from regrowth.growth.models import growth_model

__all__ = ["GrowthParameters"]


def _option(default: Any, help_text: str, unit: str = "1") -> Any:
    return field(default=default, metadata={"help": help_text, "unit": unit})


@dataclass(frozen=True)
class GrowthParameters:
    """Choices of the forecasts in time and in space."""

    region: Literal["core", "whole"] = _option("core", "what is forecast: enhancing and necrotic tumour, or all of the lesion")
    models: str = _option("exponential,gompertz", "growth laws that are fitted, by commas; the best by leave-last-out is used")
    horizon_days: float = _option(90.0, "how far beyond the last exam a forecast goes", "days")
    coverage: float = _option(0.9, "promised coverage of the calibrated intervals")
    folds: int = _option(10, "parts of the cohort; the priors of a patient never come from its own part")
    draws: int = _option(400, "draws from the posterior of a patient")
    progression_share: float = _option(0.4, "growth above the least volume that counts as progression")
    cohort_model: str = _option("", "JSON file of priors and intervals learned in another cohort (regrowth growth learn)")
    space: bool = _option(True, "fit where the tumour began and map where it will grow")
    core_threshold: float = _option(0.6, "cell density at the border of the core")
    oedema_threshold: float = _option(0.2, "cell density at the border of the whole lesion")
    white_to_grey: float = _option(10.0, "diffusivity in white over that in grey matter")
    search_spacing_mm: float = _option(4.0, "voxel spacing of the search for the origin", "mm")
    map_spacing_mm: float = _option(2.0, "voxel spacing of the refined fit and of the simulations of the map", "mm")
    space_draws: int = _option(150, "draws around the best origin")
    members: int = _option(50, "simulated tumours of a map")
    margin_mm: float = _option(15.0, "margin of the standard plan", "mm")
    barriers: bool = _option(True, "let the margin stop at falx, tentorium and ventricles where they are known")
    seed: int = _option(0, "seed of all draws")

    def __post_init__(self) -> None:
        if not self.model_names:
            raise ParameterError("models names no growth law; give at least one, such as exponential")
        for name in self.model_names:
            growth_model(name)
        if self.region not in ("core", "whole"):
            raise ParameterError(f"region is core or whole, not {self.region!r}")
        if not self.horizon_days > 0 or not self.progression_share > 0 or not self.margin_mm >= 0:
            raise ParameterError("horizon_days and progression_share are above 0, margin_mm is at least 0")
        if not 0 < self.coverage < 1:
            raise ParameterError(f"coverage lies between 0 and 1 (0.9 for 90 %), not {self.coverage}")
        if not 0 < self.oedema_threshold < self.core_threshold < 1:
            raise ParameterError("thresholds must satisfy 0 < oedema_threshold < core_threshold < 1")
        if (
            min(self.white_to_grey, self.search_spacing_mm, self.map_spacing_mm) <= 0
            or self.map_spacing_mm > self.search_spacing_mm
        ):
            raise ParameterError("white_to_grey and spacings are positive, and map_spacing_mm is at most search_spacing_mm")
        if self.folds < 2 or self.draws < 50 or self.space_draws < 20 or self.members < 2 or self.seed < 0:
            raise ParameterError(
                "folds and members are at least 2, draws at least 50, space_draws at least 20, seed at least 0"
            )

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the growth laws."""
        return tuple(name.strip() for name in self.models.split(",") if name.strip())
