"""What a synthetic radiotherapy patient looks like before and after treatment, where the dose lay and what is true about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regrowth.errors import ParameterError
from regrowth.phantom.deformation import rigid_matrix
from regrowth.phantom.fields import covering_lattice, sampled, smooth_field, smoothstep
from regrowth.phantom.radiotherapy_cases import CASES, Phase, RadiotherapyCase, RecurrencePlace
from regrowth.phantom.radiotherapy_shapes import Solid
from regrowth.radiotherapy import Contour, Structure
from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform

__all__ = ["RadiotherapyPatient", "RecurrenceDose", "synthetic_radiotherapy"]

_AIR_HU = -1000.0
_FULL = 1.01  # of the prescribed dose, deep inside a target: below 1/0.95, so that a lower level never passes for the next
_EDGE_MM = 7.0  # how far outside of a target the dose has fallen to a half
_FALL_MM = 2.2
_BATH, _BATH_MM = 0.25, 40.0  # low dose around, as a share, and its reach
_SKIN_MM = 4.0
_TEXTURE_HU, _TEXTURE_MM = 12.0, 6.0
_NOISE_HU = 8.0
_SAMPLE_MM = 0.4
_INVERSE_MM = 5e-4
_SLICE_MM = 3.0
_MOST_SLICES = 60
_COLOURS = ((255, 0, 0), (255, 140, 0), (0, 160, 255), (0, 200, 80), (190, 60, 220), (120, 120, 0), (0, 120, 120))


@dataclass(frozen=True)
class RecurrenceDose:
    """What is true about a recurrence.

    Parameters
    ----------
    name
        Structure on the relapse scan.
    planning_mm, relapse_mm
        Centroid on either scan, RAS+ mm. That on the relapse scan is the centroid of the moved body, not the moved centroid.
    volume_ml
        Volume on the planning CT.
    dose_at_centroid_gy, mean_gy, d95_gy, d50_gy, min_gy, max_gy
        Total dose in it.
    share_in_95
        Share of its volume that got at least 95 % of the highest prescription.
    target_of_origin
        Target of the highest prescription that holds its centroid; empty if none does.
    origin
        A to E after Mohamed et al. (Radiat Oncol 2016; 11), as named in doi:10.1186/s13014-017-0868-y.
    coverage
        central, in_field, marginal, distant by `share_in_95` (0.95, 0.80, 0.20).
    centroid_codes
        For every prescription whether the dose at the centroid is at least 95 % of it (1) or not (0).
    """

    name: str
    planning_mm: tuple[float, float, float]
    relapse_mm: tuple[float, float, float]
    volume_ml: float
    dose_at_centroid_gy: float
    mean_gy: float
    d95_gy: float
    d50_gy: float
    min_gy: float
    max_gy: float
    share_in_95: float
    target_of_origin: str
    origin: str
    coverage: str
    centroid_codes: dict[str, int]


@dataclass(frozen=True, eq=False)
class RadiotherapyPatient:
    """A synthetic patient. Points of the planning CT are the truth; the relapse scan is made from them.

    Parameters
    ----------
    case
        What it is made of.
    spacing_mm, seed
        As given.
    """

    case: RadiotherapyCase
    spacing_mm: float
    seed: int

    # --- places ---------------------------------------------------------------------------------------------------------

    @property
    def rigid(self) -> AffineMap:
        """How the patient lies otherwise on the relapse scan: planning to relapse, without the deformation."""
        return AffineMap(rigid_matrix(np.array(self.case.angles_deg), np.array(self.case.shift_mm), np.zeros(3)))

    def displacement_mm(self, planning_mm: np.ndarray) -> np.ndarray:
        """How far tissue at points (..., 3) of the planning CT moves by the deformation alone."""
        points = np.asarray(planning_mm)
        out = np.zeros_like(points)
        for bump in self.case.bumps:
            squared = ((points - np.array(bump.centre_mm, points.dtype)) ** 2).sum(axis=-1)
            weight = np.exp(-squared / points.dtype.type(2 * bump.sigma_mm**2))
            out += weight[..., None] * np.array(bump.shift_mm, points.dtype)
        return out

    def relapse_points(self, planning_mm: np.ndarray) -> np.ndarray:
        """Where points (..., 3) of the planning CT lie on the relapse scan: exact."""
        return self.rigid.map_points(
            np.asarray(planning_mm, np.float64) + self.displacement_mm(np.asarray(planning_mm, np.float64))
        )

    def planning_points(self, relapse_mm: np.ndarray) -> np.ndarray:
        """Where points (..., 3) of the relapse scan lie on the planning CT, by fixed-point iteration (within 1e-3 mm)."""
        given = np.asarray(relapse_mm)
        back = AffineMap(np.linalg.inv(self.rigid.matrix)).map_points(given).astype(given.dtype)
        points, change = back, np.inf
        while change > _INVERSE_MM:  # the displacement changes by less than a quarter of the way, so that this ends soon
            before, points = points, back - self.displacement_mm(points)
            change = float(np.abs(points - before).max()) if points.size else 0.0
        return points

    def relapse_to_planning(self, grid: Grid) -> Transform:
        """Give the true transform ``from-relapse_to-planning``, sampled on a grid of the planning CT."""
        points = Transform().map_grid(grid)
        field = (self.relapse_points(points) - points).astype(np.float32)
        return Transform((DisplacementMap(field, grid),), "relapse", "planning", fixed=grid)

    # --- grids and images -----------------------------------------------------------------------------------------------

    def planning_grid(self) -> Grid:
        """Grid of the planning CT, in the axes of DICOM (columns to the left, rows to the back, planes upwards)."""
        return _ct_grid(np.array(self.case.extent_mm), np.zeros(3), self.spacing_mm, _slice_mm(self.spacing_mm))

    def relapse_grid(self) -> Grid:
        """Grid of the relapse CT: larger pixels, another middle."""
        centre = np.array(self.case.shift_mm) * 0.5 + 0.37
        return _ct_grid(np.array(self.case.extent_mm), centre, self.spacing_mm * 1.1, _slice_mm(self.spacing_mm))

    def dose_grid(self) -> Grid:
        """Grid of the doses: that of a planning system, not of the CT."""
        step = max(self.spacing_mm, 2.5)
        return _ct_grid(np.array(self.case.extent_mm) - 8, np.array([1.3, -0.7, 0.4]), step, step)

    def planning_ct(self) -> Image:
        """Planning CT, Hounsfield units."""
        grid = self.planning_grid()
        points = Transform().map_grid(grid).astype(np.float32)
        return Image(self._scanned(self._density_hu(points), 1), grid, "HU")

    def relapse_ct(self) -> Image:
        """Relapse CT, with the recurrences; Hounsfield units."""
        grid = self.relapse_grid()
        points = self._relapse_origins
        hu = self._density_hu(points)
        for place in self.case.recurrences:
            hu = _blended(hu, place.solid, points, self.spacing_mm)
        return Image(self._scanned(hu, 2), grid, "HU")

    def dose(self, phase: Phase) -> Image:
        """Dose of a plan on the grid of doses, Gy."""
        grid = self.dose_grid()
        gy = self.phase_dose_gy(phase, Transform().map_grid(grid).astype(np.float32))
        return Image(np.asarray(gy, np.float32), grid, "Gy")

    # --- dose -----------------------------------------------------------------------------------------------------------

    def phase_dose_gy(self, phase: Phase, points_mm: np.ndarray) -> np.ndarray:
        """Dose of a plan at points (..., 3) of the planning CT: exact."""
        solids = {t.solid.name: t.solid for t in self.case.targets}
        total = np.zeros(np.shape(points_mm)[:-1])
        for name, gy in phase.doses_gy:
            depth = solids[name].depth_mm(points_mm)
            near = _FULL / (1 + np.exp(-np.clip(depth + _EDGE_MM, -60, 60) / _FALL_MM))
            far = _BATH * np.exp(np.minimum(depth, 0) / _BATH_MM)
            total = np.maximum(total, gy * np.maximum(near, far))
        return np.asarray(total * smoothstep((self._body_depth(points_mm) + _SKIN_MM) / _SKIN_MM))

    def dose_gy(self, points_mm: np.ndarray) -> np.ndarray:
        """Dose of the whole treatment at points (..., 3) of the planning CT: exact."""
        return np.asarray(sum(self.phase_dose_gy(phase, points_mm) for phase in self.case.phases))

    # --- structures -----------------------------------------------------------------------------------------------------

    def planning_structures(self, frame_of_reference_uid: str = "") -> tuple[Structure, ...]:
        """Body, targets and organs, drawn on the planning CT."""
        drawn: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [("BODY", "EXTERNAL", self._body_depth)]
        drawn += [(s.name, kind, s.depth_mm) for s, kind in self._planning_solids()]
        grid = self.planning_grid()
        points = Transform().map_grid(grid).astype(np.float32)
        return tuple(
            _drawn(name, kind, depth(points), grid, number, frame_of_reference_uid)
            for number, (name, kind, depth) in enumerate(drawn, 1)
        )

    def relapse_structures(self, frame_of_reference_uid: str = "") -> tuple[Structure, ...]:
        """Recurrences and control structures, drawn on the relapse CT."""
        by_name = {s.name: s for s in self.case.tissues}
        solids = [(r.solid, "GTV") for r in self.case.recurrences]
        solids += [(by_name[name], "CONTROL") for name in self.case.controls]
        grid = self.relapse_grid()
        points = self._relapse_origins
        return tuple(
            _drawn(s.name, kind, s.depth_mm(points), grid, number, frame_of_reference_uid)
            for number, (s, kind) in enumerate(solids, 1)
        )

    def target_numbers(self) -> dict[str, int]:
        """Number of every structure of the planning CT."""
        return {name: number for number, name in enumerate(["BODY", *(s.name for s, _ in self._planning_solids())], 1)}

    # --- truth ----------------------------------------------------------------------------------------------------------

    def recurrence_truth(self) -> tuple[RecurrenceDose, ...]:
        """What is true about every recurrence, from a dense lattice inside of it and the exact dose."""
        return tuple(self._truth_of(place) for place in self.case.recurrences)

    def landmarks(self, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, 3) inside of the patient, on the planning CT and on the relapse CT, RAS+ mm."""
        rng = np.random.default_rng([self.seed, 3])
        half = np.array(self.case.extent_mm) / 2 - 18
        points = rng.uniform(-half, half, (40 * n, 3))
        inside = points[self._body_depth(points) > 5][:n]
        return inside, self.relapse_points(inside)

    def _planning_solids(self) -> list[tuple[Solid, str]]:
        by_name = {s.name: s for s in self.case.tissues}
        clinical = self.case.gross.grown(4.0, f"CTV_{self.case.targets[0].prescription_gy:.0f}")
        out = [(self.case.gross, "GTV"), (clinical, "CTV")]
        out += [(t.solid, "PTV") for t in self.case.targets]
        return [*out, *((by_name[name], "CONTROL" if name in self.case.controls else "ORGAN") for name in self.case.organs)]

    def _truth_of(self, place: RecurrencePlace) -> RecurrenceDose:
        points = place.solid.samples_mm(_SAMPLE_MM)
        dose = self.dose_gy(points)
        centre = np.array(place.solid.centre_mm, np.float64)
        at_centre = float(self.dose_gy(centre[None])[0])
        highest = self.case.targets[0].prescription_gy
        share = float((dose >= 0.95 * highest).mean())
        d95 = float(np.quantile(dose, 0.05))
        holding = [t for t in self.case.targets if t.solid.depth_mm(centre[None])[0] > 0]
        origin = "E"
        if holding:
            covered = d95 >= 0.95 * holding[0].prescription_gy
            origin = ("A" if covered else "B") if holding[0] is self.case.targets[0] else ("C" if covered else "D")
        moved = self.relapse_points(points)
        # The part of a moved body is its volume there, so that samples count by how much space stretches around them.
        weight = self._stretch(points)
        relapse = (moved * weight[:, None]).sum(axis=0) / weight.sum()
        return RecurrenceDose(
            place.solid.name,
            tuple(float(v) for v in centre),  # type: ignore[arg-type]
            tuple(float(v) for v in relapse),  # type: ignore[arg-type]
            place.solid.volume_ml,
            at_centre,
            float(dose.mean()),
            d95,
            float(np.median(dose)),
            float(dose.min()),
            float(dose.max()),
            share,
            holding[0].solid.name if holding else "",
            origin,
            next(
                name
                for name, least in (("central", 0.95), ("in_field", 0.8), ("marginal", 0.2), ("distant", 0))
                if share >= least
            ),
            {t.solid.name: int(at_centre >= 0.95 * t.prescription_gy) for t in self.case.targets},
        )

    def _stretch(self, points: np.ndarray, step_mm: float = 0.5) -> np.ndarray:
        """Jacobian determinant of the map to the relapse scan at points (n, 3)."""
        columns = []
        for axis in np.eye(3) * step_mm:
            columns.append((self.relapse_points(points + axis) - self.relapse_points(points - axis)) / (2 * step_mm))
        return np.asarray(np.linalg.det(np.stack(columns, axis=-1)))

    # --- density --------------------------------------------------------------------------------------------------------

    @cached_property
    def _texture(self) -> tuple[Grid, np.ndarray]:
        half = np.array(self.case.extent_mm) / 2 + 20
        lattice = covering_lattice(-half, half, _TEXTURE_MM)
        return lattice, smooth_field(lattice, _TEXTURE_MM, np.random.default_rng([self.seed, 0]))

    @cached_property
    def _relapse_origins(self) -> np.ndarray:
        """(X, Y, Z, 3), where the voxels of the relapse CT lie on the planning CT."""
        return self.planning_points(Transform().map_grid(self.relapse_grid()).astype(np.float32))

    def _body_depth(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(np.max([s.depth_mm(points) for s in self.case.body], axis=0))

    def _density_hu(self, points: np.ndarray) -> np.ndarray:
        """Density of tissue at points (..., 3) of the planning CT, with its texture."""
        hu = np.full(points.shape[:-1], _AIR_HU, np.float32)
        for solid in (*self.case.body, *self.case.tissues, self.case.gross):
            hu = _blended(hu, solid, points, self.spacing_mm)
        lattice, field = self._texture
        texture = sampled(field, np.moveaxis(lattice.index(points), -1, 0))
        return hu + _TEXTURE_HU * texture * smoothstep((hu + 900) / 300)

    def _scanned(self, hu: np.ndarray, scan: int) -> np.ndarray:
        noise = np.random.default_rng([self.seed, scan]).standard_normal(hu.shape, dtype=np.float32)
        return np.clip(np.round(hu + _NOISE_HU * noise), -1024, 3000).astype(np.float32)


def synthetic_radiotherapy(case: str, spacing_mm: float = 3.0, seed: int = 0) -> RadiotherapyPatient:
    """Make a synthetic patient who had radiotherapy and a recurrence.

    Parameters
    ----------
    case
        ``head_neck`` (three dose levels at once), ``breast`` (likewise) or ``brain`` (a plan and a boost).
    spacing_mm
        Pixels of the planning CT, 1 to 5 mm; its planes are 3 mm apart, or as the pixels where those are larger.
    seed
        Of texture, noise and landmarks. Shapes, doses and classes do not depend on it.

    Returns
    -------
    RadiotherapyPatient

    Raises
    ------
    ParameterError
        If there is no such case, or the spacing is another.
    """
    if case not in CASES:
        raise ParameterError(f"there is no radiotherapy phantom {case!r}; the cases are {', '.join(CASES)}")
    if not 1 <= spacing_mm <= 5:
        raise ParameterError(f"the spacing of the phantom is 1 to 5 mm, not {spacing_mm}")
    return RadiotherapyPatient(CASES[case], float(spacing_mm), int(seed))


def _slice_mm(spacing_mm: float) -> float:
    return max(spacing_mm, _SLICE_MM)


def _ct_grid(extent_mm: np.ndarray, centre_mm: np.ndarray, pixel_mm: float, slice_mm: float) -> Grid:
    steps = np.array([pixel_mm, pixel_mm, slice_mm])
    shape = np.minimum(np.round(extent_mm / steps).astype(int), [10_000, 10_000, _MOST_SLICES])
    affine = np.diag([-steps[0], -steps[1], steps[2], 1.0])
    affine[:3, 3] = centre_mm - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _blended(hu: np.ndarray, solid: Solid, points: np.ndarray, width_mm: float) -> np.ndarray:
    """Put a body into what is there, its surface blurred over a voxel as by a scanner."""
    share = np.clip(solid.depth_mm(points) / width_mm + 0.5, 0, 1).astype(np.float32)
    return np.asarray(hu * (1 - share) + np.float32(solid.hu) * share)


def _drawn(name: str, kind: str, depth: np.ndarray, grid: Grid, number: int, frame: str) -> Structure:
    """Draw the outline of a body on every plane of a grid, as a physician would: between the pixels."""
    from skimage.measure import find_contours

    contours = []
    padded = np.pad(depth, ((1, 1), (1, 1), (0, 0)), constant_values=-1.0)
    for k in np.flatnonzero((padded > 0).any(axis=(0, 1))):
        for loop in find_contours(padded[:, :, k], 0.0):
            if len(loop) > 3:
                ijk = np.column_stack([loop[:-1] - 1, np.full(len(loop) - 1, float(k))])
                contours.append(Contour(grid.world(ijk)))
    return Structure(name, tuple(contours), number, _COLOURS[number % len(_COLOURS)], kind, frame)
