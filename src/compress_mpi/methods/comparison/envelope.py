"""Where replicas leave the range of a prior, and where they are negative although the prior hardly ever is."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["RARE", "Leaving", "leaving", "outside_map"]

RARE = 0.1
"""Where fewer replicas of the prior than this fraction are negative, none should be; as in the polish."""


@dataclass(frozen=True)
class Leaving:
    """How far a subset leaves what the prior is like.

    Attributes
    ----------
    outside_share : float
        Fraction of values outside the prior's minimum to maximum.
    outside_depth : float
        How far outside, at most, in standard deviations of the prior.
    negative_share : float
        Fraction of negative values where the prior rarely is negative; 0 where there is no such point.
    negative_depth : float
        How far below zero there, at most, in standard deviations of the prior.
    """

    outside_share: float
    outside_depth: float
    negative_share: float
    negative_depth: float

    def as_dict(self) -> dict[str, float]:
        """Figures by name."""
        return asdict(self)


def leaving(subset: FloatArray, prior: FloatArray) -> Leaving:
    """Compare a subset with a prior, over all points at which the prior has a spread.

    Parameters
    ----------
    subset : float64 (n, ...)
    prior : float64 (R, ...)
        At the same points.
    """
    one, two = subset.reshape(len(subset), -1), prior.reshape(len(prior), -1)
    std = two.std(axis=0, ddof=1)
    live = std > 0
    one, two, std = one[:, live], two[:, live], std[live]
    outside = np.maximum(one - two.max(axis=0), two.min(axis=0) - one) / std
    rarely = (two < 0).mean(axis=0) < RARE
    below = (-one / std)[:, rarely]
    return Leaving(
        float(np.mean(outside > 0)) if outside.size else 0.0,
        float(outside.max(initial=0.0)),
        float(np.mean(below > 0)) if below.size else 0.0,
        float(below.max(initial=0.0)),
    )


def outside_map(new: FloatArray, prior: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where new replicas leave the envelope of a prior.

    Parameters
    ----------
    new : float64 (n, flavour, x)
    prior : float64 (R, flavour, x)

    Returns
    -------
    share : float64 (flavour, x)
        Fraction of the new replicas outside the prior's minimum to maximum; NaN where the prior has no spread.
    depth : float64 (flavour, x)
        How far the farthest of them is outside, in standard deviations of the prior; same axes.
    """
    low, high, std = prior.min(axis=0), prior.max(axis=0), prior.std(axis=0, ddof=1)
    live = std > 0
    farthest = np.maximum(new.max(axis=0) - high, low - new.min(axis=0))
    share = np.mean((new > high) | (new < low), axis=0)
    depth = np.divide(np.maximum(farthest, 0.0), std, out=np.full_like(std, np.nan), where=live)
    return np.where(live, share, np.nan), depth
