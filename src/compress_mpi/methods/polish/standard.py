r"""A subset in units of the prior and in units of itself.

Most terms of the loss depend on the values only through :math:`u = (y - m)/s`, with mean and standard
deviation of the subset itself. Their gradients are collected with respect to :math:`u` and carried back to
the values once, by ``Standard.back``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["Standard", "standard"]

_LEAST_SPREAD = 1e-9
"""Of the prior's standard deviation; nearer together than this, values count as equal."""


class Standard(NamedTuple):
    """A subset.

    Attributes
    ----------
    y : float64 (replica, point)
        Values in units of the prior, :math:`(f - m_P)/s_P`.
    mean, spread : float64 (point,)
        Of ``y``; the spread has divisor N - 1.
    u : float64 (replica, point)
        :math:`(y - m)/s`.
    """

    y: FloatArray
    mean: FloatArray
    spread: FloatArray
    u: FloatArray

    def back(self, gradient: FloatArray) -> FloatArray:
        r"""A gradient with respect to ``u`` as one with respect to ``y``.

        .. math::
           \frac{\partial L}{\partial y_k} = \frac{1}{s} \Bigl( G_k - \langle G \rangle
           - \frac{u_k}{N - 1} \sum_l G_l u_l \Bigr)

        Parameters
        ----------
        gradient : float64 (replica, point)

        Returns
        -------
        float64 (replica, point)
        """
        along = np.einsum("kp,kp->p", gradient, self.u) / (len(self.u) - 1)
        found = gradient - gradient.mean(axis=0)
        found -= self.u * along
        found /= self.spread
        return found


def standard(y: FloatArray) -> Standard:
    """Mean, spread and standardised values of a subset in units of the prior, float64 ``(replica, point)``."""
    mean = y.mean(axis=0)
    u = y - mean
    spread = np.sqrt(np.einsum("kp,kp->p", u, u) / (len(y) - 1))
    spread = np.maximum(spread, _LEAST_SPREAD)
    u /= spread
    return Standard(y, mean, spread, u)
