"""Which choices the analysis of a cohort leaves to its user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from regrowth.errors import ParameterError

__all__ = ["StatisticsParameters"]


def _option(default: Any, help_text: str, unit: str = "1") -> Any:
    return field(default=default, metadata={"help": help_text, "unit": unit})


@dataclass(frozen=True)
class StatisticsParameters:
    """Choices of the analysis of a cohort.

    The default cut of the volume ratio is that of Hannisdal et al. 2025 (npj Precision Oncology): patients with a ratio of at
    most 0.324 lived longer.
    """

    endpoint: Literal["os", "ttp"] = _option("os", "endpoint of the models: overall survival or time to progression")
    cut: float = _option(0.324, "published cut of the CE core to NE ratio that is validated; low means at most this")
    search_cut: bool = _option(False, "search a cut in this cohort too, with a permutation p-value")
    permutations: int = _option(1000, "permutations of the tests by permutation")
    bootstraps: int = _option(200, "bootstrap samples of the searched cut and of the optimism of the C index")
    penalty: Literal["none", "ridge", "firth"] = _option("none", "penalty of the Cox models")
    penalty_strength: float = _option(0.0, "strength of the ridge penalty")
    imputations: int = _option(0, "completed copies of the table for missing covariates; 0 uses complete cases only")
    ages: str = _option("50,60,70", "ages at which the hazard ratio of MGMT methylation is given, by commas", "years")
    location_classes: Literal["regrowth", "hannisdal2025"] = _option(
        "regrowth", "classes of location in the cohort table; hannisdal2025 for comparison"
    )
    label_error: float = _option(0.05, "share of wrong location labels assumed by the sensitivity of the transitions")
    level: float = _option(0.95, "coverage of all intervals")
    check_units: bool = _option(True, "refuse columns of days that look like months and the other way round")
    seed: int = _option(0, "seed of permutations, bootstraps and imputations")

    def __post_init__(self) -> None:
        if self.endpoint not in ("os", "ttp"):
            raise ParameterError(f"endpoint is os or ttp, not {self.endpoint!r}")
        if self.location_classes not in ("regrowth", "hannisdal2025"):
            raise ParameterError(f"location_classes is regrowth or hannisdal2025, not {self.location_classes!r}")
        if self.penalty not in ("none", "ridge", "firth"):
            raise ParameterError(f"penalty is none, ridge or firth, not {self.penalty!r}")
        if not self.cut > 0:
            raise ParameterError(f"cut is a ratio of volumes above 0, not {self.cut}")
        if not 0 < self.level < 1 or not 0 <= self.label_error < 1:
            raise ParameterError("level lies between 0 and 1 (0.95 for 95 %), label_error from 0 to below 1")
        if self.penalty == "ridge" and not self.penalty_strength > 0:
            raise ParameterError("a ridge penalty needs a penalty_strength above 0")
        if self.permutations < 99 or self.bootstraps < 20:
            raise ParameterError("permutations are at least 99 and bootstraps at least 20: fewer give no p-value or interval")
        if self.imputations < 0 or self.imputations == 1:
            raise ParameterError("imputations are 0 (complete cases) or at least 2: one copy does not show its uncertainty")
        if self.seed < 0:
            raise ParameterError(f"seed is at least 0, not {self.seed}")
        _ = self.ages_years

    @property
    def ages_years(self) -> tuple[float, ...]:
        """The ages as numbers, years."""
        try:
            ages = tuple(float(part) for part in self.ages.split(",") if part.strip())
        except ValueError:
            raise ParameterError(f"ages are numbers by commas, such as 50,60,70, not {self.ages!r}") from None
        if not ages or not all(0 < age < 120 for age in ages):
            raise ParameterError(f"ages are one or more numbers of years between 0 and 120, not {self.ages!r}")
        return ages
