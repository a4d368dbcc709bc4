"""Two exams with a known map between them: fixed(x) = brain(phi(x)), so that no inversion enters the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from regrowth.space import AffineMap, DisplacementMap, Grid, Image, Transform, resample_image


@dataclass(frozen=True)
class BrainPair:
    fixed: Image
    moving: Image
    fixed_lesion: np.ndarray
    moving_lesion: np.ndarray
    truth: Transform
    points_mm: np.ndarray

    def error_mm(self, transform: Transform) -> float:
        """Mean error over brain points more than 10 mm from the lesion."""
        off = transform.map_points(self.points_mm) - self.truth.map_points(self.points_mm)
        return float(np.linalg.norm(off, axis=-1).mean())


def known_matrix() -> np.ndarray:
    a, b = np.deg2rad([6.0, -4.0])
    rz = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    rx = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = rz @ rx
    matrix[:3, 3] = [4.0, -6.0, 3.0]
    return matrix


def brain_pair(spacing_mm: int = 4, warp_mm: float = 1.5, seed: int = 0) -> BrainPair:
    """Make a pair on ICBM's brain: rigid motion, smooth warp (RMS per component), lesion in both, bias field and noise."""
    from nilearn.datasets import load_mni152_template

    rng = np.random.default_rng(seed)
    nii = load_mni152_template(resolution=spacing_mm)
    data = np.asarray(nii.dataobj, np.float32)
    data = data / data.max()
    grid = Grid(data.shape, nii.affine)
    brain = Image(data, grid)
    noise = np.stack([ndimage.gaussian_filter(rng.standard_normal(grid.shape), 18 / spacing_mm) for _ in range(3)], -1)
    warp = DisplacementMap((noise * warp_mm / noise.std()).astype(np.float32), grid)
    truth = Transform((warp, AffineMap(known_matrix())), fixed=grid, moving=grid)
    fixed = resample_image(brain, grid, truth, order=3).data.copy()
    inside = fixed > 0.2
    moving = data.copy()
    centre = np.array([30.0, 10.0, 25.0])
    x = Transform().map_grid(grid)
    far = np.linalg.norm(x - centre, axis=-1)
    fixed_lesion = far < 14
    moving_lesion = np.linalg.norm(x - truth.map_points(centre[None])[0], axis=-1) < 12
    fixed[fixed_lesion] = 0.95
    moving[moving_lesion] = 0.1
    moving *= np.exp(0.25 * x[..., 0] / 80 - 0.2 * (x[..., 2] / 80) ** 2).astype(np.float32)

    def acquired(a: np.ndarray) -> Image:
        noisy = np.maximum(a + 0.01 * rng.standard_normal(a.shape), 0)
        return Image(np.where(a > 0.02, noisy, 0).astype(np.float32), grid)

    points = x[inside & (far > 24)]
    return BrainPair(acquired(fixed), acquired(moving), fixed_lesion, moving_lesion, truth, points)
