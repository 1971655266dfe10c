"""Event tables in numpy's files: ``.npy``, read in place, and ``.npz``, unpacked as far as needed."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import TableError
from compress_mpi.io.tables.layout import column_names, fields, is_plane, is_record, not_empty, pick_one
from compress_mpi.io.tables.table import EventTable, Rows, chosen, default_names, listed, supported

__all__ = ["NpyTable", "NpzTable"]

_NAMES = ("names", "columns")
# room for the records of some ten thousand columns
_HEAD = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


@dataclass(frozen=True)
class _Header:
    """What the head of an array says: shape, order, dtype, and the byte at which its values begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


class NpyTable(EventTable):
    """An event table in a ``.npy`` file: (rows, columns), records, or one column.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        A plane has no names: as many as it has columns, or some of ``c0``, ``c1``, ...

    Raises
    ------
    TableError
        If the file is damaged, holds Python objects, or has another shape.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:
                head = _header(path, file)
        except OSError as error:
            raise TableError(f"{path}: cannot be read: {error.strerror or error}") from error
        self.rows = not_empty(path, _rows(path, head))
        expected = head.offset + head.dtype.itemsize * int(np.prod(head.shape))
        if path.stat().st_size < expected:
            raise TableError(
                f"{path}: {path.stat().st_size} bytes, expected {expected}: cut short; copy it again"
            )
        self._record = is_record(head.shape, head.dtype)
        found = fields(head.dtype) if self._record else _plane(head, default_names(_width(head)))
        self.columns, self._places = chosen(path, found, columns, named=self._record)
        self._names = [name for name, _ in found]
        self._values: Any = np.memmap(
            path, head.dtype, "r", head.offset, head.shape, "F" if head.fortran else "C"
        )

    def _read(self, start: int, stop: int) -> Rows:
        rows = self._values[start:stop]
        if rows.ndim == 1 and not self._record:
            rows = rows[:, None]
        taken = [rows[self._names[i]] if self._record else rows[:, i] for i in self._places]
        return {c.name: values for c, values in zip(self.columns, taken, strict=True)}

    def close(self) -> None:
        """Let go of the file."""
        self._values = None


class NpzTable(EventTable):
    """An event table in a ``.npz`` file: one plane, perhaps with ``names``, one array of records, or a column each.

    Reading runs forward through the compressed arrays; a step back unpacks from their beginning.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
    inside : str, optional
        The array, where the file has several that could be the table.

    Raises
    ------
    TableError
        If the file is damaged, holds Python objects, or no table.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None, inside: str | None = None) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise TableError(f"{path}: no NPZ file, or a damaged one: {error}") from error
        try:
            members = [name for name in self._zip.namelist() if name.endswith(".npy")]
            self._open({name.removesuffix(".npy"): self._head(name) for name in members}, columns, inside)
        except _DAMAGED as error:
            self._zip.close()
            raise TableError(f"{path}: damaged: {error}; copy it again") from error
        except TableError:
            self._zip.close()
            raise

    def _head(self, member: str) -> _Header:
        with self._zip.open(member) as stream:
            return _header(self.path, stream, member)

    def _open(self, heads: Mapping[str, _Header], columns: Sequence[str] | None, inside: str | None) -> None:
        parts = _parts(self.path, heads, inside)
        first = heads[parts[0]]
        self.rows = not_empty(self.path, _rows(self.path, first))
        record, plane = is_record(first.shape, first.dtype), is_plane(first.shape, first.dtype)
        named = True
        if plane:
            names, named = column_names(self._kept_names(heads), _width(first))
            found = _plane(first, names)
        else:
            found = fields(first.dtype) if record else [(part, heads[part].dtype) for part in parts]
        self.columns, self._places = chosen(self.path, found, columns, named=named)
        self._names = [name for name, _ in found]
        self._heads = heads
        self._streams: dict[tuple[str, int], IO[bytes]] = {}
        self._source = parts if not (plane or record) else [parts[0]] * len(found)
        self._kind = "record" if record else "plane" if plane else "columns"

    def _kept_names(self, heads: Mapping[str, _Header]) -> list[str] | None:
        member = next((n for n in _NAMES if n in heads and heads[n].dtype.kind in "US"), None)
        if member is None:
            return None
        with self._zip.open(f"{member}.npy") as stream:
            return [str(n) for n in np.lib.format.read_array(stream, allow_pickle=False).ravel().astype("U")]

    def _read(self, start: int, stop: int) -> Rows:
        try:
            taken = self._taken(start, stop)
        except _DAMAGED as error:
            raise TableError(f"{self.path}: damaged: {error}; copy it again") from error
        return {c.name: values for c, values in zip(self.columns, taken, strict=True)}

    def _taken(self, start: int, stop: int) -> list[NDArray[Any]]:
        if self._kind == "columns":
            return [self._values(self._source[i], 0, start, stop) for i in self._places]
        part = self._source[0]
        width = _width(self._heads[part])
        if self._kind == "record":
            rows = self._values(part, 0, start, stop)
            return [rows[self._names[i]] for i in self._places]
        if self._heads[part].fortran:
            return [self._values(part, i, i * self.rows + start, i * self.rows + stop) for i in self._places]
        plane = self._values(part, 0, start * width, stop * width).reshape(-1, width)
        return [plane[:, i] for i in self._places]

    def _values(self, part: str, column: int, start: int, stop: int) -> NDArray[Any]:
        """Values of an array in the order of the file; a stream of its own for every column that lies apart."""
        head = self._heads[part]
        if (part, column) not in self._streams:
            self._streams[part, column] = self._zip.open(f"{part}.npy")
        stream, size = self._streams[part, column], head.dtype.itemsize
        stream.seek(head.offset + start * size)
        data = stream.read((stop - start) * size)
        if len(data) != (stop - start) * size:
            raise EOFError(f"{part}: cut short")
        return np.frombuffer(data, head.dtype)

    def close(self) -> None:
        """Let go of the file."""
        for stream in self._streams.values():
            stream.close()
        self._streams = {}
        self._zip.close()


def _header(path: Path, stream: IO[bytes], member: str = "") -> _Header:
    where = f"{path}: {member}" if member else str(path)
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"format version {version}, expected 1.0 or 2.0")
        shape, fortran, dtype = read(stream, max_header_size=_HEAD)
    except (ValueError, EOFError, SyntaxError, tokenize.TokenError) as error:
        raise TableError(f"{where}: no array of numpy, or a damaged one: {error}") from error
    if dtype.hasobject:
        raise TableError(
            f"{where}: holds Python objects, which are never loaded; save it with a dtype of numbers"
        )
    return _Header(shape, fortran, dtype, stream.tell())


def _rows(path: Path, head: _Header) -> int:
    if len(head.shape) > 2 or not head.shape or (len(head.shape) == 2 and head.dtype.names):
        raise TableError(
            f"{path}: array of {head}, expected (rows, columns), records (rows,) or one column (rows,)"
        )
    return head.shape[0]


def _width(head: _Header) -> int:
    return head.shape[1] if len(head.shape) == 2 else 1


def _plane(head: _Header, names: Sequence[str]) -> list[tuple[str, Any]]:
    return [(name, head.dtype) for name in names]


def _parts(path: Path, heads: Mapping[str, _Header], inside: str | None) -> list[str]:
    tables = [n for n, h in heads.items() if is_plane(h.shape, h.dtype) or is_record(h.shape, h.dtype)]
    single = [n for n, h in heads.items() if len(h.shape) == 1 and supported(h.dtype) is not None]
    found = listed([f"{name} {head}" for name, head in heads.items()])
    if inside is not None:
        return [pick_one(path, [*tables, *single], inside, "arrays", found)]
    if tables or not single:
        return [pick_one(path, tables, None, "tables", found)]
    lengths = {heads[name].shape[0] for name in single}
    if len(lengths) > 1:
        raise TableError(f"{path}: arrays of unequal length: {found}; choose one with 'inside'")
    return single
