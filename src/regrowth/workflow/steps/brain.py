"""Which voxels of an exam are brain: a given mask, the data when skull-stripped, else a fallback that is named as such."""

from __future__ import annotations

import numpy as np

from regrowth.clinical import Patient
from regrowth.engines.choice import registrar
from regrowth.errors import GridMismatchError
from regrowth.io.nifti import read_image, write_image
from regrowth.space import Image, require_same_grid
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study, registration_settings, space_of

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    jobs: list[Job | Skip] = []
    for session in patient.sessions:
        inputs = {"reference": session.images[space_of(session)]}
        if session.brain_mask is not None:
            inputs["given"] = session.brain_mask
        jobs.append(
            Job(
                "brain",
                patient.label,
                session.label,
                inputs=inputs,
                outputs={"mask": study.brain_mask(patient, session)},
                settings=registration_settings(study, "engine"),
            )
        )
    return jobs


def _compute(task: Task) -> None:
    image = read_image(task.input("reference"))
    given = task.given("given")
    if given is not None:
        mask = read_image(given)
        try:
            require_same_grid(mask.grid, image.grid, "brain mask and image", tolerance_mm=0.1)
        except GridMismatchError as error:
            raise GridMismatchError(f"{given}: does not lie on the grid of {task.input('reference').name}: {error}") from error
        data = mask.data > 0.5
        task.describe("mask", Method="made elsewhere (--derivatives)", IsFallback=False, Reason="")
    else:
        from regrowth.anatomy.brain import brain_mask

        found = brain_mask(image, registrar(task.job.settings["engine"]))
        data = found.mask
        task.describe("mask", Method=found.method, IsFallback=found.is_fallback, Reason=found.reason)
        task.log.info("brain mask by %s: %d voxels", found.method, data.sum())
    write_image(Image(data.astype(np.uint8), image.grid, "1"), task.outputs["mask"], np.uint8)
    task.describe("mask", Type="Brain", SpatialReference=task.input("reference").name)


STEP = Step("brain", 1, "find the brain", _plan, _compute)
