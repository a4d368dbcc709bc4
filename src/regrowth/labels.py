"""What the numbers in a segmentation mean: named label schemes and loss-free conversion.

A scheme is always named, never guessed: 4 is enhancing tumour in BraTS 2021 and resection cavity in BraTS 2024,
and 1 and 2 are swapped between BraTS and nnU-Net v1 (PICTURE). Each label lists the *tissues* that it contains; the
tissues are the common language of all schemes:

===== =======================================================================
ET    enhancing tumour
NCR   necrotic core
NET   non-enhancing solid tumour
CYST  cystic component
ED    oedema and infiltration, the non-enhancing T2/FLAIR abnormality (SNFH)
RC    resection cavity
GTV   tumour whose compartments are not distinguished
===== =======================================================================

Regions (what measures are made of) follow from the tissues by the table `_RULES`. A scheme has a region only when it
labels the tissues that the region stands on and none of its labels straddles the border of the region; otherwise the
region is absent, and asking for it raises. ``RC`` is part of no tumour region.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from regrowth.errors import LabelSchemeError

__all__ = ["REGIONS", "SCHEMES", "TISSUES", "LabelScheme", "label_scheme"]

TISSUES = ("ET", "NCR", "NET", "CYST", "ED", "RC", "GTV")

REGIONS: Mapping[str, str] = MappingProxyType(
    {
        "CE_core": "contrast-enhancing core (enhancing tumour and necrosis)",
        "ET": "enhancing tumour",
        "NCR": "necrosis (with the non-enhancing core where the scheme cannot tell them apart)",
        "NE": "non-enhancing T2/FLAIR abnormality (oedema, infiltration)",
        "TC": "tumour core",
        "WT": "whole tumour without cavity (lacks necrosis where the scheme does not label it)",
        "RC": "resection cavity",
        "GTV": "gross tumour, compartments not distinguished",
        "lesion": "every labelled voxel, cavity included",
    }
)

# A region is the union of the labels that contain a wanted tissue. It exists only when these labels cover every
# required tissue, and hold nothing beyond wanted and tolerated ones (such a label would straddle the border).
# NET is tolerated, not wanted, in CE_core and NCR: where a scheme tells it from necrosis it stays outside.
_RULES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {  # region: (wanted, required, tolerated)
        "CE_core": ("ET NCR", "ET NCR", "NET"),
        "ET": ("ET", "ET", ""),
        "NCR": ("NCR", "NCR", "NET"),
        "NE": ("ED", "ED", ""),
        "TC": ("ET NCR NET CYST", "ET NCR", ""),
        "WT": ("ET NCR NET CYST ED", "ET ED", ""),
        "RC": ("RC", "RC", ""),
        "GTV": ("GTV", "GTV", ""),
        "lesion": (" ".join(TISSUES), "", ""),
    }
)


@dataclass(frozen=True)
class LabelScheme:
    """The meaning of the values of a segmentation.

    Parameters
    ----------
    name
        Name by which users ask for the scheme, such as ``brats-2023``.
    values
        Label name to integer value; 0 is always background.
    tissues
        Label name to the tissues that it contains.
    source
        Where the definition comes from.
    """

    name: str
    values: Mapping[str, int]
    tissues: Mapping[str, frozenset[str]]
    source: str
    regions: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        if set(self.values) != set(self.tissues):
            raise LabelSchemeError(f"label scheme {self.name}: values and tissues name different labels")
        numbers = list(self.values.values())
        if len(set(numbers)) != len(numbers) or not all(0 < n < 256 for n in numbers):
            raise LabelSchemeError(f"label scheme {self.name}: values must differ and lie from 1 to 255, not {numbers}")
        if not all(t and t <= set(TISSUES) for t in self.tissues.values()):
            raise LabelSchemeError(f"label scheme {self.name}: each label needs one or more tissues of {', '.join(TISSUES)}")
        regions: dict[str, tuple[str, ...]] = {}
        for region, rule in _RULES.items():
            wanted, required, tolerated = (set(tissues.split()) for tissues in rule)
            inside = tuple(n for n, t in self.tissues.items() if t & wanted)
            covered = set().union(*(self.tissues[n] for n in inside))
            if inside and required <= covered <= wanted | tolerated:
                regions[region] = inside
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "tissues", MappingProxyType(dict(self.tissues)))
        object.__setattr__(self, "regions", MappingProxyType(regions))

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self.values.items())))

    def __reduce__(self) -> tuple[object, ...]:
        return (LabelScheme, (self.name, dict(self.values), dict(self.tissues), self.source))

    def region_values(self, region: str) -> tuple[int, ...]:
        """Give the values whose union is `region`.

        Raises
        ------
        LabelSchemeError
            If the scheme cannot express the region; the message says which regions it has.
        """
        if region not in self.regions:
            raise LabelSchemeError(
                f"label scheme {self.name} has no region {region!r} (it has {', '.join(self.regions)}); "
                "choose one of these or a segmentation in another scheme"
            )
        return tuple(self.values[n] for n in self.regions[region])

    def check_values(self, data: np.ndarray, where: str = "the segmentation") -> None:
        """Refuse values that the scheme does not define.

        Parameters
        ----------
        data
            Integer array, any shape.
        where
            Name of the file or array for the message.
        """
        present = np.unique(data)
        unknown = sorted(set(present.tolist()) - {0, *self.values.values()})
        if unknown:
            known = ", ".join(f"{v}={n}" for n, v in self.values.items())
            raise LabelSchemeError(
                f"{where} holds the label value(s) {', '.join(map(str, unknown))}, which the scheme {self.name} does not "
                f"define (it has 0=background, {known}); name the right scheme (--label-scheme) or correct the file"
            )

    def convert(self, data: np.ndarray, to: LabelScheme, *, merge: bool = False, absent: Collection[str] = ()) -> np.ndarray:
        """Rewrite label values in another scheme.

        Parameters
        ----------
        data
            Integer array in this scheme, any shape.
        to
            Scheme wanted.
        merge
            Accept that labels which this scheme tells apart become one.
        absent
            Regions known to be empty although this scheme cannot express them, such as ``RC`` before surgery.

        Returns
        -------
        numpy.ndarray
            Array of the same shape, ``uint8``, in scheme `to`.

        Raises
        ------
        LabelSchemeError
            If a label that occurs in `data` has no place in `to`, would be split, or (without `merge`) would be
            merged with another label that occurs; or if `to` has a region that this scheme cannot express: what was
            never labelled would be measured as 0.
        """
        self.check_values(data)
        invented = [r for r in to.regions if r not in self.regions and r not in absent]
        if invented:
            raise LabelSchemeError(
                f"{self.name} does not label {', '.join(invented)}, but {to.name} does: it would be measured as 0; "
                "measure in the scheme at hand, or name in absent= the regions that are known to be empty"
            )
        out = np.zeros(np.shape(data), np.uint8)
        taken: dict[str, str] = {}
        for label, value in self.values.items():
            here = data == value
            if not here.any():
                continue
            target = next((n for n, t in to.tissues.items() if self.tissues[label] <= t), None)
            if target is None:
                raise LabelSchemeError(
                    f"{self.name} label {value} ({label}: {'+'.join(sorted(self.tissues[label]))}) has no place in {to.name}; "
                    "the conversion would lose meaning; keep the scheme, or choose one that has this label"
                )
            if target in taken and not merge:
                raise LabelSchemeError(
                    f"{self.name} labels {taken[target]} and {label} would become one label {target} in {to.name}; "
                    "pass merge=True if that is wanted"
                )
            taken[target] = label
            out[here] = to.values[target]
        return out


def _scheme(name: str, source: str, **labels: tuple[int, str]) -> LabelScheme:
    return LabelScheme(
        name,
        {n: value for n, (value, _) in labels.items()},
        {n: frozenset(tissues.split("+")) for n, (_, tissues) in labels.items()},
        source,
    )


SCHEMES: Mapping[str, LabelScheme] = MappingProxyType(
    {
        s.name: s
        for s in (
            _scheme(
                "brats-2013",
                "Menze et al. 2015, doi:10.1109/TMI.2014.2377694",
                NCR=(1, "NCR"),
                ED=(2, "ED"),
                NET=(3, "NET"),
                ET=(4, "ET"),
            ),
            _scheme(
                "brats-2021",
                "BraTS 2017 to 2021 and UPenn-GBM; Baid et al. 2021, arXiv:2107.02314",
                NCR=(1, "NCR+NET"),
                ED=(2, "ED"),
                ET=(4, "ET"),
            ),
            _scheme("brats-2023", "BraTS 2023 adult glioma", NCR=(1, "NCR+NET"), ED=(2, "ED"), ET=(3, "ET")),
            _scheme(
                "brats-2024-post",
                "BraTS 2024 post-treatment glioma; de Verdier et al. 2024, arXiv:2405.18368",
                NETC=(1, "NCR+NET"),
                SNFH=(2, "ED"),
                ET=(3, "ET"),
                RC=(4, "RC"),
            ),
            _scheme(
                "brats-ped",
                "BraTS-PEDs; Kazerooni et al. 2023, arXiv:2305.17033",
                ET=(1, "ET"),
                NET=(2, "NET"),
                CC=(3, "CYST+NCR"),
                ED=(4, "ED"),
            ),
            _scheme("hd-glio", "HD-GLIO; Kickingereder et al. 2019 (no necrosis label)", NE=(1, "ED"), CE=(2, "ET")),
            _scheme(
                "picture-preop", "PICTURE segment_glioma, session type preop", NE=(1, "ED"), NCR=(2, "NCR+NET"), CE=(3, "ET")
            ),
            _scheme("picture-postop", "PICTURE segment_glioma, session type postop", CE=(1, "ET")),
            _scheme(
                "picture-postop-beta",
                "PICTURE segment_glioma, session type postop_beta",
                NE=(1, "ED"),
                RC=(2, "RC"),
                CE=(3, "ET"),
            ),
            _scheme("binary-gtv", "a single tumour mask, compartments not distinguished", GTV=(1, "GTV")),
        )
    }
)

_ALIASES = {
    "brats-2017": "brats-2021",
    "brats-2018": "brats-2021",
    "brats-2019": "brats-2021",
    "brats-2020": "brats-2021",
    "upenn-gbm": "brats-2021",
}


def label_scheme(name: str) -> LabelScheme:
    """Find a scheme by name.

    Raises
    ------
    LabelSchemeError
        If there is no such scheme; the message lists all names.
    """
    key = name.strip().lower()
    key = _ALIASES.get(key, key)
    if key not in SCHEMES:
        raise LabelSchemeError(f"no label scheme is called {name!r}; known are {', '.join([*SCHEMES, *_ALIASES])}")
    return SCHEMES[key]
