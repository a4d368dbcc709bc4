"""A patient is told by what others taught, intervals hold what they promise, and a baseline that wins is used and named."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from regrowth.errors import InputError, ParameterError
from regrowth.growth.backtest import BackTest, calibrated, choose, keepable, learn_bands, leave_one_out_bands
from regrowth.growth.cohort_forecast import forecast_cohort, learn_cohort_model
from regrowth.growth.cohort_model import BASELINES, Candidate, CohortModel
from regrowth.growth.cohort_prior import learn_cohort_prior
from regrowth.growth.cohort_results import CHOSEN, COLUMNS, CohortForecast, progression_time
from regrowth.growth.conformal import learn_conformal_band
from regrowth.growth.fold_priors import learn_fold_priors
from regrowth.growth.models import EXPONENTIAL, GOMPERTZ
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.patient_series import PatientSeries, usable_series
from regrowth.growth.record import TreatmentRecord
from regrowth.growth.series import Forecast, VolumeSeries
from regrowth.growth.treatment import DrugCourse, Fraction, Treatment
from regrowth.phantom.series import SeriesSettings, SyntheticSeries, synthetic_series

QUICK = GrowthParameters(models="exponential", draws=100, folds=5)


def cohort(made: SyntheticSeries) -> list[PatientSeries]:
    """Patients of a synthetic cohort with their treatment."""
    out = []
    for truth in made.truth:
        name = truth["participant_id"]
        seen = [r for r in made.volumes if r["participant_id"] == name]
        course, drug = (r for r in made.treatment if r["participant_id"] == name)
        given = Treatment.fractionated(
            course["day"], course["fractions"], course["dose_gy"], drugs=(DrugCourse(drug["day"], drug["stop_day"] or np.inf),)
        )
        days, volumes = [r["day"] for r in seen], [r["volume_ml"] for r in seen]
        out.append(PatientSeries.from_exams(str(name).removeprefix("sub-"), days, volumes, TreatmentRecord(given)))
    return out


def drawn(n: int, seed: int, **settings: float) -> list[PatientSeries]:
    return cohort(synthetic_series(n, np.random.default_rng(seed), SeriesSettings(**settings)))


@pytest.fixture(scope="module")
def mixed() -> list[PatientSeries]:
    return drawn(24, 11)


@pytest.fixture(scope="module")
def told(mixed) -> CohortForecast:
    return forecast_cohort(mixed, QUICK)


def by_label(found: CohortForecast) -> Mapping[str, object]:
    return {p.label: p for p in found.patients}


def mean_of(found: CohortForecast, model: str, measure: str, stratum: str = "all") -> float:
    (one,) = [s for s in found.card.summaries if (s.model, s.measure, s.stratum) == (model, measure, stratum)]
    return one.mean.value


# What is learned


@pytest.mark.parametrize("model", [EXPONENTIAL, GOMPERTZ], ids=lambda m: m.name)
def test_the_prior_of_a_group_is_that_of_the_same_patients_alone(mixed, model):
    uses = [usable_series(p) for p in mixed[:9]]
    members = np.ones((2, 9), bool)
    members[0, ::3] = False
    priors = learn_fold_priors([u.series for u in uses], model, [u.treatment for u in uses], members)
    for row, prior in zip(members, priors, strict=True):
        own = [u for u, yes in zip(uses, row, strict=True) if yes]
        alone = learn_cohort_prior(
            [u.series for u in own], model, [u.treatment for u in own], n_iterations=5, noise_freedom=4.0
        )
        np.testing.assert_allclose(prior.mean_log, alone.mean_log, atol=5e-3)
        np.testing.assert_allclose(prior.covariance_log, alone.covariance_log, atol=5e-3)
        assert prior.noise_sd_log == pytest.approx(alone.noise_sd_log, rel=5e-3)
        assert prior.n_patients == len(own)


def test_a_group_without_a_patient_who_can_be_fitted_has_no_prior():
    one = VolumeSeries([0.0], [3.0])
    two = VolumeSeries([0.0, 50.0], [3.0, 4.0])
    priors = learn_fold_priors([one, two], EXPONENTIAL, [Treatment()] * 2, np.array([[True, False], [True, True]]))
    assert priors[0] is None
    assert priors[1].n_patients == 1


def point_tests(errors: Sequence[float], days: float = 60.0) -> list[BackTest]:
    known = VolumeSeries([0.0, 50.0], [9.0, 10.0])
    forecast = Forecast([50.0 + days], [0.5], [[10.0]], None, "persistence")
    return [
        BackTest(str(k), known, 50.0 + days, float(10 * np.exp(e)), {"persistence": forecast}) for k, e in enumerate(errors)
    ]


def test_bands_without_a_patient_are_those_learned_from_the_others(rng):
    tests = point_tests(rng.normal(0.1, 0.4, 25))
    left_out = leave_one_out_bands(tests, "persistence", 0.9, 0.05)
    for i, bands in enumerate(left_out):
        others = [t for k, t in enumerate(tests) if k != i]
        assert [b.coverage for b in bands] == [0.9, 0.8, 0.5]
        for band in bands:
            wanted = learn_conformal_band(
                [t.forecasts["persistence"] for t in others],
                [t.observed_ml for t in others],
                [50.0] * 24,
                band.coverage,
            )
            assert band.lower_shift_log == pytest.approx(wanted.lower_shift_log)
            assert band.upper_shift_log == pytest.approx(wanted.upper_shift_log)
            assert (band.n_patients, band.time_exponent) == (24, wanted.time_exponent)


def test_an_interval_is_promised_only_with_enough_patients_to_keep_it():
    assert [keepable(0.9, n) for n in (2, 3, 8, 9, 18, 19)] == [
        (),
        (0.5,),
        (0.5,),
        (0.8, 0.5),
        (0.8, 0.5),
        (0.9, 0.8, 0.5),
    ]
    assert keepable(0.6, 19) == (0.6, 0.5)
    for n in (3, 9, 19):
        bands = learn_bands(point_tests(np.linspace(-1, 1, n)), "persistence", 0.9, 0.05)
        assert np.isfinite([(b.lower_shift_log, b.upper_shift_log) for b in bands]).all()


def test_a_calibrated_forecast_has_nested_quantiles_and_no_samples(rng):
    bands = learn_bands(point_tests(rng.normal(0, 0.4, 30)), "persistence", 0.9, 0.05)
    told = calibrated(Forecast([60.0, 90.0], [0.5], [[10.0, 10.0]], None, "persistence"), 50.0, bands)
    assert told.samples_ml is None
    np.testing.assert_allclose(told.quantile_levels, [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    assert (np.diff(told.volumes_ml, axis=0) >= 0).all()
    np.testing.assert_allclose(told.median, 10.0)
    bare = calibrated(Forecast([60.0], [0.05, 0.5, 0.95], [[1.0], [2.0], [3.0]], None, "x"), 50.0, ())
    assert bare.quantile_levels.tolist() == [0.5]  # an interval that nobody calibrated is dropped


def test_what_cannot_be_seen_is_inside_of_an_interval_that_reaches_the_limit_of_detection():
    known = VolumeSeries([0.0, 50.0], [0.2, 0.1])
    forecast = Forecast([110.0], [0.5], [[0.1]], None, "persistence")
    tests = [BackTest(str(k), known, 110.0, 0.0 if k % 2 else 0.1, {"persistence": forecast}) for k in range(24)]
    bands = learn_bands(tests, "persistence", 0.9, 0.05)
    told = calibrated(forecast, 50.0, bands)
    assert told.volumes_ml[0, 0] == 0.0
    unseen = calibrated(Forecast([110.0], [0.5], [[0.0]], None, "persistence"), 50.0, bands)
    assert unseen.volumes_ml[-1, 0] >= 0.05


def test_a_model_is_chosen_only_when_patients_show_that_it_is_better(rng):
    candidates = (*(Candidate(b) for b in BASELINES), Candidate("a, full trend", "a"), Candidate("a, half trend", "a"))
    base = np.abs(rng.normal(0.4, 0.1, 40))
    noise = rng.normal(0, 0.2, 40)
    much_better = np.stack([base, base + 0.1, base + 0.2, base - 0.2, base - 0.15], axis=1)
    assert choose(much_better, candidates).name == "a, full trend"
    hardly = np.stack([base, base + 0.1, base + 0.2, base - 0.001 + noise - noise.mean(), base], axis=1)
    assert choose(hardly, candidates).name == "persistence"
    assert choose(much_better[:2], candidates).name == "persistence"
    assert "too few" in choose(much_better[:2], candidates).reason
    assert choose(much_better, candidates).best_of_law == {"a": "a, full trend"}


# Oracles


def test_ninety_percent_intervals_hold_85_to_95_percent_of_200_new_patients():
    quicker = replace(QUICK, draws=50, folds=3)
    model = learn_cohort_model(drawn(120, 1, most_exams=4), quicker)
    found = forecast_cohort(drawn(200, 2, most_exams=4), quicker, external=model)
    (hits,) = [s for s in found.card.summaries if (s.model, s.measure, s.stratum) == (CHOSEN, "interval_hit", "all")]
    assert hits.n == 200
    assert 0.85 <= hits.mean.value <= 0.95
    assert not found.baseline_wins  # so that the intervals are those of a growth model


def test_where_tumours_grow_a_model_is_used_and_beats_persistence():
    found = forecast_cohort(drawn(40, 3, stable_share=0.0, shrinking_share=0.0), QUICK)
    assert not found.baseline_wins
    verdicts = [c for c in found.card.comparisons if (c.model, c.baseline, c.stratum) == (CHOSEN, "persistence", "all")]
    (log_error,) = [c for c in verdicts if c.measure == "log_error"]
    assert "beats the baseline" in log_error.verdict
    assert mean_of(found, CHOSEN, "log_error") < 0.7 * mean_of(found, "persistence", "log_error")


def test_where_tumours_hold_still_persistence_is_used_and_said():
    found = forecast_cohort(drawn(40, 4, stable_share=1.0, shrinking_share=0.0), QUICK)
    assert found.chosen == "persistence"
    assert found.baseline_wins
    assert any("no growth model is used" in n for n in found.notes)
    for one in found.patients:
        if one.is_baseline:
            np.testing.assert_allclose(one.forecasts[0].median, one.series.last_volume_ml)


# Honesty


def test_the_result_does_not_depend_on_the_order_of_the_patients(mixed, told):
    again = by_label(forecast_cohort(mixed[::-1], QUICK))
    assert [p.label for p in told.patients] == [p.label for p in mixed]
    for one in told.patients:
        np.testing.assert_array_equal(one.forecasts[0].volumes_ml, again[one.label].forecasts[0].volumes_ml)
        np.testing.assert_array_equal(one.backtest.volumes_ml, again[one.label].backtest.volumes_ml)


def test_a_patients_own_last_scan_never_changes_what_was_foretold_of_it(mixed, told):
    label = mixed[5].label
    days, volumes = mixed[5].series.days, mixed[5].series.volumes_ml.copy()
    volumes[-1] *= 3
    changed = [*mixed[:5], PatientSeries.from_exams(label, days, volumes, mixed[5].record), *mixed[6:]]
    before, after = by_label(told)[label], by_label(forecast_cohort(changed, QUICK))[label]
    assert before.chosen == after.chosen
    np.testing.assert_array_equal(before.backtest.median, after.backtest.median)
    assert after.observed[1] == pytest.approx(3 * before.observed[1])
    assert after.forecasts[0].median[0] > before.forecasts[0].median[0]


def test_every_forecast_stands_beside_all_baselines_and_only_calibrated_ones_have_ends(told):
    for one in told.patients:
        names = [f.model for f in one.forecasts]
        assert names[0] == one.chosen
        assert set(BASELINES) <= set(names)
        assert all(f.samples_ml is None for f in one.forecasts)
        assert (one.coverage, one.n_calibration) == (0.9, 23)


@pytest.mark.parametrize(("n", "coverage"), [(3, None), (5, 0.5), (12, 0.8)])
def test_small_cohorts_get_the_widest_interval_that_they_can_keep(mixed, n, coverage):
    found = forecast_cohort(mixed[:n], QUICK)
    one = found.patients[0]
    if coverage is None:
        assert np.isnan(one.coverage)
        assert one.threshold.status in ("not_calibrated", "passed")
        assert all(r["lower_ml"] is None and r["coverage"] is None for r in found.forecast_rows())
        assert any("none is given" in note for note in found.notes)
    else:
        assert one.coverage == coverage
        rows = [r for r in found.forecast_rows() if r["role"] == "chosen"]
        assert all(r["lower_ml"] <= r["median_ml"] <= r["upper_ml"] for r in rows)
        assert any("would need 19 others" in note for note in found.notes)


def test_an_external_model_tells_each_patient_alone_what_it_tells_among_others(mixed):
    model = learn_cohort_model(mixed[:14], QUICK)
    together = forecast_cohort(mixed[14:], QUICK, external=model)
    alone = forecast_cohort([mixed[20]], QUICK, external=model)
    assert together.is_external
    assert alone.chosen == model.chosen
    np.testing.assert_array_equal(alone.patients[0].forecasts[0].volumes_ml, together.patients[6].forecasts[0].volumes_ml)
    assert alone.patients[0].coverage == 0.8
    assert alone.model is model


def test_the_coverage_of_an_external_model_is_kept_whatever_is_asked_for(mixed):
    model = learn_cohort_model(mixed[:14], replace(QUICK, coverage=0.85))
    one = forecast_cohort([mixed[20]], QUICK, external=model).patients[0]
    assert one.coverage == 0.85
    assert np.isfinite(one.forecasts[0].volumes_ml).all()


# Patients who cannot be forecast, or hardly


def test_what_cannot_be_forecast_has_a_status_and_a_reason_and_costs_nobody_else(mixed, told):
    odd = [
        PatientSeries.from_exams("equal", [0, 30, 30], [1.0, 2.0, 3.0]),
        PatientSeries.from_exams("negative", [0, 30], [1.0, -2.0]),
        PatientSeries.from_exams("none", [0.0], [float("nan")]),
        PatientSeries.from_exams("empty", [], []),
        PatientSeries.from_exams("zero", [0, 30, 60], [0.0, 0.0, 0.0]),
        PatientSeries.from_exams("resected", [0, 30], [4.0, 3.0], TreatmentRecord(resections=(40.0,))),
    ]
    found = forecast_cohort([*mixed, *odd], QUICK)
    status = {p.label: (p.status, p.reason) for p in found.patients}
    assert status["equal"][0] == status["negative"][0] == "invalid_series"
    assert "day 30" in status["equal"][1]
    assert status["none"][0] == status["empty"][0] == status["resected"][0] == "no_scan"
    assert status["zero"][0] == "no_tumour"
    for one in odd:
        patient = by_label(found)[one.label]
        assert patient.reason
        assert patient.forecasts == ()
        assert patient.backtest is None
    rows = [r for r in found.forecast_rows() if r["participant_id"] == "sub-zero"]
    assert len(rows) == 1
    assert rows[0]["median_ml"] is None
    others = by_label(found)
    for one in told.patients:
        np.testing.assert_array_equal(one.forecasts[0].volumes_ml, others[one.label].forecasts[0].volumes_ml)


def test_hard_series_are_forecast_with_a_note(mixed):
    early = Treatment((Fraction(-50.0, 2.0),), drugs=(DrugCourse(-60.0, -10.0),))
    odd = {
        "single": PatientSeries.from_exams("single", [0.0], [5.0]),
        "constant": PatientSeries.from_exams("constant", [0, 30, 60], [5.0, 5.0, 5.0]),
        "vanished": PatientSeries.from_exams("vanished", [0, 30, 60], [5.0, 1.0, 0.0]),
        "returned": PatientSeries.from_exams("returned", [0, 30, 60], [5.0, 0.0, 3.0]),
        "early": PatientSeries.from_exams("early", [0, 30, 60], [5.0, 6.0, 7.0], TreatmentRecord(early)),
        "cut": PatientSeries.from_exams(
            "cut", [0, 30, 60, 90], [40.0, 30.0, 5.0, 6.0], TreatmentRecord(resections=(30.0,), notes=("assumed",))
        ),
    }
    found = by_label(forecast_cohort([*mixed, *odd.values()], QUICK))
    for label in odd:
        one = found[label]
        assert one.status == "ok", one.reason
        assert np.isfinite(one.forecasts[0].volumes_ml).all()
        assert (one.backtest is None) == (label == "single")
    assert any("one scan" in n for n in found["single"].notes)
    assert found["vanished"].threshold.status == found["returned"].threshold.status == "no_threshold"
    assert any("either sign" in n for n in found["early"].notes)
    assert found["cut"].series.days.tolist() == [60.0, 90.0]
    assert any("2 exam(s) up to the resection" in n for n in found["cut"].notes)
    assert "assumed" in found["cut"].notes


@pytest.mark.parametrize("n", [0, 1])
def test_a_cohort_of_hardly_anybody_is_no_error(mixed, n):
    found = forecast_cohort(mixed[:n], QUICK)
    assert len(found.patients) == n
    assert found.chosen == "persistence"
    if n:
        assert found.patients[0].status == "ok"
        assert np.isnan(found.patients[0].coverage)
        assert found.parameter_rows()
    else:
        assert found.card is None
        with pytest.raises(ParameterError, match="at least one patient"):
            learn_cohort_model([], QUICK)


def test_a_label_that_is_given_twice_is_refused(mixed):
    with pytest.raises(ParameterError, match="given twice"):
        forecast_cohort([mixed[0], mixed[0]], QUICK)


# Time to progression


def test_the_time_to_progression_is_read_from_the_calibrated_quantiles():
    series = VolumeSeries([0.0, 100.0], [10.0, 10.0])
    days = 100 + np.arange(1.0, 91.0)
    rates = np.array([0.0, 0.01, 0.02])
    forecast = Forecast(days, [0.05, 0.5, 0.95], 10 * np.exp(rates[:, None] * (days - 100)), None, "m")
    found = progression_time(forecast, 14.0, series, True)
    assert found.status == "ok"
    assert found.median_days == pytest.approx(np.log(1.4) / 0.01, rel=1e-6)
    assert found.lower_days == pytest.approx(np.log(1.4) / 0.02, rel=1e-6)
    assert found.upper_days == np.inf
    assert 0.5 < found.probability < 0.95
    far = progression_time(forecast, 1000.0, series, True)
    assert (far.probability, far.reason) == (pytest.approx(0.05), "at most")
    assert far.median_days == np.inf
    assert progression_time(forecast, 14.0, series, False).status == "not_calibrated"
    assert progression_time(forecast, 9.0, series, True).status == "passed"
    assert progression_time(forecast, float("nan"), series, True).status == "no_threshold"


# Real lesions


@pytest.mark.realdata
def test_intervals_learned_on_real_lesions_hold_what_they_promise_for_others(real_data):
    path = real_data / "lesion-series" / "lesion_series.csv"
    if not path.is_file():
        pytest.skip("lesion series are absent")
    drug = TreatmentRecord(Treatment(drugs=(DrugCourse(0.0),)))  # body lesions under chemo- or immunotherapy
    parts: tuple[list[PatientSeries], list[PatientSeries]] = ([], [])
    with path.open(encoding="utf-8") as file:
        for i, row in enumerate(csv.DictReader(file)):
            days, volumes = json.loads(row["T_days"]), np.array(json.loads(row["Lesion_vol"])) / 1000
            one = PatientSeries.from_exams(str(i), days, volumes, drug)
            if len(days) >= 4 and one.status == "ok" and volumes[:-1].any():
                parts[i % 2].append(one)
    model = learn_cohort_model(parts[0][:100], QUICK, detection_ml=0.065)
    found = forecast_cohort(parts[1], QUICK, external=model)
    (hits,) = [s for s in found.card.summaries if (s.model, s.measure, s.stratum) == (CHOSEN, "interval_hit", "all")]
    assert hits.n == 264
    assert 0.85 <= hits.mean.value <= 0.95
    # Persistence is hard to beat on such lesions: what is used is no worse.
    assert mean_of(found, CHOSEN, "log_error") <= 1.02 * mean_of(found, "persistence", "log_error")


# Tables and the file


def test_every_column_of_the_tables_is_described(told):
    tables = (told.forecast_rows(), told.patient_rows(), told.parameter_rows(), told.score_rows(), told.choice_rows())
    for rows in tables:
        assert rows
        assert set().union(*rows) <= set(COLUMNS)
    assert len(told.patient_rows()) == 24
    assert COLUMNS["median_ml"]["Units"] == "ml"


def test_a_model_that_was_written_down_tells_the_same(mixed, told):
    text = json.dumps(told.model.as_dict(), allow_nan=False)
    again = CohortModel.from_dict(json.loads(text))
    assert again.as_dict() == told.model.as_dict()
    ours = forecast_cohort(mixed[:2], QUICK, external=told.model)
    theirs = forecast_cohort(mixed[:2], QUICK, external=again)
    for a, b in zip(ours.patients, theirs.patients, strict=True):
        np.testing.assert_array_equal(a.forecasts[0].volumes_ml, b.forecasts[0].volumes_ml)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format",), "something", "format"),
        (("chosen",), "nobody", "chosen"),
        (("coverage",), 1.5, "coverage"),
        (("priors", "exponential", "mean_log"), [0.0], "mean"),
        (("priors", "exponential", "noise_sd_log"), -1.0, "positive"),
        (("priors", "exponential", "parameters"), ["a"], "parameters"),
        (("forecasters", 0, "bands", 0, "upper_shift_log"), None, "not possible"),
        (("forecasters", 3, "law"), "linear", "prior"),
        (("priors",), None, "not possible"),
        (("common_rate_per_day",), ..., "lacks"),
    ],
)
def test_a_model_file_with_a_fault_is_refused_in_one_line(told, path, value, words):
    values = json.loads(json.dumps(told.model.as_dict()))
    place = values
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(InputError, match=words) as caught:
        CohortModel.from_dict(values)
    assert "\n" not in str(caught.value)


def test_parameters_name_their_spread_and_the_patients_behind_the_prior(told, mixed):
    rows = [r for r in told.parameter_rows() if r["participant_id"] == f"sub-{mixed[0].label}"]
    assert {r["parameter"] for r in rows} == set(EXPONENTIAL.parameter_names)
    assert all(0 < r["n_prior_patients"] < 24 for r in rows)
    assert all(r["posterior_sd_log"] > 0 for r in rows)
    quicker = replace(QUICK, horizon_days=30.0)
    short = forecast_cohort(mixed[:4], quicker)
    assert short.patients[0].forecasts[0].days[-1] == pytest.approx(mixed[0].series.last_day + 30)
