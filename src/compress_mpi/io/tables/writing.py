"""Tables into files, block by block: the file is complete or not there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from compress_mpi.errors import CompressError, OutputError, TableError
from compress_mpi.io.atomic import replace_file, temporary_path
from compress_mpi.io.tables.hdf5file import check_hdf5, hdf5_writer
from compress_mpi.io.tables.numpywriters import check_npy, npy_writer, npz_writer
from compress_mpi.io.tables.opening import table_suffix
from compress_mpi.io.tables.parquetfile import check_parquet, parquet_writer
from compress_mpi.io.tables.rootfile import check_root, root_writer
from compress_mpi.io.tables.table import Rows, TableColumn, chosen
from compress_mpi.io.tables.textwriter import check_csv, check_words, csv_writer, text_writer

__all__ = ["write_table"]

_Writer = Callable[
    [Path, Sequence[TableColumn], str | None], contextlib.AbstractContextManager[Callable[[Rows], Any]]
]
_Check = Callable[[Path, Sequence[TableColumn]], None]
_WRITERS: dict[str, tuple[_Writer, _Check | None]] = {
    ".csv": (csv_writer, check_csv),
    ".txt": (text_writer, check_words),
    ".dat": (text_writer, check_words),
    ".npy": (npy_writer, check_npy),
    ".npz": (npz_writer, None),
    ".h5": (hdf5_writer, check_hdf5),
    ".hdf5": (hdf5_writer, check_hdf5),
    ".parquet": (parquet_writer, check_parquet),
    ".root": (root_writer, check_root),
}


def write_table(
    path: Path | str, columns: Sequence[TableColumn], blocks: Iterable[Rows], *, inside: str | None = None
) -> None:
    """Write an event table; an old file keeps its content until the new one is complete.

    Parameters
    ----------
    path : Path or str
        Its suffix tells the format. A ``.npy`` file of columns of one dtype is a plane without names,
        otherwise records; a ``.npz`` file is ``data`` and ``names``, otherwise an array for every column.
        Text has as many digits as bring the same numbers back.
    columns : sequence of TableColumn
    blocks : iterable of dict of str to array (rows,)
        The rows in pieces of any size, with the dtypes of the columns.
    inside : str, optional
        Name of the array (``.npz``), the group (HDF5) or the tree (ROOT).

    Raises
    ------
    TableError
        If the format cannot hold the columns, or a block has others.
    OutputError
        If the file cannot be written. The old file is then as it was.
    """
    path = Path(path)
    suffix = table_suffix(path)
    columns, _ = chosen(path, [(c.name, c.dtype) for c in columns], None)
    _check_inside(path, suffix, columns, inside)
    writer, check = _WRITERS[suffix]
    if check is not None:
        check(path, columns)
    temporary = temporary_path(path)
    try:
        with writer(temporary, columns, inside) as append:
            for block in blocks:
                append(_checked(path, columns, block))
        replace_file(temporary, path)
    except CompressError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; check the folder and free space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _check_inside(path: Path, suffix: str, columns: Sequence[TableColumn], inside: str | None) -> None:
    if inside is None:
        return
    if suffix not in (".npz", ".h5", ".hdf5", ".root"):
        raise TableError(
            f"{path}: inside: {inside}, but a {suffix} file has only one table; leave 'inside' out"
        )
    if suffix == ".npz" and (inside == "names" or len({c.dtype for c in columns}) > 1):
        raise TableError(
            f"{path}: inside: {inside}, but columns of several dtypes become an array each, and 'names' holds"
            " the names; leave 'inside' out"
        )


def _checked(path: Path, columns: Sequence[TableColumn], block: Rows) -> Rows:
    expected = [(c.name, c.dtype) for c in columns]
    found = [(name, values.dtype) for name, values in block.items()]
    if found != expected:
        raise TableError(f"{path}: a block has columns {found}, expected {expected}")
    if len({values.shape for values in block.values()}) > 1 or any(v.ndim != 1 for v in block.values()):
        shapes = {name: values.shape for name, values in block.items()}
        raise TableError(f"{path}: a block has columns of shapes {shapes}, expected one length")
    return block
