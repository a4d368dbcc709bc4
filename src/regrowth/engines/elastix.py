"""Registration by elastix, which published recurrence-mapping workflows used (package itk-elastix)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.util import find_spec

import numpy as np

from regrowth.engines.child import run_child
from regrowth.engines.pair import WorkingPair
from regrowth.errors import EngineNotInstalledError, ParameterError
from regrowth.registration.registrar import Kind, Metric
from regrowth.space import Image, Transform, resample_image, resample_mask

__all__ = ["ElastixRegistrar", "ElastixSettings", "parameter_map"]

_CHILD = "regrowth.engines._elastix_child"
_METRICS = {"mi": "AdvancedMattesMutualInformation", "ncc": "AdvancedNormalizedCorrelation"}
_TRANSFORMS = {"rigid": "EulerTransform", "affine": "AffineTransform", "deformable": "BSplineTransform"}
_SCHEDULES = {
    "linear": "8 8 8 4 4 4 2 2 2 1 1 1",
    "deformable": "4 4 4 2 2 2 1 1 1",
}


@dataclass(frozen=True)
class ElastixSettings:
    """How elastix is set; the defaults are those of the workflows it is known for, on cubic voxels."""

    linear_mm: float = field(default=2.0, metadata={"help": "finest voxels of the rigid and affine stages", "unit": "mm"})
    linear_iterations: int = field(default=250, metadata={"help": "iterations per resolution of the linear stages"})
    deformable_mm: float = field(default=1.5, metadata={"help": "finest voxels of the deformable stage", "unit": "mm"})
    deformable_iterations: int = field(default=500, metadata={"help": "iterations per resolution of the deformable stage"})
    control_point_mm: float = field(default=30.0, metadata={"help": "distance between control points", "unit": "mm"})
    samples: int = field(default=2048, metadata={"help": "places looked at in each iteration"})
    bins: int = field(default=32, metadata={"help": "bins of the joint histogram"})


@dataclass(frozen=True)
class ElastixRegistrar:
    """Rigid, affine and B-spline registration by elastix (see `Registrar`).

    The samples are random. Their seed is set and one thread adds them up, so that equal input gives equal bits, but only
    without a fixed mask: with one, itk-elastix 0.25.4 draws other samples in every run (matrices differed by 0.04 mm).
    Outside of an image lies the lowest value of its working image (air), not the 0 HU of water that elastix would take.

    References
    ----------
    .. [1] Klein et al., IEEE Trans Med Imaging 29(1) (2010), doi:10.1109/TMI.2009.2035616.
    """

    settings: ElastixSettings = ElastixSettings()
    name: str = "elastix"
    citation: str = "Klein et al. 2010, elastix: a toolbox for intensity-based registration, doi:10.1109/TMI.2009.2035616"

    @property
    def version(self) -> str:
        """Version of the installed package.

        Raises
        ------
        EngineNotInstalledError
            If itk-elastix is missing.
        """
        if find_spec("itk") is None:
            raise EngineNotInstalledError("elastix is not installed (1.6 GB): pip install itk-elastix")
        try:
            return metadata.version("itk-elastix")
        except metadata.PackageNotFoundError as error:
            raise EngineNotInstalledError("ITK is there, but without elastix: pip install itk-elastix") from error

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
        if metric not in _METRICS:
            raise ParameterError(f"similarity {metric!r} is not offered; use 'ncc' or 'mi'")
        finest = s.deformable_mm if kind == "deformable" else s.linear_mm
        pair = WorkingPair.prepare(fixed, moving, kind, fixed_mask, moving_mask, initial, finest)
        if kind == "deformable":
            arrays = _moved(pair).arrays()
            options = {"kind": kind, "parameters": parameter_map(kind, metric, s, seed)}
            return pair.deformed(run_child(_CHILD, arrays, options, threads=1)["field"])
        arrays = pair.arrays()
        stages: tuple[Kind, ...] = ("rigid", "affine") if kind == "affine" and initial is None else (kind,)
        for stage in stages:
            options = {"kind": stage, "parameters": parameter_map(stage, metric, s, seed)}
            arrays["step0_matrix"] = run_child(_CHILD, arrays, options, threads=1)["matrix"]
        return pair.linear(arrays["step0_matrix"])


def parameter_map(kind: Kind, metric: Metric, settings: ElastixSettings, seed: int = 0) -> dict[str, list[str]]:
    """Give the parameters that elastix is called with, as it names them.

    Parameters
    ----------
    kind
        ``rigid`` (Euler), ``affine`` or ``deformable`` (cubic B-spline).
    metric
        ``mi`` or ``ncc``.
    settings
        Numbers.
    seed
        From 0; elastix takes 0 for "no seed".

    Returns
    -------
    dict
        Name to list of values.
    """
    smooth = kind == "deformable"
    schedule = _SCHEDULES["deformable" if smooth else "linear"].split()
    out = {
        "FixedInternalImagePixelType": "float",
        "MovingInternalImagePixelType": "float",
        "UseDirectionCosines": "true",
        "Registration": "MultiResolutionRegistration",
        "Interpolator": "BSplineInterpolator",
        "BSplineInterpolationOrder": "1",
        "ResampleInterpolator": "FinalBSplineInterpolator",
        "FinalBSplineInterpolationOrder": "3",
        "Resampler": "DefaultResampler",
        "DefaultPixelValue": "0",  # of the working image: air
        "FixedImagePyramid": "FixedSmoothingImagePyramid" if smooth else "FixedRecursiveImagePyramid",
        "MovingImagePyramid": "MovingSmoothingImagePyramid" if smooth else "MovingRecursiveImagePyramid",
        "NumberOfResolutions": str(len(schedule) // 3),
        "Optimizer": "AdaptiveStochasticGradientDescent",
        "Transform": _TRANSFORMS[kind],
        "Metric": _METRICS[metric],
        "NumberOfHistogramBins": str(settings.bins),
        "MaximumNumberOfIterations": str(settings.deformable_iterations if smooth else settings.linear_iterations),
        "ImageSampler": "RandomCoordinate" if smooth else "Random",
        "NumberOfSpatialSamples": str(settings.samples),
        "NewSamplesEveryIteration": "true",
        "CheckNumberOfSamples": "true",
        "RequiredRatioOfValidSamples": "0.10" if kind == "affine" else "0.05",
        "ErodeMask": "true",
        "AutomaticScalesEstimation": "true",
        "AutomaticTransformInitialization": "false",
        "HowToCombineTransforms": "Compose",
        "RandomSeed": str(seed + 1),
        "WriteResultImage": "false",
        "ResultImagePixelType": "float",
        "ResultImageFormat": "nii",
    }
    lists = {name: [value] for name, value in out.items()}
    lists["ImagePyramidSchedule"] = schedule
    if smooth:
        lists["FinalGridSpacingInPhysicalUnits"] = [f"{settings.control_point_mm:g}"]
        lists["GridSpacingSchedule"] = ["4", "2", "1"]
    return lists


def _moved(pair: WorkingPair) -> WorkingPair:
    """Bring the moving image onto the fixed grid by the initial transform, from which the B-spline starts."""
    grid = pair.fixed.grid
    mask = pair.moving_mask
    if mask is not None:
        mask = ~resample_mask(~mask, pair.moving.grid, grid, pair.initial)
    moving = resample_image(pair.moving, grid, pair.initial, order=1)
    return replace(pair, moving=moving, moving_mask=mask, initial=Transform())
