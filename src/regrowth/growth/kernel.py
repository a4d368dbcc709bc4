"""How one step of the growth equation is computed: compiled loops over the voxels, one thread.

This module is the only one that imports numba (about half a second), and only the solver imports it, when it first runs.
Compiled code is kept where numba finds a place to write: `NUMBA_CACHE_DIR`, else beside the package, else the user's cache
folder; where none of them can be written, the loops are compiled anew in every process.

All arrays carry one layer of voxels around the image, so that no loop asks where it ends. ``wx[i, j, k]`` is the rate of
exchange (1/mm2) between voxels ``i`` and ``i + 1``; likewise ``wy`` and ``wz``. `box` holds the six bounds of the voxels that
take part, `low` and `high` the bounds of the tissue in each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

__all__ = ["compiled", "explicit_step", "first_stage", "grow", "later_stage", "widened"]


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function with numba, with its result kept on disk where that is possible."""
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available", on a read-only installation without a home
        return njit(**options)(function)


@compiled
def _exchange(
    acc: np.ndarray, u: np.ndarray, wx: np.ndarray, wy: np.ndarray, wz: np.ndarray, i: int, j: int, lo: int, hi: int
) -> None:
    """Net inflow of one row (1/mm2): several short loops over what lies in the first cache, each of which vectorises."""
    n = hi - lo
    c = u[i, j, lo:hi]
    a, b = u[i - 1, j, lo:hi], u[i + 1, j, lo:hi]
    f, g = wx[i - 1, j, lo:hi], wx[i, j, lo:hi]
    for m in range(n):
        acc[m] = f[m] * (a[m] - c[m]) + g[m] * (b[m] - c[m])
    a, b = u[i, j - 1, lo:hi], u[i, j + 1, lo:hi]
    f, g = wy[i, j - 1, lo:hi], wy[i, j, lo:hi]
    for m in range(n):
        acc[m] += f[m] * (a[m] - c[m]) + g[m] * (b[m] - c[m])
    a, b = u[i, j, lo - 1 : hi - 1], u[i, j, lo + 1 : hi + 1]
    f, g = wz[i, j, lo - 1 : hi - 1], wz[i, j, lo:hi]
    for m in range(n):
        acc[m] += f[m] * (a[m] - c[m]) + g[m] * (b[m] - c[m])


@compiled
def first_stage(
    out: np.ndarray,
    rate: np.ndarray,
    u: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    wz: np.ndarray,
    box: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    amount: np.float32,
    share: np.float32,
) -> None:
    """First stage of a super step: ``rate = amount * M u`` and ``out = u + share * rate``."""
    acc = np.empty(u.shape[2], np.float32)
    for i in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            lo, hi = max(box[4], low[i, j]), min(box[5], high[i, j])
            if lo >= hi:
                continue
            _exchange(acc, u, wx, wy, wz, i, j, lo, hi)
            c, r, o = u[i, j, lo:hi], rate[i, j, lo:hi], out[i, j, lo:hi]
            for m in range(hi - lo):
                r[m] = amount * acc[m]
                o[m] = c[m] + share * r[m]


@compiled
def later_stage(
    older: np.ndarray,
    newer: np.ndarray,
    u: np.ndarray,
    rate: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    wz: np.ndarray,
    box: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    amount: np.float32,
    mu: np.float32,
    nu: np.float32,
    mu_rate: np.float32,
    gamma_rate: np.float32,
) -> None:
    """Stage j of a super step, written over stage j - 2 (`older`).

    Written in differences to `u`, so that rounded weights cannot create or destroy cells.
    """
    acc = np.empty(u.shape[2], np.float32)
    step = amount * mu_rate
    for i in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            lo, hi = max(box[4], low[i, j]), min(box[5], high[i, j])
            if lo >= hi:
                continue
            _exchange(acc, newer, wx, wy, wz, i, j, lo, hi)
            c, r = u[i, j, lo:hi], rate[i, j, lo:hi]
            o, p = older[i, j, lo:hi], newer[i, j, lo:hi]
            for m in range(hi - lo):
                acc[m] = step * acc[m] + gamma_rate * r[m]
            for m in range(hi - lo):
                o[m] = c[m] + mu * (p[m] - c[m]) + nu * (o[m] - c[m]) + acc[m]


@compiled
def grow(u: np.ndarray, box: np.ndarray, low: np.ndarray, high: np.ndarray, factor: np.float32) -> None:
    """Logistic growth, exact: ``u <- u f / (1 + u (f - 1))`` with ``f = exp(rho days)``; negative rounding becomes 0."""
    more = factor - np.float32(1.0)
    for i in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            lo, hi = max(box[4], low[i, j]), min(box[5], high[i, j])
            if lo >= hi:
                continue
            c = u[i, j, lo:hi]
            for m in range(hi - lo):
                v = max(c[m], np.float32(0.0))
                c[m] = v * factor / (np.float32(1.0) + v * more)


@compiled
def explicit_step(
    out: np.ndarray,
    u: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    wz: np.ndarray,
    box: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    amount: np.float32,
    growth: np.float32,
) -> None:
    """One Euler step: ``out = u + amount * M u + growth * u (1 - u)``."""
    acc = np.empty(u.shape[2], np.float32)
    for i in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            lo, hi = max(box[4], low[i, j]), min(box[5], high[i, j])
            if lo >= hi:
                continue
            _exchange(acc, u, wx, wy, wz, i, j, lo, hi)
            c, o = u[i, j, lo:hi], out[i, j, lo:hi]
            for m in range(hi - lo):
                o[m] = c[m] + amount * acc[m] + growth * c[m] * (np.float32(1.0) - c[m])


@compiled
def _reaches(u: np.ndarray, i0: int, i1: int, j0: int, j1: int, k0: int, k1: int, least: np.float32) -> bool:
    for i in range(i0, i1):
        for j in range(j0, j1):
            row = u[i, j, k0:k1]
            for m in range(k1 - k0):
                if row[m] > least:
                    return True
    return False


@compiled
def widened(u: np.ndarray, box: np.ndarray, margin: int, least: np.float32) -> np.ndarray:
    """Give the box, widened by `margin` on every side within whose outer `margin` layers a value is above `least`."""
    out = box.copy()
    i0, i1, j0, j1, k0, k1 = box
    top = u.shape
    if _reaches(u, i0, min(i0 + margin, i1), j0, j1, k0, k1, least):
        out[0] = max(1, i0 - margin)
    if _reaches(u, max(i1 - margin, i0), i1, j0, j1, k0, k1, least):
        out[1] = min(top[0] - 1, i1 + margin)
    if _reaches(u, i0, i1, j0, min(j0 + margin, j1), k0, k1, least):
        out[2] = max(1, j0 - margin)
    if _reaches(u, i0, i1, max(j1 - margin, j0), j1, k0, k1, least):
        out[3] = min(top[1] - 1, j1 + margin)
    if _reaches(u, i0, i1, j0, j1, k0, min(k0 + margin, k1), least):
        out[4] = max(1, k0 - margin)
    if _reaches(u, i0, i1, j0, j1, max(k1 - margin, k0), k1, least):
        out[5] = min(top[2] - 1, k1 + margin)
    return out
