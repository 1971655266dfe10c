"""What a compressed table says of itself: a few lines, or everything as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io.container import Container, open_container
from compress_mpi.io.report.axes import human_bytes

__all__ = ["facts_of", "info", "raw_bytes", "sizes_of", "summary_lines"]


def info(path: Path, as_json: bool) -> str:
    """Text of ``events info``.

    Raises
    ------
    StoreError
        If the file is no compressed table, or damaged.
    """
    container = open_container(path)
    if as_json:
        return json.dumps(facts_of(container), indent=2)
    return "\n".join([*summary_lines(container), *_more(container)])


def facts_of(container: Container) -> dict[str, Any]:
    """Everything that the file says, without its events; JSON-able."""
    return {
        "file": str(container.path),
        "codec": container.codec,
        **container.header,
        "blocks": container.n_blocks,
        "bytes": sizes_of(container),
        "ratio": raw_bytes(container) / container.size,
    }


def sizes_of(container: Container) -> dict[str, int]:
    """Bytes by part; they add up to the file."""
    payload, tables, model = int(container.index[:, 1].sum()), len(container.tables), len(container.model)
    rest = container.size - payload - tables - model
    return {"payload": payload, "tables": tables, "model": model, "headers": rest}


def raw_bytes(container: Container) -> int:
    """Bytes of the table in its own dtypes."""
    return container.rows * sum(np.dtype(dtype).itemsize for _, dtype in container.columns)


def summary_lines(container: Container) -> list[str]:
    """One line for the file, one for each column."""
    raw, values = raw_bytes(container), container.rows * len(container.columns)
    first = (
        f"{container.path}: {container.rows} rows x {len(container.columns)} columns,"
        f" {human_bytes(raw)} -> {human_bytes(container.size)}, R = {raw / container.size:.2f},"
        f" {8 * container.size / values:.2f} bits a value ({container.codec})"
    )
    columns = container.columns
    shown = columns if len(columns) <= _MOST else columns[:_MOST]
    width = max(len(name) for name, _ in shown)
    lines = [_column_line(container, name, dtype, width) for name, dtype in shown]
    left = len(columns) - len(shown)
    return [first, *lines, *([f"  and {left} columns more"] if left else [])]


_MOST = 40
"""Columns that are shown; JSON has all."""


def _column_line(container: Container, name: str, dtype: str, width: int) -> str:
    allowed, largest, mean, rms, apart = container.header["error"][name]
    found = f"greatest error {_number(largest)}, mean {_number(mean)}, rms {_number(rms)}"
    text = "exact" if largest == 0 else found
    if allowed:
        text += f" (at most {allowed:.4g}{' of each value' if _is_relative(container, name) else ''})"
    more = f", {apart} kept apart" if apart else ""
    return f"  {name:<{width}}  {dtype:<8} {text}{more}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _is_relative(container: Container, name: str) -> bool:
    columns = container.header["plan"].get("columns", [])
    return any(column["name"] == name and column.get("kind") == "relative" for column in columns)


def _more(container: Container) -> list[str]:
    header, sizes = container.header, sizes_of(container)
    lines = [
        f"blocks: {container.n_blocks} of at most {int(container.index[:, 0].max())} rows",
        "bytes: " + ", ".join(f"{name} {size}" for name, size in sizes.items()),
        f"source: {header['source']['name']}, sha256 {header['source']['sha256']}",
        f"written by compress-mpi {header['program']}",
    ]
    if header["settings"]:
        lines.append("settings: " + ", ".join(f"{key}={value}" for key, value in header["settings"].items()))
    if "shared" in header:
        lines.append(f"tables and model: in {header['shared']['name']}, sha256 {header['shared']['sha256']}")
    if header.get("unordered"):
        lines.append("rows stand in another order than in the source")
    if "training" in header:
        lines.append("training: " + ", ".join(f"{key} {value}" for key, value in header["training"].items()))
    return lines
