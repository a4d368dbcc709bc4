"""Where the tumour of a follow-up lies, seen from the tumour of the baseline, under each registration."""

from __future__ import annotations

import math

from regrowth.clinical import Patient, Session
from regrowth.io.nifti import read_labels, write_labels
from regrowth.io.tables import write_tsv
from regrowth.io.transforms import read_transform
from regrowth.labels import label_scheme
from regrowth.metrics import ExamVolumes, exam_volumes
from regrowth.recurrence import MigrationDistance, RecurrenceParameters, migration_by_region, sensitivity_band
from regrowth.space import resample_labels
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.study import Study, space_of

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    baseline = patient.baseline
    if not patient.followups:
        return [Skip("recurrence", patient.label, "", f"one exam only (ses-{baseline.label})")]
    jobs: list[Job | Skip] = []
    for session in patient.followups:
        without = [s.label for s in (baseline, session) if s.segmentation is None]
        reason = f"no tumour segmentation for ses-{' and ses-'.join(without)}" if without else ""
        if space_of(baseline) != space_of(session):
            reason = "the exams were not registered"
        if reason:
            jobs.append(Skip("recurrence", patient.label, session.label, reason))
            continue
        reference = _trend_reference(patient, session)
        inputs = {"primary": study.segmentation(patient, baseline), "recurrence": study.segmentation(patient, session)}
        outputs = {
            "migration": study.path(patient, session, "migration", ".tsv"),
            "components": study.path(patient, session, "components", ".tsv"),
        }
        for kind in study.kinds:
            inputs[f"{kind} transform"] = study.transform(patient, session, kind)
            outputs[f"{kind} dseg"] = study.mapped(patient, session, "dseg", kind, seg="tumour")
        if reference is not None:
            inputs["earlier"] = study.segmentation(patient, reference)
        jobs.append(
            Job(
                "recurrence",
                patient.label,
                session.label,
                inputs=inputs,
                outputs=outputs,
                settings={
                    "schemes": {
                        "primary": baseline.segmentation_scheme,
                        "recurrence": session.segmentation_scheme,
                        "earlier": reference.segmentation_scheme if reference else None,
                    },
                    "baseline": baseline.label,
                    "trend since": reference.label if reference else None,
                    "kinds": list(study.kinds),
                    "recurrence": study.parameters.as_dict()["recurrence"],
                },
            )
        )
    return jobs


def _trend_reference(patient: Patient, session: Session) -> Session | None:
    """Give the exam since which a trend means growth: the one before, unless surgery may lie between the two."""
    earlier = [s for s in patient.sessions if s.day <= session.day and s is not session and s.segmentation is not None]
    if not earlier or (earlier[-1].phase == "preop" and session.phase != "preop"):
        return None
    return earlier[-1]


def _compute(task: Task) -> None:
    settings = task.job.settings
    schemes: dict[str, str] = settings["schemes"]
    parameters = RecurrenceParameters(**settings["recurrence"])
    primary = read_labels(task.input("primary"), label_scheme(schemes["primary"]))
    native = read_labels(task.input("recurrence"), label_scheme(schemes["recurrence"]))
    volumes = None
    if task.given("earlier"):
        earlier = read_labels(task.input("earlier"), label_scheme(schemes["earlier"]))
        volumes = (exam_volumes(earlier), exam_volumes(native))
    results: dict[str, tuple[MigrationDistance, ...]] = {}
    for kind in settings["kinds"]:
        transform = read_transform(task.input(f"{kind} transform"))
        mapped = resample_labels(native, primary.grid, transform)
        results[kind] = migration_by_region(primary, mapped, transform=kind, native=volumes, parameters=parameters)
        write_labels(mapped, task.outputs[f"{kind} dseg"])
        task.describe(
            f"{kind} dseg",
            LabelScheme=native.scheme.name,
            SpatialReference=task.input("primary").name,
            Interpolation="generic label",
        )
    who = {
        "participant_id": f"sub-{task.job.participant}",
        "baseline": settings["baseline"],
        "followup": task.job.session,
    }
    rows = [
        {**who, **m.as_row(), "verdict": m.label, **_course(m.region, volumes, settings["trend since"])}
        for ms in results.values()
        for m in ms
    ]
    if len(results) == 2:
        rows += [_band(who, a, b) for a, b in zip(*results.values(), strict=True)]
    write_tsv(rows, task.outputs["migration"])
    parts = [
        {**who, "region": m.region, "transform": m.transform, "component": number, **part.as_row()}
        for ms in results.values()
        for m in ms
        for number, part in enumerate(m.components, start=1)
    ]
    columns = None if parts else [*who, "region", "transform", "component", "class"]
    write_tsv(parts, task.outputs["components"], columns)


def _course(region: str, volumes: tuple[ExamVolumes, ExamVolumes] | None, since: str | None) -> dict[str, object]:
    """Native volumes behind the trend, and their relative change."""
    before, after = (v.volumes_ml[region] for v in volumes) if volumes else (math.nan, math.nan)
    change = (after - before) / before if before > 0 else math.nan
    return {"trend_since": since, "volume_before_ml": before, "volume_ml": after, "volume_change": change}


def _band(who: dict[str, object], rigid: MigrationDistance, deformable: MigrationDistance) -> dict[str, object]:
    same = rigid.status == deformable.status
    return {
        **who,
        "region": rigid.region,
        "transform": "band",
        "status": rigid.status if same else f"{rigid.status}/{deformable.status}",
        "reason": rigid.reason if same else f"{rigid.reason}; {deformable.reason}",
        **sensitivity_band(rigid, deformable),
        "pattern": rigid.pattern if rigid.pattern == deformable.pattern else f"{rigid.pattern}/{deformable.pattern}",
    }


STEP = Step("recurrence", 4, "map the follow-up tumour onto the baseline and measure where it lies", _plan, _compute)
