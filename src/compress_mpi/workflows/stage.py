"""A stage: one training in a folder of its own, in whatever process, on whatever machine.

The folder holds all that a stage needs and makes:

==================  ==================================================================
``stage.json``      the request, with the SHA-256 of its input; the driver writes it
``input.h5``        coordinates of the prior
``progress.json``   how far it is, replaced every half second
``checkpoint.h5``   to continue from
``output.h5``       candidates, losses and the trained model, which a later run may use
``done.json``       written last, with the digest of the request
==================  ==================================================================

A stage that is started again continues where its checkpoint is, and ends with the same
bits on the same machine and device.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import EXIT_REQUEUE, CompressError, EnhanceError, RuncardError, StoreError
from compress_mpi.io.arrayfile import read_arrays, write_arrays
from compress_mpi.io.atomic import sweep
from compress_mpi.launch.donefile import DONE, STAGE, read_done, stage_digest, write_done
from compress_mpi.launch.files import write_json
from compress_mpi.methods.enhancement.trained import (
    TRADES,
    Arrays,
    Hooks,
    TrainingFailed,
    machine,
    missing_libraries,
    stripped,
)
from compress_mpi.types import FloatArray
from compress_mpi.workflows.stagefolder import (
    CHECKPOINT,
    FORMAT,
    OUTPUT,
    PROGRESS,
    read_input,
    read_request,
)

__all__ = ["CHECKPOINT_INTERVAL", "require_trainer", "run_stage"]

CHECKPOINT_INTERVAL = 30.0
"""Seconds; no part of the request, because it does not touch the answer."""

_PROGRESS_EVERY = 0.5  # seconds
_SAME = 1e-6  # coordinates of one prior, found on different machines, agree to this

Progress = Callable[[int, int, str], None]


def require_trainer(stage: str) -> None:
    """See that what a stage imports is installed, without importing it.

    Raises
    ------
    RuncardError
        If something is missing; says what to install.
    """
    missing = missing_libraries(stage)
    if missing:
        raise RuncardError(
            f"generator: {stage} needs {' and '.join(missing)}, not installed here; pip install"
            " 'compress-mpi[ml]', or take the generator mix or kde"
        )


def run_stage(
    folder: Path,
    stop: Callable[[], bool],
    progress: Progress | None = None,
    checkpoint_interval: float = CHECKPOINT_INTERVAL,
) -> int:
    """Bring a stage to its end, or as far as it may go.

    Parameters
    ----------
    folder : Path
        With request and input.
    stop : callable
        Asked after every epoch whether to stop with a checkpoint.
    progress : callable, optional
        ``progress(done, total, text)``, as often as ``progress.json`` is written.
    checkpoint_interval : float
        Seconds.

    Returns
    -------
    int
        0: done; 85: stopped with a checkpoint, no done-file; else the exit code of the error
        that the done-file holds and that was printed.

    Raises
    ------
    LaunchError
        If there is no request in the folder.
    """
    digest = stage_digest(folder)
    earlier = read_done(folder, digest)
    if earlier is not None and earlier.code == 0 and (folder / OUTPUT).exists():
        return 0
    try:
        (folder / DONE).unlink(missing_ok=True)
        for name in (CHECKPOINT, OUTPUT):
            sweep(folder / name)
        work = _Work(folder, digest, stop, progress or (lambda done, total, text: None), checkpoint_interval)
        message = work.run()
    except CompressError as error:
        print(f"compress-mpi: error: {error}", file=sys.stderr)
        write_done(folder, error.exit_code, str(error), digest)
        return error.exit_code
    if message is None:
        return EXIT_REQUEUE
    write_done(folder, 0, message, digest)
    return 0


class _Work:
    """One attempt at a stage."""

    def __init__(
        self, folder: Path, digest: str, stop: Callable[[], bool], progress: Progress, interval: float
    ) -> None:
        self.folder, self.digest, self.stop, self.progress = folder, digest, stop, progress
        self.interval = interval
        self.request = read_request(folder)
        self.trade = TRADES[self.request["stage"]]
        self.settings = _settings(self.folder / STAGE, self.request["stage"], self.request["settings"])
        self.input = read_input(folder, self.request["input"])
        self.began = self.saved_at = self.told_at = time.monotonic()
        self.before = 0.0  # seconds of earlier attempts

    def run(self) -> str | None:
        """What was made, in words; None where the work was stopped."""
        require_trainer(self.request["stage"])
        try:
            if self.request["saved"] is not None:
                return self._use(Path(self.request["saved"]))
            return self._train()
        except TrainingFailed as error:
            raise EnhanceError(f"{self.folder}: {self.request['stage']}: {error}") from error
        except ValueError as error:
            if isinstance(error, CompressError):
                raise
            raise EnhanceError(f"{self.folder}: {self.request['stage']}: {error}") from error

    def _train(self) -> str | None:
        training = self.trade.train(
            self.input["coordinates"],
            self.settings,
            self.request["seed"],
            profile=self.input.get("profile"),
            snapshot=self._checkpoint(),
            hooks=Hooks(self._report, self.stop, self._save),
        )
        if not training.finished:
            self._write_checkpoint(training.snapshot)
            return None
        facts = {"epochs": _length(training.losses), "best_epoch": training.best_epoch}
        self._finish(training.weights, training.losses, facts)
        return f"{self.request['stage']}: {facts['epochs']} epochs, {self.request['candidates']} candidates"

    def _use(self, path: Path) -> str:
        arrays, facts = read_arrays(path)
        if facts.get("format") != FORMAT or facts.get("stage") != self.request["stage"]:
            raise StoreError(
                f"{path}: expected the output of a stage '{self.request['stage']}' of compress-mpi, got"
                f" '{facts.get('stage', 'something else')}'"
            )
        self.settings = _settings(path, self.request["stage"], json.loads(facts["settings"]))
        _require_same_prior(path, arrays["coordinates"], self.input["coordinates"])
        history = {"epochs": facts["epochs"], "best_epoch": facts["best_epoch"]}
        self._finish(stripped("model", arrays), stripped("losses", arrays), history)
        return f"{self.request['stage']}: the saved model {path}, {self.request['candidates']} candidates"

    def _finish(self, weights: Arrays, losses: Mapping[str, FloatArray], facts: Mapping[str, Any]) -> None:
        candidates = self.trade.draw(
            weights,
            self.input["coordinates"],
            self.settings,
            self.request["seed"],
            self.request["candidates"],
            profile=self.input.get("profile"),
        )
        arrays = {
            "candidates": candidates,
            "coordinates": self.input["coordinates"],
            **{f"losses/{name}": values for name, values in losses.items()},
            **{f"model/{name}": values for name, values in weights.items()},
        }
        everything = {
            "format": FORMAT,
            "stage": self.request["stage"],
            "settings": json.dumps(asdict(self.settings)),
            "seed": self.request["seed"],
            "digest": self.digest,
            "seconds": self.before + time.monotonic() - self.began,
            **machine(self.settings.device),
            **facts,
        }
        write_arrays(self.folder / OUTPUT, arrays, everything)

    def _report(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        now = time.monotonic()
        if now - self.told_at < _PROGRESS_EVERY and 1 < done < total:
            return
        self.told_at = now
        text = f"epoch {done}: " + ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        write_json(self.folder / PROGRESS, {"done": done, "total": total, "text": text})
        self.progress(done, total, text)

    def _save(self, snapshot: Callable[[], Arrays]) -> None:
        if time.monotonic() - self.saved_at >= self.interval:
            self._write_checkpoint(snapshot())
            self.saved_at = time.monotonic()

    def _write_checkpoint(self, snapshot: Arrays) -> None:
        seconds = self.before + time.monotonic() - self.began
        write_arrays(self.folder / CHECKPOINT, snapshot, {"digest": self.digest, "seconds": seconds})

    def _checkpoint(self) -> Arrays | None:
        """The snapshot to go on from; one of another request counts as none."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return None
        arrays, facts = read_arrays(path)
        if facts.get("digest") != self.digest:
            return None
        self.before = float(facts["seconds"])
        return arrays


def _settings(path: Path, stage: str, content: Mapping[str, Any]) -> Any:
    try:
        return TRADES[stage].settings(content)
    except TypeError as error:
        # the words of Python, without the name of a function of ours
        reason = str(error).rpartition("() ")[2]
        raise StoreError(f"{path}: settings of another release: {reason}") from error
    except ValueError as error:
        raise StoreError(f"{path}: settings: {error}") from error


def _require_same_prior(path: Path, saved: FloatArray, now: FloatArray) -> None:
    if saved.shape != now.shape:
        raise StoreError(
            f"{path}: the saved model was trained on {saved.shape[0]} replicas with {saved.shape[1]} components;"
            f" expected {now.shape[0]} and {now.shape[1]}; train anew, or use the model of this prior"
        )
    if not np.allclose(saved, now, rtol=0.0, atol=_SAME):
        raise StoreError(
            f"{path}: the saved model was trained on another prior, or on other components of it: coordinates"
            f" differ by up to {np.abs(saved - now).max():.2g}; train anew, or use the model of this prior"
        )


def _length(losses: Mapping[str, FloatArray]) -> int:
    return max((len(values) for values in losses.values()), default=0)
