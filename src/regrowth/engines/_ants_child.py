"""What ANTs does in its child process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from regrowth.engines.child import Arrays, Options, answer
from regrowth.engines.itk import field_from_itk, field_to_itk, matrix_from_itk, matrix_to_itk


def _compute(arrays: Arrays, options: Options) -> Arrays:
    import ants

    fixed = _image(arrays["fixed"], arrays["fixed_affine"])
    moving = _image(arrays["moving"], arrays["moving_affine"])
    masks = {
        argument: _image(arrays[f"{owner}_mask"], arrays[f"{owner}_affine"])
        for argument, owner in (("mask", "fixed"), ("moving_mask", "moving"))
        if f"{owner}_mask" in arrays
    }
    if options["bias_correction"]:
        fixed, moving = _even(fixed), _even(moving)
    result = ants.registration(
        fixed,
        moving,
        initial_transform=_write_steps(arrays),
        mask_all_stages=True,
        outprefix="ants_",
        verbose=True,
        **masks,
        **options["arguments"],
    )
    print(result["fwdtransforms"], flush=True)
    if options["kind"] == "deformable":
        return {"field": _field(result["fwdtransforms"])}
    return {"matrix": _matrix(result["fwdtransforms"])}


def _image(data: np.ndarray, affine: np.ndarray) -> Any:
    import ants

    lps = np.diag([-1.0, -1.0, 1.0])
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return ants.from_numpy(
        np.ascontiguousarray(data, np.float32),
        origin=(lps @ affine[:3, 3]).tolist(),
        spacing=spacing.tolist(),
        direction=lps @ (affine[:3, :3] / spacing),
    )


def _even(image: Any) -> Any:
    """Take the bias field out (N4): mutual information would follow it."""
    import ants

    tissue = ants.get_mask(image, cleanup=0)
    return ants.n4_bias_field_correction(image, mask=tissue, shrink_factor=4)


def _write_steps(arrays: Arrays) -> list[str]:
    """Write the initial transform; ANTs applies a list from its end, so that the first step comes last."""
    import SimpleITK as sitk

    names: list[str] = []
    while True:
        step = f"step{len(names)}"
        if f"{step}_matrix" in arrays:
            names.append(f"{step}.mat")
            sitk.WriteTransform(matrix_to_itk(arrays[f"{step}_matrix"]), names[-1])
        elif f"{step}_field" in arrays:
            names.append(f"{step}.nii.gz")
            sitk.WriteImage(field_to_itk(arrays[f"{step}_field"], arrays[f"{step}_affine"]), names[-1])
        else:
            return names[::-1]


def _field(files: list[str]) -> np.ndarray:
    """Take the field that ANTs added to the initial transform."""
    import SimpleITK as sitk

    own = [name for name in files if Path(name).name.startswith("ants_") and name.endswith("Warp.nii.gz")]
    return field_from_itk(sitk.ReadImage(own[0]))


def _matrix(files: list[str]) -> np.ndarray:
    """Take the whole linear transform; a point passes the list from its end, so matrices multiply in its order."""
    import SimpleITK as sitk

    matrix = np.eye(4)
    for name in files:
        matrix = matrix @ matrix_from_itk(sitk.ReadTransform(name))
    return matrix


if __name__ == "__main__":
    answer(_compute)
