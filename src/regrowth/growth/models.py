"""Which laws of growth there are, and which parameters each of them has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regrowth.errors import ParameterError
from regrowth.growth.curves import log_capacity_curve, log_linear_curve
from regrowth.growth.treatment import NO_TREATMENT, Treatment

__all__ = [
    "BERTALANFFY",
    "EXPONENTIAL",
    "GOMPERTZ",
    "GROWTH_INHIBITION",
    "GROWTH_MODELS",
    "LIVE_DAMAGED",
    "LOGISTIC",
    "PROLIFERATION_SATURATION",
    "GrowthModel",
    "Parameter",
    "growth_model",
    "laslo2025",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """A positive parameter and what is weakly believed of it before any data.

    Parameters
    ----------
    name
        Name with its unit.
    typical
        Median of the weak prior; a multiple of the first volume if `is_volume`.
    lower, upper
        Bounds of a fit, in the same unit as `typical`.
    log_sd
        Standard deviation of the logarithm in the weak prior.
    is_volume
        Whether it is a volume, which is counted in first volumes so that one prior serves tumours of all sizes.
    """

    name: str
    typical: float
    lower: float
    upper: float
    log_sd: float = 1.0
    is_volume: bool = False


@dataclass(frozen=True)
class GrowthModel:
    """A law of growth in closed form.

    Parameters
    ----------
    name
        Short name.
    parameters
        Its parameters, in the order of the columns of every parameter array.
    """

    name: str
    parameters: tuple[Parameter, ...]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self.parameters)

    @property
    def is_volume(self) -> NDArray[np.bool_]:
        """Which parameters are volumes, shape (p,)."""
        return np.array([p.is_volume for p in self.parameters])

    def array(self, **values: float) -> Array:
        """Order named values as the columns of a parameter array, shape (p,); all must be given."""
        if set(values) != set(self.parameter_names):
            raise ParameterError(f"{self.name} has the parameters {', '.join(self.parameter_names)}; give each of them once")
        return np.array([values[n] for n in self.parameter_names], float)

    def volumes_ml(
        self, parameters: ArrayLike, days: ArrayLike, treatment: Treatment = NO_TREATMENT, start_day: float = 0.0
    ) -> Array:
        """Give the volume on each day for each parameter set.

        Parameters
        ----------
        parameters
            Positive values, shape (p,) or (k, p), volumes in ml.
        days
            Days, shape (n,), at or after `start_day`.
        treatment
            Events; what happens on a day of `days` happens after it was read off.
        start_day
            Day on which the volume is ``initial_ml``.

        Returns
        -------
        numpy.ndarray
            Volumes in ml, shape (n,) or (k, n).

        Raises
        ------
        ParameterError
            If a parameter is not positive or a day lies before the start.
        """
        theta, days = np.asarray(parameters, float), np.asarray(days, float)
        if theta.shape[-1:] != (len(self.parameters),) or theta.ndim > 2:
            raise ParameterError(f"{self.name} takes {len(self.parameters)} parameters ({', '.join(self.parameter_names)})")
        if not (theta > 0).all() or not np.isfinite(theta).all():
            raise ParameterError(f"all parameters of {self.name} are positive; to switch an effect off leave out its treatment")
        if not (days >= start_day).all():
            raise ParameterError(f"a day lies before the first scan (day {start_day:g}); the curve starts there")
        out = np.exp(self.log_volumes(np.log(np.atleast_2d(theta)), days, treatment, start_day))
        return out[0] if theta.ndim == 1 else out

    def log_volumes(self, log_parameters: Array, days: Array, treatment: Treatment, start_day: float) -> Array:
        """Give log volumes, shape (k, n), of log parameters, shape (k, p); unchecked, for fits."""
        p: dict[str, Array] = dict(zip(self.parameter_names, np.exp(log_parameters).T, strict=True))
        common = {"growth": p["growth_per_day"], "alpha": p["alpha_per_gy"], "drug": p["drug_kill_per_day"]}
        if "capacity_ml" not in p:
            memory = {
                "resistance": "resistance_per_day",
                "decay": "decay_per_day",
                "delay": "delay_days",
                "slope": "slope_per_day",
            }
            extra = {key: p[name] for key, name in memory.items() if name in p}
            log_ratio: Array = log_linear_curve(days, start_day, treatment, **common, **extra)
            return log_parameters[:, :1] + log_ratio
        exponent = {"gompertz": None, "bertalanffy": p.get("exponent")}.get(self.name, np.full(len(log_parameters), -1.0))
        return log_capacity_curve(
            days,
            start_day,
            treatment,
            initial=p["initial_ml"],
            capacity=p["capacity_ml"],
            exponent=exponent,
            saturation=self.name == "proliferation_saturation",
            **common,
        )


_INITIAL = Parameter("initial_ml", 1.0, 0.02, 50.0, 0.5, is_volume=True)
_ALPHA = Parameter("alpha_per_gy", 0.03, 1e-5, 1.0)
_DRUG = Parameter("drug_kill_per_day", 0.004, 1e-7, 0.5)
_CAPACITY = Parameter("capacity_ml", 20.0, 0.05, 1e5, 1.5, is_volume=True)


def _growth(typical: float) -> Parameter:
    return Parameter("growth_per_day", typical, 1e-7, 0.5)


EXPONENTIAL = GrowthModel("exponential", (_INITIAL, _growth(0.004), _ALPHA, _DRUG))
"""dV/dt = g V."""
LOGISTIC = GrowthModel("logistic", (_INITIAL, _growth(0.004), _CAPACITY, _ALPHA, _DRUG))
"""dV/dt = g V (1 - V / K)."""
GOMPERTZ = GrowthModel("gompertz", (_INITIAL, _growth(0.0015), _CAPACITY, _ALPHA, _DRUG))
"""dV/dt = g V log(K / V)."""
BERTALANFFY = GrowthModel(
    "bertalanffy", (_INITIAL, _growth(0.001), _CAPACITY, Parameter("exponent", 1 / 3, 0.02, 2.0, 0.5), _ALPHA, _DRUG)
)
"""dV/dt = (g / l) V ((K / V)^l - 1); l = 1/3 is Bertalanffy's own."""
PROLIFERATION_SATURATION = GrowthModel("proliferation_saturation", LOGISTIC.parameters)
"""Logistic growth where a fraction removes (1 - S) V (1 - V / K), which is only of what proliferates.

Prokopiou et al. 2015, doi:10.1186/s13014-015-0465-x.
"""
GROWTH_INHIBITION = GrowthModel(
    "growth_inhibition", (_INITIAL, _growth(0.003), Parameter("resistance_per_day", 0.01, 1e-6, 1.0), _ALPHA, _DRUG)
)
"""dV/dt = (g - kappa exp(-r (t - start of the drug))) V: Claret et al. 2009, doi:10.1200/JCO.2008.21.0807."""
LIVE_DAMAGED = GrowthModel(
    "live_damaged",
    (
        _INITIAL,
        _growth(0.004),
        Parameter("decay_per_day", 0.02, 1e-5, 2.0),
        Parameter("delay_days", 10.0, 0.01, 400.0),
        Parameter("slope_per_day", 0.5, 1e-3, 50.0),
        _ALPHA,
        _DRUG,
    ),
)
"""Live cells that grow, and damaged mass of each fraction that swells, then decays: Laslo et al., arXiv:2509.09610."""

GROWTH_MODELS = (EXPONENTIAL, LOGISTIC, GOMPERTZ, BERTALANFFY, PROLIFERATION_SATURATION, GROWTH_INHIBITION, LIVE_DAMAGED)
"""All laws of growth."""


def growth_model(name: str) -> GrowthModel:
    """Find a law of growth by its name."""
    for model in GROWTH_MODELS:
        if model.name == name:
            return model
    raise ParameterError(f"there is no growth model {name!r}; choose one of {', '.join(m.name for m in GROWTH_MODELS)}")


def laslo2025(
    first_volume_ml: float,
    radiotherapy_day: float,
    *,
    lambda_gr: float = 0.02,
    lambda_decay: float = 0.02,
    delay: float = 5.0,
    slope: float = 1.0,
    sd_1: float = 0.001,
) -> tuple[GrowthModel, Array, Treatment]:
    """Translate the parameters of the published code into the live/damaged model with radiotherapy as one event.

    The equations are the published ones::

        dV_l/dt = lambda_gr V_l
        dV_d/dt = -tanh(slope (t - delay - t_RT)) lambda_decay V_d
        at t_RT: V_d += (1 - SD_1) V_l, V_l *= SD_1

    Defaults are the published starting values (SD_1 at its lower bound, where the published fit begins). Different on purpose:
    radiotherapy before the first scan, where the published code takes the volume of the first scan for that at radiotherapy.

    Parameters
    ----------
    first_volume_ml
        Volume at the first scan (the published code divides by it).
    radiotherapy_day
        Day of the one event, the start of the course.
    lambda_gr, lambda_decay, slope
        Per day.
    delay
        Days.
    sd_1
        Surviving part of the live cells, above 0 and below 1.

    Returns
    -------
    tuple
        `LIVE_DAMAGED`, its parameters, shape (p,), and the treatment.
    """
    if not 0 < sd_1 < 1:
        raise ParameterError(f"the surviving part is {sd_1:g}; it lies between 0 and 1, without the ends")
    treatment = Treatment.single_event(radiotherapy_day)
    values = LIVE_DAMAGED.array(
        initial_ml=first_volume_ml,
        growth_per_day=lambda_gr,
        decay_per_day=lambda_decay,
        delay_days=delay,
        slope_per_day=slope,
        alpha_per_gy=float(-np.log(sd_1) / treatment.effective_dose_gy[0]),
        drug_kill_per_day=_DRUG.typical,  # no drug is given: without effect
    )
    return LIVE_DAMAGED, values, treatment
