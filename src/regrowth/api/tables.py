"""Statistics on plain tables: a cohort's survival and locations, transitions alone, the response of a series."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regrowth.errors import ParameterError
from regrowth.io.tables import read_tsv, write_bytes, write_json, write_text, write_tsv
from regrowth.report import CohortReport, Flag, Section, methods_text, render_cohort

__all__ = ["analyse", "respond", "simulate", "transitions"]

Rows = list[dict[str, object]]


def analyse(table: str | Path, out_dir: str | Path, *, imaging: str | Path | None = None, **parameters: Any) -> dict[str, Rows]:
    """Analyse a cohort from its table: survival, Cox models, the ratio and its cut, competing risks, transitions, migration.

    Parameters
    ----------
    table
        TSV with one row per patient: ``participant_id`` and any of the columns in ``docs/statistics.md``.
    out_dir
        Folder for the tables, the figures and ``statistics.html``, made if absent.
    imaging
        TSV with further columns of the same patients, such as ``group/cohort.tsv`` of a run; joined by ``participant_id``.
    **parameters
        Fields of `regrowth.statistics.parameters.StatisticsParameters`.

    Returns
    -------
    dict
        Name of the table to its rows.

    Raises
    ------
    InputError
        If the table cannot be read or holds what cannot be; the message names column, patient and remedy.
    """
    from regrowth.statistics.analysis import PARTS
    from regrowth.statistics.analysis import analyse as analyse_table
    from regrowth.statistics.clinical import read_clinical
    from regrowth.statistics.parameters import StatisticsParameters
    from regrowth.workflow.pages.statistics import statistics_sections

    settings = StatisticsParameters(**parameters)
    rows, flags = _joined(Path(table), None if imaging is None else Path(imaging))
    clinical = read_clinical(rows, required=(), check_units=settings.check_units, where=Path(table).name)
    analysis = analyse_table(clinical, settings)
    if set(analysis.reasons) == set(PARTS):
        raise ParameterError(
            f"{table}: no part of the analysis can be done ({analysis.reasons['overall']}); it has the columns "
            f"{', '.join(rows[0])}: name them as in docs/statistics.md"
        )
    tables = analysis.tables()
    synthetic = _is_synthetic(rows)
    sections = statistics_sections(analysis, synthetic=synthetic)
    told = {"penalty": settings.penalty, "bootstraps": settings.bootstraps, "cut": settings.cut}
    methods = {"statistics": {**told, "permutations": settings.permutations}}
    _write(Path(out_dir), f"Statistics of {Path(table).name}", tables, sections, methods, flags, synthetic)
    return tables


def transitions(table: str | Path, out_dir: str | Path, **parameters: Any) -> dict[str, Rows]:
    """Count in which class of location tumours come back: the part of `analyse` that needs no survival.

    Parameters
    ----------
    table
        TSV with ``participant_id``, ``location_primary`` and ``location_recurrence``.
    out_dir
        Folder for the tables, the figures and ``statistics.html``.
    **parameters
        Fields of `regrowth.statistics.parameters.StatisticsParameters`.

    Raises
    ------
    InputError
        If the table cannot be read or lacks a column.
    """
    from regrowth.statistics.analysis import analyse as analyse_table
    from regrowth.statistics.clinical import read_clinical
    from regrowth.statistics.parameters import StatisticsParameters
    from regrowth.workflow.pages.statistics import statistics_sections

    rows: Sequence[Mapping[str, str]] = read_tsv(Path(table))
    wanted = ("participant_id", "location_primary", "location_recurrence")
    kept = [{name: row[name] for name in wanted if name in row} for row in rows]
    clinical = read_clinical(kept, required=wanted[1:], where=Path(table).name)
    analysis = analyse_table(clinical, StatisticsParameters(**parameters))
    if analysis.transitions is None:
        raise ParameterError(f"{table}: {analysis.reasons['transitions']}")
    names = ("transitions", "new_site", "transition_tests")
    tables = {name: found for name, found in analysis.tables().items() if name in names}
    synthetic = _is_synthetic(rows)
    sections = [s for s in statistics_sections(analysis, synthetic=synthetic) if s.anchor == "transitions"]
    _write(Path(out_dir), f"Transitions of {Path(table).name}", tables, sections, {}, (), synthetic)
    return tables


def respond(table: str | Path, out: str | Path, **parameters: Any) -> Rows:
    """Assess the response of series of exams by the rules of RANO 2.0.

    Parameters
    ----------
    table
        TSV with one row per exam: ``participant_id``, ``day``, ``phase`` (see `regrowth.clinical.PHASES`), ``volume_ml`` and/or
        ``product_mm2``; optional ``label``, ``new_lesions``, ``steroids_mg``, ``clinical``, ``rt_end_day``.
    out
        TSV to write, one row per exam.
    **parameters
        Fields of `regrowth.response.ResponseParameters`.

    Raises
    ------
    InputError
        If the table cannot be read or a cell is not what its column should hold.
    """
    from regrowth.response import ResponseParameters, assess

    settings = ResponseParameters(**parameters)
    rows = read_tsv(Path(table))
    if not rows:
        raise ParameterError(f"{table}: there are no exams; it needs one row per exam")
    absent = [name for name in ("participant_id", "day", "phase") if name not in rows[0]]
    if absent or not {"volume_ml", "product_mm2"} & set(rows[0]):
        lacking = ", ".join(absent) or "volume_ml or product_mm2"
        raise ParameterError(f"{table}: lacks the column(s) {lacking}; it needs one row per exam")
    out_rows: Rows = []
    for name in dict.fromkeys(r["participant_id"] for r in rows):
        mine = [r for r in rows if r["participant_id"] == name]
        exams = [_exam(r, settings.regions[0], str(table)) for r in mine]
        ends = {_number(r, "rt_end_day", str(table)) for r in mine if r.get("rt_end_day", "n/a") != "n/a"}
        if len(ends) > 1:
            raise ParameterError(f"{table}: {name} has more than one rt_end_day; give one per patient")
        found = assess(exams, settings, radiotherapy_end_day=next(iter(ends), None))
        out_rows += [{"participant_id": name, **a.as_row()} for a in found]
    write_tsv(out_rows, Path(out))
    return out_rows


def simulate(out: str | Path, patients: int = 200, seed: int = 0, *, missing_share: float = 0.05) -> dict[str, object]:
    """Write the table of a synthetic cohort with known hazard ratios and transitions, and the truth beside it.

    Parameters
    ----------
    out
        TSV to write; the truth goes to a JSON file of the same name.
    patients, seed
        How many, and the seed.
    missing_share
        Share of missing values in some columns.

    Returns
    -------
    dict
        The truth.
    """
    from regrowth.phantom.clinical import clinical_truth, synthetic_clinical

    if patients < 1:
        raise ParameterError(f"patients is {patients}; a cohort has at least 1")
    rows = synthetic_clinical(patients, seed, missing_share=missing_share)
    truth = {"Synthetic": True, "seed": seed, **clinical_truth(missing_share=missing_share)}
    write_tsv([{**row, "synthetic": True} for row in rows], Path(out))
    write_json(truth, Path(out).with_suffix(".json"))
    return truth


def _joined(table: Path, imaging: Path | None) -> tuple[list[dict[str, str]], tuple[Flag, ...]]:
    """Join two tables by participant; who is only in one of them is named."""
    from regrowth.statistics.clinical import match_ids

    rows = read_tsv(table)
    if imaging is None:
        return rows, ()
    others = read_tsv(imaging)
    for path, found in ((table, rows), (imaging, others)):
        if found and "participant_id" not in found[0]:
            raise ParameterError(f"{path}: has no column participant_id, by which the tables are joined")
    first, second = ({r["participant_id"].removeprefix("sub-"): r for r in found} for found in (rows, others))
    for path, found, unique in ((table, rows, first), (imaging, others, second)):
        if len(unique) != len(found):
            raise ParameterError(f"{path}: names a participant more than once; it needs one row per patient")
    matching = match_ids(first, second, (table.name, imaging.name))
    if not matching.both:
        raise ParameterError(f"{table} and {imaging} have no participant in common ({matching.message})")
    clash = [c for c in others[0] if c in rows[0] and c != "participant_id"]
    joined = []
    for label, row in first.items():
        more = {c: v for c, v in second.get(label, {}).items() if c != "participant_id"}
        joined.append({**more, **row, **{c: row[c] if row[c] != "n/a" else more.get(c, "n/a") for c in clash}})
    flags = (
        [Flag("warning", "tables", matching.message, "check the names; the others are analysed")] if matching.message else []
    )
    return joined, tuple(flags)


def _exam(row: Mapping[str, str], region: str, where: str) -> Any:
    from regrowth.response import Exam

    day, new = (_whole(row, name, where) for name in ("day", "new_lesions"))
    if day is None:
        raise ParameterError(f"{where}: {row['participant_id']} has an exam without a day; write days from the first exam")
    steroids, volume_ml, product_mm2 = (_number(row, name, where) for name in ("steroids_mg", "volume_ml", "product_mm2"))
    clinical: Any = row.get("clinical", "n/a")
    try:
        return Exam(
            day=day,
            phase=row["phase"],
            volumes_ml={region: volume_ml},
            products_mm2={region: product_mm2},
            new_lesions=new,
            label=row.get("label", f"day {row['day']}"),
            steroids_mg=None if math.isnan(steroids) else steroids,
            clinical=None if clinical in ("n/a", "") else clinical,
        )
    except ParameterError as error:
        raise ParameterError(f"{where}, {row['participant_id']}: {error}") from error


def _number(row: Mapping[str, str], name: str, where: str) -> float:
    text = row.get(name, "n/a")
    if text in ("n/a", ""):
        return math.nan
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ParameterError(f"{where}: {row['participant_id']} has {name} {text!r}; write a number or n/a")
    return found


def _whole(row: Mapping[str, str], name: str, where: str) -> int | None:
    found = _number(row, name, where)
    if math.isnan(found):
        return None
    if found != int(found):
        raise ParameterError(f"{where}: {row['participant_id']} has {name} {row[name]}; write a whole number or n/a")
    return int(found)


def _is_synthetic(rows: Sequence[Mapping[str, object]]) -> bool:
    return any(str(row.get("synthetic", "")).lower() in ("true", "1") for row in rows)


def _write(
    folder: Path,
    title: str,
    tables: Mapping[str, Rows],
    sections: Sequence[Section],
    methods: Mapping[str, Mapping[str, object]],
    flags: Sequence[Flag],
    synthetic: bool,
) -> None:
    """Write tables, data dictionary, figures and page."""
    from regrowth import __version__
    from regrowth.statistics.dictionary import data_dictionary

    for name, rows in tables.items():
        write_tsv(rows, folder / f"{name}.tsv")
    write_json(data_dictionary(tables), folder / "dictionary.json")
    for figure in [f for s in sections for f in s.figures]:
        for filename, data in figure.files().items():
            write_bytes(data, folder / "figures" / filename)
    text, references = methods_text(["statistics"] if methods else [], {"regrowth": __version__}, methods)
    report = CohortReport(
        title=title,
        generated=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        version=__version__,
        sections=tuple(sections),
        flags=tuple(flags),
        methods=text if methods else "",
        references=references,
        synthetic=synthetic,
    )
    write_text(render_cohort(report), folder / "statistics.html")
