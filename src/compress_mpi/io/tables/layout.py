"""Which columns an array holds: those of a plane, the fields of a record, or itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import TableError
from compress_mpi.io.tables.table import default_names

__all__ = ["column_names", "fields", "is_plane", "is_record", "not_empty", "pick_one"]


def is_plane(shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Whether an array is (rows, columns) of plain values."""
    return len(shape) == 2 and dtype.names is None


def is_record(shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Whether an array is (rows,) of records with named fields."""
    return len(shape) == 1 and dtype.names is not None


def fields(dtype: np.dtype[Any]) -> list[tuple[str, Any]]:
    """Fields of a record with their dtypes, as `chosen` wants them."""
    return [(name, dtype[name]) for name in dtype.names or ()]


def column_names(given: Iterable[Any] | None, count: int) -> tuple[list[str], bool]:
    """Names kept beside a plane, and True; the default ones, and False, where none are kept or not as many."""
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in given or ()]
    return (names, True) if count and len(names) == count else (default_names(count), False)


def not_empty(path: Path, rows: int, what: str = "the table") -> int:
    """The number of rows.

    Raises
    ------
    TableError
        If it is zero.
    """
    if rows < 1:
        raise TableError(f"{path}: {what} is empty; a table needs at least one row")
    return rows


def pick_one(path: Path, candidates: Sequence[str], inside: str | None, what: str, found: str) -> str:
    """The one thing of a file that is meant.

    Parameters
    ----------
    path : Path
    candidates : sequence of str
        What can be read as a table.
    inside : str, optional
        What was asked for; needed unless there is just one.
    what : str
        What they are, in the plural.
    found : str
        All there is, for the message.

    Raises
    ------
    TableError
        If it is not there, or not clear which is meant.
    """
    if inside is not None:
        if inside not in candidates:
            raise TableError(f"{path}: no table '{inside}'; {what} in the file: {found or 'none'}")
        return inside
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise TableError(f"{path}: no table in it, expected {what}; found: {found or 'nothing'}")
    raise TableError(f"{path}: several {what}: {', '.join(candidates)}; choose one with 'inside'")
