"""What the page of a patient is made of: the job, its sessions, its tables and its images."""

from __future__ import annotations

from dataclasses import dataclass

from regrowth.clinical import Session
from regrowth.errors import ImageFileError
from regrowth.io.nifti import read_image, read_labels
from regrowth.io.tables import read_tsv
from regrowth.labels import label_scheme
from regrowth.space import Image, LabelMap
from regrowth.workflow.job import Task
from regrowth.workflow.pages.values import NOMINAL_NOTE, session_from

__all__ = ["Material", "material_of", "rows_of", "skip_reason"]


@dataclass(frozen=True)
class Material:
    """What a page is made of: the job, its sessions and its tables."""

    task: Task
    sessions: tuple[Session, ...]
    baseline: str
    volumes: list[dict[str, str]]
    quality: dict[str, list[dict[str, str]]]
    migration: dict[str, list[dict[str, str]]]
    components: dict[str, list[dict[str, str]]]

    @property
    def synthetic(self) -> bool:
        """Whether any exam was computed instead of measured."""
        return any(s.is_synthetic for s in self.sessions)

    @property
    def nominal(self) -> str:
        """Note on nominal spacing, empty where the spacing is known."""
        return NOMINAL_NOTE if any(s.spacing_is_nominal for s in self.sessions) else ""

    @property
    def kinds(self) -> list[str]:
        """Registrations under which results are reported; the last one is the one that counts."""
        return list(self.task.job.settings["kinds"])

    def followups(self) -> list[Session]:
        """Sessions that are compared with the baseline."""
        return [s for s in self.sessions if s.label in self.task.job.settings["followups"]]

    def reference(self, session: Session) -> Image | None:
        """Reference image of a session, if it is there and can be read; the steps that need it have failed otherwise."""
        path = self.task.given(f"reference_{session.label}")
        try:
            return read_image(path) if path else None
        except ImageFileError as error:
            self.task.log.warning("%s", error)
            return None

    def labels(self, role: str) -> LabelMap | None:
        """Segmentation in a role of the job, if it was made."""
        path = self.task.given(role)
        if path is None:
            return None
        scheme = str(self.task.job.settings["schemes"][role])
        return read_labels(path, label_scheme(scheme))


def material_of(task: Task) -> Material:
    """Read the tables of a patient."""
    sessions = tuple(session_from(facts) for facts in task.job.settings["sessions"])
    return Material(
        task,
        sessions,
        str(task.job.settings["baseline"]),
        rows_of(task, "volumes"),
        {s.label: rows_of(task, f"registration_{s.label}") + rows_of(task, f"quality_{s.label}") for s in sessions},
        {s.label: rows_of(task, f"migration_{s.label}") for s in sessions},
        {s.label: rows_of(task, f"components_{s.label}") for s in sessions},
    )


def rows_of(task: Task, role: str) -> list[dict[str, str]]:
    """Read the rows of a table in a role of the job; none if it was not made."""
    path = task.given(role)
    return read_tsv(path) if path else []


def skip_reason(m: Material, step: str, session: str = "") -> str | None:
    """Why a step did not run, from the plan or from its failure."""
    for skip in m.task.job.settings["skips"]:
        if skip["step"] == step and skip["session"] in ("", session):
            return str(skip["reason"])
    for failure in m.task.job.settings.get("failures", ()):
        if failure["step"] == step and failure["session"] in ("", session):
            return f"{failure['status']}: {failure['message']}"
    return None
