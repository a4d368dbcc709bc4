"""What every registration engine does before and after its child process: check, prepare, send, compose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.engines.child import Arrays
from regrowth.errors import ParameterError
from regrowth.registration.registrar import Kind
from regrowth.registration.start import start_matrix
from regrowth.registration.working import working_image, working_mask
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform

__all__ = ["WorkingPair"]

_RIGID_TOLERANCE = 1e-4


@dataclass(frozen=True)
class WorkingPair:
    """Two images on their working grids, ready for an engine.

    Parameters
    ----------
    fixed, moving
        Working images (see `regrowth.registration.working.working_image`).
    fixed_mask, moving_mask
        Masks on their grids.
    initial
        Where the engine starts.
    grids
        Grids of the images that the user gave: fixed, moving.
    """

    fixed: Image
    moving: Image
    fixed_mask: np.ndarray | None
    moving_mask: np.ndarray | None
    initial: Transform
    grids: tuple[Grid, Grid]

    @classmethod
    def prepare(
        cls,
        fixed: Image,
        moving: Image,
        kind: Kind,
        fixed_mask: np.ndarray | None,
        moving_mask: np.ndarray | None,
        initial: Transform | None,
        finest_mm: float,
    ) -> WorkingPair:
        """Check what the user gave and bring it onto working grids (`finest_mm`: see `working_image`).

        Raises
        ------
        ParameterError
            If `kind` is unknown or `initial` does not suit it.
        InputError
            If an image or a mask is of no use.
        """
        if kind not in ("rigid", "affine", "deformable"):
            raise ParameterError(f"registration kind {kind!r} is not offered; use 'rigid', 'affine' or 'deformable'")
        if initial is not None:
            _check_initial(initial, kind)
        f, m = working_image(fixed, finest_mm), working_image(moving, finest_mm)
        f_mask = working_mask(fixed_mask, fixed.grid, f.grid)
        m_mask = working_mask(moving_mask, moving.grid, m.grid)
        if initial is None and kind != "deformable":
            initial = Transform.affine(start_matrix(f, m, f_mask, m_mask))
        return cls(f, m, f_mask, m_mask, initial or Transform(), (fixed.grid, moving.grid))

    def arrays(self) -> Arrays:
        """Give what the child process needs: images, affines, masks and the steps of the initial transform."""
        out: Arrays = {
            "fixed": self.fixed.data,
            "fixed_affine": self.fixed.grid.affine,
            "moving": self.moving.data,
            "moving_affine": self.moving.grid.affine,
        }
        if self.fixed_mask is not None:
            out["fixed_mask"] = self.fixed_mask
        if self.moving_mask is not None:
            out["moving_mask"] = self.moving_mask
        # greedy starts a linear stage from one matrix only.
        steps = (AffineMap(self.initial.matrix),) if self.initial.is_linear else self.initial.steps
        for i, step in enumerate(steps):
            if isinstance(step, AffineMap):
                out[f"step{i}_matrix"] = step.matrix
            else:
                out[f"step{i}_field"] = step.displacement_mm
                out[f"step{i}_affine"] = step.grid.affine
        return out

    def linear(self, matrix: np.ndarray) -> Transform:
        """Make the result of a linear registration; `matrix` (4, 4) contains the initial one."""
        return Transform((AffineMap(matrix),), fixed=self.grids[0], moving=self.grids[1])

    def deformed(self, displacement_mm: np.ndarray) -> Transform:
        """Make the result of a deformable registration: the field (X, Y, Z, 3), then the initial steps."""
        field = DisplacementMap(displacement_mm, self.fixed.grid)
        return Transform((field, *self.initial.steps), fixed=self.grids[0], moving=self.grids[1])


def _check_initial(initial: Transform, kind: Kind) -> None:
    if kind == "deformable":
        return
    if not initial.is_linear:
        raise ParameterError(f"a {kind} registration cannot start from a transform with a displacement field")
    part = initial.matrix[:3, :3]
    if kind == "rigid" and np.abs(part.T @ part - np.eye(3)).max() > _RIGID_TOLERANCE:
        raise ParameterError("a rigid registration cannot start from a transform that scales or shears; ask for 'affine'")
