"""Integers of latent columns as bytes: leading digits by an entropy coder, trailing ones packed as bits.

The symbols of a column are range coded by the stored frequencies, or compressed by LZMA where rows have an order that
shows (events with several jets), or packed where there are few: whatever is shortest.

Latents are close to normal: over a bucket of an eighth of a standard deviation their density is flat. So the bucket
is a symbol of a small alphabet whose frequencies are stored once, and the place in the bucket is as good as random
and costs its bits, no more.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.events.rangecoder import (
    encode,
    finish,
    from_bytes,
    start_decoding,
    start_encoding,
    take,
    target,
    to_bytes,
)
from compress_mpi.types import IntArray

__all__ = ["SymbolTable", "decode_symbols", "encode_symbols", "pack_bits", "unpack_bits"]

_SLACK = 0.1
"""Share of the range of the training rows by which the table goes beyond it on both sides."""
_WIDEST = 4096
"""Buckets of one column, at most: a latent that is far out is coded apart."""
_LARGEST_BUCKET = 1 << 40
"""Integers of one bucket, at most: so many buckets stay within 64 bits."""
_SECTION = struct.Struct("<BI")
_PACKED, _LZMA, _RANGE = range(3)
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "pb": 0}]
"""Symbols of one byte without relation to their place."""
_MOST_COUNTS = 1 << 24
"""Sum of the counts of one column, at most: far below the largest total of the range coder."""


@dataclass(frozen=True, eq=False)
class SymbolTable:
    """What is stored once about the integers of c columns.

    Attributes
    ----------
    low, high : int64 (c,)
        Range of what can be coded.
    shift : int64 (c,)
        Trailing bits that are packed as they are.
    counts : uint32 (c, s)
        How often each bucket occurs, at least 1 where a column has it, 0 beyond.
    """

    low: IntArray
    high: IntArray
    shift: IntArray
    counts: NDArray[np.uint32]

    @staticmethod
    def fit(integers: IntArray, width: IntArray) -> SymbolTable:
        """Ranges and frequencies of training integers.

        Parameters
        ----------
        integers : int64 (n, c)
        width : int64 (c,)
            Integers that may share a bucket.
        """
        shift = np.floor(np.log2(np.clip(width, 1, _LARGEST_BUCKET))).astype(np.int64)
        # around the middle, so that one outlier cannot make the table long
        middle = np.median(integers, axis=0).astype(np.int64)
        reach = (_WIDEST // 2 - 1) << shift
        low, high = integers.min(axis=0), integers.max(axis=0)
        slack = np.ceil(_SLACK * (high - low)).astype(np.int64) + 1
        low, high = np.maximum(low - slack, middle - reach), np.minimum(high + slack, middle + reach)
        table = SymbolTable(low, high, shift, np.zeros((len(low), 0), dtype=np.uint32))
        return SymbolTable(low, high, shift, table._count(integers))

    def fits(self, integers: IntArray) -> NDArray[np.bool_]:
        """Which integers (n, c) are in range, bool (n, c)."""
        return np.asarray((integers >= self.low) & (integers <= self.high))

    def encode(self, integers: IntArray) -> bytes:
        """Bytes of integers (n, c), all in range."""
        parts = []
        for j in range(integers.shape[1]):
            places = (integers[:, j] - self.low[j]).astype(np.uint64)
            shift = np.uint64(self.shift[j])
            parts += [self._symbols(places >> shift, j), pack_bits(places, int(shift))]
        return b"".join(parts)

    def decode(self, data: bytes, n: int) -> IntArray:
        """Integers (n, c) of the bytes of :meth:`encode`.

        Raises
        ------
        ValueError
            If the bytes end early, do not end in time, or are not what a block holds.
        """
        found = np.empty((n, len(self.low)), dtype=np.int64)
        at = 0
        for j in range(len(self.low)):
            buckets, at = self._read_symbols(data, at, n, j)
            shift = int(self.shift[j])
            end = at + (n * shift + 7) // 8
            places = unpack_bits(_piece(data, at, end), n, shift)
            at = end
            found[:, j] = ((buckets << np.uint64(shift)) | places).astype(np.int64) + self.low[j]
        if at != len(data):
            raise ValueError(f"latent block: expected {at} bytes of integers, found {len(data)}")
        if not self.fits(found).all():
            raise ValueError("latent block: an integer is out of the range of its column")
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What to store; :meth:`from_arrays` reads it."""
        return {"low": self.low, "high": self.high, "shift": self.shift, "counts": self.counts}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> SymbolTable:
        """Put :meth:`to_arrays` back.

        Raises
        ------
        ValueError
            If an array is missing or sizes do not fit.
        """
        names = ("low", "high", "shift", "counts")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ValueError(f"stored symbol table: '{missing[0]}' is missing")
        if len({len(arrays[name]) for name in names}) != 1:
            raise ValueError("stored symbol table: its arrays are for different numbers of columns")
        return SymbolTable(*(arrays[name] for name in names))

    def _buckets(self, j: int) -> int:
        return int((self.high[j] - self.low[j]) >> self.shift[j]) + 1

    def _count(self, integers: IntArray) -> NDArray[np.uint32]:
        counts = np.zeros(
            (len(self.low), max(self._buckets(j) for j in range(len(self.low)))), dtype=np.uint32
        )
        for j in range(len(self.low)):
            column = integers[:, j]
            column = column[(column >= self.low[j]) & (column <= self.high[j])]
            found = np.bincount((column - self.low[j]) >> self.shift[j], minlength=self._buckets(j))
            excess = max(0, int(found.sum()).bit_length() - (_MOST_COUNTS // 2).bit_length())
            # a bucket that training rows leave empty may be met later
            counts[j, : len(found)] = (found >> excess) + 1
        return counts

    def _symbols(self, buckets: NDArray[np.uint64], j: int) -> bytes:
        wide = np.uint8 if self._buckets(j) <= 256 else np.uint16
        codings = {
            _PACKED: pack_bits(buckets, self._width(j)),
            _LZMA: lzma.compress(buckets.astype(wide).tobytes(), lzma.FORMAT_RAW, filters=_FILTERS),
            _RANGE: encode_symbols(buckets.astype(np.int64), self._ends(j)),
        }
        kind = min(codings, key=lambda kind: len(codings[kind]))
        return _SECTION.pack(kind, len(codings[kind])) + codings[kind]

    def _read_symbols(self, data: bytes, at: int, n: int, j: int) -> tuple[NDArray[np.uint64], int]:
        kind, size = _SECTION.unpack(_piece(data, at, at + _SECTION.size))
        start, end = at + _SECTION.size, at + _SECTION.size + size
        section = _piece(data, start, end)
        if kind == _PACKED:
            return unpack_bits(section, n, self._width(j)), end
        if kind == _RANGE:
            return decode_symbols(section, n, self._ends(j)).astype(np.uint64), end
        if kind != _LZMA:
            raise ValueError(f"latent block: unknown coding {kind} of the symbols of column {j}")
        wide = np.uint8 if self._buckets(j) <= 256 else np.uint16
        try:
            plain = lzma.decompress(section, lzma.FORMAT_RAW, filters=_FILTERS)
        except lzma.LZMAError as error:
            raise ValueError(f"latent block: symbols of column {j} are damaged: {error}") from error
        if len(plain) != n * np.dtype(wide).itemsize:
            raise ValueError(f"latent block: column {j} has {len(plain)} bytes of symbols, not one per row")
        return np.frombuffer(plain, dtype=wide).astype(np.uint64), end

    def _ends(self, j: int) -> IntArray:
        return np.cumsum(self.counts[j, : self._buckets(j)], dtype=np.int64)

    def _width(self, j: int) -> int:
        return (self._buckets(j) - 1).bit_length()


def encode_symbols(symbols: IntArray, ends: IntArray) -> bytes:
    """Range code symbols (n,) of which symbol k has the frequency ``ends[k] - ends[k - 1]``."""
    words = np.zeros(len(symbols) + 8, dtype=np.uint32)
    return to_bytes(words[: _encode(symbols, ends, start_encoding(), words)])


def decode_symbols(data: bytes, n: int, ends: IntArray) -> IntArray:
    """The inverse of :func:`encode_symbols`, int64 (n,); bytes of something else give some symbols."""
    words = from_bytes(data)
    return np.asarray(_decode(n, ends, start_decoding(words), words))


@njit(cache=True, nogil=True, error_model="numpy")
def _encode(symbols, ends, state, words):  # type: ignore[no-untyped-def]
    total = ends[-1]
    for symbol in symbols:
        start = ends[symbol - 1] if symbol > 0 else 0
        encode(state, words, start, ends[symbol] - start, total)
    return finish(state, words)


@njit(cache=True, nogil=True, error_model="numpy")
def _decode(n, ends, state, words):  # type: ignore[no-untyped-def]
    total = ends[-1]
    symbols = np.empty(n, dtype=np.int64)
    for row in range(n):
        symbol = np.searchsorted(ends, target(state, total), "right")
        start = ends[symbol - 1] if symbol > 0 else 0
        take(state, words, start, ends[symbol] - start, total)
        symbols[row] = symbol
    return symbols


def pack_bits(values: NDArray[np.uint64], width: int) -> bytes:
    """The trailing ``width`` bits of each value (n,), one after the other, highest first."""
    if not width:
        return b""
    places = np.arange(width - 1, -1, -1, dtype=np.uint64)
    return np.packbits(((values[:, None] >> places) & np.uint64(1)).astype(np.uint8)).tobytes()


def unpack_bits(data: bytes, n: int, width: int) -> NDArray[np.uint64]:
    """The inverse of :func:`pack_bits`, uint64 (n,).

    Raises
    ------
    ValueError
        If there are not as many bytes as n values have.
    """
    if len(data) != (n * width + 7) // 8:
        raise ValueError(f"packed bits: expected {(n * width + 7) // 8} bytes, found {len(data)}")
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=n * width).reshape(n, width)
    places = np.arange(width - 1, -1, -1, dtype=np.uint64)
    return np.asarray((bits.astype(np.uint64) << places).sum(axis=1, dtype=np.uint64))


def _piece(data: bytes, start: int, end: int) -> bytes:
    if end > len(data):
        raise ValueError(f"latent block: expected {end} bytes of integers or more, found {len(data)}")
    return data[start:end]
