"""Nodes in x of export grids: those of n3fit, and those that a ganpdfs runcard can name."""

from __future__ import annotations

import math

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["XGRIDS", "export_xgrid"]

XGRIDS = ("n3fit", "lhapdf", "custom", "standard")
"""Names of the x grids: that of n3fit, and those of the ganpdfs runcard."""

_STANDARD_POINTS = 200


def export_xgrid(kind: str, knots: FloatArray, n_points: int = _STANDARD_POINTS) -> FloatArray:
    """Nodes of an export grid.

    Parameters
    ----------
    kind : {"n3fit", "lhapdf", "custom", "standard"}
        ``n3fit``: the 196 nodes of its files, evenly spaced in log x + 30 x from 1e-9 to 1.
        The others are those of the key ``x_grid`` of ganpdfs: the knots of the prior; 50 logarithmic
        nodes from 1e-9 and 50 linear ones from 0.1 to 1; the same with ``n_points`` nodes in all.
    knots : float64 (n,)
        x knots of the prior at Q0, increasing. Nodes outside them are left out: nothing is extrapolated.
    n_points : int
        ``nb_xpoints`` of ganpdfs, at least 4.

    Returns
    -------
    float64 (nx,)

    Raises
    ------
    ValueError
        If the kind is not known or n_points is too small.
    """
    knots = np.asarray(knots, dtype=np.float64)
    if kind not in XGRIDS:
        raise ValueError(f"x grid: expected one of {', '.join(XGRIDS)}, got '{kind}'")
    if n_points < 4:
        raise ValueError(f"x grid: expected 4 or more points, got {n_points}")
    x = {"n3fit": _n3fit(), "lhapdf": knots, "custom": _custom(), "standard": _standard(n_points)}[kind]
    return np.asarray(x[(x >= knots[0]) & (x <= knots[-1])])


def _n3fit(n: int = 196, x_min: float = 1e-9, a: float = 30.0) -> FloatArray:
    y = np.linspace(math.log(x_min) + a * x_min, a, n)
    x = np.where(y < 0, np.exp(np.minimum(y, 0)), np.maximum(y, 1e-3) / a)
    for _ in range(50):  # Newton, in log x so that it stays positive; a dozen steps would do
        x = x * np.exp(-(np.log(x) + a * x - y) / (1 + a * x))
    x[[0, -1]] = x_min, 1.0
    return x


def _custom() -> FloatArray:
    return np.concatenate([10 ** ((16.0 * np.arange(50) - 891) / 99), 0.1 + 0.9 * np.arange(50) / 49])


def _standard(n_points: int) -> FloatArray:
    logarithmic = n_points // 2
    return np.concatenate(
        [np.logspace(-9, -1, logarithmic + 1)[:-1], np.linspace(0.1, 1, n_points - logarithmic)]
    )
