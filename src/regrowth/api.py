"""What most users need from Python: run a cohort, compare two segmentations, register two images.

Everything takes plain paths. The same functions stand behind the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regrowth.workflow.cluster import ClusterParameters
from regrowth.workflow.run import LEVELS, RunResult, Watch, open_study, run_study
from regrowth.workflow.study import RunParameters

__all__ = ["measure", "register", "run"]


def run(
    bids_dir: str | Path,
    out_dir: str | Path,
    *,
    levels: Sequence[str] = LEVELS,
    derivatives: Sequence[str] = (),
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    label_scheme: str | None = None,
    parameters: RunParameters | None = None,
    cluster: ClusterParameters | None = None,
    work_dir: Path | None = None,
    only_steps: Sequence[str] = (),
    force: bool = False,
    watch: Watch | None = None,
) -> RunResult:
    """Run the pipeline on a BIDS data set; a second call does only what changed.

    Parameters
    ----------
    bids_dir
        BIDS data set with ``sub-*_sessions.tsv`` (days_from_baseline, phase).
    out_dir
        Folder for the results.
    levels
        ``participant``, ``group`` or both.
    derivatives
        Segmentations made elsewhere: ``NAME=PATH``, ``PATH``, or the name of a folder in ``bids_dir/derivatives``.
    participants, sessions
        Labels to keep; all when empty.
    label_scheme
        Scheme of segmentations whose sidecar names none.
    parameters
        Parameters of the steps.
    cluster
        Where to compute. When left out, one job after the other in this process; a local cluster needs a script that is
        guarded by ``if __name__ == "__main__"``.
    work_dir, only_steps, force, watch
        See `regrowth.workflow.run.run_study`.

    Returns
    -------
    RunResult
        Outcomes, failures, problems of the data set and pages; failures of patients do not raise.

    Raises
    ------
    InputError
        If the data set or an option cannot be used at all.
    OutputError
        If the output folder cannot be written.
    """
    study = open_study(
        Path(bids_dir),
        Path(out_dir),
        derivatives=derivatives,
        participants=participants,
        sessions=sessions,
        scheme=label_scheme,
        parameters=parameters,
    )
    return run_study(study, levels=levels, cluster=cluster, work_dir=work_dir, force=force, only_steps=only_steps, watch=watch)


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
    from regrowth.space import Image, require_same_grid, resample_image

    settings = RegistrationParameters(**parameters)
    ending = ".nii.gz" if settings.kind == "deformable" else ".txt"
    if transform is not None and not str(transform).endswith(ending):
        raise ParameterError(f"{transform}: a {settings.kind} transform is written as {ending}")

    def mask(path: str | Path | None, image: Image) -> Any:
        if path is None:
            return None
        found = read_image(Path(path))
        require_same_grid(found.grid, image.grid, f"{path} and its image", tolerance_mm=0.1)
        return found.data > 0

    a, b = read_image(Path(fixed)), read_image(Path(moving))
    masks = mask(fixed_lesion, a), mask(moving_lesion, b)
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
