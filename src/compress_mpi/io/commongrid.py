"""Members of a set on the knots of another grid, and files made of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io.backends import GLUON, Checked, checked, choose_backend, lhapdf_opener, require_finite
from compress_mpi.io.gridfile import read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Layout, Subgrid
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.staging import forced_positive, require_neopdf, stage, staged_subgrid
from compress_mpi.types import FloatArray

__all__ = ["DIGITS", "CommonGrid", "read_on_grid", "write_member"]

DIGITS = 10
"""Significant digits of the files; a value of a published file, which has fewer, stays the same number."""


_Interpolator = Callable[[Checked, int, Sequence[float]], FloatArray]


@dataclass(frozen=True)
class CommonGrid:
    """Knots in x, the same in every subgrid, and in Q; flavours.

    Attributes
    ----------
    x : tuple of float
    q : tuple of tuples of float
        GeV, by subgrid.
    pids : tuple of int
        PDG codes, gluon 21.
    """

    x: tuple[float, ...]
    q: tuple[tuple[float, ...], ...]
    pids: tuple[int, ...]

    @property
    def size(self) -> int:
        """Values of one member."""
        return len(self.x) * sum(map(len, self.q)) * len(self.pids)

    @property
    def layout(self) -> Layout:
        """The same as the layout of a member file."""
        return Layout((self.x,) * len(self.q), self.q, self.pids)

    def subgrids(self, values: FloatArray) -> tuple[Subgrid, ...]:
        """Flat values of one member as subgrids."""
        x, start, found = np.array(self.x), 0, []
        for q in self.q:
            shape = (len(self.x), len(q), len(self.pids))
            part = values[start : start + math.prod(shape)].reshape(shape)
            found.append(Subgrid(x, np.array(q), self.pids, part))
            start += part.size
        return tuple(found)


def read_on_grid(pdfset: PDFSet, members: Sequence[int], grid: CommonGrid, backend: str) -> FloatArray:
    """Members of a set on every knot of a grid.

    Parameters
    ----------
    pdfset : PDFSet
    members : sequence of int
        Numbers as in the file names.
    grid : CommonGrid
        Inside the knots of the set; no threshold of the set inside a subgrid.
    backend : {"auto", "lhapdf", "neopdf"}
        What interpolates; where the set has the same knots, its values are taken as they stand.

    Returns
    -------
    float64 (len(members), grid.size)
        x f(x, Q), dimensionless; in each subgrid x slowest and flavour fastest.

    Raises
    ------
    PDFSetError
        If a member is damaged, or the library cannot read it.
    """
    values = np.empty((len(members), grid.size))
    edges = [(q, np.array([grid.x[0], grid.x[-1]])) for q in (grid.q[0][0], grid.q[-1][-1])]
    with _interpolator(pdfset, grid, choose_backend(backend)) as interpolate:
        for row, file in enumerate(checked(pdfset, members, edges)):
            values[row] = np.concatenate([part.ravel() for part in _parts(file, grid, interpolate)])
    values = forced_positive(pdfset, values)
    _require_finite(pdfset, members, grid, values)
    return values


def _parts(file: Checked, grid: CommonGrid, interpolate: _Interpolator) -> Iterator[FloatArray]:
    own: tuple[Subgrid, ...] = ()
    for q in grid.q:
        number = _subgrid_of(file.layout, q)
        if file.layout.x[number] == grid.x and file.layout.q[number] == q:
            own = own or read_grid(file.path).subgrids
            yield _columns(own[number], grid.pids)
        else:
            yield interpolate(file, number, q)


def _subgrid_of(layout: Layout, q: Sequence[float]) -> int:
    return layout.holding(math.sqrt(q[0] * q[-1]))[-1]


def _columns(subgrid: Subgrid, pids: Sequence[int]) -> FloatArray:
    own = [GLUON if pid == 0 else pid for pid in subgrid.pids]
    return subgrid.values[:, :, [own.index(pid) for pid in pids]]


def _inside(layout: Layout, number: int, q: Sequence[float]) -> list[float]:
    """Q knots, put onto the end of the set's subgrid where rounding has them beside it."""
    low, high = layout.q[number][0], layout.q[number][-1]
    return [min(max(knot, low), high) for knot in q]


@contextlib.contextmanager
def _interpolator(pdfset: PDFSet, grid: CommonGrid, library: str) -> Iterator[_Interpolator]:
    """What gives float64 ``(x, q, pid)`` of a member, the number of its subgrid, and Q knots."""
    if library == "lhapdf":
        yield _by_lhapdf(lhapdf_opener(pdfset), grid)
    else:
        require_neopdf(pdfset, list(grid.pids))
        with stage(pdfset) as folder:
            yield _by_neopdf(Path(folder), grid)


def _by_neopdf(folder: Path, grid: CommonGrid) -> _Interpolator:
    from neopdf.pdf import PDF

    def interpolate(file: Checked, number: int, q: Sequence[float]) -> FloatArray:
        pdf = PDF.mkPDF_lhapdf_file(str(staged_subgrid(folder, file.path, file.layout, file.scan, number)))
        q2 = [knot * knot for knot in _inside(file.layout, number, q)]
        found = np.asarray(pdf.xfxQ2s(list(grid.pids), list(grid.x), q2), dtype=np.float64)
        return np.moveaxis(found.reshape(len(grid.pids), len(grid.x), len(q)), 0, -1)

    return interpolate


def _by_lhapdf(opened: Callable[[Checked], Any], grid: CommonGrid) -> _Interpolator:
    def interpolate(file: Checked, number: int, q: Sequence[float]) -> FloatArray:
        pdf, knots = opened(file), _inside(file.layout, number, q)
        q2 = [knot * knot for knot in knots]
        # at a threshold LHAPDF means the subgrid above it
        if number + 1 < len(file.layout.q) and knots[-1] == file.layout.q[number][-1]:
            q2[-1] = float(np.nextafter(q2[-1], 0.0))
        return np.array([[[pdf.xfxQ2(pid, x, at) for pid in grid.pids] for at in q2] for x in grid.x])

    return interpolate


def _require_finite(pdfset: PDFSet, members: Sequence[int], grid: CommonGrid, values: FloatArray) -> None:
    if not np.isfinite(values).all():
        for subgrid in zip(*(grid.subgrids(row) for row in values), strict=True):
            block = np.stack([np.moveaxis(one.values, -1, 0) for one in subgrid])
            for k in range(block.shape[-1]):
                require_finite(pdfset, members, grid.pids, subgrid[0].x, block[..., k])


def write_member(path: Path, grid: CommonGrid, values: FloatArray, header: str) -> None:
    """Write one member file.

    Parameters
    ----------
    path : Path
    grid : CommonGrid
    values : float64 (grid.size,)
    header : str
        Lines ``Key: value`` beside those of the format.

    Raises
    ------
    PDFSetError, OutputError
        As `write_grid`.
    """
    text = f"{header}\nFormat: lhagrid1"
    write_grid(path, GridFile(text, grid.subgrids(values)), DIGITS)
