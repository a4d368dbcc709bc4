"""What the cohort as a whole shows: survival, transitions of location, migration and time, from one row per patient."""

from __future__ import annotations

from regrowth.clinical import Patient
from regrowth.io.tables import read_tsv, write_json, write_tsv
from regrowth.report.stored import section_values
from regrowth.statistics.analysis import analyse
from regrowth.statistics.clinical import read_clinical
from regrowth.statistics.dictionary import data_dictionary
from regrowth.statistics.parameters import StatisticsParameters
from regrowth.workflow.cohort_table import cohort_rows, patient_facts
from regrowth.workflow.job import Job, Skip, Step, Task
from regrowth.workflow.pages.statistics import statistics_sections
from regrowth.workflow.study import Study

__all__ = ["STEP"]

_TABLES = ("volumes", "location", "migration")


def _plan(study: Study, patient: Patient) -> list[Job | Skip]:
    """One job for the group; `patient` is not used."""
    group = study.out_dir / "group"
    return [
        Job(
            "statistics",
            "group",
            inputs={name: group / f"{name}.tsv" for name in _TABLES},
            outputs={
                "cohort": group / "cohort.tsv",
                "dictionary": group / "statistics" / "dictionary.json",
                "sections": group / "sections" / "statistics.json",
            },
            settings={
                "patients": [patient_facts(p) for p in study.cohort.patients],
                "kind": study.kinds[-1],
                "statistics": study.parameters.as_dict()["statistics"],
                "is_synthetic": any(s.is_synthetic for p in study.cohort.patients for s in p.sessions),
            },
        )
    ]


def _compute(task: Task) -> None:
    settings = task.job.settings
    volumes, location, migration = (read_tsv(task.input(name)) for name in _TABLES)
    parameters = StatisticsParameters(**settings["statistics"])
    rows = cohort_rows(settings["patients"], volumes, location, migration, settings["kind"], preset=parameters.location_classes)
    write_tsv(rows, task.outputs["cohort"])
    task.describe("cohort", **data_dictionary({"cohort": rows})["cohort"])
    table = read_clinical(rows, required=(), check_units=parameters.check_units, where="participants.tsv and results")
    analysis = analyse(table, parameters)
    folder = task.job.outputs["dictionary"].parent
    tables = analysis.tables()
    for name, found in tables.items():
        write_tsv(found, task.extra(folder / f"{name}.tsv"))
    write_json(data_dictionary({"cohort": rows, **tables}), task.outputs["dictionary"])
    sections = statistics_sections(analysis, synthetic=settings["is_synthetic"])
    write_json({"sections": [section_values(s) for s in sections]}, task.outputs["sections"])


STEP = Step("statistics", 1, "analyse the cohort: survival, transitions, migration and time", _plan, _compute)
