"""What every single candidate must pass, and figures of all of them.

A limit that is never the prior's own range alone: a handful of replicas has a narrow range, and a real further
replica leaves it. Numbers in the reasons were measured on JAM21PDF_proton_nlo (1006 replicas, 490 points, 69
components) with 2000 candidates of each generator; half of its replicas, judged by the other half, is what candidates
without a fault look like.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.basis import Basis
from compress_mpi.methods.enhancement.linear import ROWS, combine, spread_of
from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "FIGURES",
    "OUTSIDE",
    "REASONS",
    "Guard",
    "build_guard",
    "judge",
    "neighbour_distances",
    "screen",
]

FIGURES: dict[str, str] = {
    "not_finite": "1 where a weight or a value is NaN or infinite",
    "sum": "absolute difference of the sum of weights from 1",
    "tail": "largest absolute coordinate",
    "distance": "sum of the squared coordinates over their number",
    "envelope": "how far it leaves the prior's minimum to maximum, at most, in standard deviations",
    "negative_depth": "how far below zero where fewer than 2 % of the prior's replicas are, in standard deviations",
    "negative_share": "fraction of those points at which it is below zero",
    "sum_rules": "how far a momentum or valence sum leaves the range of the prior, in standard deviations",
    "neighbour": "distance to the nearest replica in component space, over the prior's median",
    "digest": "48 bits that tell rows of weights apart",
}
"""Columns of the table of candidates."""

REASONS: tuple[str, ...] = (
    "accepted",
    "not finite",
    "weights do not sum to 1",
    "tails",
    "envelope",
    "positivity",
    "sum rules",
    "a replica of the prior",
    "repeated",
)
"""Why a candidate is not taken, by number; 0 is taken. The first that applies counts."""

SUM_TOLERANCE = 1e-10
"""Rounding of R weights stays below 1e-13 R^1/2."""
TAIL = 8.0
"""Standard deviations, or the prior's largest coordinate (12.3): an untamed flow puts 5 % of its candidates
beyond 8."""
DISTANCE_SIGMAS = 8.0
"""With fewer than some hundred replicas all have the same distance, hence at least this many standard deviations
of a chi-squared distribution above its mean are allowed; else the prior's largest (12.8 K, generators reach 12)."""
ENVELOPE = 3.0
"""Standard deviations outside. A half of the prior leaves the other half's envelope by 2.2 to 2.7 (99 % point), mix by
2.9, kde by 0.7, flows by 3.3, twice too wide candidates by 7.7. Leaving it a little is no fault: 18 to 65 % do."""
OUTSIDE = 0.25
"""Standard deviations outside from which a candidate counts as outside the envelope, in figures that are reported."""
RARELY_NEGATIVE = 0.02
"""Points where fewer of the prior's replicas are below zero count as positive."""
NEGATIVE_DEPTH = 3.0
"""Standard deviations, or the prior's deepest (6.0): passed by 0.1 % of mix and kde."""
NEGATIVE_SHARE = 0.25
"""Of the points that count as positive. The prior's largest is 0.016, those of mix and kde 0.18 and 0.09."""
SUM_RULES_OUTSIDE = 1.0
"""Standard deviations outside the range of the prior's sums."""
SAME = 1e-6
"""Distance over the prior's median below which a candidate is a replica that there is already."""


@dataclass(frozen=True, eq=False)
class Guard:
    """What candidates are compared with.

    Attributes
    ----------
    values : float64 (R, ...)
        The prior on the grid; may be shared and read-only.
    basis : Basis
    kept : int64 (P,)
        Points (of the flattened grid) with a spread.
    mean, std, low, high : float64 (P,)
        Of the prior there.
    positive : bool (P,)
        Where fewer than 2 % of the replicas are below zero.
    sums : float64 (R, S)
        Momentum and valence sums of the prior; S may be 0.
    neighbour : float
        Median distance of a replica to its nearest other one in component space.
    tail, distance, depth : float
        Limits, from the prior.
    """

    values: FloatArray
    basis: Basis
    kept: IntArray
    mean: FloatArray
    std: FloatArray
    low: FloatArray
    high: FloatArray
    positive: np.ndarray
    sums: FloatArray
    neighbour: float
    tail: float
    distance: float
    depth: float

    def standardise(self, values: FloatArray) -> FloatArray:
        """Values (n, ...) on the grid at the points with a spread, in units of the prior, float64 ``(n, P)``."""
        return (values.reshape(len(values), -1)[:, self.kept] - self.mean) / self.std


def build_guard(values: FloatArray, basis: Basis, sums: FloatArray | None = None) -> Guard:
    """Ranges and limits of a prior.

    Parameters
    ----------
    values : float64 (R, ...)
        On the grid of the compression.
    basis : Basis
    sums : float64 (R, S), optional
        Of ``sum_rules.sum_rules``; without them sum rules are not looked at.
    """
    flat = values.reshape(len(values), -1)
    std = spread_of(flat)
    kept = np.flatnonzero(std > 0)
    positive = (flat < 0).mean(axis=0)[kept] < RARELY_NEGATIVE
    d2 = np.mean(basis.coordinates**2, axis=1)
    expected = 1.0 + DISTANCE_SIGMAS * np.sqrt(2.0 / basis.n_components)
    depth = -(flat.min(axis=0)[kept] / std[kept])[positive]
    return Guard(
        values=values,
        basis=basis,
        kept=kept,
        mean=flat.mean(axis=0)[kept],
        std=std[kept],
        low=flat.min(axis=0)[kept],
        high=flat.max(axis=0)[kept],
        positive=positive,
        sums=np.zeros((len(values), 0)) if sums is None else sums,
        neighbour=float(np.median(neighbour_distances(basis.coordinates, basis.coordinates, itself=True))),
        tail=max(TAIL, float(np.abs(basis.coordinates).max())),
        distance=max(expected, float(d2.max())),
        depth=max(NEGATIVE_DEPTH, float(depth.max(initial=0.0))),
    )


def neighbour_distances(points: FloatArray, among: FloatArray, itself: bool = False) -> FloatArray:
    """Distance of every point to the nearest of others.

    Parameters
    ----------
    points : float64 (n, K)
    among : float64 (m, K)
    itself : bool
        Both are the same points, and none is its own neighbour.

    Returns
    -------
    float64 (n,)
        NaN where a coordinate of the point is.
    """
    lengths = np.sum(among**2, axis=1)
    found = np.empty(len(points))
    for start in range(0, len(points), ROWS):
        rows = points[start : start + ROWS]
        squares = np.sum(rows**2, axis=1)[:, None] + lengths - 2.0 * combine(rows, among.T)
        if itself:
            squares[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf
        found[start : start + ROWS] = np.sqrt(np.maximum(squares.min(axis=1), 0.0))
    return found


def screen(weights: FloatArray, guard: Guard) -> FloatArray:
    """Figures of candidates.

    Parameters
    ----------
    weights : float64 (n, R)
    guard : Guard

    Returns
    -------
    float64 (n, figure)
        In the order of ``FIGURES``; NaN where a candidate is not finite, but for ``not_finite`` and ``digest``.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        found = _figures(weights, guard)
    bad = ~np.isfinite(weights).all(axis=1) | ~np.isfinite(found[:, 1:]).all(axis=1)
    found[bad] = np.nan
    found[:, 0] = bad
    digests = [_digest(row) for row in weights]
    return np.column_stack([found, np.array(digests, dtype=np.float64)])


def _figures(weights: FloatArray, guard: Guard) -> FloatArray:
    z = guard.basis.to_coordinates(weights)
    v = combine(weights, guard.values).reshape(len(weights), -1)[:, guard.kept]
    outside = np.maximum(v - guard.high, guard.low - v) / guard.std
    below = np.maximum(-v / guard.std, 0.0)[:, guard.positive]
    n_positive = max(1, below.shape[1])
    columns = [
        np.zeros(len(weights)),
        np.abs(weights.sum(axis=1) - 1.0),
        np.abs(z).max(axis=1),
        np.mean(z**2, axis=1),
        outside.max(axis=1),
        below.max(axis=1, initial=0.0),
        (below > 0).sum(axis=1) / n_positive,
        _sums_outside(weights, guard),
        neighbour_distances(z, guard.basis.coordinates) / guard.neighbour,
    ]
    return np.stack(columns, axis=1)


def _sums_outside(weights: FloatArray, guard: Guard) -> FloatArray:
    std = spread_of(guard.sums)
    sums = guard.sums[:, std > 0]
    if not sums.shape[1]:
        return np.zeros(len(weights))
    new = combine(weights, sums)
    outside = np.maximum(new - sums.max(axis=0), sums.min(axis=0) - new) / std[std > 0]
    return np.asarray(outside.max(axis=1), dtype=np.float64)


def _digest(row: FloatArray) -> int:
    # a float64 holds 48 bits exactly; adding 0 makes one zero of the two
    return int.from_bytes(hashlib.blake2b((row + 0.0).tobytes(), digest_size=6).digest())


def judge(figures: FloatArray, guard: Guard) -> IntArray:
    """Why candidates are not taken, int64 ``(n,)``: numbers of ``REASONS``, 0 for taken.

    Parameters
    ----------
    figures : float64 (n, figure)
        In the order of the candidates' numbers: of equal ones the first is taken.
    guard : Guard
    """
    f = dict(zip(FIGURES, figures.T, strict=True))
    # said the other way round, so that NaN fails every test
    good = [
        f["not_finite"] == 0.0,
        f["sum"] < SUM_TOLERANCE,
        (f["tail"] <= guard.tail) & (f["distance"] <= guard.distance),
        f["envelope"] <= ENVELOPE,
        (f["negative_depth"] <= guard.depth) & (f["negative_share"] <= NEGATIVE_SHARE),
        f["sum_rules"] <= SUM_RULES_OUTSIDE,
        f["neighbour"] > SAME,
        _first_of_equals(f["digest"]),
    ]
    reasons = np.zeros(len(figures), dtype=np.int64)
    for number, passed in reversed(list(enumerate(good, start=1))):
        reasons[~passed] = number
    return reasons


def _first_of_equals(digests: FloatArray) -> np.ndarray:
    first = np.zeros(len(digests), dtype=bool)
    first[np.unique(digests, return_index=True)[1]] = True
    return first
