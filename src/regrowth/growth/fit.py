"""Which parameters of a growth law agree with a series of volumes and with what was believed before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtri

from regrowth.errors import ParameterError
from regrowth.growth.leastsquares import jacobian, minimise_squares
from regrowth.growth.models import GrowthModel
from regrowth.growth.series import VolumeSeries
from regrowth.growth.treatment import NO_TREATMENT, Treatment

__all__ = ["GrowthFit", "ParameterPrior", "ParameterSamples", "bootstrap_parameters", "fit_growth", "require_ok", "weak_prior"]

Array = NDArray[np.float64]
DETECTION_ML = 0.05
"""Volume below which nothing is seen, ml: a ball of 4.6 mm."""


@dataclass(frozen=True, eq=False)
class ParameterPrior:
    """What is believed of the logarithms of the parameters before the patient's volumes are seen: a normal distribution.

    Parameters
    ----------
    model
        The law that the parameters belong to.
    mean_log, covariance_log
        Mean (p,) and covariance (p, p) of the natural logarithms; volumes are counted in first volumes.
    noise_sd_log
        Standard deviation of log(measured / model), the scale of the t distribution if `noise_freedom` is finite.
    noise_freedom
        Degrees of freedom of Student's t distribution of log(measured / model); infinite: normal. A few (4) keep single
        scans that are far off, or lesions that split or merge, from ruling the fit.
    n_patients
        How many patients it was learned from; 0 for the weak prior.
    """

    model: GrowthModel
    mean_log: Array
    covariance_log: Array
    noise_sd_log: float = 0.2
    n_patients: int = 0
    noise_freedom: float = float("inf")

    def __post_init__(self) -> None:
        p = len(self.model.parameters)
        if self.mean_log.shape != (p,) or self.covariance_log.shape != (p, p):
            raise ParameterError(f"a prior of {self.model.name} has a mean of shape ({p},) and a covariance of ({p}, {p})")
        if not self.noise_sd_log > 0 or not self.noise_freedom > 0 or np.linalg.eigvalsh(self.covariance_log).min() <= 0:
            raise ParameterError("the noise, its degrees of freedom and all variances of a prior must be positive")

    @property
    def bounds_log(self) -> tuple[Array, Array]:
        """Lower and upper bounds of the logarithms, shape (p,) each."""
        bounds = np.log([[p.lower, p.upper] for p in self.model.parameters])
        return bounds[:, 0], bounds[:, 1]

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw logarithms of parameters, shape (n, p), inside the bounds by drawing again and clipping what remains."""
        draws = rng.multivariate_normal(self.mean_log, self.covariance_log, n, method="cholesky")
        return np.clip(draws, *self.bounds_log)


def weak_prior(model: GrowthModel, noise_sd_log: float = 0.2, noise_freedom: float = float("inf")) -> ParameterPrior:
    """Make the weak prior that the model's parameters describe."""
    mean = np.log([p.typical for p in model.parameters])
    covariance = np.diag([p.log_sd**2 for p in model.parameters])
    return ParameterPrior(model, mean, covariance, noise_sd_log, noise_freedom=noise_freedom)


@dataclass(frozen=True, eq=False)
class ParameterSamples:
    """Parameter sets that agree with the data, as draws of equal weight.

    Parameters
    ----------
    log_parameters
        Natural logarithms, shape (s, p); volumes are counted in first volumes.
    method
        ``bootstrap`` or ``posterior``.
    effective_n
        How many independent draws they are worth.
    """

    log_parameters: Array
    method: Literal["bootstrap", "posterior"]
    effective_n: float


@dataclass(frozen=True, eq=False)
class GrowthFit:
    """The most probable parameters of one patient; NaN unless `status` is ``ok``.

    Parameters
    ----------
    series, treatment, prior
        What was fitted.
    detection_ml
        Volume that a scan without tumour stands for, as an upper limit, ml.
    map_log
        Most probable logarithms of the parameters, shape (p,); volumes in first volumes.
    covariance_log
        Covariance of Laplace's approximation, shape (p, p).
    objective
        Negative logarithm of the posterior, up to a constant.
    status
        ``ok``, ``one_scan`` (and no cohort prior), ``no_tumour`` or ``not_converged``.
    reason
        One sentence; may warn of something when the status is ``ok``.
    """

    series: VolumeSeries
    treatment: Treatment
    prior: ParameterPrior
    detection_ml: float
    map_log: Array
    covariance_log: Array
    objective: float
    status: str
    reason: str = ""

    @property
    def model(self) -> GrowthModel:
        """The law of growth."""
        return self.prior.model

    @property
    def first_volume_ml(self) -> float:
        """First volume above 0, which volumes among the parameters are counted in; NaN if there is none."""
        seen = self.series.volumes_ml[self.series.volumes_ml > 0]
        return float(seen[0]) if seen.size else float("nan")

    @property
    def parameters(self) -> dict[str, float]:
        """Most probable parameters by name, in the unit that the name says."""
        natural = np.exp(self.map_log) * np.where(self.model.is_volume, self.first_volume_ml, 1.0)
        return dict(zip(self.model.parameter_names, natural.tolist(), strict=True))

    def log_curve(self, log_parameters: Array, days: Array) -> Array:
        """Give log(volume in ml), shape (s, n), of parameter sets, shape (s, p), on days."""
        ratio = self.model.log_volumes(log_parameters, days, self.treatment, float(self.series.days[0]))
        return ratio + np.log(self.first_volume_ml)

    def curve_ml(self, days: Array) -> Array:
        """Give the most probable volumes in ml on some days, shape (n,)."""
        return np.exp(self.log_curve(self.map_log[None], np.asarray(days, float)))[0]

    def log_misfit(self, log_parameters: Array, log_volumes: Array | None = None) -> Array:
        """Give log(measured / model) of each scan, shape (s, n).

        A scan without tumour is an upper limit: it misfits only where the model is above what can be seen.
        """
        measured = self.log_measured if log_volumes is None else log_volumes
        misfit = measured - self.log_curve(log_parameters, self.series.days)
        return np.where(self.series.volumes_ml > 0, misfit, np.minimum(misfit, 0.0))

    @property
    def log_measured(self) -> Array:
        """Logarithm of the measured volumes, shape (n,), of the limit of detection for those that are 0."""
        volumes = self.series.volumes_ml
        return np.log(np.where(volumes > 0, volumes, min(self.detection_ml, self.first_volume_ml)))

    def log_posterior(self, log_parameters: Array) -> Array:
        """Give the logarithm of the posterior up to a constant, shape (s,); -inf outside of the bounds."""
        r = _residuals(self, log_parameters, self.log_measured, self.prior.mean_log)
        lower, upper = self.prior.bounds_log
        inside = ((log_parameters >= lower) & (log_parameters <= upper)).all(axis=1)
        return np.where(inside, -0.5 * (r**2).sum(axis=1), -np.inf)


def fit_growth(
    series: VolumeSeries,
    model: GrowthModel,
    treatment: Treatment = NO_TREATMENT,
    prior: ParameterPrior | None = None,
    *,
    n_starts: int = 6,
    detection_ml: float = DETECTION_ML,
) -> GrowthFit:
    """Find the most probable parameters from several starts.

    Residuals are log-normal, parameters are searched as logarithms within bounds, and the prior is weak unless a cohort's is
    given. Two scans are enough; one scan is when the prior was learned from other patients.

    Parameters
    ----------
    series
        Volumes of the patient.
    model
        Law of growth.
    treatment
        What was done and will be done.
    prior
        Prior of the parameters of `model`; the weak one if None.
    n_starts
        How many starts, the prior mean first and then points spread over the prior.
    detection_ml
        Upper limit that a volume of 0 stands for, ml.

    Returns
    -------
    GrowthFit
        With a status and a reason and NaN if there is nothing to fit.

    Raises
    ------
    ParameterError
        If the prior belongs to another model or an option is out of range.
    """
    prior = weak_prior(model) if prior is None else prior
    if prior.model is not model:
        raise ParameterError(f"the prior belongs to {prior.model.name}, not to {model.name}; learn one for {model.name}")
    if n_starts < 1 or not detection_ml > 0:
        raise ParameterError("a fit needs at least one start and a positive limit of detection")
    p = len(model.parameters)
    empty = GrowthFit(series, treatment, prior, detection_ml, np.full(p, np.nan), np.full((p, p), np.nan), np.nan, "ok")
    if not (series.volumes_ml > 0).any():
        return _failed(empty, "no_tumour", "the volume is 0 at all scans, so that there is no growth to fit")
    if len(series) < 2 and not prior.n_patients:
        return _failed(
            empty, "one_scan", "one scan tells nothing about growth; give a second scan or a prior learned from a cohort"
        )
    start = _starts(prior, n_starts)
    measured = empty.log_measured
    theta, cost, done = minimise_squares(lambda x: _residuals(empty, x, measured, prior.mean_log), start, *prior.bounds_log)
    best = int(np.argmin(cost))
    mode, objective, at_rest = theta[best], float(cost[best]), bool(done[best])
    if not at_rest:  # a long narrow valley, where a trust region is quicker
        mode, objective, at_rest = _polished(empty, mode)
    if not at_rest or not np.isfinite(objective):
        return _failed(empty, "not_converged", f"no start came to rest for {model.name}; try another model or a tighter prior")
    covariance = _laplace_covariance(empty, mode)
    return GrowthFit(series, treatment, prior, detection_ml, mode, covariance, objective, "ok", _warning(series))


def bootstrap_parameters(fit: GrowthFit, rng: np.random.Generator, n_draws: int = 30) -> ParameterSamples:
    """Fit again after disturbing the volumes and the prior mean by what they are uncertain by.

    For a linear model such draws are draws from the posterior (randomised maximum likelihood, Oliver et al. 1996).

    Parameters
    ----------
    fit
        A fit whose status is ``ok``.
    rng
        Source of random numbers.
    n_draws
        How many.

    Raises
    ------
    ParameterError
        If the fit failed, or nothing is to be drawn.
    """
    require_ok(fit)
    if n_draws < 1:
        raise ParameterError(f"a bootstrap needs at least 1 draw, not {n_draws}")
    prior = fit.prior
    measured = fit.log_measured + prior.noise_sd_log * rng.standard_normal((n_draws, len(fit.series)))
    mean = rng.multivariate_normal(prior.mean_log, prior.covariance_log, n_draws, method="cholesky")

    def residuals(x: Array) -> Array:
        repeats = len(x) // n_draws
        return _residuals(fit, x, np.repeat(measured, repeats, axis=0), np.repeat(mean, repeats, axis=0))

    start = np.repeat(fit.map_log[None], n_draws, axis=0)
    theta, _, _ = minimise_squares(residuals, start, *prior.bounds_log, max_iterations=40, tolerance=1e-4)
    return ParameterSamples(theta, "bootstrap", float(n_draws))


def require_ok(fit: GrowthFit) -> None:
    """Refuse a fit that failed, with its reason."""
    if fit.status != "ok":
        raise ParameterError(f"the fit of {fit.model.name} has the status {fit.status}: {fit.reason}")


def _residuals(fit: GrowthFit, theta: Array, log_measured: Array, prior_mean: Array) -> Array:
    """Stack standardised misfits and deviations from the prior, shape (k, n + p); half the squares sum to -log(posterior)."""
    misfit = fit.log_misfit(theta, log_measured) / fit.prior.noise_sd_log
    freedom = fit.prior.noise_freedom
    if freedom < np.inf:  # so that the square is the logarithm of a t density
        misfit = np.sign(misfit) * np.sqrt((freedom + 1) * np.log1p(misfit**2 / freedom))
    whitening = np.linalg.inv(np.linalg.cholesky(fit.prior.covariance_log))
    return np.concatenate([misfit, (theta - prior_mean) @ whitening.T], axis=1)


def _polished(fit: GrowthFit, theta: Array) -> tuple[Array, float, bool]:
    def residuals(x: Array) -> Array:
        return _residuals(fit, x[None], fit.log_measured, fit.prior.mean_log)[0]

    found = least_squares(residuals, theta, bounds=fit.prior.bounds_log, max_nfev=300)
    return found.x, float(found.cost), bool(found.status > 0)


def _laplace_covariance(fit: GrowthFit, theta: Array) -> Array:
    def residuals(x: Array) -> Array:
        return _residuals(fit, x, fit.log_measured, fit.prior.mean_log)

    slope = jacobian(residuals, theta[None], residuals(theta[None]))[0]
    return np.linalg.inv(slope.T @ slope)  # the prior's rows make it regular


def _starts(prior: ParameterPrior, n: int) -> Array:
    """Spread starts over the prior: its mean, then a low-discrepancy sequence, the same each time."""
    p = prior.mean_log.size
    irrational = np.modf(np.sqrt([2, 3, 5, 7, 11, 13, 17, 19, 23, 29][:p]))[0]
    z = ndtri(np.modf(0.5 + np.arange(n)[:, None] * irrational)[0])  # the first row is the mean
    return prior.mean_log + z @ np.linalg.cholesky(prior.covariance_log).T


def _warning(series: VolumeSeries) -> str:
    if len(series) == 1:
        return "one scan: the rates are those of the cohort"
    if np.ptp(series.volumes_ml) == 0:
        return "all volumes are equal: growth cannot be told from the effect of treatment"
    if (series.volumes_ml == 0).any():
        return "nothing was seen at some scans: they are upper limits"
    return ""


def _failed(fit: GrowthFit, status: str, reason: str) -> GrowthFit:
    values = (fit.series, fit.treatment, fit.prior, fit.detection_ml, fit.map_log, fit.covariance_log, fit.objective)
    return GrowthFit(*values, status, reason)
