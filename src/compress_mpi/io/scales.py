"""Values of a set at several scales, each member file loaded once.

Loading a member costs far more than evaluating it, and a report wants a dozen scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io import backends
from compress_mpi.io.backends import Checked, choose_backend, read_members
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.staging import (
    forced_positive,
    require_neopdf,
    stage,
    staged_member,
    staged_piece,
    upper_q2,
)
from compress_mpi.types import FloatArray

__all__ = ["ScaleGrid", "read_at_scales"]

ScaleGrid = tuple[float, FloatArray]
"""A scale in GeV and the x nodes, float64 ``(x,)``, at which the set is wanted there."""

_WHOLE = -1
_FEW = 2
"""Scales at which parsing a piece for each is quicker than parsing the whole file."""


def read_at_scales(
    pdfset: PDFSet,
    members: Sequence[int],
    pids: Sequence[int],
    grids: Sequence[ScaleGrid],
    backend: str = "auto",
) -> list[FloatArray]:
    """Values of some members on a grid of (flavour, x) at every scale.

    Parameters
    ----------
    pdfset : PDFSet
    members : sequence of int
        Numbers as in the file names.
    pids : sequence of int
        PDG codes; one that the set lacks gives zeros.
    grids : sequence of (float, float64 (x,))
        Scales in GeV and nodes inside the knots.
    backend : {"auto", "lhapdf", "neopdf"}

    Returns
    -------
    list of float64 (len(members), len(pids), x)
        One array per scale, x f(x, Q), equal to what ``read_members`` gives there.

    Raises
    ------
    PDFSetError
        As ``read_members``.
    """
    nodes = [(float(q), np.ascontiguousarray(x, dtype=np.float64)) for q, x in grids]
    if choose_backend(backend) != "neopdf" or not members:
        return [read_members(pdfset, members, pids, x, q, backend) for q, x in nodes]
    return _read_neopdf(pdfset, members, pids, nodes)


def _read_neopdf(
    pdfset: PDFSet, members: Sequence[int], pids: Sequence[int], grids: Sequence[ScaleGrid]
) -> list[FloatArray]:
    asked = [backends.GLUON if pid == 0 else int(pid) for pid in pids]
    here = [i for i, pid in enumerate(asked) if pid in pdfset.flavours]
    known = [asked[i] for i in here]
    require_neopdf(pdfset, known)
    values = [np.zeros((len(members), len(asked), x.size)) for _, x in grids]
    with stage(pdfset) as folder:
        for row, file in enumerate(backends.checked(pdfset, members, grids)):
            loaded: dict[int, Any] = {}
            for (q, x), out in zip(grids, values, strict=True):
                if here and x.size:
                    pdf = _load(Path(folder), file, q, loaded, len(grids))
                    out[row, here] = _evaluate(pdf, known, x, upper_q2(file.layout, q))
    values = [forced_positive(pdfset, array) for array in values]
    for (_, x), array in zip(grids, values, strict=True):
        backends.require_finite(pdfset, members, asked, x, array)
    return values


def _load(folder: Path, file: Checked, q: float, loaded: dict[int, Any], n_scales: int) -> Any:
    """The member as neopdf takes it: whole, subgrid by subgrid where it cannot, or in pieces where few will do."""
    from neopdf.pdf import PDF

    if n_scales <= _FEW:
        staged = staged_piece(folder, file.path, file.layout, file.scan, q)
        return PDF.mkPDF_lhapdf_file(str(staged))
    if _WHOLE in loaded:
        return loaded[_WHOLE]
    subgrid = file.layout.holding(q)[-1]
    if subgrid not in loaded:
        staged = staged_member(folder, file.path, file.layout, q)
        key = _WHOLE if staged.is_symlink() else subgrid
        loaded[key] = PDF.mkPDF_lhapdf_file(str(staged))
        return loaded[key]
    return loaded[subgrid]


def _evaluate(pdf: Any, pids: list[int], x: FloatArray, q2: float) -> FloatArray:
    found = np.asarray(pdf.xfxQ2s(pids, x.tolist(), [q2]), dtype=np.float64)
    return found.reshape(len(pids), x.size)
