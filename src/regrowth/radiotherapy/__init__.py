"""Radiotherapy: structures, doses, how sure a mapped position is, and at which dose a tumour came back."""

from regrowth.radiotherapy.arms import ArmMatch, Trial, TrialArm, detect_arm, load_trials, trial_from_toml
from regrowth.radiotherapy.contouring import structure_from_mask
from regrowth.radiotherapy.discordance import PartAgreement, SchemePair, part_agreement, scheme_discordance
from regrowth.radiotherapy.dose_points import dose_at, dose_on_grid
from regrowth.radiotherapy.dose_sum import SummedDose, sum_doses, sum_eqd2
from regrowth.radiotherapy.dvh import DVH, dose_volume_histogram
from regrowth.radiotherapy.exposure import RecurrenceDose, Target, recurrence_dose
from regrowth.radiotherapy.failure import FailureClass, classify, classify_all
from regrowth.radiotherapy.fractionation import biologically_effective_dose, eqd2, eqd2_of_phases, equivalent_dose
from regrowth.radiotherapy.holes import with_keyholes, with_xor_contours
from regrowth.radiotherapy.naming import NameMatch, NameTable, match_structures
from regrowth.radiotherapy.parts import RecurrencePart, recurrence_parts
from regrowth.radiotherapy.probability import LevelProbability, probability_inside, probability_volume_inside
from regrowth.radiotherapy.rasterise import RasterisedStructure, rasterise, rasterise_share
from regrowth.radiotherapy.schemes import ClassRule, FailureScheme, load_schemes, scheme_from_toml
from regrowth.radiotherapy.structure import Contour, Structure, StructureSet
from regrowth.radiotherapy.uncertainty import (
    CohortResiduals,
    SpatialUncertainty,
    cohort_residuals,
    isotropic_uncertainty,
    position_uncertainty,
    sphere_radius,
    unknown_uncertainty,
)
from regrowth.radiotherapy.uncertainty_region import uncertainty_region
from regrowth.radiotherapy.welsh2025 import Welsh2025Class, welsh2025_classes

__all__ = [
    "DVH",
    "ArmMatch",
    "ClassRule",
    "CohortResiduals",
    "Contour",
    "FailureClass",
    "FailureScheme",
    "LevelProbability",
    "NameMatch",
    "NameTable",
    "PartAgreement",
    "RasterisedStructure",
    "RecurrenceDose",
    "RecurrencePart",
    "SchemePair",
    "SpatialUncertainty",
    "Structure",
    "StructureSet",
    "SummedDose",
    "Target",
    "Trial",
    "TrialArm",
    "Welsh2025Class",
    "biologically_effective_dose",
    "classify",
    "classify_all",
    "cohort_residuals",
    "detect_arm",
    "dose_at",
    "dose_on_grid",
    "dose_volume_histogram",
    "eqd2",
    "eqd2_of_phases",
    "equivalent_dose",
    "isotropic_uncertainty",
    "load_schemes",
    "load_trials",
    "match_structures",
    "part_agreement",
    "position_uncertainty",
    "probability_inside",
    "probability_volume_inside",
    "rasterise",
    "rasterise_share",
    "recurrence_dose",
    "recurrence_parts",
    "scheme_discordance",
    "scheme_from_toml",
    "sphere_radius",
    "structure_from_mask",
    "sum_doses",
    "sum_eqd2",
    "trial_from_toml",
    "uncertainty_region",
    "unknown_uncertainty",
    "welsh2025_classes",
    "with_keyholes",
    "with_xor_contours",
]
