"""Where a set is sampled: flavours, x nodes and the points that enter the correlation matrix."""

from __future__ import annotations

import numpy as np

from compress_mpi.types import FloatArray, IntArray

__all__ = ["GLUON", "correlation_nodes", "flavour_ids", "published_xgrid"]

GLUON = 21
"""PDG id of the gluon, which stands in the middle of the flavour axis."""


# The 25 logarithmic nodes as printed in both published codes: exponents 16/99 apart.
_LOGARITHMIC = (
    1.0974987654930569e-05, 1.5922827933410941e-05, 2.3101297000831580e-05, 3.3516026509388410e-05,
    4.8626015800653536e-05, 7.0548023107186455e-05, 1.0235310218990269e-04, 1.4849682622544667e-04,
    2.1544346900318823e-04, 3.1257158496882353e-04, 4.5348785081285824e-04, 6.5793322465756835e-04,
    9.5454845666183481e-04, 1.3848863713938717e-03, 2.0092330025650459e-03, 2.9150530628251760e-03,
    4.2292428743894986e-03, 6.1359072734131761e-03, 8.9021508544503934e-03, 1.2915496650148829e-02,
    1.8738174228603830e-02, 2.7185882427329403e-02, 3.9442060594376556e-02, 5.7223676593502207e-02,
    8.3021756813197525e-02,
)  # fmt: skip


def published_xgrid() -> FloatArray:
    """The 70 nodes of both published codes.

    Returns
    -------
    float64 (70,)
        25 logarithmic nodes from 1.1e-5 to 0.083 and 45 linear ones from 0.1 in steps of 0.9/49.
    """
    return np.concatenate([_LOGARITHMIC, np.linspace(0.1, 1.0, 50)[:45]])


def flavour_ids(nf: int) -> tuple[int, ...]:
    """PDG ids ``-nf..-1, 21, 1..nf``, the order of the flavour axis.

    Parameters
    ----------
    nf : int
        Number of quark flavours, 1 to 6.
    """
    return (*range(-nf, 0), GLUON, *range(1, nf + 1))


def correlation_nodes(n_x: int, n_flavour: int, definition: str = "paper") -> IntArray:
    """Five x positions per flavour that enter the correlation matrix.

    Parameters
    ----------
    n_x, n_flavour : int
        Lengths of the last two axes.
    definition : str
        ``paper``: floor(k n_x / 5) for k = 1..4 and the last node (:cite:`Carrazza:2015hva`, Sec. 3.2.1).
        ``pycompressor``: that code's fifth index is ``n_flavour - 1`` instead of ``n_x - 1``.

    Returns
    -------
    int64 (5,)
        Not sorted: the fifth one stands last.

    Raises
    ------
    ValueError
        If the ``pycompressor`` index does not exist on this grid.
    """
    last = n_flavour - 1 if definition == "pycompressor" else n_x - 1
    if last >= n_x:
        raise ValueError(
            f"definition 'pycompressor' puts a correlation node at index {last}, but xgrid has {n_x} nodes"
        )
    return np.array([k * n_x // 5 for k in range(1, 5)] + [last], dtype=np.int64)
