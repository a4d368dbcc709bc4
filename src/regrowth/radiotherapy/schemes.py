"""How the literature names a recurrence by dose and place: the schemes, read from data files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, get_args

import numpy as np

from regrowth.errors import ParameterError

__all__ = ["ClassRule", "FailureGroup", "FailureScheme", "SchemeMeasure", "load_schemes", "scheme_from_toml"]

SchemeMeasure = Literal["isodose_share", "target_share", "target_and_d95", "origin_in_target", "gap", "seed_sphere"]
FailureGroup = Literal["inside", "marginal", "outside"]
Mark = Literal["S", "M"]
TargetRule = Literal["", "highest", "lower", "none"]
PointRule = Literal["", "centroid", "origin"]

_BOUNDS = ("at_least", "above", "at_most", "below")
# What a measure can refer to; the first is what it means when a file does not say.
_REFERENCES: dict[str, tuple[str, ...]] = {
    "isodose_share": ("highest", "lowest"),
    "target_share": ("highest", "lowest"),
    "target_and_d95": ("own",),
    "origin_in_target": ("own",),
    "gap": ("",),
    "seed_sphere": ("each",),
}
_POINTS: dict[str, tuple[str, ...]] = {
    "isodose_share": ("",),
    "target_share": ("",),
    "target_and_d95": ("centroid", "origin"),
    "origin_in_target": ("origin", "centroid"),
    "gap": ("",),
    "seed_sphere": ("centroid",),
}
_ORDER = (
    "mohamed_2016",
    "dawson_2000",
    "chao_2003",
    "mcdonald_2010",
    "minniti_2010",
    "gebhardt_2014",
    "lee_1999",
    "point_of_origin",
    "distance_2cm",
    "welsh2025",
)


@dataclass(frozen=True)
class ClassRule:
    """One class of a scheme: the first rule of a scheme that holds names the class.

    Parameters
    ----------
    name
        Name of the class in its source.
    group
        ``inside``, ``marginal`` or ``outside``: what it means beside the classes of other schemes. Our convention.
    at_least, above, at_most, below
        Bounds of the number; the words say which side is closed. None where there is no bound.
    target
        Which target has to hold the point: that of the ``highest`` prescription, a ``lower`` one, ``none``; empty: any.
    code
        Number of the class in the source; None if it has none.
    mark
        ``S``: the bound was read in an excerpt of the source or of a paper that cites it; ``M``: from memory, not verified.
    """

    name: str
    group: FailureGroup
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    target: TargetRule = ""
    code: int | None = None
    mark: Mark = "M"

    def holds(self, values: np.ndarray, targets: np.ndarray | None = None) -> np.ndarray:
        """Tell for numbers (n,), and targets (n,) of ``highest``, ``lower``, ``none``, which belong; NaN is within no bound."""
        values = np.asarray(values, float)
        ok = np.ones(values.shape, bool)
        slack = 1e-9 * np.maximum(1.0, np.abs(np.nan_to_num(values)))  # 0.95 * 60 / 60 is not 0.95 in binary
        with np.errstate(invalid="ignore"):
            if self.at_least is not None:
                ok &= values >= self.at_least - slack
            if self.above is not None:
                ok &= values > self.above + slack
            if self.at_most is not None:
                ok &= values <= self.at_most + slack
            if self.below is not None:
                ok &= values < self.below - slack
        if self.target:
            ok &= np.zeros(values.shape, bool) if targets is None else np.asarray(targets) == self.target
        return ok


@dataclass(frozen=True)
class FailureScheme:
    """A published way to name a recurrence.

    Parameters
    ----------
    name
        Name here, such as ``gebhardt_2014``.
    measure
        What the number is: ``isodose_share`` the share of the recurrence at or above `isodose_fraction` of the
        prescription; ``target_share`` its share inside the target of the highest prescription; ``target_and_d95`` D95 over
        the prescription of the target that holds the centroid; ``origin_in_target`` the target that holds a point; ``gap``
        the least distance to the first tumour or cavity in mm; ``seed_sphere`` the seed's sphere and centroid
        (`welsh2025_classes`).
    classes
        In the order in which they are tried; the last has no bound.
    isodose_fraction
        Share of the prescription that counts as treated; None where no dose enters.
    reference
        Which prescription and its targets: ``highest`` or ``lowest``, ``own`` (of the target that holds the point), ``each``
        (every level on its own); empty where none enters.
    point
        ``centroid`` or ``origin``; empty where no point enters.
    citation, doi
        Where it comes from; the DOI is empty where it was not verified.
    mark
        ``S`` when every part was read in an excerpt, ``M`` when a part is from memory.
    notes
        What the source leaves open, and how it was closed here.
    """

    name: str
    measure: SchemeMeasure
    classes: tuple[ClassRule, ...]
    isodose_fraction: float | None
    reference: str
    point: PointRule
    citation: str
    doi: str
    mark: Mark
    notes: str

    def class_index(self, values: np.ndarray, targets: np.ndarray | None = None) -> np.ndarray:
        """(n,) index of the class of each number, -1 where the number is not known and the class depends on it."""
        values = np.asarray(values, float)
        known = ~np.isnan(values)
        if targets is not None:  # outside of all targets there is no number, but there is a class
            known |= np.asarray(targets) == "none"
        out = np.full(values.shape, -1)
        for i, rule in enumerate(self.classes):
            out[(out < 0) & known & rule.holds(values, targets)] = i
        return out

    @property
    def edges(self) -> tuple[tuple[float, str], ...]:
        """Each bound and the class that its value itself belongs to."""
        found = []
        for here, below in zip(self.classes, self.classes[1:], strict=False):
            for bound, closed in (("at_least", True), ("above", False), ("at_most", True), ("below", False)):
                edge = getattr(here, bound)
                if edge is not None:
                    found.append((float(edge), here.name if closed else below.name))
        return tuple(found)


def load_schemes() -> dict[str, FailureScheme]:
    """Load the schemes that come with Regrowth, by name."""
    folder = resources.files("regrowth.radiotherapy").joinpath("schemes")
    texts = [f.read_text(encoding="utf-8") for f in folder.iterdir() if f.name.endswith(".toml")]
    found = {s.name: s for s in (scheme_from_toml(t) for t in texts)}
    order = [n for n in _ORDER if n in found] + sorted(set(found) - set(_ORDER))
    return {name: found[name] for name in order}


def scheme_from_toml(text: str) -> FailureScheme:
    """Read a scheme from the text of a TOML file; one's own schemes go the same way as those that come along.

    Raises
    ------
    ParameterError
        If the text is no TOML, a key is missing or unknown, or the last class leaves numbers without a class.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"the scheme is not valid TOML: {error}") from error
    name = str(table.get("name", ""))
    what = f"the scheme {name!r}"
    _check_keys(table, {"name", "measure", "classes"}, {*_KEYS, "classes"}, what)
    classes = tuple(_rule(row, what) for row in table["classes"])
    if len(classes) < 2 or len({c.name for c in classes}) < len(classes):
        raise ParameterError(f"{what} needs at least two classes with names of their own")
    if any(getattr(classes[-1], b) is not None for b in _BOUNDS):
        raise ParameterError(f"the last class of {what} has a bound, so that some numbers would have no class")
    measure = _one_of(table["measure"], get_args(SchemeMeasure), f"measure of {what}")
    scheme = FailureScheme(
        name=name,
        measure=measure,
        classes=classes,
        isodose_fraction=_fraction(table.get("isodose_fraction"), what),
        reference=_one_of(table.get("reference", _REFERENCES[measure][0]), _REFERENCES[measure], f"reference of {what}"),
        point=_one_of(table.get("point", _POINTS[measure][0]), _POINTS[measure], f"point of {what}"),
        citation=str(table.get("citation", "")),
        doi=str(table.get("doi", "")),
        mark=_one_of(table.get("mark", "M"), get_args(Mark), f"mark of {what}"),
        notes=" ".join(str(table.get("notes", "")).split()),
    )
    if scheme.measure in ("isodose_share", "target_and_d95", "seed_sphere") and scheme.isodose_fraction is None:
        raise ParameterError(f"{what} measures dose and needs an isodose_fraction")
    if scheme.measure == "seed_sphere" and {c.code for c in classes} != {0, 1, 2}:
        raise ParameterError(f"{what} gives the seed's classes and needs their codes 1, 2 and 0")
    return scheme


_KEYS = ("name", "measure", "isodose_fraction", "reference", "point", "citation", "doi", "mark", "notes")


def _rule(row: dict[str, Any], what: str) -> ClassRule:
    _check_keys(row, {"name", "group"}, {"name", "group", "target", "code", "mark", *_BOUNDS}, f"a class of {what}")
    return ClassRule(
        name=str(row["name"]),
        group=_one_of(row["group"], get_args(FailureGroup), f"group of {what}"),
        target=_one_of(row.get("target", ""), get_args(TargetRule), f"target of {what}"),
        code=int(row["code"]) if "code" in row else None,
        mark=_one_of(row.get("mark", "M"), get_args(Mark), f"mark of {what}"),
        at_least=_bound(row, "at_least"),
        above=_bound(row, "above"),
        at_most=_bound(row, "at_most"),
        below=_bound(row, "below"),
    )


def _bound(row: dict[str, Any], key: str) -> float | None:
    return float(row[key]) if key in row else None


def _fraction(value: Any, what: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 < value <= 1:
        raise ParameterError(f"isodose_fraction of {what} lies above 0 and up to 1, not {value}")
    return float(value)


def _one_of(value: Any, allowed: tuple[str, ...], what: str) -> Any:
    if value not in allowed:
        raise ParameterError(f"{what} is one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value


def _check_keys(table: dict[str, Any], needed: set[str], known: set[str], what: str) -> None:
    if missing := needed - set(table):
        raise ParameterError(f"{what} lacks {', '.join(sorted(missing))}")
    if unknown := set(table) - known:
        raise ParameterError(f"{what} has unknown keys {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
