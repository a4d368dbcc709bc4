"""Which radiotherapy phantoms there are: anatomy, targets with their doses, recurrences of intended classes."""

from __future__ import annotations

from dataclasses import dataclass

from regrowth.phantom.radiotherapy_shapes import Solid

__all__ = ["CASES", "Bump", "Phase", "RadiotherapyCase", "RecurrencePlace", "Target"]

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Target:
    """A target volume and what is prescribed to it: `prescription_gy` over the whole treatment."""

    solid: Solid
    prescription_gy: float


@dataclass(frozen=True)
class Phase:
    """A plan: what it gives to which targets (Gy in all), in how many fractions, from which angles."""

    label: str
    n_fractions: int
    doses_gy: tuple[tuple[str, float], ...]
    gantry_deg: tuple[float, ...]


@dataclass(frozen=True)
class RecurrencePlace:
    """A recurrence where it would lie in the planning CT, and the class it is meant to have.

    `origin`: A to E after Mohamed et al. (central high, peripheral high, central elective, peripheral elective, extraneous).
    `coverage`: share of it within 95 % of the highest prescription, as central (at least 95 %), in_field (80), marginal (20) or
    distant.
    """

    solid: Solid
    origin: str
    coverage: str


@dataclass(frozen=True)
class Bump:
    """A smooth displacement of tissue after treatment: `shift_mm` at the centre, Gaussian with `sigma_mm`."""

    centre_mm: Point
    shift_mm: Point
    sigma_mm: float


@dataclass(frozen=True)
class RadiotherapyCase:
    """A phantom.

    Parameters
    ----------
    name, site
        Its name and part of the body.
    extent_mm
        Size of the planning CT; the origin is at its centre.
    body
        Bodies whose union is the patient.
    tissues
        Later ones replace earlier ones.
    organs
        Names of tissues that are drawn as structures.
    controls
        Names of organs that are drawn on both scans, to align or to measure the registration by.
    targets
        From the highest prescription to the lowest; `gross` is the tumour.
    gross
        Gross tumour or tumour bed.
    phases
        Plans.
    recurrences, bumps
        What happens after treatment.
    angles_deg, shift_mm
        How the patient lies otherwise on the second scan.
    """

    name: str
    site: str
    extent_mm: Point
    body: tuple[Solid, ...]
    tissues: tuple[Solid, ...]
    organs: tuple[str, ...]
    controls: tuple[str, ...]
    gross: Solid
    targets: tuple[Target, ...]
    phases: tuple[Phase, ...]
    recurrences: tuple[RecurrencePlace, ...]
    bumps: tuple[Bump, ...]
    angles_deg: Point
    shift_mm: Point


def _ball(name: str, centre_mm: Point, radius_mm: float) -> Solid:
    return Solid(name, centre_mm, (radius_mm, radius_mm, radius_mm), 65.0)


def _spine(x: float, y: float, semi_mm: Point, step_mm: float) -> tuple[Solid, ...]:
    """Vertebrae, which give the scan something to tell levels by."""
    return tuple(Solid(f"vertebra {k}", (x, y, k * step_mm), semi_mm, 420.0) for k in range(-4, 5))


_HEAD_NECK = RadiotherapyCase(
    name="head_neck",
    site="head and neck",
    extent_mm=(240.0, 240.0, 165.0),
    body=(
        Solid("neck", (0, 0, -30), (66, 72, 80), 25.0, True),
        Solid("head", (0, 5, 62), (76, 92, 84), 25.0),
        Solid("shoulders", (0, -5, -95), (108, 70, 34), 25.0),
    ),
    tissues=(
        *_spine(0, -22, (16, 14, 8.5), 20),
        Solid("SpinalCord", (0, -44, 0), (8, 7, 100), 15.0, True),
        Solid("mandible right", (43, 48, 20), (8, 30, 12), 850.0),
        Solid("mandible left", (-43, 48, 20), (8, 30, 12), 850.0),
        Solid("Parotid_R", (58, -5, 38), (12, 18, 20), 0.0),
        Solid("Parotid_L", (-58, -5, 38), (12, 18, 20), 0.0),
        Solid("Thyroid cartilage", (0, 40, -42), (22, 15, 15), 160.0),
        Solid("airway", (0, 32, -20), (9, 8, 62), -990.0, True),
    ),
    organs=("SpinalCord", "Parotid_R", "Parotid_L", "Thyroid cartilage"),
    controls=("Thyroid cartilage", "SpinalCord"),
    gross=Solid("GTV", (18, 20, 0), (13, 13, 15), 55.0),
    targets=(
        Target(Solid("PTV_65", (18, 20, 0), (22, 22, 24)), 65.0),
        Target(Solid("PTV_60", (44, 0, -12), (19, 26, 40)), 60.0),
        Target(Solid("PTV_54", (-42, -2, -12), (18, 24, 42)), 54.0),
    ),
    phases=(Phase("HN SIB", 30, (("PTV_65", 65.0), ("PTV_60", 60.0), ("PTV_54", 54.0)), (0, 72, 144, 216, 288)),),
    recurrences=(
        RecurrencePlace(_ball("rGTV_1", (18, 20, -8), 7), "A", "central"),
        RecurrencePlace(_ball("rGTV_2", (18, 20, 18), 11), "B", "in_field"),
        RecurrencePlace(_ball("rGTV_3", (-42, -2, -8), 8), "C", "distant"),
        RecurrencePlace(_ball("rGTV_4", (-42, -2, -49), 10), "D", "distant"),
        RecurrencePlace(_ball("rGTV_5", (-25, 0, 62), 8), "E", "distant"),
    ),
    bumps=(
        Bump((55, 30, -10), (-6, -2, 1), 32.0),
        Bump((-55, 10, -20), (5, -2, 0), 32.0),
        Bump((0, 40, 40), (0, -3, -4), 36.0),
    ),
    angles_deg=(4.0, -2.0, 3.0),
    shift_mm=(6.0, -9.0, 12.0),
)

_BREAST = RadiotherapyCase(
    name="breast",
    site="breast",
    extent_mm=(324.0, 282.0, 156.0),
    body=(
        Solid("thorax", (0, -15, 0), (150, 92, 200), 10.0, True),
        Solid("breast right", (76, 70, 0), (62, 58, 64), -85.0),
        Solid("breast left", (-76, 70, 0), (62, 58, 64), -85.0),
    ),
    tissues=(
        Solid("breast tissue right", (76, 78, 0), (50, 42, 52), -60.0),
        Solid("breast tissue left", (-76, 78, 0), (50, 42, 52), -60.0),
        Solid("chest wall", (0, -15, 0), (138, 80, 200), 40.0, True),
        Solid("Lung_R", (68, -15, 0), (55, 62, 115), -760.0),
        Solid("Lung_L", (-72, -15, 0), (50, 62, 110), -760.0),
        Solid("Heart", (-28, 10, -38), (42, 38, 46), 42.0),
        Solid("Sternum", (0, 66, 0), (19, 7, 62), 330.0),
        *_spine(0, -58, (19, 17, 10), 24),
        Solid("SpinalCanal", (0, -80, 0), (9, 8, 66), 15.0, True),
        Solid("trachea", (0, -22, 50), (9, 8, 34), -980.0, True),
        Solid("Carina", (0, -22, 14), (10, 8, 7), -700.0),
    ),
    organs=("Lung_R", "Lung_L", "Heart", "Sternum", "SpinalCanal", "Carina"),
    controls=("Sternum", "SpinalCanal", "Carina"),
    gross=Solid("TumourBed", (80, 92, 8), (10, 9, 10), 25.0),
    targets=(
        Target(Solid("PTV_TB_48", (80, 90, 8), (16, 15, 16)), 48.0),
        Target(Solid("PTV_PB_40", (80, 88, 6), (36, 26, 36)), 40.0),
        Target(Solid("PTV_WB_36", (76, 84, 0), (52, 32, 54)), 36.0),
    ),
    phases=(Phase("Breast SIB", 15, (("PTV_TB_48", 48.0), ("PTV_PB_40", 40.0), ("PTV_WB_36", 36.0)), (50, 230)),),
    recurrences=(
        RecurrencePlace(_ball("rGTV_1", (80, 90, 1), 6), "A", "central"),
        RecurrencePlace(_ball("rGTV_2", (80, 90, 20), 7.5), "B", "in_field"),
        RecurrencePlace(_ball("rGTV_3", (106, 88, 6), 6), "C", "distant"),
        RecurrencePlace(_ball("rGTV_4", (74, 84, -41), 6), "C", "distant"),
        RecurrencePlace(_ball("rGTV_5", (122, 10, 45), 8), "E", "distant"),
    ),
    bumps=(
        Bump((80, 95, 5), (-4, -5, -4), 34.0),
        Bump((-80, 90, 0), (3, -3, 4), 38.0),
        Bump((60, -20, -50), (0, 2, 5), 40.0),
    ),
    angles_deg=(1.5, -2.5, 2.0),
    shift_mm=(-8.0, 5.0, -10.0),
)

_BRAIN = RadiotherapyCase(
    name="brain",
    site="brain",
    extent_mm=(216.0, 240.0, 174.0),
    body=(Solid("head", (0, 0, 0), (75, 95, 84), 20.0), Solid("neck", (0, -20, -70), (50, 55, 40), 25.0, True)),
    tissues=(
        Solid("skull", (0, 0, 0), (70, 90, 79), 950.0),
        Solid("Brain", (0, 0, 0), (64, 84, 73), 34.0),
        Solid("ventricle right", (14, 2, 10), (8, 30, 12), 6.0),
        Solid("ventricle left", (-14, 2, 10), (8, 30, 12), 6.0),
        Solid("BrainStem", (0, -18, -45), (13, 13, 25), 30.0),
        Solid("OpticChiasm", (0, 18, -26), (9, 5, 3.5), 38.0),
        Solid("nasal cavity", (0, 78, -52), (14, 20, 16), -950.0),
    ),
    organs=("Brain", "BrainStem", "OpticChiasm"),
    controls=("Brain", "BrainStem"),
    gross=Solid("GTV", (32, 20, 16), (13, 14, 13), 14.0),
    targets=(
        Target(Solid("PTV_60", (32, 20, 16), (20, 22, 20)), 60.0),
        Target(Solid("PTV_46", (32, 20, 16), (29, 39, 30)), 46.0),
    ),
    phases=(
        Phase("Brain 46", 23, (("PTV_46", 46.0),), (60, 120, 300)),
        Phase("Brain boost 14", 7, (("PTV_60", 14.0),), (60, 120, 300)),
    ),
    recurrences=(
        RecurrencePlace(_ball("rGTV_1", (32, 20, 8), 8), "A", "central"),
        RecurrencePlace(_ball("rGTV_2", (32, 18, 34), 10), "B", "in_field"),
        RecurrencePlace(_ball("rGTV_3", (32, 47.5, 12), 8), "C", "marginal"),
        RecurrencePlace(_ball("rGTV_4", (-34, -30, 20), 9), "E", "distant"),
    ),
    bumps=(Bump((32, 20, 16), (-4, -3, -3), 28.0), Bump((-10, 10, 10), (2, 1, 2), 30.0)),
    angles_deg=(-3.0, 2.0, 4.0),
    shift_mm=(5.0, 8.0, -7.0),
)

CASES = {case.name: case for case in (_HEAD_NECK, _BREAST, _BRAIN)}
"""The phantoms by name: `head_neck`, `breast` and `brain`."""
