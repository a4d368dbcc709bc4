"""Registration by SimpleITK: always there, slower or less accurate than greedy, and the engine for two contrasts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import metadata

import numpy as np

from regrowth.engines.child import run_child
from regrowth.engines.pair import WorkingPair
from regrowth.errors import ParameterError
from regrowth.registration.registrar import Kind, Metric
from regrowth.space import Image, Transform, resample_image, resample_mask

__all__ = ["SitkRegistrar", "SitkSettings"]

_CHILD = "regrowth.engines._sitk_child"


@dataclass(frozen=True)
class SitkSettings:
    """How SimpleITK is set."""

    linear_mm: float = field(default=2.0, metadata={"help": "finest voxels of the rigid and affine stages", "unit": "mm"})
    sampling: float = field(default=0.5, metadata={"help": "share of the voxels looked at on the finest level", "unit": "1"})
    deformable_mm: float = field(default=0.9, metadata={"help": "finest voxels of the deformable stage", "unit": "mm"})
    rounds: tuple[int, int, int] = field(
        default=(4, 4, 2), metadata={"help": "rounds, coarse to fine, between which the masks are warped anew"}
    )
    iterations: int = field(default=15, metadata={"help": "iterations of the demons in each round"})
    window_mm: float = field(
        default=10.0, metadata={"help": "window in which brightness and contrast are evened", "unit": "mm"}
    )
    sigma_voxels: float = field(default=1.5, metadata={"help": "smoothing of the field after each iteration", "unit": "voxel"})


@dataclass(frozen=True)
class SitkRegistrar:
    """Rigid and affine by Mattes mutual information, deformable by diffeomorphic demons (see `Registrar`).

    The linear stages use mutual information whatever `metric` says, and one thread, because the order in which threads
    add to ITK's joint histogram varies. The demons compare intensities, so that they take one contrast only.

    References
    ----------
    .. [1] Lowekamp et al., Front Neuroinform 7 (2013), doi:10.3389/fninf.2013.00045.
    .. [2] Mattes et al., IEEE Trans Med Imaging 22(1) (2003), doi:10.1109/TMI.2003.809072.
    .. [3] Vercauteren et al., NeuroImage 45 (2009), doi:10.1016/j.neuroimage.2008.10.040.
    """

    settings: SitkSettings = SitkSettings()
    name: str = "sitk"
    citation: str = "Lowekamp et al. 2013, The design of SimpleITK, doi:10.3389/fninf.2013.00045"

    @property
    def version(self) -> str:
        """Version of the installed package."""
        return metadata.version("SimpleITK")

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
        """Find the transform that moves `moving` onto `fixed` (see `Registrar.register`)."""
        s = self.settings
        finest = s.deformable_mm if kind == "deformable" else s.linear_mm
        pair = WorkingPair.prepare(fixed, moving, kind, fixed_mask, moving_mask, initial, finest)
        if kind == "deformable":
            if metric != "ncc":
                raise ParameterError("the demons of SimpleITK compare intensities; for two contrasts use the engine 'ants'")
            options = {"kind": kind, "rounds": s.rounds, "iterations": s.iterations, "sigma": s.sigma_voxels}
            options["window_mm"] = s.window_mm
            return pair.deformed(run_child(_CHILD, _moved(pair).arrays(), options, threads=threads)["field"])
        if metric not in ("ncc", "mi"):
            raise ParameterError(f"similarity {metric!r} is not offered; use 'ncc' or 'mi'")
        kinds = ["rigid", "affine"] if kind == "affine" and initial is None else [kind]
        options = {"kind": kind, "kinds": kinds, "sampling": s.sampling, "seed": seed + 1}
        return pair.linear(run_child(_CHILD, pair.arrays(), options, threads=1)["matrix"])


def _moved(pair: WorkingPair) -> WorkingPair:
    """Bring the moving image onto the fixed grid by the initial transform, from which the demons start."""
    grid = pair.fixed.grid
    mask = pair.moving_mask
    if mask is not None:
        mask = ~resample_mask(~mask, pair.moving.grid, grid, pair.initial)
    moving = resample_image(pair.moving, grid, pair.initial, order=1)
    return replace(pair, moving=moving, moving_mask=mask, initial=Transform())
