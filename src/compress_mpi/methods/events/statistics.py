"""What is known about a column before its grid is chosen, added up block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.grid_float import FLOATS, layout
from compress_mpi.methods.events.squares import Spread, Squares
from compress_mpi.types import IntArray

__all__ = ["ColumnStatistics"]


@dataclass(frozen=True, eq=False)
class ColumnStatistics:
    """Of one column, or of some rows of it; merged in block order it is the same at any number of ranks.

    Attributes
    ----------
    count, finite : int
        Values, and those that are neither NaN nor infinite.
    minimum, maximum : int, float or None
        Exact, of the finite values; None without any.
    spread : Spread
        Mean and standard deviation of the finite values, of one column.
    exponents : int64 (e,)
        How often each exponent field occurs in a column of floats; empty for integers.
    """

    count: int
    finite: int
    minimum: float | int | None
    maximum: float | int | None
    spread: Spread
    exponents: IntArray

    @staticmethod
    def of(x: NDArray[Any]) -> ColumnStatistics:
        """Statistics of values (n,)."""
        good = np.isfinite(x)
        finite = int(good.sum())
        kept = x if finite == len(x) else x[good]
        low, high = (kept.min().item(), kept.max().item()) if finite else (None, None)
        # True and False are numbers here
        low, high = (int(end) if isinstance(end, bool) else end for end in (low, high))
        return ColumnStatistics(len(x), finite, low, high, _spread(kept, low, high), _exponents(kept))

    def merge(self, other: ColumnStatistics) -> ColumnStatistics:
        """Of both together; this one comes first."""
        lows = [s.minimum for s in (self, other) if s.minimum is not None]
        highs = [s.maximum for s in (self, other) if s.maximum is not None]
        low, high = min(lows, default=None), max(highs, default=None)
        with np.errstate(over="ignore"):
            spread = _between(self.spread.merge(other.spread), low, high)
        count, finite = self.count + other.count, self.finite + other.finite
        return ColumnStatistics(count, finite, low, high, spread, self.exponents + other.exponents)

    @property
    def mean(self) -> float:
        """Mean of the finite values; 0 without any."""
        return float(self.spread.mean[0])

    @property
    def std(self) -> float:
        """Standard deviation (over n) of the finite values; 0 without any."""
        return float(self.spread.std()[0]) if self.finite else 0.0

    @property
    def largest(self) -> float:
        r"""Largest \|x\| of the finite values; 0 without any."""
        return max(abs(float(self.minimum or 0)), abs(float(self.maximum or 0)))

    def plain(self) -> dict[str, Any]:
        """As plain numbers; :meth:`from_plain` reads it."""
        places = np.flatnonzero(self.exponents)
        return {
            "count": self.count,
            "finite": self.finite,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "mean": float(self.spread.mean[0]),
            "squares": [float(self.spread.squares.total[0]), int(self.spread.squares.exponent[0])],
            "exponents": [len(self.exponents), places.tolist(), self.exponents[places].tolist()],
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> ColumnStatistics:
        """Put :meth:`plain` back.

        Raises
        ------
        ValueError
            If something is missing.
        """
        names = ("count", "finite", "minimum", "maximum", "mean", "squares", "exponents")
        missing = [name for name in names if name not in plain]
        if missing:
            raise ValueError(f"stored statistics of a column: '{missing[0]}' is missing")
        total, exponent = plain["squares"]
        squares = Squares(np.array([total], dtype=np.float64), np.array([exponent], dtype=np.int64))
        spread = Spread(np.array([plain["finite"]]), np.array([plain["mean"]], dtype=np.float64), squares)
        length, places, counts = plain["exponents"]
        exponents = np.zeros(length, dtype=np.int64)
        exponents[places] = counts
        ends = plain["minimum"], plain["maximum"]
        return ColumnStatistics(plain["count"], plain["finite"], *ends, spread, exponents)


def _spread(x: NDArray[Any], low: float | None, high: float | None) -> Spread:
    # halves, since a sum of the shares of the largest numbers may be rounded out of range
    halves = (x.astype(np.float64) / 2.0)[:, None]
    half = Spread.of(halves, np.ones(halves.shape, dtype=bool))
    squares = Squares(half.squares.total, half.squares.exponent + 1)
    with np.errstate(over="ignore"):
        return _between(Spread(half.count, half.mean * 2.0, squares), low, high)


def _between(spread: Spread, low: float | None, high: float | None) -> Spread:
    """The same with the mean where rounding may have moved it away from: between the ends."""
    if low is None or high is None:
        return spread
    return replace(spread, mean=np.clip(spread.mean, float(low), float(high)))


def _exponents(x: NDArray[Any]) -> IntArray:
    if x.dtype.name not in FLOATS:
        return np.zeros(0, dtype=np.int64)
    form = layout(x.dtype.name)
    fields = form.magnitude(np.ascontiguousarray(x, dtype=x.dtype.name)) >> form.mantissa
    return np.bincount(fields, minlength=form.special).astype(np.int64)
