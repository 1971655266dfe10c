"""Values that are coded apart: their rows and their exact bits.

Bytes: the number of values; then squeezed, the gaps between rows and the bytes of the values, plane by plane.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.squeeze import expand, planes, read_varints, squeeze, unplanes, varints
from compress_mpi.types import IntArray

__all__ = ["pack", "unpack"]

_HEAD = 20
"""Bytes of the two numbers at the start, at most."""


def pack(positions: IntArray, values: NDArray[Any]) -> bytes:
    """Bytes of values at rows.

    Parameters
    ----------
    positions : int64 (n,)
        Rows, from 0 and rising.
    values : (n,)
        Of the type of the column; every bit comes back.

    Returns
    -------
    bytes
        None of them for no values.
    """
    if not len(positions):
        return b""
    gaps = varints(np.diff(positions, prepend=-1).astype(np.uint64) - np.uint64(1))
    head = varints(np.array([len(positions), len(gaps)], dtype=np.uint64))
    return head + squeeze(gaps + b"".join(planes(values)))


def unpack(data: bytes, dtype: str) -> tuple[IntArray, NDArray[Any]]:
    """The inverse of :func:`pack`: rows, int64 (n,), and values, ``dtype`` (n,).

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    if not data:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=dtype)
    count, length, body = _head(data)
    width = np.dtype(dtype).itemsize
    plain = expand(body, length + count * width)
    positions = _positions(read_varints(plain[:length]), count)
    parts = [plain[length + j * count : length + (j + 1) * count] for j in range(width)]
    return positions, unplanes(parts, dtype)


def _head(data: bytes) -> tuple[int, int, bytes]:
    ends = [place for place, byte in enumerate(data[:_HEAD]) if byte < 0x80][:2]
    if len(ends) < 2:
        raise ValueError("values apart: the bytes end before their number")
    count, length = (int(number) for number in read_varints(data[: ends[1] + 1]))
    if not 0 < count <= length <= 10 * count:
        raise ValueError(f"values apart: {count} values do not have {length} bytes of places")
    return count, length, data[ends[1] + 1 :]


def _positions(gaps: NDArray[np.uint64], count: int) -> IntArray:
    if len(gaps) != count:
        raise ValueError(f"values apart: expected {count} places, found {len(gaps)}")
    # as float64 the sum does not wrap around
    if gaps.sum(dtype=np.float64) + count > 2.0**62:
        raise ValueError("values apart: a place is beyond any table")
    return np.cumsum(gaps.astype(np.int64) + 1) - 1
