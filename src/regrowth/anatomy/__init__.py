"""Where the head, the brain and its parts lie."""

from regrowth.anatomy.brain import BrainMask, brain_mask, head_mask, is_skull_stripped
from regrowth.anatomy.compartment import CompartmentChoice, location_compartment
from regrowth.anatomy.location import ComponentLocation, Location, LocationParameters, component_locations, location
from regrowth.anatomy.overlap import RegionVolumes, region_volumes
from regrowth.anatomy.parameters import AnatomyParameters
from regrowth.anatomy.parcellation import Parcellation, Parcellator
from regrowth.anatomy.regions import LOBES, Region, RegionMap, RegionScheme
from regrowth.anatomy.template import BrainTemplate, brain_template

__all__ = [
    "LOBES",
    "AnatomyParameters",
    "BrainMask",
    "BrainTemplate",
    "CompartmentChoice",
    "ComponentLocation",
    "Location",
    "LocationParameters",
    "Parcellation",
    "Parcellator",
    "Region",
    "RegionMap",
    "RegionScheme",
    "RegionVolumes",
    "brain_mask",
    "brain_template",
    "component_locations",
    "head_mask",
    "is_skull_stripped",
    "location",
    "location_compartment",
    "region_volumes",
]
