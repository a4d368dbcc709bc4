"""What elastix does in its child process."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.engines.child import Arrays, Options, answer
from regrowth.engines.itk import matrix_from_itk, matrix_to_itk

__all__ = ["matrix_of", "start_text"]

_LPS = np.diag([-1.0, -1.0, 1.0])
_START = "start.txt"


def _compute(arrays: Arrays, options: Options) -> Arrays:
    fixed = _image(arrays["fixed"], arrays["fixed_affine"], np.float32)
    moving = _image(arrays["moving"], arrays["moving_affine"], np.float32)
    parameters = _itk().ParameterObject.New()
    parameters.AddParameterMap(options["parameters"])
    method = _itk().ElastixRegistrationMethod.New(fixed, moving)
    method.SetParameterObject(parameters)
    for name, give in (("fixed_mask", method.SetFixedMask), ("moving_mask", method.SetMovingMask)):
        if name in arrays:
            give(_image(arrays[name], arrays[f"{name.split('_')[0]}_affine"], np.uint8))
    start = arrays.get("step0_matrix", np.eye(4))
    if options["kind"] != "deformable":
        Path(_START).write_text(start_text(start), encoding="utf-8")
        method.SetInitialTransformParameterFileName(_START)
    method.SetNumberOfThreads(1)
    method.LogToConsoleOn()
    method.UpdateLargestPossibleRegion()
    found = method.GetTransformParameterObject()
    if options["kind"] == "deformable":
        return {"field": _field(moving, found)}
    last = found.GetParameterMap(found.GetNumberOfParameterMaps() - 1)
    # elastix takes a point through the start first, then through what it found.
    return {"matrix": matrix_of({k: list(v) for k, v in dict(last).items()}) @ start}


def _itk() -> Any:
    """ITK, which has no types and is there for few."""
    return import_module("itk")


def _image(data: np.ndarray, affine: np.ndarray, dtype: Any) -> Any:
    image = _itk().image_from_array(np.ascontiguousarray(np.asarray(data, dtype).transpose(2, 1, 0)))
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((_LPS @ affine[:3, 3]).tolist())
    image.SetDirection(_itk().matrix_from_array(np.ascontiguousarray(_LPS @ (affine[:3, :3] / spacing))))
    return image


def start_text(matrix: np.ndarray) -> str:
    """Write a (4, 4) matrix in RAS+ mm as a transform parameter file of elastix."""
    affine = matrix_to_itk(matrix)
    numbers = " ".join(f"{v:.17g}" for v in affine.GetParameters())
    return "\n".join(
        [
            '(Transform "AffineTransform")',
            "(NumberOfParameters 12)",
            f"(TransformParameters {numbers})",
            "(CenterOfRotationPoint 0 0 0)",
            '(InitialTransformParametersFileName "NoInitialTransform")',
            '(InitialTransformParameterFileName "NoInitialTransform")',
            '(HowToCombineTransforms "Compose")',
            "(FixedImageDimension 3)",
            "(MovingImageDimension 3)",
            "",
        ]
    )


def matrix_of(parameters: dict[str, list[str]]) -> np.ndarray:
    """Read the (4, 4) matrix in RAS+ mm of a linear transform that elastix found, without its start."""
    import SimpleITK as sitk

    numbers = [float(v) for v in parameters["TransformParameters"]]
    centre = [float(v) for v in parameters["CenterOfRotationPoint"]]
    if parameters["Transform"][0] == "EulerTransform":
        transform = sitk.Euler3DTransform()
        transform.SetComputeZYX(parameters.get("ComputeZYX", ["false"])[0] == "true")
    else:
        transform = sitk.AffineTransform(3)
    transform.SetCenter(centre)
    transform.SetParameters(numbers)
    return matrix_from_itk(transform)


def _field(moving: Any, found: Any) -> np.ndarray:
    field = _itk().transformix_deformation_field(moving, found)
    lps = np.asarray(_itk().array_from_image(field), np.float64).transpose(2, 1, 0, 3)
    return np.ascontiguousarray((lps @ _LPS).astype(np.float32))


if __name__ == "__main__":
    answer(_compute)
