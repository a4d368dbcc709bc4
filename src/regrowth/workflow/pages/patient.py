"""What the page of one patient says."""

from __future__ import annotations

import datetime

from regrowth import __version__
from regrowth.io.tables import read_json
from regrowth.report import Figure, PatientReport, methods_text
from regrowth.workflow.job import Task
from regrowth.workflow.pages.anatomy import location_flags, location_items, location_section
from regrowth.workflow.pages.flags import errors_of, flags_of
from regrowth.workflow.pages.material import material_of
from regrowth.workflow.pages.sections import inventory, left_by, recurrences, registrations, segmentations, summary, timeline

__all__ = ["figures_of", "patient_page"]

_NO_FORECAST = (
    "forecasts learn from the other patients, so that the group level makes them; run the levels participant and group "
    "together, or write the pages again with regrowth report afterwards"
)


def patient_page(task: Task) -> PatientReport:
    """Build the page of a patient from whatever results are there."""
    settings, m = task.job.settings, material_of(task)
    sessions = m.sessions
    brains = {s.label: read_json(p) for s in sessions if (p := task.given(f"brain_facts_{s.label}"))}
    quality = [row for rows in m.quality.values() for row in rows]
    migration = [row for rows in m.migration.values() for row in rows]
    sections = [
        inventory(m),
        timeline(m),
        *segmentations(m),
        *registrations(m),
        *recurrences(m),
        location_section(m),
        left_by(m, "response", "respond", "Response", "no response was assessed"),
        left_by(m, "forecast", "forecast", "Forecast", _NO_FORECAST),
        left_by(m, "growth", "grow", "Growth in space", "no growth was mapped"),
    ]
    errors = errors_of(settings)
    failed = {(e.step, e.session) for e in errors}
    done = ["index", *(name for name in settings["steps"] if not any(step == name for step, _ in failed))]
    done += ["forecast"] if task.given("forecast") else []
    text, references = methods_text(done, settings["versions"], settings["methods"])
    return PatientReport(
        participant=task.job.participant,
        generated=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        version=__version__,
        summary=(*summary(m), *location_items(m)),
        flags=(*flags_of(settings, quality, migration, brains, is_nominal=bool(m.nominal)), *location_flags(m)),
        sections=tuple(sections),
        methods=text,
        references=references,
        errors=errors,
        provenance=tuple((k, str(v)) for k, v in settings["provenance"].items()),
        synthetic=m.synthetic,
        notes=tuple(filter(None, [m.nominal])),
    )


def figures_of(report: PatientReport) -> list[Figure]:
    """Give every figure of a page."""
    return [f for s in report.sections for f in s.figures]
