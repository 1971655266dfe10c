r"""Floats on a grid whose cells are as wide as a bound of the relative error allows.

The numbers between two powers of two are cut into cells, each with one value v such that
:math:`|x - v| \le r |x|` for all x of the cell, decided with integers. Below about a thousand cells each is as wide
as can be; above, cells of one width share a stretch of the binade, which costs less than 0.1 bits a value.
Every binade is cut alike. Zero is itself; what is smaller than the normal numbers has no relative precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.grid_float import layout
from compress_mpi.types import IntArray

__all__ = ["Cells", "cells", "relative_index", "relative_value"]

_GREEDY = 1024
"""Cells of a binade up to which each has a width of its own."""
_STRETCHES = 32, 64
"""Stretches of a binade with up to four times as many cells, and with more."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of a binade; places are fractions as integers, 0 to 2^mantissa.

    Attributes
    ----------
    start : int64 (s,)
        Of each stretch of cells of one width.
    last : int64 (s,)
        Last place of each stretch.
    width, centre : int64 (s,)
        Of the cells of a stretch, and where in a cell its value is.
    first : int64 (s,)
        Number of the first cell of each stretch.
    number : int
        Cells of a binade.
    """

    start: IntArray
    last: IntArray
    width: IntArray
    centre: IntArray
    first: IntArray
    number: int


@lru_cache(maxsize=256)
def cells(dtype: str, bound: float) -> Cells:
    """Cells of a binade of a float type for a relative error of at most ``bound``, between 0 and 1."""
    unit = 1 << layout(dtype).mantissa
    numerator, denominator = bound.as_integer_ratio()
    alike = unit // (2 * (numerator * unit // denominator) + 1)
    if alike <= _GREEDY:
        rows = _widest_cells(unit, numerator, denominator)
    else:
        stretches = _STRETCHES[alike > 4 * _GREEDY]
        rows = _stretches(unit, numerator, denominator, stretches)
    start, last, width, centre = np.array(rows, dtype=np.int64).T
    counts = (last - start) // width + 1
    return Cells(start, last, width, centre, np.cumsum(counts) - counts, int(counts.sum()))


def _widest_cells(unit: int, numerator: int, denominator: int) -> list[tuple[int, int, int, int]]:
    rows, start = [], 0
    while start < unit:
        # with the leading 1 of the mantissa: unit + place
        value = min(start + numerator * (unit + start) // denominator, unit - 1)
        last = min((unit + value) * denominator // (denominator - numerator) - unit, unit - 1)
        rows.append((start, last, last - start + 1, value - start))
        start = last + 1
    return rows


def _stretches(unit: int, numerator: int, denominator: int, number: int) -> list[tuple[int, int, int, int]]:
    rows = []
    for start in range(0, unit, unit // number):
        half = numerator * (unit + start) // denominator
        rows.append((start, start + unit // number - 1, 2 * half + 1, half))
    return rows


def relative_index(x: NDArray[Any], bound: float) -> tuple[IntArray, NDArray[np.bool_]]:
    """Signed numbers of cells, counted from the smallest normal number.

    Parameters
    ----------
    x : float (n,)
    bound : float

    Returns
    -------
    index : int64 (n,)
        0 for zero, and where apart.
    apart : bool (n,)
        Not finite, or smaller than the normal numbers and not zero.
    """
    form, table = layout(x.dtype.name), cells(x.dtype.name, bound)
    magnitude = form.magnitude(x)
    binade = magnitude >> form.mantissa
    place = magnitude & ((1 << form.mantissa) - 1)
    stretch = np.searchsorted(table.start, place, side="right") - 1
    cell = table.first[stretch] + (place - table.start[stretch]) // table.width[stretch]
    index = (binade - 1) * table.number + cell + 1
    normal = (binade > 0) & (binade < form.special)
    index[~normal] = 0
    return np.where(np.signbit(x), -index, index), ~normal & (magnitude != 0)


def relative_value(index: IntArray, bound: float, dtype: str) -> NDArray[Any]:
    """Values of indices (n,), ``dtype`` (n,); beyond the largest cell, that of the largest."""
    form, table = layout(dtype), cells(dtype, bound)
    most = (form.special - 1) * table.number
    size = np.abs(np.clip(index, -most, most))
    number = np.maximum(size - 1, 0)
    binade = number // table.number
    cell = number - binade * table.number
    stretch = np.searchsorted(table.first, cell, side="right") - 1
    place = (
        table.start[stretch] + (cell - table.first[stretch]) * table.width[stretch] + table.centre[stretch]
    )
    magnitude = ((binade + 1) << form.mantissa) | np.minimum(place, table.last[stretch])
    magnitude[size == 0] = 0
    value = magnitude.astype(form.signed).view(dtype)
    return np.where(index < 0, -value, value)
