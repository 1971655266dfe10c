"""Several files of equal columns, read as one table."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress_mpi.errors import TableError
from compress_mpi.io.tables.opening import open_table
from compress_mpi.io.tables.table import EventTable, Rows, TableColumn
from compress_mpi.io.tables.text import Dtypes, TextTable

__all__ = ["JoinedTable", "open_tables", "table_files"]

Paths = Path | str | Sequence[Path | str]


def table_files(paths: Paths) -> tuple[Path, ...]:
    """Files that are meant by a name, a pattern such as ``jets_*.root``, or a list of these.

    Returns
    -------
    tuple of Path
        In the order given, the matches of a pattern in the order of their names.

    Raises
    ------
    TableError
        If there is none, a pattern has no match, or a file is named twice.
    """
    given = [paths] if isinstance(paths, Path | str) else list(paths)
    if not given:
        raise TableError("no file of events named")
    files = [file for path in given for file in _matches(path)]
    twice = (
        sorted({str(file) for file in files if files.count(file) > 1}) if len(set(files)) < len(files) else []
    )
    if twice:
        raise TableError(f"{twice[0]}: named more than once; its events would count twice")
    return tuple(files)


def _matches(path: Path | str) -> list[Path]:
    # a file may well have a bracket in its name
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [Path(path)]
    found = sorted(glob.glob(str(path), recursive=True))
    if not found:
        raise TableError(f"{path}: no file matches this pattern")
    return [Path(name) for name in found]


def open_tables(
    paths: Paths, columns: Sequence[str] | None = None, *, inside: str | None = None, dtypes: Dtypes = None
) -> EventTable:
    """Open one file, or several of equal columns as one table: their rows one after the other.

    Parameters
    ----------
    paths : Path, str, or sequence of them
        As `table_files` takes them.
    columns, inside, dtypes
        As in `open_table`. Where a column of text is integer in some of the files only, it is floating in all.

    Raises
    ------
    TableError
        As `open_table`, and where columns differ in name or dtype.
    """
    files = table_files(paths)
    if len(files) == 1:
        return open_table(files[0], columns, inside=inside, dtypes=dtypes)
    return JoinedTable([_part(file, columns, inside, dtypes) for file in files])


@dataclass
class _Part:
    """One file of several; of those that hold a file open only one is open at a time."""

    path: Path
    rows: int
    columns: tuple[TableColumn, ...]
    asked: Sequence[str] | None
    inside: str | None
    text: TextTable | None

    def open(self) -> EventTable:
        return self.text or open_table(self.path, self.asked, inside=self.inside)


def _part(file: Path, columns: Sequence[str] | None, inside: str | None, dtypes: Dtypes) -> _Part:
    with open_table(file, columns, inside=inside, dtypes=dtypes) as table:
        text = table if isinstance(table, TextTable) else None
        return _Part(file, table.rows, table.columns, columns, inside, text)


class JoinedTable(EventTable):
    """Several files as one table; see `open_tables`."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self.path = parts[0].path
        self._parts = _agreed(parts)
        self.columns = self._parts[0].columns
        self._first = np.concatenate([[0], np.cumsum([part.rows for part in self._parts])])
        self.rows = int(self._first[-1])
        self._open: tuple[int, EventTable] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order of their rows."""
        return tuple(part.path for part in self._parts)

    def _read(self, start: int, stop: int) -> Rows:
        pieces = [{c.name: np.empty(0, c.dtype) for c in self.columns}]
        for i, part in enumerate(self._parts):
            low, high = max(start - int(self._first[i]), 0), min(stop - int(self._first[i]), part.rows)
            if low < high:
                pieces.append(self._table(i).read(low, high))
        return {c.name: np.concatenate([p[c.name] for p in pieces]) for c in self.columns}

    def _table(self, i: int) -> EventTable:
        if self._open is None or self._open[0] != i:
            self.close()
            self._open = (i, self._parts[i].open())
        return self._open[1]

    def close(self) -> None:
        """Let go of the file that is open; reading opens it again."""
        if self._open is not None:
            self._open[1].close()
        self._open = None


def _agreed(parts: Sequence[_Part]) -> list[_Part]:
    first = parts[0]
    names = [column.name for column in first.columns]
    for part in parts:
        found = [column.name for column in part.columns]
        if found != names:
            raise TableError(
                f"{part.path}: columns {', '.join(found)}, but {first.path} has {', '.join(names)};"
                " pick columns that all files have with 'columns'"
            )
    common = {c.name: _common(parts, i) for i, c in enumerate(first.columns)}
    return [_retyped(part, common) for part in parts]


def _common(parts: Sequence[_Part], i: int) -> np.dtype[np.generic]:
    dtypes = {part.columns[i].dtype for part in parts}
    if len(dtypes) > 1 and not all(part.text for part in parts):
        part = next(part for part in parts if part.columns[i].dtype != parts[0].columns[i].dtype)
        raise TableError(
            f"{part.path}: column {part.columns[i].name} is {part.columns[i].dtype},"
            f" but {parts[0].columns[i].dtype} in {parts[0].path}; convert one of them"
        )
    # numpy would make floating numbers of identifiers
    integers = all(dtype.kind in "iu" for dtype in dtypes)
    return np.dtype(np.uint64) if integers and len(dtypes) > 1 else np.result_type(*dtypes)


def _retyped(part: _Part, common: dict[str, np.dtype[np.generic]]) -> _Part:
    if part.text is None or all(c.dtype == common[c.name] for c in part.columns):
        return part
    table = TextTable(part.path, part.asked, common)
    return _Part(part.path, part.rows, table.columns, part.asked, part.inside, table)
