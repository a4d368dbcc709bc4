"""Which of two treatment plans covers a recurrence, on plain images: a margin around the tumour, or the likeliest voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.api import growth_files as files
from regrowth.api.growth_columns import growth_dictionary
from regrowth.errors import InputError, LabelSchemeError, ParameterError
from regrowth.growth.coverage import (
    CoverageCurve,
    coverage_curve,
    dose_coverage,
    recurrence_coverage,
    volume_for_coverage,
)
from regrowth.growth.parameters import GrowthParameters
from regrowth.growth.plan import TreatmentPlan, margin_scores, model_plan, standard_plan
from regrowth.io.nifti import read_image, write_image
from regrowth.report import Section
from regrowth.space import Grid, Image, require_same_grid

__all__ = ["plan_treatment"]

Rows = list[dict[str, Any]]
_MOST_POINTS = 500  # of a curve in the table


@dataclass(frozen=True, eq=False)
class _Anatomy:
    """Where plans may go: (X, Y, Z) bool each."""

    brain: np.ndarray
    excluded: Mapping[str, np.ndarray]
    barriers: Mapping[str, np.ndarray]


def plan_treatment(
    segmentation: str | Path,
    out_dir: str | Path,
    *,
    label_scheme: str,
    brain: str | Path,
    growth_map: str | Path | None = None,
    recurrence: str | Path | None = None,
    recurrence_scheme: str | None = None,
    dose: str | Path | None = None,
    prescription_gy: float | None = None,
    regions: str | Path | None = None,
    reference: str | Path | None = None,
    **parameters: Any,
) -> list[dict[str, object]]:
    """Plan by a margin and by a growth map of the same volume, and tell how much of the recurrence each treats.

    Parameters
    ----------
    segmentation
        NIfTI segmentation before treatment.
    out_dir
        Folder for the masks of the plans, ``plans.tsv``, ``curves.tsv`` and ``plans.html``.
    label_scheme
        Its label scheme.
    brain
        Brain mask.
    growth_map
        Map that ranks voxels, such as that of `map_growth`, for the model plan.
    recurrence, recurrence_scheme
        Segmentation of the recurrence in the same space, and its scheme where it is another.
    dose, prescription_gy
        Delivered dose (NIfTI in Gy, or DICOM RTDOSE) and prescription: how much of the recurrence got 95 % of it.
    regions
        Map of regions from `regrowth.parcellate`: the ventricles are not treated, falx and tentorium not crossed.
    reference
        Image to draw the plans on.
    **parameters
        Fields of `regrowth.growth.parameters.GrowthParameters`: ``margin_mm``, ``barriers``, ``region``.

    Returns
    -------
    list of dict
        Rows of ``plans.tsv``.

    Raises
    ------
    InputError
        If a file cannot be read, grids differ, or the tumour lies outside of the brain.
    """
    settings = GrowthParameters(**parameters)
    if (dose is None) != (prescription_gy is None):
        raise ParameterError("coverage by dose needs both the dose and the prescription (--prescription, Gy)")
    if dose is not None and recurrence is None:
        raise ParameterError("coverage by dose needs the recurrence (--recurrence)")
    tumour = files.read_tumour(segmentation, label_scheme)
    grid = tumour.grid
    core = tumour.core if tumour.core.any() else tumour.whole
    anatomy = _anatomy(files.read_mask(brain, grid, str(segmentation)), regions, grid, settings)
    came = None if recurrence is None else _recurrence(recurrence, recurrence_scheme or label_scheme, grid, settings.region)
    standard = standard_plan(
        core, anatomy.brain, grid, settings.margin_mm, excluded=anatomy.excluded, barriers=anatomy.barriers
    )
    allowed = anatomy.brain & ~np.logical_or.reduce([np.zeros(grid.shape, bool), *anatomy.excluded.values()])
    allowed |= core & anatomy.brain
    plans = {"margin": standard}
    rankings = {"distance to tumour": margin_scores(core, grid)}
    if growth_map is not None:
        ranks = _ranks(growth_map, core, grid)
        plans["growth"] = model_plan(ranks, allowed, grid, standard.volume_ml, "growth map")
        rankings["growth map"] = ranks
    curves = {} if came is None else {n: coverage_curve(s, came, allowed, grid) for n, s in rankings.items()}
    rows = [
        _row(plan, came, curves.get("growth map" if key == "growth" else "distance to tumour")) for key, plan in plans.items()
    ]
    if dose is not None and came is not None and prescription_gy is not None:
        delivered = files.read_dose(dose, grid, anatomy.brain)
        rows.append(_dose_row(delivered, came, grid, prescription_gy))
    out = Path(out_dir)
    for key, plan in plans.items():
        write_image(Image(plan.mask, grid, "1"), out / f"plan-{key}_mask.nii.gz", np.uint8)
    points = [point for name, curve in curves.items() for point in _points(name, curve)]
    tables: dict[str, Rows] = {"plans": rows, "curves": points} if came is not None else {"plans": rows}
    shown = None if reference is None else read_image(Path(reference))
    if shown is not None:
        require_same_grid(shown.grid, grid, f"{reference} and {segmentation}", tolerance_mm=0.1)
        shown = Image(shown.data, grid)
    section = _section(plans, curves, rows, shown, core, came)
    files.write_results(out, f"Plans for {Path(segmentation).name}", tables, growth_dictionary(tables), [section], "plans.html")
    return rows


def _anatomy(brain: np.ndarray, regions: str | Path | None, grid: Grid, settings: GrowthParameters) -> _Anatomy:
    if regions is None:
        return _Anatomy(brain, {}, {})
    from regrowth.anatomy import RegionMap
    from regrowth.anatomy.barriers import anatomical_barriers, ventricles

    image = read_image(Path(regions))
    require_same_grid(image.grid, grid, f"{regions} and the segmentation", tolerance_mm=0.1)
    whole = np.rint(image.data)
    try:
        places = RegionMap(whole.astype(np.int32), grid)
    except LabelSchemeError as error:
        raise LabelSchemeError(f"{regions}: {error}; make the map with regrowth parcellate") from error
    return _Anatomy(brain, {"ventricles": ventricles(places)}, anatomical_barriers(places) if settings.barriers else {})


def _recurrence(path: str | Path, scheme: str, grid: Grid, region: str) -> np.ndarray:
    """Read the recurrence; it may be empty."""
    from regrowth.io.nifti import read_labels
    from regrowth.labels import label_scheme as scheme_named

    found = files.tumour_of(read_labels(Path(path), scheme_named(scheme)))
    require_same_grid(found.grid, grid, f"{path} and the segmentation", tolerance_mm=0.1)
    return found.of(region, str(path))


def _ranks(path: str | Path, core: np.ndarray, grid: Grid) -> np.ndarray:
    """Read a map that ranks voxels; beyond what it reaches, nearer voxels come first."""
    from regrowth.growth.spatial_case import ranked_scores

    image = read_image(Path(path), "1")
    require_same_grid(image.grid, grid, f"{path} and the segmentation", tolerance_mm=0.1)
    if image.data.min() < 0:
        raise InputError(f"{path}: holds values below 0; a map of probability or cell density has values from 0 on")
    return ranked_scores(image.data, grid, core)


def _row(plan: TreatmentPlan, came: np.ndarray | None, curve: CoverageCurve | None) -> dict[str, object]:
    row: dict[str, object] = {"plan": plan.name, "volume_ml": plan.volume_ml, "status": plan.status, "reason": plan.reason}
    if came is None:
        return row
    found = recurrence_coverage(came, plan.mask, plan.grid)
    row |= {"recurrence_ml": found.recurrence_ml, "coverage": found.value, "missed_ml": found.missed_ml}
    reasons = [plan.reason, found.reason]
    if curve is not None:
        needed = volume_for_coverage(curve, 0.95)
        row["volume_for_95_ml"] = needed.volume_ml
        reasons.append(needed.reason)
    return row | {
        "status": plan.status if plan.status != "ok" else found.status,
        "reason": "; ".join(dict.fromkeys(r for r in reasons if r)),
    }


def _points(ranking: str, curve: CoverageCurve) -> Rows:
    """Take points of a curve for a table: evenly spread where there are many, both ends included."""
    n = len(curve.volumes_ml)
    chosen = np.unique(np.linspace(0, n - 1, min(n, _MOST_POINTS)).round().astype(int)).tolist()
    return [{"ranking": ranking, "volume_ml": float(curve.volumes_ml[i]), "coverage": float(curve.coverage[i])} for i in chosen]


def _dose_row(dose: files.DoseFile, came: np.ndarray, grid: Grid, prescription_gy: float) -> dict[str, object]:
    found = dose_coverage(dose.dose.data, came, grid, prescription_gy)
    ml = grid.voxel_volume_ml
    treated = float((np.nan_to_num(dose.dose.data, nan=0.0) >= found.threshold_gy).sum() * ml)
    reasons = [found.reason, *dose.notes]
    return {
        "plan": f"delivered dose of at least {found.threshold_gy:g} Gy",
        "volume_ml": treated,
        "status": found.status,
        "reason": "; ".join(r for r in reasons if r),
        "recurrence_ml": float(came.sum() * ml),
        "coverage": found.value,
        "missed_ml": float(came.sum() * ml * (1 - found.value)) if np.isfinite(found.value) else np.nan,
    }


def _section(
    plans: Mapping[str, TreatmentPlan],
    curves: Mapping[str, CoverageCurve],
    rows: Rows,
    reference: Image | None,
    core: np.ndarray,
    came: np.ndarray | None,
) -> Section:
    """Lay the plans out for a page."""
    from regrowth.api.growth_columns import growth_table
    from regrowth.report.figures.growth import coverage_figure, plan_figure

    figures = []
    if reference is not None and "growth" in plans:
        pair = (plans["margin"], plans["growth"])
        figures.append(plan_figure(reference, core, *pair, name="plans", title="Plans", recurrence=came))
    known = {name: curve for name, curve in curves.items() if curve.status == "ok"}
    if known:
        marks = {r["plan"]: (r["volume_ml"], r["coverage"]) for r in rows}
        figures.append(coverage_figure(known, name="coverage", title="Coverage against volume", marks=marks))
    text = (
        "The plans have equal volumes, so that the one that covers more of the recurrence chose its voxels better. One patient "
        "shows no more than that: whether a map is better than a margin, a cohort tells (regrowth growth score)."
    )
    covered = {row["plan"]: row["coverage"] for row in rows[: len(plans)] if "coverage" in row and np.isfinite(row["coverage"])}
    if len(covered) == 2:
        (first, margin), (second, model) = covered.items()
        verdict = "as much as" if margin == model else "more than" if margin > model else "less than"
        text += f"\n\nHere the {first} covers {margin:.1%} of the recurrence, {verdict} the {second} with {model:.1%}."
    if came is None:
        text = "No recurrence was given: the volumes of the plans can be compared, not what they cover."
    table = growth_table("Plans", rows)
    return Section("Plans", "plans", text, figures=tuple(figures), tables=(table,))
