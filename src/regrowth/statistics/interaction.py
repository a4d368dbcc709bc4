"""Whether the effect of MGMT methylation changes with age: Cox model with an interaction, hazard ratios at given ages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.cox import CoxFit, LikelihoodRatio, contrast, cox, likelihood_ratio
from regrowth.statistics.likelihood import Penalty
from regrowth.statistics.model_matrix import AGE_CENTRE_YEARS

__all__ = ["AgeInteraction", "age_interaction"]

_TERMS = ("age_per_10y", "mgmt_methylated", "mgmt_by_age")


@dataclass(frozen=True, eq=False)
class AgeInteraction:
    """MGMT by age.

    Parameters
    ----------
    fit, main
        Models with and without the interaction; ``mgmt_by_age`` is the log hazard ratio per 10 years above 60.
    rows
        One per covariate of `fit`, with interval.
    test
        Likelihood ratio of the two; None with a ridge, where the ratio has no known law.
    at_ages
        One row per age: age, hazard_ratio of methylated against unmethylated, lower, upper, p_value.
    outside
        Ages that lie outside of those of the patients: their hazard ratios are extrapolated.
    """

    fit: CoxFit
    rows: Sequence[Mapping[str, object]]
    main: CoxFit
    test: LikelihoodRatio | None
    at_ages: tuple[dict[str, float], ...]
    outside: tuple[float, ...]

    def at(self, ages: Sequence[float], level: float = 0.95) -> tuple[dict[str, float], ...]:
        """Give the rows of `at_ages` for other ages, such as for a curve."""
        return tuple(_at_age(self.fit, float(age), level) for age in ages)


def age_interaction(
    time: ArrayLike,
    event: ArrayLike,
    age: ArrayLike,
    methylated: ArrayLike,
    ages: Sequence[float] = (50.0, 60.0, 70.0),
    *,
    covariates: np.ndarray | None = None,
    names: Sequence[str] = (),
    penalty: Penalty = "none",
    strength: float = 0.0,
    level: float = 0.95,
) -> AgeInteraction:
    """Fit a Cox model in which the effect of MGMT methylation may change with age.

    Parameters
    ----------
    time, event
        (n,) days and bool.
    age
        (n,) years.
    methylated
        (n,) 0 or 1.
    ages
        Years at which the hazard ratio of methylation is given.
    covariates, names
        (n, p) others to adjust for, and their names; None for none.
    penalty, strength
        Of the models.
    level
        Coverage.

    Raises
    ------
    ParameterError
        If a value is missing, all patients have one MGMT status, or a model has no estimate.

    Notes
    -----
    log HR(age) = b_mgmt + b_interaction (age - 60) / 10; its interval is Wald's of this sum. A test of an interaction needs
    about four times the events of a test of the effect itself: a large p-value is no evidence of equal effects.
    """
    years, status = np.asarray(age, float), np.asarray(methylated, float)
    if np.isnan(years).any() or np.isnan(status).any():
        raise ParameterError("ages and MGMT status must be known; leave patients without them out first")
    if len(np.unique(status)) < 2:
        raise ParameterError("all patients have the same MGMT status; there is nothing to compare")
    decades = (years - AGE_CENTRE_YEARS) / 10
    other = np.empty((len(years), 0)) if covariates is None else np.asarray(covariates, float)
    columns = np.column_stack([decades, status, decades * status, other])
    given = {"penalty": penalty, "strength": strength}
    fit = cox(time, event, columns, [*_TERMS, *names], **given)  # type: ignore[arg-type]
    main = cox(time, event, np.delete(columns, 2, axis=1), [*_TERMS[:2], *names], **given)  # type: ignore[arg-type]
    rows = tuple(_at_age(fit, float(at), level) for at in ages)
    outside = tuple(float(a) for a in ages if not years.min() <= a <= years.max())
    test = None if penalty == "ridge" else likelihood_ratio(fit, main)
    return AgeInteraction(fit, fit.as_rows(level), main, test, rows, outside)


def _at_age(fit: CoxFit, age: float, level: float) -> dict[str, float]:
    weights = np.zeros(len(fit.names))
    weights[1:3] = 1.0, (age - AGE_CENTRE_YEARS) / 10
    found = contrast(fit, weights, level)
    ratio, lower, upper = np.exp([found.estimate, found.lower, found.upper]).tolist()
    return {"age": age, "hazard_ratio": ratio, "lower": lower, "upper": upper, "p_value": found.p_value}
