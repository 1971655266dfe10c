"""The block coder: rows of indices into a stream of bits, and back.

Row after row, column after column: the interval of an index by the column's density, its place in the
interval as one of equally likely ones. Everything is integer arithmetic, see :mod:`.tinyflow` and
:mod:`.rangecoder`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.events import rangecoder as coder
from compress_mpi.methods.events.program import GAP, MARGINAL, NETWORK, Program, scratch_of
from compress_mpi.methods.events.tables import SLOTS
from compress_mpi.methods.events.tinyflow import (
    FEATURES,
    RELATIVE_KNOTS,
    cumulative,
    evaluate,
    integrate,
    slots_log,
)

__all__ = ["coded_bits", "decode_rows", "encode_rows"]

_GAP_CLASSES = 64
_GAP_STEP = 32
_GAP_LIMIT = 1 << 14
_WORDS_PER_VALUE = 6


def encode_rows(program: Program, indices: NDArray[np.int64]) -> bytes:
    """A block of rows as bytes.

    Parameters
    ----------
    program : Program
    indices : int64 (rows, columns)
        Within the ranges of the tables; with a sorted column, not decreasing in it.
    """
    words = np.zeros(_WORDS_PER_VALUE * indices.size + 16, dtype=np.uint32)
    used = _encode(program, *scratch_of(program), indices, words, coder.start_encoding())
    return coder.to_bytes(words[:used])


def decode_rows(program: Program, data: bytes, rows: int) -> NDArray[np.int64]:
    """The indices of `encode_rows`, int64 (rows, columns)."""
    indices = np.empty((rows, program.kind.size), dtype=np.int64)
    _decode(program, *scratch_of(program), indices, coder.from_bytes(data))
    return indices


def coded_bits(
    program: Program, indices: NDArray[np.int64], starts: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Bits that each column takes, float64 (columns,), not counting a sorted column's.

    Parameters
    ----------
    program : Program
    indices : int64 (rows, columns)
    starts : bool (rows,)
        Rows that have no previous one.
    """
    return _bits(program, *scratch_of(program), indices, starts)


@njit(cache=True, nogil=True, error_model="numpy")
def _find(edges, first, last, value):  # type: ignore[no-untyped-def]
    """Number of the interval, counted from ``first``, that a value lies in; ``last`` is the end."""
    low, high = first, last
    while high - low > 1:
        middle = (low + high) >> 1
        if edges[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _prepare(program, column, features, hidden, density, here, before):  # type: ignore[no-untyped-def]
    """Densities of a column given the slots of this row and of the one before; their total."""
    columns = program.kind.size
    count = 0
    for number in range(program.source_offset[column], program.source_offset[column + 1]):
        source = program.sources[number]
        slot = here[source] if source < columns else before[source - columns]
        for feature in range(FEATURES):
            # no previous row: no information
            features[count] = program.waves[slot, feature] if slot >= 0 else np.int32(0)
            count += 1
    segments, relative = program.segments[column], program.relative[column]
    outputs = segments + 1 + (RELATIVE_KNOTS.size if relative else 0)
    start, stop = program.weight_offset[column], program.weight_offset[column + 1]
    evaluate(
        program.weights[start:stop], count, program.hidden[column], outputs, features, hidden, density[0]
    )
    return integrate(density[0], segments, relative, density[1])


@njit(cache=True, nogil=True, error_model="numpy")
def _gap_symbol(counts, kind, state, words, size, decoding):  # type: ignore[no-untyped-def]
    """Write, or read, the number of bits of a gap, adapting to those before."""
    total = np.int64(0)
    for number in range(_GAP_CLASSES):
        total += counts[kind, number]
    start = np.int64(0)
    if decoding:
        wanted = coder.target(state, total)
        size = 0
        while start + counts[kind, size] <= wanted:
            start += counts[kind, size]
            size += 1
        coder.take(state, words, start, counts[kind, size], total)
    else:
        for number in range(size):
            start += counts[kind, number]
        coder.encode(state, words, start, counts[kind, size], total)
    counts[kind, size] += _GAP_STEP
    if total + _GAP_STEP > _GAP_LIMIT:
        for number in range(_GAP_CLASSES):
            counts[kind, number] = (counts[kind, number] + 1) >> 1
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def _length(value):  # type: ignore[no-untyped-def]
    bits = 0
    while value > 0:
        value >>= 1
        bits += 1
    return bits


@njit(cache=True, nogil=True, error_model="numpy")
def _gap_context(program, first, end, place):  # type: ignore[no-untyped-def]
    """How far apart indices are around a place: the bits of an interval's width for each of its slots."""
    found = _find(program.edges, first, end, place)
    width = program.edges[found + 1] - program.edges[found]
    return _length(width // (program.slots[found + 1] - program.slots[found]))


@njit(cache=True, nogil=True, error_model="numpy")
def _integral(program, column, density, before, slot):  # type: ignore[no-untyped-def]
    """Integral of a prepared density up to a slot."""
    segments, relative = program.segments[column], program.relative[column]
    reference = max(before[column], 0)
    return cumulative(density[0], density[1], segments, slots_log(segments), relative, reference, slot)


@njit(cache=True, nogil=True, error_model="numpy")
def _encode_interval(program, column, found, work, here, before, state, words):  # type: ignore[no-untyped-def]
    low, high = program.slots[found], program.slots[found + 1]
    if program.kind[column] == MARGINAL:
        if high - low < SLOTS:
            coder.encode(state, words, low, high - low, SLOTS)
        return
    features, hidden, density = work
    total = _prepare(program, column, features, hidden, density, here, before)
    start = _integral(program, column, density, before, low)
    stop = _integral(program, column, density, before, high)
    coder.encode(state, words, start, stop - start, total)


@njit(cache=True, nogil=True, error_model="numpy")
def _decode_interval(program, column, first, end, work, here, before, state, words):  # type: ignore[no-untyped-def]
    if program.kind[column] == MARGINAL:
        if end - first < 2:
            return first
        found = _find(program.slots, first, end, coder.target(state, SLOTS))
        low = program.slots[found]
        coder.take(state, words, low, program.slots[found + 1] - low, SLOTS)
        return found
    features, hidden, density = work
    total = _prepare(program, column, features, hidden, density, here, before)
    wanted = coder.target(state, total)
    found, start, stop = first, np.int64(0), total
    while end - found > 1:
        middle = (found + end) >> 1
        value = _integral(program, column, density, before, program.slots[middle])
        if value <= wanted:
            found, start = middle, value
        else:
            end, stop = middle, value
    coder.take(state, words, start, stop - start, total)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _encode_gap(counts, context, gap, state, words):  # type: ignore[no-untyped-def]
    size = _length(gap)
    _gap_symbol(counts, context, state, words, size, False)
    if size > 1:
        top = np.int64(1) << (size - 1)
        coder.encode_uniform(state, words, gap - top, top)


@njit(cache=True, nogil=True, error_model="numpy")
def _decode_gap(counts, context, state, words):  # type: ignore[no-untyped-def]
    size = _gap_symbol(counts, context, state, words, 0, True)
    if size < 2:
        return np.int64(size)
    top = np.int64(1) << (size - 1)
    return top + coder.decode_uniform(state, words, top)


@njit(cache=True, nogil=True, error_model="numpy")
def _encode(program, features, hidden, density, indices, words, state):  # type: ignore[no-untyped-def]
    rows, columns = indices.shape
    work = features, hidden, density
    here, before = np.full(columns, -1, dtype=np.int64), np.full(columns, -1, dtype=np.int64)
    counts = np.ones((_GAP_CLASSES, _GAP_CLASSES), dtype=np.int64)
    for row in range(rows):
        for column in range(columns):
            first, end = program.edge_offset[column], program.edge_offset[column + 1] - 1
            index = indices[row, column]
            found = _find(program.edges, first, end, index)
            if program.kind[column] == GAP:
                place = indices[row - 1, column] if row else program.edges[first]
                context = _gap_context(program, first, end, place)
                _encode_gap(counts, context, index - place, state, words)
            else:
                _encode_interval(program, column, found, work, here, before, state, words)
                width = program.edges[found + 1] - program.edges[found]
                coder.encode_uniform(state, words, index - program.edges[found], width)
            here[column] = (program.slots[found] + program.slots[found + 1]) >> 1
        before[:] = here
    return coder.finish(state, words)


@njit(cache=True, nogil=True, error_model="numpy")
def _decode(program, features, hidden, density, indices, words):  # type: ignore[no-untyped-def]
    state = coder.start_decoding(words)
    rows, columns = indices.shape
    work = features, hidden, density
    here, before = np.full(columns, -1, dtype=np.int64), np.full(columns, -1, dtype=np.int64)
    counts = np.ones((_GAP_CLASSES, _GAP_CLASSES), dtype=np.int64)
    for row in range(rows):
        for column in range(columns):
            first, end = program.edge_offset[column], program.edge_offset[column + 1] - 1
            if program.kind[column] == GAP:
                place = indices[row - 1, column] if row else program.edges[first]
                context = _gap_context(program, first, end, place)
                index = place + _decode_gap(counts, context, state, words)
                found = _find(program.edges, first, end, index)
            else:
                found = _decode_interval(program, column, first, end, work, here, before, state, words)
                width = program.edges[found + 1] - program.edges[found]
                index = program.edges[found] + coder.decode_uniform(state, words, width)
            indices[row, column] = index
            here[column] = (program.slots[found] + program.slots[found + 1]) >> 1
        before[:] = here


@njit(cache=True, nogil=True, error_model="numpy")
def _bits(program, features, hidden, density, indices, starts):  # type: ignore[no-untyped-def]
    rows, columns = indices.shape
    bits = np.zeros(columns)
    here, before = np.full(columns, -1, dtype=np.int64), np.full(columns, -1, dtype=np.int64)
    for row in range(rows):
        if starts[row]:
            before[:] = -1
        for column in range(columns):
            first, end = program.edge_offset[column], program.edge_offset[column + 1] - 1
            found = _find(program.edges, first, end, indices[row, column])
            low, high = program.slots[found], program.slots[found + 1]
            likely, total = high - low, np.int64(SLOTS)
            if program.kind[column] == NETWORK:
                total = _prepare(program, column, features, hidden, density, here, before)
                start = _integral(program, column, density, before, low)
                likely = _integral(program, column, density, before, high) - start
            width = program.edges[found + 1] - program.edges[found]
            bits[column] += np.log2(width * (total / likely))
            here[column] = (low + high) >> 1
        before[:] = here
    return bits
