"""Which arm of a trial a plan belongs to, for any number of arms and dose levels."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal

from regrowth.errors import ParameterError

__all__ = ["ArmMatch", "Trial", "TrialArm", "detect_arm", "load_trials", "trial_from_toml"]


@dataclass(frozen=True)
class TrialArm:
    """One arm: the dose prescribed to each of its levels.

    Parameters
    ----------
    name
        Name of the arm.
    prescriptions_gy
        Level to Gy, such as ``{"low": 36.0, "high": 48.0}``; levels that the arm does not treat are left out.
    """

    name: str
    prescriptions_gy: Mapping[str, float]

    def __post_init__(self) -> None:
        levels = dict(self.prescriptions_gy)
        if not levels or not all(math.isfinite(v) and v > 0 for v in levels.values()):
            raise ParameterError(
                f"arm {self.name!r} needs levels with doses above 0 Gy, not {levels}; leave out those it does not treat"
            )
        object.__setattr__(self, "prescriptions_gy", MappingProxyType(levels))

    @property
    def highest_gy(self) -> float:
        """Highest prescription, Gy."""
        return max(self.prescriptions_gy.values())


@dataclass(frozen=True)
class Trial:
    """The arms of a trial.

    Parameters
    ----------
    name
        Name of the trial.
    arms
        In the order of the source.
    citation
        Where the doses come from.
    mark
        ``S``: read in a source, ``M``: from memory, not verified.
    """

    name: str
    arms: tuple[TrialArm, ...]
    citation: str = ""
    mark: Literal["S", "M"] = "M"


@dataclass(frozen=True)
class ArmMatch:
    """Which arm a plan belongs to.

    Parameters
    ----------
    arm
        The arm; None unless the status is ``ok``.
    mean_dose_gy
        Mean dose of the target of the highest prescription.
    difference_gy
        Mean dose minus the prescription of the arm, or else of the nearest one.
    candidates
        Arms that fit (``ambiguous``), or the nearest one (``no_match``).
    status, reason
        ``no_dose``: the mean dose is not known.
    """

    arm: TrialArm | None
    mean_dose_gy: float
    difference_gy: float
    candidates: tuple[TrialArm, ...]
    status: Literal["ok", "ambiguous", "no_match", "no_dose"]
    reason: str = ""


def detect_arm(
    mean_ctv_dose_gy: float,
    arms: Sequence[TrialArm],
    tolerance_gy: float = 2.0,
    *,
    rule: Literal["nearest", "welsh2025"] = "nearest",
) -> ArmMatch:
    """Detect the arm of a plan from the mean dose of its high-risk target.

    Parameters
    ----------
    mean_ctv_dose_gy
        Mean physical dose of the target of the highest prescription, voxels of 0 Gy included.
    arms
        Any number, in any order.
    tolerance_gy
        ``nearest``: how far the mean may lie from the prescription to either side. Two arms within it are ambiguous.
        ``welsh2025``: how far below; the seed uses 0.5.
    rule
        ``nearest``; ``welsh2025`` takes, as the seed does, the arm of the highest prescription that the mean reaches: a mean
        of 64.4 Gy under 65 Gy falls to the arm of 60 Gy, and 100 Gy fits.

    Returns
    -------
    ArmMatch
        Never without a status: a plan that fits no arm says so and keeps its patient.
    """
    if not arms:
        raise ParameterError("no arm was given")
    if not tolerance_gy >= 0:
        raise ParameterError(f"the tolerance is not negative, not {tolerance_gy}")
    mean = float(mean_ctv_dose_gy)
    if not math.isfinite(mean):
        return ArmMatch(None, mean, math.nan, (), "no_dose", "the mean dose of the target is not known")
    nearest = min(arms, key=lambda a: abs(mean - a.highest_gy))
    if rule == "welsh2025":
        reached = [a for a in arms if mean >= a.highest_gy - tolerance_gy]
        # The seed sorts by dose and tries from the top; of equal doses its stable sort leaves the later arm on top.
        fits = [max(reversed(reached), key=lambda a: a.highest_gy)] if reached else []
    elif rule == "nearest":
        fits = [a for a in arms if abs(mean - a.highest_gy) <= tolerance_gy + 1e-9]
    else:
        raise ParameterError(f"rule is 'nearest' or 'welsh2025', not {rule!r}")
    if not fits:
        reason = f"a mean of {mean:.2f} Gy is {mean - nearest.highest_gy:+.2f} Gy from the nearest arm, {nearest.name!r}"
        return ArmMatch(None, mean, mean - nearest.highest_gy, (nearest,), "no_match", reason)
    if len(fits) > 1:
        names = ", ".join(repr(a.name) for a in fits)
        reason = f"a mean of {mean:.2f} Gy fits {names} within {tolerance_gy:g} Gy"
        return ArmMatch(None, mean, mean - nearest.highest_gy, tuple(fits), "ambiguous", reason)
    return ArmMatch(fits[0], mean, mean - fits[0].highest_gy, tuple(fits), "ok")


def load_trials() -> dict[str, Trial]:
    """Load the trials that come with Regrowth, by name."""
    folder = resources.files("regrowth.radiotherapy").joinpath("trials")
    trials = [trial_from_toml(f.read_text(encoding="utf-8")) for f in folder.iterdir() if f.name.endswith(".toml")]
    return {t.name: t for t in sorted(trials, key=lambda t: t.name)}


def trial_from_toml(text: str) -> Trial:
    """Read a trial from the text of a TOML file: ``name`` and tables ``[[arms]]`` with ``name`` and ``prescriptions_gy``.

    A prescription of 0 means that the arm does not treat the level.
    """
    try:
        table = tomllib.loads(text)
        arms = tuple(
            TrialArm(str(a["name"]), {str(k): float(v) for k, v in a["prescriptions_gy"].items() if v != 0})
            for a in table["arms"]
        )
        name = str(table["name"])
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"the trial is not valid TOML: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ParameterError(f"a trial needs name and [[arms]] with name and prescriptions_gy (level = Gy): {error}") from error
    if not arms or len({a.name for a in arms}) < len(arms):
        raise ParameterError(f"trial {name!r} needs at least one arm, each with a name of its own")
    return Trial(name, arms, str(table.get("citation", "")), "S" if table.get("mark") == "S" else "M")
