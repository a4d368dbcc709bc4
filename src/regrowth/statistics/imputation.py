"""How missing covariates are filled in several times, and how the models of the copies become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.cox import CoxFit, cox
from regrowth.statistics.likelihood import Penalty
from regrowth.statistics.times import event_table

Pooled: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

__all__ = ["PooledCox", "imputed", "nelson_aalen", "pool", "pooled_cox"]

_DONORS = 5
_CYCLES = 10
_RIDGE = 1e-5  # relative; keeps the regressions solvable where dummies are collinear


@dataclass(frozen=True, eq=False)
class PooledCox:
    """A Cox model over completed copies of a table.

    Parameters
    ----------
    names
        p covariates.
    coefficients, standard_errors
        (p,) mean log hazard ratios, and their errors with the spread between the copies in them.
    degrees_of_freedom
        (p,) of Student's t (Barnard and Rubin).
    missing_information
        (p,) share of the variance that is due to the missing values.
    copies, n, n_events
        Completed copies, patients, events.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    standard_errors: np.ndarray
    degrees_of_freedom: np.ndarray
    missing_information: np.ndarray
    copies: int
    n: int
    n_events: int

    def as_rows(self, level: float = 0.95) -> list[dict[str, object]]:
        """Give one row per covariate, as `CoxFit.as_rows`, with the share of missing information."""
        from scipy import stats

        half = stats.t.ppf((1 + level) / 2, self.degrees_of_freedom) * self.standard_errors
        z = self.coefficients / self.standard_errors
        columns = {
            "coefficient": self.coefficients,
            "standard_error": self.standard_errors,
            "hazard_ratio": np.exp(self.coefficients),
            "lower": np.exp(self.coefficients - half),
            "upper": np.exp(self.coefficients + half),
            "z": z,
            "p_value": 2 * stats.t.sf(np.abs(z), self.degrees_of_freedom),
            "missing_information": self.missing_information,
        }
        return [{"covariate": name, **{k: float(v[j]) for k, v in columns.items()}} for j, name in enumerate(self.names)]


def nelson_aalen(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Give the cumulative hazard (n,) of the cohort at each patient's time."""
    table = event_table(np.asarray(time, float), np.asarray(event, bool))
    return np.asarray(np.cumsum(table.events / table.at_risk)[np.searchsorted(table.times, time)])


def imputed(
    blocks: Mapping[str, np.ndarray],
    predictors: np.ndarray,
    rng: np.random.Generator,
    *,
    copies: int = 20,
    cycles: int = _CYCLES,
    donors: int = _DONORS,
) -> list[dict[str, np.ndarray]]:
    """Fill in missing values several times by chained equations with predictive mean matching.

    Parameters
    ----------
    blocks
        Variable to (n, q) columns, NaN in all columns of a row where the value is missing: one column for a number, one per
        level but the reference for a category, so that a whole level is taken from one donor.
    predictors
        (n, r) without missing values, used for all variables: for a survival model the event and the Nelson-Aalen cumulative
        hazard have to be among them (White and Royston 2009, doi:10.1002/sim.3618).
    rng
        Source of randomness.
    copies
        Completed copies.
    cycles
        Rounds through the variables per copy.
    donors
        The value is that of one of so many patients with the nearest prediction.

    Returns
    -------
    list of dict
        Per copy, the blocks without missing values; what was known is unchanged, and every imputed value occurs in the data.

    Raises
    ------
    ParameterError
        If a variable has fewer known values than donors, or a predictor is missing.

    Notes
    -----
    Coefficients are drawn from their posterior for the patients with a missing value, and held at the estimate for the
    donors (van Buuren and Groothuis-Oudshoorn 2011, doi:10.18637/jss.v045.i03). Valid if values are missing at random given
    the other variables and the outcome.
    """
    missing = {name: np.isnan(values).any(axis=1) for name, values in blocks.items()}
    if np.isnan(predictors).any():
        raise ParameterError("the predictors of an imputation cannot be missing themselves; leave patients without outcome out")
    for name, absent in missing.items():
        if absent.any() and (~absent).sum() < donors:
            raise ParameterError(f"{name} is known in {(~absent).sum()} patients; imputation needs at least {donors}")
    out = []
    for _ in range(copies):
        filled = {name: values.copy() for name, values in blocks.items()}
        for name, absent in missing.items():  # start: values of random patients
            if absent.any():
                known = np.flatnonzero(~absent)
                filled[name][absent] = blocks[name][rng.choice(known, int(absent.sum()))]
        for _ in range(cycles):
            for name, absent in missing.items():
                if absent.any():
                    others = [values for other, values in filled.items() if other != name]
                    x = _standardised(np.column_stack([predictors, *others]))
                    filled[name][absent] = _matched(x, blocks[name], absent, donors, rng)
        out.append(filled)
    return out


def _standardised(x: np.ndarray) -> np.ndarray:
    spread = x.std(axis=0)
    scaled = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(len(x)), scaled])


def _matched(x: np.ndarray, values: np.ndarray, absent: np.ndarray, donors: int, rng: np.random.Generator) -> np.ndarray:
    """Give for each patient with a missing value that of a donor with a near prediction (one prediction per column)."""
    known = np.flatnonzero(~absent)
    design, target = x[known], values[known]
    gram = design.T @ design
    inverse = np.linalg.inv(gram + _RIDGE * np.diag(np.diag(gram)))
    estimate = inverse @ design.T @ target
    freedom = max(len(known) - x.shape[1], 1)
    residual = ((target - design @ estimate) ** 2).sum(axis=0)
    sigma = np.sqrt(residual / rng.chisquare(freedom, target.shape[1]))
    drawn = estimate + np.linalg.cholesky(inverse) @ rng.normal(size=estimate.shape) * sigma
    spread = target.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    here, there = x[absent] @ drawn / scale, design @ estimate / scale
    apart = ((here[:, None, :] - there[None, :, :]) ** 2).sum(axis=2)
    # Ties are common among categories: the order of the donors is shuffled so that they are broken at random.
    order = rng.permutation(len(known))
    nearest = order[np.argsort(apart[:, order], axis=1, kind="stable")[:, :donors]]
    return np.asarray(target[nearest[np.arange(len(here)), rng.integers(0, donors, len(here))]])


def pool(coefficients: np.ndarray, covariances: np.ndarray, complete_freedom: float) -> Pooled:
    """Combine the estimates of completed copies by Rubin's rules.

    Parameters
    ----------
    coefficients
        (m, p) of the copies.
    covariances
        (m, p, p).
    complete_freedom
        Degrees of freedom if nothing were missing.

    Returns
    -------
    tuple of numpy.ndarray
        (p,) estimates, standard errors, degrees of freedom, share of missing information.

    Notes
    -----
    Total variance = within + (1 + 1/m) between; degrees of freedom of Barnard and Rubin 1999, doi:10.1093/biomet/86.4.948.
    """
    m = len(coefficients)
    within = np.diagonal(covariances, axis1=1, axis2=2).mean(axis=0)
    between = coefficients.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    observed = (complete_freedom + 1) / (complete_freedom + 3) * complete_freedom * (1 - share)
    with np.errstate(divide="ignore"):
        old = (m - 1) / share**2  # infinite where the copies agree
    freedom = 1 / (1 / old + 1 / observed)
    return coefficients.mean(axis=0), np.sqrt(total), freedom, share


def pooled_cox(
    time: np.ndarray,
    event: np.ndarray,
    copies: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    penalty: Penalty = "none",
    strength: float = 0.0,
) -> PooledCox:
    """Fit a Cox model to each completed copy and pool them.

    Parameters
    ----------
    time, event
        (n,) days and bool.
    copies
        At least two (n, p) tables without missing values.
    names
        p names.
    penalty, strength
        As in `regrowth.statistics.cox.cox`.

    Raises
    ------
    ParameterError
        If there are fewer than two copies, or a model has no estimate.

    Notes
    -----
    The degrees of freedom without missing values are taken as events minus covariates.
    """
    if len(copies) < 2:
        raise ParameterError("pooling needs at least two completed copies")
    fits: list[CoxFit] = [cox(time, event, x, names, penalty=penalty, strength=strength) for x in copies]
    freedom = max(fits[0].n_events - len(names), 1)
    pooled = pool(np.array([f.coefficients for f in fits]), np.array([f.covariance for f in fits]), freedom)
    return PooledCox(tuple(names), *pooled, len(fits), fits[0].n, fits[0].n_events)
