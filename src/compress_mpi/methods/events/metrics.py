r"""How far decoded events are from the originals, added up block by block.

The sums of a block do not depend on others; merged in block order they are the same at any number of ranks. With
:math:`d = \mathrm{decoded} - \mathrm{original}`, per column and over all: mean d (residual), mean \|d\|, root mean
square, largest \|d\|, mean response d / original, and the relative error of Eq. 7 of the published report,

.. math::

   \frac{1}{c} \sum_j \sqrt{\langle (d_j / \sigma)^2 \rangle} ,

with the standard deviation of all columns pooled, as it was coded, and with that of each column, as it is meaningful.

Elements of the original that are not finite count apart: they are exact where the same comes back, else lost.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.squares import Spread, Squares
from compress_mpi.types import FloatArray, IntArray

__all__ = ["ErrorSums", "Errors"]


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of c columns.

    Attributes
    ----------
    residual, mean_abs, rms, largest : float64 (c,)
        Mean of d, mean and root mean square of its size, its largest size; in units of the column.
    response : float64 (c,)
        Mean of d over original, entries that are not finite counted as 0, as published.
    not_finite_response : float64 (c,)
        Their share in percent: original 0, NaN or infinite.
    std : float64 (c,)
        Of the original.
    relative : float64 (c,)
        Root mean square over standard deviation; 0 where both are 0, infinite where only the latter is.
    eq7_pooled, eq7 : float
        With the standard deviation of all values together, and with those of the columns.
    overall_residual, overall_mean_abs, overall_rms, overall_largest, overall_response : float
        Over all elements of all columns.
    rows : int
    not_finite, lost : int64 (c,)
        Elements of the original that are not finite; elements that are finite in only one of both, or are another
        NaN or infinity.
    """

    residual: FloatArray
    mean_abs: FloatArray
    rms: FloatArray
    largest: FloatArray
    response: FloatArray
    not_finite_response: FloatArray
    std: FloatArray
    relative: FloatArray
    eq7_pooled: float
    eq7: float
    overall_residual: float
    overall_mean_abs: float
    overall_rms: float
    overall_largest: float
    overall_response: float
    rows: int
    not_finite: IntArray
    lost: IntArray


@dataclass(frozen=True, eq=False)
class ErrorSums:
    """Sums over the rows of one block, or of several that were merged.

    Attributes
    ----------
    rows : int
    not_finite, lost, no_response : int64 (c,)
        Elements; see :class:`Errors`.
    counted : int64 (c,)
        Elements finite in both.
    residual, size, response : float64 (c,)
        Sums of d, of its size and of d over original.
    largest : float64 (c,)
    squares : Squares
        Of d.
    original : Spread
    """

    rows: int
    not_finite: IntArray
    lost: IntArray
    no_response: IntArray
    counted: IntArray
    residual: FloatArray
    size: FloatArray
    response: FloatArray
    largest: FloatArray
    squares: Squares
    original: Spread

    @staticmethod
    def of(original: FloatArray, decoded: FloatArray) -> ErrorSums:
        """Sums of a block.

        Parameters
        ----------
        original, decoded : float64 (n, c)

        Raises
        ------
        ValueError
            If their shapes differ.
        """
        if original.shape != decoded.shape or original.ndim != 2:
            raise ValueError(
                f"errors: expected two arrays of one shape (n, c), got {original.shape} and {decoded.shape}"
            )
        finite = np.isfinite(original)
        both = finite & np.isfinite(decoded)
        same = (original == decoded) | (np.isnan(original) & np.isnan(decoded))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            d = np.where(both, decoded, 0.0) - np.where(both, original, 0.0)
            response = d / original
        bad = ~np.isfinite(response) | ~both
        size = np.abs(d)
        return ErrorSums(
            rows=len(original),
            not_finite=(~finite).sum(axis=0),
            lost=(~both & ~same).sum(axis=0),
            no_response=bad.sum(axis=0),
            counted=both.sum(axis=0),
            residual=_sum(d),
            size=_sum(size),
            response=_sum(np.where(bad, 0.0, response)),
            largest=size.max(axis=0, initial=0.0),
            squares=Squares.of(d),
            original=Spread.of(original, finite),
        )

    def merge(self, later: ErrorSums) -> ErrorSums:
        """These rows, then those of ``later``.

        Raises
        ------
        ValueError
            If the numbers of columns differ.
        """
        if len(self.size) != len(later.size):
            raise ValueError(f"errors: cannot merge {len(self.size)} columns with {len(later.size)}")
        found: dict[str, Any] = {}
        for field in fields(self):
            mine, other = getattr(self, field.name), getattr(later, field.name)
            if isinstance(mine, Squares | Spread):
                found[field.name] = mine.merge(other)
            else:
                found[field.name] = np.maximum(mine, other) if field.name == "largest" else mine + other
        return ErrorSums(**found)

    def errors(self) -> Errors:
        """Errors over all rows so far; NaN where there is nothing to average."""
        rms, std = self.squares.root_mean(self.counted), self.original.std()
        pooled = self.original.pooled()
        all_counted = int(self.counted.sum())
        return Errors(
            residual=_mean(self.residual, self.counted),
            mean_abs=_mean(self.size, self.counted),
            rms=rms,
            largest=self.largest,
            response=_mean(self.response, self.rows),
            not_finite_response=100.0 * _mean(self.no_response.astype(np.float64), self.rows),
            std=std,
            relative=_over(rms, std),
            eq7_pooled=_column_mean(_over(rms, np.full_like(rms, pooled))),
            eq7=_column_mean(_over(rms, std)),
            overall_residual=float(_mean(_sum(self.residual), all_counted)),
            overall_mean_abs=float(_mean(_sum(self.size), all_counted)),
            overall_rms=self.squares.pooled_root_mean(all_counted),
            overall_largest=float(self.largest.max(initial=0.0)),
            overall_response=float(_mean(_sum(self.response), self.rows * len(self.size))),
            rows=self.rows,
            not_finite=self.not_finite,
            lost=self.lost,
        )


def _sum(values: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values.sum(axis=0))


def _mean(total: FloatArray, count: IntArray | int) -> FloatArray:
    return np.asarray(np.where(np.asarray(count) > 0, total / np.maximum(count, 1), np.nan))


def _over(rms: FloatArray, std: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = rms / std
    return np.asarray(np.where(rms == 0, 0.0, found))


def _column_mean(values: NDArray[np.float64]) -> float:
    # a column without a finite element has no error
    heard = values[~np.isnan(values)]
    return float(heard.mean()) if len(heard) else float("nan")
