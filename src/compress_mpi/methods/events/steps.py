r"""The step of an absolute grid that costs least at a given bound.

Twice the bound is the obvious step, and best where the type of the column is fine enough. But values are floats of
the column's own type: with neighbours u apart, an error is a multiple of u, so with m = floor(bound / u) every step up
to (2 m + 1) u keeps it within m u, and a larger step s breaks it for a share 1 - (2 m + 1) u / s of the values, which
are then stored apart. u depends on the exponent of the value, and how often each occurs is known. Where the bound is
finer than most of the values are themselves, their bits are the better integers.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.events.grid import Grid
from compress_mpi.methods.events.grid_float import MOST, layout
from compress_mpi.types import FloatArray, IntArray

__all__ = ["absolute_grid"]

_PLACE = 16
"""Bits that the place of a value apart costs, about."""


def absolute_grid(bound: float, exponents: IntArray, dtype: str) -> Grid:
    """Grid of a float column with errors of at most ``bound``.

    Parameters
    ----------
    bound : float
        Positive, finite.
    exponents : int64 (e,)
        How often each exponent field occurs in the column.
    dtype : str

    Returns
    -------
    Grid
        ``absolute``, or ``ulps`` where that costs less.
    """
    form = layout(dtype)
    plain = min(2.0 * bound, float(np.finfo(np.float64).max))
    occurring = np.flatnonzero(exponents)
    if not len(occurring):
        return Grid("absolute", plain, dtype, bound)
    share = exponents[occurring] / exponents.sum()
    spacing = form.spacing(occurring)
    safe = _safe_steps(bound, spacing, plain)
    steps = np.unique(np.append(safe, plain))
    with np.errstate(over="ignore"):
        apart = np.maximum(0.0, 1.0 - safe[:, None] / steps)
    inside = _values_below(spacing, form.mantissa, steps)
    apart[~inside] = 1.0
    digits = form.mantissa + np.log2(spacing)[:, None] - np.log2(steps)
    cost = share @ (np.maximum(digits, 0.0) * inside + (form.bits + _PLACE) * apart)
    best = int(np.argmin(cost))
    # the bits within a binade; which binade it is costs the same either way
    if form.mantissa < cost[best]:
        return Grid("ulps", 1, dtype, 0)
    return Grid("absolute", float(steps[best]), dtype, bound)


def _safe_steps(bound: float, spacing: FloatArray, plain: float) -> FloatArray:
    """Largest step (e,) that breaks the bound for no value of each spacing (e,)."""
    with np.errstate(over="ignore"):
        ratio = bound / spacing
    coarse = ratio < MOST / 4
    whole = np.floor(np.where(coarse, ratio, 0.0))
    return np.where(coarse, (2.0 * whole + 1.0) * spacing, plain)


def _values_below(spacing: FloatArray, mantissa: int, steps: FloatArray) -> np.ndarray:
    """Whether all values of a spacing (e,) have an index at a step (s,), bool (e, s)."""
    logarithms = np.log2(spacing) + mantissa + 1
    return np.asarray(logarithms[:, None] - np.log2(steps) < np.log2(MOST))
