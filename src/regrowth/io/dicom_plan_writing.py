"""How a plan and a registration become DICOM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ParameterError
from regrowth.io.dicom_geometry import LPS_TO_RAS
from regrowth.io.dicom_study import DicomStudy, ds_text, new_dataset, reference_item, save_dataset
from regrowth.space import AffineMap

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["PlanTarget", "PlanToWrite", "write_registration", "write_rtplan"]

_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"
_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"


@dataclass(frozen=True)
class PlanTarget:
    """A prescription to a structure: its name, its number in the structure set, the dose of the whole plan in Gy."""

    name: str
    roi_number: int
    prescription_gy: float


@dataclass(frozen=True)
class PlanToWrite:
    """What a plan says.

    Parameters
    ----------
    label
        At most 16 characters.
    n_fractions
        Number of fractions.
    targets
        Prescriptions, the first the one that the beams add up to.
    gantry_deg
        Angles of the beams, which share the dose evenly.
    isocentre_mm
        (3,) RAS+ mm.
    structure_uid
        SOP instance UID of the structure set.
    """

    label: str
    n_fractions: int
    targets: tuple[PlanTarget, ...]
    gantry_deg: tuple[float, ...]
    isocentre_mm: tuple[float, float, float]
    structure_uid: str


def write_rtplan(plan: PlanToWrite, out: Path, study: DicomStudy) -> str:
    """Write a plan of open fields that share the dose evenly (RT Plan Storage). It is no plan to treat anybody with.

    Parameters
    ----------
    plan
        What it says.
    out
        File.
    study
        Whose it is.

    Returns
    -------
    str
        SOP instance UID.

    Raises
    ------
    ParameterError
        If the label is too long, or there is no target, beam or fraction.
    """
    from pydicom.dataset import Dataset as New

    if not 0 < len(plan.label) <= 16 or not plan.targets or not plan.gantry_deg or plan.n_fractions < 1:
        raise ParameterError("a plan has a label of at most 16 characters, a target, a beam and a fraction at least")
    uid = study.uid("plan", plan.label)
    file = new_dataset(study, _PLAN, "RTPLAN", uid, study.uid("series", "plan", plan.label))
    file.SeriesNumber, file.InstanceNumber = 3, 1
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = study.frame_uid, ""
    file.RTPlanLabel, file.RTPlanDate, file.RTPlanTime = plan.label, study.day_text, "120000"
    file.RTPlanGeometry, file.PlanIntent, file.ApprovalStatus = "PATIENT", "RESEARCH", "UNAPPROVED"
    setup = New()
    setup.PatientSetupNumber, setup.PatientPosition = 1, "HFS"
    file.PatientSetupSequence = [setup]
    file.ReferencedStructureSetSequence = [reference_item(_STRUCTURES, plan.structure_uid)]
    file.DoseReferenceSequence = []
    for number, target in enumerate(plan.targets, 1):
        item = New()
        item.DoseReferenceNumber, item.DoseReferenceUID = number, study.uid("prescription", plan.label, target.name)
        item.DoseReferenceStructureType, item.ReferencedROINumber = "VOLUME", target.roi_number
        item.DoseReferenceDescription, item.DoseReferenceType = target.name, "TARGET"
        item.TargetPrescriptionDose = ds_text(target.prescription_gy)
        file.DoseReferenceSequence.append(item)
    per_beam_gy = plan.targets[0].prescription_gy / plan.n_fractions / len(plan.gantry_deg)
    group = New()
    group.FractionGroupNumber, group.NumberOfFractionsPlanned = 1, plan.n_fractions
    group.NumberOfBeams, group.NumberOfBrachyApplicationSetups = len(plan.gantry_deg), 0
    group.ReferencedBeamSequence = []
    for number in range(1, len(plan.gantry_deg) + 1):
        beam = New()
        beam.ReferencedBeamNumber, beam.BeamDose, beam.BeamMeterset = number, ds_text(per_beam_gy), "100"
        group.ReferencedBeamSequence.append(beam)
    file.FractionGroupSequence = [group]
    centre = [ds_text(v) for v in LPS_TO_RAS[:3, :3] @ np.asarray(plan.isocentre_mm, np.float64)]
    file.BeamSequence = [_beam(n, angle, centre) for n, angle in enumerate(plan.gantry_deg, 1)]
    save_dataset(file, Path(out))
    return uid


def write_registration(map_mm: AffineMap, out: Path, study: DicomStudy, from_frame_uid: str, name: str) -> str:
    """Write a rigid registration (Spatial Registration Storage) to the frame of reference of a study.

    Parameters
    ----------
    map_mm
        Takes points of the other frame to that of the study, RAS+ mm.
    out
        File.
    study, name
        Whose it is; name for its UID.
    from_frame_uid
        The other frame of reference.

    Returns
    -------
    str
        SOP instance UID.
    """
    from pydicom.dataset import Dataset as New

    uid = study.uid("registration", name)
    file = new_dataset(study, _REGISTRATION, "REG", uid, study.uid("series", "registration", name))
    file.SeriesNumber, file.InstanceNumber = 5, 1
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = study.frame_uid, ""
    file.ContentDate, file.ContentTime = study.day_text, "120000"
    file.ContentLabel, file.ContentDescription, file.ContentCreatorName = "REGISTRATION", name, ""
    file.RegistrationSequence = []
    for frame, matrix in ((study.frame_uid, np.eye(4)), (from_frame_uid, LPS_TO_RAS @ map_mm.matrix @ LPS_TO_RAS)):
        part, registration, item = New(), New(), New()
        part.FrameOfReferenceTransformationMatrixType = "RIGID"
        part.FrameOfReferenceTransformationMatrix = [ds_text(v) for v in matrix.ravel()]
        registration.MatrixSequence, registration.RegistrationTypeCodeSequence = [part], []
        item.FrameOfReferenceUID, item.MatrixRegistrationSequence = frame, [registration]
        file.RegistrationSequence.append(item)
    save_dataset(file, Path(out))
    return uid


def _beam(number: int, gantry_deg: float, isocentre_mm: list[str]) -> Dataset:
    """Make an open static field of 10 by 10 cm."""
    from pydicom.dataset import Dataset as New

    def jaws() -> list[Dataset]:
        items = []
        for name in ("ASYMX", "ASYMY"):
            item = New()
            item.RTBeamLimitingDeviceType, item.LeafJawPositions = name, ["-50", "50"]
            items.append(item)
        return items

    first, last, beam = New(), New(), New()
    first.ControlPointIndex, first.CumulativeMetersetWeight, first.NominalBeamEnergy, first.DoseRateSet = 0, "0", "6", "600"
    first.BeamLimitingDevicePositionSequence = jaws()
    for keyword, value in (("GantryAngle", gantry_deg), ("BeamLimitingDeviceAngle", 0), ("PatientSupportAngle", 0)):
        setattr(first, keyword, ds_text(value))
    first.TableTopEccentricAngle = "0"
    for keyword in ("Gantry", "BeamLimitingDevice", "PatientSupport", "TableTopEccentric"):
        setattr(first, f"{keyword}RotationDirection", "NONE")
    first.TableTopVerticalPosition = first.TableTopLongitudinalPosition = first.TableTopLateralPosition = ""
    first.IsocenterPosition = isocentre_mm
    last.ControlPointIndex, last.CumulativeMetersetWeight = 1, "1"
    beam.BeamNumber, beam.BeamName, beam.BeamType, beam.RadiationType = number, f"Field {number}", "STATIC", "PHOTON"
    beam.TreatmentMachineName, beam.PrimaryDosimeterUnit, beam.SourceAxisDistance = "PHANTOM", "MU", "1000"
    beam.TreatmentDeliveryType, beam.Manufacturer = "TREATMENT", "Regrowth"
    beam.BeamLimitingDeviceSequence = []
    for name in ("ASYMX", "ASYMY"):
        device = New()
        device.RTBeamLimitingDeviceType, device.NumberOfLeafJawPairs = name, 1
        beam.BeamLimitingDeviceSequence.append(device)
    beam.NumberOfWedges = beam.NumberOfCompensators = beam.NumberOfBoli = beam.NumberOfBlocks = 0
    beam.FinalCumulativeMetersetWeight, beam.NumberOfControlPoints = "1", 2
    beam.ControlPointSequence = [first, last]
    beam.ReferencedPatientSetupNumber = 1
    return beam
