"""The embedded template on real brains: facts that hold in any T1-weighted image and that a wrong fit would break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regrowth.anatomy import TemplateParcellator
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.io.nifti import read_image
from regrowth.space import Image


@pytest.mark.realdata
def test_regions_of_a_real_brain_have_the_brightness_of_their_tissue(real_data: Path):
    """On T1 the ventricles are darker than all other regions; sides balanced, brain covered."""
    image = read_image(real_data / "serial-brain-mr" / "study1_T1W.nii.gz")
    found = TemplateParcellator(GreedyRegistrar()).parcellate(image, threads=2)
    assert found.quality["assigned_share"] > 0.97
    assert found.quality["imbalance"] < 0.05
    regions = found.regions
    fluid = float(np.median(image.data[regions.mask_of(kind="csf")]))
    tissue = {r.label: float(np.median(image.data[regions.mask(r.label)])) for r in regions.scheme if r.kind != "csf"}
    assert min(tissue.values()) > 1.15 * fluid, tissue


@pytest.mark.realdata
def test_left_frontal_tumour_in_thick_slices_is_found_there(real_data: Path):
    """Patient 03: the enhancing tumour lies in the left superior frontal gyrus, as every slice shows."""
    folder = real_data / "brain-tumor-progression"
    image: Image = read_image(folder / "sub-03" / "ses-01" / "anat" / "sub-03_ses-01_ce-gadolinium_T1w.nii.gz")
    name = "sub-03_ses-01_label-tumor_mask.nii.gz"
    lesion = read_image(folder / "derivatives" / "manual" / "sub-03" / "ses-01" / "anat" / name).data > 0
    found = TemplateParcellator(GreedyRegistrar()).parcellate(image, lesion=lesion, threads=2)
    assert found.regions.mask("left frontal")[lesion].mean() > 0.6
    assert found.regions.mask_of(side="right")[lesion].mean() < 0.05
