r"""Compiled Kolmogorov-Smirnov counts: the dear part of the error function.

The values of a subset lie side by side at each point, in no order: to change one of
them costs next to nothing, and to count those below an edge is a comparison per value,
carried out on whole vectors. Nearly every proposal that comes this far is accepted, so
ordered lists, which count faster and change slower, would not pay.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.selection.kernel_moments import total
from compress_mpi.methods.selection.problem import BLOCK, MEAN, SPREAD
from compress_mpi.types import FloatArray, IntArray

__all__ = ["EDGE_TOLERANCE", "region_distance", "store_values"]

EDGE_TOLERANCE = 1e-12
"""Values this close above an edge (in standard deviations of the prior) count as equal to it."""

_TERMS = 5
"""Row of the scratch for counts that takes the terms of a block."""


@njit(cache=True, nogil=True, error_model="numpy")
def store_values(z: FloatArray, row: int, slot: int, values: FloatArray) -> None:
    """Put a replica into a slot of the values; arrays are by blocks, see ``State.values``."""
    for b in range(values.shape[0]):
        for j in range(BLOCK):
            values[b, j, slot] = z[row, b, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _count(b: int, values: FloatArray, work: FloatArray, counts: FloatArray) -> None:
    """Members at or below the edges at mean + (-2, -1, 0, 1, 2) standard deviations, of block ``b``."""
    for j in range(BLOCK):
        m, s = work[MEAN, b, j], work[SPREAD, b, j]
        e0, e1, e2 = m - 2.0 * s + EDGE_TOLERANCE, m - s + EDGE_TOLERANCE, m + EDGE_TOLERANCE
        e3, e4 = m + s + EDGE_TOLERANCE, m + 2.0 * s + EDGE_TOLERANCE
        c0 = c1 = c2 = c3 = c4 = 0
        for t in range(values.shape[2]):
            v = values[b, j, t]
            c0 += 1 if v <= e0 else 0
            c1 += 1 if v <= e1 else 0
            c2 += 1 if v <= e2 else 0
            c3 += 1 if v <= e3 else 0
            c4 += 1 if v <= e4 else 0
        counts[0, j], counts[1, j], counts[2, j], counts[3, j], counts[4, j] = c0, c1, c2, c3, c4


@njit(cache=True, nogil=True, error_model="numpy")
def _count_swap(b: int, z: FloatArray, up: int, down: int, work: FloatArray, counts: FloatArray) -> None:
    """Take a swap into account."""
    for e in range(5):
        for j in range(BLOCK):
            edge = work[MEAN, b, j] + (e - 2.0) * work[SPREAD, b, j] + EDGE_TOLERANCE
            c = counts[e, j]
            c += 1.0 if z[up, b, j] <= edge else 0.0
            c -= 1.0 if z[down, b, j] <= edge else 0.0
            counts[e, j] = c


@njit(cache=True, nogil=True, error_model="numpy")
def _block_distance(
    b: int, n: float, region: FloatArray, inverse: FloatArray, counts: FloatArray, lanes: FloatArray
) -> float:
    """Squared relative differences of the region fractions, summed over a block."""
    share = 1.0 / n
    for j in range(BLOCK):
        c0, c1, c2, c3, c4 = counts[0, j], counts[1, j], counts[2, j], counts[3, j], counts[4, j]
        d0 = (c0 * share - region[b, 0, j]) * inverse[b, 0, j]
        d1 = ((c1 - c0) * share - region[b, 1, j]) * inverse[b, 1, j]
        d2 = ((c2 - c1) * share - region[b, 2, j]) * inverse[b, 2, j]
        d3 = ((c3 - c2) * share - region[b, 3, j]) * inverse[b, 3, j]
        d4 = ((c4 - c3) * share - region[b, 4, j]) * inverse[b, 4, j]
        d5 = ((n - c4) * share - region[b, 5, j]) * inverse[b, 5, j]
        counts[_TERMS, j] = ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)) + (d4 * d4 + d5 * d5)
    return total(counts[_TERMS], lanes)


@njit(cache=True, nogil=True, error_model="numpy")
def region_distance(
    z: FloatArray,
    region: FloatArray,
    inverse: FloatArray,
    values: FloatArray,
    counts: FloatArray,
    lanes: FloatArray,
    coming: IntArray,
    going: IntArray,
    k: int,
    n: float,
    work: FloatArray,
    start: float,
    weight: float,
    limit: float,
) -> float:
    """``start`` plus the weighted distance after ``k`` swaps that lead to the mean and spread in ``work``.

    Terms are positive, so infinity is the answer as soon as ``limit`` is exceeded. Arrays are those of
    ``Problem`` and ``State``, ``z`` and ``work`` by blocks.
    """
    distance = 0.0
    for b in range(region.shape[0]):
        _count(b, values, work, counts)
        for i in range(k):
            _count_swap(b, z, coming[i], going[i], work, counts)
        distance += _block_distance(b, n, region, inverse, counts, lanes)
        if start + weight * distance > limit:
            return np.inf
    return start + weight * distance
