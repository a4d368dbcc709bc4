"""Registration by ANTs, the reference that greedy is compared with (extra ``[ants]``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec

import numpy as np

from regrowth.engines.child import run_child
from regrowth.engines.pair import WorkingPair
from regrowth.errors import EngineNotInstalledError, ParameterError
from regrowth.registration.registrar import Kind, Metric
from regrowth.space import Image, Transform

__all__ = ["AntsRegistrar", "AntsSettings"]

_CHILD = "regrowth.engines._ants_child"


@dataclass(frozen=True)
class AntsSettings:
    """How ANTs is set."""

    linear_mm: float = field(default=2.0, metadata={"help": "finest voxels of the rigid and affine stages", "unit": "mm"})
    deformable_mm: float = field(default=0.9, metadata={"help": "finest voxels of the deformable stage", "unit": "mm"})
    syn_metric: str = field(default="mattes", metadata={"help": "similarity of SyN with metric 'ncc': 'mattes' or 'CC' (slow)"})
    syn_radius: int = field(default=32, metadata={"help": "bins of mattes, or radius of CC in voxels"})
    iterations: tuple[int, ...] = field(default=(100, 70, 20), metadata={"help": "iterations of SyN, coarse to fine"})
    bias_correction: bool = field(default=True, metadata={"help": "N4 before the deformable stage"})


@dataclass(frozen=True)
class AntsRegistrar:
    """Rigid, affine and SyN registration by ANTs (see `Registrar`).

    antspyx 0.6.3 swallows its ``random_seed`` without effect; equal bits need the seed in the environment of the process
    and one thread in the linear stages. Both are done here.

    References
    ----------
    .. [1] Avants et al., NeuroImage 54(3) (2011), doi:10.1016/j.neuroimage.2010.09.025.
    """

    settings: AntsSettings = AntsSettings()
    name: str = "ants"
    citation: str = "Avants et al. 2011, A reproducible evaluation of ANTs, doi:10.1016/j.neuroimage.2010.09.025"

    @property
    def version(self) -> str:
        """Version of the installed package.

        Raises
        ------
        EngineNotInstalledError
            If antspyx is missing.
        """
        if find_spec("ants") is None:
            raise EngineNotInstalledError("ANTs is not installed: pip install 'regrowth[ants]'")
        return metadata.version("antspyx")

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
        _ = self.version
        if metric not in ("ncc", "mi"):
            raise ParameterError(f"similarity {metric!r} is not offered; use 'ncc' or 'mi'")
        finest = s.deformable_mm if kind == "deformable" else s.linear_mm
        pair = WorkingPair.prepare(fixed, moving, kind, fixed_mask, moving_mask, initial, finest)
        environment = {"ANTS_RANDOM_SEED": str(seed + 1)}
        if kind == "deformable":
            syn = ("mattes", 32) if metric == "mi" else (s.syn_metric, s.syn_radius)
            arguments = {
                "type_of_transform": "SyNOnly",
                "syn_metric": syn[0],
                "syn_sampling": syn[1],
                "reg_iterations": list(s.iterations),
            }
            options = {"kind": kind, "arguments": arguments, "bias_correction": s.bias_correction}
            result = run_child(_CHILD, pair.arrays(), options, threads=threads, environment=environment)
            return pair.deformed(result["field"])
        arrays = pair.arrays()
        for stage in ("Rigid", "Affine") if kind == "affine" and initial is None else (kind.capitalize(),):
            options = {"kind": kind, "arguments": {"type_of_transform": stage}, "bias_correction": False}
            arrays["step0_matrix"] = run_child(_CHILD, arrays, options, threads=1, environment=environment)["matrix"]
        return pair.linear(arrays["step0_matrix"])
