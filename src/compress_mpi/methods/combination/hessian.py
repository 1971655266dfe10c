r"""Monte Carlo replicas from the eigenvectors of a Hessian set.

The prescription is that of Watt and Thorne (:cite:`Watt:2012tq`, Sec. 6), which LHAPDF calls
``randomValueFromHessian`` without symmetrisation (:cite:`Buckley:2014ana`). With the central
member :math:`f_0` and standard normal numbers :math:`r_j`, one for each eigenvector and the
same at every flavour, x and Q, a replica is

.. math::
   f = f_0 + s \sum_j \left[ \max(r_j, 0) (f_{2j-1} - f_0) + \max(-r_j, 0) (f_{2j} - f_0) \right]

for an asymmetric set (Eq. 6.4 there), and :math:`f = f_0 + s \sum_j r_j (f_j - f_0)` for a symmetric
one, to which the former reduces. The factor s brings the set's confidence level to one sigma.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["ASYMMETRIC", "ONE_SIGMA", "SYMMETRIC", "displacements", "eigenvectors", "moments", "sigma_scale"]

ASYMMETRIC, SYMMETRIC = "hessian", "symmhessian"
"""Error types as LHAPDF calls them."""

ONE_SIGMA = 100 * math.erf(math.sqrt(0.5))
"""Confidence level in per cent of one standard deviation, which LHAPDF assumes where a set gives none."""


def sigma_scale(level: float) -> float:
    """Factor that brings displacements at a confidence level to one standard deviation.

    Parameters
    ----------
    level : float
        Per cent, between 0 and 100; two-sided.

    Returns
    -------
    float
        1.0056 for 68, 0.608 for 90.

    Raises
    ------
    ValueError
        If the level is not between 0 and 100.
    """
    if not 0 < level < 100:
        raise ValueError(f"expected a confidence level between 0 and 100 per cent, got {level:g}")
    return 1.0 / NormalDist().inv_cdf(0.5 + level / 200)


def eigenvectors(n_members: int, kind: str) -> int:
    """Number of eigenvectors of a set of so many members, the central one counted.

    Raises
    ------
    ValueError
        If an asymmetric set has an odd number of error members, or there is none.
    """
    errors = n_members - 1
    if errors < 1 or (kind == ASYMMETRIC and errors % 2):
        wanted = "an even number of error members" if kind == ASYMMETRIC else "error members"
        raise ValueError(f"expected {wanted} beside the central one, got {errors}")
    return errors // 2 if kind == ASYMMETRIC else errors


def displacements(members: FloatArray, kind: str, normals: FloatArray, scale: float) -> FloatArray:
    """Replicas of a Hessian set.

    Parameters
    ----------
    members : float64 (1 + n_error, point)
        Central member first, then the error members in the order of their numbers.
    kind : {"hessian", "symmhessian"}
    normals : float64 (replica, eigenvector)
        Standard normal numbers.
    scale : float
        From `sigma_scale`.

    Returns
    -------
    float64 (replica, point)
        Every row is summed in the same order, however many there are.
    """
    central, errors = members[0], members[1:] - members[0]
    replicas = np.empty((len(normals), len(central)))
    for row, r in zip(replicas, normals, strict=True):
        row[:] = 0.0
        for j, number in enumerate(r.tolist()):
            chosen = j if kind == SYMMETRIC else 2 * j + (number < 0)
            row += (number if kind == SYMMETRIC else abs(number)) * errors[chosen]
        row *= scale
        row += central
    return replicas


def moments(members: FloatArray, kind: str, scale: float) -> tuple[FloatArray, FloatArray]:
    r"""Mean and standard deviation that `displacements` has for infinitely many replicas.

    With :math:`d_\pm` the displacements of an eigenvector, the half-normal law gives each a mean of
    :math:`(d_+ + d_-)/\sqrt{2\pi}`, which vanishes only for a set that is symmetric there, and a
    mean square of :math:`(d_+^2 + d_-^2)/2`.

    Returns
    -------
    mean, stdev : float64 (point,)
    """
    errors = scale * (members[1:] - members[0])
    if kind == SYMMETRIC:
        return members[0].copy(), np.sqrt(np.sum(errors**2, axis=0))
    up, down = errors[0::2], errors[1::2]
    shift = (up + down) / math.sqrt(2 * math.pi)
    return members[0] + shift.sum(axis=0), np.sqrt(np.sum(0.5 * (up**2 + down**2) - shift**2, axis=0))
