"""Aligning images: what an engine offers, which voxels count, the stages, and how good the result is."""

from regrowth.registration.jacobian import jacobian_determinant
from regrowth.registration.masks import cost_mask
from regrowth.registration.quality import RegistrationQuality, registration_quality
from regrowth.registration.registrar import Kind, Metric, Registrar
from regrowth.registration.stages import ExamAlignment, RegistrationParameters, align_exams, align_sequences

__all__ = [
    "ExamAlignment",
    "Kind",
    "Metric",
    "Registrar",
    "RegistrationParameters",
    "RegistrationQuality",
    "align_exams",
    "align_sequences",
    "cost_mask",
    "jacobian_determinant",
    "registration_quality",
]
