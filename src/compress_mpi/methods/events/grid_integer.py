"""Integers and flags on a grid of odd integer steps, in integer arithmetic without overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import IntArray

__all__ = ["INTEGERS", "WIDEST", "integer_index", "integer_limits", "integer_value"]

INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
WIDEST = 2**63 - 1
"""Greatest step."""


def integer_index(x: NDArray[Any], step: int) -> IntArray:
    """Nearest multiples of a step; for step 1 the integers, of which uint64 wraps around.

    Parameters
    ----------
    x : integer or bool (n,)
    step : int
        Odd, at most ``WIDEST``.

    Returns
    -------
    int64 (n,)
    """
    wide = x if x.dtype == np.uint64 else x.astype(np.int64)
    if step == 1:
        return np.asarray(wide.astype(np.int64))
    divisor = wide.dtype.type(step)
    quotient = wide // divisor
    up = wide - quotient * divisor > step // 2
    return np.asarray(quotient.astype(np.int64) + up)


def integer_value(index: IntArray, step: int, dtype: str) -> NDArray[Any]:
    """Values of indices (n,), ``dtype`` (n,).

    A multiple beyond the range of the type is the end of that range, which is nearer to all that have this index.
    """
    low, high = integer_limits(dtype)
    wide = np.dtype(np.uint64) if dtype == "uint64" else np.dtype(np.int64)
    if step == 1 and dtype == "uint64":
        return np.asarray(index.astype(np.uint64))
    bottom, top = -(-low // step), high // step
    value = np.clip(index, bottom, top).astype(wide) * wide.type(step)
    value[index > top] = high
    value[index < bottom] = low
    return np.asarray(value.astype(dtype))


def integer_limits(dtype: str) -> tuple[int, int]:
    """Least and greatest value of a type; of ``bool``, 0 and 1."""
    if dtype == "bool":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
