"""What a cohort taught about growth and forecasts, in a form that can be written down and used for another cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from regrowth.errors import InputError, ParameterError
from regrowth.growth.conformal import ConformalBand
from regrowth.growth.fit import ParameterPrior
from regrowth.growth.forecast import Carry
from regrowth.growth.models import growth_model

__all__ = ["BASELINES", "Candidate", "CohortModel", "growth_candidates"]

BASELINES = ("persistence", "common_growth", "log_linear")
"""Forecasters that know no law of growth, the simplest first."""

_FORMAT = "regrowth cohort model 1"
_FULL_TREND = Carry()
_CARRIES = {
    "full trend": _FULL_TREND,
    "half trend": Carry(trend_weight=0.5),
    "if growing": Carry(growth_certainty=0.8),
    "half trend if growing": Carry(trend_weight=0.5, growth_certainty=0.8),
}


@dataclass(frozen=True)
class Candidate:
    """A forecaster that may be chosen: a law of growth and how its curve joins the last scan; a baseline has no law."""

    name: str
    law: str = ""
    carry: Carry = _FULL_TREND


def growth_candidates(laws: Sequence[str]) -> tuple[Candidate, ...]:
    """List the forecasters that compete, simplest first: the baselines, then each law with four ways to join the last scan.

    The ways are those that were tried on 731 real lesion series (``benchmarks/bench_growth_time.py``): all or half of the
    model's change is believed, always or only where growth is at least 80 % probable.
    """
    models = [Candidate(f"{law}, {way}", law, carry) for law in laws for way, carry in _CARRIES.items()]
    return (*(Candidate(name) for name in BASELINES), *models)


@dataclass(frozen=True, eq=False)
class CohortModel:
    """Priors, intervals and the choice of a forecaster that a cohort taught.

    Parameters
    ----------
    priors
        Growth law to the prior of its parameters.
    candidates
        Forecasters that the cohort was foretold with.
    bands
        Name of a forecaster to its calibrated bands, the widest first; empty where there were too few patients.
    common_rate_per_day
        Growth rate of the log volume that serves all patients best; NaN if there was no pair of scans.
    chosen
        Name of the forecaster to use.
    coverage
        Coverage that was asked for; the bands say what could be kept.
    detection_ml
        Volume below which nothing is seen, ml.
    n_patients
        Patients whose last scan was foretold.
    source
        What cohort it was, in words.
    """

    priors: Mapping[str, ParameterPrior]
    candidates: tuple[Candidate, ...]
    bands: Mapping[str, tuple[ConformalBand, ...]]
    common_rate_per_day: float
    chosen: str
    coverage: float
    detection_ml: float
    n_patients: int
    source: str = ""

    def __post_init__(self) -> None:
        names = [c.name for c in self.candidates]
        absent = [b for b in BASELINES if b not in names]
        if absent or len(set(names)) != len(names) or self.chosen not in names:
            raise ParameterError(
                f"a cohort model has every baseline ({', '.join(BASELINES)}), each forecaster once and a chosen one of them, "
                f"not {', '.join(names) or 'none'} with {self.chosen!r} chosen"
            )
        lawless = sorted({c.law for c in self.candidates if c.law} - set(self.priors))
        if lawless or any(law != prior.model.name for law, prior in self.priors.items()):
            raise ParameterError(f"a cohort model needs a prior for each of its laws; there is none for {', '.join(lawless)}")
        if set(self.bands) - set(names):
            raise ParameterError("a cohort model has bands of a forecaster that it does not know")
        if not 0 < self.coverage < 1 or not self.detection_ml > 0 or self.n_patients < 0:
            raise ParameterError("a cohort model has a coverage between 0 and 1 and a positive limit of detection")

    @property
    def laws(self) -> tuple[str, ...]:
        """Names of the growth laws."""
        return tuple(self.priors)

    @property
    def forecaster(self) -> Candidate:
        """The forecaster to use."""
        return next(c for c in self.candidates if c.name == self.chosen)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for a JSON file; what is infinite is None."""
        return {
            "format": _FORMAT,
            "source": self.source,
            "n_patients": self.n_patients,
            "coverage": self.coverage,
            "detection_ml": self.detection_ml,
            "common_rate_per_day": _finite(self.common_rate_per_day),
            "chosen": self.chosen,
            "priors": {
                law: {
                    "parameters": list(p.model.parameter_names),
                    "mean_log": p.mean_log.tolist(),
                    "covariance_log": p.covariance_log.tolist(),
                    "noise_sd_log": p.noise_sd_log,
                    "noise_freedom": _finite(p.noise_freedom),
                    "n_patients": p.n_patients,
                }
                for law, p in self.priors.items()
            },
            "forecasters": [
                {
                    "name": c.name,
                    "law": c.law,
                    "carry": {k: _finite(v) for k, v in asdict(c.carry).items()},
                    "bands": [asdict(b) for b in self.bands.get(c.name, ())],
                }
                for c in self.candidates
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CohortModel:
        """Read back what `as_dict` gave.

        Raises
        ------
        InputError
            If the values are no cohort model, or a part of it is missing or not possible.
        """
        if values.get("format") != _FORMAT:
            found = values.get("format")
            raise InputError(f"this is no {_FORMAT} (its format is {found!r}); make one with regrowth growth learn")
        try:
            priors = {str(law): _prior(str(law), p) for law, p in values["priors"].items()}
            forecasters = values["forecasters"]
            rate = values["common_rate_per_day"]
            return cls(
                priors,
                tuple(Candidate(str(f["name"]), str(f["law"]), _carry(f["carry"])) for f in forecasters),
                {str(f["name"]): tuple(_band(b) for b in f["bands"]) for f in forecasters},
                float("nan") if rate is None else float(rate),
                str(values["chosen"]),
                float(values["coverage"]),
                float(values["detection_ml"]),
                int(values["n_patients"]),
                str(values["source"]),
            )
        except KeyError as error:
            raise InputError(f"the cohort model lacks {error}; make it again with regrowth growth learn") from error
        except (TypeError, ValueError, AttributeError, np.linalg.LinAlgError) as error:
            raise InputError(f"the cohort model holds a value that is not possible ({error})") from error


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _prior(law: str, values: Mapping[str, Any]) -> ParameterPrior:
    model = growth_model(law)
    if tuple(values["parameters"]) != model.parameter_names:
        raise ParameterError(f"{law} has the parameters {', '.join(model.parameter_names)}")
    mean, covariance = np.asarray(values["mean_log"], float), np.asarray(values["covariance_log"], float)
    if not np.isfinite(mean).all() or not np.isfinite(covariance).all():
        raise ParameterError(f"the prior of {law} holds a value that is not finite")
    if covariance.ndim != 2 or not np.allclose(covariance, covariance.T):
        raise ParameterError(f"the covariance of {law} is not symmetric")
    freedom = values["noise_freedom"]
    return ParameterPrior(
        model,
        mean,
        covariance,
        float(values["noise_sd_log"]),
        int(values["n_patients"]),
        float("inf") if freedom is None else float(freedom),
    )


def _carry(values: Mapping[str, Any]) -> Carry:
    return Carry(**{k: float("inf") if v is None else float(v) for k, v in values.items()})


def _band(values: Mapping[str, Any]) -> ConformalBand:
    numbers = {k: float(values[k]) for k in ("coverage", "lower_shift_log", "upper_shift_log", "time_exponent", "detection_ml")}
    if not np.isfinite(list(numbers.values())).all() or not 0 < numbers["coverage"] < 1 or not numbers["detection_ml"] > 0:
        raise ParameterError("a band has finite shifts, a coverage between 0 and 1 and a positive limit of detection")
    return ConformalBand(n_patients=int(values["n_patients"]), **numbers)
