"""What a DICOM registration says: how points of one frame of reference lie in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regrowth.errors import ImageFileError, ParameterError
from regrowth.io.dicom_geometry import LPS_TO_RAS, quiet, read_dicom
from regrowth.space import AffineMap, Transform

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["FrameRegistration", "read_registration", "registration_between"]

_STORAGE = "1.2.840.10008.5.1.4.1.1.66.1"
_DEFORMABLE = "1.2.840.10008.5.1.4.1.1.66.3"
_KEYWORDS = ("SOPClassUID", "Modality", "FrameOfReferenceUID", "RegistrationSequence")
_RIGID_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class FrameRegistration:
    """A linear map from one frame of reference to another.

    Parameters
    ----------
    from_frame_uid, to_frame_uid
        Frames of reference.
    map
        Takes points of the first frame to the second, RAS+ mm.
    matrix_type
        ``RIGID``, ``RIGID_SCALE`` or ``AFFINE``, as the file says.
    status
        ``ok``; ``not_rigid``: says that it is rigid, but stretches or mirrors.
    reason
        What that means; empty with ``ok``.
    """

    from_frame_uid: str
    to_frame_uid: str
    map: AffineMap
    matrix_type: str
    status: str
    reason: str

    def transform(self) -> Transform:
        """Give the transform that moves an image of the first frame into the second; it maps points the other way."""
        inverse = np.linalg.inv(self.map.matrix)
        return Transform.affine(inverse, from_space=self.from_frame_uid, to_space=self.to_frame_uid)


def read_registration(path: Path) -> tuple[FrameRegistration, ...]:
    """Read a registration (Spatial Registration Storage).

    Several matrices of one item are applied in the order of the file (DICOM PS3.3 C.20.2).

    Parameters
    ----------
    path
        DICOM file.

    Returns
    -------
    tuple of FrameRegistration
        One for every frame of reference that is joined to that of the file; often one of them is the identity of that frame.

    Raises
    ------
    ImageFileError
        If it is no registration, is deformable, names no frames of reference, or a matrix is damaged.
    """
    dataset = read_dicom(path, _KEYWORDS, pixels=False)
    with quiet():
        storage = str(dataset.get("SOPClassUID", ""))
        if storage == _DEFORMABLE:
            raise ImageFileError(f"{path}: is a deformable registration, which is not read; export it as a displacement field")
        if storage != _STORAGE:
            what = str(dataset.get("Modality", "")) or "of no modality"
            raise ImageFileError(f"{path}: is {what}, not a registration; name the file of the registration")
        target = str(dataset.get("FrameOfReferenceUID") or "")
        found = [_item(item, target, path) for item in dataset.get("RegistrationSequence") or ()]
    if not found:
        raise ImageFileError(f"{path}: registers nothing; export it again")
    return tuple(found)


def registration_between(registrations: Sequence[FrameRegistration], from_frame_uid: str, to_frame_uid: str) -> AffineMap:
    """Find how points of one frame of reference lie in another, directly, backwards or through a common frame.

    Parameters
    ----------
    registrations
        As read, of one or several files.
    from_frame_uid, to_frame_uid
        Frames of reference.

    Returns
    -------
    AffineMap
        Of points, RAS+ mm.

    Raises
    ------
    ParameterError
        If the two are not joined, or two paths of equal length lead to places more than 0.1 mm apart.
    """
    steps: dict[str, list[tuple[str, np.ndarray]]] = {}
    for r in registrations:
        if r.from_frame_uid != r.to_frame_uid:
            steps.setdefault(r.from_frame_uid, []).append((r.to_frame_uid, r.map.matrix))
            steps.setdefault(r.to_frame_uid, []).append((r.from_frame_uid, np.linalg.inv(r.map.matrix)))
    reached = {from_frame_uid: [np.eye(4)]}
    while to_frame_uid not in reached:
        border = [(there, m @ done) for here, all_ in reached.items() for done in all_ for there, m in steps.get(here, ())]
        fresh: dict[str, list[np.ndarray]] = {}
        for there, matrix in border:
            if there not in reached:
                fresh.setdefault(there, []).append(matrix)
        if not fresh:
            raise ParameterError("no registration joins the two frames of reference; register the images")
        reached.update(fresh)
    matrices = reached[to_frame_uid]
    probes = np.array([[100.0 * (i == j) for j in range(3)] for i in range(4)])
    places = [AffineMap(m).map_points(probes) for m in matrices]
    apart = max(float(np.linalg.norm(p - places[0], axis=1).max()) for p in places)
    if apart > 0.1:
        raise ParameterError(
            f"several registrations join the two frames and differ by up to {apart:.1f} mm; give only the right one"
        )
    return AffineMap(matrices[0])


def _item(item: Dataset, target: str, path: Path) -> FrameRegistration:
    source = str(item.get("FrameOfReferenceUID") or "")
    if not source or not target:
        raise ImageFileError(f"{path}: does not say which frames of reference it joins; export it again")
    total, kinds = np.eye(4), set()
    for registration in item.get("MatrixRegistrationSequence") or ():
        for part in registration.get("MatrixSequence") or ():
            values = part.get("FrameOfReferenceTransformationMatrix")
            if values is None or len(values) != 16:
                raise ImageFileError(
                    f"{path}: a matrix has {0 if values is None else len(values)} numbers, not 16; export it again"
                )
            total = np.array([float(v) for v in values]).reshape(4, 4) @ total
            kinds.add(str(part.get("FrameOfReferenceTransformationMatrixType") or ""))
    flat = np.isfinite(total).all() and np.allclose(total[3], [0, 0, 0, 1]) and abs(np.linalg.det(total[:3, :3])) > 1e-9
    if not kinds or not flat:
        raise ImageFileError(f"{path}: {'a matrix is no map of space' if kinds else 'has no matrix'}; export it again")
    linear = total[:3, :3]
    is_rigid = np.abs(linear.T @ linear - np.eye(3)).max() < _RIGID_TOLERANCE and np.linalg.det(linear) > 0
    wrong = kinds == {"RIGID"} and not is_rigid
    reason = "is called rigid, but its matrix stretches or mirrors; check the export before it is used" if wrong else ""
    kind = next(k for k in ("AFFINE", "RIGID_SCALE", "RIGID", "") if k in kinds or k == "")
    moved = LPS_TO_RAS @ total @ LPS_TO_RAS
    return FrameRegistration(source, target, AffineMap(moved), kind, "not_rigid" if wrong else "ok", reason)
