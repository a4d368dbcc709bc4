"""Copies of a synthetic patient that a test may change, and maps of regions with a known answer for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """Files of one patient: images, and masks of the truth."""

    raw: Path
    truth: Path
    label: str

    def image(self, session: str, suffix: str) -> Path:
        return self.raw / f"ses-{session}" / "anat" / f"sub-{self.label}_ses-{session}_{suffix}.nii.gz"

    def mask(self, session: str) -> Path:
        return self.truth / f"ses-{session}" / "anat" / f"sub-{self.label}_ses-{session}_space-T1wce_seg-tumour_dseg.nii.gz"

    def brain(self, session: str) -> Path:
        return self.truth / f"ses-{session}" / "anat" / f"sub-{self.label}_ses-{session}_space-T1wce_label-brain_mask.nii.gz"

    def regions(self, session: str = "preop") -> Path:
        """Where a map of regions made elsewhere lies."""
        return self.truth / f"ses-{session}" / "anat" / f"sub-{self.label}_ses-{session}_desc-aparcaseg_dseg.nii.gz"

    def sessions(self, text: str) -> None:
        path = self.raw / f"sub-{self.label}_sessions.tsv"
        path.write_text("session_id\tdays_from_baseline\tphase\n" + text)

    def keep_only(self, *suffixes: str) -> None:
        """Remove all images but those of some sequences: less work for the steps that a test is not about."""
        wanted = {self.image(s, suffix).name for s in ("preop", "progression") for suffix in suffixes}
        for path in self.raw.glob("ses-*/anat/*.nii.gz"):
            if path.name not in wanted:
                path.unlink()
                path.with_name(path.name.replace(".nii.gz", ".json")).unlink(missing_ok=True)


def copy_patient(cohort: Path, data: Path, label: str, source: str = "01") -> Case:
    """Copy the images and the truth of a patient of `cohort` under another label."""
    for start, target in ((cohort, data), (cohort / "derivatives" / "truth", data / "derivatives" / "truth")):
        for path in (p for p in (start / f"sub-{source}").rglob("*") if p.is_file()):
            copy = target / Path(str(path.relative_to(start)).replace(f"sub-{source}", f"sub-{label}"))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return Case(data / f"sub-{label}", data / "derivatives" / "truth" / f"sub-{label}", label)


def rewrite(path: Path, change: Change) -> None:
    nii = nib.load(path)
    data, affine = change(np.asarray(nii.dataobj), nii.affine.copy())
    nib.save(nib.Nifti1Image(data, affine), path)


def mirror(path: Path) -> None:
    """Turn left into right: the place of every voxel is mirrored, its value stays."""
    rewrite(path, lambda d, a: (d, np.diag([-1.0, 1, 1, 1]) @ a))


def flip_storage(path: Path) -> None:
    """Store the first axis the other way round; every value stays where it is in mm."""

    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine[:3, 3] += affine[:3, 0] * (data.shape[0] - 1)
        affine[:3, 0] *= -1
        return data[::-1].copy(), affine

    rewrite(path, change)


# Desikan-Killiany ids of the left cortex that stand for a lobe; the right is 1000 more.
PARCELS = {"frontal": 1028, "parietal": 1029, "temporal": 1030, "occipital": 1011}


def parcel_at(world: np.ndarray) -> np.ndarray:
    """Give the id at points in RAS+ mm: four boxes a side, so that where a tumour lies follows from its coordinates alone."""
    x, y, z = np.moveaxis(world, -1, 0)
    lobe = np.select(
        [y > 10, y < -60, z > 10],
        [PARCELS["frontal"], PARCELS["occipital"], PARCELS["parietal"]],
        PARCELS["temporal"],
    )
    return lobe + np.where(x > 0, 1000, 0)


def world_of(path: Path) -> np.ndarray:
    """(X, Y, Z, 3) centres of the voxels of an image, RAS+ mm."""
    nii = nib.load(path)
    index = np.stack(np.meshgrid(*map(np.arange, nii.shape), indexing="ij"), axis=-1)
    return index @ nii.affine[:3, :3].T + nii.affine[:3, 3]


def write_parcels(case: Case) -> Path:
    """Write a map of FreeSurfer ids that fills the brain of the first exam."""
    brain = nib.load(case.brain("preop"))
    ids = np.where(np.asarray(brain.dataobj) > 0, parcel_at(world_of(case.brain("preop"))), 0)
    nib.save(nib.Nifti1Image(ids.astype(np.int32), brain.affine), case.regions())
    return case.regions()
