"""Who was scanned and when: patients and their sessions, as paths and dates, never pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from regrowth.errors import BidsError

__all__ = ["CLINICAL_STATUS", "PHASES", "SEQUENCES", "Patient", "Session"]

PHASES = ("preop", "postop", "planning", "postradiotherapy", "followup", "progression")
"""Phases of treatment, in their usual order."""

CLINICAL_STATUS = ("improved", "stable", "worse")
"""How a patient is, compared with the exam before; ``worse`` means by the tumour."""

SEQUENCES = ("T1wce", "T1w", "T2w", "FLAIR")
"""Anatomical sequences, in order of preference as the reference of a session."""


@dataclass(frozen=True)
class Session:
    """One exam of a patient.

    Parameters
    ----------
    label
        Session label without ``ses-``.
    day
        Days from the patient's first exam (or diagnosis), at least 0.
    phase
        One of `PHASES`.
    images
        Sequence name (`SEQUENCES`) to the path of the image.
    segmentation
        Path of the tumour segmentation on the grid of one of the images, if any.
    segmentation_scheme
        Name of the label scheme of the segmentation.
    brain_mask
        Path of a brain mask made elsewhere, on the grid of the reference image, if any.
    landmarks
        Path of a table of point pairs between the baseline and this exam, if any.
    parcellation
        Path of a map of the regions of this brain made elsewhere, with FreeSurfer ids, in the space of the exam, if any.
    spacing_is_nominal
        The published geometry was lost, so that millimetres are nominal (sidecar ``SpacingIsNominal``).
    is_synthetic
        The images were computed, not measured (sidecar ``Synthetic``).
    steroids_mg
        Daily corticosteroids in mg dexamethasone or equivalent at the time of the exam; None if not known.
    clinical_status
        One of `CLINICAL_STATUS` against the exam before; None if not known.
    """

    label: str
    day: int
    phase: str
    images: Mapping[str, Path] = field(default_factory=dict)
    segmentation: Path | None = None
    segmentation_scheme: str | None = None
    brain_mask: Path | None = None
    landmarks: Path | None = None
    parcellation: Path | None = None
    spacing_is_nominal: bool = False
    is_synthetic: bool = False
    steroids_mg: float | None = None
    clinical_status: str | None = None

    def reference(self) -> str | None:
        """Name the sequence that the session is aligned to: contrast-enhanced T1w, else T1w, T2w, FLAIR."""
        return next((s for s in SEQUENCES if s in self.images), None)


@dataclass(frozen=True)
class Patient:
    """A patient and the sessions, sorted by day.

    Parameters
    ----------
    label
        Participant label without ``sub-``.
    sessions
        Sessions in the order of their days.
    clinical
        Columns of ``participants.tsv`` as text.
    treatment
        Path of ``sub-*_treatment.tsv`` (fractions, courses, surgeries, drugs), if any.
    """

    label: str
    sessions: tuple[Session, ...]
    clinical: Mapping[str, str] = field(default_factory=dict)
    treatment: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sessions", tuple(sorted(self.sessions, key=lambda s: (s.day, s.label))))

    @property
    def baseline(self) -> Session:
        """The exam that follow-ups are compared with: the first before treatment, else the first.

        Raises
        ------
        BidsError
            If the patient has no session.
        """
        if not self.sessions:
            raise BidsError(f"sub-{self.label} has no session with images; add scans or leave the patient out")
        return next((s for s in self.sessions if s.phase == "preop"), self.sessions[0])

    @property
    def followups(self) -> tuple[Session, ...]:
        """The sessions after the baseline, in the order of their days."""
        return tuple(s for s in self.sessions if s.day >= self.baseline.day and s is not self.baseline)
