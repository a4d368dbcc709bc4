"""Which dose every structure received: doses and volumes of a plan, of a file, or of all plans of a folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from regrowth.api.radiotherapy_columns import write_tables
from regrowth.api.radiotherapy_folders import PlanDose, plan_dose, whole_dose
from regrowth.api.radiotherapy_inputs import (
    ReadStructures,
    chosen_structures,
    is_nifti,
    of_index,
    read_any_dose,
    read_share,
    read_structures,
)
from regrowth.errors import GridMismatchError, ImageFileError, InputError, ParameterError
from regrowth.io.dicom_index import DicomIndex, DicomObject, index_folder
from regrowth.radiotherapy import Structure
from regrowth.radiotherapy.dvh import DVH, dose_volume_histogram
from regrowth.radiotherapy.structure import StructureSet
from regrowth.space import Image

__all__ = ["dose_volumes"]

Rows = list[dict[str, Any]]
_SUM = "all plans"


@dataclass(frozen=True)
class _Wanted:
    """What is asked of a histogram, and how it is made."""

    dose_percents: tuple[float, ...]
    volume_doses_gy: tuple[float, ...]
    curve_step_gy: float
    options: dict[str, Any]


def dose_volumes(
    source: str | Path,
    out: str | Path,
    *,
    dose: str | Path | None = None,
    patterns: Sequence[str] = (),
    dose_percents: Sequence[float] = (98.0, 95.0, 50.0, 2.0),
    volume_doses_gy: Sequence[float] = (),
    between: Literal["nearest", "shape"] = "nearest",
    end_cap_mm: float | None = 0.0,
    supersampling: int | None = None,
    curve_step_gy: float = 0.1,
    sum_plans: bool = False,
    alpha_beta_gy: float | None = None,
    manifest: str | Path | None = None,
    salt: str | None = None,
    keep_identifiers: bool = False,
) -> dict[str, Rows]:
    """Measure which dose every structure received.

    Parameters
    ----------
    source
        Folder of DICOM files, where doses, plans and structures are found by their links; or an RTSTRUCT, or a NIfTI mask, with
        a `dose`.
    out
        TSV to write, one row per structure and plan; beside it ``NAME_curves.tsv`` and ``NAME.json``.
    dose
        RTDOSE or NIfTI (Gy) for a file of structures.
    patterns
        Names of structures with wildcards; all if left out.
    dose_percents
        Volumes, in percent, for which the dose is told: 95 for D95.
    volume_doses_gy
        Doses for which the volume is told, in percent: 20 for V20.
    between, end_cap_mm, supersampling
        As `regrowth.radiotherapy.dvh.dose_volume_histogram`; no caps by default, as the planning systems that it was compared
        with. They are for contours, not for masks.
    curve_step_gy
        Distance of the points in the table of curves.
    sum_plans
        Of a folder: also the sum of all plans of the same structures, as when they were given one after another.
    alpha_beta_gy
        Of a folder: convert each plan to fractions of 2 Gy (EQD2), with its own number of fractions.
    manifest, salt, keep_identifiers
        Of a folder, as `index_dicom`.

    Returns
    -------
    dict
        Table to rows: ``structures``, ``curves``. Where a dose is unknown or a plan has none, rows have a status and a reason.

    Raises
    ------
    InputError
        If a file cannot be read, or there is nothing to measure.
    """
    wanted = _Wanted(
        _checked(dose_percents, 100, "a volume in percent"),
        _checked(volume_doses_gy, math.inf, "a dose in Gy"),
        _checked([curve_step_gy], math.inf, "the step of the curves")[0],
        {"between": between, "end_cap_mm": end_cap_mm, "supersampling": supersampling},
    )
    if Path(source).is_dir() and dose is None:
        index = index_folder(
            Path(source), manifest=Path(manifest) if manifest else None, salt=salt, keep_identifiers=keep_identifiers
        )
        rows, curves = _of_folder(index, patterns, wanted, sum_plans, alpha_beta_gy, keep_identifiers)
        notes: list[str] = []
    else:
        if dose is None:
            raise ParameterError(f"{source}: a file of structures needs a dose; name the RTDOSE, or give the whole folder")
        for given, what in ((sum_plans, "a sum of plans"), (alpha_beta_gy is not None, "EQD2"), (manifest, "a manifest")):
            if given:
                raise ParameterError(f"{what} needs the folder of the plans, not the file of one dose")
        rows, curves, notes = _of_files(source, dose, patterns, wanted, keep_identifiers)
    tables = {"structures": rows, "curves": curves}
    settings = {**wanted.options, "curve_step_gy": wanted.curve_step_gy, "alpha_beta_gy": alpha_beta_gy}
    write_tables(tables, Path(out), "structures", {"settings": settings, "notes": notes}, _columns(wanted))
    return tables


def _checked(values: Sequence[float], most: float, what: str) -> tuple[float, ...]:
    if not all(math.isfinite(v) and 0 < v <= most for v in values):
        raise ParameterError(f"{what} lies above 0" + (f" and up to {most:g}" if most < math.inf else "") + f", not {values}")
    return tuple(float(v) for v in values)


def _columns(wanted: _Wanted) -> dict[str, tuple[str, str]]:
    """Describe the columns that depend on what was asked for."""
    doses = {f"d{p:g}_gy": (f"dose that {p:g} % of the volume reach; n/a if it is unknown", "Gy") for p in wanted.dose_percents}
    what = "volume with {:g} Gy or more, in percent; n/a if it is unknown"
    return doses | {f"v{d:g}gy_percent": (what.format(d), "%") for d in wanted.volume_doses_gy}


def _of_files(
    source: str | Path, dose: str | Path, patterns: Sequence[str], wanted: _Wanted, keep_identifiers: bool
) -> tuple[Rows, Rows, list[str]]:
    """Measure the structures of a file, or a mask."""
    if is_nifti(source):
        if wanted.options["between"] != "nearest" or wanted.options["end_cap_mm"] not in (None, 0.0):
            raise ParameterError("what lies between planes, and caps, are for contours; a mask has them in it already")
        if patterns:
            raise ParameterError("names of structures are for structure sets; a mask has none")
        mask = read_share(source)
        image, notes = read_any_dose(dose)
        dvh = dose_volume_histogram(mask, image, supersampling=wanted.options["supersampling"], name="mask")
        row = {"structure": "mask", "number": None} | _numbers(dvh, wanted, [])
        return [row], _curve({"structure": "mask", "number": None}, dvh, wanted), notes
    read = read_structures(source, keep_identifiers=keep_identifiers)
    chosen, missing = chosen_structures(read, patterns, str(source))
    image, notes = read_any_dose(dose)
    rows, curves = _measured(read, chosen, image, wanted, {})
    if rows and all(row["status"] == "failed" for row in rows):
        raise GridMismatchError(f"{source}: {rows[0]['reason']}")
    rows += [{"structure": None, "status": "missing", "reason": why} for _, why in missing]
    return rows, curves, [*map(read.shown, read.faults()), *notes]


def _of_folder(
    index: DicomIndex,
    patterns: Sequence[str],
    wanted: _Wanted,
    sum_plans: bool,
    alpha_beta_gy: float | None,
    keep_identifiers: bool,
) -> tuple[Rows, Rows]:
    """Measure all plans of a folder; what is not clear becomes a row, and the others go on."""
    rows: Rows = []
    curves: Rows = []
    if not index.of_kind("RTPLAN"):
        what = index.problems[0] if index.problems else None
        why = f" ({what.path} {what.problem})" if what else ""
        raise ImageFileError(f"{index.folder}: holds no plan{why}; name the files of structures and dose")
    sets: dict[str, list[tuple[DicomObject, PlanDose]]] = {}
    for plan in index.of_kind("RTPLAN"):
        found = plan_dose(index, plan, alpha_beta_gy=alpha_beta_gy)
        linked = index.linked(plan.uid, "structures")
        if not linked:
            where = {"patient": plan.patient, "plan_path": plan.shown_path, "dose_status": found.status}
            rows.append(where | {"status": "no_structures", "reason": "no structure set belongs to the plan"})
        for structures in linked:
            sets.setdefault(structures.uid, []).append((plan, found))
    for uid, plans in sets.items():
        doses = [(plan.shown_path, plan.patient, found) for plan, found in plans]
        if sum_plans and len(plans) > 1:
            doses.append((_SUM, plans[0][0].patient, whole_dose(index, [found for _, found in plans])))
        own, more = _of_set(index, uid, doses, patterns, wanted, keep_identifiers)
        rows += own
        curves += more
    return rows, curves


def _of_set(
    index: DicomIndex,
    uid: str,
    doses: Sequence[tuple[str, str, PlanDose]],
    patterns: Sequence[str],
    wanted: _Wanted,
    keep_identifiers: bool,
) -> tuple[Rows, Rows]:
    rows: Rows = []
    curves: Rows = []
    shown = index.find(uid).shown_path
    read = ReadStructures(StructureSet(()), (), str)
    chosen: list[tuple[Structure, str]] = []
    missing: list[tuple[str, str]] = []
    lost: dict[str, str] = {}
    step = "unreadable"
    try:
        read = of_index(index, uid, keep_identifiers=keep_identifiers)
        step = "missing"
        chosen, missing = chosen_structures(read, patterns, shown)
    except InputError as error:
        lost = {"status": step, "reason": str(error)}
    for plan_path, patient, found in doses:
        where = {"patient": patient, "plan_path": plan_path, "structures_path": shown, "dose_status": found.status}
        if lost or found.dose is None:
            rows.append(where | {"structure": None} | (lost or {"status": "no_dose", "reason": found.reason}))
            continue
        doubt = [f"dose: {found.reason}"] if found.status != "ok" else []
        own, more = _measured(read, chosen, found.dose, wanted, where, doubt)
        rows += own
        curves += more
        rows += [where | {"structure": None, "status": "missing", "reason": why} for _, why in missing]
    return rows, curves


def _measured(
    read: ReadStructures,
    chosen: Sequence[tuple[Structure, str]],
    dose: Image,
    wanted: _Wanted,
    where: dict[str, Any],
    doubts: Sequence[str] = (),
) -> tuple[Rows, Rows]:
    rows: Rows = []
    curves: Rows = []
    for structure, _ in chosen:
        key = {**where, "structure": read.shown(structure.name), "number": structure.number}
        faults = [*doubts, *read.faults(structure)]
        try:
            dvh = dose_volume_histogram(structure, dose, **wanted.options)
        except GridMismatchError as error:
            rows.append(key | {"status": "failed", "reason": "; ".join([str(error), *faults])})
            continue
        rows.append(key | _numbers(dvh, wanted, faults))
        curves += _curve(key, dvh, wanted)
    return rows, curves


def _numbers(dvh: DVH, wanted: _Wanted, faults: Sequence[str]) -> dict[str, Any]:
    low, high = dvh.mean_bounds_gy()
    return {
        "status": dvh.status,
        "unit": dvh.unit,
        "volume_ml": dvh.volume_ml,
        "unknown_share": dvh.unknown_share,
        "mean_gy": dvh.mean_gy,
        "mean_low_gy": low,
        "mean_high_gy": high,
        "min_gy": dvh.min_gy,
        "max_gy": dvh.max_gy,
        **{f"d{p:g}_gy": dvh.dose_at_volume(percent=p) for p in wanted.dose_percents},
        **{f"v{d:g}gy_percent": dvh.percent_at_dose(d) for d in wanted.volume_doses_gy},
        "reason": "; ".join([dvh.reason, *faults] if dvh.reason else faults),
    }


def _curve(key: dict[str, Any], dvh: DVH, wanted: _Wanted) -> Rows:
    """Tabulate a histogram from 0 Gy to its largest dose."""
    if dvh.status in ("empty", "outside"):
        return []
    top = dvh.highest_gy if dvh.status == "dose_unknown" else dvh.known_max_gy
    rows = []
    for gy in np.arange(0, top + wanted.curve_step_gy, wanted.curve_step_gy):
        low, high = dvh.volume_at_dose_bounds(float(gy))
        volume = dvh.volume_at_dose(float(gy))
        names = {k: v for k, v in key.items() if k not in ("dose_status", "number", "structures_path")}
        values = {"dose_gy": float(gy), "volume_ml": volume, "percent": 100 * volume / dvh.volume_ml}
        rows.append(names | values | {"volume_low_ml": low, "volume_high_ml": high})
    return rows
