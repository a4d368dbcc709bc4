"""One page per patient, from whatever results are there; it is written also when steps failed, and says so."""

from __future__ import annotations

from dataclasses import asdict

from regrowth.clinical import Patient
from regrowth.io.tables import write_text
from regrowth.report import render_patient
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.pages.patient import figures_of, patient_page
from regrowth.workflow.pages.values import session_facts
from regrowth.workflow.steps.parcellate import source_of
from regrowth.workflow.study import Study, methods_settings

__all__ = ["STEP"]


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job per patient that takes every result that the other steps may have made."""
    from regrowth.workflow.execute import step_named
    from regrowth.workflow.participant import PARTICIPANT_STEPS

    others = [step_named(name) for name in PARTICIPANT_STEPS if name != "report"]
    planned = [item for step in others for item in step.plan(study, patient)]
    regions = study.regions(patient)
    optional = {
        **{name: study.patient_path(patient, name, ".tsv") for name in ("volumes", "location")},
        **{name: study.sections(patient, name) for name in ("response", "forecast", "growth")},
        "regions": regions,
        "regions_facts": regions.with_name(regions.name.removesuffix(".nii.gz") + ".json"),
    }
    schemes = {}
    for session in patient.sessions:
        label = session.label
        optional[f"reference_{label}"] = session.images[session.reference() or ""]
        optional[f"dseg_{label}"] = study.segmentation(patient, session)
        optional[f"quality_{label}"] = study.quality(patient, session)
        brain = study.brain_mask(patient, session)
        optional[f"brain_facts_{label}"] = brain.with_name(brain.name.removesuffix(".nii.gz") + ".json")
        schemes[f"dseg_{label}"] = session.segmentation_scheme
        if "FLAIR" in session.images and session.reference() != "FLAIR":
            optional[f"flair_{label}"] = study.aligned(patient, session, "FLAIR")
    for session in patient.followups:
        label = session.label
        optional[f"registration_{label}"] = study.registration_quality(patient, session)
        for role, suffix in (("migration", "migration"), ("components", "components")):
            optional[f"{role}_{label}"] = study.path(patient, session, suffix, ".tsv")
        for kind in study.kinds:
            optional[f"{kind}_{label}"] = study.mapped_image(patient, session, kind)
            optional[f"mapped_{kind}_{label}"] = study.mapped(patient, session, "dseg", kind, seg="tumour")
            schemes[f"mapped_{kind}_{label}"] = session.segmentation_scheme
    problems = [asdict(p) for p in study.cohort.problems if p.participant in ("", patient.label)]
    return [
        Job(
            "report",
            patient.label,
            optional=optional,
            outputs={"page": study.out_dir / f"sub-{patient.label}.html"},
            settings={
                "sessions": [session_facts(s) for s in patient.sessions],
                "baseline": patient.baseline.label,
                "followups": [s.label for s in patient.followups],
                "schemes": schemes,
                "clinical": dict(patient.clinical),
                "problems": problems,
                "skips": [asdict(s) for s in planned if isinstance(s, Skip)],
                "steps": list(dict.fromkeys(j.step for j in planned if isinstance(j, Job))),
                "kinds": list(study.kinds),
                **methods_settings(study, [source_of(study, patient)], without=["statistics"]),
            },
            gathers=True,
        )
    ]


def _compute(task: Task) -> None:
    """Write the page, and every figure as a file beside it."""
    report = patient_page(task)
    write_text(render_patient(report), task.outputs["page"])
    folder = task.job.outputs["page"].parent / f"sub-{task.job.participant}" / "figures"
    for figure in figures_of(report):
        for filename, data in figure.files().items():
            task.extra(folder / filename).write_bytes(data)


STEP = Step("report", 3, "write the page of the patient", _plan, _compute)
