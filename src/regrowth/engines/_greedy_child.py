"""What greedy does in its child process."""

from __future__ import annotations

import numpy as np

from regrowth.engines.child import Arrays, Options, answer
from regrowth.engines.itk import field_from_itk, field_to_itk, image_to_itk


def _compute(arrays: Arrays, options: Options) -> Arrays:
    from picsl_greedy import Greedy3D

    # The L-BFGS of greedy writes to C's stdout, which is the log as well.
    names = {"F": "fixed", "M": "moving"}
    images = {short: image_to_itk(arrays[name], arrays[f"{name}_affine"]) for short, name in names.items()}
    command = [str(options["command"])]
    for short, name, flag in (("G", "fixed_mask", "-gm"), ("H", "moving_mask", "-mm")):
        if name in arrays:
            owner = name.split("_")[0]
            images[short] = image_to_itk(arrays[name].astype(np.float32), arrays[f"{owner}_affine"])
            command.append(f"{flag} {short}")
    linear = bool(options["linear"])
    steps = _write_steps(arrays)
    if steps:
        command.append(("-ia " if linear else "-it ") + " ".join(steps))
    greedy = Greedy3D()
    greedy.execute(" ".join([*command, "-i F M -o R"]), R=None, **images)
    if linear:
        return {"matrix": np.array(greedy["R"], np.float64)}
    return {"field": field_from_itk(greedy["R"])}


def _write_steps(arrays: Arrays) -> list[str]:
    """Write the steps of the initial transform as greedy reads them: matrices in RAS, fields as ITK images."""
    import SimpleITK as sitk

    names: list[str] = []
    while True:
        step = f"step{len(names)}"
        if f"{step}_matrix" in arrays:
            names.append(f"{step}.mat")
            np.savetxt(names[-1], arrays[f"{step}_matrix"], fmt="%.17g")
        elif f"{step}_field" in arrays:
            names.append(f"{step}.nii.gz")
            sitk.WriteImage(field_to_itk(arrays[f"{step}_field"], arrays[f"{step}_affine"]), names[-1])
        else:
            return names


if __name__ == "__main__":
    answer(_compute)
