"""What a classification is based on: levels and targets, the arm of a trial, schemes, and how sure the position is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.api.radiotherapy_inputs import read_mask
from regrowth.errors import ImageFileError, ParameterError
from regrowth.io.tables import read_tsv
from regrowth.radiotherapy.arms import ArmMatch, Trial, detect_arm, load_trials, trial_from_toml
from regrowth.radiotherapy.dvh import dose_volume_histogram
from regrowth.radiotherapy.exposure import Target
from regrowth.radiotherapy.schemes import FailureScheme, load_schemes, scheme_from_toml
from regrowth.radiotherapy.uncertainty import (
    SpatialUncertainty,
    cohort_residuals,
    isotropic_uncertainty,
    position_uncertainty,
)
from regrowth.space import Grid, Image

__all__ = ["Prescriptions", "read_levels", "read_schemes", "read_targets", "read_uncertainty"]

_RESIDUALS = ("r_mm", "a_mm", "s_mm")


@dataclass(frozen=True, eq=False)
class Prescriptions:
    """What was prescribed.

    Parameters
    ----------
    levels_gy
        Level to Gy; none if the arm of a trial could not be told.
    arm
        How the arm was found; None without a trial.
    notes
        What to doubt.
    """

    levels_gy: Mapping[str, float]
    arm: ArmMatch | None
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Give what was prescribed and how it was found, for a file."""
        out: dict[str, Any] = {"prescriptions_gy": dict(self.levels_gy)}
        if self.arm is not None:
            found = self.arm.arm
            out["arm"] = {
                "name": None if found is None else found.name,
                "status": self.arm.status,
                "reason": self.arm.reason,
                "mean_dose_gy": self.arm.mean_dose_gy,
                "difference_gy": self.arm.difference_gy,
            }
        return out


def read_targets(files: Mapping[str, str | Path], first_tumour: str | Path | None) -> list[Target]:
    """Read masks of targets by level, and where the first tumour was.

    Raises
    ------
    ImageFileError
        If one of them cannot be read, or is empty.
    """
    named = [(level, Path(path), False) for level, path in files.items()]
    named += [] if first_tumour is None else [("", Path(first_tumour), True)]
    out = []
    for level, path, is_first in named:
        mask = read_mask(path)
        if not mask.data.any():
            raise ImageFileError(f"{path}: the mask of the {level or 'first tumour'} is empty; leave it out")
        out.append(Target(level or "first tumour", mask.data, mask.grid, level, is_first))
    return out


def read_levels(
    given: Mapping[str, float], trial: str | Path | None, arm: str | None, targets: Sequence[Target], dose: Image
) -> Prescriptions:
    """Take the prescriptions as given, or from the arm of a trial, named or told by the mean dose of its highest target.

    Parameters
    ----------
    given
        Level to Gy.
    trial
        Name of a trial that comes along, or TOML file of one's own.
    arm
        Its arm, where it is known.
    targets
        Targets by level.
    dose
        Gy.

    Raises
    ------
    ParameterError
        If neither or both are given, or a trial or arm is unknown.
    """
    if bool(given) == (trial is not None):
        raise ParameterError("give either prescriptions (--prescription high=60) or a trial that they follow from (--trial)")
    if arm is not None and trial is None:
        raise ParameterError("an arm (--arm) needs its trial (--trial)")
    if trial is None:
        wrong = {level: gy for level, gy in given.items() if not (math.isfinite(gy) and gy > 0)}
        if wrong:
            raise ParameterError(f"prescriptions are doses above 0 Gy, not {wrong}; leave out levels that were not treated")
        return Prescriptions(dict(given), None, ())
    known = _trial(trial)
    if arm is not None:
        named = [a for a in known.arms if a.name == arm]
        if not named:
            raise ParameterError(f"trial {known.name} has no arm {arm!r}; its arms are {', '.join(a.name for a in known.arms)}")
        return Prescriptions(named[0].prescriptions_gy, None, (f"arm {arm!r} of {known.name}, as given", *_source(known)))
    match = detect_arm(_mean_of_highest(known, targets, dose), known.arms)
    levels: Mapping[str, float] = {} if match.arm is None else match.arm.prescriptions_gy
    told = f"arm {match.arm.name!r} of {known.name}, by the mean dose" if match.arm else f"no arm: {match.reason}"
    return Prescriptions(levels, match, (told, *_source(known)))


def _source(trial: Trial) -> list[str]:
    return [] if trial.mark == "S" else [f"the doses of {trial.name} are not verified: {trial.citation}"]


def _trial(name: str | Path) -> Trial:
    known = load_trials()
    if str(name) in known:
        return known[str(name)]
    return trial_from_toml(_toml(name, "trial", list(known)))


def _toml(name: str | Path, what: str, known: Sequence[str]) -> str:
    path = Path(name)
    if path.suffix != ".toml":
        raise ParameterError(f"no {what} is called {str(name)!r}; known are {', '.join(known)}, or give a TOML file")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({type(error).__name__})") from error


def _mean_of_highest(trial: Trial, targets: Sequence[Target], dose: Image) -> float:
    """Mean dose of the target of the highest level, which has to be the same level in all arms."""
    highest = {max(a.prescriptions_gy, key=lambda level: a.prescriptions_gy[level]) for a in trial.arms}
    own = [t for t in targets if t.level in highest]
    if len(highest) > 1 or not own:
        needed = " or ".join(sorted(highest))
        why = "its arms have different highest levels" if len(highest) > 1 else f"that needs the target of level {needed}"
        raise ParameterError(f"the arm of {trial.name} cannot be told by the dose, {why}; name it (--arm), or give the target")
    return dose_volume_histogram(Image(own[0].mask, own[0].grid, "1"), dose).mean_gy


def read_schemes(names: Sequence[str | Path]) -> list[FailureScheme]:
    """Load schemes by name, or from TOML files; all that come along if none is named."""
    known = load_schemes()
    if not names:
        return list(known.values())
    out = [known[str(n)] if str(n) in known else scheme_from_toml(_toml(n, "scheme", list(known))) for n in names]
    if len({s.name for s in out}) < len(out):
        raise ParameterError("a scheme is named twice; give each once")
    return out


def read_uncertainty(
    r95_mm: float | None,
    landmarks: str | Path | None,
    patient: str,
    grid: Grid,
    *,
    picking_sd_mm: float = 0.0,
    delineation_sd_mm: float = 0.0,
) -> SpatialUncertainty | None:
    """Take the uncertainty of the mapped position from a radius, or from residuals of landmarks.

    Parameters
    ----------
    r95_mm
        Radius that holds the true position in 95 of 100 cases.
    landmarks
        TSV of residuals, mapped minus true: ``r_mm``, ``a_mm``, ``s_mm`` (towards right, anterior, superior). With a column
        ``participant_id``, rows of other patients are the cohort that a patient with few landmarks leans on.
    patient
        Whose recurrence it is, where there is that column.
    grid
        Grid of the recurrence.
    picking_sd_mm, delineation_sd_mm
        As `regrowth.radiotherapy.uncertainty.position_uncertainty`.

    Returns
    -------
    SpatialUncertainty or None
        None where nothing was given.
    """
    if r95_mm is not None and landmarks is not None:
        raise ParameterError("give either a radius (--r95-mm) or residuals (--landmarks)")
    if landmarks is None and (picking_sd_mm or delineation_sd_mm):
        raise ParameterError("errors of picking and delineation go with residuals of landmarks (--landmarks)")
    if r95_mm is not None:
        return isotropic_uncertainty(r95_mm)
    if landmarks is None:
        return None
    path = Path(landmarks)
    rows = read_tsv(path)
    absent = [c for c in _RESIDUALS if not rows or c not in rows[0]]
    if absent:
        raise ParameterError(
            f"{path}: needs rows with the columns {', '.join(_RESIDUALS)}: signed residuals, mapped minus true"
        )
    by_patient: dict[str, list[list[float]]] = {}
    for number, row in enumerate(rows, start=2):
        label = row.get("participant_id", patient).removeprefix("sub-")
        by_patient.setdefault(label, []).append([_number(row[c], f"{path}, row {number}: {c}") for c in _RESIDUALS])
    own = np.array(by_patient.pop(patient.removeprefix("sub-"), []), float).reshape(-1, 3)
    cohort = cohort_residuals([np.array(r) for r in by_patient.values()]) if by_patient else None
    if not len(own) and cohort is not None and patient == "n/a":
        raise ParameterError(f"{path}: holds residuals of several patients; say whose recurrence this is (--patient)")
    return position_uncertainty(own, cohort, picking_sd_mm=picking_sd_mm, delineation_sd_mm=delineation_sd_mm, grid=grid)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ParameterError(f"{where} is {text!r}; write a number in mm, and leave out landmarks that were not found")
    return value
