"""How often tumours come back in another class of location than they began in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError
from regrowth.statistics.proportion import wilson_interval

__all__ = ["Agreement", "Symmetry", "Transitions", "agreement_against_chance", "bowker", "flip_sensitivity", "transitions"]


@dataclass(frozen=True, eq=False)
class Transitions:
    """Counts and probabilities of the class of the recurrence given that of the primary.

    Parameters
    ----------
    classes
        k names, in the order of rows (primary) and columns (recurrence).
    counts
        (k, k) patients.
    probabilities
        (k, k) of each row; NaN in a row without patients.
    lower, upper
        (k, k) Wilson intervals of the unsmoothed shares.
    n
        Patients with both classes.
    n_missing
        Patients who lack one, such as those without recurrence.
    smoothing
        Pseudo-count that was added to every cell for `probabilities` (Dirichlet prior); 0 for plain shares.
    level
        Coverage.
    """

    classes: tuple[str, ...]
    counts: np.ndarray
    probabilities: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: int
    n_missing: int
    smoothing: float
    level: float

    def as_rows(self) -> list[dict[str, object]]:
        """Give one row per pair of classes that has patients in its row."""
        return [
            {
                "primary": first,
                "recurrence": second,
                "count": int(self.counts[i, j]),
                "total": int(self.counts[i].sum()),
                "probability": float(self.probabilities[i, j]),
                "lower": float(self.lower[i, j]),
                "upper": float(self.upper[i, j]),
            }
            for i, first in enumerate(self.classes)
            for j, second in enumerate(self.classes)
            if self.counts[i].any()
        ]

    def new_site_rows(self) -> list[dict[str, object]]:
        """Give per primary class, and for all, how many came back in another class: count, total, share and interval."""
        stays = np.diag(self.counts)
        totals = self.counts.sum(axis=1)
        named = [(c, int(t - s), int(t)) for c, s, t in zip(self.classes, stays, totals, strict=True)]
        named.append(("all", int(totals.sum() - stays.sum()), int(totals.sum())))
        rows: list[dict[str, object]] = []
        for name, moved, total in named:
            lower, upper = wilson_interval(moved, total, self.level)
            share = moved / total if total else np.nan
            rows.append({"primary": name, "count": moved, "total": total, "probability": share, "lower": lower, "upper": upper})
        return rows


def transitions(
    primary: Sequence[str],
    recurrence: Sequence[str],
    classes: Sequence[str] | None = None,
    *,
    smoothing: float = 0.0,
    level: float = 0.95,
) -> Transitions:
    """Count the transitions of location.

    Parameters
    ----------
    primary, recurrence
        Class of each patient, empty where missing (left out and counted).
    classes
        Their order; sorted names when left out.
    smoothing
        Pseudo-count of every cell, at least 0, such as 1 / k: pulls small rows towards equal shares. The intervals stay
        those of the plain counts.
    level
        Coverage.

    Raises
    ------
    ParameterError
        If the lists differ in length, a class is not among `classes`, or the smoothing is negative.
    """
    first, second, missing = _pairs(primary, recurrence)
    names = tuple(classes) if classes is not None else tuple(sorted({*first, *second}))
    unknown = sorted({*first, *second} - set(names))
    if unknown:
        raise ParameterError(f"the location(s) {', '.join(unknown)} are none of {', '.join(names)}")
    if smoothing < 0:
        raise ParameterError(f"smoothing is a pseudo-count of at least 0, not {smoothing}")
    counts = _counts(_index(first, names), _index(second, names), len(names))
    totals = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        probabilities = (counts + smoothing) / (totals + smoothing * len(names))
    limits = np.array(
        [[wilson_interval(int(c), int(t), level) for c in row] for row, t in zip(counts, totals[:, 0], strict=True)]
    )
    limits = limits.reshape(len(names), len(names), 2)
    probabilities[totals[:, 0] == 0] = np.nan
    return Transitions(
        names, counts, probabilities, limits[..., 0], limits[..., 1], len(first), missing, float(smoothing), level
    )


@dataclass(frozen=True)
class Agreement:
    """Patients who came back in the class of their primary, against chance.

    Parameters
    ----------
    stays, n
        So many of so many.
    expected
        Number that random pairing of the same primaries and recurrences gives.
    kappa
        (observed - expected) / (1 - expected) of the shares; NaN where it is not defined.
    p_value
        One-sided permutation p-value that at least so many stay by chance; NaN without patients.
    permutations
        How many.
    """

    stays: int
    n: int
    expected: float
    kappa: float
    p_value: float
    permutations: int


def agreement_against_chance(
    primary: Sequence[str], recurrence: Sequence[str], rng: np.random.Generator, permutations: int = 9999
) -> Agreement:
    """Test whether recurrences stay in the class of their primary more often than if they were dealt out at random.

    Parameters
    ----------
    primary, recurrence
        Class of each patient, empty where missing (left out).
    rng
        Source of the permutations: the recurrences are dealt out anew among the patients.
    permutations
        How many; the p-value is (1 + count) / (1 + permutations).

    Notes
    -----
    Most tumours come back where they were, so that a small p-value is no discovery; the shares and their intervals say more.
    """
    first, second, _ = _pairs(primary, recurrence)
    n = len(first)
    if not n:
        return Agreement(0, 0, np.nan, np.nan, np.nan, permutations)
    names = tuple(sorted({*first, *second}))
    a, b = _index(first, names), _index(second, names)
    stays = int((a == b).sum())
    shares = [np.bincount(x, minlength=len(names)) / n for x in (a, b)]
    chance = float(shares[0] @ shares[1])
    dealt = rng.permuted(np.broadcast_to(b.astype(np.int16), (permutations, n)), axis=1)
    count = int(((dealt == a).sum(axis=1) >= stays).sum())
    kappa = (stays / n - chance) / (1 - chance) if chance < 1 else np.nan
    return Agreement(stays, n, n * chance, kappa, (1 + count) / (1 + permutations), permutations)


@dataclass(frozen=True)
class Symmetry:
    """Bowker's test: chi-squared statistic, degrees of freedom (pairs of classes with transitions) and p-value (NaN if 0)."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def bowker(counts: np.ndarray) -> Symmetry:
    """Test whether transitions from i to j are as frequent as those from j to i; with two classes this is McNemar's test.

    Parameters
    ----------
    counts
        (k, k) transitions.

    Notes
    -----
    Sum over i < j of (n_ij - n_ji)^2 / (n_ij + n_ji) (Bowker 1948, doi:10.1080/01621459.1948.10483284). Rough where few
    patients change their class.
    """
    from scipy.special import chdtrc

    upper = np.triu_indices(len(counts), 1)
    there, back = counts[upper].astype(float), counts.T[upper].astype(float)
    used = there + back > 0
    if not used.any():
        return Symmetry(np.nan, 0, np.nan)
    statistic = float((((there - back) ** 2)[used] / (there + back)[used]).sum())
    return Symmetry(statistic, int(used.sum()), float(chdtrc(int(used.sum()), statistic)))


def flip_sensitivity(
    primary: Sequence[str],
    recurrence: Sequence[str],
    error: float,
    rng: np.random.Generator,
    classes: Sequence[str] | None = None,
    *,
    repeats: int = 1000,
    level: float = 0.95,
) -> list[dict[str, object]]:
    """Show how the shares that come back elsewhere move if some location labels are wrong.

    Parameters
    ----------
    primary, recurrence
        Class of each patient, empty where missing (left out).
    error
        Probability that a label, of the primary and of the recurrence independently, is replaced by another class.
    rng
        Source of the flips.
    classes
        Classes that a label can become, each as likely; those that occur when left out.
    repeats
        Number of flipped copies of the table.
    level
        Range of the copies that is given.

    Returns
    -------
    list of dict
        Per primary class and for all: primary, observed (share), flipped_median, flipped_lower, flipped_upper. Labels that are
        wrong at random move patients to new sites on paper: the observed share then is too high.

    Raises
    ------
    ParameterError
        If the error is not from 0 to below 1.
    """
    if not 0 <= error < 1:
        raise ParameterError(f"a share of wrong labels lies from 0 to below 1, not at {error}")
    first, second, _ = _pairs(primary, recurrence)
    names = tuple(classes) if classes is not None else tuple(sorted({*first, *second}))
    a, b, k = _index(first, names), _index(second, names), len(names)
    shares = np.empty((repeats, k + 1))
    for repeat in range(repeats):
        shares[repeat] = _moved(_flipped(a, k, error, rng), _flipped(b, k, error, rng), k)
    observed = _moved(a, b, k)
    rows: list[dict[str, object]] = []
    for j, name in enumerate((*names, "all")):
        seen = shares[~np.isnan(shares[:, j]), j]
        limits = np.quantile(seen, [(1 - level) / 2, 0.5, (1 + level) / 2]) if len(seen) else np.full(3, np.nan)
        keys = ("flipped_lower", "flipped_median", "flipped_upper")
        rows.append({"primary": name, "observed": float(observed[j]), **dict(zip(keys, limits.tolist(), strict=True))})
    return rows


def _moved(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """Give the (k + 1,) shares that moved, per class and of all; NaN without patients."""
    totals = np.append(np.bincount(a, minlength=k), len(a)).astype(float)
    moved = np.append(np.bincount(a[a != b], minlength=k), (a != b).sum())
    return np.divide(moved, totals, out=np.full(k + 1, np.nan), where=totals > 0)


def _flipped(labels: np.ndarray, k: int, error: float, rng: np.random.Generator) -> np.ndarray:
    if k < 2:
        return labels
    wrong = rng.random(len(labels)) < error
    return np.where(wrong, (labels + rng.integers(1, k, len(labels))) % k, labels)


def _pairs(primary: Sequence[str], recurrence: Sequence[str]) -> tuple[list[str], list[str], int]:
    if len(primary) != len(recurrence):
        raise ParameterError(
            f"each patient needs both classes; there are {len(primary)} primaries and {len(recurrence)} recurrences"
        )
    both = [(str(a), str(b)) for a, b in zip(primary, recurrence, strict=True) if a and b]
    return [a for a, _ in both], [b for _, b in both], len(primary) - len(both)


def _index(labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[label] for label in labels], dtype=np.int64)


def _counts(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (a, b), 1)
    return counts
