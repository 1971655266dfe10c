"""Named arrays as bytes: what the latent codec stores of its tables and its network."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.squeeze import expand, planes, squeeze, unplanes

__all__ = ["pack_arrays", "unpack_arrays"]

_LENGTH = 4
_KINDS = "biuf"


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Names, types, shapes and values; the same bytes for the same arrays.

    Parameters
    ----------
    arrays : mapping of arrays
        Of flags and numbers.
    """
    meta = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    head = zlib.compress(json.dumps(meta, separators=(",", ":")).encode(), 9)
    values = b"".join(plane for array in arrays.values() for plane in planes(_bits(array)))
    return len(head).to_bytes(_LENGTH, "little") + head + squeeze(values)


def unpack_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The inverse of :func:`pack_arrays`.

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    length = int.from_bytes(data[:_LENGTH], "little")
    meta = _meta(data[_LENGTH : _LENGTH + length])
    sizes = [math.prod(shape) * np.dtype(dtype).itemsize for _, dtype, shape in meta]
    values = expand(data[_LENGTH + length :], sum(sizes))
    found, place = {}, 0
    for (name, dtype, shape), size in zip(meta, sizes, strict=True):
        found[name] = _array(values[place : place + size], np.dtype(dtype), shape)
        place += size
    return found


def _bits(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")


def _array(values: bytes, dtype: np.dtype[Any], shape: list[int]) -> NDArray[Any]:
    count = math.prod(shape)
    if not count:
        return np.zeros(shape, dtype)
    parts = [values[j * count : (j + 1) * count] for j in range(dtype.itemsize)]
    return unplanes(parts, f"u{dtype.itemsize}").view(dtype).reshape(shape)


def _meta(head: bytes) -> list[tuple[str, str, list[int]]]:
    try:
        found = json.loads(zlib.decompress(head))
        entries = [(str(name), str(dtype), [int(n) for n in shape]) for name, dtype, shape in found]
        good = all(
            np.dtype(dtype).kind in _KINDS and min(shape, default=0) >= 0 for _, dtype, shape in entries
        )
    except (zlib.error, ValueError, TypeError) as error:
        raise ValueError(f"stored arrays: damaged: {error}") from error
    if not good:
        raise ValueError("stored arrays: expected flags and numbers")
    return entries
