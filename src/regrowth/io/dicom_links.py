"""Which dose belongs to which plan, structures and series: by UIDs, by what the user says, then by frame of reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regrowth.io.dicom_objects import DicomLink, DicomObject, DicomProblem, LinkKind, ObjectKind

__all__ = ["References", "resolve_links"]


@dataclass(frozen=True)
class References:
    """What the files of an object refer to.

    Parameters
    ----------
    by_kind
        UIDs by ``plan``, ``structures``, ``series``, ``images``.
    """

    by_kind: Mapping[str, tuple[str, ...]]

    def of(self, kind: str) -> tuple[str, ...]:
        """UIDs of a kind."""
        return self.by_kind.get(kind, ())


@dataclass(frozen=True)
class _Rule:
    source: ObjectKind
    kind: LinkKind
    target: ObjectKind
    # Where only the place matters, another object in the same frame of reference serves as well as the missing one. A dose or a
    # plan that names another object is not what that other object was made from.
    replaceable: bool
    is_needed: bool


_RULES = (
    _Rule("RTDOSE", "plan", "RTPLAN", False, True),
    _Rule("RTDOSE", "structures", "RTSTRUCT", False, False),
    _Rule("RTPLAN", "structures", "RTSTRUCT", False, True),
    _Rule("RTSTRUCT", "series", "IMAGE", True, True),
    _Rule("SEG", "series", "IMAGE", True, True),
)
_NAMES = {"IMAGE": "series of images", "RTSTRUCT": "structure set", "RTPLAN": "plan"}


def resolve_links(
    objects: Sequence[DicomObject], references: Mapping[str, References], said: Mapping[str, Sequence[str]]
) -> tuple[list[DicomLink], list[DicomProblem]]:
    """Find what belongs together; nothing is guessed from counts, names or order.

    UIDs come first. Where they lead nowhere, what the user says counts, then the only object of the wanted kind of the same
    patient in the same frame of reference. A reference of a dose or plan to an object that is absent is not replaced by
    another one in the same frame of reference.

    Parameters
    ----------
    objects
        All objects.
    references
        What each object refers to.
    said
        UIDs that the user gave for an object.

    Returns
    -------
    links, problems
    """
    links: list[DicomLink] = []
    problems: list[DicomProblem] = []
    by_kind = {rule.target: [o for o in objects if o.kind == rule.target] for rule in _RULES}
    for source in objects:
        for rule in _RULES:
            if rule.source == source.kind:
                found, wrong = _resolved(source, rule, by_kind[rule.target], references[source.uid], said.get(source.uid, ()))
                links += found
                wrong += _foreign_frames(source, found, by_kind[rule.target])
                problems += [DicomProblem(source.shown_path, what, remedy, source.patient) for what, remedy in wrong]
    return links, problems


def _resolved(
    source: DicomObject, rule: _Rule, candidates: Sequence[DicomObject], refers: References, said: Sequence[str]
) -> tuple[list[DicomLink], list[tuple[str, str]]]:
    name = _NAMES[rule.target]
    wanted = refers.of(rule.kind)
    by_uid = [o for o in candidates if o.uid in wanted]
    wrong = _missing_images(by_uid, refers, name)
    if rule.kind == "series" and not by_uid:  # some programs renew the UIDs of series, but not those of images
        images = set(refers.of("images"))
        by_uid = [o for o in candidates if images & set(o.image_uids)]
    by_user = [o for o in candidates if o.uid in said]
    if by_uid:
        strange = sorted({o.patient for o in by_uid} - {source.patient})
        if strange:
            what = f"its patient identifier is not that of the {name} that it refers to ({', '.join(strange)})"
            wrong.append((what, "linked by UID; check whose files they are, and give both one patient in a manifest"))
        absent = len(set(wanted) - {o.uid for o in by_uid})
        if absent and not set(wanted).isdisjoint(o.uid for o in by_uid):
            wrong.append((f"refers to {absent} more {name}(s) that are not here", "add them if they matter"))
        if by_user and {o.uid for o in by_user} != {o.uid for o in by_uid}:
            wrong.append((f"the manifest names another {name} than the file itself", "the file counts; correct the manifest"))
        return [DicomLink(source.uid, o.uid, rule.kind, "uid") for o in by_uid], wrong
    if by_user:
        return [DicomLink(source.uid, o.uid, rule.kind, "manifest") for o in by_user], wrong
    if not rule.is_needed:
        return [], []
    manifest = "add the file, or name it in a manifest"
    if wanted and not rule.replaceable:
        return [], [(f"refers to a {name} that is not here", manifest)]
    frames = set(source.frames) - {""}
    near = [o for o in candidates if o.patient == source.patient and o.frame_of_reference_uid in frames]
    lost = f"refers to a {name} that is not here" if wanted else f"refers to no {name}"
    if len(near) == 1:
        remedy = (
            "linked to the only one of the patient in its frame of reference, which is weaker; name it in a manifest to be sure"
        )
        return [DicomLink(source.uid, near[0].uid, rule.kind, "frame_of_reference")], [(lost, remedy)]
    if near:
        return [], [(f"{lost}, and {len(near)} lie in its frame of reference", "not linked; name the right one in a manifest")]
    return [], [(lost, manifest)]


def _foreign_frames(
    source: DicomObject, links: Sequence[DicomLink], candidates: Sequence[DicomObject]
) -> list[tuple[str, str]]:
    """Name links between things that do not lie in the same space."""
    targets = {link.target_uid for link in links}
    return [
        (
            f"lies in another frame of reference than the {_NAMES[o.kind]} that it belongs to",
            "linked, but places cannot be compared; check the export, or register the two",
        )
        for o in candidates
        if o.uid in targets and source.frames and o.frames and set(source.frames).isdisjoint(o.frames)
    ]


def _missing_images(series: Sequence[DicomObject], refers: References, name: str) -> list[tuple[str, str]]:
    images = set(refers.of("images"))
    here = {uid for o in series for uid in o.image_uids}
    missing = len(images - here)
    if not series or not missing:
        return []
    return [(f"{missing} of {len(images)} images that it refers to are not in its {name}", "export the series completely")]
