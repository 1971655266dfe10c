r"""Steps at which the repaired codec is no worse than the published one, column by column.

A step of one latent moves all columns that depend on it. With J the derivatives of a row by its latents, and steps
small beside the curvature, the mean error of column i is proportional to the mean over rows of
:math:`\sqrt{\sum_j (J_{ij} s_j)^2}`; a bit of every latent costs the same, so the best steps have the largest product
that keeps every column at its target. The logarithm of the error is convex in those of the steps, hence there is one
such point. One common factor, found by encoding, then makes up for all that this leaves out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compress_mpi.methods.events.latent import Flow, latents_of
from compress_mpi.methods.events.latent_quantiser import Quantiser
from compress_mpi.methods.events.preprocess import Preprocessing
from compress_mpi.types import FloatArray

__all__ = ["mean_errors", "steps_at"]

_SAMPLE = 2048
"""Rows of which derivatives are taken."""
_MOST_COLUMNS = 32
"""More columns get one common step: derivatives cost a pass through the flow for each."""
_SHIFT = 1e-4
"""In latent units; of central differences."""
_FINEST = 2.0**-44
"""No step is smaller: rounding of flows is not."""
_ATTEMPTS, _ENOUGH = 40, 8
"""Passes through all rows, at most, and after how many one that meets the target is good enough."""
_NEAR = 1.01
"""A gain that is not worth another pass."""
_UNIFORM = 0.23
"""Mean absolute value of a sum of uniform errors over the root of the sum of squared steps: sqrt(2 / pi) / sqrt(12)."""
_MARGIN = 1.0 - 1e-3
"""What is left for other rows than those that the steps are found on."""


def mean_errors(
    rows: FloatArray, preprocessing: Preprocessing, quantiser: Quantiser, flow: Flow
) -> FloatArray:
    """Mean absolute error of each column, float64 (c,), of a quantiser.

    Elements that are not finite, and rows that come back so, do not count: the codec keeps them apart.

    Parameters
    ----------
    rows : float64 (n, c)
    preprocessing : Preprocessing
    quantiser : Quantiser
    flow : Flow
    """
    latent, apart = latents_of(rows, preprocessing, flow)
    return _errors(rows, apart, latent, preprocessing, quantiser, flow)


def steps_at(
    target: FloatArray, rows: FloatArray, preprocessing: Preprocessing, quantiser: Quantiser, flow: Flow
) -> Quantiser:
    """The coarsest steps found whose mean absolute errors do not exceed ``target``.

    Parameters
    ----------
    target : float64 (c,)
        In units of the columns. A column with target 0 or NaN (nothing to lose, or no finite element) has no say.
    rows : float64 (n, c)
        Training rows, on which the errors are taken.
    preprocessing : Preprocessing
    quantiser : Quantiser
        Form and scale; its steps are where the search starts.
    flow : Flow

    Raises
    ------
    ValueError
        If no step meets the target: the flow itself is not invertible well enough.
    """
    latent, apart = latents_of(rows, preprocessing, flow)
    heard = np.isfinite(target) & (target > 0)
    start = quantiser
    if quantiser.form == "even" and len(target) <= _MOST_COLUMNS and heard.any():
        start = quantiser.with_steps(_balanced(target, heard, latent, preprocessing, quantiser.step, flow))

    def room(factor: float) -> float:
        if (start.step * factor < _FINEST).any():
            return 0.0
        trial = start.with_steps(start.step * factor)
        found = _errors(rows, apart, latent, preprocessing, trial, flow)[heard]
        return float((_MARGIN * target[heard] / np.maximum(found, 1e-3 * target[heard])).min())

    return start.with_steps(start.step * _largest(room)) if heard.any() else start


def _errors(
    rows: FloatArray,
    apart: np.ndarray,
    latent: FloatArray,
    preprocessing: Preprocessing,
    quantiser: Quantiser,
    flow: Flow,
) -> FloatArray:
    back = quantiser.latent(quantiser.integers(latent))
    finite = np.isfinite(back).all(axis=1) & np.isfinite(latent).all(axis=1)
    decoded = preprocessing.inverse(flow.from_latent(back[finite]))
    counts = np.isfinite(decoded) & ~apart[finite]
    # what does not count may be infinite
    residual = np.abs(np.where(counts, decoded, 0.0) - np.where(counts, rows[finite], 0.0))
    return np.asarray(residual.sum(axis=0) / np.maximum(counts.sum(axis=0), 1))


def _balanced(
    target: FloatArray,
    heard: np.ndarray,
    latent: FloatArray,
    preprocessing: Preprocessing,
    step: FloatArray,
    flow: Flow,
) -> FloatArray:
    """Steps (c,) with the largest product that a linear flow would allow."""
    from scipy.optimize import minimize

    squared = _derivatives(latent, preprocessing, flow)[:, heard] ** 2
    aim = target[heard] / _UNIFORM

    def slack(logs: FloatArray) -> FloatArray:
        error = np.sqrt(squared @ np.exp(2.0 * logs)).mean(axis=0)
        return np.asarray(np.log(aim) - np.log(np.maximum(error, np.finfo(float).tiny)))

    start = np.log(step)
    start += slack(start).min()
    found = minimize(
        lambda logs: -logs.sum(),
        start,
        jac=lambda logs: -np.ones_like(logs),
        # a latent on which nothing heard depends would go anywhere
        bounds=[(low - 12.0, low + 12.0) for low in start],
        constraints={"type": "ineq", "fun": slack},
        method="SLSQP",
        options={"maxiter": 100},
    )
    return np.exp(found.x if np.isfinite(found.x).all() and slack(found.x).min() > -0.1 else start)


def _derivatives(latent: FloatArray, preprocessing: Preprocessing, flow: Flow) -> FloatArray:
    """Of columns by latents at rows spread over the sample, float64 (m, column, latent)."""
    good = latent[np.isfinite(latent).all(axis=1)]
    at = good[:: max(1, len(good) // _SAMPLE)]
    found = np.empty((len(at), latent.shape[1], latent.shape[1]))
    for j in range(latent.shape[1]):
        sides = []
        for sign in (1.0, -1.0):
            moved = at.copy()
            moved[:, j] += sign * _SHIFT
            sides.append(preprocessing.inverse(flow.from_latent(moved)))
        found[:, :, j] = (sides[0] - sides[1]) / (2.0 * _SHIFT)
    return found[np.isfinite(found).all(axis=(1, 2))]


def _largest(room: Callable[[float], float]) -> float:
    """The largest factor found at which ``room``, nearly inverse to it, is 1 or more."""
    best, failed, factor = 0.0, np.inf, 1.0
    for attempt in range(_ATTEMPTS):
        left = room(factor)
        if left <= 0.0:
            break
        if left >= 1.0:
            best = max(best, factor)
        else:
            failed = min(failed, factor)
        # halfway once there are both; till then of errors that do not follow a little less every time
        guess = factor * (left if left >= 1.0 else left * 0.998**attempt)
        factor = np.sqrt(best * failed) if 0.0 < best < failed < np.inf else guess
        if best and (attempt >= _ENOUGH or factor < _NEAR * best):
            return best
    raise ValueError("latent codec: no step meets the target error; does the flow invert its own output?")
