"""Values of the members of a set, through ``lhapdf`` or ``neopdf``.

Every file is checked before a library sees it: neopdf 0.4 ends the whole process when
a member or the ``.info`` file is not what it expects, and both give numbers, not
errors, for what lies outside the grid.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.gridfile import check_complete, read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Layout
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.types import FloatArray

__all__ = [
    "BACKENDS",
    "checked",
    "choose_backend",
    "forced_positive",
    "knots",
    "read_members",
    "require_finite",
    "require_neopdf",
    "require_nodes",
    "require_scale",
    "stage",
    "staged_member",
    "upper_q2",
]

BACKENDS = ("auto", "lhapdf", "neopdf")
GLUON = 21

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

Checked = list[tuple[int, Layout]]


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
    layout = check_complete(pdfset.member_path(1))
    chosen = range(len(layout.x)) if q0 is None else _subgrids_at(pdfset.member_path(1), layout, q0)
    return np.unique(np.concatenate([layout.x[i] for i in chosen]))


def require_scale(pdfset: PDFSet, q0: float) -> None:
    """Refuse a scale outside the set.

    Parameters
    ----------
    pdfset : PDFSet
    q0 : float
        GeV.

    Raises
    ------
    PDFSetError
        If q0 is outside [QMin, QMax] or outside the knots of replica 1, which some sets
        round generously.
    """
    if not pdfset.q_min <= q0 <= pdfset.q_max:
        known = f"the set covers {pdfset.q_min:g} to {pdfset.q_max:g} GeV (QMin, QMax)"
        raise PDFSetError(f"{pdfset.info_path}: q0 = {q0:g} GeV is out of range, {known}; change q0")
    knots(pdfset, q0)


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
    layouts = checked(pdfset, members, nodes, q0)
    values = np.zeros((len(members), len(asked), nodes.size))
    here = [i for i, pid in enumerate(asked) if pid in pdfset.flavours]
    if members and here and nodes.size:
        values[:, here] = reader(pdfset, layouts, [asked[i] for i in here], nodes, q0)
        require_finite(pdfset, members, asked, nodes, values)
    return values


def checked(pdfset: PDFSet, members: Sequence[int], x: FloatArray, q0: float) -> Checked:
    """Layout of each member, after making sure that all is well with the files."""
    if not members:
        return []
    # Whole subgrids missing at the end of a file show only beside another member.
    first = check_complete(pdfset.member_path(1))
    layouts: Checked = []
    for member in members:
        path = pdfset.member_path(member)
        layout = first if member == 1 else check_complete(path)
        _require_like(pdfset, path, layout, first)
        require_nodes(path, layout, x, q0)
        layouts.append((member, layout))
    return layouts


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


def _read_lhapdf(pdfset: PDFSet, layouts: Checked, pids: list[int], x: FloatArray, q0: float) -> FloatArray:
    import lhapdf

    lhapdf.setVerbosity(0)
    lhapdf.pathsPrepend(str(pdfset.path.parent))
    values = np.empty((len(layouts), len(pids), x.size))
    nodes, q2 = x.tolist(), float(q0) ** 2
    for row, (member, _) in enumerate(layouts):
        try:
            pdf = lhapdf.mkPDF(pdfset.name, member)
            values[row] = [[pdf.xfxQ2(pid, node, q2) for node in nodes] for pid in pids]
        except RuntimeError as error:  # every C++ exception arrives as this
            raise PDFSetError(f"{pdfset.member_path(member)}: LHAPDF says: {error}") from error
    return values


def _read_neopdf(pdfset: PDFSet, layouts: Checked, pids: list[int], x: FloatArray, q0: float) -> FloatArray:
    from neopdf.pdf import PDF

    require_neopdf(pdfset, pids)
    values = np.empty((len(layouts), len(pids), x.size))
    nodes = x.tolist()
    with stage(pdfset) as folder:
        for row, (member, layout) in enumerate(layouts):
            staged = staged_member(Path(folder), pdfset.member_path(member), layout, q0)
            pdf = PDF.mkPDF_lhapdf_file(str(staged))
            grid = np.asarray(pdf.xfxQ2s(pids, nodes, [upper_q2(layout, q0)]), dtype=np.float64)
            values[row] = grid.reshape(len(pids), x.size)
    return forced_positive(pdfset, values)


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
        where = f"{tempfile.gettempdir()}: no room for temporary files ({error.strerror})"
        raise OutputError(f"{where}; set TMPDIR to a folder that can be written") from error
    return folder


def staged_member(folder: Path, path: Path, layout: Layout, q0: float) -> Path:
    """The member as neopdf can take it: the file itself, or else the one subgrid that counts."""
    staged = folder / f"set_{path.stem.rpartition('_')[2]}.dat"
    staged.unlink(missing_ok=True)  # a member may be asked for twice
    chosen = layout.holding(q0)[-1]
    small = [i for i, (x, q) in enumerate(zip(layout.x, layout.q, strict=True)) if min(len(x), len(q)) < 4]
    if chosen in small:
        raise PDFSetError(f"{path}: neopdf needs 4 x and 4 Q knots around q0 = {q0:g}; use --backend lhapdf")
    if layout.regular and not small:
        os.symlink(path.absolute(), staged)
    else:
        write_grid(staged, GridFile("Format: lhagrid1", (read_grid(path).subgrids[chosen],)))
    return staged


def upper_q2(layout: Layout, q0: float) -> float:
    """q0 squared; on a threshold LHAPDF means the subgrid above it, neopdf the one below."""
    q2 = float(q0) ** 2
    return float(np.nextafter(q2, np.inf)) if len(layout.holding(q0)) > 1 else q2


def forced_positive(pdfset: PDFSet, values: FloatArray) -> FloatArray:
    """Apply the key ForcePositive as LHAPDF does (``PDF::xfxQ2``); neopdf does not look at it."""
    floor = {"1": 0.0, "2": 1e-10}.get(str(pdfset.info.get("ForcePositive", 0)))
    return values if floor is None else np.where(values < floor, floor, values)
