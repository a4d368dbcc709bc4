"""Which survival a Cox model predicts for given covariates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from regrowth.errors import ParameterError
from regrowth.statistics.cox import CoxFit
from regrowth.statistics.times import event_table

__all__ = ["predicted_survival"]


def predicted_survival(fit: CoxFit, covariates: ArrayLike, times: ArrayLike, stratum: str | None = None) -> np.ndarray:
    """Give the survival that a model predicts.

    Parameters
    ----------
    fit
        A fitted model.
    covariates
        (m, p) of the m patients to predict.
    times
        (t,) times.
    stratum
        Whose baseline hazard is used; needed when the model has several strata.

    Returns
    -------
    numpy.ndarray
        (m, t); NaN beyond the last observed time of the stratum.

    Raises
    ------
    ParameterError
        If the stratum is unknown, or left out where there are several.

    Notes
    -----
    S(t | x) = exp(-H(t) exp(x'b)) with Breslow's cumulative baseline hazard H, d / sum exp(x'b) at each event time (1974,
    doi:10.2307/2529620), as in lifelines. With weak covariates it lies close to Kaplan-Meier.
    """
    names = fit.data.stratum_names
    if stratum is None and len(names) > 1:
        raise ParameterError(f"the model has several baselines; name one of the strata {', '.join(names)}")
    if stratum is not None and stratum not in names:
        raise ParameterError(f"there is no stratum {stratum!r}; the model has {', '.join(names)}")
    mask = fit.data.stratum == (0 if stratum is None else names.index(stratum))
    time, event = fit.data.time[mask], fit.data.event[mask]
    table = event_table(time, event)
    risk = np.exp(fit.linear_predictor(fit.data.x[mask]))
    leaving = np.bincount(np.searchsorted(table.times, time), weights=risk, minlength=len(table.times))
    hazard = np.concatenate([[0.0], np.cumsum(table.events / leaving[::-1].cumsum()[::-1])])
    asked = np.asarray(times, dtype=np.float64)
    cumulative = hazard[np.searchsorted(table.times, asked, side="right")]
    curves = np.exp(-np.exp(fit.linear_predictor(covariates))[:, None] * cumulative)
    return np.where(asked > table.times[-1], np.nan, curves)
