"""Where the head, the brain and its parts lie."""

from regrowth.anatomy.atlas import lobe_atlas
from regrowth.anatomy.brain import BrainMask, brain_mask, head_mask, is_skull_stripped
from regrowth.anatomy.compartment import CompartmentChoice, location_compartment
from regrowth.anatomy.freesurfer import lobes_from_labels
from regrowth.anatomy.hannisdal2025 import (
    HANNISDAL_REGIONS,
    HannisdalClass,
    HannisdalOverlap,
)
from regrowth.anatomy.labelmap import LabelMapParcellator
from regrowth.anatomy.location import ComponentLocation, Location, LocationParameters, component_locations, location
from regrowth.anatomy.overlap import RegionVolumes, region_volumes
from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.parcellation import Parcellation, Parcellator
from regrowth.anatomy.regions import LOBES, Region, RegionMap, RegionScheme
from regrowth.anatomy.template import BrainTemplate, brain_template
from regrowth.anatomy.template_parcellator import TemplateParcellator

__all__ = [
    "HANNISDAL_REGIONS",
    "LOBES",
    "AnatomyParameters",
    "BrainMask",
    "BrainTemplate",
    "CompartmentChoice",
    "ComponentLocation",
    "HannisdalClass",
    "HannisdalOverlap",
    "LabelMapParcellator",
    "Location",
    "LocationParameters",
    "Parcellation",
    "Parcellator",
    "Region",
    "RegionMap",
    "RegionScheme",
    "RegionVolumes",
    "TemplateParcellator",
    "brain_mask",
    "brain_template",
    "component_locations",
    "head_mask",
    "is_skull_stripped",
    "lobe_atlas",
    "lobes_from_labels",
    "location",
    "location_compartment",
    "region_volumes",
]
