"""Which intensities fluid, grey and white matter have on a T1-weighted image, and which tissue each voxel then is.

A mixture of three Gaussians under a spatial prior and a smooth multiplicative bias field, by expectation maximisation, with
voxels that fit no tissue (vessels, dura, contrast agent) weighed down. After Van Leemput et al. 1999, doi:10.1109/42.811268
(bias field) and 2001, doi:10.1109/42.938237 (outliers); the bias here multiplies, and there is no Markov field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.errors import InputError

__all__ = ["TissueMixture", "fit_mixture"]

_VOXELS = 100_000  # that the fit looks at; all are classified
_LEAST_VOXELS = 1000
_STEPS = 40
_SETTLED = 1e-4  # change of the means, in units of the contrast
_OUTLIER_SDS = 3.0
_LEAST_SD = 0.005  # in units of the contrast: noise-free images must not divide by 0
_DEGREE = 3
_DOUBT = 0.1  # share of an even prior, since the template cannot know the folds of this brain
_STIFFNESS = 1e-3  # of the bias field, as a share of its own information


@dataclass(frozen=True, eq=False)
class TissueMixture:
    """What the fit found, in the order fluid, grey matter, white matter.

    Parameters
    ----------
    means, sds
        (3,) in units of the image, after the bias field is divided out.
    shares
        (3,) of the brain that was looked at.
    bias
        (n,) coefficients of the polynomial of the bias field; the first term is fixed at 1 and not among them.
    centre_mm, scale_mm
        (3,) and a number that bring positions to the range -1 to 1.
    """

    means: np.ndarray
    sds: np.ndarray
    shares: np.ndarray
    bias: np.ndarray
    centre_mm: np.ndarray
    scale_mm: float

    @property
    def separations(self) -> tuple[float, float]:
        """Distance of neighbouring means, fluid to grey and grey to white, over the root mean square of both SDs."""
        gaps = np.diff(self.means) / np.sqrt((self.sds[1:] ** 2 + self.sds[:-1] ** 2) / 2)
        return float(gaps[0]), float(gaps[1])

    def bias_field(self, points_mm: np.ndarray) -> np.ndarray:
        """(n,) factor by which the image is brighter at points (n, 3), about 1."""
        return np.asarray(1 + _polynomial((points_mm - self.centre_mm) / self.scale_mm) @ self.bias)

    def classified(self, values: np.ndarray, prior: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
        """Probability of each tissue.

        What is darker than fluid is fluid. What is more than 3 SD brighter than white matter (vessels, dura) keeps its prior.

        Parameters
        ----------
        values
            (n,) intensities.
        prior
            (n, 3), sums of 1.
        points_mm
            (n, 3).

        Returns
        -------
        numpy.ndarray
            (n, 3), sums of 1.
        """
        corrected = values / np.maximum(self.bias_field(points_mm), 0.1)
        # A wide class must not win again far out on the other side of a narrow one.
        y = np.clip(corrected, self.means[0], self.means[2])
        # Fluid and grey matter share their SD, so that a voxel half of each lies on the border: fluid varies most, by the
        # cortex in its voxels, and would take half of the cortex.
        low = np.sqrt((self.sds[0] ** 2 + self.sds[1] ** 2) / 2)
        sds = np.stack(
            [np.full_like(y, low), np.where(y < self.means[1], low, self.sds[1]), np.full_like(y, self.sds[2])], axis=1
        )
        log = (
            -((y[:, None] - self.means) ** 2) / (2 * sds**2)
            - np.log(self.sds / self.sds[1]) * [0, 0, 1]
            + np.log(_doubted(prior))
        )
        posterior = np.exp(log - log.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        strange = corrected > self.means[2] + _OUTLIER_SDS * self.sds[2]
        return np.where(strange[:, None], prior, posterior)


def fit_mixture(values: np.ndarray, prior: np.ndarray, points_mm: np.ndarray) -> TissueMixture:
    """Fit the intensities of three tissues.

    Parameters
    ----------
    values
        (n,) intensities of healthy brain; about 100 000 of them, evenly chosen, are looked at.
    prior
        (n, 3) prior probability of fluid, grey and white matter, sums of 1.
    points_mm
        (n, 3) positions.

    Returns
    -------
    TissueMixture
        Whatever was found: ask `TissueMixture.separations` whether the classes can be told apart.

    Raises
    ------
    InputError
        If there are fewer than 1000 voxels, or no contrast.
    """
    if len(values) < _LEAST_VOXELS:
        raise InputError(f"{len(values)} voxels of healthy brain are too few to learn the intensities of three tissues")
    # An even stride through the array would meet the same column of every row.
    some = np.random.default_rng(0).permutation(len(values))[:_VOXELS] if len(values) > _VOXELS else slice(None)
    y, p, x = (np.asarray(a[some], np.float64) for a in (values, prior, points_mm))
    low, high = np.percentile(y, [1, 99])
    if not high > low:
        raise InputError("the image has no contrast inside of the brain")
    centre = (x.min(axis=0) + x.max(axis=0)) / 2
    scale = float(np.abs(x - centre).max()) or 1.0
    terms = _polynomial((x - centre) / scale)
    means, sds = _start(y, p)
    doubted, bias = _doubted(p), np.zeros(terms.shape[1])
    weight = np.empty_like(p)
    for _ in range(_STEPS):
        corrected = y / np.maximum(1 + terms @ bias, 0.1)
        likelihood = np.exp(_log_likelihood(corrected, means, sds))
        weight = doubted * likelihood
        # A voxel beyond 3 SD of a tissue counts less and less for it.
        outlier = np.exp(-(_OUTLIER_SDS**2) / 2) / (np.sqrt(2 * np.pi) * sds)
        weight *= (1 / (weight.sum(axis=1) + doubted @ outlier))[:, None]
        before, mass = means, np.maximum(weight.sum(axis=0), 1e-9)
        means = (weight * corrected[:, None]).sum(axis=0) / mass
        contrast = max(float(np.ptp(means)), 0.01 * float(high - low))
        variance = (weight * (corrected[:, None] - means) ** 2).sum(axis=0) / mass
        sds = np.sqrt(np.maximum(variance, (_LEAST_SD * contrast) ** 2))
        bias = _bias(y, weight, means, sds, terms)
        if np.abs(means - before).max() < _SETTLED * contrast:
            break
    return TissueMixture(means, sds, weight.sum(axis=0) / len(y), bias, centre, scale)


def _start(y: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Begin with the medians where the prior is surest; fluid, of which it knows little, with the darkest voxels there."""
    sure = [prior[:, k] >= max(0.5, float(np.quantile(prior[:, k], 0.9)) - 1e-6) for k in range(3)]
    mean = [float(np.median(y[s])) if s.any() else float("nan") for s in sure]
    fluid = y[sure[0]] if sure[0].sum() >= 50 else y
    mean[0] = float(np.percentile(fluid, 25 if sure[0].sum() >= 50 else 2))
    means = np.where(np.isfinite(mean), mean, float(np.median(y)))
    spread = max(float(np.ptp(np.percentile(y, [5, 95]))), 1e-9)
    return means, np.full(3, 0.15 * spread)


def _doubted(prior: np.ndarray) -> np.ndarray:
    return np.asarray((1 - _DOUBT) * prior + _DOUBT / 3)


def _log_likelihood(y: np.ndarray, means: np.ndarray, sds: np.ndarray) -> np.ndarray:
    return np.asarray(-((y[:, None] - means) ** 2) / (2 * sds**2) - np.log(np.sqrt(2 * np.pi) * sds))


def _bias(y: np.ndarray, weight: np.ndarray, means: np.ndarray, sds: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Least squares of ``y = (1 + terms b) m``, with m the mean expected in each voxel, weighed by its certainty."""
    precision = weight / sds**2
    sure = precision.sum(axis=1)
    expected = (precision @ means) / np.maximum(sure, 1e-12)
    design = terms * expected[:, None]
    square = design.T @ (design * sure[:, None])
    square[np.diag_indices_from(square)] *= 1 + _STIFFNESS
    square[np.diag_indices_from(square)] += 1e-9 * max(float(np.trace(square)), 1e-30)
    return np.asarray(np.linalg.solve(square, design.T @ (sure * (y - expected))))


def _polynomial(x: np.ndarray) -> np.ndarray:
    """(n, 19) products of Legendre polynomials up to degree 3 of positions (n, 3), without the constant."""
    one = np.polynomial.legendre.legvander(x, _DEGREE)  # (n, 3, degree + 1)
    powers = [
        (i, j, k)
        for i in range(_DEGREE + 1)
        for j in range(_DEGREE + 1 - i)
        for k in range(_DEGREE + 1 - i - j)
        if i + j + k > 0
    ]
    return np.stack([one[:, 0, i] * one[:, 1, j] * one[:, 2, k] for i, j, k in powers], axis=1)
