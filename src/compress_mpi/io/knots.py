"""Values of replicas on the knots of their own files, as rows of one array.

DGLAP evolution and the interpolation of a set are linear in these numbers, so that a
combination of rows with weights that sum to 1 is again a replica, at every x and Q.
``ForcePositive`` is the one thing that is not linear; it is not applied here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.backends import GLUON
from compress_mpi.io.gridfile import examine, read_grid
from compress_mpi.io.gridtypes import GridFile, Layout, Subgrid
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.types import FloatArray

__all__ = [
    "KnotLayout",
    "at_knot",
    "force_positive",
    "force_positive_warning",
    "grid_of",
    "knot_layout",
    "read_knots",
]


@dataclass(frozen=True)
class KnotLayout:
    """What the columns of an array of knot values mean.

    Subgrid by subgrid, in each x slowest, then Q, and flavour fastest, as in the files.

    Attributes
    ----------
    x, q : tuple of tuples of float
        Knots of every subgrid; Q in GeV.
    pids : tuple of int
        PDG codes as they stand in the files, where the gluon may be 0 or 21.
    path : Path
        The file that this was read from.
    """

    x: tuple[tuple[float, ...], ...]
    q: tuple[tuple[float, ...], ...]
    pids: tuple[int, ...]
    path: Path

    @functools.cached_property
    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """``(nx, nq, npid)`` of every subgrid."""
        return tuple((len(x), len(q), len(self.pids)) for x, q in zip(self.x, self.q, strict=True))

    @functools.cached_property
    def slices(self) -> tuple[slice, ...]:
        """Columns of every subgrid."""
        ends = np.cumsum([0, *map(math.prod, self.shapes)]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @property
    def size(self) -> int:
        """Values of one replica, P."""
        return self.slices[-1].stop

    @property
    def flavours(self) -> tuple[int, ...]:
        """PDG codes, gluon 21."""
        return tuple(GLUON if pid == 0 else pid for pid in self.pids)

    def subgrids(self, row: FloatArray) -> tuple[Subgrid, ...]:
        """The P values of one replica as subgrids; views where ``row`` is contiguous."""
        parts = [row[part].reshape(shape) for part, shape in zip(self.slices, self.shapes, strict=True)]
        return tuple(
            Subgrid(np.array(x), np.array(q), self.pids, part)
            for x, q, part in zip(self.x, self.q, parts, strict=True)
        )


def knot_layout(pdfset: PDFSet) -> KnotLayout:
    """Knots and flavours of replica 1, which all others have to share.

    Raises
    ------
    PDFSetError
        If the file is damaged.
    """
    path = pdfset.member_path(1)
    layout, _ = examine(path)
    return KnotLayout(layout.x, layout.q, layout.pids, path)


def read_knots(pdfset: PDFSet, members: Sequence[int], layout: KnotLayout, out: FloatArray) -> None:
    """Read members into rows.

    Parameters
    ----------
    pdfset : PDFSet
    members : sequence of int
        Numbers as in the file names.
    layout : KnotLayout
    out : float64 (len(members), layout.size)
        Filled; a slice of a shared array will do.

    Raises
    ------
    PDFSetError
        If a member is damaged, or has other knots or flavours than replica 1.
    """
    for row, member in zip(out, members, strict=True):
        path = pdfset.member_path(member)
        found, plain = examine(path)
        _require_same(path, found, layout)
        if plain is None:
            row[:] = np.concatenate([subgrid.values.ravel() for subgrid in read_grid(path).subgrids])
        else:
            for part, lines in zip(layout.slices, plain.rows, strict=True):
                # all rows were recognised as numbers, so that this cannot stop half-way
                row[part] = np.fromstring(b"\n".join(lines).decode("ascii"), sep=" ")


def _require_same(path: Path, found: Layout, layout: KnotLayout) -> None:
    advice = "combinations need the same knots and flavours in all replicas; install the set again"
    if len(found.q) != len(layout.q):
        raise PDFSetError(
            f"{path}: {len(found.q)} subgrids, but {layout.path.name} has {len(layout.q)}; {advice}"
        )
    if found.pids != layout.pids:
        raise PDFSetError(
            f"{path}: flavours {list(found.pids)}, but {layout.path.name} has {list(layout.pids)}; {advice}"
        )
    for number in range(len(layout.q)):
        for axis, one, two in (("x", found.x, layout.x), ("Q", found.q, layout.q)):
            if one[number] != two[number]:
                raise PDFSetError(
                    f"{path}: subgrid {number + 1}: its {axis} knots differ from those of {layout.path.name}; "
                    + advice
                )


def grid_of(layout: KnotLayout, row: FloatArray, header: str) -> GridFile:
    """The member file of one row.

    Parameters
    ----------
    layout : KnotLayout
    row : float64 (layout.size,)
    header : str
        Lines before the first ``---``.
    """
    return GridFile(header, layout.subgrids(row))


def at_knot(layout: KnotLayout, rows: FloatArray, q0: float) -> tuple[float, FloatArray, FloatArray]:
    """Values at the Q knot nearest to a scale, without any interpolation.

    Parameters
    ----------
    layout : KnotLayout
    rows : float64 (n, layout.size)
    q0 : float
        GeV. On a threshold, the subgrid above it is meant, as in LHAPDF.

    Returns
    -------
    q : float
        The knot, GeV.
    x : float64 (nx,)
    values : float64 (n, npid, nx)
        x f(x, q), dimensionless, in the order of ``layout.flavours``; a view.

    Raises
    ------
    PDFSetError
        If no subgrid holds q0.
    """
    chosen = [number for number, q in enumerate(layout.q) if q[0] <= q0 <= q[-1]]
    if not chosen:
        low, high = layout.q[0][0], layout.q[-1][-1]
        raise PDFSetError(
            f"{layout.path}: q0 = {q0:g} GeV is outside its knots, {low:g} to {high:g} GeV; change q0"
        )
    number = chosen[-1]
    knots = np.array(layout.q[number])
    nearest = int(np.argmin(np.abs(np.log(knots / q0))))
    block = rows[:, layout.slices[number]].reshape(len(rows), *layout.shapes[number])
    return float(knots[nearest]), np.array(layout.x[number]), np.moveaxis(block[:, :, nearest], 1, 2)


def force_positive(pdfset: PDFSet) -> int:
    """The key ``ForcePositive`` of a set: 0 none, 1 negative values read as 0, 2 as 1e-10.

    Raises
    ------
    PDFSetError
        If it says something else.
    """
    value = pdfset.info.get("ForcePositive", 0)
    if value not in (0, 1, 2):
        raise PDFSetError(f"{pdfset.info_path}: ForcePositive: expected 0, 1 or 2, got {value!r}")
    return int(value)


def force_positive_warning(pdfset: PDFSet) -> str | None:
    """What has to be said about combinations of a set whose reader changes negative values; None if nothing."""
    kind = force_positive(pdfset)
    if not kind:
        return None
    return (
        f"{pdfset.name}: ForcePositive: {kind}: a reader of the set replaces negative values, which is not "
        "linear; replicas are combined from the numbers in the files, so that where some are negative a "
        "combination read back differs from the same combination of values read"
    )
