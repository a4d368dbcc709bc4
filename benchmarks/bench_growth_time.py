"""How fast growth curves are beside odeint, and how well they foretell 731 real lesions beside the baselines.

    python benchmarks/bench_growth_time.py [--only speed|lesions] [--data DIR]

Speed: one curve of the live/damaged model with the parameters of Laslo et al. beside ``scipy.integrate.odeint`` at the
tolerance of their code (1e-4), 300 curves at once, and 30 bootstrap draws of a patient with five scans.

Lesions: the last reading of each series with at least four is foretold from those before it. Prior, forecaster and the
conformal interval are made on the even-numbered series, in two halves that take turns (the prior is learned on one, and
forecasts are judged on the other): of all forecasters the one with the least mean |log error| is chosen. The odd-numbered are
only reported on. Series with two readings on one day or no volume above 0 before the last are left out and counted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.integrate import odeint
from scipy.stats import spearmanr

from regrowth.growth import baselines, choice, conformal
from regrowth.growth.cohort_prior import learn_cohort_prior
from regrowth.growth.fit import ParameterPrior, bootstrap_parameters, fit_growth
from regrowth.growth.forecast import Carry, forecast_growth
from regrowth.growth.models import EXPONENTIAL, GROWTH_INHIBITION, LIVE_DAMAGED, GrowthModel, laslo2025
from regrowth.growth.posterior import sample_posterior
from regrowth.growth.series import Forecast, VolumeSeries
from regrowth.growth.treatment import DrugCourse, Treatment

DATA = Path(os.environ.get("REGROWTH_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
DETECTION_ML = 0.065  # a lesion of 5 mm in the data's own formula, 0.52 d^3
CANDIDATES = {
    "exponential": (EXPONENTIAL, Treatment(drugs=(DrugCourse(0.0),))),
    "growth_inhibition": (GROWTH_INHIBITION, Treatment(drugs=(DrugCourse(0.0),))),
    "live_damaged": (LIVE_DAMAGED, Treatment.single_event(0.0)),
}
CARRIES = {
    "": Carry(),
    " half trend": Carry(trend_weight=0.5),
    " if growing": Carry(growth_certainty=0.8),
    " half, if growing": Carry(trend_weight=0.5, growth_certainty=0.8),
    " half, if surely": Carry(trend_weight=0.5, growth_certainty=0.9),
}


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Give the median CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def published(state: np.ndarray, t: float, grow: float, decay: float, delay: float, slope: float, t_rt: float) -> list[float]:
    return [grow * state[0], -np.tanh(slope * (t - delay - t_rt)) * decay * state[1]]


def speed() -> None:
    t_rt, days = 20.0, np.array([0.0, 10, 20, 50, 80, 110, 140, 170, 200, 250])
    model, values, treatment = laslo2025(1.0, t_rt, sd_1=0.1)

    def peer() -> np.ndarray:
        arguments = (0.02, 0.02, 5.0, 1.0, t_rt)
        before = odeint(published, [1.0, 0.0], days[:3], arguments, rtol=1e-4)
        live = before[-1, 0]
        after = odeint(published, [0.1 * live, 0.9 * live], days[2:], arguments, rtol=1e-4)
        return np.concatenate([before.sum(axis=1), after.sum(axis=1)[1:]])

    log_values = np.log(values)[None]
    many = np.log(values) + 0.1 * np.random.default_rng(0).standard_normal((300, values.size))
    one = seconds(lambda: [model.log_volumes(log_values, days, treatment, 0.0) for _ in range(200)], 7) / 200
    batch = seconds(lambda: [model.log_volumes(many, days, treatment, 0.0) for _ in range(5)], 7) / 5 / 300
    other = seconds(lambda: [peer() for _ in range(50)], 7) / 50
    difference = np.abs(np.exp(model.log_volumes(log_values, days, treatment, 0.0)[0]) / peer() - 1).max()
    print(f"one curve on {days.size} days, CPU microseconds (largest relative difference {difference:.1e}, odeint's own error)")
    print(f"  odeint, rtol 1e-4        {other * 1e6:8.1f}")
    print(f"  closed form, one by one  {one * 1e6:8.1f}   {other / one:6.1f} x")
    print(f"  closed form, 300 at once {batch * 1e6:8.2f}   {other / batch:6.1f} x")
    series = VolumeSeries([0.0, 30, 70, 120, 180], [10.0, 14, 9, 6, 8])
    course = Treatment.fractionated(35.0, 30)
    print("one patient, five scans, 30 fractions, CPU seconds: fit, 30 bootstrap draws, 500 posterior draws")
    for candidate in (EXPONENTIAL, LIVE_DAMAGED):
        fit = fit_growth(series, candidate, course)
        row = (
            seconds(lambda m=candidate: fit_growth(series, m, course), 3),
            seconds(lambda f=fit: bootstrap_parameters(f, np.random.default_rng(1), 30), 3),
            seconds(lambda f=fit: sample_posterior(f, np.random.default_rng(1)), 3),
        )
        print(f"  {candidate.name:24s} {row[0]:.3f}  {row[1]:.3f}  {row[2]:.3f}")


def read_lesions(path: Path) -> tuple[list[VolumeSeries], list[VolumeSeries]]:
    """Read the series with at least four usable readings, even-numbered and odd-numbered."""
    parts: tuple[list[VolumeSeries], list[VolumeSeries]] = ([], [])
    left_out = 0
    with path.open(encoding="utf-8") as file:
        for i, row in enumerate(csv.DictReader(file)):
            days, volumes = np.array(json.loads(row["T_days"]), float), np.array(json.loads(row["Lesion_vol"])) / 1000
            if days.size < 4:
                continue
            if (np.diff(days) <= 0).any() or not (volumes[:-1] > 0).any():
                left_out += 1
                continue
            parts[i % 2].append(VolumeSeries(days, volumes, row["Pt_hashID"]))
    print(f"{len(parts[0])} even-numbered and {len(parts[1])} odd-numbered series, {left_out} left out")
    return parts


def foretell(
    series: list[VolumeSeries], model: GrowthModel, treatment: Treatment, prior: ParameterPrior
) -> dict[str, list[Forecast]]:
    """Foretell the last reading of each with each way to join the last scan, from the same posterior."""
    rng = np.random.default_rng(7)
    out: dict[str, list[Forecast]] = {name: [] for name in CARRIES}
    for one in series:
        fit = fit_growth(one.first(len(one) - 1), model, treatment, prior, n_starts=3, detection_ml=DETECTION_ML)
        samples = sample_posterior(fit, rng, 400, 1000, 2) if fit.status == "ok" else None
        for name, carry in CARRIES.items():
            out[name].append(forecast_growth(fit, samples, one.days[-1:], rng, carry))
    return out


def drifted(series: VolumeSeries, rate_per_day: float) -> Forecast:
    """Forecast the last reading by one growth rate for all."""
    return baselines.common_growth_forecast(series.first(len(series) - 1), series.days[-1:], rate_per_day, DETECTION_ML)


def log_errors(series: list[VolumeSeries], forecasts: list[Forecast]) -> np.ndarray:
    """Give |log(forecast / measured)| of each, none below the limit of detection; one that failed is persistence."""
    point = [f.median[0] if f.status == "ok" else s.volumes_ml[-2] for f, s in zip(forecasts, series, strict=True)]
    seen = [s.last_volume_ml for s in series]
    return np.abs(np.log(np.maximum(point, DETECTION_ML) / np.maximum(seen, DETECTION_ML)))


def errors(series: list[VolumeSeries], forecasts: list[Forecast]) -> dict[str, tuple[float, ...]]:
    """Score point forecasts, all of them and in strata of what truly happened."""
    log = log_errors(series, forecasts)
    last = np.array([s.volumes_ml[-2] for s in series])
    seen = np.array([s.last_volume_ml for s in series])
    point = np.array([f.median[0] if f.status == "ok" else v for f, v in zip(forecasts, last, strict=True)])
    score = np.array([choice.log_crps(f, v, DETECTION_ML)[0] for f, v in zip(forecasts, seen, strict=True)])
    last, y, point = (np.maximum(v, DETECTION_ML) for v in (last, seen, point))
    relative = np.abs(point / y - 1)
    change, many = np.log(y / last), np.array([len(s) >= 7 for s in series])
    grows, shrinks = change > np.log(1.1), change < -np.log(1.1)
    out = {"rel": (float(np.median(relative[seen > 0])), float(np.median(relative[many & (seen > 0)])))}
    out |= {"log": (float(np.median(log)), float(log.mean()))}
    out |= {"crps": (float(np.mean(np.where(np.isfinite(score), score, log))),)}
    for name, rows in {"growing": grows, "stable": ~grows & ~shrinks, "shrinking": shrinks}.items():
        out[f"{name} n={rows.sum()}"] = (float(np.median(log[rows])), float(log[rows].mean()))
    return out


def coverage(
    series: list[VolumeSeries], forecasts: list[Forecast], band: conformal.ConformalBand
) -> tuple[float, float, float]:
    """Give the covered part, the least and the median width (ratio of the ends) of calibrated intervals on the last reading."""
    inside, width = [], []
    for one, forecast in zip(series, forecasts, strict=True):
        if forecast.status != "ok":
            continue
        calibrated = band.apply(forecast, one.days[-2])
        low, high = calibrated.volumes_ml[[0, -1], 0]
        seen = max(one.last_volume_ml, DETECTION_ML)
        inside.append(low <= seen <= max(high, DETECTION_ML))
        width.append(max(high, DETECTION_ML) / max(low, DETECTION_ML))
    return float(np.mean(inside)), float(len(inside)), float(np.median(width))


def lesions(folder: Path) -> None:
    even, odd = read_lesions(folder / "lesion-series" / "lesion_series.csv")
    first, second = even[::2], even[1::2]
    even = first + second
    known = {id(part): [s.first(len(s) - 1) for s in part] for part in (first, second, even)}
    kinds: dict[str, tuple[list[Forecast], list[Forecast]]] = {}
    for name, baseline in (("persistence", baselines.persistence_forecast), ("log_linear", baselines.log_linear_forecast)):
        told = [[baseline(s.first(len(s) - 1), s.days[-1:]) for s in part] for part in (even, odd)]
        kinds[name] = (told[0], told[1])
    rates = np.linspace(-0.004, 0.004, 81)
    rate = min(rates, key=lambda g: log_errors(even, [drifted(s, g) for s in even]).mean())
    kinds["common growth"] = ([drifted(s, rate) for s in even], [drifted(s, rate) for s in odd])
    print(f"common growth: {rate:+.4f} per day, which is best on the even-numbered")
    for name, (model, treatment) in CANDIDATES.items():
        start = time.process_time()
        told_by_name = []
        for learn, judge in ((second, first), (first, second), (even, odd)):
            others = known[id(learn)]
            prior = learn_cohort_prior(
                others, model, [treatment] * len(others), n_iterations=5, noise_freedom=4.0, detection_ml=DETECTION_ML
            )
            told_by_name.append(foretell(judge, model, treatment, prior))
        for carry in CARRIES:
            kinds[name + carry] = (told_by_name[0][carry] + told_by_name[1][carry], told_by_name[2][carry])
        print(f"{name}: noise {prior.noise_sd_log:.2f}, {time.process_time() - start:.0f} CPU seconds")
    for title, part, where in (("even (chosen on)", even, 0), ("odd (reported)", odd, 1)):
        print(
            f"\n{title}: median relative error (all; 7 or more readings), |log error| (median, mean), CRPS, strata (the same)"
        )
        for name, told in kinds.items():
            failed = sum(f.status != "ok" for f in told[where])
            row = "  ".join(f"{k} {' '.join(f'{x:.3f}' for x in v)}" for k, v in errors(part, told[where]).items())
            print(f"  {name:35s} {row}  failed {failed}")
    models = [name for name in kinds if name.startswith(tuple(CANDIDATES))]
    chosen = min(models, key=lambda name: errors(even, kinds[name][0])["log"][1])
    print(f"\nchosen on the even-numbered: {chosen}; on the odd-numbered |log error| minus that of a baseline, 95 % interval:")
    changes = np.log([max(s.last_volume_ml, DETECTION_ML) / max(s.volumes_ml[-2], DETECTION_ML) for s in odd])
    rng = np.random.default_rng(0)
    strata = {"all": np.isfinite(changes), "growing": changes > np.log(1.1), "others": changes <= np.log(1.1)}
    for baseline in ("persistence", "common growth", "log_linear"):
        difference = log_errors(odd, kinds[chosen][1]) - log_errors(odd, kinds[baseline][1])
        for name, rows in strata.items():
            d = difference[rows]
            low, high = np.quantile([rng.choice(d, d.size).mean() for _ in range(2000)], [0.025, 0.975])
            sides = f"better {np.mean(d < 0):.2f}, worse {np.mean(d > 0):.2f}"
            print(f"  {baseline:13s} {name:8s} {d.mean():+.3f} ({low:+.3f} to {high:+.3f}), n={d.size}; {sides}")
    foretold = np.log([f.median[0] / max(s.volumes_ml[-2], 1e-9) for f, s in zip(kinds[chosen][1], odd, strict=True)])
    trend = np.log([f.median[0] / max(s.volumes_ml[-2], 1e-9) for f, s in zip(kinds["log_linear"][1], odd, strict=True)])
    seen = np.array([s.volumes_ml[-2] > 0 for s in odd])
    for name, guess in ((chosen, foretold), ("log_linear", trend)):
        order = spearmanr(guess[seen], changes[seen]).statistic
        print(f"  rank correlation of the foretold with the true change, {name}: {order:.2f}, n={seen.sum()}")
    print("\n90 % intervals, learned on the even-numbered, judged on the odd-numbered: covered, n, median ratio of the ends")
    for name, (learned, judged) in kinds.items():
        band = conformal.learn_conformal_band(
            learned, [s.last_volume_ml for s in even], [s.days[-2] for s in even], detection_ml=DETECTION_ML
        )
        covered, n, width = coverage(odd, judged, band)
        raw = conformal.ConformalBand(0.9, 0.0, 0.0, 0.5, 0, DETECTION_ML)
        print(f"  {name:35s} {covered:.3f} of {n:.0f}, {width:.2f}; uncalibrated {coverage(odd, judged, raw)[0]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("speed", "lesions"))
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    if options.only != "lesions":
        speed()
    if options.only != "speed":
        lesions(options.data)


if __name__ == "__main__":
    main()
