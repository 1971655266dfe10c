"""The bounded codec: blocks of rows into bytes and back, no value off by more than its bound.

A block is a stream of the :mod:`block coder <compress_mpi.methods.events.coder>`, what is kept apart of
each column, and the columns whose bytes are packed as they are. It is decoded at once after it was
encoded, and its values are compared with the bounds: what cannot be kept is never written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events import apart as exact
from compress_mpi.methods.events.coder import decode_rows, encode_rows
from compress_mpi.methods.events.grid import index_of, value_of
from compress_mpi.methods.events.lossless import pack_column, unpack_column
from compress_mpi.methods.events.plan import ColumnPlan, Plan
from compress_mpi.methods.events.program import GAP, MARGINAL

__all__ = ["Encoded", "Rows", "decode_block", "encode_block", "sample_events"]

Rows = dict[str, NDArray[Any]]
"""Columns of some rows by name, each (n,), in the order of the table."""


@dataclass(frozen=True)
class Encoded:
    """A block.

    Attributes
    ----------
    data : bytes
    original, decoded : dict of arrays
        The rows, in the order in which they come back, and what comes back.
    apart : dict of int
        Values of each column that are kept apart.
    """

    data: bytes
    original: Rows
    decoded: Rows
    apart: dict[str, int]


def encode_block(plan: Plan, rows: Rows) -> Encoded:
    """Encode a block.

    Parameters
    ----------
    plan : Plan
    rows : dict of arrays
        The columns of the plan, of its types.

    Raises
    ------
    ValueError
        If a column is missing or of another type.
    ArithmeticError
        If the block does not decode to what was encoded; nothing is to be written then.
    """
    names = [column.name for column in plan.columns]
    if list(rows) != names:
        raise ValueError(f"columns: expected {', '.join(names)}, got {', '.join(rows)}")
    indices, masks = _indices(plan, rows)
    if plan.unordered:
        order = np.lexsort(_sort_keys(plan, indices))
        rows = {name: values[order] for name, values in rows.items()}
        indices, masks = indices[order], [mask[order] for mask in masks]
    number = len(next(iter(rows.values())))
    sections = [encode_rows(plan.program, indices)] if plan.indexed else []
    apart: dict[str, int] = dict.fromkeys(names, 0)
    for column, mask in zip(plan.indexed, masks, strict=True):
        places = np.flatnonzero(mask)
        apart[column.name] = places.size
        sections.append(exact.pack(places, rows[column.name][places]))
    sections += [pack_column(rows[column.name]) for column in plan.columns if column.code is None]
    data = b"".join(_varint(len(section)) for section in sections[:-1]) + b"".join(sections)
    decoded = decode_block(plan, data, number)
    _verify(plan, indices, rows, decoded, masks)
    return Encoded(data, rows, decoded, apart)


def decode_block(plan: Plan, data: bytes, rows: int) -> Rows:
    """The rows of a block: the same bits on any machine.

    Parameters
    ----------
    plan : Plan
    data : bytes
        Of `encode_block`; damage is not looked for here.
    rows : int
    """
    sections = _split(data, len(plan.columns) + bool(plan.indexed))
    indices = decode_rows(plan.program, next(sections), rows) if plan.indexed else np.empty((rows, 0))
    found: Rows = {}
    for number, column in enumerate(plan.indexed):
        values = value_of(np.ascontiguousarray(indices[:, number]), column.grid)
        places, kept = exact.unpack(next(sections), column.grid.dtype)
        values[places] = kept
        found[column.name] = values
    for column in plan.columns:
        if column.code is None:
            found[column.name] = unpack_column(next(sections), column.grid.dtype, rows)
    return {column.name: found[column.name] for column in plan.columns}


def sample_events(plan: Plan, number: int, rng: np.random.Generator) -> Rows:
    """Draw rows from the distribution that the plan codes with: it decodes noise.

    Columns whose bytes are packed as they are have no distribution and are left out. Where rows look at
    the row before, they form a chain.

    Parameters
    ----------
    plan : Plan
    number : int
    rng : numpy.random.Generator
    """
    if not plan.indexed:
        return {}
    program = plan.program._replace(kind=np.where(plan.program.kind == GAP, MARGINAL, plan.program.kind))
    # a row never takes more than a few words a column
    noise = rng.bytes(4 * (6 * number * len(plan.indexed) + 16))
    indices = decode_rows(program, noise, number)
    return {
        column.name: _spread(np.ascontiguousarray(indices[:, place]), column, rng)
        for place, column in enumerate(plan.indexed)
    }


def _spread(indices: NDArray[np.int64], column: ColumnPlan, rng: np.random.Generator) -> NDArray[Any]:
    """Values anywhere in the cells of the indices, where cells stand for ranges of real numbers."""
    values = value_of(indices, column.grid)
    if column.grid.kind != "absolute":
        return values
    inside = values + rng.uniform(-0.5, 0.5, len(values)) * column.grid.step
    return inside.astype(column.grid.dtype)


def _indices(plan: Plan, rows: Rows) -> tuple[NDArray[np.int64], list[NDArray[np.bool_]]]:
    number = len(next(iter(rows.values())))
    indices = np.empty((number, len(plan.indexed)), dtype=np.int64)
    masks = []
    for place, column in enumerate(plan.indexed):
        assert column.code is not None
        edges = column.code.table.edges
        index, mask = index_of(rows[column.name], column.grid)
        mask = mask | (index < edges[0]) | (index >= edges[-1])
        indices[:, place] = np.where(mask, column.code.table.usual, index)
        masks.append(mask)
    return indices, masks


def _sort_keys(plan: Plan, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """For lexsort: the sorted column last, the others settle ties."""
    places = sorted(range(len(plan.indexed)), key=lambda place: plan.indexed[place].model == "sorted")
    return tuple(indices[:, place] for place in places)


def _verify(plan: Plan, indices: Any, rows: Rows, decoded: Rows, masks: list[NDArray[np.bool_]]) -> None:
    """The bounds hold for indices, see :mod:`.grid`; so the decoded values have to be those of the indices."""
    for place, (column, mask) in enumerate(zip(plan.indexed, masks, strict=True)):
        expected = value_of(np.ascontiguousarray(indices[:, place]), column.grid)
        expected[mask] = rows[column.name][mask]
        _same(column.name, expected, decoded[column.name])
    for column in plan.columns:
        if column.code is None:
            _same(column.name, rows[column.name], decoded[column.name])


def _same(name: str, expected: NDArray[Any], found: NDArray[Any]) -> None:
    if expected.tobytes() != found.tobytes():
        raise ArithmeticError(
            f"column '{name}': a block does not decode to what was encoded; please report it"
        )


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _split(data: bytes, number: int) -> Any:
    """The sections of a block; all lengths but the last are written."""
    lengths, place = [], 0
    for _ in range(number - 1):
        length, shift = 0, 0
        while data[place] & 128:
            length |= (data[place] & 127) << shift
            shift, place = shift + 7, place + 1
        length |= data[place] << shift
        lengths.append(length)
        place += 1
    lengths.append(len(data) - place - sum(lengths))
    for length in lengths:
        yield data[place : place + length]
        place += length
