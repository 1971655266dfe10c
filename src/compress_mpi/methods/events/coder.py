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
from compress_mpi.methods.events.program import GAP, MARGINAL, NETWORK, Program
from compress_mpi.methods.events.tables import SLOTS
from compress_mpi.methods.events.tinyflow import (
    FEATURES,
    RELATIVE_KNOTS,
    cumulative,
    evaluate,
    integrate,
    segment_of,
    slots_log,
)
from compress_mpi.methods.events.work import GAP_CLASSES, bare, work_of

__all__ = ["coded_bits", "decode_rows", "encode_rows"]

# calls would cost as much as what the small functions do: each would be handed all arrays of the program
inlined = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)

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
    used = _encode(program, work_of(program), indices, words, coder.start_encoding())
    return coder.to_bytes(words[:used])


def decode_rows(program: Program, data: bytes, rows: int) -> NDArray[np.int64]:
    """The indices of `encode_rows`, int64 (rows, columns)."""
    indices = np.empty((rows, program.kind.size), dtype=np.int64)
    words = coder.from_bytes(data)
    _decode(program, work_of(program), indices, words, coder.start_decoding(words))
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
    return _bits(program, work_of(program), indices, starts)


@inlined
def _find(edges, first, last, value):  # type: ignore[no-untyped-def]
    """Number of the interval, counted from ``first``, that a value lies in; ``last`` is the end."""
    low, number = first, last - first
    # without a branch on what is found: a processor cannot guess it
    while number > 1:
        half = number >> 1
        low += half if edges[low + half] <= value else 0
        number -= half
    return low


@inlined
def _prepare(program, column, work):  # type: ignore[no-untyped-def]
    """Densities of a column given the slots of this row and of the one before; their total."""
    columns = program.kind.size
    count = 0
    for number in range(program.source_offset[column], program.source_offset[column + 1]):
        source = program.sources[number]
        slot = work.here[source] if source < columns else work.before[source - columns]
        for feature in range(FEATURES):
            # no previous row: no information
            work.features[count] = program.waves[slot, feature] if slot >= 0 else np.int32(0)
            count += 1
    segments, relative = program.segments[column], program.relative[column]
    outputs = segments + 1 + (RELATIVE_KNOTS.size if relative else 0)
    weights = program.weights[program.weight_offset[column] : program.weight_offset[column + 1]]
    density, sums = work.density[0], work.density[1]
    evaluate(weights, count, program.hidden[column], outputs, work.features, work.hidden, density)
    return integrate(density, segments, relative, sums)


@njit(cache=True, nogil=True, error_model="numpy")
def _gap_symbol(counts, kind, state, words, size, decoding):  # type: ignore[no-untyped-def]
    """Write, or read, the number of bits of a gap, adapting to those before."""
    total = np.int64(0)
    for number in range(GAP_CLASSES):
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
        for number in range(GAP_CLASSES):
            counts[kind, number] = (counts[kind, number] + 1) >> 1
    return size


@inlined
def _length(value):  # type: ignore[no-untyped-def]
    bits = 0
    while value > 0:
        value >>= 1
        bits += 1
    return bits


@inlined
def _gap_context(program, first, end, place):  # type: ignore[no-untyped-def]
    """How far apart indices are around a place: the bits of an interval's width for each of its slots."""
    found = _find(program.edges, first, end, place)
    width = program.edges[found + 1] - program.edges[found]
    return _length(width // (program.slots[found + 1] - program.slots[found]))


@inlined
def _integral(program, column, work, slot):  # type: ignore[no-untyped-def]
    """Integral of a prepared density up to a slot."""
    segments, relative = program.segments[column], program.relative[column]
    reference = max(work.before[column], 0)
    density, sums = work.density[0], work.density[1]
    return cumulative(density, sums, segments, slots_log(segments), relative, reference, slot)


@inlined
def _slot_of(program, column, work, wanted):  # type: ignore[no-untyped-def]
    """Slot in which the integral of a prepared density reaches a number."""
    slot, number = np.int64(0), np.int64(SLOTS)
    if not program.relative[column]:
        slot, number = segment_of(work.density[1], program.segments[column], wanted)
    while number > 1:
        number >>= 1
        slot += number if _integral(program, column, work, slot + number) <= wanted else 0
    return slot


@inlined
def _encode_interval(program, column, found, work, state, words):  # type: ignore[no-untyped-def]
    low, high = program.slots[found], program.slots[found + 1]
    if program.kind[column] == MARGINAL:
        if high - low < SLOTS:
            coder.encode(state, words, low, high - low, SLOTS)
        return
    total = _prepare(program, column, work)
    start = _integral(program, column, work, low)
    stop = _integral(program, column, work, high)
    coder.encode(state, words, start, stop - start, total)


@inlined
def _decode_interval(program, column, first, end, work, state, words):  # type: ignore[no-untyped-def]
    if program.kind[column] == MARGINAL:
        if end - first < 2:
            return first
        found = first + program.intervals[column, coder.target(state, SLOTS)]
        low = program.slots[found]
        coder.take(state, words, low, program.slots[found + 1] - low, SLOTS)
        return found
    total = _prepare(program, column, work)
    wanted = coder.target(state, total)
    found = first + program.intervals[column, _slot_of(program, column, work, wanted)]
    start = _integral(program, column, work, program.slots[found])
    stop = _integral(program, column, work, program.slots[found + 1])
    coder.take(state, words, start, stop - start, total)
    return found


@inlined
def _encode_gap(counts, context, gap, state, words):  # type: ignore[no-untyped-def]
    size = _length(gap)
    _gap_symbol(counts, context, state, words, size, False)
    if size > 1:
        top = np.int64(1) << (size - 1)
        coder.encode_uniform(state, words, gap - top, top)


@inlined
def _decode_gap(counts, context, state, words):  # type: ignore[no-untyped-def]
    size = _gap_symbol(counts, context, state, words, 0, True)
    if size < 2:
        return np.int64(size)
    top = np.int64(1) << (size - 1)
    return top + coder.decode_uniform(state, words, top)


@njit(cache=True, nogil=True, error_model="numpy")
def _encode(program, work, indices, words, state):  # type: ignore[no-untyped-def]
    program, work = bare(program), bare(work)
    indices, words, state = bare(indices), bare(words), bare(state)
    rows, columns = indices.shape
    here, before = work.here, work.before
    for row in range(rows):
        for column in range(columns):
            first, end = program.edge_offset[column], program.edge_offset[column + 1] - 1
            index = indices[row, column]
            found = _find(program.edges, first, end, index)
            if program.kind[column] == GAP:
                place = indices[row - 1, column] if row else program.edges[first]
                context = _gap_context(program, first, end, place)
                _encode_gap(work.counts, context, index - place, state, words)
            else:
                _encode_interval(program, column, found, work, state, words)
                width = program.edges[found + 1] - program.edges[found]
                coder.encode_uniform(state, words, index - program.edges[found], width)
            here[column] = (program.slots[found] + program.slots[found + 1]) >> 1
        for column in range(columns):
            before[column] = here[column]
    return coder.finish(state, words)


@njit(cache=True, nogil=True, error_model="numpy")
def _decode(program, work, indices, words, state):  # type: ignore[no-untyped-def]
    program, work = bare(program), bare(work)
    indices, words, state = bare(indices), bare(words), bare(state)
    rows, columns = indices.shape
    here, before = work.here, work.before
    for row in range(rows):
        for column in range(columns):
            first, end = program.edge_offset[column], program.edge_offset[column + 1] - 1
            if program.kind[column] == GAP:
                place = indices[row - 1, column] if row else program.edges[first]
                context = _gap_context(program, first, end, place)
                index = place + _decode_gap(work.counts, context, state, words)
                found = _find(program.edges, first, end, index)
            else:
                found = _decode_interval(program, column, first, end, work, state, words)
                width = program.edges[found + 1] - program.edges[found]
                index = program.edges[found] + coder.decode_uniform(state, words, width)
            indices[row, column] = index
            here[column] = (program.slots[found] + program.slots[found + 1]) >> 1
        for column in range(columns):
            before[column] = here[column]


@njit(cache=True, nogil=True, error_model="numpy")
def _bits(program, work, indices, starts):  # type: ignore[no-untyped-def]
    program, work = bare(program), bare(work)
    rows, columns = indices.shape
    bits = np.zeros(columns)
    here, before = work.here, work.before
    for row in range(rows):
        if starts[row]:
            before[:] = -1
        for column in range(columns):
            first, end = program.edge_offset[column], program.edge_offset[column + 1] - 1
            found = _find(program.edges, first, end, indices[row, column])
            low, high = program.slots[found], program.slots[found + 1]
            likely, total = high - low, np.int64(SLOTS)
            if program.kind[column] == NETWORK:
                total = _prepare(program, column, work)
                start = _integral(program, column, work, low)
                likely = _integral(program, column, work, high) - start
            width = program.edges[found + 1] - program.edges[found]
            bits[column] += np.log2(width * (total / likely))
            here[column] = (low + high) >> 1
        for column in range(columns):
            before[column] = here[column]
    return bits
