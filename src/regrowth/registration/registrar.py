"""What every registration engine offers."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from regrowth.space import Image, Transform

__all__ = ["Kind", "Metric", "Registrar"]

Kind = Literal["rigid", "affine", "deformable"]
Metric = Literal["ncc", "mi"]


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

    # Read-only, so that frozen dataclasses may be registrars.
    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def citation(self) -> str: ...  # noqa: D102

    def register(
        self,
        fixed: Image,
        moving: Image,
        kind: Kind,
        *,
        metric: Metric = "ncc",
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
        metric
            ``ncc`` for two images of one contrast, ``mi`` (mutual information) for two contrasts. An engine that has
            no such similarity for `kind` refuses.
        fixed_mask, moving_mask
            bool on the grid of each image: voxels that the similarity may look at. Lesions are left out of it; the
            outside of the brain is not, because its border is what holds the alignment.
        initial
            Where to start, ``from-moving_to-fixed``. Without it `rigid` and `affine` start from the best of header,
            image centres and centres of mass (`regrowth.registration.start.start_matrix`), `deformable` from the
            identity.
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
        ParameterError
            If the engine does not offer `kind` with `metric`, or `initial` does not suit `kind`.
        InputError
            If an image has no contrast or a mask leaves too little to look at.
        EngineFailedError
            With the end of the engine's log.
        """
        ...
