"""Synthetic glioma patients with known truth.

``write_phantom`` of `regrowth.phantom.dataset` writes a cohort to disk; it is not imported here, so that the science above
needs no file access.
"""

from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.patient import SyntheticExam, SyntheticPatient, synthetic_patient
from regrowth.phantom.survival import SurvivalModel
from regrowth.phantom.template import Template, icbm_template

__all__ = [
    "PhantomParameters",
    "SurvivalModel",
    "SyntheticExam",
    "SyntheticPatient",
    "Template",
    "icbm_template",
    "synthetic_patient",
]
