"""Where head and brain are found: stripped phantoms, a head of nested shells, a real head."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regrowth.anatomy import brain_mask, brain_template, head_mask, is_skull_stripped
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.errors import EngineFailedError, InputError
from regrowth.io.nifti import read_image
from regrowth.registration.similarity import dice
from regrowth.space import Grid, Image, Transform, dilate_mm, resample_image, resample_mask


class BrokenRegistrar:
    name, version, citation = "broken", "0", "none"

    def register(self, *args: Any, **options: Any) -> Transform:
        raise EngineFailedError("it broke\nand more")


class StretchingRegistrar(BrokenRegistrar):
    def register(self, *args: Any, **options: Any) -> Transform:
        return Transform.affine(np.diag([3.0, 1, 1, 1]))


@cache
def head() -> tuple[Image, np.ndarray]:
    """ICBM's brain inside CSF, dark skull and bright scalp, turned by 8 degrees, in noisy air with zeros at one side."""
    rng = np.random.default_rng(1)
    template = brain_template(4)
    source = template.image.grid
    pad = 12
    affine = source.affine.copy()
    affine[:3, 3] = source.world(np.array([-pad] * 3))
    a = np.deg2rad(8)
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    wide = Grid(tuple(n + 2 * pad for n in source.shape), turn @ affine)
    move = Transform.affine(np.linalg.inv(turn))
    brain = resample_mask(template.brain, source, wide, move)
    data = resample_image(template.image, wide, move).data / template.image.data.max()
    csf, skull, scalp = (dilate_mm(brain, wide, r) for r in (3.0, 10.0, 18.0))
    data = np.where(scalp & ~skull, 1.2, np.where(csf & ~brain, 0.2, data))
    data = np.abs(data + 0.02 * rng.standard_normal(data.shape) + 0.02)
    data[:6] = 0.0
    return Image(data * 800, wide), brain


def test_a_stripped_brain_is_taken_from_the_data() -> None:
    template = brain_template(4)
    found = brain_mask(template.image)
    assert is_skull_stripped(template.image)
    assert (found.method, found.is_fallback) == ("data", False)
    assert dice(found.mask, template.brain) > 0.98


def test_a_stripped_brain_with_another_background_and_a_tumour_hole_is_whole() -> None:
    template = brain_template(4)
    data = np.where(template.brain, template.image.data, -50.0)
    hole = np.zeros(data.shape, bool)
    hole[25:29, 30:34, 22:26] = True
    data[hole] = -50.0
    found = brain_mask(Image(data, template.image.grid))
    assert found.method == "data"
    assert found.mask[hole].all()


def test_a_head_is_not_taken_for_a_brain_though_corners_are_zero() -> None:
    image, _ = head()
    assert (image.data == 0).mean() > 0.05
    assert not is_skull_stripped(image)


def test_a_head_whose_air_was_set_to_zero_is_not_taken_for_a_brain() -> None:
    image, _ = head()
    assert not is_skull_stripped(image.with_data(np.where(head_mask(image), image.data, 0)))


def test_the_head_mask_holds_scalp_skull_and_brain_and_no_air() -> None:
    image, brain = head()
    scalp = dilate_mm(brain, image.grid, 18.0)
    found = head_mask(image)
    assert dice(found, scalp) > 0.97
    assert found[brain].all()


def test_the_template_finds_the_brain_in_a_turned_head_and_says_that_it_is_a_fallback() -> None:
    image, brain = head()
    found = brain_mask(image, GreedyRegistrar())
    assert (found.method, found.is_fallback) == ("template", True)
    assert dice(found.mask, brain) > 0.93


@pytest.mark.parametrize(
    ("engine", "why"), [(None, "no registration engine"), (BrokenRegistrar(), "it broke"), (StretchingRegistrar(), "stretched")]
)
def test_without_a_usable_template_the_intensities_decide_and_the_reason_is_told(engine: Any, why: str) -> None:
    image, brain = head()
    found = brain_mask(image, engine)
    assert (found.method, found.is_fallback) == ("intensity", True)
    assert why in found.reason
    assert dice(found.mask, brain) > 0.8


def test_a_lesion_is_brain() -> None:
    image, brain = head()
    lesion = brain & ~np.roll(brain, 2, axis=0)
    assert brain_mask(image, lesion=lesion).mask[lesion].all()


def test_images_without_contrast_or_with_a_time_axis_are_refused() -> None:
    grid = Grid((8, 8, 8), np.eye(4))
    with pytest.raises(InputError, match="no contrast"):
        head_mask(Image(np.ones((8, 8, 8)), grid))
    with pytest.raises(InputError, match="one volume"):
        brain_mask(Image(np.ones((8, 8, 8, 3)), grid))


@pytest.mark.realdata
def test_a_real_head_with_thick_slices_gets_a_brain_of_human_size(real_data: Path) -> None:
    name = "sub-05/ses-01/anat/sub-05_ses-01_ce-gadolinium_T1w.nii.gz"
    image = read_image(real_data / "brain-tumor-progression" / name)
    found = brain_mask(image, GreedyRegistrar())
    assert found.method == "template"
    # The geometry of these files is nominal, and so are the litres.
    assert 1200 < found.mask.sum() * image.grid.voxel_volume_ml < 2200
    tumour = real_data / "brain-tumor-progression/derivatives/manual/sub-05/ses-01/anat/sub-05_ses-01_label-tumor_mask.nii.gz"
    assert found.mask[read_image(tumour).data > 0.5].mean() > 0.99
