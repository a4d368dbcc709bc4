"""What every source of a region map offers, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np

from regrowth.anatomy.regions import RegionMap
from regrowth.errors import GridMismatchError
from regrowth.space import Image, Transform

__all__ = ["Method", "Parcellation", "Parcellator"]

Method = Literal["template", "labelmap", "synthseg"]


@dataclass(frozen=True, eq=False)
class Parcellation:
    """The regions of a patient's brain and where they come from.

    Parameters
    ----------
    regions
        On the grid of the patient's image.
    method
        ``template``, ``labelmap`` or ``synthseg``.
    is_fallback
        Whether a dedicated tool (SynthSeg, FreeSurfer, FastSurfer) would do better.
    reason
        Why and how, in words.
    quality
        Named figures of the checks that were passed.
    to_template
        ``from-image_to-template``: moves the patient's image onto the grid of the template; None where no template took
        part.
    labels
        (X, Y, Z) the FreeSurfer ids that the regions were made from, on the same grid; None where the source has none.
    """

    regions: RegionMap
    method: Method
    is_fallback: bool
    reason: str
    quality: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    to_template: Transform | None = None
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "quality", MappingProxyType(dict(self.quality)))
        if self.labels is not None and self.labels.shape != self.regions.grid.shape:
            raise GridMismatchError(
                f"labels of shape {self.labels.shape} do not fit the region map of shape {self.regions.grid.shape}"
            )


class Parcellator(Protocol):
    """A source of region maps.

    Attributes
    ----------
    name
        Short name, as users choose it.
    version
        Version of the source; part of what makes a result up to date.
    citation
        What to cite, one line with a DOI.
    """

    # Read-only, so that frozen dataclasses may be parcellators.
    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def citation(self) -> str: ...  # noqa: D102

    def parcellate(
        self,
        image: Image,
        *,
        lesion: np.ndarray | None = None,
        brain: np.ndarray | None = None,
        threads: int = 1,
    ) -> Parcellation:
        """Find the regions.

        Parameters
        ----------
        image
            (X, Y, Z) T1-weighted image, with or without contrast agent and skull.
        lesion
            (X, Y, Z) bool on its grid: tumour, oedema and cavity, whose voxels say nothing about the healthy brain.
        brain
            (X, Y, Z) bool on its grid.
        threads
            Threads that may be used.

        Returns
        -------
        Parcellation
            On the grid of `image`.

        Raises
        ------
        InputError
            If an array does not fit, or the labels are not understood.
        EngineFailedError
            If no trustworthy result came out; with what to do.
        """
        ...
