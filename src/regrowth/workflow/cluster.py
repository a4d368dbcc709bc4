"""Where jobs run: in this process, on a local Dask cluster, on a running scheduler, or on Slurm.

The Dask settings that matter were measured: workers are not daemons (engines start children), a task is retried once after
its worker died, and no task is sent to a worker before it can start (else a healthy task is blamed for its neighbour's crash).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regrowth.errors import EngineNotInstalledError, ParameterError
from regrowth.workflow.execute import Place, execute
from regrowth.workflow.job import Job, Outcome
from regrowth.workflow.provenance import write_record

__all__ = ["ClusterParameters", "DaskExecutor", "InProcess", "open_executor", "slurm_cluster"]

_DASK_SETTINGS = {
    "distributed.worker.daemon": False,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": 1,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.memory.target": False,  # results are paths: there is nothing to spill
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.unknown-task-duration": "300s",  # so that an adaptive cluster asks for all its workers
    "distributed.admin.log-format": "%(message)s",
}


@dataclass(frozen=True)
class ClusterParameters:
    """Where a run computes."""

    scheduler: str = field(
        default="local",
        metadata={"help": "local (a cluster on this machine), in-process, slurm, or the address tcp://... of a Dask scheduler"},
    )
    n_procs: int = field(default=0, metadata={"help": "jobs at a time; 0 chooses by cores and memory"})
    threads: int = field(default=0, metadata={"help": "threads per job; 0 divides the cores among the jobs"})
    memory_gb: float = field(default=4.0, metadata={"help": "memory that one job may take", "unit": "GB"})
    slurm_queue: str = field(default="", metadata={"help": "partition of Slurm"})
    slurm_walltime: str = field(default="08:00:00", metadata={"help": "time limit of a Slurm worker, HH:MM:SS"})
    slurm_account: str = field(default="", metadata={"help": "account of Slurm"})
    slurm_interface: str = field(
        default="", metadata={"help": "network interface that Slurm nodes reach this machine by, such as ib0"}
    )

    def resolved(self, n_jobs: int) -> tuple[int, int]:
        """Give processes and threads per process for a number of jobs; 0 stands for what suits this machine or Slurm."""
        if self.scheduler not in ("local", "in-process"):
            return self.n_procs or min(n_jobs, 32), self.threads or 2
        cores = len(os.sched_getaffinity(0))
        memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        n_procs = (
            1 if self.scheduler == "in-process" else self.n_procs or max(1, min(cores, int(memory_gb / self.memory_gb), n_jobs))
        )
        return n_procs, self.threads or max(1, cores // n_procs)


class InProcess:
    """Runs one job after the other in this process."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, Job, Place, Mapping[str, str]]] = []

    def submit(self, job: Job, place: Place, known: Mapping[str, str], priority: int) -> None:
        """Hand over a job."""
        self._queue.append((priority, job, place, known))

    def next_done(self) -> Outcome:
        """Carry out the job that comes first."""
        first = min(range(len(self._queue)), key=lambda n: self._queue[n][0])
        _, job, place, known = self._queue.pop(first)
        return execute(job, place, known)

    def close(self) -> None:
        """Nothing was started."""


class DaskExecutor:
    """Runs jobs on the workers of a Dask client.

    Parameters
    ----------
    client
        ``distributed.Client``.
    cluster
        Cluster that was started for this run and is closed with it, if any.
    """

    def __init__(self, client: Any, cluster: Any = None) -> None:
        from distributed import as_completed

        self._client, self._cluster = client, cluster
        self._ended = as_completed()
        self._jobs: dict[str, tuple[Job, Place]] = {}

    def submit(self, job: Job, place: Place, known: Mapping[str, str], priority: int) -> None:
        """Hand over a job."""
        future = self._client.submit(execute, job, place, dict(known), key=job.id, pure=False, priority=-priority)
        self._jobs[job.id] = (job, place)
        self._ended.add(future)

    def next_done(self) -> Outcome:
        """Wait for the next job to end; a job whose worker died twice has failed."""
        future = next(self._ended)
        if future.status == "finished":
            outcome = future.result()
            assert isinstance(outcome, Outcome)
            return outcome
        job, place = self._jobs[future.key]
        error = future.exception() if future.status == "error" else None
        if type(error).__name__ == "KilledWorker":
            message = "the worker died twice while it ran (killed, out of memory, or a crash of native code); see --memory-gb"
        else:
            message = f"was lost by the cluster ({future.status}: {error})"
        write_record(place.state_dir, job, {"status": "failed", "key": "", "message": message, "outputs": {}})
        return Outcome(job.id, "failed", message)

    def close(self) -> None:
        """Close the client and what was started for it."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def open_executor(parameters: ClusterParameters, n_jobs: int, log_dir: Path | None = None) -> InProcess | DaskExecutor:
    """Start what the parameters ask for; logs of Slurm jobs go to `log_dir`.

    Raises
    ------
    ParameterError
        If the scheduler is none of the choices or does not answer.
    EngineNotInstalledError
        If Slurm is asked for and dask-jobqueue is not installed.
    """
    if parameters.scheduler == "in-process":
        return InProcess()
    import dask

    dask.config.set(_DASK_SETTINGS)
    import logging

    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # deaths of workers are told as failures of jobs
    n_procs, threads = parameters.resolved(n_jobs)
    if parameters.scheduler == "local":
        dask.config.set({"distributed.nanny.pre-spawn-environ": _thread_environment(threads)})
        cluster = LocalCluster(
            n_workers=n_procs,
            threads_per_worker=1,
            processes=True,
            memory_limit=None,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
        )
        return DaskExecutor(Client(cluster), cluster)
    if parameters.scheduler == "slurm":
        cluster = slurm_cluster(parameters, threads, log_dir)
        cluster.adapt(minimum_jobs=1, maximum_jobs=n_procs)  # a job that ends (time limit, lost node) is asked for again
        return DaskExecutor(Client(cluster), cluster)
    if "://" not in parameters.scheduler:
        raise ParameterError(
            f"--scheduler {parameters.scheduler}: use local, in-process, slurm or an address such as tcp://host:8786"
        )
    try:
        return DaskExecutor(Client(parameters.scheduler, timeout="20s"))
    except (OSError, TimeoutError) as error:
        raise ParameterError(f"--scheduler {parameters.scheduler}: no Dask scheduler answers there ({error})") from error


def slurm_cluster(parameters: ClusterParameters, threads: int, log_dir: Path | None = None) -> Any:
    """Describe a Slurm cluster with one job per worker (``dask_jobqueue.SLURMCluster``)."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise EngineNotInstalledError("Slurm needs dask-jobqueue: pip install 'regrowth[hpc]'") from error
    return SLURMCluster(
        queue=parameters.slurm_queue or None,
        account=parameters.slurm_account or None,
        walltime=parameters.slurm_walltime,
        cores=1,
        processes=1,
        job_cpu=threads,
        interface=parameters.slurm_interface or None,
        log_directory=str(log_dir) if log_dir else None,
        memory=f"{parameters.memory_gb:g}GB",
        job_script_prologue=[f"export {k}={v}" for k, v in _thread_environment(threads).items()],
        scheduler_options={"dashboard_address": None},
        worker_extra_args=["--no-dashboard"],
    )


def _thread_environment(threads: int) -> dict[str, str]:
    # Products of points with a 4x4 matrix are too small for a threaded BLAS, which would only burn the other cores.
    blas = dict.fromkeys(("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**blas, "OMP_NUM_THREADS": str(threads), "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads)}
