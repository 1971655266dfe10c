"""Event tables in Parquet files, read by row group."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import TableError
from compress_mpi.io.tables.extras import need
from compress_mpi.io.tables.layout import not_empty
from compress_mpi.io.tables.table import EventTable, Rows, TableColumn, chosen

__all__ = ["ParquetTable", "check_parquet", "parquet_writer"]


class ParquetTable(EventTable):
    """An event table in a Parquet file.

    A null in a floating column is read as NaN; in any other it is refused.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional

    Raises
    ------
    TableError
        If the file is damaged, a column does not hold numbers, or pyarrow is not installed.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        parquet = need("pyarrow.parquet", path)
        self.path = path
        try:
            self._file = parquet.ParquetFile(path, page_checksum_verification=True)
        except (OSError, ValueError) as error:
            raise TableError(f"{path}: no Parquet file, or a damaged one: {error}") from error
        try:
            found = [(field.name, _dtype(field.type)) for field in self._file.schema_arrow]
            self.columns, _ = chosen(path, found, columns)
            self.rows = not_empty(path, self._file.metadata.num_rows)
        except TableError:
            self._file.close()
            raise
        groups = self._file.metadata
        sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
        self._first = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._last: tuple[int, Rows] = (-1, {})

    def _read(self, start: int, stop: int) -> Rows:
        pieces = []
        for i in range(len(self._first) - 1):
            first, end = int(self._first[i]), int(self._first[i + 1])
            if first < stop and start < end:
                rows = self._group(i)
                pieces.append({n: v[max(start - first, 0) : stop - first] for n, v in rows.items()})
        empty = {c.name: np.empty(0, c.dtype) for c in self.columns}
        return {c.name: np.concatenate([p[c.name] for p in [empty, *pieces]]) for c in self.columns}

    def _group(self, i: int) -> Rows:
        # consecutive ranges meet inside a group
        if self._last[0] != i:
            try:
                table = self._file.read_row_group(i, columns=list(self.names), use_threads=False)
            except (OSError, ValueError) as error:
                raise TableError(f"{self.path}: row group {i}: damaged: {error}; copy it again") from error
            rows = {c.name: self._values(c, table.column(c.name)) for c in self.columns}
            self._last = (i, rows)
        return self._last[1]

    def _values(self, column: TableColumn, values: Any) -> NDArray[Any]:
        if values.null_count and column.dtype.kind != "f":
            raise TableError(
                f"{self.path}: column {column.name}: {values.null_count} nulls among {column.dtype} values;"
                " drop those rows, or make it a floating column, where a null is NaN"
            )
        return np.asarray(values.to_numpy(), dtype=column.dtype)

    def close(self) -> None:
        """Let go of the file."""
        self._last = (-1, {})
        self._file.close()


def _dtype(kind: Any) -> Any:
    """The numpy dtype of a plain Arrow type; of another the type itself, which is refused by its name."""
    import pyarrow

    types = pyarrow.types
    plain = types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)
    return np.dtype(kind.to_pandas_dtype()) if plain else kind


def check_parquet(path: Path, columns: Sequence[TableColumn]) -> None:
    """Refuse to begin where pyarrow is not installed.

    Raises
    ------
    TableError
        As said.
    """
    need("pyarrow.parquet", path)


@contextlib.contextmanager
def parquet_writer(
    path: Path, columns: Sequence[TableColumn], inside: str | None
) -> Iterator[Callable[[Rows], None]]:
    """Write a Parquet file, a row group for every block."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(c.name, pyarrow.from_numpy_dtype(c.dtype)) for c in columns])
    with parquet.ParquetWriter(path, schema, write_page_checksum=True) as writer:

        def append(block: Rows) -> None:
            arrays = [pyarrow.array(block[c.name]) for c in columns]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))

        yield append
