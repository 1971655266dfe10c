"""Training of the tiny flow: as real numbers that are rounded, more and more, to what will be stored.

The loss is the number of bits that the rows will take, with those of the weights themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compress_mpi.models.arrays import load_optimizer, optimizer_arrays, seeded
from compress_mpi.models.training import Arrays, prefixed, stripped
from compress_mpi.types import FloatArray

__all__ = ["Layout", "TinyFlowLearner", "rounded"]

_WEIGHT_BITS = 1.5
"""Bits that a weight takes for each doubling, as the entropy coder was seen to need."""

_ROUNDED_FROM = 0.5
"""Share of the training after which weights are rounded."""


@dataclass(frozen=True)
class Layout:
    """Numbers that the integer network will work with.

    Attributes
    ----------
    steps : int
        Weights and biases are integers, this many to one.
    largest : int
        Magnitude of those integers, at most.
    low, high : float
        Range of an output, the base-2 logarithm of a density.
    """

    steps: int
    largest: int
    low: float
    high: float


class TinyFlowLearner:
    """The network of one column, its optimiser and its data, as the training loop wants them.

    Parameters
    ----------
    features : float32 (n, inputs)
    interval : float32 (n, outputs)
        Weights of the densities in the probability of what each row has.
    total : float64 (outputs,)
        The same of the probability of anything.
    hidden : int
    rows : float
        How many rows will be coded: what a bit of weights is weighed against.
    layout : Layout
    epochs, batch : int
    rate : float
        Learning rate at the start; it falls to zero along a cosine.
    rng : numpy.random.Generator
        Of the initial weights.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        interval: NDArray[np.float32],
        total: FloatArray,
        hidden: int,
        rows: float,
        layout: Layout,
        epochs: int,
        batch: int,
        rate: float,
        rng: np.random.Generator,
    ) -> None:
        self._features, self._interval = torch.from_numpy(features), torch.from_numpy(interval)
        self._total = torch.from_numpy(total.astype(np.float32))
        self._rows, self._layout, self._batch = rows, layout, batch
        self._rate, self._epochs, self._done = rate, epochs, 0
        shapes = [(features.shape[1], hidden), (hidden,), (hidden, total.size), (total.size,)]
        with seeded(rng):
            scales = (1 / math.sqrt(max(features.shape[1], 1)), 0.1, 0.1, 0.0)
            self._weights = [
                (torch.randn(shape) * scale).requires_grad_()
                for shape, scale in zip(shapes, scales, strict=True)
            ]
        self._optimizer = torch.optim.Adam(self._weights, rate, fused=True)

    def epoch(self, rng: np.random.Generator) -> dict[str, float]:
        """Once through the rows; the mean number of bits of a row, weights included."""
        order = torch.from_numpy(rng.permutation(len(self._features)))
        losses = []
        batches = order.split(self._batch)
        for number, rows in enumerate(batches):
            progress = (self._done + number / len(batches)) / self._epochs
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate * (1 + math.cos(math.pi * progress)) / 2
            losses.append(self._step(rows, progress))
        self._done += 1
        return {"bits": float(torch.stack(losses).mean())}

    def weights(self) -> Arrays:
        """The real numbers; see :func:`rounded`."""
        return {str(number): weight.detach().numpy().copy() for number, weight in enumerate(self._weights)}

    def state(self) -> Arrays:
        """Weights, optimiser and number of epochs."""
        return {
            **prefixed("weights", self.weights()),
            **prefixed("optimizer", optimizer_arrays(self._optimizer)),
            "done": np.array(self._done),
        }

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put :meth:`state` back."""
        with torch.no_grad():
            for number, weight in enumerate(self._weights):
                weight.copy_(torch.from_numpy(np.array(state[f"weights/{number}"])))
        load_optimizer(self._optimizer, stripped("optimizer", state))
        self._done = int(state["done"])

    def _step(self, rows: torch.Tensor, progress: float) -> torch.Tensor:
        weights = self._weights if progress < _ROUNDED_FROM else [self._stored(w) for w in self._weights]
        first, bias, second, offset = weights
        hidden = torch.relu(torch.addmm(bias, self._features[rows], first))
        outputs = torch.addmm(offset, hidden, second).clamp(self._layout.low, self._layout.high)
        density = torch.exp2(outputs)
        likely = (density * self._interval[rows]).sum(1).clamp_min(1e-20) / (density @ self._total)
        size = sum(torch.log2(1 + weight.abs() * self._layout.steps).sum() for weight in self._weights)
        loss = -torch.log2(likely).mean() + _WEIGHT_BITS / self._rows * size
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _stored(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight as it will be stored, with the gradient of the weight itself."""
        steps, largest = self._layout.steps, self._layout.largest
        return weight + ((weight * steps).round().clamp(-largest, largest) / steps - weight).detach()


def rounded(weights: Mapping[str, NDArray[Any]], layout: Layout) -> NDArray[np.int64]:
    """The integers of a network, its four arrays one after the other, int64."""
    parts = [np.rint(weights[str(number)].astype(np.float64) * layout.steps) for number in range(4)]
    return np.clip(np.concatenate([part.ravel() for part in parts]), -layout.largest, layout.largest).astype(
        np.int64
    )
