"""How one patient's healthy brain differs from the template, and what tissue lies at a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.phantom.deformation import limited_displacement, rigid_matrix
from regrowth.phantom.fields import covering_lattice, sampled, smooth_vectors
from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.placement import Surroundings
from regrowth.phantom.template import Template
from regrowth.space import AffineMap, DisplacementMap, Grid, Transform

__all__ = ["Tissue", "brain_lattice", "drawn_anatomy", "sharpened", "surroundings", "tissue_at"]

_MARGIN_MM = 16.0  # of the lattice around the brain: room for the warp


@dataclass(frozen=True, eq=False)
class Tissue:
    """Healthy tissue at some points.

    Parameters
    ----------
    t1
        (n,) intensity of the template, 0.87 in white matter.
    gm, wm, csf
        (n,) shares.
    depth_mm
        (n,) distance to the border of the brain.
    ventricle_distance_mm
        (n,) distance to the ventricles, negative inside.
    """

    t1: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    depth_mm: np.ndarray
    ventricle_distance_mm: np.ndarray


def drawn_anatomy(template: Template, parameters: PhantomParameters, rng: np.random.Generator) -> Transform:
    """Draw the map from a healthy patient to the template: pose and size of the head, then individual anatomy.

    The warp has a long part (kernel 20 mm) that moves lobes and a short one (7 mm) that moves gyri. Its Jacobian
    determinant exceeds 0.6.

    Parameters
    ----------
    template
        The template.
    parameters
        ``anatomy_warp_mm``, ``lattice_mm``.
    rng
        Source of randomness.

    Returns
    -------
    Transform
        ``from-template_to-baseline``; maps points of the baseline exam to the template.
    """
    centre = _brain_centre_mm(template)
    # The template is larger than most heads.
    scale = np.eye(4)
    scale[:3, :3] = np.diag(rng.uniform(1.02, 1.12, 3))
    scale[:3, 3] = centre - scale[:3, :3] @ centre
    # A scanner puts the isocentre near the middle of the head, not at the anterior commissure.
    pose = rigid_matrix(rng.uniform(-5, 5, 3), centre + rng.uniform(-8, 8, 3), np.zeros(3))
    low, high = _brain_box_mm(template)
    lattice = covering_lattice(low - _MARGIN_MM, high + _MARGIN_MM, parameters.lattice_mm)
    rms = parameters.anatomy_warp_mm
    warp = smooth_vectors(lattice, 20.0, 0.97 * rms, rng) + smooth_vectors(lattice, 7.0, 0.24 * rms, rng)
    # The mean is a shift, which belongs to the pose.
    warp, _ = limited_displacement(warp - warp.mean(axis=(0, 1, 2)), lattice, None, 0.6)
    return Transform((AffineMap(pose), AffineMap(scale), DisplacementMap(warp, lattice)), "template", "baseline")


def brain_lattice(anatomy: Transform, template: Template, spacing_mm: float) -> Grid:
    """Make the lattice that covers the patient's brain in the baseline exam."""
    matrix = np.eye(4)
    for step in anatomy.steps:
        if isinstance(step, AffineMap):
            matrix = step.matrix @ matrix
    low, high = _brain_box_mm(template)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    back = AffineMap(np.linalg.inv(matrix)).map_points(corners)
    return covering_lattice(back.min(axis=0) - _MARGIN_MM, back.max(axis=0) + _MARGIN_MM, spacing_mm)


def tissue_at(template: Template, template_mm: np.ndarray) -> Tissue:
    """Read the template at points (n, 3) of its space."""
    index = np.moveaxis(template.grid.index(template_mm), -1, 0).astype(np.float32)
    t = template
    parts = (t.t1, t.gm, t.wm, t.csf, t.brain_depth_mm, t.ventricle_distance_mm)
    return Tissue(*(sampled(part, index) for part in parts))


def surroundings(template: Template, to_template: Transform, lattice: Grid) -> Surroundings:
    """Describe the patient's brain on a lattice of the baseline exam."""
    where = to_template.map_grid(lattice)
    tissue = tissue_at(template, where)
    return Surroundings(
        points_mm=Transform().map_grid(lattice).astype(np.float32),
        template_mm=where.astype(np.float32),
        wm=tissue.wm,
        csf=tissue.csf,
        depth_mm=tissue.depth_mm,
        ventricle_distance_mm=tissue.ventricle_distance_mm,
        lattice=lattice,
    )


def sharpened(template: Template) -> Template:
    """Give the template with crisper T1 detail (unsharp mask of 1.2 mm), against the blur of averaging and resampling."""
    sigma = 1.2 / np.array(template.grid.spacing_mm)
    weight = ndimage.gaussian_filter(template.brain.astype(np.float32), sigma)
    blurred = ndimage.gaussian_filter(template.t1, sigma) / np.maximum(weight, 0.05)
    t1 = np.where(template.brain, np.clip(template.t1 + 0.6 * (template.t1 - blurred), 0.05, 1.1), 0)
    values = {name: getattr(template, name) for name in template.__dataclass_fields__}
    return Template(**{**values, "t1": t1.astype(np.float32)})


def _brain_box_mm(template: Template) -> tuple[np.ndarray, np.ndarray]:
    points = template.grid.world(np.argwhere(template.brain))
    return points.min(axis=0), points.max(axis=0)


def _brain_centre_mm(template: Template) -> np.ndarray:
    low, high = _brain_box_mm(template)
    return (low + high) / 2
