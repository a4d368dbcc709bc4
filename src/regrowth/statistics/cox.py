"""How covariates act on the hazard: Cox regression with Efron ties, strata, ridge and Firth penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from regrowth.errors import ParameterError
from regrowth.statistics.covariates import Design, design
from regrowth.statistics.likelihood import Penalty, objective
from regrowth.statistics.newton import Maximum, maximise
from regrowth.statistics.profile import held_at_zero, profile_interval
from regrowth.statistics.proportion import check_level

__all__ = ["Contrast", "CoxFit", "LikelihoodRatio", "Penalty", "contrast", "cox", "likelihood_ratio"]


@dataclass(frozen=True, eq=False)
class CoxFit:
    """A fitted Cox model.

    Parameters
    ----------
    names
        The p covariates.
    coefficients
        (p,) log hazard ratios per unit of the covariate.
    covariance
        (p, p) of the coefficients: inverse of the information; with a ridge, of the penalised information; with Firth's
        penalty, of the information without the penalty.
    log_likelihood, null_log_likelihood
        What was maximised, penalty included, at the coefficients and at 0. The information in Firth's penalty is taken per
        standard deviation of the covariates, so that it does not depend on their units.
    n, n_events
        Patients and events.
    penalty, strength
        As given to `cox`.
    converged
        Whether the solver arrived.
    means, scales
        (p,) means and standard deviations of the covariates.
    iterations
        Steps of the solver.
    data
        What was fitted, for profile intervals, residuals and curves.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    null_log_likelihood: float
    n: int
    n_events: int
    penalty: Penalty
    strength: float
    converged: bool
    means: np.ndarray
    scales: np.ndarray
    iterations: int
    data: Design = field(repr=False)

    @property
    def standard_errors(self) -> np.ndarray:
        """(p,) standard errors of the coefficients."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def hazard_ratios(self) -> np.ndarray:
        """(p,) hazard ratios per unit of the covariate."""
        return np.exp(self.coefficients)

    @property
    def z(self) -> np.ndarray:
        """(p,) coefficients over their standard errors."""
        return self.coefficients / self.standard_errors

    @cached_property
    def p_values(self) -> np.ndarray:
        """(p,) two-sided p-values: Wald's, or with Firth's penalty those of the profile likelihood ratio.

        With a ridge they are Wald's with the penalised variance: a guide, since the coefficients are biased towards 0.
        """
        if self.penalty == "firth":
            ratios = [held_at_zero(self.data, self._scaled, self.log_likelihood, [j]) for j in range(len(self.names))]
            return np.array([special.chdtrc(1, ratio) for ratio in ratios])
        return 2 * special.ndtr(-np.abs(self.z))

    def interval(self, level: float = 0.95) -> np.ndarray:
        """Give the (p, 2) intervals of the coefficients, log scale: Wald's, or with Firth's penalty profile likelihood ones.

        A limit of a profile interval is infinite where the profile does not fall far enough, and NaN where it was not found.
        """
        check_level(level)
        if self.penalty == "firth":
            return self._profile_intervals(level)
        half = special.ndtri((1 + level) / 2) * self.standard_errors
        return np.stack([self.coefficients - half, self.coefficients + half], axis=1)

    def _profile_intervals(self, level: float) -> np.ndarray:
        drop = float(special.chdtri(1, 1 - level))
        spread = self.standard_errors * self.scales
        limits = [
            profile_interval(self.data, self._scaled, self.log_likelihood, j, spread[j], drop) for j in range(len(spread))
        ]
        return np.array(limits) / self.scales[:, None]

    @property
    def _scaled(self) -> np.ndarray:
        return self.coefficients * self.scales

    @property
    def likelihood_ratio_p(self) -> float:
        """P-value of all covariates together by the likelihood ratio; NaN with a ridge, whose ratio has no known law."""
        if self.penalty == "ridge":
            return float("nan")
        ratio = max(2 * (self.log_likelihood - self.null_log_likelihood), 0.0)
        return float(special.chdtrc(len(self.names), ratio))

    def linear_predictor(self, covariates: ArrayLike) -> np.ndarray:
        """Give the log relative hazard of (m, p) covariates, (m,), against a patient with mean covariates."""
        x = np.asarray(covariates, dtype=np.float64).reshape(-1, len(self.names))
        return (x - self.means) @ self.coefficients

    def as_rows(self, level: float = 0.95) -> list[dict[str, object]]:
        """Give one row per covariate for a table, with the interval of the hazard ratio."""
        limits = np.exp(self.interval(level))
        columns = (self.coefficients, self.standard_errors, self.hazard_ratios, *limits.T, self.z, self.p_values)
        keys = ("coefficient", "standard_error", "hazard_ratio", "lower", "upper", "z", "p_value")
        return [
            {"covariate": name, **{key: float(column[j]) for key, column in zip(keys, columns, strict=True)}}
            for j, name in enumerate(self.names)
        ]


def cox(
    time: ArrayLike,
    event: ArrayLike,
    covariates: ArrayLike,
    names: Sequence[str],
    *,
    penalty: Penalty = "none",
    strength: float = 0.0,
    strata: ArrayLike | None = None,
) -> CoxFit:
    """Fit a Cox proportional hazards model.

    Parameters
    ----------
    time, event
        (n,) see `regrowth.statistics.times.check_times`.
    covariates
        (n, p) numbers without missing values; (n,) for one covariate.
    names
        p names.
    penalty
        ``none``; ``ridge``, which subtracts strength / 2 * sum (b sd)^2 from the log-likelihood, sd being the sample standard
        deviation of the covariate (``penalizer`` of lifelines is strength / n); ``firth``, which adds 1/2 log det I(b): it is
        finite under separation, and its profile intervals keep their coverage in small samples. It does not always lessen
        the bias: in small groups of unequal size it may pull towards equal shares of the risk.
    strength
        Of the ridge, above 0; 0 for the others.
    strata
        (n,) each stratum has its own baseline hazard; None for one baseline.

    Returns
    -------
    CoxFit

    Raises
    ------
    ParameterError
        If values cannot be used, nobody has an event, a covariate does not vary or repeats others, or the likelihood has no
        maximum because some covariates separate the patients with early events from the others; the message names them and,
        for separation, what helps.

    Notes
    -----
    Ties by Efron's method (1977, doi:10.1080/01621459.1977.10480613); Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x;
    Firth's penalty by Heinze and Schemper 2001, doi:10.1111/j.0006-341X.2001.00114.x, here with Efron's likelihood where
    ``coxphf`` of R takes Breslow's.

    Examples
    --------
    >>> fit = cox([5, 8, 12, 20, 21, 30], [1, 1, 0, 1, 1, 0], [1, 0, 1, 1, 0, 0], ["methylated"])
    >>> round(float(fit.hazard_ratios[0]), 3)
    2.924
    """
    _check_penalty(penalty, strength)
    data = design(time, event, covariates, names, strata, penalty, strength)
    function = objective(data.likelihood, penalty, strength)
    start = np.zeros(len(data.names))
    found = maximise(function, start, bounded=penalty != "none")
    _check_maximum(found, data, penalty)
    return CoxFit(
        names=data.names,
        coefficients=found.beta / data.scales,
        covariance=np.linalg.inv(found.at.information) / np.outer(data.scales, data.scales),
        log_likelihood=found.at.value,
        null_log_likelihood=function(start).value,
        n=data.n,
        n_events=data.n_events,
        penalty=penalty,
        strength=float(strength),
        converged=found.converged,
        means=data.means,
        scales=data.scales,
        iterations=found.iterations,
        data=data,
    )


def _check_penalty(penalty: str, strength: float) -> None:
    if penalty not in get_args(Penalty):
        raise ParameterError(f"a penalty is one of {', '.join(get_args(Penalty))}, not {penalty!r}")
    if penalty == "ridge" and not 0 < strength < np.inf:
        raise ParameterError(f"a ridge needs a strength above 0, not {strength}")
    if penalty != "ridge" and strength != 0:
        raise ParameterError(f"only a ridge has a strength; with penalty={penalty!r} leave it at 0")


def _check_maximum(found: Maximum, data: Design, penalty: Penalty) -> None:
    if found.escaping is not None:
        walk = np.abs(found.escaping)
        guilty = [name for name, size in zip(data.names, walk, strict=True) if size > 0.05 * walk.max()]
        raise ParameterError(
            f"the Cox model has no finite estimate: {', '.join(guilty)} separate{'s' if len(guilty) == 1 else ''} the patients "
            f"with events from those still at risk, so the hazard ratio grows without end ({data.n_events} events, "
            f"{len(data.names)} covariates); use penalty='firth', or leave the covariate out"
        )
    if not found.converged:
        raise ParameterError(
            f"the Cox model of {', '.join(data.names)} (penalty {penalty!r}) did not converge in {found.iterations} steps; "
            "check covariates for extreme values, or use fewer"
        )


class Contrast(NamedTuple):
    """A linear combination of coefficients with its interval, log scale, and the two-sided p-value that it is 0."""

    estimate: float
    lower: float
    upper: float
    p_value: float


def contrast(fit: CoxFit, weights: ArrayLike, level: float = 0.95) -> Contrast:
    """Give a linear combination of the coefficients, such as the effect of age in one of two groups, with Wald's interval.

    Parameters
    ----------
    fit
        A fitted model.
    weights
        (p,) weight of each coefficient. The hazard ratio of a patient against another is exp of the estimate with the
        difference of their covariates as weights.
    level
        Coverage.

    Raises
    ------
    ParameterError
        If there is not one finite weight per covariate, or all are 0.
    """
    check_level(level)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (len(fit.names),) or not np.isfinite(w).all() or not w.any():
        raise ParameterError(f"a contrast needs one finite weight for each of {', '.join(fit.names)}, not all of them 0")
    estimate = float(w @ fit.coefficients)
    error = float(np.sqrt(w @ fit.covariance @ w))
    half = float(special.ndtri((1 + level) / 2)) * error
    return Contrast(estimate, estimate - half, estimate + half, float(2 * special.ndtr(-abs(estimate) / error)))


class LikelihoodRatio(NamedTuple):
    """Likelihood ratio statistic of two nested models, its degrees of freedom and p-value."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def likelihood_ratio(full: CoxFit, reduced: CoxFit) -> LikelihoodRatio:
    """Test whether the covariates that only the full model has add to the reduced one.

    Parameters
    ----------
    full, reduced
        Fits of the same patients with the same strata and penalty; the covariates of `reduced` are among those of `full`.

    Raises
    ------
    ParameterError
        If the models are not nested, were fitted to other patients, or have a ridge, for which the ratio has no known law.

    Notes
    -----
    With Firth's penalty the reduced likelihood is that of the full model with the other coefficients held at 0, because the
    penalties of models of different size are not comparable (Heinze and Schemper 2001).
    """
    if full.penalty != reduced.penalty or full.penalty == "ridge":
        raise ParameterError(
            f"a likelihood ratio compares two fits with penalty 'none' or two with 'firth', "
            f"not {full.penalty!r} and {reduced.penalty!r}"
        )
    added = [j for j, name in enumerate(full.names) if name not in reduced.names]
    if not added or not set(reduced.names) < set(full.names):
        raise ParameterError(f"{', '.join(reduced.names)} is not a part of {', '.join(full.names)}: the models are not nested")
    if not full.data.same_patients(reduced.data):
        raise ParameterError(
            f"the models were not fitted to the same patients and strata ({full.n} with {full.n_events} events, "
            f"{reduced.n} with {reduced.n_events}); drop rows with missing values before both"
        )
    if full.penalty == "firth":
        statistic = held_at_zero(full.data, full.coefficients * full.scales, full.log_likelihood, added)
    else:
        statistic = max(2 * (full.log_likelihood - reduced.log_likelihood), 0.0)
    return LikelihoodRatio(float(statistic), len(added), float(special.chdtrc(len(added), statistic)))
