"""What can be chosen about a synthetic cohort."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from regrowth.errors import ParameterError

__all__ = ["PhantomParameters"]


def _option(default: float | int, text: str, unit: str) -> Any:
    return field(default=default, metadata={"help": text, "unit": unit})


@dataclass(frozen=True)
class PhantomParameters:
    """Size, resolution and image quality of a synthetic cohort; every field carries its help text and unit.

    Raises
    ------
    ParameterError
        If a value is outside of what the scene can be built with.

    Examples
    --------
    >>> PhantomParameters(patients=2).spacing_mm
    1.0
    >>> PhantomParameters(spacing_mm=0.0)
    Traceback (most recent call last):
        ...
    regrowth.errors.ParameterError: spacing_mm is 0.0; it must lie between 0.5 and 6
    """

    patients: int = _option(5, "number of patients", "1")
    seed: int = _option(0, "seed of the cohort; patient k is drawn from (seed, k) alone", "1")
    spacing_mm: float = _option(1.0, "isotropic voxel spacing of the images", "mm")
    lattice_mm: float = _option(2.0, "spacing of the lattice that deformations and lesions live on", "mm")
    thick_slices: float = _option(0.2, "share of patients whose follow-up T2w and FLAIR have thick slices (0 none, 1 all)", "1")
    slice_thickness_mm: float = _option(5.0, "thickness of these slices", "mm")
    noise: float = _option(0.02, "standard deviation of the Rician noise over the signal of white matter", "1")
    bias: float = _option(0.08, "root mean square of the logarithm of the bias field", "1")
    gain: float = _option(0.15, "standard deviation of the logarithm of the gain of an image", "1")
    anatomy_warp_mm: float = _option(4.0, "root mean square of the warp from patient to template", "mm")
    followup_warp_mm: float = _option(1.0, "root mean square of the smooth change between exams", "mm")
    head_rotation_deg: float = _option(6.0, "largest rotation of the head between exams about each axis", "deg")
    head_shift_mm: float = _option(6.0, "largest shift of the head between exams along each axis", "mm")
    sequence_rotation_deg: float = _option(1.0, "largest rotation between sequences of an exam", "deg")
    sequence_shift_mm: float = _option(1.0, "largest shift between sequences of an exam", "mm")
    landmarks: int = _option(200, "number of true landmark pairs of a patient", "1")

    def __post_init__(self) -> None:
        for name, low, high in (
            ("patients", 1, 100_000),
            ("seed", 0, 2**63),
            ("spacing_mm", 0.5, 6),
            ("lattice_mm", 1, 4),
            ("thick_slices", 0, 1),
            ("slice_thickness_mm", 1, 20),
            ("noise", 0, 0.5),
            ("bias", 0, 0.5),
            ("gain", 0, 1),
            ("anatomy_warp_mm", 0, 6),
            ("followup_warp_mm", 0, 3),
            ("head_rotation_deg", 0, 20),
            ("head_shift_mm", 0, 30),
            ("sequence_rotation_deg", 0, 10),
            ("sequence_shift_mm", 0, 10),
            ("landmarks", 1, 10_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(f"{name} is {value}; it must lie between {low} and {high}")

    def has_thick_slices(self, index: int) -> bool:
        """Tell whether patient `index` is one of the share with thick slices; it never depends on how many there are."""
        share = float(self.thick_slices)
        return int((index + 1) * share + 1e-9) > int(index * share + 1e-9)

    def as_dict(self) -> dict[str, float | int]:
        """Give the values by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
