"""Which structures of a patient are meant by a name: wildcards, and a table of what matched and what did not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from unicodedata import normalize

from regrowth.errors import ParameterError

__all__ = ["NameMatch", "NameTable", "match_structures"]


@dataclass(frozen=True)
class NameMatch:
    """One row of the table.

    Parameters
    ----------
    key
        What was looked for; empty for a structure that nothing looks for.
    name
        Name of the structure as it was given; empty if none was found.
    pattern
        First pattern of the key that the name fits; empty if none.
    status
        ``matched``: one structure, for one key; ``several``: the key fits other structures too; ``shared``: other keys claim
        the structure too; ``missing``: no structure fits the key; ``unused``: the structure fits no key.
    reason
        What else there is, and what to do; empty for ``matched`` and ``unused``.
    """

    key: str
    name: str
    pattern: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class NameTable:
    """What matched and what did not: every key and every name stands in at least one of the rows."""

    rows: tuple[NameMatch, ...]

    def names(self, key: str) -> tuple[str, ...]:
        """Names that a key fits, in the order of its patterns, then of the structures; empty if none.

        Raises
        ------
        ParameterError
            If the key was never looked for.
        """
        own = [row for row in self.rows if row.key == key]
        if not own:
            raise ParameterError(f"{key!r} was not looked for; keys are {', '.join(dict.fromkeys(self.keys()))}")
        return tuple(row.name for row in own if row.name)

    def only(self, key: str) -> str:
        """Name of the structure that a key means.

        Raises
        ------
        ParameterError
            If no structure fits, or several do, or another key claims it too.
        """
        own = [row for row in self.rows if row.key == key]
        if len(own) != 1 or own[0].status != "matched":
            reason = own[0].reason if own else "it was not looked for"
            raise ParameterError(f"{key!r} does not mean one structure: {reason}")
        return own[0].name

    def keys(self) -> tuple[str, ...]:
        """Keys in their order, each once."""
        return tuple(dict.fromkeys(row.key for row in self.rows if row.key))

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys that no structure fits."""
        return tuple(row.key for row in self.rows if row.status == "missing")

    @property
    def unused(self) -> tuple[str, ...]:
        """Structures that fit no key."""
        return tuple(row.name for row in self.rows if row.status == "unused")

    def records(self) -> list[dict[str, str]]:
        """Rows as dictionaries, for a table."""
        return [asdict(row) for row in self.rows]


def match_structures(names: Iterable[str], patterns: Mapping[str, Sequence[str]]) -> NameTable:
    """Find the structures that wildcards mean.

    Parameters
    ----------
    names
        Names of the structures of a patient; a name that is there twice is one.
    patterns
        For every key its patterns, the preferred first: ``*`` any text, ``?`` any character, ``[ab]`` one of these. Case,
        outer spaces and the way that accents are encoded do not count.

    Returns
    -------
    NameTable
        Keys in their order, then the structures that none of them means. Nothing is chosen: a key that fits several
        structures, and a structure that several keys fit, is said to be so.

    Raises
    ------
    ParameterError
        If a key is empty or has no pattern, or one that is empty.

    Examples
    --------
    >>> table = match_structures(["GTV_relapse", "Heart", "PTV 60"], {"recurrence": ["*rec*", "*relapse*"], "lung": ["*lung*"]})
    >>> [(row.key, row.name, row.status) for row in table.rows]
    [('recurrence', 'GTV_relapse', 'matched'), ('lung', '', 'missing'), ('', 'Heart', 'unused'), ('', 'PTV 60', 'unused')]
    """
    given = list(dict.fromkeys(names))
    for key, own in patterns.items():
        if not key or isinstance(own, str) or not own or not all(isinstance(p, str) and p.strip() for p in own):
            raise ParameterError(f"{key!r} needs a name and a list of patterns that are not empty, not {own!r}")
    hits = {key: _hits(given, own) for key, own in patterns.items()}
    claims = {name: [key for key, found in hits.items() if name in found] for name in given}
    rows = []
    for key, found in hits.items():
        if not found:
            tried = ", ".join(repr(p) for p in patterns[key])
            rows.append(NameMatch(key, "", "", "missing", f"no structure fits {tried}; add its name to the patterns"))
        for name, pattern in found.items():
            others = [k for k in claims[name] if k != key]
            if others:
                reason = f"{name!r} fits {', '.join(map(repr, others))} too; make the patterns narrower"
                rows.append(NameMatch(key, name, pattern, "shared", reason))
            elif len(found) > 1:
                reason = f"{len(found)} structures fit ({', '.join(map(repr, found))}); unite them on purpose or name one"
                rows.append(NameMatch(key, name, pattern, "several", reason))
            else:
                rows.append(NameMatch(key, name, pattern, "matched"))
    rows += [NameMatch("", name, "", "unused") for name in given if not claims[name]]
    return NameTable(tuple(rows))


def _plain(text: str) -> str:
    """Bring a name into the form that is compared."""
    return normalize("NFC", text.strip().casefold())


def _hits(names: Sequence[str], patterns: Sequence[str]) -> dict[str, str]:
    """Find the names that fit, with the first pattern that each fits, in the order of the patterns."""
    out: dict[str, str] = {}
    for pattern in patterns:
        for name in names:
            if name not in out and fnmatchcase(_plain(name), _plain(pattern)):
                out[name] = pattern
    return out
