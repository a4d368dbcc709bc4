"""Which stages run, from where, with which masks; a toy engine writes down what it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from regrowth.errors import GridMismatchError, ParameterError
from regrowth.registration import RegistrationParameters, align_exams, align_sequences, cost_mask
from regrowth.space import AffineMap, Grid, Image, Transform

GRID = Grid((20, 20, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
IMAGE = Image(np.arange(8000.0).reshape(20, 20, 20), GRID)
OTHER = Image(IMAGE.data[::-1], Grid((20, 20, 20), np.diag([-2.0, 2.0, 2.0, 1.0])))


@dataclass
class ToyRegistrar:
    """Adds 1 mm in x at every stage."""

    name: str = "toy"
    version: str = "1"
    citation: str = "none"
    asked: list[dict[str, Any]] = field(default_factory=list)

    def register(self, fixed: Image, moving: Image, kind: str, **options: Any) -> Transform:
        self.asked.append({"fixed": fixed, "moving": moving, "kind": kind, **options})
        step = np.eye(4)
        step[0, 3] = 1.0
        initial = options.get("initial") or Transform()
        return Transform((*initial.steps, AffineMap(step)), fixed=fixed.grid, moving=moving.grid)


def lesion() -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    mask[8:12, 8:12, 8:12] = True
    return mask


def shift(transform: Transform | None) -> float:
    assert transform is not None
    return float(transform.matrix[0, 3])


def test_each_stage_starts_from_the_one_before_and_leaves_out_both_lesions() -> None:
    toy = ToyRegistrar()
    found = align_exams(
        IMAGE,
        OTHER,
        lesion(),
        lesion()[::-1],
        toy,
        RegistrationParameters(dilate_mm=3.0, seed=5, inverse_consistency=False),
        threads=2,
    )
    assert [a["kind"] for a in toy.asked] == ["rigid", "affine", "deformable"]
    assert [shift(t) for t in (found.rigid, found.affine, found.deformable)] == [1, 2, 3]
    assert found.final is found.deformable
    for asked in toy.asked:
        assert np.array_equal(asked["fixed_mask"], cost_mask(lesion(), GRID, 3.0))
        assert np.array_equal(asked["moving_mask"], cost_mask(lesion()[::-1], OTHER.grid, 3.0))
        assert (asked["seed"], asked["threads"]) == (5, 2)


@pytest.mark.parametrize(("kind", "stages"), [("rigid", 1), ("affine", 2)])
def test_a_registration_stops_where_it_is_told(kind: Any, stages: int) -> None:
    toy = ToyRegistrar()
    found = align_exams(IMAGE, OTHER, None, None, toy, RegistrationParameters(kind=kind, inverse_consistency=False))
    assert len(toy.asked) == stages
    assert found.deformable is None
    assert (found.affine is None) == (kind == "rigid")
    assert shift(found.final) == stages
    assert toy.asked[0]["fixed_mask"] is None


def test_the_backward_registration_is_made_on_its_own_at_2_mm_with_the_roles_exchanged() -> None:
    toy = ToyRegistrar()
    start = Transform.affine(np.array([[1, 0, 0, 7.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    found = align_exams(
        IMAGE, OTHER, lesion(), None, toy, RegistrationParameters(kind="affine", inverse_consistency=True), initial=start,
        from_space="ses-02", to_space="ses-01",
    )  # fmt: skip
    assert len(toy.asked) == 4
    back = toy.asked[2]
    assert back["fixed"].grid.axcodes == OTHER.grid.axcodes
    assert back["fixed"].grid.spacing_mm == pytest.approx((2, 2, 2))
    assert back["moving"].grid.axcodes == IMAGE.grid.axcodes
    assert toy.asked[2]["fixed_mask"] is None
    assert toy.asked[2]["moving_mask"] is not None
    assert (shift(found.affine), shift(found.backward)) == (9, -5)
    assert found.backward is not None
    assert (found.backward.from_space, found.backward.to_space) == ("ses-01", "ses-02")
    assert (found.final.from_space, found.final.to_space) == ("ses-02", "ses-01")


def test_sequences_of_an_exam_are_aligned_rigidly_by_mutual_information() -> None:
    toy = ToyRegistrar()
    found = align_sequences(IMAGE, OTHER, toy)
    assert (toy.asked[0]["kind"], toy.asked[0]["metric"]) == ("rigid", "mi")
    assert found.to_space == "reference"


def test_parameters_and_masks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ParameterError, match="wobbly"):
        RegistrationParameters(kind="wobbly")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="dilate_mm"):
        RegistrationParameters(dilate_mm=-1)
    with pytest.raises(GridMismatchError):
        align_exams(IMAGE, OTHER, np.zeros((3, 3, 3), bool), None, ToyRegistrar(), RegistrationParameters())
