"""The closed forms of growth equal an adaptive integrator, with and without treatment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from regrowth.errors import ParameterError
from regrowth.growth.models import (
    BERTALANFFY,
    EXPONENTIAL,
    GOMPERTZ,
    GROWTH_INHIBITION,
    GROWTH_MODELS,
    LIVE_DAMAGED,
    LOGISTIC,
    PROLIFERATION_SATURATION,
    GrowthModel,
    growth_model,
    laslo2025,
)
from regrowth.growth.treatment import NO_TREATMENT, DrugCourse, Fraction, Surgery, Treatment

SCANS = np.array([0.0, 31.0, 60.0, 60.5, 120.0, 200.0])
COURSE = Treatment(
    tuple(Fraction(20.0 + d, 2.0 + 0.5 * d) for d in (0, 1, 4, 12)),
    (Surgery(55.0, 0.3),),
    (DrugCourse(40.0, 130.0), DrugCourse(100.0, 150.0, 0.5)),
)


def derivative(model: GrowthModel, p: dict[str, float], kappa: float, t: float, drug_start: float):
    """Right-hand side of the log of the live (or only) compartment, from the textbook."""
    g, capacity = p["growth_per_day"], p.get("capacity_ml", np.inf)
    if model is GROWTH_INHIBITION:
        kappa = kappa * np.exp(-p["resistance_per_day"] * (t - drug_start))
    specific = {
        "exponential": lambda x: g,
        "growth_inhibition": lambda x: g,
        "live_damaged": lambda x: g,
        "logistic": lambda x: g * (1 - np.exp(x) / capacity),
        "proliferation_saturation": lambda x: g * (1 - np.exp(x) / capacity),
        "gompertz": lambda x: g * (np.log(capacity) - x),
        "bertalanffy": lambda x: g / p["exponent"] * ((capacity / np.exp(x)) ** p["exponent"] - 1),
    }[model.name]
    return lambda x: specific(x) - kappa


def integrated(model: GrowthModel, values: np.ndarray, days: np.ndarray, treatment: Treatment) -> np.ndarray:
    """Integrate piece by piece between events: live cells in log, and one damaged compartment for each fraction."""
    p = dict(zip(model.parameter_names, values, strict=True))
    n = len(treatment.fractions)
    state = np.concatenate([[np.log(p["initial_ml"])], np.zeros(n)])
    happens = {f.day for f in treatment.fractions} | {s.day for s in treatment.surgeries}
    happens |= {x for d in treatment.drugs for x in (d.start_day, d.stop_day)}
    edges = sorted({0.0, float(days.max())} | {x for x in happens if 0 <= x < days.max()})
    out = np.full(days.size, np.nan)
    out[days == 0] = p["initial_ml"]
    for a, b in itertools.pairwise(edges):
        for i, f in enumerate(treatment.fractions):
            if f.day == a:
                survival = np.exp(-p["alpha_per_gy"] * (f.dose_gy + f.dose_gy**2 / treatment.alpha_beta_gy))
                if model is PROLIFERATION_SATURATION:
                    v = np.exp(state[0])
                    state[0] = np.log(v - (1 - survival) * v * (1 - v / p["capacity_ml"]))
                else:
                    state[1 + i] = (1 - survival) * np.exp(state[0])
                    state[0] += np.log(survival)
        for s in treatment.surgeries:
            if s.day == a:
                state[0] += np.log(s.remaining_fraction)
                state[1:] *= s.remaining_fraction

        active = [d for d in treatment.drugs if d.start_day <= a and b <= d.stop_day]

        def rhs(t, y, active=active):
            kappas = [(p["drug_kill_per_day"] * d.intensity, d.start_day) for d in active] or [(0.0, 0.0)]
            base = derivative(model, p, 0.0, t, 0.0)(y[0])
            live = base + sum(derivative(model, p, k, t, s)(y[0]) - base for k, s in kappas)
            dead = (
                [
                    -p["decay_per_day"] * np.tanh(p["slope_per_day"] * (t - p["delay_days"] - f.day)) * y[1 + i]
                    for i, f in enumerate(treatment.fractions)
                ]
                if model is LIVE_DAMAGED
                else [0.0] * n
            )
            return np.array([live, *dead])

        here = (days > a) & (days <= b)
        grid = np.union1d(days[here], [b])
        done = solve_ivp(rhs, (a, b), state, "DOP853", grid, rtol=1e-12, atol=1e-13)
        total = np.exp(done.y[0]) + (done.y[1:].sum(axis=0) if model is LIVE_DAMAGED else 0.0)
        out[here] = total[np.isin(grid, days[here])]
        state = done.y[:, -1].copy()
    return out


def drawn(model: GrowthModel, rng: np.random.Generator, n: int) -> np.ndarray:
    centre = np.array([p.typical for p in model.parameters])
    return centre * np.exp(rng.uniform(-1, 1, (n, centre.size)))


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
def test_closed_form_equals_an_adaptive_integrator(model, rng):
    """300 random parameter sets over all laws: 43 each, a third of them without any treatment."""
    for treatment, n in ((COURSE, 29), (NO_TREATMENT, 14)):
        values = drawn(model, rng, n)
        ours = model.volumes_ml(values, SCANS, treatment)
        truth = np.array([integrated(model, v, SCANS, treatment) for v in values])
        np.testing.assert_allclose(ours, truth, rtol=1e-8)


def published_right_hand_side(t, y, lambda_gr, lambda_decay, delay, slope, t_rt):
    live, damaged = y
    return [lambda_gr * live, -np.tanh(slope * (t - delay - t_rt)) * lambda_decay * damaged]


def test_laslo2025_equals_the_published_right_hand_side(rng):
    days, t_rt = np.array([0.0, 5, 15, 20, 30, 80, 150]), 15.0
    for _ in range(20):
        p = {"lambda_gr": rng.uniform(0.001, 0.05), "lambda_decay": rng.uniform(0.001, 0.1), "delay": rng.uniform(0.1, 60)}
        p |= {"slope": rng.uniform(0.01, 2)}
        sd_1, first = rng.uniform(0.001, 0.2), rng.uniform(0.5, 40)
        before = solve_ivp(
            published_right_hand_side,
            (0, t_rt),
            [first, 0.0],
            "DOP853",
            days[days <= t_rt],
            args=(*p.values(), t_rt),
            rtol=1e-12,
            atol=1e-14,
        )
        live = before.y[0, -1]
        after = solve_ivp(
            published_right_hand_side,
            (t_rt, 150),
            [sd_1 * live, (1 - sd_1) * live],
            "DOP853",
            days[days > t_rt],
            args=(*p.values(), t_rt),
            rtol=1e-12,
            atol=1e-14,
        )
        truth = np.concatenate([before.y.sum(axis=0), after.y.sum(axis=0)])
        model, values, treatment = laslo2025(first, t_rt, sd_1=sd_1, **p)
        np.testing.assert_allclose(model.volumes_ml(values, days, treatment), truth, rtol=1e-8)


def test_laslo2025_refuses_a_survival_of_nothing_or_all():
    for sd_1 in (0.0, 1.0):
        with pytest.raises(ParameterError, match="between 0 and 1"):
            laslo2025(1.0, 10.0, sd_1=sd_1)


@pytest.mark.parametrize("model", [EXPONENTIAL, GROWTH_INHIBITION, LIVE_DAMAGED], ids=lambda m: m.name)
def test_treatment_before_the_first_scan_goes_on_as_if_it_had_been_watched(model, rng):
    values = drawn(model, rng, 5)
    whole = model.volumes_ml(values, [0.0, 70, 100, 180], COURSE)
    later = values.copy()
    later[:, 0] = whole[:, 1]  # scanned first on day 70, after the fractions and the surgery
    watched = model.volumes_ml(later, [70.0, 100, 180], COURSE, start_day=70.0)
    np.testing.assert_allclose(watched, whole[:, 1:], rtol=1e-10)


@pytest.mark.parametrize("model", [LOGISTIC, GOMPERTZ, BERTALANFFY, PROLIFERATION_SATURATION], ids=lambda m: m.name)
def test_a_curve_with_capacity_can_be_taken_up_on_any_day(model, rng):
    values = drawn(model, rng, 5)
    whole = model.volumes_ml(values, [0.0, 22.0, 45.0, 180.0], COURSE)
    later = values.copy()
    later[:, 0] = whole[:, 1]
    np.testing.assert_allclose(model.volumes_ml(later, [22.0, 45, 180], COURSE, start_day=22.0), whole[:, 1:], rtol=1e-10)


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
def test_a_scan_on_the_day_of_a_fraction_comes_before_it(model):
    values = np.array([p.typical for p in model.parameters])
    course = Treatment((Fraction(30.0, 20.0),), (Surgery(30.0, 0.5),))
    untouched = model.volumes_ml(values, [30.0])
    assert model.volumes_ml(values, [30.0], course) == pytest.approx(untouched)
    assert model.volumes_ml(values, [30.0001], course)[0] < 0.6 * untouched[0]


def test_logistic_is_bertalanffy_turned_upside_down_and_gompertz_lies_between():
    days = np.array([0.0, 50, 400])
    slow = BERTALANFFY.array(
        initial_ml=1, growth_per_day=0.01, capacity_ml=30, exponent=1e-5, alpha_per_gy=0.1, drug_kill_per_day=0.1
    )
    gompertz = GOMPERTZ.array(initial_ml=1, growth_per_day=0.01, capacity_ml=30, alpha_per_gy=0.1, drug_kill_per_day=0.1)
    np.testing.assert_allclose(BERTALANFFY.volumes_ml(slow, days), GOMPERTZ.volumes_ml(gompertz, days), rtol=1e-3)


def test_saturated_tumour_is_spared_by_radiation():
    course = Treatment.fractionated(0.0, 30)
    small, full = ({"initial_ml": v} for v in (1.0, 99.999))
    rest = {"growth_per_day": 0.01, "capacity_ml": 100.0, "alpha_per_gy": 0.03, "drug_kill_per_day": 0.1}
    shrinks = PROLIFERATION_SATURATION.volumes_ml(PROLIFERATION_SATURATION.array(**small, **rest), [41.0], course)
    stays = PROLIFERATION_SATURATION.volumes_ml(PROLIFERATION_SATURATION.array(**full, **rest), [41.0], course)
    assert shrinks[0] < 0.2
    assert stays[0] > 99.0


@pytest.mark.parametrize("model", GROWTH_MODELS, ids=lambda m: m.name)
def test_extreme_parameters_give_finite_logarithms(model):
    bounds = np.array([[p.lower, p.upper] for p in model.parameters])
    corners = np.array(np.meshgrid(*bounds)).reshape(len(bounds), -1).T
    log_volumes = model.log_volumes(np.log(corners), np.array([0.0, 1.0, 5000.0]), COURSE, 0.0)
    assert np.isfinite(log_volumes).all()


def test_course_of_thirty_fractions_leaves_out_weekends_and_ends_on_day_39():
    course = Treatment.fractionated(10.0, 30)
    assert course.fraction_days[[0, 4, 5, -1]].tolist() == [10.0, 14.0, 17.0, 49.0]
    assert Treatment.fractionated(0.0, 3, start_weekday=4).fraction_days.tolist() == [0.0, 3.0, 4.0]
    assert Treatment.fractionated(0.0, 30).effective_dose_gy.sum() == pytest.approx(72.0)


def test_single_event_has_the_effective_dose_of_the_course():
    assert Treatment.single_event(3.0).effective_dose_gy == pytest.approx([72.0])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Treatment((Fraction(0, 0.0),)),
        lambda: Treatment((Fraction(np.nan, 2.0),)),
        lambda: Treatment((Fraction(0.0, 2.0), Fraction("2020-01-01", 2.0))),
        lambda: Treatment((Fraction(0.0, "2 Gy"),)),
        lambda: Treatment(surgeries=(Surgery(0, 0.0),)),
        lambda: Treatment(surgeries=(Surgery(0, 1.2),)),
        lambda: Treatment(drugs=(DrugCourse(10, 10),)),
        lambda: Treatment(drugs=(DrugCourse(0, 10, -1),)),
        lambda: Treatment(alpha_beta_gy=0.0),
        lambda: Treatment.fractionated(0.0, 0),
        lambda: EXPONENTIAL.volumes_ml([1.0, 0.0, 0.1, 0.1], [0.0]),
        lambda: EXPONENTIAL.volumes_ml([1.0, 0.1, 0.1], [0.0]),
        lambda: EXPONENTIAL.volumes_ml([1.0, 0.1, 0.1, 0.1], [-1.0]),
        lambda: EXPONENTIAL.array(initial_ml=1.0),
        lambda: growth_model("linear"),
    ],
)
def test_wrong_treatment_or_parameters_are_refused(wrong):
    with pytest.raises(ParameterError):
        wrong()


def test_models_are_found_by_name():
    assert [growth_model(m.name) for m in GROWTH_MODELS] == list(GROWTH_MODELS)
