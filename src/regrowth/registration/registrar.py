"""What every registration engine offers."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from regrowth.space import Image, Transform

__all__ = ["Kind", "Registrar"]

Kind = Literal["rigid", "affine", "deformable"]


class Registrar(Protocol):
    """An engine that aligns one image with another.

    Attributes
    ----------
    name
        Short name, as users choose it.
    version
        Version of the engine; part of what makes a result up to date.
    citation
        What to cite, one line with a DOI.
    """

    name: str
    version: str
    citation: str

    def register(
        self,
        fixed: Image,
        moving: Image,
        kind: Kind,
        *,
        fixed_mask: np.ndarray | None = None,
        moving_mask: np.ndarray | None = None,
        initial: Transform | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Transform:
        """Find the transform that moves `moving` onto the grid of `fixed`.

        Parameters
        ----------
        fixed, moving
            (X, Y, Z) images, each on its own grid.
        kind
            ``rigid`` and ``affine`` give one matrix; ``deformable`` refines `initial` and gives matrix and field.
        fixed_mask, moving_mask
            bool on the grid of each image: voxels that the similarity may look at. Lesions are left out of it; the
            outside of the brain is not, because its border is what holds the alignment.
        initial
            Where to start, ``from-moving_to-fixed``; without it from the centres of mass (rigid) or the identity.
        seed
            Makes the result repeatable.
        threads
            Threads that the engine may use.

        Returns
        -------
        Transform
            ``from-moving_to-fixed``; it contains `initial`.

        Raises
        ------
        EngineFailedError
            With the end of the engine's log.
        """
        ...
