"""The scan over sizes of the flow: short trainings, a trial a task, spread over the ranks.

A trial is computed by one rank alone and its random numbers follow from the seed and its own sizes, so that its losses
depend neither on the number of ranks nor on the other trials. Each keeps its state in a file of its own, from which it
goes on; a finished one is read and not trained again.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import OutputError, RuncardError, TableError
from compress_mpi.io.arrayfile import write_arrays
from compress_mpi.io.atomic import atomic_write, sweep
from compress_mpi.io.report.events_types import ScanCurve
from compress_mpi.io.settings_events import Flow
from compress_mpi.methods.events.trained_flow import (
    FlowSpec,
    Hooks,
    Schedule,
    Training,
    TrainingFailed,
    train_flow,
)
from compress_mpi.types import FloatArray
from compress_mpi.workflows.events_job import EventsJob, forget_trials, tell
from compress_mpi.workflows.events_training import earlier_snapshot, training_digest

__all__ = ["in_sizes_of", "read_scan", "scan_file", "scan_on_all"]

_COLUMNS = ("transforms", "hidden", "epoch", "train", "validation")


@dataclass(frozen=True, eq=False)
class _Scan:
    """What all trials have in common."""

    job: EventsJob
    learn: FloatArray
    judge: FloatArray
    spec: FlowSpec
    schedule: Schedule
    stop: Callable[[], bool]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        asked = self.job.config.scan
        return [(transforms, hidden) for transforms in asked.transforms for hidden in asked.hidden]

    def trial(self, number: int) -> ScanCurve | None:
        """Losses of a trial, NaN if it diverged; None where it was told to stop."""
        if self.stop():
            return None
        transforms, hidden = self.sizes[number]
        try:
            training = self._train(replace(self.spec, transforms=transforms, hidden=hidden))
        except TrainingFailed as error:
            tell(f"scan: K = {transforms}, H = {hidden}: {error}")
            nothing = np.array([np.nan])
            return ScanCurve(transforms, hidden, nothing, nothing)
        except ValueError as error:
            raise RuncardError(f"scan: {error}") from error
        if not training.finished:
            return None
        return ScanCurve(transforms, hidden, training.losses["train"], training.losses["validation"])

    def _train(self, spec: FlowSpec) -> Training:
        config = self.job.config
        keeper = _Keeper(
            self.job.trials / f"K{spec.transforms}-H{spec.hidden}.h5",
            training_digest(self.job, self.learn, self.judge, spec, self.schedule),
            config.checkpoint_interval,
        )
        sizes = np.random.SeedSequence(config.seed, spawn_key=(spec.transforms, spec.hidden))
        training = train_flow(
            self.learn,
            self.judge,
            spec,
            self.schedule,
            int(sizes.generate_state(1)[0]),
            device=config.training.device,
            hooks=Hooks(should_stop=self.stop, save=keeper.save),
            snapshot=keeper.earlier(),
        )
        keeper.write(training.snapshot)
        return training


class _Keeper:
    """The file of a trial."""

    def __init__(self, path: Path, digest: str, interval: float) -> None:
        self._path, self._digest, self._interval = path, digest, interval
        self._saved = time.monotonic()

    def earlier(self) -> dict[str, NDArray[Any]] | None:
        sweep(self._path)
        return earlier_snapshot(self._path, self._digest)

    def save(self, snapshot: Callable[[], dict[str, NDArray[Any]]]) -> None:
        if time.monotonic() - self._saved >= self._interval:
            self.write(snapshot())

    def write(self, snapshot: dict[str, NDArray[Any]]) -> None:
        write_arrays(self._path, snapshot, {"digest": self._digest})
        self._saved = time.monotonic()


def scan_on_all(
    job: EventsJob,
    learn: FloatArray,
    judge: FloatArray,
    spec: FlowSpec,
    team: Any,
    signals: Any,
    deadline: float,
) -> list[ScanCurve] | None:
    """Train all trials and write their losses beside the compressed file; collective.

    Parameters
    ----------
    job : EventsJob
    learn, judge : float64 (n, c)
        Preprocessed rows to learn from and to judge by.
    spec : FlowSpec
        What the runcard asks for besides the sizes.
    team : MPITeam or SerialTeam
    signals : StopSignals
    deadline : float
        Of ``time.monotonic``.

    Returns
    -------
    list of ScanCurve or None
        None where it was told to stop; finished trials, and the state of the others, are kept.

    Raises
    ------
    OutputError, RuncardError, StoreError
    """
    asked = job.config.scan
    schedule = Schedule(
        asked.rate, asked.batch, asked.epochs, None, asked.plateau, shards=job.config.training.shards
    )

    def stop() -> bool:
        return signals.received is not None or time.monotonic() > deadline

    team.on_root(lambda: _prepare(job))
    scan = _Scan(job, learn, judge, spec, schedule, stop)
    found = team.map(scan.trial, range(len(scan.sizes)))
    curves = [curve for curve in found if curve is not None]
    if len(curves) < len(found):
        team.on_root(lambda: _say_stopped(len(curves), len(found)))
        return None
    team.on_root(lambda: _conclude(job, curves))
    return curves


def in_sizes_of(curves: Sequence[ScanCurve], spec: FlowSpec, flow: Flow) -> FlowSpec:
    """The flow in the sizes of the trial of the lowest validation loss, those aside that the runcard gives.

    Raises
    ------
    RuncardError
        If no trial has a finite loss.
    """
    best = _best(curves)
    if best is None:
        raise RuncardError("scan.rate: every trial diverged, so there is none to pick; lower it")
    return replace(spec, transforms=flow.transforms or best.transforms, hidden=flow.hidden or best.hidden)


def scan_file(output: Path) -> Path:
    """Losses of every epoch of every trial as text, beside the compressed file."""
    return output.with_name(f"{output.stem}.scan.csv")


def read_scan(output: Path) -> list[ScanCurve]:
    """Trials of the scan of a compressed file; none if there was no scan.

    Raises
    ------
    TableError
        If the file of the scan is damaged.
    """
    path = scan_file(output)
    if not path.exists():
        return []
    trials: dict[tuple[int, int], list[tuple[float, float]]] = {}
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                losses = trials.setdefault((int(row["transforms"]), int(row["hidden"])), [])
                losses.append((float(row["train"]), float(row["validation"])))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TableError(f"{path}: no table of a scan: {error}; remove it, or write it again") from error
    return [ScanCurve(*sizes, *np.array(losses).T) for sizes, losses in trials.items()]


def _prepare(job: EventsJob) -> None:
    if job.restart:
        forget_trials(job)
    try:
        job.trials.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{job.trials}: cannot make this folder: {error.strerror or error}") from error


def _say_stopped(done: int, number: int) -> None:
    tell(f"stopped after {done} of {number} trials of the scan; start the same command again to go on")


def _conclude(job: EventsJob, curves: Sequence[ScanCurve]) -> None:
    atomic_write(scan_file(job.output), "\n".join(_lines(curves)) + "\n")
    best = _best(curves)
    if best is not None and not job.quiet:
        tell(
            f"scan: {len(curves)} trials, lowest validation loss {np.nanmin(best.validation):.4f} at"
            f" K = {best.transforms}, H = {best.hidden}"
        )


def _lines(curves: Sequence[ScanCurve]) -> Iterator[str]:
    yield ",".join(_COLUMNS)
    for curve in curves:
        for epoch, losses in enumerate(zip(curve.train, curve.validation, strict=True), 1):
            said = (curve.transforms, curve.hidden, epoch, *(float(loss) for loss in losses))
            yield ",".join(map(repr, said))


def _best(curves: Sequence[ScanCurve]) -> ScanCurve | None:
    good = [curve for curve in curves if np.isfinite(curve.validation).any()]
    return min(good, key=lambda curve: float(np.nanmin(curve.validation)), default=None)
