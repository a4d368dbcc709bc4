"""How long synthetic patients live: a survival model with known coefficients.

Overall survival follows a Weibull proportional-hazards model, h(t | x) = (k / s) (t / s)^(k-1) exp(b'x). Progression comes
at a random share of that time, drawn from a beta distribution without regard to x, so that the time to progression is
always shorter and follows an accelerated-failure-time model with the coefficients -b / k on its logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from regrowth.errors import ParameterError

__all__ = ["COVARIATES", "Outcomes", "SurvivalModel", "covariate_row"]

COVARIATES = ("age_per_10y", "mgmt_methylated", "gross_total_resection", "log_core_to_oedema")
"""Names of the columns of a design matrix, in order."""


@dataclass(frozen=True)
class SurvivalModel:
    """A known truth about survival.

    Parameters
    ----------
    coefficients
        Covariate to log hazard ratio: age in decades above 60, methylated MGMT promoter, gross total resection, and the
        natural logarithm of the volume ratio of contrast-enhancing core to non-enhancing oedema.
    shape
        Weibull shape k.
    scale_days
        Weibull scale s of a patient whose covariates are all 0.
    progression_share
        Parameters of the beta distribution of the time to progression over overall survival.
    censoring_days
        Mean of the exponential time to loss from follow-up.
    horizon_days
        End of the study: everyone alive is censored.
    """

    coefficients: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            dict(zip(COVARIATES, (0.30, -0.60, -0.45, 0.35), strict=True)),
        )
    )
    shape: float = 1.4
    scale_days: float = 560.0
    progression_share: tuple[float, float] = (4.0, 3.0)
    censoring_days: float = 2500.0
    horizon_days: float = 1825.0

    def __post_init__(self) -> None:
        if set(self.coefficients) != set(COVARIATES):
            raise ParameterError(f"a survival model needs the coefficients {', '.join(COVARIATES)}")

    def __reduce__(self) -> tuple[object, ...]:
        values = (self.shape, self.scale_days, self.progression_share, self.censoring_days, self.horizon_days)
        return (SurvivalModel, (dict(self.coefficients), *values))

    def outcomes(self, covariates: np.ndarray, rng: np.random.Generator) -> Outcomes:
        """Draw the outcomes of patients.

        Parameters
        ----------
        covariates
            (n, 4) in the order of `COVARIATES`.
        rng
            Source of randomness.
        """
        x = np.atleast_2d(np.asarray(covariates, dtype=np.float64))
        if x.shape[1] != len(COVARIATES) or not np.isfinite(x).all():
            raise ParameterError(f"covariates must be finite and of shape (n, {len(COVARIATES)}), not {x.shape}")
        beta = np.array([self.coefficients[name] for name in COVARIATES])
        death = self.scale_days * (rng.exponential(size=len(x)) * np.exp(-x @ beta)) ** (1 / self.shape)
        progression = death * rng.beta(*self.progression_share, size=len(x))
        censored = np.minimum(rng.exponential(self.censoring_days, len(x)), self.horizon_days)
        return Outcomes(
            os_days=np.minimum(death, censored),
            os_event=death <= censored,
            ttp_days=np.minimum(progression, censored),
            ttp_event=progression <= censored,
        )

    def outcome_after_progression(self, covariates: np.ndarray, rng: np.random.Generator, earliest_day: int = 60) -> Outcomes:
        """Draw one patient who was scanned at progression: by rejection, given that it was observed and not too early.

        Parameters
        ----------
        covariates
            (4,) in the order of `COVARIATES`.
        rng
            Source of randomness.
        earliest_day
            First day on which a progression is believed.

        Returns
        -------
        Outcomes
            Of length 1, whole days, time to progression below overall survival.
        """
        x = np.atleast_2d(covariates)
        for _ in range(10_000):
            drawn = self.outcomes(x, rng)
            ttp, last = np.floor(drawn.ttp_days), np.ceil(drawn.os_days)
            if drawn.ttp_event[0] and ttp[0] >= earliest_day:
                return Outcomes(os_days=last, os_event=drawn.os_event, ttp_days=ttp, ttp_event=drawn.ttp_event)
        raise ParameterError("this survival model hardly ever lets a progression be observed; raise its scale or horizon")

    def as_dict(self) -> dict[str, object]:
        """Give the model for the record of the truth."""
        return {
            "model": "Weibull proportional hazards, h(t|x) = (k/s)(t/s)^(k-1) exp(b'x); ttp = os * Beta",
            "coefficients": dict(self.coefficients),
            "age_reference_years": 60,
            "shape": self.shape,
            "scale_days": self.scale_days,
            "progression_share_beta": list(self.progression_share),
            "censoring_mean_days": self.censoring_days,
            "horizon_days": self.horizon_days,
            "selection": "patients are drawn given that progression was observed, not before day 60",
        }


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Survival of n patients: (n,) days and bool events, for death and for progression."""

    os_days: np.ndarray
    os_event: np.ndarray
    ttp_days: np.ndarray
    ttp_event: np.ndarray


def covariate_row(age_years: float, methylated: bool, gross_total: bool, core_ml: float, oedema_ml: float) -> np.ndarray:
    """Make the covariates (4,) of a patient, in the order of `COVARIATES`.

    Raises
    ------
    ParameterError
        If a volume is not positive: its logarithm would have no value.
    """
    if core_ml <= 0 or oedema_ml <= 0:
        raise ParameterError(f"the core-to-oedema ratio needs two positive volumes, not {core_ml} and {oedema_ml} ml")
    return np.array([(age_years - 60) / 10, float(methylated), float(gross_total), np.log(core_ml / oedema_ml)])
