"""Event tables in HDF5 files: a plane, a compound dataset, or a group with a dataset for every column."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import TableError
from compress_mpi.io.tables.layout import column_names, fields, is_plane, is_record, not_empty, pick_one
from compress_mpi.io.tables.table import EventTable, Rows, TableColumn, chosen, supported

__all__ = ["Hdf5Table", "check_hdf5", "hdf5_writer"]

_NAMES = ("columns", "names")
_CHUNK = 32768
_CHUNK_BYTES = 1 << 20


class Hdf5Table(EventTable):
    """An event table in an HDF5 file.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        The columns of a plane have the names of its attribute ``columns`` or ``names``, else ``c0``, ...
    inside : str, optional
        Dataset or group, where the file has several that could be the table.

    Raises
    ------
    TableError
        If the file is damaged, or holds no table.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None, inside: str | None = None) -> None:
        import h5py

        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise TableError(f"{path}: no HDF5 file, or a damaged one: {error}") from error
        try:
            self._open(columns, inside)
        except (OSError, RuntimeError, KeyError) as error:
            self._file.close()
            raise TableError(f"{path}: damaged: {error}") from error
        except TableError:
            self._file.close()
            raise

    def _open(self, columns: Sequence[str] | None, inside: str | None) -> None:
        candidates, others = _candidates(self._file)
        asked = None if inside is None else inside.strip("/") or "/"
        found = ", ".join([*candidates, *others])
        self._at = pick_one(self.path, candidates, asked, "datasets or groups", found)
        item = self._file[self._at]
        if not hasattr(item, "shape"):
            self._members = _members(item)
            self.rows = not_empty(self.path, self._of_one_length(item))
            named, known = True, [(name, item[name].dtype) for name in self._members]
        elif item.dtype.names:
            self.rows, named, known = not_empty(self.path, len(item)), True, fields(item.dtype)
        else:
            self.rows = not_empty(self.path, len(item))
            names, named = column_names(_kept_names(item), item.shape[1])
            known = [(name, item.dtype) for name in names]
        self.columns, self._places = chosen(self.path, known, columns, named=named)
        self._known = [name for name, _ in known]

    def _of_one_length(self, group: Any) -> int:
        lengths = {name: len(group[name]) for name in self._members}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise TableError(f"{self.path}: {self._at}: datasets of unequal length: {shown}")
        return next(iter(lengths.values()))

    def _read(self, start: int, stop: int) -> Rows:
        item = self._file[self._at]
        names = [self._known[i] for i in self._places]
        try:
            if not hasattr(item, "shape"):
                taken = [item[name][start:stop] for name in names]
            elif item.dtype.names:
                rows = item.fields(names)[start:stop]
                taken = [rows[name] for name in names]
            else:
                plane = item[start:stop]
                taken = [plane[:, i] for i in self._places]
        except (OSError, RuntimeError) as error:
            raise TableError(f"{self.path}: damaged: {error}; copy it again") from error
        return {c.name: values for c, values in zip(self.columns, taken, strict=True)}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _members(group: Any) -> list[str]:
    """Datasets of a group that can be columns, in the order they were made in where the file knows it."""
    import h5py

    return [
        name
        for name, item in group.items()
        if isinstance(item, h5py.Dataset) and item.ndim == 1 and supported(item.dtype) is not None
    ]


def _candidates(file: Any) -> tuple[list[str], list[str]]:
    """Paths of what can be a table, and what else there is with its shape."""
    import h5py

    tables = ["/"] if _members(file) else []
    others: list[str] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group):
            tables.extend([name] if _members(item) else [])
        elif item.shape is not None and (
            is_plane(item.shape, item.dtype) or is_record(item.shape, item.dtype)
        ):
            tables.append(name)
        elif item.shape is None or item.ndim != 1 or supported(item.dtype) is None:
            others.append(f"{name} {item.dtype} {item.shape}")

    file.visititems(look)
    return tables, others


def _kept_names(dataset: Any) -> Any:
    return next((np.ravel(dataset.attrs[name]).tolist() for name in _NAMES if name in dataset.attrs), None)


def check_hdf5(path: Path, columns: Sequence[TableColumn]) -> None:
    """Refuse columns that HDF5 cannot hold.

    Raises
    ------
    TableError
        If the name of a column has a slash, which HDF5 takes for a group.
    """
    for column in columns:
        if "/" in column.name or column.name == ".":
            raise TableError(f"{path}: column {column.name}: HDF5 has no dataset of this name; rename it")


@contextlib.contextmanager
def hdf5_writer(
    path: Path, columns: Sequence[TableColumn], inside: str | None
) -> Iterator[Callable[[Rows], None]]:
    """Write a group (``events`` by default) with a dataset for every column, block by block."""
    import h5py

    with h5py.File(path, "w") as file:
        where = (inside or "events").strip("/")
        group = file.create_group(where, track_order=True) if where else file
        rows = {c.name: min(_CHUNK, _CHUNK_BYTES // c.dtype.itemsize) for c in columns}
        made = {
            c.name: group.create_dataset(
                c.name,
                (0,),
                c.dtype,
                maxshape=(None,),
                chunks=(rows[c.name],),
                compression="gzip",
                shuffle=True,
            )
            for c in columns
        }

        def append(block: Rows) -> None:
            for name, values in block.items():
                old = len(made[name])
                made[name].resize(old + len(values), axis=0)
                made[name][old:] = values

        yield append
