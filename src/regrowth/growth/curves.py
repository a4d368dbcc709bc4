"""What the volume is on a day: closed forms, for many parameter sets at once, with treatment between the pieces.

Everything is computed as the logarithm of the volume, so that no exponential overflows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regrowth.growth.treatment import Treatment

__all__ = ["log_capacity_curve", "log_linear_curve"]

Array = NDArray[np.float64]


def log_linear_curve(
    days: Array,
    start_day: float,
    treatment: Treatment,
    *,
    growth: Array,
    alpha: Array,
    drug: Array,
    resistance: Array | None = None,
    decay: Array | None = None,
    delay: Array | None = None,
    slope: Array | None = None,
) -> Array:
    """Give log(V / V(start)) of the models that are linear in the volume, shape (k, n).

    Live cells: dL/dt = (g - kappa I(t)) L; each fraction leaves S = exp(-alpha BED) of them. With `decay`, what a fraction
    kills stays as damaged mass, which first swells and then vanishes, each fraction's on its own clock::

        dD_i/dt = -decay tanh(slope (t - delay - t_i)) D_i,     D_i(t_i) = (1 - S_i) L(t_i)
        D_i(t) = D_i(t_i) [cosh(slope delay) / cosh(slope (t - delay - t_i))]^(decay / slope)

    With `resistance` the drug's kill fades as exp(-resistance (t - start of the drug)): Claret et al. 2009,
    doi:10.1200/JCO.2008.21.0807. Because the system is linear, the curve begins at the first event when that comes before
    the first scan, and is scaled to the volume at the first scan.

    Parameters
    ----------
    days
        Days, shape (n,), at or after `start_day`.
    start_day
        Day of the first scan.
    treatment
        Events.
    growth, alpha, drug, resistance, decay, delay, slope
        Parameters, shape (k,) each: per day, per Gy, per day, per day, per day, days, per day.
    """
    origin = min(start_day, treatment.first_day)
    at = np.append(days, start_day)

    def undisturbed(t: Array) -> Array:  # live cells but for the fractions, (k, len(t))
        log = growth[:, None] * (t - origin) + treatment.log_remaining(t)
        return log - drug[:, None] * _drug_exposure(t, treatment, resistance)

    kill = alpha[:, None] * treatment.effective_dose_gy  # (k, f)
    done = treatment.fraction_days[:, None] < at  # (f, n): the scan comes first on a shared day
    live = undisturbed(at) - kill @ done
    if decay is None or not treatment.fractions:
        return live[:, :-1] - live[:, -1:]
    assert delay is not None
    assert slope is not None
    born_on = treatment.fraction_days
    before = undisturbed(born_on) - (np.cumsum(kill, axis=1) - kill)
    born = before + np.log(-np.expm1(-kill)) - treatment.log_remaining(born_on)  # (k, f)
    s, age = slope[:, None, None], at - born_on[:, None]  # age (f, n)
    swollen = _log_cosh(s * delay[:, None, None]) - _log_cosh(s * (age - delay[:, None, None]))
    damaged = born[:, :, None] + (decay / slope)[:, None, None] * swollen + treatment.log_remaining(at)
    damaged = np.where(done, damaged, -np.inf)
    total = np.logaddexp(live, _log_sum(damaged))
    return total[:, :-1] - total[:, -1:]


def log_capacity_curve(
    days: Array,
    start_day: float,
    treatment: Treatment,
    *,
    initial: Array,
    growth: Array,
    capacity: Array,
    exponent: Array | None,
    alpha: Array,
    drug: Array,
    saturation: bool = False,
) -> Array:
    """Give log V of the models with a carrying capacity, shape (k, n).

    dV/dt = (w / l) V ((K / V)^l - 1) - kappa I(t) V, of which l = -1 is logistic growth w V (1 - V / K), l -> 0 (`exponent`
    None) Gompertz growth w V log(K / V), and l = 1/3 Bertalanffy's. With u = (V / K)^l the equation is linear::

        u(t) = u0 exp(-r t) + w (1 - exp(-r t)) / r,     r = w + kappa I l

    between events. A fraction leaves exp(-alpha BED) of the volume, or with `saturation` removes only from the part that
    proliferates: V -> V - (1 - S) V (1 - V / K). Events before `start_day` are in the initial volume.

    Parameters
    ----------
    days
        Days, shape (n,), at or after `start_day`, any order.
    start_day, treatment
        Day of the first scan, and events.
    initial, growth, capacity, exponent, alpha, drug
        Parameters, shape (k,) each: ml, per day, ml, none, per Gy, per day.
    saturation
        Whether radiation spares what does not proliferate.
    """
    out = np.empty((initial.size, days.size))
    log_v, log_k = np.log(initial), np.log(capacity)
    out[:, days == start_day] = log_v[:, None]
    edges = treatment.edges(start_day, float(days.max(initial=start_day)))
    for begin, end in zip(edges, [*edges[1:], np.inf], strict=True):
        for on in np.flatnonzero(treatment.fraction_days == begin):
            kill = alpha * treatment.effective_dose_gy[on]
            if saturation:  # above the capacity nothing proliferates, so nothing is killed
                kill = -np.log1p(np.expm1(-kill) * np.clip(1 - np.exp(log_v - log_k), 0.0, 1.0))
            log_v = log_v - kill
        for surgery in treatment.surgeries:
            if surgery.day == begin:
                log_v = log_v + np.log(surgery.remaining_fraction)
        kappa = drug * treatment.drug_intensity(begin, end)
        here = (days > begin) & (days <= end)
        targets = np.append(days[here], end) - begin if np.isfinite(end) else days[here] - begin
        path = _advance(log_v[:, None], targets, growth[:, None], log_k[:, None], exponent, kappa[:, None])
        out[:, here] = path[:, : int(here.sum())]
        if np.isfinite(end):
            log_v = path[:, -1]
    return out


def _advance(log_v: Array, dt: Array, w: Array, log_k: Array, exponent: Array | None, kappa: Array) -> Array:
    """Carry log V over times `dt` without events."""
    if exponent is None:
        return log_k + (log_v - log_k) * np.exp(-w * dt) + kappa / w * np.expm1(-w * dt)
    ell = exponent[:, None]
    r = w + kappa * ell
    with np.errstate(divide="ignore"):  # log(0) of no time at all is -inf, as it should be
        gained = np.log(w * dt) + _log_phi(-r * dt)
    return log_k + np.logaddexp(ell * (log_v - log_k) - r * dt, gained) / ell


def _drug_exposure(t: Array, treatment: Treatment, resistance: Array | None) -> Array:
    """Integrate the intensity of the drugs up to each day, faded by resistance: shape (n,) or (k, n)."""
    out = np.zeros(t.shape if resistance is None else (resistance.size, t.size))
    for drug in treatment.drugs:
        given = np.clip(t, drug.start_day, drug.stop_day) - drug.start_day
        out = out + drug.intensity * (
            given if resistance is None else -np.expm1(-resistance[:, None] * given) / resistance[:, None]
        )
    return out


def _log_phi(x: Array) -> Array:
    """Give log((exp(x) - 1) / x) without overflow and without a hole at 0."""
    size = np.maximum(np.abs(x), 1e-300)
    return np.where(np.abs(x) < 1e-8, x / 2, np.maximum(x, 0.0) + np.log(-np.expm1(-size) / size))


def _log_cosh(x: Array) -> Array:
    """Give log(cosh(x)) without overflow."""
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size)) - np.log(2.0)


def _log_sum(x: Array) -> Array:
    """Sum exponentials over axis 1 and give the logarithm; -inf where all are."""
    top = x.max(axis=1, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return (np.log(np.exp(x - safe).sum(axis=1, keepdims=True)) + safe)[:, 0]
