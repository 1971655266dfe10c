"""Values of the members of a set, through ``lhapdf`` or ``neopdf``.

Every file is checked before a library sees it: neopdf 0.4 ends the whole process when
a member or the ``.info`` file is not what it expects, and both give numbers, not
errors, for what lies outside the grid.
"""

from __future__ import annotations

import collections
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.gridfile import check_complete, examine
from compress_mpi.io.gridscan import Scan
from compress_mpi.io.gridtypes import Layout
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.staging import forced_positive, require_neopdf, stage, staged_piece, upper_q2
from compress_mpi.types import FloatArray

__all__ = [
    "BACKENDS",
    "Checked",
    "checked",
    "choose_backend",
    "knots",
    "knots_of",
    "lhapdf_opener",
    "read_members",
    "require_finite",
    "require_nodes",
    "require_scale",
]

BACKENDS = ("auto", "lhapdf", "neopdf")
GLUON = 21


@dataclass(frozen=True, eq=False)
class Checked:
    """A member file in which all is well.

    Attributes
    ----------
    member : int
    path : Path
    layout : Layout
    scan : Scan or None
        Its lines, where it is a plain file.
    """

    member: int
    path: Path
    layout: Layout
    scan: Scan | None


def choose_backend(backend: str) -> str:
    """The library that will read the set.

    Parameters
    ----------
    backend : {"auto", "lhapdf", "neopdf"}
        ``auto`` takes LHAPDF where it can be imported.

    Returns
    -------
    str
        "lhapdf" or "neopdf".

    Raises
    ------
    PDFSetError
        If the library asked for is not there, or the name is not known.
    """
    if backend not in BACKENDS:
        raise PDFSetError(f"backend '{backend}' is not known; choose one of {', '.join(BACKENDS)}")
    if backend == "auto":
        backend = "lhapdf" if _importable("lhapdf") else "neopdf"
    if not _importable(backend):
        advice = "conda install -c conda-forge lhapdf" if backend == "lhapdf" else "pip install neopdf-hep"
        raise PDFSetError(f"backend '{backend}' cannot be imported; install it ({advice}) or choose another")
    return backend


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # a module put into sys.modules by hand has no spec
        return True


def knots(pdfset: PDFSet, q0: float | None = None) -> FloatArray:
    """The set's own x knots, those of replica 1.

    Parameters
    ----------
    pdfset : PDFSet
    q0 : float, optional
        GeV; only subgrids whose Q range contains it. All of them by default.

    Returns
    -------
    float64 (nx,)
        Increasing, each knot once.

    Raises
    ------
    PDFSetError
        If the file is damaged or no subgrid contains ``q0``.
    """
    return knots_of(pdfset, check_complete(pdfset.member_path(1)), q0)


def knots_of(pdfset: PDFSet, layout: Layout, q0: float | None = None) -> FloatArray:
    """As `knots`, for a layout that is known already."""
    chosen = range(len(layout.x)) if q0 is None else _subgrids_at(pdfset.member_path(1), layout, q0)
    return np.unique(np.concatenate([layout.x[i] for i in chosen]))


def require_scale(pdfset: PDFSet, q0: float, layout: Layout | None = None) -> None:
    """Refuse a scale outside the set.

    Parameters
    ----------
    pdfset : PDFSet
    q0 : float
        GeV.
    layout : Layout, optional
        Of replica 1; read from its file by default.

    Raises
    ------
    PDFSetError
        If q0 is outside [QMin, QMax] or outside the knots of replica 1, which some sets
        round generously.
    """
    if not pdfset.q_min <= q0 <= pdfset.q_max:
        known = f"the set covers {pdfset.q_min:g} to {pdfset.q_max:g} GeV (QMin, QMax)"
        raise PDFSetError(f"{pdfset.info_path}: q0 = {q0:g} GeV is out of range, {known}; change q0")
    knots_of(pdfset, layout or check_complete(pdfset.member_path(1)), q0)


def _subgrids_at(path: Path, layout: Layout, q0: float) -> list[int]:
    chosen = layout.holding(q0)
    if not chosen:
        low, high = layout.q[0][0], layout.q[-1][-1]
        raise PDFSetError(f"{path}: q0 = {q0:g} GeV is outside its knots, {low:g} to {high:g} GeV; change q0")
    return chosen


def read_members(
    pdfset: PDFSet,
    members: Sequence[int],
    pids: Sequence[int],
    x: FloatArray,
    q0: float,
    backend: str = "auto",
) -> FloatArray:
    """Values of some members on one (flavour, x) grid.

    Parameters
    ----------
    pdfset : PDFSet
    members : sequence of int
        Numbers as in the file names; 0 is the average.
    pids : sequence of int
        PDG codes; 0 and 21 both mean the gluon. One that the set lacks gives zeros.
    x : float64 (nx,)
        Nodes inside the x range of the set's knots.
    q0 : float
        GeV.
    backend : {"auto", "lhapdf", "neopdf"}

    Returns
    -------
    float64 (len(members), len(pids), nx)
        x f(x, q0), dimensionless.

    Raises
    ------
    PDFSetError
        If a member is damaged or differs from replica 1 in flavours or subgrids, a node or
        q0 is outside the knots, or a value is NaN or infinite.
    """
    reader = {"lhapdf": _read_lhapdf, "neopdf": _read_neopdf}[choose_backend(backend)]
    asked = [GLUON if pid == 0 else int(pid) for pid in pids]
    nodes = np.ascontiguousarray(x, dtype=np.float64)
    files = checked(pdfset, members, [(q0, nodes)])
    values = np.zeros((len(members), len(asked), nodes.size))
    here = [i for i, pid in enumerate(asked) if pid in pdfset.flavours]
    if members and here and nodes.size:
        values[:, here] = reader(pdfset, files, len(members), [asked[i] for i in here], nodes, q0)
        require_finite(pdfset, members, asked, nodes, values)
    else:
        collections.deque(files, maxlen=0)  # nothing is wanted, but all is looked at
    return values


def checked(
    pdfset: PDFSet, members: Sequence[int], grids: Sequence[tuple[float, FloatArray]]
) -> Iterator[Checked]:
    """The members one by one, each after making sure that all is well with its file.

    Parameters
    ----------
    pdfset : PDFSet
    members : sequence of int
    grids : sequence of (float, float64 (x,))
        Scales in GeV and the nodes wanted there.
    """
    # Whole subgrids missing at the end of a file show only beside another member.
    first = check_complete(pdfset.member_path(1)) if members else None
    for member in members:
        path = pdfset.member_path(member)
        layout, scan = examine(path)
        if first is not None:
            _require_like(pdfset, path, layout, first)
        for q0, x in grids:
            require_nodes(path, layout, x, q0)
        yield Checked(member, path, layout, scan)


def _require_like(pdfset: PDFSet, path: Path, layout: Layout, first: Layout) -> None:
    found, expected = len(layout.q), len(first.q)
    if found != expected:
        raise PDFSetError(
            f"{path}: {found} subgrids, replica 1 has {expected}; truncated? install the set again"
        )
    if layout.pids != first.pids:
        raise PDFSetError(f"{path}: flavours {list(layout.pids)}, replica 1 has {list(first.pids)}")
    # A gluon may be called 0 in either place.
    declared, inside = set(pdfset.flavours), {GLUON if pid == 0 else pid for pid in layout.pids}
    if declared != inside:
        info = f"'Flavors' of {pdfset.info_path} lists {sorted(declared)}"
        raise PDFSetError(f"{path}: flavours {sorted(inside)}, but {info}; install the set again")


def require_nodes(path: Path, layout: Layout, x: FloatArray, q0: float) -> None:
    """Refuse nodes outside the knots: neopdf gives zeros there, LHAPDF extrapolates."""
    for number in _subgrids_at(path, layout, q0):
        low, high = layout.x[number][0], layout.x[number][-1]
        outside = x[~((x >= low) & (x <= high))]
        if outside.size:
            shown = ", ".join(f"{node:g}" for node in outside[:5]) + (", ..." if outside.size > 5 else "")
            knots_are = f"its knots reach from {low:g} to {high:g} at q0 = {q0:g} GeV"
            raise PDFSetError(f"{path}: x = {shown} outside the grid, {knots_are}; change xgrid")


def require_finite(
    pdfset: PDFSet, members: Sequence[int], pids: Sequence[int], x: FloatArray, values: FloatArray
) -> None:
    """Refuse NaN and infinite values, naming member, flavour and x."""
    finite = np.isfinite(values)
    if not finite.all():
        i, j, k = np.argwhere(~finite)[0]
        where = f"{pdfset.member_path(members[i])}: member {members[i]}, flavour {pids[j]}, x = {x[k]:g}"
        raise PDFSetError(f"{where}: the value is {values[i, j, k]}; install the set again")


def lhapdf_opener(pdfset: PDFSet) -> Callable[[Checked], Any]:
    """What gives LHAPDF's own object of a member; it raises a PDFSetError where LHAPDF refuses it."""
    import lhapdf

    lhapdf.setVerbosity(0)
    lhapdf.pathsPrepend(str(pdfset.path.parent))

    def opened(file: Checked) -> Any:
        try:
            return lhapdf.mkPDF(pdfset.name, file.member)
        except RuntimeError as error:  # every C++ exception arrives as this
            raise PDFSetError(f"{file.path}: LHAPDF says: {error}") from error

    return opened


def _read_lhapdf(
    pdfset: PDFSet, files: Iterator[Checked], count: int, pids: list[int], x: FloatArray, q0: float
) -> FloatArray:
    opened = lhapdf_opener(pdfset)
    values = np.empty((count, len(pids), x.size))
    nodes, q2 = x.tolist(), float(q0) ** 2
    for row, file in enumerate(files):
        pdf = opened(file)
        try:
            values[row] = [[pdf.xfxQ2(pid, node, q2) for node in nodes] for pid in pids]
        except RuntimeError as error:
            raise PDFSetError(f"{file.path}: LHAPDF says: {error}") from error
    return values


def _read_neopdf(
    pdfset: PDFSet, files: Iterator[Checked], count: int, pids: list[int], x: FloatArray, q0: float
) -> FloatArray:
    from neopdf.pdf import PDF

    require_neopdf(pdfset, pids)
    values = np.empty((count, len(pids), x.size))
    nodes = x.tolist()
    with stage(pdfset) as folder:
        for row, file in enumerate(files):
            staged = staged_piece(Path(folder), file.path, file.layout, file.scan, q0)
            pdf = PDF.mkPDF_lhapdf_file(str(staged))
            grid = np.asarray(pdf.xfxQ2s(pids, nodes, [upper_q2(file.layout, q0)]), dtype=np.float64)
            values[row] = grid.reshape(len(pids), x.size)
    return forced_positive(pdfset, values)
