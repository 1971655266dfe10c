"""Training of the tiny flow: real numbers that are rounded, in the end, to what will be stored.

The loss is the number of bits that a row takes, with its share of those of the weights. The network is so small
that its gradient is written by hand, and NumPy is faster than a library for large ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.basis import total_weights
from compress_mpi.methods.events.tinyflow import LOG_RANGE, UNITS, Net, Shape
from compress_mpi.models.training import Arrays

__all__ = ["Course", "TinyFlowLearner"]

Weights = list[NDArray[np.float32]]

_STEPS = 1 << UNITS.weight
_LARGEST = 127
_WEIGHT_BITS = 1.5
"""Bits that a weight takes for each doubling, as the entropy coder was seen to need."""
_ROUNDED_FROM = 0.5
"""Share of the training after which weights are rounded."""
_MEMORY = 0.9, 0.999
_TINY = 1e-8


@dataclass(frozen=True)
class Course:
    """How long and how fast to train.

    Attributes
    ----------
    epochs, batch : int
    rate : float
        Learning rate of Adam at the start; it falls to zero along a cosine.
    """

    epochs: int
    batch: int
    rate: float


class TinyFlowLearner:
    """The network of one column, its optimiser and its data, as the training loop wants them.

    Parameters
    ----------
    shape : Shape
    features : float32 (n, inputs)
        What the network looks at.
    interval : float32 (n, outputs)
        Weights of the densities in the probability of what each row has, see :mod:`~compress_mpi.methods.events.basis`.
    rows : int
        How many rows will be coded: what a bit of weights is weighed against.
    course : Course
    rng : numpy.random.Generator
        Of the initial weights.
    """

    def __init__(
        self,
        shape: Shape,
        features: NDArray[np.float32],
        interval: NDArray[np.float32],
        rows: int,
        course: Course,
        rng: np.random.Generator,
    ) -> None:
        self._shape, self._features, self._interval = shape, features, interval
        self._total = total_weights(shape).astype(np.float32)
        self._price = np.float32(_WEIGHT_BITS / rows)
        self._course, self._steps_done = course, 0
        inputs, scales = features.shape[1], (1 / math.sqrt(max(features.shape[1], 1)), 0.1, 0.1, 0.0)
        shapes = [(inputs, shape.hidden), (shape.hidden,), (shape.hidden, shape.outputs), (shape.outputs,)]
        self._weights: Weights = [
            (scale * rng.standard_normal(size)).astype(np.float32)
            for size, scale in zip(shapes, scales, strict=True)
        ]
        self._means, self._squares = ([np.zeros_like(weight) for weight in self._weights] for _ in range(2))

    def epoch(self, rng: np.random.Generator) -> dict[str, float]:
        """Once through the rows; the mean number of bits of a row."""
        order, batch = rng.permutation(len(self._features)), self._course.batch
        starts = range(0, len(order), batch)
        bits = 0.0
        for start in starts:
            rows = order[start : start + batch]
            progress = self._steps_done / (self._course.epochs * len(starts))
            bits += len(rows) * self._step(rows, progress)
        return {"bits": bits / len(order)}

    def weights(self) -> Arrays:
        """The real numbers."""
        return {str(number): weight.copy() for number, weight in enumerate(self._weights)}

    def state(self) -> Arrays:
        """Weights, optimiser and number of steps."""
        lists = {"weights": self._weights, "means": self._means, "squares": self._squares}
        arrays = {f"{name}/{n}": part.copy() for name, parts in lists.items() for n, part in enumerate(parts)}
        return {**arrays, "steps": np.array(self._steps_done)}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put :meth:`state` back."""
        lists = {"weights": self._weights, "means": self._means, "squares": self._squares}
        for name, parts in lists.items():
            for number, part in enumerate(parts):
                part[...] = state[f"{name}/{number}"]
        self._steps_done = int(state["steps"])

    def net(self) -> Net:
        """The network of integers that the weights stand for."""
        numbers = [np.rint(weight.astype(np.float64) * _STEPS).ravel() for weight in self._weights]
        return Net(self._shape, np.clip(np.concatenate(numbers), -_LARGEST, _LARGEST).astype(np.int64))

    def loss(
        self, features: NDArray[np.float32], interval: NDArray[np.float32], weights: Weights
    ) -> tuple[float, Weights]:
        """Mean number of bits of some rows, and its gradient.

        Parameters
        ----------
        features, interval : float32 (n, inputs), float32 (n, outputs)
        weights : list of float32
            The four arrays of a network.
        """
        first, bias, second, offset = weights
        hidden = np.maximum(features @ first + bias, 0)
        outputs = hidden @ second + offset
        density = np.exp2(np.clip(outputs, *LOG_RANGE))
        here = density * interval
        likely, total = here.sum(axis=1), density @ self._total
        bits = float(np.mean(np.log2(total / likely)))
        # both terms are d log2(...) / d output, since an output is a base-2 logarithm
        slope = density * self._total / total[:, None] - here / likely[:, None]
        slope *= (outputs > LOG_RANGE[0]) & (outputs < LOG_RANGE[1])
        slope /= len(features)
        back = (slope @ second.T) * (hidden > 0)
        return bits, [features.T @ back, back.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)]

    def _step(self, rows: NDArray[np.int64], progress: float) -> float:
        weights = self._weights if progress < _ROUNDED_FROM else [_stored(weight) for weight in self._weights]
        bits, gradient = self.loss(self._features[rows], self._interval[rows], weights)
        self._steps_done += 1
        rate = self._course.rate * (1 + math.cos(math.pi * progress)) / 2
        for number, weight in enumerate(self._weights):
            slope = gradient[number] + self._price * _price_slope(weights[number])
            self._move(weight, slope, self._means[number], self._squares[number], rate)
        return bits

    def _move(self, weight: Any, slope: Any, mean: Any, square: Any, rate: float) -> None:
        """A step of Adam, arXiv:1412.6980, algorithm 1."""
        first, second = _MEMORY
        mean += np.float32(1 - first) * (slope - mean)
        square += np.float32(1 - second) * (slope * slope - square)
        unbiased = rate / (1 - first**self._steps_done)
        scale = math.sqrt(1 - second**self._steps_done)
        weight -= np.float32(unbiased) * mean / (np.sqrt(square) / np.float32(scale) + np.float32(_TINY))


def _stored(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weight as it will be stored."""
    steps = np.float32(_STEPS)
    stored: NDArray[np.float32] = np.clip(np.rint(weight * steps), -_LARGEST, _LARGEST) / steps
    return stored


def _price_slope(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Derivative of ``log2(1 + |weight| * steps)``, about the bits of a stored weight."""
    return np.sign(weight) * np.float32(_STEPS / math.log(2)) / (1 + np.abs(weight) * _STEPS)
