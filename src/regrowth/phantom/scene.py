"""What is where in a patient: the maps between exams and template, and the lesions of both exams.

Every lesion is a function of the place in the *baseline* exam. A point y of the follow-up shows what lies at psi(y), so
that the truth needs no inversion: the error of any estimate T of the opposite map at x is |psi(T(x)) - x|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regrowth.phantom.anatomy import Tissue, brain_lattice, drawn_anatomy, surroundings, tissue_at
from regrowth.phantom.deformation import limited_displacement, radial_displacement, rigid_matrix
from regrowth.phantom.fields import sampled, smooth_field, smooth_vectors
from regrowth.phantom.lesion import Blob, blob_depth, drawn_blob, main_part, rim_thickness_mm, spread_mm
from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.placement import Surroundings, drawn_primary_site, drawn_recurrence_site
from regrowth.phantom.template import Template
from regrowth.space import AffineMap, DisplacementMap, Grid, Transform, distance_to_mm

__all__ = ["Lesions", "Scene", "drawn_scene", "wanted_class"]

_CYCLE = ("local", "marginal", "distant", "local", "local")


@dataclass(frozen=True, eq=False)
class Lesions:
    """The lesions of one exam on the lattice, all (X, Y, Z) float32 depths in mm, positive inside.

    Parameters
    ----------
    core
        Enhancing tumour and what it encloses.
    rim
        Thickness of the enhancing rim; deeper parts of the core are necrosis.
    oedema
        Oedema and infiltration, core included.
    cavity
        Resection cavity.
    """

    core: np.ndarray
    rim: np.ndarray
    oedema: np.ndarray
    cavity: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """A patient before images are taken.

    Parameters
    ----------
    baseline_to_template
        ``from-template_to-baseline``: maps points of the baseline exam to the template.
    followup_to_baseline_points
        psi, ``from-baseline_to-followup``: maps points of the follow-up to the baseline exam.
    lattice
        Grid of all fields, in the baseline exam.
    depth_mm
        (X, Y, Z) distance to the border of the brain, negative outside.
    template
        The healthy brain.
    lesions
        Lesions at baseline and at follow-up.
    texture, vessels
        (X, Y, Z) fields: smooth noise within tissue, and the closeness to a vessel from 0 to 1.
    facts
        Drawn values, for the record of the truth.
    """

    baseline_to_template: Transform
    followup_to_baseline_points: Transform
    lattice: Grid
    depth_mm: np.ndarray
    template: Template
    lesions: tuple[Lesions, Lesions]
    texture: np.ndarray
    vessels: np.ndarray
    facts: dict[str, object]

    def points_in_baseline(self, exam: int, points_mm: np.ndarray) -> np.ndarray:
        """Map points (n, 3) of exam 0 or 1 to the baseline exam."""
        return points_mm if exam == 0 else self.followup_to_baseline_points.map_points(points_mm)

    def tissue(self, baseline_mm: np.ndarray) -> Tissue:
        """Read healthy tissue at points (n, 3) of the baseline exam."""
        return tissue_at(self.template, self.baseline_to_template.map_points(baseline_mm))

    def fields(self, values: tuple[np.ndarray, ...], baseline_mm: np.ndarray) -> list[np.ndarray]:
        """Read some fields of the lattice at points (..., 3) of the baseline exam."""
        index = np.moveaxis(self.lattice.index(baseline_mm), -1, 0).astype(np.float32)
        return [sampled(field, index) for field in values]


def wanted_class(index: int) -> str:
    """Name the recurrence class that patient `index` is drawn for; any five in a row hold all three."""
    return _CYCLE[index % len(_CYCLE)]


def drawn_scene(index: int, parameters: PhantomParameters, template: Template, rng: np.random.Generator) -> Scene:
    """Draw a patient.

    Parameters
    ----------
    index
        Number of the patient from 0; it decides the recurrence class.
    parameters
        Sizes of the deformations.
    template
        The healthy brain.
    rng
        Source of randomness; nothing drawn from it depends on ``spacing_mm``.
    """
    anatomy = drawn_anatomy(template, parameters, rng)
    lattice = brain_lattice(anatomy, template, parameters.lattice_mm)
    healthy = surroundings(template, anatomy, lattice)
    radius = float(rng.uniform(12, 20))
    site, lobe = drawn_primary_site(healthy, radius, rng)
    primary = drawn_blob(site, radius, int(rng.integers(2, 6)), rng)
    to_template, mass_mm = _with_mass_effect(anatomy, healthy, primary, rng)
    around = surroundings(template, to_template, lattice)
    before = _primary_lesions(primary, around, rng)
    after, recurrence, more = _recurrence_lesions(wanted_class(index), before, around, rng)
    psi, change = _followup_map(parameters, around, primary, mass_mm, recurrence, rng)
    facts: dict[str, object] = {
        "lobe_drawn": lobe,
        "wanted_class": wanted_class(index),
        "primary": _blob_facts(primary),
        "recurrence": _blob_facts(recurrence),
        "mass_effect_peak_mm": mass_mm,
        **more,
        **change,
    }
    texture = 0.7 * smooth_field(lattice, 2.0, rng) + 0.7 * smooth_field(lattice, 12.0, rng)
    vessels = _drawn_vessels(lattice, rng)
    return Scene(to_template, psi, lattice, around.depth_mm, template, (before, after), texture, vessels, facts)


def _with_mass_effect(
    anatomy: Transform, healthy: Surroundings, primary: Blob, rng: np.random.Generator
) -> tuple[Transform, float]:
    peak = float(rng.uniform(3, 8))
    # Grown tumour pushes tissue outwards; the pull map therefore looks further inwards.
    outward = radial_displacement(healthy.points_mm, primary.centre_mm, 1.2 * primary.radius_mm + 6, peak)
    field, factor = limited_displacement(-outward, healthy.lattice, healthy.depth_mm, 0.4)
    return Transform((DisplacementMap(field, healthy.lattice), *anatomy.steps), "template", "baseline"), peak * factor


def _primary_lesions(primary: Blob, around: Surroundings, rng: np.random.Generator) -> Lesions:
    core = _confined(blob_depth(primary, around.points_mm, around.lattice, rng), around, side=primary.centre_mm)
    extent = float(rng.uniform(10, 32))
    oedema = _oedema([(core > 0, extent)], around, rng)
    rim = rim_thickness_mm(around.lattice, float(rng.uniform(2.8, 4.2)), rng)
    return Lesions(core, rim, np.maximum(oedema, core), np.full_like(core, -20.0))


def _recurrence_lesions(
    wanted: str, before: Lesions, around: Surroundings, rng: np.random.Generator
) -> tuple[Lesions, Blob, dict[str, object]]:
    lattice = around.lattice
    subtotal = bool(rng.random() < 0.35)
    gap = distance_to_mm(before.core > 0, lattice)
    blob = _drawn_recurrence(wanted, before, gap, around, rng)
    radius = float(blob.radii_mm[0])
    core = _confined(blob_depth(blob, around.points_mm, lattice, rng), around, side=blob.centre_mm)
    if wanted == "distant":
        core = np.minimum(core, (gap - 24.0).astype(np.float32))
    elif wanted == "local":
        core = _mostly_inside(core, before.core)
    # The surgeon takes the core with a little margin or leaves a little behind; the recurrence has filled its place.
    margin = float(rng.uniform(-3.0, -1.0) if subtotal else rng.uniform(-0.5, 1.5))
    cavity = before.core + margin + 0.8 * smooth_field(lattice, 5.0, rng)
    cavity = main_part(np.minimum(cavity, np.minimum(-core - 0.5, around.depth_mm - 0.5)))
    extents = [(cavity > 0, float(rng.uniform(4, 12))), (core > 0, float(rng.uniform(8, 26)))]
    oedema = _oedema(extents, around, rng)
    rim = np.minimum(rim_thickness_mm(lattice, float(rng.uniform(2.5, 3.8)), rng), np.float32(max(0.5 * radius, 2.0)))
    lesions = Lesions(core, rim, np.maximum(np.maximum(oedema, core), cavity), cavity)
    return lesions, blob, {"resection": "STR" if subtotal else "GTR", "resection_margin_mm": margin}


def _mostly_inside(recurrence: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Trim a local recurrence where it leaves the former core, until 60 % of it lie inside."""
    out = recurrence
    for reach_mm in np.arange(6.0, -0.5, -1.0, dtype=np.float32):
        if (core[out > 0] > 0).mean() >= 0.6:
            break
        out = main_part(np.minimum(recurrence, core + reach_mm))
    return out


def _drawn_recurrence(wanted: str, before: Lesions, gap_mm: np.ndarray, around: Surroundings, rng: np.random.Generator) -> Blob:
    radius, lobes = float(rng.uniform(5.0, 13.0)), int(rng.integers(1, 5))
    if wanted != "local":
        return drawn_blob(drawn_recurrence_site(wanted, before.core, gap_mm, radius, around, rng), radius, lobes, rng)
    # It must fit into the wall of the former core, and creeps along it from lobe to lobe.
    radius = min(radius, 0.75 * float(before.core.max()) + 1.0)
    sites = [drawn_recurrence_site(wanted, before.core, gap_mm, radius, around, rng)]
    for _ in range(lobes - 1):
        near = np.linalg.norm(around.points_mm - sites[-1].astype(np.float32), axis=-1) < 1.5 * radius
        sites.append(drawn_recurrence_site(wanted, np.where(near, before.core, -100), gap_mm, radius, around, rng))
    return Blob(np.array(sites), radius * np.array([1.0, *rng.uniform(0.6, 0.95, lobes - 1)]))


def _confined(depth: np.ndarray, around: Surroundings, side: np.ndarray) -> np.ndarray:
    """Keep a tumour within the brain, out of the ventricles and on its side of the falx."""
    nearest = int(np.argmin(((around.points_mm - side.astype(np.float32)) ** 2).sum(axis=-1)))
    x = around.template_mm[..., 0]
    own_side = x * np.sign(x.reshape(-1)[nearest]) - 1.5
    limits = np.minimum(np.minimum(around.depth_mm - 1.0, around.ventricle_distance_mm - 0.5), own_side)
    return main_part(np.minimum(depth, limits))


def _oedema(seeds: list[tuple[np.ndarray, float]], around: Surroundings, rng: np.random.Generator) -> np.ndarray:
    """Depth inside the oedema of several lesions, each (mask, extent in mm)."""
    brain = around.depth_mm > 0.5
    wobble = 1 + 0.22 * smooth_field(around.lattice, 9.0, rng)
    out = np.full(around.lattice.shape, -200.0, np.float32)
    for mask, extent in seeds:
        way = spread_mm(mask, around.wm, around.csf, brain, around.lattice, rng)
        out = np.maximum(out, extent * np.clip(wobble, 0.3, 1.7) - way)
    return np.asarray(np.minimum(out, np.minimum(around.depth_mm, around.ventricle_distance_mm)), dtype=np.float32)


def _followup_map(
    parameters: PhantomParameters,
    around: Surroundings,
    primary: Blob,
    mass_mm: float,
    recurrence: Blob,
    rng: np.random.Generator,
) -> tuple[Transform, dict[str, object]]:
    """Draw psi: motion of the head, then the change of the brain on the lattice of the baseline exam."""
    lattice, points = around.lattice, around.points_mm
    inside = around.depth_mm > 0
    warp = smooth_vectors(lattice, 14.0, 1.0, rng)
    rms = float(np.sqrt((warp[inside] ** 2).sum(axis=-1).mean()))
    warp *= np.float32(parameters.followup_warp_mm / max(rms, 1e-6))
    relaxation = float(mass_mm * rng.uniform(0.5, 0.9))
    growth = float(rng.uniform(1.0, 3.0) * min(recurrence.radius_mm / 8.0, 1.2))
    warp += radial_displacement(points, primary.centre_mm, 1.2 * primary.radius_mm + 6, relaxation)
    warp -= radial_displacement(points, recurrence.centre_mm, 1.2 * recurrence.radius_mm + 6, growth)
    field, factor = limited_displacement(warp, lattice, around.depth_mm, 0.35)
    angles = rng.uniform(-1, 1, 3) * parameters.head_rotation_deg
    shift = rng.uniform(-1, 1, 3) * parameters.head_shift_mm
    head = rigid_matrix(angles, shift, points[inside].mean(axis=0))
    psi = Transform((AffineMap(head), DisplacementMap(field, lattice)), "baseline", "followup")
    return psi, {
        "relaxation_peak_mm": relaxation * factor,
        "recurrence_mass_effect_peak_mm": growth * factor,
        "head_motion_followup_to_baseline": head.tolist(),
        "head_rotation_deg": angles.tolist(),
        "head_shift_mm": shift.tolist(),
    }


def _drawn_vessels(lattice: Grid, rng: np.random.Generator) -> np.ndarray:
    """Closeness to thin winding tubes: where two smooth fields are both zero is a curve."""
    a, b = smooth_field(lattice, 5.0, rng), smooth_field(lattice, 5.0, rng)
    return np.asarray(np.exp(-(a**2 + b**2) / (2 * 0.2**2)), dtype=np.float32)


def _blob_facts(blob: Blob) -> dict[str, object]:
    return {
        "centre_in_baseline_mm": blob.centre_mm.tolist(),
        "lobe_centres_mm": blob.centres_mm.tolist(),
        "lobe_radii_mm": blob.radii_mm.tolist(),
    }
