"""Linear algebra whose last bit does not depend on who computes what.

BLAS libraries order their sums by the shape of what they are given and by the number of threads. Products are
therefore formed in blocks of a fixed number of rows, the last one filled up with zeros, on one thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from compress_mpi.types import FloatArray

__all__ = ["ROWS", "combine", "gram", "one_thread", "spread_of", "standard_columns"]

ROWS = 64
"""Rows of a product that are formed together; ranks share work in blocks of so many candidates."""
_WITH_BLAS = ("numpy.linalg", "scipy.linalg", "torch", "sklearn")
_COLUMNS = 256
"""Columns that are standardised together: the copy that this takes stays small."""


@cache
def _controller(imported: tuple[bool, ...]) -> Any:
    # finding the libraries of a process takes milliseconds; these bring another one when they are imported
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and LAPACK use one thread inside, and what they used before outside."""
    imported = tuple(name in sys.modules for name in _WITH_BLAS)
    with _controller(imported).limit(limits=1, user_api="blas"):
        yield


def combine(weights: FloatArray, values: FloatArray) -> FloatArray:
    r"""Combinations of replicas, :math:`\sum_k W_{nk} f_k`.

    Parameters
    ----------
    weights : float64 (n, R)
    values : float64 (R, ...)
        May be shared and read-only; not copied if contiguous.

    Returns
    -------
    float64 (n, ...)
        A row has the same bits whatever rows are asked for with it.

    Raises
    ------
    ValueError
        If the weights are for another number of replicas.
    """
    if weights.ndim != 2 or weights.shape[1] != len(values):
        raise ValueError(f"combine: weights {weights.shape} do not fit {len(values)} replicas")
    flat = values.reshape(len(values), -1)
    out = np.empty((len(weights), flat.shape[1]))
    with one_thread():
        for start in range(0, len(weights), ROWS):
            part = weights[start : start + ROWS]
            out[start : start + ROWS] = (_filled(part) @ flat)[: len(part)]
    return out.reshape(len(weights), *values.shape[1:])


def _filled(rows: FloatArray) -> FloatArray:
    block = np.zeros((ROWS, rows.shape[1]))
    block[: len(rows)] = rows
    return block


def spread_of(values: FloatArray) -> FloatArray:
    """Standard deviation with divisor R, and exactly 0 where all replicas are equal, float64 ``(...)``.

    Parameters
    ----------
    values : float64 (R, ...)
    """
    equal = values.max(axis=0) == values.min(axis=0)
    return np.where(equal, 0.0, values.std(axis=0))


def standard_columns(values: FloatArray) -> Iterator[FloatArray]:
    """Blocks of columns less their mean over their standard deviation (divisor R).

    Columns without spread are left out.

    Parameters
    ----------
    values : float64 (R, P)

    Yields
    ------
    float64 (R, at most 256)
    """
    for left in range(0, values.shape[1], _COLUMNS):
        part = values[:, left : left + _COLUMNS]
        s = spread_of(part)
        if (s > 0).any():
            yield (part[:, s > 0] - part[:, s > 0].mean(axis=0)) / s[s > 0]


def gram(values: FloatArray) -> FloatArray:
    """Products of standardised replicas with each other.

    Parameters
    ----------
    values : float64 (R, P)
        May be shared and read-only.

    Returns
    -------
    float64 (R, R)
        Symmetric, rows sum to 0. Those of several tables (subgrids) may be added.
    """
    total = np.zeros((len(values), len(values)))
    with one_thread():
        for block in standard_columns(values):
            total += block @ block.T
    return total
