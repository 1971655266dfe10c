"""What every event table offers, whatever its file: named columns, rows by range, an identity."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import TableError

__all__ = ["EventTable", "Rows", "TableColumn", "chosen", "default_names", "listed", "native", "supported"]

Rows = dict[str, NDArray[Any]]
"""A block of a table: name -> (rows,), all of one length, in the order of the columns."""

_CODES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
_DTYPES = frozenset(np.dtype(code) for code in _CODES)
_LISTED = 12
_SLICE = 1 << 20


@dataclass(frozen=True)
class TableColumn:
    """A column: its name, and its numpy dtype in the byte order of this machine."""

    name: str
    dtype: np.dtype[Any]


class EventTable(ABC):
    """A table of events in a file, read by range of rows with memory for little more than the range.

    Attributes
    ----------
    path : Path
        The file; of several, the first.
    columns : tuple of TableColumn
        The columns that were asked for, in that order.
    rows : int
        At least 1.
    """

    path: Path
    columns: tuple[TableColumn, ...]
    rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the table lies in, in the order of their rows."""
        return (self.path,)

    def read(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop - 1``.

        Parameters
        ----------
        start, stop : int
            0 <= start <= stop <= rows.

        Returns
        -------
        dict of str to array
            Name -> (stop - start,), own memory, native byte order, the dtypes of ``columns``.

        Raises
        ------
        IndexError
            If the range leaves the table.
        TableError
            If the file turns out to be damaged there.
        """
        if not 0 <= start <= stop <= self.rows:
            raise IndexError(f"{self.path}: rows {start}:{stop} of a table of {self.rows} rows")
        found = self._read(start, stop)
        return {c.name: native(found[c.name], c.dtype) for c in self.columns}

    @abstractmethod
    def _read(self, start: int, stop: int) -> Rows:
        """As :meth:`read`, in any byte order, possibly views, possibly with further columns."""

    def blocks(self, size: int) -> Iterator[Rows]:
        """The whole table, ``size`` rows (the last time perhaps fewer) at a time."""
        for start in range(0, self.rows, size):
            yield self.read(start, min(start + size, self.rows))

    def fingerprint(self) -> str:
        """SHA-256 of the bytes of the file, or of several one after the other, as hexadecimal digits.

        Raises
        ------
        TableError
            If a file cannot be read.
        """
        digest = hashlib.sha256()
        for path in self.files:
            try:
                with open(path, "rb") as file:
                    while piece := file.read(_SLICE):
                        digest.update(piece)
            except OSError as error:
                raise TableError(f"{path}: cannot be read: {error.strerror or error}") from error
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of the file; the table cannot be read any more."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def native(values: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Contiguous copy of a column in native byte order and own memory, (rows,)."""
    return np.array(values, dtype=dtype, order="C", copy=True)


def supported(dtype: Any) -> np.dtype[Any] | None:
    """A dtype in native byte order if a column may have it (bool, integers, float16 to float64), else None."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf":
        return None
    plain = dtype.newbyteorder("=")
    return plain if plain in _DTYPES else None


def default_names(count: int) -> list[str]:
    """``c0``, ``c1``, ...: names of columns in a file that has none."""
    return [f"c{i}" for i in range(count)]


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first dozen of many."""
    shown = ", ".join(names[:_LISTED])
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown


def chosen(
    path: Path,
    found: Sequence[tuple[str, Any]],
    wanted: Sequence[str] | None,
    *,
    named: bool = True,
) -> tuple[tuple[TableColumn, ...], list[int]]:
    """The columns asked for, and where in the file each of them is.

    Parameters
    ----------
    path : Path
        For messages.
    found : sequence of (name, dtype)
        All columns of the file in its order; what is no dtype of numbers is shown in the message as it is.
    wanted : sequence of str, optional
        Names to pick, in the order to give them; all by default.
    named : bool
        False where the file has no names: then ``wanted`` names all columns, unless it picks from the
        default ones.

    Returns
    -------
    tuple of TableColumn
    list of int
        Positions in ``found``.

    Raises
    ------
    TableError
        If names are unknown or appear twice, or a column that was asked for does not hold numbers.
    """
    names = [name for name, _ in found]
    if not names:
        raise TableError(f"{path}: no columns in it; a table needs at least one")
    if wanted is not None:
        _refuse_twice(path, wanted, "asked for")
        if not wanted:
            raise TableError(f"{path}: no columns asked for; available: {listed(names)}")
        if not named and not set(wanted) <= set(names):
            names = _given(path, wanted, len(names))
    _refuse_twice(path, names, "in the file")
    where = {name: i for i, name in enumerate(names)}
    unknown = [name for name in wanted or () if name not in where]
    if unknown:
        raise TableError(f"{path}: no column {listed(unknown)}; available: {listed(names)}")
    picked = [where[name] for name in (names if wanted is None else wanted)]
    return tuple(_column(path, names[i], found[i][1], wanted is None) for i in picked), picked


def _refuse_twice(path: Path, names: Sequence[str], where: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(
            f"{path}: column {listed(twice)} {where} more than once; every column needs its own name"
        )


def _given(path: Path, wanted: Sequence[str], count: int) -> list[str]:
    if len(wanted) != count:
        raise TableError(
            f"{path}: {count} columns without names, but {len(wanted)} names given; name every column in the order"
            f" of the file, or pick from {listed(default_names(count))}"
        )
    return list(wanted)


def _column(path: Path, name: str, dtype: Any, every: bool) -> TableColumn:
    plain = supported(dtype)
    if plain is None:
        pick = "; pick the columns to read with 'columns'" if every else ""
        raise TableError(
            f"{path}: column {name}: {dtype}, expected one number an event"
            f" (bool, an integer or floating type of at most 64 bits){pick}"
        )
    return TableColumn(name, plain)
