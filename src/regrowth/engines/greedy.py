"""Registration by greedy, the default engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata

import numpy as np

from regrowth.engines.child import run_child
from regrowth.engines.pair import WorkingPair
from regrowth.engines.sitk import SitkRegistrar
from regrowth.errors import EngineNotInstalledError, ParameterError
from regrowth.registration.registrar import Kind, Metric
from regrowth.space import Image, Transform

__all__ = ["GreedyRegistrar", "GreedySettings"]

_CHILD = "regrowth.engines._greedy_child"


@dataclass(frozen=True)
class GreedySettings:
    """How greedy is set; the defaults were chosen on phantoms with a known answer (`benchmarks/README.md`)."""

    linear_ncc_radius: int = field(
        default=1, metadata={"help": "radius of the window of the local correlation, linear stages", "unit": "voxel"}
    )
    ncc_radius: int = field(default=2, metadata={"help": "the same, deformable stage", "unit": "voxel"})
    linear_mm: float = field(default=3.0, metadata={"help": "finest voxels of the rigid and affine stages", "unit": "mm"})
    linear_iterations: str = field(default="60x40x20", metadata={"help": "iterations, coarse to fine, of the linear stages"})
    deformable_mm: float = field(default=0.9, metadata={"help": "finest voxels of the deformable stage", "unit": "mm"})
    deformable_iterations: str = field(
        default="100x50x10", metadata={"help": "iterations, coarse to fine, of the deformable stage"}
    )
    update_sigma_voxels: float = field(default=3.0, metadata={"help": "smoothing of each update", "unit": "voxel"})
    total_sigma_voxels: float = field(default=1.0, metadata={"help": "smoothing of the whole field", "unit": "voxel"})


@dataclass(frozen=True)
class GreedyRegistrar:
    """Rigid, affine and deformable registration by greedy, with local correlation (see `Registrar`).

    Noise and jitter are off and the linear stages use one thread (with two the last bits of their matrix varied), so that
    equal input gives equal bits at any number of threads. Two contrasts (``mi``, rigid
    and affine) go to SimpleITK: the mutual information of greedy 1.4 did not leave its start on phantoms.

    References
    ----------
    .. [1] Yushkevich et al., Alzheimers Dement 12(7) (2016), doi:10.1016/j.jalz.2016.06.205.
    """

    settings: GreedySettings = GreedySettings()
    name: str = "greedy"
    citation: str = (
        "Yushkevich et al. 2016, Fast automatic segmentation of hippocampal subfields, doi:10.1016/j.jalz.2016.06.205"
    )

    @property
    def version(self) -> str:
        """Versions of greedy and of SimpleITK, which does the mutual information."""
        try:
            return f"{metadata.version('picsl-greedy')} (SimpleITK {metadata.version('SimpleITK')})"
        except metadata.PackageNotFoundError as error:
            raise EngineNotInstalledError("greedy is not installed: pip install picsl-greedy") from error

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
        if metric == "mi" and kind != "deformable":
            return SitkRegistrar().register(
                fixed,
                moving,
                kind,
                metric=metric,
                fixed_mask=fixed_mask,
                moving_mask=moving_mask,
                initial=initial,
                seed=seed,
                threads=threads,
            )
        if metric != "ncc":
            raise ParameterError("greedy compares images of one contrast ('ncc'); for two contrasts use the engine 'ants'")
        finest = s.deformable_mm if kind == "deformable" else s.linear_mm
        pair = WorkingPair.prepare(fixed, moving, kind, fixed_mask, moving_mask, initial, finest)
        radius = s.ncc_radius if kind == "deformable" else s.linear_ncc_radius
        count = max(int(threads), 1) if kind == "deformable" else 1
        common = f"-m NCC {radius}x{radius}x{radius} -threads {count} -seed {seed + 1} -noise 0 -V 1"
        if kind == "deformable":
            smooth = f"-s {s.update_sigma_voxels:g}vox {s.total_sigma_voxels:g}vox"
            command = f"{common} -n {s.deformable_iterations} {smooth} -wp 0"
            result = run_child(_CHILD, pair.arrays(), {"command": command, "linear": False}, threads=threads)
            return pair.deformed(result["field"])
        # The twelve parameters of an affine map are found more surely from a rigid start.
        freedoms = {"rigid": (6,), "affine": (6, 12)}[kind]
        arrays = pair.arrays()
        for freedom in freedoms if initial is None else freedoms[-1:]:
            command = f"{common} -a -dof {freedom} -n {s.linear_iterations} -jitter 0"
            arrays["step0_matrix"] = run_child(_CHILD, arrays, {"command": command, "linear": True})["matrix"]
        return pair.linear(arrays["step0_matrix"])
