"""Run the pipeline on a data set from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regrowth.workflow.cluster import ClusterParameters
from regrowth.workflow.run import LEVELS, RunResult, Watch, open_study, run_study
from regrowth.workflow.study import RunParameters

__all__ = ["run"]


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
