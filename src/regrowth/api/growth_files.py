"""What growth on plain files shares: tissue, tumour, dose and resection as they come from disk, and how results are written."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.growth.simulate import DoseCourse, ResectionCavity
from regrowth.growth.tissue import TissueMap, tissue_map
from regrowth.growth.treatment import Treatment
from regrowth.io.nifti import read_image, read_labels
from regrowth.io.tables import write_bytes, write_json, write_text, write_tsv
from regrowth.labels import label_scheme as scheme_named
from regrowth.report import CohortReport, Section, render_cohort
from regrowth.space import Grid, Image, LabelMap, require_same_grid, resample_image

__all__ = [
    "CORE_REGIONS",
    "WHOLE_REGIONS",
    "DoseFile",
    "Tumour",
    "dose_course",
    "filled_tissue",
    "read_cavity",
    "read_dose",
    "read_mask",
    "read_tissue",
    "read_tumour",
    "tumour_of",
    "write_results",
]

CORE_REGIONS = ("CE_core", "TC", "GTV")
"""What counts as the core of a tumour: the first that the label scheme has."""
WHOLE_REGIONS = ("WT", "lesion")
"""What counts as the whole lesion: the first that the label scheme has."""

_SAME_MM = 0.1  # how far the corners of two files of one exam may lie apart: affines are stored as float32
_MOST_GY = 200.0
Rows = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Tumour:
    """A segmentation as growth sees it.

    Parameters
    ----------
    core, whole
        (X, Y, Z) bool; the core is empty where the label scheme has none.
    grid
        Grid of both.
    core_region, whole_region
        Names of the regions that they are; empty without a core.
    """

    core: np.ndarray
    whole: np.ndarray
    grid: Grid
    core_region: str
    whole_region: str

    def of(self, region: str, where: str) -> np.ndarray:
        """(X, Y, Z) bool, the ``core`` or the ``whole``.

        Raises
        ------
        InputError
            If the core is asked for and the label scheme has none.
        """
        if region == "core" and not self.core_region:
            raise InputError(f"{where}: its label scheme tells no core; pass region whole, or a segmentation with a core")
        return self.core if region == "core" else self.whole


def read_tumour(path: str | Path, label_scheme: str) -> Tumour:
    """Read a segmentation; errors as in `regrowth.io.nifti.read_labels`, and an `InputError` for an empty one."""
    tumour = tumour_of(read_labels(Path(path), scheme_named(label_scheme)))
    if not tumour.whole.any():
        raise InputError(f"{path}: no voxel is tumour in the scheme {label_scheme}; there is nothing to start from")
    return tumour


def tumour_of(labels: LabelMap) -> Tumour:
    """Take core and whole lesion from a segmentation: the first of `CORE_REGIONS` and of `WHOLE_REGIONS` that it has."""
    core = next((name for name in CORE_REGIONS if labels.has(name)), "")
    whole = next(name for name in WHOLE_REGIONS if labels.has(name))
    inside = labels.mask(core) if core else np.zeros(labels.grid.shape, bool)
    return Tumour(inside, labels.mask(whole) | inside, labels.grid, core, whole)


def read_mask(path: str | Path, grid: Grid, what: str) -> np.ndarray:
    """Read a mask (X, Y, Z) bool, inside where above 0.5, on a grid.

    Raises
    ------
    GridMismatchError
        If it lies on another grid.
    """
    found = read_image(Path(path), "1")
    require_same_grid(found.grid, grid, f"{path} and {what}", tolerance_mm=_SAME_MM)
    return np.asarray(found.data > 0.5)


def read_tissue(white: str | Path, grey: str | Path, grid: Grid | None = None) -> TissueMap:
    """Read maps of white and grey matter.

    Parameters
    ----------
    white, grey
        NIfTI, masks or shares from 0 to 1.
    grid
        Grid that they have to lie on, that of the tumour; any when left out.

    Raises
    ------
    InputError
        If a file cannot be read, is no map of shares, or lies on another grid.
    """
    maps = [read_image(Path(path), "1") for path in (white, grey)]
    grid = maps[0].grid if grid is None else grid
    for path, found in zip((white, grey), maps, strict=True):
        require_same_grid(found.grid, grid, f"{path} and the other images", tolerance_mm=_SAME_MM)
    try:
        return tissue_map(maps[0].data, maps[1].data, grid)
    except InputError as error:
        raise type(error)(f"{white}, {grey}: {error}") from error


def filled_tissue(tissue: TissueMap, lesion: np.ndarray) -> tuple[TissueMap, list[str]]:
    """Make tissue of what a segmenter took for CSF or nothing inside of a lesion, so that the tumour has where to live.

    What is missing is shared out as white and grey matter are in that voxel, all white where there is neither. A voxel that
    does not have tissue on both sides along at least two axes lies outside of the brain and stays as it is.

    Parameters
    ----------
    tissue
        White and grey matter.
    lesion
        (X, Y, Z) bool on its grid.

    Returns
    -------
    TissueMap, list of str
        And a note that says how much was filled, if it was anything.

    Raises
    ------
    InputError
        If more than half of the lesion lies outside of the brain.
    """
    matter = tissue.matter
    inside = np.asarray(lesion, bool) & (matter | _enclosed(matter))
    outside = 1 - inside.sum() / max(np.count_nonzero(lesion), 1)
    if outside > 0.5 and np.any(lesion):
        raise InputError(
            f"{outside:.0%} of the tumour lies outside of the brain of the tissue maps; check that they belong to the same exam"
        )
    total = tissue.white + tissue.grey
    share = np.divide(tissue.white, total, out=np.ones_like(total), where=total > 0)
    white = np.where(inside, share, tissue.white).astype(np.float32)
    grey = np.where(inside, 1 - share, tissue.grey).astype(np.float32)
    ml = float((inside & ~matter).sum() * tissue.grid.voxel_volume_ml)
    notes = [f"{ml:.3g} ml of the lesion lay outside of white and grey matter and were taken as white matter"] if ml else []
    return TissueMap(white, grey, tissue.grid, tissue.least_matter), notes


def _enclosed(matter: np.ndarray) -> np.ndarray:
    """(X, Y, Z) bool, voxels with tissue on both sides along at least two of the three axes."""
    count = np.zeros(matter.shape, np.uint8)
    for axis in range(3):
        before = np.logical_or.accumulate(matter, axis=axis)
        after = np.flip(np.logical_or.accumulate(np.flip(matter, axis), axis=axis), axis)
        count += before & after
    return count >= 2


@dataclass(frozen=True, eq=False)
class DoseFile:
    """A dose on the grid of the other images, NaN where the dose grid does not reach, and what was done to it in words."""

    dose: Image
    notes: tuple[str, ...]

    def filled(self) -> Image:
        """Give the dose with 0 Gy where it is not known."""
        return self.dose.with_data(np.nan_to_num(self.dose.data, nan=0.0))


def read_dose(path: str | Path, grid: Grid, tissue: np.ndarray) -> DoseFile:
    """Read a dose from NIfTI (Gy) or a DICOM RTDOSE and bring it onto a grid.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz``, or a DICOM file.
    grid
        Grid of the other images.
    tissue
        (X, Y, Z) bool, voxels where a dose is needed.

    Raises
    ------
    GridMismatchError
        If the dose grid does not reach the tissue.
    InputError
        If the file cannot be read, or its values cannot be Gy.
    """
    path = Path(path)
    if path.name.endswith((".nii", ".nii.gz")):
        dose = read_image(path, "Gy")
    else:
        from regrowth.io.dicom_rt import read_rtdose

        dose = read_rtdose(path)
    low, high = float(np.min(dose.data)), float(np.max(dose.data))
    if low < -1e-3 or high > _MOST_GY:
        raise InputError(
            f"{path}: holds values from {low:g} to {high:g}; a dose lies between 0 and {_MOST_GY:g} Gy: divide cGy by 100"
        )
    notes = []
    if grid.frame_of_reference_uid is None and dose.grid.frame_of_reference_uid is not None:
        notes.append("the images carry no frame of reference: it is taken for granted that the dose is registered to them")
    if not dose.grid.is_close(grid, _SAME_MM):
        dose = resample_image(dose, grid, fill=np.nan)
        notes.append("the dose lies on another grid and was resampled linearly")
    dose = Image(np.maximum(dose.data, 0), grid, "Gy")
    unknown = float(np.isnan(dose.data[tissue]).mean()) if tissue.any() else 1.0
    if unknown == 1:
        raise GridMismatchError(f"{path}: the dose grid does not reach the tissue; check that both belong to the same patient")
    if not np.nanmax(dose.data[tissue]) > 0:
        raise GridMismatchError(f"{path}: the dose is 0 Gy in all of the tissue; check that both belong to the same patient")
    if unknown > 0:
        notes.append(f"{unknown:.1%} of the tissue lies outside of the dose grid")
    return DoseFile(dose, tuple(notes))


def dose_course(
    dose: Image,
    *,
    fraction_days: Sequence[float] = (),
    fractions: int | None = None,
    start_day: float | None = None,
    alpha_per_gy: float = 0.03,
    alpha_beta_gy: float = 10.0,
) -> DoseCourse:
    """Give each fraction its day: the days themselves, or a number of fractions on weekdays from a day that is a Monday.

    Raises
    ------
    ParameterError
        If neither is given, or both.
    """
    if fraction_days and (fractions is not None or start_day is not None):
        raise ParameterError("give the days of the fractions, or their number and the first day, not both")
    if not fraction_days:
        if fractions is None or start_day is None:
            raise ParameterError(
                "a dose needs the days of its fractions (--fraction-days), or their number and the first day "
                "(--fractions and --start-day)"
            )
        fraction_days = tuple(Treatment.fractionated(start_day, fractions).fraction_days.tolist())
    return DoseCourse(dose, tuple(fraction_days), alpha_per_gy, alpha_beta_gy)


def read_cavity(path: str | Path | None, day: float | None, grid: Grid) -> tuple[ResectionCavity, ...]:
    """Read the mask of what was resected on a day; nothing without a path.

    Raises
    ------
    ParameterError
        If only one of mask and day is given, or the mask is empty.
    """
    if path is None and day is None:
        return ()
    if path is None or day is None:
        raise ParameterError("a resection needs both its cavity and its day")
    mask = read_mask(path, grid, "the tissue")
    if not mask.any():
        raise ParameterError(f"{path}: the cavity has no voxel; leave it out if nothing was resected")
    return (ResectionCavity(mask, grid, float(day)),)


def write_results(
    folder: Path,
    title: str,
    tables: Mapping[str, Rows],
    dictionary: Mapping[str, object],
    sections: Sequence[Section],
    page: str,
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    synthetic: bool = False,
    notes: Sequence[str] = (),
) -> None:
    """Write tables, their dictionary, figures and a page.

    Parameters
    ----------
    folder
        Made if absent.
    title
        Heading of the page.
    tables
        Name without ending to rows.
    dictionary
        What the columns mean.
    sections
        Parts of the page; their figures also go to ``figures/``.
    page
        Name of the page.
    columns
        Columns of tables that may have no rows.
    synthetic
        Whether the data are made up.
    notes
        Caveats for the whole page.
    """
    from regrowth import __version__

    for name, rows in tables.items():
        write_tsv(rows, folder / f"{name}.tsv", (columns or {}).get(name))
    write_json(dictionary, folder / "dictionary.json")
    for figure in [f for s in sections for f in s.figures]:
        for filename, data in figure.files().items():
            write_bytes(data, folder / "figures" / filename)
    report = CohortReport(
        title=title,
        generated=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        version=__version__,
        sections=tuple(sections),
        synthetic=synthetic,
        notes=tuple(notes),
    )
    write_text(render_cohort(report), folder / page)
