"""Is a known origin and speed found again from segmentations, and does the probability map follow from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.growth.ensemble import growth_probability
from regrowth.growth.front import TumourObservation, front_surfaces
from regrowth.growth.inverse import GrowthInverse, InverseSettings, fit_origin
from regrowth.growth.kpp import KppParameters
from regrowth.growth.samples import PosteriorSamples, importance_samples
from regrowth.growth.simulate import DoseCourse, ResectionCavity, seed_density, simulate_growth
from regrowth.growth.tissue import TissueMap, tissue_map
from regrowth.space import Image
from tests.conftest import make_grid

AT_4_MM = InverseSettings(coarse_mm=4.0, fine_mm=4.0, starts=4, kept=2, samples=120)


@dataclass(frozen=True, eq=False)
class Patient:
    tissue: TissueMap
    seen: list[TumourObservation]
    origin_mm: np.ndarray
    parameters: KppParameters
    later: np.ndarray


def head(orientation: str) -> TissueMap:
    """Ellipsoid of white matter with a grey rim, grey islands and a ventricle, 2 mm."""
    grid = make_grid(orientation, (2.0, 2.0, 2.0), 104.0)
    x = (np.moveaxis(np.indices(grid.shape), 0, -1) - (np.array(grid.shape) - 1) / 2) * grid.spacing_mm
    radius = np.sqrt((x**2 * [1, 1, 1.1]).sum(axis=-1))
    islands = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(grid.shape), 4)
    brain = (radius < 48) & ~(np.abs(x) < [6, 16, 9]).all(axis=-1)
    grey = (radius > 42) | (islands > islands.std())
    return tissue_map(brain & ~grey, brain & grey, grid)


@cache
def patient(number: int) -> Patient:
    """Two exams 40 days apart, borders moved by 1 mm at random, and the truth 80 days after the first."""
    orientation, offset, front, rho, first = (
        ("LPS", (-20.0, 10.0, 8.0), 3.6, 0.03, 230.0),
        ("oblique", (18.0, -16.0, 4.0), 4.5, 0.045, 150.0),
    )[number]
    tissue, rng = head(orientation), np.random.default_rng(number)
    grid = tissue.grid
    wanted = grid.world((np.array(grid.shape) - 1) / 2) + grid.directions @ offset
    white = grid.world(np.argwhere(tissue.white > 0.9))
    origin = white[np.square(white - wanted).sum(axis=1).argmin()] + 0.4
    parameters = KppParameters(front**2 * rho, rho)
    days = [first, first + 40, first + 80]
    truth = simulate_growth(tissue, Image(seed_density(tissue, origin), grid, "1"), parameters, days)
    seen = []
    for n in range(2):
        u = np.clip(truth.density[n], 1e-9, 1 - 1e-6)
        noise = ndimage.gaussian_filter(rng.standard_normal(grid.shape), 1.7)
        odds = np.log(u / (1 - u)) + noise / noise.std() / (2 * front)
        core, whole = (tissue.matter & (odds > np.log(t / (1 - t))) for t in (0.6, 0.2))
        seen.append(TumourObservation(days[n], core, whole, grid))
    return Patient(tissue, seen, origin, parameters, truth.mask(0.2, 2))


@cache
def fitted(number: int) -> GrowthInverse:
    one = patient(number)
    return fit_origin(one.seen, one.tissue, np.random.default_rng(0), AT_4_MM)


@pytest.mark.parametrize("number", [0, 1])
def test_known_origin_and_speed_are_found_again_from_two_exams(number: int) -> None:
    truth, fit = patient(number), fitted(number)
    assert fit.status == "ok", fit.reason
    assert np.linalg.norm(np.array(fit.origin_mm) - truth.origin_mm) < 3
    assert fit.front_speed_mm_per_day == pytest.approx(truth.parameters.front_speed_mm_per_day, rel=0.2)
    assert fit.samples is not None
    low, high = fit.samples.interval(fit.samples.front_speed_mm_per_day, 0.99)
    assert 0 < high - low < truth.parameters.front_speed_mm_per_day
    assert fit.misfit_mm < 2


def test_one_exam_gives_the_origin_and_says_that_speed_rests_on_the_prior() -> None:
    truth = patient(0)
    fit = fit_origin(truth.seen[:1], truth.tissue, np.random.default_rng(0), AT_4_MM)
    assert np.linalg.norm(np.array(fit.origin_mm) - truth.origin_mm) < 4
    assert fit.status == "warning"
    assert "prior" in fit.reason
    assert fit.samples is not None
    two = fitted(0).samples
    assert two is not None
    wide, narrow = (np.ptp(np.log(s.interval(s.front_speed_mm_per_day))) for s in (fit.samples, two))
    assert wide > 3 * narrow


def test_same_random_numbers_give_the_same_fit_and_map() -> None:
    truth, quick = patient(1), replace(AT_4_MM, starts=1, kept=1, samples=20)
    fit, again = (fit_origin(truth.seen, truth.tissue, np.random.default_rng(0), quick) for _ in range(2))
    assert again.origin_mm == fit.origin_mm
    assert fit.samples is not None
    a, b = (
        growth_probability(
            truth.tissue, fit.samples, fit.first_day, 200, np.random.default_rng(5), members=6, spacing_mm=4.0
        ).probability.data
        for _ in range(2)
    )
    np.testing.assert_array_equal(a, b)


def test_probability_map_foresees_the_later_tumour_better_than_no_change() -> None:
    truth, fit = patient(0), fitted(0)
    assert fit.samples is not None
    found = growth_probability(
        truth.tissue, fit.samples, fit.first_day, fit.first_day + 80, np.random.default_rng(2), members=20, spacing_mm=4.0
    )
    share = found.probability.data
    assert share.min() >= 0
    assert share.max() <= 1
    assert not share[~truth.tissue.matter].any()
    brier = np.square(share - truth.later)[truth.tissue.matter].mean()
    unchanged = np.square(truth.seen[0].whole.astype(float) - truth.later)[truth.tissue.matter].mean()
    assert brier < unchanged / 3
    low, high = found.interval_ml()
    assert low < truth.later.sum() * truth.tissue.grid.voxel_volume_ml * 1.15
    assert high > truth.later.sum() * truth.tissue.grid.voxel_volume_ml * 0.85


def test_treatment_lowers_the_probability() -> None:
    truth, fit = patient(0), fitted(0)
    assert fit.samples is not None
    grid, first = truth.tissue.grid, fit.first_day
    course = DoseCourse(Image(np.full(grid.shape, 60.0), grid, "Gy"), tuple(first + np.arange(30)))
    cavity = ResectionCavity(truth.seen[0].core, grid, first + 1)
    maps = [
        growth_probability(
            truth.tissue, fit.samples, first, first + 60, np.random.default_rng(2), members=3, spacing_mm=4.0,
            radiotherapy=doses, resections=cavities,
        )
        for doses, cavities in (([], []), ([course], []), ([], [cavity]))
    ]  # fmt: skip
    volumes = [m.volumes_ml.mean() for m in maps]
    assert volumes[1] < volumes[0]
    assert volumes[2] < volumes[0]


def test_importance_samples_of_a_normal_distribution_have_its_moments() -> None:
    mean, sd = np.array([1.0, -2.0]), np.array([0.5, 2.0])
    draws, weights = importance_samples(
        lambda x: float(0.5 * np.square((x - mean) / sd).sum()), np.zeros(2), np.eye(2), 4000, np.random.default_rng(1)
    )
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights @ draws, mean, atol=0.15)
    np.testing.assert_allclose(np.sqrt(weights @ np.square(draws - mean)), sd, rtol=0.1)


def test_intervals_of_equal_weights_are_quantiles() -> None:
    values, even = np.arange(1000.0), np.full(1000, 1e-3)
    samples = PosteriorSamples(np.zeros((1000, 3)), values, values, values, even)
    assert samples.effective == pytest.approx(1000)
    np.testing.assert_allclose(samples.interval(values, 0.9), np.quantile(values, [0.05, 0.95]), atol=1)


def test_borders_lie_between_the_mask_and_other_tissue_only() -> None:
    grid = make_grid("oblique", (2.0, 2.0, 2.0), 40.0)
    white = np.ones(grid.shape)
    white[:6] = 0
    tissue = tissue_map(white, np.zeros_like(white), grid)
    core = np.zeros(grid.shape, bool)
    core[6:12, 6:12, 6:12] = True
    seen = TumourObservation(0.0, core, core, grid)
    (surface,) = front_surfaces([seen], tissue, (0.6, 0.2), 1.0, 8.0, np.random.default_rng(0))
    index = grid.index(surface.points_mm)
    assert len(index) == 5 * 36  # the sixth side lies on CSF
    assert index[:, 0].min() >= 6
    assert surface.threshold == 0.6


def test_faulty_observations_give_a_status_or_an_error() -> None:
    truth = patient(0)
    tissue, seen, rng = truth.tissue, truth.seen[0], np.random.default_rng(0)
    empty = replace(seen, core=np.zeros_like(seen.core), oedema=np.zeros_like(seen.core))
    fit = fit_origin([empty], tissue, rng, AT_4_MM)
    assert (fit.status, fit.samples) == ("not_fitted", None)
    assert "empty" in fit.reason
    assert np.isnan(fit.front_speed_mm_per_day)
    away = np.zeros_like(seen.core)
    away[:3, :3, :3] = True
    assert "outside" in fit_origin([replace(seen, core=away, oedema=away)], tissue, rng, AT_4_MM).reason
    voxel = np.zeros_like(seen.core)
    voxel[tuple(np.argwhere(tissue.white > 0.9)[0])] = True
    tiny = fit_origin([replace(seen, core=voxel & False, oedema=voxel)], tissue, rng, AT_4_MM)
    assert tiny.status in ("not_fitted", "warning")
    with pytest.raises(ParameterError, match="rise"):
        fit_origin([seen, seen], tissue, rng, AT_4_MM)
    with pytest.raises(ParameterError):
        fit_origin([], tissue, rng, AT_4_MM)
    with pytest.raises(GridMismatchError):
        fit_origin([replace(seen, grid=make_grid("RAS", (2.0, 2.0, 2.0), 104.0))], tissue, rng, AT_4_MM)


def test_mask_at_the_border_of_the_image_gives_a_warning() -> None:
    grid = make_grid("RAS", (4.0, 4.0, 4.0), 80.0)
    tissue = tissue_map(np.ones(grid.shape), np.zeros(grid.shape), grid)
    start = seed_density(tissue, grid.world([2, 10, 10]), 4.0)
    u = simulate_growth(tissue, Image(start, grid, "1"), KppParameters(0.5, 0.04), [150]).density[0]
    quick = replace(AT_4_MM, starts=1, kept=1, samples=20)
    fit = fit_origin([TumourObservation(0.0, u > 0.6, u > 0.2, grid)], tissue, np.random.default_rng(0), quick)
    assert fit.status == "warning"
    assert "touches the border" in fit.reason


@pytest.mark.parametrize(
    "wrong", [{"core_threshold": 0.1}, {"sigma_mm": 0.0}, {"fine_mm": 8.0}, {"samples": 3}, {"white_to_grey": -1.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        replace(AT_4_MM, **wrong)


def test_map_before_the_observation_or_without_members_is_refused() -> None:
    truth, fit = patient(0), fitted(0)
    assert fit.samples is not None
    rng = np.random.default_rng(0)
    with pytest.raises(ParameterError, match="before"):
        growth_probability(truth.tissue, fit.samples, fit.first_day, fit.first_day - 1, rng)
    with pytest.raises(ParameterError, match="member"):
        growth_probability(truth.tissue, fit.samples, fit.first_day, fit.first_day, rng, members=0)
    early = DoseCourse(Image(np.zeros(truth.tissue.grid.shape), truth.tissue.grid, "Gy"), (fit.first_day - 5,))
    with pytest.raises(ParameterError, match="treatment"):
        growth_probability(truth.tissue, fit.samples, fit.first_day, fit.first_day, rng, radiotherapy=[early])
