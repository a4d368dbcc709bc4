"""What a Cox model maximises: Efron's partial likelihood with its derivatives, plain, with a ridge or with Firth's penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Evaluation", "PartialLikelihood", "Penalty", "RiskSets", "objective", "risk_sets", "schoenfeld"]

Penalty = Literal["none", "ridge", "firth"]


@dataclass(frozen=True, eq=False)
class RiskSets:
    """One stratum, latest time first, so that the patients at risk at any time are the first rows.

    Parameters
    ----------
    x
        (n, p) covariates.
    rows
        (d,) rows with an event, in order.
    last
        (t,) last row at risk at each distinct event time.
    first
        (t,) where the events of each distinct time begin in `rows`.
    tie
        (d,) number of the distinct time of each event.
    fraction
        (d,) share of the tied events that Efron's method takes out of the risk set: 0, 1/k, ... (k - 1)/k.
    """

    x: np.ndarray
    rows: np.ndarray
    last: np.ndarray
    first: np.ndarray
    tie: np.ndarray
    fraction: np.ndarray


def risk_sets(time: np.ndarray, event: np.ndarray, x: np.ndarray) -> RiskSets:
    """Sort one stratum: (n,) times, (n,) bool events with at least one True, (n, p) covariates."""
    order = np.argsort(-time, kind="stable")
    times = time[order]
    rows = np.flatnonzero(event[order])
    at = times[rows]
    first = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
    size = np.diff(np.append(first, len(rows)))
    tie = np.repeat(np.arange(len(first)), size)
    fraction = (np.arange(len(rows)) - first[tie]) / size[tie]
    last = np.searchsorted(-times, -at[first], side="right") - 1
    return RiskSets(x[order], rows, last, first, tie, fraction)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Value, (p,) gradient and (p, p) information, the negative second derivative of the part without Firth's penalty."""

    value: float
    gradient: np.ndarray
    information: np.ndarray


class _Moments:
    """Sums over the risk sets of one stratum at given coefficients; made once per step of the solver."""

    def __init__(self, sets: RiskSets, beta: np.ndarray) -> None:
        self.sets = sets
        eta = sets.x @ beta
        # Ratios do not change when all risks are scaled; this keeps exp() in range.
        shift = eta.max()
        self.weight = np.exp(eta - shift)
        denominator = self._sum(self.weight)
        self.inverse = 1.0 / denominator
        self.log_likelihood = float(eta[sets.rows].sum() - np.log(denominator).sum() - shift * len(sets.rows))
        # How much of each patient's weight enters, over all the risk sets that hold the patient.
        self.entered = self.weight * self._spread(self.inverse)
        self.mean = self.expectation(self.weight[:, None] * sets.x)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Sum (n, ...) over the risk set of each event (d, ...), tied events taken out as Efron says."""
        s = self.sets
        total = np.cumsum(values, axis=0)[s.last]
        if len(s.last) == len(s.rows):
            return total
        tied = np.add.reduceat(values[s.rows], s.first, axis=0)
        fraction = s.fraction if values.ndim == 1 else s.fraction[:, None]
        return total[s.tie] - fraction * tied[s.tie]

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Do the reverse of `_sum`: sum (d, ...) over the risk sets that hold each patient, (n, ...)."""
        s = self.sets
        per_time = np.add.reduceat(values, s.first, axis=0)
        at = np.zeros((len(s.x), *values.shape[1:]))
        at[s.last] = per_time
        out = np.cumsum(at[::-1], axis=0)[::-1]
        if len(s.last) != len(s.rows):
            fraction = s.fraction if values.ndim == 1 else s.fraction[:, None]
            out[s.rows] -= np.add.reduceat(fraction * values, s.first, axis=0)[s.tie]
        return out

    def expectation(self, weighted: np.ndarray) -> np.ndarray:
        """Give the mean over the risk set of each event of something that is already multiplied by the weights."""
        inverse = self.inverse if weighted.ndim == 1 else self.inverse[:, None]
        return self._sum(weighted) * inverse

    def gradient(self) -> np.ndarray:
        return self.sets.x[self.sets.rows].sum(axis=0) - self.sets.x.T @ self.entered

    def information(self) -> np.ndarray:
        x = self.sets.x
        return x.T @ (self.entered[:, None] * x) - self.mean.T @ self.mean

    def firth_gradient(self, inverse_information: np.ndarray) -> np.ndarray:
        """Give tr(I^-1 dI/db_r) for all r, without building the (d, p, p) moments.

        dI/db_r is the sum over events of the third central moment. With q(x) = (x - m)' I^-1 (x - m) the trace is the sum of
        cov(q, x_r) = cov(x' I^-1 x, x_r) - 2 cov(x' I^-1 m, x_r) over the risk sets, m being the mean of each.
        """
        x = self.sets.x
        own = ((x @ inverse_information) * x).sum(axis=1)
        first = x.T @ (self.entered * own) - self.mean.T @ self.expectation(self.weight * own)
        direction = self.mean @ inverse_information
        met = self.weight * (x * self._spread(direction * self.inverse[:, None])).sum(axis=1)
        second = x.T @ met - self.mean.T @ (self.mean * direction).sum(axis=1)
        return first - 2 * second


@dataclass(frozen=True, eq=False)
class PartialLikelihood:
    """Efron's log partial likelihood of one or more strata (Efron 1977, doi:10.1080/01621459.1977.10480613)."""

    strata: tuple[RiskSets, ...]

    def evaluate(self, beta: np.ndarray, penalty: Penalty = "none", strength: float = 0.0) -> Evaluation:
        """Give value, gradient and information of the penalised log-likelihood at (p,) coefficients.

        Notes
        -----
        Ridge subtracts strength / 2 * sum b^2. Firth adds 1/2 log det I(b) (Heinze and Schemper 2001,
        doi:10.1111/j.0006-341X.2001.00114.x); the information is then that of the likelihood without the penalty, by which
        the coefficients' variance is estimated. The penalty uses the information of Efron's likelihood; ``coxphf`` of R
        uses Breslow's, so that the two differ a little where times are tied and agree where they are not.
        """
        # Far from any maximum weights may vanish; the solver turns back when a value is not finite.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            moments = [_Moments(s, beta) for s in self.strata]
            value = float(sum(m.log_likelihood for m in moments))
            gradient = np.sum([m.gradient() for m in moments], axis=0)
            information = np.sum([m.information() for m in moments], axis=0)
        if penalty == "ridge":
            value -= 0.5 * strength * float(beta @ beta)
            gradient = gradient - strength * beta
            information = information + strength * np.eye(len(beta))
        elif penalty == "firth":
            sign, log_determinant = np.linalg.slogdet(information) if np.isfinite(information).all() else (0.0, 0.0)
            if sign <= 0:
                return Evaluation(-np.inf, gradient, information)
            inverse = np.linalg.inv(information)
            value += 0.5 * float(log_determinant)
            gradient = gradient + 0.5 * np.sum([m.firth_gradient(inverse) for m in moments], axis=0)
        return Evaluation(value, gradient, information)


def objective(likelihood: PartialLikelihood, penalty: Penalty, strength: float) -> Callable[[np.ndarray], Evaluation]:
    """Give the function of the coefficients that a penalty asks to maximise."""
    return lambda beta: likelihood.evaluate(beta, penalty, strength)


def schoenfeld(sets: RiskSets, beta: np.ndarray) -> np.ndarray:
    """Give the (d, p) residuals of the events of one stratum, latest first, in the scale of its covariates.

    Covariates minus their mean over the risk set; tied events share the mean over the steps of Efron's method.
    """
    mean = _Moments(sets, beta).mean
    size = np.diff(np.append(sets.first, len(sets.rows)))
    shared = np.add.reduceat(mean, sets.first, axis=0) / size[:, None]
    return sets.x[sets.rows] - shared[sets.tie]
