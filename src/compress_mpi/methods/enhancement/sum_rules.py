r"""Momentum and valence sums from the knots of a set, as linear functions of them.

.. math::
   \int_{x_{min}}^{1} \sum_f x f(x) \, dx
   \qquad
   \int_{x_{min}}^{1} \left( q(x) - \bar q(x) \right) dx

Between knots :math:`x f` is the cubic in ln x that LHAPDF uses: slopes at the knots are means of the slopes of the
chords on both sides. What lies below the lowest knot is missing, hence sums of new replicas are compared with those
of the prior and not with 1, 2 and 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["SUM_RULES", "quadrature", "sum_rules"]

SUM_RULES: dict[str, tuple[int, int]] = {"u valence": (2, -2), "d valence": (1, -1), "s valence": (3, -3)}
"""Quark and antiquark by name of the sum; ``momentum`` comes before them."""
_NODES = 8
"""Gauss-Legendre nodes between two knots: exact to rounding for a cubic times an exponential."""


def sum_rules(values: FloatArray, x: FloatArray, pids: Sequence[int]) -> tuple[tuple[str, ...], FloatArray]:
    """Sums of every replica.

    Parameters
    ----------
    values : float64 (R, nx, npid)
        x f(x, Q) on the knots at one Q, best the lowest.
    x : float64 (nx,)
        Knots, increasing, above 0.
    pids : sequence of int
        PDG codes of the last axis. A valence sum whose quark or antiquark is absent is left out.

    Returns
    -------
    names : tuple of str
        ``momentum``, then those of ``SUM_RULES`` that there are.
    sums : float64 (R, sum)
    """
    column = {pid: place for place, pid in enumerate(pids)}
    # a momentum is the integral of x f, a number that of x f / x
    found = {"momentum": values.sum(axis=2) @ quadrature(x, 1.0)}
    per_x = quadrature(x, 0.0)
    for name, (quark, antiquark) in SUM_RULES.items():
        if quark in column and antiquark in column:
            found[name] = (values[:, :, column[quark]] - values[:, :, column[antiquark]]) @ per_x
    return tuple(found), np.stack(list(found.values()), axis=1)


def quadrature(x: FloatArray, power: float) -> FloatArray:
    r"""Weights v with :math:`\int g(x) \, x^{power} \, d\ln x = \sum_k v_k \, g(x_k)`.

    Parameters
    ----------
    x : float64 (nx,)
        Knots, increasing, above 0; at least two.
    power : float

    Returns
    -------
    float64 (nx,)

    Raises
    ------
    ValueError
        If the knots do not increase, are not positive, or are fewer than two.
    """
    if len(x) < 2 or x[0] <= 0.0 or not np.all(np.diff(x) > 0.0):
        raise ValueError("sum rules: expected at least two knots in x, above 0 and increasing")
    t = np.log(x)
    step = np.diff(t)
    nodes, shares = np.polynomial.legendre.leggauss(_NODES)
    u, shares = (nodes + 1.0) / 2.0, shares / 2.0
    measure = np.exp(power * (t[:-1, None] + step[:, None] * u)) * shares * step[:, None]
    slopes = _slopes(t)
    # the four Hermite cubics: value and slope at the left and at the right end
    left, right = measure @ ((1 + 2 * u) * (1 - u) ** 2), measure @ (u**2 * (3 - 2 * u))
    rise, fall = measure @ (u * (1 - u) ** 2) * step, measure @ (u**2 * (u - 1)) * step
    weights = rise @ slopes[:-1] + fall @ slopes[1:]
    weights[:-1] += left
    weights[1:] += right
    return np.asarray(weights, dtype=np.float64)


def _slopes(t: FloatArray) -> FloatArray:
    """Matrix that takes values at the knots to slopes there, float64 ``(nx, nx)``."""
    chords = np.zeros((len(t) - 1, len(t)))
    place = np.arange(len(t) - 1)
    chords[place, place + 1] = 1.0 / np.diff(t)
    chords[place, place] = -1.0 / np.diff(t)
    return np.concatenate([chords[:1], (chords[:-1] + chords[1:]) / 2.0, chords[-1:]])
