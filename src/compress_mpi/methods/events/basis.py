"""The tiny flow as its training sees it: probabilities are linear in the densities at the knots."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.tables import SLOTS
from compress_mpi.methods.events.tinyflow import RELATIVE_KNOTS, Shape
from compress_mpi.types import FloatArray, IntArray

__all__ = ["interval_weights", "total_weights"]


def _integrals(knots: IntArray) -> FloatArray:
    """Weights of the densities at knots in the integral up to each slot, float64 (SLOTS + 1, knots)."""
    slots = np.arange(SLOTS + 1)
    weights = np.zeros((slots.size, knots.size))
    for number, (left, right) in enumerate(itertools.pairwise(knots)):
        along = np.clip(slots - left, 0, right - left).astype(np.float64)
        rising = along**2 / (2 * (right - left))
        weights[:, number] += along - rising
        weights[:, number + 1] += rising
    return weights


def _tables(shape: Shape) -> tuple[FloatArray, FloatArray]:
    flat = _integrals(np.arange(0, SLOTS + 1, SLOTS // shape.segments))
    return flat, _integrals(RELATIVE_KNOTS) if shape.relative else np.empty((SLOTS + 1, 0))


def total_weights(shape: Shape) -> FloatArray:
    """Weights of the densities at all knots in the integral over everything, float64 (outputs,)."""
    return np.concatenate([table[-1] for table in _tables(shape)])


def interval_weights(shape: Shape, low: IntArray, high: IntArray, reference: IntArray) -> NDArray[np.float32]:
    """Weights of the densities at all knots in the integral over an interval of slots.

    Parameters
    ----------
    shape : Shape
    low, high : int64 (n,)
        First slot of each interval and the one after its last.
    reference : int64 (n,)
        Slot from which distances count.

    Returns
    -------
    float32 (n, outputs)
    """
    flat, distance = _tables(shape)
    parts = [flat[high] - flat[low]]
    if shape.relative:
        base = -reference % SLOTS
        around = np.concatenate([distance, distance[-1] + distance[1:]])
        parts.append(around[base + high] - around[base + low])
    return np.concatenate(parts, axis=1).astype(np.float32)
