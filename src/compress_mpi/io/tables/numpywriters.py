"""Tables into numpy's files. How many rows there are is known only at the end, yet stands at the beginning."""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from compress_mpi.errors import TableError
from compress_mpi.io.tables.table import Rows, TableColumn, default_names

__all__ = ["check_npy", "npy_writer", "npz_writer"]

_ROWS = 1 << 16
_LATIN = 255
# numpy distrusts long heads, which records of many columns have
_OWN = 1 << 26
# the same events make the same file, whenever
_DATE = (1980, 1, 1, 0, 0, 0)


def check_npy(path: Path, columns: Sequence[TableColumn]) -> None:
    """Refuse names that the records of a ``.npy`` file cannot have.

    Raises
    ------
    TableError
        If columns have several dtypes and a name has letters beyond Latin-1.
    """
    for name in (column.name for column in columns):
        if len({c.dtype for c in columns}) > 1 and any(ord(letter) > _LATIN for letter in name):
            raise TableError(
                f"{path}: column {name}: no name for a field of numpy; rename it, or write a .npz"
            )


@contextlib.contextmanager
def npy_writer(
    path: Path, columns: Sequence[TableColumn], inside: str | None
) -> Iterator[Callable[[Rows], None]]:
    """Write a ``.npy`` file, block by block: (rows, columns) where all have one dtype, else records."""
    with open(path, "wb") as file, _array(file, columns, [c.name for c in columns]) as append:
        yield append


@contextlib.contextmanager
def npz_writer(
    path: Path, columns: Sequence[TableColumn], inside: str | None
) -> Iterator[Callable[[Rows], None]]:
    """Write a compressed ``.npz`` file: ``data`` and ``names`` where all have one dtype, else an array a column."""
    # nameless, so that a killed run leaves nothing; beside the target, where there is room
    with tempfile.TemporaryFile(dir=path.parent) as spool:
        # by number: records cannot have every name that a member can
        with _array(spool, columns, default_names(len(columns))) as append:
            yield append
        spool.flush()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            _pack(archive, _mapped(spool), columns, inside or "data")


@contextlib.contextmanager
def _array(
    file: IO[bytes], columns: Sequence[TableColumn], names: Sequence[str]
) -> Iterator[Callable[[Rows], None]]:
    plane = len({c.dtype for c in columns}) == 1
    dtype = (
        columns[0].dtype
        if plane
        else np.dtype([(name, c.dtype) for name, c in zip(names, columns, strict=True)])
    )
    rows = 0

    def append(block: Rows) -> None:
        nonlocal rows
        length = len(block[columns[0].name])
        part: Any = np.empty((length, len(columns)) if plane else length, dtype)
        for i, c in enumerate(columns):
            part[(slice(None), i) if plane else names[i]] = block[c.name]
        file.write(part.tobytes())
        rows += length

    # numpy leaves room for the rows to grow, so the head keeps its length
    _head(file, dtype, (rows, len(columns)) if plane else (rows,))
    yield append
    file.seek(0)
    _head(file, dtype, (rows, len(columns)) if plane else (rows,))


def _head(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    # version 1 has no room for the names of thousands of columns
    np.lib.format.write_array_header_2_0(file, head)


def _mapped(file: IO[bytes]) -> Any:
    file.seek(0)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_2_0(file, max_header_size=_OWN)
    return np.memmap(file, dtype, "r", file.tell(), shape)


def _pack(archive: zipfile.ZipFile, table: Any, columns: Sequence[TableColumn], inside: str) -> None:
    if table.dtype.names:
        for c, field in zip(columns, table.dtype.names, strict=True):
            _member(archive, c.name, table[field])
        return
    _member(archive, inside, table)
    _member(archive, "names", np.array([c.name for c in columns]))


def _member(archive: zipfile.ZipFile, name: str, values: Any) -> None:
    info = zipfile.ZipInfo(f"{name}.npy", _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as file:
        _head(file, values.dtype, values.shape)
        for start in range(0, len(values), _ROWS):
            file.write(values[start : start + _ROWS].tobytes())
