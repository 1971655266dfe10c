"""Tables as text, with the fewest digits that bring every number back."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import TableError
from compress_mpi.io.tables.table import Rows, TableColumn
from compress_mpi.io.tables.textlines import is_number

__all__ = ["check_csv", "check_words", "csv_writer", "text_writer"]


def check_csv(path: Path, columns: Sequence[TableColumn]) -> None:
    """Refuse names that would not come back from the header of a CSV file.

    Raises
    ------
    TableError
        If a name reads as a number, is empty, has spaces around it, or a comment mark, another separator or the
        end of a line in it.
    """
    for name in (column.name for column in columns):
        if not name or name != name.strip() or is_number(name) or set(name) & set("#;\t\r\n"):
            raise TableError(
                f"{path}: column {name!r}: would not come back as a name from a line of text; rename it"
            )


def check_words(path: Path, columns: Sequence[TableColumn]) -> None:
    """Refuse names that would not come back from a header between spaces.

    Raises
    ------
    TableError
        As `check_csv`, and if a name has white space, a comma or a quote in it.
    """
    check_csv(path, columns)
    for name in (column.name for column in columns):
        if len(name.split()) != 1 or set(name) & set(',"'):
            raise TableError(f"{path}: column {name!r}: is no single word; rename it, or write a .csv")


@contextlib.contextmanager
def csv_writer(
    path: Path, columns: Sequence[TableColumn], inside: str | None
) -> Iterator[Callable[[Rows], None]]:
    """Write a header line and lines of numbers between commas, block by block."""
    header = io.StringIO()
    csv.writer(header, lineterminator="").writerow([c.name for c in columns])
    with _lines(path, header.getvalue(), ",") as append:
        yield append


@contextlib.contextmanager
def text_writer(
    path: Path, columns: Sequence[TableColumn], inside: str | None
) -> Iterator[Callable[[Rows], None]]:
    """Write a header line and lines of numbers between spaces, block by block."""
    with _lines(path, " ".join(c.name for c in columns), " ") as append:
        yield append


@contextlib.contextmanager
def _lines(path: Path, header: str, separator: str) -> Iterator[Callable[[Rows], None]]:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(header + "\n")

        def append(block: Rows) -> None:
            rows = zip(*(_texts(values) for values in block.values()), strict=True)
            file.writelines(separator.join(row) + "\n" for row in rows)

        yield append


def _texts(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype.kind == "f" and values.dtype.itemsize < 8:
        # a Python float would show the digits of a double
        return [str(value) for value in values]
    return [repr(value) for value in values.tolist()]
