"""In which stages images are aligned: sequences of one exam rigidly, two exams by rigid, affine and deformable."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from regrowth.errors import ParameterError
from regrowth.registration.masks import cost_mask
from regrowth.registration.registrar import Kind, Registrar
from regrowth.registration.working import working_image, working_mask
from regrowth.space import Image, Transform

__all__ = ["ExamAlignment", "RegistrationParameters", "align_exams", "align_sequences"]

_BACKWARD_MM = 2.0


@dataclass(frozen=True)
class RegistrationParameters:
    """How exams are aligned, and from where on a result is flagged. Flags are shown, they never hide a result."""

    engine: Literal["greedy", "sitk", "ants", "elastix"] = field(
        default="greedy",
        metadata={"help": "registration engine; ants and elastix need the extras “ants” and “elastix”", "unit": ""},
    )
    kind: Kind = field(default="deformable", metadata={"help": "last stage: rigid, affine or deformable", "unit": ""})
    dilate_mm: float = field(default=2.0, metadata={"help": "margin around the lesion that is left out", "unit": "mm"})
    inverse_consistency: bool = field(
        default=True, metadata={"help": "register backward as well, at 2 mm, and report the disagreement", "unit": ""}
    )
    seed: int = field(default=0, metadata={"help": "seed of engines that draw random samples", "unit": ""})
    flag_ncc_after: float = field(default=0.5, metadata={"help": "flag a correlation below this", "unit": "1"})
    flag_ncc_loss: float = field(default=0.02, metadata={"help": "flag a correlation that falls by more", "unit": "1"})
    flag_mask_dice: float = field(default=0.9, metadata={"help": "flag an overlap of the masks below this", "unit": "1"})
    flag_folded_share: float = field(default=1e-4, metadata={"help": "flag a larger share of folded voxels", "unit": "1"})
    flag_logjac: float = field(
        default=0.7,
        metadata={"help": "flag a 1st or 99th percentile of |log Jacobian| beyond this (0.7: factor 2)", "unit": "1"},
    )
    flag_inverse_mm: float = field(default=2.0, metadata={"help": "flag a larger mean inverse consistency error", "unit": "mm"})
    flag_landmark_mm: float = field(default=4.0, metadata={"help": "flag a larger mean landmark error", "unit": "mm"})

    def __post_init__(self) -> None:
        if self.kind not in ("rigid", "affine", "deformable"):
            raise ParameterError(f"registration kind {self.kind!r} is not offered; use 'rigid', 'affine' or 'deformable'")
        if not 0 <= self.dilate_mm < 50:
            raise ParameterError(f"dilate_mm is {self.dilate_mm}; it must be at least 0 and below 50")


@dataclass(frozen=True)
class ExamAlignment:
    """Transforms between two exams, every one ``from-moving_to-fixed`` and complete in itself.

    Parameters
    ----------
    rigid
        The head moved, nothing else.
    affine
        Also scaled and sheared; None when the registration stopped before.
    deformable
        Also the tissue moved; None when the registration stopped before.
    backward
        ``from-fixed_to-moving`` of the last stage, computed independently with the roles exchanged; None if not asked for.
    """

    rigid: Transform
    affine: Transform | None = None
    deformable: Transform | None = None
    backward: Transform | None = None

    @property
    def final(self) -> Transform:
        """The transform of the last stage that was done."""
        return self.deformable or self.affine or self.rigid


def align_sequences(
    reference: Image,
    sequence: Image,
    registrar: Registrar,
    *,
    reference_mask: np.ndarray | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Transform:
    """Align two sequences of one exam: rigid, by mutual information, since their contrasts differ.

    The same tissue lies in both, so that the lesion stays in.

    Parameters
    ----------
    reference
        (X, Y, Z) image that stays, such as the contrast-enhanced T1w.
    sequence
        (X, Y, Z) image to align, on any grid; thick slices are fine.
    registrar
        Engine that offers ``rigid`` with ``mi``.
    reference_mask
        (X, Y, Z) bool on the grid of `reference`: where to look; everywhere when left out.
    seed, threads
        See `Registrar.register`.

    Returns
    -------
    Transform
        ``from-sequence_to-reference``.
    """
    found = registrar.register(reference, sequence, "rigid", metric="mi", fixed_mask=reference_mask, seed=seed, threads=threads)
    return replace(found, from_space="sequence", to_space="reference")


def align_exams(
    fixed: Image,
    moving: Image,
    fixed_lesion: np.ndarray | None,
    moving_lesion: np.ndarray | None,
    registrar: Registrar,
    parameters: RegistrationParameters,
    *,
    initial: Transform | None = None,
    threads: int = 1,
    from_space: str = "moving",
    to_space: str = "fixed",
) -> ExamAlignment:
    """Align two exams of a patient; the lesions of both are left out in every stage.

    Parameters
    ----------
    fixed, moving
        (X, Y, Z) images of one contrast, each on its own grid.
    fixed_lesion, moving_lesion
        (X, Y, Z) bool on these grids: tumour, oedema and cavity; None where unknown.
    registrar
        Engine.
    parameters
        Last stage, margin, seed; the engine named there is the caller's to choose.
    initial
        Rigid ``from-moving_to-fixed`` to start from.
    threads
        Threads of the engine.
    from_space, to_space
        Names of the two spaces in the transforms.

    Returns
    -------
    ExamAlignment
        Up to the stage that the parameters name. The affine stage starts from the rigid one and the deformable from the
        affine one.

    Raises
    ------
    GridMismatchError
        If a lesion does not lie on the grid of its image.
    EngineFailedError
        If the engine fails.
    """
    fixed_mask = None if fixed_lesion is None else cost_mask(fixed_lesion, fixed.grid, parameters.dilate_mm)
    moving_mask = None if moving_lesion is None else cost_mask(moving_lesion, moving.grid, parameters.dilate_mm)
    forward = _stages(fixed, moving, fixed_mask, moving_mask, registrar, parameters, initial, threads)
    named = [replace(t, from_space=from_space, to_space=to_space) for t in forward]
    backward = None
    if parameters.inverse_consistency:
        # Only the start is shared: a backward run from the forward result would agree with it by construction.
        back = None if initial is None else initial.inverse()
        # At 2 mm it costs a tenth of the forward run at 1 mm, and disagreement is a matter of millimetres.
        ends = [(working_image(i, _BACKWARD_MM), i, m) for i, m in ((moving, moving_mask), (fixed, fixed_mask))]
        (a, mask_a), (b, mask_b) = [(w, working_mask(m, i.grid, w.grid)) for w, i, m in ends]
        last = _stages(a, b, mask_a, mask_b, registrar, parameters, back, threads)[-1]
        backward = replace(last, from_space=to_space, to_space=from_space)
    affine, deformable = named[1] if len(named) > 1 else None, named[2] if len(named) > 2 else None
    return ExamAlignment(named[0], affine, deformable, backward)


def _stages(
    fixed: Image,
    moving: Image,
    fixed_mask: np.ndarray | None,
    moving_mask: np.ndarray | None,
    registrar: Registrar,
    parameters: RegistrationParameters,
    initial: Transform | None,
    threads: int,
) -> list[Transform]:
    kinds: list[Kind] = ["rigid", "affine", "deformable"]
    out: list[Transform] = []
    for kind in kinds[: kinds.index(parameters.kind) + 1]:
        initial = registrar.register(
            fixed,
            moving,
            kind,
            fixed_mask=fixed_mask,
            moving_mask=moving_mask,
            initial=initial,
            seed=parameters.seed,
            threads=threads,
        )
        out.append(initial)
    return out
