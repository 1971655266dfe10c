"""From the suffix of a file to the reader of its table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from compress_mpi.errors import TableError
from compress_mpi.io.tables.hdf5file import Hdf5Table
from compress_mpi.io.tables.numpyfiles import NpyTable, NpzTable
from compress_mpi.io.tables.parquetfile import ParquetTable
from compress_mpi.io.tables.rootfile import RootTable
from compress_mpi.io.tables.table import EventTable
from compress_mpi.io.tables.text import Dtypes, TextTable

__all__ = ["SUFFIXES", "open_table", "table_suffix"]

_TEXT = (".csv", ".txt", ".dat")
_Reader = Callable[[Path, Sequence[str] | None, str | None], EventTable]
_SEVERAL: dict[str, _Reader] = {
    ".npz": NpzTable,
    ".h5": Hdf5Table,
    ".hdf5": Hdf5Table,
    ".root": RootTable,
}

SUFFIXES = (*_TEXT, ".npy", ".npz", ".h5", ".hdf5", ".parquet", ".root")
"""Of the files that are read and written as tables."""


def table_suffix(path: Path | str) -> str:
    """Suffix of a table's file, in small letters.

    Raises
    ------
    TableError
        If it is none of ``SUFFIXES``.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        found = f"suffix '{suffix}'" if suffix else "no suffix"
        raise TableError(f"{path}: {found}, expected one of {', '.join(SUFFIXES)}, which tells the format")
    return suffix


def open_table(
    path: Path | str,
    columns: Sequence[str] | None = None,
    *,
    inside: str | None = None,
    dtypes: Dtypes = None,
) -> EventTable:
    """Open the event table in a file.

    Parameters
    ----------
    path : Path or str
        Its suffix, one of ``SUFFIXES``, tells the format.
    columns : sequence of str, optional
        The columns to read, in this order; all by default. Where the file has no names (a ``.npy`` plane,
        text without a header) they name its columns in the order of the file; by default ``c0``, ``c1``, ...
    inside : str, optional
        Array, dataset, group or tree, where the file has several.
    dtypes : mapping or dtype, optional
        Of text only: what a column holds, by name or for all. By default an integer type where every entry
        of the column is an integer, else float64.

    Returns
    -------
    EventTable

    Raises
    ------
    TableError
        If the file is missing, damaged, empty or unfit, or a column is not there.
    """
    path = Path(path)
    suffix = table_suffix(path)
    _check_readable(path)
    if inside is not None and suffix not in _SEVERAL:
        raise TableError(
            f"{path}: inside: {inside}, but a {suffix} file has only one table; leave 'inside' out"
        )
    if dtypes is not None and suffix not in _TEXT:
        raise TableError(f"{path}: dtypes: a {suffix} file says itself what it holds; leave 'dtypes' out")
    if suffix in _TEXT:
        return TextTable(path, columns, dtypes)
    if suffix in _SEVERAL:
        return _SEVERAL[suffix](path, columns, inside)
    return NpyTable(path, columns) if suffix == ".npy" else ParquetTable(path, columns)


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise TableError(f"{path}: no such file")
    if not path.is_file():
        raise TableError(f"{path}: not a file; name the file of a table, or several of them")
    if not os.access(path, os.R_OK):
        raise TableError(f"{path}: may not be read; check its permissions")
