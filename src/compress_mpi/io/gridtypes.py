"""What one member file of an LHAPDF set holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["GridFile", "Layout", "Subgrid"]


@dataclass(frozen=True)
class Layout:
    """Knots and flavours of one member file.

    Attributes
    ----------
    x, q : tuple of tuples of float
        Knots of every subgrid; Q in GeV.
    pids : tuple of int
        PDG codes, the same in every subgrid.
    regular : bool
        Whether every reader of the format takes this text as it is: comments,
        Windows line ends and the like are allowed by LHAPDF but not by all.
    """

    x: tuple[tuple[float, ...], ...]
    q: tuple[tuple[float, ...], ...]
    pids: tuple[int, ...]
    regular: bool = True

    def holding(self, q0: float) -> list[int]:
        """Numbers of the subgrids whose Q range contains ``q0`` (GeV)."""
        return [i for i, q in enumerate(self.q) if q[0] <= q0 <= q[-1]]


@dataclass(frozen=True, eq=False)
class Subgrid:
    """One rectangle of knots.

    Attributes
    ----------
    x, q : float64 (nx,), (nq,)
        Knots, strictly increasing; Q in GeV.
    pids : tuple of int
        PDG codes of the columns.
    values : float64 (nx, nq, npid)
        x f(x, Q), dimensionless.
    """

    x: FloatArray
    q: FloatArray
    pids: tuple[int, ...]
    values: FloatArray

    def same_knots(self, other: Subgrid) -> bool:
        """Whether flavours and knots are those of ``other``, to the last bit."""
        knots = np.array_equal(self.x, other.x) and np.array_equal(self.q, other.q)
        return self.pids == other.pids and knots


@dataclass(frozen=True, eq=False)
class GridFile:
    """One member.

    Attributes
    ----------
    header : str
        The text before the first ``---``, without its last line end.
    subgrids : tuple of Subgrid
    """

    header: str
    subgrids: tuple[Subgrid, ...]
