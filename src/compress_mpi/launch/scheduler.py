"""The backend of batch schedulers: PSI/J writes the job, submits, asks and cancels.

PSI/J calls a job that the scheduler has forgotten "completed", and all jobs "failed"
when the scheduler cannot be asked. Neither counts here: a stage is done when its
done-file says so, and gone when the scheduler, asked again, still does not know it.
"""

from __future__ import annotations

import functools
import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from compress_mpi.errors import LaunchError
from compress_mpi.launch.backend import AttemptState
from compress_mpi.launch.environment import scrubbed_environment
from compress_mpi.launch.settings import LaunchSettings

__all__ = ["SCHEDULERS", "SchedulerBackend"]

_NAME = "compress-stage"


def _pbs(settings: LaunchSettings) -> dict[str, str]:
    gpus = f":ngpus={settings.gpus}" if settings.gpus else ""
    return {"N": _NAME, "l": f"select=1:ncpus={settings.cores or 1}{gpus}"}


def _pbs_classic(settings: LaunchSettings) -> dict[str, str]:
    gpus = f":gpus={settings.gpus}" if settings.gpus else ""
    return {"N": _NAME, "l": f"nodes=1:ppn={settings.cores or 1}{gpus}"}


def _lsf(settings: LaunchSettings) -> dict[str, str]:
    return {"J": _NAME, **({"R": f"affinity[core({settings.cores})]"} if settings.cores else {})}


# What PSI/J's own words do not cover; its templates know no name of a job.
_OPTIONS: dict[str, Callable[[LaunchSettings], dict[str, str]]] = {
    "slurm": lambda settings: {"job-name": _NAME},
    "pbs": _pbs,
    "pbs_classic": _pbs_classic,
    "lsf": _lsf,
}

SCHEDULERS = tuple(_OPTIONS)
"""Schedulers of PSI/J that are given GPUs, and whose jobs can be found again after a restart."""

_CANCELLED = "cancelled"
_NEVER = 1_000_000_000
# What PSI/J says when it could not ask.
_COULD_NOT_ASK = ("Failed to poll", "Failed to update", "Error updating")


class SchedulerBackend:
    """Runs scripts as batch jobs; ``native_id`` is the scheduler's number.

    To be made and used on the main thread of one rank.

    Parameters
    ----------
    settings : LaunchSettings
    folder : Path
        Of the stage, on a file system that all nodes share.

    Raises
    ------
    LaunchError
        If PSI/J is not installed, or the scheduler is not one of :data:`SCHEDULERS`.
    """

    def __init__(self, settings: LaunchSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._psij = _import_psij()
        self._executor = _executor(settings.where, folder / "scheduler", settings.poll_s)
        self._jobs: dict[str, Any] = {}
        self._final: dict[str, str] = {}

    def submit(self, script: Path) -> str:
        """Put a job into the queue."""
        job = self._psij.Job(self.spec(script))
        try:
            with scrubbed_environment():
                self._executor.submit(job)
        except (self._psij.SubmitException, self._psij.InvalidJobException, OSError) as error:
            raise LaunchError(
                f"launch.where: {self._settings.where} did not take the job: {_one_line(error)}; check partition,"
                " account, time and gpus of 'launch', and that this node may submit jobs"
            ) from error
        native_id = str(job.native_id)
        self._jobs[native_id] = job
        return native_id

    def state(self, native_id: str) -> AttemptState:
        """The last answer of the scheduler; an end is asked for anew and stays one until contradicted."""
        status = self._job(native_id).status
        if not status.state.final:
            if status.state == self._psij.JobState.ACTIVE:
                self._final.pop(native_id, None)
                return AttemptState.RUNNING
            if status.state == self._psij.JobState.QUEUED:
                self._final.pop(native_id, None)
                return AttemptState.QUEUED
            return AttemptState.GONE if native_id in self._final else AttemptState.UNKNOWN
        del self._jobs[native_id]
        message = status.message or ""
        if message.startswith(_COULD_NOT_ASK):
            return AttemptState.UNKNOWN
        cancelled = status.state == self._psij.JobState.CANCELED
        self._final[native_id] = _CANCELLED if cancelled else message or status.state.name.lower()
        return AttemptState.GONE

    def cancel(self, native_id: str) -> None:
        """Ask the scheduler to end a job."""
        job = self._job(native_id)
        if job.status.state.final:
            # not trusted; a fresh one passes the wish on
            del self._jobs[native_id]
            job = self._job(native_id)
        try:
            self._executor.cancel(job)
        except (self._psij.SubmitException, OSError) as error:
            raise LaunchError(
                f"job {native_id} of {self._settings.where} cannot be cancelled: {_one_line(error)};"
                " end it by hand if it is still there"
            ) from error

    def checkpoint(self, native_id: str) -> bool:
        """A job outlives its driver."""
        return False

    def was_cancelled(self, native_id: str) -> bool:
        """Whether the scheduler says so; it does not say so of a job that it has preempted."""
        return self._final.get(native_id) == _CANCELLED

    def reason(self, native_id: str) -> str:
        """Such as ``the scheduler says: canceled``."""
        said = self._final.get(native_id)
        return f"{self._settings.where} says of job {native_id}: {said}" if said else ""

    def spec(self, script: Path) -> Any:
        """PSI/J's description of the job that runs a script."""
        settings, psij = self._settings, self._psij
        named = {**_OPTIONS[settings.where](settings), **settings.options}
        custom: dict[str, object] = {f"{_family(settings.where)}.{name}": str(v) for name, v in named.items()}
        return psij.JobSpec(
            executable="/bin/bash",
            arguments=[str(script)],
            directory=self._folder,
            # the templates for PBS leave GPUs and cores out: the options ask for both there
            resources=None if _family(settings.where) == "pbs" else self._resources(),
            attributes=psij.JobAttributes(
                duration=timedelta(seconds=round(settings.time_s)),
                queue_name=settings.partition,
                account=settings.account,
                custom_attributes=custom or None,
            ),
        )

    def _resources(self) -> Any:
        return self._psij.ResourceSpecV1(
            node_count=1,
            processes_per_node=1,
            cpu_cores_per_process=self._settings.cores,
            gpu_cores_per_process=self._settings.gpus or None,
        )

    def _job(self, native_id: str) -> Any:
        if native_id not in self._jobs:
            job = self._psij.Job()
            self._executor.attach(job, native_id)
            self._jobs[native_id] = job
        return self._jobs[native_id]


@functools.cache
def _import_psij() -> Any:
    """The module, without the SIGCHLD handler that it installs for its own local jobs."""
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        import psij
    except ImportError as error:
        raise LaunchError(
            f"launch.where: a scheduler needs PSI/J, which cannot be loaded ({error}); install it with"
            " `pip install 'compress-mpi[launch]'`, or use where: process or where: local"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, handler)
    # it would print tracebacks each time the scheduler is slow to answer
    logging.getLogger("psij").addHandler(logging.NullHandler())
    logging.getLogger("psij").propagate = False
    return psij


@functools.cache
def _executor(where: str, folder: Path, poll_s: float) -> Any:
    """One per folder: each has a thread of its own that asks the scheduler."""
    if where not in SCHEDULERS:
        raise LaunchError(f"launch.where: expected process, {', '.join(SCHEDULERS)}, got {where}")
    psij = _import_psij()
    from psij.executors.batch.batch_scheduler_executor import BatchSchedulerExecutorConfig

    times: dict[str, Any] = {
        "queue_polling_interval": poll_s,
        "initial_queue_polling_delay": min(2.0, poll_s),
        "queue_polling_error_threshold": _NEVER,
    }
    config = BatchSchedulerExecutorConfig(work_directory=folder, **times)
    return psij.JobExecutor.get_instance(where, config=config)


def _family(where: str) -> str:
    """Both dialects of PBS take the same options."""
    return "pbs" if where == "pbs_classic" else where


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
