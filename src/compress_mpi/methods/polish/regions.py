r"""Distance of the Kolmogorov-Smirnov regions: as it is, and with soft edges.

A count has no gradient. In the soft form a value contributes :math:`\sigma((e - u)/w)` to the number of
those below the edge e, and w falls as the replicas settle. Edges are those of the subset itself, so that
in units of itself they stand still.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.polish.standard import Standard
from compress_mpi.methods.polish.target import Target
from compress_mpi.methods.selection.kernel import EDGE_TOLERANCE
from compress_mpi.types import FloatArray

__all__ = ["region_distance", "soft_region_term"]

_EDGES = (-2.0, -1.0, 0.0, 1.0, 2.0)


def region_distance(subset: Standard, target: Target) -> float:
    """Distance of the fractions in the six regions, as the error function has it."""
    below = [np.count_nonzero(subset.u <= edge + EDGE_TOLERANCE, axis=0) / len(subset.u) for edge in _EDGES]
    difference = (_fractions(np.array(below)) - target.regions) * target.regions_inverse
    return float(np.sum(difference**2))


def soft_region_term(subset: Standard, target: Target, width: float) -> tuple[float, FloatArray]:
    """The same with edges of softness ``width``, in standard deviations of the subset.

    Returns
    -------
    distance : float
    gradient : float64 (replica, point)
        With respect to ``u``.
    """
    u, n_rep = subset.u, len(subset.u)
    # sigma(t) = (1 + tanh(t / 2)) / 2; sigma' = (1 - tanh^2) / 4
    steps = np.empty((len(_EDGES), *u.shape))
    for step, edge in zip(steps, _EDGES, strict=True):
        np.subtract(edge, u, out=step)
        step *= 0.5 / width
        np.tanh(step, out=step)
    below = 0.5 + 0.5 * steps.mean(axis=1)
    difference = (_fractions(below) - target.regions) * target.regions_inverse
    pull = 2.0 * difference * target.regions_inverse
    gradient = np.zeros_like(u)
    for step, change in zip(steps, pull[:-1] - pull[1:], strict=True):
        step *= step
        step -= 1.0
        step *= change / (4.0 * width * n_rep)
        gradient += step
    return float(np.sum(difference**2)), gradient


def _fractions(below: FloatArray) -> FloatArray:
    """Fractions in the regions from those below the edges, float64 ``(6, point)``."""
    ends = np.zeros((1, below.shape[1]))
    return np.diff(np.concatenate([ends, below, ends + 1.0]), axis=0)
