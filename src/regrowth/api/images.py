"""The same work on plain image files: compare two segmentations, register two images, find regions and locate a tumour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["locate", "measure", "parcellate", "register"]


def measure(
    primary: str | Path, recurrence: str | Path, *, label_scheme: str, recurrence_scheme: str | None = None
) -> list[dict[str, object]]:
    """Measure where a recurrence lies relative to the primary, from two segmentations on one grid.

    Parameters
    ----------
    primary, recurrence
        NIfTI segmentations.
    label_scheme, recurrence_scheme
        Their label schemes; the second is the first when left out.

    Returns
    -------
    list of dict
        One row per region, as in ``*_migration.tsv``; volumes are those of the files given.

    Raises
    ------
    InputError
        If a file cannot be read or the grids differ.

    Examples
    --------
    >>> rows = measure("preop_seg.nii.gz", "recurrence_seg.nii.gz", label_scheme="brats-2023")  # doctest: +SKIP
    """
    from regrowth.io.nifti import read_labels
    from regrowth.labels import label_scheme as scheme_named
    from regrowth.metrics import exam_volumes
    from regrowth.recurrence import migration_by_region

    first = read_labels(Path(primary), scheme_named(label_scheme))
    second = read_labels(Path(recurrence), scheme_named(recurrence_scheme or label_scheme))
    native = (exam_volumes(first), exam_volumes(second))
    return [{**m.as_row(), "verdict": m.label} for m in migration_by_region(first, second, transform="as given", native=native)]


def register(
    fixed: str | Path,
    moving: str | Path,
    out: str | Path,
    *,
    fixed_lesion: str | Path | None = None,
    moving_lesion: str | Path | None = None,
    transform: str | Path | None = None,
    threads: int = 1,
    **parameters: Any,
) -> dict[str, object]:
    """Register two images of one contrast and write the moved one.

    Parameters
    ----------
    fixed, moving
        NIfTI images.
    out
        Moved image on the grid of `fixed`.
    fixed_lesion, moving_lesion
        Masks whose voxels above 0 are left out of the similarity.
    transform
        Where to write the transform in ITK format: ``.txt`` for rigid and affine, ``.nii.gz`` for deformable.
    threads
        Threads of the engine.
    **parameters
        Fields of `RegistrationParameters`, such as ``kind="rigid"``.

    Returns
    -------
    dict
        Quality of the last stage.

    Raises
    ------
    InputError
        If a file cannot be read, or a mask does not lie on its image.
    EngineError
        If the engine fails or is not installed.
    """
    from regrowth.engines.choice import registrar
    from regrowth.errors import ParameterError
    from regrowth.io.nifti import read_image, write_image
    from regrowth.io.transforms import write_transform
    from regrowth.registration import RegistrationParameters, align_exams, registration_quality
    from regrowth.registration.working import foreground
    from regrowth.space import resample_image

    settings = RegistrationParameters(**parameters)
    ending = ".nii.gz" if settings.kind == "deformable" else ".txt"
    if transform is not None and not str(transform).endswith(ending):
        raise ParameterError(f"{transform}: a {settings.kind} transform is written as {ending}")

    a, b = read_image(Path(fixed)), read_image(Path(moving))
    masks = _mask(fixed_lesion, a), _mask(moving_lesion, b)
    found = align_exams(a, b, *masks, registrar(settings.engine), settings, threads=threads)
    write_image(resample_image(b, a.grid, found.final, order=3), Path(out))
    if transform is not None:
        write_transform(found.final, Path(transform))
    quality = registration_quality(
        a,
        b,
        found.final,
        foreground(a.data),
        foreground(b.data),
        fixed_lesion=masks[0],
        moving_lesion=masks[1],
        backward=found.backward,
        parameters=settings,
    )
    return dict(quality.as_row())


def parcellate(
    image: str | Path,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    lesion: str | Path | None = None,
    brain: str | Path | None = None,
    threads: int = 1,
    **parameters: Any,
) -> dict[str, object]:
    """Find the regions of a brain and write their map.

    Parameters
    ----------
    image
        T1-weighted NIfTI image, with or without contrast agent and skull.
    out
        Map of regions (`regrowth.anatomy.LOBES`) on the grid of the image.
    labels
        Map of labels with FreeSurfer ids that was made elsewhere, in the space of the image; it is grouped to lobes.
    lesion, brain
        Masks on the grid of the image: tumour, oedema and cavity; the brain.
    threads
        Threads of the engine.
    **parameters
        Fields of `regrowth.anatomy.AnatomyParameters`, such as ``parcellator="template"``.

    Returns
    -------
    dict
        How the regions were found, the quality of the fit, and the volume of every region in ml.

    Raises
    ------
    InputError
        If a file cannot be read or used.
    EngineError
        If no trustworthy map came out, or an engine is not installed.
    """
    import numpy as np

    from regrowth.anatomy import AnatomyParameters, LabelMapParcellator
    from regrowth.engines.choice import parcellation_source, parcellator
    from regrowth.errors import ParameterError
    from regrowth.io.nifti import read_image, write_image
    from regrowth.io.tables import write_json
    from regrowth.space import Image

    settings = AnatomyParameters(**parameters)
    whole = read_image(Path(image))
    source = parcellation_source(settings.parcellator, given=labels is not None)
    if source == "labelmap":
        if labels is None:
            raise ParameterError("the parcellator labelmap needs a map of labels; pass labels=")
        given, grid = _whole_numbers(labels)
        engine: Any = LabelMapParcellator(given, grid, str(labels), settings)
    else:
        engine = parcellator(source, settings)
    masks = {"lesion": _mask(lesion, whole), "brain": _mask(brain, whole)}
    found = engine.parcellate(whole, **masks, threads=threads)
    write_image(Image(found.regions.data, whole.grid, "1"), Path(out), np.uint8)
    facts = {"Method": found.method, "IsFallback": found.is_fallback, "Reason": found.reason, "Quality": dict(found.quality)}
    named = {"RegionScheme": found.regions.scheme.name, "Regions": {r.label: r.value for r in found.regions.scheme}}
    sidecar = Path(out).with_name(Path(out).name.removesuffix(".gz").removesuffix(".nii") + ".json")
    write_json({**facts, **named, "EngineVersion": engine.version, "Citation": engine.citation}, sidecar)
    volumes = {f"{r.label}_ml": found.regions.volume_ml(r.label) for r in found.regions.scheme}
    return {"method": found.method, "is_fallback": found.is_fallback, "reason": found.reason, **found.quality, **volumes}


def locate(
    segmentation: str | Path, regions: str | Path, *, label_scheme: str, **parameters: Any
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Tell in which regions of the brain a tumour lies.

    Parameters
    ----------
    segmentation
        NIfTI segmentation.
    regions
        Map of regions from `parcellate`, on the same grid.
    label_scheme
        Label scheme of the segmentation.
    **parameters
        Fields of `regrowth.anatomy.LocationParameters`.

    Returns
    -------
    tuple
        Rows of the location (the whole tumour first, then its connected parts), and rows of the volume per region.

    Raises
    ------
    InputError
        If a file cannot be read or the grids differ.
    """
    import numpy as np

    from regrowth.anatomy import (
        LOBES,
        LocationParameters,
        RegionMap,
        component_locations,
        location,
        location_compartment,
        region_volumes,
    )
    from regrowth.errors import LabelSchemeError
    from regrowth.io.nifti import read_labels
    from regrowth.labels import label_scheme as scheme_named

    settings = LocationParameters(**parameters)
    labels = read_labels(Path(segmentation), scheme_named(label_scheme))
    values, grid = _whole_numbers(regions)
    unknown = sorted(set(np.unique(values).tolist()) - {0, *(r.value for r in LOBES)})
    if unknown:
        few = ", ".join(map(str, unknown[:5]))
        raise LabelSchemeError(
            f"{regions}: holds values ({few}) that are no regions of regrowth parcellate; make the map with it"
        )
    places = RegionMap(values, grid)
    name = location_compartment(labels, settings).compartment
    mask = labels.mask(name) if name else np.zeros(labels.grid.shape, bool)
    volumes = region_volumes(mask, places, labels.grid)
    rows: list[dict[str, object]] = [{"part": "whole", **location(volumes, settings, compartment=name).as_row()}]
    parts, _ = component_locations(mask, places, labels.grid, settings, compartment=name)
    rows += [{"part": str(n), **p.as_row()} for n, p in enumerate(parts, start=1)] if len(parts) > 1 else []
    return rows, [{"compartment": name, **row} for row in volumes.as_rows()]


def _whole_numbers(path: str | Path) -> tuple[Any, Any]:
    """Read a map of labels (X, Y, Z) of int32, and its grid."""
    import numpy as np

    from regrowth.errors import ImageFileError
    from regrowth.io.nifti import read_image

    image = read_image(Path(path))
    whole = np.rint(image.data)
    if not np.array_equal(whole, image.data):
        raise ImageFileError(f"{path}: holds values that are no whole numbers, so it is no map of labels")
    return whole.astype(np.int32), image.grid


def _mask(path: str | Path | None, image: Any) -> Any:
    """Read a mask (X, Y, Z) on the grid of an image."""
    from regrowth.io.nifti import read_image
    from regrowth.space import require_same_grid

    if path is None:
        return None
    found = read_image(Path(path))
    require_same_grid(found.grid, image.grid, f"{path} and its image", tolerance_mm=0.1)
    return found.data > 0
