"""The sequences of an exam on one grid: each rigidly onto the reference image, resampled once."""

from __future__ import annotations

from dataclasses import replace

from regrowth.anatomy import is_skull_stripped
from regrowth.clinical import Patient
from regrowth.engines.choice import registrar
from regrowth.io.nifti import read_image, write_image
from regrowth.io.tables import write_tsv
from regrowth.io.transforms import write_transform
from regrowth.registration import align_sequences, registration_quality
from regrowth.registration.working import foreground
from regrowth.space import resample_image
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study, registration_settings, space_of

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    jobs: list[Job | Skip] = []
    for session in patient.sessions:
        reference = space_of(session)
        others = [s for s in session.images if s != reference]
        if not others:
            reason = f"ses-{session.label} has one sequence only ({reference})"
            jobs.append(Skip("coregister", patient.label, session.label, reason))
            continue
        outputs = {"quality": study.quality(patient, session)}
        for sequence in others:
            outputs[sequence] = study.aligned(patient, session, sequence)
            outputs[f"{sequence} transform"] = study.path(
                patient, session, "xfm", ".txt", from_=sequence, to=reference, mode="image"
            )
        jobs.append(
            Job(
                "coregister",
                patient.label,
                session.label,
                inputs=dict(session.images),
                outputs=outputs,
                settings={"reference": reference, **registration_settings(study, "engine", "seed")},
            )
        )
    return jobs


def _compute(task: Task) -> None:
    settings = task.job.settings
    name = str(settings["reference"])
    reference, engine = read_image(task.input(name)), registrar(settings["engine"])
    rows, stripped = [], is_skull_stripped(reference)
    for sequence in [s for s in task.job.inputs if s != name]:
        image = read_image(task.input(sequence))
        found = align_sequences(reference, image, engine, seed=int(str(settings["seed"])), threads=task.threads)
        transform = replace(found, from_space=sequence, to_space=name)
        quality = registration_quality(
            reference, image, transform, foreground(reference.data), foreground(image.data), parameters=None
        )
        # Contrasts differ within an exam, so that a low or falling correlation says nothing there.
        quality = replace(quality, flags=tuple(f for f in quality.flags if "ncc" not in f[0]))
        rows.append(
            {
                "participant_id": f"sub-{task.job.participant}",
                "session_id": f"ses-{task.job.session}",
                "moving": sequence,
                "fixed": name,
                "stage": "within exam",
                **quality.as_row(),
            }
        )
        task.log.info("%s to %s: mutual information %.3f to %.3f", sequence, name, quality.mi_before, quality.mi_after)
        write_image(resample_image(image, reference.grid, transform, order=3), task.outputs[sequence])
        write_transform(transform, task.outputs[f"{sequence} transform"])
        facts = {"SpatialReference": task.input(name).name, "Engine": engine.name, "EngineVersion": engine.version}
        task.describe(sequence, **facts, SkullStripped=stripped, Interpolation="cubic B-spline")
        task.describe(f"{sequence} transform", **facts, Direction=f"moves an image from {sequence} onto the grid of {name}")
    write_tsv(rows, task.outputs["quality"])


STEP = Step("coregister", 1, "align the sequences of an exam rigidly with its reference image", _plan, _compute)
