"""What an average brain looks like: the ICBM 152 template that nilearn carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.space import Grid, Image

__all__ = ["BrainTemplate", "brain_template"]


@dataclass(frozen=True, eq=False)
class BrainTemplate:
    """A brain without skull.

    Parameters
    ----------
    image
        (X, Y, Z) T1-weighted, 0 outside of the brain.
    brain
        (X, Y, Z) bool on its grid.
    """

    image: Image
    brain: np.ndarray


def brain_template(spacing_mm: int = 2) -> BrainTemplate:
    """Load the ICBM 152 2009 non-linear symmetric T1 template from the installed nilearn (no download).

    Parameters
    ----------
    spacing_mm
        Voxel spacing, 1 mm or a multiple.

    References
    ----------
    .. [1] Fonov et al., NeuroImage 54 (2011), doi:10.1016/j.neuroimage.2010.07.033.
    """
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

    nii = load_mni152_template(resolution=spacing_mm)
    mask = load_mni152_brain_mask(resolution=spacing_mm)
    data = np.asarray(nii.dataobj, np.float32)
    brain = np.asarray(mask.dataobj) > 0
    return BrainTemplate(Image(np.where(brain, data, 0), Grid(data.shape, nii.affine)), brain)
