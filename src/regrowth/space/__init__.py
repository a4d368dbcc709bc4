"""Where things are: grids, images, transforms, resampling and distances, all in RAS+ millimetres."""

from regrowth.space.distance import bounding_box, dilate_mm, distance_to_mm, erode_mm, largest_component
from regrowth.space.grid import Grid, require_same_grid
from regrowth.space.image import Image, LabelMap
from regrowth.space.resample import resample_image, resample_labels, resample_mask, sample_points
from regrowth.space.transform import AffineMap, DisplacementMap, Transform

__all__ = [
    "AffineMap",
    "DisplacementMap",
    "Grid",
    "Image",
    "LabelMap",
    "Transform",
    "bounding_box",
    "dilate_mm",
    "distance_to_mm",
    "erode_mm",
    "largest_component",
    "require_same_grid",
    "resample_image",
    "resample_labels",
    "resample_mask",
    "sample_points",
]
