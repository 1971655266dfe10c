"""What the block coder runs on: tables and networks of all columns, laid flat for compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.tables import SLOTS, Table
from compress_mpi.methods.events.tinyflow import WAVES, Net

__all__ = [
    "GAP",
    "MARGINAL",
    "NETWORK",
    "ColumnCode",
    "Program",
    "compile_program",
    "input_sources",
]

MARGINAL, NETWORK, GAP = range(3)
"""How a column is coded: by its table, by table and network, or as the gap to the previous, smaller index."""

NEAREST = 16
"""Columns before a column, and columns of the previous row, that its network looks at, at most."""


@dataclass(frozen=True)
class ColumnCode:
    """How one column is coded.

    Attributes
    ----------
    table : Table
    net : Net or None
    gap : bool
        Rows are sorted by this column.
    """

    table: Table
    net: Net | None = None
    gap: bool = False


class Program(NamedTuple):
    """The flat form; offsets have one entry more than there are columns.

    ``intervals``, uint8 (column, slot), is the number of the interval that a slot belongs to.
    """

    kind: NDArray[np.int64]
    edges: NDArray[np.int64]
    slots: NDArray[np.int64]
    edge_offset: NDArray[np.int64]
    intervals: NDArray[np.uint8]
    sources: NDArray[np.int64]
    source_offset: NDArray[np.int64]
    hidden: NDArray[np.int64]
    segments: NDArray[np.int64]
    relative: NDArray[np.int64]
    weights: NDArray[np.int32]
    weight_offset: NDArray[np.int64]
    waves: NDArray[np.int32]


def input_sources(column: int, columns: int, context: bool) -> list[int]:
    """Slots that the network of a column looks at.

    Numbers below ``columns`` are columns of the same row, ``columns + j`` is column ``j`` of the
    previous row, there only with ``context``. Of many columns the nearest ones are taken.
    """
    sources = list(range(max(0, column - NEAREST), column))
    if context:
        first = min(max(0, column - NEAREST // 2), max(0, columns - NEAREST))
        sources += [columns + j for j in range(first, min(columns, first + NEAREST))]
    return sources


def compile_program(codes: Sequence[ColumnCode], context: bool) -> Program:
    """Lay the columns' codes flat."""
    nets = [code.net for code in codes]
    sources = [
        input_sources(number, len(codes), context) if net is not None else []
        for number, net in enumerate(nets)
    ]
    weights = [net.scaled() if net is not None else np.empty(0, dtype=np.int32) for net in nets]
    return Program(
        np.array([GAP if code.gap else MARGINAL if code.net is None else NETWORK for code in codes]),
        np.concatenate([code.table.edges for code in codes]),
        np.concatenate([code.table.slots for code in codes]),
        _offsets([code.table.edges.size for code in codes]),
        np.stack([_intervals(code.table) for code in codes]),
        np.array([source for of_column in sources for source in of_column], dtype=np.int64),
        _offsets([len(of_column) for of_column in sources]),
        np.array([net.shape.hidden if net is not None else 0 for net in nets]),
        np.array([net.shape.segments if net is not None else 1 for net in nets]),
        np.array([net is not None and net.shape.relative for net in nets], dtype=np.int64),
        np.concatenate(weights),
        _offsets([part.size for part in weights]),
        WAVES,
    )


def _intervals(table: Table) -> NDArray[np.uint8]:
    return (np.searchsorted(table.slots, np.arange(SLOTS), side="right") - 1).astype(np.uint8)


def _offsets(sizes: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
