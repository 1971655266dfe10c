"""The step at which the mean error of a column is the one asked for.

An error spread evenly over a cell of width W has a mean of W/4 and a root mean square of W/sqrt(12). Columns are not
even where a step is wide, so the figure is measured and the step corrected until it is at most the target, and no less
than 98 % of it where the data allow that: flags, constants and steps of integers may have no such figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.grid import Grid, index_of, value_of
from compress_mpi.methods.events.grid_float import FLOATS, layout
from compress_mpi.methods.events.grid_integer import WIDEST
from compress_mpi.methods.events.squares import Squares
from compress_mpi.methods.events.statistics import ColumnStatistics

__all__ = ["AIMED", "NEAR", "Measure", "ResidualSums", "aimed_grid", "find_step", "residual_sums"]

AIMED = ("mean", "rms", "published")
NEAR = 0.98
"""Share of the target that a figure reaches at least, where that is possible."""
_NEARER = 0.995
_PATIENCE = 4
_AIM = 0.998
_PASSES = 60
_WIDTH = {"mean": 4.0, "rms": math.sqrt(12.0)}


@dataclass(frozen=True, eq=False)
class ResidualSums:
    """Errors of a column, or of some rows of it.

    Attributes
    ----------
    count : int
        Finite values.
    size : float
        Sum of the absolute errors.
    squares : Squares
        Of the errors, of one column.
    """

    count: int
    size: float
    squares: Squares

    def merge(self, other: ResidualSums) -> ResidualSums:
        """Of both together; merged in block order it is the same at any number of ranks."""
        return ResidualSums(
            self.count + other.count, self.size + other.size, self.squares.merge(other.squares)
        )

    @property
    def mean(self) -> float:
        """Mean absolute error; 0 without values."""
        return self.size / max(self.count, 1)

    @property
    def rms(self) -> float:
        """Root mean square error; 0 without values."""
        return float(self.squares.root_mean(np.array([max(self.count, 1)]))[0])


Measure = Callable[[Grid], ResidualSums]
"""Errors of a whole column on a grid: :func:`residual_sums` of its blocks, merged in their order."""


def residual_sums(x: NDArray[Any], grid: Grid) -> ResidualSums:
    """Errors of values (n,) on a grid; what is apart has none."""
    index, apart = index_of(x, grid)
    finite = int(np.isfinite(x).sum())
    kept = x[~apart] if apart.any() else x
    values = value_of(index[~apart] if apart.any() else index, grid)
    # integers first as such: their difference is exact where a float64 is not
    larger = np.where(values > kept, values, kept)
    smaller = np.where(values > kept, kept, values)
    if grid.kind == "integer":
        whole = larger.astype(np.uint64) - smaller.astype(np.uint64)
        sizes = whole.astype(np.float64)
    else:
        sizes = larger.astype(np.float64) - smaller.astype(np.float64)
    return ResidualSums(finite, float(sizes.sum()), Squares.of(sizes[:, None]))


def aimed_grid(
    kind: str, value: float, statistics: ColumnStatistics, dtype: str, measure: Measure
) -> Grid | None:
    """Grid whose measured figure is at or just below what was asked for.

    Parameters
    ----------
    kind : {"mean", "rms", "published"}
    value : float
        Of the mean absolute error or the root mean square in units of the column; for ``published``, of the root
        mean square over the standard deviation.
    statistics : ColumnStatistics
        Of the whole column.
    dtype : str
    measure : callable
        Called with grids of different steps until one fits, two or three times as a rule.

    Returns
    -------
    Grid or None
        None where only a lossless grid does it: a constant for ``published``, a column without finite values.
    """
    figure = "mean" if kind == "mean" else "rms"
    target = value * statistics.std if kind == "published" else value
    # steps beyond this one make every value zero
    widest = 4.0 * min(statistics.largest, float(np.finfo(np.float64).max) / 8)
    if not (target > 0 and widest > 0):
        return None
    whole = dtype not in FLOATS
    make = _integer_grid if whole else _absolute_grid(statistics)

    def measured(step: float) -> float:
        return float(getattr(measure(make(step, dtype)), figure))

    start = min(_WIDTH[figure] * target, widest)
    step = find_step(measured, target, start, widest, whole)
    return None if step is None else make(step, dtype)


def find_step(
    measure: Callable[[float], float], target: float, start: float, widest: float, whole: bool = False
) -> float | None:
    """Widest step whose figure is at most a target; the iteration ends at ``NEAR`` of it.

    Parameters
    ----------
    measure : callable
        Figure of a step; rises with it, but for noise.
    target, start, widest : float
        Positive.
    whole : bool
        Steps are odd integers.

    Returns
    -------
    float or None
        None if no step was found whose figure is low enough.
    """
    low, high, step = (1.0 if whole else 0.0), math.inf, _snap(start, whole)
    reached = 0.0
    for number in range(_PASSES):
        figure = measure(step)
        if figure <= target:
            low, reached = step, figure
        else:
            high = step
        # every pass reads the table: the last half percent is worth a few, no more
        near = _NEARER if number < _PATIENCE else NEAR
        if reached >= near * target or low >= widest or high <= low * (1 + 1e-9):
            break
        step = _snap(_next(step, figure / target, low, high, widest), whole)
        if not low < step < high:
            break
    return low or None


def _next(step: float, ratio: float, low: float, high: float, widest: float) -> float:
    guess = _AIM * step / ratio if ratio > 0 else math.inf
    if high == math.inf:
        return min(max(guess, 1.01 * step), 64.0 * step, widest)
    if low < guess < high:
        return guess
    # a figure that jumps: halve what is between
    return math.sqrt(low) * math.sqrt(high) if low else high / 16.0


def _snap(step: float, whole: bool) -> float:
    return float(2 * min(int(step / 2.0), 2**51) + 1) if whole else step


def _integer_grid(step: float, dtype: str) -> Grid:
    odd = min(int(step), WIDEST)
    return Grid("integer", odd, dtype, odd // 2)


def _absolute_grid(statistics: ColumnStatistics) -> Callable[[float, str], Grid]:
    def make(step: float, dtype: str) -> Grid:
        # half a step, and half of the distance of neighbours for the rounding to the type
        reach = min(statistics.largest + step / 2, float(np.finfo(dtype).max))
        form = layout(dtype)
        rounding = form.spacing(form.magnitude(np.array([reach], dtype=dtype)) >> form.mantissa)[0] / 2
        return Grid("absolute", step, dtype, math.nextafter(step / 2 + float(rounding), math.inf))

    return make
