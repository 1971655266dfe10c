"""Bins that suit a column nobody has looked at: long tails, integers, constants, outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import FloatArray

__all__ = ["Binning", "choose_bins", "fractions"]

_BINS = 40
_LARGEST = 2e307
"""Axes beyond overflow."""
_WIDE = 100.0
"""A positive column whose 99.5th percentile exceeds the median by more than this factor has a logarithmic axis."""
_FAR = 30.0
"""An outlier farther out than so many times the central 99 % does not set the axis."""
_STEEP = 30.0
"""Peak over the median bin, beyond which heights are logarithmic."""


@dataclass(frozen=True)
class Binning:
    """Edges, and the scales on which they are best seen.

    Attributes
    ----------
    edges : float64 (bin + 1,)
    log_x, log_y : bool
    empty : bool
        Whether there was no finite value to choose from.
    """

    edges: FloatArray
    log_x: bool = False
    log_y: bool = False
    empty: bool = False


def choose_bins(*samples: NDArray[Any], bins: int = _BINS) -> Binning:
    """Bins for one column of one or more samples.

    Parameters
    ----------
    *samples : arrays (row,)
        Any numbers; what is not finite is passed over. The first one chooses the scales.
    bins : int

    Returns
    -------
    Binning
    """
    values = [_finite(sample) for sample in samples]
    everything = np.concatenate(values)
    if not everything.size:
        return Binning(np.linspace(0.0, 1.0, bins + 1), empty=True)
    edges, log_x = _edges(everything, bins)
    heights = fractions(values[0], edges)
    return Binning(edges, log_x, _steep(heights))


def fractions(values: NDArray[Any], edges: FloatArray) -> FloatArray:
    """Share of the finite values per bin; what lies outside is counted in the outermost ones.

    Returns
    -------
    float64 (bin,)
        Zeros where nothing is finite.
    """
    finite = _finite(values)
    counted = np.histogram(np.clip(finite, edges[0], edges[-1]), edges)[0]
    return np.asarray(counted / max(finite.size, 1), dtype=np.float64)


def _finite(values: NDArray[Any]) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64)
    return np.clip(numbers[np.isfinite(numbers)], -_LARGEST, _LARGEST)


def _edges(values: FloatArray, bins: int) -> tuple[FloatArray, bool]:
    low, high = float(values.min()), float(values.max())
    q_low, median, q_high = np.quantile(values, [0.005, 0.5, 0.995])
    if high - low <= max(1e-12 * max(abs(low), abs(high)), 1e-290):
        room = 0.5 if float(low).is_integer() and abs(low) < 1e12 else 0.1 * abs(low) or 0.5
        return np.linspace(low - room, high + room, bins + 1), False
    if high - low <= bins and np.array_equal(values, np.round(values)):
        return np.arange(low, high + 2) - 0.5, False
    if low > 0 and q_high > _WIDE * median:
        return np.geomspace(max(low, q_low / _WIDE), min(high, q_high * _WIDE), bins + 1), True
    core = float(q_high - q_low)
    if core > 0 and high - low > _FAR * core:
        low, high = max(low, float(q_low) - core / 2), min(high, float(q_high) + core / 2)
    return np.linspace(low, high, bins + 1), False


def _steep(heights: FloatArray) -> bool:
    filled = heights[heights > 0]
    return filled.size >= 8 and bool(filled.max() > _STEEP * np.median(filled))
