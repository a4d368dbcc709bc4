"""One page for the cohort."""

from __future__ import annotations

from dataclasses import asdict

from regrowth.clinical import Patient
from regrowth.io.tables import write_text
from regrowth.report import Figure, render_cohort
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.pages.cohort import cohort_page
from regrowth.workflow.steps.parcellate import source_of
from regrowth.workflow.study import Study, methods_settings

__all__ = ["STEP"]

SECTIONS = ("frequency", "statistics", "forecast", "growth")
"""Steps of the group that leave sections for the page, in the order in which they are shown."""


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job for the group; `patient` is not used."""
    from regrowth.workflow.execute import step_named
    from regrowth.workflow.participant import PARTICIPANT_STEPS

    optional = {
        name: study.out_dir / "group" / f"{name}.tsv"
        for name in (
            *("volumes", "migration", "components", "registration"),
            *("location", "response", "bestresponse", "participants"),
        )
    }
    optional |= {f"sections {name}": study.out_dir / "group" / "sections" / f"{name}.json" for name in SECTIONS}
    patients, steps = [], []
    for someone in study.cohort.patients:
        baseline, followups = someone.baseline, someone.followups
        same_scheme = bool(followups) and followups[-1].segmentation_scheme == baseline.segmentation_scheme
        patients.append(
            {
                "label": someone.label,
                "exams": len(someone.sessions),
                "scheme": baseline.segmentation_scheme if same_scheme else None,
                "baseline_phase": baseline.phase,
                "is_synthetic": any(s.is_synthetic for s in someone.sessions),
                "is_nominal": any(s.spacing_is_nominal for s in someone.sessions),
            }
        )
        for name in PARTICIPANT_STEPS:
            if (
                name not in steps
                and name != "report"
                and any(isinstance(j, Job) for j in step_named(name).plan(study, someone))
            ):
                steps.append(name)
        if same_scheme:
            optional[f"reference {someone.label}"] = baseline.images[baseline.reference() or ""]
            optional[f"primary {someone.label}"] = study.segmentation(someone, baseline)
            kind = study.kinds[-1]
            optional[f"recurrence {someone.label}"] = study.mapped(someone, followups[-1], "dseg", kind, seg="tumour")
    return [
        Job(
            "cohort",
            "group",
            optional=optional,
            outputs={"page": study.out_dir / "group.html"},
            settings={
                "patients": patients,
                "problems": [asdict(p) for p in study.cohort.problems],
                "sections": list(SECTIONS),
                "steps": [*(s for s in PARTICIPANT_STEPS if s in steps), *SECTIONS],
                "kinds": list(study.kinds),
                "skips": [asdict(i) for n in SECTIONS for i in step_named(n).plan(study, patient) if isinstance(i, Skip)],
                **methods_settings(study, sorted({source_of(study, p) for p in study.cohort.patients})),
            },
            gathers=True,
        )
    ]


def _compute(task: Task) -> None:
    """Write the page, and every figure as a file beside it."""
    report = cohort_page(task)
    write_text(render_cohort(report), task.outputs["page"])
    folder = task.job.outputs["page"].parent / "group" / "figures"
    shown = [*report.distributions, *report.mosaics, *(f for s in report.sections for f in s.figures)]
    for figure in [f for f in shown if isinstance(f, Figure)]:
        for filename, data in figure.files().items():
            task.extra(folder / filename).write_bytes(data)


STEP = Step("cohort", 4, "write the page of the cohort", _plan, _compute)
