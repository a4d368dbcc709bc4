"""What a radiotherapy structure is: named contours in the patient, kept as they were drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.errors import ParameterError

__all__ = ["Contour", "Structure", "StructureSet"]


@dataclass(frozen=True, eq=False)
class Contour:
    """One contour.

    Parameters
    ----------
    points_mm
        (n, 3) RAS+ mm; a closed contour does not repeat its first point.
    geometric_type
        Type of the DICOM standard: ``CLOSED_PLANAR``, ``CLOSEDPLANAR_XOR``, ``OPEN_PLANAR``, ``OPEN_NONPLANAR`` or ``POINT``.
    """

    points_mm: np.ndarray
    geometric_type: str = "CLOSED_PLANAR"

    def __post_init__(self) -> None:
        points = np.array(self.points_mm, np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or not len(points) or not np.isfinite(points).all():
            raise ParameterError(f"a contour has points (n, 3) of finite mm, not an array of shape {points.shape}")
        points.flags.writeable = False
        object.__setattr__(self, "points_mm", points)

    @property
    def is_closed(self) -> bool:
        """Whether it encloses an area."""
        return self.geometric_type.upper().startswith("CLOSED") and len(self.points_mm) >= 3


@dataclass(frozen=True, eq=False)
class Structure:
    """A region of interest as contours.

    Parameters
    ----------
    name
        Name as it was given.
    contours
        Contours in any order and plane; none for a structure that was named but never drawn.
    number
        Number in its structure set.
    colour
        Red, green, blue, 0 to 255; None if it has none.
    roi_type
        Interpreted type, such as ``GTV``, ``CTV``, ``PTV``, ``ORGAN``; empty if it has none.
    frame_of_reference_uid
        Frame of reference that the contours lie in; empty if not known.
    """

    name: str
    contours: tuple[Contour, ...] = ()
    number: int = 0
    colour: tuple[int, int, int] | None = None
    roi_type: str = ""
    frame_of_reference_uid: str = ""


@dataclass(frozen=True, eq=False)
class StructureSet:
    """The structures of one RTSTRUCT.

    Parameters
    ----------
    structures
        In the order of the file.
    frame_of_reference_uid, referenced_series_uid
        What they were drawn on; empty if not known.
    label
        Label of the set.
    sop_instance_uid
        Identifier that plans refer to.
    """

    structures: tuple[Structure, ...]
    frame_of_reference_uid: str = ""
    referenced_series_uid: str = ""
    label: str = ""
    sop_instance_uid: str = ""

    def names(self) -> tuple[str, ...]:
        """Names in the order of the file."""
        return tuple(s.name for s in self.structures)
