"""Export grids of n3fit: x f(x, Q0) of one replica in 14 flavours, as YAML.

``q20`` is Q0 squared, in GeV^2. ganpdfs wrote Q0 itself there; `read_exportgrid` knows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.exportnodes import XGRIDS, export_xgrid
from compress_mpi.io.gridfile import read_bytes
from compress_mpi.types import FloatArray

__all__ = [
    "LABELS",
    "PIDS",
    "XGRIDS",
    "ExportGrid",
    "export_xgrid",
    "exportgrid_text",
    "read_exportgrid",
    "write_exportgrid",
]

LABELS = (
    *("TBAR", "BBAR", "CBAR", "SBAR", "UBAR", "DBAR", "GLUON"),
    *("D", "U", "S", "C", "B", "T", "PHT"),
)
"""Columns of an export grid, in the order of n3fit."""

PIDS = (-6, -5, -4, -3, -2, -1, 21, 1, 2, 3, 4, 5, 6, 22)
"""PDG codes of the columns."""

_KEYS = ("labels", "pdfgrid", "q20", "replica", "xgrid")
_CLOSE = 1e-6
_GANPDFS_Q0 = 1.65
_NO_POINT = re.compile(r"(?<=[ \[-])(\d)e")


@dataclass(frozen=True, eq=False)
class ExportGrid:
    """One replica at one scale.

    Attributes
    ----------
    replica : int
    q20 : float
        Scale squared, GeV^2.
    x : float64 (nx,)
        Increasing.
    values : float64 (14, nx)
        x f(x, Q0), dimensionless, in the order of `LABELS`.
    warning : str or None
        What the reader had to guess.
    """

    replica: int
    q20: float
    x: FloatArray
    values: FloatArray
    warning: str | None = None


def exportgrid_text(grid: ExportGrid) -> str:
    """The YAML text; every number comes back to the last bit.

    Parameters
    ----------
    grid : ExportGrid

    Returns
    -------
    str
    """
    lines = [
        f"labels: [{', '.join(LABELS)}]",
        "pdfgrid:",
        *(f"- {_flow(row)}" for row in grid.values.T.tolist()),
        f"q20: {_flow([float(grid.q20)])[1:-1]}",
        f"replica: {int(grid.replica)}",
        f"xgrid: {_flow(grid.x.tolist())}",
    ]
    return "\n".join([*lines, ""])


def _flow(numbers: list[float]) -> str:
    # YAML 1.1 takes 1e-09, as Python writes it, for a string: it wants a decimal point
    text = repr(numbers)
    return _NO_POINT.sub(r"\1.0e", text) if "e" in text else text


def write_exportgrid(path: Path, grid: ExportGrid) -> None:
    """Write an export grid.

    Raises
    ------
    PDFSetError
        If the shapes do not match or a value is not finite.
    OutputError
        If the file cannot be written.
    """
    if grid.values.shape != (len(LABELS), grid.x.size):
        raise PDFSetError(f"{path}: values are {grid.values.shape}, expected {(len(LABELS), grid.x.size)}")
    if not np.isfinite(grid.values).all():
        i, j = np.argwhere(~np.isfinite(grid.values))[0]
        raise PDFSetError(f"{path}: {LABELS[i]} at x = {grid.x[j]:g} is {grid.values[i, j]}")
    try:
        Path(path).write_text(exportgrid_text(grid), encoding="ascii", newline="\n")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def read_exportgrid(path: Path, q0: float | None = None) -> ExportGrid:
    """Read an export grid of n3fit, ganpdfs or this program.

    Parameters
    ----------
    path : Path
    q0 : float, optional
        Scale in GeV that it has to be at. A file in which ``q20`` is q0 and not its square, as
        ganpdfs wrote it, is understood, and `ExportGrid.warning` says so.

    Returns
    -------
    ExportGrid
        Columns in the order of `LABELS`, whatever that of the file.

    Raises
    ------
    PDFSetError
        If the file is missing or damaged, or is at another scale; the message names the key.
    """
    path = Path(path)
    content = _content(path, read_bytes(path))
    x = _numbers(path, "xgrid", content["xgrid"], 1)
    values = _numbers(path, "pdfgrid", content["pdfgrid"], 2)
    if x.size < 2 or not (x[0] > 0 and x[-1] <= 1 and (np.diff(x) > 0).all()):
        raise PDFSetError(f"{path}: xgrid: expected two or more nodes that increase between 0 and 1")
    if values.shape != (x.size, len(LABELS)):
        raise PDFSetError(
            f"{path}: pdfgrid: {values.shape[0]} rows of {values.shape[1]} values, expected {x.size} rows (one "
            f"for each node of xgrid) of {len(LABELS)}"
        )
    q20, warning = _scale(path, content["q20"], q0)
    columns = _columns(path, content["labels"])
    return ExportGrid(_replica(path, content["replica"]), q20, x, values.T[columns].copy(), warning)


def _content(path: Path, data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise PDFSetError(f"{path}: not a text file; expected an export grid (YAML)") from None
    content = _own(text) or _yaml(path, text)
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise PDFSetError(f"{path}: {', '.join(missing)}: missing; expected the keys {', '.join(_KEYS)}")
    return content


def _own(text: str) -> dict[str, Any] | None:
    """Content of a file as this program writes it, thirty times faster than through YAML; None for others."""
    lines = text.split("\n")
    if len(lines) < 8 or lines[1] != "pdfgrid:" or lines[0] != f"labels: [{', '.join(LABELS)}]":
        return None
    rows, rest = lines[2:-4], lines[-4:]
    keys = ("q20: ", "replica: ", "xgrid: ")
    if rest[3] or not all(line.startswith(key) for line, key in zip(rest, keys, strict=False)):
        return None
    try:
        grid = json.loads(f"[{','.join(row.removeprefix('- ') for row in rows)}]")
        last = {key[:-2]: json.loads(line[len(key) :]) for key, line in zip(keys, rest, strict=False)}
    except ValueError:
        return None
    return {"labels": list(LABELS), "pdfgrid": grid, **last}


def _yaml(path: Path, text: str) -> dict[str, Any]:
    import yaml

    # BaseLoader leaves scalars as they stand: 1e-09 is a number here, whatever YAML 1.1 says
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        content = yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where is not None else ""
        raise PDFSetError(f"{path}: not YAML{line}; expected an export grid; copy it again") from None
    if not isinstance(content, dict):
        raise PDFSetError(f"{path}: expected an export grid with the keys {', '.join(_KEYS)}")
    return content


def _numbers(path: Path, key: str, value: Any, axes: int) -> FloatArray:
    wanted = "a list of numbers" if axes == 1 else "a list of rows of numbers, all of one length"
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        odd = next((item for item in _leaves(value) if not _is_number(item)), None)
        found = "" if odd is None else f", found {str(odd)[:30]!r}"
        raise PDFSetError(f"{path}: {key}: expected {wanted}{found}") from None
    if array.ndim != axes:
        raise PDFSetError(f"{path}: {key}: expected {wanted}")
    if not np.isfinite(array).all():
        place = ", ".join(str(i + 1) for i in np.argwhere(~np.isfinite(array))[0])
        raise PDFSetError(f"{path}: {key}: value {place} is NaN or infinite")
    return array


def _leaves(value: Any) -> Iterator[Any]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            yield from _leaves(item)
        else:
            yield item


def _is_number(item: Any) -> bool:
    try:
        float(item)
    except (ValueError, TypeError):
        return False
    return True


def _columns(path: Path, labels: Any) -> list[int]:
    if not isinstance(labels, list) or sorted(map(str, labels)) != sorted(LABELS):
        raise PDFSetError(f"{path}: labels: expected {' '.join(LABELS)}, got {labels}")
    return [labels.index(label) for label in LABELS]


def _replica(path: Path, value: Any) -> int:
    if not re.fullmatch(r"\d{1,9}", str(value)):
        raise PDFSetError(f"{path}: replica: expected a whole number, got {value!r}")
    return int(value)


def _scale(path: Path, value: Any, q0: float | None) -> tuple[float, str | None]:
    try:
        found = float(value)
    except (ValueError, TypeError):
        found = math.nan
    if not 0 < found < math.inf:
        raise PDFSetError(f"{path}: q20: expected a scale squared in GeV^2, got {value!r}")
    if q0 is None:
        if math.isclose(found, _GANPDFS_Q0, rel_tol=_CLOSE):
            return found, (
                f"{path}: q20: {found:g} is what ganpdfs writes for Q0 = {_GANPDFS_Q0} GeV, where n3fit writes "
                f"Q0 squared; it was read as Q0 squared: give q0 if Q0 is meant"
            )
        return found, None
    if math.isclose(found, q0 * q0, rel_tol=_CLOSE):
        return found, None
    if math.isclose(found, q0, rel_tol=_CLOSE):
        return q0 * q0, f"{path}: q20: {found:g} is Q0, not its square as in n3fit; read as Q0 = {q0:g} GeV"
    raise PDFSetError(f"{path}: q20: {found:g} GeV^2, expected {q0 * q0:g} (Q0 = {q0:g} GeV)")
