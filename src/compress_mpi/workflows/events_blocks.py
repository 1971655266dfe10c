"""A table in blocks: which rows each holds, and reading them without reading twice what fits into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from compress_mpi.io.demo_events import DEMO_ROWS, DemoTable
from compress_mpi.io.settings_events import EventsConfig
from compress_mpi.io.tables import EventTable, Rows, TableColumn, open_tables
from compress_mpi.types import FloatArray

__all__ = ["Blocks", "matrix_of", "open_input", "waves"]

_MOST_CACHED = 256 << 20
"""Bytes of blocks that a rank keeps."""
_AHEAD = 2
"""Blocks of a wave for each rank."""

T = TypeVar("T")


def open_input(config: EventsConfig) -> EventTable:
    """The table of a runcard.

    Raises
    ------
    TableError
        If it is missing, damaged or unfit, or a column is not there.
    """
    if config.input == ("demo",):
        return DemoTable(config.rows or DEMO_ROWS, config.columns)
    given: Any = config.dtype.get("default") if set(config.dtype) <= {"default"} else config.dtype
    paths = config.input[0] if len(config.input) == 1 else list(config.input)
    return open_tables(paths, config.columns, inside=config.inside, dtypes=given or None)


class Blocks:
    """The rows of a table in blocks.

    Parameters
    ----------
    table : EventTable
    size : int
        Rows of a block.
    rows : int or None
        Take no more than these from the start.
    """

    def __init__(self, table: EventTable, size: int, rows: int | None = None) -> None:
        self.table, self.size = table, size
        self.rows = min(table.rows, rows or table.rows)
        self._kept: dict[int, Rows] = {}
        self._kept_bytes = 0

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        """Of the table."""
        return self.table.columns

    @property
    def numbers(self) -> range:
        """Numbers of the blocks."""
        return range(-(-self.rows // self.size))

    def span(self, number: int) -> tuple[int, int]:
        """First row of a block, and the row after its last."""
        return number * self.size, min((number + 1) * self.size, self.rows)

    def read(self, number: int) -> Rows:
        """One block; it must not be changed."""
        if number in self._kept:
            return self._kept[number]
        found = self.table.read(*self.span(number))
        size = sum(values.nbytes for values in found.values())
        if self._kept_bytes + size <= _MOST_CACHED:
            self._kept[number] = found
            self._kept_bytes += size
        return found

    def read_runs(self, runs: Sequence[tuple[int, int]]) -> Rows:
        """Rows of several ranges, (start, stop), one after the other."""
        parts = [self.table.read(start, stop) for start, stop in runs]
        return {c.name: np.concatenate([part[c.name] for part in parts]) for c in self.columns}


def waves(tasks: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Tasks in portions for a team of some size: few enough that their results fit into memory."""
    step = _AHEAD * size
    return (tasks[start : start + step] for start in range(0, len(tasks), step))


def matrix_of(rows: Rows, names: Sequence[str]) -> FloatArray:
    """Some columns side by side, float64 (n, columns)."""
    return np.stack([rows[name].astype(np.float64) for name in names], axis=1)
