"""Which structures, doses and series of a DICOM folder are meant, and how their faults are told without names of patients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from regrowth.errors import ImageFileError, InputError, ParameterError, RegrowthError
from regrowth.io.dicom_index import DicomIndex, DicomObject, choose_dose
from regrowth.io.dicom_rt import read_rtdose, read_rtplan
from regrowth.radiotherapy.dose_sum import sum_doses
from regrowth.radiotherapy.fractionation import eqd2
from regrowth.space import Grid, Image

__all__ = ["PlanDose", "only_object", "plan_dose", "series_volume", "shown_as", "whole_dose"]

_NAMES = {
    "RTSTRUCT": ("structure set", "structure sets"),
    "IMAGE": ("series of images that makes a volume", "series of images"),
}


@dataclass(frozen=True, eq=False)
class PlanDose:
    """The dose of a plan.

    Parameters
    ----------
    dose
        Gy; None where it is not clear.
    dose_uids
        Files that it was read from.
    n_fractions, prescription_gy
        As planned; None and NaN where the plan does not say.
    status
        ``ok``; ``incomplete``, ``multi_plan``, ``ambiguous``, ``missing`` as in `choose_dose`; ``unreadable``.
    reason
        How the dose was chosen, and what to doubt.
    """

    dose: Image | None
    dose_uids: tuple[str, ...]
    n_fractions: int | None
    prescription_gy: float
    status: str
    reason: str


@contextlib.contextmanager
def shown_as(index: DicomIndex, *uids: str) -> Iterator[None]:
    """Tell errors about files of a folder with the paths that may be shown: names of files may be names of patients."""
    try:
        yield
    except RegrowthError as error:
        text = str(error)
        for found in map(index.find, uids):
            shown = Path(found.shown_path)
            for path in (index.folder / p for p in found.paths):
                text = text.replace(str(path), shown.as_posix())
                if path.parent != index.folder:
                    text = text.replace(str(path.parent), shown.parent.as_posix())
        raise type(error)(text) from None


def only_object(index: DicomIndex, kind: Literal["RTSTRUCT", "IMAGE"], remedy: str) -> DicomObject:
    """Give the only object of a kind; a series of images counts if it makes a volume.

    Raises
    ------
    ImageFileError
        If there is none, or several.
    """
    found = [o for o in index.of_kind(kind) if kind != "IMAGE" or o.grid is not None]
    if len(found) == 1:
        return found[0]
    if not found:
        paths = {o.shown_path for o in index.of_kind(kind)}
        wrong = [f"{p.path} {p.problem}; {p.remedy}" for p in index.problems if p.path in paths or not paths]
        why = f" ({wrong[0]})" if wrong else ""
        raise ImageFileError(f"{index.folder}: holds no {_NAMES[kind][0]}{why}; {remedy}")
    raise ImageFileError(f"{index.folder}: holds {len(found)} {_NAMES[kind][1]}; {remedy}")


def series_volume(index: DicomIndex, series_uid: str = "") -> DicomObject:
    """Give the series that is named, if the folder has it and it makes a volume, else the only one of the folder."""
    for found in index.of_kind("IMAGE"):
        if found.uid == series_uid and found.grid is not None:
            return found
    return only_object(index, "IMAGE", "give the folder of one series")


def plan_dose(index: DicomIndex, plan: DicomObject, *, alpha_beta_gy: float | None = None) -> PlanDose:
    """Read the dose of a plan, as `choose_dose` finds it, in Gy or converted to fractions of 2 Gy.

    Parameters
    ----------
    index
        Index of the folder.
    plan
        The plan.
    alpha_beta_gy
        Convert to EQD2 with this alpha/beta and the number of fractions of the plan; physical dose if left out.

    Returns
    -------
    PlanDose
        With a status instead of an error, so that other plans go on.
    """
    choice = choose_dose(index, plan.uid)
    n_fractions, prescription, notes = None, float("nan"), [choice.reason]
    try:
        with shown_as(index, plan.uid):
            course = read_rtplan(index.files(plan.uid)[0])
        n_fractions, prescription = course.n_fractions, course.prescription_gy
    except InputError as error:
        notes.append(str(error))
    if not choice.dose_uids:
        return PlanDose(None, (), n_fractions, prescription, choice.status, "; ".join(notes))
    try:
        with shown_as(index, *choice.dose_uids):
            dose, more = _added([read_rtdose(index.files(uid)[0]) for uid in choice.dose_uids])
            if alpha_beta_gy is not None:
                dose = _converted(dose, n_fractions, alpha_beta_gy)
    except InputError as error:
        return PlanDose(None, choice.dose_uids, n_fractions, prescription, "unreadable", str(error))
    return PlanDose(dose, choice.dose_uids, n_fractions, prescription, choice.status, "; ".join([*notes, *more]))


def _converted(dose: Image, n_fractions: int | None, alpha_beta_gy: float) -> Image:
    if n_fractions is None:
        raise ParameterError("the plan does not say in how many fractions it was given, so that there is no EQD2")
    values = eqd2(dose.data, n_fractions, alpha_beta_gy).astype(np.float32)
    return dose.with_data(values, f"Gy EQD2 {alpha_beta_gy:g}")


def whole_dose(index: DicomIndex, found: list[PlanDose]) -> PlanDose:
    """Add up the doses of several plans, each file once; nothing where one of them is not clear.

    Parameters
    ----------
    index
        Index of the folder.
    found
        Doses of the plans, in the same unit.
    """
    lost = [f for f in found if f.dose is None]
    if lost:
        return PlanDose(None, (), None, float("nan"), lost[0].status, f"the dose of a plan is not clear: {lost[0].reason}")
    doses = {f.dose_uids: f.dose for f in found if f.dose is not None}
    uids = tuple(dict.fromkeys(uid for own in doses for uid in own))
    if len(uids) < sum(map(len, doses)):
        return PlanDose(None, uids, None, float("nan"), "ambiguous", "plans share part of their doses; name the dose file")
    try:
        with shown_as(index, *uids):
            dose, notes = _added(list(doses.values()))
    except InputError as error:
        return PlanDose(None, uids, None, float("nan"), "unreadable", str(error))
    doubts = [f"{f.status}: {f.reason}" for f in found if f.status not in ("ok", "multi_plan")]
    status = next((f.status for f in found if f.status not in ("ok", "multi_plan")), "ok")
    reason = "; ".join([f"sum of {len(doses)} dose(s) of {len(found)} plan(s), {dose.unit}", *doubts, *notes])
    return PlanDose(dose, uids, None, float("nan"), status, reason)


def _added(doses: list[Image]) -> tuple[Image, list[str]]:
    """Add doses on the grid that reaches farthest."""
    if len(doses) == 1:
        return doses[0], []
    total = sum_doses(doses, max((d.grid for d in doses), key=_extent_ml))
    return total.dose, [total.reason] if total.reason else []


def _extent_ml(grid: Grid) -> float:
    return float(np.prod(grid.shape)) * grid.voxel_volume_ml
