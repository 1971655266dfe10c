"""Masked residual networks (MADE, arXiv:1502.03509): degrees, masks, and where each weight lies in one vector.

A column's scale and shift may depend only on columns before it in the layer's order. Every
unit has a degree; a weight is kept where the unit it leads to may know what the other one knows.
All weights of a flow are one flat vector: one product applies every mask, one exchange between
ranks carries every gradient, and the optimiser makes one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import FloatArray, IntArray

__all__ = ["Block", "Layer", "Layout"]

_SMALL = 1e-3  # initial weights at the end of a residual block: it begins near the identity


class Block(NamedTuple):
    """Residual block ``t + v(relu(w(relu(t))))`` of linear maps w and v, (hidden + 1, hidden) each."""

    w: Any
    v: Any


class Layer(NamedTuple):
    """Linear maps of one affine layer: first (features + 1, hidden), blocks, last (hidden + 1, 2 features).

    A row for each input, and at the end one of biases. ``last`` gives scales, then shifts.
    """

    first: Any
    blocks: tuple[Block, ...]
    last: Any


@dataclass(frozen=True)
class Layout:
    """Shapes of all weights of a flow, in the order in which the flat vector has them.

    Attributes
    ----------
    features : int
        Columns.
    layers : int
    hidden : int
        Units of each hidden layer.
    blocks : int
        Residual blocks of each layer, 1 or more.
    """

    features: int
    layers: int
    hidden: int
    blocks: int

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of one layer: first, w and v of every block, last."""
        square = (self.hidden + 1, self.hidden)
        first, last = (self.features + 1, self.hidden), (self.hidden + 1, 2 * self.features)
        return (first, *(2 * self.blocks * (square,)), last)

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.layers * sum(prod(shape) for shape in self.shapes)

    @cached_property
    def degrees(self) -> IntArray:
        """Degree of each hidden unit, int64 (hidden,), ascending: it may know that many columns."""
        free = max(1, self.features - 1)
        degrees: IntArray = np.sort(np.arange(self.hidden) % free + min(1, self.features - 1))
        return degrees

    def split(self, flat: Any) -> list[Layer]:
        """Views of a flat vector, a tensor or an array, as layers."""
        layers, begin = [], 0
        for _ in range(self.layers):
            parts = []
            for shape in self.shapes:
                parts.append(flat[begin : begin + prod(shape)].reshape(shape))
                begin += prod(shape)
            blocks = tuple(Block(*parts[i : i + 2]) for i in range(1, len(parts) - 1, 2))
            layers.append(Layer(parts[0], blocks, parts[-1]))
        return layers

    def mask(self, orders: NDArray[Any]) -> FloatArray:
        """1 for a weight that is kept and 0 for others, float64 (size,).

        Parameters
        ----------
        orders : int (layers, features)
            Place of each column in the order of each layer, from 0.
        """
        mask = np.ones(self.size)
        for layer, order in zip(self.split(mask), orders, strict=True):
            layer.first[:-1] = order[:, None] + 1 <= self.degrees
            for block in layer.blocks:
                block.w[:-1] = block.v[:-1] = self.degrees[:, None] <= self.degrees
            layer.last[:-1] = self.degrees[:, None] < np.tile(order, 2) + 1
        return mask

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Initial weights as published, float64 (size,): uniform within one over the root of the inputs."""
        flat = np.empty(self.size)
        for layer in self.split(flat):
            for part in (layer.first, *(block.w for block in layer.blocks), layer.last):
                limit = (len(part) - 1) ** -0.5
                part[:] = rng.uniform(-limit, limit, part.shape)
            for block in layer.blocks:
                block.v[:] = rng.uniform(-_SMALL, _SMALL, block.v.shape)
        return flat

    def draw_orders(self, rng: np.random.Generator, permutation: str) -> IntArray:
        """Order of the columns in each layer, int64 (layers, features): ``random``, or every second ``reverse``."""
        if permutation == "random":
            return np.stack([rng.permutation(self.features) for _ in range(self.layers)])
        forward = np.arange(self.features)
        return np.stack([forward[::-1] if number % 2 else forward for number in range(self.layers)])
