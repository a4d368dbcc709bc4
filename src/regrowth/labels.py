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
===== =======================================================================

Regions (what measures are made of) follow from the tissues: ``ET``; ``NCR`` (necrotic and non-enhancing core); ``NE``
(oedema and infiltration); ``RC``; ``TC`` tumour core = ET, NCR, NET, CYST; ``CE_core`` = contrast-enhancing core = ET and
what it encloses (NCR, with NET where the scheme cannot tell the two apart); ``WT`` whole tumour = everything but RC;
``lesion`` = every labelled voxel, RC included; ``GTV`` only where nothing else is known.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        "NCR": "necrotic or non-enhancing core",
        "NE": "non-enhancing T2/FLAIR abnormality (oedema, infiltration)",
        "TC": "tumour core",
        "WT": "whole tumour without cavity",
        "RC": "resection cavity",
        "GTV": "gross tumour, compartments not distinguished",
        "lesion": "every labelled voxel, cavity included",
    }
)

# A region is the union of the labels whose tissues lie inside `allowed`; it exists only when the labels
# cover all of `needed` and no label straddles the border of the region.
_CORE = {"ET", "NCR", "NET", "CYST"}
_REGION_TISSUES: Mapping[str, tuple[set[str], set[str]]] = MappingProxyType(
    {
        "CE_core": ({"ET", "NCR"}, {"ET", "NCR", "NET"}),
        "ET": ({"ET"}, {"ET"}),
        "NCR": ({"NCR"}, {"NCR", "NET"}),
        "NE": ({"ED"}, {"ED"}),
        "TC": ({"ET", "NCR"}, _CORE),
        "WT": ({"ET", "ED"}, _CORE | {"ED"}),
        "RC": ({"RC"}, {"RC"}),
        "GTV": ({"GTV"}, {"GTV"}),
        "lesion": (set(), set(TISSUES)),
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
        regions: dict[str, tuple[str, ...]] = {}
        for region, (needed, allowed) in _REGION_TISSUES.items():
            inside = tuple(n for n, t in self.tissues.items() if t <= allowed)
            straddles = [n for n, t in self.tissues.items() if t & needed and not t <= allowed]
            covered = set().union(*(self.tissues[n] for n in inside)) if inside else set()
            if inside and needed <= covered and not straddles:
                regions[region] = inside
        # CE core must not take a solid non-enhancing part that the scheme can tell from necrosis.
        if "CE_core" in regions:
            regions["CE_core"] = tuple(n for n in regions["CE_core"] if self.tissues[n] & {"ET", "NCR"})
        if "NCR" in regions:
            regions["NCR"] = tuple(n for n in regions["NCR"] if "NCR" in self.tissues[n])
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "tissues", MappingProxyType(dict(self.tissues)))
        object.__setattr__(self, "regions", MappingProxyType(regions))

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

    def convert(self, data: np.ndarray, to: LabelScheme, *, merge: bool = False) -> np.ndarray:
        """Rewrite label values in another scheme.

        Parameters
        ----------
        data
            Integer array in this scheme, any shape.
        to
            Scheme wanted.
        merge
            Accept that labels which this scheme tells apart become one.

        Returns
        -------
        numpy.ndarray
            Array of the same shape, ``uint8``, in scheme `to`.

        Raises
        ------
        LabelSchemeError
            If a label that occurs in `data` has no place in `to`, would be split, or (without `merge`) would be
            merged with another label that occurs.
        """
        self.check_values(data)
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
                    "the conversion would lose meaning"
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
