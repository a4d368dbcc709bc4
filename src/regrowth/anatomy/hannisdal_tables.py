"""Which SynthSeg ids make up the regions of Hannisdal et al. 2025; what is odd about them says `hannisdal2025`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "HANNISDAL_HEMISPHERES",
    "HANNISDAL_REGIONS",
    "NB04_LOBES",
    "NB04_LOBE_IDS",
    "NB06_HEMISPHERES",
    "NB06_LOBES",
    "NB06_WHITE_MATTER",
]

_Table = Mapping[str, tuple[int, ...]]


def _both_sides(start: tuple[int, int], numbers: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    left, right = (tuple(side + int(n) for n in numbers.split()) for side in start)
    return left, right


def _table_04() -> _Table:
    cortex = {
        "frontal": "2 3 12 14 18 19 20 24 26 27 28 32",
        "parietal": "8 22 25 29 31 10",
        "temporal": "1 6 7 9 15 16 30 33 34",
        "occipital": "5 11 13 21",
    }
    deep = {"left_temporal": (17, 18), "right_temporal": (53, 54)}
    sides = {name: _both_sides((1000, 2000), numbers) for name, numbers in cortex.items()}
    table = {f"{side}_{n}": pair[i] for i, side in enumerate(("left", "right")) for n, pair in sides.items()}
    table = {name: (*ids, *deep.get(name, ())) for name, ids in table.items()}
    return MappingProxyType({**table, "brainstem": (16,), "corpus_callosum": (251, 252, 253, 254, 255)})


NB04_LOBES: _Table = _table_04()
"""Notebook 04: what trains the white matter (``left_frontal`` ...); brainstem and corpus callosum are listed and not used."""

NB04_LOBE_IDS: Mapping[str, int] = MappingProxyType(
    {
        "left_frontal": 3201,
        "left_parietal": 3206,
        "left_temporal": 3205,
        "left_occipital": 3204,
        "right_frontal": 4201,
        "right_parietal": 4206,
        "right_temporal": 4205,
        "right_occipital": 4204,
    }
)
"""Notebook 04: ids that the white matter is given."""


def _table_06() -> _Table:
    # Cortex, then the white-matter parcels of FreeSurfer (3000, 4000), which SynthSeg never makes.
    parts = {
        "frontal": ("3 12 14 18 19 20 24 27 28 32",) * 2,
        "parietal": ("8 17 22 25 29 31",) * 2,
        "temporal": ("1 6 7 9 15 16 30 33 34", "7 15 16 30 33 34"),
        "occipital": ("5 11 13 21",) * 2,
        "limbic": ("2 10 23 26 35", ""),
    }
    between = {"temporal": ((17, 18), (53, 54))}
    table: dict[str, tuple[int, ...]] = {}
    for name, (cortex, white) in parts.items():
        outer, inner = _both_sides((1000, 2000), cortex), _both_sides((3000, 4000), white)
        for i, side in enumerate(("left", "right")):
            table[f"{name}_{side}"] = (*outer[i], *between.get(name, ((), ()))[i], *inner[i])
    return MappingProxyType(
        {
            **table,
            "subcortical_left": (11, 12, 13, 26, 10, 28),
            "subcortical_right": (50, 51, 52, 58, 49, 60),
            "brainstem_and_cerebellum": (16, 7, 8, 46, 47),
            "ventricles": (4, 5, 14, 15, 43, 44),
            "corpus_callosum": (),
        }
    )


NB06_LOBES: _Table = _table_06()
"""Notebook 06: ids of the fifteen regions."""

HANNISDAL_REGIONS = tuple(NB06_LOBES)
"""Names of the fifteen regions, in the order of notebook 06."""

NB06_WHITE_MATTER: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        side: MappingProxyType(
            {
                name: start + n
                for name, n in zip(
                    ("frontal", "parietal", "temporal", "occipital", "cingulate", "insula"), numbers, strict=True
                )
            }
        )
        for side, start, numbers in (("left", 3200, (1, 6, 5, 4, 3, 7)), ("right", 4200, (1, 6, 5, 4, 3, 7)))
    }
)
"""Notebook 06: white-matter id that joins a region of the side if the name of the lobe occurs in the name of the region."""


def _hemispheres_06() -> _Table:
    cortex = ("frontal", "parietal", "temporal", "occipital", "limbic")
    left, right = (
        tuple(i for name in cortex for i in NB06_LOBES[f"{name}_{side}"] if start < i < start + 1000)
        for side, start in (("left", 1000), ("right", 2000))
    )
    return MappingProxyType(
        {
            "hemisphere_left": (*left, 11, 12, 13, 26, 10, 28, 17, 18, 3, 4, 2, 3201, 3203, 3205, 3205),
            "hemisphere_right": (*right, 50, 51, 52, 58, 49, 60, 53, 54, 41, 43, 44, 4201, 4203, 4205, 4205),
            "central": (14, 15, 16, 24),
        }
    )


NB06_HEMISPHERES: _Table = _hemispheres_06()
"""Notebook 06: ids of the three parts of the brain."""

HANNISDAL_HEMISPHERES = tuple(NB06_HEMISPHERES)
