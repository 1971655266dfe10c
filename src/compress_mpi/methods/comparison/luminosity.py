r"""Parton luminosities.

.. math::
   L_{ij}(M_X) = \frac{1}{s} \int_\tau^1 \frac{dx}{x}\, f_i(x, M_X)\, f_j(\tau/x, M_X),
   \qquad \tau = M_X^2 / s

With :math:`F = x f` and :math:`u = \ln x` this is
:math:`\frac{1}{M_X^2} \int_{\ln\tau}^0 du\, F_i(u)\, F_j(\ln\tau - u)`: on a grid that is uniform in u
and has both ends as nodes, the second factor is the same grid read backwards. So the masses are
chosen on that grid, and no value is interpolated.

Channels are summed as in Eq. (4) of arXiv:1607.01831, q and q' over quarks and antiquarks:
gg, gq = sum (g q + q g), qqbar = sum q qbar, qq = sum q q'.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["CHANNELS", "GLUON", "luminosities", "luminosity_nodes", "mass_nodes"]

CHANNELS = ("gg", "gq", "qqbar", "qq")
GLUON = 21


def mass_nodes(m_min: float, m_max: float, sqrt_s: float, step: float, count: int) -> FloatArray:
    """Invariant masses at which the integration grid closes, roughly even in the logarithm.

    Parameters
    ----------
    m_min, m_max : float
        GeV; m_max below ``sqrt_s``.
    sqrt_s : float
        Collider energy in GeV.
    step : float
        Spacing in ln x.
    count : int
        Masses at most.

    Returns
    -------
    float64 (mass,)
        GeV, increasing, all within [m_min, m_max]; empty if none fits.
    """
    # tau = exp(-k step) makes ln tau a whole number of steps; two steps are the least to integrate over
    most = int(np.floor(2 * np.log(sqrt_s / m_min) / step))
    least = max(int(np.ceil(2 * np.log(sqrt_s / m_max) / step)), 2)
    if most < least:
        return np.zeros(0)
    steps = np.unique(np.round(np.linspace(least, most, count)).astype(np.int64))[::-1]
    return sqrt_s * np.exp(-steps * step / 2)


def luminosity_nodes(mass: float, sqrt_s: float, step: float) -> FloatArray:
    """Momentum fractions from tau to 1, both included, uniform in the logarithm.

    Parameters
    ----------
    mass, sqrt_s : float
        GeV.
    step : float
        Spacing in ln x; ``2 ln(sqrt_s / mass)`` is a whole number of them, see ``mass_nodes``.

    Returns
    -------
    float64 (x,)

    Raises
    ------
    ValueError
        If the step does not fit.
    """
    steps = 2 * np.log(sqrt_s / mass) / step
    whole = round(steps)
    if whole < 1 or abs(steps - whole) > 1e-6:
        raise ValueError(f"ln tau is {steps:g} steps long, expected a whole number; take M_X from mass_nodes")
    return np.exp(np.linspace(-whole * step, 0.0, whole + 1))


def luminosities(values: FloatArray, pids: Sequence[int], mass: float, step: float) -> FloatArray:
    """Luminosities of every replica at one mass.

    The rule is the trapezoidal one, which converges fast here because the
    integrand and its slope vanish at both ends, where one of the x is 1.

    Parameters
    ----------
    values : float64 (replica, flavour, x)
        x f(x, M_X) on ``luminosity_nodes``.
    pids : sequence of int
        PDG ids on the flavour axis; gluon 21. Quarks are 1 to 6 and their negatives; others are ignored.
    mass : float
        GeV.
    step : float
        Spacing in ln x.

    Returns
    -------
    float64 (replica, 4)
        In GeV^-2, in the order of ``CHANNELS``. A flavour that is not on the axis is zero.
    """
    gluon, quarks, antiquarks = _sorted(values, pids)
    total = quarks.sum(axis=1)
    pairs = {
        "gg": (gluon * gluon[:, ::-1]),
        "gq": gluon * total[:, ::-1] + total * gluon[:, ::-1],
        "qqbar": np.einsum("rfx,rfx->rx", quarks, antiquarks[:, :, ::-1]),
        "qq": total * total[:, ::-1],
    }
    return np.stack([np.trapezoid(pairs[name], dx=step, axis=1) for name in CHANNELS], axis=1) / mass**2


def _sorted(values: FloatArray, pids: Sequence[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gluon (replica, x), quarks of both signs (replica, quark, x), and their antiparticles."""
    nothing = np.zeros_like(values[:, 0])
    by_pid = {pid: values[:, row] for row, pid in enumerate(pids)}
    quarks = [pid for pid in pids if 1 <= abs(pid) <= 6]
    empty = np.zeros((values.shape[0], 0, values.shape[2]))
    if not quarks:
        return by_pid.get(GLUON, nothing), empty, empty
    anti = np.stack([by_pid.get(-pid, nothing) for pid in quarks], axis=1)
    return by_pid.get(GLUON, nothing), np.stack([by_pid[pid] for pid in quarks], axis=1), anti
