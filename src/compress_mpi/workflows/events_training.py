"""The training of a flow on all ranks, with checkpoints."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import RuncardError, StoreError
from compress_mpi.io.arrayfile import read_arrays, write_arrays
from compress_mpi.io.atomic import atomic_write, sweep
from compress_mpi.methods.events.trained_flow import FlowSpec, Hooks, Schedule, TrainingFailed, train_flow
from compress_mpi.types import FloatArray
from compress_mpi.workflows.events_job import EventsJob, tell

__all__ = ["Trained", "earlier_snapshot", "losses_file", "train_on_all", "training_digest"]

Arrays = dict[str, NDArray[Any]]
_EVERY = 10.0  # seconds between lines


@dataclass(frozen=True)
class Trained:
    """The end of a training.

    Attributes
    ----------
    weights : dict of arrays
    facts : dict
        For the header of the file, JSON-able.
    """

    weights: Arrays
    facts: dict[str, Any]


def train_on_all(
    job: EventsJob,
    learn: FloatArray,
    judge: FloatArray,
    spec: FlowSpec,
    schedule: Schedule,
    team: Any,
    signals: Any,
    deadline: float,
) -> Trained | None:
    """Train, or go on training; collective. The same bits at any number of ranks.

    Returns
    -------
    Trained or None
        None where it was told to stop; the checkpoint is written then.

    Raises
    ------
    RuncardError
        If a loss is not finite, or there is no such device.
    """
    digest = training_digest(job, learn, judge, spec, schedule)
    snapshot = team.on_root(lambda: _earlier(job, digest))
    keeper = _Keeper(job, digest, team.rank == 0)

    def should_stop() -> bool:
        # all ranks have to stop after the same epoch
        return bool(team.any(signals.received is not None or time.monotonic() > deadline))

    try:
        training = train_flow(
            learn,
            judge,
            spec,
            schedule,
            job.config.seed,
            device=job.config.training.device,
            hooks=Hooks(keeper.report, should_stop, keeper.save),
            snapshot=snapshot,
            combine=team.map,
        )
    except (TrainingFailed, ValueError) as error:
        raise RuncardError(f"training: {error}") from error
    team.on_root(lambda: keeper.write(training.snapshot))
    if not training.finished:
        reason = signals.received or "time_limit"
        team.on_root(
            lambda: tell(f"stopped ({reason}) with a checkpoint; start the same command again to go on")
        )
        return None
    team.on_root(lambda: atomic_write(losses_file(job.output), _table(training.losses)))
    best = training.best_epoch
    facts = {"epochs": len(training.losses["validation"]), "best_epoch": best, "rows": len(learn)}
    losses = {name: float(f"{values[best - 1]:.6g}") for name, values in training.losses.items()}
    return Trained(training.weights, {**facts, **losses})


def losses_file(output: Path) -> Path:
    """Losses of every epoch as text, beside the compressed file."""
    return output.with_name(f"{output.stem}.training.csv")


class _Keeper:
    """Lines about a training, and its checkpoints; at the first rank."""

    def __init__(self, job: EventsJob, digest: str, first: bool) -> None:
        self._job, self._digest, self._first = job, digest, first
        self._said = -np.inf
        self._saved = time.monotonic()

    def report(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        now = time.monotonic()
        if self._first and not self._job.quiet and (now - self._said > _EVERY or done == total):
            self._said = now
            text = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
            tell(f"epoch {done} of {total}: {text}")

    def save(self, snapshot: Callable[[], Arrays]) -> None:
        if self._first and time.monotonic() - self._saved >= self._job.config.checkpoint_interval:
            self.write(snapshot())

    def write(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        write_arrays(self._job.checkpoint, snapshot, {"digest": self._digest})
        self._saved = time.monotonic()


def earlier_snapshot(path: Path, digest: str) -> Arrays | None:
    """Snapshot of an unfinished training of the same input and settings, if there is one.

    Raises
    ------
    StoreError
        If it is of another training, or damaged.
    """
    if not path.exists():
        return None
    arrays, facts = read_arrays(path)
    if facts.get("digest") != digest:
        raise StoreError(
            f"{path}: belongs to a training with another input or other settings; remove it, or start over"
            " with --restart"
        )
    return arrays


def _earlier(job: EventsJob, digest: str) -> Arrays | None:
    sweep(job.checkpoint)
    arrays = None if job.restart else earlier_snapshot(job.checkpoint, digest)
    if arrays is not None and not job.quiet:
        tell(f"going on with the training in {job.checkpoint}, after epoch {int(arrays['done'])}")
    return arrays


def training_digest(
    job: EventsJob, learn: FloatArray, judge: FloatArray, spec: FlowSpec, schedule: Schedule
) -> str:
    """Of everything that a training depends on."""
    said = json.dumps([asdict(spec), asdict(schedule), job.config.seed, learn.shape, judge.shape])
    digest = hashlib.sha256(said.encode())
    for rows in (learn, judge):
        digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()


def _table(losses: Mapping[str, FloatArray]) -> str:
    lines = [",".join(["epoch", *losses])]
    for epoch, row in enumerate(zip(*losses.values(), strict=True), 1):
        lines.append(",".join([str(epoch), *(repr(float(value)) for value in row)]))
    return "\n".join(lines) + "\n"
