"""Where the head, the brain and its parts lie."""

from regrowth.anatomy.brain import BrainMask, brain_mask, head_mask, is_skull_stripped
from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.parcellation import Parcellation, Parcellator
from regrowth.anatomy.regions import LOBES, Region, RegionMap, RegionScheme
from regrowth.anatomy.template import BrainTemplate, brain_template

__all__ = [
    "LOBES",
    "AnatomyParameters",
    "BrainMask",
    "BrainTemplate",
    "Parcellation",
    "Parcellator",
    "Region",
    "RegionMap",
    "RegionScheme",
    "brain_mask",
    "brain_template",
    "head_mask",
    "is_skull_stripped",
]
