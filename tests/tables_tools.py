"""Event tables for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compress_mpi.io.tables import EventTable, Rows, TableColumn, open_table, write_table

NAMED = (".csv", ".txt", ".npz", ".h5", ".parquet", ".root")
"""Formats that keep the names of columns of one dtype; ``.npy`` does not."""
ALL = (".npy", *NAMED)


def columns_of(rows: Rows) -> list[TableColumn]:
    return [TableColumn(name, values.dtype) for name, values in rows.items()]


def pieces(rows: Rows, size: int) -> Iterator[Rows]:
    length = len(next(iter(rows.values())))
    for start in range(0, length, size):
        yield {name: values[start : start + size] for name, values in rows.items()}


def jets(n: int = 50, seed: int = 1) -> Rows:
    """Columns of every kind, with what floating columns can hold besides numbers."""
    rng = np.random.default_rng(seed)
    pt = rng.lognormal(3, 1, n).astype(np.float32)
    pt[0], mass = np.float32(1e-45), rng.normal(size=n)
    mass[:4] = np.nan, np.inf, -np.inf, -0.0
    return {
        "pt": pt,
        "mass": mass,
        "event": rng.integers(-(2**63), 2**63 - 1, n),
        "id": rng.integers(0, 2**64 - 1, n, dtype=np.uint64),
        "charge": rng.integers(-1, 2, n).astype(np.int8),
        "tagged": rng.random(n) < 0.5,
    }


def save(path: Path, rows: Rows, size: int = 20) -> Path:
    write_table(path, columns_of(rows), pieces(rows, size))
    return path


def dtypes_for(path: Path, rows: Rows) -> dict[str, np.dtype] | None:
    """Text does not say what it holds."""
    return {n: v.dtype for n, v in rows.items()} if path.suffix in (".csv", ".txt") else None


def content(table: EventTable) -> Rows:
    with table:
        return table.read(0, table.rows)


def read(path: Path, *args, **options) -> Rows:
    return content(open_table(path, *args, **options))


def same(one: Rows, two: Rows) -> bool:
    """Names, order, dtypes and bits, save those of NaN."""
    return list(one) == list(two) and all(_equal(one[n], two[n]) for n in one)


def _equal(one: np.ndarray, two: np.ndarray) -> bool:
    if one.dtype != two.dtype or one.shape != two.shape:
        return False
    if one.dtype.kind != "f":
        return np.array_equal(one, two)
    known = ~np.isnan(one)
    return np.array_equal(one, two, equal_nan=True) and np.array_equal(
        np.signbit(one[known]), np.signbit(two[known])
    )
