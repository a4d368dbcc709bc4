"""How the page of one patient is made."""

from __future__ import annotations

from regrowth.report.content import Flag, PatientReport, StepError
from regrowth.report.render import environment, status_lines

__all__ = ["failure_line", "render_patient", "sorted_flags"]

_ORDER = {"error": 0, "warning": 1, "info": 2}


def render_patient(report: PatientReport) -> str:
    """Write the page of one patient: a single HTML file that opens without a network.

    Parameters
    ----------
    report
        Everything the page shows.

    Returns
    -------
    str
        HTML; the same report gives the same text.
    """
    return (
        environment()
        .get_template("patient.html.j2")
        .render(
            report=report,
            title=f"sub-{report.participant}",
            flags=sorted_flags(report.flags),
            status=status_lines(report.sections, tuple(failure_line(e) for e in report.errors)),
        )
    )


def sorted_flags(flags: tuple[Flag, ...]) -> list[Flag]:
    """Put errors first, then warnings, each in the order given."""
    return sorted(flags, key=lambda f: _ORDER[f.level])


def failure_line(error: StepError) -> str:
    """Say in one line what failed where."""
    who = f"sub-{error.participant}, " if error.participant else ""
    place = f"{who}{error.step}" + (f" in ses-{error.session}" if error.session else "")
    first = error.message.strip().splitlines()[0] if error.message.strip() else "no message"
    return f"{place}: {first}"
