"""A range coder: integers in, as few bits as their probabilities allow out; and back.

Martin, "Range encoding" (1979), with 64 bits and words of 32: the interval shrinks to the
share ``frequency / total`` of each symbol, whatever the totals are. Integer arithmetic only,
so a stream means the same on every machine.

A coder is two arrays: ``state``, uint64 ``(3,)``, and ``words``, uint32. What is written
first is read first. An encoder's state holds the lower end of its interval, the interval's
width and the number of words written; a decoder's the distance from the lower end, the width
and the number of words read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.compiled import njit

__all__ = [
    "decode_bits",
    "decode_uniform",
    "encode",
    "encode_bits",
    "encode_uniform",
    "finish",
    "from_bytes",
    "start_decoding",
    "start_encoding",
    "take",
    "target",
    "to_bytes",
]

MAX_TOTAL = 1 << 28
"""Largest sum of frequencies: beyond it rounding of the interval would cost bits."""

_ONE = np.uint64(1)
_WORD = np.uint64(32)
_BOTTOM = np.uint64(1 << 32)
_LOW = np.uint64(0xFFFFFFFF)
_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_PIECE = 16
_WIDEST = 1 << 24


def start_encoding() -> NDArray[np.uint64]:
    """State of an encoder that has written nothing."""
    return np.array([0, 0xFFFFFFFFFFFFFFFF, 0], dtype=np.uint64)


@njit(cache=True, nogil=True, error_model="numpy")
def start_decoding(words: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """State of a decoder in front of the first symbol."""
    state = np.empty(3, dtype=np.uint64)
    first = np.uint64(words[0]) if words.size > 0 else np.uint64(0)
    second = np.uint64(words[1]) if words.size > 1 else np.uint64(0)
    state[0] = (first << _WORD) | second
    state[1] = _FULL
    state[2] = np.uint64(2)
    return state


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def encode(state, words, start, frequency, total):  # type: ignore[no-untyped-def]
    """Write a symbol that has the numbers ``start`` to ``start + frequency - 1`` of ``total``."""
    share = state[1] // np.uint64(total)
    low = state[0] + share * np.uint64(start)
    position = np.int64(state[2])
    if low < state[0]:
        carried = position - 1
        while words[carried] == np.uint32(0xFFFFFFFF):
            words[carried] = np.uint32(0)
            carried -= 1
        words[carried] += np.uint32(1)
    width = share * np.uint64(frequency)
    while width < _BOTTOM:
        words[position] = np.uint32(low >> _WORD)
        position += 1
        low <<= _WORD
        width <<= _WORD
    state[0], state[1], state[2] = low, width, np.uint64(position)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def target(state, total):  # type: ignore[no-untyped-def]
    """The number, of ``total``, that the next symbol contains; `take` has to follow."""
    share = state[1] // np.uint64(total)
    return np.int64(min(state[0] // share, np.uint64(total) - _ONE))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def take(state, words, start, frequency, total):  # type: ignore[no-untyped-def]
    """Leave the symbol that `target` pointed into behind."""
    share = state[1] // np.uint64(total)
    code = state[0] - share * np.uint64(start)
    width = share * np.uint64(frequency)
    position = np.int64(state[2])
    while width < _BOTTOM:
        code <<= _WORD
        if position < words.size:
            code |= np.uint64(words[position])
        position += 1
        width <<= _WORD
    state[0], state[1], state[2] = code, width, np.uint64(position)


@njit(cache=True, nogil=True, error_model="numpy")
def encode_bits(state, words, value, bits):  # type: ignore[no-untyped-def]
    """Write the lowest ``bits`` bits of ``value``, all values being equally likely."""
    while bits > 0:
        piece = min(bits, _PIECE)
        bits -= piece
        encode(state, words, (value >> bits) & ((1 << piece) - 1), 1, 1 << piece)


@njit(cache=True, nogil=True, error_model="numpy")
def decode_bits(state, words, bits):  # type: ignore[no-untyped-def]
    """Read what `encode_bits` wrote."""
    value = np.int64(0)
    while bits > 0:
        piece = min(bits, _PIECE)
        bits -= piece
        found = target(state, 1 << piece)
        take(state, words, found, 1, 1 << piece)
        value = (value << piece) | found
    return value


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _spare_bits(width):  # type: ignore[no-untyped-def]
    spare = 0
    while ((width - 1) >> spare) >= _WIDEST:
        spare += 1
    return spare


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def encode_uniform(state, words, value, width):  # type: ignore[no-untyped-def]
    """Write one of ``width`` equally likely values, counted from 0."""
    if width > 1:
        spare = _spare_bits(width)
        encode(state, words, value >> spare, 1, ((width - 1) >> spare) + 1)
        if spare > 0:
            encode_bits(state, words, value, spare)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def decode_uniform(state, words, width):  # type: ignore[no-untyped-def]
    """Read what `encode_uniform` wrote."""
    if width <= 1:
        return np.int64(0)
    spare = _spare_bits(width)
    total = ((width - 1) >> spare) + 1
    value = target(state, total)
    take(state, words, value, 1, total)
    if spare > 0:
        value = (value << spare) | decode_bits(state, words, spare)
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def finish(state, words):  # type: ignore[no-untyped-def]
    """Write the last word; the number of words in all."""
    low = state[0] + _LOW
    position = np.int64(state[2])
    if low < state[0]:
        carried = position - 1
        while words[carried] == np.uint32(0xFFFFFFFF):
            words[carried] = np.uint32(0)
            carried -= 1
        words[carried] += np.uint32(1)
    words[position] = np.uint32(low >> _WORD)
    return position + 1


def to_bytes(words: NDArray[np.uint32]) -> bytes:
    """A finished stream, big-endian, without the zeros at its end, which a decoder reads there anyway."""
    return words.astype(">u4").tobytes().rstrip(b"\0")


def from_bytes(data: bytes) -> NDArray[np.uint32]:
    """The words of `to_bytes`."""
    padded = data + b"\0" * (-len(data) % 4)
    return np.frombuffer(padded, dtype=">u4").astype(np.uint32)
