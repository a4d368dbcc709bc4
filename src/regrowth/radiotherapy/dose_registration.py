"""How the relapse scan is aligned with the planning scan, on which the dose lies, and whether the result can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from regrowth.errors import GridMismatchError, InputError, ParameterError
from regrowth.radiotherapy.mapping import Folding, folding
from regrowth.registration import (
    Kind,
    Metric,
    Registrar,
    RegistrationParameters,
    RegistrationQuality,
    cost_mask,
    registration_quality,
)
from regrowth.registration.working import foreground
from regrowth.space import Image, Transform, resample_mask

__all__ = ["MappedExam", "register_for_dose"]

_CT_BACKGROUND_HU = -1024.0  # lowest value of a 12-bit CT; scanners and exports pad with lower ones
_AIR_HU = -950.0  # between air (-1000) and emphysema; below it there is nothing to align
_LEAST_COVERED = 0.5
_KINDS: tuple[Kind, ...] = ("rigid", "affine", "deformable")
_Exam = tuple[Image, np.ndarray, np.ndarray | None]  # image, what holds nothing, lesion


@dataclass(frozen=True, eq=False)
class MappedExam:
    """A relapse scan aligned with the planning scan.

    Parameters
    ----------
    transform
        ``from-relapse_to-planning``, complete in itself.
    stages
        The transform after each stage, in order: rigid, affine, deformable as far as asked for.
    quality
        Figures of merit, measured inside the body where both scans show it.
    folding
        Folds there, on the planning grid.
    covered_share
        Share of the planning body that the relapse scan shows; beyond it the transform is a guess.
    engine
        Name and version of the engine.
    status
        ``ok`` or ``flagged``.
    reason
        What was flagged, and what was done to the images; may be there with ``ok`` too.
    """

    transform: Transform
    stages: tuple[Transform, ...]
    quality: RegistrationQuality
    folding: Folding
    covered_share: float
    engine: str
    status: str
    reason: str


def register_for_dose(
    planning: Image,
    relapse: Image,
    registrar: Registrar,
    *,
    kind: Kind = "deformable",
    initial: Transform | None = None,
    background: float | None = None,
    metric: Metric = "ncc",
    planning_lesion: np.ndarray | None = None,
    relapse_lesion: np.ndarray | None = None,
    landmarks_mm: tuple[np.ndarray, np.ndarray] | None = None,
    parameters: RegistrationParameters | None = None,
    seed: int = 0,
    threads: int = 1,
) -> MappedExam:
    """Align a relapse scan with the planning scan: planning is fixed, relapse moves.

    Rigid, then affine, then deformable, as far as `kind` says. Engines take what lies outside of an image for its lowest value,
    and a CT is padded with whatever the scanner or the export chose, from -1024 to -32768 HU: an edge of that padding against
    air would draw the alignment to the scanner's field of view. Therefore voxels of a CT below `background` (and NaN) are left
    out of the similarity, and for the engine everything below -950 HU is one and the same air.

    Parameters
    ----------
    planning, relapse
        (X, Y, Z) CT (unit ``HU``) or MR, each on its own grid.
    registrar
        Engine (`regrowth.engines.choice.registrar`).
    kind
        Last stage.
    initial
        Where to start, ``from-relapse_to-planning``, such as from `align_centroids`; rigid for every kind, since rigid is the
        first stage. Without it the engine finds its own start.
    background
        Values below it hold nothing, in both images; -1024 for HU and none for other units when left out.
    metric
        ``ncc`` for CT and CT or MR and MR of one contrast, ``mi`` for two contrasts or CT and MR.
    planning_lesion, relapse_lesion
        (X, Y, Z) bool: gross tumour and cavity, recurrence; left out of the similarity and of the figures of merit.
    landmarks_mm
        (n, 3) on the planning and (n, 3) on the relapse scan, to judge the result by; not used to find it.
    parameters
        Thresholds of the flags; its kind, engine and seed have no effect here.
    seed, threads
        See `Registrar.register`.

    Returns
    -------
    MappedExam

    Raises
    ------
    InputError
        If an image holds nothing that could be aligned.
    ParameterError
        If the engine does not offer `kind` with `metric`.
    EngineFailedError
        If the engine fails.
    """
    if kind not in _KINDS:
        raise ParameterError(f"registration kind {kind!r} is not offered; use 'rigid', 'affine' or 'deformable'")
    limits = parameters or RegistrationParameters()
    (fixed, fixed_void), (moving, moving_void) = _prepared(planning, background), _prepared(relapse, background)
    masks = {
        "fixed_mask": _usable(fixed, fixed_void, planning_lesion, limits.dilate_mm),
        "moving_mask": _usable(moving, moving_void, relapse_lesion, limits.dilate_mm),
    }
    stages: list[Transform] = []
    for stage in _KINDS[: _KINDS.index(kind) + 1]:
        start = stages[-1] if stages else initial
        found = registrar.register(fixed, moving, stage, metric=metric, initial=start, seed=seed, threads=threads, **masks)
        stages.append(replace(found, from_space="relapse", to_space="planning", fixed=planning.grid, moving=relapse.grid))
    exams = ((fixed, fixed_void, planning_lesion), (moving, moving_void, relapse_lesion))
    return _judged(exams, tuple(stages), initial, landmarks_mm, limits, f"{registrar.name} {registrar.version}")


def _judged(
    exams: tuple[_Exam, _Exam],
    stages: tuple[Transform, ...],
    initial: Transform | None,
    landmarks_mm: tuple[np.ndarray, np.ndarray] | None,
    limits: RegistrationParameters,
    engine: str,
) -> MappedExam:
    """Measure how good the last stage is, and say what about it deserves a second look."""
    (fixed, fixed_void, fixed_lesion), (moving, moving_void, moving_lesion) = exams
    transform = stages[-1]
    body = foreground(fixed.data) & ~fixed_void
    shown = body & resample_mask(~moving_void, moving.grid, fixed.grid, transform)
    quality = registration_quality(
        fixed,
        moving,
        transform,
        shown,
        foreground(moving.data) & ~moving_void,
        fixed_lesion=fixed_lesion,
        moving_lesion=moving_lesion,
        before=initial,
        landmarks_mm=landmarks_mm,
        parameters=limits,
    )
    covered = float(shown.sum() / body.sum()) if body.any() else float("nan")
    folds = folding(transform, fixed.grid, shown)
    flags = _flags(quality, folds, covered)
    notes = [
        f"{void.mean():.1%} of the {name} scan lies outside of its field of view and was left out"
        for name, void in (("planning", fixed_void), ("relapse", moving_void))
        if void.any()
    ]
    status, reason = "flagged" if flags else "ok", "; ".join([*flags, *notes])
    return MappedExam(transform, stages, quality, folds, covered, engine, status, reason)


def _flags(quality: RegistrationQuality, folds: Folding, covered: float) -> list[str]:
    flags = [message.replace("the healthy brain", "the body") for _, message in quality.flags]
    if not covered >= _LEAST_COVERED:
        flags.append(f"the relapse scan shows {covered:.0%} of the body on the planning scan")
    if folds.status == "folded" and not any("folded" in f for f in flags):
        flags.append(folds.reason)
    return flags


def _prepared(image: Image, background: float | None) -> tuple[Image, np.ndarray]:
    """Give an image whose air and padding are one value, and which voxels hold nothing."""
    if image.data.ndim != 3:
        raise InputError(f"registration needs one volume, not an array of shape {image.data.shape}")
    is_ct = image.unit == "HU"
    lowest = _CT_BACKGROUND_HU if background is None and is_ct else background
    data = np.asarray(image.data, np.float32)
    void = ~np.isfinite(data)
    if lowest is not None:
        void |= data < lowest - 0.5
    if void.all():
        raise InputError(f"every voxel of the image is NaN or below the background of {lowest}; nothing to register")
    floor = _AIR_HU if is_ct else float(data[~void].min())
    return image.with_data(np.where(void, floor, np.maximum(np.where(void, floor, data), floor))), void


def _usable(image: Image, void: np.ndarray, lesion: np.ndarray | None, dilate_mm: float) -> np.ndarray | None:
    """Voxels that the similarity may look at; None for all of them."""
    if lesion is not None and np.shape(lesion) != image.grid.shape:
        raise GridMismatchError(f"a lesion of shape {np.shape(lesion)} does not fit its image of shape {image.grid.shape}")
    if lesion is None and not void.any():
        return None
    use = ~void
    return use if lesion is None else use & cost_mask(np.asarray(lesion, bool), image.grid, dilate_mm)
