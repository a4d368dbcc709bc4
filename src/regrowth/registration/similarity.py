"""How alike two arrays are: correlation, mutual information, overlap."""

from __future__ import annotations

import numpy as np

__all__ = ["correlation", "dice", "mutual_information"]

_BINS = 32


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation (global normalised cross-correlation) of two arrays of values.

    Parameters
    ----------
    a, b
        (n,) values at the same places.

    Returns
    -------
    float
        -1 to 1; NaN for fewer than two values or an array without contrast.
    """
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if a.size < 2:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else float("nan")


def mutual_information(a: np.ndarray, b: np.ndarray, bins: int = _BINS) -> float:
    r"""Mutual information of two arrays of values, in nats, from their joint histogram.

    .. math:: I = \sum_{ij} p_{ij} \ln \frac{p_{ij}}{p_i p_j}

    Parameters
    ----------
    a, b
        (n,) values at the same places; values beyond the 0.1st and 99.9th percentile fall into the outermost bins.
    bins
        Bins along each axis of the histogram.

    Returns
    -------
    float
        0 or more; NaN for fewer than two values.
    """
    a, b = _binned(a, bins), _binned(b, bins)
    if a.size < 2:
        return float("nan")
    joint = np.bincount(a * bins + b, minlength=bins * bins).reshape(bins, bins) / a.size
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / product[seen])).sum())


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks (X, Y, Z), 2|A and B| / (|A| + |B|); NaN when both are empty."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2.0 * int(np.count_nonzero(a & b)) / total if total else float("nan")


def _binned(values: np.ndarray, bins: int) -> np.ndarray:
    values = np.asarray(values, np.float64).ravel()
    if values.size < 2:
        return np.zeros(values.size, np.int64)
    low, high = np.percentile(values, [0.1, 99.9])
    if high <= low:
        return np.zeros(values.size, np.int64)
    return np.clip((values - low) / (high - low) * bins, 0, bins - 1).astype(np.int64)
