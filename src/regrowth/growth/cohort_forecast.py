"""How large the tumours of a cohort will be, told by what the other patients of the cohort have taught."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from regrowth.errors import ParameterError
from regrowth.growth.backtest import (
    BackTest,
    Bands,
    Choice,
    calibrated,
    calibrated_scores,
    choose,
    learn_bands,
    leave_one_out_bands,
    thinned,
)
from regrowth.growth.baselines import common_growth_forecast, log_linear_forecast, persistence_forecast
from regrowth.growth.case_scores import CaseScore, score_forecast
from regrowth.growth.cohort_model import BASELINES, Candidate, CohortModel, growth_candidates
from regrowth.growth.cohort_results import CHOSEN, CohortForecast, PatientForecast, progression_time
from regrowth.growth.fit import DETECTION_ML, GrowthFit, ParameterPrior, fit_growth, weak_prior
from regrowth.growth.fold_priors import learn_fold_priors
from regrowth.growth.forecast import ThresholdTime, forecast_growth, progression_threshold_ml
from regrowth.growth.models import growth_model
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.patient_series import PatientSeries, UsableSeries, usable_series
from regrowth.growth.posterior import sample_posterior
from regrowth.growth.scorecard import score_card
from regrowth.growth.series import Forecast, VolumeSeries

__all__ = ["forecast_cohort", "learn_cohort_model"]

Array = NDArray[np.float64]

_NOISE_FREEDOM = 4.0  # one scan that is far off must not rule a fit; see benchmarks/bench_growth_time.py
_DAYS_SHOWN = 25


@dataclass(frozen=True, eq=False)
class _Taught:
    """What patients taught for the use of others: priors by law, and a growth rate for all."""

    priors: Mapping[str, ParameterPrior]
    rate_per_day: float
    detection_ml: float


@dataclass(frozen=True, eq=False)
class _Told:
    """One patient, told by every candidate: forecasts by name, fits by law."""

    forecasts: Mapping[str, Forecast]
    fits: Mapping[str, GrowthFit]


def forecast_cohort(
    patients: Sequence[PatientSeries],
    parameters: GrowthParameters | None = None,
    *,
    external: CohortModel | None = None,
    detection_ml: float = DETECTION_ML,
    source: str = "",
) -> CohortForecast:
    """Forecast the volumes of all patients, and judge the forecasters by the scans that are known.

    The last scan of every patient with at least two usable scans is foretold from the earlier ones by every candidate: three
    baselines, and each growth law with four ways to join the last scan. Priors of the laws and the common growth rate come
    from other parts of the cohort (`parameters.folds`, dealt out by a hash of the labels). What is used for a patient is
    chosen by the scores of the other patients (`choose`), and its interval is calibrated on the other patients
    (`leave_one_out_bands`); that chosen forecaster is scored too, so that the price of choosing is in its scores.

    An interval is calibrated as split or cross-conformal intervals are: patients who taught it were themselves foretold with
    priors that knew this patient, which is the same small dependence as in cross-validation.

    Parameters
    ----------
    patients
        The cohort; labels are unique.
    parameters
        Choices; the defaults if None.
    external
        What another cohort has taught. Priors, rate, choice and intervals (with their coverage) are then its own, and nothing
        is learned here.
    detection_ml
        Volume below which nothing is seen, ml; that of the external model if there is one.
    source
        What cohort this is, for the model that it teaches.

    Returns
    -------
    CohortForecast
        One `PatientForecast` for every patient in the given order, with a status and a reason where there is no forecast.

    Raises
    ------
    ParameterError
        If a label is given twice.
    """
    parameters = parameters or GrowthParameters()
    names = [p.label for p in patients]
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise ParameterError(f"patient(s) {', '.join(twice)} are given twice; join their exams")
    everyone = sorted((usable_series(p) for p in patients), key=lambda u: u.label)
    if external is not None:
        parameters = replace(parameters, coverage=external.coverage)
        detection_ml, candidates = external.detection_ml, external.candidates
        its = _Taught(external.priors, external.common_rate_per_day, detection_ml)
        taught, whole = dict.fromkeys(names, its), its
    else:
        candidates = growth_candidates(parameters.model_names)
        taught, whole = _cross_taught(everyone, parameters, detection_ml)
    tests = [_back_test(u, candidates, taught[u.label], parameters) for u in everyone if u.can_be_tested]
    bench = _Bench.of(tests, candidates, parameters.coverage, detection_ml, external)
    model = external
    if external is None and tests:
        text = source or f"{len(tests)} patients whose last scan was foretold"
        model = bench.model(whole, text)
    records = {p.label: p for p in patients}
    found = {u.label: _patient(u, records[u.label], bench, taught[u.label], parameters) for u in everyone}
    scores = bench.scores()
    rng = np.random.default_rng([parameters.seed, len(scores)])
    card = score_card(scores, BASELINES, rng) if scores else None
    return CohortForecast(
        tuple(found[n] for n in names),
        tuple(scores),
        card,
        bench.overall,
        bench.overall_bands,
        model,
        bench.notes(len(patients)),
        external is not None,
    )


def learn_cohort_model(
    patients: Sequence[PatientSeries],
    parameters: GrowthParameters | None = None,
    *,
    detection_ml: float = DETECTION_ML,
    source: str = "",
) -> CohortModel:
    """Learn priors, intervals and the choice of a forecaster from a cohort, to be used for another.

    Raises
    ------
    ParameterError
        If no patient has two usable scans with a tumour.
    """
    model = forecast_cohort(patients, parameters, detection_ml=detection_ml, source=source).model
    if model is None:
        raise ParameterError("a cohort model needs at least one patient with two usable scans and a tumour")
    return model


def _cross_taught(
    everyone: Sequence[UsableSeries], parameters: GrowthParameters, detection_ml: float
) -> tuple[dict[str, _Taught], _Taught]:
    """Learn from the other folds for each patient, and from all; folds follow a hash of the labels and not their order."""
    by_hash = sorted(everyone, key=lambda u: (hashlib.sha256(u.label.encode()).hexdigest(), u.label))
    n_folds = max(1, min(parameters.folds, sum(u.can_be_learned_from for u in everyone)))
    fold_of: dict[str, int] = {}
    for may_teach in (True, False):  # those who teach are dealt out evenly
        for k, one in enumerate(u for u in by_hash if u.can_be_learned_from is may_teach):
            fold_of[one.label] = k % n_folds
    teachers = [u for u in everyone if u.can_be_learned_from]
    series = [u.series for u in teachers if u.series is not None]
    folds = np.array([fold_of[u.label] for u in teachers], int)
    members = np.concatenate([folds[None] != np.arange(n_folds)[:, None], np.ones((1, folds.size), bool)])
    priors: list[dict[str, ParameterPrior]] = [{} for _ in members]
    for law in parameters.model_names:
        model = growth_model(law)
        found = learn_fold_priors(
            series, model, [u.treatment for u in teachers], members, noise_freedom=_NOISE_FREEDOM, detection_ml=detection_ml
        )
        for own, prior in zip(priors, found, strict=True):
            own[law] = prior or weak_prior(model, noise_freedom=_NOISE_FREEDOM)
    rates = [_common_rate([s for s, yes in zip(series, row, strict=True) if yes], detection_ml) for row in members]
    parts = [_Taught(p, rate, detection_ml) for p, rate in zip(priors, rates, strict=True)]
    return {u.label: parts[fold_of[u.label]] for u in everyone}, parts[-1]


def _common_rate(series: Sequence[VolumeSeries], detection_ml: float) -> float:
    """Give the rate that leaves the least mean |log error| of the last scan: a median of the rates, weighted by the days."""
    pairs = [(s.days[-2:], np.log(np.maximum(s.volumes_ml[-2:], detection_ml))) for s in series]
    if not pairs:
        return float("nan")
    days = np.array([d[1] - d[0] for d, _ in pairs])
    rates = np.array([v[1] - v[0] for _, v in pairs]) / days
    order = np.argsort(rates, kind="stable")
    share = np.cumsum(days[order]) / days.sum()
    return float(rates[order][np.searchsorted(share, 0.5)])


def _told(
    use: UsableSeries,
    series: VolumeSeries,
    days: Array,
    candidates: Sequence[Candidate],
    taught: _Taught,
    parameters: GrowthParameters,
) -> _Told:
    """Let every candidate foretell some days; where one cannot, persistence stands in for it."""
    nothing = persistence_forecast(series, days)
    forecasts: dict[str, Forecast] = {}
    fits: dict[str, GrowthFit] = {}
    samples = {}
    for candidate in candidates:
        name, law = candidate.name, candidate.law
        if not law:
            told = _baseline(name, series, days, taught)
        else:
            # Own draws for each patient, law and length of the series, whatever else is computed beside it.
            rng = np.random.default_rng([parameters.seed, len(series), zlib.crc32(law.encode()), *use.label.encode()])
            if law not in fits:
                prior = taught.priors[law]
                fits[law] = fit_growth(series, prior.model, use.treatment, prior, n_starts=3, detection_ml=taught.detection_ml)
                fine = fits[law].status == "ok"
                samples[law] = sample_posterior(fits[law], rng, parameters.draws, 1000, 2) if fine else None
            told = forecast_growth(fits[law], samples[law], days, rng, candidate.carry)
        if told.status != "ok":
            told = replace(nothing, reason=f"persistence stands in for {name}: {told.reason}")
        forecasts[name] = thinned(told, parameters.coverage, name)
    return _Told(forecasts, fits)


def _baseline(name: str, series: VolumeSeries, days: Array, taught: _Taught) -> Forecast:
    if name == "persistence":
        return persistence_forecast(series, days)
    if name == "log_linear":
        return log_linear_forecast(series, days, detection_ml=taught.detection_ml)
    if np.isfinite(taught.rate_per_day):
        return common_growth_forecast(series, days, taught.rate_per_day, taught.detection_ml)
    return Forecast.unknown(days, name, "no_cohort", "no other patient shows a rate of growth", (0.5,))


def _back_test(use: UsableSeries, candidates: Sequence[Candidate], taught: _Taught, parameters: GrowthParameters) -> BackTest:
    assert use.series is not None
    known = use.series.first(len(use.series) - 1)
    told = _told(use, known, use.series.days[-1:], candidates, taught, parameters)
    return BackTest(use.label, known, use.series.last_day, use.series.last_volume_ml, told.forecasts)


@dataclass(frozen=True, eq=False)
class _Bench:
    """All back-tests with what they teach: for each tested patient what all others taught, for the rest what all did."""

    tests: Sequence[BackTest]
    candidates: Sequence[Candidate]
    coverage: float
    detection_ml: float
    own_bands: Mapping[str, Mapping[str, Bands]]  # forecaster, patient
    overall_bands: Mapping[str, Bands]
    own_choice: Mapping[str, Choice]
    overall: Choice
    is_external: bool = False

    @classmethod
    def of(
        cls,
        tests: Sequence[BackTest],
        candidates: Sequence[Candidate],
        coverage: float,
        detection_ml: float,
        external: CohortModel | None,
    ) -> _Bench:
        labels = [t.label for t in tests]
        if external is not None:
            overall_bands = {c.name: external.bands.get(c.name, ()) for c in candidates}
            own_bands = {n: dict.fromkeys(labels, b) for n, b in overall_bands.items()}
            text = f"{external.chosen} was chosen in another cohort ({external.source})"
            overall = Choice(external.chosen, {}, {}, external.n_patients, text)
            own_choice = dict.fromkeys(labels, overall)
            return cls(tests, candidates, coverage, detection_ml, own_bands, overall_bands, own_choice, overall, True)
        left_out = {c.name: leave_one_out_bands(tests, c.name, coverage, detection_ml) for c in candidates}
        scores = np.array([calibrated_scores(tests, n, bands, detection_ml) for n, bands in left_out.items()]).T
        scores = scores.reshape(len(tests), len(candidates))
        choices = {t.label: choose(np.delete(scores, i, axis=0), candidates) for i, t in enumerate(tests)}
        return cls(
            tests,
            candidates,
            coverage,
            detection_ml,
            {n: dict(zip(labels, bands, strict=True)) for n, bands in left_out.items()},
            {c.name: learn_bands(tests, c.name, coverage, detection_ml) for c in candidates},
            choices,
            choose(scores, candidates),
        )

    def choice(self, label: str) -> Choice:
        return self.own_choice.get(label, self.overall)

    def bands(self, name: str, label: str) -> Bands:
        return self.own_bands[name].get(label, self.overall_bands[name])

    def told(self, test: BackTest, name: str) -> Forecast:
        return calibrated(test.forecasts[name], test.known.last_day, self.bands(name, test.label))

    def scores(self) -> list[CaseScore]:
        """Score the baselines, the best way of each law and the chosen forecaster, each as other patients had it chosen."""
        out = []
        for test in self.tests:
            choice = self.choice(test.label)
            shown = {**{b: b for b in BASELINES}, **choice.best_of_law, CHOSEN: choice.name}
            for as_name, name in shown.items():
                bands = self.bands(name, test.label)
                level = bands[0].coverage if bands else self.coverage
                told = replace(self.told(test, name), model=as_name)
                reference = test.known.last_volume_ml
                out += score_forecast(test.label, told, test.day, test.observed_ml, reference, interval_level=level)
        return out

    def model(self, whole: _Taught, source: str) -> CohortModel:
        return CohortModel(
            whole.priors,
            tuple(self.candidates),
            self.overall_bands,
            whole.rate_per_day,
            self.overall.name,
            self.coverage,
            self.detection_ml,
            len(self.tests),
            source,
        )

    def notes(self, n_patients: int) -> tuple[str, ...]:
        """Say what the cohort as a whole allowed."""
        name = self.overall.name
        kept = self.bands(name, self.tests[0].label) if self.tests else self.overall_bands[name]
        notes = [f"{len(self.tests)} of {n_patients} patients have two usable scans, so that their last scan could be foretold"]
        notes.append(self.overall.reason)
        if self.overall.name in BASELINES:
            notes.append(f"no growth model is used: the baseline {self.overall.name} is as good or better")
        if not kept:
            notes.append("there are too few other patients to calibrate an interval, so that none is given")
        elif kept[0].coverage < self.coverage - 1e-9:
            notes.append(
                f"{kept[0].n_patients} patients calibrate an interval of {100 * kept[0].coverage:g} % at most; "
                f"{100 * self.coverage:g} % would need {int(np.ceil(2 / (1 - self.coverage) - 1 - 1e-9))} others"
            )
        if self.tests:
            spans = [t.day - t.known.last_day for t in self.tests]
            notes.append(
                f"the back-tests reach {np.median(spans):.0f} days ahead in the median and {max(spans):.0f} at most; "
                "beyond, intervals widen with the square root of time"
            )
        if self.tests and kept and not self.is_external:
            notes.append(
                "over all patients together such intervals cover the promised share by construction; strata and new cohorts "
                "tell more"
            )
        return tuple(notes)


def _patient(
    use: UsableSeries, patient: PatientSeries, bench: _Bench, taught: _Taught, parameters: GrowthParameters
) -> PatientForecast:
    """Forecast one patient from the last scan on."""
    choice = bench.choice(use.label)
    empty = PatientForecast(use.label, use.status, use.reason, use.series, patient.record, choice.name, choice.reason)
    if use.series is None or use.status != "ok":
        return replace(empty, notes=use.notes)
    series = use.series
    days = series.last_day + parameters.horizon_days * np.arange(1, _DAYS_SHOWN + 1) / _DAYS_SHOWN
    told = _told(use, series, days, bench.candidates, taught, parameters)
    names = [choice.name, *(b for b in BASELINES if b != choice.name)]
    forecasts = tuple(calibrated(told.forecasts[n], series.last_day, bench.bands(n, use.label)) for n in names)
    bands = bench.bands(choice.name, use.label)
    law = next((c.law for c in bench.candidates if c.name == choice.name), "") or next(iter(told.fits), "")
    threshold_ml = progression_threshold_ml(series, parameters.progression_share)
    test = next((t for t in bench.tests if t.label == use.label), None)
    own = next((c for c in told.fits.values() if c.status == "ok" and c.model.name == law), None)
    notes = [*use.notes, *(r for r in dict.fromkeys(f.reason for f in (forecasts[0],)) if r)]
    if not bands:
        notes.append("too few other patients to calibrate an interval")
    time: ThresholdTime = progression_time(forecasts[0], threshold_ml, series, bool(bands))
    return replace(
        empty,
        fit=own,
        fits=told.fits,
        forecasts=forecasts,
        backtest=bench.told(test, choice.name) if test else None,
        observed=(test.day, test.observed_ml) if test else None,
        threshold=time,
        coverage=bands[0].coverage if bands else float("nan"),
        n_calibration=bands[0].n_patients if bands else 0,
        notes=tuple(notes),
    )
