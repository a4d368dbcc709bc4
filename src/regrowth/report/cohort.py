"""How the page of the cohort is made."""

from __future__ import annotations

from dataclasses import replace

from regrowth.report.content import CohortReport, Column, Figure, Missing, PatientRow, Section, Table, Value
from regrowth.report.patient import failure_line, sorted_flags
from regrowth.report.render import Cell, TableView, environment, status_lines, table_view

__all__ = ["patient_table", "render_cohort"]


def render_cohort(report: CohortReport) -> str:
    """Write the page of the cohort: a single HTML file; its only links lead to the pages of the patients beside it.

    Parameters
    ----------
    report
        Everything the page shows.

    Returns
    -------
    str
        HTML; the same report gives the same text.
    """
    sections = _sections(report)
    return (
        environment()
        .get_template("cohort.html.j2")
        .render(
            report=report,
            title=report.title,
            flags=sorted_flags(report.flags),
            sections=sections,
            has_patients=_has_patients(report),
            patients=_linked(table_view(patient_table(report)), report.rows),
            status=_status(report),
        )
    )


def patient_table(report: CohortReport) -> Table:
    """Give the table of patients, one row each."""
    volumes = list(dict.fromkeys(key for row in report.rows for key in row.volumes_ml))
    classes = list(dict.fromkeys(key for row in report.rows for key in row.classes))
    columns = [
        Column("patient", "", "opens the patient's page"),
        Column("status", "", "done; incomplete: something was skipped; failed: a step failed"),
        Column("pattern", "", "class of the recurrence by its distance from the primary"),
        Column("trend", "", "course of the volume over the exams"),
        *(Column(key) for key in classes),
        *(Column(f"{key}", "ml", "volume in native space", 1) for key in volumes),
        Column("migration", "mm", "migration distance after deformable registration", 1),
        Column("migration, rigid", "mm", "migration distance after rigid registration alone", 1),
        Column("registration", "", "verdict on the registration with the baseline"),
        Column("flags", "", "number of warnings and errors"),
        Column("remark"),
    ]
    return Table("Patients", tuple(columns), tuple(_values(row, classes, volumes) for row in report.rows))


def _values(row: PatientRow, classes: list[str], volumes: list[str]) -> tuple[Value, ...]:
    why = row.note or "not measured"

    def known(value: Value) -> Value:
        absent = value is None or (isinstance(value, float) and value != value)
        return Missing(why) if absent else value

    return (
        f"sub-{row.label}",
        row.status,
        known(row.pattern),
        known(row.trend),
        *(known(row.classes.get(key)) for key in classes),
        *(known(row.volumes_ml.get(key)) for key in volumes),
        known(row.migration_mm),
        known(row.migration_rigid_mm),
        known(row.registration),
        row.flags,
        row.note,
    )


def _linked(view: TableView, rows: tuple[PatientRow, ...]) -> TableView:
    """Turn the first cell into a link and colour the status."""
    out = []
    for cells, row in zip(view.rows, rows, strict=True):
        first = replace(cells[0], link=row.link)
        status = Cell(row.status, row.note, row.status, f"status {row.status}")
        out.append((first, status, *cells[2:]))
    return replace(view, rows=tuple(out))


def _has_patients(report: CohortReport) -> bool:
    """Tell whether the page is about patients with pages of their own, and not about a plain table."""
    return bool(report.rows) or not report.sections


def _sections(report: CohortReport) -> tuple[Section, ...]:
    figures = tuple(d for d in report.distributions if isinstance(d, Figure))
    tables = tuple(d for d in report.distributions if isinstance(d, Table))
    nothing = "no patient has a result yet"
    first = Section("Distributions", "distributions", "", figures, tables, None if report.distributions else nothing)
    last = Section("Mosaic", "mosaic", "", report.mosaics, (), None if report.mosaics else nothing)
    whole = _has_patients(report)
    return (
        *([first] if whole or report.distributions else []),
        *report.sections,
        *([last] if whole or report.mosaics else []),
    )


def _status(report: CohortReport) -> list[tuple[str, str, str]]:
    """Say what ran, for how many, and what failed; of a plain table, which parts are done."""
    if not _has_patients(report):
        return status_lines(report.sections, tuple(failure_line(f) for f in report.failures))
    counts = {s: sum(row.status == s for row in report.rows) for s in ("done", "incomplete", "failed")}
    total = len(report.rows)
    noun = "patient" if total == 1 else "patients"
    lines = [("done", "Done", f"{counts['done']} of {total} {noun}.")]
    if counts["incomplete"]:
        lines.append(("skipped", "Incomplete", f"{counts['incomplete']} of {total} {noun}, with the reason in the table."))
    if counts["failed"]:
        lines.append(("failed", "Failed", f"{counts['failed']} of {total} {noun}, with the reason in the table."))
    return lines + status_lines(report.sections, tuple(failure_line(f) for f in report.failures))[1:]
