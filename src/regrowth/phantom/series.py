"""How the volumes of synthetic glioma go after chemoradiation: series with known growth, treatment and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError
from regrowth.growth.models import EXPONENTIAL
from regrowth.growth.treatment import DrugCourse, Treatment

__all__ = ["SeriesSettings", "SyntheticSeries", "synthetic_series"]

Row = dict[str, object]

_FRACTIONS, _DOSE_GY = 30, 2.0


@dataclass(frozen=True)
class SeriesSettings:
    """How a synthetic cohort is made.

    Parameters
    ----------
    stable_share, shrinking_share
        Shares of tumours that hold still and that go on shrinking; the rest responds and grows again.
    noise_sd_log
        Standard deviation of log(measured / true).
    fewest_exams, most_exams
        Exams of a patient, uniform.
    interval_days
        Median days between two follow-ups.
    detection_ml
        A measured volume below this is 0.
    largest_ml
        There is no exam after one with a true volume above this, but the second is always made.
    """

    stable_share: float = 0.25
    shrinking_share: float = 0.1
    noise_sd_log: float = 0.15
    fewest_exams: int = 3
    most_exams: int = 7
    interval_days: float = 60.0
    detection_ml: float = 0.05
    largest_ml: float = 120.0

    def __post_init__(self) -> None:
        shares = (self.stable_share, self.shrinking_share)
        if min(shares) < 0 or sum(shares) > 1:
            raise ParameterError(f"shares are at least 0 and at most 1 together, not {shares[0]} and {shares[1]}")
        if not 1 <= self.fewest_exams <= self.most_exams:
            raise ParameterError("a patient has at least 1 exam, and at most as many as most_exams says")
        if not self.noise_sd_log >= 0 or not self.interval_days >= 7 or not min(self.detection_ml, self.largest_ml) > 0:
            raise ParameterError("noise is at least 0, exams are at least 7 days apart and limits of volume are positive")


@dataclass(frozen=True)
class SyntheticSeries:
    """Rows of a synthetic cohort.

    Parameters
    ----------
    volumes
        ``participant_id``, ``day``, ``volume_ml``, ``true_ml`` is not among them: see `truth`.
    treatment
        Rows of a treatment table: ``participant_id``, ``day``, ``kind`` (course, drug), ``dose_gy``, ``fractions``,
        ``stop_day``, ``intensity``, ``name``.
    truth
        One row per patient: ``kind`` (growing, stable, shrinking) and the parameters of the exponential law that made it, with
        ``next_day`` and ``next_ml``, the true volume 60 days after the last exam.
    """

    volumes: tuple[Row, ...]
    treatment: tuple[Row, ...]
    truth: tuple[Row, ...]


def synthetic_series(n_patients: int, rng: np.random.Generator, settings: SeriesSettings | None = None) -> SyntheticSeries:
    """Draw the volumes of a cohort from a known truth.

    The first exam is before radiotherapy; then 30 fractions of 2 Gy and a drug. The true volume follows the exponential law:
    growth, a linear-quadratic kill by each fraction and a kill rate under the drug. A tumour that grows again has its drug
    stopped; the drug holds the growth of a stable one and more than the growth of a shrinking one, without a stop. Measured
    volumes have log-normal noise.

    Parameters
    ----------
    n_patients
        How many.
    rng
        Source of random numbers; each patient has its own child of it.
    settings
        The defaults if None.
    """
    settings = settings or SeriesSettings()
    if n_patients < 0:
        raise ParameterError(f"a cohort has at least 0 patients, not {n_patients}")
    volumes: list[Row] = []
    treatment: list[Row] = []
    truth: list[Row] = []
    for k, own in enumerate(rng.spawn(n_patients)):
        name = {"participant_id": f"sub-{k + 1:03d}"}
        seen, given, known = _patient(own, settings)
        volumes += [name | row for row in seen]
        treatment += [name | row for row in given]
        truth.append(name | known)
    return SyntheticSeries(tuple(volumes), tuple(treatment), tuple(truth))


def _patient(rng: np.random.Generator, settings: SeriesSettings) -> tuple[list[Row], list[Row], Row]:
    drawn = rng.random()
    kind = "stable" if drawn < settings.stable_share else "growing"
    if settings.stable_share <= drawn < settings.stable_share + settings.shrinking_share:
        kind = "shrinking"
    start = float(rng.integers(14, 36))
    growth = float(np.exp(rng.normal(np.log(0.009), 0.35)))
    alpha = float(np.exp(rng.normal(np.log(0.012), 0.3)))
    factor = {"growing": rng.uniform(0.3, 0.8), "stable": 1.0, "shrinking": rng.uniform(1.3, 1.7)}[kind]
    if kind == "stable":
        alpha = 0.001
    kappa = growth * float(factor)
    stop = float(start + 42 + rng.integers(30, 150)) if kind == "growing" else float("inf")
    course = Treatment.fractionated(start, _FRACTIONS, _DOSE_GY, drugs=(DrugCourse(0.0 if kind == "stable" else start, stop),))
    days = _exam_days(rng, settings, start)
    initial = float(np.clip(np.exp(rng.normal(np.log(8.0), 0.6)), 1, 40))
    values = EXPONENTIAL.array(initial_ml=initial, growth_per_day=growth, alpha_per_gy=alpha, drug_kill_per_day=kappa)
    course_ml = EXPONENTIAL.volumes_ml(values, days, course)
    kept = max(2, int(np.argmax(course_ml > settings.largest_ml)) + 1) if (course_ml > settings.largest_ml).any() else days.size
    days = days[:kept]
    true = EXPONENTIAL.volumes_ml(values, np.append(days, days[-1] + 60.0), course)
    measured = true[:-1] * np.exp(settings.noise_sd_log * rng.standard_normal(days.size))
    measured = np.where(measured < settings.detection_ml, 0.0, measured)
    seen: list[Row] = [{"day": float(d), "volume_ml": round(float(v), 3)} for d, v in zip(days, measured, strict=True)]
    empty = dict.fromkeys(("day", "kind", "dose_gy", "fractions", "stop_day", "intensity", "name"))
    given: list[Row] = [
        {**empty, "day": start, "kind": "course", "dose_gy": _DOSE_GY, "fractions": _FRACTIONS, "name": "radiotherapy"},
        {
            **empty,
            "day": course.drugs[0].start_day,
            "kind": "drug",
            "stop_day": stop if np.isfinite(stop) else None,
            "intensity": 1.0,
            "name": "temozolomide",
        },
    ]
    known: Row = {"kind": kind, "initial_ml": initial, "growth_per_day": growth, "alpha_per_gy": alpha}
    known |= {"drug_kill_per_day": kappa, "noise_sd_log": settings.noise_sd_log}
    return seen, given, known | {"next_day": float(days[-1] + 60.0), "next_ml": float(true[-1])}


def _exam_days(rng: np.random.Generator, settings: SeriesSettings, start: float) -> np.ndarray:
    """Day 0 before radiotherapy, about four weeks after it, and then follow-ups."""
    n = int(rng.integers(settings.fewest_exams, settings.most_exams + 1))
    gaps = np.round(settings.interval_days * np.exp(0.2 * rng.standard_normal(max(n - 2, 0))))
    after = start + 42 + float(rng.integers(21, 43))
    return np.concatenate([[0.0], after + np.concatenate([[0.0], np.cumsum(np.maximum(gaps, 7.0))])])[:n]
