"""Marginal tables: which indices of a column are how frequent.

The range of a column's indices is cut into intervals; each owns some of the 256 *slots*,
as many as its share of the values. Within an interval every index counts as equally likely.
The knots between them are quantiles of a sample; only they are stored, rounded to a few bits
of each gap, and the slots between two knots cut the gap evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.smallints import Reader, Writer

__all__ = ["LEVELS", "SLOTS", "Table", "choose_table", "read_table", "table_bits", "write_table"]

SLOTS = 256
"""Resolution of probabilities, and of what a column tells about the next one."""

LEVELS = (0, 2, 4, 6, 8)
"""Logarithms of the numbers of gaps that are tried."""

_KEPT = 4


@dataclass(frozen=True)
class Table:
    """Intervals of a column's indices.

    Attributes
    ----------
    level : int
        There are ``2**level`` gaps between stored knots.
    knots : int64 (2**level + 1,)
        Not decreasing; the first is the smallest index, the last one more than the largest.
    edges : int64 (intervals + 1,)
        Increasing.
    slots : int64 (intervals + 1,)
        First slot of each interval, from 0; the last is ``SLOTS``.
    """

    level: int
    knots: NDArray[np.int64]
    edges: NDArray[np.int64]
    slots: NDArray[np.int64]

    @property
    def usual(self) -> int:
        """An index of the interval where indices are most frequent: it costs few bits."""
        return int(self.edges[np.argmax(np.diff(self.slots) / np.diff(self.edges))])

    def interval_of(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the interval of each index within the range."""
        return np.searchsorted(self.edges, indices, side="right") - 1


def _table(level: int, knots: NDArray[np.int64]) -> Table:
    """Cut the gaps between knots into slots; slots without an index go to the interval before."""
    each = SLOTS >> level
    # Python's integers: a gap may have 63 bits
    gaps = [int(gap) for gap in np.diff(knots)]
    starts = [
        int(knot) + gap * part // each
        for knot, gap in zip(knots[:-1].tolist(), gaps, strict=True)
        for part in range(each)
    ]
    edges, slots = np.unique(np.array(starts, dtype=np.int64), return_index=True)
    inside = edges < knots[-1]
    edges, slots = edges[inside], slots[inside]
    return Table(level, knots, np.append(edges, knots[-1]), np.append(slots, SLOTS).astype(np.int64))


def _rounded(knots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Knots whose gaps have a few significant bits only."""
    rounded = knots.tolist()
    for number in range(1, len(rounded) - 1):
        gap = rounded[number] - rounded[number - 1]
        spare = max(gap.bit_length() - _KEPT, 0)
        rounded[number] -= gap & (1 << spare) - 1
    return np.array(rounded, dtype=np.int64)


def _fitted(ordered: NDArray[np.int64], low: int, high: int, level: int) -> Table:
    number = 1 << level
    knots = np.empty(number + 1, dtype=np.int64)
    knots[:-1] = ordered[(np.arange(number) * ordered.size) // number] if ordered.size else low
    knots[0], knots[-1] = low, high + 1
    for position in range(1, number):
        # An index so frequent that it fills a gap gets an interval of its own.
        if knots[position] == knots[position - 1] and knots[position + 1] > knots[position]:
            knots[position] += 1
    return _table(level, _rounded(np.maximum.accumulate(knots)))


def table_bits(table: Table, indices: NDArray[np.int64]) -> float:
    """Bits that the indices take with the table alone."""
    counts = np.bincount(table.interval_of(indices), minlength=table.edges.size - 1)
    widths, shares = np.diff(table.edges).astype(np.float64), np.diff(table.slots) / SLOTS
    return float(counts @ (np.log2(widths) - np.log2(shares)))


def choose_table(
    sample: NDArray[np.int64], low: int, high: int, rows: int, levels: Sequence[int] = LEVELS
) -> Table:
    """The table with which a column of ``rows`` values takes fewest bytes, its own included.

    Parameters
    ----------
    sample : int64 (n,)
        Some of the column's indices.
    low, high : int
        Smallest and largest index of the whole column.
    rows : int
    levels : sequence of int
        Logarithms of the numbers of gaps to try.
    """
    ordered = np.sort(sample)
    candidates = [_fitted(ordered, low, high, level) for level in levels]
    scale = rows / max(sample.size, 1)
    return min(candidates, key=lambda table: scale * table_bits(table, ordered) + 8 * len(_alone(table)))


def _alone(table: Table) -> bytes:
    writer = Writer()
    write_table(writer, table)
    return writer.finish()


def write_table(writer: Writer, table: Table) -> None:
    """Put a table into a stream."""
    writer.bits(table.level, 4)
    writer.bits(int(table.knots[0]) & (1 << 64) - 1, 64)
    gaps = [int(gap) for gap in np.diff(table.knots)]
    sizes = np.array([gap.bit_length() for gap in gaps], dtype=np.int64)
    writer.integers(np.diff(sizes, prepend=0))
    for gap, size in zip(gaps[:-1], sizes[:-1].tolist(), strict=True):
        kept = min(size, _KEPT)
        if kept > 1:
            writer.bits(gap >> size - kept & (1 << kept - 1) - 1, kept - 1)
    if sizes[-1] > 1:
        writer.bits(gaps[-1] & (1 << int(sizes[-1]) - 1) - 1, int(sizes[-1]) - 1)


def read_table(reader: Reader) -> Table:
    """A table of a stream."""
    level = reader.bits(4)
    first = reader.bits(64)
    sizes = np.cumsum(reader.integers(1 << level)).tolist()
    knots = [first - (1 << 64) if first >> 63 else first]
    for number, size in enumerate(sizes):
        kept = min(size, _KEPT) if number < len(sizes) - 1 else size
        top = reader.bits(kept - 1) | 1 << kept - 1 if kept > 1 else min(size, 1)
        knots.append(knots[-1] + (top << size - kept))
    return _table(level, np.array(knots, dtype=np.int64))
