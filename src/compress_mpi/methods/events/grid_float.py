"""Floats on a grid of equal steps, and floats as integers of their bits.

Only float64 products, roundings to nearest and integer operations: the same bits on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "FLOATS",
    "MOST",
    "Layout",
    "absolute_index",
    "absolute_value",
    "bits_index",
    "bits_value",
    "layout",
    "within",
]

FLOATS = ("float16", "float32", "float64")
MOST = 2**52
"""Indices of an absolute grid are smaller: a float64 has them all, and their neighbours."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """Where the bits of a float type are.

    Attributes
    ----------
    bits, mantissa : int
        Of the whole number, and of its fraction.
    special : int
        Exponent field of infinities and NaN.
    signed : numpy.dtype
        Integers of the same width.
    """

    bits: int
    mantissa: int
    special: int
    signed: np.dtype[Any]

    def spacing(self, exponents: IntArray) -> FloatArray:
        """Distance of neighbours by exponent field (n,), float64 (n,), exact."""
        bias = self.special // 2
        return np.asarray(np.ldexp(1.0, np.maximum(exponents, 1) - bias - self.mantissa))

    def magnitude(self, x: NDArray[Any]) -> IntArray:
        """Bits of \\|x\\| (n,), int64 (n,); they rise with it."""
        return np.asarray((x.view(self.signed) & np.iinfo(self.signed).max).astype(np.int64))


@lru_cache
def layout(dtype: str) -> Layout:
    """Layout of one of ``FLOATS``."""
    info = np.finfo(dtype)
    return Layout(
        info.bits, info.nmant, 2 ** (info.bits - info.nmant - 1) - 1, np.dtype(f"i{info.bits // 8}")
    )


def absolute_index(x: NDArray[Any], step: float, bound: float) -> tuple[IntArray, BoolArray]:
    """Nearest multiples of a step.

    Parameters
    ----------
    x : float (n,)
    step : float
    bound : float
        Greatest error of what the index decodes to.

    Returns
    -------
    index : int64 (n,)
        0 where apart.
    apart : bool (n,)
        Not finite, out of range, or no index decodes to a value within the bound.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        multiple = np.rint(x.astype(np.float64, copy=False) / step)
        inside = np.abs(multiple) < MOST
        good = inside & within(x, (multiple * step).astype(x.dtype), bound)
    if good.all():
        return multiple.astype(np.int64), ~good
    index = np.where(inside, multiple, 0.0).astype(np.int64)
    _try_neighbours(x, index, good, np.flatnonzero(inside & ~good), step, bound)
    index[~good] = 0
    return index, ~good


def _try_neighbours(
    x: NDArray[Any], index: IntArray, good: BoolArray, places: IntArray, step: float, bound: float
) -> None:
    """Where rounding to the type of x broke the bound, the next multiple may keep it."""
    for aside in (-1, 1):
        places = places[~good[places]]
        near = index[places] + aside
        kept = within(x[places], absolute_value(near, step, x.dtype.name), bound)
        index[places[kept]], good[places[kept]] = near[kept], True


def absolute_value(index: IntArray, step: float, dtype: str) -> NDArray[Any]:
    """Multiples (n,) of a step as ``dtype`` (n,), infinite where they are too large for it."""
    with np.errstate(over="ignore"):
        return np.asarray((index.astype(np.float64) * step).astype(dtype))


def within(x: NDArray[Any], value: NDArray[Any], bound: float) -> BoolArray:
    r"""Where the exact \|x - value\| is at most a bound, bool (n,); not where either is not finite.

    Rounding is monotone: a rounded difference below the bound stands for an exact one below it. Only where it equals
    the bound does its rounding error decide, which is a float64 itself (Knuth's two-sum).
    """
    a, b = x.astype(np.float64, copy=False), value.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        difference = a - b
    size = np.abs(difference)
    good = size < bound
    edge = np.flatnonzero(size == bound)
    if len(edge):
        a, b, difference = a[edge], b[edge], difference[edge]
        part = difference - a
        lost = (a - (difference - part)) - (b + part)
        good[edge] = lost * np.sign(difference) <= 0
    return np.asarray(good)


def bits_index(x: NDArray[Any]) -> tuple[IntArray, BoolArray]:
    """Floats (n,) as integers that rise with them, -0.0 just below 0.0: int64 (n,), 0 where NaN; and where that is."""
    apart = np.isnan(x)
    index = _fold(x.view(layout(x.dtype.name).signed)).astype(np.int64)
    index[apart] = 0
    return index, apart


def bits_value(index: IntArray, dtype: str) -> NDArray[Any]:
    """The inverse of :func:`bits_index`, ``dtype`` (n,)."""
    return _fold(index.astype(layout(dtype).signed)).view(dtype)


def _fold(bits: NDArray[Any]) -> NDArray[Any]:
    # negative floats count downwards; this is its own inverse
    info = np.iinfo(bits.dtype)
    return np.asarray(bits ^ ((bits >> (info.bits - 1)) & info.max))
