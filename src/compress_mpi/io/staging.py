"""Member files as neopdf can take them.

neopdf 0.4 ends the whole process when a member or the ``.info`` file beside it is not what
it expects, so that it is never shown a file that has not been checked, nor a published
``.info``. It is also quicker the less it has to parse: where only a few scales are wanted,
it is given only the Q knots around them.
"""

from __future__ import annotations

import bisect
import os
import tempfile
from pathlib import Path

import numpy as np

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.gridfile import read_grid, write_grid
from compress_mpi.io.gridscan import Scan
from compress_mpi.io.gridtypes import GridFile, Layout
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.types import FloatArray

__all__ = [
    "forced_positive",
    "require_neopdf",
    "stage",
    "staged_member",
    "staged_piece",
    "staged_subgrid",
    "upper_q2",
]

_KNOTS_BESIDE = 3

# The least that neopdf wants to see; what it says does not enter the values.
_STAGED_INFO = """SetDesc: staged
SetIndex: 0
Format: lhagrid1
NumMembers: 1
Flavors: [21]
XMin: 1e-9
XMax: 1.0
QMin: 1.0
QMax: 1e5
AlphaS_Qs: [1.0, 2.0, 4.0, 8.0]
AlphaS_Vals: [0.4, 0.3, 0.2, 0.1]
"""
_NEOPDF_INTERPOLATORS = {"logcubic": "LogBicubic", "log": "LogBilinear", "linear": "Bilinear"}
_NEOPDF_PIDS = range(-6, 23)


def require_neopdf(pdfset: PDFSet, pids: list[int]) -> None:
    """Refuse what neopdf would quietly do differently from LHAPDF."""
    hidden = [pid for pid in pids if pid not in _NEOPDF_PIDS]
    kind = str(pdfset.info.get("Interpolator", "logcubic")).lower()
    if hidden:
        raise PDFSetError(f"{pdfset.info_path}: neopdf cannot read flavours {hidden}; use --backend lhapdf")
    if kind not in _NEOPDF_INTERPOLATORS:
        raise PDFSetError(
            f"{pdfset.info_path}: Interpolator: neopdf does not know '{kind}'; use --backend lhapdf"
        )


def stage(pdfset: PDFSet) -> tempfile.TemporaryDirectory[str]:
    """A folder where neopdf finds an ``.info`` it can read: it ends the process on any other."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="compress-mpi-", ignore_cleanup_errors=True)
        kind = str(pdfset.info.get("Interpolator", "logcubic")).lower()
        text = f"{_STAGED_INFO}InterpolatorType: {_NEOPDF_INTERPOLATORS[kind]}\n"
        Path(folder.name, "set.info").write_text(text, encoding="utf-8")
    except OSError as error:
        raise _no_room(error) from error
    return folder


def staged_member(folder: Path, path: Path, layout: Layout, q0: float) -> Path:
    """The member as neopdf can take it: the file itself, or else the one subgrid that counts."""
    staged = _fresh(folder, path)
    chosen = layout.holding(q0)[-1]
    small = [i for i, (x, q) in enumerate(zip(layout.x, layout.q, strict=True)) if min(len(x), len(q)) < 4]
    if chosen in small:
        raise _too_few(path, q0)
    if layout.regular and not small:
        os.symlink(path.absolute(), staged)
    else:
        write_grid(staged, GridFile("Format: lhagrid1", (read_grid(path).subgrids[chosen],)))
    return staged


def staged_piece(folder: Path, path: Path, layout: Layout, scan: Scan | None, q0: float) -> Path:
    """The part of a member that decides its values at one scale, to the last bit.

    An interpolation that is cubic in log Q looks at two knots on either side of Q; one more is
    kept, so that it does not matter on which side of a knot rounding puts Q. All x knots are kept.

    Parameters
    ----------
    folder : Path
        From `stage`.
    path : Path
        Member file.
    layout : Layout
    scan : Scan or None
        The lines of the file; without them it is staged as a whole.
    q0 : float
        GeV.
    """
    chosen = layout.holding(q0)[-1]
    x, q = layout.x[chosen], layout.q[chosen]
    if scan is None or min(len(x), len(q)) < 4:
        return staged_member(folder, path, layout, q0)
    place = bisect.bisect_right(q, q0)
    first, last = max(place - _KNOTS_BESIDE, 0), min(place + _KNOTS_BESIDE, len(q))
    first, last = min(first, len(q) - 4), max(last, 4)
    return _written(_fresh(folder, path), scan, chosen, first, last)


def staged_subgrid(folder: Path, path: Path, layout: Layout, scan: Scan | None, number: int) -> Path:
    """One subgrid of a member, so that a scale at either end of it means no other.

    Raises
    ------
    PDFSetError
        If neopdf cannot interpolate it.
    """
    if min(len(layout.x[number]), len(layout.q[number])) < 4:
        raise _too_few(path, layout.q[number][0])
    staged = _fresh(folder, path)
    if scan is not None:
        return _written(staged, scan, number, 0, len(layout.q[number]))
    write_grid(staged, GridFile("Format: lhagrid1", (read_grid(path).subgrids[number],)))
    return staged


def _written(staged: Path, scan: Scan, number: int, first: int, last: int) -> Path:
    """The lines of one subgrid at some of its Q knots, as they stand in the file."""
    x_line, q_line, pid_line = scan.head[number]
    rows, width = scan.rows[number], len(scan.layout.q[number])
    kept = [b"\n".join(rows[i + first : i + last]) for i in range(0, len(rows), width)]
    head = [b"Format: lhagrid1\n---", x_line, b" ".join(q_line.split()[first:last]), pid_line]
    try:
        staged.write_bytes(b"\n".join([*head, *kept, b"---\n"]))
    except OSError as error:
        raise _no_room(error) from error
    return staged


def _too_few(path: Path, q: float) -> PDFSetError:
    return PDFSetError(f"{path}: neopdf needs 4 x and 4 Q knots around q0 = {q:g}; use --backend lhapdf")


def _fresh(folder: Path, path: Path) -> Path:
    """Name for a staged member, which may be staged again."""
    staged = folder / f"set_{path.stem.rpartition('_')[2]}.dat"
    staged.unlink(missing_ok=True)
    return staged


def _no_room(error: OSError) -> OutputError:
    where = f"{tempfile.gettempdir()}: no room for temporary files ({error.strerror})"
    return OutputError(f"{where}; set TMPDIR to a folder that can be written")


def upper_q2(layout: Layout, q0: float) -> float:
    """q0 squared; on a threshold LHAPDF means the subgrid above it, neopdf the one below."""
    q2 = float(q0) ** 2
    return float(np.nextafter(q2, np.inf)) if len(layout.holding(q0)) > 1 else q2


def forced_positive(pdfset: PDFSet, values: FloatArray) -> FloatArray:
    """Apply the key ForcePositive as LHAPDF does (``PDF::xfxQ2``); neopdf does not look at it."""
    floor = {"1": 0.0, "2": 1e-10}.get(str(pdfset.info.get("ForcePositive", 0)))
    return values if floor is None else np.where(values < floor, floor, values)
