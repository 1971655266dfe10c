"""Values of a set at several scales, each member file loaded once.

Loading a member costs far more than evaluating it, and a report wants a dozen scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io import backends
from compress_mpi.io.backends import choose_backend, read_members
from compress_mpi.io.gridtypes import Layout
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.types import FloatArray

__all__ = ["ScaleGrid", "read_at_scales"]

ScaleGrid = tuple[float, FloatArray]
"""A scale in GeV and the x nodes, float64 ``(x,)``, at which the set is wanted there."""

_WHOLE = -1


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
    backends.require_neopdf(pdfset, known)
    values = [np.zeros((len(members), len(asked), x.size)) for _, x in grids]
    layouts = backends.checked(pdfset, members, grids[0][1], grids[0][0]) if grids else []
    with backends.stage(pdfset) as folder:
        for row, (member, layout) in enumerate(layouts):
            path = pdfset.member_path(member)
            loaded: dict[int, Any] = {}
            for (q, x), out in zip(grids, values, strict=True):
                backends.require_nodes(path, layout, x, q)
                if here and x.size:
                    pdf = _load(Path(folder), path, layout, q, loaded)
                    out[row, here] = _evaluate(pdf, known, x, backends.upper_q2(layout, q))
    values = [backends.forced_positive(pdfset, array) for array in values]
    for (_, x), array in zip(grids, values, strict=True):
        backends.require_finite(pdfset, members, asked, x, array)
    return values


def _load(folder: Path, path: Path, layout: Layout, q: float, loaded: dict[int, Any]) -> Any:
    """The member as neopdf takes it; a file that it cannot take whole is loaded subgrid by subgrid."""
    from neopdf.pdf import PDF

    if _WHOLE in loaded:
        return loaded[_WHOLE]
    subgrid = layout.holding(q)[-1]
    if subgrid not in loaded:
        staged = backends.staged_member(folder, path, layout, q)
        key = _WHOLE if staged.is_symlink() else subgrid
        loaded[key] = PDF.mkPDF_lhapdf_file(str(staged))
        return loaded[key]
    return loaded[subgrid]


def _evaluate(pdf: Any, pids: list[int], x: FloatArray, q2: float) -> FloatArray:
    found = np.asarray(pdf.xfxQ2s(pids, x.tolist(), [q2]), dtype=np.float64)
    return found.reshape(len(pids), x.size)
