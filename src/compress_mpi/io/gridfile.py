"""The ``lhagrid1`` text format of one PDF member: read, check, write.

A file is a YAML header and one or more subgrids, each closed by a line ``---``::

    PdfType: replica
    Format: lhagrid1
    ---
    x knots
    Q knots (GeV)
    flavours (PDG codes)
    one row of x f(x, Q) per (x, Q), Q fastest, one column per flavour
    ---

Rules are those of LHAPDF 6.5 (``GridPDF::_loadData``): lines are trimmed, lines that
start with ``#`` are skipped, an empty line inside a subgrid is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.gridscan import Scan, scan
from compress_mpi.io.gridtypes import GridFile, Layout, Subgrid
from compress_mpi.types import FloatArray

__all__ = [
    "GridFile",
    "Layout",
    "Subgrid",
    "check_complete",
    "examine",
    "grid_text",
    "read_bytes",
    "read_grid",
    "write_grid",
]


def read_bytes(path: Path) -> bytes:
    """Content of a file of the set.

    Raises
    ------
    PDFSetError
        If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PDFSetError(f"{path}: cannot be read ({error.strerror}); install the set again") from error


def check_complete(path: Path) -> Layout:
    """Check that a member file is whole (half a millisecond for 330 kB, 3 ms for unusual text).

    Every number is looked at: a reader written in C++ or Rust may end the process, or
    silently go on, where this function names the file and the place.

    Parameters
    ----------
    path : Path
        One member file.

    Returns
    -------
    Layout
        Its knots and flavours.

    Raises
    ------
    PDFSetError
        If the file is empty, binary, truncated, has rows too few or too short,
        something that is not a number, or a NaN or infinite value (named with its
        subgrid, flavour, x and Q).
    """
    return examine(path)[0]


def examine(path: Path) -> tuple[Layout, Scan | None]:
    """As `check_complete`, together with the lines of the file if it is a plain one."""
    path = Path(path)
    data = read_bytes(path)
    plain = scan(data)
    return (_parsed_layout(path, data), None) if plain is None else (plain.layout, plain)


def _parsed_layout(path: Path, data: bytes) -> Layout:
    grid = _parse(path, data)
    x = tuple(tuple(s.x.tolist()) for s in grid.subgrids)
    q = tuple(tuple(s.q.tolist()) for s in grid.subgrids)
    return Layout(x, q, grid.subgrids[0].pids, _is_regular(data, grid))


def _is_regular(data: bytes, grid: GridFile) -> bool:
    plain = b"\r" not in data and b"#" not in data and data.count(b"---") == len(grid.subgrids) + 1
    return plain and not any("\udc80" <= letter <= "\udcff" for letter in grid.header)


def read_grid(path: Path) -> GridFile:
    """Read one member file.

    Parameters
    ----------
    path : Path
        One member file.

    Returns
    -------
    GridFile

    Raises
    ------
    PDFSetError
        As `check_complete`.
    """
    path = Path(path)
    return _parse(path, read_bytes(path))


def _parse(path: Path, data: bytes) -> GridFile:
    if not data.strip():
        raise PDFSetError(f"{path}: the file is empty; install the set again")
    if b"\0" in data:
        raise PDFSetError(f"{path}: not a text file (holds zero bytes); install the set again")
    header, blocks, tail = _split(data)
    if not blocks and not tail:
        raise PDFSetError(f"{path}: no subgrid found, expected lines '---' around each (Format: lhagrid1)")
    if any(b"_" in b" ".join(block) for block in blocks):  # "1_0" is a number in Python only
        raise PDFSetError(f"{path}: a '_' among the values; install the set again")
    subgrids = tuple(_parse_block(path, number, block) for number, block in enumerate(blocks, 1))
    if tail:
        raise PDFSetError(_cut_short(path, len(blocks) + 1, tail))
    if any(s.pids != subgrids[0].pids for s in subgrids):
        raise PDFSetError(f"{path}: the subgrids list different flavours; LHAPDF does not allow that")
    return GridFile(header, subgrids)


def _split(data: bytes) -> tuple[str, list[list[bytes]], list[bytes]]:
    """Header, the lines of every closed subgrid, and what follows the last ``---``."""
    lines = [line.strip() for line in data.splitlines()]
    marks = [i for i, line in enumerate(lines) if line == b"---"]
    first, last = (marks[0], marks[-1]) if marks else (len(lines), len(lines))
    blocks = [lines[a + 1 : b] for a, b in pairwise(marks)]
    blocks = [[line for line in block if not line.startswith(b"#")] for block in blocks]
    header = b"\n".join(data.splitlines()[:first])
    return (
        header.decode("utf-8", "surrogateescape"),
        blocks,
        [line for line in lines[last + 1 :] if line[:1] not in (b"", b"#")],
    )


def _cut_short(path: Path, number: int, tail: list[bytes]) -> str:
    found = f"{max(len(tail) - 3, 0)} rows"
    if len(tail) >= 3:
        found += f" of {len(tail[0].split()) * len(tail[1].split())}"
    return f"{path}: truncated: subgrid {number} has {found} and no closing '---'; install the set again"


def _parse_block(path: Path, number: int, lines: list[bytes]) -> Subgrid:
    where = f"{path}: subgrid {number}"
    if len(lines) < 3:
        raise PDFSetError(f"{where}: {len(lines)} lines, expected x knots, Q knots, flavours and values")
    x = _knots(f"{where}: x knots", lines[0])
    q = _knots(f"{where}: Q knots", lines[1])
    pids = _pids(where, lines[2])
    rows = lines[3:]
    if len(rows) != x.size * q.size:
        expected = f"{x.size * q.size} ({x.size} x knots times {q.size} Q knots)"
        raise PDFSetError(f"{where}: {len(rows)} rows of values, expected {expected}; install the set again")
    values = _values(where, rows, len(pids)).reshape(x.size, q.size, len(pids))
    subgrid = Subgrid(x, q, pids, values)
    _require_finite(where, subgrid)
    return subgrid


def _floats(where: str, tokens: list[bytes]) -> FloatArray:
    try:
        return np.array(tokens, dtype=np.float64)
    except ValueError:
        bad = next((token for token in tokens if not _is_number(token)), b"?")
        shown = bad[:30].decode("ascii", "backslashreplace")
        raise PDFSetError(f"{where}: '{shown}' is not a number; install the set again") from None


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _increasing(knots: Sequence[float]) -> bool:
    ordered = all(a < b for a, b in pairwise(knots))
    return len(knots) > 1 and knots[0] > 0 and ordered and math.isfinite(knots[-1])


def _knots(where: str, line: bytes) -> FloatArray:
    knots = _floats(where, line.split())
    if not _increasing(knots.tolist()):
        raise PDFSetError(f"{where}: {len(knots)} found, expected two or more, positive and increasing")
    return knots


def _pids(where: str, line: bytes) -> tuple[int, ...]:
    try:
        pids = tuple(map(int, line.split()))
    except ValueError:
        shown = line[:40].decode("ascii", "backslashreplace")
        raise PDFSetError(f"{where}: third line is '{shown}', expected PDG codes") from None
    if not pids or len(set(pids)) != len(pids):
        raise PDFSetError(f"{where}: flavours are {list(pids)}, expected different PDG codes")
    return pids


def _values(where: str, rows: list[bytes], width: int) -> FloatArray:
    tokens = [row.split() for row in rows]
    if set(map(len, tokens)) != {width}:
        number, found = next((n, len(row)) for n, row in enumerate(tokens, 1) if len(row) != width)
        raise PDFSetError(f"{where}: row {number} has {found} values, expected {width} (one a flavour)")
    return _floats(where, list(chain.from_iterable(tokens)))


def _require_finite(where: str, subgrid: Subgrid) -> None:
    finite = np.isfinite(subgrid.values)
    if not finite.all():
        bad = np.argwhere(~finite)
        i, j, k = bad[0]
        value = subgrid.values[i, j, k]
        point = f"flavour {subgrid.pids[k]}, x = {subgrid.x[i]:g}, Q = {subgrid.q[j]:g} GeV"
        more = f" ({len(bad)} such values)" if len(bad) > 1 else ""
        raise PDFSetError(f"{where}: the value at {point} is {value}{more}; install the set again")


def grid_text(grid: GridFile, digits: int = 17) -> str:
    """The text of a member file.

    Parameters
    ----------
    grid : GridFile
    digits : int
        Significant digits of the values; 17 bring back every float64 exactly.
        Knots are always exact.

    Returns
    -------
    str
    """
    return "\n".join([grid.header, "---", *(_block_text(s, digits) for s in grid.subgrids), ""])


def _block_text(subgrid: Subgrid, digits: int) -> str:
    def line(items: Iterable[float]) -> str:
        return " ".join(map(repr, items))

    row = " ".join([f"%.{digits - 1}E"] * len(subgrid.pids)) + "\n"
    rows = (row * (subgrid.x.size * subgrid.q.size)) % tuple(subgrid.values.ravel().tolist())
    head = [line(subgrid.x.tolist()), line(subgrid.q.tolist()), line(subgrid.pids)]
    return "\n".join([*head, rows + "---"])


def write_grid(path: Path, grid: GridFile, digits: int = 17) -> None:
    """Write one member file.

    Parameters
    ----------
    path : Path
    grid : GridFile
    digits : int
        As in `grid_text`.

    Raises
    ------
    PDFSetError
        If a value is not finite, or the header holds a separator.
    OutputError
        If the file cannot be written.
    """
    if "---" in grid.header:  # neopdf cuts the file at every such string
        raise PDFSetError(f"{path}: the header must not contain '---'")
    for number, subgrid in enumerate(grid.subgrids, 1):
        _require_finite(f"{path}: subgrid {number}", subgrid)
    try:
        Path(path).write_bytes(grid_text(grid, digits).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
