"""The volumes of every exam of a patient, in native space."""

from __future__ import annotations

from regrowth.clinical import Patient
from regrowth.io.nifti import read_labels
from regrowth.io.tables import write_tsv
from regrowth.labels import label_scheme
from regrowth.metrics import exam_volumes
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    sessions = [s for s in patient.sessions if s.segmentation is not None]
    if not sessions:
        return [Skip("measure", patient.label, "", "no exam has a tumour segmentation")]
    exams = [
        {"session": s.label, "day": s.day, "phase": s.phase, "scheme": s.segmentation_scheme, "nominal": s.spacing_is_nominal}
        for s in sessions
    ]
    return [
        Job(
            "measure",
            patient.label,
            # Optional, so that one faulty mask does not cost the volumes of the other exams.
            optional={s.label: study.segmentation(patient, s) for s in sessions},
            outputs={"volumes": study.patient_path(patient, "volumes", ".tsv")},
            settings={"exams": exams},
        )
    ]


def _compute(task: Task) -> None:
    rows = []
    exams: list[dict[str, object]] = task.job.settings["exams"]
    for exam in exams:
        path = task.given(str(exam["session"]))
        if path is None:
            task.log.warning("ses-%s has no usable segmentation and no row", exam["session"])
            continue
        row = exam_volumes(read_labels(path, label_scheme(str(exam["scheme"])))).as_row()
        rows.append(
            {
                "participant_id": f"sub-{task.job.participant}",
                "session_id": f"ses-{exam['session']}",
                "day": exam["day"],
                "phase": exam["phase"],
                **row,
                "spacing_is_nominal": exam["nominal"],
            }
        )
    write_tsv(rows, task.outputs["volumes"], columns=None if rows else ["participant_id", "session_id"])


STEP = Step("measure", 1, "measure volumes in native space", _plan, _compute)
