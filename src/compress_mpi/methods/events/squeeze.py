"""Byte strings stored in the smallest of three ways, and whole numbers in as few bytes as they need.

Reading is bounded: nothing is unpacked beyond the size that is expected, whatever the bytes say.
"""

from __future__ import annotations

import lzma
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["expand", "planes", "read_varints", "squeeze", "unplanes", "varints"]

_STORED, _ZLIB, _LZMA = range(3)
_SHORT = 24
"""Bytes below which nothing is gained."""
_DIGITS = 10
"""Bytes of the longest 64-bit number, 7 bits each."""


def squeeze(data: bytes) -> bytes:
    """One byte for the way, and the data stored, by zlib or by LZMA, whichever is smallest."""
    best, way = data, _STORED
    if len(data) > _SHORT:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        tries = {
            _ZLIB: deflate.compress(data) + deflate.flush(),
            _LZMA: lzma.compress(data, lzma.FORMAT_RAW, filters=_filters(len(data))),
        }
        for name, found in tries.items():
            if len(found) < len(best):
                best, way = found, name
    return bytes([way]) + best


def expand(data: bytes, size: int) -> bytes:
    """The inverse of :func:`squeeze`.

    Parameters
    ----------
    data : bytes
    size : int
        Of what was squeezed.

    Raises
    ------
    ValueError
        If the bytes are damaged or of another size.
    """
    if not data:
        raise ValueError(f"packed bytes: expected {size} of them, found none")
    way, body = data[0], data[1:]
    if way == _STORED:
        found = body
    elif way == _ZLIB:
        found = _inflate(body, size)
    elif way == _LZMA:
        found = _unlzma(body, size)
    else:
        raise ValueError(f"packed bytes: unknown way {way}; expected 0 to {_LZMA}")
    if len(found) != size:
        raise ValueError(f"packed bytes: expected {size} of them, found {len(found)} or more")
    return found


def _inflate(body: bytes, size: int) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflate.decompress(body, size + 1)
    except zlib.error as error:
        raise ValueError(f"packed bytes are damaged: {error}") from error
    if inflate.unused_data or not (inflate.eof or len(found) > size):
        raise ValueError("packed bytes are damaged: they do not end where they should")
    return found


def _unlzma(body: bytes, size: int) -> bytes:
    unpack = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(size))
    try:
        found = unpack.decompress(body, size + 1)
    except lzma.LZMAError as error:
        raise ValueError(f"packed bytes are damaged: {error}") from error
    if unpack.unused_data or not (unpack.eof or len(found) > size):
        raise ValueError("packed bytes are damaged: they do not end where they should")
    return found


def _filters(size: int) -> list[dict[str, Any]]:
    # bytes of a plane have no relation to their place, nor to the highest bits of the one before;
    # a dictionary no larger than the data spares a fresh one of 8 MB for every block
    dictionary = max(4096, min(1 << (size - 1).bit_length() if size > 1 else 1, 1 << 23))
    return [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": dictionary, "lc": 0, "lp": 0, "pb": 0}]


def varints(numbers: NDArray[np.uint64]) -> bytes:
    """Numbers (n,) with 7 bits a byte, lowest first; the highest bit says that more follow."""
    places = np.arange(_DIGITS, dtype=np.uint64) * np.uint64(7)
    rest = numbers[:, None] >> places
    used = rest > 0
    used[:, 0] = True
    digits = (rest & np.uint64(0x7F)).astype(np.uint8)
    digits[:, :-1] |= used[:, 1:].astype(np.uint8) << 7
    return digits[used].tobytes()


def read_varints(data: bytes) -> NDArray[np.uint64]:
    """The inverse of :func:`varints`, uint64 (n,).

    Raises
    ------
    ValueError
        If the bytes end within a number, or one is larger than 64 bits.
    """
    digits = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(digits < 0x80)
    if len(digits) and (not len(ends) or ends[-1] != len(digits) - 1):
        raise ValueError("packed numbers: they end within a number")
    starts = np.append(0, ends[:-1] + 1) if len(ends) else ends
    lengths = ends + 1 - starts
    last = digits[ends]
    if (lengths > _DIGITS).any() or (last[lengths == _DIGITS] > 1).any():
        raise ValueError("packed numbers: one is larger than 64 bits")
    numbers = np.zeros(len(starts), dtype=np.uint64)
    for place in range(int(lengths.max(initial=0))):
        longer = lengths > place
        digit = (digits[starts[longer] + place] & 0x7F).astype(np.uint64)
        numbers[longer] |= digit << np.uint64(7 * place)
    return numbers


def planes(values: NDArray[Any]) -> list[bytes]:
    """Bytes of numbers (n,), all the lowest first."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    table = np.frombuffer(little.tobytes(), dtype=np.uint8).reshape(len(values), values.dtype.itemsize)
    return [np.ascontiguousarray(table[:, j]).tobytes() for j in range(values.dtype.itemsize)]


def unplanes(parts: list[bytes], dtype: str) -> NDArray[Any]:
    """The inverse of :func:`planes`, ``dtype`` (n,)."""
    table = np.stack([np.frombuffer(part, dtype=np.uint8) for part in parts], axis=1)
    little = np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(np.ascontiguousarray(table).tobytes(), dtype=little).astype(dtype)
