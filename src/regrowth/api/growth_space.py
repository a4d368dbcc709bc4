"""Growth in space on plain images: simulate a tumour, and map where one will be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.api import growth_files as files
from regrowth.errors import ImageFileError, InputError, ParameterError
from regrowth.growth.ensemble import GrowthProbability, growth_probability
from regrowth.growth.front import TumourObservation
from regrowth.growth.inverse import GrowthInverse, fit_origin
from regrowth.growth.kpp import KppParameters
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.simulate import DoseCourse, GrowthSimulation, seed_density, simulate_growth
from regrowth.growth.spatial_case import inverse_settings
from regrowth.growth.tissue import TissueMap
from regrowth.io.nifti import read_image, write_image
from regrowth.io.tables import write_json, write_tsv
from regrowth.space import Image, require_same_grid

__all__ = ["map_growth", "simulate_tumour"]

Rows = list[dict[str, Any]]


def simulate_tumour(
    out_dir: str | Path,
    *,
    white: str | Path,
    grey: str | Path,
    diffusivity: float,
    proliferation: float,
    days: Sequence[float],
    start: str | Path | None = None,
    origin_mm: Sequence[float] | None = None,
    first_day: float = 0.0,
    dose: str | Path | None = None,
    fraction_days: Sequence[float] = (),
    fractions: int | None = None,
    start_day: float | None = None,
    alpha_per_gy: float = 0.03,
    alpha_beta_gy: float = 10.0,
    cavity: str | Path | None = None,
    cavity_day: float | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """Let a tumour grow on maps of white and grey matter, with radiotherapy and a resection.

    Parameters
    ----------
    out_dir
        Folder for ``day-<day>_density.nii.gz``, ``simulation.tsv`` (volumes) and ``simulation.json``, made if absent.
    white, grey
        NIfTI maps of white and grey matter, 0 to 1.
    diffusivity
        In white matter, mm2/day.
    proliferation
        Net rate of division, 1/day.
    days
        Days of the output.
    start
        NIfTI mask or density (0 to 1) on `first_day`, on the grid of the tissue; or leave it out and give `origin_mm`.
    origin_mm
        (3,) RAS+ mm of the first cells on `first_day`.
    first_day
        Day of the start.
    dose
        Dose of the whole course, Gy: NIfTI or DICOM RTDOSE; brought onto the grid of the tissue, 0 Gy where it does not reach.
    fraction_days
        Day of each fraction; or
    fractions, start_day
        number of fractions, on weekdays from a Monday.
    alpha_per_gy, alpha_beta_gy
        Radiosensitivity.
    cavity, cavity_day
        Mask of what was resected, and when.
    **parameters
        Of `regrowth.growth.parameters.GrowthParameters`: ``white_to_grey``, ``core_threshold``, ``oedema_threshold``.

    Returns
    -------
    dict
        What stands in ``simulation.json``; ``volumes`` are the rows of ``simulation.tsv``.

    Raises
    ------
    InputError
        If a file cannot be read or lies elsewhere, the tumour lies outside of the tissue, or a number makes no sense.
    """
    settings = GrowthParameters(**parameters)
    rates = KppParameters(diffusivity, proliferation, settings.white_to_grey)
    tissue = files.read_tissue(white, grey)
    begun = _begun(start, origin_mm, tissue, str(white))
    when = {"fraction_days": fraction_days, "fractions": fractions, "start_day": start_day}
    courses, notes = _courses(dose, tissue, when, (alpha_per_gy, alpha_beta_gy))
    simulation = simulate_growth(
        tissue,
        begun,
        rates,
        list(days),
        first_day=first_day,
        radiotherapy=courses,
        resections=files.read_cavity(cavity, cavity_day, tissue.grid),
    )
    out = Path(out_dir)
    thresholds = {"core_ml": settings.core_threshold, "whole_ml": settings.oedema_threshold}
    for n, day in enumerate(simulation.days):
        write_image(simulation.image(n), out / f"day-{day:g}_density.nii.gz")
    rows = _volume_rows(simulation, thresholds)
    write_tsv(rows, out / "simulation.tsv")
    facts = _simulation_facts(simulation, thresholds) | {"notes": notes, "volumes": rows}
    write_json(facts, out / "simulation.json")
    return facts


def map_growth(
    segmentation: str | Path,
    out: str | Path,
    *,
    label_scheme: str,
    white: str | Path,
    grey: str | Path,
    day: float,
    first_day: float = 0.0,
    second: str | Path | None = None,
    second_day: float | None = None,
    dose: str | Path | None = None,
    fraction_days: Sequence[float] = (),
    fractions: int | None = None,
    start_day: float | None = None,
    dicom_series: str | Path | None = None,
    dicom_out: str | Path | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """Fit where a tumour began and how it spreads, and map how likely it is to reach each voxel by a day.

    The map is the share of simulated tumours, drawn around the best fit, that reach a voxel. It is not calibrated on other
    patients; a run on a cohort does that.

    Parameters
    ----------
    segmentation
        NIfTI segmentation on `first_day`.
    out
        NIfTI map to write, 0 to 1, on the grid of the segmentation; a JSON file beside it holds what was fitted.
    label_scheme
        Label scheme of the segmentations.
    white, grey
        NIfTI maps of white and grey matter on the same grid. Inside of the lesion, what they lack is taken as tissue.
    day
        Day of the map.
    first_day
        Day of the segmentation.
    second, second_day
        A later segmentation without treatment between, on the same grid: without it the speed rests on a prior.
    dose, fraction_days, fractions, start_day
        Radiotherapy after the last segmentation, as in `simulate_tumour`.
    dicom_series, dicom_out
        Folder of the DICOM series of the segmentation, and DICOM SEG file to write the map to.
    **parameters
        Fields of `regrowth.growth.parameters.GrowthParameters`.

    Returns
    -------
    dict
        Origin, diffusivity, proliferation, what to doubt, volume of the map.

    Raises
    ------
    InputError
        If a file cannot be used, the tumour cannot be fitted, or days do not rise.
    """
    settings = GrowthParameters(**parameters)
    if (dicom_series is None) != (dicom_out is None):
        raise ParameterError("a DICOM SEG needs both the series that it belongs to and the file to write")
    exams = _observed([(segmentation, first_day), (second, second_day)], label_scheme, settings.region)
    last_day, last = exams[-1]
    grid = last.grid
    if day < last_day:
        raise ParameterError(f"the day of the map, {day:g}, lies before the last segmentation on day {last_day:g}")
    tissue, notes = files.filled_tissue(files.read_tissue(white, grey, grid), np.any([t.whole for _, t in exams], axis=0))
    when = {"fraction_days": fraction_days, "fractions": fractions, "start_day": start_day}
    courses, told = _courses(dose, tissue, when, not_before=last_day)
    rng = np.random.default_rng(settings.seed)
    seen = [TumourObservation(at, t.core, t.whole & ~t.core, grid) for at, t in exams]
    fit = fit_origin(seen, tissue, rng, inverse_settings(settings, grid))
    found = _mapped(fit, tissue, float(day), rng, settings, courses, str(segmentation))
    if dicom_series is not None and dicom_out is not None:
        from regrowth import __version__
        from regrowth.io.dicom_seg import write_probability_seg

        write_probability_seg(found.probability, Path(dicom_series), Path(dicom_out), algorithm_version=__version__)
    write_image(found.probability, Path(out))
    facts = _map_facts(fit, found, last.of(settings.region, str(segmentation)))
    facts |= {"region": settings.region, "notes": [*notes, *told]}
    write_json(facts, Path(out).with_name(Path(out).name.removesuffix(".gz").removesuffix(".nii") + ".json"))
    return facts


def _begun(start: str | Path | None, origin_mm: Sequence[float] | None, tissue: TissueMap, where: str) -> Image:
    """Give the density on the first day: from a file, or around an origin."""
    if (start is None) == (origin_mm is None):
        raise ParameterError("a simulation starts from a tumour (--start) or from an origin (--origin); give one of them")
    if start is None:
        return Image(seed_density(tissue, origin_mm or ()), tissue.grid, "1")
    begun = _density(start)
    require_same_grid(begun.grid, tissue.grid, f"{start} and {where}", tolerance_mm=0.1)
    return Image(begun.data, tissue.grid, "1")


def _volume_rows(simulation: GrowthSimulation, thresholds: Mapping[str, float]) -> Rows:
    volumes = {name: simulation.volumes_ml(value) for name, value in thresholds.items()}
    cells = simulation.density.sum(axis=(1, 2, 3), dtype=np.float64) * simulation.grid.voxel_volume_ml
    return [
        {"day": day, **{name: float(v[n]) for name, v in volumes.items()}, "density_integral_ml": float(cells[n])}
        for n, day in enumerate(simulation.days)
    ]


def _mapped(
    fit: GrowthInverse,
    tissue: TissueMap,
    day: float,
    rng: np.random.Generator,
    settings: GrowthParameters,
    courses: Sequence[DoseCourse],
    where: str,
) -> GrowthProbability:
    if fit.samples is None:
        raise InputError(f"{where}: growth cannot be fitted: {fit.reason}")
    return growth_probability(
        tissue,
        fit.samples,
        fit.first_day,
        day,
        rng,
        threshold=settings.core_threshold if settings.region == "core" else settings.oedema_threshold,
        members=settings.members,
        white_to_grey=settings.white_to_grey,
        spacing_mm=fit.settings.fine_mm,
        seed_mm=fit.settings.seed_mm,
        radiotherapy=courses,
    )


def _simulation_facts(simulation: GrowthSimulation, thresholds: Mapping[str, float]) -> dict[str, Any]:
    rates = simulation.parameters
    return {
        "synthetic": True,
        "status": simulation.status,
        "reason": simulation.reason,
        "front_speed_mm_per_day": rates.front_speed_mm_per_day,
        "front_length_mm": rates.front_length_mm,
        "events": simulation.events,
        "outside_share": simulation.outside_share,
        "parameters": asdict(rates) | dict(thresholds),
    }


def _map_facts(fit: GrowthInverse, found: GrowthProbability, observed: np.ndarray) -> dict[str, Any]:
    """What was fitted and mapped; draws of the posterior stay inside, they are no calibrated intervals."""
    ml = found.probability.grid.voxel_volume_ml
    return {
        "origin_mm": [round(v, 2) for v in fit.origin_mm],
        "diffusivity_mm2_per_day": fit.diffusivity_mm2_per_day,
        "proliferation_per_day": fit.proliferation_per_day,
        "front_speed_mm_per_day": fit.front_speed_mm_per_day,
        "age_days": fit.age_days,
        "misfit_mm": fit.misfit_mm,
        "status": "ok" if {fit.status, found.status} == {"ok"} else "warning",
        "doubts": [text for text in (fit.reason, found.reason) if text],
        "day": found.day,
        "threshold": found.threshold,
        "members": found.members,
        "is_calibrated": False,
        "observed_ml": float(observed.sum() * ml),
        "map_ml": float((found.probability.data >= 0.5).sum() * ml),
    }


def _observed(
    exams: Sequence[tuple[str | Path | None, float | None]], label_scheme: str, region: str
) -> list[tuple[float, files.Tumour]]:
    """Read segmentations with their days, which rise."""
    out: list[tuple[float, files.Tumour]] = []
    first = exams[0][0]
    for path, day in exams:
        if path is None or day is None:
            if (path is None) != (day is None):
                raise ParameterError(
                    "a second segmentation needs its day (--second-day), and the day a segmentation (--second)"
                )
            continue
        tumour = files.read_tumour(path, label_scheme)
        tumour.of(region, str(path))
        if out:
            require_same_grid(tumour.grid, out[0][1].grid, f"{path} and {first}", tolerance_mm=0.1)
            if day <= out[-1][0]:
                raise ParameterError(f"the second segmentation is of day {day:g}, not after day {out[-1][0]:g} of the first")
        out.append((float(day), tumour))
    return out


def _courses(
    dose: str | Path | None,
    tissue: TissueMap,
    when: Mapping[str, Any],
    sensitivity: tuple[float, float] = (0.03, 10.0),
    not_before: float = -np.inf,
) -> tuple[list[DoseCourse], list[str]]:
    """Read radiotherapy, and say what was done to the dose."""
    if dose is None:
        if when["fraction_days"] or when["fractions"] is not None or when["start_day"] is not None:
            raise ParameterError("days of fractions were given but no dose (--dose)")
        return [], []
    found = files.read_dose(dose, tissue.grid, tissue.matter)
    alpha, ratio = sensitivity
    course = files.dose_course(found.filled(), **when, alpha_per_gy=alpha, alpha_beta_gy=ratio)
    if min(course.days) < not_before:
        raise ParameterError(
            f"radiotherapy begins on day {min(course.days):g}, before the last segmentation on day {not_before:g}: "
            "growth cannot be fitted across treatment; leave out the second segmentation, or the treatment before it"
        )
    return [course], list(found.notes)


def _density(path: str | Path) -> Image:
    """Read a mask or a density."""
    image = read_image(Path(path), "1")
    low, high = float(image.data.min()), float(image.data.max())
    if low < 0 or high > 1 + 1e-3:
        raise ImageFileError(f"{path}: holds values from {low:g} to {high:g}; give a mask, or a cell density from 0 to 1")
    return image.with_data(np.minimum(image.data, 1))
