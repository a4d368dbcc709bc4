"""A follow-up exam on the grid of the baseline exam: rigid, affine, deformable, with the quality of each."""

from __future__ import annotations

import numpy as np

from regrowth.anatomy import is_skull_stripped
from regrowth.clinical import Patient
from regrowth.engines.choice import registrar
from regrowth.errors import BidsError
from regrowth.io.nifti import read_image, read_labels, write_image
from regrowth.io.tables import read_tsv, write_tsv
from regrowth.io.transforms import write_transform
from regrowth.labels import label_scheme
from regrowth.registration import RegistrationParameters, align_exams, registration_quality
from regrowth.registration.working import foreground
from regrowth.space import Image, Transform, require_same_grid, resample_image
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study, registration_settings, space_of

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    baseline = patient.baseline
    if not patient.followups:
        return [
            Skip("register", patient.label, "", f"one exam only (ses-{baseline.label}); there is nothing to compare it with")
        ]
    jobs: list[Job | Skip] = []
    for session in patient.followups:
        fixed, moving = space_of(baseline), space_of(session)
        if fixed != moving:
            reason = (
                f"ses-{baseline.label} has {fixed} and ses-{session.label} {moving} as reference; both need the same sequence"
            )
            jobs.append(Skip("register", patient.label, session.label, reason))
            continue
        outputs = {"quality": study.registration_quality(patient, session)}
        for kind in study.stages:
            outputs[f"{kind} transform"] = study.transform(patient, session, kind)
        for kind in study.kinds:
            outputs[f"{kind} image"] = study.mapped_image(patient, session, kind)
        optional = {"fixed brain": study.brain_mask(patient, baseline), "moving brain": study.brain_mask(patient, session)}
        if session.landmarks is not None and (len(patient.followups) == 1 or f"ses-{session.label}" in session.landmarks.name):
            optional["landmarks"] = session.landmarks
        schemes = {}
        for role, exam in (("fixed", baseline), ("moving", session)):
            if exam.segmentation is not None:
                optional[f"{role} dseg"] = study.segmentation(patient, exam)
                schemes[role] = exam.segmentation_scheme
        jobs.append(
            Job(
                "register",
                patient.label,
                session.label,
                inputs={"fixed": baseline.images[fixed], "moving": session.images[moving]},
                optional=optional,
                outputs=outputs,
                settings={
                    **registration_settings(study),
                    "schemes": schemes,
                    "spaces": {"from": f"ses{session.label}", "to": f"ses{baseline.label}"},
                },
            )
        )
    return jobs


def _compute(task: Task) -> None:
    settings = task.job.settings
    spaces: dict[str, str] = settings["spaces"]
    parameters = RegistrationParameters(**settings["registration"])
    fixed, moving = read_image(task.input("fixed")), read_image(task.input("moving"))
    lesions = {role: _lesion(task, role, image) for role, image in (("fixed", fixed), ("moving", moving))}
    engine = registrar(parameters.engine)
    found = align_exams(
        fixed,
        moving,
        lesions["fixed"],
        lesions["moving"],
        engine,
        parameters,
        threads=task.threads,
        from_space=spaces["from"],
        to_space=spaces["to"],
    )
    stages = {"rigid": found.rigid, "affine": found.affine, "deformable": found.deformable}
    done = {kind: t for kind, t in stages.items() if t is not None}
    masks = _masks(task, {"fixed": fixed, "moving": moving})
    rows = []
    for kind, transform in done.items():
        # Only the last stage has a backward registration of its own to be compared with.
        backward = found.backward if transform is found.final else None
        rows.append(_quality(task, kind, fixed, moving, transform, backward, lesions, masks, parameters))
        write_transform(transform, task.outputs[f"{kind} transform"])
        task.describe(
            f"{kind} transform",
            Direction=f"moves an image from {spaces['from']} onto the grid of {spaces['to']}; points travel the other way",
            Engine=engine.name,
            EngineVersion=engine.version,
            Seed=parameters.seed,
        )
        if f"{kind} image" in task.outputs:
            write_image(resample_image(moving, fixed.grid, transform, order=3), task.outputs[f"{kind} image"])
            task.describe(
                f"{kind} image",
                SpatialReference=task.input("fixed").name,
                Interpolation="cubic B-spline",
                SkullStripped=is_skull_stripped(moving),
            )
    write_tsv(rows, task.outputs["quality"])


def _lesion(task: Task, role: str, image: Image) -> np.ndarray | None:
    path = task.given(f"{role} dseg")
    if path is None:
        return None
    schemes: dict[str, str] = task.job.settings["schemes"]
    labels = read_labels(path, label_scheme(schemes[role]))
    require_same_grid(labels.grid, image.grid, f"{path.name} and the {role} image")
    return labels.mask("lesion")


def _landmarks(task: Task) -> tuple[np.ndarray, np.ndarray] | None:
    """Read pairs of points (n, 3), RAS+ mm, in the baseline and in the follow-up."""
    path = task.given("landmarks")
    if path is None:
        return None
    rows = read_tsv(path)
    columns = [f"{role}_{axis}_mm" for role in ("baseline", "followup") for axis in "xyz"]
    try:
        points = np.array([[float(row[name]) for name in columns] for row in rows]).reshape(-1, 2, 3)
    except (KeyError, ValueError) as error:
        raise BidsError(f"{path}: landmarks need the columns {', '.join(columns)} with numbers in RAS+ mm ({error})") from error
    return (points[:, 0], points[:, 1]) if rows else None


def _masks(task: Task, images: dict[str, Image]) -> dict[str, np.ndarray]:
    """Brain masks of both exams, or else the tissue of both: an overlap compares like with like."""
    paths = {role: task.given(f"{role} brain") for role in images}
    if all(paths.values()):
        masks = {role: read_image(path) for role, path in paths.items() if path}
        for role, mask in masks.items():
            require_same_grid(mask.grid, images[role].grid, f"the brain mask and the {role} image")
        return {role: mask.data > 0.5 for role, mask in masks.items()}
    return {role: foreground(image.data) for role, image in images.items()}


def _quality(
    task: Task,
    kind: str,
    fixed: Image,
    moving: Image,
    transform: Transform,
    backward: Transform | None,
    lesions: dict[str, np.ndarray | None],
    masks: dict[str, np.ndarray],
    parameters: RegistrationParameters,
) -> dict[str, object]:
    quality = registration_quality(
        fixed,
        moving,
        transform,
        masks["fixed"],
        masks["moving"],
        fixed_lesion=lesions["fixed"],
        moving_lesion=lesions["moving"],
        backward=backward,
        landmarks_mm=_landmarks(task),
        parameters=parameters,
    )
    row = quality.as_row()
    absent = [role for role in ("fixed", "moving") if lesions[role] is None]
    if absent:
        text = f"no lesion mask of the {' and the '.join(absent)} exam, so that the tumour takes part in the alignment"
        row["flags"] = ";".join(filter(None, [str(row["flags"]), "no_lesion_mask"]))
        row["flag_messages"] = "; ".join(filter(None, [str(row["flag_messages"]), text]))
    task.log.info("%s: correlation %.3f to %.3f", kind, quality.ncc_before, quality.ncc_after)
    spaces: dict[str, str] = task.job.settings["spaces"]
    return {
        "participant_id": f"sub-{task.job.participant}",
        "session_id": f"ses-{task.job.session}",
        "moving": spaces["from"],
        "fixed": spaces["to"],
        "stage": kind,
        **row,
    }


STEP = Step("register", 2, "register a follow-up exam with the baseline exam", _plan, _compute)
