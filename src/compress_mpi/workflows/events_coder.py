"""What a codec is to the run that writes a container: bytes of blocks, and how good they are."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from compress_mpi.io.tables import Rows
from compress_mpi.methods.events.metrics import ErrorSums
from compress_mpi.types import IntArray
from compress_mpi.workflows.events_blocks import matrix_of

__all__ = ["Block", "Coder", "Measured", "error_sums", "measured"]


@dataclass(frozen=True)
class Block:
    """An encoded block.

    Attributes
    ----------
    data : bytes
    original, decoded : dict of arrays
        The same rows in the same order.
    apart : dict of int
        Values of each column that are kept as they are, in another place.
    """

    data: bytes
    original: Rows
    decoded: Rows
    apart: dict[str, int]


_ELEMENTS = 1 << 20
"""Values that are compared at a time."""


class Coder(Protocol):
    """A codec that was fitted to a table."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the header says, JSON-able."""
        ...

    @property
    def tables(self) -> bytes:
        """Part ``tables`` of the container."""
        ...

    @property
    def model(self) -> bytes:
        """Part ``model`` of the container."""
        ...

    @property
    def training(self) -> dict[str, Any] | None:
        """How its network was trained, JSON-able."""
        ...

    @property
    def unordered(self) -> bool:
        """Whether rows come back in another order."""
        ...

    @property
    def allowed(self) -> dict[str, float | int | None]:
        """Greatest error by column; None where there is none."""
        ...

    def encode(self, rows: Rows) -> Block:
        """One block."""
        ...


@dataclass(frozen=True, eq=False)
class Measured:
    """An encoded block without its rows.

    Attributes
    ----------
    rows : int
    data : bytes
    errors : ErrorSums
    apart : int64 (column,)
    """

    rows: int
    data: bytes
    errors: ErrorSums
    apart: IntArray


def error_sums(original: Rows, decoded: Rows) -> ErrorSums:
    """Errors of rows in numbers that merge, piece by piece: thousands of columns are large as float64."""
    names = list(original)
    step = max(1, _ELEMENTS // len(names))
    pieces = [slice(start, start + step) for start in range(0, len(original[names[0]]), step)]
    return functools.reduce(ErrorSums.merge, [_errors(original, decoded, piece) for piece in pieces])


def measured(block: Block) -> Measured:
    """Bytes of a block, and its errors in numbers."""
    errors = error_sums(block.original, block.decoded)
    apart = np.array([block.apart.get(name, 0) for name in block.original], dtype=np.int64)
    return Measured(errors.rows, block.data, errors, apart)


def _errors(original: Rows, decoded: Rows, piece: slice) -> ErrorSums:
    first, second = (
        matrix_of({name: values[piece] for name, values in rows.items()}, list(original))
        for rows in (original, decoded)
    )
    return ErrorSums.of(first, second)
