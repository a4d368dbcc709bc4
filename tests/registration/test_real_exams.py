"""Whether rigid registration brings real exams closer: five patients with thick slices, and a published reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from regrowth.anatomy import head_mask
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.io.nifti import read_image
from regrowth.registration import RegistrationParameters, align_exams, registration_quality

pytestmark = pytest.mark.realdata


# Published for rigid registration of these pairs: 01 .53 to .73, 03 .09 to .53, 05 .30 to .72.
@pytest.mark.parametrize(("patient", "least"), [("03", 0.45), ("05", 0.70)])
def test_rigid_registration_raises_the_correlation_inside_the_head(real_data: Path, patient: str, least: float) -> None:
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
