"""A small brain with a tumour as plain files, for tests of growth on the command line and from Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regrowth.io.nifti import write_image, write_labels
from regrowth.labels import label_scheme
from regrowth.space import Grid, Image, LabelMap
from tests.conftest import make_grid

QUICK = ("--map-spacing-mm", "4", "--search-spacing-mm", "4", "--space-draws", "20")
QUICK_PARAMETERS = {"map_spacing_mm": 4.0, "search_spacing_mm": 4.0, "space_draws": 20}


@dataclass(frozen=True, eq=False)
class Files:
    """Files of one patient below `folder`, all on `grid`."""

    folder: Path
    grid: Grid

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.nii.gz"

    def write(self, name: str, data: np.ndarray, grid: Grid | None = None) -> Path:
        write_image(Image(np.asarray(data, np.float32), grid or self.grid, "1"), self.path(name))
        return self.path(name)

    def labels(self, name: str, data: np.ndarray, scheme: str = "brats-2023") -> Path:
        write_labels(LabelMap(np.asarray(data, np.uint8), self.grid, label_scheme(scheme)), self.path(name))
        return self.path(name)

    def place(self, offset_mm: tuple[float, float, float]) -> np.ndarray:
        """(3,) RAS+ mm of a point that lies `offset_mm` from the centre of the grid."""
        return np.asarray(self.grid.world((np.array(self.grid.shape) - 1) / 2) + np.array(offset_mm))

    @property
    def tissue(self) -> tuple[object, ...]:
        """Words of the command line for the maps of white and grey matter."""
        return ("--white", self.path("white"), "--grey", self.path("grey"))


def radius_mm(grid: Grid, offset_mm: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """(X, Y, Z) distance to a point that lies `offset_mm` from the centre of the grid, along RAS."""
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    centre = grid.world((np.array(grid.shape) - 1) / 2) + np.array(offset_mm)
    return np.linalg.norm(world - centre, axis=-1)


def write_head(folder: Path, orientation: str = "LPS", spacing_mm: float = 4.0) -> Files:
    """Write a ball of white matter with a grey rim and, to the right, a tumour: core of 10 mm, oedema to 18 mm."""
    files = Files(folder, make_grid(orientation, (spacing_mm,) * 3, 96.0))
    ball = radius_mm(files.grid)
    files.write("white", ball < 36)
    files.write("grey", (ball >= 36) & (ball < 42))
    files.write("brain", ball < 42)
    place = radius_mm(files.grid, (12, 0, 0))
    files.labels("seg", np.where(place < 6, 1, np.where(place < 10, 3, np.where(place < 18, 2, 0))))
    files.write("core", place < 10)
    later = radius_mm(files.grid, (16, 0, 0))
    files.labels("relapse", np.where(later < 14, 3, 0))
    files.labels("nothing", np.zeros(files.grid.shape))
    return files
