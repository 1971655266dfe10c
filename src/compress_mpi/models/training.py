"""The training loop: epochs, the best weights so far, and going on exactly where a run was stopped.

What is trained is a :class:`Learner`. Random numbers of an epoch come from a generator
made for that epoch alone, so a snapshot needs none of their state; it is a dictionary of
arrays, and a run that goes on from it ends with the same bits as one never stopped, on
the same machine and device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import FloatArray

__all__ = ["Arrays", "Hooks", "Learner", "Training", "TrainingFailed", "prefixed", "stripped", "train"]

Arrays = dict[str, NDArray[Any]]


class TrainingFailed(ArithmeticError):
    """A loss that is no finite number; the message names epoch and loss."""


class Learner(Protocol):
    """Something that gets better with every epoch."""

    def epoch(self, rng: np.random.Generator) -> dict[str, float]:
        """Train for one epoch; losses by name, the same names every time."""
        ...

    def weights(self) -> Arrays:
        """A copy of what the finished model consists of."""
        ...

    def state(self) -> Arrays:
        """A copy of all that the next epoch depends on."""
        ...

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put a :meth:`state` back; ValueError where it does not fit."""
        ...


@dataclass(frozen=True)
class Hooks:
    """What the loop calls after every epoch.

    Attributes
    ----------
    report : callable
        ``report(done, total, losses)``, losses of the last epoch.
    should_stop : callable
        True: end now with a snapshot.
    save : callable
        Gets a function that makes a snapshot, to be called when one is due.
    """

    report: Callable[[int, int, Mapping[str, float]], None] = lambda done, total, losses: None
    should_stop: Callable[[], bool] = lambda: False
    save: Callable[[Callable[[], Arrays]], None] = lambda snapshot: None


@dataclass(frozen=True)
class Training:
    """How a training ended.

    Attributes
    ----------
    finished : bool
        False where it was asked to stop.
    losses : dict of float64 (epoch,)
    weights : dict of arrays
        The best ones where a loss was watched, else the last.
    best_epoch : int
        Number of epochs after which ``weights`` were taken.
    snapshot : dict of arrays
        To go on from.
    """

    finished: bool
    losses: dict[str, FloatArray]
    weights: Arrays
    best_epoch: int
    snapshot: Arrays


@dataclass
class _Course:
    done: int = 0
    losses: dict[str, list[float]] = field(default_factory=dict)
    best: Arrays = field(default_factory=dict)
    best_epoch: int = 0

    def note(self, losses: Mapping[str, float], learner: Learner, watch: str | None) -> None:
        self.done += 1
        for name, value in losses.items():
            if not np.isfinite(value):
                raise TrainingFailed(
                    f"epoch {self.done}: the loss '{name}' is {value}; expected a finite number: lower the"
                    " learning rate"
                )
            self.losses.setdefault(name, []).append(float(value))
        if watch is not None and self.losses[watch][-1] <= min(self.losses[watch]):
            self.best, self.best_epoch = learner.weights(), self.done

    def ended(self, epochs: int, watch: str | None, patience: int | None) -> bool:
        stale = watch is not None and patience is not None and self.done - self.best_epoch >= patience
        return self.done >= epochs or stale

    def snapshot(self, learner: Learner) -> Arrays:
        return {
            "done": np.array(self.done),
            "best_epoch": np.array(self.best_epoch),
            **prefixed("losses", {name: np.array(values) for name, values in self.losses.items()}),
            **prefixed("best", self.best),
            **prefixed("learner", learner.state()),
        }

    @staticmethod
    def of(snapshot: Mapping[str, NDArray[Any]]) -> _Course:
        losses = {name: values.tolist() for name, values in stripped("losses", snapshot).items()}
        return _Course(int(snapshot["done"]), losses, stripped("best", snapshot), int(snapshot["best_epoch"]))


def train(
    learner: Learner,
    epochs: int,
    rng_of: Callable[[int], np.random.Generator],
    *,
    watch: str | None = None,
    patience: int | None = None,
    snapshot: Mapping[str, NDArray[Any]] | None = None,
    hooks: Hooks | None = None,
) -> Training:
    """Train until the epochs are over, the watched loss stops falling, or someone says stop.

    Parameters
    ----------
    learner : Learner
        Freshly made; a snapshot overwrites its state.
    epochs : int
        Largest number of epochs.
    rng_of : callable
        Random generator of an epoch, by its number from 0.
    watch : str, optional
        Loss whose lowest value decides which weights are kept.
    patience : int, optional
        Epochs without a lower watched loss after which training ends.
    snapshot : dict of arrays, optional
        Of an earlier, stopped training with the same arguments.
    hooks : Hooks, optional

    Raises
    ------
    TrainingFailed
        If a loss is not finite.
    ValueError
        If the snapshot does not fit the learner.
    """
    hooks = hooks or Hooks()
    course = _Course() if snapshot is None else _Course.of(snapshot)
    if snapshot is not None:
        learner.load(stripped("learner", snapshot))
    while finished := not course.ended(epochs, watch, patience):
        if hooks.should_stop():
            break
        losses = learner.epoch(rng_of(course.done))
        course.note(losses, learner, watch)
        hooks.report(course.done, epochs, losses)
        hooks.save(lambda: course.snapshot(learner))
    return Training(
        not finished,
        {name: np.array(values) for name, values in course.losses.items()},
        course.best or learner.weights(),
        course.best_epoch or course.done,
        course.snapshot(learner),
    )


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """The same arrays, named ``prefix/name``."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def stripped(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """The arrays named ``prefix/name``, as ``name``."""
    return {
        name.removeprefix(f"{prefix}/"): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix}/")
    }
