"""How often the schemes disagree about the same recurrence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from regrowth.radiotherapy.failure import FailureClass

__all__ = ["PartAgreement", "SchemePair", "part_agreement", "scheme_discordance"]

Recurrences = Sequence[Iterable[FailureClass]]


@dataclass(frozen=True)
class PartAgreement:
    """What the schemes say about one part of a recurrence.

    Parameters
    ----------
    part
        Number of the part.
    groups
        Scheme, or scheme and method where one gives several, to ``inside``, ``marginal`` or ``outside``; those without a class
        are not in it.
    n_unclassified
        Schemes without a class.
    agree
        Whether all name the same group; None with fewer than two classes.
    """

    part: int
    groups: Mapping[str, str]
    n_unclassified: int
    agree: bool | None


@dataclass(frozen=True)
class SchemePair:
    """How two schemes go together over many parts.

    Parameters
    ----------
    first, second
        The schemes.
    n
        Parts that both classified.
    n_agree
        Of these, parts in the same group.
    discordance
        Share of the `n` in different groups, 0 to 1; NaN when n is 0.
    kappa
        Cohen's kappa over the three groups; NaN when chance alone explains all agreement.
    n_missing
        Parts that only one of them, or none, classified.
    counts
        (group of the first, group of the second) to number of parts.
    """

    first: str
    second: str
    n: int
    n_agree: int
    discordance: float
    kappa: float
    n_missing: int
    counts: Mapping[tuple[str, str], int]


def part_agreement(classes: Iterable[FailureClass]) -> list[PartAgreement]:
    """Compare the schemes on each part of one recurrence, by group, each at its highest dose level.

    Groups are our convention (`ClassRule.group`): without one, the classes of two schemes cannot be compared at all.
    """
    out = []
    for part, found in _by_part(classes).items():
        groups = {k: c.group for k, c in found.items() if c.group}
        agree = len(set(groups.values())) == 1 if len(groups) > 1 else None
        out.append(PartAgreement(part, MappingProxyType(groups), len(found) - len(groups), agree))
    return out


def scheme_discordance(recurrences: Recurrences) -> list[SchemePair]:
    """Tabulate for every pair of schemes how often they disagree.

    Parameters
    ----------
    recurrences
        Classes of each recurrence (`classify_all`), one element per recurrence or patient.

    Returns
    -------
    list
        A row for every pair, in the order in which the schemes first appear.
    """
    parts = [found for classes in recurrences for found in _by_part(classes).values()]
    names = list(dict.fromkeys(name for found in parts for name in found))
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return [_pair(a, b, parts) for a, b in pairs]


def _by_part(classes: Iterable[FailureClass]) -> dict[int, dict[str, FailureClass]]:
    """Part to name of scheme to its class at the highest level."""
    rows = list(classes)
    methods: dict[str, set[str]] = {}
    for row in rows:
        methods.setdefault(row.scheme, set()).add(row.method)
    out: dict[int, dict[str, FailureClass]] = {}
    for row in rows:
        several = len(methods[row.scheme] - {""}) > 1
        name = f"{row.scheme} {row.method}" if several and row.method else row.scheme
        known = out.setdefault(row.part, {})
        if name not in known or row.prescription_gy > known[name].prescription_gy:
            known[name] = row
    return out


def _pair(first: str, second: str, parts: Sequence[Mapping[str, FailureClass]]) -> SchemePair:
    counts: dict[tuple[str, str], int] = {}
    for found in parts:
        a, b = found.get(first), found.get(second)
        if a is not None and b is not None and a.group and b.group:
            counts[a.group, b.group] = counts.get((a.group, b.group), 0) + 1
    n = sum(counts.values())
    same = sum(v for (a, b), v in counts.items() if a == b)
    share = 1 - same / n if n else math.nan
    return SchemePair(first, second, n, same, share, _kappa(counts, n, same), len(parts) - n, MappingProxyType(counts))


def _kappa(counts: Mapping[tuple[str, str], int], n: int, same: int) -> float:
    if not n:
        return math.nan
    groups = {g for pair in counts for g in pair}
    rows = {g: sum(v for (a, _), v in counts.items() if a == g) / n for g in groups}
    columns = {g: sum(v for (_, b), v in counts.items() if b == g) / n for g in groups}
    chance = sum(rows[g] * columns[g] for g in groups)
    return math.nan if chance > 1 - 1e-12 else (same / n - chance) / (1 - chance)
