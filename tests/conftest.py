"""Fixtures that every test may use: grids in all orientations, the real data folder."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from regrowth.space import Grid

ORIENTATIONS = ("RAS", "LAS", "LPS", "oblique")
SPACINGS = ((1.0, 1.0, 1.0), (0.5, 0.5, 1.0), (0.94, 0.94, 6.5))


def make_grid(orientation: str, spacing_mm: tuple[float, float, float], extent_mm: float = 60.0) -> Grid:
    """Make a grid whose box of about `extent_mm` is centred near the origin, in an orientation."""
    shape = tuple(max(round(extent_mm / s), 4) + i for i, s in enumerate(spacing_mm))
    affine = np.diag([*spacing_mm, 1.0])
    if orientation == "oblique":
        a, b = np.deg2rad([17.0, -9.0])
        rz = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        rx = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        affine[:3, :3] = rz @ rx @ affine[:3, :3]
    else:
        signs = [-1.0 if c in "LPI" else 1.0 for c in orientation]
        affine[:3, :3] = affine[:3, :3] @ np.diag(signs)
    affine[:3, 3] = np.array([3.0, -2.0, 5.0]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid(shape, affine)
    if orientation != "oblique":
        assert "".join(nib.aff2axcodes(affine)) == orientation
    return grid


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of whole runs: they take longest, and at the end one process would wait for the other."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.fixture(params=ORIENTATIONS)
def orientation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=SPACINGS, ids=lambda s: "x".join(f"{v:g}" for v in s))
def spacing_mm(request: pytest.FixtureRequest) -> tuple[float, float, float]:
    return request.param


@pytest.fixture
def grid(orientation: str, spacing_mm: tuple[float, float, float]) -> Grid:
    """Grid in each of four orientations and three spacings."""
    return make_grid(orientation, spacing_mm)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; the test skips without it."""
    folder = Path(os.environ.get("REGROWTH_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()
    if not (folder / "brain-tumor-progression").is_dir():
        pytest.skip("real data folder is absent (set REGROWTH_DATA)")
    return folder
