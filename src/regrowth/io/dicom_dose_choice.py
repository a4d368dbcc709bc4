"""Which dose files make up the dose of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from regrowth.io.dicom_objects import DicomIndex, DicomObject

__all__ = ["DoseChoice", "choose_dose"]

_SUMMED = (("FRACTION", "fraction_groups", "groups of fractions"), ("BEAM", "beams", "beams"))


@dataclass(frozen=True)
class DoseChoice:
    """The dose files of a plan.

    Parameters
    ----------
    plan_uid
        The plan.
    dose_uids
        Files to take: one, or several to add up (their grids may differ); none if it is not clear.
    summation
        ``PLAN``, ``FRACTION``, ``BEAM`` or ``MULTI_PLAN``; empty without a dose.
    status
        ``ok``; ``incomplete``: parts are missing, the sum is too low; ``multi_plan``: the only dose is that of several plans
        together; ``ambiguous``: several doses for the same; ``missing``: none.
    reason
        What was chosen and why.
    """

    plan_uid: str
    dose_uids: tuple[str, ...]
    summation: str
    status: str
    reason: str


def choose_dose(index: DicomIndex, plan_uid: str) -> DoseChoice:
    """Choose the dose of a plan: the sum over the plan, else the groups of fractions added up, else the beams added up.

    Two different files for the same thing are never chosen between: `ambiguous`, without a dose. Doses of single control
    points, sessions or records are not used.

    Parameters
    ----------
    index
        Index of the folder.
    plan_uid
        SOP instance UID of the plan.

    Returns
    -------
    DoseChoice
        The doses of the files `dose_uids` add up to the dose of the plan.

    Raises
    ------
    ParameterError
        If the index has no such plan.
    """
    plan = index.find(plan_uid)
    doses = index.linking(plan_uid, "plan")
    whole = [d for d in doses if d.summation_type in ("PLAN", "")]
    if whole:
        return _of_plan(plan_uid, whole)
    for summation, attribute, name in _SUMMED:
        parts = [d for d in doses if d.summation_type == summation]
        if parts:
            return _of_parts(plan, parts, summation, attribute, name)
    several = [d for d in doses if d.summation_type == "MULTI_PLAN"]
    if len(several) == 1:
        reason = "the only dose is that of several plans together; it stands for them all"
        return DoseChoice(plan_uid, (several[0].uid,), "MULTI_PLAN", "multi_plan", reason)
    if several:
        return DoseChoice(plan_uid, (), "MULTI_PLAN", "ambiguous", f"{len(several)} doses of several plans together")
    kinds = sorted({d.summation_type for d in doses})
    reason = (
        f"only doses of type {', '.join(kinds)}, which do not add up to the plan" if kinds else "no dose belongs to the plan"
    )
    return DoseChoice(plan_uid, (), "", "missing", reason)


def _of_plan(plan_uid: str, doses: list[DicomObject]) -> DoseChoice:
    if len(doses) > 1:
        reason = (
            f"{len(doses)} doses say that they are the dose of the plan; leave all but one out by a manifest (column ignore)"
        )
        return DoseChoice(plan_uid, (), "PLAN", "ambiguous", reason)
    unsaid = "" if doses[0].summation_type else " (it does not say what it adds up; taken as the plan)"
    return DoseChoice(plan_uid, (doses[0].uid,), "PLAN", "ok", f"the dose of the plan{unsaid}")


def _of_parts(plan: DicomObject, parts: list[DicomObject], summation: str, attribute: str, name: str) -> DoseChoice:
    """Add up the parts, if each is of its own share of the plan and together they are all of it."""
    covered = [n for d in parts for n in getattr(d, attribute)]
    uids = tuple(d.uid for d in parts)
    if len(set(covered)) < len(covered):
        return DoseChoice(plan.uid, (), summation, "ambiguous", f"several doses are of the same {name}")
    silent = sum(not getattr(d, attribute) for d in parts)
    if silent and len(parts) > 1:
        return DoseChoice(
            plan.uid, (), summation, "ambiguous", f"{silent} of {len(parts)} doses do not say of which {name} they are"
        )
    wanted = set(getattr(plan, attribute))
    missing = wanted - set(covered)
    if missing and not (silent and len(wanted) == 1):
        reason = f"the doses of {len(missing)} of {len(wanted)} {name} are not here, so that the sum is too low"
        return DoseChoice(plan.uid, uids, summation, "incomplete", reason)
    return DoseChoice(plan.uid, uids, summation, "ok", f"no dose of the plan; the doses of {len(parts)} {name} are added up")
