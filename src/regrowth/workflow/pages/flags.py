"""What on a page a reader should doubt, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regrowth.report import Flag, StepError
from regrowth.workflow.pages.values import NOMINAL_NOTE, number

__all__ = ["errors_of", "flags_of"]

_REMEDIES = {
    "ratio": "see the status column of the volumes",
    "brain": "give a brain mask with --derivatives (label-brain_mask) if it matters",
}


def flags_of(
    settings: Mapping[str, Any],
    quality: Sequence[Mapping[str, str]],
    migration: Sequence[Mapping[str, str]],
    brains: Mapping[str, Mapping[str, object]],
    *,
    is_nominal: bool,
    band_mm: float = 5.0,
) -> tuple[Flag, ...]:
    """Collect the quality flags of a patient.

    Parameters
    ----------
    settings
        Settings of the report job: ``problems`` of the data set.
    quality
        Rows of the registration tables.
    migration
        Rows of the migration tables.
    brains
        Session label to sidecar of its brain mask.
    is_nominal
        Whether the spacing of an exam is nominal.
    band_mm
        Difference of the outward p95 between rigid registration and the last stage that is worth a flag.
    """
    flags: list[Flag] = []
    if is_nominal:
        flags.append(Flag("warning", "geometry", NOMINAL_NOTE, "compare mm and ml within this data set only"))
    for problem in settings.get("problems", ()):
        where = f"ses-{problem['session']}" if problem["session"] else "data set"
        flags.append(Flag("info", where, problem["message"]))
    for row in quality:
        for text in filter(None, row.get("flag_messages", "").split("; ")):
            if text != "n/a":
                where = f"registration {row.get('moving', '')} to {row.get('fixed', '')}, {row.get('stage', '')}"
                flags.append(Flag("warning", where, text, "look at the registration figure before using distances"))
    for session, facts in brains.items():
        if facts.get("IsFallback"):
            text = (
                f"the brain mask is a fallback ({facts.get('Method')}): {facts.get('Reason') or 'no better source was there'}"
            )
            flags.append(Flag("info", f"ses-{session}", text, _REMEDIES["brain"]))
    for row in migration:
        if row.get("transform") == "band" and number(row.get("outward_p95_mm")) > band_mm:
            text = (
                f"outward p95 of {row['region']} differs by {number(row['outward_p95_mm']):.1f} mm between rigid "
                "registration and the last stage"
            )
            flags.append(Flag("warning", f"recurrence, ses-{row.get('followup')}", text, "report both values, not one"))
    return tuple(flags)


def errors_of(settings: Mapping[str, Any]) -> tuple[StepError, ...]:
    """Give the steps that failed or were blocked, with their participant."""
    failures: Sequence[Mapping[str, str]] = settings.get("failures", ())
    return tuple(StepError(f["step"], f["session"], f["message"], participant=f["participant"]) for f in failures)
