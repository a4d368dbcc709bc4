"""What several doses on their own grids add up to on one grid, physically or as the effect of fractions of 2 Gy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.radiotherapy.dose_points import dose_on_grid, require_dose
from regrowth.radiotherapy.fractionation import eqd2
from regrowth.space import Grid, Image

__all__ = ["Beyond", "SummedDose", "sum_doses", "sum_eqd2"]

Beyond = Literal["unknown", "zero"]


@dataclass(frozen=True, eq=False)
class SummedDose:
    """A sum of doses.

    Parameters
    ----------
    dose
        Sum on the grid that was asked for, float32, NaN where it is not known.
    n_doses
        Doses that were added.
    n_unknown
        Voxels without a sum.
    n_taken_as_zero
        Voxels where at least one dose was taken as 0 Gy because its grid does not reach there.
    status
        ``ok``; ``partly_unknown``; ``unknown``: no voxel has a sum; ``doubtful``: two of the doses are equal voxel for voxel,
        as when one file was given twice.
    reason
        Why; empty if all is well.
    """

    dose: Image
    n_doses: int
    n_unknown: int
    n_taken_as_zero: int
    status: Literal["ok", "partly_unknown", "unknown", "doubtful"]
    reason: str = ""


def sum_doses(doses: Sequence[Image], grid: Grid, *, beyond: Beyond = "unknown") -> SummedDose:
    """Add doses that lie on different grids, each interpolated linearly once.

    Right for doses of the same fractions (beams, plans given together). Phases with other fractions add up physically, but not
    in effect: `sum_eqd2`.

    Parameters
    ----------
    doses
        In the same unit, NaN where not known.
    grid
        Grid of the sum, in the same frame of reference.
    beyond
        What a dose is where its own grid does not reach: ``unknown``, so that the sum is NaN there, or ``zero``, for planning
        systems that cut the grids of single beams where the dose ends. A voxel that no dose reaches is unknown in either case.

    Returns
    -------
    SummedDose

    Raises
    ------
    ParameterError
        If there is no dose, or their units differ or are not Gy.
    GridMismatchError
        If frames of reference differ.
    """
    unit = _common_unit(doses)
    return _summed((dose_on_grid(dose, grid) for dose in doses), doses, grid, beyond, unit)


def sum_eqd2(
    doses: Sequence[Image], n_fractions: Sequence[int], grid: Grid, alpha_beta_gy: float, *, beyond: Beyond = "unknown"
) -> SummedDose:
    """Add the effect of phases, voxel by voxel, each converted to fractions of 2 Gy with its own number of fractions.

    Parameters
    ----------
    doses
        Physical dose of each phase (unit ``Gy``), all its fractions.
    n_fractions
        Number of fractions of each phase.
    grid, beyond
        As `sum_doses`.
    alpha_beta_gy
        alpha/beta of the tissue, Gy.

    Returns
    -------
    SummedDose
        With the unit ``Gy EQD2 <alpha/beta>``, which cannot be added to a physical dose by mistake.
    """
    if _common_unit(doses) != "Gy":
        raise ParameterError(f"only a physical dose (unit Gy) can be converted, not {doses[0].unit!r}")
    if len(doses) != len(n_fractions):
        raise ParameterError(f"{len(doses)} phase(s) need as many numbers of fractions, not {len(n_fractions)}")
    pairs = zip(doses, n_fractions, strict=True)
    parts = (eqd2(dose_on_grid(dose, grid), n, alpha_beta_gy).astype(np.float32) for dose, n in pairs)
    return _summed(parts, doses, grid, beyond, f"Gy EQD2 {alpha_beta_gy:g}")


def _common_unit(doses: Sequence[Image]) -> str:
    if not doses:
        raise ParameterError("no dose was given to add; name at least one")
    for dose in doses:
        require_dose(dose)
    units = {dose.unit for dose in doses}
    if len(units) > 1:
        raise ParameterError(f"doses in {' and '.join(sorted(units))} do not add up; convert them first")
    return units.pop()


def _summed(parts: Iterator[np.ndarray], doses: Sequence[Image], grid: Grid, beyond: str, unit: str) -> SummedDose:
    if beyond not in ("unknown", "zero"):
        raise ParameterError(f"beyond is 'unknown' or 'zero', not {beyond!r}")
    total = np.zeros(grid.shape)
    n_reached = np.zeros(grid.shape, np.uint16)
    for part in parts:
        has_dose = ~np.isnan(part)
        n_reached += has_dose
        np.add(total, part, out=total, where=has_dose)
    is_known = n_reached == len(doses) if beyond == "unknown" else n_reached > 0
    total[~is_known] = np.nan
    n_unknown = int((~is_known).sum())
    n_zero = int((is_known & (n_reached < len(doses))).sum())
    notes = [f"doses {i + 1} and {j + 1} are equal: was one given twice?" for i, j in _equal_pairs(doses)]
    status: Literal["ok", "partly_unknown", "unknown", "doubtful"] = "doubtful" if notes else "ok"
    if n_unknown:
        share = 100 * n_unknown / total.size
        notes.append(f"{share:.3g} % of the voxels are not reached by {'every' if beyond == 'unknown' else 'any'} dose")
        status = "unknown" if n_unknown == total.size else status if status == "doubtful" else "partly_unknown"
    if n_zero:
        notes.append(f"{100 * n_zero / total.size:.3g} % of the voxels lie beyond a dose that was taken as 0 Gy there")
    image = Image(total.astype(np.float32), grid, unit)
    return SummedDose(image, len(doses), n_unknown, n_zero, status, "; ".join(notes))


def _equal_pairs(doses: Sequence[Image]) -> list[tuple[int, int]]:
    return [
        (i, j)
        for (i, a), (j, b) in combinations(enumerate(doses), 2)
        if a.grid.is_close(b.grid) and np.array_equal(a.data, b.data, equal_nan=True)
    ]
