"""A compressed table beside its original: errors of every value, sizes, and rows to draw."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.io.report.events_types import ColumnFacts
from compress_mpi.io.tables import EventTable, Rows
from compress_mpi.methods.events.bounded import encode_block
from compress_mpi.methods.events.latent_table import LatentTable
from compress_mpi.methods.events.metrics import Errors, ErrorSums
from compress_mpi.methods.events.ratios import InputSizes, input_sizes
from compress_mpi.workflows.events_blocks import matrix_of
from compress_mpi.workflows.events_coder import error_sums
from compress_mpi.workflows.events_decode import BoundedCodec, Decoder

__all__ = ["Compared", "compare"]

_DRAWN = 100_000
"""Rows that figures are made of, at most."""
_SIZED = 5_000_000
"""Values up to which the sizes of other formats are found: text takes its time."""


@dataclass(frozen=True, eq=False)
class Compared:
    """What was found.

    Attributes
    ----------
    columns : list of ColumnFacts
    original, decoded : dict of arrays
        The same rows of both, evenly spread; no original where none was given.
    overall : dict of float
    sizes : InputSizes or None
    """

    columns: list[ColumnFacts]
    original: Rows | None
    decoded: Rows
    overall: dict[str, float]
    sizes: InputSizes | None


def compare(decoder: Decoder, table: EventTable | None) -> Compared:
    """Decode a whole table, and compare it with the original.

    Raises
    ------
    StoreError
        If the file is damaged.
    TableError
        If the original cannot be read.
    """
    container = decoder.container
    every = -(-container.rows // _DRAWN)
    ends = np.cumsum(container.index[:, 0])
    before: list[Rows] = []
    after: list[Rows] = []
    sums: list[ErrorSums] = []
    sizes = InputSizes()
    small = container.rows * len(container.columns) <= _SIZED
    for number, end in enumerate(ends):
        decoded = decoder.read(number)
        start = int(end - container.index[number, 0])
        after.append(_some(decoded, -start % every, every))
        if table is None:
            continue
        original = _in_order(decoder, table.read(start, int(end)))
        before.append(_some(original, -start % every, every))
        sums = [functools.reduce(ErrorSums.merge, [*sums, error_sums(original, decoded)])]
        sizes += input_sizes(_plain(original)) if small else InputSizes()
    errors = sums[0].errors() if sums else None
    return Compared(
        _columns(decoder, errors),
        _joined(before) if before else None,
        _joined(after),
        {} if errors is None else _overall(errors),
        sizes if small and table is not None else None,
    )


def _in_order(decoder: Decoder, rows: Rows) -> Rows:
    """Rows in the order in which the codec gives them back."""
    if decoder.container.header.get("unordered") and isinstance(decoder.codec, BoundedCodec):
        return encode_block(decoder.codec.plan, rows).original
    return rows


def _some(rows: Rows, first: int, every: int) -> Rows:
    return {name: values[first::every] for name, values in rows.items()}


def _joined(parts: list[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _plain(rows: Rows) -> NDArray[Any]:
    """A plane of one dtype, as it would be kept in a file of numbers."""
    return (
        np.stack(list(rows.values()), axis=1) if len({v.dtype for v in rows.values()}) == 1 else _mixed(rows)
    )


def _mixed(rows: Rows) -> NDArray[Any]:
    return matrix_of(rows, list(rows))


def _overall(errors: Errors) -> dict[str, float]:
    return {
        "mean |residual|": errors.overall_mean_abs,
        "rms residual": errors.overall_rms,
        "greatest error": errors.overall_largest,
        "relative error (Eq. 7), pooled": errors.eq7_pooled,
        "relative error (Eq. 7), per column": errors.eq7,
    }


def _columns(decoder: Decoder, errors: Errors | None) -> list[ColumnFacts]:
    header = decoder.container.header
    found = []
    for place, (name, dtype) in enumerate(decoder.container.columns):
        allowed, largest, mean, rms, _ = header["error"][name]
        coding, bound = _coding(decoder, name, allowed)
        more: Mapping[str, Any] = (
            {}
            if errors is None
            else {
                "relative_error": float(errors.relative[place]),
                "nonfinite_response": float(errors.not_finite_response[place]) / 100,
                "nonfinite": int(errors.not_finite[place]),
            }
        )
        if errors is not None:
            largest, mean, rms = (float(a[place]) for a in (errors.largest, errors.mean_abs, errors.rms))
        found.append(
            ColumnFacts(name, dtype, coding, bound, max_error=largest, mean_residual=mean, rms=rms, **more)
        )
    return found


def _coding(decoder: Decoder, name: str, allowed: float | None) -> tuple[str, float | None]:
    """In a word or two how a column is coded, and its greatest error in its own units."""
    if isinstance(decoder.codec, LatentTable):
        return ("latent", None) if name in decoder.codec.through else ("lossless", 0.0)
    facts = next(c for c in decoder.container.header["plan"]["columns"] if c["name"] == name)
    if facts["kind"] == "relative":
        return f"relative {allowed:g}, {facts['model']}", None
    return f"{'lossless' if not allowed else 'grid'}, {facts['model']}", allowed
