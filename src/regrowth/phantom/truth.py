"""What the true answers of a synthetic patient are: recurrence pattern, migration and landmarks."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from regrowth.errors import InputError
from regrowth.phantom.placement import recurrence_class
from regrowth.phantom.scene import Scene
from regrowth.space import AffineMap, DisplacementMap, Grid, LabelMap, Transform, distance_to_mm, require_same_grid

__all__ = ["Landmarks", "RecurrenceTruth", "drawn_landmarks", "followup_point", "recurrence_truth", "true_inverse"]


@dataclass(frozen=True)
class RecurrenceTruth:
    """How a recurrence lies to the first tumour, both as ``CE_core`` on the grid of the baseline T1wce.

    Parameters
    ----------
    pattern
        ``local`` with at least half of the volume inside the baseline core, else ``marginal`` with a gap of at most 20 mm,
        else ``distant``.
    share_in_core
        Share of the volume of the recurrence inside the baseline core.
    gap_mm
        Smallest distance between voxel centres of recurrence and core, 0 where they overlap.
    outward_p95_mm, outward_max_mm
        95th percentile and largest value of the distance of the recurrence's voxel centres to the nearest voxel centre of
        the baseline core; voxels inside count as 0.
    volume_in_baseline_ml
        Volume of the recurrence in the baseline space.
    centroid_shift_mm
        (x, y, z) from the centroid of the core to that of the recurrence, RAS+.
    """

    pattern: str
    share_in_core: float
    gap_mm: float
    outward_p95_mm: float
    outward_max_mm: float
    volume_in_baseline_ml: float
    centroid_shift_mm: tuple[float, float, float]

    def as_dict(self) -> dict[str, object]:
        """Give the values by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Landmarks:
    """True pairs of points in healthy brain.

    Parameters
    ----------
    baseline_mm, followup_mm
        (n, 3) in the T1wce of each exam, RAS+ mm.
    lesion_distance_mm
        (n,) distance of the baseline point to the nearest lesion of either exam.
    """

    baseline_mm: np.ndarray
    followup_mm: np.ndarray
    lesion_distance_mm: np.ndarray


def recurrence_truth(primary: LabelMap, recurrence_in_baseline: LabelMap) -> RecurrenceTruth:
    """Measure the recurrence against the first tumour.

    Parameters
    ----------
    primary
        Baseline segmentation.
    recurrence_in_baseline
        Follow-up segmentation brought onto the same grid by the true transform.

    Raises
    ------
    InputError
        If either has no ``CE_core``.
    """
    require_same_grid(primary.grid, recurrence_in_baseline.grid, "first tumour and recurrence")
    core, recurrence = primary.mask("CE_core"), recurrence_in_baseline.mask("CE_core")
    if not core.any() or not recurrence.any():
        raise InputError("the first tumour or the recurrence is empty at this resolution; use a finer spacing")
    distance = distance_to_mm(core, primary.grid)[recurrence]
    share, gap = float((distance == 0).mean()), float(distance.min())
    centroid = [primary.grid.world(np.argwhere(mask)).mean(axis=0) for mask in (core, recurrence)]
    shift = centroid[1] - centroid[0]
    return RecurrenceTruth(
        pattern=recurrence_class(share, gap),
        share_in_core=share,
        gap_mm=gap,
        outward_p95_mm=float(np.percentile(distance, 95)),
        outward_max_mm=float(distance.max()),
        volume_in_baseline_ml=float(recurrence.sum() * primary.grid.voxel_volume_ml),
        centroid_shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
    )


def true_inverse(psi: Transform, tolerance_mm: float = 0.001) -> Transform:
    """Invert the true map from follow-up to baseline.

    Its field is taken to nodes at half the distance, where its inverse is solved to `tolerance_mm`; between the nodes the
    inverse is interpolated (about 0.02 mm at a lattice of 2 mm). Where nothing moves, nothing is solved.

    Parameters
    ----------
    psi
        Maps points of the follow-up to the baseline: motion of the head, then a displacement.
    tolerance_mm
        Largest error at a node.

    Returns
    -------
    Transform
        Maps points of the baseline to the follow-up.
    """
    head, change = _parts(psi)
    affine = change.grid.affine.copy()
    affine[:3, :3] /= 2
    shape = [2 * n - 1 for n in change.grid.shape]
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    coarse = ndimage.binary_dilation((change.displacement_mm != 0).any(axis=-1), np.ones((3, 3, 3), bool))
    moving = coarse.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)[:-1, :-1, :-1]
    displacement = np.zeros((*grid.shape, 3), np.float32)
    for start in range(0, grid.shape[0], 32):
        here = moving[start : start + 32]
        x = grid.world(np.argwhere(here) + np.array([start, 0, 0]))
        displacement[start : start + 32][here] = followup_point(Transform((change,)), x, x, tolerance_mm) - x
    steps = (DisplacementMap(displacement, grid), AffineMap(np.linalg.inv(head.matrix)))
    return Transform(steps, psi.to_space, psi.from_space, psi.fixed, psi.moving)


def followup_point(psi: Transform, start_mm: np.ndarray, baseline_mm: np.ndarray, tolerance_mm: float = 1e-4) -> np.ndarray:
    """Solve psi(y) = x for y (n, 3) by fixed-point iteration.

    Parameters
    ----------
    psi
        Maps points of the follow-up to the baseline.
    start_mm
        (n, 3) first guess in the follow-up.
    baseline_mm
        (n, 3) points x.
    tolerance_mm
        Largest error along an axis.

    Raises
    ------
    InputError
        If the iteration does not arrive.
    """
    back = np.eye(3)
    for step in psi.steps:
        back = back @ np.linalg.inv(step.matrix[:3, :3]) if isinstance(step, AffineMap) else back
    y, x = np.array(start_mm, dtype=np.float64), np.asarray(baseline_mm, dtype=np.float64)
    open_ = np.arange(len(y))
    for _ in range(100):
        error = psi.map_points(y[open_]) - x[open_]
        left = np.abs(error).max(axis=-1, initial=0) > tolerance_mm
        if not left.any():
            return y
        open_ = open_[left]
        y[open_] -= error[left] @ back.T
    raise InputError("the true map cannot be inverted everywhere; this should not happen, report the seed and the patient")


def _parts(psi: Transform) -> tuple[AffineMap, DisplacementMap]:
    head, change = psi.steps
    if not isinstance(head, AffineMap) or not isinstance(change, DisplacementMap):
        raise InputError("the true map is the motion of the head followed by a displacement, in this order")
    return head, change


def drawn_landmarks(scene: Scene, followup_to_baseline: Transform, count: int, rng: np.random.Generator) -> Landmarks:
    """Draw landmarks in brain tissue at least 2 mm from every lesion, half of them within 20 mm of one.

    Parameters
    ----------
    scene
        The patient.
    followup_to_baseline
        Approximate inverse of psi, from which the exact points are found.
    count
        How many.
    rng
        Source of randomness.
    """
    lesion = np.zeros(scene.lattice.shape, bool)
    for exam in scene.lesions:
        lesion |= (np.maximum(exam.core, exam.cavity) > 0) | (exam.oedema > 0)
    distance = distance_to_mm(lesion, scene.lattice)
    free = (scene.depth_mm > 4) & (distance >= 2 + max(scene.lattice.spacing_mm) / 2)
    near, far = np.flatnonzero(free & (distance <= 20)), np.flatnonzero(free & (distance > 20))
    n_near = min(count // 2, near.size)
    n_far = min(count - n_near, far.size)
    chosen = np.sort(np.concatenate([rng.choice(near, n_near, replace=False), rng.choice(far, n_far, replace=False)]))
    ijk = np.stack(np.unravel_index(chosen, scene.lattice.shape), axis=-1) + rng.uniform(-0.5, 0.5, (chosen.size, 3))
    # Files hold 0.001 mm; the pair is exact for what is written.
    x = np.round(scene.lattice.world(ijk), 3)
    y = followup_point(scene.followup_to_baseline_points, followup_to_baseline.map_points(x), x)
    return Landmarks(x, y, scene.fields((distance,), x)[0].astype(np.float64))
