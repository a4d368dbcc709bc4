"""A small folder as a hospital exports it: CT, structures, plan and dose of a patient, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread

from regrowth.io.dicom_plan_writing import PlanTarget, PlanToWrite, write_rtplan
from regrowth.io.dicom_study import DicomStudy
from regrowth.io.dicom_volume_writing import write_image_series, write_rtdose
from regrowth.io.rtstruct_writing import write_rtstruct
from regrowth.radiotherapy import Contour, Structure
from regrowth.space import Grid, Image

STUDY = DicomStudy("Q-4711", "Nachtigall^Ilse", "tests", "planning", "planning", date(2021, 5, 3))
AFFINE = np.array([[-2.0, 0, 0, 11], [0, -2.0, 0, 7], [0, 0, 3.0, -30], [0, 0, 0, 1]])
SHAPE = (8, 6, 5)


def ct_image(affine: np.ndarray = AFFINE) -> Image:
    values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) - 900
    return Image(values, Grid(SHAPE, affine), "HU")


def square(grid: Grid, k: int) -> Contour:
    return Contour(grid.world(np.array([[1, 1, k], [4, 1, k], [4, 4, k], [1, 4, k]], float)))


@dataclass(frozen=True)
class Export:
    """What was written, by path and UID."""

    folder: Path
    study: DicomStudy
    series: str
    structures: str
    plan: str
    dose: str

    def path(self, name: str) -> Path:
        return self.folder / name


def export(folder: Path, study: DicomStudy = STUDY, *, n_beams: int = 2) -> Export:
    """Write ct/*.dcm, rs.dcm, rp.dcm and rd.dcm."""
    image = ct_image()
    series = write_image_series(image, folder / "ct", study, f"CT {study.study}")
    structure = Structure("PTV", (square(image.grid, 1), square(image.grid, 2)), 1, None, "PTV", study.frame_uid)
    write_rtstruct([structure], folder / "ct", folder / "rs.dcm")
    structures = str(dcmread(folder / "rs.dcm").SOPInstanceUID)
    angles = tuple(float(90 * k) for k in range(n_beams))
    plan = PlanToWrite("Plan", 30, (PlanTarget("PTV", 1, 60.0),), angles, (0, 0, 0), structures)
    plan_uid = write_rtplan(plan, folder / "rp.dcm", study)
    dose = write_rtdose(dose_image(60), folder / "rd.dcm", study, "dose", plan_uid=plan_uid)
    return Export(folder, study, series, structures, plan_uid, dose)


def dose_image(gy: float) -> Image:
    return Image(np.full(SHAPE, gy, np.float32), Grid(SHAPE, AFFINE), "Gy")


def of_patient(identifier: str, name: str = "Amsel^Otto") -> DicomStudy:
    return replace(STUDY, patient_id=identifier, patient_name=name)


def spoil(path: Path, change: Callable[[Dataset], None]) -> None:
    """Change the attributes of a file."""
    dataset = dcmread(path)
    change(dataset)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    dataset.save_as(path)
