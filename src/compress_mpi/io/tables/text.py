"""Event tables in text: CSV, or columns between white space.

The first pass reads the whole file once: it finds what every column holds, checks every line, and notes at
which byte about every megabyte begins. A range of rows is then parsed from the few chunks it touches.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import TableError
from compress_mpi.io.tables.table import (
    EventTable,
    Rows,
    TableColumn,
    chosen,
    default_names,
    listed,
    supported,
)
from compress_mpi.io.tables.textlines import (
    Chunk,
    TextLayout,
    chunks,
    data_lines,
    find_layout,
    locate,
    widths,
)

__all__ = ["Dtypes", "TextTable", "parse"]

_Dtype = str | type | np.dtype[Any]
Dtypes = Mapping[str, _Dtype] | _Dtype | None
"""What the columns of a text file hold: a dtype for all, or of some by name."""

_FLOAT = np.dtype(np.float64)
_DIGITS = np.frombuffer(b"0123456789+- \0", dtype=np.uint8)
# every integer of so many characters is an int64
_SAFE = 18


class TextTable(EventTable):
    """An event table in a CSV or text file.

    Parameters
    ----------
    path : Path
        ``.csv``: separated by commas, else semicolons, else tabs; otherwise commas, semicolons or white space.
    columns : sequence of str, optional
    dtypes : mapping or dtype, optional
        What columns hold; by default int64 (uint64) where every entry of the file is an integer, else float64.

    Raises
    ------
    TableError
        For lines of unequal length, entries that are no numbers, an empty table, unknown columns.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None, dtypes: Dtypes = None) -> None:
        self.path = path
        csv = path.suffix.lower() == ".csv"
        self.layout = find_layout(path, ",;\t" if csv else ",;", "," if csv else None)
        names, named = _names(self.layout, columns)
        picked, self._places = chosen(path, [(name, _FLOAT) for name in names], columns, named=named)
        declared = _declared(path, [c.name for c in picked], dtypes)
        self._index = _Index()
        self._last: tuple[int, Rows] = (-1, {})
        self.columns = self._scan([c.name for c in picked], declared)
        self.rows = self._index.rows

    def _scan(self, names: Sequence[str], declared: Mapping[str, np.dtype[Any]]) -> tuple[TableColumn, ...]:
        kinds = [_Kind(self.path, name) for name in names if name not in declared]
        dtypes = [declared.get(name, _FLOAT) for name in names]
        places = dict(zip(names, self._places, strict=True))
        with open(self.path, "rb") as file:
            for chunk in chunks(self.path, file, self.layout.start, self.layout.line):
                lines = data_lines(chunk.text)
                if not lines:
                    continue
                rows = self._parsed(chunk, lines, names, dtypes)
                self._index.add(chunk, len(lines), file.tell())
                self._look(lines, rows, [kind for kind in kinds if kind.integer], places)
        found = {kind.name: kind.dtype() for kind in kinds} | dict(declared)
        return tuple(TableColumn(name, found[name]) for name in names)

    def _look(
        self, lines: Sequence[str], rows: Rows, kinds: Sequence[_Kind], places: Mapping[str, int]
    ) -> None:
        # the digits are looked at only where the values do not already say no
        whole = [kind for kind in kinds if kind.see_values(rows[kind.name])]
        if not whole:
            return
        text = parse(lines, self.layout, [places[kind.name] for kind in whole], [np.dtype("S")] * len(whole))
        for kind, tokens in zip(whole, text, strict=True):
            kind.see_digits(np.ascontiguousarray(tokens))

    def _parsed(
        self, chunk: Chunk, lines: Sequence[str], names: Sequence[str], dtypes: Sequence[np.dtype[Any]]
    ) -> Rows:
        def fails(some: Sequence[str]) -> bool:
            try:
                parse(some, self.layout, self._places, dtypes)
            except (ValueError, DeprecationWarning):
                return True
            return False

        try:
            if any(width != self.layout.width for width in widths(lines, self.layout.delimiter)):
                raise ValueError("ragged")
            return dict(zip(names, parse(lines, self.layout, self._places, dtypes), strict=True))
        except (ValueError, DeprecationWarning) as error:
            expected = ["a number" if d == _FLOAT else f"a number of type {d}" for d in dtypes]
            where = list(zip(self._places, names, expected, strict=True))
            raise locate(self.path, chunk, self.layout, where, fails) from error

    def _read(self, start: int, stop: int) -> Rows:
        pieces = []
        for i in self._index.touched(start, stop):
            rows, first = self._chunk(i), self._index.first[i]
            pieces.append({n: v[max(start - first, 0) : stop - first] for n, v in rows.items()})
        if not pieces:
            return {c.name: np.empty(0, c.dtype) for c in self.columns}
        return {c.name: np.concatenate([p[c.name] for p in pieces]) for c in self.columns}

    def _chunk(self, i: int) -> Rows:
        # consecutive ranges meet inside a chunk
        if self._last[0] != i:
            start, stop, line = self._index.start[i], self._index.stop[i], self._index.line[i]
            try:
                with open(self.path, "rb") as file:
                    file.seek(start)
                    text = file.read(stop - start).decode()
            except (OSError, UnicodeDecodeError) as error:
                raise TableError(f"{self.path}: cannot be read any more: {error}") from error
            lines = data_lines(text)
            if len(lines) != self._index.count[i]:
                raise TableError(f"{self.path}: changed while it was read; start again")
            dtypes = [c.dtype for c in self.columns]
            self._last = (i, self._parsed(Chunk(start, line, text), lines, self.names, dtypes))
        return self._last[1]


class _Index:
    """Where the chunks of a file begin and end: byte, line and row."""

    def __init__(self) -> None:
        self.start: list[int] = []
        self.stop: list[int] = []
        self.line: list[int] = []
        self.first: list[int] = []
        self.count: list[int] = []
        self.rows = 0

    def add(self, chunk: Chunk, count: int, stop: int) -> None:
        self.start.append(chunk.start)
        self.stop.append(stop)
        self.line.append(chunk.line)
        self.first.append(self.rows)
        self.count.append(count)
        self.rows += count

    def touched(self, start: int, stop: int) -> range:
        if start == stop:
            return range(0)
        low = int(np.searchsorted(self.first, start, side="right")) - 1
        return range(low, int(np.searchsorted(self.first, stop, side="left")))


class _Kind:
    """What a column without a declared dtype holds, as far as it has been seen."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.integer, self.low, self.high = True, 0, 0

    def see_values(self, values: NDArray[np.float64]) -> bool:
        """Whether it may still be an integer column."""
        self.integer = bool((np.isfinite(values) & (values == np.floor(values))).all())
        return self.integer

    def see_digits(self, tokens: NDArray[np.bytes_]) -> None:
        self.integer = bool(np.isin(tokens.view(np.uint8), _DIGITS).all())
        if self.integer and tokens.dtype.itemsize > _SAFE:
            whole = [int(token) for token in tokens.tolist()]
            self.low, self.high = min(self.low, *whole), max(self.high, *whole)

    def dtype(self) -> np.dtype[Any]:
        if not self.integer:
            return _FLOAT
        for kind in (np.int64, np.uint64):
            if np.iinfo(kind).min <= self.low and self.high <= np.iinfo(kind).max:
                return np.dtype(kind)
        raise TableError(
            f"{self.path}: column {self.name}: integers from {self.low} to {self.high} fit no 64-bit type;"
            f" 'dtypes: {{{self.name}: float64}}' reads them rounded"
        )


def parse(
    lines: Sequence[str], layout: TextLayout, places: Sequence[int], dtypes: Sequence[np.dtype[Any]]
) -> list[NDArray[Any]]:
    """Some fields of every line, as arrays.

    Parameters
    ----------
    lines : sequence of str
        Data only.
    layout : TextLayout
    places : sequence of int
        Positions of the fields in a line.
    dtypes : sequence of dtype
        What to make of each.

    Returns
    -------
    list of array (lines,)

    Raises
    ------
    ValueError, DeprecationWarning
        If a field cannot be parsed as what was asked, or is finite and its type cannot hold it.
    """
    # narrow floating types by way of the wide one, which shows what they cannot hold
    wide = [_FLOAT if d.kind == "f" else np.dtype(np.uint8) if d.kind == "b" else d for d in dtypes]
    same = all(d == wide[0] for d in wide)
    record: Any = wide[0] if same else [(f"f{i}", d) for i, d in enumerate(wide)]
    with warnings.catch_warnings():
        # before numpy 2 an integer column takes "1.5" with a mere warning
        warnings.simplefilter("error", DeprecationWarning)
        table = np.loadtxt(
            lines,
            dtype=record,
            delimiter=layout.delimiter,
            usecols=list(places),
            comments=None,
            quotechar='"',
            ndmin=2 if same else 1,
        )
    found = [table[:, i] if same else table[f"f{i}"] for i in range(len(wide))]
    return [_narrowed(values, dtype) for values, dtype in zip(found, dtypes, strict=True)]


def _narrowed(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if values.dtype == dtype or dtype.kind == "S":
        return values
    with np.errstate(over="ignore", under="ignore"):
        narrow = values.astype(dtype)
    kept = np.isfinite(values) == np.isfinite(narrow) if dtype.kind == "f" else values == narrow
    if not kept.all():
        raise ValueError(f"{values[~kept][0]} does not fit {dtype}")
    return narrow


def _names(layout: TextLayout, wanted: Sequence[str] | None) -> tuple[Sequence[str], bool]:
    if layout.names is not None:
        return layout.names, True
    # a comment above the numbers may be a header or just a remark: what was asked for tells
    if layout.remark is not None and (wanted is None or set(wanted) <= set(layout.remark)):
        return layout.remark, True
    return default_names(layout.width), False


def _declared(path: Path, names: Sequence[str], dtypes: Dtypes) -> dict[str, np.dtype[Any]]:
    if dtypes is None:
        return {}
    given: dict[str, _Dtype] = (
        dict(dtypes) if isinstance(dtypes, Mapping) else {name: dtypes for name in names}
    )
    unknown = [name for name in given if name not in names]
    if unknown:
        raise TableError(f"{path}: dtypes: no column {listed(unknown)}; available: {listed(names)}")
    return {name: _dtype(path, name, dtype) for name, dtype in given.items()}


def _dtype(path: Path, name: str, given: _Dtype) -> np.dtype[Any]:
    try:
        found = supported(np.dtype(given))
    except TypeError:
        found = None
    if found is None:
        raise TableError(
            f"{path}: dtypes: {name}: {given!r}, expected bool, int8 to int64, uint8 to uint64 or float16 to float64"
        )
    return found
