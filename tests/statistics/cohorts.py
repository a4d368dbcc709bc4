"""Data sets with known answers for the tests of the statistics."""

from __future__ import annotations

import numpy as np
from lifelines import datasets


def ties(rng: np.random.Generator, n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give times in whole months with many ties, events, and three covariates that act on them."""
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n), rng.exponential(size=n)]).astype(np.float64)
    time = np.ceil(6 * rng.exponential(size=n) * np.exp(-x @ [0.4, -0.6, 0.2]))
    return time, rng.random(n) < 0.7, x


def real(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give times, events and one grouping of a published data set that lifelines brings, rows with missing values left out."""
    load, time, event, group = {
        "waltons": (datasets.load_waltons, "T", "E", "group"),
        "lung": (datasets.load_lung, "time", "status", "sex"),
        "rossi": (datasets.load_rossi, "week", "arrest", "fin"),
        "dd": (datasets.load_dd, "duration", "observed", "regime"),
        "g3": (datasets.load_g3, "time", "event", "group"),
        "lymphoma": (datasets.load_lymphoma, "Time", "Censor", "Stage_group"),
    }[name]
    frame = load()[[time, event, group]].dropna()
    return (
        frame[time].to_numpy(np.float64),
        frame[event].to_numpy(np.float64).astype(bool),
        frame[group].astype(str).to_numpy(dtype=str),
    )
