"""Short lists of integers, most of them small: weights of a network, knots of a table.

Coded with a two-sided geometric distribution whose ratio is chosen for the list, and with
plain bits for those that are far out. The stream belongs to a `Writer`, so that many lists
share one coder's end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events import rangecoder as coder
from compress_mpi.types import IntArray

__all__ = ["Reader", "Writer"]

_LARGEST = 127
_RATIOS = (0, *range(16, 256, 8))
_PEAK = 1 << 14
_GROWTH = 64


def _frequencies(ratio: int) -> NDArray[np.int64]:
    """Of the values -127 ... 127 and, last, of anything else; by integer arithmetic, see :mod:`.rangecoder`."""
    falling = [_PEAK]
    for _ in range(_LARGEST):
        falling.append(max(falling[-1] * ratio >> 8, 1))
    return np.array([*falling[:0:-1], *falling, 1], dtype=np.int64)


_TABLES = np.stack([_frequencies(ratio) for ratio in _RATIOS])
_STARTS = np.concatenate([np.zeros((len(_RATIOS), 1), dtype=np.int64), np.cumsum(_TABLES, axis=1)], axis=1)
_BITS = np.log2(_STARTS[:, -1:] / _TABLES)


def _symbols(values: IntArray) -> NDArray[np.int64]:
    return np.where(np.abs(values) <= _LARGEST, values + _LARGEST, 2 * _LARGEST + 1)


class Writer:
    """Numbers into bytes, to be read by a :class:`Reader` with the same calls in the same order."""

    def __init__(self) -> None:
        self._state = coder.start_encoding()
        self._words = np.zeros(_GROWTH, dtype=np.uint32)

    def bits(self, value: int, bits: int) -> None:
        """An integer from 0 to ``2**bits - 1``; at most 64 bits."""
        self._make_room()
        for shift in range((bits - 1) // 16 * 16, -1, -16):
            width = min(16, bits - shift)
            coder.encode(self._state, self._words, value >> shift & (1 << width) - 1, 1, 1 << width)

    def integers(self, values: IntArray) -> None:
        """A list of integers of 32 bits whose length the reader knows."""
        symbols = _symbols(np.asarray(values, dtype=np.int64))
        best = int(np.argmin(_BITS[:, symbols].sum(axis=1)))
        self.bits(best, 8)
        for value, symbol in zip(np.asarray(values).tolist(), symbols.tolist(), strict=True):
            self._make_room()
            start, total = int(_STARTS[best, symbol]), int(_STARTS[best, -1])
            coder.encode(self._state, self._words, start, int(_TABLES[best, symbol]), total)
            if symbol > 2 * _LARGEST:
                self.bits(value & 0xFFFFFFFF, 32)

    def finish(self) -> bytes:
        """All that was written."""
        self._make_room()
        return coder.to_bytes(self._words[: coder.finish(self._state, self._words)])

    def _make_room(self) -> None:
        if self._words.size - int(self._state[2]) < _GROWTH // 2:
            self._words = np.concatenate([self._words, np.zeros(self._words.size, dtype=np.uint32)])


class Reader:
    """What a :class:`Writer` wrote."""

    def __init__(self, data: bytes) -> None:
        self._words = coder.from_bytes(data)
        self._state = coder.start_decoding(self._words)

    def bits(self, bits: int) -> int:
        """An integer of so many bits."""
        value = 0
        for shift in range((bits - 1) // 16 * 16, -1, -16):
            width = min(16, bits - shift)
            found = int(coder.target(self._state, 1 << width))
            coder.take(self._state, self._words, found, 1, 1 << width)
            value |= found << shift
        return value

    def integers(self, length: int) -> NDArray[np.int64]:
        """A list of so many integers."""
        ratio = self.bits(8)
        starts, sizes, total = _STARTS[ratio], _TABLES[ratio], int(_STARTS[ratio, -1])
        values = np.empty(length, dtype=np.int64)
        for number in range(length):
            found = int(coder.target(self._state, total))
            symbol = int(np.searchsorted(starts, found, side="right")) - 1
            coder.take(self._state, self._words, int(starts[symbol]), int(sizes[symbol]), total)
            values[number] = symbol - _LARGEST if symbol <= 2 * _LARGEST else _signed(self.bits(32))
        return values


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value
