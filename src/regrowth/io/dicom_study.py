"""Whose a new DICOM file is: the attributes that all files of one patient and study share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from regrowth.errors import ParameterError
from regrowth.io.dicom_geometry import quiet
from regrowth.io.tables import write_bytes

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["DicomStudy", "ds_text", "fix_uids", "new_dataset", "reference_item", "save_dataset"]

_PROGRAM = "Regrowth"
_DS_LENGTH = 16


@dataclass(frozen=True)
class DicomStudy:
    """Whose and of which day the files are.

    Parameters
    ----------
    patient_id, patient_name
        Of a made-up patient.
    seed
        Text that all UIDs are derived from, so that writing twice gives the same files.
    study, frame
        Names of the study and of the frame of reference, which become their UIDs together with `seed`.
    study_date
        Day.
    body_part
        Body part examined, a term of DICOM such as ``CHEST``; of no pair, because no side is said.
    synthetic
        Whether the patient is computed, which the attribute Synthetic Data says.
    """

    patient_id: str
    patient_name: str
    seed: str
    study: str
    frame: str
    study_date: date
    body_part: str = ""
    synthetic: bool = True

    def uid(self, *names: str) -> str:
        """UID of something of this patient, the same for the same names."""
        from pydicom.uid import generate_uid

        return str(generate_uid(entropy_srcs=[self.seed, self.patient_id, *names]))

    @property
    def study_uid(self) -> str:
        """Study instance UID."""
        return self.uid("study", self.study)

    @property
    def day_text(self) -> str:
        """Day as DICOM writes it."""
        return self.study_date.strftime("%Y%m%d")

    @property
    def frame_uid(self) -> str:
        """Frame of reference UID."""
        return self.uid("frame", self.frame)


def new_dataset(study: DicomStudy, storage: str, modality: str, uid: str, series_uid: str) -> Dataset:
    """Make a file with what every file has: patient, study, series, equipment."""
    from pydicom.dataset import Dataset as New

    out = New()
    out.SpecificCharacterSet = "ISO_IR 192"
    out.SOPClassUID, out.SOPInstanceUID = storage, uid
    out.PatientName, out.PatientID, out.PatientBirthDate, out.PatientSex = study.patient_name, study.patient_id, "", ""
    out.StudyInstanceUID, out.SeriesInstanceUID = study.study_uid, series_uid
    out.StudyDate, out.StudyTime, out.StudyID = study.day_text, "120000", study.study[:16]
    out.AccessionNumber = out.ReferringPhysicianName = out.OperatorsName = ""
    out.Modality, out.SeriesDate, out.SeriesTime = modality, study.day_text, "120000"
    if study.body_part:
        out.BodyPartExamined = study.body_part
    out.InstanceCreationDate, out.InstanceCreationTime = study.day_text, "120000"
    out.Manufacturer = out.ManufacturerModelName = _PROGRAM
    out.DeviceSerialNumber, out.SoftwareVersions = "0", "1"
    out.SyntheticData = "YES" if study.synthetic else "NO"
    return out


def reference_item(storage: str, uid: str) -> Dataset:
    """Make the item of a sequence that refers to a file by SOP class and instance UID."""
    from pydicom.dataset import Dataset as New

    out = New()
    out.ReferencedSOPClassUID, out.ReferencedSOPInstanceUID = storage, uid
    return out


def ds_text(value: float) -> str:
    """Write a number as a decimal string of at most 16 characters, which planning systems insist on.

    Raises
    ------
    ParameterError
        If it is not finite.
    """
    for digits in range(15, 0, -1):
        text = f"{float(value) + 0.0:.{digits}g}"
        if len(text) <= _DS_LENGTH and text not in ("nan", "inf", "-inf"):
            return text
    raise ParameterError(f"{value} cannot be written into DICOM; give a finite number")


def save_dataset(dataset: Dataset, path: Path) -> None:
    """Write a file, whole or not at all (Explicit VR Little Endian)."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    buffer = BytesIO()
    with quiet():
        dataset.save_as(buffer, enforce_file_format=True)
    write_bytes(buffer.getvalue(), path)


def fix_uids(path: Path, study: DicomStudy, name: str) -> str:
    """Give a file that was written with new UIDs those that follow from study and name; returns its SOP instance UID."""
    from pydicom import dcmread
    from pydicom.uid import UID

    with quiet():
        dataset = dcmread(path)
        uid = study.uid("file", name)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
        dataset.SeriesInstanceUID = study.uid("series", name)
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
    write_bytes(buffer.getvalue(), path)
    return uid
