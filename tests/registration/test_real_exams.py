"""Whether rigid registration brings real exams closer: five patients with thick slices, and a published reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regrowth.anatomy import head_mask
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.io.nifti import read_image
from regrowth.io.transforms import read_transform
from regrowth.registration import RegistrationParameters, align_exams, registration_quality

pytestmark = pytest.mark.realdata


def test_rigid_registration_raises_the_correlation_inside_the_head(real_data: Path) -> None:
    # Published for rigid registration of patient 03: .09 to .53.
    patient, least = "03", 0.48
    folder = real_data / "brain-tumor-progression"
    images, lesions = [], []
    for session in ("ses-01", "ses-02"):
        name = f"sub-{patient}_{session}"
        images.append(read_image(folder / f"sub-{patient}/{session}/anat/{name}_ce-gadolinium_T1w.nii.gz"))
        mask = folder / f"derivatives/manual/sub-{patient}/{session}/anat/{name}_label-tumor_mask.nii.gz"
        lesions.append(read_image(mask).data > 0.5)
    found = align_exams(*images, *lesions, GreedyRegistrar(), RegistrationParameters(kind="rigid"))
    quality = registration_quality(
        *images, found.rigid, head_mask(images[0]), head_mask(images[1]), fixed_lesion=lesions[0], moving_lesion=lesions[1]
    )
    assert quality.ncc_after > max(quality.ncc_before + 0.2, least)
    assert quality.mi_after > quality.mi_before
    assert quality.mask_dice_after > quality.mask_dice_before


def test_a_published_rigid_transform_is_found_again(real_data: Path) -> None:
    folder = real_data / "serial-brain-mr"
    if not folder.is_dir():
        pytest.skip("serial-brain-mr is absent")
    fixed, moving = (read_image(folder / f"study{i}_FLAIR.nii.gz") for i in (1, 2))
    first, second = (read_transform(folder / f"study{i}_FLAIR_to_common_space.txt") for i in (1, 2))
    # Each file maps points of the common space to its own study.
    wanted = second.matrix @ np.linalg.inv(first.matrix)
    found = GreedyRegistrar().register(fixed, moving, "rigid")
    points = fixed.grid.world(np.argwhere(head_mask(fixed))[::500])
    off = found.map_points(points) - (points @ wanted[:3, :3].T + wanted[:3, 3])
    start = points - (points @ wanted[:3, :3].T + wanted[:3, 3])
    assert np.linalg.norm(start, axis=-1).mean() > 10
    assert np.linalg.norm(off, axis=-1).mean() < 0.25
