"""The steps for a participant, in their order: the list to read first."""

from __future__ import annotations

__all__ = ["PARTICIPANT_STEPS"]

PARTICIPANT_STEPS = (
    "coregister",  # sequences of an exam onto its reference image
    "brain",  # brain mask of an exam
    "tumour",  # tumour segmentation of an exam, checked
    "parcellate",  # regions of the brain of the baseline exam
    "register",  # follow-up exam onto the baseline exam
    "recurrence",  # where the follow-up tumour lies, seen from the baseline tumour
    "locate",  # in which regions the tumour lies
    "measure",  # volumes in native space
    "tissue",  # white and grey matter of the baseline exam
    "grow",  # where the tumour began and where it will be, plans, scores
    "respond",  # response over the exams, RANO 2.0
    "report",  # one page per patient
)
