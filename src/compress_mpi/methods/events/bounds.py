r"""What a user may ask of the error of a column, and the grid that keeps it.

========= =============================================================================
absolute  \|x - decoded\| at most the value, in units of the column
relative  \|x - decoded\| at most the value times \|x\|; integers come back exactly
range     at most the value times (max - min) of the finite values
lossless  the same bits
mean      mean \|x - decoded\| at or just below the value
rms       root mean square of x - decoded at or just below the value
published root mean square over the standard deviation, Eq. 7 of the published report
========= =============================================================================

The last three are *aimed*: the step is found by trial on the data, and half of it is the greatest error, which is
stated and kept as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from compress_mpi.methods.events.grid import DTYPES, Grid
from compress_mpi.methods.events.grid_float import FLOATS, layout
from compress_mpi.methods.events.grid_integer import WIDEST
from compress_mpi.methods.events.statistics import ColumnStatistics
from compress_mpi.methods.events.steps import absolute_grid
from compress_mpi.methods.events.targets import AIMED, Measure, aimed_grid

__all__ = ["BOUNDS", "Bound", "resolve"]

BOUNDS = ("absolute", "relative", "range", "lossless", *AIMED)


@dataclass(frozen=True)
class Bound:
    """What is asked of one column.

    Attributes
    ----------
    kind : str
        One of ``BOUNDS``.
    value : float
        0 asks for lossless; without effect for ``lossless``.

    Raises
    ------
    ValueError
        If the kind is unknown, or the value is negative, not finite, or 1 and more of a relative error.
    """

    kind: str
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in BOUNDS:
            raise ValueError(f"bound: expected one of {', '.join(BOUNDS)}, got '{self.kind}'")
        if not 0.0 <= self.value < math.inf:
            raise ValueError(f"bound '{self.kind}': expected a number from 0, got {self.value}")
        if self.kind == "relative" and self.value >= 1.0:
            raise ValueError(f"bound 'relative': expected less than 1 (1 is 100 %), got {self.value}")

    @property
    def aimed(self) -> bool:
        """Whether the grid is found by trial on the data."""
        return self.kind in AIMED


def resolve(bound: Bound, statistics: ColumnStatistics, dtype: str, measure: Measure | None = None) -> Grid:
    """The grid of a column; its ``bound`` is the greatest error.

    Parameters
    ----------
    bound : Bound
    statistics : ColumnStatistics
        Of the whole column.
    dtype : str
        NumPy name of the type of the column.
    measure : callable, optional
        For an aimed bound: errors of the whole column on a grid.

    Raises
    ------
    ValueError
        If the type has no grid, or an aimed bound comes without ``measure``.
    """
    if dtype not in DTYPES:
        raise ValueError(f"type '{dtype}': expected one of {', '.join(DTYPES)}")
    if bound.kind == "lossless" or bound.value == 0:
        return _lossless(dtype)
    if bound.aimed:
        if measure is None:
            raise ValueError(f"bound '{bound.kind}': its grid is found by trial; pass 'measure'")
        return aimed_grid(bound.kind, bound.value, statistics, dtype, measure) or _lossless(dtype)
    if bound.kind == "relative":
        return _relative(bound.value, dtype)
    greatest = Fraction(bound.value)
    if bound.kind == "range":
        greatest *= Fraction(statistics.maximum or 0) - Fraction(statistics.minimum or 0)
    if dtype not in FLOATS:
        half = min(int(greatest), WIDEST // 2)
        return Grid("integer", 2 * half + 1, dtype, half)
    at_most = _rounded_down(greatest)
    return absolute_grid(at_most, statistics.exponents, dtype) if at_most else _lossless(dtype)


def _lossless(dtype: str) -> Grid:
    return Grid("ulps" if dtype in FLOATS else "integer", 1, dtype, 0)


def _relative(bound: float, dtype: str) -> Grid:
    # below half of the relative spacing of the type no other value is near enough
    if dtype not in FLOATS or bound < 2.0 ** -(layout(dtype).mantissa + 1):
        return _lossless(dtype)
    return Grid("relative", float(bound), dtype, float(bound))


def _rounded_down(exact: Fraction) -> float:
    most = float(np.finfo(np.float64).max)
    if exact >= Fraction(most):
        return most
    rounded = float(exact)
    return rounded if Fraction(rounded) <= exact else math.nextafter(rounded, 0.0)
