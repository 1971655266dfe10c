"""A whole column exactly, for what a grid would waste bytes on: event numbers, hashes, flags.

The bits of the values, or of their differences from the row before (folded, so that small ones of both signs have
leading zeros), are cut into planes of bytes, and each plane is squeezed alone. Flags are a plane of bits.
"""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.squeeze import expand, planes, read_varints, squeeze, unplanes, varints

__all__ = ["pack_column", "unpack_column"]

_VALUES, _DIFFERENCES, _FLAGS = range(3)


def pack_column(x: NDArray[Any]) -> bytes:
    """Bytes of values (n,): one for the form, the sizes of the planes, the planes; none for no values."""
    if not len(x):
        return b""
    if x.dtype == np.bool_:
        return _pack(_FLAGS, [np.packbits(x).tobytes()])
    bits = np.ascontiguousarray(x, dtype=x.dtype.name).view(f"u{x.dtype.itemsize}")
    forms = {_VALUES: planes(bits), _DIFFERENCES: planes(_differences(bits))}
    # a quick look says which form is worth the effort
    form = min(forms, key=lambda name: sum(len(zlib.compress(plane, 1)) for plane in forms[name]))
    return _pack(form, forms[form])


def unpack_column(data: bytes, dtype: str, rows: int) -> NDArray[Any]:
    """The inverse of :func:`pack_column`, ``dtype`` (rows,).

    Raises
    ------
    ValueError
        If the bytes are damaged, or of another number of rows.
    """
    if not data and not rows:
        return np.zeros(0, dtype=dtype)
    if dtype == "bool":
        bits = _unpack(data, (_FLAGS,), 1, (rows + 7) // 8)[1][0]
        return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=rows).astype(bool)
    width = np.dtype(dtype).itemsize
    form, parts = _unpack(data, (_VALUES, _DIFFERENCES), width, rows)
    values = unplanes(parts, f"u{width}")
    return (_summed(values) if form == _DIFFERENCES else values).view(dtype)


def _differences(bits: NDArray[Any]) -> NDArray[Any]:
    step = np.diff(bits, prepend=bits.dtype.type(0)).view(f"i{bits.itemsize}")
    return np.asarray(((step << 1) ^ (step >> (8 * bits.itemsize - 1))).view(bits.dtype))


def _summed(folded: NDArray[Any]) -> NDArray[Any]:
    one = folded.dtype.type(1)
    return np.cumsum((folded >> one) ^ (~(folded & one) + one), dtype=folded.dtype)


def _pack(form: int, parts: list[bytes]) -> bytes:
    squeezed = [squeeze(part) for part in parts]
    sizes = varints(np.array([len(part) for part in squeezed], dtype=np.uint64))
    return bytes([form, len(sizes)]) + sizes + b"".join(squeezed)


def _unpack(data: bytes, forms: tuple[int, ...], number: int, size: int) -> tuple[int, list[bytes]]:
    if len(data) < 2 or data[0] not in forms:
        raise ValueError(f"lossless column: {len(data)} bytes of an unknown form")
    start = 2 + data[1]
    sizes = [int(n) for n in read_varints(data[2:start])]
    if len(sizes) != number or start + sum(sizes) != len(data):
        raise ValueError(f"lossless column: expected {number} planes and no more, found {len(data)} bytes")
    ends = np.cumsum([start, *sizes]).tolist()
    return data[0], [expand(data[a:b], size) for a, b in pairwise(ends)]
