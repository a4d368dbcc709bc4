"""How far a mapped position may lie from the truth: from residuals of landmarks to a covariance and a 95 % radius."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, special

from regrowth.errors import ParameterError
from regrowth.space import Grid

__all__ = [
    "CohortResiduals",
    "SpatialUncertainty",
    "cohort_residuals",
    "isotropic_uncertainty",
    "position_uncertainty",
    "sphere_radius",
    "unknown_uncertainty",
]

UncertaintyStatus = Literal["ok", "few_residuals", "unknown"]

_PRIOR_N = 10.0  # what a cohort weighs, in residuals, where it is too small to tell how much patients differ
_LEAST_RESIDUALS = 4  # below it a covariance of three axes cannot be estimated
_FLATTEST = 4e-4  # ratio of variances: axes below 2 % of the largest SD change the radius by less than 0.1 %


@dataclass(frozen=True, eq=False)
class SpatialUncertainty:
    """Error of a mapped position as a normal distribution.

    Parameters
    ----------
    covariance_mm2
        (3, 3) along R, A, S: all that follow added up. NaN when it is not known.
    localisation_mm2
        (3, 3) error of the mapping: of the residuals, without what the picking of landmarks put in.
    delineation_mm2
        (3, 3) disagreement on where the recurrence is, apart from the mapping.
    voxel_mm2
        (3, 3) rounding to voxels, spacing squared / 12 along each axis.
    n
        Residuals of the patient.
    patient_weight
        0 to 1, what the patient's own residuals weigh against those of the cohort.
    bias_mm
        (3,) mean residual of the patient, R, A, S; part of the covariance, since nobody corrected it.
    source
        What it was made from, in words.
    r95_mm
        Radius of the sphere about the mapped position that holds the true one in 95 of 100 cases.
    status, reason
        ``few_residuals``: fewer than four and no cohort; ``unknown``: none at all.
    """

    covariance_mm2: np.ndarray
    localisation_mm2: np.ndarray
    delineation_mm2: np.ndarray
    voxel_mm2: np.ndarray
    n: int
    patient_weight: float
    bias_mm: np.ndarray
    source: str
    r95_mm: float
    status: UncertaintyStatus
    reason: str = ""

    def draws(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 3) errors in mm."""
        if self.status == "unknown":
            raise ParameterError(f"an unknown uncertainty cannot be drawn from: {self.reason}")
        values, axes = np.linalg.eigh(self.covariance_mm2)
        return np.asarray((rng.standard_normal((n, 3)) * np.sqrt(np.clip(values, 0, None))) @ axes.T)

    def ellipsoid_mm(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Half-axes (3,) in mm, longest first, and their directions (3, 3) as columns, of the ellipsoid that holds `level`."""
        values, axes = np.linalg.eigh(self.covariance_mm2)
        scale = math.sqrt(2.0 * float(special.gammaincinv(1.5, _checked_level(level))))
        return scale * np.sqrt(np.clip(values, 0, None))[::-1], axes[:, ::-1]


@dataclass(frozen=True, eq=False)
class CohortResiduals:
    """Residuals of a cohort, to lean on where a patient has few.

    Parameters
    ----------
    second_moment_mm2
        (3, 3) mean over the patients of their second moments about zero.
    prior_n
        What the cohort weighs against a patient, in residuals: few where patients differ much, infinite where they do
        not differ beyond chance.
    n_patients, n
        Patients with residuals, residuals of all.
    reason
        How `prior_n` came about.
    """

    second_moment_mm2: np.ndarray
    prior_n: float
    n_patients: int
    n: int
    reason: str


def sphere_radius(covariance_mm2: np.ndarray, level: float = 0.95) -> float:
    """Radius about the mean of a normal distribution that holds a share of it.

    With equal variances s2 the distance is Maxwell's and the radius 2.795 s at 95 %; else it solves
    P(sum of e_i z_i^2 <= r^2) = level for the eigenvalues e_i, by quadrature and not by chance.

    Parameters
    ----------
    covariance_mm2
        (3, 3), mm2, symmetric without negative eigenvalues.
    level
        0.95 for the 95 % radius.

    Returns
    -------
    float
        mm; NaN for a covariance that holds NaN, 0 for one of zeros.

    Examples
    --------
    >>> round(sphere_radius(np.eye(3)), 3)
    2.795
    """
    level = _checked_level(level)
    covariance = _checked_covariance(covariance_mm2, "the covariance")
    if np.isnan(covariance).any():
        return math.nan
    values = np.linalg.eigvalsh(covariance)
    if values[-1] <= 0:
        return 0.0
    scale = math.sqrt(float(values[-1]))
    flat = np.maximum(values / values[-1], _FLATTEST)
    rule = np.polynomial.legendre.leggauss(64)
    return scale * float(optimize.brentq(lambda r: _share_within(r, flat, rule) - level, 1e-6, 12.0, xtol=1e-7))


def _share_within(radius: float, variances: np.ndarray, rule: tuple[np.ndarray, np.ndarray]) -> float:
    """Share of a normal distribution within a radius; variances (3,) rising, the largest 1.

    The longest axis is integrated in closed form (erf), the other two in polar coordinates of the sphere, where the
    integrand is smooth.
    """
    nodes, weights = rule
    theta = (nodes + 1) * np.pi / 4
    phi = (np.arange(128) + 0.5) * (np.pi / 2 / 128)  # a quarter is enough: even in both axes
    across = radius * np.sin(theta)[:, None]
    square = (across * np.cos(phi)) ** 2 / variances[0] + (across * np.sin(phi)) ** 2 / variances[1]
    plane = np.exp(-0.5 * square).mean(axis=1) / math.sqrt(float(variances[0] * variances[1]))
    along = special.erf(radius * np.cos(theta) / math.sqrt(2.0 * float(variances[2])))
    return float(np.sum(weights * np.pi / 4 * plane * along * radius**2 * np.sin(theta) * np.cos(theta)))


def isotropic_uncertainty(r95_mm: float, source: str = "given") -> SpatialUncertainty:
    """Uncertainty that is the same in all directions, from its 95 % radius in mm (5 mm: an SD of 1.79 mm per axis)."""
    if not np.isfinite(r95_mm) or r95_mm <= 0:
        raise ParameterError(f"a 95 % radius is above 0 mm, not {r95_mm}")
    covariance = np.eye(3) * (r95_mm / sphere_radius(np.eye(3))) ** 2
    zero = np.zeros((3, 3))
    return SpatialUncertainty(covariance, covariance, zero, zero, 0, 0.0, np.full(3, np.nan), source, float(r95_mm), "ok")


def unknown_uncertainty(reason: str) -> SpatialUncertainty:
    """Uncertainty of which nothing is known, with the reason."""
    nan = np.full((3, 3), np.nan)
    return SpatialUncertainty(nan, nan, nan, nan, 0, 0.0, np.full(3, np.nan), "none", math.nan, "unknown", reason)


def cohort_residuals(patients: Sequence[np.ndarray]) -> CohortResiduals:
    """Summarise the residuals of a cohort, and how much its patients differ.

    The prior weight follows from moments: the variance between patients of the trace of the second moment, without the
    2 tr(S^2) / n that n normal residuals scatter by themselves, is t2; then prior_n = 2 tr(S^2) / t2.

    Parameters
    ----------
    patients
        Residuals (n_i, 3) of each patient, mapped minus true, mm along R, A, S; those without any are left out.

    Returns
    -------
    CohortResiduals
        With NaN and a reason when there is no residual at all.
    """
    known = [r for r in (_checked_residuals(p) for p in patients) if len(r)]
    n = sum(len(r) for r in known)
    if not known:
        return CohortResiduals(np.full((3, 3), np.nan), math.nan, 0, 0, "the cohort has no residual")
    moments = np.stack([r.T @ r / len(r) for r in known])
    mean = moments.mean(axis=0)
    if len(known) < 3:
        return CohortResiduals(
            mean, _PRIOR_N, len(known), n, f"assumed: {len(known)} patients cannot show how much they differ"
        )
    scatter = 2.0 * float(np.trace(mean @ mean))
    by_chance = scatter * float(np.mean([1.0 / len(r) for r in known]))
    between = float(np.var(np.trace(moments, axis1=1, axis2=2), ddof=1)) - by_chance
    if between <= 0:
        return CohortResiduals(mean, math.inf, len(known), n, "the patients differ no more than chance makes them")
    return CohortResiduals(mean, scatter / between, len(known), n, f"from the differences between {len(known)} patients")


def position_uncertainty(
    residuals_mm: np.ndarray,
    cohort: CohortResiduals | None = None,
    *,
    picking_sd_mm: float | Sequence[float] = 0.0,
    delineation_sd_mm: float | Sequence[float] = 0.0,
    grid: Grid | None = None,
) -> SpatialUncertainty:
    """Estimate how far a mapped position lies from the truth.

    S = S_residuals - S_picking + S_delineation + S_voxel, where S_residuals = w S_patient + (1 - w) S_cohort are second
    moments about zero (a common shift is an error too) and w = n / (n + prior_n).

    It is only as good as the landmarks stand for the recurrence: in simulations, where the recurrence is mapped 1.25 or 1.5
    times worse than they are, the radius said to cover 95 % covers 82 % or 65 %.

    Parameters
    ----------
    residuals_mm
        (n, 3) signed, mapped minus true, of landmarks and of centroids of control structures, mm along R, A, S. (0, 3) is
        allowed with a cohort. The spread of a registration over its random seeds is no residual: it understates the
        error about twofold.
    cohort
        Residuals of the cohort (`cohort_residuals`).
    picking_sd_mm
        SD per axis that picking a pair of landmarks adds to its residual: root 2 times that of picking one. mm.
    delineation_sd_mm
        SD per axis of the centroid between observers, mm.
    grid
        Grid that the recurrence was drawn on; its spacing adds spacing^2 / 12 along each axis.

    Raises
    ------
    ParameterError
        If residuals are not (n, 3) finite numbers, or an SD is negative.

    References
    ----------
    .. [1] Fitzpatrick et al., IEEE Trans Med Imaging 17 (1998), doi:10.1109/42.736021 (localisation error of points).
    """
    residuals = _checked_residuals(residuals_mm)
    n = len(residuals)
    usable = cohort if cohort is not None and cohort.n else None
    if not n and usable is None:
        return unknown_uncertainty("no residual of this patient and no cohort")
    seen, weight, source = _shrunk(residuals, usable)
    picking, delineation = _diagonal(picking_sd_mm, "picking_sd_mm"), _diagonal(delineation_sd_mm, "delineation_sd_mm")
    localisation, clipped = _difference(seen, picking)
    voxel = np.zeros((3, 3))
    if grid is not None:
        voxel = grid.directions @ np.diag(np.square(grid.spacing_mm) / 12.0) @ grid.directions.T
    covariance = localisation + delineation + voxel
    few = usable is None and n < _LEAST_RESIDUALS
    reasons = [f"{n} residuals and no cohort: the covariance of three axes needs at least {_LEAST_RESIDUALS}"] if few else []
    reasons += ["picking explains all of the residuals along an axis; the mapping error there is set to 0"] if clipped else []
    return SpatialUncertainty(
        covariance_mm2=covariance,
        localisation_mm2=localisation,
        delineation_mm2=delineation,
        voxel_mm2=voxel,
        n=n,
        patient_weight=weight,
        bias_mm=residuals.mean(axis=0) if n else np.full(3, np.nan),
        source=source,
        r95_mm=sphere_radius(covariance),
        status="few_residuals" if few else "ok",
        reason="; ".join(reasons),
    )


def _shrunk(residuals: np.ndarray, cohort: CohortResiduals | None) -> tuple[np.ndarray, float, str]:
    """Second moment (3, 3) of a patient drawn towards the cohort, the patient's weight and the words for it."""
    n = len(residuals)
    own = residuals.T @ residuals / n if n else np.zeros((3, 3))
    if cohort is None:
        return own, 1.0, f"{n} residuals of the patient"
    weight = 0.0 if math.isinf(cohort.prior_n) else n / (n + cohort.prior_n)
    source = (
        f"{n} residuals of the patient (weight {weight:.2f}) and {cohort.n} of {cohort.n_patients} patients "
        f"(weight {1 - weight:.2f}; {cohort.reason})"
    )
    return weight * own + (1 - weight) * cohort.second_moment_mm2, weight, source


def _difference(whole: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, bool]:
    """Difference of two covariances with negative variances set to 0, and whether there were any."""
    values, axes = np.linalg.eigh(whole - part)
    clipped = bool((values < -1e-12 * max(1.0, float(np.abs(values).max()))).any())
    return axes @ np.diag(np.clip(values, 0, None)) @ axes.T, clipped


def _diagonal(sd_mm: float | Sequence[float], what: str) -> np.ndarray:
    sd = np.asarray(sd_mm, float)
    if sd.shape not in ((), (3,)) or not np.isfinite(sd).all() or (sd < 0).any():
        raise ParameterError(f"{what} is one SD or three along R, A, S, in mm and not negative, not {sd_mm}")
    return np.diag(np.broadcast_to(sd, 3) ** 2)


def _checked_residuals(residuals_mm: np.ndarray) -> np.ndarray:
    residuals = np.asarray(residuals_mm, float)
    if residuals.size == 0:
        return np.empty((0, 3))
    if residuals.ndim != 2 or residuals.shape[1] != 3 or not np.isfinite(residuals).all():
        raise ParameterError(f"residuals are signed vectors (n, 3) in mm, all finite, not an array of shape {residuals.shape}")
    return residuals


def _checked_covariance(covariance_mm2: np.ndarray, what: str) -> np.ndarray:
    covariance = np.asarray(covariance_mm2, float)
    if covariance.shape != (3, 3):
        raise ParameterError(f"{what} is (3, 3), not {covariance.shape}")
    if np.isnan(covariance).any():
        return covariance
    size = max(float(np.abs(covariance).max()), 1e-300)
    if not np.isfinite(covariance).all() or np.abs(covariance - covariance.T).max() > 1e-9 * size:
        raise ParameterError(f"{what} is not symmetric and finite")
    if np.linalg.eigvalsh(covariance)[0] < -1e-9 * size:
        raise ParameterError(f"{what} has a negative variance")
    return covariance


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise ParameterError(f"a level lies between 0 and 1, not {level}")
    return float(level)
