"""What a dose is worth when it is given in fractions of another size: BED and EQD2 by the linear-quadratic model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError

__all__ = ["biologically_effective_dose", "eqd2", "eqd2_of_phases", "equivalent_dose", "total_dose_from_bed"]


def biologically_effective_dose(total_gy: np.ndarray | float, n_fractions: int, alpha_beta_gy: float) -> np.ndarray:
    """Biologically effective dose of equal fractions, ``BED = D (1 + (D / n) / (alpha/beta))``.

    Without proliferation and with full repair between fractions. Fowler 1989, doi:10.1259/0007-1285-62-740-679.

    Parameters
    ----------
    total_gy
        Physical dose of all fractions, any shape: for a voxel its own dose, not the prescription. NaN stays NaN.
    n_fractions
        Number of fractions.
    alpha_beta_gy
        alpha/beta of the tissue, Gy.

    Returns
    -------
    numpy.ndarray
        Gy, of the shape of `total_gy`, float64.

    Raises
    ------
    ParameterError
        If there is no fraction or alpha/beta is not positive.
    InputError
        If a dose is negative or infinite.
    """
    total = _checked(total_gy, n_fractions, alpha_beta_gy)
    return total * (1 + total / n_fractions / alpha_beta_gy)


def total_dose_from_bed(bed_gy: np.ndarray | float, n_fractions: int, alpha_beta_gy: float) -> np.ndarray:
    """Physical dose in `n_fractions` equal fractions that has a biologically effective dose: the inverse of the above."""
    bed = _checked(bed_gy, n_fractions, alpha_beta_gy)
    whole = n_fractions * alpha_beta_gy
    return whole / 2 * (np.sqrt(1 + 4 * bed / whole) - 1)


def equivalent_dose(
    total_gy: np.ndarray | float, n_fractions: int, alpha_beta_gy: float, reference_fraction_gy: float = 2.0
) -> np.ndarray:
    """Dose in fractions of another size with the same effect, ``EQD = BED / (1 + d_ref / (alpha/beta))``.

    Parameters
    ----------
    total_gy, n_fractions, alpha_beta_gy
        As `biologically_effective_dose`.
    reference_fraction_gy
        Size of the other fractions, Gy.

    Returns
    -------
    numpy.ndarray
        Gy, of the shape of `total_gy`.
    """
    if not (np.isfinite(reference_fraction_gy) and reference_fraction_gy > 0):
        raise ParameterError(f"a fraction has a dose above 0 Gy, not {reference_fraction_gy}")
    return biologically_effective_dose(total_gy, n_fractions, alpha_beta_gy) / (1 + reference_fraction_gy / alpha_beta_gy)


def eqd2(total_gy: np.ndarray | float, n_fractions: int, alpha_beta_gy: float) -> np.ndarray:
    """Dose in fractions of 2 Gy with the same effect, Gy; see `equivalent_dose`.

    Examples
    --------
    >>> round(float(eqd2(40.0, 15, 3.5)), 2)
    44.85
    """
    return equivalent_dose(total_gy, n_fractions, alpha_beta_gy, 2.0)


def eqd2_of_phases(totals_gy: Sequence[np.ndarray | float], n_fractions: Sequence[int], alpha_beta_gy: float) -> np.ndarray:
    """Dose in fractions of 2 Gy with the effect of several phases, each converted with its own number of fractions.

    Effects add, physical doses of different fractions do not. Doses that are given in the same fractions (beams, an integrated
    boost) are one phase: add them before.

    Parameters
    ----------
    totals_gy
        Physical dose of each phase, all of one shape and, as arrays, on one grid.
    n_fractions
        Number of fractions of each phase.
    alpha_beta_gy
        alpha/beta of the tissue, Gy.

    Returns
    -------
    numpy.ndarray
        Gy; NaN where any phase is NaN.

    Raises
    ------
    ParameterError
        If there is no phase, or not one number of fractions for each.
    GridMismatchError
        If the doses have different shapes.
    """
    if not totals_gy or len(totals_gy) != len(n_fractions):
        raise ParameterError(f"{len(totals_gy)} phase(s) need as many numbers of fractions, not {len(n_fractions)}")
    shapes = {np.shape(total) for total in totals_gy}
    if len(shapes) > 1:
        raise GridMismatchError(
            f"the doses of the phases have shapes {sorted(shapes)}; bring them onto one grid, as "
            "regrowth.radiotherapy.dose_sum.sum_eqd2 does"
        )
    out = np.zeros(shapes.pop())
    for total, n in zip(totals_gy, n_fractions, strict=True):
        out = out + eqd2(total, n, alpha_beta_gy)
    return out


def _checked(dose_gy: np.ndarray | float, n_fractions: int, alpha_beta_gy: float) -> np.ndarray:
    if isinstance(n_fractions, bool) or int(n_fractions) != n_fractions or n_fractions < 1:
        raise ParameterError(f"a course has a whole number of fractions, at least one, not {n_fractions}")
    if not (np.isfinite(alpha_beta_gy) and alpha_beta_gy > 0):
        raise ParameterError(f"alpha/beta is above 0 Gy, not {alpha_beta_gy}")
    dose = np.asarray(dose_gy, np.float64)
    if (dose < 0).any() or np.isinf(dose).any():
        raise InputError("a dose is negative or infinite; check its scaling and unit")
    return dose
