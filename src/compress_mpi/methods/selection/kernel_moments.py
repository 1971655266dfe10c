r"""Compiled sums and moments: the cheap part of the error function.

Loops go over points side by side, without a branch, so that they are carried out on
whole vectors. Sums over points are formed in a fixed order whatever the width of a
vector, so machines with different vectors agree. Rows of arrays are not named: a
name for a part of an array costs as much as the arithmetic on it.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.selection.problem import BLOCK, MEAN, SPREAD
from compress_mpi.types import FloatArray

__all__ = ["add_row", "mean_and_spread", "moment_erf", "total"]

_NO_SPREAD = 1e-6
"""A subset spread below this, in units of the prior's, is rounding: all members are equal at the point."""


@njit(cache=True, nogil=True, error_model="numpy")
def total(values: FloatArray, lanes: FloatArray) -> float:
    """Sum of values, float64 (multiple of BLOCK,); ``lanes`` is scratch, float64 (BLOCK,)."""
    lanes[:] = 0.0
    for first in range(0, values.shape[0], BLOCK):
        block = values[first : first + BLOCK]
        for j in range(BLOCK):
            lanes[j] += block[j]
    for j in range(32):
        lanes[j] += lanes[j + 32]
    for j in range(16):
        lanes[j] += lanes[j + 16]
    for j in range(8):
        lanes[j] += lanes[j + 8]
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]))


@njit(cache=True, nogil=True, error_model="numpy")
def add_row(z: FloatArray, row: int, sign: float, sums: FloatArray) -> None:
    """Add the powers of one replica to the sums, float64 (4 or 6, point), or take them away."""
    for p in range(z.shape[1]):
        v = z[row, p]
        square = v * v
        sums[0, p] += sign * v
        sums[1, p] += sign * square
        sums[2, p] += sign * (square * v)
        sums[3, p] += sign * (square * square)
    if sums.shape[0] > 4:
        for p in range(z.shape[1]):
            v = z[row, p]
            cube = v * (v * v)
            sums[4, p] += sign * (cube * (v * v))
            sums[5, p] += sign * (cube * cube)


@njit(cache=True, nogil=True, error_model="numpy")
def mean_and_spread(sums: FloatArray, z: FloatArray, up: int, down: int, n: float, work: FloatArray) -> None:
    """Mean and standard deviation of a subset in which row ``up`` of the pool comes and ``down`` goes."""
    share, unbiased = 1.0 / n, n / (n - 1.0)
    for p in range(z.shape[1]):
        a, b = z[up, p], z[down, p]
        m = (sums[0, p] + (a - b)) * share
        second = (sums[1, p] + (a * a - b * b)) * share
        s = np.sqrt(max((second - m * m) * unbiased, 0.0))
        work[MEAN, p] = m
        work[SPREAD, p] = s if s > _NO_SPREAD else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def moment_erf(
    sums: FloatArray,
    z: FloatArray,
    up: int,
    down: int,
    n: float,
    scale: FloatArray,
    moment: FloatArray,
    inverse: FloatArray,
    weights: FloatArray,
    terms: FloatArray,
    lanes: FloatArray,
) -> float:
    """Weighted distances of all moments of a subset in which row ``up`` comes and ``down`` goes.

    Parameters
    ----------
    sums : float64 (4 or 6, point)
        Of the subset before the swap.
    z : float64 (pool, point)
    n : float
        Size of the subset.
    scale, moment, inverse
        ``mean_scale``, ``moment`` and ``moment_inverse`` of ``Problem``.
    weights : float64 (8,)
        In the order of ``ESTIMATORS``.
    terms, lanes : float64 (point,), (BLOCK,)
        Scratch.
    """
    share, unbiased = 1.0 / n, n / (n - 1.0)
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    for p in range(z.shape[1]):
        a, b = z[up, p], z[down, p]
        aa, bb = a * a, b * b
        m = (sums[0, p] + (a - b)) * share
        q2 = (sums[1, p] + (aa - bb)) * share
        q3 = (sums[2, p] + (aa * a - bb * b)) * share
        q4 = (sums[3, p] + (aa * aa - bb * bb)) * share
        mm = m * m
        s = np.sqrt(max((q2 - mm) * unbiased, 0.0))
        has_spread = s > _NO_SPREAD
        i = 1.0 / s if has_spread else 0.0
        ii = i * i
        d0 = m * scale[p]
        d1 = ((s if has_spread else 0.0) - moment[1, p]) * inverse[1, p]
        d2 = ((q3 - m * (3.0 * q2 - 2.0 * mm)) * (ii * i) - moment[2, p]) * inverse[2, p]
        d3 = ((q4 - m * (4.0 * q3 - m * (6.0 * q2 - 3.0 * mm))) * (ii * ii) - moment[3, p]) * inverse[3, p]
        terms[p] = (w0 * (d0 * d0) + w1 * (d1 * d1)) + (w2 * (d2 * d2) + w3 * (d3 * d3))
    erf = total(terms, lanes)
    if sums.shape[0] > 4:
        erf += _high_moment_erf(sums, z, up, down, n, moment, inverse, weights, terms, lanes)
    return erf


@njit(cache=True, nogil=True, error_model="numpy")
def _high_moment_erf(
    sums: FloatArray,
    z: FloatArray,
    up: int,
    down: int,
    n: float,
    moment: FloatArray,
    inverse: FloatArray,
    weights: FloatArray,
    terms: FloatArray,
    lanes: FloatArray,
) -> float:
    """The fifth and sixth moment."""
    share, unbiased = 1.0 / n, n / (n - 1.0)
    w4, w5 = weights[4], weights[5]
    for p in range(z.shape[1]):
        a, b = z[up, p], z[down, p]
        aa, bb = a * a, b * b
        m = (sums[0, p] + (a - b)) * share
        q2 = (sums[1, p] + (aa - bb)) * share
        q3 = (sums[2, p] + (aa * a - bb * b)) * share
        q4 = (sums[3, p] + (aa * aa - bb * bb)) * share
        q5 = (sums[4, p] + (aa * aa * a - bb * bb * b)) * share
        q6 = (sums[5, p] + (aa * aa * aa - bb * bb * bb)) * share
        mm = m * m
        s = np.sqrt(max((q2 - mm) * unbiased, 0.0))
        i = 1.0 / s if s > _NO_SPREAD else 0.0
        ii = i * i
        c5 = q5 - m * (5.0 * q4 - m * (10.0 * q3 - m * (10.0 * q2 - 4.0 * mm)))
        c6 = q6 - m * (6.0 * q5 - m * (15.0 * q4 - m * (20.0 * q3 - m * (15.0 * q2 - 5.0 * mm))))
        d4 = (c5 * (ii * ii * i) - moment[4, p]) * inverse[4, p]
        d5 = (c6 * (ii * ii * ii) - moment[5, p]) * inverse[5, p]
        terms[p] = w4 * (d4 * d4) + w5 * (d5 * d5)
    return total(terms, lanes)
