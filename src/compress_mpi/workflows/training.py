"""The training of a generator, in rank 0 itself or wherever the runcard says."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from compress_mpi.errors import EnhanceError
from compress_mpi.launch.donefile import read_done, stage_digest
from compress_mpi.launch.runner import Progress
from compress_mpi.launch.runner import run as run_elsewhere
from compress_mpi.launch.settings import LaunchSettings
from compress_mpi.methods.enhancement.basis import Basis
from compress_mpi.types import FloatArray
from compress_mpi.workflows.enhance_plan import EnhancePlan
from compress_mpi.workflows.selection import Run, tell
from compress_mpi.workflows.stagefolder import StageOutput, read_output, write_stage

__all__ = ["stop_reason", "train"]

_SPARE = 1.6
"""Candidates that a network draws over those that are needed: the guards reject some."""


def train(job: Run, plan: EnhancePlan, basis: Basis) -> StageOutput | None:
    """Train here or somewhere else; on rank 0, while the others sleep.

    Parameters
    ----------
    job : Run
    plan : EnhancePlan
    basis : Basis
        Components of the prior.

    Returns
    -------
    StageOutput or None
        None where the training was told to stop.

    Raises
    ------
    EnhanceError, LaunchError, OutputError
        If the training fails.
    """
    folder, launch = plan.stage_folder, job.source.config.launch
    needed = int(_SPARE * (plan.total - basis.n_rep))
    write_stage(
        folder,
        plan.kind,
        plan.settings["network"],
        job.source.config.seed,
        needed,
        basis.coordinates,
        profile=_profile(job, plan, basis),
        saved=plan.saved,
    )
    done = _train_here(job, folder) if launch.where == "local" else _train_elsewhere(job, folder)
    return read_output(folder) if done else None


def _train_here(job: Run, folder: Path) -> bool:
    # torch is imported where there is something to train
    from compress_mpi.workflows.stage import run_stage

    interval = job.source.config.checkpoint_interval
    code = run_stage(folder, lambda: stop_reason(job) is not None, _Teller(job.quiet).tell, interval)
    if code == 0:
        return True
    done = read_done(folder, stage_digest(folder))
    if done is None:
        tell(f"{folder}: stopped ({stop_reason(job)}) with a checkpoint; start again to go on")
        return False
    raise EnhanceError(f"{folder}: training failed: {done.message}")


def _train_elsewhere(job: Run, folder: Path) -> bool:
    config = job.source.config.launch
    settings = LaunchSettings(
        where=config.where,
        gpus=config.gpus if config.where != "process" else 0,
        cores=config.cores,
        partition=config.partition,
        account=config.account,
        time_s=config.time,
        modules=config.modules,
        environment=config.environment,
        options=config.options,
    )
    interval = ["--checkpoint-interval", str(job.source.config.checkpoint_interval)]
    command = [sys.executable, "-m", "compress_mpi", "stage", str(folder), *interval]
    teller = _Teller(job.quiet)

    def progress(now: Progress) -> None:
        teller.tell(now.done, now.total, now.text)

    if run_elsewhere(settings, folder, command, lambda: stop_reason(job), progress) is not None:
        return True
    tell(f"{folder}: not waited for any longer ({stop_reason(job)}); start again to go on")
    return False


def stop_reason(job: Run) -> str | None:
    """Why to stop, None to go on; for rank 0."""
    if job.signals.received is not None:
        return job.signals.received
    return "time_limit" if time.monotonic() > job.deadline else None


class _Teller:
    """Lines about a training, not too many."""

    def __init__(self, quiet: bool, interval: float = 10.0) -> None:
        self._quiet, self._interval, self._last = quiet, interval, -np.inf

    def tell(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if self._quiet or (now - self._last < self._interval and done < total):
            return
        self._last = now
        print(f"training  {done}/{total}  {text}", file=sys.stderr, flush=True)


def _profile(job: Run, plan: EnhancePlan, basis: Basis) -> FloatArray | None:
    """What convolutions over x need to know."""
    if plan.settings["network"].get("architecture") != "dcnn":
        return None
    from compress_mpi.methods.enhancement.gan import profile_of

    return profile_of(basis.coordinates, job.prior.values[job.prior.plan.first_row :])
