"""The tables of all patients in one, with the clinical table beside them."""

from __future__ import annotations

from regrowth.clinical import Patient
from regrowth.io.tables import read_tsv, write_tsv
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study

__all__ = ["STEP"]

TABLES = ("volumes", "migration", "components", "registration", "overlap", "location", "response", "bestresponse")
PATIENT_TABLES = ("volumes", "overlap", "location", "response", "bestresponse")


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job for the group; `patient` is not used."""
    optional = {}
    for someone in study.cohort.patients:
        for name in PATIENT_TABLES:
            optional[f"{name} {someone.label}"] = study.patient_path(someone, name, ".tsv")
        for session in someone.sessions:
            optional[f"registration {someone.label} {session.label} a"] = study.quality(someone, session)
        for session in someone.followups:
            optional[f"registration {someone.label} {session.label} b"] = study.registration_quality(someone, session)
            for name in ("migration", "components"):
                optional[f"{name} {someone.label} {session.label}"] = study.path(someone, session, name, ".tsv")
    clinical = [{"participant_id": f"sub-{p.label}", **p.clinical} for p in study.cohort.patients]
    outputs = {name: study.out_dir / "group" / f"{name}.tsv" for name in (*TABLES, "participants")}
    return [Job("tabulate", "group", optional=optional, outputs=outputs, settings={"clinical": clinical})]


def _compute(task: Task) -> None:
    """Join the tables; a patient without a result has no row in it."""
    for name in TABLES:
        paths = [p for role in sorted(task.job.optional) if role.split()[0] == name and (p := task.given(role))]
        rows = [row for path in paths for row in read_tsv(path)]
        write_tsv(rows, task.outputs[name], columns=None if rows else ["participant_id"])
    clinical: list[dict[str, str]] = task.job.settings["clinical"]
    write_tsv(clinical, task.outputs["participants"])


STEP = Step("tabulate", 2, "join the tables of all patients", _plan, _compute)
